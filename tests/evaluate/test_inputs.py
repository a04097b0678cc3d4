from __future__ import annotations

import numpy as np
import torch

from polymodal.evaluate.inputs import COMPONENTS, fit_block, fit_blocks, matrix
from polymodal.typing import Column


class Codec:
    """Says what a codec says of its modalities; nothing else is asked of it here."""

    def __init__(self, kinds: dict[str, str], columns: dict[str, list[Column]]) -> None:
        self.names = tuple(kinds)
        self._kinds, self._columns = kinds, columns

    def kind(self, name: str) -> str:
        return self._kinds[name]

    def columns(self, name: str) -> list[Column]:
        return self._columns[name]


NUMBER, CATEGORY = Column("a", "number"), Column("b", "category", 3)
CODEC = Codec({"t": "table", "v": "vector", "i": "image", "w": "text"}, {"t": [NUMBER, CATEGORY]})


def test_numbers_are_standardised_and_absence_is_flagged() -> None:
    x = torch.tensor([[1.0, 0], [3.0, 0], [torch.nan, 0], [5.0, 0]])
    present = ~x.isnan()
    block = fit_block(CODEC, "t", 0, {"t": x}, {"t": present})
    got = block.transform({"t": x}, {"t": present})
    scale = np.std([1, 3, 5])
    np.testing.assert_allclose(got[:, 0], [-2 / scale, 0, 0, 2 / scale])
    np.testing.assert_array_equal(got[:, 1], [0, 0, 1, 0])


def test_values_under_a_false_mask_change_nothing() -> None:
    x = {
        "t": torch.tensor([[1.0, 2.0], [2.0, 0.0], [0.5, 1.0]]),
        "v": torch.randn(3, 4),
        "i": torch.rand(3, 1, 2, 2),
        "w": torch.tensor([[5, 4, 2], [4, 2, 0], [6, 2, 0]]),
    }
    present = {
        "t": torch.tensor([[True, False], [True, True], [False, True]]),
        "v": torch.tensor([True, False, True])[:, None].expand(3, 4),
        "i": torch.tensor([False, True, True]),
        "w": torch.tensor([True, True, False]),
    }
    other = {
        "t": torch.where(present["t"], x["t"], torch.nan),
        "v": torch.where(present["v"], x["v"], torch.nan),
        "i": torch.where(present["i"][:, None, None, None], x["i"], torch.nan),
        "w": torch.where(present["w"][:, None], x["w"], 9),
    }
    one, two = fit_blocks(CODEC, x, present), fit_blocks(CODEC, other, present)
    assert list(one) == [("t", "a"), ("t", "b"), ("v", None), ("i", None), ("w", None)]
    for part, block in one.items():
        np.testing.assert_array_equal(
            block.transform(x, present), two[part].transform(other, present)
        )


def test_categories_are_one_hot_around_their_shares() -> None:
    x = {"t": torch.tensor([[0.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 1.0]])}
    present = {"t": torch.ones(4, 2, dtype=torch.bool)}
    got = fit_block(CODEC, "t", 1, x, present).transform(x, present)
    expected = np.eye(3)[[0, 2, 2, 1]] - [0.25, 0.25, 0.5]
    np.testing.assert_allclose(got, expected)


def test_words_are_counted() -> None:
    x = {"w": torch.tensor([[7, 7, 5, 2, 0], [5, 2, 0, 0, 0]])}
    present = {"w": torch.tensor([True, True])}
    block = fit_block(CODEC, "w", None, x, present)
    assert block.words.tolist() == [5, 7]
    got = block.transform(x, present) * block.scale + block.centre
    np.testing.assert_allclose(got, [[1, 2], [1, 0]])
    unseen = {"w": torch.tensor([[9, 4, 7, 2, 0]])}
    got = block.transform(unseen, {"w": torch.tensor([True])}) * block.scale + block.centre
    np.testing.assert_allclose(got, [[0, 1]])


def test_wide_images_are_reduced_to_components() -> None:
    rank = torch.rand(40, 3) @ torch.rand(3, 144)
    x = {"i": rank.reshape(40, 1, 12, 12)}
    present = {"i": torch.ones(40, dtype=torch.bool)}
    block = fit_block(CODEC, "i", None, x, present)
    got = block.transform(x, present)
    assert got.shape[1] <= COMPONENTS
    flat = (rank.double().numpy() - block.centre) / block.scale
    # Distances are kept, as the axes are orthonormal and hold all the variance.
    np.testing.assert_allclose(
        np.linalg.norm(got[0] - got[1:], axis=1),
        np.linalg.norm(flat[0] - flat[1:], axis=1),
        rtol=1e-4,
    )


def test_what_nobody_has_gives_no_information() -> None:
    x = {
        "t": torch.full((3, 2), torch.nan),
        "v": torch.full((3, 2), torch.nan),
        "i": torch.zeros(3, 1, 12, 12),
        "w": torch.zeros(3, 4, dtype=torch.long),
    }
    present = {
        "t": torch.zeros(3, 2).bool(),
        "v": torch.zeros(3, 2).bool(),
        "i": torch.zeros(3).bool(),
        "w": torch.zeros(3).bool(),
    }
    for block in fit_blocks(CODEC, x, present).values():
        assert not block.transform(x, present).any()


def test_what_is_asked_for_is_not_among_the_inputs() -> None:
    parts = {("t", "a"): 1.0, ("t", "b"): 2.0, ("v", None): 3.0}
    matrices = {part: np.full((2, 1), value) for part, value in parts.items()}
    assert matrix(matrices, ("t", None), 2).tolist() == [[3.0]] * 2
    assert matrix(matrices, ("t", "a"), 2).tolist() == [[2.0, 3.0]] * 2
    assert matrix(matrices, ("v", None), 2).tolist() == [[1.0, 2.0]] * 2
    assert matrix({}, ("v", None), 2).shape == (2, 0)
