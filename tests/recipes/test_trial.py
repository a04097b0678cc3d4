"""Settings are checked on two small modalities: what is taken passes, the rest not."""

from __future__ import annotations

import pytest
import torch
from tests.recipes.recipe_cases import cases_of

from polymodal.recipes import RECIPES
from polymodal.recipes.trial import check_settings


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_what_a_recipe_takes_passes(name: str) -> None:
    cases, recipe = cases_of(name), RECIPES[name]
    under = getattr(cases, "UNDER", {})
    tried = [*cases.SETTINGS, *({**under.get(k, {}), k: v} for k, v in cases.OTHER.items())]
    for settings in tried:
        check_settings(recipe, settings)


def test_the_parts_say_what_is_wrong_and_the_callers_randomness_is_left_alone() -> None:
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="TotalCorrelation: alpha must be between 0 and 1"):
        check_settings(RECIPES["mvtcae"], {"alpha": 2.0})
    check_settings(RECIPES["mfm"], {"target": "a modality of data that nobody has read"})
    with pytest.raises(ValueError, match="no setting 'bta'"):
        check_settings(RECIPES["mvtcae"], {"bta": 2.0})
    assert torch.equal(state, torch.get_rng_state())
