"""What the judges of ``fidelity.py`` say of a run's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from polymodal.data.tensors import Tensors
from polymodal.evaluate import conditional_coherence, joint_coherence
from polymodal.evaluate.coherence import subsets_of
from polymodal.evaluate.judge import Judge
from polymodal.metrics import frechet_distance


@torch.no_grad()
def judged(folder: Path, judges: dict[str, Judge], test: Tensors, labels: np.ndarray) -> dict:
    """What the judges say of a run's pictures, and its log-likelihood in nats a row."""
    names = list(judges)
    files = {s: folder / ("+".join(s) + ".npz") for s in subsets_of(names)}
    # The peer's TELBO answers nothing between one modality and all.
    read = {s: np.load(path) for s, path in files.items() if path.exists()}
    said = conditional_coherence(
        lambda given: read[tuple(given)], names, labels, judges, subsets=list(read)
    )
    made = dict(np.load(folder / "prior.npz"))
    joint = joint_coherence(made, judges, labels, int(labels.max()) + 1)
    real = {n: judges[n].features(test.x[n]) for n in names}
    across = [
        frechet_distance(judges[n].features(read[(m,)][n]), real[n])
        for n in names
        for m in names
        if m != n
    ]
    anew = [frechet_distance(judges[n].features(made[n]), real[n]) for n in names]
    facts = json.loads((folder / "facts.json").read_text())
    return {
        "coherence": {str(k): one.value for k, one in said.by_inputs.items()},
        "pairs": {
            f"{p.given[0]} -> {p.target}": p.accuracy.value
            for p in said.pairs
            if len(p.given) == 1 and not p.own
        },
        "synergy": said.synergy_mean.value,
        "joint": joint.agreement.value,
        "joint_by_chance": joint.chance,
        "joint_classes": joint.histograms,
        "frechet": float(np.mean(across)),
        "frechet_prior": float(np.mean(anew)),
        "log_likelihood": float(np.mean(facts["log_likelihood"])),
        "train_cpu_s": facts["train_cpu_s"],
    }
