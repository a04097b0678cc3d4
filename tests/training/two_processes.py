"""Run under torchrun: each process trains its share and writes the weights it ended with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.training.toy import Rows, ToyModel, weights

from polymodal.training import TrainSettings, fit
from polymodal.training.checkpoint import FILE_NAME


def main() -> None:
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    model = ToyModel(noise=0.0, dtype=torch.float64)
    if rank:  # a process that began with other weights gets those of the first
        torch.nn.init.zeros_(model.encoders[0].weight)
    result = fit(
        model,
        Rows(33, torch.float64),
        TrainSettings(epochs=3, batch_size=8, learning_rate=0.02, clip_norm=0.5, seed=4),
        validation=Rows(20, torch.float64),
        run_dir=folder,
    )
    losses = torch.tensor([record.loss for record in result.history], dtype=torch.float64)
    scores = torch.tensor([record.validation for record in result.history], dtype=torch.float64)
    save_file({**weights(model), "losses": losses, "scores": scores}, folder / f"{rank}.st")
    if not (folder / FILE_NAME).exists() and rank == 0:
        raise SystemExit("the first process wrote no checkpoint")


if __name__ == "__main__":
    main()
