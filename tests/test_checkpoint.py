"""Checkpoints and interrupts: a fit that is killed and resumed has the bits of one that nothing happened to."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mixtura import GaussianMixture, Mixture, checkpoint, engine, initialize, rows, runs, scan, start
from mixtura.checkpoint import Journal, digest, packed, unpacked
from mixtura.cli import main
from mixtura.priors import EigenvalueRatio
from mixtura.sources import Streamed, surveyed
from mixtura.statistics import Partial, Statistics
from refusing import refused

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")

COMPARED = (
    "means_",
    "covariances_",
    "weights_",
    "loglik_",
    "log_likelihood_history_",
    "lower_bounds_",
    "n_iter_",
    "stop_reason_",
    "noise_weight_",
    "restarts_",
)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (900, 2)), rng.normal(2.5, 1.5, (600, 2))])
    return x[rng.permutation(len(x))]


@pytest.fixture
def large(monkeypatch):
    """Memory for 512 rows of two features."""
    monkeypatch.setattr(rows, "HELD_BYTES", 1 << 13)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


def fitted(data: Any, path: Path | None = None, *, beside: dict[str, Any] | None = None, **parameters: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(2, **{"random_state": 0, **parameters}).fit(data, checkpoint=path, **(beside or {}))


def assert_same_bits(one: GaussianMixture, two: GaussianMixture) -> None:
    for name in COMPARED:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), name)
    assert hasattr(one, "labels_") == hasattr(two, "labels_")
    if hasattr(one, "labels_"):
        np.testing.assert_array_equal(one.labels_, two.labels_)
    assert [one["accelerated"] for one in one.history_] == [one["accelerated"] for one in two.history_]


KINDS = {
    "full": {},
    "tied": {"covariance_type": "tied"},
    "diag": {"covariance_type": "diag"},
    "VEE": {"covariance_type": "VEE"},
    "plain EM": {"accelerate": None, "max_iter": 12},
    "SQUAREM": {"accelerate": "squarem"},
    "two starts": {"n_init": 2},
    "noise": {"noise": True},
    "prior": {"prior": EigenvalueRatio(10.0)},
    "drop": {"on_degenerate": "drop"},
    "means given": {"means_init": [[0, 0], [3, 3]]},
    "fixed": {"means_init": [[0, 0], [3, 3]], "fixed": {"means": [True, False]}},
    "serial": {"n_jobs": 1},
}


# resuming -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("streamed", [False, True], ids=["array", "scan"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_is_cut_off_goes_on_to_the_same_bits(X, path, monkeypatch, kind: str, streamed: bool, gaps: bool):
    if streamed:
        monkeypatch.setattr(rows, "HELD_BYTES", 1 << 13)
    x = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X) if gaps else X
    data = scan(x, batch_rows=200) if streamed else x
    own = {"max_iter": 20, **KINDS[kind]}
    plain = fitted(data, **own)
    assert_same_bits(plain, fitted(data, path, **own))
    whole = path.read_bytes()
    for part in (0.0, 0.3, 0.6, 0.999):
        path.write_bytes(whole[: int(part * len(whole))])
        assert_same_bits(plain, fitted(data, path, **{**own, "n_jobs": 1 if part == 0.3 else 2}))
        again = path.read_bytes()
        assert again == whole or part == 0.0  # a new file has a name of its own
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("n_init", ["auto", 2])
def test_starts_that_are_carried_on_over_parts_of_the_rows(X, path, monkeypatch, n_init: int | str) -> None:
    monkeypatch.setattr(initialize, "SAMPLE_ROWS", 100)
    monkeypatch.setattr(start, "GROWTH", 2)
    asked = []
    part = rows.InMemory.part
    monkeypatch.setattr(rows.InMemory, "part", lambda self, n, rng: asked.append(n) or part(self, n, rng))
    plain = fitted(X, n_init=n_init)
    assert asked
    fitted(X, path, n_init=n_init)
    whole = path.read_bytes()
    for share in np.linspace(0, 1, 12):
        path.write_bytes(whole[: int(share * len(whole))])
        assert_same_bits(plain, fitted(X, path, n_init=n_init))


@pytest.mark.parametrize(
    "beside",
    [
        {"sample_weight": np.arange(1500) % 4},
        {"labels": np.where(np.arange(1500) % 7 == 0, 1, -1)},
        {"error_covariance": np.linspace(0.2, 0.4, 3000).reshape(1500, 2)},
    ],
    ids=lambda beside: next(iter(beside)),
)
def test_what_rows_have_beside_them(X, path, beside) -> None:
    plain = fitted(X, beside=beside)
    fitted(X, path, beside=beside)
    path.write_bytes(path.read_bytes()[:-500])
    assert_same_bits(plain, fitted(X, path, beside=beside))
    name, value = next(iter(beside.items()))
    value = value.copy()
    value[3] = value[0]
    assert f"differs in {name}:" in refused(lambda: fitted(X, path, beside={name: value}))


@pytest.mark.slow
def test_a_tail_of_any_length_is_cut_off(X, path) -> None:
    own = {"means_init": [[0, 0], [3, 3]], "max_iter": 3, "accelerate": None, "n_jobs": 1}
    plain = fitted(X, path, **own)
    whole = path.read_bytes()
    ends = len(whole) - np.unique(np.concatenate([np.arange(700), np.arange(0, len(whole) + 1, 29)]))
    for end in ends:
        path.write_bytes(whole[:end])
        assert_same_bits(plain, fitted(X, path, **own))
    for place in np.arange(len(whole) - 900, len(whole), 50):  # and what is damaged does not count
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert_same_bits(plain, fitted(X, path, **own))


@pytest.mark.parametrize("streamed", [False, True], ids=["array", "scan"])
def test_a_fit_that_was_finished_is_there_at_once(X, path, monkeypatch, streamed: bool) -> None:
    monkeypatch.setattr(rows, "HELD_BYTES", 1 << 13)
    data = scan(X, batch_rows=200) if streamed else X
    plain, before = fitted(data, path), path.read_bytes()
    monkeypatch.setattr(Journal, "add", lambda *_: pytest.fail("a sum was made"))
    assert_same_bits(plain, fitted(data, path))
    assert path.read_bytes() == before


def test_the_seed_is_in_the_file(X, path) -> None:
    plain = fitted(X, path, random_state=None)
    path.write_bytes(path.read_bytes()[:-2_000])
    assert_same_bits(plain, fitted(X, path, random_state=None))
    assert "random_state" in refused(lambda: fitted(X, path, random_state=3))
    path.unlink()
    plain = fitted(X, path, random_state=np.random.default_rng(7))
    assert_same_bits(plain, fitted(X, path, random_state=np.random.default_rng(7)))
    assert "random_state" in refused(lambda: fitted(X, path, random_state=None))


# on the way through a pass --------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The end of a process, for tests that go on."""


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ["scan", "array", "gaps"])
def test_a_pass_goes_on_where_it_was_kept(path, monkeypatch, kind: str, n_jobs: int) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, 1, (30_000, 3)), rng.normal(3, 1, (30_000, 3))])
    if kind == "gaps":
        x[rng.random(x.shape) < 0.05] = np.nan
    if kind == "scan":
        monkeypatch.setattr(rows, "HELD_BYTES", 1 << 16)
    data = scan(x, batch_rows=5_000) if kind == "scan" else x
    own = {"means_init": [[0, 0, 0], [3, 3, 3]], "max_iter": 2, "n_jobs": n_jobs}
    plain = fitted(data, **own)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    keep, go_on = Journal.keep, engine.Keeping.go_on
    left, begun = [0], []

    def kept(self, *arguments):
        keep(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    def watched(self, function, blocks, total):
        begun.append(self.done)
        go_on(self, function, blocks, total)

    monkeypatch.setattr(Journal, "keep", kept)
    monkeypatch.setattr(engine.Keeping, "go_on", watched)
    for _ in range(100):  # each process comes some blocks further, and dies
        left[0] = 3
        before = len(begun)
        try:
            found = fitted(data, path, **own)
        except Killed:
            assert len(begun) > before
        else:
            break
    assert_same_bits(plain, found)
    assert max(begun) >= 3  # so some were in the middle
    assert os.listdir(path.parent) == [path.name]


def test_what_was_kept_for_another_run_is_not_used(X, path, large, monkeypatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    data = scan(X, batch_rows=200)
    way = Path(f"{path}.pass")
    monkeypatch.setattr(Journal, "finish", lambda self, whole: None)
    plain = fitted(data, path, max_iter=5)
    left = way.read_bytes()
    whole = path.read_bytes()
    for text in (left, left[:-1], b"", b"something else"):
        way.write_bytes(text)
        path.write_bytes(whole[:-1_000])
        assert_same_bits(plain, fitted(data, path, max_iter=5))
        path.unlink()
        way.write_bytes(text)
        assert_same_bits(plain, fitted(data, path, max_iter=5))


# killed ---------------------------------------------------------------------------------------------------------------

CHILD = """
import os, signal, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
from mixtura import GaussianMixture, checkpoint, rows, scan

rows.HELD_BYTES = 1 << 13
streamed, folder = sys.argv[1] == "scan", sys.argv[2]
parameters = eval(sys.argv[3])
X = np.load(folder + "/x.npy")
data = scan(folder + "/x.npy", batch_rows=200) if streamed else X


class Dying:
    # A file that the process dies over: when it writes the frame number ``at``, after a part of it.

    def __init__(self, file, at, part):
        self.file, self.at, self.part = file, at, part

    def write(self, data):
        self.at -= 1
        if self.at == 0:
            self.file.write(data[: int(self.part * len(data))])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def child(name, at, part):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    status = 1
    try:
        begin = checkpoint.Journal.begin

        def dying(self, *arguments):
            entropy = begin(self, *arguments)
            self.file = Dying(self.file, at, part)
            return entropy

        checkpoint.Journal.begin = dying
        gm = GaussianMixture(2, random_state=0, **parameters).fit(data, checkpoint=f"{folder}/{name}.ckpt")
        np.savez(f"{folder}/{name}.npz", means=gm.means_, covariances=gm.covariances_, weights=gm.weights_,
                 history=gm.log_likelihood_history_, n_iter=gm.n_iter_, loglik=gm.loglik_)
        status = 0
    finally:
        os._exit(status)


def same(name):
    one, two = np.load(f"{folder}/whole.npz"), np.load(f"{folder}/{name}.npz")
    assert all(np.array_equal(one[key], two[key]) for key in one), name


assert child("whole", 0, 0) == 0
at = 1
while True:  # killed once, at each frame, which is not there, is torn, or is whole
    part, name = at % 3 / 2, f"once-{at}"
    died = child(name, at, part)
    if not died:
        break
    assert died == signal.SIGKILL, died
    assert child(name, 0, 0) == 0
    same(name)
    at += 1
deaths = 0
while child("often", 2, 0.5 * (deaths % 2)):  # killed again and again, one frame further each time
    deaths += 1
same("often")
print(at, deaths)
"""


@posix
@pytest.mark.parametrize(
    ("streamed", "parameters"),
    [
        ("scan", {"covariance_type": "full", "n_jobs": 2}),
        ("scan", {"covariance_type": "tied", "n_jobs": 1, "noise": True}),
        ("array", {"n_init": 2, "n_jobs": 2, "accelerate": None, "max_iter": 10}),
    ],
    ids=["scan", "tied with noise", "array"],
)
@pytest.mark.slow
def test_killed_at_every_frame(X, tmp_path: Path, streamed: str, parameters: dict[str, Any]) -> None:
    np.save(tmp_path / "x.npy", X)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, streamed, str(tmp_path), repr(parameters)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    frames, deaths = map(int, done.stdout.split())
    assert frames > 10
    assert deaths == frames - 2


RUN = """
import sys, signal, warnings
import numpy as np
from mixtura import GaussianMixture, checkpoint, rows, scan
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
rows.HELD_BYTES = 1 << 16
checkpoint.EVERY = 0.02
folder, path, out = sys.argv[1:4]
parameters = eval(sys.argv[4])
print("begins", flush=True)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    gm = GaussianMixture(3, random_state=0, tol=0.0, **parameters).fit(
        scan(folder + "/x.npy", batch_rows=4_000), checkpoint=path or None)
np.savez(out, means=gm.means_, covariances=gm.covariances_, weights=gm.weights_, history=gm.log_likelihood_history_,
         n_iter=gm.n_iter_, loglik=gm.loglik_)
print(gm.stop_reason_, gm.converged_, [str(one.message) for one in said], flush=True)
"""


def program(*arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    started = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "begins\n"
    return started


@posix
@pytest.mark.slow
def test_killed_at_any_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    np.save(tmp_path / "x.npy", np.concatenate([rng.normal(i, 1, (50_000, 4)) for i in range(3)]))
    own = {"max_iter": 120, "n_jobs": 2, "accelerate": None}
    whole = program(tmp_path, "", tmp_path / "whole.npz", own)
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    deaths = 0
    while True:
        one = program(tmp_path, tmp_path / "run.ckpt", tmp_path / "out.npz", own)
        wait = 0.6 + 0.5 * rng.random()
        try:
            one.wait(wait if deaths < 20 else None)
        except subprocess.TimeoutExpired:
            one.kill()
        _, err = one.communicate()
        if one.returncode == 0:
            break
        assert one.returncode == -signal.SIGKILL, err
        deaths += 1
    assert deaths > 1
    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "out.npz") as found:
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key], key)


# what can be wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"tol": 1e-4}, "tol"),
        ({"covariance_type": "tied"}, "covariance_type"),
        ({"n_init": 2}, "n_init"),
        ({"random_state": 1}, "random_state"),
        ({"means_init": [[0, 0], [1, 1]]}, "means_init"),
        ({"prior": EigenvalueRatio(10.0)}, "prior"),
        ({"init": lambda X, k, rng: rng.dirichlet(np.ones(k), len(X))}, "init"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_fit_is_refused(X, path, changed: dict[str, Any], name: str) -> None:
    fitted(X, path)
    before = path.read_bytes()
    message = refused(lambda: fitted(X, path, **changed))
    assert f"{path} is the checkpoint of another fit, which differs in {name}:" in message
    assert path.read_bytes() == before


def test_other_rows_are_refused(X, path, tmp_path: Path, large) -> None:
    fitted(X, path)
    other = X.copy()
    other[-1, 1] = np.nextafter(other[-1, 1], 9)
    for x in (other, X[:-1], X[::-1], X.astype(np.float32)):
        assert "differs in X:" in refused(lambda x=x: fitted(x, path))
    assert_same_bits(fitted(X, path), fitted(np.asfortranarray(X), path))
    path.unlink()

    fitted(scan(X, batch_rows=200), path)  # every row of what has no stamp
    assert "differs in X:" in refused(lambda: fitted(scan(other, batch_rows=200), path))
    assert "differs in X:" in refused(lambda: fitted(scan(X, batch_rows=210), path))
    assert "differs in" in refused(lambda: fitted(X, path))
    path.unlink()

    np.save(tmp_path / "x.npy", X)
    fitted(scan(tmp_path / "x.npy", batch_rows=200), path)
    fitted(scan(tmp_path / "x.npy", batch_rows=200), path)
    np.save(tmp_path / "x.npy", other)
    os.utime(tmp_path / "x.npy", (1, 1))
    assert "differs in X:" in refused(lambda: fitted(scan(tmp_path / "x.npy", batch_rows=200), path))


def test_the_fit_to_start_from_counts(X, path) -> None:
    gm = GaussianMixture(2, random_state=0, warm_start=True, max_iter=3, accelerate=None)
    with pytest.warns(ConvergenceWarning):
        gm.fit(X)
    own = gm.mixture_
    with pytest.warns(ConvergenceWarning):
        gm.fit(X, checkpoint=path)
    assert "the fit to start from" in refused(lambda: gm.fit(X, checkpoint=path))
    again = GaussianMixture.from_mixture(own).set_params(**gm.get_params())
    with pytest.warns(ConvergenceWarning):
        again.fit(X, checkpoint=path)
    np.testing.assert_array_equal(again.means_, gm.means_)


def test_files_that_are_something_else(X, path, tmp_path: Path) -> None:
    for text in (b"a,b\n1,2\n", b"mixtura checkpoint 9\n", b"x"):
        path.write_bytes(text)
        assert "is not a checkpoint of this version" in refused(lambda: fitted(X, path))
        assert path.read_bytes() == text
    assert "it is a folder" in refused(lambda: fitted(X, tmp_path))
    assert "does not exist" in refused(lambda: fitted(X, tmp_path / "none" / "run.ckpt"))
    if os.name == "posix":
        assert "a checkpoint must be a file" in refused(lambda: fitted(X, Path(os.devnull)))
    assert "truncate must be None" in refused(lambda: fitted(X, tmp_path / "new.ckpt", truncate=1))
    assert not (tmp_path / "new.ckpt").exists()
    for table in (X, scan(X, batch_rows=100)):
        assert "incremental" in refused(fitted, table, tmp_path / "new.ckpt", accelerate="incremental")


def test_sums_of_another_course_are_refused(X, path, monkeypatch) -> None:
    fitted(X, path)
    path.write_bytes(path.read_bytes()[:-1_000])
    sample = rows.InMemory.sample
    monkeypatch.setattr(rows.InMemory, "sample", lambda self, n, rng: sample(self, n // 50, rng))  # other starts
    assert "does not go with this fit from sum" in refused(lambda: fitted(X, path))


def whole_frames(path: Path) -> int:
    """Where the last whole frame of a file ends."""
    end, size = len(checkpoint.MAGIC), path.stat().st_size
    with open(path, "rb") as file:
        while (payload := checkpoint.payload_at(file, end, size)) is not None:
            end += checkpoint.FRAME.size + len(payload)
    return end


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_full_disk_leaves_whole_frames(X, path, monkeypatch, n_jobs: int) -> None:
    plain = fitted(X, path)
    begin = Journal.begin
    for room in (0, 1, 500, 1_500, 5_000):
        path.unlink()
        held = []

        def full(self, *arguments, room=room, held=held):
            entropy = begin(self, *arguments)
            held.append(self.end)
            self.file = Full(self.file, room)
            return entropy

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "begin", full)
            message = refused(lambda: fitted(X, path, n_jobs=n_jobs))
        assert message.startswith(f"cannot write {path}: no space left on device")
        before = path.read_bytes()
        assert held[0] <= len(before) <= held[0] + room
        assert whole_frames(path) == len(before)
        assert_same_bits(plain, fitted(X, path, n_jobs=n_jobs))
        assert path.read_bytes()[: len(before)] == before  # nothing of it was torn


FULL = """
import resource, sys
import numpy as np
from mixtura import GaussianMixture
X = np.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    GaussianMixture(2, random_state=0).fit(X, checkpoint=sys.argv[2])
except ValueError as error:
    print(error)
"""


@posix
def test_a_file_that_may_not_grow(X, path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "x.npy", path, "6000"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.startswith(f"cannot write {path}: file too large; it holds what was done before: make room")
    assert 3_000 < path.stat().st_size <= 6_000
    assert_same_bits(fitted(X), fitted(X, path))


# interrupted ----------------------------------------------------------------------------------------------------------


class Interrupting:
    """Passes over the rows of which one is interrupted, in the middle of its sums."""

    def __init__(self, monkeypatch, n_rows: int) -> None:
        self.left, self.n_rows = 0, n_rows
        over, turn = rows.InMemory.summed, threading.Lock()

        def summed(source, on, of_part):
            if source.n_rows != n_rows:
                return over(source, on, of_part)
            with turn:  # runs are side by side, and one of them has to be the last
                self.left -= 1
                last = self.left == 0
            found = over(source, on, of_part)
            if last:
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(rows.InMemory, "summed", summed)


@pytest.mark.parametrize("accelerate", [None, "lbfgs", "squarem"])
@pytest.mark.parametrize("kept", [False, True], ids=["", "checkpoint"])
def test_an_interrupt_returns_the_best_so_far(X, path, monkeypatch, kept: bool, accelerate: str | None) -> None:
    own = {"means_init": [[0, 0], [1, 1]], "accelerate": accelerate}
    plain = fitted(X, **own)
    passes = Interrupting(monkeypatch, len(X))
    n_updates = []
    for after in range(1, 30):
        passes.left = after
        gm = GaussianMixture(2, random_state=0, **own)
        if after <= 3:  # two passes for the moments, and the first at the start
            with pytest.raises(KeyboardInterrupt):
                gm.fit(X, checkpoint=path if kept else None)
            assert not hasattr(gm, "means_")
        else:
            with pytest.warns(ConvergenceWarning, match=r"^the fit was interrupted after \d+ update.*warm_start=True"):
                gm.fit(X, checkpoint=path if kept else None)
            assert gm.stop_reason_ == "interrupted"
            assert not gm.converged_
            assert set(gm.remarks_) == {"convergence"}
            history = gm.log_likelihood_history_
            assert history == plain.log_likelihood_history_[: len(history)]
            assert gm.score(X) * len(X) == pytest.approx(gm.loglik_, rel=1e-12)
            assert gm.loglik_ == max(history)
            assert gm.restarts_[0]["outcome"] == "interrupted"
            n_updates.append(gm.n_iter_)
        if kept:
            passes.left = 0
            path.unlink() if after % 5 else assert_same_bits(plain, fitted(X, path, **own))
            path.unlink(missing_ok=True)
    assert n_updates == sorted(n_updates)
    assert n_updates[0] == 0
    assert n_updates[-1] > 10


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_interrupt_of_one_of_several_runs(X, monkeypatch, n_jobs: int) -> None:
    passes = Interrupting(monkeypatch, len(X))
    threads = threading.active_count()
    for after in (4, 9, 40, 120):
        passes.left = after
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            gm = GaussianMixture(3, random_state=0, n_init=4, tol=0.0, n_jobs=n_jobs).fit(X)
        assert gm.stop_reason_ == "interrupted"
        best = max(gm.restarts_, key=lambda one: (-one["degenerate"], one["objective"]))
        assert gm.loglik_ == best["objective"]
        assert sum(one["outcome"] == "interrupted" for one in gm.restarts_) in range(1, 2 if n_jobs == 1 else 5)
        if n_jobs == 1:
            assert [one["outcome"] for one in gm.restarts_][:-1] == ["converged"] * (len(gm.restarts_) - 1)
    assert threading.active_count() <= threads + 4 * 3  # pools of estimators that are not collected yet: idle


def test_a_run_that_fails_ends_those_beside_it(X, monkeypatch) -> None:
    whole, begun, turn = runs.carried, [], threading.Lock()

    def carried(*given):
        with turn:
            begun.append(None)
            fourth = len(begun) == 4  # it begins when the first is over; the longest has half of its way to go
        if fourth:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(runs, "carried", carried)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        gm = GaussianMixture(3, random_state=0, n_init=4, tol=0.0, n_jobs=3).fit(X)
    assert gm.restarts_[0]["outcome"] == "converged"
    assert "interrupted" in [one["outcome"] for one in gm.restarts_]


def test_an_interrupt_goes_out_where_many_fits_are_made(X, monkeypatch) -> None:
    from mixtura import fit_many, select

    passes = Interrupting(monkeypatch, len(X))
    for call in (
        lambda: list(GaussianMixture(2, random_state=0, means_init=[[0, 0], [1, 1]]).fit_iter(X)),
        lambda: select(X, [2], ["full"], random_state=0),
    ):
        passes.left = 5
        with pytest.raises(KeyboardInterrupt):
            call()
    assert len(fit_many([X], 1)) == 1


def test_an_interrupt_while_components_are_dropped(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(300, 2)), np.zeros((40, 2))])
    own = {"on_degenerate": "drop", "means_init": [[0.5, 0.5], [0, 0]]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = GaussianMixture(2, **own).fit(x)
        assert len(whole.means_) == 1
        passes = Interrupting(monkeypatch, len(x))
        outcomes = set()
        for after in range(4, 60):
            passes.left = after
            gm = GaussianMixture(2, **own).fit(x)
            outcomes.add((len(gm.means_), str(gm.stop_reason_)))
    assert (2, "interrupted") in outcomes
    assert (1, "interrupted") in outcomes or whole.n_iter_ == 0


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_threads_end_when_the_one_that_waits_is_interrupted(n_jobs: int) -> None:
    on = engine.make_engine("threads", n_jobs)
    main, done = threading.current_thread(), []

    def work(index: int) -> int:
        time.sleep(0.002)
        if threading.current_thread() is main and index > 5:
            raise KeyboardInterrupt
        return index

    with pytest.raises(KeyboardInterrupt):
        on.each(work, range(10_000), done.append)
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 5_000
    on.each(lambda index: index, range(100), done.append)  # and the pool is as good as before
    assert done[count:] == list(range(100))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_pass_that_is_broken_off_closes_what_it_reads(X, large, n_jobs: int) -> None:
    table = scan(X, batch_rows=100)
    source, before = Streamed(surveyed(table), table), threading.enumerate()

    def failing(part: rows.InMemory, _: object) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:
        source.summed(engine.make_engine("auto", n_jobs), failing)
    assert held.value.__traceback__ is not None  # and even while somebody holds the frames
    added = [one for one in threading.enumerate() if one not in before]
    assert not [one.name for one in added if one.name.startswith("mixtura-read")]


def test_a_lock_that_an_interrupt_left_is_given_back() -> None:
    shared = engine._Shared(iter(()), lambda _: None, 4)
    shared.turn.acquire()
    shared.fail(KeyboardInterrupt())
    got = []
    helper = threading.Thread(target=lambda: got.append(shared.turn.acquire(timeout=5)))
    helper.start()
    helper.join()
    assert got == [True]


@posix
@pytest.mark.parametrize("own", [{}, {"n_init": 3}, {"n_jobs": 1}], ids=["", "three starts", "serial"])
@pytest.mark.slow
def test_the_signal_of_ctrl_c(tmp_path: Path, own: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    np.save(tmp_path / "x.npy", np.concatenate([rng.normal(i, 1, (50_000, 4)) for i in range(3)]))
    own = {"max_iter": 40, "n_jobs": 2, "accelerate": None, **own}
    one = program(tmp_path, tmp_path / "run.ckpt", tmp_path / "out.npz", own)
    while not (tmp_path / "run.ckpt").exists() or (tmp_path / "run.ckpt").stat().st_size < 20_000:
        time.sleep(0.01)
    one.send_signal(signal.SIGINT)
    said, err = one.communicate(timeout=60)
    assert one.returncode == 0, err
    assert said.startswith("interrupted False ['the fit was interrupted after ")
    with np.load(tmp_path / "out.npz") as found:
        interrupted = found["history"]
        assert found["loglik"] == interrupted.max()
    for path, out in ((tmp_path / "run.ckpt", "resumed"), ("", "whole")):
        another = program(tmp_path, path, tmp_path / f"{out}.npz", own)
        said, err = another.communicate()
        assert another.returncode == 0, err
    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "resumed.npz") as found:
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key], key)
        if "n_init" not in own:
            np.testing.assert_array_equal(interrupted, expected["history"][: len(interrupted)])


# the file -------------------------------------------------------------------------------------------------------------


def test_sums_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(4, 7)), rng.normal(size=(7, 4)).T, np.array([[np.nan, -0.0, np.inf, 5e-324]])]
    for table in tables:
        one = Partial(0.1, float("nan"), table, -0.0)
        head, (found,) = unpacked(packed({"question": "x"}, [one]))
        assert head == {"question": "x"}
        assert found.table.tobytes() == table.tobytes()
        assert found.table.strides == table.strides
        assert repr((found.objective, found.count, found.background)) == repr((0.1, float("nan"), -0.0))
    center = np.zeros((2, 3))
    one = Statistics(1.0, 2.0, np.ones(2), center, np.broadcast_to(np.eye(3), (2, 3, 3)), center, background=0.5)
    _, (found, other) = unpacked(packed({}, [one, one]))
    assert found.white is None
    assert found.background == 0.5
    np.testing.assert_array_equal((found + other).second, 2 * np.array([np.eye(3)] * 2))


def test_nothing_in_a_file_is_executed(X, path) -> None:
    fitted(X, path)
    frame = path.read_bytes()[len(checkpoint.MAGIC) + checkpoint.FRAME.size :]
    line = frame.partition(b"\n")[0]
    assert set(json.loads(line)) == {"run", "fingerprint", "drawn", "entropy", "sums"}
    forged = packed({}, [Partial(0.0, 1.0, np.zeros(2), 0.0)]).replace(b'"<f8"', b'"|O" ')
    with pytest.raises(ValueError, match="expected arrays of numbers"):
        unpacked(forged)
    with pytest.raises(KeyError):
        unpacked(forged.replace(b'"Partial"', b'"os.system"'))


def test_a_digest_tells_values_apart() -> None:
    model = Mixture([0.5, 0.5], [[0.0], [1.0]], [1.0, 1.0])
    other = Mixture([0.5, 0.5], [[0.0], [np.nextafter(1.0, 2.0)]], [1.0, 1.0])
    values = [None, 0, 1, 1.0, "1", True, [1], (1, 1), {"a": 1}, np.ones(2), np.ones((2, 1)), np.ones(2, np.float32)]
    values += [model, other, EigenvalueRatio(2.0), EigenvalueRatio(3.0), np.sum, refused, np.zeros(0)]
    found = [digest(value) for value in values]
    assert len(set(found)) == len(found)
    large = np.arange(9_000_000, dtype=np.float32).reshape(-1, 3)
    assert digest(large) == digest(np.asfortranarray(large))
    assert "got object" in refused(lambda: digest(object()))


@pytest.mark.parametrize("half", [True, False])
def test_the_command_goes_on(X, tmp_path: Path, capsys, half: bool) -> None:
    np.save(tmp_path / "x.npy", X)
    path = tmp_path / "run.ckpt"
    command = ["fit", str(tmp_path / "x.npy"), "-k", "2", "--json", "--checkpoint", str(path)]
    assert main(command) == 0
    first, whole = capsys.readouterr().out, path.read_bytes()
    if half:
        path.write_bytes(whole[: len(whole) // 2])
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert path.read_bytes() == whole
    command[3] = "3"
    assert main(command) == 1
    assert "is the checkpoint of another fit, which differs in n_components" in capsys.readouterr().err


def test_a_command_that_is_interrupted_says_so(X, tmp_path: Path, monkeypatch, capsys) -> None:
    np.save(tmp_path / "x.npy", X)
    Interrupting(monkeypatch, len(X)).left = 8
    assert main(["fit", str(tmp_path / "x.npy"), "-k", "2", "--out", str(tmp_path / "m.json")]) == 130
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "m.json").exists()
