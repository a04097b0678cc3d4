r"""InfoNCE: two views of a row must find each other among the rows of the batch.

.. math:: \mathcal N_i = -\tfrac12 \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
          - \tfrac12 \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}, \qquad
          s_{ij} = \frac{a_i^\top b_j}{\tau\, |a_i|\, |b_j|}

Averaged over rows, :math:`\log B - \mathcal N` is a lower bound of the mutual information of the
two views in nats, which they can share only by what is common to their sources.

References:
    Aaron van den Oord, Yazhe Li, Oriol Vinyals. Representation Learning with Contrastive
    Predictive Coding. 2018. https://arxiv.org/abs/1807.03748, eq. 4 and section 2.3. Both ways
    and the cosine: Alec Radford et al. Learning Transferable Visual Models From Natural Language
    Supervision. ICML 2021. https://arxiv.org/abs/2103.00020, section 2.3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.1
"""The tau above."""


def info_nce(
    one: Tensor, other: Tensor, paired: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """The InfoNCE of each row in nats, ``(B,)``; 0 where the row has not both views.

    Arguments:
        one: A view of every row, ``(B, L)``.
        other: The other view, ``(B, L)``.
        paired: Which rows have both, bool ``(B,)``; the others are no row's alternatives.
        temperature: What the cosines are divided by.
    """
    near = normalize(one, dim=-1) @ normalize(other, dim=-1).T / temperature
    own = torch.eye(len(paired), dtype=torch.bool, device=paired.device)
    # A row keeps its own place, so that no softmax is over nothing.
    near = near.masked_fill(~(paired & paired.unsqueeze(-1) | own), -torch.inf)
    rows = torch.arange(len(paired), device=paired.device)
    both = cross_entropy(near, rows, reduction="none") + cross_entropy(
        near.T, rows, reduction="none"
    )
    return torch.where(paired, 0.5 * both, torch.zeros_like(both))
