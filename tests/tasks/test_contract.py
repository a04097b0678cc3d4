"""What no task may do: change what it was given, or answer by what is not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.helpers import IMAGE, NUMBERS, TABLE, TEXT, real_batch, real_modalities
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.model import LatentModel
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import (
    embed,
    generate,
    impute,
    log_likelihood,
    reconstruct,
    translate,
    traverse,
)

Flat = dict[str, Tensor]


def _imputed(model: LatentModel, rows: Tensors, seed: int) -> Flat:
    said = impute(model, rows, draws=3, proposals=10, seed=seed)
    groups = (said.point, said.draws, said.statistics, said.missing)
    flat = {f"{i} {name}": one for i, held in enumerate(groups) for name, one in held.items()}
    return flat | {"ess": said.ess}


TASKS: dict[str, Callable[[LatentModel, Tensors, int], Flat]] = {
    "impute": _imputed,
    "reconstruct": lambda model, rows, seed: reconstruct(model, rows, seed=seed),
    "translate": lambda model, rows, seed: translate(
        model, rows, [IMAGE, TEXT], [TABLE, NUMBERS], seed=seed
    ),
    "translate, draws": lambda model, rows, seed: translate(
        model, rows, [TABLE, TEXT], draws=3, seed=seed
    ),
    "embed": lambda model, rows, seed: {"z": embed(model, rows)},
    "traverse": lambda model, rows, seed: {
        f"z {name}": one for name, one in traverse(model, rows, 0, (-1.0, 2.0)).items()
    },
    "log_likelihood": lambda model, rows, seed: {
        "p": log_likelihood(model, rows, samples=20, seed=seed).log_p
    },
    "generate": lambda model, rows, seed: generate(model, 4, seed=seed),
}
task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
recipe = pytest.mark.parametrize("recipe", sorted(RECIPES))


def built_for(recipe: str, task: object) -> LatentModel:
    """The model, if its family offers the task."""
    model = built(recipe)
    for verb, asked in (("score", "log_likelihood"), ("generate", "generate")):
        if task is TASKS[asked] and verb in model.lacks:
            pytest.skip(model.lacks[verb])
    return model


def built(recipe: str) -> LatentModel:
    with seeded(1):
        model = RECIPES[recipe].build(real_modalities(), latent_dim=3)
    return model.train()


def rows(fill: float = 0.0) -> Tensors:
    """Rows with ``fill`` wherever nothing is there."""
    x, present = real_batch()
    filled = {}
    for name, value in x.items():
        here = present[name].reshape(*present[name].shape, *(1,) * (value.ndim - 2))
        here = here if here.ndim == value.ndim else here[..., None]
        what = fill if value.is_floating_point() else 8
        filled[name] = torch.where(here.reshape(*here.shape[: value.ndim]), value, what)
    return Tensors(filled, present)


def same(a: Flat, b: Flat) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@recipe
@task
def test_what_is_given_is_left_as_it_was(recipe, task) -> None:
    model, given = built_for(recipe, task), rows(float("nan"))
    x, present = dict(given.x), dict(given.present)
    values = {name: one.clone() for name, one in x.items()}
    masks = {name: one.clone() for name, one in present.items()}
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    state = torch.get_rng_state()
    task(model, given, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(given.x) == list(x)
    assert list(given.present) == list(present)
    for name in x:
        assert given.x[name] is x[name]
        assert torch.equal(torch.nan_to_num(x[name], 7.5), torch.nan_to_num(values[name], 7.5))
        assert torch.equal(present[name], masks[name])
    same(dict(model.state_dict()), weights)
    assert model.training  # as it was
    assert all(p.grad is None for p in model.parameters())


@recipe
@task
def test_values_under_a_false_mask_change_nothing(recipe, task) -> None:
    model = built_for(recipe, task)
    here, there = task(model, rows(0.0), 3), task(model, rows(float("nan")), 3)
    same(here, there)
    for name, one in here.items():
        assert torch.isfinite(one.double()).all(), name


@task
def test_the_same_seed_gives_the_same_answer(task) -> None:
    model, given = built("mopoe"), rows()
    first = task(model, given, 3)
    torch.rand(5)
    same(first, task(model, given, 3))
    if not any(name.startswith("z") for name in first):
        other = task(model, given, 4)
        assert any(not torch.equal(first[name], other[name]) for name in first)


@recipe
def test_no_rows_are_embedded_as_no_rows(recipe) -> None:
    model = built_for(recipe, TASKS["embed"])
    whole = rows()
    none = embed(model, whole.rows(slice(0)))
    assert none.shape == (0, *embed(model, whole).shape[1:])


@recipe
def test_observed_values_are_kept_bit_for_bit(recipe) -> None:
    given = rows()
    said = impute(built(recipe), given, draws=3, proposals=10)
    for name, value in given.x.items():
        there = given.present[name]
        assert torch.equal(said.missing[name], ~there)
        assert said.point[name].dtype == said.draws[name].dtype == value.dtype
        assert torch.equal(said.point[name][there], value[there])
        for draw in said.draws[name]:
            assert torch.equal(draw[there], value[there])
    whole = torch.stack([m if m.ndim == 1 else m.all(1) for m in given.present.values()]).all(0)
    assert whole.any()
    assert (said.ess[whole] == 1).all()
    # A point estimate takes 50 proposals, however few are asked for.
    assert ((said.ess >= 1 / 50 - 1e-6) & (said.ess <= 1 + 1e-6)).all()


def test_filled_values_are_of_their_kind() -> None:
    given = rows()
    said = impute(built("mopoe"), given, draws=20)
    for table in (said.point[TABLE][None], said.draws[TABLE]):
        _, colour, visits, grade = table.unbind(-1)
        assert set(colour.unique().tolist()) <= {0.0, 1.0, 2.0}
        assert set(grade.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
        assert (visits >= 0).all()
    assert torch.equal(said.draws[TABLE][..., 2], said.draws[TABLE][..., 2].round())
    words = said.draws[TEXT]
    assert ((words >= 0) & (words < 9)).all()


def test_modalities_that_the_rows_do_not_name_are_filled_everywhere() -> None:
    model, given = built("mvae"), rows().select([TABLE])
    said = impute(model, given, draws=2, proposals=10)
    assert set(said.point) == set(model.names)
    assert said.point[IMAGE].shape == (6, 1, 8, 8)
    assert said.draws[TEXT].shape == (2, 6, 5)
    assert said.missing[NUMBERS].all()
    only = impute(model, given, draws=2, proposals=10, names=[TEXT])
    assert set(only.point) == set(only.draws) == {TEXT}


def test_unknown_names_and_empty_questions_are_refused() -> None:
    model, given = built("mvae"), rows()
    with pytest.raises(ValueError, match="no modality 'imgae'"):
        translate(model, given, ["imgae"])
    with pytest.raises(ValueError, match="nothing to translate to"):
        translate(model, given, [])
    with pytest.raises(ValueError, match="nothing to translate from"):
        translate(model, given, [TEXT], [])
    with pytest.raises(ValueError, match="nothing to translate from"):
        translate(model, given.select([TABLE]), [TEXT], [IMAGE])
    with pytest.raises(ValueError, match="draws must be at least 1"):
        translate(model, given, [TEXT], draws=0)
    with pytest.raises(ValueError, match="n must be at least 1"):
        generate(model, 0)
    with pytest.raises(ValueError, match="'auto', 'mean', 'mode', 'median' or 'sample'"):
        generate(model, 2, values="medium")
    with pytest.raises(ValueError, match="samples must be at least 1"):
        log_likelihood(model, given, samples=0)
    with pytest.raises(ValueError, match="no modality 'imgae'"):
        impute(model, given, names=["imgae"])
    with pytest.raises(ValueError, match="draws"):
        impute(model, given, draws=-1)


def test_draws_without_a_seed_come_from_the_callers_state() -> None:
    model = built("mvae")
    torch.manual_seed(5)
    first = generate(model, 2)
    second = generate(model, 2)
    torch.manual_seed(5)
    same(first, generate(model, 2))
    assert not torch.equal(first[NUMBERS], second[NUMBERS])
