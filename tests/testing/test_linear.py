"""The model that judges is judged by dense linear algebra."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import linear
from torch.distributions import MultivariateNormal

from polymodal.testing import LinearGaussian


def joint(truth: LinearGaussian) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of all cells."""
    weight = torch.cat([m.weight for m in truth.modalities.values()])
    noise = torch.cat([torch.full((len(m.offset),), m.noise) for m in truth.modalities.values()])
    offset = torch.cat([m.offset for m in truth.modalities.values()])
    return offset, weight @ weight.T + noise.double().square().diag()


@pytest.mark.parametrize("orthogonal", [True, False])
def test_evidence_of_any_presence_cells_too(orthogonal: bool) -> None:
    truth = linear(orthogonal=orthogonal)
    x, present = truth.sample(20), truth.present(20)
    present["b"] = torch.rand(20, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    present["b"][0] = False
    offset, covariance = joint(truth)
    log_p = truth.log_evidence({**x, "b": torch.where(present["b"], x["b"], math.nan)}, present)
    for row in range(20):
        value = torch.cat([x[name][row] for name in truth.names])
        on = torch.cat([present[n][row].expand(x[n].shape[1]) for n in truth.names])
        if not on.any():
            assert log_p[row] == 0
            continue
        dense = MultivariateNormal(offset[on], covariance[on][:, on])
        torch.testing.assert_close(log_p[row], dense.log_prob(value[on]), rtol=1e-10, atol=1e-10)


def test_conditional_is_the_schur_complement() -> None:
    truth = linear(orthogonal=False)
    x = truth.sample(5)
    offset, covariance = joint(truth)
    present = {name: torch.ones(5, dtype=torch.bool) for name in ("a", "c")}
    answer = truth.conditional("b", x, present)
    given, wanted = [0, 1, 2, 7, 8], [3, 4, 5, 6]
    gain = covariance[wanted][:, given] @ torch.linalg.inv(covariance[given][:, given])
    value = torch.cat([x["a"], x["c"]], 1)
    mean = offset[wanted] + (value - offset[given]) @ gain.T
    schur = covariance[wanted][:, wanted] - gain @ covariance[given][:, wanted]
    torch.testing.assert_close(answer.mean, mean, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(answer.covariance_matrix[0], schur, rtol=1e-10, atol=1e-10)


def test_orthogonal_columns_make_the_posterior_diagonal() -> None:
    truth = linear(2)
    covariance = truth.posterior(truth.sample(9), truth.present(9)).covariance_matrix
    off = covariance - torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1))
    assert float(off.abs().max()) < 1e-14
    with pytest.raises(ValueError, match="orthogonal columns need at least"):
        LinearGaussian({"a": 1}, 2)
    with pytest.raises(ValueError, match="orthogonal=True"):
        linear(orthogonal=False).head("a")


def test_closed_elbo_of_the_exact_posterior_is_the_evidence() -> None:
    truth = linear(2)
    x, present = truth.sample(9), truth.present(9)
    q = truth.posterior(x, present)
    elbo = truth.elbo(x, present, q.mean, q.variance.sqrt())
    torch.testing.assert_close(elbo, truth.log_evidence(x, present), rtol=1e-10, atol=1e-10)
