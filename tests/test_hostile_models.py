"""Model files that ask for more than they hold end in one sentence before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from tests.files.make_model_v1 import FILE

import polymodal as pm
from polymodal import FileError
from polymodal.model_file import MODEL_FILE


def refusal(path: Path) -> str:
    """The sentence with which a model file is refused."""
    with pytest.raises(FileError) as caught:
        pm.load(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("key", ["loc", "scale", "places"])
def test_numbers_that_no_float_can_hold_are_refusal(key: str, tmp_path: Path) -> None:
    facts, held = MODEL_FILE.read(FILE)
    text, found = json.dumps(facts), re.compile(rf'"{key}": (null|[-\d.e]+)')
    assert found.search(text)
    MODEL_FILE.write(tmp_path / "a.pm", json.loads(found.sub(f'"{key}": {10**400}', text)), held)
    refusal(tmp_path / "a.pm")


@pytest.mark.parametrize(
    ("hidden", "said"),
    [([64] * 100_000, "100000 layers"), ([9_999] * 50, "networks.hidden asks for 4899020049")],
)
def test_more_layers_than_there_are_weights_are_refused_before_a_network_is_made(
    hidden: list[int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, held = MODEL_FILE.read(FILE)
    facts["parameters"]["networks"]["hidden"] = hidden
    MODEL_FILE.write(tmp_path / "deep.pm", facts, held)
    monkeypatch.setattr("polymodal.estimator.stored.build_model", None)  # nothing may be built
    assert said in refusal(tmp_path / "deep.pm")


def test_a_tensor_without_elements_says_nothing_of_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, held = MODEL_FILE.read(FILE)
    facts["parameters"]["latent_dim"] = 300_000
    MODEL_FILE.write(tmp_path / "a.pm", facts, {**held, "junk": torch.empty(0, 10**12)})
    monkeypatch.setattr("polymodal.estimator.stored.build_model", None)  # nothing may be built
    assert "latent_dim is 300000" in refusal(tmp_path / "a.pm")
