"""Laws of recipes: hold your own paper to them.

Each ``check_*`` raises AssertionError where its sentence is broken; the caller's random state is
left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from polymodal.model import LatentModel, Modality, MultimodalVAE
from polymodal.random import seeded
from polymodal.recipes.registry import RECIPES, Recipe
from polymodal.testing.batches import require
from polymodal.testing.objective import check_objective, step
from polymodal.testing.posterior import check_posterior
from polymodal.typing import Batch, Present

Law = Callable[[], None]
MakeModalities = Callable[[], Sequence[Modality]]
"""Fresh networks and likelihoods each time."""

_HELD = " with its weights held"


def check_recipe(
    recipe: Recipe,
    make: MakeModalities,
    x: Batch,
    present: Present,
    settings: Mapping[str, object] | None = None,
) -> Iterator[tuple[str, Law]]:
    """The laws of a recipe, as (name, law), those of posterior and objective among them.

    Arguments:
        recipe: An entry of the registry.
        make: Makes the modalities of the batch.
        x: Values of a few rows, finite.
        present: Presence with something absent in every modality, and two rows at least where
            everything is there; the first row has nothing.
        settings: Settings of the recipe.
    """
    settings = settings or {}

    def built() -> LatentModel:
        with seeded(0):
            return recipe.build(make(), **settings)

    yield "check_facts_are_complete", lambda: check_facts_are_complete(recipe)
    yield (
        "check_an_unknown_setting_is_an_error",
        lambda: check_an_unknown_setting_is_an_error(recipe, make),
    )
    yield (
        "check_networks_run_once_a_step",
        lambda: check_networks_run_once_a_step(recipe, make, x, present, settings),
    )
    yield "check_four_verbs", lambda: check_four_verbs(built(), x, present)
    yield "check_every_weight_is_trained", lambda: check_every_weight_is_trained(built())
    yield (
        "check_one_modality_is_enough",
        lambda: check_one_modality_is_enough(recipe, make, x, present, settings),
    )
    model = built()
    if not model.closed_form:
        for stage in range(len(model.stages)):
            trained = built()
            trained.enter(stage)
            yield from check_objective(trained, x, present)
    model.start_from(x, present)
    yield from check_posterior(model.posterior, x, present)


def check_facts_are_complete(recipe: Recipe) -> None:
    """Paper, authors, year, address, equation, parts, differences and a summary are there."""
    require(RECIPES.get(recipe.name) is recipe, f"{recipe.name} is not in the registry.")
    for fact in ("paper", "authors", "url", "equation", "parts", "differs", "summary"):
        require(bool(getattr(recipe, fact)), f"{recipe.name}: {fact} is empty.")
    require(recipe.url.startswith("https://"), f"{recipe.name}: {recipe.url!r} is no address.")
    require(1900 < recipe.year < 2100, f"{recipe.name}: the year is {recipe.year}.")
    require("latent_dim" in recipe.settings, f"{recipe.name} has no setting latent_dim.")


def check_an_unknown_setting_is_an_error(recipe: Recipe, make: MakeModalities) -> None:
    """A setting that the recipe does not know raises a ValueError that names the nearest."""
    try:
        recipe.build(make(), latent_dims=4)
    except ValueError as error:
        require("latent_dim" in str(error), f"the error does not name the nearest: {error}")
        return
    raise AssertionError(f"{recipe.name} takes latent_dims=4 without a word.")


def check_networks_run_once_a_step(
    recipe: Recipe,
    make: MakeModalities,
    x: Batch,
    present: Present,
    settings: Mapping[str, object],
) -> None:
    """No encoder or decoder runs more than once a step: draws are folded into the batch.

    A ``MultimodalVAE`` runs each exactly once; in other families a stage may do without some. A
    run in which the weights are held still spares their gradients and is counted apart.
    """
    calls: Counter[str] = Counter()
    modalities = [_counted(modality, calls) for modality in make()]
    with seeded(0):
        model = recipe.build(modalities, **settings)
    if model.closed_form:
        return
    inside = set(model.modules())
    encoders = getattr(model.posterior, "encoders", ())
    for modality, encoder in zip(modalities, encoders, strict=False):
        if modality.encoder not in inside:  # the recipe has put another in its place
            encoder.register_forward_hook(_count_as(f"encoder of {modality.name}", calls))
    expected = {f"{kind} of {m.name}": 1 for m in modalities for kind in ("encoder", "decoder")}
    for stage in range(len(model.stages)):
        model.enter(stage)
        calls.clear()
        step(model, x, present).loss.mean().backward()
        most = max(calls.values(), default=0)
        if isinstance(model, MultimodalVAE):
            learning = {name: n for name, n in calls.items() if not name.endswith(_HELD)}
            require(learning == expected, f"networks ran {dict(calls)}.")
        require(most <= 1, f"networks ran {dict(calls)}.")


def _counted(modality: Modality, calls: Counter[str]) -> Modality:
    """The same modality, whose networks count how often they run."""

    def decoder(dim: int) -> nn.Module:
        made = modality.decoder(dim)
        made.register_forward_hook(_count_as(f"decoder of {modality.name}", calls))
        return made

    modality.encoder.register_forward_hook(_count_as(f"encoder of {modality.name}", calls))
    return replace(modality, decoder=decoder)


def _count_as(name: str, calls: Counter[str]) -> Callable[..., None]:
    def count(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        weights = list(module.parameters())
        held = weights and not any(weight.requires_grad for weight in weights)
        calls[f"{name}{_HELD}" if held else name] += 1

    return count


def check_every_weight_is_trained(model: LatentModel) -> None:
    """Each weight may learn in one stage at least."""
    trained: set[str] = set()
    for stage in range(len(model.stages)):
        model.enter(stage)
        trained |= {name for name, p in model.named_parameters() if p.requires_grad}
    still = {name for name, _ in model.named_parameters()} - trained
    require(not still, f"No stage trains {', '.join(sorted(still))}.")


def check_four_verbs(model: LatentModel, x: Batch, present: Present) -> None:
    """Posterior, prior, decode and log-likelihoods fit each other over leading axes."""
    n_rows = len(next(iter(present.values())))
    with seeded(0), torch.no_grad():
        model.start_from(x, present)
        q = model.posterior(x, present)
        if "generate" in model.lacks:
            z = q.sample((3,))
        else:
            z = model.prior().sample((3, n_rows))
        require(z.shape == (3, *q.batch_shape, *q.event_shape), "posterior and prior differ.")
        decoded = model.decode(z, model.names)
        log_p = model.log_likelihoods(z, x, present)
    require(tuple(decoded) == tuple(model.names), f"decode gave {tuple(decoded)}.")
    for name in model.names:
        shape = tuple(decoded[name].batch_shape)
        require(shape == (3, n_rows), f"{name}: batch shape {shape}.")
        shape = tuple(log_p[name].shape)
        require(shape == (3, n_rows), f"{name}: log-likelihoods {shape}.")
        value = decoded[name].mode
        require(value.shape[2:] == x[name].shape[1:], f"{name}: values {tuple(value.shape)}.")


def check_one_modality_is_enough(
    recipe: Recipe,
    make: MakeModalities,
    x: Batch,
    present: Present,
    settings: Mapping[str, object],
) -> None:
    """A model of one modality has a finite loss."""
    for modality in make():
        with seeded(0):
            model = recipe.build([modality], **settings)
        name = modality.name
        for stage in range(0 if model.closed_form else len(model.stages)):
            model.enter(stage)
            loss = step(model, {name: x[name]}, {name: present[name]}).loss
            require(bool(loss.isfinite().all()), f"{name} alone: the loss is not finite.")
