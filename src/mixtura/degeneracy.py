"""Degeneracy as a state of a component, found, named and explained; never an exception of its own.

A component of n_k rows' mass, on d features, is

    empty      no row belongs to it more than to another one: nothing is left to estimate it from
    tied       on the floor, and its rows are d distinct ones or fewer: repeated or rounded values; or, where components
               share volume, shape or orientation in part, above it, with fewer distinct rows than show the rest
    collapsed  on the floor, though it has more distinct rows than that: they lie on a line, a plane, ...
    starved    above the floor, with less mass than the d + 1 rows that show axes of its own (two where it has none),
               and no prior to make up for it
    unresolved the errors (or intervals) of its rows explain all of its spread in some direction, as far as can be told
               (unresolved.py): on the floor, where every row has an error that is wider and the likelihood is bounded
               without it, or above
    flat       on the floor only where the data as a whole are: a constant column, columns that determine each other
    ok         none of these, or its covariance is fixed, and as the user wants it

Above the floor it is the mass that counts, not the labels: a component that overlaps with others can have many rows'
mass and be the most probable one of no row.

``smallest_scale`` is the smallest standard deviation of a component relative to that of the bulk of the data, over all
directions: FLOOR, or more where float64 cannot tell numbers apart so finely, is the least it can be; ``direction`` says
in which combination of features it lies on the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.covariance import Diagonal
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, Rows
from mixtura.update import EPS, FLOOR, MStep

HARMLESS = ("ok", "flat", "unresolved")
"""States that say nothing against a run."""

EMPTY_MASS = 1e-6
"""Mass (rows) under which a component has no row."""

COUNTED = 10_000
"""Distinct rows of a component are counted up to here."""

BLOCK = 1 << 17
"""Labels that are sorted at a time."""

COARSE = 16
"""Spread of the data, in units of eps and of their distance from zero, under which components get lost in rounding."""

AT_FLOOR = 1.005
"""Largest standard deviation, in units of the floor, that still counts as lying on it."""


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


def lowest(update: MStep, model: Mixture) -> tuple[Array, Array]:
    """Direction (K, d) in which each component is nearest to the floor, and in how many (K,) it lies on it."""
    least = update.resolution(model.means)
    if isinstance(model.layout, Diagonal):
        ratio = np.sqrt(model.layout.variances) / np.sqrt(update.floor_variances + least)
        return np.eye(model.n_features)[ratio.argmin(axis=1)], (ratio <= AT_FLOOR).sum(axis=1)
    # A matrix over the floor and over the least definite one is over half of their sum.
    floors = update.floor_matrix + _diagonals(least + update.definite(model.layout))
    values, vectors = _relative(model.layout.whitener, floors)
    return vectors, (values <= AT_FLOOR).sum(axis=1)


def smallest_scales(update: MStep, model: Mixture) -> Array:
    """Of each component (K,) the smallest standard deviation relative to that of the bulk of the data."""
    if isinstance(model.layout, Diagonal):
        ratio = (np.sqrt(model.layout.variances) / np.sqrt(update.floor_variances)).min(axis=1)
    else:
        floors = np.broadcast_to(update.floor_matrix, model.layout.matrices.shape)
        ratio = _relative(model.layout.whitener, floors)[0][:, 0]
    return np.asarray(FLOOR * ratio)


def _relative(whitener: Array, floors: Array) -> tuple[Array, Array]:
    """Standard deviations (K, d) along the axes of covariances, upwards, in units of floors F_k = A A' (K, d, d), and
    the direction (K, d) of the first."""
    unit = np.sqrt(np.diagonal(floors, axis1=1, axis2=2))  # features in units of their floor: squares stay in range
    factor = np.linalg.cholesky(floors / unit[:, :, None] / unit[:, None, :])
    # The largest eigenvalue of A' S^-1 A belongs to the direction in which S is smallest beside F.
    white = (whitener * unit[:, None, :]) @ factor
    _, singular, right = np.linalg.svd(white)
    direction = np.linalg.solve(factor.transpose(0, 2, 1), right[:, 0, :, None])[:, :, 0] / unit
    return 1.0 / np.maximum(singular, np.finfo(np.float64).tiny), direction


def _diagonals(entries: Array) -> Array:
    """Diagonal matrices (K, d, d) of entries (K, d)."""
    return np.asarray(entries[:, :, None] * np.eye(entries.shape[1]))


def n_degenerate(update: MStep, model: Mixture, total: float) -> int:
    """How many components of ``model``, fitted to ``total`` rows, are in a state that speaks against the run."""
    return sum(state not in HARMLESS for state in states(update, model, total)[0])


def states(update: MStep, model: Mixture, total: float) -> tuple[list[str], Array]:
    """State of each component as far as the parameters tell it, and the direction (K, d) of its narrowest part."""
    direction, low = lowest(update, model)
    _, low_overall = lowest(update, update.overall)
    mass = model.weights * total
    given, known = (update.held(part, model.n_components) for part in ("covariances", "means"))
    needed = update.family.least_rows(model.n_features) - known  # about a mean that is given, one row fewer will do
    found = []
    for k in range(model.n_components):
        if mass[k] < EMPTY_MASS:
            found.append("empty")
        elif given[k]:
            found.append("ok")
        elif low[k] > 0:
            found.append("flat" if low[k] <= low_overall[0] else "unresolved" if update.blurred else "collapsed")
        elif mass[k] < needed[k] and not update.family.pooled and update.conjugate(1) is None:
            found.append("starved")
        else:
            found.append("ok")
    return found, direction


def diagnose(
    update: MStep,
    model: Mixture,
    rows: Rows,
    labels: np.ndarray,
    total: float,
    names: Sequence[str] | None,
    unresolved: Mapping[int, Array],
) -> list[Diagnosis]:
    """What is known of each component of ``model``, fitted to the ``rows`` with these most probable ``labels``.

    ``unresolved`` are those of which errors hide how narrow they are, with the directions in which they do.
    """
    found, direction = states(update, model, total)
    held = update.held("covariances", model.n_components)
    scales = smallest_scales(update, model)
    named = _named(names, model.n_features)
    shares = update.family.coupled is not None and update.conjugate(1) is None
    shares = shares and not held.any()  # all or none of them are
    diagnoses = []
    counts, firsts = members(labels, model.n_components)
    for k, state in enumerate(found):
        distinct = distinct_rows(rows, firsts[k])
        if state == "collapsed" and distinct <= model.n_features:
            state = "tied" if distinct else "empty"
        done = DONE[state]
        # Where volumes are shared, copies of few rows do not reach the floor: their shape, or axes, is any at all.
        alone = counts[k] > 0.5 * model.weights[k] * total
        if state == "ok" and shares and alone and distinct < update.family.least_distinct(model.n_features):
            state, done = "tied", DONE["starved"]
        along_k = direction[k]
        if state == "ok" and k in unresolved and not held[k]:
            state, done, along_k = "unresolved", "nothing: how narrow it is, the errors of its rows hide", unresolved[k]
        scaled = along_k * np.sqrt(np.diagonal(update.overall.layout.dense[0]))
        scaled = scaled / np.abs(scaled).max()
        along = {name: round(float(part), 6) for name, part in zip(named, scaled, strict=True) if abs(part) > 1e-6}
        diagnoses.append(
            Diagnosis(
                component=k,
                effective_n=float(model.weights[k] * total),
                distinct_rows=distinct,
                smallest_scale=float(scales[k]),
                direction=None if done in (DONE["ok"], DONE["empty"], DONE["starved"]) else along,
                state=state,
                done=done,
            )
        )
    return diagnoses


DONE: dict[str, str] = {
    "ok": "nothing",
    "empty": "kept where it was",
    "tied": "its covariance was kept at the floor",
    "collapsed": "its covariance was kept at the floor",
    "flat": "the covariance was kept at the floor in the direction in which the data have no spread",
    "unresolved": "its covariance was kept at the floor: the errors explain all of its spread",
    "starved": "nothing: its covariance rests on too few rows to mean much",
}


def _named(names: Sequence[str] | None, n_features: int) -> list[str]:
    """The names as text, or x0, x1, ... where there are none."""
    return [f"x{j}" for j in range(n_features)] if names is None else [str(name) for name in names]


def members(labels: np.ndarray, n_components: int) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
    """How many rows have each label (K,), and which are the first of them, up to COUNTED."""
    counts = np.zeros(n_components, dtype=np.intp)
    firsts: list[list[NDArray[np.intp]]] = [[] for _ in range(n_components)]
    for begin in range(0, len(labels), BLOCK):
        part = labels[begin : begin + BLOCK]
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(n_components + 1))
        for k in np.flatnonzero((np.diff(ends) > 0) & (counts < COUNTED)):
            firsts[k].append(begin + order[ends[k] : ends[k + 1]][: COUNTED - counts[k]])
        counts += np.diff(ends)
    return counts, [np.concatenate([np.empty(0, dtype=np.intp), *found]) for found in firsts]


def distinct_rows(rows: Rows, own: NDArray[np.intp]) -> int:
    """Number of different rows among those numbered ``own``."""
    return len(np.unique(np.ascontiguousarray(rows[own].comparable), axis=0)) if len(own) else 0


REMEDY: dict[str, str] = {
    "empty": "ask for fewer components",
    "tied": "ask for fewer components",
    "collapsed": "ask for fewer components, or a covariance_type with fewer parameters",
    "starved": "ask for fewer components, or a covariance_type with fewer parameters",
}

LONE = 1.5
"""Rows up to which a tied component is one row far from all others."""

ASTRAY = "look at its row: take it out if it is astray, or use noise=True"
"""What helps where a component covers a single row."""

MANY = "ask for fewer components and a covariance_type with fewer parameters"
"""What helps where there are more parameters than rows: often neither is enough by itself."""

PRIOR = ", or use prior='fraley-raftery'"
"""What helps, too, where each component has rows."""

DROP = ", or on_degenerate='drop'"
"""What helps, too, where taking out the degenerate components leaves others."""


def hardly_resolved(update: MStep, x: AnyArray, names: Sequence[str] | None) -> list[str]:
    """Features of the rows ``x`` (n, d) that lie so far from zero that rounding leaves little of their spread."""
    spread = np.sqrt(update.floor_variances) / FLOOR
    step = COARSE * update.eps
    named = _named(names, x.shape[1])
    coarse = np.flatnonzero(spread <= step * np.abs(update.overall.means[0]))
    # A constant column has nothing to lose, and a row astray moves the mean but not the others.
    found = []
    for j in coarse:
        values = x[:, j][~np.isnan(x[:, j])]
        if np.ptp(values) > 0 and spread[j] <= step * abs(float(np.median(values))):
            found.append(named[j])
    return found


def remarks(
    update: MStep,
    found: Sequence[Diagnosis],
    dropped: Sequence[Diagnosis],
    *,
    n_distinct: int,
    n_parameters: int,
    n_rows: float,
    coarse: Sequence[str],
    labelled: bool = False,
) -> dict[str, str]:
    """What has to be said about a fit of ``n_parameters`` to ``n_rows``, a sentence for each subject.

    ``found`` are the components there are, ``dropped`` those that were taken out; ``n_distinct`` counts different rows
    as far as the number of components, ``coarse`` are the features that are hardly resolved.  Where rows are
    ``labelled``, no component can be dropped.
    """
    said = {}
    if coarse:
        which = ", ".join(coarse[:5]) + (f" and {len(coarse) - 5} more features" if len(coarse) > 5 else "")
        vary = "varies" if len(coarse) == 1 else "vary"
        dtype = "float64" if update.eps == EPS else "float32"
        said["resolution"] = (
            f"{which} {vary} by little more than {dtype} rounds numbers of that size: "
            "subtract an offset, in float64, before fitting"
        )
    wrong = [one for one in found if one.state not in HARMLESS]
    bare = update.prior is None and update.reg_covar == 0
    many = n_parameters > n_rows
    estimated = len(found) - int(update.held("covariances", len(found)).sum())  # one that is given needs no rows
    # Without correlations most parameters are means, and a row has a number for each of a mean; one Gaussian is unique.
    alone = many and bare and not update.family.diagonal and len(found) > 1 and estimated > 0
    few = n_distinct < estimated
    if not wrong and not few and not alone:
        return said
    facts = [f"{n_distinct} distinct row{'s' if n_distinct > 1 else ''} for {len(found)} components"] if few else []
    facts += [f"{n_parameters} free parameters for {n_rows:.0f} row{'s' if n_rows > 1 else ''}"] if many else []
    aside = ", ".join(facts)
    what = " and ".join(
        f"{_numbered([one for one in wrong if one.state == state], 'is', 'are')} {state}"
        for state in dict.fromkeys(one.state for one in wrong)
    )
    if dropped and wrong:
        what = f"{_numbered(dropped, 'was', 'were')} dropped, and of those left {what}"
    what = f"{what} ({aside})" if what and aside else what or aside
    # A row astray takes a component with it: fewer components, or a prior, leave less for the others.
    lone = bool(wrong) and not few and not many and all(one.state == "tied" and one.effective_n < LONE for one in wrong)
    helps = ASTRAY if lone else REMEDY["empty"] if few else MANY if many else REMEDY[wrong[0].state]
    if bare and not few and not lone and all(one.state != "empty" for one in wrong):
        helps += PRIOR
    if (
        not lone
        and not dropped
        and update.fixed is None
        and not labelled
        and not many
        and len(wrong) < len(found)
        and wrong
        and wrong[0].state in ("empty", "tied")
    ):
        helps += DROP
    said["degenerate" if wrong or few else "parameters"] = f"{what}: {helps}; see diagnostics_"
    return said


NAMED = 20
"""Components that a sentence names by number at most."""


def _numbered(those: Sequence[Diagnosis], one: str, many: str) -> str:
    """Components by their numbers, with the verb."""
    which = ", ".join(str(each.component) for each in those[:NAMED])
    which += f" and {len(those) - NAMED} more" if len(those) > NAMED else ""
    return f"components {which} {many}" if len(those) > 1 else f"component {which} {one}"
