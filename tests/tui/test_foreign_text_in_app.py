"""Text from outside on the screens: nothing that a terminal obeys, no markup, and never much of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.text import Text
from textual.widgets import DataTable, DirectoryTree, Static

from distill_core.runs import RunNotes
from distill_tui.jobs import JobState
from distill_tui.teacher.question_list import SHOWN_CHARACTERS, QuestionList
from distill_tui.ui.dialogs import ConfirmDialog, Question, TextDialog
from tests.core.database_factory import write_lda_db
from tests.core.test_foreign_text import HOSTILE, is_safe
from tests.tui.runs_on_disk import Made, make_run
from tests.tui.stage import PromptJobs, Stage, full_run, staged

NAME = HOSTILE.replace("\udc80", "") + "[red]"
SHOWN = "\\x1b]52;c;aGk=\\x07\\x1b[2J\\u202eRTL"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    database = write_lda_db(tmp_path / "db", num_heads=4, questions_per_head=8)
    changes = {"questions": "text", "answers": "text", "qa_clusters": "name"} | {
        "multi_head_projections": "name",
        "embedding_models": "name",
    }
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in changes.items():
            connection.execute(f"UPDATE {table} SET {column} = ? || {column}", (NAME,))
    return database


def drawn(stage: Stage) -> list[str]:
    return [strip.text for strip in stage.screen._compositor.render_strips()]


def cells_of(stage: Stage) -> list[str]:
    tables = stage.screen.query(DataTable)
    return [str(cell) for table in tables for row in table.rows for cell in table.get_row(row)]


def is_clean(stage: Stage) -> bool:
    return all(map(is_safe, drawn(stage)))


async def test_every_screen_of_a_hostile_database_shows_substitutes(hostile: Path) -> None:
    async with staged(hostile) as stage:
        await stage.show_teacher()
        for selector in ("#questions", "#routing", "#projections", "#facts"):
            assert SHOWN[:11] in stage.text(selector), selector
        assert is_clean(stage)
        await stage.train(*full_run())
        for mode in ("student", "train", "validate", "latency"):
            await stage.go(mode)
            assert is_clean(stage)
        await stage.go("validate")
        assert any(SHOWN[:20] in cell for cell in cells_of(stage))


async def test_a_hostile_run_is_listed_and_told_of_with_substitutes(hostile: Path) -> None:
    run = make_run(Made("run-1"))
    run.write_notes(RunNotes(name=f"N{NAME}", tags=(f"T{NAME}",), annotation=f"A{NAME}" + "x" * 1_000_000))
    async with staged(hostile, jobs=PromptJobs) as stage:
        await stage.go("runs")
        await stage.settle()
        assert is_clean(stage)
        assert f"N{SHOWN[:20]}" in stage.text("#run-facts")
        assert f"T{SHOWN[:20]}" in stage.text("#run-facts")
        await stage.press("d")
        assert isinstance(stage.screen, ConfirmDialog)
        assert is_clean(stage)
        assert any(f"N{SHOWN[:20]}" in line for line in drawn(stage))


async def test_a_failure_told_by_another_tool_is_one_clean_line(hostile: Path) -> None:
    async with staged(hostile) as stage:
        await stage.show_teacher()
        await stage.train(outcome=JobState.FAILED, error=f"no {NAME}")
        await stage.go("train")
        assert f"Failed: no {SHOWN}" in stage.text("#run-headline")
        assert is_clean(stage)


async def test_toasts_and_titles_read_no_markup(database: Path) -> None:
    text = f"[@click=app.bell]x[/] {NAME}" + "y" * 5000
    async with staged(database) as stage:
        stage.app.notify(text, title=text)
        await stage.settle()
        (toast,) = stage.toasts()
        assert toast.count(f"[@click=app.bell]x[/] {SHOWN}") == 2
        assert len(toast) < 1000
        assert is_clean(stage)
        stage.app.push_screen(TextDialog(Question(text, text)))
        await stage.settle()
        assert is_clean(stage)
        assert any("[@click=app.bell]x[/] \\x1b" in line for line in drawn(stage))


async def test_a_widget_that_forgets_is_drawn_as_wide_and_without_controls(database: Path) -> None:
    async with staged(database) as stage:
        widget = Static(Text(f"<{NAME}\xad>"))
        await stage.screen.mount(widget)
        await stage.settle()
        assert is_clean(stage)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 200_000, id="words"),
        pytest.param("e" + "\u0301" * 1_000_000, id="marks"),
        pytest.param("line\n" * 5000, id="lines"),
    ],
)
async def test_of_a_long_question_a_few_rows_are_shown_and_all_is_searched(text: str, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE questions SET text = ? || ' needle' WHERE question_id = 3", (text,))
        connection.execute("UPDATE answers SET text = ?", (text,))
        connection.execute("UPDATE qa_clusters SET name = ?", (text,))
        connection.execute("UPDATE multi_head_projections SET name = ?", (text,))
    async with staged(database) as stage:
        await stage.show_teacher()
        questions = stage.find("#questions", QuestionList)
        await stage.fill("#filter", "needle")
        assert len(questions.matching) == 1
        assert len(questions.text_of(0)) <= SHOWN_CHARACTERS
        assert len(stage.text("#facts")) < 5000
        await stage.train(*full_run((3, 9, 20)))
        await stage.go("validate")
        cells = [
            cell
            for table in stage.screen.query(DataTable)
            for row in table.rows
            for cell in table.get_row(row)
        ]
        assert cells
        assert max(len(str(cell)) for cell in cells) <= SHOWN_CHARACTERS


async def test_names_of_files_are_no_markup_in_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    for name in ("[@click=app.bell]x", "d\x1b[2J\u202e", "\udcff"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    async with staged(database, picker=True) as stage:
        tree = stage.find("#files", DirectoryTree)
        assert await stage.reach(lambda: len(tree.root.children) >= 3)
        labels = {str(node.label) for node in tree.root.children}
        assert labels >= {"[@click=app.bell]x", "d\\x1b[2J\\u202e", "\\udcff"}
        assert is_clean(stage)
