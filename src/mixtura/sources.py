"""Sources that are larger than memory: the same sums, over parts that are read again for each pass.

A first look at a scan counts its rows, finds what is missing and keeps rows at hand, as many as take HELD_BYTES: all of
them, if there are no more, and then the source is one in memory; else one out of each stretch of the same length.  What
needs rows to look at (starts, the scale of the bulk, the diagnosis) has these; every sum is over all rows.

A pass works on one part after the other, on whichever core is free, and adds up what they tell in pairs, in the order
of the parts: the same bits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura import validation
from mixtura.engine import Addable, Engine, Pairwise, Serial, added, one_blas_thread
from mixtura.rows import InMemory, Rows, held, most_held, norm, telling
from mixtura.scanning import Batch, Heading, Scan, together

S = TypeVar("S", bound=Addable)
R = TypeVar("R")

NO_ROWS = "{} has no rows: at least one is needed"


@dataclass(frozen=True, eq=False)
class Survey:
    """What a look at all rows of a table tells.

    ``n_rows`` rows, ``n_present`` of them with a weight above 0 and a value, of ``total`` weight, ``norm`` being the
    root of the sum of the squared weights; ``n_missing`` values are missing, ``n_empty`` rows tell nothing.
    ``at_hand``: all rows if they are ``whole``, else some of those present.  They say what is missing of them if
    anything is, anywhere.  ``sizes`` are the numbers of rows of the batches.
    """

    n_rows: int
    n_present: int
    total: float
    norm: float
    n_missing: int
    n_empty: int
    at_hand: Rows
    whole: bool
    sizes: tuple[int, ...]


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
    if found.whole or not mostly_silent(found.n_rows, found.n_present):
        return found
    wanted, kept, n_present = held(found.n_present, scan.n_features), [], 0
    for batch in scan:
        own = counting(batch)
        kept.append(wanted_of(own, wanted, n_present))
        n_present += len(own.x)
    if n_present != found.n_present:
        raise ValueError(
            f"{scan.described} must give the same rows each time, but {found.n_present} of them told something at "
            f"first and {n_present} now: scan it anew when nobody changes it"
        )
    return replace(found, at_hand=_together(kept, missing=found.n_missing > 0))


def mostly_silent(n_rows: int, n_present: int) -> bool:
    """Whether rows at hand are chosen among those that tell something: of others most would be lost, or all."""
    return 2 * n_present < n_rows


@dataclass(frozen=True, eq=False)
class Glance:
    """What a look at a batch tells: numbers of rows and of those that tell something, of these the ``total`` of the
    weights and their ``norm``, the root of the sum of the squares, missing values, rows that have no value, the columns
    (d,) that have one, and the bytes of it all; + for more batches."""

    n_rows: int
    n_present: int
    total: float
    norm: float
    n_missing: int
    n_empty: int
    told: NDArray[np.bool_]
    n_bytes: int

    def __add__(self, other: Glance) -> Glance:
        return Glance(
            self.n_rows + other.n_rows,
            self.n_present + other.n_present,
            self.total + other.total,
            float(np.hypot(self.norm, other.norm)),
            self.n_missing + other.n_missing,
            self.n_empty + other.n_empty,
            self.told | other.told,
            self.n_bytes + other.n_bytes,
        )


def glance_at(table: Heading, batch: Batch) -> Glance:
    """A look at one batch of a table; ValueError where a value is infinite or a weight is none."""
    rows = rows_in(table, batch)
    own, gone = rows[telling(rows)], rows.missing
    return Glance(
        len(rows),
        len(own),
        own.total,
        norm(own),
        0 if gone is None else int(gone.sum()),
        0 if gone is None else int(gone.all(axis=1).sum()),
        np.full(batch.x.shape[1], len(rows) > 0) if gone is None else np.asarray(~gone.all(axis=0)),
        batch.x.nbytes + (0 if batch.weight is None else batch.weight.nbytes),
    )


def of_batch(batch: Batch, index: Any) -> Batch:
    """Some rows of a batch, by their numbers."""
    return Batch(batch.x[index], None if batch.weight is None else batch.weight[index], batch.place)


def wanted_of(batch: Batch, wanted: NDArray[np.intp], before: int) -> Batch:
    """The rows of a batch that are ``wanted``, by numbers that increase and count the rows ``before`` it, too."""
    first, last = np.searchsorted(wanted, [before, before + len(batch.x)])
    return of_batch(batch, wanted[first:last] - before)


def counting(batch: Batch) -> Batch:
    """The rows of a batch that have weight and tell something."""
    return of_batch(batch, telling(Rows(batch.x, batch.weight, validation.missing(batch.x))))


def _together(kept: Sequence[Batch], *, missing: bool) -> Rows:
    """The rows of batches; they say what is missing of them, if anything is ``missing`` anywhere."""
    x, weight = together(kept)
    return Rows(x, weight, np.isnan(x) if missing else None)


def _look(scan: Scan, wanted: NDArray[np.intp] | None, most: int) -> Survey | None:
    """The survey; None if no rows are ``wanted`` in particular, and there are more than ``most``."""
    kept: list[Batch] = []
    sizes: list[int] = []
    seen = Glance(0, 0, 0.0, 0.0, 0, 0, np.zeros(scan.n_features, dtype=bool), 0)
    for batch in scan:
        if wanted is None:
            kept.append(batch)
        else:
            kept.append(wanted_of(batch, wanted, seen.n_rows))
        seen = seen + glance_at(scan, batch)
        sizes.append(len(batch.x))
        if wanted is None and seen.n_rows > most:
            return None
    return survey_of(scan, seen, kept, sizes, whole=wanted is None)


def survey_of(table: Heading, seen: Glance, kept: Sequence[Batch], sizes: Sequence[int], *, whole: bool) -> Survey:
    """The survey that glances at all batches and the rows ``kept`` make: the ``whole`` table or some of it."""
    if seen.n_rows == 0:
        raise ValueError(NO_ROWS.format(table.described))
    if not seen.told.all():
        column = int(np.argmin(seen.told))
        raise ValueError(
            f"each column must have a value, but {table.named(column)} of {table.described} has none: leave it out"
        )
    if not seen.total > 0:
        raise ValueError(
            f"the weights of {table.described} must have a sum above 0, got {seen.total:g}: check the column"
        )
    rows = _together(kept, missing=seen.n_missing > 0)
    if not whole:
        rows = rows[telling(rows)]
    return Survey(
        seen.n_rows,
        seen.n_present,
        seen.total,
        seen.norm,
        seen.n_missing,
        seen.n_empty,
        rows,
        whole,
        tuple(sizes),
    )


def rows_in(table: Heading, batch: Batch) -> Rows:
    """The rows of a batch, with what is missing of them; ValueError where a value is infinite or a weight is none."""
    wild = np.isinf(batch.x)
    if wild.any():
        row, column = (int(index) for index in np.argwhere(wild)[0])
        raise ValueError(
            f"{table.described} must hold finite numbers, got {batch.x[row, column]} in {table.named(column)}, {row} "
            f"rows into {batch.place}: take the row out, or leave the value empty if it is not known"
        )
    weight = batch.weight
    if weight is not None and not (counts := np.isfinite(weight) & (weight >= 0)).all():
        row = int(np.argmin(counts))
        raise ValueError(
            f"weights must be finite and not negative, got {weight[row]}, {row} rows into {batch.place}: use 0 for a "
            "row that does not count"
        )
    return Rows(batch.x, weight, validation.missing(batch.x))


@dataclass(frozen=True, eq=False)
class Intake:
    """How batches of a ``table`` become rows of which something may be missing, unless they are ``exact``: weights are
    divided by ``unit``, and a table that is not ``stamped`` is watched for values that go missing."""

    table: Heading
    exact: bool
    unit: float
    stamped: bool

    def rows(self, batch: Batch) -> Rows:
        """The rows that count."""
        missing = None
        if not self.exact:
            missing = np.isnan(batch.x)
        elif not self.stamped and not np.isfinite(batch.x.sum(dtype=np.float64)):
            self._refuse_new_gap(batch)
        rows = Rows(batch.x, None if batch.weight is None else batch.weight / self.unit, missing)
        return rows[telling(rows)]

    def _refuse_new_gap(self, batch: Batch) -> None:
        if rows_in(self.table, batch).missing is not None:
            raise ValueError(
                f"{self.table.described} must give the same rows each time, but {batch.place} has a missing value "
                "where none was before: scan it anew when nobody changes it"
            )


@dataclass(frozen=True, eq=False)
class Partly:
    """What sources larger than memory share: a survey, whose rows stand for all."""

    survey: Survey

    @property
    def unit(self) -> float:
        """Mean of the weights above 0, by which they are divided."""
        return self.survey.total / self.survey.n_present

    @property
    def n_rows(self) -> int:
        return self.survey.n_present

    @property
    def n_features(self) -> int:
        return int(self.survey.at_hand.x.shape[1])

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.survey.total / self.unit

    @property
    def exact(self) -> bool:
        """Whether nothing is missing."""
        return self.survey.at_hand.missing is None

    @property
    def in_memory(self) -> None:
        """Nothing: not all rows are."""
        return None

    @cached_property
    def at_hand(self) -> Rows:
        """The rows that were kept."""
        rows = self.survey.at_hand
        return rows if rows.weight is None else replace(rows, weight=rows.weight / self.unit)

    @property
    def largest_part(self) -> int:
        """Rows of a part, at most."""
        return min(self.n_rows // 2, len(self.survey.at_hand))

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` of the rows at hand without replacement, in their order, in float64."""
        return InMemory(self.at_hand).sample(n, rng)

    def part(self, n: int, rng: np.random.Generator) -> InMemory:
        """A source over ``n`` of the rows at hand or up to twice as many."""
        return InMemory(self.at_hand).part(n, rng)


@dataclass(frozen=True, eq=False)
class Streamed(Partly):
    """A source whose parts are read from a scan for each pass."""

    scan: Scan

    @property
    def table(self) -> Heading:
        """What is known of the rows beforehand."""
        return self.scan

    def parts(self) -> Generator[InMemory]:
        """The rows, batch by batch, checked against what they were."""
        intake = Intake(self.scan, self.exact, self.unit, self.scan.stamped)
        n_rows = 0
        with closing(iter(self.scan)) as batches:
            for batch in batches:
                n_rows += len(batch.x)
                if n_rows > self.survey.n_rows:
                    break
                rows = intake.rows(batch)
                if len(rows):
                    yield InMemory(rows)
        if n_rows != self.survey.n_rows:
            more = "more" if n_rows > self.survey.n_rows else f"{n_rows}"
            raise ValueError(
                f"{self.scan.described} must give the same rows each time, but had {self.survey.n_rows} at first and "
                f"{more} now: scan it anew when nobody changes it"
            )

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S:
        """Sum of ``of_part`` over the parts."""
        total: Pairwise[S] = Pairwise()
        alone = Serial()
        # Closed at once where a pass is broken off: whoever collects the reader later may wait for its thread for ever.
        with closing(self.parts()) as parts:
            return added(engine, lambda part: of_part(part, alone), parts, total)


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
    return Rows(*together(kept))


def each_batch(scan: Scan, engine: Engine, function: Callable[[Rows, Engine], R]) -> Iterator[R]:
    """What ``function`` makes of the rows of each batch, which are checked, in their order."""
    alone = Serial()
    with one_blas_thread():
        yield from engine.map(lambda rows: function(rows, alone), rows_of(scan))


def rows_of(scan: Scan) -> Iterator[Rows]:
    """The rows of a scan, batch by batch, to be evaluated one by one."""
    empty = True
    for batch in scan:
        empty = False
        yield rows_in(scan, batch)
    if empty:
        raise ValueError(NO_ROWS.format(scan.described))
