"""What a column is, from its values: the rules by which a schema is inferred.

======================  ===========================================================================
values                  kind
======================  ===========================================================================
nothing in any row      left out
truth values            category
pandas categories       ordinal if ordered, else category
dates                   number (days since 1970)
strings                 an image if they are names of pictures that exist; text if they have three
                        words on average (letters of scripts without spaces count for half a
                        word) and more than 20 (in short tables: half the rows) different ones, cut
                        into words, pairs of bytes or characters by their looks; tags if ``|`` or
                        ``;`` parts words that come again in other rows; category up to 50
                        levels, or up to 1,000 if each comes twice on average; else left out
                        (names, keys)
whole numbers           left out if they count the rows; category up to 2 levels; ordinal up to
                        7 if each comes twice on average; count if the smallest is between 0 and
                        a tenth of the mean and they are about as spread as a Poisson count, or
                        more; else ordinal up to 20; else as other numbers
other numbers           positive if above 0 with a long tail (skewness above 1, less in
                        logarithms), else number
lists, 1-D arrays       vector, if all have one length, else series; tags if they hold strings
sets of strings         tags
lists of lists          series (channels, times)
lists written as text   as such lists, if most cells are (by JSON, Python or numpy)
sounds                  audio (names of sound files, their bytes, mappings with samples and rate)
pictures                image (PIL, bytes that PIL opens, uint8 arrays of 2 or 3 axes)
anything else           left out
======================  ===========================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polymodal.data.cells import is_date, numbers
from polymodal.data.images import describe_images, holds_images
from polymodal.data.levels import Level
from polymodal.data.names import Raw, checked_name, free_name, plain
from polymodal.data.schema import Schema
from polymodal.data.series import numeric_cell
from polymodal.data.sounds import holds_sounds
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.data.tags import are_sets_of_strings, guess_separator
from polymodal.data.tokenization.choose import choose_level, words_in
from polymodal.data.written import are_written, lists_of
from polymodal.typing import ColumnKind

if TYPE_CHECKING:
    from pandas import DataFrame, Series

HANDFUL = 7
"""A grade has so many levels at most."""
FEW = 20
"""Whole numbers with so many levels at most may be levels of an order."""
MANY_LEVELS = 50
MOST_LEVELS = 1000
LARGEST_COUNT = 1e6
_LOOKED_AT = 50
"""So many pictures are opened to learn mode and size."""


class LeftOutError(Exception):
    """A column that can not be used; the reason is the message."""


def infer_schema(frame: DataFrame, base: Path | None, origin: str) -> Schema:
    """The schema of a frame: scalars form one table, the rest a modality each.

    Raises:
        ValueError: If no column can be used.
    """
    columns: list[ColumnSpec] = []
    own: dict[str, ModalitySpec] = {}
    ignored: dict[str, str] = {}
    for place, label in enumerate(frame.columns):
        name = checked_name(str(label), f"the name of column {place} (from 0)", origin)
        try:
            column: Raw = frame[label]
            spec = infer_column(column, name, base, origin=origin)
        except LeftOutError as reason:
            ignored[name] = str(reason)
            continue
        if isinstance(spec, ColumnSpec):
            columns.append(spec)
        else:
            own[name] = spec
    if not columns and not own:
        said = "; ".join(f"{name}: {why}" for name, why in list(ignored.items())[:5])
        raise ValueError(f"{origin}: no column can be used ({said}). Give a schema.")
    table = {free_name("table", own): ModalitySpec("table", tuple(columns))} if columns else {}
    return Schema({**table, **own}, ignored)


def infer_column(
    column: Series,
    name: str,
    base: Path | None = None,
    *,
    leave_out: bool = True,
    origin: str = "frame",
) -> ColumnSpec | ModalitySpec:
    """What one column is.

    Arguments:
        column: The values.
        name: The name its specification gets.
        base: The folder that names of pictures are relative to.
        leave_out: Whether columns that look like keys are refused (else they are categories).
        origin: What errors call the table, such as its file.

    Raises:
        LeftOutError: If the column can not be used, with the reason.
        ValueError: If a value can be of no kind, such as an infinite one.
    """
    import pandas as pd

    known: Raw = column[column.notna()]
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = tuple(_level(one, name) for one in dtype.categories) or None
        return ColumnSpec(name, "ordinal" if dtype.ordered else "category", levels)
    if known.empty:
        raise LeftOutError("no row has a value")
    if is_date(column):
        return ColumnSpec(name, "number")
    if pd.api.types.is_bool_dtype(dtype):
        return ColumnSpec(name, "category", (False, True))
    if pd.api.types.is_complex_dtype(dtype):
        raise LeftOutError("complex numbers; make columns of their parts")
    if pd.api.types.is_numeric_dtype(dtype):
        return _numeric(column, name, leave_out, origin)
    first = known.iloc[0]
    if isinstance(first, str) and are_written(known):
        known = lists_of(known, f"{origin}, column {name!r}")
        first = known.iloc[0]
    if are_sets_of_strings(known.tolist()):
        return ModalitySpec("tags", column=name)
    if isinstance(first, list | tuple | np.ndarray):
        first = next((one for one in known if _has_values(one)), first)
        depth = _depth(first)
        if depth == 1:
            return _vector(known, name)
        if depth == 2 and not _are_pixels(first):
            return _series(known, name)
    sample = known.iloc[:_LOOKED_AT].tolist()
    sounds = holds_sounds(sample, base)
    if sounds == "lost":
        raise LeftOutError(f"names of sounds, none of which exists in {str(base or '.')!r}")
    if sounds is not None:
        return ModalitySpec("audio", column=name)
    pictures = holds_images(sample, base)
    if pictures == "lost":
        raise LeftOutError(f"names of pictures, none of which exists in {str(base or '.')!r}")
    if pictures is not None:
        mode, size = describe_images(sample, base)
        return ModalitySpec("image", column=name, mode=mode, size=size)
    if all(isinstance(one, str) for one in known):
        return _strings(known.astype(object), name, leave_out)
    if all(isinstance(one, bool | np.bool_) for one in known):
        return ColumnSpec(name, "category", (False, True))
    if all(isinstance(one, int | float | np.number) for one in known):
        return _numeric(column, name, leave_out, origin)
    if all(isinstance(one, Level | np.number) for one in known):
        return _category(known, name, leave_out)
    raise LeftOutError(f"values of type {type(first).__name__}")


def _level(value: Raw, name: str) -> Level:
    value = plain(value)
    if not isinstance(value, Level):
        raise LeftOutError(f"a category of type {type(value).__name__}")
    return value


def _sorted_levels(known: Series, name: str) -> tuple[Level, ...]:
    levels = {_level(one, name) for one in known.unique()}
    return tuple(sorted(levels, key=lambda one: (isinstance(one, str), one)))


def _strings(known: Series, name: str, leave_out: bool) -> ColumnSpec | ModalitySpec:
    n_rows, n_levels = len(known), known.nunique()
    separator = guess_separator(known.iloc[:1000].tolist())
    if separator is not None:
        return ModalitySpec("tags", column=name, separator=separator)
    words = np.mean([words_in(one) for one in known.iloc[:1000]])
    if words >= 3 and n_levels > min(FEW, n_rows / 2):
        return ModalitySpec("text", column=name, tokenizer=choose_level(known.tolist()))
    return _category(known, name, leave_out)


def _category(known: Series, name: str, leave_out: bool) -> ColumnSpec:
    n_rows, n_levels = len(known), known.nunique()
    if leave_out:
        if n_levels == n_rows and n_rows >= 10:
            raise LeftOutError("all values differ, like names or keys")
        if n_levels > MANY_LEVELS and n_levels > n_rows / 2:
            raise LeftOutError(f"{n_levels} different values in {n_rows} rows, like names or keys")
        if n_levels > MOST_LEVELS:
            raise LeftOutError(f"{n_levels} different values, too many for a category")
    return ColumnSpec(name, "category", _sorted_levels(known, name))


def _numeric(column: Series, name: str, leave_out: bool, origin: str) -> ColumnSpec:
    values = numbers(column, f"{origin}, column {name!r}")
    values = values[~np.isnan(values)]
    # floats without a hole were meant as floats; with one, they may be whole numbers in disguise
    is_float = getattr(column.dtype, "kind", "f") == "f" and column.notna().all()
    if is_float or not np.array_equal(values, np.round(values)):
        return ColumnSpec(name, _real_kind(values))
    n_rows, levels = len(values), np.unique(values)
    n_levels = len(levels)
    counts_rows = n_levels == n_rows and n_rows >= 10 and np.ptp(levels) == n_rows - 1
    if counts_rows and leave_out:
        raise LeftOutError("counts the rows")
    is_few = 1 < n_levels <= FEW and n_levels <= n_rows / 2
    # A grade has a handful of levels; with more, the next row may well bring one never seen.
    if _are_counts(values, levels) and not (is_few and n_levels <= HANDFUL):
        return ColumnSpec(name, "count")
    if is_few:
        kind: ColumnKind = "category" if n_levels == 2 else "ordinal"
        return ColumnSpec(name, kind, tuple(int(one) for one in levels))
    return ColumnSpec(name, _real_kind(values))


def _are_counts(values: np.ndarray, levels: np.ndarray) -> bool:
    spread = len(levels) > 1 and values.var() >= 0.8 * values.mean()
    # What is counted reaches down to few; a weight in whole grams does not.
    reaches_few = 0 <= levels[0] <= values.mean() / 10
    return bool(reaches_few and levels[-1] <= LARGEST_COUNT and spread)


def _real_kind(values: np.ndarray) -> ColumnKind:
    if values.min() <= 0 or len(values) < 10:
        return "number"
    plain, logs = _skewness(values), _skewness(np.log(values))
    return "positive" if plain > 1 and abs(logs) < plain else "number"


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    sd = np.sqrt(np.square(centred).mean())
    return float((centred**3).mean() / sd**3) if sd > 1e-12 * abs(values).max() else 0.0


def _vector(known: Series, name: str) -> ModalitySpec:
    sizes = {len(one) for one in known}
    if len(sizes) > 1:
        return _series(known, name)
    try:
        np.asarray(known.iloc[0], dtype=np.float64)
    except (TypeError, ValueError):
        raise LeftOutError("lists of something else than numbers") from None
    if sizes == {0}:
        raise LeftOutError("lists without a value")
    return ModalitySpec("vector", column=name, size=sizes.pop())


def _has_values(value: Raw) -> bool:
    return isinstance(value, list | tuple | np.ndarray) and len(value) > 0


def _depth(value: Raw) -> int:
    """How many levels of lists or axes a cell has, by its first entries; at most 3."""
    depth = 0
    while isinstance(value, list | tuple | np.ndarray) and depth < 3:
        depth += 1
        value = value[0] if len(value) else None
    return depth


def _are_pixels(value: Raw) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint8


def _series(known: Series, name: str) -> ModalitySpec:
    try:
        cells = [numeric_cell(one, name, "a series") for one in known]
    except ValueError:
        raise LeftOutError("lists of something else than numbers") from None
    shapes = [one.shape for one in cells if one.size]
    if not shapes:
        raise LeftOutError("lists without a value")
    if len({shape[:-1] for shape in shapes}) > 1 or max(len(shape) for shape in shapes) > 2:
        raise LeftOutError("lists that differ in their number of channels")
    times = max(shape[-1] for shape in shapes)
    channels = shapes[0][0] if len(shapes[0]) == 2 else 1
    return ModalitySpec("series", column=name, size=(channels, times))
