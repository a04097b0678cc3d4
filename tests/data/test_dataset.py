"""Rows and modalities are taken, replaced and given back in the container they came in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from polymodal.data import from_arrays, read

RNG = np.random.default_rng(0)


def arrays() -> dict:
    return {
        "image": RNG.integers(0, 256, (6, 4, 4), dtype=np.uint8),
        "table": pd.DataFrame({"a": RNG.normal(size=6), "b": list("uvuvuv")}),
        "label": np.array([0, 1, 2, 0, 1, 2]),
        "text": ["one two", "three", "four", "five", None, "six"],
        "vec": RNG.normal(size=(6, 3)),
    }


@pytest.fixture
def data():
    return from_arrays(arrays(), kinds={"text": "text"})


def frame_data():
    frame = pd.DataFrame(
        {
            "vec": [[1.0, 2.0], None, [3.0, np.nan], [4.0, 5.0]],
            "n": [1, 2, 3, 5],
            "c": ["x", "y", None, "x"],
            "drop": [{}, {}, {}, {}],
        },
        index=[7, 7, 8, 9],
    )
    return frame, read(frame)


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(None, 2), [0, 1]),
        (slice(None, None, -2), [5, 3, 1]),
        ([4, 0], [4, 0]),
        (np.array([-1]), [5]),
        (3, [3]),
        (-1, [5]),
        ([], []),
        (np.array([True, False, False, True, False, False]), [0, 3]),
    ],
)
def test_rows_are_taken(data, key, rows) -> None:
    some = data[key]
    assert len(some) == len(rows)
    assert (some.values("image") == data.values("image")[rows]).all()
    assert (some.present("text") == data.present("text")[rows]).all()
    assert some.values("table")["b"].tolist() == [list("uvuvuv")[r] for r in rows]
    assert some.native()["label"].tolist() == [r % 3 for r in rows]


def test_a_slice_shares_memory(data) -> None:
    assert np.shares_memory(data[:3].values("image"), data.values("image"))


def test_modalities_are_taken_in_the_order_asked_for(data) -> None:
    some = data[["vec", "image"]]
    assert some.names == ("vec", "image")
    assert set(some.native()) == {"vec", "image"}
    _, whole = frame_data()
    assert list(whole[["table"]].native().columns) == ["n", "c"]


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("image", TypeError, "data.values"),
        ("imgae", ValueError, "Did you mean 'image'"),
        (["imgae"], ValueError, "Did you mean 'image'"),
        (["image", "image"], ValueError, "named twice"),
        (6, IndexError, "no row 6"),
        ([0, 6], IndexError, "out of range"),
        ([-7], IndexError, "out of range"),
        ([True, False], IndexError, r"\(6,\)"),
        (1.5, TypeError, "rows are taken by"),
        ([[0]], TypeError, "rows are taken by"),
        (None, TypeError, "rows are taken by"),
    ],
)
def test_a_wrong_key_is_one_sentence(data, key, error, said) -> None:
    with pytest.raises(error, match=said):
        data[key]


def test_native_arrays_are_copies(data) -> None:
    data.native()["image"][:] = 0
    assert data.values("image").any()


def test_the_frame_keeps_its_index_even_if_it_is_doubled() -> None:
    frame, data = frame_data()
    assert data.values("table").index.tolist() == [7, 7, 8, 9]
    pd.testing.assert_frame_equal(data[1:].native(), frame.iloc[1:])
    assert data.present("vec").tolist() == [[1, 1], [0, 0], [1, 0], [1, 1]]
    assert "drop" in data.schema.ignored


def test_replace_fills_the_frame_and_leaves_the_rest() -> None:
    frame, data = frame_data()
    table = data.values("table").copy()
    table["c"] = ["x", "y", "y", "x"]
    vec = np.array([[1.0, 2.0], [9.0, 9.0], [3.0, 7.0], [4.0, 5.0]])
    done = data.replace({"table": table[["c"]], "vec": vec})
    native = done.native()
    assert native.index.tolist() == [7, 7, 8, 9]
    assert native["n"].tolist() == [1, 2, 3, 5]
    assert native["c"].tolist() == ["x", "y", "y", "x"]
    assert native["vec"].iloc[0] is frame["vec"].iloc[0]
    assert native["vec"].iloc[1].tolist() == [9.0, 9.0]
    assert done.present("table").all()
    assert done.present("vec").all()
    assert frame["c"].isna().sum() == 1
    assert data.present("vec").sum() == 5


def test_replace_fills_arrays_in_their_own_dtype(data) -> None:
    hidden, what = data.hide(0.5, 0.5, seed=3)
    full = hidden.replace({name: data.values(name) for name in data.names})
    native, before = full.native(), arrays()
    assert native["label"].dtype == before["label"].dtype
    assert native["label"].tolist() == before["label"].tolist()
    assert native["image"].dtype == np.uint8
    assert full.present("label").all()
    pd.testing.assert_frame_equal(native["table"], data.native()["table"], check_dtype=False)
    assert what["label"].any()


def test_replace_refuses_what_does_not_fit(data) -> None:
    with pytest.raises(ValueError, match="expected 6 rows, got 5"):
        data.replace({"image": data.values("image")[:5]})
    with pytest.raises(ValueError, match="no column 'z'"):
        data.replace({"table": pd.DataFrame({"z": range(6)})})
    with pytest.raises(ValueError, match="no modality 'x'"):
        data.replace({"x": np.zeros(6)})


@pytest.mark.parametrize("hole", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT])
def test_a_text_that_is_no_value_is_absent(hole: object) -> None:
    texts = np.array(["red fox", None, "old owl"], dtype=object)
    holed = texts.copy()
    holed[1] = hole
    read = from_arrays({"x": np.arange(3.0), "t": holed}, kinds={"t": "text"})
    whole = from_arrays(
        {"x": np.arange(3.0), "t": ["red fox", "a", "old owl"]}, kinds={"t": "text"}
    )
    for data in (read, whole.replace({"t": holed})):
        assert data.present("t").tolist() == [True, False, True]
        assert data.values("t").tolist() == texts.tolist()


def test_split_parts_the_rows(data) -> None:
    train, test = data.split(0.33, seed=1)
    both = np.concatenate([train.values("vec"), test.values("vec")])
    assert (len(train), len(test)) == (4, 2)
    assert sorted(both[:, 0]) == sorted(data.values("vec")[:, 0])
    again, _ = data.split(0.33, seed=1)
    assert (again.values("vec") == train.values("vec")).all()
    for share in (0.0, 1.0, 0.01):
        with pytest.raises(ValueError, match="empty"):
            data.split(share)


def test_another_schema_reads_the_same_rows_anew() -> None:
    frame = pd.DataFrame({"n": [1, 2, 1, 2, 1, 2], "s": list("ababab")})
    data = read(frame)
    other = data.with_schema(data.schema.set("s", kind="text"))
    assert other.names == ("table", "s")
    assert other.values("s").tolist() == list("ababab")
    with pytest.raises(ValueError, match="row 0: expected a string, got 1"):
        data.with_schema(data.schema.set("n", kind="text"))


def test_repr_names_modalities_and_kinds(data) -> None:
    assert repr(data).startswith("MultimodalData(6 rows; image: image, table: table")
