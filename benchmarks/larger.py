"""A table that is larger than memory beside the same rows in memory: rows per second and peak memory, Markdown tables.

    python benchmarks/larger.py --folder DIR [--rows 50000000] [--passes 8] [--page docs/scaling.md]

A Parquet file of so many rows, 8 features in float32 from 16 Gaussian clusters, is written to the folder in row groups
of a million rows, and removed at the end.  Each line is a process of its own: ``resident`` is the most memory that it
had, libraries and all (Linux only); a pass is the median over passes of plain EM from the means of the clusters, in
which the file is read as a whole.  The rows in memory are an array, as they come from the file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from compare import machine, resident
from pages import put
from pyarrow import parquet

from mixtura import GaussianMixture, scan

D, K = 8, 16
GROUP = 1_000_000
"""Rows of a row group."""

HEAD = (
    "| rows | pass, s | rows/s | whole fit, s | predict, rows/s | resident, fit | resident, predict |\n|---"
    + 6 * "|---:"
)


def means() -> np.ndarray:
    """Those of the clusters: of four, some touch each other."""
    return np.random.default_rng(0).normal(0.0, 2.5, size=(K, D))


def write(path: Path, n: int) -> None:
    """Make the file."""
    names = [f"x{j}" for j in range(D)]
    centres = means().astype(np.float32)
    with parquet.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in names])) as writer:
        for group, begin in enumerate(range(0, n, GROUP)):
            rng = np.random.default_rng([1, group])
            size = min(GROUP, n - begin)
            x = centres[rng.integers(K, size=size)] + rng.normal(size=(size, D)).astype(np.float32)
            writer.write_table(pa.table(dict(zip(names, x.T, strict=True))))


def held(path: Path) -> np.ndarray:
    """All rows of the file."""
    with parquet.ParquetFile(path) as file:
        x = np.empty((file.metadata.num_rows, D), dtype=np.float32)
        done = 0
        for part in file.iter_batches(GROUP):
            for j in range(D):
                x[done : done + len(part), j] = part.column(j).to_numpy()
            done += len(part)
    return x


def model() -> GaussianMixture:
    """What predicts, whatever has been fitted."""
    gm = GaussianMixture.from_parameters(np.full(K, 1 / K), means(), np.tile(np.eye(D), (K, 1, 1)))
    gm.feature_names_in_ = np.array([f"x{j}" for j in range(D)], dtype=object)
    return gm


def fit(rows: Any, passes: int) -> dict[str, float]:
    gm = GaussianMixture(K, max_iter=passes, tol=0.0, accelerate=None, means_init=means())
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm.fit(rows)
    took = time.perf_counter() - began
    return {"took": took, "pass": statistics.median(np.diff([one["seconds"] for one in gm.history_]))}


def fit_scan(path: Path, passes: int) -> dict[str, float]:
    return fit(scan(path), passes)


def fit_memory(path: Path, passes: int) -> dict[str, float]:
    return fit(held(path), passes)


def predict_scan(path: Path, passes: int) -> dict[str, float]:
    began = time.perf_counter()
    out = model().predict_to(path.with_name("labels.parquet"), scan(path))
    took = time.perf_counter() - began
    out.unlink()
    return {"took": took}


def predict_memory(path: Path, passes: int) -> dict[str, float]:
    x, gm = held(path), model()
    del gm.feature_names_in_  # an array has none
    began = time.perf_counter()
    gm.predict(x)
    return {"took": time.perf_counter() - began}


WORK: dict[str, Callable[[Path, int], dict[str, float]]] = {
    one.__name__: one for one in (fit_scan, fit_memory, predict_scan, predict_memory)
}


def measured(name: str, path: Path, passes: int) -> dict[str, float]:
    """What a process of its own says of a piece of work."""
    asked = [sys.executable, __file__, "--folder", str(path.parent), "--passes", str(passes), "--work", name, str(path)]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return {str(key): float(value) for key, value in json.loads(said).items()}


def line(words: str, n: int, fitted: dict[str, float], predicted: dict[str, float]) -> str:
    cells = [words, f"{fitted['pass']:.2f}", f"{n / fitted['pass']:,.0f}", f"{fitted['took']:.1f}"]
    cells += [f"{n / predicted['took']:,.0f}", *(f"{one['resident']:,.0f} MB" for one in (fitted, predicted))]
    return "| " + " | ".join(cells) + " |"


def table(folder: Path, n: int, passes: int) -> str:
    """The whole comparison as Markdown."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        path = Path(own) / "rows.parquet"
        write(path, n)
        found = {name: measured(name, path, passes) for name in WORK}
        megabytes = os.path.getsize(path) / 2**20
    names = {"scan": "read for each pass", "memory": "in memory"}
    lines = [line(words, n, found[f"fit_{name}"], found[f"predict_{name}"]) for name, words in names.items()]
    shares = [
        found["fit_memory"]["pass"] / found["fit_scan"]["pass"],
        found["predict_memory"]["took"] / found["predict_scan"]["took"],
    ]
    said = (
        f"{n:,} rows, d = {D}, K = {K}, full, a file of {megabytes:,.0f} MB: passes over the file go at "
        f"{shares[0]:.0%} of the speed of those over the array, predictions from file to file at {shares[1]:.0%} of "
        "that from array to array."
    )
    return "\n".join([HEAD + "|", *lines, "", said, "", machine()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where there is room for the file")
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--passes", type=int, default=8)
    parser.add_argument("--page", type=Path, help="put the table between its markers")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, path = options.work
        found = WORK[name](Path(path), options.passes)
        print(json.dumps(found | {"resident": resident("VmHWM")}))
        return
    text = table(options.folder, options.rows, options.passes)
    print(text)
    if options.page:
        put(options.page, "larger", text)


if __name__ == "__main__":
    main()
