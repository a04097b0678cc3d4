"""``polymodal schema``: what a file is taken to hold, and what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from polymodal.cli.arguments import Data, Json
from polymodal.cli.inputs import check_data, check_out, load_data
from polymodal.cli.outputs import count, print_result
from polymodal.cli.overwriting import check_unedited
from polymodal.replacing import write_whole

if TYPE_CHECKING:
    from polymodal.data.schema import Schema

EXAMPLE = """    polymodal schema cohort.parquet
    polymodal schema cohort.parquet --write schema.yaml   (edit; fit --schema)
    polymodal schema bundled:penguins --json"""


def schema(
    data: Data,
    /,
    *,
    write: Annotated[
        Path | None, Parameter(help="Write the schema here as YAML, unless it was edited there.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the modalities and columns inferred from a file, and the share that each lacks."""
    check_data(data)
    if write is not None:
        check_out(write, (".yaml", ".yml"))
    rows = load_data(data)
    if write is not None:
        text = rows.schema.to_yaml()
        check_unedited("--write", write, text)
        write_whole(write, text)
    result = {
        "data": data,
        "rows": len(rows),
        "modalities": describe(rows.schema),
        "left_out": dict(rows.schema.ignored),
        "file": write,
    }
    lines = [f"{data}: {count(len(rows), 'row')}", "", str(rows.schema), ""]
    if write is None:
        lines.append(f"To change it: polymodal schema {data} --write schema.yaml, edit, then")
        lines.append(f"              polymodal fit {data} --schema schema.yaml")
    else:
        lines.append(f"Written to {write}. Edit it, then: polymodal fit {data} --schema {write}")
    print_result(result, "\n".join(lines), json)


def describe(found: Schema) -> list[dict[str, Any]]:
    """Modalities with kind, columns, levels and missing share."""
    return [
        {
            "modality": name,
            "kind": spec.kind,
            "missing": spec.missing,
            "size": spec.size,
            "columns": [
                {"name": c.name, "kind": c.kind, "levels": c.levels, "missing": c.missing}
                for c in spec.columns
            ],
        }
        for name, spec in found.modalities.items()
    ]
