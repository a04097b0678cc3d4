"""``polymodal recipes``: the papers that can be named."""

from __future__ import annotations

from typing import Any

from polymodal.cli.arguments import Json
from polymodal.cli.outputs import print_result

EXAMPLE = """    polymodal recipes
    polymodal recipes --json"""


def recipes(*, json: Json = False) -> None:
    """List the recipes: a paper each, as a choice of parts."""
    from polymodal.recipes import RECIPES

    entries = sorted(RECIPES.values(), key=lambda entry: (entry.year, entry.name))
    rows: list[dict[str, Any]] = [
        {
            "recipe": entry.name,
            "paper": entry.paper,
            "year": entry.year,
            "summary": entry.summary,
            "settings": dict(entry.settings),
        }
        for entry in entries
    ]
    width = max(len(row["recipe"]) for row in rows)
    lines = [
        f"{row['recipe']:<{width}}  {row['year']}  {row['paper']}\n"
        f"{'':<{width + 8}}{row['summary']}"
        for row in rows
    ]
    lines.append("\nMore on one: polymodal explain RECIPE")
    print_result({"recipes": rows}, "\n".join(lines), json)
