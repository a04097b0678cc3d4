"""Tables in files: Parquet, and values parted by commas or tabs, checked line by line.

Pandas guesses what a cell of a CSV is by all cells of its column, so that one word more in a file
turns the number 1 into the word '1'. :class:`Written` gives the cells as they stand in the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from polymodal.data.names import Raw

if TYPE_CHECKING:
    from pandas import DataFrame, Series

READERS = (".csv", ".csv.gz", ".tsv", ".parquet", ".pq")
_LONGEST_CELL = 2**31 - 1


class TableFile(NamedTuple):
    """A table as pandas reads it, and its cells as they are written (None for Parquet)."""

    frame: DataFrame
    written: Written | None


def read_table_file(path: Path) -> TableFile:
    """The table in a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it can not be read; names the file, and the line where there is one.
    """
    import pandas as pd

    if path.is_dir():
        raise ValueError(
            f"{path}: this is a folder; name a file in it that ends in {', '.join(READERS)}."
        )
    suffix = next((one for one in READERS if path.name.lower().endswith(one)), None)
    if suffix is None:
        raise ValueError(
            f"{path.name}: files of kind {path.suffix or 'without a suffix'!r} are not read; "
            f"expected one of {', '.join(READERS)}."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    try:
        if suffix in (".parquet", ".pq"):
            return TableFile(_read_parquet(path), None)
        _check_lines(path)
        frame = _read_delimited(path, low_memory=False)
        return TableFile(frame, Written(path, len(frame)))
    except UnicodeDecodeError as fault:
        said = f"{fault}"
        todo = "It is not UTF-8 text: save it as UTF-8 (in a spreadsheet, as 'CSV UTF-8')."
    except (csv.Error, pd.errors.ParserError) as fault:
        said = str(fault)
        todo = (
            f"Mend that line: as many values as columns, parted by {_separator(path)!r}, and "
            "quotes around text that has the separator in it."
        )
    except pd.errors.EmptyDataError:
        said = "it is empty"
        todo = "The first line must name the columns, and each line below it is a row."
    except (OSError, EOFError, zlib.error) as fault:
        said, todo = str(fault), "It may be damaged, or of another kind: write it anew."
    said = " ".join(said.split())
    raise ValueError(f"{path.name}: the file can not be read as {suffix[1:]} ({said}). {todo}")


def is_delimited(path: Path) -> bool:
    """Whether the name is that of a CSV or TSV file."""
    return path.name.lower().endswith((".csv", ".csv.gz", ".tsv"))


def as_written(path: Path) -> DataFrame:
    """All cells of a CSV or TSV file as strings, exactly as they stand there, holes too."""
    return _read_delimited(path, dtype=str, na_filter=False).astype(object)


def holes_among(words: Iterable[str]) -> set[str]:
    """The words that a CSV shows as holes: the empty one, ``NA`` and others of pandas' list.

    Example:
        >>> sorted(holes_among(["", "NA", "Namibia"]))
        ['', 'NA']
    """
    import pandas as pd

    # pandas is asked, as its list is no public name; all in it are short and plain
    short = [one for one in set(words) if len(one) < 16 and one.isascii() and one.isprintable()]
    file = io.StringIO(pd.DataFrame({"word": short, "row": 0}).to_csv(index=False))
    found = pd.read_csv(file, dtype=str)["word"].isna()
    return {one for one, hole in zip(short, found, strict=True) if hole}


class Written:
    """Cells of a CSV or TSV file as strings, read column by column when they are asked for.

    Arguments:
        path: The file.
        n_rows: How many rows it had when its table was read.
    """

    def __init__(self, path: Path, n_rows: int) -> None:
        self._path, self._n_rows = path.resolve(), n_rows
        self._stamp = _stamp(path)
        self._held: dict[str, Series | None] = {}

    def fetch(self, names: Collection[str]) -> None:
        """Read some columns in one go."""
        wanted = [name for name in names if name not in self._held]
        if not wanted:
            return
        # A file that is no longer the one that was read tells nothing of these rows.
        if not self._path.is_file() or _stamp(self._path) != self._stamp:
            self._held.update(dict.fromkeys(wanted))
            return
        cells: Raw = _read_delimited(self._path, dtype=str, usecols=wanted)
        same = len(cells) == self._n_rows
        self._held.update({name: cells[name] if same else None for name in wanted})

    def column(self, name: str) -> Series | None:
        """The strings of one column, (N,), NaN in holes; None if the file is gone or another."""
        self.fetch([name])
        return self._held[name]


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _separator(path: Path) -> str:
    return "\t" if path.name.lower().endswith(".tsv") else ","


def _read_delimited(path: Path, **options: Any) -> DataFrame:  # noqa: ANN401 (pandas')
    import pandas as pd

    with warnings.catch_warnings():
        # of the empty value behind a separator too many
        warnings.filterwarnings("ignore", "Length of header or names", pd.errors.ParserWarning)
        # without index_col=False a value too many in each line shifts all columns by one
        return pd.read_csv(path, sep=_separator(path), index_col=False, **options)


def _read_parquet(path: Path) -> DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        _refuse_doubled(names, path.name)
        return pd.read_parquet(path)
    except (pa.ArrowException, ValueError) as fault:
        if "stands twice" in str(fault):
            raise
        raise OSError(str(fault)) from None


def _refuse_doubled(names: list[str], origin: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"{origin}: column {twice[0]!r} stands twice; rename or drop one of the two."
        )


def _check_lines(path: Path) -> None:
    """Refuse what pandas takes without a word: names twice or none, lines too short or long."""
    separator = _separator(path)
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file, _long_cells():
        reader = csv.reader(file, delimiter=separator)
        names = next((row for row in reader if "".join(row).strip()), [])
        ended = len(names) > 1 and not names[-1]
        names = names[:-1] if ended else names
        for place, name in enumerate(names):
            if place and not name.strip():  # without a name the first is the index of pandas
                raise ValueError(
                    f"{path.name}: column {place} (from 0) has no name in the first line; give "
                    "it one, or leave the column out."
                )
        _refuse_doubled(names, path.name)
        _check_counts(_lines(file, separator, reader.line_num), len(names), ended or None)


class _Line(NamedTuple):
    """A line's number in the file (from 1), how many values it has, if the last is empty."""

    number: int
    count: int
    ended: bool


def _check_counts(lines: Iterable[_Line], n_names: int, ending: bool | None) -> None:
    """Raise a csv.Error at the first line that has more or fewer values than there are names.

    A separator too many at the end (``ending``; None where the names leave it open) is no fault
    where all lines have it.
    """
    for line in lines:
        ending = line.ended and line.count == n_names + 1 if ending is None else ending
        if line.count == n_names + ending and line.ended >= ending:
            continue
        raise csv.Error(
            f"line {line.number} has {line.count} value{'s' * (line.count != 1)} where the first "
            f"line names {n_names} column{'s' * (n_names != 1)}"
            + ("; a column of rows' names needs a name too" * (line.count == n_names + 1))
            + ("; the lines above end with a separator too many" * (line.count == n_names))
        )


def _lines(file: IO[str], separator: str, number: int) -> Iterator[_Line]:
    """The lines behind the first ``number``; one with line breaks in quotes is one line."""
    spaces = " \t\r\n".replace(separator, "")
    for text in file:
        number += 1
        if not text.strip(spaces):  # pandas skips it too
            continue
        if '"' not in text:
            # counting is many times faster than taking the line apart
            bare = text.rstrip("\r\n")
            yield _Line(number, bare.count(separator) + 1, bare.endswith(separator))
            continue
        reader = csv.reader(chain([text], file), delimiter=separator)
        cells = next(reader)
        yield _Line(number, len(cells), not cells[-1])
        number += reader.line_num - 1


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be as long as pandas takes them; the csv module's own limit is 131,072."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
