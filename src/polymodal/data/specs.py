"""What one column, and one modality, of a schema is: kind, settings and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from polymodal.data.kinds import OWNERS, SIZES, check_settings
from polymodal.data.levels import Level, checked_levels
from polymodal.data.names import checked_name, nearest
from polymodal.data.text_settings import check_text
from polymodal.spelling import did_you_mean
from polymodal.typing import COLUMN_KINDS, ColumnKind

ModalityKind = Literal[
    "table", "image", "text", "vector", "embedding", "series", "audio", "tags"
]  # fmt: skip
MODALITY_KINDS: tuple[str, ...] = get_args(ModalityKind)
KINDS: tuple[str, ...] = (*COLUMN_KINDS, *MODALITY_KINDS[1:])
"""What a column may be: a kind of a table's column, or a modality of its own."""

IMAGE_MODES = {"L": 1, "RGB": 3}
"""Mode of a picture -> its channels."""


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a table.

    Arguments:
        name: The column's name, as a string.
        kind: ``number``, ``positive``, ``count``, ``ordinal`` or ``category``.
        levels: The values an ordinal (in their order) or category column may have; None takes
            them, sorted, from the training rows.
        missing: Share of rows without a value, where it is known; not part of what is compared
            or saved.
    """

    name: str
    kind: ColumnKind = "number"
    levels: tuple[Level, ...] | None = None
    missing: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        where = f"schema, column {self.name!r}"
        checked_name(self.name, "a column's name", "schema")
        if self.kind not in COLUMN_KINDS:
            raise ValueError(
                f"{where}: kind must be one of {', '.join(COLUMN_KINDS)}, got {self.kind!r}."
                f"{did_you_mean(self.kind, COLUMN_KINDS)}"
            )
        if self.levels is None:
            return
        if self.kind not in ("ordinal", "category"):
            raise ValueError(
                f"{where}: a {self.kind} column has no levels; "
                "remove them or make it ordinal or category."
            )
        object.__setattr__(self, "levels", checked_levels(self.levels, where))

    @property
    def has_words(self) -> bool:
        """Whether a level is a string: then a CSV is read as it is written, ``01`` as '01'."""
        return any(isinstance(level, str) for level in self.levels or ())


@dataclass(frozen=True)
class ModalitySpec:
    """One modality.

    Arguments:
        kind: ``table``, ``image``, ``text``, ``vector``, ``embedding``, ``series``, ``audio`` or
            ``tags``.
        columns: The columns of a table.
        column: For the other kinds: the frame's column or the array's name with the raw values.
        mode: Images: ``L`` (grey) or ``RGB``.
        size: Images: (height, width) in pixels. Vectors and embeddings: how many numbers. Series:
            (channels, times). Audio: (mel bands, frames).
        tokens: Texts: most tokens of a row that are kept, the end token counted; None for as many
            as the longest training text has, up to 32 words, 64 byte pairs or 96 characters.
        tokenizer: Texts: ``word``, ``bpe`` (pairs of bytes), ``char``, or ``auto`` (as None),
            which chooses by the training texts.
        vocabulary: Texts: how many token ids there may be, four special ones counted.
        levels: Tags: the vocabulary in its order; None takes it from the training rows.
        separator: Tags written as one string: what stands between two.
        min_count: Tags: in how many training rows a tag must stand to be learned.
        unseen: Tags: ``drop`` unknown ones with a warning, or ``refuse`` them.
        likelihood: Series: ``negative_binomial`` or ``poisson`` of counts, or ``gaussian``.
            Vectors: ``bernoulli`` of values that are 0 or 1, or ``gaussian``. None leaves it to
            the training rows.
        rate: Audio: samples a second.
        n_fft, hop: Audio: samples of a window and from one to the next.
        missing: Share of rows that have nothing of it, where known; not compared, not saved.
    """

    kind: ModalityKind
    columns: tuple[ColumnSpec, ...] = ()
    column: str | None = None
    mode: str | None = None
    size: tuple[int, int] | int | None = None
    tokens: int | None = None
    tokenizer: str | None = None
    vocabulary: int | None = None
    levels: tuple[str, ...] | None = None
    separator: str | None = None
    min_count: int | None = None
    unseen: str | None = None
    likelihood: str | None = None
    rate: int | None = None
    n_fft: int | None = None
    hop: int | None = None
    missing: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in MODALITY_KINDS:
            raise ValueError(
                f"kind must be one of {', '.join(MODALITY_KINDS)}, got {self.kind!r}."
                f"{did_you_mean(self.kind, MODALITY_KINDS)}"
            )
        if self.kind == "table":
            self._check_table()
        elif not isinstance(self.column, str) or not self.column:
            raise ValueError(
                f"a modality of kind {self.kind} needs `column`, the name of the column or array "
                f"that has it; got {self.column!r}."
            )
        owners = {
            "mode": ("image",),
            **dict.fromkeys(("tokens", "tokenizer", "vocabulary"), ("text",)),
        }
        for name, kinds in {**owners, **OWNERS}.items():
            if getattr(self, name) is not None and self.kind not in kinds:
                whose = f"kind{'s' * (len(kinds) > 1)} {' and '.join(kinds)}"
                raise ValueError(f"`{name}` belongs to {whose}, not to {self.kind}.")
        if self.columns and self.kind != "table":
            raise ValueError(f"`columns` belongs to kind table, not to {self.kind}.")
        self._check_sizes()

    def _check_table(self) -> None:
        if not self.columns:
            raise ValueError("a table needs at least one column.")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            twice = next(one for i, one in enumerate(names) if one in names[:i])
            raise ValueError(f"column {twice!r} is listed twice; list each column once.")
        if self.column is not None or self.size is not None:
            raise ValueError("a table has `columns`, neither `column` nor `size`.")

    def _check_sizes(self) -> None:
        if self.kind == "image":
            if self.mode is not None and self.mode not in IMAGE_MODES:
                raise ValueError(f"mode must be L (grey) or RGB, got {self.mode!r}.")
            if self.size is not None:
                pair = tuple(self.size) if isinstance(self.size, Sequence) else ()
                if len(pair) != 2 or not all(_is_size(one) for one in pair):
                    raise ValueError(
                        f"an image's size must be [height, width] in pixels, got {self.size!r}."
                    )
                object.__setattr__(self, "size", pair)
        elif self.kind in ("vector", "embedding"):
            if self.size is not None and not _is_size(self.size):
                raise ValueError(f"a vector's size must be a number of values, got {self.size!r}.")
        elif self.size is not None and self.kind not in SIZES:
            raise ValueError(
                f"`size` belongs to kinds image, vector, embedding, series and audio, not to "
                f"{self.kind}."
            )
        check_text(self.tokenizer, self.vocabulary, self.tokens)
        for key, value in check_settings(self).items():
            object.__setattr__(self, key, value)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns or arrays that this modality is read from."""
        if self.kind == "table":
            return tuple(column.name for column in self.columns)
        return (str(self.column),)

    @property
    def read_as_words(self) -> tuple[str, ...]:
        """The columns whose cells are strings by this specification, whatever they look like."""
        if self.kind == "table":
            return tuple(column.name for column in self.columns if column.has_words)
        return self.sources if self.kind in ("text", "tags") else ()


def refuse_unknown(name: str, settings: Mapping[str, object]) -> None:
    """Raise a ValueError if a column is given a setting that a modality does not have."""
    others = ("kind", "columns", "column", "missing")
    known = [one.name for one in fields(ModalitySpec) if one.name not in others]
    for key in settings:
        if key not in known:
            raise ValueError(
                f"schema, column {name!r}: there is no setting {key!r}.{nearest(key, known)}"
            )


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
