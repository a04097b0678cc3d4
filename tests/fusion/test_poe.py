"""A product of experts is the normalised product of their densities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from polymodal.fusion import Experts, ProductOfExperts
from polymodal.testing.fusion import experts_for_laws

GRID = torch.linspace(-12, 12, 4001, dtype=torch.float64)


def product_on_the_grid(experts: Experts, row: int, *, anchor: bool) -> Tensor:
    log_p = -0.5 * GRID.square() if anchor else torch.zeros_like(GRID)
    for m in range(len(experts.loc)):
        if experts.on[m, row]:
            normal = torch.distributions.Normal(experts.loc[m, row, 0], experts.scale[m, row, 0])
            log_p = log_p + normal.log_prob(GRID)
    return log_p - torch.logsumexp(log_p, 0) - (GRID[1] - GRID[0]).log()


@pytest.mark.parametrize("anchor", ["always", "full", "never"])
def test_density_equals_the_product_on_a_grid(anchor: str) -> None:
    experts = experts_for_laws(dim=1)
    q = ProductOfExperts(anchor)(experts)
    log_q = q.log_prob(GRID.reshape(-1, 1, 1).expand(-1, 8, 1))
    for row in range(1, 8):
        full = bool(experts.on[:, row].all())
        has_anchor = anchor == "always" or (anchor == "full" and full)
        expected = product_on_the_grid(experts, row, anchor=has_anchor)
        near = expected > -200  # beyond, the grid's own tails are cut off
        torch.testing.assert_close(log_q[near, row], expected[near], rtol=1e-9, atol=1e-9)


def test_the_three_anchors_differ_for_singletons_and_for_the_full_set() -> None:
    experts = experts_for_laws()
    single, full = 1, 7
    q = {word: ProductOfExperts(word)(experts) for word in ("always", "full", "never")}
    torch.testing.assert_close(q["never"].loc[0, single], experts.loc[0, single])
    torch.testing.assert_close(q["never"].scale[0, single], experts.scale[0, single])
    precision = experts.scale[0, single] ** -2
    torch.testing.assert_close(q["always"].scale[0, single], (1 + precision).rsqrt())
    assert torch.equal(q["full"].loc[0, single], q["never"].loc[0, single])
    assert torch.equal(q["full"].loc[0, full], q["always"].loc[0, full])
    assert not torch.equal(q["full"].loc[0, full], q["never"].loc[0, full])


def test_a_set_of_subsets_is_fused_in_one_call() -> None:
    experts = experts_for_laws()
    every = torch.stack([experts.on, experts.on.roll(1, 0), torch.zeros_like(experts.on)], 1)
    together = ProductOfExperts("always")(experts.only(every))
    for r in range(3):
        alone = ProductOfExperts("always")(experts.only(every[:, r]))
        torch.testing.assert_close(together.loc[:, r], alone.loc)
        torch.testing.assert_close(together.scale[:, r], alone.scale)


def test_an_unknown_anchor_and_a_family_without_closed_form_are_errors() -> None:
    with pytest.raises(ValueError, match="anchor must be one of always, full, never"):
        ProductOfExperts("sometimes")
    with pytest.raises(ValueError, match="normal, got 'laplace'"):
        ProductOfExperts()(experts_for_laws("laplace"))
