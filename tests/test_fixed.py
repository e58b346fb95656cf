"""The parameter ``fixed``: what stays to the last bit, and that the rest is what is best around it."""

from __future__ import annotations

import pickle
from itertools import islice

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from scipy.stats import invwishart, multivariate_normal
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as ScikitLearnMixture

import reference
from cases import COUPLED, FAMILIES, UNIFORM, blobs, parameters, start, started, unfinished, unwarned
from mixtura import ChenTan, EigenvalueRatio, FraleyRaftery, GaussianMixture
from mixtura.accelerate import DRIVERS, Chart
from mixtura.em import e_step, iterate
from mixtura.families import FAMILIES as TABLE
from refusing import refused

SEPARATE = ("VII", "VVI", "VVV")
"""Families in which single covariances can be fixed."""

CHOICES = {
    "weights": {"weights": True},
    "means": {"means": True},
    "covariances": {"covariances": True},
    "a weight": {"weights": [False, True, False]},
    "two weights": {"weights": [True, False, True]},
    "a mean": {"means": [False, False, True]},
    "two means and a weight": {"means": [True, True, False], "weights": [True, False, False]},
    "weights and means": {"weights": True, "means": True},
    "means and covariances": {"means": True, "covariances": True},
    "all but a mean": {"weights": True, "means": [True, False, True], "covariances": True},
    "a covariance": {"covariances": [False, True, False]},
    "two covariances": {"covariances": [True, False, True]},
    "a component": {part: [True, False, False] for part in ("weights", "means", "covariances")},
    "everything": {"weights": True, "means": True, "covariances": True},
}


def pairs(families=FAMILIES):
    """Families with what can be fixed of them."""
    return [
        pytest.param(family, fixed, id=f"{family}-{name}")
        for family in families
        for name, fixed in CHOICES.items()
        if family in SEPARATE or np.ndim(fixed.get("covariances", True)) == 0
    ]


def given(family, d, *, noise=False):
    """What to begin with; with ``noise`` a tenth is left to the background."""
    weights, means, covariances = start(family, d)
    if family[:2] == "EV":  # one volume
        covariances = covariances * (1.5 / np.linalg.det(covariances) ** (1 / d))[:, None, None]
    return weights * (0.9 if noise else 1.0), means, covariances


def strewn(n=200, d=2, *, seed=0):
    """Rows of three Gaussians and a few from everywhere, (n, d)."""
    rng = np.random.default_rng([5, d, seed])
    return np.concatenate([blobs(n - n // 8, d, seed=seed), rng.uniform(-9, 9, (n // 8, d))])


def mask(fixed, part, k=3):
    return np.broadcast_to(np.asarray(fixed.get(part, False)), (k,))


def assert_kept(fixed, begin, weights, means, covariances):
    """What is fixed is as it was given, to the last bit."""
    for part, got, wanted in zip(
        ("weights", "means", "covariances"), (weights, means, covariances), begin, strict=True
    ):
        own = mask(fixed, part, len(got))
        np.testing.assert_array_equal(got[own], wanted[own], err_msg=part)


def assert_climbs(gm):
    totals = np.array([one["objective"] for one in gm.history_])
    assert (np.diff(totals) >= -1e-12 * np.abs(totals[1:])).all()


# exactly kept, and never lower --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize(
    ("family", "fixed", "accelerate"),
    [
        pytest.param(*one.values, name, id=f"{one.id}-{name}")
        for one in pairs()
        for name in ([None] if one.values[0] in COUPLED else [None, *DRIVERS])
    ],
)
def test_exactly_kept(family, fixed, accelerate, noise):
    X, weight = strewn(), np.random.default_rng(1).uniform(0.5, 2.0, 200)
    begin = given(family, 2, noise=noise)
    gm = started(begin, covariance_type=family, accelerate=accelerate, noise=noise, fixed=fixed, trace=True, tol=1e-6)
    unfinished(gm, X, sample_weight=weight)
    assert_kept(fixed, begin, gm.weights_, gm.means_, gm.covariances_)
    assert_climbs(gm)
    assert gm.weights_.sum() + gm.noise_weight_ == pytest.approx(1, abs=1e-12)
    assert gm.loglik_ == pytest.approx(gm.score(X, sample_weight=weight) * weight.sum(), rel=1e-12)
    for one in gm.history_:  # every model on the way, tries that were accepted among them
        weights = one["model"].weights if noise is None else gm.weights_
        assert_kept(fixed, begin, weights, one["model"].means, one["model"].covariances)
    if all(mask(fixed, "weights")):
        assert gm.noise_weight_ == (0.0 if noise is None else max(1 - begin[0].sum(), 0.0))


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("fixed", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("family", SEPARATE)
def test_accelerated_runs_end_where_em_does(family, fixed, accelerate):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (150, 2)), rng.normal(1.6, 1.4, (80, 2)), rng.normal(-1, 2, (70, 2))])
    begin = given(family, 2)
    runs = [
        unfinished(started(begin, covariance_type=family, accelerate=name, fixed=fixed, tol=1e-7, max_iter=20_000), X)
        for name in (None, accelerate)
    ]
    assert_climbs(runs[1])
    assert_kept(fixed, begin, *parameters(runs[1]))
    assert runs[1].loglik_ >= runs[0].loglik_ - 1e-3
    assert runs[1].n_iter_ <= max(1.2 * runs[0].n_iter_, 12)


def test_acceleration_is_used_and_saves_passes():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(1.6, 1.4, (100, 2))])
    settings = {"weights_init": [0.6, 0.4], "means_init": [[0.0, 0.0], [1.5, 1.5]], "max_iter": 20_000}
    for fixed in ({"weights": True}, {"means": [True, False]}):
        runs = [GaussianMixture(2, accelerate=name, fixed=fixed, **settings).fit(X) for name in (None, *DRIVERS)]
        assert all(any(one["accelerated"] for one in gm.history_) for gm in runs[1:])
        assert max(gm.n_iter_ for gm in runs[1:]) < runs[0].n_iter_


@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("family", FAMILIES)
def test_other_numbers_of_features(family, d):
    X, begin = blobs(300, d), given(family, d)
    for fixed in ({"means": True}, {"covariances": True, "weights": [True, False, False]}):
        gm = unfinished(started(begin, covariance_type=family, fixed=fixed, max_iter=30), X)
        assert_kept(fixed, begin, *parameters(gm))
        assert_climbs(gm)


@pytest.mark.parametrize("dtype", [np.float32, int])
def test_other_dtypes_keep_the_mixture_exactly(dtype):
    X, begin = (10 * blobs(200, 2)).astype(dtype), given("VVV", 2)
    gm = started(begin, fixed={"means": True, "weights": True}).fit(X)
    assert_kept(gm.fixed, begin, *parameters(gm))
    np.testing.assert_array_equal(gm.means_, begin[1].astype(gm.means_.dtype))


@pytest.mark.parametrize("nothing", [{}, {"means": False}, {"weights": [False] * 3, "covariances": np.bool_(False)}])
def test_nothing_fixed_is_nothing_said(nothing):
    X = blobs(300, 2)
    plain, other = (GaussianMixture(3, random_state=0, fixed=fixed).fit(X) for fixed in (None, nothing))
    assert plain.log_likelihood_history_ == other.log_likelihood_history_
    np.testing.assert_array_equal(plain.covariances_, other.covariances_)
    assert plain.df_ == other.df_


# the rest is what is best -------------------------------------------------------------------------------------------


def unpacked(family, fixed, begin, noise, y):
    """Weights (K,), that of the background, means and covariances (K, 2, 2) from free numbers ``y``, in two dimensions.

    S = exp(v) R(t) diag(exp(r), exp(-r)) R(t)', with v, r, t shared or not as the letters say.
    """
    weights, means, covariances = (np.array(one) for one in begin)
    y = list(y)

    def taken(n):
        part, y[:] = np.array(y[:n]), y[n:]
        return part

    own = ~mask(fixed, "weights")
    logits = taken(max(own.sum() + bool(noise) - 1, 0))
    if own.any() or noise:
        left = 1 - weights[~own].sum()
        shares = left * softmax(np.append(logits, 0.0))
        weights[own] = shares[: own.sum()]
    own = ~mask(fixed, "means")
    means[own] = taken(2 * own.sum()).reshape(-1, 2)
    own = ~mask(fixed, "covariances")
    if own.any():
        k = own.sum()
        v, r, t = (
            np.zeros(k) if letter == "I" else np.resize(taken(1 if letter == "E" else k), k) for letter in family
        )
        turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]).transpose(2, 0, 1)
        spread = np.exp(v[:, None] + np.stack([r, -r], axis=1))
        covariances[own] = (turn * spread[:, None, :]) @ turn.transpose(0, 2, 1)
    assert not y
    return weights, 1 - weights.sum(), means, covariances


def packed(family, fixed, gm):
    """The free numbers of a fitted model."""
    weights, means, covariances = gm.weights_, gm.means_, gm.covariances_
    own = ~mask(fixed, "weights")
    shares = np.append(weights[own], [gm.noise_weight_] * bool(gm.noise))
    parts = [np.log(shares[:-1] / shares[-1])] if len(shares) else []
    parts.append(means[~mask(fixed, "means")].ravel())
    own = ~mask(fixed, "covariances")
    values, vectors = np.linalg.eigh(covariances[own])
    if family[1:] != "II" and family[2] != "V":  # one order of the axes for all
        vectors = np.repeat(vectors[:1] if family[2] == "E" else np.eye(2)[None, :, ::-1], len(values), axis=0)
        values = np.einsum("kij,kia,kja->ka", covariances[own], vectors, vectors)
    log = np.log(values)
    v, r = log.mean(axis=1), (log[:, 1] - log[:, 0]) / 2
    t = np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])
    if own.any():
        parts += [
            one[:1] if letter == "E" else one for letter, one in zip(family, (v, r, t), strict=True) if letter != "I"
        ]
    return np.concatenate(parts)


def brute(X, weight, log_volume, weights, behind, means, covariances):
    """The log-likelihood, by SciPy."""
    with np.errstate(divide="ignore"):
        columns = [
            np.log(w) + multivariate_normal(m, S).logpdf(X) for w, m, S in zip(weights, means, covariances, strict=True)
        ]
        if log_volume is not None:
            columns.append(np.full(len(X), np.log(max(behind, 0.0)) - log_volume))
    return float(weight @ logsumexp(np.array(columns), axis=0))


SOME = ("weights", "means", "covariances", "a weight", "two means and a weight", "all but a mean", "a component")


@pytest.mark.parametrize(
    ("family", "fixed", "noise"),
    [
        pytest.param(*one.values, noise, id=f"{one.id}{'-noise' if noise else ''}")
        for one in pairs()
        for noise in (None, True)
        if one.id.split("-")[1] in SOME and (noise is None or one.values[0] in ("EEE", "VVI", "VEV", "VVV"))
    ],
)
def test_scipy_finds_nothing_better(family, fixed, noise):
    X = strewn(120, seed=1)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    begin = given(family, 2, noise=noise)
    gm = started(begin, covariance_type=family, noise=noise, fixed=fixed, tol=1e-9, max_iter=20_000)
    gm = unfinished(gm, X, sample_weight=weight)
    log_volume = None if noise is None else gm.background_.box.log_volume

    def objective(y):
        try:
            return -brute(X, weight, log_volume, *unpacked(family, fixed, begin, noise, y))
        except np.linalg.LinAlgError:  # too far along a line
            return 1e10

    at = packed(family, fixed, gm)
    assert -objective(at) == pytest.approx(gm.loglik_, abs=1e-7)
    assert len(at) == gm.df_ - bool(noise)  # the volume of the background is counted, too
    # Around the answer: a long first step may lead to another optimum.
    off = at + 0.02 * np.random.default_rng(0).uniform(-1, 1, at.shape)
    around = np.stack([at - 0.03, at + 0.03], axis=1)
    found = minimize(objective, off, method="L-BFGS-B", bounds=around, options={"ftol": 1e-14, "gtol": 1e-5})
    assert -found.fun == pytest.approx(gm.loglik_, abs=2e-5)
    assert (np.abs(found.x - at) < 0.02).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("offset", [0.0, 1e7])
@pytest.mark.parametrize("family", FAMILIES)
def test_of_one_component_the_covariance_is_the_scatter_about_the_mean(family, offset, d, weighted):
    X = blobs(300, d) + offset
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else np.ones(len(X))
    mean = np.linspace(-1, 2, d) + offset
    y = X - mean  # exact, or nearly so
    scatter = (weight[:, None] * y).T @ y / weight.sum()
    if family[2] == "I":
        scatter = np.diag(np.diagonal(scatter))
    if family[1] == "I":
        scatter = np.eye(d) * np.trace(scatter) / d
    gm = GaussianMixture(1, covariance_type=family, means_init=mean[None], fixed={"means": True})
    gm.fit(X, sample_weight=weight)
    np.testing.assert_array_equal(gm.means_, mean[None])
    size = np.sqrt(np.diagonal(scatter))
    assert (np.abs(gm.covariances_[0] - scatter) <= 1e-12 * np.outer(size, size)).all()


@pytest.mark.parametrize("family", [*reference.FAMILIES, *reference.COUPLED])
@pytest.mark.parametrize("fixed", [{"means": True}, {"means": [True, False, True], "weights": [False, True, False]}])
def test_one_step_is_that_of_the_loops(family, fixed):
    X, begin = blobs(100, 2), given(family, 2)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    resp, _ = reference.e_step(X, *begin, weight)
    mass = weight @ resp
    own = mask(fixed, "means")
    means = np.where(own[:, None], begin[1], (weight[:, None] * resp).T @ X / mass[:, None])
    away = X[:, None] - means
    scatter = np.einsum("nk,nki,nkj->kij", weight[:, None] * resp, away, away)
    covariances = reference._covariances(family, scatter.tolist(), mass.tolist(), 2)
    weights = mass / mass.sum()
    own = mask(fixed, "weights")
    if own.any():
        weights = np.where(own, begin[0], (1 - begin[0][own].sum()) * mass / mass[~own].sum())
    gm = unfinished(
        started(begin, covariance_type=family, fixed=fixed, max_iter=1, tol=0.0, accelerate=None),
        X,
        sample_weight=weight,
    )
    np.testing.assert_allclose(gm.weights_, weights, rtol=1e-12)
    np.testing.assert_allclose(gm.means_, means, rtol=1e-11, atol=1e-11)
    tolerance = 1e-10 if family in reference.FAMILIES else 1e-7
    np.testing.assert_allclose(gm.covariances_, covariances, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_with_everything_fixed_it_is_the_score(covariance_type):
    X, begin = blobs(300, 2), ScikitLearnMixture(3, covariance_type=covariance_type, random_state=0).fit(blobs(300, 2))
    if covariance_type in ("full", "tied"):  # to the last bit
        begin.covariances_ = 0.5 * (begin.covariances_ + np.swapaxes(begin.covariances_, -1, -2))
    theirs = (begin.weights_, begin.means_, begin.covariances_)
    everything = {"weights": True, "means": True, "covariances": True}
    gm = started(theirs, covariance_type=covariance_type, fixed=everything).fit(X)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(getattr(gm, name), getattr(begin, name))
    assert gm.loglik_ == pytest.approx(begin.score(X) * len(X), rel=1e-12)
    np.testing.assert_allclose(gm.predict_proba(X), begin.predict_proba(X), atol=1e-12)
    assert gm.df_ == 0
    assert gm.bic(X) == pytest.approx(-2 * gm.loglik_, rel=1e-12)
    assert gm.n_iter_ <= 2
    assert gm.converged_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_from_scikit_learns_optimum_nothing_moves(covariance_type):
    X = blobs(300, 2)
    settings = {"covariance_type": covariance_type, "random_state": 0}
    theirs = ScikitLearnMixture(3, tol=1e-12, max_iter=10_000, reg_covar=0, **settings).fit(X)
    if covariance_type in ("full", "tied"):
        theirs.covariances_ = 0.5 * (theirs.covariances_ + np.swapaxes(theirs.covariances_, -1, -2))
    begin = (theirs.weights_, theirs.means_, theirs.covariances_)
    for part in ("weights", "means", "covariances"):
        gm = started(begin, covariance_type=covariance_type, fixed={part: True}).fit(X)
        np.testing.assert_array_equal(getattr(gm, f"{part}_"), getattr(theirs, f"{part}_"))
        np.testing.assert_allclose(gm.weights_, theirs.weights_, atol=1e-4)
        np.testing.assert_allclose(gm.means_, theirs.means_, atol=1e-3)
        np.testing.assert_allclose(gm.covariances_, theirs.covariances_, atol=1e-3)


# the chart ----------------------------------------------------------------------------------------------------------

PRIORS = {"none": None, "fraley-raftery": FraleyRaftery(shrinkage=3.0), "chen-tan": ChenTan(a=5.0)}


def ready(X, family, fixed, weight=None, **settings):
    gm = started(
        given(family, X.shape[1], noise=settings.get("noise")), covariance_type=family, fixed=fixed, **settings
    )
    task = gm._task(X, weight)
    begin = next(gm._starts(task, {}))[1]
    return task.problem, next(islice(iterate(task.problem, begin), 1, None))


def astray(chart, size=0.1):
    return size * np.random.default_rng(3).normal(size=chart.scale.shape) * chart.scale


@pytest.mark.parametrize(("prior", "noise"), [*((prior, None) for prior in PRIORS), ("none", True)])
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize(("family", "fixed"), pairs(UNIFORM))
def test_gradient_is_that_of_the_objective(family, fixed, d, prior, noise):
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=200)
    problem, told = ready(strewn(200, d), family, fixed, weight, prior=PRIORS[prior], noise=noise)
    chart = Chart.about(problem.update, told)
    x = astray(chart)
    tried = e_step(problem, chart.model(x))
    step, numeric = 1e-5, []
    for unit in np.eye(len(x)):
        up, down = (e_step(problem, chart.model(x + sign * step * unit)).objective for sign in (1, -1))
        numeric.append((up - down) / (2 * step * tried.statistics.count))
    np.testing.assert_allclose(chart.gradient(tried, x), numeric, rtol=1e-6, atol=2e-9)


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize(("family", "fixed"), pairs(UNIFORM))
def test_what_is_fixed_has_no_coordinate(family, fixed, noise):
    problem, told = ready(strewn(), family, fixed, noise=noise)
    chart, begin = Chart.about(problem.update, told), given(family, 2, noise=noise)
    model = chart.model(astray(chart))
    assert_kept(fixed, begin, model.weights, model.means, model.covariances)
    rest = 0.0 if model.background is None else model.background.weight
    assert model.weights.sum() + rest == pytest.approx(1, abs=1e-12)
    back = chart.model(chart.point(model))
    assert_kept(fixed, begin, back.weights, back.means, back.covariances)
    np.testing.assert_allclose(back.weights, model.weights, rtol=1e-12)
    np.testing.assert_allclose(back.means, model.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back.covariances, model.covariances, rtol=1e-11, atol=1e-12)
    assert back.layout.shared == model.layout.shared == told.model.layout.shared
    free = 3 - mask(fixed, "weights").sum() + bool(noise)
    triangle = {"I": 2, "E": 3, "V": 3}[family[2]] if family[1] != "I" else 1
    copies = (1 if TABLE[family].pooled else 3) if "covariances" not in fixed else 3 - mask(fixed, "covariances").sum()
    numbers = (free if free > 1 else 0) + 2 * (3 - mask(fixed, "means").sum()) + triangle * copies
    assert chart.scale.shape == (numbers,)


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize(("family", "fixed"), pairs(UNIFORM))
def test_first_step_is_that_of_em_to_first_order(family, fixed, noise):
    problem, told = ready(strewn(300), family, fixed, noise=noise)
    off = []
    for one in islice(iterate(problem, told.model), 0, 90, 30):
        chart = Chart.about(problem.update, one)
        gradient = chart.gradient(one, np.zeros_like(chart.scale))
        em = chart.point(problem.update(one.statistics, one.model))
        off.append(np.linalg.norm(gradient - em) / max(np.linalg.norm(em), 1e-7))
    assert off[0] < 0.8
    assert off[-1] < 0.02


# priors, floors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["fraley-raftery", "chen-tan"])
@pytest.mark.parametrize(("family", "fixed"), pairs())
def test_objective_with_a_prior_never_falls(family, fixed, prior):
    begin = given(family, 2)
    gm = started(begin, covariance_type=family, prior=PRIORS[prior], fixed=fixed)
    unfinished(gm, strewn())
    assert_kept(fixed, begin, *parameters(gm))
    assert_climbs(gm)


def test_covariance_under_a_prior_is_the_mode_about_the_given_mean():
    X, mean, kappa, dof = blobs(60, 2), np.array([0.5, -0.5]), 3.0, 5.0
    scale = np.array([[2.0, 0.3], [0.3, 1.0]])
    prior = FraleyRaftery(scale=scale, shrinkage=kappa, dof=dof)
    gm = GaussianMixture(1, prior=prior, means_init=mean[None], fixed={"means": True}).fit(X)

    def objective(y):
        root = np.array([[np.exp(y[0]), 0.0], [y[1], np.exp(y[2])]])
        S = root @ root.T
        if np.linalg.cond(S) > 1e9:  # too far along a line
            return 1e10
        log_prior = invwishart(dof, scale).logpdf(S) + multivariate_normal(X.mean(axis=0), S / kappa).logpdf(mean)
        return -multivariate_normal(mean, S).logpdf(X).sum() - log_prior

    found = minimize(objective, [0.0, 0.0, 0.0], method="BFGS", options={"gtol": 1e-6})
    root = np.array([[np.exp(found.x[0]), 0.0], [found.x[1], np.exp(found.x[2])]])
    np.testing.assert_allclose(gm.covariances_[0], root @ root.T, rtol=1e-5)


@pytest.mark.parametrize("family", UNIFORM)
def test_eigenvalue_ratio_holds_beside_fixed_means(family):
    begin, fixed = given(family, 2), {"means": True, "weights": [True, False, False]}
    gm = unfinished(started(begin, covariance_type=family, prior=EigenvalueRatio(2.0), fixed=fixed), strewn())
    assert_kept(fixed, begin, *parameters(gm))
    values = np.linalg.eigvalsh(gm.mixture_.covariances)
    assert values.max() <= 2.0 * values.min() * (1 + 1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_reg_covar_leaves_fixed_covariances(family):
    begin, X = given(family, 2), blobs(200, 2)
    for fixed in [{"covariances": True}] + [{"covariances": [True, False, False]}] * (family in SEPARATE):
        gm = unfinished(started(begin, covariance_type=family, reg_covar=0.5, fixed=fixed, max_iter=5), X)
        assert_kept(fixed, begin, *parameters(gm))
    if family in SEPARATE:
        assert (np.linalg.eigvalsh(gm.covariances_[1:]) >= 0.5).all()


@pytest.mark.parametrize("accelerate", [None, "lbfgs", "squarem"])
@pytest.mark.parametrize("family", SEPARATE)
def test_a_fixed_covariance_has_no_floor_and_is_not_degenerate(family, accelerate):
    X = np.concatenate([blobs(200, 2), np.full((30, 2), 9.0)])
    covariances = np.array([np.eye(2), 4 * np.eye(2), 1e-18 * np.eye(2)])
    begin = np.full(3, 1 / 3), np.array([[-3.0, -1.0], [2.0, 1.0], [9.0, 9.0]]), covariances
    fixed = {"covariances": [False, False, True]}
    gm = started(begin, covariance_type=family, fixed=fixed, accelerate=accelerate).fit(X)
    np.testing.assert_array_equal(gm.covariances_[2], covariances[2])
    np.testing.assert_array_equal(gm.means_[2], [9.0, 9.0])
    assert gm.weights_[2] == pytest.approx(30 / 230)
    assert [one["state"] for one in gm.diagnostics_] == ["ok"] * 3
    assert gm.diagnostics_[2]["direction"] is None
    assert gm.diagnostics_[2]["done"] == "nothing"
    assert not gm.remarks_
    assert_climbs(gm)
    assert (accelerate is None) or any(one["accelerated"] for one in gm.history_) or gm.n_iter_ < 15
    with unwarned():
        free = started(begin, covariance_type=family, accelerate=accelerate).fit(X)
    assert free.diagnostics_[2]["state"] == "tied"


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "VEV", "EVV", "EEI"])
def test_few_rows_are_enough_for_covariances_that_are_given(covariance_type):
    X = np.array([[0.0, 0.0], [5.0, 5.0]])
    unit = np.eye(2) if covariance_type == "tied" else np.ones((2, 2)) if covariance_type == "diag" else [np.eye(2)] * 2
    gm = GaussianMixture(
        2,
        covariance_type=covariance_type,
        covariances_init=unit,
        means_init=X + 0.5,
        fixed={"covariances": True},
        on_degenerate="raise",
    ).fit(X)
    np.testing.assert_allclose(gm.means_, X, atol=1e-3)
    assert not gm.remarks_
    one = GaussianMixture(
        2,
        covariance_type=covariance_type,
        covariances_init=unit,
        means_init=[[0, 0], [1.0, 0.0]],
        fixed={"covariances": True, "means": True},
    ).fit(X[:1])
    assert [each["state"] for each in one.diagnostics_] == ["ok", "ok"]


def test_a_free_component_can_still_be_degenerate():
    X = np.concatenate([blobs(200, 2), np.full((30, 2), 9.0)])
    begin = np.full(3, 1 / 3), np.array([[-3.0, -1.0], [2.0, 1.0], [9.0, 9.0]]), np.array([np.eye(2)] * 3)
    gm = unfinished(started(begin, fixed={"covariances": [True, False, False]}), X)
    assert [one["state"] for one in gm.diagnostics_] == ["ok", "ok", "tied"]
    with pytest.raises(ValueError, match="component 2 is tied"):
        started(begin, fixed={"covariances": [True, False, False]}, on_degenerate="raise").fit(X)


def test_empty_stays_possible():
    X = blobs(200, 2)
    begin = np.full(3, 1 / 3), np.array([[-3.0, -1.0], [2.0, 1.0], [1e4, 1e4]]), np.array([np.eye(2)] * 3)
    gm = unfinished(started(begin, fixed={"covariances": True}), X)
    assert [one["state"] for one in gm.diagnostics_] == ["ok", "ok", "empty"]
    np.testing.assert_array_equal(gm.means_[2], [1e4, 1e4])


def test_about_a_given_mean_one_row_fewer_is_enough():
    far = np.array([[90.0, 91.0], [91.0, 90.0]])
    X = np.concatenate([blobs(200, 2), far])
    means = np.array([[0.0, 0.0], [90.0, 90.0]])
    gm = GaussianMixture(2, means_init=means, fixed={"means": [False, True]}).fit(X)
    np.testing.assert_allclose(gm.covariances_[1], 0.5 * np.eye(2), atol=1e-9)
    assert [one["state"] for one in gm.diagnostics_] == ["ok", "ok"]


# where it comes from ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "n_init", "noise"),
    [
        ("auto", "auto", None),
        ("auto", 3, True),
        ("k-means++", "auto", True),
        *((init, 2, None) for init in ("kmeans", "random", "random_from_data", "hierarchical")),
    ],
)
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV", "EVE"])
def test_every_made_start_keeps_what_is_given(covariance_type, init, n_init, noise):
    X, shape = strewn(), {"tied": np.eye(2), "diag": np.ones((3, 2)), "spherical": np.ones(3)}
    weights, means = np.array([0.2, 0.3, 0.5]) * (0.9 if noise else 1), start("VVV", 2)[1]
    covariances = shape.get(covariance_type, np.array([np.diag([2.0, 0.5])] * 3))
    settings = {"covariance_type": covariance_type, "init": init, "n_init": n_init, "noise": noise, "random_state": 0}
    for part, value in (("weights", weights), ("means", means), ("covariances", covariances)):
        gm = GaussianMixture(3, fixed={part: True}, trace=True, **{f"{part}_init": value}, **settings)
        task = gm._task(X, None)
        for _, begin in gm._starts(task, {}):
            kept = begin.weights if part == "weights" else begin.means if part == "means" else begin.covariances
            np.testing.assert_array_equal(kept, np.broadcast_to(_matrices(value, part), kept.shape))
        unfinished(gm, X)
        np.testing.assert_array_equal(getattr(gm, f"{part}_"), value)
        for one in gm.history_:
            if part == "means":
                np.testing.assert_array_equal(one["model"].means, means)
            if part == "covariances":
                np.testing.assert_array_equal(one["model"].covariances, _matrices(covariances, part))
        assert all(np.isfinite(one["objective"]) for one in gm.restarts_)
        assert_climbs(gm)


def _matrices(values, part):
    """Covariances as matrices, whatever their shape."""
    if part != "covariances":
        return values
    if values.ndim == 1:
        return values[:, None, None] * np.eye(2)
    if values.shape == (3, 2):
        return values[:, :, None] * np.eye(2)
    return np.broadcast_to(values, (3, 2, 2))


def test_precisions_are_a_start_of_covariances():
    X, precisions = blobs(200, 2), np.array([[1.0, 2.0], [0.5, 0.25], [4.0, 1.0]])
    gm = GaussianMixture(
        3, covariance_type="diag", precisions_init=precisions, fixed={"covariances": True}, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(gm.covariances_, 1 / precisions)


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "VEI", "EVE"])
def test_a_start_that_is_given_whole_is_kept(family):
    X = blobs(300, 2)
    labels = (X[:, 0] > -1.5).astype(int) + (X[:, 0] > 2)
    fixed = {"weights": True, "means": [True, False, True], "covariances": True}
    settings = {"covariance_type": family, "fixed": fixed}
    first = unfinished(GaussianMixture(3, covariance_type=family, labels_init=labels, max_iter=0), X)
    resp = np.eye(3)[labels]
    for whole in ({"labels_init": labels}, {"init": labels}, {"responsibilities_init": resp}, {"init": resp}):
        gm = GaussianMixture(3, **settings, **whole).fit(X)
        assert_kept(fixed, parameters(first), *parameters(gm))
        assert gm.loglik_ > first.loglik_


def test_what_is_given_beside_labels_comes_first():
    X, means = blobs(300, 2), start("VVV", 2)[1]
    labels = (X[:, 0] > -1.5).astype(int) + (X[:, 0] > 2)
    gm = GaussianMixture(3, labels_init=labels, means_init=means, fixed={"means": True, "weights": True}).fit(X)
    np.testing.assert_array_equal(gm.means_, means)
    np.testing.assert_array_equal(gm.weights_, np.bincount(labels) / len(X))


def test_background_of_labels_is_kept_with_the_weights():
    X = strewn()
    labels = (X[:, 0] > -1.5).astype(int) + (X[:, 0] > 2)
    labels[::10] = -1
    gm = GaussianMixture(3, labels_init=labels, noise=True, fixed={"weights": True}).fit(X)
    np.testing.assert_array_equal(gm.weights_, 0.9 * (np.bincount(labels + 1)[1:] / 180))
    assert gm.noise_weight_ == 0.1
    assert_climbs(gm)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("init", ["auto", "kmeans"])
def test_made_starts_come_in_the_order_of_what_is_given(init, seed):
    rng = np.random.default_rng(seed)
    weights, deviations = np.array([0.6, 0.1, 0.3])[rng.permutation(3)], np.array([0.3, 1.0, 3.0])[rng.permutation(3)]
    means = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 14.0]])
    labels = rng.choice(3, 600, p=weights)
    X = means[labels] + deviations[labels, None] * rng.normal(size=(600, 2))
    for fixed in ({"weights": True}, {"covariances": True}, {"weights": True, "covariances": True}):
        settings = {"covariance_type": "spherical", "fixed": fixed, "random_state": seed}
        given_ones = {"weights_init": weights, "covariances_init": deviations**2}
        given_ones = {name: value for name, value in given_ones.items() if name[:-5] in fixed}
        best = GaussianMixture(3, means_init=means, **given_ones, **settings).fit(X)
        made = GaussianMixture(3, init=init, **given_ones, **settings).fit(X)
        np.testing.assert_allclose(made.means_, best.means_, atol=0.05)
        assert made.loglik_ == pytest.approx(best.loglik_, abs=0.01)


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize("family", FAMILIES)
def test_with_equal_mixing(family, noise):
    X, means = strewn(), start(family, 2)[1]
    for part, value in (("means", means), ("covariances", given(family, 2)[2])):
        gm = GaussianMixture(3, covariance_type=family, mixing="equal", noise=noise, fixed={part: True}, random_state=0)
        unfinished(gm.set_params(**{f"{part}_init": value}), X)
        np.testing.assert_array_equal(getattr(gm, f"{part}_"), value)
        np.testing.assert_allclose(gm.weights_, (1 - gm.noise_weight_) / 3, rtol=1e-14)
        assert_climbs(gm)


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize("part", ["weights", "means", "covariances"])
def test_the_last_fit_is_a_whole_start(part, noise):
    gm = GaussianMixture(3, random_state=0, noise=noise, warm_start=True, tol=1.0).fit(strewn())
    before = getattr(gm, f"{part}_")
    X = strewn(seed=1)
    for _ in range(2):
        unfinished(gm.set_params(fixed={part: True}), X)
        np.testing.assert_array_equal(getattr(gm, f"{part}_"), before)
    with pytest.raises(ValueError, match="must have a start to stay at"):
        GaussianMixture(3, warm_start=True, fixed={part: True}).fit(X)


def test_fit_iter_keeps_it_too():
    X, means = blobs(300, 2), start("VVV", 2)[1]
    gm = GaussianMixture(3, means_init=means, fixed={"means": True})
    models = [mixture for mixture, _ in gm.fit_iter(X)]
    for one in models:
        np.testing.assert_array_equal(one.means, means)
    assert len(models) > 5


@pytest.mark.parametrize("part", ["weights", "means", "covariances"])
def test_many_rows(part):
    X = blobs(45_000, 2)
    given_one = dict(zip(("weights", "means", "covariances"), start("VVV", 2), strict=True))[part]
    gm = GaussianMixture(3, fixed={part: True}, random_state=0, **{f"{part}_init": given_one}).fit(X)
    np.testing.assert_array_equal(getattr(gm, f"{part}_"), given_one)
    assert_climbs(gm)


def test_same_bits_for_any_number_of_threads():
    X, means = blobs(3000, 2), start("VVV", 2)[1]
    runs = [GaussianMixture(3, means_init=means, fixed={"means": True}, n_jobs=n).fit(X) for n in (1, 2, 3)]
    for gm in runs[1:]:
        assert gm.log_likelihood_history_ == runs[0].log_likelihood_history_
        np.testing.assert_array_equal(gm.covariances_, runs[0].covariances_)


@pytest.mark.parametrize("family", ["VVV", "EEE", "VVI", "VEV"])
def test_weights_are_repeated_rows(family):
    X, begin = blobs(300, 2), given(family, 2)
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    for fixed in ({"means": True}, {"weights": [True, False, False]}, {"covariances": True}):
        gm = started(begin, covariance_type=family, fixed=fixed, tol=1e-8, max_iter=10_000)
        once = parameters(gm.fit(X, sample_weight=weight))
        for got, wanted in zip(parameters(gm.fit(np.repeat(X, weight, axis=0))), once, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


# counting, files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [None, True], ids=["", "noise"])
@pytest.mark.parametrize("family", FAMILIES)
def test_df_counts_what_is_free(family, noise):
    X, begin = strewn(), given(family, 2, noise=noise)

    def df(**fixed):
        return unfinished(started(begin, covariance_type=family, noise=noise, fixed=fixed, max_iter=1), X).df_

    all_ = df()
    own = TABLE[family].n_covariance_parameters(3, 2)
    assert all_ == own + 6 + 2 + 2 * bool(noise)
    assert all_ - df(means=True) == 6
    assert all_ - df(means=[True, False, False]) == 2
    assert all_ - df(covariances=True) == own
    assert all_ - df(weights=[True, False, False]) == 1
    assert all_ - df(weights=[True, True, False]) == 2
    assert all_ - df(weights=True) == (3 if noise else 2)
    assert df(weights=True, means=True, covariances=True) == bool(noise)
    if family in SEPARATE:
        assert all_ - df(covariances=[True, False, True]) == 2 * own // 3


def test_criteria_follow_and_survive_a_file(tmp_path):
    X, means = blobs(200, 2), start("VVV", 2)[1]
    gm = GaussianMixture(3, means_init=means, fixed={"means": True}).fit(X)
    assert gm.df_ == 9 + 2
    assert gm.bic(X) == pytest.approx(gm.df_ * np.log(200) - 2 * gm.loglik_, rel=1e-12)
    assert gm.aic(X) == pytest.approx(2 * gm.df_ - 2 * gm.loglik_, rel=1e-12)
    for other in (GaussianMixture.load(gm.save(tmp_path / "m.json")), pickle.loads(pickle.dumps(gm))):
        assert other.bic(X) == gm.bic(X)
        np.testing.assert_array_equal(other.means_, means)
        np.testing.assert_array_equal(other.predict_proba(X), gm.predict_proba(X))


def test_clones_and_parameters():
    fixed = {"means": np.array([True, False, False])}
    gm = GaussianMixture(3, means_init=start("VVV", 2)[1], fixed=fixed)
    assert gm.get_params()["fixed"] is fixed
    X = blobs(200, 2)
    np.testing.assert_array_equal(clone(gm).fit(X).covariances_, gm.fit(X).covariances_)
    assert "fixed" in repr(gm)


# what is refused ----------------------------------------------------------------------------------------------------

GIVEN = dict(zip(("weights_init", "means_init", "covariances_init"), start("VVV", 2), strict=True))
REFUSED = {
    "no dict": ({"fixed": "means"}, "fixed must be None or a dict with keys among weights, means, covariances"),
    "a list": ({"fixed": ["means"]}, "fixed must be None or a dict"),
    "no such part": ({"fixed": {"mean": True}}, "fixed must be None or a dict with keys among weights"),
    "a number": ({"fixed": {"means": 1}}, r"fixed\['means'\] must be True, False or 3 booleans, got 1"),
    "nothing": ({"fixed": {"means": None}}, r"fixed\['means'\] must be True, False or 3 booleans, got None"),
    "a mask too short": (
        {"fixed": {"means": [True, False]}},
        r"True, False or 3 booleans, got \[True, False\]",
    ),
    "indices": ({"fixed": {"weights": [0, 1, 1]}}, r"fixed\['weights'\] must be True, False or 3 booleans"),
    "a mask of means' shape": ({"fixed": {"means": np.ones((3, 2), bool)}}, "3 booleans"),
    "ragged": ({"fixed": {"means": [[True], [True, False]]}}, r"fixed\['means'\] must be"),
    "no weights": (
        {"fixed": {"weights": True}, "weights_init": None},
        "must have a start to stay at, got none: give weights_init",
    ),
    "no means": (
        {"fixed": {"means": [True] + 2 * [False]}, "means_init": None},
        "must have a start to stay at, got none: give means_init",
    ),
    "no covariances": (
        {"fixed": {"covariances": True}, "covariances_init": None},
        "got none: give covariances_init or precisions_init",
    ),
    "a function": (
        {"fixed": {"means": True}, "means_init": None, "init": lambda X, k, rng: np.full((len(X), k), 1 / k)},
        "must have a start to stay at, got none: give means_init",
    ),
    "dropping": ({"fixed": {"means": True}, "on_degenerate": "drop"}, 'on_degenerate="drop".*got means: use "rescue"'),
    "truncated": ({"fixed": {"means": True}, "truncate": 2}, "truncate works without"),
    "equal weights": ({"fixed": {"weights": True}, "mixing": "equal"}, r'must be False with mixing="equal"'),
    "a ratio": ({"fixed": {"covariances": True}, "prior": EigenvalueRatio(9)}, "EigenvalueRatio.*leave one of the two"),
    "another family": (
        {"fixed": {"covariances": True}, "covariance_type": "VVI"},
        "covariances of type 'VVI' must be diagonal",
    ),
    "another family in part": (
        {"fixed": {"covariances": [True, False, False]}, "covariance_type": "VVI"},
        "covariances of type 'VVI' must be diagonal",
    ),
    "not shared": ({"fixed": {"covariances": True}, "covariance_type": "EEE"}, "must be the same for all components"),
    "not of one shape": ({"fixed": {"covariances": True}, "covariance_type": "VEV"}, "must be of one shape"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    settings, words = REFUSED[case]
    said = refused(GaussianMixture(3, **{**GIVEN, **settings}).fit, blobs(100, 2))
    with pytest.raises(ValueError, match=words):
        raise ValueError(said)
    assert len(said) < 300


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SEPARATE])
def test_shared_covariances_are_fixed_all_or_none(family):
    gm = started(given(family, 2), covariance_type=family, fixed={"covariances": [True, False, False]})
    said = refused(gm.fit, blobs(100, 2))
    assert said.startswith('fixed["covariances"] must be True or False')
    assert f"got 1 of 3 for '{family}'" in said
    for whole in ([True] * 3, True):
        gm.set_params(fixed={"covariances": whole}).fit(blobs(100, 2))
        np.testing.assert_array_equal(gm.covariances_, given(family, 2)[2])


@pytest.mark.parametrize(("name", "code"), [("E", "EII"), ("V", "VII")])
def test_names_for_one_feature(name, code):
    X, begin = blobs(200, 1), given(code, 1)
    for fixed in ({"means": True}, {"covariances": True}, {"weights": [True, False, False]}):
        one, other = (started(begin, covariance_type=each, fixed=fixed).fit(X) for each in (name, code))
        np.testing.assert_array_equal(one.covariances_, other.covariances_)
    partly = started(begin, covariance_type=name, fixed={"covariances": [True, False, False]})
    if name == "E":
        assert "all, or choose a type" in refused(partly.fit, X)
    else:
        assert_kept(partly.fixed, begin, *parameters(partly.fit(X)))


@pytest.mark.parametrize("covariance_type", ["diag", "full"])
def test_a_single_component_keeps_its_weight_where_steps_are_accelerated(covariance_type):
    rng = np.random.default_rng(0)
    rows, errors = rng.normal(size=(50, 2)), rng.uniform(0.5, 2, size=(50, 2))  # so that one pass is not enough
    own = {"fixed": {"means": True}, "means_init": [[0.3, 0.0]], "accelerate": "lbfgs", "tol": 1e-9}
    gm = GaussianMixture(1, covariance_type=covariance_type, **own).fit(rows, error_covariance=errors)
    assert gm.weights_.tolist() == [1.0]
    assert gm.means_.tolist() == [[0.3, 0.0]]
