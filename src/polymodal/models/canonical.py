r"""Solving for what several views share: canonical correlations, and EM where views are missing.

.. math:: y_m = C_m z + b_m + N(0, \Psi_m), \qquad z \sim N(0, I), \qquad \Psi_m \text{ full}

With :math:`S` the covariance of all views, each block on its diagonal :math:`S_{mm}` with a ridge,
and :math:`\tilde S = \operatorname{diag}(S_{mm})^{-1/2} S \operatorname{diag}(S_{mm})^{-1/2}`, the
eigenvectors :math:`v` of the eigenvalues :math:`\rho = 1 + (M - 1) r` (MAXVAR) give

.. math:: C_m = S_{mm}^{1/2} v_m \sqrt{M r}, \qquad \Psi_m = S_{mm} - C_m C_m^\top

For two views r are the canonical correlations, :math:`v_m` the singular vectors of
:math:`S_{11}^{-1/2} S_{12} S_{22}^{-1/2}` (over :math:`\sqrt 2`), and this is the maximum of the
likelihood. For more views :math:`M r / \rho` is the reliability of the common variate, and EM goes
on from there, with parameters expanded by the covariance of z.

References:
    Francis Bach, Michael Jordan. A Probabilistic Interpretation of Canonical Correlation Analysis.
    2005, theorem 2. https://statistics.berkeley.edu/tech-reports/688. Jon Kettenring. Canonical
    analysis of several sets of variables. Biometrika 58, 1971.
    https://doi.org/10.1093/biomet/58.3.433. Chuanhai Liu, Donald Rubin, Ying Nian Wu. Parameter
    expansion to accelerate EM. Biometrika 85, 1998. https://doi.org/10.1093/biomet/85.4.755
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 4096


@dataclass(frozen=True)
class Shared:
    """What the views share.

    Arguments:
        loadings: C_m, ``(P_m, D)`` each.
        noises: Psi_m, ``(P_m, P_m)`` each.
        offsets: b_m, ``(P_m,)`` each.
        correlations: r of each latent dimension, ``(D,)``; zero where there are no more.
    """

    loadings: list[Tensor]
    noises: list[Tensor]
    offsets: list[Tensor]
    correlations: Tensor


def canonical(covariance: Tensor, sizes: Sequence[int], dim: int, least: float = 0.0) -> Shared:
    """The closed form from the covariance of all views, ridges included.

    Arguments:
        covariance: S, ``(P, P)``, float64; blocks on its diagonal positive definite.
        sizes: P_m of each view, at least two views.
        dim: D; dimensions beyond what the views have in common get loadings of zero.
        least: What M r is at least, for a start of EM that must not be zero.
    """
    n_views, n = len(sizes), min(dim, sum(sizes))
    ends = [sum(sizes[: m + 1]) for m in range(n_views)]
    within = [covariance[e - p : e, e - p : e] for e, p in zip(ends, sizes, strict=True)]
    root = torch.block_diag(*[_power(one, 0.5) for one in within])
    inverse = torch.block_diag(*[_power(one, -0.5) for one in within])
    values, vectors = torch.linalg.eigh(inverse @ covariance @ inverse)
    rho, v = values.flip(0)[:n], vectors.flip(1)[:, :n]
    common = ((rho - 1) / (n_views - 1)).clamp(0, 1)
    # Two views have no more canonical pairs than the smaller has numbers.
    if n_views == 2:
        common = torch.where(torch.arange(n, device=rho.device) < min(sizes), common, 0)
    whole = root @ v * (n_views * common).clamp(min=least).sqrt()
    whole = whole * torch.where(whole.gather(0, whole.abs().argmax(0)[None]) < 0, -1.0, 1.0)
    whole = torch.nn.functional.pad(whole, (0, dim - n))
    loadings = list(whole.split(list(sizes)))
    noises = [one - c @ c.T for one, c in zip(within, loadings, strict=True)]
    offsets = [c.new_zeros(len(c)) for c in loadings]
    return Shared(loadings, noises, offsets, torch.nn.functional.pad(common, (0, dim - n)))


def single(covariance: Tensor, dim: int) -> Shared:
    """One view alone shares nothing: its principal components, by probabilistic PCA."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0), vectors.flip(1)
    n = min(dim, len(values))
    noise = values[n:].mean() if n < len(values) else 0.5 * values[-1]
    loading = vectors[:, :n] * (values[:n] - noise).clamp(min=0).sqrt()
    loading = torch.nn.functional.pad(loading, (0, dim - n))
    left = covariance - loading @ loading.T
    return Shared([loading], [left], [values.new_zeros(len(values))], values.new_zeros(dim))


def expectation_maximisation(
    views: Sequence[Tensor],
    on: Tensor,
    ridges: Sequence[float],
    start: Shared,
    *,
    steps: int = 500,
    tolerance: float = 1e-9,
) -> Shared:
    """The maximum of the likelihood where rows lack views; each step raises it.

    Arguments:
        views: y_m, ``(N, P_m)`` each, float64; anything finite where absent.
        on: Which views a row has, bool ``(M, N)``.
        ridges: What is added to each view's variances.
        start: Where to begin.
        steps: At most as many steps.
        tolerance: Stop where the log-likelihood of a row rises by less, in nats.
    """
    problem = _Problem(views, on, ridges)
    state, before = start, -math.inf
    for _ in range(steps):
        state, value = problem.step(state)
        if value - before < tolerance:
            break
        before = value
    loadings, noises, offsets = problem.turned(state)
    whole = torch.cat(loadings)
    implied = whole @ whole.T + torch.block_diag(*noises)
    found = canonical(implied, [len(b) for b in offsets], whole.shape[1])
    return Shared(loadings, noises, offsets, found.correlations)


class _Problem:
    """The data of EM, with what no step changes."""

    def __init__(self, views: Sequence[Tensor], on: Tensor, ridges: Sequence[float]) -> None:
        self.views = [torch.where(here[:, None], y, 0) for y, here in zip(views, on, strict=True)]
        self.on, self.ridges = on, ridges
        self.patterns, self.pattern, self.counts = torch.unique(
            on, dim=1, return_inverse=True, return_counts=True
        )  # (M, Q), (N,), (Q,)
        # Rows of the commonest pattern are one product; the others are taken together.
        self.commonest = int(self.counts.argmax())
        alike = self.pattern == self.commonest
        self.alike, unlike = alike.nonzero()[:, 0], (~alike).nonzero()[:, 0]
        self.unlike = unlike.split(_ROWS) if len(unlike) else ()
        self.n_on = on.sum(1).clamp(min=1).double()
        self.sums = [y.sum(0) for y in self.views]
        self.squares = [y.T @ y for y in self.views]

    def step(self, state: Shared) -> tuple[Shared, float]:
        """Better parameters, and the mean log-likelihood of a row under those given."""
        n_views, n_rows = self.on.shape
        dim = state.loadings[0].shape[1]
        gains, precisions, value = [], [], 0.0
        eye = torch.eye(dim, dtype=torch.float64, device=self.on.device)
        for m, (c, noise) in enumerate(zip(state.loadings, state.noises, strict=True)):
            factor = torch.linalg.cholesky(noise)
            gain = torch.cholesky_solve(c, factor).T  # (D, P)
            gains.append(gain)
            precisions.append(gain @ c)
            apart = torch.outer(self.sums[m], state.offsets[m])
            n, offset = float(self.on[m].sum()), state.offsets[m]
            square = self.squares[m] - apart - apart.T + n * torch.outer(offset, offset)
            inverse = torch.cholesky_inverse(factor)
            constant = len(noise) * math.log(2 * math.pi) + 2 * factor.diagonal().log().sum()
            spread = self.ridges[m] * inverse.trace()
            value -= 0.5 * float((square * inverse).sum() + n * (constant + spread))
        here = self.patterns.double()  # (M, Q)
        precision = eye + torch.einsum("mq,mde->qde", here, torch.stack(precisions))
        v = torch.linalg.inv(precision)  # (Q, D, D)
        ridged = [r * g @ g.T for r, g in zip(self.ridges, gains, strict=True)]
        jitter = torch.einsum("mq,mde->qde", here, torch.stack(ridged))
        second = v + v @ jitter @ v
        value += 0.5 * float((self.counts * ((v * jitter).sum((1, 2)))).sum())
        value -= 0.5 * float((self.counts * torch.logdet(precision)).sum())
        z, explained = self._means(state, gains, v)
        value += 0.5 * explained
        counts = self.counts.double()
        loadings, noises, offsets = [], [], []
        for m in range(n_views):
            n, y, w = self.n_on[m], self.views[m], here[m] * counts
            mine = z * self.on[m][:, None]
            mean_z, mean_y = mine.sum(0) / n, self.sums[m] / n
            zz = (mine.T @ mine + torch.einsum("q,qde->de", w, second)) / n
            zz = zz - torch.outer(mean_z, mean_z)
            cross = torch.einsum("q,qde->de", w, v) / n  # of the ridge, which z follows
            yz = y.T @ mine / n - torch.outer(mean_y, mean_z) + self.ridges[m] * gains[m].T @ cross
            c = torch.linalg.solve(zz, yz.T).T
            yy = self.squares[m] / n - torch.outer(mean_y, mean_y)
            noise = yy + self.ridges[m] * torch.eye(len(yy), dtype=yy.dtype, device=yy.device)
            noise = noise - c @ yz.T
            loadings.append(c)
            noises.append((noise + noise.T) / 2)
            offsets.append(mean_y - c @ mean_z)
        # z need not be standard in between: its mean and covariance go into the parameters.
        mean = z.mean(0)
        spread = (z.T @ z + torch.einsum("q,qde->de", counts, second)) / n_rows
        factor = torch.linalg.cholesky(spread - torch.outer(mean, mean))
        offsets = [b + c @ mean for b, c in zip(offsets, loadings, strict=True)]
        better = Shared([c @ factor for c in loadings], noises, offsets, state.correlations)
        return better, value / n_rows

    def _means(self, state: Shared, gains: list[Tensor], v: Tensor) -> tuple[Tensor, float]:
        """E[z] of each row ``(N, D)``, and what it explains in nats, twice."""
        weighted = self.views[0].new_zeros(self.on.shape[1], len(v[0]))
        for y, here, b, gain in zip(self.views, self.on, state.offsets, gains, strict=True):
            weighted += torch.where(here[:, None], (y - b) @ gain.T, 0)
        z = torch.empty_like(weighted)
        z[self.alike] = weighted[self.alike] @ v[self.commonest]
        for rows in self.unlike:
            z[rows] = torch.einsum("nde,ne->nd", v[self.pattern[rows]], weighted[rows])
        return z, float((z * weighted).sum())

    @staticmethod
    def turned(state: Shared) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The same model with latent dimensions in the order of what all views say of them."""
        total = sum(
            c.T @ torch.linalg.solve(noise, c)
            for c, noise in zip(state.loadings, state.noises, strict=True)
        )
        turn = torch.linalg.eigh(total).eigenvectors.flip(1)
        whole = torch.cat(state.loadings) @ turn
        whole = whole * torch.where(whole.gather(0, whole.abs().argmax(0)[None]) < 0, -1.0, 1.0)
        sizes = [len(c) for c in state.loadings]
        return list(whole.split(sizes)), state.noises, state.offsets


def _power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=1e-300).pow(power) @ vectors.T
