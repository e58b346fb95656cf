"""A grid of mixtures, families times numbers of components, in which every cell learns from its neighbours.

All cells begin at the same partitions, those of two hierarchical trees (mclust's: volumes, in coordinates half way to
white ones; Ward's: sums of squares, standardised).  Then, in rounds, each cell looks at what its neighbours have found

    one component more       two of them merged: the pairs that lose least
    one component less       one of them split along its longest axis: those with most rows
    one letter different     as it is, under its own M-step

and goes on from what looks best where that ends higher than where it is: so the log-likelihood hardly ever falls with
K, or from a family to one that contains it.  Where it still does, the last round mends it.  The cells that a criterion
is going to choose from look further: merging one pair and splitting another component.  At the end every cell is
carried to where less than FINE nats are left to gain.

All this is done in tables of sums (cohort.py), on SEARCH_ROWS of the rows at most, and the end on all of them.  What
has no place there, because a component is on its way to the floor, a prior is asked for, or columns are constant, is
fitted one by one (em.py).

References: C. Fraley and A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation", JASA
97, 2002; L. Scrucca and A. E. Raftery, "Improved initialisation of model-based clustering using Gaussian hierarchical
partitions", Advances in Data Analysis and Classification 9, 2015; J.-P. Baudry and G. Celeux, "EM for mixtures:
initialization requires special care", Statistics and Computing 25, 2015; N. Ueda, R. Nakano, Z. Ghahramani and G. E.
Hinton, "SMEM algorithm for mixture models", Neural Computation 12, 2000.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixtura import cohort, em, initialize, validation
from mixtura.cohort import Board, Reached
from mixtura.degeneracy import n_degenerate
from mixtura.families import FAMILIES
from mixtura.hierarchical import agglomerate
from mixtura.mixture import Mixture
from mixtura.rows import Array, InMemory, Rows
from mixtura.runs import Task

Cell = tuple[str, int]
"""A covariance code and a number of components."""

SEARCH_ROWS = 2_000
"""Rows that cells are searched on: what they decide, the passes over all rows refine."""

TREE_ROWS = 400
"""Rows that are agglomerated."""

ROUGH, FINE = 0.3, 0.01
"""Nats left to gain, as far as the gains of EM tell, while cells are compared, and at the end."""

ROUGH_CYCLES, FINE_CYCLES = 5, 200
"""Cycles of three passes, at most."""

ROUNDS = 3
"""Looks at the neighbours."""

LOOKS, TRIED = 3, 2
"""Pairs that are merged or components that are split for a look, and how many of the looks are gone on from."""

RIDGE = 1e-6
"""Variance, as a part of the data's, under which no union counts as narrower."""

ALIKE = 1e-4
"""Difference of log-likelihood, per row, of looks that are taken for the same."""

REACH = 0.8
"""How far apart the halves of a component are put, in standard deviations along its longest axis."""

NEAR = 20.0
"""Nats of the best criterion within which cells look further."""

WIDEST = 40
"""Features up to which there are tables."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a cell has come to: ``loglik`` (total nats, in the weights as they were given) of its ``model`` after so
    many ``passes`` and ``seconds``; ``degenerate`` components, and in words why it is not ok, "" if it is."""

    model: Mixture
    loglik: float
    passes: int
    seconds: float
    converged: bool
    degenerate: int
    reason: str


def filled(
    tasks: Mapping[str, Task],
    counts: Sequence[int],
    *,
    init: str = "auto",
    until: float | None = None,
    n_jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Cell, Fit | str]:
    raise NotImplementedError


# searching in tables --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Search:
    """The ``best`` of each cell so far, on the rows of ``board``, with the passes that led there."""

    board: Board
    cells: Sequence[Cell]
    best: dict[Cell, Reached]

    def better(self, found: Iterable[tuple[Cell, Reached]]) -> Search:
        """The same with what is better and healthy among those ``found``."""
        best = dict(self.best)
        for cell, one in found:
            if not one.left and healthy(cell[0], one) and (cell not in best or one.loglik > best[cell].loglik):
                best[cell] = one
        return replace(self, best=best)


def healthy(code: str, one: Reached) -> bool:
    """Whether each component has the rows that a covariance of its own takes."""
    family = FAMILIES[code]
    d = _n_features(one.table)
    return family.pooled or bool(one.table[:, 0].min() >= family.least_rows(d))


def _n_features(table: Array) -> int:
    """d of 1 + d + d (d + 1) / 2 columns."""
    return int(round((np.sqrt(8 * table.shape[1] + 1) - 3) / 2))


def kin(code: str) -> list[str]:
    """Families that differ in one letter."""
    return [other for other in FAMILIES if sum(a != b for a, b in zip(code, other, strict=True)) == 1]


def first_tables(board: Board, rows: Rows, counts: Sequence[int], rng: np.random.Generator) -> dict[int, list[Array]]:
    """For each number of components the tables (K, q) of the partitions that cells begin at."""
    part = InMemory(rows).sample(TREE_ROWS, rng)
    seen = cohort.seen_from(board, part)
    y = seen.features[1 : 1 + board.n_features].T
    _, singular, axes = np.linalg.svd(y, full_matrices=False)
    half_white = y @ (axes.T / np.sqrt(singular))
    trees = [
        agglomerate(half_white, part.weight, "VVV"),
        agglomerate(y, part.weight, "EII"),
    ]
    scale = board.total / seen.total
    tables: dict[int, list[Array]] = {}
    for k in counts:
        if k > len(y):
            continue
        tables[k] = [scale * seen.table(validation.one_hot(tree.labels(k), k)) for tree in trees[: 1 if k == 1 else 2]]
    return tables


def begun(board: Board, cells: Sequence[Cell], tables: Mapping[int, Sequence[Array]], until: float | None) -> Search:
    """Each cell after a few passes from each of the ``tables`` for its number of components."""
    jobs = [(cell, table) for cell in cells for table in tables.get(cell[1], ())]
    return _tried(Search(board, cells, {}), jobs, until)


def _tried(search: Search, jobs: Sequence[tuple[Cell, Array]], until: float | None) -> Search:
    """What becomes of cells when each job, a cell and a table to go on from, is carried a few cycles."""
    if not jobs:
        return search
    found = cohort.climb(
        search.board, [cell[0] for cell, _ in jobs], [table for _, table in jobs],
        tol=ROUGH, cycles=ROUGH_CYCLES, until=until,
        beat=[search.best[cell].loglik if cell in search.best else -np.inf for cell, _ in jobs],
    )
    return search.better(zip((cell for cell, _ in jobs), found, strict=True))


def looked(search: Search, cells: Sequence[Cell], candidates: Sequence[tuple[Cell, Array]]) -> list[tuple[Cell, Array]]:
    """Of the ``candidates`` those of each cell that look best after one M-step."""
    if not candidates:
        return []
    seen = cohort.glance(search.board, [cell[0] for cell, _ in candidates], [table for _, table in candidates])
    ordered = sorted(range(len(candidates)), key=lambda i: -seen[i])
    chosen: dict[Cell, list[int]] = {}
    same = ALIKE * search.board.total
    for i in ordered:
        taken = chosen.setdefault(candidates[i][0], [])
        if np.isfinite(seen[i]) and len(taken) < TRIED and all(seen[j] - seen[i] > same for j in taken):
            taken.append(i)
    return [candidates[i] for taken in chosen.values() for i in taken]


def neighbours(search: Search, changed: set[Cell]) -> list[tuple[Cell, Array]]:
    """What each cell can learn from its neighbours among those that have ``changed``."""
    candidates: list[tuple[Cell, Array]] = []
    wanted = set(search.cells)
    for code, k in search.cells:
        if k > 1:
            candidates += [((code, k), search.best[other, k].table) for other in kin(code) if (other, k) in changed]
    counts = sorted({k for _, k in search.cells})
    for k, more in zip(counts, counts[1:], strict=False):
        for near, far, tables in ((k, more, split), (more, k, merged)):
            codes = [code for code, at in search.cells if at == near and (code, near) in changed and (code, far) in wanted]
            if codes and far > 1:
                made, most = np.stack([search.best[code, near].table for code in codes]), LOOKS
                for _ in range(more - k):
                    made, most = tables(made, most), 1
                owner = np.repeat(codes, len(made) // len(codes))
                candidates += [((str(code), far), one) for code, one in zip(owner, made, strict=True)]
    return candidates


def improved(search: Search, until: float | None) -> Search:
    """Rounds of looks at the neighbours."""
    changed = set(search.best)
    for _ in range(ROUNDS):
        before = search.best
        search = _tried(search, looked(search, search.cells, neighbours(search, changed)), until)
        changed = {cell for cell, one in search.best.items() if before.get(cell) is not one}
    return search


def moments(tables: Array) -> tuple[Array, Array, Array]:
    """Mass (m, K), means (m, K, d) and scatter (m, K, d, d) of tables (m, K, q)."""
    d = _n_features(tables[0])
    i, j = np.triu_indices(d)
    mass, first = tables[:, :, 0], tables[:, :, 1 : 1 + d]
    mean = first / mass[:, :, None]
    scatter = np.empty((*mean.shape, d))
    scatter[..., i, j] = scatter[..., j, i] = tables[:, :, 1 + d :] - first[..., i] * mean[..., j]
    return mass, mean, scatter


def merged(tables: Array, most: int) -> Array:
    """Of each of the tables (m, K, q) at most so many (m most, K - 1, q) with two components merged: those that lose
    least by it."""
    m, k, q = tables.shape
    mass, mean, scatter = moments(tables)
    a, b = np.triu_indices(k, 1)
    both = mass[:, a] + mass[:, b]
    e = np.sqrt(mass[:, a] * mass[:, b] / both)[:, :, None] * (mean[:, a] - mean[:, b])
    union = scatter[:, a] + scatter[:, b] + e[..., :, None] * e[..., None, :]

    def cost(scatter: Array, mass: Array) -> Array:
        ridge = RIDGE * np.eye(scatter.shape[-1])
        log_det = np.linalg.slogdet(scatter / mass[..., None, None] + ridge)[1]
        return np.asarray(mass * (0.5 * log_det - np.log(mass)))

    alone = cost(scatter, mass)
    added = cost(union, both) - alone[:, a] - alone[:, b]
    pairs = np.argsort(added, axis=1, kind="stable")[:, :most].ravel()
    of = np.repeat(np.arange(m), len(pairs) // m)
    made = tables[of]
    row = np.arange(len(of))
    made[row, a[pairs]] += made[row, b[pairs]]
    return made[np.arange(k) != b[pairs][:, None]].reshape(-1, k - 1, q)


def split(tables: Array, most: int) -> Array:
    """Of each of the tables (m, K, q) at most so many (m most, K + 1, q) with a component split: those with most
    rows."""
    m, k, q = tables.shape
    d = _n_features(tables[0])
    i, j = np.triu_indices(d)
    mass, mean, scatter = moments(tables)
    chosen = np.argsort(-mass, axis=1, kind="stable")[:, :most].ravel()
    of = np.repeat(np.arange(m), len(chosen) // m)
    mass, mean = 0.5 * mass[of, chosen], mean[of, chosen]
    covariance = 0.5 * scatter[of, chosen] / mass[:, None, None]
    values, vectors = np.linalg.eigh(covariance)
    step = REACH * np.sqrt(np.maximum(values[:, -1:], 0.0)) * vectors[:, :, -1]
    left = covariance - step[:, :, None] * step[:, None, :]

    def half(mean: Array) -> Array:
        second = left + mean[:, :, None] * mean[:, None, :]
        return mass[:, None] * np.concatenate([np.ones((len(mean), 1)), mean, second[:, i, j]], axis=1)

    made = np.concatenate([tables[of], half(mean - step)[:, None]], axis=1)
    made[np.arange(len(of)), chosen] = half(mean + step)
    return made
