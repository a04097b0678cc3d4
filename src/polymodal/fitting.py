"""What fitting starts from: a codec, encoded rows, some held out, and a model built for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.modalities import modalities_of
from polymodal.data.sources import read
from polymodal.data.tensors import Tensors
from polymodal.model import LatentModel
from polymodal.model_file import (
    RUN_FILE,
    broken,
    pack_parameters,
    prefixed,
    unpack_parameters,
    without_prefix,
)
from polymodal.random import derive_seed, seeded
from polymodal.recipes.registry import get_recipe
from polymodal.tasks.filled import Container, container_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from polymodal.data.schema import Schema

RUN_NAME = "run.safetensors"
FEWEST_ROWS_TO_SPLIT = 20


def as_data(
    data: MultimodalData | DataFrame | str | Path, schema: Schema | None = None
) -> MultimodalData:
    """What was given as data, read if it is a path or a frame."""
    return data if isinstance(data, MultimodalData) else read(data, schema)


@dataclass(frozen=True)
class Prepared:
    """Encoded rows, ready to train on.

    Arguments:
        codec: Fitted on the training rows.
        train: Training rows.
        validation: Rows for early stopping, if any.
        held_out: Positions of the rows that were taken from the training data for them.
        container: What the data came in.
    """

    codec: DataCodec
    train: Tensors
    validation: Tensors | None
    held_out: np.ndarray
    container: Container

    def write(self, folder: Path, parameters: Mapping[str, Any]) -> None:
        """Write all that a run needs to go on from its checkpoints into its folder."""
        config, codec_tensors = self.codec.to_config()
        tensors = {**prefixed("codec", codec_tensors), "held_out": torch.as_tensor(self.held_out)}
        for part, rows in (("train", self.train), ("validation", self.validation)):
            if rows is not None:
                tensors |= prefixed(f"{part}/x", rows.x)
                tensors |= prefixed(f"{part}/present", rows.present)
        facts = {
            "parameters": pack_parameters(parameters),
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
                facts["container"],
            )
            return unpack_parameters(facts["parameters"]), rows
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise broken(path, error) from error


def prepare(
    data: MultimodalData,
    validation: MultimodalData | DataFrame | str | Path | None,
    validation_share: float,
    seed: int,
) -> Prepared:
    """Fit the codec and encode; a share of the rows is held out where no validation is given.

    Raises:
        ValueError: If the data have no rows or the share is out of range.
    """
    if len(data) == 0:
        raise ValueError("fit: the data have no rows; at least one is needed.")
    if not 0 <= validation_share < 1:
        raise ValueError(f"validation_share must be in [0, 1), got {validation_share}.")
    kept, held_out = np.arange(len(data)), np.empty(0, dtype=np.int64)
    if validation is not None:
        tuned = as_data(validation, data.schema)
    elif len(data) >= FEWEST_ROWS_TO_SPLIT and validation_share:
        order = np.random.default_rng(derive_seed(seed, 1)).permutation(len(data))
        n_held = max(1, round(validation_share * len(data)))
        kept, held_out = np.sort(order[n_held:]), np.sort(order[:n_held])
        tuned = data[held_out]
    else:
        tuned = None
    codec = DataCodec.fit(data[kept])
    return Prepared(
        codec,
        codec.encode(data[kept]),
        None if tuned is None else codec.encode(tuned, unseen="missing"),
        held_out,
        container_of(data),
    )


def build_model(parameters: Mapping[str, Any], codec: DataCodec) -> LatentModel:
    """The model of an estimator's parameters, its weights drawn from the parameters' seed.

    Raises:
        ValueError: If the recipe or a setting of it is unknown.
    """
    recipe = get_recipe(parameters["recipe"])
    settings = {"latent_dim": parameters["latent_dim"], **(parameters["settings"] or {})}
    if parameters["private_dim"]:
        settings["private_dim"] = parameters["private_dim"]
    with seeded(derive_seed(parameters["seed"], 0)):
        return recipe.build(modalities_of(codec, parameters["networks"]), **settings)


def start_scales(model: LatentModel, rows: Tensors) -> None:
    """Start likelihoods whose natural scale only the data know (counts) at that scale."""
    for name in model.names:
        there = rows.present[name]
        model.likelihood(name).start_from(rows.x[name], there if there.ndim == 2 else None)
