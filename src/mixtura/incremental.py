"""Incremental EM: an M-step after each block of rows, from sums in which only that block's are new.

Blocks b = 1 ... B of rows have sums T_b, each told by the model that met it last, and T = sum_b T_b:

    T <- T + T_b(new) - T_b(old),       model <- M-step(T),       then the next block

What climbs is the free energy of Neal and Hinton: a block that was met by the model th_b has the responsibilities of
th_b, whatever the model is now, and of these the objective of ``model`` is a lower bound,

    F(model) = Q(T, model) + sum_b H_b    <=   log-likelihood,     H_b = log p(block b | th_b) - Q(T_b, th_b)
    Q(T, th) = sum_k (n_k (log w_k + log|S_k|^-1/2 - d/2 log 2 pi) - tr(S_k^-1 second_k about m_k) / 2) + n_0 log w_0

An E-step of one block raises F, and so does every M-step.  A sweep over all blocks is reported as one pass, with F at
its end (there is no log-likelihood of one model without another pass); the first is a whole E-step at the start, where
F is the log-likelihood.  Of rows that are not exact T are expected sums, and all of this holds as it is.

Kept are the sums of every block, B K q numbers, q = 1 + 2 d + d^2, or 1 + 3 d along axes.  T is summed anew each sweep,
so that what rounding leaves of new and old does not add up.  About n^(2/5) blocks are usual (McLachlan and Ng); blocks
have BLOCK_ROWS rows at least, because an M-step costs something, too.  Of files they are the batches.

References: R. M. Neal and G. E. Hinton, "A view of the EM algorithm that justifies incremental, sparse, and other
variants", in *Learning in Graphical Models*, 1998; S. K. Ng and G. J. McLachlan, "On the choice of the number of blocks
with the incremental EM algorithm for the fitting of normal mixtures", Statistics and Computing 13, 2003.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from scipy.special import xlogy

from mixtura.covariance import Diagonal
from mixtura.em import EStep, Problem
from mixtura.mixture import Mixture
from mixtura.rows import Array, InMemory
from mixtura.sources import Streamed
from mixtura.statistics import Statistics

BLOCK_ROWS = 2_000
"""Rows of a block in memory, at least."""

POWER = 0.4
"""Power of the number of rows that is the number of blocks, at most."""


@dataclass(frozen=True, eq=False)
class Told:
    """What a block tells: its sums, and its part H_b of the free energy."""

    statistics: Statistics
    entropy: float


def incremental(problem: Problem, start: Mixture) -> Iterator[EStep]:
    """The sweeps of incremental EM, without end; the first is a whole E-step at the start."""
    update, model = problem.update, start
    told = [tell(block, model) for block in blocks(problem)]
    bound = sum(one.statistics.objective for one in told)  # the responsibilities of all are those of the model
    while True:
        total = replace(summed(told, model.means), objective=bound)
        yield EStep(model, total, bound + update.penalty(model))
        model = update(total, model)
        center = model.means
        total = summed(told, center)
        for b, block in enumerate(blocks(problem)):
            new = tell(block, model)
            total = without_less(total + about(new, center) + about(told[b], center).times(-1.0))
            told[b] = new
            model = update(total, model)
        bound = expected(summed(told, model.means), model) + sum(one.entropy for one in told)


def blocks(problem: Problem) -> Iterator[Problem]:
    """The problem of each block alone, in the order of the rows."""
    source = problem.source
    if isinstance(source, Streamed):
        parts = (part for part in source.parts() if part.n_rows > 0)
    else:
        assert isinstance(source, InMemory)
        n_blocks = max(min(int(source.n_rows**POWER), source.n_rows // BLOCK_ROWS), 1)
        parts = (_cut(source, where) for where in source.cuts(-(-source.n_rows // n_blocks)))
    return (replace(problem, source=part) for part in parts)


def _cut(source: InMemory, where: slice) -> InMemory:
    if source.chosen is None:
        return InMemory(source.rows[where])
    return InMemory(source.rows, source.chosen[where])


def tell(block: Problem, model: Mixture) -> Told:
    """An E-step of one block."""
    statistics = block.statistics(model)
    entropy = statistics.objective - expected(statistics, model)
    if block.update.family.diagonal:
        statistics = statistics.along_axes()
    if block.update.pooled:  # of whatever kernel they are
        statistics = replace(statistics, second=statistics.second.sum(axis=0, keepdims=True))
    return Told(statistics, entropy)


def summed(told: list[Told], center: Array) -> Statistics:
    """The sums of all blocks about ``center`` (K, d)."""
    return reduce(add, (about(one, center) for one in told))


def about(one: Told, center: Array) -> Statistics:
    """The sums of a block about ``center`` (K, d)."""
    return one.statistics.recentered(center)


def without_less(total: Statistics) -> Statistics:
    """The same without what rounding has left of less than nothing."""
    return replace(total, mass=np.maximum(total.mass, 0.0), background=max(total.background, 0.0))


def expected(statistics: Statistics, model: Mixture) -> float:
    """Q: the expected log-likelihood (nats) of rows and components together, up to what the box of a background adds,
    which is the same for all models."""
    mass, layout = statistics.mass, model.layout
    second = statistics.recentered(model.means).second
    white = layout.whitener[: len(second)]
    if isinstance(layout, Diagonal):
        square = float((white**2 * second).sum())
    else:
        square = float(np.einsum("kij,kij->", white @ second, white))
    weights = float(xlogy(mass, model.weights).sum())
    if model.background is not None:
        weights += float(xlogy(statistics.background, model.background.weight))
    return (
        weights
        + float(mass @ layout.log_det_whitener)
        - 0.5 * (model.n_features * float(np.log(2 * np.pi)) * float(mass.sum()) + square)
    )
