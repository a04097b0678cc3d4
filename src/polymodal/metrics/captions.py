r"""Scores of sentences against references: BLEU and chrF, by sacrebleu, which the field quotes.

BLEU is the geometric mean of the shares of n-grams of words (n = 1 to 4) that are in a reference,
times a penalty for being short, and of characters in languages that put no spaces between words;
chrF the F-score (beta = 2) of n-grams of characters (n = 1 to 6), which is kinder to languages
with endings. Both in [0, 100], over the whole corpus: the mean of
sentences' scores is another number. Both count what is said, not whether it is true: a caption
that always says what most captions say scores well.

Both are functions of counts that are summed over sentences, so the score of a resample of the rows
needs no second look at the texts: it is that of the same counts, weighted.

References:
    Kishore Papineni, Salim Roukos, Todd Ward, Wei-Jing Zhu. BLEU: a Method for Automatic
    Evaluation of Machine Translation. ACL 2002. https://aclanthology.org/P02-1040. Maja Popović.
    chrF: character n-gram F-score for automatic MT evaluation. WMT 2015.
    https://aclanthology.org/W15-3049. Matt Post. A Call for Clarity in Reporting BLEU Scores. WMT
    2018. https://arxiv.org/abs/1804.08771
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from polymodal.data.tokenization.choose import unspaced_share
from polymodal.metrics.registry import metric

Sentences = Sequence[str]
References = Sequence[str] | Sequence[Sequence[str]]
"""One sentence a row, or several a row."""

Tokenize = Literal["13a", "char"]
"""Sacrebleu's tokenizers: words and signs, or single characters."""

_CHARACTERS = 6
_BETA_SQUARED = 4


def tokenizer_of(sentences: Sentences) -> Tokenize:
    """How to cut a language, by some sentences of it: ``"char"`` if it puts no spaces.

    That is one whose letters are of such a script, or whose sentences have hardly two words.

    Example:
        >>> tokenizer_of(["a red box", "the box"]), tokenizer_of(["赤い箱", "青い、大きな箱。"])
        ('13a', 'char')
    """
    n_words = sum(len(text.split()) for text in sentences)
    # The script is asked too, as a codec of words sets spaces around signs.
    if n_words < 1.5 * len(sentences) or unspaced_share(" ".join(sentences)) > 0.3:
        return "char"
    return "13a"


@metric(better="higher", bounds=(0.0, 100.0), baseline="that of the most frequent sentence")
def bleu(said: Sentences, references: References, *, tokenize: str = "13a") -> Tensor:
    """Corpus BLEU of sentences, in [0, 100]; a float64 scalar.

    Arguments:
        said: A sentence a row.
        references: A sentence a row, or several.
        tokenize: Sacrebleu's tokenizer; ``"char"`` for languages that put no spaces, as
            ``tokenizer_of`` tells them.

    Raises:
        ImportError: If sacrebleu is not installed.
        ValueError: If there are no rows, or their numbers differ.
    """
    metrics = _sacrebleu()
    rows = _transposed(said, references)
    return _scalar(metrics.BLEU(tokenize=tokenize).corpus_score(list(said), rows).score)


@metric(better="higher", bounds=(0.0, 100.0), baseline="that of the most frequent sentence")
def chrf(said: Sentences, references: References, *, word_order: int = 0) -> Tensor:
    """Corpus chrF of sentences, in [0, 100]; a float64 scalar.

    Arguments:
        said: A sentence a row.
        references: A sentence a row, or several.
        word_order: Longest n-grams of words counted beside; 2 is chrF++.

    Raises:
        ImportError: If sacrebleu is not installed.
        ValueError: If there are no rows, or their numbers differ.
    """
    metrics = _sacrebleu()
    rows = _transposed(said, references)
    return _scalar(metrics.CHRF(word_order=word_order).corpus_score(list(said), rows).score)


def bleu_counts(said: Sentences, references: Sentences, *, tokenize: str = "13a") -> Tensor:
    """What corpus BLEU sums over sentences, float64 ``(N, 10)``.

    Words said, words of the reference, then n-grams in common and n-grams said for n = 1 to 4.

    Arguments:
        said: A sentence a row.
        references: One sentence a row.
        tokenize: Sacrebleu's tokenizer.

    Raises:
        ImportError: If sacrebleu is not installed.
        ValueError: If there are no rows, or their numbers differ.
    """
    # The effective order changes scores of sentences, which are not used, and spares a warning.
    scorer = _sacrebleu().BLEU(effective_order=True, tokenize=tokenize)
    _transposed(said, references)
    rows = [scorer.sentence_score(a, [b]) for a, b in zip(said, references, strict=True)]
    return torch.tensor(
        [[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in rows],
        dtype=torch.float64,
    )


def bleu_of_counts(sums: Tensor) -> Tensor:
    """Corpus BLEU of R sums of counts ``(R, 10)``; float64 ``(R,)``, in [0, 100].

    Raises:
        ImportError: If sacrebleu is not installed.
    """
    compute = _sacrebleu().BLEU.compute_bleu
    rows = sums.round().long().tolist()
    scores = [compute(row[2:6], row[6:], row[0], row[1], smooth_method="exp") for row in rows]
    return torch.tensor([one.score for one in scores], dtype=torch.float64)


def chrf_counts(said: Sentences, references: Sentences) -> Tensor:
    """What corpus chrF sums over sentences, float64 ``(N, 18)``.

    For n = 1 to 6 the n-grams of characters said, of the reference, and in common. They are
    counted here, as sacrebleu gives them to nobody; spaces are left out as it does.

    Arguments:
        said: A sentence a row.
        references: One sentence a row.

    Raises:
        ValueError: If there are no rows, or their numbers differ.
    """
    _transposed(said, references)
    rows = []
    for pair in zip(said, references, strict=True):
        one, other = ("".join(text.split()) for text in pair)
        row: list[int] = []
        for n in range(1, _CHARACTERS + 1):
            mine, its = _grams(one, n), _grams(other, n)
            # Of a reference that is too short for any n-gram nothing can be found.
            row += [mine.total() if its else 0, its.total(), (mine & its).total()]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def chrf_of_counts(sums: Tensor) -> Tensor:
    """Corpus chrF of R sums of counts ``(R, 18)``; float64 ``(R,)``, in [0, 100]."""
    said, true, common = sums.double().unflatten(1, (_CHARACTERS, 3)).unbind(2)
    here = (said > 0) & (true > 0)
    orders = here.sum(1).clamp(min=1)
    precision, recall = (
        torch.where(here, common / torch.where(here, total, 1.0), 0.0).sum(1) / orders
        for total in (said, true)
    )
    below = _BETA_SQUARED * precision + recall
    found = (1 + _BETA_SQUARED) * precision * recall / torch.where(below > 0, below, 1.0)
    return 100 * found


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _transposed(said: Sentences, references: References) -> list[list[str | None]]:
    """References as sacrebleu takes them: the first of every row, then the second..."""
    rows = [[one] if isinstance(one, str) else list(one) for one in references]
    if not len(said) or len(said) != len(rows):
        raise ValueError(
            f"needs as many references as sentences, at least one; got {len(said)} sentences and "
            f"{len(rows)} references."
        )
    for i, row in enumerate(rows):
        if not row:
            raise ValueError(f"row {i} has no reference; at least one is needed.")
    most = max(map(len, rows))
    return [[row[j] if j < len(row) else None for row in rows] for j in range(most)]


def _sacrebleu() -> Any:  # noqa: ANN401 (an optional module)
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise ImportError(
            "BLEU and chrF need the package sacrebleu: pip install 'polymodal[text-metrics]'."
        ) from error
    return metrics
