"""A uniform background behind the components, for rows that belong to none of them.

    log p(x) = log( sum_k w_k N(x | m_k, S_k) + w_0 / V ),      sum_k w_k + w_0 = 1

V is a constant, the same for every x: the volume of the smaller of two boxes around the rows that count,

    the bounding box            edges along the features
    the principal-axes box      edges along the eigenvectors of the covariance of all rows

so that w_0 is one more free parameter, and V is counted as another.  To EM the background is one more responsibility
r_n0 = (w_0 / V) / p(x_n), whose sum over the rows gives the next w_0.  The volume enters as log V only: with many
features, or small units, V itself is no float64.  A shift and a common unit of the features leave the choice of the box
as it is; a unit for each feature does not, because the principal axes of such data are others.

Rows without spread along an edge, a constant column or columns that determine each other, would make V zero.  An edge
counts as flat where it is shorter than sqrt(2 pi) times the floor under the components (update.py).  It is then given
the length sqrt(2 pi) times the standard deviation, along it, of the Gaussian that the family fits to all rows, at which
that Gaussian is as dense as the background.  So a constant column prefers neither, and the fit is that of the other
columns; and a family that cannot be flat there (spherical, or diagonal beside collinear columns) is not outdone by a
background that can.

Where the background begins: the distance D of a row to its k-th nearest neighbour, in q coordinates in which distances
mean something to the family, has D^q ~ Gamma(k, rate) in a homogeneous Poisson process.  Rows in clusters and rows
between them make a mixture of two such distributions, the lower rate being that of the background (``clutter``).
A wide cluster beside a narrow one looks like background to that: each second start takes the most isolated rows only.

References: J. D. Banfield and A. E. Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 49, 1993;
C. Fraley and A. E. Raftery, "How many clusters? Which clustering method? Answers via model-based cluster analysis", The
Computer Journal 41, 1998; S. Byers and A. E. Raftery, "Nearest-neighbor clutter removal for estimating features in
spatial point processes", Journal of the American Statistical Association 93, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from mixtura.engine import Engine, one_openmp_thread
from mixtura.kernels import OF_LAYOUT, block_rows
from mixtura.rows import AnyArray, Array, Rows, Source
from mixtura.scores import LOG_ZERO
from mixtura.statistics import everything, over_blocks

N_PARAMETERS = 2
"""Free parameters of a background: its weight and its volume (Fraley and Raftery 1998)."""

LABEL = -1
"""Label of a row that belongs to the background."""

USUAL = 0.05
"""Weight that a background starts with where its rows have not been told from the others."""

NEIGHBOURS = 10
"""Which neighbour the distance is taken to."""

LEAST = 0.01
"""Weight that a background starts with at least: without weight it would never get any."""

SPLIT_PASSES = 500
SPLIT_TOL = 1e-9
"""The mixture of two rates is fitted by so many passes of EM at most, or until its objective gains less per row."""


# the model ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Box:
    """A parallelepiped: x = ``corner`` (d,) + u @ ``edges`` (d, d) for u in the unit cube.

    ``flat``: the rows have no spread along some edge.  ``log_lengths`` (d,): those of the sides of the bounding box,
    whatever box this is; they are the volume for rows that tell some of the features only.  ``low`` (d,) is where those
    sides begin: what such rows do not tell is uniform between there and the other end.
    """

    corner: Array
    edges: Array
    log_volume: float
    log_lengths: Array
    low: Array
    flat: bool = False

    @property
    def middle(self) -> Array:
        """Middle (d,) of the bounding box."""
        return self.inside(np.full(len(self.low), 0.5))

    def inside(self, u: Array) -> Array:
        """Points of the bounding box, of u (..., d) in the unit cube."""
        return np.asarray(self.low + u * np.exp(self.log_lengths))


@dataclass(frozen=True, eq=False)
class Background:
    """The uniform part of a mixture: ``weight`` w_0 and the ``box`` whose volume gives its density, which is the same
    outside of the box, too."""

    weight: float
    box: Box

    @property
    def log_joint(self) -> float:
        """log w_0 / V."""
        return float(np.log(self.weight)) - self.box.log_volume if self.weight > 0 else LOG_ZERO

    def log_joint_of(self, missing: NDArray[np.bool_] | None) -> Array:
        """log w_0 / V_o for rows of which only the features o are not ``missing`` (b, d), (b,); V for complete ones."""
        if missing is None or not self.weight > 0:
            return np.asarray(self.log_joint)
        volume = np.where(missing.any(axis=1), ~missing @ self.box.log_lengths, self.box.log_volume)
        return np.asarray(np.log(self.weight) - volume)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draws (n, d) from the uniform distribution on the box."""
        return np.asarray(self.box.corner + rng.random((n, len(self.box.corner))) @ self.box.edges)

    def to_dict(self) -> dict[str, Any]:
        """The background as plain values."""
        return {
            "weight": self.weight,
            "log_volume": self.box.log_volume,
            "log_lengths": self.box.log_lengths.tolist(),
            "low": self.box.low.tolist(),
            "corner": self.box.corner.tolist(),
            "edges": self.box.edges.tolist(),
            "flat": self.box.flat,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any] | None) -> Background | None:
        """The background written by :meth:`to_dict`; None where there is none."""
        if document is None:
            return None
        corner, edges = (np.asarray(document[key], dtype=np.float64) for key in ("corner", "edges"))
        around = {  # files of before do not have it: the box around this one
            "log_lengths": np.log(np.abs(edges).sum(axis=0)),
            "low": corner + np.minimum(edges, 0.0).sum(axis=0),
        }
        log_lengths, low = (np.asarray(document.get(key, own), dtype=np.float64) for key, own in around.items())
        box = Box(corner, edges, float(document["log_volume"]), log_lengths, low, document["flat"])
        return cls(float(document["weight"]), box)


@dataclass(frozen=True, eq=False)
class Extent:
    """Smallest and largest coordinates of rows, (2 d,): along the features, then along other axes."""

    low: Array
    high: Array

    def __add__(self, other: Extent) -> Extent:
        return Extent(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def box_around(source: Source, floor: Array, gaussian: Array, engine: Engine) -> Box:
    """The smaller of the two boxes around the rows; around incomplete ones the bounding box, for of a box along other
    axes no feature by itself is uniform.

    ``floor`` (d, d) is the smallest covariance of a component, ``gaussian`` (d, d) that of one component for all rows.
    """
    d, size = source.n_features, block_rows(OF_LAYOUT[True], 1, source.n_features)
    if source.at_hand.missing is not None or source.at_hand.edges is not None:
        reach = over_blocks(source, engine, _upright_extent, size)
        return _box(np.zeros(d), np.eye(d), reach.low, reach.high, floor, gaussian, None)
    overall = everything(source, engine, dense=True)
    mean = overall.center[0] + overall.shift()[0]
    _, axes = np.linalg.eigh(overall.scatter(overall.shift())[0])
    reach = over_blocks(source, engine, partial(_extent, mean, axes), size)
    upright = _box(mean, np.eye(d), reach.low[:d], reach.high[:d], floor, gaussian, None)
    turned = _box(mean, axes.T, reach.low[d:], reach.high[d:], floor, gaussian, upright)
    return min(upright, turned, key=lambda box: box.log_volume)  # of equal ones the first, the bounding box


def _upright_extent(rows: Rows) -> Extent:
    x = rows.x if rows.edges is None else rows.edges[np.isfinite(rows.edges)][:, None]
    known = ~np.isnan(x)
    low, high = (x.min(axis=0, initial=np.inf, where=known), x.max(axis=0, initial=-np.inf, where=known))
    return Extent(low.astype(np.float64), high.astype(np.float64))


def _extent(mean: Array, axes: Array, rows: Rows) -> Extent:
    y = np.subtract(rows.x, mean, order="C")
    both = np.hstack([y, y @ axes])
    return Extent(both.min(axis=0), both.max(axis=0))


def _box(
    mean: Array, directions: Array, low: Array, high: Array, floor: Array, gaussian: Array, upright: Box | None
) -> Box:
    """The box along unit ``directions`` (d, d), a row each, between ``low`` and ``high`` (d,) seen from the mean;
    ``upright`` is the bounding box, None if this is it."""
    least, instead = (
        np.sqrt(2 * np.pi * np.einsum("ij,jk,ik->i", directions, matrix, directions)) for matrix in (floor, gaussian)
    )
    flat = high - low < least
    length = np.where(flat, instead, high - low)
    low = np.where(flat, 0.5 * (low + high - instead), low)
    log, corner = np.log(length), mean + low @ directions
    log_lengths, begin = (log, corner) if upright is None else (upright.log_lengths, upright.low)
    return Box(corner, length[:, None] * directions, float(log.sum()), log_lengths, begin, bool(flat.any()))


def remarks(background: Background | None) -> dict[str, str]:
    """What has to be said about a fit with this background, by subject."""
    said = {}
    if background is not None and background.weight == 0:
        said["background"] = (
            "the start leaves nothing to the background, so that its weight stays zero: "
            "mark rows with the label -1, or let the weights sum to less than one"
        )
    if background is not None and background.box.flat:
        said["volume"] = (
            "the rows have no spread in some direction, so that the volume of the background is not that of the rows: "
            "leave out columns that are constant or follow from others"
        )
    return said


# the start ----------------------------------------------------------------------------------------------------------


def clutter(x: AnyArray, z: Array, weight: Array | None, least: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows (n,) look like background, by the distance to their neighbours in coordinates ``z`` (n, q): those of
    the lower rate, and the USUAL part of all, of the longest distances.

    Equal rows of ``x`` are one row of their common weight, and neighbours are counted by weight in units of its mean:
    repeating a row is weighting it, and the unit of weight plays no part.  The ``least`` distinct rows of the shortest
    distances, or as many as there are, are left to the components.
    """
    _, first, index = np.unique(x, axis=0, return_index=True, return_inverse=True)
    index = index.reshape(len(x))
    n, q = len(first), z.shape[1]
    neighbours = min(NEIGHBOURS, n // 4)
    if neighbours == 0 or q == 0 or n <= least:
        return np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    mass = np.bincount(index, weight).astype(np.float64)
    mass *= n / mass.sum()
    distance = _distances(z[first], mass, neighbours + 1.0)
    order = np.argsort(distance, kind="stable")
    isolated = np.zeros(n, dtype=bool)
    isolated[order] = np.cumsum(mass[order]) > (1 - USUAL) * n
    found = _lower_rate(distance, mass, neighbours, q), isolated
    for rows in found:
        rows[order[:least]] = False
    return found[0][index], found[1][index]


def _distances(z: Array, mass: Array, enough: float) -> Array:
    """How far (n,) from each row its neighbourhood reaches that has ``enough`` mass, its own included."""
    n = len(z)
    distance = np.zeros(n)
    waiting = np.arange(n)
    size = min(int(enough), n)
    with one_openmp_thread():
        search = NearestNeighbors().fit(z)
        while len(waiting):
            apart, index = search.kneighbors(z[waiting], size)
            reached = np.cumsum(mass[index], axis=1) >= enough * (1 - 1e-9)
            reached[:, -1] |= size == n
            there = reached.any(axis=1)
            distance[waiting[there]] = apart[there, reached[there].argmax(axis=1)]
            waiting, size = waiting[~there], min(2 * size, n)
    return distance


def _lower_rate(distance: Array, mass: Array, neighbours: int, q: int) -> NDArray[np.bool_]:
    """Rows (n,) that more likely belong to the lower of two rates, by EM from the best division in two.

    With T = D^q, k = ``neighbours`` and rates a > b: log p(T | a) = k log a - a T up to what the rates share, and
    a = k (sum of mass) / (sum of mass T).
    """
    if not distance.max() > distance.min():
        return np.zeros(len(distance), dtype=bool)
    positive = distance[distance > 0]
    log = q * (np.log(np.maximum(distance, positive.min())) - np.log(np.median(positive)))
    t = np.exp(np.clip(log, -300, 300))  # no further away than its powers, and times the rate of others, are numbers
    total = mass.sum()

    order = np.argsort(t, kind="stable")
    near, near_t = np.cumsum(mass[order])[:-1], np.cumsum((mass * t)[order])[:-1]
    far, far_t = total - near, np.cumsum((mass * t)[order][::-1])[::-1][1:]
    with np.errstate(divide="ignore", invalid="ignore"):  # rounding may leave nothing of the last part
        gain = near * (neighbours * np.log(near / near_t) + np.log(near / total))
        gain += far * (neighbours * np.log(far / far_t) + np.log(far / total))
    best = int(np.nanargmax(np.where(np.isfinite(gain), gain, -np.inf)))
    sparse = np.zeros(len(t))
    sparse[order[best + 1 :]] = 1.0

    before = -np.inf
    for _ in range(SPLIT_PASSES):
        parts = np.array([mass @ (1 - sparse), mass @ sparse])
        sums = np.array([mass @ (t * (1 - sparse)), mass @ (t * sparse)])
        if parts.min() <= 1e-9 * total or sums.min() <= 0:  # one rate is enough
            break
        rates = neighbours * parts / sums
        joint = np.log(parts / total)[:, None] + neighbours * np.log(rates)[:, None] - rates[:, None] * t
        log_density = np.logaddexp(joint[0], joint[1])
        sparse = np.exp(joint[1] - log_density)
        objective = float(mass @ log_density) / total
        if objective - before < SPLIT_TOL:
            break
        before = objective
    return sparse > 0.5
