"""Which rows are told alike: with the same features missing, and with errors of the same covariance.

What an E-step has to factorise depends on that alone, so rows that are alike share it.  Rows are told apart by a hash
of 64 bits of what is missing and of every entry of the error covariance; two that differ have the same one with a
probability of 1e-19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20
"""Entries that are hashed at a time."""


@dataclass(frozen=True, eq=False)
class Patterns:
    """Rows in ``order`` (n,), those that are alike after each other; group g begins at ``starts`` (G,) and has
    ``counts`` (G,) rows."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]

    def groups(self, least: int) -> tuple[list[NDArray[np.intp]], NDArray[np.intp], NDArray[np.intp]]:
        """The rows of each group of at least so many; those of all others, group by group, and how many each has."""
        large = self.counts >= least
        found = [self.order[self.starts[g] : self.starts[g] + self.counts[g]] for g in np.flatnonzero(large)]
        return found, self.order[np.repeat(~large, self.counts)], self.counts[~large]


def patterns_of(n: int, missing: NDArray[np.bool_] | None, noise: NDArray[Any] | None) -> Patterns:
    """The patterns of n rows, entries of which are ``missing`` (n, d), with errors of variances (n, d) or covariances
    (n, d, d), zero where an entry is missing."""
    key = np.zeros(n, dtype=np.uint64)
    if noise is not None and noise.strides[0] == 0:  # one for all rows
        noise = None
    size = max(BLOCK // max(1 if entries is None else entries[0].size for entries in (missing, noise)), 1)
    for begin in range(0, n, size):
        part = slice(begin, begin + size)
        if missing is not None:
            key[part] = _hashed(missing[part].astype(np.float64), 1)
        if noise is not None:
            entries = np.ascontiguousarray(noise[part])
            key[part] += _hashed(entries.reshape(len(entries), -1), 2)
    _, first, inverse, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    by_first = np.argsort(first, kind="stable")  # in the order in which they come, whatever their hashes are
    rank = np.empty_like(by_first)
    rank[by_first] = np.arange(len(by_first))
    order = np.argsort(rank[inverse], kind="stable")
    counts = counts[by_first]
    return Patterns(order, np.cumsum(counts) - counts, counts)


def _hashed(entries: NDArray[np.float64], seed: int) -> NDArray[np.uint64]:
    """A hash (n,) of the entries (n, m) of each row: bits mixed well, times odd numbers, summed."""
    bits = (entries + 0.0).view(np.uint64)  # of -0 and 0 one
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    factors = np.random.default_rng(seed).integers(2**63, size=entries.shape[1], dtype=np.uint64) * np.uint64(2) + 1
    return np.asarray((bits * factors).sum(axis=1, dtype=np.uint64))
