"""Learning batch by batch: against NumPy's moments, a textbook's EM step, the published recursion and scikit-learn."""

from __future__ import annotations

import copy
import pickle
import re
from functools import reduce
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture as Sklearn
from sklearn.utils.estimator_checks import check_estimators_partial_fit_n_features, check_n_features_in

import reference
from cases import FAMILIES, MIXING, STEPPED, assert_same_parameters, blobs, parameters, start, started, told, unwarned
from mixtura import EigenvalueRatio, GaussianMixture, scan
from refusing import refused as sentence

KNOWN = (*reference.FAMILIES, *reference.COUPLED)


def refused(function, *arguments, match, **named):
    assert re.search(match, sentence(function, *arguments, **named))


def split(X, *cuts):
    return np.split(X, cuts)


def learnt(gm, batches, **pace):
    for batch in batches:
        gm.partial_fit(batch, **pace)
    return gm


def model(parameters, kind="VVV", **settings):
    """An estimator of these parameters (weights, means, covariances (K, d, d)), without any sums."""
    gm = GaussianMixture.from_parameters(*parameters, kind)
    return gm.set_params(**settings)


def log_joint(X, weights, means, covariances):
    return np.stack(
        [
            np.log(w) + multivariate_normal.logpdf(X, m, S).reshape(len(X))
            for w, m, S in zip(weights, means, covariances, strict=True)
        ],
        axis=1,
    )


def sums(X, model):
    """Sums of an E-step about zero, as the papers have them: mass (K,), first (K, d), second (K, d, d)."""
    joint = log_joint(X, *model)
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return resp.sum(axis=0), resp.T @ X, np.einsum("nk,ni,nj->kij", resp, X, X)


def of_sums(mass, first, second):
    """The parameters that sums or their means make."""
    means = first / mass[:, None]
    covariances = second / mass[:, None, None] - means[:, :, None] * means[:, None, :]
    return mass / mass.sum(), means, covariances


# one component: exact -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(4, 60),
    d=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 59), max_size=6),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
    weighted=st.booleans(),
)
def test_one_component_is_the_mean_and_the_covariance_however_rows_are_split(n, d, cuts, offset, weighted):
    rng = np.random.default_rng([n, d, len(cuts)])
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + offset
    weight = rng.uniform(0.1, 3.0, n) if weighted else np.ones(n)
    gm = GaussianMixture(1, means_init=np.full((1, d), offset))
    bounds = sorted({cut for cut in cuts if 0 < cut < n})
    for x, w in zip(np.split(X, bounds), np.split(weight, bounds), strict=True):
        with unwarned():
            gm.partial_fit(x, sample_weight=w if weighted else None)
    Y = X - offset  # NumPy rounds where it is far from zero
    mean = np.average(Y, axis=0, weights=weight)
    wanted = np.atleast_2d(np.cov(Y.T, ddof=0, aweights=weight))
    if n > d and np.linalg.eigvalsh(wanted)[0] > 1e-6:
        assert_same_parameters(parameters(gm), (np.ones(1), mean[None] + offset, wanted[None]), 1e-10)
    assert gm.n_iter_ == len(bounds) + 1


def test_one_component_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(900, 2)) * 2**20) / 2**20 + 2.0**30  # 1e9 standard deviations away, exactly
    gm = learnt(GaussianMixture(1), split(X, 100, 101, 400))
    wanted = np.cov((X - 2.0**30).T, ddof=0)
    np.testing.assert_allclose(gm.covariances_[0], wanted, rtol=0, atol=1e-11)
    np.testing.assert_allclose(gm.means_[0] - 2.0**30, (X - 2.0**30).mean(axis=0), rtol=0, atol=2e-7)  # a float64


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("settings", [{}, {"noise": True}, {"prior": "fraley-raftery"}, {"covariance_type": "VVE"}])
def test_units_do_not_matter(scale, settings):
    X = blobs(900, 2)
    one, other = (
        learnt(GaussianMixture(3, random_state=0, **settings), split(s * X, 300, 301, 600)) for s in (1, scale)
    )
    weights, means, covariances = parameters(other)
    assert_same_parameters((weights, means / scale, covariances / scale**2), parameters(one), 1e-6)
    assert one.noise_weight_ == pytest.approx(other.noise_weight_, rel=1e-6)


def test_components_far_from_zero_are_those_near_zero():
    X = np.round(blobs(900, 2) * 2**18) / 2**18
    near, far = (
        learnt(GaussianMixture(3, means_init=np.array([[-3.0, -1.0], [0, 0], [4, 1.5]]) + c), split(X + c, 300, 600))
        for c in (0.0, 2.0**30)
    )
    weights, means, covariances = parameters(far)
    assert_same_parameters((weights, means - 2.0**30, covariances), parameters(near), 1e-6)


# the first batch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", KNOWN)
def test_the_first_batch_is_one_textbook_step_from_the_users_start(family, mixing):
    X, begin = blobs(150, 2), start(family, 2)
    if mixing == "equal":
        begin = (np.full(3, 1 / 3), *begin[1:])
    gm = started(begin, covariance_type=family, mixing=mixing)
    if mixing == "equal":
        gm.set_params(weights_init=None)
    gm.partial_fit(X)
    resp, _ = reference.e_step(X, *begin)
    assert_same_parameters(parameters(gm), reference.m_step(X, resp, family, mixing), 1e-9)
    assert gm.n_iter_ == 1
    assert gm.stop_reason_ == "batch"
    assert not gm.converged_
    assert gm.loglik_ == pytest.approx(gm.score(X) * len(X), rel=1e-12)
    assert (gm.labels_ == gm.predict(X)).all()


def test_a_made_start_is_the_fit_of_the_first_batch():
    X = blobs(600, 2)
    gm, fit = GaussianMixture(3, random_state=0, tol=1e-9), GaussianMixture(3, random_state=0, tol=1e-9).fit(X)
    assert_same_parameters(parameters(gm.partial_fit(X)), parameters(fit), 1e-4)


@pytest.mark.parametrize("X", [[[1.0, 2.0]], [[1.0, 2.0]] * 5, [[0.0, 0.0], [1.0, 1.0]]])
def test_a_first_batch_of_next_to_nothing_is_survived(X):
    with unwarned():
        gm = GaussianMixture(3, random_state=0).partial_fit(np.array(X))
        assert np.isfinite(gm.score_samples(np.zeros((1, 2)))).all()
        for batch in split(blobs(900, 2), 300, 600):
            gm.partial_fit(batch)
    assert np.isfinite(gm.covariances_).all()
    np.testing.assert_allclose(gm.predict_proba(blobs(50, 2)).sum(axis=1), 1.0)


def test_rows_one_by_one_are_survived():
    X = blobs(60, 2)
    with unwarned():
        gm = learnt(GaussianMixture(2, random_state=0), split(X, *range(1, 60)))
    assert gm.n_iter_ == 60
    np.testing.assert_allclose(gm.weights_ @ gm.means_, X.mean(axis=0), rtol=1e-9)


# the recursion --------------------------------------------------------------------------------------------------------

PACES = {
    "default": ({}, lambda t, before, w: (w / (before + w), before + w)),
    "step": ({"step": 0.6}, lambda t, before, w: (t**-0.6, before + w)),
    "step one": ({"step": 1.0}, lambda t, before, w: (1 / t, before + w)),
    "forgetting": ({"forgetting": 0.8}, lambda t, before, w: (w / (0.8 * before + w), 0.8 * before + w)),
}


@pytest.mark.parametrize("name", PACES)
def test_batches_follow_the_published_recursion(name):
    arguments, rho_of = PACES[name]
    X, own = blobs(700, 2), start("VVV", 2)
    batches = split(X, 100, 250, 300, 520)
    gm = model(own)
    s, total = None, 0.0
    for t, batch in enumerate(batches, 1):
        gm.partial_fit(batch, **arguments)
        rho, total = rho_of(t, total, len(batch))
        told_now = [part / len(batch) for part in sums(batch, own)]
        s = told_now if s is None else [(1 - rho) * a + rho * b for a, b in zip(s, told_now, strict=True)]
        own = of_sums(*s)
        assert_same_parameters(parameters(gm), own, 1e-10)
    assert gm._total_weight == pytest.approx(total)


def test_what_a_batch_was_worth_before_and_after_it_was_learnt_is_recorded():
    X, own = blobs(400, 2), start("VVV", 2)
    first, second = split(X, 250)
    gm = model(own).partial_fit(first)
    between = parameters(gm)
    gm.partial_fit(second)
    wanted = [logsumexp(log_joint(rows, *by), axis=1).sum() for rows, by in ((first, own), (second, between))]
    np.testing.assert_allclose([one["predicted"] for one in gm.history_], wanted, rtol=1e-12)
    assert [one["weight"] for one in gm.history_] == [250, 150]
    silent = model(own).partial_fit(first).partial_fit(np.vstack([second, np.full((7, 2), np.nan)]))
    assert silent.history_[1]["weight"] == 150
    assert silent.lower_bound_ == pytest.approx(gm.lower_bound_)
    assert gm.log_likelihood_history_[-1] == gm.loglik_ == pytest.approx(gm.score(second) * 150)
    assert gm.lower_bound_ == pytest.approx(gm.score(second))
    assert gm.loglik_ > gm.history_[-1]["predicted"]


def test_what_is_forgotten_makes_way_for_what_is_new():
    rng = np.random.default_rng(0)
    batches = [np.array([[t], [t + 20.0]])[rng.integers(2, size=200)] for t in np.linspace(0, 12, 120)]
    batches = [batch + rng.normal(size=batch.shape) for batch in batches]
    tracks, stays = (learnt(GaussianMixture(2, random_state=0), batches, **pace) for pace in ({"forgetting": 0.8}, {}))
    # A mean that is 0.1 further in each batch lags behind by 0.1 g / (1 - g) batches.
    np.testing.assert_allclose(np.sort(tracks.means_[:, 0]), [11.6, 31.6], atol=0.15)
    assert (np.abs(np.sort(stays.means_[:, 0]) - [12, 32]) > 4).all()
    assert tracks._total_weight == pytest.approx(200 / (1 - 0.8))


# weights, labels, what rows tell --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", [{}, {"step": 0.7}, {"forgetting": 0.9}])
def test_a_weight_is_so_many_rows_and_its_unit_counts_for_nothing(pace):
    X, rng = blobs(300, 2), np.random.default_rng(1)
    count = rng.integers(0, 4, size=300)
    repeated, weighted, scaled = (model(start("VVV", 2)) for _ in range(3))
    for x, c in zip(split(X, 100, 180), split(count, 100, 180), strict=True):
        repeated.partial_fit(np.repeat(x, c, axis=0), **pace)
        weighted.partial_fit(x, sample_weight=c, **pace)
        scaled.partial_fit(x, sample_weight=1e-7 * c, **pace)
    assert_same_parameters(parameters(weighted), parameters(repeated), 1e-10)
    assert_same_parameters(parameters(scaled), parameters(repeated), 1e-10)
    assert weighted.loglik_ == pytest.approx(repeated.loglik_)
    assert scaled._total_weight == pytest.approx(1e-7 * repeated._total_weight)
    assert len(weighted.labels_) == 120


def test_labels_hold_rows_where_they_belong():
    X = blobs(400, 2)
    labels = np.where(np.arange(400) % 3 == 0, np.arange(400) % 2, -1)
    own = start("VVV", 2)
    gm = model(own)
    s = np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2, 2))
    for x, label in zip(split(X, 150), split(labels, 150), strict=True):
        gm.partial_fit(x, labels=label)
        resp = np.exp(log_joint(x, *own))
        known = label >= 0
        resp[known] = np.eye(3)[label[known]]
        resp /= resp.sum(axis=1, keepdims=True)
        s = (
            s[0] + resp.sum(axis=0),
            s[1] + resp.T @ x,
            s[2] + np.einsum("nk,ni,nj->kij", resp, x, x),
        )
        own = of_sums(*s)
        assert_same_parameters(parameters(gm), own, 1e-10)
    assert (gm.labels_[label >= 0] == label[label >= 0]).all()


def step_of_what_is_told(X, errors, weights, means, covariances):
    """Sums of an E-step about zero where rows tell some features, with errors: row by row, by the textbook's formulas
    for conditional Gaussians (T. W. Anderson, *An Introduction to Multivariate Statistical Analysis*, section 2.5)."""
    K, d = means.shape
    mass, first, second = np.zeros(K), np.zeros((K, d)), np.zeros((K, d, d))
    for n, x in enumerate(X):
        o = ~np.isnan(x)
        joint, posteriors = np.empty(K), []
        for k in range(K):
            noise = np.zeros((d, d)) if errors is None else np.diag(errors[n]) if errors.ndim == 2 else errors[n]
            T = (covariances[k] + noise)[np.ix_(o, o)]
            joint[k] = np.log(weights[k])
            mean, cov = means[k], covariances[k]
            if o.any():
                joint[k] += multivariate_normal.logpdf(x[o], means[k][o], T)
                gain = covariances[k][:, o] @ np.linalg.inv(T)
                mean, cov = means[k] + gain @ (x[o] - means[k][o]), covariances[k] - gain @ covariances[k][o]
            posteriors.append((mean, cov))
        resp = np.exp(joint - logsumexp(joint))
        for k, (mean, cov) in enumerate(posteriors):
            mass[k] += resp[k]
            first[k] += resp[k] * mean
            second[k] += resp[k] * (cov + np.outer(mean, mean))
    return mass, first, second


@pytest.mark.parametrize("pace", [{}, {"forgetting": 0.7}])
@pytest.mark.parametrize("how", ["missing", "errors", "covariances", "both"])
def test_what_rows_tell_is_learnt_as_conditional_gaussians_have_it(how, pace):
    X, errors = told(blobs(300, 3), how)
    own = start("VVV", 3)
    gm, s = model(own), None
    for where in np.split(np.arange(300), [120, 200]):
        error = None if errors is None else errors[where]
        gm.partial_fit(X[where], error_covariance=error, **pace)
        there = where[~np.isnan(X[where]).all(axis=1)]  # a row of which nothing is known says nothing
        new = step_of_what_is_told(X[there], None if errors is None else errors[there], *own)
        s = new if s is None else [pace.get("forgetting", 1.0) * a + b for a, b in zip(s, new, strict=True)]
        own = of_sums(*s)
        assert_same_parameters(parameters(gm), own, 1e-9)


def test_a_later_batch_may_lack_a_column_but_the_first_may_not():
    X = blobs(400, 3)
    gone = X.copy()
    gone[:, 1] = np.nan
    own = start("VVV", 3)
    gm = model(own).partial_fit(X[:200])
    between = parameters(gm)
    gm.partial_fit(gone[200:])
    both = [a + b for a, b in zip(sums(X[:200], own), step_of_what_is_told(gone[200:], None, *between), strict=True)]
    assert_same_parameters(parameters(gm), of_sums(*both), 1e-9)
    refused(model(own).partial_fit, gone, match="must have a value in each column, but column 1 has none")


# merging --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", KNOWN)
def test_merged_in_any_order_they_are_one_step_over_all_rows(family):
    X, own = blobs(200, 2), start(family, 2)
    parts = split(X, 60, 61, 150)
    resp, _ = reference.e_step(X, *own)
    wanted = reference.m_step(X, resp, family)
    with unwarned():  # of a single row
        each = [started(own, covariance_type=family).partial_fit(part) for part in parts]
        for order in permutations(range(4)):
            gm = reduce(GaussianMixture.merge, [copy.deepcopy(each[i]) for i in order])
            assert_same_parameters(parameters(gm), wanted, 1e-9)
    assert gm.n_iter_ == 4
    assert gm._n_rows == 200
    assert not hasattr(gm, "loglik_")
    assert not hasattr(gm, "labels_")
    assert len(gm.history_) == 4


@pytest.mark.parametrize("family", STEPPED)
def test_merging_is_exact(family):
    X, own = blobs(500, 3), start(family, 3)
    begin = started(own, covariance_type=family)
    whole, *parts = (clone(begin).partial_fit(part) for part in (X, *split(X, 120, 400)))
    assert_same_parameters(parameters(reduce(GaussianMixture.merge, parts)), parameters(whole), 1e-12)


def test_merging_equals_a_step_of_scikit_learn():
    X, (weights, means, covariances) = blobs(500, 3), start("VVV", 3)
    theirs = Sklearn(
        3,
        weights_init=weights,
        means_init=means,
        precisions_init=np.linalg.inv(covariances),
        max_iter=1,
        reg_covar=0,
        tol=0,
    )
    with unwarned():
        theirs.fit(X)
    parts = [
        started((weights, means, covariances), random_state=i).partial_fit(part)
        for i, part in enumerate(split(X, 120, 400))
    ]
    gm = reduce(GaussianMixture.merge, parts)
    assert_same_parameters(parameters(gm), (theirs.weights_, theirs.means_, theirs.covariances_), 1e-12)


def test_merged_weights_may_have_different_units():
    X, own = blobs(300, 2), start("VVV", 2)
    weight = np.concatenate([np.full(100, 1e-3), np.full(200, 5.0)]) * np.random.default_rng(0).uniform(1, 2, 300)
    whole = model(own).partial_fit(X, sample_weight=weight)
    parts = [model(own).partial_fit(X[i], sample_weight=weight[i]) for i in np.split(np.arange(300), [100])]
    for gm in (parts[0].merge(copy.deepcopy(parts[1])),):
        assert_same_parameters(parameters(gm), parameters(whole), 1e-12)
        assert gm._total_weight == pytest.approx(weight.sum())


@pytest.mark.parametrize(
    "settings", [{"prior": "fraley-raftery"}, {"prior": "chen-tan"}, {"noise": True}, {"fixed": {"means": [1, 0, 1]}}]
)
def test_merging_is_exact_beside_priors_a_background_and_what_is_fixed(settings, tmp_path):
    X, own = blobs(500, 2), start("VVV", 2)
    if "fixed" in settings:
        settings = {"fixed": {"means": np.array([True, False, True])}}
    begin = model(own)
    if "noise" in settings:  # the same background for all
        begin = started(own, noise=True, max_iter=0)
        begin.set_params(weights_init=0.9 * own[0])
        with unwarned():
            begin.fit(X)
        begin = GaussianMixture.load(begin.save(tmp_path / "begin.json"))
    begin.set_params(**settings)
    whole, *parts = (copy.deepcopy(begin).partial_fit(part) for part in (X, *split(X, 120, 400)))
    gm = reduce(GaussianMixture.merge, parts)
    assert_same_parameters(parameters(gm), parameters(whole), 1e-11)
    assert gm.noise_weight_ == pytest.approx(whole.noise_weight_, rel=1e-11)
    if "noise" in settings:
        assert gm.background_.box.log_volume == pytest.approx(whole.background_.box.log_volume, rel=1e-12)


def test_merging_goes_on_with_batches():
    X, own = blobs(600, 2), start("VVV", 2)
    a, b, c = split(X, 200, 400)
    gm = model(own).partial_fit(a).merge(model(own).partial_fit(b)).partial_fit(c)
    first = [one + other for one, other in zip(sums(a, own), sums(b, own), strict=True)]
    both = [one + other for one, other in zip(first, sums(c, of_sums(*first)), strict=True)]
    assert_same_parameters(parameters(gm), of_sums(*both), 1e-10)
    assert gm.n_iter_ == 3


def test_what_cannot_be_merged_is_refused():
    X = blobs(200, 2)
    fitted = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(NotFittedError):
        fitted.merge(GaussianMixture(2))
    refused(fitted.merge, Sklearn(2).fit(X), match="merge what partial_fit made")
    bare = GaussianMixture.from_mixture(fitted.mixture_)
    refused(fitted.merge, bare, match="the other estimator has parameters alone")
    refused(bare.merge, fitted, match="this estimator has parameters alone")
    for other, what in (
        (GaussianMixture(3, random_state=0), "n_components, got 2 and 3"),
        (GaussianMixture(2, covariance_type="diag", random_state=0), "covariance_type, got 'full' and 'diag'"),
        (GaussianMixture(2, mixing="equal", random_state=0), "mixing, got 'free' and 'equal'"),
        (GaussianMixture(2, noise=True, random_state=0), "noise, got False and True"),
    ):
        refused(fitted.merge, other.fit(X), match=f"two estimators with the same {what}")
    refused(fitted.merge, GaussianMixture(2, random_state=0).fit(X[:, :1]), match="the same features, got 2 and 1")
    named = [
        GaussianMixture(2, random_state=0).fit(pd.DataFrame(X, columns=names)) for names in (["a", "b"], ["b", "a"])
    ]
    refused(named[0].merge, named[1], match="feature names should match")


# families, priors, a background ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", [{}, {"step": 0.6}, {"forgetting": 0.9}])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_from_batches(family, pace):
    X = blobs(1200, 2)
    gm = learnt(GaussianMixture(3, covariance_type=family, random_state=0), split(X, 400, 800), **pace)
    fit = GaussianMixture(3, covariance_type=family, random_state=0).fit(X)
    assert gm.score(X) > fit.score(X) - 0.02
    assert gm.df_ == fit.df_
    assert gm.covariances_.shape == fit.covariances_.shape
    GaussianMixture.from_mixture(gm.mixture_, family)  # is of the family, or refused


@pytest.mark.parametrize("prior", ["fraley-raftery", "chen-tan", EigenvalueRatio(5.0)])
def test_priors_count_once_however_many_batches_there_are(prior):
    X = blobs(300, 2)
    gm = learnt(GaussianMixture(1, prior=prior), split(X, 100, 120))
    fit = GaussianMixture(1, prior=prior).fit(X)
    assert_same_parameters(parameters(gm), parameters(fit), 1e-12)


def test_reg_covar_is_added_at_each_update_and_not_to_sums():
    X = blobs(300, 2)
    gm = learnt(GaussianMixture(1, reg_covar=0.5), split(X, 100, 120))
    np.testing.assert_allclose(gm.covariances_[0], np.cov(X.T, ddof=0) + 0.5 * np.eye(2), rtol=1e-12)


def test_what_is_fixed_stays_to_the_last_bit():
    X, own = blobs(600, 2), start("VVV", 2)
    fixed = {"weights": True, "means": [True, False, False], "covariances": [False, False, True]}
    gm = learnt(started(own, fixed=fixed), split(X, 200, 400))
    assert (gm.weights_ == own[0]).all()
    assert (gm.means_[0] == own[1][0]).all()
    assert (gm.means_[1:] != own[1][1:]).all()
    assert (gm.covariances_[2] == own[2][2]).all()


def test_a_background_has_the_bounding_box_of_all_rows():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (800, 2)), rng.normal(8, 1, (800, 2)), rng.uniform(-10, 20, (160, 2))])
    X = X[rng.permutation(len(X))]
    gm = learnt(GaussianMixture(2, noise=True, random_state=0), split(X, 600, 1200))
    wanted = np.log(np.ptp(X, axis=0)).sum()
    assert gm.background_.box.log_volume == pytest.approx(wanted, rel=1e-12)
    assert gm.weights_.sum() + gm.noise_weight_ == pytest.approx(1)
    assert gm.noise_weight_ == pytest.approx(160 / 1760, abs=0.02)
    far = np.abs(X[:, None] - [[0, 0], [8, 8]]).max(axis=2).min(axis=1) > 5
    assert (gm.predict(X[far]) == -1).all()
    resp = np.exp(np.append(log_joint(X[:5], *parameters(gm)) + np.log1p(-gm.noise_weight_), np.zeros((5, 0)), axis=1))
    behind = gm.noise_weight_ / np.prod(np.ptp(X, axis=0))
    np.testing.assert_allclose(gm.score_samples(X[:5]), np.log(resp.sum(axis=1) + behind), rtol=1e-12)


# what goes on from what -----------------------------------------------------------------------------------------------


def test_batches_after_a_fit_go_on_from_all_of_its_rows():
    X, new = blobs(600, 2), blobs(150, 2, seed=1)
    gm = GaussianMixture(3, random_state=0).fit(X)
    own = parameters(gm)
    gm.partial_fit(new)
    both = [one + other for one, other in zip(sums(X, own), sums(new, own), strict=True)]
    assert_same_parameters(parameters(gm), of_sums(*both), 1e-10)
    assert gm.n_iter_ == len(gm.history_) == 2
    assert gm._n_rows == 750
    assert len(gm.labels_) == 150
    with pytest.raises(AttributeError, match="restarts_"):
        _ = gm.restarts_


def test_a_fit_starts_anew():
    X = blobs(600, 2)
    fit = GaussianMixture(3, random_state=0).fit(X)
    gm = GaussianMixture(3, random_state=0).partial_fit(X + 7.0).fit(X)
    assert (gm.means_ == fit.means_).all()
    assert gm.n_iter_ == fit.n_iter_
    assert (gm.partial_fit(X).means_ == fit.partial_fit(X).means_).all()


def test_a_model_without_sums_is_a_start(tmp_path):
    X, own = blobs(400, 2), start("VVV", 2)
    loaded = GaussianMixture.load(model(own).partial_fit(X).save(tmp_path / "model.json"))
    assert not hasattr(loaded, "loglik_")  # no log-likelihood is that of all rows: the file has none
    after = parameters(loaded)
    loaded.partial_fit(X[:200])
    assert_same_parameters(parameters(loaded), of_sums(*sums(X[:200], after)), 1e-10)
    assert loaded.n_iter_ == 1


def test_a_pickle_goes_on_and_a_clone_does_not():
    X = blobs(600, 2)
    gm = GaussianMixture(3, random_state=0, noise=True).partial_fit(X[:400])
    before = gm.get_params()
    again, fresh = pickle.loads(pickle.dumps(gm)), clone(gm)
    assert gm.partial_fit(X[400:]).get_params() == before
    assert (again.partial_fit(X[400:]).means_ == gm.means_).all()
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    assert fresh.partial_fit(X[:400]).n_iter_ == 1


def test_draws_go_on_from_batch_to_batch():
    X = blobs(600, 2)
    gm = GaussianMixture(2, random_state=0).partial_fit(X[:300])
    first, _ = gm.sample(5)
    second, _ = gm.partial_fit(X[300:]).sample(5)
    assert not np.allclose(first, second)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_threads_has_the_same_bits(jobs):
    X = blobs(30_000, 3)
    found = [
        learnt(GaussianMixture(3, random_state=0, means_init=start("VVV", 3)[1], n_jobs=n), split(X, 14_000))
        for n in (1, jobs)
    ]
    assert (found[0].covariances_ == found[1].covariances_).all()


def test_float32_rows_have_float32_answers():
    X = blobs(600, 2)
    gm = learnt(GaussianMixture(3, means_init=start("VVV", 2)[1]), split(X.astype(np.float32), 300))
    wide = learnt(GaussianMixture(3, means_init=start("VVV", 2)[1]), split(X, 300))
    assert gm.means_.dtype == np.float32
    np.testing.assert_allclose(gm.means_, wide.means_, atol=1e-5)
    assert gm.partial_fit(X[:100]).means_.dtype == np.float64


def test_a_scan_is_a_sequence_of_batches(tmp_path):
    X = blobs(900, 2)
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame["w"] = np.random.default_rng(0).uniform(1, 2, 900)
    frame.loc[300:599, "w"] = 0.0  # a batch in which nobody is there
    frame.to_csv(tmp_path / "rows.csv", index=False)
    begin = start("VVV", 2)[1]
    scanned = GaussianMixture(3, means_init=begin).partial_fit(
        scan(tmp_path / "rows.csv", columns=["a", "b"], weight="w", batch_rows=300)
    )
    gm = GaussianMixture(3, means_init=begin)
    for part in (slice(0, 300), slice(600, 900)):
        gm.partial_fit(frame.iloc[part][["a", "b"]], sample_weight=frame["w"].iloc[part])
    assert_same_parameters(parameters(scanned), parameters(gm), 1e-12)
    assert scanned.n_iter_ == 2
    assert not hasattr(scanned, "labels_")
    assert scanned.loglik_ == pytest.approx(gm.loglik_)
    assert list(scanned.feature_names_in_) == ["a", "b"]
    refused(scanned.partial_fit, scan(tmp_path / "rows.csv"), match="3 features")


# the door -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"step": 0.5}, "step must be above 0.5 and at most 1, got 0.5"),
        ({"step": 1.1}, "step must be above 0.5 and at most 1, got 1.1"),
        ({"step": "slow"}, "step must be a finite number"),
        ({"forgetting": 1.0}, "forgetting must be between 0 and 1, got 1.0"),
        ({"forgetting": 0.0}, "forgetting must be between 0 and 1, got 0.0"),
        ({"step": 0.6, "forgetting": 0.9}, "expected step or forgetting, got"),
        ({"sample_weight": [1.0]}, "sample_weight must have shape"),
        ({"labels": np.full(50, 7)}, "labels"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(arguments, said):
    X = blobs(200, 2)
    gm = GaussianMixture(2, random_state=0).partial_fit(X)
    before = pickle.dumps(gm.__dict__["_online"].model.means), gm.n_iter_, gm.loglik_
    refused(gm.partial_fit, X[:50], **arguments, match=said)
    assert (pickle.dumps(gm._online.model.means), gm.n_iter_, gm.loglik_) == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"truncate": 2}, "truncate must be None for batches, got 2"),
        ({"on_degenerate": "drop"}, 'on_degenerate must not be "drop" for batches'),
        ({"covariance_type": "diag"}, "covariance_type must stay 'full' while batches are learnt, got 'diag'"),
        ({"n_components": 3}, "n_components must stay 2 while batches are learnt, got 3"),
        ({"noise": True}, "noise must stay False while batches are learnt, got True"),
    ],
)
def test_parameters_that_do_not_go_with_what_was_learnt_are_refused(settings, said):
    X = blobs(200, 2)
    gm = GaussianMixture(2, random_state=0).partial_fit(X)
    refused(gm.set_params(**settings).partial_fit, X, match=said)


def test_other_features_are_refused():
    X = pd.DataFrame(blobs(200, 2), columns=["a", "b"])
    gm = GaussianMixture(2, random_state=0).partial_fit(X)
    for columns in (["b", "a"], ["a"]):
        with pytest.raises(ValueError, match="feature names should match"):
            gm.partial_fit(X[columns])
    assert gm.n_iter_ == 1


@pytest.mark.parametrize("check", [check_estimators_partial_fit_n_features, check_n_features_in])
def test_scikit_learn_checks_of_batches(check):
    check("GaussianMixture", GaussianMixture(2, random_state=0))


def test_a_component_that_collapses_is_said_or_refused():
    X = blobs(200, 2)
    gm = GaussianMixture(2, means_init=[[0.0, 0.0], [60.0, 60.0]])
    batch = np.concatenate([X, np.full((30, 2), 60.0)])
    with unwarned():
        learnt(gm, [batch] * 8, forgetting=1e-3)
    with pytest.warns(UserWarning, match="component 1 is collapsed"):
        gm.partial_fit(batch)
    assert gm.diagnostics_[1]["state"] == "collapsed"
    raising = GaussianMixture(2, means_init=[[0.0, 0.0], [60.0, 60.0]], on_degenerate="raise")
    with pytest.raises(ValueError, match="component 1 is collapsed"):
        learnt(raising, [batch] * 8, forgetting=1e-3)


def test_verbose_says_what_a_batch_told(capsys):
    X = blobs(200, 2)
    GaussianMixture(2, means_init=[[-3.0, -1.0], [4, 1.5]], verbose=1).partial_fit(X).partial_fit(X)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("batch 1: log-likelihood per row ")
    assert second.startswith("batch 2: ")


def test_the_last_batch_that_tells_something_is_diagnosed() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    gm = GaussianMixture(1).partial_fit(scan([x[:200], x[200:], np.full((5, 2), np.nan)]))
    assert gm.diagnostics_[0]["distinct_rows"] == 100
