"""Birds with captions, faces with attributes, photographs with tags: tiny files of each form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polymodal.data import DataCodec
from polymodal.data.public import celeba, cub, flickr_tags
from polymodal.data.public.celeba import EIGHTEEN


def paint(path: Path, colour: int, size: tuple[int, int] = (20, 16)) -> None:
    """A picture of one grey, which JPEG keeps to within a level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour,) * 3).save(path, quality=95)


def greys(values: np.ndarray) -> list[int]:
    """The grey of each picture, all of whose pixels must have it."""
    assert values.dtype == np.uint8
    flat = values.reshape(len(values), -1).astype(int)
    assert (np.ptp(flat, axis=1) <= 2).all()
    return [round(one / 20) * 20 for one in flat.mean(1)]


CLASSES = ["001.Albatross", "002.Auklet", "010.Blackbird"]
BIRDS = [(0, "a_1", 20), (0, "a_2", 40), (1, "b_1", 60), (2, "c_1", 80), (2, "c_10", 100)]


def said(stem: str, number: int) -> str:
    return f"this bird {stem} has {number} wings."


def write_cub(root: Path, home: str = "", text: str = "text") -> Path:
    for place, stem, grey in reversed(BIRDS):
        paint(root / home / "images" / CLASSES[place] / f"{stem}.jpg", grey)
        path = root / text / CLASSES[place] / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(said(stem, k) for k in range(10)) + "\n\n", encoding="utf-8")
    (root / "trainvalclasses.txt").write_text(f"{CLASSES[2]}\n{CLASSES[0]}\n")
    (root / "testclasses.txt").write_text(f"{CLASSES[1]}\n")
    return root


@pytest.mark.parametrize(
    ("home", "text"), [("", "text"), ("CUB_200_2011", "text_c10"), ("", "cvpr2016_cub/text_c10")]
)
def test_birds_come_with_their_captions(home: str, text: str, tmp_path: Path) -> None:
    write_cub(tmp_path, home, text)
    got = cub(tmp_path, size=8)
    assert got.classes == tuple(CLASSES)
    assert got.labels.tolist() == [0, 0, 2, 2]
    assert greys(got.data.values("image")) == [20, 40, 80, 100]
    assert got.data.values("image").shape == (4, 3, 8, 8)
    assert list(got.data.values("caption")) == [said(s, 0) for s in ("a_1", "a_2", "c_1", "c_10")]
    test = cub(tmp_path, "test", captions="all", size=8)
    assert test.labels.tolist() == [1] * 10
    assert list(test.data.values("caption")) == [said("b_1", k) for k in range(10)]
    assert greys(test.data.values("image")) == [60] * 10
    assert cub(tmp_path, size=8, n=2).labels.tolist() == [0, 2]
    DataCodec.fit(got.data).encode(got.data)


def test_birds_stand_by_the_numbers_in_their_names(tmp_path: Path) -> None:
    write_cub(tmp_path)
    paint(tmp_path / "images" / CLASSES[2] / "c_2.jpg", 120)
    text = tmp_path / "text" / CLASSES[2] / "c_2.txt"
    text.write_text("\n".join(said("c_2", k) for k in range(10)), encoding="utf-8")
    got = cub(tmp_path, size=8)
    assert greys(got.data.values("image")) == [20, 40, 80, 120, 100]
    assert list(got.data.values("caption"))[2:] == [said(s, 0) for s in ("c_1", "c_2", "c_10")]


def test_birds_without_captions_and_captions_without_birds_are_named(tmp_path: Path) -> None:
    write_cub(tmp_path)
    short = tmp_path / "text" / CLASSES[2] / "c_1.txt"
    short.write_bytes(b"only one with \xef\xbf\xbd\xff a fault\n")
    with pytest.raises(ValueError, match=r"c_1\.txt: expected 10 captions .* got 1"):
        cub(tmp_path)
    got = cub(tmp_path, per_picture=None, size=8)
    assert got.data.values("caption")[2] == "only one with   a fault"
    short.write_text("\n")
    with pytest.raises(ValueError, match=r"c_1\.txt: expected some captions .* got 0"):
        cub(tmp_path, per_picture=None)
    short.unlink()
    with pytest.raises(ValueError, match=r"c_1\.jpg has no file of captions"):
        cub(tmp_path)
    (tmp_path / "images" / CLASSES[2] / "c_1.jpg").rename(tmp_path / "c_1.jpg")
    (short.parent / "lone.txt").write_text("x")
    with pytest.raises(ValueError, match=r"lone\.txt has no picture"):
        cub(tmp_path)
    (short.parent / "lone.txt").unlink()
    (tmp_path / "trainvalclasses.txt").write_text("003.Wren\n")
    with pytest.raises(ValueError, match=r"there is no folder '.*003\.Wren'"):
        cub(tmp_path)
    with pytest.raises(FileNotFoundError, match="caltech"):
        cub(tmp_path / "none")


def write_cub_archive(home: Path) -> dict[str, list[str]]:
    """The form with one file of captions a part; returns the lines of each."""
    root = home / "cub"
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for place, stem, grey in BIRDS:
        part = "test" if place == 1 else "train"
        paint(root / part / CLASSES[place] / f"{stem}.jpg", grey)
        lines[part] += [said(stem, k) for k in range(10)]
    for part, name in (("train", "trainval"), ("test", "test")):
        (root / f"text_{name}classes.txt").write_text("\n".join(lines[part]))
    return lines


def test_birds_of_the_other_archive_pair_by_order(tmp_path: Path) -> None:
    root, lines = tmp_path / "cub", write_cub_archive(tmp_path)
    got = cub(tmp_path, captions="all", size=8)
    assert list(got.data.values("caption")) == lines["train"]
    assert greys(got.data.values("image")) == [g for g in (20, 40, 80, 100) for _ in range(10)]
    assert got.labels.tolist() == [0] * 20 + [2] * 20
    assert cub(tmp_path, "test", size=8).labels.tolist() == [1]
    (root / "text_testclasses.txt").write_text("\n".join(lines["test"][:-1]))
    with pytest.raises(ValueError, match=r"10 captions for each of the 1 pictures.* got 9 in all"):
        cub(tmp_path, "test")
    with pytest.raises(ValueError, match="per_picture must be said"):
        cub(tmp_path, per_picture=None)


FACES = {
    "000001.jpg": (20, 0, "Bald Wearing_Hat"),
    "000002.jpg": (40, 1, ""),
    "000003.jpg": (60, 0, "Young"),
    "000010.jpg": (80, 2, "Young Bald"),
}
NAMES = [*EIGHTEEN, "Young"]


def write_celeba(root: Path, csv: bool = False) -> Path:
    comma = "," if csv else " "
    attributes = [comma.join(["image_id", *NAMES] if csv else NAMES)]
    parts = ["image_id,partition"] if csv else []
    for name, (grey, part, held) in FACES.items():
        paint(root / "img_align_celeba" / name, grey, (178, 218))
        marks = ["1" if one in held.split() else "-1" for one in NAMES]
        attributes.append((comma if csv else "  ").join([name, *marks]))
        parts.append(f"{name}{comma}{part}")
    if not csv:
        attributes.insert(0, str(len(FACES)))
    end = "csv" if csv else "txt"
    (root / f"list_attr_celeba.{end}").write_text("\n".join(attributes) + "\n")
    (root / f"list_eval_partition.{end}").write_text("\n".join(parts) + "\n")
    return root


@pytest.mark.parametrize("csv", [False, True])
def test_faces_come_with_their_attributes(csv: bool, tmp_path: Path) -> None:
    write_celeba(tmp_path, csv)
    got = celeba(tmp_path, size=16)
    assert greys(got.data.values("image")) == [20, 60]
    assert got.data.values("image").shape == (2, 3, 16, 16)
    assert got.classes == tuple(NAMES)
    assert [np.flatnonzero(row).tolist() for row in got.labels] == [[0, 17], [18]]
    table = got.data.values("attributes")
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == NAMES
    assert (table.to_numpy() == got.labels).all()
    assert [len(celeba(tmp_path, part, size=16)) for part in ("valid", "test", None)] == [1, 1, 4]
    whole = got.with_labels("seen")
    assert (whole.values("seen").to_numpy() == got.labels).all()
    codec = DataCodec.fit(whole)
    codec.decode("attributes", codec.encode(whole).x["attributes"])


def test_attributes_in_other_forms(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    words = celeba(tmp_path, None, form="text", size=8).data.values("attributes")
    assert list(words) == ["bald, wearing hat", "", "young", "bald, young"]
    tags = celeba(tmp_path, None, form="tags", attributes="eighteen", size=8)
    assert tags.data.schema["attributes"].kind == "tags"
    assert tags.data.present("attributes").all()
    assert list(tags.data.values("attributes")) == [("bald", "wearing hat"), (), (), ("bald",)]
    assert tags.labels.shape == (4, 19)
    two = celeba(tmp_path, attributes=["Young", "Bald"], size=8, n=1)
    assert two.data.values("attributes").to_numpy().tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="Did you mean 'Young'"):
        celeba(tmp_path, attributes="Yong")


def test_the_middle_square_is_kept(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    # white outside of the middle 148 x 148: left 15, top 35
    frame = np.full((218, 178, 3), 255, np.uint8)
    frame[35:183, 15:163] = 60
    Image.fromarray(frame).save(tmp_path / "img_align_celeba/000003.jpg", quality=100)
    kept = celeba(tmp_path, size=148).data.values("image")[1].astype(int)
    assert np.abs(kept[:, 8:-8, 8:-8] - 60).max() <= 2
    wider = celeba(tmp_path, crop=178, size=178).data.values("image")[1]
    assert wider[:, :10].min() > 240
    with pytest.raises(ValueError, match=r"a crop of 179 pixels does not fit .*\(178, 218\)"):
        celeba(tmp_path, crop=179)


def test_faces_and_lists_that_do_not_pair_are_named(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    attributes, parts = tmp_path / "list_attr_celeba.txt", tmp_path / "list_eval_partition.txt"
    good = attributes.read_text()
    for text, match in (
        (good.replace("000010", "000011"), r"000010\.jpg has no row of attributes"),
        (good.replace("4\n", "5\n", 1), "says 5 pictures, 4 follow"),
        (good.replace("000002.jpg", "000001.jpg"), r"000001\.jpg stands twice"),
        (good.replace("000003.jpg  -1", "000003.jpg"), r"19 values 1 or -1 for 000003\.jpg"),
        ("", "got none"),
    ):
        attributes.write_text(text)
        with pytest.raises(ValueError, match=match):
            celeba(tmp_path)
    attributes.write_text(good)
    listed = parts.read_text()
    parts.write_text(listed.replace("000001.jpg 0", "000001.jpg 3"))
    with pytest.raises(ValueError, match=r"expected a picture and 0, 1 or 2, got '000001\.jpg 3'"):
        celeba(tmp_path)
    parts.write_text(listed + "000011.jpg 0\n")
    with pytest.raises(ValueError, match=r"000011\.jpg has no picture"):
        celeba(tmp_path)
    parts.unlink()
    with pytest.raises(FileNotFoundError, match=r"list_eval_partition\.txt.*mmlab"):
        celeba(tmp_path)


PHOTOGRAPHS = {1: (20, ["sky", "sea", "sky"]), 2: (40, []), 10: (60, ["cat"]), 9: (80, ["über"])}
SHOWS = {"animals": [10], "sky": [1, 9], "sky_r1": [9]}


def write_flickr(root: Path, inside: bool = False) -> Path:
    home = root / "mirflickr"
    notes = (home if inside else root) / "mirflickr25k_annotations_v080"
    (home / "meta/tags").mkdir(parents=True)
    notes.mkdir()
    for number, (grey, tags) in PHOTOGRAPHS.items():
        paint(home / f"im{number}.jpg", grey, (30, 20))
        text = "".join(f"{tag}\r\n" for tag in tags)
        (home / f"meta/tags/tags{number}.txt").write_bytes(text.encode())
    for label, numbers in SHOWS.items():
        (notes / f"{label}.txt").write_text("".join(f"{one}\n" for one in numbers))
    (notes / "README.txt").write_text("Annotations of the photographs.")
    return root


@pytest.mark.parametrize("inside", [False, True])
def test_photographs_come_with_tags(inside: bool, tmp_path: Path) -> None:
    write_flickr(tmp_path, inside)
    got = flickr_tags(tmp_path, size=8)
    assert greys(got.data.values("image")) == [20, 40, 80, 60]
    assert list(got.data.values("tags")) == [("sky", "sea"), (), ("über",), ("cat",)]
    assert got.classes == ("animals", "sky", "sky_r1")
    assert [np.flatnonzero(row).tolist() for row in got.labels] == [[1], [], [1, 2], [0]]
    some = flickr_tags(tmp_path, size=8, n=3)
    assert (some.labels == got.labels[:3]).all()
    DataCodec.fit(got.data).encode(got.data)


def test_photographs_that_do_not_pair_are_named(tmp_path: Path) -> None:
    write_flickr(tmp_path)
    home = tmp_path / "mirflickr"
    notes = tmp_path / "mirflickr25k_annotations_v080/animals.txt"
    notes.write_text("10\n11\n")
    with pytest.raises(ValueError, match=r"animals\.txt: it names '11'"):
        flickr_tags(tmp_path)
    (home / "meta/tags/tags9.txt").unlink()
    with pytest.raises(ValueError, match=r"im9\.jpg has no file of tags"):
        flickr_tags(tmp_path)
    (home / "im9.jpg").unlink()
    (home / "meta/tags/tags11.txt").write_text("x")
    with pytest.raises(ValueError, match=r"tags11\.txt has no photograph"):
        flickr_tags(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"folder of tags.*press\.liacs\.nl"):
        flickr_tags(tmp_path / "mirflickr/meta")
