"""Degeneracy as a state of a component, found, named and explained; never an exception of its own.

A component of n_k rows' mass, on d features, is

    empty      no row belongs to it more than to another one: nothing is left to estimate it from
    tied       on the floor, and its rows are d distinct ones or fewer: repeated or rounded values
    collapsed  on the floor, though it has more distinct rows than that: they lie on a line, a plane, ...
    starved    above the floor, with less mass than the d + 1 rows that a covariance matrix needs (two for variances),
               and no prior to make up for it
    flat       on the floor only where the data as a whole are: a constant column, columns that determine each other
    ok         none of these

``smallest_scale`` is the smallest standard deviation of a component relative to the data's, over all directions (FLOOR
being the least it can be); ``direction`` says in which combination of features that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixtura.covariance import Diagonal
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array
from mixtura.update import FLOOR, MStep

HARMLESS = ("ok", "flat")
"""States that say nothing against a run."""

EMPTY_MASS = 1e-6
"""Mass (rows) under which a component has no row."""

COUNTED = 10_000
"""Distinct rows of a component are counted up to here."""

AT_FLOOR = 1.01
"""Smallest relative variance, in units of the floor, that still counts as lying on it."""


@dataclass(frozen=True)
class Diagnosis:
    """What is known of one component; see the top of this file for the states."""

    component: int
    effective_n: float
    distinct_rows: int
    smallest_scale: float
    direction: dict[str, float] | None
    state: str
    done: str


def floor_ratio(update: MStep, model: Mixture) -> tuple[Array, Array, Array]:
    """Of each component the smallest variance in units of the floor (K,), its direction (K, d), and the number (K,) of
    directions in which it lies on the floor."""
    if isinstance(model.layout, Diagonal):
        floor = update.floor if update.floor.ndim == 1 else np.diagonal(update.floor)
        ratio = model.layout.variances / (floor + update.resolution(model.means))
        direction = np.eye(model.n_features)[ratio.argmin(axis=1)]
        return ratio.min(axis=1), direction, (ratio <= AT_FLOOR).sum(axis=1)
    ratios, directions = np.empty(model.n_components), np.empty_like(model.means)
    low = np.empty(model.n_components)
    definite = update.definite(model.layout)
    for k, whitener in enumerate(model.layout.whitener):
        floor = update.floor + np.diag(update.resolution(model.means)[k])
        for candidate in (floor, np.diag(definite[k])):
            # The largest eigenvalue of A' S^-1 A belongs to the direction in which S is smallest beside F = A A'.
            factor = np.linalg.cholesky(candidate)
            values, vectors = np.linalg.eigh((whitener @ factor).T @ (whitener @ factor))
            if candidate is floor or 1 / values[-1] < ratios[k]:
                ratios[k] = 1 / values[-1]
                directions[k] = np.linalg.solve(factor.T, vectors[:, -1])
                low[k] = (values * AT_FLOOR >= 1).sum()
    return ratios, directions, low


def is_degenerate(update: MStep, model: Mixture, total: float) -> bool:
    """Whether any component of ``model``, fitted to ``total`` rows, is in a state that speaks against the run."""
    return any(state not in HARMLESS for state in states(update, model, total)[0])


def states(update: MStep, model: Mixture, total: float) -> tuple[list[str], Array, Array]:
    """State of each component as far as the parameters tell it, with the ratios and directions behind it."""
    ratio, direction, low = floor_ratio(update, model)
    _, _, low_overall = floor_ratio(update, update.overall)
    mass = model.weights * total
    needed = update.family.least_rows(model.n_features)
    found = []
    for k in range(model.n_components):
        if mass[k] < EMPTY_MASS:
            found.append("empty")
        elif low[k] > 0:
            found.append("flat" if low[k] <= low_overall[0] else "collapsed")
        elif mass[k] < needed and not update.family.pooled and update.conjugate(1) is None:
            found.append("starved")
        else:
            found.append("ok")
    return found, ratio, direction


def diagnose(
    update: MStep,
    model: Mixture,
    x: AnyArray,
    labels: np.ndarray,
    total: float,
    names: Sequence[str] | None,
) -> list[Diagnosis]:
    """What is known of each component of ``model``, fitted to the rows ``x`` with these most probable ``labels``."""
    found, ratio, direction = states(update, model, total)
    named = [str(name) for name in names] if names is not None else [f"x{j}" for j in range(model.n_features)]
    diagnoses = []
    for k, state in enumerate(found):
        distinct = distinct_rows(x, labels == k)
        if state == "collapsed" and distinct <= model.n_features:
            state = "tied" if distinct else "empty"
        scaled = direction[k] * np.sqrt(np.diagonal(update.overall.layout.dense[0]))
        scaled = scaled / np.abs(scaled).max()
        along = {name: round(float(part), 6) for name, part in zip(named, scaled, strict=True) if abs(part) > 1e-6}
        diagnoses.append(
            Diagnosis(
                component=k,
                effective_n=float(model.weights[k] * total),
                distinct_rows=distinct,
                smallest_scale=float(FLOOR * np.sqrt(ratio[k])),
                direction=None if state in ("ok", "empty", "starved") else along,
                state=state,
                done=DONE[state],
            )
        )
    return diagnoses


DONE: dict[str, str] = {
    "ok": "nothing",
    "empty": "kept where it was",
    "tied": "its covariance was kept at the floor",
    "collapsed": "its covariance was kept at the floor",
    "flat": "the covariance was kept at the floor in the direction in which the data have no spread",
    "starved": "nothing: its covariance rests on too few rows to mean much",
}


def distinct_rows(x: AnyArray, own: np.ndarray) -> int:
    """Number of different rows among those marked by ``own`` (n,), counted up to COUNTED."""
    rows = np.ascontiguousarray(x[np.flatnonzero(own)[:COUNTED]])
    return len(np.unique(rows, axis=0)) if len(rows) else 0


REMEDY: dict[str, str] = {
    "empty": "ask for fewer components",
    "tied": "ask for fewer components",
    "collapsed": "ask for fewer components, or a covariance_type with fewer parameters",
    "starved": "ask for fewer components, or a covariance_type with fewer parameters",
}

DROP = ", or use on_degenerate='drop'"
"""What helps, too, where taking out the degenerate components leaves others."""


def sentence(diagnoses: Sequence[Diagnosis], n_distinct: int | None, remark: str) -> str:
    """What is wrong with these components and what helps, in one sentence, with a ``remark`` on the fit as a whole."""
    wrong = [one for one in diagnoses if one.state not in HARMLESS]
    parts = []
    for state in dict.fromkeys(one.state for one in wrong):
        those = [one for one in wrong if one.state == state]
        which = ", ".join(str(one.component) for one in those)
        parts.append(f"component{'s' if len(those) > 1 else ''} {which} {'are' if len(those) > 1 else 'is'} {state}")
    few = ""
    if n_distinct is not None:
        few = f"{n_distinct} distinct row{'s' if n_distinct > 1 else ''} for {len(diagnoses)} components"
    aside = ", ".join(one for one in (few, remark) if one)
    helps = REMEDY[wrong[0].state]
    if len(wrong) < len(diagnoses) and wrong[0].state in ("empty", "tied"):
        helps += DROP
    return f"{' and '.join(parts)}{f' ({aside})' if aside else ''}: {helps}; see diagnostics_"
