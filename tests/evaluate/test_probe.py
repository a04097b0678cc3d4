"""Probes, grids and distances where the answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.evaluate.class_toy import Reads

from polymodal.data.tensors import Tensors
from polymodal.evaluate.factorisation import judge_factorisation
from polymodal.evaluate.fidelity import evaluate_fidelity
from polymodal.evaluate.probe import linear_probe
from polymodal.fusion import ProductOfExperts
from polymodal.metrics import frechet_distance, manifold_precision, manifold_recall
from polymodal.objectives import ELBO
from polymodal.tasks.generate import embed
from polymodal.testing.linear import LinearGaussian


def linear(n: int, seed: int):
    """Rows of a model with 2 shared and 1 private numbers, and their latents."""
    truth = LinearGaussian({"a": 4, "b": 5}, 2, private_dim=1, noise=1e-3)
    model = truth.build(ProductOfExperts("always"), ELBO(), expert="factor")
    x = truth.sample(n, seed)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, truth.dim, dtype=torch.float64, generator=generator)
    return model, Tensors(x, {name: torch.ones(n, dtype=torch.bool) for name in x}), z


def test_a_class_in_the_shared_block_is_read_there_and_not_in_the_private_ones() -> None:
    model, train, z = linear(400, 0)
    _, test, asked = linear(300, 1)
    probe = linear_probe(model, train, (z[:, 0] > 0).long(), test, (asked[:, 0] > 0).long())
    found = {(row.block, row.given): row for row in probe.rows}
    assert set(found) == {
        ("shared", ("a",)), ("shared", ("b",)), ("shared", ("a", "b")),
        ("a", ("a",)), ("b", ("b",)),
    }  # fmt: skip
    for row in probe.rows:
        if row.private:
            assert row.accuracy.low < 0.6
        else:
            assert row.accuracy.value > 0.97
    assert probe.constant == pytest.approx(max((asked[:, 0] > 0).double().mean().item(), 0.5), 0.1)
    assert "private block of a" in str(probe)
    assert len(probe.table()) == 5


def test_a_class_in_a_private_block_is_read_there_alone() -> None:
    model, train, z = linear(400, 0)
    _, test, asked = linear(300, 1)
    probe = linear_probe(model, train, (z[:, 3] > 0).long(), test, (asked[:, 3] > 0).long())
    for row in probe.rows:
        if row.block == "b":
            assert row.accuracy.value > 0.97
        else:
            assert row.accuracy.low < 0.6


def test_the_protocol_is_logistic_regression_on_posterior_means() -> None:
    model, train, z = linear(120, 0)
    _, test, asked = linear(80, 1)
    labels = (z[:, 0] + z[:, 1] > 0).long() + (z[:, 1] > 1).long()
    truth = (asked[:, 0] + asked[:, 1] > 0).long() + (asked[:, 1] > 1).long()
    labels[:10] = -1
    present = {**test.present, "b": torch.arange(80) % 2 == 0}
    probe = linear_probe(
        model, train, labels, Tensors(test.x, present), truth, subsets=[("b",)], resamples=5
    )
    shared = probe.rows[0]
    means = [embed(model, rows.select(["b"]))[:, :2].numpy() for rows in (train, test)]
    peer = LogisticRegression(max_iter=1000).fit(means[0][10:], labels[10:])
    hits = peer.predict(means[1]) == truth.numpy()
    assert shared.accuracy.value == pytest.approx(hits[::2].mean())
    assert (shared.n_train, shared.n) == (110, 40)


def test_few_labels_are_said_and_sizes_are_checked() -> None:
    model, train, _ = linear(20, 0)
    one = torch.zeros(20, dtype=torch.long)
    probe = linear_probe(model, train, one, train, one, resamples=5)
    assert not probe.rows
    assert len(probe.notes) == 3
    with pytest.raises(ValueError, match="20 rows, but 3 labels"):
        linear_probe(model, train, one[:3], train, one)


def test_modalities_that_no_test_row_has_together_are_said() -> None:
    model, train, z = linear(40, 0)
    _, test, asked = linear(30, 1)
    first = torch.arange(30) % 2 == 0
    apart = Tensors(test.x, {"a": first, "b": ~first})
    labels = [(one[:, 0] > 0).long() for one in (z, asked)]
    probe = linear_probe(model, train, labels[0], apart, labels[1], resamples=5)
    assert {row.given for row in probe.rows} == {("a",), ("b",)}
    assert probe.notes == ["Given a + b too few rows have that and a label to probe."]


def test_a_probe_that_is_right_in_a_few_rows_may_be_wrong_in_others() -> None:
    model, train, z = linear(400, 8)
    _, test, asked = linear(5, 9)
    test = Tensors({n: x + 20 * (asked[:, :1] > 0) for n, x in test.x.items()}, test.present)
    known = Tensors({n: x + 20 * (z[:, :1] > 0) for n, x in train.x.items()}, train.present)
    labels = [(one[:, 0] > 0).long() for one in (z, asked)]
    probe = linear_probe(model, known, labels[0], test, labels[1], resamples=50)
    for row in probe.rows:
        assert row.accuracy.value == 1
        assert row.accuracy.low == pytest.approx(0.025 ** (1 / 5))
    assert probe.notes == [
        "Only 5 test rows were judged: so few tell little, whatever the intervals."
    ]


def test_a_grid_of_content_and_style_is_judged_by_hand() -> None:
    classes = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 1]])  # private parts down, shared along
    grid = classes.double().unsqueeze(-1)
    said = judge_factorisation(grid, Reads(), torch.tensor([0, 1, 3, -1]))
    assert torch.equal(said.classes, classes)
    assert said.kept == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert said.led == pytest.approx((2 / 4 + 2 / 4) / 2)
    assert said.right == pytest.approx(2 / 3)
    assert judge_factorisation(grid, Reads()).right is None


class Values:
    """Features that are the values."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_what_an_exact_model_makes_is_as_near_as_real_rows_are() -> None:
    """The mean of p(x | z) has less spread than x by the noise, which is tiny here."""
    model, test, _ = linear(800, 2)
    said = evaluate_fidelity(model, test, {"a": Values(), "b": Values()})
    ways = {(row.name, row.given) for row in said.rows}
    assert ways == {("a", ()), ("b", ()), ("a", ("b",)), ("b", ("a",))}  # none from itself
    for row in said.rows:
        assert row.n == 800
        assert row.frechet < 0.1
        assert row.precision > 0.7
        assert row.recall > 0.7
    assert said.unconditional == pytest.approx(sum(r.frechet for r in said.rows[:2]) / 2)
    assert said.conditional == pytest.approx(sum(r.frechet for r in said.rows[2:]) / 2)


def test_fidelity_is_that_of_the_metrics_and_sees_a_shift() -> None:
    model, test, _ = linear(200, 3)
    moved = Tensors({"a": test.x["a"] + 5, "b": test.x["b"]}, test.present)
    said = evaluate_fidelity(model, moved, {"a": Values()}, subsets=[("b",)])
    prior, given = said.rows
    # Every one of 4 numbers is 5 off.
    for row in (prior, given):
        assert row.frechet == pytest.approx(4 * 25, rel=0.1)
        assert row.precision < 0.1
    assert said.conditional == given.frechet
    assert said.table()["given"].tolist() == ["", "b"]
    assert "recall" in str(said)


def test_rows_that_lack_what_is_given_are_left_out_and_lacks_are_said() -> None:
    model, test, _ = linear(60, 4)
    present = {**test.present, "b": torch.arange(60) < 40}
    model.lacks = {"generate": "it has no prior."}
    said = evaluate_fidelity(model, Tensors(test.x, present), {"a": Values()})
    assert [(row.given, row.n) for row in said.rows] == [(("b",), 40)]
    assert math.isnan(said.unconditional)
    assert said.notes == ["Nothing was made from the prior: it has no prior."]
    with pytest.raises(ValueError, match="no modality has a judge"):
        evaluate_fidelity(model, test, {})


def test_the_numbers_of_a_row_are_those_of_its_features() -> None:
    model, test, _ = linear(50, 5)
    kept = []

    class Keeps:
        def features(self, x: torch.Tensor) -> torch.Tensor:
            kept.append(x)
            return x

    (row,) = evaluate_fidelity(model, test, {"a": Keeps()}, subsets=[], neighbours=2).rows
    real, made = kept[0], kept[-1]
    assert row.frechet == frechet_distance(made, real).item()
    assert row.precision == manifold_precision(made, real, 2).item()
    assert row.recall == manifold_recall(made, real, 2).item()
