"""The standard prior obeys the laws of priors."""

from __future__ import annotations

import pytest
import torch

from polymodal.priors import StandardPrior
from polymodal.testing import check_prior


@pytest.mark.parametrize("learn_scale", [False, True])
@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_the_standard_prior_obeys_the_laws(family: str, learn_scale: bool) -> None:
    prior = StandardPrior(3, family, learn_scale)
    if learn_scale:
        with torch.no_grad():
            prior.logits += torch.tensor([0.3, -0.2, 0.1])
    for _, law in check_prior(prior, 3):
        law()


def test_learned_scales_have_mean_one_whatever_the_parameters() -> None:
    prior = StandardPrior(4, "laplace", learn_scale=True)
    torch.testing.assert_close(prior().scale, torch.ones(4))
    with torch.no_grad():
        prior.logits += torch.tensor([3.0, -2.0, 0.0, 1.0])
    torch.testing.assert_close(prior().scale.mean(), torch.tensor(1.0))


def test_it_has_nothing_to_save_unless_it_learns() -> None:
    assert not StandardPrior(3).state_dict()
    assert set(StandardPrior(3, learn_scale=True).state_dict()) == {"logits"}


@pytest.mark.parametrize(("dim", "family"), [(0, "normal"), (2, "cauchy")])
def test_settings_that_make_no_sense_are_errors_when_made(dim: int, family: str) -> None:
    with pytest.raises(ValueError, match="StandardPrior"):
        StandardPrior(dim, family)
