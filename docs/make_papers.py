"""Write docs/papers.md and the README's table of recipes from the registry.

``python docs/make_papers.py`` writes both; ``--check`` writes nothing and fails if either is old.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from polymodal.recipes import RECIPES, Recipe

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
BEGIN = "<!-- recipes: made by docs/make_papers.py -->"
END = "<!-- end of recipes -->"

HEAD = """# Papers

*This page is made from the registry of recipes by `docs/make_papers.py`; edit the recipe, not the
page.*

A paper is a recipe: one short file that chooses a posterior, a prior and an objective, and says
what differs from the paper or from its released code. `polymodal explain NAME` prints the same on
the command line, with the file and line of each part.
"""


def ordered() -> list[Recipe]:
    """Oldest paper first."""
    return sorted(RECIPES.values(), key=lambda recipe: (recipe.year, recipe.name))


def authors(recipe: Recipe) -> str:
    return ", ".join(recipe.authors.split(" and "))


def table() -> str:
    lines = ["| recipe | paper | year | what it does |", "|---|---|---|---|"]
    for r in ordered():
        lines.append(f"| `{r.name}` | [{r.paper}]({r.url}) | {r.year} | {cell(r.summary)} |")
    return "\n".join(lines)


def cell(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("|", "\\|")


def section(recipe: Recipe) -> str:
    parts = ", ".join(f"`{part.__name__}`" for part in recipe.parts)
    settings = ", ".join(f"`{name}={value!r}`" for name, value in recipe.settings.items())
    differs = "\n".join(f"- {sentence}" for sentence in recipe.differs) or "- Nothing."
    return f"""## `{recipe.name}`

{recipe.summary}

{authors(recipe)}. *{recipe.paper}*. {recipe.year}. <{recipe.url}>

```text
{recipe.equation}
```

Parts: {parts}.

Settings: {settings}.

What differs from the paper or its released code:

{differs}

```python
model = pm.MultimodalModel(recipe="{recipe.name}").fit(data)
```
"""


def page() -> str:
    return "\n".join([HEAD, table() + "\n", *map(section, ordered())])


def readme(text: str) -> str:
    """The README with the table between its two markers."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{README} must hold the lines {BEGIN!r} and {END!r}.")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{table()}\n{END}", text)


def main(arguments: list[str]) -> int:
    wanted = {DOCS / "papers.md": page(), README: readme(README.read_text(encoding="utf-8"))}
    old = [p for p, t in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != t]
    if "--check" in arguments:
        for path in old:
            print(f"{path.relative_to(DOCS.parent)} is not what the recipes say: run make papers")
        return 1 if old else 0
    for path in old:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
