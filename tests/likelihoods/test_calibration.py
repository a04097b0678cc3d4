"""A learned scale is widened, in evaluation only, to what hidden values show."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from polymodal.likelihoods import GaussianLikelihood, LaplaceLikelihood, MixedLikelihood
from polymodal.likelihoods.scale import FEWEST_VALUES, LearnedScale
from polymodal.typing import Column

ROWS, DRAWS = 100_000, 8


def hidden_values(noise: torch.Tensor, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of K draws and values: value = centre + own latent's deviation + noise."""
    centre = torch.randn(ROWS, len(noise))
    loc = centre + spread * torch.randn(DRAWS, ROWS, len(noise))
    value = centre + spread * torch.randn(ROWS, len(noise)) + noise * torch.randn(ROWS, len(noise))
    return loc, value


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_the_noise_that_predictions_leave_is_found_whatever_their_spread(spread: float) -> None:
    noise = torch.tensor([0.5, 2.0])
    loc, value = hidden_values(noise, spread)
    scale = LearnedScale((2,), initial=0.1, floor=0.01)
    scale.calibrate(loc, value, torch.ones_like(value, dtype=torch.bool))
    scale.eval()
    assert_close(scale(), noise, rtol=0.03, atol=0.0)


def test_only_evaluation_sees_it_and_a_wide_scale_is_not_narrowed() -> None:
    loc, value = hidden_values(torch.tensor([0.5]), 0.0)
    scale = LearnedScale((1,), initial=0.1, floor=0.01)
    before = scale()
    scale.calibrate(loc, value, torch.ones_like(value, dtype=torch.bool))
    assert torch.equal(scale(), before)
    wide = LearnedScale((1,), initial=3.0)
    wide.calibrate(loc, value, torch.ones_like(value, dtype=torch.bool))
    assert torch.equal(wide.eval()(), wide.train()())


def test_what_is_not_known_does_not_matter_and_few_values_say_nothing() -> None:
    loc, value = hidden_values(torch.tensor([0.5, 0.5]), 0.0)
    there = torch.zeros(ROWS, 2, dtype=torch.bool)
    there[: ROWS // 2, 0] = True
    there[: FEWEST_VALUES - 1, 1] = True
    scale = LearnedScale((2,), initial=0.1, floor=0.01)
    scale.calibrate(loc, torch.where(there, value, torch.nan), there)
    scale.eval()
    assert_close(scale()[0], torch.tensor(0.5), rtol=0.03, atol=0.0)
    assert scale.widening[1] == 1


@pytest.mark.parametrize(
    ("likelihood", "scale"),
    [
        (GaussianLikelihood((2,), "feature", initial=0.1), 1.5),
        (GaussianLikelihood((2,), "scalar", initial=0.1), 1.5),
        (LaplaceLikelihood((2,), "feature", initial=0.1), 1.5 / 2**0.5),
    ],
)
def test_families_find_their_own_scale(likelihood: GaussianLikelihood, scale: float) -> None:
    loc, value = hidden_values(torch.tensor([1.5, 1.5]), 0.5)
    likelihood.calibrate(likelihood(loc), value, torch.ones(ROWS, dtype=torch.bool))
    found = likelihood.eval()(loc).scale
    assert_close(found, torch.full_like(found, scale), rtol=0.03, atol=0.0)


def test_numbers_of_a_table_are_calibrated_and_intervals_then_cover() -> None:
    columns = [Column("kind", "category", 3), Column("size", "number")]
    likelihood = MixedLikelihood(columns, initial=0.2)
    loc, value = hidden_values(torch.tensor([1.0]), 0.5)
    parameters = torch.cat([loc, torch.zeros(DRAWS, ROWS, 3)], -1)
    table = torch.cat([torch.zeros(ROWS, 1), value], 1)
    likelihood.calibrate(likelihood(parameters), table, torch.ones(ROWS, 2, dtype=torch.bool))
    draws = likelihood.eval()(parameters).sample()[..., 1]  # (K, B)
    # Draws and the value have one distribution, so all ranks of the value are equally likely.
    rank = (draws < value[:, 0]).sum(0)
    share = torch.bincount(rank, minlength=DRAWS + 1) / ROWS
    assert_close(share, torch.full_like(share, 1 / (DRAWS + 1)), rtol=0.0, atol=0.012)


def test_the_temperature_of_the_truth_is_found_and_only_evaluation_has_it() -> None:
    columns = [Column("a", "category", 4), Column("b", "category", 2), Column("c", "category", 3)]
    likelihood = MixedLikelihood(columns)
    logits = 3 * torch.randn(1, ROWS, 9)
    cooler = torch.cat([logits[..., :4] / 2.5, logits[..., 4:6], logits[..., 6:] / 5], -1)
    value = likelihood(cooler).sample()[0]
    there = torch.ones_like(value, dtype=torch.bool)
    there[FEWEST_VALUES - 1 :, 2] = False
    likelihood.eval()
    for _ in range(2):  # measured again, from what it gave the first time, it is the same
        likelihood.calibrate(likelihood(logits), torch.where(there, value, torch.nan), there)
        assert_close(likelihood.temperature.value, torch.tensor([2.5, 1.0, 1.0]))
    assert_close(likelihood(logits).logits[..., 0, :], (logits[..., :4] / 2.5).log_softmax(-1))
    likelihood.train()
    assert_close(likelihood(logits).logits[..., 0, :], logits[..., :4].log_softmax(-1))
