"""Going on with a run: by its own options, which the command may repeat but not change."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymodal.cli.errors import WorkError
from polymodal.cli.outputs import say

if TYPE_CHECKING:
    from polymodal.data.modalities import NetworkSettings

_OWN = ("recipe", "latent_dim", "private_dim", "epochs", "seed", "device", "precision")
"""Parameters of an estimator that have an option of `polymodal fit`."""


def check_run(run_dir: Path, resume: bool) -> None:
    """Refuse to begin where a run is, and to go on where none is.

    Raises:
        WorkError: If that is asked for.
    """
    from polymodal.fitting import RUN_NAME

    there = (run_dir / RUN_NAME).exists()
    if there and not resume:
        raise WorkError(
            f"{run_dir}: a run was here; add --resume to go on with it, or name another --run-dir."
        )
    if resume and not there:
        raise WorkError(
            f"{run_dir}: there is no run to go on with; leave --resume out to begin one."
        )


def options_of_run(options: Mapping[str, Any], given: Set[str]) -> dict[str, Any]:
    """The options with those that the run in ``--run-dir`` was begun with.

    Arguments:
        options: As the command has them, defaults included.
        given: Names of the parameters that somebody wrote, on the command line or in its file.

    Raises:
        WorkError: If one that was given is other than the run's.
    """
    from polymodal.estimator import MultimodalModel
    from polymodal.fitting import Prepared
    from polymodal.recipes.registry import get_recipe

    parameters, rows = Prepared.read(options["run-dir"])
    own = {name.replace("_", "-"): parameters[name] for name in _OWN}
    for name in own:
        if name.replace("-", "_") in given and options[name] != own[name]:
            _refuse(options["run-dir"], f"--{name}", own[name], " ", options[name])
    settings = parameters["settings"] or {}
    known = {**(rows.defaults or get_recipe(own["recipe"]).settings), **settings}
    for name, value in options["set"].items():
        if name not in known or known[name] != value:
            _refuse(options["run-dir"], f"--set {name}", known.get(name), "=", value)
    own["network"], networks = _chosen(parameters["networks"])
    for name, value in options["network"].items():
        if name not in networks or networks[name] != value:
            _refuse(options["run-dir"], f"--network {name}", networks.get(name), "=", value)
    # What a scalar of YAML cannot be, only Python can have set.
    beyond = [n for n, v in settings.items() if not isinstance(v, bool | int | float | str | None)]
    own["set"] = {name: value for name, value in settings.items() if name not in beyond}
    usual = MultimodalModel().get_params()
    foreign = [
        name
        for name, value in parameters.items()
        if name not in (*_OWN, "settings", "networks", "progress") and value != usual[name]
    ] + [f"settings[{name!r}]" for name in beyond]
    if foreign:
        say(
            f"The run was begun in Python with {', '.join(foreign)}, which no option sets: "
            f"it goes on with them, and {options['out']}.yaml will lack them."
        )
    return {**options, **own}


def _chosen(networks: NetworkSettings | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of networks as YAML has them: those that are not usual, and all."""
    from polymodal.data.modalities import NetworkSettings

    usual, every = (
        {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(one).items()}
        for one in (NetworkSettings(), networks or NetworkSettings())
    )
    return {name: value for name, value in every.items() if value != usual[name]}, every


def _refuse(run_dir: Path, option: str, own: object, joint: str, got: object) -> None:
    was = f"no {option}" if own is None else f"{option}{joint}{own}"
    raise WorkError(
        f"{run_dir}: this run was begun with {was}, and a run goes on as it was begun; got "
        f"{option}{joint}{got}. Leave it out, or begin another run with another --run-dir."
    )
