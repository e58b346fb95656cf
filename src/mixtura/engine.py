"""Where blocks are worked on: an engine has an ordered, lazy, bounded ``map``, and ``each``, the same for those who
need the results one after the other and not all at once.

The order of a sum is the order of the blocks, whoever computed them: the same data give the same bits for any
number of workers.  BLAS runs on one thread inside, because the blocks already share out the cores, and because
its own threads would cut a product differently from machine to machine.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, islice
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound="Addable")


class Addable(Protocol):
    """Anything that can be summed."""

    def __add__(self: S, other: S) -> S: ...


@cache
def _controller() -> ThreadpoolController:
    # Looking for the loaded BLAS libraries takes milliseconds, limiting them microseconds: look once.
    return ThreadpoolController()


_lock = threading.Lock()
_inside: list[Any] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context in which BLAS products stay on the calling thread.

    The setting belongs to the process: the first to come in makes it, the last to leave takes it back, whatever thread
    they are on.  (OpenBLAS 0.3.31 heeds only the thread that made a setting first: a fit on another thread may then
    have its products cut by BLAS.)
    """
    with _lock:
        _inside.append(_inside[0] if _inside else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            limiter = _inside.pop()
            if not _inside:
                limiter.restore_original_limits()


def one_openmp_thread() -> AbstractContextManager[Any]:
    """A context in which OpenMP loops stay on the calling thread: their sums have no order of their own."""
    limiter: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="openmp")
    return limiter


@dataclass(frozen=True)
class Serial:
    """One block after the other on the calling thread."""

    def map(self, function: Callable[[T], R], blocks: Iterable[T]) -> Iterator[R]:
        for block in blocks:
            yield function(block)

    def each(self, function: Callable[[T], R], blocks: Iterable[T], take: Callable[[R], object]) -> None:
        """``take`` what ``function`` makes of each block, in their order."""
        for block in blocks:
            take(function(block))


@dataclass(frozen=True)
class Threads:
    """Blocks on ``workers`` threads; NumPy and BLAS let go of the interpreter lock while they compute."""

    workers: int

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="mixtura")

    def map(self, function: Callable[[T], R], blocks: Iterable[T]) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        upcoming = iter(blocks)
        first = next(upcoming, None)
        second = next(upcoming, None)
        if first is not None and second is None:  # a single block is not worth a change of thread
            yield function(first)
            return
        try:
            for block in (first, second):
                if block is not None:
                    waiting.append(self._pool.submit(function, block))
            for block in upcoming:
                # Two per worker: one at work and one ready; more would only hold memory.
                if len(waiting) >= 2 * self.workers:
                    yield waiting.popleft().result()
                waiting.append(self._pool.submit(function, block))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def each(self, function: Callable[[T], R], blocks: Iterable[T], take: Callable[[R], object]) -> None:
        """``take`` what ``function`` makes of each block, in their order.

        The calling thread works, too, and nobody waits for anybody as long as there is something to do: a thread that
        sleeps for less than a millisecond tends to wake up where another one is at work.
        """
        upcoming = iter(blocks)
        first = list(islice(upcoming, self.workers))  # no more threads than there are blocks
        if len(first) < 2:
            for block in first:
                take(function(block))
            return
        shared = _Shared(enumerate(chain(first, upcoming)), take, AHEAD * self.workers)
        helpers: list[Future[None]] = []
        try:
            helpers.extend(self._pool.submit(shared.work, function) for _ in first[1:])
            shared.work(function)
            _ended(helpers)
        except BaseException as error:  # interrupted while it waited: the others end with the block that they are at
            shared.fail(error)
            _ended(helpers)
        failure, shared.failure = shared.failure, None
        if failure is not None:
            try:
                raise failure
            finally:  # else it would hold the frames that hold it, and what these have open
                del failure


def _ended(helpers: list[Future[None]]) -> None:
    """Wait until nobody is at work any more."""
    for helper in helpers:
        if not helper.cancel():  # one that has not begun is not needed any more
            helper.exception()


AHEAD = 4
"""Results for each worker that may wait for their turn."""


class _Shared:
    """Blocks that several threads help themselves from, and whose results are taken in order."""

    def __init__(self, upcoming: Iterator[tuple[int, Any]], take: Callable[[Any], object], ahead: int) -> None:
        self.upcoming, self.take, self.ahead = upcoming, take, ahead
        self.turn = threading.Condition()
        self.results: dict[int, Any] = {}
        self.taken = 0
        self.failure: BaseException | None = None

    def work(self, function: Callable[[Any], Any]) -> None:
        """Work on blocks until there are no more."""
        try:
            while True:
                with self.turn:
                    following = None if self.failure is not None else next(self.upcoming, None)
                if following is None:
                    return
                index, block = following
                self._put(index, function(block))
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Let all end with the block that they are at, and ``error`` be what is heard of it."""
        with suppress(RuntimeError):  # an interrupt may come after a lock is taken and before the block that returns it
            while True:
                self.turn.release()
        with self.turn:
            self.failure = self.failure or error
            self.turn.notify_all()

    def _put(self, index: int, result: Any) -> None:
        with self.turn:
            while index - self.taken >= self.ahead and self.failure is None:
                self.turn.wait()
            self.results[index] = result
            if index == self.taken and self.failure is None:
                while self.taken in self.results:
                    self.take(self.results.pop(self.taken))
                    self.taken += 1
                self.turn.notify_all()


class InOrder(Generic[S]):
    """A sum from the first to the last."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, S]] = []

    def add(self, part: S) -> None:
        """One more."""
        self.parts[:] = [(0, self.parts[0][1] + part if self.parts else part)]

    def sum(self) -> S:
        """What was added, at least one."""
        return self.parts[0][1]


class Pairwise(Generic[S]):
    """A sum in pairs, then in pairs of pairs: in the order of what is added, whatever came before and will come."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, S]] = []

    def add(self, part: S) -> None:
        """One more; as many are held as there are digits in the binary number of those that came."""
        level = 0
        while self.parts and self.parts[-1][0] == level:
            part, level = self.parts.pop()[1] + part, level + 1
        self.parts.append((level, part))

    def sum(self) -> S:
        """What was added, at least one."""
        *before, (_, total) = self.parts
        for _, part in reversed(before):
            total = part + total
        return total


def in_pairs(parts: Iterable[S]) -> S:
    """The sum of these, at least one, in pairs."""
    total: Pairwise[S] = Pairwise()
    for part in parts:
        total.add(part)
    return total.sum()


@dataclass(frozen=True, eq=False)
class Keeping:
    """An engine that makes one sum, which is kept on the way and can be gone on with: ``done`` blocks are in it, and
    ``parts`` are what it consists of; ``keep`` is told both after each block."""

    engine: Serial | Threads
    done: int
    parts: list[tuple[int, Any]]
    keep: Callable[[int, list[tuple[int, Any]]], None]

    def map(self, function: Callable[[T], R], blocks: Iterable[T]) -> Iterator[R]:
        return self.engine.map(function, blocks)

    def each(self, function: Callable[[T], R], blocks: Iterable[T], take: Callable[[R], object]) -> None:
        self.engine.each(function, blocks, take)

    def go_on(self, function: Callable[[T], S], blocks: Iterable[T], total: InOrder[S] | Pairwise[S]) -> None:
        """Add to ``total`` what is in the sum already, and what ``function`` makes of the other blocks."""
        done = self.done
        total.parts[:] = self.parts

        def add(part: S) -> None:
            nonlocal done
            total.add(part)
            done += 1
            self.keep(done, total.parts)

        self.engine.each(function, islice(blocks, done, None), add)


Engine = Serial | Threads | Keeping


def added(engine: Engine, function: Callable[[T], S], blocks: Iterable[T], total: InOrder[S] | Pairwise[S]) -> S:
    """The ``total`` of what ``function`` makes of each block, added in their order."""
    with one_blas_thread():
        if isinstance(engine, Keeping):
            engine.go_on(function, blocks, total)
        else:
            engine.each(function, blocks, total.add)
    return total.sum()


def reduce(engine: Engine, function: Callable[[T], S], blocks: Iterable[T], together: int = 1) -> S:
    """Sum of ``function`` over ``blocks``, in their order, so many of them ``together`` as one task."""

    def of_task(task: list[T]) -> S:
        total = function(task[0])
        for block in task[1:]:
            total = total + function(block)
        return total

    total: InOrder[S] = InOrder()
    return added(engine, of_task, _tasks(blocks, together), total)


def _tasks(blocks: Iterable[T], size: int) -> Iterator[list[T]]:
    upcoming = iter(blocks)
    while task := list(islice(upcoming, size)):
        yield task


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_engine(name: str = "auto", n_jobs: int | None = None) -> Engine:
    """The engine called ``name``; ``n_jobs`` counts workers, None or -1 being one for each core."""
    workers = cores() if n_jobs is None else n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)
    return Serial() if name == "serial" or workers == 1 else Threads(workers)
