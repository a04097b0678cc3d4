"""Likelihoods: what their learned numbers, layouts and errors must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from polymodal.distributions.tokens import UNKNOWN
from polymodal.likelihoods import (
    AutoregressiveTextLikelihood,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    Likelihood,
    MixedLikelihood,
    NegativeBinomialLikelihood,
    OrdinalLikelihood,
    TokenLikelihood,
)
from polymodal.networks.mlp import MLPDecoder
from polymodal.networks.text import TextContext, TextStepDecoder
from polymodal.typing import Column

COLUMNS = (
    Column("island", "category", 3),
    Column("mass", "number"),
    Column("grade", "ordinal", 4),
    Column("eggs", "count"),
    Column("sex", "category", 2),
    Column("income", "positive"),
)


def fit(likelihood: Likelihood, value: Tensor, steps: int, lr: float = 0.01) -> Tensor:
    """Parameters, one row for all, that maximise the likelihood of the values."""
    parameters = torch.zeros(1, *likelihood.parameter_shape, requires_grad=True)
    optimiser = torch.optim.Adam([parameters, *likelihood.parameters()], lr=lr, fused=True)
    for _ in range(steps):
        optimiser.zero_grad()
        (-likelihood(parameters).log_prob(value)).mean().backward()
        optimiser.step()
    return parameters.detach()


@pytest.mark.parametrize("scale", ["scalar", "feature", "output"])
def test_scales_start_at_their_initial_value(scale: str) -> None:
    likelihood = GaussianLikelihood(3, scale, initial=0.7)
    observed = likelihood(torch.zeros(2, *likelihood.parameter_shape))
    torch.testing.assert_close(
        observed.scale, torch.full_like(observed.scale, 0.7), rtol=1e-5, atol=0
    )


def test_scales_stay_above_their_floor() -> None:
    likelihood = LaplaceLikelihood(2, "feature", floor=0.1)
    with torch.no_grad():
        likelihood.learned.raw.fill_(-1e4)
    assert (likelihood(torch.zeros(1, 2)).scale >= 0.1).all()


@pytest.mark.parametrize("scale", ["scalar", "feature"])
def test_a_learned_gaussian_scale_reaches_the_maximum_likelihood(scale: str) -> None:
    value = torch.randn(500, 2) * torch.tensor([0.05, 0.1])
    likelihood = GaussianLikelihood(2, scale)
    loc = fit(likelihood, value, 400)
    square = (value - loc).square()
    best = square.mean(0).sqrt() if scale == "feature" else square.mean().sqrt()
    learned = likelihood.learned().detach()
    torch.testing.assert_close(learned, best, rtol=0.03, atol=0)


@pytest.mark.parametrize("make", ["alone", "table"])
def test_counts_start_at_their_mean_and_spread(make: str) -> None:
    rate = torch.distributions.Gamma(4.0, 4.0).sample((4000, 1))
    value = torch.poisson(3000 * rate)  # a negative binomial of size 4
    cells = torch.rand(4000, 1) < 0.8
    if make == "alone":
        likelihood = NegativeBinomialLikelihood(1)
    else:
        likelihood = MixedLikelihood([Column("n", "number"), Column("k", "count")])
        value, cells = value.expand(-1, 2), cells.expand(-1, 2)
    hidden = torch.where(cells, value, torch.nan)
    likelihood.start_from(hidden, cells)
    observed = likelihood(torch.zeros(1, *likelihood.parameter_shape))
    counts = observed if make == "alone" else observed.counts
    known = value[:, -1][cells[:, -1]]
    torch.testing.assert_close(counts.mean[0, 0], known.mean(), rtol=1e-4, atol=0)
    assert abs(counts.log_size.exp().item() / 4 - 1) < 0.15


def test_columns_that_nobody_has_keep_their_start() -> None:
    likelihood = NegativeBinomialLikelihood(2, initial=5.0)
    likelihood.start_from(torch.full((6, 2), torch.nan), torch.zeros(6) > 0)
    torch.testing.assert_close(
        likelihood(torch.zeros(1, 2)).mean, torch.full((1, 2), 5.0), rtol=0.02, atol=0
    )


def test_a_table_without_counts_has_no_start_to_find() -> None:
    likelihood = MixedLikelihood(COLUMNS[:3])
    before = {k: v.clone() for k, v in likelihood.state_dict().items()}
    likelihood.start_from(torch.zeros(4, 3))
    assert all(torch.equal(before[k], v) for k, v in likelihood.state_dict().items())


def test_count_means_cannot_overflow() -> None:
    likelihood = NegativeBinomialLikelihood(1)
    x = torch.tensor([[1e6], [-1e6]], requires_grad=True)
    observed = likelihood(x)
    score = observed.log_prob(torch.tensor([[0.0], [1e6]]))
    score.sum().backward()
    assert score.isfinite().all()
    assert x.grad.isfinite().all()
    assert observed.mean.max() < 1e7


def test_thresholds_start_with_equal_probabilities_and_stay_ordered() -> None:
    likelihood = OrdinalLikelihood(5)
    torch.testing.assert_close(
        likelihood(torch.zeros(1, 1)).statistics, torch.full((1, 5), 0.2), rtol=1e-5, atol=0
    )
    with torch.no_grad():
        likelihood.learned.raw.normal_(std=10)
    cuts = likelihood.learned().upper[0, :-1]
    assert (cuts.diff() > 0).all()


@pytest.mark.parametrize("levels", [2, 10])
def test_a_decoder_reaches_a_probability_of_999(levels: int) -> None:
    # A sigmoid before the softmax would cap ten classes at e / (e + 9) = .23.
    likelihood = CategoricalLikelihood(levels)
    decoder = MLPDecoder(levels, likelihood.parameter_shape, (16,))
    code = torch.arange(levels)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        (-likelihood(decoder(torch.eye(levels))).log_prob(code)).mean().backward()
        optimiser.step()
    assert (likelihood(decoder(torch.eye(levels))).log_prob(code).exp() > 0.999).all()


def test_layout_of_a_table() -> None:
    likelihood = MixedLikelihood(COLUMNS)
    # [mass, income | eggs | grade | island x 3, sex x 2]
    assert likelihood.parameter_shape == (9,)
    assert [(s.start, s.stop) for s in likelihood.parameter_slices] == [
        (4, 7),
        (0, 1),
        (3, 4),
        (2, 3),
        (7, 9),
        (1, 2),
    ]
    parameters = torch.randn(5, 9)
    statistics = likelihood(parameters).statistics
    alone = [MixedLikelihood([c]) for c in COLUMNS]
    for one, own, place in zip(
        alone, likelihood.parameter_slices, likelihood.statistic_slices, strict=True
    ):
        torch.testing.assert_close(statistics[:, place], one(parameters[:, own]).statistics)


def test_a_table_is_the_sum_of_its_columns() -> None:
    likelihood = MixedLikelihood(COLUMNS)
    parameters = torch.randn(3, 5, 9)
    value = likelihood(parameters[0]).sample()
    cells = torch.rand(5, 6) < 0.7
    each = torch.stack(
        [
            MixedLikelihood([c])(parameters[..., own]).log_prob(value[:, p : p + 1])
            for p, (c, own) in enumerate(zip(COLUMNS, likelihood.parameter_slices, strict=True))
        ],
        -1,
    )
    observed = likelihood(parameters)
    torch.testing.assert_close(observed.cell_log_prob(value), each)
    torch.testing.assert_close(
        observed.log_prob(value, cells), torch.where(cells, each, 0).sum(-1)
    )
    hidden = torch.where(cells, value, torch.nan)
    assert torch.equal(
        observed.cell_log_prob(hidden, cells),
        torch.where(cells, observed.cell_log_prob(value), 0),
    )


def test_the_lone_likelihoods_agree_with_the_table() -> None:
    parameters = torch.randn(5, 3)
    code = torch.tensor([0, 1, 2, 1, 0])
    table = MixedLikelihood([Column("c", "category", 3)])
    torch.testing.assert_close(
        table(parameters).log_prob(code[:, None].float()),
        CategoricalLikelihood(3)(parameters).log_prob(code),
    )
    table = MixedLikelihood([Column("o", "ordinal", 3)])
    torch.testing.assert_close(
        table(parameters[:, :1]).log_prob(code[:, None].float()),
        OrdinalLikelihood(3)(parameters[:, :1]).log_prob(code),
    )


def test_points_of_a_table_are_codes_and_counts() -> None:
    likelihood = MixedLikelihood(COLUMNS)
    point = likelihood.point(likelihood(torch.randn(7, 9)).statistics)
    codes = point[:, [0, 2, 3, 4]]
    assert torch.equal(codes, codes.round())
    assert (codes >= 0).all()
    assert (point[:, 0] < 3).all()


def test_the_networks_for_text_fit_the_likelihood() -> None:
    step = TextStepDecoder(8, 5, 9, width=8, layers=1, heads=2)
    likelihood = AutoregressiveTextLikelihood(5, 9, step).eval()
    context = TextContext(2, 8, (8,))(torch.randn(4, 2)).detach()
    observed = likelihood(context)
    text = observed.mode
    torch.testing.assert_close(
        likelihood(context[1:2]).log_prob(text[1:2]), observed.log_prob(text)[1:2]
    )
    # Generating shows the network no more than scoring does.
    logits = step(context, text)[:, :, 2:]
    written = text != 0
    assert torch.equal(logits.argmax(-1)[written] + 2, text[written])
    assert not observed.averages


class Listening(nn.Module):
    """A step network that keeps what it is shown."""

    context_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.shown = torch.zeros(0)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        self.shown = tokens
        return context.new_zeros(*tokens.shape, 9)


def test_tokens_are_dropped_in_training_only() -> None:
    step = Listening()
    likelihood = AutoregressiveTextLikelihood(40, 9, step, token_dropout=0.5)
    text = torch.full((10, 40), 5)
    text[:, 20:] = 0
    scored = likelihood.train()(torch.zeros(10, 2)).log_prob(text)
    share = (step.shown[:, :20] == UNKNOWN).double().mean()
    assert 0.3 < share < 0.7
    assert step.shown.shape[1] < 40, "what stands behind the ends of all texts is not read"
    assert (step.shown[:, 20:] == 0).all()
    torch.testing.assert_close(scored, torch.full((10,), -20 * math.log(7)))
    likelihood.eval()(torch.zeros(10, 2)).log_prob(text)
    assert torch.equal(step.shown, text[:, : step.shown.shape[1]])


@pytest.mark.parametrize("kind", ["gaussian", "mixed", "tokens"])
def test_autocast_leaves_the_likelihood_in_float32(kind: str) -> None:
    likelihood = {
        "gaussian": lambda: GaussianLikelihood(4, "feature"),
        "mixed": lambda: MixedLikelihood(COLUMNS),
        "tokens": lambda: TokenLikelihood(3, 5),
    }[kind]()
    parameters = torch.randn(6, *likelihood.parameter_shape).bfloat16()
    value = likelihood(parameters).sample()
    plain = likelihood(parameters).log_prob(value)
    with torch.autocast("cpu", torch.bfloat16):
        cast = likelihood(parameters).log_prob(value)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianLikelihood(()), "shape"),
        (lambda: GaussianLikelihood(3, "row"), "'scalar', 'feature', 'output'"),
        (lambda: GaussianLikelihood(3, -1.0), "positive"),
        (lambda: GaussianLikelihood(3, floor=2.0), "floor < initial"),
        (lambda: GaussianLikelihood(3, "output", floor=2.0), "floor < initial"),
        (lambda: LaplaceLikelihood(3, rate=0.0), "rate"),
        (lambda: CategoricalLikelihood(0), "levels must be at least 1"),
        (lambda: OrdinalLikelihood(0), "levels must be at least 1"),
        (lambda: NegativeBinomialLikelihood(2, initial=0.0), "initial"),
        (lambda: TokenLikelihood(0, 9), "length"),
        (lambda: TokenLikelihood(3, 2), "vocabulary"),
        (lambda: AutoregressiveTextLikelihood(3, 9, nn.Identity()), "context_features"),
        (lambda: AutoregressiveTextLikelihood(3, 9, Listening(), token_dropout=1.0), "dropout"),
        (lambda: MixedLikelihood([]), "at least one column"),
        (lambda: BernoulliLikelihood(3)(torch.zeros(2, 4)), "parameter_shape"),
        (lambda: BernoulliLikelihood(3)(torch.zeros(2, 3)).log_prob(torch.zeros(2, 4)), "value"),
        (
            lambda: BernoulliLikelihood(3)(torch.zeros(2, 3)).log_prob(
                torch.zeros(2, 3), torch.ones(2, 4) > 0
            ),
            "cells",
        ),
    ],
)
def test_errors_say_what_was_got_and_expected(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
