"""Shared and private blocks: who reads which."""

from __future__ import annotations

import pytest
import torch

from polymodal.latent import LatentLayout

LAYOUT = LatentLayout(2, {"a": 1, "type": 0, "a.b": 3})


def test_every_modality_reads_the_shared_block_and_its_own() -> None:
    z = torch.arange(6.0).expand(5, 4, 6)
    assert LAYOUT.dim == 6
    for name, expected in (("a", [0, 1, 2]), ("type", [0, 1]), ("a.b", [0, 1, 3, 4, 5])):
        read = LAYOUT.select(z, name)
        assert read.shape == (5, 4, LAYOUT.dim_of(name))
        assert read[0, 0].tolist() == expected


def test_private_presence_follows_the_owner() -> None:
    on = torch.tensor([[True, False], [True, True], [False, True]])  # (M, B)
    assert LAYOUT.private_on(on).tolist() == [
        [True, False, False, False],
        [False, True, True, True],
    ]
    several = on.unsqueeze(1).expand(3, 4, 2)
    assert LAYOUT.private_on(several).shape == (4, 2, 4)


def test_a_dimension_is_told_of_by_its_owner_or_if_shared_by_anything() -> None:
    on = torch.tensor([[True, False, False], [True, True, False], [False, True, False]])  # (M, B)
    informed = LAYOUT.informed(on)
    assert informed[:, :2].tolist() == [[True] * 2, [True] * 2, [False] * 2]
    assert torch.equal(informed[:, 2:], LAYOUT.private_on(on))
    assert LAYOUT.informed(on.unsqueeze(1).expand(3, 4, 3)).shape == (4, 3, 6)
    none = LatentLayout(2, {"a": 0, "b": 0, "c": 0})
    assert torch.equal(none.informed(on), informed[:, :2])


def test_without_private_blocks_nothing_is_copied() -> None:
    z = torch.randn(3, 2)
    assert LatentLayout(2, {"a": 0, "b": 0}).select(z, "b") is z


def test_the_layout_has_nothing_to_save() -> None:
    assert not LAYOUT.state_dict()
    assert LAYOUT.to(torch.float64).owner.dtype == torch.long


@pytest.mark.parametrize(
    ("shared", "private"), [(0, {"a": 1, "b": 0}), (-1, {"a": 1}), (2, {"a": -1})]
)
def test_sizes_that_make_no_sense_are_errors(shared: int, private: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="LatentLayout"):
        LatentLayout(shared, private)
