"""What an evaluation says: estimates with intervals, a row a question, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["modality", "cells"]
Judgement = Literal["better", "equal", "worse"]
BASELINES = ("mean", "linear", "knn")


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval over rows.

    Arguments:
        value: Of the rows themselves.
        low: Lower bound of the 95 % interval.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class SkillRow:
    """How well one thing is predicted, by the model and by simple baselines.

    Arguments:
        task: ``"modality"``: the whole modality was hidden and all others given; ``"cells"``: a
            share of a table's cells was hidden and the rest given.
        modality: What was hidden.
        column: The table's column, or None for a whole modality.
        kind: That of a table's column, or of the modality.
        metric: The error's name in ``METRICS``; ``"r2"`` rows hold R^2 instead (more is better).
        n: Rows judged.
        model: The model's error, in the column's own units.
        mean: That of the mean, the most frequent category or the most frequent text.
        linear: That of ridge or logistic regression; None where there is none.
        knn: That of 5 nearest neighbours.
        crps: CRPS of the model's draws, in the units of the error; for numbers.
        coverage: Share of truths in the model's central intervals; for numbers.
        best_baseline: ``"mean"``, ``"linear"`` or ``"knn"``: the one with the least error.
        skill: 1 - the model's error / that of the best baseline; at least -10.
        verdict: Whether the model beats the best baseline, by the paired bootstrap of the
            difference; ``"equal"`` also where there are too few rows to tell.
        crps_mean: CRPS of the column's distribution over training rows, the baseline of ``crps``.
        brier: Brier score of the model's draws; for categories.
    """

    task: Task
    modality: str
    column: str | None
    kind: str
    metric: str
    n: int
    model: Estimate
    mean: Estimate | None
    linear: Estimate | None
    knn: Estimate | None
    crps: Estimate | None
    coverage: Estimate | None
    best_baseline: str
    skill: Estimate
    verdict: Judgement
    crps_mean: Estimate | None = None
    brier: Estimate | None = None

    @property
    def label(self) -> str:
        """``column (modality)`` or the modality's name."""
        if self.column is None or self.column == self.modality:
            return self.modality
        return f"{self.column} ({self.modality})"


_ESTIMATES = (
    "model", "mean", "linear", "knn", "skill", "crps", "crps_mean", "brier", "coverage",
)  # fmt: skip
_FACTS = ("task", "modality", "column", "kind", "metric", "n", "best_baseline", "verdict")


@dataclass(frozen=True)
class TextScore:
    """One score of the answers to a text that was hidden whole; more is better.

    Arguments:
        modality: The text.
        metric: ``"bleu"`` or ``"chrf"``, of the whole corpus, in [0, 100]; or
            ``"canonical_correlation"`` with another modality of the rows, in [-1, 1].
        other: That other modality; None for BLEU and chrF.
        n: Rows judged.
        model: Of the model's answers.
        mean: Of the most frequent text.
        knn: Of the nearest neighbour's text.
        truth: Of the true texts: 100 for BLEU and chrF.
        best_baseline: ``"mean"`` or ``"knn"``: the one that scores higher.
        verdict: Whether the model beats it, by the paired bootstrap of the difference;
            ``"equal"`` also where there are too few rows to tell.
        tokenize: Sacrebleu's tokenizer by which BLEU was taken: ``"13a"``, words, or ``"char"``,
            characters, where texts put no spaces; None for the others.
    """

    modality: str
    metric: str
    other: str | None
    n: int
    model: Estimate
    mean: Estimate
    knn: Estimate
    truth: Estimate
    best_baseline: str
    verdict: Judgement
    tokenize: str | None = None

    @property
    def label(self) -> str:
        """The score's name, and the modality with which texts are correlated."""
        by = " of characters" if self.tokenize == "char" else ""
        named = {"bleu": f"BLEU{by}", "chrf": "chrF"}
        return named.get(self.metric, f"correlation with {self.other}")


@dataclass(frozen=True)
class Held:
    """How many of all numbers that were asked for lay inside their intervals of one level.

    Arguments:
        share: The share inside, with its interval over rows.
        n: Numbers.
        rows: Rows that have any of them.
    """

    share: Estimate
    n: int
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """A model's skill on held-out rows.

    Arguments:
        rows: One a question and metric.
        verdict: A paragraph in plain words, with the notes but for those on scores of texts.
        calibration: (nominal level, observed coverage, cells counted) of central intervals, over
            all numbers that were asked for.
        level: The nominal level of ``coverage`` in the rows.
        notes: Which rows were judged where not all, what could not be judged and why, a sentence
            each.
        texts: Scores of captions and translations, of every text that was hidden whole.
        held: How many of all numbers lay inside their intervals of ``level``; None where no
            number was judged.
    """

    rows: list[SkillRow]
    verdict: str
    calibration: list[tuple[float, float, int]]
    level: float = 0.9
    notes: list[str] = field(default_factory=list)
    texts: list[TextScore] = field(default_factory=list)
    held: Held | None = None

    def frame(self) -> pd.DataFrame:
        """A line a row; estimates as three columns: ``model``, ``model_low``, ``model_high``."""
        import pandas as pd

        lines = []
        for row in self.rows:
            line: dict[str, Any] = {name: getattr(row, name) for name in _FACTS}
            for name in _ESTIMATES:
                estimate = getattr(row, name)
                for suffix, attribute in (("", "value"), ("_low", "low"), ("_high", "high")):
                    line[name + suffix] = getattr(estimate, attribute, math.nan)
            lines.append(line)
        ends = ("", "_low", "_high")
        columns = [*_FACTS, *(name + end for name in _ESTIMATES for end in ends)]
        return pd.DataFrame(lines, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: numbers that are not finite become None."""
        return finite(asdict(self))

    def __str__(self) -> str:
        head = ["hidden", "what", "metric", "n", "model", *BASELINES, "skill", "verdict"]
        lines = _aligned([head, *map(_line, self.rows)], left=(0, 1, 2, len(head) - 1))
        texts = ["", *_text_lines(self.texts)] if self.texts else []
        aside = [note for note in self.notes if note not in self.verdict]
        return "\n".join([*lines, *texts, *aside, "", self.verdict])


def _aligned(lines: list[list[str]], left: tuple[int, ...]) -> list[str]:
    """Cells as lines of text; the columns ``left`` stand at the left, the others at the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _line(row: SkillRow) -> list[str]:
    """One line of the text table; the best baseline has a star."""
    baselines = []
    for name in BASELINES:
        estimate = getattr(row, name)
        star = "*" if name == row.best_baseline else ""
        baselines.append("-" if estimate is None else f"{estimate.value:.3g}{star}")
    skill = f"{row.skill.value:+.2f} [{row.skill.low:+.2f}, {row.skill.high:+.2f}]"
    return [
        row.task,
        row.label,
        row.metric,
        str(row.n),
        f"{row.model.value:.3g}",
        *baselines,
        skill,
        row.verdict,
    ]


_TEXT_WORDS = {
    "bleu": "BLEU, 0 to 100: runs of 1 to 4 words that the answer shares with the true text.",
    "chrf": "chrF, 0 to 100: runs of 1 to 6 characters that they share.",
    "canonical_correlation": (
        "Correlation, -1 to 1: how well the text fits the rest of its row; about 0 is no better "
        "than the text of some other row."
    ),
}


_BY_CHARACTERS = (
    "BLEU of characters (sacrebleu's tokenizer char) takes these for words, as such texts put no "
    "spaces between words; do not compare it with BLEU of words."
)


def text_words(texts: Sequence[TextScore]) -> list[str]:
    """How to read the scores of texts, for one who knows none of them; a sentence each."""
    there = {one.metric for one in texts}
    said = [words for name, words in _TEXT_WORDS.items() if name in there]
    if any(one.tokenize == "char" for one in texts):
        said.append(_BY_CHARACTERS)
    return ["Higher is better.", *said]


def _text_lines(texts: Sequence[TextScore]) -> list[str]:
    """The scores of texts as a table, and how to read it."""
    head = ["text hidden", "score", "n", "model", "most frequent text", "nearest row's text"]
    lines = [[*head, "true text", "verdict"]]
    for one in texts:
        simple = (
            f"{getattr(one, name)}{'*' if name == one.best_baseline else ' '}"
            for name in ("mean", "knn")
        )
        truth = "100" if one.other is None else str(one.truth)
        lines.append(
            [one.modality, one.label, str(one.n), str(one.model), *simple, truth, one.verdict]
        )
    table = _aligned(lines, left=(0, 1, len(head) + 1))
    first, *words = text_words(texts)
    signs = "In brackets 95 % intervals over rows; * is the better simple method."
    return [*table, f"{first} {signs}", *words]


def finite(value: Any) -> Any:  # noqa: ANN401
    """``value`` with lists for tuples and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
