"""Which student the latency screen times: the last one trained where it fits the settings, else a new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distill_core.config import RunConfig, TrainingConfig
from distill_core.latency import LatencyFinished
from distill_core.students import EncoderConfig, MemoryConfig, MlpConfig
from distill_core.students.spec import StudentConfig
from distill_core.training.recipes import resolve
from distill_tui.jobs import JobState
from tests.tui.stage import PromptJobs, Stage, staged


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The students that were to be timed; none is."""
    from distill_core import latency

    students: list[object] = []

    class Recorded:
        name, result_type, milestones = "latency", LatencyFinished, ()

        def __init__(self, teacher: object, student: object, *others: object) -> None:
            students.append(student)

        def __iter__(self) -> Iterator[object]:
            return iter(())

        def result(self) -> None:
            """Nothing was measured."""

    monkeypatch.setattr(latency, "LatencyComparison", Recorded)
    return students


async def measure(stage: Stage, student: StudentConfig) -> None:
    stage.app.student.publish(replace(stage.app.student.view, student=student))
    await stage.settle()
    stage.app.latency.comparison.start()
    await stage.settle()
    assert stage.app.latency.comparison.view.state is JobState.FINISHED


SHAPES = (
    EncoderConfig(heads=2, layers=3, ff_dim=20),
    MemoryConfig(heads=2, layers=3, slots=3, width=6),
    MlpConfig(layers=3, ff_dim=20),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
async def test_without_a_run_an_untrained_student_of_the_shape_is_timed(
    database: Path, timed: list[object], shape: StudentConfig
) -> None:
    from distill_core.students import Student, new_student

    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        await measure(stage, shape)
        assert not stage.app.latency.comparison.view.trained
    (student,) = timed
    assert isinstance(student, Student)
    assert student.shape == new_student(shape, 8, 4).shape


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
async def test_the_student_of_the_last_run_is_timed_whatever_the_form_says(
    database: Path, timed: list[object], monkeypatch: pytest.MonkeyPatch, shape: StudentConfig
) -> None:
    """A session holds its settings resolved, and the form has `auto` for the dropout; they are the same."""
    from distill_core.runs import RecordedRun, RunFolder
    from distill_core.students import new_student
    from distill_core.training import TrainingSession

    trained = new_student(shape, 8, 4)
    monkeypatch.setattr(TrainingSession, "student", trained)
    async with staged(database, jobs=PromptJobs) as stage:
        await stage.show_teacher()
        asked = stage.run_config()
        assert asked is not None
        run = RunConfig(data=asked.data, student=shape, training=TrainingConfig(recipe="book"))
        recorded = RecordedRun(RunFolder("nowhere"))
        recorded.session = TrainingSession(resolve(run, 40))
        stage.app.training.run = recorded
        assert recorded.session.config.student != shape or shape.kind == "memory"

        await measure(stage, shape)
        assert stage.app.latency.comparison.view.trained
        subject = stage.app.latency.comparison.view.subject
        assert f"{shape.words(8, 4)}, trained" in subject
        assert subject.endswith("against LDA N 4 of db/lda.db")
        await measure(stage, SHAPES[SHAPES.index(shape) - 1])
        assert stage.app.latency.comparison.view.trained
        assert stage.app.latency.comparison.view.subject == subject
        await stage.go("latency")
        await stage.press("f")
        assert not stage.app.latency.comparison.view.trained
        asked = SHAPES[SHAPES.index(shape) - 1].words(8, 4)
        assert stage.app.latency.comparison.view.subject.startswith(f"an untrained {asked}")
    assert timed[0] is timed[1] is trained
    assert timed[2] is not trained
