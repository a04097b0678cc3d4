"""Captions and translations: what was said of texts that were hidden, beside simple methods.

BLEU and chrF of the whole corpus say how much of the true text is said again, BLEU by characters
where training texts put no spaces between words; the canonical
correlation with a picture, sound or vector of the same row asks instead whether the text fits it,
in whatever words. Its axes are fitted on training rows, between the principal components of the
other modality and those of the texts' weighted word counts (latent semantic analysis); the true
texts of the test rows say how far it can go, as no text says all of a picture.

Texts are compared as the codec writes them. A word that it does not know is a word like any other
in length, but none that is said again: nobody can tell that two of them are one.

References:
    Yuge Shi, N. Siddharth, Brooks Paige, Philip Torr. Variational Mixture-of-Experts Autoencoders
    for Multi-Modal Deep Generative Models. NeurIPS 2019. https://arxiv.org/abs/1911.03393,
    section 4.4. BLEU, chrF and canonical correlation: ``polymodal.metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.baselines import MOST_ROWS
from polymodal.evaluate.bootstrap import bootstrap, percentile_interval
from polymodal.evaluate.examiner import Examiner
from polymodal.evaluate.latent_semantic import text_features
from polymodal.evaluate.result import Estimate, TextScore
from polymodal.evaluate.scores import FEWEST_ROWS, judge
from polymodal.evaluate.unknown_words import told_apart, unknown_note
from polymodal.metrics.captions import (
    Tokenize,
    bleu,
    bleu_counts,
    bleu_of_counts,
    chrf,
    chrf_counts,
    chrf_of_counts,
    tokenizer_of,
)
from polymodal.metrics.correlation import CanonicalAxes, fit_canonical_axes
from polymodal.random import derive_seed
from polymodal.typing import rows_present

CORRELATED = ("image", "vector", "embedding", "audio")
"""Kinds with which texts are correlated."""
COMPONENTS = 32
"""Components of either side, at most: one for ``ROWS_A_COMPONENT`` training rows."""
ROWS_A_COMPONENT = 10
AXES = 5
"""Leading canonical axes over which the correlation is the mean; later ones are mostly noise."""

_FEWEST_PAIRS = 2 * ROWS_A_COMPONENT
_RIDGE = 0.01
_SAME = 1e-10  # a smaller share of the squares is no variance but rounding

Said = Mapping[str, Sequence[str]]
"""``"model"``, ``"mean"``, ``"knn"`` and ``"truth"`` -> a text a row."""


def score_texts(examiner: Examiner, test: Tensors) -> tuple[list[TextScore], list[str]]:
    """Scores of all texts that an examiner has heard, and what could not be scored and why.

    Arguments:
        examiner: One that has judged what was said of the questions.
        test: The rows that they are about.

    Returns:
        BLEU, chrF and the correlations of each text; notes, a sentence each.
    """
    scores: list[TextScore] = []
    notes: list[str] = []
    for judged, rows in examiner.texts:
        name = judged.target.name
        tokens = {**judged.predictions, "truth": judged.truth}
        said = {who: _decoded(examiner, name, values) for who, values in tokens.items()}
        notes += unknown_note(examiner.codec, name, judged.truth)
        apart = told_apart(examiner.codec, name, said)
        tokenize = tokenizer_of(_known(examiner, name))
        try:
            scores += _of_corpus(examiner, name, apart, tokenize, notes)
        except ImportError as error:
            notes.append(str(error))
        scores += _correlations(examiner, test, name, said, rows, tokenize, notes)
    return scores, list(dict.fromkeys(notes))


def _decoded(examiner: Examiner, name: str, tokens: Tensor) -> list[str]:
    return [str(text) for text in examiner.codec.decode(name, tokens)]


def _known(examiner: Examiner, name: str) -> list[str]:
    """Training texts, at most ``MOST_ROWS`` of them."""
    rows = _at_most(examiner, rows_present(examiner.train.present[name]).cpu().nonzero()[:, 0])
    return _decoded(examiner, name, examiner.train.x[name].cpu()[rows])


def _of_corpus(
    examiner: Examiner, name: str, said: Said, tokenize: Tokenize, notes: list[str]
) -> list[TextScore]:
    """BLEU and chrF; raises ImportError without sacrebleu."""
    truth = said["truth"]
    who = [one for one in said if one != "truth"]
    found = []
    for metric, (whole, count, score, lack) in _corpus(tokenize).items():
        if whole(truth, truth).item() < 100 - 1e-6:
            notes.append(f"{name} was not judged by {lack}.")
            continue
        counts = torch.stack([count(said[one], truth) for one in who])

        def statistics(
            weights: Tensor,
            counts: Tensor = counts,
            score: Callable[[Tensor], Tensor] = score,
        ) -> Tensor:
            return torch.stack([score(weights @ one) for one in counts], 1)

        replicates = _resampled(examiner, statistics, len(truth), counts.shape[2])
        by_name = {
            one: (whole(said[one], truth).item(), replicates[:, i]) for i, one in enumerate(who)
        }
        by_name["truth"] = (100.0, torch.full((1,), 100.0, dtype=torch.float64))
        cut = tokenize if metric == "bleu" else None
        found.append(_score(name, metric, None, len(truth), by_name, cut))
    return found


def _corpus(tokenize: Tokenize) -> dict[str, tuple[Callable, Callable, Callable, str]]:
    """Metric -> its score, what it sums, the score of sums, and why there may be none."""
    pieces = {"13a": "words", "char": "characters"}[tokenize]
    return {
        "bleu": (
            partial(bleu, tokenize=tokenize),
            partial(bleu_counts, tokenize=tokenize),
            bleu_of_counts,
            f"BLEU, as no true text has four {pieces}",
        ),
        "chrf": (chrf, chrf_counts, chrf_of_counts, "chrF, as all true texts are empty"),
    }


def _correlations(
    examiner: Examiner,
    test: Tensors,
    name: str,
    said: Said,
    rows: Tensor,
    tokenize: Tokenize,
    notes: list[str],
) -> list[TextScore]:
    """The correlation with every other modality of a fitting kind."""
    codec, train = examiner.codec, examiner.train
    others = [
        other
        for other in codec.names
        if codec.kind(other) in CORRELATED and other in test.x and other in train.x
    ]
    found = []
    for other in others:
        here = rows_present(test.present[other]).cpu()[rows]
        pairs = _pairs(examiner, name, other)
        if int(here.sum()) < FEWEST_ROWS or len(pairs) < _FEWEST_PAIRS:
            notes.append(
                f"{name} was not correlated with {other}, as this takes {_FEWEST_PAIRS} training "
                f"rows and {FEWEST_ROWS} judged rows that have both; there are {len(pairs)} and "
                f"{int(here.sum())}."
            )
            continue
        fitted = _fit(examiner, name, other, pairs, tokenize)
        if fitted is None:
            notes.append(
                f"{name} was not correlated with {other}, as one of them is the same in all "
                "training rows."
            )
            continue
        x, present = test.gather(rows[here].to(test.device))
        given = examiner.blocks[other, None].transform(x, present)
        kept: list[int] = here.nonzero()[:, 0].tolist()
        texts = {who: [values[i] for i in kept] for who, values in said.items()}
        found.append(_correlation(examiner, name, other, fitted, given, texts))
    return found


@dataclass(frozen=True)
class _Fitted:
    """Features of two modalities and the canonical axes between them.

    Arguments:
        principal: Principal axes of the other modality, ``(F, C)``.
        texts: Texts -> their features ``(N, C)``.
        axes: Between the two.
    """

    principal: Tensor
    texts: Callable[[Sequence[str]], Tensor]
    axes: CanonicalAxes


def _pairs(examiner: Examiner, name: str, other: str) -> Tensor:
    """Training rows that have both, at most ``MOST_ROWS`` of them."""
    present = examiner.train.present
    both = rows_present(present[name]).cpu() & rows_present(present[other]).cpu()
    return _at_most(examiner, both.nonzero()[:, 0])


def _at_most(examiner: Examiner, rows: Tensor) -> Tensor:
    """All rows, or ``MOST_ROWS`` of them at random."""
    if len(rows) <= MOST_ROWS:
        return rows
    generator = torch.Generator().manual_seed(derive_seed(examiner.seed, 6))
    return rows[torch.randperm(len(rows), generator=generator)[:MOST_ROWS].sort().values]


def _fit(
    examiner: Examiner, name: str, other: str, pairs: Tensor, tokenize: Tokenize
) -> _Fitted | None:
    """Features and axes from training rows; None where either side is always the same."""
    tokens = examiner.train.x[name].cpu()[pairs]
    texts = _decoded(examiner, name, tokens)
    given = torch.from_numpy(examiner.given_train[other, None][pairs.numpy()]).double()
    n_components = min(COMPONENTS, len(pairs) // ROWS_A_COMPONENT)
    centred = given - given.mean(0)
    varies = centred.square().sum() > _SAME * given.square().sum()
    if len(set(texts)) < 2 or not bool(varies):
        return None
    principal = torch.linalg.eigh(centred.T @ centred / len(given))[1][:, -n_components:]
    features = text_features(texts, n_components, tokenize)
    said = features(texts)
    if not bool((said - said.mean(0)).square().sum() > _SAME * said.square().sum()):
        return None
    axes = fit_canonical_axes(given @ principal, said, AXES, _RIDGE)
    return _Fitted(principal, features, axes)


def _correlation(
    examiner: Examiner, name: str, other: str, fitted: _Fitted, given: np.ndarray, texts: Said
) -> TextScore:
    """The correlation of one other modality ``(N, F)`` with everyone's texts for its rows."""
    features = torch.from_numpy(given).double() @ fitted.principal
    who = list(texts)
    pairs = [fitted.axes.project(features, fitted.texts(texts[one])) for one in who]
    centred = [tuple(side - side.mean(0) for side in pair) for pair in pairs]

    def statistics(weights: Tensor) -> Tensor:
        return torch.stack([weighted_correlation(a, b, weights) for a, b in centred], 1)

    n = len(given)
    whole = statistics(torch.ones(1, n, dtype=torch.float64))[0].tolist()
    replicates = _resampled(examiner, statistics, n, 2 * AXES)
    by_name = {one: (whole[i], replicates[:, i]) for i, one in enumerate(who)}
    return _score(name, "canonical_correlation", other, n, by_name)


def weighted_correlation(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """``metrics.canonical_correlation`` of variates for weights of rows; float64 ``(R,)``.

    Arguments:
        a: Variates about their mean, ``(N, C)``.
        b: Those of the other side, ``(N, C)``.
        weights: ``(R, N)``.
    """
    total = weights.sum(1, keepdim=True)
    mean_a, mean_b = weights @ a / total, weights @ b / total
    square_a, square_b = weights @ a.square() / total, weights @ b.square() / total
    spread_a, spread_b = square_a - mean_a.square(), square_b - mean_b.square()
    flat = (spread_a <= _SAME * square_a) | (spread_b <= _SAME * square_b)
    flat |= spread_a * spread_b <= 1e-20
    both = weights @ (a * b) / total - mean_a * mean_b
    scale = torch.where(flat, 1.0, spread_a * spread_b).sqrt()
    return torch.where(flat, 0.0, both / scale).mean(1)


def _resampled(
    examiner: Examiner, statistic: Callable[[Tensor], Tensor], n_rows: int, width: int
) -> Tensor:
    """Replicates ``(R, Q)`` over the resamples that the rows of skill have as well."""
    seed = derive_seed(examiner.seed, 4)
    return bootstrap(statistic, n_rows, resamples=examiner.bootstrap, seed=seed, width=width)[1]


def _score(
    name: str,
    metric: str,
    other: str | None,
    n_rows: int,
    by_name: Mapping[str, tuple[float, Tensor]],
    tokenize: Tokenize | None = None,
) -> TextScore:
    """Estimates, the better simple method and who wins; who -> value and replicates ``(R,)``."""
    estimates = {
        who: Estimate(value, *percentile_interval(replicates))
        for who, (value, replicates) in by_name.items()
    }
    best = max(("mean", "knn"), key=lambda who: estimates[who].value)
    (value, mine), (rival, its) = by_name["model"], by_name[best]
    difference = Estimate(value - rival, *percentile_interval(mine - its))
    verdict = judge(difference, n_rows)
    return TextScore(
        name,
        metric,
        other,
        n_rows,
        best_baseline=best,
        verdict=verdict,
        tokenize=tokenize,
        **estimates,
    )
