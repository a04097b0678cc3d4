"""The state in which a model is asked: evaluation mode, draws from a seed, both given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polymodal.model import LatentModel
from polymodal.random import seeded


@contextmanager
def asking(model: LatentModel, seed: int | None) -> Iterator[None]:
    """Inside, the model is in evaluation mode and draws follow from the seed.

    Arguments:
        model: The model; its mode is put back afterwards.
        seed: The seed, or None to draw from the caller's random state.
    """
    was_training = model.training
    model.eval()
    try:
        with seeded(seed):
            yield
    finally:
        model.train(was_training)
