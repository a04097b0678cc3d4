"""Walks along the directions that matter most, of models whose decoders are known or tiny."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tests.estimator.cases import frame, tiny

import polymodal as pm
from polymodal.cli.traverse import write
from polymodal.data.sources import from_arrays
from polymodal.report.walk import write_walk
from polymodal.tasks.traverse import means_of


@pytest.fixture(scope="module")
def linear() -> tuple[pm.MultimodalModel, pm.MultimodalData]:
    """A linear model of three hidden numbers in two vectors and a table."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(90, 3)) * [3.0, 1.0, 0.3]
    mix = rng.normal(size=(3, 9))
    x = u @ mix + 0.05 * rng.normal(size=(90, 9))
    table = pd.DataFrame(x[:, 7:], columns=["p", "q"])
    data = from_arrays({"v": x[:, :4], "w": x[:, 4:7], "t": table})
    return pm.MultimodalModel("pcca", latent_dim=3, progress=False).fit(data), data


def test_it_goes_where_rows_differ_most_and_as_far_as_they_do(linear) -> None:
    model, data = linear
    z = model.embed(data).astype(np.float64)
    said = model.traverse(data, 2, steps=5, reach=1.5)
    order = np.argsort(-z.std(0, ddof=1))
    assert [one.latent for one in said.directions] == order[:2].tolist()
    for k, one in enumerate(said.directions):
        mean, sd = z[:, one.latent].mean(), z[:, one.latent].std(ddof=1)
        assert one.spread == pytest.approx(sd)
        np.testing.assert_allclose(said.at[k], mean + sd * np.linspace(-1.5, 1.5, 5))
    nearest = np.square(z - z.mean(0)).sum(1).argmin()
    assert said.start == nearest


def test_each_step_is_the_start_with_one_number_moved(linear) -> None:
    model, data = linear
    said = model.traverse(data, [2, 0], steps=3, start=7)
    z = torch.as_tensor(model.embed(data))[7]
    for k, one in enumerate(said.directions):
        for t in range(3):
            moved = z.clone()
            moved[one.latent] = said.at[k, t]
            for name, value in means_of(model.model_, moved[None]).items():
                torch.testing.assert_close(said.decoded[name][k, t], value[0])
    # A linear decoder: equal steps of the latent number are equal steps of the values.
    steps = said.decoded["v"].diff(dim=1)
    torch.testing.assert_close(steps[:, 0], steps[:, 1], atol=1e-4, rtol=1e-4)


def test_the_frame_has_a_line_a_step_in_own_units(linear) -> None:
    model, data = linear
    said = model.traverse(data, 3, steps=4, to=["t", "v"])
    made = said.frame()
    assert set(made.columns) == {"(latent)", "(value)", "v", "p", "q"}
    assert len(made) == 12
    assert made["(latent)"].tolist() == [one.latent for one in said.directions for _ in range(4)]
    raw = model.codec_.decode("t", said.decoded["t"].flatten(0, 1))
    np.testing.assert_allclose(made[["p", "q"]], raw)
    with pytest.raises(ValueError, match="'w' was not decoded; there are t, v"):
        said.frame(["w"])
    table = said.table()
    assert list(table.columns) == ["latent", "block", "spread", "from", "to"]
    assert table["spread"].is_monotonic_decreasing


def test_all_kinds_walk_and_blocks_are_named(tmp_path) -> None:
    model = pm.MultimodalModel("mmvaeplus", private_dim=1, **tiny()).fit(frame())
    said = model.traverse(frame(), list(range(3 + 4)), steps=3)
    assert [one.block for one in said.directions] == ["shared"] * 3 + list(model.codec_.names)
    made = said.frame()
    assert len(made) == 21
    assert {"photo", "caption", "v", "w", "c", "n", "when"} <= set(made.columns)
    assert set(made["c"]) <= {"a", "b", "c"}
    assert made["caption"].map(type).eq(str).all()
    for k, one in enumerate(said.directions[3:], 3):
        for name, value in said.decoded.items():
            if name != one.block:  # nobody else reads a private number
                torch.testing.assert_close(value[k, 0], value[k, 2])
    for block, n in (("shared", 3), ("v", 1)):
        chosen = model.traverse(frame(), 5, block=block).directions
        assert [one.block for one in chosen] == [block] * n
    with pytest.raises(ValueError, match="'x'; there are shared, table, photo, caption, v"):
        model.traverse(frame(), block="x")
    grid = said.pictures("photo")
    assert grid.shape == (7, 3, 1, 6, 6)
    assert 0 <= grid.min() <= grid.max() <= 1
    file = write_walk(said, "photo", tmp_path / "photo.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"'v' is no picture or sound that was decoded.*photo"):
        said.pictures("v")


def test_counts_are_whole_numbers_of_any_kind(linear) -> None:
    model, data = linear
    assert len(model.traverse(data, np.int64(2), steps=np.int64(3)).directions) == 2
    with pytest.raises(ValueError, match="got True; how many is a whole number"):
        model.traverse(data, True)
    with pytest.raises(ValueError, match="steps must be at least 2, a whole"):
        model.traverse(data, steps=3.0)  # pyright: ignore[reportArgumentType]


def test_names_that_no_file_can_have_do_not_overwrite_each_other(tmp_path) -> None:
    rng = np.random.default_rng(0)
    data = from_arrays({name: rng.random((40, 6, 6)) for name in ("a b", "a_b")})
    said = pm.MultimodalModel(**tiny()).fit(data).traverse(data, 1, steps=2)
    pictures, _, _ = write(said, tmp_path)
    assert len({*pictures}) == 2
    assert all(path.exists() for path in pictures)


def test_sounds_are_shown_as_spectrograms_with_low_tones_below() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=40)
    loud = np.linspace(1, 0, 8)[:, None] * np.ones((8, 6))  # low bands are loud
    sound = (u[:, None, None] * 0.1 + 5 * loud + 0.1 * rng.normal(size=(40, 8, 6))).astype("f4")
    kinds = {"s": pm.ModalitySpec("audio", column="s")}
    data = from_arrays({"s": sound, "v": np.stack([u, u], 1)}, kinds=kinds)
    model = pm.MultimodalModel(**tiny()).fit(data)
    said = model.traverse(data, 2, steps=2)
    shown = said.pictures("s")
    assert shown.shape == (2, 2, 1, 8, 6)
    assert (shown.min(), shown.max()) == (0, 1)
    top = said.decoded["s"][0, 0, 0, -1]
    order = np.argsort(top.numpy())
    assert (np.argsort(shown[0, 0, 0, 0]) == order).all()  # the highest band is the top line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"directions": 0}, "directions must be at least 1, got 0"),
        ({"directions": [0, 3]}, "from 0 to 2, got 3"),
        ({"directions": []}, "got none"),
        ({"steps": 1}, "steps must be at least 2"),
        ({"reach": 0.0}, "reach above 0"),
        ({"start": 90}, "start must be a row from 0 to 89, got 90"),
        ({"block": "x", "directions": 1}, "of the block 'x'; there are all"),
        ({"to": "x"}, "no modality 'x'"),
    ],
)
def test_errors_say_what_to_do(linear, words: dict, said: str) -> None:
    model, data = linear
    with pytest.raises(ValueError, match=said):
        model.traverse(data, **words)


def test_rows_must_differ(linear) -> None:
    model, data = linear
    with pytest.raises(ValueError, match="at least 2 rows"):
        model.traverse(data[:1])
    with pytest.raises(ValueError, match="same latent numbers"):
        model.traverse(data[[4, 4, 4]])
