"""What ``verbose`` prints: the start, the progress and the reason for stopping; and bars for what takes longer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.em import WINDOW, Pass, Reason
from mixtura.mixture import Mixture
from mixtura.scanning import Batch, Scan

if TYPE_CHECKING:
    from mixtura.task import Task


@contextmanager
def meter(progress: Any, text: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how much is done of how much.

    ``progress`` is such a function itself; or True for a bar on standard error, False for none, None for one where
    that is a terminal and rich is installed.
    """
    if callable(progress):
        yield progress
        return
    if progress not in (None, True, False):
        raise ValueError(f"progress must be a bool, None or a function, got {progress!r}: choose one of these")
    there = find_spec("rich") is not None
    if progress and not there:
        raise ImportError('the progress bar needs rich, which is not installed: pip install "mixtura[cli]"')
    if not (progress or (progress is None and there and sys.stderr is not None and sys.stderr.isatty())):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        shown = bar.add_task(text, total=total)
        yield lambda done, total: bar.update(shown, completed=done, total=total)


class Printer:
    """Prints every tenth pass at ``verbose`` 1, every pass above, nothing at 0; totals are multiplied by ``scale``."""

    def __init__(self, verbose: int, covariance_type: str, scale: float) -> None:
        self.covariance_type = covariance_type
        self.every = {0: 0, 1: 10}.get(int(verbose), 1)
        self.scale = scale
        self.due = 0

    def start(self, mixture: Mixture, n_rows: int) -> None:
        """Where a run begins."""
        self.due = 0
        if not self.every:
            return
        print(
            f"start: {mixture.n_components} components, {self.covariance_type}; "
            f"{n_rows} rows x {mixture.n_features} features"
        )
        with np.printoptions(precision=4, suppress=True, threshold=20):
            print(f"  weights: {mixture.weights}")
            print("  means: " + str(mixture.means).replace("\n", "\n         "))

    def one(self, latest: Pass) -> None:
        """A pass on the way."""
        if self.every and latest.index >= self.due:  # a try that was not accepted has a number, but is no pass to print
            how = ", accelerated" if latest.accelerated else ""
            total = f"log-likelihood {latest.loglik * self.scale:.4f}"
            print(f"pass {latest.index:4d}: {total}, {latest.seconds:.2f} s{how}")
            self.due = self.every * (latest.index // self.every + 1)

    def stop(self, last: Pass, tol: float) -> None:
        """How a run ended."""
        if not self.every:
            return
        passes = counted(last.index, "pass", "passes")
        why = {
            Reason.CONVERGED: f"converged after {passes} (tol {tol:g} nats over {WINDOW} passes)",
            Reason.ROUNDING: f"ended by rounding after {passes}: another would lose more than it gains",
            Reason.REG_COVAR: f"ended after {passes}: with reg_covar another would lower the log-likelihood",
            Reason.MAX_ITER: f"stopped at max_iter={last.index}, "
            f"still gaining {last.gain * self.scale:.2g} nats per pass",
            Reason.INTERRUPTED: f"interrupted after {passes}",
            None: "",
        }[last.reason]
        print(f"{why}: log-likelihood {last.loglik * self.scale:.4f}, {last.seconds:.2f} s")


def batch(verbose: int, number: int, record: Mapping[str, Any]) -> None:
    """What was learnt from a batch, by its record in ``history_``; printed unless ``verbose`` is 0."""
    if verbose:
        before, after = (record[name] / record["weight"] for name in ("predicted", "loglik"))
        print(f"batch {number}: log-likelihood per row {before:.4f}, learnt {after:.4f}, {record['seconds']:.2f} s")


class Teller(Printer):
    """The same for whoever wants a line of words: ``say`` hears where a run is, as log-likelihood per unit of weight.

    ``total`` is the sum of the scaled weights.
    """

    def __init__(self, say: Callable[[str], None], total: float) -> None:
        super().__init__(0, "", 1.0)
        self.say, self.total = say, total
        self.before: float | None = None

    @classmethod
    def of(cls, say: Callable[[str], None], task: Task) -> Teller:
        """The one that hears of the runs of a fit."""
        return cls(say, task.problem.source.total)

    def start(self, mixture: Mixture, n_rows: int) -> None:
        """Where a run begins."""
        self.before = None
        self.say("start")

    def one(self, latest: Pass) -> None:
        """A pass on the way."""
        reached = latest.loglik / self.total
        gain = "" if self.before is None else f", gained {reached - self.before:.1e}"
        self.say(f"pass {latest.index}: log-likelihood per row {reached:.6f}{gain}")
        self.before = reached


@contextmanager
def reading(console: Any, text: str, scan: Scan) -> Iterator[tuple[Callable[[str], None], Scan]]:
    """Show on rich's ``console``, while the block runs, a line of ``text`` over a bar of the rows that have been read
    in the pass that is under way: gives a function that changes the line, and the scan that is watched.

    The time that is left is that of the pass: how many more there will be, nobody knows.  How many rows there are may
    be known after the first pass only.
    """
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    line = Text(text, no_wrap=True, overflow="ellipsis")
    left = TimeRemainingColumn()
    bar = Progress(BarColumn(20), TextColumn("{task.fields[rows]}"), left, TextColumn("left of this pass"))
    shown = bar.add_task("", total=scan.n_rows, rows="")
    known = [scan.n_rows]

    def say(latest: str) -> None:
        line.plain = latest  # as Text, because square brackets in a name are no markup

    def read() -> Iterator[Batch]:
        bar.reset(shown, total=known[0])
        done = 0
        for batch in scan.read():
            yield batch
            done += len(batch.x)
            of = "" if known[0] is None else f" of {known[0]:,}"
            bar.update(shown, completed=done, rows=f"{done:,}{of} rows")
        known[0] = done

    # What is printed goes where it would go, which is not always where the bar is.
    with Live(Group(line, bar), console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        yield say, replace(scan, read=read)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 row, 2 rows."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def unfinished(reason: Reason | None, n_iter: int, max_iter: int, gain: float) -> str:
    """What to say of a run that ended before it converged, gaining ``gain`` nats per pass."""
    if reason is Reason.REG_COVAR:
        return (
            f"EM ended after {counted(n_iter, 'update')}, because with reg_covar the next would lower the "
            "log-likelihood: use prior='fraley-raftery' instead of reg_covar, or a smaller number"
        )
    if reason is Reason.INTERRUPTED:
        return (
            f"the fit was interrupted after {counted(n_iter, 'update')}, and the model is the best so far: "
            "to go on, make the same call again if it has a checkpoint, or set warm_start=True before"
        )
    if max_iter == 0:
        return "EM made no update, the model is the start: raise max_iter"
    return (
        f"EM made {counted(max_iter, 'update')}, as many as max_iter allows, and was still gaining "
        f"{gain:.2g} nats per pass: "
        "raise max_iter, or raise tol if that is near enough"
    )
