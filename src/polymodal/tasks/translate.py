"""Translate and reconstruct: some modalities given others, or given themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.distributions.decoding import Decoding
from polymodal.model import LatentModel
from polymodal.tasks.impute import impute


def translate(
    model: LatentModel,
    source: Tensors,
    to: Sequence[str],
    given: Sequence[str] | None = None,
    *,
    draws: int = 1,
    seed: int = 0,
    text: Decoding | None = None,
) -> dict[str, Tensor]:
    """Say what the modalities ``to`` are, given others.

    The latent is drawn from the posterior of what is given, as every paper has it; ``impute``,
    which answers for single rows with uncertainty, corrects those draws by resampling.

    Arguments:
        model: The model.
        source: The rows.
        to: The modalities wanted.
        given: The modalities to read; all of ``source`` but ``to`` when None.
        draws: 1 for a point estimate, more for that many samples.
        seed: All draws follow from it.
        text: How texts are written; None as ``impute`` does.

    Returns:
        Name -> ``(draws, N, ...)``.

    Raises:
        ValueError: If a name is unknown, nothing is wanted or given, or ``draws`` is below 1.
    """
    model.check_offers("translate")
    if not to:
        raise ValueError(f"nothing to translate to; name some of {', '.join(model.names)}.")
    given = tuple(given if given is not None else (n for n in source.present if n not in to))
    model.check_names((*to, *given))
    absent = [name for name in given if name not in source.present]
    if absent or not given:
        raise ValueError(
            f"nothing to translate from: given={list(given)}, but the data have "
            f"{', '.join(source.present) or 'nothing'}; name modalities that the data have."
        )
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}.")
    said = impute(
        model,
        source.select(given),
        draws=draws if draws > 1 else 0,
        proposals=0,
        seed=seed,
        names=to,
        keep=False,
        text=text,
    )
    return said.draws if draws > 1 else {name: said.point[name][None] for name in to}


@torch.no_grad()
def reconstruct(model: LatentModel, source: Tensors, *, seed: int = 0) -> dict[str, Tensor]:
    """Decode every modality from the posterior given all that a row has: name -> ``(N, ...)``."""
    return impute(model, source, draws=0, proposals=0, seed=seed, keep=False).point
