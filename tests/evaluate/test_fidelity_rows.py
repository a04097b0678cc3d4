"""Fidelity compares what was made for rows with those rows, in whatever order they come."""

from __future__ import annotations

import pytest
import torch
from tests.evaluate.class_toy import ClassModel, rows

from polymodal.data.tensors import Tensors
from polymodal.evaluate import evaluate_fidelity
from polymodal.evaluate.fidelity_result import Fidelity


class Values:
    """Features that are the class and the number of the row."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Classes:
    """Features that are the class alone, which the model decodes without fault."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1]


class Noise:
    """Features that are drawn anew: what is made is as real as can be."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(x), 16, generator=self.generator)


def sorted_rows(n: int = 80) -> Tensors:
    """Rows in the order of their classes."""
    source, codes = rows(n, ("a", "b"))
    return source.rows(codes.argsort(stable=True))


def lacking(source: Tensors, name: str, seed: int = 1) -> Tensors:
    """The same rows, of which every other one at random lacks a modality."""
    generator = torch.Generator().manual_seed(seed)
    there = torch.rand(len(source), generator=generator) < 0.5
    return Tensors(source.x, {**source.present, name: there})


def of(source: Tensors, judge: object, **settings: object) -> Fidelity:
    model = ClassModel(("a", "b"))
    return evaluate_fidelity(model, source, {"a": judge, "b": judge}, **settings)


def test_a_perfect_translation_is_at_no_distance_whatever_rows_lack() -> None:
    for name in ("a", "b"):
        said = of(lacking(sorted_rows(), name), Classes())
        for row in said.rows:
            if row.given:
                assert row.frechet == pytest.approx(0, abs=1e-9)
                assert (row.precision, row.recall) == (1, 1)
        assert said.conditional == pytest.approx(0, abs=1e-9)


def test_what_is_perfect_is_at_the_floor_however_few_rows_it_has() -> None:
    """The bias of the distance falls with the rows, so the floor is that of as many."""
    said = of(lacking(sorted_rows(800), "a"), Noise())
    assert {row.n for row in said.rows} > {800}
    for row in said.rows:
        assert row.frechet == pytest.approx(row.floor, rel=0.25)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_order_of_rows_changes_nothing(name: str) -> None:
    source = lacking(sorted_rows(), name)
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(2))
    one, other = of(source, Values()), of(source.rows(order), Values())
    assert len(one.rows) == 4
    for mine, its in zip(one.rows, other.rows, strict=True):
        assert (mine.name, mine.given, mine.n) == (its.name, its.given, its.n)
        if mine.given:  # new rows are drawn, and of them some are chosen
            assert mine.frechet == pytest.approx(its.frechet)
            assert (mine.precision, mine.recall) == (its.precision, its.recall)


def test_only_rows_that_have_both_are_compared() -> None:
    source = lacking(lacking(sorted_rows(), "a"), "b", seed=4)
    both = int((source.present["a"] & source.present["b"]).sum())
    said = of(source, Classes())
    assert [row.n for row in said.rows if row.given] == [both, both]
    assert not said.notes


def test_where_no_row_has_both_some_are_chosen_and_it_is_said() -> None:
    source = sorted_rows()
    odd = torch.arange(len(source)) % 2 == 1
    few = torch.arange(len(source)) < 10
    said = of(Tensors(source.x, {"a": odd & ~few, "b": ~odd}), Classes())
    (row,) = [row for row in said.rows if row.given == ("a",)]
    assert row.n == 35  # all that were made, beside as many of 40 real rows
    assert row.frechet < 1  # of a random choice, not of the first classes
    assert sum("chosen at random, as too few test rows have both" in n for n in said.notes) == 2


def test_precision_of_many_rows_is_that_of_some_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polymodal.evaluate.fidelity.MOST_FOR_MANIFOLDS", 20)
    model = ClassModel(("a", "b"), shifts={"b": None})  # always the third of four classes
    said = evaluate_fidelity(model, sorted_rows(), {"b": Classes()}, subsets=[("a",)])
    assert [row.precision for row in said.rows] == [1, 1]
    assert [row.n for row in said.rows] == [80, 80]
