from __future__ import annotations

import math
import sys

import pytest

from polymodal.metrics import bleu, chrf
from polymodal.metrics.captions import tokenizer_of

sacrebleu = pytest.importorskip("sacrebleu")

SAID = ["a black leather boot with a low heel", "the sandal is red", "a shirt"]
TRUE = ["a black boot with a low heel", "the red sandal", "a long white shirt"]


def test_scores_are_those_of_sacrebleu() -> None:
    assert bleu(SAID, TRUE).item() == sacrebleu.corpus_bleu(SAID, [TRUE]).score
    assert chrf(SAID, TRUE).item() == sacrebleu.corpus_chrf(SAID, [TRUE]).score
    plus = sacrebleu.corpus_chrf(SAID, [TRUE], word_order=2).score
    assert chrf(SAID, TRUE, word_order=2).item() == plus


@pytest.mark.parametrize(
    ("sentences", "tokenize"),
    [
        (TRUE, "13a"),
        (["빨간 상자가 있어요", "파란 상자"], "13a"),
        (["một cái hộp", "hai"], "13a"),
        (["赤い箱", "青い箱です。"], "char"),
        (["赤い 、 大きな 箱 。", "青い 、 箱 。"], "char"),  # as a codec of words writes it
        (["这是一个红色的盒子。"], "char"),
        (["กล่องสีแดง"], "char"),
        (["aredbox", "thegreenbox"], "char"),
        ([], "13a"),
    ],
)
def test_languages_without_spaces_are_cut_into_characters(
    sentences: list[str], tokenize: str
) -> None:
    assert tokenizer_of(sentences) == tokenize


def test_bleu_of_characters_is_that_of_sacrebleu() -> None:
    said, true = ["小さな赤い箱です", "青い靴"], ["大きな赤い箱です", "青い靴と赤い帽子"]
    wanted = sacrebleu.corpus_bleu(said, [true], tokenize="char").score
    assert bleu(said, true, tokenize="char").item() == wanted
    assert bleu(said, true).item() < wanted


def test_bleu_by_hand() -> None:
    said, true = ["the quick fox jumps over"], ["the quick brown fox jumps over"]
    # n-grams in common: 5 of 5 words, 3 of 4 pairs, 1 of 3 triples, none of 2 (smoothed: 1/4).
    precisions = [5 / 5, 3 / 4, 1 / 3, 1 / 4]
    by_hand = math.exp(1 - 6 / 5) * math.prod(precisions) ** (1 / 4)
    assert bleu(said, true).item() == pytest.approx(100 * by_hand)


def test_best_and_worst() -> None:
    assert bleu(TRUE, TRUE).item() == pytest.approx(100)
    assert chrf(TRUE, TRUE).item() == pytest.approx(100)
    assert chrf(["xyz"], ["abc"]).item() == 0
    assert bleu(["x y z w"], ["a b c d"]).item() == 0


def test_any_of_several_references_will_do() -> None:
    several = [["no such thing at all here", t] if i else [t] for i, t in enumerate(TRUE)]
    assert bleu(TRUE, several).item() == pytest.approx(100)
    assert chrf(TRUE, several).item() == pytest.approx(100)


def test_errors_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="3 sentences and 2 references"):
        bleu(SAID, TRUE[:2])
    with pytest.raises(ValueError, match="row 1 has no reference"):
        chrf(SAID, [["a"], [], ["b"]])
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r"pip install 'polymodal\[text-metrics\]'"):
        bleu(SAID, TRUE)
