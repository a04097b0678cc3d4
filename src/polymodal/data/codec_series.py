"""Series: counts as they are, real numbers standardised a channel; flat (channels x times) inside.

A channel keeps one mean and one scale over all of its times, so that its course is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.kinds import COUNTED, SERIES_LIKELIHOODS
from polymodal.data.magnitude import LARGEST, LARGEST_COUNT, check_spread, standardised
from polymodal.data.row_error import RowError
from polymodal.data.series import are_counts, no_counts
from polymodal.data.specs import ModalitySpec

if TYPE_CHECKING:
    from pandas import Index


@dataclass(frozen=True)
class SeriesCodec:
    """z = (x - mean) / sd of each channel; counts are left as they are.

    Arguments:
        size: Channels and times.
        likelihood: ``negative_binomial``, ``poisson`` or ``gaussian``.
        loc, scale: Mean and standard deviation of each channel, (C,) float64.
        dtype: numpy's name of the dtype of training.
        flat: Whether raw values are (N, T) instead of (N, C, T).
    """

    size: tuple[int, int]
    likelihood: str
    loc: np.ndarray
    scale: np.ndarray
    dtype: str
    flat: bool

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> SeriesCodec:
        """From the training rows."""
        size = spec.size
        if not isinstance(size, tuple):
            raise ValueError(f"{where}: the schema says no size of the series; give one.")
        counted = are_counts(values.reshape(len(values), -1), present)
        likelihood = spec.likelihood or ("negative_binomial" if counted else "gaussian")
        loc, scale = np.zeros(size[0]), np.ones(size[0])
        if likelihood == "gaussian":
            there = present.reshape(len(values), *size)
            known = np.where(there, values.reshape(len(values), *size), 0).astype(np.float64)
            n_known = np.maximum(there.sum((0, 2)), 1)
            with np.errstate(over="ignore", invalid="ignore"):
                loc = known.sum((0, 2)) / n_known
                away = np.where(there, known - loc[:, None], 0)
                spread = np.sqrt(np.square(away).sum((0, 2)) / n_known)
            check_spread(loc, spread, np.abs(known).max(initial=0), where)
            scale = np.where(spread > 1e-12 * np.maximum(1, np.abs(loc)), spread, 1.0)
        return cls(size, likelihood, loc, scale, values.dtype.name, values.ndim == 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (C T,)."""
        return (self.size[0] * self.size[1],)

    @property
    def counted(self) -> bool:
        """Whether the values are counts."""
        return self.likelihood in COUNTED

    def complete(self, spec: ModalitySpec) -> ModalitySpec:
        """The specification with the likelihood that was chosen."""
        return replace(spec, likelihood=self.likelihood)

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Values (N, C T) float32, 0 where nothing is there; present (N, C T)."""
        flat = values.reshape(len(values), -1)
        if flat.shape[1:] != self.shape:
            raise ValueError(
                f"{where}: expected series of {self.size[0]} x {self.size[1]} (channels, times), "
                f"got {values.shape[1:]}."
            )
        if self.counted:
            present = present & ~self._no_counts(flat, present, where, unseen)
        loc, scale = self._spread(self.loc), self._spread(self.scale)
        cells = np.where(present, flat, loc)
        largest = LARGEST_COUNT if self.counted else LARGEST
        cells = standardised(cells, loc, scale, where, unseen, largest=largest, place=self._place)
        present = present & ~np.isnan(cells)
        encoded = np.where(present, cells, 0).astype(np.float32)
        return torch.from_numpy(encoded), torch.from_numpy(present)

    def _no_counts(
        self, flat: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> np.ndarray:
        """Which known values are no counts, bool (N, C T); refused unless they may be missing."""
        wrong = no_counts(flat, present)
        if wrong.any() and unseen == "raise":
            row, cell = (int(i) for i in np.argwhere(wrong)[0])
            raise RowError(
                where, row, f"{self._place(cell)}: expected a count (0, 1, 2, ...), as all known "
                f"values of training were counts; got {flat[row, cell]:g}. Mend it, or set "
                "likelihood: gaussian in the schema and fit anew.",
            )  # fmt: skip
        return wrong

    def _place(self, cell: int) -> str:
        channel, time = divmod(cell, self.size[1])
        return f", channel {channel}, time {time}" if self.size[0] > 1 else f", time {time}"

    def _spread(self, channels: np.ndarray) -> np.ndarray:
        return np.repeat(channels, self.size[1])

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Raw series of the training dtype and form; counts and whole numbers rounded."""
        raw = values.astype(np.float64) * self._spread(self.scale) + self._spread(self.loc)
        dtype = np.dtype(self.dtype)
        if self.counted or (dtype.kind in "iu" and not np.isnan(raw).any()):
            raw = np.round(raw)
        if dtype.kind in "iu" and not np.isnan(raw).any():
            info = np.iinfo(dtype)
            # floats can not hold the largest int64: one step below they can
            raw = np.clip(raw, info.min, np.nextafter(float(info.max), 0)).astype(dtype)
        elif dtype.kind == "f":
            raw = raw.astype(dtype)
        return raw if self.flat else raw.reshape(len(raw), *self.size)

    def log_jacobian(self, values: Tensor, present: Tensor) -> Tensor:
        """Sum over present cells of -log sd, (B,); 0 for counts."""
        slope = torch.from_numpy(self._spread(-np.log(self.scale))).to(values)
        return torch.where(present, slope, 0).sum(1)

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and the tensors ``loc`` and ``scale``."""
        config = {"size": list(self.size), "likelihood": self.likelihood}
        tensors = {"loc": torch.from_numpy(self.loc), "scale": torch.from_numpy(self.scale)}
        return {**config, "dtype": self.dtype, "flat": self.flat}, tensors

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> SeriesCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        loc, scale = (tensors[one].to(torch.float64).numpy() for one in ("loc", "scale"))
        size = tuple(config["size"])
        codec = cls(size, config["likelihood"], loc, scale, config["dtype"], config["flat"])
        if (size, codec.likelihood) != (spec.size, spec.likelihood):
            raise ValueError("size and likelihood are not the schema's")
        if codec.likelihood not in SERIES_LIKELIHOODS or not isinstance(codec.flat, bool):
            raise ValueError("likelihood must be known, flat true or false")
        if loc.shape != (size[0],) or scale.shape != loc.shape or (codec.flat and size[0] != 1):
            raise ValueError(f"loc and scale must have the shape ({size[0]},)")
        if not np.isfinite(loc).all() or not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError("loc must be finite, scale finite and above 0")
        if np.dtype(codec.dtype).kind not in "iufb":
            raise ValueError(f"dtype {codec.dtype!r} is none of numbers")
        return codec
