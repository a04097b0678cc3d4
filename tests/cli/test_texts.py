"""Texts from a CSV to a model file and back, with each kind of token, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from polymodal.cli import main
from polymodal.estimator import load

TONES = ("dark", "light", "grey")
KINDS = {"coat": "áo khoác", "shirt": "áo sơ mi", "shoe": "giày", "bag": "túi xách"}


def rows(n_rows: int = 48) -> pd.DataFrame:
    kinds = list(KINDS)
    cells = [(TONES[i % 3], kinds[i % 4]) for i in range(n_rows)]
    frame = pd.DataFrame(
        {
            "price": [10.0 * len(kind) + 0.1 * i for i, (_, kind) in enumerate(cells)],
            "caption": [f"A {tone} {kind}, wide" for tone, kind in cells],
            "name": [f"{KINDS[kind]} màu {tone}" for tone, kind in cells],
        }
    )
    frame.loc[::7, "caption"] = None
    frame.loc[1, "caption"] = "A dark coat of more words than any model may write " * 3
    return frame


def on_disk(folder: Path, *texts: str) -> tuple[pd.DataFrame, Path, Path]:
    """The rows, and the files of them and of a schema with these texts beside the table."""
    frame, data, schema = rows(), folder / "rows.csv", folder / "schema.yaml"
    frame.to_csv(data, index=False)
    lines = ["modalities:", "  table: {kind: table, columns: {price: {kind: number}}}"]
    schema.write_text("\n".join([*lines, *(f"  {text}" for text in texts)]), encoding="utf-8")
    return frame, data, schema


@pytest.mark.slow
@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_texts_go_there_and_back(
    level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, data, schema = on_disk(
        tmp_path,
        f"caption: {{kind: text, column: caption, tokenizer: {level}, tokens: 24}}",
        f"name: {{kind: text, column: name, tokenizer: {level}}}",
    )
    model = tmp_path / "model.pm"
    words = f"fit {data} --schema {schema} --epochs 2 --latent-dim 4 --out {model}"
    assert main(words.split()) == 0
    fitted = load(model)
    assert fitted.schema_["caption"].tokenizer == level
    assert fitted.codec_.length("caption") <= 24
    codec = fitted.codec_
    known = fitted.codec_.decode("name", codec.encode(fitted._rows(frame)).x["name"])
    assert known.tolist() == frame["name"].tolist()
    capsys.readouterr()
    for how in ("greedy", "beam, width=3", "sample, temperature=0.8, top_p=0.9"):
        out = tmp_path / "out.csv"
        words = f"translate {model} {data} --to caption,name --given table --out {out} --json"
        assert main([*words.split(), "--text", how]) == 0
        assert json.loads(capsys.readouterr().out)["rows"] == len(frame)
        said = pd.read_csv(out, keep_default_na=False)
        assert list(said.columns) == ["caption", "name"]
        direct = fitted.translate(frame, to=["caption", "name"], given="table", text=how)
        assert said["name"].tolist() == list(direct["name"])
    filled = tmp_path / "filled.csv"
    assert (
        main([*f"impute {model} {data} --out {filled} --draws 2".split(), "--text", "beam"]) == 0
    )
    after = pd.read_csv(filled, keep_default_na=False)
    there = frame["caption"].notna()
    assert after["caption"][there].tolist() == frame["caption"][there].tolist()
    made = tmp_path / "made.csv"
    assert main(f"generate {model} --n 3 --out {made} --text beam".split()) == 0
    assert len(pd.read_csv(made, keep_default_na=False)) == 3


@pytest.mark.slow
def test_no_unknown_word_is_written(tmp_path: Path) -> None:
    frame, data, schema = on_disk(
        tmp_path, "caption: {kind: text, column: caption, tokenizer: word, vocabulary: 7}"
    )
    model = tmp_path / "model.pm"
    assert main(f"fit {data} --schema {schema} --epochs 5 --out {model}".split()) == 0
    codec = load(model).codec_
    truth = codec.decode("caption", codec.encode(load(model)._rows(frame)).x["caption"])
    assert any("<unknown>" in text for text in truth if text)  # most of what it learned from
    for command in (
        f"generate {model} --n 30",
        f"translate {model} {data} --to caption --given table",
        f"translate {model} {data} --to caption --given table --text beam",
        f"impute {model} {data} --draws 2",
    ):
        out = tmp_path / "out.csv"
        assert main([*command.split(), "--out", str(out)]) == 0
        assert "<unknown>" not in out.read_text()
        out.unlink()


def test_a_wrong_way_to_write_is_a_wrong_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = tmp_path / "rows.csv", tmp_path / "model.pm"
    rows(8).to_csv(data, index=False)
    model.write_bytes(b"")
    words = f"translate {model} {data} --to caption --out {tmp_path}/o.csv".split()
    assert main([*words, "--text", "beam, widht=3"]) == 2
    said = capsys.readouterr().err
    assert "--text: beam has the settings width, length_power" in said
    assert len(said.strip().splitlines()) == 1


def test_only_texts_are_written() -> None:
    from polymodal import Schema
    from polymodal.data import ModalitySpec
    from polymodal.estimator.written import written

    schema = Schema(
        {"image": ModalitySpec("image", column="i"), "note": ModalitySpec("text", column="n")}
    )
    assert written(None, schema, ["image"]) is None
    assert written("beam", schema).method == "beam"  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="but image is no text"):
        written("beam", schema, ["image"])
