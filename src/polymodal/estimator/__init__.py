"""The practitioner's front class: fit, then ask; and its file."""

from polymodal.estimator.front import MultimodalModel as MultimodalModel
from polymodal.estimator.judging import coherence as coherence
from polymodal.estimator.probing import factorise as factorise
from polymodal.estimator.probing import probe as probe
from polymodal.estimator.stored import load as load
