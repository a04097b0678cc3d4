r"""Canonical correlation: how much two sets of paired features have in common, linearly.

With whitened features :math:`\tilde A, \tilde B` the canonical correlations are the singular
values of :math:`\tilde A^\top \tilde B`. The axes are fitted on training pairs and the correlation
is measured on others, as for captions of pictures: on the rows that it is fitted on it is 1 as
soon as there are more features than rows.

Values depend on the features and the axes; published ones of one data set differ by a factor of
two for the real pairs alone, so never compare across implementations.

References:
    Harold Hotelling. Relations between two sets of variates. Biometrika 28, 1936.
    https://doi.org/10.1093/biomet/28.3-4.321. Yuge Shi, N. Siddharth, Brooks Paige, Philip Torr.
    Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep Generative Models. NeurIPS
    2019. https://arxiv.org/abs/1911.03393, section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.metrics.registry import metric

_RANK = 1e-9


@dataclass(frozen=True)
class CanonicalAxes:
    """Axes fitted on training pairs.

    Arguments:
        centres: Means of the two sets, ``(F,)`` and ``(G,)``.
        axes: Projections ``(F, C)`` and ``(G, C)``, to variates of unit variance.
        correlations: Of the training pairs, ``(C,)``, falling.
    """

    centres: tuple[Tensor, Tensor]
    axes: tuple[Tensor, Tensor]
    correlations: Tensor

    def project(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Variates ``(N, C)`` of two sets of features."""
        return (
            (a.double() - self.centres[0]) @ self.axes[0],
            (b.double() - self.centres[1]) @ self.axes[1],
        )


def fit_canonical_axes(
    a: Tensor, b: Tensor, components: int | None = None, ridge: float = 0.0
) -> CanonicalAxes:
    """Canonical axes of training pairs, in float64.

    Arguments:
        a: Features ``(N, F)``.
        b: Features of the same rows ``(N, G)``.
        components: How many axes; as many as there are when None.
        ridge: What is added to every variance, as a share of their mean; 0 for plain CCA.

    Raises:
        ValueError: If the rows do not fit or are fewer than two, or nothing varies.
    """
    _check(a, b)
    parts = [_whitened(x.double(), ridge) for x in (a, b)]
    (white_a, map_a, mean_a), (white_b, map_b, mean_b) = parts
    u, s, vh = torch.linalg.svd(white_a.T @ white_b / (len(a) - 1), full_matrices=False)
    n = min(components or len(s), len(s))
    return CanonicalAxes((mean_a, mean_b), (map_a @ u[:, :n], map_b @ vh[:n].T), s[:n].clamp(0, 1))


@metric(better="higher", bounds=(-1.0, 1.0), baseline="0, by pairs that were shuffled")
def canonical_correlation(a: Tensor, b: Tensor, axes: CanonicalAxes) -> Tensor:
    """Mean over canonical axes, fitted on other rows, of the correlation of pairs ``(N, F/G)``.

    An axis along which either set does not vary counts zero.
    """
    _check(a, b)
    one, other = (x - x.mean(0) for x in axes.project(a, b))
    lengths = one.square().sum(0) * other.square().sum(0)
    flat = lengths <= 1e-20
    products = (one * other).sum(0)
    each = torch.where(flat, 0.0, products / torch.where(flat, 1.0, lengths).sqrt())
    return each.mean()


@metric(better="higher", bounds=(-1.0, 1.0), baseline="0, by pairs that were shuffled")
def canonical_cosine(a: Tensor, b: Tensor, axes: CanonicalAxes) -> Tensor:
    """Mean over pairs of the cosine of their canonical variates, another form in use."""
    _check(a, b)
    one, other = axes.project(a, b)
    return torch.nn.functional.cosine_similarity(one, other, dim=1).mean()


def _whitened(x: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Whitened rows, the map ``(F, r)`` that whitens, and the mean."""
    mean = x.mean(0)
    centred = x - mean
    covariance = centred.T @ centred / (len(x) - 1)
    if ridge:
        covariance = covariance + ridge * covariance.diagonal().mean() * torch.eye(
            len(covariance), dtype=covariance.dtype, device=covariance.device
        )
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > _RANK * values.max().clamp(min=1e-300)
    if not bool(kept.any()) or bool(values.max() <= 0):
        raise ValueError("canonical axes: the features do not vary.")
    map_ = vectors[:, kept] / values[kept].sqrt()
    return centred @ map_, map_, mean


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < 2:
        raise ValueError(
            "paired features must be (N, F) and (N, G) with at least two rows, got "
            f"{tuple(a.shape)} and {tuple(b.shape)}."
        )
