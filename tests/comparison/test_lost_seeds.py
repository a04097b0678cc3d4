"""Recipes that fail with some seeds: the others are tried, and every row says what it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.comparison.test_compare import SHARED, rows, told

import polymodal as pm
from polymodal.comparison import comparing

FIT = comparing.fit_one


class Failing:
    """Stands in for fitting; fails with some seeds of ``pcca``.

    Arguments:
        reasons: Seed -> why it fails.
    """

    def __init__(self, reasons: dict[int, str]) -> None:
        self.reasons, self.tried = reasons, []

    def __call__(self, split: Any, parameters: dict[str, Any], *rest: Any) -> Any:
        recipe, seed = parameters["recipe"], parameters["seed"]
        self.tried += [seed] if recipe == "pcca" else []
        if recipe == "pcca" and seed in self.reasons:
            raise RuntimeError(self.reasons[seed])
        return FIT(split, parameters, *rest)


def compared(
    monkeypatch: pytest.MonkeyPatch, folder: Path | None, seeds: int, reasons: dict[int, str]
) -> tuple[pm.Comparison, list[int]]:
    """A comparison of two quick recipes, and the seeds that were tried with the first."""
    failing = Failing(reasons)
    monkeypatch.setattr(comparing, "fit_one", failing)
    return pm.compare(rows(), ["pcca", "cca"], seeds, folder=folder, **SHARED), failing.tried


def flat(found: pm.Comparison) -> str:
    return " ".join(found.text(120).split())


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_the_other_seeds_are_tried_and_the_row_says_so(
    failed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, tried = compared(monkeypatch, tmp_path / "c", 3, {failed: "Out of memory"})
    assert tried == [0, 1, 2]
    row, other = found.row("pcca"), found.row("cca")
    assert row.seeds == tuple(seed for seed in range(3) if seed != failed)
    assert row.lost == (failed,)
    assert (other.seeds, other.lost) == ((0, 1, 2), ())
    said = f"pcca rests on 2 of 3 seeds. It failed with seed {failed}: Out of memory."
    assert said in row.notes
    text = flat(found)
    assert said in text
    assert "2 recipes, 3 seeds each (of pcca 2, as other fits failed), and 3 simple" in text
    assert "With 2 seeds (pcca) the part of chance in training is hardly known" in text
    lines = found.text(120).splitlines()
    (head,) = (line for line in lines if line.startswith("rank"))
    (cells,) = (line for line in lines if " pcca [1] " in line)
    assert head.split()[:3] == ["rank", "method", "seeds"]
    assert " 2 of 3 " in cells
    assert (tmp_path / "c" / f"pcca-{failed}.failed.txt").exists()
    again, tried = compared(monkeypatch, tmp_path / "c", 3, {})
    assert tried == [failed]
    assert not list(tmp_path.glob("c/*.failed.txt"))
    assert told(again) == told(compared(monkeypatch, None, 3, {})[0])
    assert "of pcca" not in flat(again)
    assert "seeds" not in next(line for line in again.text().splitlines() if "rank " in line)


def test_of_one_seed_that_is_left_the_chance_in_training_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, tried = compared(monkeypatch, None, 3, {0: "Out of memory", 1: "No disk"})
    assert tried == [0, 1, 2]
    assert found.row("pcca").seeds == (2,)
    text = flat(found)
    assert "It failed with seed 0: Out of memory. It failed with seed 1: No disk." in text
    assert "as seen over the seeds; of pcca, with one seed, that chance is not in it." in text
    assert "With 1 seed (pcca) the chance in training is unknown and in no rank" in text
    assert "With one seed of pcca the chance in training is unknown and no part of" in text


def test_what_fails_alike_with_two_seeds_is_not_tried_with_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    always = dict.fromkeys(range(4), "It cannot be")
    found, tried = compared(monkeypatch, tmp_path / "c", 4, always)
    assert tried == [0, 1]
    row = found.row("pcca")
    assert (row.rank, row.failure, row.lost) == (None, "It cannot be.", (0, 1, 2, 3))
    # One that is done proves the contrary, and is no longer left out.
    compared(monkeypatch, tmp_path / "c", 4, {seed: f"Not {seed}" for seed in (0, 1, 3)})
    found, tried = compared(monkeypatch, tmp_path / "c", 4, always)
    assert tried == [0, 1, 3]
    assert found.row("pcca").seeds == (2,)


def test_what_fails_each_time_otherwise_is_tried_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = compared(monkeypatch, None, 3, {0: "One", 1: "Two", 2: "One"})
    assert tried == [0, 1, 2]
    assert found.row("pcca").failure == (
        "It failed with seeds 0, 2: One. It failed with seed 1: Two."
    )
