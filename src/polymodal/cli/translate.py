"""``polymodal translate``: some modalities given others."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, ModelSeed, Out, Text
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import (
    check_data,
    check_modality,
    check_model,
    check_out,
    check_text,
    load_model,
    load_rows,
)
from polymodal.cli.lacking import nothing_of, rows_without
from polymodal.cli.outputs import count, print_result, say

EXAMPLE = """    polymodal translate cohort.pm new.parquet --to caption --out captions.csv
    polymodal translate cohort.pm new.parquet --to caption \\
        --text "beam, width=8" --out best.csv
    polymodal translate cohort.pm new.parquet --to image \\
        --given table --out made.parquet
    polymodal translate cohort.pm new.parquet --to image \\
        --draws 5 --seed 1 --out drawn.parquet"""


def translate(
    model: Model,
    data: Data,
    /,
    *,
    to: Annotated[list[str], Parameter(help="Modalities wanted; comma or repeat for several.")],
    out: Out,
    given: Annotated[
        list[str] | None, Parameter(help="Modalities to read; all the others if not given.")
    ] = None,
    draws: Annotated[
        int,
        Parameter(
            help="1 for the best answer; more for as many samples, told by a column `draw`."
        ),
    ] = 1,
    text: Text = None,
    seed: ModelSeed = None,
    json: Json = False,
) -> None:
    """Say what some modalities are, given others; what the data hold of them is not looked at."""
    from polymodal.cli.tables import frame_of, stacked, write_frame

    wanted, read = split(to), split(given)
    if not wanted:
        raise CommandError("--to needs the name of a modality.")
    if draws < 1:
        raise CommandError(f"--draws must be at least 1, got {draws}.")
    check_model(model)
    check_data(data)
    check_out(out)
    how = check_text(text)
    fitted = load_model(model)
    for option, names in (("--to", wanted), ("--given", read)):
        for name in names:
            check_modality(name, fitted.schema_, option)
    rows = load_rows(data, fitted)
    say(
        f"{', '.join(read) or 'everything else'} -> {', '.join(wanted)}: {count(len(rows), 'row')}"
    )
    sources = read or [name for name in rows.names if name not in wanted]
    bare = rows_without(rows, sources)
    if bare and sources:
        say(f"{nothing_of(bare, sources)}: answered as if nothing were known.")
    made = fitted.translate(rows, to=wanted, given=read or None, draws=draws, seed=seed, text=how)
    frame = frame_of(made) if draws == 1 else stacked(map(frame_of, made))
    extra = write_frame(frame, out, schema=fitted.schema_)
    said = {
        "out": out, "files": extra, "rows": len(rows), "draws": draws, "to": wanted,
        "rows_without_given": bare,
        "given": read or [n for n in fitted.codec_.names if n not in wanted],
        "columns": list(map(str, frame.columns)),
    }  # fmt: skip
    print_result(said, f"{count(len(frame), 'line')} written to {out}.", json)


def split(names: list[str] | None) -> list[str]:
    """``["a,b", "c"]`` -> ``["a", "b", "c"]``."""
    return [part.strip() for name in names or () for part in name.split(",") if part.strip()]
