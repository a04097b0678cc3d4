"""Each recipe learns: far less than its defaults can, but clearly more than nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.estimator.cases import RECIPE_NAMES

import polymodal as pm


@pytest.fixture(scope="module")
def digits() -> tuple[pm.MultimodalData, pm.MultimodalData]:
    pixels, label = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) / 16 * 255).astype(np.uint8)
    chance = np.random.default_rng(0).permutation(len(images))[:900]
    held = {"image": images[chance], "label": label[chance]}
    present = {name: np.arange(900) % 6 != i for i, name in enumerate(held)}
    present = {name: mask | (np.arange(900) >= 700) for name, mask in present.items()}
    data = pm.from_arrays(held, present=present)
    return data[:700], data[700:]


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_images_tell_labels_and_labels_images(digits, recipe) -> None:
    train, test = digits
    model = pm.MultimodalModel(
        recipe=recipe,
        latent_dim=12,
        epochs=40,
        progress=False,
        learning_rate=2e-3,
        networks=pm.NetworkSettings(hidden=(64,)),
    ).fit(train)
    truth = test.values("label")["label"].to_numpy()
    said = model.translate(test[["image"]], to="label")
    assert (said == truth).mean() > 0.6  # chance is .1
    # A label's picture is nearer to the mean picture of its class than to that of all.
    images, labels = train.values("image"), train.values("label")["label"].to_numpy()
    both = train.present("image") & train.present("label")[:, 0]
    means = np.stack([images[both & (labels == one)].mean(0) for one in range(10)])
    made = model.translate(test[["label"]], to="image").astype(float)
    nearest = np.square(made[:, None] - means).sum((2, 3)).argmin(1)
    assert (nearest == truth).mean() > 0.6
    if "score" in model.model_.lacks:
        return
    known = model.score(test, 100)
    swapped = dict(test.native(), label=(truth + 1) % 10)
    assert (known > model.score(pm.from_arrays(swapped), 100)).mean() > 0.6
