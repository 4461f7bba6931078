"""The events of a run as lines on stdout: plain ones for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

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
from distill_core.wording import plural
from distill_tui.cli.assessment_lines import assessment_lines
from distill_tui.cli.output import say, say_object


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
