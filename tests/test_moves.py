"""Leaving a local optimum, and the landscape of starts."""

from __future__ import annotations

import io
import pickle
from contextlib import redirect_stdout
from itertools import combinations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from cases import FAMILIES, blobs, unfinished
from mixtura import GaussianMixture, cohort, moves, validation
from mixtura.engine import Serial
from mixtura.rows import Rows


def crossed(n=100, d=2, *, seed=0):
    """Two clusters near each other, two far away and near each other, and labels that put two on one and one on two."""
    rng = np.random.default_rng(seed)
    centers = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 12.0]])[:, :d]
    truth = np.repeat([0, 1, 2], n)
    X = centers[truth] + rng.normal(size=(3 * n, d))
    wrong = np.where(truth == 0, (X[:, 0] > 0).astype(int), 2)
    return X, truth, wrong


def tables_of(X, labels, k):
    board = cohort.board(Rows(X), Serial())
    return board, board.table(validation.one_hot(labels, k))


def parts(table):
    (mass,), (mean,), (scatter,) = moves.moments(table[None])
    return mass, mean, scatter


def test_a_split_keeps_the_sums():
    X = blobs(120, 3)
    _, table = tables_of(X, np.argsort(X[:, 0]) % 4, 4)
    made = moves.split(table[None], 3)
    assert made.shape == (3, 5, table.shape[1])
    for one in made:
        np.testing.assert_allclose(one.sum(axis=0), table.sum(axis=0), rtol=1e-12, atol=1e-10)
        mass, _, scatter = parts(one)
        assert (mass > 0).all()
        assert (np.linalg.eigvalsh(scatter)[:, 0] > 0).all()


def test_the_pair_that_is_merged_loses_least():
    X = blobs(150, 2)
    _, table = tables_of(X, np.argsort(np.argsort(X[:, 0])) // 30, 5)
    mass, _, scatter = parts(table)

    def cost(mass, scatter):
        return mass * (0.5 * np.linalg.slogdet(scatter / mass + moves.RIDGE * np.eye(2))[1] - np.log(mass))

    loss = {}
    for a, b in combinations(range(5), 2):
        union = table[[a, b]].sum(axis=0)[None]
        both, _, together = parts(union)
        loss[a, b] = cost(both[0], together[0]) - cost(mass[a], scatter[a]) - cost(mass[b], scatter[b])
    (made,) = moves.merged(table[None], 1)
    a, b = min(loss, key=loss.get)
    expected = sorted([*np.delete(table, [a, b], axis=0).tolist(), table[[a, b]].sum(axis=0).tolist()])
    np.testing.assert_allclose(sorted(made.tolist()), expected, rtol=1e-12)


def test_what_is_lost_without_a_component():
    """seen_by of the others, their weights as they are: the log-likelihood of what is left of the density."""
    X = blobs(100, 2)
    board, table = tables_of(X, np.argsort(np.argsort(X[:, 0])) // 34, 3)
    (one,) = cohort.climb(board, ["VVV"], [table], tol=1e-2, cycles=5)
    model = cohort.model_of(board, "VVV", one.theta)
    log_joint = np.array(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(X)
            for w, m, c in zip(model.weights, model.means, model.covariances, strict=True)
        ]
    )
    rest = np.array([[1, 2], [0, 2], [0, 1]])
    _, logliks = cohort.seen_by(board, one.theta[rest])
    expected = np.array([logsumexp(log_joint[pair], axis=0).sum() for pair in rest])
    np.testing.assert_allclose(logliks - logliks[0], expected - expected[0], rtol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_moves_lead_out_of_the_trap(family):
    X, truth, wrong = crossed()
    trapped = GaussianMixture(3, covariance_type=family, labels_init=wrong).fit(X)
    right = GaussianMixture(3, covariance_type=family, labels_init=truth).fit(X)
    assert right.loglik_ > trapped.loglik_ + 10
    task = GaussianMixture(3, covariance_type=family, random_state=0)._task(X, None)
    begin, end = moves.moved(task.problem, task.problem.source.rows, trapped.mixture_)
    assert begin.shape == end.shape == (300, 3)
    assert adjusted_rand_score(end.argmax(axis=1), truth) > 0.99
    gm = GaussianMixture(3, covariance_type=family, responsibilities_init=end).fit(X)
    assert gm.log_likelihood_history_[0] >= right.loglik_ - 0.2


def test_where_nothing_is_better_nothing_moves():
    X, truth, _ = crossed()
    right = GaussianMixture(3, labels_init=truth).fit(X)
    task = GaussianMixture(3, random_state=0)._task(X, None)
    assert moves.moved(task.problem, task.problem.source.rows, right.mixture_) is None


@pytest.mark.parametrize("named", [{"prior": "fraley-raftery"}, {"mixing": "equal"}, {"reg_covar": 0.1}])
def test_there_are_moves_for_likelihoods_only(named):
    X, _, wrong = crossed()
    trapped = GaussianMixture(3, labels_init=wrong).fit(X)
    task = GaussianMixture(3, random_state=0, **named)._task(X, None)
    assert moves.moved(task.problem, task.problem.source.rows, trapped.mixture_) is None


def clusters(trial):
    rng = np.random.default_rng(trial)
    d, k = (2, 3, 6)[trial % 3], int(rng.integers(5, 10))
    factor, means = rng.normal(size=(k, d, d)) * 0.5 + np.eye(d), 3 * rng.normal(size=(k, d))
    labels = rng.choice(k, size=500, p=rng.dirichlet(np.full(k, 5.0)))
    return means[labels] + np.einsum("nij,nj->ni", factor[labels], rng.normal(size=(500, d))), k


def test_fits_with_moves_are_better(monkeypatch):
    """On random problems, moves find better optima in some and hardly ever worse ones."""
    problems = [clusters(trial) for trial in range(15)]
    kinds = ("full", "diag", "EEE", "VEV", "VVE")
    with_moves = [
        GaussianMixture(k, covariance_type=kinds[i % 5], random_state=0).fit(X).loglik_
        for i, (X, k) in enumerate(problems)
    ]
    monkeypatch.setattr(moves, "moved", lambda *_: None)
    without = [
        GaussianMixture(k, covariance_type=kinds[i % 5], random_state=0).fit(X).loglik_
        for i, (X, k) in enumerate(problems)
    ]
    gain = np.array(with_moves) - without
    assert (gain > 0.5).sum() >= 3
    assert (gain < -0.5).sum() <= 1


def test_a_move_that_ends_in_a_collapse_is_none():
    # Rows that are filled in lie in planes: what a move leads to may lose its width there when it settles.
    rng = np.random.default_rng(56)
    X = rng.normal(size=(40, 3)) + 3 * rng.integers(0, 2, size=(40, 1))
    X[rng.random((40, 3)) < 0.4] = np.nan
    gm = unfinished(GaussianMixture(3, random_state=0), X)
    assert np.isfinite(gm.loglik_)


def test_the_way_of_the_last_move_is_in_the_history():
    found = [GaussianMixture(k, random_state=0).fit(X) for X, k in map(clusters, range(12))]
    moved = [gm for gm in found if len(gm.restarts_) > 8]
    assert moved
    for gm in moved:
        assert len(gm.restarts_) == 9
        assert gm.restarts_[8]["agreement"] == 1.0
        assert gm.loglik_ > max(one["objective"] for one in gm.restarts_[:8])
        history = gm.log_likelihood_history_
        assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()


def test_seeds_alone_do_not_move():
    X, k = clusters(0)
    assert len(GaussianMixture(k, init="k-means++", random_state=0).fit(X).restarts_) == 8


def test_fit_iter_follows_the_fit():
    for trial in range(4):
        X, k = clusters(trial)
        gm = GaussianMixture(k, random_state=0).fit(X)
        again = GaussianMixture(k, random_state=0)
        objectives = [objective for _, objective in again.fit_iter(X)]
        assert objectives == gm.log_likelihood_history_


def test_agreement_is_the_adjusted_rand_index():
    X = blobs(200, 2)
    gm = GaussianMixture(3, n_init=5, random_state=1, init="random_from_data").fit(X)
    assert len(gm.restarts_) == 5
    single = [
        GaussianMixture(3, n_init=number, random_state=1, init="random_from_data").fit(X) for number in range(1, 6)
    ]
    best = max(one["objective"] for one in gm.restarts_)
    for one in gm.restarts_:
        assert -1 <= one["agreement"] <= 1
        if one["objective"] == best:
            assert one["agreement"] == 1.0
    # The first of five is the only one of one.
    first = adjusted_rand_score(single[0].labels_, gm.labels_)
    assert gm.restarts_[0]["agreement"] == pytest.approx(first, abs=1e-12)


def test_restarts_are_kept_with_the_estimator():
    X = blobs(100, 2)
    gm = GaussianMixture(2, n_init=2, random_state=0)
    assert not hasattr(gm, "restarts_")
    gm.fit(X)
    assert pickle.loads(pickle.dumps(gm)).restarts_ == gm.restarts_
    assert not hasattr(GaussianMixture.from_mixture(gm.mixture_), "restarts_")


@pytest.mark.parametrize("init", ["auto", "random"])
def test_side_by_side_or_in_turn_the_bits_are_the_same(init):
    X = blobs(300, 2)
    fits = [
        GaussianMixture(4, n_init=6, init=init, random_state=0, engine=engine, n_jobs=n_jobs).fit(X)
        for engine, n_jobs in (("serial", None), ("threads", 1), ("threads", 2), ("threads", 3))
    ]
    with redirect_stdout(io.StringIO()) as printed:
        fits.append(GaussianMixture(4, n_init=6, init=init, random_state=0, verbose=1).fit(X))
    assert printed.getvalue().count("start: ") == 6
    for gm in fits[1:]:
        np.testing.assert_array_equal(gm.means_, fits[0].means_)
        assert gm.restarts_ == fits[0].restarts_
