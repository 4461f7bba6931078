"""The table of runs as a test reads it, and what a test does in it."""

from __future__ import annotations

from distill_tui.runs.columns import COLUMNS
from distill_tui.runs.table import RunTable
from tests.tui.runs_on_disk import answer
from tests.tui.stage import Stage

NAMES = [column.name for column in COLUMNS]


def names(stage: Stage) -> list[str]:
    """Return the names in the table, from the top."""
    return [cell.text for cell in stage.find("#run-table", RunTable).get_column("id")]


def marks(stage: Stage) -> list[str]:
    return [cell.text for cell in stage.find("#run-table", RunTable).get_column("mark")]


def row(stage: Stage, name: str) -> dict[str, str]:
    """Return what the row of a run says, by column."""
    table = stage.find("#run-table", RunTable)
    cells = [cell.text for cell in table.get_row_at(names(stage).index(name))]
    columns = [str(column.key.value) for column in table.ordered_columns]
    return dict(zip(columns[1:], cells[1:], strict=True))


async def put_cursor(stage: Stage, name: str) -> None:
    table = stage.find("#run-table", RunTable)
    table.focus()
    table.move_cursor(row=names(stage).index(name))
    await stage.settle()
    await answer(stage)


async def mark(stage: Stage, *wanted: str) -> None:
    for name in wanted:
        await put_cursor(stage, name)
        await stage.press("space")
    await answer(stage)


def header(stage: Stage) -> list[str]:
    return [column.label.plain for column in stage.find("#run-table", RunTable).ordered_columns]
