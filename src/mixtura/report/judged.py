"""What a model says of each row: where it belongs, how surely, and how far out it lies.

d^2 = (x - m_k)' S_k^-1 (x - m_k), over the features that the row tells, is chi-square with as many degrees of freedom
if x comes from component k: p = P(chi^2 > d^2).  The nearest component is that of the largest p, so that p is larger
than chance would have it, never smaller.  The likelihood alone tells it: with N(m | m, S) the density of a row at the
mean that tells the same features,

    d^2 = 2 (log N(m | m, S) - log N(x | m, S)).

A row is called far out where p < a_n, a_n = 1 - (1 - ALPHA)^(1/n): of n rows of the model, with probability ALPHA at
most there is any.

If each row goes to the most probable component, and the model is right, the share of rows that goes wrong is expected
to be

    (1/n) sum_n u_n,    u_n = 1 - max_k r_nk,

the mean of the uncertainties: an estimate of the Bayes error.  As the model was fitted to the same rows it is a little
too low.

References: G. J. McLachlan and K. E. Basford, *Mixture Models: Inference and Applications to Clustering*, Dekker,
1988 (how typical a row is of a component); L. Davies and U. Gather, "The identification of multiple outliers",
Journal of the American Statistical Association 88, 1993 (a_n); K. E. Basford and G. J. McLachlan, "Estimation of
allocation rates in a cluster analysis context", Journal of the American Statistical Association 80, 1985 (u_n).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from mixtura import evaluate
from mixtura.background import LABEL
from mixtura.engine import make_engine
from mixtura.mixture import Mixture
from mixtura.report.data import Data
from mixtura.rows import AnyArray, Array, Rows

ALPHA = 0.05
"""Probability that a row of many is called far out if all are of the model."""

COMMON = 0.001
"""A smaller p is counted, beside the number that chance makes."""

ORDINARY = 0.01
"""Where p by the own component is as large as this, the row is not far out, and other components are not asked."""

AT_ONCE = 50_000
"""Rows whose responsibilities are held at once."""

SAME = 1e-4
"""Nats per row, to which the log-likelihood of a fit is found again from rows in 32 bits; of other rows it differs by
more, about one by the root of their number."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Of n rows: ``label`` of the most probable component, or LABEL, and its ``probability``; ``second`` and
    ``second_probability``; ``log_density``; ``nearest`` component by Mahalanobis distance, and ``p_value``, which of
    rows that nothing is wrong with are those of the own component."""

    label: NDArray[np.intp]
    probability: Array
    second: NDArray[np.intp]
    second_probability: Array
    log_density: Array
    nearest: NDArray[np.intp]
    p_value: Array

    @property
    def uncertainty(self) -> Array:
        """u_n."""
        return np.asarray(1 - self.probability)

    @property
    def limit(self) -> float:
        """a_n."""
        return float(-np.expm1(np.log1p(-ALPHA) / len(self.label)))


def judged(model: Mixture, data: Data) -> Judged:
    """What the model, beside its background if it has one, says of all rows at hand."""
    n = len(data.x)
    parts = [_judged(model, data.rows(slice(begin, begin + AT_ONCE))) for begin in range(0, n, AT_ONCE)]
    label, second = (np.concatenate([part[0][:, i] for part in parts]) for i in (0, 1))
    top = np.concatenate([part[1] for part in parts])
    nearest, p_value = atypical(model.components, data, label)
    return Judged(label, top[:, 0], second, top[:, 1], np.concatenate([part[2] for part in parts]), nearest, p_value)


def is_of(judged: Judged, data: Data, fit: Mapping[str, Any]) -> bool:
    """Whether the rows are those of a fit, as it is on record in a model file, as far as its log-likelihood tells."""
    n = len(judged.log_density)
    if not data.whole or fit["n_rows"] != n:
        return False
    return abs(loglik(judged, data) - float(fit["loglik"])) <= SAME * n


def loglik(judged: Judged, data: Data) -> float:
    """Log-likelihood of the rows at hand (nats)."""
    return float(judged.log_density.sum() if data.weight is None else data.weight @ judged.log_density)


def _judged(model: Mixture, rows: Rows) -> tuple[NDArray[np.intp], Array, Array]:
    engine = make_engine()
    first, top = two_best(model, rows)
    return first, top, np.asarray(evaluate.log_density(model, rows, engine))


def two_best(model: Mixture, rows: Rows) -> tuple[NDArray[np.intp], Array]:
    """The two most probable components of each row, (n, 2), and how probable they are; of a single one twice that,
    and zero."""
    found = evaluate.responsibilities(model, rows, make_engine())
    if found.shape[1] == 1:
        return np.zeros((len(found), 2), dtype=np.intp), np.column_stack([found, np.zeros(len(found))])
    # Of equal ones the first, as predict has it.
    order = np.argsort(-found, axis=1, kind="stable")[:, :2]
    top = np.take_along_axis(found, order, axis=1)
    order[order == model.n_components] = LABEL
    return order, np.asarray(top, dtype=np.float64)


def atypical(mixture: Mixture, data: Data, label: NDArray[np.intp]) -> tuple[NDArray[np.intp], Array]:
    """The nearest component of each row, and the probability that one of its rows lies further out."""
    nearest, p_value = label.copy(), np.zeros(len(label))
    there = np.flatnonzero(mixture.weights > 0)
    for k in there:
        own = np.flatnonzero(label == k)
        if len(own):
            p_value[own] = _p_values(mixture, int(k), data.rows(own))
    far = np.flatnonzero(p_value < ORDINARY)
    for k in there:
        p = _p_values(mixture, int(k), data.rows(far)) if len(far) else np.empty(0)
        nearer = (p > p_value[far]) | (nearest[far] == LABEL)
        nearest[far[nearer]], p_value[far[nearer]] = k, p[nearer]
    return nearest, p_value


def _p_values(mixture: Mixture, k: int, rows: Rows) -> Array:
    """P(chi^2 > d^2) of rows for a component."""
    d = mixture.n_features
    told = np.full(len(rows), d) if rows.missing is None else d - rows.missing.sum(axis=1)
    p = chi2.sf(squared_distances(mixture, k, rows), np.maximum(told, 1))
    return np.asarray(np.where(told > 0, p, 1.0))  # of what is not known nothing is unusual


def squared_distances(mixture: Mixture, k: int, rows: Rows) -> Array:
    """d^2 of rows from a component."""
    one, mean = mixture.only([k]), mixture.means[k]
    middle: AnyArray = mean[None] if rows.missing is None else np.where(rows.missing, np.nan, mean)
    engine = make_engine()
    peak = evaluate.log_density(one, Rows(middle, missing=rows.missing), engine)
    own = evaluate.log_density(one, Rows(np.asarray(rows.x, dtype=np.float64), missing=rows.missing), engine)
    return np.asarray(np.maximum(2 * (peak - own), 0.0))
