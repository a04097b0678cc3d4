"""Observed distributions against scipy, torch.distributions and what can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch.nn import functional

from polymodal.distributions.counts import NegativeBinomialObserved
from polymodal.distributions.factorised import (
    BernoulliObserved,
    CategoricalObserved,
    GaussianObserved,
    LaplaceObserved,
)
from polymodal.distributions.ordinal import OrdinalObserved, Thresholds
from polymodal.distributions.tokens import (
    END,
    PAD,
    AutoregressiveObserved,
    TokenObserved,
    end_texts,
)

F64 = torch.float64


def close(got: torch.Tensor, expected: object, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=F64), rtol=rtol, atol=1e-10)


@pytest.mark.parametrize("size", ["scalar", "feature", "output"])
@pytest.mark.parametrize(
    ("observed", "truth"), [(GaussianObserved, stats.norm), (LaplaceObserved, stats.laplace)]
)
def test_location_scale_equals_scipy(observed: type, truth: object, size: str) -> None:
    loc, value = torch.randn(4, 5, 2, 3, dtype=F64), torch.randn(5, 2, 3, dtype=F64)
    shape = {"scalar": (), "feature": (2, 3), "output": (4, 5, 2, 3)}[size]
    scale = torch.rand(shape, dtype=F64) + 0.1
    expected = torch.as_tensor(truth.logpdf(value.numpy(), loc.numpy(), scale.numpy()))
    close(observed(loc, scale, (2, 3)).log_prob(value), expected.sum((-2, -1)))
    cells = torch.rand(5, 2, 3) < 0.6
    got = observed(loc, scale, (2, 3)).log_prob(torch.where(cells, value, torch.nan), cells)
    close(got, torch.where(cells, expected, 0).sum((-2, -1)))


@pytest.mark.parametrize("observed", [GaussianObserved, LaplaceObserved])
def test_gradients_of_location_and_scale_are_exact(observed: type) -> None:
    loc = torch.randn(3, 4, dtype=F64, requires_grad=True)
    scale = torch.tensor(0.7, dtype=F64, requires_grad=True)
    value = torch.randn(3, 4, dtype=F64)
    assert torch.autograd.gradcheck(
        lambda m, s: observed(m, s, (4,)).log_prob(value), (loc, scale)
    )


def test_laplace_has_no_gradient_at_its_location() -> None:
    loc = torch.ones(2, 3, requires_grad=True)
    LaplaceObserved(loc, torch.tensor(1.0), (3,)).log_prob(torch.ones(2, 3)).sum().backward()
    assert (loc.grad == 0).all()


def test_bernoulli_equals_scipy_and_scores_grey_values() -> None:
    logits = torch.randn(4, 5, 3, dtype=F64) * 3
    value = (torch.rand(5, 3) < 0.5).to(F64)
    observed = BernoulliObserved(logits, (3,))
    expected = stats.bernoulli.logpmf(value.numpy(), logits.sigmoid().numpy()).sum(-1)
    close(observed.log_prob(value), expected)
    grey = torch.rand(5, 3, dtype=F64)
    p = logits.sigmoid()
    close(observed.log_prob(grey), (grey * p.log() + (1 - grey) * (-p).log1p()).sum(-1))


def test_category_equals_torch() -> None:
    logits, code = torch.randn(4, 5, 3, dtype=F64), torch.tensor([0, 1, 2, 0, 1])
    truth = torch.distributions.Categorical(logits=logits)
    observed = CategoricalObserved(logits)
    close(observed.log_prob(code), truth.log_prob(code))
    close(observed.statistics, truth.probs)
    assert torch.equal(observed.mode, logits.argmax(-1))


@pytest.mark.parametrize("size", [0.05, 1.0, 20.0, 3000.0])
@pytest.mark.parametrize("mean", [0.01, 3.0, 1e6])
def test_counts_equal_scipy(mean: float, size: float) -> None:
    value = torch.tensor([[0.0], [1], [7], [mean // 1], [2e6]], dtype=F64)
    log_mean, log_size = (torch.tensor(v, dtype=F64).log() for v in (mean, size))
    observed = NegativeBinomialObserved(log_mean.expand(5, 1), log_size.expand(1), (1,))
    expected = stats.nbinom.logpmf(value.numpy(), size, size / (size + mean)).sum(-1)
    close(observed.log_prob(value), expected, rtol=1e-7)
    mode = observed.mode[0].item()
    around = torch.tensor([[mode], [mode + 1], [max(mode - 1, 0)]], dtype=F64)
    scores = NegativeBinomialObserved(log_mean.expand(3, 1), log_size, (1,)).log_prob(around)
    assert (scores[0] >= scores - 1e-8).all()


def test_large_counts_keep_their_digits_in_float32() -> None:
    value, log_mean = torch.tensor([[1e6]]), torch.tensor([[1.01e6]]).log()
    observed = NegativeBinomialObserved(log_mean, torch.tensor([5.0]).log(), (1,))
    expected = stats.nbinom.logpmf(1e6, 5, 5 / (5 + 1.01e6))
    assert abs(observed.log_prob(value).item() - expected) < 1e-3


def ordinal(cuts: list[float]) -> Thresholds:
    inner, inf = torch.tensor([cuts], dtype=F64), torch.full((1, 1), torch.inf, dtype=F64)
    lower, upper = torch.cat([-inf, inner], 1), torch.cat([inner, inf], 1)
    return Thresholds(lower, upper, (-torch.expm1(lower - upper)).log())


def test_ordinal_is_a_difference_of_sigmoids() -> None:
    cuts = [-1.0, 0.2, 2.5]
    eta = torch.randn(7, 6, 1, dtype=F64)
    below = torch.cat(
        [
            torch.zeros(7, 6, 1),
            (torch.tensor(cuts, dtype=F64) - eta).sigmoid(),
            torch.ones(7, 6, 1),
        ],
        -1,
    )
    observed = OrdinalObserved(eta, ordinal(cuts))
    close(observed.statistics, below.diff(dim=-1))
    code = torch.tensor([0, 1, 2, 3, 2, 1])
    expected = below.diff(dim=-1).log().gather(-1, code.expand(7, 6)[..., None])[..., 0]
    close(observed.log_prob(code), expected)


def test_ordinal_keeps_its_digits_far_out() -> None:
    eta = torch.tensor([[200.0]], requires_grad=True)
    score = OrdinalObserved(eta, Thresholds(*(t.float() for t in vars(ordinal([0, 1])).values())))
    value = score.log_prob(torch.tensor([1]))
    value.sum().backward()
    # P = s(1 - eta) - s(-eta) = e^-eta (e - 1) far out
    assert abs(value.item() - (-200 + torch.tensor(torch.e - 1).log().item())) < 1e-3
    assert abs(eta.grad.item() + 1) < 1e-5


def test_padding_is_not_scored_and_the_end_token_is() -> None:
    logits = torch.randn(1, 4, 6, dtype=F64)
    text = torch.tensor([[4, END, PAD, PAD]])
    words = logits[0, :, 2:].log_softmax(-1)
    close(TokenObserved(logits).log_prob(text), (words[0, 2] + words[1, 0]).reshape(1))


def test_texts_end_after_their_end_token() -> None:
    tokens = torch.tensor([[4, END, 5, END], [4, 5, 4, 5], [END, 4, 4, 4]])
    expected = torch.tensor([[4, END, 0, 0], [4, 5, 4, 5], [END, 0, 0, 0]])
    assert torch.equal(end_texts(tokens), expected)
    for drawn in (
        TokenObserved(torch.randn(50, 6, 5)).sample((3,)),
        AutoregressiveObserved(torch.randn(50, 5), Bigram(), 6).sample((3,)),
    ):
        assert torch.equal(end_texts(drawn), drawn)
        assert not (drawn == 1).any()
        ended = (drawn == END).any(-1)
        assert torch.equal((drawn == PAD).any(-1) & ~ended, torch.zeros(3, 50) > 0)


class Bigram(torch.nn.Module):
    """Logits are the context plus twice the one-hot of the token before."""

    def forward(self, context: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        before = functional.pad(tokens[:, :-1], (1, 0), value=1)
        return context[:, None] + 2 * functional.one_hot(before, context.shape[-1])


def test_autoregressive_text_is_scored_by_the_chain_rule() -> None:
    context = torch.randn(2, 3, 6, dtype=F64)
    text = torch.tensor([[4, 5, END, 0], [5, 5, 5, 5], [END, 0, 0, 0]])
    expected = torch.zeros(2, 3, dtype=F64)
    for b, row in enumerate(text.tolist()):
        before = 1
        for token in row:
            if token == PAD:
                break
            logits = context[:, b] + 2 * functional.one_hot(torch.tensor(before), 6)
            expected[:, b] += logits[:, 2:].log_softmax(-1)[:, token - 2]
            before = token
    close(AutoregressiveObserved(context, Bigram(), 4).log_prob(text), expected)
