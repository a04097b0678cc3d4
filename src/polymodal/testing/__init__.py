"""Laws that parts of your own can be held to, and a model with exact answers.

Each ``check_*`` below yields (name, law); a law raises AssertionError where it is broken. Single
laws are in the modules.
"""

from polymodal.testing.fusion import check_fusion as check_fusion
from polymodal.testing.likelihoods import check_likelihood as check_likelihood
from polymodal.testing.linear import LinearGaussian as LinearGaussian
from polymodal.testing.networks import check_decoder as check_decoder
from polymodal.testing.networks import check_encoder as check_encoder
from polymodal.testing.networks import check_step_decoder as check_step_decoder
from polymodal.testing.objective import check_objective as check_objective
from polymodal.testing.posterior import check_posterior as check_posterior
from polymodal.testing.prior import check_prior as check_prior
from polymodal.testing.recipe import check_recipe as check_recipe
