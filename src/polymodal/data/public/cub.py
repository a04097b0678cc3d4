"""CUB-200-2011: photographs of birds with ten captions each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from polymodal.data.public.arguments import check_choice, checked_rows, checked_whole
from polymodal.data.public.folders import (
    Source,
    by_numbers,
    entries,
    lines_of,
    refuse_lone,
    spaced,
)
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.pictures import read_pictures
from polymodal.data.specs import ModalitySpec

SOURCE = Source(
    "CUB",
    "https://www.vision.caltech.edu/datasets/cub_200_2011/ (captions: "
    "https://github.com/reedscot/cvpr2016)",
)
_LISTS = {"train": "trainvalclasses.txt", "test": "testclasses.txt"}
_TEXTS = {"train": "text_trainvalclasses.txt", "test": "text_testclasses.txt"}


class Bird(NamedTuple):
    """One photograph, its class and its captions."""

    path: Path
    name: str
    captions: list[str]


def cub(
    folder: str | Path,
    split: Literal["train", "test"] = "train",
    *,
    captions: Literal["first", "all"] = "first",
    per_picture: int | None = 10,
    tokens: int = 32,
    size: int = 64,
    n: int | None = None,
) -> Labelled:
    """Birds and what people wrote about them; test classes are others than training classes.

    Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011; captions and split: Reed et al.,
    "Learning Deep Representations of Fine-Grained Visual Descriptions", 2016,
    https://arxiv.org/abs/1605.05395.

    Two forms of the files are known. With a file of captions a picture:
    ``images/<class>/<file>.jpg`` (also under ``CUB_200_2011``), ``text/<class>/<file>.txt`` or
    ``text_c10``, ``trainvalclasses.txt`` and ``testclasses.txt`` (these also under
    ``cvpr2016_cub``). And the MMVAE's ``cub.zip``: ``train/<class>/<file>.jpg``,
    ``test/<class>/<file>.jpg``, ``text_trainvalclasses.txt``, ``text_testclasses.txt``, with
    ``per_picture`` lines for each picture in the order of their paths; there only the number of
    lines can be checked.

    Arguments:
        folder: Where the files are, or the folder ``cub`` with them.
        split: Which classes.
        captions: A row a picture with its first caption, or a row a caption.
        per_picture: Captions that each picture must have; None takes what there is, in the first
            form.
        tokens: Most tokens of a caption that a model sees.
        size: Side to which pictures are scaled, whole, whatever their shape.
        n: At most so many rows, at equal distances, since rows lie by class.

    Returns:
        Modalities ``image``, uint8 (N, 3, size, size), and ``caption``; the label is the class, a
        place in the sorted list of all classes.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If a picture lacks captions or captions a picture; names the file.
    """
    check_choice("CUB", "split", split, ("train", "test"))
    check_choice("CUB", "captions", captions, ("first", "all"))
    n, size = checked_rows("CUB", n), checked_whole("CUB", "size", size)
    tokens = checked_whole("CUB", "tokens", tokens)
    per_picture = checked_whole("CUB", "per_picture", per_picture, or_none=True)
    root = Path(folder)
    if (root / "cub").is_dir():
        root = root / "cub"
    if (root / _TEXTS[split]).is_file():
        birds, classes = _one_file_of_captions(root, split, per_picture)
    else:
        birds, classes = _a_file_a_picture(root, split, per_picture)
    pairs = [
        (bird, one)
        for bird in birds
        for one in (bird.captions if captions == "all" else bird.captions[:1])
    ]
    pairs = [pairs[row] for row in spaced(len(pairs), n)]
    texts = np.full(len(pairs), "", dtype=object)
    texts[:] = [one for _, one in pairs]
    arrays = {
        "image": read_pictures([bird.path for bird, _ in pairs], (size, size)),
        "caption": texts,
    }
    specs = {"image": "image", "caption": ModalitySpec("text", column="caption", tokens=tokens)}
    labels = np.array([classes.index(bird.name) for bird, _ in pairs])
    return assemble("CUB", arrays, specs, labels, classes)


def _by_class(
    folder: Path, suffix: str, order: Callable[[Path], Any] | None = by_numbers
) -> dict[tuple[str, str], Path]:
    """(class, file without suffix) -> file, the classes and in them the files by their order."""
    found = {}
    for inside in sorted((path for path in entries(folder) if path.is_dir()), key=order):
        for path in sorted(entries(inside), key=order):
            if path.suffix.lower() == suffix:
                found[inside.name, path.stem] = path
    return found


def _a_file_a_picture(
    root: Path, split: str, per_picture: int | None
) -> tuple[list[Bird], tuple[str, ...]]:
    homes = ("", "CUB_200_2011/", "cvpr2016_cub/")
    images = SOURCE.find(root, [f"{home}images" for home in homes], "folder of pictures")
    text_places = [f"{home}{name}" for home in homes for name in ("text", "text_c10")]
    texts = SOURCE.find(root, text_places, "folder of captions")
    list_places = [f"{home}{_LISTS[split]}" for home in homes]
    chosen = SOURCE.find(root, list_places, f"list of the classes of {split}")
    pictures, written = _by_class(images, ".jpg"), _by_class(texts, ".txt")
    refuse_lone(pictures, written, ("picture", "file of captions"), "CUB")
    classes = tuple(sorted({name for name, _ in pictures}))
    wanted = lines_of(chosen)
    for name in wanted:
        if name not in classes:
            raise ValueError(f"{chosen}: there is no folder {str(images / name)!r} of that class.")
    birds = []
    for (name, stem), path in pictures.items():
        if name not in wanted:
            continue
        said = lines_of(written[name, stem])
        if not said or (per_picture is not None and len(said) != per_picture):
            raise ValueError(
                f"{written[name, stem]}: expected {per_picture or 'some'} captions of its "
                f"picture, got {len(said)}; mend it, or say per_picture=None if any number will "
                "do."
            )
        birds.append(Bird(path, name, said))
    return birds, classes


def _one_file_of_captions(
    root: Path, split: str, per_picture: int | None
) -> tuple[list[Bird], tuple[str, ...]]:
    if per_picture is None:
        raise ValueError(
            f"{root / _TEXTS[split]}: in this form per_picture must be said; the file parts the "
            "captions of two pictures by their number only."
        )
    homes = {part: SOURCE.find(root, [part], "folder of pictures") for part in ("train", "test")}
    # The lines of captions go by the files' paths, whatever numbers are in these.
    known = {part: _by_class(home, ".jpg", order=None) for part, home in homes.items()}
    classes = tuple(sorted({name for one in known.values() for name, _ in one}))
    said = lines_of(root / _TEXTS[split])
    pictures = known[split]
    if len(said) != per_picture * len(pictures):
        raise ValueError(
            f"{root / _TEXTS[split]}: expected {per_picture} captions for each of the "
            f"{len(pictures)} pictures in {str(homes[split])!r}, got {len(said)} in all."
        )
    birds = [
        Bird(path, name, said[place * per_picture : (place + 1) * per_picture])
        for place, ((name, _), path) in enumerate(pictures.items())
    ]
    return birds, classes
