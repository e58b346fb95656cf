"""From sums to a model: the M-step, and the floor under it.

    w_k = n_k / n            (or 1 / K)
    m_k = a_k + first_k / n_k
    W_k = scatter about m_k  ->  family.estimate(W, n) -> S_k,  raised to S_k >= F where it fell below

F is far under any real cluster: in every direction 1e-6 of the data's standard deviation, or four units in the last
place of the largest number in the column, whichever is more.  Maximising the likelihood under S_k >= F is exact: with
F = A A' the eigenvalues of A^-1 S_k A'^-1 below one become one (each feature by itself for diagonal families, one
number for spherical ones).  So the likelihood stays bounded, EM stays monotone, and a component above the floor is
not touched by it at all.

A component without mass keeps its previous mean and covariance: any parameters are then a maximiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixtura.covariance import Covariances, Dense, Diagonal, broadcast
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.rows import Array
from mixtura.statistics import Statistics

FLOOR = 1e-6
"""Smallest standard deviation of a component, as a fraction of the data's."""

RESOLUTION = 4 * np.finfo(np.float64).eps
"""Smallest standard deviation of a component, as a fraction of the largest number in a column."""

CORRELATION = 0.1
"""Smallest eigenvalue that the data's correlation matrix counts for in the floor: under 1e-13 times the variances
a matrix of float64 is no longer safely positive definite."""

EMPTY = 1e-100
"""Mass (rows) under which a component has no data left to estimate anything from."""


@dataclass(frozen=True, eq=False)
class MaximumLikelihood:
    """The M-step of one ``family``; ``overall`` is the Gaussian of all rows, ``floor`` (d, d) or (d,) is F."""

    family: Family
    equal_mixing: bool
    overall: Mixture
    floor: Array

    def __call__(self, statistics: Statistics, previous: Mixture | None) -> Mixture:
        """The mixture that maximises the expected log-likelihood; empty components stay as in ``previous``."""
        mass = statistics.mass
        n_components = len(mass)
        shift = statistics.shift()
        means = statistics.center + shift
        empty = mass <= EMPTY
        scatter = statistics.scatter(shift)
        if self.family.diagonal and scatter.ndim == 3:  # only a start can be dense where its family is not
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        # An empty component has no scatter; a mass of one keeps the division by it quiet.
        estimates = self.family.estimate(scatter, np.where(empty, 1.0, mass))
        if empty.any():
            means[empty] = self.overall.means[0] if previous is None else previous.means[empty]
            if len(estimates) == n_components:
                layout = (self.overall if previous is None else previous).layout
                before = layout.diagonal if self.family.diagonal else layout.dense
                estimates[empty] = before[0] if previous is None else before[empty]
        weights = np.full(n_components, 1 / n_components) if self.equal_mixing else mass / mass.sum()
        return Mixture.of(weights, means, self.raised(broadcast(estimates, n_components)))

    @cached_property
    def factor(self) -> Array:
        """A of F = A A'."""
        return np.asarray(np.linalg.cholesky(self.floor), np.float64)

    def raised(self, estimates: Array) -> Covariances:
        """Covariances in their layout, not under the floor."""
        if self.family.diagonal:
            variances = np.maximum(estimates[:1] if estimates.strides[0] == 0 else estimates, self.floor)
            return Diagonal(broadcast(variances, len(estimates)))
        layout = Dense(estimates)
        matrices = (estimates[:1] if layout.shared else estimates).copy()
        try:
            # trace(F S_k^-1) bounds the largest eigenvalue of A' S_k^-1 A: at most 1, nothing is under the floor.
            whiteners = layout.whitener[: len(matrices)].copy()
            low = ((whiteners @ self.factor) ** 2).sum(axis=(1, 2)) > 1
        except np.linalg.LinAlgError:
            whiteners, low = np.empty_like(matrices), np.ones(len(matrices), dtype=bool)
        if not low.any():
            return layout
        for k in np.flatnonzero(low):
            matrices[k], whiteners[k] = _clipped(matrices[k], self.factor)
        return Dense(broadcast(matrices, len(estimates)), whiteners)

    def penalty(self, model: Mixture) -> float:
        """What is added to the log-likelihood: nothing."""
        return 0.0


def _clipped(matrix: Array, factor: Array) -> tuple[Array, Array]:
    """The matrix with those eigenvalues of A^-1 S A'^-1 set to one that are under it, A being ``factor``; its whitener.

    The whitener is made of the eigenvectors and not of the matrix: where a component lies on the floor in some
    directions only, the rounded matrix knows these directions to four digits, and EM would be seen to fall.
    """
    half = np.linalg.solve(factor, matrix)
    relative = np.linalg.solve(factor, half.T)
    values, vectors = np.linalg.eigh(0.5 * (relative + relative.T))
    values = np.maximum(values, 1.0)
    back = factor @ vectors
    raised = (back * values) @ back.T
    root = np.linalg.solve(factor.T, vectors / np.sqrt(values)).T
    # Any square root whitens; others expect the lower triangular one: J R J of root J = Q R, J being the reversal.
    lower = np.asarray(np.linalg.qr(root[:, ::-1], mode="r"))[::-1, ::-1]
    return 0.5 * (raised + raised.T), np.tril(lower * np.sign(np.diagonal(lower))[:, None])


def maximum_likelihood(family: Family, total: Statistics, *, equal_mixing: bool) -> MaximumLikelihood:
    """The M-step of ``family`` with the floor that suits the data, of which ``total`` is the sum over all rows."""
    shift = total.shift()
    mean = total.center + shift
    covariance = total.scatter(shift)[0] / total.mass[0]
    floor = floor_under(covariance, np.abs(mean[0]), family)
    bare = MaximumLikelihood(family, equal_mixing, Mixture.of(np.ones(1), mean, Diagonal(np.ones_like(mean))), floor)
    return MaximumLikelihood(family, equal_mixing, bare(total, None), floor)


def floor_under(covariance: Array, size: Array, family: Family) -> Array:
    """F for data of this ``covariance`` (d, d) or (d,), whose columns hold numbers of the order ``size`` (d,)."""
    variances = np.diagonal(covariance) if covariance.ndim == 2 else covariance
    least = (RESOLUTION * (size + np.sqrt(variances))) ** 2
    variances = np.where(variances > 0, variances, least)
    variances = np.where(variances > 0, variances, 1.0)  # a column of zeros has no unit: take one
    if family.frame == "rotation":
        variances = np.full_like(variances, variances.max())
        least = np.full_like(least, least.max())
    if family.diagonal:
        return np.asarray(FLOOR**2 * variances + least)
    if family.frame == "rotation":
        return np.diag(FLOOR**2 * variances + least)
    scale = np.sqrt(variances)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    correlation = (vectors * np.maximum(values, CORRELATION)) @ vectors.T
    return np.asarray(FLOOR**2 * correlation * np.outer(scale, scale) + np.diag(least))
