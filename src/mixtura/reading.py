"""Files as tables: CSV, TSV, Parquet, Feather, Arrow and .npy, columns by name, batch by batch.

Whatever the columns hold becomes float64, float32 where that is what it is; a null, and in text an empty cell or NA,
becomes NaN.  Whatever is wrong with a file is a ValueError of one sentence that names the file.
"""

from __future__ import annotations

import csv as text
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.io import FloatArray, PathLike, check_readable, one_line, reason

T = TypeVar("T")

Loaded = Iterator[tuple[list[NDArray[Any]], str]]
"""Batches of some columns, each with its place in the file, in words."""

MISSING = ("None", "<NA>")
"""What stands for a missing value in text beside what pyarrow knows: an empty cell, NA, N/A, NaN, null, ..."""

EMPTY = "no values"
"""What a column holds that is of no type."""

LISTED = 20
"""So many names stand in a message; the rest are counted."""

TEXT_BYTES = 4 << 20
"""Text that is parsed at a time.  What its first such block tells of the columns decides which are numeric."""

READ_ROWS = 1 << 16
"""Rows of a table that is read whole, at a time."""


@dataclass(frozen=True, eq=False)
class File:
    """What is found in a file before its rows are read: ``names`` of all columns, what those hold that are not numeric
    (``other``), the number of rows where it is told, and a function that reads some columns, so many rows at a time."""

    path: Path
    names: list[str]
    other: dict[str, str]
    n_rows: int | None
    load: Callable[[list[str], int], Loaded]

    def batches(self, wanted: list[str], size: int) -> Loaded:
        """The columns ``wanted`` (m,) each, at most ``size`` rows at a time; what goes wrong on the way is a ValueError
        that says where."""
        before, loaded = "", self.load(wanted, size)
        while True:
            try:
                one = next(loaded, None)
            except ValueError as error:  # pyarrow's ArrowInvalid is one
                said = one_line(error)
                said = said if str(self.path) in said else f"cannot read {self.path}{before}: {said}"
                raise ValueError(said) from None
            except OSError as error:
                raise ValueError(f"cannot read {self.path}{before}: {reason(error)}") from error
            if one is None:
                return
            before = f" behind {one[1]}"
            yield one


def opened(path: PathLike) -> File:
    """The file as its kind is opened, by the ending of its name."""
    check_readable(path)
    try:
        return by_ending(KINDS, path, "read")(Path(path))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {reason(error)}") from error


def chosen(file: File, columns: Sequence[str] | None, beside: Sequence[str]) -> list[str]:
    """The columns to read, checked: those that are named, or all that are numeric but those ``beside``, which are
    checked, too."""
    path, names, other = file.path, file.names, file.other
    if twice := _first_repeated(names):
        raise ValueError(f"{path} has two columns called {twice!r}: give each a name of its own")
    if columns is None:
        columns = [name for name in names if name not in other and name not in beside and not _is_row_number(name)]
        if not columns:
            found = [f"{name!r} ({other.get(name, 'numbers')})" for name in names]
            raise ValueError(
                f"{path} has no numeric columns to use, but {_listed(found)}: "
                "check that it is the right file, and how its values are separated"
            )
    elif not len(columns):
        raise ValueError("expected at least one column, got none: name one, or leave the choice to mixtura")
    elif twice := _first_repeated(columns):
        raise ValueError(f"the column {twice!r} is named twice: name each column once")
    wanted = list(dict.fromkeys([*columns, *beside]))
    if absent := [name for name in wanted if name not in names]:
        raise ValueError(f"{path} has no column {_listed([repr(name) for name in absent])}: it has {_listed(names)}")
    for name in wanted:
        if name in other and other[name] != EMPTY:  # a column that is named may have nothing in it
            raise ValueError(
                f"the column {name!r} of {path} holds {other[name]}, not numbers: convert it or leave it out"
            )
    return [*columns]


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
        In a .csv semicolons may stand for commas, and then decimal commas for points.
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
    file = opened(path)
    beside = [name for name in (weight, *(errors or ()), labels) if name is not None]
    wanted = chosen(file, columns, beside)
    if errors is not None and len(errors) != len(wanted):
        raise ValueError(
            f"expected a column of errors for each of {_listed(wanted)}, got {len(errors)} ({_listed(errors)}): "
            "name as many, in the same order"
        )
    every = list(dict.fromkeys([*wanted, *beside]))
    parts = [loaded for loaded, _ in file.batches(every, READ_ROWS)]
    if not any(len(part[0]) for part in parts):
        raise ValueError(f"{path} has no rows: at least one is needed")
    x = np.empty((sum(len(part[0]) for part in parts), len(every)))
    for j in range(len(every)):
        np.concatenate([part[j] for part in parts], out=x[:, j])

    def named(names: Sequence[str]) -> FloatArray:
        return np.ascontiguousarray(x[:, [every.index(name) for name in names]])

    return Table(
        named(wanted),
        tuple(wanted),
        None if weight is None else named([weight])[:, 0],
        None if errors is None else named(errors),
        None if labels is None else named([labels])[:, 0],
    )


def left_out(file: File, columns: Sequence[str] | None, beside: Sequence[str]) -> dict[str, str]:
    """What the columns hold that were not chosen because it is not numbers, by name, if nobody named those to be
    read."""
    if columns is not None:
        return {}
    return {name: held for name, held in file.other.items() if name not in beside and not _is_row_number(name)}


# kinds of files -------------------------------------------------------------------------------------------------------


def _text(path: Path, delimiter: str) -> File:
    pa = arrow(f"reading {path}")
    from pyarrow import csv

    if separated := _by_semicolons(path, delimiter):
        delimiter = ";"

    words = [*csv.ConvertOptions().null_values, *MISSING]
    words += [spaced for word in words for spaced in (f" {word}", f"{word} ")]  # as numbers may be

    @contextmanager
    def reader(decimal: str, **convert: Any) -> Iterator[Any]:
        bad: list[Any] = []

        def refuse(row: Any) -> str:
            bad.append(row)
            return "error"

        # One thread knows the number of a line.
        read = csv.ReadOptions(use_threads=False, block_size=TEXT_BYTES)
        parse = csv.ParseOptions(delimiter=delimiter, invalid_row_handler=refuse)
        options = csv.ConvertOptions(null_values=words, decimal_point=decimal, **convert)
        try:
            with csv.open_csv(path, read, parse, options) as found:
                yield found
        except pa.ArrowInvalid as error:
            if bad:
                row = bad[0]
                raise ValueError(
                    f"{path} is not a table: line {row.number} has {row.actual_columns} values, "
                    f"but the lines before have {row.expected_columns}; mend that line"
                ) from None
            raise ValueError(f"{path} is not a table: {one_line(error)}") from None

    def schema_with(decimal: str) -> Any:
        with reader(decimal) as found:
            return found.schema

    decimal, schema = ".", schema_with(".")
    try:
        names = list(schema.names)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a table: its column names are not UTF-8 text; save it as UTF-8") from None
    # Where commas are in numbers, semicolons are between them; but not all who write semicolons write such commas.
    if separated and len(_not_numeric(other := schema_with(","))) < len(_not_numeric(schema)):
        decimal, schema = ",", other
    if _are_values(names):
        raise ValueError(
            f"the first line of {path} must name the columns, but holds {_listed(names)}: put a line of names before it"
        )

    def load(wanted: list[str], size: int) -> Loaded:
        # A column that begins with whole numbers may have others further on.
        truth = pa.bool_()
        types = {name: truth if schema.field(name).type == truth else pa.float64() for name in wanted}
        done = 0
        with reader(decimal, include_columns=wanted, column_types=types) as found:
            for block in found:
                for part in _cut(block, size):
                    yield [_values(part.column(name)) for name in wanted], f"row {done}"
                    done += part.num_rows

    return File(path, names, _not_numeric(schema), None, load)


def _parquet(path: Path) -> File:
    pa = arrow(f"reading {path}")
    from pyarrow import parquet

    # Buffered, not mapped into memory: pages of a map count as resident until the file is closed.
    options = {"memory_map": False, "pre_buffer": False, "buffer_size": 1 << 20}
    try:
        with parquet.ParquetFile(path, **options) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file: {one_line(error)}") from None

    def load(wanted: list[str], size: int) -> Loaded:
        with parquet.ParquetFile(path, **options) as file:
            for group in range(file.num_row_groups):
                with _in_group(path, f"row group {group}"):
                    # One thread decodes while others work on what it has decoded.
                    for part in file.iter_batches(size, row_groups=[group], columns=wanted, use_threads=False):
                        yield [_values(part.column(name)) for name in wanted], f"row group {group}"

    return File(path, list(schema.names), _not_numeric(schema), n_rows, load)


def _arrow(path: Path) -> File:
    pa = arrow(f"reading {path}")

    try:
        with pa.OSFile(str(path)) as raw:
            schema = pa.ipc.open_file(raw).schema
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Feather or Arrow file: {one_line(error)}") from None

    def load(wanted: list[str], size: int) -> Loaded:
        options = pa.ipc.IpcReadOptions(included_fields=[schema.names.index(name) for name in wanted])
        with pa.OSFile(str(path)) as raw:
            file = pa.ipc.open_file(raw, options=options)
            for group in range(file.num_record_batches):
                with _in_group(path, f"record batch {group}"):
                    for part in _cut(file.get_batch(group), size):
                        yield [_values(part.column(name)) for name in wanted], f"record batch {group}"

    return File(path, list(schema.names), _not_numeric(schema), None, load)


@contextmanager
def _in_group(path: Path, group: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # Arrow raises either for bytes that are not what they should be
        raise ValueError(f"cannot read {group} of {path}: {one_line(error)}; make the file anew") from error


def _npy(path: Path) -> File:
    def table() -> NDArray[Any]:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            raise ValueError(f"{path} is not a NumPy array of numbers: write it with numpy.save") from None
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            kind = getattr(array, "dtype", "an archive")
            raise ValueError(f"{path} must hold an array of real numbers, got {kind}: convert it first")
        if array.ndim not in (1, 2) or array.shape[-1] == 0:
            raise ValueError(
                f"{path} must hold an array of shape (n,) or (n, d), got {array.shape}: give one row per observation"
            )
        return array[:, None] if array.ndim == 1 else array

    n_rows, n_features = table().shape
    names = feature_names(n_features)

    def load(wanted: list[str], size: int) -> Loaded:
        array, index = table(), [names.index(name) for name in wanted]
        kind = np.float32 if array.dtype == np.float32 else np.float64
        for begin in range(0, len(array), size):
            part = array[begin : begin + size]
            yield [part[:, j].astype(kind) for j in index], f"row {begin}"

    return File(path, names, {}, n_rows, load)


def _by_semicolons(path: Path, delimiter: str) -> bool:
    """Whether it is semicolons that separate the names in the first line, and not ``delimiter``."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(TEXT_BYTES)

    def parts(by: str) -> int:
        return len(next(text.reader([line], delimiter=by), []))

    return parts(delimiter) <= 1 < parts(";")


KINDS: dict[str, Callable[[Path], File]] = {
    ".csv": partial(_text, delimiter=","),
    ".tsv": partial(_text, delimiter="\t"),
    ".parquet": _parquet,
    ".feather": _arrow,
    ".arrow": _arrow,
    ".npy": _npy,
}


def _cut(batch: Any, size: int) -> Iterator[Any]:
    for begin in range(0, batch.num_rows, size):
        yield batch.slice(begin, size)


def _not_numeric(schema: Any) -> dict[str, str]:
    """What the columns of Arrow's ``schema`` hold that are not numeric, by name."""
    from pyarrow import types as kinds

    tests = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
    words = {"null": EMPTY}
    return {
        name: words.get(str(kind), str(kind))
        for name, kind in zip(schema.names, schema.types, strict=True)
        if not any(test(kind) for test in tests)
    }


def _values(column: Any) -> NDArray[Any]:
    """The numbers of a column of Arrow's, a null being NaN."""
    from pyarrow import types as kinds

    if kinds.is_float32(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)
    # Half precision has no cast in older releases; integers with nulls and decimals need one.
    if not kinds.is_floating(column.type):
        column = column.cast("double", safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def feature_names(n_features: int) -> list[str]:
    """Names for features that have none: x0, x1, ... as scikit-learn calls them."""
    return [f"x{j}" for j in range(n_features)]


# What goes wrong -----------------------------------------------------------------------------------


def by_ending(table: Mapping[str, T], path: PathLike, verb: str) -> T:
    ending = os.path.splitext(path)[1].lower()
    if ending not in table:
        got = repr(ending) if ending else "no ending"
        raise ValueError(f"cannot {verb} {path}: its name must end in one of {', '.join(table)}, got {got}")
    return table[ending]


def arrow(what: str) -> Any:
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
