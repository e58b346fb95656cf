"""Fits of more rows than starts look at: parts that grow, and the same optimum."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Theirs

from cases import unwarned
from mixtura import GaussianMixture, initialize, start
from mixtura.rows import InMemory, Rows


def overlapping(n, seed=0):
    """Rows (n, 3) from four Gaussians that overlap."""
    rng = np.random.default_rng(seed)
    roots = 0.4 * rng.normal(size=(4, 3, 3)) + np.eye(3)
    labels = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    return (1.3 * rng.normal(size=(4, 3)))[labels] + np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(n, 3)))


@pytest.mark.parametrize(("n", "size"), [(1000, 100), (1037, 100), (999, 500), (10, 10)])
def test_a_part_has_one_row_of_each_stretch(n, size):
    weight = np.random.default_rng(1).uniform(1, 2, n)
    x = np.arange(n, dtype=float)[:, None]
    part = InMemory(Rows(x, weight)).part(size, np.random.default_rng(0))
    assert size <= part.n_rows <= 2 * size
    stretch = n // size
    np.testing.assert_array_equal(part.chosen // stretch, np.arange(part.n_rows))
    blocks = list(part.blocks(64))
    np.testing.assert_array_equal(np.concatenate([one.x for one in blocks])[:, 0], part.chosen)
    np.testing.assert_array_equal(np.concatenate([one.weight for one in blocks]), weight[part.chosen])
    assert part.total == pytest.approx(weight[part.chosen].sum())


@pytest.mark.parametrize("settings", [{}, {"covariance_type": "tied"}, {"n_init": 2}, {"accelerate": None}], ids=str)
def test_a_large_fit_ends_where_nothing_is_left_to_gain(settings, monkeypatch):
    x = overlapping(90_000)
    gm = GaussianMixture(4, random_state=0, **settings).fit(x)
    kind = gm.covariance_type
    polished = Theirs(
        4,
        covariance_type=kind,
        tol=1e-12,
        max_iter=60,
        reg_covar=0,
        init_params="random_from_data",
        weights_init=gm.weights_,
        means_init=gm.means_,
        precisions_init=gm.precisions_,
    )
    with unwarned():
        polished.fit(x)
    left = polished.score(x) * len(x) - gm.loglik_
    assert -1e-6 * len(x) < left < (0.05 if settings.get("accelerate", "auto") else 1.0)
    objectives = [one["objective"] for one in gm.history_]
    assert (np.diff(objectives) > -1e-9 * np.abs(objectives[0])).all()
    # Carried over parts, a start is nearer to the end.
    monkeypatch.setattr(start, "grown", lambda problem, sample, begin, *_: begin)
    without = GaussianMixture(4, random_state=0, **settings).fit(x)
    assert gm.n_iter_ < without.n_iter_
    assert gm.history_[0]["objective"] > without.history_[0]["objective"]
    assert gm.loglik_ == pytest.approx(without.loglik_, abs=2.0)


def test_a_large_fit_has_the_same_bits_for_any_number_of_threads():
    x = overlapping(90_000, seed=1)
    fits = [GaussianMixture(4, random_state=0, n_jobs=n_jobs).fit(x) for n_jobs in (1, 2, 3)]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.means_, fits[0].means_)
        np.testing.assert_array_equal(other.covariances_, fits[0].covariances_)
        assert other.loglik_ == fits[0].loglik_


def test_a_start_of_ones_own_is_not_carried_anywhere():
    x = overlapping(90_000)
    means = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    gm = GaussianMixture(4, means_init=means, trace=True, max_iter=2)
    with unwarned():
        gm.fit(x)
    np.testing.assert_array_equal(gm.history_[0]["model"].means, means)


def test_a_part_on_which_a_component_collapses_is_left():
    # Twelve equal rows among 120,000, and a component that begins there: it collapses on every part.
    x = overlapping(120_000, seed=2)
    x[:: len(x) // 12] = [30.0, 30.0, 30.0]
    gm = GaussianMixture(2, random_state=0)
    task = gm._task(x, None)
    sample = initialize.draw(task.problem, 2, np.random.default_rng(0))
    begin = initialize.at_means(np.array([[0.0, 0, 0], [30.0, 30.0, 30.0]]), task.problem.update)
    sound = initialize.at_means(np.array([[-1.0, 0, 0], [1.0, 0.0, 0.0]]), task.problem.update)
    assert start.grown(task.problem, sample, begin, task.driver, 50, 0) is begin
    assert start.grown(task.problem, sample, sound, task.driver, 50, 0) is not sound
