"""Runs as rows of a table: how they are grouped, sorted and told apart. No widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from rich.text import Text

from distill_core.foreign_text import visible
from distill_tui.runs.columns import COLUMNS, Column, heads_words, own_name

if TYPE_CHECKING:
    from distill_core.runs import RunSummary
    from distill_tui.runs.desk import RunRemarks


@dataclass(frozen=True)
class RunRow:
    """A run, or several that differ in their seeds alone, with the texts of its columns.

    Attributes:
        runs: At least one; the first is the one that is opened.
    """

    runs: tuple[RunSummary, ...]

    @property
    def run(self) -> RunSummary:
        """The first of them."""
        return self.runs[0]

    @cached_property
    def texts(self) -> dict[str, str]:
        """What each of `COLUMNS` shows, by its name."""
        return {column.name: visible(self._text(column), 2 * column.max_cells) for column in COLUMNS}

    @cached_property
    def haystack(self) -> str:
        """What the filter looks through: every column, in full, and what else was said about the run."""
        run = self.run
        return " ".join(
            (*self.texts.values(), run.name, run.state, run.database, *run.tags, run.problem, run.path)
        ).lower()

    def value(self, column: Column) -> str | float | None:
        """Return what the row is sorted by: of numbers the mean over its runs."""
        values = [column.value(run) for run in self.runs]
        numbers = [value for value in values if isinstance(value, int | float)]
        return fmean(numbers) if numbers else values[0]

    def _text(self, column: Column) -> str:
        if len(self.runs) > 1 and column.of_group is not None:
            return column.of_group(self.runs)
        return column.text(self.run)


def grouped(rows: Iterable[RunRow]) -> list[RunRow]:
    """Return one row for all runs that differ in their seeds alone, in the place of the first of them."""
    groups: dict[str, list[RunSummary]] = {}
    for row in rows:
        for run in row.runs:
            groups.setdefault(run.settings_id or run.path, []).append(run)
    return [RunRow(tuple(runs)) for runs in groups.values()]


def in_order(rows: Sequence[RunRow], name: str, *, reverse: bool) -> list[RunRow]:
    """Return the rows sorted by a column, best or newest first, rows without a value last.

    Args:
        rows: Newest first, which decides between equals.
        name: Of the column.
        reverse: Worst or oldest first instead.
    """
    column = next(column for column in COLUMNS if column.name == name)
    known = [(value, row) for row in rows if (value := row.value(column)) not in (None, "")]
    unknown = [row for row in rows if row.value(column) in (None, "")]
    known.sort(key=lambda pair: pair[0], reverse=column.descending is not reverse)
    return [row for _value, row in known] + unknown


def columns_of(rows: Sequence[RunRow]) -> tuple[Column, ...]:
    """Return the columns from left to right: who, the settings that differ, the figures, then the others."""
    differing = {column.name for column in COLUMNS if column.is_setting and differs(rows, column)}
    who, *others = COLUMNS
    first = [column for column in others if column.name in differing]
    figures = [column for column in others if not column.is_setting]
    return who, *first, *figures, *(c for c in others if c.is_setting and c.name not in differing)


def differs(rows: Sequence[RunRow], column: Column) -> bool:
    """Tell whether a column does not say the same of all rows."""
    return len({row.texts[column.name] for row in rows}) > 1


def shared_words(rows: Sequence[RunRow]) -> str:
    """Say which settings all rows have in common; nothing of a single row, which says them itself."""
    if len(rows) < 2:
        return ""
    shared = [column for column in COLUMNS if column.is_setting and not differs(rows, column)]
    return ", ".join(words for column in shared if (words := _setting_words(column, rows[0])))


def setting_labels(runs: Sequence[RunSummary], *, with_seeds: bool = True) -> list[str]:
    """Return what tells each run from the others, such as `H4 L2 s0`; empty where it is none of the columns.

    Args:
        runs: Those to be told apart.
        with_seeds: Whether the seed counts.
    """
    rows = [RunRow((run,)) for run in runs]
    told_by = [
        column
        for column in COLUMNS
        if column.is_setting and differs(rows, column) and (with_seeds or column.name != "seed")
    ]
    return [" ".join(filter(None, (_setting_words(column, row) for column in told_by))) for row in rows]


def short_labels(runs: Sequence[RunSummary], *, with_seeds: bool = True) -> list[str]:
    """Return a short name for each run: its own, else its settings that differ, else its id."""
    labels = setting_labels(runs, with_seeds=with_seeds)
    meant: dict[str, set[str]] = {}
    for run, label in zip(runs, labels, strict=True):
        meant.setdefault(label, set()).add(run.path if with_seeds else run.settings_id)
    return [
        own_name(run) or (label if label and len(meant[label]) == 1 else run.id)
        for run, label in zip(runs, labels, strict=True)
    ]


_SYMBOLS = {"seed": "s", "projection": "mh ", "student": "", "recipe": "", "database": "", "τ": "τ "}


def _setting_words(column: Column, row: RunRow) -> str:
    text = row.texts[column.name]
    short = f".{text[2:]}" if text.startswith("0.") else text
    return f"{_SYMBOLS.get(column.name, column.name)}{short}" if text else ""


LINE_CHARACTERS = 500


def run_facts(run: RunSummary, remarks: RunRemarks | None) -> Text:
    """Return the name, what is wrong, what the user said, and the settings, a line each.

    Args:
        run: The run as it was listed.
        remarks: None until they are read.
    """
    text = Text().append(visible(run.name), "bold")
    for words, style in _facts(run, remarks):
        text.append(f"\n{visible(words, LINE_CHARACTERS)}", style)
    return text


def _facts(run: RunSummary, remarks: RunRemarks | None) -> Iterator[tuple[str, str]]:
    baseline = ", the baseline" if run.pinned else ""
    yield f"{run.state} · {run.created.astimezone():%Y-%m-%d %H:%M}{baseline}", ""
    if remarks is not None and remarks.error and run.state == "failed":
        yield f"Failed: {remarks.error}", "bold"
    if run.problem:
        problem = run.problem.replace(f"{run.path}/", "")
        yield f"Damaged: {problem}", "bold"
    if run.tags:
        yield f"Tags: {', '.join(run.tags)}", ""
    if remarks is not None and remarks.annotation:
        yield remarks.annotation, ""
    if run.database:
        yield setting_words(run), "dim"
    yield run.path, "dim"


def setting_words(run: RunSummary) -> str:
    """Return student, settings and teacher of a run in one line."""
    text = {column.name: column.text(run) for column in COLUMNS}
    heads = f" H {heads}" if (heads := heads_words(run)) else ""
    tau = f" τ {text['τ']}" if text["τ"] else ""
    return (
        f"{run.student}{heads} L {text['L']} · {run.recipe} λ {text['λ']} seed {text['seed']} · "
        f"projection {text['projection']}{tau} of {run.database}"
    )
