"""Compare recipes: fit each with several seeds, examine all alike, say which to use.

It stands above the estimator, because it fits models; what can be said of sheets of answers
without fitting anything stands in ``evaluate``.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymodal.comparison.fits import fit_one
from polymodal.comparison.folder import MEASURES, Cost, Finished, Folder
from polymodal.comparison.identity import identify
from polymodal.comparison.labelled import Labelled
from polymodal.comparison.notes import Failure
from polymodal.comparison.plan import Plan, Split, check_recipes, split_rows
from polymodal.comparison.progress import Board, duration
from polymodal.comparison.result import Comparison
from polymodal.comparison.table import assemble
from polymodal.data.dataset import MultimodalData
from polymodal.evaluate.coherence_measure import CoherenceMeasure
from polymodal.evaluate.examination import Examination, Measure
from polymodal.evaluate.result import BASELINES
from polymodal.evaluate.sheet import Sheet
from polymodal.files import FileError
from polymodal.replacing import write_whole
from polymodal.spelling import did_you_mean
from polymodal.training.plan import usual_batch_size, usual_epochs

if TYPE_CHECKING:
    from pandas import DataFrame

    DataLike = MultimodalData | DataFrame | str | Path

TABLE_NAME = "comparison.json"
JUDGES_NAME = "judges"
_SIMPLE = "simple"


def compare(
    data: DataLike,
    recipes: Sequence[str] = ("polymodal", "mopoe", "mvtcae"),
    seeds: int | Sequence[int] = 3,
    *,
    folder: str | Path | None = None,
    test: DataLike | None = None,
    validation: DataLike | None = None,
    label: str | None = None,
    measures: Sequence[Measure] = (),
    progress: bool = True,
    **shared: Any,  # noqa: ANN401 (the fields of Plan)
) -> Comparison:
    """Fit several recipes with several seeds and judge them beside simple methods, all alike.

    The rows are split once. Every fit has the same rows, networks, shared latent size and epochs
    (private latents, of recipes that have some, as the recipe has them unless told); every model,
    and the mean, a linear model and 5 nearest neighbours, are asked for the same hidden values of
    the same test rows. A fit that fails does not end the comparison: the recipe's other
    seeds are tried, and its row says why and how many seeds it rests on.

    Arguments:
        data: The rows.
        recipes: Names of recipes.
        seeds: How many seeds, from 0, or which.
        folder: Where finished fits are kept; the same call goes on where it was stopped, and
            further recipes and seeds may join: the comparison is of all that it holds. A
            temporary one when None.
        test: Rows to judge on; a share of ``data`` when None.
        validation: Rows to stop by; a share of the training rows when None.
        label: The class of each row, a column of the data or one of the modalities: coherence is
            judged too, by classifiers trained on the training rows (see ``polymodal.coherence``).
        measures: Further measurements of every model; see ``polymodal.evaluate.examination``.
            A folder belongs to those with which it was begun.
        progress: Tell on standard error how far it has come.
        shared: What all fits share, by name: ``latent_dim``, ``epochs``, ``networks``,
            ``max_seconds``, ``settings`` (recipe -> its settings), ``test_share``, ``draws``...;
            the fields of ``polymodal.comparison.Plan``.

    Returns:
        The comparison; ``print`` shows its table.

    Raises:
        ValueError: If a recipe or a setting is unknown, there are too few rows, or there is no
            such label.
        FileError: If ``folder`` holds a comparison of other rows or with other settings or
            measures.
        KeyboardInterrupt: If it was stopped; what was done is in ``folder``.

    Example:
        >>> import polymodal as pm
        >>> data = pm.load_bundled("penguins")[:80]
        >>> found = pm.compare(data, ["pcca", "cca"], seeds=1, progress=False)
        >>> len(found.rows)
        5
    """
    plan = _plan(shared)
    names, chosen = check_recipes(recipes, seeds)
    strangers = [name for name in plan.settings if name not in names]
    if strangers:
        raise ValueError(f"compare: settings of {strangers[0]!r}, which is not compared.")
    parameters = [plan.parameters(name, seed) for seed in chosen for name in names]
    split = split_rows(data, plan, test, validation)
    labelled = None if label is None else Labelled.of(split, label)
    exam = _examination(split, plan, measures)
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        place = Folder(Path(temporary if folder is None else folder))
        kinds = {split.rows.codec.kind(name) for name in split.rows.codec.names}
        facts = {"label": label, **plan.facts(kinds), MEASURES: identify(measures)}
        facts |= {"data": (labelled or split).fingerprint, "rows": split.sizes}
        settings = {name: dict(plan.settings.get(name, {})) for name in names}
        place.check(facts, settings)
        kept = place.finished(_SIMPLE, exam.seed)
        simple = kept or _simple(exam)
        place.claim(facts, settings)
        if kept is None:
            place.keep(simple)
        coherence, notes = _coherence(labelled, place, progress)
        if coherence is not None:
            exam = dataclasses.replace(exam, measures=(*measures, coherence))
        done, failures = _all_fits(split, parameters, exam, place, progress)
        usual = _usual_epochs(split, plan)
        allowed = plan.epochs or usual
        asked = {one.recipe: () for one in done} | dict.fromkeys(names, chosen)
        found = assemble(asked, done, failures, simple, exam, split, allowed, usual)
        found = dataclasses.replace(found, notes=(*split.notes, *found.notes, *notes))
        if labelled is not None and coherence is not None:
            found = labelled.named(labelled.bounded(found, coherence), done)
        write_whole(place.path / TABLE_NAME, json.dumps(found.to_dict(), indent=1))
    return found


def _plan(shared: Mapping[str, Any]) -> Plan:
    known = [field.name for field in dataclasses.fields(Plan)]
    for name in shared:
        if name not in known:
            raise ValueError(
                f"compare has no parameter {name!r}.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}."
            )
    return Plan(**shared)


def _examination(split: Split, plan: Plan, measures: Sequence[Measure]) -> Examination:
    """What is asked of every method.

    Raises:
        ValueError: If there is nothing to ask.
    """
    exam = Examination(
        split.rows.codec, split.test, split.rows.train, plan.draws, plan.level,
        plan.resamples, plan.split_seed, measures=tuple(measures),
    )  # fmt: skip
    if not exam.questions:
        raise ValueError(
            "compare: nothing can be hidden and asked for, as no test row has two modalities or a "
            "table of several columns; give data that have more to tell from each other."
        )
    return exam


def _coherence(
    labelled: Labelled | None, folder: Folder, progress: bool
) -> tuple[CoherenceMeasure | None, list[str]]:
    """The measure of coherence and what is to be noted of it, where there is a label."""
    if labelled is None:
        return None, []

    def tell(done: int, of: int, name: str) -> None:
        if progress:
            print(f"Judge {done + 1} of {of}: {name}", file=sys.stderr, flush=True)

    measure = labelled.measure(folder.path / JUDGES_NAME, tell)
    return measure, labelled.notes(measure)


def _usual_epochs(split: Split, plan: Plan) -> int:
    n_rows = len(split.rows.train)
    return usual_epochs(n_rows, plan.batch_size or usual_batch_size(n_rows))


def _all_fits(
    split: Split,
    parameters: Sequence[dict[str, Any]],
    exam: Examination,
    folder: Folder,
    progress: bool,
) -> tuple[list[Finished], dict[str, list[Failure]]]:
    """Every recipe with the first seed, then with the next, and what else the folder holds."""
    done = folder.others({(one["recipe"], one["seed"]) for one in parameters})
    failures: dict[str, list[Failure]] = {}
    board = Board(len(parameters), show=progress)
    try:
        if done:
            board.tell(f"In the table too, as the folder holds them: {_listed(done)}.")
        for chosen in parameters:
            recipe, seed = chosen["recipe"], chosen["seed"]
            what = f"{recipe}, seed {seed}"
            kept = folder.finished(recipe, seed)
            if kept is not None:
                board.skip(what, "was done before")
                done.append(kept)
                continue
            failed = failures.setdefault(recipe, [])
            if _hopeless(failed) and not any(one.recipe == recipe for one in done):
                board.skip(what, "left out, as the recipe failed alike with two seeds before")
                continue
            board.begin(what)
            try:
                done.append(_one(split, chosen, exam, folder, board))
            except (FileError, OSError):
                raise
            except Exception as error:
                folder.failed(recipe, seed, traceback.format_exc())
                failed.append(Failure(seed, _sentence(error)))
                board.end(f"failed. {failed[-1].reason}")
    finally:
        board.close()
    return sorted(done, key=lambda one: one.seed), failures


def _listed(fits: Sequence[Finished]) -> str:
    """``mopoe (seeds 0, 1), pcca (seed 0)``."""
    seeds: dict[str, list[str]] = {}
    for one in fits:
        seeds.setdefault(one.recipe, []).append(str(one.seed))
    return ", ".join(
        f"{recipe} (seed{'s' if len(some) > 1 else ''} {', '.join(some)})"
        for recipe, some in seeds.items()
    )


def _hopeless(failed: Sequence[Failure]) -> bool:
    """Whether every seed would meet the same: a setting that cannot be, or rows that lack a lot.

    An error does not say so itself: too little memory may be a matter of the moment. The same one
    with another seed does.
    """
    return len(failed) > 1 and failed[-1].reason == failed[-2].reason


def _one(
    split: Split, parameters: dict[str, Any], exam: Examination, folder: Folder, board: Board
) -> Finished:
    """Fit, save, examine, keep."""
    recipe, seed = parameters["recipe"], parameters["seed"]
    model, cost = fit_one(split, parameters, folder, board)
    model.save(folder.model_file(recipe, seed))
    board.examine()
    sheet = exam.of_model(model.model_)
    broken = [one for one, bad in zip(sheet.asked, sheet.errors.isnan(), strict=True) if bad]
    if broken:
        place = broken[0].column or broken[0].modality
        raise ValueError(f"Its answers for {place} are not numbers. {model.result_.reason}")
    result = model.result_
    finished = Finished(
        recipe, seed, result.status, result.reason, len(result.history), cost, {recipe: sheet}
    )
    folder.keep(finished)
    ended = {"finished": "done", "early_stopped": "stopped early", "diverged": "diverged"}
    board.end(f"{ended.get(result.status, result.status)} in {duration(cost.wall)}")
    return finished


def _simple(exam: Examination) -> Finished:
    """The simple methods, examined once; they have no seed of their own.

    Raises:
        ValueError: If the mean is never wrong: then nobody can be better or worse.
    """
    cpu, wall = time.process_time(), time.monotonic()
    sheets: dict[str, Sheet] = exam.of_baselines()
    cost = Cost(time.process_time() - cpu, time.monotonic() - wall)
    if not (sheets[BASELINES[0]].errors > 0).any():
        raise ValueError(
            "compare: nothing that can be asked has an answer that differs between test rows, so "
            "no method can be better than the most frequent answer; give rows that differ."
        )
    return Finished(_SIMPLE, exam.seed, "finished", "", 0, cost, sheets)


def _sentence(error: Exception) -> str:
    """What went wrong, in one line that says something even where the error does not."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | RuntimeError) and text:
        return text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
