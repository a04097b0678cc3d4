"""``polymodal fit``: learn a model from a table with holes."""

from __future__ import annotations

import time
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Network, PrivateDim, Seed
from polymodal.cli.config import parse_settings
from polymodal.cli.errors import CommandError, WorkError, check_known
from polymodal.cli.inputs import (
    check_data,
    check_folder,
    check_model_name,
    check_out,
    load_data,
    load_schema,
)
from polymodal.cli.left_out import left_out
from polymodal.cli.outputs import count, print_result, say
from polymodal.cli.resumed import check_run, options_of_run
from polymodal.cli.settings import check_device, check_recipe, check_setting, network_settings
from polymodal.replacing import write_whole

if TYPE_CHECKING:
    from polymodal.estimator import MultimodalModel

EXAMPLE = """    polymodal fit cohort.parquet --out cohort.pm
    polymodal fit cohort.csv --schema schema.yaml --epochs 200
    polymodal fit cohort.csv --recipe mvtcae --set beta=2.5
    polymodal fit --config cohort.pm.yaml --seed 1    (again, by another seed)"""


def fit(
    data: Data,
    *,
    schema: Annotated[Path | None, Parameter(help="Kinds of the columns, as YAML.")] = None,
    recipe: Annotated[str, Parameter(help="A name in `polymodal recipes`.")] = "polymodal",
    latent_dim: Annotated[int, Parameter(help="Numbers in the shared latent vector.")] = 32,
    private_dim: PrivateDim = None,
    epochs: Annotated[
        int | None, Parameter(help="Passes over the rows; chosen by their number if not given.")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[
        Literal["32", "bf16"], Parameter(help="bf16: autocast in bfloat16.")
    ] = "32",
    out: Annotated[Path, Parameter(help="The model file to write.")] = Path("model.pm"),
    run_dir: Annotated[Path | None, Parameter(help="Folder of checkpoints.")] = None,
    resume: Annotated[
        bool,
        Parameter(help="Go on with the run in --run-dir, bit for bit: same data and options."),
    ] = False,
    validation: Annotated[
        Path | None, Parameter(help="Rows to stop by; a tenth of DATA if not given.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        Parameter(name="--set", help="A setting of the recipe: key=value. May be repeated."),
    ] = None,
    network: Network = None,
    config: Annotated[
        Path | None, Parameter(help="YAML file of these options; flags win over it.")
    ] = None,
    json: Json = False,
    given: Annotated[Set[str], Parameter(parse=False)] = frozenset(),
) -> None:
    """Fit a model to a table with holes and columns of any kind that `schema` shows.

    Beside the model, OUT.yaml keeps the options; `polymodal fit --config OUT.yaml` fits the same
    again.
    """
    options: dict[str, Any] = {
        "data": data,
        "schema": schema,
        "recipe": recipe,
        "latent-dim": latent_dim,
        "private-dim": private_dim,
        "epochs": epochs,
        "seed": seed,
        "device": device,
        "precision": precision,
        "out": out,
        "run-dir": run_dir,
        "validation": validation,
        "set": parse_settings(set_),
        "network": parse_settings(network, "--network"),
    }
    if run_dir is not None:
        check_run(run_dir, resume)
        options = options_of_run(options, given) if resume else options
    check_options(options, resume)
    begun = time.monotonic()
    model, rows = run_fit(options, resume)
    save(model, options)
    said = summary(model, rows, options, time.monotonic() - begun)
    print_result(said, in_words(said), json)


def check_options(options: dict[str, Any], resume: bool) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        CommandError: If an option is unknown to the recipe, out of range, or names no file.
    """
    from polymodal.recipes import RECIPES

    entry = RECIPES[check_known(options["recipe"], sorted(RECIPES), "recipe")]
    own = [name for name in entry.settings if name not in ("latent_dim", "private_dim")]
    for name, value in () if resume else options["set"].items():  # a run's were checked before
        if name in ("latent_dim", "private_dim"):
            raise CommandError(f"--set {name}: use --{name.replace('_', '-')}.")
        check_known(name, own, "setting", f"Recipe {entry.name}")
        options["set"][name] = check_setting(name, value, entry.settings[name])
    network_settings(options["network"])
    for name, least in (("latent-dim", 1), ("private-dim", 0), ("epochs", 1)):
        value = options[name]
        if value is not None and value < least:
            raise CommandError(f"--{name} must be at least {least}, got {value}.")
    if not resume:
        chosen = {"latent_dim": options["latent-dim"], **options["set"]}
        check_recipe(entry, options["private-dim"], chosen)
    check_device(options["device"])
    if resume and options["run-dir"] is None:
        raise CommandError("--resume needs --run-dir, the folder with the run's checkpoint.")
    check_data(options["data"])
    if options["validation"] is not None:
        check_data(str(options["validation"]))
    if options["schema"] is not None and not options["schema"].is_file():
        raise CommandError(f"No schema file {options['schema']}.")
    check_model_name(options["out"])
    check_out(options["out"], ())
    check_out(resolved_path(options["out"]), ())
    if options["run-dir"] is not None:
        check_folder(options["run-dir"], f"--run-dir {options['run-dir']}")


def run_fit(options: dict[str, Any], resume: bool) -> tuple[MultimodalModel, int]:
    """Read, fit; the model and the number of rows."""
    from polymodal.estimator import MultimodalModel

    schema = load_schema(options["schema"])
    data = load_data(options["data"], schema)
    say(f"{options['data']}: {count(len(data), 'row')}, {', '.join(data.names)}")
    if schema is None and data.schema.ignored:
        say(left_out(data.schema, options["data"]))
    run_dir, validation = options["run-dir"], None
    if options["validation"] is not None:
        validation = load_data(str(options["validation"]), data.schema)
    if resume:
        say(f"Going on with the run in {run_dir}, with the options that it was begun with.")
        return MultimodalModel().resume(run_dir, data, validation), len(data)
    model = MultimodalModel(
        recipe=options["recipe"],
        latent_dim=options["latent-dim"],
        private_dim=options["private-dim"],
        epochs=options["epochs"],
        seed=options["seed"],
        device=options["device"],
        precision=options["precision"],
        settings=options["set"] or None,
        networks=network_settings(options["network"]),
        progress=True,
    )
    return model.fit(data, validation=validation, run_dir=run_dir), len(data)


def save(model: MultimodalModel, options: dict[str, Any]) -> None:
    """Write the model and its options.

    Raises:
        WorkError: If the run did not come to its end.
    """
    out, result = options["out"], model.result_
    write_whole(resolved_path(out), as_yaml(options))
    model.save(out)
    if result.status == "diverged":
        raise WorkError(f"The run diverged. {result.reason} The last good weights are in {out}.")
    if result.status == "interrupted":
        hint = "with --run-dir FOLDER a run that was stopped can be gone on with."
        if options["run-dir"] is not None:
            hint = f"go on with: polymodal fit --config {resolved_path(out)} --resume"
        raise WorkError(f"{result.reason} What was learned is in {out}; {hint}")


def resolved_path(out: Path) -> Path:
    """``model.pm`` -> ``model.pm.yaml``."""
    return out.with_name(out.name + ".yaml")


def as_yaml(options: dict[str, Any]) -> str:
    """The options as a file for ``--config``."""
    import yaml

    kept = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    head = "# Written by polymodal fit; the same again: polymodal fit --config THIS_FILE\n"
    return head + yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def summary(
    model: MultimodalModel, rows: int, options: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """What the run came to."""
    result = model.result_
    scores = {r.epoch: r.validation for r in result.history if r.validation is not None}
    best = scores.get(result.best_epoch) if result.best_epoch is not None else None
    return {
        "model": options["out"],
        "config": resolved_path(options["out"]),
        "data": options["data"],
        "rows": rows,
        "modalities": list(model.codec_.names),
        "left_out": dict(model.schema_.ignored),
        "recipe": options["recipe"],
        "status": result.status,
        "reason": result.reason,
        "epochs": len(result.history),
        "best_epoch": None if result.best_epoch is None else result.best_epoch + 1,
        "best_validation": best,
        "seconds": round(seconds, 2),
    }


def in_words(said: dict[str, Any]) -> str:
    """The same for people, with the next command."""
    names = said["modalities"]
    lines = [
        f"Learned from {count(said['rows'], 'row')} of {', '.join(names)} "
        f"by {said['recipe']} in {said['seconds']:.0f} s, {count(said['epochs'], 'epoch')}. "
        f"{said['reason']}"
    ]
    if said["best_validation"] is not None:
        lines.append(
            f"Best score of held-out rows: {said['best_validation']:.4g} "
            f"(epoch {said['best_epoch']}; higher is better)."
        )
    lines += [
        f"Model:   {said['model']}",
        f"Options: {said['config']}",
        "",
        f"Next: polymodal impute {said['model']} {said['data']} --out filled.parquet",
        f"      polymodal report {said['model']} TEST_ROWS --out report.html",
    ]
    return "\n".join(lines)
