"""What a row tells about its component: the E-step of one block.

    log_joint_kb = log w_k N(x_b | k)
    log p(x_b)   = log sum_k exp log_joint_kb
    resp_kb      = exp(log_joint_kb - log p(x_b))

``exact`` is the observation of complete, error-free rows.  The largest log density that any row can have,
max_k log_coef_k, is known beforehand: taken off inside the product, it makes exp safe without a sweep for the row
maximum.  Rows that are too far out for it (their sum underflows) are done again with a maximum of their own.

A background is one row more, the last: log_joint_0b = log w_0 / V, whatever the row.  Where there is one, no sum
underflows.

What is known of where a row belongs makes log_joint -inf for the other components, so that p(x_b) is the density of the
row and of what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.kernels import KERNELS, SHARED, Kernel, block_rows, choose, leaves_out, shared, well_placed
from mixtura.rows import AnyArray, Array, Rows
from mixtura.scores import LOG_ZERO, Scores

UNDERFLOW = 1e-280
"""A sum of densities under this has lost digits to subnormal numbers."""

FOURTH_ROOT = 1e-70
"""The product of four numbers over this has all its digits."""

WIDE = 300.0
"""Difference of log_coef (nats) from which many rows would underflow against the common maximum."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A model made ready for a pass: ``operands`` of ``kernel`` for ``scores`` less ``shift``.

    ``by_row``: every row is compared with its own maximum, because the components' peaks differ too much.  ``common``
    is what the log density of all rows together has beside the sum of those that the kernel knows.
    """

    scores: Scores
    shift: float
    by_row: bool
    kernel: Kernel
    operands: Any
    common: float = 0.0

    @property
    def n_columns(self) -> int:
        """To how many a row may belong: the components, and the background if there is one."""
        return len(self.scores.log_coef) + (self.scores.log_background is not None)

    @property
    def block_rows(self) -> int:
        """Rows of a block, at most."""
        return block_rows(self.kernel, *self.scores.center.shape)

    @property
    def leaves_out(self) -> bool:
        """Whether sums are without rows that say next to nothing of a component."""
        return leaves_out(self.kernel, self.scores.center.shape[1])


def exact(scores: Scores, origin: Array, kernel: str | None = None, *, labelled: bool = False) -> Observation:
    """The observation of complete rows, by the kernel that suits the scores (or the one named).

    Of rows that are ``labelled`` none may be skipped because it is nearer to another component.
    """
    live = scores.live
    shift = float(live.max())
    name = kernel or choose(scores, origin)
    chosen = KERNELS["features" if labelled and name == "screened" else name]
    operands = chosen.prepare(scores.shifted(shift), origin)
    return Observation(scores, shift, bool(shift - live.min() > WIDE), chosen, operands)


def pooled(scores: Scores, origin: Array, total: Array) -> Observation | None:
    """The observation of rows whose second moments about ``origin`` are ``total`` (d, d) or (d,), under one covariance
    for all components; None where that would cost digits.  It serves passes over those rows only."""
    if not well_placed(scores, origin):
        return None
    shift = float(scores.live.max())
    operands = shared.prepare(scores.shifted(shift), origin, total)
    return Observation(scores, shift, True, SHARED, operands, operands.common)


def densities(
    observation: Observation, x: AnyArray, allowed: NDArray[np.bool_] | None = None
) -> tuple[Array, Array, float | Array, Any]:
    """Densities (K, b) up to a factor per row, their sums (b,), the logarithm of the factors, and what the kernel left.

    Densities over sums are the responsibilities; whoever needs them divides where it costs least.  Log p(x) is the
    logarithm of a sum and that of its factor, which is one number unless rows had to be looked at by themselves.  With
    a background densities are (K + 1, b).  What is not ``allowed`` (like the densities) has none.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        resp, left = observation.kernel.joint(observation.operands, x)
        resp = _with_background(observation, resp)
        if allowed is not None:
            resp[~allowed] = -np.inf
        top = _subtract_maximum(resp) + observation.shift if observation.by_row else observation.shift
        np.exp(resp, out=resp)
        total = resp.sum(axis=0)
        if total.min() >= UNDERFLOW and total.max() < np.inf:  # false with a NaN among them, too
            return resp, total, top, left
        lost = np.flatnonzero(~((total >= UNDERFLOW) & (total < np.inf)))
    top = np.broadcast_to(top, total.shape).copy()
    resp[:, lost], total[lost], top[lost] = _again(observation, x[lost], None if allowed is None else allowed[:, lost])
    return resp, total, top, left


def densities_by_row(log_joint: Array, rows: Rows, behind: Array | None = None) -> tuple[Array, Array, Array]:
    """The first three of these, each row against its own maximum: from ``log_joint`` (K, b) of the components, which is
    used up, and ``behind`` (b,) or () of the background, if there is one."""
    if behind is not None:
        log_joint = np.concatenate([log_joint, np.broadcast_to(behind, (1, len(rows)))])
    allowed = rows.allowed(len(log_joint))
    if allowed is not None:
        log_joint[~allowed] = -np.inf
    top = log_joint.max(axis=0)
    log_joint -= top
    resp = np.exp(log_joint, out=log_joint)
    return resp, resp.sum(axis=0), top


def log_likelihood(total: Array, top: float | Array, weight: Array | None) -> float:
    """Sum of the (weighted) log densities of rows, from what ``densities`` tells."""
    if weight is not None:
        return float(weight @ (np.log(total) + top))
    tops = top * len(total) if isinstance(top, float) else float(top.sum())
    # One logarithm for every four rows: it takes as long as the exponentials.
    fold = len(total) // 4
    if total.min() > FOURTH_ROOT and total.max() < 1 / FOURTH_ROOT:
        first = total[: 4 * fold].reshape(4, fold)
        pairs = first[:2] * first[2:]
        return float(np.log(pairs[0] * pairs[1]).sum() + np.log(total[4 * fold :]).sum()) + tops
    return float(np.log(total).sum()) + tops


def _with_background(observation: Observation, log_joint: Array) -> Array:
    """log_joint with a row for the background, if there is one."""
    constant = observation.scores.log_background
    if constant is None:
        return log_joint
    return np.concatenate([log_joint, np.full((1, log_joint.shape[1]), constant - observation.shift)])


def _subtract_maximum(log_joint: Array) -> Array:
    top: Array = log_joint.max(axis=0)
    top[~np.isfinite(top)] = 0.0
    log_joint -= top
    return top


def _again(observation: Observation, x: AnyArray, allowed: NDArray[np.bool_] | None) -> tuple[Array, Array, Array]:
    """The same for rows far from every component, each against its own maximum."""
    live = observation.scores.log_coef > 0.5 * LOG_ZERO
    behind = observation.scores.log_background
    lit = behind is not None and behind > 0.5 * LOG_ZERO
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        log_joint, _ = observation.kernel.joint(observation.operands, x)
        beyond = np.flatnonzero(~np.isfinite(log_joint[live]).all(axis=0))
        if lit:  # the background has them, where it may
            beyond = beyond[:0] if allowed is None else beyond[~allowed[-1, beyond]]
        if len(beyond):
            log_joint[:, beyond] = _beyond(observation.scores, x[beyond])
        log_joint = _with_background(observation, log_joint)
        if lit:  # which is denser at such a row than any component whose squared distance overflows
            log_joint[~np.isfinite(log_joint)] = -np.inf
        alive = live if behind is None else np.append(live, lit)
        log_joint[~alive] = -np.inf  # so far out, even the stand-in for log 0 could win
        if allowed is not None:
            log_joint[~allowed] = -np.inf
            # Of weight zero are components that only absent rows are known to belong to.
            nowhere = ~np.isfinite(log_joint).any(axis=0)
            beyond = np.union1d(beyond, np.flatnonzero(nowhere))
            log_joint[:, nowhere] = np.where(allowed[:, nowhere], 0.0, -np.inf)
        top = log_joint.max(axis=0)
        resp = np.exp(log_joint - top)
        total = resp.sum(axis=0)
        top = top + observation.shift
    top[beyond] = -np.inf
    return resp, total, top


def _beyond(scores: Scores, x: AnyArray) -> Array:
    """log_joint (K, b), less a number per row, of rows whose squared distances overflow: only their order is left.

    Distances are taken in units of the largest number at hand; equally near components share by their log_coef.
    """
    rows = np.asarray(x, dtype=np.float64).T
    unit = np.maximum(np.abs(rows).max(axis=0), np.abs(scores.center).max())
    distance = np.empty((len(scores.log_coef), rows.shape[1]))
    for k, whitener in enumerate(scores.whitener):
        y = rows / unit - scores.center[k][:, None] / unit
        z = whitener @ y if whitener.ndim == 2 else whitener[:, None] * y
        largest = np.abs(z).max(axis=0)
        distance[k] = largest * np.sqrt(((z / largest) ** 2).sum(axis=0))
    # A component of weight zero is near nobody.
    distance[scores.log_coef <= 0.5 * LOG_ZERO] = np.inf
    nearest = distance.min(axis=0)
    # |z|^2 - |z_0|^2 in two factors, so that equal distances differ by 0 and not by inf - inf
    excess = 0.5 * ((distance - nearest) * unit) * ((distance + nearest) * unit)
    excess = np.where(distance == nearest, 0.0, np.minimum(excess, -LOG_ZERO))
    return scores.log_coef[:, None] - excess
