"""Choosing a model for 178 wines
=================================

How many components, which covariances, and what a criterion can mean.

Run it with ``python examples/03_choosing_a_model.py [folder for the picture]``.

The wines come from one region and three cultivars; 13 quantities were measured in each (UCI, in scikit-learn as
load_wine).  We pretend not to know the cultivars.  A mixture of K Gaussians with free covariances has::

    (K - 1) weights  +  13 K means  +  91 K covariances

That is more than there are wines for any K above one.  The fourteen covariance families share what can be shared: S_k =
lambda_k D_k A_k D_k' has a volume lambda_k, a shape A_k and axes D_k, each of them equal in all components (E) or
variable (V), or along the features (I).  VVE says: one set of axes for all, whatever lengths.

The log-likelihood alone always prefers more components.  Three ways to pay for parameters::

    BIC   df log n - 2 l               what is the density?  (Schwarz 1978: twice the log of a Bayes factor, roughly)
    ICL   BIC - 2 sum log max_k r_nk   how many clusters?  it also pays for rows that belong to two components
    CV    log density of rows that were held out            what predicts?

(C. Fraley and A. E. Raftery, 2002; C. Biernacki, G. Celeux and G. Govaert, 2000; P. Smyth, 2000.)
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from mixtura import merge_clusters, select
from mixtura.plot import MARKERS, OKABE_ITO


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def counts(labels: ArrayLike, cultivars: np.ndarray) -> str:
    """For each cluster how many wines of each cultivar it holds."""
    clusters = np.asarray(labels)
    lines = ["  cluster  cultivar 0  cultivar 1  cultivar 2"]
    for k in np.unique(clusters):
        own = np.bincount(cultivars[clusters == k], minlength=3)
        lines.append(f"  {k:7d}" + "".join(f"  {number:10d}" for number in own))
    return "\n".join(lines)


def draw(ax: Axes, plane: np.ndarray, labels: ArrayLike, cultivars: np.ndarray, text: str) -> None:
    """The wines in a plane: colours are clusters, shapes are cultivars."""
    clusters = np.asarray(labels)
    for k in np.unique(clusters):
        for cultivar in range(3):
            own = (clusters == k) & (cultivars == cultivar)
            ax.scatter(*plane[own].T, s=18, color=OKABE_ITO[k], marker=MARKERS[cultivar], alpha=0.8)
    ax.set_title(text, fontsize="medium")
    ax.set_xlabel("first principal component")
    ax.set_ylabel("second principal component")


def main(folder: Path) -> None:
    wines = load_wine(as_frame=True)
    X, cultivars = wines.data, wines.target.to_numpy()

    title("1. All families, one to nine components, by BIC")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # more parameters than wines: the summary says so, too
        by_bic = select(X, random_state=0)
    print(by_bic.summary())
    print("\n  type   K    BIC      ICL")
    for one in by_bic.ranked[:5]:
        print(f"  {one['covariance_type']}  {one['n_components']:4d}  {one['bic']:.1f}  {one['icl']:.1f}")
    four = by_bic.best_
    print(f"\n{counts(four.labels_, cultivars)}")
    print(f"agreement with the cultivars (adjusted Rand index): {adjusted_rand_score(cultivars, four.labels_):.3f}")

    title("2. Components are not clusters: merge those that overlap")
    merged = merge_clusters(four, X)
    print(f"groups of components: {merged.groups}\n{counts(merged.labels, cultivars)}")
    print(f"agreement: {adjusted_rand_score(cultivars, merged.labels):.3f}")

    title("3. Rows that were held out have the last word")
    by_cv = select(X, range(1, 6), criterion="cv", random_state=0)
    print(by_cv.summary())
    three = by_cv.best_
    print(f"\n{counts(three.labels_, cultivars)}")
    print(f"agreement: {adjusted_rand_score(cultivars, three.labels_):.3f}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=(3, 2), layout="constrained")
    by_bic.plot(ax=left)
    plane = PCA(2).fit_transform(StandardScaler().fit_transform(X))
    draw(right, plane, three.labels_, cultivars, "chosen by cross-validation; shapes are cultivars")
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "03_choosing_a_model.png"
    figure.savefig(picture, dpi=150)
    print(f"\nPicture written to {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
