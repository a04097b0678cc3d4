"""Rows that a model was fitted on say little of its skill: told from others, and left out.

A row is known again by 64 bits of a hash of all that it has, in the model's own coding, so that a
model file can tell its training rows without holding anything of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.typing import as_cells, rows_present

_CHUNK = 4096


class Judged(NamedTuple):
    """What a model is judged by.

    Arguments:
        rows: The rows to judge on.
        learned: The rows that the baselines learn from; None if there are none.
        notes: What the reader should know of the rows, a sentence each.
        held_out: Whether it is known that the model did not learn from the rows.
    """

    rows: Tensors
    learned: Tensors | None
    notes: tuple[str, ...]
    held_out: bool


def row_hashes(rows: Tensors) -> Tensor:
    """64 bits of a hash of each row's known values, int64 ``(N,)``, on the CPU."""
    found = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _CHUNK):
        piece = slice(start, start + _CHUNK)
        parts = []
        for name in sorted(rows.names):
            x, there = rows.x[name][piece].cpu(), rows.present[name][piece].cpu()
            # What is absent may hold any number, and -0.0 is 0.0.
            x = torch.where(as_cells(there, x), x, torch.zeros((), dtype=x.dtype)) + 0
            parts += [x.numpy(), there.numpy()]
        flat = [np.ascontiguousarray(one).reshape(len(one), -1).view(np.uint8) for one in parts]
        for place, row in enumerate(np.concatenate(flat, 1), start):
            digest = hashlib.blake2b(row.data, digest_size=8).digest()
            found[place] = int.from_bytes(digest, "little", signed=True)
    return torch.from_numpy(found)


def rows_of_fit(rows: Tensors, trained: Tensor, held_out: np.ndarray) -> Tensor | None:
    """Which rows of the very data of a fit were trained on, bool ``(N,)``; None of other data.

    Arguments:
        rows: The rows given, N.
        trained: Hashes of the rows that the model was trained on.
        held_out: Positions of the rows of the fitted data that were held out for early stopping.

    Raises:
        ValueError: If the rows are those that the model was trained on.
    """
    hashes, some = row_hashes(rows), with_anything(rows)
    refuse_trained(hashes[some], trained, "evaluate")
    if not len(held_out) or int(held_out.max()) >= len(rows):
        return None
    others = torch.ones(len(rows), dtype=torch.bool)
    others[torch.as_tensor(held_out)] = False
    return others if same_rows(hashes[others & some], trained) else None


def refuse_trained(hashes: Tensor, trained: Tensor | None, verb: str) -> None:
    """Refuse rows to judge on that are those that were learned from.

    Arguments:
        hashes: Those of the rows to judge on that have anything.
        trained: Those of the rows that were learned from; None where nobody knows.
        verb: What the error calls the judgement.

    Raises:
        ValueError: If they are the same, whatever their order.
    """
    if trained is not None and same_rows(hashes, trained):
        raise ValueError(
            f"{verb}: these are the rows that the model was trained on, which say nothing of its "
            "skill on others; pass rows that were not trained on, such as the second of "
            "data.split(0.2)."
        )


def choose_rows(
    test: Tensors, learned: Tensors | None, trained: Tensor | None, held_out: np.ndarray
) -> Judged:
    """What to judge a model by: of the very data of its fit, only what was held out.

    Arguments:
        test: The rows given, N.
        learned: The rows that the baselines shall learn from; None for those of the fit.
        trained: Hashes of the rows that the model was trained on; None where nobody knows.
        held_out: Positions of the rows of the fitted data that were held out for early stopping.

    Raises:
        ValueError: If ``learned`` is None and the rows are those that the model was trained on.
    """
    if learned is None and trained is not None:
        fitted = rows_of_fit(test, trained, held_out)
        if fitted is not None:
            note = (
                f"The {len(test):,} rows given are those of the fit; only the {len(held_out):,} "
                "of them that were held out to stop by were judged, and rows that played no part "
                "in the fit are a fairer test."
            )
            known = test.rows(fitted & with_anything(test))
            return Judged(test.rows(~fitted), known, (note,), held_out=True)
    hashes = row_hashes(test)
    notes = note_met(
        hashes,
        {
            "the model": trained,
            "the simple methods": None if learned is None else row_hashes(learned),
        },
    )
    others = trained is not None and not bool(torch.isin(hashes, trained).any())
    return Judged(test, learned, notes, held_out=others)


def note_met(
    hashes: Tensor, learned: Mapping[str, Tensor | None], did: str = "learned from"
) -> tuple[str, ...]:
    """How many of the rows judged equal rows that were used before, in a sentence if any do.

    Arguments:
        hashes: Those of the rows judged.
        learned: Who used some, and the hashes of the rows; None where nobody knows.
        did: What for.
    """
    met = {who: torch.isin(hashes, one) for who, one in learned.items() if one is not None}
    met = {who: rows for who, rows in met.items() if bool(rows.any())}
    if not met:
        return ()
    n_met = int(torch.stack(list(met.values())).any(0).sum())
    return (
        f"{n_met:,} of the {len(hashes):,} rows judged "
        f"equal{'s a row' if n_met == 1 else ' rows'} that {' and '.join(met)} {did}; if "
        "they are the same rows and not only alike, errors are lower here than on others.",
    )


def with_anything(rows: Tensors) -> Tensor:
    """Which rows have any value, bool ``(N,)``; the fit leaves out the others."""
    there = [rows_present(mask).cpu() for mask in rows.present.values()]
    return torch.stack(there).any(0)


def same_rows(one: Tensor, other: Tensor) -> bool:
    """Whether two sets of rows have the same hashes, in any order."""
    return one.shape == other.shape and torch.equal(one.sort().values, other.sort().values)
