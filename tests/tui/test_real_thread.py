"""The two tests with the real thread and the real engine; all others post messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from distill_tui.app import DistillApp
from distill_tui.jobs import JobState
from tests.tui.stage import text_of

BOUND_SECONDS = 120.0


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Wait until the threads have brought the app that far."""
    end = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < end, "the thread did not get there"
        await pilot.pause(0.02)


def quick_settings(app: DistillApp, *, epochs: int) -> None:
    settings = app.student.view
    app.student.publish(
        type(settings)(
            settings.split,
            settings.student.with_values(ff_dim=8),
            settings.training.with_values(recipe="book", epochs=epochs, batch_size=8, device="cpu"),
        )
    )


async def test_a_run_is_trained_judged_and_timed(database: Path) -> None:
    app = DistillApp(database)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.teacher.view is not None)
        quick_settings(app, epochs=3)
        await pilot.press("ctrl+t")
        assert app.current_mode == "train"
        await until(pilot, lambda: app.training.view.state is JobState.FINISHED)
        assert app.training.view.epoch is not None
        assert app.training.view.epoch.epoch == 3
        assert app.training.histories.by_metric["loss"]["train"].x.tolist() == [1, 2, 3]

        await pilot.press("4")
        assert app.training.view.finished is not None
        assert app.training.view.tested is not None
        await until(pilot, lambda: app.screen.query_one("#worst", DataTable).row_count > 0)
        worst = app.screen.query_one("#worst", DataTable).get_row_at(0)
        assert str(worst[0]) == f"{min(app.training.view.tested.cosines):.4f}"
        assert app.training.view.finished.verdict is not None
        assert app.training.view.finished.verdict.sentence in " ".join(
            text_of(app.screen.query_one("#verdict")).split()
        )

        await pilot.press("5", "enter")
        await until(pilot, lambda: app.latency.comparison.view.state is JobState.FINISHED)
        assert app.latency.comparison.view.trained
        assert app.latency.comparison.view.finished is not None
        assert app.latency.comparison.view.finished.unfolded is not None
        await until(pilot, lambda: "trained)" in text_of(app.screen.query_one("#latency-headline")))
        assert not app.jobs.is_busy
        await until(pilot, lambda: not app.workers)


@pytest.mark.usefixtures("no_batching")
async def test_a_run_that_is_stopped_is_judged_as_it_is(database: Path) -> None:
    app = DistillApp(database)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.teacher.view is not None)
        quick_settings(app, epochs=100_000)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.training.view.progress is not None)
        await pilot.press("s")
        await until(pilot, lambda: app.training.view.state is JobState.STOPPED)
        assert app.training.view.finished is not None
        assert app.training.view.tested is not None
        assert 0 <= app.training.view.finished.epochs < 100_000
        assert app.training.session is not None
        assert app.screen.query_one("#run-headline")
        assert "Stopped early" in text_of(app.screen.query_one("#run-headline"))
        await pilot.press("4")
        await until(pilot, lambda: app.screen.query_one("#worst", DataTable).row_count > 0)
