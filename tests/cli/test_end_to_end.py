"""Every verb on real data, from `fit` to `report`, in one process."""

from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.estimator.cases import frame, tiny

from polymodal.cli import fit as fit_verb
from polymodal.cli import main
from polymodal.cli.tables import frame_of, write_frame
from polymodal.data.bundled import load_bundled
from polymodal.estimator import MultimodalModel, load
from polymodal.tasks.generate import Values


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with penguins in a CSV and a model of them."""
    folder = tmp_path_factory.mktemp("work")
    frame = load_bundled("penguins").native().sample(frac=1.0, random_state=0)
    frame.iloc[:150].to_csv(folder / "train.csv", index=False)
    frame.iloc[150:200].to_csv(folder / "test.csv", index=False)
    words = f"fit {folder}/train.csv --epochs 2 --latent-dim 4 --out {folder}/model.pm --json"
    assert main(words.split()) == 0
    return folder


def files_of(folder: Path, n_rows: int) -> tuple[MultimodalModel, pd.DataFrame]:
    """A small model and rows without two of its modalities, as m.pm and rows.parquet."""
    model = MultimodalModel(**tiny()).fit(frame())
    model.save(folder / "m.pm")
    rows = frame(n_rows, seed=4)[["v", "w", "n", "c"]]
    rows.to_parquet(folder / "rows.parquet")
    return model, rows


def run(words: str, capsys: pytest.CaptureFixture[str]) -> dict:
    """The JSON of a command that works; nothing else is on standard output."""
    assert main([*words.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_fit_writes_what_makes_it_again(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = load(work / "model.pm")
    said = run(f"fit --config {work}/model.pm.yaml --out {work}/again.pm", capsys)
    assert said["rows"] == 150
    assert said["epochs"] == 2
    assert said["status"] == "finished"
    again = load(work / "again.pm")
    for name, value in first.model_.state_dict().items():
        assert value.equal(again.model_.state_dict()[name]), name


def test_fit_says_what_it_did(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"fit {work}/train.csv --epochs 1 --out {work}/words.pm".split()) == 0
    out, err = capsys.readouterr()
    assert "150 rows" in out
    assert f"polymodal impute {work}/words.pm" in out
    assert "epoch 1/1" in err
    assert "epoch 1/1" not in out


def test_a_run_goes_on(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"fit {work}/train.csv --epochs 1 --out {work}/r.pm --run-dir {work}/run"
    assert run(words, capsys)["epochs"] == 1
    assert run(f"{words} --resume", capsys)["epochs"] == 1
    assert main(words.split()) == 1
    assert "add --resume to go on with it" in capsys.readouterr().err
    assert main(f"{words}2 --resume".split()) == 1
    assert "there is no run to go on with" in capsys.readouterr().err
    assert not (work / "run2").exists()


def test_impute_fills_and_keeps_what_is_known(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pd.read_csv(work / "train.csv")
    assert before.isna().to_numpy().any()
    words = f"impute {work}/model.pm {work}/train.csv --out {work}/filled.csv"
    said = run(words, capsys)
    after = pd.read_csv(work / "filled.csv")
    assert said["filled"]["table"] == int(before.isna().to_numpy().sum())
    assert list(after.columns) == list(before.columns)
    assert not after.isna().to_numpy().any()
    for column in before:
        known = before[column].notna()
        assert (after[column][known] == before[column][known]).all()


def test_impute_writes_intervals_and_draws(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"impute {work}/model.pm {work}/train.csv"
    run(f"{source} --out {work}/band.parquet --interval 0.8", capsys)
    band = pd.read_parquet(work / "band.parquet")
    low, mid, high = (band[f"body_mass_g{end}"] for end in ("_low", "", "_high"))
    holes = pd.read_csv(work / "train.csv")["body_mass_g"].isna()
    assert (low[holes] < high[holes]).all()
    assert (low[~holes] == mid[~holes]).all()
    run(f"{source} --out {work}/draws.parquet --draws 3 --all-draws", capsys)
    draws = pd.read_parquet(work / "draws.parquet")
    assert draws["draw"].tolist() == sorted([0, 1, 2] * 150)


def test_a_file_without_some_columns_is_filled_too(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = pd.read_csv(work / "test.csv").drop(columns=["species", "sex"])
    part.to_csv(work / "part.csv", index=False)
    run(f"impute {work}/model.pm {work}/part.csv --out {work}/whole.parquet", capsys)
    whole = pd.read_parquet(work / "whole.parquet")
    assert {"species", "sex"} <= set(whole.columns)
    assert not whole.isna().to_numpy().any()


def test_cluster(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--recipe cmvae --set clusters=4 --latent-dim 2 --epochs 2 --out {work}/c.pm"
    run(f"fit {work}/test.csv {words}", capsys)
    said = run(f"cluster {work}/c.pm {work}/test.csv --out {work}/c.csv", capsys)
    found = pd.read_csv(work / "c.csv")
    assert list(found.columns) == ["cluster", "probability"]
    assert said["rows"] == len(found) == 50
    assert sum(said["sizes"].values()) == 50
    assert said["clusters"] == found["cluster"].nunique()
    out = str(work / "none.csv")
    assert main(["cluster", f"{work}/model.pm", f"{work}/test.csv", "--out", out]) == 1
    assert "no mixture" in capsys.readouterr().err


def test_generate_embed_and_score(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        run(f"generate {work}/model.pm --n 7 --out {work}/{name}.parquet --seed 3", capsys)
    one, two = (pd.read_parquet(work / f"{name}.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    assert len(one) == 7
    for values in get_args(Values):
        words = f"generate {work}/model.pm --n 7 --out {work}/of.parquet --seed 3"
        said = run(f"{words} --values {values}", capsys)
        assert said["values"] == values
        made = load(work / "model.pm").generate(7, seed=3, values=values)
        pd.testing.assert_frame_equal(pd.read_parquet(work / "of.parquet"), made)
    run(f"generate {work}/model.pm --n 2 --out {work}/made", capsys)
    assert (work / "made" / "rows.csv").exists()
    said = run(f"embed {work}/model.pm {work}/test.csv --out {work}/z.parquet", capsys)
    assert (said["rows"], said["dimensions"]) == (50, 4)
    shared = pd.read_parquet(work / "z.parquet")
    assert shared.shape == (50, 4)
    run(f"embed {work}/model.pm {work}/test.csv --block all --out {work}/all.parquet", capsys)
    every = pd.read_parquet(work / "all.parquet")
    assert every.shape == (50, 4 + 16)
    pd.testing.assert_frame_equal(every[shared.columns], shared)
    said = run(f"score {work}/model.pm {work}/test.csv --out {work}/score.csv", capsys)
    assert len(said["log_likelihood"]) == 50
    assert np.isfinite(said["mean"])
    assert (said["kind"], said["of"], said["rows_scored"]) == ("joint", ["table"], 50)
    lowest = pd.read_csv(work / "score.csv")["log_likelihood"].argmin()
    assert said["lowest_rows"][0] == lowest


def test_score_of_a_part_given_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = MultimodalModel(**tiny()).fit(frame())
    model.save(tmp_path / "m.pm")
    rows = frame(12, seed=4)[["caption", "w"]].assign(caption=lambda f: f["caption"].fillna(""))
    rows.to_csv(tmp_path / "rows.csv", index=False)
    words = f"score {tmp_path}/m.pm {tmp_path}/rows.csv --of caption --given table --samples 30"
    for kind in ("conditional", "marginal", "predictive"):
        said = run(f"{words} --kind {kind} --seed 2 --out {tmp_path}/s.csv", capsys)
        assert (said["kind"], said["of"], said["given"]) == (kind, ["caption"], ["table"])
        assert said["rows"] == 12
        there = pd.read_csv(tmp_path / "s.csv")
        assert there["scored"].sum() == said["rows_scored"] < 12
        wanted = there["log_likelihood"][there["scored"]].mean()
        assert abs(said["mean"] - wanted) < 1e-9 * abs(wanted)
        assert (there["log_likelihood"][~there["scored"]] == 0).all()
        assert all(1 / 30 - 1e-9 <= share <= 1 + 1e-9 for share in said["ess"])
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    assert "log p(caption | table)" in out
    assert "Of 30 samples" in out
    rows[["w"]].to_csv(tmp_path / "bare.csv", index=False)
    assert main(words.replace("rows.csv", "bare.csv").split()) == 0
    assert "No row has any of caption" in capsys.readouterr().out


def test_translate_refuses_a_modality_that_is_not_there(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"translate {work}/model.pm {work}/test.csv --to tabel --out {work}/t.csv"
    assert main(words.split()) == 2
    assert "Did you mean 'table'?" in capsys.readouterr().err


def test_translate_needs_something_to_translate_from(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"translate {work}/model.pm {work}/test.csv --to table --out {work}/t.csv"
    assert main(words.split()) == 1
    err = capsys.readouterr().err
    assert "nothing to translate from: the model has no modality but table" in err
    assert "given=" not in err
    assert main(words.replace("table", "table,table").split()) == 1
    assert "translate: to names 'table' twice" in capsys.readouterr().err


def test_translate_writes_draws_that_follow_from_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, rows = files_of(tmp_path, 6)
    made = {}
    for seed in (1, 1, 2):
        words = f"translate {tmp_path}/m.pm {tmp_path}/rows.parquet --to caption --draws 3"
        said = run(f"{words} --seed {seed} --out {tmp_path}/t.csv", capsys)
        table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
        assert (said["rows"], said["draws"], len(table)) == (6, 3, 18)
        assert table["draw"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
        assert made.setdefault(seed, table).equals(table)
    assert not made[1].equals(made[2])
    direct = model.translate(rows, to="caption", draws=3, seed=2)
    assert made[2]["caption"].tolist() == [text for drawn in direct for text in drawn]
    assert main(f"translate {tmp_path}/m.pm {tmp_path}/rows.parquet --to caption --draws 0 --out "
                f"{tmp_path}/t.csv".split()) == 2  # fmt: skip


def test_evaluate_and_report(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged = f"{work}/model.pm {work}/test.csv --train {work}/train.csv"
    said = run(f"evaluate {judged} --out {work}/eval.json", capsys)
    assert said["verdict"]
    assert said == json.loads((work / "eval.json").read_text())
    again, other = (run(f"evaluate {judged} --seed {seed}", capsys) for seed in (0, 1))
    assert again == said != other
    assert main(f"evaluate {work}/model.pm {work}/test.csv --train {work}/test.csv".split()) == 2
    assert "--train is DATA itself" in capsys.readouterr().err
    said = run(f"report {judged} --out {work}/report.html --title Penguins", capsys)
    page = (work / "report.html").read_text("utf-8")
    assert said["bytes"] == len(page.encode())
    assert "<h1>Penguins</h1>" in page


def test_compare_goes_on_and_says_which(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"compare {work}/train.csv --epochs 1 --latent-dim 4 --seeds 1 --out {work}/c"
    words += " --network hidden=[8]"
    first = run(f"{words} --recipes mopoe,pcca", capsys)
    assert {row["method"] for row in first["rows"]} == {"mopoe", "pcca", "mean", "linear", "knn"}
    assert first["recommendation"]
    assert (work / "c" / "comparison.txt").exists()
    page = (work / "c" / "comparison.html").read_text("utf-8")
    assert first["recommendation"] in html.unescape(page)
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=.(https?:|//)", page)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(f"{words} --recipes mopoe,pcca,mvtcae".split()) == 0
    out, err = capsys.readouterr()
    assert err.count("was done before") == 2
    assert "[3/3] mvtcae, seed 0: done" in err
    assert max(len(line) for line in out.partition("\nModels")[0].splitlines()) <= 80
    assert "rank  method" in out
    best = next(row for row in first["rows"] if not row["simple"])["method"]
    assert load(work / "c" / f"{best}-0.pm").recipe == best
    assert load(work / "c" / "mopoe-0.pm").networks.hidden == (8,)
    kept = {
        name: (work / "c" / f"comparison.{name}").read_text("utf-8") for name in ("txt", "json")
    }
    assert main(f"{words} --recipes mvtcae".split()) == 0
    assert (
        "In the table too, as the folder holds them: mopoe (seed 0), pcca"
        in capsys.readouterr().err
    )
    for name, text in kept.items():
        assert (work / "c" / f"comparison.{name}").read_text("utf-8") == text
    assert main(f"{words} --recipes mopoe --draws 30".split()) == 1
    assert "draws=50, now 30" in capsys.readouterr().err


def test_compare_judges_coherence_by_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(90) % 2
    table = {
        name: list(codes[:, None] * sign + 0.1 * rng.normal(size=(90, 3)))
        for name, sign in (("up", 1), ("down", -1))
    }
    pd.DataFrame({**table, "side": np.array(["l", "r"])[codes]}).to_parquet(tmp_path / "d.parquet")
    words = f"compare {tmp_path}/d.parquet --recipes pcca --seeds 1 --latent-dim 2 --draws 20"
    said = run(f"{words} --label side --out {tmp_path}/c", capsys)
    coherence = next(group for group in said["groups"] if group["name"] == "coherence")
    assert coherence["columns"] == ["1 input", "joint", "joint by chance", "cap"]
    assert coherence["values"]["pcca"]["1 input"]["value"] > 0.9
    assert main(f"{words} --label side --out {tmp_path}/c".split()) == 0
    out, err = capsys.readouterr()
    assert "was done before" in err
    assert "Coherence: share" in out
    assert main(f"{words} --label sid --out {tmp_path}/e".split()) == 1
    assert "the label 'sid'" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()


def test_schema_is_written_and_used(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(f"schema {work}/train.csv --write {work}/schema.yaml", capsys)
    assert said["rows"] == 150
    kinds = {c["name"]: c["kind"] for c in said["modalities"][0]["columns"]}
    assert kinds["species"] == "category"
    words = f"fit {work}/train.csv --schema {work}/schema.yaml --epochs 1 --out {work}/s.pm"
    assert run(words, capsys)["modalities"] == ["table"]


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_truncated_model_ends_in_1(
    work: Path, share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (work / "model.pm").read_bytes()
    (tmp_path / "cut.pm").write_bytes(whole[: int(share * len(whole))])
    words = f"score {tmp_path}/cut.pm {work}/test.csv"
    assert main(words.split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "cut.pm" in err


def test_the_demo_ends_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(f"demo --data penguins --seconds 1 --out {tmp_path}/demo", capsys)
    assert {file.name for file in (tmp_path / "demo").iterdir()} == {
        "report.html",
        "model.pm",
        "filled.parquet",
    }
    assert said["verdict"] in said["words"]
    assert not pd.read_parquet(tmp_path / "demo" / "filled.parquet").isna().to_numpy().any()
    report = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert 'id="filled"' in report
    assert "polymodal demo --data penguins --recipe polymodal --seconds 1 --seed 0" in report
    shutil.rmtree(tmp_path / "demo")


def test_pictures_and_vectors_go_into_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = frame_of(
        {
            "photo": (rng.random((3, 1, 5, 4)) * 255).astype(np.uint8),
            "note": ["a", None, "c"],
            "gene": rng.normal(size=(3, 2)),
            "facts": pd.DataFrame({"n": [1, 2, 3], "note": ["x", "y", "z"]}),
        }
    )
    assert list(frame.columns) == ["photo", "note", "gene", "n", "facts.note"]
    assert write_frame(frame, tmp_path / "a.parquet") == []
    back = pd.read_parquet(tmp_path / "a.parquet")
    assert back["photo"][0].startswith(b"\x89PNG")
    np.testing.assert_allclose(back["gene"][1], frame["gene"][1])
    files = write_frame(frame, tmp_path / "a.csv")
    back = pd.read_csv(tmp_path / "a.csv")
    assert back["photo"].tolist() == [f"a_photo/00000{i}.png" for i in range(3)]
    assert [file.read_bytes()[:4] for file in files] == [b"\x89PNG"] * 3
    assert json.loads(back["gene"][2]) == pytest.approx(frame["gene"][2].tolist())


def test_traverse_writes_pictures_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, rows = files_of(tmp_path, 12)
    words = f"traverse {tmp_path}/m.pm {tmp_path}/rows.parquet --out {tmp_path}/walk"
    said = run(f"{words} --directions 2 --steps 3", capsys)
    assert said["pictures"] == [str(tmp_path / "walk" / "photo.png")]
    with Image.open(said["pictures"][0]) as picture:
        assert min(picture.size) > 50
    made = pd.read_csv(said["table"])
    assert len(made) == 6
    assert {"(latent)", "(value)", "caption", "w", "c"} <= set(made.columns)
    assert "photo" not in made
    assert sorted(made["(latent)"].unique()) == sorted(d["latent"] for d in said["directions"])
    direct = model.traverse(rows, 2, steps=3)
    assert said["start"] == direct.start
    assert [d["spread"] for d in said["directions"]] == pytest.approx(
        [one.spread for one in direct.directions]
    )
    assert main(f"{words} --directions 1".split()) == 0
    assert "Along which directions rows differ is seen from 12 rows." in capsys.readouterr().err
    assert main(f"{words} --latent 0,2 --start 5 --block shared --to table".split()) == 0
    out = capsys.readouterr().out
    assert "From row 5 of" in out
    assert "walk.csv" in out
    for wrong, why in (
        ("--latent 0 --directions 2", "give one of them"),
        ("--latent one", "got one"),
        ("--steps 1", "--steps must be at least 2"),
        ("--start 12", "from 0 to 11, got 12"),
        ("--to tabel", "Did you mean 'table'?"),
    ):
        assert main([*words.split(), *wrong.split()]) == 2
        assert why in capsys.readouterr().err
    assert main([*words.split(), "--block", "foto"]) == 1
    assert "no latent number is of the block 'foto'" in capsys.readouterr().err
    assert main(words.replace("/walk", "/v1.5").split()) == 0
    capsys.readouterr()
    assert main(words.replace("/walk", "/walk.csv").split()) == 2
    assert "name a folder" in capsys.readouterr().err


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, tables that name some of them, and a model of those."""
    folder = tmp_path_factory.mktemp("album")
    rng = np.random.default_rng(0)
    (folder / "img").mkdir()
    for row in range(30):
        pixels = rng.integers(0, 255, size=(6, 5, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "img" / f"{row}.png")
    frame = pd.DataFrame({"photo": [f"img/{r}.png" for r in range(30)], "x": rng.random(30)})
    frame.loc[[1, 4], "photo"] = None
    frame.to_csv(folder / "path_first.csv", index=False)
    frame.iloc[1:].to_csv(folder / "hole_first.csv", index=False)
    words = f"fit {folder}/path_first.csv --epochs 1 --latent-dim 2 --out {folder}/model.pm"
    assert main(words.split()) == 0
    return folder


@pytest.mark.parametrize("name", ["path_first", "hole_first"])
def test_named_pictures_are_filled_in_a_csv(
    album: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pd.read_csv(album / f"{name}.csv")
    words = f"impute {album}/model.pm {album}/{name}.csv --out"
    said = run(f"{words} {album}/{name}_filled.csv", capsys)
    assert len(said["files"]) == 2
    assert said["share_of_rows_with_holes"] == pytest.approx(2 / len(before))
    after = pd.read_csv(album / f"{name}_filled.csv")
    known = before["photo"].notna()
    assert (after["photo"][known] == before["photo"][known]).all()
    run(f"{words} {tmp_path}/elsewhere.csv", capsys)
    for folder, file in ((album, f"{name}_filled.csv"), (tmp_path, "elsewhere.csv")):
        for row, picture in enumerate(pd.read_csv(folder / file)["photo"]):
            with Image.open(folder / picture) as opened:
                assert opened.size == (5, 6), (file, row)


@pytest.mark.parametrize("name", ["path_first", "hole_first"])
def test_named_pictures_are_filled_in_a_parquet(
    album: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pd.read_csv(album / f"{name}.csv")
    run(f"impute {album}/model.pm {album}/{name}.csv --out {tmp_path}/filled.parquet", capsys)
    after = pd.read_parquet(tmp_path / "filled.parquet")
    for path, held in zip(before["photo"], after["photo"], strict=True):
        assert held.startswith(b"\x89PNG")
        assert pd.isna(path) or held == (album / path).read_bytes()


def test_a_diverged_run_ends_in_1_with_its_reason(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load(work / "model.pm")
    reason = "Step 3 (epoch 1) was not applied: loss is inf or NaN."
    model.result_ = replace(model.result_, status="diverged", reason=reason)
    monkeypatch.setattr(fit_verb, "run_fit", lambda options, resume: (model, 150))
    assert main(f"fit {work}/train.csv --out {tmp_path}/d.pm".split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert (tmp_path / "d.pm").exists()
