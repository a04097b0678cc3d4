"""Evaluation: protocols that say how good a model is, beside simple baselines."""

from polymodal.evaluate.bootstrap import bootstrap as bootstrap
from polymodal.evaluate.result import Estimate as Estimate
from polymodal.evaluate.result import Evaluation as Evaluation
from polymodal.evaluate.result import SkillRow as SkillRow
from polymodal.evaluate.skill import evaluate_skill as evaluate_skill
