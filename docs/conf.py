"""How Sphinx makes the site of these pages: `make docs`. The pages are plain Markdown, for a git host as well.

The order of the pages is said once, in the lists of index.md; the table of contents is made from them here.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from soak import __version__

project = "soak"
author = "the authors of soak"
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 4  # the anchors that a git host makes
html_theme = "furo"
html_title = "soak"
html_copy_source = False
html_show_copyright = False
html_css_files = ["wide.css"]
html_static_path = ["_static"]

_LINK = re.compile(r"^- \[[^\]]+\]\(([^)#:]+)\.md\)", re.M)
_FOLDER = re.compile(r"\[([^\]]+)\]\((\.\./[^)#:]+)\)")
_TREE = "\n```{{toctree}}\n:hidden:\n{options}\n{pages}\n```\n"
_DOCS = Path(__file__).parent


def _contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Give each list of links of the index a branch in the table of contents, and the decisions theirs.

    A folder of the repository is a link on a git host only.
    """
    here = (_DOCS / page).parent
    source[0] = _FOLDER.sub(lambda link: f"`{link[1]}`" if (here / link[2]).is_dir() else link[0], source[0])
    if page == "index":
        for part in source[0].split("\n## ")[1:]:
            caption = part.partition("\n")[0]
            source[0] += _TREE.format(options=f":caption: {caption}\n", pages="\n".join(_LINK.findall(part)))
    if page == "adr/README":
        source[0] += _TREE.format(options=":glob:\n", pages="[0-9]*")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _contents)
