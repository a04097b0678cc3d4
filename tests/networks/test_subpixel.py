"""The transposed convolution by a small convolution and a shuffle, against torch's own."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from polymodal.networks.conv import double
from polymodal.networks.subpixel import Doubling, SubPixel

SIZES = [*itertools.product((0, 1), (0, 1))]


def drawn(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, weight = torch.randn(2, 3, 4, 3, dtype=dtype), torch.randn(3, 2, 4, 4, dtype=dtype)
    return x, weight, torch.randn(2, dtype=dtype)


@pytest.mark.parametrize("odd", SIZES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_values_are_those_of_the_transposed_convolution(
    odd: tuple[int, int], with_bias: bool
) -> None:
    x, weight, bias = drawn()
    expected = nn.functional.conv_transpose2d(
        x, weight, bias if with_bias else None, 2, 1, output_padding=odd
    )
    to = (8 + odd[0], 6 + odd[1])
    found = SubPixel.apply(x, weight, bias if with_bias else None, to)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("odd", SIZES)
def test_gradients_of_both_orders_are_those_of_the_values(odd: tuple[int, int]) -> None:
    x, weight, bias = (leaf.requires_grad_() for leaf in drawn())
    x = x[:1, :, :2, :2].detach().requires_grad_()

    def run(*given: torch.Tensor) -> torch.Tensor:
        return SubPixel.apply(*given, (4 + odd[0], 4 + odd[1]))

    assert torch.autograd.gradcheck(run, (x, weight, bias))
    assert torch.autograd.gradgradcheck(run, (x, weight, bias))


@pytest.mark.parametrize(
    ("outs", "to"), [(1, (14, 14)), (3, (15, 14)), (15, (14, 15)), (16, (14, 14))]
)
def test_a_layer_and_torchs_own_agree_in_values_and_gradients(
    outs: int, to: tuple[int, int]
) -> None:
    layer = double(5, outs, to)
    plain = nn.ConvTranspose2d(5, outs, 4, 2, 1, output_padding=(to[0] % 2, to[1] % 2))
    plain.load_state_dict(layer.state_dict())  # the names are torch's own
    weights = torch.randn(4, outs, *to)
    found = []
    for one in (layer, plain):
        x = torch.linspace(-1, 1, 4 * 5 * 7 * 7).reshape(4, 5, 7, 7).requires_grad_()
        y = one(x)
        (y * weights).sum().backward()
        found.append([y, x.grad, one.weight.grad, one.bias.grad])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_gradients_that_nobody_asks_for_are_not_made() -> None:
    layer = Doubling(5, 3, (0, 0))
    x = torch.randn(2, 5, 3, 3)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    held = {name: weight.detach() for name, weight in layer.named_parameters()}
    z = x.clone().requires_grad_()
    layer.zero_grad()
    functional_call(layer, held, (z,)).sum().backward()
    assert z.grad is not None
    assert layer.weight.grad is None
    assert not functional_call(layer, held, (x,)).requires_grad


def test_it_is_batched_like_any_layer() -> None:
    layer = Doubling(5, 3, (1, 0))
    x = torch.randn(3, 2, 5, 3, 3)
    torch.testing.assert_close(vmap(layer)(x), torch.stack([layer(one) for one in x]))
    torch.testing.assert_close(layer(x[0, 0]), layer(x[0, :1])[0])  # an image alone
    assert layer(x[0, :0]).shape == (0, 3, 7, 6)


def test_other_precisions_answer_as_torch_does() -> None:
    layer = Doubling(5, 3, (0, 0))
    x = torch.randn(2, 5, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(x), rtol=0.05, atol=0.05)
    assert layer.double()(x.double()).dtype == torch.float64
