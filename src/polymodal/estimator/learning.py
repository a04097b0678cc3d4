"""How the front class learns: from data to a fitted model, and on with a run that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.schema import Schema
from polymodal.data.tensors import Tensors
from polymodal.estimator.habits import Habits
from polymodal.files import as_path
from polymodal.fitting import Prepared, as_data, build_model, checked, end_training, prepare
from polymodal.model import LatentModel
from polymodal.tasks.filled import Container
from polymodal.training.fit import fit
from polymodal.training.plan import usual_batch_size, usual_epochs
from polymodal.training.progress import ProgressReporter, choose_progress
from polymodal.training.settings import TrainSettings

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

    def resume(self, path: str | Path) -> Self:
        """Go on with a run that was stopped or killed: exactly as if it had never been.

        Arguments:
            path: The ``run_dir`` that ``fit`` was given.

        Raises:
            FileError: If there is no run to go on with, or its files are damaged.
        """
        parameters, rows = Prepared.read(as_path("resume", path))
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
        batch_size = chosen["batch_size"] or usual_batch_size(len(rows.train))
        settings = TrainSettings(
            epochs=chosen["epochs"] or usual_epochs(len(rows.train), batch_size),
            batch_size=batch_size,
            learning_rate=chosen["learning_rate"],
            patience=chosen["patience"],
            seed=chosen["seed"],
            precision=chosen["precision"],
            device=chosen["device"],
            max_seconds=chosen["max_seconds"],
            checkpoint_minutes=chosen["checkpoint_minutes"],
        )
        self.result_ = fit(
            model,
            rows.train,
            settings,
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
        self._defaults = rows.defaults
        return self

    def _reporter(self) -> ProgressReporter | None:
        """What training tells of its course; children may listen for themselves."""
        return choose_progress() if self.progress else None
