"""Rows that show nothing are answered from the model's own prior, whatever its posterior says."""

from __future__ import annotations

import torch
from tests.tasks.test_quadrature import SIZES, built, evidence, rows

from polymodal.data.tensors import Tensors
from polymodal.model import MultimodalVAE
from polymodal.priors.blocks import BlockPrior
from polymodal.priors.mixture import MixturePrior
from polymodal.tasks import generate, log_likelihood, translate
from polymodal.tasks.given_nothing import prior_where_nothing

N_ROWS, FAR = 400, 3.0


def far_prior() -> MultimodalVAE:
    """A model whose prior is nowhere near N(0, I)."""
    model = built("cmvae", {"private_dim": 1, "clusters": 3})
    assert isinstance(model.prior, BlockPrior)
    assert isinstance(model.prior.shared, MixturePrior)
    with torch.no_grad():
        model.prior.shared.loc.fill_(FAR)
        for decoder in model.decoders:
            decoder.weight.fill_(0.8)
    return model


def empty() -> Tensors:
    x = {name: torch.zeros(N_ROWS, size).double() for name, size in SIZES.items()}
    return Tensors(x, {name: torch.zeros(N_ROWS, dtype=torch.bool) for name in SIZES})


def test_translations_of_nothing_are_new_rows() -> None:
    model = far_prior()
    said = translate(model, empty(), "c", given=["a", "b"], draws=2)["c"].flatten()
    made = generate(model, 2 * N_ROWS, values="sample")["c"].flatten()
    error = ((said.var() + made.var()) / len(said)).sqrt()
    assert float((said.mean() - made.mean()).abs()) < 5 * float(error)


def test_the_predictive_density_given_nothing_is_the_marginal() -> None:
    model, whole = far_prior(), rows()
    lacks_c = 4
    found = log_likelihood(
        model, whole, of=("a", "b"), given=("c",), kind="predictive", samples=20_000
    )
    wanted = evidence(model, whole.select(("a", "b")))
    assert float((found.log_p - wanted)[lacks_c].abs()) < 0.05


def test_other_rows_and_models_without_a_prior_keep_their_draws() -> None:
    model, whole = built("jmvae", {}), rows()
    z = torch.zeros(3, 6, model.layout.dim).double()
    found = prior_where_nothing(model, z, whole.present)
    assert torch.equal(found[:, 1:], z[:, 1:])
    assert bool((found[:, 0] != 0).all())
    model.lacks = {"generate": "there is no prior."}
    assert prior_where_nothing(model, z, whole.present) is z
