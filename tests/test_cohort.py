"""Many mixtures at once: the same numbers as one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import entr, logsumexp
from scipy.stats import multivariate_normal

import reference
from cases import FAMILIES, STEPPED, TOLD, blobs, told
from mixtura import GaussianMixture, available, cohort, moves, validation
from mixtura.engine import Serial, make_engine
from mixtura.families import FAMILIES as BY_CODE
from mixtura.rows import Rows


def board_of(X, weight=None, engine=None):
    return cohort.board(Rows(np.asarray(X, dtype=float), weight), engine or Serial())


def labels_of(X, k):
    return (np.argsort(np.argsort(X[:, 0])) * k) // len(X)


def table_of(board, X, k):
    return board.table(validation.one_hot(labels_of(X, k), k))


def loglik_by_scipy(model, X, weight=None):
    log_joint = [
        np.log(w) + multivariate_normal(m, c).logpdf(X).reshape(-1)
        for w, m, c in zip(model.weights, model.means, model.covariances, strict=True)
    ]
    density = logsumexp(log_joint, axis=0)
    return float(density.sum() if weight is None else weight @ density)


DATA = {"plain": blobs(150, 3), "units": blobs(150, 3) * [1.0, 20.0, 0.1] + [5.0, -200.0, 1.0], "one": blobs(150, 1)}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_model_is_the_m_step_of_the_labels(family, data):
    X = DATA[data]
    board = board_of(X)
    (loglik,) = cohort.glance(board, [family], [table_of(board, X, 3)])
    estimator = GaussianMixture(3, covariance_type=family, labels_init=labels_of(X, 3))
    _, objective = next(estimator.fit_iter(X))
    if family in STEPPED and family not in ("VEI", "VEE", "VEV"):
        assert loglik == pytest.approx(objective, abs=1e-8 * abs(objective))
    else:  # a few steps towards the M-step, which has no closed form: near it, though its likelihood may be either way
        assert loglik == pytest.approx(objective, abs=0.02 * len(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("data", DATA)
def test_what_is_reached_is_a_member_of_its_family_with_that_likelihood(data, weighted):
    X = DATA[data]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    board = board_of(X, weight)
    codes = [family for family in FAMILIES for _ in range(2)]
    tables = [table_of(board, X, k) for _ in FAMILIES for k in (2, 4)]
    reached = cohort.climb(board, codes, tables, tol=1e-3, cycles=5)
    totals = cohort.totals(board, codes, reached)
    assert sum(one.left for one in reached) < 5
    for code, one, total in zip(codes, reached, totals, strict=True):
        if one.left:
            continue
        model = cohort.model_of(board, code, one.theta)
        validation.of_family(model.layout, BY_CODE[code], code)
        expected = loglik_by_scipy(model, X, weight)
        assert one.loglik == pytest.approx(expected, abs=1e-7 * abs(expected))
        assert total.loglik == one.loglik
        resp = model.responsibilities(X)
        weights = np.ones(len(X)) if weight is None else weight
        assert total.entropy == pytest.approx(weights @ entr(resp).sum(axis=1), rel=1e-6, abs=1e-6)
        assert total.certainty == pytest.approx(weights @ np.log(resp.max(axis=1)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_end_is_that_of_em(family):
    """From the same labels, to the end: the same optimum as the estimator's, or a better one."""
    X = blobs(200, 2, seed=3)
    board = board_of(X)
    (one,) = cohort.climb(board, [family], [table_of(board, X, 3)], tol=1e-9, cycles=500)
    gm = GaussianMixture(3, covariance_type=family, labels_init=labels_of(X, 3), tol=1e-9, accelerate=None).fit(X)
    assert one.settled
    assert one.loglik >= gm.loglik_ - 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_more_cycles_never_lower_the_likelihood(family):
    X = blobs(150, 3, seed=5)
    board = board_of(X)
    table = table_of(board, X, 4)
    logliks = [
        one.loglik
        for cycles in range(1, 12)
        for one in cohort.climb(board, [family], [table], tol=0.0, cycles=cycles)
        if not one.left
    ]
    assert len(logliks) > 3
    assert (np.diff(logliks) >= -1e-9 * np.abs(logliks[1:])).all()


def test_company_changes_nothing():
    """A mixture ends in the same place, whatever is worked on beside it."""
    X = blobs(120, 2)
    board = board_of(X)
    codes = [family for family in FAMILIES for _ in (2, 3)]
    tables = [table_of(board, X, k) for _ in FAMILIES for k in (2, 3)]
    together = cohort.climb(board, codes, tables, tol=1e-2, cycles=6)
    for code, table, one in zip(codes, tables, together, strict=True):
        (alone,) = cohort.climb(board, [code], [table], tol=1e-2, cycles=6)
        assert alone.passes == one.passes
        assert alone.loglik == pytest.approx(one.loglik, rel=1e-9)


def test_the_same_bits_for_any_number_of_threads():
    X = np.concatenate([blobs(900, 3, seed=seed) for seed in range(3)])
    found = []
    for n_jobs in (1, 2, 3):
        board = board_of(X, engine=make_engine("threads", n_jobs))
        codes, tables = list(FAMILIES), [table_of(board, X, 9)] * len(FAMILIES)
        found.append([one.theta for one in cohort.climb(board, codes, tables, tol=1e-2, cycles=3)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_mixture_on_its_way_to_a_spike_leaves():
    X = np.concatenate([blobs(60, 2), np.full((6, 2), 30.0)])
    board = board_of(X)
    labels = np.repeat([0, 1], [60, 6])
    (one,) = cohort.climb(board, ["VVV"], [board.table(validation.one_hot(labels, 2))], tol=1e-3, cycles=9)
    assert one.left


def test_rows_without_spread_suit_spheres_only():
    X = blobs(80, 2)
    spheres = ("EII", "VII")
    assert set(cohort.suited(Rows(X))) == set(FAMILIES)
    assert cohort.suited(Rows(np.column_stack([X, np.ones(80)]))) == spheres
    assert cohort.suited(Rows(np.column_stack([X, X.sum(axis=1)]))) == spheres
    assert cohort.suited(Rows(np.ones((5, 2)))) == ()
    assert cohort.suited(Rows(X[:1])) == ()
    assert cohort.suited(Rows(np.concatenate([X, [[1e9, 0.0]]]))) == ()
    assert set(FAMILIES) - set(cohort.suited(Rows(X * [1.0, 1e5]))) == {"EEV", "VEV", "EVE", "VVE"}


# rows that are not exact ------------------------------------------------------------------------------------------


def board_of_told(X, errors, weight=None, engine=None):
    """The board of rows with NaN and errors, filled in as for a start."""
    problem = GaussianMixture()._task(X, weight, error_covariance=errors).problem
    rows = available.filled(problem.source.rows, problem.gaussian, Serial())
    return cohort.board(rows, engine or Serial()), rows.x


def heard(X, how):
    """Rows told in this manner, but for those of which nothing is known, which no board has."""
    X, errors = told(X, how)
    there = ~np.isnan(X).all(axis=1)
    return X[there], None if errors is None else errors[there]


@pytest.fixture(params=["as it pays", "all alike", "one by one"])
def manner(request, monkeypatch):
    """Rows in patterns of their own or one by one, whatever pays, in several blocks."""
    monkeypatch.setattr(cohort, "ENTRIES", 500)
    if request.param != "as it pays":
        monkeypatch.setattr(cohort, "PATTERN", -1e300 if request.param == "all alike" else 1e300)
    return request.param


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("how", TOLD[1:])
def test_what_rows_tell_against_the_textbook(how, data, weighted, manner):
    unit = DATA[data].std(axis=0)
    X, errors = heard(DATA[data] / unit, how)
    X = X * unit
    if errors is not None:
        errors = errors * (unit**2 if errors.ndim == 2 else np.outer(unit, unit))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    board, filled = board_of_told(X, errors, weight)
    (one,) = cohort.climb(board, ["VVV"], [table_of(board, filled, 3)], tol=0.0, cycles=1)
    (total,) = cohort.totals(board, ["VVV"], [one])
    model = cohort.model_of(board, "VVV", one.theta)
    # Weights are brought to mean one at the door.
    scale = 1.0 if weight is None else weight.mean()
    weight = None if weight is None else weight / scale
    wanted = reference.told_step(X, model.weights, model.means, model.covariances, noise=errors, sample_weight=weight)
    assert one.loglik == pytest.approx(wanted[0], rel=1e-9)
    assert total.count == pytest.approx(len(X))
    mass, mean, scatter = (part[0] for part in moves.moments(one.table[None]))
    np.testing.assert_allclose(mass, wanted[1], rtol=1e-8)
    np.testing.assert_allclose(board.center + board.unit * mean, wanted[2], rtol=1e-8, atol=1e-8 * board.unit.max())
    size = np.outer(board.unit, board.unit)
    np.testing.assert_allclose(scatter, wanted[3] / size, rtol=1e-7, atol=1e-7 * len(X))


@pytest.mark.parametrize("how", TOLD[1:])
def test_entropies_of_what_rows_tell(how):
    X, errors = heard(blobs(80, 2), how)
    board, filled = board_of_told(X, errors)
    (one,) = cohort.climb(board, ["VVI"], [table_of(board, filled, 2)], tol=1e-2, cycles=9)
    (total,) = cohort.totals(board, ["VVI"], [one])
    gm = GaussianMixture.from_mixture(cohort.model_of(board, "VVI", one.theta), "VVI")
    resp = gm.predict_proba(X, error_covariance=errors)
    assert total.entropy == pytest.approx(entr(resp).sum(), rel=1e-6)
    assert total.certainty == pytest.approx(np.log(resp.max(axis=1)).sum(), rel=1e-6)
    assert total.loglik == pytest.approx(gm.score(X, error_covariance=errors) * len(X), rel=1e-9)


@pytest.mark.parametrize("how", TOLD[1:])
@pytest.mark.parametrize("family", FAMILIES)
def test_more_cycles_never_lower_the_likelihood_of_what_rows_tell(family, how):
    X, errors = heard(blobs(120, 3, seed=5), how)
    board, filled = board_of_told(X, errors)
    table = table_of(board, filled, 3)
    logliks = [
        one.loglik
        for cycles in range(1, 9)
        for one in cohort.climb(board, [family], [table], tol=0.0, cycles=cycles)
        if not one.left
    ]
    assert len(logliks) > 3
    assert (np.diff(logliks) >= -1e-9 * np.abs(logliks[1:])).all()


@pytest.mark.parametrize("how", TOLD[1:])
@pytest.mark.parametrize("family", STEPPED)
def test_the_end_is_that_of_em_over_what_rows_tell(family, how):
    X, errors = heard(blobs(200, 2, seed=3), how)
    board, filled = board_of_told(X, errors)
    (one,) = cohort.climb(board, [family], [table_of(board, filled, 2)], tol=1e-9, cycles=2000)
    gm = GaussianMixture(2, covariance_type=family, labels_init=labels_of(filled, 2), tol=1e-7, accelerate=None)
    gm.fit(X, error_covariance=errors)
    assert one.settled
    assert one.loglik >= gm.loglik_ - 1e-3


@pytest.mark.parametrize("how", TOLD[1:])
def test_the_same_bits_of_what_rows_tell_for_any_number_of_threads(how):
    X, errors = heard(np.concatenate([blobs(400, 3, seed=seed) for seed in range(2)]), how)
    found = []
    for n_jobs in (1, 2, 3):
        board, filled = board_of_told(X, errors, engine=make_engine("threads", n_jobs))
        codes, tables = list(FAMILIES), [table_of(board, filled, 6)] * len(FAMILIES)
        found.append([one.theta for one in cohort.climb(board, codes, tables, tol=1e-2, cycles=2)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_rows_cost_more_than_exact_ones():
    rng = np.random.default_rng(0)
    missing = rng.random((400, 4)) < 0.3
    assert cohort.more_than_exact((400, 4), None, None) == 0
    few = cohort.more_than_exact((400, 4), missing, None)
    assert 0 < few < cohort.more_than_exact((400, 4), None, np.ones((400, 4)))
    assert cohort.more_than_exact((800, 4), np.concatenate([missing, missing]), None) <= 1.2 * few
