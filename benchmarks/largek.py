"""Time per pass of truncated EM beside plain EM over the number of components, and what truncation costs in fit.

    python benchmarks/largek.py [--rows 200000] [--features 2] [--kept 3] [--components 250 1000 4000 10000]
                                [--dense 1000] [--passes 5] [--long 50] [--page docs/speed.md]

The rows come from K overlapping Gaussians, spread evenly; every run begins at the same means, K of the rows.  Seconds
per pass are the median of --passes passes.  Up to --dense components plain EM is run, too; both then make --long
passes, ``bound`` being what truncated EM says of its model, ``log-likelihood`` what is true of it, both per row and
less the log-likelihood that plain EM has reached.  The table is Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from compare import machine
from pages import put

from mixtura import GaussianMixture


def sample(n: int, k: int, d: int) -> np.ndarray:
    """Rows (n, d) from k Gaussians of different size and shape, about two of their deviations apart."""
    rng = np.random.default_rng([n, k, d])
    means = rng.uniform(0, k ** (1 / d), size=(k, d))
    roots = 0.25 * (np.eye(d) + 0.4 * rng.normal(size=(k, d, d)))
    component = rng.integers(k, size=n)
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(n, d)))


def fitted(x: np.ndarray, k: int, kept: int | None, updates: int) -> tuple[GaussianMixture, float]:
    """A fit of so many updates, and its seconds."""
    means = x[np.random.default_rng(0).choice(len(x), size=k, replace=False)]
    covariances = np.tile(0.1 * np.eye(x.shape[1]), (k, 1, 1))
    model = GaussianMixture(
        k,
        means_init=means,
        covariances_init=covariances,
        truncate=kept,
        accelerate=None,
        max_iter=updates,
        tol=0.0,
    )
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x)
    return model, time.perf_counter() - began


def per_pass(model: GaussianMixture) -> float:
    """Median seconds of a pass."""
    return statistics.median(np.diff([one["seconds"] for one in model.history_]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=2)
    parser.add_argument("--kept", type=int, default=3)
    parser.add_argument("--components", type=int, nargs="+", default=[250, 1_000, 4_000, 10_000])
    parser.add_argument("--dense", type=int, default=1_000, help="components up to which plain EM is run, too")
    parser.add_argument("--passes", type=int, default=5, help="passes that are timed")
    parser.add_argument("--long", type=int, default=50, help="passes before log-likelihoods are compared")
    parser.add_argument("--page", type=Path, help="put the table between its markers")
    options = parser.parse_args()
    lines = [
        "| n | d | K | kept | s per pass | whole fit | plain EM, s per pass | ratio | bound | log-likelihood |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for k in options.components:
        x = sample(options.rows, k, options.features)
        both = k <= options.dense
        kept, whole = fitted(x, k, options.kept, options.long if both else options.passes)
        cells = [f"{len(x):,}", str(x.shape[1]), f"{k:,}", str(options.kept), f"{per_pass(kept):.3g}", f"{whole:.3g}"]
        if both:
            plain, _ = fitted(x, k, None, options.long)
            ours, theirs = kept.lower_bound_, plain.loglik_ / len(x)
            seconds = per_pass(plain)
            cells += [f"{seconds:.3g}", f"{seconds / per_pass(kept):.1f}"]
            cells += [f"{ours - theirs:+.4f}", f"{kept.loglik_ / len(x) - theirs:+.4f}"]
        lines.append("| " + " | ".join([*cells, *[""] * (10 - len(cells))]) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + f"\n\n{machine()}"
    print(text)
    if options.page:
        put(options.page, "largek", text)


if __name__ == "__main__":
    main()
