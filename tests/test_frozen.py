"""Against frozen numbers of mclust: single steps, whole runs, weighted runs (see oracle/README.md)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cases import assert_same_parameters, parameters, unfinished
from mixtura import GaussianMixture, Mixture

FOLDER = Path(__file__).with_name("oracle")
NAMES = ("acidity", "diabetes", "faithful", "galaxies", "iris")

OURS = {"E": ("EII", "EEI", "EEE"), "V": ("VII", "VVI", "VVV")}
"""In one dimension, mclust has two models where our families fall together; elsewhere names agree."""


@cache
def frozen(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def rows(name):
    return np.array(frozen(name)["x"])


def families(model):
    return OURS.get(model, (model,))


def usable(run, d):
    """Whether mclust ended at a fixed point that is not degenerate: others are no target."""
    return (
        run["status"] == "ok"
        and run["em_step_gain"] is not None
        and abs(run["em_step_gain"]) < 1e-6
        and run["min_rcond"] > 1e-6
        and run["min_nk"] > d + 1
    )


def identifiable(run):
    """Whether the likelihood says where the components are: not where they run into each other and become one."""
    _, means, covariances = target(run)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    apart = np.abs(means[:, None] - means[None]).max(axis=2) / deviations.min()
    return (apart + np.eye(len(means)) > 0.1).all()


def runs(kind):
    """Pairs of (name, run, family), one for each of our families that the model is."""
    for name in NAMES:
        for run in frozen(name)[kind]:
            if kind == "tight" and not usable(run, rows(name).shape[1]):
                continue
            for family in families(run["model"]):
                mixing = "equal" if run.get("equal_pro") else "free"
                tags = [name, family, str(run["G"]), mixing, run.get("start", run.get("weights"))]
                yield pytest.param(name, run, family, mixing, id="-".join(tags))


def steps():
    for name in NAMES:
        for index, block in enumerate(frozen(name)["steps"]):
            for model in block["mstep"]:
                for family in families(model):
                    yield pytest.param(name, index, model, family, id=f"{name}-{family}")


def target(run):
    return np.array(run["pro"]), np.array(run["mean"]), np.array(run["sigma"])


def test_enough_runs_are_usable():
    # A run is left out where mclust itself was not at a fixed point: that must stay the exception.
    for name in NAMES:
        everything = frozen(name)["tight"]
        used = [run for run in everything if usable(run, rows(name).shape[1])]
        assert len(used) >= len(everything) - 1
        assert all(run["status"] == "ok" for run in frozen(name)["weighted"])


@pytest.mark.parametrize(("name", "block", "model", "family"), list(steps()))
def test_m_step(name, block, model, family):
    X, expected = rows(name), frozen(name)["steps"][block]
    z = np.array(expected["z"])
    gm = GaussianMixture(z.shape[1], covariance_type=family, responsibilities_init=z, tol=0.0)
    start, _ = next(iter(gm.fit_iter(X)))
    mstep = expected["mstep"][model]
    assert_same_parameters((start.weights, start.means, start.covariances), target(mstep), 1e-8)
    one_by_one = [
        Mixture([1.0], start.means[k : k + 1], start.covariances[k : k + 1]).logpdf(X)
        for k in range(start.n_components)
    ]
    q = (z * (np.log(start.weights) + np.transpose(one_by_one))).sum()
    assert q == pytest.approx(mstep["q_value"], rel=1e-9)


@pytest.mark.parametrize(("name", "block", "model", "family"), list(steps()))
def test_e_step(name, block, model, family):
    X, expected = rows(name), frozen(name)["steps"][block]
    pro, mean, sigma = target(expected["mstep"][model])
    estep = expected["estep"][model]
    n = len(estep["z"])
    gm = GaussianMixture.from_parameters(pro, mean, sigma, covariance_type=family)
    assert gm.score(X) * len(X) == pytest.approx(estep["loglik"], rel=1e-10)
    np.testing.assert_allclose(gm.score_samples(X[:n]), estep["log_density"], rtol=1e-9)
    np.testing.assert_allclose(gm.predict_proba(X[:n]), estep["z"], rtol=0, atol=1e-9)
    for k in range(len(pro)):
        one = Mixture([1.0], mean[k : k + 1], sigma[k : k + 1])
        expected_log_density = np.array(estep["log_component_density"])[:, k]
        np.testing.assert_allclose(one.logpdf(X[:n]), expected_log_density, rtol=1e-9)


@pytest.mark.parametrize(("name", "run", "family", "mixing"), list(runs("tight")))
def test_whole_run(name, run, family, mixing):
    X, document = rows(name), frozen(name)
    label_start = run["start"] == "label"
    labels = document["label_partition"] if label_start else document["partitions"][str(run["G"])]
    gm = GaussianMixture(
        run["G"],
        covariance_type=family,
        mixing=mixing,
        labels_init=labels,
        accelerate=None,
        tol=1e-11,
        max_iter=20_000,
    ).fit(X)
    assert gm.converged_
    assert gm.loglik_ == pytest.approx(run["loglik_polished"], rel=1e-8)
    assert gm.df_ == run["df"]
    # mclust: 2 loglik - df log n, larger being better; here as in scikit-learn, lower being better.
    assert gm.bic(X) == pytest.approx(-run["bic"], rel=1e-8)
    assert gm.bic(X) == pytest.approx(run["df"] * np.log(len(X)) - 2 * gm.loglik_, rel=1e-12)
    assert gm.aic(X) == pytest.approx(2 * run["df"] - 2 * gm.loglik_, rel=1e-12)
    if "pro" in run:
        assert_same_parameters(parameters(gm), target(run), 1e-4)


@pytest.mark.parametrize(("name", "run", "family", "mixing"), list(runs("tight")))
def test_acceleration_gets_as_far(name, run, family, mixing):
    X, document = rows(name), frozen(name)
    label_start = run["start"] == "label"
    labels = document["label_partition"] if label_start else document["partitions"][str(run["G"])]
    gm = GaussianMixture(run["G"], covariance_type=family, mixing=mixing, labels_init=labels, tol=1e-8).fit(X)
    assert gm.loglik_ >= run["loglik_polished"] - 1e-8 * abs(run["loglik_polished"])


@pytest.mark.parametrize(("name", "run", "family", "mixing"), list(runs("weighted")))
def test_weighted_run(name, run, family, mixing):
    X, document = rows(name), frozen(name)
    gm = GaussianMixture(
        run["G"],
        covariance_type=family,
        mixing=mixing,
        labels_init=document["weighted_partitions"][str(run["G"])],
        accelerate=None,
        tol=1e-11,
        max_iter=20_000,
    )
    w = np.array(document["weights"][run["weights"]], dtype=float)
    gm.fit(X, sample_weight=w)
    assert gm.loglik_ == pytest.approx(run["loglik_weighted"], rel=1e-8)
    # These runs were not continued to the fixed point: where the gain of a pass sank under 1e-10, the parameters of
    # overlapping components may still be some 1e-3 of a standard deviation away.
    if identifiable(run):
        assert_same_parameters(parameters(gm), target(run), 1e-3)
    assert gm.bic(X, sample_weight=w) == pytest.approx(gm.df_ * np.log(w.sum()) - 2 * gm.loglik_, rel=1e-12)


# labelled and incomplete rows ----------------------------------------------------------------------------------------


def told(name):
    return np.array([[np.nan if entry is None else entry for entry in row] for row in name["x"]])


LABELLED = [(name, model) for name, one in frozen("labelled").items() for model in one["runs"]]


@pytest.mark.parametrize(("name", "model"), LABELLED)
def test_labelled_rows_lead_where_they_led(name, model):
    found = frozen("labelled")[name]
    X, classes = told(found), np.array(found["classes"])
    labels = np.full(len(X), -1)
    labels[found["known_rows"]] = classes[found["known_rows"]]
    k = classes.max() + 1
    begin = np.full((len(X), k), 1 / k)
    begin[labels >= 0] = np.eye(k)[labels[labels >= 0]]
    gm = GaussianMixture(
        k, covariance_type=model, responsibilities_init=begin, accelerate=None, tol=1e-9, max_iter=20_000
    )
    unfinished(gm, X, labels=labels)  # of wine there are more parameters than rows: it says so
    run = found["runs"][model]
    assert gm.df_ == run["df"]
    np.testing.assert_array_equal(gm.labels_[labels >= 0], labels[labels >= 0])
    if model in ("EVE", "VVE"):  # whose axes mclust turns from the identity in each step, and stops early
        return
    assert gm.loglik_ == pytest.approx(run["loglik"], rel=1e-8)
    unknown = labels < 0
    assert np.mean(gm.labels_[unknown] != classes[unknown]) == pytest.approx(run["error_unknown"])


@pytest.mark.parametrize(("name", "model"), LABELLED)
def test_a_start_by_default_is_as_good_as_that_from_labels(name, model):
    found = frozen("labelled")[name]
    X, classes = told(found), np.array(found["classes"])
    labels = np.full(len(X), -1)
    labels[found["known_rows"]] = classes[found["known_rows"]]
    gm = GaussianMixture(classes.max() + 1, covariance_type=model, random_state=0)
    unfinished(gm, X, labels=labels)
    np.testing.assert_array_equal(gm.labels_[labels >= 0], labels[labels >= 0])
    # Ten passes of plain EM say too little of where it leads: in three of seventy cases another start looks better.
    if model not in ("EVE", "VVE") and (name, model) not in (("diabetes", "VEV"), ("wine", "VEV"), ("wine", "EEV")):
        assert gm.loglik_ >= found["runs"][model]["loglik"] - 1e-2


@pytest.mark.parametrize("name", frozen("incomplete"))
def test_one_gaussian_of_incomplete_rows(name):
    found = frozen("incomplete")[name]
    gm = GaussianMixture(1, tol=1e-9).fit(told(found))
    assert gm.loglik_ == pytest.approx(found["one"]["loglik_mvtnorm"], abs=1e-6)
    # lavaan's optimiser stops a little earlier than this
    np.testing.assert_allclose(gm.means_[0], found["one"]["mean"], rtol=1e-5)
    np.testing.assert_allclose(gm.covariances_[0], found["one"]["sigma"], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, found in frozen("incomplete").items() for i in range(len(found["runs"]))]
)
def test_mixtures_of_incomplete_rows(name, i):
    found = frozen("incomplete")[name]
    run, X = found["runs"][i], told(found)
    begin = run["start_params"]
    gm = GaussianMixture(
        run["G"],
        covariance_type=run["model"],
        weights_init=begin["pro"],
        means_init=begin["mean"],
        covariances_init=begin["sigma"],
        accelerate=None,
        tol=1e-8,
        max_iter=20_000,
    ).fit(X)
    assert gm.loglik_ >= run["loglik"] - 1e-7
    assert gm.loglik_ == pytest.approx(run["loglik"], abs=1e-5)
    target = GaussianMixture.from_parameters(
        run["pro"],
        run["mean"],
        run["sigma"] if run["model"] == "VVV" else [np.diag(one) for one in run["sigma"]],
        "full" if run["model"] == "VVV" else "diag",
    )
    assert target.score(X) * len(X) == pytest.approx(run["loglik"], rel=1e-9)
    n = len(run["posterior"])
    np.testing.assert_allclose(target.predict_proba(X)[:n], run["posterior"], atol=1e-9)
