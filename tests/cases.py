"""What the tests run over: families, kernels, engines, data and starts; pairs that make no sense are left out here."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mixtura import GaussianMixture

FAMILIES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
COUPLED = ("VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")
"""Families whose components share some of volume, shape and orientation, neither all nor none."""
UNIFORM = tuple(family for family in FAMILIES if family not in COUPLED)
"""Families whose components share all of their covariance or nothing."""
TURNED = ("EVE", "VVE")
"""Families with common axes: an M-step comes nearer to them, and does not find them at once."""
STEPPED = tuple(family for family in FAMILIES if family not in TURNED)
"""Families whose M-step has one answer."""
ALIASES = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
TYPES = (*ALIASES, *FAMILIES)
MIXING = ("free", "equal")

ENGINES = (("serial", None), ("threads", 1), ("threads", 2), ("threads", 3))
"""Pairs of ``engine`` and ``n_jobs``."""

KERNELS_OF = {
    family: ("diagonal", "residual") if family.endswith("I") else ("features", "screened", "residual")
    for family in FAMILIES
}
"""The kernels that can compute a family's E-step: the fast ones of its layout, and the safe one."""


def blobs(n, d, *, seed=0):
    """Rows from three overlapping Gaussians of different size, shape and correlation, (n, d)."""
    rng = np.random.default_rng([seed, d])
    mixing = rng.normal(size=(3, d, d)) * 0.3 + np.eye(d) * [[[0.7]], [[1.0]], [[1.6]]]
    centres = np.array([-3.0, 0.0, 4.0])[:, None] * np.linspace(1.0, 0.4, d)
    component = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    return centres[component] + np.einsum("nij,nj->ni", mixing[component], rng.normal(size=(n, d)))


def start(family, d):
    """Weights, means and covariances (3, d, d) to begin with, off the truth of ``blobs`` and inside the family."""
    rng = np.random.default_rng([7, d])
    weights = np.array([0.25, 0.4, 0.35])
    means = np.array([-2.5, 0.7, 3.0])[:, None] * np.linspace(1.0, 0.4, d)
    means = means + rng.normal(scale=0.2, size=(3, d))
    volume, shape, orientation = family
    sizes = np.full(3, 1.5) if volume == "E" else np.array([0.8, 1.5, 2.5])
    shapes = np.ones((3, d)) if shape == "I" else rng.uniform(0.5, 2.0, size=(3, d))
    if shape == "E":
        shapes = np.repeat(shapes[:1], 3, axis=0)
    covariances = np.array([np.diag(size * row) for size, row in zip(sizes, shapes, strict=True)])
    if orientation != "I":
        turns = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(3)]
        turns = turns[:1] * 3 if orientation == "E" else turns
        covariances = np.array([q @ c @ q.T for q, c in zip(turns, covariances, strict=True)])
        covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1))
    return weights, means, covariances


def started(parameters, **settings):
    """An estimator that begins from (weights, means, covariances)."""
    weights, means, covariances = parameters
    return GaussianMixture(
        len(weights),
        weights_init=weights,
        means_init=means,
        covariances_init=covariances,
        **settings,
    )


def unfinished(estimator, X, **arguments):
    """``estimator.fit`` of a run that is meant to stop at max_iter or to end degenerate, without the warning of it."""
    with unwarned():
        return estimator.fit(X, **arguments)


@contextmanager
def unwarned():
    """A context without the warnings of a run that stops at max_iter or ends degenerate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", ".*see diagnostics_", UserWarning)
        yield


def parameters(estimator):
    """Weights (K,), means (K, d) and covariances (K, d, d), whatever the covariance type."""
    mixture = estimator.mixture_
    return mixture.weights, mixture.means, mixture.covariances


def assert_same_parameters(got, wanted, tolerance):
    """Weights relative, means in standard deviations of the component, covariances in those of their features.

    A mean is a float64: of two right ones, one may be the next number beside the other.
    """
    weights, means, covariances = wanted
    np.testing.assert_allclose(got[0], weights, rtol=tolerance, err_msg="weights")
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    off = np.abs(got[1] - means) - np.spacing(np.abs(means))
    assert (off <= tolerance * deviations).all(), f"means are off by {(off / deviations).max():.2g}"
    scale = deviations[:, :, None] * deviations[:, None, :]
    off = np.abs(got[2] - covariances) / scale
    assert (off <= tolerance).all(), f"covariances are off by {off.max():.2g}"


# what rows tell -------------------------------------------------------------------------------------------------------

TOLD = ("exact", "missing", "errors", "covariances", "both")
"""What rows tell of their points: all; some features; all, with errors of variances or covariances; or some with
errors."""


def told(rows, how, *, seed=0):
    """What is told of ``rows`` (n, d): X (n, d), with NaN, and ``error_covariance`` or None."""
    rng = np.random.default_rng([seed, 11])
    n, d = rows.shape
    X, errors = rows.copy(), None
    if how in ("errors", "both"):
        errors = rng.uniform(0.05, 1.0, size=(n, d))
        X += rng.normal(size=(n, d)) * np.sqrt(errors)
    if how == "covariances":
        root = rng.normal(scale=0.5, size=(n, d, d))
        errors = root @ root.transpose(0, 2, 1)
        X += np.einsum("nij,nj->ni", root, rng.normal(size=(n, d)))
    if how in ("missing", "both"):
        X[rng.random((n, d)) < 0.25] = np.nan
        X[0] = np.nan  # a row that tells nothing
    return X, errors


def beside(n, *, weighted, labelled, seed=0):
    """Weights and labels of rows, or neither: arguments of ``fit``."""
    rng = np.random.default_rng([seed, 13])
    arguments = {}
    if weighted:
        arguments["sample_weight"] = rng.uniform(0.2, 3.0, size=n)
    if labelled:
        arguments["labels"] = np.where(rng.random(n) < 0.2, rng.integers(3, size=n), -1)
    return arguments
