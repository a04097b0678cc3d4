"""DReG's gradient in expectation is the derivative of the true bound.

The latent space has one dimension, so that expectations over K draws are K-dimensional sums over
a grid of noise: both sides are computed to many digits, and nothing is left to chance.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.helpers import noise
from torch import Tensor, nn

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.model import MultimodalVAE
from polymodal.objectives import IWAE, DReG
from polymodal.random import seeded
from polymodal.testing import LinearGaussian

TRUTH = LinearGaussian({"a": 2, "b": 1}, 1, noise=1.0, seed=7)
ROW = {"a": torch.tensor([[0.8, -1.1]]).double(), "b": torch.tensor([[1.4]]).double()}
NODES = {1: 400, 2: 100, 3: 48}
"""Points an axis: the trapezoid rule on smooth functions that vanish at the ends."""


class Quadrature:
    """One row, repeated once for each point of the grid over K draws."""

    def __init__(self, samples: int, *, both: bool = True) -> None:
        points = torch.linspace(-7, 7, NODES[samples], dtype=torch.float64)
        mass = torch.distributions.Normal(0.0, 1.0).log_prob(points).exp()
        mass = mass / mass.sum()
        grid = torch.cartesian_prod(*[points] * samples).reshape(-1, samples)  # (N, K)
        self.weight = torch.cartesian_prod(*[mass] * samples).reshape(-1, samples).prod(1)
        self.grid = grid
        n = len(grid)
        self.x = {name: value.expand(n, -1) for name, value in ROW.items()}
        self.present = {name: torch.ones(n, dtype=torch.bool) for name in ROW}
        if not both:
            self.present["b"] = torch.zeros(n, dtype=torch.bool)

    def loss(self, model: MultimodalVAE) -> Tensor:
        """The expected loss of the row, with the expected gradient of the estimator."""

        def nodes(shape: torch.Size) -> Tensor:  # (K, S, B, 1)
            return self.grid.T.reshape(shape[0], 1, shape[2], 1)

        with noise(nodes):
            return (self.weight * model.loss(self.x, self.present, 0).loss).sum()

    def gradient(self, model: MultimodalVAE) -> list[Tensor]:
        return list(torch.autograd.grad(self.loss(model), list(model.parameters())))


def build(fusion: nn.Module, objective: nn.Module, inflate: float = 1.0) -> MultimodalVAE:
    """Experts and decoders that are far from exact, so that no term vanishes."""
    model = TRUTH.build(fusion, objective, expert="posterior", inflate=inflate)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            shift = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            parameter += 0.2 * shift
    return model


FUSIONS = [ProductOfExperts("always"), MixtureOfExperts()]


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("fusion", FUSIONS, ids=["one stratum", "two strata"])
def test_expected_gradient_is_the_finite_difference_of_the_bound(
    fusion: nn.Module, samples: int
) -> None:
    quadrature = Quadrature(samples)
    model = build(fusion, DReG(samples))
    found = quadrature.gradient(model)
    assert len(found) == 10  # encoder and decoder, both modalities
    step = 1e-4
    for parameter, gradient in zip(model.parameters(), found, strict=True):
        for index in itertools.product(*map(range, parameter.shape)):
            values = []
            for shift in (step, -step):
                with torch.no_grad():
                    parameter[index] += shift
                    values.append(float(quadrature.loss(model)))
                    parameter[index] -= shift
            slope = (values[0] - values[1]) / (2 * step)
            assert abs(slope - float(gradient[index])) < 2e-6, (index, slope, gradient[index])
        assert float(gradient.abs().max()) > 1e-3


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("fusion", FUSIONS, ids=["one stratum", "two strata"])
def test_value_is_that_of_iwae_and_the_gradient_agrees_with_it_on_average(
    fusion: nn.Module, samples: int
) -> None:
    quadrature = Quadrature(samples)
    one, other = build(fusion, DReG(samples)), build(fusion, IWAE(samples))
    torch.testing.assert_close(quadrature.loss(one), quadrature.loss(other))
    pairs = zip(quadrature.gradient(one), quadrature.gradient(other), strict=True)
    for dreg, iwae in pairs:
        torch.testing.assert_close(dreg, iwae, rtol=1e-6, atol=2e-6)


def test_a_modality_that_is_absent_leaves_one_stratum_and_no_gradient() -> None:
    quadrature = Quadrature(2, both=False)
    one = build(MixtureOfExperts(), DReG(2))
    other = build(MixtureOfExperts(), IWAE(2))
    names = [name for name, _ in one.named_parameters()]
    pairs = zip(names, quadrature.gradient(one), quadrature.gradient(other), strict=True)
    for name, dreg, iwae in pairs:
        torch.testing.assert_close(dreg, iwae, rtol=1e-6, atol=2e-6)
        if name.startswith(("posterior.heads.1", "decoders.1")):
            assert float(dreg.abs().max()) == 0


def batch(n_rows: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    x = {name: value.expand(n_rows, -1) for name, value in ROW.items()}
    return x, {name: torch.ones(n_rows, dtype=torch.bool) for name in x}


def gradients(model: MultimodalVAE, n_draws: int) -> Tensor:
    """Gradients of one row's loss for independent draws, ``(draws, encoder parameters)``."""
    encoder = list(model.posterior.heads.parameters())
    rows = []
    for seed in range(n_draws):
        with seeded(seed):
            loss = model.loss(*batch(1), 0).loss.sum()
        found = torch.autograd.grad(loss, encoder)
        rows.append(torch.cat([g.flatten() for g in found]))
    return torch.stack(rows)


@pytest.mark.parametrize("fusion", FUSIONS, ids=["one stratum", "two strata"])
def test_real_draws_agree_with_quadrature_within_standard_errors(fusion: nn.Module) -> None:
    n_rows, samples = 20_000, 2
    model = build(fusion, DReG(samples))
    expected = Quadrature(samples).gradient(model)
    chunks = []
    for seed in range(20):
        with seeded(seed):
            loss = model.loss(*batch(n_rows // 20), 0).loss.mean()
        found = torch.autograd.grad(loss, list(model.parameters()))
        chunks.append(torch.cat([g.flatten() for g in found]))
    draws = torch.stack(chunks)
    error = draws.std(0) / 20**0.5
    gap = draws.mean(0) - torch.cat([g.flatten() for g in expected])
    assert bool((gap.abs() < 4.5 * error + 1e-12).all()), gap / error


def test_the_encoders_gradient_has_less_variance_than_that_of_iwae() -> None:
    for fusion, factor in zip(FUSIONS, (10.0, 2.0), strict=True):
        dreg = gradients(build(fusion, DReG(64), 2.0), 150).var(0)
        iwae = gradients(build(fusion, IWAE(64), 2.0), 150).var(0)
        assert float(dreg.sum()) * factor < float(iwae.sum())


@pytest.mark.parametrize(("samples", "times"), [(1, 0), (2, 1), (4, 1)])
def test_the_hook_fires_on_the_tensor_that_decoders_read(samples: int, times: int) -> None:
    model = build(MixtureOfExperts(), DReG(samples))
    seen: list[Tensor] = []
    original = torch.Tensor.register_hook
    fired = []

    def register(self: Tensor, hook: object) -> object:
        def counted(gradient: Tensor) -> Tensor | None:
            answer = hook(gradient)
            fired.append(not torch.equal(answer, gradient))
            return answer

        return original(self, counted)

    decoder = model.decoders[0]
    decoder.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "register_hook", register)
        loss = model.loss(*batch(3), 0).loss.mean()
    loss.backward()
    assert fired == [True] * times
    assert len(seen) == 1
