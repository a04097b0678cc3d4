"""Vectors of 0 and 1: when they are taken for such, there and back, and every outcome."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.data import DataCodec, ModalitySpec, from_arrays, read
from polymodal.data.modalities import modalities_of
from polymodal.data.names import objects
from polymodal.likelihoods import BernoulliLikelihood, GaussianLikelihood

YES_NO = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=np.float32)
HOLES = np.where(np.eye(4, 3) > 0, np.nan, YES_NO)


def codec_of(values: object, **settings: object) -> tuple[DataCodec, pm.MultimodalData]:
    spec = ModalitySpec("vector", column="v", **settings)  # type: ignore[arg-type]
    data = from_arrays({"v": values}, kinds={"v": spec})
    return DataCodec.fit(data), data


@pytest.mark.parametrize(
    ("values", "likelihood"),
    [
        (YES_NO, "bernoulli"),
        (YES_NO.astype(bool), "bernoulli"),
        (YES_NO.astype(np.int64), "bernoulli"),
        (HOLES, "bernoulli"),
        (np.zeros((4, 3)), "gaussian"),
        (np.ones((4, 3)), "gaussian"),
        (np.full((4, 3), np.nan), "gaussian"),
        (YES_NO[:, :1], "gaussian"),
        (YES_NO * 2, "gaussian"),
        (YES_NO / 2, "gaussian"),
        (-YES_NO, "gaussian"),
        (np.where(YES_NO > 0, 1, 0.01), "gaussian"),
    ],
)
def test_the_likelihood_is_inferred_from_what_is_known(
    values: np.ndarray, likelihood: str
) -> None:
    codec, data = codec_of(values)
    assert data.schema["v"].likelihood is None
    assert codec.schema["v"].likelihood == likelihood
    assert codec.yes_no("v") is (likelihood == "bernoulli")
    (modality,) = modalities_of(codec)
    kind = {"bernoulli": BernoulliLikelihood, "gaussian": GaussianLikelihood}[likelihood]
    assert isinstance(modality.likelihood, kind)


def test_the_schema_has_the_last_word() -> None:
    codec, data = codec_of(YES_NO, likelihood="gaussian")
    seen = codec.encode(data).x["v"]
    torch.testing.assert_close(seen.std(0, correction=0), torch.tensor([1.0, 1, 0]))
    codec, data = codec_of(np.zeros((4, 1)), likelihood="bernoulli")
    assert codec.yes_no("v")


def test_embeddings_have_no_choice() -> None:
    data = from_arrays({"v": YES_NO}, kinds={"v": "embedding"})
    codec = DataCodec.fit(data)
    assert not codec.yes_no("v")
    assert codec.schema["v"] == data.schema["v"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8, bool])
def test_values_stay_0_and_1_and_come_back_in_their_dtype(dtype: type) -> None:
    values = YES_NO.astype(dtype)
    codec, data = codec_of(values)
    tensors = codec.encode(data)
    assert tensors.x["v"].tolist() == YES_NO.tolist()
    assert tensors.x["v"].dtype == torch.float32
    assert codec.log_jacobian(tensors.x, tensors.present).tolist() == [0] * 4
    back = codec.decode("v", tensors.x["v"])
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, bool])
def test_probabilities_are_decoded_as_they_are(dtype: type) -> None:
    codec, _ = codec_of(YES_NO.astype(dtype))
    said = torch.tensor([[0.125, 1.0, 0.0], [0.5, float("nan"), 1.0]])
    back = codec.decode("v", said)
    assert back.dtype == (np.float32 if dtype is np.float32 else np.float64)
    np.testing.assert_array_equal(back, said.numpy())


def test_single_cells_may_be_missing() -> None:
    codec, data = codec_of(HOLES)
    tensors = codec.encode(data)
    assert torch.equal(tensors.present["v"], torch.from_numpy(~np.isnan(HOLES)))
    assert torch.equal(tensors.x["v"], torch.from_numpy(np.nan_to_num(HOLES)).float())


def test_a_probability_may_come_back() -> None:
    codec, _ = codec_of(YES_NO)
    values = YES_NO.astype(np.float64)
    values[2, 1] = 0.25
    tensors = codec.encode(from_arrays({"v": values}))
    assert tensors.present["v"].all()
    assert tensors.x["v"][2, 1] == 0.25


@pytest.mark.parametrize("wrong", [1.5, 2, -1, 1e30])
def test_other_values_are_one_sentence_or_missing(wrong: float) -> None:
    codec, _ = codec_of(YES_NO)
    values = YES_NO.astype(np.float64)
    values[2, 1] = wrong
    data = from_arrays({"v": values})
    said = rf"'v', row 2, value 1: expected 0 or 1 .*got {wrong:g}\..* likelihood: gaussian"
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        codec.encode(data)
    tensors = codec.encode(data, unseen="missing")
    assert tensors.present["v"].sum() == 11
    assert not tensors.present["v"][2, 1]
    assert tensors.x["v"][2, 1] == 0
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        codec_of(values, likelihood="bernoulli")


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("vector", {"likelihood": "poisson"}, "likelihood must be one of bernoulli, gaussian"),
        ("series", {"likelihood": "bernoulli"}, "must be one of negative_binomial, poisson"),
        ("tags", {"likelihood": "bernoulli"}, "belongs to kinds series and vector, not to tags"),
        ("embedding", {"likelihood": "gaussian"}, "`likelihood` belongs to kinds"),
        ("vector", {"levels": ("a",)}, "`levels` belongs to kind tags, not to vector"),
    ],
)
def test_a_wrong_schema_is_one_sentence(kind: str, settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModalitySpec(kind, column="v", **settings)  # type: ignore[arg-type]


def test_the_schema_is_printed_and_written(tmp_path) -> None:
    codec, data = codec_of(YES_NO)
    assert "3 numbers, bernoulli" in str(codec.schema)
    assert "bernoulli" not in str(data.schema)
    codec.schema.save(tmp_path / "s.yaml")
    assert "likelihood: bernoulli" in (tmp_path / "s.yaml").read_text()
    assert pm.Schema.load(tmp_path / "s.yaml") == codec.schema
    changed = data.schema.set("v", likelihood="gaussian")
    assert changed["v"].likelihood == "gaussian"
    assert changed.set("v", modality="w")["w"].likelihood == "gaussian"


def test_the_codec_is_the_same_from_its_configuration() -> None:
    for values in (YES_NO, HOLES, YES_NO * 2):
        codec, data = codec_of(values)
        config, tensors = codec.to_config()
        again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
        assert again.schema == codec.schema
        assert again.yes_no("v") is codec.yes_no("v")
        assert torch.equal(again.encode(data).x["v"], codec.encode(data).x["v"])


@pytest.mark.parametrize("damage", ["unknown", "other", "scale"])
def test_a_damaged_configuration_is_refused(damage: str) -> None:
    config, tensors = codec_of(YES_NO)[0].to_config()
    if damage == "scale":
        tensors["0.scale"] = 2 * tensors["0.scale"]
    else:
        config["codecs"][0]["likelihood"] = {"unknown": "poisson", "other": "gaussian"}[damage]
    with pytest.raises(ValueError, match="'v': the configuration is damaged"):
        DataCodec.from_config(config, tensors)


def test_files_from_before_there_was_a_choice_are_gaussian() -> None:
    codec, data = codec_of(YES_NO, likelihood="gaussian")
    config, tensors = codec.to_config()
    del config["codecs"][0]["likelihood"]
    del config["schema"]["modalities"]["v"]["likelihood"]
    again = DataCodec.from_config(config, tensors)
    assert again.schema["v"].likelihood is None
    assert not again.yes_no("v")
    assert torch.equal(again.encode(data).x["v"], codec.encode(data).x["v"])
    (modality,) = modalities_of(again)
    assert isinstance(modality.likelihood, GaussianLikelihood)


def test_parquet_holds_them(tmp_path) -> None:
    cells = objects([*YES_NO.tolist(), None])
    pd.DataFrame({"v": cells}).to_parquet(tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet")
    codec = DataCodec.fit(data)
    assert codec.yes_no("v")
    assert codec.encode(data).present["v"].sum() == YES_NO.size
