"""Which mixtures a fit runs from: what the user gave, exactly as it was given, or the best of several made ones."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import initialize, validation
from mixtura.covariance import Covariances
from mixtura.em import Problem
from mixtura.initialize import AGAIN, AUTO, SHORT_RUNS, STARTS, Outcome, Sample
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, InMemory
from mixtura.statistics import given
from mixtura.update import MStep

RESCUES = 4
"""Starts that are carried on in turn, with n_init="auto", until one does not end degenerate."""


@dataclass(frozen=True, eq=False)
class OwnStart:
    """What the user gave of a start; None where nothing was given.  Responsibilities count after parameters."""

    weights: Array | None = None
    means: Array | None = None
    layout: Covariances | None = None
    responsibilities: Array | None = None

    @property
    def partial(self) -> bool:
        """Whether some of the parameters were given."""
        return any(part is not None for part in (self.weights, self.means, self.layout))

    def over(self, base: Mixture) -> Mixture:
        """``base`` with the parameters that were given in its place."""
        return Mixture.of(
            base.weights if self.weights is None else self.weights,
            base.means if self.means is None else self.means,
            base.layout if self.layout is None else self.layout,
        )

    def mixture(self, problem: Problem) -> Mixture | None:
        """The start, if what was given is enough to make one without chance."""
        update = problem.update
        if self.responsibilities is not None:
            dense = not update.family.diagonal
            return self.over(update(given(problem.source, self.responsibilities, problem.engine, dense=dense), None))
        if self.means is not None:
            return self.over(initialize.at_means(self.means, update))
        return None


def starts(
    problem: Problem,
    n_components: int,
    own: OwnStart,
    make: initialize.Start,
    n_init: int | None,
    entropy: int | None,
    outcomes: dict[int, Outcome],
) -> Iterator[tuple[int, Mixture]]:
    """The mixtures to run from, in turn, each with its number.

    With ``n_init`` None they are the best of several short runs, the next ones meant for when the first ends badly;
    ``outcomes`` receives what became of the short runs.
    Every start has a stream of random numbers of its own, so that more starts leave the first ones as they were.
    """
    complete = own.mixture(problem)
    if complete is not None:
        yield 0, complete
        return
    n_starts = 1 if n_components == 1 else SHORT_RUNS if n_init is None else n_init
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(n_starts + 1)]
    sample = initialize.draw(problem.source, n_components, problem.update.family.frame, streams[0])
    # Of fewer points than components no more can be made: the others are left empty, which equal mixing does not admit.
    n_made = n_components
    if make in STARTS.values() and not own.partial and not problem.update.equal_mixing:
        n_made = min(n_components, distinct_points(problem.source, n_components))
    makers = [make, *[AGAIN.get(make, make)] * (n_starts - 1)]
    pairs = zip(makers, streams[1:], strict=True)
    made = (
        own.over(initialize.with_empty(maker(sample, n_made, problem.update, rng), n_components, problem.update))
        for maker, rng in pairs
    )
    if n_init is not None or n_starts == 1:
        yield from enumerate(made)
        return
    candidates = list(made)
    reached, order, short = initialize.short_runs(problem, sample, candidates)
    outcomes.update(enumerate(short))
    # On a sample of everything the winner runs again from its start, so that the history shows its whole way.
    # So it does from what the user gave, which a short run would have moved.
    whole = len(sample.rows) == problem.source.n_rows or own.partial or make not in STARTS.values()
    yield from ((i, candidates[i] if whole else reached[i]) for i in order[:RESCUES])


def distinct_points(source: InMemory, enough: int) -> int:
    """Number of different rows, counted until there are ``enough``."""
    x, size = source.rows.x, 64 * enough
    found = np.unique(x[:size], axis=0)
    while len(found) < enough and size < len(x):
        # Rows that differ from all that were found; what is left of a long table of few points is looked at once.
        found = np.unique(np.concatenate([found, np.unique(x[size : 8 * size], axis=0)]), axis=0)
        size *= 8
    return len(found)


def own_responsibilities(named: dict[str, Any], n_rows: int, n_components: int) -> Array | None:
    """Responsibilities (n, K) from the one start among ``named`` that is not None: labels (n,) or responsibilities."""
    given_ones = {name: value for name, value in named.items() if value is not None}
    if len(given_ones) > 1:
        raise ValueError(f"expected one start, got {' and '.join(given_ones)}: leave all but one of them out")
    for name, value in given_ones.items():
        if name.startswith("labels") or (name == "init" and np.ndim(value) == 1):
            return validation.labels(value, n_rows, n_components)
        return validation.responsibilities(value, n_rows, n_components)
    return None


def make_start(init: Any, source: InMemory, x: AnyArray, present: Any) -> initialize.Start:
    """The function behind ``init``: a name of STARTS, "auto", or the user's own that returns responsibilities.

    The user's function sees all rows ``x`` in their order, not a sample, because it may look its answer up; its answer
    counts for the rows that are ``present``, those of ``source``.
    """
    if callable(init):
        return partial(_called, init, source, x, present)
    name = validation.one_of(init, "init", ["auto", *STARTS])
    return STARTS[AUTO if name == "auto" else name]


def _called(
    function: Callable[[AnyArray, int, np.random.Generator], ArrayLike],
    source: InMemory,
    x: AnyArray,
    present: Any,
    sample: Sample,
    k: int,
    update: MStep,
    rng: np.random.Generator,
) -> Mixture:
    resp = validation.responsibilities(function(x, k, rng), len(x), k)
    return initialize.from_responsibilities(source.rows, resp[present], update, 0)


def entropy_of(random_state: Any) -> int | None:
    """A seed from any of scikit-learn's and NumPy's ways to say where randomness comes from."""
    if random_state is None or random_state is np.random:
        return None
    if isinstance(random_state, numbers.Integral) and int(random_state) >= 0:
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    raise ValueError(
        f"random_state must be None, a non-negative integer, a numpy Generator or a RandomState, got {random_state!r}: "
        "use an integer for repeatable results"
    )
