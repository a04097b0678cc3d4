"""Encoded rows are gathered by index, all at once."""

from __future__ import annotations

import pytest
import torch

from polymodal.data import Tensors


@pytest.fixture
def tensors() -> Tensors:
    return Tensors(
        {"a": torch.arange(12.0).reshape(4, 3), "b": torch.arange(4)},
        {"a": torch.eye(4, 3).bool(), "b": torch.tensor([True, False, True, True])},
    )


def test_gather_equals_indexing(tensors: Tensors) -> None:
    index = torch.tensor([2, 0, 2])
    x, present = tensors.gather(index)
    for name in tensors.names:
        assert torch.equal(x[name], tensors.x[name][index])
        assert torch.equal(present[name], tensors.present[name][index])


def test_rows_select_and_move(tensors: Tensors) -> None:
    assert len(tensors.rows(slice(1, 3))) == 2
    assert tensors.rows(slice(1, 3)).x["a"].data_ptr() == tensors.x["a"][1:].data_ptr()
    assert len(tensors.rows(torch.tensor([True, False, False, True]))) == 2
    assert tensors.select(["b"]).names == ("b",)
    assert tensors.to("cpu").device == torch.device("cpu")
    assert tensors.nbytes == 12 * 4 + 4 * 8 + 12 + 4
    with pytest.raises(ValueError, match="no modality 'c'"):
        tensors.select(["c"])


@pytest.mark.parametrize(
    ("x", "present", "said"),
    [
        ({}, {}, "at least one"),
        ({"a": torch.zeros(3)}, {"b": torch.ones(3).bool()}, "same names"),
        ({"a": torch.zeros(3)}, {"a": torch.ones(3)}, "must be bool"),
        ({"a": torch.zeros(3)}, {"a": torch.ones(2).bool()}, "shape"),
        ({"a": torch.zeros(3, 2)}, {"a": torch.ones(3, 1).bool()}, "shape"),
        (
            {"a": torch.zeros(3), "b": torch.zeros(2)},
            {"a": torch.ones(3).bool(), "b": torch.ones(2).bool()},
            "number of rows",
        ),
    ],
)
def test_what_does_not_fit_is_refused(x: dict, present: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Tensors(x, present)
