"""Peaks in a spectrum, from a histogram
========================================

All that is left of the events is how many fell into each bin.

Run it with ``python examples/06_peaks_in_a_spectrum.py [folder for the picture]``.

A detector counts events by their energy: peaks, whose widths are of interest, over a flat background.  What it keeps is
a histogram with bins of width h.  To fit a mixture there are three ways::

    points       the centres of the bins as rows, the counts as their weights.  Each event is moved to the centre of its
                 bin, by something between -h/2 and h/2, which adds about h^2 / 12 to the variance of each peak
    Sheppard     the same, and the movement told as an error of that variance (W. F. Sheppard, 1898)
    bins         fit_histogram: the count of a bin has the probability that the mixture gives to the bin,
                 p_b = sum_k w_k (Phi((u_b - m_k) / s_k) - Phi((l_b - m_k) / s_k)) + w_0 (u_b - l_b) / V

The last is the likelihood of what was seen, whatever the width of the bins (G. J. McLachlan and P. N. Jones, 1988).
The second is nearly the same while bins are narrow beside the peaks.  The background, w_0 / V, is noise=True.

The events are made here, so that the truth is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import norm

from mixtura import GaussianMixture
from mixtura.plot import DASHES, MARKERS, OKABE_ITO

END = 1000.0
ENERGY, WIDTH, EVENTS = np.array([[302.0, 505.0, 640.0, 800.0], [4.0, 8.0, 15.0, 30.0], [3000, 2500, 4000, 5000]])
BACKGROUND = 15_000
"""The peaks, in keV, and the events in each of them and in the background, up to END."""

BIN = 10.0
RATIOS = (0.25, 0.5, 1.0, 1.5, 2.0)
SPECTRA, SEED = 20, 0


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def measured(rng: np.random.Generator) -> np.ndarray:
    """Energies of events, as nature has them and nobody sees them."""
    peaks = [rng.normal(*peak, size=rng.poisson(n)) for *peak, n in zip(ENERGY, WIDTH, EVENTS, strict=True)]
    return np.concatenate([*peaks, rng.uniform(0, END, size=rng.poisson(BACKGROUND))])


def model(n_peaks: int) -> GaussianMixture:
    return GaussianMixture(n_peaks, noise=True, random_state=0)


# %%
# The three ways
# --------------


def points(n_peaks: int, edges: np.ndarray, counts: np.ndarray) -> GaussianMixture:
    return model(n_peaks).fit(0.5 * (edges[1:] + edges[:-1]), sample_weight=counts)


def sheppard(n_peaks: int, edges: np.ndarray, counts: np.ndarray) -> GaussianMixture:
    variance = (np.diff(edges) ** 2 / 12)[:, None]
    return model(n_peaks).fit(0.5 * (edges[1:] + edges[:-1]), sample_weight=counts, error_covariance=variance)


def bins(n_peaks: int, edges: np.ndarray, counts: np.ndarray) -> GaussianMixture:
    return model(n_peaks).fit_histogram(edges, counts)


WAYS: dict[str, Callable[[int, np.ndarray, np.ndarray], GaussianMixture]] = {
    "points": points,
    "Sheppard": sheppard,
    "bins": bins,
}


def peaks_of(gm: GaussianMixture, total: float) -> np.ndarray:
    """Energies, widths and numbers of events of the peaks, (3, K), from low to high energies."""
    order = np.argsort(gm.means_[:, 0])
    return np.array([gm.means_[:, 0], np.sqrt(gm.covariances_[:, 0, 0]), total * gm.weights_])[:, order]


def print_averages(edges: np.ndarray) -> None:
    """Widths and events of the peaks in many spectra."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in WAYS}
    for i in range(SPECTRA):
        counts, _ = np.histogram(measured(np.random.default_rng([SEED, i])), edges)
        for name, way in WAYS.items():
            found[name].append(peaks_of(way(len(ENERGY), edges, counts), counts.sum()))
    for part, text, truth, digits in ((1, "width (keV)", WIDTH, 2), (2, "events", EVENTS, 0)):
        print(f"{text:28}" + "".join(f"{one:18.{digits}f}" for one in truth))
        for name, each in found.items():
            mean = np.mean(each, axis=0)[part]
            error = np.std(each, axis=0, ddof=1)[part] / np.sqrt(SPECTRA)
            cells = [f"{one:.{digits}f} +- {its:.{digits}f}" for one, its in zip(mean, error, strict=True)]
            print(f"  {name:26}" + "".join(f"{cell:>18}" for cell in cells))
        if part == 1:
            expected = np.sqrt(WIDTH**2 + BIN**2 / 12)
            print(f"  {'sqrt(width^2 + h^2 / 12)':26}" + "".join(f"{one:18.{digits}f}" for one in expected))


def over_bin_widths() -> dict[str, np.ndarray]:
    """Widths (RATIOS, SPECTRA) found for one peak, as parts of that of its events, in bins of so many widths that begin
    anywhere."""
    found = {name: np.empty((len(RATIOS), SPECTRA)) for name in WAYS}
    for j in range(SPECTRA):
        rng = np.random.default_rng([SEED, 1, j])
        peak = rng.normal(size=4000)
        events = np.concatenate([peak, rng.uniform(-25, 25, size=5000)])
        for i, h in enumerate(RATIOS):
            edges = h * (np.arange(np.ceil(40 / h) + 1) - rng.random()) - 20
            counts, _ = np.histogram(events, edges)
            for name, way in WAYS.items():
                found[name][i, j] = np.sqrt(way(1, edges, counts).covariances_[0, 0, 0]) / peak.std()
    return found


def print_over_bin_widths(found: dict[str, np.ndarray]) -> None:
    print(f"{'h / width':14}" + "".join(f"{name:>18}" for name in found) + f"{'sqrt(1 + h^2 / 12)':>22}")
    for i, h in enumerate(RATIOS):
        cells = [f"{each[i].mean():.3f} +- {each[i].std(ddof=1) / np.sqrt(SPECTRA):.3f}" for each in found.values()]
        print(f"{h:<14g}" + "".join(f"{cell:>18}" for cell in cells) + f"{np.sqrt(1 + h**2 / 12):22.3f}")


# %%
# The picture
# -----------


def per_bin(gm: GaussianMixture, energy: np.ndarray, total: float) -> np.ndarray:
    """Expected counts in a bin around each energy: of the background and of all, (2, n)."""
    peaks = norm.pdf(energy[:, None], gm.means_[:, 0], np.sqrt(gm.covariances_[:, 0, 0])) @ gm.weights_
    background = np.full(len(energy), gm.noise_weight_ * np.exp(-gm.background_.box.log_volume))
    return BIN * total * np.array([background, background + peaks])


def draw_spectrum(ax: Axes, gm: GaussianMixture, edges: np.ndarray, counts: np.ndarray) -> None:
    energy = np.linspace(0, END, 2000)
    background, whole = per_bin(gm, energy, counts.sum())
    ax.stairs(counts, edges, fill=True, color="0.82", label="counts")
    ax.plot(energy, whole, color=OKABE_ITO[0], label="fit to the bins")
    ax.plot(energy, background, color=OKABE_ITO[1], linestyle="--", label="its background")
    ax.set_xlabel("energy (keV)")
    ax.set_ylabel(f"counts in {BIN:g} keV")
    ax.set_xlim(0, END)
    ax.legend(fontsize="small", frameon=False)
    ax.set_title("a spectrum", fontsize="medium")


def draw_narrow(ax: Axes, fits: dict[str, GaussianMixture], edges: np.ndarray, counts: np.ndarray) -> None:
    """The narrowest peak, as it is and as the three ways see it."""
    middle, width, events = ENERGY[0], WIDTH[0], EVENTS[0]
    energy = np.linspace(middle - 30, middle + 30, 500)
    ax.stairs(counts, edges, fill=True, color="0.82")
    truth = BIN * (BACKGROUND / END + events * norm.pdf(energy, middle, width))
    ax.plot(energy, truth, color="black", linewidth=2.5, alpha=0.5, label="truth")
    for i, (name, gm) in enumerate(fits.items()):
        _, whole = per_bin(gm, energy, counts.sum())
        ax.plot(energy, whole, color=OKABE_ITO[i], linestyle=DASHES[i], label=name)
    ax.set_xlim(energy[0], energy[-1])
    ax.set_xlabel("energy (keV)")
    ax.legend(fontsize="small", frameon=False)
    ax.set_title("its narrowest peak", fontsize="medium")


def draw_over_bin_widths(ax: Axes, found: dict[str, np.ndarray]) -> None:
    h = np.linspace(0, max(RATIOS), 100)
    ax.plot(h, np.sqrt(1 + h**2 / 12), color="0.6", linewidth=1, label="sqrt(1 + h$^2$ / 12)")
    ax.axhline(1, color="black", linewidth=1)
    for i, (name, each) in enumerate(found.items()):
        error = each.std(axis=1, ddof=1) / np.sqrt(SPECTRA)
        style = {"color": OKABE_ITO[i], "marker": MARKERS[i], "linestyle": DASHES[i], "markersize": 5}
        ax.errorbar(np.array(RATIOS) + 0.03 * (i - 1), each.mean(axis=1), error, label=name, **style)
    ax.set_xlabel("width of the bins / width of the peak")
    ax.set_ylabel("width found / true width")
    ax.legend(fontsize="small", frameon=False)
    ax.set_title(f"one peak, {SPECTRA} spectra", fontsize="medium")


def main(folder: Path) -> None:
    edges = np.arange(0, END + BIN, BIN)
    counts, _ = np.histogram(measured(np.random.default_rng(SEED)), edges)
    print(f"{counts.sum()} events in {len(counts)} bins of {BIN:g} keV, {len(ENERGY)} peaks and a flat background")
    fits = {name: way(len(ENERGY), edges, counts) for name, way in WAYS.items()}
    print(f"fit to the bins: background {fits['bins'].noise_weight_:.1%}, peaks at", end=" ")
    print(", ".join(f"{energy:.1f}" for energy in peaks_of(fits["bins"], counts.sum())[0]), "keV")

    title(f"1. The truth, and what each way finds: means of {SPECTRA} such spectra")
    print_averages(edges)
    print(
        "Sheppard's error is the same all over a bin; where a peak is steep, most of a bin's events lie on its side.\n"
        "And the background of rows ends at the outermost centres, half a bin too early: it is a little denser, and\n"
        "takes from the foot of the widest peak.  The bins themselves know both."
    )

    title("2. The same peak in wider and wider bins")
    found = over_bin_widths()
    print_over_bin_widths(found)

    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "06_peaks_in_a_spectrum.png"
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
    draw_spectrum(axes[0], fits["bins"], edges, counts)
    draw_narrow(axes[1], fits, edges, counts)
    draw_over_bin_widths(axes[2], found)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
