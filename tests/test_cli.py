"""The command: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import mixtura
from mixtura import GaussianMixture, Mixture, io, scan, select
from mixtura import rows as held_rows
from mixtura.cli import main
from mixtura.reading import read_table
from mixtura.scanning import Scan

Run = Callable[..., tuple[int, str, str]]
FAITHFUL = str(files("mixtura") / "data" / "faithful.csv")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Status, standard output and standard error of a command."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return run_it


@pytest.fixture
def says_no(run: Run) -> Callable[..., str]:
    """The one sentence on standard error of a command that ends with status 1."""

    def run_it(*arguments: object) -> str:
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        assert err.startswith("mixtura: ")
        assert err.count("\n") == 1
        return err

    return run_it


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two named features."""
    gm = GaussianMixture(2, random_state=0).fit(pd.read_csv(FAITHFUL))
    return gm.save(tmp_path / "model.json")


# demo --------------------------------------------------------------------------------------------


def test_demo(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    status, out, err = run("demo", "--out", folder)
    assert (status, err) == (0, "")
    assert sorted(os.listdir(folder)) == ["faithful.csv", "faithful.html", "faithful.json", "faithful.png"]
    assert (folder / "faithful.csv").read_bytes() == Path(FAITHFUL).read_bytes()
    for name in os.listdir(folder):
        assert str(folder / name) in out
    assert (folder / "faithful.png").read_bytes().startswith(b"\x89PNG")
    # The maximum that mclust 6.0.0 finds for this model.
    assert GaussianMixture.load(folder / "faithful.json").loglik_ == pytest.approx(-1130.2639601859, abs=2e-3)
    assert re.search(r"short +36% .* 2\.0 minutes, .* 54 ", out)
    assert re.search(r"long +64% .* 4\.3 minutes, .* 80 ", out)


def test_demo_in_a_place_that_is_taken(says_no: Callable[..., str], tmp_path: Path) -> None:
    taken = io.write_whole(tmp_path / "taken", "")
    assert str(taken) in says_no("demo", "--out", taken)
    (tmp_path / "out" / "faithful.json").mkdir(parents=True)
    assert "is a folder" in says_no("demo", "--out", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["faithful.json"]


# fit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "EII", "VVV"])
def test_fit_is_the_fit_of_the_estimator(run: Run, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "m.json"
    status, printed, err = run("fit", FAITHFUL, "-k", 3, "--type", kind, "--seed", 5, "--out", out, "--json")
    assert (status, err) == (0, "")
    rows = read_table(FAITHFUL).x
    gm = GaussianMixture(3, covariance_type=kind, random_state=5).fit(rows)

    facts = json.loads(printed)
    assert (facts["data"], facts["model"], facts["plot"]) == (FAITHFUL, str(out), None)
    assert (facts["n_components"], facts["n_features"]) == (3, 2)
    assert (facts["covariance_type"], facts["feature_names"]) == (kind, ["eruptions", "waiting"])
    fit = facts["fit"]
    assert (fit["loglik"], fit["df"], fit["n_rows"]) == (gm.loglik_, gm.df_, 272)
    assert (fit["converged"], fit["n_iter"]) == (gm.converged_, gm.n_iter_)
    assert fit["bic"] == pytest.approx(gm.bic(rows), rel=1e-12)
    assert fit["aic"] == pytest.approx(gm.aic(rows), rel=1e-12)
    for component, k in zip(facts["components"], range(3), strict=True):
        covariance = gm.mixture_.covariances[k]
        assert component["weight"] == gm.weights_[k]
        assert component["mean"] == gm.means_[k].tolist()
        assert component["covariance"] == covariance.tolist()
        np.testing.assert_allclose(component["sd"], np.sqrt(np.diag(covariance)))

    loaded = GaussianMixture.load(out)
    assert loaded.covariance_type == kind
    assert loaded.feature_names_in_.tolist() == ["eruptions", "waiting"]
    np.testing.assert_array_equal(loaded.mixture_.responsibilities(rows), gm.predict_proba(rows))


def test_the_summary_says_what_there_is_to_know(run: Run, tmp_path: Path) -> None:
    out, picture = tmp_path / "m.json", tmp_path / "p.svg"
    status, printed, _ = run("fit", FAITHFUL, "-k", 2, "--out", out, "--plot", picture)
    assert status == 0
    gm = GaussianMixture.load(out)
    for words in (
        "Gaussian mixture of 2 components, covariance type full",
        f"{FAITHFUL}: 272 rows, 2 features",
        f"converged after {gm.n_iter_} passes",
        f"{gm.loglik_:.4f} with 11 free parameters",
        "BIC",
        "AIC",
        "eruptions",
        "waiting",
        "correlation",
        f"model written to {out}",
        f"picture written to {picture}",
    ):
        assert words in printed
    for k in range(2):
        (row,) = re.findall(rf"^ +{k} +(.*)$", printed, flags=re.MULTILINE)
        weight, mean, sd, other_mean, other_sd, correlation = (float(word) for word in row.split())
        covariance = gm.covariances_[k]
        assert weight == pytest.approx(gm.weights_[k], abs=1e-4)
        assert [mean, other_mean] == pytest.approx(gm.means_[k].tolist(), rel=1e-2)
        assert [sd, other_sd] == pytest.approx(np.sqrt(np.diag(covariance)).tolist(), rel=1e-2)
        expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert correlation == pytest.approx(expected, abs=1e-3)
    assert picture.read_text().startswith("<?xml")


def test_columns_and_one_component(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    status, out, _ = run("fit", FAITHFUL, "-k", 1, "--columns", "waiting", "--plot", picture)
    assert status == 0
    assert "1 component," in out
    assert "1 feature\n" in out
    assert "correlation" not in out
    assert picture.exists()
    facts = json.loads(run("fit", FAITHFUL, "-k", 1, "--columns", "waiting, eruptions", "--json")[1])
    frame = pd.read_csv(FAITHFUL)[["waiting", "eruptions"]]
    np.testing.assert_allclose(facts["components"][0]["mean"], frame.mean())


def test_names_with_commas_are_quoted(run: Run, tmp_path: Path) -> None:
    pd.DataFrame({"a, b": [1.0, 2.0, 4.0], "c": [1.0, 0.0, 3.0]}).to_csv(tmp_path / "t.csv")
    status, out, _ = run("fit", tmp_path / "t.csv", "-k", 1, "--columns", 'c,"a, b"', "--type", "diag", "--json")
    assert status == 0
    assert json.loads(out)["feature_names"] == ["c", "a, b"]


def test_weights_count_like_repeated_rows(run: Run, tmp_path: Path) -> None:
    frame = pd.read_csv(FAITHFUL)
    frame["w"] = np.random.default_rng(0).integers(0, 4, len(frame))
    frame.to_csv(tmp_path / "weighted.csv", index=False)
    repeated = frame.loc[frame.index.repeat(frame["w"])].drop(columns="w")
    repeated.to_csv(tmp_path / "repeated.csv", index=False)
    _, weighted, _ = run("fit", tmp_path / "weighted.csv", "-k", 1, "--weight", "w", "--json")
    _, plain, _ = run("fit", tmp_path / "repeated.csv", "-k", 1, "--json")
    first, second = json.loads(weighted), json.loads(plain)
    assert first["feature_names"] == second["feature_names"]
    assert first["fit"]["n_rows"] == len(frame)
    assert first["fit"]["total_weight"] == len(repeated)
    for key in ("loglik", "bic", "aic"):
        assert first["fit"][key] == pytest.approx(second["fit"][key], rel=1e-9)
    _, said, _ = run("fit", tmp_path / "weighted.csv", "-k", 1, "--weight", "w")
    assert f"{len(frame)} rows of total weight {len(repeated)}, 2 features" in said


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Old Faithful with 31 empty cells, a row of which nothing is known, and a column of text with gaps."""
    frame = pd.read_csv(FAITHFUL)
    frame.loc[::9, "waiting"] = np.nan
    frame.loc[5, :] = np.nan
    frame["kind"] = np.where(np.arange(len(frame)) % 3 == 0, None, "long")
    frame.to_csv(tmp_path / "gaps.csv", index=False, na_rep="NA")
    return tmp_path / "gaps.csv"


def test_fit_with_gaps_is_the_fit_of_the_estimator(run: Run, gaps: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "m.json", tmp_path / "p.png"
    status, printed, err = run("fit", gaps, "-k", 2, "--json", "--out", out, "--plot", picture)
    assert status == 0
    assert err == (
        "mixtura: left out what holds no numbers: kind (string); "
        "where they should be, a missing one is an empty cell or NA\n"
        "mixtura: 33 of 544 values are missing: rows count by what is known of them; of 1 row nothing is known\n"
    )
    rows = read_table(gaps).x
    gm = GaussianMixture(2, random_state=0).fit(rows)
    facts = json.loads(printed)
    assert facts["n_missing"] == np.isnan(rows).sum() == 33
    assert facts["feature_names"] == ["eruptions", "waiting"]
    assert (facts["fit"]["loglik"], facts["fit"]["n_rows"]) == (gm.loglik_, 272)
    assert facts["fit"]["bic"] == pytest.approx(gm.bic(rows), rel=1e-12)
    assert GaussianMixture.load(out).loglik_ == gm.loglik_
    assert picture.read_bytes().startswith(b"\x89PNG")
    _, said, _ = run("fit", gaps, "-k", 1)
    assert "272 rows of total weight 271, 2 features, 33 values missing\n" in said


def test_a_column_without_values_that_is_left_out_is_named(run: Run, tmp_path: Path) -> None:
    frame = pd.read_csv(FAITHFUL).assign(note=np.nan)
    frame.to_csv(tmp_path / "note.csv", index=False)
    for command in ("fit", "select"):
        status, printed, err = run(command, tmp_path / "note.csv", "-k", 1)
        assert (status, err) == (0, "mixtura: left out what holds no numbers: note (no values)\n")
        assert "272 rows, 2 features" in printed
    _, _, err = run("fit", tmp_path / "note.csv", "-k", 1, "--columns", "eruptions,waiting")
    assert err == ""


def test_a_column_of_numbers_with_other_marks_for_gaps_is_not_left_out_in_silence(run: Run, tmp_path: Path) -> None:
    frame = pd.read_csv(FAITHFUL, dtype=str).assign(day="2020-01-01")
    frame.loc[7, "eruptions"] = "?"
    frame.to_csv(tmp_path / "marks.csv")  # with row numbers, of which nothing need be said
    status, printed, err = run("fit", tmp_path / "marks.csv", "-k", 1)
    assert status == 0
    assert err == (
        "mixtura: left out what holds no numbers: eruptions (string), day (date32[day]); "
        "where they should be, a missing one is an empty cell or NA\n"
    )
    assert "272 rows, 1 feature" in printed
    wide = pd.DataFrame(dict.fromkeys([f"c{j}" for j in range(30)], "x"), index=range(5)).assign(a=range(5))
    wide.to_csv(tmp_path / "wide.csv", index=False)
    _, _, err = run("fit", tmp_path / "wide.csv", "-k", 1)
    assert "c19 (string) and 10 more; " in err


def test_predictions_with_gaps_are_the_estimators(run: Run, model: Path, gaps: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    status, _, err = run("predict", model, gaps, "-o", out, "--proba", "--density")
    assert status == 0
    assert err.startswith("mixtura: 33 of 544 values are missing: ")
    gm, table = GaussianMixture.load(model), read_table(out)
    rows = pd.read_csv(gaps)[["eruptions", "waiting"]]
    np.testing.assert_array_equal(table.x[:, 0], gm.predict(rows))
    np.testing.assert_allclose(table.x[:, 1:3], gm.predict_proba(rows), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(table.x[:, 3], gm.score_samples(rows), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(table.x[5, 1:3], gm.weights_)


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Old Faithful with standard errors, gaps beside which there are none, and a column of labels with gaps."""
    frame, rng = pd.read_csv(FAITHFUL), np.random.default_rng(0)
    frame["de"], frame["dw"] = rng.uniform(0.1, 0.3, len(frame)), rng.uniform(1.0, 5.0, len(frame))
    frame.loc[::9, ["waiting", "dw"]] = np.nan
    frame["known"] = np.where(np.arange(len(frame)) % 7 > 0, np.nan, (frame["eruptions"] > 3).astype(float))
    frame.loc[1, "known"] = -1
    frame.to_csv(tmp_path / "measured.csv", index=False)
    return tmp_path / "measured.csv"


def test_fit_with_errors_and_labels_is_the_fit_of_the_estimator(run: Run, measured: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    arguments = ("--errors", "de,dw", "--labels", "known")
    status, printed, _ = run("fit", measured, "-k", 2, *arguments, "--json", "--out", out)
    assert status == 0
    frame = pd.read_csv(measured)
    rows, variances = frame[["eruptions", "waiting"]].to_numpy(), frame[["de", "dw"]].to_numpy() ** 2
    labels = frame["known"].fillna(-1)
    gm = GaussianMixture(2, random_state=0).fit(rows, labels=labels, error_covariance=variances)
    facts = json.loads(printed)
    assert facts["feature_names"] == ["eruptions", "waiting"]  # neither errors nor labels are features
    assert facts["fit"]["loglik"] == pytest.approx(gm.loglik_, rel=1e-12)
    assert gm.means_[0, 0] < gm.means_[1, 0]
    np.testing.assert_allclose([one["mean"] for one in facts["components"]], gm.means_, rtol=1e-9)

    predicted = tmp_path / "o.csv"
    status, _, _ = run("predict", out, measured, "--errors", "de,dw", "-o", predicted, "--proba", "--density")
    assert status == 0
    table = read_table(predicted).x
    np.testing.assert_array_equal(table[:, 0], gm.predict(rows, error_covariance=variances))
    np.testing.assert_allclose(table[:, 1:3], gm.predict_proba(rows, error_covariance=variances), atol=1e-9)
    np.testing.assert_allclose(table[:, 3], gm.score_samples(rows, error_covariance=variances), rtol=1e-9)
    # Errors follow the columns that are named.
    turned = ("--columns", "waiting,eruptions", "--errors", "dw,de", "--labels", "known")
    facts = json.loads(run("fit", measured, "-k", 2, *turned, "--json")[1])
    assert facts["fit"]["loglik"] == pytest.approx(gm.loglik_, abs=1e-2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--errors", "de"], "a column of errors for each of eruptions, waiting, dw, known, got 1 (de)"),
        (["--columns", "eruptions", "--errors", "waiting"], "in row 0 is nan: leave out the value"),
        (["--columns", "eruptions", "--errors", "minus"], "no column 'minus'"),
        (["--columns", "de", "--errors", "known"], "that of 'de' in row 1 is -1"),
        (["--columns", "de", "--labels", "eruptions"], "labels must be 272 integers"),
        (["--columns", "eruptions", "--labels", "known", "-k", "1"], "got 1.0 in row 0: number the components from 0"),
    ],
)
def test_errors_and_labels_that_cannot_be(
    says_no: Callable[..., str], measured: Path, arguments: list[str], words: str
) -> None:
    frame = pd.read_csv(measured)
    frame.loc[0, "known"] = 1
    frame.to_csv(measured, index=False)
    assert words in says_no("fit", measured, "-k", 2, *arguments)


def test_one_value_is_missing(run: Run, tmp_path: Path) -> None:
    io.write_whole(tmp_path / "t.csv", "a,b\n1,2\n3,\n2,5\n")
    _, out, err = run("fit", tmp_path / "t.csv", "-k", 1, "--type", "diag")
    assert err == "mixtura: 1 of 6 values is missing: rows count by what is known of them\n"
    assert "3 rows, 2 features, 1 value missing\n" in out


def test_a_column_of_nulls_is_named(says_no: Callable[..., str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": np.array([np.nan, np.nan])})
    frame.to_parquet(tmp_path / "t.parquet")
    assert "column 1 ('b') has none" in says_no("fit", tmp_path / "t.parquet", "-k", 1)
    assert "column 1 ('b') has none" in says_no("select", tmp_path / "t.parquet", "-k", 1)


def test_wide_tables_are_cut_into_several(run: Run, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(50, 30))
    np.save(tmp_path / "t.npy", X)
    _, out, _ = run("fit", tmp_path / "t.npy", "-k", 2, "--type", "EII")
    assert max(len(line) for line in out.splitlines()[2:]) <= 100
    assert re.findall(r"\bx\d+\b", out) == [f"x{j}" for j in range(30)]


def test_digits_follow_the_scale_of_the_data(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"time": 1.7e9 + rng.normal(size=50), "tiny": 1e-12 * rng.normal(size=50)}
    pd.DataFrame(columns).to_csv(tmp_path / "t.csv", index=False)
    _, out, _ = run("fit", tmp_path / "t.csv", "-k", 1)
    row = out.splitlines()[-1].split()
    assert float(row[2]) == pytest.approx(columns["time"].mean(), abs=0.01)
    assert float(row[3]) == pytest.approx(columns["time"].std(), rel=0.01)
    assert float(row[5]) == pytest.approx(columns["tiny"].std(), rel=0.01)


# predict, sample, show ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_predictions_are_the_estimators(run: Run, model: Path, tmp_path: Path, ending: str) -> None:
    frame = pd.read_csv(FAITHFUL)
    # Other columns, in another order: the model asks for its own by name.
    frame.assign(more=1.0)[["more", "waiting", "eruptions"]].to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / f"o.{ending}"
    status, said, err = run("predict", model, tmp_path / "d.csv", "-o", out, "--proba", "--density")
    assert (status, err) == (0, "")
    assert said == f"272 rows written to {out}: label, p0, p1, log_density\n"
    gm = GaussianMixture.load(model)
    table = read_table(out)
    assert table.names == ("label", "p0", "p1", "log_density")
    np.testing.assert_array_equal(table.x[:, 0], gm.predict(frame))
    # A frame keeps its columns together, a table its rows: rounding may differ.
    np.testing.assert_allclose(table.x[:, 1:3], gm.predict_proba(frame), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(table.x[:, 3], gm.score_samples(frame), rtol=1e-12)
    rows = read_table(FAITHFUL).x
    np.testing.assert_array_equal(table.x[:, 1:3], gm.mixture_.responsibilities(rows))
    np.testing.assert_array_equal(table.x[:, 3], gm.mixture_.logpdf(rows))


def test_predictions_go_to_the_output_as_csv(run: Run, model: Path) -> None:
    status, out, err = run("predict", model, FAITHFUL)
    assert (status, err) == (0, "")
    head, *rows = out.splitlines()
    assert head == "label"
    labels = GaussianMixture.load(model).predict(pd.read_csv(FAITHFUL))
    assert [int(row) for row in rows] == labels.tolist()


def test_a_model_without_names_takes_columns_in_order(run: Run, tmp_path: Path) -> None:
    mixture = Mixture([0.5, 0.5], [[2.0, 50.0], [4.0, 80.0]], [[1.0, 25.0], [1.0, 25.0]])
    path = mixture.save(tmp_path / "m.json")
    frame = pd.read_csv(FAITHFUL)
    expected = mixture.predict(frame.to_numpy())
    assert [int(row) for row in run("predict", path, FAITHFUL)[1].split()[1:]] == list(expected)
    turned = tmp_path / "turned.csv"
    frame[["waiting", "eruptions"]].to_csv(turned, index=False)
    _, out, _ = run("predict", path, turned, "--columns", "eruptions,waiting")
    assert [int(row) for row in out.split()[1:]] == list(expected)


def test_samples_are_the_mixtures(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    status, said, err = run("sample", model, "-n", 1000, "-o", out, "--seed", 3)
    assert (status, err) == (0, "")
    assert said == f"1000 rows written to {out}: eruptions, waiting\n"
    expected, _ = Mixture.load(model).sample(1000, np.random.default_rng(3))
    table = read_table(out)
    assert table.names == ("eruptions", "waiting")
    np.testing.assert_array_equal(table.x, expected)

    run("sample", model, "-n", 1000, "-o", tmp_path / "again.csv", "--seed", 3)
    assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()
    assert run("sample", model, "-n", 0) == (0, "eruptions,waiting\n", "")


def test_show_says_what_fit_said(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    _, fitted, _ = run("fit", FAITHFUL, "-k", 2, "--out", out, "--json")
    _, shown, _ = run("show", out, "--json")
    first, second = json.loads(fitted), json.loads(shown)
    for key in ("data", "plot", "report"):
        del first[key]
    assert first == second

    text = run("show", out)[1]
    assert "2 components, covariance type full" in text
    assert "272 rows, 2 features" in text


def test_a_fit_that_did_not_converge_says_so(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short = partial(GaussianMixture, max_iter=2)
    monkeypatch.setattr("mixtura.cli.GaussianMixture", short)
    status, out, err = run("fit", FAITHFUL, "-k", 5, "--out", tmp_path / "m.json")
    assert status == 0
    assert "not converged (max_iter) after 2 passes" in out
    assert err.startswith("mixtura: warning: the fit had not converged after 2 passes")
    assert err.count("\n") == 1
    assert "not converged (max_iter) after 2 passes" in run("show", tmp_path / "m.json")[1]


def test_show_counts_weights_for_rows(run: Run, model: Path) -> None:
    document = io.read_model(model)
    fit = document["fit"] | {"total_weight": 100.0}
    io.write_model(model, document | {"fit": fit})
    shown = json.loads(run("show", model, "--json")[1])["fit"]
    assert shown["bic"] == pytest.approx(fit["df"] * np.log(100) - 2 * fit["loglik"], rel=1e-12)
    assert "272 rows of total weight 100" in run("show", model)[1]


def test_show_of_a_model_that_was_not_fitted(run: Run, tmp_path: Path) -> None:
    path = Mixture([1.0], [[1.0, 2.0]], [1.0]).save(tmp_path / "m.json")
    status, out, _ = run("show", path)
    assert status == 0
    assert "how it was fitted is not known" in out
    assert json.loads(run("show", path, "--json")[1])["fit"] is None


# saying no ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("a,b\n", [], "no numeric columns"),
        ("a\nx\n", [], "no numeric columns"),
        ("a,b\n1\n", [], "line 2 has 1 values"),
        ("a,b\n1,2\n", ["--columns", "c"], "no column 'c': it has a, b"),
        ("a,b\n1,2\n", ["--columns", "a,a"], "'a' is named twice"),
        ("a,b\n1,x\n", ["--columns", "b"], "holds string"),
        ("a,b\n1,2\n", ["--weight", "c"], "no column 'c'"),
        ("a,b\n1,\n3,\n", ["--columns", "a,b"], "column 1 ('b') has none: leave it out"),
        ("a,b\n1,2\ninf,3\n", [], "row 1, column 0 ('a') is inf"),
        ("a,w\n1,1\n2,-1\n", ["--weight", "w"], "must not be negative"),
        ("a,w\n1,1\n2,\n", ["--weight", "w"], "must be finite"),
        ("a,b\n1,2\n3,4\n", ["--type", "round"], "full, tied, diag, spherical"),
        ("a,b\n1,2\n", ["--out", "nowhere/m.json"], "the folder nowhere does not exist"),
        ("a,b\n1,2\n", ["--out", "."], "is a folder"),
        ("a,b\n1,2\n", ["--plot", "nowhere/p.png"], "the folder nowhere does not exist"),
        ("a,b\n1,2\n", ["--plot", "p.txt"], "its name must end in"),
    ],
)
def test_fits_that_cannot_be(
    says_no: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    io.write_whole("t.csv", content)
    assert words in says_no("fit", "t.csv", "-k", 1, *arguments)
    assert os.listdir() == ["t.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "absent.csv", "-k", "1"], "no such file"),
        (["fit", ".", "-k", "1"], "is a folder"),
        (["predict", "absent.json", "t.csv"], "no such file"),
        (["predict", "model.json", "absent.csv"], "no such file"),
        (["predict", "t.csv", "t.csv"], "is not a model file"),
        (["predict", "model.json", "t.csv"], "has no column 'waiting': it has eruptions, x, y"),
        (["predict", "model.json", "t.csv", "--columns", "eruptions"], "has 2 features, but 1 "),
        (["predict", "unnamed.json", "t.csv"], "choose as many with --columns"),
        (["predict", "model.json", "t.csv", "-o", "nowhere/o.csv"], "does not exist"),
        (["predict", "model.json", "t.csv", "-o", "o.txt"], "must end in one of .csv, .tsv"),
        (["sample", "model.json", "-n", "5", "-o", "nowhere/o.csv"], "does not exist"),
        (["sample", "absent.json", "-n", "5"], "no such file"),
        (["show", "absent.json"], "no such file"),
        (["show", "t.csv"], "is not a model file"),
        (["show", "indefinite.json"], "positive"),
    ],
)
def test_files_that_cannot_be_used(
    says_no: Callable[..., str],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(model.parent)
    io.write_whole("t.csv", "eruptions,x,y\n1,2,3\n")
    Mixture([1.0], [[1.0, 2.0]], [1.0]).save("unnamed.json")
    document = io.read_model("unnamed.json")
    io.write_model("indefinite.json", {**document, "covariances": [[1.0, -1.0]]})
    before = sorted(os.listdir())
    assert words in says_no(*arguments)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["fit"],
        ["fit", "t.csv"],
        ["fit", "t.csv", "-k", "0"],
        ["fit", "t.csv", "-k", "2.5"],
        ["fit", "t.csv", "-k", "two"],
        ["fit", "t.csv", "-k", "2", "--seed", "-1"],
        ["fit", "t.csv", "-k", "2", "--colums", "a"],
        ["fit", "t.csv", "-k", "2", "--js"],
        ["predict", "m.json"],
        ["sample", "m.json"],
        ["sample", "m.json", "-n", "-1"],
        ["show"],
    ],
)
def test_commands_that_make_no_sense(run: Run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mixtura")
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize("command", ["", "demo", "fit", "predict", "sample", "show"])
def test_help(run: Run, command: str) -> None:
    status, out, err = run(*command.split(), "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: mixtura {command}".rstrip())


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"mixtura {mixtura.__version__}\n", "")


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("pyarrow", "cli", ["fit", FAITHFUL, "-k", "1"]),
        ("matplotlib.backend_bases", "plot", ["fit", FAITHFUL, "-k", "1", "--plot", "p.png"]),
        ("matplotlib.backend_bases", "plot", ["demo"]),
        ("plotly.offline", "report", ["fit", FAITHFUL, "-k", "1", "--report", "r.html"]),
        ("plotly.offline", "report", ["report", "m.json", FAITHFUL, "-o", "r.html"]),
    ],
)
def test_without_an_extra_it_is_named(
    says_no: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    extra: str,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    assert f'pip install "mixtura[{extra}]"' in says_no(*arguments)


def test_warnings_are_a_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def warning(*arguments: Any, **named: Any) -> Scan:
        warnings.warn("a component\nis empty", UserWarning, stacklevel=1)
        warnings.warn("an argument has a new name", DeprecationWarning, stacklevel=1)
        return scan(*arguments, **named)

    monkeypatch.setattr("mixtura.cli.scan", warning)
    status, _, err = run("fit", FAITHFUL, "-k", 1)
    assert (status, err) == (0, "mixtura: warning: a component is empty\n")


def test_a_picture_that_fails_leaves_nothing(
    says_no: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    said = says_no("fit", FAITHFUL, "-k", 1, "--plot", tmp_path / "p.png")
    assert f"cannot write {tmp_path / 'p.png'}: no space left on device" in said
    assert os.listdir(tmp_path) == []


# as a process ------------------------------------------------------------------------------------


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mixtura", *(str(argument) for argument in arguments)]


def test_as_a_process(model: Path) -> None:
    done = subprocess.run(command("show", model, "--json"), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n_components"] == 2
    done = subprocess.run(command("show", "absent.json"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mixtura: cannot read absent.json: no such file; check the name\n"


@posix
def test_a_reader_that_leaves_is_no_error(model: Path) -> None:
    with subprocess.Popen(
        command("sample", model, "-n", 200_000), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"eruptions,waiting\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_an_output_that_is_full(model: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("show", model), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "mixtura: cannot write to standard output: No space left on device\n"


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_half_way_leaves_nothing(model: Path, number: signal.Signals, status: int) -> None:
    # A process that is started in the background ignores SIGINT, and so would what it starts.
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from mixtura.cli import main; sys.exit(main(sys.argv[1:]))"
    out = model.parent / "out.csv"
    arguments = ["sample", model, "-n", "4000000", "-o", out]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None and not list(model.parent.glob(".mixtura-*.part")):
            time.sleep(0.01)
        process.send_signal(number)
        said, err = process.communicate()
    assert (process.returncode, said, err) == (status, b"", b"")
    assert os.listdir(model.parent) == [model.name]


@posix
def test_progress_is_for_a_terminal_only(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        command("fit", FAITHFUL, "-k", 2, "--json"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert json.loads(done.stdout)["n_components"] == 2
    assert "fitting 2 components" in shown or "log-likelihood" in shown
    assert "Traceback" not in shown


# larger than memory ------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """10,000 rows of three features in three files, some values missing, and a column of weights."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (6_000, 3)), rng.normal(5, 1, (4_000, 3))])[rng.permutation(10_000)]
    x[rng.random(x.shape) < 0.01] = np.nan
    x[5_000] = np.nan
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(w=rng.integers(1, 4, 10_000))
    for number, part in enumerate(np.array_split(np.arange(10_000), 3)):
        frame.iloc[part].to_parquet(tmp_path / f"part-{number}.parquet")
        frame.iloc[part].to_csv(tmp_path / f"part-{number}.csv", index=False)
    return tmp_path


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_rows, "HELD_BYTES", 1 << 16)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_files_that_are_larger_than_memory(run: Run, large: Path, little_memory: None, ending: str) -> None:
    data, model, picture = large / f"part-*.{ending}", large / "m.json", large / "p.png"
    asked = ("fit", data, "-k", 2, "--weight", "w", "--json", "--out", model, "--plot", picture)
    status, printed, err = run(*asked)
    assert status == 0
    frame = pd.concat([pd.read_parquet(large / f"part-{number}.parquet") for number in range(3)])
    x = frame[["a", "b", "c"]]
    missing, empty = int(x.isna().sum().sum()), int(x.isna().all(axis=1).sum())
    assert err == (
        f"mixtura: {missing} of 30000 values are missing: rows count by what is known of them; "
        f"of {empty} row nothing is known\n"
    )
    facts = json.loads(printed)
    gm = GaussianMixture(2, random_state=0).fit(x, sample_weight=frame["w"])
    assert (facts["fit"]["n_rows"], facts["n_missing"]) == (10_000, missing)
    assert facts["feature_names"] == ["a", "b", "c"]
    assert facts["fit"]["loglik"] == pytest.approx(gm.loglik_, abs=0.1)  # the floor's scale is that of a sample
    assert picture.read_bytes().startswith(b"\x89PNG")

    known = GaussianMixture.load(model)
    status, printed, err = run("predict", model, data, "--proba", "--density")
    assert (status, err.count("values are missing")) == (0, 1)
    out = large / "o.parquet"
    status, said, _ = run("predict", model, data, "--proba", "--density", "-o", out)
    assert said == f"10000 rows written to {out}: label, p0, p1, log_density\n"
    for table in (read_table(out), read_table(io.write_whole(large / "o.csv", printed))):
        np.testing.assert_array_equal(table.x[:, 0], known.predict(x))
        np.testing.assert_allclose(table.x[:, 1:3], known.predict_proba(x), rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(table.x[:, 3], known.score_samples(x), rtol=1e-9)


def test_few_rows_in_several_files_are_those_of_one(run: Run, large: Path) -> None:
    """As long as there is memory for them; and with labels in any case."""
    frame = pd.concat([pd.read_csv(large / f"part-{number}.csv") for number in range(3)])
    frame["known"] = np.where(frame["a"] < 0, 0.0, np.nan)
    frame.to_csv(large / "whole.csv", index=False)
    for number, part in enumerate(np.array_split(np.arange(10_000), 3)):
        frame.iloc[part].to_csv(large / f"told-{number}.csv", index=False)
    for asked in (["--columns", "b,a"], ["--labels", "known", "--weight", "w"]):
        several, whole = (
            json.loads(run("fit", large / name, "-k", 2, *asked, "--json")[1]) for name in ("told-*.csv", "whole.csv")
        )
        assert several.pop("data") != whole.pop("data")
        assert several == whole


def test_columns_of_npy_files_that_are_larger_than_memory(run: Run, tmp_path: Path, little_memory: None) -> None:
    x = np.random.default_rng(0).normal(size=(10_000, 4)) * [1, 10, 100, 1000]
    np.save(tmp_path / "t.npy", x)
    model = tmp_path / "m.json"
    asked = ("--columns", "x3,x1", "--type", "diag")
    facts = json.loads(run("fit", tmp_path / "t.npy", "-k", 1, *asked, "--json", "--out", model)[1])
    assert facts["feature_names"] == ["x3", "x1"]
    assert facts["components"][0]["sd"] == pytest.approx(x[:, [3, 1]].std(axis=0), rel=1e-9)
    # The model knows which columns it has seen.
    printed = run("predict", model, tmp_path / "t.npy", "--density")[1]
    found = np.array([line.split(",")[1] for line in printed.splitlines()[1:]], dtype=float)
    np.testing.assert_allclose(found, GaussianMixture.load(model).mixture_.logpdf(x[:, [3, 1]]), rtol=1e-9)


def test_what_is_wrong_with_a_file_that_is_larger_than_memory(
    says_no: Callable[..., str], large: Path, little_memory: None
) -> None:
    model = GaussianMixture(2, random_state=0).fit(pd.read_parquet(large / "part-0.parquet")[["a", "b", "c"]])
    path = model.save(large / "m.json")
    frame = pd.read_parquet(large / "part-2.parquet")
    frame.loc[frame.index[17], "b"] = np.inf
    frame.to_parquet(large / "part-2.parquet")
    before = sorted(os.listdir(large))
    data, out = large / "part-*.parquet", large / "o.csv"
    for asked in (("fit", data, "-k", 2), ("predict", path, data, "-o", out)):
        said = says_no(*asked)
        assert "inf in column 'b', 6684 rows into row group 0 of" in said
        assert "part-2.parquet" in said
    assert sorted(os.listdir(large)) == before
    assert "has no column 'd'" in says_no("fit", data, "-k", 2, "--columns", "d")
    assert "no file has such a name" in says_no("fit", large / "none-*.csv", "-k", 2)


LITTLE = """
import sys
from mixtura import rows
rows.HELD_BYTES = 1 << 16
from mixtura.cli import main
sys.exit(main(sys.argv[1:]))
"""


@posix
@pytest.mark.parametrize(("columns", "ending"), [("300", "parquet"), ("20", "csv")])
def test_the_bar_of_rows_is_for_a_terminal_only(large: Path, columns: str, ending: str) -> None:
    environment = os.environ | {"TERM": "xterm", "COLUMNS": columns}
    model = large / "m.json"
    asked = ["fit", str(large / f"part-*.{ending}"), "-k", "2", "--json", "--out", str(model)]
    printed, shown = on_a_terminal([sys.executable, "-c", LITTLE, *asked], environment)
    assert json.loads(printed)["n_components"] == 2
    assert "Traceback" not in shown
    if columns == "300":
        assert "looking at" in shown
        assert re.search(r"pass \d+: log-likelihood per row -\d+\.\d+, gained ", shown)
        assert "10,000 of 10,000 rows" in shown
    # Nothing of it is left: what stays on the screen is what is said.
    left = screen(shown)
    assert [line for line in left if line] == [line for line in left if "values are missing" in line]
    printed, shown = on_a_terminal([sys.executable, "-c", LITTLE, "predict", str(model), asked[1]], environment)
    assert printed.splitlines()[0] == "label"
    assert len(printed.splitlines()) == 10_001
    done = subprocess.run([sys.executable, "-c", LITTLE, *asked], capture_output=True, text=True, env=environment)
    assert done.stderr.count("\n") == 1
    assert "values are missing" in done.stderr


def on_a_terminal(asked: list[str], environment: dict[str, str]) -> tuple[str, str]:
    """Standard output, and what a terminal in the place of standard error is sent."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=theirs, env=environment) as one:
        os.close(theirs)
        shown: list[bytes] = []
        listener = threading.Thread(target=_heard, args=(ours, shown))
        listener.start()
        printed = one.communicate()[0].decode()
    listener.join()
    os.close(ours)
    assert one.returncode == 0
    return printed, b"".join(shown).decode()


def _heard(terminal: int, shown: list[bytes]) -> None:
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            return
        if not part:
            return
        shown.append(part)


def screen(shown: str) -> list[str]:
    """The lines that a terminal is left with: of the sequences that rich sends, those that move or erase."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", shown):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            column = 0
        elif piece.startswith("\x1b"):
            if piece.endswith("A"):
                row = max(row - int(piece[2:-1] or 1), 0)
            elif piece.endswith("K"):
                lines[row] = "" if piece == "\x1b[2K" else lines[row][:column]
        else:
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return lines


# select ------------------------------------------------------------------------------------------


def test_select_is_the_selection_of_the_library(run: Run, tmp_path: Path) -> None:
    out, table, picture = tmp_path / "m.json", tmp_path / "t.csv", tmp_path / "p.png"
    status, printed, err = run(
        *("select", FAITHFUL, "-k", "1:4", "--types", "EEE,VVV", "--seed", 3, "--json"),
        *("--out", out, "--table", table, "--plot", picture),
    )
    assert (status, err) == (0, "")
    selection = select(read_table(FAITHFUL).x, range(1, 5), ["EEE", "VVV"], random_state=3)
    best = selection.ranked[0]
    facts = json.loads(printed)
    assert (facts["covariance_type"], facts["n_components"]) == (best["covariance_type"], best["n_components"])
    assert facts["criterion"] == "bic"
    assert facts["best"]["fit"]["loglik"] == best["loglik"]
    assert [one["bic"] for one in facts["table"]] == [one["bic"] for one in selection.records]
    assert (facts["model"], facts["table_file"], facts["plot"]) == (str(out), str(table), str(picture))
    loaded = GaussianMixture.load(out)
    assert loaded.loglik_ == best["loglik"]
    assert loaded.feature_names_in_.tolist() == ["eruptions", "waiting"]
    written = pd.read_csv(table)
    assert written["status"].tolist() == ["ok"] * 8
    assert written["bic"].tolist() == pytest.approx([one["bic"] for one in selection.records])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_select_with_gaps_is_the_selection_of_the_library(run: Run, gaps: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    status, printed, err = run("select", gaps, "-k", "1:3", "--types", "EEE,VVV", "--json", "--out", out)
    assert status == 0
    assert "mixtura: 33 of 544 values are missing: " in err
    selection = select(read_table(gaps).x, range(1, 4), ["EEE", "VVV"], random_state=0)
    facts = json.loads(printed)
    assert [one["bic"] for one in facts["table"]] == [one["bic"] for one in selection.records]
    assert facts["best"]["n_missing"] == 33
    assert GaussianMixture.load(out).loglik_ == selection.best_.loglik_
    _, said, _ = run("select", gaps, "-k", 2, "--types", "EEE")
    assert said.count("272 rows, 2 features, 33 values missing") == 1
    assert said.count("272 rows of total weight 271, 2 features, 33 values missing") == 1  # of one nothing is known


def test_select_with_errors_and_weights_is_the_selection_of_the_library(run: Run, measured: Path) -> None:
    frame = pd.read_csv(measured)
    frame["w"] = np.random.default_rng(0).uniform(0.5, 2.0, len(frame))
    frame.drop(columns="known").to_csv(measured, index=False)
    arguments = ("-k", "1:3", "--types", "EEE,VVV", "--weight", "w", "--errors", "de,dw", "--effective-size", "--json")
    status, printed, _ = run("select", measured, *arguments)
    assert status == 0
    selection = select(
        frame[["eruptions", "waiting"]].to_numpy(),
        range(1, 4),
        ["EEE", "VVV"],
        sample_weight=frame["w"],
        error_covariance=np.where(frame[["eruptions", "waiting"]].isna(), 0.0, frame[["de", "dw"]] ** 2),
        effective_size=True,
        random_state=0,
    )
    found = [one["bic"] for one in json.loads(printed)["table"]]
    assert found == pytest.approx([one["bic"] for one in selection.records], rel=1e-9)


def test_select_says_what_it_found(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    status, printed, _ = run("select", FAITHFUL, "-k", "2,3", "--types", "EEE", "--out", out)
    assert status == 0
    assert printed.startswith("EEE with 3 components, by BIC (2314.")
    assert "3 is the largest number of components" in printed
    assert "Gaussian mixture of 3 components, covariance type EEE" in printed
    assert f"model written to {out}" in printed


def test_select_names_the_columns(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rounded.csv"
    pd.DataFrame({"width": [1, 2, 1, 2, 1, 2, 9, 8] * 9, "length": range(72)}).to_csv(path, index=False)
    _, printed, _ = run("select", path, "-k", 2, "--types", "VVI")
    assert "width in steps of 1" in printed


def test_select_without_time(says_no: Callable[..., str]) -> None:
    assert "time budget" in says_no("select", FAITHFUL, "--time", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-k", "3:1"], "expected a range like 1:9"),
        (["-k", "0"], "expected a range like 1:9"),
        (["--types", "XXX"], "expected all, or names among"),
        (["--criterion", "best"], "invalid choice"),
        (["--time", "-1"], "expected a number of seconds"),
    ],
)
def test_select_with_arguments_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["select", str(FAITHFUL), *arguments])
    assert left.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_predict_takes_a_table_with_an_empty_column(run: Run, tmp_path: Path, ending: str) -> None:
    gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 4.0]], [1.0, 1.0], "spherical")
    gm.feature_names_in_ = np.array(["a", "b"], dtype=object)
    model, rows, out = gm.save(tmp_path / "m.json"), tmp_path / f"rows{ending}", tmp_path / "out.csv"
    if ending == ".csv":
        rows.write_text("a,b\n,3\n,1\n")
    else:
        parquet.write_table(pa.table({"a": pa.nulls(2), "b": [3.0, 1.0]}), rows)
    run("predict", str(model), str(rows), "-o", str(out))
    assert out.read_text() == "label\n1\n0\n"
