"""The plan of a comparison: what all its fits share, one split of the rows included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from polymodal.data.checked import check_values, taken_as_missing
from polymodal.data.dataset import MultimodalData
from polymodal.data.modalities import NetworkSettings
from polymodal.data.tensors import Tensors
from polymodal.evaluate.held_out import note_met, row_hashes, same_rows, with_anything
from polymodal.fitting import Prepared, as_data, checked, prepare
from polymodal.model_file import networks_of, pack_parameters
from polymodal.recipes.registry import get_recipe
from polymodal.typing import as_cells

if TYPE_CHECKING:
    from pandas import DataFrame

    DataLike = MultimodalData | DataFrame | str | Path


@dataclass(frozen=True)
class Plan:
    """What is the same for every fit and every examination.

    Arguments:
        latent_dim: Size of the latent space that all modalities share.
        private_dim: Size of each modality's own latent space, for recipes that have one: 0
            for none, each recipe's own default when None.
        epochs: Passes over the training rows; from the number of rows when None.
        batch_size: Rows a step; from the number of rows when None.
        learning_rate: Adam's highest step size.
        patience: Epochs without a better validation score before a fit stops; None for never.
        max_seconds: Wall time of a fit.
        networks: Sizes and kinds of the networks.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``...
        precision: ``"32"`` or ``"bf16"``.
        checkpoint_minutes: Minutes between checkpoints.
        settings: Recipe -> its settings, by name.
        test_share: Share of the rows to judge on.
        validation_share: Share of the rest to stop by.
        split_seed: The split and the examination follow from it.
        draws: Draws a row in the examination.
        level: Level of the intervals whose coverage is counted.
        resamples: Resamples of the test rows.
    """

    latent_dim: int = 32
    private_dim: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 1e-3
    patience: int | None = 100
    max_seconds: float | None = None
    networks: NetworkSettings | None = None
    device: str = "auto"
    precision: Literal["32", "bf16"] = "32"
    checkpoint_minutes: float = 5.0
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    test_share: float = 0.2
    validation_share: float = 0.1
    split_seed: int = 0
    draws: int = 50
    level: float = 0.9
    resamples: int = 500

    def parameters(self, recipe: str, seed: int) -> dict[str, Any]:
        """The parameters of the estimator of one fit.

        Raises:
            ValueError: If there is no such recipe, or a parameter is out of range.
        """
        known = get_recipe(recipe).settings
        chosen = {
            "recipe": recipe,
            "latent_dim": self.latent_dim,
            "private_dim": self.private_dim if "private_dim" in known else None,
            "epochs": self.epochs,
            "seed": seed,
            "device": self.device,
            "precision": self.precision,
            "progress": False,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "patience": self.patience,
            "validation_share": self.validation_share,
            "settings": dict(self.settings.get(recipe, {})) or None,
            "networks": self.networks,
            "max_seconds": self.max_seconds,
            "checkpoint_minutes": self.checkpoint_minutes,
        }
        return checked(chosen)

    def facts(self, kinds: Collection[str]) -> dict[str, Any]:
        """What must be the same for two fits to be compared, as JSON can hold it.

        The device, and how often checkpoints are written, may differ.

        Arguments:
            kinds: Kinds of the modalities; settings of networks that none has are None.
        """
        free = ("settings", "device", "checkpoint_minutes")
        facts = {name: value for name, value in vars(self).items() if name not in free}
        packed = pack_parameters({**facts, "settings": None})
        packed["networks"] = networks_of(packed)
        if "image" not in kinds:
            packed["networks"]["image_activation"] = None
        del packed["usual_networks"]
        return packed


def check_recipes(
    recipes: Sequence[str], seeds: int | Sequence[int]
) -> tuple[list[str], list[int]]:
    """The recipes and seeds as lists.

    Raises:
        ValueError: If there are none, one is unknown or named twice.
    """
    names = [recipes] if isinstance(recipes, str) else list(recipes)
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not names or not chosen:
        raise ValueError(
            f"compare needs at least one recipe and one seed, got {names} and seeds={seeds}."
        )
    for name in names:
        get_recipe(name)
    named: list[tuple[str, list[Any]]] = [("recipe", names), ("seed", chosen)]
    for what, values in named:
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise ValueError(f"compare: {what} {twice[0]!r} is named twice.")
    return names, chosen


@dataclass(frozen=True)
class Split:
    """One split of the rows, for all methods.

    Arguments:
        train: Raw training rows.
        validation: Raw rows to stop by; None where there are too few.
        rows: The training rows as every fit has them, with the codec.
        judged: Raw rows to judge on.
        test: The same, encoded.
        notes: What the reader should know of the rows, a sentence each.
    """

    train: MultimodalData
    validation: MultimodalData | None
    rows: Prepared
    judged: MultimodalData
    test: Tensors
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each part."""
        held = 0 if self.validation is None else len(self.validation)
        return {"train": len(self.rows.train), "validation": held, "test": len(self.test)}

    @property
    def fingerprint(self) -> str:
        """Of all known values and what they mean; other data have another one."""
        seen = hashlib.sha256(json.dumps(self.rows.codec.to_config()[0]).encode())
        for part in (self.rows.train, self.rows.validation, self.test):
            for values in _known(part):
                seen.update(values)
        return seen.hexdigest()[:16]


def split_rows(
    data: DataLike, plan: Plan, test: DataLike | None, validation: DataLike | None
) -> Split:
    """Split the rows once.

    Raises:
        ValueError: If a part would have no rows, or the test rows are the very rows of ``data``
            or of ``validation``.
    """
    rows = as_data(data)
    if test is None:
        rows, judged = rows.split(plan.test_share, plan.split_seed)
    else:
        judged = as_data(test, rows.schema)
    if not len(judged):
        raise ValueError(
            f"{judged.origin}: there are no rows to judge on; at least one is needed."
        )
    check_values(judged, rows.schema, levels=False)
    tuned = None if validation is None else as_data(validation, rows.schema)
    first = prepare(rows, tuned, plan.validation_share, plan.split_seed)
    if tuned is None and len(first.held_out):
        kept = torch.ones(len(rows), dtype=torch.bool)
        kept[torch.as_tensor(first.held_out)] = False
        tuned, rows = rows[first.held_out], rows[kept.numpy()]
    encoded = first.codec.encode(judged, unseen="missing")
    notes = (*_met(encoded, first), *taken_as_missing(judged, encoded, "rows judged"))
    return Split(rows, tuned, first, judged, encoded, notes)


def _met(test: Tensors, learned: Prepared) -> tuple[str, ...]:
    """What there is to say of test rows that equal rows to learn from or to stop by.

    Raises:
        ValueError: If all are those, with what is held out of them to stop by.
    """
    asked, known = row_hashes(test), row_hashes(learned.train)
    tuned = torch.empty(0, dtype=known.dtype)
    if learned.validation is not None:
        tuned = row_hashes(learned.validation)[with_anything(learned.validation)]
    given = not len(learned.held_out)
    own = known if given else torch.cat([known, tuned])
    for rows, purpose in ((own, "learn from"), (tuned, "stop by")):
        if same_rows(asked[with_anything(test)], rows):
            raise ValueError(
                f"compare: the test rows are the very rows to {purpose}, which say nothing of "
                "skill on others; give other rows, or leave test out, and a share of the data is "
                "judged."
            )
    notes = note_met(asked, {"the recipes and the simple methods": known})
    return notes + (note_met(asked, {"the fits": tuned}, "were stopped by") if given else ())


def _known(part: Tensors | None) -> Iterator[bytes]:
    """The bytes of all masks and of all values under them."""
    if part is None:
        return
    for name, mask in part.present.items():
        yield name.encode()
        yield mask.numpy().tobytes()
        wide = as_cells(mask, part.x[name])
        yield torch.where(wide, part.x[name], torch.zeros_like(part.x[name])).numpy().tobytes()
