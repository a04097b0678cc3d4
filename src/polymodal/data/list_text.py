"""The spellings of a list: JSON's, Python's (as pandas writes it to a CSV) and numpy's.

``[0.5, null]``, ``['red', nan]``, ``(1, 2)``, ``{'red', 'round'}``, ``[np.float64(0.5)]`` and
``[ 0.5 -1. ]`` all are lists. Text is cut into tokens, nothing in it is ever run. Python itself
would not do: it glues the two strings of ``['red' 'round']``, which is how numpy parts them.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from typing import Any

_CLOSERS = {"[": "]", "(": ")", "{": "}"}
_NUMBER_WORDS = {"nan": float("nan"), "inf": float("inf"), "infinity": float("inf")}
_WORDS = {
    "None": None, "null": None, "NaT": None, "True": True, "true": True, "False": False,
    "false": False,
}  # fmt: skip
_ESCAPE = r"\\[\\'\"abfnrtvxuUN]"
_TOKEN = re.compile(
    rf"""(?P<gap>\s+)
    |(?P<wrap>(?:np\.|numpy\.)?(?:array|asarray|str_|bool_|u?int\d+|float\d+)\()
    |(?P<open>[\[({{])
    |(?P<close>(?:,\s*dtype=[\w.'<>|]+\s*)?[\])}}])
    |(?P<comma>,)
    |(?P<text>'(?:[^'\\\n]|{_ESCAPE})*'|"(?:[^"\\\n]|{_ESCAPE})*")
    |(?P<number>[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity)(?![\w.]))
    |(?P<word>(?:np\.)?[A-Za-z_]\w*)
    |(?P<left_out>\.\.\.)""",
    re.VERBOSE | re.IGNORECASE,
)
_PYTHONS = re.compile(r"\b(?:nan|None)\b")
_EMPTY_SET = "set()"
_AROUND = 20
LEFT_OUT = (
    "values are left out where it says '...', as numpy prints long arrays; write all of them, "
    "for example with .tolist()"
)


class NoListError(ValueError):
    """Text that is no list.

    Arguments:
        text: The text.
        place: The character where it ceases to be one, from 0.
        reason: What is wrong there.
    """

    def __init__(self, text: str, place: int, reason: str) -> None:
        self.shortened = reason == LEFT_OUT
        start, end = max(place - _AROUND, 0), place + _AROUND
        shown = "…" * (start > 0) + text[start:end] + "…" * (end < len(text))
        super().__init__(f"{shown!r} (character {place}: {reason})")


@dataclass
class _Open:
    """A list that is being read: what it began with, its items and commas."""

    token: str
    place: int
    items: list[Any] = field(default_factory=list)
    commas: int = 0
    after_comma: bool = False
    free: bool = True  # whether an item may begin here

    def add(self, item: Any, text: str, place: int) -> None:  # noqa: ANN401
        if not self.free:
            raise NoListError(text, place, "expected a comma or the end of the list")
        self.items.append(item)
        self.free = self.after_comma = False

    def comma(self, text: str, place: int) -> None:
        if self.after_comma or not self.items:
            raise NoListError(text, place, "expected a value before the comma")
        self.commas += 1
        self.free = self.after_comma = True


def may_be_list(text: str) -> bool:
    """Whether text begins and ends like a list."""
    return text == _EMPTY_SET or (text[:1] in _CLOSERS and text[-1:] == _CLOSERS[text[0]])


def read_list(text: str) -> list[Any]:
    r"""The list that some text writes, its lists inside too; None and NaN are kept apart.

    Raises:
        NoListError: If it writes none; shows the place.

    Example:
        >>> read_list("['red', 'big']"), read_list("[[1. nan]\n [3. 4.]]")
        (['red', 'big'], [[1.0, nan], [3.0, 4.0]])
    """
    if text[:1] == "[":
        # C is many times faster than what is below
        words = ("n" in text or "N" in text) and "'" not in text and '"' not in text
        plain = _PYTHONS.sub(_as_json, text) if words else text
        try:
            return json.loads(plain)
        except (ValueError, RecursionError):
            pass
    return [] if text == _EMPTY_SET else _by_tokens(text)


def _as_json(match: re.Match[str]) -> str:
    return "NaN" if match[0] == "nan" else "null"


def _by_tokens(text: str) -> list[Any]:
    if text[:1] not in _CLOSERS:
        raise NoListError(text, 0, "expected a list such as [1, 2]")
    opened: list[_Open] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise NoListError(text, place, "expected a number, a word in quotes or a list")
        kind, token = match.lastgroup, match[0]
        if kind in ("open", "wrap"):
            if opened and not opened[-1].free:
                raise NoListError(text, place, "expected a comma or the end of the list")
            opened.append(_Open(token, place))
        elif kind == "close":
            made = _closed(opened.pop(), token, text, place)
            if not opened:
                if text[match.end() :].strip():
                    raise NoListError(text, match.end(), "expected nothing behind the list")
                return made
            opened[-1].add(made, text, place)
        elif kind == "gap":
            opened[-1].free = True
        elif kind == "comma":
            opened[-1].comma(text, place)
        else:
            opened[-1].add(_item(kind, token, text, place), text, place)
        place = match.end()
    raise NoListError(text, len(text), f"expected {_end_of(opened[-1])!r}, the end of the list")


def _item(kind: str, token: str, text: str, place: int) -> Any:  # noqa: ANN401
    if kind == "left_out":
        raise NoListError(text, place, LEFT_OUT)
    word = token.removeprefix("np.").rstrip("_")
    if kind == "word" and word in _WORDS:
        return _WORDS[word]
    try:
        if kind == "text":
            return ast.literal_eval(token)
        if kind == "number":
            sign = -1 if token[0] == "-" else 1
            known = _NUMBER_WORDS.get(token.lstrip("+-").lower())
            if known is not None:
                return sign * known
            return float(token) if set(token) & set(".eE") else int(token)
    except (ValueError, SyntaxError):
        pass
    raise NoListError(text, place, f"expected a number, a word in quotes or a list, got {token}")


def _end_of(one: _Open) -> str:
    return _CLOSERS[one.token[-1]]


def _closed(one: _Open, token: str, text: str, place: int) -> Any:  # noqa: ANN401
    """What stands between two brackets: a list, or what a call of numpy holds."""
    wrapped = len(one.token) > 1
    if token[-1] != _end_of(one) or (len(token) > 1 and not wrapped):
        raise NoListError(text, place, f"expected {_end_of(one)!r}, the end of the list")
    if one.commas and one.commas not in (len(one.items) - 1, len(one.items)):
        raise NoListError(text, one.place, "some values are parted by commas, others by blanks")
    if wrapped:
        if len(one.items) != 1:
            raise NoListError(text, one.place, f"expected one value in {one.token}...)")
        return one.items[0]
    if one.token == "(" and one.items and not one.commas:
        raise NoListError(text, place, "expected a comma, without which it is no list")
    if one.token == "{" and not (one.items and all(isinstance(i, str) for i in one.items)):
        raise NoListError(text, one.place, "expected words in quotes, as in a set of tags")
    return one.items
