"""What a change of units, of the origin, of the order of rows and columns or of the dtype must not change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris

from cases import ALIASES, COUPLED, TYPES, assert_same_parameters, blobs, parameters
from mixtura import GaussianMixture

GRID = 1 / 1024
DATA = {
    "blobs": np.round(blobs(300, 3) / GRID) * GRID,
    "iris": load_iris().data,
    "overlapping": np.round(blobs(200, 2, seed=5) / 2 / GRID) * GRID,
}
"""On a grid, or with few digits: rows that are moved are then the same rows, as far as a float64 can say them."""

WHITENED = ("EEE", "VEE", "EVV", "VVV")
AFFINE = tuple(name for name in TYPES if ALIASES.get(name, name) in WHITENED)
SCALING = tuple(name for name in TYPES if ALIASES.get(name, name) in ("EEI", "VEI", "EVI", "VVI", *WHITENED))
ROTATION = tuple(
    name for name in TYPES if ALIASES.get(name, name) in ("EII", "VII", "EVE", "VVE", "EEV", "VEV", *WHITENED)
)


def fit(X, covariance_type, **settings):
    return GaussianMixture(3, covariance_type=covariance_type, **{"random_state": 0} | settings).fit(X)


def mapped_back(gm, A=1.0, b=0.0):
    """Parameters of a fit to X A' + b as those of a fit to X; A a number, one for each feature, or a matrix."""
    weights, means, covariances = parameters(gm)
    A = np.asarray(A, float)
    if A.ndim < 2:
        scale = np.broadcast_to(A, means.shape[1:])
        return weights, (means - b) / scale, covariances / (scale[:, None] * scale)
    inverse = np.linalg.inv(A)
    return weights, (means - b) @ inverse.T, inverse @ covariances @ inverse.T


def log_det(A, d):
    A = np.asarray(A, float)
    if A.ndim < 2:
        return np.log(np.abs(np.broadcast_to(A, d))).sum()
    return np.linalg.slogdet(A)[1]


def assert_invariant(X, covariance_type, moved, A=1.0, b=0.0, tolerance=1e-6, **settings):
    """``moved`` is X A' + b, as it was computed or rounded."""
    plain, other = fit(X, covariance_type, **settings), fit(moved, covariance_type, **settings)
    np.testing.assert_array_equal(other.labels_, plain.labels_)
    assert_same_parameters(mapped_back(other, A, b), parameters(plain), tolerance)
    total = other.loglik_ + len(X) * log_det(A, X.shape[1])
    assert total == pytest.approx(plain.loglik_, rel=1e-9, abs=1e-9 * len(X))


# the origin


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_offset(covariance_type, data):
    X = DATA[data]
    for offset in (1.0, -1e3, 1e6):
        moved = X + offset
        rounding = np.abs((moved - offset) - X).max() / X.std(axis=0).min()
        assert_invariant(X, covariance_type, moved, b=offset, tolerance=1e-6 + 10 * rounding)


@pytest.mark.parametrize("offset", [1e8, 1e9, 3e9, 1.7e9, -1e9])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_offset_of_1e9_standard_deviations(covariance_type, offset):
    grid = 2.0**-9  # what a float64 near 3e9 resolves: 2^-21; on this grid nothing is rounded
    X = np.round(DATA["blobs"] / grid) * grid
    assert np.array_equal((X + offset) - offset, X)
    assert_invariant(X, covariance_type, X + offset, b=offset)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_offset_in_one_column_only(covariance_type):
    X = DATA["blobs"]
    b = np.array([0.0, 1e9, -1e5])
    assert_invariant(X, covariance_type, X + b, b=b)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_time_in_seconds_of_these_years(covariance_type):
    X = np.column_stack([DATA["blobs"][:, 0] * 3600, DATA["blobs"][:, 1]])
    X[:, 0] = np.round(X[:, 0])
    b = np.array([1_700_000_000.0, 0.0])
    assert_invariant(X, covariance_type, X + b, b=b)


# units


@pytest.mark.parametrize("s", [1e-12, 1e-9, 1e-6, 1e-3, 0.1, -1.0, 7.0, 1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_unit(covariance_type, s):
    X = DATA["blobs"]
    if s < 0:  # mirrored: ties of distances may be broken the other way
        assert_invariant(X, covariance_type, X * s, A=s)
    assert_invariant(X, covariance_type, X * s, A=s)


@pytest.mark.parametrize("data", ["iris", "overlapping"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_other_data_in_another_unit(covariance_type, data):
    for s in (1e-12, 1e-5, 1e5, 1e12):
        assert_invariant(DATA[data], covariance_type, DATA[data] * s, A=s)


@pytest.mark.parametrize("s", [1e-12, 1e12])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_unit_and_an_offset(covariance_type, s):
    X = np.round(DATA["blobs"] * 512) / 512
    moved = (X + 1e6) * s
    assert_invariant(X, covariance_type, moved, A=s, b=1e6 * s, tolerance=1e-6)


@pytest.mark.parametrize("covariance_type", SCALING)
def test_a_unit_for_each_feature(covariance_type):
    X = DATA["blobs"]
    for units in ([1e-12, 1.0, 1e12], [1e6, 1e-6, 3.0], [-1.0, 2.0, 1e-9]):
        assert_invariant(X, covariance_type, X * units, A=units)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_constant_column_and_a_common_unit(covariance_type):
    # It lends the unit of another column: one unit for all of them is kept, also in the log-likelihood.
    X = np.column_stack([DATA["blobs"], np.full(300, 3.0)])
    for s in (1e-9, 1e9):
        assert_invariant(X, covariance_type, X * s, A=s)


@pytest.mark.parametrize("init", ["k-means++", "kmeans", "random", "random_from_data"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_start_is_free_of_units(covariance_type, init):
    # The start "random" depends on the order of the rows and on nothing else.
    X = DATA["blobs"]
    assert_invariant(X, covariance_type, X * 1e-9, A=1e-9, init=init, n_init=2)
    assert_invariant(X, covariance_type, X + 1e5, b=1e5, init=init, n_init=2)


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-9])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_stopping_rule_is_free_of_units(covariance_type, tol):
    X = DATA["overlapping"]
    for s in (1e-10, 1e10):
        assert_invariant(X, covariance_type, X * s, A=s, tol=tol, max_iter=5000)


# order


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_order_of_columns(covariance_type, data):
    X = DATA[data]
    order = np.random.default_rng(0).permutation(X.shape[1])
    if np.array_equal(order, np.arange(X.shape[1])):
        order = order[::-1]
    assert_invariant(X, covariance_type, X[:, order], A=np.eye(X.shape[1])[order])


@pytest.mark.parametrize("data", ["blobs", "overlapping"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_order_of_rows(covariance_type, data):
    X = DATA[data]
    plain = fit(X, covariance_type)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(X))
        other = fit(X[order], covariance_type)
        np.testing.assert_array_equal(other.labels_, plain.labels_[order])
        assert_same_parameters(parameters(other), parameters(plain), 1e-6)
        assert other.loglik_ == pytest.approx(plain.loglik_, rel=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_order_of_rows_that_come_in_pairs(covariance_type):
    X = np.repeat(DATA["blobs"], 2, axis=0)
    order = np.random.default_rng(0).permutation(len(X))
    plain, other = fit(X, covariance_type), fit(X[order], covariance_type)
    np.testing.assert_array_equal(other.labels_, plain.labels_[order])
    assert_same_parameters(parameters(other), parameters(plain), 1e-6)


# linear maps


def linear_map(d, condition, seed):
    """A random matrix (d, d) of this condition number."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    return left @ np.diag(np.geomspace(1, 1 / condition, d)) @ right


@pytest.mark.parametrize(
    ("covariance_type", "condition"),
    # VEE and EVV go by the entries of the matrices: at 1e4 they differ by up to 1e-5.
    [(one, condition) for one in AFFINE for condition in (1.0, 1e2, 1e4, 1e6) if condition < 1e4 or one not in COUPLED],
)
def test_an_invertible_linear_map(covariance_type, condition):
    X = DATA["blobs"]
    for seed in range(4):
        A = linear_map(X.shape[1], condition, seed)
        plain, other = fit(X, covariance_type), fit(X @ A.T, covariance_type)
        np.testing.assert_array_equal(other.labels_, plain.labels_)
        # Compared where the rows of the map are, in units of its components: inverting A would lose digits twice.
        weights, means, covariances = parameters(plain)
        expected = weights, means @ A.T, A @ covariances @ A.T
        assert_same_parameters(parameters(other), expected, 1e-6)
        # A condition of 1e6 is one of 1e12 for covariances: their entries, but not their whiteners, know their small
        # eigenvalues to four digits only.
        white = other.mixture_.layout.whitener @ A
        white = white @ plain.mixture_.covariances @ white.transpose(0, 2, 1)
        np.testing.assert_allclose(white, np.broadcast_to(np.eye(X.shape[1]), white.shape), atol=1e-6)
        total = other.loglik_ + len(X) * log_det(A, X.shape[1])
        assert total == pytest.approx(plain.loglik_, rel=1e-9, abs=1e-9 * len(X))


@pytest.mark.parametrize("covariance_type", ROTATION)
def test_a_rotation(covariance_type):
    X = DATA["blobs"]
    for seed in range(3):
        A = linear_map(X.shape[1], 1.0, seed)
        assert_invariant(X, covariance_type, X @ A.T, A=A)


# dtypes

WHOLE = np.clip(np.round(blobs(300, 2, seed=3) * 15 + 120), 0, 255)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bool"]
)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_whole_numbers_give_the_bits_of_float64(covariance_type, dtype):
    X = WHOLE
    if dtype == "int8":
        X = X - 128
    if dtype == "bool":
        X = np.greater(X, np.median(X, axis=0))
    X = X.astype(dtype)
    if dtype == "bool":
        X = np.column_stack([X, X[:, 0] & (np.arange(len(X)) % 3 == 0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # ties may be noticed: the same for both
        one, other = fit(X, covariance_type), fit(X.astype(np.float64), covariance_type)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "labels_", "log_likelihood_history_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        assert np.asarray(getattr(one, name)).dtype == np.asarray(getattr(other, name)).dtype
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X.astype(np.float64)))
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X.astype(np.float64)))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_columns_of_whole_numbers_that_do_not_vary(covariance_type, dtype):
    X = np.ones((20, 2), dtype=dtype)
    X[:10, 1] = 0
    if dtype is np.int8:
        X[:, 0] = -128
        X[10:, 1] = 127
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        one, other = fit(X, covariance_type), fit(X.astype(np.float64), covariance_type)
    np.testing.assert_array_equal(one.means_, other.means_)
    np.testing.assert_array_equal(one.covariances_, other.covariances_)


def standard_errors(gm, n):
    """Standard errors of weights, means and covariances of well separated components: a sample's, by its size."""
    weights, _, covariances = parameters(gm)
    size = n * weights
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    of_covariances = variances[:, :, None] * variances[:, None, :] + covariances**2
    return (
        np.sqrt(weights * (1 - weights) / n),
        np.sqrt(variances / size[:, None]),
        np.sqrt(of_covariances / size[:, None, None]),
    )


@pytest.mark.parametrize("offset", [0.0, 100.0, 3e4])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_float32_is_near_float64(covariance_type, offset):
    # The same numbers in both types: what differs is the arithmetic.
    X = (DATA["blobs"] + offset).astype(np.float32)
    single, double = fit(X, covariance_type), fit(X.astype(np.float64), covariance_type)
    np.testing.assert_array_equal(single.labels_, double.labels_)
    for found, expected, error in zip(
        parameters(single), parameters(double), standard_errors(double, len(X)), strict=True
    ):
        # A float32 answer is rounded to the last place of a float32.
        rounding = np.spacing(np.abs(expected).astype(np.float32))
        assert (np.abs(found - expected) <= 1e-3 * error + rounding).all()


@pytest.mark.parametrize("s", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_float32_in_any_unit(covariance_type, s):
    X = (DATA["blobs"] * s).astype(np.float32)
    single, double = fit(X, covariance_type), fit(X.astype(np.float64), covariance_type)
    np.testing.assert_array_equal(single.labels_, double.labels_)
    weights, means, _ = (
        np.abs(found - expected) / error
        for found, expected, error in zip(
            parameters(single), parameters(double), standard_errors(double, len(X)), strict=True
        )
    )
    assert weights.max() <= 1e-3
    assert means.max() <= 1e-3


@pytest.mark.parametrize("covariance_type", TYPES)
def test_float32_gives_a_float32_answer(covariance_type):
    X = DATA["blobs"].astype(np.float32)
    gm = fit(X, covariance_type)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(gm, name).dtype == np.float32, name
    assert gm.predict_proba(X).dtype == np.float32
    assert gm.score_samples(X).dtype == np.float32
    assert gm.sample(2)[0].dtype == np.float32
    double = fit(X.astype(np.float64), covariance_type)
    for name in ("weights_", "means_", "covariances_"):
        assert getattr(double, name).dtype == np.float64


# rounded rows, and rows astray -----------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("seed", range(3))
def test_counts_have_one_answer_in_any_unit_and_order(covariance_type, seed):
    """Many rows of counts are equally far from the middle: rounding must not say which come first."""
    counts = np.random.default_rng(seed).poisson([3, 8], (300, 2)).astype(float)
    gm = GaussianMixture(3, covariance_type=covariance_type, random_state=1).fit(counts)
    for moved, log_unit, back in (
        (counts + 1000.5, 0.0, slice(None)),
        (counts * 1e-3, np.log(1e-3), slice(None)),
        (counts[:, ::-1], 0.0, slice(None)),
        (counts[::-1], 0.0, slice(None, None, -1)),
    ):
        other = GaussianMixture(3, covariance_type=covariance_type, random_state=1).fit(moved)
        assert other.loglik_ + counts.size * log_unit == pytest.approx(gm.loglik_, abs=1e-6)
        np.testing.assert_array_equal(other.labels_[back], gm.labels_)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_a_row_astray_on_a_diagonal_does_not_hide_the_clusters(far):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(8, 1, (100, 2)), [[far, -far]]])
    truth = np.concatenate([np.zeros(100, int), np.ones(100, int), [2]])
    gm = GaussianMixture(3, covariance_type="tied", random_state=0).fit(rows)
    own = GaussianMixture(3, covariance_type="tied", labels_init=truth).fit(rows)
    assert gm.loglik_ == pytest.approx(own.loglik_, abs=1e-3)
    turned = GaussianMixture(3, covariance_type="tied", random_state=0).fit(rows @ [[1.0, 1.0], [1.0, -1.0]])
    assert turned.loglik_ + len(rows) * np.log(2) == pytest.approx(gm.loglik_, abs=1e-3)
