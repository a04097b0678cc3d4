"""The weighted ELBOs of all subsets: against exact ELBOs, and the weights that minimise them."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.helpers import cubature, linear, noise, real_batch, real_modalities
from tests.objectives import by_hand
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from polymodal.fusion import ConsensusOfExperts, MixtureOfExperts
from polymodal.objectives import WeightedSubsets
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.typing import rows_present

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(12), TRUTH.present(12)
ON = torch.stack(list(PRESENT.values()))
SUBSETS = [
    subset for size in (1, 2, 3) for subset in sorted(itertools.combinations(range(3), size))
]


def exact_elbo(subset: tuple[int, ...], rho: float) -> Tensor:
    """The closed-form ELBO of a subset's consensus, from a dense solve; -inf where it is not."""
    locs, scales = [], []
    for m in subset:
        q = TRUTH.head(TRUTH.names[m])(torch.where(ON[m].unsqueeze(-1), X[TRUTH.names[m]], 0.0))
        locs.append(q.loc)
        scales.append(q.scale)
    loc, scale = torch.stack(locs, -1), torch.stack(scales, -1)  # (B, D, n)
    eye = torch.eye(len(subset), dtype=torch.float64)
    covariance = scale.unsqueeze(-1) * (rho + (1 - rho) * eye) * scale.unsqueeze(-2)
    weights = torch.linalg.solve(covariance, torch.ones_like(loc))
    precision = weights.sum(-1)
    elbo = TRUTH.elbo(X, PRESENT, (weights * loc).sum(-1) / precision, precision.rsqrt())
    return torch.where(ON[list(subset)].all(0), elbo, -torch.inf)


def loss(objective: WeightedSubsets, rho: float = 0.4) -> Tensor:
    """With the expectations of quadratics exact: every row four times, once a point."""
    model = TRUTH.build(ConsensusOfExperts(rho), objective)
    x = {n: v.repeat_interleave(4, 0) for n, v in X.items()}
    present = {n: v.repeat_interleave(4, 0) for n, v in PRESENT.items()}

    def points(shape: torch.Size) -> Tensor:
        return cubature(shape)[:, 0].reshape(-1, 2).repeat(12, 1).reshape(1, 1, 1, 48, 2)

    with noise(points), torch.no_grad():
        return model.loss(x, present, 0).loss.reshape(12, 4).mean(1)


ELBOS = torch.stack([exact_elbo(subset, 0.4) for subset in SUBSETS]).detach()  # (S, B)
ORDER = [sum(1 << m for m in subset) - 1 for subset in SUBSETS]  # their places in the objective
HERE = ON.any(0)


def test_learned_weights_and_their_price_are_the_formula() -> None:
    objective = WeightedSubsets(3, "learned", omega=7.0).double()
    with torch.no_grad():
        objective.logits.copy_(torch.linspace(-1, 1, 7))
    logits = objective.logits.detach()[ORDER].unsqueeze(-1)
    pi = torch.where(ELBOS > -torch.inf, logits, -torch.inf)[:, HERE].softmax(0)
    entropy = Categorical(probs=pi.T).entropy()
    most = (pi > 0).sum(0).double().log()
    elbos = torch.where(pi > 0, ELBOS[:, HERE], 0.0)
    expected = -(pi * elbos).sum(0) - 7.0 * (entropy - most)
    found = loss(objective)
    torch.testing.assert_close(found[HERE], expected, rtol=1e-10, atol=1e-10)
    assert bool((found[~HERE] == 0).all())


def test_uniform_weights_are_the_mean_of_the_elbos() -> None:
    alive = ELBOS > -torch.inf
    mean = torch.where(alive, ELBOS, 0.0).sum(0) / alive.sum(0).clamp(min=1)
    torch.testing.assert_close(loss(WeightedSubsets(3, "uniform")), -mean, rtol=1e-10, atol=1e-10)


def test_closed_weights_minimise_the_objective() -> None:
    """A numerical optimiser over the learned weights of one row ends where the closed form is."""
    elbos, omega = ELBOS[:, 1], 3.0  # everything is there
    logits = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [logits],
        max_iter=200,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-13,
        tolerance_change=0.0,
    )

    def objective() -> Tensor:
        log_pi = logits.log_softmax(0)
        entropy = -(log_pi.exp() * log_pi).sum()
        return -(log_pi.exp() * elbos).sum() - omega * entropy

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective()
        value.backward()
        return value

    optimiser.step(closure)
    torch.testing.assert_close(logits.detach().softmax(0), (elbos / omega).softmax(0))
    # With the same draws for both, the module's closed form is the least of all weights.
    closed, learned = WeightedSubsets(3, "closed", omega), WeightedSubsets(3, "learned", omega)
    learned = learned.double()
    models = [TRUTH.build(ConsensusOfExperts(0.4), each) for each in (closed, learned)]
    row = {n: v[1:2] for n, v in X.items()}, {n: v[1:2] for n, v in PRESENT.items()}
    with noise(torch.ones), torch.no_grad():
        least = float(models[0].loss(*row, 0).loss)
    optimiser = torch.optim.LBFGS(
        [learned.logits],
        max_iter=200,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-13,
        tolerance_change=0.0,
    )

    def module_closure() -> Tensor:
        optimiser.zero_grad()
        with noise(torch.ones):
            value = models[1].loss(*row, 0).loss.sum()
        value.backward()
        return value

    assert float(module_closure().detach()) > least + 1e-3
    optimiser.step(module_closure)
    assert abs(float(module_closure().detach()) - least) < 1e-9


def test_the_cheaper_the_weights_the_tighter_the_bound() -> None:
    """From the mean of the subsets' bounds at a high price up to the best of them at none."""
    found = []
    with noise(torch.ones), torch.no_grad():
        for omega in (1e9, 1000.0, 30.0, 1.0, 1e-3):
            objective = WeightedSubsets(3, "closed", omega)
            found.append(-TRUTH.build(ConsensusOfExperts(0.4), objective).loss(X, PRESENT, 0).loss)
        uniform = TRUTH.build(ConsensusOfExperts(0.4), WeightedSubsets(3, "uniform"))
        mean = -uniform.loss(X, PRESENT, 0).loss
    torch.testing.assert_close(found[0], mean, rtol=0, atol=1e-4)
    for looser, tighter in itertools.pairwise(found):
        assert bool((tighter >= looser - 1e-9).all())
    several = ON.sum(0) > 1
    assert bool((found[-1] > found[0] + 0.01)[several].all())


def test_the_mean_of_the_elbos_is_below_the_evidence() -> None:
    gap = TRUTH.log_evidence(X, PRESENT) + loss(WeightedSubsets(3, "uniform"))
    assert bool((gap[HERE] > 0).all())


def consensus(said: by_hand.Normals, subset: tuple[int, ...], rho: float) -> torch.Tensor:
    """Location and scale of the shared block by a dense solve, ``(2, B, D)``."""
    loc = said.loc[list(subset), :, : by_hand.SHARED].permute(1, 2, 0)  # (B, D, n)
    scale = said.scale[list(subset), :, : by_hand.SHARED].permute(1, 2, 0)
    correlation = rho + (1 - rho) * torch.eye(len(subset), dtype=torch.float64)
    covariance = scale.unsqueeze(-1) * correlation * scale.unsqueeze(-2)
    weights = torch.linalg.solve(covariance, torch.ones_like(loc))
    precision = weights.sum(-1)
    return torch.stack([(weights * loc).sum(-1) / precision, precision.rsqrt()])


def test_other_modalities_are_decoded_with_private_latents_of_the_prior() -> None:
    """The loss term by term: a subset's ELBO holds what is outside it, but no private path."""
    rho, beta, omega = 0.4, 0.7, 7.0
    objective = WeightedSubsets(3, "learned", omega, beta)
    with torch.no_grad():
        objective.logits.copy_(torch.linspace(-1, 1, 7))
    model = by_hand.TRUTH.build(
        ConsensusOfExperts(rho), objective, inflate=1.4, weights=by_hand.WEIGHTS
    )
    bounds, alive = [], []
    with noise(by_hand.eps), torch.no_grad():
        loss = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
        said = by_hand.Normals(by_hand.heads(1.4))
        for subset in SUBSETS:
            held = torch.zeros_like(by_hand.ON)
            held[list(subset)] = True
            q = said.whole(*consensus(said, subset, rho), held)
            fit = by_hand.fit(by_hand.draw(q), by_hand.ON)
            bounds.append(fit - beta * by_hand.to_prior(q))
            alive.append((by_hand.ON | ~held).all(0))
    some = by_hand.ON.any(0)
    bound, here = torch.stack(bounds)[:, some], torch.stack(alive)[:, some]
    logits = objective.logits.detach()[ORDER].unsqueeze(-1)
    pi = torch.where(here, logits, -torch.inf).softmax(0)
    uniform = here.double() / here.sum(0)
    price = omega * kl_divergence(Categorical(pi.T), Categorical(uniform.T))
    torch.testing.assert_close(loss[some], price - (pi * bound).sum(0), rtol=1e-11, atol=1e-9)
    assert bool((loss[~some] == 0).all())


def test_nothing_private_leaks_to_other_subsets() -> None:
    """What a decoder reads in a subset without its modality is the prior's draw, cells or not."""
    with seeded(0):
        model = RECIPES["code"].build(real_modalities(), latent_dim=4, private_dim=2)
    x, present = real_batch()
    reads: list[Tensor] = []
    for decoder in model.decoders:
        decoder.register_forward_pre_hook(lambda _, read: reads.append(read[0]))
    with noise(torch.ones), torch.no_grad():
        model.loss(x, present, 0)
    on = torch.stack([rows_present(mask) for mask in present.values()])  # (M, B)
    bits = (torch.arange(1, 16) >> torch.arange(4).unsqueeze(-1) & 1).bool()  # (M, S)
    here = (on.unsqueeze(1) | ~bits.unsqueeze(-1)).all(0)  # (S, B)
    assert len(reads) == 4
    for m, read in enumerate(reads):
        private = read.reshape(15, 6, 6)[..., 4:]
        assert bool((private[~bits[m]] == 1).all())  # the prior's location and one scale
        assert bool((private[bits[m].unsqueeze(-1) & here] != 1).all())


def test_drawn_subsets_are_unbiased() -> None:
    rows = 3000
    x = {n: v[1:2].expand(rows, -1) for n, v in X.items()}
    present = {n: torch.ones(rows, dtype=torch.bool) for n in X}
    model = TRUTH.build(ConsensusOfExperts(0.4), WeightedSubsets(3, "uniform"))
    with noise(torch.zeros), torch.no_grad():
        every = model.loss(x, present, 0).loss[0]
        model.objective = WeightedSubsets(3, "learned", max_subsets=2)
        assert model.objective.logits is None
        with seeded(0):
            drawn = model.loss(x, present, 0).loss
    error = drawn.std() / rows**0.5
    assert 0 < float(error) < 0.1 * float(drawn.std())
    assert abs(float(drawn.mean() - every)) < 4 * float(error)


@pytest.mark.parametrize(
    "settings",
    [{"weights": "some"}, {"omega": 0.0}, {"max_subsets": 0}, {"beta": float("nan")}],
)
def test_settings_that_make_no_sense_are_errors(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        WeightedSubsets(3, **settings)


def test_a_mixture_is_refused() -> None:
    model = TRUTH.build(MixtureOfExperts(), WeightedSubsets(3))
    with pytest.raises(ValueError, match="one stratum"):
        model.loss(X, PRESENT, 0)
