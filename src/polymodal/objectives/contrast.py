r"""InfoNCE: two views of a row must find each other among rows of the batch.

.. math:: \mathcal N_i = -\tfrac12 \log \frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ij}}}
          - \tfrac12 \log \frac{e^{s_{ii}}}{\sum_{j \in C_i} e^{s_{ji}}}, \qquad
          s_{ij} = \frac{a_i^\top b_j}{\tau\, |a_i|\, |b_j|}

Averaged over rows that are all compared with the same B, :math:`\log B - \mathcal N` is in
expectation a lower bound of the information in nats that the views have in common.

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
    one: Tensor, other: Tensor, among: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """The InfoNCE of each row in nats, ``(B,)``; 0 where a row is not compared.

    Arguments:
        one: A view of every row, ``(B, L)``.
        other: The other view, ``(B, L)``.
        among: Which rows j a row i is compared with (the C above), bool ``(B, B)``, symmetric; a
            row that is compared at all stands in its own.
        temperature: What the cosines are divided by.
    """
    # Under autocast the cosines would be bfloat16, whose steps the temperature enlarges.
    with torch.autocast(one.device.type, enabled=False):
        if one.dtype in (torch.bfloat16, torch.float16):
            one, other = one.float(), other.float()
        near = normalize(one, dim=-1) @ normalize(other, dim=-1).T / temperature
        own = torch.eye(len(among), dtype=torch.bool, device=among.device)
        # A row keeps its own place, so that no softmax is over nothing.
        near = near.masked_fill(~(among | own), -torch.inf)
        rows = torch.arange(len(among), device=among.device)
        both = [cross_entropy(one_way, rows, reduction="none") for one_way in (near, near.T)]
        each = 0.5 * (both[0] + both[1])
        return torch.where(among.diagonal(), each, torch.zeros_like(each))
