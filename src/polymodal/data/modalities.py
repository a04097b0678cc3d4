"""From a fitted codec to modalities: the networks and the likelihood that each kind gets.

Sizes follow the data: a wide hidden layer for wide inputs, convolutions for series, and for images
and spectrograms above 12 pixels a side, a small transformer for text. Every likelihood of numbers
learns its scale, so that no modality drowns another by its units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from polymodal.data.codec import DataCodec
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.counts import NegativeBinomialLikelihood, PoissonLikelihood
from polymodal.likelihoods.discrete import BernoulliLikelihood
from polymodal.likelihoods.location_scale import GaussianLikelihood, LaplaceLikelihood
from polymodal.likelihoods.mixed import MixedLikelihood
from polymodal.likelihoods.tokens import AutoregressiveTextLikelihood, TokenLikelihood
from polymodal.model import Modality
from polymodal.networks import (
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
from polymodal.networks.conv import SMALLEST_SIDE
from polymodal.networks.mlp import ACTIVATIONS, ActivationName

SMALL_IMAGE = 12
"""Images up to this many pixels a side are read as flat vectors."""


@dataclass(frozen=True)
class NetworkSettings:
    """How large the default networks are and which likelihoods they serve.

    Arguments:
        hidden: Hidden sizes of MLPs.
        dropout: Share of hidden units dropped in training, in encoders.
        wide: Give vectors and series a linear path beside their networks.
        image: Image networks: ``"auto"`` (flat up to 12 pixels a side, else convolutional),
            ``"flat"``, ``"conv"`` or ``"residual"``.
        image_activation: Units of encoder and decoder where ``image`` comes to ``"conv"``:
            ``"leaky_relu"``, ``"relu"``, which can die, or ``"silu"``.
        image_likelihood: ``"gaussian"`` or ``"laplace"``, with a learned scale.
        series: Series networks: ``"conv"`` over time, or ``"recurrent"`` (gated units; slower).
        text: Text decoder: ``"autoregressive"`` or ``"parallel"``.
        text_width: Width of the text transformers.
        word_dropout: Share of words that an autoregressive decoder may not see in training, so
            that it does not ignore the latent.
        balance: How far the likelihoods of tables and texts are weighted in training so that a
            large modality does not drown them: the weight is (the largest number of values of any
            modality / this modality's number) to this power. 0 leaves the evidence as it is.
    """

    hidden: tuple[int, ...] = (256, 256)
    dropout: float = 0.1
    wide: bool = True
    image: Literal["auto", "flat", "conv", "residual"] = "auto"
    image_activation: ActivationName = "leaky_relu"
    image_likelihood: Literal["gaussian", "laplace"] = "gaussian"
    series: Literal["conv", "recurrent"] = "conv"
    text: Literal["autoregressive", "parallel"] = "autoregressive"
    text_width: int = 64
    word_dropout: float = 0.3
    balance: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (
            ("image", ("auto", "flat", "conv", "residual")),
            ("image_activation", tuple(ACTIVATIONS)),
            ("image_likelihood", ("gaussian", "laplace")),
            ("series", ("conv", "recurrent")),
            ("text", ("autoregressive", "parallel")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"networks: {name} must be one of {', '.join(allowed)}, "
                    f"got {getattr(self, name)!r}."
                )
        if not self.hidden or any(size < 1 for size in self.hidden):
            raise ValueError(f"networks: hidden sizes must be positive, got {self.hidden}.")
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"networks: {name} must be in [0, 1), got {getattr(self, name)}.")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"networks: balance must be in [0, 1], got {self.balance}.")


Parts = tuple[nn.Module, Callable[[int], nn.Module], Likelihood]


def modalities_of(codec: DataCodec, settings: NetworkSettings | None = None) -> list[Modality]:
    """The modalities of a codec with default networks, weights drawn from torch's random state."""
    settings = settings or NetworkSettings()
    parts = {name: _PARTS[codec.kind(name)](codec, name, settings) for name in codec.names}
    weights = balanced_weights(
        {name: likelihood.dims for name, (_, _, likelihood) in parts.items()},
        {name for name in codec.names if codec.kind(name) in _WEIGHTED},
        settings.balance,
    )
    return [
        Modality(name, encoder, decoder, likelihood, weights[name])
        for name, (encoder, decoder, likelihood) in parts.items()
    ]


def balanced_weights(
    dims: Mapping[str, int], weighted: Collection[str], power: float
) -> dict[str, float]:
    """Likelihood weights for training from each modality's number of values.

    Arguments:
        dims: Modality -> how many values a row has.
        weighted: The modalities that get a weight. Pictures and vectors need none: they learn the
            scale of their noise, and with it how much they count. A category cannot.
        power: 0 weighs nothing, 1 makes every modality as heavy as the largest.

    Example:
        >>> balanced_weights({"image": 784, "label": 1}, {"label"}, 0.5)
        {'image': 1.0, 'label': 28.0}
    """
    largest = max(dims.values())
    return {
        name: (largest / size) ** power if name in weighted else 1.0 for name, size in dims.items()
    }


def _table(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    columns = codec.columns(name)
    likelihood = MixedLikelihood(columns)
    encoder = TableEncoder(columns, settings.hidden, dropout=settings.dropout)
    return encoder, _mlp_decoder(likelihood, settings), likelihood


def _vector(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    (features,) = codec.shape(name)
    likelihood: Likelihood = GaussianLikelihood((features,), scale="feature")
    if codec.yes_no(name):
        likelihood = BernoulliLikelihood(features, base_rates=True)
    encoder = VectorEncoder(features, settings.hidden, dropout=settings.dropout)
    narrow = _mlp_decoder(likelihood, settings)
    if not settings.wide:
        return encoder, narrow, likelihood
    return WideEncoder(encoder, features), _widened(narrow, likelihood), likelihood


def _widened(
    narrow: Callable[[int], nn.Module], likelihood: Likelihood
) -> Callable[[int], nn.Module]:
    """Decoders with a linear path beside them."""

    def decoder(latent_dim: int) -> nn.Module:
        return WideDecoder(narrow(latent_dim), latent_dim, likelihood.parameter_shape)

    return decoder


def _image(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    shape = codec.shape(name)
    kind = {"gaussian": GaussianLikelihood, "laplace": LaplaceLikelihood}
    likelihood = kind[settings.image_likelihood](shape, scale="scalar")
    network = settings.image
    if network == "auto":
        # a long and very narrow picture has nothing to halve
        small = max(shape[1:]) <= SMALL_IMAGE or min(shape[1:]) < SMALLEST_SIDE
        network = "flat" if small else "conv"
    if network == "flat":
        encoder = MLPEncoder(shape, settings.hidden, dropout=settings.dropout)
        return encoder, _mlp_decoder(likelihood, settings), likelihood
    encoder, decoder = {
        "conv": (
            partial(ConvEncoder, activation=settings.image_activation),
            partial(ConvDecoder, activation=settings.image_activation),
        ),
        "residual": (ResidualConvEncoder, ResidualConvDecoder),
    }[network]
    return encoder(shape), partial(decoder, shape=likelihood.parameter_shape), likelihood


def _series(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    (channels, times), kind = codec.series(name)
    size = channels * times
    likelihood: Likelihood
    if kind == "gaussian":
        likelihood = GaussianLikelihood((size,), scale="feature")
    else:
        counted = {"poisson": PoissonLikelihood, "negative_binomial": NegativeBinomialLikelihood}
        likelihood = counted[kind](size, whole=False)
    shape, counts = (channels, times), kind != "gaussian"
    hidden, dropout = settings.hidden[-1:], settings.dropout
    encoder: nn.Module
    narrow: Callable[[int], nn.Module]
    if settings.series == "recurrent":
        encoder = RecurrentEncoder(shape, counts=counts, hidden=hidden, dropout=dropout)
        narrow = partial(RecurrentDecoder, size=shape)
    else:
        encoder = SeriesEncoder(shape, counts=counts, hidden=hidden, dropout=dropout)
        narrow = partial(SeriesDecoder, size=shape, hidden=hidden)
    if not settings.wide:
        return encoder, narrow, likelihood
    return WideEncoder(encoder, size, counts=counts), _widened(narrow, likelihood), likelihood


def _tags(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    (tags,) = codec.shape(name)
    likelihood = BernoulliLikelihood(tags)
    encoder = MLPEncoder(tags, settings.hidden, dropout=settings.dropout)
    return encoder, _mlp_decoder(likelihood, settings), likelihood


def _text(codec: DataCodec, name: str, settings: NetworkSettings) -> Parts:
    length, words, width = codec.length(name), codec.vocabulary_size(name), settings.text_width
    encoder, full = TextEncoder(length, words, width), codec.never_empty(name)
    if settings.text == "parallel":
        decoder = partial(ParallelTextDecoder, length=length, vocabulary=words, width=width)
        return encoder, decoder, TokenLikelihood(length, words, never_empty=full)
    step = TextStepDecoder(2 * width, length, words, width)
    likelihood = AutoregressiveTextLikelihood(
        length, words, step, token_dropout=settings.word_dropout, never_empty=full
    )
    return encoder, partial(TextContext, width=2 * width), likelihood


def _mlp_decoder(likelihood: Likelihood, settings: NetworkSettings) -> Callable[[int], nn.Module]:
    return partial(MLPDecoder, output_shape=likelihood.parameter_shape, hidden=settings.hidden)


_PARTS: dict[str, Callable[[DataCodec, str, NetworkSettings], Parts]] = {
    "table": _table,
    "vector": _vector,
    "image": _image,
    "text": _text,
    "tags": _tags,
    "series": _series,
    "audio": _image,
    "embedding": _vector,
}
_WEIGHTED = ("table", "text", "tags")
"""Kinds with values that learn no scale of their own."""
