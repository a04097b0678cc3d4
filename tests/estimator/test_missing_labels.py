"""Rows without a label are no class of their own, whatever dtype and container hold the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import polymodal as pm
from polymodal.comparison.labelled import Labelled
from polymodal.comparison.plan import Plan, split_rows
from polymodal.data import MultimodalData, from_arrays
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.estimator.labels import classes_of, codes_of, labels_of
from polymodal.evaluate import JudgeSettings

N = 180
CODES = np.arange(N) % 3
LEVELS = ("low", "mid", "high")
LACKING = np.arange(N) % 5 == 0
KNOWN = ~LACKING


def holed(values: tuple, hole: object = None) -> list:
    """A value a class, and the hole in every fifth row."""
    return [
        hole if lacking else values[code] for code, lacking in zip(CODES, LACKING, strict=True)
    ]


def dictionary() -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(holed(LEVELS)).dictionary_encode()))


DATES = ("2024-01-01", "2024-02-01", "2024-03-01")
WORDS = {
    "str": pd.Series(holed(LEVELS), dtype="str"),
    "string": pd.Series(holed(LEVELS), dtype="string"),
    "string[python]": pd.Series(holed(LEVELS), dtype="string[python]"),
    "string[pyarrow]": pd.Series(holed(LEVELS), dtype="string[pyarrow]"),
    "arrow's string": pd.Series(holed(LEVELS), dtype=pd.ArrowDtype(pa.string())),
    "arrow's dictionary": dictionary(),
    "objects with None": pd.Series(holed(LEVELS), dtype=object),
    "objects with NaN": pd.Series(holed(LEVELS, np.nan), dtype=object),
    "objects with NA": pd.Series(holed(LEVELS, pd.NA), dtype=object),
    "category": pd.Series(holed(LEVELS), dtype="category"),
    "ordered category": pd.Series(pd.Categorical(holed(LEVELS), LEVELS, ordered=True)),
}
OTHERS = {
    "objects of truth": pd.Series(holed((False, True, False)), dtype=object),
    "boolean": pd.Series(holed((False, True, False)), dtype="boolean"),
    "Int64": pd.Series(holed((1, 2, 3)), dtype="Int64"),
    "Float64": pd.Series(holed((1, 2, 3)), dtype="Float64"),
    "float": pd.Series(holed((1, 2, 3), np.nan), dtype=float),
    "category of numbers": pd.Series(holed((1, 2, 3)), dtype="category"),
    "arrow's int64": pd.Series(holed((1, 2, 3)), dtype=pd.ArrowDtype(pa.int64())),
    "dates": pd.Series(pd.to_datetime(holed(DATES))),
    "dates of a zone": pd.Series(pd.to_datetime(holed(DATES), utc=True)),
    "objects of dates": pd.Series(pd.to_datetime(holed(DATES))).astype(object),
}
EVERY = {**WORDS, **OTHERS}
CONTAINERS = ("frame", "CSV", "Parquet", "arrays", "a frame among arrays")
# A dictionary of arrow's is read from no Parquet, dates as objects from no frame among arrays;
# and a column of such a frame is a label where the schema has it only.
UNREAD = {("arrow's dictionary", "Parquet"), ("objects of dates", CONTAINERS[-1])}
CASES = [
    (dtype, container, known)
    for dtype in EVERY
    for container in CONTAINERS
    for known in (True, False)
    if (dtype, container) not in UNREAD and (known or container != CONTAINERS[-1])
]


def frame(labels: pd.Series | np.ndarray) -> pd.DataFrame:
    """Two tables that show the class, and the labels of the rows."""
    generator = np.random.default_rng(0)
    one = CODES[:, None] + 0.1 * generator.standard_normal((N, 2))
    other = -CODES[:, None] + 0.1 * generator.standard_normal((N, 2))
    columns = {"a": one[:, 0], "b": one[:, 1], "c": other[:, 0], "d": other[:, 1]}
    return pd.DataFrame({**columns, "size": labels})


def schema() -> Schema:
    two = {"one": ("a", "b"), "two": ("c", "d")}
    return Schema(
        {
            name: ModalitySpec("table", columns=tuple(ColumnSpec(c, "number") for c in columns))
            for name, columns in two.items()
        }
    )


def read(rows: pd.DataFrame, container: str, folder: Path) -> MultimodalData:
    """The rows as they are read from each container."""
    if container == "frame":
        return pm.read(rows)
    if container == "CSV":
        rows.to_csv(folder / "rows.csv", index=False)
        return pm.read(folder / "rows.csv")
    if container == "Parquet":
        rows.to_parquet(folder / "rows.parquet")
        return pm.read(folder / "rows.parquet")
    if container == "arrays":
        return from_arrays({name: rows[name].to_numpy() for name in ("a", "c", "size")})
    return from_arrays({"t": rows[["a", "size"]], "c": rows["c"].to_numpy()})


@pytest.mark.parametrize(("dtype", "container", "known_to_the_schema"), CASES)
def test_a_row_without_label_has_none(
    dtype: str, container: str, known_to_the_schema: bool, tmp_path: Path
) -> None:
    rows = read(frame(EVERY[dtype]), container, tmp_path)
    if not known_to_the_schema:
        some = ModalitySpec("table", columns=(ColumnSpec("a", "number"),))
        rows = rows.with_schema(Schema({"one": some}))
    labels, _ = labels_of(rows, "size")
    assert [one is None for one in labels] == LACKING.tolist()
    classes = classes_of(labels, "size")
    assert len(classes) == EVERY[dtype].nunique()
    codes = codes_of(labels, classes)
    assert (codes >= 0).tolist() == KNOWN.tolist()
    if dtype in WORDS:
        assert [classes[code] for code in codes[KNOWN]] == [LEVELS[c] for c in CODES[KNOWN]]


@pytest.fixture(scope="module")
def model() -> pm.MultimodalModel:
    data = pm.read(frame(np.array(LEVELS)[CODES]), schema())
    return pm.MultimodalModel("pcca", latent_dim=2, progress=False).fit(data[:120])


@pytest.mark.parametrize("dtype", ["str", "objects with None", "category", "dates"])
def test_neither_judges_nor_probes_learn_what_lacks_a_label(
    dtype: str, model: pm.MultimodalModel
) -> None:
    rows = frame(EVERY[dtype])
    quick = JudgeSettings(hidden=8, epochs=2)
    said = pm.coherence(model, rows[120:], "size", rows[:120], settings=quick)
    assert len(said.classes) == 3
    assert {pair.n for pair in said.conditional.pairs} == {int(KNOWN[120:].sum())}
    found = pm.probe(model, rows[120:], "size", rows[:120])
    only = pm.probe(model, rows[120:][KNOWN[120:]], "size", rows[:120][KNOWN[:120]])
    assert found.table().to_dict() == only.table().to_dict()


@pytest.mark.parametrize("dtype", WORDS)
def test_a_comparison_has_no_class_of_what_lacks_a_label(dtype: str) -> None:
    split = split_rows(pm.read(frame(WORDS[dtype]), schema()), Plan(), None, None)
    found = Labelled.of(split, "size")
    assert set(found.classes) == set(LEVELS)
    for codes, rows in ((found.learned, split.train), (found.judged, split.judged)):
        assert (codes.numpy() < 0).tolist() == rows.native()["size"].isna().tolist()


@pytest.mark.parametrize("kind", ["category", "text", None])
@pytest.mark.parametrize("masked", ["present", "numpy"])
def test_a_masked_label_is_none(masked: str, kind: str | None) -> None:
    labels = np.array(LEVELS, dtype=object)[CODES]
    rows = {"a": CODES + 0.0, "size": labels}
    if masked == "numpy":
        rows["size"] = np.ma.array(labels, mask=LACKING)
    data = from_arrays(
        rows,
        present={"size": KNOWN} if masked == "present" else None,
        kinds={"size": kind} if kind else None,
    )
    if kind is None:
        some = ModalitySpec("table", columns=(ColumnSpec("a", "number"),))
        data = data.with_schema(Schema({"a": some}))
    found, home = labels_of(data, "size")
    assert home == ("size" if kind else None)
    assert found.tolist() == holed(LEVELS)
    assert data.native()["size"].tolist() == labels.tolist()
