"""Data and the labels beside them, which evaluation may use and training never sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polymodal.data.array_rows import ArrayRows
from polymodal.data.dataset import MultimodalData
from polymodal.data.names import Raw
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows of a public data set with their labels.

    Arguments:
        data: The modalities. Labels are none of them.
        labels: One class a row, int64 (N,), a place in ``classes``; or several a row, bool (N, L).
        classes: What each class or each of the L columns is called.

    ``labelled[:100]``, ``labelled[[0, 5]]`` and ``labelled[bool array]`` take rows of both,
    ``labelled[["image"]]`` takes modalities.
    """

    data: MultimodalData
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.data):
            raise ValueError(
                f"{self.data.origin}: expected a label for each of the {len(self.data)} rows, "
                f"got {len(self.labels)}."
            )

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        several = "of several labels each" if self.labels.ndim == 2 else "of one class each"
        return f"Labelled({self.data!r}, {several}; {len(self.classes)} classes)"

    def __getitem__(self, key: Raw) -> Labelled:
        some = self.data[key]
        if isinstance(key, list | tuple) and any(isinstance(one, str) for one in key):
            return Labelled(some, self.labels, self.classes)
        index: Raw = [key] if isinstance(key, int | np.integer) else key
        return Labelled(some, self.labels[index], self.classes)

    def with_labels(self, name: str = "label") -> MultimodalData:
        """The data with the labels as one more modality, for models that are to learn them.

        A category of class names, or for several labels a table with a category 0, 1 each.

        Raises:
            ValueError: If there is a modality of that name already.
        """
        if name in self.data.names:
            raise ValueError(
                f"{self.data.origin}: there is a modality {name!r} already; name the labels "
                "otherwise."
            )
        schema = self.data.schema
        if self.labels.ndim == 1:
            added: Raw = np.array(self.classes, dtype=object)[self.labels]
            columns = (ColumnSpec(name, "category", self.classes),)
        else:
            added, columns = flags_table(self.labels, self.classes)
        arrays = {**self.data.native(), name: added}
        known = {
            one: self.data.present(one)
            for one, spec in schema.modalities.items()
            if spec.kind != "table"
        }
        specs = {**schema.modalities, name: ModalitySpec("table", columns)}
        return MultimodalData.build(ArrayRows(arrays, known, self.data.origin), Schema(specs))


def flags_table(flags: np.ndarray, names: tuple[str, ...]) -> tuple[Raw, tuple[ColumnSpec, ...]]:
    """A frame with a column 0, 1 for each column of bool (N, L), and the columns' kinds."""
    import pandas as pd

    frame = pd.DataFrame(flags.astype(np.int64), columns=list(names))
    return frame, tuple(ColumnSpec(name, "category", (0, 1)) for name in names)


def assemble(
    origin: str,
    arrays: Mapping[str, Raw],
    specs: Mapping[str, ModalitySpec | str],
    labels: np.ndarray,
    classes: tuple[str, ...],
) -> Labelled:
    """Labelled data of arrays.

    Arguments:
        origin: What errors call the data.
        arrays: Modality -> array with a row each, or a frame for a table.
        specs: Modality -> its specification, or its kind where nothing more is to be said.
        labels: Classes int (N,), or bool (N, L).
        classes: Their names.
    """
    full = {
        name: spec if isinstance(spec, ModalitySpec) else ModalitySpec(spec, column=name)  # type: ignore[arg-type]
        for name, spec in specs.items()
    }
    data = MultimodalData.build(ArrayRows(dict(arrays), {}, origin), Schema(full))
    kept = labels if labels.dtype == bool else labels.astype(np.int64)
    return Labelled(data, kept, classes)
