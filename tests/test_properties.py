"""Whatever finite rows come in, a usable model comes out; and the inputs that the fuzzer once found, again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cases import MIXING, TYPES
from fuzz import FOLDER, KINDS, KNOWN, Case, awkward, drawn, problem, settings_for

bounded = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

estimators = st.fixed_dictionaries(
    {
        "n_components": st.integers(1, 6),
        "covariance_type": st.sampled_from(TYPES),
        "mixing": st.sampled_from(MIXING),
        "init": st.sampled_from(["auto", "k-means++", "kmeans", "random", "random_from_data"]),
        "n_init": st.sampled_from(["auto", 1, 2]),
        "tol": st.sampled_from([1e-3, 1e-9, 0.0]),
        "max_iter": st.sampled_from([200, 50, 3, 0]),
        "random_state": st.integers(0, 9),
        "engine": st.just("serial"),
    }
    | ({"on_degenerate": st.sampled_from(["rescue", "drop"])} if "on_degenerate" in KNOWN else {})
    | ({"prior": st.sampled_from([None, None, "fraley-raftery", "chen-tan"])} if "prior" in KNOWN else {})
)

ordinary = st.floats(-1e6, 1e6, width=32)
entries = st.one_of(
    st.integers(-3, 3).map(float),  # ties
    ordinary,
    st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 1e12, -1e12, 1e-12, 0.1]),
    st.tuples(ordinary, st.integers(-12, 12)).map(lambda pair: pair[0] * 10.0 ** pair[1]),
)
shapes = st.tuples(st.integers(1, 25), st.integers(1, 4))


def as_dtype(x, name):
    """The rows in another type, where it can hold them."""
    if name == "bool":
        return x > 0
    if name.startswith("int"):
        info = np.iinfo(name)
        return np.clip(np.round(x), info.min / 2, info.max / 2).astype(name)
    return x.astype(name)


@st.composite
def tables(draw):
    """Rows whose entries are drawn one by one, some columns of them constant, repeated or sums of others."""
    n, d = draw(shapes)
    x = draw(arrays(np.float64, (n, d), elements=entries))
    for column in range(d):
        match draw(st.sampled_from(["own", "own", "own", "constant", "repeated", "sum"])):
            case "constant":
                x[:, column] = x[0, column]
            case "repeated":
                x[:, column] = x[:, 0]
            case "sum":
                x[:, column] = x.sum(axis=1)
    return as_dtype(x, draw(st.sampled_from(["float64", "float64", "float32", "int64", "int8", "bool"])))


def weights_of(n):
    one = st.one_of(st.just(0.0), st.integers(1, 3).map(float), st.floats(1e-6, 1e6))
    return st.one_of(st.none(), arrays(np.float64, n, elements=one).filter(lambda w: w.any()))


def check(case):
    failure, _ = problem(case)
    assert failure is None, f"{failure}\n{case.to_json(failure)}"


@pytest.mark.slow
@bounded
@given(data=st.data(), rows=tables(), estimator=estimators)
def test_any_table_gives_a_usable_model(data, rows, estimator):
    check(Case(rows, data.draw(weights_of(len(rows))), estimator))


@pytest.mark.slow
@bounded
@given(
    data=st.data(),
    kind=st.sampled_from(sorted(KINDS)),
    n=st.sampled_from([1, 2, 3, 5, 8, 13, 30, 80]),
    d=st.sampled_from([1, 2, 3, 6]),
    seed=st.integers(0, 2**32 - 1),
    estimator=estimators,
)
def test_awkward_data_give_a_usable_model(data, kind, n, d, seed, estimator):
    rows = awkward(np.random.default_rng(seed), kind, n, d)
    check(Case(rows, data.draw(weights_of(n)), estimator, kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_kind_of_data_with_every_type(covariance_type, kind):
    for seed in range(3):
        rng = np.random.default_rng([seed, 99])
        for n, d, k in ((1, 1, 2), (6, 3, 3), (40, 2, 3)):
            rows = awkward(rng, kind, n, d)
            check(Case(rows, None, settings_for(rng, covariance_type, k), kind))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_fuzzed_fits(seed):
    failures = []
    for index in range(1000):
        failure, _ = problem(drawn(np.random.default_rng([seed, index])))
        if failure is not None:
            failures.append(f"#{index}: {failure[:200]}")
    assert not failures, "\n".join(failures)


def test_what_the_fuzzer_found():
    failures = []
    for path in sorted(FOLDER.glob("*.json")):
        failure, _ = problem(Case.from_json(path.read_text()))
        if failure is not None:
            failures.append(f"{path.name}: {failure[:300]}")
    assert not failures, "\n".join(failures)
