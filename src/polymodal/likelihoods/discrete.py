"""Likelihoods of yes/no vectors and images, and of a lone category."""

from __future__ import annotations

from torch import Tensor

from polymodal.distributions.factorised import BernoulliObserved, CategoricalObserved
from polymodal.likelihoods.base import Likelihood, as_shape, check_at_least


class BernoulliLikelihood(Likelihood):
    """Bernoulli of each cell; the decoder gives logits. Values between 0 and 1 are scored too.

    Arguments:
        shape: Shape of one value; an integer P stands for ``(P,)``.
    """

    def __init__(self, shape: tuple[int, ...] | int) -> None:
        shape = as_shape(shape, "BernoulliLikelihood")
        super().__init__(shape, shape)

    def _observe(self, parameters: Tensor) -> BernoulliObserved:
        return BernoulliObserved(parameters, self.value_shape)

    def point(self, statistics: Tensor) -> Tensor:
        """Probabilities as values, ``(..., P) -> (..., *value_shape)``."""
        return statistics.unflatten(-1, self.value_shape)


class CategoricalLikelihood(Likelihood):
    """One category a row; the decoder gives logits, values are codes ``(B,)``, int64.

    Arguments:
        levels: The number of categories L.
    """

    def __init__(self, levels: int) -> None:
        super().__init__((check_at_least(levels, 1, "CategoricalLikelihood: levels"),), ())

    def _observe(self, parameters: Tensor) -> CategoricalObserved:
        return CategoricalObserved(parameters)

    def point(self, statistics: Tensor) -> Tensor:
        """The most probable category, ``(..., L) -> (...)``, int64."""
        return statistics.argmax(-1)
