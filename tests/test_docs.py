"""The pages in docs/ and the README: their Python runs and prints what they show, their links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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
def test_code_without_prompts_runs(page, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if ">>> " not in block:
            exec(compile(block, page.name, "exec"), {})
    pyplot.close("all")
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_within_the_project_lead_somewhere(page):
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
