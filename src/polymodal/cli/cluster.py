"""``polymodal cluster``: which cluster each row belongs to."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, Out, Seed
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import check_data, check_model, check_out, load_model, load_rows
from polymodal.cli.outputs import count, print_result

EXAMPLE = """    polymodal fit cohort.parquet --recipe cmvae --out cohort.pm
    polymodal cluster cohort.pm new.parquet --out clusters.csv"""


def cluster(
    model: Model,
    data: Data,
    /,
    *,
    out: Out,
    draws: Annotated[int, Parameter(help="Draws of the latent vector a row.")] = 100,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write each row's likeliest cluster and its probability, given all that the row has.

    For models whose prior is a mixture, as cmvae's.
    """
    from polymodal.cli.tables import write_frame

    if draws < 1:
        raise CommandError(f"--draws must be at least 1, got {draws}.")
    check_model(model)
    check_data(data)
    check_out(out)
    fitted = load_model(model)
    found = fitted.cluster(load_rows(data, fitted), draws=draws, seed=seed)
    write_frame(found.reset_index(drop=True), out)
    sizes = {int(c): int(n) for c, n in found["cluster"].value_counts().items()}  # pyright: ignore[reportArgumentType]
    said = {"out": out, "rows": len(found), "clusters": len(sizes), "sizes": sizes}
    text = f"{count(len(found), 'row')} in {count(len(sizes), 'cluster')}, written to {out}."
    print_result(said, text, json)
