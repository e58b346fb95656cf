"""Residuals from each component's own mean: slower, and right at any offset and any condition number.

    y = x - m_k,   z = U_k y,   log w_k N(x | k) = log_coef_k - z'z / 2
    sums of r, r y, r y y' about m_k         (r y^2 for diagonal covariances)

Nothing cancels: x - m_k is the only difference and it is taken first.  Where a covariance is so ill-conditioned that
its entries do not fix its small eigenvalues, the sums are those of z: they are near the identity, whatever S_k is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


@dataclass(frozen=True, eq=False)
class Operands:
    """The scores as they are, and whether sums are taken in the ``white`` coordinates z."""

    scores: Scores
    white: bool


COLLINEAR = 1e6
"""Variance of a feature, as a multiple of its variance given the others, above which sums are taken of z: with sums of
y ten digits would be left of the smaller one, and fewer beyond."""


def prepare(scores: Scores, origin: Array) -> Operands:
    """The origin plays no part."""
    if scores.whitener.ndim == 2:
        return Operands(scores, white=False)
    with np.errstate(over="ignore", invalid="ignore"):
        inflation = scores.spread**2 * np.einsum("kij,kij->kj", scores.whitener, scores.whitener)
    return Operands(scores, white=bool((inflation > COLLINEAR).any()))


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
    """Sums of scale * resp * (1, y, y y') about each mean, (K, 1 + d + d^2) or (K, 1 + 2 d), y being z where sums are
    ``white``; ``resp`` is used up."""
    scores = operands.scores
    n_components, n_features = scores.center.shape
    dense = scores.whitener.ndim == 3
    table = np.empty((n_components, 1 + n_features + n_features ** (2 if dense else 1)))
    resp *= scale
    table[:, 0] = resp.sum(axis=1)
    y = np.empty_like(rows)
    for k, root in enumerate(np.sqrt(resp, out=resp)):
        np.subtract(rows, scores.center[k][:, None], out=y)
        if operands.white:
            y = scores.whitener[k] @ y
        y *= root
        table[k, 1 : 1 + n_features] = y @ root
        table[k, 1 + n_features :] = (y @ y.T).ravel() if dense else np.einsum("jb,jb->j", y, y)
    return table


def moments(operands: Operands, table: Array) -> tuple[Array, ...]:
    """Mass (K,), first (K, d) and second (K, d, d) or (K, d) moments in the table, and the means they are about; then
    the second moments of z, if that is what was summed."""
    center = operands.scores.center
    mass, first = table[:, 0], table[:, 1 : 1 + center.shape[1]]
    second = table[:, 1 + center.shape[1] :].reshape(operands.scores.whitener.shape)
    if not operands.white:
        return mass, first, second, center
    factor = np.linalg.inv(operands.scores.whitener)
    colored = factor @ second @ factor.transpose(0, 2, 1)
    colored = 0.5 * (colored + colored.transpose(0, 2, 1))
    return mass, np.einsum("kij,kj->ki", factor, first), colored, center, second
