r"""The joint posterior: one network that reads the features of all modalities.

.. math:: q(z \mid x_S) = N\big(z \mid g([S, 1_{m \in S} h_m(x_m)]_m)\big)

It reads data, not experts, hence it is no fusion rule. The features of absent modalities are zero
and the network is told which are present (JMVAE-zero). A row that has one modality only is
answered by that modality's own posterior (JMVAE-kl).

References:
    Masahiro Suzuki, Kotaro Nakayama, Yutaka Matsuo. Joint Multimodal Learning with Deep Generative
    Models. 2016. https://arxiv.org/abs/1611.01891, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.fusion.poe import ProductOfExperts
from polymodal.latent import LatentLayout
from polymodal.networks.side_by_side import Answers, SideBySide
from polymodal.posteriors.fused import Encoded, FusedPosterior
from polymodal.posteriors.heads import ExpertHead
from polymodal.typing import Batch, Present

Unimodal = Literal["kl", "zero"]


class JointPosterior(FusedPosterior):
    """A joint network over shared trunks, beside the unimodal posteriors.

    Arguments:
        names: The modalities, in the model's order.
        encoders: One encoder a modality; its features feed its own head and the joint network.
        heads: One head a modality, for the unimodal posteriors.
        layout: The latent layout.
        hidden: Size of the joint network's hidden layer.
        width: Numbers through which the joint network reads each modality's features; all of them
            once a step, whatever the number of sets that are asked about.
        unimodal: Who answers where one modality is present: ``"kl"``, its own posterior, or
            ``"zero"``, the joint network with zeros for all others.
    """

    def __init__(
        self,
        names: Sequence[str],
        encoders: Sequence[nn.Module],
        heads: Sequence[nn.Module],
        layout: LatentLayout,
        hidden: int = 256,
        width: int = 64,
        unimodal: Unimodal = "kl",
    ) -> None:
        if unimodal not in get_args(Unimodal):
            raise ValueError(
                f"unimodal must be one of {', '.join(get_args(Unimodal))}, got {unimodal!r}."
            )
        # With one modality present the product without anchor is that modality's own posterior.
        super().__init__(names, encoders, heads, ProductOfExperts(anchor="never"), layout)
        self.readers = nn.ModuleList(
            nn.Linear(int(encoder.out_features), width)  # pyright: ignore[reportArgumentType]
            for encoder in encoders
        )
        self._read = SideBySide(self.readers)
        self.body = nn.Sequential(
            nn.SiLU(), nn.Linear((width + 1) * len(names), hidden), nn.SiLU()
        )
        self.least = 2 if unimodal == "kl" else 1
        self.joint_head = ExpertHead(hidden, layout.shared)

    def encode(self, x: Batch, present: Present) -> Encoded:
        """Run each encoder once; the features kept are those that the joint network reads."""
        encoded = super().encode(x, present)
        together = encoded.answers.together
        read = None if together is None else self._read.whole(together)
        if read is not None:
            return replace(encoded, answers=Answers(None, read))
        return replace(encoded, answers=self._read(encoded.features))

    def joint(self, encoded: Encoded, on: Tensor) -> Strata:
        """The joint network's posterior given the modalities ``on``, bool ``(M, ..., B)``."""
        features = encoded.answers.together
        features = torch.stack(tuple(encoded.features)) if features is None else features
        extra = on.ndim - 2
        features = features.reshape(len(on), *(1,) * extra, *features.shape[1:])
        read = features
        if not (encoded.experts.complete and on is encoded.on):
            read = torch.where(on.unsqueeze(-1), features, torch.zeros_like(features))
        told = on.movedim(0, -1).to(read.dtype)
        q = self.joint_head(self.body(torch.cat([*read.unbind(0), told], -1)))
        zeros = q.loc.new_zeros((1, *q.loc.shape[:-1]))
        one = Strata(q.loc.unsqueeze(0), q.scale.unsqueeze(0), zeros)
        return self.with_private(encoded, one, on)

    def fuse(self, encoded: Encoded, on: Tensor | None = None) -> Strata:
        """The joint network where enough are present for it, else the unimodal posterior."""
        here = encoded.on if on is None else on
        joint = self.joint(encoded, here)
        if on is None and encoded.experts.complete and len(here) >= self.least:
            return joint
        several = here.sum(0) >= self.least
        if bool(several.all()):
            return joint
        alone = super().fuse(encoded, here)
        use = several.unsqueeze(-1)
        return Strata(
            torch.where(use, joint.loc, alone.loc),
            torch.where(use, joint.scale, alone.scale),
            joint.log_weights,
        )
