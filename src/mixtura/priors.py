"""Opt-in priors and constraints on covariances: what holds components up that the data alone would let collapse.

A conjugate prior is rows imagined beside those of the data.  In the M-step each component counts ``mass`` rows more and
``scatter`` more about its mean, and kappa rows more at the point m_0 (kappa = ``shrinkage``, m_0 = ``center``):

    m_k  = (n_k xbar_k + kappa m_0) / (n_k + kappa)
    W_k' = W_k + scatter + kappa n_k / (n_k + kappa) (xbar_k - m_0)(xbar_k - m_0)'
    S    = family.estimate(W', n + mass)

That is the exact maximiser, in every family, of the expected log-likelihood plus the log prior (up to a constant)

    -1/2 sum_k [ mass log|S_k| + tr(S_k^-1 scatter) + kappa (m_k - m_0)' S_k^-1 (m_k - m_0) ]

which is part of the objective, so EM climbs it.  ``loglik_`` and ``bic`` stay those of the data alone.

References: C. Fraley and A. E. Raftery, "Bayesian regularization for normal mixture estimation and model-based
clustering", Journal of Classification 24, 2007; J. Chen and X. Tan, "Inference for multivariate normal mixtures",
Journal of Multivariate Analysis 100, 2009; R. J. Hathaway, "A constrained formulation of maximum-likelihood estimation
for normal mixture distributions", Annals of Statistics 13, 1985; L. A. Garcia-Escudero, A. Gordaliza, C. Matran and
A. Mayo-Iscar, "A general trimming approach to robust cluster analysis", Annals of Statistics 36, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import validation
from mixtura.covariance import Diagonal
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.rows import Array

# what the user gives ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FraleyRaftery:
    """Conjugate prior of Fraley and Raftery (2007): a weak pull towards covariances of a K-th of the data's volume.

    Parameters
    ----------
    scale : array-like or None
        Scale of the inverse Wishart distribution: a matrix (d, d), variances (d,), or one variance for all features.
        None: the covariance of the data times K^(-2/d); its diagonal for families without correlations, its mean
        variance for spherical ones.
    shrinkage : float
        Number of rows that the mean of the data counts for in the mean of each component.
    dof : float or None
        Degrees of freedom of the inverse Wishart distribution; None is d + 2.

    Raises
    ------
    ValueError
        For a negative number, or, from ``fit``, for a scale that does not suit the data.

    Notes
    -----
    The prior counts as so many rows: weights of rows are taken as numbers of rows, so a common factor matters here.
    Of a diagonal family each feature has a scale of its own, so that units do not matter; mclust takes their average.

    References
    ----------
    C. Fraley and A. E. Raftery, "Bayesian regularization for normal mixture estimation and model-based clustering",
    Journal of Classification 24, 2007.

    Examples
    --------
    >>> from mixtura import FraleyRaftery, GaussianMixture
    >>> gm = GaussianMixture(2, prior=FraleyRaftery(shrinkage=0), random_state=0).fit([[0.0], [1.0], [5.0], [5.0]])
    >>> [one["state"] for one in gm.diagnostics_]
    ['ok', 'ok']
    """

    scale: ArrayLike | None = None
    shrinkage: float = 0.01
    dof: float | None = None

    def __post_init__(self) -> None:
        validation.number(self.shrinkage, "shrinkage")
        if self.scale is not None:  # a value, to be compared and hashed like the others
            object.__setattr__(self, "scale", _nested(np.asarray(self.scale).tolist()))
        if self.dof is not None:
            validation.number(self.dof, "dof")

    def conjugate(self, family: Family, n_components: int, overall: Mixture, n_rows: float) -> Conjugate:
        """What the prior adds to each of ``n_components``, the rows having the Gaussian ``overall``."""
        d = overall.n_features
        unbiased = n_rows / max(n_rows - 1, n_rows / 2)  # the usual n / (n - 1), but for less than two rows
        if self.scale is None:
            scale = _of_family(overall.layout.dense[0] * unbiased, family) * n_components ** (-2 / d)
        else:
            scale = _of_family(validation.scale_matrix(self.scale, d), family)
        dof = d + 2 if self.dof is None else self.dof
        # Of the inverse Wishart density |S|^-(dof + d + 1)/2, or the inverse gamma density (s^2)^-(dof + 2)/2.
        power = (dof + 2) / d if family.spherical else dof + 2 if family.diagonal else dof + d + 1
        if family.spherical:
            scale = scale / d
        copies = n_components if family.pooled else 1  # one covariance for all has one prior
        mass = power / copies + (self.shrinkage > 0)  # the density of a mean has |S|^-1/2 too
        return Conjugate(mass, scale / copies, self.shrinkage, overall.means[0])


@dataclass(frozen=True)
class ChenTan:
    """Penalty of Chen and Tan (2009): -a (tr(S_x S_k^-1) + log|S_k|) for each component, S_x the data's covariance.

    Parameters
    ----------
    a : float or None
        Strength, in half rows: each component counts 2a rows more, spread like all the data.  None is 1/n, with which
        the estimate is consistent.

    Raises
    ------
    ValueError
        For a number that is not positive.

    Notes
    -----
    Strength counts rows, a weight of one being a row: weights that are all twice as large are twice as many rows, and
    the penalty means less.
    The penalty is the same in any units.  It draws covariances to that of the whole data, so clusters much smaller
    than the distances between them are widened: by 2a S_x / n_k.

    References
    ----------
    J. Chen and X. Tan, "Inference for multivariate normal mixtures", Journal of Multivariate Analysis 100, 2009.

    Examples
    --------
    >>> from mixtura import ChenTan, GaussianMixture
    >>> gm = GaussianMixture(2, prior=ChenTan(), random_state=0).fit([[0.0], [1.0], [5.0], [5.0]])
    >>> [one["state"] for one in gm.diagnostics_]
    ['ok', 'ok']
    """

    a: float | None = None

    def __post_init__(self) -> None:
        if self.a is not None and validation.number(self.a, "a") == 0:
            raise ValueError("a must be positive, got 0: leave the prior out")

    def conjugate(self, family: Family, n_components: int, overall: Mixture, n_rows: float) -> Conjugate:
        """What the penalty adds to each of ``n_components``, the rows having the Gaussian ``overall``."""
        a = 1 / n_rows if self.a is None else self.a
        scatter = 2 * a * _of_family(overall.layout.dense[0], family)
        return Conjugate(2 * a, scatter, 0.0, overall.means[0])


@dataclass(frozen=True)
class EigenvalueRatio:
    """Constraint: no eigenvalue of any covariance is more than ``c`` times another one (Hathaway 1985).

    Parameters
    ----------
    c : float
        Largest ratio, at least 1; 1 makes all components spheres of one size.

    Raises
    ------
    ValueError
        For a number under 1, or, from ``fit``, for a family whose constrained maximiser is not known in closed form.

    Notes
    -----
    The eigenvalues are those in the units of the data: features in different units should be scaled first.  Only what
    EM climbs is constrained; the objective is the log-likelihood itself.

    References
    ----------
    R. J. Hathaway, "A constrained formulation of maximum-likelihood estimation for normal mixture distributions",
    Annals of Statistics 13, 1985.  L. A. Garcia-Escudero, A. Gordaliza, C. Matran and A. Mayo-Iscar, "A general
    trimming approach to robust cluster analysis", Annals of Statistics 36, 2008.

    Examples
    --------
    >>> from mixtura import EigenvalueRatio, GaussianMixture
    >>> gm = GaussianMixture(2, prior=EigenvalueRatio(4), random_state=0).fit([[0.0], [1.0], [5.0], [5.0]])
    >>> round(float(gm.covariances_.max() / gm.covariances_.min()), 9)
    4.0
    """

    c: float

    def __post_init__(self) -> None:
        validation.number(self.c, "c", least=1.0)

    def clipped(self, estimates: Array, mass: Array, least: float) -> Array:
        """Estimates (K, d, d) or (K, d) of components with ``mass`` (K,), the exact maximisers under the constraint
        and with no eigenvalue under ``least``."""
        if estimates.ndim == 2:
            low = self.lowest(estimates, mass, least)
            return np.clip(estimates, low, self.c * low)
        values, vectors = np.linalg.eigh(estimates)
        low = self.lowest(np.maximum(values, 0.0), mass, least)
        clipped = np.clip(values, low, self.c * low)
        changed = (clipped != values).any(axis=1)
        held = estimates.copy()
        held[changed] = (vectors[changed] * clipped[changed, None, :]) @ vectors[changed].transpose(0, 2, 1)
        return held

    def lowest(self, values: Array, mass: Array, least: float) -> float:
        """The lower end m of the interval [m, c m] to which eigenvalues (K, d) are best clipped.

        It minimises sum_k n_k sum_j (log e_kj + D_kj / e_kj), e = clip(D, m, c m): a convex function of log m, of
        which each sorted D and D / c is a joint.
        """
        weight = np.repeat(mass, values.shape[1])
        flat = values.ravel()
        joints = np.unique(np.concatenate([flat, flat / self.c]))
        joints = joints[joints > 0]
        if len(joints) == 0:
            return least

        def sums(m: float) -> tuple[float, float]:
            under, over = flat < m, flat > self.c * m
            return float(weight[under | over].sum()), float(
                (weight * flat)[under].sum() + (weight * flat)[over].sum() / self.c
            )

        low, high = 0, len(joints) - 1  # the slope at a joint m is (rows clipped) - (their D over where they go to)
        while low < high:
            middle = (low + high) // 2
            rows, spread = sums(joints[middle])
            if rows * joints[middle] >= spread:
                high = middle
            else:
                low = middle + 1
        best = joints[low]
        rows, spread = sums(0.5 * (joints[low - 1] + best) if low else 0.5 * best)
        if rows > 0 and spread > 0:
            best = min(best, spread / rows)
        return max(float(best), least)


Prior = FraleyRaftery | ChenTan | EigenvalueRatio

PRIORS: dict[str, Prior] = {"fraley-raftery": FraleyRaftery(), "chen-tan": ChenTan()}
"""Names of priors with their defaults."""


def prior_of(prior: Any, family: Family, covariance_type: str) -> Prior | None:
    """The prior that a user asked for by name or object, refused where the family has none of it."""
    if prior is None:
        return None
    if isinstance(prior, str) and prior in PRIORS:
        return PRIORS[prior]
    if not isinstance(prior, Prior):
        raise ValueError(
            f"prior must be None, {', '.join(map(repr, PRIORS))}, FraleyRaftery(...), ChenTan(...) or "
            f"EigenvalueRatio(c), got {prior!r}: choose one of these"
        )
    if isinstance(prior, EigenvalueRatio) and not family.uniform:
        raise ValueError(
            "prior EigenvalueRatio needs a covariance_type whose letters are all E or all V (I aside), got "
            f"{covariance_type!r}: choose such a type, or another prior"
        )
    return prior


# what the M-step uses -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Conjugate:
    """What a prior adds to each component: see the top of this file.  ``scatter`` is (d, d), or (d,) without
    correlations; ``center`` (d,)."""

    mass: float
    scatter: Array
    shrinkage: float
    center: Array

    def __truediv__(self, unit: float) -> Conjugate:
        """The same in another unit of weight."""
        return Conjugate(self.mass / unit, self.scatter / unit, self.shrinkage / unit, self.center)

    def added(self, mass: Array, means: Array, scatter: Array) -> tuple[Array, Array, Array]:
        """Mass (K,), means (K, d) and scatter of the components with those of the imagined rows."""
        away = self.center - means
        count = mass + self.shrinkage
        pull = np.divide(self.shrinkage, count, out=np.zeros_like(mass), where=count > 0)
        between = (mass * pull)[:, None] * away
        if scatter.ndim == 3:
            more = between[:, :, None] * away[:, None, :]
            more = 0.5 * (more + more.transpose(0, 2, 1))
        else:
            more = between * away
        return mass + self.mass, means + pull[:, None] * away, scatter + more + self.scatter

    @cached_property
    def root(self) -> Array:
        """A of scatter = A A'; standard deviations (d,) where there are no correlations."""
        if self.scatter.ndim == 1:
            return np.sqrt(self.scatter)
        unit = np.sqrt(np.where(np.diagonal(self.scatter) > 0, np.diagonal(self.scatter), 1.0))
        values, vectors = np.linalg.eigh(self.scatter / np.outer(unit, unit))
        return np.asarray(unit[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))

    def log_density(self, model: Mixture) -> float:
        """The log prior of the model, up to a constant."""
        layout = model.layout
        away = model.means - self.center
        if isinstance(layout, Diagonal):
            spread = np.diagonal(self.scatter) if self.scatter.ndim == 2 else self.scatter
            square = (layout.whitener**2 * (spread + self.shrinkage * away**2)).sum()
        else:
            root = self.root if self.root.ndim == 2 else np.diag(self.root)
            square = ((layout.whitener @ root) ** 2).sum()
            square += self.shrinkage * (np.einsum("kij,kj->ki", layout.whitener, away) ** 2).sum()
        return float(self.mass * layout.log_det_whitener.sum() - 0.5 * square)


def _nested(values: Any) -> Any:
    """Lists as tuples."""
    return tuple(_nested(one) for one in values) if isinstance(values, list) else values


def _of_family(matrix: Array, family: Family) -> Array:
    """A covariance (d, d) as far as the family can show it: its variances (d,), their mean, or all of it."""
    if not family.diagonal:
        return matrix
    variances = np.diagonal(matrix)
    return np.full_like(variances, variances.mean()) if family.spherical else variances.copy()
