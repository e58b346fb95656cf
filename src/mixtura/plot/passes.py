"""The log-likelihood of a fit, pass by pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixtura.plot.canvas import axes_of, fit_in
from mixtura.plot.style import LEGEND, OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loglik(model: object, *, ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood after each pass of a fit; passes that ended on an accelerated model have a ring.

    Parameters
    ----------
    model : fitted estimator or Selection
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
    model = fit_in(model, "loglik")
    history = np.asarray(getattr(model, "log_likelihood_history_", ()), dtype=np.float64)
    if history.size == 0:
        raise ValueError(
            "loglik needs an estimator that was fitted to rows, got one without log_likelihood_history_: call fit(X)"
        )
    ax = axes_of(ax)
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
    steps = [index for index, one in enumerate(getattr(model, "history_", ())) if one.get("accelerated")]
    if steps:
        ax.plot(
            passes[steps],
            history[steps],
            linestyle="none",
            marker="D",
            markersize=6 if len(history) <= 60 else 4,
            markerfacecolor="white",
            markeredgecolor=OKABE_ITO[1],
            markeredgewidth=1.4,
            label="accelerated step",
            zorder=3,
        )
        ax.legend(**LEGEND | {"loc": "center right"})
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
