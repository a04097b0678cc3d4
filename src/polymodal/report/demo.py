"""The demo's workings: hide what is known, learn, answer, compare, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from polymodal.estimator import MultimodalModel
from polymodal.report.cells import decoded_columns
from polymodal.report.write import write_report
from polymodal.tasks.filled import Imputation
from polymodal.tasks.impute import impute
from polymodal.training.plan import usual_batch_size, usual_epochs
from polymodal.typing import rows_present

if TYPE_CHECKING:
    from polymodal.data.codec import DataCodec
    from polymodal.data.dataset import MultimodalData
    from polymodal.data.tensors import Tensors
    from polymodal.evaluate.result import Evaluation
    from polymodal.tasks.impute import Imputed

DataName = Literal["fashion", "mfeat", "tcga_acc", "penguins"]
SHARE_MODALITIES, SHARE_CELLS, TEST_SHARE = 0.25, 0.1, 0.2
PROPOSALS, DRAWS, MOST_JUDGED = 50, 30, 250
"""What the demo spends on its answers, so that all of it ends within five minutes."""
_TITLES = {
    "fashion": "Clothes: pictures, tables and captions",
    "mfeat": "Handwritten digits in six views",
    "tcga_acc": "Adrenal tumours in five kinds of molecules",
    "penguins": "Penguins of the Palmer archipelago",
}


@dataclass(frozen=True)
class Checked:
    """Hidden values of one column or modality, filled in and compared with the truth.

    Arguments:
        modality: The modality.
        column: The table's column; None for a vector or picture.
        n: Hidden rows judged.
        metric: ``"mae"`` for numbers, in the column's units; ``"error_rate"`` for categories;
            ``"rmse"`` for vectors (in standard deviations) and pictures (pixels in [0, 1]).
        model: The model's error.
        simple: That of the median, the most frequent category or the mean of what was left.
    """

    modality: str
    column: str | None
    n: int
    metric: str
    model: float
    simple: float


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to."""

    model: MultimodalModel
    evaluation: Evaluation
    checked: tuple[Checked, ...]
    report: Path
    model_file: Path
    filled: Any
    words: str
    seconds: float


def run_demo(
    data: DataName = "fashion",
    out: Path = Path("polymodal-demo"),
    *,
    recipe: str = "polymodal",
    seconds: float = 90.0,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: bool = False,
) -> DemoResult:
    """Learn from bundled data with holes whose answers are known, and report how well it went.

    A fifth of the rows is kept for the test. Of the others a quarter of the modalities and a tenth
    of the tables' cells are hidden; the model learns from what is left.

    Arguments:
        data: The bundled data set.
        out: The folder for the report and the model.
        recipe: The paper to follow.
        seconds: Wall time that training may take.
        seed: Everything random follows from it.
        say: Told what is being done, a line a step.
        progress: Show a progress bar while training.
    """
    from polymodal.data.bundled import load_bundled

    begun = time.monotonic()
    whole = load_bundled(data)
    train, test = whole.split(TEST_SHARE, seed=seed)
    holey, _ = train.hide(SHARE_MODALITIES, SHARE_CELLS, seed=seed)
    say(
        f"Data: {len(whole):,} rows of {data} ({', '.join(whole.names)}), "
        f"{len(test):,} of them for the test."
    )
    say(
        f"Hidden from the model: {SHARE_MODALITIES:.0%} of the modalities and {SHARE_CELLS:.0%} "
        "of the table cells of the training rows."
    )
    say(f"Learning by {recipe}, {seconds:.0f} s at most ...")
    model = fit_within(holey, seconds, recipe=recipe, seed=seed, progress=progress)
    say(f"{model.result_.reason}")
    model_file = out / "model.pm"
    model.save(model_file)
    say("Filling in what was hidden and comparing with the truth ...")
    imputed, checked = fill_in(model, holey, train, seed)
    say("Evaluating on the test rows beside simple methods ...")
    evaluation = model.evaluate(test[:MOST_JUDGED], draws=DRAWS, seed=seed)
    say("Drawing the report ...")
    report = write_report(
        out / "report.html",
        model,
        test,
        evaluation=evaluation,
        train=holey,
        checked=checked,
        title=_TITLES.get(data, data),
        commands=[
            f"polymodal demo --data {data} --recipe {recipe} --seconds {seconds:g} --seed {seed}"
        ],
        seed=seed,
    )
    words = describe_demo(model, evaluation, checked)
    return DemoResult(
        model,
        evaluation,
        checked,
        report,
        model_file,
        Imputation(holey, model.codec_, imputed).mean,
        words,
        time.monotonic() - begun,
    )


def fill_in(
    model: MultimodalModel, holey: MultimodalData, whole: MultimodalData, seed: int
) -> tuple[Imputed, tuple[Checked, ...]]:
    """Fill the holes, and compare with what the rows had before they were made."""
    rows = model.codec_.encode(holey).to(model.model_.device)
    # No draws and few proposals: the demo asks for the best guess only, and has little time.
    imputed = impute(model.model_, rows, draws=0, proposals=PROPOSALS, seed=seed)
    truth = model.codec_.encode(whole, unseen="missing").to(rows.device)
    return imputed, check_filled(model.codec_, truth, rows, imputed)


def fit_within(
    data: MultimodalData, seconds: float, *, recipe: str, seed: int, progress: bool
) -> MultimodalModel:
    """Fit for as many epochs as the time allows, so that the learning rate can fall to its end.

    Two epochs are tried first to see what one costs (the first also pays for starting up); a part
    of the time is left for slower ones.
    """
    probe = MultimodalModel(recipe=recipe, seed=seed, epochs=2, progress=False).fit(data)
    tried = [past.seconds for past in probe.result_.history]
    cost = max(min(tried), 1e-6) if tried else seconds
    usual = usual_epochs(probe.n_rows_, usual_batch_size(probe.n_rows_))
    epochs = max(1, min(usual, int(0.85 * (seconds - sum(tried)) / cost)))
    model = MultimodalModel(
        recipe=recipe,
        seed=seed,
        epochs=epochs,
        progress=progress,
        max_seconds=max(seconds - sum(tried), 0.1),
    )
    return model.fit(data)


def check_filled(
    codec: DataCodec, truth: Tensors, holey: Tensors, imputed: Imputed
) -> tuple[Checked, ...]:
    """Compare what was filled in with what had been hidden; texts are left to the evaluation.

    Arguments:
        codec: The model's codec.
        truth: The rows before anything was hidden.
        holey: The rows that the model saw.
        imputed: The rows filled in.
    """
    found: list[Checked] = []
    for name in holey.names:
        left, was = holey.present[name], truth.present[name]
        asked = was & ~left
        if codec.kind(name) == "text" or not asked.any():
            continue
        true, said = truth.x[name], imputed.point[name]
        if codec.kind(name) == "table":
            found += _check_table(codec, name, true, said, asked, left)
            continue
        cells = asked if asked.ndim == 2 else asked.reshape(-1, *(1,) * (true.ndim - 1))
        known = left if left.ndim == 2 else left.reshape(cells.shape)
        mean = torch.where(known, true, 0).sum(0) / known.expand_as(true).sum(0).clamp(min=1)
        cells = cells.expand_as(true)
        errors = [float((guess - true)[cells].square().mean().sqrt()) for guess in (said, mean)]
        rows = int(rows_present(asked).sum())
        found.append(Checked(name, None, rows, "rmse", errors[0], errors[1]))
    return tuple(found)


def _check_table(
    codec: DataCodec, name: str, true: Tensor, said: Tensor, asked: Tensor, left: Tensor
) -> list[Checked]:
    truths, answers = (decoded_columns(codec, name, values) for values in (true, said))
    found = []
    for j, column in enumerate(codec.columns(name)):
        rows = asked[:, j].nonzero().flatten().tolist()
        if not rows:
            continue
        right, got = ([values[column.name][i] for i in rows] for values in (truths, answers))
        known = [truths[column.name][i] for i in left[:, j].nonzero().flatten().tolist()]
        if column.levels:
            usual = Counter(known).most_common(1)[0][0] if known else None
            model = float(np.mean([a != b for a, b in zip(right, got, strict=True)]))
            simple = float(np.mean([a != usual for a in right]))
            found.append(Checked(name, column.name, len(rows), "error_rate", model, simple))
            continue
        truth = np.array(right, dtype=float)
        model = float(np.abs(truth - np.array(got, dtype=float)).mean())
        simple = float(np.abs(truth - np.median(np.array(known, dtype=float))).mean())
        found.append(Checked(name, column.name, len(rows), "mae", model, simple))
    return found


def describe_demo(
    model: MultimodalModel, evaluation: Evaluation, checked: Sequence[Checked]
) -> str:
    """One plain paragraph: what was learned, and whether a simple baseline did better anywhere."""
    names = model.codec_.names
    learned = (
        f"From {model.n_rows_:,} rows with holes the model learned how {_listed(names)} go "
        "together."
    )
    if checked:
        better = sum(one.model < one.simple for one in checked)
        learned += (
            f" Of what had been hidden from it, it restored {better} of {len(checked)} columns "
            "and modalities better than the mean or the most frequent category would."
        )
    return f"{learned} {evaluation.verdict}"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"the columns of {names[0]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"
