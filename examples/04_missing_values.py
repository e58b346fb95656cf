"""Days with gaps: missing values
=================================

Air quality in New York, where the instruments had days off.

Run it with ``python examples/04_missing_values.py [folder for the picture]``.

On each of 153 days in the summer of 1973 somebody wanted four numbers: ozone, solar radiation, wind and temperature.
On 42 days one or two of them are missing.  There are three things to do about it::

    as they are       fit the rows with their gaps: NaN is a missing value.  A row that tells the features o counts by
                      their own density, sum_k w_k N(x_o | m_k,o, S_k,oo)
    complete days     throw the 42 days away, with everything else they say
    mean imputation   put the mean of the column in each gap, and believe it

Why the first can be right.  The likelihood of what was seen is all there is to maximise if values are *missing at
random*: whether a value is missing may depend on anything that was seen (the wind of that day, say) but, given that,
not on the value itself.  EM does the rest.  Its E-step tells the component of a row from what is there, and within a
component what is missing is expected to be::

    E[x_m | x_o, k]   = m_k,m + S_k,mo S_k,oo^-1 (x_o - m_k,o)
    Cov[x_m | x_o, k] = S_k,mm - S_k,mo S_k,oo^-1 S_k,om

The M-step adds that covariance to the scatter: a value that was filled in is not a value that was seen.

(D. B. Rubin, "Inference and missing data", 1976; Z. Ghahramani and M. I. Jordan, "Supervised learning from incomplete
data via an EM approach", 1994.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis

from mixtura import GaussianMixture, Mixture
from mixtura.plot import DASHES, OKABE_ITO, scatter

NAMES = ["ozone (ppb)", "solar radiation", "wind", "temperature (°F)"]
OZONE, SOLAR, WIND, TEMP = range(4)
INSTRUMENTS = [OZONE, SOLAR]
"""The features that have gaps."""

REPETITIONS, HIDDEN, HELD_OUT, FOLDS = 20, 0.4, 5, 10
"""How often values are hidden, which part of them, and one day in how many is held out; parts of cross-validation."""


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


# %%
# The three ways
# --------------


def complete_days(X: np.ndarray) -> np.ndarray:
    return X[~np.isnan(X).any(axis=1)]


def mean_imputation(X: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(X), np.nanmean(X, axis=0), X)


WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda X: X,
    "complete days": complete_days,
    "mean imputation": mean_imputation,
}


def expected(mixture: Mixture, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows with E[x_m | x_o] in their gaps, and the standard deviations of what is in the gaps."""
    filled, deviation = X.copy(), np.zeros_like(X)
    for n in np.flatnonzero(np.isnan(X).any(axis=1)):
        gone = np.isnan(X[n])
        seen = ~gone
        share = mixture.marginal(np.flatnonzero(seen)).responsibilities(X[n : n + 1, seen])[0]
        inside, second = [], []
        for mean, covariance in zip(mixture.means, mixture.covariances, strict=True):
            gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, gone)]).T
            inside.append(mean[gone] + gain @ (X[n, seen] - mean[seen]))
            left = covariance[np.ix_(gone, gone)] - gain @ covariance[np.ix_(seen, gone)]
            second.append(np.diagonal(left) + inside[-1] ** 2)
        filled[n, gone] = share @ inside
        deviation[n, gone] = np.sqrt(share @ second - filled[n, gone] ** 2)
    return filled, deviation


# %%
# Which model, in which scale
# ---------------------------


def chosen(X: np.ndarray, jacobian: float) -> tuple[str, int]:
    """Print BIC of some models of ozone and of its logarithm; the best of the latter.

    A density of log ozone is one of ozone after division by ozone: ``jacobian`` is the sum of the logarithms.
    """
    number = range(1, 5)
    print(f"{'':22}" + "".join(f"{f'K = {k}':>10}" for k in number))
    best = (np.inf, "", 0)
    for scale, taken_off in (("ozone", 0.0), ("log ozone", jacobian)):
        rows = X.copy()
        if scale == "log ozone":
            rows[:, OZONE] = np.log(rows[:, OZONE])
        for covariance_type in ("full", "tied", "diag"):
            fits = [GaussianMixture(k, covariance_type=covariance_type, random_state=0).fit(rows) for k in number]
            bic = [gm.bic(rows) + 2 * taken_off for gm in fits]
            print(f"{scale:14}{covariance_type:8}" + "".join(f"{one:10.1f}" for one in bic))
            if taken_off:
                best = min(best, *((one, covariance_type, k) for one, k in zip(bic, number, strict=True)))
    return best[1:]


# %%
# Scores
# ------


def hidden_values(X: np.ndarray, make: Callable[[], GaussianMixture], rng: np.random.Generator) -> np.ndarray:
    """Scores (repetitions, ways, 3): log density of a hidden value given what its row still tells, error of its
    expectation in standard deviations of the column, and log density of days held out."""
    spread = np.nanstd(X, axis=0)
    found = []
    for _ in range(REPETITIONS):
        held_out, rest = np.split(rng.permutation(len(X)), [len(X) // HELD_OUT])
        days = X[rest]
        hide = np.zeros(days.shape, dtype=bool)
        hide[:, INSTRUMENTS] = rng.random((len(days), len(INSTRUMENTS))) < HIDDEN
        hide &= ~np.isnan(days)
        holed = np.where(hide, np.nan, days)
        scores = []
        for prepared in WAYS.values():
            gm = make().fit(prepared(holed))
            given = (gm.score_samples(days) - gm.score_samples(holed)).sum() / hide.sum()
            wrong = ((expected(gm.mixture_, holed)[0] - days) / spread)[hide]
            scores.append([given, np.sqrt((wrong**2).mean()), gm.score(X[held_out])])
        found.append(scores)
    return np.array(found)


def cross_validated(X: np.ndarray, make: Callable[[], GaussianMixture], rng: np.random.Generator) -> np.ndarray:
    """Log densities (n, ways, 1) of all days, each under fits to the other nine tenths of them."""
    found = np.empty((len(X), len(WAYS), 1))
    for held_out in np.array_split(rng.permutation(len(X)), FOLDS):
        rest = np.delete(X, held_out, axis=0)
        for way, prepared in enumerate(WAYS.values()):
            found[held_out, way, 0] = make().fit(prepared(rest)).score_samples(X[held_out])
    return found


def with_error(values: np.ndarray, width: int = 20) -> str:
    """The mean of the values, and its standard error."""
    return f"{f'{values.mean():.3f} +- {values.std(ddof=1) / np.sqrt(len(values)):.3f}':>{width}}"


def print_scores(scores: np.ndarray, **columns: int) -> None:
    """Scores (repetitions, ways, columns), then what the rows as they are gain over the other ways: of a column that is
    1 more is better, of one that is -1 less.

    Gains have the smaller errors: what makes one repetition harder than another makes it harder for all.
    """
    print(f"{'':26}" + "".join(f"{column.replace('_', ' '):>20}" for column in columns))
    for way, name in enumerate(WAYS):
        print(f"{name:26}" + "".join(with_error(each) for each in scores[:, way].T))
    for way, name in list(enumerate(WAYS))[1:]:
        gain = (scores[:, 0] - scores[:, way]) * list(columns.values())
        print(f"  gain over {name:16}" + "".join(with_error(each) for each in gain.T))


# %%
# Where it ends
# -------------


def likelier(values: np.ndarray) -> np.ndarray:
    """Probabilities that grow with the values, a half in the middle."""
    return np.asarray(1 / (1 + np.exp(-2 * (values - values.mean()) / values.std())))


def print_reasons(X: np.ndarray, rng: np.random.Generator) -> None:
    """Mean ozone of all days, when half of them have lost theirs for one reason or another."""
    X = X[~np.isnan(X[:, OZONE])]
    print(f"{'ozone is missing by':24}{'days that have it':>20}{'mixtura':>20}")
    reasons = {
        "chance": np.full(len(X), 0.5),
        "the heat": likelier(X[:, TEMP]),
        "the ozone itself": likelier(X[:, OZONE]),
    }
    for name, probability in reasons.items():
        found = []
        for _ in range(REPETITIONS):
            holed = X.copy()
            holed[rng.random(len(X)) < probability, OZONE] = np.nan
            gm = GaussianMixture(1).fit(holed)
            found.append([np.nanmean(holed[:, OZONE]), gm.means_[0, OZONE]])
        print(f"{name:24}" + "".join(with_error(each) for each in np.exp(found).T))
    print(f"{'nothing is missing':24}{np.exp(X[:, OZONE].mean()):20.3f}")


# %%
# The picture
# -----------


def in_ppb(axis: Axis) -> None:
    """Label an axis of log ozone with ozone."""
    ticks = [1, 3, 10, 30, 100]
    axis.set_ticks(np.log(ticks), labels=[str(tick) for tick in ticks])


def draw_days(ax: Axes, gm: GaussianMixture, X: np.ndarray) -> None:
    """Ozone and temperature of the days, and where those that have no ozone are expected, with one deviation."""
    scatter(gm, X, features=(TEMP, OZONE), feature_names=NAMES, ax=ax)
    gone = np.isnan(X[:, OZONE])
    filled, deviation = expected(gm.mixture_, X)
    style = {"fmt": "s", "color": "black", "markerfacecolor": "white", "markersize": 4, "linewidth": 0.8}
    ax.errorbar(filled[gone, TEMP], filled[gone, OZONE], deviation[gone, OZONE], **style)
    in_ppb(ax.yaxis)
    ax.set_title("white squares: days without ozone, where they are expected", fontsize="medium")


def draw_densities(ax: Axes, gm: GaussianMixture, X: np.ndarray, frame: pd.DataFrame) -> None:
    """What is known of the ozone of three days: the density of the row with a value less that of the row without."""
    gone = np.flatnonzero(np.isnan(X[:, OZONE]))
    by_heat = gone[np.argsort(X[gone, TEMP], kind="stable")]
    grid = np.linspace(np.log(1), np.log(400), 300)
    for i, n in enumerate(by_heat[[0, len(by_heat) // 2, -1]]):
        rows = np.repeat(X[n : n + 1], len(grid), axis=0)
        rows[:, OZONE] = grid
        density = np.exp(gm.score_samples(rows) - gm.score_samples(X[n : n + 1]))
        day = frame.iloc[n]
        label = f"{day['Temp']:.0f} °F, wind {day['Wind']:.1f} mph"
        ax.plot(grid, density, color=OKABE_ITO[i], linestyle=DASHES[i], label=label)
    ax.axvline(np.nanmean(X[:, OZONE]), color="black", linewidth=1, label="mean imputation")
    in_ppb(ax.xaxis)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(NAMES[OZONE])
    ax.set_ylabel("density, per unit of log ozone")
    ax.set_title("ozone of three of them, given the rest of the day", fontsize="medium")
    ax.legend(fontsize="small", frameon=False, loc="upper left")


def main(folder: Path) -> None:
    frame = pd.read_csv(Path(sys.argv[0]).parent / "data" / "airquality.csv")
    months, frame = frame["label"], frame.drop(columns="label")
    raw = frame.to_numpy(dtype=float)
    gaps = np.isnan(raw)
    print(f"{len(raw)} days, {', '.join(frame.columns)}; {gaps.sum()} values missing, on {gaps.any(axis=1).sum()} days")
    without = months[gaps[:, OZONE]]
    print("days without ozone: " + ", ".join(f"{(without == month).sum()} in {month}" for month in months.unique()))

    title("1. Which model, and ozone or its logarithm: BIC of all rows as they are, in units of ozone")
    X = raw.copy()
    X[:, OZONE] = np.log(X[:, OZONE])
    covariance_type, k = chosen(raw, float(np.nansum(X[:, OZONE])))
    print(f"From here on ozone is its logarithm, and the model {covariance_type} with {k} components.")

    def make() -> GaussianMixture:
        return GaussianMixture(k, covariance_type=covariance_type, random_state=0)

    title(
        f"2. Hide {HIDDEN:.0%} of ozone and solar radiation, fit the rest, look at what was hidden; {REPETITIONS} times"
    )
    scores = hidden_values(X, make, np.random.default_rng(0))
    print_scores(scores, hidden_value=1, error=-1, day_held_out=1)
    won = (scores[:, :1, 0] > scores[:, 1:, 0]).sum(axis=0)
    print(
        f"Hidden values are more probable than by the other ways in {won[0]} and {won[1]} of {REPETITIONS} repetitions."
    )

    title(f"3. Nothing hidden, {FOLDS} folds: what {gaps.sum()} gaps in {gaps.size} values amount to")
    print_scores(cross_validated(X, make, np.random.default_rng(0)), day_held_out=1)
    print("With so few gaps the complete days tell nearly as much; made-up values seem to do harm already.")

    title("4. What 'at random' means: mean ozone (geometric, ppb) if half of the days lose theirs")
    print_reasons(X, np.random.default_rng(0))
    print(
        "\nBy chance: all are right, and what else the days tell makes ours more precise.  By the heat: what was seen\n"
        "says which days lost theirs, so it can be made good, but for what one Gaussian gets wrong where it continues\n"
        "the cool days to the hot ones.  By the ozone itself: nothing in the table says so, and whoever has only the\n"
        "table gets it wrong.  Do instruments fail on bad days?  Ask those who look after them."
    )

    gm = make().fit(X)
    apart = np.abs(gm.impute(X) - expected(gm.mixture_, X)[0]).max()
    assert apart < 1e-9, apart
    print(f"\nWhat was expected here by hand gm.impute(X) fills in: largest difference {apart:.0e}")

    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "04_missing_values.png"
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    draw_days(left, gm, X)
    draw_densities(right, gm, X, frame)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"\nPicture: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
