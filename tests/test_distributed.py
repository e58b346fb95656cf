"""Fits over Dask collections: the bits of a scan of the same chunks, on a cluster of two processes and without one."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from mixtura import GaussianMixture, distributed, rows, scan
from mixtura.distributed import FAN_IN

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pytest.importorskip("distributed")

CHUNK = 300
N_CHUNKS = 2 * FAN_IN + 3


def drawn(n: int = CHUNK * N_CHUNKS - 40, d: int = 3, k: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2, d) + 3.0 * rng.integers(k, size=n)[:, None]


def cut(x: np.ndarray) -> list[np.ndarray]:
    return [x[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK)]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a few thousand rows is larger than memory."""
    monkeypatch.setattr(rows, "HELD_BYTES", 3 * 8 * 1_000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as found:
        yield found


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    from distributed import Client

    with Client(cluster) as found:
        found.wait_for_workers(2)
        yield found


def same(one: GaussianMixture, other: GaussianMixture) -> None:
    for name in ("weights_", "means_", "covariances_", "loglik_", "log_likelihood_history_", "noise_weight_"):
        assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "VEE", "EII"])
def test_a_cluster_has_the_bits_of_a_scan(client: Any, small_memory: None, covariance_type: str) -> None:
    x = drawn()
    there = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(da.from_array(x, (CHUNK, 2)))
    same(there, GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(scan(cut(x))))
    assert not hasattr(there, "labels_")


def test_gaps_and_a_background_too(client: Any, small_memory: None) -> None:
    x = drawn()
    x[np.random.default_rng(0).random(x.shape) < 0.1] = np.nan
    here = GaussianMixture(3, noise=True, random_state=0).fit(scan(cut(x)))
    same(GaussianMixture(3, noise=True, random_state=0).fit(da.from_array(x, (CHUNK, 3))), here)


def test_without_a_client_and_with_chunks_made_anew(small_memory: None) -> None:
    x = drawn()
    same(
        GaussianMixture(3, random_state=0).fit(da.from_array(x, (CHUNK, 3))),
        GaussianMixture(3, random_state=0).fit(scan(cut(x))),
    )


def test_weights_and_frames(client: Any, small_memory: None, tmp_path: Path) -> None:
    x = drawn()
    weight = np.random.default_rng(1).integers(0, 4, len(x)).astype(float)
    repeated = np.repeat(x, weight.astype(int), axis=0)
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    parts = [frame.iloc[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK)]
    table = dd.from_delayed([dask.delayed(part) for part in parts], meta=frame.iloc[:0], verify_meta=False)
    start = {"means_init": np.array([[0.0] * 3, [3.0] * 3, [6.0] * 3]), "accelerate": None, "max_iter": 3}
    with pytest.warns(ConvergenceWarning):
        found = GaussianMixture(3, **start).fit(table, sample_weight=da.from_array(weight, CHUNK))
    assert found.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.warns(ConvergenceWarning):
        same(found, GaussianMixture(3, **start).fit(table, sample_weight=weight_parts(weight)))
    with pytest.warns(ConvergenceWarning):
        expected = GaussianMixture(3, **start).fit(repeated)
    assert_allclose(found.means_, expected.means_, rtol=1e-7)
    assert_allclose(found.loglik_, expected.loglik_, rtol=1e-10)
    assert_allclose(
        found.bic(table, sample_weight=da.from_array(weight, CHUNK)), found.bic(frame, sample_weight=weight), rtol=1e-12
    )
    assert_allclose(
        found.bic(table, sample_weight=da.from_array(weight, CHUNK), effective_size=True),
        found.bic(frame, sample_weight=weight, effective_size=True),
        rtol=1e-12,
    )


def weight_parts(weight: np.ndarray) -> Any:
    return da.concatenate([da.from_array(part, -1) for part in cut(weight)])


def test_few_rows_are_fetched_and_fitted_as_an_array(client: Any) -> None:
    x = drawn()
    there = GaussianMixture(3, random_state=0).fit(da.from_array(x, (CHUNK, 3)))
    here = GaussianMixture(3, random_state=0).fit(x)
    same(there, here)
    assert_array_equal(there.labels_, here.labels_)


def test_answers_are_dask_arrays_made_where_the_chunks_are(client: Any, small_memory: None) -> None:
    x = drawn()
    x[5, 1] = np.nan
    table = da.from_array(x, (CHUNK, 3))
    gm = GaussianMixture(3, noise=True, random_state=0)
    labels = gm.fit_predict(table)
    assert isinstance(labels, da.Array)
    assert labels.chunks[0] == table.chunks[0]
    assert_array_equal(labels.compute(), gm.predict(x))
    for name in ("predict", "predict_proba", "score_samples", "pdf"):
        found = getattr(gm, name)(table)
        expected = getattr(gm, name)(x)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert_allclose(found.compute(), expected, rtol=1e-12)
    assert_allclose(gm.score(table), gm.score(x), rtol=1e-12)
    for name in ("bic", "aic", "icl"):
        assert_allclose(getattr(gm, name)(table), getattr(gm, name)(x), rtol=1e-12)


def test_predictions_go_to_a_file(client: Any, tmp_path: Path) -> None:
    x = drawn()
    gm = GaussianMixture(3, random_state=0).fit(x)
    written = gm.predict_to(tmp_path / "labels.csv", da.from_array(x, (CHUNK, 3)))
    assert_array_equal(pd.read_csv(written)["label"], gm.predict(x))


def test_float32_and_one_column(client: Any, small_memory: None) -> None:
    x = drawn()[:, 0].astype(np.float32)
    there = GaussianMixture(3, random_state=0).fit(da.from_array(x, CHUNK))
    same(there, GaussianMixture(3, random_state=0).fit(scan(cut(x))))
    assert there.means_.dtype == np.float32
    assert there.score_samples(da.from_array(x, CHUNK)).dtype == np.float32


# faults ---------------------------------------------------------------------------------------------------------------


def test_a_worker_killed_between_passes_costs_no_bit(client: Any, small_memory: None) -> None:
    x = drawn()
    expected = GaussianMixture(3, random_state=0).fit(scan(cut(x)))
    gm = GaussianMixture(3, random_state=0)
    victim = min(client.run(os.getpid).values())
    for index, _ in enumerate(gm.fit_iter(da.from_array(x, (CHUNK, 3)))):
        if index == 1:
            os.kill(victim, signal.SIGKILL)
    assert index > 2
    assert victim not in client.run(os.getpid).values()
    same(gm, expected)


def fragile(part: np.ndarray, calls: Path, fatal: int) -> np.ndarray:
    """A chunk; the worker that makes it for the ``fatal``-th time dies of it, once."""
    with calls.open("a") as file:
        file.write("x")
    if calls.stat().st_size == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


@pytest.mark.slow
@pytest.mark.parametrize("fatal", [1, 5])
def test_a_worker_killed_in_a_pass_costs_no_bit(
    client: Any, small_memory: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fatal: int
) -> None:
    monkeypatch.setattr(distributed, "KEPT", 0.0)  # chunks are made anew for each pass
    x = drawn()
    made = dask.delayed(fragile, pure=True)
    parts = [
        da.from_delayed(made(part, tmp_path / "calls", fatal if i == 5 else 0), part.shape, x.dtype)
        if i == 5
        else da.from_array(part, -1)
        for i, part in enumerate(cut(x))
    ]
    there = GaussianMixture(3, tol=1e3, random_state=0).fit(da.concatenate(parts))
    assert (tmp_path / "calls").stat().st_size > fatal
    same(there, GaussianMixture(3, tol=1e3, random_state=0).fit(scan(cut(x))))


def test_what_is_wrong_in_a_chunk_is_told_here(client: Any, small_memory: None) -> None:
    x = drawn()
    x[CHUNK * 2 + 7, 1] = np.inf
    with pytest.raises(ValueError, match="must hold finite numbers, got inf in column 1, 7 rows into chunk 2"):
        GaussianMixture(3).fit(da.from_array(x, (CHUNK, 3)))


def test_chunks_that_change_are_refused(small_memory: None, tmp_path: Path) -> None:
    x = drawn()
    calls = tmp_path / "calls"

    def shrinking(part: np.ndarray) -> np.ndarray:
        with calls.open("a") as file:
            file.write("x")
        return part if calls.stat().st_size < 5 else part[:-1]

    parts = [dask.delayed(shrinking)(part) if i == 1 else part for i, part in enumerate(cut(x))]
    table = da.concatenate([da.from_delayed(dask.delayed(part), (np.nan, 3), x.dtype) for part in parts])
    with pytest.raises(ValueError, match=f"chunk 1 had {CHUNK} rows at first and {CHUNK - 1} now"):
        GaussianMixture(3, random_state=0).fit(table)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: {"X": da.from_array(x, (CHUNK, 3)), "labels": np.zeros(len(x), int)}, "labels has an entry"),
        (lambda x: {"X": da.from_array(x[None], -1)}, "must have shape"),
        (
            lambda x: {"X": da.from_array(x, (CHUNK, 3)), "sample_weight": np.ones(3)},
            "sample_weight",
        ),
        (lambda x: {"X": da.from_array(x, (CHUNK, 3)), "sample_weight": da.ones(7, chunks=2)}, "the chunks of X"),
    ],
)
def test_what_cannot_be_used(small_memory: None, given: Callable[[np.ndarray], dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GaussianMixture(3).fit(**given(drawn()))


def test_chunks_are_not_worked_on_one_after_the_other(small_memory: None) -> None:
    with pytest.raises(ValueError, match='must not be "incremental" for a Dask collection'):
        GaussianMixture(3, accelerate="incremental").fit(da.from_array(drawn(), (CHUNK, 3)))


def test_other_columns_are_refused(small_memory: None) -> None:
    gm = GaussianMixture(2, random_state=0).fit(drawn())
    with pytest.raises(ValueError, match="2 features"):
        gm.predict(da.from_array(drawn(d=2), (CHUNK, 2)))


def test_an_array_is_cut_for_dask(small_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "CHUNK_BYTES", CHUNK * 3 * 8)
    x = drawn()
    same(
        GaussianMixture(3, engine="dask", random_state=0).fit(x),
        GaussianMixture(3, random_state=0).fit(scan(cut(x))),
    )


def test_dask_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError, match=r"mixtura\[dask\]"):
        GaussianMixture(engine="dask").fit(np.zeros((5, 1)))


TOUCHED = """
import resource, numpy as np
from contextlib import nullcontext
from mixtura.distributed import memory_kept
for context in (nullcontext, memory_kept):
    with context():
        np.ones(1 << 17)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(50):
            np.ones(1 << 17)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver()[0], reason="only the GNU C library has mallopt")
def test_memory_of_a_block_serves_the_next_in_workers_of_dask() -> None:
    surroundings = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", TOUCHED], env=surroundings, capture_output=True, text=True, check=True)
    fetched_anew, kept = map(int, done.stdout.split())
    assert fetched_anew > 50 * 200  # of 256 pages
    assert kept < fetched_anew / 10


def test_a_fit_on_a_cluster_is_kept_in_a_checkpoint(client: Any, small_memory: None, tmp_path: Path) -> None:
    x = drawn()
    path, table = tmp_path / "run.ckpt", da.from_array(x, (CHUNK, 3))
    whole = GaussianMixture(3, random_state=0).fit(table, checkpoint=path)
    same(whole, GaussianMixture(3, random_state=0).fit(table))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])  # as if killed there
    same(GaussianMixture(3, random_state=0).fit(table, checkpoint=path), whole)
    assert path.read_bytes() == content
    x[-1] += 1
    with pytest.raises(ValueError, match="another fit, which differs in X"):
        GaussianMixture(3, random_state=0).fit(da.from_array(x, (CHUNK, 3)), checkpoint=path)


def test_chunks_without_a_row_that_counts_are_left_out(small_memory: None) -> None:
    x = drawn()
    x[CHUNK : 2 * CHUNK] = np.nan
    weight = np.ones(len(x))
    weight[4 * CHUNK : 5 * CHUNK] = 0
    there = GaussianMixture(3, tol=1e-9, random_state=0).fit(da.from_array(x, (CHUNK, 3)), sample_weight=weight)
    kept = np.r_[0:CHUNK, 2 * CHUNK : 4 * CHUNK, 5 * CHUNK : len(x)]
    here = GaussianMixture(3, tol=1e-9, random_state=0).fit(x[kept])
    assert_allclose(np.sort(there.means_, axis=0), np.sort(here.means_, axis=0), rtol=1e-6)
    assert_allclose(there.score(x[kept]) * len(kept), there.loglik_, rtol=1e-10)


def test_a_few_rows_that_tell_something_are_found_in_chunks(small_memory: None) -> None:
    x = drawn()
    x[1_500:] = np.nan
    same(
        GaussianMixture(3, random_state=0).fit(da.from_array(x, (CHUNK, 3))),
        GaussianMixture(3, random_state=0).fit(scan(cut(x))),
    )


def test_blocks_in_turn_are_not_for_a_cluster(small_memory: None) -> None:
    with pytest.raises(ValueError, match="one after the other"):
        GaussianMixture(3, accelerate="incremental").fit(da.from_array(drawn(), (CHUNK, 3)))


@pytest.mark.parametrize("dtype", [object, str])
def test_answers_for_numbers_of_any_kind(small_memory: None, dtype: Any) -> None:
    x = drawn()
    gm = GaussianMixture(3, random_state=0).fit(x)
    np.testing.assert_array_equal(gm.predict(da.from_array(x, (CHUNK, 3)).astype(dtype)).compute(), gm.predict(x))


def test_chunks_are_learnt_as_batches(small_memory: None) -> None:
    x, weight = drawn(), np.arange(len(drawn())) % 3 / 2.0
    there = GaussianMixture(3, random_state=0).partial_fit(
        da.from_array(x, (CHUNK, 3)), sample_weight=da.from_array(weight, CHUNK)
    )
    here = GaussianMixture(3, random_state=0)
    for begin in range(0, len(x), CHUNK):
        here.partial_fit(x[begin : begin + CHUNK], sample_weight=weight[begin : begin + CHUNK])
    assert there.n_iter_ == here.n_iter_
    np.testing.assert_array_equal(there.means_, here.means_)
