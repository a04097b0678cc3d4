"""Which latent numbers are shared and which are one modality's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.tasks.test_contract import built, rows

import polymodal as pm
from polymodal.tasks.generate import embed


def test_blocks_lie_side_by_side_and_are_all() -> None:
    model = built("polymodal")
    whole = embed(model, rows())
    shared = embed(model, rows(), "shared")
    own = [embed(model, rows(), name) for name in model.names]
    assert shared.shape[1] == model.layout.shared
    assert torch.equal(torch.cat([shared, *own], 1), whole)


@pytest.mark.parametrize("recipe", ["mopoe", "mmvm", "pcca"])
def test_where_no_block_is_shared_or_nothing_else_is_shared_means_all(recipe: str) -> None:
    model = built(recipe)
    assert torch.equal(embed(model, rows(), "shared"), embed(model, rows()))


@pytest.mark.parametrize("block", ["x", "", "a"])
def test_a_block_that_is_not_there_is_refused(block: str) -> None:
    for recipe, known in {"pcca": "all", "mopoe": "shared, all"}.items():
        with pytest.raises(ValueError, match=f"of the block '{block}'; there are {known}"):
            embed(built(recipe), rows(), block)


def test_a_modality_may_be_called_as_a_block_is() -> None:
    values = {"shared": np.random.default_rng(0).random((30, 3)), "all": np.eye(30)[:, :2]}
    data = pm.from_arrays(values)
    model = pm.MultimodalModel(epochs=1, latent_dim=4, private_dim=2, progress=False).fit(data)
    whole = model.embed(data, "all")
    assert whole.shape == (30, 4 + 2 * 2)
    assert np.array_equal(model.embed(data), whole[:, :4])
