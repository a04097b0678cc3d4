r"""The fused posterior: encoders, a head each, and a fusion rule.

.. math:: q(z, w \mid x_S) = \sum_s w_s\, q_s(z \mid x_S) \prod_{m \in S} q(w_m \mid x_m)
          \prod_{m \notin S} p(w_m)

The shared block is fused; modality m's private block comes from its own encoder where m is
present and from the standard prior where it is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import Diagonal, Family
from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import Experts, Fusion
from polymodal.latent import LatentLayout
from polymodal.networks.side_by_side import Answers, SideBySide
from polymodal.posteriors.heads import CommonHead, linear_of
from polymodal.typing import Batch, Present, as_cells, rows_present


@dataclass(frozen=True)
class Encoded:
    """What the encoders say of a batch, each run once.

    Arguments:
        experts: The unimodal posteriors of the shared block.
        private_loc: Locations of all private blocks, ``(B, W)``.
        private_scale: Their scales, ``(B, W)``.
        answers: The encoders' features.
    """

    experts: Experts
    private_loc: Tensor
    private_scale: Tensor
    answers: Answers

    @property
    def features(self) -> tuple[Tensor, ...]:
        """The encoders' features, one ``(B, F_m)`` a modality."""
        return self.answers.each  # pyright: ignore[reportReturnType]

    @property
    def on(self) -> Tensor:
        """Which modalities are present, bool ``(M, B)``."""
        return self.experts.on


class FusedPosterior(nn.Module):
    """Encoders + heads + fusion -> strata over the whole latent vector.

    Arguments:
        names: The modalities, in the model's order.
        encoders: One encoder a modality: ``(x)`` or ``(x, cells)`` -> features.
        heads: One head a modality: features -> a ``Diagonal`` over ``[shared | private_m]``.
        fusion: The rule for the shared block.
        layout: The latent layout.
        answers: The rule that questions are answered by, where it is not the one that trains.
    """

    def __init__(
        self,
        names: Sequence[str],
        encoders: Sequence[nn.Module],
        heads: Sequence[nn.Module],
        fusion: Fusion,
        layout: LatentLayout,
        answers: Fusion | None = None,
    ) -> None:
        super().__init__()
        if tuple(layout.private) != tuple(dict.fromkeys(names)):
            raise ValueError(
                f"{type(self).__name__}: the layout's modalities are {', '.join(layout.private)}; "
                f"give it the posterior's, in the same order: {', '.join(names)}."
            )
        self.names = tuple(names)
        self.encoders = nn.ModuleList(encoders)
        self.heads = nn.ModuleList(heads)
        self.fusion, self.answers = fusion, answers
        self.layout = layout
        self._features = SideBySide(self.encoders)
        self._raw = SideBySide(self.heads, linear_of)
        self._common_head = CommonHead(self.heads)

    def encode(self, x: Batch, present: Present) -> Encoded:
        """Run each encoder once.

        A modality that the batch does not name is absent in every row; at least one must be named.

        Raises:
            ValueError: If the batch names no modality of the model.
        """
        named = [name for name in self.names if name in present]
        if not named:
            raise ValueError(
                f"the batch names no modality of the model, which knows {', '.join(self.names)}."
            )
        nowhere = torch.zeros_like(rows_present(present[named[0]]))
        on = torch.stack(
            [rows_present(present[name]) if name in present else nowhere for name in self.names]
        )
        # On an accelerator a look at the masks would wait for them; there the fill is always done.
        complete = on.device.type == "cpu" and bool(on.all())
        inputs: list[Tensor | None] = [None] * len(self.names)
        with_cells: dict[int, Tensor] = {}
        for m, name in enumerate(self.names):
            mask = present.get(name)
            if mask is not None and mask.ndim == 2:
                with_cells[m] = encode_one(self.encoders[m], x[name], mask)
            elif mask is not None:
                inputs[m] = x[name] if complete else where_present(x[name], mask)
        features = self._features(inputs)
        if with_cells:
            each = list(features.each)
            for m, feature in with_cells.items():
                each[m] = feature
            features = Answers(each)
        return self._stack(on, features, complete=complete)

    def _stack(self, on: Tensor, features: Answers, *, complete: bool) -> Encoded:
        """Ask the heads; a modality without features stands as a standard expert."""
        head, blocks = self._common_head(), []
        if head is not None:
            raw = None if features.together is None else self._raw.whole(features.together)
            if raw is not None:
                return self._encoded(on, head.read(raw), features, complete=complete)
            raw = self._raw(features.each)
            if raw.together is not None:
                return self._encoded(on, head.read(raw.together), features, complete=complete)
            blocks = [None if one is None else head.read(one) for one in raw.each]
        else:
            for own, feature in zip(self.heads, features.each, strict=True):
                blocks.append(None if feature is None else own(feature))
        some = next(block for block in blocks if block is not None)
        n_rows, shared = on.shape[1], self.layout.shared
        locs, scales, private_locs, private_scales, kept = [], [], [], [], []
        for m, (name, block) in enumerate(zip(self.names, blocks, strict=True)):
            if block is None:
                size = self.layout.dim_of(name)
                loc, scale = some.loc.new_zeros(n_rows, size), some.loc.new_ones(n_rows, size)
                width = int(self.encoders[m].out_features)  # pyright: ignore[reportArgumentType]
                kept.append(some.loc.new_zeros(n_rows, width))
            else:
                loc, scale = block.loc, block.scale
                kept.append(features.each[m])
            locs.append(loc[:, :shared])
            scales.append(scale[:, :shared])
            private_locs.append(loc[:, shared:])
            private_scales.append(scale[:, shared:])
        family: Family = some.family
        experts = Experts(torch.stack(locs), torch.stack(scales), on, family, complete)
        return Encoded(
            experts, torch.cat(private_locs, -1), torch.cat(private_scales, -1), Answers(kept)
        )

    def _encoded(
        self, on: Tensor, block: Diagonal, features: Answers, *, complete: bool
    ) -> Encoded:
        """What all heads said in one tensor, ``(M, B, shared + private)``."""
        shared, n_rows = self.layout.shared, on.shape[1]
        if self.layout.private_dim == 0:
            none = block.loc.new_empty(n_rows, 0)
            experts = Experts(block.loc, block.scale, on, block.family, complete)
            return Encoded(experts, none, none, features)
        experts = Experts(
            block.loc[..., :shared], block.scale[..., :shared], on, block.family, complete
        )
        private_loc, private_scale = (
            one[..., shared:].transpose(0, 1).reshape(n_rows, -1)
            for one in (block.loc, block.scale)
        )
        return Encoded(experts, private_loc, private_scale, features)

    def fuse(self, encoded: Encoded, on: Tensor | None = None) -> Strata:
        """Fuse what was encoded.

        Arguments:
            encoded: The answer of ``encode``.
            on: Which modalities to use, bool ``(M, ..., B)``; all that are present when None.
                Extra axes give as many posteriors a row in one call.

        Returns:
            Strata over ``(..., B)``.
        """
        experts = encoded.experts if on is None else encoded.experts.only(on)
        return self.with_private(encoded, self.fusion(experts), experts.on)

    def with_private(self, encoded: Encoded, shared: Strata, on: Tensor) -> Strata:
        """Append the private blocks to the strata of the shared block."""
        if self.layout.private_dim == 0:
            return shared
        here = self.layout.private_on(on)  # (..., B, W)
        loc, scale = encoded.private_loc, encoded.private_scale
        loc = torch.where(here, loc, torch.zeros_like(loc))
        scale = torch.where(here, scale, torch.ones_like(scale))
        shape = (*shared.loc.shape[:-1], loc.shape[-1])
        return Strata(
            torch.cat([shared.loc, loc.expand(shape)], -1),
            torch.cat([shared.scale, scale.expand(shape)], -1),
            shared.log_weights,
            shared.family,
        )

    def forward(self, x: Batch, present: Present) -> Strata:
        """q(z | what is present), batch shape ``(B,)``."""
        return self.fuse(self.encode(x, present))

    def answer(self, x: Batch, present: Present) -> Strata:
        """The same by the rule that answers, batch shape ``(B,)``."""
        if self.answers is None:
            return self(x, present)
        encoded = self.encode(x, present)
        return self.with_private(encoded, self.answers(encoded.experts), encoded.on)


def where_present(x: Tensor, mask: Tensor) -> Tensor:
    """The values that are there, zero elsewhere."""
    return torch.where(as_cells(mask, x), x, torch.zeros((), dtype=x.dtype, device=x.device))


def encode_one(encoder: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Run one encoder on the rows of a modality, absent rows filled with zeros."""
    if mask.ndim == 2:
        return encoder(where_present(x, mask), mask)
    # On an accelerator looking at the mask would wait for it; there the fill is always done.
    filled = x.device.type == "cpu" and bool(mask.all())
    return encoder(x if filled else where_present(x, mask))
