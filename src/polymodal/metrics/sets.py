"""Error of sets of tags: how far the tags of a row stand below others in a ranking."""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.metrics.registry import metric
from polymodal.metrics.rows import paired

_CELLS_AT_ONCE = 20_000_000


@metric(better="lower", bounds=(0.0, 1.0), baseline="that of how frequent each tag is")
@paired
def average_precision_error(prediction: Tensor, target: Tensor) -> Tensor:
    r"""1 - average precision of each row's ranking of the tags; ``(N, V)`` -> ``(N,)``.

    .. math:: 1 - \frac{1}{|Y|} \sum_{v \in Y}
        \frac{|\{u \in Y : p_u \ge p_v\}|}{|\{u : p_u \ge p_v\}|}

    with Y the tags that the row has: 0 if each of them is ranked above all others. Only the order
    of the predictions counts. A row without a tag, or with all, has no order to learn: error 0.

    References:
        Grigorios Tsoumakas, Ioannis Katakis, Ioannis Vlahavas. Mining multi-label data. 2010.
        https://doi.org/10.1007/978-0-387-09823-4_34
    """
    size = max(1, _CELLS_AT_ONCE // max(1, prediction[:1].numel() ** 2))
    pieces = zip(prediction.split(size), (target > 0.5).split(size), strict=True)
    found = [_errors(said.double(), has) for said, has in pieces]
    return torch.cat(found) if found else prediction.new_zeros(0, dtype=torch.float64)


def _errors(said: Tensor, has: Tensor) -> Tensor:
    # (N, v, u): whether u is ranked as high as v
    above = said.unsqueeze(1) >= said.unsqueeze(2)
    precision = (above & has.unsqueeze(1)).sum(2).double() / above.sum(2)
    n_tags = has.sum(1)
    mean = torch.where(has, precision, 0.0).sum(1) / n_tags.clamp(min=1)
    decided = (n_tags > 0) & (n_tags < has.shape[1])
    return torch.where(decided, 1 - mean, 0.0)
