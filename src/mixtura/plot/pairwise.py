"""Features two by two: rows above the diagonal, the density below it, and each feature alone on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from mixtura import validation
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.plot.canvas import (
    draw_ellipses,
    draw_rows,
    model_in,
    names_of,
    net,
    part_of,
    probabilities,
    pyplot,
    sampled,
    widened,
)
from mixtura.plot.one_feature import bars
from mixtura.plot.regions import draw_regions
from mixtura.plot.style import BACKGROUND, DASHES, MARKERS, NAMED, QUIET, SHAPED_ROWS, color_of, component_label
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FEATURES = 5
"""More features than this make pictures too small to read."""

ROWS_TWO_BY_TWO = 2_500
"""Rows in each picture, of which there are many."""

DRAWS, MESH = 5_000, 60
"""As for one picture of regions, which is four times as large."""


def pairs(
    model: object,
    X: ArrayLike | None = None,
    *,
    features: Sequence[int] | None = None,
    probability: float | Sequence[float] = (0.5, 0.9),
    figure: Figure | None = None,
    feature_names: Sequence[str] | None = None,
) -> NDArray[Any]:
    """Draw all pairs of features: rows and ellipses above, the density below, and marginals on the diagonal.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features.
    X : array-like or frame of shape (n, d), optional
        Rows; histograms are of all of them, of more than 2,500 a random subset is drawn, and the figure says so.
    features : sequence of m int, optional
        Features to draw, in this order; default all of them, or the first five.
    probability : float or sequence of float, each in (0, 1)
        Share of the probability inside the regions below the diagonal; the largest is also that of a component's own
        probability inside its ellipse, above the diagonal, where there are no more than twelve.
    figure : matplotlib Figure, optional
        Where to draw; a new one when None.
    feature_names : sequence of d str, optional
        Names for the axes; default those of X or of the estimator, if they have names.

    Returns
    -------
    ndarray of Axes, of shape (m, m)

    Raises
    ------
    ValueError
        If a feature is out of range or comes twice, X has another number of columns or an entry that is infinite, or a
        probability is not between 0 and 1.
    ImportError
        If matplotlib is missing.

    References
    ----------
    J. W. Emerson et al., "The generalized pairs plot", Journal of Computational and Graphical Statistics 22, 2013.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import pairs
    >>> m = Mixture([0.5, 0.5], [[0.0, 0.0, 1.0], [4.0, 4.0, 0.0]], [1.0, 2.0])
    >>> axes = pairs(m, m.sample(200, rng=0)[0], feature_names=["length", "width", "age"])
    >>> axes.shape, axes[2, 0].get_xlabel(), axes[2, 0].get_ylabel()
    ((3, 3), 'length', 'age')
    """
    model = model_in(model)
    mixture = mixture_of(model)
    K, d = mixture.n_components, mixture.n_features
    chosen = list(range(min(d, MOST_FEATURES))) if features is None else validation.indices(features, d, "features")
    levels = probabilities(probability)
    names = names_of(model, X, feature_names, d)
    rows = np.empty((0, d))
    if X is not None:
        rows = np.asarray(validation.points(X, d), dtype=np.float64)
    m = len(chosen)
    if figure is None:
        figure = pyplot().figure(figsize=(2.0 * m + 0.6, 2.0 * m + 0.9), layout="constrained")
    axes: NDArray[Any] = figure.subplots(m, m, squeeze=False)

    drawn = sampled(rows, ROWS_TWO_BY_TWO)
    whole = model_of(model)
    labels = whole.predict(drawn) if len(drawn) else np.empty(0, dtype=np.intp)
    colors = [color_of(k) for k in range(K)]
    limits = [_limits(mixture.means[:, j], np.sqrt(mixture.layout.diagonal[:, j]), drawn[:, j]) for j in chosen]
    for row, i in enumerate(chosen):
        for place, j in enumerate(chosen):
            ax = axes[row, place]
            if i == j:
                _draw_alone(ax, mixture.marginal([i]), whole.weights, rows[:, i], colors)
            elif row < place:
                told = ~np.isnan(drawn[:, [j, i]]).any(axis=1)
                if told.any():
                    draw_rows(ax, drawn[told][:, [j, i]], labels[told], [*colors, BACKGROUND])
                plane = mixture.marginal([j, i])
                for k, color in enumerate(colors if K <= NAMED else []):  # more of them hide the rows
                    draw_ellipses(ax, plane.means[k], plane.covariances[k], levels[-1:], color)
            else:
                draw_regions(ax, mixture.marginal([j, i]), levels, np.empty((0, 2)), draws=DRAWS, mesh=MESH)
            ax.set_xlim(*limits[place])
            if i != j:
                ax.set_ylim(*limits[row])
            if row == 0 and 0 < place == m - 1:  # on the left, the first row has a density
                ax.tick_params(labelright=True, right=True)
            ax.tick_params(labelsize="small", labelbottom=row == m - 1, labelleft=place == 0 and i != j)
    for place, j in enumerate(chosen):
        axes[-1, place].set_xlabel(names[j])
        axes[place, 0].set_ylabel(names[j] if m > 1 else "density")
    said = [part_of(len(drawn), len(rows)), part_of(m, d, "features") if features is None else ""]
    if any(said):
        figure.suptitle("; ".join(part for part in said if part), fontsize="small", color=QUIET, x=0.98, ha="right")
    if K <= NAMED:
        _figure_legend(figure, colors, whole.weights, shaped=0 < len(drawn) <= SHAPED_ROWS)
    return axes


def _limits(means: Array, deviations: Array, values: Array) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    low, high = float((means - 2.5 * deviations).min()), float((means + 2.5 * deviations).max())
    if len(values):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    return widened(low, high, 0.04)


def _draw_alone(ax: Any, line: Mixture, weights: Array, values: Array, colors: list[Any]) -> None:
    values = values[~np.isnan(values)]
    span = None
    if len(values):
        counts, edges = np.histogram(values, bins=bars(values, line))
        ax.stairs(counts / (len(values) * np.diff(edges)), edges, fill=True, color="0.82")
        span = float(values.min()), float(values.max())
    means, deviations = line.means[:, 0], np.sqrt(line.layout.diagonal[:, 0])
    x = net(means, deviations, span)
    parts = weights * norm.pdf(x[:, None], means, deviations)
    for k, color in enumerate(colors):
        ax.plot(x, parts[:, k], color=color, linestyle=DASHES[k % len(DASHES)], linewidth=1.3)
    ax.plot(x, parts.sum(axis=1), color="black", linewidth=1.4)
    ax.set_ylim(bottom=0)
    ax.set_yticks([])


def _figure_legend(figure: Figure, colors: list[Any], weights: Array, *, shaped: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=color,
            linestyle=DASHES[k % len(DASHES)],
            marker=MARKERS[k % len(MARKERS)] if shaped else "",
            label=component_label(k, weights),
        )
        for k, color in enumerate(colors)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), fontsize="small")
