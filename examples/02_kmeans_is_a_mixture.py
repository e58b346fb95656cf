"""k-means is a Gaussian mixture
================================

Lloyd's algorithm, step by step, from mixtura's pieces.

Run it with ``python examples/02_kmeans_is_a_mixture.py [folder for the picture]``.

Take a Gaussian mixture of K components and tie down all but the means: equal weights 1/K, and one
spherical covariance s2 I for all (the family EII). The log joint density of row x and component k
is then::

    log(1/K) + log N(x | m_k, s2 I) = const - |x - m_k|^2 / (2 s2)

So the most probable component is the one with the nearest mean. Let each row belong wholly to
it ("hard" assignment, instead of the shares that EM gives out). The M-step then makes each mean
the average of its rows, and s2 the mean squared distance per coordinate, s2 = SSE / (N d). Nearest
centre, average, nearest centre, average: that is Lloyd's algorithm, and the log-likelihood of rows
and assignments together, maximised over s2::

    F = -N log K - (N d / 2) log(2 pi e s2)

It rises exactly when k-means' sum of squares SSE falls. (G. Celeux and G. Govaert, "A classification
EM algorithm for clustering and two stochastic versions", 1992; J. Lücke and D. Forster, "k-means as
a variational EM approximation of Gaussian mixture models", 2019.)  Soft EM comes to the same when
s2 is held fixed and made small: the shares become 0 and 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from mixtura import GaussianMixture, Mixture
from mixtura.plot import OKABE_ITO, scatter

K, SEED = 3, 2


# %%
# With mixtura
# ------------


def equal_spheres(means: np.ndarray, s2: float = 1.0) -> Mixture:
    """A mixture with equal weights and covariance s2 I; for hard assignment any s2 will do."""
    return Mixture(np.full(len(means), 1 / len(means)), means, np.full(len(means), s2))


def m_step(X: np.ndarray, **assignment: np.ndarray) -> Mixture:
    """The mixture with equal weights and one spherical covariance that fits an assignment best.

    A fit that begins with an assignment begins with its M-step, and the first mixture of fit_iter
    is where it begins.
    """
    gm = GaussianMixture(K, covariance_type="EII", mixing="equal", **assignment)
    start, _ = next(gm.fit_iter(X))
    return start


def hard_em(X: np.ndarray, centres: np.ndarray) -> Iterator[Mixture]:
    """Hard E-step, M-step, hard E-step, M-step, ..."""
    mixture = equal_spheres(centres)
    while True:
        mixture = m_step(X, labels_init=mixture.predict(X))
        yield mixture


# %%
# Without
# -------


def lloyd(X: np.ndarray, centres: np.ndarray) -> Iterator[np.ndarray]:
    """Nearest centre, average, nearest centre, average, ..."""
    while True:
        labels = cdist(X, centres).argmin(axis=1)
        centres = np.array([X[labels == k].mean(axis=0) for k in range(len(centres))])
        yield centres


# %%
# Side by side
# ------------


def compare_step_by_step(X: np.ndarray, centres: np.ndarray) -> Mixture:
    """Run all three from the same centres until nothing moves; returns the mixture at the end."""
    N, d = X.shape
    print("             sum of squares           rows that   largest gap       log-likelihood")
    print("step      mixtura    scikit-learn       changed   between centres   of rows and labels")
    labels = equal_spheres(centres).predict(X)
    for step, (mixture, plain) in enumerate(zip(hard_em(X, centres), lloyd(X, centres), strict=True), start=1):
        kmeans = KMeans(len(centres), init=centres, n_init=1, max_iter=step, tol=0).fit(X)
        apart = max(
            np.abs(mixture.means - kmeans.cluster_centers_).max(),
            np.abs(mixture.means - plain).max(),
        )
        previous, labels = labels, mixture.predict(X)
        changed = int((labels != previous).sum())
        assert apart < 1e-10, f"step {step}: centres differ by {apart}"
        assert np.array_equal(labels, kmeans.labels_), f"step {step}: labels differ"

        sse = ((X - mixture.means[labels]) ** 2).sum()
        s2 = mixture.covariances[0, 0, 0]
        complete = -N * np.log(K) - N * d / 2 * np.log(2 * np.pi * s2) - sse / (2 * s2)
        print(f"{step:4d} {sse:12.4f} {kmeans.inertia_:15.4f} {changed:13d} {apart:17.1e} {complete:20.4f}")
        if not changed:
            return mixture
    raise AssertionError("Lloyd's algorithm always ends")


def soft_em(X: np.ndarray, centres: np.ndarray, s2: float, passes: int) -> Mixture:
    """EM for the means alone, s2 and the equal weights being held."""
    mixture = equal_spheres(centres, s2)
    for _ in range(passes):
        mixture = equal_spheres(m_step(X, responsibilities_init=mixture.responsibilities(X)).means, s2)
    return mixture


def compare_limit(X: np.ndarray, centres: np.ndarray, end: Mixture) -> None:
    """Soft EM from the same centres, for smaller and smaller s2."""
    s2 = float(end.covariances[0, 0, 0])
    print("s2 / k-means' s2   labelled as by k-means   undecided rows   largest gap between means")
    for fraction in (1.0, 0.3, 0.1, 0.03, 0.01, 0.001):
        soft = soft_em(X, centres, fraction * s2, passes=100)
        undecided = int((soft.responsibilities(X).max(axis=1) < 0.99).sum())
        same = int((soft.predict(X) == end.predict(X)).sum())
        apart = np.abs(soft.means - end.means).max()
        agree = f"{same} of {len(X)}"
        print(f"{fraction:16g} {agree:>24} {undecided:16d} {apart:27.1e}")
    assert same == len(X)


def shade(ax: Axes, mixture: Mixture, *, hard: bool) -> None:
    """Colour the plane by the mixture's view of it: one colour (hard) or shares of all (soft)."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    x, y = np.linspace(left, right, 600), np.linspace(bottom, top, 500)
    plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    share = np.eye(K)[mixture.predict(plane)] if hard else mixture.responsibilities(plane)
    image = (share @ [to_rgb(color) for color in OKABE_ITO[:K]]).reshape(len(y), len(x), 3)
    # Pale, so that rows and ellipses stand out.
    pale = 1 - 0.3 * (1 - image)
    ax.imshow(pale, origin="lower", extent=(left, right, bottom, top), aspect="equal", zorder=0)


def main(folder: Path) -> None:
    # Three clusters of different size, shape and weight: harder than k-means' own model.
    truth = Mixture(
        weights=[0.45, 0.35, 0.20],
        means=[[0.0, 0.0], [1.2, 3.4], [6.0, 1.2]],
        covariances=[
            [[2.6, 1.1], [1.1, 0.7]],
            [[2.2, -0.3], [-0.3, 0.25]],
            [[0.3, 0.0], [0.0, 0.3]],
        ],
    )
    X, _ = truth.sample(600, rng=SEED)
    centres = X[np.random.default_rng(SEED).choice(len(X), K, replace=False)]

    print(f"{len(X)} rows, {K} clusters: the hard mixture, Lloyd's steps and scikit-learn's KMeans\n")
    end = compare_step_by_step(X, centres)
    print("\nAt every step: the same labels, and centres that agree to 1e-10.\n")

    print("Soft EM with equal weights and a shared variance s2 that is held, from the same centres\n")
    compare_limit(X, centres, end)
    print("\nAs s2 goes to zero soft EM becomes k-means.")

    free = GaussianMixture(K, means_init=end.means).fit(X)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "02_kmeans_is_a_mixture.png"
    figure, axes = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained", sharex=True, sharey=True)
    panels = (
        ("k-means: the nearest centre takes all", end, True),
        ("the same mixture, soft", end, False),
        ("weights and covariances set free", free.mixture_, False),
    )
    for ax, (title, mixture, _) in zip(axes, panels, strict=True):
        scatter(mixture, X, ax=ax).set_title(title)
        ax.label_outer()
    # The axes are shared: only now do all panels have their final limits.
    for ax, (_, mixture, hard) in zip(axes, panels, strict=True):
        shade(ax, mixture, hard=hard)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
