"""The drivers beside plain EM: the chart, monotone runs, the same optimum, the same steps in any units."""

from __future__ import annotations

import warnings
from itertools import islice

import numpy as np
import pytest

from cases import FAMILIES, MIXING, assert_same_parameters, blobs, parameters, start, started, unfinished
from mixtura import ChenTan, EigenvalueRatio, FraleyRaftery, GaussianMixture
from mixtura.accelerate import DRIVERS, Chart, ascent
from mixtura.em import e_step, iterate, passes
from mixtura.families import FAMILIES as TABLE

PRIORS = {"none": None, "fraley-raftery": FraleyRaftery(shrinkage=3.0), "chen-tan": ChenTan(a=5.0)}
CASES = [(family, mixing, prior) for family in FAMILIES for mixing in MIXING for prior in PRIORS]
cases = pytest.mark.parametrize(("family", "mixing", "prior"), CASES)


def overlapped(n=300, d=2, *, seed=0, apart=1.6):
    """Two Gaussians that overlap so much that EM needs many passes, (n, d)."""
    rng = np.random.default_rng([seed, d])
    return np.concatenate([rng.normal(0, 1, (n * 2 // 3, d)), rng.normal(apart, 1.4, (n - n * 2 // 3, d))])


def ready(X, family, mixing="free", prior="none", weight=None):
    """The problem of a fit of three components, and the pass at its first model that has the family."""
    gm = started(start(family, X.shape[1]), covariance_type=family, mixing=mixing, prior=PRIORS[prior])
    problem = gm._task(X, weight).problem
    begin = next(gm._starts(gm._task(X, weight), {}))[1]
    return problem, next(islice(iterate(problem, begin), 1, None))


def astray(chart, size=0.1):
    """A point of the chart off its reference."""
    return size * np.random.default_rng(3).normal(size=chart.scale.shape) * chart.scale


# the chart ----------------------------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("d", [1, 3])
def test_gradient_is_that_of_the_objective(family, mixing, prior, d):
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=200)
    problem, reference = ready(blobs(200, d), family, mixing, prior, weight)
    chart = Chart.about(problem.update, reference)
    x = astray(chart)
    told = e_step(problem, chart.model(x))
    step, numeric = 1e-5, []
    for unit in np.eye(len(x)):
        up, down = (e_step(problem, chart.model(x + sign * step * unit)).objective for sign in (1, -1))
        numeric.append((up - down) / (2 * step * told.statistics.count))
    np.testing.assert_allclose(chart.gradient(told, x), numeric, rtol=1e-6, atol=2e-9)


@cases
@pytest.mark.parametrize("d", [1, 3])
def test_there_and_back(family, mixing, prior, d):
    problem, reference = ready(blobs(200, d), family, mixing, prior)
    chart = Chart.about(problem.update, reference)
    np.testing.assert_allclose(chart.point(reference.model), 0.0, atol=1e-12)
    model = chart.model(astray(chart))
    back = chart.model(chart.point(model))
    np.testing.assert_allclose(back.weights, model.weights, rtol=1e-12)
    np.testing.assert_allclose(back.means, model.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back.covariances, model.covariances, rtol=1e-11, atol=1e-12)
    assert back.layout.shared == model.layout.shared == reference.model.layout.shared == TABLE[family].pooled
    assert type(back.layout) is type(reference.model.layout)
    assert model.weights.sum() == pytest.approx(1.0, abs=1e-12)


@cases
def test_first_step_is_that_of_em_to_first_order(family, mixing, prior):
    problem, reference = ready(blobs(300, 2), family, mixing, prior)
    off = []
    for told in islice(iterate(problem, reference.model), 0, 60, 20):  # ever nearer to the fixed point
        chart = Chart.about(problem.update, told)
        gradient = chart.gradient(told, np.zeros_like(chart.scale))
        np.testing.assert_array_equal(ascent(gradient, ()), gradient)
        em = chart.point(problem.update(told.statistics, told.model))
        off.append(np.linalg.norm(gradient - em) / max(np.linalg.norm(em), 1e-7))
    assert off[0] < 0.4
    assert off[-1] < 0.02


def test_ascent_is_newton_where_the_memory_spans_everything():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    information = root @ root.T + np.eye(4)
    conjugate = np.linalg.eigh(information)[1].T
    pairs = tuple((step, information @ step) for step in conjugate)
    gradient = rng.normal(size=4)
    np.testing.assert_allclose(ascent(gradient, pairs), np.linalg.solve(information, gradient), rtol=1e-9)


# runs ---------------------------------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("accelerate", list(DRIVERS))
def test_never_worse_and_never_below_em(family, mixing, prior, accelerate):
    X = overlapped()
    settings = {"covariance_type": family, "mixing": mixing, "prior": PRIORS[prior], "labels_init": X[:, 0] > 1}
    plain = GaussianMixture(2, accelerate=None, tol=1e-5, max_iter=20_000, **settings).fit(X)
    gm = GaussianMixture(2, accelerate=accelerate, **settings).fit(X)
    totals = np.array([record["objective"] for record in gm.history_])
    assert (np.diff(totals) >= -1e-12 * abs(totals[-1])).all()
    off = {"lbfgs": 1e-3, "squarem": 4e-3}[accelerate]  # extrapolation knows less of what is left to gain
    assert totals[-1] >= plain.history_[-1]["objective"] - off
    assert gm.n_iter_ <= max(plain.n_iter_, 12)
    assert gm.loglik_ == pytest.approx(gm.score(X) * len(X), rel=1e-12)
    assert not gm.history_[-1]["accelerated"]


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_same_optimum_to_the_digits_of_tol(family, accelerate):
    X = overlapped(apart=1.4)
    settings = {"covariance_type": family, "labels_init": X[:, 0] > 1, "max_iter": 20_000}
    plain = GaussianMixture(2, accelerate=None, tol=1e-10, **settings).fit(X)
    gm = GaussianMixture(2, accelerate=accelerate, tol=1e-8, **settings).fit(X)
    assert any(record["accelerated"] for record in gm.history_)
    assert_same_parameters(parameters(gm), parameters(plain), 1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_weights_on_a_flat_ridge(seed):
    # scikit-learn issue 10122: its default stops at weights .368 and .632.
    chance = np.random.RandomState(1234)
    X = np.concatenate(
        [
            chance.multivariate_normal([2, 4], [[5, 2], [2, 6]], 300),
            chance.multivariate_normal([0, 0], [[4, 2], [2, 3]], 100),
        ]
    )
    gm = GaussianMixture(2, random_state=seed).fit(X)
    np.testing.assert_allclose(np.sort(gm.weights_), [0.23875, 0.76125], atol=1e-3)
    assert gm.loglik_ == pytest.approx(-1803.8702, abs=1e-4)


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_same_steps_in_any_units(family, accelerate):
    X = overlapped(apart=1.3)
    settings = {"covariance_type": family, "accelerate": accelerate, "labels_init": X[:, 0] > 1}
    runs = [GaussianMixture(2, **settings).fit(one) for one in (X, 1e6 * X - 3e7, 1e-9 * X + 5e-8)]
    assert any(record["accelerated"] for record in runs[0].history_)
    totals = np.array(runs[0].log_likelihood_history_)
    count = 2 + np.flatnonzero(np.diff(totals) > 1e-6)[-1]  # passes after these are decided by rounding
    steps = [record["accelerated"] for record in runs[0].history_[:count]]
    for run, unit in zip(runs[1:], (1e6, 1e-9), strict=True):
        assert [record["accelerated"] for record in run.history_[:count]] == steps
        logs = np.array(run.log_likelihood_history_[:count]) + X.size * np.log(unit)
        np.testing.assert_allclose(logs, totals[:count], rtol=1e-8)
        np.testing.assert_allclose(run.weights_, runs[0].weights_, rtol=1e-6)


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("family", ["EEE", "VVV"])
def test_same_steps_after_any_linear_map(family, accelerate):
    X = overlapped(apart=1.3)
    mixed = np.array([[0.3, -2.0], [1.5, 0.4]])
    settings = {"covariance_type": family, "accelerate": accelerate, "labels_init": X[:, 0] > 1}
    plain, other = (GaussianMixture(2, **settings).fit(one) for one in (X, X @ mixed))
    totals = np.array(plain.log_likelihood_history_)
    count = 2 + np.flatnonzero(np.diff(totals) > 1e-6)[-1]
    logs = np.array(other.log_likelihood_history_[:count]) + len(X) * np.log(abs(np.linalg.det(mixed)))
    np.testing.assert_allclose(logs, totals[:count], rtol=1e-9)
    assert any(record["accelerated"] for record in plain.history_)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_repeated_rows_after_many_steps(family, seed):
    X = overlapped(seed=seed)
    weight = np.random.default_rng(seed).integers(0, 4, size=len(X))
    settings = {"covariance_type": family, "accelerate": "lbfgs", "means_init": [[0.0, 0.0], [1.6, 1.6]]}
    weighted = GaussianMixture(2, **settings).fit(X, sample_weight=weight)
    repeated = GaussianMixture(2, **settings).fit(np.repeat(X, weight, axis=0))
    assert any(record["accelerated"] for record in weighted.history_)
    assert_same_parameters(parameters(weighted), parameters(repeated), 1e-8)


@pytest.mark.parametrize("accelerate", list(DRIVERS))
def test_same_bits_for_any_number_of_threads(accelerate):
    X = overlapped(3000)
    runs = [GaussianMixture(2, accelerate=accelerate, random_state=0, n_jobs=jobs).fit(X) for jobs in (1, 2, 3)]
    for run in runs[1:]:
        assert run.log_likelihood_history_ == runs[0].log_likelihood_history_
        np.testing.assert_array_equal(run.covariances_, runs[0].covariances_)


def test_easy_problems_are_left_to_em():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(9, 1, (100, 2))])
    runs = [GaussianMixture(2, accelerate=name, random_state=0).fit(X) for name in (None, "lbfgs", "squarem")]
    assert runs[0].log_likelihood_history_ == runs[1].log_likelihood_history_ == runs[2].log_likelihood_history_
    one = GaussianMixture(1).fit(X)
    assert one.n_iter_ <= 2


def test_fewer_passes_where_components_overlap():
    X = overlapped()
    used = {
        name: GaussianMixture(2, accelerate=name, labels_init=X[:, 0] > 1, max_iter=20_000).fit(X).n_iter_
        for name in (None, *DRIVERS)
    }
    assert used["lbfgs"] < 0.5 * used[None]
    assert used["squarem"] < used[None]


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("max_iter", [0, 1, 6, 9, 14])
def test_tries_count_as_updates(accelerate, max_iter):
    X = blobs(200, 2, seed=4)
    gm = unfinished(
        GaussianMixture(5, accelerate=accelerate, init="random", n_init=1, random_state=1, max_iter=max_iter, tol=0.0),
        X,
    )
    assert gm.n_iter_ == max_iter
    assert len(gm.history_) <= max_iter + 1
    assert gm.stop_reason_ == "max_iter"


def test_passes_leaves_out_what_was_not_accepted():
    X = overlapped()
    gm = GaussianMixture(3, init="random", n_init=1, random_state=0)
    task = gm._task(X, None)
    begin = next(gm._starts(task, {}))[1]
    for driver in DRIVERS.values():
        shown = list(passes(task.problem, begin, tol=1e-3, max_iter=400, driver=driver))
        told = list(islice(driver(task.problem, begin), shown[-1].index))
        assert any(not one.accepted for one in told)
        assert [one.objective for one in shown[:-1]] == [one.objective for one in told if one.accepted]
        assert [one.index for one in shown[:-1]] == [i for i, one in enumerate(told) if one.accepted]
        assert [one.accelerated for one in shown[:-1]] == [one.accelerated for one in told if one.accepted]


def test_fit_iter_follows_the_same_driver():
    X = overlapped()
    gm = GaussianMixture(2, random_state=0).fit(X)
    totals = [total for _, total in GaussianMixture(2, random_state=0).fit_iter(X)]
    assert totals == [record["objective"] for record in gm.history_]
    assert any(record["accelerated"] for record in gm.history_)


def test_verbose_marks_accelerated_passes(capsys):
    gm = GaussianMixture(2, random_state=0, verbose=2).fit(overlapped())
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pass")]
    assert [line.endswith("accelerated") for line in printed] == [record["accelerated"] for record in gm.history_]


# where the objective is not smooth ----------------------------------------------------------------------------------


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_the_floor_is_left_to_em(family, accelerate):
    rng = np.random.default_rng(0)
    X = np.concatenate([overlapped(), np.full((20, 2), 12.0), rng.normal(size=(40, 1)) * [[1.0, 1.0]]])
    gm = unfinished(GaussianMixture(5, covariance_type=family, accelerate=accelerate, random_state=0), X)
    totals = np.array(gm.log_likelihood_history_)
    assert (np.diff(totals) >= -1e-12 * abs(totals[-1])).all()
    assert np.isfinite(totals).all()


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_empty_components_are_left_to_em(family, accelerate):
    X = overlapped()
    gm = unfinished(
        GaussianMixture(
            3, covariance_type=family, accelerate=accelerate, means_init=[[0, 0], [2, 2], [1e3, 1e3]], tol=1e-6
        ),
        X,
    )
    assert gm.weights_[2] < 1e-12
    np.testing.assert_allclose(gm.means_[2], 1e3)
    assert not any(record["accelerated"] for record in gm.history_)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_on_the_floor_or_empty_has_no_chart(family):
    problem, told = ready(blobs(100, 2), family)
    chart = Chart.about(problem.update, told)
    shrunk = np.zeros_like(chart.scale)
    if TABLE[family].diagonal:
        shrunk[-1] = -40.0 * chart.scale[-1]
    else:
        shrunk[-3:] = np.array([-1.0, 0.0, -1.0]) * (1 - 1e-9) * chart.scale[-3:]
    assert chart.model(shrunk) is None
    far = GaussianMixture(2, covariance_type=family, means_init=[[0, 0], [1e3, 1e3]])
    task = far._task(blobs(100, 2), None)
    begin = next(far._starts(task, {}))[1]
    assert Chart.about(task.problem.update, e_step(task.problem, begin)) is None


@pytest.mark.parametrize("accelerate", list(DRIVERS))
@pytest.mark.parametrize("seed", range(6))
def test_nothing_raises_or_warns_on_the_way(seed, accelerate):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(3, 60)), int(rng.integers(1, 5)), int(rng.integers(1, 6))
    X = rng.standard_t(1.5, size=(n, d)) * 10.0 ** rng.integers(-8, 8, size=d)
    X = np.round(X, 1) if seed % 2 else X
    for family in FAMILIES:
        gm = GaussianMixture(k, covariance_type=family, accelerate=accelerate, random_state=seed, max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            unfinished(gm, X)
        totals = np.array(gm.log_likelihood_history_)
        assert (np.diff(totals) >= -1e-12 * np.abs(totals[:-1])).all()


# the choice ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accelerate", ["none", 1, True, ""])
def test_unknown_names_are_refused(accelerate):
    with pytest.raises(ValueError, match=r"accelerate must be .*'lbfgs'.*choose one of these"):
        GaussianMixture(2, accelerate=accelerate).fit(overlapped())


@pytest.mark.parametrize("accelerate", list(DRIVERS))
def test_drivers_are_refused_where_em_climbs_nothing_smooth(accelerate):
    X = overlapped()
    with pytest.raises(ValueError, match=r'reg_covar.*use accelerate="auto" or None'):
        GaussianMixture(2, accelerate=accelerate, reg_covar=1e-3).fit(X)
    with pytest.raises(ValueError, match=r'EigenvalueRatio.*use accelerate="auto" or None'):
        GaussianMixture(2, accelerate=accelerate, prior=EigenvalueRatio(5.0)).fit(X)


@pytest.mark.parametrize("settings", [{"reg_covar": 1e-3}, {"prior": EigenvalueRatio(5.0)}])
def test_auto_is_plain_em_there(settings):
    X = overlapped()
    auto, plain = (GaussianMixture(2, accelerate=name, random_state=0, **settings).fit(X) for name in ("auto", None))
    assert auto.log_likelihood_history_ == plain.log_likelihood_history_
    assert not any(record["accelerated"] for record in auto.history_)
