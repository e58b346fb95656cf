"""What a kernel computes equals SciPy's densities and plain sums, and each is chosen where it should be."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from cases import unfinished
from mixtura import GaussianMixture
from mixtura.covariance import Dense, Diagonal
from mixtura.kernels import KERNELS, SHARED, blockwise, choose, features, screened
from mixtura.mixture import Mixture
from mixtura.observe import densities, exact


def random_mixture(k, d, *, apart, seed=0, diagonal=False):
    """K components of random shapes whose means are as far ``apart`` from the middle as that, in each feature."""
    rng = np.random.default_rng([seed, k, d])
    roots = 0.3 * rng.normal(size=(k, d, d)) / np.sqrt(d) + np.eye(d)
    matrices = roots @ roots.transpose(0, 2, 1)
    layout = Diagonal(np.diagonal(matrices, axis1=1, axis2=2)) if diagonal else Dense(matrices)
    return Mixture.of(rng.dirichlet(np.full(k, 4.0)), apart * rng.normal(size=(k, d)), layout)


def wanted(mixture, x):
    """Log joint densities (K, n) by SciPy."""
    return np.array(
        [
            np.log(w) + multivariate_normal(m, s).logpdf(x).reshape(len(x))
            for w, m, s in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ]
    )


def assert_equals_scipy(mixture, x, kernel, rtol=1e-10):
    """Log densities, responsibilities and sums of the block ``x``."""
    observation = exact(mixture.scores, x.mean(axis=0), kernel)
    log_joint = wanted(mixture, x)
    log_density = logsumexp(log_joint, axis=0)
    resp, total, top, left = densities(observation, x)
    np.testing.assert_allclose(np.log(total) + top, log_density, rtol=rtol, atol=1e-8)
    expected = np.exp(log_joint - log_density)
    np.testing.assert_allclose(resp / total, expected, atol=1e-8)
    scale = np.random.default_rng(1).uniform(0.5, 2, len(x)) / total
    weighted = resp * scale
    table = observation.kernel.sums(observation.operands, x, left, resp, scale)
    mass, first, second, center = observation.kernel.moments(observation.operands, table)[:4]
    y = x - center[:, None]
    np.testing.assert_allclose(mass, weighted.sum(axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(first, np.einsum("kn,kni->ki", weighted, y), rtol=1e-8, atol=1e-8)
    spelled = "kn,kni,kni->ki" if second.ndim == 2 else "kn,kni,knj->kij"
    np.testing.assert_allclose(second, np.einsum(spelled, weighted, y, y), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kernel", ["features", "residual", "screened"])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 8, 30, 31, 32, 33, 50, 64])
def test_dense_kernels_equal_scipy(d, kernel):
    # Even and odd d pair features in different ways, and from d = 31 on the features come in several chunks.
    mixture = random_mixture(4, d, apart=1.0)
    assert_equals_scipy(mixture, mixture.sample(257, np.random.default_rng(2))[0], kernel)


@pytest.mark.parametrize("kernel", ["diagonal", "residual"])
@pytest.mark.parametrize("d", [1, 2, 9, 40])
def test_diagonal_kernels_equal_scipy(d, kernel):
    mixture = random_mixture(5, d, apart=1.0, diagonal=True)
    assert_equals_scipy(mixture, mixture.sample(300, np.random.default_rng(2))[0], kernel)


@pytest.mark.parametrize(("k", "d"), [(8, 24), (12, 40), (30, 32), (9, 64)])
def test_components_far_away_are_skipped_and_nothing_is_lost(k, d):
    mixture = random_mixture(k, d, apart=3.0)
    x, _ = mixture.sample(600, np.random.default_rng(3))
    assert choose(mixture.scores, mixture.mean) == "screened"
    operands = screened.prepare(mixture.scores, x.mean(axis=0))
    upper, _ = features.joint(operands.bound, (x - x.mean(axis=0)) @ operands.axes.T)
    log_joint = wanted(mixture, x)
    assert (upper >= log_joint - 1e-8 * np.abs(log_joint)).all()
    known, _ = screened.joint(operands, x)
    skipped = np.abs(known - log_joint) > 1e-6 * np.abs(log_joint)
    assert skipped.mean() > 0.5  # or the test says nothing
    assert (log_joint[skipped] < np.broadcast_to(log_joint.max(axis=0) - screened.APART, skipped.shape)[skipped]).all()
    assert_equals_scipy(mixture, x, "screened")


def test_rows_between_components_and_far_from_all_are_right_when_most_are_skipped():
    mixture = random_mixture(10, 32, apart=3.0)
    rng = np.random.default_rng(4)
    between = 0.5 * (mixture.means[:5] + mixture.means[5:])
    x = np.concatenate([mixture.sample(100, rng)[0], between, 40.0 * rng.normal(size=(20, 32))])
    assert_equals_scipy(mixture, x, "screened", rtol=1e-9)


def test_a_block_in_which_little_is_skipped_is_computed_in_full():
    mixture = random_mixture(8, 24, apart=0.1)
    x, _ = mixture.sample(400, np.random.default_rng(5))
    assert choose(mixture.scores, mixture.mean) == "features"
    known, _ = screened.joint(screened.prepare(mixture.scores, x.mean(axis=0)), x)
    np.testing.assert_allclose(known, wanted(mixture, x), rtol=1e-9)


@given(st.integers(1, 12), st.integers(1, 60), st.integers(1, 5000), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_products_in_slices_are_products(k, q, rows, seed):
    rng = np.random.default_rng(seed)
    theta, table, resp = rng.normal(size=(k, q)), rng.normal(size=(q, rows)), rng.random((k, rows))
    np.testing.assert_allclose(blockwise.joint(theta, table), np.einsum("kq,qn->kn", theta, table), atol=1e-10)
    np.testing.assert_allclose(blockwise.sums(resp, table), np.einsum("kn,qn->kq", resp, table), atol=1e-9)
    coarse = np.round(resp, 1)  # with ties
    np.testing.assert_array_equal(blockwise.highest(coarse), coarse.argmax(axis=0))


@pytest.mark.parametrize("covariance_type", ["tied", "EEE", "EEI", "EII"])
def test_a_shared_covariance_is_passed_over_by_its_own_kernel(covariance_type):
    x, _ = random_mixture(3, 4, apart=2.0).sample(500, np.random.default_rng(6))

    def used(**settings):
        gm = unfinished(GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=3, **settings), x)
        task = gm._task(x, None)
        return task.problem.observation(gm.mixture_.beside(gm.background_)).kernel

    assert used() is SHARED
    assert used(prior="fraley-raftery") in KERNELS.values()
    assert used(noise=True) in KERNELS.values()


@pytest.mark.parametrize("apart", [0.0, 3.0, 1e4])
@pytest.mark.parametrize(("covariance_type", "diagonal"), [("tied", False), ("EEI", True)])
def test_a_pass_under_a_shared_covariance_equals_scipy(covariance_type, diagonal, apart):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)) + apart * rng.integers(3, size=400)[:, None]
    weight = rng.uniform(0.5, 2, size=400)
    gm = unfinished(
        GaussianMixture(3, covariance_type=covariance_type, random_state=1, max_iter=5, tol=0), x, sample_weight=weight
    )
    log_density = logsumexp(wanted(gm.mixture_, x), axis=0)
    assert gm.loglik_ == pytest.approx(weight @ log_density, rel=1e-9)
    after = unfinished(
        GaussianMixture(
            3,
            covariance_type=covariance_type,
            max_iter=1,
            accelerate=None,
            tol=0,
            weights_init=gm.weights_,
            means_init=gm.means_,
            covariances_init=gm.covariances_,
        ),
        x,
        sample_weight=weight,
    )
    resp = weight * np.exp(wanted(gm.mixture_, x) - log_density)
    mass = resp.sum(axis=1)
    means = resp @ x / mass[:, None]
    away = x - means[:, None]
    covariance = np.einsum("kn,kni,knj->ij", resp, away, away) / weight.sum()
    scale = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(after.weights_, mass / weight.sum(), rtol=1e-9)
    np.testing.assert_allclose(after.means_ / scale, means / scale, rtol=1e-9, atol=1e-8)
    found = after.mixture_.covariances[0]
    wanted_covariance = np.diag(np.diagonal(covariance)) if diagonal else covariance
    np.testing.assert_allclose(found / np.outer(scale, scale), wanted_covariance / np.outer(scale, scale), atol=1e-7)


@pytest.mark.parametrize(("covariance_type", "d", "k"), [("full", 24, 8), ("tied", 6, 4)])
def test_the_same_bits_for_any_number_of_threads(covariance_type, d, k):
    mixture = random_mixture(k, d, apart=3.0)
    x, _ = mixture.sample(20_000, np.random.default_rng(8))
    begin = {"weights_init": mixture.weights, "means_init": mixture.means + 0.1}
    fits = [
        unfinished(GaussianMixture(k, covariance_type=covariance_type, max_iter=3, n_jobs=jobs, **begin), x)
        for jobs in (1, 2, 3)
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.covariances_, fits[0].covariances_)
        assert other.loglik_ == fits[0].loglik_


@pytest.mark.parametrize("d", [24, 40])
def test_a_component_far_from_all_rows_moves_as_in_em(d):
    # All its responsibilities are under what the fast kernels leave out, and their ratios decide where it goes.
    rng = np.random.default_rng(0)
    k = 8
    centers = 4.0 * rng.normal(size=(k, d))
    x = centers[rng.integers(7, size=3000)] + rng.normal(size=(3000, d))
    far = centers.copy()
    far[-1] = centers[0]
    far[-1, 0] += 14.0
    begin = Mixture.of(np.full(k, 1 / k), far, Dense(np.tile(np.eye(d), (k, 1, 1))))
    assert choose(begin.scores, x.mean(axis=0)) == "screened"
    gm = unfinished(
        GaussianMixture(k, means_init=far, covariances_init=begin.covariances, max_iter=1, accelerate=None), x
    )
    log_joint = wanted(begin, x)
    log_mass = logsumexp(log_joint - logsumexp(log_joint, axis=0), axis=1)
    assert log_mass[-1] < -39
    np.testing.assert_allclose(np.log(gm.weights_), log_mass - np.log(len(x)), rtol=1e-6)


def test_what_skipping_costs_does_not_grow_with_the_square_of_components():
    k, d = 1500, 24
    mixture = random_mixture(k, d, apart=3.0)
    origin, scores = mixture.mean, mixture.scores
    tracemalloc.start()
    choose(scores, origin)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8 * k * d * d


def test_covariances_of_very_different_sizes_are_not_screened():
    # In the directions of wide components a narrow one may have no width that could be told from rounding.
    rng = np.random.default_rng(0)
    k, d = 8, 24
    centers, variances = 3 * rng.normal(size=(k, d)), np.ones((k, d))
    for i in range(k):
        others = np.arange(k) != i
        centers[i, i], variances[i, i] = 0.0, 1e-18
        centers[others, i] -= centers[others, i].mean()
    centers[:, k:] -= centers[:, k:].mean(axis=0)
    mixture = Mixture(np.full(k, 1 / k), centers, [np.diag(row) for row in variances])
    np.testing.assert_array_equal(mixture.predict(centers), np.arange(k))
    wide = Mixture.of(np.full(k, 1 / k), centers, Dense(np.eye(d) * 10.0 ** np.linspace(-5, 4, k)[:, None, None]))
    assert choose(wide.scores, wide.mean) != "screened"
