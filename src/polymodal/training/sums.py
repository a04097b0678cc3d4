"""Sums of the loss and of every term over an epoch, kept on the device in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from polymodal.typing import Terms


class TermSums:
    """Running sums, apart for each set of terms that a batch may have."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}  # terms -> (1 + terms,), the loss first
        self._rows: dict[tuple[str, ...], int] = {}

    def add(self, terms: Terms) -> Tensor:
        """Take in a batch; returns its sums, the loss first, ``(1 + terms,)`` float64."""
        names = tuple(terms.parts)
        with torch.no_grad():
            rows = torch.stack([terms.loss, *terms.parts.values()]).detach()  # (1 + terms, B)
            batch = rows.sum(1, dtype=torch.float64)
            if names in self._sums:
                self._sums[names].add_(batch)
            else:
                self._sums[names] = batch.clone()
        self._rows[names] = self._rows.get(names, 0) + rows.shape[1]
        return batch

    def state(self) -> list[Any]:
        """All of it as numbers that JSON keeps exactly."""
        return [[list(n), total.tolist(), self._rows[n]] for n, total in self._sums.items()]

    def restore(self, saved: Sequence[Any], device: torch.device) -> None:
        """Add what `state` gave; the next batches are added to the very same floats."""
        for names, totals, rows in saved:
            key = tuple(str(name) for name in names)
            total = torch.tensor(totals, dtype=torch.float64, device=device)
            if total.shape != (1 + len(key),):
                raise ValueError("the sums of the epoch do not fit their terms")
            self._sums[key] = self._sums[key] + total if key in self._sums else total
            self._rows[key] = self._rows.get(key, 0) + int(rows)


def term_means(states: Sequence[Sequence[Any]]) -> tuple[float, dict[str, float]]:
    """Mean loss and mean of each term over the rows that had it, from every process's `state`."""
    total, count = 0.0, 0
    sums: dict[str, tuple[float, int]] = {}
    for state in states:
        for names, (loss, *parts), rows in state:
            total, count = total + loss, count + rows
            for name, part in zip(names, parts, strict=True):
                so_far, n = sums.get(name, (0.0, 0))
                sums[name] = (so_far + part, n + rows)
    return total / max(1, count), {name: value / n for name, (value, n) in sums.items()}
