r"""Latent diffusion over the modalities' own autoencoders.

First every modality learns an autoencoder by itself, code :math:`c_m = f_m(x_m)`; then they stand
still, and one diffusion is learned over the standardised codes :math:`z = [z_1 | ... | z_M]` laid
side by side. In training a random subset A of a row's modalities stays clean (time 0) and the rest
R is diffused to one time t:

.. math:: \mathcal L = \tfrac12 \| \epsilon_R - \epsilon_\theta(z_R^t, z_A, t, A) \|^2

so one network knows every conditional, :math:`p(z_R \mid z_A)` for any A, and the joint (A empty).
A modality that a row lacks is neither read nor scored, and the network is told.

The codes get noise of a fixed size and a light penalty :math:`\tfrac\gamma2 \|c\|^2`, so that the
decoders forgive small errors of the diffusion. The network's output v is read as
:math:`\epsilon_\theta = \sigma z^t + \alpha v`, exact for standard normal codes where v = 0.

References:
    Mustapha Bounoua, Giulio Franzese, Pietro Michiardi. Multi-modal latent diffusion. Entropy
    26(4), 2024. https://arxiv.org/abs/2306.04445, section 4. Partha Ghosh, Mehdi Sajjadi, Antonio
    Vergari, Michael Black, Bernhard Schölkopf. From variational to deterministic autoencoders.
    2020. https://arxiv.org/abs/1903.12436, equation 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from polymodal.distributions.implicit import Implicit
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood
from polymodal.model import Modality, Stage, presence, row_log_prob
from polymodal.models.moments import RunningMoments
from polymodal.models.stagewise import StagewiseModel
from polymodal.networks.score import ScoreNetwork
from polymodal.networks.weights import started
from polymodal.posteriors.fused import encode_one
from polymodal.priors.vp_sde import VPSDE, Sampler, check_sampler
from polymodal.typing import Batch, Present, Terms

MEAN_DRAWS = 8
ROUGH_STEPS = 6
"""Steps of a chain while training is validated."""


class DiffusionDraws(Implicit):
    """Codes of which some are known and the others are drawn by the reverse diffusion.

    Arguments:
        reverse: ``(z, moving)``, both ``(N, D)``, -> draws ``(N, D)``.
        z: What is known, ``(..., D)``.
        moving: What is drawn, bool ``(..., D)``.
    """

    def __init__(
        self, reverse: Callable[[Tensor, Tensor], Tensor], z: Tensor, moving: Tensor
    ) -> None:
        self.reverse, self.z, self.moving = reverse, z, moving
        super().__init__(z.shape[:-1], z.shape[-1])

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Independent draws; a row of which all is known runs no chain."""
        shape = (*sample_shape, *self.z.shape)
        z = self.z.expand(shape).reshape(-1, shape[-1]).clone()
        moving = self.moving.expand(shape).reshape(-1, shape[-1])
        rows = moving.any(-1)
        if bool(rows.any()):
            z[rows] = self.reverse(z[rows], moving[rows])
        return z.reshape(shape)

    @property
    def mean(self) -> Tensor:
        """The average of a few draws."""
        if not bool(self.moving.any()):
            return self.z
        return self.sample((MEAN_DRAWS,)).mean(0)


class LatentDiffusion(StagewiseModel):
    """Autoencoders first, then a diffusion over all their codes.

    Arguments:
        modalities: The modalities; their decoders are made here.
        code_dim: Size d of a modality's code; the latent vector has M d numbers.
        network: ``ScoreNetwork`` over M blocks of d numbers.
        sde: The diffusion.
        conditional: Share of the rows of which a random subset stays clean in training.
        steps: Steps of a chain.
        sampler: "ode" or "sde".
        noise: Standard deviation of the noise on the codes while the autoencoders learn.
        penalty: Weight of half a code's squared length.
        hidden_cells: Share of a table's or vector's cells hidden from its encoder meanwhile.

    Raises:
        ValueError: If a setting makes no sense.
    """

    stages: ClassVar[tuple[Stage, ...]] = (Stage("autoencoders"), Stage("diffusion", 1.5))  # pyright: ignore[reportIncompatibleVariableOverride]
    lacks: ClassVar[dict[str, str]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "score": "A latent diffusion over autoencoders gives a likelihood of codes, not of data."
    }

    def __init__(
        self,
        modalities: Sequence[Modality],
        code_dim: int,
        network: ScoreNetwork,
        sde: VPSDE,
        *,
        conditional: float = 0.5,
        steps: int = 25,
        sampler: Sampler = "ode",
        noise: float = 0.1,
        penalty: float = 0.01,
        hidden_cells: float = 0.1,
    ) -> None:
        super().__init__()
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(
                f"LatentDiffusion: modalities must have names of their own, got {self.names}."
            )
        check_sampler(sampler, steps)
        if not (0 <= conditional <= 1 and 0 <= hidden_cells < 1):
            raise ValueError(
                "LatentDiffusion: the shares conditional and hidden_cells must be in [0, 1] and "
                f"[0, 1), got {conditional} and {hidden_cells}."
            )
        if noise < 0 or penalty < 0:
            raise ValueError(
                f"LatentDiffusion: noise and penalty must be at least 0, got {noise}, {penalty}."
            )
        if network.sizes != (code_dim,) * len(self.names):
            raise ValueError(
                f"LatentDiffusion: the network's blocks must be {len(self.names)} of {code_dim}, "
                f"got {network.sizes}."
            )
        self.code_dim, self.network, self.sde = code_dim, network, sde
        self.conditional, self.steps = conditional, steps
        self.sampler: Sampler = sampler
        self.noise, self.penalty, self.hidden_cells = noise, penalty, hidden_cells
        self.weights = {modality.name: float(modality.weight) for modality in modalities}
        self.encoders = nn.ModuleList(modality.encoder for modality in modalities)
        self.heads = nn.ModuleList(
            started(nn.Linear(int(m.encoder.out_features), code_dim), gain=1.0)  # pyright: ignore[reportArgumentType]
            for m in modalities
        )
        self.decoders = nn.ModuleList(m.decoder(code_dim) for m in modalities)
        self.likelihoods = nn.ModuleList(m.likelihood for m in modalities)
        self.moments = RunningMoments(len(self.names), code_dim, floor=max(noise, 1e-3))
        self._index = {name: i for i, name in enumerate(self.names)}

    @property
    def learned(self) -> Sequence[Sequence[nn.Module]]:
        """The autoencoders alone, then the diffusion alone."""
        return [self.encoders, self.heads, self.decoders, self.likelihoods], [self.network]

    def enter(self, stage: int) -> None:
        """Begin a stage; the codes' moments are final when the autoencoders are."""
        if self.stage == 0 and stage != 0:
            self.moments.settle()
        super().enter(stage)

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality."""
        return self.likelihoods[self._index[name]]  # pyright: ignore[reportReturnType]

    def prior(self) -> DiffusionDraws:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Draws of all codes from noise, event shape ``(M d,)``."""
        z = self.moments.sums.new_zeros(len(self.names) * self.code_dim)
        return DiffusionDraws(self._reverse, z, torch.ones_like(z, dtype=torch.bool))

    def posterior(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, x: Batch, present: Present
    ) -> DiffusionDraws:
        """The codes of what is present as they are, draws of the others given these."""
        on = presence(self, present)
        z = self._side_by_side(self.moments(self._codes(x, present)))
        moving = self.network.spread(~on.T)
        return DiffusionDraws(self._reverse, torch.where(moving, 0.0, z), moving)

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | c_m) of each modality named; ``z (..., M d)`` holds standardised codes."""
        names = tuple(names)
        self.check_names(names)
        blocks = z.unflatten(-1, (len(self.names), self.code_dim))
        return {
            name: self._observed(name, self.moments.invert(blocks[..., i, :], i))
            for name in names
            for i in (self._index[name],)
        }

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The objective of each row: of the autoencoders in stage 0, of the diffusion after."""
        if self.stage == 0:
            return self._autoencoder_loss(x, present)
        with torch.no_grad():
            z = self._side_by_side(self.moments(self._codes(x, present)))
        return self._diffusion_loss(z, presence(self, present))

    def _autoencoder_loss(self, x: Batch, present: Present) -> Terms:
        on = presence(self, present)
        codes = self._codes(x, self._with_cells_hidden(present, on.shape[1]))
        if self.training:
            self.moments.update(codes, on)
        noisy = codes + self.noise * torch.randn_like(codes)
        log_p = {
            name: row_log_prob(self._observed(name, noisy[i]), x[name], present[name])
            for i, name in enumerate(self.names)
            if name in present
        }
        size = torch.where(on, 0.5 * codes.square().sum(-1), 0.0).sum(0)
        weighted = torch.stack([self.weights[name] * value for name, value in log_p.items()])
        parts = {f"-log p({name})": -value.detach() for name, value in log_p.items()}
        return Terms(self.penalty * size - weighted.sum(0), {**parts, "size": size.detach()})

    def _diffusion_loss(self, z: Tensor, on: Tensor) -> Terms:
        """Of standardised codes ``(B, M d)``, presence ``(M, B)``."""
        there = on.T
        clean = self._kept_clean(there)
        low = self.sde.t_min
        t = low + (1 - low) * torch.rand(len(z), dtype=z.dtype, device=z.device)
        noise = torch.randn_like(z)
        still = self.network.spread(clean)
        noisy = torch.where(still, z, self.sde.diffuse(z, t, noise))
        told = self.noise_of(noisy, t, clean, ~there)
        scored = self.network.spread(there & ~clean)
        loss = torch.where(scored, 0.5 * (noise - told).square(), 0.0).sum(-1)
        return Terms(loss, {"denoising": loss.detach()})

    def noise_of(self, z: Tensor, t: Tensor, clean: Tensor, absent: Tensor) -> Tensor:
        """The noise that is expected in ``z (N, D)`` at times ``t (N,)``; states ``(N, M)``."""
        v = self.network(z, t, clean, absent).to(z.dtype)
        return torch.addcmul(self.sde.sigma(t)[:, None] * z, self.sde.alpha(t)[:, None], v)

    def _kept_clean(self, there: Tensor) -> Tensor:
        """A random subset of each row's modalities, never all of them, bool ``(B, M)``."""
        n_rows = len(there)
        asked, size = torch.rand(2, n_rows, device=there.device)
        # A size from 1 to one less than the row has, each as likely, then any subset of it.
        most = (there.sum(1) - 1).clamp(min=0)
        sizes = torch.where(asked < self.conditional, (size * most).floor() + 1, 0).minimum(most)
        lots = torch.rand(there.shape, device=there.device)
        ranks = torch.where(there, lots, 2.0).argsort(1).argsort(1)
        return ranks < sizes[:, None]

    def _with_cells_hidden(self, present: Present, n_rows: int) -> dict[str, Tensor]:
        """What the encoders are shown: of the cells of wide modalities a share is hidden."""
        shown = dict(present)
        for name in self.names:
            shape = self.likelihood(name).value_shape
            # Drawn for every modality: no draw depends on another modality's presence.
            if len(shape) == 1 and shape[0] > 1:
                kept = torch.rand(n_rows, *shape, device=self.device) >= self.hidden_cells
                if name in present and present[name].ndim == 2 and self.training:
                    shown[name] = present[name] & kept
        return shown

    def _codes(self, x: Batch, present: Present) -> Tensor:
        """Codes ``(M, B, d)``, zero where a modality is absent."""
        on = presence(self, present)
        blank = self.moments.sums.new_zeros(on.shape[1], self.code_dim)
        codes = [
            head(encode_one(encoder, x[name], present[name])).to(blank.dtype)
            if name in present
            else blank
            for name, encoder, head in zip(self.names, self.encoders, self.heads, strict=True)
        ]
        return torch.where(on.unsqueeze(-1), torch.stack(codes), blank)

    def _side_by_side(self, codes: Tensor) -> Tensor:
        return codes.transpose(0, 1).flatten(1)

    def _observed(self, name: str, code: Tensor) -> Observed:
        """p(x_m | c_m), ``code (..., d)``."""
        out = self.decoders[self._index[name]](code.reshape(-1, code.shape[-1]))
        return self.likelihood(name)(out.reshape(*code.shape[:-1], *out.shape[1:]))

    def _reverse(self, z: Tensor, moving: Tensor) -> Tensor:
        """Draw the blocks that move, given the others, ``(N, D)``."""
        clean = ~moving.unflatten(-1, (len(self.names), self.code_dim))[..., 0]
        nothing = torch.zeros_like(clean)

        def noise_of(now: Tensor, t: Tensor) -> Tensor:
            return self.noise_of(now, t.expand(len(now)), clean, nothing)

        steps = min(self.steps, ROUGH_STEPS) if self.rough else self.steps
        return self.sde.reverse(noise_of, z, moving, steps, self.sampler)
