"""Residuals from each component's own mean: slower, and right at any offset and any condition number.

    y = x - m_k,   z = U_k y,   log w_k N(x | k) = log_coef_k - z'z / 2
    sums of r, r y, r y y' about m_k         (r y^2 for diagonal covariances)

Nothing cancels: x - m_k is the only difference and it is taken first.  Where a covariance is so ill-conditioned that
its entries do not fix its small eigenvalues, sums of r z z' are taken too: they are near the identity, whatever S_k is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


@dataclass(frozen=True, eq=False)
class Operands:
    """The scores as they are, and whether sums are taken in the ``white`` coordinates z as well."""

    scores: Scores
    white: bool


COLLINEAR = 1e6
"""Variance of a feature, as a multiple of its variance given the others, above which z is summed too: sums of y
leave ten digits of the smaller one there, and fewer beyond."""


TOGETHER = 1 << 20
"""Bytes of y of components that are worked on together: of many, blocks have so few rows that calls are what costs."""


def width(n_components: int, n_features: int) -> int:
    """Numbers that a row takes in the temporaries of a block."""
    return n_components + 2 * n_features


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
    size = min(max(TOGETHER // (8 * max(rows.size, 1)), 1), len(log_joint))
    buffer = np.empty((size, *rows.shape))
    for begin in range(0, len(log_joint), size):
        those = slice(begin, begin + size)
        whitener, y = scores.whitener[those], buffer[: len(log_joint[those])]
        np.subtract(rows, scores.center[those, :, None], out=y)
        z = whitener @ y if whitener.ndim == 3 else np.multiply(y, whitener[:, :, None], out=y)
        with np.errstate(over="ignore"):  # a row 1e154 deviations away has log density -inf, which is right
            np.multiply(z, z, out=z)
            z.sum(axis=1, out=log_joint[those])
    log_joint *= -0.5
    log_joint += scores.log_coef[:, None]
    return log_joint, rows


def sums(operands: Operands, x: AnyArray, rows: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * (1, y, y y', z z' if white) about each mean, (K, 1 + d + d^2) or more, or (K, 1 + 2 d);
    ``resp`` is used up."""
    scores = operands.scores
    n_components, n_features = scores.center.shape
    dense = scores.whitener.ndim == 3
    size = n_features ** (2 if dense else 1)
    table = np.empty((n_components, 1 + n_features + (2 if operands.white else 1) * size))
    resp *= scale
    table[:, 0] = resp.sum(axis=1)
    y = np.empty_like(rows)
    for k, root in enumerate(np.sqrt(resp, out=resp)):
        np.subtract(rows, scores.center[k][:, None], out=y)
        y *= root
        table[k, 1 : 1 + n_features] = y @ root
        table[k, 1 + n_features :][:size] = (y @ y.T).ravel() if dense else np.einsum("jb,jb->j", y, y)
        if operands.white:
            z = scores.whitener[k] @ y
            table[k, -size:] = (z @ z.T).ravel()
    return table


def moments(operands: Operands, table: Array) -> tuple[Array, ...]:
    """Mass (K,), first (K, d) and second (K, d, d) or (K, d) moments in the table, the means they are about, and second
    moments of z (K, d, d) if they were summed."""
    center, shape = operands.scores.center, operands.scores.whitener.shape
    mass, first, second = np.split(table, [1, 1 + center.shape[1]], axis=1)
    seconds = np.split(second, 2, axis=1) if operands.white else [second]
    return mass[:, 0], first, seconds[0].reshape(shape), center, *(one.reshape(shape) for one in seconds[1:])
