"""Numbers standardised, z = (x - mean) / sd, and refused where networks could not compute with z.

Training rows are never near the limit: of N rows none lies further than sqrt(N) sd from the mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from polymodal.data.row_error import RowError

LARGEST = 1e12
"""The largest size of a standardised number.

Networks and densities work in float32, which ends at 3e38, and square what they are given. 1e12
squared is 1e24: that leaves 1e14 for the weights of the layers, for a variance far below 1 and for
the sum over a row's values, so that embeddings and scores stay finite numbers.
"""

LARGEST_COUNT = 1e15
"""The same of a count, which networks read by its logarithm and no density squares."""

_ROUNDING = 1e-9
"""What is nearer to the mean than this share of it counts as the mean: a column of 1e40 in every
row differs by rounding from its own mean by more than ``LARGEST``."""


def standardised(
    values: np.ndarray,
    loc: np.ndarray | float,
    scale: np.ndarray | float,
    where: str,
    unseen: str,
    *,
    raw: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    largest: float = LARGEST,
    place: Callable[[int], str] = lambda feature: f", value {feature}",
) -> np.ndarray:
    """(values - loc) / scale in float64, of values (N,) or (N, P) that may have NaN.

    Arguments:
        values: The numbers.
        loc, scale: Mean and standard deviation, of all or (P,) of each feature.
        where: What errors call the column or array.
        unseen: ``raise`` where a number is too large, or give NaN there (``missing``).
        raw: The numbers as the user has them, for the error; by default the values.
        rows: The user's number of each row, (N,); by default 0..N-1.
        largest: The largest size that is taken.
        place: From a feature's place to what the error calls it.

    Raises:
        ValueError: If a number is larger than ``largest`` once encoded; names row and feature.
    """
    with np.errstate(over="ignore"):
        z = np.asarray((values - loc) / scale, dtype=np.float64)
    # two comparisons of truth values take less memory than the absolute of all
    large = (z > largest) | (z < -largest)
    if not large.any():
        return z
    centre = np.broadcast_to(loc, z.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = np.abs(values - centre) <= _ROUNDING * np.abs(centre)
    z[large & rounding] = 0.0
    large &= ~rounding
    if large.any() and unseen == "raise":
        row, *rest = (int(one) for one in np.argwhere(large)[0])
        said = (values if raw is None else raw)[row, *rest]
        number = row if rows is None else int(rows[row])
        raise RowError(
            where,
            number,
            f"{place(rest[0]) if rest else ''}: the value {said:g} is too "
            f"large for the networks (encoded {z[row, *rest]:.3g}, at most {largest:g} in size); "
            "mend the cell, leave it empty to take it as missing, or divide all values before "
            "fitting.",
        )
    z[large] = np.nan
    return z


def check_spread(loc: np.ndarray, scale: np.ndarray, largest: float, where: str) -> None:
    """Raise a ValueError if mean or standard deviation overflowed in training."""
    if not (np.isfinite(loc).all() and np.isfinite(scale).all()):
        raise ValueError(
            f"{where}: numbers of up to {largest:g} in size have no standard deviation that a "
            "computer can hold; divide them all by one number, or take their logarithms."
        )
