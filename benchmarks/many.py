"""Many small fits in one call, beside a loop of single ones and of scikit-learn's.

    python benchmarks/many.py [--problems 10000] [--loop 100] [--page docs/speed.md]

Problems are n rows from two unit Gaussians of one feature (three of two features in the last line), near each other or
not.  ``fit_many`` fits all of them; the loops fit the first ``--loop`` and are scaled up.  scikit-learn makes one start
where ours look at several.  Log-likelihoods are compared on what the loops have fitted: in how many problems that of
``fit_many`` is lower or higher by more than 0.001 nats.  The table is Markdown.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compare import machine
from pages import put
from sklearn.mixture import GaussianMixture as Theirs

from mixtura import Fits, fit_many
from mixtura import GaussianMixture as Ours

SAME = 1e-3


@dataclass(frozen=True)
class Case:
    """m problems of n rows and K clusters, whose means are ``apart`` standard deviations from each other."""

    name: str
    apart: float
    d: int = 1
    k: int = 2
    n: int = 200


CASES = [
    Case("separated", 5.0),
    Case("overlapping", 2.5),
    Case("heavily overlapping", 1.5),
    Case("overlapping", 3, 2, 3),
]


def data(case: Case, m: int) -> np.ndarray:
    """Rows (m, n, d)."""
    rng = np.random.default_rng(case.d)
    labels = np.repeat(np.arange(case.k), -(-case.n // case.k))[: case.n]
    angle = 2 * np.pi * np.arange(case.k) / case.k
    corners = case.apart / (2 * np.sin(np.pi / case.k)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return rng.standard_normal((m, case.n, case.d)) + corners[labels, : case.d]


def singly(Xs: np.ndarray, **settings: int) -> np.ndarray:
    """Log-likelihoods of our fits, one by one."""
    return np.array([Ours(**settings).fit(X).loglik_ for X in Xs])


def theirs(Xs: np.ndarray, **settings: int) -> np.ndarray:
    """Log-likelihoods of scikit-learn's fits."""
    return np.array([Theirs(**settings).fit(X).score(X) * len(X) for X in Xs])


def timed(function: Callable[..., Fits | np.ndarray], *args: np.ndarray, **settings: int) -> tuple[float, Any]:
    """Seconds of a call, and what came of it."""
    began = time.perf_counter()
    found = function(*args, **settings)
    return time.perf_counter() - began, found


def table(m: int, loop: int) -> str:
    """The comparison as Markdown."""
    beside = "{}, s | ratio | lower / higher"
    columns = ["problems", "n", "d", "K", "s for all", beside.format("singly"), beside.format("scikit-learn")]
    lines = [f"| {' | '.join(columns)} | left to single fits |", "|---|" + 11 * "---:|"]
    for case in CASES:
        Xs = data(case, m)
        settings = {"n_components": case.k, "random_state": 0}
        fit_many(Xs[:20], **settings)  # loads libraries, starts threads
        seconds, ours = timed(fit_many, Xs, **settings)
        one_by_one, single = timed(singly, Xs[:loop], **settings)
        beside_ours, other = timed(theirs, Xs[:loop], **settings)
        cells = [f"{m:,}, {case.name}", f"{case.n}", f"{case.d}", f"{case.k}", f"{seconds:.2f}"]
        for total, loglik in ((one_by_one * m / loop, single), (beside_ours * m / loop, other)):
            gap = ours.loglik[:loop] - loglik
            cells += [f"{total:.0f}", f"{total / seconds:.0f}", f"{(gap < -SAME).sum()} / {(gap > SAME).sum()}"]
        lines.append("| " + " | ".join([*cells, str(len(ours.alone))]) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--problems", type=int, default=10_000, help="how many problems (10000)")
    parser.add_argument("--loop", type=int, default=100, help="how many of them the loops fit (100)")
    parser.add_argument("--page", type=Path, help="put the table between its markers")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of problems that end degenerate, or before they converge
        text = table(options.problems, options.loop)
    text += f"\n\nLoops: {options.loop} problems, scaled up; lower / higher: of these.  {machine()}"
    print(f"\n{text}")
    if options.page:
        put(options.page, "many", text)


if __name__ == "__main__":
    main()
