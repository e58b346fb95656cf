"""The pictures: what they look like, and what they mean."""

from __future__ import annotations

import io
from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse, StepPatch
from matplotlib.testing.compare import compare_images
from scipy.integrate import dblquad, quad
from scipy.linalg import eigh
from scipy.stats import kstest, multivariate_normal, norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from drawn import DRAWN, FLOWERS, NAMES, PARTS, PICTURES, fitted, selection, without_text, write
from mixtura import GaussianMixture, Mixture, merge_clusters, plot, select
from mixtura.plot.calibration import quantiles, rosenblatt
from mixtura.plot.directions import directions_of
from mixtura.plot.merges import column
from mixtura.plot.regions import levels_of
from mixtura.plot.style import shades

X = FLOWERS.sample(400, rng=2)[0]
LINE = FLOWERS.marginal([2])
HEAVIEST = 40_000
"""Bytes that a picture to compare with may have."""

TOLERANCE = 6
"""Root of the mean squared difference, of 255: versions of matplotlib do not smooth edges alike."""

OF_ROWS = {
    "contours": plot.contours,
    "density": plot.density,
    "discriminants": plot.discriminants,
    "entropy": plot.entropy,
    "pit": plot.pit,
    "profiles": plot.profiles,
    "qq": plot.qq,
    "responsibilities": plot.responsibilities,
    "scatter": plot.scatter,
    "uncertainty": plot.uncertainty,
}
"""Functions of a model and rows that return one Axes."""


@pytest.fixture(autouse=True)
def _settings_stay_as_they_were() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def render(ax: Axes) -> None:
    """Draw for good: artists that are wrong often complain only now."""
    ax.figure.savefig(io.BytesIO(), format="png")
    ax.figure.savefig(io.BytesIO(), format="svg")


# what they look like -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_is_the_one_that_was_looked_at(name: str, tmp_path: object) -> None:
    found = write(without_text(DRAWN[name]()), tmp_path / f"{name}.png")
    assert compare_images(str(PICTURES / f"{name}.png"), str(found), tol=TOLERANCE) is None


def test_a_picture_of_something_else_is_told_apart(tmp_path: object) -> None:
    away = np.zeros((3, 4))
    away[1] = 4, 3, 0, 0
    moved = Mixture(FLOWERS.weights, FLOWERS.means + away, FLOWERS.covariances)
    figure, ax = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
    plot.contours(moved, ax=ax)
    found = write(without_text(figure), tmp_path / "contours.png")
    assert compare_images(str(PICTURES / "contours.png"), str(found), tol=TOLERANCE) is not None


def test_every_picture_is_small_and_every_function_has_one() -> None:
    assert {path.stem for path in PICTURES.glob("*.png")} == set(DRAWN)
    assert all(path.stat().st_size < HEAVIEST for path in PICTURES.glob("*.png"))
    functions = {name for name in plot.__all__ if name.islower()}
    assert functions <= set(DRAWN)


def test_shades_are_told_apart_in_print() -> None:
    for n in (1, 2, 3, 5):
        lightness = [np.dot([0.2126, 0.7152, 0.0722], color) for color in shades(n)]
        assert np.all(np.diff(lightness) < -0.05)
        assert lightness[0] < 0.95


def test_colours_are_told_apart_by_people_who_see_no_red_or_no_green() -> None:
    # F. Vienot, H. Brettel and J. D. Mollon, Color Research and Application 24, 1999: linear RGB as dichromats see it.
    protan = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    deutan = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    linear = np.array([to_rgb(color) for color in plot.OKABE_ITO]) ** 2.2
    for seen_by in (protan, deutan):
        seen = np.clip(linear @ seen_by.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen, axis=2) + np.eye(len(seen))
        assert apart.min() > 0.1


# all of them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize("d", [1, 2, 4])
def test_mixtures_and_estimators_of_any_dimension_are_drawn(name: str, d: int) -> None:
    if d == 1 and name in ("scatter", "discriminants"):
        with pytest.raises(ValueError, match=r"call mixtura\.plot\.density"):
            OF_ROWS[name](LINE, X[:, 2])
        return
    mixture, rows = FLOWERS.marginal(list(range(d))), X[:, :d]
    for model in (mixture, GaussianMixture.from_mixture(mixture)):
        own = plt.subplots()[1]
        ax = OF_ROWS[name](model, rows, ax=own)
        assert ax is own
        render(ax)
        assert isinstance(OF_ROWS[name](model, rows), Axes)


@pytest.mark.parametrize("name", OF_ROWS)
def test_of_a_selection_the_winner_is_drawn(name: str) -> None:
    chosen = select(X[:, :2], [2, 3], ["VVV"], random_state=0)
    ax, same = OF_ROWS[name](chosen, X[:, :2]), OF_ROWS[name](chosen.best_, X[:, :2])
    assert ax.get_xlim() == same.get_xlim()
    assert ax.get_ylim() == same.get_ylim()


@pytest.mark.parametrize("name", sorted(set(OF_ROWS) - {"density", "qq"}))
def test_a_picture_of_some_rows_says_so(name: str) -> None:
    n = 30_000
    ax = OF_ROWS[name](FLOWERS, FLOWERS.sample(n, rng=0)[0])
    legend = ax.get_legend()
    said = ax.get_title(loc="right") + ("" if legend is None else legend.get_title().get_text())
    assert "of 30,000 rows" in said
    assert not OF_ROWS[name](FLOWERS, X[:200]).get_title(loc="right")


@pytest.mark.parametrize("name", OF_ROWS)
def test_missing_values_are_left_out(name: str) -> None:
    rows = X.copy()
    rows[::7, 0] = np.nan
    rows[3::5, 1] = np.nan
    render(OF_ROWS[name](FLOWERS, rows))


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_background_is_drawn(name: str) -> None:
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(150, 2)), rng.normal(size=(150, 2)) + 6, rng.uniform(-20, 20, (60, 2))])
    gm = GaussianMixture(2, noise=True, random_state=0).fit(rows)
    render(OF_ROWS[name](gm, rows))


EXTREME = {
    "far from zero": Mixture([0.5, 0.5], [[1e17, 0.0], [1e17, 1.0]], [1.0, 1.0]),
    "no weight": Mixture([0.0, 1.0], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0]),
    "the same twice": Mixture([0.5, 0.5], np.zeros((2, 2)), [1.0, 1.0]),
    "narrow beside wide": Mixture([0.5, 0.5], [[0.0, 0.0], [50.0, 50.0]], [100.0, 1e-8]),
    "units": Mixture([0.5, 0.5], [[0.0, 0.0], [1e-12, 1e12]], np.tile([1e-24, 1e24], (2, 1))),
    "many": Mixture(np.full(60, 1 / 60), np.random.default_rng(0).normal(size=(60, 2)) * 9, np.ones(60)),
}


@pytest.mark.parametrize("kind", EXTREME)
@pytest.mark.parametrize("name", OF_ROWS)
def test_extreme_models_can_be_drawn(name: str, kind: str) -> None:
    ax = OF_ROWS[name](EXTREME[kind], EXTREME[kind].sample(100, rng=0)[0])
    render(ax)
    assert np.isfinite([ax.get_xlim(), ax.get_ylim()]).all()


@pytest.mark.parametrize("kind", EXTREME)
def test_pairs_of_extreme_models_can_be_drawn(kind: str) -> None:
    render(plot.pairs(EXTREME[kind], EXTREME[kind].sample(50, rng=0)[0])[0, 0])


def test_a_narrow_component_has_its_region() -> None:
    ax = plot.contours(EXTREME["narrow beside wide"], probability=0.45)
    (filled,) = [one for one in ax.collections if hasattr(one, "levels") and one.filled]
    (path,) = filled.get_paths()
    assert np.abs(path.vertices - 50).max() < 1e-3, "all of it is around the component that is narrow"


def test_axes_are_named_by_the_features() -> None:
    frame = pd.DataFrame(X, columns=NAMES)
    gm = GaussianMixture(2, random_state=0).fit(frame)
    for rows in (frame, X):
        for draw in (plot.scatter, plot.uncertainty, plot.contours):
            ax = draw(gm, rows, features=(2, 0))
            assert (ax.get_xlabel(), ax.get_ylabel()) == (NAMES[2], NAMES[0])
        assert plot.contours(gm, rows, features=(3,)).get_xlabel() == NAMES[3]
        assert NAMES[1] in plot.qq(gm, rows, feature=1).get_xlabel()
        assert NAMES[1] in plot.pit(gm, rows, feature=1).get_xlabel()
        assert [label.get_text() for label in plot.profiles(gm, rows).get_xticklabels()] == NAMES
        axes = plot.pairs(gm, rows)
        assert [ax.get_xlabel() for ax in axes[-1]] == NAMES
        assert [ax.get_ylabel() for ax in axes[:, 0]] == NAMES
        assert any(name in plot.discriminants(gm, rows).get_xlabel() for name in NAMES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.contours(FLOWERS, features=(0, 4)), "from 0 to 3, got 4"),
        (lambda: plot.contours(FLOWERS, features=(0, 1, 2)), "two different features"),
        (lambda: plot.contours(FLOWERS, probability=1.5), "between 0 and 1"),
        (lambda: plot.uncertainty(FLOWERS, X[:, :3]), r"shape \(n, 4\)"),
        (lambda: plot.pairs(FLOWERS, features=(0, 0)), "distinct indices"),
        (
            lambda: plot.discriminants(FLOWERS.only([1])),
            "at least two components, got one",
        ),
        (lambda: plot.responsibilities(FLOWERS, np.empty((0, 4))), "at least one row"),
        (lambda: plot.qq(FLOWERS, np.full((3, 4), np.nan)), "at least one row without missing"),
        (lambda: plot.pit(FLOWERS, X, bins=0), "bins"),
        (lambda: plot.entropy(FLOWERS), "pass X"),
        (lambda: plot.entropy(FLOWERS, X, "nearest"), "method must be one of entropy, demp, ridgeline"),
        (lambda: plot.restarts(FLOWERS), "got a Mixture, which keeps no record"),
        (lambda: plot.restarts(GaussianMixture.from_mixture(FLOWERS)), r"call fit\(X\)"),
        (lambda: plot.criteria(FLOWERS), "criteria needs a Selection, got Mixture"),
        (lambda: plot.criteria(selection(), ["cv"]), "each of names must be one of bic, icl"),
        (lambda: plot.criteria(selection(), "bic"), "a sequence of criteria, got 'bic'"),
    ],
)
def test_errors_say_what_to_do(call: object, message: str) -> None:
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
    assert plt.get_fignums() == before, "an error must not leave an empty figure behind"


# what they mean ----------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [plot.scatter, plot.discriminants])
@pytest.mark.parametrize("probability", [0.5, 0.95])
def test_an_ellipse_holds_its_share_of_the_component(draw: object, probability: float) -> None:
    ax = draw(FLOWERS, probability=probability)
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    basis = np.eye(4)[:, :2] if draw is plot.scatter else directions_of(FLOWERS)[1][:, :2]
    middle = np.zeros(4) if draw is plot.scatter else FLOWERS.mean
    rng = np.random.default_rng(3)
    for k, ellipse in enumerate(ellipses):
        rows = (rng.multivariate_normal(FLOWERS.means[k], FLOWERS.covariances[k], 40_000) - middle) @ basis
        path = ellipse.get_path().transformed(ellipse.get_patch_transform())
        # Four standard errors of a share of 40,000.
        assert path.contains_points(rows).mean() == pytest.approx(probability, abs=4 * 0.5 / 200)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_region_holds_its_share_of_the_probability(share: float) -> None:
    line = Mixture([0.3, 0.7], [[0.0], [5.0]], [0.04, 2.0])
    (level,), _ = levels_of(line, [share])

    def inside(x: float) -> float:
        p = float(0.3 * norm.pdf(x, 0, 0.2) + 0.7 * norm.pdf(x, 5, np.sqrt(2)))
        return p if p >= level else 0.0

    held = sum(quad(inside, low, low + 0.25, limit=200)[0] for low in np.arange(-3, 13, 0.25))
    assert held == pytest.approx(share, abs=4 * 0.0036)


def test_a_region_of_a_gaussian_is_its_ellipse() -> None:
    plane = Mixture([1.0], [[1.0, 2.0]], [[[2.0, 0.5], [0.5, 1.0]]])
    (level,), _ = levels_of(plane, [0.8])
    exact = (1 - 0.8) / (2 * np.pi * np.sqrt(1.75))  # p = p(m) exp(-chi2 / 2), P(chi2_2 <= c) = 1 - exp(-c / 2)
    assert level == pytest.approx(exact, rel=0.06)


def test_regions_lie_within_each_other_and_hold_the_rows_that_they_should() -> None:
    shares = [0.5, 0.8, 0.95]
    ax = plot.contours(FLOWERS, features=(0, 1), probability=shares)
    (lines,) = [one for one in ax.collections if hasattr(one, "levels") and not one.filled]
    rows = FLOWERS.sample(40_000, rng=5)[0][:, :2]
    p = sum(
        w * multivariate_normal.pdf(rows, m[:2], S[:2, :2])
        for w, m, S in zip(FLOWERS.weights, FLOWERS.means, FLOWERS.covariances, strict=True)
    )
    assert [(p >= level).mean() for level in lines.levels] == pytest.approx(shares[::-1], abs=0.02)
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    outermost = rows[p >= lines.levels[0]]
    assert (outermost > [low, bottom]).all()
    assert (outermost < [high, top]).all()


def test_directions_of_equal_covariances_are_those_of_linear_discriminants() -> None:
    rng = np.random.default_rng(1)
    A = rng.normal(size=(5, 5))
    mixture = Mixture([0.3, 0.3, 0.4], 4 * rng.normal(size=(3, 5)), np.repeat([A @ A.T + np.eye(5)], 3, axis=0))
    values, vectors = directions_of(mixture)
    rows, labels = mixture.sample(200_000, rng=0)
    scalings = LinearDiscriminantAnalysis(solver="eigen").fit(rows, labels).scalings_[:, :2]
    metric = np.linalg.cholesky(mixture.cov)
    planes = [np.linalg.qr(metric.T @ basis[:, :2])[0] for basis in (vectors, scalings)]
    assert np.linalg.svd(planes[0].T @ planes[1], compute_uv=False) == pytest.approx([1, 1], abs=1e-3)
    np.testing.assert_allclose(values[2:], 0, atol=1e-10)


def test_directions_do_not_depend_on_units() -> None:
    unit = np.array([1e-3, 1.0, 1e6, 20.0])
    other = Mixture(FLOWERS.weights, FLOWERS.means * unit, FLOWERS.covariances * np.outer(unit, unit))
    (values, vectors), (same, scaled) = directions_of(FLOWERS), directions_of(other)
    np.testing.assert_allclose(same, values, rtol=1e-6)
    np.testing.assert_allclose(np.abs(scaled[:, :2] * unit[:, None]), np.abs(vectors[:, :2]), rtol=1e-5, atol=1e-9)


def test_two_components_of_one_mean_are_told_apart_by_their_covariances() -> None:
    narrow = np.diag([1.0, 1.0, 0.01])
    values, vectors = directions_of(Mixture([0.5, 0.5], np.zeros((2, 3)), [np.eye(3), narrow]))
    assert values[0] > 1e3 * abs(values[1])
    assert np.abs(vectors[:, 0]).argmax() == 2


def test_the_transform_of_what_the_model_makes_is_uniform_and_independent() -> None:
    u = rosenblatt(FLOWERS, FLOWERS.sample(4_000, rng=11)[0])
    for j in range(4):
        assert kstest(u[:, j], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(norm.ppf(u).T) - np.eye(4)).max() < 4 / np.sqrt(4_000)


def test_the_transform_is_the_conditional_distribution() -> None:
    x = np.array([[52.0, 31.0], [63.0, 27.0]])
    plane = FLOWERS.marginal([0, 1])
    u = rosenblatt(plane, x)

    def p(second: float, first: float) -> float:
        return sum(
            w * multivariate_normal.pdf([first, second], m, S)
            for w, m, S in zip(plane.weights, plane.means, plane.covariances, strict=True)
        )

    for (first, second), found in zip(x, u, strict=True):
        below, whole = quad(p, -20, second, args=(first,))[0], quad(p, -20, 90, args=(first,), points=[30])[0]
        assert found[1] == pytest.approx(below / whole, abs=1e-7)
        under = dblquad(p, -20, first, -20, 90)[0] if first == 52.0 else None
        assert under is None or found[0] == pytest.approx(under, abs=1e-6)


def test_quantiles_are_where_the_distribution_reaches_them() -> None:
    p = np.array([1e-12, 0.01, 0.3, 0.5, 0.9999])
    x = quantiles(LINE, p)
    deviations = np.sqrt(LINE.covariances[:, 0, 0])
    np.testing.assert_allclose(norm.cdf((x[:, None] - LINE.means[:, 0]) / deviations) @ LINE.weights, p, rtol=1e-9)


def test_rows_of_the_model_lie_in_the_bands_and_others_do_not() -> None:
    rows = LINE.sample(5_000, rng=7)[0]
    for model, fits in ((LINE, True), (Mixture([1.0], [LINE.mean], [LINE.cov]), False)):
        ax = plot.pit(model, rows)
        heights = next(patch for patch in ax.patches if isinstance(patch, StepPatch)).get_data().values
        band = next(patch for patch in ax.patches if patch.get_label().startswith("95%"))
        low, high = band.get_window_extent().transformed(ax.transData.inverted()).intervaly
        outside = np.mean((heights < low) | (heights > high))
        assert (outside <= 0.2) == fits


def test_points_of_equal_quantiles_lie_on_the_line() -> None:
    rows = LINE.sample(20_000, rng=4)[0][:, 0]
    ax = plot.qq(LINE, rows)
    expected, observed = next(line for line in ax.lines if line.get_marker() == "o").get_data()
    inner = (expected > np.quantile(rows, 0.02)) & (expected < np.quantile(rows, 0.98))
    assert set(observed) <= set(rows)
    # Where the density is next to nothing a quantile may be anywhere: judged by probability, not by place.
    at = np.searchsorted(np.sort(rows), expected[inner]) / len(rows)
    assert np.abs(at - np.searchsorted(np.sort(rows), observed[inner]) / len(rows)).max() < 1.63 / np.sqrt(len(rows))


def test_doubt_is_what_the_greatest_responsibility_leaves() -> None:
    ax = plot.uncertainty(FLOWERS, X)
    (points,) = [one for one in ax.collections if one.get_array() is not None]
    joint = np.stack(
        [
            w * multivariate_normal.pdf(X, m, S)
            for w, m, S in zip(FLOWERS.weights, FLOWERS.means, FLOWERS.covariances, strict=True)
        ]
    )
    doubt = 1 - joint.max(axis=0) / joint.sum(axis=0)
    np.testing.assert_allclose(np.asarray(points.get_array()), np.sort(doubt), atol=1e-12)
    assert np.all(np.diff(points.get_sizes()) >= 0), "the more doubtful, the larger"


def test_heat_map_has_a_block_for_each_component() -> None:
    ax = plot.responsibilities(FLOWERS, X)
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (3, len(X))
    np.testing.assert_allclose(shown.sum(axis=0), 1)
    best = shown.argmax(axis=0)
    assert np.all(np.diff(best) >= 0)
    assert np.bincount(best).tolist() == np.bincount(FLOWERS.predict(X)).tolist()


def test_profiles_are_in_the_units_of_the_features() -> None:
    ax = plot.profiles(FLOWERS, X)
    ends = [float(text.get_text()) for text in ax.texts]
    high, low = np.array(ends[0::2]), np.array(ends[1::2])
    lines = [line for line in ax.lines if len(line.get_xdata()) == 4]
    for k, line in enumerate(lines):
        found = low + np.asarray(line.get_ydata()) * (high - low)
        np.testing.assert_allclose(found, FLOWERS.means[k], rtol=0.03)
    assert (X.max(axis=0) <= high * 1.01).all()


def test_pairs_have_rows_above_and_regions_below() -> None:
    axes = plot.pairs(FLOWERS, X, features=(3, 0, 1))
    render(axes[0, 0])
    assert axes.shape == (3, 3)
    for i in range(3):
        for j in range(3):
            ellipses = [patch for patch in axes[i, j].patches if isinstance(patch, Ellipse)]
            regions = [one for one in axes[i, j].collections if hasattr(one, "levels")]
            assert (len(ellipses), len(regions)) == ((3, 0) if i < j else (0, 2) if i > j else (0, 0))
            assert axes[i, j].get_xlim() == axes[0, j].get_xlim()
    assert axes[1, 0].get_ylim() == axes[1, 2].get_ylim()
    assert plot.pairs(LINE, X[:, 2]).shape == (1, 1)


def test_accelerated_passes_are_marked() -> None:
    model = fitted()
    ax = plot.loglik(model)
    (marks,) = [line for line in ax.lines if line.get_label() == "accelerated step"]
    steps = [t for t, one in enumerate(model.history_) if one["accelerated"]]
    assert list(marks.get_xdata()) == steps
    np.testing.assert_array_equal(marks.get_ydata(), np.array(model.log_likelihood_history_)[steps])


def test_starts_are_in_order_and_have_the_shape_of_their_outcome() -> None:
    model = fitted()
    ax = plot.restarts(model)
    points = {one.get_label(): one.get_offsets().data for one in ax.collections}
    assert {name: len(rows) for name, rows in points.items()} == {"converged": 5, "max_iter": 2, "degenerate": 1}
    every = np.concatenate(list(points.values()))
    every = every[every[:, 0].argsort()]
    np.testing.assert_array_equal(every[:, 1], sorted((one["objective"] for one in model.restarts_), reverse=True))


def test_restarts_of_a_fit_are_drawn() -> None:
    gm = GaussianMixture(3, n_init=5, random_state=0).fit(X)
    ax = plot.restarts(gm)
    render(ax)
    assert sum(len(one.get_offsets()) for one in ax.collections) == len(gm.restarts_)


def test_criteria_are_those_of_the_best_family() -> None:
    chosen = selection()
    ax = plot.criteria(chosen)
    for line, name in zip(ax.lines, ("bic", "icl"), strict=False):
        least = [
            min(one[name] for one in chosen.records if one["n_components"] == k and one["status"] == "ok")
            for k in range(1, 7)
        ]
        np.testing.assert_allclose(line.get_ydata(), least)


def test_entropy_is_that_of_the_posteriors() -> None:
    rows = PARTS.sample(500, rng=0)[0]
    merging = merge_clusters(PARTS, rows)
    ax, same = plot.entropy(merging), plot.entropy(PARTS, rows)
    points, again = (next(line for line in one.lines if line.get_marker() == "o") for one in (ax, same))
    np.testing.assert_array_equal(points.get_ydata(), again.get_ydata())
    t = PARTS.responsibilities(rows)
    assert points.get_ydata()[0] == pytest.approx(-np.sum(t * np.log(np.maximum(t, 1e-300))))
    assert [text.get_text() for text in ax.texts] == ["5", "4", "3", "2", "1"]
    records = [dict(zip(merging.table.columns, row, strict=True)) for row in merging.table.to_numpy()]
    np.testing.assert_array_equal(column(records, "entropy"), column(merging.table, "entropy"))
    ring = next(line for line in ax.lines if line.get_markersize() > 10)
    assert ring.get_label() == f"chosen: {len(merging.groups)} clusters"


def test_bars_are_as_narrow_as_the_density_asks() -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, 1_000)
    ax = plot.density(Mixture([1.0], [[3.0]], [4.0]), rows)
    edges = next(patch for patch in ax.patches if isinstance(patch, StepPatch)).get_data().edges
    # Scott 1979: of a Gaussian the best width is 3.49 s n^(-1/3), here less than numpy's "auto" would be.
    widest = min(3.49 * 2.0 * 1_000 ** (-1 / 3), np.diff(np.histogram_bin_edges(rows, "auto"))[0] * 1.0001)
    assert 0.9 * widest < np.diff(edges)[0] <= widest * 1.001


def test_generalised_eigenvectors_are_those_of_the_definition() -> None:
    S, W = FLOWERS.cov, np.tensordot(FLOWERS.weights, FLOWERS.covariances, axes=1)
    away = FLOWERS.means - FLOWERS.mean
    B = (away * FLOWERS.weights[:, None]).T @ away
    C = sum(
        w * (one - W) @ np.linalg.inv(S) @ (one - W)
        for w, one in zip(FLOWERS.weights, FLOWERS.covariances, strict=True)
    )
    expected = eigh(B @ np.linalg.inv(S) @ B + C, S, eigvals_only=True)[::-1]
    values, vectors = directions_of(FLOWERS)
    np.testing.assert_allclose(values, expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ S @ vectors, np.eye(4), atol=1e-9)
