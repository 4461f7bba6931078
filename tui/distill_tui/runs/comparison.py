"""Marked runs side by side: who is nearer to the teacher, and which settings differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distill_core.config import DataConfig, SplitConfig, TrainingConfig
from distill_core.foreign_text import visible
from distill_core.settings import AUTO, describe
from distill_core.students.kinds import describe_kind, describe_student_field
from distill_core.wording import several_words, signed
from distill_tui.text import different_machines, speed_rows

if TYPE_CHECKING:
    from distill_core.runs import PairedDifference, RunComparison
    from distill_tui.runs.desk import ComparedRuns

TITLE_CELLS = 10
_GROUPS: dict[str, type[msgspec.Struct]] = {
    "data": DataConfig,
    "split": SplitConfig,
    "training": TrainingConfig,
}


def run_comparison(compared: ComparedRuns, names: Sequence[str]) -> RenderableType:
    """Return the comparison as a table with a column a run, the first being what the others are measured by.

    Args:
        compared: The comparison, or why there is none.
        names: Short ones, of its runs.
    """
    if compared.comparison is None:
        return Text(compared.error)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim", min_width=TITLE_CELLS)
    for _name in names:
        table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row("", *(Text(name, "bold") for name in names))
    for title, cells in _rows(compared.comparison):
        table.add_row(title, *(Text(visible(cell)) for cell in cells))
    if machines := different_machines(compared.comparison):
        machines.insert(0, "Timed on different machines:")
    return Group(table, Text("\n".join([_note(compared.comparison), *map(visible, machines)]), "dim"))


def _rows(comparison: RunComparison) -> Iterator[tuple[str, list[str]]]:
    differences = comparison.differences
    yield "Δ cosine", ["", *map(_mean, differences)]
    yield "95 %", ["", *map(_interval, differences)]
    yield "queries", ["", *(str(one.num_queries) if one else "none" for one in differences)]
    yield from speed_rows(comparison)
    for place, values in comparison.settings.items():
        yield _title(place), [value if value != "None" else AUTO for value in values]


def _title(place: str) -> str:
    """Return a setting's title, as in the form, from its place in the settings, such as `student.heads`."""
    group, _, name = place.partition(".")
    if group == "student":
        return (describe_kind() if name == "kind" else describe_student_field(name)).title
    return describe(_GROUPS[group], name).title


def _mean(difference: PairedDifference | None) -> str:
    return "" if difference is None else signed(difference.mean, 4)


def _interval(difference: PairedDifference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return ""
    return f"{signed(difference.low, 4)} {signed(difference.high, 4)}"


def _note(comparison: RunComparison) -> str:
    if all(difference is None for difference in comparison.differences):
        return "No queries on which both were judged, by the same teacher."
    note = "Δ from the first, on common test queries; + is nearer to the teacher."
    return note if comparison.num_compared < 2 else f"{note}\n{several_words(comparison.num_compared)}"
