"""Truncated EM: against SciPy's densities, the reference's M-step, brute force over subsets, plain EM and k-means."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans

import reference
from cases import (
    ENGINES,
    FAMILIES,
    MIXING,
    UNIFORM,
    assert_same_parameters,
    blobs,
    parameters,
    started,
    unfinished,
    unwarned,
)
from mixtura import GaussianMixture, em, evaluate, initialize, pruned, truncated, validation
from mixtura.engine import Serial, Threads
from mixtura.mixture import Mixture
from mixtura.rows import InMemory, Rows

K = 6


def grid_of_clusters(n, k, d=2, seed=0):
    """Rows from k overlapping Gaussians of different size and shape, and their means."""
    rng = np.random.default_rng([seed, k, d])
    means = rng.uniform(0, k ** (1 / d), size=(k, d))
    roots = 0.25 * (np.eye(d) + 0.4 * rng.normal(size=(k, d, d)))
    component = rng.integers(k, size=n)
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(n, d))), means


def begun(X, k, covariance_type="VVV", seed=0, **settings):
    """An estimator that begins at k of the rows."""
    means = X[np.random.default_rng(seed).choice(len(X), size=k, replace=False)]
    settings = {"accelerate": None, "max_iter": 10, **settings}
    return GaussianMixture(k, covariance_type=covariance_type, means_init=means, **settings)


def log_joint(X, mixture):
    """log w_k N(x_n | k), (n, K), by SciPy."""
    return np.log(mixture.weights) + np.stack(
        [
            multivariate_normal.logpdf(X, mean, covariance).reshape(len(X))
            for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
        ],
        axis=1,
    )


def rising(gm):
    objectives = np.array([one["objective"] for one in gm.history_])
    return bool((np.diff(objectives) >= -1e-10 * np.abs(objectives[1:]).max()).all())


def problem_of(gm, X, sample_weight=None):
    return gm._task(X, sample_weight).problem


# the bound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_rises_and_stays_under_the_log_likelihood(family, mixing):
    X, _ = grid_of_clusters(400, 25)
    weight = np.random.default_rng(1).gamma(2.0, size=len(X))
    gm = begun(X, 25, family, truncate=3, mixing=mixing)
    unfinished(gm, X, sample_weight=weight)
    assert gm.n_iter_ == 10 or gm.converged_
    assert rising(gm)
    assert gm.history_[-1]["objective"] <= gm.loglik_ + 1e-9 * abs(gm.loglik_)
    assert gm.loglik_ == pytest.approx(weight @ gm.mixture_.logpdf(X), rel=1e-9)


@pytest.mark.parametrize("prior", ["fraley-raftery", "chen-tan"])
def test_the_bound_rises_with_a_prior(prior):
    X, _ = grid_of_clusters(400, 25)
    gm = unfinished(begun(X, 25, truncate=2, prior=prior), X)
    assert rising(gm)
    assert gm.history_[-1]["loglik"] <= gm.loglik_


@pytest.mark.parametrize("kept", range(1, K))
def test_the_bound_is_that_of_the_best_subset_of_components(kept):
    X = blobs(300, 2)
    gm = unfinished(begun(X, K, truncate=kept, max_iter=2), X)
    joint = log_joint(X, gm.mixture_)
    subsets = np.stack([logsumexp(joint[:, list(those)], axis=1) for those in combinations(range(K), kept)])
    assert gm.history_[-1]["objective"] == pytest.approx(subsets.max(axis=0).sum(), rel=1e-10)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("kept", [1, 2, 4])
@pytest.mark.parametrize("family", reference.FAMILIES)
def test_an_update_is_that_of_the_reference_with_truncated_responsibilities(family, kept, mixing):
    X = blobs(120, 2)
    weight = np.random.default_rng(1).gamma(2.0, size=len(X))
    gm = begun(X, K, family, truncate=kept, mixing=mixing, max_iter=1)
    begin, _ = next(gm.fit_iter(X, sample_weight=weight))
    unfinished(gm, X, sample_weight=weight)
    joint = log_joint(X, begin)
    joint[joint < np.sort(joint, axis=1)[:, [-kept]]] = -np.inf
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    assert_same_parameters(parameters(gm), reference.m_step(X, resp, family, mixing, weight), 1e-9)


# what it has in common with others ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [K, K + 1])
@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "EEV"])
def test_with_all_components_it_is_plain_em(family, kept):
    X = blobs(200, 2)
    plain = unfinished(begun(X, K, family), X)
    gm = unfinished(begun(X, K, family, truncate=kept), X)
    assert gm.lower_bounds_ == plain.lower_bounds_
    np.testing.assert_array_equal(gm.means_, plain.means_)
    np.testing.assert_array_equal(gm.covariances_, plain.covariances_)
    assert gm.loglik_ == pytest.approx(plain.loglik_, rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("family", UNIFORM)
def test_a_pass_that_keeps_all_components_tells_what_a_dense_pass_tells(family, shift):
    X = blobs(300, 3) + shift
    gm = begun(X, K, family)
    problem = problem_of(gm, X)
    begin, _ = next(gm.fit_iter(X))
    dense = em.e_step(problem, begin)
    found = truncated.search(problem, begin, truncated.first_kept(problem, begin, K), 0)
    told = truncated.sums(problem, begin, found)
    assert told.objective == pytest.approx(dense.objective, rel=1e-11)
    after, wanted = (problem.update(one.statistics, begin) for one in (told, dense))
    assert_same_parameters(
        (after.weights, after.means, after.covariances), (wanted.weights, wanted.means, wanted.covariances), 1e-8
    )


@pytest.mark.parametrize("k", [2, 5, 12])
@pytest.mark.parametrize("seed", range(2))
def test_one_component_per_row_and_equal_spheres_are_lloyds_algorithm(k, seed):
    X, _ = grid_of_clusters(400, 12)
    X = (X - X.mean(axis=0)) / X.std(axis=0)  # distances are the same in any frame
    gm = begun(X, k, "EII", seed, truncate=1, mixing="equal", tol=0.0)
    begin = gm.means_init
    steps = list(gm.set_params(max_iter=100).fit_iter(X))
    for step, (mixture, _) in enumerate(steps):
        means, labels = mixture.means, mixture.predict(X)
        if 0 < step <= 8 or step == len(steps) - 1:
            lloyd = KMeans(k, init=begin, n_init=1, max_iter=step, tol=0)
            with unwarned():
                lloyd.fit(X)
            np.testing.assert_array_equal(labels, lloyd.labels_)
            np.testing.assert_allclose(means, lloyd.cluster_centers_, rtol=1e-9, atol=1e-9)
    n, d = X.shape
    variance = ((X - means[labels]) ** 2).sum() / (n * d)
    assert gm.converged_
    assert steps[-1][1] == pytest.approx(-n * np.log(k) - n * d / 2 * np.log(2 * np.pi * np.e * variance), rel=1e-9)


# the search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["VVV", "VVI", "EEE", "EII"])
@pytest.mark.parametrize("kept", [1, 3, 8])
def test_searching_lowers_no_bound_and_finds_what_is_best(kept, family):
    k, n = 60, 900
    X, means = grid_of_clusters(n, k)
    problem = problem_of(GaussianMixture(k, covariance_type=family), X)
    statistics = truncated.sums(
        problem,
        initialize.at_means(means, problem.update),
        truncated.Found(truncated.Kept(*[np.zeros((n, 1), np.int32)] * 2), np.ones((n, 1)), 0.0),
    ).statistics
    assert statistics.mass[0] == n
    scale = 0.05 * np.eye(2) if family[-1] != "I" else np.full(2, 0.05)
    model = Mixture.of(
        np.full(k, 1 / k), means, problem.update.raised(np.broadcast_to(scale, (k, *scale.shape)), means)
    )
    rng = np.random.default_rng(0)
    components = rng.permuted(np.tile(np.arange(k, dtype=np.int32), (n, 1)), axis=1)[:, :kept]
    others = np.arange(k)[:, None] + np.concatenate([[0], rng.permutation(np.arange(1, k))[:15]])
    state = truncated.Kept(components, (others % k).astype(np.int32))
    joint = log_joint(X, model)
    best = logsumexp(-np.sort(-joint, axis=1)[:, :kept], axis=1).sum()
    bounds = [logsumexp(np.take_along_axis(joint, components.astype(int), axis=1), axis=1).sum()]
    for draw in range(30):
        found = truncated.search(problem, model, state, draw)
        state = found.kept
        inside = np.take_along_axis(joint, state.components.astype(int), axis=1)
        assert found.bound == pytest.approx(logsumexp(inside, axis=1).sum(), rel=1e-10)
        np.testing.assert_allclose(found.resp, np.exp(inside - logsumexp(inside, axis=1, keepdims=True)), atol=1e-9)
        assert all(len(set(row)) == kept for row in state.components.tolist())
        np.testing.assert_array_equal(state.neighbours[:, 0], np.arange(k))
        assert all(len(set(row)) == 16 for row in state.neighbours.tolist())
        bounds.append(found.bound)
    assert (np.diff(bounds) >= -1e-10 * abs(best)).all()
    assert bounds[-1] == pytest.approx(best, abs=1e-2 * n)


def test_a_row_is_compared_with_so_many_whatever_the_number_of_components():
    for k in (100, 5_000):
        neighbours = np.arange(k)[:, None] + np.arange(truncated.NEIGHBOURS)
        around, sizes = truncated.surroundings((neighbours % k).astype(np.int32), 3)
        assert sizes.max() == around.shape[1] <= truncated.REACH * truncated.NEIGHBOURS + 1
        for row, size in zip(around, sizes, strict=True):
            assert len(set(row[:size])) == size
            assert (row[size:] == k).all()


@pytest.mark.parametrize("number", [1, 3, 7, 20])
def test_the_largest_of_each_row_come_in_their_order(number):
    values = np.random.default_rng(0).normal(size=(50, 20))
    values[:, -2:] = -1e300
    wanted = np.argsort(-values, axis=1, kind="stable")[:, :number]
    np.testing.assert_array_equal(
        np.take_along_axis(values, truncated.largest(values, number), axis=1),
        np.take_along_axis(values, wanted, axis=1),
    )


def test_many_components_end_near_where_plain_em_ends():
    X, means = grid_of_clusters(6_000, 150)
    kept, plain = (
        unfinished(GaussianMixture(150, means_init=means, truncate=one, accelerate=None, max_iter=30), X)
        for one in (4, None)
    )
    assert kept.loglik_ > plain.loglik_ - 0.01 * len(X)
    assert kept.loglik_ - kept.history_[-1]["loglik"] < 0.005 * len(X)


# what any fit promises ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["VVV", "VII", "EEV"])
def test_the_same_bits_for_any_number_of_threads(family):
    X, _ = grid_of_clusters(9_000, 80, d=3)
    fits = [
        unfinished(
            GaussianMixture(
                80, covariance_type=family, truncate=3, max_iter=3, random_state=0, engine=name, n_jobs=jobs
            ),
            X,
        )
        for name, jobs in ENGINES
    ]
    for gm in fits[1:]:
        assert gm.lower_bounds_ == fits[0].lower_bounds_
        assert gm.loglik_ == fits[0].loglik_
        np.testing.assert_array_equal(gm.means_, fits[0].means_)
        np.testing.assert_array_equal(gm.covariances_, fits[0].covariances_)


def assert_same_fit(gm, other):
    assert_same_parameters(parameters(gm), parameters(other), 1e-8)
    np.testing.assert_allclose(gm.log_likelihood_history_, other.log_likelihood_history_, rtol=1e-9)
    assert gm.loglik_ == pytest.approx(other.loglik_, rel=1e-9)


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "VEI"])
def test_weights_are_repetitions_of_rows(family):
    X, _ = grid_of_clusters(500, 30)
    weight = np.random.default_rng(3).integers(0, 4, size=len(X))
    gm = unfinished(begun(X, 30, family, truncate=3), X, sample_weight=weight)
    repeated = unfinished(begun(X, 30, family, truncate=3), np.repeat(X, weight, axis=0))
    assert_same_fit(gm, repeated)
    there = weight > 0
    absent = unfinished(begun(X, 30, family, truncate=3), X[there], sample_weight=weight[there])
    assert_same_fit(gm, absent)
    twice = unfinished(begun(X, 30, family, truncate=3), X, sample_weight=2.0**40 * weight)
    assert_same_parameters(parameters(gm), parameters(twice), 1e-9)
    assert twice.loglik_ == pytest.approx(2.0**40 * gm.loglik_)


@pytest.mark.parametrize(("shift", "unit"), [(0.0, 2.0**20), (4096.0, 1.0), (-3.0, 2.0**-30)])
@pytest.mark.parametrize("family", ["VVV", "VVI", "EII"])
def test_units_change_nothing(family, shift, unit):
    X, _ = grid_of_clusters(500, 30)
    X = np.round(X * 1024) / 1024
    gm = unfinished(begun(X, 30, family, truncate=3), X)
    moved = unfinished(begun(unit * (X + shift), 30, family, truncate=3), unit * (X + shift))
    weights, means, covariances = parameters(moved)
    assert_same_parameters((weights, means / unit - shift, covariances / unit**2), parameters(gm), 1e-6)
    np.testing.assert_array_equal(gm.labels_, moved.labels_)


def test_the_order_of_rows_changes_nothing():
    X, means = grid_of_clusters(800, 40)
    order = np.random.default_rng(0).permutation(len(X))
    first, second = (
        unfinished(GaussianMixture(40, means_init=means, truncate=3, max_iter=8), rows) for rows in (X, X[order])
    )
    assert_same_fit(first, second)
    np.testing.assert_array_equal(first.labels_[order], second.labels_)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_numbers_of_any_kind(dtype):
    X = np.round(100 * grid_of_clusters(600, 30)[0]).astype(dtype)
    gm = unfinished(begun(X, 30, truncate=3), np.asfortranarray(X))
    wide = unfinished(begun(X.astype(np.float64), 30, truncate=3), X.astype(np.float64))
    np.testing.assert_allclose(gm.means_, wide.means_, rtol=1e-4, atol=1e-3)


def test_what_is_asked_of_the_model_takes_all_components():
    X, _ = grid_of_clusters(600, 30)
    gm = unfinished(begun(X, 30, truncate=2), X)
    assert gm.score(X) * len(X) == pytest.approx(gm.loglik_, rel=1e-12)
    assert gm.loglik_ > gm.history_[-1]["loglik"] == gm.log_likelihood_history_[-1]
    assert gm.lower_bound_ == gm.log_likelihood_history_[-1] / len(X)
    np.testing.assert_array_equal(gm.labels_, gm.predict(X))
    assert gm.bic(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * gm.loglik_)
    assert gm.predict_proba(X).shape == (600, 30)


# starts ---------------------------------------------------------------------------------------------------------------


def test_many_components_start_once_unless_more_is_asked():
    X, _ = grid_of_clusters(3_000, 300)
    settings = {"truncate": 3, "max_iter": 5, "random_state": 3}
    gm, again = (unfinished(GaussianMixture(300, **settings), X) for _ in range(2))
    assert len(gm.restarts_) == 1
    assert gm.lower_bounds_ == again.lower_bounds_
    assert rising(gm)
    three = unfinished(GaussianMixture(300, **settings, n_init=3), X)
    assert [one["passes"] for one in three.restarts_] == [5, 5, 5]
    assert three.history_[-1]["objective"] in [one["objective"] for one in three.restarts_]
    random = unfinished(GaussianMixture(300, **settings, init="random_from_data"), X)
    assert gm.loglik_ > random.loglik_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("weighted", [False, True])
def test_labels_of_many_components_are_summed_without_a_table_of_them(covariance_type, weighted):
    X, _ = grid_of_clusters(2_000, 300)
    rng = np.random.default_rng(0)
    weight = rng.gamma(2.0, size=len(X)) if weighted else None
    update = problem_of(GaussianMixture(300, covariance_type=covariance_type), X, weight).update
    sample = initialize.seen_in(Rows(X, weight), update.family.frame)
    labels = rng.integers(initialize.MANY + 10, size=len(X))
    got = initialize._from_labels(sample, labels, initialize.MANY + 10, update)
    wanted = initialize.from_responsibilities(sample.rows, validation.one_hot(labels, initialize.MANY + 10), update)
    assert_same_parameters(
        (got.weights, got.means, got.covariances), (wanted.weights, wanted.means, wanted.covariances), 1e-9
    )


# awkward data ---------------------------------------------------------------------------------------------------------

AWKWARD = {
    "few points": np.repeat(np.arange(12.0).reshape(6, 2), 10, axis=0),
    "constant column": np.column_stack([np.arange(60.0), np.full(60, 7.0)]),
    "as many rows as components": np.random.default_rng(0).normal(size=(20, 2)),
    "one feature": np.random.default_rng(0).normal(size=(90, 1)),
    "astray": np.concatenate([np.random.default_rng(0).normal(size=(90, 2)), [[1e9, -1e9]]]),
    "rounded": np.random.default_rng(0).normal(size=(200, 2)).round(),
    "wide": np.random.default_rng(0).normal(size=(100, 30)),
}


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEI"])
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_data_give_a_model(name, covariance_type):
    X = AWKWARD[name]
    gm = GaussianMixture(20, covariance_type=covariance_type, truncate=2, max_iter=15, random_state=0)
    unfinished(gm, X)
    assert rising(gm)
    assert np.isfinite(gm.loglik_)
    np.testing.assert_allclose(gm.predict_proba(X).sum(axis=1), 1)


def test_a_component_that_leaps_keeps_its_digits():
    X = np.concatenate([blobs(100, 2), 1e7 + blobs(100, 2)])
    means = np.concatenate([blobs(3, 2), 1e7 + blobs(2, 2) + [1e3, 0]])
    begin = (np.full(5, 0.2), means, np.tile(1e-4 * np.eye(2), (5, 1, 1)))
    gm, plain = (unfinished(started(begin, truncate=one, accelerate=None, max_iter=1), X) for one in (4, None))
    assert_same_parameters(parameters(gm), parameters(plain), 1e-7)


def test_components_taken_out_and_more_settings():
    X = AWKWARD["few points"]
    with unwarned():
        gm = GaussianMixture(20, truncate=2, on_degenerate="drop", random_state=0).fit(X)
    assert gm.mixture_.n_components <= 20
    X, _ = grid_of_clusters(400, 25)
    gm = unfinished(begun(X, 25, truncate=2, trace=True), X)
    assert gm.responsibilities_.shape == (400, 25)
    further = unfinished(copy.deepcopy(gm).set_params(warm_start=True), X)
    assert further.lower_bounds_[0] >= gm.lower_bound_ - 1e-9


def test_a_matrix_without_a_factor_leaves_the_others_as_they_are():
    update = problem_of(GaussianMixture(4), blobs(50, 2)).update
    estimates = np.array([np.eye(2), [[1.0, 1.0], [1.0, 1.0 - 1e-15]], [[2.0, 1.0], [1.0, 3.0]], np.zeros((2, 2))])
    raised = update.raised(estimates, np.zeros((4, 2))).dense
    np.testing.assert_array_equal(raised[[0, 2]], estimates[[0, 2]])
    floor = np.linalg.inv(np.linalg.cholesky(update.floor))
    assert (np.linalg.eigvalsh(floor @ raised @ floor.T) > 1 - 1e-6).all()


def test_a_sentence_names_twenty_components():
    X = AWKWARD["few points"]
    with pytest.warns(UserWarning, match=r"\d+ and \d+ more are .*: ask for fewer components"):
        GaussianMixture(40, covariance_type="spherical", mixing="equal", truncate=2, random_state=0).fit(X)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"truncate": 0}, "truncate, if not None, must be an integer of at least 1, got 0: give a whole number"),
        ({"truncate": True}, "got True"),
        ({"truncate": 2.5}, "got 2.5"),
        ({"truncate": "3"}, "got '3'"),
        ({"truncate": 2, "noise": True}, "truncate works without"),
        ({"truncate": 2, "accelerate": "lbfgs"}, "got accelerate='lbfgs': use \"auto\" or None"),
        ({"truncate": 2, "accelerate": "squarem"}, "truncate works with plain EM only"),
        ({"truncate": 2, "accelerate": 1}, "got accelerate=1"),
    ],
)
def test_what_cannot_be(settings, words):
    with pytest.raises(ValueError, match="truncate") as caught:
        GaussianMixture(3, **settings).fit(blobs(30, 2))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_driver_needs_no_estimator():
    X, means = grid_of_clusters(500, 30)
    problem = problem_of(GaussianMixture(30), X)
    problem = replace(problem, source=InMemory(Rows(X)))
    steps = truncated.truncated(3)(problem, initialize.at_means(means, problem.update))
    objectives = [next(steps).objective for _ in range(5)]
    assert (np.diff(objectives) > 0).all()


# the last look at all rows --------------------------------------------------------------------------------------------


def mixture_of_many(k, d, covariance_type, seed=0):
    rng = np.random.default_rng([seed, k, d])
    means = rng.uniform(0, k ** (1 / d), size=(k, d)) * np.logspace(0, 3, d)
    roots = 0.25 * (np.eye(d) + 0.4 * rng.normal(size=(k, d, d))) * np.logspace(0, 3, d)[:, None]
    covariances = roots @ roots.transpose(0, 2, 1)
    if covariance_type == "diag":
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    covariances[0] *= 1e4  # one is everywhere
    covariances[1] *= 1e-8  # one is nearly nowhere
    weights = rng.dirichlet(np.ones(k))
    weights[2] = 0
    return Mixture(weights / weights.sum(), means, covariances)


@pytest.mark.parametrize("d", [1, 2, 3, 12])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_what_is_left_out_does_not_count(covariance_type, d):
    mixture = mixture_of_many(400, d, covariance_type)
    X, _ = mixture.sample(3_000, 1)
    X = np.concatenate([X, mixture.means, 1e6 * X[:3], [X[0]] * 40])
    fits = [pruned.labels_and_log_density(mixture, X, engine) for engine in (Serial(), Threads(2), Threads(3))]
    labels, log_density = fits[0]
    for other in fits[1:]:
        np.testing.assert_array_equal(other[0], labels)
        np.testing.assert_array_equal(other[1], log_density)
    wanted, _ = evaluate.labels_and_log_density(mixture, Rows(X), Serial())
    np.testing.assert_array_equal(labels, wanted)
    np.testing.assert_array_equal(labels, mixture.predict(X))
    np.testing.assert_allclose(log_density, mixture.logpdf(X), rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(labels, log_joint_of(X, mixture).argmax(axis=1))


def log_joint_of(X, mixture):
    z = np.einsum("kij,nkj->nki", np.linalg.inv(np.linalg.cholesky(mixture.covariances)), X[:, None] - mixture.means)
    with np.errstate(divide="ignore"):
        return np.log(mixture.weights) - 0.5 * np.linalg.slogdet(mixture.covariances)[1] - 0.5 * (z**2).sum(axis=2)


def test_in_the_plane_most_components_are_left_out():
    mixture = mixture_of_many(400, 2, "full")
    X, labels = mixture.sample(3_000, 1)
    tiles = truncated.Tiles.of(labels, 400)
    unit = np.sqrt(mixture.weights @ mixture.layout.diagonal)
    strength = np.linalg.norm(mixture.scores.whitener * unit, 2, axis=(1, 2))
    left = pruned.left(mixture.scores, strength, unit, X[tiles.rows])
    assert left.mean() < 0.2
    joint = log_joint_of(X, mixture)[tiles.rows]
    far = joint < joint.max(axis=2, keepdims=True) - pruned.NEGLIGIBLE
    assert (left[:, None] | far).all()


def test_rows_of_a_tile_are_those_of_its_component():
    best = np.random.default_rng(0).integers(0, 50, size=1_000)
    best[best == 7] = 8
    tiles = truncated.Tiles.of(best, 50)
    np.testing.assert_array_equal(np.sort(tiles.rows[tiles.there]), np.arange(1_000))
    np.testing.assert_array_equal(best[tiles.rows], np.repeat(tiles.component[:, None], truncated.TILE, axis=1))
