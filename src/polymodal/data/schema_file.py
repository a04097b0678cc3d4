"""A schema as YAML (to be edited by people) and as text (to be read by them)."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable, Mapping
from typing import Any

from polymodal.data.kinds import KEYS, detail_of
from polymodal.data.names import Raw, nearest
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.data.text_settings import text_detail
from polymodal.spelling import did_you_mean

FORMAT = 1
_KEYS = {
    "table": ("kind", "columns"),
    "image": ("kind", "column", "mode", "size"),
    "text": ("kind", "column", "tokenizer", "vocabulary", "tokens"),
    "vector": ("kind", "column", "size", "likelihood"),
    "embedding": ("kind", "column", "size"),
    **{kind: ("kind", "column", *own) for kind, own in KEYS.items()},
}


_TAKEN_FOR = {
    f"tag:yaml.org,2002:{tag}": said
    for tag, said in {
        "bool": "a truth value",
        "int": "a number",
        "float": "a number",
        "null": "nothing",
        "timestamp": "a date",
    }.items()
}
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_LONGEST_NUMBER = 400
_MOST_NODES = 1_000_000
"""A few lines of aliases can stand for more than a memory holds."""


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Plain lists and dictionaries, in the form of the YAML file."""
    modalities: dict[str, Any] = {}
    for name, spec in schema.modalities.items():
        entry: dict[str, Any] = {"kind": spec.kind}
        if spec.kind == "table":
            entry["columns"] = {column.name: _column_to_dict(column) for column in spec.columns}
        for key in _KEYS[spec.kind][1:]:
            value = getattr(spec, key)
            if key != "columns" and value is not None:
                entry[key] = list(value) if isinstance(value, tuple) else value
        modalities[name] = entry
    return {"format": FORMAT, "modalities": modalities, "ignored": dict(schema.ignored)}


def _column_to_dict(column: ColumnSpec) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": column.kind}
    if column.levels is not None:
        entry["levels"] = list(column.levels)
    return entry


def schema_from_dict(config: object, where: str = "schema") -> Schema:
    """The inverse of :func:`schema_to_dict`.

    Raises:
        ValueError: One sentence that names the key at fault and what to do.
    """
    top = _mapping(config, where, ("format", "modalities", "ignored"))
    if top.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{where}: format {top['format']!r} is not known here (this version reads format "
            f"{FORMAT}); update polymodal or write the schema anew."
        )
    if not top.get("modalities"):
        raise ValueError(f"{where}: `modalities` must name at least one modality.")
    modalities = {
        name: _modality(name, entry, where)
        for name, entry in _mapping(top["modalities"], f"{where}, modalities").items()
    }
    ignored = _mapping(top.get("ignored") or {}, f"{where}, ignored")
    for name, reason in ignored.items():
        if not isinstance(reason, str):
            raise ValueError(
                f"{where}, ignored, {name!r}: expected a reason in words, got {reason!r}."
            )
    return Schema(modalities, ignored)


def _modality(name: str, entry: object, where: str) -> ModalitySpec:
    where = f"{where}, modality {name!r}"
    got = _mapping(entry, where)
    kind = got.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise ValueError(
            f"{where}: kind must be one of {', '.join(_KEYS)}, got {reprlib.repr(kind)}."
            f"{did_you_mean(kind, _KEYS) if isinstance(kind, str) else ''}"
        )
    _mapping(entry, where, _KEYS[kind])
    settings: dict[str, Any] = {key: got[key] for key in _KEYS[kind][1:] if key in got}
    try:
        if kind == "table":
            columns = _mapping(settings.get("columns") or {}, f"{where}, columns")
            settings["columns"] = tuple(_column(one, said, where) for one, said in columns.items())
        for key in ("size", "levels"):
            if isinstance(settings.get(key), list):
                settings[key] = tuple(settings[key])
        return ModalitySpec(kind, **settings)  # type: ignore[arg-type]
    except ValueError as fault:
        said = str(fault)
        raise ValueError(said if said.startswith(where) else f"{where}: {said}") from None


def _column(name: str, entry: object, where: str) -> ColumnSpec:
    where = f"{where}, column {name!r}"
    got = _mapping(entry, where, ("kind", "levels"))
    levels = got.get("levels")
    try:
        return ColumnSpec(
            name, got.get("kind", "number"), tuple(levels) if isinstance(levels, list) else levels
        )
    except ValueError as fault:
        said = str(fault).partition(": ")[2]
        raise ValueError(f"{where}: {said}") from None


def _mapping(value: object, where: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    """The value itself, if it is a mapping from strings, with known keys only."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{where}: expected names with entries below them, got {reprlib.repr(value)}."
        )
    for key in value:
        if not isinstance(key, str):
            raise ValueError(
                f"{where}: a name must be a string, got {key!r} ({type(key).__name__}); "
                f'put it in quotes: "{key}".'
            )
        if known and key not in known:
            raise ValueError(f"{where}: unknown key {key!r}.{nearest(key, known)}")
    return dict(value)


def schema_to_yaml(schema: Schema) -> str:
    """The schema as YAML with the order of modalities and columns kept."""
    import yaml

    return yaml.safe_dump(
        schema_to_dict(schema), sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def schema_from_yaml(text: str, where: str = "schema") -> Schema:
    """Read a schema from YAML text.

    Raises:
        ValueError: If the text is no YAML, is nested too deeply, has a name twice, or is no
            schema.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if _checked_size(root, where, {}) > _MOST_NODES:
            raise ValueError(
                f"{where}: its aliases (*name) stand for more than {_MOST_NODES} entries; write "
                "them out."
            )
        _check_scalars(root, where, yaml.SafeLoader(""), set())
        config = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        said = " ".join(str(fault).split())
        raise ValueError(f"{where}: this is no YAML that can be read: {said}.") from None
    except RecursionError:
        raise ValueError(
            f"{where}: lists or entries are nested too deeply to be read; a schema has five "
            "levels at most. Write it anew with `polymodal schema DATA --write FILE`."
        ) from None
    return schema_from_dict(config, where)


def _check_scalars(node: Raw, where: str, loader: Raw, seen: set[int]) -> None:
    """Refuse names that YAML takes for something else, and values that it can not make."""
    import yaml

    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _check_scalars(one, where, loader, seen)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            taken = _TAKEN_FOR.get(key.tag)
            if taken is not None and isinstance(key.value, str):
                raise ValueError(
                    f"{where}, line {key.start_mark.line + 1}: a name must be a string, and YAML "
                    f'takes {key.value!r:.60} for {taken}; put it in quotes: "{key.value:.60}".'
                )
            _check_scalars(value, where, loader, seen)
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:str":
        return
    try:
        if len(node.value) > _LONGEST_NUMBER and node.tag in _NUMBERS:
            raise ValueError(f"numbers have {_LONGEST_NUMBER} characters at most")
        loader.construct_object(node)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as fault:
        raise ValueError(
            f"{where}, line {node.start_mark.line + 1}: YAML takes {node.value!r:.60} for "
            f"{_TAKEN_FOR.get(node.tag, 'a value')}, which it can not be ({fault}); put it in "
            "quotes if it is a word."
        ) from None


def _checked_size(node: Raw, where: str, sizes: dict[int, int]) -> int:
    """How many entries a node stands for, its aliases written out.

    YAML takes the last of two equal names without a word; here that is a fault.
    """
    import yaml

    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = 1  # while it is looked at: it may stand in itself
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_checked_size(one, where, sizes) for one in node.value)
    sizes[id(node)] = size
    if not isinstance(node, yaml.MappingNode):
        return size
    names: set[Hashable] = set()
    for key, value in node.value:
        name = key.value if isinstance(key.value, str) else None
        if name is not None and name in names:
            line = key.start_mark.line + 1
            raise ValueError(f"{where}, line {line}: the name {name!r} stands twice; rename one.")
        names.add(name)
        size += _checked_size(value, where, sizes)
    sizes[id(node)] = size
    return size


def schema_as_text(schema: Schema) -> str:
    """A table for people: a line a column, and what is ignored below."""
    lines: list[tuple[str, ...]] = [
        ("modality", "kind", "column", "column kind", "detail", "missing")
    ]
    for name, spec in schema.modalities.items():
        if spec.kind != "table":
            column = "" if spec.column == name else str(spec.column)
            lines.append((name, spec.kind, column, "", _detail(spec), _share(spec.missing)))
            continue
        for i, column in enumerate(spec.columns):
            first = (name, spec.kind) if i == 0 else ("", "")
            detail = f"{len(column.levels)} levels" if column.levels else ""
            missing = _share(column.missing)
            lines.append((*first, column.name, column.kind, detail, missing))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    if schema.ignored:
        text.append("left out:")
        text += [f"  {name}: {why}" for name, why in schema.ignored.items()]
    return "\n".join(text)


def _detail(spec: ModalitySpec) -> str:
    if spec.kind == "image":
        size = "x".join(str(one) for one in spec.size) if isinstance(spec.size, tuple) else ""
        return f"{spec.mode or ''} {size}".strip()
    if spec.kind in ("vector", "embedding", *KEYS):
        return detail_of(spec)
    return text_detail(spec.tokenizer, spec.vocabulary, spec.tokens)


def _share(missing: float | None) -> str:
    if missing is None:
        return ""
    if 0 < missing < 0.001:
        return "<0.1 %"
    return f"{100 * missing:.1f} %" if missing else "none"
