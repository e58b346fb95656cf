"""Time per pass and peak memory beyond X, beside scikit-learn, from the same start in the same run.

    python benchmarks/compare.py [--quick] [--only NAME] [--readme README.md]

Every case is timed in turns (ours, scikit-learn, ours, ...); a pass costs the difference between a fit of 1 + PASSES
updates and a fit of one update, divided by PASSES: starting up counts for neither.  Peak memory is the growth of
the resident set over what it was with X in place, each library in a fresh process (Linux only).  The table is Markdown;
with --readme it replaces what stands between the markers in that file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_info

import mixtura
from mixtura import GaussianMixture as Ours
from mixtura.engine import cores

PASSES = 5
MARKERS = ("<!-- benchmark: begin -->", "<!-- benchmark: end -->")


@dataclass(frozen=True)
class Case:
    """n rows of K unit Gaussian clusters in d features, fitted with one covariance type.

    Clusters come in groups: those of a group overlap (their means are about three standard deviations apart), the
    groups are as far from each other as the number of features allows (standard deviation 2 in each).
    """

    n: int
    d: int
    k: int
    covariance_type: str = "full"
    group: int = 4
    rounds: int = 5

    @property
    def name(self) -> str:
        return f"{self.covariance_type}-{self.n}-{self.d}-{self.k}-{self.group}"


CASES = [
    Case(1_000_000, 2, 3),
    Case(500_000, 8, 8),
    Case(200_000, 16, 32),
    Case(100_000, 50, 20),
    Case(20_000, 128, 64),
    Case(20_000, 128, 64, group=64),
    Case(1_000_000, 20, 16, "diag"),
    Case(200_000, 50, 32, "diag"),
    Case(1_000, 2, 3, rounds=41),
    Case(1_000, 8, 4, rounds=41),
    Case(300, 4, 3, rounds=41),
]


def data(case: Case) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of the case, and a start: the true parameters a little off, equal weights."""
    rng = np.random.default_rng(case.n + case.d)
    groups = 2 * rng.standard_normal((-(-case.k // case.group), case.d))
    means = groups[np.arange(case.k) // case.group] + 3 / np.sqrt(2 * case.d) * rng.standard_normal((case.k, case.d))
    labels = rng.integers(case.k, size=case.n)
    x = np.empty((case.n, case.d))
    for rows in np.array_split(np.arange(case.n), max(1, case.n // 20_000)):
        x[rows] = rng.standard_normal((len(rows), case.d)) + means[labels[rows]]
    precisions = np.full((case.k, case.d), 0.7)
    begin = {
        "weights_init": np.full(case.k, 1 / case.k),
        "means_init": means + 0.5 / np.sqrt(case.d) * rng.standard_normal(means.shape),
        "precisions_init": precisions[:, :, None] * np.eye(case.d) if case.covariance_type == "full" else precisions,
    }
    return x, begin


def fit(library: str, case: Case, x: np.ndarray, begin: dict[str, np.ndarray], updates: int) -> float:
    """Seconds of one fit of so many updates."""
    common = {"n_components": case.k, "covariance_type": case.covariance_type, "tol": 0.0, "max_iter": updates}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = (
            Ours(**common, **begin)
            if library == "mixtura"
            else Theirs(**common, **begin, init_params="random_from_data", reg_covar=0.0)
        )
        began = time.perf_counter()
        model.fit(x)
        seconds = time.perf_counter() - began
    if model.n_iter_ != updates:
        raise RuntimeError(f"{library} stopped after {model.n_iter_} of {updates} updates in {case.name}")
    return seconds


def seconds_per_pass(case: Case) -> dict[str, float]:
    """Median seconds per pass of both libraries, in turns."""
    x, begin = data(case)
    times: dict[str, list[float]] = {"mixtura": [], "scikit-learn": []}
    for turn in range(case.rounds + 1):
        for library, seconds in times.items():
            short, long = (fit(library, case, x, begin, updates) for updates in (1, 1 + PASSES))
            if turn:  # the first turn warms up
                seconds.append((long - short) / PASSES)
    return {library: statistics.median(seconds) for library, seconds in times.items()}


def peak_memory(library: str, case: Case) -> float | None:
    """Megabytes that a fit in a fresh process takes beyond X."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, __file__, "--memory-of", library, "--only", case.name]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(out)["megabytes"])


def resident(field: str) -> float:
    """A field of this process's status, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no field {field} in the status of this process")


def memory_of(library: str, case: Case) -> None:
    """Print the growth of this process's resident set during a fit."""
    small = replace(case, n=100 * case.k)
    fit(library, small, *data(small), 1)  # loads libraries, starts threads
    x, begin = data(case)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    fit(library, case, x, begin, 2)
    print(json.dumps({"megabytes": resident("VmHWM") - before}))


def machine() -> str:
    """One line on where the numbers come from."""
    blas = next((i for i in threadpool_info() if i["user_api"] == "blas"), None)
    kernel = f"{blas['internal_api']} {blas.get('version')} ({blas.get('architecture')})" if blas else "BLAS unknown"
    return (
        f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}, scikit-learn {sklearn.__version__}, mixtura {mixtura.__version__}, {kernel}"
    )


def table(cases: list[Case], *, memory: bool) -> str:
    """The comparison as Markdown."""
    lines = [
        "| covariance | n | d | K | overlapping | ms per pass | scikit-learn | ratio | MB beyond X | scikit-learn |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        seconds = seconds_per_pass(case)
        peaks = [peak_memory(library, case) if memory and case.n >= 10_000 else None for library in seconds]
        ours, theirs = seconds["mixtura"], seconds["scikit-learn"]
        cells = [
            case.covariance_type,
            f"{case.n:,}",
            str(case.d),
            str(case.k),
            str(min(case.group, case.k)),
            f"{1e3 * ours:.3g}",
            f"{1e3 * theirs:.4g}",
            f"{theirs / ours:.1f}",
            *("" if peak is None else f"{peak:.0f}" for peak in peaks),
        ]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="no memory, a tenth of the rows, one round")
    parser.add_argument("--only", help="one case by its name: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--readme", type=Path, help="put the table between the markers of this file")
    parser.add_argument("--memory-of", choices=["mixtura", "scikit-learn"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in (None, case.name)]
    if not cases:
        parser.error(f"no case is called {options.only!r}")
    if options.memory_of:
        memory_of(options.memory_of, cases[0])
        return
    if options.quick:
        cases = [replace(case, n=max(300, case.n // 10), rounds=1) for case in cases]
    if "OPENBLAS_CORETYPE" in os.environ:
        print("OPENBLAS_CORETYPE is set: BLAS may not be at its best", file=sys.stderr)
    text = f"{table(cases, memory=not options.quick)}\n\n{machine()}"
    print(text)
    if options.readme:
        page = options.readme.read_text(encoding="utf-8")
        before, rest = page.split(MARKERS[0])
        after = rest.split(MARKERS[1])[1]
        options.readme.write_text(f"{before}{MARKERS[0]}\n{text}\n{MARKERS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
