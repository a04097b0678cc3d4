"""MEME: term by term, and exact under the true model, where it is the conditional evidence."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import noise
from torch import Tensor
from torch.distributions import Normal

from polymodal.fusion import MixtureOfExperts
from polymodal.model import MultimodalVAE
from polymodal.objectives import MutualSupervision
from polymodal.priors import VampPrior
from polymodal.random import seeded
from polymodal.testing import LinearGaussian

TRUTH = LinearGaussian({"a": 2, "b": 1, "c": 3}, 1, noise=1.0, seed=7)
PAIR = LinearGaussian({"a": 2, "b": 1}, 1, noise=1.0, seed=7)


def build(truth: LinearGaussian, objective: MutualSupervision, wrong: float = 0.0, **weights):
    model = truth.build(MixtureOfExperts(), objective, expert="posterior", weights=weights)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            shift = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            parameter += wrong * shift
    heads = model.posterior.heads
    with seeded(0):
        sizes = [len(m.offset) for m in truth.modalities.values()]
        model.prior = VampPrior(heads, sizes, 3).double()
    return model


def density(model: MultimodalVAE, index: int, x: Tensor) -> Normal:
    p = model.posterior.heads[index](x)
    return Normal(p.loc[0, 0], p.scale[0, 0])


@pytest.mark.parametrize("supervision", [1.0, 10.0])
def test_value_and_gradient_are_the_formula_with_a_fixed_ratio_written_out(
    supervision: float,
) -> None:
    samples, names = 4, "abc"
    model = build(TRUTH, MutualSupervision(samples, supervision), 0.2, b=2.0)
    x, present = TRUTH.sample(5), TRUTH.present(5, 0.0)
    present["b"][2], present["a"][3], present["c"][3] = False, False, False
    eps = torch.randn(samples + 1, 3, 5, 1, generator=torch.Generator().manual_seed(3)).double()
    with noise(lambda shape: eps):
        loss = model.loss(x, present, 0).loss
    weights, written = {"a": 1.0, "b": 2.0, "c": 1.0}, []
    for row in range(5):
        on = [n for n in names if present[n][row]]
        total = torch.zeros((), dtype=torch.float64)
        for s in on:
            i = names.index(s)
            q = density(model, i, x[s][row : row + 1])
            z = q.loc + q.scale * eps[:, i, row, 0]

            def log_p(n: str, z: Tensor, row: int = row) -> Tensor:
                mean = model.decoders[names.index(n)](z.reshape(-1, 1))
                scale = TRUTH.modalities[n].noise
                return Normal(mean, scale).log_prob(x[n][row]).sum(-1)

            for t in names:
                if t == s:
                    continue
                value = weights[s] * log_p(s, z[0]) - q.log_prob(z[0])
                if t in on:
                    said = log_p(t, z).exp().mean().log()
                    # held fixed, and z among the draws, as in the release
                    ratio = (log_p(t, z[0]) - said).exp().detach()
                    j = names.index(t)
                    value = value + density(model, j, x[t][row : row + 1]).log_prob(z[0])
                    value = ratio * (value - weights[t] * log_p(t, z[0]))
                    value = value + supervision * weights[t] * said
                else:
                    j = names.index(t)
                    pseudo = model.prior.pseudo[j]
                    each = [density(model, j, u[None]).log_prob(z[0]) for u in pseudo]
                    value = value + torch.stack(each).exp().mean().log()
                total = total + value.squeeze() / 2 / len(on)
        torch.testing.assert_close(loss[row], -total, rtol=1e-10, atol=1e-10)
        written.append(-total)
    learned = [p for n, p in model.named_parameters() if not n.startswith("prior")]
    found = torch.autograd.grad(loss.sum(), learned, retain_graph=True)
    wanted = torch.autograd.grad(torch.stack(written).sum(), learned)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def quantiles(n: int) -> Tensor:
    """Draws that stand for N(0, 1) as evenly as n points can."""
    return Normal(0.0, 1.0).icdf((torch.arange(n).double() + 0.5) / n)


def expected(model: MultimodalVAE, x: dict, samples: int, points: int = 201) -> float:
    """The expectation of the loss over z, with q(t|s) from evenly spread draws."""
    nodes = torch.linspace(-6, 6, points).double()
    mass = Normal(0.0, 1.0).log_prob(nodes).exp()
    rest = quantiles(samples)

    def chosen(shape: torch.Size) -> Tensor:
        k, s, b, _ = shape
        drawn = rest[:, None, None].expand(k - 1, s, b)
        return torch.cat([nodes.expand(1, s, b), drawn]).unsqueeze(-1)

    rows = {name: value.expand(points, -1) for name, value in x.items()}
    present = {name: torch.ones(points, dtype=torch.bool) for name in x}
    with noise(chosen), torch.no_grad():
        return float((mass / mass.sum() * model.loss(rows, present, 0).loss).sum())


def test_under_the_true_model_the_bound_is_the_conditional_evidence() -> None:
    """L(s,t) + log p(t) = log p(s,t); what is left falls as 1/K, the bias of log q(t|s)."""
    x = PAIR.sample(1)
    here = {name: torch.ones(1, dtype=torch.bool) for name in x}
    both = float(PAIR.log_evidence(x, here))
    alone = sum(float(PAIR.log_evidence({n: x[n]}, {n: here[n]})) for n in x)
    truth = both - 0.5 * alone  # the mean of log p(s|t) and log p(t|s)
    gaps = []
    for samples in (100, 1000):
        model = build(PAIR, MutualSupervision(samples))
        gaps.append(abs(-expected(model, x, samples) - truth))
    assert gaps[1] < 2e-3, gaps
    assert gaps[1] < 0.2 * gaps[0] + 1e-5, gaps


@pytest.mark.parametrize("wrong", [0.1, 0.3])
def test_with_wrong_encoders_its_expectation_is_the_formula_and_below_the_evidence(
    wrong: float,
) -> None:
    """By quadrature on z: L(s,t), and log p(s|t) = log of the integral of p(z|t) p(s|z)."""
    x, samples = PAIR.sample(1), 1000
    model = build(PAIR, MutualSupervision(samples), wrong)
    grid = torch.linspace(-12, 12, 4001).double()
    step = float(grid[1] - grid[0])
    bound, evidence = 0.0, 0.0
    with torch.no_grad():
        for s, t in (("a", "b"), ("b", "a")):
            log_p = {
                n: Normal(model.decoders["ab".index(n)](grid[:, None]), PAIR.modalities[n].noise)
                .log_prob(x[n])
                .sum(-1)
                for n in "ab"
            }
            q, p = (density(model, "ab".index(n), x[n]).log_prob(grid) for n in (s, t))
            said = ((q + log_p[t]).logsumexp(0) + math.log(step)).item()
            inner = log_p[s] + p - q - log_p[t]
            bound += 0.5 * (((q + log_p[t] - said).exp() * inner).sum() * step + said).item()
            evidence += 0.5 * ((p + log_p[s]).logsumexp(0) + math.log(step)).item()
    assert abs(-expected(model, x, samples) - bound) < 5e-3
    assert bound < evidence - 1e-4


def test_pseudo_inputs_learn_on_complete_rows_and_touch_nothing_else() -> None:
    x = PAIR.sample(4)
    present = {name: torch.ones(4, dtype=torch.bool) for name in x}
    model = build(PAIR, MutualSupervision(3), 0.2)
    with seeded(0):
        model.loss(x, present, 0).loss.sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    assert all(bool(p.grad.abs().sum() > 0) for p in model.prior.parameters())
    frozen = model.prior.with_frozen_heads
    model.prior.with_frozen_heads = lambda: type(frozen())(
        *(torch.zeros(1, 1).double(), torch.ones(1, 1).double(), torch.zeros(1).double())
    )
    model.zero_grad()
    with seeded(0):
        model.loss(x, present, 0).loss.sum().backward()
    for name, parameter in model.named_parameters():
        if not name.startswith("prior"):
            assert torch.equal(parameter.grad, found[name]), name


@pytest.mark.parametrize("samples", [1, 4])
def test_each_decoder_reads_no_more_than_is_used(samples: int) -> None:
    """All draws of the other encoders, and one of its own."""
    rows: dict[int, int] = {}
    model = build(TRUTH, MutualSupervision(samples))
    for i, decoder in enumerate(model.decoders):
        decoder.register_forward_pre_hook(
            lambda _, given, i=i: rows.update({i: rows.get(i, 0) + len(given[0])})
        )
    model.loss(TRUTH.sample(5), TRUTH.present(5, 0.0), 0)
    assert rows == dict.fromkeys(range(3), 5 * (2 * (samples + 1) + 1))


def test_a_modality_that_is_alone_explains_itself() -> None:
    """With one modality the bound is log of the mean of p(x | z) over the draws."""
    truth = LinearGaussian({"a": 2}, 1, noise=1.0, seed=7)
    model, x = build(truth, MutualSupervision(4)), truth.sample(5)
    eps = torch.randn(5, 1, 5, 1, generator=torch.Generator().manual_seed(3)).double()
    with noise(lambda shape: eps), torch.no_grad():
        terms = model.loss(x, truth.present(5, 0.0), 0)
        q = model.posterior.heads[0](x["a"])
        p = Normal(model.decoders[0](q.loc + q.scale * eps[:, 0]), truth.modalities["a"].noise)
    said = p.log_prob(x["a"]).sum(-1).exp().mean(0).log()
    torch.testing.assert_close(-terms.loss, torch.where(truth.present(5, 0.0)["a"], said, 0.0))


def test_heads_are_saved_once() -> None:
    model = build(PAIR, MutualSupervision())
    assert {name for name in model.state_dict() if name.startswith("prior")} == {
        "prior.pseudo.0",
        "prior.pseudo.1",
    }


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"supervision": 0.0}])
def test_settings_that_make_no_sense_are_errors(wrong: dict) -> None:
    with pytest.raises(ValueError, match="at least"):
        MutualSupervision(**wrong)
    with pytest.raises(ValueError, match="at least"):
        VampPrior([torch.nn.Linear(1, 1)], [1], 0)
