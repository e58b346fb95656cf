"""The fourteen covariance families: against mclust, numerical optimisers, and what their letters say."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize

from cases import blobs, unfinished
from mixtura import ChenTan, EigenvalueRatio, FraleyRaftery, GaussianMixture, Mixture, spectra
from mixtura.families import ALIASES, FAMILIES, UNIVARIATE, family_of
from mixtura.spectra import Bounds, one_volume
from mixtura.update import MStep

CODES = tuple(FAMILIES)
COUPLED = tuple(code for code, family in FAMILIES.items() if family.coupled is not None)
CLOSED = tuple(code for code in CODES if code not in COUPLED)
ITERATED = ("EVE", "VVE")
"""A common orientation has more than one optimum, and mclust's turns may stop before one: ours has to be as good."""

FOLDER = Path(__file__).with_name("oracle")


def random_scatter(k, d, seed, rank=None):
    """Mass (K,) and scatter (K, d, d) of components of different size and spread, of ``rank`` if that is given."""
    rng = np.random.default_rng([seed, k, d])
    roots = rng.normal(size=(k, d, d if rank is None else rank)) * rng.uniform(0.3, 3.0, size=(k, 1, 1))
    mass = rng.uniform(2.0, 40.0, size=k)
    scatter = mass[:, None, None] * (roots @ roots.transpose(0, 2, 1))
    return mass, 0.5 * (scatter + scatter.transpose(0, 2, 1))


def suited(code, scatter):
    return np.diagonal(scatter, axis1=1, axis2=2) if FAMILIES[code].diagonal else scatter


def full(covariances, k):
    """Covariances (K, d, d) of what ``estimate`` gives."""
    covariances = np.broadcast_to(covariances, (k, *covariances.shape[1:]))
    return covariances if covariances.ndim == 3 else np.array([np.diag(one) for one in covariances])


def expected(covariances, scatter, mass):
    """The expected log-likelihood up to a constant."""
    log_det = np.linalg.slogdet(covariances)[1]
    return -0.5 * float(mass @ log_det + np.trace(np.linalg.solve(covariances, scatter), axis1=1, axis2=2).sum())


# the table


def test_the_table_has_all_fourteen_codes():
    volume_shape = ("EI", "VI", "EE", "VE", "EV", "VV")
    diagonal = {f"{pair}I" for pair in volume_shape}
    dense = {f"{pair}{turn}" for pair in volume_shape[2:] for turn in "EV"}
    assert set(CODES) == diagonal | dense
    assert len(CODES) == 14
    assert set(ALIASES.values()) | set(UNIVARIATE.values()) <= set(CODES)


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        ("affine", {"EEE", "VEE", "EVV", "VVV"}),
        ("scaling", {"EEI", "VEI", "EVI", "VVI"}),
        ("rotation", {"EII", "VII", "EEV", "VEV", "EVE", "VVE"}),
    ],
)
def test_frames(frame, codes):
    assert {code for code, family in FAMILIES.items() if family.frame == frame} == codes


def test_layouts_follow_the_orientation():
    X = blobs(120, 3)
    for code in CODES:
        gm = unfinished(GaussianMixture(2, covariance_type=code, random_state=0, max_iter=5), X)
        assert type(gm.mixture_.layout).__name__ == ("Diagonal" if code.endswith("I") else "Dense")
        assert gm.covariances_.shape == (2, 3, 3)
        np.testing.assert_array_equal(gm.covariances_, gm.covariances_.transpose(0, 2, 1))


# mclust


@cache
def frozen():
    found = json.loads((FOLDER / "families.json").read_text())
    for name, document in found.items():
        if "x" not in document:
            document["x"] = json.loads((FOLDER / f"{name}.json").read_text())["x"]
    return found


def steps():
    for name, document in frozen().items():
        for index, block in enumerate(document["steps"]):
            for model in block["mstep"]:
                yield pytest.param(name, index, model, id=f"{name}-{model}")


@pytest.mark.parametrize(("name", "block", "model"), list(steps()))
def test_one_m_step_is_that_of_mclust(name, block, model):
    step = frozen()[name]["steps"][block]
    z = np.array(step["z"])
    X = np.array(frozen()[name]["x"])[: len(z)]
    gm = GaussianMixture(z.shape[1], covariance_type=model, responsibilities_init=z, max_iter=0)
    start, _ = next(iter(gm.fit_iter(X)))
    one_by_one = [
        Mixture([1.0], start.means[k : k + 1], start.covariances[k : k + 1]).logpdf(X) for k in range(len(z[0]))
    ]
    q = float((z * (np.log(start.weights) + np.transpose(one_by_one))).sum())
    wanted = step["mstep"][model]
    assert q >= wanted["q_value"] - 1e-11 * abs(q)
    if model in ITERATED:
        return
    assert q == pytest.approx(wanted["q_value"], rel=1e-11)
    sigma = np.array(wanted["sigma"])
    deviations = np.sqrt(np.diagonal(sigma, axis1=1, axis2=2))
    # mclust ends the turns of VEE at a relative change of 1e-8.
    tolerance = 1e-7 if model == "VEE" else 1e-8
    assert (np.abs(start.covariances - sigma) <= tolerance * deviations[:, :, None] * deviations[:, None, :]).all()


def usable(run, d):
    """Whether mclust ended at a fixed point that is not degenerate; what it ends at with a common orientation never is
    one in this sense, as its axes start anew."""
    at_rest = run["model"] in ITERATED or (run["em_step_gain"] is not None and abs(run["em_step_gain"]) < 1e-6)
    return run["status"] == "ok" and at_rest and run["min_rcond"] > 1e-9 and run["min_nk"] > d + 1


def whole_runs(wanted=True):
    for name, document in frozen().items():
        for run in document["tight"]:
            if (run["status"] == "ok" and usable(run, len(document["x"][0]))) == wanted:
                yield pytest.param(name, run, id=f"{name}-{run['model']}-{run['G']}")


ELSEWHERE = {("crabs", "VVE", 3), ("crabs", "VVE", 4), ("wine", "EVE", 2)}
"""Runs of mclust that take another way because its M-step stops short of the common axes, to a better place: of our
M-step's axes, those from many random starts are none better (test_common_axes_are_the_best_that_are_found)."""


def fitted(name, run):
    document = frozen()[name]
    gm = GaussianMixture(
        run["G"],
        covariance_type=run["model"],
        labels_init=document["partitions"][str(run["G"])],
        accelerate=None,  # another path may lead to another optimum
        tol=1e-10,
        max_iter=20_000,
    )
    X = np.array(document["x"])
    return unfinished(gm, X), X


@pytest.mark.parametrize(("name", "run"), list(whole_runs()))
def test_a_whole_run_comes_as_far_as_mclust(name, run):
    gm, X = fitted(name, run)
    assert gm.df_ == run["df"]
    assert gm.bic(X) == pytest.approx(run["df"] * np.log(len(X)) - 2 * gm.loglik_, rel=1e-12)
    if (name, run["model"], run["G"]) in ELSEWHERE:
        return
    assert gm.loglik_ >= run["loglik_polished"] - 1e-6
    if run["model"] not in ITERATED:
        assert gm.loglik_ <= run["loglik_polished"] + 1e-4
        assert gm.bic(X) == pytest.approx(-run["bic"], abs=2e-4)


@pytest.mark.parametrize(("name", "run"), list(whole_runs(wanted=False)))
def test_where_mclust_fails_there_is_a_usable_model(name, run):
    gm, X = fitted(name, run)
    assert gm.df_ == run["df"]
    assert np.isfinite(gm.loglik_)
    np.linalg.cholesky(gm.covariances_)
    np.testing.assert_allclose(gm.predict_proba(X).sum(axis=1), 1, rtol=1e-12)
    GaussianMixture.from_mixture(gm.mixture_, run["model"])


# numerical optimisers


def member(code, parameters, k, d):
    """Covariances (K, d, d) of a family from free parameters: logarithms of volume and shape, rotation generators."""
    volume, shape, orientation = code
    rest = list(parameters)

    def take(letter, size):
        copies = {"E": 1, "V": k}[letter]
        block = np.array([rest.pop(0) for _ in range(copies * size)]).reshape(copies, size)
        return np.broadcast_to(block, (k, size))

    sizes = np.exp(take(volume, 1))
    logs = np.zeros((k, d)) if shape == "I" else take(shape, d)
    shapes = np.exp(logs - logs.mean(axis=1, keepdims=True))
    covariances = np.array([np.diag(one) for one in sizes * shapes])
    if orientation == "I":
        return covariances
    i, j = np.triu_indices(d, 1)
    turns = []
    for angles in take(orientation, len(i)):
        generator = np.zeros((d, d))
        generator[i, j], generator[j, i] = angles, -angles
        turns.append(expm(generator))
    turns = np.array(turns)
    return turns @ covariances @ turns.transpose(0, 2, 1)


def n_free(code, k, d):
    copies = {"I": 0, "E": 1, "V": k}
    return copies[code[0]] + copies[code[1]] * d + copies[code[2]] * d * (d - 1) // 2


def best_by_search(code, scatter, mass, seed, tries=6):
    k, d = len(mass), scatter.shape[1]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(tries):
        begin = rng.normal(size=n_free(code, k, d))
        search = minimize(
            # a step of BFGS may go far out, to where no matrix is regular
            lambda p: -expected(member(code, np.clip(p, -12, 12), k, d), scatter, mass),
            begin,
            method="BFGS",
            options={"gtol": 1e-7},
        )
        found.append(-search.fun)
    return max(found)


@pytest.mark.parametrize(("k", "d"), [(2, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("code", CODES)
def test_no_optimiser_finds_better_covariances(code, k, d):
    for seed in range(2):
        mass, scatter = random_scatter(k, d, seed)
        if FAMILIES[code].diagonal:
            scatter = scatter * np.eye(d)
        found = full(FAMILIES[code].estimate(suited(code, scatter), mass, None), k)
        assert FAMILIES[code].lacks(Mixture(mass / mass.sum(), np.zeros((k, d)), suited(code, found)).layout) is None
        ours, theirs = expected(found, scatter, mass), best_by_search(code, scatter, mass, seed)
        assert ours >= theirs - 1e-8 * abs(theirs)
        assert ours <= theirs + 1e-5 * abs(theirs), "the search should have come here"


@pytest.mark.parametrize("code", ITERATED)
@pytest.mark.parametrize(("k", "d"), [(3, 4), (5, 8), (9, 13)])
def test_common_axes_are_the_best_that_are_found(code, k, d):
    # From random previous models, EM's M-steps on the same sums lead to the same axes, or to worse ones.
    for seed in range(3):
        mass, scatter = random_scatter(k, d, seed, rank=None)
        alone = expected(FAMILIES[code].estimate(scatter, mass, None), scatter, mass)
        rng = np.random.default_rng(seed)
        for _ in range(3):
            turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
            model = np.array([turn @ np.diag(one) @ turn.T for one in rng.uniform(0.5, 2, size=(k, d))])
            if code == "EVE":
                model /= np.exp(np.linalg.slogdet(model)[1] / d)[:, None, None]
            before = expected(model, scatter, mass)
            for _ in range(60):
                model = FAMILIES[code].estimate(scatter, mass, model)
                after = expected(model, scatter, mass)
                assert after >= before - 1e-12 * abs(before)
                before = after
            # Of random scatter, the optima lie close together, and which one is the best is chance.
            assert after <= alone + 0.02 * abs(alone)


@pytest.mark.parametrize("code", COUPLED)
def test_the_m_step_is_never_worse_than_a_previous_member(code):
    k, d = 4, 3
    for seed in range(20):
        mass, scatter = random_scatter(k, d, seed, rank=None if seed % 2 else d + 2)
        previous = member(code, np.random.default_rng(seed).normal(size=n_free(code, k, d)), k, d)
        found = full(FAMILIES[code].estimate(suited(code, scatter), mass, suited(code, previous)), k)
        assert expected(found, scatter, mass) >= expected(previous, scatter, mass)


# under a floor


def floored(code, scatter, mass, previous=None, bounds=None):
    found = FAMILIES[code].spectrum(suited(code, scatter), mass, previous, bounds or Bounds(1.0, 1e12))
    return full(found.covariances(), len(mass))


def best_spectra(code, spread, mass, most):
    """The best eigenvalues (K, d) over a floor of one that SLSQP finds, by volume and shape alone."""
    k, d = spread.shape

    def values(p):
        if code[0] == "V":  # one shape
            return p[:k, None] + p[None, k:]
        return p.reshape(k, d)

    def cost(p):
        log = values(p)
        return (mass[:, None] * log + spread * np.exp(-log)).sum() / mass.sum()

    constraints = [{"type": "ineq", "fun": lambda p: values(p).ravel()}]
    constraints.append({"type": "ineq", "fun": lambda p: np.log(most) - values(p).ravel()})
    if code[0] == "E":
        constraints.append({"type": "eq", "fun": lambda p: np.diff(values(p).sum(axis=1))})
    found = []
    for seed in range(4):
        begin = np.random.default_rng(seed).uniform(0.1, 2, size=k + d if code[0] == "V" else k * d)
        settings = {"maxiter": 2000, "ftol": 1e-12}
        limits = [(-30.0, 30.0)] * len(begin)
        search = minimize(cost, begin, method="SLSQP", bounds=limits, constraints=constraints, options=settings)
        if search.success:
            found.append(search.fun * mass.sum())
    return min(found)


SPREADS = {
    "one feature without spread": np.array([[400.0, 0.0], [900.0, 0.0], [100.0, 0.0]]),
    "one component without spread": np.array([[400.0, 30.0], [0.0, 0.0], [100.0, 500.0]]),
    "one component on a line": np.array([[400.0, 30.0], [50.0, 0.0], [100.0, 500.0]]),
    "one small component": np.array([[400.0, 300.0], [2.0, 1.0], [100.0, 500.0]]),
    "all over the floor": np.array([[400.0, 300.0], [200.0, 100.0], [100.0, 500.0]]),
    "all under the floor": np.array([[4.0, 3.0], [2.0, 1.0], [1.0, 5.0]]),
}


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("code", ["VEI", "EVI"])
def test_the_floor_is_kept_exactly(code, name):
    spread, mass, most = SPREADS[name], np.array([20.0, 10.0, 30.0]), 1e3
    found = FAMILIES[code].spectrum(spread, mass, None, Bounds(1.0, most)).values
    assert found.min() >= 1 - 1e-12
    ours, theirs = (mass[:, None] * np.log(found) + spread / found).sum(), best_spectra(code, spread, mass, most)
    assert ours <= theirs + 1e-6 * abs(theirs)


def awkward_scatters():
    for seed in range(6):
        for rank in (0, 1, 2, None):
            mass, scatter = random_scatter(4, 3, seed, rank=rank)
            if seed % 3 == 1:
                scatter[0] = 0
            if seed % 3 == 2:
                mass[0], scatter[0] = 0, 0
            yield mass, scatter * 10.0 ** (seed - 2)
    mass, scatter = random_scatter(4, 3, 0)
    yield mass, np.zeros_like(scatter)
    yield np.zeros(4), np.zeros_like(scatter)
    yield mass * 1e-90, scatter * 1e-90
    yield mass * [1, 1e-40, 1, 1], scatter * np.array([1, 1e-40, 1, 1])[:, None, None]


@pytest.mark.parametrize("code", COUPLED)
def test_any_scatter_gives_a_member_over_the_floor(code):
    for mass, scatter in awkward_scatters():
        found = floored(code, scatter, mass)
        assert np.isfinite(found).all()
        assert np.linalg.eigvalsh(found).min() >= 1 - 1e-3  # of values up to 1e12, float64 has no more digits
        assert np.isfinite(FAMILIES[code].estimate(suited(code, scatter), mass, None)).all()
        again = FAMILIES[code].spectrum(suited(code, scatter), mass, suited(code, found), Bounds(1.0, 1e12))
        assert np.isfinite(again.values).all()


def test_an_empty_component_stays_as_it_was_but_for_what_it_shares():
    mass, scatter = random_scatter(3, 3, 0)
    for code in COUPLED:
        previous = member(code, np.random.default_rng(1).normal(size=n_free(code, 3, 3)), 3, 3)
        without = full(FAMILIES[code].estimate(suited(code, scatter[1:]), mass[1:], suited(code, previous[1:])), 2)
        none, nothing = mass.copy(), scatter.copy()
        none[0], nothing[0] = 0, 0
        found = full(FAMILIES[code].estimate(suited(code, nothing), none, suited(code, previous)), 3)
        if code not in ITERATED:  # these are not at rest after one M-step
            np.testing.assert_allclose(found[1:], without, rtol=1e-6, atol=1e-9)
        if code[0] == "V" and code != "VVE":
            size = np.linalg.slogdet(found[0])[1]
            assert size == pytest.approx(np.linalg.slogdet(previous[0])[1], abs=3.0)
        if code == "EVV":
            shape = previous[0] / np.exp(np.linalg.slogdet(previous[0])[1] / 3)
            np.testing.assert_allclose(found[0] / np.exp(np.linalg.slogdet(found[0])[1] / 3), shape, rtol=1e-9)


def test_equal_volumes_without_spread_are_bounded():
    values = one_volume(np.array([[5.0, 0.0, 0.0], [3e6, 2e6, 1e6]]), np.array([2.0, 50.0]), Bounds(1.0, 1e8))
    np.testing.assert_allclose(np.log(values).sum(axis=1), np.log(values).sum(axis=1)[0], rtol=1e-11)
    assert values.min() >= 1 - 1e-12
    assert values.max() <= 1e8 * (1 + 1e-12)


# symmetries of one M-step


@pytest.mark.parametrize("code", CODES)
def test_changes_of_coordinates_that_a_family_does_not_see(code):
    rng = np.random.default_rng(0)
    d, family = 3, FAMILIES[code]
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    units, far = np.diag([0.1, 1.0, 40.0]), np.diag([1e-3, 1.0, 40.0])
    maps = {"affine": [turn @ units, far, turn], "scaling": [far, 1e4 * np.eye(d)], "rotation": [turn, 1e-4 * turn]}
    mass, scatter = random_scatter(3, d, 1)
    if family.frame == "rotation" and family.diagonal:
        maps["rotation"] = [1e4 * np.eye(d), turn]
    plain = full(family.estimate(suited(code, scatter), mass, None), 3)
    for A in maps[family.frame]:
        moved = A @ scatter @ A.T
        moved = 0.5 * (moved + moved.transpose(0, 2, 1))
        found = full(family.estimate(suited(code, moved), mass, None), 3)
        wanted = A @ plain @ A.T
        deviations = np.sqrt(np.diagonal(wanted, axis1=1, axis2=2))
        off = np.abs(found - wanted) / (deviations[:, :, None] * deviations[:, None, :])
        assert off.max() < (1e-5 if code in ITERATED else 1e-9)


# membership


@pytest.mark.parametrize("code", CODES)
def test_a_fitted_model_is_a_member_and_others_are_not(code):
    X = blobs(200, 3, seed=1)
    gm = unfinished(GaussianMixture(3, covariance_type=code, random_state=0, max_iter=20), X)
    again = GaussianMixture.from_mixture(gm.mixture_, code)
    np.testing.assert_array_equal(again.predict_proba(X), gm.predict_proba(X))
    given = GaussianMixture.from_parameters(gm.weights_, gm.means_, gm.covariances_, code)
    np.testing.assert_allclose(given.predict_proba(X), gm.predict_proba(X), rtol=1e-9, atol=1e-12)
    if code == "VVV":
        return
    stranger = unfinished(GaussianMixture(3, random_state=0, max_iter=20), X).mixture_
    with pytest.raises(ValueError, match=rf"^covariances of type '{code}' must be [a-z ]+, got others: choose"):
        GaussianMixture.from_mixture(stranger, code)


@pytest.mark.parametrize("code", CODES)
def test_a_model_belongs_to_the_families_that_contain_its_own(code):
    order = {"I": 0, "E": 1, "V": 2}
    k, d = 3, 3
    covariances = member(code, np.random.default_rng(3).normal(size=n_free(code, k, d)), k, d)
    model = Mixture(np.full(k, 1 / k), np.zeros((k, d)), suited(code, covariances))
    for other, family in FAMILIES.items():
        layout = model.layout if family.diagonal else Mixture(model.weights, model.means, model.covariances).layout
        contains = all(order[one] <= order[two] for one, two in zip(code, other, strict=True))
        assert (family.lacks(layout) is None) == contains, (other, family.lacks(layout))


# EM


def data():
    rng = np.random.default_rng(0)
    plain = np.vstack([rng.normal(size=(50, 3)) * [1, 2, 0.5], rng.normal(size=(50, 3)) + 3])
    return {
        "blobs": plain,
        "ties": np.round(plain[::2, :2]),
        "a constant column": np.column_stack([plain[:60, :2], np.full(60, 7.0)]),
        "fewer rows than features": rng.normal(size=(5, 8)),
        "a row astray": np.vstack([plain, [[1e9, 0, 0]]]),
        "three points": np.repeat(rng.normal(size=(3, 2)), 10, axis=0),
        "one point": np.ones((6, 2)),
        "a line": np.outer(np.arange(30.0), [1.0, 2.0, 3.0]),
        "two rows": np.array([[0.0, 0.0], [1.0, 1.0]]),
        "single precision": np.round(plain[:, :2]).astype(np.float32),
        "large": plain * 1e140,
        "small": plain * 1e-140,
    }


DATA = data()


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("code", CODES)
def test_em_never_falls_from_random_starts(code, name):
    X = DATA[name]
    for k in (1, 2, 4):
        for seed in range(2):
            gm = GaussianMixture(k, covariance_type=code, init="random", n_init=1, random_state=seed, max_iter=100)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                gm.fit(X)
            assert not any(issubclass(one.category, RuntimeWarning) for one in caught)
            history = np.array(gm.log_likelihood_history_)
            assert (np.diff(history) >= -1e-10 * np.maximum(np.abs(history[1:]), len(X))).all()
            np.linalg.cholesky(gm.mixture_.covariances)
            np.testing.assert_allclose(gm.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
            GaussianMixture.from_mixture(gm.mixture_, code)


@pytest.mark.parametrize("prior", [ChenTan(), FraleyRaftery()], ids=["chen-tan", "fraley-raftery"])
@pytest.mark.parametrize("code", COUPLED)
def test_em_climbs_the_posterior_under_a_prior(code, prior):
    X = np.vstack([blobs(60, 3), np.repeat(blobs(1, 3), 5, axis=0)])
    gm = GaussianMixture(4, covariance_type=code, prior=prior, init="random", n_init=1, random_state=0, max_iter=300)
    unfinished(gm, X)
    objective = np.array([record["objective"] for record in gm.history_])
    assert (np.diff(objective) >= -1e-10 * np.abs(objective[1:])).all()
    assert {one["state"] for one in gm.diagnostics_} <= {"ok", "empty"}
    GaussianMixture.from_mixture(gm.mixture_, code)


@pytest.mark.parametrize("code", COUPLED)
def test_a_prior_is_rows_that_are_imagined(code):
    X, a = blobs(40, 2), 3.0
    resp = np.random.default_rng(0).dirichlet([0.7, 0.7], size=40)
    gm = GaussianMixture(2, covariance_type=code, prior=ChenTan(a), responsibilities_init=resp, max_iter=0)
    found, _ = next(iter(gm.fit_iter(X)))
    mass = resp.sum(axis=0)
    away = X - found.means[:, None, :]
    scatter = np.einsum("nk,kni,knj->kij", resp, away, away) + 2 * a * np.cov(X.T, bias=True)
    wanted = full(FAMILIES[code].estimate(suited(code, scatter), mass + 2 * a), 2)
    np.testing.assert_allclose(found.covariances, wanted, rtol=1e-6 if code in ITERATED else 1e-9, atol=1e-9)


@pytest.mark.parametrize("code", COUPLED)
def test_what_is_not_there_for_these_families_is_refused(code):
    for settings in ({"prior": EigenvalueRatio(10)}, {"accelerate": "lbfgs"}, {"accelerate": "squarem"}):
        with pytest.raises(ValueError, match=rf"letters are all E or all V \(I aside\), got '{code}'"):
            GaussianMixture(2, covariance_type=code, **settings).fit(blobs(40, 2))


@pytest.mark.parametrize("code", COUPLED)
def test_regularisation_stays_in_the_family(code):
    X = DATA["ties"]
    gm = unfinished(GaussianMixture(3, covariance_type=code, reg_covar=0.5, random_state=0, max_iter=50), X)
    GaussianMixture.from_mixture(gm.mixture_, code)
    assert np.linalg.eigvalsh(gm.covariances_).min() > 0.1


# one feature


@pytest.mark.parametrize("code", CODES)
def test_one_feature_knows_volumes_only(code):
    X = blobs(150, 1)
    family = FAMILIES[code]
    gm, alone = (GaussianMixture(3, covariance_type=name, random_state=0, tol=1e-8).fit(X) for name in (code, code[0]))
    assert family.n_parameters(3, 1) == family_of(code[0]).n_parameters(3, 1) == gm.df_ == alone.df_
    assert gm.loglik_ == pytest.approx(alone.loglik_, rel=1e-12)
    np.testing.assert_allclose(gm.covariances_, alone.covariances_, rtol=1e-9)
    assert alone.covariances_.shape == (3, 1, 1)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_names_for_one_feature_are_refused_for_more(name):
    X = blobs(20, 2)
    message = rf"^covariance_type '{name}' is for one feature, got 2: choose a code of three letters$"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, covariance_type=name).fit(X)
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)], name)
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_mixture(Mixture([1.0], [[0.0, 0.0]], [np.eye(2)]), name)


# what a step takes


def test_turns_between_volumes_and_shape_end_where_rounding_begins(monkeypatch):
    turns = 0

    def counted(matrices, original=spectra.axes_of):
        nonlocal turns
        turns += 1
        return original(matrices)

    monkeypatch.setattr(spectra, "axes_of", counted)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        roots = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ (rng.normal(size=(2, 3, 6)) * [[1.0], [1e6], [1e12]])
        scatter = roots @ roots.transpose(0, 2, 1)
        spectra.vee(0.5 * (scatter + scatter.transpose(0, 2, 1)), np.array([4.0, 6.0]), None, Bounds(1.0))
    assert turns < 6 * 30  # the eigenvalues have 1e-5 of themselves left at most, and never settle to 1e-13


@pytest.mark.parametrize(("code", "seed"), [("EEV", 1), ("EVV", 3), ("VEE", 6)])
def test_a_floor_that_will_do_is_found_without_asking_for_those_that_change_nothing(code, seed, monkeypatch):
    """A row astray and an answer in float32: the floor has a long way to go, twenty orders of magnitude."""
    asked: list[list[float]] = []

    def noted(self, *arguments, original=MStep._bounded):
        found = original(self, *arguments)
        own: list[float] = []
        asked.append(own)
        return lambda least: own.append(least) or found(least)

    monkeypatch.setattr(MStep, "_bounded", noted)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(8, 5))
    X[0] *= 1e8
    roots = rng.normal(size=(8, 5, 3)) * X.std(axis=0)[:, None]
    gm = GaussianMixture(2, covariance_type=code, random_state=0, n_init=1, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm.fit(X.astype(np.float32), error_covariance=roots @ roots.transpose(0, 2, 1))
    assert 1 < max(map(len, asked)) <= 25
    objectives = np.array([one["objective"] for one in gm.history_])
    assert (np.diff(objectives) > -1e-9 * np.abs(objectives[1:])).all()
