"""A walk through the latent space, or a factorisation grid, as one picture with its axes named."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polymodal.report.grid import GAP, grid_array
from polymodal.tasks.factorised import Factorised
from polymodal.tasks.walked import Direction, Traversal

_INCHES = 0.8
"""Width of one picture on paper."""


def write_walk(walked: Traversal, name: str, path: str | Path) -> Path:
    """Write the pictures of one modality, with what each line and column is, to a PNG file.

    Arguments:
        walked: The walk.
        name: A modality of pictures or sounds.
        path: The file.

    Raises:
        ValueError: If the modality is of another kind.
    """
    lines = [_line_name(one) for one in walked.directions]
    columns = [_step_name(one) for one in _ways(walked)]
    title = f"{name}, from row {walked.start}"
    return _write(walked.pictures(name), lines, columns, title, path)


def write_factorised(found: Factorised, path: str | Path) -> Path:
    """Write a factorisation grid to a PNG file: a line a private part, a column a shared part.

    Raises:
        ValueError: If the modality is no pictures or sounds.
    """
    pictures = found.pictures()
    lines = [f"own {one + 1}" for one in range(len(pictures))]
    columns = [f"row {one}" for one in found.rows]
    title = f"{found.name}: the shared part of a row a column, a private part a line"
    return _write(pictures, lines, columns, title, path)


def _write(
    pictures: np.ndarray, lines: list[str], columns: list[str], title: str, path: str | Path
) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_lines, n_columns, _, height, width = pictures.shape
    figure = Figure(figsize=(_INCHES * n_columns + 1.5, _INCHES * height / width * n_lines + 0.6))
    axis = figure.add_subplot()
    axis.imshow(grid_array(pictures), interpolation="nearest")
    axis.set_yticks(_middles(n_lines, height), lines)
    axis.set_xticks(_middles(n_columns, width), columns)
    axis.set_title(title, fontsize=9)
    axis.tick_params(length=0, labelsize=8)
    axis.spines[:].set_visible(False)
    path = Path(path)
    FigureCanvasAgg(figure).print_figure(path, dpi=150, bbox_inches="tight", format="png")
    return path


def _line_name(one: Direction) -> str:
    return f"z{one.latent}" + (f" ({one.block})" if one.block else "")


def _step_name(way: float) -> str:
    return "average" if abs(way) < 1e-9 else f"{way:+.2g} sd"


def _ways(walked: Traversal) -> np.ndarray:
    """Steps in standard deviations from the average; the same for every line that moves."""
    return np.linspace(-walked.reach, walked.reach, walked.at.shape[1])


def _middles(n: int, size: int) -> np.ndarray:
    return np.arange(n) * (size + GAP) + (size - 1) / 2
