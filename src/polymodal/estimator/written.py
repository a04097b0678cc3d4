"""How a user says that texts shall be written."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.data.schema import Schema
from polymodal.distributions.decoding import Decoding


def written(
    text: Decoding | str | None, schema: Schema, names: Sequence[str] | None = None
) -> Decoding | None:
    """What was said, checked.

    Arguments:
        text: A decoding or its words.
        schema: The fitted schema.
        names: The modalities that are wanted; all when None.

    Raises:
        ValueError: If it can not be, or none of the modalities is a text.
    """
    how, names = Decoding.of(text), schema.names if names is None else names
    kinds = {schema[name].kind for name in names if name in schema}
    if how is not None and kinds and "text" not in kinds:
        raise ValueError(
            f"text={text!r} says how texts are written, but {', '.join(names)} is no text; "
            "leave it out."
        )
    return how
