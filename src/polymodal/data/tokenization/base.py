"""What every way to cut texts has in common."""

from __future__ import annotations

import abc
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


def composed(text: str) -> str:
    r"""The text in Unicode's composed form (NFC), with ``?`` for halves of characters.

    Example:
        >>> composed("e\u0301") == "\u00e9"
        True
    """
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def one_line(text: str) -> str:
    r"""As ``composed``, with one space for every run of white space and none at the ends.

    Control characters that are no white space are taken out: they are no part of any script, and
    break files.

    Example:
        >>> one_line(" two\n lines\x1b ")
        'two lines'
    """
    return " ".join(composed(_CONTROL.sub("", text)).split())


class Tokenizer(abc.ABC):
    """Texts as token ids: 0 padding, 1 start (never in the data), 2 end, 3 unknown, then others.

    ``decode(encode(s)) == normalise(s)`` where nothing in s is unknown. Ids that ``encode`` gives
    and ``decode`` takes have neither padding nor an end.
    """

    level: ClassVar[str]
    """What the schema calls it."""

    @property
    @abc.abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """A token's place is its id; the four special ones come first."""

    @classmethod
    @abc.abstractmethod
    def fit(cls, texts: Sequence[str], most: int | None) -> Self:
        """From training texts.

        Arguments:
            texts: The texts.
            most: Ids at most, the special ones counted; None chooses by the texts.
        """

    @staticmethod
    @abc.abstractmethod
    def normalise(text: str) -> str:
        """The text with all that the tokens do not keep taken out."""

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of a text, uncut."""

    @abc.abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""

    @abc.abstractmethod
    def to_config(self) -> dict[str, Any]:
        """What JSON can hold."""

    @classmethod
    @abc.abstractmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_config`; raises ValueError for what no tokenizer wrote."""
