"""Patterns of few rows each: their covariances are factorised side by side, and rows of one pattern share what comes of
it.

For each pattern g and component k, with P the matrix that sets features to zero that the pattern does not tell,

    T = P S P + E + (I - P) = L L',    W = L^-1 P,    Z = W S,    G = Z' W,    B = S - Z' Z
    log N(x_o | m_o, S_oo + E) = -|W (x - m)|^2 / 2 - sum_j log L_jj - |o| / 2 log 2 pi

and of the rows of a pattern under responsibilities r, y = P (x - m), the sums n = sum r, f = sum r y, F = sum r y y'
are carried over to all features as in alike.py:

    first = sum_g G f        second = sum_g G F G' + n B

Arrays are (.., K, G) or (.., b), the rows ordered by pattern, so that one loop over d columns serves all patterns and
components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.observe import densities_by_row
from mixtura.onebyone import LOG_2PI, factored, solved, told_and_errors
from mixtura.rows import Array, Rows
from mixtura.scores import log_weights

if TYPE_CHECKING:
    from mixtura.mixture import Mixture


@dataclass(frozen=True, eq=False)
class Operands:
    """``told`` (d, G); ``white`` W and ``half`` Z (d, d, K, G); ``constant`` (K, G), of log w_k N; ``counts`` (G,) rows
    of each pattern, ``missing`` (G, d) or None, ``noisy`` whether there are errors."""

    model: Mixture
    told: Array
    white: Array
    half: Array
    constant: Array
    counts: NDArray[np.intp]
    noisy: bool


def prepare(model: Mixture, rows: Rows, counts: NDArray[np.intp]) -> Operands:
    """The operands for patterns of so many rows each, of which ``rows`` are the first."""
    d, covariances = model.n_features, model.layout.dense.transpose(1, 2, 0)
    told, error = told_and_errors(rows)
    if told is None:
        told = np.ones((d, len(rows)))
    matrices = covariances[..., None] * (told[:, None] * told)[:, :, None] + error[:, :, None]
    lower = factored(matrices.reshape(d, d, -1))
    white = solved(lower, np.repeat(np.eye(d)[:, :, None], lower.shape[2], axis=2)).reshape(matrices.shape)
    white = white * told[None, :, None]
    half = np.einsum("ijkg,jlk->ilkg", white, covariances)
    log_det = np.log(np.einsum("jjb->jb", lower)).sum(axis=0).reshape(len(model.weights), -1)
    constant = log_weights(model.weights)[:, None] - log_det - 0.5 * LOG_2PI * told.sum(axis=0)
    return Operands(model, told, white, half, constant, counts, rows.noise is not None)


def _away(operands: Operands, rows: Rows) -> Array:
    """y (d, K, b)."""
    x = np.array(rows.x.T, dtype=np.float64, order="C")
    if rows.missing is None:
        return np.asarray(x[:, None] - operands.model.means.T[:, :, None])
    x[rows.missing.T] = 0.0
    return (x[:, None] - operands.model.means.T[:, :, None]) * np.repeat(operands.told, operands.counts, axis=1)[
        :, None
    ]


def seen(operands: Operands, rows: Rows) -> tuple[Array, Array, Array, Any]:
    """Densities (K, b) up to a factor per row, their sums (b,), the logarithm of the factors, and y (d, K, b)."""
    model, away = operands.model, _away(operands, rows)
    log_joint = np.repeat(operands.constant, operands.counts, axis=1)
    for k in range(model.n_components):
        z = np.einsum("ijb,jb->ib", np.repeat(operands.white[:, :, k], operands.counts, axis=2), away[:, k])
        log_joint[k] -= 0.5 * np.einsum("ib,ib->b", z, z)
    behind = None if model.background is None else model.background.log_joint_of(rows.missing)
    return *densities_by_row(log_joint, rows, behind), away


def sums(operands: Operands, rows: Rows, away: Array, resp: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) moments about the means, under ``scale * resp`` (K, b)."""
    resp = resp * scale
    starts = np.cumsum(operands.counts) - operands.counts
    d = len(away)
    i, j = np.triu_indices(d)
    first, second = np.empty_like(operands.model.means), np.empty((len(resp), d, d))
    mass = np.add.reduceat(resp, starts, axis=1)
    for k, weight in enumerate(resp):
        y = away[:, k]
        moved = y * weight
        f = np.add.reduceat(moved, starts, axis=1)
        F = np.empty((d, d, len(starts)))
        F[i, j] = F[j, i] = np.add.reduceat(moved[i] * y[j], starts, axis=1)
        gain, rest = _carried(operands, k)
        first[k] = np.einsum("jlg,lg->j", gain, f)
        half = np.einsum("jlg,lmg->jmg", gain, F)
        second[k] = half.reshape(d, -1) @ gain.reshape(d, -1).T + rest @ mass[k]
    return mass.sum(axis=1), first, second


def _carried(operands: Operands, k: int) -> tuple[Array, Array]:
    """G and B (d, d, G) of one component; without errors what is told is kept exactly."""
    half, told = operands.half[:, :, k], operands.told
    gain = np.einsum("ijg,ilg->jlg", half, operands.white[:, :, k])
    rest = operands.model.layout.dense[k][:, :, None] - np.einsum("ijg,ilg->jlg", half, half)
    if not operands.noisy:
        gone = 1.0 - told
        gain = gain * gone[:, None] + np.eye(len(told))[:, :, None] * told[:, None]
        rest = rest * gone[:, None] * gone
    return gain, rest


def completed(operands: Operands, rows: Rows, k: int) -> tuple[Array, Array]:
    """E[x] - m_k (b, d) of the rows if they belong to component k, and what is left of its covariance, (b, d, d)."""
    gain, rest = (np.repeat(part, operands.counts, axis=2) for part in _carried(operands, k))
    left = rest.transpose(2, 0, 1)
    y = np.einsum("jlb,lb->bj", gain, _away(operands, rows)[:, k])
    return y, 0.5 * (left + left.transpose(0, 2, 1))


def expected(operands: Operands, rows: Rows, numbers: NDArray[np.intp], k: int) -> Array:
    """E[x] - m_k (b, d) of some rows, which have these ``numbers`` in the block, if they belong to component k."""
    pattern = np.repeat(np.arange(len(operands.counts)), operands.counts)[numbers]
    away = (rows.x - operands.model.means[k]).T
    if rows.missing is not None:
        away[rows.missing.T] = 0.0
    z = np.einsum("ijb,jb->ib", operands.white[:, :, k, pattern], away)
    return np.asarray(np.einsum("ijb,ib->bj", operands.half[:, :, k, pattern], z))
