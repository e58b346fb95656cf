"""What a pass reads: aligned arrays that are cut together, and sources that hand them out in blocks.

n rows, d features.  A source promises three things: its blocks can be asked for again and come in the same
order, a block is a view wherever that is possible, and ``sample`` depends on the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AnyArray = NDArray[Any]  # rows as the user gave them: any real dtype, promoted block by block


@dataclass(frozen=True, eq=False)
class Rows:
    """Aligned arrays: ``x`` (n, d) of any real dtype and ``weight`` (n,), or None for unit weights."""

    x: AnyArray
    weight: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> Rows:
        return Rows(self.x[index], None if self.weight is None else self.weight[index])

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self)) if self.weight is None else float(self.weight.sum())


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

    def cuts(self, size: int) -> Iterator[slice]:
        """Where the rows are cut, ``size`` at a time; the last block may be shorter."""
        for start in range(0, self.n_rows, size):
            yield slice(start, start + size)

    def read(self, where: slice) -> Rows:
        """The rows between two cuts."""
        return self.rows[where if self.chosen is None else self.chosen[where]]

    def blocks(self, size: int) -> Iterator[Rows]:
        """The rows in order, ``size`` at a time."""
        return map(self.read, self.cuts(size))

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` of all rows without replacement, in the order of the source, in float64."""
        rows = self.rows
        if len(rows) > n:
            rows = rows[np.sort(rng.choice(len(rows), size=n, replace=False, shuffle=False))]
        return Rows(np.array(rows.x, dtype=np.float64, order="C"), rows.weight)

    def part(self, n: int, rng: np.random.Generator) -> InMemory:
        """A source over ``n`` of all rows or up to twice as many, one out of each stretch of the same length."""
        stretch = len(self.rows) // n
        begins = np.arange(0, len(self.rows) - stretch + 1, stretch)
        return InMemory(self.rows, begins + rng.integers(stretch, size=len(begins)))


def constant(x: AnyArray) -> NDArray[np.bool_]:
    """Which columns (d,) hold one value: from variances it cannot be told, for their mean is rounded."""
    return np.asarray(x.max(axis=0) == x.min(axis=0))


def present(weight: Array | None) -> Any:
    """Index of the rows that count.

    A row of weight zero is absent: left in, it could still spoil a sum by 0 * inf.
    """
    return slice(None) if weight is None or weight.all() else np.flatnonzero(weight)
