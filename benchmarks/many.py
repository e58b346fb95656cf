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

import numpy as np
from compare import machine
from pages import put
from sklearn.mixture import GaussianMixture as Theirs

from mixtura import GaussianMixture as Ours
from mixtura import fit_many

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


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    began = time.perf_counter()
    found = function()
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
        seconds, ours = timed(lambda: fit_many(Xs, **settings))  # noqa: B023
        some = Xs[:loop]
        singly, single = timed(lambda: np.array([Ours(**settings).fit(X).loglik_ for X in some]))  # noqa: B023
        theirs, other = timed(lambda: np.array([Theirs(**settings).fit(X).score(X) * len(X) for X in some]))  # noqa: B023
        cells = [f"{m:,}, {case.name}", f"{case.n}", f"{case.d}", f"{case.k}", f"{seconds:.2f}"]
        for total, loglik in ((singly * m / loop, single), (theirs * m / loop, other)):
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
