"""Judging a student on the test queries of a run. No torch: the student is a function from queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig
from distill_core.evaluation.baselines import Baseline, ladder
from distill_core.evaluation.evidence import CostComparison
from distill_core.evaluation.health import HealthProbe
from distill_core.evaluation.held_out import HeldOut
from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.metrics import Evaluation, cosine_similarities, evaluate
from distill_core.evaluation.report import Assessment, assess
from distill_core.latency.events import LatencyFinished
from distill_core.teacher_data import TeacherData
from distill_core.training.events import Assessed, BaselineResult, RunFinished, TestEvaluated, TrainEvent

Project = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def fit_ladder(data: TeacherData, seed: int) -> Iterator[Baseline]:
    """Fit the baselines of a run on its training part, one after the other."""
    train, validation = data.split.train, data.split.validation
    return ladder(
        data.teacher,
        data.queries[train],
        data.targets[train],
        data.queries[validation],
        data.targets[validation],
        seed=seed,
    )


def judge_student(
    data: TeacherData,
    config: RunConfig,
    project: Project,
    baselines: Sequence[Baseline],
    trained: tuple[int, float] = (0, 0.0),
    measured: LatencyFinished | None = None,
) -> Iterator[TrainEvent]:
    """Yield the test queries one by one, the whole assessment, and the figures of both in short.

    Args:
        data: The run's queries and split.
        config: The run's settings.
        project: The student, from queries (n, d) to projections (n, d).
        baselines: The fitted ladder.
        trained: Epochs done and active seconds, for the last event.
        measured: A latency comparison of this student, which then decides on the cost.
    """
    rows = data.split.test
    held_out = data.held_out(rows)
    if config.split.exclude_near_duplicates and not held_out.near_duplicates().all():
        kept = ~held_out.near_duplicates()
        rows, held_out = rows[kept], held_out.keeping(kept)
    predicted = project(held_out.queries)
    yield TestEvaluated(
        question_ids=tuple(data.question_ids[rows].tolist()),
        cosines=tuple(cosine_similarities(predicted, held_out.targets).tolist()),
        teacher_answers=_best_answers(held_out, held_out.targets),
        student_answers=_best_answers(held_out, predicted),
    )
    assessment = assess(
        held_out,
        predicted,
        baselines,
        _costs(data, config, measured),
        teacher=HealthProbe(data.labelled).findings(),
        seed=config.training.seed,
    )
    yield Assessed(assessment=assessment)
    yield _finished(evaluate(predicted, held_out.targets, held_out.constant), assessment, trained)


def _best_answers(held_out: HeldOut, projections: NDArray[np.float32]) -> tuple[int, ...]:
    index = held_out.answers
    if index is None:
        return ()
    best = (projections @ index.directions.T).argmax(axis=1)
    return tuple(index.ids[best].tolist())


def _costs(data: TeacherData, config: RunConfig, measured: LatencyFinished | None) -> CostComparison:
    dimension = data.teacher.dimension
    student = config.student.inference_cost(dimension, data.teacher.num_heads)
    teacher = lda_cost(data.teacher.num_heads, dimension)
    by_operations = config.student.KEEPS_HEADS
    if measured is None:
        return CostComparison(student=student, teacher=teacher, by_operations=by_operations)
    return CostComparison(
        by_operations=by_operations,
        student=replace(student, latency_us=measured.transformer.single_us.p50),
        teacher=replace(teacher, latency_us=measured.lda.single_us.p50),
        measured_ratio=Estimate(measured.single_ratio, *measured.single_ratio_interval),
    )


def _finished(evaluation: Evaluation, assessment: Assessment, trained: tuple[int, float]) -> RunFinished:
    skill = assessment.student.skill
    epochs, active_seconds = trained
    return RunFinished(
        evaluation=evaluation,
        skill=skill.value,
        skill_interval=None if skill.low is None or skill.high is None else (skill.low, skill.high),
        baselines={
            score.name: BaselineResult(cosine=score.cosine, skill=score.skill.value)
            for score in assessment.baselines
        },
        retrieval=assessment.retrieval,
        verdict=assessment.verdict,
        epochs=epochs,
        active_seconds=active_seconds,
    )
