"""How the gallery comes by its pictures: an example writes them to the folder that it is given, as for any reader."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

FOLDER = Path("..") / "build" / "gallery"
"""As seen from the examples, where they are run."""


def argv(gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """The arguments of an example: a folder of its own."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    return [str(FOLDER)]


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The pictures that a block has written, moved to the site."""
    found = []
    for picture in sorted([*FOLDER.glob("*.png"), *FOLDER.glob("*.gif")]):
        target = Path(next(block_vars["image_path_iterator"])).with_suffix(picture.suffix)
        shutil.move(picture, target)
        found.append(str(target))
    return figure_rst(found, gallery_conf["src_dir"])
