"""``polymodal.coherence``: a fitted model's coherence, from data and the name of a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.estimator.front import MultimodalModel
from polymodal.estimator.labels import (
    check_any,
    classes_of,
    codes_of,
    labels_of,
    rows_left_out,
)
from polymodal.evaluate.coherence_result import Coherence
from polymodal.evaluate.fidelity import evaluate_fidelity
from polymodal.evaluate.fidelity_result import Fidelity
from polymodal.evaluate.held_out import note_met, refuse_trained, row_hashes, with_anything
from polymodal.evaluate.inception import InceptionFeatures
from polymodal.evaluate.judge import Judge, classes_of_judges
from polymodal.evaluate.judged import evaluate_coherence
from polymodal.evaluate.judges import JudgeSettings, train_judges
from polymodal.typing import Column

if TYPE_CHECKING:
    from polymodal.estimator.front import DataLike


def coherence(
    model: MultimodalModel,
    test: DataLike,
    label: str,
    train: DataLike | None = None,
    *,
    judges: Mapping[str, Judge] | None = None,
    names: Sequence[str] | None = None,
    with_label: bool = False,
    samples: int | None = None,
    cache: str | Path | None = None,
    settings: JudgeSettings | None = None,
    fidelity: bool = False,
    inception: str | Path | None = None,
    seed: int | None = None,
    on_judge: Callable[[int, int, str], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Coherence:
    """Whether what a model decodes shows the class that it should.

    Classifiers of each modality, the judges, are trained on ``train``; every modality is decoded
    from every subset of the others, and from the prior, and judged.

    Arguments:
        model: The fitted model.
        test: Rows that neither the model nor the judges saw.
        label: The class of each row: a column of the data, or one of the model's modalities.
        train: Rows for the judges, with the label: those that the model was fitted on.
        judges: Modality -> a judge trained before, in place of ``train``.
        names: The modalities that are given and decoded; all when None.
        with_label: Give and decode the modality that holds the label too. It is left out
            otherwise, as whoever is given the label need not understand anything.
        samples: New rows for the joint coherence; as many as test rows when None.
        cache: A folder where judges are kept.
        settings: How judges are trained.
        fidelity: Compare what is decoded with real values too: Fréchet distance, precision and
            recall by the judges' features (``Coherence.fidelity``).
        inception: Weights of the published Inception network, a safetensors file. If named, there
            is ``fidelity`` too, pictures by that network's features beside those of the judges.
        seed: All draws follow from it; the model's own when None.
        on_judge: Told the number of judges done, of all, and the modality that is next.
        on_rows: Told the number of test rows done.

    Raises:
        ValueError: If there is no such label, there is neither ``train`` nor ``judges``, the test
            rows are the training rows, or ``inception`` is named and there are no pictures.
        FileError: If ``inception`` is not a file of that network's weights.

    Example:
        >>> import polymodal as pm
        >>> from polymodal.evaluate import JudgeSettings
        >>> data = pm.load_bundled("mfeat")[["mor", "zer", "label"]]
        >>> train, test = data[::10], data[5::10]
        >>> model = pm.MultimodalModel(epochs=2, progress=False).fit(train)
        >>> quick = JudgeSettings(epochs=5)
        >>> said = pm.coherence(model, test, "label", train, settings=quick)
        >>> [(pair.given, pair.target) for pair in said.conditional.pairs if not pair.own]
        [(('mor',), 'zer'), (('zer',), 'mor')]
    """
    rows = model._rows(test)
    said, home = labels_of(rows, label)
    encoded = model._encode(rows)
    wanted = model.codec_.names if names is None else names
    taking_part = [n for n in wanted if with_label or n != home]
    model.model_.check_names(taking_part)
    if not taking_part:
        raise ValueError(
            f"coherence: no modality beside {label!r} takes part; leave names= away, or name some."
        )
    hashes, learners = row_hashes(encoded), {"the model": model._trained()}
    asked = hashes[with_anything(encoded)]
    refuse_trained(asked, learners["the model"], "coherence")
    # Before judges are trained, so that a wrong file is said at once.
    beside = None if inception is None else _inception(model, taking_part, inception, encoded)
    if judges is None:
        judges, learners["the judges"] = _trained(
            model, asked, train, label, taking_part,
            settings=settings, cache=cache, on_judge=on_judge,
        )  # fmt: skip
    classes = classes_of_judges(judges)
    codes = codes_of(said, classes)
    check_any(codes, classes)
    result = evaluate_coherence(
        model.model_,
        encoded,
        codes,
        judges,
        names=taking_part,
        samples=samples,
        seed=model._seed(seed),
        on_rows=on_rows,
    )
    notes = [*note_met(hashes, learners), *rows_left_out(said, classes)]
    result = replace(result, notes=[*notes, *result.notes])
    if beside is None and not fidelity:
        return result
    make = partial(
        evaluate_fidelity, model.model_, encoded, judges,
        inception=beside, names=taking_part, seed=model._seed(seed),
    )  # fmt: skip
    return _with_fidelity(result, make)


def _with_fidelity(result: Coherence, make: Callable[[], Fidelity]) -> Coherence:
    """The result with its distances; with too few rows for any, it stands without and says so."""
    try:
        return replace(result, fidelity=make())
    except ValueError as error:
        return replace(result, notes=[*result.notes, f"No Fréchet distances: {error}"])


def _trained(
    model: MultimodalModel,
    asked: Tensor,
    train: DataLike | None,
    label: str,
    names: Sequence[str],
    *,
    settings: JudgeSettings | None,
    cache: str | Path | None,
    on_judge: Callable[[int, int, str], None] | None,
) -> tuple[dict[str, Judge], Tensor]:
    """A judge of each modality that the training rows have, and hashes of those rows.

    Arguments:
        asked: Hashes of the test rows, which must be others.
        model, train, label, names, settings, cache, on_judge: As of ``coherence``.
    """
    if train is None:
        raise ValueError(
            "coherence: judges must learn from some rows; pass train=, the rows that the "
            "model was fitted on, or judges=."
        )
    known = model._rows(train)
    source = model._encode(known)
    hashes = row_hashes(source)
    refuse_trained(asked, hashes, "coherence")
    labels, _ = labels_of(known, label)
    classes = classes_of(labels, label)
    judges = train_judges(
        source,
        codes_of(labels, classes),
        [name for name in names if bool(source.present[name].any())],
        columns=_columns(model, names),
        classes=classes,
        settings=settings,
        cache=cache,
        on_judge=on_judge,
    )
    return judges, hashes


def _inception(
    model: MultimodalModel, names: Sequence[str], path: str | Path, source: Tensors
) -> dict[str, InceptionFeatures]:
    """The network for each modality that is pictures."""
    pictures = [name for name in names if model.codec_.kind(name) == "image"]
    if not pictures:
        raise ValueError(
            f"coherence: the Inception network reads pictures, and none of {', '.join(names)} is "
            "an image; leave inception= away."
        )
    return dict.fromkeys(pictures, InceptionFeatures.read(path, source.device))


def _columns(model: MultimodalModel, names: Sequence[str]) -> dict[str, tuple[Column, ...]]:
    """The columns of those that are tables."""
    codec = model.codec_
    return {name: codec.columns(name) for name in names if codec.kind(name) == "table"}
