"""Many fits in one call: beside single fits, scikit-learn and SciPy; alone and in company; problems that go wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs

from cases import COUPLED, UNIFORM, blobs
from mixtura import GaussianMixture, batch, fit_many, search
from mixtura.engine import Serial
from mixtura.families import FAMILIES
from refusing import refused

ALIASES = ("full", "tied", "diag", "spherical")


def pairs(m, *, apart=5.0, seed=0, n=200):
    """m problems (n, 1) of two unit Gaussians."""
    rng = np.random.default_rng(seed)
    first = 3 * n // 5
    return np.concatenate([rng.normal(0, 1, (m, first, 1)), rng.normal(apart, 1, (m, n - first, 1))], axis=1)


def problems(m, d=2, n=150):
    return np.stack([blobs(n, d, seed=seed) for seed in range(m)])


def loglik_by_scipy(weights, means, covariances, X):
    joint = [
        np.log(w) + multivariate_normal(mean, cov).logpdf(X).reshape(len(X))
        for w, mean, cov in zip(weights, means, covariances, strict=True)
    ]
    return logsumexp(joint, axis=0).sum()


def unwarned(*arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_many(*arguments, **settings)


def same_bits(one, other, i=slice(None), j=slice(None)):
    for name in ("weights", "means", "covariances", "loglik", "converged", "n_iter"):
        np.testing.assert_array_equal(getattr(one, name)[i], getattr(other, name)[j], err_msg=name)


# beside others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [5.0, 1.5])
def test_one_feature_ends_as_high_as_single_fits(apart):
    Xs = pairs(40, apart=apart)
    fits = unwarned(Xs, 2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single = np.array([GaussianMixture(2, random_state=0).fit(X).loglik_ for X in Xs])
    assert (fits.loglik > single - 1e-3).mean() >= (1.0 if apart > 2 else 0.9)


@pytest.mark.parametrize("covariance_type", [*ALIASES, *UNIFORM])
def test_families_end_as_high_as_single_fits(covariance_type):
    Xs = problems(12)
    fits = unwarned(Xs, 3, covariance_type, random_state=0)
    settings = {"covariance_type": covariance_type, "random_state": 0}
    single = np.array([GaussianMixture(3, **settings).fit(X).loglik_ for X in Xs])
    assert (fits.loglik > single - 1e-3).sum() >= 11
    assert not fits.alone


@pytest.mark.parametrize("covariance_type", COUPLED)
def test_families_without_a_place_in_the_batch_are_single_fits(covariance_type):
    Xs = problems(2)
    fits = unwarned(Xs, 2, covariance_type, random_state=0)
    for i, X in enumerate(Xs):
        single = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
        np.testing.assert_array_equal(fits.means[i], single.means_)
        np.testing.assert_array_equal(fits.covariances[i], single.covariances_)
        assert fits.loglik[i] == single.loglik_


@pytest.mark.parametrize("covariance_type", ALIASES)
def test_scikit_learn_finds_nothing_to_gain(covariance_type):
    Xs = problems(6)
    fits = fit_many(Xs, 3, covariance_type, random_state=0)
    for i, X in enumerate(Xs):
        own = fits[i]
        start = {"weights_init": own.weights_, "means_init": own.means_, "precisions_init": own.precisions_}
        theirs = Theirs(3, covariance_type=covariance_type, reg_covar=0, tol=0, max_iter=30, **start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs.fit(X)
        assert theirs.score(X) * len(X) < fits.loglik[i] + 1e-4
        np.testing.assert_allclose(theirs.means_, fits.means[i], atol=1e-2)


@pytest.mark.parametrize("covariance_type", UNIFORM)
@pytest.mark.parametrize("d", [1, 3])
def test_the_log_likelihood_is_that_of_the_parameters(covariance_type, d):
    Xs = problems(5, d)
    fits = unwarned(Xs, 3, covariance_type, random_state=1)
    for i, X in enumerate(Xs):
        expected = loglik_by_scipy(fits.weights[i], fits.means[i], fits.covariances[i], X)
        assert fits.loglik[i] == pytest.approx(expected, abs=1e-7 * abs(expected))
        assert fits[i].loglik_ == fits.loglik[i]
        assert fits[i].score(X) * len(X) == pytest.approx(expected, abs=1e-7 * abs(expected))


def test_one_component_is_mean_and_covariance():
    Xs = problems(4, 3)
    fits = fit_many(Xs, 1)
    np.testing.assert_allclose(fits.means[:, 0], Xs.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(fits.covariances[:, 0], [np.cov(X.T, bias=True) for X in Xs], rtol=1e-10)
    assert fits.converged.all()


# the parts -------------------------------------------------------------------------------------------------------


def in_batch(Xs, family="VVV"):
    made, placed = batch.batch_of(FAMILIES[family], Serial(), Xs, np.full(len(Xs), Xs.shape[1]))
    assert placed.all()
    return made


def test_seeds_are_those_of_k_means_plus_plus_row_by_row():
    made, chance = in_batch(problems(3)), np.random.default_rng(5).random((4, 3))
    tables = search.seeded(made, 3, chance)
    for z, features, of_starts in zip(made.z, made.features, tables, strict=True):
        for numbers, table in zip(chance, of_starts, strict=True):
            seeds = [z[:, int(numbers[0] * z.shape[1])]]
            for number in numbers[1:]:
                square = np.min([((z.T - seed) ** 2).sum(axis=1) for seed in seeds], axis=0)
                seeds.append(z[:, np.searchsorted(np.cumsum(square), number * square.sum(), side="right")])
            nearest = np.argmin([((z.T - seed) ** 2).sum(axis=1) for seed in seeds], axis=0)
            sums = np.stack([features[:, nearest == k].sum(axis=1) for k in range(3)])
            np.testing.assert_allclose(table, search.smoothed(sums), atol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_sweeping_inverts(d):
    rng = np.random.default_rng(d)
    root = rng.normal(size=(20, d, d + 3))
    matrices = root @ root.transpose(0, 2, 1)
    inverse, log_det, pivot = batch.swept(matrices)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrices), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrices)[1], rtol=1e-9, atol=1e-9)
    assert (pivot > 0).all()
    with np.errstate(invalid="ignore"):
        assert batch.swept(np.diag([1.0, -1.0])[None])[2] < 0


@pytest.mark.parametrize("family", UNIFORM)
def test_an_m_step_is_that_of_the_family(family):
    """By numbers of the family's own M-step, which others look after."""
    rng = np.random.default_rng(3)
    resp = rng.dirichlet(np.ones(3), 150)
    made = in_batch(problems(1))
    mass, mean, scatter = batch.moments(resp.T @ made.features[0].T)
    own = batch.covariances(FAMILIES[family], mass, scatter)
    z = made.z[0].T
    about = np.stack([((z - m).T * r) @ (z - m) for m, r in zip(mean, resp.T, strict=True)])
    diagonal = FAMILIES[family].diagonal
    expected = FAMILIES[family].estimate(np.diagonal(about, axis1=1, axis2=2) if diagonal else about, mass)
    np.testing.assert_allclose(np.diagonal(own, axis1=1, axis2=2) if diagonal else own, expected, atol=1e-10)


def test_a_cycle_never_lowers_the_likelihood():
    made = in_batch(pairs(20, apart=1.5))
    table = search.seeded(made, 2, np.random.default_rng(0).random((1, 2)))
    last = np.full((20, 1), -np.inf)
    for _ in range(30):
        table, loglik, _, _ = batch.cycled(made, table)
        assert (loglik >= last - 1e-9 * np.abs(loglik))[np.isfinite(loglik)].all()
        last = loglik


# what makes no difference ----------------------------------------------------------------------------------------


def test_company_and_place_make_no_difference():
    Xs = [*pairs(9, apart=1.5), *pairs(4, n=133), *pairs(3, apart=2.0, n=60)]
    all_ = unwarned(Xs, 2, random_state=0)
    backwards = unwarned(Xs[::-1], 2, random_state=0)
    same_bits(all_, backwards, j=slice(None, None, -1))
    for i in (0, 5, 11, 15):
        same_bits(all_, unwarned([Xs[i]], 2, random_state=0), i=slice(i, i + 1))


def test_the_same_bits_for_any_number_of_threads():
    Xs = pairs(700, apart=2.5)
    fits = [unwarned(Xs, 2, random_state=0, n_jobs=n_jobs) for n_jobs in (1, 2, 3)]
    same_bits(fits[0], fits[1])
    same_bits(fits[0], fits[2])


@pytest.mark.parametrize("covariance_type", ["full", "diag", "EII", "tied"])
@pytest.mark.parametrize(("scale", "offset"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e6), (3.7, -1e5)])
def test_units_make_no_difference(covariance_type, scale, offset):
    Xs = problems(4)
    fits, other = (unwarned(x, 2, covariance_type, random_state=0) for x in (Xs, (Xs + offset) * scale))
    np.testing.assert_allclose(other.weights, fits.weights, atol=1e-5)
    np.testing.assert_allclose(other.means / scale - offset, fits.means, atol=1e-4)
    np.testing.assert_allclose(other.covariances / scale**2, fits.covariances, atol=1e-4)
    np.testing.assert_allclose(other.loglik + Xs[0].size * np.log(scale), fits.loglik, atol=1e-5)


def test_lists_of_any_numbers_are_rows_like_others():
    Xs = pairs(3).round()
    as_floats = unwarned(Xs, 2, random_state=0)
    same_bits(as_floats, unwarned(list(Xs[:, :, 0].astype(int)), 2, random_state=0))
    same_bits(as_floats, unwarned(Xs.astype(np.float32), 2, random_state=0))
    same_bits(as_floats, unwarned([X.tolist() for X in Xs], 2, random_state=0))


# problems that go wrong ------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
BAD = {
    "constant": np.full((50, 2), 3.0),
    "one row": np.array([[1.0, 2.0]]),
    "two rows": np.array([[1.0, 2.0], [3.0, 5.0]]),
    "two distinct rows": np.repeat([[0.0, 1.0], [4.0, 2.0]], 40, axis=0),
    "constant column": np.column_stack([RNG.normal(size=80), np.ones(80)]),
    "columns that determine each other": RNG.normal(size=(80, 1)) @ [[1.0, 2.0]],
    "copies": np.concatenate([RNG.normal(size=(60, 2)), np.full((20, 2), 9.0)]),
    "one row astray": np.concatenate([RNG.normal(size=(80, 2)), [[1e12, 0.0]]]),
    "far from zero": RNG.normal(size=(80, 2)) + 1e13,
    "narrow": np.concatenate([RNG.normal(size=(40, 2)), 1e-7 * RNG.normal(size=(40, 2)) + 5.0]),
}


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_problems_that_go_wrong_are_fitted_as_alone(covariance_type):
    good = blobs(80, 2)
    fits = unwarned([good, *BAD.values(), good], 3, covariance_type, random_state=0)
    for name in ("weights", "means", "covariances", "loglik"):
        assert np.isfinite(getattr(fits, name)).all()
    np.testing.assert_allclose(fits.weights.sum(axis=1), 1, rtol=1e-12)
    assert 0 not in fits.alone
    same_bits(fits, fits, i=0, j=-1)
    for i, (name, X) in enumerate(BAD.items(), start=1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            single = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
        said, of_single = (set(one.remarks_) & {"degenerate", "parameters", "resolution"} for one in (fits[i], single))
        assert said <= of_single, name
        if said == of_single:  # else a fit without degenerate components was found, which is what both look for
            assert fits.loglik[i] >= single.loglik_ - 1e-3 * max(1, abs(single.loglik_)), name
        assert said == of_single or name in ("copies", "one row astray"), name
        assert (i in fits.remarks) == bool(fits[i].remarks_)


def test_clusters_that_are_too_narrow_for_a_batch_are_found_all_the_same():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(0, 1, 60), rng.normal(3, 1e-5, 60), rng.normal(6, 1, 60)])[:, None]
    fits = fit_many([blobs(100, 1), X], 3, random_state=0)
    assert fits.loglik[1] == pytest.approx(GaussianMixture(3, random_state=0).fit(X).loglik_, abs=1e-3)
    assert np.sqrt(fits.covariances[1]).min() == pytest.approx(1e-5, rel=0.3)
    assert not fits.remarks


def test_one_warning_says_it_all():
    with pytest.warns(
        UserWarning, match=r"^of 3 problems 2 with something to say.*first being problem 1: see remarks$"
    ):
        fits = fit_many([blobs(80, 2), *[BAD["two distinct rows"]] * 2], 3, random_state=0)
    assert sorted(fits.remarks) == [1, 2]
    assert "2 distinct rows" in fits.remarks[1]


def test_max_iter_is_the_last_update():
    Xs = pairs(5, apart=1.0)
    for max_iter in (1, 3, 5):
        with pytest.warns(ConvergenceWarning, match="ended before they converged"):
            fits = fit_many(Xs, 2, random_state=0, max_iter=max_iter)
        assert fits.n_iter.max() <= max_iter
        late = ~fits.converged
        assert set(np.flatnonzero(late)) <= set(fits.remarks)
        assert f"made {fits.n_iter[late][0]} update" in fits.remarks[int(np.flatnonzero(late)[0])]
        assert not fits[int(np.flatnonzero(late)[0])].converged_


# what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", [*ALIASES, *FAMILIES])
def test_each_fit_is_an_estimator(covariance_type, tmp_path):
    Xs = problems(3)
    fits = unwarned(Xs, 2, covariance_type, random_state=0)
    gm, X = fits[1], Xs[1]
    assert gm.get_params()["n_components"] == 2
    assert gm.covariance_type == covariance_type
    joint = np.stack(
        [
            np.log(w) + multivariate_normal(mean, cov).logpdf(X)
            for w, mean, cov in zip(fits.weights[1], fits.means[1], fits.covariances[1], strict=True)
        ],
        axis=1,
    )
    np.testing.assert_array_equal(gm.predict(X), joint.argmax(axis=1))
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(gm.predict_proba(X), resp, atol=1e-7)
    df = FAMILIES[
        {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}.get(covariance_type, covariance_type)
    ]
    bic = df.n_parameters(2, 2) * np.log(len(X)) - 2 * fits.loglik[1]
    assert gm.bic(X) == pytest.approx(bic, abs=1e-4)
    again = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    np.testing.assert_array_equal(again.predict_proba(X), gm.predict_proba(X))
    assert again.loglik_ == fits.loglik[1]
    assert again.n_iter_ == fits.n_iter[1]


def test_fits_are_a_sequence():
    fits = fit_many(pairs(4), 2, random_state=0)
    assert len(fits) == len(list(fits)) == 4
    np.testing.assert_array_equal(fits[-1].means_, fits.means[3])
    with pytest.raises(IndexError):
        fits[4]
    with pytest.raises(ValueError, match="read-only"):
        fits.means[0] = 0
    for covariance_type in ("E", "V"):
        assert fit_many(pairs(2), 2, covariance_type, random_state=0)[0].means_.shape == (2, 1)


# what is refused -------------------------------------------------------------------------------------------------


def test_what_cannot_be_used_is_refused_in_a_sentence():
    X = blobs(30, 2)
    bad = X.copy()
    bad[7, 1] = np.nan
    assert refused(fit_many, [X, X, bad], 2).startswith("of problem 2, X must be finite, but row 7, column 1 is NaN")
    assert refused(fit_many, np.stack([X, bad]), 2).startswith("of problem 1, X must be finite, but row 7")
    assert "of problem 1, X must have 2 features" in refused(fit_many, [X, X[:, :1]], 2)
    assert "of problem 0, X must have shape (n, d)" in refused(fit_many, [X[:0]], 2)
    assert "Xs must have shape (m, n, d)" in refused(fit_many, X, 2)
    assert "Xs must hold a problem" in refused(fit_many, [], 2)
    assert "Xs must be an array" in refused(fit_many, "rows", 2)
    assert "n_components" in refused(fit_many, [X], 0)
    assert "covariance_type" in refused(fit_many, [X], 2, "round")
    assert "one feature" in refused(fit_many, [X], 2, "E")
    assert "tol" in refused(fit_many, [X], 2, tol=-1)
    assert "max_iter" in refused(fit_many, [X], 2, max_iter=0)
    assert "random_state" in refused(fit_many, [X], 2, random_state="seed")
    assert "n_jobs" in refused(fit_many, [X], 2, n_jobs=0)
    assert "of problem 1, X must be in units" in refused(fit_many, [X, X * 1e200], 2)
    with pytest.raises(TypeError, match="of problem 0, X must hold numbers"):
        fit_many([np.array([[None], [object()]])], 2)
