"""Diffusion decoders: what they learn, what they leave alone, and what is exact about them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.helpers import IMAGE, NUMBERS, TEXT, real_batch, real_modalities
from torch import Tensor

from polymodal.models.diffused import DiffusedVAE
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks.importance import proposal_for


def made(**setting: object) -> DiffusedVAE:
    with seeded(0):
        model = RECIPES["cmvae"].build(
            real_modalities(), latent_dim=4, private_dim=2, clusters=3, diffusion=True, **setting
        )
    assert isinstance(model, DiffusedVAE)
    return model


def test_the_first_stage_is_the_vae_and_the_second_leaves_it_alone() -> None:
    x, present = real_batch()
    model = made()
    model.enter(0)
    with seeded(1):
        expected = model.vae.loss(x, present, 0).loss
    with seeded(1):
        torch.testing.assert_close(model.loss(x, present, 0).loss, expected, rtol=0, atol=0)
    model.enter(1)
    model.loss(x, present, 0).loss.sum().backward()
    assert all(p.grad is None for p in model.vae.parameters())
    assert all(p.grad is not None for p in model.decoders.parameters())


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_the_second_stage_is_the_squared_error_of_the_noise(off: float) -> None:
    """A denoiser that says the noise that was added, and so much more, is wrong by that alone."""
    x, present = real_batch()
    model = made()
    model.start_from(x, present)
    model.enter(1)

    def tell(name: str, decoder: torch.nn.Module) -> Callable[..., Tensor]:
        clean = (x[name] - decoder.shift) / decoder.scale

        def noise(noisy: Tensor, t: Tensor, guess: Tensor) -> Tensor:
            kept = decoder.chain.kept[(t * decoder.chain.steps).round().long()].to(noisy)
            kept = kept.reshape(-1, *(1,) * (noisy.ndim - 1))
            return (noisy - kept.sqrt() * clean) / (1 - kept).sqrt() + off

        return noise

    for name, decoder in zip(model.diffused, model.decoders, strict=True):
        decoder.noise = tell(name, decoder)
    with seeded(1):
        loss = model.loss(x, present, 0).loss
    there = present[NUMBERS].any(1).float() + present[IMAGE].float()
    torch.testing.assert_close(loss, off**2 * there, rtol=1e-3, atol=1e-5)


def test_vectors_and_images_are_diffused_text_and_tables_are_not() -> None:
    model = made()
    assert model.diffused == (NUMBERS, IMAGE)
    text = [m for m in real_modalities() if m.name == TEXT]
    with pytest.raises(ValueError, match="must be an image or a vector"):
        RECIPES["cmvae"].build(text, latent_dim=4, diffusion=True)
    with pytest.raises(ValueError, match="must be between"):
        DiffusedVAE(model.vae, share=1.0)


def test_a_denoiser_that_trusts_the_guess_draws_the_guess() -> None:
    """With the noise that the guess implies, ancestral sampling ends at the guess itself."""
    model = made()
    decoder = model.decoders[0]
    model.decoders[0].log_spread.data.fill_(-20.0)  # a spread of nothing: the guess is the value
    decoder.measure(torch.tensor([-3.0, 1.0, 4.0]))
    z = model.prior().sample((2, 5))
    p = model.decode(z, (NUMBERS,))[NUMBERS]
    guess = p.guess.mean
    expected = guess.clamp(-3.0, 4.0)
    torch.testing.assert_close(p.sample((3,)), expected.expand(3, 2, 5, 3), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(p.mode, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(p.statistics, p.mode)
    x = torch.randn(5, 3)
    assert torch.equal(p.log_prob(x), p.guess.log_prob(x))


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_without_its_network_it_draws_a_gaussian_around_the_guess(spread: float) -> None:
    """The linear part is the best denoiser of N(guess, spread^2): Bayes' rule, draw for draw."""
    decoder = made().decoders[0]
    decoder.denoiser.layers[-1].weight.data.zero_()
    decoder.denoiser.layers[-1].bias.data.zero_()
    decoder.log_spread.data.fill_(math.log(spread))
    chain, t = decoder.chain, torch.tensor([1, 30, 100])
    kept = chain.kept[t].float().unsqueeze(-1)
    noisy, guess = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    precision = 1 / spread**2 + kept / (1 - kept)
    clean = (guess / spread**2 + kept.sqrt() * noisy / (1 - kept)) / precision
    expected = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
    found = decoder.noise(noisy, t / chain.steps, guess)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with seeded(0):
        draws = decoder.draw(torch.full((4000, 3), 0.5))
    assert abs(float(draws.mean()) - 0.5) < 0.02
    # A hundred steps draw a little too narrowly, as test_ddpm.py shows.
    assert 0.9 * spread < float(draws.std()) < 1.04 * spread


def test_measures_are_of_what_is_there_and_are_saved() -> None:
    x, present = real_batch()
    x[NUMBERS] = torch.where(present[NUMBERS], x[NUMBERS], torch.nan)
    model = made()
    model.start_from(x, present)
    known = x[NUMBERS][present[NUMBERS]]
    torch.testing.assert_close(model.decoders[0].shift, known.mean())
    torch.testing.assert_close(model.decoders[0].scale, known.std(correction=0))
    other = made()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.decoders[0].bounds, model.decoders[0].bounds)
    z = model.prior().sample((4,))
    drawn = model.decode(z, (NUMBERS, IMAGE))
    low, high = known.aminmax()
    values = drawn[NUMBERS].sample()
    assert bool(((values > low - 1e-4) & (values < high + 1e-4)).all())


def test_the_reconstructions_are_of_the_modality_itself_and_of_others() -> None:
    """From another stratum a private block is the prior's, from its own the encoder's."""
    x, present = real_batch(400)
    present = {name: torch.ones_like(mask) for name, mask in present.items()}
    model = made()
    q = model.posterior(x, present)
    q.loc[..., 4:] = 100.0
    with seeded(0), torch.no_grad():
        z = model._one_stratum(q)
    own = (z[:, 4:] > 50).reshape(400, 4, 2)
    assert bool((own.any(-1).sum(1) == 1).all())
    assert bool((own.all(-1) == own.any(-1)).all())
    shares = own.any(-1).float().mean(0)
    assert bool(((shares - 0.25).abs() < 0.1).all())


def test_what_a_likelihood_draws_from_is_what_the_vae_alone_draws_from() -> None:
    """Private latents that play no part come from the prior, not from what was said of them."""
    x, present = real_batch()
    model = made()
    for of in ([IMAGE], [NUMBERS, TEXT]):
        found, alone = (
            proposal_for(one, one.posterior(x, present), of) for one in (model, model.vae)
        )
        assert torch.equal(found.loc, alone.loc)
        assert torch.equal(found.scale, alone.scale)
        assert not torch.equal(found.scale, model.posterior(x, present).scale)
