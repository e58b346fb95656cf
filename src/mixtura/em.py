"""Expectation-maximisation as a fixed-point map, and the drivers that iterate it.

    e_step(model) -> sums over the rows, objective of model        m_step(sums) -> next model

A driver is a generator: progress, history and early stops are the ``for`` loop of whoever calls it.  The objective
reported with a model is that model's, never its predecessor's: the log-likelihood, and the log prior if there is one.

Reference: A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", Journal of the Royal Statistical Society B 39, 1977.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from mixtura import told
from mixtura.covariance import Diagonal
from mixtura.engine import Engine
from mixtura.mixture import Mixture
from mixtura.observe import Observation, exact, pooled
from mixtura.rows import Array, Source
from mixtura.statistics import Statistics, one_pass, second_moments
from mixtura.update import MStep

WINDOW = 5
"""Passes over which the gain is judged: EM gains little per pass where components overlap, for many passes."""

LEFT = 0.01
"""Part of ``tol`` that may be left to gain, where the gains of EM tell: a hundredth of a standard error."""

NOTHING = 1e-15
"""Part of ``tol`` that may be left where the gradient tells: no digit of the answer shows which way led there."""

CRAWL, LITTLE = 20, 0.1
"""Passes over rows with errors in which a gain of less than that part of ``tol`` is the end: where their errors
explain all of a component's spread in some direction, its variance creeps towards nothing and never arrives."""

ROUNDING = 8 * np.finfo(np.float64).eps
"""A gain that is smaller than this part of the objective cannot be told from rounding."""


UNSURE = 1e-12
"""A fall by more than this part of the objective is more than its sum is rounded by."""


class Reason(StrEnum):
    """Why a run stopped."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    ROUNDING = "rounding"
    REG_COVAR = "reg_covar"
    BATCH = "batch"  # online learning stops where the rows do
    INTERRUPTED = "interrupted"


UNFINISHED = (Reason.MAX_ITER, Reason.REG_COVAR, Reason.INTERRUPTED)
"""Reasons to stop although something was left to gain."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What stays the same from pass to pass: the data, where they are worked on, and the M-step.

    ``origin`` (d,) is the point about which the fast kernels take their sums.  ``gaussian`` is that of all rows, where
    rows are not exact: it fills in what is missing, for a start.  ``overall`` are the sums of one component that has
    all rows, and ``scale`` (d,) is that of their bulk: what the floor was made of, for rows that may come after these.
    """

    source: Source
    origin: Array
    engine: Engine
    update: MStep
    gaussian: Mixture | None = None
    overall: Statistics | None = None
    scale: Array | None = None

    @cached_property
    def second(self) -> Array:
        """Second moments (d, d) or (d,) of all rows about the origin, as the family needs them."""
        return second_moments(self.source, self.origin, self.engine, dense=not self.update.family.diagonal)

    def observation(self, model: Mixture) -> Observation:
        """What a pass looks at the rows with."""
        if self.update.pooled and model.layout.shared:
            suited = isinstance(model.layout, Diagonal) == self.update.family.diagonal
            found = pooled(model.scores, self.origin, self.second) if suited else None
            if found is not None:
                return found
        return exact(model.scores, self.origin, labelled=self.source.at_hand.label is not None)

    def statistics(self, model: Mixture) -> Statistics:
        """The sums of a pass."""
        if self.source.exact:
            return one_pass(self.observation(model), self.source, self.engine)
        return told.one_pass(model, self.source, self.origin, self.engine)


@dataclass(frozen=True, eq=False)
class Pass:
    """A model on the way: ``index`` passes after the start, with its ``objective`` and ``loglik`` (total nats).

    ``index`` counts tries of the driver that were not accepted, too.  ``gain`` is the mean per pass of the last WINDOW
    accepted passes, ``accelerated`` and the ``statistics``, which are sums under the model, are those of the EStep,
    ``reason`` is set on the last pass.
    """

    index: int
    model: Mixture
    objective: float
    loglik: float
    gain: float
    seconds: float
    statistics: Statistics
    accelerated: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, eq=False)
class EStep:
    """What a pass tells of ``model``: the sums that the M-step needs, and the ``objective`` (total nats).

    ``accelerated``: the model is not the M-step of the one before.  ``accepted``: the driver goes on from it.
    ``promised``: what the driver thinks is left to gain (total nats), where it has an opinion.
    """

    model: Mixture
    statistics: Statistics
    objective: float
    accelerated: bool = False
    accepted: bool = True
    promised: float = 0.0

    @property
    def loglik(self) -> float:
        """The log-likelihood of the model, total nats."""
        return self.statistics.objective


def e_step(problem: Problem, model: Mixture) -> EStep:
    """One pass over the data."""
    statistics = problem.statistics(model)
    return EStep(model, statistics, statistics.objective + problem.update.penalty(model))


Driver = Callable[["Problem", Mixture], Iterator[EStep]]
"""Passes from a start on, without end."""


def iterate(problem: Problem, start: Mixture) -> Iterator[EStep]:
    """The passes of plain EM, the first at the start, without end."""
    model = start
    while True:
        reached = e_step(problem, model)
        yield reached
        model = problem.update(reached.statistics, model)


def size_of(problem: Problem, objective: float) -> float:
    """Nats that count for rounding: the objective where the data have standard deviation one, so free of units."""
    count, frame = problem.source.total, float(problem.update.overall.layout.log_det_whitener[0])
    return max(abs(objective - count * frame), count)


def converged(objectives: list[float], size: float, tol: float, reached: EStep, *, creeps: bool = False) -> bool:
    """Whether the gain over the last WINDOW accepted passes is under ``tol`` nats, or the last one under rounding of
    ``size``, ``reached`` being the last of them.

    Where the driver knows what is left, that has to be little as well.  Rounding stops only what is not accelerated: a
    quasi-Newton step goes by the gradient where the objective has no digits left, and needs few passes to the end.
    Where the optimum may be at the edge of what is possible, and the way there ``creeps``, it stops earlier.
    """
    if len(objectives) < 2:
        return False
    latest, rounding = objectives[-1], ROUNDING * size
    gain = latest - objectives[-2]
    if creeps and len(objectives) > CRAWL and latest - objectives[-1 - CRAWL] < LITTLE * tol:
        return True
    enough = NOTHING * tol if reached.accelerated else max(LEFT * tol, rounding)
    if reached.promised > enough and (reached.accelerated or gain > rounding):
        return False
    if abs(gain) <= rounding:
        return True
    return len(objectives) > WINDOW and latest - objectives[-1 - WINDOW] < max(tol, rounding)


def recent_gain(objectives: list[float]) -> float:
    """Mean gain per pass over the last WINDOW passes, or over as many as there were."""
    window = min(WINDOW, len(objectives) - 1)
    return (objectives[-1] - objectives[-1 - window]) / max(window, 1)


def fell(objectives: list[float]) -> bool:
    """Whether the last objective is lower than the one before it, by more than a sum of so many terms is sure of."""
    return len(objectives) > 1 and objectives[-1] < objectives[-2] - UNSURE * abs(objectives[-2])


def passes(
    problem: Problem,
    start: Mixture,
    *,
    tol: float,
    max_iter: int,
    member: bool = True,
    driver: Driver = iterate,
    halt: threading.Event | None = None,
) -> Iterator[Pass]:
    """The passes of a run, of which the last carries the reason for stopping and the model to return.

    In exact arithmetic no pass of EM is worse than the one before.  Where it is, rounding has the say (a component lies
    flat, columns differ in their last digits) or ``reg_covar`` has, and the run ends with the better model.  A start
    that is not a ``member`` of the family may be better than all of it; the first pass is then not held against it.

    What the ``driver`` tried and did not accept is not seen here, but counts as passes.  A run never ends with an
    accelerated model, but with an update of EM after it, so that the model returned is the M-step of its neighbour.
    With ``halt`` an interrupt ends the run with the best model so far, if there is one, and tells the other runs to end
    after the pass that they are at.
    """
    objectives: list[float] = []
    began = time.perf_counter()
    steps = driver(problem, start)
    reached = next(steps)
    index = 0
    while True:
        objectives.append(reached.objective)
        seconds = time.perf_counter() - began
        gain = recent_gain(objectives)
        latest = Pass(
            index,
            reached.model,
            reached.objective,
            reached.loglik,
            gain,
            seconds,
            reached.statistics,
            reached.accelerated,
        )
        seen, size = objectives if member else objectives[1:], size_of(problem, reached.objective)
        blurred = problem.source.at_hand.noise is not None or problem.source.at_hand.edges is not None
        done = converged(seen, size, tol, reached, creeps=blurred)
        if done and not reached.accelerated:
            yield replace(latest, reason=Reason.CONVERGED)
            return
        last = reached
        try:
            if reached.accelerated and (done or index == max_iter - 1):
                steps = driver(problem, problem.update(reached.statistics, reached.model))
            while index < max_iter:
                if halt is not None and halt.is_set():
                    raise KeyboardInterrupt
                index += 1
                reached = next(steps)
                if reached.accepted:
                    break
        except KeyboardInterrupt:
            if halt is None:
                raise
            halt.set()
            yield replace(latest, reason=Reason.INTERRUPTED)
            return
        if reached is last or not reached.accepted:
            yield replace(latest, index=index, reason=Reason.MAX_ITER)
            return
        if (member or index > 1) and fell([*objectives, reached.objective]):
            yield replace(latest, reason=Reason.ROUNDING if problem.update.reg_covar == 0 else Reason.REG_COVAR)
            return
        yield latest
