"""The latent diffusion's own parts: moments, subsets, what is scored, what is drawn."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from tests.helpers import IMAGE, NUMBERS, TEXT, real_batch, real_modalities

from polymodal.models.latent_diffusion import LatentDiffusion
from polymodal.models.moments import RunningMoments
from polymodal.priors.vp_sde import VPSDE
from polymodal.random import seeded
from polymodal.recipes import RECIPES


def built(**settings: object) -> LatentDiffusion:
    with seeded(0):
        model = RECIPES["mld"].build(
            real_modalities(), **{"latent_dim": 3, "width": 16, "steps": 4, **settings}
        )
    assert isinstance(model, LatentDiffusion)
    return model


def test_moments_are_those_of_the_rows_and_are_inverted() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = 3 + 2 * torch.randn(2, 4000, 3, generator=generator, dtype=torch.float64)
    on = torch.rand(2, 4000, generator=generator) < 0.7
    moments = RunningMoments(2, 3, floor=0.0, decay=1.0).double()
    assert torch.equal(moments(codes), codes)  # nothing seen: mean 0, deviation 1
    for batch in torch.arange(4000).split(700):
        moments.update(codes[:, batch], on[:, batch])
    z = moments(codes)
    for m in (0, 1):
        seen = z[m, on[m]]
        torch.testing.assert_close(seen.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-10)
        ones = torch.ones(3).double()
        torch.testing.assert_close(seen.var(0, unbiased=False), ones, rtol=1e-10, atol=0)
        torch.testing.assert_close(moments.invert(z[m], m), codes[m], rtol=1e-13, atol=1e-13)


def test_moments_forget_old_codes_and_keep_those_of_absent_modalities() -> None:
    moments = RunningMoments(2, 1, floor=0.5, decay=0.5)
    ones = torch.ones(2, 4, dtype=torch.bool)
    moments.update(torch.full((2, 4, 1), 100.0), ones)
    for _ in range(40):
        moments.update(torch.full((2, 4, 1), 1.0), torch.stack([ones[0], ~ones[0]]))
    mean, scale = moments.mean_and_scale()
    torch.testing.assert_close(mean[:, 0], torch.tensor([1.0, 100.0]))
    torch.testing.assert_close(scale[0], torch.tensor([0.5]), rtol=1e-3, atol=1e-3)


def test_a_subset_is_never_all_and_only_of_what_is_there() -> None:
    model = built(conditional=0.6)
    n = 40_000
    there = torch.tensor([[True, True, False, True]]).expand(n, 4)
    with seeded(3):
        clean = model._kept_clean(there)
    assert not clean[:, 2].any()
    sizes = clean.sum(1)
    # Nothing clean with 1 - 0.6; else one or two of three, each as likely, each subset as well.
    for size, share in ((0, 0.4), (1, 0.3), (2, 0.3)):
        error = (share * (1 - share) / n) ** 0.5
        assert abs(float((sizes == size).float().mean()) - share) < 4 * error
    for m in (0, 1, 3):
        share = float(clean[sizes == 1, m].float().mean())
        assert abs(share - 1 / 3) < 0.02
    alone = torch.tensor([[False, True, False, False], [False] * 4])
    assert not model._kept_clean(alone).any()


def test_the_loss_is_the_noise_of_what_was_diffused() -> None:
    """Against a loop over rows and modalities, with the network's own answers."""
    model = built().eval()
    generator = torch.Generator().manual_seed(4)
    z = torch.randn(6, 12, generator=generator)
    on = torch.rand(4, 6, generator=generator) < 0.7
    asked = []

    def network(noisy, t, clean, absent):
        asked.append((noisy, t, clean, absent))
        return torch.ones_like(noisy)

    with mock.patch.object(model.network, "forward", network), seeded(5):
        loss = model._diffusion_loss(z, on).loss
    ((noisy, t, clean, absent),) = asked
    assert torch.equal(absent, ~on.T)
    alpha, sigma = model.sde.alpha(t), model.sde.sigma(t)
    for row in range(6):
        total = 0.0
        for m in range(4):
            block = slice(3 * m, 3 * m + 3)
            if clean[row, m]:
                assert torch.equal(noisy[row, block], z[row, block])
            elif not absent[row, m]:
                noise = (noisy[row, block] - alpha[row] * z[row, block]) / sigma[row]
                told = sigma[row] * noisy[row, block] + alpha[row] * 1.0
                total += 0.5 * float((noise - told).square().sum())
        assert float(loss[row]) == pytest.approx(total, rel=1e-4, abs=1e-5)


def test_what_is_known_stays_and_only_the_rest_is_drawn() -> None:
    model = built().eval()
    x, present = real_batch()
    with seeded(6):
        q = model.posterior(x, present)
        z = q.sample((5,))
    blocks = z.unflatten(-1, (4, 3))
    on = torch.stack([m if m.ndim == 1 else m.any(1) for m in present.values()])
    for m in range(4):
        known = blocks[:, on[m], m]
        assert torch.equal(known, known[:1].expand_as(known))
        assert bool((blocks[0, ~on[m], m] != blocks[1, ~on[m], m]).all())
    # Complete rows run no chain at all.
    whole = {name: mask[1:3] for name, mask in present.items()}
    with mock.patch.object(VPSDE, "reverse", side_effect=AssertionError):
        q = model.posterior({name: value[1:3] for name, value in x.items()}, whole)
        assert torch.equal(q.sample((2,))[1], q.mean)


def test_a_rough_answer_takes_fewer_steps() -> None:
    model = built(steps=20).eval()
    counted = []
    model.network.register_forward_hook(lambda *_: counted.append(1))
    for rough, steps in ((False, 20), (True, 6)):
        counted.clear()
        model.rough = rough
        model.prior().sample((3,))
        assert len(counted) == steps


def test_each_stage_trains_its_own_part() -> None:
    model = built().train()
    for stage, trained in ((0, "encoders"), (1, "network")):
        model.enter(stage)
        owners = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
        assert trained in owners
        assert ("network" in owners) == (stage == 1)


def test_moments_are_measured_in_the_first_stage_only() -> None:
    model = built().train()
    x, present = real_batch()
    model.enter(0)
    model.loss(x, present, 0)
    mean, _ = model.moments.mean_and_scale()
    assert bool((mean != 0).all())
    held = model.moments.sums.clone()
    model.enter(1)
    model.loss(x, present, 1)
    model.eval()
    model.enter(0)
    model.loss(x, present, 1)
    assert torch.equal(model.moments.sums, held)


@pytest.mark.parametrize(
    "settings",
    [
        {"latent_dim": 0},
        {"conditional": 1.5},
        {"hidden_cells": 1.0},
        {"noise": -1.0},
        {"steps": 1},
        {"sampler": "euler"},
        {"width": 0},
        {"beta_min": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_errors_when_built(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        built(**settings)


def test_names_must_differ() -> None:
    one = real_modalities()[0]
    with pytest.raises(ValueError, match="names of their own"):
        RECIPES["mld"].build([one, one], latent_dim=2)
    assert {NUMBERS, IMAGE, TEXT} <= set(built().names)
