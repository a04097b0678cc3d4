"""``polymodal report``: one HTML file with pictures inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, Seed, Train
from polymodal.cli.inputs import check_data, check_model, check_out, load_model, test_and_train
from polymodal.cli.outputs import print_result, say

EXAMPLE = """    polymodal report cohort.pm test.parquet --train train.parquet \\
        --out report.html"""


def report(
    model: Model,
    data: Data,
    /,
    *,
    out: Annotated[Path, Parameter(help="The HTML file to write.")] = Path("report.html"),
    train: Train = None,
    title: Annotated[str | None, Parameter(help="The heading.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a report on rows the model never saw: holes, answers, intervals, latents, skill."""
    check_model(model)
    check_data(data)
    check_out(out, (".html", ".htm"))
    if train is not None:
        check_data(train)
    from polymodal.report import write_report

    fitted = load_model(model)
    test, known = test_and_train(fitted, data, train, "the simple methods learn")
    say("Evaluating against simple methods ...")
    evaluation = fitted.evaluate(test, train=known)
    say("Drawing the report ...")
    words = ["polymodal report", str(model), data, f"--out {out}"]
    write_report(
        out,
        fitted,
        test,
        evaluation=evaluation,
        train=known if train is not None else None,
        title=title or f"{model.stem}: what the model learned",
        commands=[" ".join(words + ([f"--train {train}"] if train is not None else []))],
        seed=seed,
    )
    said = {"out": out, "bytes": out.stat().st_size, "verdict": evaluation.verdict}
    print_result(said, f"{evaluation.verdict}\n\nThe report is at {out}", json)
