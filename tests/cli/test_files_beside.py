"""Pictures beside a CSV: those of an earlier table stay, and are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    write_frame(pictures(5), out)
    assert capsys.readouterr().err == ""


def test_files_that_the_table_still_names_are_not_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    write_frame(pictures(2), out)
    frame = pd.DataFrame({"pic": ["rows_pic/000000.png", "rows_pic/000001.png"]})
    write_frame(frame, out, ["pic"], tmp_path)
    assert capsys.readouterr().err == ""
