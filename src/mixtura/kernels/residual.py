"""Residuals from each component's own mean: slower, and right at any offset and any condition number.

    y = x - m_k,   z = U_k y,   log w_k N(x | k) = log_coef_k - z'z / 2
    sums of r, r y, r y y' about m_k         (r y^2 for diagonal covariances)

Nothing cancels: x - m_k is the only difference and it is taken first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


@dataclass(frozen=True, eq=False)
class Operands:
    """The scores as they are."""

    scores: Scores


def prepare(scores: Scores, origin: Array) -> Operands:
    """Nothing to prepare; the origin plays no part."""
    return Operands(scores)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), and the rows turned round, (d, b)."""
    scores = operands.scores
    rows = np.array(x.T, dtype=np.float64, order="C")
    log_joint = np.empty((len(scores.log_coef), len(x)))
    y = np.empty_like(rows)
    for k, whitener in enumerate(scores.whitener):
        np.subtract(rows, scores.center[k][:, None], out=y)
        z = whitener @ y if whitener.ndim == 2 else np.multiply(y, whitener[:, None], out=y)
        with np.errstate(over="ignore"):  # a row 1e154 deviations away has log density -inf, which is right
            np.multiply(z, z, out=z)
            z.sum(axis=0, out=log_joint[k])
    log_joint *= -0.5
    log_joint += scores.log_coef[:, None]
    return log_joint, rows


def sums(operands: Operands, x: AnyArray, rows: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * (1, y, y y') about each mean, (K, 1 + d + d^2) or (K, 1 + 2 d); ``resp`` is used up."""
    scores = operands.scores
    n_components, n_features = scores.center.shape
    dense = scores.whitener.ndim == 3
    table = np.empty((n_components, 1 + n_features + n_features ** (2 if dense else 1)))
    resp *= scale
    table[:, 0] = resp.sum(axis=1)
    y = np.empty_like(rows)
    for k, root in enumerate(np.sqrt(resp, out=resp)):
        np.subtract(rows, scores.center[k][:, None], out=y)
        y *= root
        table[k, 1 : 1 + n_features] = y @ root
        table[k, 1 + n_features :] = (y @ y.T).ravel() if dense else np.einsum("jb,jb->j", y, y)
    return table


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) or (K, d) moments in the table, and the means they are about."""
    center = operands.scores.center
    second = table[:, 1 + center.shape[1] :].reshape(operands.scores.whitener.shape)
    return table[:, 0], table[:, 1 : 1 + center.shape[1]], second, center
