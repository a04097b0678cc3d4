"""The gradient of every recipe is that of its loss, but for those that hold a part still."""

from __future__ import annotations

import pytest
from tests.helpers import real_batch, real_modalities
from tests.recipes.recipe_cases import CASES

from polymodal.model import LatentModel
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.testing.objective import check_gradient_is_that_of_the_loss

STILL = {
    "cmmd": "no gradient reaches the latent through the source's decoder",
    "dbm": "the loss is a surrogate: its gradient is that of the log-likelihood",
    "meme": "the ratio that corrects the supervised part is a number",
    "nexus": "the likelihoods of modalities do not train the nexus",
    "poise": "the loss is a surrogate: its gradient is a covariance",
    "telbo": "the further ELBOs do not train the decoders",
}
"""Recipe -> what its paper holds still."""

TRAINED = [case for case in CASES if not RECIPES[case[0]].build(real_modalities()).closed_form]


def holds_still(name: str, settings: dict, stage: int) -> bool:
    """Whether the gradient is another on purpose; DReG's is where the estimator is not IWAE."""
    if name in ("mmvae", "mmvaeplus", "cmvae"):
        return stage == 0 and settings.get("estimator", "dreg") == "dreg"
    return name in STILL


def built(name: str, settings: dict) -> LatentModel:
    with seeded(0):
        return RECIPES[name].build(real_modalities(), **{"latent_dim": 4, **settings})


@pytest.mark.parametrize(("name", "settings"), TRAINED, ids=str)
def test_the_gradient_is_that_of_the_loss(name: str, settings: dict) -> None:
    x, present = real_batch()
    for stage in range(len(built(name, settings).stages)):
        model = built(name, settings)
        model.enter(stage)
        if not holds_still(name, settings, stage):
            check_gradient_is_that_of_the_loss(model, x, present, directions=2)
            continue
        with pytest.raises(AssertionError):  # or it would not belong to these
            check_gradient_is_that_of_the_loss(model, x, present, directions=2)
