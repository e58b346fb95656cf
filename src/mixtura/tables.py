"""Tables: CSV, TSV, Parquet, Feather, Arrow and .npy files as float64, and results as files of the same kinds.

Whatever the columns hold, they become float64; a null, and in text an empty cell or NA, becomes NaN.  Whatever is wrong
with a file is a ValueError of one sentence that names the file.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.io import FloatArray, PathLike, check_readable, check_writable, one_line, reason, replacing

T = TypeVar("T")
Columns = Mapping[str, NDArray[Any]]

MISSING = ("None", "<NA>")
"""What stands for a missing value in text beside what pyarrow knows: an empty cell, NA, N/A, NaN, null, ..."""

LISTED = 20
"""So many names stand in a message; the rest are counted."""
CSV_ROWS = 65_536
"""Rows of a CSV file that are in memory as text at a time."""


# Reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file: ``x`` (n, d), their d ``names``, and beside them ``weight`` (n,), standard ``errors`` (n, d)
    and ``labels`` (n,), or None."""

    x: FloatArray
    names: tuple[str, ...]
    weight: FloatArray | None = None
    errors: FloatArray | None = None
    labels: FloatArray | None = None

    @property
    def n_missing(self) -> int:
        """How many values of x are missing."""
        return int(np.isnan(self.x).sum())


@dataclass(frozen=True, eq=False)
class _Source:
    """What a reader finds: names, what columns that are not numeric hold, how to load columns."""

    names: list[str]
    other: dict[str, str]
    load: Callable[[list[str]], list[FloatArray]]


def read_table(
    path: PathLike,
    columns: Sequence[str] | None = None,
    weight: str | None = None,
    errors: Sequence[str] | None = None,
    labels: str | None = None,
) -> Table:
    """Read numeric columns of a CSV, TSV, Parquet, Feather, Arrow or .npy file as float64.

    Parameters
    ----------
    path : str or path-like
        The ending of the name says what the file is.  Text files have a line of column names first.
    columns : sequence of str, optional
        Columns to read, in this order; default all that are numeric, but neither those named below
        nor columns without a name (the row numbers that pandas and R write).  The columns of a .npy
        file are called x0, x1, ...
    weight : str, optional
        Column with one weight per row.
    errors : sequence of str, optional
        Columns of standard errors, one for each of the ``columns``, in their order.
    labels : str, optional
        Column with one label per row.

    Returns
    -------
    Table
        A missing value is NaN.  A column of text is numeric if all its other cells are numbers.

    Raises
    ------
    ValueError
        If the file is missing, a folder, not a table, without rows or without numeric columns; or
        if a column that is named does not exist, is named twice or is not numeric, or ``errors``
        are not as many as columns.
    ImportError
        If pyarrow is missing, which all but .npy files need.

    Examples
    --------
    >>> import tempfile
    >>> from mixtura.io import write_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_table(write_whole(Path(folder) / "t.csv", "a,kind,b\\n1,x,0.5\\n2,y,\\n")).x
    array([[1. , 0.5],
           [2. , nan]])
    """
    check_readable(path)
    reader = _by_ending(READERS, path, "read")
    try:
        source = reader(Path(path))
        return _select(source, path, columns, weight, errors, labels)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {reason(error)}") from error


def _select(
    source: _Source,
    path: PathLike,
    columns: Sequence[str] | None,
    weight: str | None,
    errors: Sequence[str] | None,
    labels: str | None,
) -> Table:
    beside = [name for name in (weight, *(errors or ()), labels) if name is not None]
    if twice := _first_repeated(source.names):
        raise ValueError(f"{path} has two columns called {twice!r}: give each a name of its own")
    if columns is None:
        columns = [
            name
            for name in source.names
            if name not in source.other and name not in beside and not _is_row_number(name)
        ]
        if not columns:
            found = [f"{name!r} ({source.other.get(name, 'numbers')})" for name in source.names]
            raise ValueError(
                f"{path} has no numeric columns to use, but {_listed(found)}: "
                "check that it is the right file, and how its values are separated"
            )
    elif not columns:
        raise ValueError("expected at least one column, got none: name one, or leave the choice to mixtura")
    elif twice := _first_repeated(columns):
        raise ValueError(f"the column {twice!r} is named twice: name each column once")
    if errors is not None and len(errors) != len(columns):
        raise ValueError(
            f"expected a column of errors for each of {_listed(columns)}, got {len(errors)} ({_listed(errors)}): "
            "name as many, in the same order"
        )
    wanted = list(dict.fromkeys([*columns, *beside]))
    if absent := [name for name in wanted if name not in source.names]:
        raise ValueError(
            f"{path} has no column {_listed([repr(name) for name in absent])}: it has {_listed(source.names)}"
        )
    for name in wanted:
        if name in source.other:
            raise ValueError(
                f"the column {name!r} of {path} holds {source.other[name]}, not numbers: convert it or leave it out"
            )
    loaded = dict(zip(wanted, source.load(wanted), strict=True))
    n_rows = len(loaded[wanted[0]])
    if n_rows == 0:
        raise ValueError(f"{path} has no rows: at least one is needed")

    def side_by_side(names: Sequence[str]) -> FloatArray:
        x = np.empty((n_rows, len(names)))
        for j, name in enumerate(names):
            x[:, j] = loaded[name]
        return x

    return Table(
        side_by_side(columns),
        tuple(columns),
        None if weight is None else loaded[weight],
        None if errors is None else side_by_side(errors),
        None if labels is None else loaded[labels],
    )


def _read_text(path: Path, delimiter: str) -> _Source:
    pa = _pyarrow(f"reading {path}")
    from pyarrow import csv as arrow_csv

    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append(row)
        return "error"

    parse = arrow_csv.ParseOptions(delimiter=delimiter)
    words = [*arrow_csv.ConvertOptions().null_values, *MISSING]
    words += [spaced for word in words for spaced in (f" {word}", f"{word} ")]  # as numbers may be
    convert = arrow_csv.ConvertOptions(null_values=words)
    try:
        table = arrow_csv.read_csv(path, parse_options=parse, convert_options=convert)
        names = list(table.schema.names)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a table: its column names are not UTF-8 text") from None
    except pa.ArrowInvalid as error:
        # Where many threads read, none knows the number of a line: find the bad one with one.
        parse.invalid_row_handler = refuse
        with suppress(pa.ArrowInvalid):
            one_thread = arrow_csv.ReadOptions(use_threads=False)
            arrow_csv.read_csv(path, read_options=one_thread, parse_options=parse)
        if bad:
            row = bad[0]
            raise ValueError(
                f"{path} is not a table: line {row.number} has {row.actual_columns} values, "
                f"but the lines before have {row.expected_columns}; mend that line"
            ) from None
        raise ValueError(f"{path} is not a table: {one_line(error)}") from None
    if _are_values(names):
        raise ValueError(
            f"the first line of {path} must name the columns, but holds {_listed(names)}: put a line of names before it"
        )
    return _arrow_source(names, list(table.schema.types), table.select)


def _read_parquet(path: Path) -> _Source:
    pa = _pyarrow(f"reading {path}")
    from pyarrow import parquet

    try:
        # The file is read once the columns are chosen, and only those.
        file = parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file: {one_line(error)}") from None
    schema = file.schema_arrow
    return _arrow_source(list(schema.names), list(schema.types), lambda names: file.read(names))


def _read_arrow(path: Path) -> _Source:
    pa = _pyarrow(f"reading {path}")
    try:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Feather or Arrow file: {one_line(error)}") from None
    return _arrow_source(list(table.schema.names), list(table.schema.types), table.select)


def _arrow_source(names: list[str], types: list[Any], select: Callable[[list[str]], Any]) -> _Source:
    from pyarrow import types as kinds

    def is_number(kind: Any) -> bool:
        tests = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
        return any(test(kind) for test in tests)

    def load(wanted: list[str]) -> list[FloatArray]:
        table = select(wanted)
        return [_floats(table.column(name)) for name in wanted]

    words = {"null": "no values"}
    other = {
        name: words.get(str(kind), str(kind)) for name, kind in zip(names, types, strict=True) if not is_number(kind)
    }
    return _Source(names, other, load)


def _floats(column: Any) -> FloatArray:
    from pyarrow import types as kinds

    # Half precision has no cast in older releases; integers with nulls and decimals need one.
    if not kinds.is_floating(column.type):
        column = column.cast("double", safe=False)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _read_npy(path: Path) -> _Source:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(f"{path} is not a NumPy array of numbers: write it with numpy.save") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = getattr(array, "dtype", "an archive")
        raise ValueError(f"{path} must hold an array of real numbers, got {kind}: convert it first")
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ValueError(
            f"{path} must hold an array of shape (n,) or (n, d), got {array.shape}: give one row per observation"
        )
    table = (array[:, None] if array.ndim == 1 else array).astype(np.float64, copy=False)
    names = feature_names(table.shape[1])
    return _Source(names, {}, lambda wanted: [table[:, names.index(name)] for name in wanted])


def feature_names(n_features: int) -> list[str]:
    """Names for features that have none: x0, x1, ... as scikit-learn calls them."""
    return [f"x{j}" for j in range(n_features)]


# Writing -----------------------------------------------------------------------------------------


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
    >>> columns = {"label": np.array([0, 1]), "p": np.array([0.1, 1.0])}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_table(Path(folder) / "t.csv", columns).read_text(), end="")
    label,p
    0,0.1
    1,1.0
    """
    writer = _by_ending(WRITERS, path, "write")
    with replacing(path) as file:
        writer(file, columns)
    return Path(path)


def check_table(path: PathLike) -> None:
    """ValueError where :func:`write_table` could not write; ask before a long computation."""
    _by_ending(WRITERS, path, "write")
    check_writable(path)


def write_text(file: TextIO, columns: Columns, delimiter: str = ",") -> None:
    """Write columns as text, beginning with their names."""
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    arrays = list(columns.values())
    for start in range(0, len(arrays[0]), CSV_ROWS):
        # Python's own numbers: NumPy's print their type with them.
        part = [array[start : start + CSV_ROWS].tolist() for array in arrays]
        writer.writerows(zip(*part, strict=True))


def _write_text(file: BinaryIO, columns: Columns, delimiter: str) -> None:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    write_text(text, columns, delimiter)
    text.detach()  # flushes, and leaves the file open to its owner


def _write_parquet(file: BinaryIO, columns: Columns) -> None:
    pa = _pyarrow("writing Parquet")
    from pyarrow import parquet

    parquet.write_table(pa.table(dict(columns)), file)


READERS: dict[str, Callable[[Path], _Source]] = {
    ".csv": lambda path: _read_text(path, ","),
    ".tsv": lambda path: _read_text(path, "\t"),
    ".parquet": _read_parquet,
    ".feather": _read_arrow,
    ".arrow": _read_arrow,
    ".npy": _read_npy,
}

WRITERS: dict[str, Callable[[BinaryIO, Columns], None]] = {
    ".csv": lambda file, columns: _write_text(file, columns, ","),
    ".tsv": lambda file, columns: _write_text(file, columns, "\t"),
    ".parquet": _write_parquet,
}


# What goes wrong -----------------------------------------------------------------------------------


def _by_ending(table: Mapping[str, T], path: PathLike, verb: str) -> T:
    ending = os.path.splitext(path)[1].lower()
    if ending not in table:
        got = repr(ending) if ending else "no ending"
        raise ValueError(f"cannot {verb} {path}: its name must end in one of {', '.join(table)}, got {got}")
    return table[ending]


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise ImportError(f'{what} needs pyarrow: pip install "mixtura[cli]"') from None
    return pa


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _is_row_number(name: str) -> bool:
    return name == "" or (name.startswith("__index_level_") and name.endswith("__"))


def _are_values(names: Sequence[str]) -> bool:
    """Whether the names are numbers, other than those that pandas counts its columns with."""
    if list(names) == [str(j) for j in range(len(names))]:
        return False
    try:
        return all(math.isfinite(float(name)) for name in names)
    except ValueError:
        return False
