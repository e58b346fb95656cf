"""Tables that are read again for each pass: against the same rows in memory, and what files can do to a fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from scipy.stats import multivariate_normal

from mixtura import GaussianMixture, rows, scan, select
from mixtura.engine import Pairwise
from mixtura.rows import held
from refusing import refused

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (6_000, 3)), rng.normal(4, 1.5, (4_000, 3))])
    return x[rng.permutation(len(x))]


@pytest.fixture
def large(monkeypatch):
    """Memory for 2,730 rows of three features, so that 10,000 are a table larger than memory."""
    monkeypatch.setattr(rows, "HELD_BYTES", 1 << 16)


def written(x: np.ndarray, path: Path) -> Path:
    frame = pd.DataFrame(x, columns=NAMES)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=1_700)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path, chunksize=1_700)
    else:
        np.save(path, x)
    return path


def parts(x: np.ndarray, folder: Path, ending: str) -> str:
    for index, part in enumerate(np.array_split(x, 3)):
        written(part, folder / f"part-{index}{ending}")
    return str(folder / f"part-*{ending}")


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".csv", ".npy"])
def test_files_give_what_arrays_give(X, tmp_path: Path, large, ending: str) -> None:
    table = scan(parts(X, tmp_path, ending), batch_rows=1_000)
    assert table.columns == (None if ending == ".npy" else tuple(NAMES))
    gm = GaussianMixture(2, random_state=0).fit(table)
    known = X if ending == ".npy" else pd.DataFrame(X, columns=NAMES)
    inside = GaussianMixture(2, random_state=0).fit(known)
    assert gm.loglik_ == pytest.approx(inside.loglik_, rel=1e-12)
    np.testing.assert_allclose(gm.means_, inside.means_, atol=1e-6)  # starts are made on other rows
    assert not hasattr(gm, "labels_")
    for one in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_allclose(getattr(gm, one)(table), getattr(gm, one)(known), rtol=1e-12, atol=1e-300)
    assert gm.score(table) == pytest.approx(gm.score(known), rel=1e-12)
    for one in ("bic", "aic", "icl"):
        assert getattr(gm, one)(table) == pytest.approx(getattr(gm, one)(known), rel=1e-12)


def test_rows_of_which_nothing_is_known_count_in_no_scan(X, large) -> None:
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    X = X[~np.isnan(X).all(axis=1)]
    nothing = np.full((500, 3), np.nan)  # a batch of its own, and rows among others
    plain, within = scan([*np.array_split(X, 10)]), scan([nothing, *np.array_split(np.vstack([nothing, X]), 10)])
    one, gm = (GaussianMixture(2, random_state=0).fit(table) for table in (plain, within))
    assert gm.loglik_ == pytest.approx(one.loglik_, abs=1e-3)
    assert gm.bic(within) == pytest.approx(gm.bic(X), rel=1e-12)
    assert gm.score(within) == pytest.approx(gm.score_samples(within).mean(), rel=1e-9)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEE", "EVI"])
@pytest.mark.parametrize("beside", [{}, {"noise": True}, {"prior": "fraley-raftery"}], ids=["plain", "noise", "prior"])
def test_every_fit_takes_a_scan(X, large, covariance_type: str, beside: dict) -> None:
    own = {"means_init": [[0, 0, 0], [4, 4, 4]], "covariance_type": covariance_type, **beside}
    streamed = GaussianMixture(2, **own).fit(scan(X, batch_rows=700))
    inside = GaussianMixture(2, **own).fit(X)
    assert streamed.loglik_ == pytest.approx(inside.loglik_, rel=1e-11)
    np.testing.assert_allclose(streamed.means_, inside.means_, rtol=1e-6, atol=1e-6)
    totals = streamed.log_likelihood_history_
    if not beside.get("prior"):
        assert (np.diff(totals) >= -1e-9 * abs(totals[0])).all()


def test_gaps_in_a_scan(X, tmp_path: Path, large) -> None:
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    own = {"means_init": [[0, 0, 0], [4, 4, 4]]}
    streamed = GaussianMixture(2, **own).fit(scan(written(gaps, tmp_path / "t.parquet")))
    inside = GaussianMixture(2, **own).fit(gaps)
    assert streamed.loglik_ == pytest.approx(inside.loglik_, abs=2e-3)  # the floor's scale is that of a sample
    np.testing.assert_allclose(streamed.means_, inside.means_, atol=1e-3)
    assert streamed.score(scan(gaps)) * len(X) == pytest.approx(streamed.loglik_, rel=1e-9)


def test_weights_are_a_column(X, tmp_path: Path, large) -> None:
    w = np.random.default_rng(2).integers(0, 4, len(X))
    pd.DataFrame(X, columns=NAMES).assign(w=w).to_parquet(tmp_path / "t.parquet")
    table = scan(tmp_path / "t.parquet", weight="w", batch_rows=900)
    assert table.columns == tuple(NAMES)
    own = {"means_init": [[0, 0, 0], [4, 4, 4]]}
    streamed, inside = GaussianMixture(2, **own).fit(table), GaussianMixture(2, **own).fit(X, sample_weight=w)
    assert streamed.loglik_ == pytest.approx(inside.loglik_, rel=1e-11)
    assert streamed.bic(table) == pytest.approx(inside.bic(X, sample_weight=w), rel=1e-9)
    for effective_size in (True, False):
        assert streamed.bic(table, effective_size=effective_size) == pytest.approx(
            inside.bic(X, sample_weight=w, effective_size=effective_size), rel=1e-9
        )


def test_few_rows_are_taken_into_memory(X, tmp_path: Path) -> None:
    streamed = GaussianMixture(2, random_state=0).fit(scan(written(X, tmp_path / "t.parquet")))
    inside = GaussianMixture(2, random_state=0).fit(X)
    np.testing.assert_array_equal(streamed.means_, inside.means_)
    np.testing.assert_array_equal(streamed.labels_, inside.labels_)


def test_the_same_bits_for_any_number_of_threads(X, large) -> None:
    one, two, five = (GaussianMixture(2, random_state=0, n_jobs=n).fit(scan(X, batch_rows=700)) for n in (1, 2, 5))
    np.testing.assert_array_equal(one.means_, two.means_)
    np.testing.assert_array_equal(one.covariances_, five.covariances_)


def test_streams_of_arrays_and_frames(X, large) -> None:
    own = {"means_init": [[0, 0, 0], [4, 4, 4]]}
    inside = GaussianMixture(2, **own).fit(X)
    batches = np.array_split(X, 13)
    frames = [pd.DataFrame(one, columns=NAMES) for one in batches]
    for stream in (batches, lambda: iter(batches), frames):
        assert GaussianMixture(2, **own).fit(scan(stream)).loglik_ == pytest.approx(inside.loglik_, rel=1e-11)
    assert GaussianMixture(2, **own).fit(scan(frames)).feature_names_in_.tolist() == NAMES
    assert "gone through again" in refused(lambda: scan(iter(batches)))
    assert "array 1 of the stream must have shape (m, 3), got (2, 2)" in refused(
        lambda: GaussianMixture().fit(scan([X, np.zeros((2, 2))]))
    )


def test_predictions_are_written_whole_or_not_at_all(X, tmp_path: Path, large) -> None:
    gm = GaussianMixture(2, random_state=0, noise=True).fit(X)
    path = written(X, tmp_path / "t.parquet")
    out = gm.predict_to(tmp_path / "out.parquet", scan(path, batch_rows=900), proba=True, density=True)
    found = pd.read_parquet(out)
    assert [*found] == ["label", "p0", "p1", "p_noise", "log_density"]
    np.testing.assert_array_equal(found["label"], gm.predict(X))
    np.testing.assert_allclose(found[["p0", "p1", "p_noise"]], gm.predict_proba(X), rtol=1e-12, atol=1e-300)
    before = out.read_bytes()
    broken = np.array(X)
    broken[7_000, 1] = np.inf
    message = refused(lambda: gm.predict_to(out, scan(written(broken, tmp_path / "b.parquet"), batch_rows=900)))
    assert "inf in column 'b'" in message
    assert "row group 4" in message
    assert out.read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_a_file_that_changes_between_passes_ends_the_fit(X, tmp_path: Path, large) -> None:
    path = written(X, tmp_path / "t.parquet")
    steps = GaussianMixture(2, random_state=0).fit_iter(scan(path))
    next(steps)
    written(X[:9_000], path)
    assert f"{path} must stay as it is" in refused(lambda: list(steps))


def test_a_file_that_is_cut_off(X, tmp_path: Path, large) -> None:
    path = written(X, tmp_path / "t.parquet")
    table = scan(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path} must stay as it is" in refused(lambda: GaussianMixture(2).fit(table))
    assert f"{path} is not a Parquet file" in refused(lambda: scan(path))
    # The footer is as it was, a row group is not.
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 20_000] = bytes(20_000)
    path.write_bytes(bytes(damaged))
    message = refused(lambda: GaussianMixture(2).fit(scan(path)))
    assert "cannot read row group" in message
    assert str(path) in message


def test_a_part_that_lacks_a_column_or_has_it_of_another_type(X, tmp_path: Path) -> None:
    pattern = parts(X, tmp_path, ".parquet")
    odd = tmp_path / "part-1.parquet"
    frame = pd.read_parquet(odd)
    frame.drop(columns="b").to_parquet(odd)
    assert f"{odd} has no column 'b'" in refused(lambda: scan(pattern))
    frame.assign(b="x").to_parquet(odd)
    assert f"the column 'b' of {odd} holds" in refused(lambda: scan(pattern))
    frame.assign(b=np.float32(1.0)).to_parquet(odd)
    assert scan(pattern).n_rows == len(X)


@pytest.mark.parametrize("kind", [pa.int32(), pa.decimal128(13, 3), pa.float32(), pa.bool_()])
def test_a_part_that_has_numbers_of_another_type(tmp_path: Path, large, kind: pa.DataType) -> None:
    x = np.random.default_rng(0).integers(0, 2, size=(9_000, 3)).astype(float)
    pattern = parts(x, tmp_path, ".parquet")
    odd = tmp_path / "part-1.parquet"
    table = pyarrow.parquet.read_table(odd)
    pyarrow.parquet.write_table(table.set_column(1, "b", table["b"].cast(pa.int32()).cast(kind)), odd)
    gm = GaussianMixture(1).fit(scan(pattern))
    np.testing.assert_allclose(gm.means_[0], x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(gm.covariances_[0], np.cov(x.T, bias=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".csv", ".npy"])
def test_a_file_that_is_deleted_in_the_middle_of_a_fit(X, tmp_path: Path, large, ending: str) -> None:
    pattern = parts(X, tmp_path, ending)
    table = scan(pattern)
    steps = GaussianMixture(2, random_state=0).fit_iter(table)
    next(steps)
    gone = tmp_path / f"part-1{ending}"
    gone.unlink()
    message = refused(lambda: list(steps))
    assert f"cannot read {gone}: no such file" in message
    assert "put it back and start again" in message
    known = X if ending == ".npy" else pd.DataFrame(X, columns=NAMES)
    gm = GaussianMixture(2, random_state=0).fit(known)
    before = sorted(os.listdir(tmp_path))
    assert f"cannot read {gone}" in refused(lambda: gm.predict_to(tmp_path / "o.csv", table))
    assert sorted(os.listdir(tmp_path)) == before


FULL = """
import resource, sys
import numpy as np
from mixtura import GaussianMixture, scan
gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0] * 3, [4.0] * 3], [1.0, 1.0], "spherical")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
x = np.random.default_rng(0).normal(2, 2, size=(100_000, 3))
try:
    gm.predict_to(sys.argv[1], scan(x, batch_rows=5_000), proba=True, density=True)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a limit that POSIX sets")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"o{ending}"
    for before in (None, b"what was there before"):
        if before is not None:
            out.write_bytes(before)
        done = subprocess.run([sys.executable, "-c", FULL, str(out)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"cannot write {out}: file too large; choose another place\n"
        assert os.listdir(tmp_path) == ([] if before is None else [out.name])
        assert before is None or out.read_bytes() == before


def test_a_stream_that_is_not_the_same_each_time(X, large) -> None:
    batches = np.array_split(X, 13)

    def stream():
        return iter(batches)

    steps = GaussianMixture(2, random_state=0).fit_iter(scan(stream))
    next(steps)
    batches[3] = np.where(batches[3] > 5, np.nan, batches[3])
    assert "array 3 has a missing value where none was before" in refused(lambda: list(steps))
    batches[3] = X[:10]
    steps = GaussianMixture(2, random_state=0).fit_iter(scan(stream))
    next(steps)
    batches[3] = X[:9]
    assert "must give the same rows each time" in refused(lambda: list(steps))


def test_text_that_stops_being_numbers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mixtura.reading.TEXT_BYTES", 1_000)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 1_000 + "1.5,2\n" + "x,2\n")
    message = refused(lambda: GaussianMixture(1).fit(scan(path)))
    assert str(path) in message
    assert "'x'" in message
    path.write_text("a,b\n" + "1,2\n" * 1_000 + "1.5,2\n")
    assert GaussianMixture(1).fit(scan(path)).means_[0, 0] == pytest.approx(1 + 0.5 / 1_001)


def test_what_a_scan_cannot_have_beside_it(X, large) -> None:
    table = scan(X)
    for name in ("sample_weight", "labels", "error_covariance"):
        assert f"{name} has an entry for each row" in refused(
            lambda name=name: GaussianMixture(2).fit(table, **{name: X})
        )
    assert "truncate must be None" in refused(lambda: GaussianMixture(5, truncate=2).fit(table))
    gm = GaussianMixture(2, random_state=0).fit(pd.DataFrame(X, columns=NAMES))
    other = scan([pd.DataFrame(X, columns=["a", "c", "b"])])
    assert "feature names should match" in refused(lambda: gm.predict(other))
    assert "X has 2 features" in refused(lambda: gm.predict(scan(X[:, :2])))


def test_sums_in_pairs() -> None:
    for n in range(1, 40):
        total: Pairwise[float] = Pairwise()
        for part in range(n):
            total.add(0.1 * part)
        assert total.sum() == pytest.approx(0.1 * n * (n - 1) / 2)
        assert len(total.parts) == n.bit_count()


@pytest.mark.parametrize("n", [1, 10, 2_730, 2_731, 9_999])
def test_rows_at_hand_come_from_everywhere(n: int, large) -> None:
    index = held(n, 3)
    assert len(index) <= 2_730
    assert (np.diff(index) > 0).all()
    assert 0 <= index[0] <= index[-1] < n
    assert np.diff(np.append(index, n)).max() <= 2 * -(-n // 2_730)


# select ---------------------------------------------------------------------------------------------------------------

GRID = {"n_components": range(1, 6), "covariance_types": ["EII", "VVV"], "random_state": 0}


@pytest.fixture(scope="module")
def faint() -> np.ndarray:
    """60,000 rows from three clusters, two of them so near each other that 2,730 rows do not tell them apart."""
    rng = np.random.default_rng(3)
    component = rng.choice(3, p=[0.5, 0.25, 0.25], size=60_000)
    return np.array([[-5, 0, 0], [-0.5, 0, 0], [0.5, 0, 0]])[component] + rng.normal(size=(60_000, 3))


def bic_of(gm: GaussianMixture, x: np.ndarray, w: np.ndarray) -> float:
    """By its definition, n being the sum of the weights."""
    parts = zip(gm.weights_, gm.means_, gm.mixture_.covariances, strict=True)
    density = sum(weight * multivariate_normal(mean, covariance).pdf(x) for weight, mean, covariance in parts)
    return float(gm.df_ * np.log(w.sum()) - 2 * (w @ np.log(density)))


def test_few_rows_are_selected_on_as_if_they_were_an_array(X, tmp_path: Path) -> None:
    known = pd.DataFrame(X, columns=NAMES)
    scanned = select(scan(written(X, tmp_path / "t.parquet")), **GRID)
    inside = select(known, **GRID)
    for one, other in zip(scanned.records, inside.records, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    np.testing.assert_array_equal(scanned.best_.means_, inside.best_.means_)
    assert scanned.best_.feature_names_in_.tolist() == NAMES
    assert (scanned.finalists, scanned.n_searched) == ((), len(X))
    assert "Searched" not in scanned.summary()


def test_all_rows_choose_even_if_some_are_searched(faint, large) -> None:
    """A sample bears out two components, all rows three."""
    source = scan(faint)
    chosen = select(source, **GRID)
    sampled = min((one for one in chosen.records if one["status"] == "ok"), key=lambda one: one["bic"])
    best = chosen.best_
    assert (sampled["covariance_type"], sampled["n_components"]) == ("EII", 2)
    assert (best.covariance_type, best.n_components) == ("EII", 3)
    assert (chosen.n_rows, chosen.n_searched) == (60_000, len(held(60_000, 3)))
    numbers = [one["bic"] for one in chosen.finalists]
    assert numbers == sorted(numbers)
    assert {("EII", 2), ("EII", 3), ("EII", 4)} <= {
        (one["covariance_type"], one["n_components"]) for one in chosen.finalists
    }
    assert numbers[0] == pytest.approx(bic_of(best, faint, np.ones(len(faint))), rel=1e-10)
    inside = select(faint, range(1, 6), "EII", random_state=0)  # more memory would make no difference
    assert inside.best_.n_components == 3
    assert numbers[0] == pytest.approx(inside.best_.bic(faint), abs=0.1)
    assert best.max_iter == GaussianMixture().max_iter
    assert not hasattr(best, "labels_")
    said = chosen.summary()
    assert f"Searched were {chosen.n_searched} of 60000 rows" in said
    assert f"the {len(chosen.finalists)} models that promised most were fitted to all rows, whose BIC decided" in said
    assert "(60000 rows" not in said
    assert "; 60000 rows, 3 features." in said
    assert repr(chosen) == f"Selection(EII with 3 components: bic {numbers[0]:.2f}, of 10 cells)"
    facts = chosen.facts()
    assert (facts["n_components"], facts["n_searched"]) == (3, chosen.n_searched)
    assert [one["bic"] for one in facts["finalists"]] == numbers


@pytest.mark.parametrize("effective_size", [False, True])
def test_selection_with_weights_and_gaps(faint, tmp_path: Path, large, effective_size: bool) -> None:
    rng = np.random.default_rng(1)
    w = rng.integers(0, 4, len(faint))
    x = faint[:20_000].copy()
    w = w[: len(x)]
    pd.DataFrame(x, columns=NAMES).assign(w=w).to_parquet(tmp_path / "t.parquet")
    source = scan(tmp_path / "t.parquet", weight="w")
    chosen = select(source, [1, 3], ["VII", "EII"], random_state=0, effective_size=effective_size)
    scale = w.sum() / (w.astype(float) ** 2).sum() if effective_size else 1.0
    assert chosen.finalists[0]["bic"] == pytest.approx(bic_of(chosen.best_, x, scale * w), rel=1e-10)
    assert chosen.total_weight == pytest.approx(scale * w.sum())
    x[rng.random(x.shape) < 0.02] = np.nan
    gaps = select(scan(x), [1, 3], ["VII", "EII"], random_state=0)
    assert gaps.n_missing == np.isnan(x).sum()
    assert gaps.finalists[0]["bic"] == pytest.approx(gaps.best_.bic(x), rel=1e-10)
    assert "sample_weight has an entry for each row" in refused(lambda: select(source, [1], sample_weight=w))


def test_held_out_rows_choose_among_those_that_are_searched(faint, large) -> None:
    chosen = select(scan(faint), [2, 3], ["VII", "EII"], criterion="cv", random_state=0)
    (row,) = chosen.finalists
    assert row["loglik"] == pytest.approx(chosen.best_.score(faint) * len(faint), rel=1e-10)
    assert row["cv"] == max(one["cv"] for one in chosen.records)
    assert "held out in turn" in chosen.summary()


def test_what_collapses_on_all_rows_gives_its_place_to_another(faint, large, monkeypatch) -> None:
    own = GaussianMixture._resume

    def resume(gm, task, begin):
        own(gm, task, begin)
        if (gm.covariance_type, gm.n_components) == ("EII", 3):
            gm.remarks_["degenerate"] = "a component collapsed"
            gm.diagnostics_[0]["state"] = "collapsed"

    monkeypatch.setattr(GaussianMixture, "_resume", resume)
    chosen = select(scan(faint), **GRID)
    assert (chosen.best_.covariance_type, chosen.best_.n_components) != ("EII", 3)
    gone = [one for one in chosen.records if (one["covariance_type"], one["n_components"]) == ("EII", 3)]
    assert (gone[0]["status"], gone[0]["reason"]) == ("collapsed", "components collapsed")
    assert [one["status"] for one in chosen.finalists].count("collapsed") == 1
    assert len(chosen.finalists) > 5
    assert np.isnan(chosen.finalists[-1]["bic"])
    assert chosen.facts()["finalists"][-1]["bic"] is None


# rows of which few tell anything, and weights in any unit -------------------------------------------------------------


@pytest.mark.parametrize("silenced", ["weights", "gaps"])
def test_a_few_rows_that_tell_something_are_found(X, tmp_path: Path, large, silenced: str) -> None:
    there = np.array([7, 4_321, 4_400, 9_990, 9_991])
    if silenced == "weights":
        w = np.isin(np.arange(len(X)), there).astype(float)
        pd.DataFrame(X, columns=NAMES).assign(w=w).to_parquet(tmp_path / "t.parquet")
        table = scan(tmp_path / "t.parquet", weight="w", batch_rows=500)
    else:
        x = np.full_like(X, np.nan)
        x[there] = X[there]
        table = scan(x, batch_rows=500)
    gm = GaussianMixture(1, covariance_type="diag").fit(table)
    assert np.allclose(gm.means_[0], X[there].mean(axis=0), rtol=1e-9)
    assert np.allclose(gm.covariances_[0], X[there].var(axis=0), rtol=1e-6)


def test_rows_at_hand_are_chosen_among_those_that_tell_something(X, large) -> None:
    x = X.copy()
    x[3_000:] = np.nan
    gm = GaussianMixture(2, random_state=0).fit(scan(x, batch_rows=500))
    alone = GaussianMixture(2, random_state=0).fit(scan(X[:3_000], batch_rows=500))
    assert np.allclose(gm.means_, alone.means_, rtol=1e-6)
    assert sum(one["distinct_rows"] for one in gm.diagnostics_) == len(held(3_000, 3))


@pytest.mark.parametrize("unit", [1e-250, 1.0, 1e250])
def test_effective_size_is_the_same_in_any_unit_of_weights(X, tmp_path: Path, large, unit: float) -> None:
    w = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    pd.DataFrame(X, columns=NAMES).assign(w=unit * w).to_parquet(tmp_path / "t.parquet")
    table = scan(tmp_path / "t.parquet", weight="w")
    gm = GaussianMixture(1).fit(table)
    loglik = w @ multivariate_normal(gm.means_[0], gm.covariances_[0]).logpdf(X)
    scale = w.sum() / (w @ w)
    expected = gm.df_ * np.log(scale * w.sum()) - 2 * scale * loglik
    assert gm.bic(table, effective_size=True) == pytest.approx(expected, rel=1e-9)
    frame = pd.DataFrame(X, columns=NAMES)
    assert gm.bic(frame, sample_weight=unit * w, effective_size=True) == pytest.approx(expected, rel=1e-9)
    chosen = select(table, [1], ["VVV"], random_state=0, effective_size=True)
    assert chosen.total_weight == pytest.approx(scale * w.sum(), rel=1e-9)


def test_units_of_which_squares_are_no_numbers_are_refused_without_a_warning(X, large) -> None:
    assert "units" in refused(lambda: GaussianMixture(2).fit(scan(X * 1e200, batch_rows=500)))
