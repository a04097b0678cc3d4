"""Vectors, standardised a feature or of 0 and 1 as they are; images, scaled to [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from polymodal.data.images import array_layout
from polymodal.data.kinds import VECTOR_LIKELIHOODS
from polymodal.data.magnitude import check_spread, standardised
from polymodal.data.row_error import RowError
from polymodal.data.specs import IMAGE_MODES, ModalitySpec

if TYPE_CHECKING:
    from pandas import Index


@dataclass(frozen=True)
class VectorCodec:
    """z = (x - mean) / sd of each feature over the known training cells, sd 1 if constant.

    Values that are all 0 or 1 stay so: their likelihood is ``bernoulli``, mean 0 and sd 1.

    Arguments:
        loc, scale: Mean and standard deviation, (P,) float64.
        dtype: numpy's name of the dtype of training.
        constant: Features of which training knew one value only, which then is every answer,
            (P,) bool. None where values are 0 or 1: a rare 1 may not have been seen yet.
        likelihood: ``bernoulli`` or ``gaussian``.
    """

    loc: np.ndarray
    scale: np.ndarray
    dtype: str
    constant: np.ndarray
    likelihood: str = "gaussian"

    @classmethod
    def fit(cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str) -> Self:
        """From the training rows."""
        if spec.kind == "vector" and _are_yes_no(spec, values, present):
            _refuse_outside(_outside(values, present), values, where)
            size = values.shape[1]
            never = np.zeros(size, dtype=bool)
            return cls(np.zeros(size), np.ones(size), values.dtype.name, never, "bernoulli")
        n_known = present.sum(0)
        known = np.where(present, values, 0).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            loc = known.sum(0) / np.maximum(n_known, 1)
            away = np.where(present, known - loc, 0)
            scale = np.sqrt(np.square(away).sum(0) / np.maximum(n_known, 1))
        check_spread(loc, scale, np.abs(known).max(initial=0), where)
        constant = (n_known < 2) | ~(scale > 1e-12 * np.maximum(1, np.abs(loc)))
        told = constant & (n_known > 0)
        return cls(loc, np.where(constant, 1.0, scale), values.dtype.name, told)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.loc.shape

    @property
    def yes_no(self) -> bool:
        """Whether all values are 0 or 1."""
        return self.likelihood == "bernoulli"

    def complete(self, spec: ModalitySpec) -> ModalitySpec:
        """The specification with the likelihood that was chosen."""
        return replace(spec, likelihood=self.likelihood)

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Values (N, P) float32, 0 where nothing is there; present (N, P)."""
        if values.shape[1:] != self.shape:
            raise ValueError(
                f"{where}: expected vectors of {self.shape[0]} numbers, got {values.shape[1]}."
            )
        if self.yes_no:
            # Probabilities are the means that a model gives, and may come back to it.
            wrong = _outside(values, present)
            if unseen == "raise":
                _refuse_outside(wrong, values, where)
            present = present & ~wrong
        cells = np.where(present, values, self.loc)
        cells = standardised(cells, self.loc, self.scale, where, unseen)
        present = present & ~np.isnan(cells)
        encoded = np.where(present, cells, 0).astype(np.float32)
        return torch.from_numpy(encoded), torch.from_numpy(present)

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Raw vectors of the training dtype; whole numbers rounded and kept in their range.

        Probabilities stay floats, whatever the dtype: rounded, a rare 1 would never be told.
        """
        if self.yes_no and _fractions(values, ~np.isnan(values)).any():
            return values.astype(self.dtype if np.dtype(self.dtype).kind == "f" else np.float64)
        raw = values.astype(np.float64) * self.scale
        raw = np.where(self.constant & ~np.isnan(raw), 0.0, raw) + self.loc
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu" and not np.isnan(raw).any():
            info = np.iinfo(dtype)
            return np.clip(np.round(raw), info.min, info.max).astype(dtype)
        if dtype.kind == "b" and not np.isnan(raw).any():
            return raw > 0.5
        return raw.astype(dtype) if dtype.kind == "f" else raw

    def log_jacobian(self, values: Tensor, present: Tensor) -> Tensor:
        """Sum over present cells of -log sd, (B,)."""
        slope = torch.from_numpy(-np.log(self.scale)).to(values)
        return torch.where(present, slope, 0).sum(1)

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and the tensors ``loc`` and ``scale``."""
        told = {"loc": self.loc, "scale": self.scale, "constant": self.constant}
        tensors = {name: torch.from_numpy(value) for name, value in told.items()}
        return {"dtype": self.dtype, "likelihood": self.likelihood}, tensors

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> Self:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        loc, scale = (tensors[one].to(torch.float64).numpy() for one in ("loc", "scale"))
        if loc.shape != scale.shape or loc.shape != (spec.size,):
            raise ValueError(f"loc and scale must have the shape ({spec.size},)")
        if not np.isfinite(loc).all() or not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError("loc must be finite, scale finite and above 0")
        if np.dtype(config["dtype"]).kind not in "iufb":
            raise ValueError(f"dtype {config['dtype']!r} is none of numbers")
        constant = tensors.get("constant", torch.zeros(len(loc), dtype=torch.bool)).numpy()
        if constant.shape != loc.shape or constant.dtype != np.bool_:
            raise ValueError(f"constant must be bool of the shape ({spec.size},)")
        # files of versions that knew no other have none
        likelihood = config.get("likelihood", "gaussian")
        if likelihood not in VECTOR_LIKELIHOODS or likelihood != (spec.likelihood or "gaussian"):
            raise ValueError("likelihood is not the schema's")
        if likelihood == "bernoulli" and (loc.any() or (scale != 1).any() or constant.any()):
            raise ValueError("values of 0 and 1 must have loc 0 and scale 1")
        return cls(loc, scale, config["dtype"], constant, likelihood)


def _are_yes_no(spec: ModalitySpec, values: np.ndarray, present: np.ndarray) -> bool:
    """Whether the schema or the training rows say that values are 0 or 1."""
    if spec.likelihood is not None:
        return spec.likelihood == "bernoulli"
    # Of one column, or of one value alone, nobody can tell whether another will come.
    if values.shape[1] < 2 or _fractions(values, present).any():
        return False
    known = values[present] != 0
    return bool(known.any() and not known.all())


def _fractions(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Which known values are neither 0 nor 1, bool (N, P)."""
    return present & (values != 0) & (values != 1)


def _outside(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Which known values are no probabilities, bool (N, P)."""
    return present & ~((values >= 0) & (values <= 1))


def _refuse_outside(wrong: np.ndarray, values: np.ndarray, where: str) -> None:
    if wrong.any():
        row, place = (int(i) for i in np.argwhere(wrong)[0])
        raise RowError(
            where,
            row,
            f", value {place}: expected 0 or 1 or a probability between, as all "
            f"known values of training were 0 or 1; got {values[row, place]:g}. Mend it, or set "
            "likelihood: gaussian in the schema and fit anew.",
        )


LAYOUTS = ("hw", "chw", "hwc", "pil", "cells")


@dataclass(frozen=True)
class ImageCodec:
    """uint8 / 255, or floats in [0, 1] as they are; channels first.

    Arguments:
        mode: ``L`` or ``RGB``.
        size: (height, width).
        layout: ``hw``, ``chw``, ``hwc`` for arrays; ``pil``, ``cells`` for an object a row.
        dtype: numpy's name of the dtype of training.
    """

    mode: str
    size: tuple[int, int]
    layout: str
    dtype: str

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> ImageCodec:
        """From the training rows' form; no value is learned."""
        mode, size = str(spec.mode), spec.size
        if not isinstance(size, tuple):
            raise ValueError(f"{where}: the schema says no size of the pictures; give one.")
        if values.dtype != object:
            return cls(mode, size, array_layout(values.shape, where)[0], values.dtype.name)
        first = next((one for one in values if one is not None), None)
        layout = "cells" if isinstance(first, np.ndarray) else "pil"
        return cls(mode, size, layout, "uint8")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (C, H, W)."""
        return (IMAGE_MODES[self.mode], *self.size)

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Values (N, C, H, W) float32 in [0, 1], 0 where nothing is there; present (N,)."""
        encoded = np.zeros((len(values), *self.shape), dtype=np.float32)
        if values.dtype == object:
            rows = np.flatnonzero(present)
            if len(rows):
                stacked = np.stack([np.asarray(values[row]) for row in rows])
                encoded[rows] = _channels_first(stacked, stacked.shape, where) / np.float32(255)
        else:
            first = _channels_first(values, values.shape, where)
            if first.shape[1:] != self.shape:
                raise ValueError(
                    f"{where}: expected pictures of {self.shape} (channels, height, width), got "
                    f"{first.shape[1:]}."
                )
            rows = slice(None) if present.all() else present
            encoded[rows] = first[rows]
            if values.dtype == np.uint8:
                encoded /= np.float32(255)
        return torch.from_numpy(encoded), torch.from_numpy(np.array(present))

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Pictures in the form of training from (N, C, H, W); clipped to what pixels can be."""
        pixels = np.clip(np.nan_to_num(values), 0, 1)
        if self.dtype == "uint8":
            pixels = np.round(pixels * 255).astype(np.uint8)
        else:
            pixels = pixels.astype(self.dtype)
        if self.layout == "chw":
            return pixels
        if self.layout == "hwc":
            return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        flat = pixels[:, 0] if self.mode == "L" else pixels.transpose(0, 2, 3, 1)
        if self.layout == "hw":
            return flat
        from PIL import Image

        objects = np.full(len(flat), None, dtype=object)
        for row, one in enumerate(flat):
            plain = np.ascontiguousarray(one)
            objects[row] = Image.fromarray(plain) if self.layout == "pil" else plain
        return objects

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and no tensors."""
        config = {"mode": self.mode, "size": list(self.size)}
        return {**config, "layout": self.layout, "dtype": self.dtype}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> ImageCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        codec = cls(config["mode"], tuple(config["size"]), config["layout"], config["dtype"])
        if (codec.mode, codec.size) != (spec.mode, spec.size):
            raise ValueError("mode and size are not the schema's")
        if codec.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {codec.layout!r}")
        if codec.dtype not in ("uint8", "float16", "float32", "float64"):
            raise ValueError(f"pictures have no dtype {codec.dtype!r}")
        return codec


def _channels_first(values: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
    layout, _, _ = array_layout(shape, where)
    if layout == "hw":
        return values[:, None]
    return values.transpose(0, 3, 1, 2) if layout == "hwc" else values
