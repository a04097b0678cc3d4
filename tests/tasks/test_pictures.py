"""Filled pictures come back in the form that the column has, where one can hold them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.estimator.cases import tiny

import polymodal as pm


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


@pytest.fixture
def given() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    tone = chance.integers(0, 3, 24)
    pixels = [(chance.random((6, 6)) * 80 + 60 * k).astype(np.uint8) for k in tone]
    made = pd.DataFrame({"photo": [_png(p) for p in pixels], "w": chance.normal(size=24) + tone})
    made.loc[[2, 5], "photo"] = None
    return made


def test_bytes_come_back_as_bytes_and_can_be_written(given, tmp_path) -> None:
    done = pm.MultimodalModel(**tiny()).fit(given).impute(given, draws=3)
    for filled in (done.mean, *done.draws):
        known = given["photo"].notna()
        assert filled["photo"][known].tolist() == given["photo"][known].tolist()
        for cell in filled["photo"][~known]:
            with Image.open(io.BytesIO(cell)) as picture:
                assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (6, 6))
    done.mean.to_parquet(tmp_path / "filled.parquet")
    back = pd.read_parquet(tmp_path / "filled.parquet")
    assert back["photo"].tolist() == done.mean["photo"].tolist()


def test_mappings_with_bytes_come_back_as_such(given) -> None:
    cells = [c if c is None else {"bytes": c, "path": "a.png"} for c in given["photo"]]
    frame = given.assign(photo=cells)
    filled = pm.MultimodalModel(**tiny()).fit(frame).impute(frame, draws=2).mean["photo"]
    assert filled[0] == cells[0]
    assert filled[2]["path"] is None
    assert filled[2]["bytes"].startswith(b"\x89PNG")


def test_paths_stay_and_what_is_filled_is_an_image(given, tmp_path) -> None:
    names: list[str | None] = []
    for row, cell in enumerate(given["photo"]):
        names.append(None if cell is None else str(tmp_path / f"{row}.png"))
        if cell is not None:
            (tmp_path / f"{row}.png").write_bytes(cell)
    frame = given.assign(photo=names)
    filled = pm.MultimodalModel(**tiny()).fit(frame).impute(frame, draws=2).mean["photo"]
    assert filled[0] == names[0]
    assert isinstance(filled[2], Image.Image)
