"""The probe and the factorisation grid of a fitted model, from data and names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.estimator.cases import frame, tiny

import polymodal as pm
from polymodal.cli.app import main
from polymodal.evaluate.probe import linear_probe
from polymodal.model import Lacking
from polymodal.report.walk import write_factorised
from polymodal.tasks.traverse import factorisation_grid


@pytest.fixture(scope="module")
def digits() -> tuple[pm.MultimodalModel, pm.MultimodalData, pm.MultimodalData]:
    data = pm.load_bundled("mfeat")[["mor", "zer", "label"]]
    train, test = data[::8], data[5::20]
    return pm.MultimodalModel("pcca", latent_dim=6, progress=False).fit(train), train, test


def test_a_probe_from_data_is_that_of_the_encoded_rows(digits) -> None:
    model, train, test = digits
    said = pm.probe(model, test, "label", train, seed=2)
    assert said.table()["given"].tolist() == ["mor", "zer", "mor + zer"]
    encoded = [model.codec_.encode(one).select(["mor", "zer"]) for one in (train, test)]
    codes = [np.asarray(one.values("label")["label"], dtype=int) for one in (train, test)]
    wanted = linear_probe(model.model_, encoded[0], codes[0], encoded[1], codes[1], seed=2)
    (note,) = said.notes
    assert "1 of the 100 rows judged equals a row that the model and the probes learned" in note
    assert replace(said, notes=[]) == wanted
    assert said.rows[-1].accuracy.value > 0.5  # of ten classes


def test_the_modality_that_holds_the_label_is_given_on_request(digits) -> None:
    model, train, test = digits
    said = pm.probe(model, test, "label", train, with_label=True)
    assert "label" in said.table()["given"].tolist()
    with pytest.raises(ValueError, match="label 'lable'"):
        pm.probe(model, test, "lable", train)
    with pytest.raises(ValueError, match="rows"):
        pm.probe(model, train, "label", train)


def test_the_verb_says_the_probe_too(digits, tmp_path: Path, capsys) -> None:
    model, train, test = digits
    model.save(tmp_path / "m.pm")
    for name, rows in (("train", train), ("test", test)):
        vectors = {one: list(rows.values(one).astype(float)) for one in ("mor", "zer")}
        pd.DataFrame({**vectors, "label": rows.values("label")["label"].to_numpy()}).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    words = f"coherence {tmp_path}/m.pm {tmp_path}/test.parquet --label label --probe --json"
    assert main([*words.split(), "--train", f"{tmp_path}/train.parquet"]) == 0
    said = json.loads(capsys.readouterr().out)
    wanted = pm.probe(model, test, "label", train).to_dict()
    assert said["probe"] == json.loads(json.dumps(wanted))


@pytest.fixture(scope="module")
def private() -> pm.MultimodalModel:
    return pm.MultimodalModel("mmvaeplus", private_dim=1, **tiny()).fit(frame())


def test_a_grid_is_that_of_rows_spread_over_the_data(private, tmp_path: Path) -> None:
    model, data = private, frame()
    said = pm.factorise(model, data, "photo", rows=3, private=2, seed=4)
    assert said.rows == (0, len(data) // 2, len(data) - 1)
    rows = model.codec_.encode(model._rows(data)).rows(list(said.rows))
    wanted = factorisation_grid(model.model_, rows, "photo", 2, seed=4)
    torch.testing.assert_close(said.decoded, wanted)
    assert said.pictures().shape == (2, 3, 1, 6, 6)
    file = write_factorised(said, tmp_path / "grid.png")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_the_verb_writes_a_grid_of_each_modality_of_pictures(
    private, tmp_path: Path, capsys
) -> None:
    private.save(tmp_path / "m.pm")
    frame().drop(columns="photo").to_parquet(tmp_path / "rows.parquet")
    words = f"traverse {tmp_path}/m.pm {tmp_path}/rows.parquet --out {tmp_path}/walk --json"
    assert main(words.split()) == 0
    (grid,) = json.loads(capsys.readouterr().out)["grids"]
    assert Path(grid).name == "photo.factors.png"
    with Image.open(grid) as picture:
        assert min(picture.size) > 100


def test_a_grid_of_a_table_is_a_frame_with_a_line_a_cell(private) -> None:
    said = pm.factorise(private, frame(), "table", rows=3, private=2)
    made = said.frame()
    assert made["(private)"].tolist() == [0, 0, 0, 1, 1, 1]
    assert made["(row)"].tolist() == [*said.rows] * 2
    assert set(made["c"]) <= {"a", "b", "c"}
    with pytest.raises(ValueError, match="no picture or sound"):
        said.pictures()


def test_what_has_no_private_latents_or_is_no_number_is_refused(digits, private) -> None:
    model, train, _ = digits
    with pytest.raises(Lacking, match="private_dim"):
        pm.factorise(model, train, "mor")
    with pytest.raises(ValueError, match="no modality 'phto'"):
        pm.factorise(private, frame(), "phto")
    with pytest.raises(ValueError, match="private must be at least 1"):
        pm.factorise(private, frame(), "photo", private=0)
