"""A star cluster behind errors of measurement
==============================================

The stars of the cluster stand in front of others, and are seen through errors that differ from star to star.

Run it with ``python examples/05_measurement_errors.py [folder for the picture]``.

The stars of a cluster move together, the others (the field) in all directions.  Known of a star are its proper motion,
two angles per year, and of some stars the radial velocity; bright stars are measured well, faint ones are not.  What a
catalogue has of star n is its point x_n with an error e_n whose covariance E_n is known, too::

    x_n ~ sum_k w_k N(m_k, S_k),    y_n = x_n + e_n,    e_n ~ N(0, E_n)
    so that    y_n ~ sum_k w_k N(m_k, S_k + E_n)

A fit to the y alone finds S plus some mean of the E: a cluster wider than it is.  With ``error_covariance`` the mixture
is that of the x ("extreme deconvolution": J. Bovy, D. W. Hogg and S. T. Roweis, 2011), and the probability that a star
is a member follows from S_k + E_n, its own error included.  A velocity that was not measured is NaN.

The catalogue is made here, so that the truth is known.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mixtura import GaussianMixture, Mixture
from mixtura.plot import MARKERS, OKABE_ITO, scatter

FEATURES = ["proper motion in RA (mas/yr)", "proper motion in Dec (mas/yr)", "radial velocity (km/s)"]
RA, DEC, VELOCITY = range(3)
CLUSTER, FIELD = 0, 1

TRUTH = Mixture(
    weights=[0.3, 0.7],
    means=[[-2.0, 3.0, 12.0], [0.0, 0.0, 0.0]],
    covariances=[
        [[0.25, 0.0, 0.0], [0.0, 0.16, 0.0], [0.0, 0.0, 2.25]],
        [[16.0, 5.0, 10.0], [5.0, 9.0, 0.0], [10.0, 0.0, 900.0]],
    ],
)
STARS, SEED = 1000, 1
MEASURED = 0.4
"""Part of the stars whose radial velocity is known."""

FIELDS, FEW, SPECTRA = 20, 100, [0, 5, 10, 20, 40]
"""Small catalogues, the stars of each, and how many of these are confirmed to be members or not."""


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def catalogue(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measurements (n, 3), covariances of their errors (n, 3, 3), and where the stars belong (n,)."""
    points, belongs = TRUTH.sample(n, rng=rng)
    faint = rng.beta(2, 1.5, size=n)
    motion = 0.1 * 30**faint
    errors = np.zeros((n, 3, 3))
    errors[:, RA, RA] = motion**2
    errors[:, DEC, DEC] = (0.8 * motion) ** 2
    errors[:, RA, DEC] = errors[:, DEC, RA] = rng.uniform(-0.6, 0.6, size=n) * 0.8 * motion**2
    errors[:, VELOCITY, VELOCITY] = (1 + 4 * faint) ** 2
    measured = points + np.einsum("nij,nj->ni", np.linalg.cholesky(errors), rng.normal(size=(n, 3)))
    measured[rng.random(n) > MEASURED, VELOCITY] = np.nan
    return measured, errors, belongs


def cluster_first(gm: GaussianMixture) -> GaussianMixture:
    """The same mixture, numbered so that the narrower component is the first."""
    order = np.argsort(np.linalg.det(gm.covariances_))
    return GaussianMixture.from_parameters(gm.weights_[order], gm.means_[order], gm.covariances_[order])


def widths(gm: GaussianMixture, k: int) -> np.ndarray:
    return np.sqrt(np.diagonal(gm.covariances_[k]))


def scored(gm: GaussianMixture, X: np.ndarray, errors: np.ndarray | None, member: np.ndarray) -> float:
    """Mean logarithm of the probability that a model gives to what is true of each star; 0 is perfect."""
    probability = gm.predict_proba(X, error_covariance=errors)[:, CLUSTER]
    right = np.where(member, probability, 1 - probability)
    return float(np.log(np.maximum(right, 1e-12)).mean())


def print_fits(models: dict[str, GaussianMixture]) -> None:
    """The components of each model."""
    print(f"{'':22}{'':>8}{'--------- means ---------':>30}{'---- standard deviations ----':>33}")
    print(f"{'':22}{'weight':>8}" + 2 * ("   " + "".join(f"{name:>10}" for name in ("RA", "Dec", "velocity"))))
    for k, component in ((CLUSTER, "cluster"), (FIELD, "field")):
        for name, gm in models.items():
            parts = "".join(f"   {''.join(f'{one:10.2f}' for one in part)}" for part in (gm.means_[k], widths(gm, k)))
            print(f"{component:9}{name:13}{gm.weights_[k]:8.3f}{parts}")


def print_members(
    models: dict[str, tuple[GaussianMixture, np.ndarray | None]], X: np.ndarray, member: np.ndarray
) -> None:
    """What each model makes of the stars."""
    print(f"{'':22}{'chosen':>8}{'members among them':>22}{'of all members':>18}{'log score':>12}")
    for name, (gm, errors) in models.items():
        chosen = gm.predict(X, error_covariance=errors) == CLUSTER
        right = (chosen & member).sum()
        print(
            f"{name:22}{chosen.sum():8d}{right / chosen.sum():22.1%}{right / member.sum():18.1%}"
            f"{scored(gm, X, errors, member):12.3f}"
        )


def print_certainty(gm: GaussianMixture) -> None:
    """How probable it is that a star belongs to the cluster, over its own error."""
    there, velocity = gm.means_[CLUSTER], gm.means_[CLUSTER, VELOCITY]
    aside = there + np.array([2.0, 0.0, 0.0])
    stars = [[*there[:2], np.nan], [*there[:2], velocity], [*aside[:2], np.nan], [*aside[:2], velocity]]
    print(f"{'':16}{'moves as the cluster does':>32}{'2 mas/yr off':>32}")
    print(f"{'error (mas/yr)':16}" + 2 * f"{'no velocity':>16}{'the right one':>16}")
    for error in (0.1, 0.3, 1.0, 3.0, 10.0, 100.0):
        probability = gm.predict_proba(stars, error_covariance=[error**2, error**2, 1.0])[:, CLUSTER]
        print(f"{error:<16g}" + "".join(f"{one:16.3f}" for one in probability))


def print_labels() -> None:
    """What spectra of a few stars add to the proper motions of all, in small catalogues."""
    scores = np.empty((FIELDS, len(SPECTRA) + 1))
    for i in range(FIELDS):
        rng = np.random.default_rng([SEED, i])
        X, errors, belongs = catalogue(FEW, rng)
        X, errors = X[:, :VELOCITY], errors[:, :VELOCITY, :VELOCITY]
        order = rng.permutation(FEW)
        rest = order[max(SPECTRA) :]  # the same stars for all, none of them confirmed

        for j, number in enumerate(SPECTRA):
            confirmed = order[:number]
            labels = np.full(FEW, -1)
            labels[confirmed] = belongs[confirmed]
            gm = GaussianMixture(2, random_state=0).fit(X, error_covariance=errors, labels=labels)
            scores[i, j] = scored(gm if number else cluster_first(gm), X[rest], errors[rest], belongs[rest] == CLUSTER)
        truth = GaussianMixture.from_mixture(TRUTH.marginal([RA, DEC]))
        scores[i, -1] = scored(truth, X[rest], errors[rest], belongs[rest] == CLUSTER)
    print(f"{'confirmed stars':18}{'log score of the others':>26}{'worst catalogue':>18}")
    for name, column in zip([*map(str, SPECTRA), "(the truth)"], scores.T, strict=True):
        mean = f"{column.mean():.3f} +- {column.std(ddof=1) / np.sqrt(FIELDS):.3f}"
        print(f"{name:18}{mean:>26}{column.min():18.3f}")


def draw_plane(ax: Axes, gm: GaussianMixture, X: np.ndarray, labels: np.ndarray, text: str) -> None:
    """Proper motions, coloured by component; ellipses of the fit, and dashed the true one of the cluster."""
    for k in (FIELD, CLUSTER):
        own = labels == k
        ax.scatter(*X[own][:, [RA, DEC]].T, s=8, color=OKABE_ITO[k], marker=MARKERS[k], alpha=0.5, linewidths=0)
    scatter(gm, features=(RA, DEC), feature_names=FEATURES, ax=ax)
    angle = np.linspace(0, 2 * np.pi, 200)
    radius = np.sqrt(-2 * np.log(1 - 0.9))  # of two features: chi2 with two degrees of freedom
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    edge = TRUTH.means[CLUSTER, :2] + radius * circle * np.sqrt(np.diagonal(TRUTH.covariances[CLUSTER]))[:2]
    ax.plot(*edge.T, color="black", linestyle="--", linewidth=1.4)
    ax.set_xlim(-7, 3)
    ax.set_ylim(-2, 8)
    ax.set_title(text, fontsize="medium")


def draw_certainty(ax: Axes, probability: np.ndarray, errors: np.ndarray, belongs: np.ndarray) -> None:
    """The probability of each star over its own error."""
    size = np.sqrt(errors[:, RA, RA])
    for k, name in ((FIELD, "field"), (CLUSTER, "cluster")):
        own = belongs == k
        style = {"s": 12, "color": OKABE_ITO[k], "marker": MARKERS[k], "alpha": 0.6, "linewidths": 0}
        ax.scatter(size[own], probability[own], label=f"in truth of the {name}", **style)
    ax.set_xscale("log")
    ticks = [0.1, 0.3, 1, 3]
    ax.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("error of the star's own proper motion (mas/yr)")
    ax.set_ylabel("probability that it is a member")
    ax.set_title("the larger the error, the less can be said", fontsize="medium")
    ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 0.1), framealpha=0.85)


def main(folder: Path) -> None:
    X, errors, belongs = catalogue(STARS, np.random.default_rng(SEED))
    member = belongs == CLUSTER
    motion = np.sqrt(errors[:, RA, RA])
    print(f"{STARS} stars, {member.sum()} of them in the cluster; radial velocities of {(~np.isnan(X[:, 2])).sum()}")
    quarter, half, three = np.quantile(motion, [0.25, 0.5, 0.75])
    print(f"errors of the motion in RA: {quarter:.2f}, {half:.2f} and {three:.2f} mas/yr at the quarters")

    title("1. The mixture of what was measured, and the mixture of the stars")
    noisy = cluster_first(GaussianMixture(2, random_state=0).fit(X))
    sharp = cluster_first(GaussianMixture(2, random_state=0).fit(X, error_covariance=errors))
    truth = GaussianMixture.from_mixture(TRUTH)
    print_fits({"truth": truth, "no errors": noisy, "with errors": sharp})

    title("2. Who is a member?")
    print_members({"truth": (truth, errors), "no errors": (noisy, None), "with errors": (sharp, errors)}, X, member)

    title("3. How sure can one be of a star?")
    print_certainty(sharp)
    print(
        "What is measured badly says little: the probability goes back to what it is without, the cluster's weight or\n"
        "what the velocity alone tells.  A star that is off is no member, unless its error may have put it there."
    )

    title(f"4. A few spectra: labels of some of {FEW} stars, proper motions only, {FIELDS} catalogues")
    print_labels()
    print(
        "Several mixtures explain so few stars; labels say which one is meant, and which component is the cluster.\n"
        "The stars for the spectra were drawn at random: labels of members alone would say that members are many."
    )

    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "05_measurement_errors.png"
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
    draw_plane(axes[0], noisy, X, noisy.predict(X), "errors left out (dashed: the true cluster)")
    draw_plane(axes[1], sharp, X, sharp.predict(X, error_covariance=errors), "errors known")
    draw_certainty(axes[2], sharp.predict_proba(X, error_covariance=errors)[:, CLUSTER], errors, belongs)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
