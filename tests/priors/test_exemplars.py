"""Which rows are kept to draw private latents from, and how a model answers with them."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import real_batch, real_modalities
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.distributions.dependent import PartlyTold
from polymodal.distributions.strata import Strata
from polymodal.models.ex_post import ExPostVAE
from polymodal.priors.exemplars import LEAST_ROWS, Exemplars
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import generate, impute

MOST = 30


def told(n: int = 100) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z, locations, scales and presence; two modalities of two numbers each."""
    with seeded(0):
        z, loc, scale = torch.randn(n, 3), 3 * torch.randn(n, 4), 0.1 + torch.rand(n, 4)
    on = torch.ones(n, 2, dtype=torch.bool)
    on[40:, 1] = False
    return z, loc, scale, on


def measured(*rows: Tensor, seed: int = 0) -> Exemplars:
    kept = Exemplars(3, 2, 2, MOST)
    kept.measure(*rows, torch.Generator().manual_seed(seed))
    return kept


def test_it_keeps_rows_that_have_the_modality() -> None:
    z, loc, scale, on = told()
    kept = measured(z, loc, scale, on)
    assert kept.count.tolist() == [MOST, MOST]
    for m in range(2):
        at = (kept.anchors[m].unsqueeze(1) == z).all(2).int().argmax(1)
        assert len(at.unique()) == MOST
        assert bool(on[at, m].all())
        torch.testing.assert_close(kept.loc[m], loc[at][:, 2 * m : 2 * m + 2])
        torch.testing.assert_close(kept.scale[m], scale[at][:, 2 * m : 2 * m + 2])


def test_the_broad_part_has_the_moments_of_all_that_was_told() -> None:
    z, loc, scale, on = told()
    kept = measured(z, loc, scale, on)
    with seeded(1):
        draws = (loc + scale * torch.randn(20_000, *loc.shape))[:, on[:, 1], 2:].flatten(0, 1)
    torch.testing.assert_close(kept.centre[1], draws.mean(0), atol=0.02, rtol=0)
    covariance = kept.tril[1] @ kept.tril[1].T
    torch.testing.assert_close(covariance, torch.cov(draws.T), atol=0.05, rtol=0.01)


def test_too_few_rows_and_rows_that_are_not_finite_leave_the_standard_prior() -> None:
    z, loc, scale, on = told()
    on[LEAST_ROWS - 1 :, 1] = False
    kept = measured(z, loc, scale, on)
    assert kept.count.tolist() == [MOST, 0]
    assert not bool(kept.centre[1].any())
    torch.testing.assert_close(kept.tril[1], torch.eye(2))
    assert measured(z, loc * torch.inf, scale, on).count.tolist() == [0, 0]


def test_measuring_anew_forgets_and_one_seed_gives_the_same() -> None:
    rows = told()
    one, other = measured(*rows), measured(*rows)
    before = torch.get_rng_state()
    other.measure(*rows, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(one.buffers(), other.buffers(), strict=True):
        assert torch.equal(a, b)
    other.measure(*(part[:2] for part in rows), torch.Generator().manual_seed(0))
    assert other.count.tolist() == [0, 0]


@pytest.fixture(scope="module")
def model() -> ExPostVAE:
    x, present = real_batch(240)
    with seeded(0):
        built = RECIPES["polymodal"].build(real_modalities(), latent_dim=3, private_dim=2)
    assert isinstance(built, ExPostVAE)
    built.eval().end_with([(x, present)], 1)
    return built


def test_answers_draw_what_was_not_told_from_it(model: ExPostVAE) -> None:
    x, present = real_batch(60)
    name = model.names[0]
    shown = {name: torch.ones_like(present[name])}
    q = model.answer_posterior({name: x[name]}, shown)
    assert isinstance(q, PartlyTold)
    with seeded(1):
        drawn = q.sample((200,))
    own = model.posterior({name: x[name]}, shown)
    assert isinstance(own, Strata)
    torch.testing.assert_close(q.mean, own.mean)
    private = model.prior.private()
    assert private is not None
    spread = drawn[..., model.layout.shared + 2 :].flatten(0, 1).std(0)
    wanted = (private.tril @ private.tril.mT).diagonal(dim1=1, dim2=2).sqrt()[1:].flatten()
    assert bool((spread < 3 * wanted).all())
    points = model.for_points(drawn, shown)
    end = model.layout.shared + 2
    assert torch.equal(points[..., :end], drawn[..., :end])
    standard = points[..., end:]
    assert bool(((standard.mean((0, 1))).abs() < 5 / 12_000**0.5).all())
    assert bool(((standard.std((0, 1)) - 1).abs() < 5 / 24_000**0.5).all())


def test_in_training_nothing_of_it_is_known(model: ExPostVAE) -> None:
    x, present = real_batch(10)
    model.train()
    assert model.prior.private() is None
    assert isinstance(model.answer_posterior(x, present), Strata)
    model.eval()


def test_every_task_answers_with_it(model: ExPostVAE) -> None:
    source = Tensors(*real_batch(30))
    assert set(generate(model, 5, seed=0)) == set(model.names)
    for proposals in (0, 60):
        said = impute(model, source, draws=3, proposals=proposals, keep=False)
        for value in (*said.point.values(), *said.draws.values()):
            assert bool(torch.isfinite(value.double()).all())
