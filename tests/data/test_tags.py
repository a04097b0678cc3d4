"""Sets of tags: every form there and back, and every outcome."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.data import DataCodec, ModalitySpec, from_arrays, read
from polymodal.data.names import objects

SETS = [["red", "round"], ["round"], [], None, ["blue", "red"], ["red"]]


def codec_of(values: object, **settings: object) -> tuple[DataCodec, pm.MultimodalData]:
    data = from_arrays({"t": values}, kinds={"t": ModalitySpec("tags", column="t", **settings)})  # type: ignore[arg-type]
    return DataCodec.fit(data), data


def test_lists_become_zeros_and_ones_and_lists_again() -> None:
    codec, data = codec_of(SETS)
    assert codec.schema["t"].levels == ("red", "round", "blue")
    tensors = codec.encode(data)
    assert tensors.present["t"].tolist() == [True, True, True, False, True, True]
    assert tensors.x["t"].tolist() == [
        [1, 1, 0],
        [0, 1, 0],
        [0, 0, 0],
        [0, 0, 0],
        [1, 0, 1],
        [1, 0, 0],
    ]
    back = codec.decode("t", tensors.x["t"])
    # the order is the vocabulary's, whatever the row's was
    assert list(back) == [["red", "round"], ["round"], [], [], ["red", "blue"], ["red"]]


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["red;round", "round", "", None, "red; blue", "red;red"], ";"),
        (["red|round", "round", "", None, "blue|red", "red"], "|"),
    ],
)
def test_strings_come_back_as_strings(values: list, separator: str) -> None:
    codec, data = codec_of(values)
    assert codec.schema["t"].separator == separator
    assert codec.schema["t"].levels == ("red", "round", "blue")
    back = codec.decode("t", codec.encode(data).x["t"])
    assert list(back) == [
        one.replace("|", separator) for one in ("red|round", "round", "", "", "red|blue", "red")
    ]


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float32])
def test_arrays_keep_dtype_and_columns(dtype: type) -> None:
    values = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).astype(dtype)
    codec, data = codec_of(values, levels=("a", "b", "c"))
    back = codec.decode("t", codec.encode(data).x["t"])
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


def test_a_row_of_nan_is_absent() -> None:
    values = np.array([[0, 1.0], [np.nan, np.nan]])
    data = from_arrays({"t": values}, kinds={"t": "tags"})
    assert data.present("t").tolist() == [True, False]
    assert data.schema["t"].missing == 0.5


@pytest.mark.parametrize(
    ("values", "settings", "said"),
    [
        ([["a", 3]], {}, "row 0: a tag must be a string, got 3"),
        ([["a", None]], {}, "row 0: a tag must be a string, got None; .* or leave it out"),
        ([["a"], 3.5], {}, "row 1: expected a list of tags or a string, got 3.5"),
        (np.array([[0, 2.0]]), {}, "row 0, tag 1: expected 0 or 1, got 2.0"),
        (np.array([[0, np.inf]]), {}, "row 0, tag 1: expected 0 or 1, got inf"),
        (np.array([[0, np.nan]]), {}, "NaN everywhere"),
        (np.zeros(3), {}, "shape \\(rows, tags\\)"),
        (np.zeros((3, 2)), {"levels": ("a",)}, "names 1 tags, the array has 2 columns"),
        (
            [["a"], ["c"]],
            {"levels": ("a",), "unseen": "refuse"},
            "row 1: the tag 'c' is not known",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(values: object, settings: dict, said: str) -> None:
    def make() -> None:
        codec, data = codec_of(values, **settings)
        codec.encode(data)

    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"levels": ["a", "a"]}, "'a' is listed twice"),
        ({"levels": ["a", 1]}, "a tag must be a string"),
        ({"separator": ""}, "separator must be a string"),
        ({"min_count": 0}, "min_count must be a whole number"),
        ({"unseen": "ignore"}, "unseen must be one of drop, refuse"),
        ({"rate": 8000}, "`rate` belongs to kind audio, not to tags"),
        ({"size": (2, 3)}, "`size` belongs"),
    ],
)
def test_a_wrong_schema_is_one_sentence(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModalitySpec("tags", column="t", **settings)


def test_unseen_tags_are_dropped_with_a_warning_and_rare_ones_without() -> None:
    codec, _ = codec_of([["a", "x"], ["a", "b"], ["b"]], min_count=2)
    assert codec.schema["t"].levels == ("a", "b")
    new = from_arrays({"t": [["a", "new"], ["x"]]})
    with pytest.warns(UserWarning, match="left out: 'new'"):
        assert codec.encode(new).x["t"].tolist() == [[1, 0], [0, 0]]
    assert codec.encode(new, unseen="missing").x["t"].tolist() == [[1, 0], [0, 0]]


def test_probabilities_are_decoded_to_the_likely_tags() -> None:
    codec, _ = codec_of([["a", "b"], ["a"], ["c", "b", "a"]])
    said = codec.decode("t", torch.tensor([[0.6, 0.5, 0.1], [0.1, 0.3, 0.2]]))
    # no training row was empty, so none is said to be
    assert list(said) == [["a", "b"], ["b"]]


@pytest.mark.parametrize("values", [[["a"]], [["a", "b"], None], [None, None], [[], []]])
def test_few_rows_constant_tags_and_nothing_at_all(values: list) -> None:
    data = from_arrays({"t": values, "w": np.arange(len(values))}, kinds={"t": "tags"})
    codec = DataCodec.fit(data)
    back = codec.decode("t", codec.encode(data).x["t"])
    known = data.present("t")
    assert [back[i] for i in np.flatnonzero(known)] == [one for one in values if one is not None]


def test_the_codec_is_the_same_from_its_configuration() -> None:
    for values in (SETS, ["a;b", "b", None], np.eye(3)):
        codec, data = codec_of(values)
        config, tensors = codec.to_config()
        again = DataCodec.from_config(json.loads(json.dumps(config)), tensors)
        assert again == codec
        assert torch.equal(again.encode(data).x["t"], codec.encode(data).x["t"])
        config["codecs"][0]["words"] = ["other"]
        with pytest.raises(ValueError, match="damaged"):
            DataCodec.from_config(config, tensors)


def test_the_schema_is_printed_and_written(tmp_path) -> None:
    codec, data = codec_of(SETS)
    assert "3 tags" in str(codec.schema)
    codec.schema.save(tmp_path / "s.yaml")
    assert pm.Schema.load(tmp_path / "s.yaml") == codec.schema
    changed = data.schema.set("t", levels=["round", "red"], unseen="drop")
    assert changed["t"].levels == ("round", "red")


def test_parquet_and_csv_hold_tags(tmp_path) -> None:
    frame = pd.DataFrame({"t": objects([["a", "b"], ["b"], None] * 9), "w": range(27)})
    frame.to_parquet(tmp_path / "a.parquet")
    joined = frame["t"].map(lambda one: None if one is None else "|".join(one))
    pd.DataFrame({"t": joined, "w": range(27)}).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.csv"):
        data = read(tmp_path / name)
        assert data.schema["t"].kind == "tags"
        assert data.values("t")[:3].tolist() == [("a", "b"), ("b",), None]


@pytest.mark.parametrize("write", [str, tuple, set, np.array, json.dumps])
def test_sets_that_pandas_wrote_as_text_are_sets(write, tmp_path) -> None:
    sets = [["red", "étoile"], ["it's", "red"], [], None] * 9
    sets = [one if write is json.dumps or one or one is None else ["red"] for one in sets]
    column = objects([one if one is None else write(one) for one in sets])
    pd.DataFrame({"t": column}).to_csv(tmp_path / "a.csv", index=False)
    for schema in (None, pm.Schema({"t": ModalitySpec("tags", column="t")})):
        data = read(tmp_path / "a.csv", schema)
        assert (data.schema["t"].kind, data.schema["t"].separator) == ("tags", None)
        for got, one in zip(data.values("t"), sets, strict=True):
            assert (got is None and one is None) or sorted(got) == sorted(one)


def test_what_begins_like_a_list_is_one_only_among_lists() -> None:
    joined = from_arrays({"t": ["[live]|rock", "[live]"]}, kinds={"t": "tags"})
    assert joined.values("t").tolist() == [("[live]", "rock"), ("[live]",)]
    for cells in (["['a', 'b']", "['a', b]"], ["[a, b]", "[b, a]"]):
        frame = pd.DataFrame({"t": cells})
        with pytest.raises(ValueError, match=r"expected a list of tags, got .*got [ab]"):
            read(frame, pm.Schema({"t": ModalitySpec("tags", column="t")}))


def column_of(form: str) -> np.ndarray:
    """The same sets with a hole in the first row, in one of the forms that columns have."""
    made = {"lists": list, "arrays": np.array, "written": json.dumps}
    joined = {"bars": "|", "semicolons": ";"}
    write = made.get(form) or joined[form].join
    return objects([None, *(write(one) for one in [["a", "b"], ["b"], ["a", "b"], ["b"]] * 3)])


FILLED = {
    "lists": ["b", "a"],
    "arrays": ["b", "a"],
    "written": '["b", "a"]',
    "bars": "b|a",
    "semicolons": "b;a",
}


@pytest.mark.parametrize("trained", FILLED)
@pytest.mark.parametrize("form", FILLED)
def test_filled_tags_have_the_form_of_their_column(trained: str, form: str) -> None:
    codec = DataCodec.fit(read(pd.DataFrame({"t": column_of(trained)})))
    column = column_of(form)
    made = codec.decode("t", torch.ones(1, 2))
    in_frame = read(pd.DataFrame({"t": column}))
    in_arrays = from_arrays({"t": column}, kinds={"t": "tags"})
    for data in (in_frame, in_arrays):
        merged = data.values("t").copy()
        merged[0] = made[0]
        cells = objects(data.replace({"t": merged}).native()["t"])
        assert cells[0] == FILLED[form]
        assert list(map(str, cells[1:])) == list(map(str, column[1:]))
        assert objects(data.formed("t", made))[0] == FILLED[form]


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("red, big", ("red", "big")),
        ("red; big", ("red", "big")),
        (" red ", ("red",)),
        ("green, dark", ("green, dark",)),
        ("green, dark|red", ("green, dark", "red")),
        ("red|wine", ("red|wine",)),
        ("blue, red", ("blue", "red")),
        ("blue, pink", ("blue", "pink")),
        ("blue", ("blue",)),
        ("", ()),
    ],
)
@pytest.mark.parametrize("other", ["big", "red|big", "red;big", "red,big"])
def test_a_joined_string_means_the_same_whatever_stands_beside_it(
    cell: str, wanted: tuple, other: str
) -> None:
    codec, _ = codec_of([["red", "big"], ["green, dark"], ["red|wine"]])
    data = from_arrays({"t": [cell, other]}, kinds={"t": "tags"}).read_as(codec.schema)
    assert data.values("t")[0] == wanted


def test_blanks_around_a_tag_are_none_of_it_in_lists_and_strings() -> None:
    codec, data = codec_of([["a", " b", "b ", ""], ["a"]])
    assert codec.schema["t"].levels == ("a", "b")
    assert data.values("t")[0] == ("a", "b")
    assert codec_of(["a; b;b ;"])[1].values("t")[0] == ("a", "b")
    codec, data = codec_of([["b "], ["a"]], levels=(" b", "a"))
    assert codec.encode(data).x["t"].tolist() == [[1, 0], [0, 1]]
