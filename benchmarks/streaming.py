"""Prediction beside one pass of the fit, and what a large fit takes of memory beyond X: Markdown tables.

    python benchmarks/streaming.py [--page docs/speed.md]

A pass is the E-step and the sums of EM under the same model.  scikit-learn's predict is timed in the same turns.  Peak
memory is the growth of the resident set in a fresh process, over what it was with X in place (Linux only); the labels
that a fit keeps, eight bytes a row, count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from compare import machine, resident
from pages import put
from sklearn.mixture import GaussianMixture as Theirs
from timed import Case, data

from mixtura import GaussianMixture as Ours
from mixtura import em

CASES = [Case(1_000_000, 2, 3), Case(500_000, 8, 8), Case(200_000, 16, 32), Case(100_000, 50, 20)]
LARGE = Case(5_000_000, 8, 16)
ROUNDS = 7
HEAD = (
    "| n | d | K | a pass, ms | predict | predict_proba | score_samples | scikit-learn's predict |\n|---"
    + 7 * "|---:"
    + "|"
)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def row(case: Case) -> str:
    """One case as a line of Markdown."""
    x, begin = data(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = Ours(case.k, max_iter=2, tol=0, **begin).fit(x)
        theirs = Theirs(case.k, max_iter=2, tol=0, reg_covar=0, init_params="random_from_data", **begin).fit(x)
    task = ours._task(x, None)
    model = ours.mixture_
    work = {
        "pass": lambda: em.e_step(task.problem, model),
        "predict": lambda: ours.predict(x),
        "predict_proba": lambda: ours.predict_proba(x),
        "score_samples": lambda: ours.score_samples(x),
        "theirs": lambda: theirs.predict(x),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 1):
        for name, one in work.items():
            spent = milliseconds(one)
            if turn:
                times[name].append(spent)
    cells = [f"{case.n:,}", str(case.d), str(case.k), *(f"{statistics.median(each):.3g}" for each in times.values())]
    return "| " + " | ".join(cells) + " |"


def memory() -> None:
    """Print what fits and predictions of the large case take, in megabytes."""
    x, begin = data(LARGE)
    small = x[:20_000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Ours(LARGE.k, max_iter=2, random_state=0).fit(small).predict(small)  # loads libraries, starts threads
        gm = Ours(LARGE.k, max_iter=3, random_state=0)
        for name, work in (
            ("fit from a start of one's own", lambda: Ours(LARGE.k, max_iter=3, **begin).fit(x)),
            ("fit with default settings", lambda: gm.fit(x)),
            ("score", lambda: gm.score(x)),
        ):
            Path("/proc/self/clear_refs").write_text("5")
            before = resident("VmRSS")
            work()
            print(f"{name}: {resident('VmHWM') - before:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--page", type=Path, help="put the tables between its markers")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        memory()
        return
    lines = [HEAD]
    for case in CASES:
        lines.append(row(case))
        print(lines[-1], flush=True)
    told = subprocess.run([sys.executable, __file__, "--memory"], check=True, capture_output=True, text=True).stdout
    size = f"n = {LARGE.n:,}, d = {LARGE.d}, K = {LARGE.k} (X itself is {LARGE.n * LARGE.d * 8 / 2**20:.0f} MB)"
    lines += ["", f"Peak memory beyond X, {size}: {'; '.join(told.splitlines())}.", "", machine()]
    print("\n".join(lines[-4:]))
    if options.page:
        put(options.page, "streaming", "\n".join(lines))


if __name__ == "__main__":
    main()
