"""Runs and assessments in plain lines, or as one JSON object an event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from distill_core.evaluation.metrics import Score
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.retrieval import RetrievalTable
from distill_core.training.events import (
    Assessed,
    BaselineFitted,
    EpochFinished,
    RunFinished,
    RunNoted,
    RunStarted,
    StepsFinished,
    TrainEvent,
)
from distill_core.wording import estimate_words, plural
from distill_tui.cli.output import say, say_object, table


def write_json(event: TrainEvent) -> None:
    """Print an event as one JSON object; progress inside an epoch is left out.

    What a kind of student tells of itself beyond its scores stands beside them.
    """
    if isinstance(event, StepsFinished):
        return
    fields = msgspec.to_builtins(event)
    say_object({**fields, **fields.pop("facts", {})})


def write_lines(event: TrainEvent) -> None:
    """Print what an event says to a reader, if anything."""
    if isinstance(event, RunNoted):
        say(f"note: {event.words}", err=True)
    for line in _lines(event):
        say(line)


def _lines(event: TrainEvent) -> Iterator[str]:
    match event:
        case RunStarted():
            yield from _started_lines(event)
        case BaselineFitted():
            yield f"baseline: {event.label}, validation cosine {event.validation_cosine:.4f}"
        case EpochFinished():
            yield _epoch_line(event)
        case Assessed():
            yield from assessment_lines(event.assessment)
        case RunFinished():
            yield from _finished_lines(event)


def _started_lines(event: RunStarted) -> Iterator[str]:
    shape = event.config.student.words(event.dimension, event.num_heads)
    yield (
        f"teacher: {event.num_heads} heads, {event.dimension} dimensions, temperature {event.temperature:g}, "
        f"{event.teacher_parameters:,} parameters"
    )
    yield (
        f"student: {shape}, {event.student_parameters:,} parameters, recipe {event.config.training.recipe}, "
        f"on {event.device} with {plural(event.threads, 'thread')}"
    )
    yield (
        f"queries: {event.num_train} train, {event.num_validation} validation, {event.num_test} test, "
        f"split by {event.config.split.split}"
    )


def _epoch_line(event: EpochFinished) -> str:
    line = (
        f"epoch {event.epoch} step {event.step} loss {event.train.loss:.5f} mse {event.train.mse:.6f} "
        f"cosine {event.train.cosine:.4f}"
    )
    if event.validation is not None:
        line += f" val_loss {event.validation.loss:.5f} val_cosine {event.validation.cosine:.4f}"
    return f"{line} samples/s {event.samples_per_second:.0f} eta {event.eta_seconds:.0f}s"


def _finished_lines(event: RunFinished) -> Iterator[str]:
    result, cosine = event.evaluation, event.evaluation.cosine
    trained = f", {event.epochs} epochs in {event.active_seconds:.1f} s" if event.epochs else ""
    yield (
        f"test: n {result.n} cosine mean {cosine.mean:.4f} sd {cosine.sd:.4f} min {cosine.min:.4f} "
        f"max {cosine.max:.4f} mse {result.mse:.6f}{trained}"
    )
    if event.saved is not None:
        yield f"saved: {event.saved}"


def assessment_lines(assessment: Assessment) -> Iterator[str]:
    """Yield the whole assessment, best contestant first."""
    yield f"verdict: {assessment.verdict.sentence}"
    for reason in assessment.verdict.reasons:
        yield f"  {reason}"
    yield f"  {assessment.verdict.would_change}"
    yield (
        f"judged on {assessment.n} test queries of {assessment.num_clusters} clusters"
        f"{assessment.weights_words}, {assessment.near_duplicates} with a near-duplicate in training; "
        "95 % intervals in brackets"
    )
    header = ("", "mean cosine", "min", "skill", "parameters")
    yield from table([header, *map(_score_row, assessment.ranked())])
    if assessment.retrieval is not None:
        labels = {score.name: score.label for score in assessment.baselines}
        yield from _retrieval_lines(assessment.retrieval, labels)


def _score_row(score: Score) -> tuple[str, ...]:
    label = "* student" if score.name == "student" else f"  {score.label}"
    low = "-" if score.cosine is None else f"{score.cosine.min:.4f}"
    return (
        label,
        estimate_words(score.mean_cosine, 4),
        low,
        estimate_words(score.skill, 3),
        f"{score.cost.parameters:,}",
    )


def _retrieval_lines(retrieval: RetrievalTable, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield who finds which answers, named as in the ladder."""
    yield f"retrieval over {retrieval.num_answers} answers; agreement is with the teacher's best answers"
    rows: list[tuple[str, ...]] = [("", "agree@1", "agree@10", "recall@1", "recall@10", "MRR")]
    for row in retrieval.scores:
        figures = (row.agreement_at_1, row.agreement_at_10, row.recall_at_1, row.recall_at_10, row.mrr)
        rows.append(
            (
                f"  {labels.get(row.name, row.name)}",
                *("-" if figure.value is None else f"{figure.value:.3f}" for figure in figures),
            )
        )
    yield from table(rows)
