"""The visible units of each kind of likelihood."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from polymodal.distributions.mixed import MixedObserved
from polymodal.distributions.observed import Observed
from polymodal.distributions.tokens import END
from polymodal.likelihoods import (
    AutoregressiveTextLikelihood,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    Likelihood,
    MixedLikelihood,
    NegativeBinomialLikelihood,
    OrdinalLikelihood,
    TokenLikelihood,
)
from polymodal.models.visible import Visible
from polymodal.typing import as_width

_WORDS = END + 1  # ids below it are no words
_SEEN_BEFORE = 1.0  # what the counts of lengths begin with


def visible_of(likelihood: Likelihood) -> Visible:
    """The units for a likelihood, or for its nearest where a machine has no such unit.

    Laplace is read and written as Gaussian, text written token by token as a bag of words.

    Raises:
        ValueError: If the likelihood is of no known kind.
    """
    if isinstance(likelihood, LaplaceLikelihood | GaussianLikelihood):
        return NumberUnits(_as_gaussian(likelihood))
    if isinstance(likelihood, BernoulliLikelihood):
        # the machine's own bias begins at the frequencies
        return YesNoUnits(BernoulliLikelihood(likelihood.value_shape))
    if isinstance(likelihood, CategoricalLikelihood):
        return CodeUnits(likelihood)
    if isinstance(likelihood, MixedLikelihood):
        return TableUnits(likelihood)
    if isinstance(likelihood, TokenLikelihood | AutoregressiveTextLikelihood):
        return WordUnits(_as_tokens(likelihood))
    if isinstance(likelihood, OrdinalLikelihood | NegativeBinomialLikelihood):
        return LineUnits(likelihood)
    raise ValueError(
        f"a Boltzmann machine has no units for {type(likelihood).__name__}; give it one of the "
        "library's likelihoods."
    )


def _as_gaussian(likelihood: LaplaceLikelihood | GaussianLikelihood) -> GaussianLikelihood:
    shape = likelihood.value_shape
    if likelihood.fixed is not None:
        return GaussianLikelihood(shape, likelihood.fixed)
    if likelihood.learned is None:
        return GaussianLikelihood(shape, "feature")
    if isinstance(likelihood, GaussianLikelihood):
        return likelihood
    return GaussianLikelihood(shape, "feature" if likelihood.learned.raw.ndim else "scalar")


def _as_tokens(likelihood: TokenLikelihood | AutoregressiveTextLikelihood) -> TokenLikelihood:
    if isinstance(likelihood, TokenLikelihood):
        return likelihood
    words = getattr(likelihood.step, "vocabulary", None)
    if not isinstance(words, int):
        raise ValueError(
            f"a Boltzmann machine must know a text's vocabulary, and the step network "
            f"{type(likelihood.step).__name__} has no attribute vocabulary; use TokenLikelihood."
        )
    return TokenLikelihood(likelihood.value_shape[0], words, never_empty=likelihood.never_empty)


class NumberUnits(Visible):
    """Vectors and images of numbers: Gaussian units, with the likelihood's own scale."""

    likelihood: GaussianLikelihood

    def __init__(self, likelihood: GaussianLikelihood) -> None:
        super().__init__(likelihood, numbers=likelihood.dims)

    def values(self, x: Tensor) -> Tensor:
        """The values, flat."""
        return x.flatten(1)

    def cells(self, mask: Tensor) -> Tensor:
        """One unit a cell."""
        return as_width(mask, self.size)

    def number_scale(self) -> Tensor:
        """The likelihood's scale, as learned."""
        if self.likelihood.learned is None:
            return self.bias.new_full((self.size,), self.likelihood.fixed or 1.0)
        scale = self.likelihood.learned.as_learned()
        return scale.expand(self.likelihood.value_shape).flatten()

    def begin_scale(self, spread: Tensor) -> None:
        """Begin at the spread of the values."""
        learned = self.likelihood.learned
        if learned is not None:
            learned.begin_at(
                spread.reshape(learned.raw.shape) if learned.raw.ndim else spread.mean()
            )

    def parameters_of(self, field: Tensor) -> Tensor:
        """The field is the location."""
        return field.unflatten(-1, self.likelihood.value_shape)


class YesNoUnits(Visible):
    """Vectors and images of zeros and ones: Bernoulli units."""

    def __init__(self, likelihood: BernoulliLikelihood) -> None:
        super().__init__(likelihood, binary=likelihood.dims)

    def values(self, x: Tensor) -> Tensor:
        """The values, flat."""
        return x.flatten(1)

    def cells(self, mask: Tensor) -> Tensor:
        """One unit a cell."""
        return as_width(mask, self.size)

    def parameters_of(self, field: Tensor) -> Tensor:
        """The field are the logits."""
        return field.unflatten(-1, self.likelihood.value_shape)


class CodeUnits(Visible):
    """A lone category: a one-hot group."""

    def __init__(self, likelihood: CategoricalLikelihood) -> None:
        super().__init__(likelihood, groups=likelihood.parameter_shape)

    def values(self, x: Tensor) -> Tensor:
        """One-hot codes."""
        return one_hot(x.long(), self.size)

    def cells(self, mask: Tensor) -> Tensor:
        """All or none."""
        return mask.reshape(-1, 1).expand(-1, self.size)


class LineUnits(Visible):
    """Counts, by their logs, and a lone ordered category: standardised numbers."""

    def __init__(self, likelihood: OrdinalLikelihood | NegativeBinomialLikelihood) -> None:
        super().__init__(likelihood, lined=likelihood.dims)

    def values(self, x: Tensor) -> Tensor:
        """Logs of counts, codes of ordered categories."""
        flat = x.reshape(len(x), self.size).to(self.bias.dtype)
        return flat if isinstance(self.likelihood, OrdinalLikelihood) else flat.log1p()

    def cells(self, mask: Tensor) -> Tensor:
        """One unit a cell."""
        return as_width(mask, self.size)

    def parameters_of(self, field: Tensor) -> Tensor:
        """The field through its lines."""
        return self.through_lines(field).unflatten(-1, self.likelihood.parameter_shape)


class TableUnits(Visible):
    """A table's row: numbers, counts and grades as standardised numbers, categories one-hot.

    The units stand as the likelihood's parameters do.
    """

    likelihood: MixedLikelihood

    def __init__(self, likelihood: MixedLikelihood) -> None:
        numbers, counts, ordinals, _ = likelihood.sizes
        places = sorted(range(len(likelihood.columns)), key=self._start_of(likelihood))
        levels = [likelihood.columns[p].levels for p in places[numbers + counts + ordinals :]]
        super().__init__(likelihood, numbers=numbers, lined=counts + ordinals, groups=levels)
        self.register_buffer("_order", torch.tensor(places), persistent=False)
        owners = [*range(self.sizes[0])]
        owners += [self.sizes[0] + g for g, n in enumerate(levels) for _ in range(n)]
        self.register_buffer("_owners", torch.tensor(owners), persistent=False)
        self.counts = slice(numbers, numbers + counts)

    @staticmethod
    def _start_of(likelihood: MixedLikelihood):  # noqa: ANN205
        return lambda p: likelihood.parameter_slices[p].start

    def values(self, x: Tensor) -> Tensor:
        """Numbers, logs of counts, codes of grades, one-hot categories."""
        ordered = x[:, self.get_buffer("_order")]
        plain = ordered[:, : self.sizes[0]].clone()
        plain[:, self.counts] = plain[:, self.counts].log1p()
        if not self.groups:
            return plain
        hot = one_hot(ordered[:, self.sizes[0] :].long(), max(self.groups)).flatten(1)
        return torch.cat([plain, hot[:, self.get_buffer("_levels")].to(plain.dtype)], 1)

    def cells(self, mask: Tensor) -> Tensor:
        """A category's units are there with its cell."""
        full = as_width(mask, len(self.likelihood.columns))
        return full[:, self.get_buffer("_order")][:, self.get_buffer("_owners")]

    def number_scale(self) -> Tensor:
        """The likelihood's scale, as learned."""
        return self.likelihood.scale.as_learned()

    def line_score(self, p: Observed, x: Tensor, mask: Tensor) -> Tensor:
        """Log-likelihood of counts and grades in nats, ``(B,)``."""
        if not isinstance(p, MixedObserved):
            raise TypeError(f"a table is written as MixedObserved, got {type(p).__name__}.")
        full = as_width(mask, len(self.likelihood.columns))
        lined = self.get_buffer("_order")[self.numbers : self.sizes[0]]
        return p.cell_log_prob(x, full)[:, lined].sum(-1)

    def begin_scale(self, spread: Tensor) -> None:
        """Begin at the spread of the values."""
        self.likelihood.scale.begin_at(spread)


class WordUnits(Visible):
    """A text as a bag of words: replicated softmax, and how long texts are.

    What is written has the same words at every position, and ends as texts of the training rows
    do, whatever the layer above says: a bag has no order and takes its size as given.
    """

    likelihood: TokenLikelihood
    lengths: Tensor

    def __init__(self, likelihood: TokenLikelihood) -> None:
        self.length, vocabulary = likelihood.parameter_shape
        super().__init__(likelihood, groups=(vocabulary - _WORDS,) if vocabulary > _WORDS else ())
        # How many training texts have 0, 1 .. T words.
        self.register_buffer("lengths", torch.full((self.length + 1,), _SEEN_BEFORE))

    def values(self, x: Tensor) -> Tensor:
        """Counts of the words ``(B, V)``."""
        words = torch.where(x >= _WORDS, x - _WORDS + 1, 0)
        return one_hot(words, self.size + 1).sum(1)[:, 1:]

    def cells(self, mask: Tensor) -> Tensor:
        """All or none."""
        return mask.reshape(-1, 1).expand(-1, self.size)

    def trials(self, x: Tensor, mask: Tensor) -> Tensor:
        """The number of words; where there is no text, the mean of the training rows."""
        n = (torch.where(mask[:, None], x, 0) >= _WORDS).sum(1).to(self.bias.dtype)
        return torch.where(mask, n, self._mean_length())

    def absent_trials(self, n: int) -> Tensor:
        """The mean length of the training texts, ``(n,)``."""
        return self._mean_length().expand(n)

    def usual_trials(self, n: int) -> Tensor:
        """The quantiles of the training texts' lengths, ``(n,)``."""
        at = (torch.arange(n, device=self.lengths.device) + 0.5) / n
        share = self.lengths.cumsum(0) / self.lengths.sum()
        return torch.searchsorted(share, at.to(share)).to(self.bias.dtype)

    def parameters_of(self, field: Tensor) -> Tensor:
        """Logits of each position, ``(..., T, V)``: end here, or one of the words."""
        words = self._log_softmax(field)
        going = self.lengths.flip(0).cumsum(0).flip(0)  # texts of t words or more
        end = (self.lengths / going)[: self.length]
        end = end.clamp(1e-6, 1 - 1e-6)
        shape = (*field.shape[:-1], self.length)
        ends = end.log()[:, None].expand(*shape, 1)
        told = (1 - end).log()[:, None] + words[..., None, :].expand(*shape, self.size)
        return torch.cat([torch.zeros_like(told[..., :1]).expand(*shape, END), ends, told], -1)

    def begin_at_lengths(self, n_words: Tensor) -> None:
        """Count how long texts are, ``(B,)``."""
        counted = torch.bincount(n_words.long(), minlength=self.length + 1)
        self.lengths.copy_(counted[: self.length + 1] + _SEEN_BEFORE / (self.length + 1))

    @torch.no_grad()
    def start_from(self, x: Tensor, mask: Tensor) -> None:
        """Begin at the frequencies of the words, and count how long texts are."""
        if not bool(mask.any()) or not self.size:
            return
        words = self.values(x[mask]).sum(0).to(self.bias.dtype) + 0.5
        share = words / words.sum()
        self.offset.copy_(share)
        self.bias.copy_(share.log())
        self.begin_at_lengths((x[mask] >= _WORDS).sum(1))

    def write(self, field: Tensor) -> Observed:
        """The words of the field at every position."""
        return self.likelihood(self.parameters_of(field))

    def _mean_length(self) -> Tensor:
        n = torch.arange(self.length + 1, dtype=self.lengths.dtype, device=self.lengths.device)
        return (n * self.lengths).sum() / self.lengths.sum()

    def _hot(self, rest: Tensor, trials: Tensor) -> Tensor:
        """Counts of as many draws as there are trials."""
        p = self._log_softmax(rest).exp()
        tokens = torch.multinomial(p.reshape(-1, self.size), self.length, replacement=True)
        going = torch.arange(self.length, device=p.device) < trials.round()[..., None]
        going = going.expand(*p.shape[:-1], self.length).reshape(-1, self.length)
        counts = torch.zeros_like(p).reshape(-1, self.size)
        return counts.scatter_add_(1, tokens, going.to(p.dtype)).reshape(p.shape)
