"""Laws of fusion rules: hold your own to them.

Each ``check_*`` raises AssertionError where its sentence is broken; the caller's random state is
left alone.

Example:
    >>> from polymodal.fusion import ProductOfExperts
    >>> for name, law in check_fusion(ProductOfExperts()):
    ...     law()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from polymodal.distributions.diagonal import Family
from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import Experts, Fusion
from polymodal.random import seeded

Law = Callable[[], None]

N_MODALITIES, N_ROWS, DIM = 3, 8, 2


def check_fusion(fusion: Fusion) -> Iterator[tuple[str, Law]]:
    """The laws of a fusion rule, as (name, law), for each family that the rule takes.

    Arguments:
        fusion: The rule.
    """
    laws = [
        check_strata_are_a_distribution,
        check_absent_expert_is_ignored,
        check_nothing_present_gives_the_anchor,
        check_order_is_free,
        check_rows_are_independent,
        check_density_integrates_to_one,
        check_gradient_reaches_present_experts_only,
        check_low_precision_context_changes_nothing,
    ]
    for family in fusion.families:
        for law in laws:
            yield (
                f"{law.__name__} [{family}]",
                lambda law=law, family=family: law(fusion, family),
            )


def experts_for_laws(family: Family = "normal", dim: int = DIM) -> Experts:
    """Experts ``(3, 8, D)`` in float64 with every pattern of presence, one a row."""
    generator = torch.Generator().manual_seed(1)
    shape = (N_MODALITIES, N_ROWS, dim)
    loc = torch.randn(shape, dtype=torch.float64, generator=generator)
    scale = 0.3 + torch.rand(shape, dtype=torch.float64, generator=generator)
    rows = torch.arange(N_ROWS)
    on = torch.stack([(rows >> m) & 1 == 1 for m in range(N_MODALITIES)])
    return Experts(loc, scale, on, family)


def check_strata_are_a_distribution(fusion: Fusion, family: Family = "normal") -> None:
    """Finite locations, positive scales, the family kept, weights of a row that sum to one."""
    experts = experts_for_laws(family)
    q = fuse(fusion, experts)
    _require(q.family == family, f"{family} experts gave {q.family} strata.")
    _require(q.batch_shape == (N_ROWS,), f"batch shape {tuple(q.batch_shape)}, not ({N_ROWS},).")
    _require(bool(q.loc.isfinite().all() and q.scale.isfinite().all()), "parameters not finite.")
    _require(bool((q.scale > 0).all()), "a scale is not positive.")
    total = q.log_weights.exp().sum(0)
    _close(total, torch.ones_like(total), "The weights of a row do not sum to one.")


def check_absent_expert_is_ignored(fusion: Fusion, family: Family = "normal") -> None:
    """Whatever an absent expert says, NaN too, no bit of answer or gradient changes."""
    experts = experts_for_laws(family)
    results = []
    for filling in (0.5, 1e20, math.inf, math.nan):
        absent = ~experts.on.unsqueeze(-1)
        loc = torch.where(absent, filling, experts.loc).requires_grad_()
        scale = torch.where(absent, filling, experts.scale).requires_grad_()
        q = fuse(fusion, Experts(loc, scale, experts.on, family))
        gradients = torch.autograd.grad(_score(q), (loc, scale))
        results.append([q.loc, q.scale, q.log_weights, *gradients])
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            _same(one, other, "An absent expert changes the answer.")


def check_nothing_present_gives_the_anchor(fusion: Fusion, family: Family = "normal") -> None:
    """Where nothing is present every stratum with weight is standard."""
    q = fuse(fusion, experts_for_laws(family))  # row 0 has nothing
    alive = q.log_weights[:, 0] > -math.inf
    loc, scale = q.loc[alive, 0], q.scale[alive, 0]
    _same(loc, torch.zeros_like(loc), "Nothing present: the location is not 0.")
    _same(scale, torch.ones_like(scale), "Nothing present: the scale is not 1.")


def check_order_is_free(fusion: Fusion, family: Family = "normal") -> None:
    """The order of the modalities changes the mixture's density by rounding only."""
    experts = experts_for_laws(family)
    z = _points(N_ROWS)
    expected = fuse(fusion, experts).log_prob(z)
    for order in ([1, 2, 0], [2, 1, 0]):
        turned = Experts(experts.loc[order], experts.scale[order], experts.on[order], family)
        _close(fuse(fusion, turned).log_prob(z), expected, "The order of modalities matters.")


def check_rows_are_independent(fusion: Fusion, family: Family = "normal") -> None:
    """A row's posterior is the same alone and among any others."""
    experts = experts_for_laws(family)
    z = _points(N_ROWS)
    together = fuse(fusion, experts).log_prob(z)
    for row in range(N_ROWS):
        one = slice(row, row + 1)
        alone = Experts(experts.loc[:, one], experts.scale[:, one], experts.on[:, one], family)
        _close(fuse(fusion, alone).log_prob(z[one]), together[one], f"Row {row} alone differs.")


def check_density_integrates_to_one(fusion: Fusion, family: Family = "normal") -> None:
    """The density of every row integrates to one, on a grid in one dimension."""
    experts = experts_for_laws(family, dim=1)
    grid = torch.linspace(-40, 40, 40_001, dtype=torch.float64)
    z = grid.reshape(-1, 1, 1).expand(-1, N_ROWS, 1)
    total = fuse(fusion, experts).log_prob(z).exp().sum(0) * (grid[1] - grid[0])
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def check_gradient_reaches_present_experts_only(fusion: Fusion, family: Family = "normal") -> None:
    """Finite and not zero for experts that are present, exactly zero for those that are not."""
    experts = experts_for_laws(family)
    loc, scale = experts.loc.requires_grad_(), experts.scale.requires_grad_()
    q = fuse(fusion, Experts(loc, scale, experts.on, family))
    for gradient in torch.autograd.grad(_score(q), (loc, scale)):
        _require(bool(gradient.isfinite().all()), "A gradient is not finite.")
        _require(bool((gradient[experts.on] != 0).all()), "A present expert has no gradient.")
        _require(bool((gradient[~experts.on] == 0).all()), "An absent expert has a gradient.")


def check_low_precision_context_changes_nothing(fusion: Fusion, family: Family = "normal") -> None:
    """Under bf16 autocast float32 experts are fused in float32, to the bit."""
    wide = experts_for_laws(family)
    experts = Experts(wide.loc.float(), wide.scale.float(), wide.on, family)
    plain = fuse(fusion, experts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = fuse(fusion, experts)
    for name in ("loc", "scale", "log_weights"):
        here, there = getattr(plain, name), getattr(low, name)
        _require(there.dtype == torch.float32, f"{name} is {there.dtype} under autocast.")
        _same(here, there, f"{name} changes under autocast.")


def fuse(fusion: Fusion, experts: Experts) -> Strata:
    """Fuse with the same draws every time, for the rules that draw."""
    with seeded(0):
        return fusion(experts)


def _points(n_rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n_rows, DIM, dtype=torch.float64, generator=generator)


def _score(q: Strata) -> Tensor:
    """A number that every living stratum's parameters move."""
    return q.log_prob(_points(len(q.loc[0]))).sum() + (q.mean.sin() + q.variance).sum()


def _same(one: Tensor, other: Tensor, message: str) -> None:
    torch.testing.assert_close(
        one, other, rtol=0, atol=0, equal_nan=False, msg=lambda found: f"{message} {found}"
    )


def _close(one: Tensor, other: Tensor, message: str) -> None:
    torch.testing.assert_close(
        one, other, rtol=1e-9, atol=1e-9, msg=lambda found: f"{message} {found}"
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
