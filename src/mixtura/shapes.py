"""Parameters in the shapes of scikit-learn's fitted attributes, out and in, and in the dtype of the rows.

full (K, d, d)      tied (d, d)      diag (K, d)      spherical (K,)      codes of three letters (K, d, d)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura import validation
from mixtura.covariance import Covariances, Dense, Diagonal, broadcast
from mixtura.rows import AnyArray, Array


@dataclass(frozen=True)
class Shape:
    """How covariances and Cholesky factors of precisions are handed out; ``square`` makes precisions of factors."""

    covariances: Callable[[Covariances], Array]
    precisions_cholesky: Callable[[Covariances], Array]
    square: Callable[[Array], Array]


def _upper(layout: Covariances) -> Array:
    """Upper triangular (K, d, d) with U U' the precision, as scikit-learn has it."""
    if isinstance(layout, Diagonal):
        return np.asarray(layout.whitener[:, :, None] * np.eye(layout.whitener.shape[1]))
    return layout.whitener.transpose(0, 2, 1)


def _gram(upper: Array) -> Array:
    return np.asarray(upper @ np.swapaxes(upper, -1, -2))


MATRICES = Shape(lambda layout: layout.dense, _upper, _gram)

SHAPES: dict[str, Shape] = {
    "full": MATRICES,
    "tied": Shape(lambda layout: layout.dense[0], lambda layout: _upper(layout)[0], _gram),
    "diag": Shape(lambda layout: layout.diagonal, lambda layout: 1 / np.sqrt(layout.diagonal), np.square),
    "spherical": Shape(
        lambda layout: layout.diagonal[:, 0], lambda layout: 1 / np.sqrt(layout.diagonal[:, 0]), np.square
    ),
}
"""scikit-learn's shapes for its four names."""


def shape_of(covariance_type: str) -> Shape:
    """The shapes under ``covariance_type``; every code of three letters hands out MATRICES."""
    return SHAPES.get(covariance_type, MATRICES)


def covariances_in(values: Any, name: str, k: int, d: int, covariance_type: str) -> Covariances:
    """Covariances in the shape of the fitted attribute under ``covariance_type``."""
    expected = {"tied": (d, d), "diag": (k, d), "spherical": (k,)}.get(covariance_type, (k, d, d))
    array = validation.shaped(values, name, expected, f"covariance_type {covariance_type!r}")
    if covariance_type != "tied":
        return validation.covariances_of(array, k, d, name=name)
    one = validation.covariances_of(array[None], 1, d, name=name)
    assert isinstance(one, Dense)
    return Dense(broadcast(one.matrices, k))


def inverse(layout: Covariances) -> Covariances:
    """The covariances of these precisions."""
    if isinstance(layout, Diagonal):
        return Diagonal(1 / layout.variances)
    root = layout.whitener[:1] if layout.shared else layout.whitener
    return Dense(broadcast(root.transpose(0, 2, 1) @ root, len(layout.matrices)))


def covariances_from_precisions(values: Any, name: str, k: int, d: int, covariance_type: str) -> Covariances:
    """Covariances of precisions in the shape of the fitted attribute; ValueError if they are no float64 numbers."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        layout = inverse(covariances_in(values, name, k, d, covariance_type))
    if not np.isfinite(layout.diagonal).all():
        raise ValueError(f"{name} must have an inverse in float64 numbers, got too small ones: give larger precisions")
    return validation.positive_definite(layout, f"the inverse of {name}")


def answer_dtype(x: AnyArray) -> np.dtype[Any]:
    """In what rows ``x`` are answered: float32 for float32, float64 for all else."""
    return np.dtype(np.float32 if x.dtype == np.float32 else np.float64)


def fits(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether all numbers of ``array`` keep their digits in ``dtype``: none is too large for it, none too small."""
    size = np.abs(array[array != 0])
    limits = np.finfo(dtype)
    return bool((size < limits.max).all() and (size > limits.tiny).all())
