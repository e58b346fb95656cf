"""Ready-made points in a plane, each set with something to learn from it; the same numbers every time."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.covariance import read_only
from mixtura.rows import Array

BOARD = ((0.0, 10.0), (0.0, 8.0))
"""What the plane shows of either axis, where points have no unit."""


@dataclass(frozen=True, eq=False)
class PointSet:
    """``points`` (n, 2), and ``source`` (n,): which group each was drawn from, None where nobody knows.

    ``plane`` has the ends of both axes.
    """

    points: Array
    source: NDArray[np.intp] | None = None
    plane: tuple[tuple[float, float], tuple[float, float]] = BOARD


def _groups(seed: int, *groups: tuple[int, tuple[float, float], tuple[float, float, float]]) -> PointSet:
    """Gaussian groups: how many points, their mean, and (S_00, S_01, S_11) of their covariance."""
    rng = np.random.default_rng(seed)
    points = [rng.multivariate_normal(mean, [[a, b], [b, c]], size=n) for n, mean, (a, b, c) in groups]
    source = np.repeat(np.arange(len(groups)), [n for n, *_ in groups])
    return _of(np.concatenate(points), source)


def _of(points: Array, source: NDArray[np.intp] | None) -> PointSet:
    return PointSet(read_only(np.round(points, 3)), source)


def two() -> PointSet:
    """Two groups that lie apart."""
    return _groups(1, (40, (3.0, 2.8), (0.7, 0.3, 0.5)), (40, (7.0, 5.4), (0.7, -0.2, 0.6)))


def overlap() -> PointSet:
    """Two groups that share a good part of their points."""
    return _groups(2, (90, (4.0, 3.4), (1.3, 0.3, 1.0)), (70, (6.0, 4.8), (1.0, -0.3, 0.8)))


def four() -> PointSet:
    """Four groups at the corners of a rectangle: with a bad start two of them stay together."""
    return _groups(4, *((35, mean, (0.2, 0.0, 0.2)) for mean in ((2.0, 2.0), (2.0, 6.0), (8.0, 2.0), (8.0, 6.0))))


def unequal() -> PointSet:
    """A wide group of many points and a narrow one of few beside it."""
    return _groups(3, (220, (4.3, 4.0), (2.0, 0.0, 1.3)), (40, (8.2, 4.0), (0.05, 0.0, 0.06)))


def stretched() -> PointSet:
    """Two long groups beside each other."""
    return _groups(5, (90, (5.0, 3.0), (3.0, 1.2, 0.62)), (90, (5.0, 5.2), (3.0, 1.2, 0.62)))


def ring() -> PointSet:
    """A group with a ring around it."""
    rng = np.random.default_rng(6)
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    radius = rng.normal(2.8, 0.3, size=len(angle))
    around = np.column_stack([5 + radius * np.cos(angle), 4 + radius * np.sin(angle)])
    middle = rng.normal((5.0, 4.0), 0.25, size=(100, 2))
    return _of(np.concatenate([around, middle]), np.repeat([0, 1], [len(around), len(middle)]))


def outlier() -> PointSet:
    """A group, and one point far from it."""
    group = _groups(11, (60, (2.6, 2.4), (0.5, 0.2, 0.4)))
    return PointSet(read_only(np.concatenate([group.points, [[9.2, 7.2]]])))


def twins() -> PointSet:
    """Two groups, and two points at one place."""
    groups = _groups(10, (30, (3.0, 3.0), (0.7, 0.2, 0.6)), (30, (6.6, 3.4), (0.6, -0.2, 0.7)))
    return PointSet(read_only(np.concatenate([groups.points, [[0.5, 7.5], [0.5, 7.5]]])))


def faithful() -> PointSet:
    """272 eruptions of Old Faithful: how long each lasted and how long it was until the next, in minutes."""
    # Not read_table, which needs pyarrow: the page is there without any extra.
    with (importlib.resources.files("mixtura") / "data" / "faithful.csv").open(encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    return PointSet(read_only(table), plane=((1.2, 5.5), (38.0, 100.0)))


SETS: dict[str, Callable[[], PointSet]] = {
    "two": two,
    "overlap": overlap,
    "four": four,
    "unequal": unequal,
    "stretched": stretched,
    "ring": ring,
    "faithful": faithful,
    "outlier": outlier,
    "twins": twins,
}
