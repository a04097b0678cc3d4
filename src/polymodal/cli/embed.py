"""``polymodal embed``: rows as points of the latent space."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, Out
from polymodal.cli.inputs import (
    check_block,
    check_data,
    check_model,
    check_out,
    load_model,
    load_rows,
)
from polymodal.cli.outputs import count, print_result

EXAMPLE = """    polymodal embed cohort.pm new.parquet --out z.parquet
    polymodal embed cohort.pm new.parquet --block image --out style.parquet"""


def embed(
    model: Model,
    data: Data,
    /,
    *,
    out: Out,
    block: Annotated[
        str,
        Parameter(help="shared, or the modality whose own latents are wanted, or all."),
    ] = "shared",
    json: Json = False,
) -> None:
    """Write each row's latent vector, z0, z1, ...: its posterior's mean given all that it has."""
    import pandas as pd

    from polymodal.cli.tables import write_frame

    check_model(model)
    check_data(data)
    check_out(out)
    fitted = load_model(model)
    check_block(block, fitted.schema_)
    z = fitted.embed(load_rows(data, fitted), block)
    write_frame(pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])]), out)
    said = {"out": out, "rows": z.shape[0], "dimensions": z.shape[1]}
    text = f"{count(z.shape[0], 'row')} as {z.shape[1]} numbers each, written to {out}."
    print_result(said, text, json)
