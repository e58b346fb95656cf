"""Passes over the data until a fit stops, with and without acceleration: a Markdown table.

    python benchmarks/passes.py [--problems 30] [--separated 8]

Every problem is a sample of 800 rows from a mixture of 2 to 6 Gaussians in 1 to 4 features, and every run begins at the
same k-means++ start.  ``limit`` is what plain EM reaches when it is left to run (tol 1e-8, at most 20,000 passes), and
``passes to`` the passes it takes to get within ``tol`` of that.  The other columns are fits with default ``tol``: the
passes used, rejected tries included, and how far below (-) or above (+) the limit they stopped, in total nats.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from mixtura import GaussianMixture

LONG = 20_000
ROWS = 800


def sample(seed, separation, n=ROWS):
    """Rows (n, d) and the number of components they are from."""
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    means = rng.normal(size=(k, d)) * separation
    roots = rng.normal(size=(k, d, d)) * 0.4 + np.eye(d)
    component = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    return means[component] + np.einsum("nij,nj->ni", roots[component], rng.normal(size=(n, d))), k


def fitted(x, k, **settings):
    """A fit from the same start, whatever the settings."""
    settings = {"init": "k-means++", "n_init": 1, "random_state": 0, "max_iter": LONG} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(k, **settings).fit(x)


def compared(seed, separation, **settings):
    """One problem: its size, the limit, plain EM's passes to it, and (passes, objective less limit) of three fits."""
    x, k = sample(seed, separation)
    long = fitted(x, k, accelerate=None, tol=1e-8, **settings)
    history = np.array(long.log_likelihood_history_)
    limit = history[-1]
    to = int(np.argmax(history >= limit - 1e-3))
    fits = [fitted(x, k, accelerate=name, **settings) for name in (None, "lbfgs", "squarem")]
    return (k, x.shape[1]), limit, to, [(fit.n_iter_, fit.loglik_ - limit) for fit in fits]


def table(title, seeds, separation_of, **settings):
    """Print the problems of one kind, and their sums."""
    print(f"\n### {title}\n")
    print("| problem | K | d | limit | passes to | plain | | lbfgs | | squarem | |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    totals = np.zeros(4, dtype=int)
    for seed in seeds:
        (k, d), limit, to, fits = compared(seed, separation_of(seed), **settings)
        totals += [to, *(used for used, _ in fits)]
        cells = " | ".join(f"{used} | {off:+.4f}" for used, off in fits)
        print(f"| {seed} | {k} | {d} | {limit:.4f} | {to} | {cells} |", flush=True)
    print(f"| all | | | | {totals[0]} | {totals[1]} | | {totals[2]} | | {totals[3]} | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=30, help="overlapping problems (default 30)")
    parser.add_argument("--separated", type=int, default=8, help="well separated problems (default 8)")
    parser.add_argument("--covariance-type", default="full")
    options = parser.parse_args()
    kind = {"covariance_type": options.covariance_type}
    table("Overlapping", range(options.problems), lambda seed: 0.8 + 1.2 * (seed % 7) / 6, **kind)
    table("Well separated", range(100, 100 + options.separated), lambda seed: 12.0, **kind)


if __name__ == "__main__":
    main()
