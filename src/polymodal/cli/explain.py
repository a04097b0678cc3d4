"""``polymodal explain``: a paper, its equation, and where each of its parts is written."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from polymodal.cli.arguments import Json
from polymodal.cli.errors import check_known
from polymodal.cli.outputs import print_result

if TYPE_CHECKING:
    from polymodal.recipes import Recipe

EXAMPLE = """    polymodal explain mopoe
    polymodal explain mvae --json"""


def explain(
    recipe: Annotated[str, Parameter(help="Its name in `polymodal recipes`.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Explain a recipe: paper, equation, parts with file and line, what differs, settings."""
    from polymodal.recipes import RECIPES

    entry = RECIPES[check_known(recipe, sorted(RECIPES), "recipe")]
    said = facts(entry)
    print_result(said, in_words(said), json)


def place(part: Callable[..., Any] | type) -> str:
    """``polymodal/fusion/poe.py:24``: where a class or function is written."""
    root = Path(__file__).resolve().parents[2]
    source = inspect.getsourcefile(part)
    if source is None:
        raise ValueError(f"{part!r} has no source file.")
    path = Path(source).resolve()
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown.as_posix()}:{inspect.getsourcelines(part)[1]}"


def facts(entry: Recipe) -> dict[str, Any]:
    """All that is known of a recipe."""
    return {
        "recipe": entry.name,
        "summary": entry.summary,
        "paper": entry.paper,
        "authors": entry.authors,
        "year": entry.year,
        "url": entry.url,
        "equation": entry.equation,
        "parts": [
            {
                "name": part.__name__,
                "summary": (inspect.getdoc(part) or "").partition("\n")[0],
                "place": place(part),
            }
            for part in (entry.function, *entry.parts)
        ],
        "differs": list(entry.differs),
        "settings": dict(entry.settings),
        "citation": entry.citation,
    }


def in_words(said: dict[str, Any]) -> str:
    """The same for people."""
    parts = said["parts"]
    name, spot = (max(len(part[key]) for part in parts) for key in ("name", "place"))
    lines = [
        f"{said['recipe']}: {said['summary']}",
        "",
        f"  {said['paper']}",
        f"  {said['authors'].replace(' and ', ', ')}, {said['year']}",
        f"  {said['url']}",
        "",
        "Equation (maximised, nats a row)",
        *textwrap.wrap(said["equation"], 92, initial_indent="  ", subsequent_indent="    "),
        "",
        "Parts (the first is the recipe itself)",
        *(f"  {p['name']:<{name}}  {p['place']:<{spot}}  {p['summary']}" for p in parts),
        "",
        "What differs from the paper or its released code",
        *(line for text in said["differs"] for line in _bullet(text)),
        "",
        "Settings (--set NAME=VALUE; latent_dim and private_dim have options of their own)",
        *(f"  {key} = {value}" for key, value in said["settings"].items()),
        "",
        "Cite",
        textwrap.indent(said["citation"], "  "),
        "",
        f"Use it: polymodal fit DATA --recipe {said['recipe']}",
    ]
    return "\n".join(lines)


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(text, 92, initial_indent="  - ", subsequent_indent="    ")
