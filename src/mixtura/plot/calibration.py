"""Whether rows are as the model says: quantiles against quantiles, and probability integral transforms.

If x comes from the mixture, and F_j is the distribution of feature j given the features before it, then

    u_j = F_j(x_j | x_1, ..., x_j-1) = sum_k r_k(x_1, ..., x_j-1) Phi(z_kj),    z_k = L_k^-1 (x - m_k),  S_k = L_k L_k'

are uniform on (0, 1) and independent for all rows and features (Rosenblatt).  r_k are the responsibilities by the
features before j, of which each adds log N(z_kj | 0, 1) - log L_kjj to the log joint: one triangular solve for each
component tells all of them.

The i-th smallest of n uniform numbers is Beta(i, n + 1 - i), the count of a bar of width h is Binomial(n, h): bands
hold 95 % of either, point by point.  Parameters that were fitted to the same rows make rows a little more like the
model than that.

Rows beside a background count by the share that is not background, whose distribution is that of the components.

References: M. Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics 23, 1952;
A. P. Dawid, "Present position and potential developments: some personal views. Statistical theory: the prequential
approach", Journal of the Royal Statistical Society A 147, 1984.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, ndtr, ndtri
from scipy.stats import beta, binom

from mixtura import evaluate, validation
from mixtura.engine import make_engine
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.plot.canvas import axes_of, feature_of, model_in, names_of, part_of, remark, sampled
from mixtura.plot.style import LEGEND, OKABE_ITO
from mixtura.rows import AnyArray, Array, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTILES = 1_000
"""More points than this lie on each other."""

BAND = 0.95
"""Share of what the model makes inside a band, point by point."""


def qq(
    model: object,
    X: ArrayLike,
    *,
    feature: int = 0,
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the quantiles of one feature of the rows against those of the model.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features; with d > 1 its marginal is what rows are compared with.
    X : array-like or frame of shape (n, d)
        Rows; missing values are left out.  All of them count, but of more than 1,000 not each is a point.
    feature : int
        The feature to look at.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    feature_names : sequence of d str, optional
        Names of the features; default those of X or of the estimator, if they have names.

    Returns
    -------
    matplotlib Axes
        With the line of equal quantiles, and a band that holds 95 % of each.

    Raises
    ------
    ValueError
        If the feature is out of range, it has no value in X, or X has another number of columns or an entry that is
        infinite.
    ImportError
        If matplotlib is missing.

    References
    ----------
    M. B. Wilk and R. Gnanadesikan, "Probability plotting methods for the analysis of data", Biometrika 55, 1968.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import qq
    >>> m = Mixture([0.3, 0.7], [[0.0], [4.0]], [1.0, 0.5])
    >>> ax = qq(m, m.sample(500, rng=0)[0], feature_names=["length"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('length by the model', 'length as observed')
    """
    model = model_in(model)
    mixture = mixture_of(model)
    index = feature_of(feature, mixture.n_features)
    names = names_of(model, X, feature_names, mixture.n_features)
    rows = _told(validation.points(X, mixture.n_features), [index])
    ax = axes_of(ax)

    line = mixture.marginal([index])
    weight = share_of_components(model_of(model), rows)
    expected, observed, lower, upper = against(line, rows[:, index], weight, QUANTILES)
    ax.fill_between(expected, lower, upper, color="0.82", linewidth=0, label=f"{BAND:.0%} of each quantile")
    ends = [float(min(expected[0], observed[0])), float(max(expected[-1], observed[-1]))]
    ax.plot(ends, ends, color="black", linewidth=1.0)
    ax.plot(expected, observed, "o", color=OKABE_ITO[0], markersize=3.5, markeredgewidth=0, rasterized=True)
    remark(ax, part_of(len(observed), len(rows)), _beside(model))
    ax.set_xlabel(f"{names[index]} by the model")
    ax.set_ylabel(f"{names[index]} as observed")
    ax.legend(**LEGEND | {"loc": "upper left"})
    return ax


def pit(
    model: object,
    X: ArrayLike,
    *,
    feature: int | None = None,
    bins: int = 20,
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the probability integral transforms of the rows, which are uniform if these come from the model.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features.
    X : array-like or frame of shape (n, d)
        Rows; incomplete ones are left out.  Of more than 20,000 a random subset counts, and the picture says so.
    feature : int, optional
        A feature, transformed by its own distribution; default all of them, each by its distribution given the
        features before it.
    bins : int
        Number of bars.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    feature_names : sequence of d str, optional
        Names of the features; default those of X or of the estimator, if they have names.

    Returns
    -------
    matplotlib Axes
        With the density 1 of uniform numbers, and a band that holds 95 % of each bar.

    Raises
    ------
    ValueError
        If the feature is out of range, no row is complete, or X has another number of columns or an entry that is
        infinite.
    ImportError
        If matplotlib is missing.

    References
    ----------
    M. Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics 23, 1952.
    A. P. Dawid, "Present position and potential developments: some personal views. Statistical theory: the
    prequential approach", Journal of the Royal Statistical Society A 147, 1984.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import pit
    >>> m = Mixture([0.3, 0.7], [[0.0, 0.0], [4.0, 1.0]], [1.0, 0.5])
    >>> ax = pit(m, m.sample(500, rng=0)[0], feature=1, feature_names=["length", "width"])
    >>> ax.get_xlabel()
    'probability integral transform of width'
    """
    model = model_in(model)
    mixture = mixture_of(model)
    d = mixture.n_features
    columns = list(range(d)) if feature is None else [feature_of(feature, d)]
    bins = validation.count(bins, "bins")
    names = names_of(model, X, feature_names, d)
    rows = _told(validation.points(X, d), columns)
    ax = axes_of(ax)

    drawn = sampled(rows)
    u = rosenblatt(mixture.marginal(columns), drawn[:, columns])
    weight = np.repeat(share_of_components(model_of(model), drawn), len(columns))
    heights, edges, low, high = transforms(u, weight, bins)
    ax.axhspan(low, high, color="0.82", linewidth=0, label=f"{BAND:.0%} of each bar")
    ax.stairs(heights, edges, fill=True, color=OKABE_ITO[0], alpha=0.55)
    ax.stairs(heights, edges, color=OKABE_ITO[0], linewidth=1.2)
    ax.axhline(1, color="black", linewidth=1.0)
    remark(ax, part_of(len(drawn), len(rows)), _beside(model))
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.25 * max(float(heights.max()), high))
    of = names[columns[0]] if len(columns) == 1 else f"{d} features,\neach given those before"
    ax.set_xlabel(f"probability integral transform of {of}")
    ax.set_ylabel("density")
    ax.legend(**LEGEND | {"loc": "upper right"})
    return ax


def against(line: Mixture, values: AnyArray, weight: Array, most: int) -> tuple[Array, Array, Array, Array]:
    """Quantiles of values (n,), of this ``weight``, against those of a mixture of one feature: expected and observed,
    and the ends of the band about what is expected, ``most`` (more than 200) of them or fewer."""
    order = np.argsort(values, kind="stable")
    observed = np.asarray(values[order], dtype=np.float64)
    total = float(weight.sum())
    ranks = (np.cumsum(weight[order]) - 0.5 * weight[order]) / total
    if len(observed) > most:
        # Even steps, and each row of the tails, which is where a model fails.
        even = np.linspace(0, len(observed) - 1, most - 100).round().astype(int)
        chosen = np.unique(np.concatenate([np.arange(50), even, np.arange(len(observed) - 50, len(observed))]))
    else:
        chosen = np.arange(len(observed))
    p = np.clip(ranks[chosen], 0.5 * np.finfo(float).eps, 1 - 0.5 * np.finfo(float).eps)
    place = p * total + 0.5
    tail = (1 - BAND) / 2
    lower, upper = (quantiles(line, beta.ppf(q, place, total + 1 - place)) for q in (tail, 1 - tail))
    return quantiles(line, p), observed[chosen], lower, upper


def transforms(u: Array, weight: Array, bins: int) -> tuple[Array, Array, float, float]:
    """Heights and edges of the bars of probability integral transforms ``u``, of this ``weight``, and the band of
    each height."""
    counts, edges = np.histogram(u.ravel(), bins=bins, range=(0, 1), weights=weight)
    total = float(weight.sum())
    low, high = binom.interval(BAND, max(1, round(total)), 1 / bins)
    return counts * bins / total, edges, float(low) * bins / total, float(high) * bins / total


def rosenblatt(mixture: Mixture, x: AnyArray) -> Array:
    """Rosenblatt's transform of complete rows, (n, d): uniform and independent if rows come from the mixture."""
    x = np.asarray(x, dtype=np.float64)
    n, d = x.shape
    with np.errstate(divide="ignore"):
        log_joint = np.broadcast_to(np.log(mixture.weights), (n, mixture.n_components)).copy()
    factors = np.linalg.cholesky(mixture.layout.dense)
    z = np.stack(
        [np.linalg.solve(factor, (x - mean).T) for factor, mean in zip(factors, mixture.means, strict=True)]
    )  # (K, d, n)
    u = np.empty((n, d))
    for j in range(d):
        resp = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
        u[:, j] = np.einsum("nk,kn->n", resp, ndtr(z[:, j]))
        log_joint -= (0.5 * z[:, j] ** 2 + np.log(factors[:, j, j])[:, None]).T
    return np.clip(u, 0.0, 1.0)


def quantiles(line: Mixture, p: Array) -> Array:
    """Where the distribution of a mixture of one feature reaches each p, by halving an interval that holds it."""
    means, deviations = line.means[:, 0], np.sqrt(line.layout.diagonal[:, 0])
    # The mixture reaches p between the least and the greatest of the components' own quantiles of p.
    own = means + deviations * ndtri(p)[:, None]
    low, high = own.min(axis=1), own.max(axis=1)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = ndtr((middle[:, None] - means) / deviations) @ line.weights < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def _told(rows: AnyArray, columns: list[int]) -> AnyArray:
    """The rows that tell these features; ValueError if there is none."""
    told = rows[~np.isnan(rows[:, columns]).any(axis=1)]
    if len(told) == 0:
        raise ValueError("X must have at least one row without missing values, got none: give rows to compare")
    return told


def share_of_components(model: Mixture, rows: AnyArray) -> Array:
    """How much of each row is not background, (n,)."""
    if model.background is None:
        return np.ones(len(rows))
    found = evaluate.responsibilities(model, Rows(rows, missing=validation.missing(rows)), make_engine())
    return np.asarray(1 - found[:, -1], dtype=np.float64)


def _beside(model: object) -> str:
    return "" if model_of(model).background is None else "background left out"
