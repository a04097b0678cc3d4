"""What a column is taken for, by its values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polymodal.data import from_arrays, read

RNG = np.random.default_rng(0)
N = 60


def kind_of(values: object, index: object = None) -> str:
    """The kind of a lone column beside a plain one, or `left out`."""
    frame = pd.DataFrame({"x": np.linspace(-1, 1, N), "y": values})
    schema = read(frame).schema
    if "y" in schema.ignored:
        return "left out"
    if "y" in schema:
        return schema["y"].kind
    return next(c.kind for c in schema["table"].columns if c.name == "y")


WORDS = "one two three four five six seven".split()
SENTENCES = [" ".join(RNG.choice(WORDS, 5)) for _ in range(N)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.normal(size=N), "number"),
        (np.exp(RNG.normal(size=N) * 2), "positive"),
        (RNG.uniform(1, 2, N), "number"),
        (RNG.geometric(0.03, N), "count"),
        (3000 + RNG.integers(0, 2000, N), "number"),  # whole grams are no counts
        (np.array([180 + (i % 30) for i in range(N)]), "number"),  # less spread than a count
        (RNG.integers(0, 2, N), "category"),
        (RNG.integers(1, 6, N), "ordinal"),
        (RNG.integers(-5, 0, N), "ordinal"),
        (RNG.integers(-1000, 1000, N), "number"),
        (np.full(N, 7), "number"),
        (np.full(N, 0.5), "number"),
        (np.full(N, "same"), "category"),
        (np.arange(N), "left out"),
        (RNG.permutation(N) + 1000, "left out"),
        (np.arange(N) % 2 == 0, "category"),
        (["a", "b", "c"] * 20, "category"),
        ([None, "b", "c"] * 20, "category"),
        ([True, None, False] * 20, "category"),
        ([f"key-{i}" for i in range(N)], "left out"),
        ([None] * N, "left out"),
        ([np.nan] * N, "left out"),
        (SENTENCES, "text"),
        (["a b c d", "e f g h"] * 30, "category"),
        (pd.Categorical(["lo", "hi"] * 30, ["lo", "hi"], ordered=True), "ordinal"),
        (pd.Categorical(["lo", "hi"] * 30), "category"),
        (pd.date_range("2020-01-01", periods=N), "number"),
        (pd.array([1, 2, None] * 20, dtype="Int64"), "category"),
        (pd.array(RNG.integers(1, 5, N), dtype="Int64"), "ordinal"),
        (pd.array([True, None, False] * 20, dtype="boolean"), "category"),
        (pd.array(SENTENCES, dtype="string"), "text"),
        ([1.0, 2.0, np.nan] * 20, "category"),
        (["1", 2, None] * 20, "category"),
        ([[1.0, 2.0]] * N, "vector"),
        ([np.zeros(3), None] * 30, "vector"),
        ([[1.0], [1.0, 2.0]] * 30, "series"),
        ([[[1, 2], [3, 4]]] * N, "series"),
        ([np.zeros((2, 5)), None] * 30, "series"),
        ([[[1], [2, 3]]] * N, "left out"),
        ([["a"], ["b"]] * 30, "tags"),
        ([["a"], [], None] * 20, "tags"),
        ([{"a", "b"}, {"b"}] * 30, "tags"),
        (["a|b", "b", "c|a"] * 20, "tags"),
        ([[]] * N, "left out"),
        ([{"a": 1}] * N, "left out"),
        ([b"no picture"] * N, "left out"),
        ([f"img/{i}.png" for i in range(N)], "left out"),  # names of files that do not exist
        ([Image.new("RGB", (4, 4))] * N, "image"),
        ([np.zeros((4, 4), np.uint8), None] * 30, "image"),
    ],
)
def test_kind_of_a_column(values: object, kind: str) -> None:
    assert kind_of(values) == kind


def test_levels_are_sorted_and_keep_their_type() -> None:
    frame = pd.DataFrame({"a": ["z", "a", None] * 4, "b": [3, 1, 2] * 4, "c": [True, False] * 6})
    levels = {c.name: c.levels for c in read(frame).schema["table"].columns}
    assert levels == {"a": ("a", "z"), "b": (1, 2, 3), "c": (False, True)}


def test_a_text_column_named_table_leaves_the_table_another_name() -> None:
    frame = pd.DataFrame({"table": SENTENCES, "x": RNG.normal(size=N)})
    assert read(frame).schema.names == ("table_", "table")


def test_the_schema_knows_the_share_that_is_missing() -> None:
    data = read(pd.DataFrame({"x": [1.5, np.nan, 2.5, np.nan], "y": [1.0, 2, 3, 4.5]}))
    assert [c.missing for c in data.schema["table"].columns] == [0.5, 0.0]
    assert [c.missing for c in data[:1].schema["table"].columns] == [0.0, 0.0]
    assert "50.0 %" in str(data.schema)


def test_arrays_are_recognised_by_shape_and_type() -> None:
    data = from_arrays(
        {
            "grey": np.zeros((30, 5, 4), np.uint8),
            "chw": np.zeros((30, 3, 5, 4), np.float32),
            "hwc": np.zeros((30, 5, 4, 3), np.uint8),
            "vec": RNG.normal(size=(30, 7)),
            "label": np.arange(30) % 10,
            "words": SENTENCES[:30],
            "cat": ["a", "b", "c"] * 10,
            "num": RNG.normal(size=30),
            "frame": pd.DataFrame({"a": RNG.normal(size=30), "b": ["u", "v"] * 15}),
        }
    )
    kinds = {n: s.kind for n, s in data.schema.modalities.items()}
    assert kinds == {
        "grey": "image",
        "chw": "image",
        "hwc": "image",
        "vec": "vector",
        "label": "table",
        "words": "text",
        "cat": "table",
        "num": "table",
        "frame": "table",
    }
    assert data.schema["chw"].mode == "RGB"
    assert data.schema["hwc"].size == (5, 4)
    assert data.schema["label"].columns[0].kind == "category"
    assert data.schema["label"].columns[0].levels == tuple(range(10))
    assert data.schema["num"].columns[0].kind == "number"
