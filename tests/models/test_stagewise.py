"""Parts that stand still: no gradient, and in evaluation mode whatever the model is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.helpers import real_batch, real_modalities
from torch import Tensor, nn

from polymodal.models.stagewise import StagewiseModel
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.typing import Batch, Present

SETTINGS: dict[str, dict[str, Any]] = {"cmvae": {"diffusion": True}, "mld": {}, "staged": {}}

FROZEN: dict[str, Callable[[Any, Batch, Present], Tensor]] = {
    "cmvae": lambda model, x, present: model.vae.posterior(x, present).loc,
    "mld": lambda model, x, present: model._codes(x, present),
    "staged": lambda model, x, present: model._pair_features(model._own_features(x, present)[0]),
}


def built(recipe: str) -> StagewiseModel:
    with seeded(0):
        model = RECIPES[recipe].build(real_modalities(), latent_dim=3, **SETTINGS[recipe])
    assert isinstance(model, StagewiseModel)
    dropout = [m for part in model.learned[0] for m in part.modules() if isinstance(m, nn.Dropout)]
    assert dropout
    for one in dropout:
        one.p = 0.5
    return model


@pytest.mark.parametrize("recipe", SETTINGS)
def test_what_stands_still_says_the_same_twice(recipe: str) -> None:
    model = built(recipe)
    x, present = real_batch()
    model.enter(0)
    model.train()
    told = [FROZEN[recipe](model, x, present) for _ in range(2)]
    assert not torch.equal(*told)
    model.enter(len(model.stages) - 1)
    model.train()
    told = [FROZEN[recipe](model, x, present) for _ in range(2)]
    assert torch.equal(*told)


@pytest.mark.parametrize("recipe", SETTINGS)
def test_only_the_parts_of_a_stage_learn_in_it(recipe: str) -> None:
    model = built(recipe)
    for mode in (True, False):
        model.train(mode)
        for stage in range(len(model.stages)):
            model.enter(stage)
            for i, parts in enumerate(model.learned):
                for module in (m for part in parts for m in part.modules()):
                    assert module.training == (mode and i == stage)
                    assert all(p.requires_grad == (i == stage) for p in module.parameters(False))
