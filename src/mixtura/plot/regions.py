"""Contours of the density around the smallest regions that hold stated shares of its probability.

The highest-density region of probability p is

    { x : p(x) >= c },        c the (1 - p)-quantile of p(x) for x drawn from p

the smallest of all regions of that probability, in as many pieces as it takes.  The quantile is that of DRAWS points
drawn by a fixed seed, so that a region holds p up to sqrt(p (1 - p) / DRAWS), at most 0.0036.

Reference: R. J. Hyndman, "Computing and graphing highest density regions", The American Statistician 50, 1996.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import validation
from mixtura.mixture import Mixture, mixture_of
from mixtura.plot.canvas import (
    axes_of,
    draw_numbers,
    feature_of,
    model_in,
    names_of,
    net,
    part_of,
    probabilities,
    remark,
    sampled,
    two_features,
    widened,
)
from mixtura.plot.style import LEGEND, OKABE_ITO, color_of, shades
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWS = 20_000
"""Points of which the levels are quantiles."""

MESH = 160
"""Meshes of the grid along each axis, before those where components are."""

POINTS_BEHIND = 5_000
"""Rows under the contours; more of them would hide the shades."""


def contours(
    model: object,
    X: ArrayLike | None = None,
    *,
    features: Sequence[int] | None = None,
    probability: float | Sequence[float] = (0.5, 0.8, 0.95),
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the smallest regions that hold stated shares of the probability, shaded and bounded by density contours.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features.
    X : array-like or frame of shape (n, d), optional
        Rows to draw; of more than 5,000 a random subset, and the picture says so.
    features : one or two int, optional
        Features to draw: of two the plane, of one the density with its intervals; default the first two, or the only
        one.  Regions are those of the marginal of these.
    probability : float or sequence of float, each in (0, 1)
        Share of the probability inside each region.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    feature_names : sequence of d str, optional
        Names for the axes; default those of X or of the estimator, if they have names.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If a feature is out of range, X has another number of columns or an entry that is infinite, or a probability is
        not between 0 and 1.
    ImportError
        If matplotlib is missing.

    References
    ----------
    R. J. Hyndman, "Computing and graphing highest density regions", The American Statistician 50, 1996.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import contours
    >>> m = Mixture([0.5, 0.5], [[0.0, 0.0], [4.0, 4.0]], [1.0, 2.0])
    >>> ax = contours(m, probability=[0.5, 0.9], feature_names=["length", "width"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()], ax.get_ylabel()
    (['50%', '90%'], 'width')
    """
    model = model_in(model)
    mixture = mixture_of(model)
    d = mixture.n_features
    chosen = list(range(min(d, 2))) if features is None else features
    one = isinstance(chosen, Sequence | np.ndarray) and len(chosen) == 1
    columns = [feature_of(chosen[0], d)] if one else [*two_features(chosen, d)]
    shares = probabilities(probability)
    names = names_of(model, X, feature_names, d)
    rows = np.empty((0, len(columns)))
    if X is not None:
        rows = np.asarray(validation.points(X, d)[:, columns], dtype=np.float64)
        rows = rows[~np.isnan(rows).any(axis=1)]
    ax = axes_of(ax)

    part = mixture.marginal(columns)
    drawn = sampled(rows, POINTS_BEHIND)
    colors = [color_of(k) for k in range(mixture.n_components)]
    remark(ax, part_of(len(drawn), len(rows)))
    if one:
        _draw_intervals(ax, part, drawn[:, 0], shares)
        ax.set_ylabel("density")
    else:
        ax.scatter(drawn[:, 0], drawn[:, 1], s=4, color="0.25", alpha=0.35, linewidths=0, zorder=1.5, rasterized=True)
        draw_regions(ax, part, shares, drawn)
        draw_numbers(ax, part.means, colors)
        ax.set_ylabel(names[columns[1]])
    ax.set_xlabel(names[columns[0]])
    _region_legend(ax, shares)
    return ax


def levels_of(mixture: Mixture, shares: Sequence[float], draws: int = DRAWS) -> tuple[Array, Array]:
    """The density at the bound of the region of each share, and points drawn within the largest of them."""
    points, _ = mixture.sample(draws, rng=0)
    log_p = mixture.logpdf(points)
    bounds = np.quantile(log_p, [1 - share for share in shares])
    return np.exp(bounds), points[log_p >= bounds.min()]


def draw_regions(
    ax: Axes, plane: Mixture, shares: list[float], rows: Array, *, draws: int = DRAWS, mesh: int = MESH
) -> None:
    """Shade the regions of these shares, in increasing order, in limits that hold them and the rows (n, 2)."""
    levels, inside = levels_of(plane, shares, draws)
    seen = np.vstack([inside, rows])
    sides = [widened(float(seen[:, i].min()), float(seen[:, i].max()), 0.05) for i in (0, 1)]
    ax.set_xlim(*sides[0])
    ax.set_ylim(*sides[1])
    deviations = np.sqrt(plane.layout.diagonal)
    x, y = (_lines(plane.means[:, i], deviations[:, i], *sides[i], mesh) for i in (0, 1))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    p = plane.pdf(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    steps = np.unique(levels)  # those of shares too near for their difference to be seen are one
    paints = shades(len(shares))[len(shares) - len(steps) :]
    ax.contourf(x, y, p, levels=[*steps, np.inf], colors=paints, zorder=1)
    ax.contour(x, y, p, levels=steps, colors=[OKABE_ITO[0]], linewidths=1.0, zorder=2)


def _lines(means: Array, deviations: Array, low: float, high: float, mesh: int) -> Array:
    """Lines of a grid: an even net, and more where components are, which may be narrower than its meshes."""
    offsets = np.linspace(-3, 3, int(np.clip(mesh // len(means), 3, 13)) | 1)
    near = (means[:, None] + deviations[:, None] * offsets).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, mesh + 1), near[(near > low) & (near < high)]]))


def _draw_intervals(ax: Axes, line: Mixture, values: Array, shares: list[float]) -> None:
    levels, inside = levels_of(line, shares)
    span = (float(values.min()), float(values.max())) if len(values) else (float(inside.min()), float(inside.max()))
    x = net(line.means[:, 0], np.sqrt(line.layout.diagonal[:, 0]), span)
    p = line.pdf(x[:, None])
    for level, paint in zip(reversed(levels), shades(len(shares)), strict=True):
        ax.fill_between(x, np.where(p >= level, p, 0.0), step=None, where=p >= level, color=paint, linewidth=0)
    ax.plot(x, p, color=OKABE_ITO[0], linewidth=1.6)
    ax.plot(values, np.zeros(len(values)), "|", color="0.25", markersize=7, alpha=0.4, clip_on=False, rasterized=True)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(bottom=0)


def _region_legend(ax: Axes, shares: list[float]) -> None:
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=paint, edgecolor=OKABE_ITO[0], label=f"{100 * share:g}%")
        for share, paint in zip(shares, reversed(shades(len(shares))), strict=True)
    ]
    ax.legend(handles=handles, title="highest density", **LEGEND)
