"""Every verb on frames and arrays: what comes back is of the kind that went in."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.estimator.cases import RECIPE_NAMES, arrays, frame, tiny

import polymodal as pm
from polymodal import MultimodalModel


@pytest.fixture(scope="module", params=RECIPE_NAMES)
def fitted(request) -> MultimodalModel:
    return MultimodalModel(**tiny(recipe=request.param)).fit(frame())


@pytest.fixture(scope="module")
def model() -> MultimodalModel:
    return MultimodalModel(**tiny()).fit(frame())


@pytest.fixture(scope="module")
def array_model() -> MultimodalModel:
    held, present = arrays()
    return MultimodalModel(**tiny()).fit(pm.from_arrays(held, present))


def same_cell(a, b) -> bool:
    if isinstance(a, Image.Image):
        return a is b or np.array_equal(np.asarray(a), np.asarray(b))
    return bool(np.all(a == b))


def check_filled(given: pd.DataFrame, made: pd.DataFrame) -> None:
    """Everything that was there is as it was; nothing but the left out column has a hole."""
    assert list(made.columns) == list(given.columns)
    assert made.index.equals(given.index)
    for name in given.columns:
        there = given[name].notna().to_numpy()
        assert made[name].dtype == given[name].dtype, name
        pairs = zip(given[name][there], made[name][there], strict=True)
        assert all(same_cell(a, b) for a, b in pairs), name
        assert made[name].notna().all(), name
    strings = made["caption"][~given["caption"].notna()]
    assert all(isinstance(text, str) for text in strings)
    for photo in made["photo"]:
        assert isinstance(photo, Image.Image)
        assert (photo.size, photo.mode) == ((6, 6), "L")
    assert set(made["c"]) <= set("abc")
    assert set(made["o"]) <= {"lo", "mid", "hi"}
    assert all(vector.shape == (3,) for vector in made["v"])


def test_imputation_of_a_frame(fitted) -> None:
    given = frame(15, seed=5)
    said = fitted.impute(given, draws=20)
    check_filled(given, said.mean)
    assert len(said.draws) == 20
    for made in (said.draws[0], said.draws[-1], *said.interval(0.9)):
        check_filled(given, made)
    holes = given["w"].isna().to_numpy()
    draws = np.stack([draw["w"].to_numpy() for draw in said.draws])
    assert (np.ptp(draws, 0)[holes] > 0).all()
    low, high = said.interval(0.9)
    assert (low["w"] <= high["w"]).all()
    # Of 20 draws 5 % lie at place 1.05, 95 % at 19.95.
    ordered = np.sort(draws, 0)
    np.testing.assert_allclose(
        low["w"], ordered[0] + 0.05 * (ordered[1] - ordered[0]), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        high["w"], ordered[18] + 0.95 * (ordered[19] - ordered[18]), rtol=1e-5, atol=1e-6
    )
    wider = said.interval(0.9)[1]["w"] - said.interval(0.5)[1]["w"]
    assert (wider[holes] > 0).all()
    assert (wider[~holes] == 0).all()
    assert said.ess.shape == (15,)
    assert ((said.ess > 0) & (said.ess <= 1)).all()


def test_spread_of_imputations(model) -> None:
    given = frame(15, seed=5)
    said = model.impute(given, draws=12)
    sd = said.sd
    assert set(sd) == {"table", "photo", "v"}
    table = sd["table"]
    for name in ("w", "f32", "n"):
        wanted = np.std([draw[name].to_numpy(float) for draw in said.draws], axis=0, ddof=1)
        there = given[name].notna().to_numpy()
        assert (table[name][there] == 0).all()
        np.testing.assert_allclose(table[name][~there], wanted[~there], rtol=1e-6)
    days = [
        (draw["when"] - pd.Timestamp("2020-01-01")) / pd.Timedelta("1D") for draw in said.draws
    ]
    holes = given["when"].isna().to_numpy()
    np.testing.assert_allclose(table["when"][holes], np.std(days, axis=0, ddof=1)[holes])
    assert (table["when"][~holes] == 0).all()
    labels = np.stack([draw["s"].to_numpy() for draw in said.draws])
    share = [1 - max(np.mean(row == one) for one in "xyz") for row in labels.T]
    np.testing.assert_allclose(table["s"], share)
    photos = given["photo"].notna().to_numpy()
    assert (sd["photo"][photos] == 0).all()
    assert (sd["photo"][~photos] > 0).any()
    assert sd["v"].shape == (15, 3)


def test_a_level_needs_enough_draws(model) -> None:
    said = model.impute(frame(5), draws=20)
    for level in (0, 1, -0.1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            said.interval(level)
    with pytest.raises(ValueError, match="draws=199"):
        said.interval(0.99)


def test_reconstruct_translate_generate_embed_score(fitted) -> None:
    given = frame(9, seed=2)
    again = fitted.reconstruct(given)
    assert set(again.columns) == set(given.columns) - {"id"}
    assert again.index.equals(given.index)
    assert again.notna().all().all()
    captions = fitted.translate(given, to="caption")
    assert len(captions) == 9
    assert all(isinstance(text, str) for text in captions)
    photos = fitted.translate(given[["caption"]], to="photo")
    assert all(isinstance(photo, Image.Image) for photo in photos)
    both = fitted.translate(given, to=["table", "photo"], given="caption", draws=2)
    assert len(both) == 2
    assert set(both[0]) == {"table", "photo"}
    assert both[0]["table"].index.equals(given.index)
    if "generate" not in fitted.model_.lacks:
        made = fitted.generate(4)
        assert len(made) == 4
        assert made.notna().all().all()
        assert made["o"].dtype == given["o"].dtype
    z = fitted.embed(given)
    assert z.ndim == 2
    assert len(z) == 9
    assert z.dtype == np.float32
    if "score" in fitted.model_.lacks:
        return
    p = fitted.score(given, samples=50)
    assert p.shape == (9,)
    assert np.isfinite(p).all()
    assert p[3] == 0  # nothing is there


def test_arrays_come_back_as_arrays(array_model) -> None:
    held, present = arrays(20, seed=3)
    given = pm.from_arrays(held, present)
    said = array_model.impute(given, draws=20)
    for made in (said.mean, said.draws[3], *said.interval(0.8)):
        assert list(made) == list(held)
        for name, value in held.items():
            there = present.get(name, np.ones(20, dtype=bool))
            assert made[name].dtype == value.dtype, name
            assert made[name].shape == value.shape, name
            assert np.array_equal(made[name][there], value[there]), name
    for made in (array_model.generate(6), array_model.reconstruct(given)):
        assert made["keys"].dtype == np.uint8
        assert made["grey"].shape[1:] == (1, 4, 4)
        assert set(np.unique(made["a.b"])) <= {0, 1, 2}
    label = array_model.translate(given, "a.b", given="type")
    assert label.shape == (20,)
    assert said.sd["keys"].shape == (20, 5, 5)
    alone = array_model.impute(pm.from_arrays({"type": held["type"]}), draws=2).mean
    assert set(alone) == set(held)
    assert np.array_equal(alone["type"], held["type"])


def test_nothing_that_was_given_is_changed(model, array_model) -> None:
    given = frame(8, seed=7)
    before = given.copy(deep=True)
    pixels = [None if p is None or p is np.nan else np.array(p) for p in before["photo"]]
    held, present = arrays(8, seed=7)
    kept, masks = copy.deepcopy(held), copy.deepcopy(present)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    MultimodalModel(**tiny(epochs=1)).fit(given)
    for asked, data in ((model, given), (array_model, pm.from_arrays(held, present))):
        done = asked.impute(data, draws=3)
        done.mean, done.draws, done.sd, done.interval(0.4)
        asked.reconstruct(data)
        asked.embed(data)
        asked.score(data, samples=5)
        asked.generate(3)
        asked.translate(data, to=asked.schema_.names[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    pd.testing.assert_frame_equal(
        given.drop(columns=["photo", "v"]), before.drop(columns=["photo", "v"])
    )
    for a, b, pixel in zip(given["photo"], before["photo"], pixels, strict=True):
        assert a is b
        assert pixel is None or not pixel.shape or np.array_equal(np.asarray(a), pixel)
    for name in held:
        assert np.array_equal(held[name], kept[name])
        assert name not in present or np.array_equal(present[name], masks[name])


def test_results_can_be_changed_without_changing_the_data(array_model) -> None:
    held, present = arrays(6)
    kept = copy.deepcopy(held)
    data = pm.from_arrays(held, present)
    for made in (array_model.impute(data, draws=2).mean, array_model.reconstruct(data)):
        for value in made.values():
            value[...] = 0
    assert all(np.array_equal(held[name], kept[name]) for name in held)


def test_the_same_seed_gives_the_same_answer(model) -> None:
    given = frame(8, seed=4)[["w", "photo", "caption"]]
    a, b = (model.impute(given, draws=3, seed=5).draws[2] for _ in range(2))
    pd.testing.assert_series_equal(a["w"], b["w"])
    assert all(same_cell(x, y) for x, y in zip(a["photo"], b["photo"], strict=True))
    c = model.impute(given, draws=3, seed=6).draws[2]
    assert not a["w"].equals(c["w"])
    assert np.array_equal(model.score(given, 20, seed=1), model.score(given, 20, seed=1))
    assert not np.array_equal(model.score(given, 20, seed=1), model.score(given, 20, seed=2))
    assert model.generate(3, seed=1)["w"].equals(model.generate(3, seed=1)["w"])
    assert not model.generate(3, seed=1)["w"].equals(model.generate(3, seed=2)["w"])


@pytest.mark.parametrize("read", [lambda given: given, pm.read], ids=["frame", "data"])
def test_columns_and_modalities_that_are_lacking_are_filled(model, read) -> None:
    whole = frame(10, seed=6)
    for columns in (["photo", "w", "id"], ["caption"], ["s", "f32"], list(whole.columns[::-1])):
        given = whole[columns]
        made = model.impute(read(given), draws=2).mean
        assert set(made.columns) == set(whole.columns) - ({"id"} - set(columns))
        assert list(made.columns[: len(columns)]) == columns
        assert made.index.equals(given.index)
        assert made.notna().all().all()
        for name in columns:
            there = given[name].notna()
            pairs = zip(given[name][there], made[name][there], strict=True)
            assert all(same_cell(a, b) for a, b in pairs)
        assert model.embed(read(given)).shape == (10, 3)


def test_the_order_of_columns_does_not_matter(model) -> None:
    given = frame(10, seed=6)
    turned = given[given.columns[::-1]]
    for read in (pm.read, lambda one: one):
        assert np.array_equal(model.embed(read(turned)), model.embed(given))
        a = model.impute(read(turned), draws=2).mean
        b = model.impute(given, draws=2).mean
        for name in ("w", "f32", "c", "s", "o", "n", "when"):
            assert a[name].equals(b[name]), name


def test_a_frame_within_arrays_gets_the_columns_it_lacks() -> None:
    table = frame(30)[["w", "s"]].reset_index(drop=True)
    v = np.random.default_rng(0).normal(size=(30, 2))
    model = MultimodalModel(**tiny()).fit(pm.from_arrays({"t": table, "v": v}))
    made = model.impute(pm.from_arrays({"t": table[["w"]]}), draws=2).mean
    assert list(made["t"].columns) == ["w", "s"]
    assert made["t"].notna().all().all()
    assert made["v"].shape == (30, 2)


def test_rows_that_have_little(model) -> None:
    one = frame()[5:6]
    check_filled(one, model.impute(one, draws=2).mean)
    nothing = frame()[3:4]
    assert nothing.drop(columns="id").isna().all().all()
    check_filled(nothing, model.impute(nothing, draws=2).mean)
    assert model.score(nothing, 10) == 0
    assert len(model.translate(nothing, "caption")) == 1
    same_place = frame(10)
    same_place.index = [0] * 10
    check_filled(same_place, model.impute(same_place, draws=2).mean)


def test_dtypes_of_new_data_that_differ_from_those_of_training(model) -> None:
    given = frame(8, seed=1)
    given["w"] = pd.array([1, 2, None, 4, 5, None, 7, 8], dtype="Int64")
    given["f32"] = given["f32"].astype(np.float64)
    given["s"] = given["s"].astype("category")
    given["c"] = pd.Categorical([None] * 7 + ["a"], categories=["a"])
    made = model.impute(given, draws=20)
    for filled in (made.mean, *made.draws):
        assert filled["w"].notna().all()
        assert filled["w"].iloc[[0, 1, 3]].tolist() == [1, 2, 4]
        assert filled["c"].notna().all()
        assert filled["c"].iloc[7] == "a"
        assert set(filled["s"]) <= set("xyz")
    assert len({value for filled in made.draws for value in filled["c"]}) > 1


@pytest.mark.parametrize("column", ["c", "s", "o"])
def test_a_category_that_was_not_seen_is_refused_by_row_and_column(model, column) -> None:
    given = frame(8, seed=1).astype({column: object})
    given.iloc[5, given.columns.get_loc(column)] = "new"
    with pytest.raises(ValueError, match=f"column '{column}', row 5.*'new'"):
        model.embed(given)


def test_questions_that_cannot_be_answered(model) -> None:
    given = frame(4)
    with pytest.raises(ValueError, match="no modality 'captoin'"):
        model.translate(given, "captoin")
    with pytest.raises(ValueError, match="nothing to translate to"):
        model.translate(given, [])
    with pytest.raises(ValueError, match="nothing to translate from"):
        model.translate(given, "caption", given=[])
    with pytest.raises(ValueError, match="given='table', which the data lack; they have photo"):
        model.translate(given[["photo"]], "caption", given="table")
    with pytest.raises(ValueError, match="none of the modalities"):
        model.embed(given[["id"]])
    with pytest.raises(ValueError, match=r"row 1.*infinite"):
        model.embed(given.assign(w=[0.0, np.inf, 0.0, 0.0]))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        model.embed("nowhere.csv")


def test_a_path_is_read_by_the_fitted_schema(tmp_path) -> None:
    given = frame()[["w", "s", "n"]]
    model = MultimodalModel(**tiny()).fit(given)
    given[["s", "w"]].to_csv(tmp_path / "new.csv", index=False)
    a, b = model.embed(tmp_path / "new.csv"), model.embed(given[["w", "s"]])
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    again = MultimodalModel(**tiny()).fit(
        given.to_csv(tmp_path / "all.csv", index=False) or tmp_path / "all.csv"
    )
    assert again.impute(tmp_path / "new.csv", draws=2).mean.columns.tolist()[:2] == ["s", "w"]


def test_the_score_is_in_the_units_of_the_data() -> None:
    """A column c times as large has a density c times as small: -log c a cell that is there."""
    given = frame(60)[["w", "f32", "s"]].astype({"f32": float})
    scaled = given.assign(w=given["w"] * 1000 + 7, f32=given["f32"] * 0.01)
    a, b = (MultimodalModel(**tiny()).fit(one) for one in (given, scaled))
    gap = b.score(scaled, 300) - a.score(given, 300)
    wanted = -np.log(1000) * given["w"].notna() - np.log(0.01) * given["f32"].notna()
    np.testing.assert_allclose(gap, wanted, atol=2e-3)


def test_evaluation_runs_and_a_loaded_model_asks_for_its_rows(tmp_path) -> None:
    data = pm.load_bundled("penguins")
    train, test = data[:200], data[200:260]
    model = MultimodalModel(**tiny(epochs=3)).fit(train)
    told = model.evaluate(test, draws=20)
    assert told.rows
    assert told.verdict
    model.save(tmp_path / "m.pm")
    loaded = pm.load(tmp_path / "m.pm")
    with pytest.raises(ValueError, match="pass train="):
        loaded.evaluate(test)
    kept = np.setdiff1d(np.arange(200), model.held_out_)
    again = loaded.evaluate(test, train=train[kept], draws=20)
    assert again.to_dict() == told.to_dict()


def test_dtypes_with_holes_are_kept() -> None:
    chance, place = np.random.default_rng(0), np.arange(30)
    given = pd.DataFrame(
        {
            "whole": pd.array([2**40 + 1, None, 3] * 10, dtype="Int64"),
            "truth": pd.array([True, None, False] * 10, dtype="boolean"),
            "word": pd.array(["a", None, "b"] * 10, dtype="string"),
            "zone": pd.Series(pd.date_range("2020-01-01", periods=30, tz="Europe/Berlin")).where(
                place % 3 > 0
            ),
            "F32": pd.array(np.where(place % 4, chance.normal(size=30), np.nan), dtype="Float32"),
            "f32": np.where(place % 4, chance.normal(size=30), np.nan).astype(np.float32),
            "levels": pd.Categorical([7, 9, None] * 10),
            "object": np.array([True, None, False] * 10, dtype=object),
            3: chance.normal(size=30),
        }
    )
    model = MultimodalModel(**tiny()).fit(given)
    said = model.impute(given, draws=20)
    for made in (said.mean, *said.draws, *said.interval(0.9)):
        assert made.columns.tolist() == given.columns.tolist()
        for name in given.columns:
            there = given[name].notna()
            assert made[name].dtype == given[name].dtype
            assert made[name].notna().all()
            assert (made[name][there] == given[name][there]).all()


def test_hidden_values_do_not_leak() -> None:
    """What is hidden is still in the memory of the data; no answer may show it."""
    chance = np.random.default_rng(0)
    held = {"v": chance.normal(size=(60, 3)), "x": chance.normal(size=60)}
    held["photo"] = (chance.random((60, 4, 4)) * 255).astype(np.uint8)
    whole = pm.from_arrays(held)
    hidden, _ = whole.hide(0.3, 0.3, seed=1)
    model = MultimodalModel(**tiny()).fit(hidden)
    said = model.impute(hidden, draws=4)
    for made in (said.mean, *said.draws, *said.interval(0.5), model.reconstruct(hidden)):
        for name, value in held.items():
            lost = whole.present(name) & ~hidden.present(name)
            lost = lost[:, 0] if value.ndim == 1 else lost
            same = (made[name] == value)[lost]
            assert lost.any()
            assert same.mean() < 0.05


def test_bfloat16_and_a_limit_of_time() -> None:
    assert MultimodalModel(**tiny(precision="bf16")).fit(frame(20)).result_.status == "finished"
    limited = tiny(epochs=100_000, max_seconds=0.2, patience=None)
    model = MultimodalModel(**limited).fit(frame(20)[["w"]])
    assert 0 < len(model.result_.history) < 100_000
    assert "time" in model.result_.reason


@pytest.mark.parametrize("masked", [False, True])
def test_arrays_come_back_in_the_dtypes_that_went_in(masked: bool) -> None:
    rng = np.random.default_rng(0)
    held = {
        "photo": rng.integers(0, 255, (30, 8, 8)).astype(np.uint8),
        "label": rng.integers(0, 3, 30),
        "small": rng.integers(0, 200, 30).astype(np.uint8),
        "yes": rng.random(30) < 0.5,
        "x": rng.normal(size=30).astype(np.float32),
        "v": rng.normal(size=(30, 3)).astype(np.float32),
    }
    present = {name: rng.random(30) < 0.8 for name in held} if masked else None
    data = pm.from_arrays(held, present=present)
    model = pm.MultimodalModel(epochs=1, latent_dim=2, progress=False).fit(data)
    done = model.impute(data, draws=20)
    others = {name: data[[n for n in data.names if n != name]] for name in held}
    told = {name: model.translate(rows, to=name) for name, rows in others.items()}
    for said in (done.mean, *done.interval(0.9), model.generate(4), model.reconstruct(data), told):
        assert {name: (type(v), v.dtype) for name, v in said.items()} == {
            name: (np.ndarray, v.dtype) for name, v in held.items()
        }
    assert all(isinstance(one, np.ndarray) for one in done.sd.values())
    assert done.sd["label"].shape == (30,)
