"""Which mixtures a fit runs from: what the user gave, exactly as it was given, or the best of several made ones."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from mixtura import available, initialize, moves, validation
from mixtura.available import filled
from mixtura.background import USUAL, Background
from mixtura.covariance import Covariances, Dense, suited
from mixtura.degeneracy import n_degenerate
from mixtura.em import WINDOW, Driver, Problem, passes
from mixtura.families import Family
from mixtura.fixed import Fixed
from mixtura.initialize import AGAIN, AUTO, SHORT_RUNS, STARTS, TRUNCATED, Outcome, Sample
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, InMemory, Rows, Source
from mixtura.shapes import covariances_from_precisions, covariances_in
from mixtura.statistics import given
from mixtura.update import MStep

LONG = 100
"""Passes in which the last move has to lead to where it has led before."""

RESCUES = 4
"""Starts that are carried on in turn, with n_init="auto", until one does not end degenerate."""


GROWTH = 4
"""How many times larger the next part of the rows is."""

MOSTLY = 0.1
"""Gain of WINDOW passes over a part of the rows, in nats for each free parameter, under which the next part has more to
tell: with so many times the rows, the maximum is half a nat or more per parameter higher."""


FREELY = 30
"""Updates of a made start with everything free: after them it shows which component what is fixed belongs to."""


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

    def suits(self, fixed: Fixed, family: Family, covariance_type: str) -> None:
        """Refuse a start that leaves to chance what is to stay at it, or has covariances that are not of the family."""
        for part, value, name in (
            ("weights", self.weights, "weights_init"),
            ("means", self.means, "means_init"),
            ("covariances", self.layout, "covariances_init or precisions_init"),
        ):
            if getattr(fixed, part) is not None and value is None and self.responsibilities is None:
                raise ValueError(
                    f'fixed["{part}"] must have a start to stay at, got none: give {name}, or a whole start such as '
                    "labels_init"
                )
        if fixed.covariances is not None and self.layout is not None:
            validation.of_family(self.layout, family, covariance_type)

    def over(self, base: Mixture) -> Mixture:
        """``base`` with the parameters that were given in its place; a background has what its weights leave."""
        background = base.background
        if background is not None and self.weights is not None:
            background = replace(background, weight=max(1 - float(self.weights.sum()), 0.0))
        return Mixture.of(
            base.weights if self.weights is None else self.weights,
            base.means if self.means is None else self.means,
            base.layout if self.layout is None else self.layout,
            background,
        )

    def in_order(self, made: Mixture) -> Mixture:
        """The components of ``made`` in the order that suits the weights and covariances that were given.

        Under those of component k the rows of a component of weight w and covariance S have the expected log density
        log w_k + log|S_k|^-1/2 - tr(S_k^-1 S) / 2: of all orders it is the one in which w times that has the largest
        sum.
        """
        expected = np.zeros((made.n_components, made.n_components))
        if self.weights is not None:
            expected += np.log(np.maximum(self.weights, np.finfo(np.float64).tiny))[:, None]
        if self.layout is not None:
            white = self.layout.whitener if isinstance(self.layout, Dense) else Dense(self.layout.dense).whitener
            square = np.einsum("kij,kil,mjl->km", white, white, made.layout.dense, optimize=True)
            expected += self.layout.log_det_whitener[:, None] - 0.5 * square
        _, order = linear_sum_assignment(made.weights * expected, maximize=True)
        return Mixture.of(made.weights[order], made.means[order], made.layout.only(order.tolist()), made.background)

    def mixture(self, problem: Problem) -> Mixture | None:
        """The start, if what was given is enough to make one without chance."""
        update = problem.update
        if self.responsibilities is not None:
            dense, more = not update.family.diagonal, update.box is not None
            if problem.gaussian is None:
                rows = InMemory(problem.source.at_hand)
                statistics = given(rows, self.responsibilities, problem.engine, dense=dense, background=more)
            else:
                full = filled(problem.source.at_hand, problem.gaussian, problem.engine)
                statistics = available.given(full, self.responsibilities, update.overall, dense=dense, background=more)
            return self.over(update(statistics, None))
        if self.means is not None:
            background = None if update.box is None else Background(USUAL, update.box)
            return self.over(initialize.at_means(self.means, update).beside(background))
        return None


def starts(
    problem: Problem,
    n_components: int,
    own: OwnStart,
    make: initialize.Start,
    n_init: int | None,
    entropy: int | None,
    outcomes: dict[int, Outcome],
    *,
    driver: Driver,
    max_iter: int,
    moving: bool,
    truncated: bool = False,
) -> Iterator[tuple[int, Mixture]]:
    """The mixtures to run from, in turn, each with its number.

    With ``n_init`` None they are the best of several short runs, the next ones meant for when the first ends badly;
    with ``moving`` the first of all is where moves lead from the best.  ``outcomes`` receives what became of the short
    runs.  ``truncated`` EM has so many components that short runs and second tries would cost more than the fit:
    one start will do if ``n_init`` is None.
    Every start has a stream of random numbers of its own, so that more starts leave the first ones as they were.

    Of many rows a start has seen a sample only: then ``driver`` carries it on over parts that grow, with ``max_iter``
    updates at most on each.
    """
    complete = own.mixture(problem)
    if complete is not None:
        yield 0, complete
        return
    if truncated and n_init is None:
        n_init = 1
    n_starts = SHORT_RUNS if n_init is None else n_init
    if n_components == 1:  # chance has no say; of what is background there are two opinions
        n_starts = 1 if problem.update.box is None else min(n_starts, 2)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(n_starts + 2)]
    sample = initialize.draw(problem, n_components, streams[0])
    # Of fewer points than components no more can be made: the others are left empty, which equal mixing does not admit.
    n_made = n_components
    # Labels may name any of them.
    bounded = problem.source.at_hand.label is None and not own.partial and not problem.update.equal_mixing
    if make in STARTS.values() and bounded:
        n_made = min(n_components, distinct_points(problem.source, n_components))
    cores: list[tuple[Sample, Background | None]] = [(sample, None)]
    if make in STARTS.values():  # the user's own function has its own opinion of what is background
        cores = [
            core
            for part in initialize.reliable(sample, n_made, problem.update)
            for core in initialize.without_clutter(part, n_made, problem.update)
        ]
    make = TRUNCATED.get(make, make) if truncated else make
    makers = [make, *[AGAIN.get(make, make)] * (n_starts - 1)]
    sieve = initialize.SIEVE
    if problem.source.at_hand.label is not None and make in STARTS.values():
        makers[0] = initialize.as_labelled
        if n_init is None and 0 < len(initialize.known_means(sample, n_components)) < n_components:
            makers.append(initialize.around_labelled)
            sieve = initialize.PARTLY_LABELLED

    def made_by(maker: initialize.Start, rng: np.random.Generator, core: Sample, behind: Background | None) -> Mixture:
        made = initialize.with_empty(maker(core, n_made, problem.update, rng), n_components, problem.update)
        made = made if behind is None else made.components.beside(behind)
        if problem.update.fixed is not None and make in STARTS.values():
            free = replace(problem, source=InMemory(sample.rows), update=replace(problem.update, fixed=None))
            *_, last = passes(free, made, tol=0.0, max_iter=FREELY)
            # Labels say which component is which, in whatever order its weights and covariances would suit.
            made = last.model if sample.rows.label is not None else own.in_order(last.model)
        return own.over(made)

    made = (made_by(*each, *core) for each, core in zip(zip(makers, streams[1:], strict=False), cycle(cores)))
    # On a sample of everything the winner runs again from its start, so that the history shows its whole way.
    # So it does from what the user gave, which a short run would have moved.
    # (Rows of which nothing is known are in no sample.)
    enough = min(initialize.sample_rows(n_components, problem.source.n_features), len(problem.source.at_hand))
    everything = problem.source.n_rows <= enough
    whole = everything or own.partial or make not in STARTS.values()

    parts = 0 if whole else int(streams[0].integers(2**63))

    def better(further: Mixture, begin: Mixture) -> Mixture:
        # On a sample without the rows that are labelled with it, a component may have lost all of its weight.
        return further if lit(further, problem.source.at_hand).all() else begin

    def carried_on(begin: Mixture) -> Mixture:
        if whole or truncated or max_iter == 0:
            return begin
        return better(grown(problem, sample, begin, driver, max_iter, parts), begin)

    if n_init is not None or n_starts == 1:
        yield from enumerate(map(carried_on, made))
        return
    candidates = list(made)
    reached, order, short = initialize.short_runs(problem, sample, candidates, sieve)
    outcomes.update(enumerate(short))
    if moving:
        further = _moved(problem, sample, reached[order[0]], streams[0], whole=whole)
        if further is not None:
            begin, outcomes[n_starts] = further
            yield n_starts, carried_on(begin)
    yield from ((i, candidates[i] if whole else carried_on(better(reached[i], candidates[i]))) for i in order[:RESCUES])


def lit(model: Mixture, rows: Rows) -> NDArray[np.bool_]:
    """Which rows (n,) may belong to something that has weight, as far as labels have a say."""
    weights = model.weights if model.background is None else np.append(model.weights, model.background.weight)
    allowed = rows.allowed(len(weights))
    if allowed is None:
        return np.ones(len(rows), dtype=bool)
    found = (allowed & (weights > 0)[:, None]).any(axis=0)
    return np.asarray(found if rows.weight is None else found | (rows.weight == 0))  # without weight, a row is absent


def reachable(begin: Mixture, rows: Rows) -> Mixture:
    """The start itself, if each of the labelled rows may belong to something that has weight in it."""
    found = lit(begin, rows)
    if not found.all():
        row = int(np.argmin(found))
        allowed = rows.allowed(begin.n_components + (begin.background is not None))
        assert allowed is not None
        raise ValueError(
            f"labels must allow each row a component that has weight in the start, but row {row} may only belong to "
            f"{np.flatnonzero(allowed[:, row]).tolist()}: give these a weight in weights_init"
        )
    return begin


def grown(problem: Problem, sample: Sample, begin: Mixture, driver: Driver, max_iter: int, seed: int) -> Mixture:
    """Where passes lead from ``begin`` over the sample, then over parts of the rows that grow up to half of them.

    A part is followed until it has little more to tell than the next one will.  Where a component becomes degenerate on
    a part, what came before is taken: on more rows it may not.
    """
    model, update, rng = begin, problem.update, np.random.default_rng(seed)
    enough = MOSTLY * update.family.n_parameters(begin.n_components, problem.source.n_features)
    source: Source = InMemory(sample.rows)
    while True:
        on_part = replace(problem, source=source)
        for latest in passes(on_part, model, tol=0.0, max_iter=max_iter, driver=driver):
            if latest.index > WINDOW and WINDOW * latest.gain < enough:
                break
        if n_degenerate(update, latest.model, source.total) > n_degenerate(update, model, source.total):
            return model
        model = latest.model
        size = GROWTH * source.n_rows
        if size > problem.source.largest_part:
            return model
        source = problem.source.part(size, rng)


def _moved(
    problem: Problem, sample: Sample, incumbent: Mixture, rng: np.random.Generator, *, whole: bool
) -> tuple[Mixture, Outcome] | None:
    """Where moves from the best of the short runs lead, if it is to something better."""
    rows = InMemory(sample.rows).sample(moves.ROWS, rng)
    found = moves.moved(problem, rows, incumbent)
    if found is None:
        return None
    begin, end = (initialize.from_responsibilities(rows, resp, problem.update) for resp in found)
    choice = [incumbent, end, begin]
    _, order, outcomes = initialize.short_runs(problem, sample, choice)
    if order[0] == 0:  # better on some of the rows only
        return None
    outcome = outcomes[order[0]]
    if whole and len(rows) == len(sample.rows):  # then the history can show the way from the last move
        for latest in passes(problem, begin, tol=moves.ROUGH, max_iter=LONG):
            if latest.objective > outcome.objective - moves.ROUGH:
                return begin, outcome
    return choice[order[0]], outcome


def distinct_points(source: Source, enough: int) -> int:
    """Number of different rows, counted until there are ``enough``."""
    rows, size = source.at_hand, 64 * enough
    found = np.unique(rows[:size].comparable, axis=0)
    while len(found) < enough and size < len(rows):
        # Rows that differ from all that were found; what is left of a long table of few points is looked at once.
        found = np.unique(np.concatenate([found, np.unique(rows[size : 8 * size].comparable, axis=0)]), axis=0)
        size *= 8
    return len(found)


def own_start(
    parameters: Mapping[str, Any], k: int, d: int, n_rows: int, present: Any, *, background: bool
) -> OwnStart:
    """What the ``parameters`` of the estimator, by name, give of a start; responsibilities for the rows ``present``."""
    covariances, precisions = parameters["covariances_init"], parameters["precisions_init"]
    if covariances is not None and precisions is not None:
        raise ValueError("expected covariances_init or precisions_init, got both: leave one of them out")
    covariance_type, layout = parameters["covariance_type"], None
    if covariances is not None:
        layout = covariances_in(covariances, "covariances_init", k, d, covariance_type)
    if precisions is not None:
        layout = covariances_from_precisions(precisions, "precisions_init", k, d, covariance_type)
    init, weights, means = (parameters[name] for name in ("init", "weights_init", "means_init"))
    if weights is not None:
        weights = validation.weights_of(weights, k, name="weights_init", background=background)
    named = {name: parameters[name] for name in ("labels_init", "responsibilities_init")}
    named["init"] = None if init is init_rule(init) else init
    resp = own_responsibilities(named, n_rows, k, background=background)
    return OwnStart(
        weights=weights,
        means=None if means is None else validation.means_of(means, k, d, name="means_init"),
        layout=None if layout is None else suited(layout, diagonal=validation.family(covariance_type).diagonal),
        responsibilities=None if resp is None else resp[present],
    )


def is_own(parameters: Mapping[str, Any]) -> bool:
    """Whether the ``parameters`` of the estimator, by name, say where to begin, and not only how."""
    whole = ("means_init", "responsibilities_init", "labels_init")
    return not isinstance(parameters["init"], str) or any(parameters[name] is not None for name in whole)


def init_rule(init: Any) -> Any:
    """``init``, where it says how to make a start and is not one itself."""
    return init if init is None or isinstance(init, str) or callable(init) else "auto"


def own_responsibilities(named: dict[str, Any], n_rows: int, n_components: int, *, background: bool) -> Array | None:
    """Responsibilities (n, K) from the one start among ``named`` that is not None: labels (n,) or responsibilities.

    With a ``background`` they are (n, K + 1).
    """
    given_ones = {name: value for name, value in named.items() if value is not None}
    if len(given_ones) > 1:
        raise ValueError(f"expected one start, got {' and '.join(given_ones)}: leave all but one of them out")
    for name, value in given_ones.items():
        if name == "init" and np.ndim(value) == 0:
            raise ValueError(
                f"init must be a name ({', '.join(['auto', *STARTS])}), labels, responsibilities or a function, got "
                f"{value!r}: choose one of these"
            )
        if name.startswith("labels") or (name == "init" and np.ndim(value) == 1):
            return validation.labels(value, n_rows, n_components, background=background)
        return validation.responsibilities(value, n_rows, n_components, background=background)
    return None


def make_start(init: Any, problem: Problem, x: AnyArray, present: Any) -> initialize.Start:
    """The function behind ``init``: a name of STARTS, "auto", or the user's own that returns responsibilities.

    The user's function sees all rows ``x`` in their order, not a sample, because it may look its answer up; its answer
    counts for the rows that are ``present``, those of ``problem``.
    """
    if callable(init):
        return partial(_called, init, problem, x, present)
    name = validation.one_of(init, "init", ["auto", *STARTS])
    return STARTS[AUTO if name == "auto" else name]


def _called(
    function: Callable[[AnyArray, int, np.random.Generator], ArrayLike],
    problem: Problem,
    x: AnyArray,
    present: Any,
    sample: Sample,
    k: int,
    update: MStep,
    rng: np.random.Generator,
) -> Mixture:
    background = update.box is not None
    resp = validation.responsibilities(function(x, k, rng), len(x), k, background=background)
    rows = problem.source.at_hand
    if problem.gaussian is not None:
        rows = filled(rows, problem.gaussian, problem.engine)
    return initialize.from_responsibilities(rows, resp[present], update, 0, background=background)


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
