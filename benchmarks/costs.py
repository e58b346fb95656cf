"""What a pass costs from a thousand million rows on, on paper: a Markdown table.

    python benchmarks/costs.py [--cores 16] [--disk 2e9] [--net 1e9] [--memory 64e9] [--task 5e-4]
        [--page docs/scaling.md]

d = 8, float32, K = 16 full covariances.  How many rows a core works on per second is measured here, on one core; all
other rates are those of the options, for one machine: --cores, --disk and --net in bytes per second, --memory in bytes,
and --task seconds of a scheduler for each task.  A pass is the largest of what goes on at the same time: work, reading
(where the rows do not fit into the memory of the machines), scheduling, and the traffic of one machine.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from compare import machine
from pages import put

from mixtura import GaussianMixture

HEAD = (
    "| rows | machines | chunks | bytes | work | reading | scheduling | traffic per round | bottleneck |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---|"
)

D, K = 8, 16
Q = 1 + D + D * (D + 1) // 2
"""Sums of a component: 1, x and the products of features."""

MEASURED = 1_000_000

CASES = (
    # rows, machines, rows per chunk
    (10**9, 1, 4 * 10**6),
    (10**9, 10, 4 * 10**6),
    (10**10, 10, 4 * 10**6),
    (10**11, 100, 4 * 10**6),
    (10**12, 100, 4 * 10**6),
    (10**12, 1000, 4 * 10**6),
    (10**12, 1000, 4 * 10**7),
)


def rows_per_second() -> float:
    """Of one core, in memory."""
    rng = np.random.default_rng(0)
    means = 4 * rng.normal(size=(K, D))
    x = (means[rng.integers(K, size=MEASURED)] + rng.normal(size=(MEASURED, D))).astype(np.float32)
    gm = GaussianMixture(K, means_init=means, accelerate=None, tol=0.0, max_iter=6, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm.fit(x)
    return MEASURED / float(np.median(np.diff([one["seconds"] for one in gm.history_])))


def shown(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:,.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.0f} TB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("cores", 16.0), ("disk", 2e9), ("net", 1e9), ("memory", 64e9), ("task", 5e-4)):
        parser.add_argument(f"--{name}", type=float, default=usual)
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    rate = rows_per_second()
    lines = [HEAD]
    for n, machines, per_chunk in CASES:
        chunks, n_bytes = -(-n // per_chunk), 4 * D * n
        tasks = chunks + chunks // 7  # and the inner nodes of the tree
        traffic = 8 * K * Q * (machines * chosen.cores + tasks)  # the model to all, each sum to where it is added up
        costs = {
            "work": n / (rate * machines * chosen.cores),
            "reading": 0.0 if n_bytes < 0.5 * chosen.memory * machines else n_bytes / (chosen.disk * machines),
            "scheduling": chosen.task * tasks if machines > 1 else 0.0,
            "traffic": traffic / (chosen.net * machines),
        }
        reading = shown(costs["reading"]) if costs["reading"] else "in memory"
        scheduling = shown(costs["scheduling"]) if machines > 1 else "none"
        lines.append(
            f"| 10^{round(np.log10(n))} | {machines:,} | {chunks:,} | {size(n_bytes)} | {shown(costs['work'])} "
            f"| {reading} | {scheduling} | {size(traffic)} | {max(costs, key=costs.__getitem__)} |"
        )
    said = f"A core works on {rate / 1e6:.1f} million rows a second (measured: d = {D}, K = {K}, full, float32); a "
    said += (
        f"machine has {chosen.cores:.0f} cores, {size(chosen.memory)} of memory, reads {size(chosen.disk)} and sends "
    )
    said += f"{size(chosen.net)} a second; a scheduler takes {1e3 * chosen.task:g} ms for a task (assumed). "
    said += f"{machine()}. `python benchmarks/costs.py`"
    text = "\n".join([*lines, "", said])
    print(text)
    if chosen.page:
        put(chosen.page, "costs", text)


if __name__ == "__main__":
    main()
