"""A schema is a value: edited into a new one, saved as YAML, refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymodal.data import ColumnSpec, ModalitySpec, Schema


@pytest.fixture
def schema() -> Schema:
    return Schema(
        {
            "table": ModalitySpec(
                "table",
                (
                    ColumnSpec("age"),
                    ColumnSpec("sex", "category", ("f", "m")),
                    ColumnSpec("a.b", "ordinal", (1, 2, 3)),
                ),
            ),
            "photo": ModalitySpec("image", column="photo", mode="RGB", size=(8, 6)),
            "note": ModalitySpec("text", column="note", tokens=16),
            "emb": ModalitySpec("vector", column="embedding", size=4),
        },
        {"id": "all values differ"},
    )


def test_yaml_gives_back_the_same_schema(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    schema.save(path)
    again = Schema.load(path)
    assert again == schema
    assert list(again) == list(schema)
    assert again.ignored == schema.ignored


def test_yaml_keeps_levels_that_look_like_truth_values_or_numbers(tmp_path: Path) -> None:
    levels = ("no", "yes", "1", "null", "2020-01-01")
    schema = Schema({"type": ModalitySpec("table", (ColumnSpec("keys", "category", levels),))})
    schema.save(tmp_path / "s.yaml")
    assert Schema.load(tmp_path / "s.yaml")["type"].columns[0].levels == levels


def test_set_changes_a_kind_in_its_place_and_leaves_the_old_schema(schema: Schema) -> None:
    new = schema.set("age", kind="count")
    assert [c.kind for c in new["table"].columns] == ["count", "category", "ordinal"]
    assert schema["table"].columns[0].kind == "number"


def test_set_moves_a_column_to_a_table_of_its_own(schema: Schema) -> None:
    new = schema.set("sex", modality="person")
    assert new["person"].columns == (ColumnSpec("sex", "category", ("f", "m")),)
    assert [c.name for c in new["table"].columns] == ["age", "a.b"]


def test_set_makes_a_text_of_a_column_and_a_column_of_a_text(schema: Schema) -> None:
    text = schema.set("sex", kind="text", tokens=4)
    assert text["sex"] == ModalitySpec("text", column="sex", tokens=4)
    back = text.set("sex", kind="category")
    assert "sex" not in back
    assert back["table"].columns[-1] == ColumnSpec("sex", "category")


def test_set_renames_a_modality_in_its_place(schema: Schema) -> None:
    new = schema.set("photo", modality="picture")
    assert new.names == ("table", "picture", "note", "emb")
    assert new["picture"].column == "photo"


def test_set_brings_an_ignored_column_back_and_ignore_takes_it_out(schema: Schema) -> None:
    back = schema.set("id", kind="category")
    assert back["table"].columns[-1].name == "id"
    assert back.ignored == {}
    assert back.ignore("id", "a key").ignored == {"id": "a key"}
    alone = Schema({"table": ModalitySpec("table", (ColumnSpec("x"),)), "note": schema["note"]})
    assert alone.ignore("x").names == ("note",)


def test_a_table_that_would_take_the_name_of_another_modality_gets_a_free_one() -> None:
    schema = Schema({"table": ModalitySpec("text", column="table")}, {"x": "why"})
    assert schema.set("x", kind="number").names == ("table", "table_")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.set("agee", kind="count"), "no column 'agee'. Did you mean 'age'"),
        (lambda s: s.set("age", kind="cuont"), "Did you mean 'count'"),
        (lambda s: s.set("age", kind="number", levels=["a"]), "has no levels"),
        (lambda s: s.set("age", kind="count", tokens=3), "`tokens` does not fit a count"),
        (lambda s: s.set("note", size=(3, 3)), "belongs to kinds image, vector"),
        (lambda s: s.set("note", tokens=1), "at least 2"),
        (lambda s: s.set("photo", size=(3,)), r"\[height, width\]"),
        (lambda s: s.set("photo", mode="CMYK"), "mode must be L"),
        (lambda s: s.set("table", kind="count"), "is a table; name one of its columns"),
        (lambda s: s.set("note", modality="photo"), "a modality 'photo' already"),
        (lambda s: s.set("age", modality="photo"), "is of kind image"),
        (lambda s: s.set("age", kind="category", levels=["a", "a"]), "listed twice"),
        (lambda s: s.set("note", kind="text", levels=["a"]), "levels do not fit"),
        (lambda s: s.set("sex", levels="MALE"), "levels must be a list.*got 'MALE'"),
        (lambda s: s.set("sex", levels=3), "'sex': levels must be a list.*got 3"),
        (lambda s: s.set("note", kind="tags", levels="MALE"), "levels must be a list of at least"),
        (lambda s: s.set("sex", kind="text", foo=1), "'sex': there is no setting 'foo'. Known"),
        (lambda s: s.set("sex", token=1), "no setting 'token'. Did you mean 'tokens'"),
        (lambda s: s.set("note", column="b"), "no setting 'column'"),
        (lambda s: s.set("sex", levels=[float("nan"), "a"]), "'sex': a level must be finite, got"),
        (lambda s: s.set("sex", levels=["a", -float("inf")]), "must be finite, got -inf; leave"),
        (lambda s: s.set("sex", levels=[10**400, "a"]), "must be finite, got 1000"),
        (lambda s: s["tabel"], "Did you mean 'table'"),
        (lambda s: s.ignore("nope"), "no column 'nope'"),
    ],
)
def test_a_wrong_edit_is_one_sentence(schema: Schema, call: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(schema)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected names with entries"),
        ("[1, 2]", "expected names with entries"),
        ("{", "no YAML that can be read"),
        ("!!python/object/apply:os.system ['true']", "no YAML that can be read"),
        ("format: 9\nmodalities: {}", "format 9 is not known"),
        ("modalitis: {}", "Did you mean 'modalities'"),
        ("modalities: {}", "at least one modality"),
        ("modalities: {a: {kind: imge}}", "Did you mean 'image'"),
        ("modalities: {a: {kind: [image]}}", "kind must be one of"),
        ("modalities: {a: {kind: text}}", "needs `column`"),
        ("modalities: {a: {kind: text, column: a, tokns: 3}}", "Did you mean 'tokens'"),
        ("modalities: {a: {kind: text, column: a, size: 3}}", "unknown key 'size'"),
        ("modalities: {a: {kind: table}}", "at least one column"),
        ("modalities: {a: {kind: table, columns: {1: {kind: count}}}}", "in quotes"),
        ("modalities: {a: {kind: table, columns: {x: {kind: cont}}}}", "Did you mean 'count'"),
        ("modalities: {a: {kind: table, columns: {x: {levels: [a]}}}}", "has no levels"),
        *(
            (
                f"modalities: {{a: {{kind: table, columns: {{x: {{kind: category, {one}}}}}}}}}",
                said,
            )
            for one, said in (
                ("levels: [.nan, a, b]", "column 'x': a level must be finite, got nan"),
                ("levels: [.inf, a]", "column 'x': a level must be finite, got inf"),
                ("levels: [2020-99-99]", "line 1: YAML takes '2020-99-99' for a date.*in quotes"),
            )
        ),
        (
            "modalities:\n  a: {kind: text, column: 2020-99-99}",
            "line 2: .*'2020-99-99' for a date",
        ),
        (
            f"modalities: {{a: {{kind: vector, column: a, size: {'9' * 5000}}}}}",
            "line 1: .*number",
        ),
        (f"modalities: {{a: {{kind: vector, column: a, size: 0x{'9' * 5000}}}}}", "line 1: .*num"),
        ("modalities: {a: {kind: text, column: !!timestamp x}}", "line 1: YAML takes 'x' for a d"),
        ("modalities: {a: {kind: text, column: !!bool x}}", "line 1: YAML takes 'x' for a truth"),
        ("modalities: {a: {kind: text, column: !!int x}}", "line 1: YAML takes 'x' for a number"),
        ("modalities:\n  yes: {kind: text}", "line 2: .*takes 'yes' for a truth.*quotes: \"yes\""),
        ("modalities: {a: {kind: table, columns: {2020-01-01: {}}}}", 'quotes: "2020-01-01"'),
        ("modalities: {null: {kind: text}}", "takes 'null' for nothing"),
        ("modalities: {a: {kind: table, columns: {x: {kind: category, levels: ab}}}}", "a list"),
        ("modalities: {a: {kind: table, columns: {x: {kind: category, levels: [[]]}}}}", "level"),
        ("modalities: {a: {kind: vector, column: a, size: -1}}", "number of values"),
        ("modalities: {a: {kind: image, column: a, size: 3}}", "height"),
        (
            "modalities:\n  a: {kind: text, column: a}\n  a: {kind: text, column: a}",
            "line 3.*twice",
        ),
        ("modalities: {a: {kind: text, column: a}}\nignored: {b: 3}", "a reason in words"),
    ],
)
def test_a_fault_in_a_file_is_one_sentence_with_the_file(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as fault:
        Schema.load(path)
    assert str(fault.value).startswith("mine.yaml")
    assert "\n" not in str(fault.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nope\.yaml"):
        Schema.load(tmp_path / "nope.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        Schema.load(tmp_path / "b.yaml")


def test_specifications_check_themselves() -> None:
    with pytest.raises(ValueError, match="neither"):
        ModalitySpec("table", (ColumnSpec("a"),), column="b")
    with pytest.raises(ValueError, match="belongs to kind table"):
        ModalitySpec("text", (ColumnSpec("a"),), column="b")
    with pytest.raises(ValueError, match="must be a string"):
        ColumnSpec(3)
    with pytest.raises(TypeError, match="ModalitySpec"):
        Schema({"a": "table"})
    with pytest.raises(ValueError, match="listed twice"):
        ModalitySpec("table", (ColumnSpec("a"), ColumnSpec("a")))


def test_it_prints_as_a_table_with_what_is_left_out(schema: Schema) -> None:
    lines = str(schema).splitlines()
    assert lines[0].split() == [
        "modality",
        "kind",
        "column",
        "column",
        "kind",
        "detail",
        "missing",
    ]
    assert "8x6" in lines[4]
    assert lines[-1] == "  id: all values differ"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "[" * 5000 + "]" * 5000,
        "modalities: " + "{a: " * 3000 + "}" * 3000,
        "".join(f"{'  ' * i}- \n" for i in range(1500)),
    ],
)
def test_a_file_nested_too_deeply_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^deep\.yaml: .*(nested too deeply|no YAML)") as fault:
        Schema.load(path)
    assert len(str(fault.value)) < 1000


def test_aliases_that_stand_for_more_than_a_memory_holds_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    for top in ("modalities", "ignored"):
        path.write_text(f"{top}:\n" + "".join(f"  {line}\n" for line in lines))
        with pytest.raises(ValueError, match=r"bomb\.yaml: its aliases .* write them out"):
            Schema.load(path)
    path.write_text("modalities:\n  m: &m {kind: text, column: *m}\n")
    with pytest.raises(ValueError, match=r"^bomb\.yaml"):
        Schema.load(path)
    levels = "levels: &l [u, v]", "levels: *l"
    columns = ", ".join(
        f"{i}: {{kind: category, {one}}}" for i, one in zip("ab", levels, strict=True)
    )
    path.write_text(f"modalities: {{t: {{kind: table, columns: {{{columns}}}}}}}")
    assert [one.levels for one in Schema.load(path)["t"].columns] == [("u", "v")] * 2


def test_it_is_saved_where_a_path_says(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "s.yaml"
    schema.save(path)
    assert Schema.load(str(path)) == schema
    with pytest.raises(TypeError, match=r"schema\.save takes a path, got 3"):
        schema.save(3)
    with pytest.raises(TypeError, match=r"Schema\.load takes a path, got 3"):
        Schema.load(3)
    for call in (schema.save, Schema.load):
        with pytest.raises(ValueError, match="this is a folder; name"):
            call(tmp_path)


def test_a_kind_that_is_none_is_told_the_kinds_once(schema: Schema, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    calls = [
        lambda: schema.set("age", kind="zzz"),
        lambda: ColumnSpec("a", "zzz"),
        lambda: ModalitySpec("zzz", column="a"),
        lambda: schema.set("note", tokenizer="zzz"),
        lambda: Schema.load(path),
    ]
    path.write_text("modalities: {a: {kind: zzz}}")
    for call in calls:
        with pytest.raises(ValueError, match="must be one of") as fault:
            call()
        said = str(fault.value)
        assert "Known" not in said
        assert said.count("image") + said.count("count,") + said.count("bpe") <= 2
