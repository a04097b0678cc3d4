"""Run as a program: fit once in peace, once killed again and again; say whether they agree."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tests.estimator.cases import frame, tiny

import polymodal as pm
from polymodal.fitting import RUN_NAME
from polymodal.training.checkpoint import CHECKPOINT, FILE_NAME

DATA = frame(50)[["w", "s", "photo"]]
PARAMETERS = tiny(epochs=6, batch_size=8, seed=4, recipe="mvtcae", checkpoint_minutes=1e-9)


def fitted(folder: Path) -> pm.MultimodalModel:
    if (folder / RUN_NAME).exists():
        return pm.MultimodalModel().resume(folder)
    return pm.MultimodalModel(**PARAMETERS).fit(DATA, run_dir=folder)


def in_a_fork(folder: Path, seconds: float | None) -> bool:
    """Whether the run ended by itself within ``seconds``."""
    child = os.fork()
    if not child:
        fitted(folder)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the run failed")
    return os.WIFEXITED(status)


def told(model: pm.MultimodalModel) -> list[np.ndarray]:
    losses = [[r.epoch, r.step, r.loss, r.validation] for r in model.result_.history]
    weights = [w.numpy() for w in model.model_.state_dict().values()]
    return [*weights, np.array(losses), model.embed(DATA), model.score(DATA, 20), model.held_out_]


def main() -> None:
    peace, war = Path(sys.argv[1]) / "peace", Path(sys.argv[1]) / "war"
    torch.set_num_threads(1)
    never_stopped = told(pm.MultimodalModel(**PARAMETERS).fit(DATA))
    moments, positions = random.Random(int(sys.argv[2])), set()
    while len(positions) < 30 and not in_a_fork(war, moments.uniform(0.05, 0.3)):
        if (war / FILE_NAME).exists():
            positions.add(tuple(CHECKPOINT.read(war / FILE_NAME)[0]["position"]))
    models = [fitted(war), fitted(peace)]
    parameters = [m.get_params() == pm.MultimodalModel(**PARAMETERS).get_params() for m in models]
    same = [all(map(np.array_equal, told(m), never_stopped)) for m in models]
    print(json.dumps({"positions": sorted(positions), "same": same, "parameters": parameters}))


if __name__ == "__main__":
    main()
