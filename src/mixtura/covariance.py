"""Covariances of K components in two layouts: how they are stored, never how they were estimated.

    Dense      matrices (K, d, d)    S_k = L_k L_k',  whitener U_k = L_k^-1 (lower triangular)
    Diagonal   variances (K, d)      S_k = diag(v_k), whitener u_k = v_k^-1/2

Both give z = U_k (x - m_k) with z'z the squared Mahalanobis distance, and log|S_k|^-1/2 = sum_j log (U_k)_jj.
A matrix that all components share is stored once and broadcast (stride 0 along k), so that a tied model costs
one factorisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mixtura.engine import one_blas_thread
from mixtura.rows import Array


def read_only(array: Array) -> Array:
    """The same data behind a view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def broadcast(array: Array, n_components: int) -> Array:
    """One entry for all components, or one each, as a read-only array with K entries."""
    if len(array) == n_components:
        return read_only(array)
    return np.broadcast_to(array, (n_components, *array.shape[1:]))


def is_shared(array: Array) -> bool:
    """Whether all components point at one entry."""
    return len(array) > 1 and array.strides[0] == 0


def _distinct(array: Array) -> Array:
    return array[:1] if is_shared(array) else array


def _only(array: Array, components: list[int]) -> Array:
    return broadcast(array[:1], len(components)) if is_shared(array) else read_only(array[components])


@dataclass(frozen=True, eq=False)
class Diagonal:
    """Variances (K, d) of components whose features are uncorrelated."""

    variances: Array

    def __reduce__(self) -> tuple[Any, ...]:  # a copy would otherwise forget that all components share one entry
        return _diagonal, (_distinct(self.variances), len(self.variances))

    @property
    def shared(self) -> bool:
        return is_shared(self.variances)

    @cached_property
    def whitener(self) -> Array:
        """Reciprocal standard deviations (K, d)."""
        return broadcast(1.0 / np.sqrt(_distinct(self.variances)), len(self.variances))

    @cached_property
    def log_det_whitener(self) -> Array:
        """log|S_k|^-1/2, (K,)."""
        return np.asarray(-0.5 * np.log(self.variances).sum(axis=1))

    @cached_property
    def dense(self) -> Array:
        """The matrices (K, d, d)."""
        distinct = _distinct(self.variances)
        matrices = np.zeros((*distinct.shape, distinct.shape[1]))
        diagonal = np.arange(distinct.shape[1])
        matrices[:, diagonal, diagonal] = distinct
        return broadcast(matrices, len(self.variances))

    @property
    def diagonal(self) -> Array:
        """The variances (K, d)."""
        return self.variances

    def take(self, features: list[int]) -> Diagonal:
        """The same components seen in some of their features."""
        return Diagonal(broadcast(_distinct(self.variances)[:, features], len(self.variances)))

    def only(self, components: list[int]) -> Diagonal:
        """Some of the components."""
        return Diagonal(_only(self.variances, components))


@dataclass(frozen=True, eq=False)
class Dense:
    """Covariance matrices (K, d, d), symmetric and positive definite.

    ``accurate`` holds whiteners (K, d, d) or (1, d, d) that are known better than the rounded matrices could tell, or
    None: where standard deviations differ by 1e6, the entries of a matrix fix the small ones to four digits only.
    """

    matrices: Array
    accurate: Array | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _dense, (_distinct(self.matrices), len(self.matrices), self.accurate)

    @property
    def shared(self) -> bool:
        return is_shared(self.matrices)

    @cached_property
    def factor(self) -> Array:
        """Lower Cholesky factors (K, d, d); LinAlgError where a matrix is not positive definite."""
        if self.accurate is not None:
            return broadcast(np.tril(np.linalg.inv(self.accurate)), len(self.matrices))
        return broadcast(np.asarray(np.linalg.cholesky(_distinct(self.matrices)), np.float64), len(self.matrices))

    @cached_property
    def whitener(self) -> Array:
        """Inverse Cholesky factors (K, d, d), lower triangular."""
        if self.accurate is not None:
            return broadcast(self.accurate, len(self.matrices))
        with one_blas_thread():
            # The inverse of a triangular matrix by LU is exact in its zeros up to rounding: cut what rounding left.
            return broadcast(np.tril(np.linalg.inv(_distinct(self.factor))), len(self.matrices))

    @cached_property
    def log_det_whitener(self) -> Array:
        """log|S_k|^-1/2, (K,)."""
        return np.asarray(np.log(np.diagonal(self.whitener, axis1=1, axis2=2)).sum(axis=1))

    @property
    def dense(self) -> Array:
        """The matrices (K, d, d)."""
        return self.matrices

    @property
    def diagonal(self) -> Array:
        """The variances (K, d) of single features."""
        return np.diagonal(self.matrices, axis1=1, axis2=2)

    def take(self, features: list[int]) -> Dense:
        """The same components seen in some of their features."""
        block = _distinct(self.matrices)[:, features][:, :, features]
        return Dense(broadcast(block, len(self.matrices)))

    def only(self, components: list[int]) -> Dense:
        """Some of the components."""
        accurate = self.accurate
        if accurate is not None and len(accurate) > 1:
            accurate = accurate[components]
        return Dense(_only(self.matrices, components), accurate)


def lower_whitener(root: Array) -> Array:
    """Lower triangular whiteners (..., d, d) of matrices, from any square root of their inverse: S^-1 = root' root."""
    # J R J of root J = Q R, J being the reversal.
    lower = np.asarray(np.linalg.qr(root[..., ::-1], mode="r"))[..., ::-1, ::-1]
    return np.asarray(np.tril(lower * np.sign(np.diagonal(lower, axis1=-2, axis2=-1))[..., None]))


def _diagonal(variances: Array, n_components: int) -> Diagonal:
    return Diagonal(broadcast(variances, n_components))


def _dense(matrices: Array, n_components: int, accurate: Array | None) -> Dense:
    return Dense(broadcast(matrices, n_components), accurate)


Covariances = Diagonal | Dense


def suited(layout: Covariances, *, diagonal: bool) -> Covariances:
    """The same covariances in the layout of a family, as far as they fit into it.

    A dense family needs the whole scatter matrix, so its models are Dense.  A diagonal family can begin at any
    matrices; only those that are diagonal change their layout.
    """
    if not diagonal:
        return layout if isinstance(layout, Dense) else Dense(layout.dense)
    if isinstance(layout, Dense) and not (layout.matrices - layout.matrices * np.eye(layout.matrices.shape[1])).any():
        return Diagonal(broadcast(_distinct(layout.diagonal), len(layout.matrices)))
    return layout
