"""Words that a codec does not know, in scores of texts: none is said again, and many are told of.

All of them have one token, so that without care an answer of unknown words would match any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.distributions.special_tokens import END, UNKNOWN
from polymodal.metrics.text import words_of

MANY = 0.05
"""A larger share of unknown words is told."""
_SAID, _TRUE = "\ufdd0", "\ufdd1"  # characters of no text, by Unicode's promise
_UNITS = {"word": "words", "char": "characters"}


def told_apart(
    codec: DataCodec, name: str, said: Mapping[str, Sequence[str]]
) -> Mapping[str, Sequence[str]]:
    """Decoded texts with one sign for what is unknown in answers, and another in the truth.

    Arguments:
        codec: What decoded them.
        name: The text modality.
        said: ``"truth"`` and who answered -> a text a row.
    """
    if codec.text_level(name) not in _UNITS:
        return said
    tokens = torch.full((1, codec.length(name)), END)
    tokens[0, 0] = UNKNOWN
    sign = str(codec.decode(name, tokens)[0])
    return {
        who: [text.replace(sign, _TRUE if who == "truth" else _SAID) for text in texts]
        for who, texts in said.items()
    }


def unknown_note(codec: DataCodec, name: str, truth: Tensor) -> list[str]:
    """A sentence on the share of unknown words of true texts ``(N, T)``; none where few are."""
    words = words_of(truth)
    share = float((words & (truth == UNKNOWN)).sum() / words.sum().clamp(min=1))
    unit = _UNITS.get(codec.text_level(name), "tokens")
    if share <= MANY:
        return []
    return [
        f"{share:.0%} of the {unit} of the true texts of {name} are not in the model's "
        "vocabulary, and no answer can match them; tokenizer: bpe in the schema knows all words."
    ]
