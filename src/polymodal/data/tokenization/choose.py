r"""Which tokens suit some texts.

The chance that the next word is one never seen is estimated by :math:`n_1 / N`, the words that
come once over all words. Where it is small, words do. Names, and texts in scripts that set no
spaces, are cut into characters; what else is left into pairs of bytes, or, where the library that
learns these is not installed, into characters too.

References:
    The population frequencies of species and the estimation of population parameters.
    I. J. Good, 1953, Biometrika 40, equation 9. https://doi.org/10.1093/biomet/40.3-4.237
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polymodal.data.text_settings import TextLevel
from polymodal.data.tokenization.base import Tokenizer
from polymodal.data.tokenization.byte_pairs import BytePairTokenizer, library_installed
from polymodal.data.tokenization.characters import CharacterTokenizer
from polymodal.data.tokenization.words import WordTokenizer, tokens_of

_TOKENIZERS: dict[str, type[WordTokenizer | CharacterTokenizer | BytePairTokenizer]] = {
    one.level: one for one in (WordTokenizer, CharacterTokenizer, BytePairTokenizer)
}
LOOKED_AT = 5000
"""So many texts are looked at to choose."""
FEW_WORDS = 200
"""With fewer words in all there is nothing to estimate from."""
MOST_UNSEEN = 0.01
"""With a larger chance of unseen words, words are not enough."""
SHORT = 40
"""Names have so many characters at most, nine times in ten."""
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Kana
    (0x3400, 0x9FFF),  # Han
    (0x20000, 0x3FFFF),
)

_FIRST = chr(_UNSPACED[0][0])


def unspaced_share(text: str) -> float:
    """Share of a text's letters that belong to scripts without spaces between words.

    Example:
        >>> unspaced_share("東京 to")
        0.5
    """
    letters = [one for one in text if one.isalpha()]
    return sum(map(_is_unspaced, letters)) / len(letters) if letters else 0.0


def _is_unspaced(letter: str) -> bool:
    return letter >= _FIRST and any(low <= ord(letter) <= high for low, high in _UNSPACED)


def words_in(text: str) -> float:
    """About how many words a text has; two letters of a script without spaces are one.

    Example:
        >>> words_in("a dark coat"), words_in("東京都の人")
        (3.0, 2.5)
    """
    unspaced = sum(_is_unspaced(one) for one in text)
    return unspaced / 2 if unspaced * 2 > len(text) else float(len(text.split()))


def choose_level(texts: Sequence[str]) -> TextLevel:
    """``word``, ``char`` or ``bpe``.

    Example:
        >>> choose_level(["a dark coat", "a light shirt"])
        'word'
        >>> choose_level(["囲み数字"])
        'char'
    """
    texts = texts[:LOOKED_AT]
    long = "bpe" if library_installed() else "char"
    length = float(np.quantile([len(text) for text in texts], 0.9)) if len(texts) else 0.0
    if unspaced_share(" ".join(texts)) > 0.3:
        return "char" if length <= 2 * SHORT else long
    counts = Counter(token for text in texts for token in tokens_of(text))
    n_words = sum(counts.values())
    unseen = sum(n == 1 for n in counts.values()) / max(n_words, 1)
    if n_words < FEW_WORDS or unseen <= MOST_UNSEEN:
        return "word"
    return "char" if length <= SHORT else long


def fit_tokenizer(
    level: str | None, texts: Sequence[str], vocabulary: int | None = None
) -> Tokenizer:
    """The tokens of training texts.

    Arguments:
        level: ``word``, ``char`` or ``bpe``; ``auto`` or None chooses by the texts.
        texts: The training texts.
        vocabulary: Ids at most, the four special ones counted; None chooses by the texts.
    """
    chosen = choose_level(texts) if level in (None, "auto") else str(level)
    return _TOKENIZERS[chosen].fit(texts, vocabulary)


def tokenizer_from_config(config: Mapping[str, Any]) -> Tokenizer:
    """The inverse of ``to_config`` of the three; words where the configuration names no level."""
    level = config.get("level", "word")
    if level not in _TOKENIZERS:
        raise ValueError(f"level must be one of {', '.join(_TOKENIZERS)}, got {level!r}")
    return _TOKENIZERS[level].from_config(config)
