"""Generate new rows from the prior, and embed rows into the latent space."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.distributions.decoding import Decoding
from polymodal.distributions.factorised import LocationScale
from polymodal.distributions.observed import Observed
from polymodal.distributions.tokens import TextObserved
from polymodal.model import LatentModel
from polymodal.tasks.answer import averaged_point, chunks, value_at, value_drawn
from polymodal.tasks.asking import asking
from polymodal.tasks.blocks import ALL, numbers_of

Values = Literal["auto", "mean", "mode", "median", "sample"]


@torch.no_grad()
def generate(
    model: LatentModel,
    n: int,
    *,
    seed: int | None = None,
    values: Values = "auto",
    text: Decoding | None = None,
) -> dict[str, Tensor]:
    """Draw z from the prior and decode every modality from it.

    Arguments:
        model: The model.
        n: How many rows.
        seed: All draws follow from it; None draws from the caller's random state.
        values: What is told of p(x | z), each value by itself. ``"sample"`` draws it, ``"mean"``
            takes its mean (the likeliest of categories, counts rounded), ``"mode"`` the likeliest
            value, ``"median"`` the smallest that is not exceeded with probability 1/2 or more
            (of categories without an order, which have none, the likeliest). ``"auto"`` samples
            tables and text and takes the mean of images and vectors, whose independent noise
            nobody wants to look at. A text has one point answer, its likeliest words.
        text: How texts are written, whatever ``values`` says.

    Returns:
        Name -> ``(n, ...)``.

    Raises:
        ValueError: If ``n`` is below 1 or ``values`` unknown.
    """
    model.check_offers("generate")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    if values not in get_args(Values):
        *most, last = map(repr, get_args(Values))
        raise ValueError(f"values must be {', '.join(most)} or {last}, got {values!r}.")
    made: dict[str, list[Tensor]] = {name: [] for name in model.names}
    with asking(model, seed):
        z = model.prior().sample((n,))
        for rows in chunks(n, 1, z.device):
            for name, p in model.decode(z[rows], model.names).items():
                made[name].append(_value(model, name, p, values, text))
    return {name: torch.cat(parts) for name, parts in made.items()}


def _value(
    model: LatentModel, name: str, p: Observed, values: Values, text: Decoding | None
) -> Tensor:
    noisy = isinstance(p, LocationScale) or len(p.event_shape) > 1
    if values == "sample" or (values == "auto" and not noisy):
        return value_drawn(p, text)
    if values == "median" and not isinstance(p, TextObserved):
        return p.median
    if values != "mode" and p.averages:
        return averaged_point(model.likelihood(name), p.statistics, text)
    return value_at(p, text)


@torch.no_grad()
def embed(model: LatentModel, source: Tensors, block: str = ALL) -> Tensor:
    """The posterior's mean given all that a row has, ``(N, D)``.

    The same for the same rows: a posterior that draws its strata draws them from a fixed seed.

    Arguments:
        model: The model.
        source: The rows.
        block: The latent numbers wanted: ``"all"``, ``"shared"`` (all, where the model has no
            such block) or the modality whose own they are.

    Raises:
        ValueError: If the model has no such block.
    """
    model.check_offers("embed")
    numbers = numbers_of(model, block)
    # No rows are one empty piece: the posterior alone knows D.
    pieces = [*chunks(len(source), 4, source.device)] or [torch.arange(0)]
    with asking(model, seed=0):
        z = torch.cat([model.answer_posterior(*source.gather(rows)).mean for rows in pieces])
    return z if numbers is None else z[:, numbers]
