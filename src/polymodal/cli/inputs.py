"""What a command reads: a model file, a table; both checked before anything slow begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.cli.errors import CommandError, check_known

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema
    from polymodal.estimator import MultimodalModel

BUNDLED = ("fashion", "mfeat", "tcga_acc", "penguins")


def check_data(data: str) -> str:
    """The argument itself, if such a file or bundled data set exists.

    Raises:
        CommandError: If it does not.
    """
    if data.startswith("bundled:"):
        check_known(data.removeprefix("bundled:"), BUNDLED, "bundled data set")
    elif not Path(data).exists():
        near = f" Did you mean bundled:{data}?" if data in BUNDLED else ""
        raise CommandError(f"No file {data}.{near}")
    elif Path(data).is_dir():
        raise CommandError(f"{data} is a folder; expected a CSV or Parquet file.")
    return data


def check_model(model: Path) -> Path:
    """The path itself, if there is a file.

    Raises:
        CommandError: If there is none.
    """
    if not model.exists():
        raise CommandError(f"No model file {model}. `polymodal fit DATA --out {model}` makes one.")
    return model


def check_out(out: Path, suffixes: tuple[str, ...] = (".parquet", ".csv")) -> Path:
    """The path itself, if a file of that kind can be written there.

    Raises:
        CommandError: If its suffix is none of those that can be written, or its folder is no
            folder.
    """
    if suffixes and out.suffix.lower() not in suffixes:
        raise CommandError(f"--out {out}: the name must end in {' or '.join(suffixes)}.")
    if out.parent.exists() and not out.parent.is_dir():
        raise CommandError(f"--out {out}: {out.parent} is no folder.")
    return out


def load_model(model: Path) -> MultimodalModel:
    """The model in a file."""
    from polymodal.estimator import load

    return load(model)


def load_schema(path: Path | None) -> Schema | None:
    """The schema in a file; None if none was named."""
    from polymodal.data.schema import Schema

    return None if path is None else Schema.load(path)


def load_data(data: str, schema: Schema | None = None) -> MultimodalData:
    """The rows in a file or a bundled data set."""
    if data.startswith("bundled:"):
        from polymodal.data.bundled import load_bundled

        return load_bundled(data.removeprefix("bundled:"))
    from polymodal.data.sources import read

    return read(data, schema=schema)


def load_rows(data: str, model: MultimodalModel) -> MultimodalData:
    """The rows in a file as a fitted model reads them; what they lack of it is absent."""
    if data.startswith("bundled:"):
        return load_data(data)
    try:
        return load_data(data, model.schema_)
    except ValueError:
        # A file without some of the model's columns is fine, and slower to read.
        return load_data(data).with_schema(model.schema_, absent_ok=True)
