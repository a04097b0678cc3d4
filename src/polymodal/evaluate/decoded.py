"""What a model decodes, as judges see it: from every subset of modalities, and from the prior.

The values of a target are never handed to the posterior of a subset without it, so that nothing of
them can leak: not even their private latents, which come from the prior. Every subset of a piece
of rows is decoded in one call a modality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import Judging, Subset
from polymodal.model import LatentModel
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.given_nothing import prior_where_nothing
from polymodal.tasks.traverse import means_of
from polymodal.typing import Batch, Present


@torch.no_grad()
def given_means(
    model: LatentModel,
    source: Tensors,
    given: Subset,
    names: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Means of p(x_m | z) at one draw of z given some modalities, for all rows at once.

    Arguments:
        model: The model.
        source: The rows.
        given: The modalities given; the posterior is handed these alone.
        names: The modalities to decode.
        seed: The draws follow from it.

    Returns:
        Name -> ``(N, ...)``.
    """
    model.check_offers("translate")
    pieces: dict[str, list[Tensor]] = {name: [] for name in names}
    some = source.select(given)
    with asking(model, seed):
        for rows in chunks(len(source), 1, source.device):
            x, present = some.gather(rows)
            for name, z in _latents(model, x, present, names).items():
                pieces[name].append(means_of(model, z, (name,))[name])
    return {name: torch.cat(parts) for name, parts in pieces.items()}


@torch.no_grad()
def judge_given(
    model: LatentModel,
    source: Tensors,
    judges: Mapping[str, Judging],
    subsets: Sequence[Subset],
    *,
    own: bool = True,
    seed: int = 0,
    on_rows: Callable[[int], None] | None = None,
) -> dict[tuple[Subset, str], Tensor]:
    """The class that each judge sees in what is decoded from each subset.

    Arguments:
        model: The model.
        source: The rows, N.
        judges: Modality -> its judge.
        subsets: What is given.
        own: Decode what was given too; else only from all modalities, for synergy.
        seed: The draws follow from it.
        on_rows: Told the number of rows done, for a progress bar.

    Returns:
        (given, target) -> classes ``(N,)``.
    """
    model.check_offers("translate")
    most = max(map(len, subsets))
    read = {
        name: [i for i, s in enumerate(subsets) if own or name not in s or len(s) == most]
        for name in judges
    }
    said: dict[tuple[Subset, str], list[Tensor]] = {
        (subset, name): []
        for i, subset in enumerate(subsets)
        for name in judges
        if i in read[name]
    }
    with asking(model, seed):
        for rows in chunks(len(source), len(subsets), source.device):
            x, present = source.gather(rows)
            drawn = [
                _latents(
                    model,
                    {name: x[name] for name in subset},
                    {name: present[name] for name in subset},
                    tuple(judges),
                )
                for subset in subsets
            ]
            for name, judge in judges.items():
                if not read[name]:
                    continue
                z = torch.cat([drawn[i][name] for i in read[name]])  # (subsets x B, D)
                classes = judge.predict(means_of(model, z, (name,))[name])
                for i, part in zip(read[name], classes.split(len(rows)), strict=True):
                    said[subsets[i], name].append(part)
            if on_rows is not None:
                on_rows(len(rows))
    return {key: torch.cat(parts) for key, parts in said.items()}


@torch.no_grad()
def judge_generated(
    model: LatentModel, n: int, judges: Mapping[str, Judging], *, seed: int = 0
) -> dict[str, Tensor]:
    """The class that each judge sees in n new rows: name -> ``(n,)``.

    Raises:
        Lacking: If the family cannot generate.
        ValueError: If ``n`` is below 1.
    """
    model.check_offers("generate")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    said: dict[str, list[Tensor]] = {name: [] for name in judges}
    with asking(model, seed):
        z = model.prior().sample(torch.Size((n,)))
        for rows in chunks(n, 1, z.device):
            for name, value in means_of(model, z[rows], tuple(judges)).items():
                said[name].append(judges[name].predict(value))
    return {name: torch.cat(parts) for name, parts in said.items()}


def _latents(
    model: LatentModel, x: Batch, present: Present, names: Sequence[str]
) -> dict[str, Tensor]:
    """What each modality is decoded from: one draw, or the mean for a supervised head."""
    q = model.answer_posterior(x, present)
    z = prior_where_nothing(model, q.sample(torch.Size((1,))), present)[0]
    latents = dict.fromkeys(names, z)
    for name in model.at_mean.intersection(names):
        others = {other: mask for other, mask in present.items() if other != name}
        if others:
            latents[name] = model.answer_posterior(
                {other: x[other] for other in others}, others
            ).mean
    return latents
