"""Engines: results in order, few of them waiting, failures that come out, and no thread left behind."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mixtura import engine
from mixtura.engine import Serial, Threads, reduce

ENGINES = [Serial(), Threads(2), Threads(3)]


def slow_first(index):
    """The index; every fifth takes longer than those after it."""
    time.sleep(0.004 if index % 5 == 0 else 0.0)
    return index


@pytest.mark.parametrize("on", ENGINES, ids=repr)
def test_results_are_taken_in_order(on):
    taken = []
    on.each(slow_first, range(60), taken.append)
    assert taken == list(range(60))
    on.each(slow_first, [], taken.append)
    assert len(taken) == 60


@pytest.mark.parametrize("together", [1, 3, 100])
@pytest.mark.parametrize("on", ENGINES, ids=repr)
def test_a_sum_has_the_same_bits_on_any_engine(on, together):
    parts = np.random.default_rng(0).normal(size=(50, 4)) * 10.0 ** np.arange(-20, 30)[:, None]
    alone = reduce(Serial(), lambda i: parts[slow_first(i)], range(50), together)
    np.testing.assert_array_equal(reduce(on, lambda i: parts[slow_first(i)], range(50), together), alone)


def test_no_more_blocks_are_asked_for_than_can_wait():
    on, asked = Threads(2), []

    def blocks():
        for index in range(200):
            asked.append(index)
            yield index

    def work(index):
        if index == 0:
            time.sleep(0.1)
            asked.append("first")
        return index

    on.each(work, blocks(), lambda _: None)
    assert asked.index("first") <= engine.AHEAD * 2 + 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StopIteration])
@pytest.mark.parametrize("on", ENGINES, ids=repr)
def test_failures_come_out(on, error):
    def failing(index):
        if index == 7:
            raise error("seven")
        return slow_first(index)

    with pytest.raises(error, match="seven"):
        on.each(failing, range(50), lambda _: None)
    with pytest.raises(error, match="seven"):
        on.each(slow_first, range(50), failing)
    taken = []
    on.each(slow_first, range(10), taken.append)  # and it can be used again
    assert taken == list(range(10))


@pytest.mark.parametrize("on", ENGINES, ids=repr)
def test_a_source_that_fails_is_heard(on):
    def blocks():
        yield from range(5)
        raise OSError("the file is gone")

    taken = []
    with pytest.raises(OSError, match="gone"):
        on.each(slow_first, blocks(), taken.append)
    assert taken == list(range(len(taken)))


def test_an_engine_at_work_can_be_used_from_inside():
    on = Threads(2)

    def inner(index):
        found = []
        on.each(lambda i: i * index, range(6), found.append)
        return sum(found)

    outer = []
    on.each(inner, range(12), outer.append)
    assert outer == [15 * index for index in range(12)]
    assert list(on.map(inner, range(4))) == [0, 15, 30, 45]
