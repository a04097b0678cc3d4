"""Texts as token ids and back: words, pairs of bytes, or characters."""

from __future__ import annotations

from polymodal.data.tokenization.base import Tokenizer as Tokenizer
from polymodal.data.tokenization.choose import choose_level as choose_level
from polymodal.data.tokenization.choose import fit_tokenizer as fit_tokenizer
from polymodal.data.tokenization.choose import tokenizer_from_config as tokenizer_from_config
