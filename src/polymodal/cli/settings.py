"""Device, settings of recipe and networks on the command line, checked before data are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from polymodal.cli.errors import CommandError, check_known

if TYPE_CHECKING:
    from polymodal.data.modalities import NetworkSettings
    from polymodal.recipes import Recipe


def check_device(device: str) -> None:
    """Refuse a device of no known kind, or one that is not here.

    Raises:
        CommandError: If it is one of these.
    """
    if device.partition(":")[0] not in ("auto", "cpu", "cuda", "mps"):
        raise CommandError(f"--device must be auto, cpu, cuda or cuda:N; got {device}.")
    from polymodal.training.distributed import device_named

    try:
        device_named(device)
    except ValueError as fault:
        raise CommandError(f"--{fault}") from fault


def check_recipe(entry: Recipe, private_dim: int | None, settings: Mapping[str, Any]) -> None:
    """Refuse settings that the recipe's own parts refuse, and private latents where it has none.

    Arguments:
        entry: The recipe.
        private_dim: Size of the private latents, if it was given.
        settings: The others by name, ``latent_dim`` among them, of the right types.

    Raises:
        CommandError: If there is one.
    """
    from polymodal.recipes.trial import check_settings

    own = {} if private_dim is None else {"private_dim": private_dim}
    if "private_dim" not in entry.settings:
        if private_dim:
            raise CommandError(
                f"Recipe {entry.name} has no private latents; leave --private-dim "
                f"{private_dim} out."
            )
        own = {}
    try:
        check_settings(entry, {**settings, **own})
    except ValueError as fault:
        said = str(fault).removeprefix(f"recipe {entry.name!r}: ")
        raise CommandError(f"Recipe {entry.name}: {said}") from fault


def network_settings(values: Mapping[str, Any]) -> NetworkSettings | None:
    """The settings of the networks from their options; None where there are none.

    Raises:
        CommandError: If a name is unknown or a value cannot be.
    """
    from polymodal.data.modalities import NetworkSettings

    usual = NetworkSettings()
    known = [field.name for field in fields(usual)]
    chosen = {}
    for name, value in values.items():
        default = getattr(usual, check_known(name, known, "setting", "A network"))
        if not isinstance(default, tuple):
            chosen[name] = check_setting(name, value, default, "--network")
        elif isinstance(value, list) and all(type(one) is int for one in value):
            chosen[name] = tuple(value)
        else:
            raise CommandError(
                f"--network {name} must be a list of whole numbers, such as [256, 256]; "
                f"got {value}."
            )
    try:
        return replace(usual, **chosen) if chosen else None
    except ValueError as fault:
        raise CommandError(f"--network: {str(fault).removeprefix('networks: ')}") from fault


def check_setting(name: str, value: object, default: object, option: str = "--set") -> object:
    """A setting of the type of its default; where that is None, a number. 0 and 1 may be a bool.

    Raises:
        CommandError: If the type differs.
    """
    if isinstance(default, bool):
        if value in (0, 1):
            return bool(value)
        fits, wanted = False, "true or false"
    elif isinstance(default, str):
        fits, wanted = isinstance(value, str), "a word"
    elif isinstance(default, int):
        fits, wanted = isinstance(value, int), "a whole number"
    else:
        fits = isinstance(value, int | float) or value is default
        wanted = "a number"
    if not fits or isinstance(value, bool):
        raise CommandError(
            f"{option} {name} must be {wanted}, such as {_such(default)}; got {value}."
        )
    return value


def _such(default: object) -> str:
    return (
        "1"
        if default is None
        else f"{default:.3g}"
        if isinstance(default, float)
        else f"{default}"
    )
