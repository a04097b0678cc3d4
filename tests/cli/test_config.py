"""Options from a file lie below the flags; settings are YAML scalars; JSON holds no NaN."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from polymodal.cli import fit as fit_verb
from polymodal.cli import main
from polymodal.cli.config import parse_settings
from polymodal.cli.errors import CommandError
from polymodal.cli.outputs import as_json


class Stop(Exception):
    """Ends a fit before it begins."""


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What `fit` was told, without its work."""
    seen: dict = {}

    def stop(given: dict, resume: bool) -> None:
        seen.update(given, resume=resume)
        raise Stop

    monkeypatch.setattr(fit_verb, "run_fit", stop)
    return seen


def test_flags_win_over_the_file_and_the_file_over_defaults(options: dict, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "data: bundled:penguins\nrecipe: mvae\nlatent_dim: 5\nepochs: 7\n"
        "set: {beta: 2.5, subsets: 3}\nrun-dir: null\n"
    )
    words = ["fit", "--config", str(config), "--epochs", "9", "--set", "beta=1e-1"]
    assert main(words) == 1
    assert options["data"] == "bundled:penguins"
    assert options["recipe"] == "mvae"
    assert options["latent-dim"] == 5
    assert options["epochs"] == 9
    assert options["seed"] == 0
    assert options["set"] == {"beta": 0.1, "subsets": 3}
    assert options["run-dir"] is None


@pytest.mark.parametrize("word", ["true", "false", "1", "0"])
def test_settings_that_are_true_or_false_can_be_set(word: str, options: dict) -> None:
    words = ["fit", "bundled:penguins", "--recipe", "cmvae", "--set", f"prune={word}"]
    assert main(words) == 1
    assert options["set"]["prune"] is (word in ("true", "1"))


def test_a_setting_without_a_default_may_be_a_fraction(options: dict) -> None:
    words = ["fit", "bundled:penguins", "--recipe", "mmjsd", "--set", "prior_weight=0.6"]
    assert main(words) == 1
    assert options["set"] == {"prior_weight": 0.6}


@pytest.mark.parametrize("word", ["yess", "2", "0.5"])
def test_other_values_of_such_settings_are_refused(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "bundled:penguins", "--recipe", "cmvae", "--set", f"prune={word}"]
    assert main(words) == 2
    assert "prune must be true or false" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "own"), [([], None), (["--private-dim", "0"], 0)])
def test_what_is_written_reads_back_the_same(
    words: list[str], own: int | None, options: dict, tmp_path: Path
) -> None:
    networks = ["--network", "series=recurrent", "--network", "hidden=[8, 4]"]
    given = ["fit", "bundled:penguins", "--set", "beta=0.5", "--out", "a.pm", *networks, *words]
    assert main(given) == 1
    assert options["private-dim"] == own
    assert options["network"] == {"series": "recurrent", "hidden": [8, 4]}
    first = dict(options)
    config = tmp_path / "a.pm.yaml"
    config.write_text(fit_verb.as_yaml({k: v for k, v in first.items() if k != "resume"}))
    assert main(["fit", "--config", str(config)]) == 1
    assert options == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recpe: mvae\n", "Did you mean 'recipe'?"),
        ("- a\n", "holds a list"),
        ("a: [\n", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
        ("set: 3\n", "must hold settings"),
        ("network: conv\n", "`network` must hold settings, such as {series: recurrent}"),
        ("epochs: many\n", "many"),
        ("given: [a]\n", "No option in run.yaml named 'given'. Known: data,"),
        ("epochs: 3\nseed: 1\nepochs: 4\n", "run.yaml, line 3: 'epochs' stands twice"),
        ("latent-dim: 3\nlatent_dim: 4\n", "'latent-dim' stands twice"),
        ("set: {beta: 1.0, beta: 2.0}\n", "'beta' stands twice"),
        ("set: &a {set: *a}\n", "run.yaml"),
    ],
)
def test_a_wrong_file_is_refused(
    text: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(text)
    assert main(["fit", "bundled:penguins", "--config", "run.yaml"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert " given," not in err.partition("Known:")[2]
    assert err.count("\n") == 1


def test_settings_are_yaml_scalars() -> None:
    assert parse_settings(["beta=2", "learn-prior=true", "rule=full", "x=1e3", "y=null"]) == {
        "beta": 2,
        "learn_prior": True,
        "rule": "full",
        "x": 1000.0,
        "y": None,
    }
    assert parse_settings(None) == {}
    with pytest.raises(CommandError, match="key=value"):
        parse_settings(["=2"])


def test_json_holds_no_nan() -> None:
    said = as_json({"a": [math.nan, 1.5], "b": np.array([1, 2]), "c": Path("x"), "d": np.nan})
    assert json.loads(said) == {"a": [None, 1.5], "b": [1, 2], "c": "x", "d": None}


def test_yaml_keeps_every_option() -> None:
    kept = yaml.safe_load(fit_verb.as_yaml({"out": Path("m.pm"), "set": {"beta": 1.0}}))
    assert kept == {"out": "m.pm", "set": {"beta": 1.0}}
