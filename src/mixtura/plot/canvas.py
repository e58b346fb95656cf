"""What all pictures share: where they are drawn, what features are called, which of them and how much of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from mixtura.mixture import Mixture, mixture_of
from mixtura.plot.style import LEGEND, MARKERS, NAMED, QUIET, ROWS_DRAWN, SHAPED_ROWS, component_label
from mixtura.rows import AnyArray, Array
from mixtura.select import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def model_in(model: object) -> object:
    """The estimator or Mixture to draw: of a Selection, its winner."""
    return model.best_ if isinstance(model, Selection) else model


def fit_in(model: object, picture: str) -> object:
    """The estimator of which a ``picture`` shows how it was fitted; ValueError for a Mixture, and for what is none."""
    model = model_in(model)
    if isinstance(model, Mixture):
        raise ValueError(
            f"{picture} needs a fitted estimator, got a Mixture, which keeps no record of a fit: "
            "pass the GaussianMixture whose mixture_ it is"
        )
    mixture_of(model)
    return model


def sampled(rows: AnyArray, most: int = ROWS_DRAWN) -> AnyArray:
    """At most so many of the rows, drawn by a fixed seed, in random order: no component is painted over the others."""
    if len(rows) <= most:
        return rows
    return rows[np.random.default_rng(0).choice(len(rows), most, replace=False)]


def remark(ax: Axes, *parts: str) -> None:
    """Say above the picture, on its right, what it leaves out or presumes."""
    said = "; ".join(part for part in parts if part)
    if said:
        ax.set_title(said, loc="right", fontsize="small", color=QUIET)


def widened(low: float, high: float, share: float) -> tuple[float, float]:
    """An interval with room on both sides, also where it has no width: far from zero, narrow things have none."""
    room = max(share * (high - low), 8 * float(np.spacing(max(abs(low), abs(high)))))
    return low - room, high + room


def part_of(drawn: int, n: int, what: str = "rows") -> str:
    """How many rows are drawn of how many, if not all are."""
    return f"{drawn:,} of {n:,} {what}" if drawn < n else ""


def axes_of(ax: Axes | None) -> Axes:
    """``ax``, or the axes of a new figure: only then is pyplot needed, which looks for a screen."""
    return pyplot().subplots(layout="constrained")[1] if ax is None else ax


def pyplot() -> Any:
    """matplotlib.pyplot; ImportError, with what to do, if it is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('pictures need matplotlib, which is not installed: pip install "mixtura[plot]"') from error
    return plt


def names_of(model: object, X: object, given: Sequence[str] | None, d: int) -> list[str]:
    """A name for each feature: the one given, else that of X, of the estimator, or its index."""
    # Arrow tables keep their names in column_names and data in columns; pandas and polars have
    # names in columns.
    own = _strings(getattr(X, "column_names", getattr(X, "columns", None)), d)
    fitted = _strings(getattr(model, "feature_names_in_", None), d)
    if own and fitted and own != fitted:
        raise ValueError(
            f"expected X with the columns {fitted} of the fit, in this order, got {own}: select them from X"
        )
    if given is None:
        unnamed = ["x"] if d == 1 else [f"feature {index}" for index in range(d)]
        return own or fitted or unnamed
    if isinstance(given, str) or len(given) != d:
        raise ValueError(f"expected feature_names to hold {d} names, got {given!r}: give one for each feature")
    return [str(name) for name in given]


def _strings(names: Any, d: int) -> list[str]:
    """The names, if there are d of them and all are strings; else none."""
    if names is None or len(names) != d or not all(isinstance(name, str) for name in names):
        return []
    return [str(name) for name in names]


def feature_of(feature: object, d: int) -> int:
    """A feature's index, checked."""
    if not isinstance(feature, Integral) or isinstance(feature, bool) or not 0 <= int(feature) < d:
        known = "0, the model's only feature" if d == 1 else f"a feature from 0 to {d - 1}"
        raise ValueError(f"expected {known}, got {feature!r}: count features from zero, as columns of X")
    return int(feature)


def two_features(features: Sequence[int], d: int) -> tuple[int, int]:
    """Two features' indices, checked."""
    if not isinstance(features, Sequence | np.ndarray) or len(features) != 2 or features[0] == features[1]:
        raise ValueError(
            f"expected two different features, got {features!r}: pass for example features=(0, 1), "
            "or call mixtura.plot.density for one"
        )
    return feature_of(features[0], d), feature_of(features[1], d)


def probabilities(probability: float | Sequence[float]) -> list[float]:
    """Probabilities within (0, 1), checked, in increasing order."""
    try:
        levels = np.atleast_1d(np.asarray(probability, dtype=np.float64))
    except (TypeError, ValueError):
        levels = np.empty(0)
    if levels.ndim != 1 or levels.size == 0 or not np.all((levels > 0) & (levels < 1)):
        raise ValueError(
            f"expected probability between 0 and 1, or a sequence of such, got {probability!r}: pass for example 0.9"
        )
    return sorted({float(level) for level in levels})


def shares(levels: Sequence[float]) -> str:
    """Probabilities in words."""
    words = [f"{100 * level:g}%" for level in levels]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def draw_rows(ax: Axes, xy: Array, labels: NDArray[np.intp], colors: list[Any]) -> None:
    """Rows (n, 2) in the colours of their labels; up to SHAPED_ROWS of them with a marker for each component."""
    n = len(xy)
    size = float(np.clip(26 * (250 / n) ** 0.5, 3, 26))
    alpha = float(np.clip((700 / n) ** 0.35, 0.3, 0.75))
    if n <= SHAPED_ROWS:
        for k in np.unique(labels):
            own = xy[labels == k]
            marker = MARKERS[k % len(MARKERS)]
            ax.scatter(
                own[:, 0],
                own[:, 1],
                size,
                color=[colors[k]],
                marker=marker,
                alpha=alpha,
                linewidths=0,
            )
        return
    from matplotlib.colors import to_rgba_array

    # One artist in the order of the rows: no component lies over the others.
    each = to_rgba_array(colors)[labels]
    ax.scatter(xy[:, 0], xy[:, 1], size, c=each, alpha=alpha, linewidths=0, rasterized=True)


def draw_ellipses(
    ax: Axes, mean: Array, covariance: Array, levels: Sequence[float], color: Any, *, filled: bool = True
) -> None:
    """The ellipses that hold these shares of a Gaussian of two features."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(covariance)
    # eigh sorts upwards: the last vector is the long axis. A round-off below zero is a flat
    # ellipse.
    axes = 2 * np.sqrt(np.maximum(values[::-1], 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, -1], vectors[0, -1])))
    for level in reversed(levels):
        width, height = axes * np.sqrt(chi2.ppf(level, 2))
        ax.add_patch(
            Ellipse(
                (float(mean[0]), float(mean[1])),
                float(width),
                float(height),
                angle=angle,
                facecolor=to_rgba(color, 0.10) if filled else "none",
                edgecolor=color,
                linewidth=1.8 if level == levels[-1] else 1.0,
            )
        )


def draw_numbers(ax: Axes, points: Array, colors: list[Any]) -> None:
    """A dot at each point with a disc that bears the component's number: colour alone will not do.

    A disc that would cover an earlier one moves aside and keeps a line to its dot.
    """
    size = 6 if len(points) > NAMED else 8
    apart = 2.4 * size
    around = np.linspace(0.25, 2.25, 8, endpoint=False) * np.pi
    ways = np.vstack(
        [
            np.zeros((1, 2)),
            *(r * np.column_stack([np.cos(around), np.sin(around)]) for r in (1.3, 2.4)),
        ]
    )
    # Where things are on the page, in points.
    page = ax.transData.transform(points) * 72 / ax.figure.dpi
    taken = np.empty((0, 2))
    for k, (x, y) in enumerate(points):
        places = page[k] + apart * ways
        free = np.hypot(*(places[:, None] - taken).transpose(2, 0, 1)).min(axis=1, initial=np.inf) >= apart
        way = int(np.argmax(free))
        taken = np.vstack([taken, places[way]])
        ax.plot([x], [y], "o", ms=5, mfc=colors[k], mec="white", mew=0.8, zorder=4)
        ax.annotate(
            str(k),
            (float(x), float(y)),
            xytext=tuple(apart * ways[way]),
            textcoords="offset points",
            ha="center",
            va="center_baseline",
            fontsize=size,
            color="black",
            bbox={
                "boxstyle": "circle,pad=0.25",
                "facecolor": "white",
                "edgecolor": colors[k],
                "linewidth": 1.5,
            },
            arrowprops={"arrowstyle": "-", "color": colors[k], "linewidth": 1.0} if way else None,
            zorder=5,
        )


def component_legend(ax: Axes, weights: Array, colors: list[Any], title: str, *, shaped: bool) -> None:
    """A legend that names up to NAMED components, under what its title says."""
    from matplotlib.lines import Line2D

    handles = []
    for k in range(len(weights) if len(weights) <= NAMED else 0):
        marker = MARKERS[k % len(MARKERS)] if shaped else ""
        label = component_label(k, weights)
        handles.append(Line2D([], [], color=colors[k], linewidth=1.8, marker=marker, markersize=6, label=label))
    ax.legend(handles=handles, title=title, **LEGEND)


def net(means: Array, deviations: Array, span: tuple[float, float] | None) -> Array:
    """Points for the curves: an even net, and more around each mean lest a peak be cut short."""
    low, high = float((means - 4 * deviations).min()), float((means + 4 * deviations).max())
    if span is not None:
        margin = 0.04 * (span[1] - span[0])
        low = min(span[0] - margin, float((means - 3 * deviations).min()))
        high = max(span[1] + margin, float((means + 3 * deviations).max()))
    if not low < high:
        low, high = widened(low, high, 0.0)
    offsets = np.linspace(-6, 6, int(np.clip(4096 // len(means), 5, 129)) | 1)
    near = (means[:, None] + deviations[:, None] * offsets).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, 513), near[(near > low) & (near < high)]]))
