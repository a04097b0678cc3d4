"""Latent semantic analysis: the leading axes of the weighted word counts of training texts.

References:
    Scott Deerwester, Susan Dumais, George Furnas, Thomas Landauer, Richard Harshman. Indexing by
    latent semantic analysis. JASIS 41, 1990.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polymodal.metrics.captions import Tokenize


def text_features(
    texts: Sequence[str], n_components: int, tokenize: Tokenize
) -> Callable[[Sequence[str]], Tensor]:
    """What turns texts into features ``(N, C)``, fitted on training texts.

    Arguments:
        texts: The training texts.
        n_components: C at most.
        tokenize: ``"13a"`` counts words; ``"char"``, for texts without spaces, runs of one to
            three characters.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if tokenize == "13a":
        words = TfidfVectorizer(token_pattern=r"\w+")
    else:
        words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    try:
        counts: Any = words.fit_transform(texts)
    except ValueError:  # no text has any word
        return lambda some: torch.zeros(len(some), 1, dtype=torch.float64)
    axes = TruncatedSVD(min(n_components, counts.shape[1]), random_state=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # equal texts have no shares of variance
        axes.fit(counts)
    return lambda some: torch.as_tensor(axes.transform(words.transform(some)), dtype=torch.float64)
