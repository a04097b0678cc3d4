"""``polymodal traverse``: what changes along the latent directions that matter most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import (
    check_block,
    check_data,
    check_folder,
    check_modality,
    check_model,
    load_model,
    load_rows,
)
from polymodal.cli.outputs import count, print_result, say
from polymodal.cli.translate import split
from polymodal.replacing import replaced

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.estimator import MultimodalModel
    from polymodal.tasks.walked import Traversal

EXAMPLE = """    polymodal traverse cohort.pm test.parquet --out walk
    polymodal traverse cohort.pm test.parquet --out walk \\
        --start 12 --directions 3 --steps 9
    polymodal traverse cohort.pm test.parquet --latent 4,7 --to image --out walk"""


def traverse(
    model: Model,
    data: Data,
    /,
    *,
    out: Annotated[
        Path, Parameter(help="A folder, for walk.csv and a picture of each image modality.")
    ],
    directions: Annotated[
        int | None,
        Parameter(help="How many directions, those along which the rows differ most; 6 of them."),
    ] = None,
    latent: Annotated[
        list[str] | None,
        Parameter(help="Which latent numbers instead, from 0; comma or repeat for several."),
    ] = None,
    steps: Annotated[int, Parameter(help="Steps of a walk.")] = 7,
    reach: Annotated[
        float, Parameter(help="How far to each side, in standard deviations over the rows.")
    ] = 2.0,
    start: Annotated[
        int | None, Parameter(help="Row to start from, the first is 0; else the most average.")
    ] = None,
    block: Annotated[
        str | None,
        Parameter(help="Choose among these alone: shared, or the modality whose own they are."),
    ] = None,
    to: Annotated[
        list[str] | None, Parameter(help="Modalities to decode; all if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Move one latent number at a time and see what changes in every modality.

    The latent vector of one row is the start. Along each direction one of its numbers goes from
    far below to far above its average over the rows, and all modalities are decoded at each step.
    Pictures (and spectrograms of sounds) become one image a modality: a line a direction, a column
    a step. walk.csv has the rest: a line a step, with the columns of tables, texts, tags, numbers.
    Of a model with private latents, NAME.factors.png shows each modality of pictures from the
    shared part of some rows (a column each) with private parts drawn anew (a line each).
    """
    check_options(out, directions, latent, steps, reach)
    chosen, wanted = numbers(latent), split(to)
    check_model(model)
    check_data(data)
    from polymodal.tasks.walked import USUAL_DIRECTIONS

    fitted = load_model(model)
    for name in wanted:
        check_modality(name, fitted.schema_, "--to")
    if block is not None:
        check_block(block, fitted.schema_)
    rows = load_rows(data, fitted)
    if start is not None and not 0 <= start < len(rows):
        raise CommandError(f"--start must be a row from 0 to {len(rows) - 1}, got {start}.")
    say(f"Along which directions rows differ is seen from {count(len(rows), 'row')}.")
    along = chosen or directions or USUAL_DIRECTIONS
    walked = fitted.traverse(
        rows, along, steps=steps, reach=reach, start=start, block=block, to=wanted or None
    )
    pictures, table, more = write(walked, out)
    grids = write_grids(fitted, rows, list(walked.decoded), pictures)
    lines = walked.table()
    result = {
        "out": out, "pictures": pictures, "grids": grids, "table": table, "files": more,
        "start": walked.start, "steps": steps, "reach": reach,
        "directions": lines.to_dict("records"), "modalities": list(walked.decoded),
    }  # fmt: skip
    print_result(result, f"{as_text(walked, data)}\n\n{where(pictures, table, grids)}", json)


_FILES = (".csv", ".parquet", ".png", ".html", ".json")


def check_options(
    out: Path, directions: int | None, latent: list[str] | None, steps: int, reach: float
) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        CommandError: If an option is out of range, or ``out`` no folder.
    """
    if out.is_file() or out.suffix.lower() in _FILES:
        raise CommandError(f"--out {out}: name a folder.")
    for name, value, low in (("directions", directions, 1), ("steps", steps, 2)):
        if value is not None and value < low:
            raise CommandError(f"--{name} must be at least {low}, got {value}.")
    if directions is not None and latent:
        raise CommandError("--directions says how many and --latent which: give one of them.")
    if not 0 < reach < float("inf"):
        raise CommandError(f"--reach must be above 0, got {reach:g}.")
    check_folder(out, f"--out {out}")


def numbers(latent: list[str] | None) -> list[int]:
    """``["4,7"]`` -> ``[4, 7]``.

    Raises:
        CommandError: If one is no whole number.
    """
    found = split(latent)
    for one in found:
        if not one.isdecimal():
            raise CommandError(f"--latent takes latent numbers such as 4,7; got {one}.")
    return [int(one) for one in found]


def write(walked: Traversal, out: Path) -> tuple[list[Path], Path, list[Path]]:
    """The pictures, the table, and the sounds beside it."""
    from polymodal.cli.media import file_name
    from polymodal.cli.tables import frame_of, write_frame
    from polymodal.report.walk import write_walk
    from polymodal.tasks.walked import DRAWN

    out.mkdir(parents=True, exist_ok=True)
    kinds = {name: walked.codec.kind(name) for name in walked.decoded}
    pictures: list[Path] = []
    for name in (one for one, kind in kinds.items() if kind in DRAWN):
        path = out / f"{file_name(name)}.png"
        if path in pictures:  # names that differ in what a file cannot be called
            path = path.with_stem(f"{path.stem}_{len(pictures)}")
        pictures.append(path)
        with replaced(pictures[-1]) as part:
            write_walk(walked, name, part)
    told = [name for name, kind in kinds.items() if kind != "image"]
    frame = frame_of(walked.frame(told))
    table = out / "walk.csv"
    return pictures, table, write_frame(frame, table, schema=walked.codec.schema)


def write_grids(
    model: MultimodalModel, rows: MultimodalData, names: list[str], pictures: list[Path]
) -> list[Path]:
    """The factorisation grid of each modality of pictures that has private latents."""
    from polymodal.estimator import factorise
    from polymodal.report.walk import write_factorised
    from polymodal.tasks.factorised import tells_apart
    from polymodal.tasks.walked import DRAWN

    drawn = [name for name in names if model.codec_.kind(name) in DRAWN]
    grids: list[Path] = []
    for name, picture in zip(drawn, pictures, strict=True):
        latent = model.model_
        if not tells_apart(latent, name) or "generate" in latent.lacks:
            continue
        path = picture.with_suffix(".factors.png")  # a name that no modality's picture has
        grids.append(path)
        with replaced(path) as part:
            write_factorised(factorise(model, rows, name), part)
    return grids


def as_text(walked: Traversal, data: str) -> str:
    """Where the walk begins and where it leads."""
    lines = walked.table().to_string(index=False, float_format=lambda x: f"{x:.3g}")
    return (
        f"From row {walked.start} of {data}, one latent number at a time, "
        f"{walked.reach:g} standard deviations (spread) to each side of its average:\n\n{lines}"
    )


def where(pictures: list[Path], table: Path, grids: list[Path]) -> str:
    """Where to look."""
    kinds = {
        "Pictures, a line a direction, a column a step": pictures,
        "Pictures, the shared part of a row a column, a private part a line": grids,
        "All else, a line a step": [table],
    }
    return "\n".join(
        f"{what}: {', '.join(map(str, paths))}" for what, paths in kinds.items() if paths
    )
