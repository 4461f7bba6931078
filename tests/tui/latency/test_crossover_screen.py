from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.widgets import ProgressBar

from distill_core.latency import CrossoverEvent
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.latency.crossover import CrossoverChart
from tests.tui import events
from tests.tui.stage import NARROW, WIDE, Stage, staged


def words(stage: Stage) -> str:
    return " ".join(stage.text("#crossover-words").split())


async def search(
    stage: Stage, *told: CrossoverEvent, outcome: JobState = JobState.FINISHED, error: str = ""
) -> None:
    await stage.press("x")
    await stage.tell(
        Progressed(stage.app.latency.crossover, told), JobEnded(stage.app.latency.crossover, outcome, error)
    )


FULL = (events.crossover_started(), events.crossover_finished())


async def test_x_searches_and_the_bar_follows_the_budget(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("x")
        assert stage.app.latency.crossover.view.state is JobState.RUNNING
        assert stage.jobs.groups[-1] == "engine"
        assert (stage.offers("latency.crossover"), stage.offers("latency.stop")) == (False, True)
        assert "warming up" in words(stage)
        await stage.tell(
            Progressed(
                stage.app.latency.crossover,
                (events.crossover_started(), events.crossover_point(64, 32, elapsed=15.0)),
            )
        )
        bar = stage.find("#latency-progress", ProgressBar)
        assert (bar.display, bar.progress, bar.total) == (True, 15.0, 60.0)
        assert "N 64, batches of 32, 15 of 60 s" in words(stage)
        await stage.tell(JobEnded(stage.app.latency.crossover, JobState.FINISHED))
        assert not bar.display


async def test_the_brackets_stand_beside_arithmetic_and_the_published_claims(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await search(stage, *FULL)
        said = words(stage)
        for part in (
            "F this student from 4,096 to 8,192 heads",
            "G grown, H^L >= N none up to 16,384 heads",
            "by FLOPs F from 2,900 heads, G from 9,000 heads",
            "by parameters F from 3,000 heads, G from 9,100 heads",
            "published > 400 (single), ~ 27 (batches)",
            "heads 4 real ones, the others drawn near them",
            "The search is complete. 22 points in 12 s.",
        ):
            assert part in said, part
        assert "unsteady" not in said
        await stage.press("b")
        assert "F this student none up to 16,384 heads" in words(stage)


async def test_the_cursor_reads_real_and_drawn_heads_and_all_three_times(database: Path) -> None:
    """The LDA takes 10 us and 0.1 us a head."""
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await search(stage, *FULL)
        assert "N 8,192 (4 real, 8,188 drawn)" in stage.text("#crossover-cursor")
        await stage.press("left")
        said = " ".join(stage.text("#crossover-cursor").split())
        assert said == (
            "N 4,096 (4 real, 4,092 drawn) LDA 420 µs F 500 µs, 1.19 (1.13 to 1.25) "
            "G (L 5) 2,000 µs, 4.77 (4.53 to 5)"
        )


async def test_a_stopped_search_keeps_what_it_has(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("x", "s")
        assert stage.app.latency.crossover.view.state is JobState.STOPPING
        result = events.crossover_finished("interrupted")
        await stage.tell(
            Progressed(stage.app.latency.crossover, (events.crossover_started(), result)),
            JobEnded(stage.app.latency.crossover, JobState.STOPPED),
        )
        assert "Interrupted; this is what was measured." in words(stage)
        assert stage.find("#crossover-chart", CrossoverChart).points()
        assert stage.offers("latency.crossover")


async def test_a_search_stopped_before_its_first_point_says_so(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await search(stage, events.crossover_started(), outcome=JobState.STOPPED)
        assert "stopped before the first point" in words(stage)
        assert not stage.offers("latency.batch")


async def test_a_device_that_disappears_leaves_the_curves_and_says_why(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        error = "The measurement at 512 heads failed: CUDA error"
        interrupted = events.crossover_finished("interrupted")
        told = (events.crossover_started(), interrupted)
        await search(stage, *told, outcome=JobState.FAILED, error=error)
        assert f"failed {error}" in words(stage)
        assert "F this student from 4,096 to 8,192 heads" in words(stage)
        assert stage.app.latency.comparison.view.state is JobState.IDLE


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (events.machine(load=1.9), "doubtful busy (load 1.9), blocks disagree"),
        (events.machine(usable_cores=1), "doubtful one core, blocks disagree"),
    ],
)
async def test_a_machine_that_deserves_doubt_is_said(database: Path, machine: object, sentence: str) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        started = msgspec.structs.replace(events.crossover_started(), machine=machine)
        await search(stage, started, msgspec.structs.replace(FULL[1], unsteady=True))
        assert sentence in words(stage)
        in_full = str(stage.screen.query_one("#crossover-words").tooltip)
        assert "The machine was unsteady" in in_full


async def test_a_search_and_a_run_exclude_each_other(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("latency")
        await stage.press("x")
        assert stage.app.latency.crossover.view.state is JobState.IDLE
        await stage.show_teacher()
        await stage.start_training()
        await stage.press("x")
        assert stage.app.latency.crossover.view.state is JobState.IDLE
        assert any("training is still going and would disturb" in " ".join(t.split()) for t in stage.toasts())


async def test_at_120x36_bars_and_curves_are_both_there(database: Path) -> None:
    async with staged(database, size=WIDE) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await search(stage, *FULL)
        assert stage.screen.query_one("#latency-body").display
        curves = stage.visible("#crossover-chart")
        assert curves.count("F") > 8
        assert "░" in curves


@pytest.mark.parametrize("doubtful", [False, True])
async def test_at_80x24_v_turns_from_curves_to_bars(database: Path, *, doubtful: bool) -> None:
    started, finished = FULL
    if doubtful:
        busy = events.machine(load=1.9, usable_cores=1)
        started = msgspec.structs.replace(started, machine=busy)
        finished = msgspec.structs.replace(finished, machine=busy, unsteady=True)
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await search(stage, started, finished)
        curves = stage.visible("#crossover-chart")
        assert curves.count("F") > 8
        assert "░" in curves
        assert "G (L 5) 2,000 µs" in stage.visible("#crossover-cursor")
        assert "search" in stage.visible("#crossover-words")
        assert not stage.screen.query_one("#latency-body").display
        while not stage.screen.query_one("#latency-body").display:
            await stage.press("v")
        assert not stage.screen.query_one("#crossover").display
