r"""Fréchet distance between two sets of features, each taken for a Gaussian.

.. math:: d^2 = |\mu_1 - \mu_2|^2 + \operatorname{tr}\Sigma_1 + \operatorname{tr}\Sigma_2
          - 2 \operatorname{tr} (\Sigma_1 \Sigma_2)^{1/2}

The last trace is the sum of the singular values of :math:`\Sigma_1^{1/2} \Sigma_2^{1/2}`, and with
:math:`\Sigma = A^\top A`, A the centred features over :math:`\sqrt{N - 1}`, of :math:`A_1
A_2^\top`: no root of a matrix is taken, so nothing goes wrong where there are fewer rows than
features, and the distance of equal sets is zero up to rounding. In float64.

With features of an Inception network this is the FID. It is biased upwards by few rows (so compare
sets of equal size only), and never comparable across feature networks. A generator that repeats
training rows has the best of all.

References:
    Martin Heusel, Hubert Ramsauer, Thomas Unterthiner, Bernhard Nessler, Sepp Hochreiter. GANs
    Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium. NeurIPS 2017.
    https://arxiv.org/abs/1706.08500, equation 6. D. C. Dowson, B. V. Landau. The Fréchet distance
    between multivariate normal distributions. Journal of Multivariate Analysis 12, 1982.
    https://doi.org/10.1016/0047-259X(82)90077-X
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.metrics.registry import metric


@metric(better="lower", bounds=(0.0, math.inf), baseline="that of as many other real rows")
def frechet_distance(features: Tensor, reference: Tensor) -> Tensor:
    """Squared Fréchet distance between the Gaussians of two sets of features.

    Arguments:
        features: ``(N, F)``, at least two rows.
        reference: ``(R, F)``, at least two rows.

    Returns:
        A float64 scalar.

    Raises:
        ValueError: If shapes do not fit, rows are too few or a number is not finite.
    """
    check_features(features, reference, 2)
    one, other = features.double(), reference.double()
    means = one.mean(0), other.mean(0)
    parts = [
        (x - mean) / math.sqrt(len(x) - 1) for x, mean in zip((one, other), means, strict=True)
    ]
    # The factor with the fewer rows: R of A = Q R has the same A'A.
    roots = [torch.linalg.qr(x, mode="r").R if len(x) > x.shape[1] else x for x in parts]
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    spread = parts[0].square().sum() + parts[1].square().sum() - 2 * shared
    return ((means[0] - means[1]).square().sum() + spread).clamp(min=0)


@metric(better="lower", bounds=(0.0, math.inf), baseline="that of as many other real rows")
def gaussian_frechet(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> Tensor:
    """The same from means ``(F,)`` and covariances ``(F, F)``; a float64 scalar."""
    roots = []
    for one in (covariance, other_covariance):
        values, vectors = torch.linalg.eigh(one.double())
        roots.append(values.clamp(min=0).sqrt()[:, None] * vectors.T)
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    trace = roots[0].square().sum() + roots[1].square().sum()
    shift = (mean.double() - other_mean.double()).square().sum()
    return (shift + trace - 2 * shared).clamp(min=0)


def check_features(features: Tensor, reference: Tensor, least: int) -> None:
    """Refuse features that no distance can be had of.

    Raises:
        ValueError: If shapes do not fit, rows are fewer than ``least`` or a number is not finite.
    """
    if features.ndim != 2 or reference.ndim != 2 or features.shape[1] != reference.shape[1]:
        raise ValueError(
            "features must be (N, F) and (R, F), got "
            f"{tuple(features.shape)} and {tuple(reference.shape)}."
        )
    if min(len(features), len(reference)) < least:
        raise ValueError(
            f"needs at least {least} rows of features, got {len(features)} and {len(reference)}."
        )
    for what, x in (("features", features), ("reference", reference)):
        if not bool(x.isfinite().all()):
            row = int((~x.isfinite()).any(1).nonzero()[0, 0])
            raise ValueError(f"{what} must be finite numbers, row {row} is not.")
