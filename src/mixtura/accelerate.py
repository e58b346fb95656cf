"""Drivers that reach the optimum of EM in fewer passes: L-BFGS preconditioned by EM, and SQUAREM.

EM gains little per pass where components overlap.  Near an optimum its step is I^-1 times the gradient, I the
information that the rows would hold if their components were known.  So both drivers work in a chart, coordinates in
which I is the identity at a reference (w0, m0, S0 = L0 L0') and the EM step is a step along the gradient.  With
c_k the mass of component k at the reference, as a part of all rows, and C_k = I at the reference:

    sqrt(w0_k)       log(w_k / w0_k)         (K,)            no such block with equal mixing; softmax on the way back;
                                                             a background has a weight, too, and with equal mixing
                                                             there are two: that of all components, and its own
    sqrt(c_k)        L0_k^-1 (m_k - m0_k)    (K, d)
    sqrt(2 c_k)      (C_k - I)_jj            (K, d)          S_k = L0_k C_k^2 L0_k', C_k symmetric, or, where the family
    sqrt(4 c_k)      (C_k)_ij, i > j         (K, d(d-1)/2)   is diagonal:
    sqrt(2 c_k)      log (C_k)_jj            (K, d)          spherical: sqrt(2 d c_k) log C_k, (K, 1)

A shared covariance has one C and c = sum_k c_k; what a prior adds counts in c_k.  Any point of the chart is a mixture.
A change of coordinates of the data that the family does not see changes none of the lengths and angles: of a dense
family any invertible linear map, because it turns L0 by an orthogonal matrix, and C with it.  (A triangular C would
know the features by their order.)

The gradient comes of the same pass as the objective.  With n_k the mass and V_k the scatter about the *current* mean,
both with what the prior adds, xbar_k the mean that EM would take, U = L^-1 of the current S, all divided by n:

    d/d log w_k = mass_k - w_k              d/d m_k = n_k S_k^-1 (xbar_k - m_k)
    d/d S_k     = P_k = U_k' (U_k V_k U_k' - n_k I) U_k / 2
    d/d C_k     = Q + Q',  Q = C_k L0_k' P_k L0_k

What is fixed has no coordinate and stays as it is at the reference, to the last bit; the softmax is then over the free
weights only (fixed.py).

On the floor, and where a component is empty, the objective is not smooth in these coordinates: there EM has the say.

References: M. Jamshidian and R. I. Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", Journal
of the Royal Statistical Society B 59, 1997; J. Nocedal and S. J. Wright, *Numerical Optimization*, Springer, 2006
(algorithm 7.4: the two loops); W. W. Hager and H. Zhang, "A new conjugate gradient method with guaranteed descent and
an efficient line search", SIAM Journal on Optimization 16, 2005 (the gradient judges the last steps); R. Varadhan and
C. Roland, "Simple and globally convergent methods for accelerating the convergence of any EM algorithm", Scandinavian
Journal of Statistics 35, 2008 (SQUAREM, scheme S3).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from mixtura.background import Background
from mixtura.covariance import Covariances, Dense, Diagonal, lower_whitener
from mixtura.degeneracy import EMPTY_MASS, lowest
from mixtura.em import ROUNDING, WINDOW, Driver, EStep, Problem, e_step, iterate, size_of
from mixtura.families import Family
from mixtura.fixed import Mask
from mixtura.incremental import incremental
from mixtura.mixture import Mixture
from mixtura.priors import EigenvalueRatio
from mixtura.rows import Array, Rows
from mixtura.truncated import truncated
from mixtura.update import MStep

PLAIN = 5
"""Updates of plain EM at the beginning: they take the big steps from the start, and choose the basin."""

FAST = 0.7
"""Gain of a pass relative to the one before, under which plain EM is as fast as anything."""

CLEAR = 1e4
"""Roundings of the objective that a gain must be for its ratio to the one before to have digits."""

MEMORY = 10
"""Pairs of step and change of gradient that L-BFGS knows the curvature from."""

CURVED = 1e-6
"""Curvature along a step, relative to that of complete data, that a pair must show to be remembered."""

REACH = 2.0
"""Length of a first step at most, in EM steps.  (Further steps earn their length; a long one may leave the basin.)"""

LONGER = 2.5
"""By how much the length grows after a step that was cut to it and found good."""

ASCENT = 1e-4
"""Part of what the gradient promises that a step has to gain (Armijo)."""

THIN = 1e-3
"""Smallest eigenvalue of a C: what shrinks further from where it was known is for EM to look at."""

UNTOLD = 100.0
"""Roundings of the objective, of which fewer cannot tell whether a step of such a gain was good; the gradient can."""

SHRINKS = 0.5
"""What a step of that size has to leave of the squared gradient at most."""

STRIDE = 4.0
"""Largest extrapolation of SQUAREM at first, and the factor by which it changes."""

UNIT = 1.0
"""Largest change that a step makes to a logarithm: no exponential overflows."""


TINY = float(np.finfo(np.float64).tiny)


# the chart ----------------------------------------------------------------------------------------------------------


def has_chart(family: Family) -> bool:
    """Whether the family's covariances have the coordinates above: what it has of letters is all E or all V.

    For VEI, EVI, VEE and EVV the unit lower triangle of S = L D L' would serve; they have no chart yet.
    """
    return family.uniform


def emptied(reached: EStep) -> bool:
    """Whether a component has lost its rows: the logarithm of its weight would go on for ever."""
    statistics, background = reached.statistics, reached.model.background
    least = min(statistics.mass.min(), reached.model.weights.min() * statistics.count)
    if background is not None:
        least = min(least, statistics.background, background.weight * statistics.count)
    return bool(least <= EMPTY_MASS)


def free_weights(update: MStep, model: Mixture) -> Array:
    """The weights of ``model`` that the M-step estimates."""
    return _free(update, model.weights, 0.0 if model.background is None else model.background.weight)


def _free(update: MStep, components: Array, background: float) -> Array:
    if update.equal_mixing:
        components = components.sum(keepdims=True)[: 0 if update.box is None else 1]
    elif update.fixed is not None:
        components = components[~update.held("weights", len(components))]
    free = components if update.box is None else np.append(components, background)
    return free[:0] if update.fixed is not None and len(free) == 1 else free  # one alone is what the others leave


def _total(update: MStep, reached: EStep) -> float:
    """The mass of the free weights over their sum: that of all rows, unless some weights are fixed."""
    weights = free_weights(update, reached.model)
    if update.fixed is None or update.fixed.weights is None or not len(weights):
        return reached.statistics.count
    return float(_free(update, reached.statistics.mass, reached.statistics.background).sum() / weights.sum())


@dataclass(frozen=True, eq=False)
class Chart:
    """Coordinates x (p,) about the model of a pass: ``scale`` (p,) times the logarithms and whitened entries y.

    ``moving`` says which of the entries y have a coordinate, where some are fixed; None is all.
    """

    update: MStep
    reference: Mixture
    scale: Array
    moving: Mask | None = None

    @classmethod
    def about(cls, update: MStep, reached: EStep) -> Chart | None:
        """The chart whose reference is the model of ``reached``; None where a component is empty or on the floor."""
        model, family, conjugate = reached.model, update.family, update.conjugate(reached.model.n_components)
        known = isinstance(model.layout, Dense) and model.layout.accurate is not None
        free = ~update.held("covariances", model.n_components)
        floored = known and bool(lowest(update, model)[1][free].any())
        if floored or emptied(reached):
            return None
        pulled = counted = reached.statistics.mass / reached.statistics.count
        if conjugate is not None:
            pulled = pulled + conjugate.shrinkage / reached.statistics.count
            counted = counted + conjugate.mass / reached.statistics.count
        if family.pooled:
            counted = counted.sum(keepdims=True)
        d = model.n_features
        i, j = np.tril_indices(d)
        twice = (
            np.array([2.0 * d])
            if family.spherical
            else np.full(d, 2.0)
            if family.diagonal
            else np.where(i == j, 2.0, 4.0)
        )
        weights = free_weights(update, model)
        if update.fixed is not None:
            weights = weights * (_total(update, reached) / reached.statistics.count)
        information = np.concatenate([weights, np.repeat(pulled, d), np.outer(counted, twice).ravel()])
        if update.fixed is None:
            return cls(update, model, np.sqrt(information))
        moving = np.concatenate(
            [
                np.ones(len(weights), dtype=bool),
                np.repeat(~update.held("means", model.n_components), d),
                np.repeat(free[: len(counted)], len(twice)),
            ]
        )
        return cls(update, model, np.sqrt(information[moving]), moving)

    @property
    def copies(self) -> int:
        """How many covariances there are: K, or one."""
        return 1 if self.update.family.pooled else self.reference.n_components

    @property
    def accurate(self) -> bool:
        """Whether the whitener of the reference is known better than its matrices tell."""
        return isinstance(self.reference.layout, Dense) and self.reference.layout.accurate is not None

    @cached_property
    def factor(self) -> Array:
        """L0 (K or 1, d, d), or its diagonal (K or 1, d)."""
        return self._factor(self.reference.layout)

    def _factor(self, layout: Covariances) -> Array:
        own = np.sqrt(layout.variances) if isinstance(layout, Diagonal) else layout.factor
        return own[: self.copies]

    @cached_property
    def weights(self) -> Array:
        """The free weights of the reference."""
        return free_weights(self.update, self.reference)

    def _join(self, weights: Array, means: Array, covariances: Array) -> Array:
        """One vector of the blocks; of a matrix its lower triangle, of a spherical family one entry."""
        if covariances.ndim == 3:
            covariances = covariances[:, *np.tril_indices(covariances.shape[1])]
        elif self.update.family.spherical:
            covariances = covariances[:, :1]
        y = np.concatenate([weights, means.ravel(), covariances.ravel()])
        return y if self.moving is None else y[self.moving]

    def _entries(self, x: Array) -> Array:
        """The logarithms and whitened entries y at the coordinates x, zero for what is fixed."""
        if self.moving is None:
            return x / self.scale
        y = np.zeros(len(self.moving))
        y[self.moving] = x / self.scale
        return y

    def point(self, model: Mixture) -> Array:
        """The coordinates of a model that has the family and no component on the floor."""
        reference, factor = self.reference, self._factor(model.layout)
        away = model.means - reference.means
        white = reference.layout.whitener
        if white.ndim == 2:
            means, covariances = white * away, np.log(white[: self.copies] * factor)
        else:
            means = np.einsum("kij,kj->ki", white, away)
            left, values, _ = np.linalg.svd(white[: self.copies] @ factor)
            covariances = (left * values[:, None, :]) @ left.transpose(0, 2, 1) - np.eye(model.n_features)
        weights = np.log(free_weights(self.update, model) / self.weights)
        return self.scale * self._join(weights, means, covariances)

    def _stretch(self, y: Array) -> Array:
        """C (K or 1, d, d) from the lower triangles of C - I."""
        d = self.reference.n_features
        i, j = np.tril_indices(d)
        stretch = np.zeros((self.copies, d, d))
        stretch[:, i, j] = stretch[:, j, i] = y
        return stretch + np.eye(d)

    def model(self, x: Array) -> Mixture | None:
        """The mixture at these coordinates; None if a component would lie under the floor, or be next to nothing."""
        k, d = self.reference.means.shape
        free, y = np.split(self._entries(x), [len(self.weights)])
        weights = self.weights * np.exp(free)
        weights, background = self._shared_out(weights / weights.sum())
        away, y = y[: k * d].reshape(k, d), y[k * d :].reshape(self.copies, -1)
        whitener = None
        if self.factor.ndim == 2:
            means = self.reference.means + self.factor * away
            covariances = (self.factor * np.exp(y)) ** 2
        else:
            means = self.reference.means + np.einsum("kij,kj->ki", np.broadcast_to(self.factor, (k, d, d)), away)
            stretch = self._stretch(y)
            if np.linalg.eigvalsh(stretch).min() < THIN:
                return None
            root = self.factor @ stretch
            covariances = root @ root.transpose(0, 2, 1)
            covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
            if self.accurate:
                root = np.asarray(np.linalg.solve(stretch, self.reference.layout.whitener[: self.copies]))
                whitener = lower_whitener(root)
        moved = ~self.update.held("covariances", k)[: self.copies]
        if not moved.any():
            return Mixture.of(weights, means, self.reference.layout, background)
        layout = self.update.covariances(covariances, means, whitener, self.reference)
        entries = layout.variances if isinstance(layout, Diagonal) else layout.matrices
        if not np.array_equal(entries[: self.copies][moved], covariances[moved]):
            return None
        return Mixture.of(weights, means, layout, background)

    def _shared_out(self, weights: Array) -> tuple[Array, Background | None]:
        """Weights (K,) of the components, and the background, from the free weights."""
        k, box, fixed = self.reference.n_components, self.update.box, self.update.fixed
        if not len(weights):  # all are fixed, or there is one, which has no coordinate beside what is fixed
            return self.reference.weights, self.reference.background
        if fixed is not None and fixed.weights is not None:
            parts = np.zeros(k)
            parts[~fixed.weights] = weights[: k - int(fixed.weights.sum())]
            return fixed.shared_out(self.reference, parts, 0.0 if box is None else float(weights[-1]))
        background = None if box is None else Background(float(weights[-1]), box)
        if not self.update.equal_mixing:
            return weights[:k], background
        return (self.reference.weights if box is None else np.full(k, weights[0] / k)), background

    def gradient(self, reached: EStep, x: Array) -> Array:
        """The gradient (p,) of the objective of ``reached`` at its model, which is at ``x``, per unit of weight."""
        model, statistics = reached.model, reached.statistics
        conjugate = self.update.conjugate(model.n_components)
        shift = statistics.shift()
        counted = pulled = statistics.mass
        means, scatter = statistics.center + shift, statistics.scatter(shift)
        if conjugate is not None:
            pulled = pulled + conjugate.shrinkage
            counted, means, scatter = conjugate.added(counted, means, scatter)
        away, white, factor, d = means - model.means, model.layout.whitener, self.factor, model.n_features
        if white.ndim == 2:
            moved = pulled[:, None] * away**2
            if self.copies == 1:
                moved, counted = moved.sum(axis=0, keepdims=True), counted.sum(keepdims=True)
                scatter = scatter.sum(axis=0, keepdims=True)
            squares = white[: self.copies] ** 2 * (scatter + moved) - counted[:, None]
            along_means = pulled[:, None] * factor * white**2 * away
            if self.update.family.spherical:
                squares = squares.sum(axis=1, keepdims=True)
            along_covariances = squares
        else:
            back = (white[: self.copies] @ factor).transpose(0, 2, 1)  # L0' U'
            off = np.einsum("kij,kj->ki", white, away)
            own = statistics.white_scatter(white) if conjugate is None else None
            moved = pulled[:, None, None] * off[:, :, None] * off[:, None]
            if self.copies == 1:
                moved, counted = moved.sum(axis=0, keepdims=True), counted.sum(keepdims=True)
                scatter = scatter.sum(axis=0, keepdims=True)
                own = None if own is None else own.sum(axis=0, keepdims=True)
            white = white[: self.copies]
            own = white @ scatter @ white.transpose(0, 2, 1) if own is None else own
            squares = own + moved - counted[:, None, None] * np.eye(d)
            along_means = pulled[:, None] * np.einsum("kij,kj->ki", np.broadcast_to(back, (len(off), d, d)), off)
            squares = 0.5 * back @ squares @ back.transpose(0, 2, 1)  # L0' d/dS L0
            y = self._entries(x)[-len(squares) * d * (d + 1) // 2 :]
            half = self._stretch(y.reshape(len(squares), -1)) @ squares
            along_covariances = (half + half.transpose(0, 2, 1)) * (2.0 - np.eye(d))  # two entries off the diagonal
        along_weights = _free(self.update, statistics.mass, statistics.background)
        along_weights = along_weights - free_weights(self.update, model) * _total(self.update, reached)
        return self._join(along_weights, along_means, along_covariances) / (self.scale * statistics.count)

    def within(self, step: Array, length: float) -> Array:
        """The step itself, or cut to ``length`` and to a UNIT of what is a logarithm."""
        size, y = float(np.sqrt(step @ step)), np.abs(self._entries(step))
        logarithms = [y[: len(self.weights)], y[-self.copies * self.factor[0].size :]]
        farthest = max(part.max(initial=0.0) for part in logarithms[: 2 if self.update.family.diagonal else 1])
        part = min(length / max(size, TINY), UNIT / max(float(farthest), TINY))
        return step if part >= 1 else part * step


# the drivers --------------------------------------------------------------------------------------------------------


def lbfgs(problem: Problem, start: Mixture) -> Iterator[EStep]:
    """The passes of EM, then of L-BFGS, with an update of EM wherever L-BFGS does not climb."""
    reached = yield from _plain(problem, start)
    while True:
        chart = Chart.about(problem.update, reached)
        if chart is not None:
            reached = yield from _climb(problem, chart, reached)
        # Of an update after an accelerated step only its gain tells whether anything is left; of EM alone nothing does.
        reached = replace(_em(problem, reached), promised=np.inf if reached.accelerated else 0.0)
        yield reached


def _em(problem: Problem, reached: EStep) -> EStep:
    return e_step(problem, problem.update(reached.statistics, reached.model))


def _plain(problem: Problem, start: Mixture) -> Generator[EStep, None, EStep]:
    """Passes of plain EM, more than PLAIN, until their gains fall off slowly; the last.

    While gains grow, EM is on its way out of a bad place, and no quadratic model holds; while they fall off quickly,
    nothing is faster.  Where they fall off slowly, what is left is the sum of their geometric series (Aitken).
    """
    before, latest = 0.0, 0.0
    reached = e_step(problem, start)
    for index in count():
        clear = latest > CLEAR * ROUNDING * size_of(problem, reached.objective)
        ratio = latest / before if index > PLAIN and clear and before > 0 else 0.0
        slow = FAST < ratio < 1
        reached = replace(reached, promised=latest * ratio / (1 - ratio) if slow else 0.0)
        yield reached
        if slow:
            break
        after = _em(problem, reached)
        before, latest, reached = latest, after.objective - reached.objective, after
    return reached


def _climb(problem: Problem, chart: Chart, reached: EStep) -> Generator[EStep, None, EStep]:
    """Passes of L-BFGS from the chart's reference ``reached`` until one does not climb; the last that did."""
    x = np.zeros_like(chart.scale)
    gradient = direction = chart.gradient(reached, x)
    pairs: tuple[tuple[Array, Array], ...] = ()
    concave = 0
    length = REACH * float(np.sqrt(gradient @ gradient))
    while True:
        step = chart.within(direction, length)
        wanted = reached.statistics.count * float(step @ gradient)
        model = chart.model(x + step) if wanted > 0 else None
        if model is None:
            return reached
        tried = replace(e_step(problem, model), accelerated=True)
        after = chart.gradient(tried, x + step)
        rounding = ROUNDING * size_of(problem, reached.objective)
        gain = tried.objective - reached.objective
        if wanted > UNTOLD * rounding:
            climbs = bool(gain >= ASCENT * wanted)
        else:
            climbs = bool(gain >= -rounding and after @ after <= SHRINKS * (gradient @ gradient))
        # Beside a background the rows of a component that leapt away have where to go: it would stay there, empty.
        leapt = tried.model.background is not None and emptied(tried)
        if not climbs or leapt:
            yield replace(tried, accepted=False)
            return reached
        if step is not direction:
            length *= LONGER
        change = gradient - after
        if change @ step > CURVED * (step @ step):
            pairs, concave = (*pairs, (step, change))[-MEMORY:], concave + 1
        else:
            concave = 0
        x, gradient, direction = x + step, after, ascent(after, pairs)
        if direction @ gradient <= ASCENT * np.sqrt((direction @ direction) * (gradient @ gradient)):
            direction, pairs = gradient, ()
        known = concave >= min(WINDOW, len(x))  # before that, what the model promises is far too little
        left = 0.5 * tried.statistics.count * float(direction @ gradient) if known else np.inf
        reached = replace(tried, promised=left)
        yield reached
        if emptied(reached):
            return reached


def ascent(gradient: Array, pairs: tuple[tuple[Array, Array], ...]) -> Array:
    """Inverse information times gradient, by the two loops of L-BFGS; without pairs it is that of complete data."""
    direction = gradient.copy()
    found = []
    for step, change in reversed(pairs):
        part = (step @ direction) / (step @ change)
        direction -= part * change
        found.append(part)
    for (step, change), part in zip(pairs, reversed(found), strict=True):
        direction += (part - (change @ direction) / (step @ change)) * step
    return direction


def squarem(problem: Problem, start: Mixture) -> Iterator[EStep]:
    """The passes of EM, then cycles of two EM updates and an extrapolation along them."""
    reached = yield from _plain(problem, start)
    stride = STRIDE
    while True:
        first, reached = reached, _em(problem, reached)
        target = problem.update(reached.statistics, reached.model)
        chart = Chart.about(problem.update, reached)
        model, alpha = None, 1.0
        if chart is not None:
            move, alpha, left = extrapolation(chart, first.model, target, stride)
            model = chart.model(move) if alpha > 1 else None
            reached = replace(reached, promised=reached.statistics.count * left)
        yield reached
        tried = None if model is None else replace(e_step(problem, model), accelerated=True, promised=np.inf)
        if tried is not None and tried.objective >= reached.objective:
            reached = tried
            yield reached
            stride *= STRIDE if alpha == stride else 1.0
        elif tried is not None:
            yield replace(tried, accepted=False)
            stride = max(alpha / STRIDE, STRIDE)
        if reached is not tried:
            reached = replace(e_step(problem, target), promised=reached.promised)
            yield reached


def extrapolation(chart: Chart, first: Mixture, last: Mixture, stride: float) -> tuple[Array, float, float]:
    """Scheme S3 from ``first``, the chart's reference after it and ``last`` after that.

    The point, its alpha, and what is left to gain if EM goes on like that, per unit of weight.
    """
    begin, end = chart.point(first), chart.point(last)
    r = -begin
    v = end - r
    size = float(np.sqrt(v @ v))
    alpha = max(float(np.sqrt(r @ r)) / size, 1.0) if size > 0 else 1.0
    left = 0.5 * alpha * float(end @ end)
    alpha = min(alpha, stride)
    return chart.within(begin + 2 * alpha * r + alpha**2 * v, np.inf), alpha, left


# the choice ---------------------------------------------------------------------------------------------------------

DRIVERS: dict[str, Driver] = {"lbfgs": lbfgs, "squarem": squarem}


def driver_of(
    accelerate: Any, update: MStep, covariance_type: str, truncate: int | None = None, rows: Rows | None = None
) -> Driver:
    """The driver that a user asked for; "auto" is the fastest one that the problem allows, None is plain EM.

    With ``truncate`` it is that of truncated.py, which takes exact ``rows`` only.
    """
    if truncate is not None:
        beside = {
            "noise": update.box is not None,
            "missing values": rows is not None and rows.missing is not None,
            "error_covariance": rows is not None and rows.noise is not None,
            "bins": rows is not None and rows.edges is not None,
            "labels": rows is not None and rows.label is not None,
            "fixed": update.fixed is not None,
        }
        if any(beside.values()):
            raise ValueError(
                f"truncate works without {', '.join(beside)} only, got truncate={truncate} with "
                f"{' and '.join(name for name, there in beside.items() if there)}: use truncate=None"
            )
        if accelerate not in (None, "auto"):
            raise ValueError(f'truncate works with plain EM only, got accelerate={accelerate!r}: use "auto" or None')
        return truncated(truncate)
    if accelerate is None:
        return iterate
    names = ("auto", *DRIVERS, "incremental")
    if not isinstance(accelerate, str) or accelerate not in names:
        said = ", ".join(map(repr, names))
        raise ValueError(f"accelerate must be {said} or None, got {accelerate!r}: choose one of these")
    if accelerate == "incremental":
        if update.reg_covar > 0:
            raise ValueError(
                'accelerate="incremental" works without reg_covar only, which makes EM maximise nothing: use None'
            )
        return incremental
    if update.reg_covar > 0:
        hindrance = "works without reg_covar only, which makes EM maximise nothing"
    elif isinstance(update.prior, EigenvalueRatio):
        hindrance = "works without the constraint EigenvalueRatio only"
    elif not has_chart(update.family):
        hindrance = f"needs a covariance_type whose letters are all E or all V (I aside), got {covariance_type!r}"
    elif accelerate == "auto":
        return lbfgs
    else:
        return DRIVERS[accelerate]
    if accelerate == "auto":
        return iterate
    raise ValueError(f'accelerate={accelerate!r} {hindrance}: use accelerate="auto" or None')
