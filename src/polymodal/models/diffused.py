r"""A VAE whose images and vectors are made sharp by diffusion decoders, in a second stage.

Stage one trains the VAE. Stage two freezes it and trains, for each image or vector, a denoiser
that sees the VAE's reconstruction :math:`\hat x_m(z)`:

.. math:: \mathcal L = \sum_m \mathbb E_{t, \epsilon}\, \big\| \epsilon
          - \epsilon_m\big(\sqrt{\bar\alpha_t}\, x_m + \sqrt{1 - \bar\alpha_t}\, \epsilon, t,
          \hat x_m(z)\big) \big\|^2

on reconstructions from the modality itself and from others: z comes from one stratum of the
posterior, a modality's private block from its own encoder where that stratum is its own and from
the prior else. Draws of :math:`p(x_m \mid z)` are then ancestral samples. Latent space, clusters
and likelihoods stay those of the VAE: a diffusion decoder has no density that one could compute.

References:
    Emanuele Palumbo, Laura Manduchi, Sonia Laguna, Daphne Chopard, Julia Vogt. Deep Generative
    Clustering with Multimodal Diffusion Variational Autoencoders. ICLR 2024.
    https://openreview.net/forum?id=k5THrhXDV3, section 3.3. Kushagra Pandey, Avideep Mukherjee,
    Piyush Rai, Abhishek Kumar. DiffuseVAE. TMLR 2022. https://arxiv.org/abs/2201.00308, eq. 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.observed import Observed
from polymodal.distributions.strata import Strata
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.discrete import BernoulliLikelihood
from polymodal.likelihoods.location_scale import GaussianLikelihood, LaplaceLikelihood
from polymodal.model import MultimodalVAE, Stage
from polymodal.models.ddpm import DDPM
from polymodal.models.stagewise import StagewiseModel
from polymodal.networks.denoiser import denoiser_for
from polymodal.typing import Batch, Present, Terms, as_cells

_ROWS_AT_ONCE = 4096


def can_be_diffused(likelihood: Likelihood) -> bool:
    """Whether values are continuous: vectors and images of numbers, and images of Bernoullis."""
    if isinstance(likelihood, GaussianLikelihood | LaplaceLikelihood):
        return True
    return isinstance(likelihood, BernoulliLikelihood) and len(likelihood.value_shape) == 3


class DiffusedObserved(Observed):
    """What the VAE says of a modality, with draws by diffusion.

    The density is the VAE's. The expectation is estimated by one draw, so that averages over z are
    those of the diffusion decoder.

    Arguments:
        guess: The VAE's distribution.
        draw: The VAE's mean values ``(N, *shape)`` -> draws ``(N, *shape)``.
    """

    def __init__(self, guess: Observed, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__(guess.batch_shape, tuple(guess.event_shape))
        self.guess, self.draw = guess, draw
        self._one: Tensor | None = None

    @property
    def mode(self) -> Tensor:
        """One draw, ``(..., B, *shape)``; the same at every reading."""
        if self._one is None:
            self._one = self._draw(Size())
        return self._one

    @property
    def statistics(self) -> Tensor:
        """One draw, flat, ``(..., B, P)``: an unbiased estimate of the expectation."""
        return self.mode.flatten(-len(self.event_shape))

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        return self.guess._log_prob(value, cells)

    @torch.no_grad()
    def _draw(self, sample_shape: Size) -> Tensor:
        mean = self.guess.statistics.unflatten(-1, self.event_shape)
        mean = mean.expand(*sample_shape, *mean.shape)
        flat = mean.reshape(-1, *self.event_shape)
        return torch.cat([self.draw(some) for some in flat.split(_ROWS_AT_ONCE)]).reshape(
            mean.shape
        )


class _Decoder(nn.Module):
    r"""One modality's denoiser and the measure of its values.

    The network adds to the best denoiser of :math:`x_0 \sim N(\hat x, s^2)`, with s learned:

    .. math:: \epsilon_m = \frac{\sqrt{1 - \bar\alpha_t}}{v_t} (x_t - \sqrt{\bar\alpha_t} \hat x)
              + \sqrt{\frac{\bar\alpha_t s^2}{v_t}}\, f(x_t, t, \hat x), \qquad
              v_t = \bar\alpha_t s^2 + 1 - \bar\alpha_t

    so that even an untrained one draws near the VAE's guess.

    Arguments:
        shape: Shape of one value.
        chain: The diffusion.
    """

    def __init__(self, shape: tuple[int, ...], chain: DDPM) -> None:
        super().__init__()
        self.chain = chain
        self.denoiser = denoiser_for(shape)
        self.log_spread = nn.Parameter(torch.tensor(-0.5))
        self.shift: Tensor
        self.scale: Tensor
        self.bounds: Tensor
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("bounds", torch.tensor([-torch.inf, torch.inf]))

    def measure(self, known: Tensor) -> None:
        """Take mean, spread and range from the values that are there, ``(N,)``."""
        if not known.numel():
            return
        known = known.to(self.shift)
        self.shift.copy_(known.mean())
        self.scale.copy_(known.std(correction=0).clamp(min=1e-3))
        self.bounds.copy_((torch.stack(known.aminmax()) - self.shift) / self.scale)

    def error(
        self, value: Tensor, mask: Tensor, guess: Tensor, noise: Tensor, u: Tensor
    ) -> Tensor:
        """Mean squared error of the noise over the cells that are there, ``(B,)``.

        Arguments:
            value: The values, ``(B, *shape)``.
            mask: What of them is there, ``(B,)`` or ``(B, P)``.
            guess: The VAE's mean values, ``(B, *shape)``; they stand in for absent cells.
            noise: Standard normal draws, ``(B, *shape)``.
            u: Uniform draws that choose the time, ``(B,)``.
        """
        there = as_cells(mask, value)
        guess = self._standard(guess)
        clean = torch.where(there, self._standard(torch.where(there, value, 0.0)), guess)
        t = 1 + (u * self.chain.steps).long().clamp(max=self.chain.steps - 1)
        noisy = self.chain.noised(clean, noise, t)
        said = self.noise(noisy, t.to(clean.dtype) / self.chain.steps, guess)
        gap = torch.where(there, (said - noise).square(), torch.zeros_like(said))
        return gap.flatten(1).sum(1) / there.flatten(1).sum(1).clamp(min=1)

    def draw(self, guess: Tensor) -> Tensor:
        """Values by ancestral sampling, given the VAE's: ``(N, *shape)`` -> the same."""
        guess = self._standard(guess)
        low, high = self.bounds.to(guess)
        x = self.chain.sample(
            lambda noisy, t: self.noise(noisy, t, guess), torch.randn_like(guess), (low, high)
        )
        return x * self.scale + self.shift

    def noise(self, noisy: Tensor, t: Tensor, guess: Tensor) -> Tensor:
        """The noise in noisy values at times t / T, ``(N, *shape)``, all in standard measure."""
        kept = self.chain.kept[(t * self.chain.steps).round().long()].to(noisy)
        kept = kept.reshape(-1, *(1,) * (noisy.ndim - 1))
        spread = kept * (2 * self.log_spread).exp()
        total = spread + 1 - kept
        gap = noisy - kept.sqrt() * guess
        correction = self.denoiser(gap / total.sqrt(), t, guess)
        return (1 - kept).sqrt() / total * gap + (spread / total).sqrt() * correction

    def _standard(self, value: Tensor) -> Tensor:
        return (value - self.shift) / self.scale


class DiffusedVAE(StagewiseModel):
    """A VAE and diffusion decoders of its images and vectors; text and tables keep the VAE's.

    Arguments:
        vae: The model of the first stage.
        steps: The number of steps of the diffusion.
        share: The second stage's share of the epochs.

    Raises:
        ValueError: If no modality is an image or a vector of numbers.
    """

    def __init__(self, vae: MultimodalVAE, steps: int = 100, share: float = 0.5) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"DiffusedVAE: share must be between 0 and 1, got {share}.")
        self.vae = vae
        self.names, self.layout, self.weights = vae.names, vae.layout, vae.weights
        self.diffused = tuple(n for n in vae.names if can_be_diffused(vae.likelihood(n)))
        if not self.diffused:
            raise ValueError(
                "DiffusedVAE: there must be an image or a vector of numbers to diffuse, got "
                f"{', '.join(vae.names)}. Train without diffusion."
            )
        chain = DDPM(steps)
        self.decoders = nn.ModuleList(
            _Decoder(vae.likelihood(name).value_shape, chain) for name in self.diffused
        )
        self.stages = (Stage("autoencoder", 1 - share), Stage("diffusion", share))

    def posterior(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, x: Batch, present: Present
    ) -> Distribution:
        """The VAE's posterior."""
        return self.vae.posterior(x, present)

    def answer_posterior(self, x: Batch, present: Present) -> Distribution:
        """The VAE's; see the base class."""
        return self.vae.answer_posterior(x, present)

    def prior(self) -> Distribution:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The VAE's prior."""
        return self.vae.prior()

    def likelihood(self, name: str) -> Likelihood:
        """The VAE's likelihood of a modality."""
        return self.vae.likelihood(name)

    def start_from(self, x: Batch, present: Present) -> None:
        """Start the VAE's scales, and measure what is diffused."""
        self.vae.start_from(x, present)
        for name, decoder in zip(self.diffused, self.decoders, strict=True):
            decoder.measure(x[name][present[name]])  # pyright: ignore[reportCallIssue]

    def end_with(self, batches: Iterable[tuple[Batch, Present]], step: int) -> None:
        """Let the VAE look at training rows once more; see the base class."""
        self.vae.end_with(batches, step)

    def calibrate(self, name: str, z: Tensor, value: Tensor, mask: Tensor) -> None:
        """Let the VAE's likelihood measure its scale; see the base class."""
        self.vae.calibrate(name, z, value, mask)

    @property
    def learned(self) -> Sequence[Sequence[nn.Module]]:
        """The VAE in the first stage, the denoisers in the second."""
        return [self.vae], [self.decoders]

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named: the VAE's density, drawn by diffusion."""
        decoded = self.vae.decode(z, names)
        for name, decoder in zip(self.diffused, self.decoders, strict=True):
            if name in decoded and self.stage != 0:
                decoded[name] = DiffusedObserved(decoded[name], decoder.draw)  # pyright: ignore[reportArgumentType]
        return decoded

    def decode_density(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named, the VAE's alone."""
        return self.vae.decode(z, names)

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The VAE's objective in nats, or the denoisers' squared errors in the second stage."""
        if self.stage == 0:
            return self.vae.loss(x, present, step)
        with torch.no_grad():
            z = self._one_stratum(self.vae.posterior(x, present))  # pyright: ignore[reportArgumentType]
            named = [name for name in self.diffused if name in present]
            guesses = self.vae.decode(z, named)
        parts, total = {}, z.new_zeros(len(z)).requires_grad_()
        for name, decoder in zip(self.diffused, self.decoders, strict=True):
            # Drawn for absent modalities too: the others' draws are then the same without them.
            shape = self.likelihood(name).value_shape
            noise, u = z.new_empty(len(z), *shape).normal_(), torch.rand_like(z[:, 0])
            if name not in present:
                continue
            mean = guesses[name].statistics.unflatten(-1, shape)
            error = decoder.error(x[name], present[name], mean, noise, u)  # pyright: ignore[reportCallIssue]
            total = total + error
            parts[f"noise error ({name})"] = error.detach()
        return Terms(total, parts or {"noise error": total.detach()})

    def _one_stratum(self, q: Strata) -> Tensor:
        """One draw a row, ``(B, D)``; from another's stratum a private block is the prior's."""
        stratum = q.draw_stratum()
        z = q.pick(stratum).sample()
        layout = self.layout
        if layout.private_dim == 0 or q.n_strata != len(self.names):
            return z
        own = layout.owner == stratum.unsqueeze(-1)  # (B, W)
        prior = self.prior().sample(z.shape[:-1])[:, layout.shared :]
        private = torch.where(own, z[:, layout.shared :], prior)
        return torch.cat([z[:, : layout.shared], private], -1)
