"""Pages and pieces of pages in a real browser: an animation that plays, steps and rests; what notebooks show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from browsing import PHONE, visiting
from mixtura import GaussianMixture, animate, select

X = load_iris().data
SHOWN = "document.getElementById('frame').src"
STILL: dict[str, Any] = {"reduced_motion": "reduce"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gm = GaussianMixture(3, trace=True, random_state=0).fit(X[:, :2])
    return Path(animate(gm, tmp_path_factory.mktemp("film") / "em.html", X[:, :2]))


def test_an_animation_plays_by_itself_and_pauses(browser: Any, film: Path) -> None:
    with visiting(browser, film) as visit:
        page = visit.page
        first = page.evaluate("frames[0]")
        page.wait_for_function(f"{SHOWN} !== frames[0]")
        assert page.evaluate(SHOWN) != first
        page.get_by_role("button", name="Pause").click()
        assert page.evaluate("timer") is None
        assert page.get_by_role("button", name="Play").is_visible()


def test_an_animation_rests_for_those_who_want_no_motion(browser: Any, film: Path) -> None:
    with visiting(browser, film, **STILL) as visit:
        assert visit.page.evaluate("timer") is None
        assert visit.page.evaluate(f"{SHOWN} === frames[0]")
        visit.page.get_by_role("button", name="Play").click()
        visit.page.wait_for_function(f"{SHOWN} !== frames[0]")


def test_keys_step_through_an_animation(browser: Any, film: Path) -> None:
    with visiting(browser, film, **STILL) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        slider = page.get_by_role("slider", name="frame")
        assert slider.evaluate("one => one === document.activeElement")
        before = page.screenshot()
        page.keyboard.press("ArrowRight")
        assert page.evaluate(f"{SHOWN} === frames[1]")
        page.keyboard.press("End")
        assert page.evaluate(f"{SHOWN} === frames[frames.length - 1]")
        page.wait_for_function("document.getElementById('frame').complete")
        assert page.screenshot() != before


def test_an_animation_fits_a_narrow_screen(browser: Any, film: Path) -> None:
    with visiting(browser, film, viewport=PHONE, **STILL) as visit:
        assert visit.sideways == 0
        box = visit.page.locator("#frame").bounding_box()
        assert 0 < box["width"] <= PHONE["width"]


@pytest.mark.parametrize("look", [{}, {"viewport": PHONE}], ids=["desk", "phone"])
def test_what_notebooks_show(browser: Any, look: dict[str, Any], tmp_path: Path) -> None:
    gm = GaussianMixture(3, random_state=0).fit(X)
    chosen = select(X, range(1, 4), ["EEE", "VVV"], random_state=0)
    line = GaussianMixture(2, random_state=0).fit(X[:, 2])
    shown = [gm, chosen, gm.mixture_, line]
    body = "".join(one._repr_html_() for one in shown)
    page = tmp_path / "page.html"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>cells</title>'
    page.write_text(f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>', encoding="utf-8")
    with visiting(browser, page, **look) as visit:
        assert visit.sideways == 0
        assert visit.page.locator(".mixtura").count() == len(shown)
        for picture in visit.page.locator(".mixtura svg").all():
            box = picture.bounding_box()
            assert min(box["width"], box["height"]) > 100
        cells = visit.page.locator(".mixtura").first.locator("tbody td:nth-child(2)").all_inner_texts()
        assert {f"{weight:.4f}" for weight in np.asarray(gm.weights_)} <= set(cells)
