"""Components that collapse, starve, are empty or sit on ties; and the priors and constraints that keep them from it."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ScikitLearnMixture

import mixtura
from cases import ALIASES, FAMILIES, TYPES, UNIFORM, assert_same_parameters, blobs, parameters, start, unfinished
from mixtura import GaussianMixture, families
from mixtura.engine import Serial
from mixtura.rows import InMemory, Rows
from mixtura.statistics import bulk_scale, everything
from mixtura.update import m_step

KNOWN = inspect.signature(GaussianMixture).parameters
ORACLE = Path(__file__).with_name("oracle")
VARIABLE = tuple(name for name in TYPES if ALIASES.get(name, name)[0] == "V")


def watched(gm, X, **arguments):
    """The fit and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gm.fit(X, **arguments)
    return gm, [str(one.message) for one in caught]


def silent(gm, X, **arguments):
    """The fit, whatever it warns of."""
    return watched(gm, X, **arguments)[0]


def states(gm):
    return [one["state"] for one in gm.diagnostics_]


# Data of which one component is in a known state

RNG = np.random.default_rng(0)
HEALTHY = RNG.normal(size=(100, 2))
LINE = RNG.normal(size=(30, 1)) * [1.0, 1.0] + [20.0, 30.0]

COPIES = np.vstack([HEALTHY, np.full((10, 2), 9.0)])
ON_A_LINE = np.vstack([HEALTHY, LINE])
TWO_POINTS = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)
ROUNDED = np.vstack([HEALTHY, np.round(RNG.normal(size=(40, 2))) * [1.0, 0.0] + [30.0, 7.0]])
DUPLICATED = np.vstack([RNG.normal(size=(54, 4)), np.repeat(RNG.normal(size=(1, 4)), 6, axis=0)])

TROUBLE = {
    "copies": (COPIES, 2),
    "a line": (ON_A_LINE, 2),
    "two points": (TWO_POINTS, 5),
    "a constant feature in one cluster": (ROUNDED, 2),
    "few rows": (blobs(7, 5), 2),
    "six identical rows": (DUPLICATED, 4),
    "one row": (np.array([[1.0, 2.0]]), 1),
    "the same row": (np.full((20, 2), 3.3), 2),
}


# diagnostics_


@pytest.mark.parametrize("covariance_type", TYPES)
def test_healthy_components_are_ok(covariance_type):
    X = blobs(400, 2)
    gm, messages = watched(GaussianMixture(3, covariance_type=covariance_type, random_state=0), X)
    assert messages == []
    assert len(gm.diagnostics_) == 3
    for k, one in enumerate(gm.diagnostics_):
        assert {"component", "effective_n", "distinct_rows", "smallest_scale", "state", "direction", "done"} <= set(one)
        assert one["component"] == k
        assert one["state"] == "ok"
        assert one["direction"] is None
        assert one["effective_n"] == pytest.approx(gm.weights_[k] * len(X), rel=1e-6)
        assert 0.01 < one["smallest_scale"] <= 10
        assert isinstance(one["done"], str)
    assert sum(one["distinct_rows"] for one in gm.diagnostics_) >= len(X) * 0.9


def test_diagnostics_count_weights():
    X = blobs(300, 2)
    gm = silent(GaussianMixture(3, random_state=0), X, sample_weight=np.full(300, 2.0))
    assert sum(one["effective_n"] for one in gm.diagnostics_) in (pytest.approx(300), pytest.approx(600))


@pytest.mark.parametrize("covariance_type", VARIABLE)
def test_copies_are_tied(covariance_type):
    gm, messages = watched(GaussianMixture(2, covariance_type=covariance_type, random_state=0), COPIES)
    tied = int(np.argmin(gm.weights_))
    assert gm.diagnostics_[tied]["state"] in ("tied", "collapsed")
    assert gm.diagnostics_[tied]["distinct_rows"] == 1
    assert gm.diagnostics_[tied]["effective_n"] == pytest.approx(10, rel=1e-3)
    assert gm.diagnostics_[tied]["smallest_scale"] < 1e-3
    assert gm.diagnostics_[1 - tied]["state"] == "ok"
    assert len(messages) == 1
    assert re.search(rf"component {tied}\b", messages[0])


def test_a_line_has_collapsed_and_its_direction_is_named():
    X = pd.DataFrame(ON_A_LINE, columns=["length", "width"])
    gm, messages = watched(GaussianMixture(2, random_state=0), X)
    flat = int(np.argmax(gm.means_[:, 0]))
    one = gm.diagnostics_[flat]
    assert one["state"] == "collapsed"
    assert one["distinct_rows"] == 30
    assert set(one["direction"]) == {"length", "width"}
    # Across the line, whatever the units of the weights.
    assert one["direction"]["length"] * one["direction"]["width"] < 0
    assert gm.diagnostics_[1 - flat]["state"] == "ok"
    assert gm.diagnostics_[1 - flat]["direction"] is None
    assert len(messages) == 1
    # The line itself is found as it is.
    own = ON_A_LINE[100:]
    assert gm.covariances_[flat, 0, 0] == pytest.approx(own[:, 0].var(), rel=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_one_flat_feature_of_one_component_is_named(covariance_type):
    X = pd.DataFrame(ROUNDED, columns=["a", "b"])
    gm = silent(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)
    flat = int(np.argmax(gm.means_[:, 0]))
    direction = gm.diagnostics_[flat]["direction"]
    assert gm.diagnostics_[flat]["state"] in ("collapsed", "tied")
    assert abs(direction["b"]) > 1e3 * abs(direction.get("a", 0.0))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_is_survived_with_one_sentence(trouble, covariance_type):
    X, n_components = TROUBLE[trouble]
    gm, messages = watched(GaussianMixture(n_components, covariance_type=covariance_type, random_state=0), X)
    assert len(messages) <= 1, messages
    if any(state not in ("ok", "flat") for state in states(gm)):
        (message,) = messages
        assert "\n" not in message
        assert len(message) < 500
        assert "diagnostics_" in message or "component" in message
    weights, means, covariances = parameters(gm)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.isfinite(means).all()
    np.linalg.cholesky(covariances)
    totals = np.array([record["objective"] for record in gm.history_])
    assert (np.diff(totals) >= -1e-9 * np.maximum(np.abs(totals[1:]), len(X))).all()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_states_do_not_depend_on_units_or_offset(covariance_type):
    for X, n_components in (TROUBLE["copies"], TROUBLE["a line"], TROUBLE["two points"]):
        plain = silent(GaussianMixture(n_components, covariance_type=covariance_type, random_state=0), X)
        for moved in (X * 1e-9, X * 1e9, np.round(X * 2**12) / 2**12 + 2.0**20):
            other = silent(GaussianMixture(n_components, covariance_type=covariance_type, random_state=0), moved)
            assert sorted(states(other)) == sorted(states(plain))


def test_a_healthy_component_is_not_touched():
    # By rows far away, however many, the floor under a component does not grow into it.
    z = np.random.default_rng(3).normal(size=(100, 1))
    for gap in (1e3, 1e6, 1e9, 1e11):
        for share in (1, 10, 100):
            X = np.vstack([z, np.round(z[:share] * 64) / 64 + gap])
            gm = silent(GaussianMixture(2, means_init=[[0.0], [gap]]), X)
            assert gm.covariances_[0, 0, 0] == pytest.approx(z.var(), rel=1e-9)


def bulk(X, weight=None):
    """The scale by which the floor is measured, without the standard deviation that bounds it."""
    X = np.asarray(X, float).reshape(len(X), -1)
    return bulk_scale(InMemory(Rows(X, weight)), np.full(X.shape[1], np.inf))


def test_the_scale_of_the_bulk():
    z = np.random.default_rng(4).normal(size=(1000, 2))
    np.testing.assert_allclose(bulk(z), 1.0, rtol=0.1)
    np.testing.assert_allclose(bulk(z * [1e-9, 1e9] + [0.0, 1.0]), bulk(z) * [1e-9, 1e9], rtol=1e-9)
    np.testing.assert_array_equal(bulk(z[::-1]), bulk(z))


@pytest.mark.parametrize(
    ("share", "gap"), [(share, gap) for share in (0.001, 0.1, 0.45) for gap in (1e6, 1e12)] + [(0.04, 1e100)]
)
def test_rows_astray_do_not_move_the_scale_of_the_bulk(share, gap):
    z = np.random.default_rng(4).normal(size=1000)
    away = int(share * len(z))
    moved = np.concatenate([z[away:], gap * (1 + 0.1 * z[:away])])
    assert 0.5 < bulk(moved)[0] < 5


@pytest.mark.parametrize("noise", [0.0, 1e-16, 1e-9])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_equal_rows_do_not_move_the_scale_of_the_bulk(share, noise):
    rng = np.random.default_rng(4)
    z = rng.normal(size=1000)
    tied = int(share * len(z))
    z[:tied] = noise * rng.normal(size=tied)
    assert 0.1 < bulk(z)[0] < 2


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
def test_most_rows_being_equal_but_for_rounding_do_not_hide_the_others(share):
    rng = np.random.default_rng(4)
    z = rng.normal(size=1000)
    tied = int(share * len(z))
    z[:tied] = 1e-16 * rng.normal(size=tied)
    assert 0.01 < bulk(z)[0] < 2


def test_weights_count_as_rows_in_the_scale_of_the_bulk():
    rng = np.random.default_rng(5)
    for n in (2, 3, 7, 16, 40, 128):
        z = rng.normal(size=n)
        weight = rng.integers(1, 5, size=n)
        repeated = bulk(np.repeat(z, weight))
        np.testing.assert_allclose(bulk(z, weight.astype(float)), repeated, rtol=1e-12)
        np.testing.assert_allclose(bulk(z, weight / 7), repeated, rtol=1e-12)


def test_a_variance_that_has_no_reciprocal_is_raised_to_the_floor():
    x = np.random.default_rng(6).normal(size=(50, 1))
    source = InMemory(Rows(x))
    update = m_step(families.FAMILIES["VVV"], everything(source, Serial(), dense=True), bulk(x), equal_mixing=False)
    raised = update.raised(np.array([[[5e-324]], [[0.0]], [[1.0]]]), np.zeros((3, 1)))
    np.testing.assert_allclose(raised.matrices[:, 0, 0], [update.floor[0, 0]] * 2 + [1.0], rtol=1e-12)


# what is said of the data as a whole


@pytest.mark.parametrize(("offset", "dtype"), [(1e16, "float64"), (1e7, "float32"), (1e8, "float32")])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_clusters_lost_to_rounding_are_said(covariance_type, offset, dtype):
    X = np.vstack([HEALTHY, HEALTHY + 4])
    lost = (X + np.array([offset, 0.0])).astype(dtype)
    gm, messages = watched(GaussianMixture(2, covariance_type=covariance_type, random_state=0), lost)
    (message,) = messages
    assert message.startswith(f"x0 varies by little more than {dtype} rounds numbers of that size: subtract an offset")
    again = (lost.astype(float) - np.array([offset, 0.0])).astype(dtype)
    assert not any("subtract" in one for one in watched(gm, again)[1])


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_constant_column_is_no_matter_of_rounding(covariance_type):
    for constant in (0.1, -1e9, 1e16):
        X = np.column_stack([np.full(200, constant), np.vstack([HEALTHY, HEALTHY + 4])])
        assert watched(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)[1] == []


def test_one_row_far_away_is_no_matter_of_rounding():
    for far in (1e20, 1e150):
        _, messages = watched(GaussianMixture(2, random_state=0), np.vstack([HEALTHY, [[far, 0.0]]]))
        assert not any("subtract" in one for one in messages)


def test_many_features_lost_to_rounding_are_counted():
    X = np.random.default_rng(0).normal(size=(300, 9)) + 1e16
    _, (message,) = watched(GaussianMixture(1), X)
    assert message.startswith("x0, x1, x2, x3, x4 and 4 more features vary by")


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e12, 1e15])
def test_the_smallest_scale_is_that_of_the_component(offset):
    X = np.concatenate([np.linspace(-1, 1, 101), 50 + np.linspace(-8, 8, 101)]) + offset
    gm = silent(GaussianMixture(2, labels_init=np.repeat([0, 1], 101)), X)
    scale = bulk(X)[0]
    for one, variance in zip(gm.diagnostics_, gm.covariances_.ravel(), strict=True):
        assert one["smallest_scale"] == pytest.approx(np.sqrt(variance) / scale, rel=1e-6)


@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag", "EII"])
@pytest.mark.parametrize("prior", [None, "fraley-raftery", "chen-tan"])
def test_more_components_than_distinct_rows_are_said_whatever_holds_them_up(prior, covariance_type):
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 20, axis=0)
    gm = GaussianMixture(5, covariance_type=covariance_type, prior=prior, mixing="equal", random_state=0)
    _, (message,) = watched(gm, X)
    assert "3 distinct rows for 5 components" in message
    assert "ask for fewer components" in message
    assert "prior=" not in message
    with pytest.raises(ValueError, match="3 distinct rows for 5 components"):
        gm.set_params(on_degenerate="raise").fit(X)


def test_more_parameters_than_rows_are_said():
    X = np.random.default_rng(0).normal(size=(15, 3)) + np.repeat([0.0, 9.0], [8, 7])[:, None]
    gm, (message,) = watched(GaussianMixture(2, random_state=0), X)
    assert states(gm) == ["ok", "ok"]
    assert message.startswith("19 free parameters for 15 rows: ask for fewer components")
    for other in ({"prior": "fraley-raftery"}, {"n_components": 1}, {"covariance_type": "diag"}):
        assert watched(GaussianMixture(**{"n_components": 2, "random_state": 0} | other), X)[1] == []
    GaussianMixture(2, on_degenerate="raise", prior="chen-tan", random_state=0).fit(X)


def test_a_component_of_no_label_is_ok_if_it_has_mass():
    # Of two equal components the first gets all labels; each has half of the rows to be estimated from.
    gm, messages = watched(GaussianMixture(2, means_init=[[0.0, 0.0], [0.0, 0.0]]), HEALTHY)
    assert messages == []
    assert states(gm) == ["ok", "ok"]
    assert [one["distinct_rows"] for one in gm.diagnostics_] == [100, 0]
    assert [one["effective_n"] for one in gm.diagnostics_] == pytest.approx([50, 50])


# on_degenerate


@pytest.mark.parametrize("covariance_type", TYPES)
def test_more_components_than_distinct_rows(covariance_type):
    gm, messages = watched(GaussianMixture(5, covariance_type=covariance_type, random_state=0), TWO_POINTS)
    (message,) = messages
    assert "2 distinct" in message
    assert states(gm).count("empty") == 3
    for k, state in enumerate(states(gm)):
        if state == "empty":
            assert gm.weights_[k] < 1e-6
            assert gm.diagnostics_[k]["distinct_rows"] == 0
    np.testing.assert_array_equal(gm.labels_[:50], gm.labels_[0])
    np.testing.assert_array_equal(gm.labels_[50:], gm.labels_[50])


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("trouble", ["copies", "a line", "two points", "six identical rows"])
def test_drop_leaves_no_empty_component(trouble, covariance_type):
    X, n_components = TROUBLE[trouble]
    gm = GaussianMixture(n_components, covariance_type=covariance_type, on_degenerate="drop", random_state=0)
    gm, messages = watched(gm, X)
    assert len(messages) <= 1
    K = len(gm.weights_)
    assert 1 <= K <= n_components
    assert "empty" not in states(gm)
    assert gm.means_.shape == (K, 2 if X.shape[1] == 2 else 4)
    assert gm.predict_proba(X).shape == (len(X), K)
    assert gm.labels_.max() < K
    assert gm.mixture_.n_components == K == len(gm.diagnostics_)
    again = GaussianMixture(K, covariance_type=covariance_type)
    assert gm.df_ == silent(again, blobs(60, X.shape[1])).df_
    assert gm.score(X) * len(X) == pytest.approx(gm.loglik_, rel=1e-9)
    assert gm.get_params()["n_components"] == n_components  # a parameter stays what the user gave
    assert len(silent(gm, X).weights_) == K


def test_drop_of_collapsed_components_keeps_the_healthy_ones():
    gm = silent(GaussianMixture(2, on_degenerate="drop", random_state=0), COPIES)
    assert states(gm) == ["ok"]


def test_what_was_dropped_is_kept_on_record():
    X = np.vstack([COPIES, np.full((5, 2), -9.0)])
    for labels, gone in (([0] * 100 + [1] * 10 + [2] * 5, [1, 2]), ([2] * 100 + [0] * 10 + [1] * 5, [0, 1])):
        gm, messages = watched(GaussianMixture(3, labels_init=labels, on_degenerate="drop"), X)
        assert states(gm) == ["ok"]
        assert messages == []
        assert [one["component"] for one in gm.dropped_] == gone
        assert {one["state"] for one in gm.dropped_} == {"tied"}
        assert {one["done"] for one in gm.dropped_} == {"dropped"}
    assert silent(GaussianMixture(2, on_degenerate="drop", random_state=0), blobs(200, 2)).dropped_ == []
    assert silent(GaussianMixture(2, random_state=0), COPIES).dropped_ == []


def test_a_warning_after_a_drop_tells_of_it():
    _, (message,) = watched(GaussianMixture(5, on_degenerate="drop", random_state=0), TWO_POINTS)
    assert message.startswith("components 2, 3, 4 were dropped, and of those left components 0, 1 are tied: ask for")
    assert "'drop'" not in message


def test_raise_names_component_reason_and_remedy():
    for trouble in ("copies", "a line", "two points"):
        X, n_components = TROUBLE[trouble]
        with pytest.raises(ValueError, match=r"component") as caught:
            GaussianMixture(n_components, on_degenerate="raise", random_state=0).fit(X)
        message = str(caught.value)
        assert re.search(r"component\w* \d", message)
        assert re.search(r"tied|collapsed|empty|starved|distinct", message)
        assert followed(message, n_components), message
        assert "\n" not in message


def test_raise_does_not_raise_for_healthy_data():
    gm = GaussianMixture(3, on_degenerate="raise", random_state=0).fit(blobs(300, 2))
    assert states(gm) == ["ok"] * 3


def test_on_degenerate_is_one_of_three():
    with pytest.raises(ValueError, match="on_degenerate must be one of rescue, drop, raise"):
        GaussianMixture(2, on_degenerate="ignore").fit(blobs(20, 2))


# warnings, and the remedies they name


def followed(message, n_components):
    """The changes of parameters that a message proposes, tried one by one."""
    changes = [
        {name: value} for name, value in re.findall(r"(on_degenerate|prior|covariance_type)='([\w-]+)'", message)
    ]
    changes += [{"n_components": int(number)} for number in re.findall(r"n_components=(\d+)", message)]
    if re.search(r"fewer components", message):
        changes += [{"n_components": k} for k in range(n_components - 1, 0, -1)]
    if "fewer parameters" in message:
        changes += [{"covariance_type": name} for name in ("diag", "spherical", "tied", "EEI", "EII")]
    if "fewer components and" in message:
        changes += [{"n_components": k, "covariance_type": "EII"} for k in range(n_components - 1, 0, -1)]
    return changes


@pytest.mark.parametrize("trouble", ["copies", "a line", "two points", "few rows", "six identical rows"])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_the_remedy_makes_the_warning_go_away(covariance_type, trouble):
    X, n_components = TROUBLE[trouble]
    settings = {"n_components": n_components, "covariance_type": covariance_type, "random_state": 0}
    _, messages = watched(GaussianMixture(**settings), X)
    if not messages:
        return
    (message,) = messages
    changes = followed(message, n_components)
    assert changes, message
    # Remedies with a definite name work as they stand; "fewer" works somewhere on the way down.
    definite = [one for one in changes if "on_degenerate" in one or "prior" in one]
    vague = [one for one in changes if one not in definite]
    for change in definite:
        assert watched(GaussianMixture(**settings | change), X)[1] == [], f"{message}: {change} does not help"
    if vague:
        assert any(watched(GaussianMixture(**settings | change), X)[1] == [] for change in vague), message


def test_a_user_can_silence_or_catch_the_warning():
    with pytest.warns(UserWarning, match="component") as caught:
        GaussianMixture(2, random_state=0).fit(COPIES)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # it points to the line of the user


def test_updates_are_counted_in_words():
    for max_iter, words in (
        (1, "EM made 1 update, as many"),
        (2, "EM made 2 updates, as many"),
        (0, "EM made no update"),
    ):
        _, (message,) = watched(GaussianMixture(3, max_iter=max_iter, tol=0.0, n_init=1), blobs(100, 2) / [1, 3])
        assert message.startswith(words)


def test_one_warning_for_two_troubles():
    _, messages = watched(GaussianMixture(2, max_iter=2, tol=0.0, labels_init=[0] * 100 + [1] * 10), COPIES)
    assert len(messages) == 1


# restarts_


def test_collapsed_restarts_rank_below_the_others():
    # At K=3 a plane through three rows of iris has a higher likelihood than any clustering.
    X = load_iris().data
    gm, messages = watched(GaussianMixture(3, n_init=20, tol=1e-6, random_state=0), X)
    collapsed = [one for one in gm.restarts_ if one["outcome"] == "collapsed"]
    others = [one for one in gm.restarts_ if one["outcome"] != "collapsed"]
    assert len(gm.restarts_) == 20
    assert collapsed
    assert others
    assert max(one["objective"] for one in collapsed) > gm.loglik_
    assert gm.loglik_ == pytest.approx(max(one["objective"] for one in others), rel=1e-9)
    assert states(gm) == ["ok"] * 3
    assert messages == []


def test_of_collapsed_restarts_the_one_with_fewest_degenerate_components_is_returned():
    X = np.random.RandomState(1).normal(size=(60, 3))
    X[:6] = X[0]
    differ = 0
    for seed in range(6):
        gm = silent(GaussianMixture(6, n_init=8, random_state=seed), X)
        fewest = min(one["degenerate"] for one in gm.restarts_)
        assert sum(state not in ("ok", "flat") for state in states(gm)) == fewest
        best = max(one["objective"] for one in gm.restarts_ if one["degenerate"] == fewest)
        assert gm.loglik_ == pytest.approx(best, rel=1e-9)
        differ += fewest > 0 and best < max(one["objective"] for one in gm.restarts_)
    assert differ


def test_short_runs_that_collapsed_say_so():
    gm = silent(GaussianMixture(2, random_state=0), TWO_POINTS)
    assert [one["outcome"] for one in gm.restarts_] == ["collapsed"] * 8
    gm = silent(GaussianMixture(2, random_state=0), blobs(200, 2))
    outcomes = [one["outcome"] for one in gm.restarts_]
    assert outcomes.count("short run") == len(outcomes) - 1 >= 7


def test_a_restart_that_collapsed_is_returned_if_there_is_no_other():
    gm, messages = watched(GaussianMixture(2, n_init=4, random_state=0), TWO_POINTS)
    assert [one["outcome"] for one in gm.restarts_] == ["collapsed"] * 4
    assert len(messages) == 1


# reg_covar


@pytest.mark.parametrize(
    ("reg_covar", "updates"), [(0.0, 5), (1e-6, 1), (1e-6, 5), (1e-2, 1), (1e-2, 3), (0.5, 1), (0.5, 3)]
)
@pytest.mark.parametrize("covariance_type", ALIASES)
def test_reg_covar_is_that_of_scikit_learn(covariance_type, reg_covar, updates):
    # As long as EM rises: later, what is added to the covariances may let it fall, and a run ends there.
    X = blobs(200, 3)
    weights, means, covariances = start(ALIASES[covariance_type], 3)
    precisions = {
        "full": lambda: np.linalg.inv(covariances),
        "tied": lambda: np.linalg.inv(covariances[0]),
        "diag": lambda: 1 / np.diagonal(covariances, axis1=1, axis2=2),
        "spherical": lambda: 1 / covariances[:, 0, 0],
    }[covariance_type]()
    settings = {
        "covariance_type": covariance_type,
        "reg_covar": reg_covar,
        "weights_init": weights,
        "means_init": means,
        "precisions_init": precisions,
        "max_iter": updates,
        "tol": 0.0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = ScikitLearnMixture(3, **settings).fit(X)
        ours = GaussianMixture(3, **settings).fit(X)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-7, atol=1e-9)
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e-9)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_run_that_reg_covar_ends_has_not_converged(covariance_type):
    X = blobs(200, 3)
    settings = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-9}
    gm, (message,) = watched(GaussianMixture(3, reg_covar=0.5, **settings), X)
    assert gm.stop_reason_ == "reg_covar"
    assert not gm.converged_
    assert re.match(rf"EM ended after {gm.n_iter_} updates?, because with reg_covar .*prior='fraley-raftery'", message)
    with pytest.warns(ConvergenceWarning):
        gm.fit(X)
    gm, messages = watched(GaussianMixture(3, prior="fraley-raftery", **settings), X)
    assert messages == []
    assert gm.converged_
    assert watched(GaussianMixture(3, reg_covar=1e-6, covariance_type=covariance_type, random_state=0), X)[1] == []


@pytest.mark.parametrize("value", [-1e-6, np.nan, np.inf, "1e-6", True])
def test_reg_covar_is_a_number(value):
    with pytest.raises(ValueError, match="reg_covar"):
        GaussianMixture(1, reg_covar=value).fit(blobs(20, 2))


# priors: against mclust


@cache
def frozen(name):
    return json.loads((ORACLE / f"{name}.json").read_text())


NAMES = ("acidity", "diabetes", "faithful", "galaxies", "iris")
ONE_DIMENSION = {"E": ("EII", "EEI", "EEE"), "V": ("VII", "VVI", "VVV")}


def priors():
    """(name, model, family); of mclust's EII and EEI there are only the runs with one component (see README.md)."""
    for name in NAMES:
        for model in frozen(name)["prior"]["mstep"]:
            for family in ONE_DIMENSION.get(model, (model,)):
                yield pytest.param(name, model, family, id=f"{name}-{family}")


def hyperparameters(name, family, n_components=2):
    """What mclust's defaults come to."""
    for one in frozen(name)["prior"]["hyperparameters"]:
        if one["G"] == n_components and (family in one["family"].split(",") or one["family"] == "E,V"):
            return one
    raise KeyError(name)


def fraley_raftery(name, family, n_components=2):
    """The prior as mclust has it: by default, but for diagonal families, whose scale is ours for each feature."""
    if family not in ("EEI", "VVI") or len(frozen(name)["x"][0]) == 1:
        return "fraley-raftery"
    given = hyperparameters(name, family, n_components)
    d = len(given["mean"])
    return mixtura.FraleyRaftery(scale=np.full(d, given["scale"]))


@pytest.mark.parametrize(("name", "model", "family"), list(priors()))
def test_the_m_step_with_a_prior_is_that_of_mclust(name, model, family):
    X, z = np.array(frozen(name)["x"]), np.array(frozen(name)["steps"][0]["z"])
    expected = frozen(name)["prior"]["mstep"][model]
    gm = GaussianMixture(
        z.shape[1], covariance_type=family, responsibilities_init=z, prior=fraley_raftery(name, family)
    )
    begin, _ = next(iter(gm.fit_iter(X)))
    wanted = tuple(np.array(expected[key]) for key in ("pro", "mean", "sigma"))
    assert_same_parameters((begin.weights, begin.means, begin.covariances), wanted, 1e-8)


def prior_runs():
    for name in NAMES:
        n, d = np.shape(frozen(name)["x"])
        for run in frozen(name)["prior"]["runs"]:
            if min(run["pro"]) * n <= d + 1:  # a component that nothing but the prior holds up
                continue
            for family in ONE_DIMENSION.get(run["model"], (run["model"],)):
                yield pytest.param(name, run, family, id=f"{name}-{family}-{run['G']}")


@pytest.mark.parametrize(("name", "run", "family"), list(prior_runs()))
def test_a_whole_run_with_a_prior_is_that_of_mclust(name, run, family):
    X, G = np.array(frozen(name)["x"]), run["G"]
    gm = GaussianMixture(
        G,
        covariance_type=family,
        labels_init=frozen(name)["partitions"].get(str(G), [0] * len(X)),
        prior=fraley_raftery(name, family, G),
        tol=1e-10,
        max_iter=20_000,
    ).fit(X)
    assert gm.loglik_ == pytest.approx(run["loglik"], abs=1e-3)  # of the data alone
    wanted = tuple(np.array(run[key]) for key in ("pro", "mean", "sigma"))
    assert_same_parameters(parameters(gm), wanted, 1e-3)
    # BIC is from the log-likelihood without the prior.
    assert gm.bic(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * gm.score(X) * len(X), rel=1e-9)


# priors and constraints: what every one of them must fulfil


def available():
    """The priors by name, and the objects behind them."""
    return {
        "fraley-raftery": lambda: "fraley-raftery",
        "chen-tan": lambda: "chen-tan",
        "FraleyRaftery()": lambda: mixtura.FraleyRaftery(),
        "ChenTan()": lambda: mixtura.ChenTan(),
        "EigenvalueRatio(4)": lambda: mixtura.EigenvalueRatio(4.0),
    }


def penalised_only():
    return [name for name in available() if not name.startswith("Eigenvalue")]


DATA = {
    "blobs": blobs(150, 2),
    "copies": COPIES,
    "a line": ON_A_LINE,
    "two points": TWO_POINTS,
    "few rows": blobs(7, 5),
    "far away": blobs(100, 2) * 1e-6 + 1.0,
}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    ("family", "prior"),
    [(family, prior) for family in FAMILIES for prior in (available() if family in UNIFORM else penalised_only())],
)
def test_the_penalised_objective_never_falls(family, prior, data):
    X = DATA[data]
    for mixing in ("free", "equal"):
        gm = GaussianMixture(
            3, covariance_type=family, prior=available()[prior](), mixing=mixing, tol=0.0, max_iter=60, random_state=1
        )
        gm, messages = watched(gm, X)
        assert len(messages) <= 1
        objective = np.array([record["objective"] for record in gm.history_])
        assert (np.diff(objective) >= -1e-9 * np.maximum(np.abs(objective[1:]), len(X))).all()
        # The log-likelihood that is reported is the plain one.
        assert gm.score(X) * len(X) == pytest.approx(gm.loglik_, rel=1e-9)
        assert gm.bic(X) == pytest.approx(gm.df_ * np.log(len(X)) - 2 * gm.loglik_, rel=1e-9)
        np.linalg.cholesky(parameters(gm)[2])


@pytest.mark.parametrize("prior", penalised_only())
@pytest.mark.parametrize("covariance_type", VARIABLE)
def test_a_prior_keeps_components_from_collapsing(covariance_type, prior):
    for X in (COPIES, ON_A_LINE):
        gm = GaussianMixture(2, covariance_type=covariance_type, prior=available()[prior](), random_state=0)
        gm, messages = watched(gm, X)
        assert messages == []
        assert states(gm) == ["ok", "ok"]


@pytest.mark.parametrize("prior", ["fraley-raftery", "chen-tan"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_prior_has_no_units(covariance_type, prior):
    X = np.round(blobs(120, 2) * 1024) / 1024
    settings = {"covariance_type": covariance_type, "prior": prior, "n_init": 1, "random_state": 0}
    plain = GaussianMixture(3, **settings).fit(X)
    for s, c in ((1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)):
        other = GaussianMixture(3, **settings).fit(X * s + c)
        np.testing.assert_array_equal(other.labels_, plain.labels_)
        weights, means, covariances = parameters(other)
        assert_same_parameters((weights, (means - c) / s, covariances / s**2), parameters(plain), 1e-6)


@pytest.mark.parametrize("prior", ["fraley-raftery", "chen-tan"])
@pytest.mark.parametrize("covariance_type", ["diag", "EEI", "full", "tied"])
def test_a_prior_has_no_units_of_single_features(covariance_type, prior):
    X = blobs(120, 2)
    settings = {"covariance_type": covariance_type, "prior": prior, "n_init": 1, "random_state": 0}
    plain = GaussianMixture(3, **settings).fit(X)
    units = np.array([1e-6, 1e5])
    weights, means, covariances = parameters(GaussianMixture(3, **settings).fit(X * units))
    back = weights, means / units, covariances / np.outer(units, units)
    assert_same_parameters(back, parameters(plain), 1e-6)


def test_the_names_are_the_objects_with_their_defaults():
    X = blobs(100, 2)
    for name, made in (("fraley-raftery", "FraleyRaftery()"), ("chen-tan", "ChenTan()")):
        one = GaussianMixture(3, prior=name, random_state=0).fit(X)
        other = GaussianMixture(3, prior=available()[made](), random_state=0).fit(X)
        np.testing.assert_array_equal(one.means_, other.means_)
        np.testing.assert_array_equal(one.covariances_, other.covariances_)


@pytest.mark.parametrize("prior", ["wishart", 3, "FraleyRaftery"])
def test_an_unknown_prior_is_refused(prior):
    with pytest.raises(ValueError, match="prior"):
        GaussianMixture(2, prior=prior).fit(blobs(20, 2))


@pytest.mark.parametrize("c", [0.5, -1.0, np.nan, "12"])
def test_a_ratio_is_at_least_one(c):
    with pytest.raises(ValueError, match=r"\S"):
        GaussianMixture(2, prior=mixtura.EigenvalueRatio(c)).fit(blobs(20, 2))


def test_priors_are_cloned_and_pickled():
    import pickle

    from sklearn.base import clone

    gm = GaussianMixture(2, prior=mixtura.EigenvalueRatio(3.0), random_state=0)
    again = pickle.loads(pickle.dumps(clone(gm).fit(blobs(50, 2))))
    np.testing.assert_array_equal(again.covariances_, gm.fit(blobs(50, 2)).covariances_)


# priors: the M-step is the maximiser of the penalised objective


class Penalised:
    """The expected penalised log-likelihood of one M-step, from the outside: two evaluations of a model by fits."""

    def __init__(self, X, resp, family, prior):
        self.X, self.resp, self.family, self.prior = X, resp, family, prior
        gm = GaussianMixture(resp.shape[1], covariance_type=family, prior=prior, responsibilities_init=resp, max_iter=0)
        mixture, _ = next(iter(gm.fit_iter(X)))
        self.found = mixture.weights, mixture.means, mixture.covariances

    def penalty(self, weights, means, covariances):
        """What the objective adds to the log-likelihood of the rows."""
        gm = GaussianMixture(
            len(weights),
            covariance_type=self.family,
            prior=self.prior,
            weights_init=weights,
            means_init=means,
            covariances_init=covariances,
            max_iter=0,
        )
        gm = silent(gm, self.X)
        return gm.history_[0]["objective"] - gm.loglik_

    def value(self, weights, means, covariances):
        total = 0.0
        for k in range(len(weights)):
            y = self.X - means[k]
            squared = (y @ np.linalg.inv(covariances[k]) * y).sum(axis=1)
            log_density = -0.5 * (squared + np.linalg.slogdet(2 * np.pi * covariances[k])[1])
            total += self.resp[:, k] @ (np.log(weights[k]) + log_density)
        return total + self.penalty(weights, means, covariances)

    def model(self, free):
        """Parameters from numbers without constraints, in the family: steps away from what was found."""
        weights, means, covariances = self.found
        K, d = means.shape
        scale = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        shift, free = free[: K * d].reshape(K, d), free[K * d :]
        volume, shape, orientation = self.family
        matrices = []
        for k in range(K):
            lower = np.linalg.cholesky(covariances[k])
            step = free if volume == "E" else free.reshape(K, -1)[k]
            if shape == "I":
                factor = np.eye(d) * np.exp(step[0])
            elif orientation == "I":
                factor = np.diag(np.exp(step[:d]))
            else:
                factor = np.eye(d)
                factor[np.tril_indices(d)] += step
            matrices.append(lower @ factor @ factor.T @ lower.T)
        return weights, means + shift * scale, np.array(matrices)

    def n_free(self):
        K, d = self.found[1].shape
        volume, shape, orientation = self.family
        each = 1 if shape == "I" else d if orientation == "I" else d * (d + 1) // 2
        return K * d + each * (1 if volume == "E" else K)

    def of(self, free):
        return self.value(*self.model(free))


def tiny():
    X = blobs(15, 2, seed=8)
    resp = np.random.default_rng(0).dirichlet([0.7, 0.7], size=15)
    return X, resp


@pytest.mark.parametrize("prior", penalised_only()[:2])
@pytest.mark.parametrize("family", UNIFORM)
def test_the_m_step_is_the_maximiser(family, prior):
    problem = Penalised(*tiny(), family, available()[prior]())
    here = np.zeros(problem.n_free())
    best = problem.of(here)
    gradient = optimize.approx_fprime(here, problem.of, 1e-5)
    assert np.abs(gradient).max() < 1e-3 * max(1, abs(best))
    away = np.random.default_rng(1).normal(scale=0.05, size=len(here))
    found = optimize.minimize(lambda free: -problem.of(free), away, method="BFGS", options={"gtol": 1e-5})
    assert -found.fun <= best + 1e-6
    np.testing.assert_allclose(found.x, 0, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_chen_tan_is_the_penalty_of_the_paper(family):
    """-a sum_k (tr(S_x S_k^-1) + log |S_k|), S_x the covariance of the rows, up to a constant."""
    X, resp = tiny()
    problem = Penalised(X, resp, family, "chen-tan")
    Sx = np.cov(X.T, bias=True)
    if family.endswith("I"):
        Sx = np.diag(np.diagonal(Sx))
    if family in ("EII", "VII"):
        Sx = np.eye(2) * np.trace(Sx) / 2
    statistic, penalty = [], []
    for seed in range(5):
        model = problem.model(np.random.default_rng(seed).normal(scale=0.4, size=problem.n_free()))
        inverse = np.linalg.inv(model[2])
        statistic.append((np.trace(Sx @ inverse, axis1=1, axis2=2) + np.linalg.slogdet(model[2])[1]).sum())
        penalty.append(problem.penalty(*model))
    slope, intercept = np.polyfit(statistic, penalty, 1)
    np.testing.assert_allclose(penalty, slope * np.array(statistic) + intercept, rtol=1e-6, atol=1e-8)
    assert slope < 0
    shares = 2 if family.startswith("E") else 1  # one covariance of two components may be counted once
    candidates = [a / s for a in (1 / len(X), len(X) ** -0.5) for s in (1, shares)]
    assert any(-slope == pytest.approx(candidate, rel=1e-6) for candidate in candidates)


def test_chen_tan_has_the_update_of_the_paper():
    """S_k = (W_k + 2 a S_x) / (n_k + 2 a)."""
    X, resp = tiny()
    problem = Penalised(X, resp, "VVV", "chen-tan")
    _, means, covariances = problem.found
    Sx = np.cov(X.T, bias=True)
    for k in range(2):
        n_k = resp[:, k].sum()
        y = X - means[k]
        W = (resp[:, k, None] * y).T @ y
        np.testing.assert_allclose(means[k], resp[:, k] @ X / n_k, rtol=1e-9)
        # Two unknowns would fit anything: the same a for both components and all entries.
        a = ((n_k * covariances[k] - W) / (2 * (Sx - covariances[k])))[np.triu_indices(2)]
        np.testing.assert_allclose(a, a[0], rtol=1e-5)
        assert a[0] in (pytest.approx(1 / len(X), rel=1e-6), pytest.approx(len(X) ** -0.5, rel=1e-6))


# EigenvalueRatio


def eigenvalues(mixture):
    return np.linalg.eigvalsh(mixture.covariances)


@pytest.mark.parametrize("data", ["blobs", "copies", "a line", "far away"])
@pytest.mark.parametrize("c", [1.0, 2.0, 12.0, 1e4])
@pytest.mark.parametrize("family", UNIFORM)
def test_the_ratio_of_eigenvalues_is_kept(family, c, data):
    X = DATA[data]
    gm = silent(GaussianMixture(3, covariance_type=family, prior=mixtura.EigenvalueRatio(c), random_state=0), X)
    values = eigenvalues(gm.mixture_)
    assert values.max() / values.min() <= c * (1 + 1e-9)


def ratio_by_brute_force(values, mass, c):
    """Eigenvalues (K, d) that minimise sum_k n_k sum_j (log e + D_kj / e) in [m, c m], m on a fine grid."""
    grid = np.geomspace(values[values > 0].min() / c / 2, values.max() * 2, 400_001)

    def cost(m):
        inside = np.clip(values[None], m[:, None, None], c * m[:, None, None])
        return (mass[:, None] * (np.log(inside) + values / inside)).sum(axis=(1, 2))

    costs = np.concatenate([cost(part) for part in np.array_split(grid, 200)])
    m = grid[costs.argmin()]
    return np.clip(values, m, c * m), costs.min()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("c", [1.0, 1.5, 5.0, 50.0])
@pytest.mark.parametrize("family", ["VVV", "VVI", "VII", "EEE", "EEI"])
def test_the_m_step_with_a_ratio_equals_brute_force(family, c, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 3)) * [1.0, 3.0, 0.2] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    resp = rng.dirichlet([0.3, 0.3, 0.3], size=40)
    settings = {"covariance_type": family, "responsibilities_init": resp}
    free, _ = next(iter(GaussianMixture(3, **settings).fit_iter(X)))
    held, _ = next(iter(GaussianMixture(3, **settings, prior=mixtura.EigenvalueRatio(c)).fit_iter(X)))
    np.testing.assert_allclose(held.means, free.means, rtol=1e-9)
    np.testing.assert_allclose(held.weights, free.weights, rtol=1e-9)
    mass = resp.sum(axis=0)
    values = eigenvalues(free)
    expected, least = ratio_by_brute_force(values, mass, c)
    found = eigenvalues(held)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    ours = (mass[:, None] * np.log(found)).sum()
    ours += sum(mass[k] * np.trace(free.covariances[k] @ np.linalg.inv(held.covariances[k])) for k in range(3))
    assert ours <= least + 1e-6 * abs(least)


def test_a_wide_ratio_changes_nothing():
    X = blobs(150, 2)
    plain = GaussianMixture(3, accelerate=None, random_state=0).fit(X)
    held = GaussianMixture(3, prior=mixtura.EigenvalueRatio(1e10), random_state=0).fit(X)
    assert_same_parameters(parameters(held), parameters(plain), 1e-9)


def test_a_ratio_of_one_is_one_sphere_for_all():
    X = blobs(150, 2)
    begin = {"labels_init": np.arange(150) % 3, "tol": 1e-9, "max_iter": 200}
    held = unfinished(GaussianMixture(3, covariance_type="full", prior=mixtura.EigenvalueRatio(1.0), **begin), X)
    sphere = unfinished(GaussianMixture(3, covariance_type="EII", **begin), X)
    assert_same_parameters(parameters(held), parameters(sphere), 1e-6)


def rows_and_copies():
    rng = np.random.default_rng(2)
    return np.concatenate([rng.normal(0, 1, (80, 2)), np.tile([[20.0, 20.0]], (8, 1))])


@pytest.mark.parametrize("covariance_type", ["EVI", "EEV", "EVV"])
def test_copies_are_told_of_where_they_do_not_reach_the_floor(covariance_type):
    """With a shared volume, a component of copies of one row has any shape or axes at all."""
    rows = rows_and_copies()
    gm = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    with pytest.warns(UserWarning, match="tied"):
        gm.fit(rows)
    assert sorted(one["state"] for one in gm.diagnostics_) == ["ok", "tied"]
    with pytest.raises(ValueError, match="tied"):
        GaussianMixture(2, covariance_type=covariance_type, random_state=0, on_degenerate="raise").fit(rows)


def test_a_needle_through_copies_has_rows_of_its_own_or_is_told_of():
    """With common axes, the copies' shape may be a needle that reaches other rows, too: a better optimum."""
    gm = GaussianMixture(2, covariance_type="EVE", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm.fit(rows_and_copies())
    assert all(one["distinct_rows"] >= 3 for one in gm.diagnostics_ if one["state"] == "ok")


def test_a_refused_fit_leaves_the_one_before():
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(100, 2))
    gm = GaussianMixture(2, on_degenerate="raise", random_state=0).fit(sound)
    before = gm.means_.copy()
    with pytest.raises(ValueError, match="tied"):
        gm.fit(np.concatenate([sound, np.tile([[30.0, 30.0]], (9, 1))]))
    np.testing.assert_array_equal(gm.means_, before)


def test_of_a_row_astray_the_remedy_works():
    """It takes a component with it; with a background the others are as they would be without it."""
    rng = np.random.default_rng(0)
    sound = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(8, 1, (100, 2))])
    X = np.concatenate([sound, [[1e6, 1e6]]])
    with pytest.warns(UserWarning, match="look at its row: take it out if it is astray, or use noise=True"):
        GaussianMixture(2, random_state=0).fit(X)
    alone, behind = (GaussianMixture(2, noise=noise, random_state=0).fit(x) for noise, x in ((None, sound), (True, X)))
    order, other = np.argsort(alone.means_[:, 0]), np.argsort(behind.means_[:, 0])
    np.testing.assert_allclose(behind.means_[other], alone.means_[order], rtol=1e-3, atol=1e-3)
    assert behind.labels_[-1] == -1


def test_priors_are_values():
    a, b = (mixtura.FraleyRaftery(scale=np.eye(2)) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != mixtura.FraleyRaftery(scale=2 * np.eye(2))
