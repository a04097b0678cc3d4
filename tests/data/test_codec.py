"""What is encoded is decoded exactly, told in its own units, and refused with row and column."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from polymodal.data import ColumnSpec, DataCodec, ModalitySpec, Schema, from_arrays, read
from polymodal.data.tokenization.words import join_tokens, tokens_of
from polymodal.typing import Column

RNG = np.random.default_rng(0)
N = 40


def table_of(kinds: dict[str, str], levels: dict | None = None) -> Schema:
    columns = tuple(ColumnSpec(n, k, (levels or {}).get(n)) for n, k in kinds.items())
    return Schema({"t": ModalitySpec("table", columns)})


def there_and_back(data, name: str):
    codec = DataCodec.fit(data)
    return codec.decode(name, codec.encode(data).x[name])


EVERY_DTYPE = {
    "float64": ("number", np.round(RNG.normal(size=N), 3)),
    "float32": ("number", RNG.normal(size=N).astype(np.float32)),
    "int64": ("number", RNG.integers(-1000, 1000, N)),
    "uint8": ("number", RNG.integers(0, 256, N).astype(np.uint8)),
    "Int64": ("number", pd.array([1, 2, None, 7] * 10, dtype="Int64")),
    "Float64": ("number", pd.array([1.5, 2.5, None, 7.25] * 10, dtype="Float64")),
    "positive": ("positive", np.round(np.exp(RNG.normal(size=N)), 4)),
    "positive_int": ("positive", RNG.integers(1, 100, N)),
    "count": ("count", RNG.poisson(30, N)),
    "count_float": ("count", np.where(np.arange(N) % 7 == 0, np.nan, RNG.poisson(3, N))),
    "str": ("category", pd.Series(["x", "y", None, "zz"] * 10)),
    "object": ("category", pd.Series(["x", "y", None, "zz"] * 10, dtype=object)),
    "string": ("category", pd.array(["x", "y", None, "zz"] * 10, dtype="string")),
    "bool": ("category", np.arange(N) % 3 == 0),
    "boolean": ("category", pd.array([True, None] * 20, dtype="boolean")),
    "category": ("category", pd.Categorical(["b", "a", None, "b"] * 10, ["b", "a", "never"])),
    "ordered": ("ordinal", pd.Categorical(["lo", "hi"] * 20, ["lo", "hi"], ordered=True)),
    "int_levels": ("ordinal", RNG.integers(1, 5, N)),
    "mixed": ("category", pd.Series(["1", 2, 2.5, True] * 10, dtype=object)),
    "date": ("number", pd.date_range("2020-02-28", periods=N)),
    "moment": ("number", pd.date_range("1999-12-31 23:59:58", periods=N, freq="97s")),
    "zone": ("number", pd.date_range("2020-03-28", periods=N, freq="h", tz="Europe/Berlin")),
    "date_hole": ("number", pd.Series([pd.Timestamp("2001-01-05"), pd.NaT] * 20)),
    "constant": ("number", np.full(N, 3.25)),
    "constant_int": ("number", np.full(N, 10**9)),
    "huge": ("number", RNG.integers(0, 5, N) + 1e9),
    "nobody": ("number", np.full(N, np.nan)),
}


@pytest.mark.parametrize("name", EVERY_DTYPE)
def test_every_dtype_comes_back(name: str) -> None:
    kind, values = EVERY_DTYPE[name]
    frame = pd.DataFrame({"a": values})
    data = read(frame, table_of({"a": kind}))
    codec = DataCodec.fit(data)
    tensors = codec.encode(data)
    assert torch.isfinite(tensors.x["t"]).all()
    assert tensors.x["t"].dtype == torch.float32
    x = torch.where(tensors.present["t"], tensors.x["t"], torch.nan)
    back = codec.decode("t", x)
    exact = name != "float32"
    pd.testing.assert_frame_equal(
        back, frame, check_exact=exact, **({} if exact else {"rtol": 1e-5})
    )


@given(
    st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=20),
    st.sampled_from(["number", "count", "positive", "ordinal", "category"]),
)
def test_whole_numbers_come_back_exactly(values: list[int], kind: str) -> None:
    if kind in ("count", "positive"):
        # a logarithm in float32 holds whole numbers exactly up to about 10,000
        values = [abs(v) % 10_000 + 1 for v in values]
    frame = pd.DataFrame({"a": values})
    data = read(frame, table_of({"a": kind}))
    pd.testing.assert_frame_equal(there_and_back(data, "t"), frame)


@given(
    st.lists(
        st.floats(-1e6, 1e6, allow_nan=False, width=32).filter(lambda v: v == 0 or abs(v) > 1e-6),
        min_size=1,
        max_size=20,
    )
)
def test_floats_come_back_to_float32_rounding(values: list[float]) -> None:
    frame = pd.DataFrame({"a": np.array(values)})
    back = there_and_back(read(frame, table_of({"a": "number"})), "t")["a"].to_numpy()
    spread = np.abs(values).max() + np.ptp(values)
    assert np.abs(back - values).max() <= 1e-6 * max(spread, 1e-6) + 5e-7


@given(st.lists(st.text(alphabet="abcß xyz09", min_size=0, max_size=20), min_size=1, max_size=10))
def test_words_come_back_exactly(texts: list[str]) -> None:
    texts = [" ".join(text.split()) for text in texts]
    data = from_arrays({"t": texts}, kinds={"t": "text"})
    assert there_and_back(data, "t").tolist() == texts


@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.sampled_from(["hw", "chw", "hwc"])
)
def test_pixels_come_back_exactly(n: int, h: int, w: int, layout: str) -> None:
    shape = {"hw": (n, h, w), "chw": (n, 3, h, w + 3), "hwc": (n, h + 3, w + 3, 3)}[layout]
    pixels = np.random.default_rng(n).integers(0, 256, shape, dtype=np.uint8)
    back = there_and_back(from_arrays({"i": pixels}, kinds={"i": "image"}), "i")
    assert back.dtype == np.uint8
    assert (back == pixels).all()


def test_floats_in_pictures_and_pil_images_come_back() -> None:
    floats = RNG.random((3, 4, 5)).astype(np.float32)
    assert (there_and_back(from_arrays({"i": floats}), "i") == floats).all()
    images = [Image.fromarray(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)) for _ in range(3)]
    back = there_and_back(from_arrays({"i": images}), "i")
    for one, other in zip(images, back, strict=True):
        assert isinstance(other, Image.Image)
        assert (np.asarray(one) == np.asarray(other)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "bool", "float32", "float64"])
def test_vectors_come_back(dtype: str) -> None:
    values = (RNG.normal(size=(N, 5)) * 50 + 100).clip(0, 200).astype(dtype)
    values[:, 0] = values[0, 0]
    back = there_and_back(from_arrays({"v": values}, kinds={"v": "vector"}), "v")
    assert back.dtype == values.dtype
    if values.dtype.kind == "f":
        np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-4)
    else:
        assert (back == values).all()


def test_vectors_are_standardised_over_what_is_known() -> None:
    values = RNG.normal(3, 2, size=(200, 2))
    present = RNG.random((200, 2)) < 0.5
    values[~present] = np.nan
    data = from_arrays({"v": values})
    tensors = DataCodec.fit(data).encode(data)
    assert (tensors.present["v"].numpy() == present).all()
    for i in range(2):
        known = tensors.x["v"][present[:, i], i]
        assert abs(known.mean()) < 1e-5
        assert abs(known.std(unbiased=False) - 1) < 1e-5


def everything():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "number": rng.normal(5, 3, N),
            "positive": np.exp(rng.normal(size=N)),
            "count": rng.poisson(4, N),
            "ordinal": rng.integers(0, 3, N),
            "category": ["x", "y"] * (N // 2),
        }
    )
    frame.loc[0, ["number", "positive"]] = np.nan
    schema = table_of({name: name for name in frame})
    table = read(frame, schema)
    return frame, table


def test_encoded_columns_are_what_the_contract_says() -> None:
    frame, data = everything()
    codec = DataCodec.fit(data)
    tensors = codec.encode(data)
    x = tensors.x["t"]
    assert codec.columns("t") == (
        Column("number", "number"),
        Column("positive", "positive"),
        Column("count", "count"),
        Column("ordinal", "ordinal", 3),
        Column("category", "category", 2),
    )
    known = frame["number"].dropna()
    z = (known - known.mean()) / known.std(ddof=0)
    np.testing.assert_allclose(x[1:, 0].numpy(), z, rtol=1e-4, atol=1e-6)
    logs = np.log(frame["positive"].dropna())
    np.testing.assert_allclose(
        x[1:, 1].numpy(), (logs - logs.mean()) / logs.std(ddof=0), rtol=1e-4, atol=1e-6
    )
    assert (x[:, 2].numpy() == frame["count"]).all()
    assert (x[:, 3].numpy() == frame["ordinal"]).all()
    assert x[:, 4].tolist() == [0.0, 1.0] * (N // 2)
    assert tensors.present["t"][0].tolist() == [False, False, True, True, True]


def test_the_jacobian_is_that_of_the_encoding() -> None:
    """Against finite differences of encode, a column at a time."""
    frame, data = everything()
    vec = RNG.normal(2, 3, size=(N, 4))
    vec[1, 2] = np.nan
    both = from_arrays({"t": frame, "v": vec})
    both = both.with_schema(Schema({"t": data.schema["t"], "v": both.schema["v"]}))
    codec = DataCodec.fit(both)
    tensors = codec.encode(both)
    got = codec.log_jacobian(tensors.x, tensors.present)
    expected = np.zeros(N)
    step = 1e-3
    for name in ("number", "positive"):
        moved = frame.copy()
        moved[name] *= 1 + step
        there = codec.encode(from_arrays({"t": moved, "v": vec})).x["t"].double()
        i = list(frame).index(name)
        slope = (there - tensors.x["t"].double())[:, i].numpy() / (step * frame[name].to_numpy())
        expected += np.nan_to_num(np.log(np.abs(slope)))
    sd = np.nanstd(vec, axis=0)
    expected += np.where(np.isnan(vec), 0, -np.log(sd)).sum(1)
    np.testing.assert_allclose(got.numpy(), expected, atol=0.02)
    only = codec.log_jacobian(tensors.x, tensors.present, ["v"])
    np.testing.assert_allclose(
        only.numpy(), np.where(np.isnan(vec), 0, -np.log(sd)).sum(1), rtol=1e-4
    )


def test_values_under_a_false_mask_do_not_reach_the_jacobian() -> None:
    _, data = everything()
    codec = DataCodec.fit(data)
    tensors = codec.encode(data)
    poisoned = {"t": torch.where(tensors.present["t"], tensors.x["t"], torch.nan)}
    before = codec.log_jacobian(tensors.x, tensors.present)
    assert torch.equal(codec.log_jacobian(poisoned, tensors.present), before)


def test_draws_of_a_model_are_made_into_possible_values() -> None:
    frame, data = everything()
    wild = torch.tensor([[1e9, 1e9, -3.7, 9.0, -4.0], [0.0, -1e9, 2.6, 1.4, 0.6]])
    got = DataCodec.fit(data).decode("t", wild, index=pd.Index(["p", "q"]))
    assert got.index.tolist() == ["p", "q"]
    assert np.isfinite(got[["number", "positive"]].to_numpy()).all()
    assert (got["positive"] > 0).all()
    assert got["count"].tolist() == [0, 3]
    assert got["ordinal"].tolist() == [2, 1]
    assert got["category"].tolist() == ["x", "y"]
    assert list(got.dtypes) == list(frame.dtypes)


def test_small_dtypes_do_not_wrap_around() -> None:
    data = from_arrays(
        {"v": np.array([[0, 250], [255, 3]], np.uint8), "n": np.array([0, 255], np.uint8)},
        kinds={"v": "vector", "n": "number"},
    )
    codec = DataCodec.fit(data)
    assert codec.decode("v", torch.tensor([[99.0, -99.0]])).tolist() == [[255, 0]]
    assert codec.decode("n", torch.tensor([[99.0], [-99.0]]))["n"].tolist() == [255, 0]


def test_pixels_out_of_range_or_nan_are_mended() -> None:
    codec = DataCodec.fit(from_arrays({"i": np.zeros((2, 1, 2), np.uint8)}, kinds={"i": "image"}))
    got = codec.decode("i", torch.tensor([[[[1.7, -0.2]]], [[[torch.nan, 0.5]]]]))
    assert got.tolist() == [[[255, 0]], [[0, 128]]]
    half = codec.decode("i", torch.ones(1, 1, 1, 2, dtype=torch.bfloat16))
    assert half.tolist() == [[[255, 255]]]


@pytest.mark.parametrize(
    ("kind", "train", "test", "said"),
    [
        (
            "category",
            ["red", "blue"],
            ["red", "blu"],
            "column 'a', row 1: the category 'blu'.*'blue'",
        ),
        ("ordinal", [1, 2], [1, 3], "column 'a', row 1: the level 3"),
        (
            "positive",
            [1.5, 2.5],
            [1.0, 0.0],
            "column 'a', row 1: expected a positive number, got 0",
        ),
        ("count", [1, 2], [-1, 2], "column 'a', row 0: expected a count"),
        ("count", [1.0, 2.0], [1.0, 1.5], "column 'a', row 1: expected a count"),
    ],
)
def test_what_was_not_seen_is_refused_or_missing(kind, train, test, said) -> None:
    codec = DataCodec.fit(read(pd.DataFrame({"a": train}), table_of({"a": kind})))
    new = read(pd.DataFrame({"a": test}), table_of({"a": kind}))
    with pytest.raises(ValueError, match=said):
        codec.encode(new)
    tensors = codec.encode(new, unseen="missing")
    assert tensors.present["t"].sum() == 1
    assert torch.isfinite(tensors.x["t"]).all()
    with pytest.raises(ValueError, match="'raise' or 'missing'"):
        codec.encode(new, unseen="ignore")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("number", ["1", "x"], "row 1: expected a number, got 'x'"),
        ("positive", [1.0, -1.0], "row 1: expected a positive number"),
        ("count", [1.0, 2.5], "row 1: expected a count"),
    ],
)
def test_training_values_must_be_of_their_kind(kind, values, said) -> None:
    with pytest.raises(ValueError, match=said):
        DataCodec.fit(read(pd.DataFrame({"a": values}), table_of({"a": kind})))


def test_levels_of_the_schema_are_kept_and_must_hold_the_data() -> None:
    frame = pd.DataFrame({"a": ["lo", "hi", "lo"]})
    given = table_of({"a": "ordinal"}, {"a": ("lo", "mid", "hi")})
    codec = DataCodec.fit(read(frame, given))
    assert codec.columns("t") == (Column("a", "ordinal", 3),)
    assert codec.encode(read(frame, given)).x["t"][:, 0].tolist() == [0, 2, 0]
    with pytest.raises(ValueError, match="row 1: the level 'hi'"):
        DataCodec.fit(read(frame, table_of({"a": "ordinal"}, {"a": ("lo", "mid")})))
    learned = DataCodec.fit(read(frame, table_of({"a": "category"})))
    assert learned.schema["t"].columns[0].levels == ("hi", "lo")


def test_only_training_rows_are_learned_from() -> None:
    data = from_arrays(
        {"v": np.array([[0.0], [2.0], [100.0]]), "t": ["a b c", "a", "zz"]}, kinds={"t": "text"}
    )
    codec = DataCodec.fit(data[:2])
    x = codec.encode(data).x
    assert x["v"][:, 0].tolist() == [-1.0, 1.0, 99.0]
    assert codec.vocabulary("t") == ("<pad>", "<start>", "<end>", "<unknown>", "a", "b", "c")
    assert x["t"].tolist() == [[4, 5, 6, 2], [4, 2, 0, 0], [3, 2, 0, 0]]


def test_texts_are_cut_at_the_schemas_length_and_said_in_lower_case() -> None:
    data = from_arrays({"t": ["A Long, long Text", None]}, kinds={"t": "text"})
    data = data.with_schema(data.schema.set("t", tokens=4))
    codec = DataCodec.fit(data)
    assert codec.length("t") == 4
    assert codec.shape("t") == (4,)
    assert codec.decode("t", codec.encode(data).x["t"]).tolist() == ["a long,", ""]
    assert codec.vocabulary_size("t") == 4 + 4
    long = from_arrays({"t": ["w " * 100]}, kinds={"t": "text"})
    assert DataCodec.fit(long).length("t") == 32


def test_punctuation_is_put_where_it_belongs() -> None:
    text = "it's a t-shirt (wide), dark: yes!"
    assert join_tokens(tokens_of(text)) == text


def test_new_data_are_read_by_the_fitted_schema() -> None:
    rng = np.random.default_rng(1)
    words = "red blue green dark light wide".split()
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "c": ["u", "v"] * (N // 2),
            "note": [" ".join(rng.choice(words, 4)) for _ in range(N)],
        }
    )
    codec = DataCodec.fit(read(frame))
    assert codec.kind("note") == "text"
    whole = codec.encode(read(frame))
    row = codec.encode(read(frame[3:4]))  # inferred alone, the note is a category
    assert torch.equal(row.x["note"], whole.x["note"][3:4])
    assert torch.equal(row.x["table"], whole.x["table"][3:4])
    less = codec.encode(read(frame[["c"]].assign(extra=1.5, other="z")))
    assert not less.present["table"][:, 0].any()
    assert less.present["table"][:, 1].all()
    assert not less.present["note"].any()
    assert less.x["note"].shape == whole.x["note"].shape
    only = codec.encode(read(frame)[["note"]])
    assert not only.present["table"].any()
    with pytest.raises(ValueError, match="none of the modalities"):
        codec.encode(read(frame[["a"]].rename(columns={"a": "zz"})))
    arrays = from_arrays({"c": ["u", "v"], "note": ["red", "blue"]}, kinds={"note": "text"})
    assert codec.encode(arrays).present["table"].tolist() == [[False, True]] * 2


def test_no_rows_are_encoded_but_not_learned_from() -> None:
    _, data = everything()
    codec = DataCodec.fit(data)
    assert len(codec.encode(data[:0])) == 0
    assert len(codec.decode("t", torch.zeros(0, 5))) == 0
    with pytest.raises(ValueError, match="no rows to learn from"):
        DataCodec.fit(data[:0])


def test_wrong_shapes_and_names_are_one_sentence() -> None:
    _, data = everything()
    codec = DataCodec.fit(data)
    with pytest.raises(ValueError, match=r"shape \(rows, 5\), got \(2, 4\)"):
        codec.decode("t", torch.zeros(2, 4))
    with pytest.raises(ValueError, match="no modality 'x'"):
        codec.decode("x", torch.zeros(2, 4))
    with pytest.raises(TypeError, match="of kind table"):
        codec.vocabulary("t")
    vectors = DataCodec.fit(
        from_arrays({"v": np.zeros((2, 3)), "i": np.zeros((2, 3, 3), np.uint8)})
    )
    with pytest.raises(ValueError, match="vectors of 3 numbers"):
        vectors.encode(from_arrays({"v": np.zeros((2, 4))}))
    with pytest.raises(ValueError, match="size"):
        vectors.encode(from_arrays({"i": np.zeros((2, 4, 4), np.uint8)}))


def all_kinds():
    frame, _ = everything()
    return from_arrays(
        {
            "type": frame,
            "v": RNG.normal(size=(N, 3)),
            "a.b": RNG.integers(0, 256, (N, 2, 2), dtype=np.uint8),
            "text": ["some words here", "other words"] * (N // 2),
        },
        kinds={"text": "text"},
    )


def test_a_codec_is_saved_and_loaded_without_a_difference() -> None:
    data = all_kinds()
    codec = DataCodec.fit(data)
    config, tensors = codec.to_config()
    again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
    assert again.schema == codec.schema
    one, other = codec.encode(data), again.encode(data)
    for name in codec.names:
        assert torch.equal(one.x[name], other.x[name])
        assert again.shape(name) == codec.shape(name)
    pd.testing.assert_frame_equal(
        again.decode("type", one.x["type"]), codec.decode("type", one.x["type"])
    )
    assert all(isinstance(t, torch.Tensor) for t in tensors.values())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c, t: c.update(format=2), "format 1"),
        (lambda c, t: c.update(schema=3), "codec, schema"),
        (lambda c, t: c["codecs"].pop(), "expected 4 codecs"),
        (lambda c, t: c.update(codecs="no"), "expected 4 codecs"),
        (lambda c, t: c["codecs"].__setitem__(0, 7), "'type'.*damaged"),
        (lambda c, t: c["codecs"][0]["columns"].pop(), "'type'.*damaged"),
        (lambda c, t: c["codecs"][0]["columns"][0].update(scale=0.0), "'type'.*scale"),
        (lambda c, t: c["codecs"][0]["columns"][0].update(loc="x"), "'type'.*must be numbers"),
        (lambda c, t: c["codecs"][0]["columns"][0].update(dtype="nope"), "'type'.*damaged"),
        (lambda c, t: c["codecs"][0]["columns"][0].update(more=1), "'type'.*damaged"),
        (lambda c, t: c["codecs"][0]["columns"][3].update(levels=None), "'type'.*levels"),
        (lambda c, t: t.pop("1.loc"), "'v'.*damaged"),
        (lambda c, t: t.update({"1.loc": torch.zeros(2)}), "'v'.*shape"),
        (lambda c, t: t.update({"1.scale": torch.zeros(3)}), "'v'.*above 0"),
        (lambda c, t: c["codecs"][1].update(dtype="object"), "'v'.*none of numbers"),
        (lambda c, t: c["codecs"][2].update(layout="x"), "'a.b'.*layout"),
        (lambda c, t: c["codecs"][2].update(size=[9, 9]), "'a.b'.*schema's"),
        (lambda c, t: c["codecs"][2].update(dtype="int64"), "'a.b'.*dtype"),
        (lambda c, t: c["codecs"][3].update(length=1), "'text'.*length"),
        (lambda c, t: c["codecs"][3].update(words=["a"]), "'text'.*begin"),
        (lambda c, t: c["codecs"][3].update(words=[1]), "'text'.*strings"),
    ],
)
def test_a_damaged_configuration_is_one_sentence(spoil, said) -> None:
    config, tensors = DataCodec.fit(all_kinds()).to_config()
    config, tensors = copy.deepcopy(config), dict(tensors)
    spoil(config, tensors)
    with pytest.raises(ValueError, match=said):
        DataCodec.from_config(config, tensors)


@pytest.mark.parametrize("kind", ["number", "positive", "vector"])
def test_what_was_constant_is_always_answered_with_its_constant(kind: str) -> None:
    values = np.full(30, 1.5e-5)
    arrays = {"a": np.tile(values[:, None], 2) if kind == "vector" else values}
    data = from_arrays(arrays, kinds={"a": kind})
    codec = DataCodec.fit(data)
    encoded = codec.encode(data).x["a"]
    assert float(encoded.abs().max()) < 1e-9
    wild = codec.decode("a", encoded + 3.7)
    said = np.asarray(wild["a"] if kind != "vector" else wild, dtype=float)
    np.testing.assert_allclose(said, 1.5e-5, rtol=1e-6)
    assert np.isnan(np.asarray(codec.decode("a", encoded * np.nan), dtype=float)).all()
