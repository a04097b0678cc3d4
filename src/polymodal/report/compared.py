"""The page of a comparison: the recommendation, a chart of skill with intervals, the tables."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymodal.comparison.text import (
    ABOUT_RECIPES,
    ABOUT_SHARES,
    Marks,
    describe_protocol,
    legend,
    main_columns,
    share_columns,
    shown_name,
)
from polymodal.replacing import write_whole
from polymodal.report.charts import draw_skills
from polymodal.report.pictures import encode_figure

if TYPE_CHECKING:
    from polymodal.comparison.result import Comparison, Group


def write_comparison(
    path: str | Path, comparison: Comparison, *, title: str = "Recipes compared"
) -> Path:
    """Write one HTML file that needs no network.

    Arguments:
        path: Where to; the file is replaced in one step.
        comparison: What ``polymodal.compare`` found.
        title: The heading.

    Returns:
        The path.
    """
    path = Path(path)
    return write_whole(path, render_comparison(comparison, title))


def render_comparison(comparison: Comparison, title: str) -> str:
    """The page."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("polymodal.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("polymodal.report").joinpath("templates", "style.css")
    marks = Marks()
    columns = main_columns(comparison, marks)
    drawn = [row for row in comparison.rows if row.skill is not None]
    chart = draw_skills(
        [shown_name(row) for row in drawn],
        [row.skill for row in drawn if row.skill is not None],
        [row.simple for row in drawn],
    )
    return environment.get_template("comparison.html.j2").render(
        zip=zip,
        title=title,
        style=Markup(style.read_text("utf-8")),
        protocol=describe_protocol(comparison),
        recommendation=comparison.recommendation,
        chart=encode_figure(chart),
        columns=list(columns),
        lines=list(zip(*columns.values(), strict=True)),
        legend=[sentence.partition(": ")[::2] for sentence in legend(comparison)],
        notes=[*comparison.notes, *marks.notes],
        groups=[_group(comparison, group) for group in comparison.groups],
        shares=share_columns(comparison) if comparison.shares else {},
        about_shares=ABOUT_SHARES,
        methods=[(shown_name(row), row.what) for row in comparison.rows],
        about=ABOUT_RECIPES,
    )


def _group(comparison: Comparison, group: Group) -> dict[str, Any]:
    """A group's table, its numbers with their intervals."""
    rows = [row for row in comparison.rows if row.failure is None]
    lines = [
        (shown_name(row), [group.values.get(row.method, {}).get(c) for c in group.columns])
        for row in rows
    ]
    return {
        "form": group.form,
        "name": group.name,
        "says": group.says,
        "columns": group.columns,
        "lines": lines,
    }
