"""Learning batch by batch: what one pass over overlapping components leaves to gain beside a fit.

    python benchmarks/online.py

K = 5 Gaussians in 4 features, 1e5 rows in random order in batches of 1,000; ten data sets.  The gap is that of the mean
log-likelihood per row to ``fit`` of all rows from the same start, the fit of the first batch, in nats times 1e5: total
nats.  Two passes show every row twice.
"""

from __future__ import annotations

import time

import numpy as np

from mixtura import GaussianMixture

ROWS, BATCH, COMPONENTS, FEATURES, SEEDS = 100_000, 1_000, 5, 4, 10

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


def main() -> None:
    gaps: dict[str, list[float]] = {name: [] for name in ("start", *WAYS)}
    seconds: dict[str, list[float]] = {name: [] for name in ("fit", *WAYS)}
    for seed in range(SEEDS):
        X = overlapping(seed)
        first = GaussianMixture(COMPONENTS, random_state=seed).fit(X[:BATCH])
        own = {"means_init": first.means_, "covariances_init": first.covariances_, "weights_init": first.weights_}
        began = time.perf_counter()
        fit = GaussianMixture(COMPONENTS, **own).fit(X)
        seconds["fit"].append(time.perf_counter() - began)
        gaps["start"].append((fit.score(X) - first.score(X)) * ROWS)
        for name, (pace, passes) in WAYS.items():
            gm = GaussianMixture(COMPONENTS, random_state=seed)
            began = time.perf_counter()
            for _ in range(passes):
                for batch in np.split(X, ROWS // BATCH):
                    gm.partial_fit(batch, **pace)
            seconds[name].append(time.perf_counter() - began)
            gaps[name].append((fit.score(X) - gm.score(X)) * ROWS)
    print(f"{'':22s}{'median':>10s}{'lowest':>10s}{'highest':>10s}{'seconds':>10s}   gap to fit, nats")
    for name, gap in gaps.items():
        took = f"{np.median(seconds[name]):10.2f}" if name in seconds else f"{'':10s}"
        print(f"{name:22s}{np.median(gap):10.1f}{np.min(gap):10.1f}{np.max(gap):10.1f}{took}")
    print(f"{'fit':22s}{'':30s}{np.median(seconds['fit']):10.2f}")


if __name__ == "__main__":
    main()
