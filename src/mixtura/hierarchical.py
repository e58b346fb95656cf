"""Model-based agglomeration: from n clusters of one row each to one of all rows, merging what costs least.

A cluster C of rows z_n (d,) with weights w_n has a weight n_C, a mean and a scatter W_C (d, d) about it.  Its cost is
-2 times its classification log-likelihood, up to constants, under the Gaussian that suits it best:

    EII    tr W_C                                                 one variance for all: sums of squares (Ward)
    VVV    n_C log( |W_C / n_C|  +  (tr W_C + alpha) / n_C )      a covariance matrix for each

The second term under the logarithm is that of Fraley: it gives a cost to clusters whose scatter is singular, single
rows among them.  Clusters of at most d distinct rows have that term only, their determinant being zero but for
rounding.  Two clusters become one with

    n = n_A + n_B      W = W_A + W_B + e e'      e = sqrt(n_A n_B / n) (mean_A - mean_B)

and what a merge adds to the sum of all costs is cost(A u B) - cost(A) - cost(B).

Fraley's term has units, alpha that of a variance times that of a weight.  Here the rows are brought to a mean variance
of one per coordinate and the weights to a mean of one per distinct row, and then alpha = 1.  So no unit, of rows or of
weights, changes the merges, and equal rows are the same as one row with the sum of their weights.

References: J. D. Banfield and A. E. Raftery, "Model-based Gaussian and non-Gaussian clustering", Biometrics 49, 1993;
C. Fraley, "Algorithms for model-based Gaussian hierarchical clustering", SIAM Journal on Scientific Computing 20, 1998;
J. H. Ward, "Hierarchical grouping to optimize an objective function", JASA 58, 1963.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.rows import AnyArray, Array

MAX_ROWS = 2_000
"""Rows that are agglomerated at most: a matrix of all pairs is kept, 32 MB."""

TIE = 1e-8
"""Relative difference from the least cost that is none: of equal merges that of the first rows is made, not one that
rounding chooses."""


@dataclass(frozen=True, eq=False)
class Merges:
    """Merges of n rows in their order: ``pairs`` (n - 1, 2), ``costs`` (n - 1,), what each adds to the sum of costs.

    A cluster is called by the first of its rows; the merged one keeps the smaller name, which stands first.
    """

    pairs: NDArray[np.intp]
    costs: Array

    def labels(self, k: int) -> NDArray[np.intp]:
        """The partition into ``k`` clusters, (n,), 1 <= k <= n; clusters are numbered by their first rows."""
        n = len(self.pairs) + 1
        first = np.arange(n)
        first[self.pairs[: n - k, 1]] = self.pairs[: n - k, 0]
        while not np.array_equal(first, first[first]):
            first = first[first]
        return np.unique(first, return_inverse=True)[1].reshape(n)


CRITERIA = ("EII", "VVV")


class _Clusters:
    """Clusters as they grow, in slots: ``weight`` (n,) and ``mean`` (n, d); for VVV also ``scatter`` (n, d, d), its
    ``trace`` (n,), distinct rows ``size`` (n,), and ``cost`` (n,)."""

    def __init__(self, weight: Array, mean: Array, criterion: str) -> None:
        n, d = mean.shape
        self.volumes = criterion == "VVV"
        self.weight, self.mean = weight.copy(), mean.copy()
        self.scatter = np.zeros((n, d, d) if self.volumes else (n, 0, 0))
        self.trace = np.zeros(n)
        self.size = np.ones(n, dtype=np.intp)
        self.cost = -weight * np.log(weight) if self.volumes else np.zeros(n)

    def added(self, one: int, others: NDArray[np.intp]) -> Array:
        """What the unions of one cluster with ``others`` (c,) add to the sum of costs, (c,)."""
        e = self._between(one, others)
        square = np.einsum("ci,ci->c", e, e)
        if not self.volumes:
            return np.asarray(square)
        weight = self.weight[one] + self.weight[others]
        log_volume = np.log((self.trace[one] + self.trace[others] + square + 1.0) / weight)
        d = e.shape[1]
        full = self.size[one] + self.size[others] > d
        if full.any():
            e = e[full]
            scatter = e[:, :, None] * e[:, None, :]
            scatter += self.scatter[others[full]]
            scatter += self.scatter[one]
            sign, log_det = np.linalg.slogdet(scatter)
            log_det = np.where(sign > 0, log_det, -np.inf)  # singular ones may be negative by rounding
            log_volume[full] = np.logaddexp(log_volume[full], log_det - d * np.log(weight[full]))
        return np.asarray(weight * log_volume - self.cost[one] - self.cost[others])

    def merge(self, one: int, other: int, added: float) -> None:
        """Put the union of two clusters, and what it adds, into the slot of ``one``."""
        e = self._between(one, np.array([other]))
        if self.volumes:
            self.scatter[one] += self.scatter[other] + e.T @ e
        self.trace[one] += self.trace[other] + float((e * e).sum())
        self.cost[one] += self.cost[other] + added
        self.size[one] += self.size[other]
        self.weight[one] += self.weight[other]
        self.mean[one] += self.weight[other] / self.weight[one] * (self.mean[other] - self.mean[one])

    def _between(self, one: int, others: NDArray[np.intp]) -> Array:
        """The vectors e of unions, (c, d)."""
        share = self.weight[one] * self.weight[others] / (self.weight[one] + self.weight[others])
        return np.asarray(np.sqrt(share)[:, None] * (self.mean[others] - self.mean[one]))


def agglomerate(z: Array, weight: Array | None = None, criterion: str = "VVV") -> Merges:
    """Merge rows, and then clusters, until one is left, each time the pair that adds least to the sum of costs.

    Equal rows are merged first.  Memory is O(n^2 + n d^2); time is O(n^2 d) for EII and up to O(n^2 d^3) for VVV.

    Parameters
    ----------
    z : ndarray of shape (n, d)
        Finite rows, at most MAX_ROWS different ones, in coordinates in which distances mean something.  VVV is
        invariant under any affine map of rows that are whitened afterwards.
    weight : ndarray of shape (n,) or None
        Positive weights of the rows.
    criterion : {"VVV", "EII"}

    Returns
    -------
    Merges

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura.hierarchical import agglomerate
    >>> agglomerate(np.array([[0.0], [9.0], [1.0], [9.5]]), criterion="EII").labels(2)
    array([0, 1, 0, 1])
    """
    first, index = distinct(z)
    n = len(first)
    mass = np.bincount(index, weight, minlength=n)
    mass = mass * (n / mass.sum())
    y = z[first] - np.average(z[first], axis=0, weights=mass)
    y /= np.sqrt(np.average(y * y, axis=0, weights=mass).mean() or 1.0) if n > 1 else 1.0
    pairs, costs = _merges(_Clusters(mass, y, criterion))

    repeated = np.setdiff1d(np.arange(len(z)), first)
    equal = np.stack([first[index[repeated]], repeated], axis=1)
    made, added = np.concatenate([equal, first[pairs]]), np.concatenate([np.zeros(len(equal)), costs])
    made.flags.writeable = added.flags.writeable = False
    return Merges(made, added)


def distinct(x: AnyArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each distinct row of x (n, d) occurs first, in the order of occurrence, (m,), and which of them each row
    is, (n,)."""
    _, first, index = np.unique(x, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[index.reshape(len(x))]


def _merges(clusters: _Clusters) -> tuple[NDArray[np.intp], Array]:
    """Pairs of slots (n - 1, 2), the smaller first, and costs (n - 1,)."""
    n = len(clusters.weight)
    added = np.full((n, n), np.inf)  # row i: its unions with j > i
    for i in range(n - 1):
        added[i, i + 1 :] = clusters.added(i, np.arange(i + 1, n))
    least = added.min(axis=1)
    pairs, costs = np.empty((n - 1, 2), dtype=np.intp), np.empty(n - 1)
    alive = np.arange(n)
    for step in range(n - 1):
        most = least.min()
        most += TIE * abs(most)
        i = int(np.argmax(least <= most))
        j = int(np.argmax(added[i] <= most))
        pairs[step], costs[step] = (i, j), added[i, j]
        clusters.merge(i, j, added[i, j])

        alive = alive[alive != j]
        others = alive[alive != i]
        # Rows whose least was a union with i or j.
        stale = ((added[:j, i] == least[:j]) | (added[:j, j] == least[:j])) & (least[:j] < np.inf)
        added[:j, j] = added[j] = least[j] = np.inf
        cost = clusters.added(i, others)
        before = others < i
        added[others[before], i] = cost[before]
        added[i, others[~before]] = cost[~before]
        least[others[before]] = np.minimum(least[others[before]], cost[before])
        again = np.flatnonzero(stale)
        least[again] = added[again].min(axis=1)
        least[i] = added[i].min()
    return pairs, costs
