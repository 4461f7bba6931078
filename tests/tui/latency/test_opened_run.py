"""Screen 5 is about the run that is opened on screen 6: its student is timed, its results are shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from textual.widgets import Input, Label

from distill_core.latency import CrossoverSettings, LatencyComparison, LatencyEvent, LatencyFinished
from distill_tui.jobs import Answered, Jobs, JobState, Progressed
from distill_tui.latency.crossover import typed_settings
from distill_tui.latency.desk import NO_QUERIES
from distill_tui.teacher.loading import load_teacher
from distill_tui.training.watching import Watching
from tests.tui import events
from tests.tui.runs_on_disk import answer, made_up_runs, open_first, with_weights
from tests.tui.stage import NARROW, PromptJobs, staged


async def test_what_was_measured_of_an_opened_run_is_shown_again(database: Path) -> None:
    folder = with_weights(database)
    folder.write_result("latency", events.latency_finished())
    folder.write_result("crossover", events.crossover_finished())
    folder.write_result("contestants", events.contestants_finished())
    async with staged(database) as stage:
        await stage.show_teacher()
        await open_first(stage, "latency")
        shown = " ".join(stage.text("#latency-headline").split())
        assert "LDA 61x faster" in shown
        assert "the student of mine" in shown
        await stage.press("v")
        curves = " ".join(stage.text("#crossover-words").split())
        assert "F run's student from 4,096 to 8,192 heads" in curves
        assert "machine Planted CPU" in curves
        await stage.press("v")
        assert "the student of mine" in stage.text("#contestants-headline")
        assert "questions, those of the training included" in stage.text("#contestants-notes")


async def test_a_run_without_measurements_shows_none_of_another(database: Path) -> None:
    with_weights(database)
    async with staged(database) as stage:
        await stage.show_teacher()
        stage.app.latency.comparison.start()
        await stage.tell(Progressed(stage.app.latency.comparison, (events.latency_finished(),)))
        await stage.end_job()
        await open_first(stage, "latency")
        assert stage.app.latency.comparison.view.finished is None
        assert "enter measures LDA and the student of mine" in stage.text("#latency-headline")


async def test_measuring_times_the_weights_of_the_opened_run_and_keeps_the_result(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill_core import latency

    timed: list[object] = []

    class Planted(LatencyComparison):
        def __init__(self, teacher: object, student: object, *others: object) -> None:
            timed.append(student)
            self._ended = "complete"

        def __iter__(self) -> Iterator[LatencyEvent]:
            return iter((events.latency_finished(),))

        def result(self) -> LatencyFinished:
            return events.latency_finished()

        def samples(self) -> dict[str, NDArray[np.float64]]:
            return {}

    monkeypatch.setattr(latency, "LatencyComparison", Planted)
    folder = with_weights(database)
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await stage.go("runs")
        await stage.settle()
        run = stage.app.runs.view.runs[0] if stage.app.runs.view else None
        assert run is not None
        monkeypatch.setattr(Watching, "run", lambda watching, tell: None)
        assert stage.app.training.open(run)
        await stage.settle()
        assert stage.app.latency.comparison.start()
        await stage.settle()
        assert stage.app.latency.comparison.view.run == "mine"
        assert stage.app.latency.comparison.view.trained
    (student,) = timed
    assert all(bool((part == 0.25).all()) for part in student.parameters())  # type: ignore[attr-defined]
    assert folder.read_latency() == events.latency_finished()


async def test_nothing_is_listed_while_something_is_timed(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await answer(stage)
        await stage.go("latency")
        await stage.press("enter")
        assert stage.jobs.is_timing
        before = stage.jobs.groups
        await stage.go("runs")
        assert stage.jobs.groups == before
        await stage.end_job()
        await stage.go("latency")
        await stage.go("runs")
        assert stage.jobs.groups == [*before, "look", "list"]


async def test_the_limits_of_the_crossover_are_asked_for_and_remembered(database: Path) -> None:
    async with staged(database) as stage:
        await stage.show_teacher()
        await stage.go("latency")
        await stage.press("X")
        assert stage.find("#budget", Input).value == "60"
        assert stage.find("#max-heads", Input).value == "1,048,576"
        await stage.fill("#budget", "no")
        await stage.press("enter")
        assert "positive number of seconds" in str(stage.find("#crossover-note", Label).render())
        await stage.fill("#budget", "20")
        await stage.press("tab")
        await stage.fill("#max-heads", "99,999,999,999")
        await stage.press("enter")
        assert "do not fit in the free memory" in str(stage.find("#crossover-note", Label).render())
        await stage.fill("#max-heads", "4,096")
        await stage.press("enter")
        assert stage.app.latency.crossover.settings == CrossoverSettings(budget_seconds=20.0, max_heads=4_096)
        assert stage.app.latency.crossover.view.state is JobState.RUNNING


@pytest.mark.parametrize(
    ("seconds", "heads", "limits"),
    [
        ("60", "1,048,576", CrossoverSettings()),
        ("", "", CrossoverSettings()),
        ("5.5", "64", CrossoverSettings(budget_seconds=5.5, max_heads=64)),
    ],
)
def test_what_was_typed_is_read(seconds: str, heads: str, limits: CrossoverSettings) -> None:
    assert typed_settings(seconds, heads) == limits


@pytest.mark.parametrize("size", [(120, 36), NARROW])
async def test_without_questions_both_screens_say_why_nothing_is_measured(
    database: Path, size: tuple[int, int]
) -> None:
    from dataclasses import replace as replaced

    async with staged(database, size=size) as stage:
        await stage.show_teacher()
        view = replaced(load_teacher(database, 1), queries=np.zeros((0, 8), np.float32), question_ids=())
        await stage.tell(Answered(stage.app.teacher.show_teacher, view))
        assert "nothing can be trained or timed" in " ".join(stage.text("TeacherFacts").split())
        await stage.go("latency")
        assert " ".join(stage.text("#latency-headline").split()) == NO_QUERIES
        await stage.press("enter", "x", "a", "X")
        assert not stage.jobs.is_busy
        await stage.go("latency")
        assert " ".join(stage.text("#latency-headline").split()) == NO_QUERIES


def test_a_measuring_thread_waits_until_its_progress_is_drawn() -> None:
    """It goes on when the app says that it has refreshed, and only then; or when the app draws no more."""
    wanted: list[Callable[[], object]] = []

    threads: list[threading.Thread] = []

    class Undrawn:
        def run_worker(self, work: Callable[[], object], **_options: object) -> None:
            threads.append(threading.Thread(target=work, daemon=True))
            threads[0].start()

        def post_message(self, message: object) -> None:
            pass

        def call_after_refresh(self, then: Callable[[], object]) -> None:
            wanted.append(then)

        def call_later(self, call: Callable[..., object], *arguments: object) -> None:
            call(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill_tui.jobs.DRAWING_SECONDS", 60.0)
        timing = SimpleNamespace(job_name="latency", is_timing=True)
        assert Jobs(Undrawn()).start(timing, lambda: iter("e"))  # type: ignore[arg-type]
        (posting,) = threads
        posting.join(0.3)
        assert posting.is_alive(), "nothing is drawn yet"
        (drawn,) = wanted
        drawn()
        posting.join(60)
        assert not posting.is_alive()


def test_runs_are_compared_by_speed_and_machine() -> None:
    from rich.console import Console

    from distill_core.runs.comparing import RunComparison, RunSpeed
    from distill_tui.runs.comparison import run_comparison
    from distill_tui.runs.desk import ComparedRuns

    brackets = events.crossover_finished().fixed
    fast, slow = (
        RunSpeed(
            lda_p90_us=22.0,
            student_p90_us=p90,
            single=brackets["single"],
            batch_32=brackets["batch_32"],
            machine=replace(events.machine(), cpu=cpu),
        )
        for p90, cpu in ((30.5, "Planted CPU"), (1_342.0, "Another CPU"))
    )
    comparison = RunComparison(names=("a", "b"), settings={}, differences=(None,), speeds=(fast, slow))
    console = Console(width=160)
    with console.capture() as printed:
        console.print(run_comparison(ComparedRuns(("a", "b"), comparison), made_up_runs()[:2], ["a", "b"]))
    lines = [" ".join(line.split()) for line in printed.get().splitlines()]
    header, first, second = lines[:3]
    assert (
        header.index("LDA p90")
        < header.index(" p90", header.index("LDA p90") + 5)
        < header.index("crossover")
    )
    for line, mark, p90 in ((first, "a", "30.5"), (second, "b", "1,342.0")):
        assert line.startswith(mark)
        assert line.index("22.0 µs") < line.index(f"{p90} µs") < line.index("from 4,096 to 8,192 heads")
    assert "Timed on different machines:" in lines
    assert any(line.startswith("b: Another CPU") for line in lines)
