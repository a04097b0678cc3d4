"""``polymodal compare``: several recipes on the same rows, one table, one recommendation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json, Network, PrivateDim, SplitSeed
from polymodal.cli.config import parse_settings
from polymodal.cli.errors import CommandError, WorkError, check_known
from polymodal.cli.inputs import check_data, check_folder, load_data, load_schema, same_rows
from polymodal.cli.left_out import left_out
from polymodal.cli.outputs import count, plain, print_result, say
from polymodal.cli.settings import check_device, check_recipe, check_setting, network_settings
from polymodal.replacing import write_whole

if TYPE_CHECKING:
    from polymodal.comparison import Comparison

EXAMPLE = """    polymodal compare cohort.parquet --recipes polymodal,mopoe,mvtcae
    polymodal compare cohort.parquet --recipes mopoe,pcca --seeds 5 \\
        --epochs 50 --out trial
    polymodal compare cohort.parquet --recipes mvtcae,mopoe \\
        --set mvtcae.beta=2.5 --out beta
    polymodal compare digits.parquet --label digit --schema without-digit.yaml
    polymodal compare bundled:penguins --recipes mvtcae,pcca \\
        --seeds 1 --epochs 20    (a minute)"""

USUAL = "polymodal,mopoe,mvtcae"

Folder = Annotated[
    Path, Parameter(help="Folder for models, table and report; goes on where it stopped.")
]
Label = Annotated[
    str | None,
    Parameter(help="The class of each row, a column of DATA: coherence is judged too."),
]
Precision = Annotated[Literal["32", "bf16"], Parameter(help="bf16: autocast in bfloat16.")]


def compare(
    data: Data,
    *,
    recipes: Annotated[
        str, Parameter(help="Names in `polymodal recipes`, with commas between.")
    ] = USUAL,
    seeds: Annotated[
        int, Parameter(help="Fits of each recipe; 3 or more show how much chance does.")
    ] = 3,
    out: Folder = Path("comparison"),
    schema: Annotated[Path | None, Parameter(help="Kinds of the columns, as YAML.")] = None,
    test: Annotated[
        Path | None, Parameter(help="Rows to judge on; a share of DATA if not given.")
    ] = None,
    validation: Annotated[
        Path | None, Parameter(help="Rows to stop by; a tenth of the training rows if not given.")
    ] = None,
    label: Label = None,
    test_share: Annotated[float, Parameter(help="Share of DATA to judge on.")] = 0.2,
    split_seed: SplitSeed = 0,
    latent_dim: Annotated[int, Parameter(help="Numbers in the shared latent vector.")] = 32,
    private_dim: PrivateDim = None,
    epochs: Annotated[
        int | None, Parameter(help="Passes over the rows; chosen by their number if not given.")
    ] = None,
    max_seconds: Annotated[
        float | None, Parameter(help="Wall time of a fit; stops and resumes are then not exact.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        Parameter(name="--set", help="A setting of one recipe: mvtcae.beta=2.5. May be repeated."),
    ] = None,
    network: Network = None,
    draws: Annotated[int, Parameter(help="Draws a row, for intervals and likelihoods.")] = 50,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Precision = "32",
    json: Json = False,
) -> None:
    """Fit several recipes to one table, judge them alike, and say which to use.

    The rows are split once. Every recipe has the same rows, networks, shared latent size and
    epochs (private latents as it has them itself unless told), and is fitted once for each seed.
    Then known values of the test rows are hidden, and every model, and three simple methods, must
    tell them from the rest. The table ranks all by skill, with intervals.

    With --label, judges (a classifier a modality, trained on the training rows) also say whether
    each modality, decoded from the others, shows the class that it should, and whether all
    modalities of new rows show one class; see `polymodal coherence --help`.

    Stopped by Ctrl-C or by a crash, the same command goes on where it was. More recipes or seeds
    with the same --out fit only what is new; the table is of all fits in that folder.
    """
    names = [name.strip() for name in recipes.split(",") if name.strip()]
    choices: dict[str, Any] = {
        "test_share": test_share,
        "split_seed": split_seed,
        "latent_dim": latent_dim,
        "private_dim": private_dim,
        "epochs": epochs,
        "max_seconds": max_seconds,
        "draws": draws,
        "device": device,
        "precision": precision,
        "settings": settings_of(set_, names),
        "networks": network_settings(parse_settings(network, "--network")),
        "label": label,
    }
    check_options(data, names, seeds, choices, [schema, test, validation])
    check_folder(out, f"--out {out}")
    found = run(data, names, seeds, out, schema, test, validation, choices)
    write(found, data, out)
    width = shutil.get_terminal_size((100, 24)).columns
    result = {**plain(found.to_dict()), "out": str(out)}
    print_result(result, f"{found.text(width)}\n\n{where(found, data, out)}", json)


def settings_of(pairs: list[str] | None, names: list[str]) -> dict[str, dict[str, Any]]:
    """``["mvtcae.beta=2.5"]`` -> ``{"mvtcae": {"beta": 2.5}}``.

    Raises:
        CommandError: If a recipe is not compared, or a setting unknown to it or of another type.
    """
    from polymodal.recipes import RECIPES

    settings: dict[str, dict[str, Any]] = {}
    for key, value in parse_settings(pairs).items():
        recipe, dot, name = key.partition(".")
        if not dot:
            raise CommandError(f"--set {key}: say of which recipe, as in --set mvtcae.{key}=2.5.")
        check_known(recipe, names, "compared recipe")
        if name in ("latent_dim", "private_dim"):
            raise CommandError(
                f"--set {key}: use --{name.replace('_', '-')}, which is the same for all recipes."
            )
        if recipe in RECIPES:
            own = RECIPES[recipe].settings
            check_known(name, own, "setting", f"Recipe {recipe}")
            value = check_setting(name, value, own[name])
        settings.setdefault(recipe, {})[name] = value
    return settings


def check_options(
    data: str,
    names: list[str],
    seeds: int,
    choices: dict[str, Any],
    files: list[Path | None],
) -> None:
    """Refuse what cannot work before anything is read.

    Raises:
        CommandError: If a recipe is unknown, an option out of range, or a file not there.
    """
    from polymodal.metrics.coverage import draws_needed
    from polymodal.recipes import RECIPES

    if not names:
        raise CommandError("--recipes names no recipe; write them with commas between.")
    for name in names:
        check_known(name, sorted(RECIPES), "recipe")
        if names.count(name) > 1:
            raise CommandError(f"--recipes names {name} twice.")
    least = {"latent_dim": 1, "private_dim": 0, "epochs": 1}
    least["draws"] = draws_needed(0.9)
    for name, low in [("seeds", 1), *least.items()]:
        value = seeds if name == "seeds" else choices[name]
        if value is not None and value < low:
            raise CommandError(f"--{name.replace('_', '-')} must be at least {low}, got {value}.")
    if not 0 < choices["test_share"] < 1:
        raise CommandError(f"--test-share must be between 0 and 1, got {choices['test_share']:g}.")
    if choices["max_seconds"] is not None and not choices["max_seconds"] > 0:
        raise CommandError(f"--max-seconds must be above 0, got {choices['max_seconds']:g}.")
    for name in names:
        entry = RECIPES[name]
        own = {"latent_dim": choices["latent_dim"], **choices["settings"].get(name, {})}
        # Private latents are for those of the recipes that have some.
        check_recipe(entry, choices["private_dim"] if "private_dim" in entry.settings else 0, own)
    check_device(choices["device"])
    check_data(data)
    schema, test, validation = files
    if schema is not None and not schema.is_file():
        raise CommandError(f"No schema file {schema}.")
    for other in (test, validation):
        if other is not None:
            check_data(str(other))
    if test is not None and same_rows(data, str(test)):
        raise CommandError(
            "--test is DATA itself; methods are judged on rows other than those they learn from."
        )
    if test is not None and validation is not None and same_rows(str(validation), str(test)):
        raise CommandError(
            "--validation is --test itself; methods are judged on rows other than those that "
            "their fits are stopped by."
        )


def run(
    data: str,
    names: list[str],
    seeds: int,
    out: Path,
    schema: Path | None,
    test: Path | None,
    validation: Path | None,
    choices: dict[str, Any],
) -> Comparison:
    """Read and compare.

    Raises:
        WorkError: If it was stopped, or no recipe came to anything.
    """
    from polymodal.comparison import compare as compare_recipes

    rows = load_data(data, load_schema(schema))
    say(f"{data}: {count(len(rows), 'row')}, {', '.join(rows.names)}")
    if schema is None and rows.schema.ignored:
        say(left_out(rows.schema, data))
    others = {
        what: None if file is None else load_data(str(file), rows.schema)
        for what, file in (("test", test), ("validation", validation))
    }
    try:
        found = compare_recipes(rows, names, seeds, folder=out, **others, **choices)
    except KeyboardInterrupt:
        raise WorkError(
            f"Stopped. What was done is in {out}; the same command goes on from there."
        ) from None
    if found.pick is None:
        failed = [row for row in found.rows if row.failure is not None]
        said = " ".join(f"{row.method}: {row.failure}" for row in failed)
        raise WorkError(f"No recipe could be compared. {said}")
    return found


def write(found: Comparison, data: str, out: Path) -> None:
    """Write the table as text and as a page."""
    from polymodal.report import write_comparison

    write_whole(out / "comparison.txt", found.text(100) + "\n")
    write_comparison(out / "comparison.html", found, title=f"Recipes on {Path(data).name}")


def where(found: Comparison, data: str, out: Path) -> str:
    """Where everything is, with the next command."""
    lines = f"Models, table and page: {out}, {out / 'comparison.html'}"
    if found.pick is None:
        return lines
    model = out / f"{found.pick}-{found.row(found.pick).seeds[0]}.pm"
    return f"{lines}\nNext: polymodal impute {model} {data} --out filled.parquet"
