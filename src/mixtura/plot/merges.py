"""The entropy of the posteriors as components are put together to clusters, and its elbow.

With t_nA the posterior of cluster A for row n, ENT = - sum_n sum_A t_nA log t_nA falls with each merge: steeply while
clusters are merged that rows do not tell apart, slowly when clusters are.  Against the rows merged so far, which makes
merges of large and of small clusters comparable, the two stretches are straight lines that meet at the elbow.

Reference: J.-P. Baudry, A. E. Raftery, G. Celeux, K. Lo and R. Gottardo, "Combining mixture components for
clustering", Journal of Computational and Graphical Statistics 19, 2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import validation
from mixtura.merging import Merging, bend, merge_clusters
from mixtura.mixture import mixture_of
from mixtura.plot.canvas import axes_of, model_in, part_of, remark, sampled
from mixtura.plot.style import LEGEND, OKABE_ITO
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_MERGED = 5_000
"""Rows by which components are put together for a picture; the elbow of more is the same."""


def entropy(model: object, X: ArrayLike | None = None, method: str = "entropy", *, ax: Axes | None = None) -> Axes:
    """Draw the entropy of the posteriors against the rows merged, from all components apart to one cluster.

    Parameters
    ----------
    model : fitted estimator, Mixture, Selection or Merging
        Whose components are merged, or what ``merge_clusters`` gave.
    X : array-like of shape (n, d), optional
        Rows by which components are merged, for all but a Merging; of more than 5,000 a random subset, and the
        picture says so.
    method : {"entropy", "demp", "ridgeline"}
        As for ``merge_clusters``; not for a Merging.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes
        Numbers at the points are numbers of clusters; the one that was chosen has a ring.

    Raises
    ------
    ValueError
        If X is missing or does not suit the model, or the method is unknown.
    ImportError
        If matplotlib is missing.

    References
    ----------
    J.-P. Baudry, A. E. Raftery, G. Celeux, K. Lo and R. Gottardo, "Combining mixture components for clustering",
    Journal of Computational and Graphical Statistics 19, 2010.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> from mixtura.plot import entropy
    >>> m = Mixture([0.25, 0.25, 0.5], [[0.0], [0.5], [9.0]], [1.0, 1.0, 1.0])
    >>> ax = entropy(m, m.sample(500, rng=0)[0])
    >>> [text.get_text() for text in ax.texts]
    ['3', '2', '1']
    """
    said = ""
    if isinstance(model, Merging):
        merging = model
    else:
        model = model_in(model)
        d = mixture_of(model).n_features
        if X is None:
            raise ValueError("entropy needs the rows of the fit, got none: pass X, or what merge_clusters gave")
        rows = validation.points(X, d)
        used = sampled(rows, ROWS_MERGED)
        said = part_of(len(used), len(rows))
        merging = merge_clusters(model, used, method)
    ax = axes_of(ax)

    clusters, values, merged = (column(merging.table, name) for name in ("n_clusters", "entropy", "merged"))
    x = np.cumsum(merged)
    if len(x) > 2:
        corner = bend(x, values)
        for part in (slice(None, corner + 1), slice(corner, None)):
            ax.plot(x[part], _on_line(x[part], values[part]), color="0.5", linewidth=1.2, linestyle="--", zorder=1)
    ax.plot(x, values, "o", color=OKABE_ITO[0], markersize=5, zorder=3)
    chosen = int(np.flatnonzero(clusters == len(merging.groups))[0])
    ring: dict[str, Any] = {
        "markersize": 13,
        "markerfacecolor": "none",
        "markeredgecolor": "black",
        "linestyle": "none",
    }
    count = "1 cluster" if len(merging.groups) == 1 else f"{len(merging.groups)} clusters"
    ax.plot(x[chosen], values[chosen], marker="o", label=f"chosen: {count}", **ring)
    for where, value, n in zip(x, values, clusters, strict=True):
        ax.annotate(f"{n:.0f}", (where, value), (7, 7), textcoords="offset points", ha="left", va="bottom")
    remark(ax, said)
    ax.margins(x=0.08, y=0.12)
    ax.set_xlabel("rows merged so far")
    ax.set_ylabel("entropy of the posteriors (nats)")
    ax.legend(title="numbers: clusters left", **LEGEND | {"loc": "upper right"})
    return ax


def column(table: Any, name: str) -> Array:
    """A column of a table, whatever kind of frame it is."""
    values = [one[name] for one in table] if isinstance(table, list) else table[name]
    return np.asarray(values, dtype=np.float64)


def _on_line(x: Array, y: Array) -> Array:
    """The straight line by least squares through the points, at x."""
    away = x - x.mean()
    spread = float(away @ away)
    return np.asarray(y.mean() + away * (float(away @ y) / spread if spread > 0 else 0.0))
