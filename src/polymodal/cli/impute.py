"""``polymodal impute``: fill what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, ModelSeed, Out, Text
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import (
    check_data,
    check_model,
    check_out,
    check_text,
    load_model,
    load_rows,
)
from polymodal.cli.outputs import count, print_result, say

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.schema import Schema
    from polymodal.tasks.filled import Imputation

EXAMPLE = """    polymodal impute cohort.pm new.parquet --out filled.parquet
    polymodal impute cohort.pm new.csv --out filled.csv --interval 0.9
    polymodal impute cohort.pm new.csv --out draws.parquet --draws 5 --all-draws
    polymodal impute cohort.pm new.csv --out filled.csv --refine 50"""

Refine = Annotated[
    int,
    Parameter(
        help="Steps of Hamiltonian Monte Carlo that take the draws on towards the model's true "
        "posterior. Slow (minutes where it took seconds), exact in the limit; it can pay where "
        "the effective sample size is small. 50 is a good start."
    ),
]


def impute(
    model: Model,
    data: Data,
    /,
    *,
    out: Out,
    draws: Annotated[int, Parameter(help="How many times each hole is filled.")] = 20,
    interval: Annotated[
        float | None,
        Parameter(help="Also NAME_low and NAME_high of a table's numbers: this share of draws."),
    ] = None,
    all_draws: Annotated[
        bool, Parameter(help="Write every draw below the other, with a column `draw`.")
    ] = False,
    refine: Refine = 0,
    text: Text = None,
    seed: ModelSeed = None,
    json: Json = False,
) -> None:
    """Fill every hole; what is known stays as it is, in a CSV to the letter.

    Without options a hole gets its expectation, or its likeliest category. Draws keep the doubt:
    each fills all holes of a row together, so relations between columns hold.
    """
    from polymodal.cli.holes import Holes
    from polymodal.cli.known import KnownCells, samples_of
    from polymodal.cli.tables import frame_of, stacked, write_frame

    check_options(draws, refine, interval, all_draws=all_draws)
    check_model(model)
    check_data(data)
    check_out(out)
    how = check_text(text)
    fitted = load_model(model)
    rows = load_rows(data, fitted)
    if interval is not None and draws < (1 + interval) / (1 - interval) - 1e-9:
        draws = -int(-(1 + interval) // (1 - interval))
        say(f"An interval of {interval:.0%} needs {draws} draws; taking that many.")
    say(f"Filling {count(len(rows), 'row')}, {count(draws, 'draw')} each.")
    done = fitted.impute(rows, draws=draws, seed=seed, refine=refine, text=how)
    frame = (
        stacked(map(frame_of, done.draws)) if all_draws else filled(done, fitted.schema_, interval)
    )
    specs = fitted.schema_.modalities.values()
    pictures = {one for spec in specs if spec.kind == "image" for one in spec.sources}
    missing = {name: mask.cpu().numpy() for name, mask in done.imputed.missing.items()}
    known, samples = KnownCells.of(Path(data), fitted.schema_, missing), samples_of(rows)
    extra = write_frame(frame, out, pictures, Path(data).parent, fitted.schema_, known, samples)
    csv = out.suffix.lower() != ".parquet"
    holes = Holes.of(rows, fitted.schema_, missing, frame, csv=csv)
    said = {
        "out": out, "files": extra, "rows": len(rows), "draws": draws, **holes.to_dict(),
        "columns": list(map(str, frame.columns)),
    }  # fmt: skip
    if done.acceptance is not None:
        said["acceptance"] = float(done.acceptance.mean())
    print_result(said, f"{holes}\nWritten to {out}.", json)


def check_options(draws: int, refine: int, interval: float | None, *, all_draws: bool) -> None:
    """Refuse options that cannot be.

    Raises:
        CommandError: If one is out of range, or two exclude each other.
    """
    if draws < 1:
        raise CommandError(f"--draws must be at least 1, got {draws}.")
    if refine < 0:
        raise CommandError(f"--refine must be at least 0 steps, got {refine}.")
    if interval is not None and not 0 < interval < 1:
        raise CommandError(f"--interval must lie between 0 and 1, such as 0.9; got {interval}.")
    if interval is not None and all_draws:
        raise CommandError("--interval and --all-draws exclude each other; choose one.")


def filled(done: Imputation, schema: Schema, level: float | None) -> pd.DataFrame:
    """The expectation; with a level, two columns of bounds after each numeric column."""
    from polymodal.cli.tables import frame_of

    frame = frame_of(done.mean)
    if level is None:
        return frame
    low, high = (frame_of(bound) for bound in done.interval(level))
    numeric = [
        column.name
        for spec in schema.modalities.values()
        for column in spec.columns
        if column.kind in ("number", "positive", "count", "ordinal") and column.name in frame
    ]
    for name in numeric:
        at = int(frame.columns.get_loc(name))  # pyright: ignore[reportArgumentType]
        for offset, bound, suffix in ((1, low, "low"), (2, high, "high")):
            title = f"{name}_{suffix}"
            if title in frame:
                raise ValueError(
                    f"the data have a column {title!r} already, the name of the interval's bound;"
                    " rename it."
                )
            frame.insert(at + offset, title, bound[name])
    return frame
