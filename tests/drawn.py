"""The pictures that are compared with those in tests/pictures; ``python tests/drawn.py`` draws these anew.

Fonts differ from one version of matplotlib to the next, so all text is taken away.  The models are given, not fitted,
wherever a picture can do with that: another BLAS may take another way to a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from mixtura import Mixture, plot

PICTURES = Path(__file__).parent / "pictures"

NAMES = ["length (mm)", "width (mm)", "mass (g)", "age (years)"]
FLOWERS = Mixture(
    [0.35, 0.25, 0.4],
    [[50.0, 34.0, 1.5, 3.0], [59.0, 28.0, 4.3, 4.0], [66.0, 30.0, 5.6, 7.0]],
    [
        [[12.0, 9.0, 0.2, 0.1], [9.0, 14.0, 0.1, 0.0], [0.2, 0.1, 0.05, 0.0], [0.1, 0.0, 0.0, 0.8]],
        [[26.0, 8.0, 1.8, 0.5], [8.0, 10.0, 0.8, 0.2], [1.8, 0.8, 0.3, 0.1], [0.5, 0.2, 0.1, 1.2]],
        [[40.0, 9.0, 3.0, -1.0], [9.0, 10.0, 0.7, 0.3], [3.0, 0.7, 0.4, 0.0], [-1.0, 0.3, 0.0, 2.0]],
    ],
)
X = FLOWERS.sample(300, rng=1)[0]
PLANE, LINE = FLOWERS.marginal([0, 1]), FLOWERS.marginal([2])

# A ring and a lump: three components that no row tells apart well, and two that are clusters.
PARTS = Mixture(
    [0.2, 0.2, 0.2, 0.2, 0.2],
    [[0.0, 0.0], [1.2, 0.4], [0.4, 1.3], [7.0, 0.0], [3.0, 7.0]],
    [1.0, 1.0, 1.0, 0.6, 0.8],
)


def fitted() -> SimpleNamespace:
    """What a fit says of its passes and starts."""
    passes = [-900.0 - 300.0 * 0.75**t for t in range(25)]
    return SimpleNamespace(
        mixture_=FLOWERS,
        log_likelihood_history_=passes,
        history_=[{"accelerated": t > 12 and t % 3 != 0} for t in range(25)],
        stop_reason_="converged",
        restarts_=[
            {"objective": -900.0 - gap, "agreement": agreement, "degenerate": bad, "outcome": outcome}
            for gap, agreement, bad, outcome in [
                (0.0, 1.0, 0, "converged"),
                (31.0, 0.45, 0, "converged"),
                (0.0, 1.0, 0, "converged"),
                (12.0, 0.7, 0, "converged"),
                (12.0, 0.7, 0, "max_iter"),
                (47.0, 0.1, 1, "converged"),
                (0.0, 1.0, 0, "converged"),
                (31.5, 0.5, 0, "max_iter"),
            ]
        ],
    )


def selection() -> SimpleNamespace:
    """What a selection says of its models."""
    records = [
        {
            "covariance_type": name,
            "n_components": k,
            "status": "collapsed" if (name, k) == ("VVV", 6) else "ok",
            "df": 3 * k,
            "bic": 2000 + least + 60 * (k - best) ** 2 / k,
            "icl": 2010 + least + 90 * (k - best + 1) ** 2 / k + 8 * k,
        }
        for name, least, best in [("EII", 90, 5), ("VII", 60, 4), ("EEE", 25, 4), ("VVV", 0, 3)]
        for k in range(1, 7)
    ]
    return SimpleNamespace(records=tuple(records), criterion="bic")


def on(draw: Callable[[Axes], object], size: tuple[float, float] = (4.2, 3.2)) -> Figure:
    """The figure on which one of the functions draws."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    return figure


def grid() -> Figure:
    figure = Figure(figsize=(4.0, 4.25), layout="constrained")
    plot.pairs(FLOWERS, X[:100], features=(0, 1, 2), figure=figure, feature_names=NAMES)
    return figure


DRAWN: dict[str, Callable[[], Figure]] = {
    "scatter": lambda: on(lambda ax: plot.scatter(FLOWERS, X, ax=ax, feature_names=NAMES)),
    "uncertainty": lambda: on(lambda ax: plot.uncertainty(FLOWERS, X, ax=ax, feature_names=NAMES)),
    "uncertainty_of_one": lambda: on(lambda ax: plot.uncertainty(LINE, X[:, 2], ax=ax, feature_names=NAMES[2:3])),
    "contours": lambda: on(lambda ax: plot.contours(FLOWERS, X, ax=ax, feature_names=NAMES)),
    "contours_of_one": lambda: on(lambda ax: plot.contours(FLOWERS, X, features=[2], ax=ax, feature_names=NAMES)),
    "density": lambda: on(lambda ax: plot.density(LINE, X[:, 2], ax=ax, feature_names=NAMES[2:3])),
    "pairs": grid,
    "discriminants": lambda: on(lambda ax: plot.discriminants(FLOWERS, X, ax=ax, feature_names=NAMES)),
    "profiles": lambda: on(lambda ax: plot.profiles(FLOWERS, X[:12], ax=ax, feature_names=NAMES), (5.0, 3.2)),
    "responsibilities": lambda: on(lambda ax: plot.responsibilities(FLOWERS.marginal([0, 1]), X[:, :2], ax=ax)),
    "qq": lambda: on(lambda ax: plot.qq(LINE, X[:, 2], ax=ax, feature_names=NAMES[2:3])),
    "pit": lambda: on(lambda ax: plot.pit(FLOWERS, X, ax=ax)),
    "loglik": lambda: on(lambda ax: plot.loglik(fitted(), ax=ax)),
    "restarts": lambda: on(lambda ax: plot.restarts(fitted(), ax=ax)),
    "criterion": lambda: on(lambda ax: plot.criterion(selection(), ax=ax)),
    "criteria": lambda: on(lambda ax: plot.criteria(selection(), ax=ax)),
    "entropy": lambda: on(lambda ax: plot.entropy(PARTS, PARTS.sample(600, rng=0)[0], ax=ax)),
}


def without_text(figure: Figure) -> Figure:
    """The figure without what a font draws, and without legends, whose size is that of their text."""
    for legend in [*figure.legends, *(ax.get_legend() for ax in figure.axes)]:
        if legend is not None:
            legend.remove()
    for ax in figure.axes:
        ax.tick_params(labelbottom=False, labelleft=False, labelright=False)
    for text in figure.findobj(Text):
        text.set_visible(False)
    return figure


def write(figure: Figure, path: Path, dpi: int = 60) -> Path:
    with mpl.rc_context({"savefig.facecolor": "white"}):
        figure.savefig(path, dpi=dpi, metadata={"Software": None})
    return path


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    np.seterr(all="raise", under="ignore")
    for name, draw in DRAWN.items():
        print(write(without_text(draw()), PICTURES / f"{name}.png").name)
