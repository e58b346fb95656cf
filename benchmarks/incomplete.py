"""Time per pass over rows that are not exact, beside exact rows of the same size in the same run: a Markdown table.

    python benchmarks/incomplete.py [--rows 100000] [--rounds 5] [--passes 6] [--page docs/incomplete.md]

A case and its complete rows without errors or labels, ``exact``, take turns; a time is the median over --rounds of the
median over --passes passes of plain EM, from the means of the clusters.  ``times`` is the ratio.  ``textbook`` is one
E-step as the formulas are written, in NumPy on one thread, over the rows of a pattern, all rows if their errors are
equal, or rows of an error matrix each (np.linalg.solve): the same sums, to 1e-9 (tests/test_benchmarks.py).
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compare import machine
from pages import put

from mixtura import GaussianMixture
from mixtura.engine import one_blas_thread

HEAD = "| rows tell | covariance | n | d | K | ms per pass | exact | times | textbook |\n|---|---|" + 7 * "---:|"

Told = tuple[np.ndarray, dict[str, Any]]
"""X and what else is given to fit."""


def sample(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, d) from k Gaussians that overlap a little, and which they are from."""
    rng = np.random.default_rng([n, d, k])
    means, roots = 3 * rng.normal(size=(k, d)), 0.4 * rng.normal(size=(k, d, d)) + np.eye(d)
    component = rng.integers(k, size=n)
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(n, d))), component


def exact(x: np.ndarray, component: np.ndarray) -> Told:
    return x, {}


def patterns(x: np.ndarray, component: np.ndarray) -> Told:
    """Fifty patterns, complete rows among them, three values in ten missing in the others."""
    rng = np.random.default_rng(1)
    kinds = rng.random((50, x.shape[1])) < 0.3
    kinds[0], kinds[kinds.all(axis=1), 0] = False, False
    return np.where(kinds[rng.integers(50, size=len(x))], np.nan, x), {}


def scattered(x: np.ndarray, component: np.ndarray) -> Told:
    """Any value may be missing, one in five is."""
    return np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x), {}


def matrices(x: np.ndarray, component: np.ndarray) -> Told:
    root = 0.5 * np.random.default_rng(1).normal(size=(*x.shape, x.shape[1]))
    return x, {"error_covariance": root @ root.transpose(0, 2, 1)}


def variances(x: np.ndarray, component: np.ndarray) -> Told:
    return x, {"error_covariance": np.random.default_rng(1).uniform(0.0, 1.0, size=x.shape)}


def equal(x: np.ndarray, component: np.ndarray) -> Told:
    return x, {"error_covariance": np.full(x.shape[1], 0.5)}


def labels(x: np.ndarray, component: np.ndarray) -> Told:
    return x, {"labels": np.where(np.random.default_rng(1).random(len(x)) < 0.1, component, -1)}


@dataclass(frozen=True)
class Case:
    """What rows tell, in words and as a function of complete ones, and the size of the problem."""

    words: str
    told: Callable[[np.ndarray, np.ndarray], Told]
    covariance_type: str
    d: int
    k: int


CASES = (
    Case("50 patterns", patterns, "full", 10, 5),
    Case("50 patterns", patterns, "diag", 10, 5),
    Case("50 patterns", patterns, "tied", 10, 5),
    Case("any pattern", scattered, "full", 10, 5),
    Case("any pattern", scattered, "diag", 10, 5),
    Case("an error matrix per row", matrices, "full", 4, 10),
    Case("error variances per row", variances, "full", 4, 10),
    Case("error variances per row", variances, "diag", 4, 10),
    Case("equal errors", equal, "full", 4, 10),
    Case("labels of one row in ten", labels, "full", 10, 5),
)


def started(case: Case, x: np.ndarray, component: np.ndarray, **settings: Any) -> GaussianMixture:
    """An estimator whose start is the same whatever the rows tell: near the end, so that the models of all passes are
    alike, and components have the numbers that labels give them."""
    means = [x[component == k].mean(axis=0) for k in range(case.k)]
    return GaussianMixture(
        case.k, covariance_type=case.covariance_type, means_init=means, accelerate=None, tol=0.0, **settings
    )


def per_pass(case: Case, x: np.ndarray, component: np.ndarray, told: Told, passes: int) -> float:
    """Median seconds of a pass over what is ``told`` of the rows x."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm = started(case, x, component, max_iter=passes).fit(told[0], **told[1])
    return statistics.median(np.diff([one["seconds"] for one in gm.history_]))


def textbook(told: Told, gm: GaussianMixture) -> tuple[float, np.ndarray, np.ndarray]:
    """One E-step as the formulas are written: log-likelihood, mass (K,) and sums of r E[x] (K, d); second moments are
    formed, too, as an M-step needs them."""
    x, given = told
    errors = given.get("error_covariance")
    missing = np.isnan(x)
    if errors is not None:
        groups = [(np.arange(len(x)), np.arange(x.shape[1]))]
    else:
        kinds, of = np.unique(missing, axis=0, return_inverse=True)
        groups = [(np.flatnonzero(of.ravel() == g), np.flatnonzero(~kind)) for g, kind in enumerate(kinds)]
    weights, means, covariances = gm.mixture_.weights, gm.mixture_.means, gm.mixture_.covariances
    loglik, mass, first = 0.0, np.zeros(len(weights)), np.zeros_like(means)
    second = np.zeros_like(covariances)
    for rows, o in groups:
        log_joint, expected, left = [], [], []
        for w, m, S in zip(weights, means, covariances, strict=True):
            T = S[np.ix_(o, o)]
            if errors is not None:
                T = T + (errors if errors.ndim == 3 else errors[..., None] * np.eye(len(o)))
            away = x[np.ix_(rows, o)] - m[o]
            if T.ndim == 2:
                gain = np.linalg.solve(T, S[o]).T
                square = np.einsum("ni,ni->n", away, np.linalg.solve(T, away.T).T)
                expected.append(m + away @ gain.T)
                left.append(S - gain @ S[o])
            else:
                gain = np.linalg.solve(T, np.broadcast_to(S[o], (len(rows), *S[o].shape))).transpose(0, 2, 1)
                square = np.einsum("ni,ni->n", away, np.linalg.solve(T, away[:, :, None])[:, :, 0])
                expected.append(m + np.einsum("nij,nj->ni", gain, away))
                left.append(S - gain @ S[o])
            log_det = np.linalg.slogdet(T)[1]
            log_joint.append(np.log(w) - 0.5 * (square + log_det + len(o) * np.log(2 * np.pi)))
        joint = np.array(log_joint)
        top = joint.max(axis=0)
        resp = np.exp(joint - top)
        total = resp.sum(axis=0)
        resp /= total
        loglik += float((np.log(total) + top).sum())
        mass += resp.sum(axis=1)
        for k, r in enumerate(resp):
            y = expected[k] - means[k]
            first[k] += r @ expected[k]
            second[k] += (y * r[:, None]).T @ y
            second[k] += r.sum() * left[k] if left[k].ndim == 2 else np.tensordot(r, left[k], axes=1)
    return loglik, mass, first


def line(case: Case, n: int, rounds: int, passes: int) -> str:
    """A case as a line of the table."""
    x, component = sample(n, case.d, case.k)
    told = case.told(x, component)
    both = told, exact(x, component)
    times = np.array([[per_pass(case, x, component, one, passes) for one in both] for _ in range(rounds)])
    own, complete = np.median(times, axis=0)
    book = ""
    if case.covariance_type == "full" and "labels" not in told[1]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gm = started(case, x, component, max_iter=1).fit(told[0], **told[1])
        with one_blas_thread():
            began = time.perf_counter()
            textbook(told, gm)
            book = f"{1e3 * (time.perf_counter() - began):,.0f}"
    cells = [case.words, case.covariance_type, f"{n:,}", str(case.d), str(case.k)]
    cells += [f"{1e3 * own:.1f}", f"{1e3 * complete:.1f}", f"{own / complete:.1f}", book]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--page", type=Path, help="put the table between its markers")
    options = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    for case in CASES:
        lines.append(line(case, options.rows, options.rounds, options.passes))
        print(lines[-1], flush=True)
    text = "\n".join([*lines, "", machine()])
    print(f"\n{machine()}")
    if options.page:
        put(options.page, "incomplete", text)


if __name__ == "__main__":
    main()
