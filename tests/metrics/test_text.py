from __future__ import annotations

from collections import Counter

import torch

from polymodal.metrics import token_f1_error


def f1(a: list[int], b: list[int]) -> float:
    shared = sum((Counter(a) & Counter(b)).values())
    if not a and not b:
        return 1.0
    if not shared:
        return 0.0
    precision, recall = shared / len(a), shared / len(b)
    return 2 * precision * recall / (precision + recall)


def row(words: list[int], length: int) -> list[int]:
    return [*words, 2, *[0] * length][:length]


def test_token_f1_is_that_of_multisets() -> None:
    draws = torch.randint(4, 9, (60, 12)).tolist()
    texts = [words[: i % 7] for i, words in enumerate(draws)]
    others = [words[6 : 6 + (i * 5) % 7] for i, words in enumerate(draws)]
    a = torch.tensor([row(t, 8) for t in texts])
    b = torch.tensor([row(t, 8) for t in others])
    expected = torch.tensor([1 - f1(s, t) for s, t in zip(texts, others, strict=True)])
    torch.testing.assert_close(token_f1_error(a, b), expected.double())
    torch.testing.assert_close(token_f1_error(b, a), expected.double())


def test_order_and_what_follows_the_end_do_not_matter() -> None:
    a = torch.tensor([[5, 6, 7, 2, 0], [2, 0, 0, 0, 0]])
    b = torch.tensor([[7, 5, 6, 2, 9], [2, 4, 4, 4, 4]])
    assert token_f1_error(a, b).tolist() == [0.0, 0.0]


def test_nothing_in_common_is_the_whole_error() -> None:
    assert token_f1_error(torch.tensor([[4, 2]]), torch.tensor([[5, 2]])).tolist() == [1.0]
    assert token_f1_error(torch.tensor([[2, 0]]), torch.tensor([[5, 2]])).tolist() == [1.0]


def test_an_unknown_word_is_in_common_with_none() -> None:
    a = torch.tensor([[3, 2, 0, 0], [3, 3, 2, 0], [3, 5, 2, 0]])
    b = torch.tensor([[3, 2, 0, 0], [5, 3, 2, 0], [3, 5, 6, 2]])
    assert token_f1_error(a, b).tolist() == [1.0, 1.0, 1 - 2 * 1 / 5]
