"""Passes over a Dask collection: one worker beside two, and what of a pass is not work on rows: a Markdown table.

    python benchmarks/cluster.py [--rows 50000000] [--chunks 100] [--rounds 3] [--passes 4] [--page docs/scaling.md]

Chunks of float32 rows (d = 8) are made on the workers and stay there; a pass is one of plain EM with K = 16 full
covariances, from the true means.  Clusters of one and of two workers, processes of one thread each, take turns.  ``rows
per second`` is of the median pass.  ``overhead`` is what a round over the same chunks takes that sends the same
model and brings back sums of the same size, but does not look at the rows, as a part of the pass.  ``threads`` is a fit
of this process to the same rows in memory, on as many threads as there are workers.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from compare import machine
from pages import put

from mixtura import GaussianMixture
from mixtura import distributed as there
from mixtura.scanning import Batch
from mixtura.statistics import Partial

HEAD = "| where | workers | rows per second | ms per pass | overhead |\n|---|---:|---:|---:|---:|"

D, K = 8, 16


def means() -> np.ndarray:
    return 4 * np.random.default_rng(0).normal(size=(K, D))


def chunk(index: int, n: int) -> np.ndarray:
    """Rows (n, D) around the means."""
    rng = np.random.default_rng([1, index])
    return (means()[rng.integers(K, size=n)] + rng.standard_normal((n, D), dtype=np.float32)).astype(np.float32)


def collection(n: int, chunks: int) -> Any:
    """The rows as a Dask array."""
    made, size = dask.delayed(chunk, pure=True), n // chunks
    parts = [dask.array.from_delayed(made(i, size), (size, D), np.float32) for i in range(chunks)]
    return dask.array.concatenate(parts)


def estimator(passes: int, **settings: Any) -> GaussianMixture:
    return GaussianMixture(K, means_init=means(), accelerate=None, tol=0.0, max_iter=passes, **settings)


def per_pass(x: Any, passes: int, **settings: Any) -> float:
    """Median seconds of a pass, the first apart, in which workers see what they need for the first time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm = estimator(passes, **settings).fit(x)
    return statistics.median(np.diff([one["seconds"] for one in gm.history_])[1:])


def nothing(model: np.ndarray, batch: Batch) -> Partial:
    """Sums of the size that a pass has."""
    return Partial(0.0, 0.0, model[:, : 1 + D + D * (D + 1) // 2], 0.0)


def empty_round(x: Any, rounds: int) -> float:
    """Median seconds of a round that sends and brings what a pass does, and works on nothing."""
    table = there.looked_at(there.collected(x)).collection
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        there.summed(table, partial(nothing, np.zeros((K, D * D + D + 1))))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def on_cluster(workers: int, n: int, chunks: int, passes: int) -> tuple[float, float]:
    """Seconds of a pass and of an empty round."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        x = collection(n, chunks).persist()
        client.gather(client.compute(x[0]))
        return per_pass(x, passes), empty_round(x, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    n = chosen.rows // chosen.chunks * chosen.chunks
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(chosen.rounds):
        for workers in (1, 2):
            found.setdefault(("cluster", workers), []).append(on_cluster(workers, n, chosen.chunks, chosen.passes))
        x = np.concatenate([chunk(i, n // chosen.chunks) for i in range(chosen.chunks)])
        for workers in (1, 2):
            found.setdefault(("threads", workers), []).append((per_pass(x, chosen.passes, n_jobs=workers), 0.0))
        del x
    lines = [HEAD]
    for (where, workers), times in found.items():
        seconds, empty = (statistics.median(column) for column in zip(*times, strict=True))
        over = f"{empty / seconds:.1%}" if where == "cluster" else ""
        lines.append(f"| {where} | {workers} | {n / seconds:,.0f} | {1e3 * seconds:,.0f} | {over} |")
    one, two = (statistics.median(t for t, _ in found["cluster", workers]) for workers in (1, 2))
    said = f"{n:,} rows, d = {D}, K = {K}, {chosen.chunks} chunks; two workers {one / two:.2f} times one. "
    said += f"{machine()}; Dask {dask.__version__}. `python benchmarks/cluster.py`"
    text = "\n".join([*lines, "", said])
    print(text)
    if chosen.page:
        put(chosen.page, "cluster", text)


if __name__ == "__main__":
    main()
