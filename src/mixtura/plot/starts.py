"""What became of each start: local optima as steps of a staircase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixtura.plot.canvas import axes_of, fit_in
from mixtura.plot.style import LEGEND, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def restarts(model: object, *, ax: Axes | None = None) -> Axes:
    """Draw the objective that each start reached, the best first: starts on one level found one optimum.

    The darker a start, the more its partition agrees with the one returned (adjusted Rand index); its shape is how it
    ended, and a cross is a start with degenerate components.

    Parameters
    ----------
    model : fitted estimator or Selection
        With ``restarts_``; a Mixture has none.
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
    >>> from mixtura.plot import restarts
    >>> X = np.concatenate([np.random.default_rng(0).normal(m, 1.0, 100) for m in (0.0, 5.0)])
    >>> ax = restarts(GaussianMixture(2, n_init=4, random_state=0).fit(X.reshape(-1, 1)))
    >>> ax.get_ylabel()
    'objective (nats)'
    """
    model = fit_in(model, "restarts")
    records = getattr(model, "restarts_", None)
    if not records:
        raise ValueError("restarts needs an estimator that was fitted to rows, got one without restarts_: call fit(X)")
    ax = axes_of(ax)
    from matplotlib.ticker import MaxNLocator

    order = sorted(records, key=lambda one: -one["objective"] if np.isfinite(one["objective"]) else np.inf)
    objective = np.array([one["objective"] for one in order], dtype=np.float64)
    agreement = np.array([one["agreement"] for one in order], dtype=np.float64)
    kinds = ["degenerate" if one["degenerate"] else str(one["outcome"]) for one in order]
    place = np.arange(1, len(order) + 1)
    ax.plot(place, objective, color="0.75", linewidth=1.0, zorder=1)
    points = None
    sound = [kind for kind in dict.fromkeys(kinds) if kind != "degenerate"]
    markers = {"degenerate": "X"} | dict(zip(sound, (one for one in MARKERS if one != "X"), strict=False))
    for kind in dict.fromkeys(kinds):
        own = np.array([one == kind for one in kinds])
        points = ax.scatter(
            place[own],
            objective[own],
            s=46,
            c=agreement[own],
            cmap="Blues",
            vmin=-0.25,
            vmax=1,
            marker=markers[kind],
            edgecolors="black",
            linewidths=0.7,
            label=kind,
            zorder=2,
        )
    assert points is not None
    bar = ax.figure.colorbar(points, ax=ax, label="agreement with the answer")
    bar.ax.set_ylim(0, 1)
    ax.margins(y=0.12)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("start, the best first")
    ax.set_ylabel("objective (nats)")
    ax.legend(**LEGEND)
    return ax
