from __future__ import annotations

from pathlib import Path

import msgspec
from textual.widgets import ProgressBar

from distill_core.latency.events import LatencyFinished
from distill_tui.messages import JobEnded, LatencyProgressed
from distill_tui.state import JobState
from distill_tui.widgets.bar_chart import BarChart
from tests.tui import events
from tests.tui.stage import NARROW, Stage, staged


def headline(stage: Stage) -> str:
    return " ".join(stage.text("#latency-headline").split())


async def measure(stage: Stage, result: LatencyFinished) -> None:
    stage.app.start_latency()
    told = (events.latency_started(), events.block_timed(80), result)
    await stage.tell(LatencyProgressed(told), JobEnded("latency", JobState.FINISHED))


async def test_without_a_projection_it_says_where_to_choose_one(database: Path) -> None:
    async with staged(database) as stage:
        await stage.go("latency")
        assert "Choose a projection on screen 1." in headline(stage)
        await stage.press("enter")
        assert stage.app.latency.state is JobState.IDLE
        assert any("Choose a projection first." in toast for toast in stage.toasts())


async def test_enter_measures_and_the_bar_follows(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        assert "enter measures" in headline(stage)
        assert not stage.find("#latency-progress", ProgressBar).display
        await stage.press("enter")
        assert stage.app.latency.state is JobState.RUNNING
        assert stage.controller.groups[-1] == "engine"
        assert "timing" in headline(stage)
        assert (stage.offers("latency.measure"), stage.offers("latency.stop")) == (False, True)

        await stage.tell(LatencyProgressed((events.latency_started(), events.block_timed(20))))
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
            assert f"single query: {words}" in headline(stage)
            assert "batch of 32: LDA 33x faster (95 % 32x to 34x)" in headline(stage)
            assert "N 4, an untrained student of this shape" in headline(stage)
            assert "unsteady" not in headline(stage)


async def test_percentiles_and_bars_are_those_of_the_measurement(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, events.latency_finished())
        table = [" ".join(line.split()) for line in stage.text("#latency-table").splitlines()]
        for line in (
            "p50 p90 p99 queries/s",
            "LDA, single 20.0 22.0 30.0 50,000",
            "LDA, batch 32 2.0 2.2 3.0 500,000",
            "transformer, single 1,220.0 1,342.0 1,830.0 820",
            "transformer, batch 32 122.0 134.2 183.0 8,197",
        ):
            assert any(line in row for row in table), line
        assert stage.find("#latency-bars", BarChart).rows == (
            ("LDA single", 20.0),
            ("transformer single", 1220.0),
            ("LDA batch 32", 2.0),
            ("transformer batch 32", 122.0),
        )
        assert not stage.find("#latency-progress", ProgressBar).display


async def test_an_unsteady_machine_is_said(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, msgspec.structs.replace(events.latency_finished(), steady=False))
        assert "The machine was unsteady" in headline(stage)


async def test_stopping_a_measurement(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter", "s")
        assert stage.app.latency.state is JobState.STOPPING
        await stage.tell(JobEnded("latency", JobState.STOPPED))
        assert "Stopped before the end" in headline(stage)
        assert stage.offers("latency.measure")


async def test_a_failed_measurement_says_why(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter")
        await stage.tell(JobEnded("latency", JobState.FAILED, "The device cuda is not there. Take cpu."))
        assert headline(stage) == "Failed: The device cuda is not there. Take cpu."
        assert stage.app.training.state is JobState.IDLE
        assert stage.app.training.error == ""


async def test_a_measurement_and_a_run_exclude_each_other(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.start_training()
        await stage.go("latency")
        await stage.press("enter")
        assert stage.app.latency.state is JobState.IDLE
        assert any("training is still going and would disturb" in " ".join(t.split()) for t in stage.toasts())
        assert stage.controller.groups.count("engine") == 1
        assert not stage.offers("latency.stop"), "s on this screen must not stop the training"


async def test_a_measurement_that_runs_keeps_a_run_from_starting(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("enter", "ctrl+t")
        assert stage.app.training.state is JobState.IDLE
        assert stage.controller.groups.count("engine") == 1
        assert not stage.app.start_training()
        await stage.settle()
        assert any("latency is still going" in " ".join(toast.split()) for toast in stage.toasts())


async def test_at_80x24_headline_and_table_are_visible(database: Path) -> None:
    async with staged(database, size=NARROW) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await measure(stage, events.latency_finished())
        assert "LDA 61x faster" in stage.visible("#latency-headline")
        assert "1,220.0" in stage.visible("#latency-table")
