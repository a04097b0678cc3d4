"""The coherence of a model: its judges trained, everything decoded, judged and summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import (
    conditional_of_predictions,
    joint_of_predictions,
    subsets_of,
)
from polymodal.evaluate.coherence_result import Coherence, Conditional, Joint
from polymodal.evaluate.decoded import judge_generated, judge_given
from polymodal.evaluate.exact import note_few
from polymodal.evaluate.judge import Judge, classes_of_judges
from polymodal.evaluate.scores import FEWEST_ROWS
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.typing import rows_present


def evaluate_coherence(
    model: LatentModel,
    test: Tensors,
    labels: Tensor | np.ndarray,
    judges: Mapping[str, Judge],
    *,
    names: Sequence[str] | None = None,
    samples: int | None = None,
    own: bool = True,
    resamples: int = 500,
    seed: int = 0,
    on_rows: Callable[[int], None] | None = None,
) -> Coherence:
    """Conditional, synergy and joint coherence of a model on rows that it has not seen.

    Labels are used to judge what was decoded, and for nothing else.

    Arguments:
        model: The model.
        test: The rows.
        labels: Their classes, ``(N,)``; -1 where unknown.
        judges: Modality -> its judge, trained on training rows.
        names: The modalities that are given and decoded; all of the model when None. Leave out
            one that is the label.
        samples: New rows for the joint coherence; as many as test rows when None.
        own: Judge reconstructions from every subset too; without, half the time goes.
        resamples: Bootstrap resamples for the intervals.
        seed: All draws follow from it.
        on_rows: Told the number of rows done, for a progress bar.

    Raises:
        ValueError: If no modality has a judge, judges tell other classes than each other, no row
            has a label, or sizes do not fit.
    """
    names = tuple(names if names is not None else model.names)
    model.check_names(names)
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"coherence: modality {twice[0]!r} is named twice; name it once.")
    if samples is not None and samples < 1:
        raise ValueError(f"coherence: samples must be at least 1, got {samples}.")
    codes = torch.as_tensor(labels).cpu().long()
    if len(codes) != len(test):
        raise ValueError(f"coherence: {len(test)} rows, but {len(codes)} labels.")
    known = {name: judges[name] for name in names if name in judges}
    if not known:
        raise ValueError(f"coherence: none of {', '.join(names)} has a judge.")
    classes = classes_of_judges(known)
    if not bool((codes >= 0).any()):
        raise ValueError("coherence: no row has a label, so nothing can be judged.")
    notes = [
        f"{name} has no judge: it was given but not judged." for name in names if name not in known
    ]
    conditional = _conditional(
        model, test, codes, known, names, own, resamples, seed, on_rows, notes
    )
    joint = _joint(
        model,
        known,
        codes,
        classes,
        len(test) if samples is None else samples,
        resamples,
        seed,
        notes,
    )
    notes += _few(conditional, joint)
    accuracies = {name: judge.accuracy for name, judge in known.items()}
    return Coherence(conditional, joint, classes, accuracies, notes)


def _conditional(
    model: LatentModel,
    test: Tensors,
    codes: Tensor,
    judges: Mapping[str, Judge],
    names: Sequence[str],
    own: bool,
    resamples: int,
    seed: int,
    on_rows: Callable[[int], None] | None,
    notes: list[str],
) -> Conditional | None:
    if "translate" in model.lacks:
        notes.append(f"Conditional coherence was not judged: {model.lacks['translate']}")
        return None
    rows = {
        name: rows_present(test.present[name]).cpu()
        if name in test.present
        else torch.zeros(len(test), dtype=torch.bool)
        for name in names
    }
    sources = [name for name in names if bool(rows[name].any())]
    notes += [f"{name}: no test row has it, so it was not given." for name in names
              if name not in sources]  # fmt: skip
    if not sources:
        return None
    subsets = subsets_of(sources)
    said = judge_given(
        model, test, judges, subsets, own=own, seed=derive_seed(seed, 1), on_rows=on_rows
    )
    real = {
        name: judge.predict(test.x[name], test.present[name])
        for name, judge in judges.items()
        if name in sources
    }
    return conditional_of_predictions(
        said, names, codes, rows=rows, real=real, resamples=resamples, seed=derive_seed(seed, 2)
    )


def _few(conditional: Conditional | None, joint: Joint | None) -> list[str]:
    """One doubt at most, where numbers stand on hardly any rows."""
    pairs = [] if conditional is None else [pair.n for pair in conditional.pairs if pair.n]
    few = sum(n < FEWEST_ROWS for n in pairs)
    if few and few == len(pairs):
        return note_few(max(pairs))
    if few:
        return [
            f"{few} of {len(pairs)} pairs of what was given and decoded stand on fewer than "
            f"{FEWEST_ROWS} rows (n in the table): so few tell little."
        ]
    return [] if joint is None else note_few(joint.n, "new")


def _joint(
    model: LatentModel,
    judges: Mapping[str, Judge],
    codes: Tensor,
    classes: Sequence[str],
    samples: int,
    resamples: int,
    seed: int,
    notes: list[str],
) -> Joint | None:
    if "generate" in model.lacks:
        notes.append(f"Joint coherence was not judged: {model.lacks['generate']}")
        return None
    if len(judges) < 2:
        notes.append("Joint coherence is of two modalities or more; only one has a judge.")
        return None
    said = judge_generated(model, samples, judges, seed=derive_seed(seed, 3))
    return joint_of_predictions(
        said,
        codes,
        len(classes),
        classes=classes,
        resamples=resamples,
        seed=derive_seed(seed, 4),
    )
