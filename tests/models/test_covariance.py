"""Gradients by covariances against those of the ELBO that quadrature computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import Modality
from polymodal.models.covariance import CovarianceELBO, Estimator
from polymodal.models.gibbs import gibbs, posterior_draws
from polymodal.models.interaction import statistics
from polymodal.models.poise import POISE
from polymodal.random import seeded
from polymodal.testing.linear import AsTheyAre

BETA, ROWS, BATCHES, CHAINS, SWEEPS = 0.7, 400, 20, 4000, 30
LINE = torch.linspace(-9, 9, 361, dtype=torch.float64)
X = {"a": torch.tensor([[0.7, -0.4]]).double(), "b": torch.tensor([[1.1]]).double()}
EVIDENCE = {
    "both": torch.tensor([[[0.9, -0.4], [-0.6, -0.8]]], dtype=torch.float64),
    "one": torch.tensor([[[0.9, -0.4], [0.0, 0.0]]], dtype=torch.float64),
}


def build(estimator: Estimator, samples: int = 3) -> POISE:
    """Two modalities, one latent number each, with decoders that bend."""

    def decoder(dim: int, out: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, 3), nn.Tanh(), nn.Linear(3, out))

    with seeded(5):
        model = POISE(
            [
                Modality("a", AsTheyAre(2), lambda d: decoder(d, 2), GaussianLikelihood(2, 0.8)),
                Modality("b", AsTheyAre(1), lambda d: decoder(d, 1), GaussianLikelihood(1, 0.6)),
            ],
            1,
            CovarianceELBO(BETA, samples, estimator),
            sweeps=SWEEPS,
            n_chains=8,
        ).double()
        with torch.no_grad():
            for p in model.interaction.parameters():
                p.copy_(0.16 * torch.rand_like(p) - 0.06)
    return model


def exact_gradients(model: POISE, case: str) -> dict[str, Tensor]:
    """Of the negative ELBO on a grid of two dimensions."""
    evidence = EVIDENCE[case].clone().requires_grad_()
    z = torch.stack(torch.meshgrid(LINE, LINE, indexing="ij"), -1)[..., None]  # (n, n, 2, 1)
    told, matrix = statistics(z), model.interaction()
    flat = told.flatten(-2)
    log_prior = 0.5 * ((flat @ matrix) * flat).sum(-1) - 0.5 * z.square().sum((-2, -1))
    log_q = log_prior + (evidence[0] * told).sum((-2, -1))
    log_prior = log_prior - log_prior.flatten().logsumexp(0)
    log_q = log_q - log_q.flatten().logsumexp(0)
    both = torch.stack([LINE, LINE], -1)  # each modality reads its own number
    decoded = model.decode(both, ("a", "b"))
    log_p = decoded["a"].log_prob(X["a"])[:, None]
    if case == "both":
        log_p = log_p + decoded["b"].log_prob(X["b"])[None, :]
    q = log_q.exp()
    loss = (q * (BETA * (log_q - log_prior) - log_p)).sum()
    loss.backward()
    return collect(model, evidence)


def collect(model: POISE, evidence: Tensor) -> dict[str, Tensor]:
    assert evidence.grad is not None
    found = {"evidence": evidence.grad.sum(0)}
    for name, p in model.named_parameters():
        if p.grad is not None:
            found[name] = p.grad.clone()
    model.zero_grad(set_to_none=True)
    return found


def estimates(model: POISE, case: str) -> dict[str, Tensor]:
    """Gradients of batches of the same row, ``(BATCHES, ...)``."""
    x = {name: value.expand(ROWS, -1) for name, value in X.items()}
    present = {name: torch.ones(ROWS, dtype=torch.bool) for name in X}
    present["b"] = present["b"] & (case == "both")
    found: dict[str, list[Tensor]] = {}
    objective = model.objective
    with seeded(8):
        for _ in range(BATCHES):
            evidence = EVIDENCE[case].expand(ROWS, -1, -1).clone().requires_grad_()
            matrix = model.interaction()
            still, held = evidence.detach(), matrix.detach()
            z = posterior_draws(held, still, (objective.samples,), 3, SWEEPS)
            nothing = torch.zeros(2, 2, dtype=torch.float64)
            prior = gibbs(held, nothing, torch.randn(CHAINS, 2, 1).double(), SWEEPS)
            terms = objective.at(model, x, present, 0, (evidence, matrix), z, statistics(prior))
            terms.loss.mean().backward()
            for name, value in collect(model, evidence).items():
                found.setdefault(name, []).append(value)
    return {name: torch.stack(values) for name, values in found.items()}


@pytest.mark.parametrize("case", ["both", "one"])
@pytest.mark.parametrize("estimator", ["covariance", "conditional"])
def test_the_gradient_is_that_of_the_elbo(estimator: str, case: str) -> None:
    model = build(estimator)
    exact, found = exact_gradients(model, case), estimates(model, case)
    assert exact.keys() <= found.keys()
    for name, values in found.items():
        error = values.std(0) / BATCHES**0.5
        # What an absent modality is decoded with has no gradient.
        gap = (values.mean(0) - exact.get(name, torch.zeros_like(error))).abs()
        assert bool((gap <= 4 * error + 1e-12).all()), (name, gap / error)
    # The test could tell: the standard errors are small beside the gradients of the energy.
    for name in ("evidence", "interaction.linear"):
        assert bool((found[name].std(0) / BATCHES**0.5 < 0.1 * exact[name].abs().max()).all())


def test_the_conditional_estimator_has_less_noise() -> None:
    noise = {
        estimator: estimates(build(estimator), "both")["evidence"].var(0).sum()
        for estimator in ("covariance", "conditional")
    }
    assert noise["conditional"] < 0.6 * noise["covariance"]


def test_without_interaction_the_gradient_is_that_of_a_vae() -> None:
    """Pathwise, with the closed-form divergence from N(0, 1), exactly."""
    model = build("conditional")
    evidence = EVIDENCE["both"].clone().requires_grad_()
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    with seeded(0):
        z = posterior_draws(matrix, evidence.detach(), (3,), 1, 1)
    told = statistics(torch.zeros(5, 2, 1, dtype=torch.float64))
    on = {name: torch.ones(1, dtype=torch.bool) for name in X}
    model.objective.at(model, X, on, 0, (evidence, matrix), z, told).loss.sum().backward()
    found = collect(model, evidence)["evidence"]
    evidence = EVIDENCE["both"].clone().requires_grad_()
    precision = 1 - 2 * evidence[..., 1:]
    mean, scale = evidence[..., :1] / precision, precision.rsqrt()
    noise = ((z - mean) / scale).detach()
    log_p = model.log_likelihoods((mean + scale * noise).flatten(-2), X, on)
    kl = 0.5 * (mean.square() + scale.square() - 1) - scale.log()
    loss = BETA * kl.sum() - torch.stack(list(log_p.values())).sum(0).mean(0).sum()
    loss.backward()
    torch.testing.assert_close(found, collect(model, evidence)["evidence"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{"samples": 1}, {"estimator": "reinforce"}])
def test_settings_that_make_no_sense_are_errors(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"at least|must be"):
        CovarianceELBO(**settings)
