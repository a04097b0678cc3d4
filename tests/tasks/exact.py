"""Linear-Gaussian models with posteriors that are right, or wrong on purpose, cells included."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polymodal.data.tensors import Tensors
from polymodal.distributions.strata import Strata
from polymodal.fusion import ProductOfExperts
from polymodal.model import MultimodalVAE
from polymodal.objectives import ELBO
from polymodal.testing.linear import LinearGaussian

SIZES = {"a": 3, "b": 4, "c": 2}


class Proposal(nn.Module):
    """The exact posterior's mean and scales, moved by ``shift`` scales and stretched."""

    def __init__(self, linear: LinearGaussian, shift: float, stretch: float) -> None:
        super().__init__()
        self.linear, self.shift, self.stretch = linear, shift, stretch

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Strata:
        exact = self.linear.posterior(x, present)
        scale = exact.variance.sqrt()
        loc, wide = exact.mean + self.shift * scale, self.stretch * scale
        return Strata(loc[None], wide[None], torch.zeros_like(loc[None, :, 0]))


def correlated() -> LinearGaussian:
    """A model whose exact posterior is not diagonal, so that no diagonal proposal is right."""
    return LinearGaussian(SIZES, 2, orthogonal=False)


def wrong_model(linear: LinearGaussian, shift: float = 0.5, stretch: float = 1.5) -> MultimodalVAE:
    """Exact decoders behind a posterior that is not the exact one."""
    modelled = LinearGaussian(SIZES, linear.latent_dim)
    modelled.modalities = linear.modalities
    model = modelled.build(ProductOfExperts("always"), ELBO())
    model.posterior = Proposal(linear, shift, stretch)
    return model


def rows_of(linear: LinearGaussian, n_rows: int, copies: int = 1, cells: bool = True) -> Tensors:
    """Rows drawn from the model with modalities and cells missing, each ``copies`` times."""
    x, on = linear.sample(n_rows, seed=1), linear.present(n_rows, 0.4, seed=2)
    if cells:
        chance = torch.Generator().manual_seed(4)
        on = {n: on[n][:, None] & (torch.rand(x[n].shape, generator=chance) < 0.7) for n in on}
    return Tensors(
        {name: value.repeat_interleave(copies, 0) for name, value in x.items()},
        {name: mask.repeat_interleave(copies, 0) for name, mask in on.items()},
    )
