"""``polymodal score``: how likely rows are under the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model
from polymodal.cli.inputs import check_data, check_model, check_out, load_model, load_rows
from polymodal.cli.outputs import count, print_result
from polymodal.cli.tables import write_frame

EXAMPLE = """    polymodal score cohort.pm new.parquet
    polymodal score cohort.pm new.parquet --out scores.csv"""


def score(
    model: Model,
    data: Data,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="A .parquet or .csv with a line a row.")] = None,
    json: Json = False,
) -> None:
    """Estimate the log-likelihood of what each row has, in nats; the lowest are the oddest."""
    import numpy as np
    import pandas as pd

    check_model(model)
    check_data(data)
    if out is not None:
        check_out(out)
    fitted = load_model(model)
    values = np.asarray(fitted.score(load_rows(data, fitted)))
    if out is not None:
        write_frame(pd.DataFrame({"log_likelihood": values}), out)
    oddest = np.argsort(values, kind="stable")[:5].tolist()
    said = {
        "rows": len(values), "mean": float(values.mean()), "lowest_rows": oddest, "out": out,
        "log_likelihood": values,
    }  # fmt: skip
    lines = [
        f"{count(len(values), 'row')}: log-likelihood {values.mean():.4g} nats a row on average, "
        f"from {values.min():.4g} to {values.max():.4g}.",
        f"Oddest rows (from 0): {', '.join(map(str, oddest))}.",
    ]
    print_result(said, "\n".join(lines + [f"Written to {out}."] * (out is not None)), json)
