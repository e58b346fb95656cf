"""The plane in which components differ most, where features are too many to look at two by two.

With the mean m and covariance S of the whole mixture, and W = sum_k w_k S_k,

    B = sum_k w_k (m_k - m)(m_k - m)'                     (d, d)   how means differ
    C = sum_k w_k (S_k - W) S^-1 (S_k - W)                (d, d)   how covariances differ
    (B S^-1 B + C) v = l S v,    v' S v = 1               directions v (d,), in order of decreasing l

so that two components have two directions where their covariances differ, and centres alone decide where they do not.
Along v the mixture is Gaussian components again, with means v' m_k and variances v' S_k v.

Reference: L. Scrucca, "Dimension reduction for model-based clustering", Statistics and Computing 20, 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh

from mixtura import validation
from mixtura.covariance import Dense
from mixtura.mixture import Mixture, mixture_of, model_of
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
)
from mixtura.plot.style import BACKGROUND, SHAPED_ROWS, color_of
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOLD = 2
"""Features that a label names."""

TELLING = 0.15
"""Least part of the norm of a direction for which it names one."""


def discriminants(
    model: object,
    X: ArrayLike | None = None,
    *,
    probability: float | Sequence[float] = 0.9,
    ax: Axes | None = None,
    feature_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the components, and rows, in the plane of the two directions in which components differ most.

    Parameters
    ----------
    model : fitted estimator, Mixture or Selection
        A mixture with K >= 2 components and d >= 2 features.
    X : array-like or frame of shape (n, d), optional
        Rows to draw, if they are complete; of more than 20,000 a random subset, and the legend says so.
    probability : float or sequence of float, each in (0, 1)
        Share of a component's own probability inside its ellipse in this plane.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.
    feature_names : sequence of d str, optional
        Names of the features; default those of X or of the estimator, if they have names.  The axes name the one
        or two that count most, by coefficient times standard deviation.

    Returns
    -------
    matplotlib Axes
        In standard deviations of the mixture along each direction.

    Raises
    ------
    ValueError
        If the model has one feature or one component, X has another number of columns or an entry that is infinite, or
        a probability is not between 0 and 1.
    ImportError
        If matplotlib is missing.

    References
    ----------
    L. Scrucca, "Dimension reduction for model-based clustering", Statistics and Computing 20, 2010.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import discriminants
    >>> m = Mixture([0.5, 0.5], [[0.0, 0.0, 0.0], [0.0, 0.0, 6.0]], [1.0, 2.0])
    >>> ax = discriminants(m, m.sample(200, rng=0)[0], feature_names=["a", "b", "c"])
    >>> ax.get_xlabel()
    'direction 1 (... %)\\n1.00 c'
    """
    model = model_in(model)
    mixture = mixture_of(model)
    d = mixture.n_features
    if d == 1:
        raise ValueError(
            "discriminants needs a model of at least two features, got one: call mixtura.plot.density instead"
        )
    if mixture.n_components == 1:
        raise ValueError(
            "discriminants needs a model of at least two components, got one: call mixtura.plot.scatter instead"
        )
    levels = probabilities(probability)
    names = names_of(model, X, feature_names, d)
    rows = None if X is None else validation.points(X, d)
    ax = axes_of(ax)

    values, vectors = directions_of(mixture)
    basis = vectors[:, :2]
    note = [f"{shares(levels)} ellipses"]
    colors = [color_of(k) for k in range(mixture.n_components)]
    shaped = False
    if rows is not None:
        complete = rows[~np.isnan(rows).any(axis=1)]
        drawn = sampled(complete)
        if len(drawn) < len(rows):
            note.append(
                f"{len(drawn):,} of {len(rows):,} rows"
                if len(drawn) < len(complete)
                else f"{len(rows) - len(drawn):,} incomplete rows left out"
            )
        if len(drawn):
            place = (drawn - mixture.mean) @ basis
            draw_rows(ax, place, model_of(model).predict(drawn), [*colors, BACKGROUND])
        shaped = len(drawn) <= SHAPED_ROWS
    plane = Mixture.of(
        mixture.weights, (mixture.means - mixture.mean) @ basis, Dense(basis.T @ mixture.layout.dense @ basis)
    )
    for k, color in enumerate(colors):
        draw_ellipses(ax, plane.means[k], plane.covariances[k], levels, color)
    ax.autoscale_view()
    draw_numbers(ax, plane.means, colors)
    scale = np.sqrt(np.diag(mixture.cov))
    told = np.maximum(values, 0.0)
    parts = told / (told.sum() or 1.0)  # nothing tells components apart that are the same
    labels = [f"direction {i + 1} ({100 * parts[i]:.0f} %)\n{_formula(basis[:, i] * scale, names)}" for i in range(2)]
    ax.set_xlabel(labels[0], fontsize="small")
    ax.set_ylabel(labels[1], fontsize="small")
    component_legend(ax, model_of(model).weights, colors, "\n".join(note), shaped=shaped)
    return ax


def directions_of(mixture: Mixture) -> tuple[Array, Array]:
    """Eigenvalues (d,) and directions in columns (d, d), the one that tells most first; signs by the largest part."""
    # In units of the standard deviations, so that features of any unit are alike to the solver.
    unit = np.sqrt(np.diag(mixture.cov))
    total = mixture.cov / np.outer(unit, unit)
    away = (mixture.means - mixture.mean) / unit
    matrices = mixture.layout.dense / np.outer(unit, unit)
    between = (away * mixture.weights[:, None]).T @ away
    apart = matrices - np.tensordot(mixture.weights, matrices, axes=1)
    solved = np.linalg.solve(total, np.concatenate([between[None], apart]))
    kernel = between @ solved[0] + np.tensordot(mixture.weights, apart @ solved[1:], axes=1)
    values, vectors = eigh(0.5 * (kernel + kernel.T), total)
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
    return values, vectors / unit[:, None]


def _formula(parts: Array, names: Sequence[str]) -> str:
    """The features that count most, with what they count."""
    parts = parts / np.linalg.norm(parts)
    order = np.argsort(-np.abs(parts), kind="stable")[:TOLD]
    told = [f"{'-' if parts[i] < 0 else '+'} {abs(parts[i]):.2f} {names[i]}" for i in order if abs(parts[i]) >= TELLING]
    return " ".join(told).removeprefix("+ ")
