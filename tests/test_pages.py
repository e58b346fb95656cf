"""Pages whose code runs as they are built: each cell runs here, too, and what the pages claim of it holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"
CELL = re.compile(r"^```\{code-cell\} python\n((?::[^\n]*\n)*)(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INCLUDED = re.compile(r"^```\{literalinclude\} (.*)\n((?::.*\n)*)```$", flags=re.MULTILINE)
PAGES = sorted(page for page in DOCS.glob("*.md") if CELL.search(page.read_text(encoding="utf-8")))
NAMES = [page.name for page in PAGES]


def run(page, monkeypatch, folder):
    """What the cells of a page leave, run in order, in an empty folder and without a screen."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("pandas")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(folder)
    namespace = {}
    for _, code in CELL.findall(page.read_text(encoding="utf-8")):
        exec(compile(code, page.name, "exec"), namespace)
    pyplot.close("all")
    return namespace


def test_the_pages_are_found():
    assert {"choose.md", "from_mclust.md", "idea.md"} <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("choose.md", "from_mclust.md")])
def test_cells_run(name, monkeypatch, tmp_path):
    assert run(DOCS / name, monkeypatch, tmp_path)


def test_old_faithful_has_two_clusters_whoever_chooses(monkeypatch, tmp_path):
    left = run(DOCS / "choose.md", monkeypatch, tmp_path)
    assert left["chosen"].best_.n_components == 3
    assert len(left["merged"].groups) == left["by_icl"].n_components == 2
    assert left["best"] == left["fits"]["VVV"].bic(left["points"])
    # What the text says of the picture: few rows are for one covariance, many for the truth.
    lost = {code: np.median(gap, axis=1) for code, gap in left["lost"].items()}
    assert lost["EEE"][0] < lost["VVV"][0]
    assert lost["VVV"][-1] < 0.5 * lost["EEE"][-1]
    assert (lost["VVI"] > lost["EEE"]).all()


def test_what_the_page_compares_with_mclust_is_equal(monkeypatch, tmp_path):
    left = run(DOCS / "from_mclust.md", monkeypatch, tmp_path)
    steps, gains = left["steps"].drop("VVE").to_numpy(), left["gains"]
    assert steps.shape == (13, 2)
    assert (steps < 1e-9).all()
    assert gains.shape == (14, 3)
    assert (np.abs(gains.drop("VVE").to_numpy()) < 1e-6).all()
    assert (gains.loc["VVE"] > 0).all()
    chosen = json.loads((DOCS.parent / "tests" / "oracle" / "selection.json").read_text())
    for line in left["lines"]:
        assert line["BIC"] < -chosen[line["data"]]["best"]["bic"] + 1e-6


@pytest.mark.parametrize(
    ("page", "path", "options"),
    [
        pytest.param(page, *found, id=f"{page.name}-{index}")
        for page in sorted(DOCS.glob("*.md"))
        for index, found in enumerate(INCLUDED.findall(page.read_text(encoding="utf-8")))
    ],
)
def test_what_is_included_is_there(page, path, options):
    source = (page.parent / path).read_text(encoding="utf-8")
    told = dict(re.findall(r"^:([\w-]+): (.*)$", options, flags=re.MULTILINE))
    for marker in ("start-at", "end-before"):
        if marker in told:
            assert any(told[marker].strip('"') in line for line in source.splitlines()), told[marker]
    if "pyobject" in told:
        assert re.search(rf"^(class|def) {told['pyobject']}\b", source, flags=re.MULTILINE)
