"""Rows with what is missing filled in, from all that they tell.

o are the features that a row tells, with errors or without, m those that are missing, r_k responsibilities, and
B = Cov[x | x_o, k]:

    mean    E[x_m | o] = sum_k r_k E[x_m | o, k] + r_0 c_m
    draw    k ~ r,   x_m ~ N(E[x_m | o, k], B_mm);    of the background each x_j uniform on its side of the box

c is the middle of the bounding box, on which the background is uniform whatever its own box is: a row that tells some
of its features only is judged by the sides of that one (background.py), and what it does not tell is independent there.

B is not needed for it, which is as well where it is next to nothing.  Points y ~ N(0, S_k) with errors e ~ N(0, E)
are off what is expected of them by y_m - E[y_m | y_o + e], which has mean zero and covariance B_mm whatever they are:

    x_m = y_m + E[x_m | x_o - y_o - e, k]

How far the draws of many fillings in differ says how far what is missing matters; the mean says nothing of that, and a
variance of its values is too small.

References: D. B. Rubin, *Multiple Imputation for Nonresponse in Surveys*, Wiley, 1987; M. Di Zio, U. Guarnera and
O. Luzi, "Imputation through finite Gaussian mixture models", Computational Statistics & Data Analysis 51, 2007;
Y. Hoffman and E. Ribak, "Constrained realizations of Gaussian fields", The Astrophysical Journal 380, 1991.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mixtura import told
from mixtura.engine import Engine
from mixtura.rows import Array, InMemory, Rows

if TYPE_CHECKING:
    from mixtura.mixture import Mixture


def mean(model: Mixture, rows: Rows, engine: Engine) -> Array:
    """x (n, d) in float64, with what is expected in place of what is missing."""
    return _filled(rows, lambda source: told.expected(model, source, engine))


def draw(model: Mixture, rows: Rows, engine: Engine, rng: np.random.Generator) -> Array:
    """x (n, d) in float64, with draws in place of what is missing; their random numbers depend on ``rng`` and on how
    many rows are incomplete, not on how the rows are cut."""

    def drawn(source: InMemory) -> Array:
        size = source.n_rows, source.n_features
        uniform, normal = rng.random(source.n_rows), rng.standard_normal(size)
        blur = None if rows.noise is None else rng.standard_normal(size)
        return told.drawn(model, source, engine, uniform, normal, blur)

    return _filled(rows, drawn)


def _filled(rows: Rows, values: Callable[[InMemory], Array]) -> Array:
    """x with the ``values`` of the incomplete rows; the others are not looked at."""
    out = np.array(rows.x, dtype=np.float64)
    incomplete = np.flatnonzero(() if rows.missing is None else rows.missing.any(axis=1))
    if len(incomplete):
        out[incomplete] = values(InMemory(rows, incomplete))
    return out


STRATEGIES: dict[str, Callable[[Mixture, Rows, Engine, np.random.Generator], Array]] = {
    "mean": lambda model, rows, engine, rng: mean(model, rows, engine),
    "draw": draw,
}
