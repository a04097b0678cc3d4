"""A comparison as text: the table for so many columns, its legend, notes and the advice."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from polymodal.comparison.progress import duration
from polymodal.comparison.result import REAL, Comparison, Group, Row
from polymodal.evaluate.coherence_measure import SHARES
from polymodal.evaluate.result import Estimate

_LEFT = ("method",)
_NARROWEST = 60
_GAP = "  "
ABOUT_RECIPES = (
    "Recipes are models that describe every row by a few hidden numbers, learned from all its "
    "modalities; they differ in how they join what the modalities say. `polymodal explain NAME` "
    "tells more."
)
ABOUT_SHARES = (
    "Class shares of new rows",
    "a bar a class, in their order, and the share of the most frequent one. A model "
    "that shows one class alone agrees with itself: its joint coherence says nothing.",
)
_BARS = "·▁▂▃▄▅▆▇█"
# The first of these go where a narrow screen has no room.
_DISPENSABLE = ("wall", "log-lik.", "CPU")


def as_text(comparison: Comparison, width: int) -> str:
    """All of a comparison in lines of at most ``width`` characters."""
    width = max(width, _NARROWEST)
    marks = Marks()
    columns, hidden = main_columns(comparison, marks), []
    for name in (*_DISPENSABLE, _held(comparison)):
        if _width(columns) > width:
            hidden.append(name)
            del columns[name]
    blocks = [_wrapped(describe_protocol(comparison), width), _lines(columns)]
    for group in comparison.groups:
        blocks.append(_group_table(comparison, group, width))
    if comparison.shares:
        name, says = ABOUT_SHARES
        blocks.append(_wrapped(f"{name}: {says}", width))
        blocks += [_lines(part) for part in _side_by_side(share_columns(comparison), width)]
    blocks.append(_bullets("How to read it", legend(comparison, hidden), width))
    notes = [*comparison.notes, *marks.notes]
    if notes:
        blocks.append(_bullets("Notes", notes, width))
    methods = [f"{shown_name(row)}: {row.what}" for row in comparison.rows]
    blocks.append(_bullets("The methods", [*methods, ABOUT_RECIPES], width))
    blocks.append(_wrapped(comparison.recommendation, width))
    return "\n\n".join(blocks)


class Marks:
    """Footnotes: the same note has one number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    @property
    def notes(self) -> list[str]:
        """The notes with their numbers."""
        return [f"[{number}] {note}" for note, number in self.numbers.items()]

    def of(self, row: Row) -> str:
        """The numbers of a row's notes."""
        notes = [*row.notes, *([row.failure] if row.failure else [])]
        numbers = [self.numbers.setdefault(note, len(self.numbers) + 1) for note in notes]
        return "".join(f"[{number}]" for number in numbers)


def describe_protocol(comparison: Comparison) -> str:
    """What was done, in two sentences."""
    sizes = comparison.sizes
    recipes = sum(not row.simple for row in comparison.rows)
    fitted = [row for row in comparison.rows if row.seeds]
    each = ""
    if fitted:
        most = max(len(row.seeds) + len(row.lost) for row in fitted)
        fewer = [row for row in fitted if len(row.seeds) < most]
        why = ", as other fits failed" if all(row.lost for row in fewer) else ""
        each_of = ", ".join(f"{row.method} {len(row.seeds)}" for row in fewer)
        but = f" (of {each_of}{why})" if fewer else ""
        each = f", {_count(most, 'seed')} each{but},"
    return (
        f"{_count(recipes, 'recipe')}{each} and 3 simple methods learned from the same "
        f"{_count(sizes['train'], 'row')}. In {_count(sizes['test'], 'other row')} known values "
        f"of {_count(comparison.n_asked, 'column or modality', 'columns or modalities')} were "
        "hidden, the same for all, and had to be told from the rest."
    )


def main_columns(comparison: Comparison, marks: Marks) -> dict[str, list[str]]:
    """Title -> the cells of a column, a method each; notes get their marks."""
    held = _held(comparison)
    seeds = {"seeds": [_seeds(row) for row in comparison.rows]}
    return {
        "rank": [_or_dash(row.rank, str) for row in comparison.rows],
        "method": [f"{shown_name(row)} {marks.of(row)}".rstrip() for row in comparison.rows],
        **(seeds if _seeds_differ(comparison) else {}),
        "skill": [_or_dash(row.skill, lambda e: f"{e.value:+.2f}") for row in comparison.rows],
        "95% interval": [_or_dash(row.skill, _interval) for row in comparison.rows],
        held: [_or_dash(row.coverage, lambda e: f"{e.value:.0%}") for row in comparison.rows],
        "log-lik.": [_or_dash(row.log_likelihood, _nats) for row in comparison.rows],
        "CPU": [_or_dash(row.cpu_seconds, duration) for row in comparison.rows],
        "wall": [_or_dash(row.wall_seconds, duration) for row in comparison.rows],
    }


def _held(comparison: Comparison) -> str:
    """The title of the column of coverage."""
    return f"{comparison.level:.0%} held"


def _seeds_differ(comparison: Comparison) -> bool:
    """Whether some recipe's numbers are of fewer seeds than another's, or than were asked for."""
    fitted = [row for row in comparison.rows if row.seeds]
    return any(row.lost for row in fitted) or len({len(row.seeds) for row in fitted}) > 1


def _seeds(row: Row) -> str:
    """How many seeds a row rests on, and of how many."""
    if row.simple:
        return "-"
    n_seeds = len(row.seeds)
    return f"{n_seeds} of {n_seeds + len(row.lost)}" if row.lost else str(n_seeds)


def _group_table(comparison: Comparison, group: Group, width: int) -> str:
    """A group's columns, in as many tables below each other as the width asks for."""
    rows = [row for row in comparison.rows if row.failure is None]
    columns = {"method": [shown_name(row) for row in rows]}
    for column in group.columns:
        columns[column] = [
            _or_dash(
                group.values.get(row.method, {}).get(column), lambda e: group.form.format(e.value)
            )
            for row in rows
        ]
    lead = _wrapped(f"{group.name[:1].upper()}{group.name[1:]}: {group.says}", width)
    return "\n\n".join([lead, *(_lines(part) for part in _side_by_side(columns, width))])


def _side_by_side(columns: dict[str, list[str]], width: int) -> list[dict[str, list[str]]]:
    """The columns in as many tables as the width asks for, the first column in each."""
    (lead, first), *others = columns.items()
    longest = max(8, (width - 20) // 2)
    parts = [{lead: first}]
    for column, values in others:
        title = column if len(column) <= longest else f"{column[: longest - 1]}…"
        grown = {**parts[-1], title: values}
        if _width(grown) > width and len(parts[-1]) > 1:
            parts.append({lead: first, title: values})
        else:
            parts[-1] = grown
    return parts


def share_columns(comparison: Comparison) -> dict[str, list[str]]:
    """Title -> cells: the real rows, then each method that makes new rows, a bar a class."""
    first = comparison.shares[0]
    rows = [row for row in comparison.rows if first.values.get(row.method)]
    columns = {"method": [REAL, *map(shown_name, rows)]}
    for group in comparison.shares:
        methods = [REAL, *(row.method for row in rows)]
        shares = [[one.value for one in group.values[method].values()] for method in methods]
        columns[group.name.removeprefix(SHARES)] = [bars(each) for each in shares]
    return columns


def bars(shares: Sequence[float]) -> str:
    """A bar a class, the largest full, and the share of the largest.

    Example:
        >>> bars([0.25, 0.5, 0.25, 0.0])
        '▄█▄· 0.50'
    """
    most = max(shares)
    if not most > 0:
        return "-"
    tall = [_BARS[math.ceil((len(_BARS) - 1) * one / most)] for one in shares]
    return f"{''.join(tall)} {most:.2f}"


def shown_name(row: Row) -> str:
    """The method's name; of simple ones it says that they are."""
    return f"{row.method} (simple)" if row.simple else row.method


def legend(comparison: Comparison, hidden: Sequence[str] = ()) -> list[str]:
    """What each column means, a sentence each."""
    said = [
        "rank: 1 + the number of methods that are better beyond noise, but never before a method "
        "of more skill; several may share one.",
        "skill: 0 is as good as taking the best simple method for every single column or "
        "modality; +0.10 is 10% less error than that, 1 is perfect, below 0 is worse.",
        f"95% interval: of the skill; it covers {_covers(comparison)}.",
        f"{comparison.level:.0%} held: share of true values inside the method's "
        f"{comparison.level:.0%} intervals; nearest to {comparison.level:.0%} is best.",
        "log-lik.: how probable the hidden values were to the method, in nats a row and question; "
        "higher is better, and only differences mean anything.",
        "CPU, wall: processor time and time on the clock of one fit. The simple methods took "
        f"{duration(comparison.simple_cpu_seconds)} together.",
    ]
    if _seeds_differ(comparison):
        said.insert(1, "seeds: fits that came to numbers, and, where some failed, of how many.")
    if hidden:
        said.append(f"Not shown, for want of width: {', '.join(hidden)}.")
    return said


def _covers(comparison: Comparison) -> str:
    """Which kinds of chance the intervals cover, of which methods."""
    single = [row.method for row in comparison.rows if len(row.seeds) == 1]
    several = any(len(row.seeds) > 1 for row in comparison.rows)
    rows = "which rows happened to be the test"
    if not several:
        return f"{rows}; the chance in training is not in it, as there is one seed: ask for 3"
    training = f"{rows}, and the chance in training, as seen over the seeds"
    if not single:
        return training
    return f"{training}; of {', '.join(single)}, with one seed, that chance is not in it"


def _lines(columns: dict[str, list[str]]) -> str:
    widths = {name: max(len(name), *map(len, values)) for name, values in columns.items()}
    table = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    return "\n".join(
        _GAP.join(
            text.ljust(widths[name]) if name in _LEFT else text.rjust(widths[name])
            for name, text in zip(columns, line, strict=True)
        ).rstrip()
        for line in table
    )


def _width(columns: dict[str, list[str]]) -> int:
    widths = [max(len(name), *map(len, values)) for name, values in columns.items()]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:+.2f} to {estimate.high:+.2f}"


def _nats(estimate: Estimate) -> str:
    value = estimate.value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _or_dash(value, say) -> str:  # noqa: ANN001
    return "-" if value is None else say(value)


def _count(n: int, word: str, plural: str | None = None) -> str:
    return f"{n:,} {word if n == 1 else plural or word + 's'}"


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _bullets(title: str, lines: Sequence[str], width: int) -> str:
    wrapped = [
        textwrap.fill(
            line, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
        for line in lines
    ]
    return "\n".join([f"{title}:", *wrapped])
