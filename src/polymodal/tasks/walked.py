r"""Walks along the latent directions that matter most, every modality decoded at each step.

A direction matters as far as rows differ along it: by the variance over rows of the posterior's
mean,

.. math:: A_d = \mathrm{Var}_x\, E_{q(z \mid x)} z_d

which is near 0 for a number that the model does not use. A walk starts at one row and moves one
number over the range where rows have it, from ``reach`` standard deviations below its average to
as many above.

References:
    Yuri Burda, Roger Grosse, Ruslan Salakhutdinov. Importance Weighted Autoencoders. ICLR 2016.
    https://arxiv.org/abs/1509.00519 (the activity of a latent unit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.tensors import Tensors
from polymodal.model import LatentModel
from polymodal.tasks.blocks import ALL, block_of, numbers_of
from polymodal.tasks.filled import contained
from polymodal.tasks.generate import embed
from polymodal.tasks.traverse import means_of
from polymodal.typing import is_whole

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL_DIRECTIONS, USUAL_STEPS, USUAL_REACH = 6, 7, 2.0
DRAWN = ("image", "audio")
"""Kinds that a walk shows as pictures."""


@dataclass(frozen=True)
class Direction:
    """One latent number.

    Arguments:
        latent: Which, from 0.
        block: Who reads it: ``"shared"``, one modality, or ``""`` where nobody says.
        spread: Standard deviation over rows of its posterior mean.
    """

    latent: int
    block: str
    spread: float


@dataclass(frozen=True)
class Traversal:
    """K walks of T steps from one row.

    Arguments:
        codec: The model's codec.
        start: The row's position in the data.
        directions: The latent numbers that were walked along, the most important first.
        reach: How far to each side of the average, in standard deviations.
        at: What each was set to, ``(K, T)``.
        decoded: Modality -> means of p(x | z) in the codec's terms, ``(K, T, ...)``.
    """

    codec: DataCodec
    start: int
    directions: tuple[Direction, ...]
    reach: float
    at: Tensor
    decoded: Mapping[str, Tensor]

    def table(self) -> DataFrame:
        """A line a direction: ``latent``, ``block``, ``spread``, and where the walk leads."""
        import pandas as pd

        lines = [vars(one) for one in self.directions]
        ends = {"from": self.at[:, 0].tolist(), "to": self.at[:, -1].tolist()}
        return pd.DataFrame(lines).assign(**ends)

    def frame(self, names: Sequence[str] | None = None) -> DataFrame:
        """A line a step, K T in all: ``(latent)``, ``(value)``, then what was decoded there.

        Arguments:
            names: The modalities; all that were decoded when None.

        Raises:
            ValueError: If one was not decoded.
        """
        import pandas as pd

        strangers = [name for name in names or () if name not in self.decoded]
        if strangers:
            raise ValueError(
                f"traverse: {strangers[0]!r} was not decoded; there are {', '.join(self.decoded)}."
            )

        n_steps = self.at.shape[1]
        latent = np.repeat([one.latent for one in self.directions], n_steps)
        steps = {"(latent)": latent, "(value)": self.at.flatten().numpy()}
        wanted = [name for name in self.decoded if names is None or name in names]
        if not wanted:
            return pd.DataFrame(steps)
        raw = {name: self.codec.decode(name, self.decoded[name].flatten(0, 1)) for name in wanted}
        return pd.concat([pd.DataFrame(steps), contained(self.codec, raw, "frame")], axis=1)

    def pictures(self, name: str) -> np.ndarray:
        """A picture or sound modality as pictures ``(K, T, C, H, W)``; see ``pictures_of``.

        Raises:
            ValueError: If the modality is of another kind, or was not decoded.
        """
        if name not in self.decoded:
            known = [one for one in self.decoded if self.codec.kind(one) in DRAWN]
            raise ValueError(
                f"traverse: {name!r} is no picture or sound that was decoded; there are "
                f"{', '.join(known) or 'none'}; frame() has all the rest."
            )
        return pictures_of(self.codec, name, self.decoded[name])


def pictures_of(codec: DataCodec, name: str, decoded: Tensor) -> np.ndarray:
    """A picture or sound modality as pictures ``(..., C, H, W)`` in [0, 1].

    A sound is its spectrogram, low tones at the bottom, from the faintest to the loudest of all.

    Raises:
        ValueError: If the modality is of another kind.
    """
    if codec.kind(name) not in DRAWN:
        known = [one for one in codec.names if codec.kind(one) in DRAWN]
        raise ValueError(
            f"{name!r} is no picture or sound that was decoded; there are "
            f"{', '.join(known) or 'none'}; frame() has all the rest."
        )
    shown = np.nan_to_num(decoded.double().cpu().numpy())
    if codec.kind(name) == "audio":
        low, high = shown.min(), shown.max()
        shown = ((shown - low) / ((high - low) or 1.0))[..., ::-1, :]
    return shown.clip(0.0, 1.0)


@torch.no_grad()
def walk(
    model: LatentModel,
    codec: DataCodec,
    source: Tensors,
    *,
    directions: int | Sequence[int] = USUAL_DIRECTIONS,
    steps: int = USUAL_STEPS,
    reach: float = USUAL_REACH,
    start: int | None = None,
    block: str | None = None,
    names: Sequence[str] | None = None,
) -> Traversal:
    """Walk from one row along some latent directions.

    Arguments:
        model: The model.
        codec: Its codec.
        source: Rows that show along which directions rows differ, and how far; 2 or more.
        directions: How many, those that matter most; or which latent numbers, from 0.
        steps: Steps of a walk.
        reach: How far to each side of the average, in standard deviations over the rows.
        start: Position of the row to start from; the one nearest to the average when None.
        block: Choose among the latent numbers of this block alone: ``"shared"``, or a modality;
            all when None.
        names: The modalities to decode; all when None.

    Raises:
        ValueError: If there are too few rows, the rows do not differ, or something asked for is
            out of range.
        Lacking: If the family does not embed.
    """
    model.check_names(names or ())
    if not is_whole(steps, 2) or not 0 < reach < float("inf"):
        raise ValueError(
            "traverse: steps must be at least 2, a whole number, and reach above 0, got "
            f"{steps} and {reach}."
        )
    embedded = embed(model, source)
    z = embedded.cpu().double()
    if len(z) < 2:
        raise ValueError(
            "traverse: at least 2 rows are needed to see along which directions rows differ, got "
            f"{len(z)}; start= says from which of them to walk."
        )
    average, spread = z.mean(0), z.std(0)
    among = numbers_of(model, block or ALL) or range(len(spread))
    found = _chosen(directions, spread, among)
    if start is None:
        start = int((z - average).square().sum(1).argmin())
    if not 0 <= start < len(z):
        raise ValueError(f"traverse: start must be a row from 0 to {len(z) - 1}, got {start}.")
    ways = torch.linspace(-reach, reach, int(steps), dtype=z.dtype)
    at = average[found, None] + ways * spread[found, None]  # (K, T)
    walked = z[start].expand(*at.shape, -1).clone()
    for k, dimension in enumerate(found):
        walked[k, :, dimension] = at[k]
    decoded = means_of(model, walked.to(embedded), names, noise=False)
    return Traversal(
        codec,
        start,
        tuple(Direction(d, block_of(model, d), spread[d].item()) for d in found),
        float(reach),
        at,
        {name: value.cpu() for name, value in decoded.items()},
    )


def _chosen(directions: int | Sequence[int], spread: Tensor, among: Sequence[int]) -> list[int]:
    """The latent numbers to walk along."""
    if isinstance(directions, int | np.integer):
        if not is_whole(directions, 1):
            raise ValueError(
                f"traverse: directions must be at least 1, got {directions}; how many is a whole "
                "number."
            )
        moved = [d for d in among if spread[d] > 0]
        if not moved:
            raise ValueError(
                "traverse: all rows have the same latent numbers, so that no direction matters; "
                "give rows that differ."
            )
        return sorted(moved, key=lambda d: -spread[d].item())[:directions]
    found = [int(d) for d in directions]
    wrong = [d for d in found if d not in among]
    if wrong or not found:
        raise ValueError(
            f"traverse: directions must be latent numbers from {among[0]} to {among[-1]}, got "
            f"{wrong[0] if wrong else 'none'}."
        )
    return found
