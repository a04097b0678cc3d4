"""Embeddings: one scale for all features, the length 1 kept, and list columns of frames."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from polymodal.data import DataCodec, from_arrays, read
from polymodal.data.names import objects

RNG = np.random.default_rng(0)
PLAIN = RNG.normal(size=(30, 8)) * np.linspace(0.1, 3, 8) + 1
UNIT = PLAIN / np.linalg.norm(PLAIN, axis=1, keepdims=True)


@pytest.mark.parametrize("values", [PLAIN, UNIT, UNIT.astype(np.float32)])
def test_embeddings_keep_their_angles_and_come_back(values: np.ndarray) -> None:
    data = from_arrays({"clip": values}, kinds={"clip": "embedding"})
    assert (data.schema["clip"].kind, data.schema["clip"].size) == ("embedding", 8)
    codec = DataCodec.fit(data)
    seen = codec.encode(data).x["clip"].numpy()
    assert abs(np.square(seen).mean() - 1) < 1e-4
    centred = values - values.mean(0)
    ratio = seen / centred
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-3)
    back = codec.decode("clip", torch.from_numpy(seen))
    assert back.dtype == values.dtype
    np.testing.assert_allclose(back, values, rtol=1e-4, atol=1e-5)


def test_decoded_ones_have_the_length_one_where_training_had() -> None:
    for values, wanted in ((UNIT, True), (PLAIN, False)):
        codec = DataCodec.fit(from_arrays({"c": values}, kinds={"c": "embedding"}))
        lengths = np.linalg.norm(codec.decode("c", torch.randn(5, 8)), axis=1)
        assert np.allclose(lengths, 1) == wanted


def test_the_codec_is_the_same_from_its_configuration() -> None:
    data = from_arrays({"c": UNIT}, kinds={"c": "embedding"})
    codec = DataCodec.fit(data)
    config, tensors = codec.to_config()
    again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
    z = torch.randn(3, 8)
    np.testing.assert_array_equal(again.decode("c", z), codec.decode("c", z))
    config["codecs"][0]["unit"] = 3
    with pytest.raises(ValueError, match="damaged"):
        DataCodec.from_config(config, tensors)


@pytest.mark.parametrize("values", [np.ones((3, 4)), PLAIN[:1]])
def test_constant_embeddings_and_a_single_row(values: np.ndarray) -> None:
    data = from_arrays({"c": values}, kinds={"c": "embedding"})
    codec = DataCodec.fit(data)
    np.testing.assert_allclose(codec.decode("c", codec.encode(data).x["c"]), values)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 8)])
def test_list_columns_of_parquet_are_vectors_or_embeddings(kind: pa.DataType, tmp_path) -> None:
    cells = [*UNIT.astype(np.float32).tolist(), None]
    table = pa.table({"clip": pa.array(cells, kind), "w": range(31)})
    pq.write_table(table, tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet")
    assert (data.schema["clip"].kind, data.schema["clip"].size) == ("vector", 8)
    data = data.with_schema(data.schema.set("clip", kind="embedding"))
    assert data.schema["clip"].kind == "embedding"
    np.testing.assert_allclose(data.values("clip")[:30], UNIT, rtol=1e-6)
    assert not data.present("clip")[30].any()
    assert data.values("clip").dtype == np.float32


def test_a_frame_of_lists_is_read() -> None:
    data = read(pd.DataFrame({"clip": objects(PLAIN.tolist())}))
    np.testing.assert_array_equal(data.values("clip"), PLAIN)
