"""Encoded rows in memory: what training and tasks draw their batches from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from polymodal.data.names import nearest
from polymodal.typing import Batch, Present


@dataclass(frozen=True)
class Tensors:
    """Rows of every modality with what is there of them, on one device.

    Arguments:
        x: Modality -> values, (N, ...).
        present: Modality -> bool, (N,) or (N, P); the same names.
    """

    x: Batch
    present: Present

    def __post_init__(self) -> None:
        if not self.x:
            raise ValueError("Tensors: at least one modality is needed, got none.")
        if list(self.x) != list(self.present):
            raise ValueError(
                "Tensors: x and present must have the same names in the same order, got "
                f"{list(self.x)} and {list(self.present)}."
            )
        n_rows = {name: len(one) for name, one in self.x.items()}
        for name, mask in self.present.items():
            cells = self.x[name].shape[: mask.ndim]
            if mask.dtype != torch.bool or mask.shape != cells or mask.ndim not in (1, 2):
                raise ValueError(
                    f"Tensors, {name!r}: present must be bool of the shape (rows,) or (rows, "
                    f"features), got {mask.dtype} of shape {tuple(mask.shape)} for values of "
                    f"shape {tuple(self.x[name].shape)}."
                )
        if len(set(n_rows.values())) > 1:
            raise ValueError(f"Tensors: modalities differ in their number of rows: {n_rows}.")

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities' names."""
        return tuple(self.x)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(iter(self.x.values())).device

    @property
    def nbytes(self) -> int:
        """Bytes of all values and masks."""
        every = [*self.x.values(), *self.present.values()]
        return sum(one.numel() * one.element_size() for one in every)

    @cached_property
    def _everywhere(self) -> frozenset[str]:
        """The modalities of which nothing is missing in any row."""
        return frozenset(name for name, mask in self.present.items() if bool(mask.all()))

    def gather(self, index: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The rows ``index`` (B,) int64 of every modality, in one call a tensor."""
        index, n = index.to(self.device), len(index)
        # Where nothing is missing, any rows of a mask will do: they are not copied.
        full = self._everywhere if n <= len(self) else frozenset()
        return (
            {name: one.index_select(0, index) for name, one in self.x.items()},
            {
                name: one[:n] if name in full else one.index_select(0, index)
                for name, one in self.present.items()
            },
        )

    def rows(self, rows: slice | Tensor) -> Tensors:
        """Some rows: views for a slice, copies for indices or truth values (N,)."""
        if isinstance(rows, Tensor):
            rows = rows.to(self.device)
        return Tensors(
            {name: one[rows] for name, one in self.x.items()},
            {name: one[rows] for name, one in self.present.items()},
        )

    def select(self, names: Sequence[str]) -> Tensors:
        """Some modalities only, in the order of ``names``."""
        for name in names:
            if name not in self.x:
                raise ValueError(f"Tensors: no modality {name!r}.{nearest(name, self.names)}")
        return Tensors(
            {name: self.x[name] for name in names}, {name: self.present[name] for name in names}
        )

    def to(self, device: torch.device | str) -> Tensors:
        """The same rows on another device."""
        return Tensors(
            {name: one.to(device) for name, one in self.x.items()},
            {name: one.to(device) for name, one in self.present.items()},
        )
