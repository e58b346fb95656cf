"""Leaving a local optimum: one component is taken out, or two are merged, and another one is split.

EM ends where it began to go: two components on one cluster and one on two others stay there.  What gets away is a move
that keeps the number of components, made in the tables of sums of cohort.py,

    merge    rows a, b of a table add up: the pairs whose common covariance is least wider than their own
    take out the E-step of the other components alone: those whose rows the others cover, by sum_n log(1 - r_nk)
    split    the component k becomes m_k -+ e, S_k - e e', with e a part of its longest axis: the mass, the mean and the
             covariance of the two together are those of the one

and a few passes of EM from there tell whether it was worth it.

References: N. Ueda, R. Nakano, Z. Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models", Neural Computation
12, 2000; P. Fränti and O. Virmajoki, "Iterative shrinking method for clustering problems", Pattern Recognition 39,
2006 (what is lost by taking one out); Q. Zhao, V. Hautamäki, I. Kärkkäinen and P. Fränti, "Random swap EM algorithm for
Gaussian mixture models", Pattern Recognition Letters 33, 2012.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from mixtura import cohort, evaluate, initialize, validation
from mixtura.cohort import Board, Reached
from mixtura.em import Problem
from mixtura.engine import Serial
from mixtura.mixture import Mixture
from mixtura.rows import Array, Rows

LOOKS = 4
"""Pairs that are merged, components that are taken out, and components that are split for a look."""

REACH = 0.8
"""How far from their middle the halves of a component are put, in standard deviations along its longest axis."""

RIDGE = 1e-6
"""Variance, as a part of the data's, under which no union counts as narrower."""

ALIKE = 1e-4
"""Difference of log-likelihood, per row, of looks that are taken for the same."""

CLEAR = 1.0
"""Nats by which another optimum has to be better to be worth the change."""

FAILURES, COMPONENTS = 12, 256
"""Moves that are tried, and components that they have together at most; when none leads higher, that is the end."""

MOST, LARGEST = 20, 64
"""Moves that are made at most, and components of a mixture up to which there are any."""

ROWS = 2_000
"""Rows that moves are judged by, at most."""

ROUGH, CYCLES = 0.1, 10
"""Nats left to gain, and cycles of three passes, up to which a move is followed."""

SETTLED, SETTLING = 1e-5, 40
"""The same for what moves begin from: on the way, long steps make differences of rounding large; at its end, a model is
the same in any unit."""


def moved(problem: Problem, rows: Rows, model: Mixture) -> tuple[Array, Array] | None:
    """Where moves lead from ``model`` on these rows: the partition (n, K) that the last of them makes, and the
    responsibilities (n, K) where it has led.

    A partition does not show how the steps on the way to it were rounded, as parameters would.
    None if they lead nowhere, or there are none: of one component or more than LARGEST, with something beside the
    likelihood, and for families that have no place in tables of these rows.
    """
    family, k = problem.update.family, model.n_components
    code = family.code
    if not problem.update.plain or not 1 < k <= LARGEST or code not in cohort.suited(rows):
        return None
    rows = Rows(rows.x, rows.weight)  # what is filled in counts as known: it is a start that is looked for
    resp = evaluate.responsibilities(model, rows, Serial())
    if family.frame == "affine":  # longest means something only in coordinates that are the same after any linear map
        rows = Rows(initialize.coordinates(rows, "affine"), rows.weight)
    board = cohort.board(rows, problem.engine)
    table = board.table(resp)
    tries = min(FAILURES, COMPONENTS // k)
    origin = begun = best = None
    for _ in range(MOST):
        (settled,) = cohort.climb(board, [code], [table], tol=SETTLED, cycles=SETTLING)
        if settled.left:  # what looked better on the way was about to collapse
            break
        origin, best = begun, settled
        tables = [*swapped(best.table), *replaced(board, code, best)]
        seen = cohort.glance(board, [code] * len(tables), tables)
        tables = [tables[i] for i in apart(seen, [None] * len(tables), board.total, tries)]
        beat = [best.loglik + CLEAR] * len(tables)
        found = cohort.climb(board, [code] * len(tables), tables, tol=ROUGH, cycles=CYCLES, beat=beat)
        sound = [i for i, one in enumerate(found) if not one.left and cohort.healthy(code, one.table)]
        top = max(sound, key=lambda i: found[i].loglik, default=None)
        if top is None or not found[top].loglik > best.loglik + CLEAR:
            break
        begun, table = tables[top], found[top].table
    if origin is None or best is None:
        return None
    found_models = cohort.first_model(board, code, origin), cohort.model_of(board, code, best.theta)
    begin, end = (evaluate.responsibilities(one, Rows(rows.x), Serial()) for one in found_models)
    return validation.one_hot(begin.argmax(axis=1), k), end


def apart(seen: Array, of: Sequence[Hashable], total: float, most: int) -> list[int]:
    """Of each of those that looks are ``of``, the best ``most`` looks that differ, by the log-likelihoods ``seen``."""
    chosen: dict[Hashable, list[int]] = {}
    for i in sorted(range(len(of)), key=lambda i: -seen[i]):
        taken = chosen.setdefault(of[i], [])
        if np.isfinite(seen[i]) and len(taken) < most and all(seen[j] - seen[i] > ALIKE * total for j in taken):
            taken.append(i)
    return [i for taken in chosen.values() for i in taken]


def swapped(table: Array) -> Array:
    """Tables with one pair merged and another component split."""
    if len(table) < 2:
        return np.empty((0, *table.shape))
    return split(merged(table[None], LOOKS), LOOKS)


def replaced(board: Board, code: str, one: Reached) -> Array:
    """Tables with one component taken out, those that the rows miss least, and another one split."""
    k = len(one.theta)
    if k < 3:  # of two, taking one out is merging them
        return np.empty((0, *one.theta.shape))
    rest = np.array([[j for j in range(k) if j != gone] for gone in range(k)])
    tables, logliks = cohort.seen_by(board, one.theta[rest])
    least = np.argsort(-logliks, kind="stable")[:LOOKS]
    return split(tables[least], LOOKS)


def moments(tables: Array) -> tuple[Array, Array, Array]:
    """Mass (m, K), means (m, K, d) and scatter (m, K, d, d) of tables (m, K, q)."""
    d = cohort.n_features_of(tables[0])
    i, j = np.triu_indices(d)
    mass, first = tables[:, :, 0], tables[:, :, 1 : 1 + d]
    mean = first / mass[:, :, None]
    scatter = np.empty((*mean.shape, d))
    scatter[..., i, j] = scatter[..., j, i] = tables[:, :, 1 + d :] - first[..., i] * mean[..., j]
    return mass, mean, scatter


def merged(tables: Array, most: int) -> Array:
    """Of each of the tables (m, K, q) at most so many (m most, K - 1, q) with two components merged: those that lose
    least by it."""
    m, k, q = tables.shape
    mass, mean, scatter = moments(tables)
    a, b = np.triu_indices(k, 1)
    both = mass[:, a] + mass[:, b]
    e = np.sqrt(mass[:, a] * mass[:, b] / both)[:, :, None] * (mean[:, a] - mean[:, b])
    union = scatter[:, a] + scatter[:, b] + e[..., :, None] * e[..., None, :]

    def cost(scatter: Array, mass: Array) -> Array:
        ridge = RIDGE * np.eye(scatter.shape[-1])
        log_det = np.linalg.slogdet(scatter / mass[..., None, None] + ridge)[1]
        return np.asarray(mass * (0.5 * log_det - np.log(mass)))

    alone = cost(scatter, mass)
    added = cost(union, both) - alone[:, a] - alone[:, b]
    pairs = np.argsort(added, axis=1, kind="stable")[:, :most].ravel()
    of = np.repeat(np.arange(m), len(pairs) // m)
    made = tables[of]
    row = np.arange(len(of))
    made[row, a[pairs]] += made[row, b[pairs]]
    return np.asarray(made[np.arange(k) != b[pairs][:, None]].reshape(-1, k - 1, q))


def split(tables: Array, most: int, reach: float = REACH) -> Array:
    """Of each of the tables (m, K, q) at most so many (m most, K + 1, q) with a component split: those with most
    rows."""
    m, d = len(tables), cohort.n_features_of(tables[0])
    i, j = np.triu_indices(d)
    mass, mean, scatter = moments(tables)
    chosen = np.argsort(-mass, axis=1, kind="stable")[:, :most].ravel()
    of = np.repeat(np.arange(m), len(chosen) // m)
    mass, mean = 0.5 * mass[of, chosen], mean[of, chosen]
    covariance = 0.5 * scatter[of, chosen] / mass[:, None, None]
    values, vectors = np.linalg.eigh(covariance)
    axis = vectors[:, :, -1]
    # The half that is nearer to the middle of all rows comes first, whichever way an eigenvector points.
    outwards = np.where((axis * mean).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    step = reach * np.sqrt(np.maximum(values[:, -1:], 0.0)) * outwards * axis
    left = covariance - step[:, :, None] * step[:, None, :]

    def half(mean: Array) -> Array:
        second = left + mean[:, :, None] * mean[:, None, :]
        return np.asarray(mass[:, None] * np.concatenate([np.ones((len(mean), 1)), mean, second[:, i, j]], axis=1))

    made: Array = np.concatenate([tables[of], half(mean - step)[:, None]], axis=1)
    made[np.arange(len(of)), chosen] = half(mean + step)
    return made
