"""How the front class learns: from data to a fitted model, and on with a run that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.schema import Schema
from polymodal.data.tensors import Tensors
from polymodal.estimator.habits import Habits
from polymodal.files import FileError, as_path
from polymodal.fitting import (
    Prepared,
    anything,
    as_data,
    build_model,
    checked,
    end_training,
    prepare,
    train_settings,
)
from polymodal.model import LatentModel
from polymodal.tasks.filled import Container
from polymodal.training.fit import fit
from polymodal.training.progress import ProgressReporter, choose_progress

if TYPE_CHECKING:
    from pandas import DataFrame

    DataLike = MultimodalData | DataFrame | str | Path


class Learner(Habits):
    """What learns by its parameters, which are those of ``MultimodalModel``."""

    progress: bool
    model_: LatentModel
    codec_: DataCodec
    schema_: Schema

    def fit(
        self,
        data: DataLike,
        validation: DataLike | None = None,
        run_dir: str | Path | None = None,
    ) -> Self:
        """Fit the codec and the model.

        A run that diverges keeps its last good weights and says so in ``result_``.

        Arguments:
            data: Training rows.
            validation: Rows for early stopping; a share of the training rows when None. What no
                training row shows, such as another category, counts as missing in them.
            run_dir: Folder for checkpoints, from which ``resume`` goes on.

        Raises:
            ValueError: If the data have no rows, or a parameter is out of range.
            FileError: If ``run_dir`` holds a run already.
        """
        parameters = checked(self.get_params())
        share, seed = parameters["validation_share"], parameters["seed"]
        rows = prepare(as_data(data), validation, share, seed)
        model = self._build(rows)
        if run_dir is not None:
            rows.write(as_path("fit: run_dir", run_dir), parameters)
        return self._train(model, rows, run_dir, resume=False)

    def resume(
        self,
        path: str | Path,
        data: DataLike | None = None,
        validation: DataLike | None = None,
    ) -> Self:
        """Go on with a run that was stopped or killed: exactly as if it had never been.

        Arguments:
            path: The ``run_dir`` that ``fit`` was given.
            data: The rows that ``fit`` was given, if they shall be checked: the run's folder has
                them, and goes on with no others.
            validation: The validation rows that ``fit`` was given, if any; checked with ``data``.

        Raises:
            FileError: If there is no run to go on with, its files are damaged, or the data are
                others than the run's.
        """
        folder = as_path("resume", path)
        parameters, rows = Prepared.read(folder)
        if data is not None:
            given = as_data(data)
            tuned = None if validation is None else as_data(validation, given.schema)
            check_same(folder, rows, given, tuned)
        self.set_params(**parameters)
        return self._train(self._build(rows), rows, path, resume=True)

    def _build(self, rows: Prepared) -> LatentModel:
        model = build_model(checked(self.get_params()), rows.codec, rows.defaults)
        model.start_from(rows.train.x, rows.train.present)
        return model

    def _train(
        self, model: LatentModel, rows: Prepared, run_dir: str | Path | None, *, resume: bool
    ) -> Self:
        chosen = checked(self.get_params())
        self.result_ = fit(
            model,
            rows.train,
            train_settings(chosen, len(rows.train)),
            validation=rows.validation,
            run_dir=None if run_dir is None else Path(run_dir),
            resume=resume,
            progress=self._reporter(),
        )
        end_training(model, rows.train, self.result_, chosen["seed"])
        self.model_, self.codec_, self.schema_ = model, rows.codec, rows.codec.schema
        self.held_out_, self.n_rows_ = rows.held_out, len(rows.train)
        self.container_: Container = rows.container
        self._train_tensors: Tensors | None = rows.train
        self._trained_hashes: Tensor | None = None
        self._defaults = rows.defaults
        return self

    def _trained(self) -> Tensor | None:
        """Hashes of the rows that the model was trained on; None where its file lacks them."""
        from polymodal.evaluate.held_out import row_hashes

        held = self._train_tensors
        return self._trained_hashes if held is None else row_hashes(held)

    def _reporter(self) -> ProgressReporter | None:
        """What training tells of its course; children may listen for themselves."""
        return choose_progress() if self.progress else None


def check_same(
    folder: Path, rows: Prepared, data: MultimodalData, validation: MultimodalData | None
) -> None:
    """Refuse other data than those that a run was begun with.

    Arguments:
        folder: That of the run, for the error.
        rows: What it keeps.
        data: What should be the rows that it was begun with.
        validation: What should be its validation rows, if they were given.

    Raises:
        FileError: If they are not.
    """
    held_out, codec = rows.held_out, rows.codec
    n_held, kept = len(held_out), np.setdiff1d(np.arange(len(data)), held_out)
    same = (
        _layout(data.schema) == _layout(codec.schema)
        and len(kept) == len(data) - n_held
        and _encode_to(codec, data[kept[anything(data[kept])]], rows.train, "raise")
    )
    if not same:
        n_known, n_got = len(rows.train) + n_held, len(data)
        raise FileError(
            f"{folder}: this run learned from {n_known} row{'s' * (n_known != 1)} of "
            f"{', '.join(codec.names)}; {data.origin}, {n_got} row{'s' * (n_got != 1)} of "
            f"{', '.join(data.names)}, holds other data or is read by another schema. Give the "
            "data and schema that the run was begun with, or begin another in another folder."
        )
    taken = n_held > 0  # of the data themselves, where no validation rows were given
    tuned = data[held_out] if taken and validation is None else validation
    if (taken and validation is not None) or not _encode_to(
        codec, tuned, rows.validation, "missing"
    ):
        own = rows.validation is not None and not taken
        raise FileError(
            f"{folder}: the validation rows are other than those of this run, which was begun "
            f"{'with rows of its own' if own else 'without any'}. Give what the run was begun "
            "with, or begin another in another folder."
        )


def _encode_to(
    codec: DataCodec,
    data: MultimodalData | None,
    known: Tensors | None,
    unseen: Literal["raise", "missing"],
) -> bool:
    """Whether rows encode to those that are known, but for how machines round."""
    if known is None or data is None or len(known) != len(data):
        return known is None and data is None
    try:
        rows = codec.encode(data, unseen=unseen)
    except ValueError:  # such as a category that no training row has
        return False
    return all(
        rows.present[name].equal(there)
        and torch.allclose(rows.x[name], known.x[name], 1e-4, 1e-5, equal_nan=True)
        for name, there in known.present.items()
    )


def _layout(schema: Schema) -> dict[str, Any]:
    """What a schema says of the data before anything is learned from them."""
    return {
        name: (spec.kind, spec.column, [(column.name, column.kind) for column in spec.columns])
        for name, spec in schema.modalities.items()
    }
