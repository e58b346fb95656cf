"""What a pass reads: aligned arrays that are cut together, and sources that hand them out in blocks.

n rows, d features.  A source promises three things: its blocks can be asked for again and come in the same
order, a block is a view wherever that is possible, and ``sample`` depends on the seed alone.

A row tells something of a point.  The point itself, if the row is exact; else some of its features (the others are NaN
in ``x``), the point with an error of known covariance added (``noise``), or an interval that it lies in (``edges``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from mixtura.engine import Addable, Engine
from mixtura.patterns import Patterns, patterns_of

S = TypeVar("S", bound=Addable)

Array = NDArray[np.float64]
AnyArray = NDArray[Any]  # rows as the user gave them: any real dtype, promoted block by block

UNKNOWN = -1
"""Label of a row of which it is not known where it belongs."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Aligned arrays: ``x`` (n, d) of any real dtype, and what there is beside it, or None.

    ``weight`` (n,), None for unit weights.  ``missing`` (n, d): which entries of x are not known.  ``noise``: variances
    (n, d) or covariances (n, d, d) of the errors.  ``edges`` (n, 2): the ends of an interval of the one feature, of
    which x is the middle.  ``label`` (n,): the component a row belongs to, or UNKNOWN; or (n, K): which components it
    may belong to, with a background (n, K + 1).
    """

    x: AnyArray
    weight: Array | None = None
    missing: NDArray[np.bool_] | None = None
    noise: Array | None = None
    edges: Array | None = None
    label: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> Rows:
        return Rows(*(None if part is None else part[index] for part in self._parts))  # type: ignore[arg-type]

    @property
    def _parts(self) -> tuple[NDArray[Any] | None, ...]:
        return self.x, self.weight, self.missing, self.noise, self.edges, self.label

    @property
    def exact(self) -> bool:
        """Whether each row is its point."""
        return self.missing is None and self.noise is None and self.edges is None

    @property
    def comparable(self) -> AnyArray:
        """``x`` with inf where it is missing, which unlike NaN is equal to itself."""
        return self.x if self.missing is None else np.where(self.missing, np.inf, self.x)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self)) if self.weight is None else float(self.weight.sum())

    def allowed(self, n_columns: int) -> NDArray[np.bool_] | None:
        """Which of the first ``n_columns`` of K components, and a background after them, each row may belong to,
        (n_columns, n); None if it may be any of them."""
        if self.label is None:
            return None
        if self.label.ndim == 1:
            return np.asarray((self.label == np.arange(n_columns)[:, None]) | (self.label == UNKNOWN))
        if self.label.shape[1] >= n_columns:
            return np.asarray(self.label[:, :n_columns].T)
        # Of a background nothing is said: it may have a row that may belong to any component.
        return np.asarray(np.vstack([self.label.T, self.label.all(axis=1)]))


class Source(Protocol):
    """Where rows come from: whatever can be asked for sums over its parts, again and again.

    ``exact``: whether each row is its point.  ``at_hand`` are rows that are in memory, all of them or some that stand
    for all; ``in_memory`` is the source of these if they are all.  The order of a sum depends on the source, not on who
    works on its parts.
    """

    @property
    def n_rows(self) -> int: ...

    @property
    def n_features(self) -> int: ...

    @property
    def total(self) -> float: ...

    @property
    def exact(self) -> bool: ...

    @property
    def at_hand(self) -> Rows: ...

    @property
    def in_memory(self) -> InMemory | None: ...

    @property
    def largest_part(self) -> int: ...

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S: ...

    def sample(self, n: int, rng: np.random.Generator) -> Rows: ...

    def part(self, n: int, rng: np.random.Generator) -> Source: ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """A source over arrays that are in memory: all ``rows``, or those ``chosen``, which are copied block by block.

    Passes go over what is chosen; who looks at ``rows`` itself sees all of them.
    """

    rows: Rows
    chosen: NDArray[np.intp] | None = None

    @property
    def n_rows(self) -> int:
        return len(self.rows) if self.chosen is None else len(self.chosen)

    @property
    def n_features(self) -> int:
        return int(self.rows.x.shape[1])

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        weight = self.rows.weight
        if weight is None:
            return float(self.n_rows)
        return float((weight if self.chosen is None else weight[self.chosen]).sum())

    @cached_property
    def patterns(self) -> Patterns:
        """Which rows are told alike."""
        rows = self.rows if self.chosen is None else self.rows[self.chosen]
        return patterns_of(len(rows), rows.missing, rows.noise)

    @property
    def exact(self) -> bool:
        """Whether each row is its point."""
        return self.rows.exact

    @property
    def at_hand(self) -> Rows:
        """All rows."""
        return self.rows

    @property
    def in_memory(self) -> InMemory:
        """The source itself."""
        return self

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S:
        """What ``of_part`` makes of the source, which is its only part."""
        return of_part(self, engine)

    def cuts(self, size: int) -> Iterator[slice]:
        """Where the rows are cut, ``size`` at a time; the last block may be shorter."""
        for start in range(0, self.n_rows, size):
            yield slice(start, start + size)

    def read(self, where: slice | NDArray[np.intp]) -> Rows:
        """The rows between two cuts, or those numbered."""
        return self.rows[where if self.chosen is None else self.chosen[where]]

    def blocks(self, size: int) -> Iterator[Rows]:
        """The rows in order, ``size`` at a time."""
        return map(self.read, self.cuts(size))

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` of all rows without replacement, in the order of the source, in float64."""
        rows = self.rows
        if len(rows) > n:
            among = self._held(n)
            chosen = np.sort(rng.choice(len(rows) if among is None else len(among), n, replace=False, shuffle=False))
            rows = rows[chosen if among is None else among[chosen]]
        return replace(rows, x=np.array(rows.x, dtype=np.float64, order="C"))

    def part(self, n: int, rng: np.random.Generator) -> InMemory:
        """A source over ``n`` of all rows or up to twice as many, one out of each stretch of the same length."""
        among = self._held(n)
        n_rows = len(self.rows) if among is None else len(among)
        stretch = n_rows // n
        begins = np.arange(0, n_rows - stretch + 1, stretch)
        chosen = begins + rng.integers(stretch, size=len(begins))
        return InMemory(self.rows, chosen if among is None else among[chosen])

    @property
    def largest_part(self) -> int:
        """Rows of a part, at most."""
        return self.n_rows // 2

    def _held(self, n: int) -> NDArray[np.intp] | None:
        """The rows that a source larger than memory would have at hand, for ``n`` of them, if that is not all: whatever
        is chosen by chance is then the same for all sources."""
        if len(self.rows) <= most_held(self.n_features):
            return None
        found = held(len(self.rows), self.n_features)
        return found if n <= len(found) else None


HELD_BYTES = 64 << 20
"""Size, as float64, of the rows that a source larger than memory keeps at hand."""


def most_held(n_features: int) -> int:
    """Rows that are kept at hand, at most."""
    return max(HELD_BYTES // (8 * n_features), 1)


def held(n_rows: int, n_features: int) -> NDArray[np.intp]:
    """Which of ``n_rows`` rows are kept at hand: one out of each stretch of the same length, all if they are few."""
    stretch = -(-n_rows // most_held(n_features))
    begins = np.arange(0, n_rows, stretch)
    return begins + np.random.default_rng(0).integers(np.minimum(stretch, n_rows - begins))


def constant(x: AnyArray) -> NDArray[np.bool_]:
    """Which columns (d,) hold one value: from variances it cannot be told, for their mean is rounded."""
    return np.asarray(x.max(axis=0) == x.min(axis=0))


def norm(rows: Rows) -> float:
    """Root of the sum of the squared weights, which is a number in any unit of theirs; the squares need not be."""
    return float(np.sqrt(len(rows)) if rows.weight is None else blas.dnrm2(rows.weight) if len(rows) else 0.0)


def effective_rows(rows: Rows) -> float:
    """How many rows of equal weight tell as much as rows of these weights (n,) (Kish 1965)."""
    return float((rows.total / norm(rows)) ** 2)


def present(rows: Rows) -> Any:
    """Index of the rows that have weight.

    A row of weight zero is absent: left in, it could still spoil a sum by 0 * inf.
    """
    return slice(None) if rows.weight is None or rows.weight.all() else np.flatnonzero(rows.weight)


def telling(rows: Rows) -> Any:
    """Index of the rows that have weight and tell something.

    Of parameters, a row of which nothing is known, not even where it belongs, says nothing: its likelihood is 1.  In a
    pass it would give back the weights that it got, and keep them from moving.
    """
    there = present(rows)
    if rows.missing is None:
        return there
    silent = rows.missing.all(axis=1)
    if rows.label is not None:
        silent &= rows.label == UNKNOWN if rows.label.ndim == 1 else rows.label.all(axis=1)
    if not silent.any():
        return there
    return np.flatnonzero(~silent if rows.weight is None else ~silent & (rows.weight != 0))


def told_whole(rows: Rows) -> Rows:
    """The same, said to be complete if nothing is missing of them: a fit and its score then see them by one kernel."""
    return rows if rows.missing is None or rows.missing.any() else replace(rows, missing=None)
