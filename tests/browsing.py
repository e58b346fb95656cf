"""A headless Chromium for tests of pages: what it said on its console and what it asked for are on record."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 360, "height": 740}
"""A narrow screen, in CSS pixels."""


def program() -> str:
    """Where Chromium is; the test is skipped if there is none, unless MIXTURA_BROWSER says that there must be one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = "needs Chromium: install Debian's package chromium"
        if os.environ.get("MIXTURA_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright."""
    driver = pytest.importorskip("playwright.sync_api")
    executable = program()
    with driver.sync_playwright() as playwright:
        # Root may not use the sandbox, and containers have little shared memory.
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that was opened, in ``page``; ``said``: errors and warnings; ``asked``: the addresses it asked for."""

    def __init__(self, browser: Any, address: str | Path, **context: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.address = address.resolve().as_uri() if isinstance(address, Path) else address
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.address, wait_until="load")

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    @property
    def left(self) -> list[str]:
        """What was asked for from elsewhere than where the page came from."""
        home = urlsplit(self.address)
        parts = [(urlsplit(url), url) for url in self.asked]
        own = ("data", "blob")
        if home.scheme == "file":
            return [url for _, url in parts if url.split("#")[0] != self.address and urlsplit(url).scheme not in own]
        return [url for part, url in parts if part.scheme not in own and part.netloc != home.netloc]

    @property
    def sideways(self) -> int:
        """CSS pixels that the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def close(self) -> None:
        self.context.close()


@contextmanager
def visiting(browser: Any, address: str | Path, **context: Any) -> Iterator[Visit]:
    """A visit; at its end there was nothing on the console, and no request left the page's own place."""
    visit = Visit(browser, address, **context)
    try:
        yield visit
        assert visit.said == []
        assert visit.left == []
    finally:
        visit.close()
