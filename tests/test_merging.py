"""Merging of components: against the definitions, and against what mclust and fpc make of the same mixtures."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from mixtura import GaussianMixture, Mixture, frames, merge_clusters
from mixtura.merging import METHODS, bend, valley
from test_frozen import frozen


@pytest.fixture(autouse=True)
def plain_records(monkeypatch):
    monkeypatch.setattr(frames, "find_spec", lambda name: None)


def same_partition(a, b):
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    return len(pairs) == len({*np.asarray(a).tolist()}) == len({*np.asarray(b).tolist()})


def overlapping(d=2, *, unit=1.0, offset=0.0):
    """Two components nearly in one place, a pair that overlaps by half, and one alone."""
    means = np.zeros((5, d))
    means[:, 0] = [0.0, 0.4, 10.0, 11.5, 40.0]
    return Mixture([0.2, 0.2, 0.2, 0.2, 0.2], unit * means + offset, np.full(5, unit**2))


def entropy_by_definition(t, weight):
    return -sum(w * p * np.log(p) for w, row in zip(weight, t, strict=True) for p in row if p > 0)


def joined(t, groups):
    return np.stack([t[:, list(group)].sum(axis=1) for group in groups], axis=1)


@pytest.mark.parametrize("weighted", [False, True])
def test_entropy_merges_are_those_of_the_definition(weighted):
    m = overlapping()
    X, _ = m.sample(60, rng=0)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, size=60) if weighted else np.ones(60)
    result = merge_clusters(m, X, sample_weight=weight if weighted else None)
    t = m.responsibilities(X)
    for before, after, record in zip(result.path[:-1], result.path[1:], result.table[1:], strict=True):
        tried = {}
        for a, b in combinations(before, 2):
            groups = sorted([g for g in before if g not in (a, b)] + [tuple(sorted(a + b))])
            tried[tuple(groups)] = entropy_by_definition(joined(t, groups), weight)
        assert tried[tuple(sorted(after))] == pytest.approx(min(tried.values()), rel=1e-12, abs=1e-12)
        assert record["entropy"] == pytest.approx(min(tried.values()), rel=1e-9, abs=1e-9)
        (new,) = set(after) - set(before)
        assert record["merged"] == pytest.approx(weight @ joined(t, [new])[:, 0])
        assert record["n_clusters"] == len(after)


def test_misclassification_is_that_of_the_definition():
    m = overlapping()
    X, _ = m.sample(300, rng=0)
    result = merge_clusters(m, X, "demp")
    t = m.responsibilities(X)
    for before, record in zip(result.path[:-1], result.table[1:], strict=True):
        p = joined(t, before)
        taken = p.argmax(axis=1)
        chances = [
            p[taken == i, j].sum() / p[:, j].sum() for i in range(len(before)) for j in range(len(before)) if i != j
        ]
        assert record["value"] == pytest.approx(max(chances), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("distance", [0.5, 1.9, 2.1, 3.0, 5.0])
@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("deviation", [1.0, 0.3])
def test_valley_in_one_dimension(distance, share, deviation):
    # On a line the ridgeline is the line between the means.
    pair = Mixture([share, 1 - share], [[0.0], [distance]], [1.0, deviation**2])
    x = np.linspace(-1.0, distance + 1.0, 20_001)
    f = pair.pdf(x)
    summits = np.flatnonzero((f[1:-1] > f[:-2]) & (f[1:-1] >= f[2:])) + 1
    expected = 1.0
    if len(summits) == 2:
        left, right = summits
        floor = minimize_scalar(lambda a: pair.pdf([a])[0], bounds=(x[left], x[right]), method="bounded").fun
        expected = floor / min(f[left], f[right])
    assert valley(pair) == pytest.approx(expected, rel=1e-3)


def test_valley_follows_the_ridgeline():
    # Two crossed ellipses: the straight line between the means runs through less than the ridge does.
    pair = Mixture([0.5, 0.5], [[0.0, 0.0], [3.0, 3.0]], [[[9.0, 0.0], [0.0, 0.1]], [[0.1, 0.0], [0.0, 9.0]]])
    P = np.linalg.inv(pair.covariances)
    a = np.linspace(0.0, 1.0, 20_001)[1:-1, None, None]
    b = (1 - a) * (P[0] @ pair.means[0]) + a * (P[1] @ pair.means[1])
    ridge = np.linalg.solve((1 - a) * P[0] + a * P[1], np.swapaxes(b[:, :1], 1, 2))[:, :, 0]
    f = pair.pdf(np.concatenate([pair.means[:1], ridge, pair.means[1:]]))
    expected = (f / np.minimum(np.maximum.accumulate(f), np.maximum.accumulate(f[::-1])[::-1])).min()
    assert valley(pair) == pytest.approx(expected, rel=1e-3)
    straight = pair.pdf(np.linspace(0, 1, 1001)[:, None] * pair.means[1])
    assert straight.min() <= f.min() * (1 + 1e-9)


def test_unequal_ellipses_of_any_unit_have_the_same_valley():
    covariances = np.array([[[4.0, 1.0], [1.0, 0.5]], [[0.01, 0.0], [0.0, 3.0]]])
    means = np.array([[0.0, 0.0], [3.0, -1.0]])
    A = np.array([[1e6, 3e5], [0.0, 1e-4]])
    expected = valley(Mixture([0.3, 0.7], means, covariances))
    assert 0 < expected < 1
    moved = A @ covariances @ A.T
    mapped = Mixture([0.3, 0.7], means @ A.T, 0.5 * (moved + moved.transpose(0, 2, 1)))
    assert valley(mapped) == pytest.approx(expected, rel=1e-6)
    assert valley(mapped.only([1, 0])) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)])
def test_what_overlaps_is_merged_and_what_is_apart_is_not(method, unit, offset):
    m = overlapping(unit=unit, offset=offset)
    X, _ = m.sample(2_000, rng=0)
    result = merge_clusters(m, X, method)
    assert result.groups == [[0, 1], [2, 3], [4]]
    np.testing.assert_array_equal(result.labels, np.array([0, 0, 1, 1, 2])[m.predict(X)])
    assert [record["n_clusters"] for record in result.table] == [5, 4, 3, 2, 1]
    assert result.table[-1]["entropy"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_all_together_and_all_apart(method, k):
    X = np.random.default_rng(0).normal(size=(500, 1))
    together = Mixture(np.full(k, 1 / k), np.zeros((k, 1)), np.ones(k))
    assert merge_clusters(together, X, method).groups == [list(range(k))]
    apart = Mixture(np.full(k, 1 / k), 100.0 * np.arange(k)[:, None], np.ones(k))
    result = merge_clusters(apart, apart.sample(500, rng=0)[0], method)
    assert result.groups == [[i] for i in range(k)]


@pytest.mark.parametrize("method", METHODS)
def test_a_component_without_weight_is_in_no_group(method):
    m = Mixture([0.5, 0.0, 0.5], [[0.0], [1.0], [50.0]], [1.0, 1.0, 1.0])
    result = merge_clusters(m, m.sample(100, rng=0)[0], method)
    assert result.groups == [[0], [2]]
    assert set(result.labels.tolist()) == {0, 1}


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_a_component_does_not_reach(method):
    m = Mixture([0.5, 0.5], [[0.0], [1e6]], [1.0, 1.0])
    result = merge_clusters(m, [[0.1]], method)
    assert result.groups == [[0], [1]]
    assert result.labels.tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_repeated_rows(method):
    m = overlapping()
    X, _ = m.sample(200, rng=0)
    weight = np.random.default_rng(0).integers(0, 4, size=200)
    weighted = merge_clusters(m, X, method, sample_weight=weight)
    repeated = merge_clusters(m, np.repeat(X, weight, axis=0), method)
    assert weighted.groups == repeated.groups
    for a, b in zip(weighted.table, repeated.table, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9, nan_ok=True)


def test_an_estimator_is_its_mixture():
    X, _ = overlapping().sample(300, rng=0)
    gm = GaussianMixture(4, random_state=0).fit(X)
    assert merge_clusters(gm, X).groups == merge_clusters(gm.mixture_, X).groups
    assert merge_clusters(gm, X).table[1:] == merge_clusters(gm.mixture_, X).table[1:]


def test_a_bend_is_found():
    x = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 9.0])
    for corner in (1, 2, 3, 4):
        assert bend(x, 3.0 * np.minimum(x, x[corner]) + 0.5 * np.maximum(x - x[corner], 0)) == corner


def test_the_table_is_a_frame_of_what_is_installed(monkeypatch):
    pd = pytest.importorskip("pandas")
    monkeypatch.undo()
    m = overlapping()
    table = merge_clusters(m, m.sample(50, rng=0)[0]).table
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["n_clusters", "entropy", "merged", "value"]


def test_polars_comes_after_pandas(monkeypatch):
    class Polars:
        DataFrame = staticmethod(lambda rows: ("polars", rows))

    monkeypatch.setattr(frames, "find_spec", lambda name: name == "polars" or None)
    monkeypatch.setitem(sys.modules, "polars", Polars)
    assert frames.frame([{"a": 1}]) == ("polars", [{"a": 1}])


def test_bad_arguments_are_named():
    m = overlapping()
    with pytest.raises(ValueError, match="method must be one of entropy, demp, ridgeline, got 'gap'"):
        merge_clusters(m, np.zeros((2, 2)), "gap")
    with pytest.raises(ValueError, match="at least one row"):
        merge_clusters(m, np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        merge_clusters(m, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="call fit"):
        merge_clusters(GaussianMixture(2), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="pass the model first"):
        merge_clusters(np.zeros((2, 2)), m)


# other programs -------------------------------------------------------------------------------------------------------


def stored(name):
    record = frozen("merging")[name]
    weights = np.array(record["pro"])
    return Mixture(weights / weights.sum(), record["mean"], record["sigma"]), np.array(record["x"]), record


@pytest.mark.parametrize("name", ["diabetes", "faithful", "geyser", "iris"])
def test_entropy_as_mclust(name):
    m, X, record = stored(name)
    result = merge_clusters(m, X)
    entropy = [row["entropy"] for row in result.table][::-1]
    np.testing.assert_allclose(entropy, record["entropy_by_k"], rtol=0.03, atol=0.05)
    assert len(result.groups) == record["optimal_k"]
    assert same_partition(result.labels, record["classification_by_k"][str(record["optimal_k"])])


@pytest.mark.parametrize("name", ["crabs", "faithful", "iris"])
@pytest.mark.parametrize(("method", "tolerance"), [("demp", 0.2), ("ridgeline", 0.1)])
def test_as_fpc(name, method, tolerance):
    m, X, record = stored(name)
    result = merge_clusters(m, X, method)
    expected = record[method]
    assert same_partition(result.labels, expected["clustering"])
    values = [row["value"] for row in result.table[1:]][: len(expected["merge_values"])]
    np.testing.assert_allclose(values, expected["merge_values"], rtol=tolerance, atol=1e-5)
