"""Runs as rows of a table: what each column says, how rows are sorted and filtered. No widget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from distill_core.foreign_text import visible

if TYPE_CHECKING:
    from distill_core.runs import RunSummary
    from distill_tui.runs.desk import RunRemarks


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of runs.

    Attributes:
        text: What it shows of a run; empty where that is not known.
        value: What it is sorted by; None is last in any order.
        descending: Whether the highest value is the one to see first.
    """

    name: str
    text: Callable[[RunSummary], str]
    value: Callable[[RunSummary], str | float | None]
    is_number: bool = False
    descending: bool = False
    max_cells: int = 40


@dataclass(frozen=True)
class RunRow:
    """A run with the texts of its columns."""

    run: RunSummary

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """One for each of `COLUMNS`."""
        return tuple(visible(column.text(self.run), 2 * column.max_cells) for column in COLUMNS)

    @cached_property
    def haystack(self) -> str:
        """What the filter looks through: every column, in full, and what else was said about the run."""
        run = self.run
        return " ".join(
            (*self.texts, run.name, run.state, run.database, *run.tags, run.problem, run.path)
        ).lower()


def matching(rows: Iterable[RunRow], pattern: str) -> list[RunRow]:
    """Return the rows that hold every word of a pattern, in any column."""
    words = pattern.lower().split()
    return [row for row in rows if all(word in row.haystack for word in words)]


def in_order(rows: Sequence[RunRow], name: str, *, reverse: bool) -> list[RunRow]:
    """Return the rows sorted by a column, best or newest first, rows without a value last.

    Args:
        rows: Newest first, which decides between equals.
        name: Of the column.
        reverse: Worst or oldest first instead.
    """
    column = next(column for column in COLUMNS if column.name == name)
    known = [(value, row) for row in rows if (value := column.value(row.run)) not in (None, "")]
    unknown = [row for row in rows if column.value(row.run) in (None, "")]
    known.sort(key=lambda pair: pair[0], reverse=column.descending is not reverse)
    return [row for _value, row in known] + unknown


def state_words(run: RunSummary) -> str:
    """Return the state; of a damaged run that is left to the words below the table."""
    return "damaged" if run.problem else run.state


def database_words(run: RunSummary) -> str:
    """Return the database with its folder, which is what tells one `lda.db` from another."""
    path = Path(run.database)
    return f"{path.parent.name}/{path.name}".removeprefix("/") if run.database else ""


def short_name(run: RunSummary) -> str:
    """Return the name that the user gave, else the four digits by which the folder's differs from others."""
    folder = Path(run.path).name
    return visible(run.name) if run.name != folder else f"…{visible(folder.rpartition('-')[2])}"


def when_words(run: RunSummary) -> str:
    """Return when the run was made, in local time, in eleven characters."""
    return f"{run.created.astimezone():%m-%d %H:%M}"


def heads_words(run: RunSummary) -> str:
    """Return H; nothing where the kind of student has no heads."""
    return str(run.heads) if run.heads else ""


def _number(value: float | None, shape: str = "g") -> str:
    return "" if value is None else format(value, shape)


COLUMNS: tuple[Column, ...] = (
    Column("name", lambda run: run.name, lambda run: run.name.lower(), max_cells=34),
    Column("state", state_words, state_words),
    Column(
        "cosine",
        lambda run: _number(run.cosine, ".4f"),
        lambda run: run.cosine,
        is_number=True,
        descending=True,
    ),
    Column(
        "skill", lambda run: _number(run.skill, ".3f"), lambda run: run.skill, is_number=True, descending=True
    ),
    Column("when", when_words, lambda run: run.created.timestamp(), descending=True),
    Column("p90 µs", lambda run: _number(run.latency_us, ",.1f"), lambda run: run.latency_us, is_number=True),
    Column("student", lambda run: run.student, lambda run: run.student),
    Column("H", heads_words, lambda run: run.heads, is_number=True),
    Column("L", lambda run: _number(run.layers), lambda run: run.layers, is_number=True),
    Column("λ", lambda run: _number(run.cosine_weight), lambda run: run.cosine_weight, is_number=True),
    Column("recipe", lambda run: run.recipe, lambda run: run.recipe),
    Column("seed", lambda run: _number(run.seed, "d"), lambda run: run.seed, is_number=True),
    Column("τ", lambda run: _number(run.temperature), lambda run: run.temperature, is_number=True),
    Column(
        "projection", lambda run: _number(run.projection, "d"), lambda run: run.projection, is_number=True
    ),
    Column("database", database_words, database_words, max_cells=28),
)
"""From left to right: what a run is worth stands beside its name, also where the terminal is narrow."""

SORTS: tuple[str, ...] = (
    *("when", "cosine", "skill", "p90 µs"),
    *(column.name for column in COLUMNS if column.name not in ("when", "cosine", "skill", "p90 µs")),
)
"""The names of the columns in the order in which one sorts by them; newest first to begin with."""


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
        yield _settings(run), "dim"
    yield run.path, "dim"


def _settings(run: RunSummary) -> str:
    text = {column.name: column.text(run) for column in COLUMNS}
    heads = f" H {heads}" if (heads := heads_words(run)) else ""
    tau = f" τ {text['τ']}" if text["τ"] else ""
    return (
        f"{run.student}{heads} L {text['L']} · {run.recipe} λ {text['λ']} seed {text['seed']} · "
        f"projection {text['projection']}{tau} of {run.database}"
    )
