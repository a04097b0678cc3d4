"""Texts come back as they were, up to a stated normalisation, whatever they hold."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polymodal.data import DataCodec, ModalitySpec, Schema, from_arrays
from polymodal.data.codec_text import TextCodec
from polymodal.data.text_settings import LEVELS, MOST_TOKENS
from polymodal.data.tokenization import choose_level, fit_tokenizer, tokenizer_from_config
from polymodal.data.tokenization.byte_pairs import BytePairTokenizer
from polymodal.data.tokenization.words import WordTokenizer
from polymodal.distributions.special_tokens import END, PAD, SPECIAL, UNKNOWN

TEXTS = [
    "a dark coat, wide cut",
    "Áo khoác tối màu",
    "囲み数字: 3",
    "ein dunkler Mantel (weit)",
    "नमस्ते दुनिया",
    "🙂🙃 two faces 👩‍🚀",
]


def codec_of(texts: list, **said: object) -> DataCodec:
    data = from_arrays({"t": texts}, kinds={"t": "text"})
    return DataCodec.fit(data.with_schema(data.schema.set("t", **said)) if said else data)


def encoded(codec: DataCodec, texts: list) -> torch.Tensor:
    return codec.encode(from_arrays({"t": texts}, kinds={"t": "text"})).x["t"]


@pytest.mark.parametrize("level", LEVELS)
def test_training_texts_come_back(level: str) -> None:
    codec = codec_of(TEXTS, tokenizer=level, tokens=200)
    tokenizer = fit_tokenizer(level, TEXTS)
    assert codec.text_level("t") == level
    assert codec.schema["t"].tokenizer == level
    said = codec.decode("t", encoded(codec, TEXTS))
    assert said.tolist() == [tokenizer.normalise(one) for one in TEXTS]
    assert (encoded(codec, TEXTS) != UNKNOWN).all()
    assert codec.vocabulary("t")[:4] == SPECIAL
    assert len(set(codec.vocabulary("t"))) == codec.vocabulary_size("t")


BYTE_PAIRS = fit_tokenizer("bpe", TEXTS * 3)


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_to_pairs_of_bytes_nothing_is_unknown(text: str) -> None:
    ids = BYTE_PAIRS.encode(text)
    assert min(ids, default=4) > UNKNOWN
    assert BYTE_PAIRS.decode(ids) == BYTE_PAIRS.normalise(text)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_characters_and_words_come_back_where_all_is_known(text: str) -> None:
    for level in ("char", "word"):
        tokenizer = fit_tokenizer(level, [text])
        ids = tokenizer.encode(text)
        assert all(i > UNKNOWN for i in ids)
        said = tokenizer.decode(ids)
        assert said == tokenizer.normalise(text) == tokenizer.normalise(said)
        assert tokenizer.encode(said) == ids


def test_composed_and_decomposed_letters_are_one() -> None:
    composed = "được mở rộng"
    apart = unicodedata.normalize("NFD", composed)
    assert apart != composed
    for level in LEVELS:
        tokenizer = fit_tokenizer(level, [composed])
        assert tokenizer.encode(apart) == tokenizer.encode(composed)
        assert tokenizer.decode(tokenizer.encode(apart)) == composed


def test_pairs_of_bytes_and_characters_keep_case_and_join_white_space() -> None:
    for level in ("bpe", "char"):
        tokenizer = fit_tokenizer(level, ["A \t b\n\nC "])
        assert tokenizer.decode(tokenizer.encode("A \t b\n\nC ")) == "A b C"


@given(st.lists(st.integers(4, 300), max_size=12))
@settings(max_examples=100, deadline=None)
def test_whatever_a_model_writes_is_one_line(ids: list[int]) -> None:
    """A model may write any bytes; what breaks a file's rows must not come out."""
    said = BYTE_PAIRS.decode([i % len(BYTE_PAIRS.vocabulary) for i in ids])
    assert said == BYTE_PAIRS.normalise(said)
    assert not any(unicodedata.category(one) == "Cc" for one in said)


def test_half_a_character_is_a_question_mark() -> None:
    for level in LEVELS:
        tokenizer = fit_tokenizer(level, ["a ? b"])
        said = tokenizer.decode(tokenizer.encode("a \ud83d b"))
        assert said == tokenizer.normalise("a ? b")


def test_what_is_unknown_is_said_so() -> None:
    words, letters = fit_tokenizer("word", ["a b"]), fit_tokenizer("char", ["a b"])
    assert words.encode("a zz") == [4, UNKNOWN]
    assert words.decode([4, UNKNOWN]) == "a <unknown>"
    assert letters.decode(letters.encode("a z")) == "a \ufffd"


def test_the_first_merge_is_the_most_frequent_pair() -> None:
    """Sennrich et al. 2016, algorithm 1, by hand: of the words' pairs, e s and s t come first."""
    words = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    merges = BytePairTokenizer.fit(words, None).merges
    pairs: Counter = Counter()
    for word in words:
        pairs.update(pairwise(word))
    assert pairs[merges[0]] == max(pairs.values()) == 9
    assert ("".join(merges[1])) == "est"
    tokenizer = BytePairTokenizer.fit(words, 4 + 256 + 2)
    assert len(tokenizer.vocabulary) == 262
    assert [tokenizer.vocabulary[i] for i in tokenizer.encode("west")] == ["w", "est"]


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefg"), 6)) + "xyz" * (i % 3) for i in range(60)]
    for level in LEVELS:
        one = fit_tokenizer(level, texts)
        assert one == fit_tokenizer(level, [texts[i] for i in rng.permutation(60)])


@pytest.mark.parametrize("level", LEVELS)
def test_a_codec_is_written_as_plain_json(level: str) -> None:
    codec = codec_of(TEXTS, tokenizer=level)
    config, tensors = codec.to_config()
    again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
    assert not tensors
    assert again == codec
    assert torch.equal(encoded(again, TEXTS), encoded(codec, TEXTS))


def test_words_are_written_as_they_always_were() -> None:
    codec = TextCodec(WordTokenizer((*SPECIAL, "a", "b")), 3)
    config, _ = codec.to_config()
    assert config == {"words": [*SPECIAL, "a", "b"], "length": 3}
    assert TextCodec.from_config(config, {}, ModalitySpec("text", column="t")) == codec


@pytest.mark.parametrize(
    ("level", "spoil", "said"),
    [
        ("bpe", lambda c: c.update(level="bpee"), "level must be one of"),
        ("bpe", lambda c: c.update(merges=[["zz", "a"]]), "not yet a token"),
        ("bpe", lambda c: c.update(merges=[["a"]]), "damaged"),
        ("bpe", lambda c: c.update(merges=3), "damaged"),
        ("bpe", lambda c: c.pop("merges"), "damaged"),
        ("char", lambda c: c.update(characters="aa"), "each stands once"),
        ("char", lambda c: c.update(characters=["a"]), "must be a string"),
        ("char", lambda c: c.update(length=True), "length"),
    ],
)
def test_a_damaged_tokenizer_is_one_sentence(level: str, spoil: object, said: str) -> None:
    config, tensors = codec_of(TEXTS, tokenizer=level).to_config()
    config = copy.deepcopy(config)
    spoil(config["codecs"][0])
    with pytest.raises(ValueError, match=said):
        DataCodec.from_config(config, tensors)


@pytest.mark.parametrize("level", LEVELS)
def test_empty_absent_and_endless_texts_have_an_outcome(level: str) -> None:
    long = "word " * 20_000
    codec = codec_of(["", None, "a word", long], tokenizer=level)
    assert codec.length("t") == MOST_TOKENS[level]
    data = from_arrays({"t": ["", None, "a word", long]}, kinds={"t": "text"})
    tensors = codec.encode(data)
    assert tensors.present["t"].tolist() == [True, False, True, True]
    assert tensors.x["t"][0].tolist() == [END, *[PAD] * (codec.length("t") - 1)]
    assert (tensors.x["t"][1] == PAD).all()
    assert tensors.x["t"][3, -1] == END
    said = codec.decode("t", tensors.x["t"])
    assert said[:3].tolist() == ["", "", "a word"]
    assert long.startswith(said[3])
    nothing = codec_of(["", ""], tokenizer=level)
    assert nothing.length("t") == 2
    assert nothing.decode("t", encoded(nothing, [""])).tolist() == [""]


def test_a_character_that_is_cut_is_left_out() -> None:
    codec = codec_of(["漢字"], tokenizer="bpe", tokens=5)  # four bytes of six, and the end
    assert codec.decode("t", encoded(codec, ["漢字"])).tolist() == ["漢"]


def test_the_vocabulary_is_no_larger_than_asked() -> None:
    texts = [f"word{i} and w{i % 7}" for i in range(300)]
    for level, most in (("word", 20), ("bpe", 270), ("char", 12)):
        assert codec_of(texts, tokenizer=level, vocabulary=most).vocabulary_size("t") == most


REPEATED = [f"a {tone} {kind}, wide" for tone in ("dark", "light") for kind in ("coat", "shirt")]
_RNG = np.random.default_rng(0)
NAMES = ["".join(_RNG.choice(list("abcdefgh"), 8)).title() for _ in range(300)]
SENTENCES = [f"the {one} is not found in the list of {one[::-1]} nor here" for one in NAMES]


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (REPEATED * 100, "word"),
        (REPEATED, "word"),
        (NAMES, "char"),
        (SENTENCES, "bpe"),
        (["東京タワー", "笑顔", "囲み数字: 3"], "char"),
        (["これは日本語のとても長い文章です。" * 8], "bpe"),
        ([], "word"),
        (["", " "], "word"),
    ],
)
def test_tokens_are_chosen_by_the_texts(texts: list[str], level: str) -> None:
    assert choose_level(texts) == level
    if texts:
        assert codec_of(texts).text_level("t") == level
        assert codec_of(texts, tokenizer="auto").schema["t"].tokenizer == level


def test_settings_of_a_text_are_checked_printed_and_kept() -> None:
    schema = Schema({"t": ModalitySpec("text", column="t")})
    schema = schema.set("t", tokenizer="bpe", vocabulary=1000, tokens=48)
    assert "byte pairs, 1000 ids, 48 tokens" in str(schema)
    assert Schema.from_dict(schema.to_dict()) == schema
    assert "tokenizer: bpe" in schema.to_yaml()
    assert schema.set("t", tokens=20)["t"].vocabulary == 1000
    for said, fault in (
        ({"tokenizer": "bep"}, "Did you mean 'bpe'"),
        ({"vocabulary": 100}, "at least 260"),
        ({"vocabulary": 2.5}, "whole number"),
        ({"tokenizer": "char", "vocabulary": 4}, "at least 5"),
        ({"tokens": 1}, "at least 2"),
    ):
        with pytest.raises(ValueError, match=fault):
            schema.set("t", **said)
    with pytest.raises(ValueError, match="`tokenizer` does not fit a count"):
        schema.set("t", kind="count", tokenizer="bpe")
    with pytest.raises(ValueError, match="belongs to kind text"):
        ModalitySpec("image", column="x", tokenizer="bpe")


def test_an_unknown_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        tokenizer_from_config({"level": "syllable"})


def test_byte_pairs_without_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing chooses them, and who asks for them is told what to do."""
    long = [" ".join(f"w{i}{j}" for j in range(12)) for i in range(40)]
    assert choose_level(long) == "bpe"
    for module in ("choose", "byte_pairs"):
        monkeypatch.setattr(
            f"polymodal.data.tokenization.{module}.library_installed", lambda: False
        )
    assert choose_level(long) == "char"
    with pytest.raises(ImportError, match=r"polymodal\[text\]"):
        fit_tokenizer("bpe", long)


@pytest.mark.parametrize("level", LEVELS)
def test_a_codec_knows_whether_training_texts_were_empty(level: str) -> None:
    texts = ["a coat", "a b", "coat"]
    for some, full in ((texts, True), ([*texts, ""], False), ([*texts, "  "], False)):
        codec = codec_of(some, tokenizer=level)
        assert codec.never_empty("t") is full
        config, _ = codec.codecs["t"].to_config()
        spec = ModalitySpec("text", column="t", tokenizer=level)
        assert TextCodec.from_config(config, {}, spec).never_empty is full
        config.pop("never_empty", None)  # as in files of before
        assert TextCodec.from_config(config, {}, spec).never_empty is False
        with pytest.raises(ValueError, match="never_empty must be true or false"):
            TextCodec.from_config({**config, "never_empty": 1}, {}, spec)
