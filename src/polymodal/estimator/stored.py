"""A fitted model in one file, there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.files import as_path
from polymodal.fitting import build_model, checked, checked_container
from polymodal.model_file import (
    MODEL_FILE,
    broken,
    pack_defaults,
    pack_parameters,
    pack_result,
    prefixed,
    unpack_defaults,
    unpack_parameters,
    unpack_result,
    without_prefix,
)
from polymodal.training.distributed import device_named
from polymodal.typing import is_whole

if TYPE_CHECKING:
    from polymodal.estimator.front import MultimodalModel


def write_model(model: MultimodalModel, path: Path) -> None:
    """Write a fitted model."""
    config, codec_tensors = model.codec_.to_config()
    facts = {
        "parameters": pack_parameters(checked(model.get_params())),
        "defaults": pack_defaults(model.recipe, model._defaults),
        "codec": config,
        "result": pack_result(model.result_),
        "n_rows": model.n_rows_,
        "container": model.container_,
    }
    tensors = {
        **prefixed("model", model.model_.state_dict()),
        **prefixed("codec", codec_tensors),
        "held_out": torch.as_tensor(model.held_out_),
    }
    trained = model._trained()
    if trained is not None and len(trained) <= _MOST_HASHES:
        # Sorted, so that they say nothing of the rows' order.
        tensors["trained"] = trained.sort().values
    MODEL_FILE.write(path, facts, tensors)


def load(path: str | Path, device: str = "cpu") -> MultimodalModel:
    """Load a model that ``MultimodalModel.save`` wrote.

    Arguments:
        path: The file.
        device: Where its questions are answered: ``"cpu"``, ``"cuda"``..., or ``"auto"`` for CUDA
            where there is one.

    Raises:
        FileError: If the file is missing, truncated, damaged, of another kind or newer.
        ValueError: If there is no such device here.
        TypeError: If ``path`` is no path.
    """
    from polymodal.estimator.front import MultimodalModel

    chosen = device_named(device)
    facts, tensors = MODEL_FILE.read(as_path("load", path))
    try:
        parameters = unpack_parameters(facts["parameters"])
        defaults = unpack_defaults(facts.get("defaults"))
        _check_sizes(parameters, defaults or {}, tensors)
        model = MultimodalModel(**parameters)
        model.codec_ = DataCodec.from_config(facts["codec"], without_prefix("codec", tensors))
        model._defaults = defaults
        model.model_ = build_model(checked(model.get_params()), model.codec_, model._defaults)
        model.model_.load_state_dict(without_prefix("model", tensors))
        model.result_ = unpack_result(facts["result"])
        model.n_rows_ = _checked_rows(facts["n_rows"])
        model.container_ = checked_container(facts["container"])
        model.held_out_ = tensors["held_out"].numpy()
        model._trained_hashes = _checked_hashes(tensors.get("trained"))
    except (
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
        OverflowError,  # a whole number that no float can hold
    ) as error:
        raise broken(path, error) from error
    model.schema_ = model.codec_.schema
    model._train_tensors = None
    model.model_.to(chosen).eval()
    return model


def _checked_rows(value: object) -> int:
    if not is_whole(value, 1):
        raise ValueError(f"n_rows must be a whole number of at least 1, got {value!r}")
    return int(value)  # pyright: ignore[reportArgumentType]


def _checked_hashes(held: Tensor | None) -> Tensor | None:
    """Hashes of training rows, int64 ``(N,)``; older files and those of many rows have none."""
    if held is not None and (held.dtype != torch.int64 or held.ndim != 1):
        raise ValueError(f"trained must be int64 (rows,), got {held.dtype} {tuple(held.shape)}")
    return held


def _check_sizes(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse large sizes that no stored weight has: their model would fill the memory.

    Raises:
        ValueError: If a size is larger than a bound and every axis of the weights.
    """
    # An axis counts by its elements: a tensor without any may say what it likes.
    held = [one for one in tensors.values() if one.numel()]
    # Families that clamp their sizes to the data have narrower weights than they were told.
    axis = max((max(one.shape, default=1) for one in held), default=1)
    sizes = {name: parameters[name] for name in ("latent_dim", "private_dim")}
    bounds = dict.fromkeys(sizes, 1_000)
    networks = parameters["networks"]
    if networks is not None:
        sizes |= {"hidden": max(networks.hidden), "text_width": networks.text_width}
        _check_depth(networks.hidden, held)
    for of_recipe in (defaults, parameters["settings"] or {}):
        sizes |= {name: value for name, value in of_recipe.items() if name not in _NO_SIZES}
    for name, value in sizes.items():
        if is_whole(value) and value > max(axis, bounds.get(name, 10_000)):
            raise ValueError(f"{name} is {value}, above all axes of the weights")


def _check_depth(hidden: Sequence[int], held: Sequence[Tensor]) -> None:
    """Refuse more hidden layers, or more weights between them, than a file could have.

    Models of pictures alone have none of them, so a number that does no harm is never refused.

    Raises:
        ValueError: If there are more.
    """
    if len(hidden) > max(len(held), _FEW_LAYERS):
        raise ValueError(f"networks.hidden has {len(hidden)} layers, more than there are weights")
    weights = sum(a * b for a, b in pairwise(hidden))
    if weights > max(sum(one.numel() for one in held), _FEW_WEIGHTS):
        raise ValueError(f"networks.hidden asks for {weights} weights, more than there are")


_MOST_HASHES = 100_000
"""Training rows whose hashes a file holds at most, 8 bytes each."""
_FEW_LAYERS, _FEW_WEIGHTS = 100, 10**8
_NO_SIZES = ("max_strata", "max_subsets", "max_dims")
"""Settings of recipes that bound what is there; nothing is made in their size."""
