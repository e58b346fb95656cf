"""The features kernel where most components are far from most rows: they are found out in a few dimensions.

No projection makes a Mahalanobis distance longer.  With A (j, d) the directions that tell the components apart best,
y = x - o, a_k = m_k - o, and V_k the whitener of A S_k A',

    upper_k(y) = log_coef_k - |V_k A (y - a_k)|^2 / 2  >=  log w_k N(x | k)

is a bound for all components at the price of j features instead of d.  The component where it is highest is looked at
in full; those whose bound is e^-40 of what was found there, or less, hardly count and are skipped.  The rest are looked
at in full, rows gathered by component.  What is left out of the sum over components is less than K roundings of it; for
a component that is left with next to nothing, the pass is taken again by another kernel (``statistics.one_pass``).

Sums are those of the features kernel.

Reference: J. K. Friedman, F. Baskett and L. J. Shustek, "An algorithm for finding nearest neighbors", IEEE Transactions
on Computers C-24, 1975 (distances to projections as bounds).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mixtura.kernels import blockwise, features
from mixtura.rows import AnyArray, Array
from mixtura.scores import LOG_ZERO, Scores

APART = 40.0
"""Nats under the highest known log joint at which a component is skipped: e^-40 is less than a rounding of one."""

SKIPPED, LOWEST = (60.0, 600.0), -700.0
"""Nats under the highest known log joint that stand for what was skipped: at least, and at most as long as that is not
LOWEST.  The exponential of less is a subnormal number, which takes thirty times as long."""

ALIKE = 1e8
"""Ratio of variances in those directions, of whatever components, up to which bounds have digits enough."""

LOOKS = 64
"""Means from which is judged whether skipping pays."""

FEWEST = (24, 6)
"""Features and components from which looking twice can pay."""

SPREAD = 2.5
"""Standard deviations by which a row may be nearer to another component than the mean of its own is."""

PAYS = 0.3
"""Part of the pairs of rows and components that may be left after the first look, for the second to pay."""

CROWDED = 0.45
"""Part of the pairs left in a block from which one full product takes no longer."""


@dataclass(frozen=True, eq=False)
class Operands:
    """What both looks need: the ``axes`` (j, d) and ``bound`` of the first, ``scores`` and ``origin`` for the second.

    ``turned`` (K, d, d) holds U_k', ``white`` (K, d) U_k a_k.
    """

    scores: Scores
    origin: Array
    axes: Array
    bound: features.Operands
    turned: Array
    white: Array

    @cached_property
    def full(self) -> features.Operands:
        """For blocks in which too much is left."""
        return features.prepare(self.scores, self.origin)


def n_directions(n_features: int) -> int:
    """Directions in which components are told apart."""
    return max(8, n_features // 8)


def _axes(scores: Scores) -> Array:
    """The directions (j, d) in which means differ most, in units of the mean precision."""
    alive = np.flatnonzero(scores.log_coef > 0.5 * LOG_ZERO)
    stacked = scores.whitener[alive].reshape(-1, scores.center.shape[1])
    root = np.linalg.cholesky(stacked.T @ stacked / len(alive)).T
    away = scores.center[alive] - scores.center[alive].mean(axis=0)
    _, _, axes = np.linalg.svd(away @ root.T, full_matrices=False)
    return np.asarray(axes[: n_directions(len(root))] @ root)


def _bound(scores: Scores, axes: Array, origin: Array) -> Scores | None:
    """Scores of the upper bounds in the coordinates A y; None where they would have too few digits."""
    projected = axes @ (np.linalg.inv(scores.whitener) if scores.factor is None else scores.factor)
    covariances = projected @ projected.transpose(0, 2, 1)
    try:
        factor = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return None
    narrowest = np.diagonal(factor, axis1=1, axis2=2).min()
    if not np.diagonal(covariances, axis1=1, axis2=2).max() <= ALIKE * narrowest**2:
        return None
    center = (scores.center - origin) @ axes.T
    return Scores(scores.log_coef, center, np.tril(np.linalg.inv(factor)), np.ones_like(center))


def pays(scores: Scores, origin: Array) -> bool:
    """Whether most components are expected to be skipped, as seen from where the means lie."""
    k, d = scores.center.shape
    if d < FEWEST[0] or k < FEWEST[1] or scores.factor is None:
        return False
    bound = _bound(scores, _axes(scores), origin)
    if bound is None:
        return False
    seen = slice(None, None, -(-k // LOOKS))
    own = (bound.whitener @ bound.center[:, :, None])[:, :, 0]
    white = bound.whitener @ bound.center[seen].T - own[:, :, None]  # from l to the means that are looked from
    distance = np.maximum(np.sqrt((white**2).sum(axis=1)) - SPREAD, 0.0)
    upper = bound.log_coef[:, None] - 0.5 * distance**2
    return bool((upper >= scores.log_coef[seen] - 0.5 * d - APART).mean() < PAYS)


def width(n_components: int, n_features: int) -> int:
    """Numbers that a row takes in the temporaries of a block."""
    j = n_directions(n_features)
    return n_components + n_features + j * (j + 1) // 2


def prepare(scores: Scores, origin: Array) -> Operands:
    """What both looks need."""
    axes = _axes(scores)
    white = (scores.whitener @ (scores.center - origin)[:, :, None])[:, :, 0]
    bound = _bound(scores, axes, origin)
    assert bound is not None  # or it would not have been found to pay
    first = features.prepare(bound, np.zeros(len(axes)))
    turned = np.ascontiguousarray(scores.whitener.transpose(0, 2, 1))
    return Operands(scores, origin, axes, first, turned, white)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), where it was not skipped, and Y (b, d)."""
    y = np.subtract(x, operands.origin, order="C")
    upper, _ = features.joint(operands.bound, y @ operands.axes.T)
    n_components, n_rows = upper.shape
    first = blockwise.highest(upper)
    known = np.empty(n_rows)
    # Sorting is linear in numbers of 16 bits.
    order = np.argsort(first.astype(np.min_scalar_type(n_components)), kind="stable")
    for k, rows in _by_component(order, np.bincount(first, minlength=n_components)):
        known[rows] = _log_joint(operands, y, k, rows)
    left = upper >= known - APART
    left[first, np.arange(n_rows)] = False
    counts = np.count_nonzero(left, axis=1)
    if counts.sum() > CROWDED * left.size:
        return features.joint(operands.full, x)[0], y
    log_joint = upper
    log_joint[:] = np.minimum(known - SKIPPED[0], np.maximum(known - SKIPPED[1], LOWEST))
    log_joint[first, np.arange(n_rows)] = known
    for k, rows in _by_component(np.nonzero(left)[1], counts):
        log_joint[k, rows] = _log_joint(operands, y, k, rows)
    return log_joint, y


def _by_component(rows: NDArray[np.intp], counts: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """The rows of each component that has some, from those of all of them below each other."""
    stops = np.cumsum(counts)
    for k in np.flatnonzero(counts):
        yield int(k), rows[stops[k] - counts[k] : stops[k]]


def _log_joint(operands: Operands, y: Array, k: int, rows: NDArray[np.intp]) -> Array:
    z = np.take(y, rows, axis=0) @ operands.turned[k]
    z -= operands.white[k]
    return np.asarray(operands.scores.log_coef[k] - 0.5 * np.einsum("bj,bj->b", z, z))


def sums(operands: Operands, x: AnyArray, y: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * T(y) over the rows, (K, q), in the order of the features kernel; ``resp`` is used up."""
    resp *= scale
    d = y.shape[1]
    table = np.zeros((len(resp), d + 1 + d * (d + 1) // 2))
    hot = resp > features.NEGLIGIBLE
    i, j = features.pairs(d)
    for k, rows in _by_component(np.nonzero(hot)[1], np.count_nonzero(hot, axis=1)):
        weight = resp[k, rows]
        root = np.sqrt(weight)
        part = np.take(y, rows, axis=0)
        part *= root[:, None]
        table[k, :d] = root @ part
        table[k, d] = weight.sum()
        table[k, d + 1 :] = (part.T @ part)[i, j]
    return table


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) moments in the table, and the centers (K, d) they are about."""
    return features.moments_about(operands.origin, table)
