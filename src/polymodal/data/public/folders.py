"""Finding files of known names, in an order that no file system can change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Source:
    """A data set's name and the page where it is to be had."""

    name: str
    page: str

    def missing(self, wanted: str, root: Path, places: Sequence[str]) -> FileNotFoundError:
        """The error that says what was looked for, where, and where to get it."""
        inside = " or ".join(repr(place) for place in places)
        return FileNotFoundError(
            f"{self.name}: no {wanted} in {str(root)!r}; looked for {inside}. The data are at "
            f"{self.page}; docs/datasets.md says how they must lie."
        )

    def find(self, root: str | Path, places: Sequence[str], wanted: str) -> Path:
        """The first of some places under a folder that is there.

        Raises:
            FileNotFoundError: If none is.
        """
        root = Path(root)
        for place in places:
            if (root / place).exists():
                return root / place
        raise self.missing(wanted, root, places)


def spaced(count: int, n: int | None) -> np.ndarray:
    """All of ``count`` rows, or ``n`` of them at equal distances; where rows lie by class.

    Example:
        >>> spaced(10, 4)
        array([0, 2, 5, 7])
    """
    if n is None or n >= count:
        return np.arange(count)
    return np.arange(n) * count // n


def entries(folder: Path) -> list[Path]:
    """Files and folders of a folder, sorted, without what macOS and Windows leave there.

    That is what begins with a dot (``.DS_Store``; ``._1.png``, which has the suffix of a picture
    and is none), and ``Thumbs.db``.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() != "thumbs.db"
    )


def numbered(folder: Path, pattern: str) -> dict[tuple[int, ...], Path]:
    """Files of a folder by the numbers in their names, sorted by these.

    Arguments:
        folder: Where.
        pattern: A regular expression for the whole name; its groups are the numbers.

    Raises:
        ValueError: If two names say the same numbers (``1.png`` and ``01.png``).
    """
    found: dict[tuple[int, ...], Path] = {}
    for path in entries(folder):
        match = re.fullmatch(pattern, path.name)
        if match is None:
            continue
        key = tuple(int(one) for one in match.groups())
        if key in found:
            raise ValueError(f"{found[key]} and {path.name} have the same number; remove one.")
        found[key] = path
    return dict(sorted(found.items()))


def by_numbers(path: Path) -> tuple[list[int], str]:
    """Key that sorts files by the numbers in their names, those with the same by the whole name.

    Example:
        >>> [one.name for one in sorted(map(Path, ["a_10", "a_2"]), key=by_numbers)]
        ['a_2', 'a_10']
    """
    return [int(one) for one in re.findall(r"\d+", path.stem)], path.name


def refuse_lone(one: Mapping, other: Mapping, names: tuple[str, str], where: str) -> None:
    """Refuse keys of one mapping that the other lacks; names the first file without its pair.

    Arguments:
        one: Key -> file.
        other: Key -> file, which must have the same keys.
        names: What the values of each are called.
        where: What errors begin with.
    """
    for here, there, name in ((one, other, names[1]), (other, one, names[0])):
        for key, path in here.items():
            if key not in there:
                raise ValueError(
                    f"{where}: {path} has no {name} that belongs to it; the files must pair one "
                    "to one."
                )


def lines_of(path: Path) -> list[str]:
    """The lines of a text file that are not empty, without blanks around them.

    Bytes that are no UTF-8 (the published captions of birds have some) become one space.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    text = re.sub("\ufffd+", " ", text)
    return [line.strip() for line in text.splitlines() if line.strip()]
