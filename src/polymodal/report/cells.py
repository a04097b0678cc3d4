"""What one value of one modality looks like on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from polymodal.report.pictures import encode_image, encode_lines, encode_strip, strip_width
from polymodal.typing import rows_present

if TYPE_CHECKING:
    from polymodal.data.codec import DataCodec

LONGEST_TEXT = 160
MOST_COLUMNS = 24
"""Columns of a table shown for one row."""
_NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Cell:
    """One value, ready to be drawn.

    Arguments:
        kind: How it is drawn.
        text: The words, or what a picture shows.
        source: A picture's ``data:`` address.
        width: A picture's width on the page, in pixels.
        pairs: Column and value, of a table.
    """

    kind: Literal["image", "strip", "text", "table", "absent"]
    text: str = ""
    source: str = ""
    width: int = 60
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Compared:
    """One column of a table in one row: the truth, the answer, and what the draws say."""

    column: str
    truth: str
    answer: str
    spread: str
    missed: bool = False


def show(codec: DataCodec, name: str, values: Tensor, present: Tensor | None = None) -> list[Cell]:
    """The cells of a modality's values ``(N, ...)``; absent rows and cells say so."""
    kind = codec.kind(name)
    n_rows = len(values)
    there = [True] * n_rows if present is None else rows_present(present).tolist()
    if kind == "image":
        pixels = values.detach().float().cpu().numpy()
        cells = [Cell("image", name, encode_image(pixels[i])) for i in range(n_rows)]
    elif kind == "audio":
        # low frequencies below, from two scales under the mean to two above it
        spectra = (values.detach().float().cpu().numpy()[:, :, ::-1] + 2) / 4
        cells = [Cell("image", name, encode_image(spectra[i]), 90) for i in range(n_rows)]
    elif kind in ("vector", "embedding"):
        numbers = values.detach().float().cpu()
        if present is not None and present.ndim == 2:
            numbers = torch.where(present.cpu(), numbers, torch.nan)
        width = max(60, 5 * strip_width(numbers.shape[1]))
        cells = [Cell("strip", name, encode_strip(row.numpy()), width) for row in numbers]
    elif kind == "series":
        (channels, times), counted = codec.series(name)[0], codec.series(name)[1] != "gaussian"
        numbers = values.detach().float().cpu()
        numbers = 2 * numbers.log1p() - 1 if counted else numbers
        if present is not None:
            numbers = torch.where(present.cpu(), numbers, torch.nan)
        pages = [encode_lines(row.reshape(channels, times).numpy()) for row in numbers]
        cells = [Cell("strip", name, page, min(240, max(60, 2 * times))) for page in pages]
    elif kind == "tags":
        cells = [Cell("text", shorten(_listed(tags))) for tags in codec.decode(name, values)]
    elif kind == "text":
        cells = [Cell("text", shorten(str(text))) for text in codec.decode(name, values)]
    else:
        cells = _table_cells(codec, name, values, present)
    return [cell if here else Cell("absent") for cell, here in zip(cells, there, strict=True)]


def compare(
    codec: DataCodec,
    name: str,
    row: int,
    truth: Tensor,
    answer: Tensor,
    draws: Tensor,
    columns: Sequence[int] | None = None,
) -> list[Compared]:
    """A table's row: truth and answer ``(N, P)``, draws ``(n, N, P)``, a line a column."""
    shown = range(truth.shape[1]) if columns is None else columns
    true, said = (decoded_columns(codec, name, v[row : row + 1]) for v in (truth, answer))
    drawn = decoded_columns(codec, name, draws[:, row])
    names, described = list(true), codec.columns(name)
    lines = []
    for j in list(shown)[:MOST_COLUMNS]:
        column, named = names[j], described[j].kind == "category"
        right, got, values = true[column][0], said[column][0], drawn[column]
        lines.append(
            Compared(
                column,
                write_value(right),
                write_value(got),
                shares(values) if named else spread(values),
                write_value(right) != write_value(got) if named else _missed(right, got, values),
            )
        )
    return lines


def decoded_columns(codec: DataCodec, name: str, values: Tensor) -> dict[str, list[Any]]:
    """A table's raw values, a list a column."""
    frame = codec.decode(name, values)
    return {str(column): list(frame[column]) for column in frame}


def spread(values: Sequence[Any]) -> str:
    """Where nine tenths of the draws of numbers lie, or the shares of the likeliest categories."""
    if values and all(is_number(v) for v in values):
        low, high = np.quantile(np.array(values, dtype=float), [0.05, 0.95])
        return f"{write_value(float(low))} to {write_value(float(high))}"
    return shares(values)


def shares(values: Sequence[Any]) -> str:
    """The likeliest values among the draws and how many say so."""
    common = Counter(write_value(v) for v in values).most_common(3)
    return ", ".join(f"{name} {n / len(values):.0%}" for name, n in common)


def write_value(value: object) -> str:
    """A raw value as a person writes it: four significant figures, no trailing noise."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, _NUMBERS) and not isinstance(value, bool | np.bool_):
        number = float(value)
        if number == round(number) and abs(number) < 1e7:
            return f"{int(number):,}"
        return f"{number:,.4g}" if 1e-3 <= abs(number) < 1e5 else f"{number:.3g}"
    return shorten(str(value), 48)


def is_number(value: object) -> bool:
    """Whether a raw value is a number; True and False are not."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool | np.bool_)


def shorten(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, cut with an ellipsis if long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _listed(tags: Any) -> str:  # noqa: ANN401
    """A decoded set of tags in words."""
    if isinstance(tags, np.ndarray):
        return f"{int((tags > 0).sum())} of {len(tags)} tags"
    return (tags if isinstance(tags, str) else ", ".join(tags)) or "no tag"


def _table_cells(
    codec: DataCodec, name: str, values: Tensor, present: Tensor | None
) -> list[Cell]:
    columns = list(decoded_columns(codec, name, values).items())
    cells = []
    for i in range(len(values)):
        pairs = []
        for j, (column, raw) in enumerate(columns[:MOST_COLUMNS]):
            here = present is None or present.ndim == 1 or bool(present[i, j])
            pairs.append((column, write_value(raw[i]) if here else "missing"))
        cells.append(Cell("table", name, pairs=tuple(pairs)))
    return cells


def _missed(truth: object, answer: object, draws: Sequence[Any]) -> bool:
    """Whether a number lies outside nine tenths of its draws, or a category is another one."""
    if isinstance(truth, _NUMBERS) and draws and all(is_number(v) for v in draws):
        low, high = np.quantile(np.array(draws, dtype=float), [0.05, 0.95])
        return not low <= float(truth) <= high
    return write_value(truth) != write_value(answer)
