"""Write one page a layer under docs/api from whatever public modules the package has."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

# Top down, as a reader meets them: the surface first, the bare alphabet last.
SURFACE = (
    "estimator",
    "comparison",
    "model_file",
    "data",
    "tasks",
    "evaluate",
    "metrics",
    "tabular",
    "report",
    "recipes",
)
PARTS = ("model", "models", "posteriors", "latent", "fusion", "priors", "objectives")
GROUND = (
    "likelihoods",
    "networks",
    "distributions",
    "training",
    "testing",
    "files",
    "random",
    "typing",
)


def modules(package: Path, layer: str) -> list[str]:
    """Dotted names of a layer's modules that hold a public class or function."""
    folder = package / layer
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [package / f"{layer}.py"]
    return [dotted(package, path) for path in files if path.exists() and has_public(path)]


def dotted(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def has_public(path: Path) -> bool:
    if any(part.startswith("_") and part != "__init__.py" for part in path.parts[-2:]):
        return False
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.ClassDef, ast.FunctionDef)
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in body)


def write(docs: Path) -> None:
    """Make the pages anew; a page whose text is unchanged keeps its time, so builds stay quick."""
    spec = importlib.util.find_spec("polymodal")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("polymodal is not installed here: run make docs")
    package, api = Path(spec.origin).parent, docs / "api"
    api.mkdir(exist_ok=True)
    pages, toctree = {}, []
    for layer in (*SURFACE, *PARTS, *GROUND):
        found = modules(package, layer)
        if not found:
            continue
        toctree.append(layer)
        blocks = [f"polymodal.{layer}", "=" * (len(layer) + 10), ""]
        for module in found:
            if module != f"polymodal.{layer}":
                blocks += [module, "-" * len(module), ""]
            blocks += [f".. automodule:: {module}", "   :members:", "   :show-inheritance:", ""]
        pages[f"{layer}.rst"] = "\n".join(blocks)
    pages["index.rst"] = "\n".join(
        [
            "The parts, name by name",
            "=======================",
            "",
            "Made from the docstrings, the surface first and the alphabet of shapes last.",
            "",
            ".. toctree::",
            "   :maxdepth: 1",
            "",
            *(f"   {name}" for name in toctree),
            "",
        ]
    )
    for stale in set(api.glob("*.rst")) - {api / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        if not (api / name).exists() or (api / name).read_text(encoding="utf-8") != text:
            (api / name).write_text(text, encoding="utf-8")
