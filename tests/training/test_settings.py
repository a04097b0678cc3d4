from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from unittest import mock

import pytest
import torch
from torch import nn

from polymodal.networks.stacks import Stack
from polymodal.objectives.schedules import Constant, Cyclic, LinearWarmup
from polymodal.training import TrainSettings
from polymodal.training.optimiser import (
    Adam,
    learning_rate,
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


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_torchs_and_decay_brings_adamw(decay: float):
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    mine, theirs = ([nn.Parameter(torch.ones(n)) for n in (2, 5, 3)] for _ in range(2))
    adam = Adam(mine, TrainSettings(weight_decay=decay))
    expected = kind(theirs, lr=0.1, weight_decay=decay, fused=True)
    for step in range(4):
        for one, other in zip(mine[: 2 + step % 2], theirs, strict=False):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        adam.step(0.1)
        expected.step()
        adam.clear()
        expected.zero_grad()
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_joined_weights_move_as_single_ones_do():
    def layers():
        return [nn.Linear(3, 2) for _ in range(3)]

    def move(modules, join):
        weights = [p for module in modules for p in module.parameters()]
        adam, stacks = Adam(weights, TrainSettings()), [Stack(modules, "weight")]
        for step in range(4):
            adam.join(stacks if join and step != 2 else ())
            stack = stacks[0]
            (stack() * torch.arange(18.0).reshape(3, 2, 3) ** (step + 1)).sum().backward()
            modules[0].weight.sum().backward()  # a gradient that comes to one of them alone
            adam.collect()
            adam.step(0.1)
            adam.clear()
        state = {name: value.clone() for name, value in adam.tensors().items()}
        adam.part()
        return weights, state

    with torch.random.fork_rng():
        torch.manual_seed(0)
        one = layers()
    other = copy.deepcopy(one)
    (weights, state), (joined, of_joined) = move(one, False), move(other, True)
    for mine, theirs in zip(weights, joined, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert state.keys() == of_joined.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, of_joined[name])
    assert len({w.untyped_storage().data_ptr() for w in joined}) == len(joined)


def test_frozen_weights_and_those_of_another_past_stay_apart():
    modules = [nn.Linear(3, 2) for _ in range(2)]
    stack = Stack(modules, "weight")
    adam = Adam([p for module in modules for p in module.parameters()], TrainSettings())
    modules[0].weight.requires_grad_(False)
    adam.join([stack])
    assert stack.leaf is None
    modules[0].weight.requires_grad_(True)
    adam.join([stack])
    assert stack.leaf is not None
    assert copy.deepcopy(stack).leaf is None
    adam.part()
    modules[1].weight.grad = torch.ones(2, 3)
    adam.step(0.1)
    adam.join([stack])
    assert stack.leaf is None


def test_a_call_with_weights_of_its_own_reads_those():
    modules = nn.ModuleList(nn.Linear(3, 2) for _ in range(2))
    stack = Stack(list(modules), "weight")
    leaf = stack.join()
    assert stack() is leaf
    with mock.patch.dict(modules[1]._parameters, {"weight": torch.zeros(2, 3)}):
        torch.testing.assert_close(stack()[0], leaf[0])
        assert not stack()[1].any()
    assert stack() is leaf


def test_the_optimisers_state_comes_back_or_is_refused():
    def stepped():
        weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3, 1))]
        adam = Adam(weights, TrainSettings())
        weights[1].grad = torch.tensor([[1.0], [2.0], [3.0]])  # the first has none: no state
        adam.step()
        return adam, weights

    (first, one), (second, two) = stepped(), stepped()
    first.step()
    second.restore(first.tensors())
    with torch.no_grad():
        two[1].copy_(one[1])
    first.step()
    second.step()
    assert torch.equal(one[1], two[1])
    assert set(first.tensors()) == {"1.step", "1.exp_avg", "1.exp_avg_sq"}
    for bad in ({"2.exp_avg": torch.ones(2)}, {"x": torch.ones(2)}, {"0.exp_avg": torch.ones(3)}):
        with pytest.raises(ValueError, match=r"no parameter|has shape"):
            second.restore(bad)


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
        (lambda: Cyclic(0), "period must be a finite number of at least 1, got 0"),
        (lambda: Cyclic(4, ramp=0.0), "in \\(0, 1\\]"),
        (lambda: Constant(math.inf), "value must be a finite"),
        (lambda: Constant(-1.0), "value must be a finite number of at least 0, got -1.0"),
        (lambda: Constant(10**400), "value must be a finite"),
        (lambda: Constant("1"), "value must be a finite number"),  # type: ignore[arg-type]
        (lambda: Constant(True), "value must be a finite number"),
        (lambda: LinearWarmup(10, -1.0), "top must be a finite number of at least 0"),
        (lambda: LinearWarmup(math.nan), "steps must be a finite number of at least 1"),  # type: ignore[arg-type]
        (lambda: Cyclic(math.nan), "period must be a finite number of at least 1"),  # type: ignore[arg-type]
        (lambda: Cyclic(4, math.nan), "ramp must be a finite"),
        (lambda: Cyclic(4, top=-0.5), "top must be a finite number of at least 0"),
    ],
)
def test_bad_schedules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
