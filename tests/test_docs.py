"""The pages hold what they promise: their Python runs and prints what they show, their links lead somewhere, and the
reference leaves out nothing."""

from __future__ import annotations

import argparse
import doctest
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mixtura
from mixtura import plot
from mixtura.cli import _parser
from mixtura.teach.answers import words

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GALLERY = DOCS / "gallery"
"""Made by the build, of the examples."""

PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if GALLERY not in page.parents)]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
CELL = re.compile(r"^```\{code-cell\} python\n((?:^:[^\n]*\n)*)(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")


def masked(text: str) -> str:
    """The Python of a page, each line in its place, so that a failure names the line of the page."""
    lines, keep = [], False
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append(line if keep and not fence else "")
        keep = line == "```python" if fence and not keep else keep and not fence
    return "\n".join(lines) + "\n"


def names(pages: list[Path]) -> list[str]:
    return [page.name for page in pages]


def with_python(*, prompts: bool) -> list[Path]:
    """Pages with blocks of examples to check (``prompts``), or of code to run."""
    blocks = {page: BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}
    return [page for page in PAGES if any((">>> " in block) == prompts for block in blocks[page])]


CHECKED = with_python(prompts=True)
RUN = with_python(prompts=False)


def test_the_pages_are_found():
    pages = {"background.md", "convergence.md", "degeneracy.md", "selection.md", "speed.md", "units.md"}
    assert pages <= set(names(CHECKED))
    assert names(RUN) == ["README.md"]


@pytest.mark.parametrize("page", CHECKED, ids=names(CHECKED))
def test_examples_print_what_the_page_shows(page, request):
    flags = sum(doctest.OPTIONFLAGS_BY_NAME[name] for name in request.config.getini("doctest_optionflags"))
    text = masked(page.read_text(encoding="utf-8"))
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert outcome.attempted > 0
    assert outcome.failed == 0, "".join(said)


@pytest.mark.parametrize("page", RUN, ids=names(RUN))
def test_code_without_prompts_runs(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it may write files
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if ">>> " not in block:
            exec(compile(block, page.name, "exec"), {})
    pyplot.close("all")
    assert capsys.readouterr().out


def cells(page: Path) -> list[str]:
    """The code of a notebook, without what is said of its cells."""
    return [code for _, code in CELL.findall(page.read_text(encoding="utf-8"))]


TUTORIAL, TRANSLATED = DOCS / "tutorial.md", DOCS / "tutorial_ja.md"
NOTEBOOKS = [page for page in PAGES if cells(page)]


def test_the_notebooks_are_found():
    assert {"index.md", "start.md", "cli.md", "choose.md", "from_mclust.md", "idea.md"} <= set(names(NOTEBOOKS))
    for page in PAGES:
        assert page.read_text(encoding="utf-8").count("{code-cell}") == len(cells(page)), page.name


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs the cells of a page in order, in an empty folder and without a screen, and gives what they
    leave."""
    notebooks = pytest.importorskip("myst_nb")
    pytest.importorskip("pandas")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "90")
    # It would start a shell of IPython, which stays for the tests that follow.
    monkeypatch.setattr(notebooks, "glue", lambda name, variable, display=True: None)

    def left_by(page: Path) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        with pyplot.rc_context():
            for cell in cells(page):
                exec(compile(cell, page.name, "exec"), namespace)
                pyplot.close("all")
        return namespace

    return left_by


def test_a_kernel_that_is_well_says_nothing():
    """The build runs cells in the kernel that docs/_jupyter describes; what that says would stand in its output."""
    pytest.importorskip("nbclient")
    cell = """
import nbformat.v4 as v4
from nbclient import NotebookClient

notebook = v4.new_notebook(cells=[v4.new_code_cell("print(6 * 7)")])
NotebookClient(notebook, kernel_name="python3").execute()
print(notebook.cells[0].outputs[0].text)
"""
    done = subprocess.run(
        [sys.executable, "-c", cell],
        env=os.environ | {"JUPYTER_PATH": str(DOCS / "_jupyter")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "42"


LOOKED_AT = {"choose.md", "from_mclust.md", "tutorial.md", "tutorial_ja.md"}
"""What these leave is looked at below, or in test_tutorial.py."""


@pytest.mark.parametrize("page", [one for one in NOTEBOOKS if one.name not in LOOKED_AT], ids=lambda page: page.name)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive:UserWarning")
def test_notebooks_run(page, run):
    assert run(page)


def test_the_tutorial_is_the_same_in_both_languages():
    assert cells(TUTORIAL) == cells(TRANSLATED)
    assert len(cells(TUTORIAL)) > 5


ONE_WORD = {
    "退化": "縮退",
    "噴出": "噴火",
    "重み付き平均": "加重平均",
    "局所最適解": "局所解|局所最適な解",
    "0とおく": "0と置く",
    "とおり": "その通り|次の通り",
    "わか": "(?<!成)分か[らりるっ]",
    "共分散行列の型": "共分散の型|共分散(?:行列)?の種類",
    "k-means法": r"k-means(?!法|\+\+|`)(?=[はがをのでと、。])",
    "パラメータ": "パラメーター",
    "ポインタ": "ポインター",
    "サーバ": "サーバー",
    "1つ": "[一二三四]つ",
}
"""What the Japanese texts say for a thing, and what they do not."""


JAPANESE = "\n".join([CELL.sub("", TRANSLATED.read_text(encoding="utf-8")), *words("ja").values()])
"""The tutorial without its cells, and the page that teaches."""


@pytest.mark.parametrize("wanted", ONE_WORD)
def test_the_japanese_texts_have_one_word_for_one_thing(wanted):
    assert wanted in JAPANESE
    assert re.findall(f".{{0,8}}(?:{ONE_WORD[wanted]}).{{0,8}}", JAPANESE) == []


def test_the_japanese_texts_have_no_space_beside_latin_letters():
    assert re.findall(".{0,8}[ぁ-ヶ一-龠。、] [A-Za-z0-9`$].{0,8}", JAPANESE) == []
    assert re.findall(".{0,8}[A-Za-z0-9`$] [ぁ-ヶ一-龠].{0,8}", JAPANESE) == []


def test_old_faithful_has_two_clusters_whoever_chooses(run):
    left = run(DOCS / "choose.md")
    assert left["chosen"].best_.n_components == 3
    assert len(left["merged"].groups) == left["by_icl"].n_components == 2
    assert left["best"] == left["fits"]["VVV"].bic(left["points"])
    # What the text says of the picture: few rows are for one covariance, many for the truth.
    lost = {code: np.median(gap, axis=1) for code, gap in left["lost"].items()}
    assert lost["EEE"][0] < lost["VVV"][0]
    assert lost["VVV"][-1] < 0.5 * lost["EEE"][-1]
    assert (lost["VVI"] > lost["EEE"]).all()


def test_what_the_page_compares_with_mclust_is_equal(run):
    left = run(DOCS / "from_mclust.md")
    steps, gains = left["steps"].drop("VVE").to_numpy(), left["gains"]
    assert steps.shape == (13, 2)
    assert (steps < 1e-9).all()
    assert gains.shape == (14, 3)
    assert (np.abs(gains.drop("VVE").to_numpy()) < 1e-6).all()
    assert (gains.loc["VVE"] > 0).all()
    chosen = json.loads((ROOT / "tests" / "oracle" / "selection.json").read_text())
    for line in left["lines"]:
        assert line["BIC"] < -chosen[line["data"]]["best"]["bic"] + 1e-6


INCLUDED = re.compile(r"^```\{literalinclude\} (.*)\n((?::.*\n)*)```$", flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "path", "options"),
    [
        pytest.param(page, *found, id=f"{page.name}-{index}")
        for page in PAGES
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


def is_there(page: Path, link: str) -> bool:
    """Whether a link leads to a file, or to a page that the build makes of an example."""
    target = page.parent / link
    made = target.resolve()
    if made.parent == GALLERY:
        return made.name == "index" or (ROOT / "examples" / f"{made.name}.py").exists()
    return target.exists()


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_within_the_project_lead_somewhere(page):
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not is_there(page, link)] == []


def test_the_contents_name_every_page():
    contents = "\n".join((DOCS / name / "index.md").read_text(encoding="utf-8") for name in (".", "reference"))
    pages = {page.stem for page in PAGES if DOCS in page.parents} - {"index"}
    assert {name for name in pages if not re.search(rf"^(.* <{name}>|{name})$", contents, flags=re.MULTILINE)} == set()


# The reference -----------------------------------------------------------------------------------


def test_every_public_name_is_in_the_reference():
    public = [f"mixtura.{name}" for name in mixtura.__all__] + [f"mixtura.plot.{name}" for name in plot.__all__]
    told = set(re.findall(r"^\.\. auto(?:class|function):: (\S+)$", REFERENCE, re.MULTILINE))
    told |= {f"mixtura.plot.{name}" for name in re.findall(r"^\.\. py:data:: (\S+)$", REFERENCE, re.MULTILINE)}
    assert told == set(public)


INTERNAL = {
    "GaussianMixture": {"how_fitted"},
    "Mixture": {"beside", "components", "observation", "of", "scores", "stored_as"},
    "ChenTan": {"conjugate"},
    "EigenvalueRatio": {"clipped", "lowest"},
    "FraleyRaftery": {"conjugate"},
    "Scan": {"named", "stamped"},
}
"""What the classes have for the rest of the library."""


@pytest.mark.parametrize("name", [name for name in mixtura.__all__ if inspect.isclass(getattr(mixtura, name))])
def test_what_a_class_has_is_in_the_reference(name):
    kind = getattr(mixtura, name)
    own = {
        member: value
        for base in kind.__mro__
        if base.__module__.startswith("mixtura")
        for member, value in vars(base).items()
        if not member.startswith("_") and not member.startswith("set_") and not inspect.ismemberdescriptor(value)
    }
    fields = set(getattr(kind, "__dataclass_fields__", ()))
    told = set(own) - INTERNAL.get(name, set()) - fields
    # What has a docstring is taken from the class, if its members are asked for.
    assert {member for member in told if not inspect.getdoc(getattr(kind, member))} == set()
    entry = re.search(rf"^\.\. autoclass:: mixtura\.{name}\n((?:   .*\n)*)", REFERENCE, re.MULTILINE)[1]
    assert ("   :members:" in entry) == bool(told)
    hidden = re.search(r":exclude-members: (.*)", entry)
    assert told & set(hidden[1].split(", ") if hidden else ()) == set()


def test_every_command_is_in_the_reference():
    (commands,) = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", page, flags=re.MULTILINE) == list(commands.choices)
    assert re.findall(r'^show_help\("(\w+)"\)$', page, flags=re.MULTILINE) == list(commands.choices)
