"""Judging a student on the test queries of a run. No torch: the student is a function from queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from distill_core.architecture import lda_cost
from distill_core.arrays import chunks
from distill_core.config import RunConfig
from distill_core.evaluation.baselines import Baseline, LadderData, ladder
from distill_core.evaluation.costs import CostComparison
from distill_core.evaluation.health import HealthProbe, known_health
from distill_core.evaluation.held_out import HeldOut
from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.metrics import Evaluation, cosine_similarities, evaluate
from distill_core.evaluation.report import Assessment, assess
from distill_core.evaluation.teacher_findings import Findings
from distill_core.evaluation.verdict import Verdict
from distill_core.latency.conditions import TimedCost
from distill_core.teacher_data import LabelledQuestions, TeacherData, content_sha256
from distill_core.training.events import Assessed, BaselineResult, RunFinished, TestEvaluated, TrainEvent

Project = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Tells(Protocol):
    """What a student says of itself beyond its scores."""

    @property
    def note(self) -> str:
        """A sentence or two for the verdict; empty where there is nothing to say."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values by name."""


def fit_ladder(data: TeacherData, seed: int) -> Iterator[Baseline]:
    """Fit the baselines of a run on its training part, one after the other."""
    train, validation = data.split.train, data.watched
    fitted_on = LadderData(
        teacher=data.teacher,
        train_queries=data.queries[train],
        train_targets=data.targets[train],
        validation_queries=data.queries[validation],
        validation_targets=data.targets[validation],
        seed=seed,
        train_weights=data.weights_of(train),
    )
    return ladder(fitted_on)


def judge_student(
    data: TeacherData,
    config: RunConfig,
    project: Project,
    baselines: Sequence[Baseline],
    trained: tuple[int, float] = (0, 0.0),
    timed: TimedCost | None = None,
) -> Iterator[TrainEvent]:
    """Yield the test queries one by one, the whole assessment, and the figures of both in short.

    Args:
        data: The run's queries and split.
        config: The run's settings.
        project: The student, from queries (n, d) to projections (n, d).
        baselines: The fitted ladder.
        trained: Epochs done and active seconds, for the last event.
        timed: A latency record, which decides on the cost if it is of this student and teacher, and sound.
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
        clusters=tuple(held_out.clusters.tolist()),
        weights=() if held_out.weights is None else tuple(held_out.weights.tolist()),
    )
    assessment = assess(
        held_out,
        predicted,
        baselines,
        _costs(data, config, timed),
        teacher=_findings(data.labelled),
        seed=config.training.seed,
    )
    yield Assessed(assessment=assessment)
    yield _finished(
        evaluate(predicted, held_out.targets, held_out.constant, held_out.weights), assessment, trained
    )


def _findings(labelled: LabelledQuestions) -> Findings | None:
    """Return what the teacher finds, which all runs on it share: of many heads, that takes ten seconds."""
    health = known_health(
        lambda: HealthProbe(labelled),
        content_sha256(labelled),
        labelled.teacher.temperature,
        labelled.weights,
    )
    return health.findings


def with_own_words(events: Iterable[TrainEvent], student: Tells) -> Iterator[TrainEvent]:
    """Yield the events of `judge_student` with what this kind of student tells of itself.

    Its note is the last reason of the verdict; its facts stand in the last event.
    """
    for event in events:
        if isinstance(event, Assessed) and student.note:
            verdict = _with_note(event.assessment.verdict, student.note)
            yield replace(event, assessment=replace(event.assessment, verdict=verdict))
        elif isinstance(event, RunFinished):
            told = None if event.verdict is None else _with_note(event.verdict, student.note)
            yield replace(event, verdict=told, facts=student.facts)
        else:
            yield event


def _with_note(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, reasons=(*verdict.reasons, note)) if note else verdict


def _best_answers(held_out: HeldOut, projections: NDArray[np.float32]) -> tuple[int, ...]:
    index = held_out.answers
    if index is None:
        return ()
    best = np.empty(len(projections), np.int64)
    for part in chunks(len(projections), len(index)):
        best[part] = (projections[part] @ index.ranked_by.T).argmax(axis=1)
    return tuple(index.ids[best].tolist())


def _costs(data: TeacherData, config: RunConfig, timed: TimedCost | None) -> CostComparison:
    dimension = data.teacher.dimension
    student = config.student.inference_cost(dimension, data.teacher.num_heads)
    teacher = lda_cost(data.teacher.num_heads, dimension)
    by_operations = config.student.KEEPS_HEADS
    counted = CostComparison(student=student, teacher=teacher, by_operations=by_operations)
    if timed is None:
        return counted
    differences, weaknesses, record = timed.differences(), timed.weaknesses(), timed.record
    if differences or weaknesses:
        return replace(counted, unused=differences + weaknesses, in_doubt=not differences)
    return replace(
        counted,
        student=replace(student, latency_us=record.transformer.single_us.p50),
        teacher=replace(teacher, latency_us=record.lda.single_us.p50),
        measured_ratio=Estimate(record.single_ratio, *record.single_ratio_interval),
        batch_ratio=Estimate(record.batch_ratio, *record.batch_ratio_interval),
        batch_size=record.batch_size,
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
