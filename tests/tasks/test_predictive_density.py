"""The predictive density under the posterior that answers, where another one trains."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from tests.helpers import noise
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from polymodal.data.tensors import Tensors
from polymodal.fusion import MixtureOfProducts, ProductOfExperts
from polymodal.model import MultimodalVAE
from polymodal.objectives import ELBO
from polymodal.tasks import log_likelihood
from polymodal.testing.linear import LinearGaussian

TRUTH = LinearGaussian({"a": 3, "b": 2, "c": 2}, 1)
SAMPLES = 20_000
N_ROWS = 4


def answering_by_a_product() -> MultimodalVAE:
    """As MoPoE: a mixture over the subsets trains, the product of what is given answers."""
    model = TRUTH.build(MixtureOfProducts("full"), ELBO(), inflate=1.3)
    model.posterior.answers = ProductOfExperts("full")
    return model


class Quantiles:
    """The middle quantiles of the standard normal, in order: in one dimension a quadrature."""

    def __init__(self) -> None:
        grid = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
        self.points = iter(Normal(0.0, 1.0).icdf(grid).tolist())

    def __call__(self, shape: torch.Size) -> Tensor:
        assert shape[1:] == (1, 1)
        return torch.tensor(list(islice(self.points, shape[0])), dtype=torch.float64)[
            :, None, None
        ]


def gaussian(x: dict[str, Tensor], given: tuple[str, ...]) -> MultivariateNormal:
    """p(a | z) averaged over the product of the experts that are given, row by row."""
    precision, pulled = torch.zeros(1).double(), torch.zeros(N_ROWS, 1).double()
    for name in given:
        expert = TRUTH.head(name)(x[name])
        each = (1.3 * expert.scale[0]) ** -2
        precision, pulled = precision + each, pulled + each * expert.loc
    m = TRUTH.modalities["a"]
    noise_of = m.noise**2 * torch.eye(3, dtype=torch.float64)
    covariance = m.weight @ m.weight.T / precision + noise_of
    return MultivariateNormal(pulled / precision @ m.weight.T + m.offset, covariance)


@pytest.mark.parametrize("given", [("b", "c"), ("b",), ("c",)])
@torch.no_grad()
def test_it_is_the_gaussian_of_the_posterior_that_answers(given: tuple[str, ...]) -> None:
    x = TRUTH.sample(N_ROWS, seed=5)
    rows = Tensors(x, {name: torch.ones(N_ROWS, dtype=torch.bool) for name in x})
    wanted = gaussian(x, given).log_prob(x["a"])
    found, model = [], answering_by_a_product()
    for row in range(N_ROWS):
        one = rows.rows(torch.tensor([row]))
        points = Quantiles()
        with noise(points):
            asked = log_likelihood(
                model, one, samples=SAMPLES, of="a", given=given, kind="predictive"
            )
        assert next(points.points, None) is None  # every point was taken, once
        found.append(asked.log_p)
    torch.testing.assert_close(torch.cat(found), wanted, rtol=0, atol=1e-9)
