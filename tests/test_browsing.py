"""The browser of the tests sees what it must: errors on the console, requests that leave, pages that are too wide."""

from __future__ import annotations

from pathlib import Path

from browsing import PHONE, Visit, visiting

QUIET = '<!DOCTYPE html><html lang="en"><link rel="icon" href="data:,"><title>q</title><p>quiet</p></html>'
LOUD = """<!DOCTYPE html><html lang="en"><title>l</title><div style="width: 2000px">wide</div>
<img src="http://127.0.0.1:9/x.png"><script>console.error("said"); missing();</script></html>"""


def page(folder: Path, text: str) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_quiet_page(browser, tmp_path):
    with visiting(browser, page(tmp_path, QUIET), viewport=PHONE) as visit:
        assert visit.sideways == 0
        assert visit.page.inner_text("p") == "quiet"


def test_a_loud_page(browser, tmp_path):
    visit = Visit(browser, page(tmp_path, LOUD), viewport=PHONE)
    try:
        assert "said" in visit.said
        assert any("missing" in one for one in visit.said)
        assert visit.left == ["http://127.0.0.1:9/x.png"]
        assert visit.sideways > 1000
    finally:
        visit.close()
