"""What a notebook shows: well formed, harmless, small, and with the numbers of the model."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sklearn
from scipy.stats import norm
from sklearn.utils import estimator_html_repr

from mixtura import GaussianMixture, Mixture, Selection, html, select
from mixtura.evaluate import ranked

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ['<script>alert("1")</script>', "a & b' \"<", "nul\x00 \ud800 \u202e", "x" * 500, "<!-- ", "]]>"]
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Balanced(HTMLParser):
    """Elements as a browser's parser meets them; every one of them closed in its turn."""

    def __init__(self, document):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(fragment):
    """The fragment as a tree, when it has been found to be harmless HTML that is XML, too."""
    seen = Balanced(fragment)
    assert not {"script", "iframe", "link", "img", "object"} & set(seen.tags)
    for name, value in seen.attributes:
        assert not name.startswith("on"), name
        assert name not in ("href", "src", "id"), name
        assert "://" not in (value or "") or name == "xmlns"
    assert "url(" not in fragment
    assert "@import" not in fragment
    fragment.encode("utf-8")
    root = ET.fromstring(f"<body>{fragment}</body>")
    for svg in root.iter(f"{SVG}svg"):
        assert svg.get("role") == "img"
        assert svg[0].tag == f"{SVG}title"
        assert svg[0].text
        assert len(ET.tostring(svg)) < 20_000
    for head in root.iter("th"):
        assert head.get("scope") in ("row", "col", "colgroup")
    return root


def words(element):
    return " ".join("".join(element.itertext()).split())


def body(root, number):
    """The rows of a table, each as the texts of its cells."""
    table = list(root.iter("table"))[number]
    return [[words(cell) for cell in row] for row in table.find("tbody")]


def drawn_ellipses(root):
    """Center, matrix of the ellipse of one deviation, and ratio of the outer to the inner one; in the order drawn."""
    found = []
    for group in root.iter(f"{SVG}g"):
        rings = group.findall(f"{SVG}ellipse")
        if rings:
            u, v, angle = map(float, re.findall(r"-?\d+\.\d+", group.get("transform")))
            sizes = np.array([[float(ring.get("rx")), float(ring.get("ry"))] for ring in rings])
            c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            turn = np.array([[c, -s], [s, c]])
            found.append((np.array([u, v]), turn @ np.diag(sizes[0] ** 2) @ turn.T, sizes[1] / sizes[0], turn))
    return found


def on_axes(root, u, v):
    """What places of a picture are by the numbers written at its axes."""
    lines = []
    for anchor, pattern in (("middle", r"M(.+) .+v4"), ("end", r"M.+ (.+)h-4")):
        group = [g for g in root.iter(f"{SVG}g") if g.get("text-anchor") == anchor][-1]
        marks = [float(re.fullmatch(pattern, path.get("d"))[1]) for path in group.iter(f"{SVG}path")]
        labels = [float(label.text) for label in list(group.iter(f"{SVG}text"))[: len(marks)]]
        lines.append(np.polyfit(marks, labels, 1))
    return np.polyval(lines[0], u), np.polyval(lines[1], v)


def random_mixture(k, d, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(k, d, d + 2))
    weights = rng.dirichlet(np.ones(k))
    return Mixture(weights, rng.normal(0, 5, (k, d)) * 10.0 ** np.arange(d), roots @ roots.transpose(0, 2, 1))


def blobs(d, n=120, seed=1):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, (n // 2, d)), rng.normal(7, 2, (n // 2, d))])


TYPES = ["full", "tied", "diag", "spherical"]
TYPES += ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]


@pytest.mark.parametrize("kind", TYPES)
def test_every_covariance_type_shows_its_own_numbers(kind):
    gm = GaussianMixture(2, covariance_type=kind, random_state=0).fit(blobs(2))
    root = parsed(gm._repr_html_())
    assert kind in words(root)
    rows = body(root, 1)
    assert [row[0] for row in rows] == ["0", "1"]
    deviations = np.sqrt(np.diagonal(gm.mixture_.covariances, axis1=1, axis2=2))
    for k, row in enumerate(rows):
        covariance = gm.mixture_.covariances[k]
        numbers = np.array(row[1:], dtype=float)
        expected = [gm.weights_[k], gm.means_[k, 0], deviations[k, 0], gm.means_[k, 1], deviations[k, 1]]
        expected.append(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
        np.testing.assert_allclose(numbers, expected, atol=0.006)
    about = dict(body(root, 0))
    assert about["log-likelihood"].startswith(f"{gm.loglik_:.4f} ")
    assert about["BIC"].startswith(f"{gm.bic(blobs(2)):.4f} ")
    assert about["AIC"].startswith(f"{gm.aic(blobs(2)):.4f}")


@pytest.mark.parametrize("d", [2, 3, 5])
def test_ellipses_have_the_axes_of_the_covariances(d):
    m = random_mixture(4, d)
    ellipses = drawn_ellipses(parsed(html.svg_of(m)))
    assert len(ellipses) == 4
    centers = np.array([one[0] for one in ellipses])
    # Where the means are drawn says how the picture maps the plane, whatever the library thinks it does.
    across, left = np.polyfit(m.means[:, 0], centers[:, 0], 1)
    down, top = np.polyfit(m.means[:, 1], centers[:, 1], 1)
    assert across > 0 > down
    np.testing.assert_allclose(centers[:, 0], left + across * m.means[:, 0], atol=2e-3)
    np.testing.assert_allclose(centers[:, 1], top + down * m.means[:, 1], atol=2e-3)
    scale = np.diag([across, down])
    for (_, matrix, ratio, turn), covariance in zip(ellipses, m.covariances, strict=True):
        expected = scale @ covariance[:2, :2] @ scale
        np.testing.assert_allclose(matrix, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        np.testing.assert_allclose(ratio, 2.0, rtol=1e-3)
        direction = np.linalg.eigh(expected)[1][:, 1]
        assert abs(turn[:, 0] @ direction) > 1 - 1e-4


def test_every_ellipse_is_within_the_frame_where_the_axes_say():
    for seed in range(5):
        root = parsed(html.svg_of(random_mixture(6, 2, seed)))
        centers = np.array([one[0] for one in drawn_ellipses(root)])
        means = random_mixture(6, 2, seed).means
        np.testing.assert_allclose(np.transpose(on_axes(root, *centers.T)), means, atol=1e-2 * np.ptp(means))
        for (u, v), matrix, _, _ in drawn_ellipses(root):
            across, up = 2 * np.sqrt(np.diag(matrix))
            assert u - across >= html.LEFT - 0.1
            assert u + across <= html.RIGHT + 0.1
            assert v - up >= html.TOP - 0.1
            assert v + up <= html.BOTTOM + 0.1


def test_one_feature_shows_the_density():
    m = Mixture([0.3, 0.7], [[0.0], [5.0]], [1.0, 1e-4])
    root = parsed(m._repr_html_())
    *curves, whole = root.iter(f"{SVG}polyline")
    assert len(curves) == 2
    u, v = np.array([point.split(",") for point in whole.get("points").split()], dtype=float).T
    x, height = on_axes(root, u, v)
    peak = 0.7 * norm.pdf(0, scale=0.01) + 0.3 * norm.pdf(5)
    assert height.max() == pytest.approx(peak, rel=3e-3)  # the narrow component is not missed
    wide = x < 4
    np.testing.assert_allclose(height[wide], 0.3 * norm.pdf(x[wide]), atol=2e-3 * peak)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_many_components_are_counted_and_stay_small(d):
    m = random_mixture(50, d)
    root = parsed(m._repr_html_())
    rows = body(root, 1)
    assert len(rows) == html.LISTED
    top = np.sort(np.argsort(m.weights)[-html.LISTED :])
    assert [int(row[0]) for row in rows] == top.tolist()
    np.testing.assert_allclose([float(row[1]) for row in rows], m.weights[top], atol=6e-5)
    said = words(root)
    assert f"40 components more, of weight {m.weights.sum() - m.weights[top].sum():.4f} together" in said
    assert f"{html.DRAWN} heaviest of 50 components" in said
    if d > 1:
        assert len(drawn_ellipses(root)) == html.DRAWN
    assert len(m._repr_html_()) < 30_000


def test_many_features_are_counted():
    m = random_mixture(3, 40)
    root = parsed(m._repr_html_())
    assert len(body(root, 1)[0]) == 2 + 2 * html.FEATURES
    assert "34 features more." in words(root)
    assert "the first two of 40 features" in words(root)


def test_hostile_names_are_text():
    x = blobs(6)
    gm = GaussianMixture(2, random_state=0).fit(x)
    gm.feature_names_in_ = np.array(HOSTILE, dtype=object)
    fragment = gm._repr_html_()
    root = parsed(fragment)
    assert "<script" not in fragment
    heads = [words(head) for head in root.iter("th") if head.get("scope") == "colgroup"]
    assert heads[:2] == HOSTILE[:2]
    assert heads[2] == "nul\ufffd \ufffd \ufffd"
    assert len(heads[3]) == html.LONGEST
    gm = GaussianMixture(2, random_state=0).fit(x[:, :1])
    gm.feature_names_in_ = np.array(HOSTILE[:1], dtype=object)
    assert any(HOSTILE[0] in words(one) for one in parsed(gm._repr_html_()).iter(f"{SVG}svg"))


def test_hostile_parameters_and_remarks_are_text():
    gm = GaussianMixture(2, random_state=0).fit(blobs(2))
    gm.set_params(engine="<script>alert(2)</script>")
    assert "<script" not in gm._repr_html_()
    assert "<script>alert(2)</script>" in words(parsed(gm._repr_html_()))
    cell = {"covariance_type": "<script>", "n_components": 1, "loglik": -1.0, "df": 2, "bic": 5.0, "icl": 5.0}
    cell |= {"icl_entropy": 5.0, "aic": 6.0, "n_iter": 1, "seconds": 0.0, "status": "ok", "reason": "<script>&"}
    those = Selection((cell,), "bic", 9, 2, 0, 9.0, 0.1, ("<script>'",), gm, 9)
    assert "<script" not in those._repr_html_()
    assert "<script>'" in words(parsed(those._repr_html_()))


def test_a_background_is_said_and_weights_are_those_of_all_rows():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, 1, (150, 2)), rng.normal(9, 1, (150, 2)), rng.uniform(-20, 30, (60, 2))])
    gm = GaussianMixture(2, noise=True, random_state=0).fit(x)
    root = parsed(gm._repr_html_())
    weights = np.array([float(row[1]) for row in body(root, 1)])
    share = float(dict(body(root, 0))["background"].split()[0])
    assert share == pytest.approx(gm.background_.weight, abs=6e-5)
    assert weights.sum() + share == pytest.approx(1, abs=3e-4)
    assert "without the background" in words(root)


@pytest.mark.parametrize("noise", [None, True])
def test_a_loaded_model_shows_the_same(noise, tmp_path):
    x = blobs(2, 300)
    gm = GaussianMixture(2, noise=noise, random_state=0).fit(x)
    again = GaussianMixture.load(gm.save(tmp_path / "model.json"))
    ours, theirs = parsed(gm._repr_html_()), parsed(again._repr_html_())
    for number in (0, 1):
        assert body(ours, number) == body(theirs, number)
    assert html.svg_of(gm.mixture_) == html.svg_of(again.mixture_)
    mixture = Mixture.load(gm.mixture_.save(tmp_path / "mixture.json"))
    assert mixture._repr_html_() == gm.mixture_._repr_html_()
    assert "how it was fitted is not known" in words(parsed(mixture._repr_html_()))


def neutral(diagram):
    """A diagram of scikit-learn without the numbers that it counts up."""
    return re.sub(r"sk-(container|estimator)-id-\d+", "", diagram)


def test_what_is_not_fitted_is_scikit_learns_own():
    gm = GaussianMixture(3, covariance_type="EEE")
    assert neutral(gm._repr_html_()) == neutral(estimator_html_repr(gm))
    assert neutral(gm._repr_mimebundle_()["text/html"]) == neutral(estimator_html_repr(gm))
    assert gm._repr_mimebundle_()["text/plain"] == repr(gm)


def test_both_forms_agree_and_heed_scikit_learns_setting():
    gm = GaussianMixture(2, random_state=0).fit(blobs(2))
    forms = gm._repr_mimebundle_(include=None, exclude=None)
    assert forms == {"text/plain": repr(gm), "text/html": gm._repr_html_()}
    with sklearn.config_context(display="text"):
        assert not hasattr(gm, "_repr_html_")
        assert gm._repr_mimebundle_() == {"text/plain": repr(gm)}


def test_a_type_set_after_the_fit_is_not_that_of_the_fit():
    gm = GaussianMixture(2, random_state=0).fit(blobs(2)).set_params(covariance_type="diag")
    assert "covariance type full" in words(parsed(gm._repr_html_()))


def test_extreme_numbers_are_drawn():
    for m in (
        Mixture([1.0], [[1e12, 1e-12]], [[1e-6, 1e-30]]),
        Mixture([1.0], [[1e20]], [1.0]),
        Mixture([0.0, 1.0], [[0.0], [1.0]], [1.0, 1.0]),
        Mixture([1.0], [[0.0, 0.0]], [[1e200, 1e200]]),
    ):
        assert "nan" not in m._repr_html_()
        parsed(m._repr_html_())


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3.3, 7.2), (1e-7, 3e-7), (1e6, 1e6 + 5), (-1e9 - 1e-2, -1e9), (-2e9, 5e8)]
)
def test_ticks_are_within_the_range_and_say_what_they_are(low, high):
    marks = html.ticks(low, high)
    assert 2 <= len(marks) <= 6
    assert all(low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high) for value, _ in marks)
    assert len({label for _, label in marks}) == len(marks)
    for value, label in marks:
        assert float(label) == pytest.approx(value, rel=1e-6, abs=1e-6 * (high - low))
        assert abs(float(label) - value) < 1e-3 * (high - low)


@pytest.fixture(scope="module")
def chosen():
    return select(blobs(2, 200), range(1, 5), ["EII", "EEE", "VVV"], random_state=0)


def test_a_selection_shows_the_winner_and_the_best_cells(chosen):
    root = parsed(chosen._repr_html_())
    assert chosen.summary().split("\n")[0] in words(root)
    rows = body(root, 0)
    best = ranked(chosen.records, "bic")[: html.LISTED]
    assert [(row[0], int(row[1])) for row in rows] == [(one["covariance_type"], one["n_components"]) for one in best]
    for row, one in zip(rows, best, strict=True):
        numbers = [one[name] for name in ("loglik", "df", "bic", "icl", "aic")]
        np.testing.assert_allclose(np.array(row[2:], dtype=float), numbers, atol=0.006)
    said = words(root)
    for line in chosen.summary().split("\n"):
        assert " ".join(line.split()) in said
    lines = [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}title") is not None]
    assert {g[0].text for g in lines} == {"EII", "EEE", "VVV"}
    assert lines[-1][0].text == best[0]["covariance_type"]


def test_the_criterion_is_drawn_where_it_is(chosen):
    root = parsed(html.svg_of_criterion(chosen))
    known = ranked(chosen.records, "bic")
    points = []
    for group in root.iter(f"{SVG}g"):
        if group.find(f"{SVG}title") is None:
            continue
        own = sorted((one["n_components"], one["bic"]) for one in known if one["covariance_type"] == group[0].text)
        drawn = {tuple(xy.split(",")) for line in group.iter(f"{SVG}polyline") for xy in line.get("points").split()}
        drawn |= {(dot.get("cx"), dot.get("cy")) for dot in group.iter(f"{SVG}circle")}
        drawn = sorted(drawn, key=lambda place: float(place[0]))
        points += list(zip(own, drawn, strict=True))
    values, places = (np.array(those, dtype=float) for those in zip(*points, strict=True))
    for j in (0, 1):
        slope, start = np.polyfit(values[:, j], places[:, j], 1)
        np.testing.assert_allclose(places[:, j], start + slope * values[:, j], atol=0.11)
        assert (slope > 0) == (j == 0)


def test_a_selection_by_held_out_rows_of_one_number():
    those = select(blobs(2), 2, ["EII", "VVV"], criterion="cv", random_state=0)
    root = parsed(those._repr_html_())
    assert float(body(root, 0)[0][-1]) == pytest.approx(those.ranked[0]["cv"], abs=6e-5)
    assert len(list(root.iter(f"{SVG}circle"))) == 3


def test_a_large_grid_is_drawn_in_part():
    cell = {"loglik": -1.0, "df": 2, "icl": 5.0, "icl_entropy": 5.0, "aic": 6.0, "n_iter": 1, "seconds": 0.0}
    cell |= {"status": "ok", "reason": ""}
    cells = tuple(
        {"covariance_type": kind, "n_components": k, **cell, "bic": 1e5 + 100 * i + k}
        for i, kind in enumerate(TYPES[4:])
        for k in range(1, 101)
    )
    gm = GaussianMixture(1, covariance_type="EII", random_state=0).fit(blobs(2))
    those = Selection(cells, "bic", 9, 2, 0, 9.0, 0.1, (), gm, 9)
    said = words(parsed(those._repr_html_()))
    assert "Drawn: the 6 best of 14 covariance types." in said
    assert "1390 models more" in said


def test_a_selection_of_nothing_says_so():
    cell = {"covariance_type": "VVV", "n_components": 1, "df": 2, "seconds": 0.0, "status": "failed", "reason": "<why>"}
    those = Selection((cell,), "bic", 9, 2, 0, 9.0, 0.1, (), None, 9)
    root = parsed(those._repr_html_())
    assert "so that none is chosen" in words(root)
    assert "<why>" in words(root)


def test_pictures_stand_out_from_any_page():
    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark = luminance("#111111")
    for color in html.COLORS:  # WCAG 2.2, 1.4.11: graphics have a contrast of three
        assert 1.05 / (luminance(color) + 0.05) >= 3
        assert (luminance(color) + 0.05) / (dark + 0.05) >= 3


def test_the_core_does_not_load_it_and_it_needs_no_matplotlib():
    code = (
        "import sys, mixtura; assert 'mixtura.html' not in sys.modules; sys.modules['matplotlib'] = None;"
        "mixtura.Mixture([1.0], [[0.0, 0.0]], [1.0])._repr_html_()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
