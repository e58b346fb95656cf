"""Sums over rows: all that an M-step needs to know of the data.

About a center a_k that all terms of a sum share, with r_nk the responsibilities times the row weights w_n:

    objective = sum_n w_n log p(x_n)      count = sum_n w_n
    mass_k    = sum_n r_nk
    first_k   = sum_n r_nk (x_n - a_k)
    second_k  = sum_n r_nk (x_n - a_k)(x_n - a_k)'      or its diagonal
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mixtura.engine import Engine, reduce
from mixtura.kernels import block_rows
from mixtura.observe import Observation, posterior
from mixtura.rows import Array, InMemory, Rows


@dataclass(frozen=True, eq=False)
class Statistics:
    """``objective``, ``count``, ``mass`` (K,), ``first`` (K, d), ``second`` (K, d, d) or (K, d), ``center`` (K, d)."""

    objective: float
    count: float
    mass: Array
    first: Array
    second: Array
    center: Array

    def __add__(self, other: Statistics) -> Statistics:
        if not np.array_equal(self.center, other.center):
            raise ValueError(
                "expected two Statistics about the same center, got two different ones: call recentered first"
            )
        return Statistics(
            self.objective + other.objective,
            self.count + other.count,
            self.mass + other.mass,
            self.first + other.first,
            self.second + other.second,
            self.center,
        )

    def __mul__(self, factor: float) -> Statistics:
        return Statistics(
            self.objective * factor,
            self.count * factor,
            self.mass * factor,
            self.first * factor,
            self.second * factor,
            self.center,
        )

    def __sub__(self, other: Statistics) -> Statistics:
        return self + other * -1.0

    def recentered(self, center: Array) -> Statistics:
        """The same sums about another ``center`` (K, d) or (d,)."""
        move = np.broadcast_to(center, self.center.shape) - self.center
        first = self.first - self.mass[:, None] * move
        if self.second.ndim == 2:
            second = self.second - move * (2 * self.first - self.mass[:, None] * move)
        else:
            cross = self.first[:, :, None] * move[:, None, :]
            square = self.mass[:, None, None] * move[:, :, None] * move[:, None, :]
            second = self.second - cross - cross.transpose(0, 2, 1) + square
        return replace(self, first=first, second=second, center=self.center + move)

    def shift(self) -> Array:
        """Mean of each component less its center, (K, d); zero where there is no mass."""
        present = self.mass[:, None] > 0
        return np.divide(self.first, self.mass[:, None], out=np.zeros_like(self.first), where=present)

    def scatter(self, shift: Array) -> Array:
        """Second moments (K, d, d) or (K, d) about the means, which are at ``center + shift``."""
        if self.second.ndim == 2:
            return np.maximum(self.second - self.mass[:, None] * shift**2, 0.0)
        # The square first: it is symmetric to the last bit, and so are the covariances that come of it.
        return self.second - self.mass[:, None, None] * (shift[:, :, None] * shift[:, None, :])


@dataclass(frozen=True, eq=False)
class Partial:
    """What one block adds to a pass, in the coordinates of the kernel."""

    objective: float
    count: float
    table: Array

    def __add__(self, other: Partial) -> Partial:
        return Partial(self.objective + other.objective, self.count + other.count, self.table + other.table)


def block_sums(observation: Observation, rows: Rows) -> Partial:
    """E-step of one block and its sums."""
    resp, total, log_density, left = posterior(observation, rows.x)
    if rows.weight is None:
        objective, scale = float(log_density.sum()), 1.0 / total
    else:
        objective, scale = float(rows.weight @ log_density), rows.weight / total
    table = observation.kernel.sums(observation.operands, rows.x, left, resp, scale)
    return Partial(objective, rows.total, table)


def one_pass(observation: Observation, source: InMemory, engine: Engine) -> Statistics:
    """Statistics of all rows of ``source`` under one model: a whole E-step."""
    n_components, n_features = observation.scores.center.shape
    dense = observation.scores.whitener.ndim == 3
    blocks = source.blocks(block_rows(n_components, n_features, dense=dense))
    total = reduce(engine, lambda rows: block_sums(observation, rows), blocks)
    mass, first, second, center = observation.kernel.moments(observation.operands, total.table)
    return Statistics(total.objective, total.count, mass, first, second, center)


def given(source: InMemory, resp: Array | None, engine: Engine, *, dense: bool) -> Statistics:
    """Statistics under responsibilities (n, K) that are given, not computed; None is one component that has all.

    Two passes: the second is about the means found by the first, so that nothing cancels.  Squares may overflow;
    whoever asks looks at the result.
    """
    n_components = 1 if resp is None else resp.shape[1]
    size = block_rows(n_components, source.n_features, dense=dense)

    def pairs() -> Iterator[tuple[Rows, Array]]:
        for index, rows in enumerate(source.blocks(size)):
            part = np.ones((len(rows), 1)) if resp is None else resp[index * size : index * size + len(rows)]
            yield rows, part if rows.weight is None else part * rows.weight[:, None]

    first_row = np.tile(np.asarray(source.rows.x[0], dtype=np.float64), (n_components, 1))
    around = reduce(engine, lambda pair: _sums_about(first_row, *pair, seconds=False, dense=dense), pairs())
    means = first_row + around.shift()
    return reduce(engine, lambda pair: _sums_about(means, *pair, seconds=True, dense=dense), pairs())


@np.errstate(over="ignore", invalid="ignore")
def _sums_about(center: Array, rows: Rows, resp: Array, *, seconds: bool, dense: bool) -> Statistics:
    """Sums of one block under ``resp`` (b, K), weights included; second moments are left at zero unless asked for."""
    n_components, n_features = center.shape
    first = np.empty_like(center)
    second = np.zeros((n_components, n_features, n_features) if dense else center.shape)
    for k in range(n_components):
        y = np.subtract(rows.x, center[k], order="C")  # whatever the order of x: the same bits
        first[k] = resp[:, k] @ y
        if seconds and dense:
            y *= np.sqrt(resp[:, k])[:, None]
            second[k] = y.T @ y
        elif seconds:
            second[k] = resp[:, k] @ (y * y)
    return Statistics(0.0, rows.total, resp.sum(axis=0), first, second, center)
