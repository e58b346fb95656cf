"""Rows coloured by component, under the ellipses of the components.

A Gaussian component holds the share p of its own probability inside the ellipse

    (x - m_k)' S_k^-1 (x - m_k) <= chi2_2^-1(p)        m_k (2,),  S_k (2, 2)

whose half axes are sqrt(chi2_2^-1(p) * eigenvalue) along the eigenvectors of S_k. With more than
two features the ellipse is that of the marginal of the two features drawn, which is again Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixtura import validation
from mixtura.mixture import mixture_of, model_of
from mixtura.plot.canvas import (
    axes_of,
    component_legend,
    draw_ellipses,
    draw_numbers,
    draw_rows,
    model_in,
    names_of,
    probabilities,
    sampled,
    shares,
    two_features,
)
from mixtura.plot.style import BACKGROUND, SHAPED_ROWS, color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    model : fitted estimator, Mixture or Selection
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
    model = model_in(model)
    mixture = mixture_of(model)
    d = mixture.n_features
    if d == 1:
        raise ValueError("scatter needs a model of at least two features, got one: call mixtura.plot.density instead")
    first, second = two_features(features, d)
    levels = probabilities(probability)
    names = names_of(model, X, feature_names, d)
    rows = None if X is None else validation.points(X, d)
    ax = axes_of(ax)

    note = [f"{shares(levels)} ellipses"]
    colors = [color_of(k) for k in range(mixture.n_components)]
    if rows is not None:
        rows = rows[~np.isnan(rows[:, [first, second]]).any(axis=1)]  # those that have a place in the picture
    if rows is not None and len(rows):
        n = len(rows)
        rows = sampled(rows)
        if len(rows) < n:
            note.append(f"{len(rows):,} of {n:,} rows")
        # The label of a background, -1, is the last colour.
        draw_rows(ax, rows[:, [first, second]], model_of(model).predict(rows), [*colors, BACKGROUND])

    plane = mixture.marginal([first, second])
    for k in range(plane.n_components):
        draw_ellipses(ax, plane.means[k], plane.covariances[k], levels, colors[k])
    ax.autoscale_view()
    draw_numbers(ax, plane.means, colors)
    ax.set_xlabel(names[first])
    ax.set_ylabel(names[second])
    shaped = rows is not None and len(rows) <= SHAPED_ROWS
    component_legend(ax, model_of(model).weights, colors, "\n".join(note), shaped=shaped)
    return ax
