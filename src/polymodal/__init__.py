"""Polymodal: latent generative models of several modalities, with whatever is missing filled in.

``read`` data, ``fit`` a ``MultimodalModel``, then impute, translate, generate, embed, score and
evaluate. Names are loaded when first used, so that importing the package costs little beyond
torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from polymodal.comparison import Comparison as Comparison
    from polymodal.comparison import compare as compare
    from polymodal.data import public as datasets  # noqa: F401
    from polymodal.data.bundled import load_bundled as load_bundled
    from polymodal.data.dataset import MultimodalData as MultimodalData
    from polymodal.data.modalities import NetworkSettings as NetworkSettings
    from polymodal.data.schema import Schema as Schema
    from polymodal.data.sources import from_arrays as from_arrays
    from polymodal.data.sources import read as read
    from polymodal.data.specs import ModalitySpec as ModalitySpec
    from polymodal.distributions.decoding import Decoding as Decoding
    from polymodal.estimator import MultimodalModel as MultimodalModel
    from polymodal.estimator import coherence as coherence
    from polymodal.estimator import factorise as factorise
    from polymodal.estimator import load as load
    from polymodal.estimator import probe as probe
    from polymodal.files import FileError as FileError
    from polymodal.recipes.registry import RECIPES as RECIPES
    from polymodal.recipes.registry import get_recipe as get_recipe

_HOMES = {
    "Comparison": "polymodal.comparison",
    "Decoding": "polymodal.distributions.decoding",
    "FileError": "polymodal.files",
    "ModalitySpec": "polymodal.data.schema",
    "MultimodalData": "polymodal.data.dataset",
    "MultimodalModel": "polymodal.estimator",
    "NetworkSettings": "polymodal.data.modalities",
    "RECIPES": "polymodal.recipes",
    "Schema": "polymodal.data.schema",
    "coherence": "polymodal.estimator",
    "compare": "polymodal.comparison",
    "datasets": "polymodal.data",
    "factorise": "polymodal.estimator",
    "from_arrays": "polymodal.data.sources",
    "get_recipe": "polymodal.recipes",
    "load": "polymodal.estimator",
    "load_bundled": "polymodal.data.bundled",
    "probe": "polymodal.estimator",
    "read": "polymodal.data.sources",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public object)
    """Load a public name from the module that holds it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polymodal' has no attribute {name!r}.")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
