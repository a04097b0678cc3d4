"""PolyMNIST's files pair by name; what does not pair is refused by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polymodal.data import DataCodec
from polymodal.data.public import Labelled, polydigits, polymnist

KEYS = [(0, 3), (0, 7), (1, 3), (2, 7), (10, 3)]


def picture(m: int, i: int, digit: int) -> np.ndarray:
    """Pixels that say which file they are of."""
    return np.random.default_rng([m, i, digit]).integers(0, 256, (28, 28, 3), dtype=np.uint8)


def write(home: Path, count: int = 5, keys: list[tuple[int, int]] = KEYS) -> Path:
    for m in range(count):
        folder = home / f"m{m}"
        folder.mkdir(parents=True)
        # the order of writing is another in each folder
        for i, digit in keys[m % len(keys) :] + keys[: m % len(keys)]:
            Image.fromarray(picture(m, i, digit)).save(folder / f"{i}.{digit}.png")
    return home


@pytest.mark.parametrize("home", ["MMNIST/test", "test", "."])
def test_rows_are_in_the_order_of_numbers_and_pixels_are_exact(home: str, tmp_path: Path) -> None:
    write(tmp_path / home)
    got = polymnist(tmp_path, "test")
    assert got.data.names == ("m0", "m1", "m2", "m3", "m4")
    assert got.labels.tolist() == [3, 7, 3, 7, 3]
    assert got.labels.dtype == np.int64
    for m in range(5):
        want = np.stack([picture(m, i, d).transpose(2, 0, 1) for i, d in KEYS])
        assert got.data.values(f"m{m}").dtype == np.uint8
        np.testing.assert_array_equal(got.data.values(f"m{m}"), want)
    DataCodec.fit(got.data).encode(got.data)


def test_the_extended_set_has_ten_backgrounds_and_some_may_be_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "train", 11)
    assert polymnist(tmp_path).data.names == tuple(f"m{m}" for m in range(11))
    some = polymnist(tmp_path, modalities=3, n=2)
    assert some.data.names == ("m0", "m1", "m2")
    assert len(some) == 2
    with pytest.raises(FileNotFoundError, match="no folder m11"):
        polymnist(tmp_path, modalities=12)


def test_a_file_without_its_partners_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train")
    os.rename(tmp_path / "train/m3/1.3.png", tmp_path / "train/m3/1.4.png")
    with pytest.raises(ValueError, match=r"m0/1\.3\.png has no picture in m3"):
        polymnist(tmp_path)
    os.remove(tmp_path / "train/m3/1.4.png")
    with pytest.raises(ValueError, match=r"m0/1\.3\.png has no picture in m3"):
        polymnist(tmp_path)
    Image.fromarray(picture(3, 1, 3)).save(tmp_path / "train/m3/1.3.png")
    Image.fromarray(picture(3, 1, 3)).save(tmp_path / "train/m4/9.9.png")
    with pytest.raises(ValueError, match=r"m4/9\.9\.png has no picture in m0"):
        polymnist(tmp_path)


def test_strange_names_and_broken_pictures_are_named(tmp_path: Path) -> None:
    home = write(tmp_path / "train")
    shutil.copy(home / "m1/0.3.png", home / "m1/00.3.png")
    with pytest.raises(ValueError, match="have the same number"):
        polymnist(tmp_path)
    os.rename(home / "m1/00.3.png", home / "m1/copy.png")
    with pytest.raises(ValueError, match=r"copy\.png is named otherwise"):
        polymnist(tmp_path)
    os.remove(home / "m1/copy.png")
    (home / "m1/Thumbs.db").write_bytes(b"of no interest")
    assert len(polymnist(tmp_path)) == 5
    Image.fromarray(np.zeros((27, 28, 3), np.uint8)).save(home / "m2/2.7.png")
    with pytest.raises(ValueError, match=r"2\.7\.png: expected a picture of \(28, 28\)"):
        polymnist(tmp_path)
    (home / "m2/2.7.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"2\.7\.png: the picture can not be read"):
        polymnist(tmp_path)


def test_what_is_not_there_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"MMNIST/train/m0.*https://.*docs/datasets\.md"):
        polymnist(tmp_path)
    with pytest.raises(ValueError, match="split must be one of"):
        polymnist(tmp_path, "valid")  # type: ignore[arg-type]
    for n in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="n must be a whole number"):
            polymnist(tmp_path, n=n)  # type: ignore[arg-type]


def test_neither_the_hash_seed_nor_the_disk_decides_the_order(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", keys=KEYS[::-1])
    code = (
        "import sys, zlib\n"
        "from polymodal.data.public import polymnist\n"
        "got = polymnist(sys.argv[1])\n"
        "print(*[zlib.crc32(got.data.values(m).tobytes()) for m in got.data.names], got.labels)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / home)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for home, seed in (("a", "1"), ("b", "2"))
    }
    assert len(said) == 1


# One digit of one pixel a mask: digit k has the pixel (k, k).
def write_polydigits(path: Path, **change: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    bits = np.zeros((6, 28, 28), np.uint8)
    bits[range(6), range(6), range(6)] = 1
    held = {
        "masks": np.packbits(bits.reshape(6, -1), axis=1),
        "bg0": rng.integers(0, 256, (30, 40, 3), dtype=np.uint8),
        "bg1": rng.integers(0, 256, (28, 28, 3), dtype=np.uint8),
        "train_idx": np.array([[0, 1], [1, 0], [2, 3]], np.int32),
        "train_xy": np.array([[[12, 2], [0, 0]], [[5, 1], [0, 0]], [[0, 0], [0, 0]]], np.int16),
        "train_label": np.array([4, 4, 9], np.uint8),
        "test_idx": np.array([[4, 5]], np.int32),
        "test_xy": np.zeros((1, 2, 2), np.int16),
        "test_label": np.array([1], np.uint8),
    }
    held.update(change)
    np.savez(path, **held)
    return held


def test_polydigits_are_inverted_where_the_digit_is(tmp_path: Path) -> None:
    held = write_polydigits(tmp_path / "polydigits.npz")
    got = polydigits(tmp_path / "polydigits.npz")
    assert got.labels.tolist() == [4, 4, 9]
    for m in range(2):
        pictures = got.data.values(f"m{m}")
        for row in range(3):
            x, y = held["train_xy"][row, m]
            want = held[f"bg{m}"][y : y + 28, x : x + 28].transpose(2, 0, 1).copy()
            k = held["train_idx"][row, m]
            want[:, k, k] = 255 - want[:, k, k]
            np.testing.assert_array_equal(pictures[row], want)
    assert len(polydigits(tmp_path / "polydigits.npz", "test")) == 1
    assert polydigits(tmp_path / "polydigits.npz", n=2).labels.tolist() == [4, 4]


def test_polydigits_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "polydigits.npz"
    write_polydigits(path, train_label=np.array([4, 5, 9], np.uint8))
    with pytest.raises(
        ValueError, match=r"row 0: modality m1 shows the digit 5, the label says 4"
    ):
        polydigits(path)
    write_polydigits(path, train_xy=np.full((3, 2, 2), 3, np.int16))
    with pytest.raises(ValueError, match=r"modality m0, row 0: a crop at \(3, 3\) leaves"):
        polydigits(path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no arrays can be read"):
        polydigits(path)
    np.savez(path, masks=np.array([None]))
    with pytest.raises(ValueError, match="expected an array 'train_idx', got masks"):
        polydigits(path)
    with pytest.raises(FileNotFoundError, match="no file in"):
        polydigits(tmp_path / "other.npz")


def test_labels_go_with_the_rows_and_are_no_modality_unless_wanted(tmp_path: Path) -> None:
    write(tmp_path / "train")
    got = polymnist(tmp_path)
    assert "5 rows" in repr(got)
    for key in (slice(1, 4), [3, 0], np.array([True, False, True, False, False]), 2):
        some = got[key]
        want = np.atleast_1d(got.labels[key])
        assert some.labels.tolist() == want.tolist()
        assert len(some.data) == len(want)
    assert got[["m1"]].data.names == ("m1",)
    assert len(got[["m1"]].labels) == 5
    whole = got.with_labels()
    assert whole.names == (*got.data.names, "label")
    assert whole.values("label")["label"].tolist() == ["3", "7", "3", "7", "3"]
    codec = DataCodec.fit(whole)
    assert codec.encode(whole).x["label"].reshape(-1).tolist() == [3, 7, 3, 7, 3]
    with pytest.raises(ValueError, match="already"):
        got.with_labels("m0")
    with pytest.raises(ValueError, match="a label for each of the 5 rows, got 4"):
        Labelled(got.data, got.labels[:4], got.classes)
