"""The error of a value that does not fit, which knows the row by its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class RowError(ValueError):
    """A value of one row does not fit.

    Arguments:
        where: What errors call the column or array.
        row: The row's place among those at hand.
        said: What is wrong and what to do.
    """

    def __init__(self, where: str, row: int | np.integer, said: str) -> None:
        super().__init__(f"{where}, row {row}{said}")
        self.where, self.row, self.said = where, row, said


@contextmanager
def of_source(numbers: np.ndarray) -> Iterator[None]:
    """Errors of rows name the row where it came from: of a part of a file its row in the file.

    Arguments:
        numbers: The numbers of the rows at hand in their source, (N,).

    Example:
        >>> try:
        ...     with of_source(np.array([5, 7])):
        ...         raise RowError("a.csv, 'x'", 1, ": expected a number.")
        ... except RowError as error:
        ...     print(error)
        a.csv, 'x', row 7: expected a number.
    """
    try:
        yield
    except RowError as error:
        raise RowError(error.where, int(numbers[error.row]), error.said) from error.__cause__
