"""CSV and TSV files: every line as long as the first, and cells as they are written."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polymodal.data import ColumnSpec, DataCodec, ModalitySpec, MultimodalData, Schema, read


def written(folder: Path, text: str, name: str = "x.csv") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def table(*columns: ColumnSpec) -> Schema:
    return Schema({"table": ModalitySpec("table", columns)})


def codes(codec: DataCodec, source: object, unseen: str = "raise") -> list[float | None]:
    """Codes of the first column, None where nothing is there."""
    data = source if isinstance(source, MultimodalData) else read(source)
    tensors = codec.encode(data, unseen=unseen)
    there = tensors.present["table"][:, 0].tolist()
    return [
        one if known else None
        for one, known in zip(tensors.x["table"][:, 0].tolist(), there, strict=True)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_separator_too_many_in_all_lines_shifts_nothing(end: str, tmp_path: Path) -> None:
    lines = ["age,sex", "31,f,", "40,m,", '22,"f",', ""]
    frame = read(written(tmp_path, end.join(lines))).native()
    assert frame.to_dict("list") == {"age": [31, 40, 22], "sex": ["f", "m", "f"]}
    assert frame.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2,x\n3,4,y\n", r"line 2 has 3 values where the first line names 2 columns"),
        ("a,b\nr1,1,2\nr2,3,4\n", "line 2 has 3 values.*column of rows' names needs a name"),
        (
            "a,b\n1,2,\n3,4\n",
            "line 3 has 2 values.*the lines above end with a separator",
        ),
        ("a,b\n1,2,\n3,4,5\n", "line 3 has 3 values where"),
        ("a,b\n1,2\n3,4,\n", "line 3 has 3 values where"),
        ("a,b,c\n1,2,3\n1,2\n", "line 3 has 2 values where the first line names 3 columns"),
        ('a,b\n"x\ny",2\n1\n', "line 4 has 1 value where"),
        ('a,b\n"x,\ny",2\n\n"1""",2,3\n', "line 5 has 3 values where"),
        ("\na,b\n\n1\n", "line 4 has 1 value"),
    ],
)
def test_a_ragged_line_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^x\.csv: .*{said}.*Mend that line") as fault:
        read(written(tmp_path, text))
    assert "\n" not in str(fault.value)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "x.csv.gz")


def test_what_pandas_takes_is_taken(tmp_path: Path) -> None:
    text = 'a,b\r\n1,"x, ""y""\r\nz"\r\n\r\n   \r\n2,5" pipe\r\n3,\r\n'
    frame = read(written(tmp_path, text)).native()
    assert frame["a"].tolist() == [1, 2, 3]
    assert frame["b"].tolist()[:2] == ['x, "y"\r\nz', '5" pipe']
    long = "w " * 100_000
    frame = read(written(tmp_path, f'a,b\n1,"{long}"\n2,{long}\n')).native()
    assert frame["b"].tolist() == [long, long]
    frame = read(written(tmp_path, "a\tb\n1\t\n\t\n3\t4\n", "x.tsv")).native()
    assert frame["a"].isna().tolist() == [False, True, False]
    frame = read(written(tmp_path, "\ufeffa\n1\n\n2\n")).native()
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("header", ["a,,b", "a, ,b"])
def test_a_header_without_a_name_is_refused(header: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{header}\n0,1.5,2\n1,2.5,3\n")
    with pytest.raises(ValueError, match=r"^x\.csv: column 1 \(from 0\) has no name"):
        read(path)


def sources(data: MultimodalData) -> list[str]:
    return [one for spec in data.schema.modalities.values() for one in spec.sources]


def test_the_index_that_pandas_writes_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.sqrt(np.arange(30)), "b": ["x", "y", "x"] * 10})
    frame.to_csv(tmp_path / "x.csv")
    assert sources(read(tmp_path / "x.csv")) == ["a", "b"]


def test_a_separator_may_end_every_line_and_the_names_too(tmp_path: Path) -> None:
    found = read(written(tmp_path, "a,b,\n1.5,x,\n2.5,y,\n4.0,x,\n"))
    assert sources(found) == ["a", "b"]
    with pytest.raises(ValueError, match="line 3"):
        read(written(tmp_path, "a,b,\n1.5,x,\n2.5,y,3\n"))


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    body = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 3000))
    body[12:20] = b"\xff" * 8
    path.write_bytes(bytes(body))
    with pytest.raises(ValueError, match=r"^x\.csv\.gz: the file can not be read"):
        read(path)


@pytest.mark.parametrize(
    ("train", "new", "expected"),
    [
        ("123" * 4, ["1", "2", "unknown"], [0, 1, None]),
        (["1", "2", "A"] * 4, ["1", "2"], [0, 1]),
        (["1", "2", "A"] * 4, ["1", "", "2"], [0, None, 1]),
        (["True", "False"] * 6, ["True", "False", "maybe"], [1, 0, None]),
        (["False", "True", "maybe"] * 4, ["True", "False"], [1, 0]),
        (["01", "02", "9B"] * 4, ["02", "01"], [1, 0]),
        ("123" * 4, ["01", "2.0", "03"], [0, 1, 2]),
    ],
)
def test_known_categories_are_known_in_another_file(
    train: list[str], new: list[str], expected: list, tmp_path: Path
) -> None:
    def lines(cells: list[str]) -> str:
        return "c,x\n" + "".join(f"{one},{i}.5\n" for i, one in enumerate(cells))

    first = read(written(tmp_path, lines(list(train)), "train.csv"))
    codec = DataCodec.fit(first)
    path = written(tmp_path, lines(new), "new.csv")
    data = [read(path), read(path, codec.schema), read(path, first.schema)]
    for one in data:
        assert codes(codec, one, "missing") == expected
        assert codes(codec, one[::-1], "missing") == expected[::-1]
    strangers = [row for row, one in enumerate(expected) if one is None and new[row]]
    for row in strangers:
        with pytest.raises(ValueError, match=rf"new\.csv, column 'c', row {row}: .*{new[row]!r}"):
            codec.encode(data[0])


def test_levels_that_a_schema_lists_are_met_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "zip,x\n01,1.5\n02,2.5\n,3.5\n03,4.5\n")
    (tmp_path / "s.yaml").write_text(
        "modalities: {table: {kind: table, columns: "
        '{zip: {kind: category, levels: ["01", "02", "03"]}, x: {kind: number}}}}'
    )
    data = read(path, tmp_path / "s.yaml")
    codec = DataCodec.fit(data)
    assert codes(codec, data) == [0, 1, None, 2]
    assert data.values("table")["zip"].tolist()[:2] == ["01", "02"]
    edited = read(path).schema.set("zip", kind="category", levels=["01", "02", "03"])
    assert codes(codec, read(path).with_schema(edited)) == [0, 1, None, 2]
    back = codec.decode("table", codec.encode(data).x["table"])["zip"]
    assert back.tolist() == ["01", "02", "01", "03"]


def test_hidden_and_replaced_cells_are_not_read_from_the_file_again(tmp_path: Path) -> None:
    path = written(tmp_path, "zip,x\n" + "01,1.5\n02,2.5\n" * 5)
    schema = table(ColumnSpec("zip", "category", ("01", "02")), ColumnSpec("x"))
    data, hidden = read(path, schema).hide(0, 0.5, seed=1)
    assert hidden["table"][:, 0].any()
    assert data.values("table")["zip"].isna().tolist() == hidden["table"][:, 0].tolist()
    again = data.with_schema(schema)
    assert (again.present("table") == data.present("table")).all()


def test_a_file_that_is_gone_tells_nothing_wrong(tmp_path: Path) -> None:
    path = written(tmp_path, "c,x\n1,1.5\n2,2.5\n")
    codec = DataCodec.fit(read(pd.DataFrame({"c": ["1", "2", "A"], "x": [0.5, 1.5, 2.5]})))
    data = read(path)
    written(tmp_path, "c,x\n2,1.5\n2,2.5\n3,3.5\n")
    assert codes(codec, data) == [0, 1]
    data = read(path)
    path.unlink()
    assert codes(codec, data[:2]) == [1, 1]


def test_texts_and_tags_are_strings_whatever_they_look_like(tmp_path: Path) -> None:
    path = written(tmp_path, "note,tags\n12,1\n007,2\n,\n")
    schema = Schema(
        {"note": ModalitySpec("text", column="note"), "tags": ModalitySpec("tags", column="tags")}
    )
    for data in (read(path, schema), read(path, absent_ok=True).with_schema(schema)):
        assert data.values("note").tolist() == ["12", "007", None]
        assert data.values("tags").tolist() == [("1",), ("2",), None]
        values = data.values("note").copy()
        values[2] = "new"
        assert data.replace({"note": values}).native()["note"].tolist() == ["12", "007", "new"]


@pytest.mark.parametrize(
    ("levels", "cells", "expected"),
    [
        ((1, 2), [1.0, "1", "2.0", "x", None], [0, 0, 1, -1, -1]),
        (("1", "2", "A"), [1, 2.0, np.float32(1), "A", "2.0"], [0, 1, 0, 2, -1]),
        (("1", "1.0"), [1, "1", "1.0"], [-1, 0, 1]),
        (("01", "02"), [1, "01"], [-1, 0]),
        (("1.0", "2.5"), [1, 2.5], [0, 1]),
        ((False, True), ["true", "FALSE", "maybe"], [1, 0, -1]),
        (("True", "no"), [True, False], [0, -1]),
        ((2**60 + 1, 1), [str(2**60 + 1), str(2**60)], [0, -1]),
        ((1,), ["1_0", "nan", "9" * 5000, "inf"], [-1, -1, -1, -1]),
        (("1",), [float("inf"), 1], [-1, 0]),
    ],
)
def test_a_level_is_met_by_what_can_mean_nothing_else(
    levels: tuple, cells: list, expected: list[int]
) -> None:
    from polymodal.data.levels import level_places

    assert level_places(levels, pd.Series(cells, dtype=object)).tolist() == expected


def test_frames_keep_their_dtypes_and_are_met_all_the_same() -> None:
    schema = table(ColumnSpec("c", "category", ("1", "2", "A")), ColumnSpec("x"))
    frame = pd.DataFrame({"c": [1, 2, 1], "x": [0.5, 1.5, 2.5]})
    codec = DataCodec.fit(read(frame, schema))
    assert codes(codec, frame) == [0, 1, 0]
    assert codes(codec, frame.astype({"c": float})) == [0, 1, 0]
    assert read(frame, schema).native()["c"].dtype == np.int64
    back = codec.decode("table", codec.encode(read(frame)).x["table"] + 1)["c"]
    assert back.tolist() == ["2", "A", "2"]
    numbers = DataCodec.fit(read(frame, table(ColumnSpec("c", "ordinal", (1, 2)))))
    assert codes(numbers, frame.astype({"c": str})) == [0, 1, 0]
