"""The latent space on a plane: the two directions in which embedded rows differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polymodal.report.cells import decoded_columns, is_number, write_value
from polymodal.report.charts import draw_latent
from polymodal.report.pictures import encode_figure
from polymodal.tasks.blocks import SHARED, numbers_of
from polymodal.tasks.generate import embed

if TYPE_CHECKING:
    from polymodal.data.codec import DataCodec
    from polymodal.data.tensors import Tensors
    from polymodal.model import LatentModel

MOST_POINTS, MOST_LEVELS, MOST_COLUMNS = 1500, 20, 12


def describe_latent(model: LatentModel, codec: DataCodec, tensors: Tensors) -> dict[str, Any]:
    """What the section on the latent space shows."""
    n_rows = len(tensors)
    index = torch.linspace(0, n_rows - 1, min(MOST_POINTS, n_rows)).round().long().unique()
    few = tensors.rows(index)
    # What is one modality's own would set rows apart by what they lack.
    whole = embed(model, few)
    z = whole[:, numbers_of(model, SHARED) or slice(None)].double().cpu().numpy()
    points, shares = project(z)
    columns = colour_columns(codec, few)
    first = next((c for c in columns if c.get("levels")), columns[0])
    labels = [
        first["levels"][v] if first.get("levels") and v is not None else ""
        for v in first["values"]
    ]
    n_used = int((z.var(0) > 0.01).sum())
    return {
        "sentence": (
            f"{len(index):,} test rows, each at the mean of its posterior given all that it has, "
            f"seen along the two directions in which they differ most ({shares[0]:.0%} and "
            f"{shares[1]:.0%} of the variance). {_use(n_used, z.shape[1], whole.shape[1])}"
        ),
        "columns": columns,
        "plane": {
            "points": np.round(_to_unit(points), 4).tolist(),
            "rows": index.tolist(),
            "columns": columns,
        },
        "picture": encode_figure(draw_latent(points, labels, first["name"])),
        "width": 560,
    }


def _use(n_used: int, n_shown: int, n_latent: int) -> str:
    """How many latent numbers are used, and which are not shown."""
    which = "latent numbers" if n_shown == n_latent else "latent numbers that modalities share"
    used = f"All {n_shown} {which} differ between rows."
    if n_used < n_shown:
        used = f"{n_used} of {n_shown} {which} differ between rows; the others are not used."
    if n_shown == n_latent:
        return used
    return f"{used} The {n_latent - n_shown} that are one modality's own are not shown here."


def project(z: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Principal components: ``(N, D)`` -> ``(N, 2)`` and their shares of the variance."""
    centred = z - z.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(z), 2))
    kept = min(2, u.shape[1])
    points[:, :kept] = u[:, :kept] * s[:kept]
    total = max(float((s**2).sum()), 1e-12)
    shares = [float(v**2) / total for v in s[:2]] + [0.0, 0.0]
    return points, (shares[0], shares[1])


def colour_columns(codec: DataCodec, tensors: Tensors) -> list[dict[str, Any]]:
    """Columns to colour by, categories first; what is missing is grey.

    A category has ``levels`` and places in them; a number lies in [0, 1] between its ``ends``, by
    rank, so that one outlier does not take all the colours.
    """
    found: list[dict[str, Any]] = []
    for name in tensors.names:
        if codec.kind(name) != "table":
            continue
        mask = tensors.present[name].cpu().numpy()
        for j, (column, raw) in enumerate(decoded_columns(codec, name, tensors.x[name]).items()):
            there = mask[:, j] if mask.ndim == 2 else mask
            known = [v if here else None for v, here in zip(raw, there, strict=True)]
            described = _by_level(column, known)
            if codec.columns(name)[j].kind in ("number", "positive", "count") or not described:
                described = _by_rank(column, known) or described
            if described:
                found.append(described)
    found.sort(key=lambda column: "levels" not in column)
    nothing = {"name": "nothing", "values": [None] * len(tensors), "shown": [], "ends": []}
    return [*found[:MOST_COLUMNS], nothing] if found else [nothing]


def _by_level(name: str, values: list[Any]) -> dict[str, Any] | None:
    words = [None if v is None else write_value(v) for v in values]
    levels = sorted({w for w in words if w is not None})
    if not 1 < len(levels) <= MOST_LEVELS:
        return None
    place = {level: i for i, level in enumerate(levels)}
    return {
        "name": name,
        "levels": levels,
        "values": [None if w is None else place[w] for w in words],
    }


def _by_rank(name: str, values: list[Any]) -> dict[str, Any] | None:
    known = [float(v) for v in values if v is not None and is_number(v)]
    if len(known) != sum(v is not None for v in values) or len(set(known)) < 2:
        return None
    ordered = np.sort(known)
    ranks = [
        None if v is None else round(float(np.searchsorted(ordered, float(v))) / len(ordered), 3)
        for v in values
    ]
    return {
        "name": name,
        "values": ranks,
        "shown": [None if v is None else write_value(v) for v in values],
        "ends": [f"lowest, {write_value(ordered[0])}", f"highest, {write_value(ordered[-1])}"],
    }


def _to_unit(points: np.ndarray) -> np.ndarray:
    """Points moved and scaled into the unit square, one scale for both directions."""
    low, high = points.min(0), points.max(0)
    span = max(float((high - low).max()), 1e-12)
    return (points - (low + high) / 2) / span + 0.5
