"""The fused posterior: shared blocks are fused, private blocks are each modality's own."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import NUMBERS, TEXT, real_batch, real_modalities
from torch import nn

from polymodal.distributions import Diagonal
from polymodal.distributions.strata import Strata
from polymodal.latent import LatentLayout
from polymodal.model import MultimodalVAE
from polymodal.posteriors import ExpertHead, FusedPosterior
from polymodal.random import seeded
from polymodal.recipes import RECIPES

X, PRESENT = real_batch()


def build(name: str = "mvae", **settings: object) -> MultimodalVAE:
    with seeded(0):
        return RECIPES[name].build(real_modalities(), latent_dim=4, **settings)


def test_private_blocks_are_the_owners_or_the_prior() -> None:
    model = build(private_dim=2)
    posterior = model.posterior
    encoded, q = posterior.encode(X, PRESENT), posterior(X, PRESENT)
    for m in range(4):
        block = slice(4 + 2 * m, 6 + 2 * m)
        for row in range(6):
            loc, scale = q.loc[0, row, block], q.scale[0, row, block]
            if encoded.on[m, row]:
                assert torch.equal(loc, encoded.private_loc[row, 2 * m : 2 * m + 2])
                assert torch.equal(scale, encoded.private_scale[row, 2 * m : 2 * m + 2])
            else:
                assert loc.tolist() == [0, 0]
                assert scale.tolist() == [1, 1]


def test_private_blocks_ride_on_every_stratum() -> None:
    q = build("mopoe", private_dim=2).posterior(X, PRESENT)
    assert q.loc.shape == (15, 6, 12)
    assert torch.equal(q.loc[0, :, 4:], q.loc[14, :, 4:])


def test_only_the_shared_block_translates() -> None:
    """What a modality keeps to itself changes no other modality's decoding."""
    model = build(private_dim=2)
    z = torch.randn(6, model.layout.dim)
    other = z.clone()
    other[:, 4:6] += 1.0  # the private block of the first modality
    one, two = (model.decode(value, model.names) for value in (z, other))
    for name in model.names:
        same = torch.equal(one[name].statistics, two[name].statistics)
        assert same == (name != NUMBERS)


def test_subsets_in_one_call_equal_one_call_each() -> None:
    for name in ("mvae", "mopoe", "jmvae"):
        posterior = build(name, private_dim=1).posterior
        encoded = posterior.encode(X, PRESENT)
        drop = torch.stack([torch.eye(4)[r].bool().logical_not() for r in range(4)])  # (R, M)
        on = encoded.on.unsqueeze(1) & drop.T.unsqueeze(-1)  # (M, R, B)
        together = posterior.fuse(encoded, on)
        for r in range(4):
            alone = posterior.fuse(encoded, on[:, r])
            torch.testing.assert_close(together.mean[r], alone.mean)
            torch.testing.assert_close(together.variance[r], alone.variance)


def test_a_batch_that_names_no_modality_is_an_error() -> None:
    with pytest.raises(ValueError, match="names no modality of the model, which knows keys, type"):
        build().posterior({"other": X[TEXT]}, {"other": PRESENT[TEXT]})


def test_names_that_the_model_does_not_know_are_left_alone() -> None:
    model = build()
    more = ({**X, "other": X[TEXT]}, {**PRESENT, "other": PRESENT[TEXT]})
    assert torch.equal(model.posterior(*more).loc, model.posterior(X, PRESENT).loc)


def test_bf16_autocast_leaves_posterior_and_loss_in_float32() -> None:
    for name in RECIPES:
        model = build(name)
        with torch.autocast("cpu", dtype=torch.bfloat16), seeded(1):
            model.start_from(X, PRESENT)
            q = model.posterior(X, PRESENT)
            terms = model.loss(X, PRESENT, 0)
        strata = (q.loc, q.scale, q.log_weights) if isinstance(q, Strata) else (q.mean,)
        for tensor in (*strata, q.sample(), terms.loss, *terms.parts.values()):
            assert tensor.dtype in (torch.float32, torch.float64)
        if model.closed_form:
            continue
        terms.loss.mean().backward()
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


class Given(nn.Module):
    """A head that says what it is told."""

    def __init__(self, loc: torch.Tensor) -> None:
        super().__init__()
        self.loc = loc

    def forward(self, features: torch.Tensor) -> Diagonal:
        return Diagonal(self.loc.expand(len(features), -1), torch.full_like(self.loc, 0.5))


def test_any_head_that_returns_a_diagonal_plugs_in() -> None:
    model = build()
    heads = [Given(torch.full((4,), float(m))) for m in range(4)]
    old = model.posterior
    posterior = FusedPosterior(old.names, list(old.encoders), heads, old.fusion, old.layout)
    every = {n: torch.ones_like(v) for n, v in PRESENT.items()}
    q = posterior(X, every)
    torch.testing.assert_close(q.loc, torch.full_like(q.loc, 4 * (0 + 1 + 2 + 3) / 17))


def test_a_layout_in_another_order_is_an_error() -> None:
    """Its private blocks would be read as those of other modalities."""
    old = build(private_dim=1).posterior
    layout = LatentLayout(4, dict.fromkeys(reversed(old.names), 1))
    with pytest.raises(ValueError, match=r"the layout's modalities are a_b, a\.b, type, keys"):
        FusedPosterior(old.names, list(old.encoders), list(old.heads), old.fusion, layout)


def test_heads_hold_the_mean_of_softmax_scales_at_one() -> None:
    head = ExpertHead(3, 5, "laplace", "softmax", shared=3)
    with torch.no_grad():
        head.linear.weight.mul_(20)
    scale = head(torch.randn(50, 3)).scale
    for block in (scale[:, :3], scale[:, 3:]):
        torch.testing.assert_close(block.mean(1), torch.ones(50), rtol=0, atol=2e-4)
    assert bool((scale > 0).all())


@pytest.mark.parametrize("settings", [{"family": "cauchy"}, {"scale_rule": "exp"}])
def test_heads_refuse_unknown_words(settings: dict) -> None:
    with pytest.raises(ValueError, match="ExpertHead: family must be one of"):
        ExpertHead(3, 2, **settings)


def test_mopoe_trains_on_the_mixture_and_answers_from_the_product_of_what_is_given() -> None:
    model = build("mopoe", private_dim=2)
    trained, said = model.posterior(X, PRESENT), model.answer_posterior(X, PRESENT)
    assert (trained.n_strata, said.n_strata) == (15, 1)
    on = model.posterior.encode(X, PRESENT).on
    for row in range(6):
        # The stratum of all that the row has; subsets are numbered by their bits.
        full = int((on[:, row].long() << torch.arange(4)).sum()) - 1
        if full < 0:
            assert said.loc[0, row, :4].tolist() == [0] * 4
            continue
        torch.testing.assert_close(said.loc[0, row], trained.loc[full, row])
        torch.testing.assert_close(said.scale[0, row], trained.scale[full, row])


def test_other_recipes_answer_from_the_posterior_that_trains() -> None:
    for name in ("mvae", "mvtcae"):
        model = build(name)
        assert torch.equal(model.answer_posterior(X, PRESENT).loc, model.posterior(X, PRESENT).loc)
