"""The rules of the house that a machine can hold; docs/parts.md says why."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "polymodal"
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = [
    *SOURCES,
    *(p for d in ("tests", "benchmarks", "docs") for p in (ROOT / d).rglob("*.py")),
]

# A layer may import itself and those before it.
LAYERS = (
    "typing random replacing files spelling distributions networks likelihoods priors fusion "
    "latent posteriors model objectives models recipes training data tasks metrics tabular "
    "evaluate model_file fitting estimator comparison report explorer cli testing"
).split()
# `import polymodal` itself gives the surface, so only what stands above the surface may use it.
ABOVE_SURFACE = {"report", "explorer", "cli"}
NOT_FOR_TESTING = {"estimator", "comparison", "report", "explorer", "cli"}

LINES_A_FILE = 500
LINES_A_FUNCTION = 60
OPENS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
OPENING_CALLS = {
    "torch.load",
    "torch.save",
    "pd.read_pickle",
    "pandas.read_pickle",
    "eval",
    "exec",
}
SEEDING_CALLS = {"torch.manual_seed", "torch.seed", "np.random.seed", "numpy.random.seed"}
SEEDING_CALLS |= {"random.seed", "torch.cuda.manual_seed_all", "torch.cuda.manual_seed"}
SLOW_TO_IMPORT = (
    "pandas",
    "pyarrow",
    "sklearn",
    "matplotlib",
    "scipy",
    "jinja2",
    "cyclopts",
    "rich",
)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, inside functions too."""
    package = ["polymodal", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + base
            # `from polymodal import fusion` imports polymodal.fusion
            names = [a.name for a in node.names] if base == ["polymodal"] else [None]
            yield from ((node.lineno, ".".join([*base, *([n] if n else [])])) for n in names)


def calls(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def forbidden_imports(path: Path) -> Iterator[str]:
    own = layer(path)
    for line, module in modules(path):
        parts = module.split(".")
        if parts[0] != "polymodal" or (len(parts) == 1 and own in ABOVE_SURFACE):
            continue
        if len(parts) == 1 or parts[1] not in LAYERS:
            yield f"{name(path)}:{line}: {module} is no layer; import from the module that has it"
        elif own == "testing" and parts[1] in NOT_FOR_TESTING:
            yield f"{name(path)}:{line}: testing imports {module}"
        elif LAYERS.index(parts[1]) > LAYERS.index(own):
            yield f"{name(path)}:{line}: {own} imports {module}, which stands above it"


def test_every_file_belongs_to_a_layer() -> None:
    strangers = {layer(p) for p in SOURCES} - set(LAYERS) - {"__init__", "__main__", "_vendor"}
    assert not strangers, f"name the layer of {sorted(strangers)} in LAYERS and in docs/parts.md"


def test_imports_go_down_only() -> None:
    inside = [p for p in SOURCES if layer(p) in LAYERS]
    faults = [fault for path in inside for fault in forbidden_imports(path)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("where", "line", "faults"),
    [
        ("fusion/poe.py", "from polymodal.distributions.strata import Strata", 0),
        ("fusion/poe.py", "from polymodal.recipes import RECIPES", 1),
        ("fusion/poe.py", "import polymodal.recipes.mvae", 1),
        ("fusion/poe.py", "from polymodal import recipes", 1),
        ("fusion/poe.py", "from polymodal import MultimodalModel", 1),
        ("fusion/poe.py", "from ..recipes import RECIPES", 1),
        ("fusion/poe.py", "import polymodal", 1),
        ("cli/fit.py", "import polymodal as pm", 0),
        ("fusion/poe.py", "def f():\n    from polymodal.cli import main", 1),
        ("testing/laws.py", "from polymodal.recipes import RECIPES", 0),
        ("testing/laws.py", "from polymodal.estimator import MultimodalModel", 1),
    ],
)
def test_the_import_rule_sees_every_form(
    where: str, line: str, faults: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "parse", lambda path: ast.parse(line))
    assert len(list(forbidden_imports(PACKAGE / where))) == faults


def test_no_file_is_too_long() -> None:
    long = {
        name(p): n for p in EVERYTHING if (n := len(p.read_text().splitlines())) > LINES_A_FILE
    }
    assert not long, f"more than {LINES_A_FILE} lines: {long}"


def test_no_function_is_too_long() -> None:
    """The docstring is not counted: nobody should shorten an explanation to pass."""
    long = []
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            said = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1
            lines -= said.end_lineno - said.lineno + 1 if said else 0
            if lines > LINES_A_FUNCTION:
                long.append(f"{name(path)}:{node.lineno}: {node.name} has {lines} lines")
    assert not long, "\n".join(long)


def test_a_file_is_named_for_its_idea() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    found = [name(p) for p in SOURCES if p.stem in drawers or p.parent.name in drawers]
    assert not found, f"name the idea instead: {found}"


def test_nothing_that_opens_code_is_used() -> None:
    faults = []
    for path in SOURCES:
        imported = [(n, m) for n, m in modules(path) if m.split(".")[0] in OPENS_CODE]
        called = [(n, c) for n, c in calls(path) if c in OPENING_CALLS]
        faults += [f"{name(path)}:{line}: {what}" for line, what in imported + called]
        faults += [
            f"{name(path)}:{node.value.lineno}: allow_pickle"
            for node in ast.walk(parse(path))
            if isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and not (isinstance(node.value, ast.Constant) and node.value.value is False)
        ]
    assert not faults, "a model file holds no code:\n" + "\n".join(faults)


def test_the_library_never_seeds_the_process() -> None:
    faults = [
        f"{name(path)}:{line}: {call}"
        for path in SOURCES
        if path != PACKAGE / "random.py"
        for line, call in calls(path)
        if call in SEEDING_CALLS
    ]
    assert not faults, "use polymodal.random or a torch.Generator:\n" + "\n".join(faults)


def test_validation_is_no_assert() -> None:
    faults = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if layer(path) != "testing"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Assert)
    ]
    assert not faults, f"raise a ValueError or TypeError that says what to do: {faults}"


def test_importing_the_package_is_light() -> None:
    """What costs a good part of a second is imported where it is used, not with the package."""
    code = (
        "import sys, torch\n"
        "before = {m.split('.')[0] for m in sys.modules}\n"
        "import polymodal\n"
        f"heavy = set({SLOW_TO_IMPORT!r}) & {{m.split('.')[0] for m in sys.modules}} - before\n"
        "print(*sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_the_package_leaves_the_random_state_alone() -> None:
    code = (
        "import torch, random\n"
        "torch.manual_seed(3); random.seed(3)\n"
        "before = torch.get_rng_state(), random.getstate()\n"
        "import polymodal\n"
        "assert torch.equal(torch.get_rng_state(), before[0])\n"
        "assert random.getstate() == before[1]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_pages_made_from_the_recipes_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_papers.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
