"""Results as tables: CSV, TSV and Parquet files, written whole or not at all, in as many steps as they come in."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from numpy.typing import NDArray

from mixtura.io import PathLike, check_writable, replacing
from mixtura.reading import arrow, by_ending

Columns = Mapping[str, NDArray[Any]]

CSV_ROWS = 65_536
"""Rows of a CSV file that are in memory as text at a time."""


def write_table(path: PathLike, columns: Columns) -> Path:
    """Write columns to a CSV, TSV or Parquet file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The ending of the name says what is written.
    columns : mapping of str to ndarray of shape (n,)
        Columns in their order; in text, floats take the shortest form that reads back equal.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ValueError
        If the ending is unknown or the file cannot be written.
    ImportError
        If pyarrow is missing, which Parquet needs.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> columns = {"label": np.array([0, 1]), "p": np.array([0.1, 1.0])}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_table(Path(folder) / "t.csv", columns).read_text(), end="")
    label,p
    0,0.1
    1,1.0
    """
    with writing(path) as append:
        append(columns)
    return Path(path)


@contextmanager
def writing(path: PathLike) -> Iterator[Callable[[Columns], None]]:
    """Write a table in several steps, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        As in :func:`write_table`.

    Yields
    ------
    callable
        It takes columns (m,) and puts their rows behind those before; always the same columns.

    Raises
    ------
    ValueError, ImportError
        As :func:`write_table`; an older file of this name is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(Path(folder) / "t.csv") as append:
    ...         append({"label": np.array([0])})
    ...         append({"label": np.array([1])})
    ...     print((Path(folder) / "t.csv").read_text(), end="")
    label
    0
    1
    """
    writer = by_ending(WRITERS, path, "write")
    with replacing(path) as file, writer(file) as append:
        yield append


def check_table(path: PathLike) -> None:
    """ValueError where :func:`write_table` could not write; ask before a long computation."""
    by_ending(WRITERS, path, "write")
    check_writable(path)


def appending_text(file: TextIO, delimiter: str) -> Callable[[Columns], None]:
    """A function that appends columns as text, the first time beginning with their names."""
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    named = False

    def append(columns: Columns) -> None:
        nonlocal named
        if not named:
            writer.writerow(columns)
            named = True
        arrays = list(columns.values())
        for start in range(0, len(arrays[0]), CSV_ROWS):
            # Python's own numbers: NumPy's print their type with them.
            part = [array[start : start + CSV_ROWS].tolist() for array in arrays]
            writer.writerows(zip(*part, strict=True))

    return append


@contextmanager
def _text(file: BinaryIO, delimiter: str) -> Iterator[Callable[[Columns], None]]:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    yield appending_text(text, delimiter)
    text.detach()  # flushes, and leaves the file open to its owner


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Callable[[Columns], None]]:
    pa = arrow("writing Parquet")
    from pyarrow import parquet

    with ExitStack() as stack:
        writer = None

        def append(columns: Columns) -> None:
            nonlocal writer
            table = pa.table(dict(columns))
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(file, table.schema))
            writer.write_table(table)

        yield append


WRITERS: dict[str, Callable[[BinaryIO], AbstractContextManager[Callable[[Columns], None]]]] = {
    ".csv": partial(_text, delimiter=","),
    ".tsv": partial(_text, delimiter="\t"),
    ".parquet": _parquet,
}
