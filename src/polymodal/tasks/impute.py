"""Impute: fill what is missing, many times, given what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.distributions.decoding import Decoding
from polymodal.model import LatentModel
from polymodal.tasks.answer import Answer, answer, chunks, enough_proposals
from polymodal.tasks.asking import asking
from polymodal.tasks.hmc import check_refinable
from polymodal.typing import as_cells, rows_present


@dataclass(frozen=True)
class Imputed:
    """Rows filled in.

    Arguments:
        point: Name -> values ``(N, ...)``: observed ones as they were, missing ones estimated.
        draws: Name -> ``(n, N, ...)``: observed values as they were, missing ones sampled; a draw
            shares its z over all missing cells and modalities of a row.
        statistics: Name -> averaged expectations ``(N, Q)``; zero in rows that lack nothing.
        missing: Name -> what was filled in, bool ``(N,)`` or ``(N, P)``.
        ess: Effective sample size as a share of the proposals, ``(N,)``; 1 where nothing was
            missing. With ``refine`` it is that of the draws at which the chains began.
        acceptance: With ``refine``, the chains' mean acceptance, ``(N,)``, 1 where nothing was
            missing; else None. About .8 is well; near 0 the chains stood still. It is no
            effective sample size.
    """

    point: dict[str, Tensor]
    draws: dict[str, Tensor]
    statistics: dict[str, Tensor]
    missing: dict[str, Tensor]
    ess: Tensor
    acceptance: Tensor | None = None


@torch.no_grad()
def impute(
    model: LatentModel,
    source: Tensors,
    *,
    draws: int = 20,
    proposals: int = 100,
    refine: int = 0,
    seed: int = 0,
    names: Sequence[str] | None = None,
    keep: bool = True,
    text: Decoding | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Imputed:
    """Fill what is missing in every row given all that the row has.

    Arguments:
        model: The model.
        source: The rows; nothing of it is changed.
        draws: Draws a row.
        proposals: Proposals a row for sampling-importance-resampling, at least; there are never
            fewer than four times the draws. 0: draws from the amortised posterior itself.
        refine: Steps of Hamiltonian Monte Carlo that go on from the draws towards the true
            posterior, after a warm-up of 50; 0 for none. Slow: each costs several gradients.
        seed: All draws follow from it.
        names: The modalities to fill; all of the model when None.
        keep: Keep observed values; else every value of ``names`` is the model's.
        text: How texts are written; None takes the likeliest word at each step for the point, and
            samples draws.
        on_rows: Called with the number of rows done, for a progress bar.

    Returns:
        The filled rows. Modalities that ``source`` does not name are filled everywhere.

    Raises:
        ValueError: If a name is unknown or given twice, or ``draws``, ``proposals`` or ``refine``
            too small, or the model has no density for ``refine`` to follow.
    """
    names = tuple(names if names is not None else model.names)
    model.check_offers("impute")
    _check(model, names, draws, proposals, refine)
    n_rows, device = len(source), next(iter(source.x.values())).device
    missing = {name: missing_of(model, source, name, keep) for name in names}
    result = _start(source, names, draws, missing, bool(refine))
    rows_missing = torch.stack([rows_present(mask) for mask in missing.values()]).any(0)
    wanted = torch.arange(n_rows, device=device)[rows_missing]
    copies = enough_proposals(draws, proposals)
    with asking(model, seed):
        for piece in chunks(len(wanted), copies, device):
            rows = wanted[piece]
            x, present = source.gather(rows)
            said = answer(
                model,
                x,
                present,
                names,
                draws=draws,
                proposals=proposals,
                refine=refine,
                text=text,
            )
            for name in names:
                _fill(result, name, rows, missing[name][rows], said)
            result.ess[rows] = said.ess.to(result.ess.dtype)
            if result.acceptance is not None and said.acceptance is not None:
                result.acceptance[rows] = said.acceptance.to(result.acceptance.dtype)
            if on_rows is not None:
                on_rows(len(rows))
    return result


def _check(
    model: LatentModel, names: Sequence[str], draws: int, proposals: int, refine: int
) -> None:
    model.check_names(names)
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"impute: names must name each modality once, got {list(names)}.")
    if draws < 0 or proposals < 0:
        raise ValueError(f"draws and proposals must be at least 0, got {draws} and {proposals}.")
    if refine < 0:
        raise ValueError(f"refine must be at least 0 steps, got {refine}.")
    if refine:
        check_refinable(model)


def missing_of(model: LatentModel, source: Tensors, name: str, keep: bool) -> Tensor:
    """What has to be filled: bool ``(N,)`` or ``(N, P)``."""
    if name not in source.present:
        return torch.ones(len(source), dtype=torch.bool, device=source.device)
    mask = source.present[name]
    return ~mask if keep else torch.ones_like(mask)


def _start(
    source: Tensors,
    names: Sequence[str],
    draws: int,
    missing: dict[str, Tensor],
    refined: bool,
) -> Imputed:
    """The observed values, with room for the rest; what nobody has comes with an answer."""
    point, drawn = {}, {}
    for name in names:
        if name in source.x:
            value = source.x[name]
            observed = as_cells(~missing[name], value)
            point[name] = torch.where(observed, value, torch.zeros((), dtype=value.dtype))
            if draws:
                drawn[name] = point[name].expand(draws, *value.shape).clone()
    ones = torch.ones(len(source), device=source.device)
    return Imputed(point, drawn, {}, missing, ones, ones.clone() if refined else None)


def _write(
    held: dict[str, Tensor], name: str, n_rows: int, rows: Tensor, here: Tensor, value: Tensor
) -> None:
    """Put ``value (..., b, *event)`` into the rows of a result where ``here (b, ...)`` is true."""
    axis = value.ndim - here.ndim
    if name not in held:
        shape = (*value.shape[:axis], n_rows, *value.shape[axis + 1 :])
        held[name] = value.new_zeros(shape)
    target = held[name]
    index = (slice(None),) * axis + (rows,)
    target[index] = torch.where(here, value.to(target.dtype), target[index])


def _fill(result: Imputed, name: str, rows: Tensor, missing: Tensor, said: Answer) -> None:
    """Write a piece's answer into the rows where values are missing."""
    value = said.point[name]
    here = as_cells(missing, value)
    n_rows = len(result.ess)
    _write(result.point, name, n_rows, rows, here, value)
    if name in said.draws:
        _write(result.draws, name, n_rows, rows, here, said.draws[name])
    if name in said.statistics:
        average = said.statistics[name]
        everywhere = torch.ones_like(average, dtype=torch.bool)
        _write(result.statistics, name, n_rows, rows, everywhere, average)
