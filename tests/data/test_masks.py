"""What a false mask or numpy's own masked arrays hide never matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from polymodal.data import ColumnSpec, DataCodec, ModalitySpec, from_arrays

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("wild", [np.inf, -np.inf, 1e300, np.nan])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("number", (6,)),
        ("vector", (6, 3)),
        ("embedding", (6, 3)),
        ("series", (6, 4)),
        ("series", (6, 2, 4)),
        ("audio", (6, 4, 5)),
        ("image", (6, 4, 5)),
    ],
)
def test_values_under_a_false_mask_never_matter(kind: str, shape: tuple, wild: float) -> None:
    values, present = RNG.uniform(size=shape), np.array([True] * 4 + [False] * 2)
    codecs = []
    for filling in (0.5, wild):
        filled = values.copy()
        filled[~present] = filling
        data = from_arrays({"v": filled}, {"v": present}, {"v": kind})
        codec = DataCodec.fit(data)
        codecs.append((codec.encode(data), codec.to_config()[1]))
    (one, fitted), (other, again) = codecs
    assert one.x["v"].equal(other.x["v"])
    assert one.present["v"].equal(other.present["v"])
    assert all(fitted[key].equal(again[key]) for key in fitted)


def test_an_infinite_cell_under_a_mask_of_cells() -> None:
    values = RNG.normal(size=(5, 3))
    values[1, 2] = np.inf
    mask = np.isfinite(values)
    assert (from_arrays({"v": values}, {"v": mask}).present("v") == mask).all()
    mask[1, 2], mask[1, 1] = True, False
    with pytest.raises(ValueError, match="'v', row 1, value 2: the value is infinite"):
        from_arrays({"v": values}, {"v": mask})


def test_masked_arrays_are_absent_where_they_are_masked() -> None:
    scalar = np.ma.masked_equal(np.array([1, -9999, 3, 4]), -9999)
    vector = np.ma.masked_equal(np.array([[1.5, -9999.0], [2.5, 3.5], [0.5, 1.5], [4, 5]]), -9999)
    series = np.ma.masked_equal(np.arange(24.0).reshape(4, 2, 3), 5.0)
    image = np.ma.masked_array(np.zeros((4, 3, 3)), np.zeros((4, 3, 3), bool))
    image[2] = np.ma.masked
    data = from_arrays(
        {"a": scalar, "v": vector, "s": series, "i": image},
        {"v": np.array([True, True, False, True])},
        {"s": "series", "a": "number"},
    )
    assert data.present("a")[:, 0].tolist() == [True, False, True, True]
    assert data.present("v").tolist() == [[True, False], [True] * 2, [False] * 2, [True] * 2]
    assert data.present("s").sum() == 23
    assert data.present("i").tolist() == [True, True, False, True]
    assert (data.present("v") == data[:4].present("v")).all()
    codec = DataCodec.fit(data)
    assert abs(codec.decode("a", codec.encode(data).x["a"])["a"]).max() < 10
    assert type(data.native()["v"]) is np.ndarray


@pytest.mark.parametrize("kind", ["image", "audio", "tags"])
def test_a_part_of_what_is_whole_or_not_is_refused(kind: str) -> None:
    shape = (4, 3) if kind == "tags" else (4, 3, 3)
    masked = np.ma.masked_array(np.zeros(shape), np.zeros(shape, bool))
    masked[1, 0] = np.ma.masked
    with pytest.raises(ValueError, match=rf"'a', row 1: .*hides a part.*{kind}"):
        from_arrays({"a": masked}, kinds={"a": kind})


def test_other_masked_arrays_are_told_what_to_do() -> None:
    row = np.ma.masked_equal(np.array([1.0, -9999.0]), -9999)
    with pytest.raises(ValueError, match=r"'a': a list of masked arrays.*np\.ma\.stack"):
        from_arrays({"a": [row, row]})
    data = from_arrays({"v": np.zeros((2, 2))})
    with pytest.raises(ValueError, match=r"'v': masked arrays are not taken here.*`present`"):
        data.replace({"v": np.ma.stack([row, row])})


@pytest.mark.parametrize(
    ("kind", "new"),
    [
        ("vector", np.zeros((4, 2))),
        ("embedding", np.zeros((4, 4))),
        ("series", np.zeros((4, 2))),
        ("image", np.zeros((4, 3, 3, 3))),
    ],
)
def test_replacing_by_another_width_is_refused(kind: str, new: np.ndarray) -> None:
    old = RNG.uniform(size=(4, 2, 2) if kind == "image" else (4, 3))
    data = from_arrays({"v": old}, kinds={"v": kind})
    with pytest.raises(ValueError, match=r"'v': expected rows of the shape .*, got "):
        data.replace({"v": new})
    assert (data.replace({"v": old + 0.0}).values("v") == old).all()


def test_categories_of_pandas_keep_their_order() -> None:
    cells = pd.Categorical(["lo", "hi", None, "mid"] * 3, ["lo", "mid", "hi"], ordered=True)
    for grade in (pd.Series(cells), cells):
        data = from_arrays({"g": grade})
        assert data.schema["g"].columns == (ColumnSpec("g", "ordinal", ("lo", "mid", "hi")),)
        assert DataCodec.fit(data).encode(data).x["g"][:4, 0].tolist() == [0, 2, 0, 1]
    plain = from_arrays({"g": pd.Series(["b", "a"], dtype="category")})
    assert plain.schema["g"].columns[0].kind == "category"
    as_asked = from_arrays({"g": cells}, kinds={"g": "category"}).schema["g"].columns[0]
    assert (as_asked.kind, as_asked.levels) == ("category", ("lo", "mid", "hi"))
    spec = ModalitySpec("table", (ColumnSpec("g", "category", ("hi", "mid", "lo")),))
    assert from_arrays({"g": cells}, kinds={"g": spec}).schema["g"] == spec
