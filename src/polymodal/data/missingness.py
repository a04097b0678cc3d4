"""What is there, and hiding it completely at random, so that filling it in again can be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from polymodal.data.cells import emptied
from polymodal.data.kinds import CELLWISE
from polymodal.data.names import Raw, nearest
from polymodal.typing import checked_seed

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData

Hidden = dict[str, np.ndarray]
"""Modality -> bool, true where something was known and now is hidden: (N,) or (N, P)."""


def anything(data: MultimodalData) -> np.ndarray:
    """Which rows have any value at all, bool ``(N,)``: a row with nothing has nothing to teach."""
    return np.logical_or.reduce([something_of(data, name) for name in data.names])


def something_of(data: MultimodalData, name: str) -> np.ndarray:
    """Which rows have anything of a modality, bool ``(N,)``."""
    return np.asarray(data.present(name).reshape(len(data), -1).any(1))


def never_there(data: MultimodalData) -> list[str]:
    """Modalities and columns of which no row has a value."""
    found = []
    for name, spec in data.schema.modalities.items():
        there = data.present(name)
        if not there.any():
            found.append(name)
        elif spec.columns:
            found += [spec.columns[i].name for i in np.flatnonzero(~there.any(0))]
    return found


def hide(
    data: MultimodalData,
    share_modalities: float = 0.25,
    share_cells: float = 0.1,
    seed: int = 0,
    *,
    modalities: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> tuple[MultimodalData, Hidden]:
    """Hide whole modalities, then single cells; the last known thing of a row is never hidden.

    Arguments:
        data: Rows; they are not changed.
        share_modalities: Chance of each known modality of a row to be hidden.
        share_cells: Chance of each table cell that is still known to be hidden.
        seed: The same seed hides the same things.
        modalities: Those that may be hidden whole; all if None.
        columns: Table columns whose cells may be hidden; all of tables with more than one column
            if None. The name of a vector modality stands for all its cells.

    Returns:
        The data with less in them, and what was hidden. Hidden values are gone from the result:
        NaN or None, or 0 under a false ``present`` where the dtype has no room for NaN.
    """
    for name, share in (("share_modalities", share_modalities), ("share_cells", share_cells)):
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"hide: {name} must be in [0, 1], got {share!r}.")
    for name, names in (("modalities", modalities), ("columns", columns)):
        if isinstance(names, str) or not isinstance(names, Iterable | None):
            raise TypeError(f"hide: {name} must be a list of names, got {names!r}.")
    rng = np.random.default_rng(checked_seed("hide: seed", seed))
    before = {name: data.present(name) for name in data.names}
    after = _hide_modalities(before, share_modalities, rng, _chosen(data, modalities))
    after = _hide_cells(after, share_cells, rng, _cells_that_may_go(data, columns))
    hidden = {name: before[name] & ~after[name] for name in data.names}
    changed = [name for name in data.names if hidden[name].any()]
    values = {name: _emptied(data, name, after[name]) for name in changed}
    return data.replace(values, {name: after[name] for name in changed}), hidden


def _chosen(data: MultimodalData, names: Sequence[str] | None) -> np.ndarray:
    """Which modalities may be hidden whole, bool (M,)."""
    for name in names or ():
        if name not in data.names:
            raise ValueError(f"hide: no modality {name!r}.{nearest(name, data.names)}")
    return np.array([names is None or name in names for name in data.names])


def _cells_that_may_go(
    data: MultimodalData, columns: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """Modality -> bool (P,), for those whose cells may be hidden."""
    known: dict[str, tuple[str, ...]] = {
        name: data.schema[name].sources for name in data.names if data.schema[name].kind == "table"
    }
    vectors = [name for name in data.names if data.schema[name].kind in CELLWISE]
    if columns is None:
        return {name: np.ones(len(own), dtype=bool) for name, own in known.items() if len(own) > 1}
    every = [column for own in known.values() for column in own]
    for column in columns:
        if column not in every and column not in vectors:
            raise ValueError(f"hide: no column {column!r}.{nearest(column, [*every, *vectors])}")
    chosen = {name: np.isin(np.array(own), columns) for name, own in known.items()}
    for name in vectors:
        if name in columns:
            chosen[name] = np.ones(data.present(name).shape[1], dtype=bool)
    return chosen


def _hide_modalities(
    before: Mapping[str, np.ndarray], share: float, rng: np.random.Generator, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    known = np.stack([m if m.ndim == 1 else m.any(1) for m in before.values()])  # (M, N)
    gone = known & chosen[:, None] & (rng.random(known.shape) < share)
    # where nothing would be left, one known thing at random stays
    lucky = np.where(known, rng.random(known.shape), -1).argmax(0)
    bare = known.any(0) & ~(known & ~gone).any(0)
    gone[lucky[bare], np.flatnonzero(bare)] = False
    return {
        name: mask & (~gone[i] if mask.ndim == 1 else ~gone[i][:, None])
        for i, (name, mask) in enumerate(before.items())
    }


def _hide_cells(
    before: Mapping[str, np.ndarray],
    share: float,
    rng: np.random.Generator,
    chosen: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    if not chosen:
        return dict(before)
    cells = np.concatenate([before[name] for name in chosen], axis=1)  # (N, P)
    may = np.concatenate(list(chosen.values()))
    gone = cells & may & (rng.random(cells.shape) < share)
    kept = cells & ~gone
    others = [
        mask if mask.ndim == 1 else mask.any(1) for n, mask in before.items() if n not in chosen
    ]
    safe = np.any(others, axis=0) if others else np.zeros(len(cells), dtype=bool)
    bare = cells.any(1) & ~kept.any(1) & ~safe
    lucky = np.where(cells, rng.random(cells.shape), -1).argmax(1)
    kept[np.flatnonzero(bare), lucky[bare]] = True
    places = np.cumsum([len(one) for one in chosen.values()])[:-1]
    return {**before, **dict(zip(chosen, np.split(kept, places, axis=1), strict=True))}


def _emptied(data: MultimodalData, name: str, present: np.ndarray) -> Raw:
    """The values of a modality without what is not present any more."""
    values = data.values(name)
    if data.schema[name].kind == "table":
        import pandas as pd

        return pd.concat(
            {c: emptied(values[c], present[:, i]) for i, c in enumerate(values.columns)}, axis=1
        )
    values = values.copy()
    if data.schema[name].kind in CELLWISE:
        present = present.reshape(values.shape)
    if values.dtype == object:
        values[~present] = None
    else:
        values[~present] = np.nan if values.dtype.kind == "f" else 0
    return values
