"""Coherence as a measure: the very numbers of the protocol, in any resample of the rows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tests.evaluate.class_toy import ClassModel, Reads, rows

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence_measure import ByChance, CoherenceMeasure
from polymodal.evaluate.judged import evaluate_coherence

NAMES = ("a", "b", "c")
JUDGES = {name: Reads() for name in NAMES}


def case(missing: bool) -> tuple[ClassModel, Tensors, torch.Tensor]:
    """A model that is wrong here and there, rows of which some lack something, and labels."""
    model = ClassModel(
        slips={("a",): 1, ("a", "b"): 2, ("b", "c"): 1}, shifts={"a": 0, "b": None, "c": 1}
    )
    generator = torch.Generator().manual_seed(0)
    source, codes = rows(60)
    if missing:
        there = {n: torch.rand(60, generator=generator) > 0.3 for n in NAMES}
        source = Tensors(source.x, there)
        codes[:5] = -1
    return model, source, codes


@pytest.mark.parametrize("missing", [False, True])
def test_its_numbers_are_those_of_the_protocol(missing: bool) -> None:
    model, source, codes = case(missing)
    measure = CoherenceMeasure(codes, JUDGES, NAMES)
    found = measure(model, SimpleNamespace(test=source, seed=7))
    told = ("1 input", "2 inputs", "joint", "joint by chance", "cap")
    shares = [f"class shares of new {name}: {code}" for name in NAMES for code in range(4)]
    assert list(found) == [*(f"coherence: {one}" for one in told), *shares]
    ones = torch.ones(1, 60, dtype=torch.float64)
    value = {name.partition(": ")[2]: one.mean(ones).item() for name, one in found.items()}
    wanted = evaluate_coherence(model, source, codes, JUDGES, seed=7, resamples=2)
    assert value["1 input"] == pytest.approx(wanted.conditional.by_inputs[1].value)
    assert value["2 inputs"] == pytest.approx(wanted.conditional.by_inputs[2].value)
    assert 0 < value["1 input"] < 1
    assert value["joint"] == pytest.approx(wanted.joint.agreement.value)
    assert value["joint by chance"] == pytest.approx(wanted.joint.chance)
    for name in NAMES:
        shown = [found[f"class shares of new {name}: {c}"].mean(ones).item() for c in range(4)]
        assert shown == pytest.approx(wanted.joint.histograms[name])
    caps = [one.value for one in wanted.conditional.caps.values()]
    assert value["cap"] == pytest.approx(sum(caps) / 3)


def test_a_row_counted_twice_is_two_rows() -> None:
    model, source, codes = case(missing=True)
    measure = CoherenceMeasure(codes, JUDGES, NAMES)
    twice = torch.arange(60).repeat_interleave(torch.arange(60) % 3)
    weights = torch.bincount(twice, minlength=60).double()[None]
    found = measure(model, SimpleNamespace(test=source, seed=7))
    again = CoherenceMeasure(codes[twice], JUDGES, NAMES)(
        model, SimpleNamespace(test=source.rows(twice), seed=7)
    )
    ones = torch.ones(1, len(twice), dtype=torch.float64)
    for name in ("coherence: 1 input", "coherence: 2 inputs", "coherence: cap"):
        torch.testing.assert_close(found[name].mean(weights), again[name].mean(ones))


def test_agreement_by_chance_is_that_of_the_shares() -> None:
    classes = torch.tensor([[0, 0, 1, 2], [0, 1, 1, -1]])
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    found = ByChance(classes, 3).mean(weights)
    first = 2 / 4 * 1 / 3 + 1 / 4 * 2 / 3
    second = 2 / 4 * 2 / 3 + 1 / 4 * 1 / 3
    torch.testing.assert_close(found, torch.tensor([first, second], dtype=torch.float64))


def test_a_family_says_what_it_lacks() -> None:
    model, source, codes = case(missing=False)
    model.lacks = {"generate": "It has no prior."}
    found = CoherenceMeasure(codes, JUDGES, NAMES)(model, SimpleNamespace(test=source, seed=0))
    assert found["joint coherence"] == "It has no prior."
    assert "coherence: joint" not in found
    assert "coherence: 1 input" in found
