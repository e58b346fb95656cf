"""Responsibilities (n, K) as an image: what share of each row belongs to which component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixtura import evaluate, validation
from mixtura.engine import make_engine
from mixtura.mixture import mixture_of, model_of
from mixtura.plot.canvas import axes_of, model_in, part_of, remark, sampled
from mixtura.rows import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 2_000
"""More rows than this share a pixel."""


def responsibilities(model: object, X: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw the responsibilities as a heat map, rows side by side in the order of their components.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features.
    X : array-like or frame of shape (n, d)
        Rows; of more than 2,000 a random subset is drawn, and the picture says so.  Rows of one component come in
        order of decreasing responsibility.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If X has no rows, another number of columns or an entry that is infinite.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import responsibilities
    >>> m = Mixture([0.5, 0.5], [[0.0], [2.0]], [1.0, 1.0])
    >>> ax = responsibilities(m, m.sample(100, rng=0)[0])
    >>> ax.images[0].get_array().shape
    (2, 100)
    """
    model = model_in(model)
    whole = model_of(model)
    K = mixture_of(model).n_components
    rows = validation.points(X, whole.n_features)
    if len(rows) == 0:
        raise ValueError("X must have at least one row, got none: give rows to look at")
    ax = axes_of(ax)
    from matplotlib.ticker import MaxNLocator

    drawn = sampled(rows, COLUMNS)
    found = evaluate.responsibilities(whole, Rows(drawn, missing=validation.missing(drawn)), make_engine())
    order = np.lexsort((-found.max(axis=1), found.argmax(axis=1)))
    image = ax.imshow(
        found[order].T, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest", rasterized=True
    )
    for edge in range(1, found.shape[1]):
        ax.axhline(edge - 0.5, color="white", linewidth=1.5)
    remark(ax, part_of(len(drawn), len(rows)))
    ax.set_xlabel("row, by component")
    ax.set_ylabel("component")
    if found.shape[1] > K:
        ax.set_yticks(range(K + 1), [*(str(k) for k in range(K)), "background"])
    else:
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(K, 12)))
    ax.figure.colorbar(image, ax=ax, label="responsibility")
    return ax
