"""Recipes read their settings, say what is wrong, and are facts that can be cited."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import real_batch, real_modalities
from tests.recipes.recipe_cases import cases_of

from polymodal.fusion import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from polymodal.objectives import IWAE, DReG, LinearWarmup
from polymodal.random import seeded
from polymodal.recipes import RECIPES, get_recipe, recipe


def trace(name: str, **settings: object) -> tuple[list, list[str], object]:
    """Losses, parameters, slopes and the posterior's mean: what a setting that is read changes."""
    x, present = real_batch()
    with seeded(0):
        model = RECIPES[name].build(real_modalities(), **{"latent_dim": 4, **settings})
    if model.closed_form:
        model.start_from(x, present)
        shapes = [f"{n} {tuple(b.shape)}" for n, b in model.named_buffers()]
        return model.loss(x, present, 0).loss.tolist(), shapes, None
    shapes = [f"{n} {tuple(p.shape)}" for n, p in model.named_parameters()]
    losses, slopes = [], []
    for stage in range(len(model.stages)):
        if model.closed_form:
            continue
        model.enter(stage)
        with seeded(1):
            terms = model.loss(x, present, 0)
        with seeded(2):
            terms.loss.mean().backward()
        losses.append(terms.loss.tolist())
        slopes += [float(p.grad.sum()) for p in model.parameters() if p.grad is not None]
    with seeded(3), torch.no_grad():
        model.start_from(x, present)
        mean = model.eval().posterior(x, present).mean
        model.end_with([(x, present)], 1)
        left = [(b.shape, int(b.sum()) if b.dtype == torch.bool else 0) for b in model.buffers()]
    return [losses, mean.tolist(), left], shapes, slopes


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_is_read(name: str) -> None:
    default, other = trace(name), cases_of(name).OTHER
    # Settings that matter only where another one does.
    under = getattr(cases_of(name), "UNDER", {})
    for setting in RECIPES[name].settings:
        # One draw a stratum gives both estimators one value; their gradients differ.
        context = under.get(setting, {})
        before = trace(name, **context) if context else default
        assert trace(name, **{**context, setting: other[setting]}) != before, setting


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("hoelder", {"moments": True, "divergence": "convex"}, "divergence='convex' plays no"),
        ("barycentre", {"subsets": False, "max_strata": 5}, "max_strata=5 plays no part"),
        ("hirt", {"components": 5}, "components=5 plays no part"),
    ],
)
def test_a_setting_that_plays_no_part_is_refused(name: str, settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RECIPES[name].build(real_modalities(), latent_dim=4, **settings)


def test_recipes_are_made_of_what_their_papers_say() -> None:
    def parts(name: str, **settings: object) -> tuple:
        model = RECIPES[name].build(real_modalities(), latent_dim=4, **settings)
        return model.posterior.fusion, model.objective, model.prior

    fusion, objective, _ = parts("mvae")
    assert isinstance(fusion, ProductOfExperts)
    assert fusion.anchor == "always"
    fusion, objective, prior = parts("mmvae")
    assert isinstance(fusion, MixtureOfExperts)
    assert isinstance(objective, DReG)
    assert prior().family == "laplace"
    assert isinstance(parts("mmvae", estimator="iwae")[1], IWAE)
    fusion, objective, _ = parts("mopoe")
    assert isinstance(fusion, MixtureOfProducts)
    assert (fusion.anchor, objective.strata, objective.divergence) == ("full", "one", "convex")
    assert parts("mvtcae")[0].anchor == "never"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mmvae", {"family": "cauchy"}),
        ("mmvae", {"estimator": "reinforce"}),
        ("mmvae", {"samples": 0}),
        ("mopoe", {"max_strata": 0}),
        ("mvtcae", {"alpha": 1.5}),
        ("mvae", {"subsets": -1}),
        ("jmvae", {"gamma": -1.0}),
        ("jmvae", {"unimodal": "one"}),
        ("mvae", {"latent_dim": 0}),
        ("mvae", {"private_dim": -1}),
        ("mvae", {"latent_dims": 4}),
        ("mvae", {"subsets": "all"}),
        ("jmvae", {"gamma": "strong"}),
        ("jmvae", {"subsets": 1.5}),
        ("mopoe", {"beta": -1}),
        ("mopoe", {"beta": float("nan")}),
        ("mvtcae", {"alpha": True}),
        ("barycentre", {"subsets": "no"}),
        ("cmmd", {"source": 3}),
        ("mmvae", {"private_dim": 2}),
    ],
)
def test_settings_that_make_no_sense_are_errors_when_built(name: str, settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|no setting|at least"):
        RECIPES[name].build(real_modalities(), **settings)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'mopoe'"):
        get_recipe("mopeo")
    with pytest.raises(ValueError, match="Did you mean 'latent_dim'"):
        get_recipe("mvae").build(real_modalities(), latent_dims=4)
    with pytest.raises(ValueError, match="registered twice"):
        recipe(paper="", authors="", year=2000, url="", equation="", parts=(), differs=())(
            RECIPES["mvae"].function
        )


def test_two_modalities_of_one_name_and_none_at_all_are_errors() -> None:
    one = real_modalities()[0]
    with pytest.raises(ValueError, match="a name of its own"):
        RECIPES["mvae"].build([one, one], latent_dim=2)
    with pytest.raises(ValueError, match="modalit"):
        RECIPES["mvae"].build([], latent_dim=2)


def test_a_weight_that_is_not_positive_is_an_error() -> None:
    modality = real_modalities()[0]
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="weight must be positive"):
            type(modality)("a", modality.encoder, modality.decoder, modality.likelihood, weight)


def test_citations_hold_the_facts() -> None:
    for entry in RECIPES.values():
        for fact in (entry.paper, entry.authors, str(entry.year), entry.url):
            assert fact in entry.citation
        assert entry.citation.count("{") == entry.citation.count("}")


def test_schedules_are_taken_wherever_a_weight_is() -> None:
    x, present = real_batch()
    for name in ("mvae", "mopoe", "mvtcae", "jmvae"):
        with seeded(0):
            model = RECIPES[name].build(real_modalities(), latent_dim=4, beta=LinearWarmup(10))
        losses = []
        for step in (0, 5, 10):
            with seeded(1), torch.no_grad():
                losses.append(model.loss(x, present, step).loss)
        # Differences of float32 losses of some hundred nats: that many times the type's epsilon.
        rounding = 4 * float(losses[2].abs().max()) * torch.finfo(torch.float32).eps
        torch.testing.assert_close(
            losses[1] - losses[0], losses[2] - losses[1], rtol=0.0, atol=rounding
        )
        assert bool((losses[2] > losses[0])[1:].any())


@pytest.mark.parametrize("name", ["barycentre", "mmjsd", "mopoe"])
def test_recipes_whose_strata_all_hold_a_modalitys_own_private_block_say_so(name: str) -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES[name].build(real_modalities(), latent_dim=4, private_dim=2)
    private = model.posterior(x, present).loc[..., 4:]
    assert len(private) > 1
    assert torch.equal(private, private[:1].expand_as(private))
    assert any("with its own private block" in said for said in RECIPES[name].differs)
