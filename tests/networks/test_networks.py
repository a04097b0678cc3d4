"""What each network promises beyond the laws."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from polymodal.networks import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    ResidualConvEncoder,
    TableEncoder,
    TextEncoder,
    TextStepDecoder,
    VectorEncoder,
)
from polymodal.networks.conv import default_channels
from polymodal.random import seeded
from polymodal.typing import Column


def read_by_mlp(encoder: TableEncoder, x: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """What the table's first layer gets."""
    seen: list[torch.Tensor] = []
    encoder.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(x, cells)
    return seen[0]


def test_table_columns_are_read_by_their_kind() -> None:
    columns = [
        Column("a", "number"),
        Column("b", "category", 3),
        Column("c", "count"),
        Column("d", "ordinal", 3),
    ]
    x = torch.tensor([[0.5, 2.0, 7.0, 0.0], [-2.0, 0.0, 0.0, 1.0]])
    cells = torch.tensor([[True, True, True, True], [True, False, True, False]])
    log = torch.log(torch.tensor(8.0)).item() / 3
    expected = torch.tensor(
        [  # cells          a     c    d     one-hot of b  one-hot of d
            [1, 1, 1, 1, 0.5, log, -1, 0, 0, 1, 1, 0, 0],
            [1, 0, 1, 0, -2.0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
    )
    torch.testing.assert_close(read_by_mlp(TableEncoder(columns), x, cells), expected)


def test_an_absent_cell_differs_from_a_zero() -> None:
    with seeded(0):
        networks = [VectorEncoder(3), VectorEncoder(3, mask_limit=2)]
        networks.append(TableEncoder([Column(name, "number") for name in "abc"]))
    x = torch.zeros(1, 3)
    for network in networks:
        there = network(x, torch.tensor([[True, True, True]]))
        absent = network(x, torch.tensor([[True, False, True]]))
        assert not torch.equal(there, absent)


def test_a_wide_vector_pays_little_for_its_mask() -> None:
    weights = sum(p.numel() for p in VectorEncoder(2000, (256,)).parameters())
    assert weights < 1.2 * 2000 * 256


def test_tables_without_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one column"):
        TableEncoder([])


def test_padding_does_not_matter_to_text_features() -> None:
    with seeded(0):
        encoder = TextEncoder(6, 9).double()
    words = torch.tensor([[4, 5, 2]])
    padded = torch.tensor([[4, 5, 2, 0, 0, 0]])
    torch.testing.assert_close(encoder(words), encoder(padded))


def test_a_text_is_read_alike_among_many_of_other_lengths_and_alone() -> None:
    with seeded(0):
        encoder = TextEncoder(12, 9).double()
        ids = torch.randint(1, 9, (50, 12))
        lengths = torch.randint(0, 13, (50,))
    tokens = torch.where(torch.arange(12) < lengths[:, None], ids, 0)
    alone = torch.cat([encoder(row[None]) for row in tokens])
    torch.testing.assert_close(encoder(tokens), alone)
    assert encoder(tokens[:, :0]).shape == alone.shape


def test_the_order_of_words_matters() -> None:
    with seeded(0):
        encoder = TextEncoder(3, 9)
    first, second = encoder(torch.tensor([[4, 5, 2], [5, 4, 2]]))
    assert not torch.allclose(first, second)


def test_a_step_decoder_reads_a_prefix_as_it_reads_the_whole() -> None:
    with seeded(0):
        decoder = TextStepDecoder(4, 6, 9).double()
        context, ids = torch.randn(3, 4).double(), torch.randint(0, 9, (3, 6))
    whole = decoder(context, ids)
    for length in range(1, 7):
        torch.testing.assert_close(decoder(context, ids[:, :length]), whole[:, :length])
    assert decoder(context, ids[:, :0]).shape == (3, 0, 9)


def test_word_dropout_is_for_training_only() -> None:
    with seeded(0):
        decoder = TextStepDecoder(4, 6, 9, word_dropout=0.5)
        context, ids = torch.randn(3, 4), torch.randint(0, 9, (3, 6))
        assert not torch.equal(decoder(context, ids), decoder(context, ids))
        decoder.eval()
        assert torch.equal(decoder(context, ids), decoder(context, ids))


def test_too_long_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 4 tokens, got 5"):
        TextStepDecoder(2, 4, 9)(torch.zeros(1, 2), torch.zeros(1, 5, dtype=torch.long))


@pytest.mark.parametrize("side", range(4, 70, 3))
def test_default_channels_leave_at_least_two_pixels_a_side(side: int) -> None:
    assert 2 <= side >> len(default_channels(side, side)) <= 7


def test_impossible_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 pixels"):
        ConvEncoder((1, 3, 8))
    with pytest.raises(ValueError, match="at most 3 channels"):
        ConvDecoder(2, (1, 8, 8), (4, 4, 4, 4))
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        ResidualConvEncoder((28, 28))


def test_no_unit_of_a_picture_s_decoder_can_die() -> None:
    decoder = ConvDecoder(3, (1, 8, 8), (4, 8))
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if name.endswith("bias"):
                parameter.fill_(-50.0)
    decoder(torch.randn(5, 3)).square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None
        assert bool((parameter.grad != 0).all()), name


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MLPEncoder(0)
    with pytest.raises(ValueError, match="at least 1"):
        MLPDecoder(2, (3,), hidden=(0,))
    with pytest.raises(ValueError, match="silu, relu, leaky_relu"):
        MLPEncoder(3, activation="tanh")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="divide the width"):
        TextEncoder(4, 9, width=10, heads=4)
    with pytest.raises(ValueError, match="word_dropout"):
        TextStepDecoder(2, 4, 9, word_dropout=1.0)


@pytest.mark.parametrize("seed", range(3))
def test_features_start_at_the_size_of_the_input(seed: int) -> None:
    with seeded(seed):
        x = torch.randn(200, 1, 16, 16)
        for encoder in (
            MLPEncoder((1, 16, 16), (256,) * 5),
            ConvEncoder((1, 16, 16)),
            ResidualConvEncoder((1, 16, 16), blocks=3),
        ):
            assert 0.2 < encoder(x).square().mean().sqrt() < 3


def test_no_network_has_batch_norm() -> None:
    network = ResidualConvEncoder((1, 16, 16))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_a_network_is_made_by_the_seed_alone() -> None:
    made = []
    for _ in range(2):
        with seeded(5):
            made.append(TextStepDecoder(2, 4, 9).state_dict())
    for name, weight in made[0].items():
        assert torch.equal(weight, made[1][name])
