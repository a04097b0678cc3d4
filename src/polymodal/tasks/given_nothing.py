"""Rows of which nothing is given: what the model says of them is what its prior says."""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.model import LatentModel, presence
from polymodal.typing import Present


def prior_where_nothing(model: LatentModel, z: Tensor, present: Present) -> Tensor:
    """Draws from the prior in the place of those for rows that show nothing.

    Posteriors of nothing are N(0, I), which is the prior of some models only. Where a model has
    no prior to draw from, z is as it was.

    Arguments:
        model: The model.
        z: Draws of the posterior, ``(K, B, D)``.
        present: What is given.
    """
    nothing = ~presence(model, present).any(0)
    if "generate" in model.lacks or not bool(nothing.any()):
        return z
    z = z.clone()
    z[:, nothing] = model.prior().sample(torch.Size((len(z), int(nothing.sum())))).to(z.dtype)
    return z
