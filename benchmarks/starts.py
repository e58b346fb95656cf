"""What starts are worth: log-likelihoods of short runs alone, with moves, and of ten runs to the end.

    python benchmarks/starts.py [--problems 40]

Problems are mixtures of K Gaussians of random shapes (K 4 to 10, d 2, 3 or 6, n 500, 1,000 or 3,000), seen through a
random linear map and fitted with as many components under one of five covariance types.  The gap is that to the best of
the three, in nats; a fit that is within half a nat has found it.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from mixtura import GaussianMixture
from mixtura.engine import cores

FOUND = 0.5
"""Nats under the best up to which it is found."""

KINDS = ("full", "VVV", "diag", "EEE", "VEV")

WAYS = {
    "short runs": {"init": "k-means++"},
    "and moves": {"init": "auto"},
    "ten runs to the end": {"init": "k-means++", "n_init": 10},
}


def problem(number: int) -> tuple[np.ndarray, int, str]:
    """Rows, number of components and covariance type."""
    rng = np.random.default_rng(number)
    d, n, k = (2, 3, 6)[number % 3], (500, 1000, 3000)[number // 3 % 3], int(rng.integers(4, 11))
    shapes = rng.normal(size=(k, d, d)) * 0.5 + np.eye(d)
    means = rng.normal(size=(k, d)) * rng.uniform(1.5, 4)
    labels = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    X = means[labels] + np.einsum("nij,nj->ni", shapes[labels], rng.normal(size=(n, d)))
    return X @ rng.normal(size=(d, d)), k, KINDS[number % len(KINDS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40)
    arguments = parser.parse_args()
    loglik = np.empty((arguments.problems, len(WAYS)))
    seconds = np.zeros(len(WAYS))
    for number in range(arguments.problems):
        X, k, kind = problem(number)
        for way, named in enumerate(WAYS.values()):
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gm = GaussianMixture(k, covariance_type=kind, random_state=0, **named).fit(X)
            seconds[way] += time.perf_counter() - began
            loglik[number, way] = gm.loglik_
    gap = loglik.max(axis=1, keepdims=True) - loglik
    print("| start | found the best | mean gap (nats) | time |\n|---|---:|---:|---:|")
    for way, name in enumerate(WAYS):
        found = int((gap[:, way] < FOUND).sum())
        print(f"| {name} | {found} of {len(gap)} | {gap[:, way].mean():.1f} | {seconds[way] / seconds[0]:.1f} |")
    better = loglik[:, 1] - loglik[:, 0]
    print(f"\nmoves: better in {(better > FOUND).sum()}, worse in {(better < -FOUND).sum()}; {cores()} cores")


if __name__ == "__main__":
    main()
