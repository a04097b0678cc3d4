"""How a text is asked for: greedy, by a beam or by sampling."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

Method = Literal["greedy", "beam", "sample"]
METHODS: tuple[str, ...] = get_args(Method)
_OWNERS = {
    "width": "beam",
    "length_power": "beam",
    "temperature": "sample",
    "top_k": "sample",
    "top_p": "sample",
}


@dataclass(frozen=True)
class Decoding:
    """How texts are written; ``polymodal.distributions.writing`` has the equations and sources.

    Arguments:
        method: ``greedy``, ``beam`` or ``sample``.
        width: Beam: how many beginnings are kept.
        length_power: Beam: alpha of the length normalisation; 0 seeks the likeliest text, 1 about
            the likeliest token on average, which favours longer texts.
        temperature: Sample: below 1 keeps to what is likely.
        top_k: Sample: only the k most likely tokens are drawn; None for all.
        top_p: Sample: only the most likely tokens that together have this probability are drawn;
            None for all.

    Raises:
        ValueError: If a value is out of range, or belongs to another method.
    """

    method: Method = "greedy"
    width: int = 4
    length_power: float = 0.0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"text: method must be {_or(METHODS)}, got {self.method!r}.")
        for field in fields(self):
            owner = _OWNERS.get(field.name, self.method)
            value = getattr(self, field.name)
            if owner != self.method and value != field.default:
                raise ValueError(
                    f"text: {field.name} belongs to {owner}, not to {self.method}; leave it out."
                )
        for name in ("width", "top_k"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole and value >= 1) and not (value is None and name == "top_k"):
                raise ValueError(
                    f"text: {name} must be a whole number of at least 1, got {value!r}."
                )
        if not _is_number(self.length_power) or not 0 <= self.length_power < float("inf"):
            raise ValueError(
                f"text: length_power must be a number of at least 0, got {self.length_power!r}."
            )
        if not _is_number(self.temperature) or not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"text: temperature must be a number above 0, got {self.temperature!r}."
            )
        if self.top_p is not None and (not _is_number(self.top_p) or not 0 < self.top_p <= 1):
            raise ValueError(f"text: top_p must be in (0, 1], got {self.top_p!r}.")

    @classmethod
    def of(cls, said: Decoding | str | None) -> Decoding | None:
        """A decoding itself, or one by its words; None stays None.

        Example:
            >>> Decoding.of("beam, width=8").width
            8
            >>> Decoding.of("sample, temperature=0.7, top_p=0.9").top_p
            0.9

        Raises:
            ValueError: If the words are not of this form; TypeError if they are no words.
        """
        if said is None or isinstance(said, cls):
            return said
        if not isinstance(said, str):
            raise TypeError(f"text must be a Decoding or its words, got {said!r}.")
        method, *settings = (part.strip() for part in said.split(","))
        if method not in METHODS:
            raise ValueError(
                f"text: expected {_or(METHODS)}, then settings such as 'beam, width=8'; "
                f"got {said!r}."
            )
        found: dict[str, float | int] = {}
        for setting in settings:
            name, equals, value = (part.strip() for part in setting.partition("="))
            own = [one for one, owner in _OWNERS.items() if owner == method]
            if not equals or name not in own:
                raise ValueError(
                    f"text: {method} has the settings {', '.join(own) or '(none)'}, written "
                    f"name=value; got {setting!r}."
                )
            found[name] = _number(name, value)
        return replace(cls(method), **found)  # type: ignore[arg-type]


def _number(name: str, value: str) -> float | int:
    try:
        return int(value) if name in ("width", "top_k") else float(value)
    except ValueError:
        raise ValueError(f"text: {name} must be a number, got {value!r}.") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
