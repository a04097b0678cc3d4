"""Laws of priors: hold your own to them.

Each ``check_*`` raises AssertionError where its sentence is broken; the caller's random state is
left alone.

Example:
    >>> from polymodal.priors import StandardPrior
    >>> for name, law in check_prior(StandardPrior(3), 3):
    ...     law()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from polymodal.random import seeded
from polymodal.testing.batches import require

Law = Callable[[], None]


def check_prior(prior: nn.Module, dim: int) -> Iterator[tuple[str, Law]]:
    """The laws of a prior, as (name, law).

    Arguments:
        prior: ``forward()`` -> a distribution over the latent space.
        dim: The size D of the latent space.
    """
    for law in (
        check_shapes,
        check_density_integrates_to_one,
        check_draws_follow_the_density,
        check_every_parameter_has_a_gradient,
    ):
        yield law.__name__, lambda law=law: law(prior, dim)


def check_shapes(prior: nn.Module, dim: int) -> None:
    """Event shape (D,); log_prob takes leading axes and gives one number a vector."""
    p = prior()
    require(tuple(p.event_shape) == (dim,), f"event shape {tuple(p.event_shape)}, not ({dim},).")
    z = _draws(p, 6).reshape(2, 3, dim)
    log_p = p.log_prob(z)
    require(tuple(log_p.shape) == (2, 3), f"log_prob of (2, 3, D) is {tuple(log_p.shape)}.")
    torch.testing.assert_close(p.log_prob(z[1, 2]), log_p[1, 2])


def check_density_integrates_to_one(prior: nn.Module, dim: int, n_draws: int = 20_000) -> None:
    """Importance sampling from a wide Student's t gives 1, within five standard errors."""
    with seeded(0), torch.no_grad():
        p = prior()
        like = p.sample((1,))
        wide = torch.distributions.StudentT(like.new_tensor(4.0), 0.0, 1.2)
        z = wide.sample((n_draws, dim))
        ratio = (p.log_prob(z).double() - wide.log_prob(z).sum(-1).double()).exp()
    error = float(ratio.std()) / n_draws**0.5
    gap = abs(float(ratio.mean()) - 1)
    require(gap < 5 * error, f"the density integrates to {float(ratio.mean())} +- {error}.")


def check_draws_follow_the_density(prior: nn.Module, dim: int, n_draws: int = 20_000) -> None:
    """``E_p[q(z) / p(z)] = 1`` for a narrow normal q, within five standard errors."""
    p = prior()
    z = _draws(p, n_draws)
    with torch.no_grad():
        narrow = torch.distributions.Normal(z.mean(0), 0.7 * z.std(0))
        ratio = (narrow.log_prob(z).sum(-1) - p.log_prob(z)).double().exp()
    error = float(ratio.std()) / n_draws**0.5
    gap = abs(float(ratio.mean()) - 1)
    require(gap < 5 * error, f"draws miss the density: {float(ratio.mean())} +- {error}.")


def check_every_parameter_has_a_gradient(prior: nn.Module, dim: int) -> None:
    """The log density moves every parameter, finitely."""
    parameters = dict(prior.named_parameters())
    if not parameters:
        return
    p = prior()
    log_p = p.log_prob(_draws(p, 50)).sum()
    for name, gradient in zip(
        parameters, torch.autograd.grad(log_p, list(parameters.values())), strict=True
    ):
        require(bool(gradient.isfinite().all()), f"The gradient of {name} is not finite.")
        require(bool((gradient != 0).any()), f"No gradient reaches {name}.")


def _draws(p: torch.distributions.Distribution, n: int) -> Tensor:
    with seeded(0), torch.no_grad():
        return p.sample((n,))
