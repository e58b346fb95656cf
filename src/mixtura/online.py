"""Learning batch by batch: stepwise EM on sums, which forgets the rows and keeps what an M-step needs of them.

Batch t has the weight w_t, and under the model that there is its E-step tells sums S^_t over its rows.  Of s, the sums
of all batches so far per unit of weight,

    s_t = (1 - rho_t) s_{t-1} + rho_t S^_t / w_t          model_t = M-step(s_t, model_{t-1})          rho_1 = 1

Kept are not s but sums S = W s with the weight W that they stand for.  Three ways to choose rho:

    default            W = W + w_t            rho = w_t / W       S = S + S^        every row counts the same
    ``step`` a         W = W + w_t            rho = t^-a          0.5 < a <= 1      old sums, made by worse models, fade
    ``forgetting`` g   W = g W + w_t          rho = w_t / W       S = g S + S^      a window of 1 / (1 - g) batches

The first is a sum: batches can come in any order and from any number of machines, and sums made under one model are
that of one E-step over all rows (``merged``).  With sum rho = inf and sum rho^2 < inf, which 0.5 < a <= 1 gives, the
second ends at a stationary point of the likelihood of what the rows are drawn from (Cappé and Moulines).

Sums are about centers near the means, and centers move with them (Chan, Golub and LeVeque): nothing cancels, however
far from zero the rows are.  The M-step's surroundings are kept in the same way, with the same factors: sums of one
component that has all rows (for the floor and for priors), and the squared scale of the bulk of each batch.  Where rows
are not exact, what they tell of that one component is told under its latest estimate.  The box of a background is the
bounding box of all rows that came, whatever is forgotten: axes would need the rows again.

References: O. Cappé and E. Moulines, "On-line expectation-maximization algorithm for latent data models", Journal of
the Royal Statistical Society B 71, 2009; P. Liang and D. Klein, "Online EM for unsupervised models", NAACL 2009; T. F.
Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", The
American Statistician 37, 1983.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura import available, background, degeneracy, evaluate, told, validation
from mixtura.background import Background, Extent, bounding_box, extent_of
from mixtura.degeneracy import DONE, Diagnosis, diagnose, states
from mixtura.em import Problem
from mixtura.engine import Engine
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, InMemory, Rows, telling
from mixtura.shapes import answer_dtype
from mixtura.statistics import Statistics, bulk_scale, everything
from mixtura.task import Settings, Task, update_of
from mixtura.update import MStep


@dataclass(frozen=True, eq=False)
class Pace:
    """How fast batches are forgotten: by ``step`` a, by ``forgetting`` g, or not at all; see the top of the file."""

    step: float | None = None
    forgetting: float | None = None

    def factors(self, state: State, weight: float) -> tuple[float, float]:
        """What the sums of ``state`` and those of the next batch, of so much weight, are multiplied by."""
        if self.forgetting is not None:
            return self.forgetting, 1.0
        if self.step is None:
            return 1.0, 1.0
        rho, before = float((state.n_batches + 1) ** -self.step), state.statistics.count
        return (1 - rho) * (before + weight) / before, rho * (before + weight) / weight


@dataclass(frozen=True, eq=False)
class State:
    """What is kept of all rows that came: the ``model``, and what the next M-step needs beside the next batch.

    ``statistics`` are the sums S, ``before`` the model of the last E-step; ``overall`` the sums of one component that
    has all rows, ``square`` (d,) the squared scale of their bulk, ``extent`` where they begin and end if there is a
    background.  ``blurred``: every row has had an error wider than the floor; ``dtype``: that of the answers; ``unit``:
    what weights are divided by.  ``n_batches`` and ``n_rows`` came, ``n_present`` rows count, as far as they are not
    forgotten.
    """

    model: Mixture
    before: Mixture
    statistics: Statistics
    overall: Statistics
    square: Array
    extent: Extent | None
    blurred: bool
    dtype: np.dtype[Any]
    unit: float
    n_batches: int
    n_rows: int
    n_present: float

    @property
    def total_weight(self) -> float:
        """The weight W that the sums stand for, as it was given."""
        return self.statistics.count * self.unit


def state_of(task: Task, model: Mixture, statistics: Statistics) -> State:
    """The state after an E-step at ``model`` over all rows of a task, which count as one batch."""
    problem = task.problem
    assert problem.overall is not None
    assert problem.scale is not None
    update = problem.update
    return State(
        model=model,
        before=model,
        statistics=statistics.along_axes() if update.family.diagonal else statistics,
        overall=problem.overall,
        square=problem.scale**2,
        extent=None if update.box is None else extent_of(problem.source, problem.engine),
        blurred=update.blurred,
        dtype=answer_dtype(task.rows.x),
        unit=task.scale,
        n_batches=1,
        n_rows=task.n_rows,
        n_present=task.n_present,
    )


@dataclass(frozen=True, eq=False)
class Learnt:
    """The ``state`` after a batch, the M-step that made its model, and the log-likelihood (nats) of the rows of the
    batch under the model that they met."""

    state: State
    update: MStep
    predicted: float


def check_settings(settings: Settings) -> None:
    """Refuse parameters with which nothing can be learnt batch by batch."""
    if settings.truncate is not None:
        raise ValueError(
            f"truncate must be None for batches, got {settings.truncate}: what a row keeps is of no use to others"
        )
    if settings.on_degenerate == "drop":
        raise ValueError(
            'on_degenerate must not be "drop" for batches, for rows to come may belong to any component: use '
            '"rescue" or "raise"'
        )


def check_alike(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    one_columns: Sequence[str] | None,
    other_columns: Sequence[str] | None,
) -> None:
    """Refuse to join what was learnt of different mixtures: described by name, and the names of their columns, if
    they have any."""
    for what, own in one.items():
        if other[what] != own:
            raise ValueError(
                f"merge needs two estimators with the same {what}, got {own!r} and {other[what]!r}: begin both "
                "with the same start"
            )
    if one_columns is not None and other_columns is not None:
        d = one["features"]
        validation.same_columns([*map(str, other_columns)], d, one_columns, d)


def stepped(settings: Settings, state: State, predicted: float) -> Learnt:
    """The state with the model that its sums make."""
    update = m_step_of(settings, state)
    return Learnt(replace(state, model=update(state.statistics, state.before)), update, predicted)


def m_step_of(settings: Settings, state: State) -> MStep:
    """The M-step for all rows that came."""
    update = update_of(settings, state.overall, np.sqrt(state.square), state.unit, state.dtype)
    update = replace(update, blurred=state.blurred)
    if state.extent is None:
        return update
    return replace(update, box=bounding_box(state.extent, update.smallest, update.overall.layout.dense[0]))


def learnt(
    settings: Settings, state: State, rows: Rows, pace: Pace, engine: Engine, names: Sequence[str] | None
) -> Learnt:
    """The state after one more batch."""
    own = rows[telling(rows)]
    source = InMemory(_in_unit(own, state.unit))
    update = m_step_of(settings, state)
    overall = _overall(update, source, engine, names)
    old, new = pace.factors(state, source.total)

    together = joined(state.overall.times(old), overall.times(new))
    scale = bulk_scale(source, np.sqrt(np.maximum(_variances(together), 0.0)))
    part = new * source.total / (old * state.statistics.count + new * source.total)
    origin = overall.center[0] + overall.shift()[0]
    statistics = Problem(source, origin, engine, update).statistics(state.model)
    if update.family.diagonal:
        statistics = statistics.along_axes()
    blurred = state.blurred and not own.exact and available.blurred(own, update.floor_variances)
    following = replace(
        state,
        before=state.model,
        statistics=joined(state.statistics.times(old), statistics.times(new)),
        overall=together,
        square=(1 - part) * state.square + part * scale**2,
        extent=None if state.extent is None else state.extent + extent_of(source, engine),
        blurred=blurred,
        dtype=np.result_type(state.dtype, answer_dtype(rows.x)),
        n_batches=state.n_batches + 1,
        n_rows=state.n_rows + len(rows),
        n_present=(pace.forgetting or 1.0) * state.n_present + len(own),
    )
    return stepped(settings, following, statistics.objective * state.unit)


def merged(settings: Settings, one: State, other: State) -> Learnt:
    """The state after the batches of both, which count as they count in each."""
    scaled = other.unit / one.unit
    overall, statistics = other.overall.times(scaled), other.statistics.times(scaled)
    both = one.statistics.count + statistics.count
    extent = one.extent
    if extent is not None and other.extent is not None:
        extent = extent + other.extent
    following = replace(
        one,
        statistics=joined(one.statistics, statistics),
        overall=joined(one.overall, overall),
        square=(one.statistics.count * one.square + statistics.count * other.square) / both,
        extent=extent,
        blurred=one.blurred and other.blurred,
        dtype=np.result_type(one.dtype, other.dtype),
        n_batches=one.n_batches + other.n_batches,
        n_rows=one.n_rows + other.n_rows,
        n_present=one.n_present + other.n_present,
    )
    return stepped(settings, following, 0.0)


def joined(one: Statistics, other: Statistics) -> Statistics:
    """The sums of both, about the means that they have together."""
    mass = one.mass + other.mass
    # From the means of the one: what is far from zero is in a difference of near numbers alone.
    away = (other.center - one.center) + (other.shift() - one.shift())
    part = np.divide(other.mass, mass, out=np.zeros_like(mass), where=mass > 0)
    center = one.center + (one.shift() + part[:, None] * away)
    one, other = one.recentered(center), other.recentered(center)
    if len(one.second) != len(other.second):  # that of all components together is all that is known of one of them
        one, other = (replace(each, second=each.second.sum(axis=0, keepdims=True)) for each in (one, other))
    return one + other


def _in_unit(rows: Rows, unit: float) -> Rows:
    """The rows with their weights divided by the unit of those that came first."""
    if rows.weight is None:
        return rows if unit == 1 else replace(rows, weight=np.full(len(rows), 1 / unit))
    return replace(rows, weight=rows.weight / unit)


def _overall(update: MStep, source: InMemory, engine: Engine, names: Sequence[str] | None) -> Statistics:
    """The sums of one component that has all rows of a batch."""
    dense = not update.family.diagonal
    if source.exact:
        overall = everything(source, engine, dense=dense)
    else:
        gaussian, rows = update.overall, replace(source.rows, label=None)
        overall = told.one_pass(gaussian, InMemory(rows), gaussian.means[0], engine)
    validation.measurable(source.rows.x, _variances(overall), names)
    return overall


def _variances(overall: Statistics) -> Array:
    """Variances (d,) of the features, of the sums of one component that has all rows."""
    scatter = overall.scatter(overall.shift())[0] / overall.mass[0]
    return scatter if scatter.ndim == 1 else np.diagonal(scatter)


def looked_at(learnt: Learnt, rows: Rows, engine: Engine, began: float) -> tuple[NDArray[np.intp], dict[str, Any]]:
    """The labels (n,) of the rows of a batch under the model that was learnt with it, and its record for ``history_``;
    ``began`` is when that was, by time.perf_counter."""
    state, there = learnt.state, telling(rows)
    labels, log_density = evaluate.labels_and_log_density(state.model, rows, engine)
    own = log_density[there]
    loglik = float(own.sum() if rows.weight is None else rows.weight[there] @ own)
    return labels, {
        "objective": loglik + learnt.update.penalty(state.model) * state.unit,
        "loglik": loglik,
        "seconds": time.perf_counter() - began,
        "accelerated": False,
        "predicted": learnt.predicted,
        "weight": rows[there].total,
    }


# what is said of it -------------------------------------------------------------------------------------------------


def diagnosis(
    update: MStep, state: State, rows: Rows, labels: AnyArray, names: Sequence[str] | None
) -> list[Diagnosis]:
    """The diagnosis of each component; ``rows`` and ``labels`` are those of the last batch, which alone says nothing of
    how many rows a component has."""
    found, _ = states(update, state.model, state.n_present)
    seen = diagnose(update, state.model, rows, labels, state.n_present, names, {})
    return [replace(one, state=own, done=DONE[own]) for one, own in zip(seen, found, strict=True)]


def remarks(update: MStep, state: State, found: Sequence[Diagnosis]) -> dict[str, str]:
    """What has to be said after a batch, by subject: rows to come may make up for too few of them."""
    said = degeneracy.remarks(
        update,
        found,
        (),
        n_distinct=len(found),
        n_parameters=0,
        n_rows=state.n_present,
        coarse=(),
        labelled=True,
    )
    return said | background.remarks(state.model.background)


def grown(state: State, behind: Background | None) -> State:
    """The state with a background that reaches as far as the one of its start, too."""
    if state.extent is None or behind is None:
        return state
    box = behind.box
    return replace(state, extent=state.extent + Extent(box.low, box.low + np.exp(box.log_lengths)))
