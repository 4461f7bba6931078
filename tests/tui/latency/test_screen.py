from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from textual.widgets import ProgressBar

from distill_core.latency.events import LatencyFinished
from distill_tui.jobs import JobEnded, JobState, Progressed
from distill_tui.latency.tables import BarChart
from tests.tui import events
from tests.tui.stage import NARROW, Stage, staged


def headline(stage: Stage) -> str:
    return " ".join(stage.text("#latency-headline").split())


async def measure(stage: Stage, result: LatencyFinished) -> None:
    stage.app.latency.comparison.start()
    told = (events.latency_started(), events.block_timed(80), result)
    await stage.tell(
        Progressed(stage.app.latency.comparison, told),
        JobEnded(stage.app.latency.comparison, JobState.FINISHED),
    )


async def test_without_a_projection_it_says_where_to_choose_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("latency")
        assert "Choose a projection on screen 1." in headline(stage)
        await stage.press("enter")
        assert stage.app.latency.comparison.view.state is JobState.IDLE
        assert any("Choose a projection first." in toast for toast in stage.toasts())


async def test_enter_measures_and_the_bar_follows(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        assert "enter measures" in headline(stage)
        assert not stage.find("#latency-progress", ProgressBar).display
        await stage.press("enter")
        assert stage.app.latency.comparison.view.state is JobState.RUNNING
        assert stage.jobs.groups[-1] == "engine"
        assert "Timing an untrained encoder" in headline(stage)
        assert (stage.offers("latency.measure"), stage.offers("latency.stop")) == (False, True)

        await stage.tell(
            Progressed(stage.app.latency.comparison, (events.latency_started(), events.block_timed(20)))
        )
        bar = stage.find("#latency-progress", ProgressBar)
        assert bar.display
        assert (bar.progress, bar.total) == (20, 80)


WORDS = (
    (61.0, (58.0, 64.0), "LDA 61x faster (95 % 58x to 64x)"),
    (2.5, (2.25, 2.75), "LDA 2.5x faster (95 % 2.2x to 2.8x)"),
    (0.5, (0.4, 0.625), "transformer 2.0x faster (95 % 1.60x to 2.5x)"),
    (1.05, (0.9, 1.2), "no difference shown (transformer / LDA 1.05, 95 % 0.90 to 1.20)"),
)


async def test_the_headline_says_who_is_faster_by_how_much(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        for ratio, interval, words in WORDS:
            result = msgspec.structs.replace(
                events.latency_finished(),
                single_ratio=ratio,
                single_ratio_interval=interval,
                batch_ratio=33.0,
                batch_ratio_interval=(32.0, 34.0),
            )
            await measure(stage, result)
            assert f"single-stream: {words}" in headline(stage)
            assert "offline, batch of 32: LDA 33x faster (95 % 32x to 34x)" in headline(stage)
            assert "an untrained encoder H 4 L 1 against LDA N 4" in headline(stage)
            assert "folding: 3.0x the speed (2.9x to 3.1x), in batches 3.0x (2.8x to 3.2x)" in headline(stage)
            assert "unsteady" not in headline(stage)


async def test_percentiles_and_bars_are_those_of_the_measurement(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, events.latency_finished())
        table = [" ".join(line.split()) for line in stage.text("#latency-table").splitlines()]
        for line in (
            "MLPerf-like, shortened LDA folded published",
            "single-stream p50, µs 20.0 1,220.0 3,660.0",
            "single-stream p90, µs 22.0 1,342.0 4,026.0",
            "single-stream p99, µs 30.0 1,830.0 5,490.0",
            "single-stream, queries/s 50,000 820 273",
            "offline (32), µs a query 2.0 122.0 366.0",
            "offline (32), queries/s 500,000 8,197 2,732",
            "outliers, kept 3 3 3",
        ):
            assert any(line in row for row in table), line
        bars = stage.find("#latency-bars", BarChart)
        assert bars.rows == (
            ("LDA single-stream", 22.0),
            ("folded single-stream", 1342.0),
            ("published single-stream", 4026.0),
            ("LDA offline", 2.0),
            ("folded offline", 122.0),
            ("published offline", 366.0),
        )
        scales = (1, 61, 183)
        assert bars.intervals == (
            *((20.0 * scale, 25.0 * scale) for scale in scales),
            *((1.5 * scale, 2.5 * scale) for scale in scales),
        )
        lines = stage.visible("#latency-bars").splitlines()
        for name in ("LDA single-stream", "published single-stream", "folded offline"):
            (line,) = [line for line in lines if name in line]
            whisker = line.split("┤", 1)[1]
            assert ("├" in whisker and "┤" in whisker) or "┼" in whisker, "the interval lies over the bar"
        assert not stage.find("#latency-progress", ProgressBar).display


async def test_a_student_that_does_not_fold_has_one_form(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, events.latency_finished(folds=False))
        assert "folding" not in headline(stage)
        table = [" ".join(line.split()) for line in stage.text("#latency-table").splitlines()]
        assert any("single-stream p50, µs 20.0 1,220.0" in row for row in table)
        assert not any("published" in row for row in table)
        assert [name for name, _ in stage.find("#latency-bars", BarChart).rows] == [
            *("LDA single-stream", "student single-stream", "LDA offline", "student offline")
        ]


async def test_an_unsteady_machine_is_said(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, msgspec.structs.replace(events.latency_finished(), steady=False))
        assert "Doubtful: blocks disagree" in stage.text("#latency-doubts")


async def test_stopping_a_measurement(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter", "s")
        assert stage.app.latency.comparison.view.state is JobState.STOPPING
        await stage.tell(JobEnded(stage.app.latency.comparison, JobState.STOPPED))
        assert "Stopped before the end" in headline(stage)
        assert stage.offers("latency.measure")


async def test_a_failed_measurement_says_why(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter")
        await stage.tell(
            JobEnded(stage.app.latency.comparison, JobState.FAILED, "The device cuda is not there. Take cpu.")
        )
        assert headline(stage) == "Failed: The device cuda is not there. Take cpu."
        assert stage.app.training.view.state is JobState.IDLE
        assert stage.app.training.view.error == ""


async def test_a_measurement_and_a_run_exclude_each_other(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.go("latency")
        await stage.press("enter")
        assert stage.app.latency.comparison.view.state is JobState.IDLE
        assert any("training is still going and would disturb" in " ".join(t.split()) for t in stage.toasts())
        assert stage.jobs.groups.count("engine") == 1
        assert not stage.offers("latency.stop"), "s on this screen must not stop the training"


async def test_a_measurement_that_runs_keeps_a_run_from_starting(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter", "ctrl+t")
        assert stage.app.training.view.state is JobState.IDLE
        assert stage.jobs.groups.count("engine") == 1
        assert not stage.app.training.start()
        await stage.settle()
        assert any("latency is still going" in " ".join(toast.split()) for toast in stage.toasts())


@pytest.mark.parametrize("doubtful", [False, True])
async def test_at_80x24_headline_table_and_bars_are_visible(database: Path, *, doubtful: bool) -> None:
    busy = events.machine(load=1.5, usable_cores=1)
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        result = msgspec.structs.replace(
            events.latency_finished(), machine=busy if doubtful else events.machine(), steady=not doubtful
        )
        await measure(stage, result)
        if doubtful:
            shown = stage.visible("#latency-doubts")
            assert "Doubtful: busy (load 1.5), one core, blocks disagree" in shown
        assert "LDA 61x faster" in stage.visible("#latency-headline")
        assert "1,220.0" in stage.visible("#latency-table")
        assert "3,660.0" in stage.visible("#latency-table")
        bars = stage.visible("#latency-bars")
        assert bars.count("█") > 100, "there is room for bars, not only for words"
        for name, case in (("LDA", "single-stream"), ("published", "offline")):
            assert f"{name} {case}" in bars
        await stage.press("x", "v", "v")
        assert stage.find("#latency-progress", ProgressBar).display
        assert stage.visible("#latency-bars").count("█") > 100, (
            "beside the progress of another measurement, too"
        )


async def test_the_machine_is_one_line_and_a_busy_one_is_warned_of(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        result = msgspec.structs.replace(
            events.latency_finished(), machine=events.machine(load=1.5, usable_cores=1)
        )
        await measure(stage, result)
        machine = "Planted CPU at 2,500 MHz, 1 of 2 cores, 1 thread, openblas 0.3.31, 1 thread, torch 2.9.0"
        assert machine in stage.visible("#latency-machine")
        assert "Doubtful: busy (load 1.5), one core; repeat" in stage.visible("#latency-doubts")
        in_full = str(stage.screen.query_one("#latency-doubts").tooltip)
        assert "The machine is busy (load 1.5); repeat on a quiet one." in in_full
        assert "There is one core: whatever else runs is in the times." in in_full


async def test_enter_measures_for_a_user_who_has_just_come_to_the_screen(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.press("5", "enter")
        assert stage.app.latency.comparison.view.state is JobState.RUNNING
        assert stage.screen.focused is None, "a table that is not displayed must not have the keys"


async def test_times_of_another_student_go_when_a_run_starts(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        for layers, kept in ((2, True), (1, False)):
            settings = stage.app.student.view
            stage.app.student.publish(
                replace(settings, student=settings.student.with_values(heads=4, layers=2))
            )
            for start, told in (
                (
                    stage.app.latency.comparison.start,
                    Progressed(stage.app.latency.comparison, (events.latency_finished(),)),
                ),
                (
                    stage.app.latency.crossover.start,
                    Progressed(stage.app.latency.crossover, (events.crossover_finished(),)),
                ),
                (
                    stage.app.latency.contestants.start,
                    Progressed(stage.app.latency.contestants, (events.contestants_finished(),)),
                ),
            ):
                assert start()
                await stage.tell(told)
                await stage.end_job()
            settings = stage.app.student.view
            stage.app.student.publish(replace(settings, student=settings.student.with_values(layers=layers)))
            await stage.start_training()
            assert [desk.view.finished is not None for desk in stage.app.latency.all] == [kept] * 3
            await stage.tell(JobEnded(stage.app.training, JobState.STOPPED))
