"""Rows of which it is known where they belong, or where they may belong."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from cases import FAMILIES, blobs, start, started, unfinished
from mixtura import GaussianMixture
from mixtura.engine import Serial
from mixtura.families import FAMILIES as FAMILY_OF
from mixtura.initialize import SMOOTHING, Sample, around_labelled, known_means
from mixtura.rows import InMemory, Rows
from mixtura.statistics import everything
from mixtura.update import m_step
from refusing import refused

X = blobs(200, 2)
MASK = np.random.default_rng(1).random((200, 3)) < 0.6
MASK[~MASK.any(axis=1), 0] = True


def log_joint(gm, rows=X):
    """log w_k N(x_n | k) by SciPy, (n, K)."""
    parts = [multivariate_normal.logpdf(rows, mean, S) for mean, S in zip(gm.means_, gm.covariances_, strict=True)]
    return np.stack(parts, axis=1) + np.log(gm.weights_)


@pytest.mark.parametrize("covariance_type", ["VVV", "EEE", "VVI", "VEV"])
def test_the_log_likelihood_is_that_over_allowed_components(covariance_type):
    gm = unfinished(started(start(covariance_type, 2), covariance_type=covariance_type, max_iter=7), X, labels=MASK)
    wanted = logsumexp(np.where(MASK, log_joint(gm), -np.inf), axis=1).sum()
    assert gm.loglik_ == pytest.approx(wanted, rel=1e-10)
    assert MASK[np.arange(200), gm.labels_].all()


@pytest.mark.parametrize("family", FAMILIES)
def test_all_labels_known_is_one_gaussian_for_each_class(family):
    labels = np.random.default_rng(0).integers(3, size=200)
    gm = GaussianMixture(3, covariance_type=family, random_state=0, max_iter=500).fit(X, labels=labels)
    np.testing.assert_array_equal(gm.labels_, labels)
    np.testing.assert_allclose(gm.weights_, np.bincount(labels) / 200, rtol=1e-9)
    np.testing.assert_allclose(gm.means_, [X[labels == k].mean(axis=0) for k in range(3)], rtol=1e-9, atol=1e-12)
    if family == "VVV":
        np.testing.assert_allclose(
            gm.covariances_, [np.cov(X[labels == k].T, bias=True) for k in range(3)], rtol=1e-9, atol=1e-12
        )


def test_a_label_is_a_mask_of_one():
    labels = np.where(np.arange(200) % 5 == 0, np.arange(200) % 3, -1)
    mask = (labels[:, None] == np.arange(3)) | (labels[:, None] < 0)
    settings = {"n_components": 3, "random_state": 0}
    by_label, by_mask = (
        GaussianMixture(**settings).fit(X, labels=labels),
        GaussianMixture(**settings).fit(X, labels=mask),
    )
    np.testing.assert_allclose(by_label.means_, by_mask.means_, rtol=1e-9)
    assert by_label.loglik_ == pytest.approx(by_mask.loglik_, rel=1e-12)


@pytest.mark.parametrize("init", ["k-means++", "kmeans", "random", "random_from_data", "hierarchical"])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_labels_say_which_component_is_which(init, order):
    # Three clusters far apart, four labels in each of them.
    rng = np.random.default_rng(2)
    centres = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])
    truth = np.repeat([0, 1, 2], 100)
    rows = centres[truth] + rng.normal(size=(300, 2))
    truth = np.array(order)[truth]
    labels = np.full(300, -1)
    for k in range(3):
        labels[rng.choice(np.flatnonzero(truth == k), 4, replace=False)] = k
    gm = GaussianMixture(3, init=init, random_state=0).fit(rows, labels=labels)
    np.testing.assert_array_equal(gm.labels_, truth)


def test_components_without_labels_find_rows_of_their_own():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 100)
    rows = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])[truth] + rng.normal(size=(300, 2))
    labels = np.where((truth == 1) & (rng.random(300) < 0.1), 2, -1)  # one cluster is called 2; of the others, nothing
    gm = GaussianMixture(3, random_state=0).fit(rows, labels=labels)
    assert (gm.labels_[truth == 1] == 2).all()
    assert len(np.unique(gm.labels_[truth == 0])) == len(np.unique(gm.labels_[truth == 2])) == 1


@pytest.mark.parametrize("seed", [5, 7, 9, 10])
def test_a_narrow_component_within_a_wide_one_that_has_no_labels(seed):
    # Seeds give the narrow one what lies around it, too, and it then becomes the wide one: 55 nats lower and more.
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(0.5, 0.2, (60, 2)), rng.normal(0, 1.5, (300, 2)), rng.normal(3, 1, (100, 2))])
    labels = np.where(np.arange(460) < 8, 0, -1)
    truth = np.eye(3)[np.repeat([0, 1, 2], [60, 300, 100])]
    gm = GaussianMixture(3, random_state=0).fit(rows, labels=labels)
    assert gm.loglik_ >= GaussianMixture(3, responsibilities_init=truth).fit(rows, labels=labels).loglik_ - 1e-2
    assert np.sqrt(np.diagonal(gm.covariances_[0])).max() < 0.3


def test_labelled_components_begin_with_their_own_rows():
    # Component 2 has labels, and one row is of the background, which comes last.
    allowed = np.ones((200, 4), dtype=bool)
    allowed[:20] = [False, False, True, False]
    allowed[20] = [False, False, False, True]
    source = InMemory(Rows(X, label=allowed))
    overall = everything(source, Serial(), dense=True)
    update = m_step(FAMILY_OF["VVV"], overall, np.ones(2), equal_mixing=False)
    made = around_labelled(Sample(source.rows, X), 3, update, np.random.default_rng(0))
    np.testing.assert_allclose(made.means[2], X[:20].mean(axis=0), rtol=1e-9)
    smoothing = SMOOTHING * 199 / 3  # mass for each component
    np.testing.assert_allclose(made.weights[2], (20 + smoothing) / (199 + 3 * smoothing), rtol=1e-9)


def test_a_label_decides_against_any_distance():
    # The row lies on one component, its label says the other: eighty deviations away.
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.normal(0, 1, (100, 1)), rng.normal(80, 1, (100, 1))])
    labels = np.full(200, -1)
    labels[3] = 1
    settings = {"weights_init": [0.5, 0.5], "means_init": [[0.0], [80.0]], "covariances_init": np.ones((2, 1, 1))}
    gm = unfinished(GaussianMixture(2, max_iter=1, **settings), rows, labels=labels)
    assert gm.labels_[3] == 1
    others = [3, *range(100, 200)]
    np.testing.assert_allclose(gm.means_[1, 0], rows[others].mean(), rtol=1e-9)


def test_the_background_of_labelled_rows():
    rng = np.random.default_rng(5)
    rows = np.concatenate([rng.normal(0, 1, (150, 2)), rng.uniform(-20, 20, (50, 2))])
    labels = np.full(200, -1)
    labels[:10] = 0
    labels[150] = 0  # a stray that is said to belong to the cluster
    gm = GaussianMixture(1, noise=True, random_state=0).fit(rows, labels=labels)
    assert gm.labels_[150] == 0
    mask = np.ones((200, 2), dtype=bool)
    mask[0] = [False, True]  # and one in the middle that is not of it
    gm = GaussianMixture(1, noise=True, random_state=0).fit(rows, labels=mask)
    assert gm.labels_[0] == -1


def test_labels_weigh_like_their_rows():
    labels = np.where(np.arange(200) % 4 == 0, np.arange(200) % 3, -1)
    weight = np.random.default_rng(0).integers(1, 4, size=200)
    begin = start("VVV", 2)
    settings = {"tol": 0.0, "max_iter": 15}  # each counts rows in units of its own to know when to stop
    weighted = unfinished(started(begin, **settings), X, labels=labels, sample_weight=weight)
    repeated = unfinished(started(begin, **settings), np.repeat(X, weight, axis=0), labels=np.repeat(labels, weight))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-9, atol=1e-9)
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-9)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(200, 3), "labels must be from -1 \\(unknown\\) to 2, got 3 in row 0"),
        (np.where(np.arange(200) == 7, -2, 0), "got -2 in row 7"),
        (np.zeros(199, dtype=int), "labels must be 200 integers"),
        (np.full(200, 0.5), "labels must be 200 integers"),
        (np.full(200, np.nan), "that of row 0 is missing: write -1 for a row whose component is not known"),
        (np.where(np.arange(200) == 7, np.nan, 0), "that of row 7 is missing: write -1"),
        ([*[0] * 9, None, *[1] * 190], "that of row 9 is missing: write -1"),
        (pd.Series([*[0] * 9, pd.NA, *[1] * 190], dtype="Int64"), "that of row 9 is missing: write -1"),
        (np.ma.masked_array(np.zeros(200, dtype=int), mask=np.arange(200) == 4), "that of row 4 is missing: write -1"),
        (np.full(200, "0", dtype=object), "labels must be numbers of components, got text, '0'"),
        (np.ones((200, 2), dtype=bool), "labels must have shape \\(200,\\) or \\(200, 3\\), got \\(200, 2\\)"),
        (np.arange(600).reshape(200, 3) != 15, None),
        (np.tile(np.arange(200)[:, None] != 5, (1, 3)), "row 5 has none"),
    ],
)
def test_labels_that_cannot_be(labels, words):
    gm = GaussianMixture(3, random_state=0)
    if words is None:
        gm.fit(X, labels=labels)
        return
    with pytest.raises(ValueError, match=words):
        gm.fit(X, labels=labels)


def test_labels_in_nullable_frames():
    labels = np.where(np.arange(200) % 5 == 0, np.arange(200) % 3, -1)
    settings = {"n_components": 3, "random_state": 0}
    wanted = GaussianMixture(**settings).fit(X, labels=labels).means_
    for same in (pd.Series(labels, dtype="Int64"), pd.Series(list(labels), dtype=object), labels.astype(float)):
        np.testing.assert_array_equal(GaussianMixture(**settings).fit(X, labels=same).means_, wanted)
    wanted = GaussianMixture(**settings).fit(X, labels=MASK).means_
    mask = pd.DataFrame(MASK).astype("boolean")
    np.testing.assert_array_equal(GaussianMixture(**settings).fit(X, labels=mask).means_, wanted)


def test_what_a_row_may_belong_to():
    x = np.zeros((3, 1))
    mask = np.array([[True, False], [True, True], [False, True]])
    behind = np.column_stack([mask, [False, True, False]])
    numbers = Rows(x, label=np.array([0, -1, 1]))
    for rows in (numbers, Rows(x, label=mask), Rows(x, label=behind)):
        np.testing.assert_array_equal(rows.allowed(2), mask.T)
        np.testing.assert_array_equal(rows.allowed(3), behind.T)
    assert Rows(x).allowed(2) is None


def test_a_row_that_may_be_background_does_not_say_where_its_component_is():
    # Half of those that may belong to the first component are strays: a start that believed them would be off.
    rows = np.concatenate([X, X + 100.0])
    mask = np.ones((400, 4), dtype=bool)
    mask[:100] = [True, False, False, False]
    mask[200:] = [True, False, False, True]
    sample = Sample(Rows(rows, label=mask), rows)
    np.testing.assert_allclose(known_means(sample, 3)[0], X[:100].mean(axis=0), rtol=1e-12)


def test_a_start_without_weight_for_a_labelled_row():
    weights, means, covariances = start("VVV", 2)
    labels = np.full(200, -1)
    labels[9] = 2
    gm = started(([0.5, 0.5, 0.0], means, covariances))
    assert "row 9 may only belong to [2]" in refused(gm.fit, X, labels=labels)
    assert weights[2] > 0


def test_truncated_em_takes_no_labels():
    assert "truncate works without" in refused(GaussianMixture(3, truncate=2).fit, X, labels=MASK)


@pytest.mark.parametrize("gaps", [False, True])
def test_a_class_that_a_sample_misses_keeps_its_rows(gaps):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=60_000)  # more than a start is made on
    labels[:2] = 2
    rows = rng.normal(size=(60_000, 2)) + np.array([[0, 0], [4, 4], [9, 0]])[labels]
    if gaps:
        rows[5::7, 1] = np.nan
    gm = GaussianMixture(3, covariance_type="diag", random_state=0).fit(rows, labels=labels)
    np.testing.assert_allclose(gm.weights_, np.bincount(labels) / 60_000, rtol=1e-6)


@pytest.mark.parametrize("n_init", ["auto", 1])
@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([[1.0, 2.0]] * 8, [0, 1, 2, -1] * 2),  # one point, which has no coordinates either
        ([[1.0], [1.0], [2.0], [2.0], [1.0]], [2, -1, 0, 1, -1]),  # two points for three components
        ([[np.nan, np.nan], [1.0, 2.0], [3.0, 1.0], [2.0, 2.0]], [2, 0, 1, 0]),  # nothing known but the label
    ],
)
def test_labels_may_name_more_components_than_there_are_points(rows, labels, n_init):
    with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        gm = GaussianMixture(3, n_init=n_init, random_state=0).fit(rows, labels=labels)
    assert np.isfinite(gm.loglik_)
    known = np.array(labels) >= 0
    np.testing.assert_array_equal(gm.labels_[known], np.array(labels)[known])


def test_the_label_of_an_absent_row_needs_no_weight():
    labels, weight = np.full(200, -1), np.ones(200)
    labels[0], weight[0] = 2, 0
    own = {"weights_init": [0.5, 0.5, 0.0], "means_init": X[:3]}
    gm = unfinished(GaussianMixture(3, max_iter=3, **own), X, labels=labels, sample_weight=weight)
    assert gm.weights_[2] == 0


def test_nobody_is_told_to_drop_components_that_labels_name():
    with pytest.warns(UserWarning, match="empty") as caught:
        GaussianMixture(2, random_state=0).fit(X, labels=np.zeros(200, dtype=int))
    assert "drop" not in str(caught[0].message)


def test_all_rows_may_be_labelled_as_background():
    mask = np.tile([False, True], (5, 1))
    with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        gm = GaussianMixture(1, noise=True, n_init=1).fit([[1.0, 2.0]] * 5, labels=mask)
    assert gm.noise_weight_ == 1


@pytest.mark.parametrize(
    "known",
    [
        {"covariance_type": "tied", "covariances_init": np.eye(2), "fixed": {"covariances": True}},
        {"weights_init": [0.4, 0.6], "fixed": {"weights": True}},
        {"covariances_init": [2 * np.eye(2), np.eye(2)], "fixed": {"covariances": True}},
    ],
    ids=["tied covariance", "weights", "covariances"],
)
def test_labels_say_which_component_has_what_is_fixed(known):
    rng = np.random.default_rng(5)
    z = (rng.random(500) < 0.4).astype(int)
    X = np.where(z[:, None], [4, 3], 0) + rng.normal(size=(500, 2))
    y = np.full(500, -1)
    y[:20] = z[:20]
    made = GaussianMixture(2, random_state=0, **known).fit(X, labels=y)
    told = GaussianMixture(2, means_init=[[0, 0], [4, 3]], **known).fit(X, labels=y)
    assert made.loglik_ == pytest.approx(told.loglik_, abs=1e-2)
    np.testing.assert_allclose(made.means_, told.means_, atol=0.05)
