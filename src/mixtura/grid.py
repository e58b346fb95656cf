"""A grid of mixtures, families times numbers of components, in which every cell learns from its neighbours.

All cells begin at the same partitions, those of three hierarchical trees (mclust's: volumes, in coordinates half way to
white ones; Ward's: sums of squares, of standardised features and of features as they are).  Then, in rounds, each cell
looks at what its neighbours have found

    one component more       two of them merged: the pairs that lose least
    one component less       one of them split along its longest axis: those with most rows
    one letter different     as it is, under its own M-step

and goes on from what looks best where that ends higher than where it is: so the log-likelihood hardly ever falls with
K, or from a family to one that contains it.  Then every cell is carried to where less than FINE nats are left to gain,
or for FINE_CYCLES; those that have come to nothing, or under the one before, begin again from their neighbours.  The
cells that a criterion is going to choose from look further: merging one pair and splitting another component.

Rows that are not exact are filled in for that, by the Gaussian of all of them, and seeds that are drawn make further
partitions.  What cells come to is that of what the rows tell; where they are many and tell it in many ways, the search
before the end takes what is filled in for known.

All this is done in tables of sums (cohort.py), on SEARCH_ROWS of the rows at most, and the end on all of them.  A cell
that has to leave the tables, and has found nothing else, is carried on by itself (em.py), as a rule to the floor.  What
has no place in them at all, because a prior is asked for, or columns are constant, or rows are astray, is fitted one by
one; so is the end where all rows make too large a table of features (LARGEST).

References: C. Fraley and A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation", JASA
97, 2002; L. Scrucca and A. E. Raftery, "Improved initialisation of model-based clustering using Gaussian hierarchical
partitions", Advances in Data Analysis and Classification 9, 2015; J.-P. Baudry and G. Celeux, "EM for mixtures:
initialization requires special care", Statistics and Computing 25, 2015; N. Ueda, R. Nakano, Z. Ghahramani and G. E.
Hinton, "SMEM algorithm for mixture models", Neural Computation 12, 2000.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus

from mixtura import available, cohort, em, evaluate, initialize, start, validation
from mixtura.cohort import Board, Reached
from mixtura.degeneracy import HARMLESS, n_degenerate, states
from mixtura.engine import Serial
from mixtura.evaluate import Totals
from mixtura.families import FAMILIES
from mixtura.hierarchical import agglomerate, distinct
from mixtura.initialize import STARTS
from mixtura.mixture import Mixture
from mixtura.moves import LOOKS, REACH, apart, merged, split, swapped
from mixtura.rows import Array, InMemory, Rows
from mixtura.task import Task

Cell = tuple[str, int]
"""A covariance code and a number of components."""

SEARCH_ROWS = 2_000
"""Rows that cells are searched on: what they decide, the passes over all rows refine."""

TREE_ROWS = 600
"""Rows that are agglomerated at most."""

ROUGH, FINE, LAST = 0.3, 0.01, 1e-4
"""Nats left to gain, as far as the gains of EM tell: while cells are compared, at the end, and of those that a
criterion will choose from."""

ROUGH_CYCLES, FINE_CYCLES = 5, 40
"""Cycles of three passes, at most."""

SLOWER, SLOWER_CYCLES = 0.1, 100
"""Part of that which may be left, and cycles at most, where rows are not exact and not COSTLY: the less they tell, the
less a pass of EM gains, for the longer."""

ROUNDS, CHANCES, REPAIRS, MOVES = 4, 2, 2, 3
"""Looks at the neighbours, at those of cells that have come to nothing, at those of cells that have fallen below the
one before, and at what else there may be with as many components."""

TRIED = 1
"""How many of the looks at a cell are gone on from."""

NARROW = 0.2
"""How far the halves are put apart where nothing is to be lost by it; as ``moves.REACH``."""

NEAR, CHOSEN = 10.0, 8
"""Difference of BIC from the best up to which cells look further, and how many of them do at most."""

COSTLY = 6e4
"""Nanoseconds that rows which are not exact may cost a pass for each component beside exact ones: where they cost more,
they are searched as if what is filled in were known, and only the end is on what they tell."""

LARGEST = 1 << 26
"""Numbers in T(Y) of all rows, up to which there are tables: half a gigabyte."""

SEEDED = 4
"""First partitions by seeds that are drawn, beside those of trees, where rows are not exact."""

SEEDS, GONE_ON = 2, 2
"""Starts by k-means where cells are fitted one by one, and how many starts are carried to their ends."""

LEFT_PASSES = 100
"""Passes of a run of its own after which a cell that has left the tables has come to nothing, if rows are not exact:
their passes are long."""

DOOMED = (8, 24)
"""Passes at which a run with a degenerate component is given up."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a cell has come to: the ``totals`` (in the weights as they were given) of the ``model`` that is made when it
    is wanted, after so many ``passes`` of the start that won, and the ``seconds`` that are its share of the time.

    ``reason`` says what is wrong with its components, "" if nothing is.  ``objective``: what EM has maximised, in
    scaled weights.  ``flat``: the family sees a direction in which the data have no spread, where the floor makes its
    likelihood.
    """

    make: Callable[[], Mixture]
    totals: Totals
    passes: int
    seconds: float
    converged: bool
    reason: str
    objective: float
    flat: bool = False

    @property
    def model(self) -> Mixture:
        return self.make()


@dataclass(frozen=True)
class NoFit:
    """Why a cell has no fit: ``status`` "failed", "skipped" or "collapsed", and the ``reason`` in words."""

    status: str
    reason: str


NARROWING = "a component became narrower and narrower"
NO_SPREAD = NoFit("collapsed", "from each start a component was left without spread")
OUT_OF_TIME = NoFit("skipped", "the time budget was used up before it")

Tasks = Callable[[str], Task]
"""The task of a family, by its code; they differ in nothing else."""


def filled(
    tasks: Tasks,
    codes: Sequence[str],
    counts: Sequence[int],
    *,
    init: str = "auto",
    until: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Cell, Fit | NoFit]:
    """What each of the families comes to with each number of components.

    ``init`` makes the first partitions; after ``until``, on the clock of time.monotonic, nothing new is begun.  A cell
    that has no fit has a sentence that says why.  ``progress`` hears how much of the grid is done, in cells.
    """
    began = time.monotonic()
    task = tasks(codes[0])
    source = task.problem.source
    rng = np.random.default_rng(np.random.SeedSequence(task.entropy).spawn(1)[0])
    enough = start.distinct_points(source, max(counts))
    answers: dict[Cell, Fit | NoFit] = {}
    cells = [(code, k) for code in codes for k in counts]
    for cell in cells:
        if cell[1] > enough:
            have = f"{enough} distinct row{'s' if enough > 1 else ''}"
            answers[cell] = NoFit("failed", f"{have} for {cell[1]} components")
    cells = [cell for cell in cells if cell not in answers]
    if not cells or over(until):
        return answers | dict.fromkeys(cells, OUT_OF_TIME)
    sample = filled_in(source.sample(SEARCH_ROWS, rng), task)
    first = partitions(sample, sorted({k for _, k in cells}), init, task, rng)
    placed = cohort.suited(sample) if task.problem.update.plain else ()
    placed_cells = [cell for cell in cells if cell[0] in placed]
    if placed_cells:
        board, reached = searched(
            *(task, placed_cells, sample, first, until),
            lambda part: progress(int(part * len(placed_cells)), len(cells)),
        )
        if board.n_rows < source.n_rows:  # they have been searched on a sample only
            answers |= dict(ended(tasks, board, reached, until))
        elif reached:
            answers |= _answers(tasks, board, reached, time.monotonic() - began)
    lost = [cell for cell in placed_cells if cell not in answers]
    if 2 * len(lost) < len(placed_cells):  # the rows have a place in tables: what has none there is narrow, not they
        answers |= dict.fromkeys(lost, NO_SPREAD)
    rest = [cell for cell in cells if cell not in answers]
    if not rest:
        return answers
    flat = without_spread(sample)
    for family in one_by_one(tasks, rest, first, until):
        for cell, fit in family.items():
            answers[cell] = fit if isinstance(fit, NoFit) else replace(fit, flat=cell[0] in flat)
        progress(sum(cell in answers for cell in cells), len(cells))
    return answers


def filled_in(rows: Rows, task: Task) -> Rows:
    """The rows with what the Gaussian of all expects in place of what is missing, which they still say is."""
    if task.problem.gaussian is None:
        return rows
    return available.filled(rows, task.problem.gaussian, task.problem.engine)


def without_spread(rows: Rows) -> list[str]:
    """The families that see a direction in which the rows have no spread: a constant column, or columns that determine
    each other."""
    d = rows.x.shape[1]
    if initialize.coordinates(rows, "scaling").shape[1] < d:
        return [code for code, family in FAMILIES.items() if not family.spherical]
    if initialize.coordinates(rows, "affine").shape[1] < d:
        return [code for code, family in FAMILIES.items() if not family.diagonal]
    return []


def _answers(tasks: Tasks, board: Board, reached: Mapping[Cell, Reached], seconds: float) -> dict[Cell, Fit]:
    """The fits of what the cells have reached."""
    passes = sum(one.passes for one in reached.values())
    totals = cohort.totals(board, [code for code, _ in reached], list(reached.values()))

    def of_cell(item: tuple[tuple[Cell, Reached], Totals]) -> tuple[Cell, Fit]:
        (cell, one), total = item
        task, make = tasks(cell[0]), partial(cohort.model_of, board, cell[0], one.theta)
        if one.left:  # to the floor, or only out of reach of tables: that is for a run of its own to tell
            fit = _carried(task if board.exact else _briefly(task), make())
            return cell, fit if fit.reason or fit.converged else replace(fit, reason=NARROWING)
        if board.noise is not None:  # what errors leave of a component may be narrow: then tables lack digits
            total = evaluate.totals(make(), task.problem.source.at_hand, Serial())
        share = seconds * one.passes / passes
        return cell, Fit(make, total * task.scale, one.passes, share, one.settled, "", total.loglik)

    engine = Serial() if board.exact else tasks(next(iter(reached))[0]).problem.engine
    return dict(engine.map(of_cell, zip(reached.items(), totals, strict=True)))


def _briefly(task: Task) -> Task:
    """The same for a run that shares the cores with others, and may as well be given up soon."""
    problem = replace(task.problem, engine=Serial())
    return replace(task, problem=problem, max_iter=min(task.max_iter, LEFT_PASSES))


def _wrong(task: Task, model: Mixture) -> str:
    """What is wrong with components of the model, in words; "" if nothing is."""
    found = states(task.problem.update, model, task.n_present)[0]
    wrong = [state for state in found if state not in HARMLESS]
    return ", ".join(f"{wrong.count(state)} of {len(found)} components {state}" for state in dict.fromkeys(wrong))


# starting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Partitions:
    """Responsibilities (n, K) of some of the ``rows`` for each number of components, several or one."""

    rows: Rows
    resp: Mapping[int, Sequence[Array]]


def partitions(rows: Rows, counts: Sequence[int], init: str, task: Task, rng: np.random.Generator) -> Partitions:
    """Where all families begin: the cuts of three trees, or what ``init`` makes of the rows."""
    if rows.missing is not None:  # of some nothing is known
        rows = rows[np.flatnonzero(~rows.missing.all(axis=1))]
    if init != "auto":
        update = task.problem.update
        sample = initialize.seen_in(rows, update.family.frame)
        resp = {}
        for k in counts:
            made = STARTS[init](sample, k, update, rng)
            resp[k] = [evaluate.responsibilities(made, sample.rows, Serial())]
        return Partitions(sample.rows, resp)
    few = max(200 + 10 * rows.x.shape[1], len(rows) // 4)
    part = InMemory(rows).sample(min(few, TREE_ROWS), rng)
    y = initialize.coordinates(part, "scaling")
    if y.shape[1] == 0 or len(distinct(part.x)[0]) < max(counts):
        chance = rng.random((len(part), max(counts)))
        return Partitions(part, {k: [chance[:, :k] / chance[:, :k].sum(axis=1, keepdims=True)] for k in counts})
    root = np.sqrt(1.0 if part.weight is None else part.weight[:, None])
    _, singular, axes = np.linalg.svd(y * root, full_matrices=False)
    half_white = y @ (axes.T / np.sqrt(np.maximum(singular, 1e-8 * singular[0])))
    trees = [
        agglomerate(half_white, part.weight, "VVV"),
        agglomerate(y, part.weight, "EII"),
        agglomerate(initialize.coordinates(part, "rotation"), part.weight, "EII"),
    ]
    several = {k: trees[:1] if k == 1 else trees for k in counts}
    resp = {k: [validation.one_hot(tree.labels(k), k) for tree in several[k]] for k in counts}
    if not part.exact:  # what is filled in lies on planes, which trees follow
        frames = [initialize.coordinates(part, "affine"), y]
        for k in [k for k in counts if k > 1]:
            found = [_nearest_seeds(frames[number % 2], part.weight, k, rng) for number in range(SEEDED)]
            resp[k] = [*resp[k], *(validation.one_hot(labels, k) for labels in found if len(np.unique(labels)) == k)]
    return Partitions(part, resp)


def _nearest_seeds(z: Array, weight: Array | None, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which of k seeds, drawn far from each other (k-means++), is nearest to each row z (n, q)."""
    seeds, _ = kmeans_plusplus(z, k, sample_weight=weight, random_state=int(rng.integers(2**31)))
    return np.asarray((z @ seeds.T - 0.5 * (seeds * seeds).sum(axis=1)).argmax(axis=1))


# searching ------------------------------------------------------------------------------------------------------------


def searched(
    task: Task,
    cells: Sequence[Cell],
    sample: Rows,
    first: Partitions,
    until: float | None,
    progress: Callable[[float], None],
) -> tuple[Board, dict[Cell, Reached]]:
    """The board of all rows, and what the cells have reached; what has ``left`` needs a floor."""
    costly = cohort.more_than_exact(sample.x.shape, sample.missing, sample.noise) > COSTLY
    search = begun(task, cells, Rows(sample.x, sample.weight) if costly else sample, first, until)
    rows = sample
    whole = task.problem.source.at_hand
    if len(sample) < len(whole) <= LARGEST / len(search.board.features):
        rows = filled_in(whole, task)
    progress(0.2)
    search = exchanged(search, until)
    progress(0.7)
    search = ended_on(search, until, rows=rows if costly or rows is not sample else None)
    progress(0.8)
    for share, phase in ((0.9, rescued), (0.95, repaired), (1.0, swapped_near)):
        if not over(until):
            search = phase(search, until)
        progress(share)
    known = {cell: one for cell, one in search.left.items() if np.isfinite(one.loglik)}
    return search.board, known | search.best


def over(until: float | None) -> bool:
    """Whether the time is used up."""
    return until is not None and time.monotonic() > until


def begun(task: Task, cells: Sequence[Cell], sample: Rows, first: Partitions, until: float | None) -> Search:
    """All cells carried a little from each of the first partitions."""
    board = cohort.board(sample, task.problem.engine)
    seen = cohort.seen_from(board, first.rows)
    scale = board.total / seen.total
    tables = {k: [cohort.smoothed(scale * seen.table(one)) for one in several] for k, several in first.resp.items()}
    search = Search(board, cells, tables, {}, {})
    for number in range(max(len(several) for several in tables.values())):
        if number == 0 or not over(until):
            jobs = [(cell, tables[cell[1]][number]) for cell in cells if number < len(tables[cell[1]])]
            search = tried(search, jobs, until)
    return search


def exchanged(search: Search, until: float | None) -> Search:
    """After rounds in which each cell looks at its neighbours."""
    changed = set(search.best)
    for _ in range(ROUNDS):
        if over(until):
            break
        before = search
        search = tried(search, looked(search, neighbours(search, changed)), until)
        changed = changed_since(search, before)
    return search


def ended_on(search: Search, until: float | None, *, rows: Rows | None) -> Search:
    """All cells near their ends, on these rows if there are any."""
    if rows is not None:
        search = moved_to(search, cohort.seen_from(search.board, rows))
    return finished(search, list(search.best), FINE, until)


def rescued(search: Search, until: float | None) -> Search:
    """Cells that have come to nothing begin again: from their neighbours, and once more from the first partitions."""
    for chance in range(CHANCES):
        lost = [cell for cell in search.cells if cell not in search.best]
        if not lost or not search.best or over(until):
            break
        jobs = looked(search, [job for job in neighbours(search, set(search.best)) if job[0] not in search.best])
        if chance == 0:
            jobs += [(cell, table) for cell in lost for table in search.first[cell[1]]]
        search = finished(tried(search, jobs, until), lost, FINE, until)
    return search


def repaired(search: Search, until: float | None) -> Search:
    """Cells that are under those with fewer components begin again from these."""
    for _ in range(REPAIRS):
        low = fallen(search)
        if not low or over(until):
            break
        jobs = [job for reach in (REACH, NARROW) for job in looked(search, split_again(search, low, reach))]
        search = finished(tried(search, jobs, until), low, FINE, until)
    return search


def swapped_near(search: Search, until: float | None) -> Search:
    """The cells that a criterion may choose look at what else there is with as many components, and go to their end."""
    for _ in range(MOVES):
        if over(until):
            break
        before = search
        near = nearest(search)
        jobs = looked(search, [(cell, one) for cell in near for one in swapped(search.best[cell].table)])
        search = tried(search, jobs, until)
        changed = changed_since(search, before)
        search = finished(search, [cell for cell in near if cell in changed], FINE, until)
        if not changed:
            break
    return finished(search, nearest(search), LAST, until)


@dataclass(frozen=True, eq=False)
class Search:
    """The ``best`` of each cell so far, on the rows of ``board``; where there is none yet, what has ``left``.

    ``first`` are the tables of the first partitions, by the number of components.
    """

    board: Board
    cells: Sequence[Cell]
    first: Mapping[int, Sequence[Array]]
    best: dict[Cell, Reached]
    left: dict[Cell, Reached]

    def better(self, found: Iterable[tuple[Cell, Reached]]) -> Search:
        """The same with what is better and healthy among those ``found``."""
        best, left = dict(self.best), dict(self.left)
        for cell, one in found:
            if one.left or not cohort.healthy(cell[0], one.table):
                left.setdefault(cell, replace(one, left=True))
            elif cell not in best or one.loglik > best[cell].loglik:
                best[cell] = one
        return replace(self, best=best, left=left)


@cache
def kin(code: str) -> tuple[str, ...]:
    """Families that differ in one letter."""
    return tuple(other for other in FAMILIES if sum(a != b for a, b in zip(code, other, strict=True)) == 1)


def tried(search: Search, jobs: Sequence[tuple[Cell, Array]], until: float | None) -> Search:
    """What becomes of cells when each job, a cell and a table to go on from, is carried a few cycles."""
    if not jobs:
        return search
    found = cohort.climb(
        search.board,
        [code for (code, _), _ in jobs],
        [table for _, table in jobs],
        tol=ROUGH,
        cycles=ROUGH_CYCLES,
        beat=[search.best[cell].loglik if cell in search.best else -np.inf for cell, _ in jobs],
        until=until,
    )
    return search.better(zip((cell for cell, _ in jobs), found, strict=True))


def finished(search: Search, cells: Sequence[Cell], tol: float, until: float | None) -> Search:
    """These cells carried on until less than ``tol`` nats are left to gain."""
    slower = 0 < search.board.beside <= COSTLY
    cells = [cell for cell in cells if cell in search.best]
    if not cells:
        return search
    found = cohort.climb(
        search.board,
        [code for code, _ in cells],
        [search.best[cell].table for cell in cells],
        tol=SLOWER * tol if slower else tol,
        cycles=SLOWER_CYCLES if slower else FINE_CYCLES,
        until=until,
    )
    best, left = dict(search.best), dict(search.left)
    for cell, one in zip(cells, found, strict=True):
        if one.left or not cohort.healthy(cell[0], one.table):  # where it stood, it was on its way to nothing
            del best[cell]
            left[cell] = replace(one, left=True)
        elif one.loglik > best[cell].loglik:
            best[cell] = replace(one, passes=one.passes + best[cell].passes)
    return replace(search, best=best, left=left)


def moved_to(search: Search, board: Board) -> Search:
    """The same models before other rows, whose log-likelihoods are not known yet."""
    scale = board.total / search.board.total

    def moved(those: Mapping[Cell, Reached]) -> dict[Cell, Reached]:
        return {cell: replace(one, table=scale * one.table, loglik=-np.inf) for cell, one in those.items()}

    first = {k: [scale * table for table in tables] for k, tables in search.first.items()}
    return replace(search, board=board, first=first, best=moved(search.best), left=moved(search.left))


def changed_since(search: Search, before: Search) -> set[Cell]:
    """Cells that have something better than before, and not for being nearer to the end."""
    return {
        cell
        for cell, one in search.best.items()
        if cell not in before.best or one.loglik > before.best[cell].loglik + ROUGH
    }


def fallen(search: Search) -> list[Cell]:
    """Cells under the one of their family that has fewer components."""
    counts = sorted({k for _, k in search.cells})
    return [
        (code, more)
        for k, more in pairwise(counts)
        for code in dict.fromkeys(code for code, _ in search.cells)
        if (code, k) in search.best
        and (code, more) in search.best
        and search.best[code, more].loglik < search.best[code, k].loglik - FINE
    ]


def split_again(search: Search, cells: Sequence[Cell], reach: float) -> list[tuple[Cell, Array]]:
    """Tables for these cells from those before, each of their components being split in turn: the nearer the halves,
    the less is lost by it."""
    counts = sorted({k for _, k in search.cells})
    before = dict(zip(counts[1:], counts[:-1], strict=True))
    candidates: list[tuple[Cell, Array]] = []
    for code, k in cells:
        made, most = search.best[code, before[k]].table[None], before[k]
        for _ in range(k - before[k]):
            made, most = split(made, most, reach), 1
        candidates += [((code, k), one) for one in made]
    return candidates


def nearest(search: Search) -> list[Cell]:
    """The cells whose BIC is near the best."""
    log_n = np.log(search.board.total)
    bic = {
        (code, k): FAMILIES[code].n_parameters(k, search.board.n_features) * log_n - 2 * one.loglik
        for (code, k), one in search.best.items()
    }
    best = min(bic.values(), default=0.0)
    return [cell for cell in sorted(bic, key=bic.__getitem__) if bic[cell] < best + NEAR][:CHOSEN]


def looked(search: Search, candidates: Sequence[tuple[Cell, Array]]) -> list[tuple[Cell, Array]]:
    """Of the ``candidates`` those of each cell that look best after one M-step."""
    if not candidates:
        return []
    seen = cohort.glance(search.board, [cell[0] for cell, _ in candidates], [table for _, table in candidates])
    chosen = apart(seen, [cell for cell, _ in candidates], search.board.total, TRIED)
    return [candidates[i] for i in chosen]


def neighbours(search: Search, changed: set[Cell]) -> list[tuple[Cell, Array]]:
    """What each cell can learn from its neighbours among those that have ``changed``."""
    candidates: list[tuple[Cell, Array]] = []
    wanted = set(search.cells)
    for code, k in search.cells:
        if k > 1:
            candidates += [((code, k), search.best[other, k].table) for other in kin(code) if (other, k) in changed]
    counts = sorted({k for _, k in search.cells})
    for k, more in pairwise(counts):
        for near, far, tables in ((k, more, split), (more, k, merged)):
            codes = [
                code for code, at in search.cells if at == near and (code, near) in changed and (code, far) in wanted
            ]
            if codes and far > 1:
                made, most = np.stack([search.best[code, near].table for code in codes]), LOOKS
                for _ in range(more - k):
                    made, most = tables(made, most), 1
                owner = np.repeat(codes, len(made) // len(codes))
                candidates += [((str(code), far), one) for code, one in zip(owner, made, strict=True)]
    return candidates


# one by one -----------------------------------------------------------------------------------------------------------


def one_by_one(
    tasks: Tasks,
    cells: Sequence[Cell],
    first: Partitions,
    until: float | None,
) -> Iterator[dict[Cell, Fit | NoFit]]:
    """The cells of one family after the other, each by itself."""
    families = list(dict.fromkeys(code for code, _ in cells))

    def of_family(code: str) -> dict[Cell, Fit | NoFit]:
        # Families share out the cores: inside, blocks follow each other.
        task = tasks(code)
        task = replace(task, problem=replace(task.problem, engine=Serial()))
        answers: dict[Cell, Fit | NoFit] = {}
        before: Fit | None = None
        for cell in sorted(cell for cell in cells if cell[0] == code):
            if over(until):
                answers[cell] = OUT_OF_TIME
                continue
            fit = _best_of(task, cell[1], first, before)
            answers[cell] = fit
            if not fit.reason:
                before = fit
        return answers

    return tasks(families[0]).problem.engine.map(of_family, families)


def ended(
    tasks: Tasks, board: Board, reached: Mapping[Cell, Reached], until: float | None
) -> Iterator[tuple[Cell, Fit | NoFit]]:
    """What cells that were searched on a sample come to on all rows, by runs of their own."""
    for cell, one in reached.items():
        if over(until):
            yield cell, OUT_OF_TIME
        else:  # rows are many: it is their blocks that share out the cores
            yield cell, _carried(tasks(cell[0]), cohort.model_of(board, cell[0], one.theta))


def _best_of(task: Task, k: int, first: Partitions, before: Fit | None) -> Fit:
    """The fit from what a few passes make the best of the first partitions, of seeds in the frame of the family, and of
    the one ``before``, with one component less, of which one is split."""
    problem = task.problem
    sample = initialize.seen_in(first.rows, problem.update.family.frame)
    rng = np.random.default_rng(np.random.SeedSequence(task.entropy, spawn_key=(k,)))
    begins = [initialize.from_responsibilities(first.rows, resp, problem.update) for resp in first.resp[k]]
    if k > 1:
        begins += [initialize.k_means(sample, k, problem.update, rng) for _ in range(SEEDS)]
    if before is not None and before.model.n_components == k - 1:
        begins.append(_halved(before.model))
    reached, order, _ = initialize.short_runs(problem, sample, begins)
    return max((_carried(task, reached[i]) for i in order[:GONE_ON]), key=_rank)


def _rank(fit: Fit) -> tuple[bool, float]:
    return not fit.reason, fit.objective


def _halved(model: Mixture) -> Mixture:
    """The mixture with its heaviest component in two halves, apart along its longest axis."""
    k = int(model.weights.argmax())
    values, vectors = np.linalg.eigh(model.layout.dense[k])
    step = REACH * np.sqrt(values[-1]) * vectors[:, -1]
    weights, means = np.append(model.weights, model.weights[k] / 2), np.vstack([model.means, model.means[k] - step])
    weights[k] /= 2
    means[k] += step
    return Mixture.of(weights, means, model.layout.only([*range(model.n_components), k]))


def _carried(task: Task, begin: Mixture) -> Fit:
    """The run from ``begin``, not to its end where components have come to nothing."""
    update, began = task.problem.update, time.monotonic()
    for latest in em.passes(
        task.problem, begin, tol=max(task.tol, FINE), max_iter=task.max_iter, member=False, driver=task.driver
    ):
        if latest.index in DOOMED and n_degenerate(update, latest.model, task.n_present):
            break
    converged = latest.reason not in (None, *em.UNFINISHED)
    rows = task.problem.source.at_hand
    totals = evaluate.totals(latest.model, rows, task.problem.engine) * task.scale
    model = latest.model
    reason, seconds = _wrong(task, model), time.monotonic() - began
    return Fit(lambda: model, totals, latest.index, seconds, converged, reason, latest.objective)
