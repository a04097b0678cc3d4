"""Characters of any script, in Unicode's composed form.

Ids go by falling frequency, ties by code point. A character not seen in training is unknown and
comes back as U+FFFD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from polymodal.data.tokenization.base import Tokenizer, one_line
from polymodal.distributions.special_tokens import SPECIAL, UNKNOWN

MOST_CHARACTERS = 5000
_UNKNOWN = "\ufffd"


@dataclass(frozen=True)
class CharacterTokenizer(Tokenizer):
    """Texts as characters.

    Arguments:
        characters: Those that are known, by id from 4 on.
    """

    characters: str
    level: ClassVar[str] = "char"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return (*SPECIAL, *self.characters)

    @classmethod
    def fit(cls, texts: Sequence[str], most: int | None) -> CharacterTokenizer:
        most = most or MOST_CHARACTERS
        counts = Counter(one for text in texts for one in one_line(text))
        ranked = sorted((-n, one) for one, n in counts.items())
        return cls("".join(one for _, one in ranked[: most - len(SPECIAL)]))

    @staticmethod
    def normalise(text: str) -> str:
        return one_line(text)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {one: i for i, one in enumerate(self.characters, len(SPECIAL))}

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(one, UNKNOWN) for one in one_line(text)]

    def decode(self, ids: Iterable[int]) -> str:
        known, first = self.characters, len(SPECIAL)
        said = (known[i - first] if i >= first else _UNKNOWN for i in ids if i >= UNKNOWN)
        return one_line("".join(said))

    def to_config(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> CharacterTokenizer:
        characters = config["characters"]
        if not isinstance(characters, str) or len(set(characters)) < len(characters):
            raise ValueError("characters must be a string in which each stands once")
        return cls(characters)
