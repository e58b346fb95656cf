"""What becomes of the starts of a fit: each is run to its end, the runs are ranked, and the best one is looked at.

A run ranks by how few of its components are degenerate, then by its objective: the likelihood of a spike says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura import background, degeneracy, em, evaluate
from mixtura.checkpoint import Journaled
from mixtura.degeneracy import HARMLESS, Diagnosis, diagnose, hardly_resolved, n_degenerate
from mixtura.engine import Serial, Threads
from mixtura.initialize import Outcome, first_of_best
from mixtura.mixture import Mixture
from mixtura.progress import Printer, unfinished
from mixtura.rows import Rows
from mixtura.start import distinct_points
from mixtura.task import Task
from mixtura.unresolved import unresolved

Cut = TypeVar("Cut", Rows, NDArray[np.intp])

COMPARED = 2_000
"""Rows by which partitions are compared, at most."""


@dataclass(frozen=True, eq=False)
class Run:
    """A start carried to its end: the ``last`` pass, and all of them as ``history_`` shows them.

    ``dropped`` are components that were taken out on the way, by the numbers that they had at first.
    """

    last: em.Pass
    history: list[dict[str, Any]]
    dropped: Sequence[Diagnosis] = ()

    @property
    def converged(self) -> bool:
        """Whether it ended because nothing was left to gain."""
        return self.last.reason not in em.UNFINISHED

    @property
    def interrupted(self) -> Run:
        """The same as what there is when the fit is interrupted."""
        return replace(self, last=replace(self.last, reason=em.Reason.INTERRUPTED))


def passes(task: Task, begin: Mixture, halt: threading.Event | None = None) -> Iterator[em.Pass]:
    """The passes of a run from ``begin``."""
    return em.passes(
        task.problem,
        begin,
        tol=task.tol,
        max_iter=task.max_iter,
        member=task.member,
        driver=task.driver,
        halt=halt,
    )


def record(task: Task, one: em.Pass) -> dict[str, Any]:
    """A pass as ``history_`` shows it."""
    shown: dict[str, Any] = {
        "objective": one.objective * task.scale,
        "loglik": one.loglik * task.scale,
        "seconds": one.seconds,
        "accelerated": one.accelerated,
    }
    if one.model.background is not None:
        shown["noise_weight"] = one.model.background.weight
    return shown | {"model": one.model.components} if task.trace else shown


def carried(task: Task, begin: Mixture, printer: Printer, halt: threading.Event | None = None) -> Run:
    """The run from ``begin``; with ``halt`` an interrupt ends it with what there is."""
    printer.start(begin, task.problem.source.n_rows)
    history: list[dict[str, Any]] = []
    last, n_passes = None, 0
    try:
        for latest in passes(task, begin, halt):
            printer.one(latest)
            history.append(record(task, latest))
            last, n_passes = latest, len(history)
    except KeyboardInterrupt:  # between two passes; the passes themselves see to it
        if halt is None or last is None:
            raise
        halt.set()
        last = replace(last, reason=em.Reason.INTERRUPTED)
    assert last is not None
    printer.stop(last, task.tol)
    return Run(last, history[:n_passes])


def outcome(task: Task, last: em.Pass) -> Outcome:
    """What became of a run that ended with ``last``."""
    degenerate = n_degenerate(task.problem.update, last.model, task.n_present)
    return Outcome(last.objective, last.index, "collapsed" if degenerate else str(last.reason), degenerate, last.model)


def best(
    task: Task,
    starts: Iterator[tuple[int, Mixture]],
    outcomes: dict[int, Outcome],
    printer: Printer,
    *,
    first_sound: bool,
    halt: threading.Event | None = None,
) -> tuple[int, Run]:
    """The best of the runs from these numbered starts, with its number; ``outcomes`` receives what became of each.

    With ``first_sound`` they are tried in turn until one does not end degenerate.  With ``halt`` an interrupt ends them
    all, and the best of what there is is taken.
    """
    runs: dict[int, Run] = {}
    together = not first_sound and not printer.every and not isinstance(task.problem.source, Journaled)
    try:
        for number, run in (_carried_together if together else _carried_in_turn)(task, starts, printer, halt):
            outcomes[number] = outcome(task, run.last)
            runs[number] = run
            if first_sound and outcomes[number].degenerate == 0:
                break
    except KeyboardInterrupt:  # before the first pass of a run
        if halt is None or not runs:
            raise
        halt.set()
    numbers = list(runs)
    chosen = numbers[first_of_best([outcomes[number].rank for number in numbers], task.n_present)]
    return chosen, runs[chosen].interrupted if halt is not None and halt.is_set() else runs[chosen]


def _carried_in_turn(
    task: Task, starts: Iterator[tuple[int, Mixture]], printer: Printer, halt: threading.Event | None
) -> Iterator[tuple[int, Run]]:
    """The runs from numbered starts, one after the other."""
    for number, begin in starts:
        yield number, carried(task, begin, printer, halt)
        if halt is not None and halt.is_set():
            return


def _carried_together(
    task: Task, starts: Iterator[tuple[int, Mixture]], printer: Printer, halt: threading.Event | None
) -> Iterator[tuple[int, Run]]:
    """The runs from numbered starts, in their order, where all are wanted anyway and none is printed: they share out
    the cores, and the blocks of each follow each other."""
    engine = task.problem.engine
    if not isinstance(engine, Threads):
        yield from _carried_in_turn(task, starts, printer, halt)
        return
    alone = replace(task, problem=replace(task.problem, engine=Serial()))
    ended = threading.Event() if halt is None else halt
    runs: list[tuple[int, Future[Run]]] = []
    pool = ThreadPoolExecutor(engine.workers, thread_name_prefix="mixtura-run")
    try:
        try:
            for number, begin in starts:
                runs.append((number, pool.submit(carried, alone, begin, printer, ended)))
            done, _ = wait([run for _, run in runs], return_when=FIRST_EXCEPTION)
            if any(run.exception() is not None for run in done):  # the others would run to their ends before it is told
                ended.set()
        except KeyboardInterrupt:
            if halt is None or not runs:
                raise
            halt.set()
        for index, (number, run) in enumerate(runs):
            if index == 0 or not (ended.is_set() and run.cancel()):
                yield number, run.result()
    except BaseException:  # whatever it is: the other runs are not wanted any more
        ended.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def landscape(task: Task, outcomes: Mapping[int, Outcome]) -> list[tuple[dict[str, Any], NDArray[np.int32]]]:
    """What became of each start, in words and numbers, and the labels that it gives to some of the rows (see
    ``compared``)."""
    rows = compared(task.problem.source.at_hand)
    return [
        (
            {
                "objective": one.objective * task.scale,
                "passes": one.passes,
                "outcome": one.outcome,
                "degenerate": one.degenerate,
            },
            evaluate.labels(one.model, rows, Serial()).astype(np.int32),
        )
        for _, one in sorted(outcomes.items())
    ]


def compared(rows: Cut) -> Cut:
    """Of the rows (or labels) those by which partitions are compared, COMPARED or fewer in steps of one length."""
    return rows[:: -(-len(rows) // COMPARED)]


def without_degenerate(task: Task, run: Run, printer: Printer, halt: threading.Event | None = None) -> Run:
    """The run that is left when degenerate components are taken out, one round after the other, or until an interrupt
    ends one of them."""
    numbers = np.arange(run.last.model.n_components)
    dropped: list[Diagnosis] = []
    while True:
        labels = evaluate.labels(run.last.model, task.problem.source.at_hand, task.problem.engine)
        found = diagnosis(task, run.last.model, labels)
        kept = [one.component for one in found if one.state in HARMLESS]
        # Where nothing healthy would be left, those that have rows at all are what there is.
        kept = kept or [one.component for one in found if one.state != "empty"]
        if len(kept) in (0, len(found)) or run.last.reason is em.Reason.INTERRUPTED:
            return replace(run, dropped=sorted(dropped, key=lambda one: one.component))
        try:
            further = carried(task, run.last.model.only(kept), printer, halt)
        except KeyboardInterrupt:  # before its first pass
            if halt is None:
                raise
            run = run.interrupted
            continue
        gone = [one for one in found if one.component not in kept]
        dropped += [replace(one, component=int(numbers[one.component]), done="dropped") for one in gone]
        numbers, run = numbers[kept], further


def diagnosis(task: Task, model: Mixture, labels: NDArray[np.intp]) -> list[Diagnosis]:
    """The diagnosis of each component of ``model``, ``labels`` being those of the rows that are present."""
    rows = task.problem.source.at_hand
    unseen = unresolved(model, rows, labels, task.n_present)
    return diagnose(task.problem.update, model, rows, labels, task.n_present, task.names, unseen)


def remarks(task: Task, run: Run, found: Sequence[Diagnosis], df: int) -> dict[str, str]:
    """What has to be said about a run that is kept, by subject; ``df`` counts the free parameters of its model."""
    source, update = task.problem.source, task.problem.update
    said = degeneracy.remarks(
        update,
        found,
        run.dropped,
        n_distinct=distinct_points(source, len(found)),
        n_parameters=df,
        n_rows=task.n_present,
        coarse=hardly_resolved(update, source.at_hand.x, task.names),
        labelled=source.at_hand.label is not None,
    )
    said |= background.remarks(run.last.model.background)
    if not run.converged:
        gain = em.recent_gain([one["objective"] for one in run.history])
        said["convergence"] = unfinished(run.last.reason, run.last.index, task.max_iter, gain)
    return said
