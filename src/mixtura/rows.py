"""What a pass reads: aligned arrays that are cut together, and sources that hand them out in blocks.

n rows, d features.  A source promises three things: its blocks can be asked for again and come in the same
order, a block is a view wherever that is possible, and ``sample`` depends on the seed alone.

A row tells something of a point.  The point itself, if the row is exact; else some of its features (the others are NaN
in ``x``), the point with an error of known covariance added (``noise``), or an interval that it lies in (``edges``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.patterns import Patterns, patterns_of

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
            rows = rows[np.sort(rng.choice(len(rows), size=n, replace=False, shuffle=False))]
        return replace(rows, x=np.array(rows.x, dtype=np.float64, order="C"))

    def part(self, n: int, rng: np.random.Generator) -> InMemory:
        """A source over ``n`` of all rows or up to twice as many, one out of each stretch of the same length."""
        stretch = len(self.rows) // n
        begins = np.arange(0, len(self.rows) - stretch + 1, stretch)
        return InMemory(self.rows, begins + rng.integers(stretch, size=len(begins)))


def constant(x: AnyArray) -> NDArray[np.bool_]:
    """Which columns (d,) hold one value: from variances it cannot be told, for their mean is rounded."""
    return np.asarray(x.max(axis=0) == x.min(axis=0))


def effective_rows(weight: Array) -> float:
    """How many rows of equal weight tell as much as rows of these weights (n,) (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight @ weight))


def present(weight: Array | None) -> Any:
    """Index of the rows that count.

    A row of weight zero is absent: left in, it could still spoil a sum by 0 * inf.
    """
    return slice(None) if weight is None or weight.all() else np.flatnonzero(weight)
