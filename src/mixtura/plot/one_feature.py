"""The density of one feature: its components, their sum, and a histogram of the rows.

Of all widths of bars

    h = ( 6 / (n int p'(x)^2 dx) )^(1/3)

brings the histogram of n rows nearest to the density p that they come from, in mean square: where p has a narrow
component the bars are narrow too.

Reference: D. W. Scott, "On optimal and data-based histograms", Biometrika 66, 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid
from scipy.stats import norm

from mixtura import validation
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.plot.canvas import axes_of, draw_numbers, feature_of, model_in, names_of, net
from mixtura.plot.style import DASHES, LEGEND, MAX_BINS, NAMED, color_of, component_label
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def density(
    model: object,
    X: ArrayLike | None = None,
    *,
    feature: int = 0,
    ax: Axes | None = None,
    bins: int | str | Sequence[float] | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the density of one feature, its weighted components, and a histogram of X.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features; with d > 1 its marginal is drawn.
    X : array-like or frame of shape (n, d), optional
        Rows for the histogram; with d = 1 also of shape (n,).
    feature : int
        The feature to draw.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    bins : int, str or sequence of float, optional
        As for ``numpy.histogram``; "auto", and the default, which suits the density (Scott 1979) but is not coarser
        than "auto", make at most 200. Bars are shares of all n rows over
        their width, so that they compare with the density even where the bins leave rows out.
    feature_names : sequence of d str, optional
        Names of the features; default those of X or of the estimator, if they have names.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the feature is out of range, or X has another number of columns or an entry that is not
        finite.
    ImportError
        If matplotlib is missing.

    References
    ----------
    D. W. Scott, "On optimal and data-based histograms", Biometrika 66, 1979.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import density
    >>> m = Mixture([0.3, 0.7], [[0.0], [4.0]], [1.0, 0.5])
    >>> ax = density(m, m.sample(500, rng=0)[0], feature_names=["length"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('length', 'density')
    """
    model = model_in(model)
    mixture = mixture_of(model)
    index = feature_of(feature, mixture.n_features)
    names = names_of(model, X, feature_names, mixture.n_features)
    values = None
    if X is not None:
        values = np.asarray(validation.points(X, mixture.n_features)[:, index], dtype=np.float64)
        values = values[~np.isnan(values)]
    ax = axes_of(ax)

    whole = model_of(model)
    background = 0.0 if whole.background is None else whole.background.weight
    line = mixture.marginal([index])
    means, deviations = line.means[:, 0], np.sqrt(line.covariances[:, 0, 0])
    span = None
    if values is not None and len(values):
        where: Any = bins
        if bins is None:
            where = bars(values, line)
        elif isinstance(bins, str) and bins == "auto":
            where = auto_bins(values)
        counts, edges = np.histogram(values, bins=where)
        heights = counts / (len(values) * np.diff(edges))
        ax.stairs(heights, edges, fill=True, color="0.82", label=f"{len(values):,} rows")
        span = float(values.min()), float(values.max())
    x = net(means, deviations, span)
    weights = (1 - background) * line.weights
    parts = weights * norm.pdf(x[:, None], means, deviations)
    colors = [color_of(k) for k in range(mixture.n_components)]
    for k, color in enumerate(colors):
        label = component_label(k, weights) if mixture.n_components <= NAMED else None
        ax.plot(
            x,
            parts[:, k],
            color=color,
            linestyle=DASHES[k % len(DASHES)],
            linewidth=1.6,
            label=label,
        )
        if values is None:
            ax.fill_between(x, parts[:, k], color=color, alpha=0.10, linewidth=0)
    name = "mixture" if whole.background is None else f"components; background {background:.0%}"
    ax.plot(x, parts.sum(axis=1), color="black", linewidth=1.8, label=name)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(bottom=0)
    draw_numbers(ax, np.column_stack([means, weights * norm.pdf(0) / deviations]), colors)
    ax.set_xlabel(names[index])
    ax.set_ylabel("density")
    ax.legend(**LEGEND)
    return ax


def bars(values: Array, line: Mixture) -> Array:
    """Edges of bars that suit the density of a mixture of one feature."""
    means, deviations = line.means[:, 0], np.sqrt(line.layout.diagonal[:, 0])
    x = net(means, deviations, None)
    z = (x[:, None] - means) / deviations
    slope = (-z * norm.pdf(z) / deviations**2) @ line.weights
    rough = float(trapezoid(slope**2, x))
    # A density that is narrower than float64 can tell, where it lies, has no slope to see.
    return auto_bins(values, float(np.cbrt(6 / (len(values) * rough))) if rough > 0 else np.inf)


def auto_bins(values: Array, widest: float = np.inf) -> Array:
    """NumPy's "auto" rule, or bars of a given width if they are narrower, with a bound: one far row would otherwise
    make millions of bins."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = max(0.5, 8 * float(np.spacing(abs(low))))
        return np.array([low - half, low + half])
    quarters = np.percentile(values, [25, 75])
    freedman_diaconis = 2 * (quarters[1] - quarters[0]) / np.cbrt(len(values))
    sturges = (high - low) / (np.log2(len(values)) + 1)
    width = min(float(min(freedman_diaconis, sturges) or sturges), widest)
    n_bins = int(np.clip(np.ceil((high - low) / width), 1, MAX_BINS))
    # Where the values are neighbouring floats, so are some of the edges: no bin may be empty.
    return np.unique(np.linspace(low, high, n_bins + 1))
