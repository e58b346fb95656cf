"""k-means is hard EM under EII with equal weights: our pieces against scikit-learn's KMeans.

KMeans(init=centres, n_init=1, max_iter=t, tol=0) makes t steps of Lloyd's algorithm and hands out
the centres after them with the labels that belong to these centres. Ours are the same two halves:
``Mixture.predict`` and the M-step with which a fit from labels begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs

from mixtura import GaussianMixture, Mixture

Array = NDArray[np.float64]

MOST_STEPS = 12
"""Enough for most starts to come to rest."""


def old_faithful() -> Array:
    with (files("mixtura") / "data" / "faithful.csv").open() as file:
        rows = np.loadtxt(file, delimiter=",", skiprows=1)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def stretched(d: int) -> Array:
    rng = np.random.default_rng(d)
    parts = [
        rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 4 * rng.standard_normal(d)
        for n in (300, 120, 60, 20)
    ]
    return np.concatenate(parts)


DATA: dict[str, Array] = {
    "blobs": make_blobs(500, n_features=2, centers=5, random_state=3)[0],
    "noise": np.random.default_rng(0).uniform(size=(400, 3)),
    "line": np.random.default_rng(1).gamma(2.0, size=(300, 1)),
    "stretched": stretched(6),
    "far away": 1e5 + 10 * stretched(2),
    "small": 1e-9 * stretched(3),
    "Old Faithful": old_faithful(),
    "iris": load_iris().data,
}


def starts(X: Array, K: int, seed: int) -> Array:
    """K different rows of X, each moved a little towards another.

    Between two rows of data that are rounded to 0.1, a third can be equally far from both: then
    either label is right, and rounding decides.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.unique(X, axis=0))
    return rows[:K] + 0.1 * rng.uniform(size=(K, 1)) * (rows[K : 2 * K] - rows[:K])


def equal_spheres(means: Array, s2: float) -> Mixture:
    return Mixture(np.full(len(means), 1 / len(means)), means, np.full(len(means), s2))


def m_step(X: Array, K: int, sample_weight: ArrayLike | None = None, **init: ArrayLike) -> Mixture:
    gm = GaussianMixture(K, covariance_type="EII", mixing="equal", **init)
    return next(gm.fit_iter(X, sample_weight=sample_weight))[0]


def hard_em(X: Array, centres: Array, sample_weight: ArrayLike | None = None) -> Iterator[Mixture]:
    mixture = equal_spheres(centres, float(X.var()))
    while True:
        labels = mixture.predict(X)
        assert len(np.unique(labels)) == len(centres), "choose a start that keeps all clusters"
        mixture = m_step(X, len(centres), sample_weight, labels_init=labels)
        yield mixture


def lloyd(X: Array, centres: Array, steps: int, sample_weight: ArrayLike | None = None) -> KMeans:
    kmeans = KMeans(len(centres), init=centres, n_init=1, max_iter=steps, tol=0)
    return kmeans.fit(X, sample_weight=sample_weight)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("name", DATA)
def test_hard_em_is_lloyds_algorithm_step_by_step(name: str, K: int, seed: int) -> None:
    X = DATA[name]
    N, d = X.shape
    centres = starts(X, K, seed)
    used = cdist(X, centres).argmin(axis=1)
    objective = -np.inf
    for step, mixture in zip(range(1, MOST_STEPS + 1), hard_em(X, centres), strict=False):
        oracle = lloyd(X, centres, step)
        labels = mixture.predict(X)
        np.testing.assert_array_equal(labels, oracle.labels_)
        scale = X.std()
        np.testing.assert_allclose(mixture.means / scale, oracle.cluster_centers_ / scale, rtol=1e-11, atol=1e-11)

        # What the M-step leaves of the family: equal weights, one variance, SSE / (N d).
        np.testing.assert_array_equal(mixture.weights, 1 / K)
        s2 = mixture.covariances[0, 0, 0]
        np.testing.assert_array_equal(mixture.covariances, np.broadcast_to(s2 * np.eye(d), (K, d, d)))
        squares = cdist(X, mixture.means, "sqeuclidean")
        assert s2 == pytest.approx(squares[np.arange(N), used].sum() / (N * d), rel=1e-8)
        assert ((X - mixture.means[labels]) ** 2).sum() == pytest.approx(oracle.inertia_, rel=1e-8)

        # The log-likelihood of rows and labels, which hard EM climbs.
        complete = -N * np.log(K) - N * d / 2 * np.log(2 * np.pi * np.e * s2)
        assert complete == pytest.approx(complete_loglik(X, mixture, used), rel=1e-8)
        assert complete >= objective - 1e-9 * abs(objective)
        objective = complete
        if np.array_equal(labels, used):
            break
        used = oracle.labels_


def complete_loglik(X: Array, mixture: Mixture, labels: NDArray[np.intp]) -> float:
    """Log-likelihood of rows and labels together, by SciPy."""
    return sum(
        float(np.sum(multivariate_normal.logpdf(X[labels == k], mean, covariance) + np.log(weight)))
        for k, (weight, mean, covariance) in enumerate(
            zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        )
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["blobs", "stretched", "iris"])
def test_weighted_rows_are_weighted_in_both(name: str, seed: int) -> None:
    X = DATA[name]
    weight = np.random.default_rng(seed).gamma(1.0, size=len(X))
    centres = starts(X, 3, seed)
    steps = hard_em(X, centres, weight)
    for step in range(1, 6):
        mixture = next(steps)
        oracle = lloyd(X, centres, step, weight)
        np.testing.assert_allclose(mixture.means, oracle.cluster_centers_, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(mixture.predict(X), oracle.labels_)


@pytest.mark.parametrize("width", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("name", ["blobs", "noise", "line", "stretched"])
def test_the_most_probable_component_is_the_nearest(name: str, width: float) -> None:
    X = DATA[name]
    s2 = width * float(X.var())
    centres = X[np.random.default_rng(4).choice(len(X), 7, replace=False)]
    # Where every density is flat, nearness that rounding cannot see is no nearness.
    squares = np.sort(cdist(X, centres, "sqeuclidean"), axis=1)
    clear = squares[:, 1] - squares[:, 0] > 1e-12 * s2
    nearest = cdist(X, centres).argmin(axis=1)
    predicted = equal_spheres(centres, s2).predict(X)
    np.testing.assert_array_equal(predicted[clear], nearest[clear])
    assert clear.mean() > 0.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["blobs", "noise", "line", "stretched", "iris"])
def test_soft_em_becomes_k_means_as_the_variance_goes_to_zero(name: str, seed: int) -> None:
    X = DATA[name]
    K = 3
    centres = starts(X, K, seed)
    s2 = 1e-9 * float(X.var())
    soft = equal_spheres(centres, s2)
    for step in range(1, 8):
        means = m_step(X, K, responsibilities_init=soft.responsibilities(X)).means
        soft = equal_spheres(means, s2)
        oracle = lloyd(X, centres, step)
        np.testing.assert_allclose(means, oracle.cluster_centers_, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(soft.predict(X), oracle.labels_)


def test_at_a_wide_variance_soft_em_is_not_k_means() -> None:
    """The limit above is one: shares that are not 0 or 1 move the means elsewhere."""
    X = DATA["stretched"]
    centres = starts(X, 3, 0)
    soft = equal_spheres(centres, float(X.var()))
    means = m_step(X, 3, responsibilities_init=soft.responsibilities(X)).means
    assert np.abs(means - lloyd(X, centres, 1).cluster_centers_).max() > 1e-2
