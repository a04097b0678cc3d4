"""Coherence, probes and fidelity of every recipe, on rows with holes of every kind."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import COLUMNS, TABLE, real_batch, real_modalities

from polymodal.data.tensors import Tensors
from polymodal.evaluate.judge import Judge, JudgeInput
from polymodal.evaluate.judged import evaluate_coherence
from polymodal.evaluate.probe import linear_probe
from polymodal.random import seeded
from polymodal.recipes import RECIPES


def rows(fill: float) -> tuple[Tensors, torch.Tensor]:
    """Rows with ``fill`` wherever nothing is there, and their classes."""
    x, present = real_batch(12)
    filled = {}
    for name, value in x.items():
        here = present[name].reshape(*present[name].shape, *(1,) * (value.ndim - 2))
        here = here if here.ndim == value.ndim else here[..., None]
        what = fill if value.is_floating_point() else 8
        filled[name] = torch.where(here.reshape(*here.shape[: value.ndim]), value, what)
    return Tensors(filled, present), torch.arange(12) % 3


def judges(source: Tensors) -> dict[str, Judge]:
    """Judges with weights as they were drawn: they tell values apart by anything."""
    with seeded(0):
        return {
            name: Judge(
                JudgeInput.of(x, COLUMNS if name == TABLE else (), vocabulary=9), "xyz", 4
            ).eval()
            for name, x in source.x.items()
        }


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_can_be_judged_and_no_hole_is_read(recipe: str) -> None:
    with seeded(1):
        model = RECIPES[recipe].build(real_modalities(), latent_dim=3).train()
    model.rough = True
    (here, codes), (there, _) = rows(0.0), rows(float("nan"))
    state = torch.get_rng_state()
    said, other = (
        evaluate_coherence(model, source, codes, judges(here), samples=6, resamples=5)
        for source in (here, there)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert said.to_json() == other.to_json()
    assert (said.joint is None) == ("generate" in model.lacks)
    assert len(said.conditional.pairs) == 15 * 4
    probe = linear_probe(model, here, codes, there, codes, resamples=5)
    given = {row.given for row in probe.rows}
    assert given <= {*((name,) for name in model.names), model.names}
    assert len({tuple(row.given) for row in probe.rows if not row.private}) + len(probe.notes) == 5
