"""The rows that a report is about: read as they come, and the part of them that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura import distributed, frames, sources, validation
from mixtura.plot.canvas import names_of
from mixtura.rows import AnyArray, Array, Rows
from mixtura.scanning import Scan

DRAWN_ROWS = 10_000
"""More rows than this make a page slow, and hide one another."""

FITTED_ROWS = 2_000
"""Rows that EM is run on again, and that other models are fitted to."""

FEW_ROWS = 1_000
"""Of these, rows that have a colour in every pass and for every model."""


@dataclass(frozen=True, eq=False)
class Data:
    """Rows x (n, d) at hand, with NaN for what is missing, of the ``n_rows`` of a table with ``n_missing`` values.

    ``names`` (d) are those of the features, ``titles`` (n) those of the rows, None where they have numbers alone.
    """

    x: AnyArray
    names: Sequence[str]
    titles: Sequence[str] | None
    weight: Array | None
    n_rows: int
    n_missing: int

    @property
    def whole(self) -> bool:
        """Whether all rows are at hand."""
        return len(self.x) == self.n_rows

    def title(self, row: int) -> str:
        """What a row is called."""
        own = None if self.titles is None else self.titles[row]
        return own if own and not own.isspace() else f"row {row}"

    def rows(self, index: Any = slice(None)) -> Rows:
        """Some of the rows, without their weights, as a model is evaluated at them."""
        x = self.x[index]
        return Rows(x, missing=validation.missing(x))


def received(model: object, X: Any, sample_weight: Any, given: Sequence[str] | None, d: int) -> Data:
    """X as rows of d features, which have the names that are ``given`` or their own; ValueError where it is not."""
    if isinstance(X, Scan) or distributed.is_collection(X):
        return _looked_at(model, X, sample_weight, d)
    frame = frames.checked(X)
    names = names_of(model, X, given, d)
    titles = _titles(X) if frame else None
    x = validation.points(frames.as_array(X) if frame else validation.with_gaps(X), d)
    if len(x) == 0:
        raise ValueError("X must have at least one row, got none: give the rows that the report is about")
    weight = validation.sample_weight(sample_weight, len(x))
    return Data(x, names, titles, weight, len(x), 0 if x.dtype.kind != "f" else int(np.isnan(x).sum()))


def _looked_at(model: object, X: Any, sample_weight: Any, d: int) -> Data:
    """The rows of a scan or a Dask collection that are held to look at."""
    if isinstance(X, Scan):
        validation.nothing_beside_a_scan({"sample_weight": sample_weight})
        table: Any = X
        survey = sources.surveyed(X)
    else:
        source = distributed.looked_at(distributed.collected(X, sample_weight))
        table, survey = source.table, source.survey
    if table.n_features != d:
        raise ValueError(
            f"X must have {d} features as the mixture has, got {table.n_features} columns: name those of the fit"
        )
    rows = survey.at_hand
    n_rows = len(rows) if survey.whole else survey.n_rows
    named = np.empty((0, d)) if table.columns is None else _Named(list(table.columns))
    return Data(rows.x, names_of(model, named, None, d), None, rows.weight, n_rows, survey.n_missing)


@dataclass(frozen=True)
class _Named:
    """What has names of columns."""

    columns: list[str]


def _titles(X: Any) -> list[str] | None:
    """What a frame of pandas calls its rows, unless it counts them."""
    index = getattr(X, "index", None)
    if index is None or callable(index) or (getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1):
        return None
    return [str(one) for one in index]


@dataclass(frozen=True, eq=False)
class Parts:
    """Which rows are ``drawn``; which are ``fitted`` once more, and the ``few`` of these that have a colour in every
    pass and for every model."""

    drawn: NDArray[np.intp]
    fitted: NDArray[np.intp]
    few: NDArray[np.intp]


def parts_of(data: Data, most: int, seed: int) -> Parts:
    """At most ``most`` rows to draw and FITTED_ROWS to fit, in their order; those drawn by chance, but the same ones
    for the same seed."""
    rng = np.random.default_rng(seed)
    n = len(data.x)
    told = np.arange(n) if data.x.dtype.kind != "f" else np.flatnonzero(~np.isnan(data.x).all(axis=1))
    counting = told if data.weight is None else told[data.weight[told] > 0]
    fitted = _some(counting, FITTED_ROWS, rng)
    return Parts(_some(np.arange(n), most, rng), fitted, _some(fitted, FEW_ROWS, rng))


def stretches(n: int, most: int) -> slice:
    """At most ``most`` of n rows, one of each stretch."""
    return slice(None, None, max(1, -(-n // most)))


def _some(among: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return among if len(among) <= most else np.sort(rng.choice(among, most, replace=False))
