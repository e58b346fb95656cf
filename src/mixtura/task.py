"""A call of fit, made ready: the parameters of the estimator, checked, and the problem that they make of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixtura import available, em, start, validation
from mixtura.accelerate import driver_of
from mixtura.background import box_around
from mixtura.checkpoint import Journal, Journaled
from mixtura.distributed import OnCluster
from mixtura.engine import Engine
from mixtura.fixed import Fixed, fixed_of
from mixtura.mixture import Mixture
from mixtura.priors import Prior, prior_of
from mixtura.rows import Array, InMemory, Rows, Source, telling, told_whole
from mixtura.shapes import answer_dtype
from mixtura.sources import Streamed
from mixtura.statistics import Statistics, bulk_scale, everything
from mixtura.update import MStep, m_step

MIXING = ("free", "equal")
ON_DEGENERATE = ("rescue", "drop", "raise")


@dataclass(frozen=True, eq=False)
class Settings:
    """The parameters of an estimator as far as they do not depend on the rows, checked; they have its names.

    ``member`` says whether starts are of the family, whatever they are made of.
    """

    n_components: int
    covariance_type: str
    equal_mixing: bool
    prior: Prior | None
    fixed: Fixed | None
    noise: bool
    reg_covar: float
    on_degenerate: str
    accelerate: Any
    truncate: int | None
    tol: float
    max_iter: int
    trace: bool
    random_state: Any
    member: bool


def settings_of(parameters: Mapping[str, Any]) -> Settings:
    """The ``parameters`` of GaussianMixture, by name."""
    one = parameters
    validation.count(one["n_components"], "n_components")
    validation.count(one["max_iter"], "max_iter", least=0)
    validation.number(one["tol"], "tol")
    validation.one_of(one["mixing"], "mixing", MIXING)
    validation.one_of(one["on_degenerate"], "on_degenerate", ON_DEGENERATE)
    verbose = one["verbose"]
    validation.count(int(verbose) if isinstance(verbose, bool) else verbose, "verbose", least=0)
    if not isinstance(one["n_init"], str) or one["n_init"] != "auto":
        validation.count(one["n_init"], 'n_init, if not "auto",')
    if one["truncate"] is not None:
        validation.count(one["truncate"], "truncate, if not None,")
    family = validation.family(one["covariance_type"])
    prior = prior_of(one["prior"], family, one["covariance_type"])
    fixed = fixed_of(
        one["fixed"],
        int(one["n_components"]),
        family,
        one["covariance_type"],
        prior=prior,
        mixing=one["mixing"],
        on_degenerate=one["on_degenerate"],
    )
    not_made = ["covariances_init", "precisions_init", *(["weights_init"] if one["mixing"] == "equal" else [])]
    return Settings(
        n_components=int(one["n_components"]),
        covariance_type=one["covariance_type"],
        equal_mixing=one["mixing"] == "equal",
        prior=prior,
        fixed=fixed,
        noise=validation.switch(one["noise"], "noise"),
        reg_covar=0.0 if one["reg_covar"] is None else validation.number(one["reg_covar"], "reg_covar"),
        on_degenerate=one["on_degenerate"],
        accelerate=one["accelerate"],
        truncate=one["truncate"],
        tol=float(one["tol"]),
        max_iter=int(one["max_iter"]),
        trace=bool(one["trace"]),
        random_state=one["random_state"],
        member=not one["warm_start"] and all(one[name] is None for name in not_made),
    )


@dataclass(frozen=True, eq=False)
class Task:
    """One call of fit, made ready: the problem in scaled weights, how it is run, and what brings totals back.

    ``rows`` are all rows; the problem has those ``present``, a slice or indices.  Of a table that is larger than memory
    they are the rows at hand, not ``whole``.  ``scale`` is what the weights have been divided by, ``total_weight``
    their sum as they were given, ``n_rows`` the number of all rows, ``n_present`` of those that count.  ``member`` says
    whether starts are of the family; ``names`` are those of the features, if they have any.
    """

    rows: Rows
    present: Any
    whole: bool
    problem: em.Problem
    driver: em.Driver
    tol: float
    max_iter: int
    member: bool
    trace: bool
    scale: float
    total_weight: float
    n_rows: int
    n_present: float
    entropy: int | None
    names: Sequence[str] | None


def task_of(
    settings: Settings,
    rows: Rows,
    names: Sequence[str] | None,
    engine: Engine,
    like: Task | None = None,
    journal: Journal | None = None,
) -> Task:
    """What a fit to ``rows`` needs; a task ``like`` it, of the same rows, knows their Gaussian already.  Its sums are
    in the ``journal``, if there is one."""
    if rows.label is not None and settings.on_degenerate == "drop":
        raise ValueError(
            'labels must be None with on_degenerate="drop", which gives components other numbers, got some: '
            'use "rescue" or "raise"'
        )
    there = telling(rows)
    own = rows[there]
    validation.some_told(own.missing, names)  # first: of no rows at all nothing is missing
    own = told_whole(own)
    # Of a histogram the counts are the rows; shares of one count as many rows as there are bins.
    unit = own.total / len(own) if own.edges is None else min(own.total / len(own), 1.0)
    source: Source
    gaussian = None
    if like is not None and not own.exact:
        source, gaussian = like.problem.source, like.problem.gaussian
    else:
        source = InMemory(own if own.weight is None else replace(own, weight=own.weight / unit))
        source = source if journal is None else Journaled(source, journal)
    problem = _problem(settings, source, unit, engine, names, gaussian)
    return Task(
        rows=rows,
        present=there,
        whole=True,
        problem=problem,
        driver=driver_of(settings.accelerate, problem.update, settings.covariance_type, settings.truncate, rows),
        scale=unit,
        total_weight=own.total,
        n_rows=len(rows),
        n_present=float(len(own)) if own.edges is None else own.total / unit,
        names=names,
        **_how(settings),
    )


def task_over(
    settings: Settings,
    source: Streamed | OnCluster,
    names: Sequence[str] | None,
    engine: Engine,
    journal: Journal | None = None,
) -> Task:
    """What a fit to a ``source`` that is larger than memory needs; its sums are in the ``journal``, if there is one."""
    if settings.truncate is not None:
        raise ValueError(
            f"truncate must be None for a table that is larger than memory, got {settings.truncate}: the components of "
            "each row would have to be kept from pass to pass"
        )
    if settings.accelerate == "incremental" and isinstance(source, OnCluster):
        raise ValueError(
            'accelerate must not be "incremental" for a Dask collection, whose chunks would have to be worked on one '
            'after the other: use "auto" or None'
        )
    journaled = source if journal is None else Journaled(source, journal)
    problem = _problem(settings, journaled, source.unit, engine, names, None)
    return Task(
        rows=source.at_hand,
        present=slice(None),
        whole=False,
        problem=problem,
        driver=driver_of(settings.accelerate, problem.update, settings.covariance_type),
        scale=source.unit,
        total_weight=source.survey.total,
        n_rows=source.survey.n_rows,
        n_present=float(source.n_rows),
        names=names,
        **_how(settings),
    )


def _how(settings: Settings) -> dict[str, Any]:
    """How it is run, whatever the rows."""
    return {
        "tol": settings.tol,
        "max_iter": settings.max_iter,
        "member": settings.member,
        "trace": settings.trace,
        "entropy": start.entropy_of(settings.random_state),
    }


def _problem(
    settings: Settings, source: Source, unit: float, engine: Engine, names: Sequence[str] | None, known: Mixture | None
) -> em.Problem:
    """What stays the same from pass to pass; the Gaussian of all rows may be ``known``, where they are not exact."""
    family, rows = validation.family(settings.covariance_type, source.n_features), source.at_hand
    gaussian = None
    if source.exact:
        overall = everything(source, engine, dense=not family.diagonal)
        variances = np.diagonal(overall.second[0]) if overall.second.ndim == 3 else overall.second[0]
        validation.measurable(rows.x, variances / overall.count, names)
        scale = bulk_scale(source, np.sqrt(variances / overall.count))
    else:
        mean, variance = available.moments(rows)
        validation.measurable(rows.x, variance, names)
        gaussian, overall, scale = available.gaussian_of(
            source, engine, mean, variance, known, dense=not family.diagonal
        )
    update = update_of(settings, overall, scale, unit, answer_dtype(rows.x))
    if not source.exact:
        update = replace(update, blurred=available.blurred(rows, update.floor_variances))
    if settings.noise:
        points = None if gaussian is None else (gaussian.means[0], gaussian.layout.dense[0])
        box = box_around(source, update.smallest, update.overall.layout.dense[0], engine, points)
        update = replace(update, box=box)
    return em.Problem(source, update.overall.means[0], engine, update, gaussian, overall, scale)


def update_of(settings: Settings, overall: Statistics, scale: Array, unit: float, dtype: np.dtype[Any]) -> MStep:
    """The M-step for rows of these sums and this scale of their bulk, and for answers of this dtype."""
    update = m_step(
        validation.family(settings.covariance_type, overall.first.shape[1]),
        overall,
        scale,
        equal_mixing=settings.equal_mixing,
        prior=settings.prior,
        reg_covar=settings.reg_covar,
        unit=unit,
        eps=float(np.finfo(dtype).eps),
    )
    return update if settings.fixed is None else replace(update, fixed=settings.fixed)
