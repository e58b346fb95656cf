"""Sums over rows: all that an M-step needs to know of the data.

About a center a_k that all terms of a sum share, with r_nk the responsibilities times the row weights w_n:

    objective = sum_n w_n log p(x_n)      count = sum_n w_n
    mass_k    = sum_n r_nk                        and that of the background, sum_n r_n0, if there is one
    first_k   = sum_n r_nk (x_n - a_k)
    second_k  = sum_n r_nk (x_n - a_k)(x_n - a_k)'      or its diagonal
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.special import ndtri

from mixtura.engine import Addable, Engine, reduce
from mixtura.kernels import OF_LAYOUT, block_rows, blocks_together, cut
from mixtura.observe import Observation, densities, exact, log_likelihood
from mixtura.rows import Array, InMemory, Rows, Source
from mixtura.scores import LOG_ZERO

S = TypeVar("S", bound=Addable)

CANCELS = 1e-5
"""Part of the second moments that a scatter must be to have about ten digits."""

ROUNDED = 1e-14
"""Part of a mean that summation may have rounded it by."""

STARVED = 1e-9
"""Mass (rows) under which rows that are left out elsewhere may be all that a component has."""

EMPTY = 1e-100
"""Mass (rows) under which a component has no data left to estimate anything from."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """``objective``, ``count``, ``mass`` (K,), ``first`` (K, d), ``second`` (K, d, d) or (K, d), ``center`` (K, d).

    Where one covariance serves all components, ``second`` may be that of all of them together, (1, d, d) or (1, d).
    ``white`` (K, d, d) are the second moments in coordinates U_k (x - a_k), U_k being the whitener of the model that
    the responsibilities are from.  They are there where the entries of ``second`` do not say enough.
    ``background`` is the mass of the background.
    """

    objective: float
    count: float
    mass: Array
    first: Array
    second: Array
    center: Array
    white: Array | None = None
    background: float = field(default=0.0, kw_only=True)

    def __add__(self, other: Statistics) -> Statistics:
        if not np.array_equal(self.center, other.center):
            raise ValueError(
                "expected two Statistics about the same center, got two different ones: sum rows about one center"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # squares may overflow; whoever asks looks at the result
            return Statistics(
                self.objective + other.objective,
                self.count + other.count,
                self.mass + other.mass,
                self.first + other.first,
                self.second + other.second,
                self.center,
                background=self.background + other.background,
            )

    def times(self, factor: float) -> Statistics:
        """The sums where every row has ``factor`` times its weight."""
        return Statistics(
            factor * self.objective,
            factor * self.count,
            factor * self.mass,
            factor * self.first,
            factor * self.second,
            self.center,
            background=factor * self.background,
        )

    def recentered(self, center: Array) -> Statistics:
        """The same sums about another ``center`` (K, d); nothing cancels as long as both are near the means."""
        away = self.center - center  # of near numbers: exact, however far from zero they are
        first = self.first + self.mass[:, None] * away
        # sum r (y + c)(y + c)' with y = x - a_k and c = away: what is added to sum r y y'.
        if self.second.ndim == 2:
            added = away * (self.first + first)
        else:
            added = self.first[:, :, None] * away[:, None, :]
            added = added + added.transpose(0, 2, 1) + self.mass[:, None, None] * (away[:, :, None] * away[:, None, :])
        if len(self.second) < len(added):
            added = added.sum(axis=0, keepdims=True)
        return Statistics(
            self.objective,
            self.count,
            self.mass,
            first,
            self.second + added,
            center,
            background=self.background,
        )

    def along_axes(self) -> Statistics:
        """The sums as a family along the axes needs them: those of a start that is dense are more."""
        if self.second.ndim == 2:
            return self
        return replace(self, second=np.einsum("kjj->kj", self.second).copy(), white=None)

    def shift(self) -> Array:
        """Mean of each component less its center, (K, d); zero where there is no mass."""
        present = self.mass[:, None] > 0
        return np.divide(self.first, self.mass[:, None], out=np.zeros_like(self.first), where=present)

    def cancels(self) -> bool:
        """Whether a component has moved by so many of its standard deviations that its scatter has few digits left."""
        shift = self.shift()
        square = self.mass[:, None] * shift**2
        left = self.second if self.second.ndim == 2 else np.diagonal(self.second, axis1=1, axis2=2)
        # Where the mean moved by a rounding of itself, as in a constant column, there is nothing to gain.
        moved = np.abs(shift) > ROUNDED * np.abs(self.center + shift)
        if len(left) < len(square):
            square, moved = square.sum(axis=0), np.asarray(moved.any(axis=0))
        return bool((moved & (left - square < CANCELS * square)).any())

    def scatter(self, shift: Array) -> Array:
        """Second moments like ``second`` about the means, which are at ``center + shift``."""
        together = len(self.second) < len(self.mass)
        if self.second.ndim == 2:
            square = self.mass[:, None] * shift**2
            return np.maximum(self.second - (square.sum(axis=0) if together else square), 0.0)
        if together:
            root = np.sqrt(self.mass)[:, None] * shift
            return np.asarray(self.second - root.T @ root)
        # The square first: it is symmetric to the last bit, and so are the covariances that come of it.
        return self.second - self.mass[:, None, None] * (shift[:, :, None] * shift[:, None, :])

    def white_scatter(self, whitener: Array) -> Array | None:
        """Second moments (K, d, d) about the means in the coordinates of the ``whitener``, if they are known."""
        if self.white is None:
            return None
        shift = np.einsum("kij,kj->ki", whitener, self.shift())
        return np.asarray(self.white - self.mass[:, None, None] * (shift[:, :, None] * shift[:, None, :]))


@dataclass(frozen=True, eq=False)
class Partial:
    """What one block adds to a pass, in the coordinates of the kernel."""

    objective: float
    count: float
    table: Array
    background: float

    def __add__(self, other: Partial) -> Partial:
        return Partial(
            self.objective + other.objective,
            self.count + other.count,
            self.table + other.table,
            self.background + other.background,
        )


def block_sums(observation: Observation, rows: Rows) -> Partial:
    """E-step of one block and its sums."""
    n_components = len(observation.scores.log_coef)
    resp, total, top, left = densities(observation, rows.x, rows.allowed(observation.n_columns))
    objective = log_likelihood(total, top, rows.weight)
    scale = 1.0 / total if rows.weight is None else rows.weight / total
    background = 0.0
    if len(resp) > n_components:  # first, because the responsibilities are used up
        background = float(resp[n_components] @ scale)
    table = observation.kernel.sums(observation.operands, rows.x, left, resp[:n_components], scale)
    return Partial(objective, rows.total, table, background)


def over_blocks(source: Source, engine: Engine, of_block: Callable[[Rows], S], size: int) -> S:
    """Sum of ``of_block`` over blocks of so many rows at most."""
    return source.summed(engine, partial(_over_blocks, of_block, size))


def _over_blocks(of_block: Callable[[Rows], S], size: int, part: InMemory, engine: Engine) -> S:
    size = cut(part.n_rows, size)
    together = blocks_together(part.n_rows, size)
    return reduce(engine, lambda where: of_block(part.read(where)), part.cuts(size), together)


def one_pass(observation: Observation, source: Source, engine: Engine) -> Statistics:
    """Statistics of all rows of ``source`` under one model: a whole E-step.

    Where a component has moved so far that its scatter cancels, the sums are taken again about the new means.
    """
    dense, size = observation.scores.whitener.ndim == 3, observation.block_rows
    total = over_blocks(source, engine, partial(block_sums, observation), size)
    moments = observation.kernel.moments(observation.operands, total.table)
    statistics = replace(
        Statistics(total.objective + observation.common, total.count, *moments), background=total.background
    )
    alive = observation.scores.log_coef > 0.5 * LOG_ZERO
    if observation.leaves_out and (statistics.mass[alive] < STARVED).any():
        # What little there is of a component decides where it goes: nothing is left out.
        return one_pass(exact(observation.scores, statistics.center[0], "residual"), source, engine)
    if not statistics.cancels():
        return statistics
    means = statistics.center + statistics.shift()
    again = over_blocks(source, engine, partial(_about_means, observation, means, dense), size)
    return replace(again, objective=statistics.objective)


def _about_means(observation: Observation, means: Array, dense: bool, rows: Rows) -> Statistics:
    resp, total, _, _ = densities(observation, rows.x, rows.allowed(observation.n_columns))
    scale = 1.0 / total if rows.weight is None else rows.weight / total
    return _sums_about(means, rows, (resp * scale).T, seconds=True, dense=dense)


PAIR_BYTES = 2 << 20
"""Size of the products of a block of pairs."""


def pair_sums(
    center: Array,
    source: InMemory,
    components: NDArray[np.integer[Any]],
    resp: Array,
    engine: Engine,
    *,
    dense: bool,
    objective: float = 0.0,
) -> Statistics:
    """Sums about ``center`` (K, d) where a row belongs to a few ``components`` (n, C) only, with ``resp`` (n, C),
    weights included.  The cost does not depend on K beyond the table of sums."""
    n_components, d = center.shape
    i, j = np.triu_indices(d) if dense else (np.arange(d), np.arange(d))
    n_kept, width = components.shape[1], 1 + d + len(i)
    # As many pairs as components at least: a block adds a whole table.
    size = max(PAIR_BYTES // (8 * width), n_components) // n_kept + 1

    def of_block(begin: int) -> Array:
        which = components[begin : begin + size].ravel()
        x = source.rows.x[begin : begin + size]
        products = np.empty((len(which), width))
        products[:, 0] = 1.0
        y = products[:, 1 : 1 + d]
        np.subtract(np.repeat(x, n_kept, axis=0), center[which], out=y)
        np.multiply(y[:, i], y[:, j], out=products[:, 1 + d :])
        part = resp[begin : begin + size].ravel()
        return np.asarray(csc_array((part, which, np.arange(len(which) + 1)), (n_components, len(which))) @ products)

    table = reduce(engine, of_block, range(0, source.n_rows, size))
    mass, first, products = table[:, 0], table[:, 1 : 1 + d], table[:, 1 + d :]
    second = products
    if dense:
        second = np.empty((n_components, d, d))
        second[:, i, j] = second[:, j, i] = products
    return Statistics(objective, source.rows.total, mass, first, second, center)


PAIRS = (0.25, 0.5, 0.9, 0.98)
"""Parts of the pairs of rows that are nearer than the scale; wider ones where narrow ones are tied."""

TIED = 1e3 * float(np.finfo(np.float64).eps)
"""A distance that is so small a part of that of nine pairs in ten may be the rounding of equal values."""

BULK_ROWS = 2_000
"""Rows that are enough to find the scale."""

BULK_QUANTILES = 128
"""Quantiles that stand for the rows of one feature: pairs of them can all be looked at."""


def bulk_scale(source: Source, deviations: Array) -> Array:
    """Spread (d,) of the bulk of the rows in each feature, in standard deviations of a Gaussian of that spread.

    It is the distance that a quarter of all pairs of rows do not exceed.  Unlike the standard deviations themselves,
    above which it never is, it hardly moves when up to half of the rows are far away, nor when nearly half are equal.

    Reference: P. J. Rousseeuw and C. Croux, "Alternatives to the median absolute deviation", Journal of the American
    Statistical Association 88, 1993 (their Q_n).
    """
    rows = source.sample(BULK_ROWS, np.random.default_rng(0))
    columns = np.ascontiguousarray(rows.x.T)  # sorting along the contiguous axis is many times faster, NaN come last
    order = np.argsort(columns, axis=1, kind="stable")
    ordered = np.take_along_axis(columns, order, axis=1).astype(np.float64)
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    there = weight[order]
    if rows.missing is not None:
        there[np.take_along_axis(rows.missing.T, order, axis=1)] = 0.0
    reached = np.cumsum(there, axis=1)
    levels = (np.arange(BULK_QUANTILES) + 0.5) / BULK_QUANTILES * (1 - 1e-12)
    ranks = [max(int(np.ceil(part * BULK_QUANTILES**2)) - 1, 0) for part in PAIRS]
    gaussian = np.sqrt(2.0) * ndtri((1 + np.array(PAIRS)) / 2)
    scale = np.zeros_like(deviations)
    for j, values in enumerate(ordered):
        points = values[np.searchsorted(reached[j], levels * reached[j, -1])]
        distances = np.partition(np.abs(points[:, None] - points), ranks, axis=None)[ranks]
        apart = distances > TIED * distances[2]
        scale[j] = (distances / gaussian)[apart.argmax()] if apart.any() else deviations[j]
    return np.minimum(scale, deviations)


def given(source: InMemory, resp: Array, engine: Engine, *, dense: bool, background: bool = False) -> Statistics:
    """Statistics under responsibilities (n, K) that are given, not computed.

    With ``background`` they have one column more, the last.
    Two passes: the second is about the means found by the first, so that nothing cancels.  Squares may overflow;
    whoever asks looks at the result.
    """
    n_components = resp.shape[1] - background
    size = block_rows(OF_LAYOUT[dense], n_components, source.n_features)

    def pairs() -> Iterator[tuple[Rows, Array]]:
        for index, rows in enumerate(source.blocks(size)):
            part = resp[index * size : index * size + len(rows)]
            yield rows, part if rows.weight is None else part * rows.weight[:, None]

    first_row = np.tile(np.asarray(source.rows.x[0], dtype=np.float64), (n_components, 1))
    around = reduce(engine, lambda pair: _sums_about(first_row, *pair, seconds=False, dense=dense), pairs())
    means = first_row + around.shift()
    return reduce(engine, lambda pair: _sums_about(means, *pair, seconds=True, dense=dense), pairs())


def everything(source: Source, engine: Engine, *, dense: bool) -> Statistics:
    """Statistics of one component that has all rows.

    Two passes: the second is about the mean found by the first, so that nothing cancels.  Squares may overflow.
    """
    size = block_rows(OF_LAYOUT[dense], 1, source.n_features)
    first_row = np.array(source.at_hand.x[0], dtype=np.float64)
    around = over_blocks(source, engine, partial(_all_about, first_row, False, dense), size)
    return over_blocks(source, engine, partial(_all_about, first_row + around.shift()[0], True, dense), size)


def second_moments(source: Source, origin: Array, engine: Engine, *, dense: bool) -> Array:
    """Second moments (d, d) or (d,) of all rows about ``origin``, weights included."""
    size = block_rows(OF_LAYOUT[dense], 1, source.n_features)
    return np.asarray(over_blocks(source, engine, partial(_all_about, origin, True, dense), size).second[0])


def _all_about(center: Array, seconds: bool, dense: bool, rows: Rows) -> Statistics:
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    return _sums_about(center[None], rows, weight[:, None], seconds=seconds, dense=dense)


@np.errstate(over="ignore", invalid="ignore")
def _sums_about(center: Array, rows: Rows, resp: Array, *, seconds: bool, dense: bool) -> Statistics:
    """Sums of one block under ``resp`` (b, K), weights included; second moments are left at zero unless asked for.

    Of more columns than centers the last is that of the background.
    """
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
    mass, background = np.split(resp.sum(axis=0), [n_components])
    return Statistics(0.0, rows.total, mass, first, second, center, background=float(background.sum()))
