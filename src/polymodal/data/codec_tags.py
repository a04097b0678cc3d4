"""Sets of tags as 0 and 1 over a vocabulary learned on training rows.

The vocabulary goes by falling frequency, ties by the alphabet; an array's columns keep their
order. A decoded set holds what is at least as likely as not, in the vocabulary's order; where no
training row was empty it holds one tag at least, the likeliest.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.names import nearest
from polymodal.data.row_error import RowError
from polymodal.data.specs import ModalitySpec
from polymodal.data.tags import JoinedTags

if TYPE_CHECKING:
    from pandas import Index

MOST_TAGS = 1000
NO_TAG = ""
"""The one place of a vocabulary of which training knew nothing; never decoded."""
_FEW = 200


@dataclass(frozen=True)
class TagsCodec:
    """Sets of tags, there and back.

    Arguments:
        words: The vocabulary; a tag's place is its column.
        layout: ``sets`` (a list of strings a row), ``strings`` or ``array``.
        separator: What stands between two tags of a string.
        dtype: numpy's name of the dtype of training, for arrays.
        rare: Tags of training that are too rare to be learned, so that they are not unseen.
        unseen: ``drop`` or ``refuse``.
        never_empty: Whether every training row had a tag.
    """

    words: tuple[str, ...]
    layout: str = "sets"
    separator: str = ","
    dtype: str = "object"
    rare: tuple[str, ...] = ()
    unseen: str = "drop"
    never_empty: bool = False

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> TagsCodec:
        """From the training rows."""
        if values.dtype != object:
            names = spec.levels or tuple(str(i) for i in range(values.shape[1]))
            full = bool(present.any() and (values[present] != 0).any(1).all())
            return cls(names, "array", dtype=values.dtype.name, never_empty=full)
        sets = [values[row] for row in np.flatnonzero(present)]
        counts = Counter(tag for one in sets for tag in one)
        least = spec.min_count or (1 if len(counts) <= _FEW else 2)
        ranked = sorted((-n, tag) for tag, n in counts.items() if n >= least)
        words = spec.levels or tuple(tag for _, tag in ranked[:MOST_TAGS]) or (NO_TAG,)
        rare = tuple(sorted(set(counts) - set(words))) if spec.levels is None else ()
        if counts and words == (NO_TAG,):
            warnings.warn(
                f"{where}: no tag stands in {least} training rows or more, so none is learned and "
                "every set will be told empty; lower min_count in the schema, or list the tags.",
                stacklevel=2,
            )
        return cls(
            words,
            "sets" if spec.separator is None else "strings",
            spec.separator or ",",
            rare=rare,
            unseen=spec.unseen or "drop",
            never_empty=bool(sets) and all(sets),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (V,)."""
        return (len(self.words),)

    def complete(self, spec: ModalitySpec) -> ModalitySpec:
        """The specification with the vocabulary that was learned."""
        return spec if self.words == (NO_TAG,) else replace(spec, levels=self.words)

    @cached_property
    def _places(self) -> dict[str, int]:
        # schemas and files of before may name tags with blanks around them
        return {word.strip(): i for i, word in enumerate(self.words)}

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """0 or 1 (N, V) float32; present (N,)."""
        encoded = np.zeros((len(values), len(self.words)), dtype=np.float32)
        if values.dtype != object:
            if values.shape[1:] != self.shape:
                raise ValueError(
                    f"{where}: expected {len(self.words)} tags a row, got {values.shape[1]}."
                )
            encoded[present] = values[present]
            return torch.from_numpy(encoded), torch.from_numpy(np.array(present))
        rare, strangers = frozenset(self.rare), Counter()
        for row in np.flatnonzero(present):
            for tag in values[row]:
                place = self._places.get(tag)
                if place is not None:
                    encoded[row, place] = 1
                elif tag not in rare:
                    if self.unseen == "refuse" and unseen == "raise":
                        raise RowError(
                            where,
                            row,
                            f": the tag {tag!r} is not known."
                            f"{nearest(tag, self.words)} Mend it, or fit with unseen: drop in "
                            "the schema.",
                        )
                    strangers[tag] += 1
        if strangers and unseen == "raise":
            said = ", ".join(repr(tag) for tag, _ in strangers.most_common(3))
            more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
            warnings.warn(
                f"{where}: tags that training did not have are left out: {said}{more}.",
                stacklevel=2,
            )
        return torch.from_numpy(encoded), torch.from_numpy(np.array(present))

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Sets from probabilities (N, V), in the form of training."""
        # probabilities of an absent row may be NaN: then nothing is said
        known = np.nan_to_num(values)
        chosen = known >= 0.5
        if self.never_empty:
            bare = np.flatnonzero(~chosen.any(1))
            chosen[bare, known[bare].argmax(1)] = True
        if self.layout == "array":
            return chosen.astype(self.dtype)
        made = np.empty(len(values), dtype=object)
        for row, places in enumerate(chosen):
            tags = [self.words[i] for i in np.flatnonzero(places) if self.words[i] != NO_TAG]
            strings = self.layout == "strings"
            made[row] = JoinedTags.of(tags, self.separator) if strings else tags
        return made

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and no tensors."""
        keys = ("layout", "separator", "dtype", "unseen", "never_empty")
        lists = {"words": list(self.words), "rare": list(self.rare)}
        return {**lists, **{key: getattr(self, key) for key in keys}}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> TagsCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        held = dict(config)
        for key in ("words", "rare"):
            said = held[key]
            if not isinstance(said, Sequence) or not all(isinstance(one, str) for one in said):
                raise ValueError(f"{key} must be a list of strings")
            held[key] = tuple(said)
        codec = cls(**held)
        if not codec.words or codec.words != (spec.levels or (NO_TAG,)):
            raise ValueError("words are not the schema's levels")
        if codec.layout not in ("sets", "strings", "array"):
            raise ValueError(f"layout must be sets, strings or array, got {codec.layout!r}")
        if not isinstance(codec.separator, str) or not codec.separator:
            raise ValueError("separator must be a string")
        if codec.layout == "array" and np.dtype(codec.dtype).kind not in "iufb":
            raise ValueError(f"dtype {codec.dtype!r} is none of numbers")
        if not isinstance(codec.never_empty, bool) or codec.unseen not in ("drop", "refuse"):
            raise ValueError("never_empty must be true or false, unseen drop or refuse")
        return codec
