"""What a fit promises: weights, bits, monotone EM, honest objectives, units, far points, degenerate data, memory."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_iris

import reference
from cases import (
    ALIASES,
    FAMILIES,
    MIXING,
    TYPES,
    assert_same_parameters,
    blobs,
    parameters,
    start,
    started,
    unfinished,
)
from mixtura import GaussianMixture
from mixtura.kernels import OF_LAYOUT, block_rows

GRID = 1 / 1024
X = np.round(blobs(400, 2) / GRID) * GRID
"""On a grid, so that rows moved by a whole number are the same rows exactly."""

W = np.random.default_rng(1).integers(0, 4, size=len(X))

# weights of the rows


def assert_same_fit(one, two, tolerance):
    assert one.n_iter_ == two.n_iter_
    assert_same_parameters(parameters(one), parameters(two), tolerance)
    assert one.loglik_ == pytest.approx(two.loglik_, rel=tolerance)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", FAMILIES)
def test_integer_weights_equal_repeated_rows(family, mixing):
    gm = started(start(family, 2), covariance_type=family, mixing=mixing, max_iter=8, tol=0.0)
    weighted = parameters(unfinished(gm, X, sample_weight=W)), gm.loglik_
    repeated = parameters(unfinished(gm, np.repeat(X, W, axis=0))), gm.loglik_
    assert_same_parameters(weighted[0], repeated[0], 1e-9)
    assert weighted[1] == pytest.approx(repeated[1], rel=1e-11)


@pytest.mark.parametrize("covariance_type", ALIASES)
def test_integer_weights_reach_the_optimum_of_repeated_rows(covariance_type):
    # Each from its own start: the most likely of several.
    rows, n_init = X[:120], 10
    gm = GaussianMixture(2, covariance_type=covariance_type, n_init=n_init, tol=1e-9, random_state=0)
    weighted = gm.fit(rows, sample_weight=W[:120]).loglik_
    assert weighted == pytest.approx(gm.fit(np.repeat(rows, W[:120], axis=0)).loglik_, rel=1e-9)


@pytest.mark.parametrize("value", [1.0, 1e9, 1e200])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_zero_weight_equals_an_absent_row(covariance_type, value):
    rows, w = X.copy(), W.copy()
    w[::7] = 0
    rows[::7] = value  # however far away
    settings = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-6}
    present = GaussianMixture(3, **settings).fit(rows, sample_weight=w)
    absent = GaussianMixture(3, **settings).fit(rows[w > 0], sample_weight=w[w > 0])
    assert_same_fit(present, absent, 1e-9)


@pytest.mark.parametrize("factor", [1e-12, 0.3, 7.0, 1e12])
@pytest.mark.parametrize("covariance_type", ["full", "spherical"])
def test_a_common_factor_of_all_weights_changes_nothing(covariance_type, factor):
    w = W + 0.25
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    plain, history = parameters(gm.fit(X, sample_weight=w)), gm.log_likelihood_history_
    scaled = parameters(gm.fit(X, sample_weight=w * factor))
    assert_same_parameters(scaled, plain, 1e-10)
    np.testing.assert_allclose(gm.log_likelihood_history_, np.array(history) * factor, rtol=1e-10)
    assert gm.loglik_ == pytest.approx(gm.score(X, sample_weight=w) * w.sum() * factor, rel=1e-9)


def test_equal_weights_are_no_weights():
    gm = GaussianMixture(3, random_state=0)
    plain = parameters(gm.fit(X))
    assert_same_parameters(parameters(gm.fit(X, sample_weight=np.ones(len(X)))), plain, 1e-10)
    assert_same_parameters(parameters(gm.fit(X, sample_weight=np.full(len(X), 2))), plain, 1e-10)


# the same bits


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("covariance_type", ALIASES)
def test_the_same_bits_for_any_number_of_threads(covariance_type, weighted):
    n = 3 * block_rows(OF_LAYOUT[covariance_type in ("full", "tied")], 3, 2) + 321
    rows = blobs(n, 2, seed=4)
    w = np.random.default_rng(0).uniform(0.5, 2, size=n) if weighted else None

    def fitted(**where):
        gm = GaussianMixture(3, covariance_type=covariance_type, random_state=3, max_iter=6, tol=0.0)
        gm = unfinished(gm.set_params(**where), rows, sample_weight=w)
        arrays = {name: getattr(gm, name) for name in ("weights_", "means_", "covariances_", "labels_")}
        arrays["history"] = gm.log_likelihood_history_
        arrays["log density"] = gm.score_samples(rows)
        arrays["responsibilities"] = gm.predict_proba(rows)
        arrays["bic"] = gm.bic(rows, sample_weight=w)
        return arrays

    one = fitted(engine="serial")
    for where in ({"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": 3}, {"engine": "threads", "n_jobs": 3}, {}):
        for name, array in fitted(**where).items():
            assert np.array_equal(array, one[name]), f"{name} with {where}"


def test_the_layout_in_memory_changes_no_bit():
    gm = GaussianMixture(3, random_state=0)
    plain = gm.fit(X).means_
    for same in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1].copy()[::-1], X.tolist()):
        np.testing.assert_array_equal(gm.fit(same).means_, plain)


def test_neither_rows_nor_weights_are_changed():
    rows, w = X.copy(), W.astype(float)
    gm = GaussianMixture(3, random_state=0).fit(rows, sample_weight=w)
    gm.predict_proba(rows)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(w, W)
    rows.flags.writeable = w.flags.writeable = False
    gm.fit(rows, sample_weight=w).score(rows)


# never worse


def assert_never_falls(gm, n_rows):
    totals = np.array(gm.log_likelihood_history_)
    falls = np.diff(totals)
    least = -1e-9 * np.maximum(np.abs(totals[1:]), n_rows)
    assert (falls >= least).all(), f"the log-likelihood fell by {-falls.min():.2g} nats"


DATA = {
    "blobs": X,
    "far away": X + 1e8,
    "iris": load_iris().data,
    "few rows": blobs(12, 3),
    "ties": np.round(X),
    "tiny unit": X * 1e-9,
}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", FAMILIES)
def test_em_never_falls(family, mixing, data):
    for seed in range(3):
        for init in ("k-means++", "random", "random_from_data"):
            gm = GaussianMixture(
                4,
                covariance_type=family,
                mixing=mixing,
                init=init,
                n_init=1,
                tol=0.0,
                max_iter=100,
                random_state=seed,
            )
            unfinished(gm, DATA[data])
            assert_never_falls(gm, len(DATA[data]))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_log_likelihood_is_that_of_the_model(covariance_type, data):
    rows = DATA[data]
    w = np.random.default_rng(0).uniform(0.5, 3, size=len(rows))
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=7, tol=0.0)
    unfinished(gm, rows)
    assert gm.score(rows) * len(rows) == pytest.approx(gm.loglik_, rel=1e-9)
    assert gm.lower_bound_ == pytest.approx(gm.score(rows), rel=1e-9)
    assert gm.bic(rows) == pytest.approx(gm.df_ * np.log(len(rows)) - 2 * gm.loglik_, rel=1e-9)
    unfinished(gm, rows, sample_weight=w)
    assert gm.score(rows, sample_weight=w) * w.sum() == pytest.approx(gm.loglik_, rel=1e-9)
    if data != "few rows":  # where covariances at their floor are beyond the reference
        assert reference.e_step(rows, *parameters(gm), w)[1] == pytest.approx(gm.loglik_, rel=1e-9)


# units


@pytest.mark.parametrize("offset", [1e3, -1e4, 1e6, 1e9])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_offset_moves_the_means_and_nothing_else(covariance_type, offset):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    weights, means, covariances = parameters(gm.fit(X))
    labels, loglik = gm.labels_, gm.loglik_
    moved = parameters(gm.fit(X + offset))
    np.testing.assert_array_equal(gm.labels_, labels)
    assert gm.loglik_ == pytest.approx(loglik, rel=1e-9)
    assert_same_parameters((moved[0], moved[1] - offset, moved[2]), (weights, means, covariances), 1e-6)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_change_of_unit_changes_only_the_unit(covariance_type, factor):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    weights, means, covariances = parameters(gm.fit(X))
    labels, loglik = gm.labels_, gm.loglik_
    scaled = parameters(gm.fit(X * factor))
    np.testing.assert_array_equal(gm.labels_, labels)
    assert gm.loglik_ + X.size * np.log(factor) == pytest.approx(loglik, rel=1e-9)
    back = scaled[0], scaled[1] / factor, scaled[2] / factor**2
    assert_same_parameters(back, (weights, means, covariances), 1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "EEI"])
def test_each_feature_may_have_a_unit_of_its_own(covariance_type):
    units = np.array([1e-5, 1e7])
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    _, means, _ = parameters(gm.fit(X))
    labels = gm.labels_
    scaled = gm.fit(X * units).means_
    np.testing.assert_array_equal(gm.labels_, labels)
    np.testing.assert_allclose(scaled / units, means, rtol=1e-6)


# far points


@pytest.mark.parametrize("covariance_type", TYPES)
def test_far_points_have_finite_responsibilities(covariance_type):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    far = [1e3, 1e8, 1e150, 1e155, 1e160, 1e300, np.finfo(float).max]
    directions = [(1, 1), (1, 0), (-1, 0), (0.3, -1), (0, -1)]
    points = np.array([[value * i, value * j] for value in far for i, j in directions])
    resp = gm.predict_proba(points)
    assert np.isfinite(resp).all()
    assert (resp >= 0).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(gm.predict(points), resp.argmax(axis=1))
    log_density = gm.score_samples(points)
    assert not np.isnan(log_density).any()
    assert (log_density < 0).all()
    near = points[: 2 * len(directions)]  # as far as squares of distances are float64
    np.testing.assert_allclose(resp[: len(near)], reference.e_step(near, *parameters(gm))[0], atol=1e-7)


@pytest.mark.parametrize("value", [1e8, 1e160, 1e300])
def test_the_widest_component_takes_the_far_points(value):
    gm = GaussianMixture.from_parameters(
        [0.2, 0.5, 0.3], [[0.0, 0.0], [5.0, 5.0], [1.0, 1.0]], [1.0, 1.0, 1.5], "spherical"
    )
    resp = gm.predict_proba([[value, 0.0], [0.0, -value]])
    np.testing.assert_allclose(resp, [[0, 0, 1], [0, 0, 1]], atol=1e-12)


def test_a_far_point_in_x_is_no_end():
    rows = np.vstack([X, [[1e150, 0.0]]])
    for covariance_type in TYPES:
        gm = unfinished(GaussianMixture(2, covariance_type=covariance_type, random_state=0), rows)
        assert np.isfinite(gm.means_).all()
        np.testing.assert_allclose(gm.predict_proba(rows).sum(axis=1), 1, rtol=1e-12)


# any finite X


def assert_usable(gm, rows):
    weights, means, covariances = parameters(gm)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.isfinite(means).all()
    assert np.isfinite(covariances).all()
    np.linalg.cholesky(covariances)
    assert np.isfinite(gm.loglik_)
    np.testing.assert_allclose(gm.predict_proba(rows).sum(axis=1), 1, rtol=1e-12)
    assert gm.labels_.shape == (len(rows),)
    assert gm.sample(3)[0].shape == (3, rows.shape[1])
    assert_never_falls(gm, len(rows))


def fitted_with_one_warning_at_most(gm, rows):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gm.fit(rows)
    assert len(caught) <= 1, [str(one.message) for one in caught]
    return gm


HARD = {
    "one row": np.array([[1.5, -2.0]]),
    "two rows": np.array([[0.0, 0.0], [1.0, 2.0]]),
    "the same row": np.full((30, 2), 0.1),
    "two distinct rows": np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0),
    "a constant column": np.column_stack([X[:, 0], np.full(len(X), 1234.5)]),
    "columns of zeros": np.zeros((20, 2)),
    "a line": np.column_stack([X[:, 0], X[:, 0] + 2]),
    "fewer rows than features": blobs(7, 12),
    "ten copies": np.vstack([X[:50], np.repeat([[10.0, 10.0]], 10, axis=0)]),
    "whole numbers": np.round(X),
    "huge and tiny": X * [1e100, 1e-100],
    "one far row": np.vstack([X[:50], [[1e9, 1e9]]]),
}


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_any_finite_x_gives_a_usable_model(covariance_type, data):
    for n_components in (1, 3, 6):
        gm = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0)
        assert_usable(fitted_with_one_warning_at_most(gm, HARD[data]), HARD[data])


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
@given(
    rows=st.tuples(st.integers(1, 20), st.integers(1, 3)).flatmap(
        lambda shape: arrays(
            np.float64,
            shape,
            elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, width=32)),
        )
    ),
    n_components=st.integers(1, 4),
    family=st.sampled_from(FAMILIES),
    mixing=st.sampled_from(MIXING),
)
def test_any_small_x_gives_a_usable_model(rows, n_components, family, mixing):
    gm = GaussianMixture(n_components, covariance_type=family, mixing=mixing, random_state=0, max_iter=300)
    assert_usable(fitted_with_one_warning_at_most(gm, rows), rows)


# memory


@pytest.mark.slow
@pytest.mark.parametrize("covariance_type", ALIASES)
def test_memory_beyond_x(covariance_type):
    rows = blobs(1_000_000, 2)
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=3, tol=0.0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        unfinished(gm, rows)
        gm.predict(rows)
        gm.score(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 100e6


@pytest.mark.slow
@pytest.mark.parametrize("told", ["some features", "errors of all rows alike"])
def test_memory_beyond_rows_that_are_not_exact(told):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1_000_000, 8))
    rows[500_000:] += 4.0
    errors = None
    if told == "some features":
        rows[rng.random(rows.shape) < 0.1] = np.nan
    else:
        errors = np.full(8, 0.1)
    gm = GaussianMixture(3, random_state=0, max_iter=2, tol=0.0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        unfinished(gm, rows, error_covariance=errors)
        gm.predict(rows, error_covariance=errors)
        gm.score(rows, error_covariance=errors)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 100e6  # less than two tables of the size of X: some numbers for each row, and blocks
