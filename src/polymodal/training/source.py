"""What training asks of data and of a model; it knows nothing of how either is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from polymodal.typing import Batch, Present


class Source(Protocol):
    """Rows that can be gathered by index, a whole batch at a time."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def gather(self, index: Tensor) -> tuple[Batch, Present]:
        """Values and presence of the rows ``index``, int64 ``(B,)`` on the CPU, in that order."""
        ...


class TermsLike(Protocol):
    """What the loss of a model returns: one value a row."""

    @property
    def loss(self) -> Tensor:
        """What is minimised, nats, ``(B,)``."""
        ...

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """Every term, unscaled, for the log, ``(B,)`` each."""
        ...
