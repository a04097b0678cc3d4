"""``polymodal evaluate``: hide what is known, answer it, compare with simple methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, ModelSeed, Train
from polymodal.cli.inputs import check_data, check_model, check_out, load_model, test_and_train
from polymodal.cli.outputs import as_json, plain, print_result
from polymodal.replacing import write_whole

EXAMPLE = """    polymodal evaluate cohort.pm test.parquet --train train.parquet
    polymodal evaluate cohort.pm test.parquet --train train.parquet \\
        --out eval.json"""


def evaluate(
    model: Model,
    data: Data,
    /,
    *,
    train: Train = None,
    seed: ModelSeed = None,
    out: Annotated[Path | None, Parameter(help="Write the whole evaluation here as JSON.")] = None,
    json: Json = False,
) -> None:
    """Judge a model on rows it never saw, beside the mean, a linear model and 5 neighbours."""
    check_model(model)
    check_data(data)
    if train is not None:
        check_data(train)
    if out is not None:
        check_out(out, (".json",))
    fitted = load_model(model)
    test, known = test_and_train(fitted, data, train, "the simple methods learn")
    evaluation = fitted.evaluate(test, train=known, seed=seed)
    result = plain(evaluation.to_dict())
    if out is not None:
        write_whole(out, as_json(result))
    text = f"{evaluation}" + (f"\n\nWritten to {out}." if out is not None else "")
    print_result(result, text, json)
