"""The cases that are timed, at small sizes: ours and scikit-learn's passes lead to the same parameters."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Theirs

from cases import unwarned
from mixtura import GaussianMixture as Ours

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import incomplete
from timed import CASES, data

SMALL = [replace(case, n=min(case.n, max(2_000, 2 * case.k * case.d))) for case in CASES]


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_what_is_timed_is_the_same_computation(case):
    x, begin = data(case)
    common = {"n_components": case.k, "covariance_type": case.covariance_type, "tol": 0.0, "max_iter": 3}
    with unwarned():
        ours = Ours(**common, **begin, accelerate=None).fit(x)
        theirs = Theirs(**common, **begin, init_params="random_from_data", reg_covar=0.0).fit(x)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-7)
    np.testing.assert_allclose(ours.means_, theirs.means_, atol=1e-7)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, atol=1e-7)
    assert ours.loglik_ == pytest.approx(theirs.score(x) * len(x), rel=1e-9)


@pytest.mark.parametrize("case", incomplete.CASES, ids=lambda case: f"{case.words}, {case.covariance_type}")
def test_what_is_timed_of_incomplete_rows_is_the_textbook(case):
    x, component = incomplete.sample(600, case.d, case.k)
    rows, given = case.told(x, component)
    with unwarned():
        gm = incomplete.started(case, x, component, max_iter=1).fit(rows, **given)
    if "labels" in given:  # the same but for rows whose component is known
        assert incomplete.line(replace(case, d=2, k=2), 600, 1, 2).startswith("| labels")
        return
    loglik, mass, first = incomplete.textbook((rows, given), gm)
    assert loglik == pytest.approx(gm.loglik_, rel=1e-9)
    with unwarned():
        again = Ours(
            case.k,
            weights_init=gm.weights_,
            means_init=gm.means_,
            covariances_init=gm.mixture_.covariances,
            max_iter=1,
            accelerate=None,
            tol=0.0,
        ).fit(rows, **given)
    np.testing.assert_allclose(again.weights_, mass / mass.sum(), rtol=1e-9)
    np.testing.assert_allclose(again.means_, first / mass[:, None], rtol=1e-9, atol=1e-9)
