"""Series: every form there and back, holes in time, and every outcome."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.data import DataCodec, ModalitySpec, Schema, from_arrays, hide, read
from polymodal.data.modalities import NetworkSettings, modalities_of
from polymodal.data.names import objects
from polymodal.tasks.filled import contained

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(3, (6, 2, 9))
WAVES = RNG.normal(5, 2, (6, 2, 9))


def codec_of(values: object, **settings: object) -> tuple[DataCodec, pm.MultimodalData]:
    spec = ModalitySpec("series", column="s", **settings)  # type: ignore[arg-type]
    data = from_arrays({"s": values}, kinds={"s": spec})
    return DataCodec.fit(data), data


@pytest.mark.parametrize(
    ("values", "likelihood"),
    [
        (COUNTS, "negative_binomial"),
        (COUNTS[:, 0].astype(np.float32), "negative_binomial"),
        (WAVES, "gaussian"),
        (WAVES[:, 0].astype(np.float32), "gaussian"),
        (-COUNTS, "gaussian"),
    ],
)
def test_series_go_there_and_back(values: np.ndarray, likelihood: str) -> None:
    codec, data = codec_of(values)
    assert codec.schema["s"].likelihood == likelihood
    assert codec.schema["s"].size == ((1, 9) if values.ndim == 2 else (2, 9))
    back = codec.decode("s", codec.encode(data).x["s"])
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-5)


def test_real_series_are_standardised_a_channel() -> None:
    codec, data = codec_of(WAVES)
    seen = codec.encode(data).x["s"].reshape(6, 2, 9)
    assert seen.mean((0, 2)).abs().max() < 1e-6
    torch.testing.assert_close(seen.std((0, 2), correction=0), torch.ones(2))
    tensors = codec.encode(data)
    sd = WAVES.std((0, 2))
    wanted = -9 * np.log(sd).sum()
    found = codec.log_jacobian(tensors.x, tensors.present)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5)


def test_stretches_may_be_missing_and_lengths_may_differ() -> None:
    holes = WAVES.copy()
    holes[0, 1, 3:6] = np.nan
    holes[2] = np.nan
    codec, data = codec_of(holes)
    there = codec.encode(data).present["s"]
    assert there.shape == (6, 18)
    assert there.sum(1).tolist() == [15, 18, 0, 18, 18, 18]
    codec, data = codec_of(objects([[1.0, 2.0], [3.0, 4.5, 5.0], None]))
    assert data.schema["s"].size == (1, 3)
    assert data.present("s").tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 0]]
    shown, hidden = hide(data, 0.5, 0.0, seed=1)
    assert (shown.present("s") | hidden["s"]).tolist() == data.present("s").tolist()


@pytest.mark.parametrize(
    ("values", "settings", "said"),
    [
        (np.zeros(3), {}, "shape \\(rows, times\\)"),
        (np.zeros((3, 2, 2, 2)), {}, "shape \\(rows, times\\)"),
        (np.zeros((3, 0)), {}, "shape \\(rows, times\\)"),
        (np.array([[0.0, np.inf]]), {}, "row 0, value 1: the value is infinite"),
        (np.array([[1.0, 0.5]]), {"likelihood": "poisson"}, "row 0, time 1: expected a count"),
        (np.array([[1, -1]]), {"likelihood": "negative_binomial"}, "got -1"),
        (np.zeros((2, 4)), {"size": (1, 5)}, "schema has series of 1 channel x 5 times"),
        (objects([[1.0], "x"]), {}, "row 1: expected a series of numbers, got 'x'"),
        (objects([[1.0], [[1.0]]]), {}, "row 1: expected \\(times,\\) or"),
        (objects([[1.0, 2.0, 3.0]]), {"size": (1, 2)}, "row 0: a series of 3 times"),
        (objects([None, None]), {}, "no row has a value"),
    ],
)
def test_what_does_not_fit_is_one_sentence(values: object, settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        codec_of(values, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": True}, "must be \\[channels, times\\], got True"),
        ({"size": (0, 3)}, "must be \\[channels, times\\]"),
        ({"likelihood": "binomial"}, "likelihood must be one of negative_binomial, poisson"),
        ({"levels": ("a",)}, "`levels` belongs to kind tags, not to series"),
    ],
)
def test_a_wrong_schema_is_one_sentence(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModalitySpec("series", column="s", **settings)


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.full((4, 5), 2.5), WAVES[:1]])
def test_constant_series_and_a_single_row(values: np.ndarray) -> None:
    codec, data = codec_of(values)
    np.testing.assert_allclose(codec.decode("s", codec.encode(data).x["s"]), values, atol=1e-5)


def test_the_codec_is_the_same_from_its_configuration() -> None:
    for values in (COUNTS, WAVES[:, 0]):
        codec, data = codec_of(values)
        config, tensors = codec.to_config()
        again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
        assert again.schema == codec.schema
        assert torch.equal(again.encode(data).x["s"], codec.encode(data).x["s"])
        config["codecs"][0]["likelihood"] = "other"
        with pytest.raises(ValueError, match="damaged"):
            DataCodec.from_config(config, tensors)


def test_the_schema_is_printed_and_written(tmp_path) -> None:
    codec, _ = codec_of(COUNTS)
    assert "2 x 9 times, negative binomial" in str(codec.schema)
    codec.schema.save(tmp_path / "s.yaml")
    assert pm.Schema.load(tmp_path / "s.yaml") == codec.schema
    assert codec.schema.set("s", likelihood="poisson")["s"].likelihood == "poisson"


def test_parquet_holds_series(tmp_path) -> None:
    cells = [one.tolist() for one in COUNTS]
    pd.DataFrame({"s": objects([*cells, None])}).to_parquet(tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet")
    assert (data.schema["s"].kind, data.schema["s"].size) == ("series", (2, 9))
    np.testing.assert_array_equal(data.values("s")[:6], COUNTS)


@pytest.mark.parametrize("first", [[], [[], []]])
def test_an_empty_list_is_a_row_without_a_known_time(first: list, tmp_path) -> None:
    cells = objects([first, *(one.tolist() for one in COUNTS)])
    pd.DataFrame({"s": objects(map(str, cells))}).to_csv(tmp_path / "a.csv", index=False)
    for data in (read(pd.DataFrame({"s": cells})), read(tmp_path / "a.csv")):
        assert (data.schema["s"].kind, data.schema["s"].size) == ("series", (2, 9))
        assert data.present("s").sum(1).tolist() == [0, *[18] * 6]


@pytest.mark.parametrize("wrong", [[[1] * 9] * 3, [1] * 9, [[[1]]]])
def test_the_row_of_another_shape_is_the_one_that_is_named(wrong: list) -> None:
    cells = objects([wrong, *(one.tolist() for one in COUNTS)])
    with pytest.raises(ValueError, match="row 0: expected 2 channels x 9 times at most"):
        codec_of(cells, size=(2, 9))
    with pytest.raises(ValueError, match=r"row 0: expected .* like the other rows"):
        codec_of(cells)


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (["[1, 2]", "[0, 3]"], "[4, 0]"),
        (["[1, 2]", "[0, nan]"], "[4, 0]"),
        (["[1.0, 2]", "[0, 3]"], "[4.0, 0.0]"),
    ],
)
def test_what_is_filled_is_whole_where_the_column_is(before: list, wanted: str) -> None:
    schema = pm.Schema({"s": ModalitySpec("series", column="s")})
    data = read(pd.DataFrame({"s": [*before, None]}), schema)
    new = data.values("s").copy()
    new[2] = [4.0, 0.0]
    assert list(data.replace({"s": new}).native()["s"]) == [*before, wanted]


def test_counts_are_whole_where_none_is_known() -> None:
    spec = ModalitySpec("series", column="s", size=(1, 2), likelihood="poisson")
    rows = read(pd.DataFrame({"s": [None, None]}), pm.Schema({"s": spec}))
    filled = rows.replace({"s": np.array([[4.0, 0.0], [np.nan, 1.0]])}).native()["s"]
    assert str(filled[0].tolist()) == "[4, 0]"


def test_generated_counts_in_a_frame_are_whole() -> None:
    codec, _ = codec_of(objects([one.tolist() for one in COUNTS]))
    made = contained(codec, {"s": codec.decode("s", torch.ones(2, 18))}, "frame")
    assert [one.tolist() for one in made["s"]] == [[[1] * 9] * 2] * 2
    assert {one.dtype.kind for one in made["s"]} == {"i"}


@pytest.mark.parametrize("network", ["conv", "recurrent"])
@pytest.mark.parametrize("kind", ["negative_binomial", "poisson", "gaussian"])
def test_networks_and_likelihoods_fit_any_series(network: str, kind: str) -> None:
    codec, data = codec_of(COUNTS, likelihood=kind)
    (found,) = modalities_of(codec, NetworkSettings(hidden=(8,), series=network))  # type: ignore[arg-type]
    tensors = codec.encode(data)
    features = found.encoder(tensors.x["s"], tensors.present["s"])
    p = found.likelihood(found.decoder(4)(torch.zeros(6, 4)))
    score = p.log_prob(tensors.x["s"], tensors.present["s"])
    assert features.isfinite().all()
    assert score.shape == (6,)
    assert score.isfinite().all()


def test_a_vector_of_a_written_schema_becomes_a_series_by_its_kind(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"spikes": objects([np.arange(4), np.array([2, 0, 0, 1])])})
    text = pm.read(frame).schema.to_yaml()
    assert "kind: vector" in text
    (tmp_path / "schema.yaml").write_text(text.replace("kind: vector", "kind: series"))
    edited = Schema.load(tmp_path / "schema.yaml")
    assert edited["spikes"].size == (1, 4)
    assert pm.read(frame, edited).values("spikes").shape == (2, 4)
