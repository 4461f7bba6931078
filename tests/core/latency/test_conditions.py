"""A latency record decides about the student, the teacher and the machine that it is of, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from distill_core.config import DataConfig, RunConfig, SplitConfig
from distill_core.evaluation import Verdict
from distill_core.evaluation.baselines import constant_output
from distill_core.latency import (
    LatencyFinished,
    LatencySettings,
    TimedCost,
    TimingConditions,
    conditions_here,
)
from distill_core.latency.timing.comparison import LatencyComparison
from distill_core.runs import RunFolder, keep
from distill_core.students import MemoryConfig, MlpStudent, student_sha256
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training import RunFinished
from distill_core.training.judging import judge_student
from tests.core.database_factory import write_lda_db
from tests.tui import events

RNG = np.random.default_rng(1)
TEACHER = MultiHeadLDA(RNG.normal(size=(4, 8)), RNG.normal(size=(4, 8)), 0.1)
STUDENT = MlpStudent(8, 1, 4)
WANTED = TimingConditions(
    teacher_sha256="t", student_sha256="s", device="cpu", threads=1, machine=events.machine()
)


def record(**changes: Any) -> LatencyFinished:  # noqa: ANN401 - any field
    """Return a sound record of a student that takes a tenth of the LDA's time."""
    sound = {"machine": events.machine(), "teacher_sha256": "t", "student_sha256": "s", "rounds": 20}
    fast = {"single_ratio": 0.1, "single_ratio_interval": (0.09, 0.11)}
    return msgspec.structs.replace(events.latency_finished(), **{**sound, **fast, **changes})


def test_a_sound_record_has_nothing_against_it() -> None:
    timed = TimedCost(record(), WANTED)
    assert (timed.differences(), timed.weaknesses()) == ((), ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher_sha256": "another"}, "it is of another teacher"),
        ({"student_sha256": "another"}, "it is of another student"),
        ({"device": "cuda"}, "it is of the device cuda, not cpu"),
        ({"threads": 2}, "it is with 2 CPU threads, not 1"),
        (
            {"machine": msgspec.structs.replace(events.machine(), cpu="Another CPU")},
            "it is of another machine",
        ),
        ({"machine": msgspec.structs.replace(events.machine(), cores=64)}, "it is of another machine"),
        ({"machine": None}, "an older version wrote it, which did not say of what it is"),
        ({"teacher_sha256": ""}, "an older version wrote it, which did not say of what it is"),
    ],
)
def test_a_record_of_something_else(changes: dict[str, object], words: str) -> None:
    assert TimedCost(record(**changes), WANTED).differences() == (words,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steady": False}, "its blocks disagree"),
        ({"ended": "interrupted"}, "it was broken off"),
        ({"rounds": 5}, "it has fewer than 6 rounds"),
    ],
)
def test_a_weak_record(changes: dict[str, object], words: str) -> None:
    assert TimedCost(record(**changes), WANTED).weaknesses() == (words,)


def test_the_load_of_the_machine_and_free_threads_make_no_other_one() -> None:
    wanted = msgspec.structs.replace(WANTED, threads=None, machine=events.machine(load=1.5))
    assert TimedCost(record(threads=2), wanted).differences() == ()


# What judges by it


@pytest.fixture(scope="module")
def judged_data(tmp_path_factory: pytest.TempPathFactory) -> tuple[TeacherData, RunConfig]:
    """Return 320 questions of 160 clusters, 144 of them to judge by, and the settings of a small student."""
    folder = tmp_path_factory.mktemp("judged")
    database = write_lda_db(folder / "db", num_heads=160, questions_per_head=2)
    config = RunConfig(
        data=DataConfig(database=str(database)),
        split=SplitConfig(test_fraction=0.45),
        student=MemoryConfig(heads=1, layers=1, slots=8, width=4),
    )
    return load_teacher_data(config.data, config.split), config


def verdict_by(judged_data: tuple[TeacherData, RunConfig], timed: TimedCost | None) -> Verdict:
    """Return the verdict on a student that is the teacher itself."""
    data, config = judged_data
    constant = constant_output(data.targets[data.split.train])
    told = judge_student(data, config, data.teacher.project, (constant,), timed=timed)
    last = list(told)[-1]
    assert isinstance(last, RunFinished)
    assert last.verdict is not None
    return last.verdict


def test_a_sound_record_decides(judged_data: tuple[TeacherData, RunConfig]) -> None:
    fast = verdict_by(judged_data, TimedCost(record(), WANTED))
    assert (fast.kind, fast.use) == ("distil", "single queries")
    slow = record(single_ratio=3.0, single_ratio_interval=(2.9, 3.1))
    assert verdict_by(judged_data, TimedCost(slow, WANTED)).rule == "costs more"


def test_a_record_of_another_teacher_is_told_and_does_not_count(
    judged_data: tuple[TeacherData, RunConfig],
) -> None:
    counted = verdict_by(judged_data, None)
    for ratio in (0.1, 9.0):
        strange = record(
            teacher_sha256="another", single_ratio=ratio, single_ratio_interval=(0.9 * ratio, 1.1 * ratio)
        )
        verdict = verdict_by(judged_data, TimedCost(strange, WANTED))
        assert (verdict.kind, verdict.rule, verdict.use) == (counted.kind, counted.rule, "")
        assert "which does not count: it is of another teacher" in verdict.reasons[2]


@pytest.mark.parametrize("changes", [{"steady": False}, {"ended": "interrupted"}])
def test_a_weak_record_of_this_student_leaves_the_cost_open(
    judged_data: tuple[TeacherData, RunConfig], changes: dict[str, object]
) -> None:
    assert verdict_by(judged_data, None).kind == "distil"
    verdict = verdict_by(judged_data, TimedCost(record(**changes), WANTED))
    assert (verdict.kind, verdict.rule) == ("cannot_tell", "time in doubt")
    assert "measure again" in verdict.would_change


# What measures


def comparison(blocks: int = 2, student: MlpStudent = STUDENT) -> LatencyComparison:
    return LatencyComparison(TEACHER, student, RNG.normal(size=(6, 8)), LatencySettings(blocks=blocks))


def test_a_measurement_says_of_what_it_is() -> None:
    *_, result = comparison()
    assert isinstance(result, LatencyFinished)
    assert result.rounds == 2
    assert TimedCost(result, conditions_here(TEACHER, STUDENT, device="cpu", threads=1)).differences() == ()
    colder = conditions_here(TEACHER.with_temperature(0.2), STUDENT, device="cpu", threads=1)
    assert TimedCost(result, colder).differences() == ("it is of another teacher",)
    other = conditions_here(TEACHER, MlpStudent(8, 1, 4), device="cpu", threads=1)
    assert TimedCost(result, other).differences() == ("it is of another student",)


def test_the_identity_of_a_student_is_in_its_weights() -> None:
    assert student_sha256(STUDENT) == student_sha256(STUDENT.eval())
    assert student_sha256(STUDENT) != student_sha256(MlpStudent(8, 1, 4))


def test_a_stop_replaces_no_longer_measurement(tmp_path: Path) -> None:
    """One block round after another: 1 of 9, then 3 of 9, then 1 of 9 again, then all, then 8."""
    run = RunFolder.create(tmp_path / "runs", RunConfig(data=DataConfig(database="lda.db")))
    for rounds, kept in ((1, True), (3, True), (1, False), (None, True), (2, False)):
        measured = comparison(blocks=4)
        going = iter(measured)
        for event in going:
            if rounds is not None and getattr(event, "done", 0) == 4 * rounds:
                break
        going.close()  # type: ignore[attr-defined]
        assert keep(run, measured) is kept
        stored = run.read_latency()
        assert stored is not None
        assert (stored.rounds == rounds if rounds else stored.rounds == 4) is kept
