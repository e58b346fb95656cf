"""`mixtura teach`: its answers beside SciPy, scikit-learn and the estimator, its words, its server, its page."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans

from browsing import PHONE, visiting
from mixtura import GaussianMixture, Mixture
from mixtura.cli import main
from mixtura.families import ALIASES, FAMILIES
from mixtura.task import ON_DEGENERATE
from mixtura.teach import answers, server
from mixtura.teach.answers import ASKS, STARTS, Refusal, answer, setup, words
from mixtura.teach.sets import SETS

TEACH = files("mixtura.teach")
STATES = ("ok", "empty", "tied", "collapsed", "starved", "flat", "unresolved")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def asked(ask: str, **more: Any) -> dict[str, Any]:
    """An answer as it comes over the wire, and so without anything but JSON."""
    request = json.loads(json.dumps({"ask": ask, **more}))
    found: dict[str, Any] = json.loads(json.dumps(answer(request), allow_nan=False))
    return found


def rows_of(name: str) -> list[list[float]]:
    return SETS[name]().points.tolist()


def posed(name: str, k: int, family: str = "full", **more: Any) -> dict[str, Any]:
    return {"points": rows_of(name), "k": k, "family": family, **more}


def begun(name: str, k: int, family: str = "full", start: str = "k-means++") -> dict[str, Any]:
    """What is asked with a model in hand: that of a start."""
    what = posed(name, k, family)
    return {**what, "model": asked("begin", **what, start=start)["model"]}


def log_joint(model: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """log w_k N(x | m_k, S_k) by SciPy, (n, K)."""
    m = Mixture.from_dict(model)
    return np.column_stack(
        [
            np.log(w) + np.atleast_1d(multivariate_normal.logpdf(x, mean, covariance))
            for w, mean, covariance in zip(m.weights, m.means, m.covariances, strict=True)
        ]
    )


# Steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shares_are_bayes_rule(family: str) -> None:
    what = begun("overlap", 3, family)
    found = asked("share", **what)
    joint = log_joint(what["model"], np.array(what["points"]))
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    assert np.allclose(found["responsibilities"], expected, rtol=1e-9, atol=1e-12)
    assert found["loglik"] == pytest.approx(logsumexp(joint, axis=1).sum(), rel=1e-12)
    assert np.allclose(found["mass"], expected.sum(axis=0), rtol=1e-9)
    assert np.allclose(found["first"], expected.T @ np.array(what["points"]), rtol=1e-9)


def test_the_m_step_of_full_is_the_formula() -> None:
    what = begun("unequal", 2)
    x = np.array(what["points"])
    r = np.array(asked("share", **what)["responsibilities"])
    found = asked("update", **what, history=[])
    mass = r.sum(axis=0)
    means = r.T @ x / mass[:, None]
    covariances = [(r[:, k, None] * (x - means[k])).T @ (x - means[k]) / mass[k] for k in range(2)]
    assert np.allclose([one["weight"] for one in found["view"]], mass / len(x), rtol=1e-10)
    assert np.allclose([one["mean"] for one in found["view"]], means, rtol=1e-10)
    assert np.allclose([one["covariance"] for one in found["view"]], covariances, rtol=1e-9)
    roots = np.array([one["root"] for one in found["view"]])
    assert np.allclose(roots @ roots.transpose(0, 2, 1), covariances, rtol=1e-9)
    # The E-step has said the same beforehand.
    after = asked("share", **what)["after"]
    assert after == {
        "weights": [one["weight"] for one in found["view"]],
        "means": [one["mean"] for one in found["view"]],
        "covariances": [one["covariance"] for one in found["view"]],
    }


@pytest.mark.parametrize("family", [*ALIASES, *FAMILIES])
def test_steps_by_hand_are_those_of_fit_iter_to_the_last_bit(family: str) -> None:
    what = posed("overlap", 3, family)
    gm = GaussianMixture(
        3, covariance_type=family, init="random_from_data", n_init=1, accelerate=None, random_state=0, tol=1e-3
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = list(gm.fit_iter(np.array(what["points"])))
    found = asked("begin", **what, start="random_from_data")
    begin, history = found["model"], [found["loglik"]]
    for step, (mixture, objective) in enumerate(expected[:8]):
        if step:
            found = asked("update", **what, model=found["model"], history=history)
            history.append(found["loglik"])
        assert found["model"] == mixture.to_dict()
        assert found["loglik"] == objective
    run = asked("run", **what, model=begin)
    assert [one["loglik"] for one in run["passes"]] == [objective for _, objective in expected[:301]]
    assert run["passes"][-1]["model"] == expected[: len(run["passes"])][-1][0].to_dict()
    if len(expected) <= 300:
        assert run["reason"] == gm.stop_reason_
        assert [one["state"] for one in run["states"]] == [one["state"] for one in gm.diagnostics_]


def test_by_hand_the_rule_stops_where_the_run_does() -> None:
    what = begun("faithful", 2, start="random_from_data")
    run = asked("run", **what)
    found, history = what, [run["passes"][0]["loglik"]]
    for made in range(1, len(run["passes"])):
        found = asked("update", **{**what, "model": found["model"]}, history=history)
        history.append(found["loglik"])
        assert found["converged"] == (made == len(run["passes"]) - 1)
    assert found["lately"] == run["lately"] == history[-1] - history[-6] < setup()["tol"]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("start", STARTS)
def test_the_log_likelihood_never_falls(name: str, start: str) -> None:
    run = asked("run", **begun(name, 3, start=start))
    heights = [one["loglik"] for one in run["passes"]]
    assert np.diff(heights).min(initial=0.0) >= -1e-12 * abs(heights[-1])


def test_bayes_rule_at_a_place_with_all_of_its_numbers() -> None:
    what = begun("overlap", 3)
    at = [5.3, 4.1]
    found = asked("look", model=what["model"], at=at)
    m = Mixture.from_dict(what["model"])
    joint = log_joint(what["model"], np.array([at]))[0]
    assert np.allclose(found["log_product"], joint, rtol=1e-10)
    assert np.allclose(found["log_density"], joint - np.log(m.weights), rtol=1e-10)
    assert found["log_sum"] == pytest.approx(logsumexp(joint), rel=1e-10)
    assert np.allclose(found["responsibilities"], np.exp(joint - logsumexp(joint)), rtol=1e-9)
    distances = [mahalanobis(at, m.means[k], np.linalg.inv(m.covariances[k])) for k in range(3)]
    assert np.allclose(found["mahalanobis"], distances, rtol=1e-9)


def test_far_from_everything_the_shares_still_sum_to_one() -> None:
    found = asked("look", model=begun("two", 2)["model"], at=[900_000.0, -900_000.0])
    assert found["log_sum"] < -1e6  # a density that underflows
    assert sum(found["responsibilities"]) == pytest.approx(1)


def test_a_component_without_weight_has_no_share() -> None:
    model = Mixture([1.0, 0.0], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0]).to_dict()
    found = asked("look", model=model, at=[1.0, 1.0])
    assert found["responsibilities"] == [1.0, 0.0]
    assert found["log_product"][1] is None
    assert found["mahalanobis"] == pytest.approx([np.sqrt(2), 0.0])


# Lessons ---------------------------------------------------------------------------------------------------------


def test_means_at_one_place_stay_there() -> None:
    what = begun("four", 4, start="one-place")
    assert np.array(asked("share", **what)["responsibilities"]) == pytest.approx(np.full((140, 4), 0.25))
    run = asked("run", **what)
    assert run["reason"] == "converged"
    assert run["passes"][-1]["loglik"] == pytest.approx(run["passes"][0]["loglik"], rel=1e-12)
    moved = asked("move", **what, component=2, to=[2.0, 6.0])
    assert moved["view"][2]["mean"] == [2.0, 6.0]
    assert moved["view"][0]["mean"] == Mixture.from_dict(what["model"]).means[0].tolist()
    further = asked("run", **{**what, "model": moved["model"]})
    assert further["passes"][-1]["loglik"] > run["passes"][-1]["loglik"] + 10


def test_a_crowded_start_ends_in_a_local_maximum() -> None:
    ends = {
        start: asked("run", **begun("four", 4, start=start))["passes"][-1]["loglik"]
        for start in ("crowded", "k-means++")
    }
    assert ends["crowded"] < ends["k-means++"] - 10


def test_two_equal_points_take_a_component() -> None:
    what = begun("twins", 3)
    run = asked("run", **what)
    bad = [k for k, one in enumerate(run["states"]) if one["state"] == "tied"]
    assert len(bad) == 1
    assert run["passes"][-1]["view"][bad[0]]["mean"] == pytest.approx([0.5, 7.5])
    found = {rule: asked("fit", **posed("twins", 3), rule=rule) for rule in ON_DEGENERATE}
    assert [found[rule]["degenerate"] for rule in ON_DEGENERATE] == [True] * 3
    assert {rule: one["refused"] for rule, one in found.items()} == {"rescue": False, "drop": False, "raise": True}
    assert (found["rescue"]["k"], found["drop"]["k"], len(found["drop"]["dropped"])) == (3, 2, 1)
    with pytest.raises(ValueError, match="tied"):
        GaussianMixture(3, on_degenerate="raise", random_state=0).fit(what["points"])
    fine = asked("run", **begun("twins", 2))
    assert {one["state"] for one in fine["states"]} == {"ok"}


def test_a_lone_point_takes_a_component() -> None:
    run = asked("run", **begun("outlier", 2))
    [k] = [k for k, one in enumerate(run["states"]) if one["state"] == "tied"]
    assert run["states"][k]["effective_n"] == pytest.approx(1)
    assert run["passes"][-1]["view"][k]["mean"] == pytest.approx([9.2, 7.2])
    assert asked("fit", **posed("outlier", 2), rule="rescue")["degenerate"]


def test_a_single_component_gains_nothing_by_being_narrow() -> None:
    rows = asked("narrow", **begun("two", 1), component=0)["rows"]
    assert (np.diff([one["loglik"] for one in rows]) < 0).all()


def test_means_at_one_place_are_a_saddle_and_not_a_maximum() -> None:
    what = begun("four", 4, start="one-place")
    end = asked("run", **what)["passes"][-1]
    x, whole = np.array(what["points"]), multivariate_normal(end["view"][0]["mean"], end["view"][0]["covariance"])
    assert end["loglik"] == pytest.approx(whole.logpdf(x).sum())
    # Apart by d, and so much narrower that the whole keeps its covariance.
    d = np.array([0.5, 0.5])
    halves = [multivariate_normal(whole.mean + one, whole.cov - np.outer(d, d)).logpdf(x) for one in (d, -d)]
    assert np.logaddexp(*halves).sum() - len(x) * np.log(2) > end["loglik"]


def test_a_healthy_fit_is_the_same_under_any_rule() -> None:
    gm = GaussianMixture(2, random_state=0).fit(rows_of("faithful"))
    for rule in ON_DEGENERATE:
        found = asked("fit", **posed("faithful", 2), rule=rule)
        assert (found["degenerate"], found["refused"], found["dropped"]) == (False, False, [])
        assert found["model"] == gm.mixture_.to_dict()


def test_a_narrower_component_makes_the_likelihood_grow_without_end() -> None:
    what = begun("twins", 3)
    run = asked("run", **what)
    k = [one["state"] for one in run["states"]].index("tied")
    model = run["passes"][-1]["model"]
    found = asked("narrow", **{**what, "model": model}, component=k)
    assert (found["at"], found["points"]) == ([0.5, 7.5], 2)
    m, x = Mixture.from_dict(model), np.array(what["points"])
    for one in found["rows"]:
        joint = log_joint(model, x)
        ball = multivariate_normal.logpdf(x, found["at"], one["deviation"] ** 2 * np.eye(2))
        joint[:, k] = np.log(m.weights[k]) + ball
        assert one["loglik"] == pytest.approx(logsumexp(joint, axis=1).sum(), rel=1e-9)
    gains = np.diff([one["loglik"] for one in found["rows"]])
    # A tenth of the width is 2 log 10 more for each of the two points.
    assert gains[-3:] == pytest.approx(4 * np.log(10))


def test_k_means_is_that_of_scikit_learn() -> None:
    what = begun("unequal", 2)
    run = asked("run", **what)
    source = SETS["unequal"]().source
    assert source is not None
    model = run["passes"][-1]["model"]
    found = asked("kmeans", **{**what, "model": model}, source=source.tolist())
    x = np.array(what["points"])
    expected = KMeans(2, n_init=10, random_state=0).fit(x)
    order = np.argsort(found["centers"], axis=0)[:, 0]
    theirs = np.argsort(expected.cluster_centers_, axis=0)[:, 0]
    assert np.allclose(np.array(found["centers"])[order], expected.cluster_centers_[theirs])
    assert found["inertia"] == pytest.approx(expected.inertia_)
    nearest = ((x[:, None] - np.array(found["centers"])) ** 2).sum(axis=2).argmin(axis=1)
    assert found["labels"] == nearest.tolist()

    def elsewhere(labels: np.ndarray) -> int:
        return min(int((np.array(way)[labels] != source).sum()) for way in itertools.permutations(range(2)))

    mixture = Mixture.from_dict(model).predict(x)
    assert found["wrong"] == {"kmeans": elsewhere(nearest), "mixture": elsewhere(mixture)}
    assert found["wrong"]["mixture"] < 5 < 40 < found["wrong"]["kmeans"]
    # The same number means the same points, as far as the two agree.
    assert (nearest == mixture).mean() > 0.5


@pytest.mark.parametrize(
    ("name", "family", "start", "better"),
    [
        ("stretched", "full", "k-means++", True),
        ("stretched", "EII", "k-means++", False),
        ("ring", "full", "random", True),
    ],
)
def test_what_the_lesson_on_k_means_says(name: str, family: str, start: str, better: bool) -> None:
    what = begun(name, 2, family, start)
    model = asked("run", **what)["passes"][-1]["model"]
    source = SETS[name]().source
    assert source is not None
    wrong = asked("kmeans", **{**what, "model": model}, source=source.tolist())["wrong"]
    assert (wrong["mixture"] < 10 < wrong["kmeans"]) == better


# Sets and what is offered ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_a_set_lies_within_its_plane_and_is_the_same_each_time(name: str) -> None:
    found, again = asked("points", set=name), asked("points", set=name)
    assert found == again
    x, plane = np.array(found["points"]), np.array(found["plane"])
    assert 2 <= len(x) <= setup()["most_points"]
    assert (x >= plane[:, 0]).all()
    assert (x <= plane[:, 1]).all()
    assert found["source"] is None or len(found["source"]) == len(x)


def test_faithful_is_the_bundled_table() -> None:
    expected = np.genfromtxt(str(files("mixtura") / "data" / "faithful.csv"), delimiter=",", skip_header=1)
    assert np.array_equal(rows_of("faithful"), expected)


def test_every_family_is_offered_with_its_parameters() -> None:
    offered = {one["name"]: one for one in setup()["families"]}
    assert list(offered) == [*ALIASES, *FAMILIES]
    assert {name: offered[name]["code"] for name in ALIASES} == ALIASES
    for name, one in offered.items():
        gm = GaussianMixture(3, covariance_type=name, random_state=0).fit(rows_of("overlap"))
        assert one["parameters"][2] == gm.df_


# The door --------------------------------------------------------------------------------------------------------

FEW = [[0.0, 0.0], [1.0, 1.0], [2.0, 0.5]]
MODEL = Mixture([1.0], [[1.0, 0.5]], [1.0]).to_dict()
GOOD: dict[str, Any] = {"points": FEW, "k": 1, "family": "full", "model": MODEL}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (None, "request"),
        ([], "request"),
        ({}, "ask"),
        ({"ask": ["see"]}, "ask"),
        ({"ask": "__class__"}, "ask"),
        ({"ask": "points", "set": "none"}, "set"),
        ({"ask": "see", **GOOD, "points": []}, "points"),
        ({"ask": "see", **GOOD, "points": None}, "points"),
        ({"ask": "see", **GOOD, "points": "12"}, "points"),
        ({"ask": "see", **GOOD, "points": [[1, 2], [3]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[1, 2, 3]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[1, True], ["a", 2]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[1e9, 2]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[10**400, 2]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[float("nan"), 2]]}, "points"),
        ({"ask": "see", **GOOD, "points": [[0, 0]] * 2001}, "points"),
        # As an array of text it would be terabytes.
        ({"ask": "see", **GOOD, "points": ["x" * 2_000_000] + [""] * 1_000_000}, "points"),
        ({"ask": "look", "model": MODEL, "at": ["x" * 2_000_000] + [""] * 1_000_000}, "place"),
        ({"ask": "see", **GOOD, "points": [[0, 0], [1e-200, 1]]}, "scale"),
        ({"ask": "see", **GOOD, "k": 0}, "components"),
        ({"ask": "see", **GOOD, "k": 13}, "components"),
        ({"ask": "see", **GOOD, "k": 1.0}, "components"),
        ({"ask": "see", **GOOD, "k": True}, "components"),
        ({"ask": "see", **GOOD, "family": "E"}, "family"),
        ({"ask": "see", **GOOD, "family": ["full"]}, "family"),
        ({"ask": "see", **GOOD, "k": 2}, "model"),
        ({"ask": "see", **GOOD, "model": None}, "model"),
        ({"ask": "see", **GOOD, "model": {}}, "model"),
        ({"ask": "see", **GOOD, "model": {**MODEL, "weights": [2.0]}}, "model"),
        ({"ask": "see", **GOOD, "model": {**MODEL, "weights": {"a": 1}}}, "model"),
        ({"ask": "see", **GOOD, "model": {**MODEL, "covariances": [[-1.0, 1.0]]}}, "model"),
        ({"ask": "see", **GOOD, "model": {**MODEL, "means": [[1.0, None]]}}, "model"),
        ({"ask": "see", **GOOD, "model": {**MODEL, "whiteners": "no"}}, "model"),
        ({"ask": "look", "model": Mixture([1.0], [[0.0]], [1.0]).to_dict(), "at": [0, 0]}, "model"),
        ({"ask": "look", "model": MODEL, "at": [1]}, "place"),
        ({"ask": "look", "model": MODEL, "at": {"x": 1}}, "place"),
        ({"ask": "move", **GOOD, "component": 1, "to": [0, 0]}, "component"),
        ({"ask": "update", **GOOD, "history": [1, "a"]}, "history"),
        ({"ask": "update", **GOOD, "history": [0.0] * 10_001}, "history"),
        ({"ask": "update", **GOOD, "history": [10**400]}, "history"),
        ({"ask": "update", **GOOD, "history": [float("-inf")]}, "history"),
        ({"ask": "begin", **GOOD, "start": "best"}, "start"),
        ({"ask": "begin", **GOOD, "start": "random", "seed": -1}, "seed"),
        ({"ask": "fit", **GOOD, "rule": "ignore"}, "rule"),
        ({"ask": "kmeans", **GOOD, "source": [0, 1]}, "source"),
        ({"ask": "kmeans", **GOOD, "source": [0, 1, 99]}, "source"),
        ({"ask": "kmeans", **GOOD, "points": [[0, 0]] * 3, "k": 2, "model": None}, "distinct"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_a_sentence(request_: Any, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        answer(request_)
    assert refused.value.code == code
    said = str(refused.value)
    assert re.fullmatch(r"[A-Za-z].+[^.]\.", said)
    assert "{" not in said
    json.dumps(refused.value.numbers, allow_nan=False)
    assert words("ja")[f"error.{code}"].format(**refused.value.numbers)


@pytest.mark.parametrize("ask", ASKS)
def test_whatever_stands_in_a_field_is_answered_or_refused(ask: str) -> None:
    whole = {
        **GOOD,
        "set": "two",
        "start": "random",
        "rule": "drop",
        "component": 0,
        "to": [0, 1],
        "at": [1, 1],
        "history": [-3.0],
    }
    assert answer({"ask": ask, **whole})
    strange: list[Any] = [
        None,
        True,
        -1,
        3,
        1e300,
        10**30,
        "",
        "full",
        [],
        [[]],
        [[1]],
        {},
        {"weights": []},
        [None] * 3,
    ]
    for field, value in itertools.product(whole, strange):
        try:
            answer({"ask": ask, **whole, field: value})
        except Refusal as refusal:
            assert refusal.code in {key.removeprefix("error.") for key in words("en")}  # noqa: PT017


@pytest.mark.parametrize("family", FAMILIES)
def test_few_points_and_many_components_are_answered(family: str) -> None:
    for rows in ([[3.0, 3.0]], [[3.0, 3.0]] * 4, [[1.0, 2.0], [2.0, 2.0]], FEW):
        for start in STARTS:
            what = {"points": rows, "k": 5, "family": family}
            model = asked("begin", **what, start=start)["model"]
            asked("share", **what, model=model)
            run = asked("run", **what, model=model)
            asked("narrow", **what, model=run["passes"][-1]["model"], component=4)
        for rule in ON_DEGENERATE:
            asked("fit", **what, rule=rule)


# Words -----------------------------------------------------------------------------------------------------------


def scripts() -> str:
    """All that runs in the page."""
    return "\n".join((TEACH / f"{one}.js").read_text(encoding="utf-8") for one in server.SCRIPTS)


def used_words() -> set[str]:
    """Keys that the page uses; those that are put together from a name are written out by the tables of names."""
    html = (TEACH / "page.html").read_text(encoding="utf-8")
    script = scripts()
    used = set(re.findall(r'data-(?:word|label|prose)="([^"]+)"', html))
    used |= set(re.findall(r'"((?:said|spoken|lesson|curve|bayes|kmeans|board|em|m|states|narrow)\.[a-z_.]+)"', script))
    used |= {f"bayes.{one}" for one in re.findall(r"word\(`bayes\.(\w+)`", script)}
    used |= set(re.findall(r"\bwords\.(\w+)", script)) | {"title", "set.own", "lesson.not_yet"}
    lessons = {
        name: body.count("{ ")
        for name, body in re.findall(
            r"^  (\w+): \[\n?(.*?)\],$", script.split("const LESSONS")[1].split("};")[0], re.M | re.S
        )
    }
    assert set(lessons) == {"first", "bad", "collapse", "kmeans", "free"}
    names = {
        "family.": dict.fromkeys(FAMILIES, ("",)),
        "set.": dict.fromkeys(SETS, ("",)),
        "start.": dict.fromkeys(STARTS, ("", ".said")),
        "state.": dict.fromkeys(STATES, ("", ".said")),
        "lesson.": dict.fromkeys(lessons, ("",)),
        "said.run.": dict.fromkeys(("converged", "still", "rounding", "max_iter"), ("",)),
        "fit.said.": dict.fromkeys(("healthy", "rescued", "dropped", "raised"), ("",)),
        "bayes.col.": dict.fromkeys(("component", "weight", "distance", "density", "product", "share"), ("",)),
        "states.col.": dict.fromkeys(("component", "state", "rows", "distinct", "scale"), ("",)),
    }
    used |= {f"{before}{name}{end}" for before, ones in names.items() for name, ends in ones.items() for end in ends}
    return used


def test_both_languages_have_the_same_words_and_placeholders() -> None:
    english, japanese = words("en"), words("ja")
    assert list(english) == list(japanese)
    for key, one in english.items():
        other = japanese[key]
        assert one.strip() or key == "between", key
        assert other.strip() or key == "between", key
        for pattern in (r"\{\w+\}", r"`[^`]+`"):
            assert set(re.findall(pattern, one)) == set(re.findall(pattern, other)), key


def test_each_language_is_itself() -> None:
    kana_or_kanji = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
    assert [key for key, one in words("en").items() if kana_or_kanji.search(one)] == []
    # What is the same in both: symbols, formulas, names of buttons.
    formulas = {"between", "bayes.formula", "bayes.col.component", "states.col.component", "m.weight", "m.mean"}
    formulas |= {"em.e", "em.m", "em.both"}
    assert {key for key, one in words("ja").items() if not kana_or_kanji.search(one)} == formulas | {"comma"}
    # Names of methods, keys, programs and people are all that is left in Latin letters.
    latin = set(
        re.findall(r"[A-Za-z]{3,}", " ".join(re.sub(r"`[^`]*`|\{\w+\}", "", one) for one in words("ja").values()))
    )
    assert latin <= {
        *("EII", "EEI", "VEI", "full", "means", "scikit", "learn", "Python", "fit", "degenerate", "Dempster", "Laird"),
        *("and", "Rubin", "Tab", "Enter", "Shift", "Delete", "PageDown", "PageUp", "Escape", "rescue", "drop", "raise"),
        *("ValueError", "JSON", "Content", "Type", "Length", "application", "json", "http", "mixtura", "teach", "log"),
        *("ask", "points", "component", "family", "start", "set", "rule", "seed", "model", "history", "source", "exp"),
        *("HTTP", "GET", "HEAD", "POST"),
    }


def test_what_a_japanese_lesson_quotes_is_on_the_page() -> None:
    japanese = words("ja")
    shown = tuple(one for key, one in japanese.items() if not key.startswith(("lesson.", "said.")))
    shown += (japanese["lesson.next"],)
    quoted = {
        name
        for key, one in japanese.items()
        if key.startswith(("lesson.", "said."))
        for name in re.findall("「(.*?)」", one)
    }
    assert len(quoted) > 10
    # The verdict of a run is no name of a button.
    assert {name for name in quoted if not any(one.startswith(name) for one in shown)} <= {"収束"}


def test_every_word_is_used_and_every_use_has_a_word() -> None:
    known, used = set(words("en")), used_words()
    assert used - known == set()
    lessons = {key for key in known if re.fullmatch(r"lesson\.\w+\.\d+(\.title|\.hint)?", key)}
    errors = {key for key in known if key.startswith("error.")}
    assert known - used - lessons - errors == set()
    source = (TEACH / "answers.py").read_text(encoding="utf-8") + (TEACH / "server.py").read_text(encoding="utf-8")
    source += scripts()
    named = {f"error.{code}" for code in re.findall(r'"(\w+)"', source)}
    assert errors - named == set()


# The server ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[server.Server]:
    with server.Server(0) as here:
        thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield here
        here.shutdown()
        thread.join()


def spoken(
    here: server.Server, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", here.server_port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


JSON = {"Content-Type": "application/json"}


def test_the_server_is_bound_to_loopback(served: server.Server) -> None:
    assert served.server_address[0] == "127.0.0.1"
    assert served.address == f"http://127.0.0.1:{served.server_port}/"


@pytest.mark.parametrize("path", [*server.PAGES, "/setup.json"])
def test_every_page_is_served_with_its_type(served: server.Server, path: str) -> None:
    status, headers, body = spoken(served, "GET", path + "?lang=ja")
    assert status == 200
    assert int(headers["content-length"]) == len(body) > 100
    assert "default-src 'none'" in headers["content-security-policy"]
    assert spoken(served, "HEAD", path)[2] == b""
    if "json" in headers["content-type"]:
        json.loads(body)


def test_an_answer_over_http_is_the_same(served: server.Server) -> None:
    request = {"ask": "see", **GOOD}
    status, _, body = spoken(served, "POST", "/ask", json.dumps(request).encode(), JSON)
    assert (status, json.loads(body)) == (200, json.loads(json.dumps(answer(request))))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/", None, {"Host": "evil.example"}, 403, "host"),
        ("GET", "/setup.json", None, {"Host": "127.0.0.1"}, 403, "host"),
        ("GET", "/page.js", None, {"Host": "127.0.0.1.evil.example:{port}"}, 403, "host"),
        ("GET", "/", None, {"Origin": "null"}, 403, "host"),
        ("POST", "/ask", b"{}", {**JSON, "Host": "evil.example:{port}"}, 403, "host"),
        ("POST", "/ask", b"{}", {**JSON, "Origin": "http://evil.example"}, 403, "host"),
        ("POST", "/ask", b"{}", {**JSON, "Origin": "https://127.0.0.1:{port}"}, 403, "host"),
        ("POST", "/ask", b"{}", {"Content-Type": "text/plain"}, 415, "type"),
        ("POST", "/ask", b"{}", {}, 415, "type"),
        ("POST", "/ask", b"{}", {**JSON, "Content-Length": "x"}, 411, "length"),
        ("POST", "/ask", b"{}", {**JSON, "Content-Length": "-1"}, 411, "length"),
        ("POST", "/ask", b"{}", {**JSON, "Content-Length": "999999999"}, 413, "size"),
        ("POST", "/ask", b"{}", {**JSON, "Content-Length": "9" * 5000}, 413, "size"),
        ("PUT", "/ask", b"{}", JSON, 501, "protocol"),
        ("OPTIONS", "/ask", None, {"Origin": "http://evil.example"}, 501, "protocol"),
        ("GET", "/" + "a" * 70_000, None, {}, 414, "protocol"),
        ("GET", "/%2e%2e/answers.py", None, {}, 404, "address"),
        ("GET", "/..%2fanswers.py", None, {}, 404, "address"),
        ("POST", "/elsewhere", b"{}", JSON, 404, "address"),
        ("GET", "/../answers.py", None, {}, 404, "address"),
        ("GET", "/answers.py", None, {}, 404, "address"),
        ("POST", "/ask", b"{", JSON, 400, "request"),
        ("POST", "/ask", b"\xff\xfe", JSON, 400, "request"),
        ("POST", "/ask", b"[" * 100_000, JSON, 400, "request"),
        ("POST", "/ask", b'{"ask": "look", "at": [NaN, 1]}', JSON, 400, "request"),
        ("POST", "/ask", b"7", JSON, 400, "request"),
        ("POST", "/ask", b'{"ask": "points", "set": "x"}', JSON, 400, "set"),
    ],
)
def test_what_is_refused(
    served: server.Server,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    sent = {name: value.replace("{port}", str(served.server_port)) for name, value in headers.items()}
    found, reply, text = spoken(served, method, path, body, sent)
    assert found == status
    assert reply["content-type"].startswith("application/json")
    error = json.loads(text)["error"]
    assert error["code"] == code
    assert error["message"] == words("en")[f"error.{code}"].format(**error["numbers"])
    assert "Traceback" not in text.decode()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_its_own_page_may_ask(served: server.Server, name: str) -> None:
    own = f"{name}:{served.server_port}"
    headers = {**JSON, "Host": own, "Origin": f"http://{own}"}
    assert spoken(served, "POST", "/ask", b'{"ask": "points", "set": "two"}', headers)[0] == 200


def test_a_browser_leaves_out_the_port_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with server.Server(0) as here:
        assert "127.0.0.1" not in here.hosts
        monkeypatch.setattr(here, "server_port", 80)
        assert {"127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"} == set(here.hosts)


@pytest.mark.parametrize(
    ("target", "more", "status"), [("/", "Host: evil.example\r\n", 403), ("http://[", "", 404), ("/", "", 200)]
)
def test_what_no_client_would_send(served: server.Server, target: str, more: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=20) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{served.server_port}\r\n{more}\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_who_says_nothing_keeps_nobody_waiting(served: server.Server) -> None:
    head = f"POST /ask HTTP/1.1\r\nHost: 127.0.0.1:{served.server_port}\r\nContent-Type: application/json\r\n"
    silent = [socket.create_connection(("127.0.0.1", served.server_port), timeout=20) for _ in range(20)]
    try:
        for one in silent:
            one.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert spoken(served, "POST", "/ask", b'{"ask": "points", "set": "two"}', JSON)[0] == 200
    finally:
        for one in silent:
            one.close()


def test_a_mistake_of_ours_is_no_traceback_to_the_page(
    served: server.Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Any) -> dict[str, Any]:
        raise RuntimeError("sesame")

    monkeypatch.setitem(answers.ASKS, "points", broken)
    status, _, body = spoken(served, "POST", "/ask", b'{"ask": "points"}', JSON)
    assert (status, json.loads(body)["error"]["code"]) == (500, "ours")
    assert b"sesame" not in body
    # But the terminal says it; the thread may be a moment behind its reply.
    for _ in range(100):
        said = capsys.readouterr().err
        if "RuntimeError: sesame" in said:
            return
        threading.Event().wait(0.02)
    pytest.fail("the mistake was swallowed")


def test_many_at_once_are_all_answered(served: server.Server) -> None:
    request = json.dumps({"ask": "run", **begun("overlap", 3)}).encode()
    replies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: replies.append(spoken(served, "POST", "/ask", request, JSON)[2]))
        for _ in range(6)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(replies) == 6
    assert len(set(replies)) == 1


# The command -----------------------------------------------------------------------------------------------------


def begin_command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mixtura", "teach", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_cleanly(number: signal.Signals) -> None:
    with begin_command("--lang", "ja") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", first)
        assert found
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        connection.request("GET", "/setup.json")
        assert json.loads(connection.getresponse().read())["language"] == "ja"
        process.send_signal(number)  # with the connection still open
        out, err = process.communicate(timeout=30)
        connection.close()
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["teach", "--no-browser", "--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"mixtura: cannot serve on port {port} \(.+\): choose another with --port\n", err)


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--port", "x"], ["--lang", "fr"]])
def test_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["teach", *arguments])
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# The page --------------------------------------------------------------------------------------------------------


class Reader:
    """Somebody at the page; ``replies`` are what the server has answered, ``requests`` what was asked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.talk: list[tuple[dict[str, Any], Any]] = []
        page.on("response", self._heard)
        page.reload()
        page.wait_for_selector("#lesson-title:not(:empty)")
        self.wait()

    def _heard(self, response: Any) -> None:
        if response.url.endswith("/ask"):
            self.talk.append((json.loads(response.request.post_data), response))

    def last(self, *asks: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was asked last, of these, and the answer."""
        request, response = next(one for one in reversed(self.talk) if one[0]["ask"] in asks)
        return request, response.json()

    def wait(self) -> None:
        self.page.wait_for_selector("main[aria-busy=false]")

    def click(self, *selectors: str) -> None:
        for one in selectors:
            self.page.click(one, force=True)  # also where a button says that it has nothing to do
            self.wait()

    def choose(self, selector: str, value: str) -> None:
        self.page.select_option(selector, value)
        self.wait()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.wait()

    def said(self, where: str = "said") -> str:
        return str(self.page.inner_text(f"#{where}"))

    def next(self) -> None:
        """Go on to the next step, which has to be earned."""
        assert "done" in self.page.get_attribute("#lesson-hint", "class"), self.said("lesson-title")
        self.click("#lesson-next")

    def at(self, x: float, y: float) -> None:
        """Put the pointer at shares of the plane's width and height."""
        plane = self.page.locator("#plane")
        plane.scroll_into_view_if_needed()
        box = plane.bounding_box()
        plane.hover(position={"x": x * box["width"], "y": y * box["height"]})

    def until(self, script: str) -> None:
        """Wait until this is so (the page lets nobody evaluate text, Playwright's own waiting included)."""
        for _ in range(400):
            if self.page.evaluate(script):
                return
            self.page.wait_for_timeout(25)
        pytest.fail(f"never so: {script}")


@pytest.fixture
def reading(served: server.Server, browser: Any) -> Iterator[Any]:
    """A function that opens the page, as ``visiting`` does, for a Reader."""
    opened = []

    def read(query: str = "?lang=en", **context: Any) -> Reader:
        visit = visiting(browser, served.address + query, **{"reduced_motion": "reduce", **context})
        opened.append(visit)
        return Reader(visit.__enter__().page)

    yield read
    for one in reversed(opened):
        one.__exit__(None, None, None)  # which asserts that nothing was on the console


def sideways(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def number(text: str) -> float:
    """A number as the page writes it."""
    power = str.maketrans("\u207b⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return float(re.sub("\u00d710(.+)", lambda found: "e" + found[1].translate(power), text).replace("\u2212", "-"))


GROUPS = [(0.3, 0.6), (0.33, 0.66), (0.27, 0.68), (0.35, 0.7), (0.7, 0.3), (0.74, 0.34), (0.67, 0.36), (0.76, 0.27)]


def test_the_first_lesson_by_mouse(reading: Any) -> None:
    reader = reading()
    page = reader.page
    # Nothing is done for the reader: Next says what is missing.
    reader.click("#lesson-next")
    assert reader.said("lesson-place") == "Step 1 of 10"
    assert reader.said("lesson-hint").startswith("Not yet: click into the plane")
    for step, (x, y) in enumerate(GROUPS):
        reader.at(x, y)
        page.mouse.down()
        page.mouse.up()
        reader.wait()
        if step == 0:
            reader.next()
    assert page.locator("#plane [data-point]").count() == 8
    reader.next()
    reader.choose("#k", "2")
    reader.next()
    reader.click("#m-step")
    assert "press Start" in reader.said()
    reader.click("#begin")
    reader.next()
    reader.click("#m-step")
    assert "press E first" in reader.said()
    fills = page.eval_on_selector_all("#plane .dot", "all => all.map((one) => one.style.fill)")
    assert set(fills) == {""}
    reader.click("#e-step")
    fills = page.eval_on_selector_all("#plane .dot", "all => all.map((one) => one.style.fill)")
    assert len(set(fills)) > 1
    reader.next()
    reader.at(0.5, 0.5)
    page.wait_for_selector("#lesson-hint.done", state="attached")
    reader.next()
    before = page.get_attribute("[data-spread='0']", "d")
    reader.click("#m-step")
    assert page.get_attribute("[data-spread='0']", "d") != before
    found = re.search(r"rose from (\S+) to (\S+), a gain of (\S+) nats", reader.said())
    assert found
    gain = number(found[2]) - number(found[1])
    assert gain > 0
    assert number(found[3]) == pytest.approx(gain, abs=2e-3)
    reader.next()
    reader.click(*["#em-step"] * 3)
    reader.next()
    reader.click("#run")
    assert reader.said().startswith("Converged.")
    reader.next()
    assert reader.said("lesson-place") == "Step 10 of 10"
    assert reader.said("lesson-next") == "Next lesson"
    # The curve is that of the server, and never falls.
    request, answered = reader.last("run")
    assert answered["passes"][-1]["loglik"] >= answered["passes"][0]["loglik"]
    assert len(request["points"]) == 8
    # And all the way back: the model before the first M-step is the start again.
    for _ in range(400):
        if page.get_attribute("#back", "aria-disabled") == "true":
            break
        reader.click("#back")
    assert page.get_attribute("[data-spread='0']", "d") == before


def test_the_first_lesson_by_keyboard_alone(reading: Any) -> None:
    reader: Reader = reading()
    page = reader.page

    def go_to(selector: str) -> None:
        for _ in range(80):
            if page.evaluate(f"document.activeElement === document.querySelector({json.dumps(selector)})"):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"Tab never comes to {selector}")

    def next_() -> None:
        page.wait_for_selector("#lesson-hint.done", state="attached")
        step = reader.said("lesson-place")
        go_to("#lesson-next")
        reader.keys("Enter")
        assert reader.said("lesson-place") != step

    go_to("#plane")
    reader.keys("Enter")
    next_()
    go_to("#plane")
    reader.keys(*["ArrowLeft", "Enter"] * 4, *["ArrowUp"] * 12, *["ArrowRight", "Enter"] * 3)
    assert page.locator("#plane [data-point]").count() == 8
    # A point is taken, moved and let go; another one is removed, and is there again.
    reader.keys("g", "ArrowUp", "ArrowUp", "Enter", "Delete")
    assert page.locator("#plane [data-point]").count() == 7
    go_to("#undo")
    reader.keys("Enter")
    assert page.locator("#plane [data-point]").count() == 8
    next_()
    go_to("#k")
    reader.keys("ArrowDown")
    next_()
    go_to("#begin")
    reader.keys("Enter")
    next_()
    go_to("#e-step")
    reader.keys("Enter")
    next_()
    go_to("#plane")
    reader.keys("PageDown", "PageDown")
    reader.until("document.querySelector('#spoken').textContent.startsWith('Point 2 of 8 at')")
    assert reader.said("bayes-at").startswith("At point 2, x = ")
    next_()
    go_to("#m-step")
    reader.keys("Enter")
    next_()
    go_to("#em-step")
    reader.keys("Enter", "Enter", "Enter")
    next_()
    go_to("#run")
    reader.keys("Enter")
    next_()
    # A mean is moved by keys.
    go_to("#plane")
    reader.keys("2", "g", "ArrowLeft", "ArrowLeft", "Enter")
    request, _ = reader.last("move")
    assert request["component"] == 1
    assert request["to"][0] == pytest.approx(request["model"]["means"][1][0] - 0.5, abs=0.01)
    assert reader.said().startswith("Mean 2 is at")


DEEDS: dict[str, list[list[str]]] = {
    "bad": [
        ["#e-step"],
        ["#run"],
        ["mean", "#run"],
        ["#run"],
        ["#start=k-means++", "#begin", "#run"],
        [],
    ],
    "collapse": [
        ["#run"],
        ["#narrow"],
        ["[data-rule=rescue]", "[data-rule=drop]", "[data-rule=raise]"],
        ["#k=2", "#begin", "#run"],
        ["#run"],
        [],
    ],
    "kmeans": [
        ["#with-kmeans"],
        ["#begin", "#run"],
        ["#begin", "#run"],
        ["#family=EII", "#begin", "#run"],
        ["#begin", "#run"],
        [],
    ],
}
"""What each step of a lesson asks for."""


def moved_by_finger(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Put a finger down, move it bit by bit, and lift it."""
    devices = page.context.new_cdp_session(page)
    way = [
        [{"x": x, "y": y}]
        for x, y in zip(*(np.linspace(*ends, 8).tolist() for ends in zip(start, end, strict=True)), strict=True)
    ]
    for kind, points in (("touchStart", way[0]), *(("touchMove", one) for one in way[1:]), ("touchEnd", [])):
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(20)
    devices.detach()


@pytest.mark.slow
@pytest.mark.parametrize(("way", "language"), [("mouse", "en"), ("touch", "ja"), ("keys", "ja"), ("keys", "en")])
def test_every_other_lesson_to_its_end(reading: Any, way: str, language: str) -> None:
    touch = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if way == "touch" else {}
    reader = reading(f"?lang={language}", **touch)
    page = reader.page

    def press(selector: str) -> None:
        if way == "keys":
            page.focus(selector)
            page.keyboard.press(" ")
        else:
            getattr(page.locator(selector), "tap" if way == "touch" else "click")()
        reader.wait()

    def move_a_mean() -> None:
        if way == "keys":
            page.focus("#plane")
            reader.keys("3", "g", "ArrowLeft", "ArrowUp", "Enter")
        else:
            page.locator("#plane").scroll_into_view_if_needed()
            mean, plane = (page.locator(one).bounding_box() for one in ("[data-mean='2'] circle", "#plane"))
            start = (mean["x"] + 9, mean["y"] + 9)
            end = (plane["x"] + plane["width"] / 4, plane["y"] + plane["height"] / 4)
            if way == "touch":
                moved_by_finger(page, start, end)
                # The first tap after such a finger, which no hand has, may be lost on the browser.
                page.locator("#em-title").tap()
            else:
                page.mouse.move(*start)
                page.mouse.down()
                page.mouse.move(*end)
                page.mouse.up()
        reader.wait()
        assert reader.last("move")[0]["component"] == 2

    for lesson, steps in DEEDS.items():
        press(f"[data-lesson={lesson}]")
        for step, deeds in enumerate(steps):
            assert reader.said("lesson-place") == words(language)["lesson.place"].format(step=step + 1, of=len(steps))
            for deed in deeds:
                assert page.get_attribute("#lesson-hint", "class") == "", (lesson, step, deed)
                selector, _, value = deed.partition("=") if deed.startswith("#") else (deed, "", "")
                if value:
                    reader.choose(selector, value)
                elif deed == "mean":
                    move_a_mean()
                else:
                    press(selector)
            if deeds:
                assert page.get_attribute("#lesson-hint", "class") == "done", (lesson, step)
            press("#lesson-next")
    # The last lesson leads to free play.
    assert page.get_attribute("[data-lesson=free]", "aria-current") == "true"
    assert not page.is_visible("#lesson-next")


def test_what_a_lesson_asks_for_counts_in_its_order_only(reading: Any) -> None:
    reader = reading("?lang=en&lesson=kmeans")
    page = reader.page
    page.check("#with-kmeans")
    reader.wait()
    reader.next()
    reader.click("#begin", "#run", "#begin")  # the run was of the model before
    assert page.get_attribute("#lesson-hint", "class") == ""
    reader.click("#run")
    # A double click goes on by one step.
    page.dblclick("#lesson-next")
    reader.wait()
    assert reader.said("lesson-place") == "Step 3 of 6"
    reader.click("#lesson-back", "#lesson-back", "#lesson-back")
    assert reader.said("lesson-place") == "Step 1 of 6"


def test_whatever_is_chosen_in_the_middle_of_a_run_ends_it(reading: Any) -> None:
    reader = reading(reduced_motion="no-preference")
    page = reader.page
    for selector, value in (("#k", "4"), ("#family", "EVE"), ("#set", "two")):
        reader.choose("#set", "overlap")
        reader.choose("#k", "3")
        reader.click("#begin")
        page.dblclick("#run")  # of which the second click stops nothing
        reader.until("document.querySelectorAll('.curve-dot').length > 2")
        reader.choose(selector, value)
        assert reader.said("run") == "Run to convergence"
        assert page.locator("[data-mean]").count() == 0
        reader.click("#begin")
        assert reader.said().startswith("Start with K = ")
        reader.click("#em-step")
        assert reader.said().startswith("M-step: ")


def test_a_mean_that_is_held_goes_with_its_model(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "two")
    reader.choose("#k", "2")
    reader.click("#begin")
    reader.page.focus("#plane")
    reader.keys("2", "g", "ArrowLeft")
    reader.choose("#k", "1")
    reader.page.focus("#plane")
    reader.keys("ArrowLeft", "Enter")  # and so this puts a point
    assert reader.said().startswith("Point 81 at")


def test_a_press_that_ends_outside_of_the_plane_is_over(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "two")
    reader.click("#begin")
    reader.at(0.5, 0.5)
    reader.page.mouse.down()
    reader.page.mouse.move(5, 5)
    reader.page.mouse.up()
    reader.at(0.3, 0.7)
    reader.until("document.querySelector('#bayes-at').textContent.startsWith('At ')")
    before = reader.said("bayes-at")
    reader.at(0.8, 0.2)
    reader.until(f"document.querySelector('#bayes-at').textContent !== {json.dumps(before)}")
    assert reader.page.locator("#plane [data-point]").count() == 80


def test_undo_leads_to_another_plane_without_the_model(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "two")
    reader.choose("#set", "faithful")
    reader.choose("#k", "2")
    reader.click("#begin", "#undo")
    assert reader.page.locator("#plane [data-point]").count() == 80
    assert reader.page.locator("[data-mean]").count() == 0
    reader.click("#undo", "#undo")  # as often as there is anything, and once more
    assert reader.page.get_attribute("#undo", "aria-disabled") == "true"
    assert "nothing to undo" in reader.said()


def test_no_two_of_twelve_components_look_alike(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "overlap")
    reader.choose("#k", "12")
    reader.click("#begin")
    symbols = reader.page.eval_on_selector_all("#states .dot", "all => all.map((one) => one.getAttribute('d'))")
    assert len(set(symbols)) == 12


def test_a_low_window_shows_the_whole_plane(reading: Any) -> None:
    page = reading(viewport={"width": 740, "height": 360}).page
    assert page.locator("#plane").bounding_box()["height"] < 300
    page.set_viewport_size({"width": 740, "height": 1000})
    page.wait_for_timeout(200)
    assert page.locator("#plane").bounding_box()["height"] > 500


def test_what_is_chosen_shows_where_colours_are_forced(reading: Any) -> None:
    page = reading(forced_colors="active").page
    ground = "(one) => getComputedStyle(one).backgroundColor"
    assert page.eval_on_selector("#to-en", ground) != page.eval_on_selector("#to-ja", ground)


def test_the_numbers_under_the_pointer_are_those_of_scipy(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "overlap")
    reader.choose("#k", "3")
    reader.click("#begin", "#em-step", "#em-step")
    for x, y in ((0.5, 0.45), (0.2, 0.8), (0.97, 0.03)):
        reader.at(x, y)
        reader.page.wait_for_timeout(300)
        request, _ = reader.last("look")
        joint = log_joint(request["model"], np.array([request["at"]]))[0]
        m = Mixture.from_dict(request["model"])
        shares = np.exp(joint - logsumexp(joint))
        table = reader.page.eval_on_selector_all(
            "#bayes tbody tr", "all => all.map((one) => [...one.children].map((cell) => cell.innerText.trim()))"
        )
        assert len(table) == 3
        for k, (name, weight, distance, density, product, share) in enumerate(table):
            assert name == str(k + 1)
            assert number(weight) == pytest.approx(m.weights[k], abs=6e-4)
            expected = mahalanobis(request["at"], m.means[k], np.linalg.inv(m.covariances[k]))
            assert number(distance) == pytest.approx(expected, rel=6e-3)
            assert number(density) == pytest.approx(np.exp(joint[k]) / m.weights[k], rel=6e-3)
            assert number(product) == pytest.approx(np.exp(joint[k]), rel=6e-3)
            assert number(share) == pytest.approx(shares[k], abs=6e-5)
        foot = reader.page.locator("#bayes tfoot tr").inner_text().split()
        assert number(foot[-2]) == pytest.approx(np.exp(logsumexp(joint)), rel=6e-3)


def test_the_numbers_of_the_m_step_are_those_of_numpy(reading: Any) -> None:
    reader = reading()
    reader.choose("#set", "faithful")
    reader.choose("#k", "2")
    reader.click("#begin", "#e-step")
    reader.page.select_option("#component", index=1)
    request, found = reader.last("share")
    x, r = np.array(request["points"]), np.array(found["responsibilities"])[:, 1]
    lines = reader.page.locator("#m-numbers p").all_inner_texts()
    assert number(re.findall(r"= (\S+) points", lines[0])[0]) == pytest.approx(r.sum(), rel=1e-3)
    assert number(lines[1].split("= ")[-1]) == pytest.approx(r.sum() / 272, abs=1e-4)
    means = [number(one.strip("(),")) for one in lines[2].split("= ")[-1].split()]
    assert means == pytest.approx(r @ x / r.sum(), rel=1e-3)


def test_a_run_is_shown_pass_by_pass_and_can_be_stopped(reading: Any) -> None:
    reader = reading(reduced_motion="no-preference")
    page = reader.page
    reader.choose("#set", "overlap")
    reader.choose("#k", "3")
    reader.click("#begin")
    page.click("#run")
    reader.until("document.querySelector('#run').textContent === 'Stop'")
    reader.until("/^Passes: [2-9]/.test(document.querySelector('#curve-said').textContent)")
    page.click("#run")
    reader.wait()
    assert reader.said().startswith("Stopped.")
    reader.click("#run")
    assert reader.said().startswith("Converged.")


def test_a_mean_is_dragged(reading: Any) -> None:
    reader = reading("?lang=en&lesson=bad")
    page = reader.page
    page.locator("#plane").scroll_into_view_if_needed()
    mean = page.locator("#plane [data-mean='3'] circle").bounding_box()
    page.mouse.move(mean["x"] + 5, mean["y"] + 5)
    page.mouse.down()
    reader.at(0.25, 0.25)
    page.mouse.up()
    reader.wait()
    request, found = reader.last("move")
    assert request["component"] == 3
    assert found["view"][3]["mean"] == pytest.approx(request["to"])
    assert found["view"][3]["mean"][0] < 3 < 5 < found["view"][3]["mean"][1]


def test_a_touch_adds_looks_and_removes(reading: Any) -> None:
    reader = reading(viewport=PHONE, has_touch=True, is_mobile=True)
    page = reader.page

    def tap(x: float, y: float) -> None:
        page.locator("#plane").scroll_into_view_if_needed()
        box = page.locator("#plane").bounding_box()
        page.touchscreen.tap(box["x"] + x * box["width"], box["y"] + y * box["height"])
        reader.wait()

    tap(0.4, 0.4)
    tap(0.7, 0.6)
    assert page.locator("#plane [data-point]").count() == 2
    reader.click("#begin")
    page.check("[value=look]")
    tap(0.5, 0.5)
    page.wait_for_selector("#bayes tbody tr")
    assert page.locator("#plane [data-point]").count() == 2
    page.check("[value=remove]")
    tap(0.4, 0.4)
    assert page.locator("#plane [data-point]").count() == 1


LESSON_WORDS = """() => {
  const out = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.closest("script, noscript, .languages")) out.push(walk.currentNode.textContent);
  }
  for (const one of document.querySelectorAll("[aria-label], [label]")) {
    out.push(one.getAttribute("aria-label") ?? one.getAttribute("label"));
  }
  return out.join("\\n");
}"""


def do_everything(reader: Reader) -> Iterator[str]:
    """Every lesson from end to end, and all that is written on the page at each of its stations."""
    page = reader.page

    def read() -> str:
        return str(page.evaluate(LESSON_WORDS))

    reader.click("#undo", "#back", "#e-step", "#begin")
    yield read()
    for lesson in ("bad", "collapse", "kmeans"):
        reader.click(f"[data-lesson={lesson}]", "#lesson-next")
        yield read()
        page.check("#with-kmeans")
        reader.wait()
        reader.click("#begin", "#m-step", "#e-step", "#m-step")
        yield read()
        reader.click("#em-step", "#em-step", "#em-step", "#em-step", "#em-step", "#narrow")
        yield read()
        reader.at(0.5, 0.5)
        page.wait_for_timeout(150)
        reader.click("#run", "[data-rule=rescue]", "[data-rule=drop]", "[data-rule=raise]")
        yield read()
        page.uncheck("#with-kmeans")
        reader.wait()
    page.focus("#plane")
    reader.keys("PageDown", "g", "ArrowLeft", "Enter", "1", "g", "ArrowLeft", "Enter", "Delete")
    yield read()
    reader.choose("#family", "VEI")
    yield read()
    reader.click("#clear", "[data-lesson=free]")
    yield read()


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_of_the_other_language_is_on_the_page(reading: Any, language: str) -> None:
    reader = reading(f"?lang={language}")
    own = " ".join(words(language).values())
    names = {*ALIASES, *FAMILIES, *ON_DEGENERATE}
    latin = set(re.findall(r"[A-Za-z]{2,}", own)) | names
    for text in do_everything(reader):
        assert "{" not in text
        assert "undefined" not in text
        assert "NaN" not in text
        if language == "en":
            assert re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", text) == []
        else:
            assert set(re.findall(r"[A-Za-z]{2,}", text)) <= latin
            english = [one for key, one in words("en").items() if one != words("ja")[key] and len(one) > 3]
            assert [one for one in english if one in text.split("\n")] == []


def test_the_language_changes_at_once_and_is_remembered(reading: Any) -> None:
    reader = reading("?lang=en&lesson=bad")
    page = reader.page
    reader.click("#e-step", "#run")
    assert reader.said().startswith("Converged.")
    page.click("#to-ja")
    page.wait_for_selector("html[lang=ja]")
    assert reader.said().startswith("収束しました")
    assert page.url.endswith("?lang=ja&lesson=bad")
    assert page.get_attribute("#to-ja", "aria-pressed") == "true"
    assert page.title() == words("ja")["title"]
    page.reload()
    page.wait_for_selector("html[lang=ja] #lesson-title:not(:empty)")
    assert page.inner_text("#lesson-title") == words("ja")["lesson.bad.1.title"]
    page.click("#to-en")
    page.wait_for_selector("html[lang=en]")
    assert page.inner_text("#lesson-title") == words("en")["lesson.bad.1.title"]


def test_the_browsers_language_counts_where_nobody_chose(reading: Any) -> None:
    assert reading("", locale="ja-JP").page.evaluate("document.documentElement.lang") == "ja"
    assert reading("", locale="de-DE").page.evaluate("document.documentElement.lang") == "en"


def test_the_language_of_the_command_counts_before_the_browsers(reading: Any, served: server.Server) -> None:
    served.language = "ja"
    try:
        assert reading("", locale="en-US").page.evaluate("document.documentElement.lang") == "ja"
    finally:
        served.language = None


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_narrow_screen_has_no_sideways_scroll(reading: Any, language: str) -> None:
    reader = reading(f"?lang={language}", viewport=PHONE)
    for lesson in ("bad", "collapse", "kmeans", "first"):
        reader.click(f"[data-lesson={lesson}]")
        assert sideways(reader.page) == 0
    reader.choose("#set", "overlap")
    reader.choose("#k", "12")
    reader.page.check("#with-kmeans")
    reader.click("#begin", "#em-step", "#narrow", "[data-rule=rescue]")
    reader.at(0.5, 0.5)
    reader.page.click("#keys-details summary")
    reader.page.click(".m summary")
    assert sideways(reader.page) == 0
    # Letters in the drawing are not scaled down with it.
    assert reader.page.locator("#plane text").first.bounding_box()["height"] > 10


CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const bright = ([r, g, b]) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const out = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const element = walk.currentNode.parentElement;
    if (!text || element.closest("noscript, option, .dots") || !element.checkVisibility()) continue;
    let behind = element, ground = null;
    while (behind && !ground) {
      const own = parse(getComputedStyle(behind).backgroundColor);
      if (own.length === 3 || own[3] > 0) ground = own;
      behind = behind.parentElement;
    }
    const style = getComputedStyle(element);
    const svg = element.namespaceURI.endsWith("svg");
    const disk = svg && element.parentElement.matches(".mean") && element.parentElement.querySelector("circle");
    const ink = bright(parse(svg ? style.fill : style.color));
    const paper = bright(disk && element.className.baseVal !== "alarm" ? parse(getComputedStyle(disk).fill) : ground);
    out.push([(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), text.slice(0, 40)]);
  }
  return out;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_letter_has_contrast(reading: Any, scheme: str) -> None:
    reader = reading(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    first = reader.page.evaluate(CONTRASTS)
    reader.choose("#set", "four")
    reader.choose("#k", "12")
    reader.page.check("#with-kmeans")
    reader.click("#begin", "#em-step", "#narrow", "[data-rule=rescue]")
    reader.at(0.4, 0.4)
    reader.page.wait_for_selector("#bayes tbody tr")
    found = [*first, *reader.page.evaluate(CONTRASTS)]
    assert len(found) > 150
    assert [one for one in found if one[0] < 4.5] == []


def test_everything_has_a_name_and_a_place_in_the_keyboards_order(reading: Any) -> None:
    page = reading().page
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, select, input, svg[role], [role=group]")]
        .filter((one) => !one.ariaLabel && !one.labels?.length && !one.textContent.trim()
            && !(one.getAttribute("aria-labelledby") && document.getElementById(one.getAttribute("aria-labelledby"))))
        .map((one) => one.outerHTML)""")
    assert nameless == []
    assert page.locator("[role=status]").count() >= 4
    small = page.evaluate("""() => [...document.querySelectorAll("button, select")]
        .filter((one) => one.checkVisibility())
        .map((one) => one.getBoundingClientRect().height).filter((height) => height < 36)""")
    assert small == []


def test_a_server_that_is_gone_is_said(browser: Any) -> None:
    here = server.Server(0)
    thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    context = browser.new_context(locale="ja-JP", reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(here.address)
        page.wait_for_selector("#lesson-title:not(:empty)")
        page.wait_for_selector("main[aria-busy=false]")
        page.route("**/ask", lambda route: route.abort())
        page.select_option("#set", "two")
        page.wait_for_selector("#said:has-text('応答しません')")
        # When there is one again all goes on, also after a run that it broke off.
        for asks in ("**/nothing", "**/ask"):
            page.unroute("**/ask")
            page.select_option("#set", "two")
            page.click("#begin")
            page.wait_for_selector("[data-mean]")
            page.wait_for_selector("main[aria-busy=false]")
            page.route(asks, lambda route: route.abort())
            page.click("#run")
            page.wait_for_selector("main[aria-busy=false]")
            assert page.inner_text("#run") == words("ja")["em.run"]
        assert "応答しません" in page.inner_text("#said")
    finally:
        context.close()
        here.shutdown()
        here.server_close()
        thread.join()
