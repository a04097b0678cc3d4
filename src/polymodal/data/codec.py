"""Raw data to tensors and back: one codec a modality, learned on training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec_arrays import ImageCodec, VectorCodec
from polymodal.data.codec_audio import AudioCodec
from polymodal.data.codec_column import NOTHING_KNOWN
from polymodal.data.codec_embedding import EmbeddingCodec
from polymodal.data.codec_series import SeriesCodec
from polymodal.data.codec_table import TableCodec
from polymodal.data.codec_tags import TagsCodec
from polymodal.data.codec_text import TextCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.kinds import CELLWISE
from polymodal.data.names import Raw, nearest
from polymodal.data.row_error import of_source
from polymodal.data.schema import Schema
from polymodal.data.specs import ModalityKind, ModalitySpec
from polymodal.data.tensors import Tensors
from polymodal.data.text_settings import TextLevel
from polymodal.typing import Batch, Column, Present

if TYPE_CHECKING:
    from pandas import Index

ModalityCodec = (
    TableCodec | VectorCodec | ImageCodec | TextCodec | TagsCodec | SeriesCodec | AudioCodec
)
_CODECS: dict[str, type[ModalityCodec]] = {
    "table": TableCodec,
    "vector": VectorCodec,
    "image": ImageCodec,
    "text": TextCodec,
    "tags": TagsCodec,
    "series": SeriesCodec,
    "audio": AudioCodec,
    "embedding": EmbeddingCodec,
}
FORMAT = 1


@dataclass(frozen=True)
class DataCodec:
    """All modalities of a schema, there and back; made by :meth:`fit`.

    Arguments:
        schema: What was fitted, its levels and sizes complete.
        codecs: Modality -> its codec.
    """

    schema: Schema
    codecs: Mapping[str, ModalityCodec]

    @classmethod
    def fit(cls, data: MultimodalData) -> DataCodec:
        """Learn from training rows.

        Raises:
            ValueError: If there are no rows, or a value does not fit its kind; names the row.
        """
        if len(data) == 0:
            raise ValueError(f"{data.origin}: there are no rows to learn from.")
        codecs: dict[str, ModalityCodec] = {}
        specs: dict[str, ModalitySpec] = {}
        for name in data.names:
            spec, where = data.schema[name], where_is(data, name)
            with of_source(data.numbers):
                codec = codec_of(spec, data.values(name), data.present(name), where)
            codecs[name], specs[name] = codec, _completed(spec, codec)
        return cls(Schema(specs, data.schema.ignored), codecs)

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities' names, in order."""
        return self.schema.names

    def kind(self, name: str) -> ModalityKind:
        """``table``, ``image``, ``text``, ``vector`` or another kind of the schema."""
        return self.schema[name].kind

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row's tensor: (P,), (C, H, W), (T,) or (V,)."""
        return self._codec(name).shape

    def columns(self, name: str) -> tuple[Column, ...]:
        """The columns of a table modality."""
        return self._of_kind(name, TableCodec).columns

    def vocabulary(self, name: str) -> tuple[str, ...]:
        """The tokens of a text modality by id, the four special ones first."""
        return self._of_kind(name, TextCodec).tokenizer.vocabulary

    def text_level(self, name: str) -> TextLevel:
        """What the tokens of a text modality are: ``word``, ``bpe`` or ``char``."""
        return self._of_kind(name, TextCodec).tokenizer.level

    def vocabulary_size(self, name: str) -> int:
        """How many ids a text modality has."""
        return len(self.vocabulary(name))

    def series(self, name: str) -> tuple[tuple[int, int], str]:
        """Channels and times of a series modality, and its likelihood's name."""
        codec = self._of_kind(name, SeriesCodec)
        return codec.size, codec.likelihood

    def yes_no(self, name: str) -> bool:
        """Whether a modality is a vector of values that are 0 or 1."""
        codec = self._codec(name)
        return isinstance(codec, VectorCodec) and codec.yes_no

    def length(self, name: str) -> int:
        """Tokens of a row of a text modality, the end token counted."""
        return self._of_kind(name, TextCodec).length

    def never_empty(self, name: str) -> bool:
        """Whether no training text of a text modality was empty; False where nobody knows."""
        return self._of_kind(name, TextCodec).never_empty

    def encode(
        self, data: MultimodalData, *, unseen: Literal["raise", "missing"] = "raise"
    ) -> Tensors:
        """Tensors of all modalities; what the data lack is absent, what they have more ignored.

        Arguments:
            data: Rows with this schema, or any from which it can be read.
            unseen: What to do with a category not seen in training, a positive number that is not
                above 0, a count that is none, a number too large for the networks or one that is
                not 0 or 1 where training had no other: ``raise``, or take the cell as
                ``missing``.

        Raises:
            ValueError: If values do not fit; names row and column.
        """
        if unseen not in ("raise", "missing"):
            raise ValueError(f"unseen must be 'raise' or 'missing', got {unseen!r}.")
        data = data.read_as(self.schema)
        x: dict[str, Tensor] = {}
        present: dict[str, Tensor] = {}
        for name, codec in self.codecs.items():
            if name in data.names:
                values, there = data.values(name), data.present(name)
                with of_source(data.numbers):
                    encoded = codec.encode(values, there, where_is(data, name), unseen)
                x[name], present[name] = encoded
            else:
                x[name], present[name] = self._absent(name, len(data))
        return Tensors(x, present)

    def _absent(self, name: str, n_rows: int) -> tuple[Tensor, Tensor]:
        kind, shape = self.kind(name), self.shape(name)
        dtype = torch.int64 if kind == "text" else torch.float32
        cells = (n_rows, *shape) if kind in ("table", *CELLWISE) else (n_rows,)
        return torch.zeros(n_rows, *shape, dtype=dtype), torch.zeros(cells, dtype=torch.bool)

    def decode(self, name: str, values: Tensor, index: Index | None = None) -> Raw:
        """Raw values of one modality, of the kind that ``data.values(name)`` gives.

        Arguments:
            name: The modality.
            values: (N, ...) as :meth:`encode` makes them, or as a model answers; NaN in tables
                and vectors is decoded as missing.
            index: Index of a table's frame; 0..N-1 if None.
        """
        codec = self._codec(name)
        if tuple(values.shape[1:]) != codec.shape:
            raise ValueError(
                f"{name!r}: expected values of the shape (rows, "
                f"{', '.join(map(str, codec.shape))}), got {tuple(values.shape)}."
            )
        plain = values.detach().cpu()
        plain = plain.float() if plain.dtype == torch.bfloat16 else plain
        return codec.decode(plain.numpy(), index)

    def log_jacobian(
        self, x: Batch, present: Present, names: Sequence[str] | None = None
    ) -> Tensor:
        """Sum over present cells of log |d encoded / d raw| in nats, (B,).

        Numbers, positive numbers, vectors and real-valued series count; the rest is coded without
        a change of density, or (sounds) has none. Added to a log-likelihood of encoded values it
        gives that of the raw ones.
        """
        first = next(iter(x.values()))
        total = torch.zeros(len(first), device=first.device)
        for name in self.names if names is None else names:
            codec = self._codec(name)
            if name in x and isinstance(codec, TableCodec | VectorCodec | SeriesCodec):
                total = total + codec.log_jacobian(x[name], present[name])
        return total

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and tensors named ``place.key``."""
        entries: list[dict[str, Any]] = []
        tensors: dict[str, Tensor] = {}
        for place, codec in enumerate(self.codecs.values()):
            entry, own = codec.to_config()
            entries.append(entry)
            tensors.update({f"{place}.{key}": value for key, value in own.items()})
        return {"format": FORMAT, "schema": self.schema.to_dict(), "codecs": entries}, tensors

    @classmethod
    def from_config(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> DataCodec:
        """The inverse of :meth:`to_config`.

        Raises:
            ValueError: If the configuration is none that :meth:`to_config` makes.
        """
        if not isinstance(config, Mapping) or config.get("format") != FORMAT:
            raise ValueError(f"codec: expected a configuration of format {FORMAT}.")
        schema = Schema.from_dict(config.get("schema"), "codec, schema")
        entries = config.get("codecs")
        if not isinstance(entries, Sequence) or len(entries) != len(schema):
            raise ValueError(f"codec: expected {len(schema)} codecs, one a modality.")
        codecs: dict[str, ModalityCodec] = {}
        for place, (name, entry) in enumerate(zip(schema.names, entries, strict=True)):
            prefix = f"{place}."
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            spec = schema[name]
            try:
                codecs[name] = _CODECS[spec.kind].from_config(entry, own, spec)
            except (ValueError, TypeError, KeyError, AttributeError) as fault:
                raise ValueError(
                    f"codec, modality {name!r}: the configuration is damaged ({fault})."
                ) from None
        return cls(schema, codecs)

    def _codec(self, name: str) -> ModalityCodec:
        if name not in self.codecs:
            raise ValueError(f"codec: no modality {name!r}.{nearest(name, self.names)}")
        return self.codecs[name]

    def _of_kind(self, name: str, kind: type) -> Raw:
        codec = self._codec(name)
        if not isinstance(codec, kind):
            raise TypeError(f"{name!r} is of kind {self.kind(name)}, which has no such thing.")
        return codec


def codec_of(spec: ModalitySpec, values: Raw, present: np.ndarray, where: str) -> ModalityCodec:
    """The codec of one modality, from the values of training rows, and what is there of them.

    Raises:
        ValueError: If a value does not fit its kind; names the row.
    """
    return _CODECS[spec.kind].fit(spec, values, present, where)


def where_is(data: MultimodalData, name: str) -> str:
    """What errors call a modality of some data."""
    spec = data.schema[name]
    return data.origin if spec.kind == "table" else f"{data.origin}, {spec.column!r}"


def _completed(spec: ModalitySpec, codec: ModalityCodec) -> ModalitySpec:
    """The specification with what was learned, as far as a schema says it."""
    if isinstance(codec, TextCodec):
        return replace(spec, tokenizer=codec.tokenizer.level)
    if isinstance(codec, TagsCodec | SeriesCodec | AudioCodec):
        return codec.complete(spec)
    if isinstance(codec, VectorCodec) and spec.kind == "vector":
        return codec.complete(spec)
    if not isinstance(codec, TableCodec):
        return spec
    columns = tuple(
        replace(column, levels=one.levels)
        if one.levels and one.levels != (NOTHING_KNOWN,)
        else column
        for column, one in zip(spec.columns, codec.codecs, strict=True)
    )
    return replace(spec, columns=columns)
