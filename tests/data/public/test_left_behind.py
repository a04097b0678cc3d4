"""What macOS and Windows leave in folders is passed over; what else is named otherwise is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.data.public.test_pictures_with_words import (
    paint,
    write_celeba,
    write_cub,
    write_cub_archive,
    write_flickr,
)
from tests.data.public.test_polymnist import write as write_polymnist

from polymodal.data.public import Labelled, celeba, cub, flickr_tags, polymnist
from polymodal.data.public.folders import entries

LOADERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], Labelled]]] = {
    "PolyMNIST": (lambda root: write_polymnist(root / "train", 2), polymnist),
    "CelebA": (write_celeba, partial(celeba, split=None, size=8)),
    "CUB": (write_cub, partial(cub, captions="all", size=8)),
    "CUB's archive": (write_cub_archive, partial(cub, captions="all", size=8)),
    "MIRFLICKR": (write_flickr, partial(flickr_tags, size=8)),
}


def leave_behind(root: Path) -> None:
    """A shadow of every file and folder, and what each folder gets."""
    every = [root, *root.rglob("*")]
    for path in every[1:]:
        (path.parent / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    for path in every:
        if path.is_dir():
            for name in (".DS_Store", "Thumbs.db", ".hidden.jpg", ".hidden.png", ".hidden.txt"):
                (path / name).write_bytes(b"of no interest")
            paint(path / ".trash" / "copy.jpg", 0)


@pytest.mark.parametrize("name", LOADERS)
def test_what_systems_leave_behind_is_passed_over(name: str, tmp_path: Path) -> None:
    write, load = LOADERS[name]
    write(tmp_path)
    before = load(tmp_path)
    leave_behind(tmp_path)
    after = load(tmp_path)
    assert after.classes == before.classes
    assert np.array_equal(after.labels, before.labels)
    for one in before.data.names:
        assert np.array_equal(np.asarray(after.data.values(one)), before.data.values(one))


@pytest.mark.parametrize("name", ["_0.3.png", "copy of 0.3.png", "0.3 (1).png", "Thumbs.png"])
def test_another_name_is_refused_beside_what_is_left_behind(name: str, tmp_path: Path) -> None:
    home = write_polymnist(tmp_path / "train", 2)
    leave_behind(tmp_path)
    paint(home / "m1" / name, 0, (28, 28))
    with pytest.raises(ValueError, match="named otherwise than number"):
        polymnist(tmp_path)


def test_a_face_of_another_name_is_refused_beside_what_is_left_behind(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    leave_behind(tmp_path)
    paint(tmp_path / "img_align_celeba/copy.jpg", 0, (178, 218))
    with pytest.raises(ValueError, match=r"copy\.jpg has no row of attributes"):
        celeba(tmp_path)


def test_a_folder_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", ".a.png", "thumbs.db", "Thumbs.dbx", "_a.png"):
        (tmp_path / name).touch()
    found = [path.name for path in entries(tmp_path)]
    assert found == ["Thumbs.dbx", "_a.png", "a.png", "b.png"]
