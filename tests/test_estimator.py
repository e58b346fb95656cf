"""GaussianMixture as a scikit-learn estimator: its checks, its tools, its numbers, and what only ours has."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Theirs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

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
from mixtura import GaussianMixture, Mixture

X = blobs(400, 2)
INITS = ("auto", "k-means++", "kmeans", "random", "random_from_data")


def test_every_constructor_argument_is_kept_as_it_is():
    marker = object()
    names = GaussianMixture().get_params()
    gm = GaussianMixture(**dict.fromkeys(names, marker))
    assert all(getattr(gm, name) is marker for name in names)


@parametrize_with_checks([GaussianMixture(), *(GaussianMixture(covariance_type=one) for one in TYPES)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# scikit-learn's tools


def test_clone_and_set_params():
    gm = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    twin = clone(gm)
    assert twin.get_params() == gm.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X)
    twin.set_params(n_components=3, covariance_type="VVV").fit(X)
    assert twin.covariances_.shape == (3, 2, 2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_pickle_keeps_every_bit(covariance_type):
    gm = GaussianMixture(2, covariance_type=covariance_type, random_state=0, trace=True).fit(X)
    back = pickle.loads(pickle.dumps(gm))
    np.testing.assert_array_equal(back.score_samples(X), gm.score_samples(X))
    np.testing.assert_array_equal(back.predict_proba(X), gm.predict_proba(X))
    np.testing.assert_array_equal(back.sample(5)[0], gm.sample(5)[0])
    assert back.loglik_ == gm.loglik_
    assert back.stop_reason_ is gm.stop_reason_


def test_pipeline():
    pipe = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(X)
    assert pipe.predict(X).shape == (400,)
    assert np.isfinite(pipe.score(X))


def test_grid_search():
    grid = {"n_components": [1, 2, 3], "covariance_type": ["full", "spherical"]}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3, error_score="raise").fit(X)
    assert search.best_estimator_.n_components > 1
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


def test_names_of_features():
    frame = pd.DataFrame(X, columns=["height", "width"])
    gm = GaussianMixture(2, random_state=0).fit(frame)
    assert gm.feature_names_in_.tolist() == ["height", "width"]
    assert gm.n_features_in_ == 2
    np.testing.assert_array_equal(gm.predict(frame), GaussianMixture(2, random_state=0).fit_predict(X))
    with pytest.raises(ValueError, match="feature names"):
        gm.predict(frame[["width", "height"]])
    assert not hasattr(gm.fit(X), "feature_names_in_")


def test_one_dimensional_x_is_one_feature():
    x = X[:, 0]
    gm = GaussianMixture(2, random_state=0).fit(x)
    same = GaussianMixture(2, random_state=0).fit(x[:, None])
    np.testing.assert_array_equal(gm.means_, same.means_)
    np.testing.assert_array_equal(gm.predict(x), same.predict(x[:, None]))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16, bool, np.float16])
def test_other_dtypes_are_promoted(dtype):
    counts = np.random.default_rng(0).poisson(3.0, size=(300, 2)).astype(dtype)
    settings = {"covariance_type": "full", "random_state": 0}
    gm = unfinished(GaussianMixture(2, **settings), counts)
    same = unfinished(GaussianMixture(2, **settings), counts.astype(np.float64))
    np.testing.assert_array_equal(gm.means_, same.means_)
    np.testing.assert_array_equal(gm.score_samples(counts), same.score_samples(counts.astype(float)))


# scikit-learn's numbers


def theirs_like(gm, covariance_type):
    """scikit-learn's estimator around our parameters."""
    other = Theirs(len(gm.weights_), covariance_type=covariance_type)
    other.weights_, other.means_, other.covariances_ = gm.weights_, gm.means_, gm.covariances_
    other.precisions_, other.precisions_cholesky_ = gm.precisions_, gm.precisions_cholesky_
    other.n_features_in_ = gm.n_features_in_
    return other


@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("covariance_type", ALIASES)
def test_attributes_are_those_of_scikit_learn(covariance_type, n_features):
    rows = blobs(300, n_features)
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    theirs = Theirs(3, covariance_type=covariance_type, random_state=0).fit(rows)
    for name in ("weights", "means", "covariances", "precisions", "precisions_cholesky"):
        ours, other = getattr(gm, name + "_"), getattr(theirs, name + "_")
        assert ours.shape == other.shape, name
        assert ours.dtype == other.dtype, name
    other = theirs_like(gm, covariance_type)
    np.testing.assert_allclose(gm.score_samples(rows), other.score_samples(rows), rtol=1e-10)
    np.testing.assert_allclose(gm.predict_proba(rows), other.predict_proba(rows), atol=1e-10)
    np.testing.assert_array_equal(gm.predict(rows), other.predict(rows))
    assert gm.score(rows) == pytest.approx(other.score(rows), rel=1e-12)
    assert gm.bic(rows) == pytest.approx(other.bic(rows), rel=1e-12)
    assert gm.aic(rows) == pytest.approx(other.aic(rows), rel=1e-12)
    inverse = np.linalg.inv if covariance_type in ("full", "tied") else np.reciprocal
    np.testing.assert_allclose(gm.precisions_, inverse(gm.covariances_), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ALIASES)
@pytest.mark.parametrize("data", ["iris", "blobs"])
def test_the_same_optimum_from_the_same_start(data, covariance_type):
    rows = load_iris().data if data == "iris" else X
    settings = {"covariance_type": covariance_type, "reg_covar": 0}
    first = unfinished(Theirs(3, max_iter=1, random_state=0, **settings), rows)
    theirs = Theirs(
        3,
        weights_init=first.weights_,
        means_init=first.means_,
        precisions_init=first.precisions_,
        tol=1e-14,
        max_iter=20_000,
        **settings,
    ).fit(rows)
    gm = started(
        (first.weights_, first.means_, first.covariances_),
        covariance_type=covariance_type,
        tol=1e-10,
        max_iter=20_000,
    ).fit(rows)
    assert gm.loglik_ == pytest.approx(theirs.score(rows) * len(rows), rel=1e-8)
    np.testing.assert_allclose(gm.means_, theirs.means_, rtol=0, atol=1e-3)
    np.testing.assert_allclose(gm.weights_, theirs.weights_, rtol=0, atol=1e-3)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_one_component_is_the_closed_form(covariance_type):
    gm = GaussianMixture(1, covariance_type=covariance_type).fit(X)
    np.testing.assert_allclose(gm.means_[0], X.mean(axis=0), rtol=1e-12)
    family = ALIASES.get(covariance_type, covariance_type)
    covariance = np.cov(X.T, bias=True)
    if family.endswith("I"):
        covariance = np.diag(np.diagonal(covariance))
    if family.endswith("II"):
        covariance = np.eye(2) * np.trace(covariance) / 2
    np.testing.assert_allclose(gm.mixture_.covariances[0], covariance, rtol=1e-10, atol=1e-12)
    expected = multivariate_normal(X.mean(axis=0), covariance).logpdf(X).sum()
    assert gm.loglik_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_number_of_free_parameters(family, d, mixing):
    # Celeux & Govaert 1995, table 1
    K = 3
    covariance = {
        "EII": 1,
        "VII": K,
        "EEI": d,
        "VEI": K + d - 1,
        "EVI": 1 + K * (d - 1),
        "VVI": K * d,
        "EEE": d * (d + 1) // 2,
        "VEE": K + d - 1 + d * (d - 1) // 2,
        "EVE": 1 + K * (d - 1) + d * (d - 1) // 2,
        "VVE": K * d + d * (d - 1) // 2,
        "EEV": d + K * d * (d - 1) // 2,
        "VEV": K + d - 1 + K * d * (d - 1) // 2,
        "EVV": 1 + K * (d - 1) + K * d * (d - 1) // 2,
        "VVV": K * d * (d + 1) // 2,
    }[family]
    gm = GaussianMixture(K, covariance_type=family, mixing=mixing, random_state=0, tol=1)
    assert gm.fit(blobs(200, d)).df_ == covariance + K * d + (K - 1 if mixing == "free" else 0)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_shapes_of_covariances(covariance_type):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    shape = {"tied": (2, 2), "diag": (3, 2), "spherical": (3,)}.get(covariance_type, (3, 2, 2))
    assert gm.covariances_.shape == gm.precisions_.shape == shape
    assert gm.precisions_cholesky_.shape == shape
    matrices = gm.mixture_.covariances
    if covariance_type in FAMILIES:
        np.testing.assert_array_equal(gm.covariances_, matrices)
        identity = gm.precisions_ @ matrices
        np.testing.assert_allclose(identity, np.broadcast_to(np.eye(2), (3, 2, 2)), atol=1e-10)
        factors = gm.precisions_cholesky_
        np.testing.assert_allclose(factors @ factors.transpose(0, 2, 1), gm.precisions_, rtol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_the_family(family):
    S = GaussianMixture(3, covariance_type=family, random_state=0).fit(blobs(300, 3)).covariances_
    if "V" not in family:
        np.testing.assert_array_equal(S[1:], S[:-1])
    if family.startswith("E"):
        np.testing.assert_allclose(np.linalg.det(S), np.linalg.det(S[0]), rtol=1e-12)
    if family.endswith("I"):
        np.testing.assert_array_equal(S, S * np.eye(3))
    if family.endswith("II"):
        np.testing.assert_array_equal(S, S[:, :1, :1] * np.eye(3))


# criteria and draws


def test_integrated_completed_likelihood():
    gm = GaussianMixture(3, random_state=0).fit(X)
    joint = [
        np.log(w) + multivariate_normal(m, S).logpdf(X)
        for w, m, S in zip(gm.weights_, gm.means_, gm.covariances_, strict=True)
    ]
    # log-likelihood of rows and most probable components together: Biernacki, Celeux & Govaert 2000
    completed = np.max(joint, axis=0).sum()
    assert gm.icl(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * completed, rel=1e-10)


def test_criteria_count_weights():
    w = np.random.default_rng(0).integers(0, 4, size=len(X))
    gm = GaussianMixture(3, random_state=0).fit(X, sample_weight=w)
    repeated = np.repeat(X, w, axis=0)
    for name in ("bic", "aic", "icl"):
        criterion = getattr(gm, name)
        assert criterion(X, sample_weight=w) == pytest.approx(criterion(repeated), rel=1e-11), name
    assert gm.score(X, sample_weight=w) == pytest.approx(gm.score(repeated), rel=1e-11)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_sample(covariance_type):
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    n = 20_000
    rows, labels = gm.sample(n)
    assert rows.shape == (n, 2)
    assert labels.shape == (n,)
    share = np.bincount(labels, minlength=3) / n
    error = np.sqrt(gm.weights_ * (1 - gm.weights_) / n)
    assert (np.abs(share - gm.weights_) < 5 * error).all()
    for k in range(3):
        own, S = rows[labels == k], gm.mixture_.covariances[k]
        deviation = np.sqrt(np.diagonal(S))
        assert (np.abs(own.mean(axis=0) - gm.means_[k]) < 5 * deviation / np.sqrt(len(own))).all()
        off = np.abs(np.cov(own.T) - S) / np.outer(deviation, deviation)
        assert (off < 8 / np.sqrt(len(own))).all()
    # In random order, and other rows at every call.
    assert (np.diff(labels) < 0).any()
    assert not np.array_equal(rows, gm.sample(n)[0])


def test_sample_of_nothing_and_of_a_seed():
    gm = GaussianMixture(2, random_state=0).fit(X)
    rows, labels = gm.sample(0)
    assert rows.shape == (0, 2)
    assert labels.shape == (0,)
    again = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(again.sample(0)[0], rows)
    np.testing.assert_array_equal(again.sample(7)[0], gm.sample(7)[0])


def test_densities_and_labels_agree():
    gm = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_array_equal(gm.logpdf(X), gm.score_samples(X))
    np.testing.assert_allclose(gm.pdf(X), np.exp(gm.score_samples(X)), rtol=1e-14)
    np.testing.assert_array_equal(gm.predict(X), gm.predict_proba(X).argmax(axis=1))
    np.testing.assert_array_equal(gm.labels_, gm.predict(X))
    np.testing.assert_array_equal(gm.fit_predict(X), gm.labels_)


# starts


@pytest.mark.parametrize("covariance_type", TYPES)
def test_own_parameters_are_kept_exactly(covariance_type):
    family = ALIASES.get(covariance_type, covariance_type)
    weights, means, matrices = start(family, 2)
    given = {
        "tied": matrices[0],
        "diag": np.diagonal(matrices, axis1=1, axis2=2),
        "spherical": matrices[:, 0, 0],
    }.get(covariance_type, matrices)
    gm = started((weights, means, given), covariance_type=covariance_type, max_iter=0)
    mixture, _ = next(iter(gm.fit_iter(X)))
    for got, wanted in ((mixture.weights, weights), (mixture.means, means), (mixture.covariances, matrices)):
        np.testing.assert_array_equal(got, wanted)
    unfinished(gm, X)
    assert gm.n_iter_ == 0
    np.testing.assert_array_equal(gm.weights_, weights)
    np.testing.assert_array_equal(gm.means_, means)
    np.testing.assert_array_equal(gm.covariances_, given)
    expected = sum(w * multivariate_normal(m, S).pdf(X) for w, m, S in zip(weights, means, matrices, strict=True))
    assert gm.loglik_ == pytest.approx(np.log(expected).sum(), rel=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_own_precisions_are_inverted(covariance_type):
    fitted = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1).fit(X)
    gm = GaussianMixture(
        3,
        covariance_type=covariance_type,
        weights_init=fitted.weights_,
        means_init=fitted.means_,
        precisions_init=fitted.precisions_,
        max_iter=0,
    )
    unfinished(gm, X)
    np.testing.assert_allclose(gm.covariances_, fitted.covariances_, rtol=1e-10, atol=1e-14)
    assert gm.loglik_ == pytest.approx(fitted.loglik_, rel=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_fit_goes_on_from_its_own_attributes(covariance_type):
    settings = {"covariance_type": covariance_type, "accelerate": None, "tol": 0.0}
    means = start("VVV", 2)[1]
    first = unfinished(GaussianMixture(3, means_init=means, max_iter=3, **settings), X)
    second = unfinished(started((first.weights_, first.means_, first.covariances_), max_iter=4, **settings), X)
    together = unfinished(GaussianMixture(3, means_init=means, max_iter=7, **settings), X)
    assert_same_parameters(parameters(second), parameters(together), 1e-10)
    assert second.loglik_ == pytest.approx(together.loglik_, rel=1e-12)


def test_labels_and_responsibilities_are_the_first_m_step():
    labels = (X[:, 0] > 0).astype(int)
    resp = np.eye(2)[labels]
    models = [
        next(iter(GaussianMixture(2, **settings).fit_iter(X)))[0]
        for settings in (
            {"labels_init": labels},
            {"responsibilities_init": resp},
            {"init": labels},
            {"init": resp},
            {"init": lambda rows, k, rng: np.eye(k)[(rows[:, 0] > 0).astype(int)], "n_init": 1},
        )
    ]
    for mixture in models:
        np.testing.assert_allclose(mixture.weights, resp.mean(axis=0), rtol=1e-12)
        for k in range(2):
            own = X[labels == k]
            np.testing.assert_allclose(mixture.means[k], own.mean(axis=0), rtol=1e-10)
            np.testing.assert_allclose(mixture.covariances[k], np.cov(own.T, bias=True), rtol=1e-10)


def test_a_callable_gets_rows_components_and_randomness():
    seen = []

    def halves(rows, n_components, rng):
        assert rows.shape == X.shape
        assert isinstance(rng, np.random.Generator)
        seen.append(n_components)
        resp = rng.random((len(rows), n_components))
        return resp / resp.sum(axis=1, keepdims=True)

    gm = GaussianMixture(3, init=halves, n_init=2, random_state=0).fit(X)
    assert seen == [3, 3]
    again = GaussianMixture(3, init=halves, n_init=2, random_state=0).fit(X)
    np.testing.assert_array_equal(gm.means_, again.means_)


def test_means_alone():
    means = [[-3.0, -1.0], [4.0, 1.0]]
    mixture, _ = next(iter(GaussianMixture(2, means_init=means).fit_iter(X)))
    np.testing.assert_array_equal(mixture.means, means)
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5], rtol=1e-15)
    for S in mixture.covariances:
        np.testing.assert_allclose(S, np.cov(X.T, bias=True), rtol=1e-10)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("covariance_type", ["full", "EII"])
def test_more_starts_are_never_worse(init, covariance_type):
    rows = blobs(200, 3)
    for seed in range(6):
        fits = [
            unfinished(
                GaussianMixture(4, covariance_type=covariance_type, init=init, n_init=n_init, random_state=seed), rows
            )
            for n_init in (1, 3, 10)
        ]
        assert [len(gm.restarts_) for gm in fits] == [1, 3, 10]
        # A run that ended on a spike of the likelihood counts for less than any other.
        ranks = [max((-one["degenerate"], one["objective"]) for one in gm.restarts_) for gm in fits]
        assert ranks == sorted(ranks)
        assert [gm.loglik_ for gm in fits] == pytest.approx([objective for _, objective in ranks], abs=1e-6 * len(rows))


def test_restarts_tell_what_became_of_them():
    gm = GaussianMixture(3, n_init=4, random_state=0).fit(X)
    assert all({"objective", "passes", "outcome"} <= set(one) for one in gm.restarts_)
    assert {one["outcome"] for one in gm.restarts_} <= {"converged", "max_iter"}
    assert len(GaussianMixture(3, random_state=0).fit(X).restarts_) > 1


@pytest.mark.parametrize("init", INITS)
def test_the_same_seed_gives_the_same_bits(init):
    one, two = (GaussianMixture(3, init=init, random_state=seed).fit(X) for seed in (5, np.int64(5)))
    np.testing.assert_array_equal(one.means_, two.means_)
    np.testing.assert_array_equal(one.covariances_, two.covariances_)
    for make in (np.random.RandomState, np.random.default_rng):
        three, four = (GaussianMixture(3, init=init, random_state=make(5)).fit(X) for _ in range(2))
        np.testing.assert_array_equal(three.means_, four.means_)


def test_equal_mixing():
    gm = GaussianMixture(3, mixing="equal", random_state=0).fit(X)
    np.testing.assert_array_equal(gm.weights_, np.full(3, 1 / 3))
    free = GaussianMixture(3, random_state=0).fit(X)
    assert free.df_ == gm.df_ + 2
    assert free.loglik_ > gm.loglik_


# on the way


def test_warm_start_goes_on():
    settings = {"means_init": [[-3.0, -1.0], [0.0, 0.0], [4.0, 1.0]], "tol": 0.0}
    whole = unfinished(GaussianMixture(3, max_iter=9, **settings), X)
    gm = GaussianMixture(3, max_iter=4, warm_start=True, **settings)
    unfinished(gm, X)
    reached = gm.loglik_
    unfinished(gm.set_params(max_iter=5), X)
    assert gm.log_likelihood_history_[0] == reached
    np.testing.assert_array_equal(gm.means_, whole.means_)
    assert gm.loglik_ == whole.loglik_
    # Without it, every fit begins anew.
    cold = unfinished(GaussianMixture(3, max_iter=4, **settings), X)
    assert unfinished(cold, X).loglik_ == reached


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_history(weighted):
    w = np.random.default_rng(0).uniform(0.5, 5, size=len(X)) if weighted else np.ones(len(X))
    gm = GaussianMixture(3, random_state=0, trace=True)
    gm.fit(X, sample_weight=w if weighted else None)
    assert gm.n_iter_ == len(gm.history_) - 1
    totals = [record["objective"] for record in gm.history_]
    assert totals == gm.log_likelihood_history_
    np.testing.assert_allclose(gm.lower_bounds_, np.array(totals) / w.sum(), rtol=1e-14)
    assert gm.lower_bound_ == gm.lower_bounds_[-1]
    assert gm.loglik_ == totals[-1]
    for record in gm.history_:
        assert isinstance(record["model"], Mixture)
        assert record["objective"] == pytest.approx(w @ record["model"].logpdf(X), rel=1e-12)
        assert record["accelerated"] in (False, True)
    seconds = [record["seconds"] for record in gm.history_]
    assert seconds == sorted(seconds)
    assert gm.history_[-1]["model"] is gm.mixture_
    np.testing.assert_array_equal(gm.responsibilities_, gm.predict_proba(X))


def test_without_trace_no_model_is_kept():
    gm = GaussianMixture(3, random_state=0).fit(X)
    assert not any("model" in record for record in gm.history_)
    assert not hasattr(gm, "responsibilities_")


def test_fit_iter_ends_where_fit_ends():
    gm = GaussianMixture(3, random_state=0)
    steps = list(gm.fit_iter(X))
    fitted = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_array_equal(gm.means_, fitted.means_)
    assert [objective for _, objective in steps] == fitted.log_likelihood_history_
    assert steps[-1][1] == gm.loglik_
    assert gm.converged_
    np.testing.assert_array_equal(gm.predict(X), fitted.predict(X))


def test_reasons_to_stop():
    gm = GaussianMixture(3, random_state=0).fit(X)
    assert gm.converged_
    assert gm.stop_reason_ == "converged"
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        gm.set_params(max_iter=2).fit(X)
    assert not gm.converged_
    assert gm.stop_reason_ == "max_iter"
    assert gm.n_iter_ == 2


def test_tolerance_is_total_nats_over_five_passes():
    gm = GaussianMixture(3, accelerate=None, random_state=0, tol=1e-2, n_init=1).fit(X)
    totals = gm.log_likelihood_history_
    gains = [later - earlier for earlier, later in zip(totals, totals[5:], strict=False)]
    assert gains[-1] < 1e-2
    assert all(gain >= 1e-2 for gain in gains[:-1])


def test_verbose_prints_start_progress_and_reason(capsys):
    settings = {"means_init": [[-3.0, -1.0], [0.0, 0.0], [4.0, 1.0]], "accelerate": None, "tol": 0.0, "max_iter": 15}
    unfinished(GaussianMixture(3, verbose=0, **settings), X)
    assert capsys.readouterr().out == ""

    unfinished(GaussianMixture(3, verbose=1, **settings), X)
    every_tenth = capsys.readouterr().out
    assert "start" in every_tenth
    assert "max_iter" in every_tenth
    assert "log-likelihood" in every_tenth

    gm = unfinished(GaussianMixture(3, verbose=2, **settings), X)
    every = capsys.readouterr().out
    assert every.count("log-likelihood") > 16 > every_tenth.count("log-likelihood") >= 3
    assert f"{gm.loglik_:.4f}" in every

    gm = GaussianMixture(2, verbose=1, random_state=0).fit(X)
    assert "converged" in capsys.readouterr().out


# files and parameters


@pytest.mark.parametrize("covariance_type", TYPES)
def test_save_and_load_bit_for_bit(covariance_type, tmp_path):
    frame = pd.DataFrame(X, columns=["height", "width"])
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(frame)
    back = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(gm, name), err_msg=name)
    for method in ("score_samples", "predict_proba", "predict"):
        np.testing.assert_array_equal(getattr(back, method)(frame), getattr(gm, method)(frame))
    assert back.bic(frame) == gm.bic(frame)
    assert back.df_ == gm.df_
    assert back.loglik_ == gm.loglik_
    assert back.covariance_type == covariance_type
    assert back.feature_names_in_.tolist() == ["height", "width"]
    assert back.n_features_in_ == 2


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_a_degenerate_model_survives_a_file_bit_for_bit(covariance_type, tmp_path):
    # Rows on a line: the matrices are at their floor, and hardly positive definite as float64.
    rows = np.column_stack([X[:, 0], X[:, 0] + 2, X[:, 1]])
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    for back in (GaussianMixture.load(gm.save(tmp_path / "model.json")), pickle.loads(pickle.dumps(gm))):
        np.testing.assert_array_equal(back.covariances_, gm.covariances_)
        np.testing.assert_array_equal(back.score_samples(rows), gm.score_samples(rows))
        np.testing.assert_array_equal(back.predict_proba(rows), gm.predict_proba(rows))
    again = Mixture.from_dict(json.loads(json.dumps(gm.mixture_.to_dict())))
    np.testing.assert_array_equal(again.logpdf(rows), gm.mixture_.logpdf(rows))


def test_whiteners_of_another_model_are_refused(tmp_path):
    rows = np.column_stack([X[:, 0], X[:, 0] + 2])
    path = GaussianMixture(2, random_state=0).fit(rows).save(tmp_path / "model.json")
    document = json.loads(path.read_text())
    if document.get("whiteners") is None:
        pytest.skip("nothing is kept beside the covariances")
    document["whiteners"] = (2 * np.array(document["whiteners"])).tolist()
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="whiteners"):
        GaussianMixture.load(path)


def test_equal_mixing_survives_a_file(tmp_path):
    gm = GaussianMixture(3, mixing="equal", random_state=0).fit(X)
    back = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    assert back.df_ == gm.df_
    assert back.bic(X) == gm.bic(X)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_from_parameters_is_usable_at_once(covariance_type):
    fitted = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    gm = GaussianMixture.from_parameters(
        fitted.weights_, fitted.means_, fitted.covariances_, covariance_type=covariance_type
    )
    np.testing.assert_allclose(gm.score_samples(X), fitted.score_samples(X), rtol=1e-13)
    np.testing.assert_array_equal(gm.predict(X), fitted.predict(X))
    assert gm.bic(X) == pytest.approx(fitted.bic(X), rel=1e-13)
    assert gm.sample(3)[0].shape == (3, 2)
    np.testing.assert_array_equal(gm.covariances_, fitted.covariances_)
    assert gm.covariance_type == covariance_type


def test_from_mixture():
    mixture = Mixture([0.3, 0.7], [[0.0, 0.0], [5.0, 5.0]], [1.0, 2.0])
    gm = GaussianMixture.from_mixture(mixture)
    np.testing.assert_array_equal(gm.score_samples(X), mixture.logpdf(X))
    np.testing.assert_array_equal(gm.predict_proba(X), mixture.responsibilities(X))
    assert gm.n_components == 2
    assert gm.mixture_ is mixture


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "score", "score_samples", "bic", "aic", "icl", "logpdf"]
)
def test_before_fit(method):
    with pytest.raises(NotFittedError):
        getattr(GaussianMixture(), method)(X)


def test_unfitted_sample_and_save(tmp_path):
    with pytest.raises(NotFittedError):
        GaussianMixture().sample(2)
    with pytest.raises(NotFittedError):
        GaussianMixture().save(tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


def test_fit_iter_says_what_fit_says():
    copies = np.concatenate([X, np.tile([[30.0, 30.0]], (9, 1))])
    with pytest.warns(UserWarning, match="tied"):
        list(GaussianMixture(4, random_state=0).fit_iter(copies))
    gm = GaussianMixture(3, max_iter=2, random_state=0)
    list(gm.fit_iter(X))
    assert "raise max_iter" in gm.remarks_["convergence"]
    with pytest.raises(ValueError, match="follows one run"):
        GaussianMixture(3, on_degenerate="drop").fit_iter(X)


def test_every_run_prints_its_passes(capsys):
    GaussianMixture(3, n_init=3, verbose=2, random_state=0).fit(X)
    runs = capsys.readouterr().out.split("start:")[1:]
    assert len(runs) == 3
    assert all("pass    0:" in one and "pass    1:" in one for one in runs)


def test_a_fit_without_trace_keeps_no_responsibilities_of_an_earlier_one():
    gm = GaussianMixture(2, trace=True, random_state=0).fit(X)
    gm.set_params(trace=False).fit(X[:50])
    assert not hasattr(gm, "responsibilities_")


def test_what_was_fitted_is_kept_whatever_the_parameters_become(tmp_path):
    gm = GaussianMixture(2, random_state=0).fit(X)
    gm.set_params(mixing="equal")
    assert GaussianMixture.load(gm.save(tmp_path / "model.json")).df_ == gm.df_
    with pytest.raises(ValueError, match="must be equal"):
        GaussianMixture.from_mixture(Mixture([0.3, 0.7], [[0.0], [1.0]], [1.0, 1.0]), "full", mixing="equal")
