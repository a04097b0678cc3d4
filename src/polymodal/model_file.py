"""The model file: weights and codec in safetensors, the rest as JSON; it holds no code.

A model is rebuilt from its parameters (recipe, sizes, settings) and its codec, then takes its
weights. What is not a number, a string or one of the named schedules cannot be in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from polymodal.data.modalities import NetworkSettings
from polymodal.files import FileError, FileFormat
from polymodal.objectives.schedules import Constant, Cyclic, LinearWarmup
from polymodal.recipes.registry import get_recipe
from polymodal.training.result import Divergence, EpochRecord, TrainResult

MODEL_FILE = FileFormat(
    "polymodal model", 1, "Use another copy of the file, or fit and save the model again."
)
RUN_FILE = FileFormat("polymodal run", 1, "Use another copy of the folder, or start the run anew.")

_LONGEST_REASON = 300
# Files have always had 0 for the recipe's own number of private latents, so none is a word.
_PACKED_PRIVATE = {None: 0, 0: "none"}
# What files said nothing of, before networks had it as a setting.
_FIRST_NETWORKS = {"image_activation": "relu"}
_SCHEDULES = {schedule.__name__: schedule for schedule in (Constant, LinearWarmup, Cyclic)}


def pack_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The estimator's parameters as JSON can hold them.

    Raises:
        ValueError: If a recipe's setting is neither plain nor a named schedule.
    """
    packed = dict(parameters)
    packed["private_dim"] = _PACKED_PRIVATE.get(packed["private_dim"], packed["private_dim"])
    networks = parameters["networks"]
    packed["networks"] = None if networks is None else dataclasses.asdict(networks)
    usual = dataclasses.asdict(NetworkSettings())
    packed["usual_networks"] = {name: usual[name] for name in _FIRST_NETWORKS}
    settings = parameters["settings"]
    if settings is not None:
        packed["settings"] = {str(name): _pack(name, value) for name, value in settings.items()}
    return packed


def unpack_parameters(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The estimator's parameters from what ``pack_parameters`` made."""
    parameters = dict(packed)
    own = parameters["private_dim"]
    for said, written in _PACKED_PRIVATE.items():
        if own == written:
            parameters["private_dim"] = said
    networks = networks_of(parameters)
    networks["hidden"] = tuple(networks["hidden"])
    settings = NetworkSettings(**networks)
    asked = parameters.get("networks") is not None or settings != NetworkSettings()
    parameters["networks"] = settings if asked else None
    parameters.pop("usual_networks", None)
    if parameters.get("settings") is not None:
        parameters["settings"] = {k: _unpack(v) for k, v in parameters["settings"].items()}
    return parameters


def networks_of(packed: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of the networks of packed parameters, those not asked for as on their day."""
    usual = packed.get("usual_networks") or {}
    asked = packed.get("networks") or {}
    found = {**dataclasses.asdict(NetworkSettings()), **_FIRST_NETWORKS, **usual, **asked}
    return {**found, "hidden": list(found["hidden"])}


def pack_defaults(recipe: str, read: Mapping[str, Any] | None) -> dict[str, Any]:
    """A recipe's defaults as they were when a model of it was fitted, as JSON can hold them.

    Versions may change a default; a file is rebuilt with the one that it was fitted with.

    Arguments:
        recipe: Its name.
        read: What the model's own file says, if it comes from one.
    """
    defaults = get_recipe(recipe).settings if read is None else read
    packed = {}
    for name, value in defaults.items():
        # What JSON cannot hold stays with the recipe, which may be the user's own.
        with contextlib.suppress(ValueError):
            packed[name] = _pack(name, value)
    return packed


def unpack_defaults(packed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The defaults from what ``pack_defaults`` made; None from a file that has none."""
    return None if packed is None else {name: _unpack(value) for name, value in packed.items()}


def _pack(name: str, value: Any) -> Any:  # noqa: ANN401
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value).__name__ in _SCHEDULES and isinstance(value, tuple(_SCHEDULES.values())):
        fields = {key: _pack(name, one) for key, one in dataclasses.asdict(value).items()}
        return {"schedule": type(value).__name__, **fields}
    raise ValueError(
        f"setting {name!r} of the recipe cannot be saved: {value!r} is neither a number, a string "
        f"nor one of {', '.join(_SCHEDULES)}."
    )


def _unpack(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    return _SCHEDULES[fields.pop("schedule")](**fields)


def pack_result(result: TrainResult) -> dict[str, Any]:
    """How training ended, as JSON can hold it."""
    return dataclasses.asdict(result)


def unpack_result(packed: Mapping[str, Any]) -> TrainResult:
    """How training ended, from what ``pack_result`` made."""
    fields = dict(packed)
    fields["history"] = tuple(EpochRecord(**record) for record in fields["history"])
    if fields["diverged"] is not None:
        diverged = dict(fields["diverged"])
        diverged["rows"] = tuple(diverged["rows"])
        fields["diverged"] = Divergence(**diverged)
    return TrainResult(**fields)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with ``prefix/`` before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those tensors whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def broken(path: object, error: Exception) -> FileError:
    """The error for a file whose parts do not fit together."""
    said = " ".join(str(error).split())
    said = said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}..."
    return FileError(f"{path}: its parts do not fit together ({said}). {MODEL_FILE.remedy}")
