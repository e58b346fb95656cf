"""Records as a frame of whatever library is there to hold one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any


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
