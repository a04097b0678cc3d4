"""The whole way on real rows: codec, a small model, the questions, the verdict."""

from __future__ import annotations

import json

import pytest
import torch

from polymodal.data.bundled import load_bundled
from polymodal.data.codec import DataCodec
from polymodal.data.modalities import NetworkSettings, modalities_of
from polymodal.evaluate import evaluate_skill
from polymodal.random import seeded
from polymodal.recipes import get_recipe


def test_penguins_are_judged_in_their_own_units() -> None:
    data = load_bundled("penguins")
    train, test = data[:200], data[200:260]
    codec = DataCodec.fit(train)
    with seeded(0):
        modalities = modalities_of(codec, NetworkSettings(hidden=(8,)))
        model = get_recipe("mvae").build(modalities, latent_dim=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x_test, x_train = codec.encode(test, unseen="missing"), codec.encode(train)
    result = evaluate_skill(model, codec, x_test, x_train, draws=20, bootstrap=50)

    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    columns = {column.name for name in codec.names for column in codec.columns(name)}
    assert {row.column for row in result.rows} == columns
    mass = next(row for row in result.rows if row.column == "body_mass_g")
    assert mass.mean is not None
    assert 300 < mass.mean.value < 1500  # grams, not standard deviations
    assert mass.coverage is not None
    assert 0 <= mass.coverage.value <= 1
    for row in result.rows:
        best = [e.value for e in (row.mean, row.linear, row.knn) if e is not None]
        assert getattr(row, row.best_baseline).value == min(best)
        assert row.skill.value == pytest.approx(1 - row.model.value / min(best), abs=1e-6)
    json.dumps(result.to_dict(), allow_nan=False)
    # A model that was never trained must not be praised.
    assert "Recommended: use the model throughout." not in result.verdict
