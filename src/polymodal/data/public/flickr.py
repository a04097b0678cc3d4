"""MIRFLICKR-25000: photographs, the tags of their owners, and what annotators saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polymodal.data.public.arguments import checked_rows, checked_whole
from polymodal.data.public.folders import (
    Source,
    entries,
    lines_of,
    numbered,
    refuse_lone,
)
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.pictures import read_pictures
from polymodal.data.public.tags import tags_modality

SOURCE = Source("MIRFLICKR-25000", "https://press.liacs.nl/mirflickr/mirdownload.html")
_ANNOTATIONS = ("mirflickr25k_annotations_v080", "annotations_v080", "annotations")


def flickr_tags(
    folder: str | Path,
    *,
    size: int = 64,
    n: int | None = None,
) -> Labelled:
    """Photographs with tags.

    Huiskes, Lew, "The MIR Flickr Retrieval Evaluation", 2008,
    https://press.liacs.nl/mirflickr/. There is no fixed split; the literature draws its own.

    Arguments:
        folder: Has ``mirflickr/im{i}.jpg``, ``mirflickr/meta/tags/tags{i}.txt`` (a tag a line) and
            ``mirflickr25k_annotations_v080/{label}.txt`` (the numbers of the photographs, a line
            each), the annotations also inside ``mirflickr``.
        size: Side to which the middle square of each photograph is scaled.
        n: At most so many rows, the first.

    Returns:
        Modalities ``image``, uint8 (N, 3, size, size), and ``tags``, in the order of the owner and
        each once; the labels are the annotations, bool (N, L), sorted by name (24 topics, and 14
        of them again in the strict sense, ``_r1``).

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If a photograph has no file of tags or the reverse, or an annotation names a
            photograph that is not there; names the file.
    """
    n, size = checked_rows("MIRFLICKR-25000", n), checked_whole("MIRFLICKR-25000", "size", size)
    root = Path(folder)
    tags_folder = SOURCE.find(root, ["mirflickr/meta/tags", "meta/tags"], "folder of tags")
    home = tags_folder.parents[1]
    near = home.relative_to(root).as_posix()
    places = [*_ANNOTATIONS, *(f"{near}/{one}" for one in _ANNOTATIONS if near != ".")]
    annotations = SOURCE.find(root, places, "folder of annotations")
    pictures = numbered(home, r"im(\d+)\.jpg")
    written = numbered(tags_folder, r"tags(\d+)\.txt")
    if not pictures:
        raise SOURCE.missing("photographs", home, ["im1.jpg"])
    refuse_lone(pictures, written, ("photograph", "file of tags"), "MIRFLICKR-25000")
    flags, names = _annotations(annotations, [number for (number,) in pictures])
    kept = list(pictures)[:n]
    column, spec = tags_modality(
        [list(dict.fromkeys(lines_of(written[key]))) for key in kept], "tags"
    )
    arrays = {
        "image": read_pictures([pictures[key] for key in kept], (size, size), "square"),
        "tags": column,
    }
    specs = {"image": "image", "tags": spec}
    return assemble("MIRFLICKR-25000", arrays, specs, flags[: len(kept)], names)


def _annotations(folder: Path, numbers: list[int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """What each photograph shows, bool (N, L), and the labels' names."""
    lists = [path for path in entries(folder) if path.suffix == ".txt"]
    paths = [path for path in lists if path.stem.lower() != "readme"]
    if not paths:
        raise SOURCE.missing("annotations", folder, ["animals.txt"])
    places = {number: row for row, number in enumerate(numbers)}
    flags = np.zeros((len(numbers), len(paths)), dtype=bool)
    for place, path in enumerate(paths):
        for line in lines_of(path):
            number = int(line) if line.isdecimal() else None
            if number not in places:
                raise ValueError(
                    f"{path}: it names {line!r:.40}, which is the number of no photograph that is "
                    "there."
                )
            flags[places[number], place] = True
    return flags, tuple(path.stem for path in paths)
