"""Agglomeration against the definition, against SciPy, and as a start beside mclust's, which agglomerates too."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from cases import FAMILIES, TURNED, blobs, unfinished
from mixtura import GaussianMixture
from mixtura.hierarchical import CRITERIA, agglomerate
from mixtura.initialize import coordinates
from mixtura.rows import Rows
from test_frozen import families, frozen, rows, usable


def same_partition(a, b):
    """Whether two labellings differ by the names of the clusters alone."""
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    return len(pairs) == len(set(a)) == len(set(b))


def same_merges(a, b, n):
    return all(same_partition(a.labels(k), b.labels(k)) for k in range(1, n + 1))


def cost_of(z, weight, criterion, n_distinct, total):
    """The cost of one cluster, from its rows: of rows in units of the mean variance, of weights in units per row."""
    d = z.shape[1]
    y = z - np.average(z, axis=0, weights=weight)
    scatter = (y * weight[:, None]).T @ y
    if criterion == "EII":
        return np.trace(scatter)
    n = weight.sum()
    volume = np.linalg.det(scatter / n) if n_distinct > d else 0.0
    return n * np.log(volume + (np.trace(scatter) + total / d) / n)


def by_definition(z, weight, criterion):
    """Merges (pairs of sets of rows) and what they add, each found by trying all pairs from scratch.

    All rows are different.  total / d is alpha: with weights of mean one and rows of mean variance one it is one.
    """
    n, d = z.shape
    weight = weight / weight.mean()
    z = z - np.average(z, axis=0, weights=weight)
    z = z / np.sqrt((weight @ (z * z)).sum() / (n * d))
    total = float((weight @ (z * z)).sum()) / n

    def cost(rows):
        chosen = sorted(rows)
        return cost_of(z[chosen], weight[chosen], criterion, len(chosen), total)

    clusters = [frozenset([i]) for i in range(n)]
    for _ in range(n - 1):
        added = {(a, b): cost(a | b) - cost(a) - cost(b) for a, b in combinations(sorted(clusters, key=min), 2)}
        a, b = min(added, key=added.__getitem__)
        clusters = [c for c in clusters if c not in (a, b)] + [a | b]
        yield min(a), min(b), added[a, b]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_merges_are_those_of_the_definition(criterion, d, weighted):
    rng = np.random.default_rng(d)
    z = 3.0 + blobs(24, d)
    weight = rng.uniform(0.5, 3.0, size=len(z)) if weighted else np.ones(len(z))
    merges = agglomerate(z, weight, criterion)
    expected = np.array(list(by_definition(z, weight, criterion)))
    np.testing.assert_array_equal(merges.pairs, expected[:, :2])
    np.testing.assert_allclose(merges.costs, expected[:, 2], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_sums_of_squares_are_wards(d):
    z = blobs(200, d)
    merges = agglomerate(z, criterion="EII")
    ward = linkage(z, "ward")
    variance = z.var(axis=0).mean()
    np.testing.assert_allclose(merges.costs, ward[:, 2] ** 2 / 2 / variance, rtol=1e-9)
    sizes = [np.bincount(merges.labels(k)).tolist() for k in (2, 3, 10)]
    for k, size in zip((2, 3, 10), sizes, strict=True):
        members = {i: {i} for i in range(200)}
        for step, (a, b, *_) in enumerate(ward[: 200 - k]):
            members[200 + step] = members.pop(int(a)) | members.pop(int(b))
        assert sorted(len(m) for m in members.values()) == sorted(size)


def test_clusters_are_nested_and_numbered_by_their_first_rows():
    z = blobs(60, 2)
    merges = agglomerate(z)
    assert merges.labels(1).tolist() == [0] * 60
    assert merges.labels(60).tolist() == list(range(60))
    for k in range(1, 60):
        coarse, fine = merges.labels(k), merges.labels(k + 1)
        assert len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == k + 1
        _, first = np.unique(coarse, return_index=True)
        assert len(first) == k
        assert (np.diff(first) > 0).all()
    with pytest.raises(ValueError, match="read-only"):
        merges.costs[0] = 1.0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weights_are_repeated_rows(criterion):
    z = blobs(80, 2)
    weight = np.random.default_rng(0).integers(1, 5, size=len(z))
    index = np.repeat(np.arange(len(z)), weight)
    weighted = agglomerate(z, weight.astype(float), criterion)
    repeated = agglomerate(z[index], None, criterion)
    scaled = agglomerate(z, 1e6 * weight, criterion)
    assert same_merges(weighted, scaled, len(z))
    for k in range(1, len(z) + 1):
        assert same_partition(weighted.labels(k)[index], repeated.labels(k))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_order_units_and_rotations_do_not_matter(criterion):
    z = blobs(120, 3)
    expected = agglomerate(z, criterion=criterion)
    order = np.random.default_rng(1).permutation(len(z))
    shuffled = agglomerate(z[order], criterion=criterion)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    for k in range(1, 121):
        assert same_partition(expected.labels(k)[order], shuffled.labels(k))
    for other in (1e-12 * z, 1e12 * z, z + 1e5, z @ turn):
        assert same_merges(agglomerate(other, criterion=criterion), expected, len(z))


def test_whitened_rows_agglomerate_alike_under_any_affine_map():
    x = blobs(120, 3)
    matrix = np.array([[1e3, 2.0, 0.0], [0.0, 1e-3, 5e-4], [40.0, 0.0, 1.0]])
    expected = agglomerate(coordinates(Rows(x), "affine"))
    assert same_merges(agglomerate(coordinates(Rows(x @ matrix + 7.0), "affine")), expected, len(x))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_equal_rows_are_merged_first(criterion):
    z = np.repeat(blobs(10, 2), [1, 2, 3, 1, 4, 1, 1, 2, 1, 1], axis=0)
    merges = agglomerate(z, criterion=criterion)
    assert (merges.costs[:7] == 0).all()
    assert same_partition(merges.labels(10), np.unique(z, axis=0, return_inverse=True)[1].reshape(-1))


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(
    "z",
    [
        np.zeros((1, 2)),
        np.zeros((5, 2)),
        np.zeros((5, 0)),
        np.array([[0.0], [1.0]]),
        np.column_stack([np.arange(9.0), np.zeros(9)]),
        np.random.default_rng(0).normal(size=(5, 30)),
        np.round(blobs(60, 2)),
        np.concatenate([blobs(30, 2), [[1e8, 1e8]]]),
    ],
    ids=["one", "equal", "no coordinates", "two", "a line", "wide", "rounded", "astray"],
)
def test_awkward_rows(criterion, z):
    merges = agglomerate(z, criterion=criterion)
    assert np.isfinite(merges.costs).all()
    for k in range(1, len(z) + 1):
        assert sorted(set(merges.labels(k).tolist())) == list(range(k))


# as a start ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_left_to_chance(family):
    X = blobs(300, 2)
    fits = [
        GaussianMixture(3, covariance_type=family, init="hierarchical", n_init=1, random_state=seed).fit(X)
        for seed in (0, 1)
    ]
    order = np.random.default_rng(0).permutation(len(X))
    fits.append(GaussianMixture(3, covariance_type=family, init="hierarchical", n_init=1).fit(X[order]))
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)
    # Common axes are sought in few steps, which rounding may turn aside: where EM stops, and not whereto it goes.
    tolerance = 1e-6 if family in TURNED else 1e-9
    np.testing.assert_allclose(np.sort(fits[0].means_, axis=0), np.sort(fits[2].means_, axis=0), rtol=tolerance)


def test_later_starts_are_different_and_never_worse():
    X = blobs(300, 2)
    one = GaussianMixture(6, init="hierarchical", n_init=1, random_state=0).fit(X)
    several = GaussianMixture(6, init="hierarchical", n_init=5, random_state=0).fit(X)
    objectives = [run["objective"] for run in several.restarts_]
    assert objectives[0] == pytest.approx(one.loglik_, rel=1e-12)
    assert len({round(value, 3) for value in objectives}) > 1
    assert several.loglik_ >= one.loglik_ - 1e-3


def test_weighted_start_is_that_of_repeated_rows():
    X = blobs(150, 2)
    weight = np.random.default_rng(3).integers(1, 4, size=len(X))
    weighted = GaussianMixture(3, init="hierarchical", n_init=1, tol=1e-9).fit(X, sample_weight=weight)
    repeated = GaussianMixture(3, init="hierarchical", n_init=1, tol=1e-9).fit(np.repeat(X, weight, axis=0))
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_init", [1, "auto"])
@pytest.mark.parametrize(
    ("X", "k"),
    [
        (np.zeros((1, 1)), 1),
        (np.zeros((1, 1)), 3),
        (np.ones((6, 2)), 2),
        (np.arange(3.0)[:, None], 5),
        (np.repeat(blobs(4, 2), 5, axis=0), 4),
        (np.repeat(blobs(4, 2), 5, axis=0), 6),
        (np.column_stack([blobs(40, 1), np.full(40, 1e6)]), 3),
        (np.random.default_rng(0).normal(size=(6, 8)), 3),
        (np.random.default_rng(0).normal(size=(60, 40)), 3),
        (np.round(blobs(100, 1)), 4),
    ],
    ids=["row", "row3", "equal", "n<k", "distinct", "distinct<k", "constant", "n<=d", "wide", "rounded"],
)
def test_start_never_dies(family, n_init, X, k):
    gm = GaussianMixture(k, covariance_type=family, init="hierarchical", n_init=n_init, random_state=0, max_iter=30)
    unfinished(gm, X)
    assert np.isfinite(gm.loglik_)
    assert np.isfinite(gm.predict_proba(X)).all()


def test_many_rows_start_from_a_random_subset():
    X = blobs(5_000, 2)
    gm = GaussianMixture(3, init="hierarchical", random_state=0).fit(X)
    again = GaussianMixture(3, init="hierarchical", random_state=0).fit(X)
    np.testing.assert_array_equal(gm.means_, again.means_)
    assert gm.loglik_ == pytest.approx(GaussianMixture(3, random_state=0).fit(X).loglik_, rel=1e-6)


@pytest.mark.parametrize("name", ["acidity", "diabetes", "faithful", "galaxies", "iris"])
def test_fits_reach_what_mclust_reaches_from_its_hierarchy(name):
    # Both climb to local maxima from hierarchies that differ (in one dimension, mclust starts from quantiles): one run
    # may end lower, but neither many nor the typical one.
    X = rows(name)
    gained = []
    for run in frozen(name)["tight"]:
        if run.get("start") != "default" or run.get("equal_pro") or not usable(run, X.shape[1]):
            continue
        for family in families(run["model"]):
            gm = GaussianMixture(run["G"], covariance_type=family, init="hierarchical", tol=1e-6, random_state=0)
            gained.append(gm.fit(X).loglik_ - run["loglik_polished"])
    reached = np.array(gained) > -1e-3
    assert len(reached) >= 4
    assert reached.mean() > 0.9
    assert np.median(gained) > -1e-3
