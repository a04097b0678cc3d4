"""The report's charts: numbers -> matplotlib figures that read on light and on dark paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from polymodal.evaluate.result import Estimate
    from polymodal.training.result import EpochRecord

INK, GRID = "#7b818c", "#7b818c44"
COLOURS = ("#3b7dd8", "#e0803a", "#2f9e6e", "#b65fc9", "#c9463d", "#8a7a2f", "#4aa5b5", "#85614f")


def draw_training(
    history: Sequence[EpochRecord], best_epoch: int | None, marks: Sequence[str] = ()
) -> Figure:
    """Training loss (nats a row, lower is better) and validation score (higher is better)."""
    from matplotlib.ticker import MaxNLocator

    epochs = [record.epoch + 1 for record in history]
    scores = [(r.epoch + 1, r.validation) for r in history if r.validation is not None]
    figure, axes = _panels(2 if scores else 1, width=4.6, height=2.7)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].plot(epochs, [record.loss for record in history], color=COLOURS[0], lw=1.6)
    axes[0].set(xlabel="epoch", title="training loss (nats a row, lower is better)")
    if len(history) > 5:
        # The first epochs fall from a height that would flatten all that follows.
        late = [record.loss for record in history[len(history) // 20 + 1 :]]
        low, high = min(late), max(late)
        axes[0].set_ylim(low - 0.05 * (high - low or 1), high + 0.1 * (high - low or 1))
    if scores:
        axis = axes[1]
        axis.plot(*zip(*scores, strict=True), color=COLOURS[2], lw=1.6)
        axis.set(xlabel="epoch", title="score of held-out rows (higher is better)")
        late = [score for _, score in scores[len(scores) // 20 :]]
        low, high = min(late), max(late)
        axis.set_ylim(low - 0.05 * (high - low or 1), high + 0.1 * (high - low or 1))
        if best_epoch is not None:
            axis.axvline(best_epoch + 1, color=INK, lw=1, ls=":")
            axis.annotate(
                f"kept: epoch {best_epoch + 1}",
                (best_epoch + 1, axis.get_ylim()[0]),
                xytext=(-4, 4),
                textcoords="offset points",
                ha="right",
                color=INK,
                fontsize=8,
            )
    return figure


def draw_calibration(points: Sequence[tuple[float, float, int]]) -> Figure:
    """Share of hidden numbers inside their interval, against the share promised."""
    figure, (axis,) = _panels(1, width=3.6, height=3.4)
    nominal, observed, cells = (
        np.array(column, dtype=float) for column in zip(*points, strict=True)
    )
    error = 1.96 * np.sqrt(np.maximum(observed * (1 - observed), 1e-9) / np.maximum(cells, 1))
    axis.plot([0, 1], [0, 1], color=INK, lw=1, ls="--", label="ideal")
    axis.fill_between(
        nominal, observed - error, observed + error, color=COLOURS[0], alpha=0.2, lw=0
    )
    axis.plot(nominal, observed, color=COLOURS[0], marker="o", ms=4, lw=1.6, label="observed")
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="promised share", ylabel="share inside")
    axis.set_aspect("equal")
    _legend(axis)
    return figure


def draw_skills(
    names: Sequence[str], skills: Sequence[Estimate], simple: Sequence[bool]
) -> Figure:
    """Methods from the best down, each with its interval; 0 is the best simple method."""
    figure, (axis,) = _panels(1, width=6.4, height=0.8 + 0.32 * len(names))
    places = range(len(names) - 1, -1, -1)
    axis.axvline(0, color=INK, lw=1, ls="--")
    for place, skill, plain in zip(places, skills, simple, strict=True):
        colour = INK if plain else COLOURS[0]
        axis.plot([skill.low, skill.high], [place, place], color=colour, lw=2, alpha=0.6)
        axis.plot(skill.value, place, marker="o", ms=6, color=colour)
    axis.set_yticks(list(places), [_clean(name) for name in names])
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set(xlabel="skill (0: the best simple method for each column; 1: perfect)")
    return figure


def draw_latent(points: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """Rows in the plane of the two widest directions of the latent space, ``(N, 2)``."""
    figure, (axis,) = _panels(1, width=5.2, height=4.0)
    names = sorted(set(labels))
    for i, name in enumerate(names):
        chosen = np.array([label == name for label in labels])
        axis.scatter(
            points[chosen, 0],
            points[chosen, 1],
            s=9,
            lw=0,
            alpha=0.75,
            color=COLOURS[i % len(COLOURS)],
            marker="o^sDv"[i // len(COLOURS) % 5],
            label=_clean(name),
        )
    axis.set(xlabel="first direction", ylabel="second direction", title=_clean(title))
    if 1 < len(names) <= 16:
        _legend(axis, beside=True)
    return figure


def _clean(text: str) -> str:
    """Text without matplotlib's mathematics, and short."""
    text = text.replace("$", r"\$").lstrip("_")
    return text if len(text) <= 40 else text[:39] + "…"


def _panels(n: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * n, height), layout="constrained")
    axes = [figure.add_subplot(1, n, i + 1) for i in range(n)]
    figure.patch.set_alpha(0.0)
    for axis in axes:
        axis.patch.set_alpha(0.0)
        axis.grid(color=GRID, lw=0.6)
        axis.tick_params(colors=INK, labelsize=8, length=0)
        axis.xaxis.label.set(color=INK, fontsize=9)
        axis.yaxis.label.set(color=INK, fontsize=9)
        axis.title.set(color=INK, fontsize=9.5)
        for side, spine in axis.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(GRID)
    return figure, axes


def _legend(axis: Axes, beside: bool = False) -> None:
    legend = axis.legend(frameon=False, fontsize=8, labelcolor=INK)
    if beside:
        legend.set_loc("center left")
        legend.set_bbox_to_anchor((1.0, 0.5), transform=axis.transAxes)
