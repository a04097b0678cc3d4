r"""How well classes are told, and how evenly they occur.

.. math:: \text{accuracy} = \frac1N \sum_i 1[\hat y_i = y_i], \qquad
          \text{macro} = \frac1{|C|} \sum_{c \in C} \frac{\sum_i 1[\hat y_i = y_i = c]}
          {\sum_i 1[y_i = c]}

C are the classes that the rows judged have. A histogram stands beside every agreement of classes,
because what always says the same class agrees with itself: with shares :math:`h_m(c)`, M
modalities that have nothing to do with each other agree in :math:`\sum_c \prod_m h_m(c)` of rows.

A prediction of -1 is no class: it is never right, agrees with nothing and is in no share.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.metrics.registry import metric
from polymodal.metrics.rows import paired, row_mean


@metric(better="higher", bounds=(0.0, 1.0), baseline="share of the most frequent class")
@paired
def accuracy(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Share of rows whose class is right; ``(N, ...)`` -> ``(...)``."""
    return row_mean((prediction == target).double(), present, weights)


@metric(better="higher", bounds=(0.0, 1.0), baseline="1 / number of classes, by any constant")
@paired
def macro_accuracy(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean over the classes there are of the share of each that is right; ``(N,)`` -> ``()``."""
    there = torch.ones_like(target, dtype=torch.bool) if present is None else present
    right = (prediction == target).double()
    classes = target[there].unique()
    if not len(classes):
        return row_mean(right, there, weights)
    each = [row_mean(right, there & (target == one), weights) for one in classes]
    return torch.stack(each).nanmean(0)


def class_shares(codes: Tensor, n_classes: int) -> Tensor:
    """Share of each class among codes ``(N,)`` of 0 or more, float64 ``(C,)``; zeros if none."""
    known = codes[codes >= 0]
    counts = torch.bincount(known, minlength=n_classes).double()
    return counts / max(len(known), 1)


@metric(better="higher", bounds=(0.0, 1.0), baseline="0, by one class alone")
def class_entropy(shares: Tensor) -> Tensor:
    """Entropy of class shares ``(..., C)`` over that of equal ones; ``(...)``."""
    if shares.shape[-1] < 2:
        raise ValueError(f"the entropy of classes needs at least two, got {shares.shape[-1]}.")
    h = torch.special.entr(shares.double()).sum(-1)
    return h / torch.log(torch.tensor(shares.shape[-1], dtype=torch.float64))


@metric(better="lower", bounds=(0.0, 1.0), baseline="1 - the share of the class that is left")
@paired
def total_variation(shares: Tensor, reference: Tensor) -> Tensor:
    """Half the sum of absolute differences of class shares ``(..., C)``; ``(...)``."""
    return (shares.double() - reference.double()).abs().sum(-1) / 2


@metric(better="lower", bounds=(0.0, 1.0), baseline="1 / number of classes, by equal shares")
def chance_agreement(shares: Tensor) -> Tensor:
    """How often M independent modalities of class shares ``(M, ..., C)`` all agree; ``(...)``."""
    return shares.double().prod(0).sum(-1)
