"""A verdict by measured cost belongs to the run that it is about, and to no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from distill_tui.messages import JobEnded, JudgedAgain, LatencyProgressed, TrainingProgressed
from distill_tui.state import JobState
from tests.tui import events
from tests.tui.stage import staged

BEFORE, AFTER = events.run_finished(mean=0.9), events.run_finished(mean=0.8)


async def test_a_new_verdict_of_the_shown_run_is_shown(database: Path) -> None:
    run = events.run_started()
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        await stage.tell(JudgedAgain(run, (AFTER,)))
        assert stage.app.training.finished is AFTER
        assert stage.app.training.state is JobState.FINISHED


async def test_a_new_verdict_of_an_earlier_run_is_dropped(database: Path) -> None:
    earlier, present = events.run_started(), events.run_started()
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(earlier, BEFORE)
        await stage.start_training()
        await stage.tell(JudgedAgain(earlier, (AFTER,)))
        assert stage.app.training.finished is None
        await stage.tell(TrainingProgressed((present,)), JudgedAgain(earlier, (AFTER,)))
        assert (stage.app.training.started, stage.app.training.finished) == (present, None)


async def test_a_failure_to_judge_again_is_said_and_keeps_the_verdict(database: Path) -> None:
    run = events.run_started()
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        await stage.tell(JudgedAgain(run, (), "OSError: gone"))
        assert stage.app.training.finished is BEFORE
        assert [note.message for note in stage.app._notifications] == ["OSError: gone"]


@pytest.mark.parametrize(
    ("trained", "measured"),
    [(True, True), (False, True), (True, False)],
    ids=["both", "untrained", "stopped"],
)
async def test_only_a_measured_trained_student_is_judged_again(
    database: Path, trained: bool, measured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, finished = events.run_started(), events.latency_finished()
    asked: list[tuple[object, ...]] = []
    async with staged(database) as stage:
        monkeypatch.setattr(stage.controller, "judge_again", lambda *parts: asked.append(parts))
        await stage.show_teacher()
        await stage.train(run, BEFORE)
        stage.app.start_latency()
        stage.app.latency = replace(stage.app.latency, trained=trained)
        told = (events.latency_started(), *([finished] if measured else []))
        await stage.tell(LatencyProgressed(told), JobEnded("latency", JobState.FINISHED))
    assert asked == ([(run, finished)] if trained and measured else [])
