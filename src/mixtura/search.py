"""Which optimum a run leads to: starts, short runs and moves for many problems side by side; the run to the end.

The way of start.py and moves.py, in the tables of batch.py: k-means++ starts, short runs that thin them out, the best
carried on; then rounds in which two components are merged, or one is taken out, and another one is split, until nothing
leads higher.  Chances are uniform numbers that all problems share.

References: D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; C. Biernacki, G.
Celeux and G. Govaert, "Choosing starting values for the EM algorithm for getting the highest likelihood in multivariate
Gaussian mixture models", Computational Statistics & Data Analysis 41, 2003 (short runs); N. Ueda, R. Nakano, Z.
Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models", Neural Computation 12, 2000 (moves).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura import moves
from mixtura.batch import (
    BLOCK,
    Batch,
    Bools,
    Index,
    Reached,
    climbed,
    covariances,
    cycled,
    e_step,
    healthy,
    m_step,
    moments,
    pairs,
    parts,
    passed,
    updated,
)
from mixtura.cohort import PATIENCE
from mixtura.em import LEFT
from mixtura.initialize import SAME, SHORT_RUNS, SIEVE, SMOOTHING, TIED
from mixtura.rows import Array

ROUGH = 1e-2
"""Nats left to gain up to which runs are followed while it is open which of them is the best."""

LONG = 100
"""Cycles for which they are followed then, at most."""

CYCLES = 10
"""Cycles that a rival has to show that it leads higher."""

RIVALS = 12
"""Rivals of a round, at most."""

ROUNDS = 10
"""Rounds of moves, at most."""

CLEAR = 2 * ROUGH
"""Nats by which another optimum has to be better to be worth the change."""

BEYOND = 1e-4
"""Part of what may be left to gain to which runs go on: then an answer is the same in any units."""

RESCUED = 1 << 13
"""Runs that are followed together where none of the first starts led to a sound end."""


class Fitted(NamedTuple):
    """Mixtures in the units of the rows: weights (m, K), means (m, K, d), covariances (m, K, d, d), log-likelihoods
    (m,), -inf where there is no sound one; passes and whether they are settled, as in ``Reached``."""

    weights: Array
    means: Array
    covariances: Array
    loglik: Array
    passes: Index
    settled: Bools


# starts ---------------------------------------------------------------------------------------------------------------


def seeded(batch: Batch, k: int, chance: Array) -> Array:
    """The tables (m, S, K, q) of k-means++, smoothed; ``chance`` (S, K) are uniform numbers, one for each seed.

    A row is drawn with a probability that goes by its squared distance from the nearest seed so far.
    """
    (m, q, n), s = batch.features.shape, len(chance)
    table = np.empty((m, s, k, q))
    for part in parts(m, s * k * n, BLOCK):
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


# the search -----------------------------------------------------------------------------------------------------------


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


def searched(batch: Batch, start: Array) -> tuple[Array, Bools]:
    """The tables (m, K, q) from which runs lead to the best optimum that was found from starts (m, S, K, q), and the
    problems (m,) in which the way to another one was too narrow.

    Short runs from several starts, the best of them carried on, and then rounds of rivals: the runs behind it, and what
    moves lead to; where none of a round leads higher, that is the end.
    """
    table, done, narrow = start, 0, np.zeros(len(start), dtype=bool)
    for keep, updates in SIEVE:
        table, loglik, lost = updated(batch, table[:, :keep], updates - done)
        narrow |= lost
        table, done = taken(table, best_first(batch, table, loglik)), updates
    best = climbed(batch, table[:, 0], tol=ROUGH, cycles=LONG)
    if start.shape[2] == 1:
        return best.table, narrow
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
    return table, narrow


def risen(batch: Batch, table: Array, known: Array) -> tuple[Index, Array]:
    """The problems in which one of the rivals (m, S, K, q) may come over the log-likelihoods ``known`` (m,), as far as
    its gains tell, and its table (m', K, q)."""
    table, loglik = passed(batch, table)
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
    """The end of the best run from starts (m, S, K, q); where that is unsound for want of rows, the best end of starts
    by k-means++ with ``more`` chances (S', K).

    What is too narrow for a batch, though it has rows, may be a cluster: unsound, and left to those who can tell.
    """
    table, narrow = searched(batch, start)
    end = climbed(batch, table, tol=tol, cycles=cycles, beyond=BEYOND)
    narrow |= np.isneginf(end.loglik) & healthy(batch, end.table)
    end.loglik[narrow] = -np.inf
    lost = np.flatnonzero(np.isneginf(end.loglik) & ~narrow)
    if len(lost):
        again = climbed(batch.only(lost), _rescued(batch.only(lost), more, tol), tol=tol, cycles=cycles, beyond=BEYOND)
        for old, new in zip(end, again, strict=True):
            old[lost] = new
    return end


def _rescued(batch: Batch, chance: Array, tol: float) -> Array:
    """The tables (m, K, q) of the best ends of starts by k-means++, each followed by itself."""
    s, k = chance.shape
    found = np.empty((len(batch.n_rows), k, batch.features.shape[1]))
    for part in parts(len(found), s, RESCUED):  # of each problem as many copies as starts
        some = batch.only(part)
        each = some.only(np.repeat(np.arange(len(some.n_rows)), s))
        ends = climbed(each, np.concatenate(seeded(some, k, chance)), tol=tol, cycles=LONG)
        best = ends.loglik.reshape(-1, s).argmax(axis=1) + s * np.arange(len(some.n_rows))
        found[part] = ends.table[best]
    return found


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
