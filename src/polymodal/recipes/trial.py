"""A recipe on trial: its settings are checked by its own parts before any data are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.location_scale import GaussianLikelihood
from polymodal.likelihoods.mixed import MixedLikelihood
from polymodal.model import Modality
from polymodal.networks import MLPDecoder, TableEncoder, VectorEncoder
from polymodal.random import seeded
from polymodal.recipes.registry import Recipe
from polymodal.typing import Column


def check_settings(recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Make the model for two of the smallest modalities and throw it away: some milliseconds.

    What only the data can tell is not checked, such as the names of modalities.

    Arguments:
        recipe: Its entry in the registry.
        settings: Settings by name, ``latent_dim`` and ``private_dim`` among them.

    Raises:
        ValueError: If a setting is unknown or out of range; the sentence is that of the part
            that refuses it.
    """
    # Where the default is "", a setting names modalities.
    tried = {name: value for name, value in settings.items() if recipe.settings.get(name) != ""}
    with seeded(0):
        recipe.build(_smallest(), **tried)


def _smallest() -> Sequence[Modality]:
    column = Column("b", "category", 2)
    numbers = GaussianLikelihood((2,), scale="feature")
    answer = MixedLikelihood((column,))
    return [
        Modality("a", VectorEncoder(2, (2,)), _decoder(numbers), numbers),
        Modality("b", TableEncoder((column,), (2,)), _decoder(answer), answer),
    ]


def _decoder(likelihood: Likelihood) -> partial[MLPDecoder]:
    return partial(MLPDecoder, output_shape=likelihood.parameter_shape, hidden=(2,))
