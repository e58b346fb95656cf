"""Rows that say no more than that the one feature lies in an interval: a histogram's bins.

    P_bk = P(l_b < x < u_b) under component k        p_b = sum_k w_k P_bk + w_0 (u_b - l_b) / V

and moments within the interval (intervals.py) take the place of the row.  A bin without an end has no background: the
box of that reaches as far as the edges that are numbers.

Reference: G. J. McLachlan and P. N. Jones, "Fitting mixture models to grouped and truncated data via the EM algorithm",
Biometrics 44, 1988.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.covariance import Diagonal
from mixtura.intervals import in_interval
from mixtura.observe import densities_by_row
from mixtura.rows import Array, Rows
from mixtura.scores import LOG_ZERO, log_weights

if TYPE_CHECKING:
    from mixtura.mixture import Mixture

BLOCK_ROWS = 4096
"""Intervals that are looked at together."""


@dataclass(frozen=True, eq=False)
class Operands:
    """The model of one feature, with the deviations (K, 1) of its components."""

    model: Mixture
    deviations: Array


def prepare(model: Mixture) -> Operands:
    """The operands for any intervals."""
    return Operands(model, np.sqrt(model.layout.diagonal))


def seen(operands: Operands, rows: Rows) -> tuple[Array, Array, Array, Any]:
    """Probabilities (K, b) of the intervals up to a factor per row, their sums (b,), the logarithm of the factors, and
    first and second moments (K, b) about the means."""
    assert rows.edges is not None
    model, (lower, upper) = operands.model, rows.edges.T
    log_joint, first, second = in_interval(lower, upper, model.means, operands.deviations)
    log_joint += log_weights(model.weights)[:, None]
    behind = None
    if model.background is not None:
        width = upper - lower
        behind = np.full(len(width), LOG_ZERO)
        np.log(width, out=behind, where=np.isfinite(width))
        behind += model.background.log_joint
    return *densities_by_row(log_joint, rows, behind), (first, second)


def sums(
    operands: Operands, rows: Rows, moments: tuple[Array, Array], resp: Array, scale: Array
) -> tuple[Array, Array, Array]:
    """Mass (K,), first (K, 1) and second (K, 1, 1) or (K, 1) moments about the means, under ``scale * resp`` (K, b)."""
    resp = resp * scale
    first, second = ((resp * each).sum(axis=1)[:, None] for each in moments)
    return resp.sum(axis=1), first, second if isinstance(operands.model.layout, Diagonal) else second[:, :, None]


def completed(operands: Operands, rows: Rows, k: int) -> tuple[Array, Array]:
    """E[x] - m_k (b, 1) if the rows belong to component k, and the variance that is left, (b, 1) or (b, 1, 1)."""
    assert rows.edges is not None
    lower, upper = rows.edges.T
    _, first, second = in_interval(lower, upper, operands.model.means[k], operands.deviations[k])
    left = (second - first**2)[:, None]
    return first[:, None], left if isinstance(operands.model.layout, Diagonal) else left[:, :, None]
