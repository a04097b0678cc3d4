r"""The set posterior: a permutation-invariant network over the modalities that are present.

.. math:: q(z \mid x_S) = N\big(z \mid \rho\big(\sum_{m \in S} g(h_m, \{h_n\}_{n \in S})\big)\big),
          \qquad h_m = \chi_m(x_m)

Each modality is projected to a vector :math:`h_m` of one width, the vectors are *summed*
(:math:`g = h_m`, a Deep Set) or attend to one another first (*attention*, a Set Transformer), and
a network reads location and scale from the sum. It has no notion of order: only the projections
tell modalities apart. Unlike a fusion of experts it can learn how features of several modalities
interact. Private blocks are each modality's own; with nothing present the answer is N(0, I).

References:
    Marcel Hirt, Domenico Campolo, Victoria Leong, Juan-Pablo Ortega. Learning multi-modal
    generative models with permutation-invariant encoders and tighter variational objectives. TMLR
    2024. https://arxiv.org/abs/2309.00380, section 3. After Manzil Zaheer et al. Deep Sets. 2017.
    https://arxiv.org/abs/1703.06114; Juho Lee et al. Set Transformer. 2019.
    https://arxiv.org/abs/1810.00825.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import anchored
from polymodal.fusion.poe import ProductOfExperts
from polymodal.latent import LatentLayout
from polymodal.networks.attention import TransformerBlock
from polymodal.networks.side_by_side import Answers
from polymodal.posteriors.fused import Encoded, FusedPosterior
from polymodal.posteriors.heads import ExpertHead
from polymodal.typing import Batch, Present

Aggregation = Literal["attention", "sum"]


class PrivateHead(nn.Module):
    """A head that speaks for the private block only; of the shared one it says N(0, I).

    Arguments:
        features: Size of the encoder's output.
        shared: Size of the shared block.
        private: Size of the private block, 0 for none.
    """

    def __init__(self, features: int, shared: int, private: int) -> None:
        super().__init__()
        self.shared = shared
        self.own = ExpertHead(features, private) if private else None

    def forward(self, features: Tensor) -> Diagonal:
        """Features ``(B, F)`` -> a distribution over ``(B, shared + private)``."""
        kind = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        loc = kind.new_zeros(*features.shape[:-1], self.shared)
        if self.own is None:
            return Diagonal(loc, torch.ones_like(loc))
        own = self.own(features)
        return Diagonal(
            torch.cat([loc, own.loc], -1), torch.cat([torch.ones_like(loc), own.scale], -1)
        )


class SetPosterior(FusedPosterior):
    """A set network over the features of the modalities present.

    Arguments:
        names: The modalities, in the model's order.
        encoders: One encoder a modality.
        layout: The latent layout.
        aggregation: ``"attention"``, then a sum, or the ``"sum"`` alone.
        width: Size of the vectors that stand for the modalities, a multiple of 4.
        hidden: Size of the hidden layer that reads their sum.
    """

    def __init__(
        self,
        names: Sequence[str],
        encoders: Sequence[nn.Module],
        layout: LatentLayout,
        aggregation: Aggregation = "attention",
        width: int = 64,
        hidden: int = 256,
    ) -> None:
        if aggregation not in get_args(Aggregation) or width < 4 or width % 4 or hidden < 1:
            raise ValueError(
                "SetPosterior: aggregation must be 'attention' or 'sum', width must be a multiple "
                f"of 4 and hidden at least 1, got {aggregation!r}, {width} and {hidden}."
            )
        sizes = [int(encoder.out_features) for encoder in encoders]  # pyright: ignore[reportArgumentType]
        heads = [
            PrivateHead(size, layout.shared, layout.private[name])
            for name, size in zip(names, sizes, strict=True)
        ]
        super().__init__(names, encoders, heads, ProductOfExperts("never"), layout)
        self.readers = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.SiLU()) for size in sizes
        )
        self.block = TransformerBlock(width, 4) if aggregation == "attention" else None
        self.body = nn.Sequential(nn.Linear(width, hidden), nn.SiLU())
        self.set_head = ExpertHead(hidden, layout.shared)

    def encode(self, x: Batch, present: Present) -> Encoded:
        """Run each encoder once; the features kept are the vectors of the modalities."""
        encoded = super().encode(x, present)
        read = zip(self.readers, encoded.features, strict=True)
        features = tuple(reader(feature) for reader, feature in read)
        return replace(encoded, answers=Answers(features))

    def fuse(self, encoded: Encoded, on: Tensor | None = None) -> Strata:
        """The set network's posterior given the modalities ``on``, bool ``(M, ..., B)``."""
        here = encoded.on if on is None else on
        q = self.set_head(self.body(self._aggregate(torch.stack(encoded.features), here)))
        strata = Strata(q.loc[None], q.scale[None], q.loc.new_zeros((1, *q.loc.shape[:-1])))
        return self.with_private(encoded, anchored(strata, ~here.any(0)), here)

    def _aggregate(self, vectors: Tensor, on: Tensor) -> Tensor:
        """The sum over what is there: ``(M, B, W)``, bool ``(M, ..., B)`` -> ``(..., B, W)``."""
        n_modalities, n_rows, width = vectors.shape
        vectors = vectors.reshape(n_modalities, *(1,) * (on.ndim - 2), n_rows, width)
        here = on.unsqueeze(-1)
        vectors = torch.where(here, vectors, torch.zeros_like(vectors))  # (M, ..., B, W)
        if self.block is None:
            return vectors.sum(0)
        rows = vectors.reshape(n_modalities, -1, width).transpose(0, 1)  # (N, M, W)
        seen = on.reshape(n_modalities, -1).T
        # Attention over nothing is not defined; such a row's answer is the anchor anyway.
        mixed = self.block(rows, attend=seen | ~seen.any(1, keepdim=True))
        mixed = torch.where(seen.unsqueeze(-1), mixed, torch.zeros_like(mixed))
        return mixed.sum(1).reshape(*on.shape[1:], width)
