"""The transformer block, before-norm: h + attention(norm(h)), then h + mlp(norm(h)).

Where a context c is given, the norms are modulated by it, norm(h) * (1 + s(c)) + b(c) (FiLM: Perez
et al. 2018, https://arxiv.org/abs/1709.07871), so that every block at every position sees c.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.networks.weights import started


class SelfAttention(nn.Module):
    """Attention of several heads within each row, (N, T, W) -> (N, T, W).

    Arguments:
        width: Size W of a position.
        heads: The number of heads; it must divide the width.
        causal: Whether a position sees only itself and those before it.
        dropout: Share of the attention weights dropped in training.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(
                f"The number of heads must divide the width, got width={width}, heads={heads}."
            )
        self.heads = heads
        self.causal = causal
        self.dropout = dropout
        # No bias: a key's bias shifts all scores of a query alike, so it could never be learned.
        self.qkv = started(nn.Linear(width, 3 * width, bias=False), gain=1.0)
        self.out = started(nn.Linear(width, width), gain=0.5)

    def forward(self, h: Tensor, attend: Tensor | None = None) -> Tensor:
        """Each position's mixture of the positions it may see.

        Arguments:
            h: Positions, (N, T, W).
            attend: Which positions may be looked at, bool (N, T), at least one a row; None for
                all. Not with ``causal``.
        """
        rows, length, width = h.shape
        parts = self.qkv(h).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, T, W / heads)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if attend is None else attend[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        return self.out(mixed.transpose(1, 2).reshape(rows, length, width))

    def advance(self, h: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """As ``forward`` for one more position of a causal attention.

        Arguments:
            h: The new position, (N, 1, W).
            past: Keys and values of those before, (N, 2, heads, t, W / heads); None if there are
                none.

        Returns:
            The new position's mixture, (N, 1, W), and the keys and values with its own.
        """
        rows, _, width = h.shape
        parts = self.qkv(h).view(rows, 3, self.heads, 1, width // self.heads)
        known = parts[:, 1:] if past is None else torch.cat([past, parts[:, 1:]], 3)
        mixed = F.scaled_dot_product_attention(parts[:, 0], known[:, 0], known[:, 1])
        return self.out(mixed.reshape(rows, 1, width)), known


class ContextNorm(nn.Module):
    """norm(h) * (1 + s(c)) + b(c): (N, T, W) and (N, F) -> (N, T, W).

    Arguments:
        width: Size W of a position.
        context_features: Size F of the context.
    """

    def __init__(self, width: int, context_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = started(nn.Linear(context_features, 2 * width), gain=0.5)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        """The modulated positions."""
        scale, shift = self.film(context).unsqueeze(1).chunk(2, -1)
        return self.norm(h) * (1 + scale) + shift


class TransformerBlock(nn.Module):
    """Attention and a two-layer MLP, each added to its input, (N, T, W) -> (N, T, W).

    Arguments:
        width: Size W of a position.
        heads: The number of heads; it must divide the width.
        causal: Whether a position sees only itself and those before it.
        context_features: Size F of a context that modulates the norms; 0 for none.
        dropout: Share of attention weights and hidden units dropped in training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool = False,
        context_features: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.has_context = context_features > 0
        self.before_attention = self._norm(width, context_features)
        self.attention = SelfAttention(width, heads, causal=causal, dropout=dropout)
        self.before_mlp = self._norm(width, context_features)
        self.mlp = nn.Sequential(
            started(nn.Linear(width, 4 * width)),
            nn.SiLU(),
            nn.Dropout(dropout),
            started(nn.Linear(4 * width, width), gain=0.5),
        )

    @staticmethod
    def _norm(width: int, context_features: int) -> nn.Module:
        return ContextNorm(width, context_features) if context_features else nn.LayerNorm(width)

    def forward(
        self, h: Tensor, context: Tensor | None = None, attend: Tensor | None = None
    ) -> Tensor:
        """The positions after one block.

        Arguments:
            h: Positions, (N, T, W).
            context: The context (N, F), if the block was made for one.
            attend: Which positions may be looked at, bool (N, T); None for all.
        """
        given = (context,) if self.has_context else ()
        h = h + self.attention(self.before_attention(h, *given), attend)
        return h + self.mlp(self.before_mlp(h, *given))

    def advance(
        self, h: Tensor, context: Tensor | None, past: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One more position after one causal block; see ``SelfAttention.advance``."""
        given = (context,) if self.has_context else ()
        mixed, known = self.attention.advance(self.before_attention(h, *given), past)
        h = h + mixed
        return h + self.mlp(self.before_mlp(h, *given)), known
