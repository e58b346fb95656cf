"""EM for many small mixtures of the same rows at once, of any family and any number of components.

Where rows are few, a pass of EM costs less than the calls it is made of.  Here the components of all mixtures stand
below each other, C in all, and one call serves them all.  With T(y) = (1, y, {y_i y_j}, i <= j), a mixture is known
by the sums that its M-step needs, the rows (K, q) of a table:

    M:  table (C, q) -> theta (C, q)          each family by itself, theta . T(y) = log w_k N(x | k)
    E:  theta -> table, log-likelihoods       mixtures with as many components side by side

So a start is a table, too: that of labels, of a neighbour with two of its rows added up, of the same components seen
by another family.  Any sums with positive mass and positive definite scatter have an M-step inside the family: the
steps of SQUAREM are taken in the table, three passes to a cycle,

    S1 = EM(S0)   S2 = EM(S1)   r = S1 - S0   v = S2 - S1 - r   S' = S0 - 2 a r + a^2 v,  a = -|r| / |v|

and S' is kept where its log-likelihood is not below that of S1's model.  M-steps without a closed form are a few steps
from those of the pass before (generalised EM).

Rows that are not exact see what is marginal of the mixtures, and posterior moments make their sums (marginal.py): the
log-likelihood is that of what they tell.  Starts are made of such rows filled in.

y are the rows about their mean, each feature in its standard deviation.  Families that know rotations only are
estimated in common units.  A mixture of which a component becomes so narrow, or lies so far out, that the expanded
square loses its digits leaves: it goes on by ``em``, which has a floor and other kernels.

References: R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any
EM algorithm", Scandinavian Journal of Statistics 35, 2008; G. Celeux and G. Govaert, "Gaussian parsimonious clustering
models", Pattern Recognition 28, 1995; B. N. Flury and W. Gautschi, SIAM J. Sci. Stat. Comput. 7, 1986 (common axes).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from mixtura import marginal
from mixtura.covariance import Covariances, Dense, Diagonal, broadcast
from mixtura.engine import Engine, Serial
from mixtura.evaluate import Totals
from mixtura.families import FAMILIES
from mixtura.initialize import SMOOTHING
from mixtura.marginal import Apart, Marginals, Moments
from mixtura.mixture import Mixture
from mixtura.patterns import patterns_of
from mixtura.rows import Array, Rows, constant

Index = NDArray[np.intp]
S = TypeVar("S")

ILL_PLACED = 1e8
"""Squared distance from the origin, in a component's own units, beyond which too few digits are left."""

WIDEST = 64
"""Features up to which rows have tables, of about WIDEST^2 / 2 columns."""

ASTRAY = 100.0
"""Ratio of standard deviation and median absolute deviation, beyond which the former says nothing of the bulk."""

FAR_APART = 1e4
"""Ratio of the features' units beyond which axes that are sought in common units lose their small variances."""

RIDGE = 1e-13
"""Part of its trace that is added to a scatter, so that it has an inverse; what needs it leaves."""

LONGEST = 64.0
"""Largest step of SQUAREM."""

PATIENCE = 2.0
"""Cycles' worth of gain that a mixture is given credit for."""

INNER = 2
"""Turns between volumes and shape in a pass; they go on in the next."""

TURNS, TRIES = 1, 4
"""Steps of common axes in a pass, and how often one is made shorter."""

SINGULAR = 1e-290
"""Added to variances, so that no scatter is without an inverse; what needs it leaves."""

BLOCK = 1 << 17
"""Densities that are worked on at a time."""

DENSITY = 8.0
"""Nanoseconds that a density takes."""

SHARED = 2
"""Blocks from which they are worth being shared out."""

ROUNDED = 1e-11
"""Gain of a cycle, as a part of the log-likelihood, that may as well be rounding."""

UNDERFLOW = 1e-280
"""A sum of densities under this has lost digits."""

PATTERN, SWEEP, ROW = 500.0, 2.5, 20.0
"""What a pattern of missing values costs for each component, and (1 + d)^2 d of sweeping it, and d beside d^3 for a row
that is looked at by itself, in nanoseconds."""

ENTRIES = 1 << 19
"""Entries of matrices that rows are looked at with one by one, at a time."""

CHUNK = 32
"""Matrices that are looked at together for being positive definite: one that is not costs the others more."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Rows that tell the same features, exactly: T(y) (q, n), zero where features are ``missing`` (m,), which are
    counted from one; ``weight`` (n,) or None."""

    features: Array
    weight: Array | None
    missing: Index


@dataclass(frozen=True, eq=False)
class Board:
    """Rows as all mixtures see them: ``features`` T(y) (q, n), ``weight`` (n,) or None, x = ``center`` + ``unit`` y.

    Where values are ``missing`` (n, d), ``features`` are those of rows that are filled in; ``noise``, variances (n, d)
    or covariances (n, d, d), is that of errors, in units of x.
    """

    features: Array
    weight: Array | None
    center: Array
    unit: Array
    engine: Engine
    missing: NDArray[np.bool_] | None = None
    noise: Array | None = None

    @property
    def n_features(self) -> int:
        return len(self.center)

    @property
    def n_rows(self) -> int:
        return int(self.features.shape[1])

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.n_rows if self.weight is None else self.weight.sum())

    @cached_property
    def pairs(self) -> tuple[Index, Index, Array]:
        """Where the entries of a matrix (d d,) stand among its pairs i <= j, where pairs stand in the matrix, and what
        precisions are multiplied by there."""
        d = self.n_features
        i, j = np.triu_indices(d)
        where = np.empty((d, d), dtype=np.intp)
        where[i, j] = where[j, i] = np.arange(len(i))
        return where.ravel(), i * d + j, np.where(i == j, -0.5, -1.0)

    @cached_property
    def alike(self) -> bool:
        """Whether all features have one unit."""
        return bool((self.unit == self.unit[0]).all())

    @cached_property
    def common(self) -> Array:
        """Units of the features as parts of the largest, (d,)."""
        return np.asarray(self.unit / self.unit.max())

    @cached_property
    def log_unit(self) -> float:
        """What the coordinates add to a log-likelihood."""
        if self.missing is None:
            return -self.total * float(np.log(self.unit).sum())
        told = (~self.missing).sum(axis=0) if self.weight is None else self.weight @ ~self.missing
        return -float(told @ np.log(self.unit))

    @property
    def exact(self) -> bool:
        """Whether each row is its point."""
        return self.missing is None and self.noise is None

    @cached_property
    def parts(self) -> tuple[list[Alike], Apart | None]:
        """The rows that tell the same features, the largest part first, and all others."""
        if self.exact:
            return [Alike(self.features, self.weight, np.empty(0, dtype=np.intp))], None
        d = self.n_features
        groups, others = grouped(self.n_rows, d, self.missing, self.noise)
        i, j = np.triu_indices(1 + d)
        found = []
        for rows in sorted(groups, key=len, reverse=True):
            told = np.ones(1 + d, dtype=bool)
            if self.missing is not None:
                told[1:] = ~self.missing[rows[0]]
            features = self.features[:, rows] * (told[i] & told[j])[:, None]
            weight = None if self.weight is None else self.weight[rows]
            found.append(Alike(features, weight, np.flatnonzero(~told)))
        everything = Apart(self.features[1 : 1 + d].T, self.missing, self.noise, self.unit, self.weight)
        return found, None if len(others) == 0 else everything if len(others) == self.n_rows else everything[others]

    @cached_property
    def beside(self) -> float:
        """What a pass costs for each component beside that of exact rows, in nanoseconds."""
        return more_than_exact((self.n_rows, self.n_features), self.missing, self.noise)

    def table(self, resp: Array) -> Array:
        """The table (K, q) of responsibilities (n, K)."""
        share = resp.T if self.weight is None else resp.T * self.weight
        return np.asarray(share @ self.features.T)


def board(rows: Rows, engine: Engine) -> Board:
    """The rows, filled in, seen about their mean, each feature in its standard deviation, if it has one."""
    center = np.average(rows.x, axis=0, weights=rows.weight)
    unit = _units(rows, center)
    unit[unit == 0] = unit.max()
    return Board(_features(rows, center, unit), rows.weight, center, unit, engine, rows.missing, rows.noise)


def seen_from(board: Board, rows: Rows) -> Board:
    """Other rows, filled in, in the coordinates of a board."""
    features = _features(rows, board.center, board.unit)
    return replace(board, features=features, weight=rows.weight, missing=rows.missing, noise=rows.noise)


def _features(rows: Rows, center: Array, unit: Array) -> Array:
    y = (np.subtract(rows.x, center, dtype=np.float64) / unit).T
    i, j = np.triu_indices(len(y))
    return np.concatenate([np.ones((1, y.shape[1])), y, y[i] * y[j]])


def grouped(n: int, d: int, missing: NDArray[np.bool_] | None, noise: Array | None) -> tuple[list[Index], Index]:
    """The n rows of which enough tell the same features, exactly, to be looked at together, and all others."""
    if noise is not None:
        return [], np.arange(n)
    found, others, _ = patterns_of(n, missing, None).groups(int(_cost_of_pattern(d) / _cost_of_row(d)) + 1)
    return found, np.sort(others)


def more_than_exact(shape: tuple[int, ...], missing: NDArray[np.bool_] | None, noise: Array | None) -> float:
    """What a pass over rows (n, d) costs for each component beside that of exact ones, in nanoseconds."""
    if missing is None and noise is None:
        return 0.0
    n, d = shape
    groups, others = grouped(n, d, missing, noise)
    return len(groups) * _cost_of_pattern(d) + len(others) * _cost_of_row(d)


def _cost_of_pattern(d: int) -> float:
    return PATTERN + SWEEP * (1 + d) ** 2 * d


def _cost_of_row(d: int) -> float:
    return d**3 + ROW * d


def suited(rows: Rows) -> tuple[str, ...]:
    """The families that have a place in tables of these rows; none where there are more than WIDEST features.

    None where rows are so far astray that the others are but a point beside them.  All, if no column is constant and
    none follows from the others; only those with one variance for all features, if one is or does.  Those that know
    rotations only see features in common units, which must not be too far apart.
    """
    if len(rows) < 2 or rows.x.shape[1] > WIDEST:
        return ()
    center = np.average(rows.x, axis=0, weights=rows.weight)
    y = np.subtract(rows.x, center, dtype=np.float64)
    unit = _units(rows, center)
    bulk = np.median(np.abs(rows.x - np.median(rows.x, axis=0)), axis=0)
    if not (unit > 0).any() or (unit > ASTRAY * bulk)[bulk > 0].any():
        return ()
    if (unit > 0).all():
        y /= unit
        correlation = (y if rows.weight is None else y * rows.weight[:, None]).T @ y / rows.total
        if np.linalg.eigvalsh(correlation)[0] * ILL_PLACED > 1:
            apart = unit.max() / unit.min()
            gone = {code for code in TOGETHER["along axes"] if apart > FAR_APART}
            gone |= {code for code in TOGETHER["rotated"] if apart > FAR_APART**2}
            return tuple(code for code in ORDER if code not in gone)
    seen = unit[unit > 0]
    return TOGETHER["rotated"] if seen.max() <= FAR_APART**2 * seen.min() else ()


def _units(rows: Rows, center: Array) -> Array:
    """Standard deviations (d,); zero where there is no spread but that which rounding of the mean has made."""
    y = np.subtract(rows.x, center, dtype=np.float64)
    unit = np.sqrt(np.average(y * y, axis=0, weights=rows.weight))
    return np.where(constant(rows.x) | (unit <= 4 * np.finfo(np.float64).eps * np.abs(center)), 0.0, unit)


@dataclass(frozen=True, eq=False)
class Reached:
    """Where a mixture has come to: ``theta`` (K, q) with its log-likelihood (in units of the board), and the table of
    its E-step.  ``left``: it was ill-placed, and this is where it was before.  ``settled``: ``tol`` was reached."""

    theta: Array
    table: Array
    loglik: float
    passes: int
    left: bool
    settled: bool


def model_of(board: Board, code: str, theta: Array) -> Mixture:
    """The mixture, in the units of the rows."""
    d = board.n_features
    i, j = np.triu_indices(d)
    precision = np.empty((len(theta), d, d))
    precision[:, i, j] = precision[:, j, i] = -theta[:, 1 + d :] * np.where(i == j, 2.0, 1.0)
    family = FAMILIES[code]
    shared = family.pooled
    layout: Covariances
    if family.diagonal:
        variances = board.unit**2 / np.diagonal(precision, axis1=1, axis2=2)
        if family.spherical:
            variances = np.repeat(variances[:, :1], d, axis=1)
        layout = Diagonal(broadcast(variances[:1] if shared else variances, len(theta)))
        means = theta[:, 1 : 1 + d] / np.diagonal(precision, axis1=1, axis2=2)
    else:
        covariance = np.linalg.inv(precision[:1] if shared else precision)
        covariance = 0.5 * (covariance + covariance.transpose(0, 2, 1))
        means = (covariance @ theta[:, 1 : 1 + d, None])[:, :, 0]
        layout = Dense(broadcast(covariance * np.outer(board.unit, board.unit), len(theta)))
    white = np.einsum("ki,ki->k", means, theta[:, 1 : 1 + d])
    log_det = np.linalg.slogdet(precision)[1]
    weights = np.exp(theta[:, 0] + 0.5 * (white - log_det) + 0.5 * d * np.log(2 * np.pi))
    return Mixture.of(weights / weights.sum(), board.center + board.unit * means, layout)


# the plan: who stands where -------------------------------------------------------------------------------------------


ORDER = ("EII", "VII", "EEI", "VVI", "EVI", "VEI", "VEV", "EEV", "EVE", "VVE", "EEE", "VEE", "EVV", "VVV")
"""Families that take the same step stand side by side: its call serves them together."""

TOGETHER: dict[str, tuple[str, ...]] = {code: (code,) for code in ORDER} | {
    "along features": ("EII", "VII", "EEI", "VVI", "EVI", "VEI"),
    "along axes": ("VEV", "EEV", "EVE", "VVE"),
    "free": ("EEE", "VEE", "EVV", "VVV"),
    "rotated": ("EII", "VII"),
    "own axes": ("VEV", "EEV"),
    "common axes": ("EVE", "VVE"),
    "one shape": ("VEI", "VEV"),
    "own matrices": ("EVV", "VVV"),
}


@dataclass(frozen=True, eq=False)
class Group:
    """The components of some families that stand side by side: their ``place`` in the table and that of their
    ``mixtures``, the first of each mixture among them, and the mixture among these that each belongs to."""

    place: slice
    mixtures: slice
    first: Index
    owner: Index

    def sums(self, values: Array) -> Array:
        """Sums over the components of each mixture."""
        return np.asarray(np.add.reduceat(values, self.first, axis=0))


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the components of mixtures stand, mixtures being in the ORDER of their families.

    ``size`` (m,) components each, the first at ``first`` (m,), ``owner`` (C,) the mixture of each component; ``groups``
    by the names of TOGETHER, as far as there are any; ``alike`` the mixtures with the same number of components and
    their places (m', K).
    """

    size: Index
    first: Index
    owner: Index
    groups: dict[str, Group]
    alike: list[tuple[Index, Index]]


def planned(codes: Sequence[str], size: Index) -> Plan:
    """The plan of mixtures that are ordered by their codes."""
    first = np.concatenate([[0], np.cumsum(size)])
    owner = np.repeat(np.arange(len(size)), size)
    groups = {}
    for name, members in TOGETHER.items():
        which = [m for m, code in enumerate(codes) if code in members]
        if which:
            begin, end = which[0], which[-1] + 1
            start, stop = int(first[begin]), int(first[end])
            groups[name] = Group(
                slice(start, stop), slice(begin, end), first[begin:end] - start, owner[start:stop] - begin
            )
    alike = []
    for k in np.unique(size):
        same = np.flatnonzero(size == k)
        alike.append((same, first[same][:, None] + np.arange(k)))
    return Plan(size, first[:-1], owner, groups, alike)


# E-step ---------------------------------------------------------------------------------------------------------------


class Job(Protocol):
    """Mixtures with as many components, ``entry`` of the plan's ``alike``, at rows of some weights (b,)."""

    @property
    def entry(self) -> int: ...

    @property
    def weight(self) -> Array | None: ...

    def densities(self) -> tuple[Array, Array, Array]:
        """Densities (m, K, b) up to a factor for each row, their sums (m, b), and the logarithms of the sums."""

    def sums(self, resp: Array) -> Array:
        """The table (m K, q) under responsibilities (m, K, b)."""


@dataclass(frozen=True, eq=False)
class Together:
    """A job at T(y) (q, b), by products of matrices."""

    entry: int
    theta: Array
    k: int
    features: Array
    weight: Array | None

    def densities(self) -> tuple[Array, Array, Array]:
        return _densities(self.theta, self.features, self.k)

    def sums(self, resp: Array) -> Array:
        return np.asarray(resp.reshape(len(self.theta), -1) @ self.features.T)


@dataclass(frozen=True, eq=False)
class OneByOne:
    """A job at rows that have little in common."""

    entry: int
    moments: Moments
    k: int
    rows: Apart

    @property
    def weight(self) -> Array | None:
        return self.rows.weight

    @cached_property
    def _seen(self) -> marginal.Seen:
        return marginal.seen(self.moments, self.rows)

    def densities(self) -> tuple[Array, Array, Array]:
        log_joint = self._seen.log_joint.T.reshape(-1, self.k, len(self.rows))
        top = log_joint.max(axis=1)
        density = np.exp(log_joint - top[:, None])
        total = density.sum(axis=1)
        return density, total, np.log(total) + top

    def sums(self, resp: Array) -> Array:
        return self._seen.sums(np.ascontiguousarray(resp.reshape(-1, len(self.rows)).T))


def _together(part: Alike, plan: Plan, theta: Array) -> Iterator[Together]:
    """Mixtures with as many components, and as many rows as they can be worked on for at a time."""
    for entry, (_, place) in enumerate(plan.alike):
        own = theta[place.ravel()]
        step = max(BLOCK // len(own), 64)
        for begin in range(0, part.features.shape[1], step):
            weight = None if part.weight is None else part.weight[begin : begin + step]
            yield Together(entry, own, place.shape[1], part.features[:, begin : begin + step], weight)


def _one_by_one(rows: Apart, plan: Plan, theta: Array) -> Iterator[OneByOne]:
    """The same for rows that have little in common."""
    with np.errstate(all="ignore"):
        moments = marginal.moments(theta)
    for entry, (_, place) in enumerate(plan.alike):
        own = moments.only(place.ravel())
        step = max(ENTRIES // own.covariances.size, 4)
        for begin in range(0, len(rows), step):
            yield OneByOne(entry, own, place.shape[1], rows[begin : begin + step])


def _mapped(
    board: Board, plan: Plan, theta: Array, function: Callable[[Job], S]
) -> Iterator[tuple[Marginals | None, Iterable[S]]]:
    """The function of each job, part by part and in their order, and the marginals that a part sees, if it does."""
    many = len(theta) * (board.n_rows + board.beside / DENSITY) > SHARED * BLOCK
    engine, (alike, others) = board.engine if many else Serial(), board.parts
    if board.exact:  # the blocks share out the cores
        yield None, engine.map(function, _together(alike[0], plan, theta))
        return

    def of_part(part: Alike) -> tuple[Marginals | None, list[S]]:
        with np.errstate(all="ignore"):
            seen = marginal.marginals(theta, part.missing) if len(part.missing) else None
        return seen, [function(job) for job in _together(part, plan, theta if seen is None else seen.theta)]

    yield from engine.map(of_part, alike)
    if others is not None:
        yield None, engine.map(function, _one_by_one(others, plan, theta))


def e_step(board: Board, plan: Plan, models: Models) -> tuple[Array, Array]:
    """Tables (C, q) and log-likelihoods (m,), in units of the board."""

    def of_block(job: Job) -> tuple[int, Array, Array]:
        weight = job.weight
        with np.errstate(all="ignore"):
            density, total, log_density = job.densities()
            density *= (1.0 / total if weight is None else weight / total)[:, None, :]
            return job.entry, _weighted(log_density, weight), job.sums(density)

    table, loglik = np.zeros_like(models.theta), board.total * models.top + board.log_unit
    for seen, found in _mapped(board, plan, models.theta, of_block):
        own = table if seen is None else np.zeros_like(table)
        for entry, part, sums in found:
            which, place = plan.alike[entry]
            loglik[which] += part
            own[place.ravel()] += sums
        if seen is not None:
            with np.errstate(all="ignore"):
                table += seen.completed(own)
    return table, loglik


def log_likelihood(board: Board, plan: Plan, models: Models) -> Array:
    """Log-likelihoods (m,), in units of the board."""

    def of_block(job: Job) -> tuple[int, Array]:
        with np.errstate(all="ignore"):
            return job.entry, _weighted(job.densities()[2], job.weight)

    loglik = board.total * models.top + board.log_unit
    for _, found in _mapped(board, plan, models.theta, of_block):
        for entry, part in found:
            loglik[plan.alike[entry][0]] += part
    return loglik


def seen_by(board: Board, theta: Array) -> tuple[Array, Array]:
    """Tables (m, K, q) and log-likelihoods (m,), up to a constant, of mixtures theta (m, K, q) whose weights need not
    sum to one."""
    m, k, q = theta.shape
    plan = planned(["VVV"] * m, np.full(m, k, dtype=np.intp))
    models = Models(theta.reshape(m * k, q), np.zeros(m), np.zeros(m, dtype=bool))
    table, loglik = e_step(board, plan, models)
    return table.reshape(m, k, q), loglik


def totals(board: Board, codes: Sequence[str], reached: Sequence[Reached]) -> list[Totals]:
    """The totals of what mixtures have come to."""
    order = sorted(range(len(codes)), key=lambda i: ORDER.index(codes[i]))
    plan = planned([codes[i] for i in order], np.array([len(reached[i].theta) for i in order], dtype=np.intp))

    def of_block(job: Job) -> tuple[int, Array]:
        with np.errstate(all="ignore"):
            share, total, _ = job.densities()
            share *= 1.0 / total[:, None, :]
            parts = np.log(share.max(axis=1)), entr(share).sum(axis=1)
            return job.entry, np.stack([_weighted(part, job.weight) for part in parts])

    sums = np.zeros((2, len(order)))
    for _, found in _mapped(board, plan, np.concatenate([reached[i].theta for i in order]), of_block):
        for entry, parts in found:
            sums[:, plan.alike[entry][0]] += parts
    own = dict(zip(order, sums.T, strict=True))
    return [Totals(one.loglik, board.total, *map(float, own[i])) for i, one in enumerate(reached)]


def _densities(theta: Array, features: Array, k: int) -> tuple[Array, Array, Array]:
    """Densities (m, K, b) up to a factor for each row, their sums (m, b), and the logarithms of the sums."""
    density = (theta @ features).reshape(-1, k, features.shape[1])
    np.exp(density, out=density)
    total = density.sum(axis=1)
    log_density = np.log(total)
    far = np.flatnonzero(~(total.min(axis=0) > UNDERFLOW))
    if len(far):  # rows far out of some mixture: in these, each by its own maximum
        part = (theta @ features[:, far]).reshape(-1, k, len(far))
        top = part.max(axis=1)
        part -= top[:, None, :]
        np.exp(part, out=part)
        sums = part.sum(axis=1)
        density[:, :, far], total[:, far], log_density[:, far] = part, sums, np.log(sums) + top
    return density, total, log_density


def _weighted(log_density: Array, weight: Array | None) -> Array:
    return np.asarray(log_density.sum(axis=1) if weight is None else log_density @ weight)


# M-steps --------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Memory:
    """What M-steps without a closed form go on from: ``volume`` (C,), and ``axes`` (m, d, d) of mixtures."""

    volume: Array
    axes: Array

    @classmethod
    def none(cls, n_components: int, n_mixtures: int, d: int) -> Memory:
        """That of the first M-step."""
        return cls(np.full(n_components, np.nan), np.full((n_mixtures, d, d), np.nan))

    def copy(self) -> Memory:
        return Memory(self.volume.copy(), self.axes.copy())


def _moments(board: Board, table: Array) -> tuple[Array, Array]:
    """Means (C, d) and scatter (C, d, d)."""
    d = board.n_features
    first = table[:, 1 : 1 + d]
    mean = first / table[:, :1]
    scatter = np.take(table[:, 1 + d :], board.pairs[0], axis=1).reshape(-1, d, d)
    scatter -= first[:, :, None] * mean[:, None, :]
    return mean, scatter


@dataclass(frozen=True, eq=False)
class Models:
    """``theta`` (C, q), less ``top`` (m,), the largest log density that a component of the mixture reaches, in its
    constant: so no density exceeds one.  ``ill`` (m,) are the mixtures that are ill-placed."""

    theta: Array
    top: Array
    ill: NDArray[np.bool_]


def m_step(board: Board, plan: Plan, table: Array, memory: Memory) -> Models:
    """The models of each mixture's sums."""
    d = board.n_features
    upper, factor = board.pairs[1:]
    mass = table[:, 0]
    with np.errstate(all="ignore"):
        mean, scatter = _moments(board, table)
        good = (mass > 0) & np.isfinite(scatter.sum(axis=(1, 2)))
        if not good.all():
            scatter[~good], mass = np.eye(d), np.where(good, mass, 1.0)
        precision, log_det = _precisions(board, plan, scatter, mass, memory)
        linear = (precision @ mean[:, :, None])[:, :, 0]
        theta = np.empty_like(table)
        # Of all mass there is, not of the rows: rounding, or a start, may have made it more.
        total = np.add.reduceat(mass, plan.first)[plan.owner]
        peak = np.log(mass / total) + 0.5 * (log_det - d * np.log(2 * np.pi))
        top = np.maximum.reduceat(peak, plan.first)
        theta[:, 0] = peak - top[plan.owner] - 0.5 * (linear * mean).sum(axis=1)
        theta[:, 1 : 1 + d] = linear
        theta[:, 1 + d :] = np.take(precision.reshape(-1, d * d), upper, axis=1) * factor
        reach = np.trace(precision, axis1=1, axis2=2) * (1 + (mean * mean).sum(axis=1))
        good &= (reach < ILL_PLACED) & (reach > 0) & np.isfinite(theta.sum(axis=1))
    return Models(theta, top, ~np.logical_and.reduceat(good, plan.first))


def _precisions(board: Board, plan: Plan, scatter: Array, mass: Array, memory: Memory) -> tuple[Array, Array]:
    """Precisions (C, d, d) and their log determinants (C,), of scatter (C, d, d)."""
    d, groups = board.n_features, plan.groups
    log_det = np.empty(len(mass))
    inverse, axes = np.empty((len(mass), d)), np.empty_like(scatter)  # reciprocal variances along axes
    precision = np.zeros_like(scatter)
    total = np.add.reduceat(mass, plan.first)
    rotation = not board.alike
    unit = board.common
    for name in ("rotated", "along axes"):
        if name in groups and rotation:
            scatter[groups[name].place] *= np.outer(unit, unit)
    along = groups.get("along features")
    spread = np.empty_like(inverse)
    if along is not None:
        spread[along.place] = _diagonal(scatter[along.place])
    own = groups.get("own axes")
    if own is not None:
        values, axes[own.place] = np.linalg.eigh(scatter[own.place])
        spread[own.place] = np.maximum(values, 0.0)
    common = groups.get("common axes")
    if common is not None:
        eve = groups["EVE"].mixtures.stop - common.mixtures.start if "EVE" in groups else 0
        found, spread[common.place] = _turned(common, scatter[common.place], mass[common.place], memory, eve)
        axes[common.place] = found[common.owner]
    for name, step in ALONG.items():
        if name in groups:
            group = groups[name]
            inverse[group.place] = step(group, spread[group.place], mass[group.place], total[group.mixtures], memory)
    if along is not None:
        at = np.arange(d)
        precision[along.place][:, at, at] = inverse[along.place]
        log_det[along.place] = np.log(inverse[along.place]).sum(axis=1)
    if "along axes" in groups:
        place = groups["along axes"].place
        precision[place] = (axes[place] * inverse[place][:, None, :]) @ axes[place].transpose(0, 2, 1)
        log_det[place] = np.log(inverse[place]).sum(axis=1)
    for name in ("rotated", "along axes"):
        if name in groups and rotation:
            precision[groups[name].place] *= np.outer(unit, unit)
            log_det[groups[name].place] += 2 * np.log(unit).sum()
    if "EEE" in groups:
        group = groups["EEE"]
        one, log = _inverse(group.sums(scatter[group.place]) / total[group.mixtures][:, None, None])
        precision[group.place], log_det[group.place] = one[group.owner], -log[group.owner]
    if "VEE" in groups:
        group = groups["VEE"]
        precision[group.place], log_det[group.place] = _vee(
            group, scatter[group.place], mass[group.place], total[group.mixtures], memory
        )
    if "own matrices" in groups:
        group = groups["own matrices"]
        precision[group.place], log = _inverse(scatter[group.place])
        volume = mass[group.place].copy()  # S_k = W_k / volume_k
        if "EVV" in groups:
            equal = groups["EVV"]
            mean = np.exp(log[: len(equal.owner)] / d)
            volume[: len(equal.owner)] = mean * (total[equal.mixtures] / equal.sums(mean))[equal.owner]
        precision[group.place] *= volume[:, None, None]
        # One volume for all hides how narrow a component is: beside its own widest direction it shows.
        ratio = np.trace(precision[group.place], axis1=1, axis2=2) * np.trace(scatter[group.place], axis1=1, axis2=2)
        log[ratio > ILL_PLACED * volume] = np.nan
        log_det[group.place] = d * np.log(volume) - log
    return precision, log_det


def _diagonal(scatter: Array) -> Array:
    return np.maximum(np.diagonal(scatter, axis1=1, axis2=2), 0.0)


def _inverse(matrices: Array) -> tuple[Array, Array]:
    """Inverses and log determinants of matrices (C, d, d)."""
    d = matrices.shape[1]
    ridge = RIDGE * np.trace(matrices, axis1=1, axis2=2) + SINGULAR
    matrices = matrices + ridge[:, None, None] * np.eye(d)
    sign, log_det = np.linalg.slogdet(matrices)
    if not (sign > 0).all():
        log_det[sign <= 0], matrices[sign <= 0] = np.nan, np.eye(d)
    return np.asarray(np.linalg.inv(matrices)), np.asarray(log_det)


# along axes: reciprocal variances (C, d) of the spread (C, d), the mass (C,) and that of each mixture (m,)


def _eii(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    return np.asarray((total * spread.shape[1] / group.sums(spread.sum(axis=1)))[group.owner, None])


def _vii(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    return np.asarray((mass / spread.mean(axis=1))[:, None])


def _one_for_all(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    return np.asarray((total[:, None] / group.sums(spread))[group.owner])


def _each(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    return mass[:, None] / spread


def _one_volume(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    mean = np.exp(np.log(spread).mean(axis=1))
    return np.asarray((mean * (total / group.sums(mean))[group.owner])[:, None] / spread)


def _one_shape(group: Group, spread: Array, mass: Array, total: Array, memory: Memory) -> Array:
    d = spread.shape[1]
    volume = memory.volume[group.place]
    volume = np.where(np.isnan(volume), spread.mean(axis=1) / mass, volume)
    for _ in range(INNER):
        shape = (group.sums(spread / volume[:, None]) / total[:, None])[group.owner]
        volume = (spread / shape).sum(axis=1) / (mass * d)
    memory.volume[group.place] = volume
    return np.asarray(1 / (volume[:, None] * shape))


ALONG: dict[str, Callable[[Group, Array, Array, Array, Memory], Array]] = {
    "EII": _eii,
    "VII": _vii,
    "EEI": _one_for_all,
    "VVI": _each,
    "EVI": _one_volume,
    "one shape": _one_shape,
    "EEV": _one_for_all,
    "EVE": _one_volume,
    "VVE": _each,
}


def _vee(group: Group, scatter: Array, mass: Array, total: Array, memory: Memory) -> tuple[Array, Array]:
    d = scatter.shape[1]
    volume = memory.volume[group.place]
    volume = np.where(np.isnan(volume), np.trace(scatter, axis1=1, axis2=2) / (mass * d), volume)
    for _ in range(INNER):
        inverse, log_det = _inverse(group.sums(scatter / volume[:, None, None]) / total[:, None, None])
        volume = np.einsum("kij,kij->k", scatter, inverse[group.owner]) / (mass * d)
    memory.volume[group.place] = volume
    return inverse[group.owner] / volume[:, None, None], -log_det[group.owner] - d * np.log(volume)


def _turned(group: Group, scatter: Array, mass: Array, memory: Memory, n_equal: int) -> tuple[Array, Array]:
    """Common axes (m, d, d), and the scatter along them (C, d); the first ``n_equal`` mixtures have one volume.

    All pairs of axes turn at once, by Newton's step in each with the variances held; no turn makes it worse.
    """
    d = scatter.shape[1]
    axes = memory.axes[group.mixtures]
    new = np.isnan(axes[:, 0, 0])
    if new.any():
        axes[new] = np.linalg.eigh(group.sums(scatter)[new])[1]
    i, j = np.triu_indices(d, 1)
    identity = np.eye(d)
    c = int(group.first[n_equal]) if n_equal < len(group.first) else len(mass)
    firsts = group.first[:n_equal]

    def seen(axes: Array) -> tuple[Array, Array, Array]:
        own = axes[group.owner]
        turned = own.transpose(0, 2, 1) @ scatter @ own
        spread = _diagonal(turned)
        log = np.log(spread).sum(axis=1)
        objective = np.empty(len(axes))
        if n_equal:
            objective[:n_equal] = d * np.log(np.add.reduceat(np.exp(log[:c] / d), firsts))
            objective[:n_equal] *= np.add.reduceat(mass[:c], firsts)
        if n_equal < len(axes):
            objective[n_equal:] = np.add.reduceat(mass[c:] * log[c:], group.first[n_equal:] - c)
        return turned, spread, objective

    turned, spread, objective = seen(axes)
    slack = 1e-12 * group.sums(mass)
    for _ in range(TURNS if d > 1 else 0):
        # With one volume 1 / e_kj is w_kj^-1 times a factor of the component, the mean of w_k: as good as its mass.
        factor = mass.copy()
        if n_equal:
            factor[:c] = np.exp(np.log(spread[:c]).mean(axis=1))
            factor[:c] *= (group.sums(mass)[:n_equal] / np.add.reduceat(factor[:c], firsts))[group.owner[:c]]
        inverse = factor[:, None] / spread
        gap = inverse[:, i] - inverse[:, j]
        slope = group.sums(turned[:, i, j] * gap)
        bend = np.abs(group.sums(gap * (spread[:, j] - spread[:, i])))
        angle = np.nan_to_num(np.clip(-slope / np.maximum(bend, 1e-300), -0.5, 0.5))
        for _ in range(TRIES):
            half = np.zeros_like(axes)
            half[:, i, j], half[:, j, i] = -0.5 * angle, 0.5 * angle
            tried = axes @ np.linalg.solve(identity - half, identity + half)
            found = seen(tried)
            worse = ~(found[2] <= objective + slack)
            if not worse.any():
                break
            angle = np.where(worse[:, None], 0.2 * angle, angle)
        else:
            tried = np.where(worse[:, None, None], axes, tried)
            found = seen(tried)
        axes = tried
        turned, spread, objective = found
    memory.axes[group.mixtures] = axes
    return axes, spread


def smoothed(table: Array, fraction: float = SMOOTHING) -> Array:
    """The table (K, q) of a start with pooled scatter in each component, as in ``initialize.smoothed``."""
    d = n_features_of(table)
    i, j = np.triu_indices(d)
    mass, first = table[:, :1], table[:, 1 : 1 + d]
    mean = first / mass
    scatter = table[:, 1 + d :] - first[:, i] * mean[:, j]
    added = fraction * mass.sum() / len(table)
    mass = mass + added
    scatter = scatter + added * scatter.sum(axis=0) / table[:, 0].sum()
    made = np.concatenate([mass, mass * mean, scatter + mass * mean[:, i] * mean[:, j]], axis=1)
    return np.asarray(made / (1 + fraction))  # masses that sum to more than the rows would make them more probable


def healthy(code: str, table: Array) -> bool:
    """Whether each component has the rows that a covariance of its own takes."""
    family = FAMILIES[code]
    return family.pooled or bool(table[:, 0].min() >= family.least_rows(n_features_of(table)))


def n_features_of(table: Array) -> int:
    """d of 1 + d + d (d + 1) / 2 columns."""
    return round((float(np.sqrt(8 * table.shape[1] + 1)) - 3) / 2)


# climbing -------------------------------------------------------------------------------------------------------------


def glance(board: Board, codes: Sequence[str], tables: Sequence[Array]) -> Array:
    """The log-likelihoods (m,), in units of the board, of the M-steps of tables (K, q); -inf for what is ill-placed."""
    order = sorted(range(len(codes)), key=lambda i: ORDER.index(codes[i]))
    plan = planned([codes[i] for i in order], np.array([len(tables[i]) for i in order], dtype=np.intp))
    table = np.concatenate([tables[i] for i in order])
    models = m_step(board, plan, table, Memory.none(len(table), len(order), board.n_features))
    found = np.empty(len(codes))
    found[order] = np.where(models.ill, -np.inf, log_likelihood(board, plan, models))
    return found


def first_model(board: Board, code: str, table: Array) -> Mixture:
    """The mixture that the M-step of a table makes."""
    plan = planned([code], np.array([len(table)], dtype=np.intp))
    models = m_step(board, plan, table, Memory.none(len(table), 1, board.n_features))
    return model_of(board, code, models.theta)


def climb(
    board: Board,
    codes: Sequence[str],
    tables: Sequence[Array],
    *,
    tol: float,
    cycles: int,
    beat: Sequence[float] | None = None,
    until: float | None = None,
) -> list[Reached]:
    """Each mixture, of family ``codes`` and with a first table (K, q), carried until less than ``tol`` nats are left to
    gain, as far as the gains of EM tell, or for so many cycles of three passes.  They are worked on together, in any
    order."""
    order = sorted(range(len(codes)), key=lambda i: ORDER.index(codes[i]))
    reached: dict[int, Reached] = {}
    active = np.array(order, dtype=np.intp)
    size = np.array([len(tables[i]) for i in order], dtype=np.intp)
    plan = planned([codes[i] for i in order], size)
    table = np.concatenate([tables[i] for i in order])
    memory = Memory.none(len(table), len(order), board.n_features)
    known: tuple[Array, Array, Array] | None = (
        None  # theta, table of its E-step, loglik: the last that was not ill-placed
    )
    rival = np.full(len(codes), -np.inf) if beat is None else np.array([beat[i] for i in order])
    passes = 0
    for cycle in range(cycles):
        zeroth = m_step(board, plan, table, memory)
        first, loglik0 = e_step(board, plan, zeroth)
        once = m_step(board, plan, first, memory)
        second, loglik1 = e_step(board, plan, once)
        ill = zeroth.ill | once.ill | ~np.isfinite(loglik1)
        tried, part = _leap(plan, table, first, second)
        behind = memory.copy()
        leapt = m_step(board, plan, tried, memory)
        third, loglik2 = e_step(board, plan, leapt)
        with np.errstate(invalid="ignore"):
            back = leapt.ill | ~_definite(board, plan, tried) | ~(loglik2 >= loglik1)
        each = back[plan.owner]
        if back.any():
            memory.volume = np.where(each, behind.volume, memory.volume)
            memory.axes = np.where(back[:, None, None], behind.axes, memory.axes)
        passes += 3
        model = np.where(each[:, None], once.theta, leapt.theta)
        seen = np.where(each[:, None], second, third)
        loglik = np.where(back, loglik1, loglik2)
        with np.errstate(all="ignore"):
            hopeless = loglik + PATIENCE * (loglik - loglik0) < rival
            still = np.where(part < 1, (loglik1 - loglik0) * np.maximum(part**2 / (1 - part**2), 1.0), np.inf)
            settled = (still < tol) & (loglik - loglik1 < tol)
            settled |= loglik - loglik0 < ROUNDED * np.abs(loglik)
        over = until is not None and time.monotonic() > until
        done = settled | ill | hopeless | (cycle == cycles - 1) | over
        for m in np.flatnonzero(done):
            own = slice(int(plan.first[m]), int(plan.first[m] + plan.size[m]))
            if ill[m]:
                if known is None:
                    reached[int(active[m])] = Reached(zeroth.theta[own], table[own], -np.inf, passes, True, False)
                else:
                    reached[int(active[m])] = Reached(
                        known[0][own], known[1][own], float(known[2][m]), passes, True, False
                    )
            else:
                reached[int(active[m])] = Reached(
                    model[own], seen[own], float(loglik[m]), passes, False, bool(settled[m])
                )
        if done.all():
            break
        table = seen
        known = (model, seen, loglik)
        if done.any():
            keep = ~done
            of = keep[plan.owner]
            active, size, table, rival = active[keep], plan.size[keep], table[of], rival[keep]
            known = (model[of], seen[of], known[2][keep])
            memory = Memory(memory.volume[of], memory.axes[keep])
            plan = planned([codes[i] for i in active], size)
    return [reached[i] for i in range(len(codes))]


def _leap(plan: Plan, table: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """The table that SQUAREM tries after three, and the part of a step (m,) that the next one of EM is long."""
    r = first - table
    v = (second - first) - r
    length, bend = np.sqrt(np.add.reduceat(np.stack([(r * r).sum(axis=1), (v * v).sum(axis=1)], axis=1), plan.first)).T
    after = np.sqrt(np.add.reduceat(((second - first) ** 2).sum(axis=1), plan.first))
    with np.errstate(all="ignore"):
        step = np.nan_to_num(np.clip(length / bend, 1.0, LONGEST), nan=1.0)
        part = np.nan_to_num(after / length)
    each = step[plan.owner][:, None]
    return table + 2 * each * r + each**2 * v, part


def _definite(board: Board, plan: Plan, table: Array) -> NDArray[np.bool_]:
    """Which mixtures (m,) have sums from which an M-step makes covariances: where it inverts scatter, that has to be
    positive definite; what comes from variances along axes shows itself."""
    sound = np.ones(len(plan.size), dtype=bool)
    if "free" not in plan.groups:
        return sound
    group = plan.groups["free"]
    own = table[group.place]
    with np.errstate(all="ignore"):
        scatter = _moments(board, own)[1]
    good = (own[:, 0] > 0) & np.isfinite(scatter.sum(axis=(1, 2)))
    scatter[~good] = np.eye(board.n_features)
    for begin in range(0, len(scatter), CHUNK):
        part = slice(begin, begin + CHUNK)
        try:
            np.linalg.cholesky(scatter[part])
        except np.linalg.LinAlgError:
            good[part] &= np.linalg.eigvalsh(scatter[part])[:, 0] > 0
    sound[group.mixtures] = np.logical_and.reduceat(good, group.first)
    return sound
