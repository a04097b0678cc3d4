"""The four verbs, and presence as a mask."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import IMAGE, NUMBERS, TABLE, TEXT, linear, real_batch, real_modalities

from polymodal.fusion import ProductOfExperts
from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import MultimodalVAE, presence, row_log_prob
from polymodal.objectives import ELBO
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.typing import Column, rows_present

X, PRESENT = real_batch()


def build(**settings: object) -> MultimodalVAE:
    with seeded(0):
        return RECIPES["mvae"].build(real_modalities(), **{"latent_dim": 4, **settings})


def test_leading_axes_are_folded_not_mixed() -> None:
    model = build(private_dim=1)
    z = torch.randn(3, 2, 6, model.layout.dim)
    together = model.log_likelihoods(z, X, PRESENT)
    for k in range(3):
        for s in range(2):
            alone = model.log_likelihoods(z[k, s], X, PRESENT)
            for name in model.names:
                torch.testing.assert_close(together[name][k, s], alone[name], rtol=1e-4, atol=1e-4)


def test_log_likelihoods_are_those_of_a_loop_over_rows_and_cells() -> None:
    truth = linear(2)
    model = truth.build(ProductOfExperts(), ELBO())
    x, present = truth.sample(7), truth.present(7)
    present["b"] = torch.rand(7, 4, generator=torch.Generator().manual_seed(1)) < 0.5
    z = torch.randn(7, 2, dtype=torch.float64)
    log_p = model.log_likelihoods(z, x, present)
    for name, m in truth.modalities.items():
        loc = z @ m.weight.T + m.offset
        each = torch.distributions.Normal(loc, m.noise).log_prob(x[name])
        on = present[name] if present[name].ndim == 2 else present[name].unsqueeze(1)
        torch.testing.assert_close(log_p[name], torch.where(on, each, 0.0).sum(1))


def test_only_what_is_asked_and_named_is_scored() -> None:
    model = build()
    z = torch.randn(6, 4)
    assert set(model.log_likelihoods(z, X, PRESENT, [TEXT])) == {TEXT}
    assert set(model.log_likelihoods(z, X, PRESENT, iter([TEXT, TABLE]))) == {TEXT, TABLE}
    assert model.log_likelihoods(z, X, PRESENT, []) == {}
    less = {name: mask for name, mask in PRESENT.items() if name != IMAGE}
    assert set(model.log_likelihoods(z, X, less)) == {NUMBERS, TABLE, TEXT}


def test_an_absent_row_scores_zero_whatever_stands_there() -> None:
    p = GaussianLikelihood((2, 2), 0.5)(torch.randn(3, 2, 2))
    mask = torch.tensor([True, False, True])
    value = torch.randn(3, 2, 2)
    value[1] = math.nan
    log_p = row_log_prob(p, value, mask)
    assert log_p[1] == 0
    assert bool(log_p.isfinite().all())
    assert log_p[0] != 0


def test_decode_says_which_names_it_knows() -> None:
    with pytest.raises(ValueError, match=r"no modality 'image'; the model knows keys, type, a\.b"):
        build().decode(torch.zeros(2, 4), ["image"])


def test_likelihood_and_decoder_belong_to_the_name() -> None:
    model = build()
    for modality in real_modalities():
        assert type(model.likelihood(modality.name)) is type(modality.likelihood)
        shape = model.decode(torch.zeros(2, 4), [modality.name])[modality.name].event_shape
        assert tuple(shape) == modality.likelihood.value_shape


def test_presence_is_in_the_models_order_and_counts_any_cell() -> None:
    model = build()
    turned = dict(reversed(PRESENT.items()))
    del turned[IMAGE]
    on = presence(model, turned)
    for m, name in enumerate(model.names):
        expected = rows_present(PRESENT[name]) if name != IMAGE else torch.zeros(6).bool()
        assert torch.equal(on[m], expected)


def test_the_order_of_the_batch_does_not_matter() -> None:
    model = build()
    with seeded(1):
        one = model.loss(X, PRESENT, 0).loss
    with seeded(1):
        other = model.loss(dict(reversed(X.items())), dict(reversed(PRESENT.items())), 0).loss
    assert torch.equal(one, other)


def test_weights_survive_a_state_dict_and_so_does_every_answer() -> None:
    model = build(private_dim=1)
    with seeded(9):
        other = RECIPES["mvae"].build(real_modalities(), latent_dim=4, private_dim=1)
    with torch.no_grad():
        assert not torch.equal(model.posterior(X, PRESENT).loc, other.posterior(X, PRESENT).loc)
        other.load_state_dict(model.state_dict())
        assert torch.equal(model.posterior(X, PRESENT).loc, other.posterior(X, PRESENT).loc)


def test_a_double_model_answers_in_double() -> None:
    model = build().double()
    x = {n: v.double() if v.is_floating_point() else v for n, v in X.items()}
    assert model.loss(x, PRESENT, 0).loss.dtype == torch.float64
    assert model.prior().sample().dtype == torch.float64


def test_columns_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="Column 'x': kind must be one of number"):
        Column("x", "text")
    with pytest.raises(ValueError, match="category columns take levels >= 1"):
        Column("x", "category")
    with pytest.raises(ValueError, match="number columns take no levels"):
        Column("x", "number", 3)
