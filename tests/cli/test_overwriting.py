"""A command never replaces what it reads: it ends in 2, in one sentence, and all files stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_refused import refused

from polymodal.cli import main
from polymodal.data.bundled import load_bundled


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, what stands for a model, and other names of the table."""
    monkeypatch.chdir(tmp_path)
    load_bundled("penguins").native().to_csv("rows.csv", index=False)
    Path("m.pm").write_bytes(b"no model")
    Path("model.csv").write_bytes(b"no model either")
    Path("s.pm.yaml").write_text("modalities: {}\n")
    Path("link.csv").symlink_to("rows.csv")
    Path("hard.csv").hardlink_to("rows.csv")
    Path("made").mkdir()
    Path("made/rows.csv").write_bytes(b"a model with an odd name")
    Path("again").symlink_to(".")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("translate m.pm rows.csv --to island --out rows.csv", "DATA"),
        ("impute m.pm rows.csv --out ./rows.csv", "DATA"),
        ("impute m.pm rows.csv --out link.csv", "DATA"),
        ("impute m.pm link.csv --out rows.csv", "DATA"),
        ("impute m.pm rows.csv --out hard.csv", "DATA"),
        ("impute m.pm rows.csv --out again/rows.csv", "DATA"),
        ("embed m.pm rows.csv --out rows.csv", "DATA"),
        ("cluster m.pm rows.csv --out rows.csv", "DATA"),
        ("score m.pm rows.csv --out rows.csv", "DATA"),
        ("generate model.csv --out model.csv", "MODEL"),
        ("generate made/rows.csv --out made", "MODEL"),
        ("fit rows.csv --out rows.csv", "DATA"),
        ("fit bundled:penguins --validation rows.csv --out rows.csv", "--validation"),
        ("fit rows.csv --schema s.pm.yaml --out s.pm", "--schema"),
        ("report m.pm bundled:penguins --train rows.csv --out rows.csv", "--train"),
        ("evaluate m.pm rows.csv --out rows.csv", "DATA"),
        ("coherence m.pm rows.csv --label species --out rows.csv", "DATA"),
    ],
)
def test_what_is_read_is_not_written(
    command: str, what: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    said = refused(command, capsys)
    assert f"is the {what} of this command and would be replaced; name another" in said
    assert contents(folder) == before


def test_the_file_of_options_may_be_fitted_from_again(folder: Path) -> None:
    """As `fit --help` has it: OUT.yaml is read first and written again with what was changed."""
    from polymodal.cli.overwriting import check_inputs_stay

    check_inputs_stay("fit", {"data": "rows.csv", "out": Path("s.pm"), "config": "s.pm.yaml"})


def test_pictures_of_the_data_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "done_pic").mkdir()
    (folder / "done_pic" / "000000.png").write_bytes(b"a picture")
    (folder / "new.csv").write_text("pic,n\ndone_pic/000000.png,1\n")
    before = contents(folder)
    said = refused("translate m.pm new.csv --to pic --out done.csv", capsys)
    assert "--out done.csv: its files would go into done_pic, where files are that" in said
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet", "o.xlsx", "o.YAML"])
def test_a_model_is_not_called_a_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(f"fit bundled:penguins --out {name}", capsys)
    assert f"--out {name}: a name that ends in ." in said
    assert f"call it {name.split('.')[0]}.pm" in said


def test_an_edited_schema_is_not_written_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "schema rows.csv --write s.yaml"
    for _ in range(2):  # what would be the same may be written again
        assert main(words.split()) == 0
    capsys.readouterr()
    (folder / "s.yaml").write_text((folder / "s.yaml").read_text().replace("island", "place"))
    before = contents(folder)
    said = refused(words, capsys)
    assert "--write s.yaml holds something else than what would be written" in said
    assert "name another file, or remove it first." in said
    assert contents(folder) == before
    (folder / "s.yaml").write_bytes(b"\xff\xfe")
    assert "holds something else" in refused(words, capsys)
