"""``polymodal coherence``: does what is decoded show the class that it should?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Model, ModelSeed
from polymodal.cli.errors import CommandError
from polymodal.cli.inputs import (
    check_data,
    check_folder,
    check_model,
    check_out,
    load_model,
    test_and_train,
)
from polymodal.cli.outputs import as_json, plain, print_result, say
from polymodal.replacing import write_whole

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.estimator import MultimodalModel

EXAMPLE = """    polymodal coherence digits.pm test.parquet --label digit
    polymodal coherence digits.pm test.parquet --label digit \\
        --train train.parquet --judges judges/ --out coherence.json"""


def coherence(
    model: Model,
    data: Data,
    /,
    *,
    label: Annotated[
        str, Parameter(help="The class of each row: a column of DATA, of the model or not.")
    ],
    train: Annotated[
        str | None, Parameter(help="The training rows, for the judges; else half of DATA.")
    ] = None,
    with_label: Annotated[
        bool, Parameter(help="Give and decode the modality that holds the label too.")
    ] = False,
    samples: Annotated[
        int | None,
        Parameter(help="New rows for joint coherence; as many as judged rows if not given."),
    ] = None,
    judges: Annotated[
        Path | None, Parameter(help="A folder where judges are kept between runs.")
    ] = None,
    fidelity: Annotated[
        bool, Parameter(help="Fréchet distance, precision and recall by the judges' features too.")
    ] = False,
    probe: Annotated[
        bool, Parameter(help="How well a straight cut through the latent space tells the class.")
    ] = False,
    inception: Annotated[
        Path | None, Parameter(help="Weights of FID's Inception: --fidelity by it too.")
    ] = None,
    seed: ModelSeed = None,
    out: Annotated[Path | None, Parameter(help="Write the whole result here as JSON.")] = None,
    json: Json = False,
) -> None:
    """Judge whether each modality, decoded from the others, shows the class that it should.

    Judges (a classifier a modality) are trained on real rows first.
    """
    check_model(model)
    check_data(data)
    _check_files(train, out, judges, inception)
    if samples is not None and samples < 1:
        raise CommandError(f"--samples must be at least 1, got {samples}.")
    from polymodal.estimator.judging import coherence as judge

    fitted = load_model(model)
    test, known = test_and_train(fitted, data, train, "the judges learn")
    said = judge(
        fitted, test, label, known, with_label=with_label, samples=samples, cache=judges,
        fidelity=fidelity, inception=inception, seed=seed,
        on_judge=lambda done, of, name: say(f"Judge {done + 1} of {of}: {name}"),
    )  # fmt: skip
    result, text = said.to_dict(), f"{said}"
    if probe:
        result["probe"], told = _probe(fitted, test, label, known, with_label, seed)
        text = f"{text}\n\n{told}"
    result = plain(result)
    if out is not None:
        write_whole(out, as_json(result))
    text += f"\n\nWritten to {out}." if out is not None else ""
    print_result(result, text, json)


def _probe(
    model: MultimodalModel,
    test: MultimodalData,
    label: str,
    train: MultimodalData,
    with_label: bool,
    seed: int | None,
) -> tuple[dict[str, Any] | None, str]:
    """What the linear probe says, as plain values and in words."""
    from polymodal.estimator.probing import probe
    from polymodal.model import Lacking

    try:
        found = probe(model, test, label, train, with_label=with_label, seed=seed)
    except Lacking as why:
        return None, f"No probe: {why}"
    return found.to_dict(), str(found)


def _check_files(
    train: str | None, out: Path | None, judges: Path | None, inception: Path | None
) -> None:
    if train is not None:
        check_data(train)
    if out is not None:
        check_out(out, (".json",))
    if judges is not None:
        check_folder(judges, f"--judges {judges}")
    if inception is not None and not inception.is_file():
        raise CommandError(f"--inception {inception}: there is no such file.")
