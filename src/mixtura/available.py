"""What can be said of all rows, and of parts of them, before there is a model: available cases.

A row tells a feature j with the reliability

    a_nj = s_j / (s_j + e_nj)        s_j the variance of the feature, e_nj that of the error; 0 where it is missing

(the error of an interval of length h is uniform, of variance h^2 / 12: W. F. Sheppard, "On the calculation of the most
probable values of frequency-constants", Proceedings of the London Mathematical Society 29, 1898).

Weighted by reliability, the values that are there give means and variances, less the errors' share of them.  The
Gaussian of all rows, by EM from there, fills in what is missing: E[x | what is told].  The rows so filled in are what
starts look at; they give a start its correlations, and the values that are there its means and variances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mixtura import impute, told
from mixtura.covariance import Dense
from mixtura.em import Problem, passes
from mixtura.engine import Engine
from mixtura.families import FAMILIES
from mixtura.mixture import Mixture
from mixtura.rows import Array, InMemory, Rows, Source
from mixtura.statistics import Statistics, bulk_scale
from mixtura.update import m_step

PASSES, TOL = 200, 1e-3
"""Passes of EM for one Gaussian at most, or until they gain so little, in nats."""

ENOUGH = 20_000
"""Rows that the Gaussian of all rows is fitted to, at most."""

WIDEST = 64
"""Features up to which the Gaussian of all rows has correlations, if there are ROWS rows for each of them."""

ROWS = 3

BLOCK = 1 << 20
"""Entries of rows, or of their errors, that are looked at at a time: more would be another table of the rows' size."""

LEFT = 0.05
"""Part of a variance that is left at least when that of the errors is taken off."""

WIDER = 100.0
"""How many times the variance of the floor that of an error is, for the floor not to matter."""

BEYOND = 1e150
"""Variances in units of the floor, at most: their squares are numbers."""

TOLD = 1e-3
"""Reliable rows without which a component is taken to have the mean and variance of all rows in a feature."""


def errors(rows: Rows) -> Array:
    """Variances (n, d) of the errors of the features."""
    if rows.edges is not None:
        width = np.diff(rows.edges)
        return np.where(np.isfinite(width), width, 0.0) ** 2 / 12
    if rows.noise is None:
        return np.zeros(rows.x.shape)
    return rows.noise if rows.noise.ndim == 2 else np.einsum("njj->nj", rows.noise)


def mean_errors(rows: Rows) -> Array:
    """Mean (d,) of the variances of the errors that the values that are there have."""
    # Where nothing is, there is no error.
    return np.asarray(_summed(rows, lambda part, there: np.ascontiguousarray(errors(part))) / _mass(rows))


def _summed(rows: Rows, values: Callable[[Rows, Array], Array]) -> Array:
    """Weighted sum (d,) of the ``values`` (b, d) of blocks of rows, which are told what is there as ones and zeros."""
    total = np.zeros(rows.x.shape[1])
    size = max(BLOCK // max(1, rows.x.shape[1]), 1)
    for part in InMemory(rows).blocks(size):
        there = np.ones(part.x.shape)
        if part.missing is not None:
            there[part.missing] = 0.0
        total += (np.ones(len(part)) if part.weight is None else part.weight) @ values(part, there)
    return total


def _mass(rows: Rows) -> Array:
    """Sum of the weights (d,) of the rows that have a value of each feature."""
    return _summed(rows, lambda part, there: there)


def reliability(rows: Rows, variances: Array) -> Array:
    """a (n, d), the features having these ``variances`` (d,)."""
    own = np.where(variances > 0, variances, 1.0)
    found = own / (own + errors(rows))
    if rows.missing is not None:
        found[rows.missing] = 0.0
    return found


def moments(rows: Rows) -> tuple[Array, Array]:
    """Mean (d,) and variance (d,) of the values that are there, with their errors."""
    mass = _mass(rows)
    mean = _summed(rows, lambda part, there: _without_nan(part)) / mass
    return mean, _summed(rows, lambda part, there: (_without_nan(part) - mean) ** 2 * there) / mass


def _without_nan(rows: Rows) -> Array:
    x = np.array(rows.x, dtype=np.float64, order="C")  # products of another order would have other bits
    if rows.missing is not None:
        x[rows.missing] = 0.0
    return x


def gaussian_of(
    source: Source, engine: Engine, mean: Array, variance: Array, known: Mixture | None = None, *, dense: bool
) -> tuple[Mixture, Statistics, Array]:
    """The Gaussian of all rows, if it is not ``known``, with correlations if there are rows enough; their sums under
    it, matrices if ``dense``; and the scale of their bulk (d,).  ``mean`` and ``variance`` are their moments."""
    near = InMemory(replace(source.at_hand, label=None))  # labels are those of components
    source = source if source.in_memory is None else near
    scale = bulk_scale(source, np.sqrt(variance))
    correlated = near.n_features <= WIDEST and near.n_rows > ROWS * near.n_features
    model = _fitted(near, engine, mean, variance, scale, correlated=correlated) if known is None else known
    whole = model if correlated or not dense else model.stored_as(Dense(model.layout.dense))
    return model, _about_mean(told.one_pass(whole, source, model.means[0], engine), dense=dense), scale


def _fitted(
    source: InMemory, engine: Engine, mean: Array, variance: Array, scale: Array, *, correlated: bool
) -> Mixture:
    """The Gaussian of all rows, by EM from these moments."""
    d = source.n_features
    family = FAMILIES["VVV" if correlated else "VVI"]
    less = mean_errors(source.rows)
    own = np.maximum(variance - less, LEFT * variance)
    own = np.where(own > 0, own, 1.0)
    total = Statistics(0.0, source.total, np.array([source.total]), np.zeros((1, d)), np.zeros((1, d)), mean[None])
    total = replace(total, second=source.total * (own[None, :, None] * np.eye(d) if correlated else own[None]))
    update = m_step(family, total, scale, equal_mixing=False)
    part = InMemory(source.sample(ENOUGH, np.random.default_rng(0)))
    for latest in passes(Problem(part, mean, engine, update), update.overall, tol=TOL, max_iter=PASSES):
        model = latest.model
    return model


def _about_mean(statistics: Statistics, *, dense: bool) -> Statistics:
    """The sums of one component about its mean; what rounding leaves of no variance is none."""
    shift = statistics.shift()
    scatter = statistics.scatter(shift)
    if not dense and scatter.ndim == 3:
        scatter = np.einsum("kjj->kj", scatter)
    variance = scatter if scatter.ndim == 2 else np.einsum("kjj->kj", scatter)
    flat = variance <= 0
    scatter = np.where(flat if scatter.ndim == 2 else flat[:, :, None] | flat[:, None], 0.0, scatter)
    return replace(statistics, center=statistics.center + shift, first=np.zeros_like(shift), second=scatter)


def blurred(rows: Rows, floor: Array) -> bool:
    """Whether the error of every row is wider, in all directions that it tells, than a floor of variances (d,)."""
    if rows.edges is not None:
        return bool((np.diff(rows.edges)[:, 0] ** 2 > WIDER * floor).all())
    if rows.noise is None:
        return False
    size = max(BLOCK // rows.noise[0].size, 1)
    return all(_wider(part, floor) for part in InMemory(rows).blocks(size))


def _wider(rows: Rows, floor: Array) -> bool:
    """``blurred`` of a block of rows with errors."""
    assert rows.noise is not None
    least = WIDER * floor if rows.noise.ndim == 2 else WIDER * np.outer(np.sqrt(floor), np.sqrt(floor))
    with np.errstate(over="ignore"):  # beyond all numbers is wider, too
        relative = rows.noise / least
    if rows.noise.ndim == 2:
        return bool((relative > 1 if rows.missing is None else (relative > 1) | rows.missing).all())
    if rows.missing is not None:
        relative = np.where(rows.missing[:, :, None] | rows.missing[:, None], 2 * np.eye(len(floor)), relative)
    relative = np.clip(relative, -BEYOND, BEYOND)
    try:
        np.linalg.cholesky(relative - np.eye(len(floor)))
    except np.linalg.LinAlgError:
        return False
    return True


def filled(rows: Rows, gaussian: Mixture, engine: Engine) -> Rows:
    """The rows with what is expected in place of what is missing, which they still say is."""
    if rows.missing is None:
        return rows
    return replace(rows, x=impute.mean(gaussian, replace(rows, label=None), engine))


def given(rows: Rows, resp: Array, overall: Mixture, *, dense: bool, background: bool = False) -> Statistics:
    """Statistics of components that have responsibilities (n, K) for rows that are filled in; with ``background``
    (n, K + 1).  ``overall`` is the Gaussian of all rows."""
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    resp = resp * weight[:, None]
    behind = 0.0
    if background:
        resp, behind = resp[:, :-1], float(resp[:, -1].sum())
    x, error, everywhere = rows.x, errors(rows), overall.layout.diagonal[0]
    reliable = reliability(rows, everywhere)
    mass, enough = resp.sum(axis=0), resp.T @ reliable
    known = enough > TOLD
    enough = np.where(known, enough, 1.0)
    means = np.where(known, resp.T @ (reliable * x) / enough, overall.means)
    second = np.empty((*means.shape, means.shape[1]) if dense else means.shape)
    for k, own in enumerate(resp.T):
        away = x - means[k]
        variance = own @ (reliable * away * away) / enough[k]
        variance = np.maximum(variance - own @ (reliable * error) / enough[k], LEFT * variance)
        variance = np.where(known[k], variance, everywhere)
        if not dense:
            second[k] = mass[k] * variance
            continue
        scatter = (away * own[:, None]).T @ away
        spread = np.sqrt(np.diagonal(scatter))
        spread = np.where(spread > 0, spread, 1.0)
        correlation = scatter / np.outer(spread, spread)
        np.fill_diagonal(correlation, 1.0)
        deviation = np.sqrt(variance)  # first: the product of two variances may be no number
        second[k] = mass[k] * correlation * np.outer(deviation, deviation)
    return Statistics(0.0, rows.total, mass, np.zeros_like(means), second, means, background=behind)
