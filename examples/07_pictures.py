"""Every kind of picture
========================

What ``mixtura.plot`` draws, one function after the other.

Run it with ``python examples/07_pictures.py [folder for the pictures]``.

The rows are 150 iris flowers of three species: length and width of sepals and petals, in centimetres.  Every function
takes a fitted estimator, a ``Mixture`` or a ``Selection`` first, draws on ``ax`` (a figure of its own without one) and
returns the axes.  ``gm.plot(X)`` and ``chosen.plot()`` choose the picture that suits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from sklearn.datasets import load_iris

from mixtura import GaussianMixture, plot, select

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
X = load_iris(as_frame=True).data
gm = GaussianMixture(3, random_state=0).fit(X)


def keep(ax: Axes, name: str) -> None:
    """Write the figure to the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(FOLDER / f"07_{name}.png", dpi=110)
    plt.close(ax.figure)


# %%
# What the clusters are
# ---------------------
#
# ``scatter`` draws two features: rows in the colour of their most probable component, and an ellipse that holds 90 % of
# the component's probability.

keep(plot.scatter(gm, X, features=(2, 3)), "scatter")

# %%
# ``uncertainty`` draws rows darker and larger the less sure it is which component they belong to.

keep(plot.uncertainty(gm, X, features=(2, 3)), "uncertainty")

# %%
# ``pairs`` draws all pairs of features: rows above, the density below, the marginals on the diagonal.

keep(plot.pairs(gm, X)[0, 0], "pairs")

# %%
# ``discriminants`` looks from where the components differ most.

keep(plot.discriminants(gm, X), "discriminants")

# %%
# ``profiles`` draws the means across all features, with a band of one standard deviation.

keep(plot.profiles(gm, X), "profiles")

# %%
# ``responsibilities`` draws who is responsible for which row: rows that are not of one colour are in doubt.

keep(plot.responsibilities(gm, X), "responsibilities")

# %%
# What the density is
# -------------------
#
# ``density`` draws that of one feature, its parts, and a histogram of the rows.

keep(plot.density(gm, X, feature=2), "density")

# %%
# ``contours`` draws the smallest regions that hold 50, 80 and 95 % of the probability.

keep(plot.contours(gm, X, features=(2, 3)), "contours")

# %%
# Whether it fits
# ---------------
#
# ``qq`` draws the quantiles of a feature against those of the model: on the line, if the rows come from it.

keep(plot.qq(gm, X, feature=2), "qq")

# %%
# ``pit`` does that for all features together: what the model makes of the rows should be uniform.

keep(plot.pit(gm, X), "pit")

# %%
# How it was fitted
# -----------------
#
# ``loglik`` draws the log-likelihood after each pass.  It never falls.

keep(plot.loglik(gm), "loglik")

# %%
# ``restarts`` draws what each start came to.  Where only one of many reached the top, there may be something higher.

keep(plot.restarts(GaussianMixture(5, n_init=12, random_state=0).fit(X)), "restarts")

# %%
# Which one to choose
# -------------------
#
# ``criterion`` draws one criterion for all families, ``criteria`` several of them side by side.

chosen = select(X, range(1, 7), random_state=0)
keep(plot.criterion(chosen), "criterion")

# %%

keep(plot.criteria(chosen), "criteria")

# %%
# ``entropy`` draws what there is to gain by merging components that overlap.

keep(plot.entropy(GaussianMixture(5, random_state=0).fit(X), X), "entropy")
print(f"Pictures: {FOLDER}")
