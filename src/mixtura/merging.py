"""Components put together to clusters: one that is not Gaussian may take several components to describe.

With t_nk the posterior of component k for row n (n, K), w_n the weights of the rows and t_nA the sum over a cluster A
of components, the two clusters that are merged next, and when to stop:

    entropy      greatest drop of the entropy sum_n w_n sum_A h(t_nA), h(t) = -t log t, which is
                 sum_n w_n [h(t_nA) + h(t_nB) - h(t_nA + t_nB)]; to the elbow of the entropy against merged rows

    demp         greatest  p_AB = sum_n w_n t_nB [A has the largest t_n.] / sum_n w_n t_nB  or  p_BA: the chance that a
                 row of the one is taken for one of the other; while it is at least MISCLASSIFIED

    ridgeline    greatest  r_AB: how deep the valley between the two alone is, each a Gaussian with the moments of its
                 components: its floor as a part of the lower of the summits beside it; while at least VALLEY

All stationary points of the density of two Gaussians lie on their ridgeline, 0 <= a <= 1,

    x(a) = [(1 - a) P_A + a P_B]^-1 [(1 - a) P_A m_A + a P_B m_B]        P = S^-1 (d, d)

so that the valley is found along a curve, whatever d: where the ratio is 1, the two together have one mode.

References: J.-P. Baudry, A. E. Raftery, G. Celeux, K. Lo and R. Gottardo, "Combining mixture components for
clustering", Journal of Computational and Graphical Statistics 19, 2010; C. Hennig, "Methods for merging Gaussian
mixture components", Advances in Data Analysis and Classification 4, 2010; S. Ray and B. G. Lindsay, "The topography
of multivariate normal mixtures", Annals of Statistics 33, 2005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mixtura import evaluate, validation
from mixtura.background import LABEL
from mixtura.covariance import Dense
from mixtura.engine import make_engine
from mixtura.frames import frame
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.rows import Array, Rows

MISCLASSIFIED = 0.025
"""Least chance of being taken for a row of the other for which two clusters are one (Hennig 2010)."""

VALLEY = 0.2
"""Least ratio of valley to lower summit for which two components are one cluster (Hennig 2010)."""

APART, TOGETHER = 0.05, 0.35
"""Drop of entropy (nats per row merged) under which no two clusters are merged, and from which all are.

An elbow takes three points to see and says nothing of what is on both of its sides; two components in one place have
log 2 = 0.69 nats per row.  These two are ours; Baudry et al. leave the reading of the plot to the eye.
"""

RIDGE_POINTS = 4_001
"""Points of a ridgeline at which the density is looked at."""

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Merging:
    """Clusters made of components.

    ``groups``: lists of component indices, one for each cluster.  ``labels`` (n,): the cluster of each row, an index of
    ``groups``.  ``table``: a row for each number of clusters, from all components apart to one cluster, a frame of
    pandas or polars if one of them is installed, else a list of records; with

    ``n_clusters``
    ``entropy``   of the posteriors of these clusters, in nats, summed by weight
    ``merged``    expected weight of the rows of the two clusters that were put together last
    ``value``     for which they were: drop of the entropy (nats), chance of misclassification, or ratio of the valley

    ``path``: the groups for each row of the table.
    """

    groups: list[list[int]]
    labels: NDArray[np.intp]
    table: Any
    path: tuple[Groups, ...]


def merge_clusters(
    gm: object, X: ArrayLike, method: str = "entropy", *, sample_weight: ArrayLike | None = None
) -> Merging:
    """Put components together that describe one cluster, two at a time.

    Parameters
    ----------
    gm : Mixture or fitted estimator
        Its K components are what is put together; those of weight zero belong to no group.  Rows of a background keep
        the label -1.
    X : array-like of shape (n, d)
        Finite rows, as a rule those of the fit; with one feature also of shape (n,).
    method : {"entropy", "demp", "ridgeline"}
        "entropy" merges where the posteriors are undecided, up to the elbow of the plot of their entropy; "demp" merges
        clusters whose rows are mistaken for each other's; "ridgeline" those with no real valley between
        them, whatever the rows.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows.

    Returns
    -------
    Merging
        With ``groups``, ``labels`` and the ``table`` behind the choice.

    Raises
    ------
    ValueError
        If the method is unknown, or the rows or weights do not suit the mixture.

    References
    ----------
    J.-P. Baudry, A. E. Raftery, G. Celeux, K. Lo and R. Gottardo, "Combining mixture components for clustering",
    Journal of Computational and Graphical Statistics 19, 2010.
    C. Hennig, "Methods for merging Gaussian mixture components", Advances in Data Analysis and Classification 4, 2010.
    S. Ray and B. G. Lindsay, "The topography of multivariate normal mixtures", Annals of Statistics 33, 2005.

    Examples
    --------
    >>> from mixtura import Mixture, merge_clusters
    >>> m = Mixture([0.25, 0.25, 0.5], [[0.0], [0.5], [9.0]], [1.0, 1.0, 1.0])
    >>> X, _ = m.sample(500, rng=0)
    >>> merge_clusters(m, X).groups
    [[0, 1], [2]]
    """
    mixture = mixture_of(gm)
    rule = METHODS[validation.one_of(method, "method", list(METHODS))]
    x = validation.points(X, mixture.n_features)
    rows = Rows(x, missing=validation.missing(x))
    if len(x) == 0:
        raise ValueError("X must have at least one row, got none: give the rows of the fit")
    given = validation.sample_weight(sample_weight, len(x))
    weight = np.ones(len(x)) if given is None else given
    posteriors = evaluate.responsibilities(mixture, rows, make_engine())
    model = model_of(gm)
    behind = np.zeros(len(x), dtype=bool)
    if model.background is not None:  # as far as a row is background, it has no say in what belongs together
        everything = evaluate.responsibilities(model, rows, make_engine())
        behind = everything.argmax(axis=1) == mixture.n_components
        weight = weight * (1 - everything[:, -1])
    live = np.flatnonzero(mixture.weights > 0)

    path, records = _path(rule.value(mixture.only(live.tolist()), weight), live, posteriors[:, live], weight)
    chosen = path[len(path) - rule.choose(records)]
    joined = np.stack([posteriors[:, list(group)].sum(axis=1) for group in chosen], axis=1)
    labels = joined.argmax(axis=1)
    labels[behind] = LABEL
    labels.flags.writeable = False
    return Merging([list(group) for group in chosen], labels, frame(records), path)


Record = dict[str, Any]
Value = Callable[[Array, list[list[int]]], Array]
"""How much two clusters belong together, (c, c) of posteriors (n, c) and members; the upper triangle counts."""


def _path(value: Value, live: NDArray[np.intp], t: Array, weight: Array) -> tuple[tuple[Groups, ...], list[Record]]:
    """Merge the pair of greatest value until one cluster is left: the groups, and what the table says, at each step."""
    members = [[i] for i in range(len(live))]
    path, records, merged, best = [], [], 0.0, float("nan")
    while True:
        path.append(tuple(tuple(int(k) for k in live[group]) for group in members))
        records.append(
            {
                "n_clusters": len(members),
                "entropy": float(weight @ entr(t).sum(axis=1)),
                "merged": merged,
                "value": best,
            }
        )
        if len(members) == 1:
            return tuple(path), records
        values = value(t, members)
        values[np.tril_indices(len(members))] = -np.inf
        a, b = np.unravel_index(values.argmax(), values.shape)
        best = float(values[a, b])
        members[a] = sorted(members[a] + members.pop(int(b)))
        together = t[:, a] + t[:, b]
        merged = float(weight @ together)
        t = np.delete(t, b, axis=1)
        t[:, a] = np.minimum(together, 1.0)  # a sum of rounded shares


# what is merged next -------------------------------------------------------------------------------------------


def _entropy_drop(mixture: Mixture, weight: Array) -> Value:
    def value(t: Array, members: list[list[int]]) -> Array:
        own = weight @ entr(t)
        drop = own[:, None] + own
        for a, b in combinations(range(t.shape[1]), 2):
            drop[a, b] -= weight @ entr(np.minimum(t[:, a] + t[:, b], 1.0))
        return np.asarray(drop)

    return value


def _misclassification(mixture: Mixture, weight: Array) -> Value:
    def value(t: Array, members: list[list[int]]) -> Array:
        taken = t.argmax(axis=1)
        for_which = np.zeros_like(t)
        for_which[np.arange(len(t)), taken] = weight
        mass = weight @ t
        # A cluster to which no row belongs is mistaken for none.
        chance = (for_which.T @ t) / np.where(mass > 0, mass, 1.0)
        return np.asarray(np.maximum(chance, chance.T))

    return value


def _shallow_valley(mixture: Mixture, weight: Array) -> Value:
    @cache
    def gaussian(cluster: tuple[int, ...]) -> tuple[float, Array, Array]:
        whole = mixture.only(cluster)
        return float(mixture.weights[list(cluster)].sum()), whole.mean, whole.cov

    @cache
    def ratio(a: tuple[int, ...], b: tuple[int, ...]) -> float:
        weights, means, covariances = (np.array(both) for both in zip(gaussian(a), gaussian(b), strict=True))
        return valley(Mixture.of(weights / weights.sum(), means, Dense(covariances)))

    def value(t: Array, members: list[list[int]]) -> Array:
        values = np.zeros((len(members), len(members)))
        for (i, a), (j, b) in combinations(enumerate(members), 2):
            values[i, j] = ratio(tuple(a), tuple(b))
        return values

    return value


def valley(pair: Mixture) -> float:
    """Floor of the valley between two components as a part of the lower of the summits beside it; 1 for one mode."""
    # In coordinates in which the first is standard and the second has precisions l (d,) about c (d,), the ridgeline is
    # x_i = a l_i c_i / (1 - a + a l_i): it is steep where log(a / (1 - a)) is near -log l_i.
    unit = np.sqrt(pair.layout.diagonal[0])  # features of any unit are alike to the solver
    matrices = pair.layout.dense / np.outer(unit, unit)
    factor = np.linalg.cholesky(matrices[0])
    half = np.linalg.solve(factor, matrices[1])
    relative = np.linalg.solve(factor, half.T)
    variances, vectors = np.linalg.eigh(0.5 * (relative + relative.T))
    variances = np.maximum(variances, np.finfo(np.float64).eps * variances[-1])
    precisions = 1.0 / variances
    c = vectors.T @ np.linalg.solve(factor, (pair.means[1] - pair.means[0]) / unit)
    square = c * c
    # Up to here, either component sees the ridgeline start at its mean.
    reach = 10.0 + np.log1p(np.sqrt(square.sum() + (square * precisions).sum()))
    logit = np.linspace(
        min(0.0, np.log(variances.min())) - reach, max(0.0, np.log(variances.max())) + reach, RIDGE_POINTS
    )
    # The way gone in each direction, and the way left, as parts of c.
    gone = 1.0 / (1.0 + np.exp(np.minimum(np.log(variances) - logit[:, None], 700.0)))
    left = 1.0 / (1.0 + np.exp(np.minimum(logit[:, None] - np.log(variances), 700.0)))
    with np.errstate(divide="ignore"):
        peaks = np.log(pair.weights) - 0.5 * np.array([0.0, np.log(variances).sum()])
    density = np.logaddexp(peaks[0] - 0.5 * gone**2 @ square, peaks[1] - 0.5 * left**2 @ (square * precisions))
    before = np.maximum.accumulate(density)
    after = np.maximum.accumulate(density[::-1])[::-1]
    return float(np.exp((density - np.minimum(before, after)).min()))


# where to stop -------------------------------------------------------------------------------------------------


def _at_least(threshold: float) -> Callable[[list[Record]], int]:
    """Merge while the value is at least the threshold."""

    def choose(records: list[Record]) -> int:
        chosen = int(records[0]["n_clusters"])
        for record in records[1:]:
            if not record["value"] >= threshold:
                break
            chosen = record["n_clusters"]
        return chosen

    return choose


def _at_elbow(records: list[Record]) -> int:
    """Merge up to the elbow of the entropy; no clusters that are apart, and all that are together."""
    per_row = [record | {"value": record["value"] / max(record["merged"], np.finfo(float).tiny)} for record in records]
    at_most, at_least = _at_least(TOGETHER)(per_row), _at_least(APART)(per_row)
    elbow = at_most
    if len(records) > 2:
        corner = bend(np.cumsum([record["merged"] for record in records]), [record["entropy"] for record in records])
        elbow = int(records[corner]["n_clusters"])
    return max(at_least, min(at_most, elbow))


def bend(x: ArrayLike, y: ArrayLike) -> int:
    """Index of the point at which two straight lines, each by least squares, that share it follow the points best."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    inner = range(1, len(x) - 1)
    return min(inner, key=lambda i: _off_line(x[: i + 1], y[: i + 1]) + _off_line(x[i:], y[i:]))


def _off_line(x: Array, y: Array) -> float:
    """Sum of squares of y about its line over x."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread if spread > 0 else 0.0
    return float(((y - slope * x) ** 2).sum())


@dataclass(frozen=True)
class Method:
    """How pairs are valued, and how many clusters the table of all merges stands for."""

    value: Callable[[Mixture, Array], Value]
    choose: Callable[[list[Record]], int]


METHODS: dict[str, Method] = {
    "entropy": Method(_entropy_drop, _at_elbow),
    "demp": Method(_misclassification, _at_least(MISCLASSIFIED)),
    "ridgeline": Method(_shallow_valley, _at_least(VALLEY)),
}
