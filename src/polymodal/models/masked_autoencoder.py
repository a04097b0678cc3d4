r"""A multimodal masked autoencoder: see a part of a row's tokens, say the others.

Every modality becomes tokens. A random part U of a row's tokens is shown to one transformer over
all modalities, together with K summary tokens whose outputs are the latent vector
:math:`z = f(x_U)`. A light decoder, told z and which token is asked, gives the parameters of each:

.. math:: \mathcal L = - \sum_m \lambda_m \Big[ \log p(x_{m, \text{masked}} \mid z)
          + \kappa \log p(x_{m, \text{shown}} \mid z) \Big]

with :math:`\kappa` small (0 in the paper), so that what was shown can be told as well. A modality
that is absent, and a cell that is missing, is a token that is masked and not scored: one model
knows any subset of tokens from any other. There is no latent distribution: the answer to what is
shown is a point, and the spread of a draw is that of the likelihood alone.

References:
    Xinyang Geng, Hao Liu, Lisa Lee, Dale Schuurmans, Sergey Levine, Pieter Abbeel. Multimodal
    masked autoencoders learn transferable representations. 2022.
    https://arxiv.org/abs/2205.14204, section 3. Kaiming He, Xinlei Chen, Saining Xie, Yanghao Li,
    Piotr Dollár, Ross Girshick. Masked autoencoders are scalable vision learners. 2022.
    https://arxiv.org/abs/2111.06377.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.observed import Observed
from polymodal.distributions.point import PointMass
from polymodal.distributions.tokens import PAD, TokenObserved
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.counts import NegativeBinomialLikelihood
from polymodal.likelihoods.discrete import CategoricalLikelihood
from polymodal.likelihoods.mixed import MixedLikelihood
from polymodal.likelihoods.ordinal import OrdinalLikelihood
from polymodal.likelihoods.tokens import AutoregressiveTextLikelihood, TokenLikelihood
from polymodal.model import LatentModel, Modality
from polymodal.networks.attention import TransformerBlock
from polymodal.networks.columns import ColumnTokens
from polymodal.networks.patches import ChunkTokens, CodeToken, PatchTokens, Tokens, WordTokens
from polymodal.networks.weights import started
from polymodal.typing import Batch, Present, Terms

_NO_PRIOR = "A masked autoencoder has no distribution of its summaries, so none can be drawn."
_NO_DENSITY = "A masked autoencoder is deterministic: it gives masked parts, not whole rows, odds."


class MaskedAutoencoder(LatentModel):
    """A transformer over the tokens that are shown, and a light one that says the others.

    Arguments:
        modalities: Their likelihoods; the networks are the model's own.
        code_dim: Size d of a summary's code; the latent vector has K d numbers.
        summaries: The number of summary tokens K.
        width: Size of an encoder's token.
        layers: Blocks of the encoder.
        decoder_width: Size of a decoder's token.
        decoder_layers: Blocks of the decoder.
        heads: Heads of attention; they must divide both widths.
        ratio: Share of the tokens that are masked.
        whole: Share of the rows in which whole modalities are masked or shown instead of tokens.
        shown_weight: What a token that was shown counts in the loss, kappa.
        text_weight: A factor on the weight of texts.
        patch: Side of an image's patches; 0 makes about seven a side.
        dropout: Share of attention weights and hidden units dropped in training.

    Raises:
        ValueError: If a setting makes no sense.
    """

    lacks: ClassVar[dict[str, str]] = {"generate": _NO_PRIOR, "score": _NO_DENSITY}  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        modalities: Sequence[Modality],
        code_dim: int,
        *,
        summaries: int = 4,
        width: int = 64,
        layers: int = 2,
        decoder_width: int = 32,
        decoder_layers: int = 1,
        heads: int = 4,
        ratio: float = 0.5,
        whole: float = 0.5,
        shown_weight: float = 0.3,
        text_weight: float = 0.5,
        patch: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(
                f"MaskedAutoencoder: modalities must have names of their own, got {self.names}."
            )
        sizes = (code_dim, summaries, width, layers, decoder_width, decoder_layers, heads, patch)
        _check(sizes, ratio, whole, shown_weight, text_weight)
        self.code_dim, self.n_summaries = code_dim, summaries
        self.ratio, self.whole, self.shown_weight = ratio, whole, shown_weight
        self.likelihoods = nn.ModuleList(parallel(m.likelihood) for m in modalities)
        self.tokens = nn.ModuleList(
            tokens_of(self._likelihood(i), width, patch) for i in range(len(self.names))
        )
        is_text = [isinstance(tokens, WordTokens) for tokens in self.tokens]
        self.weights = {
            m.name: float(m.weight) * (text_weight if text else 1.0)
            for m, text in zip(modalities, is_text, strict=True)
        }
        self.starts = nn.Parameter(torch.randn(summaries, width) * width**-0.5)
        self.encoder = nn.ModuleList(
            TransformerBlock(width, heads, dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.code = started(nn.Linear(width, code_dim), gain=1.0)
        self.read_code = started(nn.Linear(code_dim, decoder_width), gain=1.0)
        self.places = nn.Parameter(torch.randn(summaries, decoder_width) * decoder_width**-0.5)
        self.asks = nn.ParameterList(
            torch.randn(self._tokens(i).n_tokens, decoder_width) * decoder_width**-0.5
            for i in range(len(self.names))
        )
        self.decoder = nn.ModuleList(
            TransformerBlock(decoder_width, heads, dropout=dropout) for _ in range(decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(decoder_width)
        self.widen = started(nn.Linear(decoder_width, width), gain=1.0)
        self._index = {name: i for i, name in enumerate(self.names)}

    def _likelihood(self, i: int) -> Likelihood:
        return self.likelihoods[i]  # pyright: ignore[reportReturnType]

    def _tokens(self, i: int) -> Tokens:
        return self.tokens[i]  # pyright: ignore[reportReturnType]

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality; that of a text is the parallel one."""
        return self._likelihood(self._index[name])

    def prior(self) -> Distribution:  # pyright: ignore[reportIncompatibleVariableOverride]
        """There is none.

        Raises:
            NotImplementedError: Always, with the reason.
        """
        raise NotImplementedError(_NO_PRIOR)

    def posterior(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, x: Batch, present: Present
    ) -> PointMass:
        """The summary of all that is present, a point mass over ``(K d,)``."""
        there = self._there(x, present)
        return PointMass(self._summary(x, there, self._all_tokens(there)))

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named; ``z (..., K d)``."""
        names = tuple(names)
        self.check_names(names)
        # Many draws of a point are one draw.
        repeated = z.ndim > 2 and z.stride(0) == 0 and len(z) > 1
        one = z[0] if repeated else z
        decoded = {}
        for name in names:
            out = self._say(one.reshape(-1, z.shape[-1]), self._index[name])
            out = out.reshape(*one.shape[:-1], *out.shape[1:])
            decoded[name] = self.likelihood(name)(
                out.expand(len(z), *out.shape) if repeated else out
            )
        return decoded

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """Minus the weighted log-likelihood of what was masked, and a little of what was shown."""
        there = self._there(x, present)
        tokens = self._all_tokens(there)
        shown = tokens & ~self._masked(len(tokens))
        z = self._summary(x, there, shown)
        loss, parts = z.new_zeros(len(z)), {}
        for name, own in zip(self.names, self._split(shown), strict=True):
            if name not in there:
                continue
            p = self.likelihood(name)(self._say(z, self._index[name]))
            seen = self._tokens(self._index[name]).cells(own) & there[name]
            masked = part_log_prob(p, x[name], there[name] & ~seen)
            total = masked
            if self.shown_weight:
                total = total + self.shown_weight * part_log_prob(p, x[name], seen)
            loss = loss - self.weights[name] * total
            parts[f"-log p({name})"] = -masked.detach()
        return Terms(loss, parts)

    def _there(self, x: Batch, present: Present) -> dict[str, Tensor]:
        """Which cells there are of each modality named, bool ``(B, *value shape)``."""
        named = {
            name: self._tokens(i).there(x[name], present[name])
            for i, name in enumerate(self.names)
            if name in present
        }
        if not named:
            raise ValueError(
                f"the batch names no modality of the model, which knows {', '.join(self.names)}."
            )
        return named

    def _all_tokens(self, there: dict[str, Tensor]) -> Tensor:
        """Which tokens there are, all modalities side by side, bool ``(B, T)``."""
        some = next(iter(there.values()))
        return torch.cat(
            [
                self._tokens(i).tokens(there[name])
                if name in there
                else some.new_zeros(len(some), self._tokens(i).n_tokens, dtype=torch.bool)
                for i, name in enumerate(self.names)
            ],
            1,
        )

    def _split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return tokens.split([self._tokens(i).n_tokens for i in range(len(self.names))], 1)

    def _masked(self, n_rows: int) -> Tensor:
        """Which tokens may not be shown, of each row its own, bool ``(B, T)``."""
        device = self.device
        counts = [self._tokens(i).n_tokens for i in range(len(self.names))]
        each = torch.rand(n_rows, sum(counts), device=device) < self.ratio
        modality = torch.rand(n_rows, len(counts), device=device) < 0.5
        modality = modality.repeat_interleave(torch.tensor(counts, device=device), 1)
        return torch.where(torch.rand(n_rows, 1, device=device) < self.whole, modality, each)

    def _summary(self, x: Batch, there: dict[str, Tensor], shown: Tensor) -> Tensor:
        """The codes of the summary tokens, ``(B, K d)``, from the tokens shown, ``(B, T)``."""
        parts = []
        for i, (name, own) in enumerate(zip(self.names, self._split(shown), strict=True)):
            if name in there:
                tokens = self._tokens(i)
                parts.append(tokens.embed(x[name], tokens.cells(own) & there[name]))
            else:
                parts.append(self.starts.new_zeros(*own.shape, self.starts.shape[1]))
        h = torch.cat(parts, 1)  # (B, T, W)
        # Only what is shown goes on: the first places of each row, as many as the fullest has.
        order = shown.float().argsort(dim=1, descending=True, stable=True)
        order = order[:, : int(shown.sum(1).max()) if len(shown) else 0]
        h = h.gather(1, order.unsqueeze(-1).expand(*order.shape, h.shape[-1]))
        attend = shown.gather(1, order)
        h = torch.cat([self.starts.expand(len(h), -1, -1).to(h.dtype), h], 1)
        attend = torch.cat([attend.new_ones(len(h), self.n_summaries), attend], 1)
        for block in self.encoder:
            h = block(h, attend=attend)
        return self.code(self.norm(h[:, : self.n_summaries])).flatten(1).to(self.starts.dtype)

    def _say(self, z: Tensor, i: int) -> Tensor:
        """Parameters of a modality's likelihood, ``(N, K d) -> (N, *parameter shape)``."""
        summary = self.read_code(z.unflatten(-1, (self.n_summaries, self.code_dim))) + self.places
        asks = self.asks[i].expand(len(z), -1, -1)
        h = torch.cat([summary, asks.to(summary.dtype)], 1)
        for block in self.decoder:
            h = block(h)
        h = self.widen(self.decoder_norm(h[:, self.n_summaries :]))
        return self._tokens(i).parameters_of(h)


def _check(
    sizes: tuple[int, ...], ratio: float, whole: float, shown_weight: float, text_weight: float
) -> None:
    """Raise a ValueError unless the settings make sense; the last size may be 0."""
    if min(sizes[:-1]) < 1 or sizes[-1] < 0:
        raise ValueError(
            "MaskedAutoencoder: sizes and numbers of layers must be at least 1 and patch at least "
            f"0, got {sizes}."
        )
    if not (0 < ratio < 1 and 0 <= whole <= 1):
        raise ValueError(
            "MaskedAutoencoder: ratio must be in (0, 1) and whole in [0, 1], got "
            f"{ratio} and {whole}."
        )
    if shown_weight < 0 or not text_weight > 0:
        raise ValueError(
            "MaskedAutoencoder: shown_weight must be at least 0 and text_weight positive, got "
            f"{shown_weight} and {text_weight}."
        )


def part_log_prob(p: Observed, x: Tensor, cells: Tensor) -> Tensor:
    """Log-likelihood in nats of some cells of each row, ``(B,)``; of a text, of some words."""
    if isinstance(p, TokenObserved):
        return p.log_prob(torch.where(cells, x, PAD))
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    return p.log_prob(torch.where(cells, x, zero), cells)


def parallel(likelihood: Likelihood) -> Likelihood:
    """The likelihood itself, or of a text written word by word the one of all words at once.

    Raises:
        ValueError: If the vocabulary of such a text cannot be told.
    """
    if not isinstance(likelihood, AutoregressiveTextLikelihood):
        return likelihood
    vocabulary = getattr(likelihood.step, "vocabulary", None)
    if not isinstance(vocabulary, int):
        raise ValueError(
            "MaskedAutoencoder: the step network of a text must say its vocabulary; or give the "
            "modality a TokenLikelihood."
        )
    return TokenLikelihood(
        likelihood.value_shape[0], vocabulary, never_empty=likelihood.never_empty
    )


def tokens_of(likelihood: Likelihood, width: int, patch: int = 0) -> Tokens:
    """How a modality is cut into tokens, by the kind of its likelihood."""
    shape, parameters = likelihood.value_shape, likelihood.parameter_shape
    if isinstance(likelihood, MixedLikelihood):
        return ColumnTokens(likelihood.columns, likelihood.parameter_slices, width)
    if isinstance(likelihood, TokenLikelihood):
        return WordTokens(parameters[0], parameters[1], width)
    if isinstance(likelihood, CategoricalLikelihood):
        return CodeToken(parameters[0], parameters[0], width)
    if isinstance(likelihood, OrdinalLikelihood):
        return CodeToken(likelihood.learned.start.shape[-1] + 1, 1, width)
    if len(shape) == 3:
        return PatchTokens(shape, parameters, width, patch)
    counts = isinstance(likelihood, NegativeBinomialLikelihood)
    return ChunkTokens(shape, parameters, width, counts=counts)
