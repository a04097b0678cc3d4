r"""Mixture of products of experts.

.. math:: q(z \mid x_S) = \frac{1}{2^{|S|} - 1} \sum_{\emptyset \ne A \subseteq S}
          q_A(z \mid x_A), \qquad q_A \propto \prod_{m \in A} q_m(z \mid x_m)

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 5.
"""

from __future__ import annotations

from torch import Tensor

from polymodal.distributions.diagonal import Family
from polymodal.fusion.experts import Experts, gaussian_from_precision, precisions
from polymodal.fusion.poe import Anchor, anchor_precision, check_anchor
from polymodal.fusion.subsets import MixtureOverSubsets, SumOverMembers


class MixtureOfProducts(MixtureOverSubsets):
    """The mixture over the products of all non-empty subsets of what is present.

    Arguments:
        anchor: Whether N(0, I) is a factor of every product (``"always"``), of the product of all
            modalities only (``"full"``, as released) or of none (``"never"``).
        max_strata: The largest number of strata; with more subsets, as many are drawn a row.
    """

    families: tuple[Family, ...] = ("normal",)

    def __init__(self, anchor: Anchor = "full", max_strata: int = 1023) -> None:
        super().__init__(max_strata)
        check_anchor(anchor)
        self.anchor: Anchor = anchor

    def _of_members(
        self, experts: Experts, total: SumOverMembers, size: Tensor, n_modalities: int
    ) -> tuple[Tensor, Tensor]:
        precision, weighted = precisions(experts)
        is_full = size.squeeze(-1) == n_modalities
        return gaussian_from_precision(
            total(precision) + anchor_precision(self.anchor, is_full),
            total(weighted),
            positive=self.anchor == "always" or experts.complete,
        )
