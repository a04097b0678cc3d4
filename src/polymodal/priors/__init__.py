"""Priors: modules whose ``forward`` returns a distribution over the latent space."""

from polymodal.priors.auxiliary import AuxiliaryPrior as AuxiliaryPrior
from polymodal.priors.blocks import BlockPrior as BlockPrior
from polymodal.priors.ex_post import ExPostPrior as ExPostPrior
from polymodal.priors.exemplars import Exemplars as Exemplars
from polymodal.priors.mixture import MixturePrior as MixturePrior
from polymodal.priors.pruning import Pruning as Pruning
from polymodal.priors.pruning import prune_clusters as prune_clusters
from polymodal.priors.standard import StandardPrior as StandardPrior
from polymodal.priors.vamp import VampPrior as VampPrior
