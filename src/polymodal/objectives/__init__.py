"""Objectives: model + batch -> Terms, one value a row in nats."""

from polymodal.objectives.aligned import JointToUnimodal as JointToUnimodal
from polymodal.objectives.auxiliary import AuxiliaryBound as AuxiliaryBound
from polymodal.objectives.componentwise import ComponentELBO as ComponentELBO
from polymodal.objectives.coordinated import Coordinated as Coordinated
from polymodal.objectives.dreg import DReG as DReG
from polymodal.objectives.dynamic import DynamicELBO as DynamicELBO
from polymodal.objectives.elbo import ELBO as ELBO
from polymodal.objectives.iwae import IWAE as IWAE
from polymodal.objectives.jsd import JensenShannon as JensenShannon
from polymodal.objectives.masked import MaskedBound as MaskedBound
from polymodal.objectives.mutual import MutualSupervision as MutualSupervision
from polymodal.objectives.private_shared import PrivateShared as PrivateShared
from polymodal.objectives.schedules import Constant as Constant
from polymodal.objectives.schedules import Cyclic as Cyclic
from polymodal.objectives.schedules import LinearWarmup as LinearWarmup
from polymodal.objectives.schedules import Schedule as Schedule
from polymodal.objectives.split import SplitELBO as SplitELBO
from polymodal.objectives.subsampled import SubsampledELBO as SubsampledELBO
from polymodal.objectives.total_correlation import TotalCorrelation as TotalCorrelation
from polymodal.objectives.triple import TripleELBO as TripleELBO
from polymodal.objectives.weighted_subsets import WeightedSubsets as WeightedSubsets
