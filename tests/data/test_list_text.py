"""Lists in the cells of a CSV: every spelling read, every fault named by its place."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from polymodal.data import ModalitySpec, Schema, read
from polymodal.data.list_text import LEFT_OUT, NoListError, read_list
from polymodal.data.names import objects
from polymodal.data.written import are_written, parsed, written_like

NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[1, 2.5, -3e2]", [1, 2.5, -300.0]),
        ('["red", "d\\u00e9j\\u00e0"]', ["red", "déjà"]),
        ("[null, true, Infinity]", [None, True, math.inf]),
        ("['red', 'étoile']", ["red", "étoile"]),
        ("['red' 'étoile']", ["red", "étoile"]),
        ("""["it's", 'a "b"', 'c, [d]\\n']""", ["it's", 'a "b"', "c, [d]\n"]),
        ("[1.5, None, -inf]", [1.5, None, -math.inf]),
        ("(1, 2)", [1, 2]),
        ("('red',)", ["red"]),
        ("{'red', 'big'}", ["red", "big"]),
        ("set()", []),
        ("[]", []),
        ("()", []),
        ("[[1, 2], []]", [[1, 2], []]),
        ("[ 1.5 -0.4]", [1.5, -0.4]),
        ("[1. 2.]", [1.0, 2.0]),
        ("[[1 2]\n [3 4]]", [[1, 2], [3, 4]]),
        ("[np.float64(1.5), np.int64(2)]", [1.5, 2]),
        ("[array([1, 2]), array([0.5, 2. ], dtype=float32)]", [[1, 2], [0.5, 2.0]]),
        ("[array([0, 1]) array([2, 0])]", [[0, 1], [2, 0]]),
    ],
)
def test_every_spelling_is_the_same_list(text: str, wanted: list) -> None:
    assert read_list(text) == wanted


@pytest.mark.parametrize("text", ["[1.5, nan]", "[1.5 nan]", "[np.float64(1.5), np.float64(nan)]"])
def test_nan_is_a_number_of_a_list(text: str) -> None:
    np.testing.assert_array_equal(read_list(text), [1.5, NAN])


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("[1.5, oops, 2]", 6, "got oops"),
        ("[1,, 2]", 3, "expected a value before the comma"),
        ("[1 2, 3]", 0, "some values are parted by commas, others by blanks"),
        ("[2024-01-02]", 5, "expected a comma"),
        ("[1, 2", 5, "expected ']'"),
        ("[1, 2)]", 5, "expected ']'"),
        ("(0, 10]", 6, "expected ')'"),
        ("(5)", 2, "expected a comma"),
        ("[1] x", 3, "nothing behind the list"),
        ("[1.2.3]", 1, "expected a number"),
        ("{1: 2}", 2, "expected a number"),
        ("[__import__('os')]", 1, "got __import__"),
        ("[0.1 0.2 ... 0.9]", 9, "values are left out where it says '...'"),
        ("red", 0, "expected a list such as"),
    ],
)
def test_a_fault_is_shown_with_its_place(text: str, place: int, reason: str) -> None:
    with pytest.raises(NoListError) as fault:
        read_list(text)
    assert f"(character {place}: " in str(fault.value)
    assert reason in str(fault.value)
    assert parsed(text) == text


def test_a_fault_far_inside_is_what_is_shown() -> None:
    text = str([*range(100, 300), "x"]).replace("'x'", "oops")
    with pytest.raises(NoListError, match=r"'…296, 297, 298, 299, oops\]' \(character 1001: "):
        read_list(text)


def test_deep_nesting_is_read_without_recursion() -> None:
    assert isinstance(read_list("[" * 10_000 + "]" * 10_000), list)


def test_most_cells_say_what_a_column_is() -> None:
    assert are_written(["[1]", "[2]", "oops"])
    assert not are_written(["[1]", "oops"])
    assert not are_written(["[live]", "[draft]"])
    assert are_written(["[1 2 ... 3]"])
    assert not are_written([])


VECTORS = np.random.default_rng(0).normal(size=(30, 4)).round(3)
BROKEN = VECTORS.copy()
BROKEN[3, 1] = NAN
SPELLINGS: dict[str, Any] = {
    "json": lambda row: json.dumps(row.tolist()),
    "python": lambda row: str(row.tolist()),
    "none": lambda row: str(row.tolist()).replace("nan", "None"),
    "scalars": lambda row: str([f"np.float64({one})" for one in row]).replace("'", ""),
    "numpy": str,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_hole_in_one_list_is_one_missing_number(spelling: str, tmp_path: Path) -> None:
    cells = [SPELLINGS[spelling](row) for row in BROKEN]
    pd.DataFrame({"clip": cells}).to_csv(tmp_path / "a.csv", index=False)
    data = read(tmp_path / "a.csv")
    assert (data.schema["clip"].kind, data.schema["clip"].size) == ("vector", 4)
    np.testing.assert_array_equal(data.values("clip"), BROKEN)
    assert data.present("clip").sum() == 119


@pytest.mark.parametrize("schema", [None, Schema({"clip": ModalitySpec("vector", column="clip")})])
def test_a_cell_that_is_no_list_is_named(schema: Schema | None, tmp_path: Path) -> None:
    cells = [json.dumps(row.tolist()) for row in VECTORS]
    cells[7] = cells[7].replace("]", ", oops]")
    pd.DataFrame({"clip": cells}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"a\.csv, 'clip', row 7: .* oops\]' .*got oops"):
        read(tmp_path / "a.csv", schema)


@pytest.mark.parametrize("count", [1, 30])
def test_shortened_arrays_are_refused(count: int, tmp_path: Path) -> None:
    cells = [json.dumps(row.tolist()) for row in VECTORS]
    cells[:count] = [str(np.arange(2000.0))] * count
    pd.DataFrame({"clip": cells}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"a\.csv.*'clip'.*values are left out") as fault:
        read(tmp_path / "a.csv")
    assert LEFT_OUT in str(fault.value)


def test_a_text_among_numbers_is_named_by_its_place() -> None:
    cells = objects([[0.5] * 200 + ["x"], [0.5] * 201])
    schema = Schema({"v": ModalitySpec("vector", column="v")})
    with pytest.raises(ValueError, match=r"row 0: .* got 'x' at place 200"):
        read(pd.DataFrame({"v": cells}), schema)


def test_new_lists_are_spelled_as_the_column_spells_them() -> None:
    new, cells = np.array([True, False]), objects([np.array([1.0, NAN]), "kept"])
    assert list(written_like(cells, new, ["[1.0, 2.0]"])) == ["[1.0, NaN]", "kept"]
    assert list(written_like(cells, new, ["[1.0, nan]"])) == ["[1.0, nan]", "kept"]
    words = objects([["étoile"], "kept"])
    assert list(written_like(words, new, ["['a', 'b']"])) == ["['étoile']", "kept"]
