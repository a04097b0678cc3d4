"""Laws of posteriors: hold your own to them.

Each ``check_*`` raises AssertionError where its sentence is broken; the posterior keeps its
parameters and the caller's random state is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.random import seeded
from polymodal.testing.batches import FILLINGS, filled, one_row, require, same
from polymodal.typing import Batch, Present, rows_present

Law = Callable[[], None]


def check_posterior(posterior: nn.Module, x: Batch, present: Present) -> Iterator[tuple[str, Law]]:
    """The laws of a posterior that has a density, as (name, law).

    Arguments:
        posterior: ``(x, present)`` -> strata.
        x: Values of a few rows, finite.
        present: Presence with something absent in every modality; the first row has nothing.
    """
    for law in (
        check_strata_of_a_batch,
        check_absent_values_never_matter,
        check_rows_are_independent,
        check_unnamed_is_absent,
        check_nothing_present_gives_the_anchor,
    ):
        yield law.__name__, lambda law=law: law(posterior, x, present)


def check_strata_of_a_batch(posterior: nn.Module, x: Batch, present: Present) -> None:
    """Batch shape (B,), finite parameters, positive scales, weights that sum to one."""
    q = infer(posterior, x, present)
    n_rows = len(next(iter(present.values())))
    require(tuple(q.batch_shape) == (n_rows,), f"batch shape {tuple(q.batch_shape)}.")
    require(bool(q.loc.isfinite().all() and q.scale.isfinite().all()), "parameters not finite.")
    require(bool((q.scale > 0).all()), "a scale is not positive.")
    total = q.log_weights.exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))


def check_absent_values_never_matter(posterior: nn.Module, x: Batch, present: Present) -> None:
    """Whatever stands under a false mask, NaN too, no bit of the posterior changes."""
    answers = [infer(posterior, filled(x, present, value), present) for value in FILLINGS]
    for q in answers[1:]:
        _same_strata(answers[0], q, "What stands under a false mask matters")


def check_rows_are_independent(posterior: nn.Module, x: Batch, present: Present) -> None:
    """A row's posterior is the same, up to rounding, alone and among others."""
    together = infer(posterior, x, present)
    for row in range(together.batch_shape[0]):
        alone = infer(posterior, *one_row(x, present, row))
        expected = together.mean[row : row + 1]
        torch.testing.assert_close(alone.mean, expected, rtol=1e-4, atol=1e-5)
        expected = together.variance[row : row + 1]
        torch.testing.assert_close(alone.variance, expected, rtol=1e-4, atol=1e-5)


def check_unnamed_is_absent(posterior: nn.Module, x: Batch, present: Present) -> None:
    """A modality that the batch does not name is the same as one absent in every row."""
    for name in x:
        if len(x) == 1:
            return
        none = {**present, name: torch.zeros_like(present[name])}
        expected = infer(posterior, x, none)
        answer = infer(posterior, without(x, name), without(present, name))
        _same_strata(expected, answer, f"Leaving {name!r} out is not its absence")


def check_nothing_present_gives_the_anchor(
    posterior: nn.Module, x: Batch, present: Present
) -> None:
    """A row with nothing has mean 0."""
    empty = ~torch.stack([rows_present(mask) for mask in present.values()]).any(0)
    require(bool(empty.any()), "the batch needs a row with nothing.")
    mean = infer(posterior, x, present).mean[empty]
    same(mean, torch.zeros_like(mean), "Nothing present: the mean is not 0.")


def infer(posterior: nn.Module, x: Batch, present: Present) -> Strata:
    """The posterior with the same draws every time, for those that draw."""
    with seeded(0), torch.no_grad():
        return posterior(x, present)


def without(mapping: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """A mapping without one name."""
    return {key: value for key, value in mapping.items() if key != name}


def _same_strata(one: Strata, other: Strata, message: str) -> None:
    for part in ("loc", "scale", "log_weights"):
        same(getattr(one, part), getattr(other, part), f"{message} ({part}).")
