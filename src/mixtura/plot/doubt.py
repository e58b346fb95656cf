"""How sure the classification of each row is: u(x) = 1 - max_k r_k(x), from 0 to 1 - 1 / K.

With a background it is one of the components that a row may belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import evaluate, validation
from mixtura.engine import make_engine
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.plot.canvas import (
    axes_of,
    draw_ellipses,
    draw_numbers,
    model_in,
    names_of,
    net,
    part_of,
    remark,
    sampled,
    two_features,
)
from mixtura.plot.style import OKABE_ITO, color_of
from mixtura.rows import AnyArray, Array, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def uncertainty(
    model: object,
    X: ArrayLike,
    *,
    features: Sequence[int] = (0, 1),
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the rows darker and larger the less sure it is which component they belong to.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K components and d features; of one feature the uncertainty is drawn as a curve.
    X : array-like or frame of shape (n, d)
        Rows to draw; of more than 20,000 a random subset, and the picture says so.
    features : two int
        Features on the x axis and the y axis; the uncertainty is that of all features.
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
        If a feature is out of range, or X has another number of columns or an entry that is infinite.
    ImportError
        If matplotlib is missing.

    References
    ----------
    C. Fraley and A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation", Journal of
    the American Statistical Association 97, 2002.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import uncertainty
    >>> m = Mixture([0.5, 0.5], [[0.0, 0.0], [2.0, 2.0]], [1.0, 1.0])
    >>> ax = uncertainty(m, m.sample(200, rng=0)[0], feature_names=["length", "width"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('length', 'width')
    """
    model = model_in(model)
    mixture = mixture_of(model)
    d = mixture.n_features
    columns = [0] if d == 1 else [*two_features(features, d)]
    names = names_of(model, X, feature_names, d)
    rows = validation.points(X, d)
    rows = rows[~np.isnan(rows[:, columns]).any(axis=1)]
    ax = axes_of(ax)

    whole = model_of(model)
    drawn = sampled(rows)
    remark(ax, part_of(len(drawn), len(rows)))
    doubt = doubts(whole, drawn)
    most = 1 - 1 / max(2, mixture.n_components + (whole.background is not None))
    ax.set_xlabel(names[columns[0]])
    if d == 1:
        span = (float(drawn.min()), float(drawn.max())) if len(drawn) else None
        x = net(mixture.means[:, 0], np.sqrt(mixture.layout.diagonal[:, 0]), span)
        ax.plot(x, doubts(whole, x[:, None]), color=OKABE_ITO[0], linewidth=1.6)
        ax.plot(drawn[:, 0], doubt, "o", markersize=3.5, color="black", alpha=0.4, markeredgewidth=0, rasterized=True)
        ax.set_ylim(0, 1.06 * most)
        ax.set_ylabel("uncertainty")
        return ax
    order = np.argsort(doubt, kind="stable")  # the doubtful ones on top
    small = float(np.clip(9 * (500 / max(len(drawn), 1)) ** 0.5, 1.5, 9))
    points = ax.scatter(
        drawn[order, columns[0]],
        drawn[order, columns[1]],
        s=small * (1 + 5 * doubt[order] / most),
        c=doubt[order],
        cmap=_greys(),
        vmin=0,
        vmax=most,
        linewidths=0,
        rasterized=True,
    )
    plane = mixture.marginal(columns)
    colors = [color_of(k) for k in range(mixture.n_components)]
    for k, color in enumerate(colors):
        draw_ellipses(ax, plane.means[k], plane.covariances[k], [0.9], color, filled=False)
    ax.autoscale_view()
    draw_numbers(ax, plane.means, colors)
    ax.figure.colorbar(points, ax=ax, label="uncertainty")
    ax.set_ylabel(names[columns[1]])
    return ax


def doubts(model: Mixture, rows: AnyArray) -> Array:
    """One less the greatest responsibility, (n,)."""
    found = evaluate.responsibilities(model, Rows(rows, missing=validation.missing(rows)), make_engine())
    return np.asarray(1 - found.max(axis=1), dtype=np.float64)


def _greys() -> Any:
    """Greys of which none is white: rows that are sure are still to be seen."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("doubt", ["0.82", "0.0"])
