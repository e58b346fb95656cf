"""Covariance families: a row of a visible table each, after Celeux & Govaert (1995).

    S_k = lambda_k D_k A_k D_k'        volume lambda_k, shape A_k (diagonal, |A_k| = 1), orientation D_k

The three letters of a code say whether volume, shape and orientation are Equal, Variable or the Identity.  They
alone give the number of parameters, the layout and the changes of coordinates that leave the family as it is.
A family acts in the M-step only, through one function from scatter to covariances:

    estimate(W, n, S') -> S      W (K, d, d) or (K, d) scatter about the means,  n (K,) mass;
                                 S' the covariances of the previous model, or None; S with K entries, or one for all

Six families have closed forms, and raising their components to a floor one by one is the exact maximiser there.  In the
others a component that is raised no longer shares what it has to: their M-steps (spectra.py) know of the floor.

Reference: G. Celeux and G. Govaert, "Gaussian parsimonious clustering models", Pattern Recognition 28, 1995.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixtura import spectra
from mixtura.covariance import Covariances, Diagonal
from mixtura.rows import Array
from mixtura.spectra import Bounds, Spectrum

Frame = Literal["affine", "scaling", "rotation"]


EQUAL = 1e-6
"""Relative difference of eigenvalues, and correlation along axes, up to which they count as shared."""

GHOST = 1e-30
"""Rows, as a part of all, that an empty component counts for in families whose components share something."""


@dataclass(frozen=True)
class Family:
    """One family: its ``code`` of volume, shape and orientation, and the M-step of its covariances.

    That is ``closed``, or ``coupled`` where components share some of their letters, and the floor with them.
    """

    code: str
    closed: Callable[[Array, Array], Array] | None = None
    coupled: Callable[[Array, Array, Array | None, Bounds], Spectrum] | None = None

    def estimate(self, scatter: Array, mass: Array, previous: Array | None = None) -> Array:
        """Covariances with K entries, or one for all, that maximise the expected log-likelihood; see above."""
        if self.closed is not None:
            return self.closed(scatter, mass)
        return self.spectrum(scatter, mass, previous, Bounds()).covariances()

    def spectrum(self, scatter: Array, mass: Array, previous: Array | None, bounds: Bounds) -> Spectrum:
        """The covariances of a ``coupled`` family, no eigenvalue outside of ``bounds``."""
        assert self.coupled is not None
        return self.coupled(*_filled(scatter, mass, previous), previous, bounds)

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
    def separate(self) -> bool:
        """Whether each component has a covariance that no other one shares any part of."""
        return "E" not in self.code

    @property
    def uniform(self) -> bool:
        """Whether volume, shape and orientation are all free or all shared, as far as the family has them."""
        return len(set(self.code) - {"I"}) == 1

    def least_rows(self, n_features: int) -> int:
        """Rows without which a component has no covariance of its own: one more than it has axes to find, or two."""
        return n_features + 1 if self.code[2] == "V" else 2

    def least_distinct(self, n_features: int) -> int:
        """Different rows without which a component has no shape, or no axes, of its own: common axes can be turned
        to few rows of one component."""
        own = "V" in self.code[1:] and not self.diagonal
        return n_features + 1 if own else 2

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

    def lacks(self, layout: Covariances) -> str | None:
        """What covariances of this family are and those of ``layout`` are not; None if they are all of it.

        Eigenvalues count as equal within EQUAL, or within what the entries of the matrices tell of them.
        """
        variances, matrices = layout.diagonal, layout.dense
        if self.diagonal and not isinstance(layout, Diagonal):
            return "diagonal"
        if self.spherical and not np.allclose(variances, variances[:, :1], rtol=1e-9, atol=0):
            return "spherical"
        if self.pooled:
            shared = np.allclose(matrices, matrices[:1], rtol=1e-9, atol=0)
            return None if shared else "the same for all components"
        if self.coupled is None or len(matrices) == 1:
            return None
        volume, shape, orientation = list(self.code)
        axes = spectra.shared_axes(matrices) if orientation == "E" else None
        log, unsure = _log_eigenvalues(layout, axes)
        size, unsure_size = log.mean(axis=1), unsure.mean(axis=1)
        if volume == "E" and (np.abs(size - size[0]) > EQUAL + unsure_size + unsure_size[0]).any():
            return "of one volume"
        log = log - size[:, None]
        if shape == "E" and (np.abs(log - log[0]) > EQUAL + 2 * (unsure + unsure[0])).any():
            return "of one shape"
        if axes is not None:
            turned = axes.T @ matrices @ axes
            deviations = np.sqrt(np.diagonal(turned, axis1=1, axis2=2))
            off = np.abs(turned - turned * np.eye(turned.shape[1]))
            known = EQUAL * deviations[:, :, None] * deviations[:, None, :]
            known = known + 1e-12 * deviations.max(axis=1)[:, None, None] ** 2
            if (off > known).any():
                return "of one orientation"
        return None

    def n_covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""
        copies = {"I": 0, "E": 1, "V": n_components}
        volume, shape, orientation = (copies[letter] for letter in list(self.code))
        return volume + shape * (n_features - 1) + orientation * n_features * (n_features - 1) // 2

    def n_parameters(self, n_components: int, n_features: int, *, equal_mixing: bool = False) -> int:
        """Free parameters of a mixture: covariances, means and weights."""
        weights = 0 if equal_mixing else n_components - 1
        return self.n_covariance_parameters(n_components, n_features) + n_components * n_features + weights


def _log_eigenvalues(layout: Covariances, axes: Array | None) -> tuple[Array, Array]:
    """Logarithms (K, d) of the eigenvalues of covariances, along common ``axes`` or in ascending order, and how far the
    rounding of the matrices may have put them off."""
    if isinstance(layout, Diagonal):
        return np.log(layout.variances), np.zeros_like(layout.variances)
    if axes is None:
        singular = np.linalg.svd(layout.whitener, compute_uv=False)
        # Under the rounding of the largest they are not known, and may be nothing at all.
        values = np.maximum(singular, np.finfo(np.float64).eps * singular[:, :1]) ** -2
    else:
        values = 1 / ((layout.whitener @ axes) ** 2).sum(axis=1)
    if layout.accurate is not None:
        return np.log(values), np.zeros_like(values)
    digits = 16 * values.shape[1] * np.finfo(np.float64).eps
    return np.log(values), digits * values.max(axis=1, keepdims=True) / values


def _filled(scatter: Array, mass: Array, previous: Array | None) -> tuple[Array, Array]:
    """Scatter and mass with next to no rows in place of none: spread like the previous covariance, or like all others.

    So a component without mass stays as it was, as far as the others let it.
    """
    total = mass.sum()
    empty = mass <= GHOST * total
    if not empty.any():
        return scatter, mass
    ghost = GHOST * (total if total > 0 else 1.0)
    scatter, mass = scatter.copy(), np.where(empty, ghost, mass)
    scatter[empty] = ghost * (scatter.sum(axis=0) / mass.sum() if previous is None else previous[empty])
    return scatter, mass


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
        Family("VEI", coupled=spectra.vei),
        Family("EVI", coupled=spectra.evi),
        Family("VVI", _separate),
        Family("EEE", _pooled),
        Family("VEE", coupled=spectra.vee),
        Family("EVE", coupled=spectra.eve),
        Family("VVE", coupled=spectra.vve),
        Family("EEV", coupled=spectra.eev),
        Family("VEV", coupled=spectra.vev),
        Family("EVV", coupled=spectra.evv),
        Family("VVV", _separate),
    )
}

ALIASES: dict[str, str] = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
"""scikit-learn's names; with them the fitted attributes take scikit-learn's shapes."""

UNIVARIATE: dict[str, str] = {"E": "EII", "V": "VII"}
"""Names for one feature, where nothing but the volume is left."""


def family_of(covariance_type: str) -> Family:
    """The family called ``covariance_type``: a code of FAMILIES, or a name of ALIASES or UNIVARIATE."""
    return FAMILIES[(ALIASES | UNIVARIATE).get(covariance_type, covariance_type)]
