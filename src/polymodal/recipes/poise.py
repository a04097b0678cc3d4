"""POISE-VAE: latent vectors tied by an energy."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.model import Modality
from polymodal.models.covariance import CovarianceELBO, Estimator
from polymodal.models.interaction import Interaction
from polymodal.models.poise import POISE
from polymodal.objectives.schedules import Schedule
from polymodal.recipes.registry import recipe


@recipe(
    paper="POISE-VAE (released code)",
    authors="the authors of gongziyida/POISEVAE",
    year=2021,
    url="https://github.com/gongziyida/POISEVAE",
    equation="p(z) ~ prod_m N(z_m) exp sum_{m<n} T(z_m)' G_mn T(z_n),  "
    "q(z|x) ~ p(z) exp sum_m nu_m(x_m)' T(z_m),  T(z) = (z, z^2)",
    parts=(POISE, Interaction, CovarianceELBO),
    differs=(
        "No paper could be found: the system is known from its released code, which has two "
        "modalities; here there may be any number, and the bound on the blocks of G is divided by "
        "what each number then meets.",
        "The released covariances hold the interaction in the divergence, which is then the one "
        "from N(0, I); here it is the one from the energy prior, as the ELBO has it.",
        "By default the covariance is taken conditionally on the other blocks, which has the same "
        "expectation and less noise; estimator='covariance' is the released one.",
        "The prior's chains are persistent over the steps of training. Those of the posterior "
        "begin at the mean field of their row, so that one sweep does what 15 from nothing (the "
        "release) do; answers have answer_sweeps of both.",
        "There is no log-likelihood; the loss that is shown bounds the negative ELBO from above.",
    ),
)
def poise(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    beta: float | Schedule = 1.0,
    samples: int = 4,
    field_sweeps: int = 3,
    sweeps: int = 1,
    prior_sweeps: int = 3,
    answer_sweeps: int = 15,
    chains: int = 128,
    estimator: Estimator = "conditional",
) -> POISE:
    """A latent vector a modality under an energy; posterior and prior drawn by Gibbs."""
    objective = CovarianceELBO(beta, samples, estimator)
    return POISE(
        modalities,
        latent_dim,
        objective,
        field_sweeps=field_sweeps,
        sweeps=sweeps,
        prior_sweeps=prior_sweeps,
        answer_sweeps=answer_sweeps,
        n_chains=chains,
    )
