"""One covariance for all components: what is quadratic in a row is the same for all of them, and need not be computed.

With S the covariance, P = S^-1, o the origin, y = x - o and a_k = m_k - o:

    log w_k N(x | k) = theta_k . (y, 1) - y'P y / 2,    theta_k = (P a_k,  log_coef_k - a_k' P a_k / 2)
    E:  log_joint  = Theta @ (Y, 1)'       (K, d + 1) @ (d + 1, b), less y'P y / 2
    M:  table      = R @ (Y, 1)            (K, b) @ (b, d + 1)
    sum_n w_n y_n' P y_n = tr(P T),        T = sum_n w_n y_n y_n', the same in every pass

A pass costs 4 n K d flops, whatever the covariance; the scatter of all components together is T less that of their
means.  Log joints lack what the rows have in common, so each row needs its own maximum, and only their sum over all
rows has a meaning: passes use this kernel, evaluations do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.kernels import blockwise
from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


@dataclass(frozen=True, eq=False)
class Operands:
    """``theta`` (K, d + 1), ``origin`` (d,), ``total`` T (d, d) or its diagonal (d,), and ``common`` -tr(P T) / 2."""

    theta: Array
    origin: Array
    total: Array
    common: float


def width(n_components: int, n_features: int) -> int:
    """Numbers that a row takes in the temporaries of a block."""
    return n_components + n_features + 1


def prepare(scores: Scores, origin: Array, total: Array) -> Operands:
    """Theta for these scores, whose whiteners are all the same, and second moments ``total`` about ``origin``."""
    offset, whitener = scores.center - origin, scores.whitener[0]
    if whitener.ndim == 1:
        white = offset * whitener
        linear, common = white * whitener, -0.5 * float(whitener**2 @ total)
    else:
        white = offset @ whitener.T
        linear, common = white @ whitener, -0.5 * float(np.einsum("ij,ij->", whitener @ total, whitener))
    constant = scores.log_coef - 0.5 * (white * white).sum(axis=1)
    return Operands(np.hstack([linear, constant[:, None]]), origin, total, common)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), less what they have in common, and (Y, 1)' (d + 1, b)."""
    n_rows, n_features = x.shape
    features = np.empty((n_features + 1, n_rows))
    np.subtract(x.T, operands.origin[:, None], out=features[:n_features])
    features[n_features] = 1.0
    return blockwise.joint(operands.theta, features), features


def sums(operands: Operands, x: AnyArray, features: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * (y, 1) over the rows, (K, d + 1); ``resp`` (K, b) and ``features`` are used up."""
    return blockwise.scaled_sums(resp, features, scale)


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,) and first moments (K, d) in the table, second moments (1, d, d) or (1, d) of all components together,
    and the centers (K, d) they are about."""
    n_features = len(operands.origin)
    center = np.broadcast_to(operands.origin, (len(table), n_features))
    return table[:, n_features], table[:, :n_features], operands.total[None], center
