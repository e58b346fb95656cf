"""Learning batch by batch: what one pass over overlapping components leaves to gain beside a fit; and incremental EM:
how often it reads the rows.

    python benchmarks/online.py            batches
    python benchmarks/online.py sweeps     incremental EM

K = 5 Gaussians in 4 features, 1e5 rows in random order in batches of 1,000, and 5e4 rows in batches of 200, of which
the first says little; ten data sets.  The gap is that of the log-likelihood of all rows to that of ``fit`` from the
same start, the fit of the first batch, in total nats.  Two passes show every row twice.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from mixtura import GaussianMixture, rows, scan

ROWS, COMPONENTS, FEATURES, SEEDS = 100_000, 5, 4, 10

BATCHES = {1_000: ROWS, 200: ROWS // 2}
"""Rows of a batch, and of all batches."""

WAYS = {
    "default": ({}, 1),
    "step=0.6": ({"step": 0.6}, 1),
    "step=0.7": ({"step": 0.7}, 1),
    "step=0.9": ({"step": 0.9}, 1),
    "forgetting=0.95": ({"forgetting": 0.95}, 1),
    "default, two passes": ({}, 2),
    "step=0.6, two passes": ({"step": 0.6}, 2),
}


def overlapping(seed: int) -> np.ndarray:
    """Rows (n, d) of components whose means are about two standard deviations apart."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 1.2, (COMPONENTS, FEATURES))
    roots = 0.7 * (np.eye(FEATURES) + 0.4 * rng.normal(size=(COMPONENTS, FEATURES, FEATURES)))
    component = rng.choice(COMPONENTS, ROWS, p=rng.dirichlet(np.full(COMPONENTS, 5.0)))
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(ROWS, FEATURES)))


def apart(seed: int) -> np.ndarray:
    """Rows (n, d) of components that hardly overlap."""
    rng = np.random.default_rng(seed)
    component = rng.integers(COMPONENTS, size=ROWS)
    return 4 * rng.normal(size=(COMPONENTS, FEATURES))[component] + rng.normal(size=(ROWS, FEATURES))


def heavy(seed: int) -> np.ndarray:
    """Rows (n, d) of Student's t, which no mixture of Gaussians is: the way is long."""
    return np.random.default_rng(seed).standard_t(5, size=(ROWS, FEATURES))


PROBLEMS = {"overlapping": overlapping, "apart": apart, "Student's t": heavy}


def sweeps() -> None:
    print(f"{'':30s}{'passes':>8s}{'seconds':>10s}{'log-likelihood':>18s}")
    for name, made in PROBLEMS.items():
        X = made(0)
        means = X[np.random.default_rng(1).choice(ROWS, COMPONENTS, replace=False)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            np.save(path, X)
            for where in ("memory", "file"):
                for driver in (None, "incremental", "lbfgs"):
                    rows.HELD_BYTES = 64 << 20 if where == "memory" else 1 << 18
                    source = X if where == "memory" else scan(path, batch_rows=2_000)
                    gm = GaussianMixture(COMPONENTS, means_init=means, accelerate=driver, max_iter=2_000)
                    began = time.perf_counter()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        gm.fit(source)
                    took = time.perf_counter() - began
                    print(
                        f"{name + ', ' + where + ', ' + str(driver):30s}{gm.n_iter_:8d}{took:10.2f}{gm.loglik_:18.3f}"
                    )


def batches(size: int, n_rows: int) -> None:
    gaps: dict[str, list[float]] = {name: [] for name in ("start", *WAYS)}
    seconds: dict[str, list[float]] = {name: [] for name in ("fit", *WAYS)}
    for seed in range(SEEDS):
        X = overlapping(seed)[:n_rows]
        first = GaussianMixture(COMPONENTS, random_state=seed).fit(X[:size])
        own = {"means_init": first.means_, "covariances_init": first.covariances_, "weights_init": first.weights_}
        began = time.perf_counter()
        fit = GaussianMixture(COMPONENTS, **own).fit(X)
        seconds["fit"].append(time.perf_counter() - began)
        gaps["start"].append((fit.score(X) - first.score(X)) * n_rows)
        for name, (pace, passes) in WAYS.items():
            gm = GaussianMixture(COMPONENTS, random_state=seed)
            began = time.perf_counter()
            for _ in range(passes):
                for batch in np.split(X, n_rows // size):
                    gm.partial_fit(batch, **pace)
            seconds[name].append(time.perf_counter() - began)
            gaps[name].append((fit.score(X) - gm.score(X)) * n_rows)
    print(f"{n_rows} rows in batches of {size}")
    print(f"{'':22s}{'median':>10s}{'lowest':>10s}{'highest':>10s}{'seconds':>10s}   gap to fit, nats")
    for name, gap in gaps.items():
        took = f"{np.median(seconds[name]):10.2f}" if name in seconds else f"{'':10s}"
        print(f"{name:22s}{np.median(gap):10.1f}{np.min(gap):10.1f}{np.max(gap):10.1f}{took}")
    print(f"{'fit':22s}{'':30s}{np.median(seconds['fit']):10.2f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["sweeps"]:
        sweeps()
    else:
        for size, n_rows in BATCHES.items():
            batches(size, n_rows)
