"""Rows that a model was fitted on say little of its skill: told from others, and left out."""

from __future__ import annotations

import numpy as np
import torch

from polymodal.data.tensors import Tensors
from polymodal.typing import rows_present


def unseen_rows(
    test: Tensors, train: Tensors, held_out: np.ndarray
) -> tuple[Tensors, tuple[str, ...]]:
    """The rows to judge on, and a note where they are not all that were given.

    Where the rows are the very data of the fit, only those that were held out are judged.

    Arguments:
        test: The rows given, N.
        train: The rows that the model was trained on.
        held_out: Positions of the rows of the fitted data that were held out for early stopping.

    Raises:
        ValueError: If the rows are those that the model was trained on.
    """
    n_rows = len(test)
    if _same(_with_anything(test), train):
        raise ValueError(
            "evaluate: these are the rows that the model was trained on, which say nothing of its "
            "skill on others; pass rows that were not trained on, such as the second of "
            "data.split(0.2)."
        )
    if not len(held_out) or int(held_out.max()) >= n_rows:
        return test, ()
    others = torch.ones(n_rows, dtype=torch.bool)
    others[torch.as_tensor(held_out)] = False
    if not _same(_with_anything(test.rows(others)), train):
        return test, ()
    note = (
        f"The {n_rows:,} rows given are those of the fit; only the {len(held_out):,} of them that "
        "were held out to stop by were judged, and rows that played no part in the fit are a "
        "fairer test."
    )
    return test.rows(~others), (note,)


def _with_anything(rows: Tensors) -> Tensors:
    """The rows that have any value; the fit leaves out the others."""
    there = [rows_present(mask) for mask in rows.present.values()]
    return rows.rows(torch.stack(there).any(0))


def _same(one: Tensors, other: Tensors) -> bool:
    """Whether two sources have the same known values in the same rows, bit for bit."""
    if len(one) != len(other) or set(one.names) != set(other.names):
        return False
    for name, mask in one.present.items():
        here, there = mask.cpu(), other.present[name].cpu()
        mine, its = one.x[name].cpu(), other.x[name].cpu()
        if here.shape != there.shape or mine.shape != its.shape or not torch.equal(here, there):
            return False
        if not torch.equal(mine[here], its[here]):
            return False
    return True
