"""Tables in pages: what stands between two markers is what a program has measured."""

from __future__ import annotations

import os
from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands in ``page`` between the markers of ``name``, whole or not at all."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    scratch = page.with_suffix(".part")
    scratch.write_text(f"{before}{begin}\n{text.rstrip()}\n{end}{after}", encoding="utf-8")
    os.replace(scratch, page)
