"""``polymodal demo``: the whole of it on real data that come along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from polymodal.cli.arguments import Json, Seed
from polymodal.cli.errors import CommandError, WorkError, check_known
from polymodal.cli.inputs import check_folder
from polymodal.cli.outputs import print_result, say

EXAMPLE = """    polymodal demo
    polymodal demo --data mfeat --out digits --seconds 60"""


def demo(
    *,
    data: Annotated[
        Literal["fashion", "mfeat", "tcga_acc", "penguins"],
        Parameter(help="Which of the bundled data."),
    ] = "fashion",
    out: Annotated[Path, Parameter(help="The folder to write to.")] = Path("polymodal-demo"),
    recipe: Annotated[str, Parameter(help="A name in `polymodal recipes`.")] = "polymodal",
    seconds: Annotated[float, Parameter(help="Wall time that training may take.")] = 90.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Hide a part of real data, learn from the rest, fill it in, judge it, write a report."""
    from polymodal.cli.tables import frame_of, write_frame
    from polymodal.recipes import RECIPES

    check_known(recipe, sorted(RECIPES), "recipe")
    if not seconds > 0:
        raise CommandError(f"--seconds must be above 0, got {seconds}.")
    if out.exists() and not out.is_dir():
        raise CommandError(f"--out {out}: there is a file of that name; name a folder.")
    check_folder(out, f"--out {out}")
    from polymodal.report.demo import run_demo

    done = run_demo(data, out, recipe=recipe, seconds=seconds, seed=seed, say=say, progress=True)
    if done.model.result_.status == "diverged":
        raise WorkError(f"The run diverged. {done.model.result_.reason}")
    filled = out / "filled.parquet"
    write_frame(frame_of(done.filled), filled)
    said = {
        "report": done.report,
        "model": done.model_file,
        "filled": filled,
        "seconds": round(done.seconds, 1),
        "words": done.words,
        "verdict": done.evaluation.verdict,
        "status": done.model.result_.status,
        "epochs": len(done.model.result_.history),
        "evaluation": done.evaluation.to_dict(),
    }
    lines = [
        done.words,
        "",
        f"The report: {done.report}",
        f"The model:  {done.model_file}",
        f"Filled in:  {filled}",
    ]
    print_result(said, "\n".join(lines), json)
