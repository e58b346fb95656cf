"""Time per pass and peak memory beyond X, beside other programs and the processor's ceiling, in one run.

    python benchmarks/compare.py [--quick] [--only NAME] [--page docs/speed.md] [--plot docs/speed.png]

Every case of ``timed.py`` is timed in turns (ours, scikit-learn, oneDAL, mclust, ours, ...) from the same start; a pass
costs the difference between a run of 1 + so many updates and a run of one update, divided by that many: starting up
does not count.  oneDAL and mclust answer from processes of their own (``others.py``).  Peak memory is the growth of the
resident set over what it was with X in place, each library in a fresh process (Linux only).

The ceiling is what the processor would take for the two products of a pass, 4 n K q flops, and its n K exponentials, at
the rates of NumPy's own matrix product and exp, measured on all cores between the turns of the case.  A pass can be
over it where components are found to be too far away to count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import others
import scipy
import sklearn
from pages import put
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_info
from timed import CASES, Case, data

import mixtura
from mixtura import GaussianMixture as Ours
from mixtura.engine import cores, one_blas_thread

ROUNDS = 5
SLOW = 1.0
"""Seconds per pass from which two turns have to do."""

PROGRAMS = ("mixtura", "scikit-learn", "oneDAL", "mclust")


@dataclass(frozen=True)
class Measured:
    """Seconds per pass of each program that answered, the ceiling in seconds, and megabytes beyond X."""

    case: Case
    seconds: dict[str, float]
    ceiling: float
    megabytes: dict[str, float]

    def ratio(self, program: str) -> float | None:
        """How many times longer than ours it takes."""
        return self.seconds[program] / self.seconds["mixtura"] if program in self.seconds else None


def fit(library: str, case: Case, x: np.ndarray, begin: dict[str, np.ndarray], updates: int) -> float:
    """Seconds of one fit of so many updates."""
    common = {"n_components": case.k, "covariance_type": case.covariance_type, "tol": 0.0, "max_iter": updates}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = (
            Ours(**common, **begin, accelerate=None)
            if library == "mixtura"
            else Theirs(**common, **begin, init_params="random_from_data", reg_covar=0.0)
        )
        began = time.perf_counter()
        model.fit(x)
        seconds = time.perf_counter() - began
    if model.n_iter_ != updates:
        raise RuntimeError(f"{library} stopped after {model.n_iter_} of {updates} updates in {case.name}")
    return seconds


def on_all_cores(work: Callable[[int], object]) -> float:
    """Seconds in which every core does the work, given the number of its thread."""
    with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, range(cores())))
        began = time.perf_counter()
        list(pool.map(work, range(cores())))
        return time.perf_counter() - began


def rates() -> tuple[float, float]:
    """Flops of a matrix product and exponentials, each per second on all cores together."""
    size, many = 1024, 1 << 15
    factors = [np.random.default_rng(core).random((3, size, size)) for core in range(cores())]
    numbers = [-20 * np.random.default_rng(core).random((2, many)) for core in range(cores())]

    def product(core: int) -> None:
        for _ in range(3):
            np.dot(factors[core][0], factors[core][1], out=factors[core][2])

    def exponentials(core: int) -> None:
        for _ in range(200):
            np.exp(numbers[core][0], out=numbers[core][1])

    return 6 * size**3 * cores() / on_all_cores(product), 200 * many * cores() / on_all_cores(exponentials)


def measured(case: Case, rounds: int, *, memory: bool) -> tuple[Measured, dict[str, str]]:
    """Median seconds per pass of all programs, in turns, and the versions of those in other processes."""
    x, begin = data(case)
    times: dict[str, list[float]] = {"mixtura": [], "scikit-learn": []}
    ceilings = []
    with tempfile.TemporaryDirectory() as folder:
        asked = {"oneDAL": others.onedal, "mclust": others.mclust}
        programs = {name: ask(case, x, begin, Path(folder)) for name, ask in asked.items()}
        running = {name: program for name, program in programs.items() if program is not None}
        times |= {name: [] for name in running}
        for turn in range(rounds + 1):
            for name, seconds in times.items():
                if turn > 2 and seconds[-1] > SLOW:
                    continue
                if name in running:
                    short, long = (running[name].seconds(updates) for updates in (1, 1 + case.passes))
                else:
                    short, long = (fit(name, case, x, begin, updates) for updates in (1, 1 + case.passes))
                if turn:  # the first turn warms up
                    seconds.append((long - short) / case.passes)
            if turn <= 5:
                flops, exponentials = rates()
                ceilings.append(case.flops / flops + case.n * case.k / exponentials)
        for program in running.values():
            program.close()
    peaks = {}
    if memory and case.n >= 10_000 and Path("/proc/self/clear_refs").exists():
        peaks = {library: peak_memory(library, case) for library in ("mixtura", "scikit-learn")}
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    versions = {name: program.version for name, program in running.items()}
    return Measured(case, medians, statistics.median(ceilings), peaks), versions


def peak_memory(library: str, case: Case) -> float:
    """Megabytes that a fit in a fresh process takes beyond X."""
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


def machine(versions: dict[str, str] | None = None) -> str:
    """One line on where the numbers come from."""
    blas = next((i for i in threadpool_info() if i["user_api"] == "blas"), None)
    kernel = f"{blas['internal_api']} {blas.get('version')} ({blas.get('architecture')})" if blas else "BLAS unknown"
    beside = "".join(f", {name} {version}" for name, version in (versions or {}).items())
    return (
        f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}, scikit-learn {sklearn.__version__}{beside}, mixtura {mixtura.__version__}, "
        f"{kernel}"
    )


def number(value: float | None, digits: str) -> str:
    return "" if value is None else f"{value:{digits}}"


def row(one: Measured) -> str:
    """One case as a line of Markdown."""
    case = one.case
    cells = [
        case.covariance_type,
        f"{case.n:,}",
        str(case.d),
        str(case.k),
        str(min(case.group, case.k)),
        f"{1e3 * one.seconds['mixtura']:.3g}",
        f"{one.ceiling / one.seconds['mixtura']:.0%}",
        *(number(one.ratio(program), ".1f") for program in PROGRAMS[1:]),
        *(number(one.megabytes.get(program), ".0f") for program in PROGRAMS[:2]),
    ]
    return "| " + " | ".join(cells) + " |"


COLUMNS = (
    ("covariance", "n", "d", "K", "overlapping", "ms per pass", "of the ceiling"),
    ("scikit-learn", "oneDAL", "mclust", "MB beyond X", "scikit-learn"),
)
HEAD = "| {} | {} |\n|---{}|".format(*map(" | ".join, COLUMNS), 11 * "|---:")


def drawn(all_of_them: list[Measured], path: Path) -> None:
    """How many times longer the other programs take, case by case, as a picture."""
    import matplotlib.pyplot as plt

    cases = [one.case for one in all_of_them]
    names = [
        f"{case.covariance_type}\n{case.n:,}\nd {case.d}, K {case.k}\n{min(case.group, case.k)} overlap"
        for case in cases
    ]
    figure, ax = plt.subplots(figsize=(1.0 * len(names) + 1.5, 4.2), layout="constrained")
    for program, marker, color in zip(PROGRAMS[1:], "osD", ("#0072b2", "#d55e00", "#009e73"), strict=True):
        found = [(i, ratio) for i, one in enumerate(all_of_them) if (ratio := one.ratio(program)) is not None]
        if found:
            ax.plot(*zip(*found, strict=True), marker, color=color, label=program, markersize=7)
    ax.axhline(1.0, color="0.3", linewidth=1)
    ax.set_yscale("log")
    ticks = ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200"]
    ax.set_yticks([float(tick) for tick in ticks], labels=ticks)
    ax.minorticks_off()
    ax.set_xticks(range(len(names)), labels=names, fontsize=7)
    ax.set_ylabel("time per pass, as a multiple of mixtura's")
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="no memory, a tenth of the rows, one round")
    parser.add_argument("--only", help="one case by its name: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--page", type=Path, action="append", default=[], help="put the table between its markers")
    parser.add_argument("--plot", type=Path, help="draw the ratios into this file")
    parser.add_argument("--memory-of", choices=["mixtura", "scikit-learn"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in (None, case.name)]
    if not cases:
        parser.error(f"no case is called {options.only!r}")
    if options.memory_of:
        memory_of(options.memory_of, cases[0])
        return
    if options.quick:
        cases = [replace(case, n=min(case.n, max(case.n // 10, 2 * case.k * case.d))) for case in cases]
    if "OPENBLAS_CORETYPE" in os.environ:
        print("OPENBLAS_CORETYPE is set: BLAS may not be at its best", file=sys.stderr)
    found, versions = [], {}
    print(HEAD, file=sys.stderr)
    for case in cases:
        one, more = measured(case, 1 if options.quick else ROUNDS, memory=not options.quick)
        found.append(one)
        versions |= more
        print(row(one), file=sys.stderr, flush=True)
    text = "\n".join([HEAD, *map(row, found), "", machine(versions)])
    print(text)
    for page in options.page:
        put(page, "benchmark", text)
    if options.plot:
        drawn(found, options.plot)


if __name__ == "__main__":
    main()
