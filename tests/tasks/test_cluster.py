"""Clusters of rows: against quadrature, for every model whose prior is a mixture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.estimator.cases import frame, tiny
from tests.helpers import real_batch, real_modalities

import polymodal as pm
from polymodal import MultimodalModel
from polymodal.data.tensors import Tensors
from polymodal.fusion import MixtureOfExperts
from polymodal.model import Lacking
from polymodal.objectives import ELBO
from polymodal.priors import MixturePrior
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import cluster
from polymodal.testing import LinearGaussian


def test_the_probabilities_are_the_integrals() -> None:
    truth = LinearGaussian({"a": 2, "b": 1}, 1, noise=1.0)
    model = truth.build(MixtureOfExperts(), ELBO(), expert="posterior")
    with seeded(0):
        model.prior = MixturePrior(1, 3, learn_scales=True).double()
        model.prior.loc.data.mul_(2)
        model.prior.logits.data.normal_()
    x, present = truth.sample(6, seed=1), truth.present(6, 0.4, seed=2)
    draws = 20_000
    found = cluster(model, Tensors(x, present), draws=draws, seed=0)
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    with torch.no_grad():
        density = model.posterior(x, present).log_prob(grid[:, None, None].expand(-1, 6, 1)).exp()
        each = model.prior().responsibilities(grid[:, None])
        wanted = torch.einsum("nb,nc->bc", density, each) * (grid[1] - grid[0])
        nothing = ~torch.stack(list(present.values())).any(0)
        wanted[nothing] = model.prior().log_weights.exp()
    assert nothing.any()
    assert torch.equal(found.probabilities[nothing], wanted[nothing])
    assert (found.probabilities - wanted).abs().max() < 5 * 0.5 / draws**0.5
    assert torch.equal(found.cluster, wanted.argmax(1))
    assert torch.equal(found.probability, found.probabilities.amax(1))


@pytest.mark.parametrize(
    ("recipe", "settings", "clusters"),
    [
        ("cmvae", {"clusters": 3, "diffusion": True}, 3),
        ("hirt", {"prior": "mixture", "components": 5}, 5),
        ("meme", {"pseudo_inputs": 2}, 8),
    ],
)
def test_any_model_with_a_mixture_for_prior_has_clusters(recipe, settings, clusters) -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES[recipe].build(real_modalities(), latent_dim=4, **settings)
    found = cluster(model, Tensors(x, present), draws=3).probabilities
    assert found.shape == (6, clusters)
    torch.testing.assert_close(found.sum(1), torch.ones(6))


@pytest.mark.parametrize("recipe", ["mopoe", "mmvm", "mmvaeplus", "hirt", "mhvae", "m3ae", "pcca"])
def test_others_say_that_they_have_none(recipe: str) -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES[recipe].build(real_modalities(), latent_dim=4)
    with pytest.raises(Lacking, match="no mixture"):
        cluster(model, Tensors(x, present))


def test_a_fitted_model_clusters_rows_by_the_clusters_that_are_left(tmp_path) -> None:
    data = frame(40)[["w", "c", "v"]]
    fits = {}
    for prune in (True, True, False):
        settings = {"clusters": 6, "prune": prune}
        model = MultimodalModel(**tiny(recipe="cmvae", private_dim=1, settings=settings))
        fits.setdefault(prune, []).append(model.fit(data))
    first, again = fits[True]
    kept = first.model_.prior.shared.kept
    assert torch.equal(kept, again.model_.prior.shared.kept)
    assert 2 <= int(kept.sum()) < 6
    assert bool(fits[False][0].model_.prior.shared.kept.all())
    first.save(tmp_path / "m.pm")
    found, loaded = first.cluster(data), pm.load(tmp_path / "m.pm").cluster(data)
    assert found.equals(loaded)
    assert list(found.columns) == ["cluster", "probability"]
    assert list(found.index) == list(data.index)
    assert set(found["cluster"]) <= set(np.flatnonzero(kept.numpy()))
    assert found["probability"].between(1 / 6, 1).all()
