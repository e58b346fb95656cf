"""Model choice beside mclust: the log-likelihood of every cell, the model that is chosen, and the time it takes.

    python benchmarks/selection.py FOLDER [--only NAME,...] [--repeat 3] [--page docs/selection.md]

FOLDER holds what mclust has been recorded to do with its default settings: data/NAME.csv, and NAME/default.json with
``loglik`` (nats) and ``bic`` (its sign: higher is better) of each model, aligned with ``G``, ``best`` and ``seconds``
(of clustering and of the whole table).  Those times were recorded on two cores of a shared machine, not in this run;
ours are the median of so many selections on all cores here.

A cell counts if both programs call it sound; it is good if ours is at least mclust's minus NEAR nats.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from pages import put

import mixtura
from mixtura import select
from mixtura.engine import cores

NEAR = 1e-3
"""Nats by which a log-likelihood may be under mclust's."""

LONG, SHORT = 2.0, 0.5
"""Seconds of mclust over which, and between which, ratios are averaged."""

SMALL_ROWS, SMALL_FEATURES = 500, 4
"""Sets under this size are to take less than a second."""


def data(path: Path) -> np.ndarray:
    """Numbers of a table without its column of labels."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = [i for i, name in enumerate(header) if name != "label"]
    return np.array([[float(row[i]) for i in columns] for row in rows])


def compared(folder: Path, name: str, repeat: int) -> dict[str, object]:
    """One data set: what both programs found, and how long it took."""
    X = data(folder / "data" / f"{name}.csv")
    theirs = json.loads((folder / name / "default.json").read_text())
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            selection = select(X, theirs["G"], theirs["models"], random_state=0)
        times.append(time.perf_counter() - began)
    ours = {(one["covariance_type"], one["n_components"]): one for one in selection.records}
    good = both = 0
    worst = 0.0
    for model in theirs["models"]:
        for k, loglik in zip(theirs["G"], theirs["loglik"][model], strict=True):
            own = ours[model, k]
            if loglik is not None and own["status"] == "ok":
                both += 1
                good += own["loglik"] >= loglik - NEAR
                worst = min(worst, own["loglik"] - loglik)
    best, record = selection.ranked[0], theirs["best"]
    seconds = theirs["seconds"]["mclustBIC"]
    return {
        "name": name,
        "n": X.shape[0],
        "d": X.shape[1],
        "cells": both,
        "good": good,
        "lowest": worst,
        "ours": f"{best['covariance_type']},{best['n_components']}",
        "ours_bic": best["bic"],
        "theirs": f"{record['model']},{record['G']}",
        "theirs_bic": -record["bic"],
        "seconds": statistics.median(times),
        "their_seconds": seconds,
    }


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| data | n | d | cells | as good | lowest | chosen | BIC | mclust | BIC | s | mclust | ratio |",
        "|---|---:|---:|---:|---:|---:|---|---:|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['name']} | {row['n']} | {row['d']} | {row['cells']} | {row['good'] / row['cells']:.1%} "
        f"| {row['lowest']:.3f} | {row['ours']} | {row['ours_bic']:.2f} | {row['theirs']} "
        f"| {row['theirs_bic']:.2f} | {row['seconds']:.2f} | {row['their_seconds']:.2f} "
        f"| {row['their_seconds'] / row['seconds']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def geometric(ratios: list[float]) -> str:
    return f"{np.exp(np.mean(np.log(ratios))):.1f} over {len(ratios)} sets" if ratios else "no set"


def summary(rows: list[dict[str, object]]) -> str:
    def ratios(low: float, high: float) -> list[float]:
        return [row["their_seconds"] / row["seconds"] for row in rows if low < row["their_seconds"] <= high]

    small = [row for row in rows if row["n"] < SMALL_ROWS and row["d"] <= SMALL_FEATURES]
    slowest = max(small, key=lambda row: row["seconds"], default=None)
    under = [row["name"] for row in rows if row["good"] < 0.95 * row["cells"]]
    worse = [row["name"] for row in rows if row["ours_bic"] > row["theirs_bic"] + 2 * NEAR]
    share = np.mean([row["good"] / row["cells"] for row in rows])
    long, short = geometric(ratios(LONG, np.inf)), geometric(ratios(SHORT, LONG))
    lines = [
        f"- cells as good, mean over sets: {share:.1%}; sets under 95 %: {', '.join(under) or 'none'}",
        f"- BIC of the chosen model over mclust's: {', '.join(worse) or 'nowhere'}",
        f"- ratio of times, geometric mean: {long} where mclust takes more than {LONG:g} s; {short} from {SHORT:g} s",
    ]
    if slowest is not None:
        lines.append(
            f"- n < {SMALL_ROWS} and d <= {SMALL_FEATURES}: at most {slowest['seconds']:.2f} s ({slowest['name']})"
        )
    lines.append(f"\nmixtura {mixtura.__version__}, NumPy {np.__version__}, {cores()} cores; mclust 6.0.0, recorded")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--page", type=Path, help="put the table between the markers of this page")
    arguments = parser.parse_args()
    names = sorted(path.parent.name for path in arguments.folder.glob("*/default.json"))
    if arguments.only:
        names = [name for name in names if name in arguments.only.split(",")]
    rows = []
    for name in names:
        rows.append(compared(arguments.folder, name, arguments.repeat))
        print(table(rows).splitlines()[-1], flush=True)
    text = f"{table(rows)}\n\n{summary(rows)}\n"
    print(f"\n{text}")
    if arguments.page is not None:
        put(arguments.page, "selection", text)


if __name__ == "__main__":
    main()
