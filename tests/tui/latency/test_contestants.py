from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import DataTable, ProgressBar

from distill_core.latency import ContestantsEvent
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.text import COLUMNS
from tests.tui import events
from tests.tui.stage import NARROW, WIDE, Stage, staged


def names(stage: Stage) -> list[str]:
    table = stage.find("#contestants-rows", DataTable)
    return [str(table.get_row_at(row)[0]) for row in range(table.row_count)]


async def compare(
    stage: Stage, *told: ContestantsEvent, outcome: JobState = JobState.FINISHED, error: str = ""
) -> None:
    await stage.press("a")
    await stage.tell(
        Progressed(stage.app.latency.contestants, told),
        JobEnded(stage.app.latency.contestants, outcome, error),
    )


FULL = (events.contestants_started(), events.contestants_timed(40), events.contestants_finished())


async def test_a_measures_everyone_and_the_bar_follows(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("a")
        assert stage.app.latency.contestants.view.state is JobState.RUNNING
        assert stage.jobs.groups[-1] == "engine"
        assert "building and warming up" in stage.text("#contestants-headline")
        await stage.tell(
            Progressed(
                stage.app.latency.contestants, (events.contestants_started(), events.contestants_timed(10))
            )
        )
        bar = stage.find("#latency-progress", ProgressBar)
        assert (bar.display, bar.progress, bar.total) == (True, 10, 40)
        assert "round 10 of 40" in stage.text("#contestants-headline")


async def test_the_table_has_the_figures_and_the_notes_the_reasons(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await compare(stage, *FULL)
        table = stage.find("#contestants-rows", DataTable)
        cells = [str(cell) for cell in table.get_row_at(2)]
        assert cells == [
            *("  student, folded", "300.0", "270.0", "3.00 (2.85-3.15)"),
            *("30,000", "7", "1,000,000", "4,000,000", "0.9300"),
        ]
        notes = " ".join(stage.text("#contestants-notes").split())
        assert "LDA, top 32 by faiss: does not work here: no index" in notes
        assert "untrained" in notes
        assert "unsteady" not in notes
        headline = stage.text("#contestants-headline")
        assert "single-stream and offline, MLPerf-like, shortened" in headline


async def test_every_column_sorts_with_the_best_first(database: Path) -> None:
    lda, top, published, folded = "* LDA, NumPy", "* LDA, top 8", "  student, published", "  student, folded"
    by_time = [top, lda, folded, published]
    expected = {
        "contestant": [lda, top, folded, published],
        "single p90 µs": by_time,
        "p50 µs": by_time,
        "x LDA (95 %)": by_time,
        "offline 1/s": [lda, top, folded, published],
        "outliers": [lda, top, published, folded],
        "parameters": [lda, top, folded, published],
        "bytes": [lda, top, folded, published],
        "cosine": [lda, top, published, folded],
    }
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await compare(stage, *FULL)
        for _ in COLUMNS:
            subtitle = str(stage.screen.query_one("#contestants").border_subtitle)
            (column,) = [name for name in COLUMNS if f"sorted by {name}  " in subtitle]
            assert names(stage) == expected.pop(column), column
            await stage.press("C")
        assert expected == {}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["120x36", "80x24"])
async def test_the_table_is_visible_at_both_sizes(database: Path, size: tuple[int, int]) -> None:
    async with staged(database, size=size) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await compare(stage, *FULL)
        visible = stage.visible("#contestants")
        for part in ("* LDA, NumPy", "student, folded", "300.0", "Pareto-best", "student, compiled"):
            assert part in visible, part


async def test_a_shows_the_table_again_without_measuring_anew(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await compare(stage, *FULL)
        while stage.screen.query_one("#contestants").display:
            await stage.press("v")
        await stage.press("a")
        assert stage.screen.query_one("#contestants").display
        assert not stage.app.latency.contestants.view.state.is_active
        await stage.press("a")
        assert stage.jobs.groups.count("engine") == 2


@pytest.mark.parametrize(
    ("outcome", "error", "sentence"),
    [
        (JobState.STOPPED, "", "stopped early, this is what was measured"),
        (JobState.FAILED, "The measurement failed: CUDA error", "Failed: The measurement failed: CUDA error"),
    ],
)
async def test_what_was_measured_before_the_end_is_shown(
    database: Path, outcome: JobState, error: str, sentence: str
) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        result = events.contestants_finished("interrupted", steady=False)
        await compare(stage, FULL[0], result, outcome=outcome, error=error)
        assert sentence in " ".join(stage.text("#contestants-headline").split())
        assert len(names(stage)) == 4
        assert "Doubtful: blocks disagree" in stage.text("#contestants-notes")
