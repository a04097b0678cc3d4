"""``polymodal generate``: new rows from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from polymodal.cli.arguments import Json, Model, Seed, Text
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import check_model, check_out, check_text, load_model
from polymodal.cli.outputs import count, print_result

EXAMPLE = """    polymodal generate cohort.pm --n 100 --out made.parquet
    polymodal generate cohort.pm --n 100 --values median --out made.parquet
    polymodal generate cohort.pm --n 25 --out made/   (rows.csv and pictures)"""


def generate(
    model: Model,
    /,
    *,
    n: Annotated[int, Parameter(help="How many rows.")] = 100,
    out: Annotated[Path, Parameter(help="A .parquet or .csv file, or a folder.")],
    values: Annotated[
        Literal["auto", "mean", "mode", "median", "sample"],
        Parameter(
            help="What to write of each value, given the latent vector: the mean, the likeliest "
            "(mode), the median or a draw (sample); auto draws tables and texts and takes the "
            "mean of images and vectors. Categories have no mean and no median: the likeliest."
        ),
    ] = "auto",
    seed: Seed = 0,
    text: Text = None,
    json: Json = False,
) -> None:
    """Make up rows: every modality drawn from one latent vector, which is drawn from the prior."""
    from polymodal.cli.tables import frame_of, write_frame

    if n < 1:
        raise CommandError(f"--n must be at least 1, got {n}.")
    if out.suffix.lower() not in (".parquet", ".csv"):
        if out.suffix or out.is_file():
            raise CommandError(f"--out {out}: name a .parquet or .csv file, or a folder.")
        out = out / "rows.csv"
    check_model(model)
    check_out(out)
    how = check_text(text)
    fitted = load_model(model)
    frame = frame_of(fitted.generate(n, seed=seed, values=values, text=how))
    extra = write_frame(frame, out, schema=fitted.schema_)
    said = {"out": out, "files": extra, "rows": n, "values": values, "seed": seed,
            "columns": list(map(str, frame.columns))}  # fmt: skip
    more = f" and {count(len(extra), 'file')} beside it" if extra else ""
    print_result(said, f"{count(n, 'row')} written to {out}{more}.", json)
