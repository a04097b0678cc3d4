"""The FID Inception network: sizes, names and numbers that can be had by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.networks.inception import (
    LAYERS,
    N_FEATURES,
    POOLED,
    SIDE,
    Block,
    Conv,
    Inception,
    MixedBlock,
)


def filled(block: MixedBlock, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in float64, given to the block."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.rand(value.shape, dtype=torch.float64, generator=generator) + 0.1
        for name, value in block.state_dict().items()
    }
    block.load_state_dict(drawn, assign=True)
    return drawn


def by_hand(
    x: Tensor, w: dict[str, Tensor], name: str, stride: int = 1, padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """Convolution, normalisation by fixed statistics, rectifier: written out."""
    h = F.conv2d(x, w[f"{name}.conv.weight"], stride=stride, padding=padding)
    mean, var, scale, shift = (
        w[f"{name}.bn.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((h - mean) / (var + 0.001).sqrt() * scale + shift).clamp(min=0)


def test_parameters_are_those_of_inception_v3_with_1008_classes() -> None:
    network = Inception()
    n = sum(value.numel() for value in network.parameters())
    # Without its auxiliary head and with 1000 classes, Inception v3 has 23,834,568 parameters.
    assert n == 23_834_568 + 8 * (N_FEATURES + 1)
    assert not any(value.requires_grad for value in network.parameters())


def test_names_are_those_of_the_published_file() -> None:
    held = {name: tuple(value.shape) for name, value in Inception().state_dict().items()}
    assert len(held) == 94 * 5 + 2  # 94 convolutions, each with four rows of its normalisation
    expected = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_4a_3x3.bn.running_var": (192,),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
        "Mixed_5d.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_6a.branch3x3.bn.weight": (384,),
        "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
        "Mixed_6c.branch7x7_2.conv.weight": (160, 160, 1, 7),
        "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_1.bn.running_mean": (448,),
        "fc.weight": (1008, 2048),
        "fc.bias": (1008,),
    }
    assert {name: held[name] for name in expected} == expected
    assert not any(name.startswith("Mixed_6a.branch_pool") for name in held)


def test_sizes_are_those_of_the_papers_table() -> None:
    """Table 1 of the paper, with the pool before the 35 x 35 blocks as it was published."""
    network = Inception()
    sides: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        def hook(_module: nn.Module, _x: tuple[Tensor, ...], out: Tensor) -> None:
            sides[name] = tuple(out.shape[1:])

        return hook

    for name, child in network.named_children():
        if name in LAYERS:
            child.register_forward_hook(note(name))
    features = network(torch.empty(2, 3, SIDE, SIDE, device="meta"))
    assert features.shape == (2, N_FEATURES)
    expected = {
        "Conv2d_1a_3x3": (32, 149, 149), "Conv2d_2a_3x3": (32, 147, 147),
        "Conv2d_2b_3x3": (64, 147, 147), "Conv2d_3b_1x1": (80, 73, 73),
        "Conv2d_4a_3x3": (192, 71, 71), "Mixed_5b": (256, 35, 35), "Mixed_5d": (288, 35, 35),
        "Mixed_6a": (768, 17, 17), "Mixed_6e": (768, 17, 17), "Mixed_7a": (1280, 8, 8),
        "Mixed_7b": (2048, 8, 8), "Mixed_7c": (2048, 8, 8),
    }  # fmt: skip
    assert {name: sides[name] for name in expected} == expected


def test_means_divide_by_the_pixels_that_are_there() -> None:
    passes_on = MixedBlock(1, Block("average", {POOLED: ()}))
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    found = passes_on(x)[0, 0]
    assert found[0, 0] == x[0, 0, :2, :2].mean()
    assert found[0, 1] == x[0, 0, :2, :3].mean()
    assert found[1, 1] == x[0, 0, :3, :3].mean()
    assert torch.equal(passes_on(torch.ones_like(x)), torch.ones_like(x))


def test_maxima_keep_the_size_or_halve_it() -> None:
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    keeps = MixedBlock(1, Block("largest", {POOLED: ()}))(-x)[0, 0]
    assert torch.equal(keeps[0, :3], -x[0, 0, 0, [0, 0, 1]])
    halves = MixedBlock(1, Block("halving", {POOLED: ()}))(x)
    assert halves.tolist() == [[[[12, 14], [22, 24]]]]


@pytest.mark.parametrize("training", [False, True])
def test_a_block_is_what_it_is_by_hand(training: bool) -> None:
    """Statistics are those given, in whatever mode."""
    fork = (Conv(2, 1, 3), Conv(3, 3, 1))
    branches = {
        "one": (Conv(2),),
        "long": (Conv(3), Conv(2, 1, 7), Conv(2, 7, 1)),
        "forked": (Conv(3), fork),
        POOLED: (Conv(1),),
    }
    block = MixedBlock(3, Block("average", branches)).train(training)
    w = filled(block)
    assert {name.split(".")[0] for name in w} == {
        "one", "long_1", "long_2", "long_3", "forked_1", "forked_2a", "forked_2b", POOLED,
    }  # fmt: skip
    x = torch.randn(4, 3, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    long = by_hand(by_hand(x, w, "long_1"), w, "long_2", padding=(0, 3))
    stem = by_hand(x, w, "forked_1")
    there = torch.ones_like(x[:, :1])
    nine = torch.ones(3, 1, 3, 3, dtype=torch.float64)
    means = F.conv2d(x, nine, padding=1, groups=3) / F.conv2d(there, nine[:1], padding=1)
    parts = [
        by_hand(x, w, "one"),
        by_hand(long, w, "long_3", padding=(3, 0)),
        by_hand(stem, w, "forked_2a", padding=(0, 1)),
        by_hand(stem, w, "forked_2b", padding=(1, 0)),
        by_hand(means, w, POOLED),
    ]
    assert block.out_channels == 10
    torch.testing.assert_close(block(x), torch.cat(parts, 1), rtol=0, atol=1e-12)


def test_a_block_that_strides_is_what_it_is_by_hand() -> None:
    branches = {
        "a": (Conv(2, 3, 3, stride=2),),
        "b": (Conv(2), Conv(2, 3, 3, stride=2)),
        POOLED: (),
    }
    block = MixedBlock(2, Block("halving", branches))
    w = filled(block)
    x = torch.rand(2, 2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parts = [
        by_hand(x, w, "a", stride=2),
        by_hand(by_hand(x, w, "b_1"), w, "b_2", stride=2),
        F.max_pool2d(x, 3, 2),
    ]
    torch.testing.assert_close(block(x), torch.cat(parts, 1), rtol=0, atol=1e-12)


def test_making_one_draws_nothing() -> None:
    before = torch.get_rng_state()
    Inception()
    assert torch.equal(torch.get_rng_state(), before)
