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
EM algorithm", Scandinavian Journal of Statistics 35, 2008; D. Arthur and S. Vassilvitskii, "k-means++: the advantages
of careful seeding", SODA 2007; C. Biernacki, G. Celeux and G. Govaert, "Choosing starting values for the EM algorithm",
Computational Statistics & Data Analysis 41, 2003 (short runs); J. H. Goodnight, "A tutorial on the SWEEP operator", The
American Statistician 33, 1979.  Moves are those of moves.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura import moves
from mixtura.cohort import ASTRAY, ILL_PLACED, LONGEST, PATIENCE, ROUNDED, UNDERFLOW, n_features_of
from mixtura.degeneracy import EMPTY_MASS
from mixtura.em import LEFT
from mixtura.engine import Engine, Serial
from mixtura.families import Family
from mixtura.initialize import SAME, SHORT_RUNS, SIEVE, SMOOTHING, TIED
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

ROUGH = 1e-2
"""Nats left to gain up to which runs are followed while it is open which of them is the best."""

LONG = 100
"""Cycles for which they are followed then, at most."""

BEYOND = 1e-4
"""Part of what may be left to gain to which runs go on: then an answer is the same in any units."""

EXTRA = 30
"""Cycles of a run that has converged, at most, in which it comes nearer to its end."""

CYCLES = 10
"""Cycles that a rival has to show that it leads higher."""

RIVALS = 12
"""Rivals of a round, at most."""

ROUNDS = 10
"""Rounds of moves, at most."""

CLEAR = 2 * ROUGH
"""Nats by which another optimum has to be better to be worth the change."""


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


class Fitted(NamedTuple):
    """Mixtures in the units of the rows: weights (m, K), means (m, K, d), covariances (m, K, d, d), log-likelihoods
    (m,), -inf where there is no sound one; passes and whether they are settled, as in ``Reached``."""

    weights: Array
    means: Array
    covariances: Array
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


def _parts(n_problems: int, each: int, size: int) -> list[slice]:
    """Problems of ``each`` so many numbers, cut into parts of about ``size`` numbers."""
    step = max(1, size // each)
    return [slice(begin, begin + step) for begin in range(0, n_problems, step)]


def _mapped(batch: Batch, each: int, function: Callable[[slice], tuple[Array, Array]]) -> tuple[Array, Array]:
    """Two arrays (m, ...) from the function of parts of the problems, shared out to the cores."""
    parts = _parts(len(batch.n_rows), each, SHARED)
    engine = batch.engine if len(parts) > 1 else Serial()
    first, second = zip(*engine.map(function, parts), strict=True)
    return np.concatenate(first), np.concatenate(second)


# starts ---------------------------------------------------------------------------------------------------------------


def seeded(batch: Batch, k: int, chance: Array) -> Array:
    """The tables (m, S, K, q) of k-means++, smoothed; ``chance`` (S, K) are uniform numbers, one for each seed.

    A row is drawn with a probability that goes by its squared distance from the nearest seed so far.
    """
    (m, q, n), s = batch.features.shape, len(chance)
    table = np.empty((m, s, k, q))
    for part in _parts(m, s * k * n, BLOCK):
        some = batch.only(part)
        z, there, last = some.z, some.features[:, :1], some.n_rows[:, None].astype(np.intp) - 1
        nearest = np.repeat(there, s, axis=1)
        label = np.zeros(nearest.shape, dtype=np.intp)
        for one in range(k):
            reached = np.cumsum(nearest, axis=2)
            aim = chance[:, one] * reached[:, :, -1]
            pick = np.minimum((reached <= aim[:, :, None]).sum(axis=2), last)
            seed = np.take_along_axis(z, pick[:, None, :], axis=2)
            square = there * sum((z[:, j, None, :] - seed[:, j, :, None]) ** 2 for j in range(z.shape[1]))
            closer = square < nearest * (1 - TIED) if one else np.ones(square.shape, dtype=bool)
            label[closer] = one
            nearest = np.where(closer, square, nearest)
        resp = (label[:, :, None] == np.arange(k)[:, None]).astype(np.float64)
        sums = resp.reshape(len(z), s * k, n) @ some.features.transpose(0, 2, 1)
        table[part] = smoothed(sums.reshape(len(z), s, k, q))
    return table


def smoothed(table: Array) -> Array:
    """Tables with pooled scatter in each component, as in ``initialize.smoothed``; their masses sum to the same."""
    mass, mean, scatter = moments(table)
    i, j = pairs(mean.shape[-1])
    total = mass.sum(axis=-1, keepdims=True)
    added = SMOOTHING * total / mass.shape[-1]
    scatter = scatter + (added / total)[..., None] * scatter.sum(axis=-2, keepdims=True)
    mass = (mass + added)[..., None]
    made = np.concatenate([mass, mass * mean, scatter + mass * mean[..., i] * mean[..., j]], axis=-1)
    return np.asarray(made / (1 + SMOOTHING))


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
    for part in _parts(m, s * k * n, BLOCK):
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


def updated(batch: Batch, table: Array, updates: int) -> tuple[Array, Array]:
    """Tables (m, S, K, q) after so many passes of EM, and the log-likelihoods (m, S) of the models before them."""
    for _ in range(updates):
        table, loglik = passed(batch, table)
    return table, loglik


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


def best_first(batch: Batch, table: Array, loglik: Array) -> Index:
    """The order (m, S) of mixtures with tables (m, S, K, q), the sound ones first, of equal ones the first."""
    rank = np.where(healthy(batch, table), np.floor(loglik / (SAME * batch.n_rows[:, None])), -np.inf)
    return np.argsort(-rank, axis=1, kind="stable")


def taken(values: Array, order: Index) -> Array:
    """Values (m, S, ...) in the order (m, S')."""
    return np.asarray(values[np.arange(len(values))[:, None], order])


def rivals(batch: Batch, table: Array) -> Array:
    """Tables (m, S, K, q) to which moves lead from tables (m, K, q): two components merged, or one taken out, and
    another one split."""
    m, k, q = table.shape
    made = [moves.split(moves.merged(table, moves.LOOKS), moves.LOOKS)]
    if k > 2:  # of two, taking one out is merging them
        rest = np.array([[j for j in range(k) if j != gone] for gone in range(k)])
        without, loglik = e_step(batch, m_step(batch, table[:, None])[0][:, 0][:, rest])
        least = np.argsort(-loglik, axis=1, kind="stable")[:, : moves.LOOKS]
        made.append(moves.split(taken(without, least).reshape(-1, k - 1, q), moves.LOOKS))
    return np.concatenate([one.reshape(m, -1, k, q) for one in made], axis=1)


def searched(batch: Batch, start: Array) -> Array:
    """The tables (m, K, q) from which runs lead to the best optimum that was found from starts (m, S, K, q).

    Short runs from several starts, the best of them carried on, and then rounds of rivals: the runs behind it, and what
    moves lead to; where none of a round leads higher, that is the end.
    """
    table, done = start, 0
    for keep, updates in SIEVE:
        table, loglik = updated(batch, table[:, :keep], updates - done)
        table, done = taken(table, best_first(batch, table, loglik)), updates
    best = climbed(batch, table[:, 0], tol=ROUGH, cycles=LONG)
    if start.shape[2] == 1:
        return best.table
    others, table, known = table[:, 1 : SIEVE[-1][0]], best.table, best.loglik
    table[np.isneginf(known)] = start[np.isneginf(known), 0]  # moves from there, as well as from anywhere
    going = np.arange(len(table))
    for _ in range(ROUNDS):
        some = batch.only(going)
        tried = np.concatenate([others, rivals(some, table[going])], axis=1)
        hopeful, tried = risen(some, tried, known[going] + CLEAR)
        reached = climbed(some.only(hopeful), tried, tol=ROUGH, cycles=LONG)
        better = reached.loglik > known[going[hopeful]] + CLEAR
        going = going[hopeful[better]]
        if len(going) == 0:
            break
        table[going], known[going] = reached.table[better], reached.loglik[better]
        others = np.empty((len(going), 0, *table.shape[1:]))
    return table


def risen(batch: Batch, table: Array, known: Array) -> tuple[Index, Array]:
    """The problems in which one of the rivals (m, S, K, q) may come over the log-likelihoods ``known`` (m,), as far as
    its gains tell, and its table (m', K, q)."""
    table, loglik = updated(batch, table, 1)
    table = taken(table, best_first(batch, table, loglik)[:, :RIVALS])
    active = np.arange(len(table))
    for _ in range(CYCLES):
        if len(active) == 0:
            break
        table, loglik, gain, _ = cycled(batch, table)
        with np.errstate(invalid="ignore"):
            hope = healthy(batch, table) & (loglik + PATIENCE * gain > known[:, None])
        going = np.flatnonzero(hope.any(axis=1))
        active, table, known, batch = active[going], table[going], known[going], batch.only(going)
        loglik = np.where(hope, loglik, -np.inf)[going]
    return active, taken(table, best_first(batch, table, loglik)[:, :1])[:, 0]


def carried(batch: Batch, start: Array, more: Array, *, tol: float, cycles: int) -> Reached:
    """The end of the best run from starts (m, S, K, q); where that is unsound, the best end of starts by k-means++ with
    ``more`` chances (S', K)."""
    end = climbed(batch, searched(batch, start), tol=tol, cycles=cycles, beyond=BEYOND)
    lost = np.flatnonzero(np.isneginf(end.loglik))
    if len(lost):
        some, s, k = batch.only(lost), *more.shape
        tables = np.concatenate(seeded(some, k, more))
        ends = climbed(batch.only(np.repeat(lost, s)), tables, tol=tol, cycles=min(cycles, LONG))
        best = ends.loglik.reshape(-1, s).argmax(axis=1) + s * np.arange(len(lost))
        again = climbed(some, ends.table[best], tol=tol, cycles=cycles, beyond=BEYOND)
        for old, new in zip(end, again, strict=True):
            old[lost] = new
    return end


def fitted(batch: Batch, chance: Array, *, tol: float, max_iter: int) -> Fitted:
    """The fits of all problems: at most ``max_iter`` updates, of which the last is one of EM, from the best start on.

    ``chance`` (S, K) are uniform numbers, one for each seed of a start; those after the first SHORT_RUNS are for
    problems in which the first came to nothing.
    """
    k = chance.shape[1]
    start = seeded(batch, k, chance[: SHORT_RUNS if k > 1 else 1])
    end = carried(batch, start, chance[SHORT_RUNS:], tol=LEFT * tol, cycles=(max_iter - 1) // 3)
    mass, mean, scatter = moments(end.table)
    with np.errstate(all="ignore"):
        theta, sound = m_step(batch, end.table[:, None])
        own = covariances(batch.family, mass, scatter)
        root = batch.root[:, None]
        own = root @ own @ root.transpose(0, 1, 3, 2)
        own = np.broadcast_to(0.5 * (own + own.transpose(0, 1, 3, 2)), (*mass.shape, *own.shape[2:]))
        loglik = e_step(batch, theta)[1][:, 0]
        loglik -= batch.n_rows * np.log(np.diagonal(batch.root, axis1=1, axis2=2)).sum(axis=1)
        means = batch.center[:, None] + (root @ mean[..., None])[..., 0]
    sound = sound[:, 0] & np.isfinite(end.loglik)
    weights = mass / mass.sum(axis=1, keepdims=True)
    return Fitted(weights, means, own, np.where(sound, loglik, -np.inf), end.passes + 1, end.settled)
