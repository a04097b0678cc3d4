"""Numbers at the edge of what a computer can hold: exact, or refused with their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from polymodal.data import DataCodec, from_arrays, read


def test_numbers_whose_spread_overflows_are_refused_with_the_column() -> None:
    data = read(pd.DataFrame({"x": [1e200, -1e200, 0.0], "c": ["a", "b", "a"]}))
    with pytest.raises(ValueError, match=r"'x': numbers of up to 1e\+200 in size"):
        DataCodec.fit(data)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_largest_integers_do_not_turn_over(dtype: str) -> None:
    most = np.iinfo(dtype).max
    data = read(pd.DataFrame({"x": np.array([most] * 3, dtype=dtype), "y": [0.5, 1.5, 2.5]}))
    codec = DataCodec.fit(data)
    back = codec.decode("table", codec.encode(data).x["table"])["x"]
    assert str(back.dtype) == dtype
    assert (back.astype(float) / float(most) > 1 - 1e-12).all()


@pytest.mark.parametrize("kind", ["number", "positive"])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64"])
def test_a_constant_that_no_float_holds_comes_back_whole(dtype: str, kind: str) -> None:
    constant = 2**60 + 1
    frame = pd.DataFrame({"x": pd.array([constant] * 3, dtype=dtype), "y": [0.5, 1.5, 2.5]})
    schema = read(frame).schema.set("x", kind=kind)
    codec = DataCodec.fit(read(frame, schema))
    again = DataCodec.from_config(*codec.to_config())
    back = again.decode("table", again.encode(read(frame, schema)).x["table"] + 0.3)["x"]
    assert str(back.dtype) == dtype
    assert back.tolist() == [constant] * 3


def test_an_infinite_number_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "inf.csv").write_text("x,c\n1.0,a\ninf,b\n2.0,a\n")
    with pytest.raises(ValueError, match=r"inf\.csv, column 'x', row 1: the value is infinite"):
        read(tmp_path / "inf.csv")


def test_complex_numbers_are_left_out_with_the_reason() -> None:
    data = read(pd.DataFrame({"x": [1 + 2j, 3j, 1.0], "y": [0.5, 1.5, 2.0]}))
    assert "complex numbers" in data.schema.ignored["x"]
    assert list(data.schema["table"].sources) == ["y"]


SIZES = [1e18, 1e39, 1e300]


def encoded(kind: str, n_rows: int = 20) -> tuple[DataCodec, dict[str, np.ndarray], str]:
    """A codec of one modality, its rows, and where errors say the first number of row 1 is."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_rows, 1, 3) if kind in ("series", "audio") else (n_rows, 3))
    kinds = {"x": "vector"} if kind == "vector" else {"x": kind}
    place = {"series": ", time 0", "audio": ", mel band 0, frame 0"}.get(kind, ", value 0")
    if kind in ("number", "positive", "count"):
        values = rng.poisson(4.0, n_rows) + 1.0 if kind == "count" else np.exp(values[:, 0])
        place = ""
    if kind == "counted":
        values, kinds = rng.poisson(4.0, (n_rows, 3)).astype(float), {"x": "series"}
        place = ", time 0"
    data = from_arrays({"x": values}, kinds=kinds)
    where = "arrays, column 'x'" if not place else "arrays, 'x'"
    return DataCodec.fit(data), {"x": values[:4].copy()}, f"{where}, row 1{place}: the value"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "kind", ["number", "count", "vector", "embedding", "series", "counted", "audio"]
)
def test_a_number_too_large_for_the_networks_is_refused_or_missing(kind: str, size: float) -> None:
    codec, rows, place = encoded(kind)
    rows["x"][(1, *[0] * (rows["x"].ndim - 1))] = size
    kinds = {name: codec.schema[name] for name in codec.names}
    data = from_arrays(rows, kinds=kinds)
    with pytest.raises(ValueError, match="too large for the networks") as fault:
        codec.encode(data)
    said = str(fault.value)
    assert said.startswith(place), said
    assert f"the value {size:g}" in said
    assert "leave it empty" in said
    assert "divide" in said
    lenient = codec.encode(data, unseen="missing")
    there = lenient.present["x"].reshape(4, -1)
    assert not there[1, 0]
    assert there[[0, 2, 3]].all()
    assert torch.isfinite(lenient.x["x"]).all()
    assert lenient.x["x"].abs().max() < 100


@pytest.mark.parametrize("kind", ["number", "vector", "embedding", "series"])
@pytest.mark.filterwarnings("error")
def test_the_largest_number_that_is_taken_keeps_its_square_finite(kind: str) -> None:
    codec, rows, _ = encoded(kind)
    rows["x"][(1, *[0] * (rows["x"].ndim - 1))] = 1e11
    x = codec.encode(from_arrays(rows, kinds={"x": codec.schema["x"]})).x["x"]
    assert 1e10 < x.max() < 1e13
    assert torch.isfinite(x.square().sum() * 1e12)


def test_a_positive_number_of_any_size_has_a_small_logarithm() -> None:
    codec, rows, _ = encoded("positive")
    rows["x"][1] = 1e300
    assert codec.encode(from_arrays(rows, kinds={"x": "positive"})).x["x"].max() < 1e4


@pytest.mark.parametrize("constant", [1e16, 1e40, -1e100])
def test_a_huge_constant_is_its_own_mean(constant: float) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": [constant] * 49, "y": rng.normal(size=49)})
    arrays = from_arrays({"v": np.full((49, 2), constant), "y": frame["y"].to_numpy()})
    for data, name in ((read(frame), "table"), (arrays, "v")):
        codec = DataCodec.fit(data)
        assert codec.encode(data).x[name][:, 0].abs().max() < 1e12
        back = codec.decode(name, codec.encode(data).x[name])
        assert np.allclose(np.asarray(back)[:, 0], constant, rtol=1e-12)


@pytest.mark.parametrize("kind", ["vector", "embedding", "series"])
@pytest.mark.filterwarnings("error")
def test_arrays_whose_spread_overflows_are_refused(kind: str) -> None:
    values = np.random.default_rng(0).normal(size=(20, 3)) * 1e200
    with pytest.raises(ValueError, match=r"arrays, 'x': numbers of up to .*e\+200 in size"):
        DataCodec.fit(from_arrays({"x": values}, kinds={"x": kind}))


def dated() -> tuple[DataCodec, pd.DataFrame]:
    days = pd.date_range("2020-01-01", periods=20)
    frame = pd.DataFrame({"t": days, "x": np.random.default_rng(0).normal(size=20)})
    return DataCodec.fit(read(frame)), frame


def test_dates_may_be_written_where_training_had_dates() -> None:
    codec, frame = dated()
    whole = codec.encode(read(frame)).x["table"]
    for cells in (frame["t"].astype(str), frame["t"].dt.date, frame["t"].astype(object)):
        written = frame.assign(t=cells.astype(object))
        assert torch.equal(codec.encode(read(written, codec.schema)).x["table"], whole)
    days = frame.assign(t=(frame["t"] - pd.Timestamp(0)) / pd.Timedelta(days=1))
    assert torch.equal(codec.encode(read(days, codec.schema)).x["table"], whole)


def test_what_is_no_date_is_told_so() -> None:
    codec, frame = dated()
    written = frame.assign(t=frame["t"].astype(str).astype(object))
    written.loc[3, "t"] = "notadate"
    with pytest.raises(ValueError, match=r"'t', row 3: expected a date such as .*'notadate'"):
        codec.encode(read(written, codec.schema))


HALF = "\ud800"


def test_half_a_character_is_a_question_mark_in_texts_and_a_category_elsewhere() -> None:
    short = from_arrays({"c": [HALF, "a b", "a b", HALF]})
    codec = DataCodec.fit(short)
    assert codec.encode(short).x["c"][:, 0].tolist() in ([0, 1, 1, 0], [1, 0, 0, 1])
    again = DataCodec.from_config(*codec.to_config())
    assert again.decode("c", codec.encode(short).x["c"])["c"].tolist() == [
        HALF,
        "a b",
        "a b",
        HALF,
    ]
    text = DataCodec.fit(from_arrays({"c": ["a red cat", "a red dog ?"]}, kinds={"c": "text"}))
    row = text.encode(from_arrays({"c": [f"a red {HALF}"]}, kinds={"c": "text"}))
    assert text.decode("c", row.x["c"]).tolist() == ["a red?"]
    # one row alone looks like a category; it is read as the schema has it
    assert torch.equal(text.encode(from_arrays({"c": [f"a red {HALF}"]})).x["c"], row.x["c"])
    known = DataCodec.fit(from_arrays({"c": ["u", "v", "u", "v"]}))
    with pytest.raises(ValueError, match=r"row 0: the category .* was not seen in training"):
        known.encode(from_arrays({"c": [HALF]}))
