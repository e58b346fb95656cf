"""Which features are shown, and which two of them first: those that tell components apart best.

What features J tell of the component z_n of row n is the mean of r_n,z(x_nJ), the responsibility of the most probable
component by all features when only those in J are known (of the marginal mixture, which is a mixture again).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mixtura import evaluate, validation
from mixtura.engine import make_engine
from mixtura.mixture import Mixture
from mixtura.report.data import stretches
from mixtura.rows import AnyArray, Rows

SHOWN = 12
"""Features that a page has room for."""

COMBINED = 6
"""Features, the best of them, whose pairs are looked at."""

PAIRS = 6
"""Pairs that have a small picture."""

ASKED_ROWS = 1_000
"""Rows that decide which features are shown."""


@dataclass(frozen=True)
class Planes:
    """``features`` that are shown, in their order, and ``pairs`` of places among them, the best first: none of one
    feature."""

    features: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


def planes_of(mixture: Mixture, x: AnyArray, label: NDArray[np.intp]) -> Planes:
    """The features and pairs to show of rows x (n, d) with these labels."""
    d = mixture.n_features
    asked = stretches(len(x), ASKED_ROWS)
    x, label = x[asked], label[asked]
    x, label = x[label >= 0], label[label >= 0]
    alone = mixture.n_components == 1 or len(x) == 0
    single = np.zeros(d) if alone else np.array([told(mixture, x, label, [j]) for j in range(d)])
    best = np.argsort(-single, kind="stable")
    shown = sorted(int(j) for j in best[:SHOWN])
    some = sorted(int(j) for j in best[:COMBINED])
    pairs = list(combinations(some, 2))
    worth = {pair: 0.0 if alone else told(mixture, x, label, pair) for pair in pairs}
    # Where several tell all there is, those that tell it alone come first.
    ordered = sorted(pairs, key=lambda pair: (-round(worth[pair], 3), -single[list(pair)].sum()))[:PAIRS]
    return Planes(tuple(shown), tuple((shown.index(i), shown.index(j)) for i, j in ordered))


def told(mixture: Mixture, x: AnyArray, label: NDArray[np.intp], features: Sequence[int]) -> float:
    """What these features tell of the components of rows x (n, d)."""
    chosen = np.ascontiguousarray(x[:, list(features)])
    found = evaluate.responsibilities(
        mixture.marginal(list(features)), Rows(chosen, missing=validation.missing(chosen)), make_engine()
    )
    return float(found[np.arange(len(label)), label].mean())
