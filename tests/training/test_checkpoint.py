from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.training.toy import Rows, ToyModel, assert_same, weights
from torch import nn

from polymodal.training import CheckpointError, TrainSettings, fit
from polymodal.training.checkpoint import CHECKPOINT, FILE_NAME

SETTINGS = TrainSettings(epochs=1, batch_size=16, seed=7)
TENSORS = {
    "float": torch.randn(3, 2, dtype=torch.float64),
    "scalar": torch.tensor(3.5),
    "half": torch.randn(4).to(torch.bfloat16),
    "empty": torch.zeros(0, 2),
    "type/a.b": torch.arange(3),
}
FACTS = {"a": 0.1 + 0.2, "nan": [1, None], "text": "é"}


@pytest.fixture
def run(tmp_path):
    fit(ToyModel(), Rows(), SETTINGS, run_dir=tmp_path)
    return tmp_path


def test_what_is_written_comes_back_exactly_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "c.safetensors"
    for _ in range(2):
        CHECKPOINT.write(path, FACTS, TENSORS)
    facts, tensors = CHECKPOINT.read(path)
    assert facts == FACTS
    assert_same(tensors, TENSORS)
    assert [file.name for file in path.parent.iterdir()] == ["c.safetensors"]


def test_tensors_that_share_memory_are_written(tmp_path):
    shared = torch.randn(4)
    CHECKPOINT.write(tmp_path / "c", {}, {"a": shared, "b": shared, "c": shared[1:3]})
    assert torch.equal(CHECKPOINT.read(tmp_path / "c")[1]["c"], shared[1:3])


def test_a_failed_write_leaves_the_last_checkpoint_whole(tmp_path):
    path = tmp_path / "c"
    CHECKPOINT.write(path, FACTS, TENSORS)
    with pytest.raises(TypeError):
        CHECKPOINT.write(path, {"not": object()}, TENSORS)
    assert CHECKPOINT.read(path)[0] == FACTS
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_every_truncation_and_every_flipped_byte_is_noticed(tmp_path):
    path, bad = tmp_path / "c", tmp_path / "bad"
    CHECKPOINT.write(path, FACTS, TENSORS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        bad.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="bad: "):
            CHECKPOINT.read(bad)
    for at in range(0, len(whole), 3):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :])
        try:
            facts, tensors = CHECKPOINT.read(bad)
        except CheckpointError:
            continue
        assert facts == FACTS  # padding of the header may change, what is read may not
        assert_same(tensors, TENSORS)


def test_foreign_newer_and_missing_files_end_in_one_clear_error(tmp_path):
    path = tmp_path / "c"
    with pytest.raises(CheckpointError, match="no such file"):
        CHECKPOINT.read(path)
    for content in (b"", b"PK\x03\x04 a zip", b"\x80\x04\x95 a pickle", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a safetensors file"):
            CHECKPOINT.read(path)
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="not a polymodal checkpoint"):
        CHECKPOINT.read(path)
    for version, message in (("99", "Install a newer"), ("one", "expected a number")):
        save_file(
            {"a": torch.ones(2)}, path, metadata={"format": CHECKPOINT.name, "version": version}
        )
        with pytest.raises(CheckpointError, match=message):
            CHECKPOINT.read(path)
    save_file({"a": torch.ones(2)}, path, metadata={"format": CHECKPOINT.name, "version": "1"})
    with pytest.raises(CheckpointError, match="checksum"):
        CHECKPOINT.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("position"),
        lambda facts: facts.update(position="here"),
        lambda facts: facts.update(history=[{"epoch": 1}]),
        lambda facts: facts.update(settings=None),
        lambda facts: facts.update(sums=3),
        lambda facts: facts.update(sums=[[[["kl"], [1.0], 3]]]),
    ],
)
def test_a_hostile_header_ends_in_one_clear_error(run, change):
    facts, tensors = CHECKPOINT.read(run / FILE_NAME)
    change(facts)
    CHECKPOINT.write(run / FILE_NAME, facts, tensors)
    with pytest.raises(CheckpointError, match="not the checkpoint of such a run"):
        fit(ToyModel(), Rows(), SETTINGS, run_dir=run, resume=True)


def test_another_model_other_data_or_other_settings_are_refused(run):
    class Wider(ToyModel):
        def __init__(self):
            super().__init__()
            self.decoders[0] = nn.Linear(3, 5)

    class More(ToyModel):
        def __init__(self):
            super().__init__()
            self.more = nn.Parameter(torch.zeros(1))

    def resume(model=None, rows=50, **changes):
        settings = dataclasses.replace(SETTINGS, **changes)
        return fit(model or ToyModel(), Rows(rows), settings, run_dir=run, resume=True)

    with pytest.raises(CheckpointError, match=r"'decoders\.0\.bias' has shape \(4,\)"):
        resume(Wider())
    with pytest.raises(CheckpointError, match="the checkpoint has no weight 'more'"):
        resume(More())
    with pytest.raises(CheckpointError, match="batch_size=16, now 8"):
        resume(batch_size=8)
    with pytest.raises(CheckpointError, match="seed=7, now 8"):
        resume(seed=8)
    with pytest.raises(CheckpointError, match="50 training rows, now 40"):
        resume(rows=40)
    assert resume(epochs=3, checkpoint_minutes=1.0).history[-1].epoch == 2


def test_a_run_is_not_overwritten_unasked(run):
    before = (run / FILE_NAME).read_bytes()
    with pytest.raises(CheckpointError, match="resume=True"):
        fit(ToyModel(), Rows(), SETTINGS, run_dir=run)
    assert (run / FILE_NAME).read_bytes() == before


def test_best_and_current_weights_and_the_settings_stand_in_the_file(run):
    facts, tensors = CHECKPOINT.read(run / FILE_NAME)
    groups = {name.partition("/")[0] for name in tensors}
    assert groups == {"weights", "kept", "optimiser"}
    assert facts["position"] == [1, 0, 4]
    assert facts["settings"] == dataclasses.asdict(SETTINGS)
    assert facts["torch"] == torch.__version__
    with safe_open(run / FILE_NAME, framework="pt") as file:
        assert json.loads(file.metadata()["version"]) == 1


def test_a_finished_run_that_is_resumed_gives_the_same_model(run):
    first, second = ToyModel(), ToyModel()
    fit(first, Rows(), SETTINGS)
    fit(second, Rows(), SETTINGS, run_dir=run, resume=True)
    assert_same(weights(first), weights(second))
