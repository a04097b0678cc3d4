"""Clusters that no training row is in are put out of use when training ends."""

from __future__ import annotations

import torch
from tests.helpers import IMAGE, real_batch, real_modalities
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.models.clustered import ClusteredVAE
from polymodal.random import seeded
from polymodal.recipes import RECIPES


class Said(nn.Module):
    """A posterior that is known: row after row at these places, in every stratum."""

    def __init__(self, places: Tensor) -> None:
        super().__init__()
        self.places = places

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Strata:
        loc = self.places.expand(4, *self.places.shape)
        return Strata(loc, 0.1 * torch.ones_like(loc), torch.full(loc.shape[:2], 0.25).log())


def test_those_are_left_that_rows_are_in() -> None:
    """Of rows with nothing, whose posterior is no answer, none counts."""
    x, present = real_batch(240)
    with seeded(0):
        model = RECIPES["cmvae"].build(real_modalities(), latent_dim=2, private_dim=1, clusters=9)
        assert isinstance(model, ClusteredVAE)
        places = model.prior.shared.loc.data.copy_(30 * torch.randn(9, 2))
    present[IMAGE][:] = True
    used, nowhere = torch.tensor([1, 4, 6]), 8
    row = used.repeat_interleave(80)
    row[:20] = nowhere
    for mask in present.values():
        mask[:20] = False
    model.posterior = Said(torch.cat([places[row], torch.zeros(240, 4)], 1))
    with seeded(0):
        model.end_with([(x, present)], 100)
    assert model.prior.shared.kept.nonzero()[:, 0].tolist() == used.tolist()


def test_without_rows_that_say_something_all_are_left() -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES["cmvae"].build(real_modalities(), latent_dim=2, clusters=5)
    model.end_with([(x, {name: torch.zeros_like(m) for name, m in present.items()})], 1)
    assert bool(model.prior.shared.kept.all())
