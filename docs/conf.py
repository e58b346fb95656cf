"""How Sphinx builds the site: `make docs` reads this folder and writes build/docs.

Nothing is downloaded, neither by the build nor by a reader's browser: no intersphinx, no fonts, and MathJax is one file
beside the pages. It draws formulas as SVG, so that no fonts are fetched and pages opened from a disk look the same.
"""

from __future__ import annotations

import logging
import os
import sys
from hashlib import sha256
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from docutils import nodes
from pandas import DataFrame

import mixtura

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

# A build that is well says nothing. The kernel that cells run in keeps to itself that what it says on this machine is
# not encrypted, and that no debugger can look into frozen modules; and who sets up logging first has the last word,
# lest the colours of the theme (a11y_pygments) do so and everyone tells of all that goes as it should.
os.environ["JUPYTER_PATH"] = str(HERE / "_jupyter")
logging.basicConfig(level=logging.WARNING)

project = "mixtura"
author = "the mixtura developers"
copyright = author
version = release = mixtura.__version__

# Pages are built anew when the library has changed: what they show is what it computes.
library = sha256(b"".join(file.read_bytes() for file in sorted((ROOT / "src").rglob("*.py")))).hexdigest()

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_*", "gallery/*.ipynb", "gallery/*.py"]
highlight_language = "none"
# Names of other projects lead nowhere: their inventories would have to be downloaded.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!mixtura\b).*")]

# The reference

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Pages

myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

# The gallery

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/0[0-9]_",
    "image_scrapers": "gallery_pictures.scrape",
    "reset_argv": "gallery_pictures.argv",
    # The examples may be what they were, but the library is not.
    "run_stale_examples": True,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "thumbnail_size": (480, 200),
    "write_computation_times": False,
}

# Appearance

html_theme = "furo"
html_title = "mixtura"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sourcelink = False
html_copy_source = False

(mathjax,) = find_spec("sphinx-mathjax-offline").submodule_search_locations
html_static_path.append(str(Path(mathjax) / "static" / "mathjax" / "tex-svg-full.js"))
mathjax_path = "tex-svg-full.js"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


# What readers of the repository see as a file is made by an example when the site is built.
DRAWN_ANEW = {"selection": {"selection.png": "gallery/images/sphx_glr_03_choosing_a_model_001.png"}}


def draw_anew(app, page, source):
    """Let a page show the picture that the gallery has just made, if it has made any."""
    for file, made in DRAWN_ANEW.get(page, {}).items():
        if (HERE / made).exists():
            source[0] = source[0].replace(f"]({file})", f"]({made})")


def leave_plain(app, doctree):
    """Name the language of plain blocks, before the gallery takes them for Python."""
    for block in doctree.findall(nodes.literal_block):
        block["language"] = block.get("language", highlight_language)


def name_language(app, page, template, context, doctree):
    """Say which language a page is in: browsers choose characters by it, screen readers their voice."""
    context["language"] = "ja" if page.endswith("_ja") else "en"


def write_sample(app, error):
    """Put a report beside the pages, for their readers to try."""
    if error is None and app.builder.format == "html":
        with as_file(files("mixtura") / "data" / "faithful.csv") as path:
            names = path.read_text().splitlines()[0].split(",")
            rows = DataFrame(np.loadtxt(path, delimiter=",", skiprows=1), columns=names)
        mixtura.report(mixtura.select(rows, random_state=0), rows, Path(app.outdir) / "sample_report.html")


def setup(app):
    app.add_config_value("library", "", "env", str)
    app.connect("source-read", draw_anew)
    app.connect("doctree-read", leave_plain, priority=100)
    app.connect("html-page-context", name_language)
    app.connect("build-finished", write_sample)
