"""MNIST beside SVHN, hand signs and speech: pairs show one digit, or the files are refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from polymodal.data import DataCodec
from polymodal.data.public import ALPHABET, mnist_handsign, mnist_speech, mnist_svhn
from polymodal.data.public.class_pairs import pair_by_class
from polymodal.data.public.mnist_svhn import WORDS, digit_texts

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 0, 9, 1, 0, 9], np.uint8)
NUMBERS = np.array([9, 0, 1, 1, 0, 9, 9, 1], np.uint8)
IMAGES = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)
HOUSES = RNG.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def write(folder: Path, start: str = "train", packed: bool = False, raw: str = "") -> Path:
    (folder / raw).mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", LABELS)):
        held = idx(array)
        path = folder / raw / f"{start}-{name}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(held) if packed else held)
    numbers = np.where(NUMBERS == 0, 10, NUMBERS).astype(np.uint8)[:, None]
    part = "train" if start == "train" else "test"
    savemat(folder / f"{part}_32x32.mat", {"X": HOUSES.transpose(1, 2, 3, 0), "y": numbers})
    return folder


@pytest.mark.parametrize(
    ("start", "packed", "raw"), [("train", False, ""), ("t10k", True, "MNIST/raw")]
)
def test_every_pair_shows_one_digit(start: str, packed: bool, raw: str, tmp_path: Path) -> None:
    write(tmp_path, start, packed, raw)
    got = mnist_svhn(tmp_path, "train" if start == "train" else "test", multiply=3)
    # per class min(count, count): 0 has 2, 1 has 2, 9 has 2
    assert got.labels.tolist() == [0] * 6 + [1] * 6 + [9] * 6
    left = [
        int(np.flatnonzero((IMAGES == one).all((1, 2)))[0]) for one in got.data.values("mnist")
    ]
    pixels = HOUSES.transpose(0, 3, 1, 2)
    right = [
        int(np.flatnonzero((pixels == one).all((1, 2, 3)))[0]) for one in got.data.values("svhn")
    ]
    assert (LABELS[left] == got.labels).all()
    assert (NUMBERS[right] == got.labels).all()
    # each permutation uses the first two of a class once
    for begin in range(0, 18, 2):
        label = got.labels[begin]
        assert sorted(left[begin : begin + 2]) == np.flatnonzero(LABELS == label)[:2].tolist()
        assert sorted(right[begin : begin + 2]) == np.flatnonzero(NUMBERS == label)[:2].tolist()
    DataCodec.fit(got.data).encode(got.data)


def test_the_seed_decides_and_text_changes_no_pair(tmp_path: Path) -> None:
    write(tmp_path)
    with_text = mnist_svhn(tmp_path, text=True, multiply=4)
    again = mnist_svhn(tmp_path, text=True, multiply=4)
    plain = mnist_svhn(tmp_path, multiply=4)
    other = mnist_svhn(tmp_path, multiply=4, seed=1)
    for name in ("mnist", "svhn"):
        assert (with_text.data.values(name) == plain.data.values(name)).all()
        assert (with_text.data.values(name) == again.data.values(name)).all()
    assert (with_text.data.values("text") == again.data.values("text")).all()
    assert (plain.data.values("svhn") != other.data.values("svhn")).any()
    texts = with_text.data.values("text")
    assert [one.strip("_") for one in texts] == [WORDS[digit] for digit in with_text.labels]
    # A model sees the eight characters, the word's place among them.
    codec = DataCodec.fit(with_text.data)
    assert codec.length("text") == 9
    tokens = codec.encode(with_text.data).x["text"]
    assert len(tokens.unique(dim=0)) == len(set(texts))
    assert codec.decode("text", tokens).tolist() == texts.tolist()


def test_most_and_n_take_less(tmp_path: Path) -> None:
    write(tmp_path)
    assert mnist_svhn(tmp_path, multiply=1, most=1).labels.tolist() == [0, 1, 9]
    # of 24 rows, class by class, every class comes
    assert mnist_svhn(tmp_path, multiply=4, n=3).labels.tolist() == [0, 1, 9]
    with pytest.raises(ValueError, match="multiply must be a whole number of at least 1"):
        mnist_svhn(tmp_path, multiply=0)


def test_words_stand_at_every_place_with_a_blank_at_the_end() -> None:
    digits = np.repeat(np.arange(10), 60)
    texts = digit_texts(digits, seed=0)
    assert {len(text) for text in texts} == {8}
    assert set("".join(texts)) <= set(ALPHABET)
    for digit, word in enumerate(WORDS):
        starts = {text.index(word) for text in texts[digits == digit]}
        assert starts == set(range(8 - len(word)))
    assert len(ALPHABET) == 71


def test_classes_that_only_one_side_has_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="class 2 is in one of the two"):
        pair_by_class(np.array([1, 2]), np.array([1]), 1, 10, rng)


def test_pairs_made_elsewhere_are_checked(tmp_path: Path) -> None:
    write(tmp_path)
    got = mnist_svhn(tmp_path, index=(np.array([3, 0]), np.array([0, 4])))
    assert got.labels.tolist() == [9, 0]
    np.savez(tmp_path / "pairs.npz", mnist=[3, 0], svhn=[0, 4])
    again = mnist_svhn(tmp_path, index=tmp_path / "pairs.npz")
    assert (again.data.values("svhn") == got.data.values("svhn")).all()
    with pytest.raises(
        ValueError, match=r"pair 1 joins the digit 0 \(MNIST row 0\) with 1 \(SVHN"
    ):
        mnist_svhn(tmp_path, index=(np.array([3, 0]), np.array([0, 2])))
    with pytest.raises(ValueError, match="names a row that SVHN has not"):
        mnist_svhn(tmp_path, index=(np.array([3]), np.array([8])))
    with pytest.raises(ValueError, match="as many row numbers"):
        mnist_svhn(tmp_path, index=(np.array([3, 0]), np.array([8])))
    with pytest.raises(ValueError, match="a pickle"):
        mnist_svhn(tmp_path, index=tmp_path / "train-ms-mnist-idx.pt")
    with pytest.raises(FileNotFoundError, match="no file of pairs"):
        mnist_svhn(tmp_path, index=tmp_path / "none.npz")


def test_damaged_and_lacking_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"MNIST: no file of digits.*https?://yann"):
        mnist_svhn(tmp_path)
    write(tmp_path)
    with pytest.raises(FileNotFoundError, match="t10k-images-idx3-ubyte"):
        mnist_svhn(tmp_path, "test")
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(idx(IMAGES)[:-5])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte: expected 5488 bytes .* 5483"):
        mnist_svhn(tmp_path)
    images.write_bytes(idx(LABELS))
    with pytest.raises(ValueError, match="expected an idx file of bytes with 3 axes"):
        mnist_svhn(tmp_path)
    images.write_bytes(idx(IMAGES[:6]))
    with pytest.raises(ValueError, match=r"has 6 pictures, .* 7 labels"):
        mnist_svhn(tmp_path)
    images.unlink()
    images.with_suffix(".gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="can not be unpacked"):
        mnist_svhn(tmp_path)
    write(tmp_path)
    for wrong, said in (
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": np.zeros((8, 1))}, "labels must be 1 to 10"),
        ({"X": HOUSES.transpose(1, 2, 3, 0), "y": np.ones((7, 1))}, "8 pictures but 7 labels"),
        ({"X": HOUSES[0], "y": np.ones((8, 1))}, "expected X of uint8"),
        ({"Z": HOUSES[0]}, "expected the arrays 'X' and 'y'"),
    ):
        savemat(tmp_path / "train_32x32.mat", wrong)
        with pytest.raises(ValueError, match=said):
            mnist_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(b"no matrix at all" * 20)
    with pytest.raises(ValueError, match=r"train_32x32\.mat: the file can not be read"):
        mnist_svhn(tmp_path)


def write_pairs(path: Path, other: str, shape: tuple[int, ...], **change: np.ndarray) -> dict:
    rng = np.random.default_rng(1)
    held = {
        "mnist_train": IMAGES,
        "label_train": LABELS,
        f"{other}_train": rng.integers(0, 256, (4, *shape), dtype=np.uint8),
        f"{other}_label_train": np.array([9, 0, 1, 0], np.uint8),
        "pair_train": np.array([1, 2, 3, 0, 2, 1, 0], np.int32),
    }
    if other == "speech":
        held["speech_train"] = rng.uniform(-7, 0.5, (4, *shape)).astype(np.float16)
    held.update(change)
    np.savez(path, **held)
    return held


def test_hand_signs_and_speech_follow_their_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    held = write_pairs(path, "sign", (3, 32, 32))
    got = mnist_handsign(path)
    assert got.labels.tolist() == LABELS.tolist()
    assert (got.data.values("mnist") == IMAGES).all()
    assert (got.data.values("sign") == held["sign_train"][held["pair_train"]]).all()
    assert len(mnist_handsign(path, n=3)) == 3
    held = write_pairs(path, "speech", (1, 32, 32))
    speech = mnist_speech(path).data.values("speech")
    power = held["speech_train"][held["pair_train"]].astype(np.float64)
    np.testing.assert_allclose(speech, np.clip((power + 6) / 6, 0, 1), atol=1e-6)
    assert speech.dtype == np.float32


def test_a_pair_of_two_digits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    pair = np.array([1, 2, 3, 0, 2, 2, 0])
    write_pairs(path, "sign", (3, 32, 32), pair_train=pair)
    with pytest.raises(ValueError, match="row 5: the picture shows 0, its sign 1"):
        mnist_handsign(path)
    write_pairs(path, "sign", (3, 32, 32), pair_train=pair[:6])
    with pytest.raises(ValueError, match="7 pictures, 7 labels and 6 pairs"):
        mnist_handsign(path)
    write_pairs(path, "sign", (3, 32, 32), pair_train=pair + 3)
    with pytest.raises(ValueError, match="names a row that sign_train has not"):
        mnist_handsign(path)
    with pytest.raises(FileNotFoundError, match="Sign-Language"):
        mnist_handsign(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="expected an array 'mnist_test'"):
        mnist_handsign(path, "test")
