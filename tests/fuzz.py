"""Thousands of fits of awkward data: ``python tests/fuzz.py --seconds 60 --seed 0`` (or ``make fuzz``).

Each fit is checked by :func:`problem`; an input that fails is cut down to few rows and written to fuzzed/*.json, which
test_properties.py replays.  The same seed makes the same inputs in the same order, however many there is time for.
The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import inspect
import json
import re
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cases import MIXING, TYPES
from mixtura import GaussianMixture

FOLDER = Path(__file__).with_name("fuzzed")
KNOWN = inspect.signature(GaussianMixture).parameters

# One input, and what a fit of it must fulfil


@dataclass(frozen=True, eq=False)
class Case:
    """Rows (n, d), weights (n,) or None, the parameters of the estimator, and a name for how the rows were made.

    NaN in rows is a missing value; ``errors`` are variances (n, d) or covariances (n, d, d), ``labels`` (n,) integers.
    """

    rows: np.ndarray
    weight: np.ndarray | None
    settings: dict[str, Any]
    kind: str = "given"
    tags: dict[str, Any] = field(default_factory=dict)
    errors: np.ndarray | None = None
    labels: np.ndarray | None = None

    def only(self, index: np.ndarray) -> Case:
        """The same with some of the rows."""
        parts = {name: getattr(self, name) for name in ("rows", "weight", "errors", "labels")}
        return replace(self, **{name: None if part is None else part[index] for name, part in parts.items()})

    def to_json(self, failure: str) -> str:
        return json.dumps(
            {
                "kind": self.kind,
                "failure": failure,
                "settings": self.settings,
                "dtype": str(self.rows.dtype),
                "weight": None if self.weight is None else self.weight.tolist(),
                "rows": self.rows.tolist(),
                "errors": None if self.errors is None else self.errors.tolist(),
                "labels": None if self.labels is None else self.labels.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Case:
        document = json.loads(text)
        weight, errors, labels = (
            None if document.get(name) is None else np.array(document[name]) for name in ("weight", "errors", "labels")
        )
        rows = np.array(document["rows"], document["dtype"])
        return cls(rows, weight, document["settings"], document["kind"], errors=errors, labels=labels)


def fitted(case: Case) -> tuple[GaussianMixture, list[str]]:
    """The fit, and what it warned of."""
    gm = GaussianMixture(**case.settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gm.fit(case.rows, sample_weight=case.weight, error_covariance=case.errors, labels=case.labels)
    return gm, [f"{one.category.__name__}: {one.message}" for one in caught]


def complaint(case: Case, gm: GaussianMixture, warned: list[str]) -> str | None:
    """What is wrong with a fit, in words; None if nothing is."""
    weights, means, covariances = gm.mixture_.weights, gm.mixture_.means, gm.mixture_.covariances
    # at most one warning, a sentence
    if len(warned) > 1:
        return f"{len(warned)} warnings: {warned}"
    if any(word in one for one in warned for word in ("RuntimeWarning", "invalid value", "divide by zero", "overflow")):
        return f"a warning that is none for users: {warned}"
    # finite parameters
    for name, array in (("weights", weights), ("means", means), ("covariances", covariances)):
        if not np.isfinite(array).all():
            return f"{name} are not finite: {array.tolist()}"
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        if not np.isfinite(getattr(gm, name)).all():
            return f"{name} are not finite: {getattr(gm, name).tolist()}"
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-12:
        return f"weights {weights.tolist()} have sum {weights.sum()!r}"
    # positive definite covariances
    deviations = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0))
    if not (deviations > 0).all():
        return f"variances are not positive: {np.diagonal(covariances, axis1=1, axis2=2).tolist()}"
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return f"covariances are not positive definite: {covariances.tolist()}"
    # means where the data are
    rows = case.rows if case.weight is None else case.rows[case.weight > 0]
    exact = case.errors is None and not np.isnan(rows).any()
    low, high = np.nanmin(rows, axis=0).astype(float), np.nanmax(rows, axis=0).astype(float)
    slack = 1e-9 * (high - low) + 4 * np.spacing(np.maximum(np.abs(low), np.abs(high)))
    # What is missing may be expected outside of what there is.
    if exact and "means_init" not in case.settings and ((means < low - slack) | (means > high + slack)).any():
        return f"means {means.tolist()} lie outside the data, {low.tolist()} to {high.tolist()}"
    # responsibilities
    resp = gm.predict_proba(case.rows, error_covariance=case.errors)
    if (
        not np.isfinite(resp).all()
        or (resp < 0).any()
        or (np.abs(resp.sum(axis=1) - 1) > 8 * len(weights) * np.finfo(resp.dtype).eps).any()
    ):
        return "responsibilities are not finite with sum 1"
    known = np.full(len(case.rows), -1) if case.labels is None else case.labels
    expected = np.where(known >= 0, known, gm.predict(case.rows, error_covariance=case.errors))
    if gm.labels_.shape != (len(case.rows),) or not np.array_equal(gm.labels_, expected):
        return "labels_ are not what predict gives"
    if np.isnan(gm.score_samples(case.rows, error_covariance=case.errors)).any():
        return "log densities are NaN"
    # the objective
    totals = np.array([record["objective"] for record in gm.history_])
    total_weight = float(len(case.rows) if case.weight is None else case.weight.sum())
    if not np.isfinite(totals).all():
        return f"the objective is not finite: {totals.tolist()}"
    falls = -np.diff(totals) - 1e-9 * np.maximum(np.abs(totals[1:]), total_weight)
    if (falls > 0).any():
        at = int(falls.argmax())
        return f"the objective fell by {totals[at] - totals[at + 1]:.3g} from {totals[at]!r} at pass {at + 1}"
    plain = gm.score(case.rows, sample_weight=case.weight, error_covariance=case.errors) * total_weight
    if case.labels is None and abs(plain - gm.loglik_) > 1e-9 * max(abs(plain), total_weight):
        return f"loglik_ is {gm.loglik_!r}, but score gives {plain!r}"
    if case.settings.get("prior") is None and abs(totals[-1] - gm.loglik_) > 1e-9 * max(abs(plain), total_weight):
        return f"loglik_ is {gm.loglik_!r}, but the last objective {totals[-1]!r}"
    sample, labels = gm.sample(5)
    if sample.shape != (5, case.rows.shape[1]) or labels.shape != (5,) or not np.isfinite(sample).all():
        return f"sample gives {sample.tolist()}"
    if hasattr(gm, "diagnostics_"):
        return complaint_of_diagnostics(gm)
    return None


STATES = ("ok", "flat", "collapsed", "starved", "empty", "tied", "unresolved")


def complaint_of_diagnostics(gm: GaussianMixture) -> str | None:
    """What is wrong with ``diagnostics_``."""
    if len(gm.diagnostics_) != len(gm.weights_):
        return f"{len(gm.diagnostics_)} diagnostics for {len(gm.weights_)} components"
    for one in gm.diagnostics_:
        if one["state"] not in STATES:
            return f"unknown state {one['state']!r}"
        if not np.isfinite([one["effective_n"], one["distinct_rows"], one["smallest_scale"]]).all():
            return f"diagnostics are not finite: {one}"
        direction = one["direction"]
        if direction is not None and not np.isfinite(list(direction.values())).all():
            return f"the direction is not finite: {direction}"
    return None


def problem(case: Case) -> tuple[str | None, GaussianMixture | None]:
    """What is wrong with fitting this case, None if nothing is; and the fitted estimator where there is one."""
    gm = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # outside of fit, nothing may warn
            gm, warned = fitted(case)
            return complaint(case, gm, warned), gm
    except Exception as error:
        return f"{type(error).__name__}: {error}", gm


# Awkward data


def _blobs(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    centres = rng.normal(scale=rng.choice([0.0, 3.0, 30.0]), size=(int(rng.integers(1, 4)), d))
    return centres[rng.integers(len(centres), size=n)] + rng.normal(size=(n, d))


def _few_distinct(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    points = _blobs(rng, int(rng.integers(1, 5)), d)
    return points[rng.integers(len(points), size=n)]


def _ties(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.round(_blobs(rng, n, d), int(rng.integers(0, 2)))


def _copies(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = _blobs(rng, n, d)
    x[rng.random(n) < 0.3] = x[0] + rng.choice([0.0, 10.0])
    return x


def _constant_columns(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = _blobs(rng, n, d)
    fixed = rng.random(d) < 0.5
    x[:, fixed] = rng.choice([0.0, 1.0, 0.1, 1234.5, -1e9], size=fixed.sum())
    return x


def _nearly_constant(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = _blobs(rng, n, d)
    x[:, 0] = 1.0 + np.spacing(1.0) * rng.integers(0, 3, size=n)
    return x


def _collinear(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    rank = int(rng.integers(1, d + 1))
    x = _blobs(rng, n, rank) @ rng.normal(size=(rank, d))
    return x + rng.choice([0.0, 1e-12, 1e-8, 1e-5]) * rng.normal(size=(n, d))


def _equal_columns(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.repeat(_blobs(rng, n, 1), d, axis=1) + 2 * np.arange(d)


def _outlier(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = _blobs(rng, n, d)
    x[rng.integers(n)] += 10.0 ** rng.choice([3, 6, 9, 12]) * rng.choice([-1, 0, 1], size=d)
    return x


def _far_apart(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return _blobs(rng, n, d) + 10.0 ** rng.integers(3, 13) * rng.integers(0, 2, size=(n, 1))


def _heavy_tails(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.standard_cauchy(size=(n, d)) ** int(rng.integers(1, 4))


def _nested(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.normal(size=(n, d)) * 10.0 ** rng.choice([0, -4, -7], size=(n, 1))


def _counts(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.poisson(rng.choice([0.1, 1.0, 20.0]), size=(n, d)).astype(float)


def _zero_inflated(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.maximum(_blobs(rng, n, d), 0.0)


def _grid(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return np.linspace(-1, 1, n)[:, None] * np.ones(d)


KINDS = {
    "blobs": _blobs,
    "few distinct": _few_distinct,
    "ties": _ties,
    "copies": _copies,
    "constant columns": _constant_columns,
    "nearly constant": _nearly_constant,
    "collinear": _collinear,
    "equal columns": _equal_columns,
    "outlier": _outlier,
    "far apart": _far_apart,
    "heavy tails": _heavy_tails,
    "nested": _nested,
    "counts": _counts,
    "zero inflated": _zero_inflated,
    "grid": _grid,
}


def _units(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """The rows in other units, common or one for each column, and moved."""
    d = x.shape[1]
    spread = x.std(axis=0)
    match rng.integers(5):
        case 0:
            return x * 10.0 ** rng.integers(-12, 13)
        case 1:
            return x * 10.0 ** rng.integers(-12, 13, size=d)
        case 2:
            return x + 10.0 ** rng.integers(0, 10) * np.where(spread > 0, spread, 1.0)
    return x


def _dtype(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """The rows in another type, where it can hold them."""
    name = rng.choice(["float64"] * 6 + ["float32", "float32", "float16", "int64", "int32", "uint8", "bool"])
    if name.startswith("float"):
        info = np.finfo(name)
        return x.astype(name) if np.abs(x).max(initial=0) < info.max / 4 else x
    if name == "bool":
        return x > np.median(x, axis=0)
    info = np.iinfo(name)
    return np.clip(np.round(x), info.min / 2, info.max / 2).astype(name)


def _weight(rng: np.random.Generator, n: int) -> np.ndarray | None:
    match rng.integers(8):
        case 0:
            weight = rng.integers(0, 4, size=n).astype(float)
        case 1:
            weight = rng.uniform(0.1, 2.0, size=n)
        case 2:
            weight = 10.0 ** rng.uniform(-12, 12, size=n)
        case 3:
            weight = np.full(n, 10.0 ** rng.integers(-12, 13))
        case _:
            return None
    weight[rng.integers(n)] += weight.sum() == 0
    return weight


def awkward(rng: np.random.Generator, kind: str, n: int, d: int) -> np.ndarray:
    """Rows (n, d) of a kind, in some units and some dtype."""
    return _dtype(rng, _units(rng, KINDS[kind](rng, n, d)))


def settings_for(rng: np.random.Generator, covariance_type: str, n_components: int) -> dict[str, Any]:
    """Parameters of an estimator."""
    settings: dict[str, Any] = {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "mixing": str(rng.choice(MIXING, p=[0.8, 0.2])),
        "n_init": [1, 1, 2, "auto"][rng.integers(4)],
        "init": str(rng.choice(["auto", "auto", "k-means++", "kmeans", "random", "random_from_data"])),
        "tol": float(rng.choice([1e-3, 1e-3, 1e-9, 0.0])),
        "max_iter": int(rng.choice([200, 200, 50, 5, 1, 0])),
        "random_state": int(rng.integers(1000)),
        "engine": "serial",
    }
    if "on_degenerate" in KNOWN:
        settings["on_degenerate"] = str(rng.choice(["rescue", "drop"], p=[0.7, 0.3]))
    if "prior" in KNOWN:
        settings["prior"] = [None, None, None, "fraley-raftery", "chen-tan"][rng.integers(5)]
    if "noise" in KNOWN:
        # Without a draw of its own, so that the same seed still makes the inputs that it always made.
        settings["noise"] = True if settings["random_state"] % 3 == 0 else None
    return settings


def own_start(rng: np.random.Generator, rows: np.ndarray, n_components: int) -> dict[str, Any]:
    """A start of the user's, some of them absurd."""
    n, d = rows.shape
    x = rows.astype(float)
    match rng.integers(5):
        case 0:
            return {"labels_init": rng.integers(n_components, size=n).tolist()}
        case 1:
            return {"labels_init": [0] * n}
        case 2:
            return {"means_init": x[rng.integers(n, size=n_components)].tolist()}
        case 3:  # far away from everything
            away = 10.0 ** rng.integers(0, 10, size=(n_components, 1)) * (x.std(axis=0) + (x.std(axis=0) == 0))
            return {"means_init": (x[0] + away * rng.normal(size=(n_components, d))).tolist()}
        case _:
            weights = rng.dirichlet(np.full(n_components, 0.1))
            return {"means_init": x[rng.integers(n, size=n_components)].tolist(), "weights_init": weights.tolist()}


def told(rng: np.random.Generator, case: Case) -> Case:
    """The case with gaps, errors or labels, or without any of them, which most are."""
    rows, errors, labels = case.rows, None, None
    n, d = rows.shape
    if rows.dtype.kind == "f" and rng.random() < 0.2:
        rows = np.where(rng.random((n, d)) < rng.choice([0.1, 0.5]), rows.dtype.type(np.nan), rows)
        there = rows if case.weight is None else rows[case.weight > 0]
        if np.isnan(there).all(axis=0).any():  # a column without a value is refused
            rows = case.rows
    if rng.random() < 0.2:
        spread = np.maximum(case.rows.std(axis=0, dtype=float), 1e-290) * 10.0 ** rng.choice([-9, -1, 0, 1])
        errors = spread**2 * rng.choice([0.0, 0.5, 1.0], size=(n, d))
        if rng.random() < 0.5:
            root = rng.normal(size=(n, d, int(rng.integers(1, d + 1)))) * spread[:, None]
            errors = root @ root.transpose(0, 2, 1)
    settings = case.settings
    if rng.random() < 0.15:
        labels = np.where(rng.random(n) < rng.choice([0.1, 0.9]), rng.integers(settings["n_components"], size=n), -1)
        settings = settings | {"on_degenerate": "rescue"}
        # A start of the user's may not leave a labelled row without a component.
        if settings.keys() & {"weights_init", "labels_init", "means_init"}:
            labels = None
    return replace(case, rows=rows, errors=errors, labels=labels, settings=settings)


def drawn(rng: np.random.Generator, types: Sequence[str] = TYPES) -> Case:
    """A random case of one of these covariance types; most are small."""
    kind = str(rng.choice(list(KINDS)))
    n = int(rng.choice([rng.integers(1, 6), rng.integers(5, 30), rng.integers(20, 80), 300], p=[0.3, 0.4, 0.25, 0.05]))
    d = int(rng.choice([1, 2, 3, 5, 12, 35], p=[0.25, 0.3, 0.25, 0.15, 0.04, 0.01]))
    k = int(rng.choice([1, 2, 3, 5, 9, 30], p=[0.15, 0.3, 0.3, 0.2, 0.04, 0.01]))
    rows = awkward(rng, kind, n, d)
    settings = settings_for(rng, str(rng.choice(types)), k)
    if rng.random() < 0.15:
        settings |= own_start(rng, rows, k)
    if "fixed" in KNOWN and "means_init" in settings and settings["random_state"] % 2:  # without a draw, too
        settings |= {"fixed": {"means": True}, "on_degenerate": "rescue"}
    if "weights_init" in settings:  # equal weights would leave this start with the first update
        settings["mixing"] = "free"
    return told(rng, Case(rows, _weight(rng, n), settings, kind))  # draws after all others: inputs are as they were


# Cutting a failure down


def sort_of(failure: str) -> str:
    """The failure in words, without its numbers."""
    return re.split(r":| by | at |\[", re.sub(r"\d+ ", "", failure))[0][:60].strip()


def smaller(case: Case, failure: str, seconds: float = 5.0) -> tuple[Case, str]:
    """The case with rows and columns left out, as long as it fails in the same way."""
    deadline = time.perf_counter() + seconds
    step = max(1, len(case.rows) // 2)
    while step and time.perf_counter() < deadline:
        begin = 0
        while begin < len(case.rows) and len(case.rows) > step:
            keep = np.r_[0:begin, begin + step : len(case.rows)]
            shorter = case.only(keep)
            found = None if shorter.weight is not None and not shorter.weight.any() else problem(shorter)[0]
            if found is not None and sort_of(found) == sort_of(failure):
                case, failure = shorter, found
            else:
                begin += step
            if time.perf_counter() > deadline:
                break
        step //= 2
    for column in range(case.rows.shape[1] - 1, -1, -1):
        if case.rows.shape[1] > 1 and case.errors is None and time.perf_counter() < deadline + seconds:
            narrower = replace(case, rows=np.delete(case.rows, column, axis=1))
            found = problem(narrower)[0]
            if found is not None and sort_of(found) == sort_of(failure):
                case, failure = narrower, found
    return case, failure


def keep(case: Case, failure: str) -> Path:
    """Write a failing case where the tests find it."""
    text = case.to_json(failure)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.write_text(text + "\n")
    return path


# Running


def states_of(gm: GaussianMixture) -> list[str]:
    """How the components of a fit ended, each state once."""
    return sorted({one["state"] for one in gm.diagnostics_}) if hasattr(gm, "diagnostics_") else ["?"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="time to spend")
    parser.add_argument("--fits", type=int, default=None, help="stop after so many fits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES, metavar="TYPE", help="covariance types")
    parser.add_argument("--most", type=int, default=4, help="failures of one sort to write; more are only counted")
    options = parser.parse_args()

    began = time.perf_counter()
    types, kinds = collections.Counter[str](), collections.Counter[str]()
    states, outcomes, failures = collections.Counter[str](), collections.Counter[str](), collections.Counter[str]()
    slowest = (0.0, -1)
    index = 0
    while time.perf_counter() - began < options.seconds and (options.fits is None or index < options.fits):
        case = drawn(np.random.default_rng([options.seed, index]), options.types)
        start = time.perf_counter()
        failure, gm = problem(case)
        slowest = max(slowest, (time.perf_counter() - start, index))
        types[case.settings["covariance_type"]] += 1
        kinds[case.kind] += 1
        if gm is not None:
            states.update(states_of(gm))
            outcomes.update(one["outcome"] for one in gm.restarts_)
        if failure is not None:
            label = sort_of(failure)
            failures[label] += 1
            print(f"#{index} {case.kind}, {case.rows.dtype}, {case.settings}\n    {failure[:300]}", flush=True)
            if failures[label] <= options.most:
                print(f"    written to {keep(*smaller(case, failure))}", flush=True)
        index += 1

    print(f"{index} fits in {time.perf_counter() - began:.0f} s, seed {options.seed}; {sum(failures.values())} failed")
    for title, counter in (
        ("covariance type", types),
        ("kind of data", kinds),
        ("fits with a component in this state", states),
        ("outcome of restarts", outcomes),
        ("failure", failures),
    ):
        print(f"by {title}: " + ", ".join(f"{name} {count}" for name, count in sorted(counter.items())))
    print(f"slowest: #{slowest[1]}, {slowest[0]:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
