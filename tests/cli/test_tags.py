"""Sets of tags in files of another form than the one that the model was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.cli import main
from polymodal.cli.tables import write_frame
from polymodal.data import ModalitySpec
from polymodal.data.names import objects
from polymodal.data.written import parsed

SETS = [["wave", "sea"], ["leaf"]] * 15


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of joined strings and a Parquet file of lists, whole and with holes; two models."""
    folder = tmp_path_factory.mktemp("tags")
    for holes in (0, 2):
        lists = objects([None] * holes + SETS[holes:])
        strings = [None if one is None else "|".join(one) for one in lists]
        numbers = np.arange(30) % 2 * 5.0 + np.arange(30) / 100
        name = "holes" if holes else "whole"
        pd.DataFrame({"x": numbers, "t": strings}).to_csv(folder / f"{name}.csv", index=False)
        pd.DataFrame({"x": numbers, "t": lists}).to_parquet(folder / f"{name}.parquet")
    for kind in ("csv", "parquet"):
        words = f"fit {folder}/whole.{kind} --epochs 1 --latent-dim 2 --out {folder}/{kind}.pm"
        assert main(words.split()) == 0
    return folder


def read_back(path: Path) -> list[Any]:
    return list((pd.read_csv if path.suffix == ".csv" else pd.read_parquet)(path)["t"])


@pytest.mark.parametrize("model", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("task", ["impute", "impute --all-draws --draws 2", "translate --to t"])
def test_tags_have_the_form_of_the_file(model: str, kind: str, task: str, work: Path) -> None:
    name, *options = task.split()
    out = work / f"{name}-{model}.{kind}"
    assert (
        main([name, f"{work}/{model}.pm", f"{work}/holes.{kind}", "--out", f"{out}", *options])
        == 0
    )
    for cell in read_back(out):
        tags = str(cell).split("|") if kind == "csv" else list(cell)
        assert kind == "parquet" or isinstance(cell, str)
        assert set(tags) <= {"wave", "sea", "leaf"}


@pytest.mark.parametrize("model", ["csv", "parquet"])
def test_new_rows_have_the_form_of_training(model: str, work: Path) -> None:
    for kind in ("csv", "parquet"):
        out = work / f"new-{model}.{kind}"
        assert main(["generate", f"{work}/{model}.pm", "--n", "5", "--out", f"{out}"]) == 0
        for cell in read_back(out):
            assert isinstance(cell, str) == ("csv" in (model, kind))
            assert set(tags_of(cell)) <= {"wave", "sea", "leaf"}


def tags_of(cell: Any) -> list[str]:
    held = parsed(cell)
    return held.split("|") if isinstance(held, str) else list(held)


def test_lists_of_tags_are_lists_in_a_csv_too(tmp_path: Path) -> None:
    sets = [["red|wine", "it's"], ["big"], [], None]
    write_frame(pd.DataFrame({"t": objects(sets), "x": range(4)}), tmp_path / "a.csv")
    assert read_back(tmp_path / "a.csv")[1:3] == ["['big']", "[]"]
    schema = pm.Schema({"t": ModalitySpec("tags", column="t")})
    again = pm.read(tmp_path / "a.csv", schema).values("t")
    assert again.tolist() == [None if one is None else tuple(one) for one in sets]
