"""The registry of recipes: frozen facts that the command line, the docs and the tests read."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from polymodal.model import LatentModel, Modality
from polymodal.spelling import did_you_mean
from polymodal.typing import is_whole

RecipeFunction = Callable[..., LatentModel]


@dataclass(frozen=True)
class Recipe:
    """One paper as a choice of parts.

    Arguments:
        name: The key that users type.
        function: Modalities + settings -> a model.
        paper: Its title.
        authors: Its authors, as one cites them.
        year: The year of publication.
        url: Where it can be read.
        equation: The objective in one line.
        parts: The classes that it is made of, for ``explain``.
        differs: What differs from the paper or its released code, a sentence each.
        settings: The keyword settings and their defaults.
    """

    name: str
    function: RecipeFunction
    paper: str
    authors: str
    year: int
    url: str
    equation: str
    parts: tuple[type, ...]
    differs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def citation(self) -> str:
        """A BibTeX entry."""
        return (
            f"@misc{{{self.name}{self.year},\n  title = {{{self.paper}}},\n"
            f"  author = {{{self.authors}}},\n  year = {{{self.year}}},\n"
            f"  url = {{{self.url}}}\n}}"
        )

    def build(self, modalities: Sequence[Modality], **settings: Any) -> LatentModel:  # noqa: ANN401
        """Make the model.

        Raises:
            ValueError: If a setting is unknown to the recipe, or of another type than its default.
        """
        for name in settings:
            if name not in self.settings:
                raise ValueError(
                    f"recipe {self.name!r} has no setting {name!r}."
                    f"{did_you_mean(name, self.settings)} It knows: {', '.join(self.settings)}."
                )
            wanted = _wanted(self.settings[name], settings[name])
            if wanted:
                raise ValueError(
                    f"recipe {self.name!r}: {name} must be {wanted}, got {settings[name]!r}."
                )
        return self.function(list(modalities), **settings)


def _wanted(default: object, value: object) -> str:
    """What a setting must be, where a value is not of its default's type; else nothing."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "True or False"
    if isinstance(default, int):
        return "" if is_whole(value) else "a whole number of at least 0"
    if isinstance(default, float) and not callable(value):  # a schedule, where the part takes one
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        return "" if number and math.isfinite(value) else "a finite number"  # pyright: ignore[reportArgumentType]
    if isinstance(default, str):
        return "" if isinstance(value, str) else "a word"
    return ""


RECIPES: dict[str, Recipe] = {}


def recipe(
    *,
    paper: str,
    authors: str,
    year: int,
    url: str,
    equation: str,
    parts: Sequence[type],
    differs: Sequence[str],
) -> Callable[[RecipeFunction], RecipeFunction]:
    """Register a function as the recipe of its name.

    Raises:
        ValueError: If the name is taken.
    """

    def add(function: RecipeFunction) -> RecipeFunction:
        name = function.__name__
        if name in RECIPES:
            raise ValueError(f"recipe {name!r} is registered twice.")
        settings = {
            parameter.name: parameter.default
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        RECIPES[name] = Recipe(
            name,
            function,
            paper,
            authors,
            year,
            url,
            equation,
            tuple(parts),
            tuple(differs),
            settings,
        )
        return function

    return add


def get_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        ValueError: If there is none, with the nearest name.
    """
    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES)
        raise ValueError(f"no recipe {name!r}.{hint} Known: {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
