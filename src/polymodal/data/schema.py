"""The schema: which columns form a modality, and of what kind each is.

A schema is a value: methods that edit return a new one. It says nothing of the data's numbers
(those belong to the codec) but the levels of categories and the sizes of pictures and vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from polymodal.data.kinds import OWNERS
from polymodal.data.levels import Level, listed
from polymodal.data.names import checked_name, free_name, nearest
from polymodal.data.specs import KINDS, ColumnSpec, ModalitySpec, refuse_unknown
from polymodal.files import as_path
from polymodal.spelling import did_you_mean
from polymodal.typing import COLUMN_KINDS


@dataclass(frozen=True)
class Schema:
    """Modalities by name, and the columns that are left out with the reason.

    Example:
        >>> schema = Schema(
        ...     {
        ...         "table": ModalitySpec(
        ...             "table", (ColumnSpec("age"), ColumnSpec("sex", "category", ("f", "m")))
        ...         ),
        ...         "note": ModalitySpec("text", column="note", tokens=16),
        ...     }
        ... )
        >>> print(schema.set("age", kind="count"))
        modality  kind   column  column kind  detail      missing
        table     table  age     count
                         sex     category     2 levels
        note      text                        16 tokens
    """

    modalities: Mapping[str, ModalitySpec]
    ignored: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, spec in self.modalities.items():
            checked_name(name, "a modality's name", "schema")
            if not isinstance(spec, ModalitySpec):
                raise TypeError(
                    f"schema, modality {name!r}: expected a ModalitySpec, "
                    f"got {type(spec).__name__}."
                )
        object.__setattr__(self, "modalities", dict(self.modalities))
        object.__setattr__(self, "ignored", dict(self.ignored))

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities' names, in order."""
        return tuple(self.modalities)

    def __getitem__(self, name: str) -> ModalitySpec:
        if name not in self.modalities:
            raise ValueError(f"schema: no modality {name!r}.{nearest(name, self.names)}")
        return self.modalities[name]

    def __iter__(self):  # noqa: ANN204
        return iter(self.modalities)

    def __len__(self) -> int:
        return len(self.modalities)

    def __contains__(self, name: object) -> bool:
        return name in self.modalities

    def select(self, names: Sequence[str]) -> Schema:
        """The schema of some modalities only, in the order of ``names``."""
        return Schema({name: self[name] for name in names}, self.ignored)

    def set(
        self,
        name: str,
        *,
        kind: str | None = None,
        modality: str | None = None,
        levels: Sequence[Level] | None = None,
        mode: str | None = None,
        size: Sequence[int] | int | None = None,
        tokens: int | None = None,
        tokenizer: str | None = None,
        vocabulary: int | None = None,
        **more: object,
    ) -> Schema:
        """A new schema in which one column is something else.

        Arguments:
            name: The column (one that is ignored too, which brings it back).
            kind: Its new kind: ``number``, ``positive``, ``count``, ``ordinal``, ``category``,
                ``image``, ``text``, ``vector``, ``embedding``, ``series``, ``audio`` or ``tags``;
                None leaves it.
            modality: The modality it goes to; a scalar column joins or opens a table of that
                name, the other kinds are renamed to it. None leaves scalars in their table (or
                brings them into ``table``) and names the others like the column.
            levels: Levels of an ordinal or category column, in their order, or the tags.
            mode: Images: ``L`` or ``RGB``.
            size: Images: (height, width). Vectors: how many numbers.
            tokens: Texts: most tokens that are kept.
            tokenizer: Texts: ``auto``, ``word``, ``bpe`` or ``char``.
            vocabulary: Texts: how many token ids there may be.
            more: Any other setting of :class:`ModalitySpec`.

        Raises:
            ValueError: If there is no such column, or the setting does not fit the kind.
        """
        home, old = self._find(name)
        known = old.kind if old else None
        wanted = kind or known
        if wanted not in KINDS:
            raise ValueError(
                f"schema, column {name!r}: kind must be one of {', '.join(KINDS)}, got {wanted!r}."
                f"{did_you_mean(wanted, KINDS)}"
            )
        pair = tuple(size) if isinstance(size, Sequence) else size
        text = {"tokens": tokens, "tokenizer": tokenizer, "vocabulary": vocabulary}
        refuse_unknown(name, more)
        settings = {"mode": mode, "size": pair, **text, **more}
        given = {key: value for key, value in settings.items() if value is not None}
        if wanted in COLUMN_KINDS:
            if given:
                raise ValueError(
                    f"schema, column {name!r}: `{next(iter(given))}` does not fit a {wanted}."
                )
            new = ColumnSpec(name, wanted, listed(levels))  # type: ignore[arg-type]
            if isinstance(old, ColumnSpec) and old.kind == wanted and levels is None:
                new = old
            return self._with_column(new, home, modality)
        if levels is not None:
            if wanted != "tags":
                raise ValueError(f"schema, column {name!r}: levels do not fit the kind {wanted}.")
            given["levels"] = listed(levels)
        source = old.column if isinstance(old, ModalitySpec) else name
        if isinstance(old, ModalitySpec) and old.kind == wanted:
            given = {**{key: getattr(old, key) for key in (*settings, *OWNERS)}, **given}
        try:
            spec = ModalitySpec(wanted, column=source, **given)  # type: ignore[arg-type]
        except ValueError as fault:
            raise ValueError(f"schema, column {name!r}: {fault}") from None
        return self._with_modality(spec, name, home, modality)

    def ignore(self, name: str, reason: str = "left out by request") -> Schema:
        """A new schema without one column."""
        home, _ = self._find(name)
        modalities = self._without(name, home)
        return Schema(modalities, {**self.ignored, name: reason})

    def _find(self, name: str) -> tuple[str | None, ColumnSpec | ModalitySpec | None]:
        """The modality that holds a column, and its specification; both None if ignored."""
        found: list[tuple[str, ColumnSpec | ModalitySpec]] = []
        for home, spec in self.modalities.items():
            if spec.kind != "table":
                found += [(home, spec)] if name in (home, spec.column) else []
            else:
                found += [(home, column) for column in spec.columns if column.name == name]
        if len(found) > 1:
            homes = ", ".join(repr(home) for home, _ in found)
            raise ValueError(f"schema: {name!r} stands in the modalities {homes}; rename one.")
        if found:
            return found[0]
        if name in self.ignored:
            return None, None
        if name in self.modalities:
            raise ValueError(f"schema: {name!r} is a table; name one of its columns instead.")
        every = [one for spec in self.modalities.values() for one in spec.sources]
        raise ValueError(f"schema: no column {name!r}.{nearest(name, [*every, *self.ignored])}")

    def _without(self, name: str, home: str | None) -> dict[str, ModalitySpec]:
        modalities = dict(self.modalities)
        if home is None:
            return modalities
        spec = modalities[home]
        kept = tuple(column for column in spec.columns if column.name != name)
        if kept:
            modalities[home] = replace(spec, columns=kept)
        else:
            del modalities[home]
        return modalities

    def _with_column(self, column: ColumnSpec, home: str | None, modality: str | None) -> Schema:
        in_table = home is not None and self.modalities[home].kind == "table"
        if home is not None and in_table and modality in (None, home):
            spec = self.modalities[home]
            columns = tuple(column if c.name == column.name else c for c in spec.columns)
            return replace(
                self, modalities={**self.modalities, home: replace(spec, columns=columns)}
            )
        modalities = self._without(column.name, home)
        goal = modality
        if goal is None:
            tables = [one for one, spec in modalities.items() if spec.kind == "table"]
            goal = tables[0] if tables else free_name("table", modalities)
        if goal in modalities and modalities[goal].kind != "table":
            raise ValueError(
                f"schema: modality {goal!r} is of kind {modalities[goal].kind}; "
                f"a {column.kind} column goes into a table. Choose another name."
            )
        before = modalities[goal].columns if goal in modalities else ()
        modalities[goal] = ModalitySpec("table", (*before, column))
        return Schema(modalities, self._still_ignored(column.name))

    def _with_modality(
        self, spec: ModalitySpec, name: str, home: str | None, modality: str | None
    ) -> Schema:
        was_own = home is not None and self.modalities[home].kind != "table"
        goal = modality or (home if was_own and home is not None else name)
        rest = self._without(name, home)
        if goal in rest:
            raise ValueError(f"schema: there is a modality {goal!r} already; choose another name.")
        if not was_own:
            return Schema({**rest, goal: spec}, self._still_ignored(name))
        # renamed or changed in its place: the order of modalities is kept
        return replace(
            self,
            modalities={
                (goal if one == home else one): (spec if one == home else old)
                for one, old in self.modalities.items()
            },
        )

    def _still_ignored(self, name: str) -> dict[str, str]:
        return {one: why for one, why in self.ignored.items() if one != name}

    def __str__(self) -> str:
        from polymodal.data.schema_file import schema_as_text

        return schema_as_text(self)

    def to_yaml(self) -> str:
        """The schema as YAML, to be edited and loaded again."""
        from polymodal.data.schema_file import schema_to_yaml

        return schema_to_yaml(self)

    def save(self, path: str | Path) -> None:
        """Write the schema as YAML; the file's folder is made where missing.

        Raises:
            TypeError: If ``path`` is no path.
            ValueError: If it is a folder.
        """
        path = as_path("schema.save", path)
        if path.is_dir():
            raise ValueError(
                f"{path}: this is a folder; name a file in it, such as {path / 'schema.yaml'}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.to_yaml(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Read a schema from a YAML file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no schema; the sentence names the key and what to do.
        """
        from polymodal.data.schema_file import schema_from_yaml

        path = as_path("Schema.load", path)
        if path.is_dir():
            raise ValueError(f"{path}: this is a folder; name the schema's YAML file in it.")
        if not path.is_file():
            raise FileNotFoundError(f"There is no schema file {str(path)!r}.")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as fault:
            raise ValueError(
                f"{path.name}: a schema is UTF-8 text; {fault}. Save it as UTF-8."
            ) from None
        return schema_from_yaml(text, path.name)

    @classmethod
    def from_dict(cls, config: object, where: str = "schema") -> Schema:
        """The inverse of :meth:`to_dict`, validated."""
        from polymodal.data.schema_file import schema_from_dict

        return schema_from_dict(config, where)

    def to_dict(self) -> dict:
        """The schema as plain lists and dictionaries, for JSON or YAML."""
        from polymodal.data.schema_file import schema_to_dict

        return schema_to_dict(self)
