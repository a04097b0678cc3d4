"""Laws of objectives: hold a model with your own objective to them.

Each ``check_*`` raises AssertionError where its sentence is broken. The model is copied first, so
it is never changed, and the caller's random state is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from polymodal.model import LatentModel
from polymodal.random import seeded
from polymodal.testing.batches import FILLINGS, filled, one_row, require, same
from polymodal.testing.posterior import without
from polymodal.typing import Batch, Present, Terms

Law = Callable[[], None]

_STEP = 1e-6


def check_objective(model: LatentModel, x: Batch, present: Present) -> Iterator[tuple[str, Law]]:
    """The laws of an objective, as (name, law).

    Arguments:
        model: A model that trains with the objective.
        x: Values of a few rows, finite.
        present: Presence with something absent in every modality, and two rows at least where
            everything is there; the first row has nothing.
    """
    for law in (
        check_terms_are_one_value_a_row,
        check_same_draws_same_loss,
        check_absent_values_never_matter,
        check_every_parameter_has_a_gradient,
        check_rows_are_independent,
        check_one_row_is_a_batch,
        check_unnamed_is_absent,
        check_the_batch_is_left_as_it_was,
    ):
        yield law.__name__, lambda law=law: law(copy.deepcopy(model), x, present)


def check_terms_are_one_value_a_row(model: LatentModel, x: Batch, present: Present) -> None:
    """Loss and parts are finite and (B,); parts carry no gradient, the loss does."""
    terms = step(model, x, present)
    n_rows = len(next(iter(present.values())))
    require(terms.loss.requires_grad, "the loss has no gradient.")
    require(bool(terms.parts), "the objective names no parts.")
    for name, value in {"loss": terms.loss, **terms.parts}.items():
        require(tuple(value.shape) == (n_rows,), f"{name}: {tuple(value.shape)}, not ({n_rows},).")
        require(bool(value.isfinite().all()), f"{name} is not finite: {value.tolist()}.")
        require(name == "loss" or not value.requires_grad, f"{name} carries a gradient.")


def check_same_draws_same_loss(model: LatentModel, x: Batch, present: Present) -> None:
    """The same random state gives the same loss, to the bit."""
    same(step(model, x, present).loss, step(model, x, present).loss, "The loss changed.")


def check_absent_values_never_matter(model: LatentModel, x: Batch, present: Present) -> None:
    """Whatever stands under a false mask, NaN too, no bit of loss, parts or gradients changes."""
    expected: dict[str, Tensor] = {}
    for value in FILLINGS:
        terms = step(model, filled(x, present, value), present)
        found = {"loss": terms.loss, **terms.parts, **gradients(model, terms)}
        expected = expected or found
        require(found.keys() == expected.keys(), "Other parameters have a gradient.")
        for name, tensor in found.items():
            same(tensor, expected[name], f"{name} depends on what stands under a false mask.")


def check_every_parameter_has_a_gradient(model: LatentModel, x: Batch, present: Present) -> None:
    """Finite for every parameter, and not zero after a few draws."""
    moved: set[str] = set()
    for seed in range(8):
        found = gradients(model, step(model, x, present, seed))
        for name, gradient in found.items():
            require(bool(gradient.isfinite().all()), f"The gradient of {name} is not finite.")
            if bool((gradient != 0).any()):
                moved.add(name)
    still = {name for name, p in model.named_parameters() if p.requires_grad} - moved
    require(not still, f"No gradient reaches {', '.join(sorted(still))}.")


def check_rows_are_independent(model: LatentModel, x: Batch, present: Present) -> None:
    """With the same draws, a row's loss is the same whatever the other rows hold.

    What an objective says to compare rows is left out; a row alone has none of it.
    """
    expected = _of_the_row(step(model, x, present))
    for row in range(len(expected)):
        # Everyone else takes this row's values and presence: nothing of theirs is left.
        n_rows = len(expected)
        others = {n: v[row : row + 1].expand(v.shape).clone() for n, v in x.items()}
        masks = {n: v[row : row + 1].expand(v.shape).clone() for n, v in present.items()}
        loss = _of_the_row(step(model, others, masks))
        require(len(loss) == n_rows, "the number of rows changed.")
        torch.testing.assert_close(loss[row], expected[row], rtol=1e-4, atol=1e-4)


def check_one_row_is_a_batch(model: LatentModel, x: Batch, present: Present) -> None:
    """Every row alone, the empty one too, has a finite loss and finite gradients."""
    for row in range(len(next(iter(present.values())))):
        terms = step(model, *one_row(x, present, row))
        require(tuple(terms.loss.shape) == (1,), f"the loss is {tuple(terms.loss.shape)}.")
        require(bool(terms.loss.isfinite().all()), f"the loss of row {row} is not finite.")
        if terms.compared is not None:
            require(bool((terms.compared == 0).all()), f"row {row}, alone, is compared.")
        for name, gradient in gradients(model, terms).items():
            require(bool(gradient.isfinite().all()), f"row {row}: {name} has no finite gradient.")


def check_unnamed_is_absent(model: LatentModel, x: Batch, present: Present) -> None:
    """A modality that the batch does not name is the same as one absent in every row."""
    if len(x) == 1:
        return
    for name in x:
        none = {**present, name: torch.zeros_like(present[name])}
        expected = step(model, x, none).loss
        loss = step(model, without(x, name), without(present, name)).loss
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)


def check_the_batch_is_left_as_it_was(model: LatentModel, x: Batch, present: Present) -> None:
    """No name comes or goes and no value changes in what the caller gave."""
    given_x = {name: value.clone() for name, value in x.items()}
    given_present = {name: value.clone() for name, value in present.items()}
    gradients(model, step(model, given_x, given_present))
    require(list(given_x) == list(x) and list(given_present) == list(present), "names changed.")
    for name in x:
        same(given_x[name], x[name], f"The values of {name} were changed.")
        same(given_present[name], present[name], f"The presence of {name} was changed.")


def check_gradient_is_that_of_the_loss(
    model: LatentModel, x: Batch, present: Present, directions: int = 3
) -> None:
    """Along random directions of the weights the gradient is what the loss does, by differences.

    For objectives that hold nothing still on purpose: it is not among ``check_objective``'s. With
    the same draws, in float64; a part of the loss that was detached by mistake breaks it.

    Arguments:
        model: The model.
        x: Values of a few rows, finite.
        present: Presence.
        directions: How many directions, in each of which all weights move.
    """
    model = copy.deepcopy(model).double()
    x = {name: v.double() if v.is_floating_point() else v for name, v in x.items()}
    found = gradients(model, step(model, x, present))
    weights = {name: p for name, p in model.named_parameters() if name in found}
    generator = torch.Generator().manual_seed(0)
    for _ in range(directions):
        ways = {
            name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
            for name, p in weights.items()
        }
        slope = sum((found[name] * way).sum() for name, way in ways.items())
        ends = []
        for size in (_STEP, -2 * _STEP, _STEP):
            with torch.no_grad():
                for name, way in ways.items():
                    weights[name].add_(size * way)
            ends.append(step(model, x, present).loss.mean().item())
        torch.testing.assert_close(
            (ends[0] - ends[1]) / (2 * _STEP), float(slope), rtol=1e-4, atol=1e-6
        )


def _of_the_row(terms: Terms) -> Tensor:
    """The loss without what compares rows."""
    if terms.compared is None:
        return terms.loss
    require(
        terms.compared.shape == terms.loss.shape and not terms.compared.requires_grad,
        "what compares rows must be one value a row without gradient.",
    )
    return terms.loss - terms.compared


def step(model: LatentModel, x: Batch, present: Present, seed: int = 0) -> Terms:
    """The terms of a batch at step 1000, with draws that depend on the seed only."""
    with seeded(seed):
        return model.loss(x, present, 1000)


def gradients(model: LatentModel, terms: Terms) -> dict[str, Tensor]:
    """The gradient of the mean loss for every parameter that has one."""
    model.zero_grad(set_to_none=True)
    terms.loss.mean().backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found
