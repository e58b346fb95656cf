"""M-steps of families whose components share volume, shape or orientation in part, under a floor.

In coordinates in which the floor is a multiple of the identity, S_k >= F says no more than "no eigenvalue of S_k is
under ``least``".  With S_k = D_k diag(e_k) D_k', n_k the mass and W_k the scatter, the M-step minimises

    sum_k [ n_k sum_j log e_kj + sum_j w_kj / e_kj ],   w_kj = (D_k' W_k D_k)_jj,   e_kj >= least

over what the letters leave free.  That keeps the result in the family and not under the floor; raising eigenvalues of a
finished estimate would not.  Where D_k is free, the eigenvectors of W_k, both spectra in one order, are best
(von Neumann's trace inequality), and only numbers remain:

    EVI, EVV    one volume           prod_j e_kj = lambda^d: e_kj = clip(w_kj / mu_k, least, most), sum_k mu_k = n
    VEI, VEV    one shape            e_kj = lambda_k b_j: a problem that is convex in log lambda and log b.  With
    (and VEE)                        lambda_k >= 1 and b_j >= least it has one bound for each number, and minimising
                                     over lambda and b in turn comes to the optimum
    EEV         one spectrum         e_j = max(sum_k w_kj / n, least)
    VVE, EVE    one orientation D    e_kj = max(w_kj / n_k, least), or as for EVI; D in steps that turn all axes

Only equal volumes need the upper bound ``most``: a component without spread in one direction has to make up for it in
the others, without end (|W_k| = 0 and |S_k| > 0).  A common D has no closed form and more than one optimum: it is
improved from that of the previous model, by L-BFGS in the rotation angles of pairs, each scaled by the curvature that
the surrogate of Browne and McNicholas (e_k held) has in it; like theirs, no step is kept that makes it worse.

References: G. Celeux and G. Govaert, "Gaussian parsimonious clustering models", Pattern Recognition 28, 1995;
R. P. Browne and P. D. McNicholas, "Estimating common principal components in high dimensions", Advances in Data
Analysis and Classification 8, 2014; B. N. Flury and W. Gautschi, "An algorithm for simultaneous orthogonal
transformation of several positive definite symmetric matrices to nearly diagonal form", SIAM J. Sci. Stat. Comput. 7,
1986.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixtura.rows import Array

STEPS = 300
"""Turns between volumes and shape at most; a warm start needs few of them."""

SETTLED = 1e-13
"""Relative change of volumes and shape that ends them."""

COLD, WARM, SIFT = 500, 5, 15
"""Steps towards common axes: without a previous model, with one, and of each start before the best is carried on."""

FLAT = 1e-13
"""Promised gain, in nats for each row and feature, that is lost in rounding of the objective."""

SHRINKS = 0.1
"""Part of the promise before it that a step has to leave, where only the gradient tells."""

MEMORY = 6
"""Pairs of steps and gradients that L-BFGS looks back on."""

TINY = 1e-290
"""Stands for zero in logarithms and quotients."""


@dataclass(frozen=True)
class Bounds:
    """``least`` and ``most`` that an eigenvalue may be."""

    least: float = 1e-150
    most: float = 1e150


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Covariances by eigenvalues ``values`` (K, d) and axes ``vectors`` (K, d, d) or (1, d, d), in columns; None stands
    for the axes of the features."""

    values: Array
    vectors: Array | None

    def covariances(self) -> Array:
        """The matrices (K, d, d), symmetric to the last bit, or the variances (K, d)."""
        if self.vectors is None:
            return self.values
        half = (self.vectors * self.values[:, None, :]) @ self.vectors.transpose(0, 2, 1)
        return 0.5 * (half + half.transpose(0, 2, 1))


def along(scatter: Array, vectors: Array) -> Array:
    """Scatter (K, d) along the axes in the columns of ``vectors`` (K, d, d) or (1, d, d)."""
    return np.asarray(np.maximum(((scatter @ vectors) * vectors).sum(axis=1), 0.0))


def axes_of(matrices: Array) -> tuple[Array, Array]:
    """Eigenvalues (K, d), ascending, not negative, and eigenvectors (K, d, d)."""
    values, vectors = np.linalg.eigh(matrices)
    return np.maximum(values, 0.0), vectors


# eigenvalues ----------------------------------------------------------------------------------------------------------


def one_shape(scatter: Array, mass: Array, previous: Array | None, least: float) -> Spectrum:
    """lambda_k C for ``scatter`` (K, d) along the axes of the features, C being diagonal, or (K, d, d).

    C = sum_k W_k / (lambda_k n) and lambda_k = tr(W_k C^-1) / (n_k d) in turns, from ``previous`` covariances.  With
    lambda_k >= 1 and C >= ``least`` nothing is under the floor, and all that is over it can be written so.
    """
    total, d = mass.sum(), scatter.shape[1]
    each = (slice(None), *[None] * (scatter.ndim - 1))

    def spread_of(shape: Array) -> tuple[Array, Array | None, Array]:
        """Eigenvalues and axes of C, and the scatter along these."""
        if shape.ndim == 1:
            return np.maximum(shape, least), None, scatter
        values, vectors = axes_of(shape)
        return np.maximum(values, least), vectors[None], along(scatter, vectors[None])

    if previous is None:
        shape = scatter.sum(axis=0) / total
    else:
        sizes = previous.sum(axis=1) if previous.ndim == 2 else np.trace(previous, axis1=1, axis2=2)
        shape = previous[sizes.argmin()]
    values, vectors, spread = spread_of(shape)
    values = values / np.sqrt(values.min() / least)  # room on both sides: neither bound is met before the floor is
    volumes, change, objective = np.ones(len(mass)), np.inf, np.inf
    for _ in range(STEPS):
        before, latest, last = volumes, change, objective
        distances = (spread / values).sum(axis=1)
        volumes = np.maximum(distances / (mass * d), 1.0)
        change = float(np.abs(before / volumes - 1).max())
        objective = float(d * mass @ np.log(volumes) + total * np.log(values).sum() + (distances / volumes).sum())
        if change < SETTLED or (change >= latest and objective >= last):  # or rounding is all that still turns
            break
        values, vectors, spread = spread_of((scatter / volumes[each]).sum(axis=0) / total)
    return Spectrum(volumes[:, None] * values, vectors)


def one_volume(spread: Array, mass: Array, bounds: Bounds) -> Array:
    """e_kj with one product over j for all k, for scatter ``spread`` (K, d)."""
    total = mass.sum()
    log = np.log(np.maximum(spread, TINY))
    centre = log.mean(axis=1, keepdims=True)
    top = centre.max()
    volume = top + np.log(np.exp(centre - top).sum() / total)
    low, high = np.log(bounds.least), np.log(bounds.most)
    found = log - centre + volume
    if found.min() >= low and found.max() <= high and (spread > TINY).all():
        return np.asarray(np.exp(found))
    # t = mean_j clip(log w_kj - nu, low, high) is piecewise linear in nu = log mu_k: so is nu in t, between joints.
    nu = np.sort(np.concatenate([log - low, log - high], axis=1), axis=1)[:, ::-1]
    mean = np.clip(log[:, None, :] - nu[:, :, None], low, high).mean(axis=2)
    mean = mean + 1e-13 * np.arange(mean.shape[1])  # where all are clipped, nu leaps: as good as
    joints = np.unique(mean)
    at = np.array([np.interp(joints, mean_k, nu_k) for mean_k, nu_k in zip(mean, nu, strict=True)])
    excess = np.logaddexp.reduce(at, axis=0) - np.log(total)  # falls with t
    right = int((excess > 0).sum())
    if right in (0, len(joints)):
        best = at[:, min(right, len(joints) - 1)]
    else:  # between two joints it is convex: Newton's steps from the left stay on the left
        start, slope = at[:, right - 1], at[:, right] - at[:, right - 1]
        part = 0.0
        for _ in range(60):
            mu = start + slope * part
            shares = np.exp(mu - mu.max())
            over = mu.max() + np.log(shares.sum() / total)
            step = -over * shares.sum() / (shares @ slope)
            part = min(part + step, 1.0)
            if not step > 1e-15:
                break
        best = start + slope * part
    return np.asarray(np.exp(np.clip(log - best[:, None], low, high)))


# families -------------------------------------------------------------------------------------------------------------


def vei(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    return one_shape(scatter, mass, previous, bounds.least)


def evi(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    return Spectrum(one_volume(scatter, mass, bounds), None)


def vev(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    spread, vectors = axes_of(scatter)
    before = None if previous is None else axes_of(previous)[0]
    return Spectrum(one_shape(spread, mass, before, bounds.least).values, vectors)


def evv(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    spread, vectors = axes_of(scatter)
    return Spectrum(one_volume(spread, mass, bounds), vectors)


def eev(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    spread, vectors = axes_of(scatter)
    values = np.maximum(spread.sum(axis=0) / mass.sum(), bounds.least)
    return Spectrum(np.tile(values, (len(mass), 1)), vectors)


def vee(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    return one_shape(scatter, mass, previous, bounds.least)


Profile = Callable[[Array], Array]
"""The best eigenvalues (K, d) for scatter (K, d) along common axes."""


def vve(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    return _common(scatter, mass, previous, lambda spread: np.maximum(spread / mass[:, None], bounds.least))


def eve(scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
    return _common(scatter, mass, previous, lambda spread: one_volume(spread, mass, bounds))


# common axes ----------------------------------------------------------------------------------------------------------


def _common(scatter: Array, mass: Array, previous: Array | None, profile: Profile) -> Spectrum:
    if previous is not None:
        axes, _ = _turned(scatter, mass, shared_axes(previous), profile, WARM)
    else:
        shares = scatter / mass[:, None, None]
        starts = [axes_of(one)[1] for one in (scatter.sum(axis=0), shares[np.argmax(mass)])]
        starts.append(np.eye(scatter.shape[1]))
        sifted = [_turned(scatter, mass, axes, profile, SIFT) for axes in starts]
        axes, _ = _turned(scatter, mass, min(sifted, key=lambda pair: pair[1])[0], profile, COLD)
    vectors = axes[None]
    return Spectrum(profile(along(scatter, vectors)), vectors)


def shared_axes(matrices: Array) -> Array:
    """Eigenvectors (d, d) of all ``matrices`` that have the same: those of a sum in which no two agree by chance."""
    factors = np.sqrt(np.arange(2, 2 + len(matrices))) / np.trace(matrices, axis1=1, axis2=2)
    return axes_of((matrices * factors[:, None, None]).sum(axis=0))[1]


def _turned(scatter: Array, mass: Array, axes: Array, profile: Profile, steps: int) -> tuple[Array, float]:
    """Axes (d, d) improved by at most so many steps, and the objective that they reach.

    A step turns D to D C(X), C the Cayley transform and X antisymmetric, X_ji the angle by which axis i goes to axis j.
    """
    d = len(axes)
    upper = np.triu_indices(d, 1)
    identity = np.eye(d)

    def seen(axes: Array) -> tuple[Array, Array, Array, float]:
        turned = axes.T @ scatter @ axes
        spread = np.maximum(np.diagonal(turned, axis1=1, axis2=2), 0.0)
        values = profile(spread)
        return turned, spread, values, float((mass[:, None] * np.log(values) + spread / values).sum())

    def turned_by(axes: Array, angles: Array) -> Array:
        half = np.zeros((d, d))
        half[upper] = -0.5 * angles
        half -= half.T
        new = axes @ np.linalg.solve(identity - half, identity + half)
        return np.asarray(new @ (1.5 * identity - 0.5 * (new.T @ new)))  # what rounding took of their being orthogonal

    turned, spread, values, objective = seen(axes)
    past: list[tuple[Array, Array, float]] = []
    flat = FLAT * mass.sum() * d
    least = np.inf
    angles = gradient = np.zeros(0)
    for step in range(steps):
        inverse = 1 / values
        pull = np.einsum("ki,kij->ij", inverse, turned)
        cross, own = inverse.T @ spread, (inverse * spread).sum(axis=0)
        fresh = 2 * (pull - pull.T)[upper]
        curvature = np.abs(2 * (cross + cross.T - own[:, None] - own)[upper])
        if step > 0 and (slope := float(angles @ (fresh - gradient))) > 0:
            past = [*past[1 - MEMORY :], (angles, fresh - gradient, slope)]
        gradient = fresh
        curvature = np.maximum(np.maximum(curvature, np.abs(gradient)), TINY)  # no pair turns by more than a radian
        # The two loops of L-BFGS, the curvature of the surrogate in the middle.
        direction, parts = gradient, []
        for moved, bent, slope in reversed(past):
            part = (moved @ direction) / slope
            parts.append(part)
            direction = direction - part * bent
        direction = direction / curvature
        for (moved, bent, slope), part in zip(past, reversed(parts), strict=True):
            direction = direction + (part - (bent @ direction) / slope) * moved
        promised = float(gradient @ direction)
        if promised <= 0:
            past, direction = [], gradient / curvature
            promised = float(gradient @ direction)
        blind = promised < flat  # the objective has no digits left for this step, the gradient has
        if promised == 0 or (blind and promised > SHRINKS * least):
            break
        least = promised
        angles = -direction / max(1.0, float(np.abs(direction).max()))
        for _ in range(12):
            tried = turned_by(axes, angles)
            found = seen(tried)
            if blind or found[3] < objective:
                break
            angles = 0.5 * angles
        else:
            break
        axes = tried
        turned, spread, values, objective = found
    return axes, objective
