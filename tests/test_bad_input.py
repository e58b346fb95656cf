"""Bad input: a ValueError of one sentence that says what was expected, what came and what to do."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from cases import TYPES, blobs
from mixtura import GaussianMixture, Mixture

X = blobs(20, 2)
MEANS = [[0.0, 0.0], [1.0, 1.0]]
UNIT = np.array([np.eye(2), np.eye(2)])


def fit(rows=X, *, sample_weight=None, **settings):
    return GaussianMixture(**{"n_components": 2, **settings}).fit(rows, sample_weight=sample_weight)


def with_entry(value, row=7, column=1, rows=X):
    changed = rows.copy()
    changed[row, column] = value
    return changed


def weights_with(value, row=3):
    w = np.ones(len(X))
    w[row] = value
    return w


BAD_ROWS = {
    "inf": (with_entry(np.inf), ["finite", "row 7", "column 1", "inf"]),
    "minus inf": (with_entry(-np.inf), ["finite", "row 7", "column 1", "-inf"]),
    "nan in all of a column": (X * [1.0, np.nan], ["column 1", "value"]),
    "inf far down": (with_entry(np.inf, 150_000, 0, blobs(200_000, 2)), ["row 150000", "column 0"]),
    "inf in float32": (with_entry(np.inf, rows=X.astype(np.float32)), ["row 7", "column 1"]),
    "inf in a named column": (
        pd.DataFrame(with_entry(np.inf), columns=["height", "width"]),
        ["row 7", "column 1", "width"],
    ),
    "empty": (np.empty((0, 2)), ["0 sample"]),
    "empty list": ([], ["0 sample|0 feature|shape"]),
    "no features": (np.empty((5, 0)), ["0 feature"]),
    "3-D": (np.zeros((4, 2, 2)), ["dim 3|3-D|\\(4, 2, 2\\)", "2|two"]),
    "a number": (3.0, ["2D|shape|scalar"]),
    "complex": (X + 1j, ["[Cc]omplex"]),
    "strings": (np.full((5, 2), "tall"), ["number|string|convert"]),
    "None": (np.full((5, 2), None), ["column 0", "value"]),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_rows(bad):
    rows, words = BAD_ROWS[bad]
    assert_says(words, fit, rows)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "icl"])
@pytest.mark.parametrize("bad", ["inf", "inf far down", "empty", "3-D"])
def test_rows_after_the_fit(bad, method):
    rows, words = BAD_ROWS[bad]
    assert_says(words, getattr(fit(), method), rows)


@pytest.mark.parametrize("factor", [1e154, 1e200, 1e307, 1e-160, 1e-200, 1e-310])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_units_whose_squares_are_no_float64(covariance_type, factor):
    # Variances overflow or vanish: a model all the same, or a sentence that says so.
    gm = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    refusal = ""
    try:
        gm.fit(X * factor)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert_in(["unit|scale|large|small|square"], refusal)
    else:
        assert np.isfinite(gm.loglik_)
        assert np.isfinite(gm.predict_proba(X * factor)).all()


def test_another_number_of_features():
    assert_says(["3 features", "2 features"], fit().predict, blobs(5, 3))
    assert_says(["2", "3"], Mixture([1.0], [[0.0, 0.0]], [1.0]).logpdf, blobs(5, 3))


def test_a_mixture_refuses_inf():
    assert_says(["row 7", "column 1", "inf"], Mixture([1.0], [[0.0, 0.0]], [1.0]).logpdf, with_entry(np.inf))


BAD_SETTINGS = {
    "no components": ({"n_components": 0}, ["n_components", "1", "got 0"]),
    "negative components": ({"n_components": -3}, ["n_components", "-3"]),
    "fractional components": ({"n_components": 2.5}, ["n_components", "integer", "2.5"]),
    "components as text": ({"n_components": "2"}, ["n_components", "integer", "'2'"]),
    "components as bool": ({"n_components": True}, ["n_components", "integer", "True"]),
    "no such type": (
        {"covariance_type": "diagonal"},
        ["covariance_type", "'diagonal'", *(rf"\b{name}\b" for name in TYPES)],
    ),
    "type is no text": ({"covariance_type": 3}, ["covariance_type", "3", "full"]),
    "no such mixing": ({"mixing": "fixed"}, ["mixing", "'fixed'", "free", "equal"]),
    "negative tol": ({"tol": -1e-3}, ["tol", "-0.001"]),
    "nan tol": ({"tol": np.nan}, ["tol", "nan"]),
    "tol as text": ({"tol": "small"}, ["tol", "'small'"]),
    "negative max_iter": ({"max_iter": -1}, ["max_iter", "-1"]),
    "fractional max_iter": ({"max_iter": 10.5}, ["max_iter", "10.5"]),
    "n_init": ({"n_init": 0}, ["n_init", "0"]),
    "n_init as text": ({"n_init": "many"}, ["n_init", "'many'", "auto"]),
    "no such init": ({"init": "k-mean"}, ["init", "'k-mean'", r"k-means\+\+", "random_from_data"]),
    "no such engine": ({"engine": "gpu"}, ["engine", "'gpu'", "serial", "threads"]),
    "n_jobs": ({"n_jobs": 0}, ["n_jobs", "0"]),
    "fractional n_jobs": ({"n_jobs": 1.5}, ["n_jobs", "1.5"]),
    "random_state": ({"random_state": "seed"}, ["random_state", "'seed'"]),
    "verbose as text": ({"verbose": "loud"}, ["verbose", "'loud'"]),
    "negative random_state": ({"random_state": -1}, ["random_state", "-1"]),
}


@pytest.mark.parametrize("bad", BAD_SETTINGS)
def test_settings(bad):
    settings, words = BAD_SETTINGS[bad]
    assert_says(words, fit, **settings)


BAD_WEIGHTS = {
    "negative": (weights_with(-2.5), ["sample_weight", "negative", "-2.5", "row 3"]),
    "nan": (weights_with(np.nan), ["sample_weight", "nan|NaN", "3"]),
    "inf": (weights_with(np.inf), ["sample_weight", "inf", "3"]),
    "too few": (np.ones(19), ["sample_weight", r"\(20,\)", r"\(19,\)"]),
    "none": ([], ["sample_weight", r"\(20,\)", r"\(0,\)"]),
    "two columns": (np.ones((20, 2)), ["sample_weight", r"\(20,\)", r"\(20, 2\)"]),
    "all zero": (np.zeros(20), ["sample_weight", "positive", "0"]),
    "strings": (["heavy"] * 20, ["sample_weight", "number"]),
    "complex": (np.full(20, 1j), ["sample_weight", "real|number"]),
    "sum overflows": (np.full(20, 1e308), ["sample_weight", "finite|sum"]),
}


@pytest.mark.parametrize("bad", BAD_WEIGHTS)
def test_weights(bad):
    w, words = BAD_WEIGHTS[bad]
    assert_says(words, fit, sample_weight=w)
    assert_says(words, fit().score, X, sample_weight=w)
    assert_says(words, fit().bic, X, sample_weight=w)


NOT_POSITIVE = np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
LOPSIDED = np.array([np.eye(2), [[1.0, 0.5], [0.0, 1.0]]])

BAD_STARTS = {
    "weights of the wrong size": ({"weights_init": [0.5, 0.3, 0.2]}, ["weights", r"\(2,\)", r"\(3,\)"]),
    "weights with another sum": ({"weights_init": [0.5, 0.6]}, ["weights", "sum", "1.1"]),
    "negative weights": ({"weights_init": [1.5, -0.5]}, ["weights", "negative", "-0.5"]),
    "nan weights": ({"weights_init": [np.nan, 0.5]}, ["weights", "finite", "nan"]),
    "too many means": ({"means_init": np.zeros((3, 2))}, ["means", r"\(2, 2\)", r"\(3, 2\)"]),
    "means of other features": ({"means_init": np.zeros((2, 3))}, ["means", r"\(2, 2\)", r"\(2, 3\)"]),
    "infinite means": ({"means_init": [[0, 0], [np.inf, 1]]}, ["means", "finite", "inf"]),
    "covariances of the wrong shape": (
        {"covariances_init": np.ones((2, 3, 3))},
        ["covariances_init", r"\(2, 2, 2\)", r"\(2, 3, 3\)"],
    ),
    "covariances not positive definite": (
        {"covariances_init": NOT_POSITIVE},
        ["covariances_init", "positive definite", "component 1"],
    ),
    "covariances not symmetric": (
        {"covariances_init": LOPSIDED},
        ["covariances_init", "symmetric", "component 1"],
    ),
    "nan covariances": ({"covariances_init": UNIT * np.nan}, ["covariances_init", "finite", "nan"]),
    "zero variances": (
        {"covariances_init": [[1.0, 1.0], [1.0, 0.0]], "covariance_type": "diag"},
        ["covariances_init", "positive", "component 1", "feature 1"],
    ),
    "negative variance": (
        {"covariances_init": [1.0, -2.0], "covariance_type": "spherical"},
        ["covariances_init", "positive", "component 1", "-2"],
    ),
    "tied not positive definite": (
        {"covariances_init": NOT_POSITIVE[1], "covariance_type": "tied"},
        ["covariances_init", "positive definite"],
    ),
    "precisions not positive definite": (
        {"precisions_init": NOT_POSITIVE},
        ["precisions_init", "positive definite", "component 1"],
    ),
    "precisions of the wrong shape": (
        {"precisions_init": np.ones((2, 3))},
        ["precisions_init", r"\(2, 3\)"],
    ),
    "covariances and precisions": (
        {"covariances_init": UNIT, "precisions_init": UNIT},
        ["covariances_init", "precisions_init", "both"],
    ),
    "too few labels": ({"labels_init": [0, 1]}, ["labels", "20", r"\(2,\)"]),
    "a label too large": ({"labels_init": [0, 1] * 9 + [2, 0]}, ["labels", "from 0 to 1", "got 2", "row 18"]),
    "a negative label": ({"labels_init": [-1, 1] * 10}, ["labels", "-1", "row 0"]),
    "fractional labels": ({"labels_init": [0.5, 1] * 10}, ["labels", "integer", "0.5"]),
    "nan labels": ({"labels_init": [np.nan, 1] * 10}, ["labels", "integer", "nan"]),
    "labels as text": ({"labels_init": ["a", "b"] * 10}, ["labels", "numbers of components", "'a'"]),
    "responsibilities of the wrong shape": (
        {"responsibilities_init": np.full((20, 3), 1 / 3)},
        ["responsibilities", r"\(20, 2\)", r"\(20, 3\)"],
    ),
    "responsibilities with another sum": (
        {"responsibilities_init": np.full((20, 2), 0.6)},
        ["responsibilities", "sum", "0.6", "row 0"],
    ),
    "negative responsibilities": (
        {"responsibilities_init": np.tile([1.5, -0.5], (20, 1))},
        ["responsibilities", "negative", "-0.5", "row 0"],
    ),
    "a callable that returns too little": (
        {"init": lambda rows, k, rng: np.ones((3, k)) / k},
        ["responsibilities", r"\(20, 2\)", r"\(3, 2\)"],
    ),
    "two starts": (
        {"labels_init": [0, 1] * 10, "responsibilities_init": np.full((20, 2), 0.5)},
        ["labels_init", "responsibilities_init"],
    ),
    "init of three dimensions": ({"init": np.zeros((20, 2, 2))}, [r"\(20, 2\)", r"\(20, 2, 2\)"]),
}


@pytest.mark.parametrize("bad", BAD_STARTS)
def test_starts(bad):
    settings, words = BAD_STARTS[bad]
    assert_says(words, fit, **settings)
    with pytest.raises(ValueError, match=words[0]):
        next(iter(GaussianMixture(**{"n_components": 2, **settings}).fit_iter(X)))


BAD_PARAMETERS = {
    "weights": (([0.5, 0.6], MEANS, UNIT), ["weights", "sum", "1.1"]),
    "means": (([0.5, 0.5], [[0.0, 0.0]], UNIT), ["means", r"\(2, d\)", r"\(1, 2\)"]),
    "covariances": (([0.5, 0.5], MEANS, np.ones((2, 3))), ["covariances", r"\(2, 2, 2\)", r"\(2, 3\)"]),
    "indefinite": (([0.5, 0.5], MEANS, NOT_POSITIVE), ["positive definite", "component 1"]),
    "no components": (([], [], []), ["weights", r"\(0,\)"]),
}


@pytest.mark.parametrize("make", [Mixture, GaussianMixture.from_parameters])
@pytest.mark.parametrize("bad", BAD_PARAMETERS)
def test_parameters(bad, make):
    arguments, words = BAD_PARAMETERS[bad]
    assert_says(words, make, *arguments)


@pytest.mark.parametrize("n", [-1, 2.5, "3", None])
def test_numbers_of_draws(n):
    assert_says(["n", re.escape(repr(n))], fit().sample, n)
    assert_says(["n", re.escape(repr(n))], Mixture([1.0], [[0.0]], [1.0]).sample, n)


def test_features_of_a_marginal():
    mixture = Mixture([1.0], [[0.0, 0.0]], [1.0])
    assert_says(["0 to 1", "2"], mixture.marginal, [0, 2])
    assert_says(["distinct"], mixture.marginal, [0, 0])


# files


def test_a_model_file_that_is_missing(tmp_path):
    for load in (GaussianMixture.load, Mixture.load):
        assert_says(["missing.json"], load, tmp_path / "missing.json")


@pytest.mark.parametrize("content", ["", "not a model", "[]", "{}", '{"format": "other/1"}'])
def test_a_file_that_is_no_model(content, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(content)
    for load in (GaussianMixture.load, Mixture.load):
        assert_says(["model.json"], load, path)


@pytest.mark.parametrize("key", ["weights", "means", "covariances"])
@pytest.mark.parametrize("value", [None, [], "text", [float("nan")], [[1.0]]])
def test_a_damaged_model_file(key, value, tmp_path):
    path = fit(max_iter=100).save(tmp_path / "model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    for load in (GaussianMixture.load, Mixture.load):
        assert_says([f"{key}|NaN"], load, path)


def test_an_indefinite_covariance_in_a_model_file(tmp_path):
    path = fit(max_iter=100).save(tmp_path / "model.json")
    document = json.loads(path.read_text())
    document["covariances"] = NOT_POSITIVE.tolist()
    path.write_text(json.dumps(document))
    for load in (GaussianMixture.load, Mixture.load):
        assert_says(["positive definite", "component 1"], load, path)


# what goes wrong leaves nothing behind


def test_a_failed_fit_keeps_the_last_one():
    gm = fit(random_state=0)
    labels = gm.predict(X)
    with pytest.raises(ValueError, match="row 7"):
        gm.fit(with_entry(np.inf))
    np.testing.assert_array_equal(gm.predict(X), labels)


def test_a_mixture_cannot_be_changed():
    mixture = Mixture([0.5, 0.5], MEANS, UNIT)
    for name in ("weights", "means", "covariances"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(mixture, name)[0] = 0.0
        with pytest.raises(AttributeError):
            setattr(mixture, name, None)


def test_a_mixture_keeps_its_own_copy():
    weights, means, covariances = np.array([0.5, 0.5]), np.array(MEANS), UNIT.copy()
    mixture = Mixture(weights, means, covariances)
    weights[0] = means[0] = covariances[0] = 9.0
    np.testing.assert_array_equal(mixture.weights, [0.5, 0.5])
    np.testing.assert_array_equal(mixture.means, MEANS)
    np.testing.assert_array_equal(mixture.covariances, UNIT)


def assert_in(words, message):
    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"


def assert_says(words, call, *arguments, **named):
    """A ValueError, in one line, in which every one of ``words`` (patterns) occurs."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  what it must match follows
        call(*arguments, **named)
    message = str(caught.value)
    assert_in(words, message)
    # scikit-learn's own words for shapes that are not those of rows go on over several lines
    if "sklearn" not in caught.traceback[-1].path.parts:
        assert "\n" not in message, message
        assert len(message) < 500, message
