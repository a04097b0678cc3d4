"""Sphinx: Markdown pages by myst, the API from docstrings; `make docs` forgives no warning."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from make_api import write  # noqa: E402

write(DOCS)

project = "polymodal"
author = "The polymodal authors"
copyright = "2026, The polymodal authors"
release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]["version"]
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes, which say more
napoleon_google_docstring = True
napoleon_numpy_docstring = False
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"polymodal {release}"
html_copy_source = False
html_static_path: list[str] = []

LITERAL = re.compile(r"``.+?``|:\w+:`.+?`|\\.")


def spare_stars_and_bars(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let docstrings write ``(..., *shape)`` and ``q(z | x)`` as Python and mathematics do."""
    in_math = False
    for i, line in enumerate(lines):
        in_math = line.lstrip().startswith(".. math::") or (in_math and line[:1] in ("", " "))
        if in_math:
            continue
        plain = LITERAL.sub("", line)
        kept = LITERAL.findall(line)
        if plain.count("*") % 2 or "|" in plain:
            pieces = LITERAL.split(line)
            odd = plain.count("*") % 2
            pieces = [p.replace("|", r"\|") for p in pieces]
            pieces = [p.replace("*", r"\*") if odd else p for p in pieces]
            lines[i] = "".join(a + b for a, b in zip(pieces, [*kept, ""], strict=True))


def setup(app: Sphinx) -> None:
    """Before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", spare_stars_and_bars, priority=400)
