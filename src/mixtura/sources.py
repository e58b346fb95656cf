"""Sources that are larger than memory: the same sums, over parts that are read again for each pass.

A first look at a scan counts its rows, finds what is missing and keeps rows at hand, as many as take HELD_BYTES: all of
them, if there are no more, and then the source is one in memory; else one out of each stretch of the same length.  What
needs rows to look at (starts, the scale of the bulk, the diagnosis) has these; every sum is over all rows.

A pass works on one part after the other, on whichever core is free, and adds up what they tell in pairs, in the order
of the parts: the same bits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.engine import Addable, Engine, Pairwise, Serial, one_blas_thread
from mixtura.rows import InMemory, Rows, held, most_held
from mixtura.scanning import Batch, Scan

S = TypeVar("S", bound=Addable)
R = TypeVar("R")

NO_ROWS = "{} has no rows: at least one is needed"


@dataclass(frozen=True, eq=False)
class Survey:
    """What a look at all rows of a table tells.

    ``n_rows`` rows, ``n_present`` of them with a weight above 0, of ``total`` weight, ``squares`` being the sum of the
    squared weights; ``n_missing`` values are missing, ``n_empty`` rows tell nothing.  ``at_hand``: all rows if they are
    ``whole``, else some of those present.  They say what is missing of them if anything is missing anywhere.
    """

    n_rows: int
    n_present: int
    total: float
    squares: float
    n_missing: int
    n_empty: int
    at_hand: Rows
    whole: bool


def surveyed(scan: Scan) -> Survey:
    """A look at all rows of a scan: one pass over those whose number is known beforehand, or that are few; else two.

    ValueError names the place of a value that is infinite, of a column without any value, of a weight that is none.
    """
    most = most_held(scan.n_features)
    wanted = None if scan.n_rows is None or scan.n_rows <= most else held(scan.n_rows, scan.n_features)
    found = _look(scan, wanted, most)
    if found is None:  # more rows than can be held, and nobody knew
        n_rows = sum(len(batch.x) for batch in scan)
        found = _look(scan, held(n_rows, scan.n_features), most)
        assert found is not None
    return found


def _look(scan: Scan, wanted: NDArray[np.intp] | None, most: int) -> Survey | None:
    """The survey; None if no rows are ``wanted`` in particular, and there are more than ``most``."""
    kept: list[Batch] = []
    told = np.zeros(scan.n_features, dtype=bool)
    n_rows, n_present, n_missing, n_empty, total, squares = 0, 0, 0, 0, 0.0, 0.0
    for batch in scan:
        gone = checked(scan, batch)
        missing = int(np.count_nonzero(gone))
        n_missing += missing
        n_empty += int(gone.all(axis=1).sum()) if missing else 0
        told |= ~gone.all(axis=0)
        n_present += len(batch.x) if batch.weight is None else int(np.count_nonzero(batch.weight))
        total += float(len(batch.x) if batch.weight is None else batch.weight.sum())
        squares += float(len(batch.x) if batch.weight is None else batch.weight @ batch.weight)
        if wanted is None:
            kept.append(batch)
        else:
            first, last = np.searchsorted(wanted, [n_rows, n_rows + len(batch.x)])
            own = wanted[first:last] - n_rows
            kept.append(Batch(batch.x[own], None if batch.weight is None else batch.weight[own], batch.place))
        n_rows += len(batch.x)
        if wanted is None and n_rows > most:
            return None
    if n_rows == 0:
        raise ValueError(NO_ROWS.format(scan.described))
    if not told.all():
        column = int(np.argmin(told))
        raise ValueError(
            f"each column must have a value, but {scan.named(column)} of {scan.described} has none: leave it out"
        )
    if not total > 0:
        raise ValueError(f"the weights of {scan.described} must have a sum above 0, got {total:g}: check the column")
    x = np.concatenate([batch.x for batch in kept])
    weights = [batch.weight for batch in kept if batch.weight is not None]
    rows = Rows(x, np.concatenate(weights) if weights else None, np.isnan(x) if n_missing else None)
    if wanted is not None and rows.weight is not None:
        rows = rows[np.flatnonzero(rows.weight)]
    return Survey(n_rows, n_present, total, squares, n_missing, n_empty, rows, wanted is None)


def checked(scan: Scan, batch: Batch) -> NDArray[np.bool_]:
    """Which values (m, d) of a batch are missing; ValueError where one is infinite or a weight is none."""
    gone = np.isnan(batch.x)
    wild = np.isinf(batch.x)
    if wild.any():
        row, column = (int(index) for index in np.argwhere(wild)[0])
        raise ValueError(
            f"{scan.described} must hold finite numbers, got {batch.x[row, column]} in {scan.named(column)}, {row} "
            f"rows into {batch.place}: take the row out, or leave the value empty if it is not known"
        )
    weight = batch.weight
    if weight is not None and not (counts := np.isfinite(weight) & (weight >= 0)).all():
        row = int(np.argmin(counts))
        raise ValueError(
            f"weights must be finite and not negative, got {weight[row]}, {row} rows into {batch.place}: use 0 for a "
            "row that does not count"
        )
    return gone


@dataclass(frozen=True, eq=False)
class Streamed:
    """A source whose parts are read from a scan for each pass; weights are divided by ``unit``, their mean."""

    scan: Scan
    survey: Survey

    @property
    def unit(self) -> float:
        return self.survey.total / self.survey.n_present

    @property
    def n_rows(self) -> int:
        return self.survey.n_present

    @property
    def n_features(self) -> int:
        return self.scan.n_features

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.survey.total / self.unit

    @property
    def exact(self) -> bool:
        """Whether nothing is missing."""
        return self.survey.at_hand.missing is None

    @cached_property
    def at_hand(self) -> Rows:
        """The rows that were kept."""
        rows = self.survey.at_hand
        return rows if rows.weight is None else replace(rows, weight=rows.weight / self.unit)

    @property
    def largest_part(self) -> int:
        """Rows of a part, at most."""
        return min(self.n_rows // 2, len(self.survey.at_hand))

    def parts(self) -> Iterator[InMemory]:
        """The rows, batch by batch, checked against what they were."""
        n_rows = 0
        for batch in self.scan:
            n_rows += len(batch.x)
            if n_rows > self.survey.n_rows:
                break
            yield InMemory(self._present(batch))
        if n_rows != self.survey.n_rows:
            more = "more" if n_rows > self.survey.n_rows else f"{n_rows}"
            raise ValueError(
                f"{self.scan.described} must give the same rows each time, but had {self.survey.n_rows} at first and "
                f"{more} now: scan it anew when nobody changes it"
            )

    def _present(self, batch: Batch) -> Rows:
        """The rows that count, their weights scaled."""
        missing = None
        if not self.exact:
            missing = np.isnan(batch.x)
        elif not self.scan.stamped and not np.isfinite(batch.x.sum(dtype=np.float64)):
            self._refuse_new_gap(batch)
        if batch.weight is None:
            return Rows(batch.x, None, missing)
        rows = Rows(batch.x, batch.weight / self.unit, missing)
        return rows if batch.weight.all() else rows[np.flatnonzero(batch.weight)]

    def _refuse_new_gap(self, batch: Batch) -> None:
        gone = checked(self.scan, batch)
        if gone.any():
            raise ValueError(
                f"{self.scan.described} must give the same rows each time, but {batch.place} has a missing value where "
                "none was before: scan it anew when nobody changes it"
            )

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S:
        """Sum of ``of_part`` over the parts."""
        total: Pairwise[S] = Pairwise()
        alone = Serial()
        with one_blas_thread():
            engine.each(lambda part: of_part(part, alone), self.parts(), total.add)
        return total.sum()

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` of the rows at hand without replacement, in their order, in float64."""
        return InMemory(self.at_hand).sample(n, rng)

    def part(self, n: int, rng: np.random.Generator) -> InMemory:
        """A source over ``n`` of the rows at hand or up to twice as many."""
        return InMemory(self.at_hand).part(n, rng)


def held_whole(scan: Scan) -> Rows | None:
    """All rows of a scan as they are, unchecked, if they are few enough to be at hand; None if they are more."""
    most, n_rows = most_held(scan.n_features), 0
    if scan.n_rows is not None and scan.n_rows > most:
        return None
    kept: list[Batch] = []
    for batch in scan:
        kept.append(batch)
        n_rows += len(batch.x)
        if n_rows > most:
            return None
    if n_rows == 0:
        raise ValueError(NO_ROWS.format(scan.described))
    weights = [batch.weight for batch in kept if batch.weight is not None]
    return Rows(np.concatenate([batch.x for batch in kept]), np.concatenate(weights) if weights else None)


def each_batch(scan: Scan, engine: Engine, function: Callable[[Rows, Engine], R]) -> Iterator[R]:
    """What ``function`` makes of the rows of each batch, which are checked, in their order."""
    alone = Serial()
    with one_blas_thread():
        yield from engine.map(lambda rows: function(rows, alone), _rows_of(scan))


def _rows_of(scan: Scan) -> Iterator[Rows]:
    """The rows of a scan, batch by batch, to be evaluated one by one."""
    empty = True
    for batch in scan:
        gone, empty = checked(scan, batch), False
        yield Rows(batch.x, batch.weight, gone if gone.any() else None)
    if empty:
        raise ValueError(NO_ROWS.format(scan.described))
