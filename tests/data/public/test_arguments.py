"""Arguments that a loader can not have are refused in one sentence, before a file is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.data.public.test_mnist_pairs import write as write_pairs
from tests.data.public.test_pictures_with_words import write_celeba, write_flickr

from polymodal.data.public import celeba, cub, flickr_tags, mnist_svhn, polymnist
from polymodal.data.public.tags import tags_modality

WHOLE: list[tuple[Callable, str, bool]] = [
    (celeba, "size", False),
    (celeba, "crop", False),
    (celeba, "n", True),
    (cub, "size", False),
    (cub, "tokens", False),
    (cub, "per_picture", True),
    (flickr_tags, "size", False),
    (polymnist, "modalities", True),
    (mnist_svhn, "multiply", False),
    (mnist_svhn, "most", False),
]


@pytest.mark.parametrize("got", [0, -1, 2.0, 2.5, "2", True])
@pytest.mark.parametrize(("load", "name", "or_none"), WHOLE)
def test_numbers_of_things_are_whole(
    load: Callable, name: str, or_none: bool, got: object, tmp_path: Path
) -> None:
    end = "at least 1, or None, got" if or_none else "at least 1, got"
    with pytest.raises(ValueError, match=f": {name} must be a whole number of {end} {got!r}"):
        load(tmp_path, **{name: got})


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_a_seed_is_one_that_a_generator_takes(seed: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"MNIST-SVHN: seed must be a whole .* got {seed!r}"):
        mnist_svhn(tmp_path, seed=seed)  # type: ignore[arg-type]


def test_pairs_may_be_a_list_of_two(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    wanted = mnist_svhn(tmp_path, index=(np.array([3, 0]), np.array([0, 4])))
    assert (mnist_svhn(tmp_path, index=[[3, 0], [0, 4]]).labels == wanted.labels).all()
    for index in ([[0], [0], [0]], [0], 5, [[[0], [0, 1]], [0]]):
        with pytest.raises(ValueError, match=r"index must be two arrays .* got [\[5]"):
            mnist_svhn(tmp_path, index=index)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "separator"),
    [
        ([["a"], ["b", "c"]], ";"),
        ([["a;b"], ["c", "d"]], "|"),
        ([["a;b", "c|d"], ["e", "f"]], "\n"),
    ],
)
def test_no_tag_holds_what_parts_tags(rows: list[list[str]], separator: str) -> None:
    column, spec = tags_modality(rows, "tags")
    assert spec.separator == separator
    assert [one.split(separator) for one in column] == rows
    with pytest.raises(ValueError, match="tags: tags hold all of"):
        tags_modality([["a;|\n"]], "tags")


def test_a_photograph_may_have_any_tag(tmp_path: Path) -> None:
    write_flickr(tmp_path)
    (tmp_path / "mirflickr/meta/tags/tags9.txt").write_text("a;b\nc\n", encoding="utf-8")
    tags = flickr_tags(tmp_path, size=8).data.values("tags")
    assert ("a;b", "c") in list(tags)


@pytest.mark.parametrize("line", ["²", "1.5", "-1"])
def test_an_annotation_is_the_number_of_a_photograph(line: str, tmp_path: Path) -> None:
    write_flickr(tmp_path)
    notes = tmp_path / "mirflickr25k_annotations_v080/animals.txt"
    notes.write_text(f"10\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"animals\.txt: it names '{line}', which is the number"):
        flickr_tags(tmp_path)


def test_a_count_of_faces_is_a_number(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    path = next(tmp_path.rglob("list_attr_celeba.txt"))
    _, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(f"²\n{rest}", encoding="utf-8")
    with pytest.raises(ValueError, match="expected the number of pictures first, got '²'"):
        celeba(tmp_path, None, size=8)
