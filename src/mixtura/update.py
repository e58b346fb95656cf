"""From sums to a model: the M-step, and the floor under it.

    w_k = n_k / n            (or 1 / K; with a background of mass n_0, (n - n_0) / n / K)
    m_k = a_k + first_k / n_k
    W_k = scatter about m_k  ->  family.estimate(W, n) -> S_k,  raised to S_k >= F_k where it fell below

F_k is far under any real cluster: in every direction 1e-6 of the scale of the bulk of the data, or what float64 can
tell apart at the component's place, whichever is more.  Maximising the likelihood under S_k >= F_k is exact: with
F = A A' the eigenvalues of A^-1 S_k A'^-1 below one become one (each feature by itself for diagonal families, one
number for spherical ones).  So the likelihood stays bounded, EM stays monotone, and a component above the floor is
not touched by it at all.

That is so for the six families whose components have nothing in common or everything.  Raising one component of
another family would take it out of the family: these are estimated over the floor from the first, in coordinates
A^-1 x in which F is the identity (spectra.py; the frame of a family admits them, see ``floor_under``), F being the
same for all components.  Their M-step never lowers the expected objective under that of the previous model, which is
over the floor, too.

A component without mass keeps its previous mean and covariance (of a covariance that is shared in part, its own part):
any parameters are then a maximiser.

Between estimate and floor comes what the user asked for: a prior or a bound on eigenvalues (priors.py), and
``reg_covar``, which is added to the variances as in scikit-learn and maximises nothing.  What is to stay as it was in
the previous model is in fixed.py, and so are the equations for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mixtura.background import Background, Box
from mixtura.covariance import Covariances, Dense, Diagonal, broadcast, is_shared, lower_whitener, read_only, suited
from mixtura.families import Family
from mixtura.fixed import Fixed, Mask, beside, held, scatter_about
from mixtura.mixture import Mixture
from mixtura.priors import Conjugate, EigenvalueRatio, Prior
from mixtura.rows import Array
from mixtura.spectra import Bounds, Spectrum
from mixtura.statistics import EMPTY, Statistics

FLOOR = 1e-6
"""Smallest standard deviation of a component, as a fraction of the data's."""

EPS = float(np.finfo(np.float64).eps)

RESOLUTION = 4
"""Smallest standard deviation of a component, as a fraction of its mean, in units of EPS: the next number."""

DEFINITE = 8
"""Smallest eigenvalue of a component's correlation matrix, per feature, in units of ``eps``."""

CEILING = 1e3
"""Largest standard deviation of a component of equal volumes, as a multiple of the data's widest."""

ROUGH = 1e8
"""Ratio of a component's variances over which its matrix no longer says enough about the small ones."""

MORE, FASTER = 1e-6, 1e3
"""Part by which a floor is raised beyond what falls short, and how many times more in each next try: what falls short
may do so in a direction that feels a higher floor late."""

NEAR = 1.002
"""Ratio of two floors, one too low and one that will do, between which no third one is tried: of a component that lies
on one of them AT_FLOOR of degeneracy.py cannot say on which."""

CORRELATION = 0.01
"""Smallest eigenvalue that the data's correlation matrix counts for in the floor."""


@dataclass(frozen=True, eq=False)
class MStep:
    """The M-step of one ``family``; ``overall`` is the Gaussian of all rows, ``floor`` (d, d) or (d,) is F.

    To a prior, a weight of one is a row: ``n_rows`` is the sum of the weights as they were given, ``unit`` what they
    have been divided by since.  ``eps`` is how finely the dtype of the answer divides numbers.  ``box`` is that of the
    background, if there is to be one.  ``blurred``: every row has an error that is wider than the floor.
    ``fixed``: what stays as it was in the previous model.
    """

    family: Family
    equal_mixing: bool
    overall: Mixture
    floor: Array
    prior: Prior | None = None
    reg_covar: float = 0.0
    n_rows: float = 1.0
    unit: float = 1.0
    eps: float = EPS
    box: Box | None = None
    blurred: bool = False
    fixed: Fixed | None = None

    @property
    def plain(self) -> bool:
        """Whether it is that of the family, with nothing beside the likelihood and nothing fixed."""
        beside_it = self.prior is not None or self.box is not None or self.fixed is not None
        return not beside_it and self.reg_covar == 0 and not self.equal_mixing

    @property
    def pooled(self) -> bool:
        """Whether the scatter of all components together is all that it looks at."""
        return self.family.pooled and self.prior is None and self.box is None

    def __call__(self, statistics: Statistics, previous: Mixture | None) -> Mixture:
        """The mixture that maximises the expected objective; empty components stay as in ``previous``."""
        mass = statistics.mass
        n_components = len(mass)
        shift = statistics.shift()
        means = statistics.center + shift
        empty = mass <= EMPTY
        scatter = statistics.scatter(shift)
        if self.family.diagonal and scatter.ndim == 3:  # only a start can be dense where its family is not
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        if empty.any():
            means[empty] = self.overall.means[0] if previous is None else previous.means[empty]
        counted = pulled = mass
        conjugate, found = self.conjugate(n_components), means
        if conjugate is not None:
            pulled = mass + conjugate.shrinkage
            counted, means, scatter = conjugate.added(mass, means, scatter)
        if previous is not None and self.fixed is not None and self.fixed.means is not None:
            scatter = scatter_about(scatter, pulled, self.away(statistics, previous, means - found))
            means = np.where(self.fixed.means[:, None], previous.means, means)
        total = (mass.sum() + statistics.background) or 1.0  # a start may find all rows labelled as background
        background = None if self.box is None else Background(float(statistics.background / total), self.box)
        # What the background leaves, as Mixture.beside takes it: beside nearly all it has few digits.
        left = 1.0 if background is None else 1 - background.weight
        weights = mass / total if background is None or not mass.sum() > EMPTY else left * (mass / mass.sum())
        if self.equal_mixing:
            weights = np.full(n_components, left / n_components)
        if previous is not None and self.fixed is not None and self.fixed.weights is not None:
            weights, background = self.fixed.shared_out(previous, mass, statistics.background)
        stays = self.held("covariances", n_components)
        if previous is not None and stays.all():
            return Mixture.of(weights, means, previous.layout, background)
        if not mass.sum() > EMPTY:  # the background has taken all
            kept = self.overall.layout.only([0] * n_components) if previous is None else previous.layout
            return Mixture.of(weights, means, kept, background)
        if self.family.coupled is not None:
            return Mixture.of(weights, means, self.coupled(scatter, counted, means, previous), background)
        estimates = self.family.estimate(scatter, counted)
        if conjugate is None and empty.any() and len(estimates) == n_components:
            layout = (self.overall if previous is None else previous).layout
            before = layout.diagonal if self.family.diagonal else layout.dense
            estimates[empty] = before[0] if previous is None else before[empty]
        if isinstance(self.prior, EigenvalueRatio):
            own = mass if len(estimates) == n_components else mass.sum(keepdims=True)
            estimates = self.prior.clipped(estimates, own, self.largest_floor(means))
        if self.reg_covar > 0:
            estimates = estimates + self.reg_covar * (1.0 if self.family.diagonal else np.eye(estimates.shape[1]))
        whitener = None
        if previous is not None and self.prior is None and self.reg_covar == 0 and self.family.frame == "affine":
            whitener = self.whitener(statistics, previous)
        return Mixture.of(weights, means, self.covariances(estimates, means, whitener, previous), background)

    def held(self, part: str, n_components: int) -> Mask:
        """Which of so many components (K,) have a part, one of PARTS of fixed.py, that stays as it was."""
        return held(None if self.fixed is None else getattr(self.fixed, part), n_components)

    def away(self, statistics: Statistics, previous: Mixture, pull: Array | float = 0.0) -> Array:
        """How far (K, d) the means of the rows lie from the fixed ones of ``previous``, a prior having moved them by
        ``pull``; zero where means are free.  The difference of near numbers comes first: nothing cancels far from zero.
        """
        away = (statistics.center - previous.means) + statistics.shift()
        away = np.where(statistics.mass[:, None] > EMPTY, away, 0.0) + pull
        return np.where(self.held("means", len(away))[:, None], away, 0.0)

    def covariances(
        self, estimates: Array, means: Array, whitener: Array | None, previous: Mixture | None
    ) -> Covariances:
        """Covariances of components at ``means``: ``estimates``, raised to the floor, beside those that stay as they
        were in ``previous``."""
        stays = self.held("covariances", len(means))
        if previous is None or not stays.any():
            return self.raised(broadcast(estimates, len(means)), means, whitener)
        free = ~stays
        raised = self.raised(estimates[free], means[free], None if whitener is None else whitener[free])
        return beside(previous.layout, free, raised)

    def whitener(self, statistics: Statistics, previous: Mixture) -> Array | None:
        """Whiteners (K or 1, d, d) that are known better than the entries of the matrices tell: those of ``previous``,
        and on top of them those of what they left."""
        before = previous.layout.whitener
        scatter = statistics.white_scatter(before)
        if scatter is None or (self.family.pooled and not previous.layout.shared):
            return None
        n_components = len(statistics.mass)
        if self.fixed is not None:
            away = np.einsum("kij,kj->ki", before, self.away(statistics, previous))
            scatter = scatter_about(scatter, statistics.mass, away)
        left = self.family.estimate(scatter, statistics.mass)
        if len(left) == n_components:
            left[(statistics.mass <= EMPTY) | self.held("covariances", n_components)] = np.eye(scatter.shape[1])
        try:
            return np.asarray(np.tril(np.linalg.inv(np.linalg.cholesky(left))) @ before[: len(left)])
        except np.linalg.LinAlgError:  # a component has collapsed, and will be raised to the floor
            return None

    def coupled(self, scatter: Array, mass: Array, means: Array, previous: Mixture | None) -> Covariances:
        """Covariances of a family whose components share some of their letters, not under the floor."""
        if self.reg_covar > 0:  # to the scatter: added to the covariances, it would take them out of the family
            own = np.ones(scatter.shape[1]) if self.family.diagonal else np.eye(scatter.shape[1])
            scatter = scatter + self.reg_covar * mass.reshape(-1, *[1] * own.ndim) * own
        before = None if previous is None else suited(previous.layout, diagonal=self.family.diagonal)
        least = self.resolution(means).max(axis=0)  # for all components alike
        if self.family.diagonal:
            floor = self.floor + least
            known = None if before is None else before.diagonal / floor
            found = self._bounded(scatter / floor, mass, known, (self.overall.layout.diagonal / floor).max())
            return Diagonal(read_only(found(1.0).values * floor))
        floor = self.floor + np.diag(least)
        unit = np.sqrt(np.diagonal(floor))  # as in _clipped
        factor = np.asarray(np.linalg.cholesky(floor / np.outer(unit, unit)), np.float64)
        inverse = np.tril(np.linalg.inv(factor))

        def white(matrices: Array) -> Array:
            turned = inverse @ (matrices / np.outer(unit, unit)) @ inverse.T
            return np.asarray(0.5 * (turned + turned.transpose(0, 2, 1)))

        known = None if before is None else white(before.dense)
        found = self._bounded(white(scatter), mass, known, np.linalg.eigvalsh(white(self.overall.layout.dense)).max())

        def at(least: float) -> tuple[Dense, float, Array]:
            spectrum = found(least)
            layout = _colored(spectrum, factor, inverse, unit)
            return layout, self.short(layout), spectrum.values

        layout, short, values = at(1.0)
        if short <= 1:
            return layout
        # One component covers a row astray, or the answer is float32: a higher floor for all, the lowest that will do.
        layout = _lowest_safe(at, short, values)
        # That maximises nothing any more: what was there before may be better.
        if not isinstance(before, Dense) or self.family.lacks(before) or self.short(before) > 1:
            return layout
        return before if _expected(before, scatter, mass) > _expected(layout, scatter, mass) else layout

    def _bounded(
        self, scatter: Array, mass: Array, previous: Array | None, widest: float
    ) -> Callable[[float], Spectrum]:
        """The M-step in units of the floor, for the lowest eigenvalue that is asked of it.

        ``widest`` is the largest eigenvalue of the covariance of all rows.
        """
        own = scatter if scatter.ndim == 2 else np.diagonal(scatter, axis1=1, axis2=2)
        most = CEILING**2 * max(float(widest), float(own.sum(axis=0).max() / mass.sum()), 1.0)
        return lambda least: self.family.spectrum(scatter, mass, previous, Bounds(least, max(most, least)))

    def short(self, layout: Dense) -> float:
        """The factor by which eigenvalues fall short of being safely positive, over all components: at most one if
        none does, more where a rounded matrix has no Cholesky factor; see ``definite``."""
        least = 0.0
        try:
            np.linalg.cholesky(layout.matrices)
        except np.linalg.LinAlgError:
            if layout.accurate is None:
                return 2.0
            least = 1.0 + EPS
        white = layout.whitener * np.sqrt(self.definite(layout))[:, None, :]
        bound = float((white**2).sum(axis=(1, 2)).max())
        return max(bound if bound <= 1 else float(np.linalg.norm(white, 2, axis=(1, 2)).max()) ** 2, least)

    def conjugate(self, n_components: int) -> Conjugate | None:
        """What the prior adds to each of so many components, if it is one that adds anything."""
        if self.prior is None or isinstance(self.prior, EigenvalueRatio):
            return None
        if n_components not in self._conjugates:
            added = self.prior.conjugate(self.family, n_components, self.overall, self.n_rows)
            self._conjugates[n_components] = added / self.unit
        return self._conjugates[n_components]

    @cached_property
    def _conjugates(self) -> dict[int, Conjugate]:
        """What has been made by ``conjugate``: each pass asks for it."""
        return {}

    def penalty(self, model: Mixture) -> float:
        """What is added to the log-likelihood: the log prior."""
        conjugate = self.conjugate(model.n_components)
        return 0.0 if conjugate is None else conjugate.log_density(model)

    def largest_floor(self, means: Array) -> float:
        """A variance that is over the floor in every direction, for components at ``means``."""
        floor = self.floor if self.floor.ndim == 1 else np.linalg.eigvalsh(self.floor)
        return float(floor.max() + self.resolution(means).max())

    def resolution(self, means: Array) -> Array:
        """Variances (K, d) under which numbers of the size of the means cannot be told apart, in the family's frame."""
        least = (RESOLUTION * EPS * means) ** 2
        return (
            np.repeat(least.max(axis=1, keepdims=True), least.shape[1], 1) if self.family.frame == "rotation" else least
        )

    def raised(self, estimates: Array, means: Array, whitener: Array | None = None) -> Covariances:
        """Covariances of components at ``means``, in their layout, not under the floor; of dense ones the ``whitener``
        may be known better than by the matrices."""
        shared = is_shared(estimates)
        least = self.resolution(means)
        if shared:  # one covariance has to be coarse enough for every mean
            estimates, least = estimates[:1], least.max(axis=0, keepdims=True)
        if self.family.diagonal:
            return Diagonal(broadcast(np.maximum(estimates, self.floor + least), len(means)))
        return self._raised_dense(Dense(estimates, whitener), least, len(means))

    @np.errstate(over="ignore", invalid="ignore")  # a variance may be as little as the smallest number
    def _raised_dense(self, layout: Dense, least: Array, n_components: int) -> Dense:
        estimates = layout.matrices
        definite = self.definite(layout)
        rooted = _have_factors(layout)
        if not rooted.all():
            layout = Dense(np.where(rooted[:, None, None], estimates, np.eye(estimates.shape[1])))
        # trace(F S_k^-1) bounds the largest eigenvalue of A' S_k^-1 A: at most 1, nothing is under the floor.
        squares = np.einsum("kij,kij->kj", layout.whitener, layout.whitener)  # the diagonals of S_k^-1
        white = layout.whitener @ self.factor
        bound = np.einsum("kij,kij->k", white, white) + (squares * least).sum(axis=1)
        bound = np.maximum(bound, (squares * definite).sum(axis=1))
        low = ~((bound <= 1) & rooted)  # what is no number is under it, too
        if not low.any():  # the layout that was looked at, with its factors, unless one serves all components
            return (
                layout if len(estimates) == n_components else Dense(broadcast(estimates, n_components), layout.accurate)
            )
        matrices = estimates.copy()
        whiteners = np.empty_like(matrices) if low.all() else layout.whitener.copy()
        for k in np.flatnonzero(low):
            factor = np.asarray(np.linalg.cholesky(self.floor + np.diag(least[k])), np.float64)
            matrices[k], whiteners[k] = _clipped(matrices[k], factor)
            definite = self.definite(Dense(matrices[k : k + 1]))[0]
            if (whiteners[k] ** 2 * definite).sum() > 1:
                matrices[k], whiteners[k] = _clipped(matrices[k], np.diag(np.sqrt(definite)))
        return Dense(broadcast(matrices, n_components), whiteners)

    def definite(self, layout: Dense) -> Array:
        """Variances (K, d) under which a matrix with this diagonal is not safely positive definite with ``eps``.

        They matter where one component has to cover a row that is astray by more than 1e6; elsewhere F is far above.
        """
        return np.asarray(DEFINITE * self.eps * layout.matrices.shape[1] * layout.diagonal)

    @property
    def floor_variances(self) -> Array:
        """The floor of each feature, (d,)."""
        return self.floor if self.floor.ndim == 1 else np.diagonal(self.floor)

    @property
    def floor_matrix(self) -> Array:
        """F as a matrix (d, d)."""
        return np.diag(self.floor) if self.floor.ndim == 1 else self.floor

    @property
    def smallest(self) -> Array:
        """The smallest covariance (d, d) of a component in the middle of all rows: F, and what is told apart there."""
        return self.floor_matrix + np.diag(self.resolution(self.overall.means)[0])

    @cached_property
    def factor(self) -> Array:
        """A of F = A A'."""
        return np.asarray(np.linalg.cholesky(self.floor), np.float64)


def _lowest_safe(at: Callable[[float], tuple[Dense, float, Array]], short: float, values: Array) -> Dense:
    """The layout under the lowest floor, but for a factor NEAR, ``at`` which none falls short; under that of one they
    fall ``short``, with eigenvalues ``values`` (K, d).

    The smallest eigenvalue that came of a floor is where the next one begins: up to there all floors are alike.
    """
    low, widest, more = max(float(values.min()), 1.0), float(values.max()), MORE
    while True:
        high = min(low * short * (1 + more), widest)
        layout, short, values = at(high)
        if short <= 1:
            break
        if high >= widest:
            return layout
        low, more = max(high, float(values.min())), more * FASTER
    while high > NEAR * low:
        middle = float(np.sqrt(low * high))
        tried, short, values = at(middle)
        if short <= 1:
            layout, high = tried, middle
        else:
            low = max(middle, float(values.min()))
    return layout


def _have_factors(layout: Dense) -> NDArray[np.bool_]:
    """Which of the matrices have a whitener (K,)."""

    def has_factor(matrix: Array) -> bool:
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return False
        return True

    try:
        return np.ones(len(layout.whitener), dtype=bool)  # as a rule all have one, and it is needed
    except np.linalg.LinAlgError:
        return np.array([has_factor(matrix) for matrix in layout.matrices])


def _colored(spectrum: Spectrum, factor: Array, inverse: Array, unit: Array) -> Dense:
    """Covariances that are ``spectrum`` in coordinates z, x = unit * (factor @ z); whiteners as in ``_clipped``."""
    assert spectrum.vectors is not None
    values, vectors = spectrum.values, spectrum.vectors
    matrices = Spectrum(values, factor @ vectors).covariances() * np.outer(unit, unit)
    if values.max() <= ROUGH * values.min():
        return Dense(read_only(matrices))
    roots = (vectors / np.sqrt(values)[:, None, :]).transpose(0, 2, 1) @ inverse
    return Dense(read_only(matrices), read_only(lower_whitener(roots) / unit))


def _expected(layout: Covariances, scatter: Array, mass: Array) -> float:
    """The expected log-likelihood of components of this scatter (K, d, d) and mass, up to a constant."""
    white = layout.whitener @ scatter @ layout.whitener.transpose(0, 2, 1)
    return float(mass @ layout.log_det_whitener - 0.5 * np.trace(white, axis1=1, axis2=2).sum())


def _clipped(matrix: Array, factor: Array) -> tuple[Array, Array]:
    """The matrix with those eigenvalues of A^-1 S A'^-1 set to one that are under it, A being ``factor``; its whitener.

    The whitener is made of the eigenvectors and not of the matrix: where a component lies on the floor in some
    directions only, the rounded matrix knows these directions to four digits, and EM would be seen to fall.
    """
    unit = np.sqrt((factor**2).sum(axis=1))  # features in units of their floor: solving is only as good as its scaling
    factor, matrix = factor / unit[:, None], matrix / np.outer(unit, unit)
    half = np.linalg.solve(factor, matrix)
    relative = np.linalg.solve(factor, half.T)
    values, vectors = np.linalg.eigh(0.5 * (relative + relative.T))
    values = np.maximum(values, 1.0)
    back = factor @ vectors
    raised = (back * values) @ back.T
    root = np.linalg.solve(factor.T, vectors / np.sqrt(values)).T
    return 0.5 * (raised + raised.T) * np.outer(unit, unit), lower_whitener(root) / unit


def m_step(
    family: Family,
    total: Statistics,
    scale: Array,
    *,
    equal_mixing: bool,
    prior: Prior | None = None,
    reg_covar: float = 0.0,
    unit: float = 1.0,
    eps: float = EPS,
) -> MStep:
    """The M-step of ``family`` with the floor that suits the data.

    ``total`` is the sum over all rows; ``scale`` (d,) is how far the bulk of the rows is spread in each feature;
    ``unit`` is what the weights in ``total`` have been divided by, ``eps`` that of the answer's dtype.
    """
    shift = total.shift()
    mean = total.center + shift
    covariance = total.scatter(shift)[0] / total.mass[0]
    floor = floor_under(covariance, scale, family)
    standard = Mixture.of(np.ones(1), mean, Diagonal(np.ones_like(mean)))
    bare = MStep(family, equal_mixing, standard, floor, eps=eps)
    n_rows = float(total.mass[0] * unit)
    return MStep(family, equal_mixing, bare(total, None), floor, prior, reg_covar, n_rows, unit, eps)


def floor_under(covariance: Array, scale: Array, family: Family) -> Array:
    """F for data of this ``covariance`` (d, d) or (d,) and ``scale`` (d,), but for what the means add to it."""
    scale = np.where(scale > 0, scale, np.max(scale, initial=0.0) or 1.0)  # a constant column has no unit: lend it one
    if family.frame == "rotation":
        scale = np.full_like(scale, scale.max())
    if family.diagonal:
        return np.asarray(FLOOR**2 * scale**2)
    if family.frame == "rotation":
        return np.diag(FLOOR**2 * scale**2)
    spread = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))  # of a constant column rounding may leave less than none
    spread = np.where(spread > 0, spread, 1.0)
    # A constant column may have a rounded variance that is nothing beside its rounded covariances.
    values, vectors = np.linalg.eigh(np.clip(covariance / np.outer(spread, spread), -1.0, 1.0))
    correlation = (vectors * np.maximum(values, CORRELATION)) @ vectors.T
    return np.asarray(FLOOR**2 * correlation * np.outer(scale, scale))
