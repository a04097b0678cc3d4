"""The classes of rows: read from a column, put in order, and told from what is no class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from polymodal.data.dataset import MultimodalData
from polymodal.data.names import nearest
from polymodal.data.tags import SETS
from polymodal.data.written import parsed

MOST_CLASSES = 1000
_NAMED = 10
"""So many classes that no judge knows are named."""
_FEW_CLASSES = 10
"""So many are taken for classes even in so few rows that most of them stand there once."""


def labels_of(data: MultimodalData, label: str) -> tuple[np.ndarray, str | None]:
    """The raw labels ``(N,)``, None where missing, and the modality that holds them if any does.

    Raises:
        ValueError: If the data have no such column or modality, or a cell of it is a list.
    """
    home = None
    for name in data.schema.names:
        spec = data.schema[name]
        if label == name or label in spec.sources:
            home = name
    found, present = None, None
    if home is not None and data.schema[home].kind == "table":
        table = data.values(home)
        found = (
            table[label] if label in table else table.iloc[:, 0] if table.shape[1] == 1 else None
        )
    else:
        found, present = data.column(label) or (None, None)
    if found is None or np.ndim(found) != 1:
        near = "" if label in data.native() else nearest(label, [*data.native()])
        raise ValueError(
            f"{data.origin}: the label {label!r} must be a column with one value a row.{near}"
        )
    import pandas as pd

    # As objects, since a None in a column of strings or dates becomes NaN or NaT.
    column = pd.Series(found, dtype=object)
    labels = column.to_numpy(copy=True)
    labels[column.isna().to_numpy(dtype=bool)] = None
    if present is not None:
        labels[~present] = None
    listed = next((one for one in map(parsed, labels) if isinstance(one, SETS)), None)
    if listed is not None:
        raise ValueError(
            f"{data.origin}: the label {label!r} holds lists ({listed!s:.40}), where a class is "
            "one value a row; name a column of classes."
        )
    return labels, home


def classes_of(labels: np.ndarray, label: str) -> tuple[str, ...]:
    """The classes that training rows have, in order: numbers by size, the rest as text.

    Raises:
        ValueError: If there are fewer than two, more than ``MOST_CLASSES``, or so many that most
            have one row only.
    """
    found = {_text(one): one for one in labels if one is not None}
    numbers = all(isinstance(one, int | float | np.number) for one in found.values())
    ordered = sorted(found, key=(lambda text: float(found[text])) if numbers else None)
    if not 2 <= len(ordered) <= MOST_CLASSES:
        raise ValueError(
            f"coherence: the label {label!r} has {len(ordered)} different values in the training "
            f"rows; classes are 2 to {MOST_CLASSES} of them."
        )
    n_rows = sum(one is not None for one in labels)
    if len(ordered) > max(n_rows / 2, _FEW_CLASSES):
        raise ValueError(
            f"coherence: the label {label!r} has {len(ordered)} different values in {n_rows} "
            "training rows, which are no classes: most have no second row; name a column whose "
            "values come again."
        )
    return tuple(ordered)


def codes_of(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Places of labels among the classes, int64 ``(N,)``; -1 where missing or not among them."""
    place = {name: i for i, name in enumerate(classes)}
    codes = [-1 if one is None else place.get(_text(one), -1) for one in labels]
    return np.array(codes, dtype=np.int64)


def rows_left_out(labels: np.ndarray, classes: Sequence[str], judging: str = "judge") -> list[str]:
    """How many test rows cannot be judged and of which classes they are; a sentence each.

    Arguments:
        labels: Those of the test rows, ``(N,)``, None where missing.
        classes: The classes that are known.
        judging: What knows them.
    """
    missing = sum(one is None for one in labels)
    unknown = Counter(_text(one) for one in labels if one is not None)
    for name in classes:
        unknown.pop(name, None)
    notes = []
    if missing:
        verbs = "has no label and was" if missing == 1 else "have no label and were"
        notes.append(f"{missing:,} of {len(labels):,} test rows {verbs} not judged.")
    if unknown:
        ranked = sorted(unknown.items(), key=lambda one: (-one[1], one[0]))
        named = ", ".join(f"{name} ({n:,} row{'s' * (n > 1)})" for name, n in ranked[:_NAMED])
        rest = len(ranked) - _NAMED
        others = f" and {rest} other{'s' * (rest > 1)}" if rest > 0 else ""
        total = unknown.total()
        notes.append(
            f"{total:,} of {len(labels):,} test rows {'was' if total == 1 else 'were'} not "
            f"judged, as no {judging} knows their class: {named}{others}."
        )
    return notes


def _text(value: Any) -> str:  # noqa: ANN401 (whatever a column holds)
    """A label as text: 3, 3.0 and "3" are one."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def check_any(codes: np.ndarray, classes: Sequence[str]) -> None:
    """Refuse test rows of which none has a label that is known.

    Raises:
        ValueError: If none has.
    """
    if (codes < 0).all():
        raise ValueError(
            f"coherence: no test row has a label among the judges' classes, which are "
            f"{', '.join(classes[:10])}{'...' * (len(classes) > 10)}."
        )
