from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import NUMBERS, real_batch, real_modalities
from tests.training.toy import Rows, ToyModel
from torch.distributions import Independent, MultivariateNormal, Normal

from polymodal.data.tensors import Tensors
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.training import TrainSettings, fit, validation
from polymodal.training.distributed import World
from polymodal.training.validation import HeldOut

CPU = World(rank=0, size=1, device=torch.device("cpu"))


def held_out(rows, seed=0, batch_size=16, world=CPU):
    return HeldOut(rows, ("a", "b"), seed=seed, batch_size=batch_size, world=world)


def test_one_known_modality_is_hidden_and_another_stays():
    rows = Rows(600)
    chosen = held_out(rows)
    both = rows.present["a"] & rows.present["b"]
    assert chosen.pairs == len({*zip(chosen.rows.tolist(), chosen.hidden.tolist(), strict=True)})
    assert both[chosen.rows].all()
    assert set(chosen.hidden.tolist()) == {0, 1}
    many = held_out(Rows(600, holes=False))
    assert len(set(many.rows.tolist())) == many.pairs == 600


def test_few_rows_hide_several_modalities_in_turn():
    rows = Rows(30)
    both = (rows.present["a"] & rows.present["b"]).sum().item()
    assert held_out(rows).pairs == 2 * both


def test_many_rows_are_sampled(monkeypatch):
    monkeypatch.setattr(validation, "MOST_PAIRS", 100)
    chosen = held_out(Rows(600, holes=False))
    assert chosen.pairs == 100
    assert len(chosen.rows.unique()) == 100


def test_the_same_weights_get_the_same_number_and_the_caller_keeps_his_draws():
    model, chosen = ToyModel(), held_out(Rows(40))
    before = torch.get_rng_state()
    first = chosen.score(model)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert chosen.score(model) == first
    assert held_out(Rows(40)).score(model) == first
    assert held_out(Rows(40), seed=1).score(model) != first
    assert model.training


def test_the_score_does_not_depend_on_values_under_a_false_mask():
    model, rows, spoiled = ToyModel(), Rows(40), Rows(40)
    spoiled.x["a"][~rows.present["a"]] = math.nan
    assert held_out(rows).score(model) == held_out(spoiled).score(model)


class Gaussian(ToyModel):
    """a and b are z plus noise of variance v; the posterior given one of them is exact."""

    variance = 0.5

    def posterior(self, x, present):
        precision = 1 + sum(present[name][:, None] / self.variance for name in "ab")
        total = sum(torch.where(present[n][:, None], x[n], 0.0) / self.variance for n in "ab")
        return Independent(
            Normal(total / precision, (1 / precision).sqrt().expand(total.shape)), 1
        )

    def prior(self):
        return Independent(Normal(torch.zeros(4), torch.ones(4)), 1)

    def log_likelihoods(self, z, x, present, names=None):
        noise = self.variance**0.5
        return {
            name: torch.where(present[name], Normal(z, noise).log_prob(x[name]).sum(-1), 0.0)
            for name in names or self.names
        }


def test_the_score_is_the_predictive_density_of_what_is_hidden(monkeypatch):
    """With exact posteriors, log p(x_a | x_b) is known in closed form."""
    monkeypatch.setattr(validation, "DRAWS", 4000)
    model, rows = Gaussian(), Rows(40, holes=False)
    score = held_out(rows).score(model)
    v = model.variance
    exact = {}
    for name, other in ("ab", "ba"):
        mean = rows.x[other] / (1 + v)
        scale = math.sqrt(v / (1 + v) + v)
        exact[name] = Normal(mean, scale).log_prob(rows.x[name]).mean().item()
    assert score.parts == pytest.approx(exact, abs=0.05)
    assert score.score == pytest.approx(sum(exact.values()) / 2, abs=0.05)


def test_without_pairs_the_score_is_the_log_evidence():
    """With the exact posterior every importance weight is the evidence itself."""
    model, rows = Gaussian(), Rows(40)
    rows.present["b"] = ~rows.present["a"]  # one modality a row
    score = held_out(rows).score(model)
    exact = 0.0
    variance = (1 + model.variance) * torch.eye(4)
    p = MultivariateNormal(torch.zeros(4), variance)
    for name in "ab":
        exact += p.log_prob(rows.x[name])[rows.present[name]].sum().item()
    assert score.pairs == 0
    assert score.score == pytest.approx(exact / (40 * 4), rel=1e-4)


def test_a_modality_counts_the_same_whatever_its_size():
    class Repeated(Gaussian):
        """Modality b is told eight times over."""

        def likelihood(self, name):
            likelihood = super().likelihood(name)
            likelihood.dims = 4 * (8 if name == "b" else 1)
            return likelihood

        def log_likelihoods(self, z, x, present, names=None):
            found = super().log_likelihoods(z, x, present, names)
            return {name: v * (8 if name == "b" else 1) for name, v in found.items()}

    once = held_out(Rows(40)).score(Gaussian())
    often = held_out(Rows(40)).score(Repeated())
    assert often.parts["a"] == once.parts["a"]
    assert abs(often.parts["b"] - once.parts["b"]) < 1.0
    assert often.score == pytest.approx((often.parts["a"] + often.parts["b"]) / 2)


def test_validate_every_skips_epochs_but_never_the_last():
    settings = TrainSettings(epochs=5, batch_size=32, validate_every=2)
    history = fit(ToyModel(), Rows(), settings, validation=Rows(20)).history
    assert [record.validation is not None for record in history] == [
        False,
        True,
        False,
        True,
        True,
    ]
    assert set(history[1].validation_parts) == {"a", "b"}


class Calibrated(ToyModel):
    """Remembers what it was told of its scales, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.told = []

    def calibrate(self, name, z, value, mask):
        self.told.append((name, z, value, mask))

    def log_likelihoods(self, z, x, present, names=None):
        self.told.append(None)
        return super().log_likelihoods(z, x, present, names)


def test_scales_are_measured_before_the_score_on_values_that_z_has_not_seen():
    models, sources = (Calibrated(), Calibrated()), (Rows(40), Rows(40))
    sources[1].x["a"] += 1.0
    for model, rows in zip(models, sources, strict=True):
        held_out(rows).score(model)
        assert [told[0] for told in model.told[:2]] == ["a", "b"]
        assert set(model.told[2:]) == {None}
    (a, b), (other_a, other_b) = (model.told[:2] for model in models)
    assert torch.equal(a[1], other_a[1])  # z says nothing of the values that are hidden
    assert not torch.equal(b[1], other_b[1])
    torch.testing.assert_close(other_a[2], a[2] + 1.0)
    assert a[3].all()
    assert a[1].shape == (validation.DRAWS, len(a[2]), 3)


def test_a_score_widens_scales_in_evaluation_and_changes_nothing_in_training():
    with seeded(0):
        model = RECIPES["mvtcae"].build(real_modalities(), latent_dim=2)
    x, present = real_batch(200)
    present[NUMBERS][3:] = True
    scale = model.likelihood(NUMBERS).learned
    with torch.no_grad():
        scale.raw.fill_(-0.6)  # far too sure

    def loss():
        with seeded(1):
            return model.loss(x, present, 0).loss

    before = loss()
    HeldOut(Tensors(x, present), model.names, seed=0, batch_size=64, world=CPU).score(model)
    assert torch.equal(loss(), before)
    assert bool((scale.widening > 3).all())
    narrow = scale().detach()
    torch.testing.assert_close(scale.eval()().detach(), narrow * scale.widening)
    assert "likelihoods.0.learned.widening" in model.state_dict()
