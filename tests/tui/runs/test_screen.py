"""Screen 6: the runs on disk are listed, filtered, sorted, marked and compared."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from distill_tui.runs.columns import SORTS
from distill_tui.runs.filter import matching
from distill_tui.runs.rows import RunRow, in_order
from distill_tui.runs.table import RunTable
from tests.tui import events
from tests.tui.runs.table import NAMES, header, mark, marks, names, put_cursor, row
from tests.tui.runs_on_disk import NOON, Made, answer, make_run, root, show_runs, store
from tests.tui.stage import staged


async def test_runs_are_listed_newest_first_with_what_they_are_and_are_worth(database: Path) -> None:
    make_run(Made("old", hour=0, heads=2, seed=7, cosines={1: 0.9}, mean=0.9313))
    new = make_run(Made("new", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        assert names(stage) == ["new", "old"]
        local = NOON.astimezone()
        assert row(stage, "old") == {
            "id": "old",
            "tags": "",
            "state": "finished",
            "cosine": "0.93130",
            "1-cos": ".0687",
            "skill": "",
            "when": f"{local.month:02}-{local.day:02} {local.hour:02}:{local.minute:02}",
            "p90 µs": "",
            "student": "encoder",
            "H": "2",
            "L": "2",
            "λ": "0.7",
            "recipe": "book",
            "seed": "7",
            "τ": "0.1",
            "projection": "1",
            "database": "n18/lda.db",
        }
        assert row(stage, "new")["state"] == "stopped"
        new.write_result("latency", events.latency_finished())
        stage.app.runs.list()
        await answer(stage)
        assert row(stage, "new")["p90 µs"] == f"{22 * 61.0:,.0f}"


async def test_without_runs_the_screen_says_how_to_make_one(database: Path) -> None:
    async with staged(database, size=(80, 24)) as stage:
        await stage.go("runs")
        assert stage.text("#runs-empty").strip() == "Reading the runs"
        await answer(stage)
        shown = stage.visible("#runs-empty")
        assert "ctrl+t" in shown
        assert "distill-tui train lda.db" in shown
        assert not stage.find("#run-table", RunTable).display


async def test_a_folder_that_cannot_be_listed_says_why(database: Path) -> None:
    root().parent.mkdir(parents=True, exist_ok=True)
    root().write_text("no folder")
    async with staged(database) as stage:
        await show_runs(stage)
        assert "cannot be listed" in stage.visible("#runs-empty")


async def test_a_damaged_run_is_listed_with_its_problem_and_a_failed_one_with_its_error(
    database: Path,
) -> None:
    damaged = make_run(Made("damaged one", hour=1, cosines={1: 0.9}))
    (damaged.path / "evaluation.json").write_text("{")
    make_run(Made("failed one")).mark("failed", "The loss is not a number any more after step 8.")
    async with staged(database) as stage:
        await show_runs(stage)
        await put_cursor(stage, "damaged one")
        assert row(stage, "damaged one")["state"] == "damaged"
        assert "evaluation.json is damaged" in stage.text("#run-facts").replace("\n", "")
        await put_cursor(stage, "failed one")
        assert row(stage, "failed one")["state"] == "failed"
        assert "Failed: The loss is not a number any more after step 8." in stage.text("#run-facts")


async def test_the_filter_is_live_looks_through_every_column_and_esc_clears_it(database: Path) -> None:
    make_run(Made("wide", hour=2, heads=8))
    make_run(Made("narrow", hour=1, database="/data/other.db"))
    store().tag(make_run(Made("third", cosines={1: 0.9})).path, "thesis")
    async with staged(database) as stage:
        await show_runs(stage)
        await stage.press("slash", *"other.DB".lower())
        assert names(stage) == ["narrow"]
        await stage.fill("#run-filter", "thesis finished")
        assert names(stage) == ["third"]
        await stage.press("enter")
        assert stage.screen.focused is stage.find("#run-table", RunTable)
        assert names(stage) == ["third"], "enter keeps the filter"
        await stage.press("slash")
        await stage.fill("#run-filter", "nothing like it")
        assert "No run matches 'nothing like it'" in stage.visible("#runs-empty")
        await stage.press("escape")
        assert names(stage) == ["wide", "narrow", "third"]
        assert stage.find("#run-filter", Input).value == ""
        assert stage.screen.focused is stage.find("#run-table", RunTable)


async def test_a_key_sorts_by_the_next_column_and_the_header_says_which(database: Path) -> None:
    for hour, (name, mean) in enumerate([("b", 0.5), ("a", 0.9), ("c", 0.7)]):
        make_run(Made(name, hour=hour, cosines={1: mean}, mean=mean))
    make_run(Made("d", hour=5))
    async with staged(database) as stage:
        await show_runs(stage)
        assert "when ▼" in header(stage)
        await put_cursor(stage, "c")
        await stage.press("s")
        assert names(stage) == ["a", "c", "b", "d"], "the best first, the unknown last"
        assert [title for title in header(stage) if title[-1:] in "▼▲" and title] == ["1-cos ▲"]
        assert stage.find("#run-table", RunTable).cursor_row == 1, "the cursor stays on its run"
        await stage.press("R")
        assert names(stage) == ["b", "c", "a", "d"], "the unknown stays last"
        assert "1-cos ▼" in header(stage)


def test_sorting_goes_once_through_every_column(database: Path) -> None:
    assert sorted(SORTS) == sorted(NAMES)
    make_run(Made("B"))
    make_run(Made("a", hour=1))
    rows = [RunRow((run,)) for run in store().list()]
    assert [r.run.name for r in in_order(rows, "id", reverse=False)] == ["a", "B"]
    assert [r.run.name for r in in_order(rows, "when", reverse=True)] == ["B", "a"]
    for name in NAMES:
        assert len(in_order(rows, name, reverse=False)) == 2
    assert matching(rows, "  ") == rows


async def test_marked_runs_are_compared_on_common_queries_with_the_first_of_them(database: Path) -> None:
    make_run(Made("first", hour=2, heads=4, cosines={1: 0.5, 2: 0.6, 3: 0.7}))
    make_run(Made("second", hour=1, heads=8, seed=3, cosines={2: 0.7, 3: 1.0, 4: 0.2}))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "first")
        assert not stage.screen.query_one("#run-comparison").display
        await mark(stage, "second")
        assert marks(stage) == ["1", "2"]
        header_line, first, second, *_ = stage.text("#run-comparison").split("\n")
        assert header_line.split() == ["run", "differs", "in", "Δ", "cosine", "95", "%", "queries"]
        assert first.split() == ["1", "first", "H4", "s0"]
        # Queries 2 and 3: 0.7 - 0.6 and 1.0 - 0.7. Of two, Student's t is 12.706.
        assert second.split() == ["2", "second", "H8", "s3", "+0.2000", "-1.0706", "+1.4706", "2"]


async def test_marked_runs_are_compared_with_the_pinned_one_if_there_is_one(database: Path) -> None:
    make_run(Made("other", hour=1, cosines={1: 0.5, 2: 0.5}))
    store().pin(make_run(Made("baseline", cosines={1: 0.25, 2: 0.25})).path)
    async with staged(database) as stage:
        await show_runs(stage)
        assert marks(stage) == ["", "*"]
        await mark(stage, "other")
        shown = stage.text("#run-comparison").split("\n")
        assert shown[1].split() == ["*", "baseline"]
        assert shown[2].split()[:3] == ["1", "other", "+0.2500"]
        await mark(stage, "other")
        assert marks(stage) == ["", "*"], "space takes a mark away again"
        assert not stage.screen.query_one("#run-comparison").display


async def test_runs_without_common_queries_say_so(database: Path) -> None:
    make_run(Made("one", hour=1, cosines={1: 0.5}))
    make_run(Made("two", cosines={2: 0.5}))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "one", "two")
        assert "none" in stage.text("#run-comparison")
        assert "No queries on which both were judged" in stage.text("#run-comparison")


async def test_a_run_that_is_gone_loses_its_mark(database: Path) -> None:
    store().move_to_trash(make_run(Made("first", hour=1)).path)
    kept, gone = make_run(Made("kept")), make_run(Made("gone", hour=1))
    async with staged(database) as stage:
        await show_runs(stage)
        await mark(stage, "gone", "kept")
        assert marks(stage) == ["1", "2"]
        store().move_to_trash(gone.path)
        stage.app.runs.list()
        await answer(stage)
        assert names(stage) == ["kept"]
        assert marks(stage) == ["1"]
        assert kept.path.exists()


async def test_listing_again_moves_nothing_and_shows_what_is_new(database: Path) -> None:
    runs = [make_run(Made(f"run {number:02}", hour=number)) for number in range(40)]
    async with staged(database) as stage:
        await show_runs(stage)
        await put_cursor(stage, "run 05")
        table = stage.find("#run-table", RunTable)
        before = (table.cursor_row, table.scroll_offset)
        runs[5].mark("failed", "Broken.")
        stage.app.runs.list()
        await answer(stage)
        assert (table.cursor_row, table.scroll_offset) == before
        assert row(stage, "run 05")["state"] == "failed"
        make_run(Made("newest", hour=99))
        stage.app.runs.list()
        await answer(stage)
        assert names(stage)[0] == "newest"
        assert names(stage)[table.cursor_row] == "run 05"
        below = names(stage)[table.cursor_row + 1]
        store().move_to_trash(runs[5].path)
        stage.app.runs.list()
        await answer(stage)
        assert names(stage)[table.cursor_row] == below, "of a run that is gone the next one has the cursor"
