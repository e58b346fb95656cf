"""A model of many components at rows, without a look at those that are too far away to count.

Rows that are nearest to the same mean are put together in tiles.  For a tile with center c and radius rho, and D_k =
|U_k (c - m_k)|, the triangle inequality bounds l_k = log w_k N(x | k) for all of its rows:

    log_coef_k - (D_k + rho |U_k|)^2 / 2   <=   l_k   <=   log_coef_k - max(D_k - rho |U_k|, 0)^2 / 2

A component whose upper bound is more than NEGLIGIBLE under the largest lower bound is left out.  So densities are right
to K exp(-NEGLIGIBLE), which is rounding; nothing else is left out.  Tiles near each other are looked at together first,
as if they were one large tile: what is too far from all of them need not be compared with each.

Distances are taken with the features in units s of the spread within components, |U_k| being the largest singular value
of U_k diag(s).

Reference: A. W. Moore, "Very fast EM-based mixture model clustering using multiresolution kd-trees", NIPS 1998 (bounds
for the rows of a cell).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mixtura import evaluate
from mixtura.engine import Engine, one_blas_thread
from mixtura.kernels import residual
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, InMemory, Rows
from mixtura.scores import Scores
from mixtura.truncated import Tiles, log_joint_of_tiles, tile_bytes, with_nobody

NEGLIGIBLE = 50.0
"""Nats under the largest, from which even 1e5 components together are less than rounding."""

ROUNDED = 1e-12
"""Part of a log density that it may be rounded by, and more."""

WORTH = 0.25
"""Part of the components at most that may be left for it to be worth while; in many features all are."""

TRIED = 64
"""Tiles by which that is judged."""

TOGETHER = 64
"""Tiles that are looked at together first."""

BLOCK_BYTES = 1 << 20
"""Size of a table of densities."""


def labels_and_log_density(model: Mixture, x: AnyArray, engine: Engine) -> tuple[NDArray[np.intp], Array]:
    """The most probable component and log p(x) of each row (n, d), as a dense evaluation has them."""
    scores, k = model.scores, model.n_components
    unit = np.sqrt(model.weights @ model.layout.diagonal)
    white = scores.whitener * unit
    strength = np.linalg.norm(white, 2, axis=(1, 2)) if white.ndim == 3 else white.max(axis=1)
    padded = with_nobody(scores)
    labels, log_density = np.empty(len(x), dtype=np.intp), np.empty(len(x))

    def of_block(tiles: Tiles) -> None:
        rows = x[tiles.rows]
        near = np.flatnonzero(left(scores, strength, unit, rows.reshape(1, -1, rows.shape[2])))
        counts, which = compact(left(only(scores, near), strength[near], unit, rows))
        seen = np.append(near, k).astype(np.int32)[which]
        order = np.argsort(counts, kind="stable")  # a table is as wide as its widest row
        while len(order):
            size = max(BLOCK_BYTES // tile_bytes(scores, int(counts[order[-1]])), 1)
            those, order = order[-size:], order[:-size]
            evaluated(tiles[those], seen[those, : counts[those[-1]]])

    def evaluated(tiles: Tiles, seen: NDArray[np.int32]) -> None:
        log_joint = log_joint_of_tiles(padded, x[tiles.rows], tiles.component, seen)[tiles.there]
        rows, tile = tiles.rows[tiles.there], np.nonzero(tiles.there)[0]
        best = log_joint.argmax(axis=1)
        labels[rows] = seen[tile, best]
        top = log_joint[np.arange(len(rows)), best]
        log_density[rows] = top + np.log(np.exp(log_joint - top[:, None]).sum(axis=1))

    with one_blas_thread():
        tree = cKDTree(model.means / unit)
        blocks = InMemory(Rows(x)).blocks(BLOCK_BYTES // (8 * x.shape[1]) + 1)
        nearest = np.concatenate(list(engine.map(lambda rows: tree.query(rows.x / unit)[1], blocks)))
        place = np.empty(k, dtype=np.intp)
        place[tree.indices] = np.arange(k)  # components near each other have numbers near each other
        tiles = Tiles.of(place[nearest], k)
        tiles = Tiles(tree.indices[tiles.component], tiles.rows, tiles.there)
        n_tiles = len(tiles.component)
        if left(scores, strength, unit, x[tiles.rows[:: n_tiles // TRIED + 1]]).mean() > WORTH:
            return evaluate.labels_and_log_density(model, Rows(x), engine)
        for _ in engine.map(of_block, (tiles[begin : begin + TOGETHER] for begin in range(0, n_tiles, TOGETHER))):
            pass
    return labels, log_density


def only(scores: Scores, those: NDArray[np.intp]) -> Scores:
    """Scores of some of the components."""
    return Scores(scores.log_coef[those], scores.center[those], scores.whitener[those], scores.spread[those])


@np.errstate(over="ignore", invalid="ignore")  # what is no number is not left out
def left(scores: Scores, strength: Array, unit: Array, x: AnyArray) -> NDArray[np.bool_]:
    """Which components (t, K) count for tiles of rows ``x`` (t, b, d), ``strength`` (K,) being |U_k|."""
    low, high = (np.asarray(each, dtype=np.float64) for each in (x.min(axis=1), x.max(axis=1)))
    center = 0.5 * low + 0.5 * high
    radius = np.sqrt((((x - center[:, None]) / unit) ** 2).sum(axis=2).max(axis=1))
    at_center, _ = residual.joint(residual.Operands(scores, white=False), center)
    log_coef = scores.log_coef[:, None]
    reach = strength[:, None] * radius
    distance = np.sqrt(2 * np.maximum(log_coef - at_center, 0))
    lower = (log_coef - 0.5 * (distance + reach) ** 2).max(axis=0)
    upper = log_coef - 0.5 * np.maximum(distance - reach, 0) ** 2
    return np.asarray(~((lower - NEGLIGIBLE - ROUNDED * np.abs(lower))[:, None] > upper.T))


def compact(marked: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """How many are marked in each row (t, m), and which, upwards, filled up with m."""
    counts = marked.sum(axis=1)
    row, column = np.nonzero(marked)
    seen = np.full((len(marked), counts.max()), marked.shape[1])
    seen[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = column
    return counts, seen
