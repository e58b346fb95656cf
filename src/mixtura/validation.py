"""The door: whatever a user hands over is checked here, once, and the core trusts it afterwards.

Every message says in one sentence what was expected, what came and what to do.
"""

from __future__ import annotations

import numbers
import operator
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.covariance import Covariances, Dense, Diagonal, broadcast
from mixtura.families import ALIASES, FAMILIES, UNIVARIATE, Family, family_of
from mixtura.rows import UNKNOWN, AnyArray, Array

SUM_TOLERANCE = 1e-6
"""How far weights may be from sum one: printed numbers are welcome, unnormalised ones are not."""


def count(value: Any, name: str, *, least: int = 1) -> int:
    """An integer of at least ``least``."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and least <= int(value) < 2**53:
        return int(value)
    raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}: give a whole number")


def counts(values: Any, name: str) -> list[int]:
    """Integers of at least one, each once and in order, from one or several."""
    if isinstance(values, numbers.Integral) or (isinstance(values, np.ndarray) and values.ndim == 0):
        values = [values[()] if isinstance(values, np.ndarray) else values]
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} must be an integer or several, got {values!r}: give range(1, 10), for example")
    found = sorted({count(value, f"each of {name}") for value in values})
    if not found:
        raise ValueError(f"{name} must hold an integer, got none: give range(1, 10), for example")
    return found


def number(value: Any, name: str, *, least: float = 0.0) -> float:
    """A finite real number of at least ``least``."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and np.isfinite(value) and value >= least:
        return float(value)
    raise ValueError(f"{name} must be a finite number of at least {least:g}, got {value!r}: give such a number")


def pace(step: Any, forgetting: Any) -> tuple[float | None, float | None]:
    """How fast batches are forgotten: by a step in (0.5, 1], by a factor in (0, 1), or not at all."""
    if step is not None and forgetting is not None:
        raise ValueError(f"expected step or forgetting, got step={step!r} and forgetting={forgetting!r}: leave one out")
    if step is not None and not 0.5 < number(step, "step") <= 1:
        raise ValueError(
            f"step must be above 0.5 and at most 1, got {step!r}: use 0.7, or None to count all rows alike"
        )
    if forgetting is not None and not 0 < number(forgetting, "forgetting") < 1:
        raise ValueError(f"forgetting must be between 0 and 1, got {forgetting!r}: use 0.99, or None to forget nothing")
    return None if step is None else float(step), None if forgetting is None else float(forgetting)


def switch(value: Any, name: str) -> bool:
    """Whether something is wanted: True, or None for no."""
    if value is None or isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"{name} must be None or True, got {value!r}: choose one of these")


def one_of(value: Any, name: str, known: Sequence[str]) -> str:
    """One of the ``known`` names."""
    if isinstance(value, str) and value in known:
        return value
    raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}: choose one of these")


def masks(value: Any, name: str, known: Sequence[str], n_components: int) -> dict[str, NDArray[np.bool_]]:
    """Components (K,) that are meant under each of the ``known`` keys of a dict: True, False, or a boolean for each."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        came = f"the keys {_short(list(value))}" if isinstance(value, Mapping) else _short(value)
        raise ValueError(
            f"{name} must be None or a dict with keys among {', '.join(known)}, got {came}: "
            f"give {{{known[0]!r}: True}}, for example"
        )
    found = {}
    for key, chosen in value.items():
        mask = _array(chosen, f"{name}[{key!r}]")
        if mask.dtype != bool or mask.shape not in ((), (n_components,)):
            raise ValueError(
                f"{name}[{key!r}] must be True, False or {n_components} booleans, got {_short(mask.tolist())}: "
                "give one for each component"
            )
        found[key] = np.array(np.broadcast_to(mask, (n_components,)))
        found[key].flags.writeable = False
    return found


def family(covariance_type: Any, n_features: int = 1) -> Family:
    """The covariance family called by a code or by one of scikit-learn's names, if it is one for so many features."""
    name = one_of(covariance_type, "covariance_type", [*ALIASES, *FAMILIES, *UNIVARIATE])
    if name in UNIVARIATE and n_features > 1:
        raise ValueError(
            f"covariance_type {name!r} is for one feature, got {n_features}: choose a code of three letters"
        )
    return family_of(name)


def indices(chosen: Sequence[int], size: int, name: str) -> list[int]:
    """Distinct indices under ``size``."""
    found = [operator.index(one) if hasattr(one, "__index__") else -1 for one in chosen]
    if found and len(set(found)) == len(found) and all(0 <= index < size for index in found):
        return found
    raise ValueError(f"{name} must be distinct indices from 0 to {size - 1}, got {list(chosen)}: choose among these")


def _numbers(values: Any, name: str) -> Array:
    """A float64 array, the user's own if it is one."""
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(_without_na(np.asarray(values)), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be an array of numbers, got {_short(values)}: convert it first") from None


def _real(values: Any, name: str) -> Array:
    """A finite float64 array of our own."""
    array = np.array(_numbers(values, name))
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at index {where}: replace that entry")
    return array


def _without_na(array: AnyArray) -> AnyArray:
    """The same array, with NaN for None and for the NA of pandas, which NumPy takes for no number, among objects."""
    if array.dtype != object:
        return array
    na = getattr(sys.modules.get("pandas"), "NA", None)  # where pandas is not loaded, nothing is its NA
    gone = np.array([one is None or one is na for one in array.flat], dtype=bool)
    return np.where(gone.reshape(array.shape), np.nan, array)


def _array(values: Any, name: str) -> AnyArray:
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, got rows of different lengths: give all the same length") from None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())  # arrays and frames come in several lines
    return text if len(text) <= 60 else text[:57] + "..."


# rows ----------------------------------------------------------------------------------------------------------


def finite(x: AnyArray, names: Sequence[str] | None = None, *, missing: bool = False) -> None:
    """Refuse inf, and NaN unless it may be ``missing``, naming the first row and column that hold one."""
    if x.dtype.kind != "f":
        return
    step = max(1, (1 << 20) // max(1, x.shape[1]))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        bad = np.isinf(part) if missing else ~np.isfinite(part)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            value = x[start + row, column]
            label = f" ({names[column]!r})" if names is not None else ""
            what = "NaN" if np.isnan(value) else "inf" if value > 0 else "-inf"
            raise ValueError(
                f"X must be finite, but row {start + row}, column {column}{label} is {what}: "
                "remove the row or replace the entry"
            )


def with_gaps(X: Any) -> Any:
    """The same, if it is not a masked array; NumPy would pass over the mask, behind which there may be any value."""
    if not isinstance(X, np.ma.MaskedArray) or not np.ma.is_masked(X):
        return X
    return np.ma.filled(X if X.dtype.kind == "f" else X.astype(np.float64), np.nan)


def missing(x: AnyArray) -> NDArray[np.bool_] | None:
    """Which entries (n, d) are NaN; None if none is."""
    if x.dtype.kind != "f":
        return None
    found = np.isnan(x)
    return found if found.any() else None


def some_told(missing: NDArray[np.bool_] | None, names: Sequence[str] | None = None) -> None:
    """Refuse columns without any value."""
    if missing is not None and (empty := missing.all(axis=0)).any():
        column = int(np.argmax(empty))
        label = f" ({names[column]!r})" if names is not None else ""
        raise ValueError(f"X must have a value in each column, but column {column}{label} has none: leave it out")


def nothing_beside_a_scan(beside: Mapping[str, Any]) -> None:
    """Refuse arrays with an entry for each row where rows are scanned."""
    given = [name for name, value in beside.items() if value is not None]
    if given:
        raise ValueError(
            f"{given[0]} has an entry for each row, which a scan has not in memory: leave it out"
            + (", and name the column of weights in scan(..., weight=...)" if given[0] == "sample_weight" else "")
        )


def same_columns(columns: Sequence[str] | None, n_columns: int, names: Sequence[str] | None, n_features: int) -> None:
    """Refuse a table whose columns, if they have names, are not the features of the fit."""
    if n_columns != n_features:
        raise ValueError(
            f"X has {n_columns} features, but the mixture is expecting {n_features} features as input: choose them by "
            "name, scan(..., columns=[...])"
        )
    if columns is not None and names is not None and [*columns] != [str(name) for name in names]:
        raise ValueError(
            f"The feature names should match those that were passed during fit, {', '.join(map(str, names))}, got "
            f"{', '.join(columns)}: choose them by name, scan(..., columns=[...])"
        )


LARGEST_COUNT = 1e100
"""Sum of a histogram's counts, at most: these are not scaled, and squares of their sums are numbers."""


def histogram(edges: Any, counts: Any) -> tuple[Array, Array, Array]:
    """The bins of a histogram: middles (b, 1), counts (b,), and lower and upper edges (b, 2).

    The first edge may be -inf and the last inf; such a bin has its middle where one as wide as its neighbour would.
    """
    ends = _numbers(edges, "edges")
    if ends.ndim == 1 and np.shape(counts) == (len(ends) + 1,):
        raise ValueError(
            f"edges come first, (b + 1,) for b counts, got {len(ends)} and then {len(ends) + 1} numbers: give them the "
            "other way round, as numpy.histogram returns counts first"
        )
    if ends.ndim != 1 or len(ends) < 2 or not (ends[1:] > ends[:-1]).all() or not np.isfinite(ends[1:-1]).all():
        raise ValueError(
            f"edges must be increasing, (b + 1,) of them for b bins, only the first and the last infinite, got "
            f"{_short(edges)}: give them as numpy.histogram does"
        )
    if np.shape(counts) != (len(ends) - 1,):
        raise ValueError(
            f"counts must have shape ({len(ends) - 1},), one less than edges, got {np.shape(counts)}: "
            "give a count for each bin"
        )
    if not np.isfinite(ends).any():
        raise ValueError("edges must have a finite one, got -inf and inf: divide the line into more than one bin")
    found = sample_weight(counts, len(ends) - 1, name="counts")
    assert found is not None
    if found.sum() > LARGEST_COUNT:
        raise ValueError(
            f"counts must have a sum of at most {LARGEST_COUNT:.0e}, got {found.sum():.3g}: divide them by a number"
        )
    finite = np.diff(ends)[np.isfinite(np.diff(ends))]
    inner = ends[np.isfinite(ends)]
    before, after = (finite[0], finite[-1]) if len(finite) else (1.0, 1.0)
    closed = np.clip(ends, inner[0] - before, inner[-1] + after)
    return 0.5 * (closed[:-1] + closed[1:])[:, None], found, np.stack([ends[:-1], ends[1:]], axis=1)


def error_covariance(values: Any, x: AnyArray, gone: NDArray[np.bool_] | None) -> Array | None:
    """Variances (n, d) or covariances (n, d, d) of the errors of the rows ``x``; None if there are none.

    What comes as one variance, (d,) or (d, d) holds for all rows; of as many rows as features (n, d) are variances.
    What they say of entries that are ``gone`` plays no part, may be NaN, and is zero afterwards.
    """
    if values is None:
        return None
    n, d = x.shape
    array = _numbers(with_gaps(values), "error_covariance")
    common = True
    if array.shape in ((), (1,), (d,)):
        array = np.broadcast_to(array, (n, d))
    elif array.shape == (d, d) and n != d:
        array = np.broadcast_to(array, (n, d, d))
    else:
        common = False
        if array.shape == (n,) and d == 1:
            array = array[:, None]
    if array.shape not in ((n, d), (n, d, d)):
        raise ValueError(
            f"error_covariance must have shape ({n}, {d}), ({n}, {d}, {d}), ({d},) or ({d}, {d}), got {array.shape}: "
            "give variances, or a covariance matrix, for each row of X or for all of them"
        )
    if gone is not None:
        array = np.where(gone if array.ndim == 2 else gone[:, :, None] | gone[:, None], 0.0, array)
    step = max(1, (1 << 20) // array[0].size)
    diagonal, nothing = True, True
    for start in range(0, n, step):
        part = array[start : start + step]
        _check_errors(part, None if common else start)
        nothing = nothing and not part.any()
        diagonal = diagonal and part.ndim == 3 and not (part * (1 - np.eye(d))).any()
    if nothing:
        return None
    return np.einsum("njj->nj", array) if diagonal else array


def standard_errors(values: Array | None, x: Array, names: Sequence[str]) -> Array | None:
    """Variances (n, d) of errors whose standard deviations are given; what they are beside a missing value is left."""
    if values is None:
        return None
    wrong = ~((values >= 0) & (values <= SQUARABLE[1] ** 0.5)) & ~np.isnan(x)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"standard errors must be from 0 to {SQUARABLE[1] ** 0.5:.0e}, but that of {names[column]!r} in row {row} "
            f"is {values[row, column]:g}: leave out the value if it tells nothing"
        )
    return np.square(np.where(np.isnan(x), 0.0, values))


def _check_errors(part: Array, start: int | None) -> None:
    """Refuse errors that are no covariances, of rows from ``start`` on; None, if they are those of all rows."""

    def first(bad: NDArray[np.bool_]) -> tuple[int, str]:
        row = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
        return row, "all rows" if start is None else f"row {start + row}"

    if not np.isfinite(part).all():
        _, which = first(~np.isfinite(part))
        raise ValueError(
            f"error_covariance must be finite, but that of {which} is not: for a value that tells nothing put NaN in X"
        )
    variances = part if part.ndim == 2 else np.einsum("njj->nj", part)
    if (variances < 0).any():
        row, which = first(variances < 0)
        raise ValueError(
            f"error_covariance must not be negative, but a variance of {which} is {variances[row].min()}: "
            "give variances, not standard deviations with a sign"
        )
    if (variances > SQUARABLE[1]).any():
        row, which = first(variances > SQUARABLE[1])
        raise ValueError(
            f"error_covariance must be at most {SQUARABLE[1]:.0e}, but a variance of {which} is "
            f"{variances[row].max():.3g}: for a value that tells nothing put NaN in X"
        )
    if part.ndim == 2:
        return
    scale = np.sqrt(variances)
    size = scale[:, :, None] * scale[:, None, :]
    skew = np.abs(part - part.transpose(0, 2, 1)) > 1e-8 * size
    if skew.any():
        _, which = first(skew)
        raise ValueError(
            f"error_covariance must be symmetric, but that of {which} is not: give (E + E') / 2 if that is meant"
        )
    unit = np.where(scale > 0, scale, 1.0)
    correlation = part / (unit[:, :, None] * unit[:, None, :])
    try:
        np.linalg.cholesky(correlation + 1e-8 * np.eye(part.shape[1]))
    except np.linalg.LinAlgError:
        _, which = first(np.linalg.eigvalsh(correlation)[:, :1] < -1e-8)
        raise ValueError(
            f"error_covariance must have no negative eigenvalue, but that of {which} has one: give a covariance matrix"
        ) from None


def _labels(values: Any) -> AnyArray:
    """Labels as an array of numbers, NaN where one is missing, or of booleans, if they are that in whatever form."""
    array = _without_na(_array(with_gaps(values), "labels"))
    if array.dtype.kind in "OSU" and any(texts := [isinstance(one, str | bytes) for one in array.flat]):
        raise ValueError(
            f"labels must be numbers of components, got text, {str(array.flat[texts.index(True)])!r} for one: "
            "number the names, as in labels, names = pandas.factorize(names)"
        )
    if array.dtype == object and all(isinstance(one, bool | np.bool_) for one in array.flat):
        return array.astype(bool)
    if array.dtype == object and all(isinstance(one, numbers.Real) for one in array.flat):
        return array.astype(np.float64)
    return array


def known_labels(values: Any, n: int, n_components: int, *, background: bool) -> NDArray[Any] | None:
    """Where rows belong, as far as it is known: a component (n,), or -1; or which they may belong to, (n, K), with a
    ``background`` also (n, K + 1).  None if nothing is known."""
    if values is None:
        return None
    array = _labels(values)
    if array.dtype == bool and array.ndim == 2:
        widths = [n_components, n_components + 1] if background else [n_components]
        if array.shape not in [(n, width) for width in widths]:
            raise ValueError(
                f"labels must have shape ({n},) or ({n}, {n_components}), got {array.shape}: "
                "give a component, or which components are allowed, for each row of X"
            )
        if not array.any(axis=1).all():
            row = int(np.argmin(array.any(axis=1)))
            raise ValueError(f"labels must allow a component in each row, but row {row} has none: allow all if unknown")
        return None if array.all() else array
    if array.shape == (n,) and array.dtype.kind == "f" and np.isnan(array).any():
        row = int(np.argmax(np.isnan(array)))
        raise ValueError(
            f"labels must be from -1 (unknown) to {n_components - 1}, but that of row {row} is missing: "
            "write -1 for a row whose component is not known"
        )
    if array.shape != (n,) or array.dtype.kind not in "iuf" or not (array == np.floor(array)).all():
        raise ValueError(
            f"labels must be {n} integers from -1 (unknown) to {n_components - 1}, or a boolean array "
            f"({n}, {n_components}), got {_short(values)} of shape {array.shape}: give one label per row of X"
        )
    outside = ~((array >= UNKNOWN) & (array < n_components))
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"labels must be from -1 (unknown) to {n_components - 1}, got {array[row]} in row {row}: "
            "number the components from 0"
        )
    return None if (array == UNKNOWN).all() else array.astype(np.int32)


SQUARABLE = 1e-300, 1e300
"""Variances between these are safe numbers, and so are their sums and reciprocals."""


def measurable(x: AnyArray, variances: Array, names: Sequence[str] | None = None) -> None:
    """Refuse columns in a unit in which squares are no float64 numbers any more."""
    for column, variance in enumerate(variances):
        if SQUARABLE[0] < variance < SQUARABLE[1]:
            continue
        values = x[:, column].astype(np.float64)
        values = values[~np.isnan(values)]
        if values.max() > values.min() or np.abs(values[0]) > SQUARABLE[1] ** 0.5:
            label = f" ({names[column]!r})" if names is not None else ""
            largest = float(np.abs(values).max())
            raise ValueError(
                f"X must be in units in which squares are float64 numbers, but column {column}{label} holds numbers "
                f"up to {largest:.3g} whose variance or square is not: multiply the column by a power of ten"
            )


def points(X: Any, n_features: int) -> AnyArray:
    """Rows at which a mixture of ``n_features`` features is evaluated: (n, d) of a real dtype."""
    x = np.asarray(X)
    if x.ndim == 1 and n_features == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] != n_features:
        raise ValueError(
            f"X must have shape (n, {n_features}) as the mixture has {n_features} features, got shape {x.shape}: "
            "give one row per point"
        )
    x = real_rows(x)
    finite(x, missing=True)
    return x


def two_dimensional(X: Any) -> None:
    """Refuse what has no columns."""
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) < 2:
        raise ValueError(
            f"X must have shape (n, d), got {tuple(shape)}: Reshape your data, X.reshape(-1, 1) being one feature"
        )


def distinct_names(names: Sequence[Any], what: str = "X") -> None:
    """Refuse columns of one name."""
    seen: set[Any] = set()
    for name in names:
        if name in seen:
            raise ValueError(
                f"{what} must have columns of different names, got two called {name!r}: give each a name of its own"
            )
        seen.add(name)


def at_hand(X: Any, lazy: bool, what: str = "X") -> None:
    """Refuse what is ``lazy``: the plan of a frame."""
    if lazy:
        raise ValueError(
            f"{what} must be a frame or an array, got a {type(X).__name__}, which has no rows before it is collected: "
            "give what its collect() returns"
        )


def no_dates(dated: Sequence[tuple[Any, str]], what: str = "X") -> None:
    """Refuse columns that are ``dated``: names, and what is in them; some frames would make numbers of them."""
    if dated:
        name, kind = dated[0]
        raise ValueError(
            f"{what} must hold numbers, but column {name!r} holds dates or times ({kind}): say in what unit they count"
        )


def same_order(names: Sequence[Any], of_rows: Sequence[Any]) -> None:
    """Refuse errors whose columns have the names of those of the rows, but in another order."""
    if [*names] != [*of_rows] and set(names) == set(of_rows):
        raise ValueError(
            f"error_covariance must have its columns in the order of those of X, {_short([*of_rows])}, got "
            f"{_short([*names])}: give error_covariance[list(X.columns)]"
        )


def real_rows(x: AnyArray) -> AnyArray:
    """The same rows in a dtype that the kernels can promote; objects and strings are converted or refused."""
    if x.dtype.kind in "biuf" and x.dtype.itemsize <= 8:
        return x
    if x.dtype.kind == "c":
        raise ValueError("X must be real: Complex data not supported, got complex numbers: give real columns")
    if x.dtype.kind in "mM":
        raise ValueError(f"X must hold numbers, got dates or times ({x.dtype}): say in what unit they count")
    try:
        with np.errstate(over="ignore"):
            return _without_na(x).astype(np.float64)
    except OverflowError as error:
        raise ValueError(f"X must hold numbers, got dtype {x.dtype} ({error}): convert it first") from None
    except (TypeError, ValueError) as error:
        # TypeError for what is no number at all, as scikit-learn has it; ValueError for text that is not one
        raise type(error)(f"X must hold numbers, got dtype {x.dtype} ({error}): convert it first") from None


def problems(Xs: Any) -> Sequence[Array]:
    """The rows (n_i, d) of many problems, in float64, from an array (m, n, d) or a sequence of arrays (n_i, d)."""
    if hasattr(Xs, "__array__"):
        Xs = np.asarray(Xs)
        if Xs.dtype != object and Xs.ndim != 3:
            raise ValueError(
                f"Xs must have shape (m, n, d), n rows of d features for each problem, got {Xs.shape}: "
                "use Xs[:, :, None] if each row is a problem of one feature, or give a list of arrays"
            )
    if not isinstance(Xs, np.ndarray):
        if isinstance(Xs, str) or not hasattr(Xs, "__iter__"):
            raise ValueError(f"Xs must be an array (m, n, d) or a list of arrays, got {_short(Xs)}: give one of these")
        Xs = list(Xs)
    found: list[Array] = []
    for i, one in enumerate(Xs):
        try:
            x = np.asarray(one)
            x = real_rows(x[:, None] if x.ndim == 1 else x)
            if x.ndim != 2 or 0 in x.shape:
                raise ValueError(f"X must have shape (n, d) with at least one row, got {x.shape}: leave it out")
            if found and x.shape[1] != found[0].shape[1]:
                raise ValueError(
                    f"X must have {found[0].shape[1]} features as those before it have, got {x.shape[1]}: "
                    "fit problems of other features apart"
                )
            if not np.isfinite(x).all():
                finite(x)
        except (TypeError, ValueError) as error:
            raise type(error)(f"of problem {i}, {error}") from None
        found.append(np.asarray(x, dtype=np.float64))
    if not found:
        raise ValueError("Xs must hold a problem, got none: give an array (m, n, d) or a list of arrays")
    return found


def sample_weight(weight: Any, n: int, name: str = "sample_weight") -> Array | None:
    """Weights (n,), not negative and not all zero; None if there are none."""
    if weight is None:
        return None
    array = np.asarray(weight)
    if array.ndim == 0 and array.dtype.kind in "biuf":
        array = np.full(n, array)
    if array.shape != (n,):
        raise ValueError(
            f"{name} must have shape ({n},), one weight per row of X, got shape {array.shape}: "
            "give as many weights as rows"
        )
    weights = _real(array, name)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ValueError(
            f"{name} must not be negative, got {weights[row]} in row {row}: use 0 for a row that is not to count"
        )
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not 0 < total < np.inf:
        raise ValueError(
            f"{name} must not be zero everywhere and have a finite sum, got sum {total}: "
            "give at least one row a positive weight"
        )
    return weights


# parameters ----------------------------------------------------------------------------------------------------


def shaped(values: Any, name: str, expected: tuple[int, ...], why: str) -> Array:
    """A finite float64 array of the ``expected`` shape."""
    array = _real(values, name)
    if array.shape != expected:
        raise ValueError(f"{name} must have shape {expected} for {why}, got {array.shape}: give it in that shape")
    return array


def weights_of(
    values: Any, n_components: int | None = None, *, name: str = "weights", background: bool = False
) -> Array:
    """Mixing weights (K,): finite, not negative, with sum one; less leaves the rest to a ``background``."""
    weights = _real(values, name)
    if weights.ndim != 1 or len(weights) == 0 or n_components not in (None, len(weights)):
        expected = "(K,) with K >= 1" if n_components is None else f"({n_components},)"
        raise ValueError(f"{name} must have shape {expected}, got {weights.shape}: give one weight per component")
    missing = 1 - weights.sum()
    if background and (weights >= 0).all() and missing > 0:
        return weights
    if (weights < 0).any() or abs(missing) > SUM_TOLERANCE:
        raise ValueError(
            f"{name} must not be negative and have sum 1, got {_short(weights.tolist())} with sum {weights.sum():.9g}: "
            "divide them by their sum"
        )
    return weights


def means_of(values: Any, n_components: int, n_features: int | None = None, *, name: str = "means") -> Array:
    """Means (K, d)."""
    means = _real(values, name)
    if means.ndim == 1 and n_features in (None, 1) and len(means) == n_components:
        means = means[:, None]
    wanted = means.ndim == 2 and len(means) == n_components and means.shape[1] > 0
    if not wanted or n_features not in (None, means.shape[1]):
        d = "d" if n_features is None else n_features
        raise ValueError(
            f"{name} must have shape ({n_components}, {d}), got {means.shape}: give one mean per component"
        )
    return means


def covariances_of(values: Any, n_components: int, n_features: int, *, name: str = "covariances") -> Covariances:
    """Covariances from (K, d, d) matrices, (K, d) variances, or (K,) variances of spheres."""
    array = _real(values, name)
    k, d = n_components, n_features
    if array.shape == (k,):
        layout: Covariances = Diagonal(np.repeat(array[:, None], d, axis=1))
    elif array.shape == (k, d):
        layout = Diagonal(array)
    elif array.shape == (k, d, d):
        layout = Dense(array)
    else:
        raise ValueError(
            f"{name} must have shape ({k}, {d}, {d}), ({k}, {d}) or ({k},), got {array.shape}: "
            "give one covariance matrix, or variances, per component"
        )
    return positive_definite(layout, name)


def scale_matrix(values: Any, n_features: int) -> Array:
    """A covariance (d, d), positive definite, from a matrix, variances (d,) or one variance for all features."""
    array = _real(values, "scale")
    d = n_features
    if array.shape not in ((), (d,), (d, d)):
        raise ValueError(
            f"scale must be one variance or have shape ({d},) or ({d}, {d}), got {array.shape}: "
            "give a covariance matrix, or variances"
        )
    matrix = array if array.ndim == 2 else np.diag(np.broadcast_to(array, (d,)))
    return np.asarray(positive_definite(Dense(matrix[None]), "scale").dense[0])


def positive_definite(layout: Covariances, name: str = "covariances") -> Covariances:
    """The same covariances, if they are symmetric and positive definite; exactly symmetric afterwards."""
    if isinstance(layout, Diagonal):
        if not (layout.variances > 0).all():
            k, j = (int(i) for i in np.argwhere(~(layout.variances > 0))[0])
            raise ValueError(
                f"{name} must be positive, but component {k} has variance {layout.variances[k, j]} "
                f"in feature {j}: give a positive variance"
            )
        return layout
    for k, matrix in enumerate(layout.matrices[:1] if layout.shared else layout.matrices):
        scale = np.sqrt(np.abs(np.diagonal(matrix)))
        if (np.abs(matrix - matrix.T) > 1e-8 * np.outer(scale, scale)).any():
            raise ValueError(
                f"{name} must be symmetric, but that of component {k} is not: give (S + S') / 2 if that is meant"
            )
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"{name} must be positive definite, but that of component {k} is not: "
                "its eigenvalues must all be positive"
            ) from None
    symmetric = 0.5 * (layout.matrices + layout.matrices.transpose(0, 2, 1))
    return Dense(symmetric if not layout.shared else broadcast(symmetric[:1].copy(), len(symmetric)))


def mixture_parameters(
    weights: Any, means: Any, covariances: Any, *, shared: bool = False
) -> tuple[Array, Array, Covariances]:
    """Weights (K,), means (K, d) and covariances of a mixture, checked against each other."""
    w = weights_of(weights)
    m = means_of(means, len(w))
    if not shared:
        return w, m, covariances_of(covariances, len(w), m.shape[1])
    one = covariances_of(covariances, 1, m.shape[1])
    if isinstance(one, Diagonal):
        return w, m, Diagonal(broadcast(one.variances, len(w)))
    return w, m, Dense(broadcast(one.matrices, len(w)))


def of_family(layout: Covariances, family: Family, covariance_type: str) -> None:
    """Refuse covariances that a family could not have estimated: not diagonal, not of one shape, not shared, ..."""
    lacking = family.lacks(layout)
    if lacking is not None:
        raise ValueError(
            f"covariances of type {covariance_type!r} must be {lacking}, got others: "
            "choose a covariance_type that fits them"
        )


def with_whiteners(layout: Covariances, values: Any) -> Covariances:
    """The same covariances with the whiteners that a file keeps beside them, (K, d, d) or one for all."""
    whiteners = _real(values, "whiteners")
    if not isinstance(layout, Dense) or whiteners.shape not in (layout.matrices.shape, (1, *layout.matrices.shape[1:])):
        raise ValueError(
            f"whiteners must have the shape of the covariances, got {whiteners.shape}: save the model again"
        )
    matrices = layout.matrices[: len(whiteners)]
    scale = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    # U (S U') is the identity as far as S is known, which is to a rounding of its own scale.
    identity = np.abs(whiteners @ matrices @ whiteners.transpose(0, 2, 1) - np.eye(matrices.shape[1]))
    reach = np.abs(whiteners) @ scale[:, :, None]
    known = 1e-12 * reach * reach.transpose(0, 2, 1) + 1e-6
    triangular = not np.triu(whiteners, 1).any() and bool((np.diagonal(whiteners, axis1=1, axis2=2) > 0).all())
    if not triangular or (identity > known).any():
        raise ValueError(
            "whiteners must be inverse Cholesky factors of the covariances, got others: save the model again"
        )
    return Dense(layout.matrices, whiteners)


def responsibilities(values: Any, n: int, n_components: int, *, background: bool = False) -> Array:
    """Responsibilities (n, K): not negative, each row with sum one.

    With a ``background`` they are (n, K + 1); of K columns that come, the background has what is missing to one.
    """
    resp = _real(values, "responsibilities")
    if background and resp.ndim == 2 and resp.shape[1] == n_components:
        missing = 1 - resp.sum(axis=1, keepdims=True)
        missing[(missing < 0) & (missing > -SUM_TOLERANCE)] = 0.0
        resp = np.hstack([resp, missing])
    n_components += background
    if resp.shape != (n, n_components):
        raise ValueError(
            f"responsibilities must have shape ({n}, {n_components}), got {resp.shape}: "
            "give one row per row of X and one column per component"
        )
    wrong = (resp < 0).any(axis=1) | (np.abs(resp.sum(axis=1) - 1) > SUM_TOLERANCE)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"responsibilities must not be negative and have sum 1 in every row, got {_short(resp[row].tolist())} "
            f"in row {row}: divide each row by its sum"
        )
    return resp


def labels(values: Any, n: int, n_components: int, *, background: bool = False) -> Array:
    """Responsibilities (n, K) of rows that belong to the components named by integer labels (n,).

    With a ``background``, whose label is -1, they are (n, K + 1).
    """
    array = _labels(values)
    least = -1 if background else 0
    if array.shape != (n,) or array.dtype.kind not in "biuf" or not (array == np.floor(array)).all():
        raise ValueError(
            f"labels must be {n} integers from {least} to {n_components - 1}, got {_short(values)} "
            f"of shape {array.shape}: give one label per row of X"
        )
    outside = ~((array >= least) & (array < n_components))
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"labels must be from {least} to {n_components - 1}, got {array[row]} in row {row}: "
            "number the components from 0"
        )
    return one_hot(array.astype(np.intp), n_components + background)


def one_hot(labels: NDArray[np.intp], n_components: int) -> Array:
    """Responsibilities (n, K) of rows that belong to one component each, the last one being called -1, too."""
    resp = np.zeros((len(labels), n_components))
    resp[np.arange(len(labels)), labels] = 1.0
    return resp
