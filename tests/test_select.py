"""Model choice: against mclust's frozen table, scikit-learn's criteria, and rows held out by hand."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import entr
from sklearn.mixture import GaussianMixture as Theirs
from sklearn.model_selection import KFold

from cases import ALIASES, FAMILIES, TOLD, blobs, told
from mixtura import EigenvalueRatio, GaussianMixture, Selection, frames, grid, select
from mixtura.select import FOLDS
from refusing import refused
from test_frozen import frozen

CRITERIA = ("bic", "icl", "icl_entropy", "aic")

FEW_ROWS = ("eurounemployment",)
"""31 rows: mclust chooses six components, one with fewer rows than its covariance has axes: starved, to us."""


def rows(name):
    try:
        return np.array(frozen(name)["x"])
    except FileNotFoundError:
        return np.array(frozen("families")[name]["x"])


def chosen(*arguments, **named):
    named.setdefault("random_state", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return select(*arguments, **named)


def by_cell(selection):
    return {(one["covariance_type"], one["n_components"]): one for one in selection.records}


@pytest.fixture(scope="module")
def plain():
    """Three overlapping Gaussians, all families."""
    return chosen(blobs(200, 2), range(1, 6))


# beside mclust ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(frozen("selection")))
def test_as_good_as_mclust(name):
    theirs = frozen("selection")[name]
    X = rows(name)
    selection = chosen(X, theirs["G"], list(theirs["loglik"]))
    ours = by_cell(selection)
    compared = [
        ours[model, k]["loglik"] - loglik
        for model, values in theirs["loglik"].items()
        for k, loglik in zip(theirs["G"], values, strict=True)
        if loglik is not None and ours[model, k]["status"] == "ok"
    ]
    # The path of a fit depends on how a processor rounds: a few cells end here or there.
    assert np.mean(np.array(compared) > -1e-3) > (0.9 if len(compared) > 50 else 0.8)
    best = theirs["best"]
    assert ours[best["model"], best["G"]]["df"] == best["df"]
    if name not in FEW_ROWS:
        assert selection.ranked[0]["bic"] <= -best["bic"] + 2e-3


def test_mclust_s_cells_that_fail_are_rows_with_a_reason():
    theirs = frozen("selection")["iris"]
    ours = by_cell(chosen(rows("iris"), theirs["G"]))
    for model, values in theirs["loglik"].items():
        for k, loglik in zip(theirs["G"], values, strict=True):
            one = ours[model, k]
            assert one["status"] == "ok" or one["reason"]
            assert math.isfinite(one["loglik"]) == (one["status"] == "ok")
            assert loglik is not None or one["status"] in ("ok", "collapsed")


# the numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALIASES)
def test_criteria_are_those_of_scikit_learn(kind):
    X = blobs(150, 3)
    selection = chosen(X, [3], kind)
    best = selection.best_
    theirs = Theirs(3, covariance_type=kind, max_iter=1, reg_covar=0, tol=1e9)
    theirs.weights_, theirs.means_, theirs.covariances_ = best.weights_, best.means_, best.covariances_
    theirs.precisions_cholesky_ = best.precisions_cholesky_
    (one,) = selection.records
    assert one["covariance_type"] == kind
    assert one["bic"] == pytest.approx(theirs.bic(X), rel=1e-9)
    assert one["aic"] == pytest.approx(theirs.aic(X), rel=1e-9)
    assert one["loglik"] == pytest.approx(theirs.score(X) * len(X), rel=1e-9)
    resp = theirs.predict_proba(X)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nansum(resp * np.log(resp))
    assert one["icl"] == pytest.approx(theirs.bic(X) - 2 * np.log(resp.max(axis=1)).sum(), rel=1e-8)
    assert one["icl_entropy"] == pytest.approx(theirs.bic(X) + 2 * entropy, rel=1e-8)


def test_each_cell_is_a_fit_near_its_end(plain):
    """What a cell says is the likelihood of a model that EM cannot make much better."""
    X = blobs(200, 2)
    found = grid.filled(
        lambda code: GaussianMixture(1, covariance_type=code, random_state=0)._task(X, None), FAMILIES, range(1, 6)
    )
    table = by_cell(plain)
    sound = {cell: fit for cell, fit in found.items() if isinstance(fit, grid.Fit) and not fit.reason}
    assert len(sound) > 60
    for (code, k), fit in sound.items():
        begin = {"weights_init": fit.model.weights, "means_init": fit.model.means}
        gm = GaussianMixture(k, covariance_type=code, covariances_init=fit.model.covariances, **begin, tol=1e-6)
        gm.fit(X)
        assert gm.log_likelihood_history_[0] == pytest.approx(fit.totals.loglik, abs=1e-6)
        assert gm.loglik_ - fit.totals.loglik < (1.0 if fit.converged else 5.0)
        assert table[code, k]["loglik"] >= fit.totals.loglik - 1e-9


def test_the_winner_is_the_fit_of_its_row(plain):
    X = blobs(200, 2)
    best, first = plain.best_, plain.ranked[0]
    assert (best.covariance_type, best.n_components) == (first["covariance_type"], first["n_components"])
    assert best.converged_
    assert first["bic"] == best.bic(X) == min(one["bic"] for one in plain.records if one["status"] == "ok")
    assert (first["icl"], first["aic"]) == (best.icl(X), best.aic(X))
    assert (first["loglik"], first["df"]) == (best.loglik_, best.df_)
    assert best.score(X) * len(X) == pytest.approx(best.loglik_, rel=1e-9)
    assert best.labels_.shape == (200,)
    assert all(one["state"] == "ok" for one in best.diagnostics_)


def test_likelihoods_hardly_ever_fall_with_components():
    pairs = falls = 0
    for name in ("iris", "faithful", "diabetes"):
        ours = by_cell(chosen(rows(name)))
        for code in FAMILIES:
            for k in range(1, 9):
                now, more = ours[code, k], ours[code, k + 1]
                if now["status"] == more["status"] == "ok":
                    pairs += 1
                    falls += more["loglik"] < now["loglik"] - 0.01
    assert pairs > 300
    assert falls <= 0.01 * pairs


def test_families_agree_where_they_are_the_same():
    ours = by_cell(chosen(blobs(100, 3), [1]))
    for same in (("EII", "VII"), ("EEI", "VEI", "EVI", "VVI"), ("EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")):
        values = [ours[code, 1]["loglik"] for code in same]
        np.testing.assert_allclose(values, values[0], rtol=1e-9)
    assert ours["VVV", 1]["loglik"] == pytest.approx(ours["EEE", 1]["loglik"], rel=1e-9)


def test_held_out_rows_are_those_of_folds():
    """With one component everything has a formula."""
    X = blobs(103, 2)
    selection = chosen(X, [1, 2], ["VVV", "EEI"], criterion="cv", random_state=3)
    total = 0.0
    for inside, outside in KFold(FOLDS, shuffle=True, random_state=3).split(X):
        theirs = Theirs(1, reg_covar=0).fit(X[inside])
        total += theirs.score_samples(X[outside]).sum()
    ours = by_cell(selection)
    assert ours["VVV", 1]["cv"] == pytest.approx(total / len(X), rel=1e-9)
    assert selection.ranked[0]["cv"] == max(one["cv"] for one in selection.records)
    assert "higher is better" in selection.summary()


def test_criteria_choose_what_they_are_best_for():
    X = blobs(200, 2)
    for criterion in ("bic", "icl", "aic"):
        selection = chosen(X, range(1, 5), ["EEE", "VVV"], criterion)
        values = [one[criterion] for one in selection.records if one["status"] == "ok"]
        assert selection.ranked[0][criterion] == min(values)
        assert selection.criterion == criterion


# promises ---------------------------------------------------------------------------------------------------------


def test_the_same_for_any_number_of_threads():
    X = np.concatenate([blobs(800, 2, seed=seed) for seed in range(3)])
    first, second = (chosen(X, range(1, 5), n_jobs=n_jobs) for n_jobs in (1, 2))
    for a, b in zip(first.records, second.records, strict=True):
        for key in set(a) - {"seconds"}:
            assert a[key] == b[key] or (a[key] != a[key] and b[key] != b[key])


def test_units_change_nothing_but_the_unit():
    X = blobs(150, 2)
    plain = chosen(X, range(1, 5))
    for unit, offset in ((1e-6, 0.0), (1e5, 1e9)):
        other = chosen(unit * X + offset, range(1, 5))
        shift = len(X) * X.shape[1] * math.log(unit)
        for a, b in zip(plain.ranked[:10], other.ranked[:10], strict=True):
            assert (a["covariance_type"], a["n_components"]) == (b["covariance_type"], b["n_components"])
            assert b["loglik"] + shift == pytest.approx(a["loglik"], abs=1e-2)


def test_integer_weights_are_repeated_rows():
    X = blobs(80, 2)
    weight = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = chosen(X, range(1, 4), sample_weight=weight)
    repeated = chosen(np.repeat(X, weight, axis=0), range(1, 4))
    for a, b in zip(weighted.ranked[:3], repeated.ranked[:3], strict=True):
        assert (a["covariance_type"], a["n_components"]) == (b["covariance_type"], b["n_components"])
        assert a["bic"] == pytest.approx(b["bic"], abs=0.05)
    best = weighted.best_
    assert best.bic(X, sample_weight=weight) == weighted.ranked[0]["bic"]


@pytest.mark.parametrize("init", ["k-means++", "kmeans", "random", "random_from_data", "hierarchical"])
def test_starts_by_name(init, monkeypatch):
    asked = []
    make = grid.STARTS[init]
    monkeypatch.setitem(grid.STARTS, init, lambda sample, k, *rest: asked.append(k) or make(sample, k, *rest))
    assert chosen(blobs(150, 2), range(1, 4), ["EEE", "VVV"], init=init).best_.n_components >= 2
    assert asked == [1, 2, 3]


def test_larger_samples_are_finished_on_all_rows():
    X = blobs(5000, 2)
    selection = chosen(X, [1, 3], ["VVV", "EEE"])
    gm = GaussianMixture(3, random_state=0).fit(X)
    assert by_cell(selection)["VVV", 3]["loglik"] >= gm.loglik_ - 1.0
    assert by_cell(selection)["VVV", 1]["loglik"] == pytest.approx(GaussianMixture(1).fit(X).loglik_, rel=1e-9)


def test_rows_that_make_too_large_a_table_are_finished_one_by_one(monkeypatch):
    X = blobs(5000, 2)
    whole = by_cell(chosen(X, [1, 2, 3], ["VVV", "EEE", "VEI"]))
    monkeypatch.setattr(grid, "LARGEST", 10_000)
    for cell, one in by_cell(chosen(X, [1, 2, 3], ["VVV", "EEE", "VEI"])).items():
        assert one["loglik"] == pytest.approx(whole[cell]["loglik"], abs=0.5)


def test_with_a_prior_cells_are_those_of_the_estimator():
    X = blobs(120, 2)
    selection = chosen(X, [1, 2], ["EEE", "VVV"], prior="fraley-raftery")
    for (kind, k), one in by_cell(selection).items():
        gm = GaussianMixture(k, covariance_type=kind, prior="fraley-raftery", random_state=0, n_init=3).fit(X)
        assert one["loglik"] == pytest.approx(gm.loglik_, abs=0.3)
    assert selection.best_.prior == "fraley-raftery"


def test_a_prior_that_some_families_do_not_take():
    selection = chosen(blobs(100, 2), [1, 2], prior=EigenvalueRatio(10.0))
    status = {one["covariance_type"]: one["status"] for one in selection.records}
    assert status["VVV"] == "ok"
    assert status["VEI"] == "failed"
    assert "not for this covariance type" in selection.summary()
    assert "EigenvalueRatio" in refused(select, blobs(100, 2), [1], ["VEI"], prior=EigenvalueRatio(10.0))


# what is not ok ---------------------------------------------------------------------------------------------------


def test_more_components_than_rows():
    selection = chosen(np.arange(6.0).reshape(3, 2) ** 2, [1, 2, 5], ["EII", "VII", "VVV"])
    ours = by_cell(selection)
    assert ours["EII", 5]["status"] == "failed"
    assert ours["EII", 5]["reason"] == "3 distinct rows for 5 components"
    assert ours["EII", 1]["status"] == "ok"


def test_columns_without_spread():
    X = blobs(120, 2)
    for more in (np.ones(120), X.sum(axis=1)):
        selection = chosen(np.column_stack([X, more]), [1, 2, 3])
        assert selection.best_.covariance_type in ("EII", "VII", "EEI", "VEI", "EVI", "VVI")
        assert "leave them out" in selection.summary()
    alone = chosen(np.column_stack([X, np.ones(120)]), [1, 2], ["VVV"])
    assert alone.best_.covariance_type == "VVV"


def test_no_time_at_all():
    selection = chosen(blobs(50, 2), time_budget=0)
    assert {one["status"] for one in selection.records} == {"skipped"}
    assert "time budget" in refused(lambda: selection.best_)
    assert selection.summary().startswith("No model of 50 rows has a BIC")
    assert repr(selection) == "Selection(none of 126 cells has a bic)"


def test_little_time():
    began = time.monotonic()
    selection = chosen(np.concatenate([blobs(1500, 10, seed=s) for s in range(4)]), range(1, 16), time_budget=1.0)
    assert time.monotonic() - began < 15  # several times as long without
    assert any("time budget" in one["reason"] for one in selection.records)
    assert len(selection.records) == 14 * 15
    assert selection.best_.n_components > 1


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_hardly_any_rows(n):
    selection = chosen(np.random.default_rng(n).normal(size=(n, 3)), [1, 2])
    assert len(selection.records) == 28
    assert all(one["status"] in ("ok", "collapsed", "failed") for one in selection.records)
    assert all(one["reason"] for one in selection.records if one["status"] != "ok")
    assert selection.best_.predict_proba(np.zeros((1, 3))).sum() == pytest.approx(1)


def test_a_winner_that_turns_out_to_be_degenerate_is_not_one(monkeypatch):
    X = blobs(150, 2)
    first, second = chosen(X, [1, 2, 3]).ranked[:2]
    resume = GaussianMixture._resume

    def degenerate(self, *arguments):
        resume(self, *arguments)
        if (self.covariance_type, self.n_components) == (first["covariance_type"], first["n_components"]):
            self.remarks_ = {"degenerate": "component 0 is tied"}
            self.diagnostics_[0]["state"] = "tied"

    monkeypatch.setattr(GaussianMixture, "_resume", degenerate)
    selection = chosen(X, [1, 2, 3])
    one = by_cell(selection)[first["covariance_type"], first["n_components"]]
    assert (one["status"], one["reason"]) == ("collapsed", "components tied")
    assert math.isnan(one["bic"])
    assert selection.best_.covariance_type == second["covariance_type"]
    assert selection.best_.n_components == second["n_components"]


def test_at_most_one_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selection = select(rows("wine"), [4], ["VVE"], random_state=0)
    assert [str(one.message) for one in caught] == ["; ".join(selection.best_.remarks_.values())]
    assert "185 free parameters for 178 rows" in str(caught[0].message)


# words and manners ------------------------------------------------------------------------------------------------


def test_one_dimension_has_volumes_only():
    X = np.concatenate([np.random.default_rng(0).normal(m, 1.0, 60) for m in (0.0, 8.0)])
    selection = chosen(X, range(1, 4))
    assert [one["covariance_type"] for one in selection.records] == ["E"] * 3 + ["V"] * 3
    assert (selection.best_.covariance_type, selection.best_.n_components) == ("E", 2)
    named = chosen(X[:, None], [2], ["full", "VVV", "EEE", "tied"])
    assert [one["covariance_type"] for one in named.records] == ["full", "E"]


def test_the_table_is_a_frame(plain, monkeypatch):
    table = plain.table
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns[:4]) == ["covariance_type", "n_components", "loglik", "df"]
    assert {"bic", "icl", "icl_entropy", "aic", "n_iter", "seconds", "status", "reason"} <= set(table.columns)
    assert len(table) == 14 * 5
    monkeypatch.setattr(frames, "find_spec", lambda name: None)
    again = chosen(blobs(60, 2), [1], ["EII"])
    assert again.table == [dict(one) for one in again.records]


def test_frames_keep_their_names():
    X = pd.DataFrame(blobs(80, 2), columns=["width", "length"])
    assert chosen(X, [1, 2], ["EEE"]).best_.feature_names_in_.tolist() == ["width", "length"]


def test_the_summary_says_what_there_is_to_know(plain):
    first, second = plain.ranked[:2]
    text = plain.summary()
    assert text.startswith(f"{first['covariance_type']} with {first['n_components']} components, by BIC (")
    assert f"{second['bic'] - first['bic']:.2f} BIC behind" in text
    assert "14 covariance types with 1 to 5 components, 70 models" in text
    assert repr(plain).startswith(f"Selection({first['covariance_type']} with {first['n_components']} components: bic")
    X = blobs(200, 2)
    assert "3 is the largest number of components" in chosen(X, [1, 2, 3], ["EII"]).summary()
    assert "5 is the smallest number of components" in chosen(X, [5, 8], ["VVV"]).summary()


def test_rounded_and_repeated_rows_are_told_of():
    rng = np.random.default_rng(1)
    X = np.round(np.concatenate([rng.normal(0, 0.5, (100, 2)), rng.normal(6, 0.5, (100, 2))]))
    text = chosen(X, [1, 2], ["EII"]).summary()
    assert "x0 in steps of 1, x1 in steps of 1" in text
    assert "rows repeat an earlier one" in text
    assert "steps" not in chosen(blobs(100, 2), [1, 2], ["EII"]).summary()


@pytest.mark.parametrize("way", ["tables", "one by one", "sampled", "held out"])
def test_progress_goes_to_the_end(way, monkeypatch):
    heard = []
    X = blobs(60, 2)
    if way == "one by one":
        X = np.column_stack([X, np.ones(60)])
    if way == "sampled":
        X = blobs(3000, 2)
        monkeypatch.setattr(grid, "LARGEST", 1000)
    criterion = "cv" if way == "held out" else "bic"
    chosen(X, [1, 2], ["EEE", "VVV"], criterion, progress=lambda done, total: heard.append((done, total)))
    done = [one for one, _ in heard]
    assert done == sorted(done)
    total = 4 * (1 + FOLDS if way == "held out" else 1)
    assert {one for _, one in heard} == {total}
    assert done[-1] == total
    chosen(blobs(60, 2), [1], ["EEE"], progress=False)


def test_a_bar_on_request(capsys):
    pytest.importorskip("rich")
    chosen(blobs(60, 2), [1, 2], ["EEE"], progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "comparing 2 models" in captured.err
    assert "100%" in captured.err


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"n_components": 0}, "n_components must be an integer of at least 1, got 0"),
        ({"n_components": []}, "n_components must hold an integer"),
        ({"n_components": "3"}, "n_components must be an integer or several"),
        ({"n_components": [1.5]}, "n_components must be an integer of at least 1, got 1.5"),
        ({"covariance_types": "XXX"}, "covariance_type must be one of"),
        ({"covariance_types": []}, "covariance_types must name a family"),
        ({"covariance_types": ["E"]}, "for one feature, got 2"),
        ({"criterion": "BIC"}, "criterion must be one of bic, icl, aic, cv"),
        ({"init": "auto2"}, "init must be one of"),
        ({"prior": "flat"}, "prior"),
        ({"time_budget": -1}, "time_budget must be a finite number"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"random_state": "x"}, "random_state"),
        ({"progress": "yes"}, "progress must be a bool, None or a function"),
        ({"sample_weight": [1.0, 2.0]}, "sample_weight must have shape (30,)"),
    ],
)
def test_what_makes_no_sense_is_refused(named, words):
    assert words in refused(select, blobs(30, 2), **named)


def test_rows_that_make_no_sense_are_refused():
    X = blobs(30, 2)
    X[3, 1] = np.inf
    assert "row 3, column 1" in refused(select, X)
    assert "column 1 has none" in refused(select, X * [1.0, np.nan])
    assert "error_covariance must have shape (30, 2)" in refused(select, blobs(30, 2), error_covariance=np.ones((3, 2)))
    assert "effective_size must be" in refused(select, blobs(30, 2), effective_size="yes")
    assert "holds out rows" in refused(select, blobs(4, 2), [1], criterion="cv")


def test_selections_are_values(plain):
    assert isinstance(plain, Selection)
    with pytest.raises(AttributeError):
        plain.criterion = "aic"
    facts = plain.facts()
    assert facts["n_components"] == plain.best_.n_components
    assert len(facts["table"]) == 70
    assert all(one["bic"] is None for one in facts["table"] if one["status"] != "ok")


def test_held_out_rows_of_weight_zero_are_absent():
    X = blobs(60, 2)
    weight = np.zeros(60)
    weight[::4] = 2.0
    weighted = chosen(X, [1, 2], ["EII", "EEE"], criterion="cv", sample_weight=weight)
    alone = chosen(X[::4], [1, 2], ["EII", "EEE"], criterion="cv")
    for a, b in zip(weighted.records, alone.records, strict=True):
        assert a["cv"] == pytest.approx(b["cv"], rel=1e-6, nan_ok=True)


def test_held_out_rows_with_a_prior_that_some_families_do_not_take():
    selection = chosen(blobs(60, 2), [1, 2], ["VVV", "VEI"], criterion="cv", prior=EigenvalueRatio(10.0))
    assert [math.isnan(one["cv"]) for one in selection.records] == [False, False, True, True]


# what has gone wrong once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 7.7, 1 / 3, 1e8 + 0.1, 0.0, 1e9])
def test_a_constant_column_is_one_whatever_its_value(value):
    X = blobs(80, 2)
    zero = chosen(np.column_stack([X, np.zeros(80)]), [1, 2])
    other = chosen(np.column_stack([X, np.full(80, value)]), [1, 2])
    for a, b in zip(zero.ranked, other.ranked, strict=True):
        assert (a["covariance_type"], a["n_components"]) == (b["covariance_type"], b["n_components"])
        assert a["bic"] == pytest.approx(b["bic"], abs=1e-3)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "E", "V", "VVV"])
def test_one_feature_under_any_name(kind):
    X = np.concatenate([np.random.default_rng(0).normal(m, 1.0, 60) for m in (0.0, 8.0)])
    best = chosen(X, 2, kind).best_
    gm = GaussianMixture(2, covariance_type=best.covariance_type, random_state=0).fit(X)
    assert best.loglik_ == pytest.approx(gm.loglik_, abs=1e-3)
    assert best.covariances_.shape == gm.covariances_.shape


@pytest.mark.parametrize("X", [blobs(30, 2), np.ones((30, 2))], ids=["rows", "copies"])
def test_more_components_than_rows_everywhere(X):
    selection = chosen(X, [100, 200])
    assert {one["status"] for one in selection.records} == {"failed"}
    assert "distinct row" in refused(lambda: selection.best_)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, np.float32])
def test_any_kind_of_number(dtype):
    X = (10 * blobs(60, 2)).round()
    X = (X > 0) if dtype is bool else X.clip(-100, 100).astype(dtype)
    selection = chosen(X, [1, 2], ["EII", "VVV"])
    assert selection.best_.predict(X).shape == (60,)


@pytest.mark.parametrize("far", [1e4, 1e5, 1e6, 1e9])
def test_a_row_astray_leaves_the_others(far):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(40, 2)), rng.normal(5, 1, (40, 2)), [[far, 0.0]]])
    selection = chosen(X, [1, 2, 3], ["EII", "EEE"])
    gm = GaussianMixture(3, covariance_type="EII", random_state=0).fit(X)
    assert selection.ranked[0]["bic"] <= gm.bic(X) + 0.1


def test_with_one_component_families_are_no_rivals():
    Y = np.random.default_rng(0).normal(size=(200, 2)) @ [[2.0, 1.0], [0.0, 1.0]]
    for unit in (1.0, 3e-5, 10.0, 7.0, 1e6, 3.0, 1e-12, 0.1):
        selection = chosen(unit * Y, [1, 2])
        assert (selection.best_.covariance_type, selection.best_.n_components) == ("EEE", 1)
    assert "EVV,1" not in selection.summary()


def test_small_weights():
    weight = np.full(12, 1e-300)
    weight[:2] = 1.0
    X = blobs(12, 2)
    assert chosen(X, [1], ["EII"], criterion="cv", sample_weight=weight).records[0]["status"] in ("ok", "collapsed")


def test_a_time_budget_is_what_is_missing_to_held_out_rows(monkeypatch):
    filled = grid.filled
    rounds = []

    def late(*arguments, **named):
        rounds.append(1)
        return filled(*arguments, **named | {"until": 0.0 if len(rounds) > 1 else None})

    monkeypatch.setattr(grid, "filled", late)
    selection = chosen(blobs(60, 2), [1, 2], ["EEE"], criterion="cv")
    assert {one["reason"] for one in selection.records} == {"without a part of the rows, skipped"}
    assert "no model has a cross-validated log-likelihood" in refused(lambda: selection.best_)


def test_the_gap_of_held_out_rows_counts_weights():
    X = blobs(100, 2)
    plain, heavy = (chosen(X, [1, 2], ["EII", "VVV"], "cv", sample_weight=np.full(100, w)) for w in (1.0, 10.0))

    def gap(selection):
        return float(selection.summary().split(" nats of held-out")[0].split()[-1])

    assert gap(heavy) == pytest.approx(10 * gap(plain), rel=1e-2)


def test_entropies_are_those_of_scikit_learn():
    X = blobs(150, 2)
    task = GaussianMixture(1, random_state=0)._task(X, None)
    found = grid.filled(lambda _: task, ["VVV"], [2, 3])
    for fit in found.values():
        resp = fit.model.responsibilities(X)
        assert fit.totals.entropy == pytest.approx(entr(resp).sum(), rel=1e-6)


# rows that are not exact -------------------------------------------------------------------------------------------


def with_gaps(X, part, *, seed=0):
    """The rows with that part of their values missing."""
    return np.where(np.random.default_rng([seed, 17]).random(X.shape) < part, np.nan, X)


def incomplete(name):
    """A published set with missing values."""
    return np.array(frozen("incomplete")[name]["x"], dtype=float)


@pytest.fixture(scope="module")
def airquality():
    """All families with up to nine components on 153 days, 44 values of which are missing."""
    return chosen(incomplete("airquality"))


def test_no_errors_give_the_same_table():
    X = blobs(120, 2)
    grid = {"n_components": [1, 2], "covariance_types": ["EII", "VVI", "VEV", "VVV"], "criterion": "cv"}
    plain = chosen(X, **grid)
    for more in ({"error_covariance": np.zeros((120, 2))}, {"error_covariance": [0.0, 0.0]}, {"effective_size": True}):
        for a, b in zip(plain.records, chosen(X, **grid, **more).records, strict=True):
            for key in set(a) - {"seconds"}:
                assert a[key] == b[key] or (a[key] != a[key] and b[key] != b[key])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["airquality", "pima_tr2"])
def test_as_good_as_em_for_what_is_observed(name):
    ours = by_cell(chosen(incomplete(name), range(1, 5)))
    runs = [run for run in frozen("incomplete")[name]["runs"] if run["status"] == "ok"]
    assert len(runs) > 3
    behind = [run["loglik"] - ours[run["model"], run["G"]]["loglik"] for run in runs]
    assert sum(one > 2e-3 for one in behind) <= 1  # the path of a fit depends on how a processor rounds
    for run, one in zip(runs, behind, strict=True):
        if run["G"] == 1:
            assert one == pytest.approx(0.0, abs=1e-3)


@pytest.mark.slow
def test_a_set_of_r_with_missing_values(airquality):
    assert airquality.n_missing == 44
    assert "153 rows, 4 features, 44 values missing." in airquality.summary()
    ours = by_cell(airquality)
    assert sum(one["status"] == "ok" for one in ours.values()) > 115
    falls = sum(
        ours[code, k + 1]["loglik"] < ours[code, k]["loglik"] - 0.01
        for code in FAMILIES
        for k in range(1, 9)
        if ours[code, k]["status"] == ours[code, k + 1]["status"] == "ok"
    )
    assert falls <= 1
    for same in (
        ("EII", "VII"),
        ("EEI", "VEI", "EVI", "VVI"),
        ("EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
    ):
        values = [ours[code, 1]["loglik"] for code in same]
        np.testing.assert_allclose(values, values[0], rtol=1e-6)


@pytest.mark.slow
def test_own_fits_are_hardly_ever_better(airquality):
    X, ours, behind = incomplete("airquality"), by_cell(airquality), []
    for code, k in (("EII", 3), ("VII", 2), ("VVI", 2), ("EEE", 3), ("VEE", 2), ("EVV", 2), ("VVV", 2), ("VVV", 3)):
        fits = []
        for seed in range(2):
            gm = GaussianMixture(k, covariance_type=code, init="random_from_data", n_init=2, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                gm.fit(X)
            fits += [] if "degenerate" in gm.remarks_ else [gm.loglik_]
        behind.append(max(fits) - ours[code, k]["loglik"])
    assert np.mean(np.array(behind) < 0.01) > 0.7
    assert max(behind) < 3


@pytest.mark.slow
@pytest.mark.parametrize("costly", [True, False])
@pytest.mark.parametrize("how", TOLD[1:])
def test_each_cell_is_a_fit_to_what_rows_tell(how, costly, monkeypatch):
    """Whether they are searched for on what rows tell, or on rows that are filled in."""
    monkeypatch.setattr(grid, "COSTLY", 0.0 if costly else np.inf)
    X, errors = told(blobs(120, 2), how)
    found = grid.filled(
        lambda code: GaussianMixture(1, covariance_type=code, random_state=0)._task(X, None, error_covariance=errors),
        ["EII", "VVI", "EEE", "VEV", "EVE", "VVV"],
        [1, 2, 3],
    )
    sound = {cell: fit for cell, fit in found.items() if isinstance(fit, grid.Fit) and not fit.reason}
    assert len(sound) > 15
    for (code, k), fit in sound.items():
        gm = GaussianMixture.from_mixture(fit.model, code)
        asked = {"error_covariance": errors}
        df = gm.df_
        assert fit.totals.loglik == pytest.approx(gm.score(X, **asked) * len(X), abs=1e-5)
        n = np.count_nonzero(~np.isnan(X).all(axis=1))  # a row of which nothing is known does not count
        assert df * np.log(n) - 2 * fit.totals.loglik == pytest.approx(gm.bic(X, **asked), abs=1e-5)
        assert gm.bic(X, **asked) - 2 * fit.totals.certainty == pytest.approx(gm.icl(X, **asked), abs=1e-3)
        begin = {"weights_init": fit.model.weights, "means_init": fit.model.means}
        gm = GaussianMixture(k, covariance_type=code, covariances_init=fit.model.covariances, **begin, tol=1e-5)
        gm.fit(X, **asked)
        assert gm.loglik_ - fit.totals.loglik < 1.0


@pytest.mark.parametrize("how", TOLD[1:])
def test_the_winner_is_the_fit_of_its_row_whatever_rows_tell(how):
    X, errors = told(blobs(150, 2), how)
    selection = chosen(X, range(1, 5), error_covariance=errors)
    best, first = selection.best_, selection.ranked[0]
    asked = {"error_covariance": errors}
    assert first["bic"] == best.bic(X, **asked) == min(one["bic"] for one in selection.records if one["status"] == "ok")
    assert (first["icl"], first["aic"]) == (best.icl(X, **asked), best.aic(X, **asked))
    assert (first["loglik"], first["df"]) == (best.loglik_, best.df_)
    assert best.n_components > 1
    assert best.labels_.shape == (150,)


def test_a_few_gaps_change_nothing_where_clusters_are_apart():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(size=(60, 3)) @ np.diag([1.0, 2.0, 0.5]) + 12 * m for m in np.eye(3)])
    complete, gaps = chosen(X, range(1, 6)), chosen(with_gaps(X, 0.03), range(1, 6))
    assert gaps.n_missing > 5
    assert gaps.best_.n_components == complete.best_.n_components == 3
    assert gaps.best_.covariance_type == complete.best_.covariance_type
    assert (gaps.best_.labels_ == complete.best_.labels_).mean() in (0.0, 1.0) or len(
        set(zip(gaps.best_.labels_, complete.best_.labels_, strict=True))
    ) == 3


def test_gaps_and_errors_are_seen_in_any_unit():
    X, errors = told(blobs(120, 2), "both")
    plain = chosen(X, range(1, 4), error_covariance=errors)
    other = chosen(1e5 * X + 1e7, range(1, 4), error_covariance=1e10 * errors)
    shift = (~np.isnan(X)).sum() * math.log(1e5)
    for a, b in zip(plain.ranked[:8], other.ranked[:8], strict=True):
        assert (a["covariance_type"], a["n_components"]) == (b["covariance_type"], b["n_components"])
        assert b["loglik"] + shift == pytest.approx(a["loglik"], abs=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["missing", "both"])
def test_the_same_for_any_number_of_threads_whatever_rows_tell(how):
    X, errors = told(np.concatenate([blobs(300, 3, seed=seed) for seed in range(2)]), how)
    first, second = (chosen(X, [1, 4, 5], error_covariance=errors, n_jobs=n_jobs) for n_jobs in (1, 2))
    for a, b in zip(first.records, second.records, strict=True):
        for key in set(a) - {"seconds"}:
            assert a[key] == b[key] or (a[key] != a[key] and b[key] != b[key])


@pytest.mark.slow
def test_errors_are_not_taken_for_spread():
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(m, 0.6, (150, 2)) for m in (0.0, 5.0)])
    errors = rng.choice([0.02, 6.0], size=(300, 1)) * np.ones((300, 2))
    noisy = X + rng.normal(size=X.shape) * np.sqrt(errors)
    selection = chosen(noisy, range(1, 5), error_covariance=errors)
    best = selection.best_
    assert (best.covariance_type, best.n_components) == ("EII", 2)
    assert np.sqrt(best.mixture_.covariances[:, 0, 0]) == pytest.approx([0.6, 0.6], rel=0.15)
    assert chosen(noisy, range(1, 5)).ranked[0]["n_components"] > 2


def test_one_error_for_all_rows():
    X, _ = told(blobs(150, 2), "errors")
    one, each = (
        chosen(X, [1, 2], ["EEE", "VVV"], error_covariance=e) for e in ([0.1, 0.2], np.tile([0.1, 0.2], (150, 1)))
    )
    for a, b in zip(one.records, each.records, strict=True):
        assert a["loglik"] == pytest.approx(b["loglik"], rel=1e-9)


@pytest.mark.slow
def test_held_out_rows_with_gaps():
    """With one component a fold is a Gaussian."""
    X = with_gaps(blobs(103, 2), 0.2)
    selection = chosen(X, [1, 2], ["VVV", "EEI"], criterion="cv", random_state=3)
    total, some = 0.0, X[~np.isnan(X).all(axis=1)]
    for inside, outside in KFold(FOLDS, shuffle=True, random_state=3).split(some):
        gm = GaussianMixture(1, tol=1e-9).fit(some[inside])
        total += gm.score(some[outside]) * len(outside)
    ours = by_cell(selection)
    assert ours["VVV", 1]["cv"] == pytest.approx(total / len(some), rel=1e-4)
    assert selection.ranked[0]["cv"] == max(one["cv"] for one in selection.records)
    assert selection.best_.predict(X).shape == (103,)


def test_held_out_rows_that_are_all_there_is_of_a_column():
    X = blobs(50, 2)
    X[1:, 1] = np.nan
    assert "column 1 has none left" in refused(select, X, [1], criterion="cv")
    assert chosen(X, [1], ["EII"]).records[0]["status"] in ("ok", "collapsed")


def test_weights_that_are_no_counts():
    X, weight = with_gaps(blobs(120, 2), 0.1), np.random.default_rng(0).exponential(size=120)
    first, second = (
        chosen(X, [1, 2, 3], ["EEE", "VVV"], sample_weight=c * weight, effective_size=True) for c in (1.0, 1000.0)
    )
    for a, b in zip(first.records, second.records, strict=True):
        assert a["bic"] == pytest.approx(b["bic"], rel=1e-6)
    best = first.ranked[0]
    assert best["bic"] == pytest.approx(first.best_.bic(X, sample_weight=weight, effective_size=True), rel=1e-9)
    own = weight[~np.isnan(X).all(axis=1)]
    assert first.total_weight == pytest.approx(own.sum() ** 2 / (own @ own))
    assert second.best_.loglik_ == pytest.approx(first.best_.loglik_, rel=1e-6)


def test_integer_weights_are_repeated_rows_with_gaps():
    X = with_gaps(blobs(80, 2), 0.15)
    weight = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = chosen(X, range(1, 4), sample_weight=weight)
    repeated = chosen(np.repeat(X, weight, axis=0), range(1, 4))
    for a, b in zip(weighted.ranked[:2], repeated.ranked[:2], strict=True):
        assert (a["covariance_type"], a["n_components"]) == (b["covariance_type"], b["n_components"])
        assert a["bic"] == pytest.approx(b["bic"], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("largest", [grid.LARGEST, 10_000])
def test_larger_samples_with_gaps_are_finished_on_all_rows(largest, monkeypatch):
    monkeypatch.setattr(grid, "LARGEST", largest)
    X = with_gaps(blobs(5000, 2), 0.1)
    ours = by_cell(chosen(X, [1, 3], ["VVV", "EEE"]))
    gm = GaussianMixture(3, random_state=0).fit(X)
    assert ours["VVV", 3]["loglik"] >= gm.loglik_ - 1.0
    assert ours["VVV", 1]["loglik"] == pytest.approx(GaussianMixture(1).fit(X).loglik_, rel=1e-6)


@pytest.mark.parametrize("init", ["k-means++", "random", "hierarchical"])
def test_starts_by_name_with_gaps(init):
    X = with_gaps(blobs(150, 2), 0.1)
    X[5] = np.nan
    assert chosen(X, range(1, 4), ["EEE", "VVV"], init=init).best_.n_components >= 2


def test_with_a_prior_cells_with_gaps_are_those_of_the_estimator():
    X = with_gaps(blobs(120, 2), 0.1)
    for (kind, k), one in by_cell(chosen(X, [1, 2], ["EEE", "VVV"], prior="fraley-raftery")).items():
        gm = GaussianMixture(k, covariance_type=kind, prior="fraley-raftery", random_state=0, n_init=3).fit(X)
        assert one["loglik"] == pytest.approx(gm.loglik_, abs=0.3)


def test_no_time_at_all_with_gaps():
    selection = chosen(with_gaps(blobs(50, 2), 0.1), time_budget=0)
    assert {one["status"] for one in selection.records} == {"skipped"}


@pytest.mark.slow
def test_little_time_with_errors():
    began = time.monotonic()
    X, errors = told(np.concatenate([blobs(700, 6, seed=s) for s in range(3)]), "covariances")
    selection = chosen(X, range(1, 10), error_covariance=errors, time_budget=2.0)
    assert time.monotonic() - began < 60  # several times as long without
    assert len(selection.records) == 14 * 9


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_hardly_any_rows_with_gaps(n):
    X = np.random.default_rng(n).normal(size=(n, 3))
    X[0, 1:] = np.nan if n > 1 else X[0, 1:]
    selection = chosen(X, [1, 2])
    assert len(selection.records) == 28
    assert all(one["reason"] for one in selection.records if one["status"] != "ok")
    assert selection.best_.predict_proba(np.zeros((1, 3))).sum() == pytest.approx(1)


def test_one_feature_with_gaps_is_that_without_the_rows():
    X = np.concatenate([np.random.default_rng(0).normal(m, 1.0, 60) for m in (0.0, 8.0)])
    gaps = np.append(X, [np.nan] * 3)
    for a, b in zip(chosen(X, [1, 2]).records, chosen(gaps, [1, 2]).records, strict=True):
        assert a["loglik"] == pytest.approx(b["loglik"], abs=1e-2)
        assert b["bic"] == pytest.approx(b["df"] * math.log(120) - 2 * b["loglik"], rel=1e-9)


def test_a_constant_column_with_gaps():
    X = np.column_stack([blobs(120, 2), np.full(120, 0.1)])
    X[::7, 2] = np.nan
    selection = chosen(X, [1, 2, 3])
    assert selection.best_.covariance_type in ("EII", "VII", "EEI", "VEI", "EVI", "VVI")
    assert "leave them out" in selection.summary()


def test_rounded_rows_with_gaps_are_told_of():
    rng = np.random.default_rng(1)
    X = np.round(np.concatenate([rng.normal(0, 0.5, (100, 2)), rng.normal(6, 0.5, (100, 2))]))
    X[::9, 0] = np.nan
    text = chosen(X, [1, 2], ["EII"]).summary()
    assert "x0 in steps of 1, x1 in steps of 1" in text
    assert "rows repeat an earlier one" in text


def test_frames_with_gaps_keep_their_names():
    X = pd.DataFrame(with_gaps(blobs(80, 2), 0.1), columns=["width", "length"])
    assert chosen(X, [1, 2], ["EEE"]).best_.feature_names_in_.tolist() == ["width", "length"]
