"""Frames of whatever library: records as one, and rows filled in as the one they came in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mixtura import validation
from mixtura.rows import Array, Rows
from mixtura.shapes import answer_dtype, fits


def frame(records: Sequence[Mapping[str, Any]]) -> Any:
    """Records as a table, a column for each key.

    Parameters
    ----------
    records : sequence of mappings
        All with the same keys.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or list of dict
        Of pandas if it is installed, else of polars, else the records themselves.

    Examples
    --------
    >>> from mixtura.frames import frame
    >>> len(frame([{"k": 1, "bic": 10.0}, {"k": 2, "bic": 8.0}]))
    2
    """
    rows = [dict(record) for record in records]
    if find_spec("pandas") is not None:
        import pandas as pd

        return pd.DataFrame(rows)
    if find_spec("polars") is not None:
        import polars as pl  # type: ignore[import-not-found,unused-ignore]

        return pl.DataFrame(rows)
    return rows


def is_frame(X: Any) -> bool:
    """Whether X is a frame of pandas, polars, PyArrow or the like."""
    return bool(nw.dependencies.is_into_dataframe(X))


def checked(X: Any, what: str = "X") -> bool:
    """Whether X is a frame, and then one that rows can be made of: at hand, each column of its own name, no dates."""
    if not is_frame(X):
        validation.at_hand(X, isinstance(nw.from_native(X, pass_through=True), nw.LazyFrame), what)
        return False
    validation.distinct_names(names(X), what)
    schema = nw.from_native(X, eager_only=True).schema
    validation.no_dates([(name, type(kind).__name__) for name, kind in schema.items() if kind.is_temporal()], what)
    return True


def library(X: Any) -> str:
    """What library a frame is of, by name."""
    return str(nw.get_native_namespace(X).__name__)


def names(X: Any) -> list[Any]:
    """What the columns of a frame are called, whether they have names of their own or not."""
    return [*(X.column_names if hasattr(X, "column_names") else X.columns)]


def as_array(X: Any) -> NDArray[Any]:
    """The numbers of a frame, (n, d)."""
    return np.asarray(nw.from_native(X, eager_only=True).to_numpy())


def like(X: Any, x: Array, rows: Rows) -> Any:
    """``x`` (n, d), which is that of ``rows`` with what is missing filled in, in the form in which the rows came as X.

    An array has the shape of X and the dtype of answers.  In a frame, columns without anything missing stay as they
    are, the others are floats, of 32 bits where they were.
    """
    missing = np.zeros(x.shape, dtype=bool) if rows.missing is None else rows.missing
    if not is_frame(X):
        return x.reshape(np.asarray(X).shape).astype(_narrow(answer_dtype(rows.x), x[missing]), copy=False)
    table = nw.from_native(X, eager_only=True)
    columns = []
    for j in np.flatnonzero(missing.any(axis=0)):
        gone, column = missing[:, j], table[:, int(j)]
        wanted = np.dtype(np.float32 if column.dtype == nw.Float32 else np.float64)
        kind = nw.Float32 if _narrow(wanted, x[gone, j]) == np.float32 else nw.Float64
        told, values = (nw.new_series(column.name, part, backend=table.implementation) for part in (~gone, x[:, j]))
        if column.dtype == nw.Object:  # which may hold an NA that has no cast, and has no digits that x has not
            columns.append(values)
        else:
            columns.append(column.cast(kind).zip_with(told, values.cast(kind)))
    return _as_floats_for_pandas(table.clone().with_columns(*columns).to_native(), {one.name for one in columns})


def _as_floats_for_pandas(native: Any, names: set[str]) -> Any:
    """The same frame; a PyArrow table that came from pandas keeps what the columns were there, which for those that are
    floats now would be in the way."""
    metadata = getattr(getattr(native, "schema", None), "metadata", None)
    if not metadata or b"pandas" not in metadata:
        return native
    kept = json.loads(metadata[b"pandas"])
    for column in kept["columns"]:
        if column["name"] in names:
            column |= {"pandas_type": "float64", "numpy_type": "float64", "metadata": None}
    return native.replace_schema_metadata({**metadata, b"pandas": json.dumps(kept).encode()})


def _narrow(wanted: np.dtype[Any], filled: Array) -> np.dtype[Any]:
    """The dtype that is wanted, if what was filled in is a number in it."""
    return wanted if fits(filled, wanted) else np.dtype(np.float64)
