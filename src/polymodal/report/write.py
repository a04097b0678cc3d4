"""Write the report: gather what each section shows, fill the template, one file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymodal.evaluate.held import say_width
from polymodal.replacing import write_whole
from polymodal.report.answers import answer_grids, cell_grid, which_shown
from polymodal.report.cells import show
from polymodal.report.charts import draw_calibration, draw_training
from polymodal.report.holes import describe_data
from polymodal.report.made import describe_making
from polymodal.report.pictures import encode_figure
from polymodal.report.plane import describe_latent
from polymodal.report.skill import describe_checked, describe_skill
from polymodal.tasks.generate import generate

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.estimator import MultimodalModel
    from polymodal.evaluate.result import Evaluation
    from polymodal.training.result import TrainResult

LARGEST = 2_000_000
"""Bytes that a report may have."""
SAMPLES = 12


def write_report(
    path: str | Path,
    model: MultimodalModel,
    data: MultimodalData,
    *,
    evaluation: Evaluation | None = None,
    train: MultimodalData | None = None,
    checked: Sequence[Any] = (),
    title: str = "What the model learned",
    commands: Sequence[str] = (),
    seed: int = 0,
) -> Path:
    """Write one HTML file that needs no network.

    Arguments:
        path: Where to; the file is replaced in one step.
        model: A fitted model.
        data: Rows that the model was not trained on.
        evaluation: Its skill on them; without it the sections on skill and calibration are left
            out.
        train: The training rows, whose holes are shown instead of those of ``data``.
        checked: What had been hidden from the training rows and was filled in: objects with
            ``modality``, ``column``, ``n``, ``metric``, ``model`` and ``simple``.
        title: The heading.
        commands: The commands that make all of it again, for the last section.
        seed: All draws follow from it.

    Returns:
        The path.
    """
    path = Path(path)
    for n_rows in (4, 2, 1):
        page = render(
            model,
            data,
            evaluation=evaluation,
            train=train,
            checked=checked,
            title=title,
            commands=commands,
            seed=seed,
            n_rows=n_rows,
        )
        if len(page.encode()) <= LARGEST:
            break
    return write_whole(path, page)


def render(
    model: MultimodalModel,
    data: MultimodalData,
    *,
    evaluation: Evaluation | None,
    train: MultimodalData | None,
    checked: Sequence[Any],
    title: str,
    commands: Sequence[str],
    seed: int,
    n_rows: int,
) -> str:
    """The page; ``n_rows`` test rows are shown a question."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    net, codec = model.model_, model.codec_
    device = net.device
    tensors = codec.encode(data).to(device)
    shown = codec.encode(train) if train is not None else tensors
    environment = Environment(
        loader=PackageLoader("polymodal.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    return environment.get_template("report.html.j2").render(
        title=title,
        subtitle=_subtitle(model, len(tensors)),
        verdict=evaluation.verdict if evaluation is not None else "",
        style=Markup(_template("style.css")),
        script=Markup(_template("latent.js")),
        data=describe_data(
            model.schema_, codec, shown, "Training data" if train is not None else "Test data"
        ),
        training=describe_training(model.result_),
        skill=describe_skill(evaluation) if evaluation is not None else None,
        checked=describe_checked(checked),
        answers=answer_grids(net, codec, tensors, n_rows=n_rows, seed=seed),
        which_shown=which_shown(tensors.names),
        cells=cell_grid(net, codec, tensors, n_rows=n_rows, seed=seed),
        calibration=describe_calibration(evaluation),
        latent=describe_latent(net, codec, tensors),
        samples=[] if "generate" in net.lacks else describe_samples(model, seed),
        lacks=net.lacks,
        made=describe_making(model, commands),
    )


def describe_training(result: TrainResult | None) -> dict[str, Any] | None:
    """Status, time and curves of the run; None where nothing is known of it."""
    if result is None:
        return None
    history = result.history
    facts = [("status", result.status.replace("_", " ")), ("epochs", f"{len(history)}")]
    if result.best_epoch is not None:
        facts.append(("weights kept of epoch", f"{result.best_epoch + 1}"))
    if history:
        scores = {record.epoch: record.validation for record in history}
        best = scores.get(result.best_epoch if result.best_epoch is not None else -1)
        if best is not None:
            facts.append(("best held-out score", f"{best:.4g}"))
        facts.append(("steps", f"{history[-1].step:,}"))
        facts.append(("time", _duration(sum(record.seconds for record in history))))
    picture = encode_figure(draw_training(history, result.best_epoch)) if len(history) > 1 else ""
    return {
        "facts": facts,
        "reason": result.reason,
        "picture": picture,
        "width": 880 if any(record.validation is not None for record in history) else 460,
    }


def describe_calibration(evaluation: Evaluation | None) -> dict[str, Any] | None:
    """The calibration plot and a sentence that reads it; None where no number was judged."""
    if evaluation is None or not evaluation.calibration or evaluation.held is None:
        return None
    held, level = evaluation.held, evaluation.level
    inside = f"{held.share.value:.0%} lay inside their {level:.0%} intervals"
    return {
        "picture": encode_figure(draw_calibration(sorted(evaluation.calibration))),
        "width": 380,
        "sentence": (
            f"Of {held.n:,} hidden numbers, {inside}"
            f"{say_width(held.share, level, held.n, held.rows)} On the dashed line, promise and "
            "outcome are equal; the band is the error of counting."
        ),
    }


def describe_samples(model: MultimodalModel, seed: int) -> list[list[Any]]:
    """Rows drawn from the prior, a cell a modality."""
    made = generate(model.model_, SAMPLES, seed=seed)
    cells = [show(model.codec_, name, values) for name, values in made.items()]
    return [list(row) for row in zip(*cells, strict=True)]


def _subtitle(model: MultimodalModel, n_test: int) -> str:
    names = ", ".join(model.codec_.names)
    held = f" (and {len(model.held_out_):,} to stop by)" if len(model.held_out_) else ""
    return (
        f"A {model.recipe} model of {names}: {model.n_rows_:,} training rows{held}, "
        f"{n_test:,} test rows that it never saw."
    )


def _template(name: str) -> str:
    return resources.files("polymodal.report").joinpath("templates", name).read_text("utf-8")


def _number(value: float) -> str:
    if value != value:
        return "n/a"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
