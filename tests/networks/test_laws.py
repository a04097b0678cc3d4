"""Every network obeys the laws of its kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from polymodal.networks import (
    AttributeEncoder,
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    ParallelTextDecoder,
    RecurrentDecoder,
    RecurrentEncoder,
    ResidualConvDecoder,
    ResidualConvEncoder,
    SeriesDecoder,
    SeriesEncoder,
    TableEncoder,
    TextContext,
    TextEncoder,
    TextStepDecoder,
    VectorEncoder,
    WideDecoder,
    WideEncoder,
)
from polymodal.random import seeded
from polymodal.testing.networks import check_decoder, check_encoder, check_step_decoder
from polymodal.typing import Column

COLUMNS = (
    Column("weight", "number"),
    Column("colour", "category", 3),
    Column("visits", "count"),
    Column("grade", "ordinal", 4),
    Column("income", "positive"),
    Column("only", "ordinal", 1),
)
SHAPES = [(1, 4, 4), (1, 8, 8), (2, 16, 15), (3, 28, 28), (1, 5, 9), (3, 32, 32)]


def values(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    def batch(rows: int) -> tuple[Tensor, ...]:
        return (torch.rand(rows, *shape, generator=torch.Generator().manual_seed(rows)),)

    return batch


def cells(features: int) -> Callable[[int], tuple[Tensor, ...]]:
    def batch(rows: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        x = torch.randn(rows, features, generator=generator)
        return x, torch.rand(rows, features, generator=generator) < 0.7

    return batch


def table(columns: tuple[Column, ...]) -> Callable[[int], tuple[Tensor, ...]]:
    def batch(rows: int) -> tuple[Tensor, ...]:
        x, there = cells(len(columns))(rows)
        for i, column in enumerate(columns):
            if column.levels:
                x[:, i] = torch.arange(rows) % column.levels
            if column.kind == "count":
                x[:, i] = torch.arange(rows) ** 3
        return x, there

    return batch


def tokens(length: int, vocabulary: int) -> Callable[[int], tuple[Tensor, ...]]:
    def batch(rows: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        ids = torch.randint(3, vocabulary, (rows, length), generator=generator)
        sizes = torch.arange(rows)[:, None] % (length + 1)  # the first row has no token at all
        sizes = torch.where(sizes == 1, length, sizes)
        return (torch.where(torch.arange(length) < sizes, ids, 0),)

    return batch


def encoders() -> dict[str, tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]]:
    with seeded(0):
        found: dict[str, tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]] = {
            "mlp": (MLPEncoder(5), values(5)),
            "mlp-norm": (MLPEncoder(5, (16,), norm=True, dropout=0.5), values(5)),
            "mlp-out": (MLPEncoder((1, 8, 8), (16,), 7, activation="relu"), values(1, 8, 8)),
            "mlp-linear": (MLPEncoder(5, (), 3), values(5)),
            "conv-flat": (ConvEncoder((3, 28, 28), (4, 8), ()), values(3, 28, 28)),
            "table": (TableEncoder(COLUMNS), table(COLUMNS)),
            "table-attributes": (AttributeEncoder(COLUMNS, 4), table(COLUMNS)),
            "table-numbers": (TableEncoder(COLUMNS[:1] * 3), table(COLUMNS[:1] * 3)),
            "table-label": (TableEncoder(COLUMNS[1:2], norm=True), table(COLUMNS[1:2])),
            "vector": (VectorEncoder(12), cells(12)),
            "vector-wide": (VectorEncoder(600, (32,)), cells(600)),
            "wide-cells": (WideEncoder(VectorEncoder(12, (8,)), 12), cells(12)),
            "wide-plain": (WideEncoder(MLPEncoder((1, 3, 4), (8,)), 12), values(1, 3, 4)),
            "series-short": (SeriesEncoder((2, 5), counts=True, hidden=(8,)), cells(10)),
            "series": (SeriesEncoder((1, 21), dropout=0.1, hidden=(8,)), cells(21)),
            "recurrent": (RecurrentEncoder((2, 5), width=4, hidden=(8,)), cells(10)),
            "text": (TextEncoder(7, 11, dropout=0.2), tokens(7, 11)),
            "text-bag": (TextEncoder(7, 11, width=8, layers=0), tokens(7, 11)),
        }
        for shape in SHAPES:
            size = "x".join(map(str, shape))
            found[f"conv-{size}"] = (ConvEncoder(shape), values(*shape))
            found[f"residual-{size}"] = (
                ResidualConvEncoder(shape, (8,) * (2 if shape[1] > 7 else 1), dropout=0.1),
                values(*shape),
            )
    return found


def decoders() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    with seeded(1):
        found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
            "mlp": (MLPDecoder(3, (6,)), (6,)),
            "mlp-scalar": (MLPDecoder(3, (), (8,)), ()),
            "mlp-image": (MLPDecoder(3, (1, 8, 8), (16,), norm=True), (1, 8, 8)),
            "mlp-linear": (MLPDecoder(3, (6,), ()), (6,)),
            "conv-bare": (ConvDecoder(3, (3, 28, 28), (4, 8), ()), (3, 28, 28)),
            "conv-two-parameters": (ConvDecoder(3, (2, 3, 9, 8), (4,)), (2, 3, 9, 8)),
            "residual-two-parameters": (ResidualConvDecoder(3, (2, 3, 9, 8)), (2, 3, 9, 8)),
            "series-short": (SeriesDecoder(3, (2, 5), hidden=(8,)), (10,)),
            "series": (SeriesDecoder(3, (2, 21), hidden=(8,)), (42,)),
            "recurrent": (RecurrentDecoder(3, (2, 5), width=4), (10,)),
            "text": (ParallelTextDecoder(3, 7, 11, dropout=0.2), (7, 11)),
            "wide": (WideDecoder(MLPDecoder(3, (6,), (8,)), 3, (6,)), (6,)),
            "context": (TextContext(3), (128,)),
        }
        for shape in SHAPES:
            size = "x".join(map(str, shape))
            found[f"conv-{size}"] = (ConvDecoder(3, shape), shape)
            channels = (8,) * (2 if shape[1] > 7 else 1)
            found[f"residual-{size}"] = (ResidualConvDecoder(3, shape, channels, 2), shape)
    return found


ENCODERS, DECODERS = encoders(), decoders()


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_obeys_the_laws(name: str) -> None:
    for _, law in check_encoder(*ENCODERS[name]):
        law()


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_obeys_the_laws(name: str) -> None:
    decoder, shape = DECODERS[name]
    for _, law in check_decoder(decoder, 3, shape):
        law()


@pytest.mark.parametrize(("layers", "heads"), [(2, 4), (1, 1)])
def test_step_decoders_obey_the_laws(layers: int, heads: int) -> None:
    with seeded(2):
        decoder = TextStepDecoder(5, 7, 11, 16, layers, heads, 0.1, word_dropout=0.3)
    for _, law in check_step_decoder(decoder, 5, 7, 11):
        law()


class BatchMean(nn.Module):
    """An encoder that breaks the law: rows see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.out_features = 4

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x - x.mean(0) if len(x) else x)


class Multiplied(nn.Module):
    """An encoder that breaks the law: it multiplies by the mask, so NaN gets through."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.out_features = 4

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        return self.linear(x * there)


class Unmasked(nn.Module):
    """A step decoder that breaks the law: a position sees its own token."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 11)
        self.linear = nn.Linear(5, 11)

    def forward(self, context: Tensor, ids: Tensor) -> Tensor:
        return self.words(ids) + self.linear(context)[:, None]


@pytest.mark.parametrize(
    ("laws", "broken"),
    [
        (lambda: check_encoder(BatchMean(), values(4)), "rows are independent"),
        (lambda: check_encoder(Multiplied(), cells(4)), "masked cells never matter"),
        (
            lambda: check_step_decoder(Unmasked(), 5, 7, 11),
            "logits see only the tokens before",
        ),
        (lambda: check_decoder(nn.Linear(3, 4), 3, (5,)), "output shape"),
    ],
)
def test_a_broken_law_is_found(laws: Callable, broken: str) -> None:
    with seeded(3):
        law = dict(laws())[broken]
    with pytest.raises(AssertionError):
        law()
