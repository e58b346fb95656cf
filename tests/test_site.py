"""The site that `make docs` has built, in a browser: nothing is asked for from elsewhere, everything can be found."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import mixtura
from browsing import PHONE, visiting
from mixtura import plot

SITE = Path(__file__).parent.parent / "build" / "docs"
AIDS = {"genindex.html", "py-modindex.html", "search.html"}
"""Pages of Sphinx's own."""

PAGES = sorted(str(page.relative_to(SITE)) for page in SITE.rglob("*.html") if "_static" not in page.parts)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the site; without one the tests are skipped, unless MIXTURA_SITE says that there must be one."""
    if not (SITE / "index.html").exists():
        missing = "needs the site: make docs"
        if os.environ.get("MIXTURA_SITE") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page_is_drawn_in_both_colour_schemes(browser: Any, site: str, scheme: Any) -> None:
    with visiting(browser, site + "index.html", color_scheme=scheme) as visit:
        ink, paper = visit.page.evaluate(
            "[getComputedStyle(document.querySelector('h1')).color, getComputedStyle(document.body).backgroundColor]"
        )
        bright = {
            name: sum(map(int, one.strip("rgba()").split(",")[:3])) for name, one in (("ink", ink), ("on", paper))
        }
        assert (bright["ink"] > bright["on"]) == (scheme == "dark")
        assert abs(bright["ink"] - bright["on"]) > 400
        pictures = visit.page.evaluate("[...document.querySelectorAll('article img')].map(one => one.naturalWidth)")
        assert pictures
        assert min(pictures) > 300


def test_no_page_asks_for_anything_or_is_wider_than_a_phone(browser: Any, site: str) -> None:
    wide = {}
    for page in PAGES:
        with visiting(browser, site + page, viewport=PHONE) as visit:
            assert visit.page.title(), page
            if visit.sideways > 0:
                wide[page] = visit.sideways
    assert wide == {}


def test_all_formulas_are_drawn(browser: Any, site: str) -> None:
    formulas = 0
    for page in PAGES:
        written = (SITE / page).read_text(encoding="utf-8").count('class="math ')
        if written:
            with visiting(browser, site + page) as visit:
                visit.page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
                visit.page.evaluate("MathJax.startup.promise")
                assert visit.page.locator("mjx-container svg").count() >= written, page
                assert visit.page.locator("mjx-merror, [data-mml-node=merror]").count() == 0, page
                formulas += written
    assert formulas > 20


def test_a_page_says_in_which_language_it_is(browser: Any, site: str) -> None:
    for name, language in (("tutorial.html", "en"), ("tutorial_ja.html", "ja")):
        with visiting(browser, site + name) as visit:
            assert visit.page.evaluate("document.documentElement.lang") == language


def test_how_to_choose_is_two_clicks_from_the_first_page(browser: Any, site: str) -> None:
    with visiting(browser, site + "index.html") as visit:
        page = visit.page
        card = page.locator(".sd-card", has_text="How to choose K and the family")
        assert card.bounding_box()["y"] < 900
        assert "mixtura select data.csv" in card.inner_text()
        card.click()
        page.wait_for_url("**/choose.html")
        article = page.locator("article")
        assert "mixtura select" in article.inner_text()
        assert "select(X" in article.inner_text()


def test_a_search_finds_pages_and_names(browser: Any, site: str) -> None:
    for words, found in (("collapses", "degeneracy.html"), ("predict_proba", "reference/gaussian_mixture.html")):
        with visiting(browser, f"{site}search.html?q={words}") as visit:
            hit = visit.page.locator(f"#search-results a[href*='{found}']").first
            hit.wait_for()
            assert hit.is_visible()


def test_every_public_name_has_a_place_in_the_reference(site: str) -> None:
    names = [f"mixtura.{name}" for name in mixtura.__all__] + [f"mixtura.plot.{name}" for name in plot.__all__]
    methods = (
        "fit",
        "predict",
        "fit_predict",
        "score",
        "sample",
        "partial_fit",
        "restarts_",
        "save",
        "load",
        "get_params",
    )
    names += [f"mixtura.GaussianMixture.{name}" for name in methods]
    names += [f"mixtura.Mixture.{name}" for name in ("logpdf", "sample", "marginal", "covariances")]
    places = "\n".join(page.read_text(encoding="utf-8") for page in (SITE / "reference").glob("*.html"))
    assert [name for name in names if f'id="{name}"' not in places] == []


def test_examples_have_a_picture_and_what_they_print(browser: Any, site: str) -> None:
    examples = sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))
    for example in examples:
        with visiting(browser, f"{site}gallery/{example.stem}.html") as visit:
            widths = visit.page.evaluate("[...document.querySelectorAll('article img')].map(one => one.naturalWidth)")
            assert widths, example.name
            assert min(widths) > 300, example.name
            printed = visit.page.locator(".sphx-glr-script-out").all_inner_texts()
            assert "icture" in "".join(printed), example.name
