"""Each paper about absent inputs tells a label from whichever inputs a row has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import polymodal as pm

N_TRAIN = 600
CHANCE = 0.1  # ten digits, about as many of each

pytestmark = pytest.mark.slow


class Digits:
    """Digits cut into a left and a right half, as pictures or as vectors, beside their label.

    A sixth of the training rows lacks the left half, another the right, another the label, so
    that a model must learn from rows with holes. The rest is held out and complete.
    """

    def __init__(self, *, pictures: bool) -> None:
        pixels, label = load_digits(return_X_y=True)
        rows = np.random.default_rng(0).permutation(len(label))[: N_TRAIN + 300]
        halves = np.split(pixels[rows].reshape(-1, 8, 8) / 16, 2, axis=2)
        self.label = label[rows]
        held = {
            name: (half * 255).astype(np.uint8)
            if pictures
            else half.reshape(len(rows), -1).astype(np.float32)
            for name, half in zip(("left", "right"), halves, strict=True)
        }
        held["label"] = self.label
        place = np.arange(len(rows))
        present = {name: (place % 6 != i) | (place >= N_TRAIN) for i, name in enumerate(held)}
        self.labelled = present["label"][:N_TRAIN]
        data = pm.from_arrays(held, present=present)
        self.train, self.test = data[:N_TRAIN], data[N_TRAIN:]

    def accuracy(self, model: pm.MultimodalModel, *given: str) -> float:
        """Share of the held-out labels that are told from these halves alone."""
        said = np.asarray(model.translate(self.test[list(given)], to="label")).ravel()
        return float((said.astype(int) == self.label[N_TRAIN:]).mean())


def fitted(recipe: str, digits: Digits, **settings: Any) -> pm.MultimodalModel:
    return pm.MultimodalModel(
        recipe=recipe,
        latent_dim=12,
        epochs=50,
        progress=False,
        batch_size=128,
        learning_rate=4e-3,
        validation_share=0.0,  # all epochs are run: what is held out here is tested below
        networks=pm.NetworkSettings(hidden=(64,)),
        settings=settings,
    ).fit(digits.train)


def check_any_input_tells_the_label(model: pm.MultimodalModel, digits: Digits) -> None:
    left, right = digits.accuracy(model, "left"), digits.accuracy(model, "right")
    both = digits.accuracy(model, "left", "right")
    assert min(left, right) > 5 * CHANCE
    # A second half may add nothing where a paper tells the label from one, but must not harm.
    assert both >= max(left, right) - 0.05


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("mfm", {"target": "label"}),
        # The source is the half that has the conditional prior; a sixth of the rows lacks it.
        ("cmmd", {"source": "left", "target": "label"}),
        ("staged", {"target": "label"}),
    ],
    ids=["mfm", "cmmd", "staged"],
)
def test_a_label_is_told_from_either_half_and_from_both(recipe: str, settings: dict) -> None:
    digits = Digits(pictures=False)
    check_any_input_tells_the_label(fitted(recipe, digits, **settings), digits)


def test_a_masked_autoencoder_tells_labels_and_its_summaries_hold_them() -> None:
    digits = Digits(pictures=True)
    # A half is one token and a row has one summary: few tokens, so that seconds are enough.
    model = fitted("m3ae", digits, patch=8, layers=1, summaries=1)
    check_any_input_tells_the_label(model, digits)
    # As the paper judges it: a linear classifier of what the frozen encoder says of the inputs.
    seen, unseen = (model.embed(rows[["left", "right"]]) for rows in (digits.train, digits.test))
    labelled = digits.labelled
    probe = LogisticRegression(max_iter=2000).fit(seen[labelled], digits.label[:N_TRAIN][labelled])
    assert probe.score(unseen, digits.label[N_TRAIN:]) > 7 * CHANCE
