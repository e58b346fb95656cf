"""What many Gaussians in natural parameters see of rows that are not exact: alike, or one by one.

With z = (1, y), T(y) are the entries of z z' on and above its diagonal, and theta . T(y) = -z' Q z / 2.

Rows that are exact but for the same missing features m, o being the others and the 1: with A = Q_mm^-1 Q_mo

    log of the integral over y_m = -z_o' (Q_oo - Q_om A) z_o / 2 + |m| / 2 log 2 pi - log |Q_mm| / 2
    E[y_m | y_o] = -A z_o          Cov[y_m | y_o] = Q_mm^-1

and of sums M = sum r z z', of which M_oo is known, M_mo = -A M_oo and M_mm = A M_oo A' + M_11 Q_mm^-1 are expected.
Swept over m, one feature after the other, Q holds all of this: a row costs what an exact one does.

Any other rows, with errors of covariance E: with S and a the covariance and mean that theta stands for, T = S_oo + E,
and L the matrix T^-1, zero where a feature is missing,

    u = L (y - a)                  log p = log w - (u . (y - a) + log |T| + |o| log 2 pi) / 2
    E[y] = a + S u                 Cov[y] = S - S L S

so that sums of r, r u and r (u u' - L) are all that is needed of the rows.

Components C, and before them rows b, are along the last axes: a loop over features serves all of them.

References: J. H. Goodnight, "A tutorial on the SWEEP operator", The American Statistician 33, 1979; R. J. A. Little and
D. B. Rubin, *Statistical Analysis with Missing Data*, Wiley, 2019 (chapter 11).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.rows import Array

Index = NDArray[np.intp]

LOG_2PI = float(np.log(2 * np.pi))


def width_of(theta: Array) -> int:
    """1 + d, of theta (C, q)."""
    return round((float(np.sqrt(8 * theta.shape[1] + 1)) - 1) / 2)


# alike ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Marginals:
    """``theta`` (C, q) of the marginals, zero where a feature is ``missing`` (m,); A (m, 1 + d, C), zero at those, and
    ``left``, Q_mm^-1 (m, m, C)."""

    theta: Array
    missing: Index
    regression: Array
    left: Array

    def completed(self, table: Array) -> Array:
        """The sums (C, q) that are expected of all features, by those that are told, which are zero at others."""
        i, j = np.triu_indices(self.regression.shape[1])
        known = np.empty((*self.regression.shape[1:2] * 2, len(table)))
        known[i, j] = known[j, i] = table.T
        expected = known.copy()
        for place, own in zip(self.missing, self.regression, strict=True):
            expected[place] = expected[:, place] = -(own[:, None] * known).sum(axis=0)
        for one, place in enumerate(self.missing):
            for two, other in enumerate(self.missing[: one + 1]):
                both = known[0, 0] * self.left[one, two] - (self.regression[two] * expected[place]).sum(axis=0)
                expected[place, other] = expected[other, place] = both
        return np.ascontiguousarray(expected[i, j].T)


def marginals(theta: Array, missing: Index) -> Marginals:
    """What Gaussians theta (C, q) are without the features ``missing`` (m,), counted from one."""
    width = width_of(theta)
    i, j = np.triu_indices(width)
    factor = np.where(i == j, -2.0, -1.0)[:, None]
    swept = np.empty((width, width, len(theta)))
    swept[i, j] = swept[j, i] = theta.T * factor
    log_det = _swept(swept, missing)
    regression, left = swept[missing], -swept[missing[:, None], missing]
    regression[:, missing] = 0.0
    swept[missing] = swept[:, missing] = 0.0
    own = swept[i, j] / factor
    own[0] += 0.5 * (len(missing) * LOG_2PI - log_det)
    return Marginals(np.ascontiguousarray(own.T), missing, regression, left)


def _swept(matrices: Array, over: Index) -> Array:
    """Sweep symmetric matrices (w, w, ..) ``over`` some of their rows, in place: where both are swept, minus the
    inverse is left.  The log determinants (..) of what is swept."""
    log_det, row = np.zeros(matrices.shape[2:]), np.empty(matrices.shape[1:])
    for place in over:
        row[: place + 1], row[place:] = matrices[place, : place + 1], matrices[place:, place]
        pivot = row[place].copy()
        log_det += np.log(pivot)
        part = row / pivot
        for i, own in enumerate(row):  # what is over the diagonal is known by symmetry
            matrices[i, : i + 1] -= own * part[: i + 1]
        matrices[place, : place + 1], matrices[place:, place] = part[: place + 1], part[place:]
        matrices[place, place] = -1.0 / pivot
    for i in range(len(matrices)):
        matrices[i, i + 1 :] = matrices[i + 1 :, i]
    return log_det


# one by one ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Apart:
    """Rows that have little in common: ``y`` (n, d), which of it is ``missing``, and the ``noise``, variances (n, d) or
    covariances (n, d, d) of errors in units of x = ``unit`` y, or None; ``weight`` (n,) or None."""

    y: Array
    missing: NDArray[np.bool_] | None
    noise: Array | None
    unit: Array
    weight: Array | None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | Index) -> Apart:
        missing = None if self.missing is None else self.missing[rows]
        noise = None if self.noise is None else self.noise[rows]
        return Apart(self.y[rows], missing, noise, self.unit, None if self.weight is None else self.weight[rows])

    @property
    def told(self) -> Array:
        """Which features are told (d, n), as ones and zeros."""
        if self.missing is None:
            return np.ones(self.y.shape[::-1])
        return np.array(~self.missing.T, dtype=np.float64, order="C")

    @property
    def error(self) -> Array:
        """E (d, d, n), and where a feature is missing the identity."""
        n, d = self.y.shape
        error, at = np.zeros((d, d, n)), np.arange(d)
        if self.noise is not None and self.noise.ndim == 3:
            error[:] = self.noise.transpose(1, 2, 0) / np.outer(self.unit, self.unit)[:, :, None]
        elif self.noise is not None:
            error[at, at] = self.noise.T / self.unit[:, None] ** 2
        if self.missing is not None:
            gone = self.missing.T
            error[gone[:, None] | gone[None, :]] = 0.0
            error[at, at] += gone
        return error


@dataclass(frozen=True, eq=False)
class Moments:
    """``log_weight`` (C,), ``means`` (C, d) and ``covariances`` (C, d, d) that theta stands for."""

    log_weight: Array
    means: Array
    covariances: Array

    def only(self, those: Index) -> Moments:
        return Moments(self.log_weight[those], self.means[those], self.covariances[those])


def moments(theta: Array) -> Moments:
    """Those of theta (C, q); not a number for what is no Gaussian."""
    d = width_of(theta) - 1
    i, j = np.triu_indices(d)
    precision = np.empty((len(theta), d, d))
    precision[:, i, j] = precision[:, j, i] = -theta[:, 1 + d :] * np.where(i == j, 2.0, 1.0)
    sign, log_det = np.linalg.slogdet(precision)
    sound = (sign > 0) & np.isfinite(log_det)
    precision[~sound] = np.eye(d)
    linear = theta[:, 1 : 1 + d]
    # Where precisions are large, only what solves the equations themselves has a square of the right size.
    means = np.asarray(np.linalg.solve(precision, linear[:, :, None])[:, :, 0])
    covariances = np.asarray(np.linalg.inv(precision))
    log_weight = theta[:, 0] + 0.5 * ((linear * means).sum(axis=1) - log_det + d * LOG_2PI)
    return Moments(np.where(sound, log_weight, np.nan), means, covariances)


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows under Gaussians of some ``moments``: ``log_joint`` (b, C), u (d, b, C) and L (d, d, b, C)."""

    moments: Moments
    log_joint: Array
    pull: Array
    precision: Array

    def sums(self, resp: Array) -> Array:
        """The table (C, q) under responsibilities (b, C)."""
        own, mass = self.moments, resp.sum(axis=0)
        first = (self.pull * resp).sum(axis=1).T
        second = np.empty_like(own.covariances)
        for i, pull in enumerate(self.pull):
            part = self.precision[i, : i + 1] - pull * self.pull[: i + 1]
            part *= resp
            second[:, i, : i + 1] = second[:, : i + 1, i] = part.sum(axis=1).T
        away = (own.covariances @ first[:, :, None])[:, :, 0]
        second = mass[:, None, None] * own.covariances - own.covariances @ second @ own.covariances
        cross = (away + 0.5 * mass[:, None] * own.means)[:, :, None] * own.means[:, None, :]
        upper = (slice(None), *np.triu_indices(second.shape[1]))
        second = (second + cross + cross.transpose(0, 2, 1))[upper]
        return np.concatenate([mass[:, None], mass[:, None] * own.means + away, second], axis=1)


def seen(own: Moments, rows: Apart) -> Seen:
    """What the Gaussians see of the rows."""
    n, d = rows.y.shape
    told, at = rows.told, np.arange(d)
    both = (told[:, None] * told)[..., None]
    precision = own.covariances.transpose(1, 2, 0)[:, :, None] * both
    precision += rows.error[..., None]
    log_det = _swept(precision, at)
    np.negative(precision, out=precision)
    precision[at, at] *= told[..., None]
    away = (rows.y.T[..., None] - own.means.T[:, None]) * told[..., None]
    flat = precision.reshape(d, d, -1), away.reshape(d, -1)
    pull = np.einsum("ijn,jn->in", *flat)
    square = np.einsum("in,in->n", pull, flat[1]).reshape(n, -1)
    log_joint = own.log_weight - 0.5 * (square + log_det + LOG_2PI * told.sum(axis=0)[:, None])
    return Seen(own, log_joint, pull.reshape(d, n, -1), precision)
