"""Randomness is borrowed and given back."""

from __future__ import annotations

import pytest
import torch

from polymodal.random import derive_seed, seeded


def test_the_same_seed_gives_the_same_draws_and_the_callers_state_is_left() -> None:
    before = torch.get_rng_state()
    with seeded(5):
        one = torch.rand(3)
    with seeded(5):
        assert torch.equal(torch.rand(3), one)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_state_comes_back_after_an_error_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), seeded(1):
        torch.rand(2) @ torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_none_draws_from_the_caller() -> None:
    state = torch.get_rng_state()
    with seeded(None):
        one = torch.rand(3)
    torch.set_rng_state(state)
    assert torch.equal(torch.rand(3), one)


def test_derived_seeds_are_fit_for_torch_and_all_different() -> None:
    seeds = {derive_seed(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(seeds) == 8000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(-1, 0) != derive_seed(1, 0)
    assert derive_seed(1) != derive_seed(1, 0)
    assert derive_seed(1, 2) == derive_seed(1, 2)
    ones = sum(bin(seed).count("1") for seed in seeds) / 8000 / 63
    assert 0.49 < ones < 0.51
    with seeded(derive_seed(2**62, 7)):
        assert torch.rand(1).shape == (1,)
