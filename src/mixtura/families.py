"""Covariance families: a row of a visible table each, after Celeux & Govaert (1995).

    S_k = lambda_k D_k A_k D_k'        volume lambda_k, shape A_k (diagonal, |A_k| = 1), orientation D_k

The three letters of a code say whether volume, shape and orientation are Equal, Variable or the Identity.  They
alone give the number of parameters, the layout and the changes of coordinates that leave the family as it is.
A family acts in the M-step only, through one function from scatter to covariances:

    estimate(W, n) -> S      W (K, d, d) or (K, d) scatter about the means,  n (K,) mass;
                             S with K entries, or one for all

Reference: G. Celeux and G. Govaert, "Gaussian parsimonious clustering models", Pattern Recognition 28, 1995.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixtura.rows import Array

Frame = Literal["affine", "scaling", "rotation"]


@dataclass(frozen=True)
class Family:
    """One family: its ``code`` of volume, shape and orientation, and the M-step of its covariances."""

    code: str
    estimate: Callable[[Array, Array], Array]

    @property
    def diagonal(self) -> bool:
        """Whether the axes are those of the features, so that variances (K, d) say everything."""
        return self.code[2] == "I"

    @property
    def spherical(self) -> bool:
        """Whether all features have one variance."""
        return self.code[1] == "I"

    @property
    def pooled(self) -> bool:
        """Whether all components share one covariance, so that none needs rows of its own to have one."""
        return "V" not in self.code

    @property
    def uniform(self) -> bool:
        """Whether volume, shape and orientation are all free or all shared, as far as the family has them."""
        return len(set(self.code) - {"I"}) == 1

    @property
    def frame(self) -> Frame:
        """The changes of coordinates that map the family onto itself.

        "affine": any invertible linear map; "scaling": each feature in a unit of its own; "rotation": rotations
        and one common unit.  Shape and orientation must vary together to survive a general map.
        """
        shape, orientation = self.code[1], self.code[2]
        if orientation == "I":
            return "rotation" if self.spherical else "scaling"
        return "affine" if shape == orientation else "rotation"

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""
        copies = {"I": 0, "E": 1, "V": n_components}
        volume, shape, orientation = (copies[letter] for letter in list(self.code))
        return volume + shape * (n_features - 1) + orientation * n_features * (n_features - 1) // 2

    def n_parameters(self, n_components: int, n_features: int, *, equal_mixing: bool = False) -> int:
        """Free parameters of a mixture: covariances, means and weights."""
        weights = 0 if equal_mixing else n_components - 1
        return self.n_covariance_parameters(n_components, n_features) + n_components * n_features + weights


def _present(mass: Array) -> Array:
    """Mass to divide by: an empty component has no scatter, whatever divides it."""
    return np.where(mass > 0, mass, 1.0)


def _columns(mass: Array, scatter: Array) -> Array:
    """Mass shaped to divide the scatter."""
    return mass.reshape(-1, *[1] * (scatter.ndim - 1))


def _eii(scatter: Array, mass: Array) -> Array:
    return np.full((1, scatter.shape[1]), scatter.sum() / (mass.sum() * scatter.shape[1]))


def _vii(scatter: Array, mass: Array) -> Array:
    return np.repeat(scatter.mean(axis=1, keepdims=True) / _present(mass)[:, None], scatter.shape[1], axis=1)


def _pooled(scatter: Array, mass: Array) -> Array:
    return np.asarray(scatter.sum(axis=0, keepdims=True) / mass.sum())


def _separate(scatter: Array, mass: Array) -> Array:
    return scatter / _columns(_present(mass), scatter)


FAMILIES: dict[str, Family] = {
    family.code: family
    for family in (
        Family("EII", _eii),
        Family("VII", _vii),
        Family("EEI", _pooled),
        Family("VVI", _separate),
        Family("EEE", _pooled),
        Family("VVV", _separate),
    )
}

ALIASES: dict[str, str] = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
"""scikit-learn's names; with them the fitted attributes take scikit-learn's shapes."""


def family_of(covariance_type: str) -> Family:
    """The family called ``covariance_type``: a code of FAMILIES or a name of ALIASES."""
    return FAMILIES[ALIASES.get(covariance_type, covariance_type)]
