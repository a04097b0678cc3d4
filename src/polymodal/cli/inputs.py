"""What a command reads: a model file, a table; both checked before anything slow begins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.cli.errors import CommandError, check_known
from polymodal.cli.lacking import ask_of_names
from polymodal.cli.outputs import count, say

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema
    from polymodal.estimator import MultimodalModel

BUNDLED = ("fashion", "mfeat", "tcga_acc", "penguins")
_OTHERS = (
    ".csv", ".csv.gz", ".tsv", ".txt", ".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".xls",
    ".ods", ".npz", ".npy", ".h5", ".json", ".jsonl", ".yaml", ".yml", ".html", ".htm",
)  # fmt: skip
"""Names that end so are those of tables, options and pages; a model may have any other."""


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
        CommandError: If there is none, or it is a folder.
    """
    if model.is_dir():
        raise CommandError(f"{model} is a folder; expected a model file, as polymodal fit writes.")
    if not model.exists():
        raise CommandError(f"No model file {model}. `polymodal fit DATA --out {model}` makes one.")
    return model


def check_model_name(out: Path) -> Path:
    """The path itself, if it is not named as a table, a file of options or a page.

    Raises:
        CommandError: If it is.
    """
    suffix = next((one for one in _OTHERS if out.name.lower().endswith(one)), None)
    if suffix is None:
        return out
    name = out.with_name(f"{out.name[: -len(suffix)] or 'model'}.pm")
    raise CommandError(
        f"--out {out}: a name that ends in {suffix} is none of a model's; call it {name}."
    )


def check_out(out: Path, suffixes: tuple[str, ...] = (".parquet", ".csv")) -> Path:
    """The path itself, if a file of that kind can be written there.

    Raises:
        CommandError: If its suffix is none of those that can be written, or nothing can be
            written into its folder.
    """
    if suffixes and out.suffix.lower() not in suffixes:
        raise CommandError(f"--out {out}: the name must end in {' or '.join(suffixes)}.")
    check_folder(out.parent, f"--out {out}")
    if out.is_dir():
        raise CommandError(f"--out {out} is a folder; name a file.")
    if out.exists() and not out.is_file():
        raise CommandError(f"--out {out} is not a regular file; name another.")
    return out


def check_folder(folder: Path, option: str) -> Path:
    """The path itself, if files can be written into it, or into a folder made there.

    Arguments:
        folder: The folder, which need not exist.
        option: The option that named it, for the error.

    Raises:
        CommandError: If nothing can be written there.
    """
    here = folder
    try:
        while not (here.exists() or here.is_symlink()) and here != here.parent:
            here = here.parent
        if not here.is_dir():
            raise CommandError(f"{option}: {here} is no folder.")
        with tempfile.TemporaryDirectory(prefix=".polymodal-", dir=here):
            pass
    except OSError as error:
        raise CommandError(
            f"{option}: nothing can be written into the folder {here} ({error.strerror})."
        ) from error
    return folder


def load_model(model: Path) -> MultimodalModel:
    """The model in a file."""
    from polymodal.estimator import load

    return load(model)


def check_modality(name: str, schema: Schema, option: str) -> str:
    """The name itself, if the schema has such a modality.

    Arguments:
        name: What was said.
        schema: The model's.
        option: Where it was said.

    Raises:
        CommandError: If it has none; says so where it is a column of one.
    """
    homes = [home for home, spec in schema.modalities.items() if name in spec.sources]
    if name not in schema and homes:
        raise CommandError(
            f"{option} {name}: {name!r} is a column of the modality {homes[0]!r}, and modalities "
            f"are taken whole; use {option} {homes[0]}."
        )
    return check_known(name, schema.names, "modality")


def check_block(name: str, schema: Schema) -> str:
    """The name of a block itself, unless it is that of a column.

    Raises:
        CommandError: If it is.
    """
    from polymodal.tasks.blocks import ALL, SHARED

    columns = [one for spec in schema.modalities.values() for one in spec.sources]
    if name in columns and name not in (ALL, SHARED):
        check_modality(name, schema, "--block")
    return name


def load_schema(path: Path | None) -> Schema | None:
    """The schema in a file; None if none was named.

    Raises:
        CommandError: If the file holds no schema.
    """
    from polymodal.data.schema import Schema

    try:
        return None if path is None else Schema.load(path)
    except (ValueError, OSError) as fault:
        raise CommandError(str(fault)) from fault


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
    from polymodal.data.sources import read

    rows = read(data, model.schema_, absent_ok=True)
    ask_of_names(rows, model.schema_, data)
    return rows


def test_and_train(
    model: MultimodalModel, data: str, train: str | None, learners: str
) -> tuple[MultimodalData, MultimodalData]:
    """The rows to judge on, and the rows to learn from of those who need some.

    A loaded model has not kept its training rows. Without them, of the very data of its fit those
    that were held out are judged; of others every other row is learned from and the rest judged.

    Arguments:
        model: The model.
        data: The rows to judge on.
        train: The training rows, if they were named.
        learners: Who learns, with the verb: ``the judges learn``.

    Raises:
        CommandError: If both are one file: what was learned from judges nothing. If there is one
            row, of which no half can be taken.
        ValueError: If the data are the rows that the model was trained on.
    """
    from polymodal.evaluate.held_out import rows_of_fit

    if train is not None and same_rows(data, train):
        raise CommandError(f"--train is DATA itself; {learners} from rows other than the judged.")
    rows = load_rows(data, model)
    if train is not None:
        return rows, load_rows(train, model)
    trained = model._trained()
    if trained is not None:
        fitted = rows_of_fit(model._encode(rows), trained, model.held_out_)
        if fitted is not None:
            held_out, known = rows[~fitted.numpy()], rows[fitted.numpy()]
            say(
                f"No --train: {data} holds the rows of the fit; {learners} from those that the "
                "model was trained on, and only those that were held out to stop by are judged, "
                f"{count(len(held_out), 'row')}."
            )
            return held_out, known
    if len(rows) < 2:
        raise CommandError(
            f"{data} has {count(len(rows), 'row')}, and {learners} from rows other than the "
            "judged: name training rows with --train, or give at least 2 rows."
        )
    unsure = " That is fair only if the model did not train on them, which its file does not tell."
    say(
        f"No --train: {learners} from half of {data}, and the other half, "
        f"{count((len(rows) + 1) // 2, 'row')}, is judged.{unsure if trained is None else ''}"
    )
    return rows[::2], rows[1::2]


def same_rows(data: str, train: str) -> bool:
    """Whether both are one file, however it is spelt, or one bundled data set."""
    if any(one.startswith("bundled:") for one in (data, train)):
        return data == train
    return Path(data).samefile(train)


def check_text(text: str | None) -> str | None:
    """The way to write texts itself, if it is one.

    Raises:
        CommandError: If it is not.
    """
    from polymodal.distributions.decoding import Decoding

    try:
        Decoding.of(text)
    except ValueError as fault:
        raise CommandError(f"--{fault}") from None
    return text
