"""All that an E-step may see of a model.

    log_coef_k = log w_k + log|S_k|^-1/2 - d/2 log 2 pi
    log w_k N(x | k) = log_coef_k - |U_k (x - m_k)|^2 / 2

There is one density in the library and it is made of these numbers; a uniform background (background.py) adds one
more, log w_0 / V.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixtura.covariance import Covariances, Dense
from mixtura.rows import Array

LOG_ZERO = -1e300
"""Stands for log 0 in a component of weight zero: exp gives exactly 0, and unlike -inf it survives a product with 0."""


@dataclass(frozen=True, eq=False)
class Scores:
    """``log_coef`` (K,), ``center`` (K, d), ``whitener`` (K, d, d) or (K, d), ``spread`` (K, d).

    ``spread`` holds the standard deviation of each feature, ``factor`` the inverses of dense whiteners where they are
    known (L_k, K, d, d); kernels need them to see what they are good for.
    ``log_background`` is the same for all x, or None where there is no background.
    """

    log_coef: Array
    center: Array
    whitener: Array
    spread: Array
    log_background: float | None = None
    factor: Array | None = None

    @property
    def live(self) -> Array:
        """``log_coef``, and ``log_background``, of what has weight."""
        known = self.log_coef if self.log_background is None else np.append(self.log_coef, self.log_background)
        return known[known > 0.5 * LOG_ZERO]

    def shifted(self, shift: float) -> Scores:
        """The same scores with ``shift`` taken from every log density."""
        return replace(self, log_coef=self.log_coef - shift)


def log_weights(weights: Array) -> Array:
    """Logarithms of weights (K,), LOG_ZERO of none."""
    found = np.full(len(weights), LOG_ZERO)
    np.log(weights, out=found, where=weights > 0)
    return found


def scores_of(weights: Array, means: Array, covariances: Covariances, log_background: float | None = None) -> Scores:
    """Scores of a mixture with these parameters."""
    constant = 0.5 * means.shape[1] * np.log(2 * np.pi)
    return Scores(
        log_coef=log_weights(weights) + covariances.log_det_whitener - constant,
        center=means,
        whitener=covariances.whitener,
        spread=np.sqrt(covariances.diagonal),
        log_background=log_background,
        factor=covariances.factor if isinstance(covariances, Dense) and covariances.accurate is None else None,
    )
