"""Any modality as a flat vector of numbers, and back: what linear models read and say.

Vectors, images and numbers are themselves; a count is its logarithm (of one more), an ordinal its
level, a category its indicators, a text the words that it has. Back, a linear prediction and the
standard deviation of its noise become a distribution of the modality's own kind: indicators
clipped and normalised are probabilities, levels have logistic noise between them, words weigh how
often a word stands at a place of a text.
"""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymodal.distributions.counts import NegativeBinomialObserved
from polymodal.distributions.factorised import (
    BernoulliObserved,
    CategoricalObserved,
    GaussianObserved,
    LaplaceObserved,
)
from polymodal.distributions.mixed import MixedObserved
from polymodal.distributions.observed import Observed
from polymodal.distributions.ordinal import Thresholds
from polymodal.distributions.tokens import PAD, TokenObserved
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.counts import LOG_MEAN_BOUND, LOG_SIZE_BOUND, NegativeBinomialLikelihood
from polymodal.likelihoods.discrete import BernoulliLikelihood, CategoricalLikelihood
from polymodal.likelihoods.location_scale import GaussianLikelihood, LaplaceLikelihood
from polymodal.likelihoods.mixed import MixedLikelihood
from polymodal.likelihoods.ordinal import OrdinalLikelihood
from polymodal.likelihoods.tokens import AutoregressiveTextLikelihood, TokenLikelihood
from polymodal.typing import as_width

LEAST = 0.01
"""No probability that a line predicts is taken to be less."""


class FlatCode(nn.Module, abc.ABC):
    """One modality as numbers.

    Arguments:
        likelihood: The modality's likelihood.
        size: How many numbers P a row has.

    Attributes:
        is_itself: Whether the numbers are the values: their density is then the data's.
    """

    is_itself = False

    def __init__(self, likelihood: Likelihood, size: int) -> None:
        super().__init__()
        self.likelihood, self.size = likelihood, size

    @abc.abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Values ``(B, ...)``, all of them there -> numbers ``(B, P)``, float64."""

    @abc.abstractmethod
    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """Predicted numbers ``(..., B, P)`` and their noise ``(P,)`` -> p(x | z)."""

    def cells(self, mask: Tensor) -> Tensor:
        """What is there: bool ``(B,)`` or ``(B, values)`` -> ``(B, P)``."""
        return as_width(mask, self.size)

    def start_from(self, x: Tensor, mask: Tensor) -> None:
        """Learn what a decoder must know beside the line, from all training values."""


class Numbers(FlatCode):
    """Vectors and images, Gaussian or Laplace."""

    def __init__(self, likelihood: GaussianLikelihood | LaplaceLikelihood) -> None:
        super().__init__(likelihood, likelihood.dims)
        self.is_itself = isinstance(likelihood, GaussianLikelihood)

    def encode(self, x: Tensor) -> Tensor:
        """The values."""
        return x.flatten(1).double()

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """A location and a scale each."""
        shape = self.likelihood.value_shape
        loc, sd = loc.unflatten(-1, shape), sd.reshape(shape)
        if self.is_itself:
            return GaussianObserved(loc, sd, shape)
        return LaplaceObserved(loc, sd / math.sqrt(2), shape)


class YesNo(FlatCode):
    """Values between 0 and 1."""

    def __init__(self, likelihood: BernoulliLikelihood) -> None:
        super().__init__(likelihood, likelihood.dims)

    def encode(self, x: Tensor) -> Tensor:
        """The values."""
        return x.flatten(1).double()

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """Probabilities, clipped."""
        shape = self.likelihood.value_shape
        return BernoulliObserved(loc.clamp(LEAST, 1 - LEAST).logit().unflatten(-1, shape), shape)


class Logarithms(FlatCode):
    """Counts."""

    def __init__(self, likelihood: NegativeBinomialLikelihood) -> None:
        super().__init__(likelihood, likelihood.dims)

    def encode(self, x: Tensor) -> Tensor:
        """Logarithms of one more."""
        return x.flatten(1).double().log1p()

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """Counts with the mean and the spread of what the logarithms say."""
        log_mean, log_size = _counts(loc, sd)
        shape = self.likelihood.value_shape
        return NegativeBinomialObserved(
            log_mean.unflatten(-1, shape), log_size.reshape(shape), shape
        )


class Levels(FlatCode):
    """A lone category or grade."""

    def __init__(self, likelihood: CategoricalLikelihood | OrdinalLikelihood, levels: int) -> None:
        super().__init__(likelihood, levels)

    def encode(self, x: Tensor) -> Tensor:
        """Indicators."""
        return functional.one_hot(x.long(), self.size).double()

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """Probabilities of the levels."""
        return CategoricalObserved(loc.clamp(min=LEAST).log())


class Table(FlatCode):
    """A row of a table, in the order of its likelihood's parameters."""

    def __init__(self, likelihood: MixedLikelihood) -> None:
        super().__init__(likelihood, likelihood.parameter_shape[0])
        self.mixed = likelihood
        sizes = likelihood.sizes
        self.is_itself = sizes[0] == sum(sizes)

    def encode(self, x: Tensor) -> Tensor:
        """Numbers, logarithms of counts, levels of ordinals, indicators of categories."""
        parts = x[:, self.mixed.get_buffer("_columns")].double().split(self.mixed.sizes, 1)
        there = self.mixed.get_buffer("_there")  # (n, L)
        level = torch.arange(there.shape[1], device=x.device)
        shown = (parts[3].unsqueeze(-1) == level)[:, there].double()
        return torch.cat([parts[0], parts[1].log1p(), parts[2], shown], 1)

    def cells(self, mask: Tensor) -> Tensor:
        """Each number's own column."""
        columns = self.mixed.get_buffer("_columns")
        plain = sum(self.mixed.sizes[:3])
        owner = self.mixed.get_buffer("_there").nonzero()[:, 0] + plain
        order = torch.cat([torch.arange(plain, device=mask.device), owner])
        mask = as_width(mask, len(columns))
        return mask[:, columns[order]]

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """A likelihood a column."""
        sizes = self.mixed.sizes
        numbers, logs, grades, shown = loc.split(self.mixed.widths, -1)
        noise = sd.split(self.mixed.widths)
        log_mean, log_size = _counts(logs, noise[1])
        width = noise[2] * math.sqrt(3) / math.pi
        logits = shown[..., None]
        if sizes[3]:
            logits = shown[..., self.mixed.get_buffer("_logits")].clamp(min=LEAST).log()
            logits = torch.where(self.mixed.get_buffer("_there"), logits, -torch.inf)
            logits = logits.log_softmax(-1)
        levels = [c.levels for c in self.mixed.columns if c.kind == "ordinal"]
        return MixedObserved(
            numbers,
            noise[0],
            NegativeBinomialObserved(log_mean, log_size, (sizes[1],)),
            grades / width,
            _half_way(levels, width),
            logits,
            self.mixed.layout(),
        )


class Words(FlatCode):
    """The words that a text has, each once."""

    def __init__(self, likelihood: TokenLikelihood) -> None:
        length, vocabulary = likelihood.parameter_shape
        super().__init__(likelihood, vocabulary)
        self.never_empty = likelihood.never_empty
        self.share: Tensor
        self.places: Tensor
        self.register_buffer("share", torch.full((vocabulary,), 1 / vocabulary))
        self.register_buffer("places", torch.zeros(length, vocabulary))

    def encode(self, x: Tensor) -> Tensor:
        """Indicators of the words."""
        shown = torch.zeros(len(x), self.size, dtype=torch.float64, device=x.device)
        shown.scatter_(1, x.long(), 1.0)
        shown[:, PAD] = 0
        return shown

    def start_from(self, x: Tensor, mask: Tensor) -> None:
        """How often each word is in a text, and how often it stands at each place."""
        text = x[mask]
        if not len(text):
            return
        often = functional.one_hot(text.long(), self.size).sum(0).double()  # (T, V)
        often[:, PAD] = 0
        usual = (often.sum(0) + 0.01) / (often.sum() + 0.01 * self.size)
        self.places.copy_((often + usual).log())
        self.share.copy_((self.encode(text).sum(0) + 0.1) / (len(text) + 0.2))

    def decode(self, loc: Tensor, sd: Tensor) -> Observed:
        """Each place's words, more or less likely as the line says."""
        more = (loc.clamp(LEAST, 1) / self.share.clamp(min=LEAST)).log()
        logits = self.places.to(loc.dtype) + more.unsqueeze(-2).to(loc.dtype)
        return TokenObserved(logits, self.never_empty)


def flat_code(name: str, likelihood: Likelihood) -> FlatCode:
    """The code of a likelihood.

    Raises:
        ValueError: If there is none.
    """
    if isinstance(likelihood, GaussianLikelihood | LaplaceLikelihood):
        return Numbers(likelihood)
    if isinstance(likelihood, BernoulliLikelihood):
        return YesNo(likelihood)
    if isinstance(likelihood, NegativeBinomialLikelihood):
        return Logarithms(likelihood)
    if isinstance(likelihood, CategoricalLikelihood):
        return Levels(likelihood, likelihood.parameter_shape[0])
    if isinstance(likelihood, OrdinalLikelihood):
        return Levels(likelihood, likelihood.learned.raw.shape[1] + 1)
    if isinstance(likelihood, MixedLikelihood):
        return Table(likelihood)
    if isinstance(likelihood, AutoregressiveTextLikelihood):
        (context,), (length,) = likelihood.parameter_shape, likelihood.value_shape
        with torch.no_grad():
            logits = likelihood.step(torch.zeros(1, context), torch.zeros(1, 1, dtype=torch.long))
        full = likelihood.never_empty
        return Words(TokenLikelihood(length, logits.shape[-1], never_empty=full))
    if isinstance(likelihood, TokenLikelihood):
        return Words(likelihood)
    raise ValueError(
        f"modality {name!r}: a linear model reads numbers, yes or no, counts, categories, grades, "
        f"tables and texts; its likelihood is {type(likelihood).__name__}."
    )


def _counts(loc: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    """Logs of mean and size of counts whose logarithm (of one more) is normal."""
    mean = (loc + sd.square() / 2).clamp(max=LOG_MEAN_BOUND).exp() - 1
    size = -torch.expm1(sd.square()).clamp(min=1e-6).log()
    return mean.clamp(min=LEAST).log(), size.clamp(-LOG_SIZE_BOUND, LOG_SIZE_BOUND)


def _half_way(levels: list[int], width: Tensor) -> Thresholds:
    """Thresholds half-way between levels, in units of ``width (P,)``."""
    most = max(levels, default=1)
    level = torch.arange(most, device=width.device, dtype=width.dtype)
    count = torch.tensor(levels, device=width.device).reshape(-1, 1)
    there = level < count
    lower = torch.where(level == 0, -torch.inf, (level - 0.5) / width.unsqueeze(-1))
    upper = torch.where(level == count - 1, torch.inf, (level + 0.5) / width.unsqueeze(-1))
    log_width = (-torch.expm1(lower - upper)).log()
    return Thresholds(
        torch.where(there, lower, 0),
        torch.where(there, upper, torch.inf),
        torch.where(there, log_width, -torch.inf),
    )
