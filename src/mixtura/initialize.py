"""Where EM begins: from a sample of the rows to a first mixture.

    sample -> (frame) -> labels or responsibilities -> M-step, smoothed -> mixture

Distances are taken in the frame that the family allows: whitened where any linear map leaves the family as it is,
each feature in its own standard deviation where that does, in plain units where only rotations do.  So a change of
units that the model does not see, the start does not see either.

The M-step of a start mixes some of the pooled scatter into each component (SMOOTHING), because a seed that caught one
or two rows has no covariance of its own yet and would begin collapsed.  A start that the user gives is not smoothed.

Where rows are labelled, the labels say which component is which: clusters are given the numbers that agree best with
them, and labelled rows go where they belong.  Where only some of the components have labels, one start more leaves
these with their own rows.

With a background, starts are made on the rows that do not look like it, as if there were no others (background.py).

References: D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007;
C. Biernacki, G. Celeux and G. Govaert, "Choosing starting values for the EM algorithm for getting the highest
likelihood in multivariate Gaussian mixture models", Computational Statistics & Data Analysis 41, 2003 (short runs).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from mixtura import available, validation
from mixtura.available import filled, reliability
from mixtura.background import LEAST, Background, clutter
from mixtura.covariance import broadcast
from mixtura.degeneracy import n_degenerate
from mixtura.em import Problem, passes
from mixtura.engine import Serial, one_openmp_thread
from mixtura.families import Frame
from mixtura.hierarchical import MAX_ROWS, agglomerate
from mixtura.mixture import Mixture
from mixtura.rows import Array, InMemory, Rows, constant
from mixtura.statistics import EMPTY, Statistics, given, pair_sums
from mixtura.update import MStep

SAMPLE_ROWS = 20_000
"""Rows on which starts are made and compared: what they decide, the passes over all rows refine."""

SMOOTHING = 0.1
"""Mass of pooled scatter that a start adds to each component, as a fraction of an equal share of the rows."""

SAME = 1e-6
"""Difference of log-likelihood (nats per row) that tells no two runs apart."""

COLLINEAR = 1e-12
"""Spread, as a part of the widest, under which a direction of standardised features counts as having none."""

TIED = 1e-9
"""Difference of squares, as a part of their size, that may be rounding of none."""

RELIABLE, ENOUGH = 0.9, 10
"""Part of what the best row tells that a row has to tell, and such rows for each component and each of its numbers, for
a start on these alone."""

SHORT_RUNS = 8
SIEVE = ((8, 3), (3, 10))
"""With n_init="auto": so many starts; at each stage so many of them, the best so far, go on to so many updates."""

PARTLY_LABELLED = ((9, 3), (3, 40))
"""The same where some of the components, but not all, have labelled rows, with the start that is around these: what it
is worth takes longer to show."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows to start from, and their coordinates ``z`` in the frame of the family."""

    rows: Rows
    z: Array


def sample_rows(n_components: int, n_features: int) -> int:
    """How many rows starts are made on."""
    return max(SAMPLE_ROWS, 50 * n_components * n_features)


def draw(problem: Problem, n_components: int, rng: np.random.Generator) -> Sample:
    """A sample of the rows, filled in, seen in the frame of the family, ordered from the middle outwards.

    Seeds are drawn by running sums of weights: in this order neither that of the rows nor that of the features matters,
    and a weight of two is the same as a row that comes twice.
    """
    source = problem.source
    rows = source.sample(sample_rows(n_components, source.n_features), rng)
    if problem.gaussian is not None and rows.missing is not None:
        rows = filled(rows[np.flatnonzero(~rows.missing.all(axis=1))], problem.gaussian, problem.engine)
    return seen_in(rows, problem.update.family.frame)


def seen_in(rows: Rows, frame: Frame) -> Sample:
    """The rows in ``frame``, ordered from the middle outwards."""
    z = coordinates(rows, frame)
    outwards = _outwards(z, rows.weight)
    return Sample(rows[outwards], z[outwards])


def _outwards(z: Array, weight: Array | None) -> NDArray[np.intp]:
    """An order of the rows z (n, q) that no rotation, unit or order of rows changes, as far as rounding can tell.

    Rows of rounded numbers may be equally far from the middle.  Then the side on which they lie counts, seen from the
    skewness E[|z|^2 z] of the data, and after that how far they lie in the kurtosis E[|z|^2 z z'] (Mardia 1970).
    """
    square = (z * z).sum(axis=1)
    mass = square if weight is None else square * weight
    length = np.sqrt(square)
    skewness, kurtosis = mass @ z, (z * mass[:, None]).T @ z
    size, strength = np.linalg.norm(skewness), mass @ length
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.round(np.log(square), 9)
        side = np.round(z @ skewness / (length * size), 6) if size > TIED * strength else np.zeros(len(z))
        reach = np.round(((z @ kurtosis) * z).sum(axis=1) / (square * np.trace(kurtosis)), 6)
    return np.lexsort((np.nan_to_num(reach), np.nan_to_num(side), distance))


def without_clutter(sample: Sample, k: int, update: MStep) -> list[tuple[Sample, Background | None]]:
    """What is left for ``k`` components of a sample, and the background of the rest, for starts that take turns; all of
    the sample where there is no background."""
    if update.box is None:
        return [(sample, None)]
    rows = sample.rows
    found: list[tuple[Sample, Background | None]] = []
    closed = True if rows.edges is None else np.isfinite(rows.edges).all(axis=1)
    for isolated in clutter(rows.x, sample.z, rows.weight, k * (rows.x.shape[1] + 1)):
        sparse = isolated & closed  # a bin without an end has no background: a component has to have it
        mass = float(sparse.sum()) if rows.weight is None else float(rows.weight[sparse].sum())
        background = Background(max(mass / rows.total, LEAST), update.box)
        found.append((seen_in(rows[np.flatnonzero(~sparse)], update.family.frame), background))
    return found


def reliable(sample: Sample, k: int, update: MStep) -> list[Sample]:
    """The sample, and before it those of its rows that tell most, if there are enough of them."""
    rows = sample.rows
    if rows.exact:
        return [sample]
    told = reliability(rows, update.overall.layout.diagonal[0]).mean(axis=1)
    best = np.flatnonzero(told >= RELIABLE * told.max())
    if len(best) == len(rows) or len(best) < ENOUGH * k * (rows.x.shape[1] + 1):
        return [sample]
    return [seen_in(rows[best], update.family.frame), sample]


def coordinates(rows: Rows, frame: Frame) -> Array:
    """The rows in a frame in which distances mean something to the family; directions without spread are left out."""
    mean = np.average(rows.x, axis=0, weights=rows.weight)
    y = rows.x - mean
    variance = np.average(y * y, axis=0, weights=rows.weight)
    # What is left of a constant column after rounding of its mean is not spread.
    variance[constant(rows.x) | (variance <= (4 * np.finfo(np.float64).eps * np.abs(mean)) ** 2)] = 0.0
    if frame == "rotation":
        return np.asarray(y / np.sqrt(variance.max() or 1.0))
    y = y[:, variance > 0] / np.sqrt(variance[variance > 0])
    if frame == "scaling" or y.shape[1] == 0:
        return np.asarray(y)
    # Of the rows themselves, not of their squares, which know small ones to half of the digits only: a row astray does
    # not hide the clusters.  Columns that determine each other are known to be such as far as rounding lets them.
    spread = variance > 0
    rounding = np.finfo(np.float64).eps * (np.abs(mean[spread]) / np.sqrt(variance[spread])).max()
    for _ in range(2):
        weighted = y if rows.weight is None else y * np.sqrt(rows.weight)[:, None]
        _, singular, axes = np.linalg.svd(weighted, full_matrices=False)
        kept = singular > max(COLLINEAR, 4 * rounding) * singular[0]
        y = y @ (axes[kept].T / singular[kept]) * np.sqrt(rows.total)
    return np.asarray(y)


def from_responsibilities(
    rows: Rows, resp: Array, update: MStep, smoothing: float = SMOOTHING, *, background: bool = False
) -> Mixture:
    """The M-step of responsibilities (n, K), smoothed; with ``background`` they are (n, K + 1)."""
    dense = not update.family.diagonal
    if rows.exact:
        statistics = given(InMemory(rows), resp, Serial(), dense=dense, background=background)
    else:
        statistics = available.given(rows, resp, update.overall, dense=dense, background=background)
    return update(smoothed(statistics, smoothing), None)


def agreeing(resp: Array, rows: Rows) -> Array:
    """Responsibilities (n, K) of clusters, numbered so that they agree best with what is known of the rows, and none
    where it is known that there is none."""
    k = resp.shape[1]
    allowed = rows.allowed(k)
    if allowed is None:
        return resp
    allowed = allowed.T
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    count = allowed.sum(axis=1)
    # A row says as much as it leaves open: nothing, if it may belong to any component.
    says = np.divide(weight, count, out=np.zeros_like(weight), where=(count > 0) & (count < k))
    _, cluster = linear_sum_assignment(-(allowed * says[:, None]).T @ resp)
    resp = np.where(allowed, resp[:, cluster], 0.0)
    total = resp.sum(axis=1, keepdims=True)
    resp = np.where(total > 0, resp, allowed)
    return np.asarray(resp / np.maximum(resp.sum(axis=1, keepdims=True), 1e-300))


def smoothed(statistics: Statistics, fraction: float) -> Statistics:
    """The statistics with pooled scatter added to each component about its own mean, the mass a fraction of a share."""
    total = statistics.mass.sum()
    if fraction == 0 or not total > EMPTY:  # the background may have taken all
        return statistics
    shift = statistics.shift()
    scatter = statistics.scatter(shift)
    added = fraction * total / len(shift)
    return replace(
        statistics,
        mass=statistics.mass + added,
        first=np.zeros_like(shift),
        second=scatter + added * scatter.sum(axis=0) / total,
        center=statistics.center + shift,
    )


# starts --------------------------------------------------------------------------------------------------------

Start = Callable[[Sample, int, MStep, np.random.Generator], Mixture]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


MANY = 256
"""Components up to which labels are written out as responsibilities."""


def _from_labels(sample: Sample, labels: np.ndarray, k: int, update: MStep) -> Mixture:
    if k <= MANY or not sample.rows.exact or sample.rows.label is not None:
        return _made(sample.rows, validation.one_hot(labels, k), update)
    source = InMemory(sample.rows)
    weight = np.ones(len(labels)) if sample.rows.weight is None else sample.rows.weight
    pairs, dense = (source, labels[:, None], weight[:, None], Serial()), not update.family.diagonal
    around = pair_sums(np.tile(source.rows.x[0], (k, 1)), *pairs, dense=False)
    about_means = pair_sums(around.center + around.shift(), *pairs, dense=dense)
    return update(smoothed(about_means, SMOOTHING), None)


def _made(rows: Rows, resp: Array, update: MStep) -> Mixture:
    return from_responsibilities(rows, agreeing(resp, rows), update)


def k_means_plus_plus(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """Each row to the nearest of K seeds that were drawn far from each other."""
    weight = sample.rows.weight
    if len(sample.z) < k or sample.z.shape[1] == 0:  # fewer rows than seeds: let chance share them out
        return random(sample, k, update, rng)
    if sample.rows.label is not None and rng.random() < TRUSTED:
        seeds = _drawn(sample.z, weight, known_means(sample, k), k, rng, growth=0.0)
    else:
        seeds, _ = kmeans_plusplus(sample.z, k, sample_weight=weight, random_state=_seed(rng))
    return _from_labels(sample, _nearest(sample.z, seeds), k, update)


def _nearest(z: Array, seeds: Array) -> NDArray[np.intp]:
    """The nearest of the ``seeds`` (K, q) to each row of z (n, q)."""
    nearness = z @ seeds.T - 0.5 * (seeds * seeds).sum(axis=1)
    # Equally near ones are told apart by the order of the seeds, not by rounding.
    size = np.abs(nearness).max(axis=1, keepdims=True)
    return np.asarray((nearness >= nearness.max(axis=1, keepdims=True) - TIED * size).argmax(axis=1))


TRUSTED = 0.75
"""Part of the starts that begin from the means of labelled rows: few of them may lie at the edge of their cluster."""


def known_means(sample: Sample, k: int) -> dict[int, Array]:
    """The means, in the frame, of the rows that belong to one component for sure, by its number."""
    allowed = sample.rows.allowed(k + 1)  # who may be of the background, too, does not belong to one for sure
    assert allowed is not None
    alone = allowed.sum(axis=0) == 1
    means = {}
    for i, own in enumerate(allowed[:k] & alone):
        if own.any():
            weight = np.ones(np.count_nonzero(own)) if sample.rows.weight is None else sample.rows.weight[own]
            means[i] = weight @ sample.z[own] / weight.sum()
    return means


def as_labelled(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """Labelled rows to their components, all others to each of them alike, if there are labels for each component."""
    if len(known_means(sample, k)) < k:
        return k_means_plus_plus(sample, k, update, rng)
    allowed = sample.rows.allowed(k)
    assert allowed is not None
    resp = allowed.T / np.maximum(allowed.sum(axis=0), 1)[:, None]
    return from_responsibilities(sample.rows, resp, update, 0)


def around_labelled(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """Labelled rows to their components, which have no others; the rest to the nearest of as many seeds among
    themselves as there are components without labels.

    A start that gives a labelled component what lies near it cannot tell a narrow one from a wide one around it.
    """
    known, allowed = known_means(sample, k), sample.rows.allowed(k + 1)
    assert allowed is not None
    free = np.array([i for i in range(k) if i not in known], dtype=np.intp)
    sure = allowed.sum(axis=0) == 1
    rest = np.flatnonzero(~sure & allowed[free].any(axis=0))
    if not 0 < len(free) < k or len(rest) < len(free) or sample.z.shape[1] == 0:
        return k_means_plus_plus(sample, k, update, rng)
    z, weight = sample.z[rest], None if sample.rows.weight is None else sample.rows.weight[rest]
    seeds, _ = kmeans_plusplus(z, len(free), sample_weight=weight, random_state=_seed(rng))
    resp = np.where(sure, allowed[:k], 0.0).T
    resp[rest, free[_nearest(z, seeds)]] = 1.0
    return _made(sample.rows, resp, update)


def _drawn(
    z: Array, weight: Array | None, known: dict[int, Array], k: int, rng: np.random.Generator, *, growth: float
) -> Array:
    """Seeds (K, q) for rows z (n, q): those ``known`` in their places, the others drawn in rounds that grow by that
    part of them, each round by the squared distances from the seeds before."""
    seeds = np.array(list(known.values())).reshape(-1, z.shape[1])
    n, equal = len(z), np.ones(len(z)) if weight is None else weight
    square = cKDTree(seeds).query(z)[0] ** 2 if len(seeds) else np.ones(n)
    while len(seeds) < k:
        n_more = min(max(int(growth * len(seeds)), 1), k - len(seeds))
        chance = square * equal
        if np.count_nonzero(chance) < n_more:  # there is a seed at nearly every row
            chance, n_more = np.ones(n), k - len(seeds)
        more = z[rng.choice(n, size=n_more, replace=n_more > n, p=chance / chance.sum())]
        square = np.minimum(square, cKDTree(more).query(z)[0] ** 2) if len(seeds) else cKDTree(more).query(z)[0] ** 2
        seeds = np.concatenate([seeds, more])
    order = np.empty(k, dtype=np.intp)
    order[[*known, *(i for i in range(k) if i not in known)]] = np.arange(k)
    return np.asarray(seeds[order])


SEED_ROWS = 10
"""Rows for each of many seeds, of which they are drawn."""

GROWTH = 0.25
"""Part by which the number of seeds grows in a round, where there are many."""


def many_seeds(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """The same for many components: seeds are drawn in rounds, and the nearest are looked up in a tree.

    In a round all are drawn by their squared distances from the seeds before, so that two may be near each other.
    """
    if len(sample.z) < k or sample.z.shape[1] == 0:
        return random(sample, k, update, rng)
    n_rows = min(max(SAMPLE_ROWS, SEED_ROWS * k), len(sample.z))
    part = np.sort(rng.choice(len(sample.z), size=n_rows, replace=False, shuffle=False))
    weight = None if sample.rows.weight is None else sample.rows.weight[part]
    seeds = _drawn(sample.z[part], weight, {}, k, rng, growth=GROWTH)
    return _from_labels(sample, cKDTree(seeds).query(sample.z)[1], k, update)


def k_means(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """The clusters of Lloyd's algorithm from k-means++ seeds."""
    if len(sample.z) < k or sample.z.shape[1] == 0:
        return random(sample, k, update, rng)
    with warnings.catch_warnings(), one_openmp_thread():
        # Fewer distinct rows than clusters: the mixture that comes of it is what counts.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(k, n_init=1, random_state=_seed(rng)).fit(sample.z, sample_weight=sample.rows.weight)
    return _from_labels(sample, clusters.labels_, k, update)


def random(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """Responsibilities drawn at random, row by row."""
    resp = rng.random((len(sample.z), k))
    resp /= resp.sum(axis=1, keepdims=True)
    return _made(sample.rows, resp, update)


def random_from_data(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """Means at random rows, the covariance of all data for each component, equal weights."""
    n = len(sample.z)
    weight = sample.rows.weight
    chosen = rng.choice(n, size=k, replace=n < k, p=None if weight is None else weight / weight.sum())
    means = np.array(sample.rows.x[chosen], dtype=np.float64)
    if sample.rows.label is not None:
        places = replace(sample, z=sample.rows.x)
        for i, mean in known_means(places, k).items():
            means[i] = mean
    return at_means(means, update)


def at_means(means: Array, update: MStep) -> Mixture:
    """Components at given means (K, d), alike in everything else: equal weights, the covariance of all rows."""
    k = len(means)
    overall = update.overall.layout
    entries = overall.diagonal if update.family.diagonal else overall.dense
    return Mixture.of(
        np.full(k, 1 / k), np.array(means), update.raised(np.broadcast_to(entries[0], (k, *entries.shape[1:])), means)
    )


def with_empty(made: Mixture, k: int, update: MStep) -> Mixture:
    """The mixture with so many empty components behind its own that there are ``k``; they lie where all rows do."""
    n_more = k - made.n_components
    if n_more == 0:
        return made
    overall = update.overall
    weights = np.concatenate([made.weights, np.zeros(n_more)])
    means = np.concatenate([made.means, np.repeat(overall.means, n_more, axis=0)])
    if update.family.coupled is not None:  # the covariance of all rows shares nothing with the others
        return Mixture.of(weights, means, made.layout.only([*range(made.n_components), *[0] * n_more]))
    diagonal = update.family.diagonal
    entries, more = (one.layout.diagonal if diagonal else one.layout.dense for one in (made, overall))
    if not update.family.pooled:
        entries = np.concatenate([entries, np.repeat(more, n_more, axis=0)])
    return Mixture.of(weights, means, update.raised(broadcast(entries[: 1 if update.family.pooled else k], k), means))


VOLUME_FEATURES = 32
"""Coordinates up to which a start looks at the volume of clusters; with more, few clusters have rows enough for one."""

PART_ROWS = 500
"""Rows of a part that is agglomerated instead of the whole."""


def hierarchical(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """The clusters of model-based agglomeration; of more than MAX_ROWS rows a random subset is agglomerated.

    Each family in its own frame, by the sum of squares where one covariance serves all components, else by volumes.
    (mclust agglomerates by volumes for all of them, in coordinates scaled half way to white ones: Scrucca and
    Raftery, "Improved initialisation of model-based clustering using Gaussian hierarchical partitions", 2015.)
    """
    by_volume = not update.family.pooled and sample.z.shape[1] <= VOLUME_FEATURES
    return _agglomerated(sample, k, update, rng, MAX_ROWS, "VVV" if by_volume else "EII")


def hierarchical_in_part(sample: Sample, k: int, update: MStep, rng: np.random.Generator) -> Mixture:
    """The clusters of a random half of the rows, at most PART_ROWS, by either criterion."""
    by_volume = rng.random() < 0.5 and sample.z.shape[1] <= VOLUME_FEATURES
    rows = min(PART_ROWS, (len(sample.z) + 1) // 2)
    return _agglomerated(sample, k, update, rng, rows, "VVV" if by_volume else "EII")


def _agglomerated(
    sample: Sample, k: int, update: MStep, rng: np.random.Generator, most: int, criterion: str
) -> Mixture:
    rows, z = sample.rows, sample.z
    if len(z) > most:
        chosen = rng.choice(len(z), size=most, replace=False, shuffle=False)
        rows, z = rows[chosen], z[chosen]
    # Equal rows are found in their own units, where they are equal to the last bit, and brought into an order that
    # neither units nor the order of the rows change: by it, equal merges are told apart.
    _, first, index = np.unique(rows.x, axis=0, return_index=True, return_inverse=True)
    index = index.reshape(len(z))
    if len(first) < k or z.shape[1] == 0:  # fewer distinct rows than clusters: let chance share them out
        return random(sample, k, update, rng)
    weight = np.bincount(index, rows.weight).astype(np.float64)
    merges = agglomerate(z[first], weight, criterion)
    return _made(rows, validation.one_hot(merges.labels(k)[index], k), update)


STARTS: dict[str, Start] = {
    "k-means++": k_means_plus_plus,
    "kmeans": k_means,
    "random": random,
    "random_from_data": random_from_data,
    "hierarchical": hierarchical,
}

AGAIN: dict[Start, Start] = {hierarchical: hierarchical_in_part}
"""What the second and later starts are made by, where the first leaves nothing to chance."""

TRUNCATED: dict[Start, Start] = {k_means_plus_plus: many_seeds}
"""What takes their place where K is so large that EM is truncated."""

AUTO = "k-means++"
"""What init="auto" stands for."""


@dataclass(frozen=True)
class Outcome:
    """What became of one start: ``objective`` (total nats) after so many ``passes``, how it ended, and how many of the
    components of the ``model`` it has come to are ``degenerate``."""

    objective: float
    passes: int
    outcome: str
    degenerate: int
    model: Mixture

    @property
    def rank(self) -> Rank:
        return -self.degenerate, self.objective


Rank = tuple[int, float]
"""Less the number of degenerate components, then the objective: the likelihood of a spike ranks below all others."""


def first_of_best(ranks: Sequence[Rank], total: float) -> int:
    """Index of the best of some runs on ``total`` rows; of those that came to the same place the first."""
    health, objective = max(ranks)
    return next(i for i, one in enumerate(ranks) if one[0] == health and one[1] >= objective - SAME * total)


def short_runs(
    problem: Problem, sample: Sample, starts: list[Mixture], sieve: tuple[tuple[int, int], ...] = SIEVE
) -> tuple[list[Mixture], list[int], list[Outcome]]:
    """Carry the starts a few passes on the sample, thinning them out on the way.

    Returns the models they have reached, their indices from the best to the worst, and what became of each.
    """
    on_sample = replace(problem, source=InMemory(sample.rows))
    total = sample.rows.total
    runs = [passes(on_sample, start, tol=0.0, max_iter=sieve[-1][1]) for start in starts]
    reached = [next(run) for run in runs]

    order = list(range(len(runs)))
    degenerate = [0] * len(runs)
    for keep, updates in sieve:
        for i in order[:keep]:
            while reached[i].index < updates and reached[i].reason is None:
                reached[i] = next(runs[i])
        kept = sorted(order[:keep])
        for i in kept:
            degenerate[i] = n_degenerate(problem.update, reached[i].model, total)
        ranks = [(-degenerate[i], reached[i].objective) for i in kept]
        best = kept[first_of_best(ranks, total)]
        others = sorted(zip(ranks, kept, strict=True), key=lambda pair: pair[0], reverse=True)
        order = [best, *(i for _, i in others if i != best), *order[keep:]]
    outcomes = [
        Outcome(one.objective, one.index, "collapsed" if degenerate[i] else "short run", degenerate[i], one.model)
        for i, one in enumerate(reached)
    ]
    return [one.model for one in reached], order, outcomes
