"""Components of one model called by the numbers of those of another, as far as they have the same rows.

With n_ab the number of rows whose most probable component is a in the one and b in the other model, the numbers are
those that make the sum of n_ab over pairs of one number largest (the assignment problem); components that are left over
have the numbers after these.

Reference: H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2, 1955.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mixtura.mixture import Mixture

Labels = NDArray[np.intp]


def order_of(own: Labels, n_own: int, wanted: Labels, n_wanted: int) -> list[int]:
    """The components of a model, in which rows have their ``own`` labels (n,), in a new order: that of the model in
    which they have the ``wanted`` labels (n,); -1 counts in neither."""
    there = (own >= 0) & (wanted >= 0)
    shared = np.zeros((n_own, n_wanted), dtype=np.intp)
    np.add.at(shared, (own[there], wanted[there]), 1)
    place = np.full(n_own, n_own + n_wanted)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    place[rows] = columns
    return [int(k) for k in np.argsort(place, kind="stable")]


def reordered(model: Mixture, order: list[int]) -> Mixture:
    """The same model with its components in another order."""
    return Mixture.of(model.weights[order], model.means[order], model.layout.only(order), model.background)
