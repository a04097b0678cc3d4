"""Run as a program: train once in peace, once killed again and again; say whether they agree.

Each run is a fork of this process, so that torch is imported once. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from tests.training.toy import Rows, ToyModel

from polymodal.training import TrainSettings, fit
from polymodal.training.checkpoint import CHECKPOINT, FILE_NAME


def train(folder: Path, pause: float) -> None:
    class SlowRows(Rows):
        def gather(self, index):
            time.sleep(pause)
            return super().gather(index)

    settings = TrainSettings(
        epochs=8, batch_size=8, learning_rate=0.03, checkpoint_steps=3, average=0.9, seed=11
    )
    fit(ToyModel(), SlowRows(), settings, validation=Rows(20), run_dir=folder, resume=True)


def in_a_fork(folder: Path, pause: float, seconds: float | None) -> bool:
    """Whether the run ended by itself within ``seconds``."""
    child = os.fork()
    if not child:
        train(folder, pause)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the run failed")
    return os.WIFEXITED(status)


def outcome(folder: Path) -> tuple[dict, dict]:
    facts, tensors = CHECKPOINT.read(folder / FILE_NAME)
    for record in facts["history"]:
        del record["seconds"]
    del facts["seconds"]
    return facts, tensors


def main() -> None:
    peace, war = Path(sys.argv[1]) / "peace", Path(sys.argv[1]) / "war"
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # what it imports takes seconds
    in_a_fork(peace, 0.0, None)
    moments, positions = random.Random(int(sys.argv[2])), set()
    while len(positions) < 40 and not in_a_fork(war, 0.005, moments.uniform(0.03, 0.2)):
        if (war / FILE_NAME).exists():
            positions.add(tuple(outcome(war)[0]["position"]))
    in_a_fork(war, 0.0, None)
    (facts, tensors), (war_facts, war_tensors) = outcome(peace), outcome(war)
    same = tensors.keys() == war_tensors.keys()
    same = same and all(torch.equal(t, war_tensors[name]) for name, t in tensors.items())
    print(json.dumps({"positions": sorted(positions), "same": same and facts == war_facts}))


if __name__ == "__main__":
    main()
