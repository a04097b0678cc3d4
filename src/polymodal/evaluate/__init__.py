"""Evaluation: protocols that say how good a model is, beside simple baselines."""

from polymodal.evaluate.bootstrap import bootstrap as bootstrap
from polymodal.evaluate.coherence import conditional_coherence as conditional_coherence
from polymodal.evaluate.coherence import joint_coherence as joint_coherence
from polymodal.evaluate.coherence_result import Coherence as Coherence
from polymodal.evaluate.coherence_result import Conditional as Conditional
from polymodal.evaluate.coherence_result import Joint as Joint
from polymodal.evaluate.factorisation import judge_factorisation as judge_factorisation
from polymodal.evaluate.fidelity import evaluate_fidelity as evaluate_fidelity
from polymodal.evaluate.fidelity_result import Fidelity as Fidelity
from polymodal.evaluate.inception import InceptionFeatures as InceptionFeatures
from polymodal.evaluate.judge import Judge as Judge
from polymodal.evaluate.judged import evaluate_coherence as evaluate_coherence
from polymodal.evaluate.judges import JudgeSettings as JudgeSettings
from polymodal.evaluate.judges import train_judge as train_judge
from polymodal.evaluate.judges import train_judges as train_judges
from polymodal.evaluate.probe import Probe as Probe
from polymodal.evaluate.probe import linear_probe as linear_probe
from polymodal.evaluate.result import Estimate as Estimate
from polymodal.evaluate.result import Evaluation as Evaluation
from polymodal.evaluate.result import SkillRow as SkillRow
from polymodal.evaluate.result import TextScore as TextScore
from polymodal.evaluate.skill import evaluate_skill as evaluate_skill
