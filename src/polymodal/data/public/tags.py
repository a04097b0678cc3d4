"""How a set of tags stands in a row: the one place that says it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polymodal.data.specs import ModalitySpec

SEPARATORS = (";", "|", "\n")
"""What stands between tags: the first that no tag holds. A tag of a line holds no line break."""


def tags_modality(rows: Sequence[Sequence[str]], name: str) -> tuple[np.ndarray, ModalitySpec]:
    """Sets of tags as an array (N,) of strings, and the modality's specification.

    A row without tags is an empty string: it is known that there is none.

    Raises:
        ValueError: If tags hold every separator.
    """
    every = "".join(tag for tags in rows for tag in tags)
    separator = next((one for one in SEPARATORS if one not in every), None)
    if separator is None:
        raise ValueError(f"{name}: tags hold all of {SEPARATORS}, one of which parts tags.")
    column = np.full(len(rows), "", dtype=object)
    column[:] = [separator.join(tags) for tags in rows]
    return column, ModalitySpec("tags", column=name, separator=separator)
