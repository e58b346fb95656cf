"""Whole fits of full covariance with default settings, beside scikit-learn's of five starts and a tolerance of 1e-6.

    python benchmarks/whole.py [--only NAME] [--page docs/speed.md]

Ten sets of rows, real and made (``timed.py``), each fitted by both in turn, so many times; medians.  ``gain`` is by how
much our log-likelihood is higher, in total nats.  scikit-learn makes at most its default of 100 passes for each start.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import others
from compare import machine
from pages import put
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from timed import WHOLE, Whole

from mixtura import GaussianMixture as Ours

HEAD = "| rows | n | d | K | seconds | passes | scikit-learn | ratio | gain |\n|---" + 8 * "|---:" + "|"


def fitted(model: Ours | Theirs, x: np.ndarray) -> float:
    """Seconds of a fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.perf_counter()
        model.fit(x)
        return time.perf_counter() - began


def compared(one: Whole, repeat: int) -> tuple[str, float]:
    """A line of Markdown, and the ratio of the times."""
    x = one.rows({} if one.table is None else others.table(*one.table))
    ours, theirs = Ours(one.k, random_state=0), Theirs(one.k, n_init=5, tol=1e-6, random_state=0)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(repeat):
        times["ours"].append(fitted(ours, x))
        times["theirs"].append(fitted(theirs, x))
    seconds, longer = (statistics.median(each) for each in times.values())
    gain = ours.loglik_ - theirs.score(x) * len(x)
    cells = [one.name, f"{len(x):,}", str(x.shape[1]), str(one.k), f"{seconds:.2f}", str(ours.n_iter_)]
    cells += [f"{longer:.1f}", f"{longer / seconds:.1f}", f"{gain:+.1f}"]
    return "| " + " | ".join(cells) + " |", longer / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", help="one set by its name")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--page", type=Path, help="put the table between its markers")
    options = parser.parse_args()
    lines, ratios = [HEAD], []
    for one in WHOLE:
        if options.only in (None, one.name):
            line, ratio = compared(one, options.repeat)
            print(line, flush=True)
            lines.append(line)
            ratios.append(ratio)
    mean = float(np.exp(np.mean(np.log(ratios))))
    lines += ["", f"Ratio of the times, geometric mean: {mean:.1f}.  {machine()}"]
    print("\n".join(lines[-1:]))
    if options.page:
        put(options.page, "whole", "\n".join(lines))


if __name__ == "__main__":
    main()
