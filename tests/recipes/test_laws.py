"""Every recipe obeys the laws, with default settings and with others."""

from __future__ import annotations

import pytest
from tests.helpers import real_batch, real_modalities

from polymodal.recipes import RECIPES
from polymodal.testing.recipe import check_recipe

CASES = [
    ("mvae", {}),
    ("mvae", {"subsets": 2, "private_dim": 1}),
    ("mmvae", {}),
    ("mmvae", {"samples": 3}),
    ("mmvae", {"samples": 2, "estimator": "iwae", "family": "normal"}),
    ("mopoe", {}),
    ("mopoe", {"private_dim": 2, "max_strata": 5}),
    ("mvtcae", {}),
    ("mvtcae", {"private_dim": 1}),
    ("jmvae", {}),
    ("jmvae", {"private_dim": 1, "subsets": 2}),
]


def test_every_recipe_is_listed() -> None:
    assert {name for name, _ in CASES} == set(RECIPES)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
def test_every_recipe_obeys_the_laws(name: str, settings: dict) -> None:
    x, present = real_batch()
    settings = {"latent_dim": 4, **settings}
    for law_name, law in check_recipe(RECIPES[name], real_modalities, x, present, settings):
        if settings.get("max_strata") and "rows_are_independent" in law_name:
            continue  # drawn strata: another draw for a row that stands elsewhere
        law()
