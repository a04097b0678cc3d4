"""Heads: an encoder's features -> the parameters of one expert."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polymodal.distributions.diagonal import FAMILIES, Diagonal, Family
from polymodal.networks.side_by_side import Watch

ScaleRule = Literal["softplus", "softmax"]

_MIN_SCALE = 1e-4


class ExpertHead(nn.Module):
    r"""A linear map to location and scale.

    The scale is :math:`\mathrm{softplus}(a)` with a floor, or, as MMVAE has it,
    :math:`b = D\,\mathrm{softmax}(a)`: scales whose mean is held at one, which is a constraint and
    not a mere parametrisation (posterior and prior cannot shrink together). A shared and a private
    block are held each by itself, as MMVAE+ has them.

    Arguments:
        features: Size of the encoder's output.
        dim: Size of the latent block.
        family: ``"normal"`` or ``"laplace"``.
        scale_rule: ``"softplus"`` or ``"softmax"``.
        shared: How many leading dimensions are the shared block, the rest being a private one;
            all when None.
    """

    def __init__(
        self,
        features: int,
        dim: int,
        family: Family = "normal",
        scale_rule: ScaleRule = "softplus",
        shared: int | None = None,
    ) -> None:
        super().__init__()
        if family not in FAMILIES or scale_rule not in get_args(ScaleRule):
            raise ValueError(
                f"ExpertHead: family must be one of {', '.join(FAMILIES)} and scale_rule one of "
                f"{', '.join(get_args(ScaleRule))}, got {family!r} and {scale_rule!r}."
            )
        self.family: Family = family
        self.linear = nn.Linear(features, 2 * dim)
        first = dim if shared is None else shared
        held = (first, dim - first) if scale_rule == "softmax" else ()
        self.blocks = tuple(size for size in held if size)
        """Sizes of the blocks whose scales have a mean of one; none with softplus."""

    def forward(self, features: Tensor) -> Diagonal:
        """Features ``(B, F)`` -> a distribution over ``(B, D)``, in float32 or better."""
        return self.read(self.linear(features))

    def read(self, out: Tensor) -> Diagonal:
        """What the linear map put out, ``(..., 2 D)``, as a distribution over ``(..., D)``."""
        if out.dtype in (torch.bfloat16, torch.float16):
            out = out.float()
        loc, raw = out.chunk(2, -1)
        if not self.blocks:
            # On a piece of a row after the other softplus is several times slower.
            scale = softplus(raw.contiguous())
        else:
            held = [block.softmax(-1) * block.shape[-1] for block in raw.split(self.blocks, -1)]
            scale = torch.cat(held, -1)
        return Diagonal(loc, scale + _MIN_SCALE, self.family)


class NaturalHead(nn.Module):
    """Summed natural parameters and one N(0, I) -> a Gaussian; what an AttributeEncoder needs."""

    def forward(self, features: Tensor) -> Diagonal:
        """Precision times location, then precision, ``(B, 2 D)`` -> a distribution ``(B, D)``."""
        weighted, precision = features.chunk(2, -1)
        total = 1 + precision
        return Diagonal(weighted / total, total.rsqrt())


def linear_of(head: nn.Module) -> nn.Module:
    """The linear map of a head; the head itself where it is of another kind."""
    return head.linear if type(head) is ExpertHead else head


class CommonHead:
    """Finds one head that reads what the linear maps of all put out.

    Arguments:
        heads: The heads; one that is replaced later is seen.
    """

    def __init__(self, heads: nn.ModuleList) -> None:
        self._heads = heads
        self._seen: list[nn.Module] = []
        self._first: ExpertHead | None = None
        self._watch: Watch | None = None

    def __call__(self) -> ExpertHead | None:
        """The head; None if they differ in family or rule, or a hook waits for one of them."""
        heads = list(self._heads)
        if self._watch is None or heads != self._seen:
            self._seen, self._watch = heads, Watch(heads)
            first = heads[0]
            rules = {(h.family, h.blocks) if type(h) is ExpertHead else None for h in heads}
            alike = type(first) is ExpertHead and len(rules) == 1
            self._first = first if alike else None  # pyright: ignore[reportAttributeAccessIssue]
        return self._first if self._watch.sees_nothing() else None


class PrivateHead(nn.Module):
    """A head of the private block alone; the shared one stays N(0, I), which says nothing.

    Arguments:
        features: Size of the encoder's output.
        shared: Size of the shared block.
        private: Size of the private block; with 0 there is nothing to learn.
    """

    def __init__(self, features: int, shared: int, private: int) -> None:
        super().__init__()
        self.shared = shared
        self.head = ExpertHead(features, private) if private else None

    def forward(self, features: Tensor) -> Diagonal:
        """Features ``(B, F)`` -> a distribution over ``(B, shared + private)``."""
        if features.dtype in (torch.bfloat16, torch.float16):
            features = features.float()
        loc = features.new_zeros(len(features), self.shared)
        scale = torch.ones_like(loc)
        if self.head is None:
            return Diagonal(loc, scale)
        own = self.head(features)
        return Diagonal(torch.cat([loc, own.loc], -1), torch.cat([scale, own.scale], -1))
