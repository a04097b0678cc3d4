"""Likelihoods: network output -> p(x_m | z)."""

from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.counts import NegativeBinomialLikelihood, PoissonLikelihood
from polymodal.likelihoods.discrete import BernoulliLikelihood, CategoricalLikelihood
from polymodal.likelihoods.location_scale import GaussianLikelihood, LaplaceLikelihood
from polymodal.likelihoods.mixed import MixedLikelihood
from polymodal.likelihoods.ordinal import OrdinalLikelihood
from polymodal.likelihoods.tokens import AutoregressiveTextLikelihood, TokenLikelihood

__all__ = [
    "AutoregressiveTextLikelihood",
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "GaussianLikelihood",
    "LaplaceLikelihood",
    "Likelihood",
    "MixedLikelihood",
    "NegativeBinomialLikelihood",
    "OrdinalLikelihood",
    "PoissonLikelihood",
    "TokenLikelihood",
]
