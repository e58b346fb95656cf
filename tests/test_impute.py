"""Missing values filled in: frozen numbers, formulas written out, moments of draws, frames, pipelines."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal, norm
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixtura
from cases import blobs, start, unwarned
from mixtura import GaussianMixture, Mixture, MixtureImputer, told
from mixtura.background import Background, Box
from mixtura.rows import InMemory, Rows

FROZEN = json.loads((Path(__file__).with_name("oracle") / "incomplete.json").read_text())
RUNS = [
    pytest.param(name, run, id=f"{name}-{run['model']}-{run['G']}")
    for name, one in FROZEN.items()
    for run in one["runs"]
    if run["status"] == "ok"
]

ERRORS = ("none", "one", "variances", "covariances", "directions")
"""No errors of measurement; the same for all rows; other variances, or covariances, for each row; along one direction
only."""


MANNERS = ("alike", "side by side", "one by one")


def look(manner, monkeypatch):
    """Let rows be looked at in this manner, whatever pays: in patterns of their own, patterns side by side, or one by
    one."""
    calls = 0.0 if manner == "alike" else 1e300
    monkeypatch.setattr(told, "CALLS", {True: calls, False: calls})
    monkeypatch.setattr(told, "FEW", (0.0 if manner == "side by side" else np.inf,) * 3)
    monkeypatch.setattr(told, "LEAST", 1)
    monkeypatch.setattr(told, "SIDE_BYTES", 1 << 14)  # several pieces, some of them parts of a pattern


@pytest.fixture(params=MANNERS)
def manner(request, monkeypatch):
    look(request.param, monkeypatch)
    return request.param


def frozen_rows(name):
    return np.array(FROZEN[name]["x"], dtype=np.float64)


def model(family, d):
    weights, means, covariances = start(family, d)
    kind = np.array([np.diag(one) for one in covariances]) if family.endswith("I") else covariances
    return Mixture(weights, means, kind)


def estimator(mixture, background=None):
    gm = GaussianMixture.from_mixture(mixture, "diag" if mixture.layout.diagonal is mixture.layout else "full")
    gm._publish(gm.mixture_, background, None, np.dtype(np.float64))
    return gm


def holes(n, d, *, seed=0, part=0.4):
    """Rows some entries of which are missing, of a few all, of a few none."""
    X = blobs(n, d, seed=seed)
    gone = np.random.default_rng(seed).random(X.shape) < part
    gone[:3], gone[3:6] = True, False
    return np.where(gone, np.nan, X)


def errors(kind, n, d):
    rng = np.random.default_rng(3)
    if kind == "none":
        return None
    if kind == "one":
        return rng.uniform(0.1, 1.0, d)
    if kind == "variances":
        return rng.uniform(0.0, 1.0, (n, d))
    half = rng.normal(size=(n, d, d if kind == "covariances" else 1)) * 0.4
    return half @ half.transpose(0, 2, 1)


def error_matrices(error, n, d):
    if error is None:
        return np.zeros((n, d, d))
    if error.ndim == 3:
        return error
    return np.broadcast_to(error, (n, d))[:, :, None] * np.eye(d)


def told_of(mixture, x, error):
    """Posterior (K,), conditional means (K, m) and covariances (K, m, m) of what one row does not tell."""
    o, m = ~np.isnan(x), np.isnan(x)
    log, means, covariances = [], [], []
    for weight, mean, S in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        T = S[np.ix_(o, o)] + error[np.ix_(o, o)]
        log.append(np.log(weight) + (multivariate_normal.logpdf(x[o], mean[o], T) if o.any() else 0.0))
        gain = S[np.ix_(m, o)] @ np.linalg.inv(T) if o.any() else np.zeros((m.sum(), 0))
        means.append(mean[m] + gain @ (x[o] - mean[o]))
        covariances.append(S[np.ix_(m, m)] - gain @ S[np.ix_(o, m)])
    return np.exp(log - logsumexp(log)), np.array(means), np.array(covariances)


def written_out(mixture, X, error=None):
    """X with E[x_m | told] in place of what is missing, row by row."""
    n, d = X.shape
    out = X.copy()
    for row, matrix in zip(out, error_matrices(error, n, d), strict=True):
        share, means, _ = told_of(mixture, row, matrix)
        row[np.isnan(row)] = share @ means
    return out


def manners(mixture, X, error=None):
    """How the incomplete rows are looked at."""
    found = np.isnan(X)
    noise = None if error is None else np.broadcast_to(error, X.shape) if np.ndim(error) < 3 else error
    incomplete = np.flatnonzero(found.any(axis=1))
    return {piece.manner for piece in told.pieces(InMemory(Rows(X, missing=found, noise=noise), incomplete), mixture)}


# the mean


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_frozen_conditional_expectations(name, run):
    X, kind = frozen_rows(name), "diag" if run["model"] == "VVI" else "full"
    mixture = Mixture(run["pro"], run["mean"], run["sigma"])
    filled = GaussianMixture.from_mixture(mixture, kind).impute(X)
    rows, scale = run["imputed_rows"], np.sqrt(np.diag(mixture.cov))
    assert np.isnan(X[rows]).any(axis=1).all()
    np.testing.assert_allclose(filled[rows] / scale, np.array(run["imputed"]) / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(FROZEN))
def test_a_gaussian_that_is_fitted_fills_in_as_the_frozen_one(name):
    X, run = frozen_rows(name), FROZEN[name]["runs"][0]
    assert (run["model"], run["G"]) == ("VVV", 1)
    filled = MixtureImputer().fit_transform(X)[run["imputed_rows"]]
    # The frozen one stopped where the gradient was 5e-4 of a deviation.
    np.testing.assert_allclose(filled / np.nanstd(X, axis=0), run["imputed"] / np.nanstd(X, axis=0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "EII"])
def test_the_mean_is_the_formula_row_by_row(family, kind, d):
    mixture, X = model(family, d), holes(60, d)
    error = errors(kind, *X.shape)
    filled = estimator(mixture).impute(X, error_covariance=error)
    np.testing.assert_allclose(filled, written_out(mixture, X, error), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI"])
def test_rows_that_are_alike_are_filled_in_as_by_themselves(family, kind, monkeypatch):
    mixture = model(family, 3)
    X = holes(400, 3)
    error = errors(kind, 400, 3)
    if error is not None and error.ndim > 1:  # of two rows in turn, so that many are alike
        error = error[np.arange(400) % 2]
    gm = estimator(mixture)
    results = []
    for manner in MANNERS:
        look(manner, monkeypatch)
        assert manner in manners(mixture, X, error) or family == "VVI"  # which has no patterns side by side
        filled = gm.impute(X, error_covariance=error)
        draws = gm.impute(X, strategy="draw", error_covariance=error, random_state=1)
        results.append((filled, draws))
    np.testing.assert_allclose(results[0][0], written_out(mixture, X, error), rtol=1e-9, atol=1e-9)
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-9, atol=1e-9)


def test_a_row_that_tells_nothing_has_the_mean_of_the_mixture():
    mixture = model("VVV", 3)
    nothing = np.full((2, 3), np.nan)
    np.testing.assert_allclose(estimator(mixture).impute(nothing), [mixture.mean] * 2, rtol=1e-12)


def test_what_one_feature_says_of_another_by_hand():
    gm = GaussianMixture.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
    np.testing.assert_allclose(gm.impute([[3.0, np.nan]]), [[3.0, 2.0 + 1.0 / 4.0 * 2.0]], rtol=1e-14)
    # With an error of variance 4 the first feature says half as much, and stays as it is.
    filled = gm.impute([[3.0, np.nan]], error_covariance=[4.0, 0.0])
    np.testing.assert_allclose(filled, [[3.0, 2.0 + 1.0 / 8.0 * 2.0]], rtol=1e-14)


def test_many_components_far_apart():
    means = np.arange(60.0)[:, None] * np.array([50.0, -80.0])
    gm = estimator(Mixture(np.full(60, 1 / 60), means, np.tile([[1.0, 0.5], [0.5, 1.0]], (60, 1, 1))))
    X = np.column_stack([means[:, 0] + 1.0, np.full(60, np.nan)])
    np.testing.assert_allclose(gm.impute(X)[:, 1], means[:, 1] + 0.5, rtol=1e-12)


# what comes out


@pytest.mark.parametrize("strategy", ["mean", "draw"])
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_there_stays_to_the_last_bit(strategy, kind, dtype):
    X = holes(200, 3).astype(dtype)
    X[10, 1], X[11, 1], X[12] = -0.0, np.finfo(dtype).smallest_subnormal, np.pi
    before = X.copy()
    filled = estimator(model("VVV", 3)).impute(X, strategy=strategy, error_covariance=errors(kind, 200, 3))
    there = ~np.isnan(X)
    assert filled.dtype == dtype
    assert filled[there].tobytes() == X[there].tobytes()
    assert np.isfinite(filled).all()
    assert X.tobytes() == before.tobytes()


def test_forms_of_arrays():
    gm = GaussianMixture.from_parameters([1.0], [[5.0]], [1.0], "spherical")
    for X, wanted in [
        (np.array([1.0, np.nan]), [1.0, 5.0]),
        ([[1.0], [None]], [[1.0], [5.0]]),
        (np.array([[1], [2]]), [[1.0], [2.0]]),
        (np.asfortranarray([[np.nan], [2.0]]), [[5.0], [2.0]]),
    ]:
        filled = gm.impute(X)
        assert filled.dtype == np.float64
        np.testing.assert_array_equal(filled, wanted)
    complete = np.array([[1.0], [2.0]])
    assert not np.shares_memory(gm.impute(complete), complete)


def test_float32_only_where_the_numbers_fit():
    gm = GaussianMixture.from_parameters([1.0], [[0.0, 1e60]], [[1.0, 1.0]], "diag")
    filled = gm.impute(np.array([[1.0, np.nan]], dtype=np.float32))
    assert filled.dtype == np.float64
    np.testing.assert_array_equal(filled, [[1.0, 1e60]])


@pytest.mark.parametrize("strategy", ["mean", "draw"])
def test_units_and_origin(strategy):
    X, unit, origin = holes(2000, 3), np.array([1e-9, 1.0, 1e6]), np.array([1e-6, -40.0, 1e12])
    mixture = model("VVV", 3)
    other = Mixture(mixture.weights, mixture.means * unit + origin, mixture.covariances * np.outer(unit, unit))
    one = estimator(mixture).impute(X, strategy=strategy, random_state=0)
    same = estimator(other).impute(X * unit + origin, strategy=strategy, random_state=0)
    np.testing.assert_allclose((same - origin) / unit, one, atol=1e-6)


@pytest.mark.parametrize("strategy", ["mean", "draw"])
@pytest.mark.parametrize("kind", ["none", "variances"])
def test_the_same_bits_for_any_number_of_threads(strategy, kind):
    X, settings = holes(40_000, 3), {"strategy": strategy, "random_state": 7}
    gm = estimator(model("VVV", 3))
    gm.set_params(engine="serial")
    one = gm.impute(X, error_covariance=errors(kind, *X.shape), **settings)
    for n_jobs in (2, 3):
        gm.set_params(engine="threads", n_jobs=n_jobs)
        assert gm.impute(X, error_covariance=errors(kind, *X.shape), **settings).tobytes() == one.tobytes()


def test_rows_far_out_are_filled_in(manner):
    gm = estimator(model("VVV", 2))
    X = np.array([[1e9, np.nan], [np.nan, -1e100], [1e155, np.nan]])
    for strategy in ("mean", "draw"):
        filled = gm.impute(X, strategy=strategy)
        assert np.isfinite(filled).all()
        filled = gm.impute(X, strategy=strategy, error_covariance=np.arange(6.0).reshape(3, 2))
        assert np.isfinite(filled).all()


# draws


def assert_moments(draws, share, means, covariances):
    """Mean and covariance of draws are those of a Gaussian mixture, within five of their standard errors."""
    n = len(draws)
    mean = share @ means
    away = means - mean
    cov = np.tensordot(share, covariances, axes=1) + (away * share[:, None]).T @ away
    error = np.sqrt(np.diag(cov) / n)
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * error).all()
    y = draws - mean
    products = y[:, :, None] * y[:, None, :]
    assert (np.abs(products.mean(axis=0) - cov) < 5 * products.std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI"])
def test_draws_have_the_moments_of_the_conditional_mixture(family, kind, manner):
    n, mixture = 40_000, model(family, 4)
    rows = np.array([[0.5, np.nan, -1.0, np.nan], [np.nan, np.nan, np.nan, 1.0], [np.nan] * 4])
    error = errors(kind, 3, 4)
    gm = estimator(mixture)
    for i, row in enumerate(rows):
        own = None if error is None else error if error.ndim == 1 else error[i : i + 1].repeat(n, axis=0)
        X = np.tile(row, (n, 1))
        if i < 2 and family != "VVI":  # rows that tell nothing have no pattern of their own
            assert manners(mixture, X, own) == {manner}
        draws = gm.impute(X, strategy="draw", error_covariance=own, random_state=i)
        gone = np.isnan(row)
        np.testing.assert_array_equal(draws[:, ~gone], X[:, ~gone])
        assert_moments(draws[:, gone], *told_of(mixture, row, error_matrices(error, 3, 4)[i]))


def test_draws_have_the_conditional_distribution():
    mixture, x = model("VVV", 2), np.array([0.3, np.nan])
    share, means, covariances = told_of(mixture, x, np.zeros((2, 2)))
    assert (share > 0.05).sum() > 1
    draws = estimator(mixture).impute(np.tile(x, (20_000, 1)), strategy="draw", random_state=0)[:, 1]
    deviations = np.sqrt(covariances[:, 0, 0])
    assert kstest(draws, lambda t: norm.cdf((t[:, None] - means[:, 0]) / deviations) @ share).pvalue > 1e-3


def test_draws_of_rows_from_the_mixture_are_rows_from_the_mixture():
    mixture = model("VVV", 3)
    X, _ = mixture.sample(50_000, rng=0)
    X[np.random.default_rng(1).random(X.shape) < 0.5] = np.nan
    draws = estimator(mixture).impute(X, strategy="draw", random_state=2)
    assert_moments(draws, mixture.weights, mixture.means, mixture.covariances)


def test_features_that_the_others_determine(manner):
    rng = np.random.default_rng(0)
    half = rng.normal(size=(2, 2, 2))
    base = half @ half.transpose(0, 2, 1) + np.eye(2)
    sums = np.vstack([np.eye(2), [[1.0, 1.0]], [[1.0, -1.0]]])  # four features of rank two, and next to nothing else
    covariances = sums @ base @ sums.T + 1e-12 * np.eye(4)
    means = rng.normal(size=(2, 2)) @ sums.T
    gm = estimator(Mixture([0.4, 0.6], means, covariances))
    complete = rng.normal(size=(600, 2)) @ sums.T
    X = complete.copy()
    X[:, 2:] = np.nan
    for strategy in ("mean", "draw"):
        np.testing.assert_allclose(gm.impute(X, strategy=strategy), complete, atol=1e-4)
    X[:, 1] = np.nan
    drawn = gm.impute(X, strategy="draw")
    np.testing.assert_allclose(drawn[:, 2:], drawn[:, :2] @ sums[2:].T, atol=1e-4)
    assert drawn[:, 1].std() > 0.5


def test_where_draws_come_from():
    X = np.full((20, 2), np.nan)
    gm, twin = (GaussianMixture(2, random_state=3).fit(blobs(300, 2)) for _ in range(2))
    first, second = (gm.impute(X, strategy="draw") for _ in range(2))
    assert (first != second).all()
    np.testing.assert_array_equal(twin.impute(X, strategy="draw"), first)  # fitted alike, drawn alike
    np.testing.assert_array_equal(twin.impute(X, strategy="draw"), second)
    np.testing.assert_array_equal(twin.sample(5)[0], gm.sample(5)[0])  # from the same stream
    for make in (lambda: 5, lambda: np.random.default_rng(5), lambda: np.random.RandomState(5)):
        one, two = (gm.impute(X, strategy="draw", random_state=make()) for _ in range(2))
        np.testing.assert_array_equal(one, two)
    rng = np.random.default_rng(0)
    assert (gm.impute(X, strategy="draw", random_state=rng) != gm.impute(X, strategy="draw", random_state=rng)).all()
    np.testing.assert_array_equal(gm.impute(X), gm.impute(X, random_state=1))


# the background


TURNED = np.array([[3.0, 3.0], [-1.0, 1.0]])
BOXES = {
    "upright": Box(
        np.array([-5.0, -4.0]), np.diag([12.0, 10.0]), np.log(120.0), np.log([12.0, 10.0]), np.array([-5.0, -4.0])
    ),
    "turned": Box(np.array([0.0, 0.0]), TURNED, np.log(6.0), np.log([3.5, 3.25]), np.array([-0.75, 0.25])),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("box", list(BOXES))
def test_the_background_is_uniform_on_the_bounding_box(box, kind):
    mixture, box = model("VVV", 2), BOXES[box]
    lengths = np.exp(box.log_lengths)
    gm = estimator(mixture, Background(0.3, box))
    X = np.array([[1.0, np.nan], [np.nan, 2.0], [-1.0, np.nan], [np.nan, np.nan]])
    error = errors(kind, 4, 2)
    matrices = error_matrices(error, 4, 2)
    filled = gm.impute(X, error_covariance=error)
    n = 40_000
    for i, x in enumerate(X):
        gone = np.isnan(x)
        share, means, covariances = told_of(mixture, x, matrices[i])
        o = ~gone
        inside = 0.7 * sum(
            w * (multivariate_normal.pdf(x[o], m[o], (S + matrices[i])[np.ix_(o, o)]) if o.any() else 1.0)
            for w, m, S in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        )
        behind = 0.3 / np.prod(lengths[o])
        share = np.append(share * inside, behind) / (inside + behind)
        middle, spread = (box.low + 0.5 * lengths)[gone], np.diag(lengths[gone] ** 2 / 12)
        means, covariances = np.vstack([means, middle]), np.concatenate([covariances, spread[None]])
        np.testing.assert_allclose(filled[i, gone], share @ means, rtol=1e-10)
        own = None if error is None else error if error.ndim == 1 else error[i : i + 1].repeat(n, axis=0)
        draws = gm.impute(np.tile(x, (n, 1)), strategy="draw", error_covariance=own, random_state=i)
        assert_moments(draws[:, gone], share, means, covariances)


@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_a_row_far_from_all_components_is_filled_in_from_the_background(correlation, tmp_path):
    rng = np.random.default_rng(0)
    clusters = rng.multivariate_normal([0.0, 0.0], [[1.0, correlation], [correlation, 1.0]], size=300)
    X = np.concatenate([clusters, clusters[:40] * 6.0 + [0.5, 0.2]])
    gm = GaussianMixture(1, noise=True, random_state=0).fit(X)
    assert np.array_equal(gm.background_.box.edges, np.diag(np.diag(gm.background_.box.edges))) == (correlation == 0)
    far = np.array([[1e6, np.nan], [np.nan, -1e6]])
    low, high = X.min(axis=0), X.max(axis=0)
    filled = gm.impute(far)
    np.testing.assert_allclose([filled[0, 1], filled[1, 0]], (0.5 * (low + high))[::-1], rtol=1e-9)
    draws = gm.impute(far.repeat(500, axis=0), strategy="draw", random_state=0)
    for values, j in ((draws[:500, 1], 1), (draws[500:, 0], 0)):
        assert kstest((values - low[j]) / (high[j] - low[j]), "uniform").pvalue > 1e-3
    again = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    np.testing.assert_array_equal(again.impute(far), filled)


def test_a_background_of_rows_with_missing_values():
    X = np.concatenate([holes(300, 2, part=0.2), np.random.default_rng(0).uniform(-30, 30, (40, 2))])
    gm = GaussianMixture(2, noise=True, random_state=0).fit(X)
    assert gm.noise_weight_ > 0.02
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    np.testing.assert_allclose(gm.background_.box.low, low, rtol=1e-12)
    np.testing.assert_allclose(gm.impute([[1e6, np.nan]])[0, 1], 0.5 * (low + high)[1], rtol=1e-9)


def test_a_file_without_the_sides_of_the_bounding_box(tmp_path):
    X = np.concatenate([blobs(300, 2), np.random.default_rng(0).uniform(-30, 30, (40, 2))])
    path = GaussianMixture(2, noise=True, random_state=0).fit(X).save(tmp_path / "model.json")
    document = json.loads(path.read_text())
    for key in ("low", "log_lengths"):
        del document["background"][key]
    path.write_text(json.dumps(document))
    box = GaussianMixture.load(path).background_.box
    corners = box.corner + np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) @ box.edges
    np.testing.assert_allclose(box.low, corners.min(axis=0), rtol=1e-12)
    np.testing.assert_allclose(box.middle, 0.5 * (corners.min(axis=0) + corners.max(axis=0)), rtol=1e-12)


# what is refused


def test_what_is_refused():
    gm = GaussianMixture().fit(blobs(50, 2))
    X = np.array([[0.0, np.nan]])
    with pytest.raises(ValueError, match=r"strategy must be one of mean, draw, got 'median'"):
        gm.impute(X, strategy="median")
    with pytest.raises(ValueError, match=r"strategy must be one of mean, draw, got None"):
        MixtureImputer(strategy=None).fit(X)
    with pytest.raises(ValueError, match="row 0, column 0 is inf"):
        gm.impute([[np.inf, np.nan]])
    with pytest.raises(ValueError, match="features"):
        gm.impute([[0.0, np.nan, 1.0]])
    with pytest.raises(ValueError, match="random_state must be"):
        gm.impute(X, strategy="draw", random_state="today")
    with pytest.raises(ValueError, match="columns of different names, got two called"):
        MixtureImputer().fit_transform(pd.DataFrame(holes(50, 2), columns=["a", "a"]))
    with pytest.raises(NotFittedError):
        GaussianMixture().impute(X)
    with pytest.raises(NotFittedError):
        MixtureImputer().transform(X)
    with pytest.raises(ValueError, match="column 1 has none: leave it out"):
        MixtureImputer().fit([[0.0, np.nan], [1.0, np.nan]])
    with pytest.raises(ValueError, match=r"X must have shape \(n, d\), got \(3,\)"):
        MixtureImputer().fit([0.0, np.nan, 1.0])


# frames


def polars():
    return pytest.importorskip("polars")


GONE = np.zeros((40, 4), dtype=bool)
GONE[::3, 1] = GONE[1::4, 2] = GONE[5, :3:2] = True
COMPLETE = pd.DataFrame(
    {
        "count": np.arange(40, dtype=np.int16) % 7,
        "height": blobs(40, 2)[:, 0],
        "width": blobs(40, 2)[:, 1].astype(np.float32),
        "whole": (np.arange(40) * 37) % 11,
    }
)
COMPLETE["count"] = COMPLETE["count"].astype(np.int16)
GONE[5, 0] = False


def with_holes():
    frame = COMPLETE.copy()
    for j, name in enumerate(frame.columns):
        if GONE[:, j].any():
            frame.loc[GONE[:, j], name] = np.nan
    return frame


FRAMES = {
    "pandas": lambda: with_holes(),
    "pandas, rows named": lambda: with_holes().set_axis([f"r{i % 9}" for i in range(40)]),
    "pandas, rows with two names": lambda: with_holes().set_index(
        pd.MultiIndex.from_arrays([np.arange(40) // 2, np.arange(40) % 2], names=["a", "b"])
    ),
    "pandas, nullable": lambda: with_holes().astype({"height": "Float64", "width": "Float32"}),
    "pandas, of Arrow": lambda: with_holes().astype(
        {"height": "double[pyarrow]", "width": "float[pyarrow]", "whole": "int64[pyarrow]"}
    ),
    "pandas, objects": lambda: with_holes().astype({"height": object}),
    "polars": lambda: polars().from_pandas(with_holes()),
    "polars, NaN": lambda: polars().from_pandas(with_holes(), nan_to_null=False),
    "arrow": lambda: pa.Table.from_pandas(with_holes(), preserve_index=False),
    "arrow, NaN": lambda: pa.Table.from_pandas(with_holes(), preserve_index=False).set_column(
        1, "height", pa.array(with_holes()["height"].to_numpy(), from_pandas=False)
    ),
}


def columns_of(frame):
    return list(frame.column_names if isinstance(frame, pa.Table) else frame.columns)


def column_of(frame, name):
    return np.asarray(frame[name].to_numpy())


def dtype_of(frame, name):
    return frame.schema.field(name).type if isinstance(frame, pa.Table) else frame[name].dtype


@pytest.mark.parametrize("strategy", ["mean", "draw"])
@pytest.mark.parametrize("kind", list(FRAMES))
def test_a_frame_comes_back_as_it_came(kind, strategy):
    X, same = FRAMES[kind](), FRAMES[kind]()
    imputer = MixtureImputer(strategy=strategy, random_state=0).fit(X)
    assert imputer.feature_names_in_.tolist() == list(COMPLETE)
    filled = imputer.transform(X)
    wanted = clone(imputer).fit(with_holes().to_numpy(np.float64)).transform(with_holes().to_numpy(np.float64))
    assert type(filled) is type(X)
    assert columns_of(filled) == list(COMPLETE)
    for j, name in enumerate(COMPLETE):
        gone, found = GONE[:, j], column_of(filled, name).astype(np.float64)
        assert found[~gone].tobytes() == COMPLETE[name].to_numpy()[~gone].astype(np.float64).tobytes()
        np.testing.assert_allclose(found[gone], wanted[gone, j], rtol=1e-6 if name == "width" else 1e-12)
        if kind != "pandas, objects" or name != "height":
            assert dtype_of(filled, name) == dtype_of(X, name)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_index_equal(filled.index, X.index)
        pd.testing.assert_frame_equal(X, same)  # what came in is as it was
    else:
        for name in COMPLETE:
            np.testing.assert_array_equal(column_of(X, name), column_of(same, name))


@pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
def test_whole_numbers_with_holes_become_floats(make):
    frame = pd.DataFrame({"a": pd.array([1, None, 3, 5], dtype="Int64"), "b": [1, 2, 4, 4]})
    X = {
        "pandas": lambda: frame,
        "polars": lambda: polars().from_pandas(frame),
        "arrow": lambda: pa.Table.from_pandas(frame),
    }
    X = X[make]()
    filled = MixtureImputer().fit_transform(X)
    a = column_of(filled, "a").astype(float)
    np.testing.assert_array_equal(a[[0, 2, 3]], [1.0, 3.0, 5.0])
    assert 1 < a[1] < 3
    assert dtype_of(filled, "b") == dtype_of(X, "b")


def test_frames_with_nothing_missing_are_copies():
    frame = pd.DataFrame(blobs(30, 2), columns=["a", "b"])
    filled = MixtureImputer().fit_transform(frame)
    pd.testing.assert_frame_equal(filled, frame)
    filled.iloc[0, 0] = 99.0
    assert frame.iloc[0, 0] != 99.0


def test_a_frame_whose_columns_are_numbered():
    X = pd.DataFrame(holes(40, 3))
    filled = GaussianMixture().fit(X).impute(X)
    assert filled.columns.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(filled.to_numpy(), GaussianMixture().fit(X.to_numpy()).impute(X.to_numpy()))


@pytest.mark.parametrize("wanted", ["pandas", "polars"])
@pytest.mark.parametrize("kind", ["array", "pandas, rows named", "polars", "arrow"])
def test_set_output(kind, wanted):
    pl = polars() if "polars" in (kind, wanted) else None
    X = with_holes().to_numpy(np.float64) if kind == "array" else FRAMES[kind]()
    imputer = MixtureImputer().fit(X).set_output(transform=wanted)
    filled = imputer.transform(X)
    assert isinstance(filled, pd.DataFrame if wanted == "pandas" else pl.DataFrame)
    assert list(filled.columns) == imputer.get_feature_names_out().tolist()
    assert list(filled.columns) == (["x0", "x1", "x2", "x3"] if kind == "array" else list(COMPLETE))
    np.testing.assert_allclose(filled.to_numpy().astype(float)[~GONE], COMPLETE.to_numpy()[~GONE])
    if kind == "pandas, rows named" and wanted == "pandas":
        pd.testing.assert_index_equal(filled.index, X.index)
    default = imputer.set_output(transform="default").transform(X)
    assert type(default) is type(X)


def test_names_are_compared():
    X = with_holes()
    imputer = MixtureImputer().fit(X)
    with pytest.raises(ValueError, match="feature names"):
        imputer.transform(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="MixtureImputer is expecting 4 features"):
        MixtureImputer().fit(X.to_numpy()).transform(X.to_numpy()[:, :3])
    assert imputer.estimator_.feature_names_in_.tolist() == list(COMPLETE)
    assert not hasattr(imputer.fit(X.to_numpy()), "feature_names_in_")


# scikit-learn


@parametrize_with_checks([MixtureImputer(), MixtureImputer(strategy="draw"), MixtureImputer(covariance_type="tied")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_every_argument_reaches_the_mixture():
    imputer = MixtureImputer(2, "diag", "draw", 3).fit(holes(300, 2))
    assert imputer.get_params() == {"n_components": 2, "covariance_type": "diag", "strategy": "draw", "random_state": 3}
    gm = GaussianMixture(2, covariance_type="diag", random_state=3).fit(holes(300, 2))
    np.testing.assert_array_equal(imputer.mixture_.means, gm.means_)
    assert imputer.mixture_ is imputer.estimator_.mixture_
    assert imputer.n_features_in_ == 2


def test_calls_after_a_fit_draw_anew_and_repeatably():
    X = holes(300, 2)
    imputer, twin = (MixtureImputer(strategy="draw", random_state=0).fit(X) for _ in range(2))
    calls = [imputer.transform(X) for _ in range(2)]
    gone = np.isnan(X)
    assert (calls[0] != calls[1])[gone].all()
    for call in calls:
        np.testing.assert_array_equal(twin.transform(X), call)
    np.testing.assert_array_equal(imputer.fit_transform(X), calls[0])


@pytest.mark.parametrize("strategy", ["mean", "draw"])
def test_pickle_keeps_every_bit(strategy):
    X = holes(300, 2)
    imputer = MixtureImputer(2, strategy=strategy, random_state=0).fit(X)
    back = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(back.transform(X), imputer.transform(X))


def test_a_failed_fit_keeps_the_last_one():
    imputer = MixtureImputer()
    with pytest.raises(ValueError, match="inf"):
        imputer.fit([[np.inf, 1.0, 2.0]])
    with pytest.raises(NotFittedError):
        imputer.transform([[1.0, 2.0, 3.0]])
    X = holes(50, 2)
    filled = imputer.fit(X).transform(X)
    with pytest.raises(ValueError, match="inf"):
        imputer.fit([[np.inf, 1.0, 2.0]])
    np.testing.assert_array_equal(imputer.transform(X), filled)


def test_new_rows_need_no_value_in_each_column():
    imputer = MixtureImputer().fit(holes(100, 2))
    filled = imputer.transform([[1.0, np.nan], [2.0, np.nan]])
    assert np.isfinite(filled).all()


def test_weights_are_repeated_rows():
    X, weight = holes(200, 2), np.random.default_rng(0).integers(0, 4, 200)
    one = MixtureImputer(2, random_state=0).fit(X, sample_weight=weight)
    same = GaussianMixture(
        2,
        weights_init=one.mixture_.weights,
        means_init=one.mixture_.means,
        covariances_init=one.mixture_.covariances,
        max_iter=1000,
        tol=1e-9,
    ).fit(X.repeat(weight, axis=0))
    np.testing.assert_allclose(one.transform(X), same.impute(X), atol=1e-2)


def test_a_grid_search_over_a_pipeline():
    iris = load_iris(as_frame=True)
    X = iris.data.mask(np.random.default_rng(0).random(iris.data.shape) < 0.3)
    pipe = make_pipeline(MixtureImputer(random_state=0), LogisticRegression(max_iter=2000))
    search = GridSearchCV(pipe, {"mixtureimputer__n_components": [1, 3]}, cv=3, error_score="raise")
    with unwarned():
        search.fit(X, iris.target)
    assert search.best_score_ > 0.8
    assert search.predict(X).shape == (150,)
    fitted = search.best_estimator_
    assert fitted[:-1].get_feature_names_out().tolist() == list(X)
    assert isinstance(fitted[:-1].transform(X), pd.DataFrame)


def test_names_are_missed_once_and_in_the_name_of_the_imputer():
    X = load_iris(as_frame=True).data
    imputer = MixtureImputer().fit(X)
    with pytest.warns(UserWarning, match="MixtureImputer was fitted with feature names") as caught:
        imputer.transform(X.to_numpy())
    assert len(caught) == 1


def test_it_is_exported():
    assert "MixtureImputer" in mixtura.__all__


def test_an_arrow_table_that_came_from_pandas_goes_back() -> None:
    n = pd.array([1, 3, None, 7, 9, 10], dtype="Int64")
    frame = pd.DataFrame({"a": [0.5, 1, 2, 3, 4, 5.5], "n": n}, index=pd.Index([3, 5, 8, 9, 10, 12], name="a row"))
    table = pa.Table.from_pandas(frame).select(["a", "n"])
    filled = GaussianMixture(1).fit(table).impute(table)
    back = filled.to_pandas()
    assert back["n"].dtype == np.float64
    np.testing.assert_array_equal(back["n"], filled.column("n").to_numpy())
    np.testing.assert_array_equal(back["a"], frame["a"])
