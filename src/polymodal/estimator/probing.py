"""``polymodal.probe`` and ``polymodal.factorise``: what a fitted model's latent numbers hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polymodal.estimator.front import MultimodalModel
from polymodal.estimator.labels import (
    check_any,
    classes_of,
    codes_of,
    labels_of,
    rows_left_out,
)
from polymodal.evaluate.held_out import note_met, refuse_trained, row_hashes, with_anything
from polymodal.evaluate.probe import Probe, linear_probe
from polymodal.tasks.factorised import USUAL_PRIVATE, USUAL_ROWS, Factorised, factorised

if TYPE_CHECKING:
    from polymodal.estimator.front import DataLike


def probe(
    model: MultimodalModel,
    test: DataLike,
    label: str,
    train: DataLike,
    *,
    rows: int = 2000,
    with_label: bool = False,
    seed: int | None = None,
) -> Probe:
    """How well a straight cut through the latent space tells the classes.

    Logistic regression on posterior means, one for the shared block given each modality and all
    of them, one for each private block; see ``polymodal.evaluate.probe``.

    Arguments:
        model: The fitted model.
        test: Rows that neither the model nor the probes saw.
        label: The class of each row: a column of the data, or one of the model's modalities.
        train: Rows for the probes, with the label: those that the model was fitted on.
        rows: Training rows of a probe, at most.
        with_label: Give the modality that holds the label too.
        seed: Which rows and resamples follow from it; the model's own when None.

    Raises:
        ValueError: If there is no such label, or the test rows are the training rows.
        Lacking: If the family does not embed.

    Example:
        >>> import polymodal as pm
        >>> data = pm.load_bundled("mfeat")[["mor", "zer", "label"]]
        >>> train, test = data[::10], data[5::10]
        >>> model = pm.MultimodalModel(epochs=2, progress=False).fit(train)
        >>> pm.probe(model, test, "label", train).table()["given"].tolist()
        ['mor', 'mor', 'zer', 'zer', 'mor + zer']
    """
    known, asked = model._rows(train), model._rows(test)
    learned, home = labels_of(known, label)
    judged, _ = labels_of(asked, label)
    classes = classes_of(learned, label)
    codes = codes_of(judged, classes)
    check_any(codes, classes)
    names = [name for name in model.codec_.names if with_label or name != home]
    whole = [model._encode(one) for one in (known, asked)]
    hashes = row_hashes(whole[1])
    learners = {"the model": model._trained(), "the probes": row_hashes(whole[0])}
    for trained in learners.values():
        refuse_trained(hashes[with_anything(whole[1])], trained, "probe")
    met = note_met(hashes, learners)
    sources = [one.select(names) for one in whole]
    found = linear_probe(
        model.model_,
        sources[0],
        codes_of(learned, classes),
        sources[1],
        codes,
        rows=rows,
        seed=model._seed(seed),
    )
    notes = [*met, *rows_left_out(judged, classes, "probe")]
    return replace(found, notes=[*notes, *found.notes])


def factorise(
    model: MultimodalModel,
    data: DataLike,
    to: str,
    rows: int = USUAL_ROWS,
    private: int = USUAL_PRIVATE,
    seed: int | None = None,
) -> Factorised:
    """One modality from every pair of a row's shared part and a private part.

    With the shared part fixed, what the private one changes should be style alone; the reverse
    should be content alone.

    Arguments:
        model: A fitted model with private latents, as of the recipe ``mmvaeplus``.
        data: Rows; those that give their shared parts are spread evenly over them.
        to: The modality to decode.
        rows: How many of them.
        private: How many private parts are drawn from the prior.
        seed: The draws follow from it; the model's own when None.

    Returns:
        A ``Factorised``: ``pictures()``, ``frame()``.

    Raises:
        ValueError: If there is no such modality, or a number is below 1.
        Lacking: If the model has no private latents, or cannot generate.

    Example:
        >>> import polymodal as pm
        >>> data = pm.load_bundled("mfeat")[["mor", "zer"]][::20]
        >>> model = pm.MultimodalModel("mmvaeplus", epochs=1, progress=False).fit(data)
        >>> pm.factorise(model, data, "mor", rows=3, private=2).frame().shape
        (6, 3)
    """
    found = model._encode(model._rows(data))
    return factorised(model.model_, model.codec_, found, to, rows, private, seed=model._seed(seed))
