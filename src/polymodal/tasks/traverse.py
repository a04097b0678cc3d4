r"""Walk through the latent space: along one dimension, or over shared and private parts apart.

A traversal sets one latent number to several values and leaves the others. A factorisation grid
puts the shared part of one row together with the private part of another,

.. math:: \hat x_{ij} = E[x_m \mid z_j, w_i]:

down a column the private part varies and the content should stay; along a row the content varies
and the style should stay. Everything is the mean of the density p(x_m | z): no noise, no
resampling. Diffusion decoders take no part: what they draw would move too.

References:
    Emanuele Palumbo, Imant Daunhawer, Julia Vogt. MMVAE+: Enhancing the Generative Quality of
    Multimodal VAEs without Compromises. ICLR 2023. https://openreview.net/forum?id=sdQGxouELX
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.model import Lacking, LatentModel
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.blocks import layout_told
from polymodal.tasks.generate import embed

USUAL_VALUES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


@torch.no_grad()
def traverse(
    model: LatentModel,
    source: Tensors,
    dimension: int,
    values: Sequence[float] = USUAL_VALUES,
    names: Sequence[str] | None = None,
    *,
    relative: bool = False,
) -> dict[str, Tensor]:
    """Decode rows with one latent number set to several values, from the posterior's mean.

    Arguments:
        model: The model.
        source: The rows.
        dimension: Which latent number, from 0.
        values: What it is set to, T of them.
        names: The modalities to decode; all when None.
        relative: Add the values to the row's own instead.

    Returns:
        Name -> ``(T, N, ...)``.

    Raises:
        ValueError: If there is no such dimension or no value.
        Lacking: If the family does not embed.
    """
    z = embed(model, source)
    if not 0 <= dimension < z.shape[1]:
        raise ValueError(f"traverse: dimension must be 0 to {z.shape[1] - 1}, got {dimension}.")
    if not len(values):
        raise ValueError("traverse: values must hold at least one value.")
    steps = torch.as_tensor(values, dtype=z.dtype, device=z.device)
    walked = z.repeat(len(steps), 1, 1)
    own = z[:, dimension] if relative else torch.zeros_like(z[:, dimension])
    walked[:, :, dimension] = steps[:, None] + own
    return means_of(model, walked, names, noise=False)


@torch.no_grad()
def factorisation_grid(
    model: LatentModel,
    source: Tensors,
    name: str,
    private: int | Tensors = 8,
    *,
    seed: int = 0,
) -> Tensor:
    """One modality decoded from every pair of a row's shared part and a private part.

    Arguments:
        model: A model with private latents.
        source: R rows; the shared part is the posterior's mean given all that a row has.
        name: The modality to decode.
        private: How many private parts are drawn from the prior, or rows to read them from. Where
            it ties them to the shared part, each is of another one than those that it is put with.
        seed: The draws follow from it.

    Returns:
        ``(W, R, ...)``: the private part is the same along the second axis, the shared part along
        the first.

    Raises:
        Lacking: If the model has no private latents, or cannot generate where they are drawn.
    """
    model.check_names([name])
    layout = layout_told(model)
    z = embed(model, source)
    if layout is None or not layout.private[name] or not layout.shared:
        raise Lacking(
            "factorisation: this model has no shared and private latents to tell apart; fit one "
            "with private_dim, such as recipe mmvaeplus."
        )
    if isinstance(private, Tensors):
        own = embed(model, private)
    else:
        model.check_offers("generate")
        if private < 1:
            raise ValueError(f"factorisation: private must be at least 1, got {private}.")
        with asking(model, seed):
            own = model.prior().sample(torch.Size((private,))).to(z.dtype)
    grid = own[:, None].repeat(1, len(z), 1)  # (W, R, D)
    grid[:, :, : layout.shared] = z[:, : layout.shared]
    return means_of(model, grid, (name,), noise=False)[name]


@torch.no_grad()
def means_of(
    model: LatentModel, z: Tensor, names: Sequence[str] | None = None, *, noise: bool = True
) -> dict[str, Tensor]:
    """Means of p(x_m | z) (the likeliest category or words) of latents ``(..., D)``, in pieces.

    Arguments:
        model: The model.
        z: The latents.
        names: The modalities to decode; all when None.
        noise: Whether a mean that the family draws, as diffusion decoders do, is drawn, from the
            caller's random state; without, it is the density's.

    Returns:
        Name -> ``(..., *event)``.
    """
    decode = model.decode if noise else model.decode_density
    names = tuple(names if names is not None else model.names)
    flat = z.reshape(-1, z.shape[-1])
    pieces: dict[str, list[Tensor]] = {name: [] for name in names}
    with asking(model, None):
        for rows in chunks(len(flat), 1, z.device):
            for name, p in decode(flat[rows], names).items():
                likelihood = model.likelihood(name)
                pieces[name].append(likelihood.point(p.statistics) if p.averages else p.mode)
    return {
        name: torch.cat(parts).reshape(*z.shape[:-1], *parts[0].shape[1:])
        for name, parts in pieces.items()
    }
