"""One EM step equals the textbook's: every family, kernel, thread count and offset, with weights and without."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import reference
from cases import (
    ENGINES,
    KERNELS_OF,
    MIXING,
    STEPPED,
    assert_same_parameters,
    blobs,
    parameters,
    start,
    started,
    unfinished,
)
from mixtura.kernels import OF_LAYOUT, block_rows

TOLERANCE = 1e-10
ROWS = 150
BLOCK = 64
"""Small enough that ROWS are three blocks, the last of them short."""

OFFSETS = (0.0, 1e4, 1e8)
DIMENSIONS = (1, 2, 5)


def problem(family, d, offset, n=ROWS):
    """Rows and start, both moved by ``offset``."""
    weights, means, covariances = start(family, d)
    return blobs(n, d) + offset, (weights, means + offset, covariances)


def row_weights(weighted, n=ROWS):
    return np.random.default_rng(3).uniform(0.1, 4.0, size=n) if weighted else None


@cache
def soft_assignment(family, d, offset):
    """The E-step of the loops: it does not depend on the weights of the rows."""
    X, begin = problem(family, d, offset)
    responsibilities, _ = reference.e_step(X, *begin)
    densities = [reference.e_step(X[n : n + 1], *begin)[1] for n in range(len(X))]
    return responsibilities, np.array(densities)


@cache
def wanted_step(family, mixing, d, offset, weighted):
    X, _ = problem(family, d, offset)
    responsibilities, densities = soft_assignment(family, d, offset)
    w = row_weights(weighted)
    objective = float(densities.sum() if w is None else w @ densities)
    return reference.m_step(X, responsibilities, family, mixing, w), objective


def assert_one_step(X, begin, wanted, objective, w, **settings):
    """One update of the estimator, and the objectives on both sides of it."""
    gm = started(begin, max_iter=1, tol=0.0, **settings)
    unfinished(gm, X, sample_weight=w)
    assert gm.n_iter_ == 1
    assert_same_parameters(parameters(gm), wanted, TOLERANCE)
    (before, at_start), (after, at_end) = gm.fit_iter(X, sample_weight=w)
    for got, given in zip((before.weights, before.means, before.covariances), begin, strict=True):
        np.testing.assert_array_equal(got, given)
    assert at_start == pytest.approx(objective, rel=TOLERANCE, abs=0)
    assert_same_parameters((after.weights, after.means, after.covariances), wanted, TOLERANCE)
    return gm, at_end


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("offset", OFFSETS, ids="offset={:g}".format)
@pytest.mark.parametrize("d", DIMENSIONS, ids="d={}".format)
@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize(
    ("family", "kernel"), [(family, kernel) for family in STEPPED for kernel in KERNELS_OF[family]]
)
def test_equals_the_loops(family, kernel, mixing, d, offset, weighted, monkeypatch):
    # From outside, the kernel and the size of blocks follow from the data: here they are set.
    monkeypatch.setattr("mixtura.observe.choose", lambda scores, origin: kernel)
    monkeypatch.setattr("mixtura.observe.block_rows", lambda *_, **__: BLOCK)
    X, begin = problem(family, d, offset)
    wanted, objective = wanted_step(family, mixing, d, offset, weighted)
    for engine, n_jobs in ENGINES:
        assert_one_step(
            X,
            begin,
            wanted,
            objective,
            row_weights(weighted),
            covariance_type=family,
            mixing=mixing,
            engine=engine,
            n_jobs=n_jobs,
        )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("offset", OFFSETS, ids="offset={:g}".format)
@pytest.mark.parametrize("d", DIMENSIONS, ids="d={}".format)
@pytest.mark.parametrize("family", STEPPED)
def test_the_objective_belongs_to_the_model(family, d, offset, weighted):
    X, begin = problem(family, d, offset)
    w = row_weights(weighted)
    gm = unfinished(started(begin, covariance_type=family, max_iter=1, tol=0.0), X, sample_weight=w)
    _, loglik = reference.e_step(X, *parameters(gm), w)
    assert gm.loglik_ == pytest.approx(loglik, rel=TOLERANCE, abs=0)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", STEPPED)
def test_the_vectorised_reference_equals_the_loops(family, mixing):
    X, begin = problem(family, 5, 1e4)
    w = row_weights(True)
    *slow, slow_objective = reference.step(X, *begin, family, mixing, w)
    *fast, fast_objective = reference.fast_step(X, *begin, family, mixing, w)
    assert_same_parameters(fast, slow, 1e-13)
    assert fast_objective == pytest.approx(slow_objective, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    ("mixing", "offset", "weighted"),
    [("free", 0.0, False), ("equal", 0.0, True), ("free", 1e4, True), ("free", 1e8, False)],
)
@pytest.mark.parametrize("d", DIMENSIONS, ids="d={}".format)
@pytest.mark.parametrize("family", STEPPED)
def test_equals_the_vectorised_reference_over_many_rows(family, d, mixing, offset, weighted):
    n = 2 * block_rows(OF_LAYOUT[not family.endswith("I")], 3, d) + 1234
    X, begin = problem(family, d, offset, n)
    w = row_weights(weighted, n)
    *wanted, objective = reference.fast_step(X, *begin, family, mixing, w)
    for engine, n_jobs in ENGINES:
        gm = started(
            begin,
            covariance_type=family,
            mixing=mixing,
            engine=engine,
            n_jobs=n_jobs,
            max_iter=1,
            tol=0.0,
        )
        (_, at_start), _ = gm.fit_iter(X, sample_weight=w)
        assert at_start == pytest.approx(objective, rel=TOLERANCE, abs=0)
        assert_same_parameters(parameters(gm), wanted, TOLERANCE)


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("family", STEPPED)
def test_many_steps_equal_many_steps(family, mixing):
    X, begin = problem(family, 2, 1e4)
    model = begin
    for _ in range(5):
        *model, _ = reference.step(X, *model, family, mixing)
    gm = unfinished(started(begin, covariance_type=family, mixing=mixing, max_iter=5, tol=0.0), X)
    assert_same_parameters(parameters(gm), model, 1e-9)


@pytest.mark.parametrize("distance", [10.0, 100.0, 400.0, 1e3, 3e3, 1e5])
@pytest.mark.parametrize("d", DIMENSIONS, ids="d={}".format)
@pytest.mark.parametrize("family", STEPPED)
def test_the_kernel_that_is_chosen_is_accurate_at_any_distance(family, d, distance):
    # Two components far apart in their own units: neither is well placed in a common frame.
    X, (_, _, covariances) = problem(family, d, 0.0)
    X = np.vstack([X[:75], X[75:] + distance])
    begin = np.array([0.5, 0.5]), np.array([np.zeros(d), np.full(d, distance)]), covariances[:2]
    *wanted, objective = reference.step(X, *begin, family)
    gm = unfinished(started(begin, covariance_type=family, max_iter=1, tol=0.0), X)
    assert_same_parameters(parameters(gm), wanted, 1e-9)
    assert gm.log_likelihood_history_[0] == pytest.approx(objective, rel=1e-9, abs=0)


@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("family", ["EEE", "VVV"])
def test_the_kernel_that_is_chosen_is_accurate_at_any_correlation(family, noise):
    x, y = blobs(ROWS, 1), np.random.default_rng(0).normal(size=(ROWS, 1))
    X = np.hstack([x, x + noise * y])
    S = np.array([[1.0, 1.0], [1.0, 1.0 + noise**2]])
    begin = np.array([0.5, 0.5]), np.array([[-3.0, -3.0], [2.0, 2.0]]), np.array([S, S])
    *wanted, objective = reference.step(X, *begin, family)
    gm = unfinished(started(begin, covariance_type=family, max_iter=1, tol=0.0), X)
    # What is lost in the Cholesky factor of the start, nobody can get back: eps times its condition.
    tolerance = max(1e-9, 1e-15 / noise**2)
    assert_same_parameters(parameters(gm), wanted, tolerance)
    assert gm.log_likelihood_history_[0] == pytest.approx(objective, rel=tolerance, abs=0)


@pytest.mark.parametrize("apart", [0.5, 2.0, 30.0])
@pytest.mark.parametrize("d", [31, 40], ids="d={}".format)
@pytest.mark.parametrize("family", STEPPED)
def test_equals_the_vectorised_reference_in_many_dimensions(family, d, apart):
    # Here the products of features no longer fit into one piece, and rows far from a component may be left out.
    rng = np.random.default_rng([d, 1])
    n = 900
    X = rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, size=d)
    X[:, : d // 2] += X[:, -1:]
    centres = rng.normal(size=(3, d)) * apart / np.sqrt(d)
    X += centres[rng.choice(3, size=n, p=[0.1, 0.3, 0.6])]
    w = row_weights(True, n)
    _, _, covariances = start(family, d)
    begin = np.array([0.2, 0.3, 0.5]), centres + 0.1, covariances
    *wanted, objective = reference.fast_step(X, *begin, family, "free", w)
    gm = started(begin, covariance_type=family, max_iter=1, tol=0.0)
    for n_jobs in (1, 2):
        unfinished(gm.set_params(n_jobs=n_jobs), X, sample_weight=w)
        assert_same_parameters(parameters(gm), wanted, TOLERANCE)
        assert gm.log_likelihood_history_[0] == pytest.approx(objective, rel=TOLERANCE, abs=0)
