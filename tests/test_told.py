"""Rows that are not exact: sums against the textbook, limits, monotone runs of every combination."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import reference
from cases import ALIASES, FAMILIES, TOLD, UNIFORM, beside, blobs, start, started, told, unfinished
from mixtura import GaussianMixture
from mixtura import told as passes_over
from mixtura.background import Background, Box
from mixtura.covariance import suited
from mixtura.engine import Serial, Threads
from mixtura.mixture import Mixture
from mixtura.observe import exact
from mixtura.rows import InMemory, Rows
from mixtura.statistics import one_pass

N, D = 60, 3


def rows_of(X, errors, **more):
    missing = np.isnan(X)
    return Rows(X, missing=missing if missing.any() else None, noise=errors, **more)


def model_of(family, d=D, background=None):
    weights, means, covariances = start(family, d)
    made = Mixture(weights, means, covariances)
    return made.stored_as(suited(made.layout, diagonal=family.endswith("I"))).beside(background)


@pytest.fixture(params=["as it pays", "all alike", "side by side", "one by one"])
def manner(request, monkeypatch):
    """Rows in patterns of their own, patterns side by side, or one by one, whatever pays."""
    if request.param != "as it pays":
        calls = 0.0 if request.param == "all alike" else 1e300
        monkeypatch.setattr(passes_over, "CALLS", {True: calls, False: calls})
        monkeypatch.setattr(passes_over, "FEW", (0.0 if request.param == "side by side" else np.inf,) * 3)
        monkeypatch.setattr(passes_over, "LEAST", 1)
        monkeypatch.setattr(passes_over, "SIDE_BYTES", 4000)  # several pieces, some of them parts of a pattern
    return request.param


def assert_told(statistics, wanted, rtol=1e-9):
    loglik, mass, mean, scatter = wanted[:4]
    np.testing.assert_allclose(statistics.objective, loglik, rtol=rtol)
    np.testing.assert_allclose(statistics.mass, mass, rtol=rtol)
    shift = statistics.shift()
    np.testing.assert_allclose(statistics.center + shift, mean, rtol=rtol, atol=rtol)
    own = statistics.scatter(shift)
    if own.ndim == 2:
        scatter = np.einsum("kjj->kj", scatter)
    np.testing.assert_allclose(own, scatter, rtol=rtol, atol=rtol * np.abs(scatter).max())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("family", ["VVV", "VVI", "EEE", "VII"])
@pytest.mark.parametrize("how", TOLD[1:])
def test_a_pass_against_the_textbook(how, family, labelled, weighted, manner):
    X, errors = told(blobs(N, D), how)
    more = beside(N, weighted=weighted, labelled=labelled)
    labels, weight = more.get("labels"), more.get("sample_weight")
    allowed = None if labels is None else (labels[:, None] == np.arange(3)) | (labels[:, None] < 0)
    model = model_of(family)
    found = passes_over.one_pass(model, InMemory(rows_of(X, errors, weight=weight, label=labels)), model.mean, Serial())
    wanted = reference.told_step(
        X, model.weights, model.means, model.covariances, noise=errors, allowed=allowed, sample_weight=weight
    )
    assert_told(found, wanted)


@pytest.mark.parametrize("family", ["VVV", "VVI"])
@pytest.mark.parametrize("how", TOLD[1:])
def test_a_background_beside_them(how, family, manner):
    X, errors = told(blobs(N, D), how)
    sides = np.array([9.0, 14.0, 11.0])
    box = Box(np.zeros(D), np.diag(sides), float(np.log(sides).sum()), np.log(sides), np.zeros(D))
    model = model_of(family, background=Background(0.2, box))
    mask = np.random.default_rng(3).random((N, 4)) < 0.7
    mask[:, 0] = True
    found = passes_over.one_pass(model, InMemory(rows_of(X, errors, label=mask)), model.mean, Serial())
    behind = np.log(0.2) - ~np.isnan(X) @ np.log(sides)
    wanted = reference.told_step(
        X, model.weights, model.means, model.covariances, noise=errors, allowed=mask, background=behind
    )
    assert_told(found, wanted)
    np.testing.assert_allclose(found.background, wanted[4], rtol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["missing", "errors"])
def test_a_step_of_each_family_is_that_of_its_sums(family, how):
    # What the family makes of sums is tested elsewhere: here, that it gets the sums of the textbook.
    X, errors = told(blobs(N, D), how)
    begin = start(family, D)
    gm = unfinished(started(begin, covariance_type=family, max_iter=1, accelerate=None), X, error_covariance=errors)
    there = ~np.isnan(X).all(axis=1)  # of a row nothing is known: its weights would be those before
    loglik, mass, mean, scatter = reference.told_step(X[there], *begin, noise=None if errors is None else errors[there])
    np.testing.assert_allclose(gm.log_likelihood_history_[0], loglik, rtol=1e-9)
    np.testing.assert_allclose(gm.weights_, mass / there.sum(), rtol=1e-9)
    np.testing.assert_allclose(gm.means_, mean, rtol=1e-9, atol=1e-9)
    if family == "VVV":
        np.testing.assert_allclose(gm.covariances_, scatter / mass[:, None, None], rtol=1e-9, atol=1e-9)
    if family == "EEE":
        np.testing.assert_allclose(gm.covariances_[0], scatter.sum(axis=0) / there.sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("accelerate", [None, "auto"])
@pytest.mark.parametrize("noise", [None, True])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", TOLD)
def test_every_combination_climbs(how, family, weighted, labelled, noise, accelerate):
    X, errors = told(blobs(150, 2), how)
    more = beside(150, weighted=weighted, labelled=labelled)
    gm = started(start(family, 2), covariance_type=family, noise=noise, accelerate=accelerate, max_iter=25)
    if noise:
        gm.set_params(weights_init=0.95 * np.asarray(gm.weights_init))
    unfinished(gm, X, error_covariance=errors, **more)
    steps = np.diff([one["objective"] for one in gm.history_])
    assert steps.min(initial=0.0) >= -1e-9 * abs(gm.loglik_)
    assert gm.history_[-1]["objective"] > gm.history_[0]["objective"]
    assert np.isfinite(gm.loglik_)
    if not labelled:
        again = gm.score(X, sample_weight=more.get("sample_weight"), error_covariance=errors)
        total = np.sum(more.get("sample_weight", np.ones(150)))
        np.testing.assert_allclose(again * total, gm.loglik_, rtol=1e-9)
        labels = gm.predict(X, error_covariance=errors)
        np.testing.assert_array_equal(gm.labels_, labels)
    else:
        known = more["labels"] >= 0
        np.testing.assert_array_equal(gm.labels_[known], more["labels"][known])


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_missing_and_no_errors_is_the_plain_case(family):
    X = blobs(200, D)
    settings = {"covariance_type": family, "max_iter": 10}
    plain = unfinished(started(start(family, D), **settings), X)
    nothing = {"sample_weight": np.ones(200), "labels": np.full(200, -1), "error_covariance": np.zeros((200, D))}
    same = unfinished(started(start(family, D), **settings), X, **nothing)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(same, name), getattr(plain, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(same.loglik_, plain.loglik_, rtol=1e-12)
    nearly = unfinished(started(start(family, D), **settings), X, error_covariance=np.full((200, D), 1e-13))
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(nearly, name), getattr(plain, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "EII"])
def test_passes_over_exact_rows_tell_the_same(family, manner):
    X, model = blobs(300, D), model_of(family)
    plain = one_pass(exact(model.scores, model.mean), InMemory(Rows(X)), Serial())
    rows = Rows(X, missing=np.zeros(X.shape, dtype=bool), noise=np.zeros(X.shape))
    same = passes_over.one_pass(model, InMemory(rows), model.mean, Serial())
    np.testing.assert_allclose(same.objective, plain.objective, rtol=1e-12)
    np.testing.assert_allclose(same.mass, plain.mass, rtol=1e-10)
    np.testing.assert_allclose(same.center + same.shift(), plain.center + plain.shift(), rtol=1e-9, atol=1e-10)
    own = plain.scatter(plain.shift())
    np.testing.assert_allclose(same.scatter(same.shift()), own, rtol=1e-9, atol=1e-9 * np.abs(own).max())


@pytest.mark.parametrize("how", TOLD[1:])
def test_a_component_that_leaps_is_summed_about_where_it_lands(how, manner):
    # 1e7 deviations from where it begins: about the old mean its scatter has no digits.
    X, errors = told(blobs(N, D), how)
    X[0] = blobs(N, D)[0]  # a row that tells nothing stays where the component was
    _, means, covariances = start("VVV", D)
    model = Mixture([1.0], means[:1] + 1e7, covariances[:1])
    found = passes_over.one_pass(model, InMemory(rows_of(X, errors)), model.mean, Serial())
    wanted = reference.told_step(X, [1.0], model.means, model.covariances, noise=errors)
    np.testing.assert_allclose(found.center + found.shift(), wanted[2], rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(found.scatter(found.shift()), wanted[3], rtol=1e-7, atol=1e-4 * N)


@pytest.mark.slow
@pytest.mark.parametrize("covariance_type", [*ALIASES])
@pytest.mark.parametrize("how", TOLD[1:])
def test_acceleration_ends_where_em_does(how, covariance_type):
    X, errors = told(blobs(400, 2), how)
    settings = {"covariance_type": covariance_type, "max_iter": 5000}
    family = ALIASES[covariance_type]
    weights, means, covariances = start(family, 2)
    own = {"tied": covariances[0], "diag": np.einsum("kjj->kj", covariances), "spherical": covariances[:, 0, 0]}
    begin = weights, means, own.get(covariance_type, covariances)
    plain = unfinished(started(begin, accelerate=None, tol=1e-7, **settings), X, error_covariance=errors)
    for accelerate in ("lbfgs", "squarem"):
        fast = started(begin, accelerate=accelerate, **settings).fit(X, error_covariance=errors)
        # Nearly all, where a variance creeps to nothing behind the errors.
        assert fast.loglik_ >= plain.loglik_ - 0.05
        assert fast.n_iter_ <= plain.n_iter_ + 5


def test_the_same_bits_for_any_number_of_threads():
    X, errors = told(blobs(5_000, D), "both")
    model = model_of("VVV")
    source = InMemory(rows_of(X, errors))
    first = passes_over.one_pass(model, source, model.mean, Serial())
    for workers in (2, 3):
        again = passes_over.one_pass(model, source, model.mean, Threads(workers))
        for name in ("objective", "mass", "first", "second"):
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_rows_of_which_nothing_is_known_have_the_weights():
    X, _ = told(blobs(300, D), "missing")
    gm = GaussianMixture(3, random_state=0).fit(X)
    nothing = np.full((2, D), np.nan)
    np.testing.assert_allclose(gm.predict_proba(nothing), [gm.weights_] * 2, rtol=1e-12)
    np.testing.assert_allclose(gm.score_samples(nothing), 0.0, atol=1e-12)


@pytest.mark.parametrize("covariance_type", [*ALIASES])
def test_a_marginal_is_what_part_of_a_row_tells(covariance_type):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs(300, D))
    X = blobs(20, D, seed=5)
    part = X.copy()
    part[:, 1] = np.nan
    marginal = gm.mixture_.marginal([0, 2])
    np.testing.assert_allclose(gm.score_samples(part), marginal.logpdf(X[:, [0, 2]]), rtol=1e-10)
    np.testing.assert_allclose(gm.predict_proba(part), marginal.responsibilities(X[:, [0, 2]]), atol=1e-12)
    # and a row with an error is seen through it
    blurred = Mixture(gm.mixture_.weights, gm.mixture_.means, gm.mixture_.covariances + 0.5 * np.eye(D))
    np.testing.assert_allclose(gm.score_samples(X, error_covariance=np.full(D, 0.5)), blurred.logpdf(X), rtol=1e-10)
    np.testing.assert_allclose(
        gm.predict_proba(X, error_covariance=np.full(D, 0.5)), blurred.responsibilities(X), atol=1e-12
    )


@pytest.mark.parametrize("how", TOLD[1:])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_rows_however_far_out_have_probabilities(how, covariance_type):
    X, errors = told(blobs(200, D), how)
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X, error_covariance=errors)
    far = np.array([[1e3, 0.0, np.nan], [1e160, np.nan, -1e160], [np.nan, -1e300, 1e300], [1e9, -1e9, 0.0]])
    errors = None if errors is None else errors[:4]
    found = gm.predict_proba(far, error_covariance=errors)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    assert not np.isnan(gm.score_samples(far, error_covariance=errors)).any()


@pytest.mark.parametrize("how", TOLD[1:])
@pytest.mark.parametrize("family", [*UNIFORM])
def test_units_and_offsets_play_no_part(how, family):
    X, errors = told(blobs(300, 2), how)
    unit, offset = (1e-6, 3e2) if family.endswith("II") else (np.array([1e-6, 1e4]), np.array([3e2, -1e8]))
    if family in ("EII", "VII"):
        unit, offset = 1e-6, 3e2
    plain = GaussianMixture(3, covariance_type=family, random_state=0).fit(X, error_covariance=errors)
    scale = np.broadcast_to(unit, 2)
    if errors is not None:
        errors = errors * (scale**2 if errors.ndim == 2 else np.outer(scale, scale))
    moved = GaussianMixture(3, covariance_type=family, random_state=0).fit(X * unit + offset, error_covariance=errors)
    np.testing.assert_array_equal(moved.labels_, plain.labels_)
    # Where errors explain all of a variance its way to nothing is left early, and rounding says where.
    np.testing.assert_allclose((moved.means_ - offset) / unit, plain.means_, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(
        moved.loglik_ + len(X) * np.log(scale).sum() - np.isnan(X).sum(axis=0) @ np.log(scale), plain.loglik_, atol=2e-3
    )


def test_true_parameters_are_found_behind_errors_and_gaps():
    # Four times as many numbers as parameters need, errors as wide as the clusters: the truth within five of the
    # standard errors that complete data would have, times two for what is lost.
    rng = np.random.default_rng(8)
    n, truth = 20_000, np.array([[0.0, 0.0], [4.0, 2.0]])
    component = rng.integers(2, size=n)
    points = truth[component] + rng.normal(size=(n, 2)) * np.array([[1.0, 0.5], [0.6, 1.2]])[component]
    errors = rng.uniform(0.1, 1.5, size=(n, 2))
    X = points + rng.normal(size=(n, 2)) * np.sqrt(errors)
    X[rng.random((n, 2)) < 0.2] = np.nan
    gm = GaussianMixture(2, random_state=0).fit(X, error_covariance=errors)
    order = np.argsort(gm.means_[:, 0])
    np.testing.assert_allclose(gm.means_[order], truth, atol=5 * 2 * 1.6 / np.sqrt(n / 2))
    np.testing.assert_allclose(
        np.sqrt(np.einsum("kjj->kj", gm.covariances_[order])), [[1.0, 0.5], [0.6, 1.2]], atol=0.06
    )


def with_gaps(apart, part, seed):
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(apart, 1, (60, 2))])
    return np.where(rng.random(X.shape) < part, np.nan, X)


@pytest.mark.parametrize("unit", [1e-120, 1e-90, 1e90, 1e120])
@pytest.mark.parametrize("kind", ["nothing", "variances", "matrices"])
def test_units_whose_fourth_powers_are_no_numbers(unit, kind):
    X = with_gaps(6, 0.2, seed=3)
    root = np.random.default_rng(4).normal(size=(len(X), 2, 2)) * 0.4
    matrices = root @ root.transpose(0, 2, 1)
    errors = {"nothing": None, "variances": np.einsum("njj->nj", matrices), "matrices": matrices}[kind]
    own = GaussianMixture(2, random_state=0).fit(X, error_covariance=errors)
    scaled = None if errors is None else errors * unit * unit
    gm = GaussianMixture(2, random_state=0).fit(X * unit, error_covariance=scaled)
    np.testing.assert_allclose(gm.means_ / unit, own.means_, rtol=1e-6, atol=1e-6)
    assert [one["state"] for one in gm.diagnostics_] == [one["state"] for one in own.diagnostics_]


def test_a_row_of_which_nothing_is_known_does_not_cut_the_history_short():
    X = with_gaps(4, 0.1, seed=0)
    X = X[~np.isnan(X).all(axis=1)]
    without = GaussianMixture(2, random_state=0).fit(X)
    within = GaussianMixture(2, random_state=0).fit(np.vstack([X, np.full((1, 2), np.nan)]))
    assert within.n_iter_ == without.n_iter_ > 3


@pytest.mark.parametrize("unit", [1e-100, 1e80, 1e140])
def test_any_unit_will_do_in_which_squares_are_numbers(unit):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, 300), rng.normal(6, 0.5, 200)])[:, None]
    counts, edges = np.histogram(rows, bins=30)
    settings = {"n_components": 2, "random_state": 0}
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        noisy, plain = (
            GaussianMixture(**settings).fit(rows * one, error_covariance=(0.1 * one) ** 2) for one in (unit, 1.0)
        )
        binned, usual = (GaussianMixture(**settings).fit_histogram(edges * one, counts) for one in (unit, 1.0))
    np.testing.assert_allclose(noisy.means_ / unit, plain.means_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(binned.means_ / unit, usual.means_, rtol=1e-6, atol=1e-6)


def test_large_errors_without_full_rank_leave_finite_models():
    rng = np.random.default_rng(0)
    for n, d in ((1, 35), (40, 12)):
        direction = 1e6 * rng.normal(size=(n, d, 1))
        errors = direction @ direction.transpose(0, 2, 1)
        rows = np.zeros((n, d)) if n == 1 else rng.normal(size=(n, d))
        with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            gm = GaussianMixture(1, covariance_type="VVV", max_iter=20).fit(rows, error_covariance=errors)
        assert np.isfinite(gm.loglik_)
        assert np.isfinite(gm.covariances_).all()


def test_constant_columns_have_a_floor_whatever_rounding_leaves_of_them():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = np.round(2 * rng.normal(size=(2, 12))) / 2
        rows[:, 8] = 1.0
        errors = np.where([[True], [False]], rng.uniform(0, 1e-5, size=(2, 12)), 0.0)
        errors[:, 8] = 0.0
        with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            GaussianMixture(1, max_iter=1).fit(rows, error_covariance=errors, sample_weight=[1.0, 3.0])
