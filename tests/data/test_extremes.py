"""Numbers at the edge of what a computer can hold: exact, or refused with their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polymodal.data import DataCodec, read


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
