from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from torch import nn

from polymodal.objectives.schedules import Constant, Cyclic, LinearWarmup
from polymodal.training import TrainSettings
from polymodal.training.optimiser import (
    learning_rate,
    make_optimiser,
    optimiser_tensors,
    restore_optimiser,
)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "whole number of at least 1"),
        ("epochs", 2.5, "whole number"),
        ("epochs", True, "whole number"),
        ("batch_size", -1, "at least 1"),
        ("patience", 0, "at least 1 or None"),
        ("seed", -1, "at least 0"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", math.nan, "finite number"),
        ("learning_rate", "fast", "finite number"),
        ("final_learning_rate", 1.5, "at least 0 and at most 1"),
        ("weight_decay", -0.1, "at least 0"),
        ("clip_norm", 0.0, "above 0"),
        ("average", 1.0, "at most 0.999999"),
        ("precision", "16", '"32" or "bf16"'),
        ("device", "gpu", '"auto", "cpu"'),
        ("compile", 1, "True or False"),
        ("checkpoint_minutes", 0, "above 0"),
        ("checkpoint_steps", 0, "or None"),
    ],
)
def test_bad_settings_say_what_was_got_and_what_is_wanted(field, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        TrainSettings(**{field: value})
    assert field in str(caught.value)
    assert repr(value) in str(caught.value)


def test_settings_are_frozen_and_know_their_fields():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainSettings().epochs = 3
    with pytest.raises(TypeError, match="epoch"):
        TrainSettings(epoch=3)


def test_the_learning_rate_rises_then_falls_to_its_share():
    settings = TrainSettings(learning_rate=2.0, final_learning_rate=0.1, warmup_steps=4)
    rates = [learning_rate(settings, step, 21) for step in range(21)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert all(a > b for a, b in itertools.pairwise(rates[4:]))
    assert rates[12] == pytest.approx((2.0 + 0.2) / 2)
    assert rates[20] == pytest.approx(0.2)
    flat = TrainSettings(final_learning_rate=1.0)
    assert {learning_rate(flat, step, 10) for step in range(10)} == {1e-3}
    assert learning_rate(TrainSettings(warmup_steps=100), 9, 10) == pytest.approx(1e-4)


def test_adam_is_fused_and_decay_brings_adamw():
    weight = [nn.Parameter(torch.ones(2))]
    plain, decayed = (make_optimiser(weight, TrainSettings(weight_decay=d)) for d in (0.0, 0.1))
    assert plain.defaults["fused"]
    assert type(plain) is torch.optim.Adam
    assert isinstance(decayed, torch.optim.AdamW)
    assert decayed.defaults["weight_decay"] == 0.1


def test_the_optimisers_state_comes_back_or_is_refused():
    def stepped():
        weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3, 1))]
        optimiser = make_optimiser(weights, TrainSettings())
        weights[1].grad = torch.tensor([[1.0], [2.0], [3.0]])  # the first has none: no state
        optimiser.step()
        return optimiser, weights

    (first, one), (second, two) = stepped(), stepped()
    first.step()
    restore_optimiser(second, optimiser_tensors(first))
    with torch.no_grad():
        two[1].copy_(one[1])
    first.step()
    second.step()
    assert torch.equal(one[1], two[1])
    assert set(optimiser_tensors(first)) == {"1.step", "1.exp_avg", "1.exp_avg_sq"}
    for bad in ({"2.exp_avg": torch.ones(2)}, {"x": torch.ones(2)}, {"0.exp_avg": torch.ones(3)}):
        with pytest.raises(ValueError, match=r"no parameter|has shape"):
            restore_optimiser(second, bad)


def test_schedules_have_their_values():
    assert {Constant(0.3)(step) for step in (0, 5)} == {0.3}
    assert [LinearWarmup(4, top=2.0)(step) for step in (0, 1, 4, 9)] == [0.0, 0.5, 2.0, 2.0]
    cyclic = Cyclic(period=10, ramp=0.5, top=0.8)
    assert [cyclic(step) for step in (0, 5, 9, 10)] == [0.0, 0.8, 0.8, 0.0]
    assert cyclic(2) == cyclic(12) == pytest.approx(0.32)
    assert Cyclic(period=4, ramp=1.0)(3) == 0.75


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearWarmup(0), "at least 1, got 0"),
        (lambda: LinearWarmup(3, top=math.nan), "top must be a finite"),
        (lambda: Cyclic(0), "at least 1 step"),
        (lambda: Cyclic(4, ramp=0.0), "in \\(0, 1\\]"),
        (lambda: Constant(math.inf), "value must be a finite"),
    ],
)
def test_bad_schedules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
