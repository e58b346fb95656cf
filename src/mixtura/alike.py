"""Rows that tell the same features o with the same error E: one marginal mixture serves them all.

    x_o ~ N(m_o, T) under a component,    T = S_oo + E,    G = S_.o T^-1
    E[x | x_o]   = m + G (x_o - m_o)
    Cov[x | x_o] = B = S - G S_o.

So a pass over them is one of the fast kernels on the mixture of w, m_o and T, and its sums about m_o,
sum r (x_o - m_o) and sum r (x_o - m_o)(x_o - m_o)', are carried over to all features:

    sum r (E[x] - m) = G first        sum r E[(x - m)(x - m)'] = G second G' + n B

Without an error G has an identity in it and B zeros, exactly.

References: T. Hunt and M. Jorgensen, "Mixture model clustering for mixed data with missing information", Computational
Statistics & Data Analysis 41, 2003; R. J. A. Little and D. B. Rubin, *Statistical Analysis with Missing Data*, Wiley,
2019 (chapter 11); J. Bovy, D. W. Hogg and S. T. Roweis, "Extreme deconvolution: inferring complete distribution
functions from noisy, heterogeneous and incomplete observations", Annals of Applied Statistics 5, 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixtura.covariance import Covariances, Dense, Diagonal, broadcast, is_shared, lower_whitener
from mixtura.observe import Observation, densities, exact
from mixtura.rows import Array, Rows
from mixtura.scores import scores_of

if TYPE_CHECKING:
    from mixtura.mixture import Mixture


@dataclass(frozen=True, eq=False)
class Operands:
    """The ``observation`` of the marginal mixture, and what carries its sums over.

    ``features`` (o,) are those that the rows tell.  ``gain`` is G (K, d, o) and ``rest`` B (K, d, d); of diagonal
    covariances the diagonals of both, (K, o) and (K, d).  None where the rows are exact.
    """

    model: Mixture
    features: NDArray[np.intp]
    observation: Observation
    gain: Array | None
    rest: Array | None

    @property
    def means(self) -> Array:
        """m_o (K, o)."""
        return self.observation.scores.center


def prepare(model: Mixture, rows: Rows, origin: Array, kernel: str | None = None) -> Operands:
    """The operands for rows like the first of ``rows``, by the kernel that is named or chosen."""
    d = model.n_features
    features = np.arange(d) if rows.missing is None else np.flatnonzero(~rows.missing[0])
    error = None if rows.noise is None else rows.noise[0]
    if error is not None:
        error = error[features] if error.ndim == 1 else error[np.ix_(features, features)]
    if error is not None and not error.any():
        error = None
    layout = model.layout if len(features) == d and error is None else seen_through(model.layout, features, error)
    behind = None
    if model.background is not None:
        missing = None if rows.missing is None else rows.missing[:1]
        behind = float(model.background.log_joint_of(missing).ravel()[0])
    scores = scores_of(model.weights, model.means[:, features], layout, behind)
    observation = exact(scores, origin[features], kernel, labelled=rows.label is not None)
    if layout is model.layout:
        return Operands(model, features, observation, None, None)
    carry = _carry_diagonal if isinstance(model.layout, Diagonal) else _carry_dense
    return Operands(model, features, observation, *carry(model.layout, layout, features, error))


def seen_through(layout: Covariances, features: NDArray[np.intp], error: Array | None) -> Covariances:
    """T = S_oo + E, stored once where S is."""
    k = len(layout.diagonal)
    copies = 1 if layout.shared else k
    if isinstance(layout, Diagonal):
        variances = layout.variances[:copies, features]
        return Diagonal(broadcast(variances if error is None else variances + error, k))
    matrices = layout.matrices[:copies][:, features[:, None], features]
    if error is not None:
        matrices = matrices + (np.diag(error) if error.ndim == 1 else error)
    if layout.accurate is None and _definite(matrices):
        return Dense(broadcast(matrices, k))
    # Where the entries do not tell enough, T = A A' is known by its square root A only.
    root = layout.factor[:copies][:, features]
    if error is not None:
        values, vectors = np.linalg.eigh(np.diag(error) if error.ndim == 1 else error)
        own = vectors * np.sqrt(np.maximum(values, 0.0))
        root = np.concatenate([root, np.broadcast_to(own, (len(root), *own.shape))], axis=2)
    lower = np.asarray(np.linalg.qr(root.transpose(0, 2, 1), mode="r")).transpose(0, 2, 1)
    lower = lower * np.sign(np.diagonal(lower, axis1=1, axis2=2))[:, None, :]
    return Dense(broadcast(matrices, k), lower_whitener(np.tril(np.linalg.inv(lower))))


def _definite(matrices: Array) -> bool:
    """Whether all are positive definite: beside a large error without full rank, S may be lost in rounding."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def _carry_dense(
    layout: Covariances, seen: Covariances, features: NDArray[np.intp], error: Array | None
) -> tuple[Array, Array]:
    """G (K, d, o) and B (K, d, d)."""
    copies = 1 if layout.shared else len(layout.diagonal)
    matrices, white = layout.dense[:copies], seen.whitener
    white = white[:1] if is_shared(white) else white
    half = white @ matrices[:, features]  # U S_o.
    gain = half.transpose(0, 2, 1) @ white
    rest = matrices - half.transpose(0, 2, 1) @ half
    if error is None:
        gain[:, features] = np.eye(len(features))
        rest[:, features] = 0.0
        rest[:, :, features] = 0.0
    k = len(layout.diagonal)
    return broadcast(gain, k), broadcast(rest, k)


def _carry_diagonal(
    layout: Covariances, seen: Covariances, features: NDArray[np.intp], error: Array | None
) -> tuple[Array, Array]:
    """The diagonals of G (K, o) and B (K, d)."""
    own = layout.diagonal
    rest = own.copy()
    gain = own[:, features] / seen.diagonal if error is not None else np.ones((len(own), len(features)))
    rest[:, features] = 0.0 if error is None else gain * error
    return gain, rest


def seen(operands: Operands, rows: Rows) -> tuple[Array, Array, float | Array, Any]:
    """Densities of the rows, as ``observe.densities`` tells them, and the features that the kernel left."""
    x = _told(operands, rows)
    resp, total, top, left = densities(operands.observation, x, rows.allowed(operands.observation.n_columns))
    return resp, total, top, (x, left)


def _told(operands: Operands, rows: Rows) -> Any:
    return rows.x if len(operands.features) == rows.x.shape[1] else rows.x[:, operands.features]


def sums(operands: Operands, rows: Rows, left: Any, resp: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) or (K, d) moments about the means, under ``scale * resp`` (K, b);
    ``resp`` is used up."""
    observation = operands.observation
    x, left = left
    table = observation.kernel.sums(observation.operands, x, left, resp, scale)
    mass, first, second, center = observation.kernel.moments(observation.operands, table)[:4]
    first, second = _about(operands.means, mass, first, second, center)
    if operands.gain is None or operands.rest is None:
        return mass, first, second
    gain, rest, d = operands.gain, operands.rest, operands.model.n_features
    if gain.ndim == 2:
        whole, square = np.zeros((len(mass), d)), mass[:, None] * rest
        whole[:, operands.features] = gain * first
        square[:, operands.features] += gain**2 * second
        return mass, whole, square
    whole = np.einsum("kij,kj->ki", gain, first)
    return mass, whole, gain @ second @ gain.transpose(0, 2, 1) + mass[:, None, None] * rest


def _about(means: Array, mass: Array, first: Array, second: Array, center: Array) -> tuple[Array, Array]:
    """The moments about other centers."""
    away = center - means
    if not away.any():
        return first, second
    moved = first + mass[:, None] * away
    if second.ndim == 2:
        return moved, second + (first + moved) * away
    cross = first[:, :, None] * away[:, None, :]
    square = mass[:, None, None] * away[:, :, None] * away[:, None, :]
    return moved, second + cross + cross.transpose(0, 2, 1) + square


def completed(operands: Operands, rows: Rows, k: int) -> tuple[Array, Array]:
    """E[x] - m_k (b, d) of the rows if they belong to component k, and what is left of its covariance, (d, d) or
    (d,)."""
    d = operands.model.n_features
    away = _told(operands, rows) - operands.means[k]
    if operands.gain is None or operands.rest is None:
        return away, np.zeros((d, d) if isinstance(operands.model.layout, Dense) else d)
    gain, rest = operands.gain[k], operands.rest[k]
    if gain.ndim == 2:
        return away @ gain.T, rest
    whole = np.zeros((len(away), d))
    whole[:, operands.features] = away * gain
    return whole, rest


def expected(operands: Operands, rows: Rows, k: int) -> Array:
    """The first that ``completed`` tells."""
    return completed(operands, rows, k)[0]
