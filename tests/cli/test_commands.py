"""Every verb's help, errors, exit codes and JSON."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polymodal.cli import main
from polymodal.cli.app import VERBS
from polymodal.cli.errors import WorkError
from polymodal.cli.fit import save
from polymodal.recipes import RECIPES
from polymodal.training.result import TrainResult

NAMES = [module.__name__.rpartition(".")[2] for module in VERBS]
SOURCE = Path(__file__).parents[2] / "src"


def test_the_verbs_are_those_of_the_design() -> None:
    assert set(NAMES) == {
        "demo", "fit", "impute", "translate", "generate", "embed", "cluster", "score", "evaluate",
        "compare", "coherence", "report", "recipes", "explain", "schema", "traverse",
    }  # fmt: skip


@pytest.mark.parametrize("verb", NAMES)
def test_help_shows_an_example_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr()
    assert f"polymodal {verb}" in said.out.partition("Example:")[2]
    assert "--json" in said.out
    assert said.err == ""


@pytest.mark.parametrize("verb", NAMES)
def test_help_is_broken_by_the_terminal_alone(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prose at its own edge, and examples, which are to be copied, nowhere."""
    module = importlib.import_module(f"polymodal.cli.{verb}")
    monkeypatch.setenv("COLUMNS", "80")
    assert main([verb, "--help"]) == 0
    assert module.EXAMPLE.rstrip() in "\n".join(
        map(str.rstrip, capsys.readouterr().out.split("\n"))
    )
    monkeypatch.setenv("COLUMNS", "1000")
    assert main([verb, "--help"]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.split("\n")}
    for paragraph in (inspect.getdoc(getattr(module, verb)) or "").split("\n\n"):
        assert " ".join(paragraph.split()) in lines


def test_alone_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "polymodal demo" in out
    assert all(verb in out for verb in NAMES)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fitt cohort.csv", 'Did you mean "fit"?'),
        ("recipes --jsn", "Did you mean --json?"),
        ("fit", "--data"),
        ("fit no/such.csv", "No file no/such.csv."),
        ("fit penguins", "Did you mean bundled:penguins?"),
        ("fit bundled:pinguins", "Did you mean 'penguins'?"),
        ("fit bundled:penguins --recipe mopo", "Did you mean 'mopoe'?"),
        ("fit bundled:penguins --set bta=2", "Did you mean 'beta'?"),
        ("fit bundled:penguins --set beta", "key=value"),
        ("fit bundled:penguins --network conv", "--network expects key=value, such as --network"),
        ("fit bundled:penguins --network serie=conv", "Did you mean 'series'?"),
        ("fit bundled:penguins --network series=both", "--network: series must be one of conv,"),
        ("fit bundled:penguins --network hidden=8", "--network hidden must be a list of whole"),
        ("fit bundled:penguins --network dropout=x", "--network dropout must be a number"),
        ("compare bundled:penguins --network serie=conv", "A network has no setting 'serie'."),
        ("compare bundled:penguins --set mopoe.latent_dim=3", "use --latent-dim, which is the"),
        ("fit bundled:penguins --set latent_dim=3", "--latent-dim"),
        ("fit bundled:penguins --set bogus=1", "Recipe polymodal has no setting 'bogus'."),
        (
            "fit bundled:penguins --set beta=abc",
            "--set beta must be a number, such as 1; got abc.",
        ),
        ("fit bundled:penguins --set components=2.5", "a whole number"),
        ("fit bundled:penguins --recipe mmvae --set estimator=3", "a word"),
        ("fit bundled:penguins --out file.txt/deep/model.pm", "file.txt is no folder"),
        ("fit bundled:penguins --out .", "--out . is a folder; name a file."),
        ("impute . bundled:penguins --out x.csv", ". is a folder; expected a model file"),
        ("fit bundled:penguins --latent-dim 0", "at least 1"),
        ("fit bundled:penguins --latent-dim many", "many"),
        ("fit bundled:penguins --precision 16", "bf16"),
        ("fit bundled:penguins --device gpu", "cuda"),
        ("fit bundled:penguins --device cuda:x", "--device must be auto"),
        ("fit bundled:penguins --device cuda:99", "but torch sees"),
        ("fit bundled:penguins --schema file.txt", "file.txt"),
        ("fit bundled:penguins --resume", "--run-dir"),
        ("fit bundled:penguins --schema no.yaml", "No schema file no.yaml."),
        ("fit --config no.yaml", "No file no.yaml."),
        ("impute no.pm bundled:penguins --out x.csv", "No model file no.pm."),
        ("impute no.pm bundled:penguins", "--out"),
        ("impute no.pm bundled:penguins --out x.xls", ".parquet or .csv"),
        ("impute no.pm bundled:penguins --out x.csv --draws 0", "--draws"),
        ("impute no.pm bundled:penguins --out x.csv --refine -1", "--refine must be at least 0"),
        ("impute no.pm bundled:penguins --out x.csv --interval 90", "between 0 and 1"),
        ("impute no.pm bundled:penguins --out x.csv --interval .9 --all-draws", "exclude"),
        ("generate no.pm --n 0 --out x", "--n"),
        ("generate no.pm --out x.csv --values medium", "medium"),
        ("score no.pm bundled:penguins --given a", "--given needs --of"),
        ("score no.pm bundled:penguins --of a --kind joint", "leave --of out"),
        ("score no.pm bundled:penguins --kind marginal", "--kind marginal needs --of"),
        ("score no.pm bundled:penguins --of a --kind predictive", "needs --given"),
        ("score no.pm bundled:penguins --of a --given a,b", "'a' is in --of and in --given"),
        ("score no.pm bundled:penguins --of a --given b --kind likely", "likely"),
        ("score no.pm bundled:penguins --samples 0", "--samples must be at least 1"),
        ("compare bundled:penguins --recipes mopoe,mvtca", "Did you mean 'mvtcae'?"),
        ("compare bundled:penguins --recipes mopoe,mopoe", "names mopoe twice"),
        ("compare bundled:penguins --recipes ,", "names no recipe"),
        ("compare bundled:penguins --set beta=2", "say of which recipe"),
        ("compare bundled:penguins --set mvtcae.bta=2", "Did you mean 'beta'?"),
        ("compare bundled:penguins --set mvtcae.beta=big", "must be a number"),
        ("compare bundled:penguins --set mvae.beta=2", "No compared recipe 'mvae'"),
        ("compare bundled:penguins --seeds 0", "--seeds must be at least 1"),
        ("compare bundled:penguins --draws 3", "--draws must be at least"),
        ("compare bundled:penguins --test-share 1", "between 0 and 1"),
        ("compare bundled:penguins --test no.csv", "No file no.csv."),
        ("compare bundled:penguins --out file.txt/x", "file.txt is no folder"),
        ("explain mope", "Did you mean 'mopoe'?"),
        ("demo --data fashon", "fashion"),
        ("demo --seconds 0", "--seconds"),
        ("schema bundled:penguins extra", "extra"),
    ],
)
def test_a_wrong_command_ends_in_2_with_one_sentence(
    command: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("no folder")
    if command.startswith(("impute", "generate")) and "no.pm." not in said:
        (tmp_path / "no.pm").write_bytes(b"x")
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("polymodal: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder nobody can write into")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit bundled:penguins --out /proc/no/model.pm", "into the folder /proc ("),
        ("fit bundled:penguins --run-dir /proc/no", "--run-dir /proc/no: nothing can be written"),
        ("demo --out /proc/no", "into the folder /proc ("),
        ("impute no.pm bundled:penguins --out /proc/no/x.csv", "into the folder /proc ("),
    ],
)
def test_a_folder_nobody_can_write_into_is_refused_at_once(
    command: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.pm").write_bytes(b"x")
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["no.pm"]


@pytest.mark.parametrize("run_dir", [None, Path("run")])
def test_a_stopped_run_advises_resume_only_where_it_can(
    run_dir: Path | None, tmp_path: Path
) -> None:
    class Stopped:
        result_ = TrainResult("interrupted", "Stopped.", None, None, ())

        def save(self, path: Path) -> None: ...

    with pytest.raises(WorkError) as caught:
        save(Stopped(), {"out": tmp_path / "m.pm", "run-dir": run_dir})
    assert ("--resume" in str(caught.value)) == (run_dir is not None)


def test_debug_shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYMODAL_DEBUG", "1")
    assert main(["explain", "mope"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "bytes_", [b"", b"\x80\x04garbage", b"\x10" + b"\0" * 7 + b'{"a":1}        ']
)
@pytest.mark.parametrize("verb", ["impute", "embed"])
def test_a_hostile_model_file_ends_in_1_with_one_sentence(
    verb: str, bytes_: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "bad.pm"
    model.write_bytes(bytes_)
    assert main([verb, str(model), "bundled:penguins", "--out", str(tmp_path / "x.csv")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "bad.pm" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device")
def test_a_model_that_is_no_regular_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "/dev/null", "bundled:penguins"]) == 1
    assert "/dev/null: this is not a regular file" in capsys.readouterr().err


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--json"]) == 0
    out, err = capsys.readouterr()
    assert {entry["recipe"] for entry in json.loads(out)["recipes"]} == set(RECIPES)
    assert err == ""
    assert main(["recipes"]) == 0
    assert "Generalized Multimodal ELBO" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_explain_points_at_lines_that_exist(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", recipe, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["parts"]) > 1
    for part in said["parts"]:
        path, _, line = part["place"].rpartition(":")
        lines = (SOURCE / path).read_text().splitlines()
        # A decorator stands above the definition.
        near = "\n".join(lines[int(line) - 1 : int(line) + 60])
        assert f"def {part['name']}(" in near or f"class {part['name']}" in near
    assert main(["explain", recipe]) == 0
    words = capsys.readouterr().out
    entry = RECIPES[recipe]
    assert entry.paper in words
    assert str(entry.year) in words
    assert f"@misc{{{recipe}{entry.year}" in words


def test_the_program_itself() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-m", "polymodal", "explain", "nothing", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("polymodal: No recipe 'nothing'.")


def test_help_waits_for_no_torch() -> None:
    program = "import sys; from polymodal.cli.app import main; main(['--help']); " + (
        "sys.exit(any(one in sys.modules for one in ('torch', 'pandas', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks GNU's OpenMP")
@pytest.mark.parametrize(
    ("told", "spins"),
    [({}, 10_000), ({"OMP_WAIT_POLICY": "PASSIVE"}, 0), ({"GOMP_SPINCOUNT": "7"}, 7)],
)
def test_threads_of_the_program_soon_sleep_where_they_wait(told: dict, spins: int) -> None:
    program = "import sys; from polymodal.cli import main; sys.argv[1:] = ['recipes']; main(); "
    choices = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {k: v for k, v in os.environ.items() if k not in choices}
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | told
    done = subprocess.run(
        [sys.executable, "-c", program + "import torch"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


def test_a_command_inside_another_program_leaves_its_environment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = dict(os.environ)
    assert main(["recipes"]) == 0
    assert capsys.readouterr().out
    assert dict(os.environ) == before
