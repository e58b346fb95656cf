"""EM for many small problems side by side: m problems, S mixtures of K components each, all in one call.

With T(z) = (1, z, {z_i z_j}, i <= j) of q entries, a mixture is known by the sums that its M-step needs, the rows of a
table (K, q), and a pass of EM is two matrix products around a softmax, for all problems at once:

    M:  table (m, S, K, q) -> theta (m, S, K, q)      theta . T(z) = log w_k N(z | k)
    E:  theta @ features (m, q, n) -> softmax over k -> @ features' -> table, log-likelihoods (m, S)

z are the rows of a problem about their own mean, in the coordinates that its family admits: white where any linear map
leaves the family as it is, in standard deviations where only scalings do, in one unit where only rotations do.  Of
problems with fewer rows than there are columns the last columns are zero, the constant 1 among them: they add nothing
to a table, and log K to a log-likelihood, from which it is taken off.

Runs go on in the table, by the steps of SQUAREM, three passes to a cycle,

    S1 = EM(S0)   S2 = EM(S1)   r = S1 - S0   v = S2 - S1 - r   S' = S0 + 2 a r + a^2 v,  a = |r| / |v|

and S' is kept where its log-likelihood is not below that of S1's model.  All that is decided of a problem is decided
by its own numbers: it ends with the same bits, whatever stands beside it.  A mixture whose components become so narrow,
lie so far out or have so few rows that the expanded square has no answer for it is unsound, and is dropped.

References: R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any
EM algorithm", Scandinavian Journal of Statistics 35, 2008; J. H. Goodnight, "A tutorial on the SWEEP operator", The
American Statistician 33, 1979.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.cohort import ASTRAY, ILL_PLACED, LONGEST, ROUNDED, UNDERFLOW, n_features_of
from mixtura.degeneracy import EMPTY_MASS
from mixtura.engine import Engine, Serial
from mixtura.families import Family
from mixtura.rows import Array
from mixtura.validation import SQUARABLE

Bools = NDArray[np.bool_]
Index = NDArray[np.intp]

BLOCK, SHARED = 1 << 16, 1 << 18
"""Densities that are worked on at a time, so that they stay in the cache, and that are worth another thread."""

COARSE = 1e-9
"""Standard deviation of a feature, as a part of its mean, under which rounding has its say: resolution, a floor."""

FLAT = 1e-6
"""Smallest eigenvalue of the correlations, under which columns all but determine each other."""

EXTRA = 30
"""Cycles of a run that has converged, at most, in which it comes nearer to its end."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Problems of one family: ``features`` T(z) (m, q, n), of which the first ``n_rows`` (m,) columns count; their rows
    are x = ``center`` + ``root`` z, of shapes (m, d) and (m, d, d)."""

    family: Family
    engine: Engine
    features: Array
    n_rows: Array
    center: Array
    root: Array

    @property
    def n_features(self) -> int:
        return int(self.center.shape[1])

    @property
    def z(self) -> Array:
        """The rows (m, d, n)."""
        return self.features[:, 1 : 1 + self.n_features]

    def only(self, which: Index | slice) -> Batch:
        """Some of the problems."""
        return replace(
            self,
            features=self.features[which],
            n_rows=self.n_rows[which],
            center=self.center[which],
            root=self.root[which],
        )


class Reached(NamedTuple):
    """Where runs have come to: tables (m, K, q), log-likelihoods (m,) of the models before them, -inf where unsound,
    the passes (m,) they took, and whether nothing is left to gain."""

    table: Array
    loglik: Array
    passes: Index
    settled: Bools


# rows -----------------------------------------------------------------------------------------------------------------


@cache
def pairs(n_features: int) -> tuple[Index, Index]:
    """The features i <= j of each product: a pass asks for them several times."""
    return np.triu_indices(n_features)


def features_of(z: Array, there: Array) -> Array:
    """T(z) (m, q, n) of rows (m, d, n), ``there`` (m, n) being one where there is a row."""
    i, j = pairs(z.shape[1])
    return np.concatenate([there[:, None], z, z[:, i] * z[:, j]], axis=1)


def batch_of(family: Family, engine: Engine, x: Array, n_rows: Index) -> tuple[Batch, Bools]:
    """Rows (m, n, d), zero from ``n_rows`` (m,) on, and which problems (m,) have a place beside others.

    Columns without spread, that determine each other, or that lie far out have none.
    """
    m, n, d = x.shape
    count = n_rows.astype(np.float64)
    there = (np.arange(n) < n_rows[:, None]).astype(np.float64)
    identity = np.eye(d)
    with np.errstate(all="ignore"):
        center = x.sum(axis=1) / count[:, None]
        y = np.ascontiguousarray(((x - center[:, None]) * there[:, :, None]).transpose(0, 2, 1))
        covariance = y @ y.transpose(0, 2, 1) / count[:, None, None]
        variances = np.diagonal(covariance, axis1=1, axis2=2)
        unit = np.sqrt(variances)
        known = (variances > SQUARABLE[0]) & (variances < SQUARABLE[1]) & (unit > COARSE * np.abs(center))
        placed = known.all(axis=1)
        if family.frame == "rotation":
            unit = np.repeat(unit.max(axis=1, keepdims=True), d, axis=1)
        unit[~placed] = 1.0
        shape = np.broadcast_to(identity, (m, d, d))
        if family.frame == "affine":
            correlation = np.where(placed[:, None, None], covariance / (unit[:, :, None] * unit[:, None, :]), identity)
            placed &= np.linalg.eigvalsh(correlation)[:, 0] > FLAT
            shape = np.linalg.cholesky(np.where(placed[:, None, None], correlation, identity))
        placed &= ~_astray(np.where(there[:, None] > 0, y, np.inf), unit, n_rows)
        y[~placed] = 0.0
        z = np.linalg.inv(shape) @ (y / unit[:, :, None])
    return Batch(family, engine, features_of(z, there), count, center, shape * unit[:, :, None]), placed


def _astray(y: Array, unit: Array, n_rows: Index) -> Bools:
    """Whether rows of y (m, d, n), infinite where there is none, are so far out that the others are but a point beside
    them."""
    middle = (n_rows[:, None, None] - 1) // 2
    away = np.abs(y - np.take_along_axis(np.sort(y, axis=2), middle, axis=2))
    bulk = np.take_along_axis(np.sort(away, axis=2), middle, axis=2)[:, :, 0]
    return np.asarray(((unit > ASTRAY * bulk) & (bulk > 0)).any(axis=1))


def parts(n_problems: int, each: int, size: int) -> list[slice]:
    """Problems of ``each`` so many numbers, cut into parts of about ``size`` numbers."""
    step = max(1, size // each)
    return [slice(begin, begin + step) for begin in range(0, n_problems, step)]


def _mapped(batch: Batch, each: int, function: Callable[[slice], tuple[Array, Array]]) -> tuple[Array, Array]:
    """Two arrays (m, ...) from the function of parts of the problems, shared out to the cores."""
    shared = parts(len(batch.n_rows), each, SHARED)
    engine = batch.engine if len(shared) > 1 else Serial()
    first, second = zip(*engine.map(function, shared), strict=True)
    return np.concatenate(first), np.concatenate(second)


# M-step ---------------------------------------------------------------------------------------------------------------


def moments(table: Array) -> tuple[Array, Array, Array]:
    """Mass (...,), means (..., d) and scatter about them (..., pairs i <= j) of tables (..., q)."""
    d = n_features_of(table.reshape(-1, table.shape[-1]))
    i, j = pairs(d)
    mass, first = table[..., 0], table[..., 1 : 1 + d]
    mean = first / np.where(mass == 0, 1.0, mass)[..., None]
    return mass, mean, table[..., 1 + d :] - first[..., i] * mean[..., j]


def covariances(family: Family, mass: Array, scatter: Array) -> Array:
    """The M-step of covariances, (..., K or 1, d, d), from scatter (..., K, pairs): of each component, or of all."""
    if family.pooled:
        mass, scatter = mass.sum(axis=-1, keepdims=True), scatter.sum(axis=-2, keepdims=True)
    entries = scatter / mass[..., None]
    d = round((np.sqrt(8 * entries.shape[-1] + 1) - 1) / 2)
    i, j = pairs(d)
    matrices = np.zeros((*entries.shape[:-1], d, d))
    if not family.diagonal:
        matrices[..., i, j] = matrices[..., j, i] = entries
        return matrices
    variances = entries[..., i == j]
    matrices[..., range(d), range(d)] = variances.mean(axis=-1, keepdims=True) if family.spherical else variances
    return matrices


def swept(matrices: Array) -> tuple[Array, Array, Array]:
    """Inverses (..., d, d), log determinants and smallest pivots (...,) of symmetric matrices, positive if they are.

    A pivot is what a feature's variance has left when the features before it are known.
    """
    a = matrices.copy()
    pivots = np.empty(a.shape[:-1])
    for i in range(a.shape[-1]):
        pivot = pivots[..., i] = a[..., i, i]
        row = a[..., i, :] / pivot[..., None]
        a -= a[..., :, i, None] * row[..., None, :]
        a[..., i, :] = a[..., :, i] = row
        a[..., i, i] = -1.0 / pivots[..., i]
    return -a, np.log(pivots).sum(axis=-1), pivots.min(axis=-1)


@np.errstate(all="ignore")
def m_step(batch: Batch, table: Array) -> tuple[Array, Bools]:
    """Theta (m, S, K, q) of tables, and which mixtures (m, S) are sound; theta is zero where they are not."""
    d = batch.n_features
    i, j = pairs(d)
    mass, mean, scatter = moments(table)
    precision, log_det, pivot = swept(covariances(batch.family, mass, scatter))
    first = (precision @ mean[..., None])[..., 0]
    square = (first * mean).sum(axis=-1)
    weight = mass / batch.n_rows[:, None, None]
    constant = np.log(weight) - 0.5 * (square + log_det + d * np.log(2 * np.pi))
    second = np.broadcast_to(precision[..., i, j] * np.where(i == j, -0.5, -1.0), (*mass.shape, len(i)))
    narrow = square + np.trace(precision, axis1=-2, axis2=-1)
    sound = ((mass > 0) & (pivot > 0) & (narrow < ILL_PLACED)).all(axis=-1)
    theta = np.concatenate([constant[..., None], first, second], axis=-1)
    theta[~sound] = 0.0
    return theta, sound


def healthy(batch: Batch, table: Array) -> Bools:
    """Whether each component of tables (..., K, q) has the rows that a covariance of its own takes, or any."""
    least = EMPTY_MASS if batch.family.pooled else batch.family.least_rows(batch.n_features)
    return np.asarray(table[..., 0].min(axis=-1) >= least)


# E-step ---------------------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def e_step(batch: Batch, theta: Array) -> tuple[Array, Array]:
    """Tables (m, S, K, q) and log-likelihoods (m, S), in coordinates z."""
    (m, s, k, q), n = theta.shape, batch.features.shape[2]
    table, loglik = np.empty_like(theta), np.empty((m, s))
    for part in parts(m, s * k * n, BLOCK):
        own, features = theta[part], batch.features[part]
        density = (own.reshape(-1, s * k, q) @ features).reshape(-1, s, k, n)
        np.exp(density, out=density)
        total = density.sum(axis=2)
        log_density = np.log(total)
        far = np.nonzero(~(total.min(axis=2) > UNDERFLOW))
        if len(far[0]):  # rows far out of some mixture: those again, each row by its own maximum
            again = own[far] @ features[far[0]]
            top = again.max(axis=1)
            density[far] = np.exp(again - top[:, None])
            total[far] = density[far].sum(axis=1)
            log_density[far] = np.log(total[far]) + top
        loglik[part] = log_density.sum(axis=2) - ((n - batch.n_rows[part]) * np.log(k))[:, None]
        density *= (1.0 / total)[:, :, None]
        table[part] = (density.reshape(-1, s * k, n) @ features.transpose(0, 2, 1)).reshape(-1, s, k, q)
    return table, loglik


def passed(batch: Batch, table: Array) -> tuple[Array, Array]:
    """Tables (m, S, K, q) after a pass of EM, and the log-likelihoods (m, S) of the models on the way; of what is
    unsound they are no numbers and -inf, and stay so."""

    def of_part(part: slice) -> tuple[Array, Array]:
        some = batch.only(part)
        theta, sound = m_step(some, table[part])
        after, loglik = e_step(some, theta)
        sound &= np.isfinite(loglik)
        after[~sound], loglik[~sound] = np.nan, -np.inf
        return after, loglik

    return _mapped(batch, table[0, :, :, 0].size * batch.features.shape[2], of_part)


# runs -----------------------------------------------------------------------------------------------------------------


def updated(batch: Batch, table: Array, updates: int) -> tuple[Array, Array, Bools]:
    """Tables (m, S, K, q) after so many passes of EM, the log-likelihoods (m, S) of the models before them, and the
    problems (m,) in which components became too narrow, though they have rows."""
    narrow = np.zeros(len(table), dtype=bool)
    for _ in range(updates):
        with_rows = healthy(batch, table)
        table, loglik = passed(batch, table)
        narrow |= (with_rows & np.isneginf(loglik)).any(axis=1)
    return table, loglik, narrow


def cycled(batch: Batch, table: Array) -> tuple[Array, Array, Array, Array]:
    """Tables (m, S, K, q) after a cycle of SQUAREM; log-likelihoods (m, S) of the models before them, -inf where one
    is unsound, what the cycle has gained, and what is left to gain as far as the steps of EM tell."""
    first, loglik0 = passed(batch, table)
    second, loglik1 = passed(batch, first)
    with np.errstate(all="ignore"):
        r, after = first - table, second - first
        v = after - r
        length, bend, shorter = (np.sqrt((one * one).sum(axis=(2, 3))) for one in (r, v, after))
        step = np.nan_to_num(np.clip(length / bend, 1.0, LONGEST), nan=1.0)[..., None, None]
        part = np.nan_to_num(shorter / length)
        tried = table + 2 * step * r + step**2 * v
        third, loglik2 = passed(batch, tried)
        kept = loglik2 >= loglik1
        table, loglik = np.where(kept[..., None, None], third, second), np.where(kept, loglik2, loglik1)
        gain = loglik - loglik0
        left = np.where(part < 1, (loglik1 - loglik0) * np.maximum(part**2 / (1 - part**2), 1.0), np.inf)
        left = np.where(gain < ROUNDED * np.abs(loglik), 0.0, np.maximum(left, loglik - loglik1))
    return table, loglik, gain, left


def climbed(batch: Batch, table: Array, *, tol: float, cycles: int, beyond: float = 1.0) -> Reached:
    """Runs from tables (m, K, q) until less than ``tol`` nats are left to gain, or for so many cycles.

    They go on until the part ``beyond`` of ``tol`` is left, for EXTRA cycles at most, and leave when they are done.
    """
    m = len(table)
    end = Reached(table.copy(), np.zeros(m), np.zeros(m, np.intp), np.zeros(m, bool))
    active, table, extra = np.arange(m), table[:, None], np.zeros(m, np.intp)
    for _ in range(cycles):
        if len(active) == 0:
            break
        table, loglik, _, left = cycled(batch, table)
        loglik, left = loglik[:, 0], left[:, 0]
        sound = np.isfinite(loglik)
        end.table[active[sound]] = table[sound, 0]
        end.loglik[active] = loglik
        end.passes[active] += 3
        end.settled[active] = sound & (left < tol)
        extra[active] += end.settled[active]
        going = np.flatnonzero(sound & (left >= beyond * tol) & (extra[active] <= EXTRA))
        active, table, batch = active[going], table[going], batch.only(going)
    end.loglik[~healthy(batch, end.table)] = -np.inf
    return end
