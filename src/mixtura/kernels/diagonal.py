"""Diagonal covariances as two matrix products around a softmax: the features kernel without its mixed products.

With y = x - o, a_k = m_k - o and s_k the standard deviations:

    T(y) = (1, y, y^2)          q = 1 + 2 d
    theta_k = (log_coef_k - |a_k / s_k|^2 / 2,  a_k / s_k^2,  -1 / (2 s_k^2))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.kernels import blockwise
from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


@dataclass(frozen=True, eq=False)
class Operands:
    """``theta`` (K, q) and ``origin`` (d,)."""

    theta: Array
    origin: Array


def width(n_components: int, n_features: int) -> int:
    """Numbers that a row takes in the temporaries of a block."""
    return n_components + 1 + 3 * n_features


def prepare(scores: Scores, origin: Array) -> Operands:
    """Theta for these scores about ``origin``."""
    white = (scores.center - origin) * scores.whitener
    constant = scores.log_coef - 0.5 * (white * white).sum(axis=1)
    quadratic = -0.5 * scores.whitener**2
    return Operands(np.hstack([constant[:, None], white * scores.whitener, quadratic]), origin)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), and T(Y) (q, b)."""
    n_features = x.shape[1]
    features = np.empty((1 + 2 * n_features, len(x)))
    features[0] = 1.0
    y = features[1 : 1 + n_features]
    np.subtract(x.T, operands.origin[:, None], out=y)
    np.multiply(y, y, out=features[1 + n_features :])
    return blockwise.joint(operands.theta, features), features


def sums(operands: Operands, x: AnyArray, features: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * T(y) over the rows, (K, q); ``resp`` (K, b) and ``features`` are used up."""
    return blockwise.scaled_sums(resp, features, scale)


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,), first and second moments (K, d) in the table, and the centers (K, d) they are about."""
    n_features = len(operands.origin)
    center = np.broadcast_to(operands.origin, (len(table), n_features))
    return table[:, 0], table[:, 1 : 1 + n_features], table[:, 1 + n_features :], center
