"""Notes of a recipe's fits: what is said of several seeds is true of each."""

from __future__ import annotations

import pytest

from polymodal.comparison.folder import Cost, Finished
from polymodal.comparison.notes import Failure, few_seeds, notes_of, why_nothing
from polymodal.comparison.result import Row
from polymodal.training.result import Status


def fit(seed: int, status: Status, reason: str) -> Finished:
    return Finished("mopoe", seed, status, reason, 9, Cost(), {})


def early(seed: int, waited: int, best: int) -> Finished:
    """As training says it."""
    reason = (
        f"The validation score has not risen for {waited} epochs; the best was after epoch {best}."
    )
    return fit(seed, "early_stopped", reason)


def test_seeds_that_stopped_early_are_told_by_their_range() -> None:
    fits = [early(0, 100, 20), early(1, 100, 35), early(2, 100, 7)]
    assert notes_of("mopoe", fits, [], [], {}) == [
        "mopoe stopped early with seeds 0, 1, 2: The validation score has not risen for 100 "
        "epochs; the best was after epoch 7 to 35."
    ]
    assert notes_of("mopoe", fits[:1], [], [], {}) == [
        "mopoe stopped early with seed 0: The validation score has not risen for 100 epochs; the "
        "best was after epoch 20."
    ]


def test_other_reasons_are_other_notes() -> None:
    time = "The time allowed, 2.5 s, is used up."
    fits = [fit(0, "early_stopped", time), early(1, 5, 2), fit(2, "early_stopped", time)]
    fits += [fit(seed, "diverged", f"Step {seed}: inf or NaN.") for seed in (3, 4)]
    fits += [fit(5, "finished", "All 9 epochs are done.")]
    assert notes_of("mopoe", fits, [], [], {"log_likelihood": "it has no density."}) == [
        "mopoe diverged with seed 3: Step 3: inf or NaN.",
        "mopoe diverged with seed 4: Step 4: inf or NaN.",
        f"mopoe stopped early with seeds 0, 2: {time}",
        "mopoe stopped early with seed 1: The validation score has not risen for 5 epochs; the "
        "best was after epoch 2.",
        "mopoe has no log-likelihood: it has no density.",
    ]


def test_seeds_that_were_lost() -> None:
    failures = [Failure(0, "No."), Failure(1, "No."), Failure(4, "Full.")]
    done = [fit(3, "finished", "")]
    assert notes_of("mopoe", done, failures, [0, 1, 2, 4], {}) == [
        "mopoe rests on 1 of 5 seeds. It failed with seeds 0, 1: No. It failed with seed 4: Full. "
        "It was not tried with seed 2, as seeds before had failed alike."
    ]
    assert why_nothing(failures[:2]) == "No."
    assert why_nothing([]) is None


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((1, 1), ["With 1 seed the chance"]),
        ((2, 2), ["With 2 seeds the part"]),
        ((3, 1), ["With 1 seed (b) the chance"]),
        ((2, 1), ["With 1 seed (b) the chance", "With 2 seeds (a) the part"]),
        ((3, 0), []),
        ((1, 0), ["With 1 seed the chance"]),
        ((5, 3), []),
    ],
)
def test_what_few_seeds_are_worth(seeds: tuple[int, int], said: list[str]) -> None:
    table = [
        Row(name, "", False, seeds=tuple(range(n))) for name, n in zip("ab", seeds, strict=True)
    ]
    notes = few_seeds([*table, Row("mean", "", True)])
    assert len(notes) == len(said)
    for note, begin in zip(notes, said, strict=True):
        assert note.startswith(begin)
