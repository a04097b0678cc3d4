"""How a set of tags stands in a row: the one place that says it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polymodal.data.schema import ModalitySpec

SEPARATOR = ";"


def tags_modality(rows: Sequence[Sequence[str]], name: str) -> tuple[np.ndarray, ModalitySpec]:
    """Sets of tags as an array (N,) of strings, and the modality's specification.

    A row without tags is an empty string: it is known that there is none.

    Raises:
        ValueError: If a tag holds the separator.
    """
    column = np.full(len(rows), "", dtype=object)
    for row, tags in enumerate(rows):
        for tag in tags:
            if SEPARATOR in tag:
                raise ValueError(
                    f"{name}, row {row}: the tag {tag!r} holds {SEPARATOR!r}, which parts tags."
                )
        column[row] = SEPARATOR.join(tags)
    return column, ModalitySpec("tags", column=name, separator=SEPARATOR)
