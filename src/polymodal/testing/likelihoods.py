"""Laws of likelihoods: hold your own to them.

Each ``check_*`` raises AssertionError where its sentence is broken. A likelihood is copied first,
so it is never changed, and the caller's random state is left alone.

Example:
    >>> from polymodal.likelihoods import GaussianLikelihood
    >>> for name, law in check_likelihood(GaussianLikelihood(3)):
    ...     law()
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.distributions.decoding import Decoding
from polymodal.distributions.tokens import TextObserved
from polymodal.likelihoods.base import Likelihood
from polymodal.random import seeded

Law = Callable[[], None]


@dataclass(frozen=True)
class Support:
    """All values of a small likelihood, or a grid over them.

    Arguments:
        values: ``(N, *value_shape)``.
        weights: What each stands for: 1 for a value of a discrete one, the width of a grid's cell
            for a number, ``(N,)``.
    """

    values: Tensor
    weights: Tensor


def check_likelihood(
    likelihood: Likelihood, *, leading: tuple[int, ...] = (5,), support: Support | None = None
) -> Iterator[tuple[str, Law]]:
    """The laws of a likelihood, as (name, law).

    Arguments:
        likelihood: The likelihood; its parameters are moved a little in a copy.
        leading: Leading shape ``(..., B)`` to try.
        support: All values, or a grid; without it the two laws that need one are left out.
    """
    laws = [
        check_log_prob_keeps_the_leading_axes,
        check_samples_are_scored,
        check_absent_rows_never_matter,
        check_gradient_reaches_every_parameter,
        check_low_precision_gives_float32,
        check_sample_axes_equal_a_loop,
        check_statistics_give_legal_values,
        check_what_is_written_is_scored,
    ]
    if len(likelihood.value_shape) == 1:
        laws.append(check_absent_cells_never_matter)
    for law in laws:
        yield law.__name__, lambda law=law: law(likelihood, leading)
    if support is not None:
        for rule in (check_density_sums_to_one, check_samples_match_the_density):
            yield rule.__name__, lambda rule=rule: rule(likelihood, support)


def check_log_prob_keeps_the_leading_axes(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """log_prob has one value for each leading index, and batch and event shapes are told."""
    likelihood, parameters, value = _instance(likelihood, leading)
    observed = likelihood(parameters)
    assert observed.batch_shape == leading, f"batch_shape {observed.batch_shape} != {leading}"
    assert observed.event_shape == likelihood.value_shape
    assert observed.log_prob(value).shape == leading


def check_samples_are_scored(likelihood: Likelihood, leading: tuple[int, ...] = (5,)) -> None:
    """Samples and the mode have the shape of values and a finite log_prob."""
    likelihood, parameters, _ = _instance(likelihood, leading)
    observed = likelihood(parameters)
    with seeded(3):
        drawn = observed.sample((2, 3))
    assert drawn.shape == (2, 3, *leading, *likelihood.value_shape)
    assert observed.log_prob(drawn).isfinite().all()
    assert observed.mode.shape == (*leading, *likelihood.value_shape)
    assert observed.mode.dtype == drawn.dtype
    assert observed.log_prob(observed.mode).isfinite().all()


def check_what_is_written_is_scored(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """Texts: greedy gives the mode, as does a beam of one; all that is written has a score."""
    likelihood, parameters, _ = _instance(likelihood, leading)
    observed = likelihood(parameters)
    if not isinstance(observed, TextObserved):
        return
    for how in ("greedy", "beam, width=1", "beam, width=3", "sample, temperature=0.5, top_p=0.9"):
        decoding = Decoding.of(how) or Decoding()
        with seeded(3):
            said = observed.write(decoding)
        assert said.shape == observed.mode.shape, f"{how}: shape {said.shape}"
        assert said.dtype == observed.mode.dtype, f"{how}: dtype {said.dtype}"
        assert observed.log_prob(said).isfinite().all(), f"{how}: a text has no probability"
        if how in ("greedy", "beam, width=1"):
            assert said.equal(observed.mode), f"{how} is not the mode"


def check_density_sums_to_one(likelihood: Likelihood, support: Support) -> None:
    """Over its support the density sums to one, for several parameters."""
    likelihood, parameters, _ = _instance(likelihood, (3,))
    n = len(support.values)
    observed = likelihood(parameters.expand(n, *parameters.shape))
    density = observed.log_prob(support.values.unsqueeze(1)).exp()  # (N, 3)
    total = (density * support.weights[:, None]).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=2e-4)


def check_samples_match_the_density(
    likelihood: Likelihood, support: Support, *, draws: int = 4000
) -> None:
    """Mean and mean square of samples, and their mean log_prob, are those of the density.

    The limit is 5 standard errors of a mean of so many draws.
    """
    likelihood, parameters, _ = _instance(likelihood, (1,))
    n, p = len(support.values), max(likelihood.dims, 1)
    log_prob = likelihood(parameters.expand(n, *parameters.shape)).log_prob(
        support.values.unsqueeze(1)
    )[:, 0]
    observed = likelihood(parameters)
    with seeded(4):
        drawn = observed.sample((draws,))
    score = observed.log_prob(drawn)[:, 0].double()

    def facts(values: Tensor, log_prob: Tensor) -> Tensor:
        flat = values.double().reshape(len(values), p)
        return torch.cat([flat, flat.square(), log_prob.double().reshape(-1, 1)], 1)

    density = log_prob.double().exp() * support.weights
    known = facts(support.values, log_prob.clamp(min=-200))
    mean = density @ known
    error = ((density @ known.square() - mean.square()).clamp(min=0) / draws).sqrt()
    gap = (facts(drawn[:, 0], score).mean(0) - mean).abs()
    # The grid itself is exact to about one part in a thousand.
    assert (gap <= 5 * error + 1e-3 * (1 + mean.abs())).all(), f"off by {gap / error} errors"


def check_absent_rows_never_matter(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """Whatever stands in a row that is not there, value and gradients are equal bit for bit."""
    likelihood, parameters, value = _instance(likelihood, leading)
    there = torch.arange(leading[-1]) % 2 == 0
    _check_fillings(likelihood, parameters, value, there)


def check_absent_cells_never_matter(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """Whatever stands in a cell that is not there, value and gradients are equal bit for bit."""
    likelihood, parameters, value = _instance(likelihood, leading)
    if not value.is_floating_point():
        return
    there = torch.arange(value.numel()).reshape(value.shape) % 3 > 0
    _check_fillings(likelihood, parameters, value, there)


def check_gradient_reaches_every_parameter(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """Each parameter of the likelihood and what the decoder puts out get a finite gradient."""
    likelihood, parameters, _ = _instance(likelihood, leading)
    parameters.requires_grad_()
    observed = likelihood(parameters)
    with seeded(5):
        value = observed.sample((20,))
    observed.log_prob(value).sum().backward()
    for name, tensor in [("input", parameters), *likelihood.named_parameters()]:
        if tensor.numel():
            assert tensor.grad is not None, f"no gradient reaches {name}"
            assert tensor.grad.isfinite().all(), f"{name}: gradient is not finite"
            assert tensor.grad.any(), f"{name}: gradient is zero"


def check_low_precision_gives_float32(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """From bfloat16 parameters come float32 numbers: those of the same parameters in float32."""
    likelihood, parameters, value = _instance(likelihood, leading)
    likelihood, low = likelihood.float(), parameters.bfloat16()
    if value.is_floating_point():
        value = value.float()
    got = likelihood(low).log_prob(value)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, likelihood(low.float()).log_prob(value), rtol=0, atol=0)


def check_sample_axes_equal_a_loop(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """A value is scored under many parameters at once as under each alone."""
    likelihood, _, value = _instance(likelihood, leading)
    with seeded(6):
        parameters = torch.randn((3, *leading, *likelihood.parameter_shape)).to(_dtype(likelihood))
    together = likelihood(parameters).log_prob(value)
    alone = torch.stack([likelihood(one).log_prob(value) for one in parameters])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def check_statistics_give_legal_values(
    likelihood: Likelihood, leading: tuple[int, ...] = (5,)
) -> None:
    """Statistics are finite, one row each; averaged over z they become values of the same type."""
    likelihood, parameters, value = _instance(likelihood, leading)
    observed = likelihood(torch.stack([parameters, parameters.flip(-1)]))
    statistics = observed.statistics
    assert statistics.shape[:-1] == (2, *leading), f"statistics {tuple(statistics.shape)}"
    assert statistics.isfinite().all()
    statistics = statistics.mean(0) if observed.averages else statistics[0]
    point = likelihood.point(statistics)
    assert point.shape == value.shape, f"point {tuple(point.shape)}, value {tuple(value.shape)}"
    assert point.dtype == value.dtype, f"point {point.dtype}, value {value.dtype}"
    assert likelihood(parameters).log_prob(point).isfinite().all()


def _dtype(likelihood: Likelihood) -> torch.dtype:
    return next((p.dtype for p in likelihood.parameters()), torch.get_default_dtype())


def _instance(
    likelihood: Likelihood, leading: tuple[int, ...]
) -> tuple[Likelihood, Tensor, Tensor]:
    """A copy moved off its start, decoder outputs, and values drawn from them."""
    likelihood = copy.deepcopy(likelihood).eval()
    dtype = _dtype(likelihood)
    with seeded(2), torch.no_grad():
        for p in likelihood.parameters():
            p.add_(0.02 * torch.randn_like(p))
        parameters = torch.randn((*leading, *likelihood.parameter_shape)).to(dtype)
        value = likelihood(parameters).sample()
    return likelihood, parameters, value


def _check_fillings(
    likelihood: Likelihood, parameters: Tensor, value: Tensor, there: Tensor
) -> None:
    """Log_prob and all gradients for several fillings of what is not there."""
    real = value.is_floating_point()
    fillings = [float("nan"), float("inf"), -1e30, 0.5] if real else [-1, 10**9, 2]
    at = there.reshape(-1, *(1,) * len(likelihood.value_shape)) if there.ndim == 1 else there
    weights = torch.linspace(
        0.5, 1.5, parameters.shape[: -len(likelihood.parameter_shape)].numel()
    )
    seen = []
    for filling in fillings:
        x = parameters.detach().clone().requires_grad_()
        filled = torch.where(at, value, filling)
        score = likelihood(x).log_prob(filled, there)
        tensors = [x, *(p for p in likelihood.parameters() if p.numel())]
        total = (score * weights.reshape(score.shape).to(score.dtype)).sum()
        seen.append([score, *torch.autograd.grad(total, tensors, allow_unused=True)])
    for others in seen[1:]:
        for first, other in zip(seen[0], others, strict=True):
            assert (first is None) == (other is None)
            assert first is None or torch.equal(first, other), "a filling matters"
    assert seen[0][0].isfinite().all(), "log_prob is not finite"
    assert all(g is None or g.isfinite().all() for g in seen[0][1:]), "a gradient is not finite"
