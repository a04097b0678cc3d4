"""A fitted model in one file, there and back."""

from __future__ import annotations

from collections.abc import Mapping
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
    MODEL_FILE.write(path, facts, tensors)


def load(path: str | Path, device: str = "cpu") -> MultimodalModel:
    """Load a model that ``MultimodalModel.save`` wrote.

    Arguments:
        path: The file.
        device: Where its questions are answered: ``"cpu"``, ``"cuda"``...

    Raises:
        FileError: If the file is missing, truncated, damaged, of another kind or newer.
        TypeError: If ``path`` is no path.
    """
    from polymodal.estimator.front import MultimodalModel

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
        model.n_rows_ = int(facts["n_rows"])
        model.container_ = checked_container(facts["container"])
        model.held_out_ = tensors["held_out"].numpy()
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise broken(path, error) from error
    model.schema_ = model.codec_.schema
    model._train_tensors = None
    model.model_.to(device).eval()
    return model


def _check_sizes(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse large sizes that no stored weight has: their model would fill the memory.

    Raises:
        ValueError: If a size is larger than a bound and every axis of the weights.
    """
    # Families that clamp their sizes to the data have narrower weights than they were told.
    axis = max((max(one.shape, default=1) for one in tensors.values()), default=1)
    sizes = {name: parameters[name] for name in ("latent_dim", "private_dim")}
    bounds = dict.fromkeys(sizes, 1_000)
    networks = parameters["networks"]
    if networks is not None:
        sizes |= {"hidden": max(networks.hidden), "text_width": networks.text_width}
    for of_recipe in (defaults, parameters["settings"] or {}):
        sizes |= {name: value for name, value in of_recipe.items() if name not in _NO_SIZES}
    for name, value in sizes.items():
        if is_whole(value) and value > max(axis, bounds.get(name, 10_000)):
            raise ValueError(f"{name} is {value}, above all axes of the weights")


_NO_SIZES = ("max_strata", "max_subsets", "max_dims")
"""Settings of recipes that bound what is there; nothing is made in their size."""
