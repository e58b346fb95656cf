"""Reports: the numbers are those of SciPy, scikit-learn and the model, and the page behaves in a browser."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, multivariate_normal, norm
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as Sklearn

from browsing import PHONE, visiting
from mixtura import GaussianMixture, Mixture, report, scan, select
from mixtura.cli import main
from mixtura.reading import read_table
from mixtura.report.aligned import order_of
from mixtura.report.data import DRAWN_ROWS, stretches
from mixtura.report.packing import labels
from mixtura.report.planes import planes_of

pytest.importorskip("plotly")

FAITHFUL = Path(__file__).parent.parent / "src" / "mixtura" / "data" / "faithful.csv"
MEGABYTE = 1_000_000
HOSTILE = [
    "</script><img src=x onerror=window.hit=1>",
    "\"><svg onload=window.hit=1> & ' `${window.hit=1}`",
    "%{x} <b>bold</b> <a href='javascript:window.hit=1'>link</a> %{customdata}",
    "nul\x00 line\u2028sep\u2029 turn\u202e {{data}} $x^2$",
    "long" * 2_500,
]
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Seen(HTMLParser):
    """The elements of a page, each closed in its turn, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.scripts, self.heads = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def numbers(page):
    """What the script draws."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page)[1])


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["b"]), {"f4": "<f4", "i2": "<i2", "i1": "i1", "u1": "u1"}[packed["t"]])


def values(data, z, n):
    """Rows (n, d) in the units of the features."""
    origin, unit = (np.array([one[key] for one in data["features"]]) for key in ("origin", "unit"))
    return unpacked(z).reshape(-1, n).T.astype(float) * unit + origin


def model(data, packed, K, at=0):
    """Weights, means and covariances of a packed model."""
    d = len(data["features"])
    origin, unit = (np.array([one[key] for one in data["features"]]) for key in ("origin", "unit"))
    size = K * (1 + d + d * (d + 1) // 2)
    part = unpacked(packed)[at * size : (at + 1) * size].astype(float)
    weights, means, upper = part[:K], part[K : K + K * d].reshape(K, d), part[K + K * d :].reshape(K, -1)
    covariances = np.empty((K, d, d))
    rows, columns = np.triu_indices(d)
    covariances[:, rows, columns] = covariances[:, columns, rows] = upper
    return weights, means * unit + origin, covariances * np.outer(unit, unit)


def words(page):
    """The text of a page without its scripts."""
    text = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def section(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)[0]


def body(page, caption):
    """The cells of a table."""
    table = re.search(rf"<caption>{caption}</caption>.*?<tbody>(.*?)</tbody>", page, flags=re.DOTALL)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", table)
    return [[words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


@pytest.fixture(scope="module")
def faithful():
    X = pd.read_csv(FAITHFUL)
    return X, GaussianMixture(2, random_state=0).fit(X)


@pytest.fixture(scope="module")
def page(faithful):
    return report(faithful[1], faithful[0])


# numbers --------------------------------------------------------------------------------------------------------------


def test_rows_and_model_are_those_of_the_fit(faithful, page):
    X, gm = faithful
    data = numbers(page)
    assert [one["name"] for one in data["features"]] == ["eruptions", "waiting"]
    rows = data["rows"]
    np.testing.assert_allclose(values(data, rows["z"], rows["n"]), X, atol=1e-5)
    weights, means, covariances = model(data, data["model"], 2)
    np.testing.assert_allclose(weights, gm.weights_, rtol=1e-6)
    np.testing.assert_allclose(means, gm.means_, rtol=1e-6)
    np.testing.assert_allclose(covariances, gm.covariances_, rtol=1e-5)
    joint = np.array(
        [w * multivariate_normal(m, c).pdf(X) for w, m, c in zip(weights, means, covariances, strict=True)]
    )
    np.testing.assert_array_equal(unpacked(rows["label"]), joint.argmax(axis=0))
    np.testing.assert_allclose(unpacked(rows["probability"]), (joint / joint.sum(axis=0)).max(axis=0), atol=1e-4)


def test_the_table_and_the_file_are_the_model(faithful, page, tmp_path):
    X, gm = faithful
    line = body(page, "The components")[1]
    assert line[1:] == ["0.3559", "2.036", "0.263", "54.48", "5.80", "0.285"]
    assert [float(cell) for cell in line[1:3]] == [round(gm.weights_[1], 4), round(gm.means_[1, 0], 3)]
    file = tmp_path / "model.json"
    file.write_text(re.search(r'id="file">(.*?)</script>', page, flags=re.DOTALL)[1])
    np.testing.assert_array_equal(GaussianMixture.load(file).predict_proba(X), gm.predict_proba(X))
    assert gm.loglik_ == pytest.approx(Sklearn(2, tol=1e-9, random_state=0).fit(X).score(X) * len(X), abs=1e-2)
    assert f"log-likelihood {gm.loglik_:.4f}" in words(page)


def test_doubt_is_that_of_scikit_learn(faithful, page):
    X, gm = faithful
    theirs = Sklearn(2, weights_init=gm.weights_, means_init=gm.means_, precisions_init=gm.precisions_, max_iter=1)
    with pytest.warns(ConvergenceWarning):
        theirs.fit(X)  # to make it fitted; its parameters are replaced
    theirs.weights_, theirs.means_, theirs.precisions_cholesky_ = gm.weights_, gm.means_, gm.precisions_cholesky_
    doubt = 1 - theirs.predict_proba(X).max(axis=1)
    first = body(page, "The rows that are in most doubt")[0]
    assert first[0] == f"row {doubt.argmax()}"
    assert first[2] == f"{1 - doubt.max():.3f}"
    assert [float(cell) for cell in first[5:]] == X.iloc[doubt.argmax()].tolist()
    assert f"{doubt.mean():.2%} of them are expected to go wrong" in words(page)
    drawn = numbers(page)["doubt"]
    np.testing.assert_array_equal(drawn["counts"], np.histogram(doubt, bins=drawn["edges"])[0])


def test_rows_far_out_are_told_from_others():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, (300, 3)), rng.normal(8, 1, (200, 3)), [[4.0, -9.0, 20.0]]])
    gm = GaussianMixture(2, random_state=0, covariance_type="diag").fit(X)
    page = report(gm, X, alternatives=False)
    d2 = np.min([((X - m) ** 2 / c).sum(axis=1) for m, c in zip(gm.means_, gm.covariances_, strict=True)], axis=0)
    p = chi2.sf(d2, 3)
    first = body(page, "The rows furthest out")[0]
    assert first[0] == "row 500"
    assert first[2] == "yes"
    assert float(first[1]) == pytest.approx(p[500], rel=0.05)
    limit = 1 - 0.95 ** (1 / len(X))
    said = words(section(page, "outliers"))
    assert f"{(p < limit).sum()} of 501 rows is far out" in said
    assert f"p below {limit:.2g}" in said
    assert f"{(p < 0.001).sum()} row" in said


def test_missing_values_have_fewer_degrees_of_freedom():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 2))
    X[::3, 0] = np.nan
    X[0] = [np.nan, 5.0]
    X[1] = np.nan
    gm = GaussianMixture(1, random_state=0).fit(X)
    page = report(gm, X, alternatives=False)
    first = body(page, "The rows furthest out")[0]
    z = (5.0 - gm.means_[0, 1]) / np.sqrt(gm.covariances_[0, 1, 1])
    assert (first[0], first[-2]) == ("row 0", "missing")
    assert float(first[1]) == pytest.approx(2 * norm.sf(z), rel=0.05)
    assert np.isnan(values(numbers(page), numbers(page)["rows"]["z"], 400)[1]).all()
    assert f"{np.isnan(X).sum()} values missing" in words(page)


def test_quantiles_and_histogram_of_one_feature():
    rng = np.random.default_rng(3)
    x = 1e9 + rng.normal(0, 1, 500)
    page = report(GaussianMixture(1, random_state=0).fit(x), x, alternatives=False)
    data = numbers(page)
    feature = data["features"][0]
    expected, observed, lower, upper = unpacked(data["calibration"]["quantiles"][0]).reshape(4, -1)
    m = len(observed)
    np.testing.assert_allclose(feature["origin"] + feature["unit"] * observed[[0, -1]], [x.min(), x.max()], atol=1e-4)
    z = norm.ppf((0.5 + np.arange(10)) / 500)  # each of the first ones is a point
    np.testing.assert_allclose(expected[:10], z, atol=1e-5)
    assert np.all(lower <= expected)
    assert np.all(expected <= upper)
    assert m <= 250
    histogram = data["histogram"]
    assert sum(histogram["counts"]) == 500
    edges = feature["origin"] + feature["unit"] * np.array(histogram["edges"])
    np.testing.assert_allclose(edges[[0, -1]], [x.min(), x.max()], atol=1e-4)


def test_passes_are_those_that_were_kept(faithful):
    X, _ = faithful
    gm = GaussianMixture(3, random_state=0, trace=True).fit(X)
    page = report(gm, X, alternatives=False)
    passes, data = numbers(page)["passes"], numbers(page)
    assert "These are the passes of the fit itself" in words(page)
    np.testing.assert_allclose(passes["objectives"], [one["objective"] for one in gm.history_])
    assert passes["shown"][0] == 0
    assert passes["shown"][-1] == len(gm.history_) - 1
    assert len(passes["shown"]) <= 60 < len(gm.history_)
    for place in (0, 20, len(passes["shown"]) - 1):
        weights, means, _ = model(data, passes["models"], 3, place)
        kept = gm.history_[passes["shown"][place]]["model"]
        np.testing.assert_allclose(weights, kept.weights, rtol=1e-5)
        np.testing.assert_allclose(means, kept.means, rtol=1e-5)
    few = data["few"]
    best = gm.history_[0]["model"].predict(values(data, few["z"], few["n"]))
    assert (unpacked(passes["first"])[: few["n"]] == best).mean() > 0.99


def test_passes_that_were_not_kept_are_made_again(faithful, page):
    _, gm = faithful
    passes, data = numbers(page)["passes"], numbers(page)
    assert "EM was run again on the same rows" in words(page)
    assert passes["objectives"][-1] == pytest.approx(gm.loglik_, abs=1e-6)
    assert np.all(np.diff(passes["objectives"]) > -1e-9)
    _, means, _ = model(data, passes["models"], 2, len(passes["shown"]) - 1)
    np.testing.assert_allclose(means, gm.means_, rtol=1e-4)


def test_other_models_have_the_numbers_of_scikit_learn(faithful, page):
    X, gm = faithful
    board = numbers(page)["board"]
    assert board["measures"][0]["key"] == "bic"
    cells = {(one["type"], one["k"]): one for one in board["cells"]}
    assert {k for _, k in cells} == {1, 2, 3, 4}
    own = board["cells"][board["own"]]
    assert (own["type"], own["k"]) == ("full", 2)
    assert own["values"][0] == pytest.approx(gm.bic(X), abs=1e-3)
    theirs = Sklearn(1, reg_covar=0).fit(X)
    assert cells["full", 1]["values"][0] == pytest.approx(theirs.bic(X), abs=1e-6)
    spherical = Sklearn(1, covariance_type="spherical", reg_covar=0).fit(X)
    assert cells["VII", 1]["values"][0] == pytest.approx(spherical.bic(X), abs=1e-6)


def test_a_selection_brings_its_table():
    iris = load_iris(as_frame=True).data
    chosen = select(iris, range(1, 5), ["EII", "VEV", "VVV"], random_state=0)
    page = chosen.report(iris)
    board = numbers(page)["board"]
    assert len(board["cells"]) == 12
    for one, record in zip(board["cells"], chosen.records, strict=True):
        assert (one["type"], one["k"]) == (record["covariance_type"], record["n_components"])
        assert one["values"][0] == pytest.approx(record["bic"])
        assert one["loglik"] == pytest.approx(record["loglik"])
        assert one["model"] is not None
    own = board["cells"][board["own"]]
    assert (own["type"], own["k"]) == (chosen.best_.covariance_type, chosen.best_.n_components)
    for line in chosen.summary().split("\n"):
        assert " ".join(line.split()) in words(page)


def test_a_mixture_has_no_record_of_a_fit():
    mixture = Mixture([0.5, 0.5], [[0.0, 0.0], [4.0, 4.0]], [1.0, 2.0])
    page = report(mixture, mixture.sample(50, 0)[0])
    data = numbers(page)
    assert data["passes"] is None
    assert data["board"] is None
    assert "no record of how it was fitted" in words(page)
    np.testing.assert_allclose(model(data, data["model"], 2)[1], mixture.means, atol=1e-6)


def test_a_background_has_a_label_of_its_own():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(0, 1, (300, 2)), rng.uniform(-20, 20, (60, 2))])
    gm = GaussianMixture(1, noise=True, random_state=0).fit(X)
    page = report(gm, X)
    data = numbers(page)
    np.testing.assert_array_equal(unpacked(data["rows"]["label"]), gm.labels_)
    assert data["background"]
    assert "fitted without what this model has beside the plain mixture: a uniform background" in words(page)
    assert f"The uniform background has weight {gm.noise_weight_:.4f}" in words(page)
    first = unpacked(data["passes"]["first"])[-data["few"]["n"] :].astype(int)
    assert ((first == -1) == (gm.labels_ == -1)).mean() > 0.97


def test_a_collapsed_component_has_a_remedy():
    X = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), np.full((6, 2), 9.0)])
    gm = GaussianMixture(2, random_state=0)
    with pytest.warns(UserWarning, match="tied"):
        gm.fit(X)
    page = report(gm, X)
    said = words(section(page, "checks"))
    assert "1 component of 2 needs a look" in said
    assert "Ask for fewer components" in said
    assert "Warning: " in words(section(page, "about"))
    assert "tied" in words(section(page, "about"))


def test_a_fit_that_was_cut_short_says_what_that_means():
    X = np.random.default_rng(0).normal(size=(200, 2))
    with pytest.warns(ConvergenceWarning):
        gm = GaussianMixture(3, max_iter=2, random_state=0).fit(X)
    said = words(section(report(gm, X, alternatives=False), "about"))
    assert "not converged (max_iter)" in said
    assert "It was still gaining" in said


# what is shown --------------------------------------------------------------------------------------------------------


def test_the_features_that_tell_most_come_first():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(300, 20))
    X[:150, 7] += 3
    X[:150, 13] -= 3
    gm = GaussianMixture(2, covariance_type="diag", labels_init=np.repeat([0, 1], 150)).fit(X)
    planes = planes_of(gm.mixture_, X, gm.labels_)
    assert len(planes.features) == 12
    assert {planes.features[place] for place in planes.pairs[0]} == {7, 13}
    page = report(gm, X)
    assert len(numbers(page)["features"]) == 12
    assert "The 12 of 20 features" in words(page)


def test_numbers_of_components_are_taken_over():
    own, wanted = np.array([2, 2, 0, 0, 1, 3]), np.array([0, 0, 1, 1, -1, 1])
    order = order_of(own, 4, wanted, 2)
    assert order[:2] == [2, 0]
    assert sorted(order) == [0, 1, 2, 3]


@pytest.mark.parametrize("K", [1, 128, 129, 20_000])
def test_labels_come_back_whatever_their_number(K):
    assert unpacked(labels([np.array([-1, 0]), np.array([K - 1])], K)).tolist() == [-1, 0, K - 1]
    assert unpacked(labels([], K)).tolist() == []


@pytest.mark.parametrize(("n", "most"), [(0, 5), (4, 5), (5, 5), (6, 5), (1001, 100)])
def test_some_rows_are_of_all_stretches(n, most):
    chosen = np.arange(n)[stretches(n, most)]
    assert min(n, most) / 2 <= len(chosen) <= most
    assert len(set(np.diff(chosen))) <= 1
    assert n - (chosen.max() if n else 0) <= -(-n // most)


def test_of_many_rows_some_are_drawn_and_the_page_is_small_enough():
    rng = np.random.default_rng(6)
    X = np.concatenate([rng.normal(6 * i, 1, (3_000, 4)) for i in range(5)])
    X = pd.DataFrame(X, index=[f"a row called {i} by a long name" for i in range(len(X))])
    gm = GaussianMixture(5, random_state=0).fit(X)
    page = report(gm, X, time_budget=5)
    data = numbers(page)
    assert data["rows"]["n"] == DRAWN_ROWS
    assert f"{DRAWN_ROWS:,} of 15,000 rows are drawn" in words(page)
    assert "Of 15,000 rows, the uncertainty is" in words(page)
    drawn = values(data, data["rows"]["z"], DRAWN_ROWS)
    np.testing.assert_allclose(drawn, X.to_numpy()[data["rows"]["index"]], atol=1e-4)
    assert sum(data["doubt"]["counts"]) == 15_000
    assert len(page.encode()) < 6 * MEGABYTE


def test_wide_rows_with_many_components_have_room(tmp_path):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(6_000, 40))
    gm = GaussianMixture(60, covariance_type="spherical", random_state=0, max_iter=3, n_init=1)
    with pytest.warns(ConvergenceWarning):
        gm.fit(X)
    page = report(gm, X, alternatives=False)
    assert len(page.encode()) < 6 * MEGABYTE
    assert "The 50 heaviest of 60 components" in words(page)


def test_the_same_model_and_rows_give_the_same_page(faithful, page):
    X, gm = faithful
    assert report(gm, X, time_budget=None) == page
    assert gm.report(X, time_budget=None) == page


def test_frames_and_arrays_and_scans(faithful, tmp_path):
    polars = pytest.importorskip("polars")
    X, gm = faithful
    asked = {"alternatives": False}
    of_pandas = numbers(report(gm, X, **asked))
    assert numbers(report(gm, polars.from_pandas(X), **asked)) == of_pandas
    assert numbers(report(gm, X.to_numpy(), **asked)) == of_pandas
    assert numbers(report(gm, scan(FAITHFUL), **asked)) == of_pandas
    named = X.set_axis([f"day {i}" for i in range(len(X))])
    assert numbers(report(gm, named, **asked))["rows"]["titles"][7] == "day 7"


def test_dask_is_looked_at(faithful):
    dask = pytest.importorskip("dask.array")
    X, gm = faithful
    found = numbers(report(gm, dask.from_array(X.to_numpy(), chunks=(100, 2)), alternatives=False))
    assert found == numbers(report(gm, X, alternatives=False))


def test_weights_count_where_models_are_fitted(faithful):
    X, _ = faithful
    weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    gm = GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    board = numbers(report(gm, X, sample_weight=weight))["board"]
    assert board["cells"][board["own"]]["values"][0] == pytest.approx(gm.bic(X, sample_weight=weight), abs=1e-2)
    one = next(cell for cell in board["cells"] if (cell["type"], cell["k"]) == ("full", 1))
    covariance = np.cov(X.T, fweights=weight.astype(int), bias=True)
    mean = np.average(X, axis=0, weights=weight)
    assert one["loglik"] == pytest.approx(weight @ multivariate_normal(mean, covariance).logpdf(X), abs=1e-6)


# errors ---------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_reported_is_refused(faithful, tmp_path, monkeypatch):
    X, gm = faithful
    with pytest.raises(NotFittedError, match="not fitted"):
        report(GaussianMixture(2), X)
    with pytest.raises(ValueError, match="expected a fitted estimator or a Mixture, got list"):
        report([1], X)
    with pytest.raises(ValueError, match="X must have shape"):
        report(gm, np.zeros((3, 5)))
    with pytest.raises(ValueError, match="at least one row, got none"):
        report(gm, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="expected X with the columns"):
        report(gm, X[["waiting", "eruptions"]])
    with pytest.raises(ValueError, match="X must be finite"):
        report(gm, np.array([[np.inf, 1.0]]))
    with pytest.raises(ValueError, match="no-such-folder does not exist"):
        report(gm, X, "no-such-folder/r.html")
    with pytest.raises(ValueError, match="time_budget"):
        report(gm, X, time_budget=-1)
    path = tmp_path / "r.html"
    path.write_text("before")
    with pytest.raises(ValueError, match="X must be finite"):
        report(gm, np.array([[np.inf, 1.0]]), path)
    assert path.read_text() == "before"
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r'pip install "mixtura\[report\]"'):
        report(gm, X)


def test_rows_that_nothing_can_be_fitted_to_are_reported_all_the_same(faithful):
    X, gm = faithful
    half = X.assign(waiting=np.nan)
    said = words(report(gm, half))
    assert "EM cannot be run again on these rows: X must have a value in each column" in said
    assert "Other models cannot be fitted to these rows" in said
    assert "The rows that are in most doubt" in said


def test_other_rows_are_not_called_those_of_the_fit(faithful, page):
    X, gm = faithful
    assert "EM was run again on the same rows" in words(page)
    assert "those of the fit had" not in words(page)
    fewer = words(report(gm, X.iloc[:40], alternatives=False))
    assert "The report is about 1 row, the fit was to 272" in words(report(gm, X.iloc[:1], alternatives=False))
    assert "The report is about 40 rows, the fit was to 272: they may be others." in fewer
    moved = X + np.array([0.5, 0.0])
    loglik = multivariate_loglik(gm, moved)
    others = words(report(gm, moved, alternatives=False))
    assert f"The rows of this report have a log-likelihood of {loglik:,.2f}, those of the fit had" in others
    for said in (fewer, others):
        assert "EM was run again on the rows of this report" in said
        assert "that of the model in this report is" not in said


def multivariate_loglik(gm, X):
    parts = zip(gm.weights_, gm.means_, gm.covariances_, strict=True)
    density = sum(w * multivariate_normal.pdf(X, m, c) for w, m, c in parts)
    return np.log(density).sum()


def test_its_own_place_has_the_numbers_of_the_model(faithful):
    X, _ = faithful
    with pytest.warns(ConvergenceWarning):  # other models come further
        gm = GaussianMixture(3, max_iter=2, n_init=1, init="random", random_state=0).fit(X)
    board = numbers(report(gm, X, time_budget=None))["board"]
    one = board["cells"][board["own"]]
    other = Sklearn(3)
    other.weights_, other.means_, other.covariances_ = gm.weights_, gm.means_, gm.covariances_
    other.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(gm.covariances_))
    assert board["measures"][0]["key"] == "bic"
    assert one["values"][0] == pytest.approx(other.bic(X.to_numpy()), rel=1e-9)


def test_what_has_no_name_has_a_number(faithful):
    X, gm = faithful
    blank = X.set_axis(["", " "] * 136).set_axis(["", " "], axis=1)
    page = report(GaussianMixture(2, random_state=0).fit(blank), blank, alternatives=False)
    data = numbers(page)
    assert data["rows"]["titles"][:2] == ["row 0", "row 1"]
    assert [one["name"] for one in data["features"]] == ["column 0", "column 1"]
    farthest = int(np.argmin(chi2.sf(squared(gm, X), 2)))
    assert body(page, "The rows furthest out")[0][0] == f"row {farthest}"


def squared(gm, X):
    away = [X.to_numpy() - m for m in gm.means_]
    return np.min(
        [np.einsum("ni,ij,nj->n", a, np.linalg.inv(c), a) for a, c in zip(away, gm.covariances_, strict=True)], axis=0
    )


def test_a_component_that_was_dropped_is_not_missed():
    X = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), np.full((6, 2), 9.0)])
    for trace in (False, True):
        gm = GaussianMixture(2, on_degenerate="drop", random_state=0, trace=trace).fit(X)
        data = numbers(report(gm, X, alternatives=False))
        assert data["components"] == [0]
        np.testing.assert_allclose(
            model(data, data["passes"]["models"], 1, len(data["passes"]["shown"]) - 1)[1], gm.means_, atol=1e-5
        )


def test_mixtura_starts_without_plotly():
    said = "import sys, mixtura; print('plotly' in sys.modules, callable(mixtura.report))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


# markup ---------------------------------------------------------------------------------------------------------------


def test_the_page_is_sound(page):
    seen = Seen(page)
    assert seen.attributes("html")[0]["lang"] == "en"
    assert len(seen.attributes("main")) == len(seen.attributes("h1")) == 1
    levels = [int(name[1]) for name, _ in seen.elements if re.fullmatch("h[1-6]", name)]
    assert all(later - before <= 1 for before, later in zip([0, *levels], levels, strict=False))
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen.elements:
        for key in ("aria-labelledby", "aria-describedby"):
            if key in attributes:
                assert attributes[key] in ids
        assert not any(name.startswith("on") for name in attributes)
    assert all(one.get("scope") in ("row", "col", "colgroup") for one in seen.attributes("th"))
    assert len(seen.attributes("caption")) == len(seen.attributes("table"))
    policy = next(one["content"] for one in seen.attributes("meta") if one.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert all("src" not in one for one in seen.attributes("script"))
    assert all(one["href"].startswith(("#", "data:")) for one in seen.attributes("a") + seen.attributes("link"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page about columns and rows of evil names."""
    rng = np.random.default_rng(8)
    X = pd.DataFrame(np.concatenate([rng.normal(0, 1, (40, 5)), rng.normal(6, 1, (30, 5))]), columns=HOSTILE)
    X.index = [HOSTILE[i % 5] + str(i) for i in range(len(X))]
    X.iloc[3, 2] = np.nan
    gm = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    return report(gm, X, tmp_path_factory.mktemp("hostile") / "r.html")


def test_evil_names_stay_text(hostile):
    page = hostile.read_text("utf-8")
    seen = Seen(page)
    assert {"img", "svg", "b"} & {name for name, _ in seen.elements} == set()
    assert len(seen.scripts) == 4
    data = numbers(page)
    assert max(len(one["name"]) for one in data["features"]) <= 40
    assert data["features"][0]["name"] == HOSTILE[0][:39] + "\u2026" if len(HOSTILE[0]) > 40 else HOSTILE[0]
    text = re.search(r'id="data">(.*?)</script>', page)[1]
    assert text.isascii()
    assert not set("<>&") & set(text)
    for letter in ("\x00", "\u202e", "\u2028"):
        assert letter not in page
    assert "long" * 100 not in page.replace(seen.scripts[1], "")


# in a browser ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(faithful, tmp_path_factory):
    X, _ = faithful
    gm = GaussianMixture(2, random_state=0, trace=True).fit(X)
    return report(gm, X, tmp_path_factory.mktemp("page") / "r.html")


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    data = load_iris(as_frame=True).data
    chosen = select(data, range(1, 5), ["EII", "EEE", "VEV", "VVV"], random_state=0)
    return chosen.report(data, tmp_path_factory.mktemp("iris") / "r.html")


def shown(visit, plot):
    """A plot that has been scrolled to and drawn."""
    visit.page.locator(f"#{plot}").scroll_into_view_if_needed()
    visit.page.wait_for_selector(f"#{plot}[data-drawn]")
    return visit.page.locator(f"#{plot}")


def traces(visit, plot, name):
    """The points of the traces of a plot whose names begin so."""
    script = "([id, name]) => document.getElementById(id).data.filter((t) => (t.name || '').startsWith(name))"
    script += ".map((t) => [Array.from(t.x), Array.from(t.y)])"
    return visit.page.evaluate(script, [plot, name])


def times_drawn(visit, plot):
    return int(visit.page.get_attribute(f"#{plot}", "data-drawn"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_drawn_when_they_are_seen(browser, written, scheme):
    with visiting(browser, written, color_scheme=scheme) as visit:
        assert visit.page.get_attribute("#criterion-plot", "data-drawn") is None
        for plot in ("rows", "doubt", "quantiles", "transforms", "step", "curve", "other", "criterion"):
            shown(visit, f"{plot}-plot")
        assert visit.page.get_attribute("html", "data-theme") == scheme


def said(beginning):
    """That the words under the rows begin so."""
    return f"document.querySelector('#rows-said').textContent.startsWith('{beginning}')"


def until(page, condition):
    """Wait until a condition holds; what Playwright has for that needs eval, which the page forbids."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never: {condition}")


def test_words_are_there_before_the_script_that_draws(browser, written):
    context = browser.new_context()
    context.add_init_script(
        "addEventListener('load', () => "
        "{ window.early = [typeof Plotly, document.querySelector('#step-said').innerText]; })"
    )
    page = context.new_page()
    page.goto(written.as_uri(), wait_until="load")
    drawing, said = page.evaluate("window.early")
    assert drawing == "undefined"
    assert said.startswith("Pass 0 of")
    page.wait_for_selector("#plotly", state="detached")  # though no picture is in sight
    assert page.evaluate("typeof Plotly") == "object"
    assert page.get_attribute("#criterion-plot", "data-drawn") is None
    context.close()


def test_a_slider_that_is_fast_is_drawn_where_it_stops(browser, written):
    with visiting(browser, written) as visit:
        shown(visit, "step-plot")
        shown(visit, "curve-plot")
        before = times_drawn(visit, "step-plot")
        moves = "for (const at of [1, 2, 3, 2]) { step.value = at; step.dispatchEvent(new Event('input')); }"
        visit.page.evaluate(moves)
        visit.page.wait_for_timeout(500)
        assert times_drawn(visit, "step-plot") == before + 1
        reached = visit.page.evaluate("JSON.parse(document.querySelector('#data').textContent).passes.shown[2]")
        assert traces(visit, "curve-plot", "reached")[0][0] == [reached]


def test_controls_say_what_is_drawn_after_going_back(browser, written):
    with visiting(browser, written) as visit:
        visit.page.focus("#step")
        visit.page.keyboard.press("End")
        visit.page.select_option("#type", index=2)
        visit.page.goto("data:text/html,elsewhere")
        visit.page.go_back(wait_until="load")
        visit.page.wait_for_timeout(300)
        shown_pass = visit.page.evaluate(
            "JSON.parse(document.querySelector('#data').textContent).passes.shown[step.value]"
        )
        assert visit.page.inner_text("#step-said").startswith(f"Pass {shown_pass} of")
        chosen = visit.page.evaluate("type.selectedOptions[0].textContent")
        assert visit.page.inner_text("#board-said").startswith(f"{chosen} with")


def test_pictures_fit_on_a_phone_that_lies(browser, written):
    with visiting(browser, written, viewport={"width": 740, "height": 360}, has_touch=True, is_mobile=True) as visit:
        for plot in ("rows-plot", "step-plot", "other-plot"):
            assert shown(visit, plot).bounding_box()["height"] <= 360
        assert visit.sideways == 0


def test_ellipses_are_those_of_scipy(browser, written, faithful):
    X, _ = faithful
    gm = GaussianMixture(2, random_state=0).fit(X)
    with visiting(browser, written) as visit:
        shown(visit, "rows-plot")
        for level, (x, y) in zip((0.5, 0.9), traces(visit, "rows-plot", "ellipse 0"), strict=True):
            away = np.column_stack([x, y]) - gm.means_[0]
            d2 = np.einsum("ni,ij,nj->n", away, np.linalg.inv(gm.covariances_[0]), away)
            np.testing.assert_allclose(d2, chi2.ppf(level, 2), rtol=1e-4)


def test_the_pointer_is_told_the_values_of_its_row(browser, written, faithful):
    X, gm = faithful
    row = int(np.argmin(gm.score_samples(X)))  # one that no other lies upon
    with visiting(browser, written) as visit:
        plot = shown(visit, "rows-plot")
        box = plot.bounding_box()
        script = """([x, y]) => { const { xaxis, yaxis } = document.getElementById("rows-plot")._fullLayout;
            return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)]; }"""
        u, v = visit.page.evaluate(script, X.iloc[row].tolist())
        visit.page.mouse.move(box["x"] + u - 30, box["y"] + v - 30)
        visit.page.mouse.move(box["x"] + u, box["y"] + v, steps=4)
        visit.page.wait_for_selector("#tip:not([hidden])")
        said = visit.page.inner_text("#tip").split("\n")
        said = [line for line in said if line]
        assert said[0] == f"row {row}"
        assert said[1] == f"eruptions: {X.iloc[row, 0]:g}"
        assert said[2] == f"waiting: {X.iloc[row, 1]:g}"
        assert said[3] == f"component {gm.labels_[row]}, probability {gm.predict_proba(X)[row].max():.3f}"
        visit.page.keyboard.press("Escape")
        assert visit.page.is_hidden("#tip")


def test_steps_move_the_ellipses_by_keyboard(browser, written, faithful):
    X, _ = faithful
    gm = GaussianMixture(2, random_state=0, trace=True).fit(X)
    with visiting(browser, written) as visit:
        shown(visit, "step-plot")
        before = traces(visit, "step-plot", "ellipse 0")
        picture = visit.page.locator("#step-plot").screenshot()
        visit.page.focus("#step")
        visit.page.keyboard.press("ArrowRight")
        visit.page.keyboard.press("ArrowRight")
        assert visit.page.input_value("#step") == "2"
        visit.page.wait_for_timeout(100)
        after = traces(visit, "step-plot", "ellipse 0")
        kept = gm.history_[2]["model"]
        # A full turn has its ends at one place.
        np.testing.assert_allclose(np.mean(after[0], axis=1), np.mean(after[1], axis=1), rtol=0.05)
        away = np.array(after[1]).T - kept.means[0]
        d2 = np.einsum("ni,ij,nj->n", away, np.linalg.inv(kept.covariances[0]), away)
        np.testing.assert_allclose(d2, chi2.ppf(0.9, 2), rtol=1e-3)
        assert after != before
        assert visit.page.locator("#step-plot").screenshot() != picture
        said = visit.page.inner_text("#step-said")
        assert said.startswith(f"Pass 2 of {len(gm.history_) - 1}: log-likelihood")
        assert f"{gm.history_[2]['loglik']:,.3f}".replace("-", "\u2212") in said
        assert visit.page.get_attribute("#step", "aria-valuetext") == f"pass 2 of {len(gm.history_) - 1}"
        ring = traces(visit, "curve-plot", "reached")
        assert ring[0][0] == [2]
        visit.page.keyboard.press("End")
        assert visit.page.inner_text("#step-said").endswith("the end.")


def test_play_goes_on_by_itself_and_stops(browser, written):
    with visiting(browser, written) as visit:
        shown(visit, "step-plot")
        visit.page.wait_for_timeout(300)
        assert visit.page.input_value("#step") == "0"  # nothing moves unasked
        visit.page.click("#play")
        assert visit.page.inner_text("#play") == "Pause"
        visit.page.click("#play")
        assert visit.page.inner_text("#play") == "Play"
        stopped = visit.page.input_value("#step")
        visit.page.wait_for_timeout(900)
        assert visit.page.input_value("#step") == stopped
        visit.page.click("#play")
        last = visit.page.get_attribute("#step", "max")
        visit.page.wait_for_selector(f"#step[aria-valuetext='pass {last} of {last}']")
        visit.page.wait_for_selector("#play[aria-pressed='false']")
        assert visit.page.inner_text("#play") == "Play"


def test_another_model_changes_ellipses_and_words(browser, iris):
    data = numbers(iris.read_text("utf-8"))
    board = data["board"]
    with visiting(browser, iris) as visit:
        shown(visit, "other-plot")
        own = board["cells"][board["own"]]
        assert visit.page.inner_text("#board-said").startswith(f"{own['type']} with {own['k']} components: BIC")
        before = traces(visit, "other-plot", "ellipse")
        assert len(before) == 2 * own["k"]
        visit.page.focus("#count")
        visit.page.keyboard.press("ArrowRight")
        visit.page.select_option("#type", label="VVV")
        visit.page.wait_for_timeout(200)
        one = next(cell for cell in board["cells"] if (cell["type"], cell["k"]) == ("VVV", own["k"] + 1))
        said = visit.page.inner_text("#board-said")
        assert said.startswith(f"VVV with {own['k'] + 1} components: BIC {one['values'][0]:,.2f}")
        best = min(cell["values"][0] for cell in board["cells"])
        assert f"{one['values'][0] - best:,.2f} behind {own['type']} with {own['k']} components" in said
        assert "evidence" in said
        assert len(traces(visit, "other-plot", "ellipse")) == 2 * (own["k"] + 1)
        visit.page.select_option("#criterion", label="AIC")
        assert "AIC" in visit.page.inner_text("#board-said")
        visit.page.click("#back")
        assert visit.page.input_value("#count") == str(own["k"] - 1)


def test_features_are_chosen(browser, iris):
    with visiting(browser, iris) as visit:
        shown(visit, "rows-plot")
        visit.page.select_option("#across", label="sepal length (cm)")
        visit.page.select_option("#upwards", label="sepal width (cm)")
        until(visit.page, said("sepal width (cm) against sepal length (cm): 150 rows"))
        x = sorted(value for trace in traces(visit, "rows-plot", "rows") for value in trace[0])
        np.testing.assert_allclose(x, np.sort(load_iris().data[:, 0]), atol=1e-5)
        visit.page.select_option("#across", label="sepal width (cm)")  # they change places
        until(visit.page, said("sepal length (cm) against sepal width (cm)"))
        button = visit.page.locator("#pairs button").nth(2)
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        across, upwards = numbers(iris.read_text("utf-8"))["pairs"][2]
        assert visit.page.input_value("#across") == str(across)
        assert visit.page.input_value("#upwards") == str(upwards)
        first = visit.page.locator("#doubt button.show, #outliers button.show").first
        first.click()
        visit.page.wait_for_timeout(100)
        assert f"The ring is around {first.inner_text()}." in visit.page.inner_text("#rows-said")
        visit.page.uncheck("#shown input >> nth=0")
        visit.page.wait_for_timeout(100)
        assert len(traces(visit, "rows-plot", "rows")) == 1


def test_everything_is_reached_by_tab_and_seen(browser, iris):
    with visiting(browser, iris) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(90):
            visit.page.keyboard.press("Tab")
            found = visit.page.evaluate(
                "(() => { const one = document.activeElement, look = getComputedStyle(one);"
                " return [one.id || one.className, look.outlineStyle, parseFloat(look.outlineWidth)]; })()"
            )
            if found[0]:
                reached.add(found[0])
                assert found[1] != "none"
                assert found[2] >= 2
        wanted = {"theme", "across", "upwards", "nearer", "farther", "whole", "show", "feature", "play", "step"}
        assert wanted | {"count", "type", "criterion", "back", "scroll", "save"} <= reached
        named = visit.page.evaluate(
            "[...document.querySelectorAll('input, select, button')].filter((one) => !one.closest('[hidden]'))"
            ".filter((one) => !(one.labels && one.labels.length) && !one.textContent.trim())"
            ".map((one) => one.outerHTML)"
        )
        assert named == []


@pytest.mark.parametrize("name", ["written", "iris", "hostile"])
def test_a_phone_does_not_scroll_sideways(browser, request, name):
    with visiting(browser, request.getfixturevalue(name), viewport=PHONE, has_touch=True) as visit:
        for plot in ("rows", "doubt", "quantiles", "step", "other", "criterion"):
            shown(visit, f"{plot}-plot")
        assert visit.sideways == 0


CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const svg = one.closest("svg");
    if (!walker.currentNode.textContent.trim() || one.closest("script, style, noscript, .sign, .hidden")) continue;
    const ink = svg ? getComputedStyle(one).fill : getComputedStyle(one).color;
    const pair = [light(ink), light(behind(svg ? svg.parentElement : one))].sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser, written, scheme):
    with visiting(browser, written, color_scheme=scheme) as visit:
        for plot in ("rows", "doubt", "step", "criterion"):
            shown(visit, f"{plot}-plot")
        found = visit.page.evaluate(CONTRAST)
        assert len(found) > 150
        assert min(found)[0] >= 4.5, min(found)


def test_the_button_turns_the_colours(browser, written):
    with visiting(browser, written, color_scheme="light") as visit:
        shown(visit, "rows-plot")
        drawn = times_drawn(visit, "rows-plot")
        back = "getComputedStyle(document.body).backgroundColor"
        before = visit.page.evaluate(back)
        visit.page.focus("#theme")
        visit.page.keyboard.press("Enter")
        assert visit.page.get_attribute("#theme", "aria-pressed") == "true"
        assert visit.page.evaluate(back) != before
        visit.page.wait_for_selector(f"#rows-plot[data-drawn='{drawn + 1}']")
        visit.page.emulate_media(color_scheme="dark")
        visit.page.click("#theme")
        assert visit.page.evaluate(back) == before


def test_evil_names_do_nothing(browser, hostile):
    with visiting(browser, hostile) as visit:
        plot = shown(visit, "rows-plot")
        box = plot.bounding_box()
        for i in range(0, 600, 30):
            visit.page.mouse.move(box["x"] + 200 + i, box["y"] + 250 + (i % 90))
        for name in ("doubt", "quantiles", "transforms", "step", "curve", "other", "criterion"):
            shown(visit, f"{name}-plot")
        for option in range(5):
            visit.page.select_option("#across", index=option)
            visit.page.wait_for_timeout(60)
        visit.page.select_option("#feature", index=2)
        assert visit.page.evaluate("window.hit") is None
        inside = "document.querySelectorAll('main img, main svg a, main b, #tip b, svg [style*=bold] tspan').length"
        assert visit.page.evaluate(inside) == 0
        assert "<img src=x onerror" in visit.page.inner_text("#across")
        assert "%{x} <b>bold</b>" in visit.page.inner_text("#across")
        assert visit.sideways == 0


def test_the_model_file_is_saved(browser, written, faithful, tmp_path):
    X, gm = faithful
    with visiting(browser, written) as visit:
        with visit.page.expect_download() as waiting:
            visit.page.click("#save")
        waiting.value.save_as(tmp_path / "m.json")
    np.testing.assert_array_equal(GaussianMixture.load(tmp_path / "m.json").predict_proba(X), gm.predict_proba(X))


def test_paper_is_white_and_has_every_picture(browser, written):
    with visiting(browser, written, color_scheme="dark") as visit:
        visit.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        visit.page.emulate_media(media="print")
        for plot in ("rows", "doubt", "quantiles", "transforms", "step", "curve", "other", "criterion"):
            visit.page.wait_for_selector(f"#{plot}-plot[data-drawn]", state="attached")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.is_hidden("nav")
        visit.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert visit.page.get_attribute("html", "data-theme") == "dark"


def test_one_feature_and_a_background_are_drawn(browser, tmp_path):
    rng = np.random.default_rng(9)
    x = np.concatenate([rng.normal(0, 1, 200), rng.normal(7, 1, 100)])
    gm = GaussianMixture(2, random_state=0).fit(x)
    with visiting(browser, report(gm, x, tmp_path / "one.html")) as visit:
        shown(visit, "rows-plot")
        at, height = traces(visit, "rows-plot", "density")[0]
        np.testing.assert_allclose(height, gm.pdf(np.array(at)), rtol=1e-3, atol=1e-6)
        shown(visit, "step-plot")
        shown(visit, "other-plot")
    X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.uniform(-9, 9, (50, 2))])
    noisy = GaussianMixture(1, noise=True, random_state=0).fit(X)
    with visiting(browser, report(noisy, X, tmp_path / "noise.html")) as visit:
        shown(visit, "rows-plot")
        assert "background" in visit.page.inner_text("#shown")
        shown(visit, "step-plot")
        shown(visit, "other-plot")


# commands -------------------------------------------------------------------------------------------------------------


def test_commands_write_reports(tmp_path, capsys):
    model, first, second, third = (tmp_path / name for name in ("m.json", "a.html", "b.html", "c.html"))
    data = str(FAITHFUL)
    assert main(["fit", data, "-k", "2", "--out", str(model), "--report", str(first), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(first)
    assert "These are the passes of the fit itself" in words(first.read_text("utf-8"))
    assert main(["report", str(model), data, "-o", str(second)]) == 0
    assert capsys.readouterr().out == f"report written to {second}\n"
    assert numbers(second.read_text("utf-8"))["rows"] == numbers(first.read_text("utf-8"))["rows"]
    assert main(["select", data, "-k", "1:3", "--types", "EEE,VVV", "--report", str(third)]) == 0
    assert f"report written to {third}" in capsys.readouterr().out
    assert len(numbers(third.read_text("utf-8"))["board"]["cells"]) == 6


def test_a_report_of_a_mixture_has_the_names_of_the_table(tmp_path, capsys):
    path = Mixture([1.0], [[3.0, 70.0]], [[1.0, 100.0]]).save(tmp_path / "m.json")
    assert main(["report", str(path), str(FAITHFUL), "-o", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text("utf-8")
    assert [one["name"] for one in numbers(page)["features"]] == list(read_table(FAITHFUL).names)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", str(FAITHFUL), "-k", "2", "--report", "r.pdf"], "the name of a report must end in .html"),
        (["fit", str(FAITHFUL), "-k", "2", "--report", "no/r.html"], "the folder no does not exist"),
        (["select", str(FAITHFUL), "--report", "no/r.html"], "the folder no does not exist"),
        (["report", "none.json", str(FAITHFUL), "-o", "r.html"], "cannot read none.json"),
    ],
)
def test_what_cannot_be_written_is_said_first(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
