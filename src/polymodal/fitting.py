"""What fitting starts from: a codec, encoded rows, some held out, and a model built for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polymodal.data.checked import check_values, taken_as_missing
from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.missingness import anything, never_there
from polymodal.data.modalities import NetworkSettings, modalities_of
from polymodal.data.sources import read
from polymodal.data.tensors import Tensors
from polymodal.files import FileError
from polymodal.model import LatentModel
from polymodal.model_file import (
    RUN_FILE,
    broken,
    pack_defaults,
    pack_parameters,
    prefixed,
    unpack_defaults,
    unpack_parameters,
    without_prefix,
)
from polymodal.random import derive_seed, seeded
from polymodal.recipes.registry import get_recipe
from polymodal.spelling import listed
from polymodal.tasks.asking import asking
from polymodal.tasks.filled import Container, container_of
from polymodal.training.plan import usual_batch_size, usual_epochs
from polymodal.training.result import TrainResult
from polymodal.training.settings import TrainSettings
from polymodal.training.source import to_device
from polymodal.typing import checked_seed, is_whole

if TYPE_CHECKING:
    from pandas import DataFrame

    from polymodal.data.schema import Schema

RUN_NAME = "run.safetensors"
FEWEST_ROWS_TO_SPLIT = 20
MOST_ROWS_TO_END_WITH = 10_000
_ROWS_AT_ONCE = 1024


def as_data(
    data: MultimodalData | DataFrame | str | Path, schema: Schema | None = None
) -> MultimodalData:
    """What was given as data, read if it is a path or a frame; by a schema if there is one.

    Modalities and columns that a schema has and the data lack are absent.
    """
    if not isinstance(data, MultimodalData):
        return read(data, schema, absent_ok=schema is not None)
    return data if schema is None else data.read_as(schema)


def checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An estimator's parameters with plain Python numbers, or what is wrong with them.

    Raises:
        ValueError: If a value is out of range, or no file can hold it.
        TypeError: If it is of another type than expected.
    """
    found = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in parameters.items()
    }
    if isinstance(found["device"], torch.device):
        found["device"] = str(found["device"])
    least = {"latent_dim": 1, "private_dim": 0, "epochs": 1, "batch_size": 1}
    checked_seed("seed", found["seed"])
    if not isinstance(found["progress"], bool):
        raise TypeError(f"progress must be True or False, got {found['progress']!r}.")
    for name, low in least.items():
        value = found[name]
        if value is None and name in ("private_dim", "epochs", "batch_size"):
            continue
        if not is_whole(value, low):
            raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}.")
    share = found["validation_share"]
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise ValueError(f"validation_share must be a number in [0, 1), got {share!r}.")
    if not isinstance(found["networks"], NetworkSettings | None):
        raise TypeError(
            f"networks must be a NetworkSettings or None, got {found['networks']!r}; write "
            "networks=polymodal.NetworkSettings(...)."
        )
    settings = found["settings"]
    if not isinstance(settings, Mapping | None):
        raise TypeError(
            f"settings must be a dictionary of the recipe's settings or None, got {settings!r}."
        )
    for name in ("latent_dim", "private_dim"):
        if settings and name in settings:
            raise ValueError(f"settings: give {name} as a parameter of the model itself.")
    # Now, and not once the training is over.
    train_settings(found, n_rows=1)
    pack_parameters(found)
    return found


def train_settings(parameters: Mapping[str, Any], n_rows: int) -> TrainSettings:
    """How a model of an estimator's parameters is trained on so many rows.

    Raises:
        ValueError: If a parameter is out of range.
    """
    batch_size = parameters["batch_size"] or usual_batch_size(n_rows)
    return TrainSettings(
        epochs=parameters["epochs"] or usual_epochs(n_rows, batch_size),
        batch_size=batch_size,
        learning_rate=parameters["learning_rate"],
        patience=parameters["patience"],
        seed=parameters["seed"],
        precision=parameters["precision"],
        device=parameters["device"],
        max_seconds=parameters["max_seconds"],
        checkpoint_minutes=parameters["checkpoint_minutes"],
    )


def checked_container(name: str) -> Container:
    """What a file says that the data came in.

    Raises:
        ValueError: If it is no such thing.
    """
    if name == "frame":
        return "frame"
    if name == "arrays":
        return "arrays"
    raise ValueError(f"the container must be 'frame' or 'arrays', got {name!r}")


@dataclass(frozen=True)
class Prepared:
    """Encoded rows, ready to train on.

    Arguments:
        codec: Fitted on the training rows.
        train: Training rows.
        validation: Rows for early stopping, if any.
        held_out: Positions of the rows that were taken from the training data for them.
        container: What the data came in.
        defaults: The recipe's defaults when the run was begun, if it was begun before.
    """

    codec: DataCodec
    train: Tensors
    validation: Tensors | None
    held_out: np.ndarray
    container: Container
    defaults: Mapping[str, Any] | None = None

    def write(self, folder: Path, parameters: Mapping[str, Any]) -> None:
        """Write all that a run needs to go on from its checkpoints into its folder.

        Raises:
            FileError: If there is a run already.
        """
        if (folder / RUN_NAME).exists():
            raise FileError(
                f"{folder}: a run was here; go on with it by resume({str(folder)!r}), or use "
                "another folder."
            )
        config, codec_tensors = self.codec.to_config()
        tensors = {**prefixed("codec", codec_tensors), "held_out": torch.as_tensor(self.held_out)}
        for part, rows in (("train", self.train), ("validation", self.validation)):
            if rows is not None:
                tensors |= prefixed(f"{part}/x", rows.x)
                tensors |= prefixed(f"{part}/present", rows.present)
        facts = {
            "parameters": pack_parameters(parameters),
            "defaults": pack_defaults(parameters["recipe"], self.defaults),
            "codec": config,
            "container": self.container,
        }
        RUN_FILE.write(folder / RUN_NAME, facts, tensors)

    @classmethod
    def read(cls, folder: Path) -> tuple[dict[str, Any], Prepared]:
        """The parameters and rows of a run, from its folder.

        Raises:
            FileError: If there is no run, or its file is damaged.
        """
        path = folder / RUN_NAME
        facts, tensors = RUN_FILE.read(path)
        try:
            codec = DataCodec.from_config(facts["codec"], without_prefix("codec", tensors))
            parts = {}
            for part in ("train", "validation"):
                x = without_prefix(f"{part}/x", tensors)
                there = without_prefix(f"{part}/present", tensors)
                # A file keeps its tensors in no order; the model's order is the codec's.
                parts[part] = (
                    Tensors({n: x[n] for n in codec.names}, {n: there[n] for n in codec.names})
                    if x
                    else None
                )
            rows = cls(
                codec,
                parts["train"],
                parts["validation"],
                tensors["held_out"].numpy(),
                checked_container(facts["container"]),
                unpack_defaults(facts.get("defaults")),
            )
            return unpack_parameters(facts["parameters"]), rows
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise broken(path, error) from error


def prepare(
    data: MultimodalData,
    validation: MultimodalData | DataFrame | str | Path | None,
    validation_share: float,
    seed: int,
) -> Prepared:
    """Fit the codec and encode; a share of the rows is held out where no validation is given.

    Raises:
        ValueError: If the data have no rows, or a value that the schema rules out.
    """
    if len(data) == 0:
        raise ValueError("fit: the data have no rows; at least one is needed.")
    check_values(data, data.schema, levels=True)
    kept, held_out = np.arange(len(data)), np.empty(0, dtype=np.int64)
    if validation is not None:
        tuned = as_data(validation, data.schema)
        check_values(tuned, data.schema, levels=False)
    elif len(data) >= FEWEST_ROWS_TO_SPLIT and validation_share:
        order = np.random.default_rng(derive_seed(seed, 1)).permutation(len(data))
        n_held = max(1, round(validation_share * len(data)))
        kept, held_out = np.sort(order[n_held:]), np.sort(order[:n_held])
        tuned = data[held_out]
    else:
        tuned = None
    kept = kept[anything(data[kept])]
    if not len(kept):
        raise ValueError("fit: no training row has any value; at least one is needed.")
    if never := never_there(data[kept]):
        warnings.warn(
            f"{data.origin}: no training row has a value of {listed(never)}: nothing is learned "
            "of that, and what the model says there means nothing.",
            stacklevel=2,
        )
    codec = DataCodec.fit(data[kept])
    encoded = None if tuned is None else codec.encode(tuned, unseen="missing")
    if validation is not None and tuned is not None and encoded is not None:
        for said in taken_as_missing(tuned, encoded, "rows to stop by"):
            warnings.warn(f"{tuned.origin}: {said}", stacklevel=2)
    return Prepared(codec, codec.encode(data[kept]), encoded, held_out, container_of(data))


def end_training(model: LatentModel, rows: Tensors, result: TrainResult, seed: int) -> None:
    """Let a model that is trained look at training rows once more, at random ones of many."""
    if result.status == "diverged":
        return
    generator = torch.Generator().manual_seed(derive_seed(seed, 2))
    some = torch.randperm(len(rows), generator=generator)[:MOST_ROWS_TO_END_WITH].sort().values
    batches = (
        (to_device(x, model.device), to_device(present, model.device))
        for x, present in map(rows.gather, some.split(_ROWS_AT_ONCE))
    )
    with asking(model, derive_seed(seed, 3)):
        model.end_with(batches, result.history[-1].step if result.history else 0)


def build_model(
    parameters: Mapping[str, Any], codec: DataCodec, defaults: Mapping[str, Any] | None = None
) -> LatentModel:
    """The model of an estimator's parameters, its weights drawn from the parameters' seed.

    Arguments:
        parameters: The estimator's.
        codec: Fitted on the training rows.
        defaults: The recipe's defaults of another day, from a file; those of now when None.

    Raises:
        ValueError: If the recipe or a setting of it is unknown.
    """
    recipe = get_recipe(parameters["recipe"])
    settings = {
        **(defaults or {}),
        "latent_dim": parameters["latent_dim"],
        **(parameters["settings"] or {}),
    }
    own = parameters["private_dim"]
    if "private_dim" in recipe.settings:
        settings |= {} if own is None else {"private_dim": own}
    elif own:
        raise ValueError(
            f"recipe {recipe.name!r} has no private latents, got private_dim={own}; leave it out."
        )
    with seeded(derive_seed(parameters["seed"], 0)):
        return recipe.build(modalities_of(codec, parameters["networks"]), **settings)
