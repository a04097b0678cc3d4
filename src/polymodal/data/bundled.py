"""Small real data that come with the package; their licences stand beside them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from polymodal.data.dataset import MultimodalData
from polymodal.data.names import nearest
from polymodal.data.sources import from_arrays, read

BundledName = Literal["fashion", "mfeat", "tcga_acc", "penguins"]
BUNDLED: tuple[str, ...] = get_args(BundledName)

_MFEAT_VIEWS = ("fou", "fac", "kar", "pix", "zer", "mor")
_ASSAYS = {
    "rna": "RNASeq2GeneNorm",
    "copy_number": "gistict",
    "protein": "RPPAArray",
    "mutations": "Mutations",
    "mirna": "miRNASeqGene",
}
_LOGARITHM = ("rna", "mirna")
_FASHION_TEST = 400


def load_bundled(name: str, split: Literal["train", "test"] | None = None) -> MultimodalData:
    """One of the bundled data sets.

    =============  =====  ==================================================================
    name           rows   modalities
    =============  =====  ==================================================================
    ``fashion``    2,000  ``image`` 28 x 28 grey, ``table`` (6 categories, 3 numbers),
                          ``caption``; complete
    ``mfeat``      2,000  six views of digits as vectors: ``fou`` 76, ``fac`` 216, ``kar`` 64,
                          ``pix`` 240 (0..6), ``zer`` 47, ``mor`` 6; ``label``
    ``tcga_acc``   92     five assays of tumours as vectors, missing as in life: ``rna`` 198 and
                          ``mirna`` 471 (both log2(1 + x)), ``copy_number`` 198, ``protein`` 33,
                          ``mutations`` 97; ``clinical`` (6 columns)
    ``penguins``   344    ``table`` (3 categories, 4 numbers)
    =============  =====  ==================================================================

    Arguments:
        name: Which.
        split: Only training or only test rows, for ``fashion`` (the last 400 rows are the test)
            and ``mfeat`` (400 rows fixed by the data); None gives all.

    Raises:
        ValueError: If there is no such data set, or it has no fixed split.

    Example:
        >>> load_bundled("penguins")
        MultimodalData(344 rows; table: table)
    """
    if name not in BUNDLED:
        raise ValueError(f"bundled: no data set {name!r}.{nearest(name, BUNDLED)}")
    if split not in (None, "train", "test"):
        raise ValueError(f"bundled: split must be 'train', 'test' or None, got {split!r}.")
    if split is not None and name not in ("fashion", "mfeat"):
        raise ValueError(f"bundled: {name} has no fixed test rows; use data.split(0.2, seed=0).")
    folder = Path(str(files("polymodal.data"))) / "bundled"
    data, test = {
        "fashion": _fashion,
        "mfeat": _mfeat,
        "tcga_acc": _tcga_acc,
        "penguins": _penguins,
    }[name](folder)
    if split is None:
        return data
    return data[test if split == "test" else ~test]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _fashion(folder: Path) -> tuple[MultimodalData, np.ndarray]:
    import pandas as pd

    frame = pd.read_parquet(folder / "fashion.parquet")
    data = from_arrays(
        {
            "image": _arrays(folder / "fashion.npz")["image"],
            "table": frame.drop(columns="caption"),
            "caption": frame["caption"].tolist(),
        },
        kinds={"image": "image", "caption": "text"},
    )
    return data, np.arange(len(data)) >= len(data) - _FASHION_TEST


def _mfeat(folder: Path) -> tuple[MultimodalData, np.ndarray]:
    held = _arrays(folder / "mfeat.npz")
    data = from_arrays(
        {name: held[name] for name in (*_MFEAT_VIEWS, "label")},
        kinds={**dict.fromkeys(_MFEAT_VIEWS, "vector"), "label": "category"},
    )
    return data, held["test"]


def _tcga_acc(folder: Path) -> tuple[MultimodalData, np.ndarray]:
    import pandas as pd

    held = _arrays(folder / "tcga_acc.npz")
    clinical = pd.read_parquet(folder / "tcga_acc.parquet")
    arrays = {name: held[assay] for name, assay in _ASSAYS.items()}
    for name in _LOGARITHM:
        arrays[name] = np.log2(1 + arrays[name])
    data = from_arrays(
        {**arrays, "clinical": clinical},
        present={name: held[f"present_{assay}"] for name, assay in _ASSAYS.items()},
        kinds=dict.fromkeys(_ASSAYS, "vector"),
    )
    return data, np.zeros(len(data), dtype=bool)


def _penguins(folder: Path) -> tuple[MultimodalData, np.ndarray]:
    data = read(folder / "penguins.parquet")
    return data, np.zeros(len(data), dtype=bool)
