"""Every line of the table of outcomes in ``polymodal.data.sources``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from polymodal.data import ColumnSpec, DataCodec, ModalitySpec, Schema, from_arrays, read

RNG = np.random.default_rng(0)


def frame_of(n_rows: int = 30) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "type": ["u", "v", "w"] * (n_rows // 3),
            "keys": RNG.normal(size=n_rows),
            "a.b": RNG.normal(size=n_rows),
            "a_b": RNG.normal(size=n_rows),
        },
        index=np.arange(n_rows) + 100,
    )


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet", ".pq"])
def test_files_give_what_the_frame_gives(suffix: str, tmp_path: Path) -> None:
    frame, path = frame_of().reset_index(drop=True), tmp_path / f"x{suffix}"
    if "csv" in suffix or suffix == ".tsv":
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    else:
        frame.to_parquet(path)
    data = read(path)
    assert data.schema == read(frame).schema
    pd.testing.assert_frame_equal(data.native(), frame, check_dtype=False)
    assert data.origin == path.name


def test_the_frame_is_given_back_with_index_and_order_and_never_changed() -> None:
    frame = frame_of()
    frame["id"] = [f"k{i}" for i in range(30)]
    frame = frame[["keys", "id", "type", "a_b", "a.b"]]
    before = frame.copy()
    data = read(frame)
    pd.testing.assert_frame_equal(data.native(), before)
    assert "id" in data.schema.ignored
    native = data.native()
    native.loc[:, "keys"] = 0.0
    data.hide(0.5, 0.5, seed=1)
    DataCodec.fit(data).encode(data)
    pd.testing.assert_frame_equal(frame, before)


def test_columns_that_are_numbers_are_read_by_their_text() -> None:
    frame = pd.DataFrame(RNG.normal(size=(5, 2)))
    data = read(frame)
    assert data.schema["table"].sources == ("0", "1")
    pd.testing.assert_frame_equal(data.native(), frame)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: pd.DataFrame({"a": []}), ValueError, "no rows"),
        (lambda: pd.DataFrame(index=range(3)), ValueError, "no columns"),
        (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "'a' stands twice"),
        (lambda: pd.DataFrame([[1, 2]], columns=[1, "1"]), ValueError, "'1' stands twice"),
        (lambda: pd.DataFrame({"a": [1.0, np.inf]}), ValueError, "column 'a', row 1: .*infinite"),
        (lambda: pd.DataFrame({"a": [None, None]}), ValueError, "no column can be used"),
        (lambda: {"a": [1]}, TypeError, "use from_arrays"),
        (lambda: pd.DataFrame({("a", "b"): [1]}), ValueError, "several levels"),
        (lambda: "nope.csv", FileNotFoundError, "no file 'nope.csv'"),
        (lambda: "data.xlsx", ValueError, r"'\.xlsx' are not read; expected one of \.csv"),
        (lambda: "data", ValueError, "without a suffix"),
    ],
)
def test_what_is_refused(make: object, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        read(make())


def test_infinite_values_among_objects_are_found() -> None:
    schema = Schema({"t": ModalitySpec("table", (ColumnSpec("a"),))})
    frame = pd.DataFrame({"a": pd.Series([1, 2.5, float("inf")], dtype=object)})
    with pytest.raises(ValueError, match="column 'a', row 2"):
        read(frame, schema)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b"", "it is empty|no columns"),
        ("x.csv", b"a,b\n1,2\n1,2,3,4\n", "can not be read as csv"),
        ("x.csv", b"a,b\n\xff\xfe,1\n", "can not be read as csv"),
        ("x.csv", b"a,a\n1,2\n", "'a' stands twice"),
        ("x.csv", b"a,b\n", "no rows"),
        ("x.csv.gz", b"no gzip", "can not be read as csv.gz"),
        ("x.parquet", b"PAR1 rubbish", "can not be read as parquet"),
        ("x.parquet", b"", "can not be read as parquet"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said) as fault:
        read(tmp_path / name)
    assert str(fault.value).startswith(name)


def test_a_single_row_and_a_row_with_nothing() -> None:
    one = read(pd.DataFrame({"a": [1.5], "b": ["x"]}))
    tensors = DataCodec.fit(one).encode(one)
    assert torch.isfinite(tensors.x["table"]).all()
    bare = read(pd.DataFrame({"a": [1.5, np.nan, 2.5], "b": ["x", None, "y"]}))
    assert bare.present("table").tolist() == [[True, True], [False, False], [True, True]]
    assert not DataCodec.fit(bare).encode(bare).present["table"][1].any()


def test_a_schema_is_followed_and_a_column_that_lacks_is_named(tmp_path: Path) -> None:
    frame = frame_of()
    schema = read(frame).schema.set("keys", modality="other")
    assert read(frame, schema).names == ("table", "other")
    schema.save(tmp_path / "s.yaml")
    assert read(frame, tmp_path / "s.yaml").names == ("table", "other")
    with pytest.raises(ValueError, match=r"column 'a\.b' that is not there.*Did you mean"):
        read(frame.rename(columns={"a.b": "a.c"}), schema)
    text = Schema({"t": ModalitySpec("text", column="tyqe")})
    with pytest.raises(ValueError, match=r"read from 'tyqe'.*Did you mean 'type'"):
        read(frame, text)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 8)) -> Image.Image:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_pictures_by_path_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    for i in range(3):
        picture(i).save(tmp_path / "img" / f"{i}.png")
    paths = ["img/0.png", "img/1.png", None, "img/2.png"]
    pd.DataFrame({"photo": paths, "y": [1.5, 2, 3, 4]}).to_csv(tmp_path / "x.csv", index=False)
    data = read(tmp_path / "x.csv")
    spec = data.schema["photo"]
    assert (spec.kind, spec.mode, spec.size) == ("image", "RGB", (8, 6))
    assert data.present("photo").tolist() == [True, True, False, True]
    codec = DataCodec.fit(data)
    x = codec.encode(data).x["photo"]
    expected = torch.from_numpy(np.asarray(picture(1)).copy()).permute(2, 0, 1) / 255
    assert torch.equal(x[1], expected)
    # what was filled in is a picture, what was there is still the path
    filled = data.values("photo").copy()
    filled[2] = codec.decode("photo", x[:1])[0]
    native = data.replace({"photo": filled}).native()["photo"]
    assert native[0] == "img/0.png"
    assert isinstance(native[2], Image.Image)


def test_pictures_as_bytes_pil_arrays_and_of_other_sizes_and_modes() -> None:
    grey16 = Image.fromarray(np.full((8, 6), 65535, np.uint16))
    cells = [png(picture(0)), png(picture(1, "L")), {"bytes": png(picture(2))}, png(grey16)]
    data = read(pd.DataFrame({"p": cells}))
    assert data.schema["p"].mode == "RGB"
    assert DataCodec.fit(data).encode(data).x["p"][3].min() == 1.0
    mixed = read(pd.DataFrame({"p": [picture(0), picture(1, size=(20, 30))]}))
    assert mixed.schema["p"].size == (64, 64)
    small = mixed.with_schema(mixed.schema.set("p", size=(5, 5), mode="L"))
    assert DataCodec.fit(small).encode(small).x["p"].shape == (2, 1, 5, 5)
    cells = [np.zeros((4, 4), np.uint8), np.full((4, 4), 7, np.uint8)]
    arrays = read(pd.DataFrame({"p": cells}))
    codec = DataCodec.fit(arrays)
    back = codec.decode("p", codec.encode(arrays).x["p"])
    assert isinstance(back[1], np.ndarray)
    assert (back[1] == 7).all()


def test_a_picture_that_does_not_open_is_named_with_its_row(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    content = png(picture(1, size=(60, 80)))
    (tmp_path / "2.png").write_bytes(content[: len(content) // 2])
    for broken, said in (("1.png", "no picture"), ("2.png", "damaged"), ("3.png", "no file")):
        pd.DataFrame({"p": ["0.png", broken]}).to_csv(tmp_path / "x.csv", index=False)
        with pytest.raises(ValueError, match=f"x.csv, 'p', row 1: .*{said}"):
            read(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="frame, 'p', row 1: 5 bytes that are no picture"):
        read(pd.DataFrame({"p": [png(picture(0)), b"wrong"]}))


GREY = np.zeros((4, 5, 5), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "options", "said"),
    [
        ({}, {}, "at least one modality"),
        ({"a": np.zeros((0, 3))}, {}, "no rows"),
        ({"a": np.zeros((4, 3)), "b": np.zeros((5, 3))}, {}, "same number of rows"),
        ({"a": 3.0}, {}, "a value a row"),
        ({"a": [[1.0], [1.0, 2.0]]}, {}, "differ in shape"),
        ({3: np.zeros(4)}, {}, "must be a string"),
        ({"a": np.array([[1.0, np.inf]] * 4)}, {}, "'a', row 0, value 1.*infinite"),
        ({"a": np.array([1.0, -np.inf])}, {}, "column 'a', row 1.*infinite"),
        ({"image": GREY}, {"kinds": {"imgae": "image"}}, "Did you mean 'image'"),
        ({"image": GREY}, {"kinds": {"image": "picture"}}, "got 'picture'"),
        ({"image": GREY}, {"kinds": {"image": "number"}}, "a value a row"),
        ({"image": GREY}, {"kinds": {"image": "vector"}}, r"\(rows, features\)"),
        ({"image": GREY}, {"kinds": {"image": "table"}}, "pandas frame"),
        ({"image": GREY}, {"present": {"x": np.ones(4, bool)}}, "no array 'x'"),
        ({"image": GREY}, {"present": {"image": np.ones(3, bool)}}, r"shape \(4,\)"),
        ({"image": GREY}, {"present": {"image": np.ones(4)}}, "truth values"),
        ({"image": GREY.astype(np.int64)}, {}, "must be uint8"),
        ({"image": GREY + 1.5}, {}, "row 0: pixels must be"),
        ({"image": np.zeros((4, 2, 5, 5))}, {}, "1 or 3 channels"),
        ({"image": np.zeros((4, 2, 5, 5, 5))}, {}, "5 axes"),
        ({"image": np.full((2, 2, 2), [[np.nan, 0], [0, 0]])}, {}, "row 0: .*NaN in some"),
        ({"a": np.zeros(4)}, {"kinds": {"a": "text"}}, "texts must be strings"),
        ({"a": ["x", 3]}, {"kinds": {"a": "text"}}, "row 1: expected a string, got 3"),
        ({"a": np.zeros((4, 0))}, {"kinds": {"a": "vector"}}, "features"),
        ({"a": pd.DataFrame({"x": [1, 2]})}, {"kinds": {"a": "text"}}, "a frame is a table"),
        ({"a": pd.DataFrame([[1, 2]], columns=["x", "x"])}, {}, "'x' stands twice"),
        ({"a": pd.DataFrame({"x": [{}, {}]})}, {}, "column 'x': values of type dict"),
        ({"a": pd.DataFrame({"x": [[1.0], [2.0]]})}, {}, "an array of its own"),
    ],
)
def test_arrays_that_are_refused(arrays: dict, options: dict, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        from_arrays(arrays, **options)


def test_presence_of_arrays_comes_from_masks_and_nan() -> None:
    vec = RNG.normal(size=(4, 3)).astype(np.float32)
    vec[0, 1] = np.nan
    image = np.zeros((4, 2, 2))
    image[2] = np.nan
    data = from_arrays(
        {
            "vec": vec,
            "image": image,
            "text": ["a b", None, "", "c"],
            "label": np.array([0, 1, 2, 1]),
        },
        present={
            "vec": torch.tensor([True, True, True, False]),
            "label": np.array([True, False, True, True]),
        },
        kinds={"text": "text"},
    )
    assert data.present("vec")[0].tolist() == [True, False, True]
    assert not data.present("vec")[3].any()
    assert data.present("image").tolist() == [True, True, False, True]
    assert data.present("text").tolist() == [True, False, True, True]
    assert data.present("label")[:, 0].tolist() == [True, False, True, True]
    assert data.schema["label"].columns[0].levels == (0, 1, 2)
    assert data.values("label")["label"].isna().tolist() == [False, True, False, False]
    assert data.native()["label"].dtype == np.int64


def test_a_mask_of_cells_for_a_frame() -> None:
    mask = np.array([[True, False], [True, True]])
    data = from_arrays(
        {"t": pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})}, present={"t": mask}
    )
    assert (data.present("t") == mask).all()


def test_a_modality_nobody_has_is_kept_and_absent_everywhere() -> None:
    nobody = np.zeros(5, bool)
    data = from_arrays(
        {
            "image": np.zeros((5, 3, 3), np.uint8),
            "vec": np.zeros((5, 2)),
            "label": np.zeros(5, np.int64),
            "text": [None] * 5,
            "x": np.arange(5.0),
        },
        present={"image": nobody, "vec": nobody, "label": nobody},
        kinds={"text": "text", "label": "category"},
    )
    codec = DataCodec.fit(data)
    tensors = codec.encode(data)
    for name in ("image", "vec", "label", "text"):
        assert not tensors.present[name].any()
        assert torch.isfinite(tensors.x[name].float()).all()
    assert codec.columns("label")[0].levels == 1
    assert codec.decode("label", tensors.x["label"])["label"].isna().all()


def test_names_of_any_kind_stay_apart() -> None:
    names = ("type", "keys", "a", "b", "a_b", "a.b", "forward")
    data = from_arrays({name: np.full((3, 2), float(i)) for i, name in enumerate(names)})
    codec = DataCodec.fit(data)
    config, tensors = codec.to_config()
    again = DataCodec.from_config(config, tensors)
    for i, name in enumerate(names):
        assert (again.decode(name, torch.zeros(1, 2)) == i).all()


def test_tensors_and_pil_images_are_taken() -> None:
    data = from_arrays(
        {"t": torch.zeros(2, 4), "p": [picture(0), None]}, kinds={"t": "vector", "p": "image"}
    )
    assert data.schema["p"].size == (8, 6)
    assert data.present("p").tolist() == [True, False]
    assert isinstance(data.native(), dict)


def test_a_column_belongs_to_one_modality() -> None:
    schema = Schema(
        {
            "a": ModalitySpec("table", (ColumnSpec("x"),)),
            "b": ModalitySpec("table", (ColumnSpec("y"), ColumnSpec("x"))),
        }
    )
    frame = pd.DataFrame({"x": [1.0, 2.5], "y": [0.5, 1.5]})
    with pytest.raises(ValueError, match="column 'x' is read by the modalities 'a' and 'b'"):
        read(frame, schema)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: from_arrays(3), r"takes a dictionary of arrays, .*, got int\.$"),
        (lambda: from_arrays(np.ones((3, 2))), "dictionary of arrays, .*, got ndarray"),
        (lambda: from_arrays([np.ones(3)]), "dictionary of arrays, .*, got list"),
        (lambda: from_arrays(frame_of()), "got DataFrame. For a frame or a file use read"),
        (lambda: from_arrays({"a": np.ones(3)}, np.ones(3, bool)), "present must be a dictionary"),
        (lambda: from_arrays({"a": np.ones(3)}, kinds="number"), "kinds must be a dictionary"),
    ],
)
def test_arrays_come_by_name(call: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,x\nJosé,1\n".encode("latin-1"), "not UTF-8 text: save it as UTF-8"),
        (b"a,b\n1,2\n1,2,3,4\n", r"line 3.*\. Mend that line: as many values as columns"),
        (b"", "it is empty.*The first line must name the columns"),
        (b"a,b\n", "no rows below the columns' names; give at least one"),
    ],
)
def test_a_file_that_can_not_be_read_comes_with_advice(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "x.csv")


def test_a_folder_and_an_empty_path_are_told_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    for path in (tmp_path, str(tmp_path), tmp_path / "x.csv"):
        with pytest.raises(ValueError, match="this is a folder; name a file in it"):
            read(path)
    with pytest.raises(ValueError, match="path of a file, got an empty one"):
        read("")


def test_a_name_that_is_empty_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"frame: the name of column 1 \(from 0\) must not be em"):
        read(pd.DataFrame({"a": [1.0, 2.0], "": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="an array's name must not be empty"):
        from_arrays({"": np.zeros(3)})
    with pytest.raises(ValueError, match="a modality's name must not be empty"):
        Schema({"": ModalitySpec("text", column="a")})
    with pytest.raises(ValueError, match="a column's name must not be empty"):
        ColumnSpec("")


def test_a_schema_without_a_modality_is_told_so() -> None:
    for call in (lambda s: read(frame_of(), s), lambda s: read(frame_of()).with_schema(s)):
        with pytest.raises(ValueError, match="frame: the schema names no modality; give one"):
            call(Schema({}))


def test_a_level_that_the_schema_lacks_is_no_matter_of_training() -> None:
    frame = pd.DataFrame({"c": ["u", "v", "w"] * 4, "x": RNG.normal(size=12)})
    data = read(frame, read(frame).schema.set("c", levels=["u", "v"]))
    with pytest.raises(
        ValueError,
        match=r"'c', row 2: the category 'w' is not among the levels that the schema.* Add it",
    ):
        DataCodec.fit(data)


@pytest.mark.parametrize("as_frame", [False, True])
def test_rows_with_nothing_of_a_schema_are_refused_by_its_columns(as_frame: bool) -> None:
    codec = DataCodec.fit(
        from_arrays(
            {"t": frame_of()[["keys", "a.b"]], "v": np.eye(30)[:, :3], "label": np.arange(30) % 3}
        )
    )
    strange = read(pd.DataFrame({"zzz": [1.0, 2.0]})) if as_frame else None
    strange = strange or from_arrays({"zzz": np.array([1.0, 2.0])})
    with pytest.raises(ValueError, match="none of the modalities is there") as fault:
        codec.encode(strange)
    said = str(fault.value)
    assert "'t' (read from 'keys', 'a.b')" in said
    assert "'v', 'label'" in said
    assert "The data have 'zzz'" in said
    only = codec.encode(from_arrays({"label": np.array([0, 1])}))
    assert not only.present["v"].any()
    assert only.present["label"].all()
