"""What comes in beside the rows is checked at the door: errors, histograms; and what weights mean in criteria."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from cases import blobs
from mixtura import GaussianMixture, MixtureImputer, available, scan, select
from mixtura.available import blurred, mean_errors, moments
from mixtura.rows import Rows
from refusing import refused

N, D = 80, 2
X = blobs(N, D)
GAPS = np.where(np.arange(N * D).reshape(N, D) % 7 == 3, np.nan, X)


def fit(**arguments):
    return GaussianMixture(2, random_state=0).fit(X, **arguments)


def matrices(change=None, row=5):
    errors = np.tile([[0.5, 0.1], [0.1, 0.3]], (N, 1, 1))
    if change is not None:
        errors[row] = change
    return errors


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (np.where(np.arange(N)[:, None] == 4, -1.0, np.ones((N, D))), "not be negative, but a variance of row 4"),
        (np.where(np.arange(N)[:, None] == 4, np.nan, np.ones((N, D))), "finite, but that of row 4"),
        (np.where(np.arange(N)[:, None] == 4, np.inf, np.ones((N, D))), "finite, but that of row 4"),
        (matrices([[1.0, 0.5], [0.2, 1.0]]), "symmetric, but that of row 5"),
        (matrices([[1.0, 2.0], [2.0, 1.0]]), "no negative eigenvalue, but that of row 5"),
        (matrices([[-1.0, 0.0], [0.0, 1.0]]), "not be negative, but a variance of row 5"),
        (matrices([[0.0, 0.1], [0.1, 1.0]]), "row 5"),
        (np.ones((N - 1, D)), "shape \\(80, 2\\), \\(80, 2, 2\\), \\(2,\\) or \\(2, 2\\), got \\(79, 2\\)"),
        (np.ones((N, D, D + 1)), "got \\(80, 2, 3\\)"),
        ([[1.0, 0.5], [0.2, 1.0]], "symmetric, but that of all rows is not"),
        ([[1.0, 2.0], [2.0, 1.0]], "no negative eigenvalue, but that of all rows"),
        ([1.0, -1.0], "not be negative, but a variance of all rows is -1"),
        ([[1.0, 0.0], [0.0, np.inf]], "finite, but that of all rows"),
        ("large", "array of numbers"),
        (np.full((N, D), 1j), "array of numbers"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict_proba", "score_samples", "score", "bic"])
def test_errors_that_cannot_be(errors, words, method):
    gm = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=f"error_covariance must .*{words}"):
        getattr(gm, method)(X, error_covariance=errors)


@pytest.mark.parametrize("far", [1e5, 1e-9])
def test_an_error_far_down_is_named(far):
    rows = blobs(120_000, D)
    errors = np.full((len(rows), D, D), 0.1 * np.eye(D))
    errors[110_000] = [[far, 2 * far], [2 * far, far]]
    assert "row 110000" in refused(GaussianMixture(2, random_state=0).fit, rows, error_covariance=errors)


def test_one_value_for_each_feature():
    one = fit(error_covariance=[0.3, 0.1])
    every = fit(error_covariance=np.tile([0.3, 0.1], (N, 1)))
    matrix = fit(error_covariance=np.tile(np.diag([0.3, 0.1]), (N, 1, 1)))
    for other in (every, matrix):
        np.testing.assert_allclose(other.means_, one.means_, rtol=1e-9)
        np.testing.assert_allclose(other.covariances_, one.covariances_, rtol=1e-9)
    rows = X[:, :1]
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=0).fit(rows, error_covariance=np.full(N, 0.2)).means_,
        GaussianMixture(2, random_state=0).fit(rows, error_covariance=0.2).means_,
    )


@pytest.mark.parametrize("rows", [X, GAPS])
def test_one_matrix_for_all_rows(rows):
    matrix = np.array([[0.3, 0.1], [0.1, 0.2]])
    one, every = (
        GaussianMixture(2, random_state=0).fit(rows, error_covariance=errors)
        for errors in (matrix, np.tile(matrix, (N, 1, 1)))
    )
    np.testing.assert_allclose(one.means_, every.means_, rtol=1e-9)
    np.testing.assert_allclose(one.covariances_, every.covariances_, rtol=1e-9)
    for method in ("predict_proba", "score_samples"):
        np.testing.assert_allclose(
            getattr(one, method)(rows, error_covariance=matrix),
            getattr(one, method)(rows, error_covariance=np.tile(matrix, (N, 1, 1))),
            rtol=1e-9,
            atol=1e-12,
        )


def test_of_as_many_rows_as_features_errors_are_variances():
    gm, square = fit(), np.array([[0.3, 0.1], [0.1, 0.2]])
    np.testing.assert_array_equal(
        gm.score_samples(X[:D], error_covariance=square),
        gm.score_samples(X[:D], error_covariance=[np.diag(own) for own in square]),
    )
    others = gm.score_samples(X[: D + 1], error_covariance=square)[:D]
    assert not np.allclose(gm.score_samples(X[:D], error_covariance=square), others)


@pytest.mark.parametrize("block", [1, 30, available.BLOCK])
def test_moments_and_the_mean_error_are_those_of_what_is_there(block, monkeypatch):
    monkeypatch.setattr(available, "BLOCK", block)
    errors = np.random.default_rng(0).uniform(0.1, 0.5, size=(N, D))
    weight = np.arange(N) % 3 + 1.0
    gone = np.isnan(GAPS)
    rows = Rows(GAPS, weight=weight, missing=gone, noise=np.where(gone, 0.0, errors))
    wanted = np.ma.average(np.ma.masked_array(errors, gone), axis=0, weights=weight)
    np.testing.assert_allclose(mean_errors(rows), wanted, rtol=1e-12)
    np.testing.assert_allclose(mean_errors(Rows(X, noise=errors)), errors.mean(axis=0), rtol=1e-12)
    mean, variance = moments(rows)
    values = np.ma.masked_array(GAPS, gone)
    middle = np.ma.average(values, axis=0, weights=weight)
    np.testing.assert_allclose(mean, middle, rtol=1e-12)
    np.testing.assert_allclose(variance, np.ma.average((values - middle) ** 2, axis=0, weights=weight), rtol=1e-12)


@pytest.mark.parametrize("block", [1, 30, available.BLOCK])
@pytest.mark.parametrize("row", [0, 20, N - 1])
def test_one_row_with_a_narrow_error_is_enough_for_the_floor_to_matter(block, row, monkeypatch):
    monkeypatch.setattr(available, "BLOCK", block)
    wide = np.full((N, D), 1.0)
    assert blurred(Rows(X, noise=wide), np.full(D, 1e-3))
    wide[row, 1] = 1e-3
    assert not blurred(Rows(X, noise=wide), np.full(D, 1e-3))
    assert not blurred(Rows(X, noise=wide[:, None] * np.eye(D)), np.full(D, 1e-3))


def test_errors_of_what_is_missing_play_no_part():
    errors = np.random.default_rng(0).uniform(0.1, 0.5, size=(N, D))
    plain = GaussianMixture(2, random_state=0).fit(GAPS, error_covariance=errors)
    for junk in (np.nan, 1e9, 0.0):
        other = GaussianMixture(2, random_state=0).fit(GAPS, error_covariance=np.where(np.isnan(GAPS), junk, errors))
        np.testing.assert_allclose(other.means_, plain.means_, rtol=1e-9)
        np.testing.assert_allclose(other.covariances_, plain.covariances_, rtol=1e-9)
    both = np.einsum("nj,jk->njk", errors, np.eye(D)) + 0.02
    both[np.isnan(GAPS).any(axis=1)] = np.where(
        np.isnan(GAPS)[np.isnan(GAPS).any(axis=1)][:, :, None], np.nan, both[np.isnan(GAPS).any(axis=1)]
    )
    assert np.isfinite(GaussianMixture(2, random_state=0).fit(GAPS, error_covariance=both).loglik_)


def test_deconvolution_by_hand():
    # One Gaussian, errors of one variance: the sample covariance less that of the errors.
    gm = GaussianMixture(1, tol=1e-9).fit(X, error_covariance=[0.3, 0.2])
    np.testing.assert_allclose(gm.means_[0], X.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(gm.covariances_[0], np.cov(X.T, bias=True) - np.diag([0.3, 0.2]), rtol=1e-5)


def test_what_the_errors_explain_is_no_collapse():
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.zeros((200, 2)), rng.normal(6, 1.5, (200, 2))])
    rows = rows + rng.normal(size=rows.shape) * 0.7
    gm = GaussianMixture(2, random_state=0).fit(rows, error_covariance=np.full(2, 0.7**2))
    narrow = int(gm.means_[:, 0].argmin())
    assert np.sqrt(gm.covariances_[narrow].max()) < 0.25
    assert {one["state"] for one in gm.diagnostics_} <= {"ok", "unresolved"}
    np.testing.assert_allclose(gm.weights_[narrow], 0.5, atol=0.03)


# missing values -------------------------------------------------------------------------------------------------------


def test_a_column_without_a_value():
    rows = X.copy()
    rows[:, 1] = np.nan
    assert "column 1 has none" in refused(GaussianMixture(2).fit, rows)
    assert "('width')" in refused(GaussianMixture(2).fit, pd.DataFrame(rows, columns=["height", "width"]))


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_gaps_as_frames_have_them(gap):
    rows = [[float(a), float(b)] for a, b in X]
    rows[3][1] = gap
    frame = pd.DataFrame({"a": [row[0] for row in rows], "b": pd.array([row[1] for row in rows], dtype="Float64")})
    wanted = X.copy()
    wanted[3, 1] = np.nan
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=0).fit(frame).means_, GaussianMixture(2, random_state=0).fit(wanted).means_
    )


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_gaps_among_objects(gap):
    objects, gaps = X.astype(object), X.copy()
    objects[3, 1], gaps[3, 1] = gap, np.nan
    wanted = GaussianMixture(2, random_state=0).fit(gaps)
    frame = pd.DataFrame(objects, columns=["a", "b"], index=range(5, 5 + N))
    for rows in (objects, objects.tolist(), frame):
        gm = GaussianMixture(2, random_state=0).fit(rows)
        np.testing.assert_array_equal(gm.means_, wanted.means_)
        np.testing.assert_array_equal(gm.mixture_.logpdf(rows), wanted.score_samples(gaps))
        np.testing.assert_array_equal(np.asarray(gm.impute(rows), dtype=float), wanted.impute(gaps))
    filled = gm.impute(frame)
    assert filled.index.equals(frame.index)
    assert [str(kind) for kind in filled.dtypes] == ["object", "float64"]  # what has no gap stays as it is
    np.testing.assert_array_equal(
        GaussianMixture(1).fit(gaps, error_covariance=np.where(np.isnan(gaps), gap, 0.1)).means_,
        GaussianMixture(1).fit(gaps, error_covariance=0.1).means_,
    )


def twice_a(library):
    rows = np.where(X > 1.5, np.nan, X)
    return pd.DataFrame(rows, columns=["a", "a"]) if library == "pandas" else pa.table([*rows.T], ["a", "a"])


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
@pytest.mark.parametrize(
    "call",
    [
        lambda frame: GaussianMixture(2).fit(frame),
        lambda frame: fit().predict(frame),
        lambda frame: fit().impute(frame),
        lambda frame: select(frame, [1], ["EII"]),
        lambda frame: MixtureImputer().fit(frame),
        lambda frame: MixtureImputer().fit(X).transform(frame),
        lambda frame: fit(error_covariance=frame),
    ],
)
def test_two_columns_of_one_name(call, library):
    assert "must have columns of different names, got two called 'a'" in refused(call, twice_a(library))


def test_errors_under_the_same_names_in_another_order_are_refused():
    rows, errors = pd.DataFrame(X, columns=["a", "b"]), pd.DataFrame(0.1 + 0.01 * X**2, columns=["a", "b"])
    own = fit(error_covariance=errors)  # rows without names
    np.testing.assert_array_equal(
        GaussianMixture(2, random_state=0).fit(rows, error_covariance=errors).means_, own.means_
    )
    other = GaussianMixture(2, random_state=0).fit(rows, error_covariance=errors.set_axis(["e_b", "e_a"], axis=1))
    np.testing.assert_array_equal(other.means_, own.means_)
    for call in (other.fit, other.predict):
        said = refused(call, rows, error_covariance=errors[["b", "a"]])
        assert "in the order of those of X, ['a', 'b'], got ['b', 'a']" in said


DATES = {
    "pandas": lambda kind: pd.DataFrame({"when": pd.date_range("2020-01-01", periods=N), "how": X[:, 0]}).astype(
        {"how": kind}
    ),
    "pyarrow": lambda kind: pa.table({"when": pa.array(np.arange(N), pa.timestamp("s")), "how": X[:, 0]}),
}
"""Frames with a column of dates, whatever the other one is."""


@pytest.mark.parametrize(("library", "kind"), [("pandas", "float64"), ("pandas", "Float64"), ("pyarrow", "double")])
@pytest.mark.parametrize("call", [GaussianMixture(2).fit, MixtureImputer().fit, lambda frame: select(frame, [1])])
def test_a_column_of_dates_is_named(call, library, kind):
    assert refused(call, DATES[library](kind)).startswith(
        "X must hold numbers, but column 'when' holds dates or times (Datetime): "
    )


def test_plans_of_frames_are_to_be_collected():
    frame = pytest.importorskip("polars").DataFrame(X)
    calls = [GaussianMixture(2).fit, MixtureImputer().fit, MixtureImputer().fit(frame).transform]
    for call in (*calls, lambda plan: scan([plan])):
        assert "a LazyFrame, which has no rows before it is collected" in refused(call, frame.lazy())
    assert "error_covariance must be a frame" in refused(fit, error_covariance=frame.lazy())


NAMES = ["tall", "short"] * (N // 2)


@pytest.mark.parametrize(
    "labels", [NAMES, np.array(NAMES), np.array(NAMES, dtype=object), pd.Series(NAMES).astype("category"), ["0"] * N]
)
def test_labels_that_are_text(labels):
    said = refused(fit, labels=labels)
    assert said.startswith(f"labels must be numbers of components, got text, '{labels[0]}' for one")
    assert "factorize" in said
    assert said == refused(GaussianMixture(2, labels_init=labels).fit, X)


def test_a_weight_of_zero_is_an_absent_row_with_gaps():
    weight = (np.arange(N) % 5 > 0).astype(float)
    settings = {"n_components": 2, "random_state": 0}
    there = GaussianMixture(**settings).fit(GAPS[weight > 0])
    absent = GaussianMixture(**settings).fit(GAPS, sample_weight=weight)
    np.testing.assert_allclose(absent.means_, there.means_, rtol=1e-9)
    assert absent.loglik_ == pytest.approx(there.loglik_, rel=1e-12)


@pytest.mark.parametrize("kind", ["gaps", "errors", "noise", "prior", "weights", "otherwise complete"])
def test_rows_of_which_nothing_is_known_change_nothing(kind):
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.normal(0, 1, (120, D)), rng.normal(4, 1, (80, D))])
    if kind != "otherwise complete":
        rows[rng.random(rows.shape) < 0.1] = np.nan
    rows = rows[~np.isnan(rows).all(axis=1)]
    places = [0, 5, 5, 60, *[len(rows)] * 40]  # so many that passes would be slowed down
    within = np.insert(rows, places, np.nan, axis=0)
    where = ~np.isnan(within).all(axis=1)
    settings = {"noise": {"noise": True}, "prior": {"prior": "fraley-raftery"}}.get(kind, {})
    beside = {"error_covariance": 0.1} if kind == "errors" else {}
    w = rng.exponential(size=len(within)) if kind == "weights" else None
    one = GaussianMixture(2, random_state=0, **settings).fit(
        rows, sample_weight=None if w is None else w[where], **beside
    )
    gm = GaussianMixture(2, random_state=0, **settings).fit(within, sample_weight=w, **beside)
    for name in ("weights_", "means_", "covariances_", "loglik_", "n_iter_", "lower_bound_"):
        np.testing.assert_array_equal(getattr(gm, name), getattr(one, name))
    np.testing.assert_array_equal(gm.labels_[where], one.labels_)
    assert (gm.labels_[~where] == gm.weights_.argmax()).all()
    for criterion in ("bic", "icl", "aic"):
        own = getattr(one, criterion)(rows, sample_weight=None if w is None else w[where], **beside)
        assert getattr(gm, criterion)(within, sample_weight=w, **beside) == pytest.approx(own, rel=1e-12)
    n = where.sum() if w is None else w[where].sum()
    assert gm.bic(within, sample_weight=w, **beside) == pytest.approx(gm.df_ * np.log(n) - 2 * gm.loglik_, rel=1e-9)
    assert gm.score(within, **beside) == pytest.approx(gm.score_samples(within, **beside).mean(), rel=1e-12)
    if kind == "weights":
        own = one.bic(rows, sample_weight=w[where], effective_size=True)
        assert gm.bic(within, sample_weight=w, effective_size=True) == pytest.approx(own, rel=1e-12)
        chosen = [
            select(x, [1, 2], ["EII", "VVV"], sample_weight=v, random_state=0, effective_size=True)
            for x, v in ((rows, w[where]), (within, w))
        ]
        assert chosen[1].winner.bic(within, sample_weight=w) == chosen[0].winner.bic(rows, sample_weight=w[where])
        np.testing.assert_array_equal(
            [record["bic"] for record in chosen[1].records], [record["bic"] for record in chosen[0].records]
        )


def test_a_label_tells_something_of_a_row_without_values():
    # p(label) = w: in a mixture that is far apart the weights are shares of what is labelled, wherever values are.
    rows = np.concatenate([np.linspace(-1, 1, 30), np.linspace(99, 101, 50), np.full(40, np.nan)])[:, None]
    labels = np.repeat([-1, 0, -1], [80, 20, 20])
    gm = GaussianMixture(2, means_init=[[0.0], [100.0]], tol=1e-9).fit(rows, labels=labels)
    np.testing.assert_allclose(gm.weights_, [0.5, 0.5], rtol=1e-6)
    mask = np.ones((120, 2), dtype=bool)
    mask[80:100, 1] = False
    np.testing.assert_allclose(
        GaussianMixture(2, means_init=[[0.0], [100.0]], tol=1e-9).fit(rows, labels=mask).weights_, 0.5, rtol=1e-6
    )


@pytest.mark.parametrize("noise", [None, True])
def test_a_model_of_gaps_is_saved_and_read(tmp_path, noise):
    gm = GaussianMixture(2, noise=noise, random_state=0).fit(GAPS)
    again = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    np.testing.assert_array_equal(again.predict_proba(GAPS), gm.predict_proba(GAPS))
    np.testing.assert_array_equal(again.score_samples(GAPS), gm.score_samples(GAPS))


def test_pictures_of_rows_with_gaps():
    gm = GaussianMixture(2, random_state=0).fit(GAPS)
    gm.plot(GAPS)
    GaussianMixture(2, random_state=0).fit(GAPS[:, 0]).plot(GAPS[:, 0])


# weights in criteria --------------------------------------------------------------------------------------------------


def test_what_weights_mean_in_criteria():
    weight = np.random.default_rng(0).integers(1, 5, size=N).astype(float)
    gm = fit(sample_weight=weight)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    assert gm.bic(X, sample_weight=weight) == pytest.approx(gm.bic(repeated), rel=1e-12)
    n_effective = weight.sum() ** 2 / (weight**2).sum()
    loglik = weight @ gm.score_samples(X) / weight.sum() * n_effective
    for factor in (1.0, 1e3):
        asked = {"sample_weight": factor * weight, "effective_size": True}
        assert gm.bic(X, **asked) == pytest.approx(gm.df_ * np.log(n_effective) - 2 * loglik, rel=1e-12)
        assert gm.aic(X, **asked) == pytest.approx(2 * gm.df_ - 2 * loglik, rel=1e-12)
    assert gm.bic(X, sample_weight=np.full(N, 7.0), effective_size=True) == pytest.approx(gm.bic(X), rel=1e-12)
    assert "effective_size must be" in refused(gm.bic, X, sample_weight=weight, effective_size="yes")


# histograms -----------------------------------------------------------------------------------------------------------

EDGES = np.concatenate([[-np.inf], np.arange(-3.0, 7.0), [np.inf]])


def counts(edges=EDGES, n=5000):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, 3 * n // 5), rng.normal(4, 0.7, 2 * n // 5)])
    return np.histogram(rows, edges)[0], rows


@pytest.mark.parametrize(("covariance_type", "shared"), [("V", False), ("E", True), ("full", False), ("tied", True)])
def test_a_histogram_by_its_exact_likelihood(covariance_type, shared):
    found, _ = counts()
    gm = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit_histogram(EDGES, found)

    def loss(theta):
        w, deviations = 1 / (1 + np.exp(-theta[0])), np.exp(theta[[3, 3] if shared else [3, 4]])
        p = w * np.diff(norm.cdf(EDGES, theta[1], deviations[0]))
        return -found @ np.log(p + (1 - w) * np.diff(norm.cdf(EDGES, theta[2], deviations[1])))

    best = minimize(loss, np.array([0.0, 0.0, 4.0, 0.0, 0.0][: 4 if shared else 5]), options={"gtol": 1e-5})
    assert gm.loglik_ == pytest.approx(-best.fun, abs=1e-3)
    np.testing.assert_allclose(np.sort(gm.means_[:, 0]), np.sort(best.x[1:3]), atol=3e-3)
    assert len(gm.labels_) == len(found)


@pytest.mark.parametrize("name", ["labels_init", "init", "responsibilities_init"])
def test_a_start_says_of_every_bin_where_it_belongs(name):
    edges = np.append(EDGES[:-1], [50.0, 1e3, np.inf])  # the last ones are empty
    found, _ = counts(edges)
    found[0] = 0
    labels = (np.arange(len(found)) > 6).astype(int)
    own = {name: np.eye(2)[labels] if name == "responsibilities_init" else labels}
    gm = GaussianMixture(2, max_iter=500, **own).fit_histogram(edges, found)
    assert gm.means_[0, 0] < gm.means_[1, 0]
    assert len(gm.labels_) == len(found)
    held = GaussianMixture(2, random_state=0).fit_histogram(edges, found)
    assert gm.loglik_ == pytest.approx(held.loglik_, abs=1e-2)
    if name == "labels_init":
        assert f"{len(found)} integers" in refused(
            GaussianMixture(2, labels_init=labels[found > 0]).fit_histogram, edges, found
        )


@pytest.mark.parametrize("noise", [None, True])
@pytest.mark.parametrize("accelerate", [None, "lbfgs", "squarem"])
def test_histograms_climb(noise, accelerate):
    found, _ = counts()
    gm = GaussianMixture(2, noise=noise, accelerate=accelerate, random_state=0).fit_histogram(EDGES, found)
    assert np.diff(gm.log_likelihood_history_).min() >= -1e-9 * abs(gm.loglik_)


@pytest.mark.parametrize("inner", [np.linspace(-10, 15, 51), np.linspace(-5, 10, 31)])
@pytest.mark.parametrize("k", [2, 3])
def test_a_background_beside_open_bins_that_hold_something_costs_no_likelihood(inner, k):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 3000), rng.normal(6, 1, 2000), rng.uniform(-20, 30, 500)])
    edges = np.array([-np.inf, *inner, np.inf])
    counts, _ = np.histogram(values, edges)
    # The mixture without a background is one with a background of weight zero.
    without, beside = (
        GaussianMixture(k, noise=noise, random_state=0).fit_histogram(edges, counts) for noise in (None, True)
    )
    assert beside.loglik_ > without.loglik_ - 0.1


def test_narrow_bins_are_rows_and_wide_ones_are_corrected():
    narrow = np.arange(-6.0, 9.0, 0.01)
    found, rows = counts(narrow)
    by_rows = GaussianMixture(2, random_state=0).fit(rows)
    by_bins = GaussianMixture(2, random_state=0).fit_histogram(narrow, found)
    np.testing.assert_allclose(np.sort(by_bins.means_[:, 0]), np.sort(by_rows.means_[:, 0]), atol=1e-3)
    assert by_bins.loglik_ - len(rows) * np.log(0.01) == pytest.approx(by_rows.loglik_, rel=1e-3)

    wide = np.arange(-6.0, 9.0, 0.8)
    found, _ = counts(wide, n=200_000)
    middles = 0.5 * (wide[1:] + wide[:-1])
    exact = GaussianMixture(2, random_state=0).fit_histogram(wide, found)
    points = GaussianMixture(2, random_state=0).fit(middles, sample_weight=found)
    corrected = GaussianMixture(2, random_state=0).fit(middles, sample_weight=found, error_covariance=0.8**2 / 12)

    def widths(gm):
        return np.sqrt(gm.covariances_[gm.means_[:, 0].argsort(), 0, 0])

    np.testing.assert_allclose(widths(exact), [1.0, 0.7], rtol=0.01)
    np.testing.assert_allclose(widths(corrected), [1.0, 0.7], rtol=0.02)
    assert (widths(points) > widths(exact) * [1.015, 1.03]).all()


def test_shares_are_as_good_as_counts():
    found, _ = counts()
    by_counts = GaussianMixture(2, random_state=0, tol=1e-6).fit_histogram(EDGES, found)
    by_shares = GaussianMixture(2, random_state=0, tol=1e-6).fit_histogram(EDGES, found / found.sum())
    np.testing.assert_allclose(by_shares.means_, by_counts.means_, rtol=1e-3, atol=1e-3)
    assert by_shares.loglik_ * found.sum() == pytest.approx(by_counts.loglik_, rel=1e-6)


@pytest.mark.parametrize(
    ("edges", "found", "words"),
    [
        ([0.0, 1.0, 1.0], [1, 2], "edges must be increasing"),
        ([0.0, np.inf, np.inf], [1, 2], "edges must be increasing"),
        ([0.0, np.nan, 1.0], [1, 2], "edges must be increasing"),
        ([0.0], [], "edges must be increasing"),
        ([-np.inf, np.inf], [3], "edges must have a finite one"),
        ([0.0, 1.0, 2.0], [1, 2, 3], "counts must have shape"),
        ([0.0, 1.0, 2.0], [1, -2], "counts must not be negative, got -2.0 in row 1"),
        ([0.0, 1.0, 2.0], [0, 0], "counts must not be zero everywhere"),
        ([0.0, 1.0, 2.0], [np.nan, 1], "counts must be finite"),
        ("edges", [1], "edges must be an array of numbers"),
        (np.array([0, 1, 2j]), [1, 2], "edges must be an array of numbers"),
    ],
)
def test_histograms_that_cannot_be(edges, found, words):
    with pytest.raises(ValueError, match=words):
        GaussianMixture(1).fit_histogram(edges, found)


def test_counts_before_edges():
    said = refused(GaussianMixture(1).fit_histogram, *np.histogram(X[:, 0]))
    assert said.startswith("edges come first, (b + 1,) for b counts, got 10 and then 11 numbers")


def test_what_came_is_said_in_one_line():
    message = refused(GaussianMixture(2).fit, X, labels=pd.Series([0.0, 0.5] * (N // 2)))
    assert "\n" not in message


def test_masked_arrays_are_masked():
    rng = np.random.default_rng(0)
    rows, mask = rng.normal(size=(60, 2)), rng.random((60, 2)) < 0.2
    gaps = np.where(mask, np.nan, rows)
    behind = np.ma.masked_array(np.where(mask, 1e6, rows), mask=mask)
    errors = np.ma.masked_array(np.where(mask, -1.0, 0.1), mask=mask)
    wanted = GaussianMixture(1).fit(gaps, error_covariance=0.1)
    gm = GaussianMixture(1).fit(behind, error_covariance=errors)
    np.testing.assert_array_equal(gm.means_, wanted.means_)
    np.testing.assert_array_equal(gm.impute(behind), wanted.impute(gaps))
    whole = np.ma.masked_array((100 * rows).astype(int), mask=mask)
    assert np.isfinite(GaussianMixture(1).fit(whole).loglik_)
    assert GaussianMixture(1).fit(behind.astype(np.float32)).means_.dtype == np.float32


def test_errors_come_as_nullable_frames_too():
    gaps = np.array([[0.0, 1.0], [np.nan, 2.0], [3.0, 5.0], [1.0, 0.0]])
    errors = pd.DataFrame(np.where(np.isnan(gaps), np.nan, 0.1)).astype("Float64")
    gm = GaussianMixture(1).fit(pd.DataFrame(gaps).astype("Float64"), error_covariance=errors)
    np.testing.assert_array_equal(gm.means_, GaussianMixture(1).fit(gaps, error_covariance=0.1).means_)


def test_errors_that_are_no_real_numbers_in_range_are_refused():
    rows = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="error_covariance must be an array of numbers"):
        GaussianMixture(1).fit(rows, error_covariance=np.full((20, 2), 1j))
    with pytest.raises(ValueError, match="error_covariance must be at most 1e\\+300"):
        GaussianMixture(1).fit(rows, error_covariance=1e301)
    with np.errstate(all="raise", under="ignore"):
        GaussianMixture(1).fit(rows, error_covariance=1e300)


def test_counts_beyond_measure_are_refused():
    with pytest.raises(ValueError, match="counts must have a sum of at most"):
        GaussianMixture(1).fit_histogram([0, 1, 2], [1e300, 1e300])


def states(gm: GaussianMixture) -> list[str]:
    """Those of two components, the one at the left first."""
    order = np.argsort(gm.means_[:, 0])
    return [gm.diagnostics_[k]["state"] for k in order]


@pytest.mark.parametrize("matrices", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_a_component_that_errors_hide_is_called_so(matrices: bool, gaps: bool) -> None:
    # A variance of 0.01 with errors of variance 1: 200 rows tell a variance to 0.1, the bound is 0.2; 1 is far above.
    rng = np.random.default_rng(3)
    deviation = np.repeat([[0.1, 1.0], [1.0, 1.0]], 200, axis=0)
    x = np.repeat([0.0, 12.0], 200)[:, None] + deviation * rng.normal(size=(400, 2)) + rng.normal(size=(400, 2))
    if gaps:
        x[rng.random(x.shape) < 0.1] = np.nan
    errors = np.tile(np.eye(2), (400, 1, 1)) if matrices else np.ones((400, 2))
    gm = GaussianMixture(2, random_state=0).fit(x, error_covariance=errors)
    assert states(gm) == ["unresolved", "ok"]
    narrow = gm.diagnostics_[int(gm.means_[:, 0].argmin())]["direction"]
    assert abs(narrow["x0"]) > 5 * abs(narrow.get("x1", 0.0))
    # A row without any error leaves no limit to what can be seen.
    errors[0] = 0
    assert states(GaussianMixture(2, random_state=0).fit(x, error_covariance=errors))[0] == "ok"


def test_a_component_within_two_bins_is_called_unresolved() -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(0.5, 0.1, 500), rng.normal(20, 3, 500)])
    edges = np.arange(-20.0, 60.0)
    counts = np.histogram(x, edges)[0]
    assert states(GaussianMixture(2, random_state=0).fit_histogram(edges, counts)) == ["unresolved", "ok"]
    fine = np.arange(-20.0, 60.0, 0.1)
    assert states(GaussianMixture(2, random_state=0).fit_histogram(fine, np.histogram(x, fine)[0])) == ["ok", "ok"]
