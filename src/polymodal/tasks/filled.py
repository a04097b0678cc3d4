"""Results in the user's own terms: frames, images, strings and categories as they came in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.kinds import COUNTED
from polymodal.data.names import objects
from polymodal.data.series import whole_if_all
from polymodal.tasks.impute import Imputed

Container = Literal["frame", "arrays"]

_NUMERIC = ("number", "positive", "count", "ordinal")
_UNORDERED = ("text", "tags", "audio")
"""Kinds whose draws have no order: sound waves differ in phase before all else."""


@dataclass(frozen=True)
class Imputation:
    """Data filled in, many times.

    What was observed is in every result exactly as it was. Pictures that were filled in are PNG
    bytes where a frame's column holds bytes, and PIL images in a column of PIL images or of paths
    (whose known cells stay the paths).

    Arguments:
        data: The data as they were given.
        codec: The model's codec.
        imputed: The filled rows in the codec's terms.
    """

    data: MultimodalData
    codec: DataCodec
    imputed: Imputed

    @cached_property
    def mean(self) -> Any:  # noqa: ANN401 (a frame or a dictionary of arrays, as the data were)
        """The data with every hole filled by its expectation, or its likeliest value."""
        return self._filled(self.imputed.point)

    @cached_property
    def draws(self) -> list[Any]:
        """The data filled in as many times as draws were asked for, from the joint posterior."""
        n_draws = len(next(iter(self.imputed.draws.values())))
        return [
            self._filled({name: value[i] for name, value in self.imputed.draws.items()})
            for i in range(n_draws)
        ]

    @property
    def ess(self) -> np.ndarray:
        """Effective sample size of each row, a share of the proposals; 1 where it had no hole.

        With ``refine`` it is still that of the draws at which the chains began: where it is small
        there was much to refine.
        """
        return self.imputed.ess.cpu().numpy()

    @property
    def acceptance(self) -> np.ndarray | None:
        """With ``refine``, the chains' mean acceptance in each row; None without.

        About .8 is well; near 0 the chains stood still. It says that they move, not that they
        have arrived, and is no effective sample size.
        """
        said = self.imputed.acceptance
        return None if said is None else said.cpu().numpy()

    def interval(self, level: float = 0.9) -> tuple[Any, Any]:
        """The central interval of the draws: two results like ``mean``, lower and upper.

        Numbers, counts, ordinal levels, vectors and pixels have bounds; what was observed is its
        own bound. A category, a text, a set of tags or a sound has no order: its two bounds are
        its likeliest value.

        Arguments:
            level: The probability that the interval should hold.

        Raises:
            ValueError: If the level is not in (0, 1), or too high for the number of draws.
        """
        if not isinstance(level, int | float | np.number) or not 0 < level < 1:
            raise ValueError(f"interval: level must be a number between 0 and 1, got {level!r}.")
        n_draws = len(next(iter(self.imputed.draws.values())))
        if level > (n_draws - 1) / (n_draws + 1):
            needed = int(np.ceil((1 + level) / (1 - level)))
            raise ValueError(
                f"interval: a {level:.0%} interval needs at least {needed} draws, got {n_draws}; "
                f"ask for impute(data, draws={needed})."
            )
        low, high = dict(self.imputed.point), dict(self.imputed.point)
        for name, draws in self.imputed.draws.items():
            ordered = self._ordered(name, draws)
            if ordered is None:
                continue
            # The quantile at p lies at place p (n + 1) among n draws: then a new value of the same
            # distribution falls inside with the probability asked for.
            bounds = np.quantile(
                draws.double().cpu().numpy(),
                [(1 - level) / 2, (1 + level) / 2],
                axis=0,
                method="weibull",
            )
            if self.codec.yes_no(name):
                # between 0 and 1 there is no value; outwards the interval holds no less
                bounds = np.floor(bounds[0]), np.ceil(bounds[1])
            for held, bound in zip((low, high), bounds, strict=True):
                made = torch.as_tensor(bound, dtype=draws.dtype)
                held[name] = torch.where(ordered, made, held[name].cpu())
        return self._filled(low), self._filled(high)

    @cached_property
    def sd(self) -> Any:  # noqa: ANN401
        """How unsure each filled value is, 0 where it was observed.

        A frame of numbers for tables: the draws' standard deviation in the column's units (dates:
        in days), or for
        a category the share of draws that differ from the most frequent one; a dictionary of
        modality name -> array for images, vectors and series, and for scalars that came as arrays;
        texts, tags and sounds have none.
        """
        spread = {}
        draws = [self._values(i) for i in range(len(self.draws))]
        for name in self.imputed.draws:
            if self.codec.kind(name) in _UNORDERED:
                continue
            if self.codec.kind(name) == "table":
                spread[name] = _table_spread([draw[name] for draw in draws])
            else:
                spread[name] = _spread(np.stack([_numbers(draw[name]) for draw in draws]))
        if self.data.in_arrays:
            return contained(self.codec, spread, "arrays")
        tables = [name for name in spread if self.codec.kind(name) == "table"]
        if len(spread) == 1 and tables:
            return spread[tables[0]]
        return spread

    def _values(self, index: int) -> dict[str, Any]:
        return {
            name: self._decoded(name, value[index]) for name, value in self.imputed.draws.items()
        }

    def _ordered(self, name: str, draws: Tensor) -> Tensor | None:
        """Where draws have an order, broadcastable to one draw; None for text."""
        kind = self.codec.kind(name)
        if kind in _UNORDERED:
            return None
        if kind == "table":
            return torch.tensor([c.kind in _NUMERIC for c in self.codec.columns(name)])
        return torch.ones((), dtype=torch.bool)

    def _decoded(self, name: str, value: Tensor) -> Any:  # noqa: ANN401
        """Raw values of a modality, observed ones exactly as they were."""
        made = self.codec.decode(name, value, self.data.index)
        if name not in self.data.names:
            return made
        there, before = self.data.present(name), self.data.values(name)
        if self.codec.kind(name) == "table":
            return _keep_cells(made, before, there)
        made, before = np.asarray(made), np.asarray(before)
        if not there.any():
            return made
        if there.size == made.size:
            keep = there.reshape(made.shape)
        else:
            keep = there.reshape(*there.shape, *(1,) * (made.ndim - there.ndim))
        merged = np.where(keep, before, made)
        filled = merged.astype(before.dtype)
        if before.dtype.kind != "f" and self.codec.yes_no(name) and (filled != merged).any():
            return merged  # probabilities, which no whole number holds
        return filled

    def _filled(self, values: dict[str, Tensor]) -> Any:  # noqa: ANN401
        made = {name: self._decoded(name, value) for name, value in values.items()}
        had = {name: value for name, value in made.items() if name in self.data.names}
        new = {name: value for name, value in made.items() if name not in had}
        held = self.data.replace(had).native() if had else self.data.native()
        if not new:
            return held
        added = contained(self.codec, new, container_of(self.data))
        if isinstance(held, dict):
            return {**held, **added}
        return held.join(added.set_axis(held.index, axis=0))


def container_of(data: MultimodalData) -> Container:
    """What the data came in."""
    return "arrays" if data.in_arrays else "frame"


def contained(codec: DataCodec, values: dict[str, Any], container: Container) -> Any:  # noqa: ANN401
    """Raw values of all modalities as one frame, or as a dictionary of arrays."""
    import pandas as pd

    if container == "arrays":
        arrays = {}
        for name, value in values.items():
            alone = codec.kind(name) == "table" and list(value.columns) == [name]
            arrays[name] = value[name].to_numpy(copy=True) if alone else value
        return arrays
    parts = []
    for name, value in values.items():
        if codec.kind(name) == "table":
            parts.append(value)
            continue
        cells = objects(value)
        if codec.kind(name) == "series" and codec.schema[name].likelihood in COUNTED:
            cells = objects(whole_if_all(one) for one in cells)
        parts.append(pd.Series(cells, name=codec.schema[name].column).to_frame())
    index = next((part.index for part in parts if isinstance(part, pd.DataFrame)), None)
    return pd.concat([part.set_axis(index, axis=0) for part in parts], axis=1)


def _keep_cells(made: Any, before: Any, there: np.ndarray) -> Any:  # noqa: ANN401
    """A table's frame with the cells that were there exactly as they were."""
    import pandas as pd

    columns = {}
    for place, column in enumerate(made.columns):
        old, new, known = before[column], made[column], there[:, place]
        if known.all():
            columns[column] = old
        elif not known.any():
            columns[column] = new
        else:
            columns[column] = _merged(old, new, known)
    return pd.DataFrame(columns, index=made.index)


def _merged(old: Any, new: Any, known: np.ndarray) -> Any:  # noqa: ANN401
    """A column's known cells and new ones for the rest, in the dtype it had if that holds them."""
    import pandas as pd

    kinds = [one.dtype.kind for one in (old, new) if isinstance(one.dtype, np.dtype)]
    if len(kinds) == 2 and kinds[0] == "f" and kinds[1] in "fiu":
        cells = np.where(known, old.to_numpy(), new.to_numpy()).astype(old.dtype)
        return pd.Series(cells, index=old.index)
    if isinstance(old.dtype, pd.CategoricalDtype):
        lacking = [v for v in new[~known].unique() if v not in old.cat.categories]
        dtype = old.cat.add_categories(lacking).dtype
        if isinstance(new.dtype, pd.CategoricalDtype) and lacking:
            # The order of training, where it knows all that this column has.
            levels = new.cat.categories
            whole = set(old.cat.categories) <= set(levels)
            dtype = pd.CategoricalDtype(levels, old.cat.ordered) if whole else dtype
    else:
        dtype = old.dtype
    cells = old.astype(object).to_numpy(copy=True)
    cells[~known] = new.astype(object).to_numpy()[~known]
    try:
        return pd.Series(cells, index=old.index, dtype=dtype)
    except (TypeError, ValueError):  # whole numbers that got fractions
        return pd.Series(cells, index=old.index).infer_objects()


def _spread(stack: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis, exactly 0 where nothing varies."""
    if len(stack) < 2:
        return np.zeros(stack.shape[1:])
    return np.where((stack == stack[0]).all(0), 0.0, stack.std(0, ddof=1))


def _numbers(values: Any) -> np.ndarray:  # noqa: ANN401
    """Images or vectors as one array of float64, from an array or from objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        values = np.stack([np.asarray(value) for value in values])
    return np.asarray(values, dtype=np.float64)


def _table_spread(frames: list[Any]) -> Any:  # noqa: ANN401
    """Standard deviation of numbers, disagreement of categories, over draws of one table."""
    import pandas as pd

    columns = {}
    for column in frames[0].columns:
        values = [frame[column] for frame in frames]
        if all(pd.api.types.is_datetime64_any_dtype(value) for value in values) and len(values[0]):
            start = values[0].iloc[0]
            values = [(value - start) / pd.Timedelta(days=1) for value in values]
        if all(pd.api.types.is_numeric_dtype(value) for value in values):
            stack = np.stack(
                [value.to_numpy(dtype=np.float64, na_value=np.nan) for value in values]
            )
            columns[column] = _spread(stack)
            continue
        table = pd.DataFrame(np.stack([value.astype(str).to_numpy() for value in values]))
        most = table.mode(axis=0).iloc[0].to_numpy()
        columns[column] = (table.to_numpy() != most).mean(0)
    return pd.DataFrame(columns, index=frames[0].index)
