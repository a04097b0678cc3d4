r"""Attributions: how much each known feature of a row moves what the model predicts of it.

The players are the features: every cell of a table, every other modality as a whole. The value of
a coalition is the prediction given only its features,

.. math:: v(S) = \mathbb E[y \mid z = \mathbb E_q(z \mid x_S)],

with everything else absent as the model itself handles absence: no background data stand in for
what is not given, as in SHAP. The prediction is read at the mean of the posterior, so that it is
the same each time. What a row lacks adds nothing; shares add up to
:math:`v(\text{all}) - v(\emptyset)` for every row.

References:
    Scott Lundberg, Su-In Lee. A Unified Approach to Interpreting Model Predictions. NeurIPS 2017.
    https://arxiv.org/abs/1705.07874, eq. 4. Ling-Yun Xu et al. Explainable Dynamic Multimodal
    Variational Autoencoder. IEEE JBHI 26, 2022. https://doi.org/10.1109/JBHI.2021.3103271.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.codec_table import TableCodec
from polymodal.data.tensors import Tensors
from polymodal.model import LatentModel
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.shapley import shapley_values

if TYPE_CHECKING:
    from pandas import DataFrame, Index

NOTHING, EVERYTHING = "(nothing)", "(everything)"
"""Columns of the frame beside the features: the prediction given nothing, and given all."""

_COALITIONS_AT_ONCE = 512


@dataclass(frozen=True)
class Attributed:
    """Shares of every feature in every expectation of one modality.

    Arguments:
        features: The players: a modality, or a modality and the place of a cell.
        shares: ``(n, N, Q)``, in the order of the features.
        nothing: The prediction given nothing, ``(N, Q)``.
        everything: The prediction given all features, ``(N, Q)``.
    """

    features: tuple[tuple[str, int | None], ...]
    shares: Tensor
    nothing: Tensor
    everything: Tensor


@torch.no_grad()
def attribute(
    model: LatentModel,
    source: Tensors,
    to: str,
    cells: Mapping[str, Sequence[int]],
    *,
    orders: int = 100,
    seed: int = 0,
) -> Attributed:
    """Shapley values of the features of each row for the expectations of one modality.

    Arguments:
        model: The model.
        source: The rows, of the modalities that are given.
        to: The modality that is predicted.
        cells: Tables whose cells are players, with the places of those cells; the rest of such a
            table is never given. Modalities that are not named are players as a whole.
        orders: Random orders for more players than can be enumerated.
        seed: The orders follow from it, the same for all rows.

    Raises:
        ValueError: If a name is unknown, nothing is given, or the modality has no expectations.
    """
    model.check_names((to, *source.names))
    features = tuple((name, place) for name in source.names for place in cells.get(name, (None,)))
    if not features:
        raise ValueError("attribute: nothing is given; name modalities or columns other than to.")
    shares, ends = [], []
    with asking(model, seed):
        for rows in chunks(len(source), _COALITIONS_AT_ONCE, source.device):
            piece = source.rows(rows)
            bounds = torch.tensor([[False], [True]]).expand(2, len(features))
            ends.append(_values(model, piece, to, features, bounds))
            with asking(model, seed):  # every piece has the same orders

                def game(coalitions: Tensor, piece: Tensors = piece) -> Tensor:
                    parts = coalitions.split(_COALITIONS_AT_ONCE)
                    return torch.cat([_values(model, piece, to, features, p) for p in parts])

                shares.append(shapley_values(game, len(features), orders))
    nothing, everything = torch.cat(ends, 1)
    return Attributed(features, torch.cat(shares, 1), nothing, everything)


def _values(
    model: LatentModel,
    source: Tensors,
    to: str,
    features: Sequence[tuple[str, int | None]],
    coalitions: Tensor,
) -> Tensor:
    """Expectations of a modality given each coalition, float64 ``(C, B, Q)``."""
    n_rows, n_coalitions = len(source), len(coalitions)
    coalitions = coalitions.to(source.device)
    x, present = {}, {}
    for name in source.names:
        value, mask = source.x[name], source.present[name]
        players = [player for player, (owner, _) in enumerate(features) if owner == name]
        places = [features[player][1] for player in players]
        if places == [None]:
            seen = mask & coalitions[:, players].reshape(-1, *(1,) * mask.ndim)
        else:
            seen = mask.new_zeros(n_coalitions, *mask.shape)
            seen[..., places] = mask[:, places] & coalitions[:, None, players]
        x[name] = value.expand(n_coalitions, *value.shape).flatten(0, 1)
        present[name] = seen.flatten(0, 1)
    decoded = model.decode(model.answer_posterior(x, present).mean, (to,))[to]
    if not decoded.averages:
        raise ValueError(f"attribute: {to!r} has no expectation that could be shared out.")
    return decoded.statistics.double().reshape(n_coalitions, n_rows, -1)


def attribution_frame(
    model: LatentModel,
    codec: DataCodec,
    source: Tensors,
    index: Index,
    to: str,
    *,
    given: Sequence[str] | None = None,
    level: object = None,
    orders: int = 100,
    seed: int = 0,
) -> DataFrame:
    """A row's shares as a frame: a column a feature, then (nothing) and (everything).

    Arguments:
        model: The model.
        codec: Its codec.
        source: The encoded rows, all modalities.
        index: The rows' index.
        to: The column of a table that is predicted, or a table of one column.
        given: The modalities to read; all when None. The predicted cell itself is never read.
        level: For a category or an ordinal column: whose probability is shared out; the level
            that is likeliest given everything when None, row by row.
        orders: See ``attribute``.
        seed: See ``attribute``.

    Raises:
        ValueError: If ``to`` is no column, or ``level`` none of its levels.
    """
    import pandas as pd

    name, place = _target(codec, to)
    tables = {n: codec.columns(n) for n in codec.names if codec.kind(n) == "table"}
    cells = {
        n: [i for i in range(len(columns)) if (n, i) != (name, place)]
        for n, columns in tables.items()
    }
    read = [n for n in (codec.names if given is None else given) if cells.get(n, [0])]
    said = attribute(model, source.select(read), name, cells, orders=orders, seed=seed)
    own: TableCodec = codec.codecs[name]  # pyright: ignore[reportAssignmentType]
    column = own.codecs[place]
    likelihood: Any = model.likelihood(name)
    slot = likelihood.statistic_slices[place]
    wanted = [v[..., slot] for v in (*said.shares, said.nothing, said.everything)]
    if column.levels is None:
        stretch = 1.0 if column.kind == "count" else column.scale
        shift = 0.0 if column.kind == "count" else column.loc
        values = [one[:, 0] * stretch for one in wanted]
        values[-2:] = [one + shift for one in values[-2:]]
    else:
        levels = list(column.levels)
        if level is not None and level not in levels:
            raise ValueError(f"attribute: {to!r} has no level {level!r}; it has {levels}.")
        which = wanted[-1].argmax(-1) if level is None else torch.tensor(levels.index(level))  # pyright: ignore[reportArgumentType]
        which = which.to(wanted[-1].device).expand(len(source)).unsqueeze(-1)
        values = [one.gather(-1, which)[:, 0] for one in wanted]
    names = [n if i is None else tables[n][i].name for n, i in said.features]
    array = np.stack([one.cpu().numpy() for one in values], 1)
    return pd.DataFrame(array, index=index, columns=[*names, NOTHING, EVERYTHING])


def _target(codec: DataCodec, to: str) -> tuple[str, int]:
    """The table and the place of a column, by the column's name or that of a table that is one."""
    tables = {n: codec.columns(n) for n in codec.names if codec.kind(n) == "table"}
    if to in tables and len(tables[to]) == 1:
        return to, 0
    for name, columns in tables.items():
        for place, column in enumerate(columns):
            if column.name == to:
                return name, place
    known = [column.name for columns in tables.values() for column in columns]
    raise ValueError(f"attribute: to must be a column of a table, got {to!r}; known: {known}.")
