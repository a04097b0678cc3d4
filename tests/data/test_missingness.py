"""What is hidden was known, is gone, and is never the last thing of a row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymodal.data import DataCodec, from_arrays, load_bundled, read

N = 400


def some_data(seed: int = 0):
    rng = np.random.default_rng(seed)
    return from_arrays(
        {
            "image": rng.integers(1, 256, (N, 2, 2), dtype=np.uint8),
            "table": pd.DataFrame(
                {"a": rng.normal(size=N), "n": rng.integers(0, 9, N), "c": ["u", "v"] * (N // 2)}
            ),
            "vec": rng.normal(size=(N, 3)),
            "pix": rng.integers(1, 9, (N, 3), dtype=np.uint8),
            "text": ["some words"] * N,
        },
        present={"image": rng.random(N) < 0.7, "vec": rng.random((N, 3)) < 0.7},
        kinds={"text": "text"},
    )


def rows_with_something(data) -> np.ndarray:
    masks = [data.present(n) for n in data.names]
    return np.any([m if m.ndim == 1 else m.any(1) for m in masks], axis=0)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
def test_the_last_known_thing_of_a_row_stays(modalities: float, cells: float, seed: int) -> None:
    data = some_data(seed)
    hidden, what = data.hide(modalities, cells, seed=seed)
    assert (rows_with_something(hidden) == rows_with_something(data)).all()
    for name in data.names:
        assert not (what[name] & ~data.present(name)).any()
        assert (hidden.present(name) == (data.present(name) & ~what[name])).all()


def test_everything_hidden_leaves_one_modality_or_one_cell_a_row() -> None:
    hidden, _ = some_data().hide(1.0, 0.0)
    masks = [hidden.present(n) for n in hidden.names]
    n_known = np.sum([m if m.ndim == 1 else m.any(1) for m in masks], axis=0)
    assert (n_known == 1).all()
    table, _ = some_data()[["table"]].hide(0.0, 1.0)
    assert (table.present("table").sum(1) == 1).all()


def test_shares_are_kept_and_the_seed_decides() -> None:
    data = some_data()
    hidden, what = data.hide(0.25, 0.1, seed=1)
    assert abs(what["text"].mean() - 0.25) < 0.07
    still = hidden.present("table").any(1)
    assert abs(what["table"][still].mean() - 0.1) < 0.03
    again = data.hide(0.25, 0.1, seed=1)[1]
    other = data.hide(0.25, 0.1, seed=2)[1]
    assert all((what[n] == again[n]).all() for n in data.names)
    assert any((what[n] != other[n]).any() for n in data.names)


def test_hidden_values_are_gone_and_the_rest_is_as_before() -> None:
    data = some_data()
    hidden, what = data.hide(0.5, 0.3, seed=2)
    assert not hidden.values("image")[what["image"]].any()
    assert np.isnan(hidden.values("vec")[what["vec"]]).all()
    assert not hidden.values("pix")[what["pix"]].any()
    assert all(one is None for one in hidden.values("text")[what["text"]])
    table = hidden.values("table")
    assert (table.isna().to_numpy() == what["table"]).all()
    before = data.values("table")
    for column in table:
        kept = table[column].notna()
        assert (table.loc[kept, column] == before.loc[kept, column]).all()
    assert (hidden.values("pix")[~what["pix"]] == data.values("pix")[~what["pix"]]).all()
    native = hidden.native()
    assert (native["image"] == hidden.values("image")).all()
    assert data.values("image").all()


def test_the_codec_of_hidden_rows_knows_what_is_hidden() -> None:
    data = some_data()
    hidden, _ = data.hide(0.5, 0.3, seed=2)
    tensors = DataCodec.fit(data).encode(hidden)
    for name in data.names:
        assert (tensors.present[name].numpy() == hidden.present(name)).all()


def test_a_frame_stays_a_frame() -> None:
    frame = pd.DataFrame(
        {"v": [[1.0, 2.0], [3.0, 4.0]] * 10, "n": range(3, 43, 2), "b": [True, False] * 10}
    )
    hidden, what = read(frame).hide(0.4, 0.3, seed=1)
    native = hidden.native()
    assert (native[["n", "b"]].isna().to_numpy() == what["table"]).all()
    assert (native["v"].isna().to_numpy() == what["v"].all(1)).all()
    again = DataCodec.fit(read(frame)).encode(read(native, read(frame).schema))
    assert (again.present["table"].numpy() == hidden.present("table")).all()
    assert (again.present["v"].numpy() == hidden.present("v")).all()


def test_selectors_say_what_may_be_hidden() -> None:
    data = some_data()
    _, what = data.hide(0.5, 0.5, modalities=["image"], columns=["n", "pix"])
    assert what["image"].any()
    assert not what["text"].any()
    assert not what["table"][:, [0, 2]].any()
    assert what["table"][:, 1].any()
    assert what["pix"].any()
    assert not what["vec"].any()
    _, nothing = data.hide(0.5, 0.5, modalities=[], columns=[])
    assert not any(mask.any() for mask in nothing.values())


def test_a_label_is_hidden_whole_not_by_cells() -> None:
    _, what = load_bundled("mfeat")[:200].hide(0.0, 1.0)
    assert not any(mask.any() for mask in what.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"share_modalities": 1.5}, r"share_modalities must be in \[0, 1\]"),
        ({"share_cells": -0.1}, r"share_cells must be in \[0, 1\]"),
        ({"modalities": ["imgae"]}, "Did you mean 'image'"),
        ({"columns": ["zz"]}, "no column 'zz'"),
        ({"share_cells": "x"}, r"share_cells must be in \[0, 1\]"),
        ({"modalities": 0.5}, "modalities must be a list of names, got 0.5"),
        ({"modalities": "image"}, "modalities must be a list of names, got 'image'"),
        ({"columns": 3}, "columns must be a list of names, got 3"),
        ({"seed": -1}, "seed must be a whole number from 0 to .*, got -1"),
    ],
)
def test_wrong_settings_are_one_sentence(options: dict, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        some_data().hide(**options)
