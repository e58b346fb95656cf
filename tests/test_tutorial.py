"""The tutorial says what its cells compute: they run once, and its claims are held against what they left."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Theirs

from mixtura import GaussianMixture

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "tutorial.md", DOCS / "tutorial_ja.md"]
CELL = re.compile(r"^```\{code-cell\} python\n(?:^:[^\n]*\n)*(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
TOLD = re.compile(r"\{glue:text\}`(\w+):([^`]*)`")


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the cells leave behind, and under ``told`` the values that they hand to the sentences."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("pandas")
    pyplot.switch_backend("Agg")
    told: dict[str, Any] = {}
    recorder = ModuleType("myst_nb")
    recorder.glue = lambda name, value, display=True: told.update({name: value})  # type: ignore[attr-defined]
    namespace: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, pyplot.rc_context():
        patch.setitem(sys.modules, "myst_nb", recorder)
        for cell in CELL.findall(PAGES[0].read_text(encoding="utf-8")):
            exec(compile(cell, "tutorial.md", "exec"), namespace)
            pyplot.close("all")
    return namespace | {"told": told}


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_sentences_name_values_that_cells_hand_over(page, path):
    text = path.read_text(encoding="utf-8")
    named = TOLD.findall(text)
    assert {name for name, _ in named} == set(page["told"])
    assert text.count("{glue:text}") == len(named)
    for name, form in named:
        assert np.isfinite(float(format(page["told"][name], form))), name


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_no_result_is_typed_in(path):
    text = CELL.sub("", path.read_text(encoding="utf-8"))
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", "", text, flags=re.DOTALL)
    # The half nat within which a run counts as having reached the top is not a result.
    assert set(re.findall(r"\d+\.\d+", text)) <= {"0.5"}


def test_both_languages_have_the_same_sections_and_formulas():
    def shape(path: Path) -> tuple[list[str], list[str]]:
        text = CELL.sub("", path.read_text(encoding="utf-8"))
        formulas = re.findall(r"^\$\$\n(.*?)\n\$\$$", text, flags=re.MULTILINE | re.DOTALL)
        return re.findall(r"^#+ (?:\d\.)?", text, flags=re.MULTILINE), [one.rstrip(",.") for one in formulas]

    assert shape(PAGES[0]) == shape(PAGES[1])


def test_parameters_are_counted_as_the_library_counts_them(page):
    assert (page["free"]["formula"] == page["free"]["full"]).all()


def test_the_log_likelihood_is_that_of_scikit_learn(page):
    for theta in (page["guess"], page["lazy"]):
        theirs = Theirs(2, covariance_type="full")
        theirs.weights_, theirs.means_, theirs.covariances_ = theta
        theirs.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(theta[2]))
        assert np.isclose(page["log_density"](page["X"], *theta).sum(), theirs.score(page["X"]) * page["N"], rtol=1e-12)
        assert np.allclose(page["responsibilities"](page["X"], *theta), theirs.predict_proba(page["X"]))


def test_the_far_row_underflows_without_log_sum_exp(page):
    assert page["plain"] == -np.inf
    assert np.isclose(page["by_hand"], np.log(np.exp(page["a"]).sum()))


def test_where_the_densities_tie_responsibilities_are_the_weights(page):
    assert np.allclose(page["responsibilities"](page["tie"][None, :], *page["guess"]), [page["weights"]])


def test_q_is_the_mean_over_drawn_labels(page):
    error = page["drawn"].std() / np.sqrt(len(page["drawn"]))
    assert abs(page["drawn"].mean() - page["told"]["Q_old"]) < 4 * error


def test_the_multiplier_of_the_optimiser_is_the_number_of_rows(page):
    assert page["multiplier"] == pytest.approx(page["N"], rel=1e-5)
    assert page["told"]["higher"] == 0


def test_a_step_of_the_means_is_a_scaled_gradient(page):
    guess_pi, guess_mu, guess_sigma = page["guess"]
    assert np.allclose(page["new"][1] - guess_mu, page["predicted"], atol=2e-4)

    def loglik(flat: np.ndarray) -> float:
        return float(page["log_density"](page["X"], guess_pi, flat.reshape(2, 2), guess_sigma).sum())

    def gradient(flat: np.ndarray) -> np.ndarray:
        moved = page["responsibilities"](page["X"], guess_pi, flat.reshape(2, 2), guess_sigma)
        away = page["X"][:, None, :] - flat.reshape(2, 2)
        return np.concatenate([np.linalg.solve(guess_sigma[k], moved[:, k] @ away[:, k]) for k in range(2)])

    assert check_grad(loglik, gradient, guess_mu.ravel()) < 1e-2
    reached = page["climbed"]
    assert all(reached["EM"] > value for rate, value in reached.items() if rate != "EM")


def test_bounds_touch_the_curve_and_stay_below_it(page):
    assert page["told"]["identity"] < 1e-9
    assert (page["bounds"] <= page["curve"] + 1e-9).all()
    for m in page["ms"][:3]:
        assert np.isclose(page["bound_at"](m, m), page["loglik_at"](m), rtol=1e-12)
        slopes = [
            (f(m + 1e-4) - f(m - 1e-4)) / 2e-4 for f in (page["loglik_at"], lambda x, m=m: page["bound_at"](x, m))
        ]
        assert np.isclose(*slopes, rtol=1e-5)
    assert (np.diff([page["loglik_at"](m) for m in page["ms"]]) > -1e-9).all()
    assert page["one_pass"].loc["new", "log-likelihood"] > page["one_pass"].loc["old", "log-likelihood"]


def test_the_forty_lines_do_what_the_library_does(page):
    gm, (weights, means, covariances) = page["gm"], page["path"][-1]
    assert gm.n_iter_ == len(page["history"]) - 1
    assert np.allclose(gm.weights_, weights, rtol=1e-12, atol=0)
    assert np.allclose(gm.means_, means, rtol=1e-12, atol=0)
    assert np.allclose(gm.covariances_, covariances, rtol=1e-12, atol=0)
    assert np.allclose(gm.log_likelihood_history_, page["history"], rtol=1e-12, atol=0)
    (lines,) = [cell for cell in CELL.findall(PAGES[0].read_text(encoding="utf-8")) if "def em(" in cell]
    assert len([line for line in lines.splitlines() if line]) <= 40
    assert (np.diff(page["history"]) > 0).all()


def test_equal_components_stay_equal(page):
    X, middle = page["X"], page["X"].mean(axis=0)
    alike = np.array([0.3, 0.7]), np.array([middle + 1, middle + 1]), np.array([page["everything"]] * 2)
    path, _ = page["em"](X, alike)
    assert np.allclose(path[-1][1][0], path[-1][1][1], rtol=1e-12)


def test_k_means_is_the_limit_and_only_the_limit(page):
    limit = page["limit"]
    assert (np.diff(limit["centres apart"]) <= 0).all()
    assert limit["centres apart"].iloc[0] > 0.1
    assert limit["centres apart"].iloc[-1] < 1e-9
    assert limit["labels differ"].iloc[-1] == 0
    # What a fixed spread of one leads to in the library, from the same start.
    soft = GaussianMixture(
        3,
        covariance_type="spherical",
        means_init=page["P"][np.random.default_rng(0).choice(len(page["P"]), 3, replace=False)],
        covariances_init=np.ones(3),
        mixing="equal",
        fixed={"covariances": True},
        tol=1e-9,
    ).fit(page["P"])
    ours = np.empty((3, 2))
    for _ in range(2000):
        _, ours = page["soft_pass"](page["P"], soft.means_, 1.0)
    assert np.allclose(ours, soft.means_, atol=1e-4)


def test_k_means_misleads_where_the_page_says_so(page):
    rand = page["rand"]
    assert rand.loc["round and equal"].min() > 0.9
    for name in ("unequal sizes", "elongated", "different spreads"):
        assert rand.loc[name, "mixture"] > rand.loc[name, "k-means"] + 0.3
        _, truth = page["sets"][name]
        assert adjusted_rand_score(truth, page["guesses"][name][1]) == pytest.approx(
            rand.loc[name, "mixture"], abs=0.005
        )


def test_one_far_row_destroys_the_naive_pass_only(page):
    assert np.isnan(page["naive_means"]).all()
    assert np.isnan(page["e_step"](page["furthest"][:1], *page["path"][-1])[0]).sum() == 0
    probability = page["gm"].predict_proba(page["furthest"])
    assert np.isfinite(probability).all()
    assert np.allclose(probability.sum(axis=1), 1)
    assert page["told"]["typo_label"] == -1
    assert page["told"]["background_rows"] == 1


def test_a_spike_gains_without_end(page):
    first, second = (page["e_step"](page["X"], *page["spike"](s))[1] for s in (1e-60, 1e-61))
    assert second - first == pytest.approx(page["told"]["per_decade"])
    pi, mu, Sigma = page["spike"](1e-3)
    densities = [multivariate_normal.pdf(page["X"], mu[k], Sigma[k]) for k in range(2)]
    assert page["e_step"](page["X"], pi, mu, Sigma)[1] == pytest.approx(np.log(pi @ densities).sum())
    assert len(page["said"]) == 1
    assert [one["state"] for one in page["spiky"].diagnostics_] == ["tied", "ok"]
    assert {one["state"] for one in page["usual"].diagnostics_} == {"ok"}


def test_the_library_finds_the_best_hill(page):
    assert page["best"].loglik_ > page["logliks"].max() - 1e-2
    assert page["best"].loglik_ > page["logliks"].min() + 10
    assert 0 < page["told"]["at_the_top"] < page["told"]["starts"] - page["told"]["died"]


def test_the_mean_rule_stops_too_early(page):
    left = page["stops"]["nats below the top"]
    assert left["our EM, mean rule"] > 5
    assert left["scikit-learn"] > 5
    assert abs(left["our EM, five passes"]) < 0.1
    assert abs(left["mixtura"]) < 1e-3
    assert page["told"]["plateau_left"] > 100
    top = Theirs(2, n_init=3, tol=1e-9, max_iter=5000, random_state=0).fit(page["C"])
    assert abs(top.weights_.min() - page["told"]["our_weight"]) < abs(
        top.weights_.min() - page["told"]["sklearn_weight"]
    )


def test_units_change_the_answer_only_where_1e_6_is_added(page):
    units = page["units"]["narrowest sd (m)"]
    assert units["scikit-learn", "kilometres"] > 2 * units["scikit-learn", "metres"]
    assert units["mixtura", "kilometres"] == pytest.approx(units["mixtura", "metres"], rel=1e-9)
