"""Files: anything is written whole or not at all, and models are read and written as JSON.

Whatever is wrong with a file is a ValueError of one sentence that names the file.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
PathLike = str | os.PathLike[str]

FORMAT = "mixtura/1"


# Writing -----------------------------------------------------------------------------------------


def check_writable(path: PathLike) -> Path:
    """Return the file that writing to ``path`` would make or replace, links followed.

    Parameters
    ----------
    path : str or path-like
        File to be written, now or after a long computation.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If it is a folder, if its folder does not exist, or if either may not be written to.

    Examples
    --------
    >>> check_writable("no-such-folder/model.json")
    Traceback (most recent call last):
    ValueError: cannot write no-such-folder/model.json: ... does not exist; make it first
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise ValueError(f"cannot write {path}: it is a folder; name a file in it")
    if not os.path.isdir(folder):
        named = os.path.dirname(path) or folder
        raise ValueError(f"cannot write {path}: the folder {named} does not exist; make it first")
    if not os.access(target if os.path.exists(target) else folder, os.W_OK):
        raise ValueError(f"cannot write {path}: permission denied; choose another place")
    return Path(target)


@contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends, or is gone if it fails.

    Parameters
    ----------
    path : str or path-like
        File to make or replace.  What is no file on a disk (a pipe, a terminal) is written to
        directly.

    Yields
    ------
    binary file

    Raises
    ------
    ValueError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as file:
    ...         _ = file.write(b"whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    target = check_writable(path)
    try:
        if target.exists() and not target.is_file():
            with open(target, "wb") as file:
                yield file
            return
        # In the same folder, so that the last step is a change of name within one file system.
        temporary = target.parent / f".mixtura-{secrets.token_hex(8)}.part"
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ValueError(f"cannot write {path}: {reason(error)}; choose another place") from error


def write_whole(path: PathLike, data: str | bytes) -> Path:
    """Write ``data`` to a file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        File to make or replace.
    data : str or bytes
        Its content; text is written as UTF-8.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ValueError
        If the file cannot be written; an older file of this name is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", "whole").read_text()
    'whole'
    """
    with replacing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return Path(path)


# Models ------------------------------------------------------------------------------------------

_NUMBER = (int, float)
_FIT: dict[str, tuple[type, ...]] = {
    "loglik": _NUMBER,
    "n_rows": (int,),
    "total_weight": _NUMBER,
    "n_iter": (int,),
    "converged": (bool,),
    "stop_reason": (str,),
    "df": (int,),
    "tol": _NUMBER,
    "random_state": (int, type(None)),
    "version": (str,),
}
_BOUNDS = {
    "n_rows": (1, 2**53),
    "total_weight": (1e-300, 1e300),
    "n_iter": (0, 2**53),
    "df": (0, 2**53),
    "tol": (0, 1e300),
    "random_state": (0, 2**64),
}
_REQUIRED = ("layout", "shared", "weights", "means", "covariances")
_BACKGROUND = ("weight", "log_volume", "corner", "edges", "flat")
_SIDES = ("log_lengths", "low")  # of its bounding box, which files of before do not have
_OPTIONAL = ("whiteners", "background", "covariance_type", "mixing", "feature_names", "fit")


def write_model(path: PathLike, document: Mapping[str, Any]) -> Path:
    """Write a model document as JSON, one entry a line, its floats in the shortest exact form.

    Parameters
    ----------
    path : str or path-like
        File to make or replace.
    document : mapping
        ``layout``, ``shared``, ``weights``, ``means``, ``covariances`` and, if they are known, ``whiteners`` (see
        :class:`mixtura.covariance.Dense`), ``background``, ``covariance_type``, ``mixing``, ``feature_names``
        and ``fit``; arrays are welcome.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ValueError
        If the document is not one that :func:`read_model` accepts, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> model = {"layout": "diagonal", "shared": False, "weights": [1.0]}
    >>> model |= {"means": [[0.0]], "covariances": [[0.1]]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_model(write_model(Path(folder) / "m.json", model))["covariances"]
    [[0.1]]
    """
    text = model_text(document)
    # Through text and back, so that what is checked is what a reader will see.
    _check_model(json.loads(text), f"cannot write {path}")
    return write_whole(path, text)


def model_text(document: Mapping[str, Any]) -> str:
    """A model document as the text of a file, with the format it is in."""
    entries = {"format": FORMAT, **document}
    lines = [f"  {json.dumps(key)}: {dumps(value)}" for key, value in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_model(path: PathLike) -> dict[str, Any]:
    """Read a model document; nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        JSON file written by :func:`write_model`.

    Returns
    -------
    dict
        The document as :func:`write_model` takes it, with None for entries that may be absent.

    Raises
    ------
    ValueError
        If the file cannot be read, is not a model file, lacks an entry or has one of a wrong kind
        or size, or holds a number that is not finite.

    Examples
    --------
    >>> read_model("no-such-model.json")
    Traceback (most recent call last):
    ValueError: cannot read no-such-model.json: no such file; check the name
    """
    check_readable(path)
    problem = f"{path} is not a model file"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {reason(error)}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{problem}: expected JSON written by mixtura, got bytes that are no text") from None
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ValueError(f"{problem}: expected JSON written by mixtura, but {said}") from None
    _check_model(document, problem)
    return {**dict.fromkeys(_OPTIONAL), **document}


@contextmanager
def naming(path: PathLike) -> Iterator[None]:
    """A context whose ValueErrors name the file that their cause stands in."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path} is not a model file: {error}") from None


def dumps(value: Any) -> str:
    """JSON of plain values and arrays, floats in the shortest form that reads back equal.

    Parameters
    ----------
    value : dict, list, str, number, None or array

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a number is not finite: JSON has no word for it.

    Examples
    --------
    >>> dumps({"x": np.array([0.1, 0.2])})
    '{"x": [0.1, 0.2]}'
    """
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except ValueError:
        raise ValueError("expected finite numbers for JSON, got inf or NaN: mend the model first") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, where only finite numbers can stand")


def _check_model(document: Any, problem: str) -> None:
    """ValueError that begins with ``problem`` if this is not the document of a model."""
    if not isinstance(document, dict) or "format" not in document:
        raise ValueError(f'{problem}: expected a JSON object with "format": "{FORMAT}"')
    if document["format"] != FORMAT:
        raise ValueError(
            f'{problem}: expected format "{FORMAT}", got {document["format"]!r}; a newer mixtura may know it'
        )
    if missing := [key for key in _REQUIRED if key not in document]:
        raise ValueError(f"{problem}: the entry {missing[0]!r} is missing")
    # An entry that changes what the others mean must not go unnoticed.
    if unknown := [key for key in document if key not in ("format", *_REQUIRED, *_OPTIONAL)]:
        raise ValueError(f"{problem}: the entry {unknown[0]!r} is unknown; a newer mixtura may know it")
    layout, shared = document["layout"], document["shared"]
    if layout not in ("dense", "diagonal"):
        raise ValueError(f"{problem}: layout must be 'dense' or 'diagonal', got {layout!r}")
    if not isinstance(shared, bool):
        raise ValueError(f"{problem}: shared must be true or false, got {shared!r}")
    weights = _numbers(document, "weights", problem)
    means = _numbers(document, "means", problem)
    if weights.ndim != 1 or means.ndim != 2 or len(means) != len(weights) or means.size == 0:
        raise ValueError(
            f"{problem}: expected K weights and K means of d features, got shapes {weights.shape} and {means.shape}"
        )
    n_components, n_features = means.shape
    entries = 1 if shared else n_components
    expected = (entries, n_features, n_features) if layout == "dense" else (entries, n_features)
    covariances = _numbers(document, "covariances", problem)
    if covariances.shape != expected:
        raise ValueError(f"{problem}: covariances must have shape {expected}, got {covariances.shape}")
    if (
        document.get("whiteners") is not None
        and (whiteners := _numbers(document, "whiteners", problem)).shape != expected
    ):
        raise ValueError(f"{problem}: whiteners must have shape {expected}, got {whiteners.shape}")
    for key in ("covariance_type", "mixing"):
        if not isinstance(document.get(key), str | None):
            raise ValueError(f"{problem}: {key} must be a name or null, got {document[key]!r}")
    names = document.get("feature_names")
    if names is not None and not (
        isinstance(names, list)
        and len(names) == n_features
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == n_features
    ):
        raise ValueError(f"{problem}: feature_names must be {n_features} different names or null")
    _check_background(document.get("background"), n_features, problem)
    _check_fit(document.get("fit"), problem)


def _check_background(background: Any, n_features: int, problem: str) -> None:
    if background is None:
        return
    if not isinstance(background, dict) or {*_SIDES, *background} != {*_SIDES, *_BACKGROUND}:
        raise ValueError(f"{problem}: background must be null or an object of {', '.join(_BACKGROUND)}")
    shapes = {"weight": (), "log_volume": (), "corner": (n_features,), "edges": (n_features, n_features)}
    shapes |= {key: (n_features,) for key in _SIDES if key in background}
    for key, expected in shapes.items():
        if (entry := _numbers(background, key, problem)).shape != expected:
            raise ValueError(f"{problem}: {key} of background must have shape {expected}, got {entry.shape}")
    if not 0 <= background["weight"] <= 1:
        raise ValueError(f"{problem}: weight of background must be from 0 to 1, got {background['weight']!r}")
    if not isinstance(background["flat"], bool):
        raise ValueError(f"{problem}: flat of background must be true or false, got {background['flat']!r}")


def _check_fit(fit: Any, problem: str) -> None:
    if fit is None:
        return
    if not isinstance(fit, dict):
        raise ValueError(f"{problem}: fit must be an object or null, got {fit!r}")
    if missing := [key for key in _FIT if key not in fit]:
        raise ValueError(f"{problem}: the entry {missing[0]!r} of fit is missing")
    for key, kinds in _FIT.items():
        value = fit[key]
        # To Python a bool is an int, to JSON it is not.
        right = type(value) is bool if bool in kinds else type(value) in kinds
        low, high = _BOUNDS.get(key, (-1e300, 1e300))
        if not right or (type(value) in _NUMBER and not low <= value <= high):
            raise ValueError(f"{problem}: the entry {key!r} of fit cannot be {value!r}")


def _numbers(document: dict[str, Any], key: str, problem: str) -> FloatArray:
    try:
        array = np.asarray(document[key])
        wrong = array.dtype.kind not in "iuf"
    except ValueError:  # lists of different lengths
        wrong = True
    if wrong:
        raise ValueError(f"{problem}: {key} must be a full array of numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{problem}: {key} must be finite")
    return array.astype(np.float64)


# What goes wrong -----------------------------------------------------------------------------------


def check_readable(path: PathLike) -> None:
    if os.path.isdir(path):
        raise ValueError(f"cannot read {path}: it is a folder; name a file in it")
    if not os.path.exists(path):
        raise ValueError(f"cannot read {path}: no such file; check the name")


def reason(error: OSError) -> str:
    """The system's words for what went wrong, without numbers and names of files that are ours."""
    text = error.strerror or one_line(error)
    return text[:1].lower() + text[1:]


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
