"""Files: whole ones come back bit for bit, all others end in one clear error."""

from __future__ import annotations

import json
import os
import pickle
import random
import stat
import struct
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.estimator.cases import RECIPE_NAMES, arrays, frame, tiny
from tests.files.make_model_v1 import ANSWERS, FILE, answers

import polymodal as pm
from polymodal import FileError, MultimodalModel, NetworkSettings
from polymodal.files import FileFormat
from polymodal.fitting import RUN_NAME
from polymodal.model_file import MODEL_FILE
from polymodal.objectives.schedules import Constant, Cyclic, LinearWarmup
from polymodal.recipes import RECIPES

FORMAT = FileFormat("polymodal thing", 3, "Do it again.")
FACTS = {"a": [1, 2.5, None, "ü\n"], "nan": None, "nested": {"": {}}}


def tensors() -> dict[str, torch.Tensor]:
    weight = torch.randn(5, 3)
    return {
        "tied": weight,
        "twin": weight,
        "view": weight.T[1:],
        "half": weight.bfloat16(),
        "whole": torch.arange(4),
        "mask": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.empty(0, 3),
        "no rows": torch.as_tensor(np.empty(0, dtype=np.int64)),
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
        "a/ b.c": torch.zeros(2, 2, 2, 2),
        "learned": torch.nn.Parameter(weight.clone()),
    }


def write(path: Path) -> dict[str, torch.Tensor]:
    held = tensors()
    FORMAT.write(path, FACTS, held)
    return held


@pytest.mark.skipif(os.name != "posix", reason="only there have files a mode")
def test_others_may_read_a_file_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write(tmp_path / "thing")
    assert (tmp_path / "thing").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.fixture(scope="module")
def model() -> MultimodalModel:
    return MultimodalModel(**tiny()).fit(frame(20)[["w", "s", "photo"]])


def refused(path: Path, read=FORMAT.read) -> str:
    """The one sentence or two with which a file is refused."""
    with pytest.raises(FileError) as caught:
        read(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


def test_facts_and_tensors_come_back_bit_for_bit(tmp_path) -> None:
    held = write(tmp_path / "new" / "folder" / "a.thing")
    facts, got = FORMAT.read(tmp_path / "new" / "folder" / "a.thing")
    assert facts == FACTS
    assert got.keys() == held.keys()
    for name, tensor in held.items():
        assert got[name].dtype == tensor.dtype
        assert got[name].shape == tensor.shape
        a, b = (t.detach().contiguous().reshape(-1) for t in (got[name], tensor))
        size = a.element_size()
        whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size]
        assert not a.numel() or torch.equal(a.view(whole), b.view(whole)), name
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.thing"]


def test_a_failed_write_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "a.thing"
    write(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        FORMAT.write(path, {"a": object()}, tensors())
    with pytest.raises(AttributeError):
        FORMAT.write(path, {}, {"a": [1.0]})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_is_refused(tmp_path) -> None:
    write(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    short = tmp_path / "short"
    for n in {*np.linspace(0, len(whole) - 1, 60).astype(int).tolist(), 1, 7, 8, 9}:
        short.write_bytes(whole[:n])
        refused(short)
    short.write_bytes(whole + b"\0")
    refused(short)


def test_no_flipped_bit_goes_unseen(tmp_path) -> None:
    write(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    chance, flipped = random.Random(0), tmp_path / "flipped"
    for place in [*range(64), *(chance.randrange(len(whole)) for _ in range(400))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        flipped.write_bytes(damaged)
        # Only the number of an older version can change and do no harm.
        if damaged[place] in b"12" and whole[place] in b"3":
            continue
        refused(flipped)


def hostile(path: Path, header: dict[str, str], held=None) -> None:
    save_file(held or {"a": torch.zeros(2)}, path, metadata=header)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, "not a polymodal thing"),
        ({"format": "pt"}, "not a polymodal thing"),
        ({"format": "polymodal thing"}, "format version is ''"),
        ({"format": "polymodal thing", "version": "-1"}, "format version is '-1'"),
        ({"format": "polymodal thing", "version": "0"}, "format version is '0'"),
        ({"format": "polymodal thing", "version": "1.0"}, "format version is"),
        ({"format": "polymodal thing", "version": "٣"}, "format version is"),
        ({"format": "polymodal thing", "version": "9" * 5000}, "format version is"),
        ({"format": "polymodal thing", "version": "4"}, "Install a newer polymodal"),
        ({"format": "polymodal thing", "version": "3"}, "checksum"),
        ({"format": "polymodal thing", "version": "3", "facts": "{}", "crc": "1"}, "checksum"),
    ],
)
def test_foreign_and_newer_files_are_refused(tmp_path, header, said) -> None:
    hostile(tmp_path / "a", header)
    assert said in refused(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null", "[" * 100_000, '{"a":' * 50_000])
def test_headers_that_are_no_facts_are_refused(tmp_path, monkeypatch, text) -> None:
    """Even with a checksum that fits."""
    monkeypatch.setattr("polymodal.files.json.dumps", lambda facts: text)
    FORMAT.write(tmp_path / "a", {}, {"a": torch.zeros(1)})
    monkeypatch.undo()
    refused(tmp_path / "a")


def test_what_is_no_safetensors_file_is_refused(tmp_path) -> None:
    path = tmp_path / "a.pm"
    for content in (
        b"",
        b"hello",
        pickle.dumps({"weights": [1, 2]}),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10) + b"\xff" * 10,
        struct.pack("<Q", 2) + b"{}",
        json.dumps({"a": 1}).encode(),
    ):
        path.write_bytes(content)
        refused(path, pm.load)
    torch.save({"a": torch.zeros(2)}, path)
    refused(path, pm.load)
    assert "no such file" in refused(tmp_path / "nothing.pm", pm.load)
    assert "this is a folder" in refused(tmp_path, pm.load)


def test_a_pickle_is_not_opened(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "a.pm").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "a.pm", pm.load)
    assert not (tmp_path / "sprung").exists()


def test_damaged_model_files_are_refused(tmp_path, model) -> None:
    model.save(tmp_path / "whole.pm")
    whole = (tmp_path / "whole.pm").read_bytes()
    chance, path = random.Random(1), tmp_path / "a.pm"
    for n in np.linspace(0, len(whole) - 1, 50).astype(int):
        path.write_bytes(whole[:n])
        refused(path, pm.load)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        refused(path, pm.load)


def change(path: Path, *keys: str, value: object = None, drop: bool = False) -> None:
    """Change one fact of a model file, its checksum too."""
    facts, held = MODEL_FILE.read(path)
    place = facts
    for key in keys[:-1]:
        place = place[key]
    if drop:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    MODEL_FILE.write(path, facts, held)


@pytest.mark.parametrize("key", ["parameters", "codec", "result", "n_rows", "container"])
def test_model_files_that_lack_a_part_are_refused(tmp_path, model, key) -> None:
    model.save(tmp_path / "a.pm")
    change(tmp_path / "a.pm", key, drop=True)
    assert "do not fit together" in refused(tmp_path / "a.pm", pm.load)
    for wrong in (None, [], {}, "x", 1.5, [None]):
        change(tmp_path / "a.pm", key, value=wrong)
        refused(tmp_path / "a.pm", pm.load)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("parameters", "recipe"), "nothing"),
        (("parameters", "recipe"), ["mopoe"]),
        (("parameters", "recipe"), "mvtcae of another kind"),
        (("parameters", "latent_dim"), 4),
        (("parameters", "latent_dim"), -1),
        (("parameters", "latent_dim"), "4"),
        (("parameters", "latent_dim"), 10**30),
        (("parameters", "latent_dim"), 10**17),
        (("parameters", "unknown"), 1),
        (("parameters", "networks"), {"hidden": 3}),
        (("parameters", "networks"), {"hidden": [10**14]}),
        (("parameters", "networks"), {"hidden": ["a"]}),
        (("parameters", "networks"), [1]),
        (("parameters", "device"), 3),
        (("parameters", "precision"), "9"),
        (("parameters", "learning_rate"), "a"),
        (("parameters", "learning_rate"), float("inf")),
        (("parameters", "patience"), 0),
        (("n_rows",), float("inf")),
        (("n_rows",), -5),
        (("n_rows",), 0),
        (("parameters", "settings"), {"beta": {"schedule": "os.system", "steps": 3}}),
        (("parameters", "settings"), {"beta": {"steps": 3}}),
        (("parameters", "settings"), {"beta": {"schedule": ["Constant"]}}),
        (("parameters", "settings"), {"beta": {"schedule": "Constant", "unknown": 3}}),
        (("parameters", "settings"), [3]),
        (("codec", "format"), 99),
        (("codec", "schema"), {"modalities": {}}),
        (("codec", "codecs"), []),
        (("container"), "pickle"),
        (("result", "history"), [{"epoch": 1}]),
        (("result", "history"), 3),
        (("result", "diverged"), {"rows": 3}),
        (("result", "unknown"), 3),
    ],
)
def test_model_files_whose_parts_do_not_fit_are_refused(tmp_path, model, keys, value) -> None:
    model.save(tmp_path / "a.pm")
    change(tmp_path / "a.pm", *((keys,) if isinstance(keys, str) else keys), value=value)
    refused(tmp_path / "a.pm", pm.load)


def test_model_files_that_lack_a_tensor_or_have_a_strange_one_are_refused(tmp_path, model) -> None:
    path = tmp_path / "a.pm"
    model.save(path)
    facts, held = MODEL_FILE.read(path)
    weight = next(name for name in held if name.endswith("weight"))
    wrong = [
        {name: t for name, t in held.items() if name != "held_out"},
        {name: t for name, t in held.items() if name != weight},
        {**held, weight: held[weight][:1]},
        {**held, weight: held[weight].reshape(-1)},
        {**held, "model/more": torch.zeros(2)},
        {},
    ]
    for one in wrong:
        MODEL_FILE.write(path, facts, one)
        refused(path, pm.load)


def test_other_kinds_of_polymodal_files_are_told_apart(tmp_path, model) -> None:
    data = frame(20)[["w"]]
    MultimodalModel(**tiny()).fit(data, run_dir=tmp_path / "run")
    for name in (RUN_NAME, "checkpoint.safetensors"):
        assert "not a polymodal model" in refused(tmp_path / "run" / name, pm.load)
    model.save(tmp_path / "m.pm")
    (tmp_path / "run" / RUN_NAME).write_bytes((tmp_path / "m.pm").read_bytes())
    with pytest.raises(FileError, match="not a polymodal run"):
        MultimodalModel().resume(tmp_path / "run")


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_a_loaded_model_gives_the_same_answers_bit_for_bit(tmp_path, recipe) -> None:
    held, present = arrays()
    for given in (frame(), pm.from_arrays(held, present)):
        model = MultimodalModel(**tiny(recipe=recipe)).fit(given)
        model.save(tmp_path / "m.pm")
        loaded = pm.load(tmp_path / "m.pm")
        assert loaded.get_params() == model.get_params()
        assert repr(loaded) == repr(model)
        assert loaded.result_ == model.result_
        assert loaded.schema_ == model.schema_
        assert loaded.n_rows_ == model.n_rows_
        assert np.array_equal(loaded.held_out_, model.held_out_)
        assert not loaded.model_.training
        assert np.array_equal(loaded.embed(given), model.embed(given))
        if "score" not in model.model_.lacks:
            assert np.array_equal(loaded.score(given, 20), model.score(given, 20))
        a, b = (m.impute(given, draws=3) for m in (loaded, model))
        for name in a.imputed.draws:
            assert torch.equal(a.imputed.draws[name], b.imputed.draws[name])
        name = "w" if loaded.container_ == "frame" else "type"
        if "generate" not in model.model_.lacks:
            made, same = (m.generate(3, seed=1)[name] for m in (loaded, model))
            assert np.array_equal(made, same)
        loaded.save(tmp_path / "again.pm")
        (facts, held_now), (facts_then, held_then) = (
            MODEL_FILE.read(tmp_path / one) for one in ("again.pm", "m.pm")
        )
        assert facts == facts_then
        assert held_now.keys() == held_then.keys()
        assert all(torch.equal(held_now[name], held_then[name]) for name in held_now)


@pytest.mark.parametrize(
    "schedule", [Constant(0.5), LinearWarmup(7, 0.9), Cyclic(10), 0.25], ids=repr
)
def test_schedules_come_back(tmp_path, schedule) -> None:
    model = MultimodalModel(**tiny(recipe="mvae", settings={"beta": schedule, "subsets": 1}))
    model.fit(frame(20)[["w", "s"]], run_dir=tmp_path / "run")
    model.save(tmp_path / "m.pm")
    assert pm.load(tmp_path / "m.pm").settings == {"beta": schedule, "subsets": 1}
    assert MultimodalModel().resume(tmp_path / "run").settings == model.settings


def test_a_history_without_numbers_comes_back(tmp_path) -> None:
    data = frame(30)[["w"]]
    model = MultimodalModel(**tiny(validation_share=0)).fit(data)
    assert model.result_.history[0].validation is None
    model.result_.history[0].parts["odd"] = float("inf")
    model.save(tmp_path / "m.pm")
    assert pm.load(tmp_path / "m.pm").result_ == model.result_


def test_a_model_can_be_fitted_again_after_loading(tmp_path, model) -> None:
    model.save(tmp_path / "m.pm")
    data = frame(20)[["w", "s", "photo"]]
    again = pm.load(tmp_path / "m.pm").fit(data)
    assert np.array_equal(again.embed(data), model.embed(data))


LATER_DEFAULTS = ("series='conv', ", "image_activation='relu', ")
"""Settings that the first version did not have, as they stand in a model's text."""


def test_the_file_of_the_first_version_is_read_for_ever() -> None:
    model = pm.load(FILE)
    wanted = json.loads(ANSWERS.read_text())
    got = json.loads(json.dumps(answers(model)))
    assert got.keys() == wanted.keys()
    for later in LATER_DEFAULTS:
        assert later in got["parameters"]
        got["parameters"] = got["parameters"].replace(later, "")
    for name in ("parameters", "status", "held out", "schema", "kept"):
        assert got[name] == wanted[name], name
    np.testing.assert_allclose(got["embed"], wanted["embed"], atol=1e-4)
    np.testing.assert_allclose(got["score"], wanted["score"], atol=0.15)
    for name, value in wanted["prior mean"].items():
        np.testing.assert_allclose(got["prior mean"][name], value, atol=1e-4)
    tolerances = {"weight": 0.15, "photo": 4.0, "a.b": 0.15}
    for name, value in wanted["filled"].items():
        np.testing.assert_allclose(got["filled"][name], value, atol=tolerances[name])


@pytest.mark.parametrize("recipe", ["polymodal", "jmvae"])
def test_a_file_keeps_the_defaults_that_it_was_fitted_with(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that changes a recipe's defaults loads and resumes what an older one wrote."""
    rows, before = frame(20)[["w", "s"]], RECIPES[recipe]
    fitted = MultimodalModel(**tiny(recipe=recipe, private_dim=None))
    fitted.fit(rows, run_dir=tmp_path / "run")
    fitted.save(tmp_path / "old.pm")
    own = before.settings["private_dim"] + 3
    changed = replace(
        before,
        function=partial(before.function, private_dim=own),
        settings={**before.settings, "private_dim": own, "beta": 7.0},
    )
    monkeypatch.setitem(RECIPES, recipe, changed)
    pm.load(tmp_path / "old.pm").save(tmp_path / "again.pm")
    again = pm.load(tmp_path / "again.pm")
    np.testing.assert_array_equal(again.embed(rows, "all"), fitted.embed(rows, "all"))
    assert again.get_params() == fitted.get_params()
    resumed = MultimodalModel().resume(tmp_path / "run")
    assert resumed.model_.objective.beta == fitted.model_.objective.beta
    np.testing.assert_array_equal(resumed.embed(rows, "all"), fitted.embed(rows, "all"))
    anew = MultimodalModel(**tiny(recipe=recipe, private_dim=None)).fit(rows)
    assert anew.embed(rows, "all").shape[1] != fitted.embed(rows, "all").shape[1]


def test_a_file_keeps_the_networks_that_were_usual_when_it_was_made(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pm.from_arrays({"one": rng.random((20, 16, 16)), "two": rng.random((20, 3))})
    fitted = MultimodalModel(**tiny(networks=None)).fit(rows)
    fitted.save(tmp_path / "new.pm")
    facts, held = MODEL_FILE.read(tmp_path / "new.pm")
    del facts["parameters"]["usual_networks"]
    MODEL_FILE.write(tmp_path / "old.pm", facts, held)
    new, old = (pm.load(tmp_path / name) for name in ("new.pm", "old.pm"))
    assert new.get_params() == fitted.get_params()
    assert old.networks == NetworkSettings(image_activation="relu")
    for model, units in ((new, torch.nn.LeakyReLU), (old, torch.nn.ReLU)):
        for part in (model.model_.posterior, model.model_.decoders[0]):
            assert units in [type(one) for one in part.modules()]
    old.save(tmp_path / "again.pm")
    assert pm.load(tmp_path / "again.pm").networks == old.networks
    assert np.array_equal(new.embed(rows), fitted.embed(rows))
    assert not np.array_equal(old.embed(rows), fitted.embed(rows))
    made = [model.generate(3, seed=0)["one"] for model in (fitted, new, old)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


@pytest.mark.parametrize("part", ["parameters", "defaults"])
@pytest.mark.parametrize("name", ["latent_dim", "private_dim"])
def test_sizes_that_no_weight_has_are_refused_before_a_network_is_made(
    name: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, held = MODEL_FILE.read(FILE)
    facts.setdefault(part, {})[name] = 10**12
    MODEL_FILE.write(tmp_path / "huge.pm", facts, held)
    monkeypatch.setattr("polymodal.estimator.stored.build_model", None)  # nothing may be built
    assert f"{name} is 1000000000000" in refused(tmp_path / "huge.pm", pm.load)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "xpu", None, 3])
def test_a_model_on_a_device_that_is_none_is_one_sentence(device: object) -> None:
    with pytest.raises(ValueError, match=r"^device"):
        pm.load(FILE, device=device)  # type: ignore[arg-type]


def test_a_model_goes_where_there_is_a_device() -> None:
    found = pm.load(FILE, device="auto").model_.device.type
    assert found == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_special_file_is_not_replaced(model: MultimodalModel, tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no special files here")
    os.mkfifo(tmp_path / "pipe.pm")
    (tmp_path / "link.pm").symlink_to("pipe.pm")
    for name in ("pipe.pm", "link.pm"):
        with pytest.raises(FileError, match="not a regular file and is not replaced; name"):
            model.save(tmp_path / name)
        assert stat.S_ISFIFO((tmp_path / name).stat().st_mode)
    (tmp_path / "whole.pm").touch()
    (tmp_path / "to_whole.pm").symlink_to("whole.pm")
    model.save(tmp_path / "to_whole.pm")
    assert pm.load(tmp_path / "to_whole.pm").get_params() == model.get_params()


def test_a_folder_is_no_file_to_write(model: MultimodalModel, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="this is a folder; name a file in it"):
        model.save(tmp_path)


@pytest.mark.parametrize("path", [None, 5])
def test_what_is_no_path_is_one_sentence(model: MultimodalModel, path: object) -> None:
    for name, open_ in (("load", pm.load), ("save", model.save), ("resume", model.resume)):
        with pytest.raises(TypeError, match=f"{name} takes a path, got {path}"):
            open_(path)  # type: ignore[arg-type]
