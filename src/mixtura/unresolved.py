"""Components that are narrower than the errors of their rows let one see.

Of a Gaussian's variance s, seen in rows n of weight w_n with errors of variance e_n, the likelihood at s = 0 has the
information

    sum_n w_n p_n^2 / 2,        p_n = 1 / e_n

so that an estimate of what is truly nothing has the standard error sqrt(2 / sum_n w_n p_n^2).  A variance of less than
SURE times that cannot be told from nothing.  Of several features the direction is looked at in which the covariance S
is the smallest part of the errors: P_n (d, d) is the precision of what row n tells, 0 for what is missing, P their mean
and u the eigenvector of P^1/2 S P^1/2 that has the smallest eigenvalue s; there p_n = u' P^-1/2 P_n P^-1/2 u.

Bins tell nothing of what is within one: a component is unresolved if less than one row of it is expected outside two
neighbouring bins.

Reference: B. Efron and D. V. Hinkley, "Assessing the accuracy of the maximum likelihood estimator: observed versus
expected Fisher information", Biometrika 65, 1978 (the information of what was seen).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mixtura.mixture import Mixture
from mixtura.rows import Array, Rows

SURE = 2.0
"""Standard errors that a variance is above nothing if it is above."""

BEYOND = 1e12
"""Times the variance of a component: an error that is so many times larger tells nothing, one so many times smaller is
none."""

LOOKED_AT = 2_000
"""Rows of a component whose errors stand for those of all."""


def unresolved(model: Mixture, rows: Rows, labels: NDArray[np.intp], total: float) -> dict[int, Array]:
    """The components of which ``rows`` with these most probable ``labels`` do not tell how narrow they are, each with
    the direction (d,) in which they do not; ``total`` is the number of rows that count."""
    if rows.edges is not None:
        lower, upper = rows.edges.T
        deviation = np.sqrt(model.layout.dense[:, 0])
        z = [(ends - model.means) / deviation for ends in (lower, upper)]
        pairs = np.diff(np.concatenate([np.zeros((len(deviation), 1)), np.cumsum(ndtr(z[1]) - ndtr(z[0]), axis=1)], 1))
        pairs = pairs[:, 1:] + pairs[:, :-1] if pairs.shape[1] > 1 else pairs
        outside = model.weights * total * (1 - pairs.max(axis=1))
        return {int(k): np.ones(1) for k in np.flatnonzero(outside < 1)}
    if rows.noise is None:
        return {}
    found = {}
    for k, covariance in enumerate(model.layout.dense):
        own = np.arange(len(labels)) if model.layout.shared else np.flatnonzero(labels == k)
        chosen = own[:: -(-len(own) // LOOKED_AT) or 1]
        unit = np.sqrt(np.diagonal(covariance))
        precisions = _precisions(rows[chosen], unit)
        if precisions is None or not len(chosen):
            continue
        weight = np.ones(len(chosen)) if rows.weight is None else rows.weight[chosen]
        mean = np.tensordot(weight, precisions, axes=1) / weight.sum()
        size, axes = np.linalg.eigh(mean)
        if size[0] <= np.finfo(np.float64).eps * size[-1]:  # a feature of which these rows tell nothing
            continue
        root, back = (axes * np.sqrt(size)) @ axes.T, (axes / np.sqrt(size)) @ axes.T
        least, directions = np.linalg.eigh(root @ (covariance / unit / unit[:, None]) @ root)
        direction = back @ directions[:, 0]
        precision = np.einsum("i,nij,j->n", direction, precisions, direction)
        squares = float(weight @ precision**2) * len(own) / len(chosen)
        if least[0] < SURE * np.sqrt(2 / squares):
            found[k] = (root @ directions[:, 0]) / unit
    return found


def _precisions(rows: Rows, unit: Array) -> Array | None:
    """Those of what each row tells (n, d, d), in ``unit`` (d,) for each feature, zero for what is missing or as good as
    missing; None if some error is as good as none in a direction: then there is no limit to what can be seen."""
    assert rows.noise is not None
    d = rows.x.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        noise = rows.noise / unit / (unit if rows.noise.ndim == 2 else unit[:, None])
    variances = noise if noise.ndim == 2 else np.diagonal(noise, axis1=1, axis2=2)
    there = variances < BEYOND  # neither is NaN
    if rows.missing is not None:
        there &= ~rows.missing
    if (there & (variances < 1 / BEYOND)).any():
        return None
    if noise.ndim == 2:
        inverse = np.divide(1.0, noise, out=np.zeros((len(rows), d)), where=there)
        return np.asarray(inverse[:, :, None] * np.eye(d))
    both = there[:, :, None] & there[:, None]
    try:
        inverse = np.linalg.inv(np.where(both, noise, np.eye(d)))
    except np.linalg.LinAlgError:
        return None
    largest = np.abs(inverse).max(initial=0.0)
    return np.where(both, inverse, 0.0) if largest < BEYOND else None
