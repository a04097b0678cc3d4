"""Defects that were found in the nearest library: one or more tests each, by their number.

Also elsewhere: 8 (exact resume) in training/test_fit.py, 12 (clipping after backward) there too.
"""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
import torch
from tests.helpers import linear, noise, real_batch, real_modalities
from torch.distributions import Independent, Normal, kl_divergence

from polymodal.data.tensors import Tensors
from polymodal.distributions.strata import Strata
from polymodal.fusion import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from polymodal.likelihoods import BernoulliLikelihood, CategoricalLikelihood, GaussianLikelihood
from polymodal.model import LatentModel, Modality, MultimodalVAE
from polymodal.networks import ConvDecoder, MLPDecoder, MLPEncoder, ResidualConvDecoder
from polymodal.objectives import ELBO, IWAE, SubsampledELBO
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import embed, generate, impute, log_likelihood, reconstruct, translate
from polymodal.tasks.log_likelihood import batch_log_likelihood
from polymodal.testing.batches import filled
from polymodal.typing import Batch, Present

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(10), TRUTH.present(10)


def build(name: str, **settings: object) -> LatentModel:
    with seeded(0):
        model = RECIPES[name].build(real_modalities(), **{"latent_dim": 4, **settings})
    if model.closed_form:
        model.start_from(*real_batch())
    return model


def drawn(model: LatentModel, x: Batch, present: Present) -> torch.Tensor:
    """Draws of the posterior from a fixed seed."""
    with seeded(3), torch.no_grad():
        return model.posterior(x, present).sample((2,))


@pytest.mark.parametrize("name", RECIPES)
def test_1_no_task_changes_what_it_was_given(name: str) -> None:
    model, (x, present) = build(name), real_batch()
    given = Tensors(dict(x), dict(present))
    copies = {n: v.clone() for n, v in x.items()}, {n: v.clone() for n, v in present.items()}
    weights = {n: v.clone() for n, v in model.state_dict().items()}
    state = torch.get_rng_state()
    if "score" not in model.lacks:
        log_likelihood(model, given, samples=20)
    impute(model, given, draws=2, proposals=5)
    translate(model, given, to=[model.names[0]], given=[model.names[2]])
    reconstruct(model, given)
    embed(model, given)
    if "generate" not in model.lacks:
        generate(model, 2, seed=0)
    assert list(given.x) == list(given.present) == list(copies[0])
    for found, kept in ((given.x, copies[0]), (given.present, copies[1])):
        assert all(torch.equal(found[n], kept[n]) for n in kept)
    assert all(torch.equal(v, weights[n]) for n, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def test_2_a_unimodal_kl_uses_the_unimodal_scale() -> None:
    model = TRUTH.build(ProductOfExperts("always"), SubsampledELBO())
    every = {name: torch.ones(10, dtype=torch.bool) for name in TRUTH.names}
    standard = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
    expected = torch.zeros(10, dtype=torch.float64)
    for name in TRUTH.names:
        own = TRUTH.posterior({name: X[name]}, {name: every[name]})
        q = Independent(Normal(own.mean, own.variance.sqrt()), 1)
        expected = expected + kl_divergence(q, standard)
    parts = model.loss(X, every, 0).parts
    torch.testing.assert_close(parts["kl of subsets"], expected)


@pytest.mark.parametrize("name", RECIPES)
def test_3_an_unknown_setting_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no setting 'latent_dims'"):
        build(name, latent_dims=4)


def test_3_a_setting_that_a_recipe_would_not_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="no setting 'beta'"):
        build("mmvae", beta=2.0)  # recipes/test_recipes.py holds that all others are read


def test_4_more_subsets_than_rows_keep_every_subset() -> None:
    model = build("mopoe")
    x, present = real_batch()
    one = {n: v[1:2] for n, v in x.items()}, {n: v[1:2] for n, v in present.items()}
    q = model.posterior(*one)
    assert q.n_strata == 15
    assert len(torch.unique(q.loc[:, 0, 0])) == 15
    torch.testing.assert_close(q.log_weights.exp(), torch.full((15, 1), 1 / 15))
    drawn = {int(q.draw_stratum()) for _ in range(200)}
    assert len(drawn) == 15


@pytest.mark.parametrize("name", ["mmvae", "mopoe"])
def test_5_each_row_draws_its_own_expert_and_numpy_has_no_say(name: str) -> None:
    model, (x, present) = build(name), real_batch()
    many = {n: v[1:2].expand(200, *v.shape[1:]) for n, v in x.items()}
    on = {n: v[1:2].expand(200, *v.shape[1:]) for n, v in present.items()}
    before = np.random.get_state()  # noqa: NPY002 (the global state is what is tested)
    q = model.posterior(many, on)
    with seeded(1):
        stratum = q.draw_stratum()
        one = model.loss(many, on, 0).loss
    assert len(torch.unique(stratum)) == q.n_strata
    np.random.random(7)  # noqa: NPY002
    with seeded(1):
        assert torch.equal(q.draw_stratum(), stratum)
        assert torch.equal(model.loss(many, on, 0).loss, one)
    np.random.set_state(before)  # noqa: NPY002


def all_but_the_first(on: torch.Tensor) -> torch.Tensor:
    return on & (torch.arange(len(on)) > 0).unsqueeze(1)


def one_but_the_first(on: torch.Tensor, n_subsets: int) -> torch.Tensor:
    return all_but_the_first(on).unsqueeze(1).expand(-1, n_subsets, -1)


def heaviest(q: Strata, sample_shape: tuple[int, ...] = ()) -> torch.Tensor:
    return q.log_weights.argmax(0).expand(*sample_shape, *q.batch_shape)


NOTHING_DRAWN = {
    "jmvae": {"subsets": 0},
    "mvae": {"subsets": 0},
    "telbo": {"subsets": 0, "hide": 0.0},
    "polymodal": {"agreement": 0.0},  # which compares rows, as it says in its terms
}


@pytest.mark.parametrize("name", RECIPES)
def test_6_the_loss_is_nats_a_row_whatever_the_number_of_rows(name: str) -> None:
    model, (x, present) = build(name, **NOTHING_DRAWN.get(name, {})), real_batch()
    if not isinstance(model, MultimodalVAE):
        pytest.skip("draws of a family that has no one noise to hold; the laws try its rows.")
    # Strata and sets that are drawn depend on a row's place; chosen ones do not.
    sets = mock.patch("polymodal.objectives.masked.draw_seen", all_but_the_first)
    strata = mock.patch.object(Strata, "draw_stratum", heaviest)
    any_set = mock.patch("polymodal.objectives.split.draw_proper_subsets", one_but_the_first)
    with noise(torch.zeros), torch.no_grad(), sets, any_set, strata:
        loss = model.loss(x, present, 0).loss
        twice = model.loss(
            {n: torch.cat([v, v]) for n, v in x.items()},
            {n: torch.cat([v, v]) for n, v in present.items()},
            0,
        ).loss
    assert loss.shape == (6,)
    torch.testing.assert_close(twice, torch.cat([loss, loss]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_7_a_zero_filler_is_not_data(name: str) -> None:
    model, (x, present) = build(name), real_batch()
    spoilt = filled(x, present, math.nan)
    assert torch.equal(drawn(model, x, present), drawn(model, spoilt, present))
    # Absent is not the same as present and zero.
    zeros = {n: torch.zeros_like(v) for n, v in x.items()}
    every = {n: torch.ones_like(v) for n, v in present.items()}
    none = {n: torch.zeros_like(v) for n, v in present.items()}
    assert not torch.equal(drawn(model, zeros, every), drawn(model, zeros, none))


@pytest.mark.parametrize("fusion", [MixtureOfExperts(), MixtureOfProducts("always")])
def test_7_the_joint_likelihood_takes_masks_and_is_the_evidence(fusion: torch.nn.Module) -> None:
    model = TRUTH.build(fusion, ELBO(), expert="posterior", inflate=1.2)
    present = dict(PRESENT)
    spoilt = {n: torch.where(present[n].unsqueeze(1), v, math.nan) for n, v in X.items()}
    with seeded(0), torch.no_grad():
        found = batch_log_likelihood(model, spoilt, present, 6000)
    torch.testing.assert_close(found, TRUTH.log_evidence(X, present), rtol=0, atol=0.1)
    assert float((found - TRUTH.log_evidence(X, present)).abs().mean()) < 0.03


def test_8_the_seed_is_there_before_the_networks_are() -> None:
    def weights(seed: int) -> torch.Tensor:
        with seeded(seed):
            model = RECIPES["mvae"].build(real_modalities(), latent_dim=4)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_9_the_default_gaussian_learns_its_variance() -> None:
    x = 0.1 * torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    likelihood = GaussianLikelihood(3)
    optimiser = torch.optim.Adam(likelihood.parameters(), 0.01)
    for _ in range(300):
        optimiser.zero_grad()
        loss = -likelihood(torch.zeros(500, 3)).log_prob(x).mean()
        loss.backward()
        optimiser.step()
    scale = likelihood(torch.zeros(1, 3)).scale
    assert 0.09 < float(scale.detach()) < 0.11


def test_10_no_decoder_ends_in_a_sigmoid() -> None:
    decoders = [MLPDecoder(2, (10,)), ConvDecoder(2, (1, 8, 8)), ResidualConvDecoder(2, (1, 8, 8))]
    for decoder in decoders:
        with torch.no_grad():
            list(decoder.parameters())[-1].add_(5.0)  # the last bias
            out = decoder(torch.zeros(4, 2))
        assert float(out.max()) > 1.5
    with torch.no_grad():
        logits = decoders[0](torch.zeros(1, 2))
        logits[0, 3] = 30.0
    assert float(CategoricalLikelihood(10)(logits).log_prob(torch.tensor([3])).exp()) > 0.999
    pixels = BernoulliLikelihood((1, 8, 8))(torch.full((1, 1, 8, 8), 20.0))
    assert float(pixels.mode.min()) > 0.999


AWKWARD = [
    ("a", "b", "a_b"),
    ("keys", "type", "items"),
    ("a.b", "a", "b"),
    ("", " ", "forward"),
    ("values", "training", "parameters"),
]


def awkward_modality(name: str) -> Modality:
    return Modality(
        name, MLPEncoder(2, (4,)), lambda dim: MLPDecoder(dim, (2,), (4,)), GaussianLikelihood(2)
    )


@pytest.mark.parametrize("names", AWKWARD, ids=str)
@pytest.mark.parametrize("name", RECIPES)
def test_11_any_string_is_a_name_and_no_subset_is_lost(name: str, names: tuple[str, ...]) -> None:
    model = RECIPES[name].build([awkward_modality(n) for n in names], latent_dim=2)
    x = {n: torch.randn(4, 2) for n in names}
    present = {n: torch.ones(4, dtype=torch.bool) for n in names}
    if model.closed_form:
        model.start_from(x, present)
        assert model.loss(x, present, 0).loss.isfinite().all()
    else:
        parts: set[str] = set()
        for stage in range(len(model.stages)):
            model.enter(stage)
            terms = model.loss(x, present, 0)
            terms.loss.mean().backward()
            parts |= set(terms.parts)
        assert {f"-log p({n})" for n in names} <= parts
    if name == "mopoe":
        assert len(torch.unique(model.posterior(x, present).loc[:, 0, 0])) == 7
    other = RECIPES[name].build([awkward_modality(n) for n in names], latent_dim=2)
    other.load_state_dict(model.state_dict())


def test_12_evaluation_is_not_the_training_loss() -> None:
    """Weights of likelihoods bend the loss; the likelihood that is reported stays true."""
    plain = TRUTH.build(ProductOfExperts(), IWAE(4))
    bent = TRUTH.build(ProductOfExperts(), IWAE(4), weights={"a": 10.0})
    every = {n: torch.ones(10, dtype=torch.bool) for n in TRUTH.names}
    for model in (plain, bent):
        with seeded(0), torch.no_grad():
            found = batch_log_likelihood(model, X, every, 4)
        torch.testing.assert_close(found, TRUTH.log_evidence(X, every))
    assert not torch.allclose(bent.loss(X, every, 0).loss, plain.loss(X, every, 0).loss)


def test_12_masks_follow_the_data_and_are_used() -> None:
    """Presence decides, wherever it lies: the loss of a masked row has no masked term."""
    model, (x, present) = build("mvtcae"), real_batch()
    parts = model.loss(x, present, 0).parts
    for name in model.names:
        absent = ~present[name] if present[name].ndim == 1 else ~present[name].any(1)
        assert bool((parts[f"-log p({name})"][absent] == 0).all())
        assert bool((parts[f"-log p({name})"][1:3] != 0).all())


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_12_masks_hold_on_an_accelerator(name: str) -> None:
    """Equal losses to the bit; gradients but for the order of their sums, which is free there."""
    model, (x, present) = build(name).to("cuda"), real_batch()
    losses, slopes = [], []
    for value in (0.0, math.nan):
        there = {n: v.to("cuda") for n, v in filled(x, present, value).items()}
        masks = {n: v.to("cuda") for n, v in present.items()}
        with seeded(0):
            loss = model.loss(there, masks, 0).loss
        model.zero_grad(set_to_none=True)
        loss.mean().backward()
        losses.append(loss)
        slopes.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert bool(losses[0].isfinite().all())
    assert torch.equal(losses[0], losses[1])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*slopes, strict=True))
