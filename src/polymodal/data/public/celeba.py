"""CelebA: faces with forty attributes each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.names import Raw, nearest
from polymodal.data.public.arguments import check_choice, checked_rows, checked_whole
from polymodal.data.public.folders import (
    Source,
    by_numbers,
    entries,
    lines_of,
    refuse_lone,
)
from polymodal.data.public.labelled import Labelled, assemble, flags_table
from polymodal.data.public.pictures import read_pictures
from polymodal.data.public.tags import tags_modality
from polymodal.data.specs import ModalitySpec

SOURCE = Source("CelebA", "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html")
PARTS = {"train": 0, "valid": 1, "test": 2}
LONGEST_SENTENCE = 64
EIGHTEEN = (
    "Bald Bangs Black_Hair Blond_Hair Brown_Hair Bushy_Eyebrows Eyeglasses Gray_Hair Heavy_Makeup "
    "Male Mouth_Slightly_Open Mustache Pale_Skin Receding_Hairline Smiling Straight_Hair "
    "Wavy_Hair Wearing_Hat"
).split()
"""The attributes of Wu and Goodman, 2018, https://arxiv.org/abs/1802.05335."""


def celeba(
    folder: str | Path,
    split: Literal["train", "valid", "test"] | None = "train",
    *,
    attributes: Literal["all", "eighteen"] | Sequence[str] = "all",
    form: Literal["table", "tags", "text"] = "table",
    crop: int = 148,
    size: int = 64,
    n: int | None = None,
) -> Labelled:
    """Aligned faces and their attributes.

    Liu et al., "Deep Learning Face Attributes in the Wild", 2015,
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html; the crop is that of Larsen et al., 2016.

    Arguments:
        folder: Has ``img_align_celeba/*.jpg``, ``list_attr_celeba.txt`` and
            ``list_eval_partition.txt`` (or the two as ``.csv``), also under ``celeba``, ``Img``,
            ``Anno`` and ``Eval``.
        split: Which rows; None gives all 202,599.
        attributes: Which of the forty are the modality: all, the eighteen of the MVAE, or their
            names as the file has them.
        form: ``table``, a category 0, 1 an attribute; ``tags``, those that hold; ``text``, those
            that hold in a sentence, ``bald, wearing hat``.
        crop: Side of the middle square that is kept of the 178 x 218 pixels.
        size: Side to which it is scaled.
        n: At most so many rows, the first.

    Returns:
        Modalities ``image``, uint8 (N, 3, size, size), 12 kB a row at 64 pixels, and
        ``attributes``; the labels are all forty, bool (N, 40).

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If a picture has no attributes or no part, or the reverse, or a list is
            damaged; names the file.
    """
    check_choice("CelebA", "split", split, (*PARTS, None))
    check_choice("CelebA", "form", form, ("table", "tags", "text"))
    n = checked_rows("CelebA", n)
    size, crop = checked_whole("CelebA", "size", size), checked_whole("CelebA", "crop", crop)
    pictures = SOURCE.find(folder, _places("img_align_celeba", ("", "celeba", "Img")), "folder")
    if (pictures / "img_align_celeba").is_dir():  # some archives pack the folder twice
        pictures = pictures / "img_align_celeba"
    names, marks = _attributes(SOURCE.find(folder, _lists("list_attr_celeba"), "list"))
    parts = _parts(SOURCE.find(folder, _lists("list_eval_partition"), "list"))
    found = (path for path in entries(pictures) if path.suffix == ".jpg")
    files = {path.name: path for path in sorted(found, key=by_numbers)}
    for listed, what in ((marks, "row of attributes"), (parts, "row in the list of parts")):
        refuse_lone(files, {name: name for name in listed}, ("picture", what), "CelebA")
    wanted = None if split is None else PARTS[split]
    kept = [name for name in files if wanted is None or parts[name] == wanted][:n]
    if not kept:
        raise ValueError(f"CelebA: the list of parts has no row for {split!r}.")
    flags = np.array([marks[name] for name in kept])
    column, spec = _modality(flags, names, _chosen(names, attributes), form)
    arrays = {
        "image": read_pictures([files[name] for name in kept], (size, size), crop),
        "attributes": column,
    }
    return assemble("CelebA", arrays, {"image": "image", "attributes": spec}, flags, names)


def _places(name: str, folders: Sequence[str]) -> list[str]:
    return [f"{one}/{name}".lstrip("/") for one in folders]


def _lists(name: str) -> list[str]:
    folders = ("", "celeba", "Anno", "Eval")
    return [place for end in (".txt", ".csv") for place in _places(name + end, folders)]


def _table(path: Path) -> list[list[str]]:
    """The cells of a list, parted by blanks or commas."""
    return [line.replace(",", " ").split() for line in lines_of(path)]


def _attributes(path: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Names of the attributes, and picture -> bool (L,)."""
    rows = _table(path)
    count = None
    if path.suffix == ".txt" and rows:
        said = rows[0][0]
        if not said.isdecimal():
            raise ValueError(f"{path}: expected the number of pictures first, got {said!r:.40}.")
        count, rows = int(said), rows[1:]
    if not rows:
        raise ValueError(f"{path}: expected the attributes' names and a row a picture, got none.")
    names = tuple(rows[0][1:] if path.suffix == ".csv" else rows[0])
    marks: dict[str, np.ndarray] = {}
    for line in rows[1:]:
        picture, cells = line[0], line[1:]
        if len(cells) != len(names) or not set(cells) <= {"1", "-1"}:
            raise ValueError(
                f"{path}: expected {len(names)} values 1 or -1 for {picture}, got {cells!r:.80}."
            )
        if picture in marks:
            raise ValueError(f"{path}: {picture} stands twice.")
        marks[picture] = np.array(cells) == "1"
    if count is not None and count != len(marks):
        raise ValueError(
            f"{path}: the first line says {count} pictures, {len(marks)} follow; it is cut."
        )
    return names, marks


def _parts(path: Path) -> dict[str, int]:
    """Picture -> 0 (training), 1 (validation) or 2 (test)."""
    rows = _table(path)
    parts = {}
    for line in rows[1:] if path.suffix == ".csv" else rows:
        if len(line) != 2 or line[1] not in ("0", "1", "2"):
            raise ValueError(f"{path}: expected a picture and 0, 1 or 2, got {' '.join(line)!r}.")
        parts[line[0]] = int(line[1])
    return parts


def _chosen(names: tuple[str, ...], attributes: str | Sequence[str]) -> tuple[int, ...]:
    if attributes == "all":
        return tuple(range(len(names)))
    wanted = EIGHTEEN if attributes == "eighteen" else attributes
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    if not wanted:
        raise ValueError("CelebA: attributes must name at least one, got none.")
    for name in wanted:
        if name not in names:
            raise ValueError(f"CelebA: no attribute {name!r}.{nearest(name, names)}")
    return tuple(names.index(name) for name in wanted)


def _modality(
    flags: np.ndarray, names: tuple[str, ...], places: tuple[int, ...], form: str
) -> tuple[Raw, ModalitySpec]:
    some = tuple(names[place] for place in places)
    chosen = flags[:, list(places)]
    if form == "table":
        frame, columns = flags_table(chosen, some)
        return frame, ModalitySpec("table", columns)
    plain = np.array([name.lower().replace("_", " ") for name in some], dtype=object)
    said = [plain[row].tolist() for row in chosen]
    if form == "tags":
        return tags_modality(said, "attributes")
    column = np.full(len(said), "", dtype=object)
    column[:] = [", ".join(row) for row in said]
    return column, ModalitySpec("text", column="attributes", tokens=LONGEST_SENTENCE)
