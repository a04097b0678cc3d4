"""Whether shared latents hold the content and private ones the rest, as a judge sees it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.evaluate.coherence import Judging


@dataclass(frozen=True)
class Factorisation:
    """How classes go over a factorisation grid.

    Arguments:
        classes: The class of each cell, ``(W, R)``: private parts down, shared parts along.
        kept: Mean over shared parts of the share of private parts that show the column's most
            frequent class: 1 where the private part does not touch the content. Above
            1 / number of classes even for noise.
        right: Share of cells that show the class of the row whose shared part they have; None
            where the labels are not known.
        led: Mean over private parts of the share of shared parts that show the row's most frequent
            class: 1 where the shared part does not touch the content at all. For classes that
            are equally frequent it is best near 1 / number of classes.
    """

    classes: Tensor
    kept: float
    right: float | None
    led: float

    def __str__(self) -> str:
        said = (
            f"With the shared part fixed, {self.kept:.0%} of private parts show the same class; "
            f"with the private part fixed, {self.led:.0%} of shared parts do."
        )
        if self.right is not None:
            said += f" {self.right:.0%} of all show the class of the shared part's row."
        return said


def judge_factorisation(
    grid: Tensor, judge: Judging, labels: Tensor | None = None
) -> Factorisation:
    """Judge a grid of ``polymodal.tasks.traverse.factorisation_grid``.

    Arguments:
        grid: Decoded values ``(W, R, ...)``: private parts down, shared parts along.
        judge: The modality's judge.
        labels: Classes of the rows whose shared parts they are, ``(R,)``; -1 where unknown.
    """
    n_private, n_shared = grid.shape[:2]
    classes = judge.predict(grid.flatten(0, 1)).reshape(n_private, n_shared)
    right = None
    if labels is not None:
        if labels.shape != (n_shared,):
            raise ValueError(
                f"factorisation: labels must have shape ({n_shared},), got {tuple(labels.shape)}."
            )
        known = labels >= 0
        hits = (classes == labels)[:, known]
        right = hits.double().mean().item() if hits.numel() else None
    return Factorisation(classes, _most(classes.T), right, _most(classes))


def _most(classes: Tensor) -> float:
    """Mean over lines of the share of a line's most frequent class; -1 is no class."""
    shares = [
        max((int((line == one).sum()) for one in line[line >= 0].unique()), default=0) / len(line)
        for line in classes
    ]
    return torch.tensor(shares, dtype=torch.float64).mean().item()
