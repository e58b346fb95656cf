"""Pictures of a mixture: rows under ellipses, a density with its components, the log-likelihood; and of a selection.

A Gaussian component holds the share p of its own probability inside the ellipse

    (x - m_k)' S_k^-1 (x - m_k) <= chi2_2^-1(p)        m_k (2,),  S_k (2, 2)

whose half axes are sqrt(chi2_2^-1(p) * eigenvalue) along the eigenvectors of S_k. With more than
two features the ellipse is that of the marginal of the two features drawn, which is again Gaussian.

Every function takes a fitted estimator, a Mixture or a Selection first, draws on ``ax`` (a figure of its own
when None), returns the Axes and leaves matplotlib's settings, other figures and the screen alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from mixtura import validation
from mixtura.evaluate import MEASURES, ranked
from mixtura.families import family_of
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito, "Color universal design", 2002: eight colours that people with any common colour
# vision tell apart. Strong ones first, black last as it is the colour of the whole; of their yellow
# the darker form, which a white page does not swallow.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0C808", "#000000")
# Shape and dash say the same as colour, for print without colour.
BACKGROUND = "0.6"
"""Grey of rows that belong to no component."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = ("--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))

ROWS_DRAWN = 20_000
"""More rows than this hide one another: a random subset is drawn, and the picture says so."""
SHAPED_ROWS = 2_000
"""Up to this many rows the marker's shape tells the component; beyond, rows are dots."""
NAMED = 12
"""Up to this many components a legend names each; beyond, the numbers at the means alone."""
MAX_BINS = 200
LEGEND: dict[str, Any] = {
    "loc": "best",
    "fontsize": "small",
    "title_fontsize": "small",
    "framealpha": 0.85,
    "alignment": "left",
}


def scatter(
    model: object,
    X: ArrayLike | None = None,
    *,
    features: Sequence[int] = (0, 1),
    probability: float | Sequence[float] = 0.9,
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw two features: rows coloured by component, and the ellipse and mean of each component.

    Parameters
    ----------
    model : fitted estimator or Mixture
        A mixture with K components and d >= 2 features.
    X : array-like or frame of shape (n, d), optional
        Rows to draw; without them the ellipses stand alone. Of more than 20,000 rows a random
        subset of that size is drawn and the legend says so.
    features : two int
        Features on the x axis and the y axis.
    probability : float or sequence of float, each in (0, 1)
        Share of a component's own probability inside its ellipse, for the two features drawn.
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
        If the model has one feature, a feature is out of range, X has another number of columns or
        an entry that is not finite, or a probability is not between 0 and 1.
    ImportError
        If matplotlib is missing.

    Notes
    -----
    Colours: M. Okabe and K. Ito, *Color universal design*, 2002; marker shapes and numbers repeat
    what they say.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import scatter
    >>> m = Mixture([0.5, 0.5], [[0.0, 0.0], [4.0, 4.0]], [1.0, 1.0])
    >>> X, _ = m.sample(200, rng=0)
    >>> ax = scatter(m, X, probability=[0.5, 0.9])
    >>> len(ax.patches)
    4
    """
    mixture = mixture_of(model)
    d = mixture.n_features
    if d == 1:
        raise ValueError("scatter needs a model of at least two features, got one: call mixtura.plot.density instead")
    first, second = _two_features(features, d)
    levels = _probabilities(probability)
    names = _names(model, X, feature_names, d)
    rows = None if X is None else validation.points(X, d)
    ax = _axes(ax)

    note = [f"{_shares(levels)} ellipses"]
    colors = [_color(k) for k in range(mixture.n_components)]
    if rows is not None:
        rows = rows[~np.isnan(rows[:, [first, second]]).any(axis=1)]  # those that have a place in the picture
    if rows is not None and len(rows):
        n = len(rows)
        if n > ROWS_DRAWN:
            note.append(f"{ROWS_DRAWN:,} of {n:,} rows")
            # In random order, so that no component is painted over the others.
            rows = rows[np.random.default_rng(0).choice(n, ROWS_DRAWN, replace=False)]
        # The label of a background, -1, is the last colour.
        _draw_rows(ax, rows[:, [first, second]], model_of(model).predict(rows), [*colors, BACKGROUND])

    plane = mixture.marginal([first, second])
    for k in range(plane.n_components):
        _draw_ellipses(ax, plane.means[k], plane.covariances[k], levels, colors[k])
    ax.autoscale_view()
    _draw_numbers(ax, plane.means, colors)
    ax.set_xlabel(names[first])
    ax.set_ylabel(names[second])
    shaped = rows is not None and len(rows) <= SHAPED_ROWS
    _component_legend(ax, model_of(model).weights, colors, "\n".join(note), shaped=shaped)
    return ax


def density(
    model: object,
    X: ArrayLike | None = None,
    *,
    feature: int = 0,
    ax: Axes | None = None,
    bins: int | str | Sequence[float] = "auto",
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the density of one feature, its weighted components, and a histogram of X.

    Parameters
    ----------
    model : fitted estimator or Mixture
        A mixture with K components and d features; with d > 1 its marginal is drawn.
    X : array-like or frame of shape (n, d), optional
        Rows for the histogram; with d = 1 also of shape (n,).
    feature : int
        The feature to draw.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    bins : int, str or sequence of float
        As for ``numpy.histogram``; "auto" makes at most 200. Bars are shares of all n rows over
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

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import density
    >>> m = Mixture([0.3, 0.7], [[0.0], [4.0]], [1.0, 0.5])
    >>> ax = density(m, m.sample(500, rng=0)[0], feature_names=["length"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('length', 'density')
    """
    mixture = mixture_of(model)
    index = _feature(feature, mixture.n_features)
    names = _names(model, X, feature_names, mixture.n_features)
    values = None
    if X is not None:
        values = np.asarray(validation.points(X, mixture.n_features)[:, index], dtype=np.float64)
        values = values[~np.isnan(values)]
    ax = _axes(ax)

    whole = model_of(model)
    background = 0.0 if whole.background is None else whole.background.weight
    line = mixture.marginal([index])
    means, deviations = line.means[:, 0], np.sqrt(line.covariances[:, 0, 0])
    span = None
    if values is not None and len(values):
        counts, edges = np.histogram(
            values, bins=_auto_bins(values) if isinstance(bins, str) and bins == "auto" else bins
        )
        heights = counts / (len(values) * np.diff(edges))
        ax.stairs(heights, edges, fill=True, color="0.82", label=f"{len(values):,} rows")
        span = float(values.min()), float(values.max())
    x = _grid(means, deviations, span)
    weights = (1 - background) * line.weights
    parts = weights * norm.pdf(x[:, None], means, deviations)
    colors = [_color(k) for k in range(mixture.n_components)]
    for k, color in enumerate(colors):
        label = _component_label(k, weights) if mixture.n_components <= NAMED else None
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
    _draw_numbers(ax, np.column_stack([means, weights * norm.pdf(0) / deviations]), colors)
    ax.set_xlabel(names[index])
    ax.set_ylabel("density")
    ax.legend(**LEGEND)
    return ax


def loglik(model: object, *, ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood after each pass of a fit.

    Parameters
    ----------
    model : fitted estimator
        A Mixture has no passes to draw.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the model is a Mixture, or an estimator that was not fitted to rows.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture
    >>> from mixtura.plot import loglik
    >>> X = np.concatenate([np.random.default_rng(0).normal(m, 1.0, 100) for m in (0.0, 5.0)])
    >>> ax = loglik(GaussianMixture(2, random_state=0).fit(X.reshape(-1, 1)))
    >>> ax.get_ylabel()
    'log-likelihood (nats)'
    """
    if isinstance(model, Mixture):
        raise ValueError(
            "loglik needs a fitted estimator, got a Mixture, which keeps no record of a fit: "
            "pass the GaussianMixture whose mixture_ it is"
        )
    mixture_of(model)
    history = np.asarray(getattr(model, "log_likelihood_history_", ()), dtype=np.float64)
    if history.size == 0:
        raise ValueError(
            "loglik needs an estimator that was fitted to rows, got one without log_likelihood_history_: call fit(X)"
        )
    ax = _axes(ax)
    from matplotlib.ticker import MaxNLocator

    passes = np.arange(len(history))
    ax.plot(
        passes,
        history,
        color=OKABE_ITO[0],
        linewidth=1.6,
        marker="o" if len(history) <= 60 else "",
        markersize=3.5,
    )
    ax.axhline(history[-1], color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("pass")
    ax.set_ylabel("log-likelihood (nats)")
    reason = getattr(model, "stop_reason_", None)
    ended = f"\n{getattr(reason, 'value', reason)}" if reason else ""
    # The curve climbs, so that this corner is free.
    ax.text(
        0.97,
        0.04,
        f"{history[-1]:,.4f} after pass {passes[-1]}{ended}",
        transform=ax.transAxes,
        ha="right",
        va="bottom",
    )
    return ax


def criterion(selection: object, criterion: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a criterion of model choice against the number of components, a line for each covariance family.

    Families of one shape and orientation have one colour; whole lines are of equal volumes, broken ones of variable
    ones.  Models that are not ok leave a gap; the best one has a ring.  Lines of families that are far worse than most
    leave the picture; a family that is not in it at all is named.

    Parameters
    ----------
    selection : Selection
        What ``select`` gave.
    criterion : {"bic", "icl", "icl_entropy", "aic", "loglik", "cv"}, optional
        A column of its table; default the one that chose.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no such column, or no selection.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import select
    >>> from mixtura.plot import criterion
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = criterion(select(X, [1, 2], ["EEE", "VVV"], random_state=0))
    >>> ax.get_ylabel()
    'BIC (lower is better)'
    """
    records = getattr(selection, "records", None)
    if not isinstance(records, tuple):
        raise ValueError(f"criterion needs a Selection, got {type(selection).__name__}: pass what select() gave")
    there = [name for name in MEASURES if name in records[0]]
    column = validation.one_of(
        getattr(selection, "criterion", None) if criterion is None else criterion, "criterion", there
    )
    ax = _axes(ax)
    from matplotlib.ticker import MaxNLocator

    named = list(dict.fromkeys(str(one["covariance_type"]) for one in records))
    for name in named:
        own = sorted((one for one in records if one["covariance_type"] == name), key=lambda one: one["n_components"])
        color, dash, marker = _family_style(name)
        ax.plot(
            [one["n_components"] for one in own],
            [one[column] if one["status"] == "ok" else np.nan for one in own],
            color=color,
            linestyle=dash,
            marker=marker,
            linewidth=1.3,
            markersize=4.5,
            markerfacecolor=color if dash == "-" else "white",
            label=name,
        )
    label, sign = MEASURES[column]
    known = ranked(records, column)
    if known:
        best = known[0]
        place = best["n_components"], best[column]
        ax.plot(*place, marker="o", markersize=13, markerfacecolor="none", markeredgecolor="black", linestyle="none")
        below = sign > 0
        ax.annotate(
            f"{best['covariance_type']}, {best['n_components']}",
            place,
            xytext=(0, -12 if below else 12),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
        )
        values = np.array([sign * one[column] for one in known])
        top = values.min() + FAR * (np.quantile(values, MOST) - values.min())
        shown = values[values <= top]
        room = 0.12 * np.ptp(shown)
        if len(shown) < len(values) and room > 0:
            ends = [sign * (values.min() - room), sign * (shown.max() + room)]
            ax.set_ylim(min(ends), max(ends))
            inside = {one["covariance_type"] for one in known if sign * one[column] <= shown.max() + room}
            gone = [name for name in named if name not in inside]
            if gone:
                y, va = (0.98, "top") if sign > 0 else (0.02, "bottom")
                ax.text(0.98, y, f"beyond: {', '.join(gone)}", transform=ax.transAxes, ha="right", va=va)
        else:
            ax.margins(y=0.12)
    else:
        ax.text(0.5, 0.5, "no model is ok", transform=ax.transAxes, ha="center")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("number of components")
    ax.set_ylabel(f"{label} ({'lower' if sign > 0 else 'higher'} is better)")
    ax.legend(
        title="covariance type",
        ncols=1,
        **LEGEND | {"loc": "center left"},
        bbox_to_anchor=(1.01, 0.5),
        handlelength=3,
        frameon=False,
    )
    return ax


MOST, FAR = 0.8, 2.5
"""Share of the models that the picture is made for, and how much of their range it shows."""

KINDS = ("II", "EI", "VI", "EE", "VE", "EV", "VV")
"""Shape and orientation: a colour and a marker each."""


def _family_style(name: str) -> tuple[Any, str, str]:
    """Colour, dash and marker of a covariance family."""
    code = family_of(name).code
    kind = KINDS.index(code[1:])
    return OKABE_ITO[kind], "-" if code[0] == "E" else "--", MARKERS[kind]


# what the functions above share -------------------------------------------------------------------


def _axes(ax: Axes | None) -> Axes:
    """``ax``, or the axes of a new figure: only then is pyplot needed, which looks for a screen."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('pictures need matplotlib, which is not installed: pip install "mixtura[plot]"') from error
    return plt.subplots(layout="constrained")[1]


def _names(model: object, X: object, given: Sequence[str] | None, d: int) -> list[str]:
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


def _feature(feature: object, d: int) -> int:
    if not isinstance(feature, Integral) or isinstance(feature, bool) or not 0 <= int(feature) < d:
        known = "0, the model's only feature" if d == 1 else f"a feature from 0 to {d - 1}"
        raise ValueError(f"expected {known}, got {feature!r}: count features from zero, as columns of X")
    return int(feature)


def _two_features(features: Sequence[int], d: int) -> tuple[int, int]:
    if not isinstance(features, Sequence | np.ndarray) or len(features) != 2 or features[0] == features[1]:
        raise ValueError(
            f"expected two different features, got {features!r}: pass for example features=(0, 1), "
            "or call mixtura.plot.density for one"
        )
    return _feature(features[0], d), _feature(features[1], d)


def _probabilities(probability: float | Sequence[float]) -> list[float]:
    try:
        levels = np.atleast_1d(np.asarray(probability, dtype=np.float64))
    except (TypeError, ValueError):
        levels = np.empty(0)
    if levels.ndim != 1 or levels.size == 0 or not np.all((levels > 0) & (levels < 1)):
        raise ValueError(
            f"expected probability between 0 and 1, or a sequence of such, got {probability!r}: pass for example 0.9"
        )
    return sorted({float(level) for level in levels})


def _shares(levels: list[float]) -> str:
    words = [f"{100 * level:g}%" for level in levels]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _color(k: int) -> Any:
    if k < len(OKABE_ITO):
        return OKABE_ITO[k]
    from matplotlib import colormaps

    # Steps of the golden ratio: neighbours differ, and a component keeps its colour whatever K is.
    return colormaps["viridis"](0.618034 * (k - len(OKABE_ITO)) % 1.0)


def _draw_rows(ax: Axes, xy: Array, labels: NDArray[np.intp], colors: list[Any]) -> None:
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


def _draw_ellipses(ax: Axes, mean: Array, covariance: Array, levels: list[float], color: Any) -> None:
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
                facecolor=to_rgba(color, 0.10),
                edgecolor=color,
                linewidth=1.8 if level == levels[-1] else 1.0,
            )
        )


def _draw_numbers(ax: Axes, points: Array, colors: list[Any]) -> None:
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


def _component_label(k: int, weights: Array) -> str:
    return f"{k}: weight {weights[k]:.2f}" if weights[k] >= 0.01 else f"{k}: weight {weights[k]:.1g}"


def _component_legend(ax: Axes, weights: Array, colors: list[Any], title: str, *, shaped: bool) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for k in range(len(weights) if len(weights) <= NAMED else 0):
        marker = MARKERS[k % len(MARKERS)] if shaped else ""
        label = _component_label(k, weights)
        handles.append(Line2D([], [], color=colors[k], linewidth=1.8, marker=marker, markersize=6, label=label))
    ax.legend(handles=handles, title=title, **LEGEND)


def _auto_bins(values: Array) -> Array:
    """NumPy's "auto" rule with a bound: one far row would otherwise make millions of bins."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = max(0.5, 8 * float(np.spacing(abs(low))))
        return np.array([low - half, low + half])
    quarters = np.percentile(values, [25, 75])
    freedman_diaconis = 2 * (quarters[1] - quarters[0]) / np.cbrt(len(values))
    sturges = (high - low) / (np.log2(len(values)) + 1)
    width = float(min(freedman_diaconis, sturges) or sturges)
    n_bins = int(np.clip(np.ceil((high - low) / width), 1, MAX_BINS))
    # Where the values are neighbouring floats, so are some of the edges: no bin may be empty.
    return np.unique(np.linspace(low, high, n_bins + 1))


def _grid(means: Array, deviations: Array, span: tuple[float, float] | None) -> Array:
    """Points for the curves: an even net, and more around each mean lest a peak be cut short."""
    low, high = float((means - 4 * deviations).min()), float((means + 4 * deviations).max())
    if span is not None:
        margin = 0.04 * (span[1] - span[0])
        low = min(span[0] - margin, float((means - 3 * deviations).min()))
        high = max(span[1] + margin, float((means + 3 * deviations).max()))
    offsets = np.linspace(-6, 6, int(np.clip(4096 // len(means), 5, 129)) | 1)
    near = (means[:, None] + deviations[:, None] * offsets).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, 513), near[(near > low) & (near < high)]]))
