"""Evaluation on the rows of the fit: only what was held out is judged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.estimator.cases import frame, tiny

import polymodal as pm
from polymodal.cli import main
from polymodal.evaluate.held_out import row_hashes
from polymodal.files import FileError
from polymodal.model_file import MODEL_FILE

WHOLE = pm.read(frame(60))


def test_on_the_data_of_the_fit_only_held_out_rows_are_judged() -> None:
    model = pm.MultimodalModel(**tiny()).fit(WHOLE)
    told = model.evaluate(WHOLE, draws=20)
    alone = model.evaluate(WHOLE[model.held_out_], draws=20)
    assert "only the 6 of them" in told.notes[0]
    assert told.notes[0] in told.verdict
    assert "On 6 held-out rows" in told.verdict
    assert told.rows == alone.rows
    assert not any("those of the fit" in note for note in alone.notes)


def test_the_rows_that_were_trained_on_are_refused() -> None:
    train, test = WHOLE[:40], WHOLE[40:]
    model = pm.MultimodalModel(**tiny()).fit(train, validation=test)
    with pytest.raises(ValueError, match="pass rows that were not trained on"):
        model.evaluate(train, draws=20)
    assert "On 20 held-out rows" in model.evaluate(test, draws=20).verdict
    assert model.evaluate(train, train=train, draws=20).rows


def test_a_model_of_a_file_knows_the_rows_of_its_fit(tmp_path: Path) -> None:
    model = pm.MultimodalModel(**tiny()).fit(WHOLE)
    model.save(tmp_path / "m.pm")
    loaded = pm.load(tmp_path / "m.pm")
    here, there = model.evaluate(WHOLE, draws=20), loaded.evaluate(WHOLE, draws=20)
    assert "On 6 held-out rows" in there.verdict
    assert (there.notes, there.rows) == (here.notes, here.rows)
    learned = WHOLE[[i for i in range(60) if i not in model.held_out_]]
    with pytest.raises(ValueError, match="pass rows that were not trained on"):
        loaded.evaluate(learned, draws=20)
    loaded.save(tmp_path / "again.pm")
    kept = [MODEL_FILE.read(tmp_path / name)[1]["trained"] for name in ("m.pm", "again.pm")]
    assert torch.equal(*kept)


def test_rows_that_were_learned_from_are_remarked_and_not_called_held_out() -> None:
    train, test = WHOLE[:40], WHOLE[30:]
    model = pm.MultimodalModel(**tiny()).fit(WHOLE[:20], validation=WHOLE[20:30])
    said = model.evaluate(test, train=train, draws=20)
    assert said.notes[0].startswith("10 of the 30 rows judged equal rows that the simple methods")
    assert "On 30 held-out rows" in said.verdict
    said = model.evaluate(WHOLE[19:40], train=train, draws=20)
    assert "21 of the 21 rows judged equal rows that the model and the simple" in said.notes[0]
    assert "On 21 rows, known values" in said.verdict


def test_a_file_without_hashes_loads_and_claims_nothing(tmp_path: Path) -> None:
    model = pm.MultimodalModel(**tiny()).fit(WHOLE[:40])
    model.save(tmp_path / "m.pm")
    facts, tensors = MODEL_FILE.read(tmp_path / "m.pm")
    assert tensors["trained"].tolist() == sorted(tensors["trained"].tolist())
    assert len(tensors.pop("trained")) == 36
    MODEL_FILE.write(tmp_path / "old.pm", facts, tensors)
    said = pm.load(tmp_path / "old.pm").evaluate(WHOLE[40:], train=WHOLE[:40], draws=20)
    assert "On 20 rows, known values" in said.verdict
    MODEL_FILE.write(tmp_path / "bad.pm", facts, {**tensors, "trained": torch.zeros(2, 2)})
    with pytest.raises(FileError, match="trained must be int64"):
        pm.load(tmp_path / "bad.pm")


def test_hashes_are_of_what_is_there() -> None:
    model = pm.MultimodalModel(**tiny()).fit(WHOLE[:40])
    rows = model.codec_.encode(WHOLE)
    assert len(row_hashes(rows).unique()) == 60
    name = rows.names[0]
    absent = ~rows.present[name]
    assert absent.any()
    rows.x[name][absent] = 7.0
    assert torch.equal(row_hashes(rows), row_hashes(model.codec_.encode(WHOLE)))


def test_the_command_line_judges_what_was_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame(60).drop(columns="photo").to_parquet(tmp_path / "a.parquet")
    pm.MultimodalModel(**tiny()).fit(pm.read(tmp_path / "a.parquet")).save(tmp_path / "m.pm")
    assert main(["evaluate", f"{tmp_path}/m.pm", f"{tmp_path}/a.parquet"]) == 0
    out, err = capsys.readouterr()
    assert "only those that were held out to stop by are judged, 6 rows." in err
    assert "On 6 held-out rows" in " ".join(out.split())
