"""Comparisons in which the most frequent answer is never wrong somewhere, or anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.data.sources import from_arrays

SHARED = {"epochs": 2, "latent_dim": 2, "draws": 20, "resamples": 60, "progress": False}


def table(n: int = 80) -> dict:
    u = np.random.default_rng(0).normal(size=n)
    sort = np.where(np.arange(n) < 4, "rare", "often")
    return {
        "v": np.stack([u, -u], 1),
        "t": pd.DataFrame({"size": u, "sort": sort}),
        "flag": pd.DataFrame({"flag": sort}),
    }


def test_where_all_test_rows_are_alike_nobody_has_skill() -> None:
    data = from_arrays(table())
    found = pm.compare(data[:40], ["pcca"], 1, test=data[40:], validation=data[:5], **SHARED)
    never = "had no part in the skill: the mean, or the most frequent answer, is never wrong there"
    assert [note.partition(never)[0] for note in found.notes if never in note] == [
        "sort of t ",
        "flag ",
    ]
    (group,) = found.groups
    assert group.columns == ("v", "t", "flag")
    assert set(group.values["pcca"]) == {"v", "t"}
    assert "nan" not in found.text()


def test_where_nothing_differs_nothing_is_compared(tmp_path: Path) -> None:
    held = {"one": np.array([["a"]] * 80, dtype=object), "flag": table()["flag"]}
    data = from_arrays(held, kinds={"one": "tags"})
    with pytest.raises(ValueError, match="no method can be better than the most frequent answer"):
        pm.compare(data[:40], ["mopoe"], 1, test=data[40:], folder=tmp_path / "c", **SHARED)
    assert not (tmp_path / "c").exists()
