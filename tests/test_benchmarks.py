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
from timed import CASES, data

SMALL = [replace(case, n=min(case.n, max(2_000, 2 * case.k * case.d))) for case in CASES]


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
