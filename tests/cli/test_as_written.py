"""What a CSV says comes back to the letter, and is known in the next file too."""

from __future__ import annotations

import csv
import re
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polymodal.cli import main
from polymodal.cli.known import KnownCells
from polymodal.cli.tables import write_frame
from polymodal.data import ColumnSpec, ModalitySpec, Schema
from polymodal.estimator import load

HEADER = "id,zip,land,visits,share,grade,code,emb,note"


def line(i: int) -> list[str]:
    return [
        str(9007199254740993 + i),
        f"0{i % 3 + 1}",
        "BW" if i % 2 else "ZA",
        str(i * 7 % 40),
        f"{i / 7:.2f}0",
        str(i % 4 + 1),
        ["1", "2", "A"][i % 3],
        f"[{i % 5}.50, 1]",
        ["12", "7", "a b c"][i % 3],
    ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    rows = [line(i) for i in range(60)]
    (folder / "train.csv").write_text(to_text(rows))
    (folder / "s.yaml").write_text(
        "modalities:\n"
        "  table: {kind: table, columns: {\n"
        '    zip: {kind: category, levels: ["01", "02", "03"]}, land: {kind: category},\n'
        "    visits: {kind: count}, share: {kind: number}, grade: {kind: ordinal},\n"
        "    code: {kind: category}}}\n"
        "  emb: {kind: vector, column: emb}\n"
        "  note: {kind: text, column: note, tokenizer: word}\n"
    )
    words = f"fit {folder}/train.csv --schema {folder}/s.yaml --epochs 1 --latent-dim 2"
    assert main([*words.split(), "--out", f"{folder}/m.pm"]) == 0
    return folder


def to_text(rows: list[list[str]]) -> str:
    lines = [",".join(f'"{one}"' if "," in one else one for one in row) for row in rows]
    return "\n".join([HEADER, *lines, ""])


def cells_of(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


HOLES = {(0, 2): "NA", (0, 3): "", (1, 1): "", (1, 3): "", (2, 4): "", (3, 5): "nan", (4, 6): "",
         (5, 7): "", (6, 8): ""}  # fmt: skip


@pytest.mark.parametrize("option", ["", "--interval 0.5", "--all-draws"])
def test_known_cells_come_back_to_the_letter(option: str, work: Path) -> None:
    rows = [line(i) for i in range(8)]
    for (row, column), said in HOLES.items():
        rows[row][column] = said
    (work / "new.csv").write_text(to_text(rows))
    out = work / "new" / "filled.csv"
    words = f"impute {work}/m.pm {work}/new.csv --out {out} --draws 3 {option}"
    assert main(words.split()) == 0
    header, filled = cells_of(out)
    assert len(filled) == 8 * (3 if option == "--all-draws" else 1)
    names = HEADER.split(",")
    assert [one for one in header if one in names] == names
    for place, got in enumerate(filled):
        for title, cell in zip(header, got, strict=True):
            name = title.removesuffix("_low").removesuffix("_high")
            if name == "draw":
                continue
            row, column = place % 8, names.index(name)
            if (row, column) not in HOLES:
                assert cell == rows[row][column]
            elif name in ("visits", "grade"):
                assert re.fullmatch(r"\d+", cell)
            elif name in ("zip", "land", "code"):
                assert cell in {"zip": "01 02 03", "land": "BW ZA", "code": "1 2 A"}[name].split()
            elif name != "note":
                assert cell


def test_parquet_keeps_the_zeros_of_names_and_the_lists_of_vectors(work: Path) -> None:
    lines = to_text([line(i) for i in range(3)]).splitlines()
    kept = ["kept", "007", "", "12"]
    (work / "kept.csv").write_text("\n".join(map(",".join, zip(lines, kept, strict=True))))
    out = work / "kept.parquet"
    assert main(f"impute {work}/m.pm {work}/kept.csv --out {out} --draws 3".split()) == 0
    back = pd.read_parquet(out)
    assert back["kept"].fillna("?").tolist() == ["007", "?", "12"]
    assert back["id"].tolist() == [9007199254740993 + i for i in range(3)]
    assert [list(one) for one in back["emb"]] == [[i + 0.5, 1.0] for i in range(3)]


def test_sets_that_a_csv_writes_are_sets_in_parquet(tmp_path: Path) -> None:
    schema = Schema({name: ModalitySpec("tags", column=name) for name in ("listed", "joined")})
    cells = {"listed": ["['red', 'big']", "[]", None], "joined": ["red|big", "", None]}
    write_frame(pd.DataFrame(cells), tmp_path / "t.parquet", schema=schema)
    back = pd.read_parquet(tmp_path / "t.parquet")
    assert [None if one is None else list(one) for one in back["listed"]] == [
        ["red", "big"],
        [],
        None,
    ]
    assert back["joined"].fillna("?").tolist() == ["red|big", "", "?"]


def test_what_a_model_knows_it_knows_in_the_next_file(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[*line(i)] for i in (0, 1, 3, 4)]
    rows[2][2] = ""
    (work / "next.csv").write_text(to_text(rows))  # codes 1, 2 and notes 12, 7 alone
    model, out = load(work / "m.pm"), work / "next.parquet"
    assert main(f"impute {work}/m.pm {work}/next.csv --out {out}".split()) == 0
    assert pd.read_parquet(out)["code"].tolist() == ["1", "2", "1", "2"]
    filled = model.impute(work / "next.csv", draws=2).mean
    assert filled["note"].tolist() == ["12", "7", "12", "7"]
    assert filled["zip"].tolist() == ["01", "02", "01", "02"]
    rows[3][5] = "unknown"
    (work / "next.csv").write_text(to_text(rows))
    capsys.readouterr()
    assert main(f"impute {work}/m.pm {work}/next.csv --out {out}".split()) == 1
    said = capsys.readouterr().err
    assert "next.csv, column 'grade', row 3: the level 'unknown' was not seen" in said


@pytest.mark.filterwarnings("ignore:.* rows to stop by grade has a value")
def test_validation_rows_lose_nothing_that_is_known(work: Path) -> None:
    rows = [line(i) for i in range(60)]
    rows[5][5] = "unknown"
    (work / "tune.csv").write_text(to_text(rows))
    words = f"fit {work}/train.csv --schema {work}/s.yaml --epochs 1 --latent-dim 2"
    words += f" --validation {work}/tune.csv --out {work}/v.pm --run-dir {work}/run"
    assert main(words.split()) == 0
    from polymodal.data import read

    codec = load(work / "v.pm").codec_
    there = codec.encode(read(work / "tune.csv", codec.schema), unseen="missing").present["table"]
    assert np.argwhere(~there.numpy()).tolist() == [[5, 4]]


def test_whole_numbers_are_written_without_a_point(tmp_path: Path) -> None:
    columns = (ColumnSpec("n", "count"), ColumnSpec("g", "ordinal", (1, 2)), ColumnSpec("x"))
    schema = Schema({"table": ModalitySpec("table", columns)})
    frame = pd.DataFrame({"n": [3.0, None], "g": [1.0, 2.0], "x": [1.0, 2.0]})
    write_frame(frame, tmp_path / "o.csv", schema=schema)
    assert (tmp_path / "o.csv").read_text() == "n,g,x\n3,1,1.0\n,2,2.0\n"
    frame["n"] = [3.0, 4.0]
    write_frame(frame, tmp_path / "o.parquet", schema=schema)
    dtypes = pd.read_parquet(tmp_path / "o.parquet").dtypes
    assert dtypes.map(str).tolist() == ["int64", "int64", "float64"]
    mixed = pd.DataFrame({"c": pd.Series([1.0, "A", None], dtype=object)})
    write_frame(mixed, tmp_path / "o.parquet")
    assert pd.read_parquet(tmp_path / "o.parquet")["c"].tolist()[:2] == ["1", "A"]
    assert KnownCells.of(Path("x.parquet"), schema, {}) is None


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_series_of_counts_are_written_without_a_point(suffix: str, tmp_path: Path) -> None:
    counts = ModalitySpec("series", column="s", size=(2, 2), likelihood="poisson")
    plain = ModalitySpec("series", column="r", size=(1, 1), likelihood="gaussian")
    made = {"s": list(np.array([[[1.0, 0.0], [3.0, 2.0]]])), "r": list(np.array([[2.0]]))}
    schema = Schema({"s": counts, "r": plain})
    write_frame(pd.DataFrame(made), tmp_path / f"o.{suffix}", schema=schema)
    back = (pd.read_csv if suffix == "csv" else pd.read_parquet)(tmp_path / f"o.{suffix}").loc[0]
    said = [str(one) if suffix == "csv" else str(np.stack(one).tolist()) for one in back]
    assert said == ["[[1, 0], [3, 2]]", "[2.0]"]


def test_a_sound_keeps_its_own_rate_and_a_list_of_samples_is_no_name(tmp_path: Path) -> None:
    schema = Schema({"snd": ModalitySpec("audio", column="snd", rate=8000)})
    sounds = [{"array": np.zeros(4), "sampling_rate": 4000}, "[0, 3973, -100]"]
    write_frame(pd.DataFrame({"snd": sounds}), tmp_path / "o.csv", schema=schema)
    rates, sizes = [], []
    for file in pd.read_csv(tmp_path / "o.csv")["snd"]:
        with wave.open(str(tmp_path / file)) as sound:
            rates.append(sound.getframerate())
            sizes.append(sound.getnframes())
    assert (rates, sizes) == ([4000, 8000], [4, 3])
