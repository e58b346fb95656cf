"""Files are read or refused in one sentence, and written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixtura import io
from refusing import names_in, refused

finite = st.floats(allow_nan=False, allow_infinity=False)


# Writing -----------------------------------------------------------------------------------------


def test_write_whole_makes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    assert io.write_whole(target, "eins\n") == target
    assert target.read_bytes() == b"eins\n"
    assert io.write_whole(str(target), b"\x00\xff") == target
    assert target.read_bytes() == b"\x00\xff"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, SystemExit, OSError])
def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path, raised: type) -> None:
    target = io.write_whole(tmp_path / "a.txt", "old")

    def fail_halfway() -> None:
        with io.replacing(target) as file:
            file.write(b"half")
            raise raised

    with pytest.raises(ValueError if raised is OSError else raised):
        fail_halfway()
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    sentence = refused(io.write_whole, tmp_path / "a.txt", "new")
    assert "no space left on device" in sentence
    assert "a.txt" in sentence
    assert ".part" not in sentence
    assert names_in(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is a folder" in refused(io.write_whole, tmp_path, "")
    absent = tmp_path / "absent"
    assert f"{absent} does not exist" in refused(io.write_whole, absent / "a.txt", "")
    # A test may run as a user who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "permission denied" in refused(io.write_whole, tmp_path / "a.txt", "")
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_those_of_the_user_or_of_the_old_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    new = io.write_whole(tmp_path / "new", "")
    assert new.stat().st_mode == plain.stat().st_mode
    new.chmod(0o640)
    io.write_whole(new, "again")
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_are_followed_and_pipes_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "a.txt"
    link.symlink_to(target)
    io.write_whole(link, "through")
    assert link.is_symlink()
    assert target.read_text() == "through"

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    io.write_whole(pipe, "flows")
    reader.join()
    assert got == ["flows"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


# Models ------------------------------------------------------------------------------------------

MODEL: dict[str, Any] = {
    "layout": "dense",
    "shared": False,
    "weights": [0.25, 0.75],
    "means": [[0.0, 1.0], [2.0, 3.0]],
    "covariances": [[[1.0, 0.5], [0.5, 2.0]], [[1.0, 0.0], [0.0, 1.0]]],
}
FIT: dict[str, Any] = {
    "loglik": -12.5,
    "n_rows": 10,
    "total_weight": 10.0,
    "n_iter": 3,
    "converged": True,
    "stop_reason": "converged",
    "df": 11,
    "tol": 1e-3,
    "random_state": None,
    "version": "0.1.0",
}
FULL = {
    **MODEL,
    "covariance_type": "full",
    "mixing": "free",
    "feature_names": ["a", "b"],
    "fit": FIT,
}


@pytest.mark.parametrize("document", [MODEL, FULL])
def test_a_model_reads_back(tmp_path: Path, document: dict[str, Any]) -> None:
    path = io.write_model(tmp_path / "m.json", document)
    assert io.read_model(path) == {
        "format": "mixtura/1",
        "whiteners": None,
        "background": None,
        "covariance_type": None,
        "mixing": None,
        "feature_names": None,
        "fit": None,
        **document,
    }
    # Any reader of JSON can read it.
    assert json.loads(path.read_text())["format"] == "mixtura/1"


@given(st.lists(finite, min_size=1, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_bit_of_a_number_survives(tmp_path: Path, numbers: list[float]) -> None:
    means = np.array([numbers])
    document = {
        "layout": "diagonal",
        "shared": False,
        "weights": np.ones(1),
        "means": means,
        "covariances": np.ones_like(means),
    }
    back = io.read_model(io.write_model(tmp_path / "m.json", document))
    assert np.array(back["means"]).tobytes() == means.tobytes()


@pytest.mark.parametrize("layout", ["dense", "diagonal"])
def test_one_covariance_can_serve_all(tmp_path: Path, layout: str) -> None:
    entry = [[1.0, 0.0], [0.0, 1.0]] if layout == "dense" else [1.0, 1.0]
    document = MODEL | {"layout": layout, "shared": True, "covariances": [entry]}
    path = io.write_model(tmp_path / "m.json", document)
    assert io.read_model(path)["covariances"] == [entry]
    wrong = document | {"covariances": [entry, entry]}
    assert "covariances must have shape" in refused(io.write_model, path, wrong)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"format": "mixtura/2"}, "expected format"),
    ({"layout": "sparse"}, "layout must be"),
    ({"layout": ["dense"]}, "layout must be"),
    ({"shared": 0}, "shared must be"),
    ({"weights": []}, "expected K weights"),
    ({"weights": [1.0]}, "expected K weights"),
    ({"weights": ["0.5", "0.5"]}, "weights must be a full array of numbers"),
    ({"weights": [None, 1.0]}, "weights must be a full array of numbers"),
    ({"weights": [10**400, 1.0]}, "weights must be"),
    ({"means": [[0.0, 1.0], [2.0]]}, "means must be a full array of numbers"),
    ({"means": [0.0, 1.0]}, "expected K weights"),
    ({"means": {"a": 1}}, "means must be a full array of numbers"),
    ({"covariances": [[1.0, 1.0], [1.0, 1.0]]}, "covariances must have shape"),
    ({"whiteners": [[1.0, 1.0], [1.0, 1.0]]}, "whiteners must have shape"),
    ({"whiteners": "none"}, "whiteners must be a full array of numbers"),
    ({"covariance_type": 3}, "covariance_type must be"),
    ({"mixing": True}, "mixing must be"),
    ({"feature_names": ["a"]}, "feature_names must be 2 different names"),
    ({"feature_names": ["a", "a"]}, "feature_names must be 2 different names"),
    ({"feature_names": ["a", 1]}, "feature_names must be 2 different names"),
    ({"feature_names": "ab"}, "feature_names must be 2 different names"),
    ({"dof": [3.0, 3.0]}, "'dof' is unknown"),
    ({"fit": [1]}, "fit must be"),
    ({"fit": {}}, "'loglik' of fit is missing"),
    ({"fit": FIT | {"n_iter": True}}, "'n_iter' of fit cannot be True"),
    ({"fit": FIT | {"converged": 1}}, "'converged' of fit cannot be 1"),
    ({"fit": FIT | {"total_weight": "2"}}, "'total_weight' of fit cannot be '2'"),
    ({"fit": FIT | {"stop_reason": None}}, "'stop_reason' of fit cannot be None"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_a_document_that_is_no_model_is_neither_read_nor_written(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    bad = {"format": "mixtura/1", **MODEL, **change}
    path = tmp_path / "bad.json"
    assert words in refused(io.write_model, path, bad)
    assert names_in(tmp_path) == []
    path.write_text(json.dumps(bad))
    assert words in refused(io.read_model, path)


@pytest.mark.parametrize("key", MODEL)
def test_every_entry_is_needed(tmp_path: Path, key: str) -> None:
    bad = {"format": "mixtura/1"} | {name: value for name, value in MODEL.items() if name != key}
    path = io.write_whole(tmp_path / "bad.json", json.dumps(bad))
    assert f"{key!r} is missing" in refused(io.read_model, path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b'"mixtura/1"',
        b"null",
        b"a,b\n1,2\n",
        b"\x80\x81",
        b"\x93NUMPY",
        b"[" * 100_000,
        b'{"format": ' + b"9" * 10_000 + b"}",
        json.dumps({"format": "mixtura/1", **MODEL, "weights": [math.nan, 1.0]}).encode(),
        json.dumps({"format": "mixtura/1", **MODEL, "weights": [math.inf, 1.0]}).encode(),
        json.dumps({"format": "mixtura/1", **MODEL}).replace("0.25", "1e999").encode(),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = io.write_whole(tmp_path / "bad.json", content)
    assert refused(io.read_model, path).startswith(f"{path} is not a model file: ")


def test_models_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "no such file" in refused(io.read_model, tmp_path / "absent.json")
    assert "is a folder" in refused(io.read_model, tmp_path)


def test_a_model_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = io.write_model(tmp_path / "m.json", MODEL)
    monkeypatch.setattr(Path, "read_text", denied)
    assert "permission denied" in refused(io.read_model, path)


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    bad = MODEL | {"means": np.full((2, 2), np.nan)}
    assert "finite" in refused(io.write_model, tmp_path / "m.json", bad)
    assert names_in(tmp_path) == []
