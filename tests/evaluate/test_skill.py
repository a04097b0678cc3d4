"""Skill against models whose answers are known: perfect, useless, and the best baseline itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch

from polymodal.data.tensors import Tensors
from polymodal.evaluate import Evaluation, evaluate_skill
from polymodal.random import derive_seed
from polymodal.typing import Column, rows_present


class Codec:
    """A codec of which tables have numbers in units of 10, the rest being in tensor space."""

    def __init__(self, kinds: dict[str, str], columns: dict[str, list[Column]]) -> None:
        self.names = tuple(kinds)
        self._kinds, self._columns = kinds, columns

    def kind(self, name: str) -> str:
        return self._kinds[name]

    def columns(self, name: str) -> list[Column]:
        return self._columns[name]

    def text_level(self, name: str) -> str:
        return "word"

    def length(self, name: str) -> int:
        return 3

    def decode(self, name: str, values: torch.Tensor) -> pd.DataFrame | list[str]:
        assert not values.isnan().any()
        if self.kind(name) == "text":
            return [" ".join(f"w{i}" for i in row if i > 2) for row in values.tolist()]
        decoded = {}
        for j, column in enumerate(self.columns(name)):
            raw = values[:, j].double().numpy()
            decode = {"number": lambda v: 10 * v + 3, "positive": np.exp, "count": lambda v: v}
            decoded[column.name] = decode.get(column.kind, lambda v: v.astype(str))(raw)
        return pd.DataFrame(decoded)


CODEC = Codec(
    {"table": "table", "vector": "vector", "image": "image", "text": "text", "label": "table"},
    {
        "table": [
            Column("weight", "number"),
            Column("price", "positive"),
            Column("visits", "count"),
            Column("size", "ordinal", 3),
            Column("colour", "category", 3),
        ],
        "label": [Column("label", "category", 2)],
    },
)


def make(n: int, seed: int, holes: float = 0.0) -> Tensors:
    """Everything follows from two hidden numbers, with some noise."""
    g = torch.Generator().manual_seed(seed)
    u = torch.randn(n, 2, generator=g)

    def noise(*size: int) -> torch.Tensor:
        return 0.3 * torch.randn(*size, generator=g)

    group = (u[:, 0] > -0.5).long() + (u[:, 0] > 0.5)
    x = {
        "table": torch.stack(
            [
                u[:, 0] + noise(n),
                u[:, 1] + noise(n),
                (u[:, 0] + 3).clamp(min=0).round(),
                (u[:, 1] > -0.5).float() + (u[:, 1] > 0.5),
                group.float(),
            ],
            1,
        ),
        "vector": torch.cat([u, u.sum(1, keepdim=True)], 1) + noise(n, 3),
        "image": torch.sigmoid(u[:, :1, None, None] + noise(n, 1, 3, 3)),
        "text": torch.stack([4 + group, 8 - group, torch.full((n,), 2)], 1),
        "label": (u[:, 1:] > 0).float(),
    }
    present = {
        "table": torch.rand(n, 5, generator=g) >= holes,
        "vector": (torch.rand(n, 1, generator=g) >= holes).expand(n, 3).clone(),
        "image": torch.rand(n, generator=g) >= holes,
        "text": torch.rand(n, generator=g) >= holes,
        "label": torch.rand(n, 1, generator=g) >= holes,
    }
    for name in ("table", "vector", "label"):
        x[name] = torch.where(present[name], x[name], torch.nan)
    return Tensors(x, present)


@dataclass
class Said:
    point: dict[str, torch.Tensor]
    draws: dict[str, torch.Tensor]


class Oracle:
    """Knows the truth of the test rows by the text's (or another's) place; adds noise to it."""

    def __init__(self, truth: Tensors, noise: float = 0.0, spread: float = 0.0) -> None:
        self.truth, self.noise, self.spread = truth, noise, spread
        self.asked: list[tuple[list[str], int, int]] = []

    def __call__(self, model, source, *, draws, seed, names) -> Said:
        self.asked.append((names, len(source), draws))
        generator = torch.Generator().manual_seed(seed)
        point, drawn = {}, {}
        for name in names:
            rows = self.find(source)
            value = torch.nan_to_num(self.truth.x[name][rows].float())
            n = value.shape
            centre = value + self.noise * torch.randn(n, generator=generator)
            some = centre + self.spread * torch.randn(draws, *n, generator=generator)
            if name == "text":
                value = self.truth.x[name][rows]
                centre = torch.where(torch.tensor(self.noise > 0), 9, value)
                some = centre.expand(draws, *n)
            if name in CODEC._columns:
                for j, column in enumerate(CODEC.columns(name)):
                    if column.levels:
                        centre[:, j] = centre[:, j].round().clamp(0, column.levels - 1)
                        some[..., j] = some[..., j].round().clamp(0, column.levels - 1)
            point[name], drawn[name] = centre, some
        return Said(point, drawn)

    def find(self, source: Tensors) -> torch.Tensor:
        """Rows of the truth that have the values of ``source``, which is never changed."""
        keys, known = self.truth.x["image"].flatten(1), source.x["image"].flatten(1)
        return torch.cdist(known.double(), keys.double()).argmin(1)


def run(test: Tensors, train: Tensors, imputer, **settings) -> Evaluation:
    settings = {"bootstrap": 60, "draws": 20, **settings}
    return evaluate_skill(None, CODEC, test, train, imputer=imputer, **settings)


@pytest.fixture(scope="module")
def data() -> tuple[Tensors, Tensors]:
    return make(60, 1, holes=0.1), make(120, 2, holes=0.1)


def test_a_perfect_model_is_better_everywhere(data) -> None:
    test, train = data
    result = run(test, train, Oracle(test, spread=0.01))
    assert {row.task for row in result.rows} == {"modality", "cells"}
    for row in result.rows:
        if row.kind in ("number", "positive", "vector", "image", "count"):
            assert row.verdict == "better"
        best = getattr(row, row.best_baseline).value
        perfect = 1.0 if row.metric == "r2" else 0.0
        assert row.skill.value == pytest.approx(1.0 if best != perfect else 0.0)
        assert row.model.value == (1.0 if row.metric == "r2" else 0.0)
    wanted = {("modality", c) for c in (None, "weight", "price", "visits", "size", "colour")}
    wanted |= {("modality", "label")} | {("cells", c.name) for c in CODEC.columns("table")}
    assert {(row.task, row.column) for row in result.rows} == wanted
    assert "beats the best simple baseline" in result.verdict
    assert "use the model" in result.verdict


def test_a_useless_model_is_worse_and_the_verdict_says_so(data) -> None:
    test, train = data
    result = run(test, train, Oracle(test, noise=5.0, spread=0.01))
    numbers = [row for row in result.rows if row.kind in ("number", "vector", "image", "text")]
    assert all(row.verdict == "worse" and row.skill.value < 0 for row in numbers)
    assert "is beaten by" in result.verdict
    assert "ridge regression" in result.verdict
    assert "too narrow" in result.verdict
    assert "simple baseline" in result.verdict


def test_errors_are_in_own_units_and_of_known_cells_alone(data) -> None:
    test, train = data
    result = run(test, train, Oracle(test, noise=0.5, spread=0.01))
    row = next(r for r in result.rows if r.column == "weight" and r.task == "modality")
    assert row.n == int((test.present["table"][:, 0] & _others(test, "table")).sum())
    assert row.metric == "rmse"
    assert row.model.value == pytest.approx(5.0, rel=0.4)  # units of 10
    known = test.present["table"][:, 0] & _others(test, "table")
    mean = (10 * train.x["table"][train.present["table"][:, 0], 0] + 3).double().mean()
    wanted = ((10 * test.x["table"][known, 0] + 3).double() - mean).square().mean().sqrt()
    assert row.mean is not None
    assert row.mean.value == pytest.approx(wanted.item(), rel=1e-5)
    assert row.mean.low < row.mean.value < row.mean.high
    price = next(r for r in result.rows if r.column == "price" and r.task == "modality")
    known = test.present["table"][:, 1] & _others(test, "table")
    mean = train.x["table"][train.present["table"][:, 1], 1].double().exp().mean()
    wanted = (test.x["table"][known, 1].double().exp() - mean).square().mean().sqrt()
    assert price.mean is not None
    assert price.mean.value == pytest.approx(wanted.item(), rel=1e-5)


def _others(test: Tensors, name: str) -> torch.Tensor:
    return torch.stack([rows_present(m) for n, m in test.present.items() if n != name]).any(0)


def test_intervals_of_a_perfect_sampler_are_calibrated() -> None:
    """Truth and draws are exchangeable, so coverage is the nominal level up to chance."""
    test, train = make(300, 3), make(60, 4)

    class Sampler(Oracle):
        def __call__(self, model, source, *, draws, seed, names) -> Said:
            said = super().__call__(model, source, draws=draws, seed=seed, names=names)
            for name in names:
                if name in ("vector", "table"):
                    g = torch.Generator().manual_seed(derive_seed(seed, 5))
                    centre = said.point[name] + torch.randn(said.point[name].shape, generator=g)
                    n = said.draws[name].shape
                    said.draws[name] = centre + torch.randn(n, generator=g)
            return said

    names = ["vector", "image"]
    result = run(test.select(names), train.select(names), Sampler(test), draws=39)
    levels = [level for level, _, _ in result.calibration]
    assert levels == sorted(levels)
    assert 0.95 in levels
    for level, observed, n in result.calibration:
        assert n == 900
        assert abs(observed - level) < 5 * math.sqrt(level * (1 - level) / 300)
    row = next(r for r in result.rows if r.modality == "vector" and r.metric == "rmse")
    assert row.coverage is not None
    assert abs(row.coverage.value - 0.9) < 0.06
    assert "as they should" in result.verdict
    assert result.held is not None
    nominal = {level: (share, n) for level, share, n in result.calibration}
    assert (result.held.share.value, result.held.n) == pytest.approx(nominal[0.9])
    assert result.held.rows == 300


def test_same_seed_same_result_and_nothing_is_changed(data) -> None:
    test, train = data
    before = [t.clone() for s in (test, train) for t in (*s.x.values(), *s.present.values())]
    state = torch.get_rng_state()
    one = run(test, train, Oracle(test, noise=0.3, spread=0.3), seed=4)
    two = run(test, train, Oracle(test, noise=0.3, spread=0.3), seed=4)
    assert json.dumps(one.to_dict()) == json.dumps(two.to_dict())
    assert torch.equal(state, torch.get_rng_state())
    after = [t for s in (test, train) for t in (*s.x.values(), *s.present.values())]
    for a, b in zip(before, after, strict=True):
        assert torch.equal(torch.nan_to_num(a.float()), torch.nan_to_num(b.float()))
    three = run(test, train, Oracle(test, noise=0.3, spread=0.3), seed=5)
    assert json.dumps(one.to_dict()) != json.dumps(three.to_dict())


def test_the_model_never_sees_what_is_asked_for(data) -> None:
    test, train = data

    class Watch(Oracle):
        def __call__(self, model, source, *, draws, seed, names) -> Said:
            for name in names:
                mask = source.present[name]
                seen.append((name, bool(mask.any())))
                rows = self.find(source)
                assert not (mask & ~self.truth.present[name][rows]).any()
            return super().__call__(model, source, draws=draws, seed=seed, names=names)

    seen: list[tuple[str, bool]] = []
    watch = Watch(test)
    run(test, train, watch, cell_share=0.25)
    assert dict(seen[:5]) == dict.fromkeys(CODEC.names, False)
    assert watch.asked[-1][0] == ["table"]
    text = next(draws for names, _, draws in watch.asked if names == ["text"])
    assert text == 0


def test_cells_are_hidden_by_share(data) -> None:
    test, train = data
    result = run(test, train, Oracle(test), cell_share=0.25)
    for row in result.rows:
        if row.task == "cells":
            j = [c.name for c in CODEC.columns("table")].index(row.column)
            assert row.n == round(0.25 * int(test.present["table"][:, j].sum()))


def test_one_test_row_is_judged_without_a_winner() -> None:
    test, train = make(1, 5), make(40, 6)
    result = run(test, train, Oracle(test, noise=1.0, spread=0.1))
    assert {row.task for row in result.rows} == {"modality"}
    assert {row.verdict for row in result.rows} == {"equal"}
    assert all(row.n == 1 and row.model.low == row.model.high for row in result.rows)
    assert "fewer than 10 rows" in result.verdict
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_modality_that_no_training_row_has_is_named_and_left_out(data) -> None:
    test, train = data
    present = {**train.present, "vector": torch.zeros_like(train.present["vector"])}
    cells = train.present["table"].clone()
    cells[:, 0] = False
    present["table"] = cells
    result = run(test, replace(train, present=present), Oracle(test))
    assert "vector" not in {row.modality for row in result.rows}
    assert "weight" not in {row.column for row in result.rows}
    assert "vector could not be judged, as no training row has it." in result.verdict
    assert "weight (table) could not be judged" in result.verdict


def test_a_modality_that_no_test_row_has_is_named_and_left_out(data) -> None:
    test, train = data
    present = {**test.present, "text": torch.zeros_like(test.present["text"])}
    result = run(replace(test, present=present), train, Oracle(test))
    assert "text" not in {row.modality for row in result.rows}
    assert "no row judged has both it and anything else" in result.verdict


def test_one_modality_alone_has_cells_only(data) -> None:
    test, train = data
    rows = test.present["table"].any(1)

    class ByTable(Oracle):
        def find(self, source: Tensors) -> torch.Tensor:
            return torch.arange(len(source))

    only = Tensors({"table": test.x["table"][rows]}, {"table": test.present["table"][rows]})
    result = run(only, train.select(["table"]), ByTable(only))
    assert {row.task for row in result.rows} == {"cells"}


def test_nothing_to_judge_is_said() -> None:
    test, train = make(5, 7).select(["label"]), make(9, 8).select(["label"])
    result = run(test, train, Oracle(test))
    assert result.rows == []
    assert "Nothing could be judged" in result.verdict
    assert list(result.frame().columns)[:3] == ["task", "modality", "column"]
    assert str(result).endswith(result.verdict)


def test_constant_targets_have_a_defined_skill() -> None:
    test, train = make(30, 9), make(50, 10)
    for part in (test, train):
        part.x["vector"][:] = 0.7
        part.x["label"][:] = 1.0
        part.x["table"][:, 2] = 4.0
    perfect = run(test, train, Oracle(test))
    constant = [r for r in perfect.rows if r.column in ("label", "visits") or r.kind == "vector"]
    assert len(constant) == 4  # nothing varies, so no share of variance is explained
    assert all(r.skill.value == 0.0 and r.verdict == "equal" for r in constant)
    poor = run(test, train, Oracle(test, noise=1.0))
    for r in poor.rows:
        if r.column == "visits" or r.kind == "vector":
            assert r.skill.value == -10.0
            assert r.verdict == ("worse" if r.n >= 10 else "equal")
    json.dumps(poor.to_dict(), allow_nan=False)


def test_frame_and_text_hold_every_row(data) -> None:
    test, train = data
    result = run(test, train, Oracle(test, noise=0.2, spread=0.2))
    frame = result.frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(result.rows)
    np.testing.assert_array_equal(frame["model"], [row.model.value for row in result.rows])
    text = str(result)
    assert all(row.label in text for row in result.rows)
    assert text.splitlines()[len(result.rows) + 1] == ""
    assert {one.metric for one in result.texts} == {"chrf", "canonical_correlation"}
    assert "text was not judged by BLEU, as no true text has four words." in result.notes
    back = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert back["rows"][0]["model"]["value"] == result.rows[0].model.value


def test_settings_are_checked(data) -> None:
    test, train = data
    empty = test.rows(slice(0, 0))
    for settings, words in (
        ({"draws": 18}, "at least 19 draws"),
        ({"level": 1.5}, "between 0 and 1"),
        ({"cell_share": 0.0}, "cell_share"),
        ({"bootstrap": 0}, "bootstrap"),
    ):
        with pytest.raises(ValueError, match=words):
            run(test, train, Oracle(test), **settings)
    with pytest.raises(ValueError, match="test data have no rows"):
        run(empty, train, Oracle(test))


def test_progress_is_told(data) -> None:
    test, train = data
    told: list[tuple[int, int, str]] = []
    run(test, train, Oracle(test), progress=lambda *said: told.append(said))
    assert [done for done, _, _ in told] == list(range(7))
    assert {total for _, total, _ in told} == {6}
    assert told[0][2] == "modality: table"
