"""Profiles of the components: all features side by side, each on a scale of its own, in its own unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import validation
from mixtura.mixture import mixture_of, model_of
from mixtura.plot.canvas import axes_of, model_in, names_of, part_of, remark, sampled
from mixtura.plot.style import BACKGROUND, DASHES, LEGEND, MARKERS, NAMED, color_of, component_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_BEHIND = 300
"""Rows as lines; more of them make a surface."""

BANDS = 8
"""Bands of more components than this cover each other."""

SCALED = 16
"""Up to this many features each axis bears the numbers at its ends."""


def profiles(
    model: object,
    X: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the mean of each component, with a band of one standard deviation, across all features.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features; with more than eight components the bands are left out.
    X : array-like or frame of shape (n, d), optional
        Rows as thin lines behind the components; of more than 300 a random subset, and the picture says so.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    feature_names : sequence of d str, optional
        Names of the features; default those of X or of the estimator, if they have names.

    Returns
    -------
    matplotlib Axes
        With a scale for each feature, whose ends are told in its own unit.

    Raises
    ------
    ValueError
        If X has another number of columns or an entry that is infinite.
    ImportError
        If matplotlib is missing.

    References
    ----------
    A. Inselberg, "The plane with parallel coordinates", The Visual Computer 1, 1985.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import profiles
    >>> m = Mixture([0.5, 0.5], [[0.0, 10.0, 3.0], [4.0, 20.0, 3.0]], [1.0, 1.0])
    >>> ax = profiles(m, feature_names=["length", "weight", "age"])
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['length', 'weight', 'age']
    """
    model = model_in(model)
    mixture = mixture_of(model)
    K, d = mixture.n_components, mixture.n_features
    names = names_of(model, X, feature_names, d)
    rows = np.empty((0, d))
    if X is not None:
        rows = np.asarray(validation.points(X, d), dtype=np.float64)
    ax = axes_of(ax)

    drawn = sampled(rows, ROWS_BEHIND)
    deviations = np.sqrt(mixture.layout.diagonal)
    seen = np.concatenate([mixture.means - 1.2 * deviations, mixture.means + 1.2 * deviations, drawn])
    low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    scale = np.where(high > low, high - low, 1.0)  # far from zero, a narrow feature has no width in float64
    place = np.arange(d)
    colors = [color_of(k) for k in range(K)]
    if len(drawn):
        from matplotlib.collections import LineCollection

        labels = model_of(model).predict(drawn)
        heights = (drawn - low) / scale
        ax.add_collection(
            LineCollection(
                [np.column_stack([place, row]) for row in heights],
                colors=[[*colors, BACKGROUND][label] for label in labels],
                linewidths=0.5,
                alpha=0.18,
                rasterized=True,
            )
        )
    weights = model_of(model).weights
    for k, color in enumerate(colors):
        middle, spread = (mixture.means[k] - low) / scale, deviations[k] / scale
        if K <= BANDS:
            ax.fill_between(place, middle - spread, middle + spread, color=color, alpha=0.25, linewidth=0)
        ax.plot(
            place,
            middle,
            color=color,
            linestyle="-" if k == 0 else DASHES[(k - 1) % len(DASHES)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=1.8,
            label=component_label(k, weights) if K <= NAMED else None,
            zorder=3,
        )
    ax.vlines(place, 0, 1, color="0.6", linewidth=0.8, zorder=0.5)
    for j in range(d):
        if d <= SCALED:
            style: dict[str, Any] = {"ha": "center", "fontsize": "x-small", "color": "0.25"}
            ax.annotate(_number(high[j]), (j, 1), (0, 3), textcoords="offset points", va="bottom", **style)
            ax.annotate(_number(low[j]), (j, 0), (0, -3), textcoords="offset points", va="top", **style)
    ax.set_xlim(-0.3, d - 0.7)
    ax.set_ylim(-0.09, 1.09)
    turned = d > 6 or max(len(name) for name in names) * d > 40
    ax.set_xticks(place, names, rotation=45 if turned else 0, ha="right" if turned else "center")
    if turned:
        for label in ax.get_xticklabels():
            label.set_rotation_mode("anchor")
    ax.set_yticks([])
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    what = "mean and standard deviation" if K <= BANDS else "mean"
    ax.set_ylabel(f"{what},\neach feature on its own scale")
    remark(ax, part_of(len(drawn), len(rows)))
    if K <= NAMED:
        ax.legend(**LEGEND | {"loc": "center left", "framealpha": 0}, bbox_to_anchor=(1.0, 0.5), handlelength=3)
    return ax


def _number(value: float) -> str:
    """Three digits, without an exponent where that is short."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return np.format_float_positional(value, precision=3, fractional=False, trim="-")
    return f"{value:.3g}"
