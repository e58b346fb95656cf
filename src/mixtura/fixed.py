"""What stays at its start: weights, means and covariances, of all components or of some.

The M-step maximises the expected objective over what is left free, from the sums of a pass and the model before it.
Of component k the rows have the mass n_k, the mean xbar_k and the scatter W_k about it:

    w_k    fixed: as it was     free: left n_k / sum_j n_j, j free, left = 1 - sum_f w_f, f fixed (a background of
                                mass n_0 is one more of the free; where only one is free, it is as it was)
    m_k    fixed: as it was     free: xbar_k
    S_k    fixed: as it was     free: family.estimate of W_k + n_k (xbar_k - m_k)(xbar_k - m_k)', the scatter about m_k

A conjugate prior has put its imagined rows into xbar_k and W_k before that, kappa of them at m_0 (priors.py).  The
scatter about any m is then W_k + (n_k + kappa) (xbar_k - m)(xbar_k - m)', in which kappa (m - m_0)(m - m_0)' is.

So EM climbs as it does with everything free.  A fixed covariance knows no floor and no ``reg_covar``, and its component
is not called degenerate: the user chose it.

In the chart (accelerate.py) what is fixed has no coordinate.  Free weights are ``left`` times a softmax:

    d/d log w_k = n_k - (w_k / left) sum_j n_j,   in complete data of the information w_k / left sum_j n_j
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura import validation
from mixtura.background import Background
from mixtura.covariance import Covariances, Dense, Diagonal, read_only
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.priors import EigenvalueRatio, Prior
from mixtura.rows import Array
from mixtura.statistics import EMPTY

PARTS = ("weights", "means", "covariances")
"""What can be fixed, by its name in the parameter ``fixed``."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fixed:
    """Which components (K,) have their ``weights``, ``means``, ``covariances`` fixed; None where none has.

    There are no values here: they are those of the previous model, which has them from the start.
    """

    weights: Mask | None = None
    means: Mask | None = None
    covariances: Mask | None = None

    def left(self, weights: Array) -> float:
        """What the fixed ones of ``weights`` (K,) leave to the others."""
        return 1.0 if self.weights is None else max(1 - float(weights[self.weights].sum()), 0.0)

    def shared_out(self, previous: Mixture, parts: Array, behind: float) -> tuple[Array, Background | None]:
        """Weights (K,) and background of ``previous``, the free ones in proportion to ``parts`` (K,) and ``behind``."""
        background = previous.background
        free = ~held(self.weights, len(parts))
        total = float(parts[free].sum()) + (0.0 if background is None else behind)
        if free.sum() + (background is not None) < 2 or not total > EMPTY:
            return previous.weights, background
        weights, left = previous.weights.copy(), self.left(previous.weights)
        weights[free] = left * (parts[free] / total)
        return weights, None if background is None else replace(background, weight=float(left * (behind / total)))

    def n_parameters(self, family: Family, n_components: int, n_features: int, *, background: bool) -> int:
        """How many of the parameters of a mixture are not free any more."""
        masks = (self.weights, self.means, self.covariances)
        weights, means, covariances = (int(held(mask, n_components).sum()) for mask in masks)
        shares = n_components + background  # of which one follows from the others
        copies = n_components - covariances
        own = family.n_covariance_parameters(n_components, n_features)
        rest = family.n_covariance_parameters(copies, n_features) if copies else 0
        return shares - 1 - max(shares - weights - 1, 0) + means * n_features + own - rest


def held(mask: Mask | None, n_components: int) -> Mask:
    """The mask (K,) itself, or one of nothing."""
    return np.zeros(n_components, dtype=bool) if mask is None else mask


def scatter_about(scatter: Array, mass: Array, away: Array) -> Array:
    """Scatter about points that lie ``away`` (K, d) from the means, from that about the means: K entries of it, or one
    of all components together."""
    together = len(scatter) < len(mass)
    if scatter.ndim == 2:
        square = mass[:, None] * away**2
        return np.asarray(scatter + (square.sum(axis=0) if together else square))
    if together:
        root = np.sqrt(mass)[:, None] * away
        return np.asarray(scatter + root.T @ root)
    return np.asarray(scatter + mass[:, None, None] * (away[:, :, None] * away[:, None, :]))


def beside(kept: Covariances, free: Mask, found: Covariances) -> Covariances:
    """The covariances ``kept`` (K), those of the ``free`` components (K,) being the ones that were ``found``."""
    if isinstance(kept, Diagonal):
        variances = np.array(kept.variances)
        variances[free] = found.diagonal
        return Diagonal(read_only(variances))
    assert isinstance(found, Dense)
    matrices, accurate = np.array(kept.matrices), None
    matrices[free] = found.matrices
    if kept.accurate is not None or found.accurate is not None:
        accurate = np.array(kept.whitener)
        accurate[free] = found.whitener
    return Dense(read_only(matrices), accurate)


def masks_of(value: Any, n_components: int) -> Fixed | None:
    """What the parameter ``fixed`` says of so many components; None where nothing is fixed."""
    masks = validation.masks(value, "fixed", PARTS, n_components)
    if not any(mask.any() for mask in masks.values()):
        return None
    return Fixed(*(masks[part] if part in masks and masks[part].any() else None for part in PARTS))


def fixed_of(
    value: Any,
    n_components: int,
    family: Family,
    covariance_type: str,
    *,
    prior: Prior | None,
    mixing: str,
    on_degenerate: str,
) -> Fixed | None:
    """What a user wants to stay at its start, refused where the rest of the fit has no place for it."""
    fixed = masks_of(value, n_components)
    if fixed is None:
        return None
    if fixed.covariances is not None and not fixed.covariances.all() and not family.separate:
        raise ValueError(
            'fixed["covariances"] must be True or False for a covariance_type whose components share something, got '
            f"{int(fixed.covariances.sum())} of {n_components} for {covariance_type!r}: fix all, or choose a type "
            "without the letter E"
        )
    if fixed.covariances is not None and isinstance(prior, EigenvalueRatio):
        raise ValueError(
            'fixed["covariances"] must be False with the constraint EigenvalueRatio, which bounds them all, got some '
            "that are fixed: leave one of the two out"
        )
    if fixed.weights is not None and mixing == "equal":
        raise ValueError(
            'fixed["weights"] must be False with mixing="equal", which fixes all weights at 1/K, got some that are '
            "fixed: leave one of the two out"
        )
    if on_degenerate == "drop":
        raise ValueError(
            'fixed must be None with on_degenerate="drop", which gives components other numbers, got '
            f'{", ".join(part for part in PARTS if getattr(fixed, part) is not None)}: use "rescue" or "raise"'
        )
    return fixed
