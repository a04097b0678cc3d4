"""How it was made: recipe, settings, versions and commands, enough to make it again."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polymodal.recipes.registry import get_recipe

if TYPE_CHECKING:
    from polymodal.estimator import MultimodalModel

_PACKAGES = ("torch", "numpy", "pandas", "pyarrow")


def describe_making(model: MultimodalModel, commands: Sequence[str]) -> dict[str, Any]:
    """What the last section shows."""
    entry = get_recipe(model.recipe)
    given = {n: value for n, value in model.get_params(deep=False).items() if value is not None}
    settings = {**entry.settings, **given}
    chosen = settings.pop("settings", None) or {}
    if isinstance(chosen, Mapping):
        settings.update(chosen)
    size = sum(weight.numel() for weight in model.model_.parameters())
    return {
        "recipe": entry.name,
        "summary": entry.summary,
        "paper": entry.paper,
        "authors": entry.authors.replace(" and ", ", "),
        "year": entry.year,
        "url": entry.url,
        "equation": entry.equation,
        "differs": entry.differs,
        "citation": entry.citation,
        "settings": [
            ("weights", f"{size:,}"),
            *(
                (name, f"{value:.4g}" if isinstance(value, float) else f"{value}")
                for name, value in settings.items()
                if name not in ("recipe", "progress") and value not in (None, "auto")
            ),
        ],
        "commands": list(commands),
        "versions": versions(),
        "machine": f"Python {platform.python_version()}, {platform.system()}, {_processor()}.",
    }


def versions() -> dict[str, str]:
    """The versions of what the numbers depend on."""
    found = {"polymodal": importlib.import_module("polymodal").__version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def _processor() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.machine() or "unknown processor"
