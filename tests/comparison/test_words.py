"""The recommendation and the table for outcomes that are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from polymodal.cli.compare import where
from polymodal.comparison.result import Comparison, Group, Row
from polymodal.comparison.words import recommend
from polymodal.evaluate.held import say_width
from polymodal.evaluate.ranking import Ranking
from polymodal.evaluate.result import Estimate
from polymodal.evaluate.sheet import Asked, Sheet

THINGS = (
    Asked("modality", "table", "x", "number", 50),
    Asked("modality", "image", None, "image", 50),
)
SIMPLE = {"mean": (1.0, 1.0), "linear": (0.8, 0.8), "knn": (0.9, 0.9)}


def ranking(noisy: str = "", /, **errors: tuple[float, float]) -> Ranking:
    """Methods with errors at a table and a picture, each known within 0.02, a noisy one in 0.2."""
    g = torch.Generator().manual_seed(0)
    sheets = {}
    for name, pair in {**errors, **SIMPLE}.items():
        whole = torch.tensor(pair, dtype=torch.float64)
        noise = (0.2 if name == noisy else 0.02) * torch.randn(
            300, 2, generator=g, dtype=torch.float64
        )
        sheets[name] = [Sheet(THINGS, whole, whole + noise)]
    return Ranking(sheets)


def sure(ranked: Ranking, name: str) -> Sheet:
    """A method's sheet without noise."""
    one = ranked.sheets[name][0]
    return dataclasses.replace(one, replicates=one.errors.expand_as(one.replicates))


def rows(ranked: Ranking, cpu: dict[str, float], coverage: float = 0.9) -> list[Row]:
    return [
        Row(
            name,
            "What it is.",
            name in SIMPLE,
            rank=rank,
            skill=ranked.skill[name].estimate,
            coverage=None if name in SIMPLE else Estimate(coverage, coverage, coverage),
            cpu_seconds=cpu.get(name),
            seeds=() if name in SIMPLE else (0,),
            statuses=() if name in SIMPLE else ("finished",),
        )
        for name, rank in ranked.ranks().items()
    ]


def said(cpu: dict[str, float], coverage: float = 0.9, **errors: tuple[float, float]) -> str:
    ranked = ranking(**errors)
    return recommend(
        ranked, rows(ranked, cpu, coverage), 0.9, dict.fromkeys(cpu, (100, 100))
    ).words


def test_a_recipe_that_beats_all_is_recommended() -> None:
    words = said({"good": 9.0, "bad": 1.0}, good=(0.4, 0.4), bad=(0.7, 0.7))
    assert words.startswith("Recommended: good, which is better than every other recipe")
    assert "beats every simple method overall (skill +0.50" in words
    assert "held the truth in 90%, as they should" in words


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ({"good": (0,), "bad": (0,)}, "With one seed the chance in training is unknown"),
        ({"good": (0, 1), "bad": (0,)}, "With one seed of bad the chance in training is unknown"),
        ({"good": (0, 1), "bad": (0, 1)}, ""),
    ],
)
def test_noise_without_the_chance_in_training_is_said_to_be(
    seeds: dict[str, tuple[int, ...]], words: str
) -> None:
    ranked = ranking(good=(0.4, 0.4), bad=(0.7, 0.7))
    table = [dataclasses.replace(row, seeds=seeds.get(row.method, ())) for row in rows(ranked, {})]
    found = recommend(ranked, table, 0.9, {}).words
    assert "beyond noise" in found
    assert ("chance in training" in found) == bool(words)
    assert words in found


def test_of_equals_the_cheaper_is_recommended() -> None:
    words = said({"dear": 80.0, "cheap": 20.0}, dear=(0.4, 0.4), cheap=(0.405, 0.405))
    assert "Recommended: cheap. dear has the highest skill" in words
    assert "as good within noise and fits in a quarter of the time" in words


def test_seconds_that_come_and_go_do_not_change_the_words() -> None:
    errors = {"best": (0.4, 0.4), "next": (0.405, 0.405), "third": (0.41, 0.41)}
    short = said({"best": 1.0, "next": 0.7, "third": 9.0}, 0.9, **errors)
    assert short.startswith("Recommended: best, which has the highest skill")
    assert short == said({"best": 0.7, "next": 1.0, "third": 0.5}, 0.9, **errors)
    long = {"best": 80.0, "next": 20.5, "third": 20.0}
    for cpu in (long, {**long, "next": 20.0, "third": 20.5}):
        assert said(cpu, 0.9, **errors).startswith("Recommended: next. best has the highest skill")


def test_noise_does_not_excuse_a_large_loss() -> None:
    """A cheap recipe of which two seeds say nothing is no substitute for a good one."""
    ranked = ranking(good=(0.4, 0.4), wild=(0.4, 0.4))
    one = ranked.sheets["wild"][0]
    wild = [dataclasses.replace(one, errors=one.errors + e) for e in (-0.1, 0.6)]
    ranked = Ranking({**ranked.sheets, "wild": wild})
    assert ranked.ranks()["wild"] == ranked.ranks()["good"] == 1
    words = recommend(ranked, rows(ranked, {"good": 90.0, "wild": 10.0}), 0.9, {}).words
    assert words.startswith(
        "Recommended: good, which has the highest skill of the recipes, though"
    )


def test_a_cheaper_recipe_must_stand_as_well_against_the_simple_methods() -> None:
    cpu = {"slow": 80.0, "cheap": 20.0}
    ranked = ranking(slow=(0.745, 0.745), cheap=(0.77, 0.77))
    assert ranked.beats("slow", "linear")
    assert not ranked.beats("slow", "cheap")
    assert not ranked.beats("cheap", "linear")
    words = recommend(ranked, rows(ranked, cpu), 0.9, {}).words
    assert words.startswith("Recommended: slow, which has the highest skill of the recipes")
    assert "no recipe beats" not in words
    ranked = ranking(slow=(0.79, 0.79), cheap=(0.83, 0.83))
    ranked = Ranking({**ranked.sheets, "cheap": [sure(ranked, "cheap")]})
    ranked = Ranking({**ranked.sheets, "linear": [sure(ranked, "linear")]})
    assert ranked.beats("linear", "cheap")
    assert not ranked.beats("linear", "slow")
    words = recommend(ranked, rows(ranked, cpu), 0.9, {}).words
    assert "no recipe beats it beyond noise" in words
    assert "beats every recipe" not in words
    assert "new rows: slow" in words


def test_a_noisy_recipe_of_more_skill_proves_nothing() -> None:
    ranked = ranking("wild", wild=(0.66, 0.66), steady=(0.7, 0.7))
    assert ranked.beats("steady", "linear")
    assert not ranked.beats("wild", "linear")
    words = recommend(ranked, rows(ranked, {"wild": 1.0, "steady": 90.0}), 0.9, {}).words
    assert words.startswith(
        "Recommended: steady. wild has the highest skill, but is less sure to beat the simple "
        "method. It beats every simple method overall"
    )


def test_noise_that_hides_a_loss_is_no_merit() -> None:
    """Of the wild one nobody can say that linear regression beats it; its skill is lower still."""
    ranked = ranking("wild", wild=(0.96, 0.96), steady=(0.85, 0.85))
    assert ranked.beats("linear", "steady")
    assert not ranked.beats("linear", "wild")
    assert not ranked.beats("steady", "wild")
    table = rows(ranked, {"wild": 90.0, "steady": 90.0})
    advice = recommend(ranked, table, 0.9, {})
    assert advice.pick == "steady"
    assert "no recipe beats it beyond noise (skill +0.00; steady has -0.06)" in advice.words
    assert "steady, which has the highest skill of the recipes, though wild is not" in advice.words
    rank = {row.method: row.rank for row in table}
    assert rank["linear"] < rank["steady"] < rank["wild"]


def test_a_simple_method_that_wins_is_recommended() -> None:
    words = said({"one": 1.0}, one=(0.95, 0.95))
    assert words.startswith("Recommended: linear regression, a simple method,")
    assert "beats every recipe that was tried" in words
    assert "of them take one." in words


def test_a_simple_method_that_is_as_good_will_do() -> None:
    words = said({"one": 1.0}, one=(0.79, 0.80))
    assert words.startswith("For single best guesses linear regression, a simple method, will do")
    assert "Recommended for intervals, draws and new rows: one." in words


def test_the_next_command_is_of_the_recipe_that_is_recommended() -> None:
    ranked = ranking(dear=(0.4, 0.4), cheap=(0.405, 0.405))
    table = rows(ranked, {"dear": 80.0, "cheap": 20.0})
    advice = recommend(ranked, table, 0.9, {})
    assert advice.words.startswith("Recommended: cheap.")
    sizes = {"train": 10, "validation": 1, "test": 50}
    found = Comparison(tuple(table), (), advice.words, 0.9, sizes, 2, 1.0, pick=advice.pick)
    assert "Next: polymodal impute out/cheap-0.pm a.csv" in where(found, "a.csv", Path("out"))


def test_where_the_winner_is_another_at_one_modality() -> None:
    words = said({"one": 1.0}, one=(0.95, 0.2))
    assert "Recommended: one." in words
    assert "On table, linear regression does better than every recipe" in words
    words = said({"one": 1.0}, one=(2.0, 0.6))
    assert "Recommended: linear regression" in words
    assert "On image, one beats every simple method." in words


@pytest.mark.parametrize(
    ("coverage", "words"), [(0.7, "too narrow"), (0.99, "wider than they need to be")]
)
def test_intervals_that_promise_wrongly(coverage: float, words: str) -> None:
    assert words in said({"one": 1.0}, coverage, one=(0.5, 0.5))


@pytest.mark.parametrize(("coverage", "n"), [(1.0, 10), (1.0, 30), (0.8, 34), (0.9, 20)])
def test_few_rows_say_nothing_of_the_intervals(coverage: float, n: int) -> None:
    """The same as an evaluation says of so many rows."""
    ranked = ranking(one=(0.5, 0.5))
    few = [dataclasses.replace(one, n=n) for one in THINGS]
    sheets = {
        name: [dataclasses.replace(sheets[0], asked=tuple(few))]
        for name, sheets in ranked.sheets.items()
    }
    ranked = Ranking(sheets)
    words = recommend(ranked, rows(ranked, {"one": 1.0}, coverage), 0.9, {}).words
    end = say_width(Estimate(coverage, coverage, coverage), 0.9, len(THINGS) * n, n, "test rows")
    assert f"held the truth in {coverage:.0%}; that may be chance, as there are too few" in words
    assert end in words


def test_short_fits_and_nothing_left() -> None:
    ranked = ranking(one=(0.5, 0.5))
    table = rows(ranked, {"one": 1.0})
    short = recommend(ranked, table, 0.9, {"one": (10, 100)})
    assert "10 epochs where 100 are usual" in short.words
    short = recommend(ranked, table, 0.9, {"one": (1, 100)})
    assert "The fits were short, 1 epoch where 100 are usual" in short.words
    failed = [dataclasses.replace(row, failure="No.") if not row.simple else row for row in table]
    nothing = recommend(ranked, failed, 0.9, {})
    assert "No recipe could be compared" in nothing.words
    assert nothing.pick is None


def test_a_narrow_screen_drops_columns_and_says_so() -> None:
    ranked = ranking(dmvae_dynamic=(0.5, 0.5))
    table = rows(ranked, {"dmvae_dynamic": 1.0})
    table = [
        dataclasses.replace(row, wall_seconds=1.0, notes=("It diverged.", "It stopped early."))
        if not row.simple
        else row
        for row in table
    ]
    table.append(Row("cca", "Lines.", False, failure="Every row lacks a modality."))
    names = tuple(f"modality number {i}" for i in range(9))
    one = Estimate(0.1, 0.0, 0.2)
    group = Group("coherence", "shares.", names, {"dmvae_dynamic": dict.fromkeys(names, one)})
    sizes = {"train": 10, "validation": 1, "test": 50}
    found = Comparison(tuple(table), (group,), "Take it.", 0.9, sizes, 2, 1.0)
    for width in (60, 80, 120):
        text = found.text(width)
        assert max(map(len, text.splitlines())) <= width
        assert "dmvae_dynamic [1][2]" in text
        assert "cca [3]" in text
        assert "[3] Every row lacks a modality." in text
        assert all(name in text for name in names)
        assert ("for want of width: wall" in text) == (width < 80)
