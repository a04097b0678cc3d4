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
    to: str | Sequence[str],
    given: str | Sequence[str] | None = None,
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
        ValueError: If a name is unknown or given twice, nothing is wanted or given, or ``draws``
            is below 1.
        TypeError: If ``to`` or ``given`` is no list of names.
    """
    model.check_offers("translate")
    to = modality_names("to", to)
    if not to:
        raise ValueError(f"nothing to translate to; name some of {', '.join(model.names)}.")
    model.check_names(to)
    given = _sources(model, source, to) if given is None else modality_names("given", given)
    model.check_names(given)
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


def modality_names(role: str, names: str | Sequence[str]) -> tuple[str, ...]:
    """The names that ``translate`` was given as ``to`` or ``given``; one alone is a list of one.

    Raises:
        TypeError: If they are no names.
        ValueError: If one is named twice.
    """
    listed = (names,) if isinstance(names, str) else names
    if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
        raise TypeError(
            f"translate: {role} must be the name of a modality or a list of names, got {names!r}."
        )
    for i, name in enumerate(listed):
        if name in listed[:i]:
            raise ValueError(f"translate: {role} names {name!r} twice; name it once.")
    return tuple(listed)


def _sources(model: LatentModel, source: Tensors, to: Sequence[str]) -> tuple[str, ...]:
    """All modalities of the rows but ``to``."""
    others = [name for name in model.names if name not in to]
    found = tuple(name for name in source.present if name not in to)
    if not others:
        raise ValueError(
            f"nothing to translate from: the model has no modality but {', '.join(to)}. "
            "What is missing within a modality, impute fills in."
        )
    if not found:
        raise ValueError(
            f"nothing to translate from: the data have none of {', '.join(others)}; give rows "
            "that have some."
        )
    return found


@torch.no_grad()
def reconstruct(model: LatentModel, source: Tensors, *, seed: int = 0) -> dict[str, Tensor]:
    """Decode every modality from the posterior given all that a row has: name -> ``(N, ...)``."""
    return impute(model, source, draws=0, proposals=0, seed=seed, keep=False).point
