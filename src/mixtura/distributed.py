"""Tables that lie on a cluster: the same sums, over chunks that stay where they are.

A Dask array or frame is a list of chunks, each of which some worker can make.  A fit looks at all of them once, keeps
rows at hand as for any table that is larger than memory (sources.py), and has the workers keep the chunks if their
memory has room for them; else they are made anew for each pass.  A pass is one round: the model goes out, each worker
sums up its chunks, and the sums meet in a tree,

    chunk -> sum -\\
    chunk -> sum --+-> sum of FAN_IN -\\
    ...                               +-> ... -> the sum of all
    chunk -> sum ----> sum of FAN_IN -/

whose shape depends on the number of chunks alone.  A node adds up in pairs (engine.in_pairs), and FAN_IN is a power of
two: the sum has the bits that a scan of the same chunks on one machine has, wherever a chunk was worked on and however
often, because a worker was lost.

Dask does all that is to be done on a cluster: it moves, keeps and, when a worker is lost, remakes.  Without a client
its own threads do.
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, TypeVar

import numpy as np

from mixtura import validation
from mixtura.checkpoint import mark_of
from mixtura.engine import Addable, Engine, Serial, in_pairs, one_blas_thread
from mixtura.rows import AnyArray, InMemory, Rows, held, most_held
from mixtura.scanning import Batch, Heading, Scan, as_rows
from mixtura.sources import Glance, Intake, Partly, counting, glance_at, mostly_silent, of_batch, rows_in, survey_of

T = TypeVar("T")
S = TypeVar("S", bound=Addable)

FAN_IN = 8
"""Sums that are added up as one task: a power of two."""

KEPT = 0.5
"""Part of the workers' memory that the chunks may take to be kept there."""

CHUNK_BYTES = 64 << 20
"""Size of the chunks that an array is cut into, if it is not one of Dask."""


def is_collection(X: Any) -> bool:
    """Whether X is an array or a frame of Dask."""
    return hasattr(X, "__dask_graph__") and not isinstance(X, type)


def cut_for_dask(X: Any) -> Any:
    """An array that is larger than what is kept at hand as one of Dask, all else as it is; ImportError without Dask."""
    try:
        import dask.array
    except ImportError as error:
        raise ImportError('engine="dask" needs Dask, which is not installed: pip install "mixtura[dask]"') from error
    if not isinstance(X, np.ndarray) or X.ndim > 2 or X.size <= most_held(1):
        return X
    rows = max(CHUNK_BYTES // max(X.nbytes // max(len(X), 1), 1), 1)
    return dask.array.from_array(X, chunks=(rows, *X.shape[1:]))


@dataclass(frozen=True, eq=False)
class Collection:
    """A table as Dask has it: ``batches`` are delayed; ``n_rows`` are those of each, if they are known; ``dtype`` is
    that of its numbers."""

    table: Heading
    batches: tuple[Any, ...]
    n_rows: tuple[int, ...] | None
    dtype: Any

    def scan(self) -> Scan:
        """The same as a table that is read here, one chunk after the other."""
        return Scan(
            self.table.described,
            self.table.columns,
            self.table.n_features,
            None if self.n_rows is None else sum(self.n_rows),
            (),
            partial(_fetched, self.batches),
        )


def _fetched(batches: Sequence[Any]) -> Iterator[Batch]:
    for batch in batches:
        yield batch.compute()


def collected(X: Any, weight: Any = None) -> Collection:
    """The table of a Dask array (n, d) or (n,) or a Dask frame, and of weights (n,) in Dask, too, if there are any."""
    import dask

    frame = hasattr(X, "columns")
    if frame:
        columns = tuple(map(str, X.columns))
        validation.distinct_names(list(X.columns))
        table, sizes = Heading("the Dask frame", columns, len(columns)), None
        dtype = as_rows(X._meta, len(columns), table.described)[0].dtype
    else:
        if X.ndim not in (1, 2) or (X.shape[-1] == 0 and X.ndim == 2):
            raise ValueError(f"a Dask array must have shape (n, d) or (n,), got {X.shape}: give one row per point")
        if X.ndim == 2 and X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
        table = Heading("the Dask array", None, 1 if X.ndim == 1 else int(X.shape[1]))
        dtype = X.dtype if X.dtype.kind in "biuf" else np.dtype(np.float64)  # to which all else is converted
        sizes = None if np.isnan(X.chunks[0]).any() else tuple(map(int, X.chunks[0]))
    blocks = X.to_delayed().ravel() if not frame else X.to_delayed()
    weights = [None] * len(blocks) if weight is None else _weights_beside(weight, blocks, sizes)
    of_block = dask.delayed(_batch_of, pure=True)
    batches = tuple(of_block(table, i, block, w) for i, (block, w) in enumerate(zip(blocks, weights, strict=True)))
    return Collection(table, batches, sizes, dtype)


def _weights_beside(weight: Any, blocks: Sequence[Any], sizes: tuple[int, ...] | None) -> Sequence[Any]:
    """The weights of each chunk."""
    if not is_collection(weight):
        if sizes is None:
            raise ValueError(
                "sample_weight must be a Dask array or series with the chunks of X, whose sizes are not known, got "
                f"{type(weight).__name__}: make it of X"
            )
        values = validation.sample_weight(weight, sum(sizes))
        assert values is not None
        return [*np.split(values, np.cumsum(sizes)[:-1])]
    if sizes is not None and hasattr(weight, "rechunk") and weight.ndim == 1 and weight.shape[0] == sum(sizes):
        weight = weight.rechunk((sizes,))
    own = [*np.ravel(weight.to_delayed())]
    if len(own) != len(blocks):
        raise ValueError(
            f"sample_weight must have the chunks of X, of which there are {len(blocks)}, got {len(own)}: make it of X"
        )
    return own


def _batch_of(table: Heading, index: int, block: Any, weight: Any) -> Batch:
    """A chunk, on the worker that has it."""
    place = f"chunk {index}"
    x, _ = as_rows(block, table.n_features, f"{place} of {table.described}")
    if weight is None:
        return Batch(x, None, place)
    own = np.asarray(weight, dtype=np.float64)
    if own.shape != (len(x),):
        raise ValueError(
            f"sample_weight must have the chunks of X, but {place} has {len(x)} rows and weights of shape {own.shape}: "
            "make it of X"
        )
    return Batch(x, own, place)


# a look at everything -------------------------------------------------------------------------------------------------


def looked_at(collection: Collection) -> OnCluster:
    """The collection after a look at all rows, its chunks kept by the workers if they have room for them."""
    import dask

    look, take, table = dask.delayed(glance_at), dask.delayed(of_batch), collection.table
    glances: Sequence[Glance] = dask.compute(*(look(table, batch) for batch in collection.batches))
    if not glances:
        raise ValueError(f"{table.described} has no chunks: at least one row is needed")
    seen = reduce(operator.add, glances)
    sizes = tuple(glance.n_rows for glance in glances)
    batches = collection.batches
    if seen.n_rows <= most_held(table.n_features):
        survey = survey_of(table, seen, dask.compute(*batches), sizes, whole=True)
        return OnCluster(survey, replace(collection, n_rows=sizes))
    if _room() >= seen.n_bytes:
        batches = dask.persist(*batches)
    among, lengths = batches, sizes
    if mostly_silent(seen.n_rows, seen.n_present):
        only = dask.delayed(counting)
        among, lengths = tuple(only(batch) for batch in batches), tuple(glance.n_present for glance in glances)
    wanted, begins = held(sum(lengths), table.n_features), np.cumsum((0, *lengths))
    first = np.searchsorted(wanted, begins)
    own = [wanted[first[i] : first[i + 1]] - begins[i] for i in range(len(sizes))]
    kept = dask.compute(*(take(batch, index) for batch, index in zip(among, own, strict=True)))
    # A chunk of which nothing counts has no sum.
    there = [i for i, glance in enumerate(glances) if glance.n_present]
    collection = replace(collection, batches=tuple(batches[i] for i in there), n_rows=tuple(sizes[i] for i in there))
    return OnCluster(survey_of(table, seen, kept, sizes, whole=False), collection)


def _room() -> float:
    """Bytes of chunks that the workers may keep; none without a client, as the chunks would be on this machine."""
    if "distributed" not in sys.modules:
        return 0.0
    import distributed

    try:
        client = distributed.default_client()
    except ValueError:  # says that there is none
        return 0.0
    limits = [worker["memory_limit"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    return KEPT * sum(limits) if all(limits) else np.inf


# passes ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OnCluster(Partly):
    """A source whose parts are the chunks of a collection of Dask."""

    collection: Collection

    @property
    def table(self) -> Heading:
        """What is known of the rows beforehand."""
        return self.collection.table

    def marks(self) -> Sequence[str]:
        """What tells the rows from others: the digests of the chunks."""
        import dask

        each = dask.delayed(mark_of)
        found: Sequence[str] = dask.compute(*(each(batch) for batch in self.collection.batches))
        return found

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S:
        """Sum of ``of_part`` over the chunks."""
        intake = Intake(self.collection.table, self.exact, self.unit, False)
        return summed(self.collection, partial(_of_rows, intake, of_part))


def _of_rows(intake: Intake, of_part: Callable[[InMemory, Engine], S], batch: Batch) -> S:
    with one_blas_thread(), memory_kept():
        return of_part(InMemory(intake.rows(batch)), Serial())


def summed(collection: Collection, of_batch: Callable[[Batch], S]) -> S:
    """Sum of ``of_batch`` over the chunks, in one round."""
    import dask

    function = dask.delayed(of_batch, traverse=False)  # goes out once, not with each chunk
    each, add = dask.delayed(_applied, pure=False), dask.delayed(in_pairs, pure=False)
    sizes = collection.n_rows or [None] * len(collection.batches)
    sums = [each(function, batch, size) for batch, size in zip(collection.batches, sizes, strict=True)]
    while len(sums) > 1:
        sums = [add(sums[i : i + FAN_IN]) for i in range(0, len(sums), FAN_IN)]
    total: S = sums[0].compute()
    return total


# What mallopt() of the GNU C library calls the size of free memory from which it goes back to the system, and that of
# an array from which it never waits for the next one; and the size that it has for the latter unless told otherwise.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, USUAL_MMAP = -1, -3, 128 << 10

STAYS = 32 << 20
"""Bytes of free memory that stay with a worker between blocks."""

_lock = threading.Lock()
_inside: list[None] = []


@contextmanager
def memory_kept() -> Iterator[None]:
    """A context in which the memory of one block serves the next.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_, by which an array goes back to the system when it is let go of,
    and comes back page by page: a pass then takes four times as long.  The setting belongs to the process: the first
    to come in makes it, the last to leave takes it back and gives back the memory.
    """
    threshold = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    if not threshold.isdigit() or not sys.platform.startswith("linux"):
        yield
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # another C library
        yield
        return
    with _lock:
        _inside.append(None)
        library.mallopt(M_TRIM_THRESHOLD, 8 * STAYS)
        library.mallopt(M_MMAP_THRESHOLD, STAYS)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                library.mallopt(M_TRIM_THRESHOLD, int(threshold))
                library.mallopt(M_MMAP_THRESHOLD, USUAL_MMAP)
                library.malloc_trim(0)


def _applied(function: Callable[[Batch], T], batch: Batch, n_rows: int | None) -> T:
    if n_rows is not None and len(batch.x) != n_rows:
        raise ValueError(
            f"a collection must give the same rows each time, but {batch.place} had {n_rows} rows at first and "
            f"{len(batch.x)} now: fit again when nobody changes what it is made of"
        )
    return function(batch)


# answers --------------------------------------------------------------------------------------------------------------


def total_of(collection: Collection, of_rows: Callable[[Rows], S]) -> S:
    """Sum of ``of_rows`` over the chunks."""
    return summed(collection, partial(_answer, collection.table, of_rows))


def answered(collection: Collection, of_rows: Callable[[Rows], AnyArray]) -> Any:
    """What ``of_rows`` makes of each chunk, an entry for each row, as a Dask array: it is made when it is wanted."""
    import dask
    import dask.array

    table = collection.table
    like = of_rows(Rows(np.zeros((1, table.n_features), dtype=collection.dtype)))
    function, each = dask.delayed(of_rows, traverse=False), dask.delayed(_answer)
    sizes = collection.n_rows or [np.nan] * len(collection.batches)
    parts = [
        dask.array.from_delayed(each(table, function, batch), (size, *like.shape[1:]), like.dtype)
        for batch, size in zip(collection.batches, sizes, strict=True)
    ]
    return dask.array.concatenate(parts, allow_unknown_chunksizes=True)


def _answer(table: Heading, of_rows: Callable[[Rows], T], batch: Batch) -> T:
    rows = rows_in(table, batch)
    with one_blas_thread(), memory_kept():
        return of_rows(rows)
