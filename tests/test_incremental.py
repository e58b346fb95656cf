"""Incremental EM: against the papers' bookkeeping in plain NumPy, SciPy's densities and plain EM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, xlogy
from scipy.stats import multivariate_normal

from cases import ENGINES, FAMILIES, assert_same_parameters, beside, blobs, parameters, start, started, told, unwarned
from mixtura import GaussianMixture, incremental, rows, scan
from refusing import refused


@pytest.fixture(autouse=True)
def blocks_of_few_rows(monkeypatch):
    monkeypatch.setattr(incremental, "BLOCK_ROWS", 60)


def objectives(gm):
    return np.array([one["objective"] for one in gm.history_])


def both(X, covariance_type="VVV", *, arguments=None, **settings):
    """Plain EM and incremental EM from the same start."""
    settings = {"covariance_type": covariance_type, "tol": 1e-6, "max_iter": 5_000, "random_state": 0, **settings}
    with unwarned():
        return [
            GaussianMixture(3, accelerate=how, **settings).fit(X, **(arguments or {})) for how in (None, "incremental")
        ]


def log_joint(X, weights, means, covariances):
    parts = zip(weights, means, covariances, strict=True)
    return np.stack([np.log(w) + multivariate_normal.logpdf(X, m, S) for w, m, S in parts], axis=1)


def test_sweeps_are_those_of_the_papers():
    X, own = blobs(600, 2), start("VVV", 2)
    cuts = np.split(np.arange(600), 10)  # 600 ** 0.4 is 12, and blocks have 60 rows at least
    with unwarned():
        gm = started(own, accelerate="incremental", max_iter=4, tol=0, trace=True).fit(X)

    def responsibilities(at):
        joint = log_joint(X[at], *own)
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))

    def maximised(resp):
        mass = resp.sum(axis=0)
        means = resp.T @ X / mass[:, None]
        away = X[:, None] - means
        return mass / 600, means, np.einsum("nk,nki,nkj->kij", resp, away, away) / mass[:, None, None]

    resp = responsibilities(np.arange(600))
    for sweep in range(1, 5):
        own = maximised(resp)
        for at in cuts:
            resp[at] = responsibilities(at)
            own = maximised(resp)
        assert_same_parameters(
            (
                gm.history_[sweep]["model"].weights,
                gm.history_[sweep]["model"].means,
                gm.history_[sweep]["model"].covariances,
            ),
            own,
            1e-9,
        )
        # Neal and Hinton's free energy: expected log joint density, and entropy of the responsibilities.
        bound = (resp * log_joint(X, *own)).sum() - xlogy(resp, resp).sum()
        assert gm.history_[sweep]["objective"] == pytest.approx(bound, rel=1e-12)
    assert gm.n_iter_ == 4
    assert gm.loglik_ == pytest.approx(logsumexp(log_joint(X, *own), axis=1).sum(), rel=1e-12)
    assert gm.loglik_ > bound


@pytest.mark.parametrize("settings", [{}, {"mixing": "equal"}, {"noise": True}, {"prior": "fraley-raftery"}])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_rises_to_an_optimum_of_plain_em(family, settings):
    plain, gm = both(blobs(900, 2), family, tol=1e-4, **settings)
    assert (np.diff(objectives(gm)) >= -1e-12 * np.abs(objectives(gm)).max()).all()
    penalty = objectives(gm)[-1] - gm.history_[-1]["loglik"]
    assert objectives(gm)[-1] <= gm.loglik_ + penalty + 1e-9
    assert gm.loglik_ == pytest.approx(gm.score(blobs(900, 2)) * 900, rel=1e-12)
    assert gm.loglik_ + penalty == pytest.approx(objectives(plain)[-1], abs=0.02)
    assert gm.n_iter_ <= plain.n_iter_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("how", ["exact", "missing", "errors", "covariances", "both"])
def test_the_bound_rises_whatever_rows_tell(how, weighted):
    X, errors = told(blobs(300, 3), how)
    arguments = {"error_covariance": errors, **beside(300, weighted=weighted, labelled=True)}
    plain, gm = both(X, tol=1e-2, arguments=arguments)
    assert (np.diff(objectives(gm)) >= -1e-12 * np.abs(objectives(gm)).max()).all()
    assert objectives(gm)[-1] <= gm.loglik_ + 1e-9
    assert gm.loglik_ == pytest.approx(plain.loglik_, abs=0.1)


def test_what_is_fixed_stays():
    X, own = blobs(600, 2), start("VVV", 2)
    gm = started(own, accelerate="incremental", fixed={"means": [True, False, False], "weights": True}).fit(X)
    assert (gm.means_[0] == own[1][0]).all()
    assert (gm.weights_ == own[0]).all()
    assert (np.diff(objectives(gm)) >= -1e-12 * np.abs(objectives(gm)).max()).all()


def test_far_from_zero_nothing_cancels():
    X = np.round(blobs(900, 2) * 2**18) / 2**18
    begin = np.array([[-3.0, -1.0], [0.0, 0.0], [4.0, 1.5]])
    near, far = (GaussianMixture(3, means_init=begin + c, accelerate="incremental").fit(X + c) for c in (0.0, 2.0**28))
    weights, means, covariances = parameters(far)
    assert_same_parameters((weights, means - 2.0**28, covariances), parameters(near), 1e-5)
    assert near.n_iter_ == far.n_iter_


def test_batches_of_a_file_are_its_blocks(tmp_path, monkeypatch):
    X, own = blobs(4_000, 2), start("VVV", 2)
    monkeypatch.setattr(rows, "HELD_BYTES", 1 << 13)  # larger than memory
    monkeypatch.setattr(incremental, "BLOCK_ROWS", 160)
    np.save(tmp_path / "rows.npy", X)
    settings = {"accelerate": "incremental", "max_iter": 5, "tol": 0}
    with unwarned():
        gm = started(own, **settings).fit(scan(tmp_path / "rows.npy", batch_rows=160))
        same = started(own, **settings).fit(X)  # 4000 ** 0.4 is 27: 25 blocks of 160
    assert not hasattr(gm, "labels_")
    assert_same_parameters(parameters(gm), parameters(same), 1e-9)
    assert gm.loglik_ == pytest.approx(gm.score(X) * 4_000, rel=1e-12)
    np.testing.assert_allclose(objectives(gm), objectives(same), rtol=1e-12)


def test_a_made_start_on_a_sample_goes_on_over_parts():
    X = blobs(50_000, 2)
    gm = GaussianMixture(3, random_state=0, accelerate="incremental", n_init=1).fit(X)
    fit = GaussianMixture(3, random_state=0, n_init=1).fit(X)
    assert gm.loglik_ == pytest.approx(fit.loglik_, abs=0.1)


def test_any_number_of_threads_has_the_same_bits():
    X = blobs(2_000, 3)
    found = []
    for engine, jobs in ENGINES:
        with unwarned():
            settings = {"engine": engine, "n_jobs": jobs, "accelerate": "incremental", "max_iter": 5}
            found.append(GaussianMixture(3, random_state=0, **settings).fit(X))
    assert all((gm.covariances_ == found[0].covariances_).all() for gm in found)
    assert len({gm.loglik_ for gm in found}) == 1


def test_batches_go_on_from_it():
    X = blobs(600, 2)
    gm = GaussianMixture(3, random_state=0, accelerate="incremental").fit(X)
    same = GaussianMixture(3, random_state=0).fit(X)
    assert_same_parameters(parameters(gm.partial_fit(X)), parameters(same.partial_fit(X)), 1e-2)
    assert gm.n_iter_ == 2


def test_what_it_does_not_go_with_is_refused(tmp_path):
    X = blobs(100, 2)
    said = refused(GaussianMixture(2, accelerate="incremental", reg_covar=1e-3).fit, X)
    assert "works without reg_covar only" in said
    said = refused(GaussianMixture(2, accelerate="incremental", truncate=1).fit, X)
    assert "truncate works with plain EM only" in said
    with pytest.raises(ValueError, match='must not be "incremental" for a fit with a checkpoint'):
        GaussianMixture(2, accelerate="incremental").fit(X, checkpoint=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
