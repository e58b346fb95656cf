"""Truncated EM for many components: every row keeps the C components that explain it best, and looks for better ones
among the neighbours of the first of them.

    l_nk    = log w_k N(x_n | k)
    F       = sum_n w_n log sum_{k in K_n} exp l_nk        <= log-likelihood;  K (n, C), the first of K_n is the best
    E:  S_n = K_n with what the best of K_n is surrounded by        K_n <- the C largest l_nk, k in S_n
        r_nk = w_n exp l_nk / sum_{j in K_n} exp l_nj for k in K_n, else 0
    M:  sums over the n C kept pairs, and the M-step of the family as it is

F is the free energy of EM with responsibilities that are zero outside K_n.  As S_n contains K_n no E-step lowers it,
and no M-step does: it climbs as the log-likelihood does in EM, and a pass costs n |S| log densities, however many
components there are.  With C = K it is EM itself; with C = 1, one spherical variance and equal weights it is Lloyd's
algorithm.

Components have neighbours, g (K, G), of which a component is the first of its own.  The surroundings of c are its
neighbours, theirs of its nearest few, and one component drawn at random:

    S_c     = g_c + g_j for j in the first REACH of g_c + one more
    g_c    <- the G components of S_c with the least gap_ck = min over rows n whose best is c of max_j l_nj - l_nk

(min, not the mean that estimates a divergence between c and k: a narrow component at the border of c is far from
nearly all of the rows of c, and the best one for a few.)  So all rows with the same best component share one S, except
for what they have kept from elsewhere, and are worked on together.  They come in tiles of b rows; for a tile of c

    z  = (X - m_c) U_k' - U_k (m_k - m_c)       (b, d) @ (d, |S| d): one small product, nothing large cancels
    l  = log_coef_k - |z|^2 / 2                 (b, |S|)

References: D. Forster and J. Lücke, "Can clustering scale sublinearly with its clusters? A variational EM acceleration
of GMMs and k-means", AISTATS 2018; F. Hirschberger, D. Forster and J. Lücke, "A variational EM acceleration for
efficient clustering at very large scales", IEEE Transactions on Pattern Analysis and Machine Intelligence 44, 2022;
S. Salwig, T. Kahlke, F. Hirschberger, D. Forster and J. Lücke, "Sublinear variational optimization of Gaussian mixture
models with millions to billions of parameters", Journal of Machine Learning Research 27, 2026; J. Lücke and D. Forster,
"k-means as a variational EM approximation of Gaussian mixture models", Pattern Recognition Letters 125, 2019 (the
limit).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mixtura.em import Driver, EStep, Problem, iterate
from mixtura.engine import one_blas_thread
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, InMemory
from mixtura.scores import Scores
from mixtura.statistics import pair_sums

NEIGHBOURS = 15
"""Neighbours of a component at least, itself included: in the plane about two rings around it."""

PER_KEPT = 2
"""Neighbours for each component that a row keeps, at least: there have to be more to choose from than are kept."""

REACH = 3
"""Of so many components, itself included, a component sees the neighbours."""

TILE = 16
"""Rows that are worked on in one product.  The last tile of a component is filled up: larger ones waste more where
components have few rows, smaller ones fetch the parameters more often."""

BLOCK_BYTES = 1 << 20
"""Size of the largest temporary of a block of tiles: what a core keeps in its cache."""

SETTLED = 1e-3
"""Gain of an E-step (nats per row) under which the first kept components are good enough to begin with."""

WARMING = 10
"""E-steps at most before the first M-step."""

FARTHEST = 1e300
"""A squared distance at most: what is larger is no number, and would not lose to what was not looked at."""

FEW = 6
"""Up to so many largest of a row are found one after the other; more by partition."""

Indices = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Kept:
    """``components`` (n, C) that the rows keep, the best first, and the ``neighbours`` (K, G) of each component."""

    components: Indices
    neighbours: Indices


@dataclass(frozen=True, eq=False)
class Found:
    """What an E-step found: what is ``kept``, its responsibilities (n, C) times the row weights, and the ``bound``."""

    kept: Kept
    resp: Array
    bound: float


def truncated(n_kept: int) -> Driver:
    """The driver in which every row keeps so many components; plain EM where there are no more than that."""

    def passes(problem: Problem, start: Mixture) -> Iterator[EStep]:
        if n_kept >= start.n_components:
            yield from iterate(problem, start)
            return
        model, kept = start, first_kept(problem, start, n_kept)
        draws = count()
        found = search(problem, model, kept, next(draws))
        for _ in range(WARMING):
            before, found = found, search(problem, model, found.kept, next(draws))
            if found.bound - before.bound < SETTLED * problem.source.total:
                break
        while True:
            reached = sums(problem, model, found)
            yield reached
            model = problem.update(reached.statistics, model)
            found = search(problem, model, found.kept, next(draws))

    return passes


def sums(problem: Problem, model: Mixture, found: Found) -> EStep:
    """The M half of a pass."""
    pairs = InMemory(problem.source.at_hand), found.kept.components, found.resp, problem.engine
    dense = not problem.update.family.diagonal
    statistics = pair_sums(model.means, *pairs, dense=dense, objective=found.bound)
    if statistics.cancels():  # a component has leapt
        means = statistics.center + statistics.shift()
        statistics = pair_sums(means, *pairs, dense=dense, objective=found.bound)
    return EStep(model, statistics, found.bound + problem.update.penalty(model))


def first_kept(problem: Problem, model: Mixture, n_kept: int) -> Kept:
    """The nearest mean of each row and those nearest to it, in the coordinates in which all rows are a unit ball."""
    overall = problem.update.overall
    whitener = overall.layout.whitener[0]

    def placed(x: AnyArray) -> Array:
        y = x - overall.means[0]
        return np.asarray(y @ whitener.T if whitener.ndim == 2 else y * whitener)

    tree = cKDTree(placed(model.means))
    own = np.arange(model.n_components)[:, None]
    n_neighbours = min(max(NEIGHBOURS, PER_KEPT * n_kept), model.n_components)
    near = tree.query(tree.data, n_neighbours)[1].reshape(len(own), -1)
    # Of components at one place any may come first.
    near = np.take_along_axis(near, np.argsort(near != own, axis=1, kind="stable"), axis=1)
    near[:, :1] = own
    blocks = InMemory(problem.source.at_hand).blocks(max(BLOCK_BYTES // (8 * problem.source.n_features), TILE))
    best = np.concatenate(list(problem.engine.map(lambda rows: tree.query(placed(rows.x))[1], blocks)))
    near = near.astype(np.int32)
    return Kept(near[best, :n_kept], near)


def surroundings(neighbours: Indices, draw: int) -> tuple[Indices, NDArray[np.intp]]:
    """S (K, |S|) of each component, in upward order and filled up with K, and how many they are (K,)."""
    k = len(neighbours)
    # The rule is the same for all fits, and the same rows have the same chances wherever they stand.
    one_more = np.random.default_rng(draw).integers(k, size=(k, 1), dtype=np.int32)
    theirs = neighbours[neighbours[:, 1:REACH]].reshape(k, -1)
    around = np.sort(np.concatenate([neighbours, theirs, one_more], axis=1), axis=1)
    around[:, 1:][around[:, 1:] == around[:, :-1]] = k
    around.sort(axis=1)
    sizes = (around < k).sum(axis=1)
    return around[:, : sizes.max()], sizes


@dataclass(frozen=True, eq=False)
class Tiles:
    """Rows by their best component: ``component`` (t,) of each tile, ``rows`` (t, TILE), and which of them are there;
    the last tile of a component repeats its last row."""

    component: NDArray[np.intp]
    rows: NDArray[np.intp]
    there: NDArray[np.bool_]

    def __getitem__(self, index: slice | NDArray[np.intp]) -> Tiles:
        return Tiles(self.component[index], self.rows[index], self.there[index])

    @classmethod
    def of(cls, best: NDArray[np.integer[Any]], n_components: int) -> Tiles:
        """Tiles of rows whose best components are ``best`` (n,)."""
        # Sorting is linear in numbers of 16 bits.
        order = np.argsort(best.astype(np.min_scalar_type(n_components)), kind="stable")
        counts = np.bincount(best, minlength=n_components)
        ends = np.cumsum(counts)
        n_tiles = -(-counts // TILE)
        component = np.repeat(np.arange(n_components), n_tiles)
        index_of_tile = np.arange(len(component)) - np.repeat(np.cumsum(n_tiles) - n_tiles, n_tiles)
        place = (ends - counts)[component] + TILE * index_of_tile
        place = place[:, None] + np.arange(TILE)
        last = ends[component, None] - 1
        return cls(component, order[np.minimum(place, last)], place <= last)


def with_nobody(scores: Scores) -> Scores:
    """The scores with one component more, near nobody, that ``surroundings`` are filled up with."""
    center, whitener, spread = (
        np.concatenate([each, np.zeros_like(each[:1])]) for each in (scores.center, scores.whitener, scores.spread)
    )
    return Scores(np.append(scores.log_coef, -np.inf), center, whitener, spread)


def tile_bytes(scores: Scores, n_seen: int) -> int:
    """Size of the largest temporary of a tile that sees so many components."""
    return 8 * n_seen * max(TILE, int(scores.whitener[0].size))


@np.errstate(over="ignore")  # see FARTHEST
def log_joint_of_tiles(scores: Scores, x: AnyArray, own: NDArray[np.intp], seen: Indices) -> Array:
    """log_joint (t, b, s) of tiles of rows ``x`` (t, b, d), each at its ``own`` component (t,), and those ``seen`` from
    there (t, s)."""
    d, dense = x.shape[2], scores.whitener.ndim == 3
    center = scores.center[own][:, None]
    y = x - center
    away = (scores.center[seen] - center).transpose(0, 2, 1)
    white = np.ascontiguousarray(np.moveaxis(scores.whitener[seen], 1, -1))  # (t, d, d, s) or (t, d, s)
    away = np.einsum("tijs,tjs->tis", white, away) if dense else white * away
    log_joint = np.zeros((*x.shape[:2], seen.shape[1]))
    z = np.empty_like(log_joint)
    for i in range(d):
        if dense:  # U_k is lower triangular
            np.matmul(y[:, :, : i + 1], white[:, i, : i + 1], out=z)
        else:
            np.multiply(y[:, :, i : i + 1], white[:, None, i], out=z)
        z -= away[:, None, i]
        z *= z
        log_joint += z
    np.minimum(log_joint, FARTHEST, out=log_joint)
    log_joint *= -0.5
    log_joint += scores.log_coef[seen][:, None]
    return log_joint


@np.errstate(over="ignore")
def log_joint_of_pairs(scores: Scores, x: AnyArray, components: Indices) -> Array:
    """log_joint (p,) of rows ``x`` (p, d) with one component (p,) each."""
    y, white = x - scores.center[components], scores.whitener[components]
    z = y * white if white.ndim == 2 else np.einsum("pij,pj->pi", white, y)
    return np.asarray(scores.log_coef[components] - 0.5 * np.minimum((z * z).sum(axis=1), FARTHEST))


def search(problem: Problem, model: Mixture, kept: Kept, draw: int) -> Found:
    """The E half of a pass, whose random components are those of number ``draw``."""
    k = model.n_components
    everything, n_kept = problem.source.at_hand, kept.components.shape[1]
    around, sizes = surroundings(kept.neighbours, draw)
    scores = with_nobody(model.scores)
    tiles = Tiles.of(kept.components[:, 0], k)
    components, resp = np.empty_like(kept.components), np.empty(kept.components.shape)
    gaps = np.full(around.shape, np.inf)

    def of_block(block: Tiles) -> tuple[float, NDArray[np.intp], Array]:
        seen = around[block.component, : sizes[block.component].max()]
        log_joint = log_joint_of_tiles(scores, everything.x[block.rows], block.component, seen)
        peak = log_joint.max(axis=2, keepdims=True)
        log_joint -= peak
        first = np.flatnonzero(np.diff(block.component, prepend=-1))
        gap = -np.maximum.reduceat(log_joint.max(axis=1), first, axis=0)

        rows, tile = block.rows[block.there], np.nonzero(block.there)[0]
        log_joint, seen, before = log_joint[block.there], seen[tile], kept.components[rows]
        chosen = largest(log_joint, n_kept)
        values, ids = np.take_along_axis(log_joint, chosen, axis=1), np.take_along_axis(seen, chosen, axis=1)
        values += peak[:, :, 0][block.there][:, None]
        # What was kept before and lies elsewhere; the first is where the row is.
        lost, which = np.nonzero((before[:, 1:, None] != seen[:, None, :]).all(axis=2))
        if len(lost):
            strays = np.full(before.shape, -np.inf)
            strays[lost, which + 1] = log_joint_of_pairs(scores, everything.x[rows[lost]], before[lost, which + 1])
            lost = np.unique(lost)
            both = np.concatenate([values[lost], strays[lost]], axis=1)
            of_both = np.concatenate([ids[lost], before[lost]], axis=1)
            chosen = largest(both, n_kept)
            values[lost] = np.take_along_axis(both, chosen, axis=1)
            ids[lost] = np.take_along_axis(of_both, chosen, axis=1)
        components[rows] = ids

        top = values[:, :1].copy()
        values -= top
        density = np.exp(values, out=values)
        total = density.sum(axis=1, keepdims=True)
        log_density = (top + np.log(total))[:, 0]
        if everything.weight is None:
            resp[rows], part = density / total, log_density.sum()
        else:
            weight = everything.weight[rows]
            resp[rows], part = density * (weight[:, None] / total), weight @ log_density
        return float(part), block.component[first], gap

    size = max(BLOCK_BYTES // tile_bytes(scores, around.shape[1]), 1)
    blocks = (tiles[begin : begin + size] for begin in range(0, len(tiles.component), size))
    bound = 0.0
    with one_blas_thread():
        for part, those, gap in problem.engine.map(of_block, blocks):
            bound += part
            gaps[those, : gap.shape[1]] = np.minimum(gaps[those, : gap.shape[1]], gap)
    return Found(Kept(components, nearest(kept.neighbours, around, gaps)), resp, bound)


def largest(values: Array, number: int) -> NDArray[np.intp]:
    """Where the so many largest of each row (n, m) are, the largest first."""
    if number > FEW:
        chosen = np.argpartition(values, values.shape[1] - number, axis=1)[:, -number:]
        order = np.argsort(-np.take_along_axis(values, chosen, axis=1), axis=1)
        return np.asarray(np.take_along_axis(chosen, order, axis=1))
    left, rows = values.copy(), np.arange(len(values))
    chosen = np.empty((len(values), number), dtype=np.intp)
    for i in range(number):
        chosen[:, i] = left.argmax(axis=1)
        left[rows, chosen[:, i]] = -np.inf
    return chosen


def nearest(neighbours: Indices, around: Indices, gaps: Array) -> Indices:
    """The neighbours (K, G) with the least gaps among those ``around``; a component without rows keeps its own."""
    own = np.arange(len(neighbours), dtype=np.int32)
    known = gaps.min(axis=1) < np.inf
    gaps = np.where(around == own[:, None], -np.inf, gaps)
    order = np.argsort(gaps, axis=1, kind="stable")[:, : neighbours.shape[1]]
    return np.where(known[:, None], np.take_along_axis(around, order, axis=1), neighbours)
