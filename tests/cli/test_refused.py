"""Option values that cannot be end in 2 before anything is read; files that are none are kept."""

from __future__ import annotations

import inspect
import os
import stat
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from tests.estimator.cases import tiny

from polymodal.cli import main
from polymodal.cli.app import VERBS
from polymodal.data.bundled import load_bundled
from polymodal.estimator import MultimodalModel

PLACES = {
    "fit": "fit bundled:penguins",
    "compare": "compare bundled:penguins",
    "demo": "demo",
    "generate": "generate m.pm --out x.csv",
    "traverse": "traverse m.pm bundled:penguins --out walk",
    "coherence": "coherence m.pm bundled:penguins --label species",
    "translate": "translate m.pm bundled:penguins --to measurements --out x.csv",
    "impute": "impute m.pm bundled:penguins --out x.csv",
    "cluster": "cluster m.pm bundled:penguins --out x.csv",
    "score": "score m.pm bundled:penguins",
    "evaluate": "evaluate m.pm bundled:penguins",
    "report": "report m.pm bundled:penguins",
}
"""A command of each verb that has an option of whole numbers, to which the option is added."""


def whole_options() -> list[tuple[str, str]]:
    """Every verb with every option of it that takes a whole number."""
    found = []
    for module in VERBS:
        verb = module.__name__.rpartition(".")[2]
        hints = get_type_hints(getattr(module, verb))
        for name in inspect.signature(getattr(module, verb)).parameters:
            if int in (hints[name], *get_args(hints[name])):
                found.append((verb, f"--{name.replace('_', '-')}"))
    return found


def refused(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a command ends in 2."""
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("polymodal: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with what is no model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pm").write_bytes(b"no model")
    return tmp_path


@pytest.mark.parametrize("value", ["2.7", "-0.5", "nan.", "1.e400"])
@pytest.mark.parametrize(("verb", "option"), whole_options())
def test_a_number_that_is_not_whole_is_refused(
    verb: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(f"{PLACES[verb]} {option}={value}", capsys)
    assert f"{option} must be a whole number, got {value}." in said


def test_a_file_with_a_number_that_is_not_whole_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run.yaml").write_text("latent-dim: 6.7\n")
    said = refused("fit bundled:penguins --config run.yaml", capsys)
    assert "--latent-dim must be a whole number, got 6.7 (in run.yaml)." in said


@pytest.mark.parametrize("value", ["-1", str(2**63), "9" * 5000])
@pytest.mark.parametrize(
    ("verb", "option"), [one for one in whole_options() if one[1].endswith("seed")]
)
def test_a_seed_that_no_generator_takes_is_refused(
    verb: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(f"{PLACES[verb]} {option} {value}", capsys)
    assert option in said
    if len(value) < 100:
        assert f"a whole number from 0 to 2^63 - 1, got {value}." in said


def test_seeds_are_everywhere() -> None:
    """The list above is not empty by mistake."""
    with_seed = {verb for verb, option in whole_options() if option.endswith("seed")}
    assert with_seed == PLACES.keys() - {"traverse"}


@pytest.mark.parametrize(
    ("recipe", "setting", "said"),
    [
        ("mopoe", "beta=-1", "beta must be a finite number of at least 0"),
        ("mopoe", "beta=nan", "beta must be a finite number"),
        ("mopoe", "free_bits=-1", "free_bits"),
        ("mopoe", "max_strata=0", "max_strata"),
        ("mvtcae", "alpha=2", "alpha must be between 0 and 1, got 2"),
        ("jmvae", "gamma=-1", "gamma"),
        ("jmvae", "unimodal=foo", "foo"),
        ("mmvae", "samples=0", "samples"),
        ("mmvae", "estimator=foo", "estimator must be 'dreg' or 'iwae'"),
        ("mvae", "subsets=2.5", "subsets must be"),
        ("mhvae", "levels=40", "levels must be at least 1 and at most latent_dim=32"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_read(
    recipe: str, setting: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(f"fit bundled:penguins --recipe {recipe} --set {setting}", capsys)
    command = f"compare bundled:penguins --recipes pcca,{recipe} --set {recipe}.{setting}"
    assert said in refused(command, capsys)


def test_a_recipe_without_private_latents_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused("fit bundled:penguins --recipe mmvae --private-dim 3", capsys)
    assert "Recipe mmvae has no private latents; leave --private-dim 3 out." in said
    with pytest.raises(ValueError, match="'mmvae' has no private latents, got private_dim=3"):
        MultimodalModel(recipe="mmvae", private_dim=3).fit(load_bundled("penguins")[:30])


def special(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no special files here")
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("fit bundled:penguins --out {}", "new.pm"),
        ("fit bundled:penguins --out new.pm", "new.pm.yaml"),
        ("impute m.pm bundled:penguins --out {}", "x.csv"),
        ("schema bundled:penguins --write {}", "s.yaml"),
        ("report m.pm bundled:penguins --out {}", "r.html"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_a_special_file_is_not_replaced(
    command: str, out: str, linked: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    special(folder / ("pipe" if linked else out))
    if linked:
        (folder / out).symlink_to("pipe")
    said = refused(command.format(out), capsys)
    assert f"{out} is not a regular file; name another." in said
    assert stat.S_ISFIFO((folder / out).stat().st_mode)


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of penguins and rows to judge it on."""
    folder = tmp_path_factory.mktemp("penguins")
    data = load_bundled("penguins")
    MultimodalModel(**tiny(epochs=1)).fit(data[::4]).save(folder / "m.pm")
    data.native().iloc[1::4].to_csv(folder / "te.csv", index=False)
    return folder


@pytest.mark.parametrize("verb", ["evaluate", "report", "coherence"])
def test_the_training_rows_may_be_bundled(
    verb: str, penguins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = " --label species" if verb == "coherence" else ""
    if verb != "coherence":  # which asks for more modalities than penguins have
        words = f"{verb} {penguins}/m.pm {penguins}/te.csv --train bundled:penguins"
        assert main(words.split()) == 0, capsys.readouterr().err
        capsys.readouterr()
    words = f"{verb} {penguins}/m.pm bundled:penguins --train bundled:penguins{more}"
    assert "--train is DATA itself" in refused(words, capsys)


@pytest.mark.parametrize("test", ["bundled:penguins", "{}/te.csv", "{}/./te.csv"])
def test_the_rows_of_a_comparison_are_not_its_test(
    test: str, penguins: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = test.format(penguins).replace("/./", "/")
    said = refused(f"compare {data} --test {test.format(penguins)} --out c", capsys)
    assert "--test is DATA itself; methods are judged on rows other than those they learn" in said
    words = f"compare bundled:mfeat --test {data} --validation {test.format(penguins)} --out c"
    assert "--validation is --test itself; methods are judged on rows" in refused(words, capsys)
    assert not (folder / "c").exists()


@pytest.mark.parametrize("verb", ["evaluate", "report"])
def test_one_row_is_not_halved(
    verb: str, penguins: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_bundled("penguins").native().iloc[1:2].to_csv("one.csv", index=False)
    said = refused(f"{verb} {penguins}/m.pm one.csv", capsys)
    assert "one.csv has 1 row, and the simple methods learn from rows other than the" in said
    assert "name training rows with --train, or give at least 2 rows." in said


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("translate m.pm bundled:penguins --out x.csv --to sex", "--to"),
        ("translate m.pm bundled:penguins --out x.csv --to {} --given sex", "--given"),
        ("score m.pm bundled:penguins --of sex", "--of"),
        ("score m.pm bundled:penguins --of {} --given sex", "--given"),
        ("embed m.pm bundled:penguins --out x.csv --block sex", "--block"),
        ("traverse m.pm bundled:penguins --out walk --to sex", "--to"),
        ("traverse m.pm bundled:penguins --out walk --block sex", "--block"),
    ],
)
def test_a_column_is_told_from_a_modality(
    command: str, option: str, penguins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_bundled("penguins")
    home = next(name for name in data.names if "sex" in data.schema[name].sources)
    said = refused(command.format(home).replace("m.pm", f"{penguins}/m.pm"), capsys)
    assert f"{option} sex: 'sex' is a column of the modality '{home}'" in said
    assert f"use {option} {home}." in said
