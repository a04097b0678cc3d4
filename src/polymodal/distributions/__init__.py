"""Distributions that torch lacks, as torch Distributions."""

from polymodal.distributions.diagonal import Diagonal as Diagonal
from polymodal.distributions.strata import Strata as Strata
