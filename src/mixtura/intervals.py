"""A Gaussian on an interval: how probable the interval is, and the first two moments within it.

    x ~ N(m, s^2)      P = P(l < x < u)      E[x - m | l < x < u]      E[(x - m)^2 | l < x < u]

Edges l, u (b,), means m and deviations s (K, 1); all that follows (K, b).  Seen from the mean, in deviations, and
mirrored where the interval reaches farther to the left, it begins at t, is h long and ends at f:

    t = max(l - m, m - u) / s,    h = (u - l) / s,    f = t + h,    t >= -h / 2

If the mean is outside, t >= 0, or the interval is short, h <= 2, what counts is its first part of length c, over which
the density falls by the factor exp -CUT, or all of it:

    c         = min(h, 2 CUT / (|t| + sqrt(t^2 + 2 CUT)))           h, or the root of |t| c + c^2 / 2 = CUT
    I_j       = int_0^1 v^j exp -(t c v + (c v)^2 / 2) dv           j = 0, 1, 2
    log P     = log c I_0 - t^2 / 2 - log(2 pi) / 2
    E[x - m]  = s t + s c I_1 / I_0
    Var[x]    = (s c)^2 (I_2 / I_0 - (I_1 / I_0)^2)

The integrals are sums over Gauss-Legendre nodes.  All of their terms are positive, and however far out or short the
interval is, the integrand is between a constant and exp -CUT v: nothing cancels, as differences of distribution
functions would.  Otherwise the mean is well inside, t < 0 and h > 2, and nothing cancels in

    log P     = log1p -(Phi(t) + Phi(-f))
    E[x - m]  = s e,    e = (phi(t) - phi(f)) / P
    Var[x]    = s^2 (1 + (t phi(t) - f phi(f)) / P - e^2)

Either way E[(x - m)^2] = E[x - m]^2 + Var[x].

Reference: G. J. McLachlan and P. N. Jones, "Fitting mixture models to grouped and truncated data via the EM algorithm",
Biometrics 44, 1988.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from mixtura.rows import Array

CUT = 44.0
"""Nats of fall beyond which nothing counts: of the second moment, exp -CUT CUT^2 / 2 is left out."""

RULES = ((0.75, 8), (8.0, 14), (np.inf, 28))
"""Up to which c (|t| + c) how many nodes will do: I_j and the variance are then exact to 1e-16, but for rounding."""

FARTHEST = 1e150
"""Deviations from the mean at most: the square is a number, and so is log P."""

NARROWEST = float(np.finfo(np.float64).tiny)
"""Deviations of length at least: so is its logarithm."""


def in_interval(lower: Array, upper: Array, mean: Array, deviation: Array) -> tuple[Array, Array, Array]:
    """log P(lower < x < upper), E[x | in] - mean, and E[(x - mean)^2 | in], for x ~ N(mean, deviation^2); broadcasting.

    Edges may be infinite; ``lower < upper``, ``mean`` is finite and ``deviation`` positive.  log P is finite and not
    above 0, the first moment between ``lower - mean`` and ``upper - mean`` as float64 has them, and the second not
    below the square of the first.  Moments are infinite only where float64 cannot hold them.

    P is right to 5e-14 of itself or log P to five units in its last place, whichever is more; the first moment to one
    unit in its last place and 1e-14 of the deviation or the width, whichever is less; the second to 1e-14 of itself.
    """
    with np.errstate(over="ignore", under="ignore"):
        above, below = np.subtract(lower, mean), np.subtract(mean, upper)
        edge = np.maximum(above, below)
        near = np.clip(edge / deviation, -FARTHEST, FARTHEST)
        far = np.minimum(-np.minimum(above, below) / deviation, FARTHEST)
        # Not far - near: of a short interval far from the mean, that is nothing but rounding.
        width = np.maximum(np.subtract(upper, lower) / deviation, NARROWEST)

        distance = np.abs(near)
        length = np.minimum(width, 2 * CUT / (distance + np.sqrt(distance * distance + 2 * CUT)))
        around = (near < 0) & (width > 2)
        needed = np.searchsorted([most for most, _ in RULES], length * (distance + length))

        found = np.full((3, *near.shape), np.nan)
        for index, nodes in enumerate(_NODES):
            chosen = (needed == index) & ~around
            if chosen.any():
                found[:, chosen] = _falling(near[chosen], length[chosen], nodes)
        found[:, around] = _around(near[around], far[around])

        unit = deviation * np.where(around, 1.0, length)
        first = np.where(around, 0.0, edge) + unit * found[1]
        first = np.clip(np.where(above >= below, first, -first), above, -below)
        return found[0], first, first * first + unit * unit * found[2]


def _falling(near: Array, length: Array, nodes: Array) -> Array:
    """log P, and mean and variance of v (3, n), by ``nodes`` (q, 2)."""
    slope, bend = length * near, 0.5 * length * length
    total, first, second = np.zeros((3, len(near)))
    for v, weight in nodes:
        part = weight * np.exp(-v * (slope + v * bend))
        total += part
        part *= v
        first += part
        part *= v
        second += part
    first /= total
    second /= total
    return np.stack([np.log(length * total) - 0.5 * near * near - _LOG_ROOT, first, second - first * first])


def _around(near: Array, far: Array) -> Array:
    """log P, and mean and variance in deviations (3, n), of intervals with the mean well inside."""
    log_p = np.log1p(0.0 - ndtr(near) - ndtr(-far))
    at_near, at_far = (np.exp(-0.5 * t * t - _LOG_ROOT - log_p) for t in (near, far))
    first = at_near - at_far
    return np.stack([log_p, first, 1.0 + near * at_near - far * at_far - first * first])


def _gauss_legendre(n: int) -> Array:
    """Nodes in (0, 1) and their weights, (n, 2)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return np.stack([0.5 + 0.5 * nodes, 0.5 * weights], axis=1)


_LOG_ROOT = 0.5 * float(np.log(2 * np.pi))
_NODES = tuple(_gauss_legendre(n) for _, n in RULES)
