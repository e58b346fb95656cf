"""Checkpoints: a journal of the sums of a fit, from which a later call goes on.

All that a fit learns from all rows it learns from sums over them (``Source.summed``); the rest follows from these and
the seed.  So the journal holds the sums in the order in which they were asked for, and to resume is to run the same
fit again with answers from the journal, as far as they go: the model, the memory of the driver and the history come out
with the same bits, because the same arithmetic made them.  What a fit does with rows at hand before its first pass
(samples, short runs, moves) is not in the journal and is done again.

    file      MAGIC, then frames: a header, and a frame for each sum
    frame     length (8 bytes), CRC-32 of the payload (4), payload
    payload   JSON up to a line feed, then the numbers of its arrays

A frame counts when it is whole: whatever ends a process, what was written before is good, and the torn rest is cut off
when the next frame is written.  With each sum goes the digest of what was asked, so that a run that comes to ask
anything else is found out.  Nothing in a file is executed.

A pass that takes long is kept on the way, in a file of its own beside the journal, which takes the place of the one
before: how many blocks or parts have been added, and what the sum consists of by then.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mixtura.background import Extent
from mixtura.engine import Addable, Engine, Keeping, Serial, Threads
from mixtura.io import PathLike, check_writable, reason, write_whole
from mixtura.mixture import Mixture
from mixtura.rows import InMemory, Rows, Source
from mixtura.scanning import Batch
from mixtura.sources import Streamed, Survey
from mixtura.statistics import Partial, Statistics

S = TypeVar("S", bound=Addable)

MAGIC = b"mixtura checkpoint 1\n"
FRAME = struct.Struct("<QI")

EVERY = 2.0
"""Seconds after which a pass is kept on the way, and the file is handed to the disk."""

SUMS: dict[str, type[Any]] = {"Partial": Partial, "Statistics": Statistics, "Extent": Extent}
"""What can be summed, by name: frozen dataclasses of numbers, arrays and None."""

NUMBERS = "fiub"
"""Kinds of arrays in a file."""

INDIFFERENT = ("n_jobs", "engine", "verbose", "trace", "random_state")
"""Parameters that do not change the sums of a fit; of ``random_state`` the number that it gave counts."""

CHUNK = 1 << 22
"""Entries of an array that are hashed together."""


# what was asked, and of what ------------------------------------------------------------------------------------------


def digest(*values: Any) -> str:
    """A hash of numbers, text, arrays, functions by their names, and of what is made of these.

    ValueError for what is none of them.
    """
    found = hashlib.blake2b(digest_size=16)
    for value in values:
        _tell(found, value)
    return found.hexdigest()


def _tell(found: Any, value: Any) -> None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str | bytes):
        found.update(f"{value!r};".encode())
    elif isinstance(value, np.ndarray) and value.dtype.kind in f"{NUMBERS}US":
        found.update(f"{value.dtype.str}{value.shape};".encode())
        step = max(CHUNK // max(value[:1].size, 1), 1) if value.ndim else 1
        for begin in range(0, len(value) if value.ndim else 1, step):
            found.update(np.ascontiguousarray(value[begin : begin + step] if value.ndim else value))
    elif isinstance(value, tuple | list):
        found.update(f"{len(value)}:".encode())
        for one in value:
            _tell(found, one)
    elif isinstance(value, Mapping):
        _tell(found, sorted(value.items()))
    elif isinstance(value, partial):
        _tell(found, (value.func, value.args, value.keywords))
    elif isinstance(value, Mixture):
        _tell(found, (value.weights, value.means, value.layout, value.background))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _tell(found, type(value).__qualname__)
        for part in dataclasses.fields(value):
            _tell(found, getattr(value, part.name))
    elif callable(value) and hasattr(value, "__qualname__"):
        _tell(found, f"{value.__module__}.{value.__qualname__}")
    else:
        array = np.asarray(value)
        if array.dtype.kind not in f"{NUMBERS}US":
            raise ValueError(
                f"a checkpoint needs parameters that are numbers, names, arrays or functions, got "
                f"{type(value).__name__}: use one of these, or no checkpoint"
            )
        _tell(found, array)


def of_parameters(parameters: Mapping[str, Any], last: Mixture | None) -> dict[str, str]:
    """The digests of the parameters of an estimator that decide its fit, by name, and of the ``last`` fit that it
    begins from, if it does."""
    found = {name: digest(value) for name, value in sorted(parameters.items()) if name not in INDIFFERENT}
    return found | {"the fit to start from": digest(last)}


def of_rows(rows: Rows) -> dict[str, str]:
    """The digests of rows that are in memory, and of what there is beside them, by the names of arguments."""
    return {
        "X": digest(rows.x, rows.edges),
        "sample_weight": digest(rows.weight),
        "labels": digest(rows.label),
        "error_covariance": digest(rows.noise),
    }


def of_table(survey: Survey, marks: Iterable[str]) -> dict[str, str]:
    """The digest of a table that is larger than memory: of what a look at it told, and of its ``marks``."""
    rows = survey.at_hand
    told = digest(rows.x, rows.weight, survey.n_rows, survey.n_present, survey.total, survey.sizes)
    return {"X": digest(told, *marks)}


def marks_of(source: Streamed) -> Iterator[str]:
    """What tells a scan from others: of files names, sizes and times, of anything else, which has no stamp, all rows,
    which are read once more."""
    if source.scan.stamped:
        yield digest(source.scan.stamps)
        return
    for batch in source.scan:
        yield mark_of(batch)


def mark_of(batch: Batch) -> str:
    """The digest of the rows of a batch."""
    return digest(batch.x, batch.weight)


# payloads -------------------------------------------------------------------------------------------------------------


def packed(head: Mapping[str, Any], sums: list[Any]) -> bytes:
    """The payload that says ``head`` and holds ``sums``."""
    arrays: list[bytes] = []

    def described(value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        # A product of matrices may come with its columns one after the other, and what is made of it would differ in
        # its last bits if it did not come back so.
        order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        arrays.append(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes(order))
        return {"dtype": value.dtype.newbyteorder("<").str, "shape": value.shape, "order": order}

    told = [
        {"sum": type(one).__name__}
        | {part.name: described(getattr(one, part.name)) for part in dataclasses.fields(one)}
        for one in sums
    ]
    return b"\n".join([json.dumps({**head, "sums": told}).encode(), b"".join(arrays)])


def unpacked(payload: bytes) -> tuple[dict[str, Any], list[Any]]:
    """What a payload says, and the sums that it holds."""
    line, _, numbers = payload.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    begin = 0

    def value_of(told: Any) -> Any:
        nonlocal begin
        if not isinstance(told, dict):
            return told
        dtype, shape = np.dtype(told["dtype"]), tuple(told["shape"])
        if dtype.kind not in NUMBERS:
            raise ValueError(f"expected arrays of numbers, got {dtype}")
        array: NDArray[Any] = np.frombuffer(numbers, dtype, int(np.prod(shape)), begin)
        begin += array.nbytes
        own = array.reshape(shape, order=told["order"]).astype(dtype.newbyteorder("="), copy=True, order="K")
        own.flags.writeable = False
        return own

    sums = []
    for told in head.pop("sums"):
        made = SUMS[told.pop("sum")]
        sums.append(made(**{name: value_of(value) for name, value in told.items()}))
    return head, sums


def framed(payload: bytes) -> bytes:
    """A payload as a frame."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def payload_at(content: Any, begin: int, size: int) -> bytes | None:
    """The payload of the frame that begins there in an open file of that ``size``; None if it is not whole."""
    content.seek(begin)
    head = content.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    length, check = FRAME.unpack(head)
    if length > size - begin - FRAME.size:
        return None
    parts: list[bytes] = []
    while length > 0 and (part := content.read(length)):  # the system may give less at a time than it is asked for
        parts.append(part)
        length -= len(part)
    payload = b"".join(parts)
    return payload if length == 0 and zlib.crc32(payload) == check else None


# the journal ----------------------------------------------------------------------------------------------------------


class Journal:
    """The file of a checkpoint: it gives the sums that it holds, then takes those that follow.

    ``end`` is where the frame that is read or written next begins; ``n_sums`` come before it.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = path
        target = check_writable(path)
        if target.exists() and not target.is_file():
            raise ValueError(f"a checkpoint must be a file, got {path}: name one that can be made")
        self.target, self.way = target, Path(f"{target}.pass")
        self.file: Any = None
        self.run = ""
        self.replaying = True
        self.end = self.n_sums = 0
        self.written = self.synced = time.monotonic()

    def begin(self, fingerprint: Mapping[str, str], entropy: int | None) -> int:
        """Open the file, or make it, for a fit that has this ``fingerprint``, and return the number that its chance
        comes from: ``entropy``, or where that is None the one in the file or a new one.

        ValueError if the file is something else, or the checkpoint of another fit.
        """
        header, self.end = self._header()
        if header is None:
            header = {"run": secrets.token_hex(8), "fingerprint": dict(fingerprint), "drawn": entropy is None}
            header["entropy"] = secrets.randbits(64) if entropy is None else entropy
            first = MAGIC + framed(packed(header, []))
            write_whole(self.path, first)
            self.end = len(first)
        known = header["fingerprint"]
        others = [name for name in {**fingerprint, **known} if known.get(name) != fingerprint.get(name)]
        if header["drawn"] != (entropy is None) or entropy not in (None, header["entropy"]):
            others.append("random_state")
        if others:
            raise ValueError(
                f"{self.path} is the checkpoint of another fit, which differs in {', '.join(others)}: name another "
                "file, or delete this one to begin anew"
            )
        try:
            self.file = open(self.target, "r+b", buffering=0)  # noqa: SIM115 - closed by ``journal_at``
        except OSError as error:
            raise ValueError(f"cannot read {self.path}: {reason(error)}; choose another place") from error
        self.run = header["run"]
        return int(header["entropy"])

    def _header(self) -> tuple[dict[str, Any] | None, int]:
        """What the file says first, and where that ends; None if there is nothing, or nothing whole."""
        try:
            with open(self.target, "rb") as file:
                first, size = file.read(len(MAGIC)), os.fstat(file.fileno()).st_size
                payload = payload_at(file, len(MAGIC), size)
        except FileNotFoundError:
            return None, 0
        except OSError as error:
            raise ValueError(f"cannot read {self.path}: {reason(error)}; choose another place") from error
        if not MAGIC.startswith(first):
            raise ValueError(f"{self.path} is not a checkpoint of this version of mixtura: name another file")
        if payload is None:
            return None, 0
        return unpacked(payload)[0], len(MAGIC) + FRAME.size + len(payload)

    def recalled(self, question: str) -> Any:
        """The next sum in the file, which has to be the answer to ``question``; None if there are no more."""
        if not self.replaying:
            return None
        try:
            payload = payload_at(self.file, self.end, os.fstat(self.file.fileno()).st_size)
            if payload is None:
                self.replaying = False
                self.file.truncate(self.end)  # of what is torn
                return None
        except OSError as error:
            raise ValueError(f"cannot read {self.path}: {reason(error)}; choose another place") from error
        head, (found,) = unpacked(payload)
        if head["question"] != question:
            raise ValueError(
                f"{self.path} does not go with this fit from sum {self.n_sums + 1} on, as happens where other versions "
                "of NumPy or SciPy, or another kind of processor, wrote it: go on where it was written, or delete it"
            )
        self.end += FRAME.size + len(payload)
        self.n_sums += 1
        return found

    def add(self, question: str, answer: S) -> S:
        """Write a sum at the end, and return it as it will be read."""
        payload = packed({"question": question}, [answer])
        frame = framed(payload)
        try:
            self.file.seek(self.end)
            left = memoryview(frame)
            while left:
                left = left[self.file.write(left) :]
            self._sync(EVERY)
        except BaseException as error:
            with suppress(OSError):  # a frame that is torn does not count, whether it is cut off or not
                self.file.truncate(self.end)
            if isinstance(error, OSError):
                raise self._unwritten(error) from error
            raise
        self.end += len(frame)
        self.n_sums += 1
        self.written = time.monotonic()
        return cast(S, unpacked(payload)[1][0])

    def _sync(self, after: float) -> None:
        """Hand to the disk what was written, if the last time is so many seconds ago."""
        if time.monotonic() - self.synced >= after:
            os.fsync(self.file.fileno())
            self.synced = time.monotonic()

    def _unwritten(self, error: OSError) -> ValueError:
        return ValueError(
            f"cannot write {self.path}: {reason(error)}; it holds what was done before: make room, and the same call "
            "goes on from there"
        )

    def on_the_way(self, question: str) -> tuple[int, list[tuple[int, Any]]]:
        """How many blocks were added when the sum that comes next was last kept on the way, and what it consists of."""
        self.written = time.monotonic()
        try:
            with open(self.way, "rb") as file:
                payload = payload_at(file, 0, os.fstat(file.fileno()).st_size)
        except OSError:  # it is not there: the pass begins
            return 0, []
        if payload is None:
            return 0, []
        head, sums = unpacked(payload)
        if [head["run"], head["n_sums"], head["question"]] != [self.run, self.n_sums, question]:
            return 0, []
        return int(head["done"]), list(zip(head["levels"], sums, strict=True))

    def keep(self, question: str, done: int, parts: list[tuple[int, Any]]) -> None:
        """Keep a sum on the way, if nothing was written for long: ``done`` blocks are in it, ``parts`` make it up."""
        if time.monotonic() - self.written < EVERY:
            return
        head = {"run": self.run, "n_sums": self.n_sums, "question": question, "done": done}
        head["levels"] = [level for level, _ in parts]
        # A name that is always the same: a process that is killed leaves one such file at most, which is not read.
        coming = Path(f"{self.way}.part")
        try:
            coming.write_bytes(framed(packed(head, [part for _, part in parts])))
            os.replace(coming, self.way)
        except BaseException as error:
            coming.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._unwritten(error) from error
            raise
        self.written = time.monotonic()

    def finish(self, *, whole: bool) -> None:
        """Hand the file to the disk; of a fit that is ``whole`` nothing is on the way any more."""
        try:
            self._sync(0.0)
            if whole:
                self.way.unlink(missing_ok=True)
                Path(f"{self.way}.part").unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritten(error) from error

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()


@contextmanager
def journal_at(path: PathLike | None) -> Iterator[Journal | None]:
    """A context with the journal in the file ``path``; None without one."""
    if path is None:
        yield None
        return
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()


@dataclass(frozen=True, eq=False)
class Journaled:
    """A source whose sums are in a journal: those that it holds are not made again, the others are added to it."""

    source: Source
    journal: Journal

    @property
    def n_rows(self) -> int:
        return self.source.n_rows

    @property
    def n_features(self) -> int:
        return self.source.n_features

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.source.total

    @property
    def exact(self) -> bool:
        """Whether each row is its point."""
        return self.source.exact

    @property
    def at_hand(self) -> Rows:
        """Rows that are in memory."""
        return self.source.at_hand

    @property
    def in_memory(self) -> InMemory | None:
        """The source itself, without its journal, if all rows are in memory."""
        return self.source.in_memory

    @property
    def largest_part(self) -> int:
        """Rows of a part, at most."""
        return self.source.largest_part

    def summed(self, engine: Engine, of_part: Callable[[InMemory, Engine], S]) -> S:
        """Sum of ``of_part`` over the parts."""
        question = digest(self.n_rows, of_part)
        found: S | None = self.journal.recalled(question)
        if found is not None:
            return found
        assert isinstance(engine, Serial | Threads)
        keep = partial(self.journal.keep, question)
        return self.journal.add(
            question, self.source.summed(Keeping(engine, *self.journal.on_the_way(question), keep), of_part)
        )

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """At most ``n`` of the rows."""
        return self.source.sample(n, rng)

    def part(self, n: int, rng: np.random.Generator) -> Journaled:
        """A source over ``n`` of the rows or up to twice as many, its sums in the same journal."""
        return Journaled(self.source.part(n, rng), self.journal)
