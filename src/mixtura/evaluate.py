"""A model at rows: densities, responsibilities, labels and their totals, block by block, without an n x K temporary.

A background comes after the components: it has the last column, and LABEL for a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import entr

from mixtura import told
from mixtura.background import LABEL
from mixtura.engine import Engine, one_blas_thread
from mixtura.kernels import cut
from mixtura.kernels.blockwise import highest
from mixtura.observe import densities, exact
from mixtura.rows import AnyArray, Array, InMemory, Rows, norm

if TYPE_CHECKING:
    from mixtura.mixture import Mixture

Written = Callable[[Array, Array, float | Array], AnyArray]
"""What is kept of densities up to a factor (K, b) or (K + 1, b), their sums (b,) and the logarithm of the factors: one
entry per row."""


T = TypeVar("T")


def _each(
    model: Mixture,
    rows: Rows,
    engine: Engine,
    seen: Callable[[Any, Rows, Array, Array, float | Array], T],
    take: Callable[[T], object],
) -> None:
    """``take`` in order what ``seen`` makes of each block: its place, its rows, and densities as for ``Written``."""
    source = InMemory(rows)
    with one_blas_thread():
        if not rows.exact:
            told.each(model, source, engine, seen, take)
            return
        observation = model.observation if rows.label is None else exact(model.scores, model.mean, labelled=True)

        def of_block(where: slice) -> T:
            block = rows[where]
            resp, total, top, _ = densities(observation, block.x, block.allowed(observation.n_columns))
            return seen(where, block, resp, total, top)

        engine.each(of_block, source.cuts(cut(len(rows), observation.block_rows)), take)


def _fill(out: AnyArray, model: Mixture, rows: Rows, engine: Engine, written: Written) -> None:
    """Write ``written`` of every row into ``out``."""

    def write(where: Any, block: Rows, *seen: Any) -> None:
        with np.errstate(over="ignore"):  # a log density under the range of float32 is minus infinity there
            out[where] = written(*seen)

    _each(model, rows, engine, write, lambda nothing: None)


def log_density(model: Mixture, rows: Rows, engine: Engine, dtype: DTypeLike = np.float64) -> AnyArray:
    """log p of what each row tells, (n,)."""
    out = np.empty(len(rows), dtype)
    _fill(out, model, rows, engine, lambda resp, total, top: np.log(total) + top)
    return out


def responsibilities(model: Mixture, rows: Rows, engine: Engine, dtype: DTypeLike = np.float64) -> AnyArray:
    """Posterior probabilities (n, K), or (n, K + 1) with a background."""
    out = np.empty((len(rows), model.n_components + (model.background is not None)), dtype)
    _fill(out, model, rows, engine, lambda resp, total, top: np.divide(resp, total, out=resp).T)
    return out


def labels(model: Mixture, rows: Rows, engine: Engine) -> NDArray[np.intp]:
    """The most probable component, (n,); LABEL where that is the background."""
    out = np.empty(len(rows), dtype=np.intp)
    _fill(out, model, rows, engine, lambda resp, total, top: highest(resp))
    out[out == model.n_components] = LABEL
    return out


def labels_and_log_density(model: Mixture, rows: Rows, engine: Engine) -> tuple[NDArray[np.intp], Array]:
    """``labels`` and ``log_density`` of one pass."""
    out = np.empty((len(rows), 2))
    _fill(out, model, rows, engine, lambda resp, total, top: np.stack([highest(resp), np.log(total) + top], 1))
    found = out[:, 0].astype(np.intp)
    found[found == model.n_components] = LABEL
    return found, out[:, 1]


def columns(model: Mixture, rows: Rows, engine: Engine, *, proba: bool, density: bool) -> dict[str, NDArray[Any]]:
    """What a table of predictions has: label, and if they are wanted p0, p1, ..., p_noise and log_density."""
    label, log_p = labels_and_log_density(model, rows, engine) if density else (labels(model, rows, engine), None)
    found: dict[str, NDArray[Any]] = {"label": label}
    if proba:
        probabilities = responsibilities(model, rows, engine)
        found |= {f"p{k}": probabilities[:, k] for k in range(model.n_components)}
        found |= {} if model.background is None else {"p_noise": probabilities[:, -1]}
    return found if log_p is None else found | {"log_density": log_p}


@dataclass(frozen=True)
class Totals:
    """Sums by weight over rows: ``loglik``, ``count`` of rows, ``certainty``, log max_k r_k, ``entropy``,
    -sum_k r_k log r_k, and the ``norm`` of the weights, the root of the sum of their squares."""

    loglik: float
    count: float
    certainty: float
    entropy: float
    norm: float = 0.0

    @property
    def effective(self) -> Totals:
        """The same for as many rows as tell as much as rows of these weights (Kish 1965)."""
        return self if self.norm == 0 else self * (self.count / self.norm / self.norm)

    def __add__(self, other: Totals) -> Totals:
        sums = Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))
        return replace(sums, norm=float(np.hypot(self.norm, other.norm)))

    def __mul__(self, factor: float) -> Totals:
        return Totals(*(factor * part for part in astuple(self)))


def totals(model: Mixture, rows: Rows, engine: Engine) -> Totals:
    """What the information criteria need to know of the rows."""
    found = [Totals(0.0, 0.0, 0.0, 0.0)]

    def of_block(where: Any, block: Rows, resp: Array, total: Array, top: float | Array) -> Totals:
        resp /= total
        certainty, entropy = np.log(resp.max(axis=0)), entr(resp).sum(axis=0)
        weight = np.ones(len(block)) if block.weight is None else block.weight
        loglik = float(weight @ (np.log(total) + top))
        return Totals(loglik, block.total, float(weight @ certainty), float(weight @ entropy), norm(block))

    def add(part: Totals) -> None:
        found[0] = found[0] + part

    if len(rows):  # of a batch, none may count
        _each(model, rows, engine, of_block, add)
    return found[0]


# criteria: lower is better --------------------------------------------------------------------------------------------


def aic(totals: Totals, df: int) -> float:
    """Akaike information criterion, 2 df - 2 loglik."""
    return 2 * df - 2 * totals.loglik


def bic(totals: Totals, df: int) -> float:
    """Bayesian information criterion, df log n - 2 loglik."""
    return df * float(np.log(totals.count)) - 2 * totals.loglik


def icl(totals: Totals, df: int) -> float:
    """Integrated completed likelihood by hard assignment: BIC - 2 sum log max_k r_k."""
    return bic(totals, df) - 2 * totals.certainty


def icl_entropy(totals: Totals, df: int) -> float:
    """Integrated completed likelihood by soft assignment: BIC - 2 sum_k r_k log r_k."""
    return bic(totals, df) + 2 * totals.entropy


OF_TOTALS: dict[str, Callable[[Totals, int], float]] = {
    "bic": bic,
    "icl": icl,
    "icl_entropy": icl_entropy,
    "aic": aic,
}
"""Criteria that the totals of a model and its parameters tell."""

MEASURES: dict[str, tuple[str, float]] = {
    "bic": ("BIC", 1.0),
    "icl": ("ICL", 1.0),
    "icl_entropy": ("ICL by soft assignment", 1.0),
    "aic": ("AIC", 1.0),
    "cv": ("cross-validated log-likelihood", -1.0),
    "loglik": ("log-likelihood", -1.0),
}
"""Columns of the table by which models can be compared: what they are called, and the sign that makes less better."""

SAME = 1e-9
"""Part of a criterion that makes no difference: with one component several families are one model."""


def ranked(records: Iterable[Mapping[str, Any]], column: str) -> list[Mapping[str, Any]]:
    """The rows that are ok and have a number in this column, best first; of equal ones that with fewer parameters, or
    the one that came first."""
    usable = [one for one in records if one["status"] == "ok" and np.isfinite(one.get(column, np.nan))]
    if not usable:
        return []
    sign = MEASURES[column][1]
    step = SAME * max(abs(one[column]) for one in usable) or 1.0
    return sorted(usable, key=lambda one: (round(sign * one[column] / step), one["df"]))
