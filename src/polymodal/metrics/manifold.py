r"""Improved precision and recall: does what was made look real, and is all that is real made?

A set's manifold is the union of balls around its rows, each as wide as the distance to the row's
k-th nearest neighbour in the set. Precision is the share of generated rows inside the manifold of
the real ones, recall the share of real rows inside that of the generated ones.

One real outlier makes a huge ball and precision too high; recall falls by noise alone. Both depend
on k and on the number of rows: compare sets of equal size only.

References:
    Tuomas Kynkäänniemi, Tero Karras, Samuli Laine, Jaakko Lehtinen, Timo Aila. Improved Precision
    and Recall Metric for Assessing Generative Models. NeurIPS 2019.
    https://arxiv.org/abs/1904.06991, equations 1 and 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.metrics.frechet import check_features
from polymodal.metrics.registry import metric

NEIGHBOURS = 3
_DISTANCES_AT_ONCE = 20_000_000


@metric(better="higher", bounds=(0.0, 1.0), baseline="0, by rows far from all real ones")
def manifold_precision(features: Tensor, reference: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Share of rows ``features (N, F)`` inside the manifold of ``reference (R, F)``."""
    check_features(features, reference, k + 1)
    return _inside(features.double(), reference.double(), k).double().mean()


@metric(better="higher", bounds=(0.0, 1.0), baseline="0, by one row made over and over")
def manifold_recall(features: Tensor, reference: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Share of rows ``reference (R, F)`` inside the manifold of ``features (N, F)``."""
    check_features(features, reference, k + 1)
    return _inside(reference.double(), features.double(), k).double().mean()


def _inside(rows: Tensor, others: Tensor, k: int) -> Tensor:
    """Rows that lie in the ball of any other row, bool ``(N,)``."""
    size = max(1, _DISTANCES_AT_ONCE // len(others))
    # The nearest of a set's rows to each is itself.
    radius = torch.cat(
        [_distances(part, others).kthvalue(k + 1, dim=1).values for part in others.split(size)]
    )
    return torch.cat([(_distances(part, others) <= radius).any(1) for part in rows.split(size)])


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # By differences: the quick way by products has errors that make equal rows differ.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
