"""Tables that are read again for each pass: files of any size and streams of arrays, in constant memory.

A scan promises that its batches can be asked for again and come in the same order with the same rows.  It is held to
that: a file that is not what it was, in size or time, and a stream that has more or fewer rows than before end a pass
with a ValueError that says so.

Whatever the columns hold becomes float64, or float32 where nothing else is needed; a null, and in text an empty cell or
NA, becomes NaN.
"""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura import frames, validation
from mixtura.io import PathLike, reason
from mixtura.reading import chosen, left_out, opened
from mixtura.rows import AnyArray, Array

T = TypeVar("T")

BATCH_BYTES = 4 << 20
"""Size of a batch of rows as float64, unless the user wants another."""

AHEAD = 2
"""Batches that are read while others are worked on."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows ``x`` (m, d) with their ``weight`` (m,), or None, and the ``place`` they come from, in words."""

    x: AnyArray
    weight: Array | None
    place: str

    def __sizeof__(self) -> int:
        """Bytes of the arrays, too: a scheduler that asks would take it for small."""
        return object.__sizeof__(self) + self.x.nbytes + (0 if self.weight is None else self.weight.nbytes)


@dataclass(frozen=True, eq=False)
class Heading:
    """What is known of a table without its rows: what it is, in a word or two, the names of its ``columns``, if they
    have any, and their number."""

    described: str
    columns: tuple[str, ...] | None
    n_features: int

    def named(self, column: int) -> str:
        """What to call a column.

        Parameters
        ----------
        column : int
            Its number, from 0.

        Returns
        -------
        str
            Its name if it has one, for messages.

        Examples
        --------
        >>> from mixtura import scan
        >>> scan([[[1.0, 2.0]]]).named(1)
        'column 1'
        """
        return f"column {column}" if self.columns is None else f"column {self.columns[column]!r}"


@dataclass(frozen=True, eq=False)
class Scan(Heading):
    """A table that is read batch by batch, as often as it is wanted; :func:`scan` makes them.

    Parameters
    ----------
    described : str
        What it is, in a word or two.
    columns : tuple of str or None
        Names of the features, if they have any.
    n_features : int
    n_rows : int or None
        Number of rows, if it is known without reading them.
    stamps : tuple of (str, Stamp)
        The names of the files that it is made of, if it is, with what tells that nobody has changed them.
    read : callable
        Gives an iterator of batches.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import scan
    >>> [len(batch.x) for batch in scan(np.zeros((5, 2)), batch_rows=2)]
    [2, 2, 1]
    """

    n_rows: int | None
    stamps: tuple[tuple[str, Stamp], ...]
    read: Callable[[], Iterator[Batch]] = field(repr=False)

    @property
    def stamped(self) -> bool:
        """Whether it is made of files, which tell by size and time that nobody has changed them."""
        return bool(self.stamps)

    def __iter__(self) -> Generator[Batch]:
        """The batches in order, the next ones being read meanwhile."""
        return ahead(self.read())


def ahead(upcoming: Iterator[T], depth: int = AHEAD) -> Generator[T]:
    """The same, so many of them made on another thread before they are asked for."""
    with ThreadPoolExecutor(1, thread_name_prefix="mixtura-read") as reader:
        waiting = deque(reader.submit(next, upcoming, None) for _ in range(depth))
        while (one := waiting.popleft().result()) is not None:
            waiting.append(reader.submit(next, upcoming, None))
            yield one


def scan(
    source: Any, columns: Sequence[str] | None = None, batch_rows: int | None = None, *, weight: str | None = None
) -> Scan:
    """A table that is read again for each pass instead of being held in memory.

    Parameters
    ----------
    source : str, path-like, array-like of shape (n, d), iterable or callable
        Name of a Parquet, Feather, Arrow, CSV, TSV or .npy file, or a pattern of several, as ``"part-*.parquet"``,
        which are taken in the order of their names; a NumPy array or memory map; an iterable of arrays or frames that
        can be gone through again (a list, an object with ``__iter__``), or a function that returns an iterator of them.
    columns : sequence of str, optional
        Columns to read, in this order; default all that are numeric and have a name.
    batch_rows : int, optional
        Rows to be in memory at a time for each thread; default as many as take 4 MB.  The order of sums follows the
        batches: other batches give the same result but for rounding.
    weight : str, optional
        Column that holds the weights of the rows.

    Returns
    -------
    Scan
        ``fit``, ``score``, ``bic``, ``predict`` and so on take it for X.

    Raises
    ------
    ValueError
        If nothing is there, a file is no table, a column is missing or not numeric in one of the files, or an iterator
        can be gone through once only.
    ImportError
        If pyarrow is missing, which all files but .npy need.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, scan
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in range(3):
    ...         np.save(f"{folder}/part-{part}.npy", np.random.default_rng(part).normal(size=(100, 2)))
    ...     table = scan(f"{folder}/part-*.npy")
    ...     gm = GaussianMixture(1).fit(table)
    ...     table.n_rows, gm.means_.shape
    (300, (1, 2))
    """
    if batch_rows is not None:
        validation.count(batch_rows, "batch_rows")
    if isinstance(source, str | os.PathLike):
        return _of_files(found(source), columns, batch_rows, weight)
    if columns is not None or weight is not None:
        raise ValueError(
            "columns and weight are names of columns of files, got them for arrays: choose before scanning"
        )
    if isinstance(source, np.ndarray):
        return _of_array(source, batch_rows)
    return _of_stream(source, batch_rows)


def columns_of(
    source: PathLike, columns: Sequence[str] | None, beside: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What the columns that :func:`scan` takes of files are called, x0, x1, ... in .npy files; and what those hold that
    it does not take because it is not numbers, by name."""
    file = opened(found(source)[0])
    return tuple(chosen(file, columns, beside)), left_out(file, columns, beside)


# files ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stamp:
    """What a file looked like when it was scanned: one that changes between passes has no likelihood."""

    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file as it is now."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise ValueError(f"cannot read {path}: {reason(error)}; put it back and start again") from error
        return cls(found.st_size, found.st_mtime_ns)


def found(pattern: PathLike) -> list[Path]:
    """The files that a name or a pattern stands for."""
    if os.path.exists(pattern) or not glob.has_magic(os.fspath(pattern)):
        return [Path(pattern)]
    paths = sorted(glob.glob(os.fspath(pattern), recursive=True))
    if not paths:
        raise ValueError(f"cannot read {pattern}: no file has such a name; check the pattern")
    return [Path(path) for path in paths]


def _of_files(paths: list[Path], columns: Sequence[str] | None, batch_rows: int | None, weight: str | None) -> Scan:
    files = [opened(path) for path in paths]
    stamps = [Stamp.of(path) for path in paths]
    beside = [] if weight is None else [weight]
    wanted = chosen(files[0], columns, beside)
    every = list(dict.fromkeys([*wanted, *beside]))
    for file in files[1:]:
        chosen(file, every, [])
    counts = [file.n_rows for file in files]
    size = batch_rows or _usual_rows(len(wanted))

    def read() -> Iterator[Batch]:
        for file, stamp in zip(files, stamps, strict=True):
            _unchanged(file.path, stamp)
            for loaded, where in file.batches(every, size):
                w = None if weight is None else loaded[every.index(weight)].astype(np.float64, copy=False)
                yield Batch(_side_by_side(loaded[: len(wanted)]), w, f"{where} of {file.path}")
            _unchanged(file.path, stamp)

    return Scan(
        described=str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
        columns=None if paths[0].suffix.lower() == ".npy" else tuple(wanted),
        n_features=len(wanted),
        n_rows=None if None in counts else sum(count for count in counts if count is not None),
        stamps=tuple((path.name, stamp) for path, stamp in zip(paths, stamps, strict=True)),
        read=lambda: _regrouped(read(), size),
    )


def _usual_rows(n_features: int) -> int:
    return max(BATCH_BYTES // (8 * n_features), 1)


def _unchanged(path: Path, stamp: Stamp) -> None:
    now = Stamp.of(path)
    if now != stamp:
        raise ValueError(
            f"{path} must stay as it is while it is read again and again, but it has changed since it was scanned "
            f"({stamp.size} bytes then, {now.size} now): scan it anew when nobody writes to it"
        )


def _side_by_side(columns: list[NDArray[Any]]) -> AnyArray:
    """Columns as (m, d): float32 if all of them are, else float64."""
    x = np.empty((len(columns[0]), len(columns)), dtype=np.result_type(*columns))
    for j, column in enumerate(columns):
        x[:, j] = column
    return x


def _regrouped(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The same rows in batches that are not much smaller than ``size``: a call for each small row group would cost more
    than the rows."""
    waiting: list[Batch] = []
    n_rows = 0
    for batch in batches:
        if waiting and n_rows + len(batch.x) > size:
            yield _as_one(waiting)
            waiting, n_rows = [], 0
        waiting.append(batch)
        n_rows += len(batch.x)
    if waiting:
        yield _as_one(waiting)


def _as_one(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return Batch(*together(batches), f"{batches[0].place} to {batches[-1].place}")


def together(batches: Sequence[Batch]) -> tuple[AnyArray, Array | None]:
    """The rows of several batches, and their weights, as arrays of their own."""
    weights = [batch.weight for batch in batches if batch.weight is not None]
    return np.concatenate([batch.x for batch in batches]), np.concatenate(weights) if weights else None


# arrays ---------------------------------------------------------------------------------------------------------------


def _of_array(array: AnyArray, batch_rows: int | None) -> Scan:
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ValueError(f"an array to scan must have shape (n, d) or (n,), got {array.shape}: give one row per point")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"an array to scan must hold real numbers, got {array.dtype}: convert it first")
    x = array[:, None] if array.ndim == 1 else array
    size = batch_rows or _usual_rows(x.shape[1])

    def read() -> Iterator[Batch]:
        for begin in range(0, len(x), size):
            yield Batch(np.asarray(x[begin : begin + size]), None, f"row {begin}")

    return Scan("an array", None, x.shape[1], len(x), (), read)


def _of_stream(source: Any, batch_rows: int | None) -> Scan:
    if not callable(source) and not isinstance(source, Iterable):
        raise ValueError(
            f"expected the name of a file, an array, an iterable of arrays or a function that returns one, got "
            f"{type(source).__name__}: give one of these"
        )
    if isinstance(source, Iterator) and not callable(source):
        raise ValueError(
            "a stream must be one that can be gone through again for each pass, got an iterator, which ends: give "
            "a list, an object whose __iter__ begins anew, or a function that returns an iterator"
        )

    def begin() -> Iterator[Any]:
        return iter(source() if callable(source) else source)

    first = next(begin(), None)
    if first is None:
        raise ValueError("a stream must have at least one array, got none: check what it is made of")
    x, names = as_rows(first, None, "array 0 of the stream")

    def read() -> Iterator[Batch]:
        for index, item in enumerate(begin()):
            part, _ = as_rows(item, x.shape[1], f"array {index} of the stream")
            if len(part):
                yield Batch(part, None, f"array {index}")

    return Scan(
        "a stream",
        names,
        x.shape[1],
        None,
        (),
        read if batch_rows is None else lambda: _regrouped(read(), batch_rows),
    )


def as_rows(item: Any, n_features: int | None, what: str) -> tuple[AnyArray, tuple[str, ...] | None]:
    """An array or frame as (m, d), and the names of its columns if it has any; ``what`` it is, for messages."""
    names = None
    if frames.checked(item, what):
        names = tuple(map(str, frames.names(item)))
        item = frames.as_array(item)
    x = np.asarray(item)
    x = x[:, None] if x.ndim == 1 and n_features in (None, 1) else x
    if x.ndim != 2 or (n_features is not None and x.shape[1] != n_features):
        wanted = "(m, d)" if n_features is None else f"(m, {n_features})"
        raise ValueError(f"{what} must have shape {wanted}, got {x.shape}: give one row per point")
    return validation.real_rows(x), names
