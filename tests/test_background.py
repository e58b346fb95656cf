"""The uniform background: against SciPy and mclust, and what any fit promises."""

from __future__ import annotations

import json
import pickle
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from cases import FAMILIES, MIXING, TURNED, UNIFORM, assert_same_parameters, blobs, parameters, unfinished, unwarned
from mixtura import GaussianMixture, Mixture, merge_clusters
from mixtura.background import Background, Box, clutter
from mixtura.cli import main
from mixtura.engine import Serial, Threads
from mixtura.initialize import coordinates
from mixtura.rows import Rows

NAMES = ("acidity", "banknote_noise", "chevron", "faithful_noise", "hbk")
FROZEN = json.loads((Path(__file__).with_name("oracle") / "noise.json").read_text())
OURS = {"E": "EII", "V": "VII"}

GRID = 1 / 1024


@cache
def noisy(n=300, d=2, seed=0):
    """Rows from two Gaussians, a fifth of them uniform in a wide box, on a grid."""
    rng = np.random.default_rng([seed, d])
    clusters = np.concatenate([rng.normal(0, 1, (n // 2, d)), rng.normal(6, 0.5, (n - n // 2, d))])
    rows = np.concatenate([clusters, rng.uniform(-6, 12, (n // 4, d))])
    return np.round(rows / GRID) * GRID


def fitted(X, k=2, *, sample_weight=None, **settings):
    return GaussianMixture(k, noise=True, **{"random_state": 0, **settings}).fit(X, sample_weight=sample_weight)


def carried(X, k=2, *, sample_weight=None, **settings):
    """The same, where a component may end degenerate: the objective is what counts."""
    gm = GaussianMixture(k, noise=True, **{"random_state": 0, **settings})
    return unfinished(gm, X, sample_weight=sample_weight)


def begun(X, k=2):
    """Labels to begin with: the first rows are background, the others take turns by their place."""
    order = np.argsort(np.asarray(X)[:, 0], kind="stable")
    labels = np.empty(len(X), dtype=int)
    labels[order] = np.arange(len(X)) * k // len(X)
    labels[::9] = -1
    return labels


def brute(gm, X):
    """log w_k N(x | k) and log w_0 / V, (n, K + 1), by SciPy and by the definition of V."""
    X = np.asarray(X, dtype=float)
    columns = [
        np.log(w) + multivariate_normal(m, S, allow_singular=True).logpdf(X).reshape(len(X))
        for w, m, S in zip(gm.weights_, gm.mixture_.means, gm.mixture_.covariances, strict=True)
    ]
    return np.column_stack([*columns, np.full(len(X), np.log(gm.noise_weight_) - gm.background_.box.log_volume)])


def volume(X):
    """V of rows, by singular vectors instead of eigenvectors."""
    y = X - X.mean(axis=0)
    scores = y @ np.linalg.svd(y, full_matrices=False)[2].T
    return min(float(np.prod(np.ptp(X, axis=0))), float(np.prod(np.ptp(scores, axis=0))))


# against others


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [1, 3])
def test_density_posteriors_and_criteria(family, d):
    X = noisy(d=d)
    gm = fitted(X, covariance_type=family)
    joint = brute(gm, X)
    log_density = logsumexp(joint, axis=1)
    assert gm.background_.box.log_volume == pytest.approx(np.log(volume(X)), rel=1e-12)
    np.testing.assert_allclose(gm.score_samples(X), log_density, rtol=1e-9)
    np.testing.assert_allclose(gm.predict_proba(X), np.exp(joint - log_density[:, None]), atol=1e-9)
    assert gm.predict_proba(X).shape == (len(X), 3)
    labels = np.where(joint.argmax(axis=1) == 2, -1, joint.argmax(axis=1))
    np.testing.assert_array_equal(gm.predict(X), labels)
    np.testing.assert_array_equal(gm.labels_, labels)
    assert gm.weights_.sum() + gm.noise_weight_ == pytest.approx(1, abs=1e-14)
    assert gm.loglik_ == pytest.approx(log_density.sum(), rel=1e-11)
    assert gm.score(X) == pytest.approx(log_density.mean(), rel=1e-11)
    assert gm.df_ == GaussianMixture(2, covariance_type=family, random_state=0).fit(X).df_ + 2
    assert gm.bic(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * gm.loglik_, rel=1e-11)
    assert gm.aic(X) == pytest.approx(2 * gm.df_ - 2 * gm.loglik_, rel=1e-11)
    certainty = (joint.max(axis=1) - log_density).sum()
    assert gm.icl(X) == pytest.approx(gm.bic(X) - 2 * certainty, rel=1e-11)


def runs():
    for name in NAMES:
        for run in FROZEN[name]["runs"]:
            if run["status"] == "ok":
                yield pytest.param(name, run, id=f"{name}-{run['model']}-{run['G']}")


def test_enough_runs_are_usable():
    assert sum(1 for _ in runs()) == sum(len(FROZEN[name]["runs"]) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_volume_of_mclust(name):
    X = np.array(FROZEN[name]["x"])
    gm = unfinished(GaussianMixture(1, covariance_type="EII", noise=True, max_iter=1), X)
    assert -gm.background_.box.log_volume == pytest.approx(np.log(FROZEN[name]["Vinv"]), rel=1e-12)
    assert np.exp(-gm.background_.box.log_volume) == pytest.approx(FROZEN[name]["Vinv"], rel=1e-10)


@pytest.mark.parametrize(("name", "run"), list(runs()))
def test_runs_of_mclust(name, run):
    X, labels = np.array(FROZEN[name]["x"]), FROZEN[name]["partitions"][str(run["G"])]
    family = OURS.get(run["model"], run["model"])
    gm = carried(X, run["G"], covariance_type=family, labels_init=labels, accelerate=None, tol=1e-10, max_iter=20_000)
    assert gm.converged_
    assert gm.df_ == run["df"]
    assert gm.bic(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * gm.loglik_, rel=1e-11)
    # mclust stops where a pass gains less than 1e-10 of the log-likelihood, a little below the fixed point; its axes of
    # VVE begin anew in each step, and what it finds may be another optimum: see test_common_axes_of_mclust.
    if family != "VVE":
        assert gm.loglik_ >= run["loglik"] - 1e-6
        assert gm.loglik_ == pytest.approx(run["loglik"], abs=1e-2)
        assert gm.bic(X) == pytest.approx(run["df"] * np.log(len(X)) - 2 * run["loglik"], abs=2e-2)


def test_common_axes_of_mclust():
    better = worse = 0
    for name in NAMES[1:]:
        X = np.array(FROZEN[name]["x"])
        for run in FROZEN[name]["runs"]:
            if run["model"] != "VVE" or run["status"] != "ok":
                continue
            labels = FROZEN[name]["partitions"][str(run["G"])]
            found = carried(X, run["G"], covariance_type="VVE", labels_init=labels, max_iter=5000).loglik_
            better, worse = better + (found > run["loglik"] + 1e-3), worse + (found < run["loglik"] - 1e-3)
    assert better >= worse


@pytest.mark.parametrize("name", NAMES)
def test_density_at_parameters_of_mclust(name):
    X = np.array(FROZEN[name]["x"])
    box = fitted(X, 1, covariance_type="EII").background_.box
    for run in FROZEN[name]["runs"]:
        if "pro" in run and run["status"] == "ok":
            pro = np.array(run["pro"])
            components = Mixture(pro[:-1] / pro[:-1].sum(), run["mean"], run["sigma"])
            total = components.beside(Background(pro[-1], box)).logpdf(X).sum()
            assert total == pytest.approx(run["loglik_at_params"], rel=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_our_own_start_is_as_good_as_that_of_mclust(name):
    X, best = np.array(FROZEN[name]["x"]), FROZEN[name]["best"]
    family = OURS.get(best["model"], best["model"])
    gm = fitted(X, best["G"], covariance_type=family)
    assert gm.loglik_ >= best["loglik"] - 1e-3
    if name != "hbk":  # where ours is 38 nats higher: the astray rows that are close together are a component
        assert adjusted_rand_score(gm.labels_, best["classification"]) > 0.97


def test_noisy_faithful_finds_the_noise():
    frozen = FROZEN["faithful_noise"]
    gm = fitted(frozen["x"], 2)
    added = np.array(frozen["labels"]) == "noise"
    assert adjusted_rand_score(gm.labels_ == -1, added) > 0.65  # mclust from NNclean: 0.70
    assert (gm.labels_[added] == -1).mean() > 0.75  # some of the added rows lie in the clusters
    assert (gm.labels_[~added] == -1).mean() < 0.06


@pytest.mark.parametrize(("name", "least"), [("banknote_noise", 1.0), ("chevron", 0.98), ("faithful_noise", 0.98)])
def test_clutter_is_that_of_nnclean(name, least):
    # prabclus::NNclean with k = 10 is the same method from another start; it knows no frames.
    rows = Rows(np.array(FROZEN[name]["x"]))
    sparse, isolated = clutter(rows.x, coordinates(rows, "rotation"), None, 10)
    theirs = np.array(FROZEN[name]["nnclean"]["is_cluster"]) == 0
    assert (sparse == theirs).mean() >= least
    assert isolated.sum() == pytest.approx(0.05 * len(rows), abs=1)


# what a fit promises


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize(
    ("family", "accelerate"),
    [*((family, how) for family in FAMILIES for how in (None, "auto")), *((family, "squarem") for family in UNIFORM)],
)
def test_the_objective_never_falls(family, mixing, accelerate, weighted):
    X = noisy(n=200, d=3)
    w = np.random.default_rng(0).uniform(0.2, 3, len(X)) if weighted else None
    gm = carried(
        X,
        3,
        sample_weight=w,
        covariance_type=family,
        mixing=mixing,
        accelerate=accelerate,
        labels_init=begun(X, 3),
        tol=1e-7,
        max_iter=3000,
    )
    totals = np.array([one["objective"] for one in gm.history_])
    assert (np.diff(totals) >= -1e-10 * np.abs(totals[1:])).all()
    count = len(X) if w is None else w.sum()
    assert gm.loglik_ == pytest.approx(gm.score(X, sample_weight=w) * count, rel=1e-10)
    assert gm.weights_.sum() + gm.noise_weight_ == pytest.approx(1, abs=1e-12)
    if mixing == "equal":
        np.testing.assert_allclose(gm.weights_, (1 - gm.noise_weight_) / 3, rtol=1e-12)


def everything(gm):
    return gm.weights_, gm.mixture_.means, gm.mixture_.covariances


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in TURNED])
def test_acceleration_reaches_the_same_optimum(family, mixing):
    X = noisy()
    settings = {"covariance_type": family, "mixing": mixing, "labels_init": begun(X)}
    plain = fitted(X, accelerate=None, tol=1e-11, max_iter=5000, **settings)
    fast = fitted(X, accelerate="auto", tol=1e-6, **settings)
    assert fast.loglik_ == pytest.approx(plain.loglik_, rel=1e-9)
    assert fast.noise_weight_ == pytest.approx(plain.noise_weight_, rel=1e-3)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", FAMILIES)
def test_integer_weights_equal_repeated_rows(family, mixing):
    X = noisy()
    w = np.random.default_rng(1).integers(0, 4, len(X))
    settings = {"covariance_type": family, "mixing": mixing, "max_iter": 8, "tol": 0.0, "noise": True}
    weighted = unfinished(GaussianMixture(2, labels_init=begun(X), **settings), X, sample_weight=w)
    repeated = unfinished(GaussianMixture(2, labels_init=np.repeat(begun(X), w), **settings), np.repeat(X, w, axis=0))
    tolerance = 1e-8 if family in TURNED else 1e-9
    assert_same_parameters(everything(weighted), everything(repeated), tolerance)
    assert weighted.noise_weight_ == pytest.approx(repeated.noise_weight_, rel=tolerance)
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-11)


def test_clutter_sees_weights_as_repeated_rows_and_no_unit_of_weight():
    X = noisy()
    w = np.random.default_rng(1).integers(1, 4, len(X))
    one, two = clutter(X, X, w.astype(float), 5), clutter(np.repeat(X, w, axis=0), np.repeat(X, w, axis=0), None, 5)
    for weighted, repeated, scaled in zip(one, two, clutter(X, X, 1e-7 * w, 5), strict=True):
        np.testing.assert_array_equal(np.repeat(weighted, w), repeated)
        np.testing.assert_array_equal(weighted, scaled)


@pytest.mark.parametrize("family", ["VVV", "VVI", "VII", "VEV", "EEE"])
def test_absent_rows_and_a_factor_of_all_weights(family):
    X = noisy()
    w = np.random.default_rng(1).uniform(0.5, 2, len(X))
    w[::7] = 0
    far = X.copy()
    far[::7] = 1e6  # not in the box either
    present = fitted(far, covariance_type=family, sample_weight=w, tol=1e-6)
    absent = fitted(X[w > 0], covariance_type=family, sample_weight=1e3 * w[w > 0], tol=1e-6)
    assert_same_parameters(everything(present), everything(absent), 1e-8)
    assert present.background_.box.log_volume == absent.background_.box.log_volume
    assert present.loglik_ == pytest.approx(absent.loglik_ / 1e3, rel=1e-10)


@pytest.mark.parametrize(
    ("scale", "shift"), [(1.0, 4096.0), (2.0**40, 0.0), (2.0**-40, 0.0), (1e-12, 0.0), (1e12, 1.0)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_units(family, scale, shift):
    X = noisy()
    plain = fitted(X, covariance_type=family, tol=1e-8)
    moved = fitted(X * scale + shift, covariance_type=family, tol=1e-8)
    d = X.shape[1]
    np.testing.assert_array_equal(moved.labels_, plain.labels_)
    mapped = moved.weights_, (moved.mixture_.means - shift) / scale, moved.mixture_.covariances / scale**2
    assert_same_parameters(mapped, everything(plain), 1e-6)
    assert moved.noise_weight_ == pytest.approx(plain.noise_weight_, rel=1e-6)
    volumes = moved.background_.box.log_volume, plain.background_.box.log_volume + d * np.log(scale)
    assert volumes[0] == pytest.approx(volumes[1], abs=1e-9)
    assert moved.loglik_ == pytest.approx(plain.loglik_ - len(X) * d * np.log(scale), rel=1e-9)


def test_a_volume_that_is_no_float64():
    rng = np.random.default_rng(0)
    X = 1e-100 * np.concatenate([rng.normal(size=(200, 6)), rng.uniform(-9, 9, (40, 6))])
    gm = fitted(X, 1)
    assert gm.background_.box.log_volume < -1000
    assert 0.1 < gm.noise_weight_ < 0.2
    assert np.isfinite(gm.score_samples(X)).all()


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", FAMILIES)
def test_without_weight_it_is_the_plain_fit(family, mixing):
    X = blobs(200, 2)
    labels = np.arange(200) % 3 if family in ("EII", "VII") else begun(X, 3).clip(0)
    settings = {"covariance_type": family, "mixing": mixing, "labels_init": labels, "accelerate": None}
    plain = unfinished(GaussianMixture(3, max_iter=6, tol=0.0, **settings), X)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*nothing to the background.*")
        empty = unfinished(GaussianMixture(3, max_iter=6, tol=0.0, noise=True, **settings), X)
    assert empty.noise_weight_ == 0
    assert_same_parameters(parameters(empty), parameters(plain), 1e-12)
    assert empty.predict_proba(X).shape == (200, 4)
    assert empty.loglik_ == pytest.approx(plain.loglik_, rel=1e-13)
    weights, means, _ = parameters(plain)
    nearly = GaussianMixture(
        3,
        covariance_type=family,
        mixing="free",
        noise=True,
        weights_init=weights * (1 - 1e-12),
        means_init=means,
        responsibilities_init=None,
        max_iter=0,
    )
    nearly.set_params(covariances_init=plain.covariances_)
    assert unfinished(nearly, X).loglik_ == pytest.approx(plain.loglik_, rel=1e-9)


def test_a_start_without_background_is_said():
    X = noisy()
    with pytest.warns(UserWarning, match="leaves nothing to the background"):
        fitted(X, labels_init=begun(X).clip(0))


@pytest.mark.parametrize("engine", [Serial(), Threads(3)])
def test_the_same_bits_for_any_number_of_threads(engine):
    X = noisy(n=40_000)
    jobs = {"engine": "serial"} if isinstance(engine, Serial) else {"n_jobs": 3}
    one = unfinished(GaussianMixture(2, noise=True, n_jobs=2, random_state=0, max_iter=5, tol=0.0), X)
    other = unfinished(GaussianMixture(2, noise=True, random_state=0, max_iter=5, tol=0.0, **jobs), X)
    assert one.log_likelihood_history_ == other.log_likelihood_history_
    assert one.background_.box.log_volume == other.background_.box.log_volume
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


# starts


def test_labels_and_responsibilities_make_the_same_start():
    X = noisy()
    labels = begun(X)
    wide = np.eye(3)[labels]
    starts = [
        {"labels_init": labels},
        {"init": labels},
        {"responsibilities_init": wide},
        {"responsibilities_init": wide[:, :2]},
        {"init": wide},
        {"init": lambda X, k, rng: wide},
        {"init": lambda X, k, rng: wide[:, :2]},
    ]
    first = None
    for own in starts:
        mixture, total = next(iter(GaussianMixture(2, noise=True, **own).fit_iter(X)))
        assert mixture.weights.sum() == pytest.approx(1, abs=1e-15)
        assert mixture.background is None
        first = total if first is None else first
        assert total == pytest.approx(first, rel=1e-13)
    gm = unfinished(GaussianMixture(2, noise=True, labels_init=labels, max_iter=0), X)
    assert gm.noise_weight_ == pytest.approx((labels == -1).mean(), rel=1e-14)
    np.testing.assert_allclose(gm.mixture_.means, [X[labels == k].mean(axis=0) for k in range(2)], rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_start_that_is_all_background(family):
    X = noisy()
    gm = carried(X, covariance_type=family, labels_init=np.full(len(X), -1))
    assert gm.noise_weight_ == 1
    assert gm.loglik_ == pytest.approx(-len(X) * gm.background_.box.log_volume, rel=1e-12)
    np.testing.assert_array_equal(gm.labels_, -1)
    assert [one["state"] for one in gm.diagnostics_] == ["empty"] * 2


def test_parameters_as_a_start():
    X = noisy()
    gm = fitted(X)
    own = {"weights_init": gm.weights_, "means_init": gm.means_, "covariances_init": gm.covariances_}
    again = unfinished(GaussianMixture(2, noise=True, max_iter=0, **own), X)
    assert again.noise_weight_ == pytest.approx(gm.noise_weight_, rel=1e-12)
    assert again.loglik_ == pytest.approx(gm.loglik_, rel=1e-12)
    means_alone = unfinished(GaussianMixture(2, noise=True, max_iter=0, means_init=gm.means_), X)
    assert means_alone.noise_weight_ == 0.05


def test_warm_start_goes_on():
    X = noisy()
    labels = begun(X)
    gm = GaussianMixture(2, noise=True, labels_init=labels, max_iter=3, tol=0.0, accelerate=None, warm_start=True)
    unfinished(gm, X)
    before, weight = gm.loglik_, gm.noise_weight_
    steps = gm.fit_iter(X)
    assert next(steps)[1] == pytest.approx(before, rel=1e-13)
    with unwarned():
        list(steps)
    assert gm.loglik_ > before
    assert gm.noise_weight_ != weight


@pytest.mark.parametrize("init", ["k-means++", "kmeans", "random", "random_from_data", "hierarchical"])
@pytest.mark.parametrize("n_init", ["auto", 1, 4])
def test_named_starts(init, n_init):
    X = noisy()
    gm = fitted(X, init=init, n_init=n_init)
    assert 0.1 < gm.noise_weight_ < 0.3
    assert len(gm.restarts_) == (8 if n_init == "auto" else n_init)


BAD = {
    "noise": ({"noise": "yes"}, "noise must be None or True"),
    "labels": ({"noise": True, "labels_init": np.full(375, -2)}, "labels must be from -1 to 1"),
    "labels without noise": ({"labels_init": np.full(375, -1)}, "labels must be from 0 to 1"),
    "columns": ({"noise": True, "responsibilities_init": np.full((375, 4), 0.25)}, r"shape \(375, 3\)"),
    "sum": ({"noise": True, "responsibilities_init": np.full((375, 2), 0.75)}, "sum 1 in every row"),
    "weights": ({"noise": True, "weights_init": [0.75, 0.75], "means_init": np.eye(2)}, "sum 1"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_refused(bad):
    settings, words = BAD[bad]
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, **settings).fit(noisy())


# flat, far and few


@pytest.mark.parametrize("family", ["VVV", "VVI", "EEE", "EEI"])
def test_a_constant_column_changes_nothing(family):
    X = noisy()
    plain = fitted(X, covariance_type=family)
    with pytest.warns(UserWarning, match="no spread in some direction"):
        flat = fitted(np.column_stack([X, np.full(len(X), 3.0)]), covariance_type=family)
    np.testing.assert_array_equal(flat.labels_, plain.labels_)
    assert flat.noise_weight_ == pytest.approx(plain.noise_weight_, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["constant", "collinear"])
def test_flat_boxes_leave_the_components_their_rows(kind, family):
    X = noisy()
    third = np.ones(len(X)) if kind == "constant" else X.sum(axis=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gm = fitted(np.column_stack([X, third]), covariance_type=family)
    # Beside collinear columns, families without axes of their own take the bounding box, which is not flat.
    flat = kind == "constant" or not family.endswith("I")
    assert ["no spread in some direction" in str(one.message) for one in caught] == [True] * flat
    assert gm.background_.box.flat == flat
    assert 0.1 < gm.noise_weight_ < 0.3
    assert np.isfinite(gm.loglik_)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "X",
    [np.ones((1, 2)), np.ones((9, 2)), np.repeat(np.eye(2), 5, axis=0), np.eye(3)[:, :2]],
    ids=lambda x: str(x.shape),
)
def test_few_rows(X, family):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        gm = fitted(X, 2, covariance_type=family)
    resp = gm.predict_proba(X)
    assert np.isfinite(resp).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(gm.mixture_.weights.sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("family", ["VVV", "VVI", "VII"])
def test_far_rows_are_background(family):
    gm = fitted(noisy(), covariance_type=family)
    far = np.array([[1e3, 0.0], [1e9, -1e9], [1e155, 0.0], [-1e300, 1e308]])
    np.testing.assert_array_equal(gm.predict_proba(far), [[0.0, 0.0, 1.0]] * 4)
    constant = np.log(gm.noise_weight_) - gm.background_.box.log_volume
    np.testing.assert_allclose(gm.score_samples(far), constant, rtol=1e-14)
    np.testing.assert_array_equal(gm.predict(far), [-1] * 4)


def test_a_density_far_below_that_of_the_components():
    # The background is e^-2000 times as dense as the peak: compared row by row, it still decides far out.
    box = Box(np.zeros(1), np.ones((1, 1)), 2000.0, np.full(1, 2000.0), np.zeros(1))
    model = Mixture([1.0], [[0.0]], [1.0]).beside(Background(0.5, box))
    X = np.array([[0.0], [40.0], [70.0]])
    wanted = logsumexp([np.log(0.5) - 0.5 * X[:, 0] ** 2 - 0.5 * np.log(2 * np.pi), [np.log(0.5) - 2000.0] * 3], axis=0)
    np.testing.assert_allclose(model.logpdf(X), wanted, rtol=1e-12)
    assert model.predict(X).tolist() == [0, 0, -1]


def test_dropping_keeps_the_background():
    X = np.concatenate([noisy(), np.full((30, 2), 20.0)])
    gm = fitted(
        X, 3, on_degenerate="drop", labels_init=np.append(begun(noisy()), np.full(30, 2)), covariance_type="VVV"
    )
    assert len(gm.weights_) == 2
    assert [one["state"] for one in gm.dropped_] == ["tied"]
    assert gm.weights_.sum() + gm.noise_weight_ == pytest.approx(1, abs=1e-12)


def test_float32():
    X = noisy()
    gm, same = fitted(X), fitted(X.astype(np.float32))
    assert same.weights_.dtype == np.float32
    assert same.noise_weight_ == pytest.approx(gm.noise_weight_, rel=1e-4)
    assert same.predict_proba(X.astype(np.float32)).dtype == np.float32


# what comes out


@pytest.mark.parametrize("kind", ["variances", "matrices", "gaps"])
@pytest.mark.parametrize("variance", [0.01, 1.0, 4.0])
def test_the_box_of_rows_with_errors_is_that_of_their_points(variance, kind):
    # By simulation: a ninth of the points are uniform on a square of side 30, in which the measured rows would not fit.
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(at, 1, (400, 2)) for at in ([0, 0], [8, 4])] + [rng.uniform(-10, 20, (100, 2))])
    errors = np.full(points.shape, variance)
    errors[:3] = 1e8  # these tell next to nothing, and are measured far away
    rows = points + rng.normal(size=points.shape) * np.sqrt(errors)
    if kind == "gaps":
        rows[::7, 1] = np.nan
    if kind == "matrices":
        errors = errors[:, :, None] * np.array([[1.0, 0.5], [0.5, 1.0]])
    gm = GaussianMixture(2, noise=True, random_state=0).fit(rows, error_covariance=errors)
    assert gm.background_.box.log_volume == pytest.approx(2 * np.log(30), abs=0.2)
    assert gm.noise_weight_ == pytest.approx(1 / 9, abs=0.03)
    np.testing.assert_allclose(gm.means_[gm.means_[:, 0].argsort()], [[0, 0], [8, 4]], atol=0.3)


def test_the_box_of_rows_whose_errors_vanish_is_that_of_the_rows():
    X = noisy()
    exact = unfinished(GaussianMixture(2, noise=True, random_state=0, max_iter=0), X)
    near = unfinished(GaussianMixture(2, noise=True, random_state=0, max_iter=0), X, error_covariance=1e-12)
    np.testing.assert_allclose(near.background_.box.corner, exact.background_.box.corner, rtol=1e-6)
    np.testing.assert_allclose(near.background_.box.edges, exact.background_.box.edges, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*see diagnostics_", "ignore:.*no spread in some direction")
@parametrize_with_checks([GaussianMixture(k, covariance_type="EEI", noise=True) for k in (1, 2)])
def test_scikit_learn_checks(estimator, check):
    # Beside a background even a single component can end on two equal rows.
    check(estimator)


def test_sample():
    gm = fitted(noisy())
    X, labels = gm.sample(40_000)
    assert X.shape == (40_000, 2)
    share = gm.noise_weight_
    assert (labels == -1).mean() == pytest.approx(share, abs=5 * np.sqrt(share / 40_000))
    box = gm.background_.box
    inside = (X[labels == -1] - box.corner) @ np.linalg.inv(box.edges)
    assert inside.min() >= -1e-12
    assert inside.max() <= 1 + 1e-12
    np.testing.assert_allclose(inside.mean(axis=0), 0.5, atol=0.03)
    assert np.linalg.slogdet(box.edges)[1] == pytest.approx(box.log_volume, abs=1e-10)
    np.testing.assert_allclose(X[labels == 0].mean(axis=0), gm.means_[0], atol=0.1)


def test_the_box_holds_the_rows():
    for X in (noisy(), noisy() @ np.array([[1.0, 0.98], [0.0, 0.2]])):
        box = fitted(X).background_.box
        inside = (X - box.corner) @ np.linalg.inv(box.edges)
        assert inside.min() >= -1e-9
        assert inside.max() <= 1 + 1e-9


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mixing", MIXING)
def test_files_and_pickles_keep_every_bit(tmp_path, family, mixing):
    X = noisy()
    gm = fitted(X, covariance_type=family, mixing=mixing)
    back = GaussianMixture.load(gm.save(tmp_path / "m.json"))
    for same in (back, pickle.loads(pickle.dumps(gm))):
        np.testing.assert_array_equal(same.predict_proba(X), gm.predict_proba(X))
        np.testing.assert_array_equal(same.score_samples(X), gm.score_samples(X))
        np.testing.assert_array_equal(same.predict(X), gm.labels_)
        np.testing.assert_array_equal(same.weights_, gm.weights_)
        assert same.noise_weight_ == gm.noise_weight_
        assert same.df_ == gm.df_
        assert same.noise is True
    assert back.save(tmp_path / "again.json").read_text() == (tmp_path / "m.json").read_text()
    np.testing.assert_array_equal(Mixture.load(tmp_path / "m.json").logpdf(X), gm.mixture_.logpdf(X))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weight": 1.5}, "weight of background must be from 0 to 1"),
        ({"weight": True}, "weight must be"),
        ({"log_volume": None}, "log_volume must be"),
        ({"corner": [0.0]}, "corner of background must have shape"),
        ({"edges": [[1.0, 0.0]]}, "edges of background must have shape"),
        ({"flat": 1}, "flat of background"),
        ({"more": 1}, "background must be null or an object"),
    ],
)
def test_a_file_with_a_wrong_background_is_refused(tmp_path, changed, words):
    path = fitted(noisy()).save(tmp_path / "m.json")
    document = json.loads(path.read_text())
    document["background"] |= changed
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=words):
        GaussianMixture.load(path)


def test_files_without_background_are_as_they_were(tmp_path):
    path = GaussianMixture(2, random_state=0).fit(noisy()).save(tmp_path / "m.json")
    assert "background" not in path.read_text()
    assert GaussianMixture.load(path).noise_weight_ == 0


def test_mixture_is_that_of_the_components():
    gm = fitted(noisy())
    assert gm.mixture_.background is None
    np.testing.assert_allclose(gm.mixture_.weights, gm.weights_ / gm.weights_.sum(), rtol=1e-14)
    for mixture, _ in fitted(noisy()).fit_iter(noisy()):
        assert mixture.weights.sum() == pytest.approx(1, abs=1e-14)


def test_trace_and_history():
    gm = fitted(noisy(), trace=True)
    assert gm.responsibilities_.shape == (len(noisy()), 3)
    assert gm.history_[-1]["noise_weight"] == gm.noise_weight_
    assert gm.history_[-1]["model"].background is None
    assert gm.diagnostics_[0]["effective_n"] == pytest.approx(gm.weights_[0] * len(noisy()), rel=1e-12)


def test_a_fit_without_noise_forgets_it():
    gm = fitted(noisy())
    gm.set_params(noise=None).fit(noisy())
    assert gm.noise_weight_ == 0
    assert gm.background_ is None
    assert gm.predict_proba(noisy()).shape[1] == 2
    assert clone(fitted(noisy())).noise is True


@pytest.mark.parametrize("d", [1, 2])
def test_pictures(d):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    gm = fitted(noisy(d=d))
    texts = [one.get_text() for one in gm.plot(noisy(d=d)).get_legend().get_texts()]
    assert sum(f"{100 * weight:.0f}" in text for weight in gm.weights_ for text in texts) >= 2
    pyplot.close("all")


def test_the_command_knows_the_background(tmp_path, capsys):
    gm = fitted(noisy())
    model, table, out = (str(tmp_path / name) for name in ("m.json", "x.csv", "out.csv"))
    gm.save(model)
    np.savetxt(table, noisy(), delimiter=",", header="a,b", comments="")
    assert main(["predict", model, table, "--columns", "a,b", "--proba", "--density", "-o", out]) == 0
    got = np.genfromtxt(out, delimiter=",", names=True)
    assert got.dtype.names == ("label", "p0", "p1", "p_noise", "log_density")
    np.testing.assert_array_equal(got["label"], gm.labels_)
    np.testing.assert_array_equal(got["p_noise"], gm.predict_proba(noisy())[:, -1])
    np.testing.assert_array_equal(got["log_density"], gm.score_samples(noisy()))
    capsys.readouterr()
    assert main(["show", model]) == 0
    assert f"background      {gm.noise_weight_:.4f} of all rows" in capsys.readouterr().out
    assert main(["show", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["noise_weight"] == gm.noise_weight_


def test_merging_leaves_the_background_alone():
    gm = fitted(noisy(), 3)
    merged = merge_clusters(gm, noisy())
    np.testing.assert_array_equal(merged.labels == -1, gm.labels_ == -1)


def test_rows_added_to_iris_are_background():
    X, species = load_iris(return_X_y=True)
    astray = np.random.default_rng(0).uniform(X.min(axis=0) - 1, X.max(axis=0) + 1, (30, 4))
    gm = fitted(np.concatenate([X, astray]), 3)
    assert (gm.labels_[150:] == -1).mean() > 0.8
    assert (gm.labels_[:150] == -1).mean() < 0.15
    assert adjusted_rand_score(gm.labels_[:150], species) > 0.5


def test_rows_of_very_unequal_distances_have_rates_that_are_numbers():
    rng = np.random.default_rng(0)
    scale = 10.0 ** np.repeat([-25, 0, 25], [45, 20, 35])
    far = scale[:, None] * rng.normal(size=(100, 12))
    with np.errstate(all="raise", under="ignore"):
        sparse, _ = clutter(far, far, None, 5)
    assert not sparse[:45].any()
    assert sparse[65:].all()
