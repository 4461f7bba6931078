"""A verdict by measured cost belongs to the run that it is about, and to no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distill_core.latency.events import LatencyFinished
from distill_core.runs import RecordedRun, RunFolder
from distill_core.training.events import TrainEvent
from distill_tui.jobs import JobEnded, JobState, Progressed
from tests.tui import events
from tests.tui.stage import PromptJobs, staged

BEFORE, AFTER = events.run_finished(mean=0.9), events.run_finished(mean=0.8)


async def test_a_new_verdict_of_the_shown_run_is_shown(database: Path) -> None:
    run = events.run_started()
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        stage.app.training.show_verdict(run, (AFTER,))
        assert stage.app.training.view.finished is AFTER
        assert stage.app.training.view.state is JobState.FINISHED


async def test_a_new_verdict_of_an_earlier_run_is_dropped(database: Path) -> None:
    earlier, present = events.run_started(), events.run_started()
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(earlier, BEFORE)
        await stage.start_training()
        stage.app.training.show_verdict(earlier, (AFTER,))
        assert stage.app.training.view.finished is None
        await stage.tell(Progressed(stage.app.training, (present,)))
        stage.app.training.show_verdict(earlier, (AFTER,))
        assert (stage.app.training.view.started, stage.app.training.view.finished) == (present, None)


async def test_a_failure_to_judge_again_is_said_and_keeps_the_verdict(database: Path) -> None:
    run = events.run_started()

    class Broken(RecordedRun):
        def conclude(self, measured: LatencyFinished | None = None) -> Iterator[TrainEvent]:
            raise OSError("gone")

    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        stage.app.training.run = Broken(RunFolder("nowhere"))
        stage.app.training.judge_again(events.latency_finished())
        await stage.settle()
        assert stage.app.training.view.finished is BEFORE
        assert "Not judged anew\nOSError: gone" in stage.toasts()


@pytest.mark.parametrize(
    ("trained", "measured"),
    [(True, True), (False, True), (True, False)],
    ids=["both", "untrained", "stopped"],
)
async def test_only_a_measured_trained_student_is_judged_again(
    database: Path, trained: bool, measured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, finished = events.run_started(), events.latency_finished()
    asked: list[object] = []
    async with staged(database) as stage:
        monkeypatch.setattr(stage.app.training, "judge_again", asked.append)
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        stage.app.latency.comparison.start()
        desk = stage.app.latency.comparison
        desk.publish(replace(desk.view, trained=trained))
        told = (events.latency_started(), *([finished] if measured else []))
        await stage.tell(
            Progressed(stage.app.latency.comparison, told),
            JobEnded(stage.app.latency.comparison, JobState.FINISHED),
        )
    assert asked == ([finished] if trained and measured else [])
