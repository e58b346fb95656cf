"""Rows that have nothing in common: each has a covariance of its own to factorise, many of them side by side.

With o the features that a row tells, P the matrix that sets the others to zero, and E the covariance of its error,

    T = P S P + E + (I - P) = L L',    z = L^-1 P (x - m),    Z = L^-1 P S
    log N(x_o | m_o, S_oo + E) = -|z|^2 / 2 - sum_j log L_jj - |o| / 2 log 2 pi
    E[x | x_o] - m = Z' z = S P T^-1 P (x - m)        Cov[x | x_o] = S - Z' Z

(E has no entries where a feature is missing.)  In sums under responsibilities r, n = sum r, y = Z' z:

    first = sum r y        second = n S + sum r y y' - sum r Z' Z

Of diagonal covariances and errors nothing is left but numbers: T = S + E, y = S / T (x - m), S - S^2 / T, each feature
by itself, with 1 / T = 0 where it is missing.

Arrays are (.., b), the rows along the last axis, so that one loop over d columns serves all rows of a block.

Reference: J. Bovy, D. W. Hogg and S. T. Roweis, "Extreme deconvolution: inferring complete distribution functions from
noisy, heterogeneous and incomplete observations", Annals of Applied Statistics 5, 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.covariance import Diagonal
from mixtura.kernels import BLOCK_BYTES
from mixtura.observe import densities_by_row
from mixtura.rows import Array, Rows
from mixtura.scores import log_weights

if TYPE_CHECKING:
    from mixtura.mixture import Mixture

NEGLIGIBLE = 1e-20
"""Part of the largest responsibility of a component in a block, under which a row is left out of its sums."""

LOG_2PI = float(np.log(2 * np.pi))

DEFINITE = float(np.finfo(np.float64).eps)
"""Smallest square of a pivot, as a part of its own variance: what rounding may leave of none."""


@dataclass(frozen=True, eq=False)
class Operands:
    """The model, with covariances (K, d, d) or variances (K, d), and the logarithms of its weights."""

    model: Mixture
    covariances: Array
    log_weights: Array


def prepare(model: Mixture) -> Operands:
    """The operands for any rows."""
    own = model.layout.variances if isinstance(model.layout, Diagonal) else model.layout.dense
    return Operands(model, own, log_weights(model.weights))


def block_rows(n_components: int, n_features: int, *, dense: bool) -> int:
    """Rows of a block: temporaries stay in the caches, and a loop over columns is worth its calls."""
    width = n_components + (4 * n_features**2 if dense else 4 * n_features)
    return int(min(max(BLOCK_BYTES // (8 * width), 128), 8192))


@dataclass(frozen=True, eq=False)
class Block:
    """What rows tell whatever the component: ``x`` (d, b) with zeros where it is missing, ``told`` (d, b) of ones and
    zeros or None if all is told, and ``error``, E + I - P, (d, d, b), or E with inf where it is missing, (d, b)."""

    x: Array
    told: Array | None
    error: Array


def _block(operands: Operands, rows: Rows) -> Block:
    x = np.array(rows.x.T, dtype=np.float64, order="C")
    if rows.missing is not None:
        x[rows.missing.T] = 0.0
    if operands.covariances.ndim == 3:
        return Block(x, *told_and_errors(rows))
    error = np.zeros(x.shape) if rows.noise is None else np.array(rows.noise.T, order="C")
    if rows.missing is None:
        return Block(x, None, error)
    error[rows.missing.T] = np.inf
    return Block(x, np.array(~rows.missing.T, dtype=np.float64, order="C"), error)


def told_and_errors(rows: Rows) -> tuple[Array | None, Array]:
    """Ones and zeros (d, b), or None if all is told; and E + I - P (d, d, b)."""
    b, d = rows.x.shape
    told = None if rows.missing is None else np.array(~rows.missing.T, dtype=np.float64, order="C")
    noise = np.zeros((b, d)) if rows.noise is None else rows.noise
    if noise.ndim == 3:
        error = np.array(noise.transpose(1, 2, 0), order="C")
    else:
        error = np.zeros((d, d, b))
        error[np.arange(d), np.arange(d)] = noise.T
    if rows.missing is not None:
        gone = rows.missing.T
        error[gone[:, None] | gone[None, :]] = 0.0
        i, n = np.nonzero(gone)
        error[i, i, n] = 1.0
    return told, error


def _away(block: Block, mean: Array) -> Array:
    away = block.x - mean[:, None]
    return away if block.told is None else away * block.told


def _factor(covariance: Array, block: Block) -> Array:
    """L (d, d, b), its lower triangle."""
    own = covariance[:, :, None]
    if block.told is None:
        return factored(own + block.error)
    matrices = own * block.told * block.told[:, None]
    matrices += block.error
    return factored(matrices)


def factored(lower: Array) -> Array:
    """Cholesky factors of matrices (d, d, b) in the lower triangles of their places."""
    variance = np.einsum("jjb->jb", lower).copy()
    for j in range(len(lower)):
        column = lower[j:, j]
        if j:
            column -= np.einsum("ilb,lb->ib", lower[j:, :j], lower[j, :j])
        lost = column[0] < DEFINITE * variance[j]
        if lost.any():  # what is left of the column is rounding, which would grow from column to column
            column[1:, lost] = 0.0
        np.maximum(column[0], DEFINITE * variance[j], out=column[0])
        np.sqrt(column[0], out=column[0])
        column[1:] /= column[0]
    return lower


def solved(lower: Array, right: Array) -> Array:
    """L^-1 times right (d, m, b), in place."""
    for i in range(len(lower)):
        if i:
            right[i] -= np.einsum("lb,lmb->mb", lower[i, :i], right[:i])
        right[i] /= lower[i, i]
    return right


def seen(operands: Operands, rows: Rows) -> tuple[Array, Array, Array, Any]:
    """Densities (K, b) up to a factor per row, their sums (b,), the logarithm of the factors, and the block."""
    model, block = operands.model, _block(operands, rows)
    log_joint = np.empty((model.n_components, len(rows)))
    constant = -0.5 * LOG_2PI * (model.n_features if block.told is None else block.told.sum(axis=0))
    dense = operands.covariances.ndim == 3
    for k, (covariance, mean) in enumerate(zip(operands.covariances, model.means, strict=True)):
        away = _away(block, mean)
        if dense:
            lower = _factor(covariance, block)
            white = solved(lower, away[:, None])[:, 0]
            log_joint[k] = -0.5 * np.einsum("jb,jb->b", white, white) - np.log(np.einsum("jjb->jb", lower)).sum(axis=0)
        else:
            variance = covariance[:, None] + block.error
            log_joint[k] = -0.5 * (away * away / variance).sum(axis=0)
            log = np.log(variance, out=np.zeros_like(variance), where=np.isfinite(variance))
            log_joint[k] -= 0.5 * log.sum(axis=0)
    log_joint += operands.log_weights[:, None]
    log_joint += constant
    behind = None if model.background is None else model.background.log_joint_of(rows.missing)
    return *densities_by_row(log_joint, rows, behind), block


def sums(operands: Operands, rows: Rows, block: Block, resp: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) or (K, d) moments about the means, under ``scale * resp`` (K, b)."""
    resp = resp * scale
    first, second = np.zeros_like(operands.model.means), np.zeros_like(operands.covariances)
    for k, weight in enumerate(resp):
        hot = np.flatnonzero(weight > NEGLIGIBLE * weight.max())
        if len(hot) == 0:
            continue
        whole = len(hot) == len(weight)
        y, white = _conditional(operands, block if whole else _only(block, hot), k)
        own = weight if whole else weight[hot]
        first[k] = y @ own
        if white.ndim == 2:
            second[k] = (y * y + white) @ own
            continue
        second[k] = operands.covariances[k] * own.sum() + (y * own) @ y.T
        for row in white:
            second[k] -= (row * own) @ row.T
    return resp.sum(axis=1), first, second


def _only(block: Block, rows: NDArray[np.intp]) -> Block:
    told = None if block.told is None else block.told[:, rows]
    return Block(block.x[:, rows], told, block.error[..., rows])


def _conditional(operands: Operands, block: Block, k: int) -> tuple[Array, Array]:
    """y (d, b), and Z (d, d, b), or the variance that is left (d, b)."""
    away, covariance = _away(block, operands.model.means[k]), operands.covariances[k]
    if covariance.ndim == 1:
        gain = covariance[:, None] / (covariance[:, None] + block.error)
        return gain * away, (1 - gain) * covariance[:, None]
    d, b = away.shape
    right = np.empty((d, d + 1, b))
    right[:, 0] = away
    right[:, 1:] = covariance[:, :, None] if block.told is None else covariance[:, :, None] * block.told[:, None]
    solved(_factor(covariance, block), right)
    white, z = right[:, 1:], right[:, 0]
    return np.einsum("ijb,ib->jb", white, z), white


def completed(operands: Operands, rows: Rows, k: int) -> tuple[Array, Array]:
    """E[x] - m_k (b, d) of the rows if they belong to component k, and what is left of its covariance, (b, d, d) or
    (b, d)."""
    y, white = _conditional(operands, _block(operands, rows), k)
    if white.ndim == 2:
        return y.T, white.T
    left = operands.covariances[k] - np.einsum("ijb,ilb->bjl", white, white)
    return y.T, 0.5 * (left + left.transpose(0, 2, 1))


def expected(operands: Operands, rows: Rows, k: int) -> Array:
    """The first that ``completed`` tells, without the other."""
    block, covariance = _block(operands, rows), operands.covariances[k]
    away = _away(block, operands.model.means[k])
    if covariance.ndim == 1:
        return np.asarray((covariance[:, None] / (covariance[:, None] + block.error) * away).T)
    lower = _factor(covariance, block)
    y = solved(lower, away[:, None])[:, 0]
    for i in reversed(range(len(y))):  # L'^-1 z, which has zeros where a feature is missing
        y[i] -= np.einsum("lb,lb->b", lower[i + 1 :, i], y[i + 1 :])
        y[i] /= lower[i, i]
    return np.asarray((covariance @ y).T)


def drawn_errors(noise: Array, normal: Array) -> Array:
    """Draws (b, d) of errors of variances (b, d) or covariances (b, d, d), made of standard normal numbers."""
    if noise.ndim == 2:
        return np.sqrt(noise) * normal
    matrices, normal = np.array(noise.transpose(1, 2, 0), order="C"), normal.T.copy()
    j, n = np.nonzero(np.einsum("jjb->jb", matrices) == 0)
    matrices[j, j, n], normal[j, n] = 1.0, 0.0  # no error, but a square root
    lower = factored(matrices)
    return np.stack([np.einsum("lb,lb->b", row[: i + 1], normal[: i + 1]) for i, row in enumerate(lower)], axis=1)
