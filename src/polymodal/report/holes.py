"""The data and its holes: a picture of what is there, and the columns with what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.text_settings import UNITS
from polymodal.report.pictures import encode_mask
from polymodal.typing import rows_present

if TYPE_CHECKING:
    from polymodal.data.codec import DataCodec
    from polymodal.data.schema import Schema
    from polymodal.data.tensors import Tensors

MOST_COLUMNS, MOST_LINES = 60, 400


def describe_data(schema: Schema, codec: DataCodec, tensors: Tensors, what: str) -> dict[str, Any]:
    """What the section on the data shows."""
    there, bands = presence_matrix(codec, tensors)
    columns = columns_of(schema, codec, tensors)
    whole, n_rows = int(np.all(there, axis=1).sum()), len(there)
    absent = 1 - np.mean([np.any(block, axis=1).mean() for block in _blocks(there, bands)])
    return {
        "sentence": (
            f"{what}: {n_rows:,} row{'s' * (n_rows != 1)}, {len(bands)} "
            f"modalit{'y' if len(bands) == 1 else 'ies'}, of which {absent:.0%} are absent; "
            f"{whole:,} of them ({whole / max(n_rows, 1):.0%}) without a hole."
        ),
        "picture": encode_mask(thin_out(sort_rows(there))),
        "bands": bands,
        "columns": columns[:MOST_COLUMNS],
        "left_out": max(0, len(columns) - MOST_COLUMNS),
    }


def presence_matrix(codec: DataCodec, tensors: Tensors) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Presence ``(N, columns)`` and each modality's width in it.

    A modality that is whole or absent has a stripe as wide as a table of three columns; a vector
    whose numbers are missing one by one has a stripe too, dark where at least one is there.
    """
    blocks, bands = [], []
    for name in tensors.names:
        mask = tensors.present[name]
        if codec.kind(name) == "table" and mask.ndim == 2:
            block = mask.cpu().numpy()
        else:
            block = np.repeat(rows_present(mask).cpu().numpy()[:, None], 3, axis=1)
        blocks.append(block)
        bands.append({"name": name, "width": block.shape[1]})
    return np.concatenate(blocks, axis=1), bands


def columns_of(schema: Schema, codec: DataCodec, tensors: Tensors) -> list[dict[str, Any]]:
    """A line a column of a table and a line any other modality: kind and missing share."""
    lines = []
    for name in tensors.names:
        mask = tensors.present[name].cpu().numpy()
        if codec.kind(name) == "table":
            for j, column in enumerate(codec.columns(name)):
                there = mask[:, j] if mask.ndim == 2 else mask
                kind = column.kind + (f", {column.levels} levels" if column.levels else "")
                lines.append(_line(name, column.name, kind, there))
            continue
        some = rows_present(tensors.present[name]).cpu().numpy()
        lines.append(_line(name, "", _kind(codec, name), some))
    return lines


def sort_rows(there: np.ndarray) -> np.ndarray:
    """Rows in the order of what they lack: the whole ones first, equal patterns together."""
    order = np.lexsort((*(~there.T[::-1]), (~there).sum(1)))
    return there[order]


def thin_out(there: np.ndarray) -> np.ndarray:
    """At most so many rows, evenly spaced: a screen has no more lines."""
    if len(there) <= MOST_LINES:
        return there
    return there[np.linspace(0, len(there) - 1, MOST_LINES).round().astype(int)]


def _blocks(there: np.ndarray, bands: list[dict[str, Any]]) -> list[np.ndarray]:
    ends = np.cumsum([band["width"] for band in bands])[:-1]
    return np.split(there, ends, axis=1)


def _kind(codec: DataCodec, name: str) -> str:
    kind = codec.kind(name)
    if kind == "text":
        return f"text, up to {codec.length(name)} {UNITS[codec.text_level(name)]}"
    shape = codec.shape(name)
    if kind == "series":
        (channels, times), likelihood = codec.series(name)
        return f"series, {channels} x {times} times, {likelihood.replace('_', ' ')}"
    if kind == "audio":
        return f"audio, {shape[1]} mel bands x {shape[2]} frames"
    if kind == "tags":
        return f"tags, {shape[0]} known"
    if kind == "image":
        return f"image, {shape[2]} x {shape[1]} {'grey' if shape[0] == 1 else 'colour'}"
    return f"{kind} of {shape[0]}"


def _line(modality: str, column: str, kind: str, there: np.ndarray) -> dict[str, Any]:
    missing = float(1 - there.mean()) if len(there) else 0.0
    return {"modality": modality, "column": column, "kind": kind, "missing": missing}
