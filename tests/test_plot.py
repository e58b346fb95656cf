"""The pictures: what is drawn is the model, and nothing else in matplotlib is touched."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color, to_rgba
from matplotlib.patches import Ellipse, StepPatch
from matplotlib.text import Text
from scipy.integrate import trapezoid
from scipy.stats import chi2, norm

from mixtura import GaussianMixture, Mixture, Selection, select
from mixtura.plot import (
    MARKERS,
    MAX_BINS,
    NAMED,
    OKABE_ITO,
    ROWS_DRAWN,
    SHAPED_ROWS,
    criterion,
    density,
    loglik,
    scatter,
)


def random_mixture(K: int, d: int, seed: int = 0, *, scales: object = 1.0) -> Mixture:
    """A mixture with correlated components; ``scales`` are the units of the features."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((K, d, d)) * 0.8
    unit = np.broadcast_to(np.asarray(scales, dtype=float), (d,))
    covariances = (factor @ factor.transpose(0, 2, 1) + 0.2 * np.eye(d)) * np.outer(unit, unit)
    return Mixture(rng.dirichlet(np.full(K, 5.0)), 5 * rng.standard_normal((K, d)) * unit, covariances)


def fitted(K: int, d: int, seed: int = 0) -> GaussianMixture:
    X, _ = random_mixture(K, d, seed).sample(400, seed)
    return GaussianMixture(K, random_state=seed).fit(X)


MODELS = {
    "Mixture": random_mixture,
    "fitted": fitted,
    "from_mixture": lambda K, d: GaussianMixture.from_mixture(random_mixture(K, d)),
}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> object:
    return MODELS[request.param]


@pytest.fixture(autouse=True)
def _nothing_else_touched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No picture shows itself, changes a setting or touches a figure that was there before."""

    def show(*_: object, **__: object) -> None:
        raise AssertionError("a picture must not show itself")

    monkeypatch.setattr(plt, "show", show)
    before = dict(mpl.rcParams)
    other, ax = plt.subplots()
    ax.plot([0, 1], [0, 1])
    yield
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend().lower() == "agg"
    assert plt.fignum_exists(other.number)
    assert len(ax.lines) == 1
    assert not ax.patches
    assert not ax.collections
    plt.close("all")


def render(ax: Axes) -> None:
    """Draw for good: artists that are wrong often complain only now."""
    ax.figure.savefig(io.BytesIO(), format="png")
    ax.figure.savefig(io.BytesIO(), format="svg")


def ellipses(ax: Axes) -> list[Ellipse]:
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def histogram(ax: Axes) -> tuple[np.ndarray, np.ndarray]:
    (steps,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    data = steps.get_data()
    return np.asarray(data.values), np.asarray(data.edges)


def curves(ax: Axes) -> list[np.ndarray]:
    """The component curves and, last, their sum; (2, n) each."""
    return [np.array(line.get_data()) for line in ax.lines if len(line.get_xdata()) > 2]


def drawn_rows(ax: Axes) -> np.ndarray:
    offsets = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.asarray(part) for part in offsets])


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend_texts(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


# every function ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("d", [2, 4])
def test_scatter_draws_every_kind_of_model(make: object, d: int, rows: bool) -> None:
    model = make(3, d)
    X = random_mixture(3, d).sample(300, 1)[0] if rows else None
    ax = scatter(model, X)
    render(ax)
    assert isinstance(ax, Axes)
    assert len(ellipses(ax)) == 3
    assert texts(ax) == ["0", "1", "2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 0", "feature 1")
    if rows:
        np.testing.assert_array_equal(np.sort(drawn_rows(ax), axis=0), np.sort(X[:, :2], axis=0))
    else:
        assert not ax.collections


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_density_draws_every_kind_of_model(make: object, d: int, rows: bool) -> None:
    model = make(3, d)
    X = random_mixture(3, d).sample(300, 1)[0] if rows else None
    ax = density(model, X, feature=d - 1)
    render(ax)
    assert isinstance(ax, Axes)
    assert len(curves(ax)) == 4
    assert texts(ax) == ["0", "1", "2"]
    assert ax.get_xlabel() == ("x" if d == 1 else f"feature {d - 1}")
    assert ax.get_ylabel() == "density"


@pytest.mark.parametrize("d", [1, 2, 4])
def test_loglik_draws_the_history(d: int) -> None:
    gm = fitted(3, d)
    ax = loglik(gm)
    render(ax)
    passes, values = ax.lines[0].get_data()
    np.testing.assert_array_equal(values, gm.log_likelihood_history_)
    np.testing.assert_array_equal(passes, np.arange(gm.n_iter_ + 1))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("pass", "log-likelihood (nats)")
    (note,) = texts(ax)
    assert f"{gm.loglik_:,.4f}" in note
    assert "converged" in note


@pytest.mark.parametrize("draw", [scatter, density, loglik])
def test_draws_where_it_is_told_or_on_one_new_figure(draw: object) -> None:
    gm = fitted(2, 2)
    before = plt.get_fignums()
    figure, axes = plt.subplots(1, 2)
    assert draw(gm, ax=axes[1]) is axes[1]
    assert not axes[0].has_data()
    assert len(plt.get_fignums()) == len(before) + 1
    ax = draw(gm)
    assert ax.figure is not figure
    assert len(plt.get_fignums()) == len(before) + 2


@pytest.mark.parametrize("draw", [scatter, density, loglik])
def test_draws_on_a_figure_that_pyplot_does_not_know(draw: object) -> None:
    from matplotlib.figure import Figure

    before = plt.get_fignums()
    render(draw(fitted(2, 2), ax=Figure().add_subplot()))
    assert plt.get_fignums() == before


def test_the_models_own_method_chooses_the_picture() -> None:
    for d, label in ((1, "density"), (2, "feature 1")):
        mixture = random_mixture(2, d)
        X, _ = mixture.sample(100, 0)
        assert mixture.plot(X).get_ylabel() == label
        figure, ax = plt.subplots()
        assert GaussianMixture(2, random_state=0).fit(X).plot(X, ax=ax) is ax
        assert ax.get_ylabel() == label
        assert ax.figure is figure


# names -------------------------------------------------------------------------------------------


def test_labels_are_the_names_of_the_frame_or_of_the_fit() -> None:
    mixture = random_mixture(2, 3)
    frame = pd.DataFrame(mixture.sample(80, 0)[0], columns=["a", "b", "c"])
    gm = GaussianMixture(2, random_state=0).fit(frame)
    pictures = [
        scatter(gm, features=(2, 0)),
        scatter(gm, frame, features=(2, 0)),
        scatter(gm, frame.to_numpy(), features=(2, 0)),
        scatter(mixture, frame, features=(2, 0)),
        scatter(mixture, features=(2, 0), feature_names=["a", "b", "c"]),
    ]
    for ax in pictures:
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("c", "a")
        assert density(gm, frame, feature=1).get_xlabel() == "b"
    given = scatter(gm, frame, feature_names=["u", "v", "w"])
    assert (given.get_xlabel(), given.get_ylabel()) == ("u", "v")


def test_arrow_tables_have_names_too() -> None:
    pa = pytest.importorskip("pyarrow")
    x = np.arange(6.0)
    table = pa.table({"length": x, "width": x[::-1] ** 2})
    ax = scatter(random_mixture(2, 2), table)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")


def test_columns_that_are_not_strings_are_no_names() -> None:
    mixture = random_mixture(2, 2)
    ax = scatter(mixture, pd.DataFrame(mixture.sample(20, 0)[0]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 0", "feature 1")


def test_columns_in_another_order_are_refused() -> None:
    frame = pd.DataFrame(random_mixture(2, 2).sample(80, 0)[0], columns=["a", "b"])
    gm = GaussianMixture(2, random_state=0).fit(frame)
    for draw in (scatter, density):
        with pytest.raises(ValueError, match=r"columns \['a', 'b'\] of the fit.*got \['b', 'a'\]"):
            draw(gm, frame[["b", "a"]], feature_names=["u", "v"])


# scatter -----------------------------------------------------------------------------------------

UNITS = {"alike": (1.0, 1.0, 1.0, 1.0), "unlike": (1e-3, 1e5, 1.0, 30.0)}


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("features", [(0, 1), (3, 1), (1, 2)])
def test_ellipses_hold_their_probability(features: tuple[int, int], units: str) -> None:
    K, n = 3, 60_000
    mixture = random_mixture(K, 4, 5, scales=UNITS[units])
    X, labels = mixture.sample(n, 11)
    levels = [0.5, 0.9, 0.99]
    patches = ellipses(scatter(mixture, features=features, probability=levels))
    assert len(patches) == K * len(levels)
    for index, patch in enumerate(patches):
        k, level = index // len(levels), sorted(levels, reverse=True)[index % len(levels)]
        own = X[labels == k][:, features]
        outline = patch.get_patch_transform().transform_path(patch.get_path())
        # Units brought to the same size: matplotlib's test of a point is not made for thin shapes.
        unit = own.std(axis=0)
        outline = type(outline)(outline.vertices / unit, outline.codes)
        inside = outline.contains_points(own / unit).mean()
        assert abs(inside - level) < 5 * np.sqrt(level * (1 - level) / len(own))


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("features", [(0, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("level", [0.1, 0.9])
def test_ellipses_have_the_axes_of_the_covariance(features: tuple[int, int], units: str, level: float) -> None:
    mixture = random_mixture(4, 4, 3, scales=UNITS[units])
    for k, patch in enumerate(ellipses(scatter(mixture, features=features, probability=level))):
        plane = mixture.covariances[k][np.ix_(features, features)]
        np.testing.assert_allclose(patch.get_center(), mixture.means[k][list(features)])
        angle = np.radians(patch.angle)
        for length, direction in (
            (patch.width, np.array([np.cos(angle), np.sin(angle)])),
            (patch.height, np.array([-np.sin(angle), np.cos(angle)])),
        ):
            value = (length / 2) ** 2 / chi2.ppf(level, 2)
            error = plane @ direction - value * direction
            assert np.abs(error).max() < 1e-10 * np.trace(plane)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        halves = np.diag([(patch.width / 2) ** 2, (patch.height / 2) ** 2])
        np.testing.assert_allclose(turned @ halves @ turned.T / chi2.ppf(level, 2), plane, rtol=1e-5)


def test_diagonal_and_spherical_components_have_ellipses_too() -> None:
    for covariances in ([[1.0, 4.0]] * 2, [1.0, 9.0]):
        mixture = Mixture([0.5, 0.5], [[0.0, 0.0], [9.0, 9.0]], covariances)
        ax = scatter(mixture, mixture.sample(50, 0)[0])
        render(ax)
        for k, patch in enumerate(ellipses(ax)):
            axes = np.sort([patch.width, patch.height])
            expected = np.sort(np.sqrt(np.diag(mixture.covariances[k]) * chi2.ppf(0.9, 2)))
            np.testing.assert_allclose(axes / 2, expected)


def test_ellipses_and_rows_are_within_the_axes() -> None:
    mixture = random_mixture(3, 2, 2)
    X, _ = mixture.sample(200, 3)
    ax = scatter(mixture, X, probability=0.999)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    edges = [patch.get_patch_transform().transform_path(patch.get_path()).vertices for patch in ellipses(ax)]
    for x, y in np.vstack([X, *edges]):
        assert left < x < right
        assert bottom < y < top


def test_rows_are_coloured_and_shaped_by_component() -> None:
    mixture = random_mixture(4, 2, 1)
    X, _ = mixture.sample(SHAPED_ROWS, 2)
    labels = mixture.predict(X)
    ax = scatter(mixture, X)
    assert len(ax.collections) == len(np.unique(labels))
    shapes = set()
    for k, rows in zip(np.unique(labels), ax.collections, strict=True):
        np.testing.assert_array_equal(rows.get_offsets(), X[labels == k])
        assert same_color(rows.get_facecolors()[0][:3], OKABE_ITO[k])
        shapes.add(rows.get_paths()[0].vertices.tobytes())
    assert len(shapes) == len(ax.collections)


def test_many_rows_are_thinned_and_the_picture_says_so() -> None:
    n = 100_000
    mixture = random_mixture(3, 3, 4)
    X, _ = mixture.sample(n, 2)
    ax = scatter(mixture, X, features=(2, 0))
    render(ax)
    (rows,) = ax.collections
    assert rows.get_rasterized()
    drawn = np.asarray(rows.get_offsets())
    assert len(drawn) == ROWS_DRAWN
    assert f"{ROWS_DRAWN:,} of {n:,} rows" in legend_texts(ax)[0]
    # Each drawn row is a row of X, none twice, in the colour of its component.
    where = {tuple(row): index for index, row in enumerate(X[:, [2, 0]])}
    index = np.array([where[tuple(row)] for row in drawn])
    assert len(np.unique(index)) == ROWS_DRAWN
    expected = np.array([to_rgba(OKABE_ITO[k])[:3] for k in mixture.predict(X[index])])
    np.testing.assert_allclose(rows.get_facecolors()[:, :3], expected)
    # The same picture again.
    again = np.asarray(scatter(mixture, X, features=(2, 0)).collections[0].get_offsets())
    np.testing.assert_array_equal(drawn, again)


def test_few_rows_are_all_drawn_without_a_note() -> None:
    mixture = random_mixture(3, 2)
    ax = scatter(mixture, mixture.sample(ROWS_DRAWN, 0)[0])
    assert len(drawn_rows(ax)) == ROWS_DRAWN
    assert "rows" not in legend_texts(ax)[0]


def test_legend_says_probability_and_weights() -> None:
    mixture = Mixture([0.25, 0.745, 0.005], np.zeros((3, 2)), [1.0, 2.0, 3.0])
    note, *entries = legend_texts(scatter(mixture, probability=[0.9, 0.5]))
    assert note == "50% and 90% ellipses"
    assert entries == ["0: weight 0.25", "1: weight 0.74", "2: weight 0.005"]


def test_components_of_one_place_keep_their_numbers_apart() -> None:
    mixture = Mixture(np.full(5, 0.2), np.zeros((5, 2)), [1.0, 2.0, 3.0, 4.0, 5.0])
    ax = scatter(mixture)
    ax.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert texts(ax) == ["0", "1", "2", "3", "4"]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_many_components_have_numbers_and_colours_of_their_own() -> None:
    K = 30
    mixture = random_mixture(K, 2, 6)
    ax = scatter(mixture, mixture.sample(500, 0)[0])
    render(ax)
    assert K > NAMED > len(MARKERS)
    assert texts(ax) == [str(k) for k in range(K)]
    colors = {tuple(np.round(patch.get_edgecolor(), 6)) for patch in ellipses(ax)}
    assert len(colors) == K
    assert legend_texts(ax) == ["90% ellipses"]


# density -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 4])
def test_curves_are_the_weighted_components_and_their_sum(d: int) -> None:
    mixture = random_mixture(3, d, 8)
    feature = d - 1
    *parts, total = curves(density(mixture, feature=feature))
    x = total[0]
    assert (np.diff(x) > 0).all()
    for k, part in enumerate(parts):
        deviation = np.sqrt(mixture.covariances[k, feature, feature])
        expected = mixture.weights[k] * norm.pdf(x, mixture.means[k, feature], deviation)
        np.testing.assert_allclose(part[1], expected, rtol=1e-12)
    np.testing.assert_allclose(total[1], sum(part[1] for part in parts), rtol=1e-12)
    np.testing.assert_allclose(total[1], mixture.marginal([feature]).pdf(x[:, None]), rtol=1e-9, atol=1e-300)
    assert trapezoid(total[1], x) == pytest.approx(1, abs=1e-3)


def test_narrow_peaks_are_drawn_to_the_top() -> None:
    mixture = Mixture([0.5, 0.5], [[0.0], [123.456]], [100.0, 1e-6])
    *_, total = curves(density(mixture))
    assert total[1].max() == pytest.approx(float(mixture.pdf([[123.456]])[0]), rel=1e-6)
    assert trapezoid(total[1], total[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("bins", ["auto", "fd", 17, np.linspace(-100, 100, 50)])
@pytest.mark.parametrize("d", [1, 3])
def test_histogram_is_normalised(d: int, bins: object) -> None:
    mixture = random_mixture(3, d, 9)
    X, _ = mixture.sample(2000, 4)
    heights, edges = histogram(density(mixture, X, feature=d - 1, bins=bins))
    assert (heights * np.diff(edges)).sum() == pytest.approx(1, abs=1e-12)
    expected, _ = np.histogram(X[:, d - 1], bins=edges, density=True)
    np.testing.assert_allclose(heights, expected, rtol=1e-12)


def test_auto_bins_are_those_of_numpy() -> None:
    for seed in range(3):
        X, _ = random_mixture(3, 1, seed).sample(700, seed)
        _, edges = histogram(density(random_mixture(3, 1, seed), X, bins="auto"))
        np.testing.assert_allclose(edges, np.histogram_bin_edges(X, bins="auto"))


def test_rows_outside_the_bins_count_as_rows() -> None:
    X = np.arange(10.0)
    heights, edges = histogram(density(Mixture([1.0], [[4.5]], [8.0]), X, bins=[0.0, 2.0, 5.0]))
    np.testing.assert_allclose(heights * np.diff(edges), [0.2, 0.4])


def test_one_far_row_does_not_make_millions_of_bins() -> None:
    mixture = random_mixture(2, 1)
    X = np.append(mixture.sample(1000, 0)[0].ravel(), 1e12)
    ax = density(mixture, X)
    render(ax)
    heights, edges = histogram(ax)
    assert len(heights) <= MAX_BINS
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)


def test_legend_names_components_of_a_density() -> None:
    mixture = Mixture([0.25, 0.75], [[0.0], [5.0]], [1.0, 1.0])
    ax = density(mixture, np.linspace(0, 5, 1234))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "1,234 rows",
        "0: weight 0.25",
        "1: weight 0.75",
        "mixture",
    ]
    # Dashes tell the components apart as well as colours do.
    styles = {(line.get_linestyle(), line.get_color()) for line in ax.lines[:2]}
    assert len(styles) == 2
    assert len({style for style, _ in styles}) == 2


def test_many_components_of_a_density_are_numbered() -> None:
    K = NAMED + 8
    ax = density(random_mixture(K, 1))
    render(ax)
    assert texts(ax) == [str(k) for k in range(K)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mixture"]


# data on the edge --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        np.empty((0, 2)),
        np.array([[0.5, 0.5]]),
        np.full((5, 2), 3.0),
        np.full((5, 2), 1e17),
        np.array([[1e8, 1e8], np.nextafter([1e8, 1e8], np.inf)]),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], dtype=np.float32),
        [[1.0, 2.0], [3.0, 4.0]],
        np.array([[True, False], [False, False]]),
    ],
    ids=["none", "one", "constant", "large", "neighbours", "int", "float32", "list", "bool"],
)
def test_any_finite_rows_can_be_drawn(rows: object) -> None:
    mixture = random_mixture(2, 2)
    render(scatter(mixture, rows))
    ax = density(mixture, rows)
    render(ax)
    assert np.isfinite([ax.get_xlim(), ax.get_ylim()]).all()


def test_extreme_units_can_be_drawn() -> None:
    for scales in ((1e-12, 1e12), (1e9, 1e9)):
        mixture = random_mixture(3, 2, scales=scales)
        X, _ = mixture.sample(100, 0)
        render(scatter(mixture, X))
        for feature in (0, 1):
            render(density(mixture, X, feature=feature))


def test_one_component() -> None:
    gm = GaussianMixture(1).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]])
    for draw in (scatter, density, loglik):
        render(draw(gm))


def test_an_unconverged_fit_says_so() -> None:
    X, _ = random_mixture(3, 2).sample(200, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gm = GaussianMixture(3, n_init=1, max_iter=2, tol=0, random_state=0).fit(X)
    (note,) = texts(loglik(gm))
    assert "after pass 2" in note
    assert "max_iter" in note


# errors ------------------------------------------------------------------------------------------

TWO, ONE = random_mixture(2, 2), random_mixture(2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scatter(ONE), r"at least two features.*call mixtura\.plot\.density"),
        (lambda: scatter(TWO, features=(0, 2)), "from 0 to 1, got 2"),
        (lambda: scatter(TWO, features=(-1, 0)), "from 0 to 1, got -1"),
        (lambda: scatter(TWO, features=(0, 0.5)), "from 0 to 1, got 0.5"),
        (lambda: scatter(TWO, features=(0, 0)), "two different features"),
        (lambda: scatter(TWO, features=(0,)), r"two different features.*mixtura\.plot\.density"),
        (lambda: scatter(TWO, features=1), r"two different features, got 1"),
        (lambda: scatter(TWO, np.zeros((4, 3))), r"shape \(n, 2\).*got shape \(4, 3\)"),
        (lambda: scatter(TWO, np.zeros(4)), r"shape \(n, 2\).*got shape \(4,\)"),
        (lambda: scatter(TWO, [[0.0, np.inf]]), "row 0, column 1.* is inf"),
        (lambda: scatter(TWO, probability=0), "between 0 and 1.*got 0"),
        (lambda: scatter(TWO, probability=1.0), "between 0 and 1"),
        (lambda: scatter(TWO, probability=[]), "between 0 and 1"),
        (lambda: scatter(TWO, probability=[0.5, np.nan]), "between 0 and 1"),
        (lambda: scatter(TWO, probability="most"), "between 0 and 1.*got 'most'"),
        (lambda: scatter(TWO, feature_names=["a"]), "2 names"),
        (lambda: scatter(TWO, feature_names="ab"), "2 names"),
        (lambda: scatter(np.zeros((3, 2)), TWO), "model first"),
        (lambda: scatter(GaussianMixture(2)), r"not fitted: call fit\(X\)"),
        (lambda: density(TWO, feature=2), "from 0 to 1, got 2"),
        (lambda: density(ONE, feature=1), "only feature, got 1"),
        (lambda: density(TWO, feature=True), "from 0 to 1, got True"),
        (lambda: density(TWO, np.zeros((4, 1))), r"shape \(n, 2\)"),
        (lambda: density(GaussianMixture(2)), r"not fitted: call fit\(X\)"),
        (lambda: density(None), "a Mixture, got NoneType"),
        (lambda: loglik(TWO), "got a Mixture, which keeps no record"),
        (lambda: loglik(GaussianMixture(2)), r"not fitted: call fit\(X\)"),
        (lambda: loglik(GaussianMixture.from_mixture(TWO)), r"fitted to rows.*call fit\(X\)"),
        (lambda: loglik(np.zeros(3)), "a Mixture, got ndarray"),
    ],
)
def test_errors_say_what_to_do(call: object, message: str) -> None:
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
    assert plt.get_fignums() == before, "an error must not leave an empty figure behind"


@pytest.mark.parametrize("draw", [scatter, density, loglik])
def test_without_matplotlib_the_error_names_the_extra(draw: object, monkeypatch: pytest.MonkeyPatch) -> None:
    gm = fitted(2, 2)
    loaded = [name for name in sys.modules if name.split(".")[0] == "matplotlib"]
    with monkeypatch.context() as missing:
        for name in loaded:
            missing.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=r'pip install "mixtura\[plot\]"'):
            draw(gm)


# a selection -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def selection() -> Selection:
    X = random_mixture(3, 2, 1).sample(200, 1)[0]
    return select(X, [1, 2, 3, 4], ["EII", "VII", "EEE", "VVV"], random_state=0)


def test_a_line_for_each_family(selection: Selection) -> None:
    ax = criterion(selection)
    lines = {str(line.get_label()): line for line in ax.lines if not str(line.get_label()).startswith("_")}
    assert list(lines) == ["EII", "VII", "EEE", "VVV"]
    for name, line in lines.items():
        own = [one for one in selection.records if one["covariance_type"] == name]
        np.testing.assert_array_equal(line.get_xdata(), [one["n_components"] for one in own])
        expected = [one["bic"] if one["status"] == "ok" else np.nan for one in own]
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert same_color(lines["EII"].get_color(), lines["VII"].get_color())
    assert lines["EII"].get_linestyle() == "-"
    assert lines["VII"].get_linestyle() == "--"
    best = selection.ranked[0]
    (ring,) = [line for line in ax.lines if line.get_markersize() > 10]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (best["n_components"], best["bic"])
    low, high = ax.get_ylim()
    assert low < best["bic"] < high
    plt.close(ax.figure)


@pytest.mark.parametrize("column", ["icl", "icl_entropy", "aic", "loglik"])
def test_other_columns(selection: Selection, column: str) -> None:
    ax = selection.plot(criterion=column)
    assert ("higher" if column == "loglik" else "lower") in ax.get_ylabel()
    plt.close(ax.figure)


def test_families_far_away_are_named() -> None:
    X = np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 100.0, 1e4]
    ax = select(X, [1, 2, 3], ["EII", "EEI", "EEE", "VVI", "VVV", "EVI", "VEI"], random_state=0).plot()
    assert "beyond: EII" in [text.get_text() for text in ax.texts]
    plt.close(ax.figure)


def test_a_selection_of_nothing_is_drawn_all_the_same() -> None:
    ax = select(np.random.default_rng(0).normal(size=(20, 2)), [1, 2], time_budget=0, random_state=0).plot()
    assert "no model is ok" in [text.get_text() for text in ax.texts]
    plt.close(ax.figure)


def test_what_is_no_selection_is_refused(selection: Selection) -> None:
    with pytest.raises(ValueError, match="needs a Selection, got GaussianMixture"):
        criterion(GaussianMixture(2))
    with pytest.raises(ValueError, match="criterion must be one of bic, icl, icl_entropy, aic, loglik, got 'cv'"):
        criterion(selection, "cv")
