"""Pictures beside a CSV: those of an earlier table stay, and are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polymodal.cli.tables import write_frame


def pictures(n: int) -> pd.DataFrame:
    cells = np.empty(n, dtype=object)
    cells[:] = [np.full((2, 2), i, dtype=np.uint8) for i in range(n)]
    return pd.DataFrame({"pic": cells})


def test_files_of_an_earlier_table_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    write_frame(pictures(5), out)
    assert capsys.readouterr().err == ""
    write_frame(pictures(2), out)
    said = capsys.readouterr().err
    assert "rows_pic also holds 3 files from before that rows.csv does not name" in said
    assert "such as 000002.png" in said
    assert len(list((tmp_path / "rows_pic").iterdir())) == 5


def test_files_that_the_table_still_names_are_not_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    write_frame(pictures(2), out)
    frame = pd.DataFrame({"pic": ["rows_pic/000000.png", "rows_pic/000001.png"]})
    write_frame(frame, out, ["pic"], tmp_path)
    assert capsys.readouterr().err == ""


def test_files_that_no_table_of_ours_names_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows_pic").mkdir()
    theirs = tmp_path / "rows_pic" / "000001.jpg"
    theirs.write_bytes(b"a photograph")
    out = tmp_path / "rows.csv"
    for _ in range(2):
        files = write_frame(pictures(2), out)
        assert [one.parent.name for one in files] == ["rows_pic_2"] * 2
        assert pd.read_csv(out)["pic"].tolist() == [
            "rows_pic_2/000000.png",
            "rows_pic_2/000001.png",
        ]
        said = capsys.readouterr().err
        assert "rows_pic holds files that rows.csv does not name, which stay" in said
    assert theirs.read_bytes() == b"a photograph"
    assert [one.name for one in (tmp_path / "rows_pic").iterdir()] == ["000001.jpg"]


def test_each_column_has_a_folder_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a disk takes for one name."""
    frame = pictures(2)
    frame = pd.DataFrame({"a/b": frame["pic"], "a_b": frame["pic"][::-1].to_numpy()})
    frame["A_B"] = frame["a/b"]
    out = tmp_path / "rows.csv"
    for _ in range(2):
        files = write_frame(frame, out)
        folders = [one.parent.name for one in files[::2]]
        assert folders == ["rows_a_b", "rows_a_b_2", "rows_A_B_3"]
        read = pd.read_csv(out)
        shown = {
            c: [np.asarray(Image.open(tmp_path / one)).max() for one in read[c]] for c in read
        }
        assert shown == {"a/b": [0, 1], "a_b": [1, 0], "A_B": [0, 1]}
        assert capsys.readouterr().err == ""
