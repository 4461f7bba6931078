"""Marked runs side by side: who is nearer to the teacher, and which settings differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distill_core.config import DataConfig, SplitConfig, TrainingConfig
from distill_core.foreign_text import visible
from distill_core.settings import AUTO, describe
from distill_core.students.kinds import describe_kind, describe_student_field
from distill_core.wording import several_words, signed
from distill_tui.runs.columns import own_name
from distill_tui.runs.rows import setting_labels
from distill_tui.text import different_machines, speed_rows

if TYPE_CHECKING:
    from distill_core.runs import PairedDifference, RunComparison, RunSummary
    from distill_tui.runs.desk import ComparedRuns

_GROUPS: dict[str, type[msgspec.Struct]] = {
    "data": DataConfig,
    "split": SplitConfig,
    "training": TrainingConfig,
}
_IN_LABELS = frozenset(
    {
        *("student.kind", "student.heads", "student.layers", "training.cosine_weight", "training.recipe"),
        *("training.seed", "data.database", "data.mh_id", "data.temperature"),
    }
)
"""Settings that the columns of the table of runs have, and so the labels."""
FEWEST_DIGITS, MOST_DIGITS = 4, 7


def run_comparison(
    compared: ComparedRuns, runs: Sequence[RunSummary], marks: Sequence[str]
) -> RenderableType:
    """Return the comparison as a table with a line a run, the first being what the others are measured by.

    Args:
        compared: The comparison, or why there is none.
        runs: Its runs.
        marks: What stands before each.
    """
    comparison = compared.comparison
    if comparison is None:
        return Text(compared.error)
    table = Table.grid(padding=(0, 2))
    columns = [column for column in _columns(comparison, runs, marks) if any(column.cells)]
    for column in columns:
        table.add_column(no_wrap=True, justify="right" if column.is_number else "left", overflow="ellipsis")
    table.add_row(*(Text(column.title, "dim") for column in columns))
    for number in range(len(runs)):
        table.add_row(*(Text(visible(column.cells[number])) for column in columns))
    machines = different_machines(comparison)
    if machines:
        machines.insert(0, "Timed on different machines:")
    return Group(table, Text("\n".join([_note(comparison), *map(visible, machines)]), "dim"))


class _Column(NamedTuple):
    title: str
    cells: Sequence[str]
    is_number: bool = True


def _columns(
    comparison: RunComparison, runs: Sequence[RunSummary], marks: Sequence[str]
) -> Iterator[_Column]:
    differences = (None, *comparison.differences)
    digits = _digits(comparison.differences)
    yield _Column("", marks, is_number=False)
    yield _Column("run", [own_name(run) or run.id for run in runs], is_number=False)
    yield _Column("differs in", setting_labels(runs), is_number=False)
    yield _Column("Δ cosine", [_mean(difference, digits) for difference in differences])
    yield _Column("95 %", [_interval(difference, digits) for difference in differences], is_number=False)
    for title, cells in speed_rows(comparison):
        yield _Column(title, cells)
    for place, values in comparison.settings.items():
        if place not in _IN_LABELS:
            yield _Column(_title(place), [value if value != "None" else AUTO for value in values])
    yield _Column("queries", ["", *(str(one.num_queries) if one else "none" for one in differences[1:])])


def _digits(differences: Sequence[PairedDifference | None]) -> int:
    """Return how many decimals show two figures of the narrowest interval, or of the smallest difference."""
    widths = [
        one.high - one.low if one.low is not None and one.high is not None else abs(one.mean)
        for one in differences
        if one is not None
    ]
    narrowest = min((width for width in widths if width > 0), default=1.0)
    return min(max(FEWEST_DIGITS, 1 - math.floor(math.log10(narrowest))), MOST_DIGITS)


def _title(place: str) -> str:
    """Return a setting's title, as in the form, from its place in the settings, such as `student.heads`."""
    group, _, name = place.partition(".")
    if group == "student":
        return (describe_kind() if name == "kind" else describe_student_field(name)).title
    return describe(_GROUPS[group], name).title


def _mean(difference: PairedDifference | None, digits: int) -> str:
    return "" if difference is None else signed(difference.mean, digits)


def _interval(difference: PairedDifference | None, digits: int) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return ""
    return f"{signed(difference.low, digits)} {signed(difference.high, digits)}"


def _note(comparison: RunComparison) -> str:
    if all(difference is None for difference in comparison.differences):
        return "No queries on which both were judged, by the same teacher."
    note = "Δ from the first, on common test queries; + is nearer to the teacher."
    return note if comparison.num_compared < 2 else f"{note}\n{several_words(comparison.num_compared)}"
