"""Which latent numbers are shared and which are one modality's own."""

from __future__ import annotations

import pytest
import torch
from tests.tasks.test_contract import built, rows

from polymodal.tasks.blocks import read_by
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


def test_a_block_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no latent number is of the block 'x'; there are no bl"):
        read_by(built("pcca"), torch.zeros(2, 3), "x")
    with pytest.raises(ValueError, match="there are shared"):
        read_by(built("mopoe"), torch.zeros(2, 3), "x")
