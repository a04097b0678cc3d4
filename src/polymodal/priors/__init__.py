"""Priors: modules whose ``forward`` returns a distribution over the latent space."""

from polymodal.priors.standard import StandardPrior as StandardPrior
