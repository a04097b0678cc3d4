"""The practitioner's front class, with scikit-learn's habits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from polymodal.data.dataset import MultimodalData
from polymodal.data.modalities import NetworkSettings
from polymodal.data.tensors import Tensors
from polymodal.distributions.decoding import Decoding
from polymodal.estimator.learning import Learner
from polymodal.estimator.stored import write_model
from polymodal.estimator.written import written
from polymodal.files import as_path
from polymodal.fitting import as_data
from polymodal.tasks.attribute import attribution_frame
from polymodal.tasks.cluster import cluster
from polymodal.tasks.filled import Imputation, contained, container_of
from polymodal.tasks.generate import Values, embed, generate
from polymodal.tasks.impute import impute
from polymodal.tasks.log_likelihood import Kind, log_likelihood
from polymodal.tasks.scores import Scores
from polymodal.tasks.translate import modality_names, reconstruct, translate
from polymodal.tasks.walked import Traversal, walk
from polymodal.typing import checked_seed, is_whole

if TYPE_CHECKING:
    from pandas import DataFrame

    from polymodal.evaluate.skill import Evaluation

    DataLike = MultimodalData | DataFrame | str | Path


class MultimodalModel(Learner):
    """One latent model of several modalities: fit, then ask.

    Wherever data are asked for, a ``MultimodalData``, a path or a frame will do; paths and frames
    are read with the schema that was fitted. Results come back as the kinds that went in.

    Arguments:
        recipe: The paper to follow; ``polymodal recipes`` lists them.
        latent_dim: Size of the latent space that all modalities share.
        private_dim: Size of each modality's own latent space, for recipes that have one: 0 for
            none, the recipe's own default when None.
        epochs: Passes over the training rows; from the number of rows when None.
        seed: Everything random follows from it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``...
        precision: ``"32"`` or ``"bf16"``.
        progress: Show a progress bar on standard error while training.
        batch_size: Rows a step; from the number of rows when None.
        learning_rate: Adam's highest step size.
        patience: Epochs without a better validation score before training stops; None for never.
        validation_share: Share of the rows held out for early stopping when no validation data
            are given.
        settings: Settings of the recipe, by name; see ``polymodal explain``. Numbers, words and
            the schedules ``Constant``, ``LinearWarmup`` and ``Cyclic``: what a file can hold.
        networks: Sizes and kinds of the networks.
        max_seconds: Stop training after this wall time, with the best weights so far.
        checkpoint_minutes: Minutes between checkpoints, where ``fit`` is given a ``run_dir``.

    Attributes:
        model_: The fitted latent model.
        codec_: What turns data into tensors and back.
        schema_: The schema that was fitted.
        result_: How training ended, with its history.
        container_: What the data came in, ``"frame"`` or ``"arrays"``; ``generate`` gives it back.
        held_out_: Rows of the training data that were held out, as positions.

    Example:
        >>> import polymodal as pm
        >>> data = pm.load_bundled("penguins")
        >>> model = pm.MultimodalModel(epochs=2, progress=False).fit(data[:60])
        >>> int(model.impute(data[60:80], draws=5).mean.isna().sum().sum())
        0
    """

    def __init__(
        self,
        recipe: str = "polymodal",
        latent_dim: int = 32,
        private_dim: int | None = None,
        epochs: int | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: Literal["32", "bf16"] = "32",
        progress: bool = True,
        *,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        patience: int | None = 100,
        validation_share: float = 0.1,
        settings: Mapping[str, Any] | None = None,
        networks: NetworkSettings | None = None,
        max_seconds: float | None = None,
        checkpoint_minutes: float = 5.0,
    ) -> None:
        self.recipe = recipe
        self.latent_dim = latent_dim
        self.private_dim = private_dim
        self.epochs = epochs
        self.seed = seed
        self.device = device
        self.precision: Literal["32", "bf16"] = precision
        self.progress = progress
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_share = validation_share
        self.settings = settings
        self.networks = networks
        self.max_seconds = max_seconds
        self.checkpoint_minutes = checkpoint_minutes

    # -- asking ---------------------------------------------------------------------------------

    def impute(
        self,
        data: DataLike,
        draws: int = 20,
        seed: int | None = None,
        refine: int = 0,
        text: Decoding | str | None = None,
    ) -> Imputation:
        """Fill every hole given all that its row has.

        Arguments:
            data: The rows.
            draws: How many times; a draw shares its latent over all holes of a row.
            seed: All draws follow from it; the model's own seed when None.
            refine: Steps of Hamiltonian Monte Carlo towards the true posterior; 0 for none. Slow,
                exact in the limit; it can pay where ``ess`` is small.
            text: How missing texts are written, as in ``translate``.

        Returns:
            An ``Imputation``: ``mean``, ``draws``, ``interval(level)``, ``sd``, ``ess``.
        """
        rows = self._rows(data)
        self._check_positive("draws", draws)
        if refine != 0:
            self._check_positive("refine", refine)
        seed = self._seed(seed)
        how = written(text, self.schema_)
        said = impute(
            self.model_, self._encode(rows), draws=draws, refine=refine, seed=seed, text=how
        )
        return Imputation(rows, self.codec_, said)

    def reconstruct(self, data: DataLike, seed: int | None = None) -> Any:  # noqa: ANN401
        """Every modality as the model sees it, given all that a row has."""
        rows = self._rows(data)
        made = reconstruct(self.model_, self._encode(rows), seed=self._seed(seed))
        return contained(self.codec_, self._decoded(made, rows), container_of(rows))

    def translate(
        self,
        data: DataLike,
        to: str | Sequence[str],
        given: str | Sequence[str] | None = None,
        draws: int = 1,
        seed: int | None = None,
        text: Decoding | str | None = None,
    ) -> Any:  # noqa: ANN401
        """Some modalities given others.

        Arguments:
            data: The rows.
            to: The modality wanted, or several.
            given: The modalities to read; all that the data have but ``to`` when None.
            draws: 1 for the best answer, more for a list of that many samples.
            seed: All draws follow from it; the model's own seed when None.
            text: How texts are written: a ``Decoding`` or its words, ``"beam, width=8"``,
                ``"sample, temperature=0.7"``. None takes the likeliest word at each step, and
                plain samples for draws.

        Returns:
            Raw values of ``to`` (a list of strings, an array of images, a frame, an array of a
            scalar that came as an array...), or a dictionary when several were asked for; a list
            of them when ``draws`` is above 1.
        """
        rows = self._rows(data)
        wanted = list(modality_names("to", to))
        read_from = None if given is None else modality_names("given", given)
        lacking = [n for n in read_from or () if n in self.schema_ and n not in rows.names]
        if lacking:
            raise ValueError(
                f"translate: given={lacking[0]!r}, which the data lack; they have "
                f"{', '.join(rows.names)}."
            )
        self._check_positive("draws", draws)
        said = translate(
            self.model_,
            self._encode(rows),
            wanted,
            read_from,
            draws=draws,
            seed=self._seed(seed),
            text=written(text, self.schema_, wanted),
        )
        answers = []
        for i in range(draws):
            values = self._decoded({name: said[name][i] for name in wanted}, rows)
            if rows.in_arrays:
                values = contained(self.codec_, values, "arrays")
            answers.append(values[wanted[0]] if isinstance(to, str) else values)
        return answers[0] if draws == 1 else answers

    def attribute(
        self,
        data: DataLike,
        to: str,
        given: str | Sequence[str] | None = None,
        level: object = None,
        orders: int = 100,
        seed: int | None = None,
    ) -> DataFrame:
        """How much each known feature moves the prediction of one column: Shapley values.

        Arguments:
            data: The rows.
            to: The column that is predicted, or a table of one column.
            given: The modalities to read; all when None, but never the predicted cell.
            level: The level of a category whose probability is shared out; the likeliest if None.
            orders: Random orders for more than ten features; up to ten are exact.
            seed: The orders follow from it; the model's own seed when None.

        Returns:
            A column a feature (cells of tables, other modalities as a whole), then ``(nothing)``
            and ``(everything)``: the features add up to their difference. A number is in its own
            units, a positive one in its logarithm, a category in probability.
        """
        rows = self._rows(data)
        return attribution_frame(
            self.model_,
            self.codec_,
            self._encode(rows),
            rows.index,
            to,
            given=[given] if isinstance(given, str) else given,
            level=level,
            orders=orders,
            seed=self._seed(seed),
        )

    def generate(
        self,
        n: int,
        seed: int | None = None,
        values: Values = "auto",
        text: Decoding | str | None = None,
    ) -> Any:  # noqa: ANN401
        """New rows from the prior, in the container that the model was fitted on.

        Arguments:
            n: How many.
            seed: All draws follow from it; the model's own seed when None.
            values: ``"sample"``, ``"mean"``, ``"mode"``, ``"median"``, or ``"auto"``: sampled
                tables and text, mean images and vectors; see ``polymodal.tasks.generate``.
            text: How texts are written, as in ``translate``.
        """
        self._check_fitted()
        self._check_positive("n", n)
        how, seed = written(text, self.schema_), self._seed(seed)
        made = generate(self.model_, n, seed=seed, values=values, text=how)
        raw = {name: self.codec_.decode(name, value) for name, value in made.items()}
        return contained(self.codec_, raw, self.container_)

    def embed(self, data: DataLike, block: str = "shared") -> np.ndarray:
        """The posterior mean of each row, float32 ``(N, D)``.

        Arguments:
            data: The rows.
            block: ``"shared"``: the ``latent_dim`` numbers that all modalities share (all, where
                the model has no such block); a modality: its private latents; ``"all"``: the
                shared block, then the private ones in the order of the modalities, at their prior
                mean where one is absent.

        Raises:
            ValueError: If the model has no such block.
        """
        tensors = self._encode(self._rows(data))
        return embed(self.model_, tensors, block).cpu().numpy()

    def traverse(
        self,
        data: DataLike,
        directions: int | Sequence[int] = 6,
        steps: int = 7,
        reach: float = 2.0,
        start: int | None = None,
        block: str | None = None,
        to: str | Sequence[str] | None = None,
    ) -> Traversal:
        """Walk through the latent space from one row, and decode every modality at each step.

        Arguments:
            data: Rows that show along which directions rows differ, and how far; 2 or more.
            directions: How many, those along which rows differ most; or which latent numbers.
            steps: Steps of a walk.
            reach: How far to each side of the average, in standard deviations over the rows.
            start: Position of the row to start from; the one nearest to the average when None.
            block: With private latents, the block to choose directions from: ``"shared"``, or the
                modality whose own they are; all when None.
            to: The modalities to decode; all when None.

        Returns:
            A ``Traversal``: ``frame()``, ``pictures(name)``, and ``table()`` of the directions.

        Raises:
            ValueError: If there are too few rows, they do not differ, or something asked for is
                out of range.
        """
        tensors = self._encode(self._rows(data))
        return walk(
            self.model_,
            self.codec_,
            tensors,
            directions=directions,
            steps=steps,
            reach=reach,
            start=start,
            block=block,
            names=[to] if isinstance(to, str) else to,
        )

    def cluster(self, data: DataLike, draws: int = 100, seed: int | None = None) -> DataFrame:
        """The likeliest ``cluster`` of each row and its ``probability``, given all that it has.

        For models whose prior is a mixture, as of the recipe ``cmvae``; see ``polymodal.tasks``.

        Arguments:
            data: The rows.
            draws: Draws of the latent vector a row.
            seed: All draws follow from it; the model's own seed when None.

        Raises:
            ValueError: If the prior is no mixture.
        """
        rows = self._rows(data)
        self._check_positive("draws", draws)
        found = cluster(self.model_, self._encode(rows), draws=draws, seed=self._seed(seed))
        return found.frame(rows.index)

    def score(
        self,
        data: DataLike,
        samples: int = 1000,
        seed: int | None = None,
        of: str | Sequence[str] | None = None,
        given: str | Sequence[str] | None = None,
        kind: Kind | None = None,
    ) -> np.ndarray:
        """Log-likelihood of all that each row has, or of a part, in nats, float64 ``(N,)``.

        Importance-sampled, in the data's own units; likelihood weights of training play no part.
        ``score_rows`` says beside it how many of the samples count.

        Arguments:
            data: The rows.
            samples: Importance samples a row.
            seed: All draws follow from it; the model's own seed when None.
            of: The modalities to score; all when None.
            given: The modalities that they are given.
            kind: ``"joint"``, p(x): the default; ``"marginal"``, p(of): the default with ``of``
                alone (``given`` then says what the proposal reads); ``"conditional"``,
                p(of | given) of the model: the default with both; or ``"predictive"``, the density
                from which translations of ``given`` are drawn.
        """
        return self.score_rows(data, samples, seed, of, given, kind).log_p

    def score_rows(
        self,
        data: DataLike,
        samples: int = 1000,
        seed: int | None = None,
        of: str | Sequence[str] | None = None,
        given: str | Sequence[str] | None = None,
        kind: Kind | None = None,
    ) -> Scores:
        """As ``score``, with the effective sample size of each row and what was asked."""
        tensors = self._encode(self._rows(data))
        self._check_positive("samples", samples)
        said = log_likelihood(
            self.model_,
            tensors,
            samples=samples,
            seed=self._seed(seed),
            of=of,
            given=given,
            kind=kind,
        )
        outside = self.codec_.log_jacobian(tensors.x, tensors.present, said.of)
        return Scores.of_encoded(said, outside)

    def evaluate(
        self,
        data: DataLike,
        train: DataLike | None = None,
        draws: int = 50,
        seed: int | None = None,
    ) -> Evaluation:
        """Hide what is known of these rows, ask for it, and compare with simple baselines.

        Arguments:
            data: Rows that were not trained on; of the very data of ``fit``, only the rows that
                were held out are judged.
            train: The rows that the baselines learn from; those of ``fit`` when None.
            draws: Draws for intervals and CRPS.
            seed: What is hidden and all draws follow from it.

        Raises:
            ValueError: If ``train`` is None and ``data`` are the rows that were trained on, or the
                model was loaded from a file, which holds no training rows, and ``data`` are not
                those of the fit.
        """
        from polymodal.evaluate.held_out import choose_rows
        from polymodal.evaluate.skill import evaluate_skill

        test = self._encode(self._rows(data))
        named = None if train is None else self._encode(self._rows(train))
        judged = choose_rows(test, named, self._trained(), self.held_out_)
        known = self._train_tensors if judged.learned is None else judged.learned
        if known is None:
            raise ValueError(
                "evaluate: a model file holds no training rows, and the baselines must learn from "
                "some; pass train=, the rows that the model was fitted on."
            )
        return evaluate_skill(
            self.model_,
            self.codec_,
            judged.rows,
            known,
            draws=draws,
            seed=self._seed(seed),
            notes=judged.notes,
            held_out=judged.held_out,
        )

    # -- files ----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model to one file, which ``polymodal.load`` reads. It holds no code."""
        self._check_fitted()
        write_model(self, as_path("save", path))

    # -- inside ---------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(
                "This MultimodalModel is not fitted yet; call fit(data), or load a saved model."
            )

    def _rows(self, data: DataLike) -> MultimodalData:
        self._check_fitted()
        rows = as_data(data, self.schema_)
        if len(rows) == 0:
            raise ValueError(f"{rows.origin}: there are no rows; at least one is needed.")
        return rows

    def _encode(self, data: MultimodalData) -> Tensors:
        encoded = self.codec_.encode(data)
        return encoded.to(self.model_.device)

    def _decoded(self, made: Mapping[str, Tensor], rows: MultimodalData) -> dict[str, Any]:
        """Raw values of whole modalities, (N, ...) each, in the form that the rows have."""
        return {
            name: rows.formed(name, self.codec_.decode(name, value, rows.index))
            for name, value in made.items()
        }

    def _seed(self, seed: int | None) -> int:
        return checked_seed("seed", self.seed if seed is None else seed)

    @staticmethod
    def _check_positive(name: str, value: int) -> None:
        if not is_whole(value, 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
