"""Passes over the data to the optimum, with and without acceleration: a Markdown table.

    python benchmarks/passes.py [--problems 20] [--separated 8] [--covariance-type full] [--page docs/speed.md]

Every problem is a sample of 800 rows from a mixture of 2 to 6 Gaussians in 1 to 4 features, and every run begins at the
same k-means++ start.  The optimum is where plain EM leads when it is left to run (tol 1e-8, at most 20,000 passes) and
L-BFGS from there; it is reached when less than 1e-3 nats are left to gain.  Passes include tries that were rejected.
``default`` is how many a fit with default ``tol`` makes, and ``left`` by how much it then is under the optimum of EM
(or, negative, over it, where it has found a higher one).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from pages import put

from mixtura import GaussianMixture, runs

LONG = 20_000
ROWS = 800
NEAR = 1e-3
DRIVERS = (None, "lbfgs", "squarem")
HEAD = (
    "| problem | K | d | EM | L-BFGS | SQUAREM | EM / L-BFGS | EM / SQUAREM | default | left |\n|---"
    + 9 * "|---:"
    + "|"
)


def sample(seed: int, separation: float) -> tuple[np.ndarray, int]:
    """Rows (n, d) and the number of components they are from."""
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    means = rng.normal(size=(k, d)) * separation
    roots = rng.normal(size=(k, d, d)) * 0.4 + np.eye(d)
    component = rng.choice(k, size=ROWS, p=rng.dirichlet(np.full(k, 5.0)))
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(ROWS, d))), k


def estimator(k: int, covariance_type: str, **settings: object) -> GaussianMixture:
    """One whose start is the same, whatever the settings."""
    common = {"init": "k-means++", "n_init": 1, "random_state": 0, "max_iter": LONG}
    return GaussianMixture(k, covariance_type=covariance_type, **(common | settings))


def passes_to(x: np.ndarray, gm: GaussianMixture, objective: float) -> int | None:
    """The number of the first pass that is as high; None if the run ends before."""
    task = gm._task(x, None)
    _, begin = next(gm._starts(task, {}))
    return next((one.index for one in runs.passes(task, begin) if one.objective >= objective), None)


def row(seed: int, separation: float, covariance_type: str) -> tuple[str, list[float]]:
    """A line of Markdown, and how many times fewer passes the accelerated drivers need."""
    x, k = sample(seed, separation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        long = estimator(k, covariance_type, accelerate=None, tol=1e-8).fit(x)
        own = {"weights_init": long.weights_, "means_init": long.means_, "covariances_init": long.covariances_}
        limit = GaussianMixture(k, covariance_type=covariance_type, tol=1e-8, **own).fit(x).loglik_
        counts = [
            passes_to(x, estimator(k, covariance_type, accelerate=name, tol=1e-9), limit - NEAR) for name in DRIVERS
        ]
        usual = estimator(k, covariance_type).fit(x)
    ratios = [np.nan if count is None or counts[0] is None else counts[0] / max(count, 1) for count in counts[1:]]
    cells = [str(seed), str(k), str(x.shape[1]), *("not reached" if count is None else str(count) for count in counts)]
    cells += [
        *("" if np.isnan(ratio) else f"{ratio:.1f}" for ratio in ratios),
        str(usual.n_iter_),
        f"{round(limit - usual.loglik_, 4) + 0.0:.4f}",
    ]
    return "| " + " | ".join(cells) + " |", ratios


def table(seeds: range, covariance_type: str, *, overlapping: bool) -> list[str]:
    """The problems of one kind, and what they come to."""
    lines, found = [HEAD], []
    for seed in seeds:
        separation = 0.8 + 1.2 * (seed % 7) / 6 if overlapping else 12.0
        line, ratios = row(seed, separation, covariance_type)
        print(line, flush=True)
        lines.append(line)
        found.append(ratios)
    means, least = np.exp(np.nanmean(np.log(found), axis=0)), np.nanmin(found, axis=0)
    missed = np.isnan(found).sum(axis=0)
    said = [
        f"{name}: {mean:.1f} times fewer passes in the geometric mean, {low:.1f} times in the worst case"
        + (f", another optimum in {lost}" if lost else "")
        for name, mean, low, lost in zip(("L-BFGS", "SQUAREM"), means, least, missed, strict=True)
    ]
    return [*lines, "", ". ".join(said) + "."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=20, help="overlapping problems (default 20)")
    parser.add_argument("--separated", type=int, default=8, help="well separated problems (default 8)")
    parser.add_argument("--covariance-type", default="full")
    parser.add_argument("--page", type=Path, help="put the tables between its markers")
    options = parser.parse_args()
    text = []
    for title, seeds, overlapping in (
        ("Overlapping", range(options.problems), True),
        ("Well separated", range(100, 100 + options.separated), False),
    ):
        lines = table(seeds, options.covariance_type, overlapping=overlapping)
        print(lines[-1])
        text += [f"{title}:", "", *lines, ""]
    if options.page:
        put(options.page, "passes", "\n".join(text))


if __name__ == "__main__":
    main()
