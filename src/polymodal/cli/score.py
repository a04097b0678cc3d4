"""``polymodal score``: how likely rows are under the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, ModelSeed
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import (
    check_data,
    check_modality,
    check_model,
    check_out,
    load_model,
    load_rows,
)
from polymodal.cli.lacking import nothing_of, rows_without
from polymodal.cli.outputs import count, print_result
from polymodal.cli.translate import split

if TYPE_CHECKING:
    from polymodal.tasks.scores import Scores

EXAMPLE = """    polymodal score cohort.pm new.parquet
    polymodal score cohort.pm new.parquet --out scores.csv
    polymodal score cohort.pm new.parquet --of image --given caption
    polymodal score cohort.pm new.parquet --of image --given caption \\
        --kind predictive

Kinds:

    joint        log p(row): all that a row has; without --of
    marginal     log p(of): a part of it, whatever the rest; with --of alone.
                 Papers that report "log p(image|caption)" with draws from the
                 caption's posterior mean this: --of image --given caption
                 --kind marginal
    conditional  log p(of | given) of the model; with --of and --given
    predictive   log density of --of under what translating --given draws from"""

_TOO_FEW = 10
"""Below so many samples that count, a row's number says more of the proposal than of the row."""


def score(
    model: Model,
    data: Data,
    /,
    *,
    of: Annotated[
        list[str] | None, Parameter(help="Modalities to score; all that a row has if not given.")
    ] = None,
    given: Annotated[list[str] | None, Parameter(help="Modalities that --of is given.")] = None,
    kind: Annotated[
        Literal["joint", "marginal", "conditional", "predictive"] | None,
        Parameter(help="Which likelihood; from --of and --given if not given."),
    ] = None,
    samples: Annotated[
        int, Parameter(help="Importance samples a row; more are slower and closer.")
    ] = 1000,
    seed: ModelSeed = None,
    out: Annotated[Path | None, Parameter(help="A .parquet or .csv with a line a row.")] = None,
    json: Json = False,
) -> None:
    """Estimate the log-likelihood of what each row has, in nats; the lowest are the oddest.

    Or of a part of it, alone or given another.
    """
    import pandas as pd

    from polymodal.cli.tables import write_frame

    scored, read = split(of), split(given)
    if samples < 1:
        raise CommandError(f"--samples must be at least 1, got {samples}.")
    check_question(kind, scored, read)
    check_model(model)
    check_data(data)
    if out is not None:
        check_out(out)
    fitted = load_model(model)
    for option, names in (("--of", scored), ("--given", read)):
        for name in names:
            check_modality(name, fitted.schema_, option)
    rows = load_rows(data, fitted)
    said = fitted.score_rows(rows, samples, seed, scored or None, read or None, kind)
    if out is not None:
        columns = {"log_likelihood": said.log_p, "ess": said.ess, "scored": said.scored}
        write_frame(pd.DataFrame(columns), out)
    bare = rows_without(rows, said.given) if said.given else 0
    found = facts(said, samples) | {"rows_without_given": bare, "out": out}
    lines = sentences(said, samples)
    if bare and said.kind != "marginal":
        lines.append(f"{nothing_of(bare, said.given)}: theirs is log p({', '.join(said.of)}).")
    lines += [f"Written to {out}."] * (out is not None)
    print_result(found, "\n".join(lines), json)


def check_question(kind: str | None, of: list[str], given: list[str]) -> None:
    """Raise a CommandError where the kind does not fit what is scored and given."""
    if given and not of:
        raise CommandError("--given needs --of, the modalities to score.")
    if kind == "joint" and of:
        raise CommandError("--kind joint scores all that a row has; leave --of out.")
    if kind not in (None, "joint") and not of:
        raise CommandError(f"--kind {kind} needs --of, the modalities to score.")
    if kind in ("conditional", "predictive") and not given:
        raise CommandError(f"--kind {kind} needs --given, the modalities to read.")
    both = [name for name in of if name in given]
    if both and kind != "marginal":
        raise CommandError(f"{both[0]!r} is in --of and in --given; given itself it is certain.")


def facts(said: Scores, samples: int) -> dict[str, object]:
    """The result for programs."""
    return {
        "kind": said.kind, "of": said.of, "given": said.given, "samples": samples,
        "rows": len(said.log_p), "rows_scored": int(said.scored.sum()), "mean": said.mean,
        "lowest_rows": oddest(said), "log_likelihood": said.log_p, "ess": said.ess,
    }  # fmt: skip


def oddest(said: Scores) -> list[int]:
    """Up to five rows with the lowest log-likelihood, of those that have anything to score."""
    import numpy as np

    order = np.argsort(said.log_p, kind="stable")
    return order[said.scored[order]][:5].tolist()


def sentences(said: Scores, samples: int) -> list[str]:
    """The result for people."""
    import numpy as np

    if not said.scored.any():
        return [f"No row has any of {', '.join(said.of)}: nothing to score."]
    values, ess = said.log_p[said.scored], said.ess[said.scored] * samples
    what = {
        "joint": "log-likelihood",
        "marginal": f"log p({', '.join(said.of)})",
        "conditional": f"log p({', '.join(said.of)} | {', '.join(said.given)})",
        "predictive": f"predictive log p({', '.join(said.of)} | {', '.join(said.given)})",
    }[said.kind]
    few = int((ess < _TOO_FEW).sum())
    lines = [
        f"{count(len(values), 'row')}: {what} {values.mean():.4g} nats a row on average, "
        f"from {values.min():.4g} to {values.max():.4g}.",
        f"Oddest rows (from 0): {', '.join(map(str, oddest(said)))}.",
        f"Of {samples:,} samples {np.median(ess):.3g} count in the middle row.",
    ]
    if few and samples > _TOO_FEW:
        lines.append(
            f"In {count(few, 'row')} fewer than {_TOO_FEW} count: their numbers are too low, "
            "by how much nobody knows; more --samples help."
        )
    return lines
