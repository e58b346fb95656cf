"""What rows tell that are not their points: passes over incomplete, noisy and binned rows.

A row tells a component's posterior of its point x, with moments E[x | k] and Cov[x | k].  EM needs their sums alone,

    first_k  = sum_n r_nk (E[x_n | k] - a_k)
    second_k = sum_n r_nk ((E[x_n | k] - a_k)(E[x_n | k] - a_k)' + Cov[x_n | k])

and with them every M-step, prior and driver is that of exact rows.  The gradient of the log-likelihood is made of the
same sums (Fisher's identity: it is the expected gradient of complete data).

Rows come in pieces: those that tell the same features with the same error (alike.py), where there are enough of them
to be worth a model of their own; those of patterns with few rows side by side (sidebyside.py); those that have nothing
in common one by one (onebyone.py); and intervals (binned.py).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mixtura import alike, binned, onebyone, sidebyside
from mixtura.covariance import Diagonal, suited
from mixtura.engine import Engine, one_blas_thread, reduce
from mixtura.observe import log_likelihood
from mixtura.rows import Array, InMemory, Rows, Source
from mixtura.scores import LOG_ZERO
from mixtura.statistics import STARVED, Statistics

if TYPE_CHECKING:
    from mixtura.mixture import Mixture

T = TypeVar("T")


class Manner(NamedTuple):
    """The functions of one way to look at rows.

    ``prepare(model, firsts, counts, origin, kernel)`` makes operands for patterns that have so many rows each, of which
    ``firsts`` are the first; ``seen(operands, rows)`` tells densities, their sums, the logarithm of the factors, and
    something for ``sums(operands, rows, something, resp, scale)``: mass, first and second about the means;
    ``completed(operands, rows, k)`` tells E[x | k] - m_k and Cov[x | k].
    """

    prepare: Callable[[Mixture, Rows, NDArray[np.intp], Array, str | None], Any]
    seen: Callable[[Any, Rows], tuple[Array, Array, Any, Any]]
    sums: Callable[[Any, Rows, Any, Array, Array], tuple[Array, Array, Array]]
    completed: Callable[[Any, Rows, int], tuple[Array, Array]]


MANNERS: dict[str, Manner] = {
    "alike": Manner(
        lambda model, firsts, counts, origin, kernel: alike.prepare(model, firsts, origin, kernel),
        alike.seen,
        alike.sums,
        alike.completed,
    ),
    "side by side": Manner(
        lambda model, firsts, counts, *_: sidebyside.prepare(model, firsts, counts),
        sidebyside.seen,
        sidebyside.sums,
        sidebyside.completed,
    ),
    "one by one": Manner(lambda model, *_: onebyone.prepare(model), onebyone.seen, onebyone.sums, onebyone.completed),
    "binned": Manner(lambda model, *_: binned.prepare(model), binned.seen, binned.sums, binned.completed),
}

TASK_ROWS = 1 << 14
"""Rows of a piece at most."""

CALLS = {True: 4e5, False: 2e5}
"""What the calls for a pattern of its own cost, of dense covariances or diagonal ones, in nanoseconds."""

BESIDE: dict[bool, Callable[[int], float]] = {True: lambda d: 3 * d**2 + 50 + d**5 / 2000, False: lambda d: 15.0 * d}
"""What a row of d features costs for each component, over that of a pattern of its own, if it is not alike to many:
with few features the work on the row itself, with many also its part of factors, for which LAPACK is faster."""

LEAST = 2
"""Rows of a pattern of its own at least: one alone shares nothing."""

FEW = (1.5, 1 / 3, 5.0)
"""Rows that patterns have in the mean from which they are worth being looked at side by side: at least, for each
feature, and at most.  The factors of a pattern take as long as those of so many rows, whose temporaries are smaller."""

SIDE_BYTES = 4 << 20
"""Size of one array of rows, or of patterns, that are looked at side by side."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows, by their numbers, and the manner in which they are looked at, ``size`` at a time: patterns of ``counts``
    rows each, one after the other.  The kernel of rows that are alike has blocks of its own."""

    manner: str
    index: NDArray[np.intp]
    size: int
    counts: NDArray[np.intp]


def _of_one_layout(model: Mixture, rows: Rows) -> Mixture:
    """The model in the layout that its posterior covariances have: dense, if those of the errors are."""
    if rows.noise is None or rows.noise.ndim == 2 or not isinstance(model.layout, Diagonal):
        return model
    return model.stored_as(suited(model.layout, diagonal=False))


def pieces(source: InMemory, model: Mixture) -> Iterator[Piece]:
    """The rows of a source in pieces, the same for models of one size and layout."""
    if source.rows.edges is not None:
        yield from _cut("binned", np.arange(source.n_rows), binned.BLOCK_ROWS)
        return
    k, d, dense = model.n_components, model.n_features, not isinstance(model.layout, Diagonal)
    least = max(int(CALLS[dense] / (k * BESIDE[dense](d))) + 1, LEAST)
    groups, others, counts = source.patterns.groups(least)
    for group in groups:
        missing = source.read(group[:1]).missing
        if missing is not None and missing.all():  # there is no mixture of no features
            others, counts = np.concatenate([others, group]), np.append(counts, len(group))
        else:
            yield from _cut("alike", group, TASK_ROWS)
    if dense and len(others) >= float(np.clip(FEW[1] * d, FEW[0], FEW[2])) * len(counts):
        yield from _beside(
            others, counts, max(SIDE_BYTES // (8 * d * d * k), 1), max(SIDE_BYTES // (8 * d * max(d, k)), 1)
        )
    else:
        yield from _cut("one by one", others, onebyone.block_rows(k, d, dense=dense))


def _cut(manner: str, index: NDArray[np.intp], size: int) -> Iterator[Piece]:
    for begin in range(0, len(index), TASK_ROWS):
        part = index[begin : begin + TASK_ROWS]
        yield Piece(manner, part, size, np.array([len(part)]))


def _beside(index: NDArray[np.intp], counts: NDArray[np.intp], n_patterns: int, n_rows: int) -> Iterator[Piece]:
    """Pieces of at most so many patterns and rows."""
    begin, left = 0, counts.copy()
    while len(left):
        total = np.cumsum(left[:n_patterns])
        whole = int(np.searchsorted(total, n_rows, side="right"))
        own = left[:whole] if whole else np.array([n_rows])  # a pattern that is larger than a piece is cut
        stop = begin + int(own.sum())
        yield Piece("side by side", index[begin:stop], stop - begin, own)
        begin = stop
        if whole:
            left = left[whole:]
        else:
            left[0] -= n_rows


def _over(
    model: Mixture, source: InMemory, piece: Piece, origin: Array, kernel: str | None = None
) -> Iterator[tuple[Manner, Any, NDArray[np.intp], Rows]]:
    """The blocks of a piece, with what looks at them."""
    manner = MANNERS[piece.manner]
    firsts = source.read(piece.index[np.cumsum(piece.counts) - piece.counts])
    operands = manner.prepare(model, firsts, piece.counts, origin, kernel)
    size = operands.observation.block_rows if piece.manner == "alike" else piece.size
    for begin in range(0, len(piece.index), size):
        index = piece.index[begin : begin + size]
        yield manner, operands, index, source.read(index)


def _seen(
    manner: Manner, operands: Any, model: Mixture, rows: Rows, origin: Array
) -> tuple[Array, Array, float | Array, Any]:
    """What the manner sees, and rows that are too far out for it looked at once more."""
    with np.errstate(over="ignore", invalid="ignore"):  # a squared distance, or what is left of it, may be no number
        resp, total, top, left = manner.seen(operands, rows)
    lost = np.flatnonzero(~np.isfinite(total))
    for n in lost:
        one = rows[n : n + 1]
        again = alike.seen(alike.prepare(model, one, origin), one)
        resp[:, n], total[n], top[n] = again[0][:, 0], again[1][0], np.broadcast_to(again[2], 1)[0]
    return resp, total, top, left


def one_pass(model: Mixture, source: Source, origin: Array, engine: Engine, kernel: str | None = None) -> Statistics:
    """Statistics of all rows of ``source`` under one model: a whole E-step."""
    whole = _of_one_layout(model, source.at_hand)
    if whole is not model:  # of covariances without correlations the diagonal is all that counts
        dense = one_pass(whole, source, origin, engine, kernel)
        return replace(dense, second=np.einsum("kjj->kj", dense.second).copy())
    statistics = _symmetric(source.summed(engine, partial(_over_pieces, _about_model, model, origin, kernel)))
    alive = model.scores.log_coef > 0.5 * LOG_ZERO
    if kernel is None and (statistics.mass[alive] < STARVED).any() and _by_kernel(source, model):
        # What little there is of a component decides where it goes: nothing is left out.
        return one_pass(model, source, origin, engine, "residual")
    if not statistics.cancels():
        return statistics
    about_means = partial(_about_means, statistics.shift())
    again = _symmetric(source.summed(engine, partial(_over_pieces, about_means, model, origin, kernel)))
    return replace(again, objective=statistics.objective, background=statistics.background)


def _by_kernel(source: Source, model: Mixture) -> bool:
    """Whether rows may be looked at by a kernel that leaves some out."""
    whole = source.in_memory
    return whole is None or any(piece.manner == "alike" for piece in pieces(whole, model))


OfBlock = Callable[["Mixture", Array, Manner, Any, Rows], Statistics]
"""Statistics of a block of rows under a model, about an origin, seen in a manner with its operands."""


def _over_pieces(
    of_block: OfBlock, model: Mixture, origin: Array, kernel: str | None, part: InMemory, engine: Engine
) -> Statistics:
    """Sum of ``of_block`` over the blocks of the pieces of a part."""

    def of_piece(piece: Piece) -> Statistics:
        blocks = _over(model, part, piece, origin, kernel)
        return functools.reduce(
            operator.add, (of_block(model, origin, manner, operands, rows) for manner, operands, _, rows in blocks)
        )

    return reduce(engine, of_piece, pieces(part, model))


def _about_model(model: Mixture, origin: Array, manner: Manner, operands: Any, rows: Rows) -> Statistics:
    k = model.n_components
    resp, total, top, left = _seen(manner, operands, model, rows, origin)
    objective = log_likelihood(total, top, rows.weight)
    scale = 1.0 / total if rows.weight is None else rows.weight / total
    background = float(resp[k] @ scale) if len(resp) > k else 0.0  # first: responsibilities are used up
    found = manner.sums(operands, rows, left, resp[:k], scale)
    return Statistics(objective, rows.total, *found, model.means, background=background)


def _about_means(shift: Array, model: Mixture, origin: Array, manner: Manner, operands: Any, rows: Rows) -> Statistics:
    """The same about the means, which are at ``shift`` (K, d) from those of the model."""
    resp, total, _, _ = _seen(manner, operands, model, rows, origin)
    resp = resp[: len(shift)] * (1.0 / total if rows.weight is None else rows.weight / total)
    first = np.zeros_like(shift)
    second = np.zeros(shift.shape if isinstance(model.layout, Diagonal) else (*shift.shape, shift.shape[1]))
    for j, weight in enumerate(resp):
        y, left = manner.completed(operands, rows, j)
        y = y - shift[j]
        first[j] = weight @ y
        own = weight.sum() * left if left.ndim == second.ndim - 1 else np.tensordot(weight, left, axes=1)
        second[j] = own + (weight @ (y * y) if second.ndim == 2 else (y * weight[:, None]).T @ y)
    return Statistics(0.0, rows.total, resp.sum(axis=1), first, second, model.means + shift)


def _symmetric(statistics: Statistics) -> Statistics:
    """The same, with second moments that are symmetric to the last bit, as covariances are to be."""
    if statistics.second.ndim == 2:
        return statistics
    return replace(statistics, second=0.5 * (statistics.second + statistics.second.transpose(0, 2, 1)))


def each(
    model: Mixture,
    source: InMemory,
    engine: Engine,
    function: Callable[[NDArray[np.intp], Rows, Array, Array, float | Array], T],
    take: Callable[[T], object],
) -> None:
    """``take`` in order what ``function`` makes of each block: the numbers of its rows, the rows, densities up to a
    factor, their sums, and the logarithm of the factors."""
    model, origin = _of_one_layout(model, source.rows), model.mean

    def of_piece(piece: Piece) -> list[T]:
        found = []
        for manner, operands, index, rows in _over(model, source, piece, origin):
            resp, total, top, _ = _seen(manner, operands, model, rows, origin)
            found.append(function(index, rows, resp, total, top))
        return found

    def take_all(found: list[T]) -> None:
        for one in found:
            take(one)

    engine.each(of_piece, pieces(source, model), take_all)


# what is missing ------------------------------------------------------------------------------------------------------

EXPECTED: dict[str, Callable[[Any, Rows, NDArray[np.intp], int], Array]] = {
    "alike": lambda operands, rows, numbers, k: alike.expected(operands, rows, k),
    "side by side": sidebyside.expected,
    "one by one": lambda operands, rows, numbers, k: onebyone.expected(operands, rows, k),
}
"""E[x | k] - m_k (b, d) in each manner, of operands, rows, their numbers in the block and k: what ``completed`` tells
of a whole block, without Cov[x | k]."""

Conditional = Callable[[Rows, NDArray[np.intp], int], Array]
"""The same with the operands of a block."""

UNHEARD = 1e-20
"""Responsibility for a row under which a component has no say in what is expected of it."""


def expected(model: Mixture, source: InMemory, engine: Engine) -> Array:
    """x (n, d) with E[x | what is told] in place of what is missing."""
    k = model.n_components

    def of_block(conditional: Conditional, index: NDArray[np.intp], rows: Rows, share: Array) -> Array:
        found = np.zeros(rows.x.shape)
        for j, weight in enumerate(share[:k]):
            hot = np.flatnonzero(weight > UNHEARD)
            if len(hot):
                own = rows if len(hot) == len(rows) else rows[hot]
                found[hot] += weight[hot, None] * (model.means[j] + conditional(own, hot, j))
        if model.background is not None:
            found += share[k][:, None] * model.background.box.middle
        return found

    return _replaced(model, source, engine, of_block)


def drawn(model: Mixture, source: InMemory, engine: Engine, uniform: Array, normal: Array, blur: Array | None) -> Array:
    """x (n, d) with draws from p(x | what is told) in place of what is missing, made of ``uniform`` (n,) and standard
    normal numbers (n, d): ``normal`` for the points, ``blur`` for their errors, if they have any."""
    k, layout = model.n_components, model.layout

    def of_block(conditional: Conditional, index: NDArray[np.intp], rows: Rows, share: Array) -> Array:
        below = np.cumsum(share, axis=0)
        below /= below[-1]  # its end is 1, which no uniform number is: nothing without a share is chosen
        chosen = (below <= uniform[index]).sum(axis=0)
        found = np.empty(rows.x.shape)
        for j in np.unique(chosen):
            own = np.flatnonzero(chosen == j)
            z = normal[index[own]]
            if j == k and model.background is not None:
                found[own] = model.background.box.inside(ndtr(z))
                continue
            other = z * np.sqrt(layout.variances[j]) if isinstance(layout, Diagonal) else z @ layout.factor[j].T
            away = replace(rows[own], x=rows.x[own] - other)
            if away.noise is not None and blur is not None:
                away = replace(away, x=away.x - onebyone.drawn_errors(away.noise, blur[index[own]]))
            found[own] = model.means[j] + other + conditional(away, own, j)
        return found

    return _replaced(model, source, engine, of_block)


def _replaced(
    model: Mixture,
    source: InMemory,
    engine: Engine,
    of_block: Callable[[Conditional, NDArray[np.intp], Rows, Array], Array],
) -> Array:
    """x (n, d) with what ``of_block`` makes of each block and its responsibilities in place of what is missing."""
    model = _of_one_layout(model, source.rows)
    origin = model.mean
    out = np.empty((source.n_rows, source.n_features))

    def of_piece(piece: Piece) -> None:
        for manner, operands, index, rows in _over(model, source, piece, origin):
            resp, total, *_ = _seen(manner, operands, model, rows, origin)
            assert rows.missing is not None
            found = of_block(partial(EXPECTED[piece.manner], operands), index, rows, resp / total)
            out[index] = np.where(rows.missing, found, rows.x)

    with one_blas_thread():
        engine.each(of_piece, pieces(source, model), lambda nothing: None)
    return out
