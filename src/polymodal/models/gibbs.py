r"""Draws of interacting latent vectors: a mean field to begin with, then block Gibbs.

Given the others, block m is Gaussian with natural parameters that are linear in their T. Both
sweeps take the blocks in turn: Gibbs puts a draw of the conditional in the block's place, the mean
field its expectations,

.. math:: E\,T(z_m) = (\mu_m,\; \mu_m^2 + \sigma_m^2) \quad \text{at} \quad
          \eta_m = \nu_m + \sum_n G_{mn} E\,T(z_n),

which is coordinate ascent on the ELBO of :math:`\prod_m q_m(z_m)` and needs no chains: one state a
row serves all its draws. Chains that begin there are near the posterior after a sweep or two where
those that begin without the interaction need five to fifteen.

References:
    Block Gibbs: Stuart Geman, Donald Geman. Stochastic Relaxation, Gibbs Distributions, and the
    Bayesian Restoration of Images. IEEE PAMI 6, 1984. https://doi.org/10.1109/TPAMI.1984.4767596.
    Mean field: Michael I. Jordan, Zoubin Ghahramani, Tommi S. Jaakkola, Lawrence K. Saul. An
    Introduction to Variational Methods for Graphical Models. Machine Learning 37, 1999.
    https://doi.org/10.1023/A:1007665907178.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.models.interaction import LEAST_PRECISION, moments


@torch.no_grad()
def gibbs(matrix: Tensor, evidence: Tensor, z: Tensor, sweeps: int) -> Tensor:
    """Draw every block in turn given the others, ``sweeps`` times.

    Arguments:
        matrix: All blocks of G, ``(2 M d, 2 M d)``; no block meets itself.
        evidence: nu, broadcastable to ``(..., M, 2 d)``.
        z: The states of the chains, ``(..., M, d)``.
        sweeps: How many times.

    Returns:
        The new states, ``(..., M, d)``.
    """
    states = z.reshape(-1, *z.shape[-2:]).permute(1, 2, 0)
    drawn = _Conditionals(matrix, evidence).draw(states, sweeps)
    return drawn.permute(2, 0, 1).reshape(z.shape)


@torch.no_grad()
def mean_field(matrix: Tensor, evidence: Tensor, sweeps: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of the product of Gaussians that is found after some sweeps.

    Arguments:
        matrix: All blocks of G, ``(2 M d, 2 M d)``.
        evidence: nu, ``(..., M, 2 d)``; the blocks begin as if they did not interact.
        sweeps: How often each block is set to what the others make of it, at least once.

    Returns:
        Two tensors ``(..., M, d)``.
    """
    mean, variance = _Conditionals(matrix, evidence).field(sweeps)
    shape = (*evidence.shape[:-1], evidence.shape[-1] // 2)
    return mean.permute(2, 0, 1).reshape(shape), variance.permute(2, 0, 1).reshape(shape)


@torch.no_grad()
def posterior_draws(
    matrix: Tensor, evidence: Tensor, shape: tuple[int, ...], field_sweeps: int, sweeps: int
) -> Tensor:
    """Draws that begin at the mean field of their row, ``(*shape, ..., M, d)``.

    Arguments:
        matrix: All blocks of G, ``(2 M d, 2 M d)``.
        evidence: nu, ``(..., M, 2 d)``.
        shape: How many draws.
        field_sweeps: Sweeps of the mean field, at least 1.
        sweeps: Sweeps of Gibbs after it.
    """
    conditionals = _Conditionals(matrix, evidence)
    mean, variance = (one.unsqueeze(2) for one in conditionals.field(field_sweeps))
    n_blocks, dim, _, n_rows = mean.shape
    noise = mean.new_empty(n_blocks, dim, math.prod(shape), n_rows).normal_()
    begun = torch.addcmul(mean, noise, variance.sqrt(), out=noise).flatten(2)
    drawn = conditionals.draw(begun, sweeps).permute(2, 0, 1)
    return drawn.reshape(*shape, *evidence.shape[:-1], dim)


class _Conditionals:
    """What every block is given the blocks after it, for R rows of evidence.

    Chains lie along the last axis, so that a block is one piece of memory.

    Arguments:
        matrix: All blocks of G.
        evidence: nu, ``(..., M, 2 d)``.
    """

    def __init__(self, matrix: Tensor, evidence: Tensor) -> None:
        self.n_blocks, size = evidence.shape[-2:]
        self.dim, device = size // 2, matrix.device
        sign = torch.ones(2, self.dim, dtype=matrix.dtype, device=device)
        sign[1] = -2
        sign = sign.flatten()
        block = torch.arange(self.n_blocks, device=device).unsqueeze(1)
        after = (block + torch.arange(1, self.n_blocks, device=device)) % self.n_blocks
        blocks = matrix.reshape(self.n_blocks, size, self.n_blocks, size).permute(2, 0, 3, 1)
        self.pulls = blocks[block, after].transpose(1, 2).flatten(2) * sign.unsqueeze(-1)
        rows = evidence.reshape(-1, self.n_blocks, size) * sign
        rows[..., self.dim :] += 1
        self.base = rows.permute(1, 2, 0).contiguous()
        self.evidence = evidence

    def field(self, sweeps: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of each row, ``(M, d, R)``; see :func:`mean_field`."""
        mean, precision = (
            one.reshape(-1, self.n_blocks, self.dim).permute(1, 2, 0)
            for one in moments(self.evidence)
        )
        ring = _Ring(mean, mean.square() + 1 / precision)
        variance = torch.empty_like(mean, memory_format=torch.contiguous_format)
        for _ in range(sweeps):
            for m in range(self.n_blocks):
                first, root = self._given(ring, self.base[m], m)
                state, square = ring.block(m)
                torch.square(root, out=variance[m])
                torch.mul(first, variance[m], out=state)
                torch.addcmul(variance[m], state, state, out=square)
                ring.close(m)
        return ring.states(), variance

    def draw(self, states: Tensor, sweeps: int) -> Tensor:
        """States ``(M, d, K R)`` after some sweeps; chain k R + r has the evidence of row r."""
        ring = _Ring(states, states.square())
        base = self.base.repeat(1, 1, states.shape[-1] // max(self.base.shape[-1], 1))
        noise = torch.empty_like(states, memory_format=torch.contiguous_format)
        drawn = torch.empty_like(noise[0])
        for _ in range(sweeps):
            noise.normal_()
            for m in range(self.n_blocks):
                first, root = self._given(ring, base[m], m)
                torch.addcmul(noise[m], first, root, out=drawn)
                state, square = ring.block(m)
                torch.mul(drawn, root, out=state)
                torch.square(state, out=square)
                ring.close(m)
        return ring.states()

    def _given(self, ring: _Ring, base: Tensor, m: int) -> tuple[Tensor, Tensor]:
        """Mean times precision, and standard deviation, of block m given the others."""
        if self.n_blocks > 1:
            torch.addmm(base, self.pulls[m], ring.others(m), out=ring.natural)
        else:
            ring.natural.copy_(base)
        first, root = ring.natural.split(self.dim)
        # The bound holds in exact arithmetic; sums of large numbers round.
        return first, root.clamp_(min=LEAST_PRECISION).rsqrt_()


class _Ring:
    """T of all blocks of all chains: blocks 0..M-1 0..M-2, so that all but one are one slice.

    Arguments:
        first: z or its expectation, ``(M, d, C)``.
        second: z^2 or its expectation.
    """

    def __init__(self, first: Tensor, second: Tensor) -> None:
        self.n_blocks, self.dim, n_chains = first.shape
        told = torch.cat([first, second], 1)
        self._told = torch.cat([told, told[:-1]])
        self.natural = told.new_empty(2 * self.dim, n_chains)

    def others(self, m: int) -> Tensor:
        """T of the M - 1 blocks after block m, ``((M - 1) 2 d, C)``."""
        return self._told[m + 1 : m + self.n_blocks].flatten(0, 1)

    def block(self, m: int) -> tuple[Tensor, Tensor]:
        """Where the first and second half of block m are written, ``(d, C)`` each."""
        return self._told[m, : self.dim], self._told[m, self.dim :]

    def close(self, m: int) -> None:
        """Show block m, which was written, to the blocks before it."""
        if m < self.n_blocks - 1:
            self._told[m + self.n_blocks].copy_(self._told[m])

    def states(self) -> Tensor:
        """The first halves, ``(M, d, C)``."""
        return self._told[: self.n_blocks, : self.dim]
