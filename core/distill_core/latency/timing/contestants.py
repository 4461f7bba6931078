"""All contestants against each other: single-stream and offline, in rounds whose order turns around."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike

from distill_core.arrays import Matrix
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.latency.events import (
    ContestantRow,
    ContestantsEvent,
    ContestantsFinished,
    ContestantsStarted,
    MachineRecord,
    RoundTimed,
)
from distill_core.latency.measurement import (
    ContestantsSettings,
    Samples,
    TimeRatio,
    is_unsteady,
    pareto_best,
    percentile_interval,
    queries_per_second,
    rate_interval,
    ratio_interval,
    sample_name,
)
from distill_core.latency.timing.calls import Clock, Inputs, TimedCalls, given, query_batches
from distill_core.latency.timing.comparison import StudentComparison, percentiles
from distill_core.latency.timing.forms import Absent, Contestant, contestants
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA

_MOST_QUERIES = 1024
"""Queries that the cosine is taken over; a mean over so many is known to a thousandth."""

_COSINE_CHUNK = 32
_COSINE_DIGITS = 6
"""Cosines that agree to so many digits are alike: float32 knows no more."""


class ContestantsComparison(StudentComparison[ContestantsEvent, ContestantsFinished]):
    """One comparison, as an iterator of events; what it has measured outlives a stop and a failure.

    Args:
        teacher: The LDA that all are compared with.
        student: Timed as published, folded, and by every runtime that is installed.
        queries: (n, d), n >= 1; for the times and for the cosines.
        settings: None for the defaults.
        clock: Nanoseconds.

    Raises:
        DistillError: There are no queries, or (while iterating) the device is not there or fails.
    """

    name = "contestants"
    result_type = ContestantsFinished

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: Student,
        queries: ArrayLike,
        settings: ContestantsSettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        settings = settings or ContestantsSettings()
        super().__init__(teacher, student, queries, settings, clock)
        self._compiled = settings.compiled
        self._taking_part: list[Contestant] = []
        self._absent: list[Absent] = []
        self._timed: dict[int, list[TimedCalls]] = {}
        self._cosines: list[float] = []

    def result(self) -> ContestantsFinished | None:
        """Return what is measured so far; None before the first round."""
        singles = self._timed.get(1)
        if self._machine is None or not singles or not all(timed.call_us for timed in singles):
            return None
        rows = self._measured_rows()
        best = pareto_best([_costs(row) for row in rows])
        timed = [one for all_of_size in self._timed.values() for one in all_of_size if one.call_us]
        return ContestantsFinished(
            rows=(
                *(
                    msgspec.structs.replace(row, pareto_best=is_best)
                    for row, is_best in zip(rows, best, strict=True)
                ),
                *(ContestantRow(name=absent.name, note=absent.reason) for absent in self._absent),
            ),
            batch_size=self._settings.batch_size,
            num_heads=self._teacher.num_heads,
            device=str(self._device),
            machine=self._machine,
            ended=self._ended,
            rounds=min(len(timed.call_us) for timed in singles),
            steady=not any(is_unsteady(one.block_medians_us()) for one in timed),
            reference=self._taking_part[self._reference()].name,
        )

    def samples(self) -> Samples:
        """Return the microseconds of every call so far, by contestant and batch size."""
        return {
            sample_name(contestant.name, size): timed.all_us()
            for size, all_of_size in self._timed.items()
            for contestant, timed in zip(self._taking_part, all_of_size, strict=True)
            if timed.call_us
        }

    def _rounds(self, machine: MachineRecord) -> Iterator[ContestantsEvent]:
        for one in contestants(self._teacher, self._student, self._device, compiled=self._compiled):
            if isinstance(one, Contestant):
                self._taking_part.append(one)
            else:
                self._absent.append(one)
        yield ContestantsStarted(
            machine=machine,
            num_heads=self._teacher.num_heads,
            dimension=self._teacher.dimension,
            batch_size=self._settings.batch_size,
            device=str(self._device),
            contestants=tuple(one.name for one in self._taking_part),
        )
        expected = self._teacher.project(self._rows[:_MOST_QUERIES])
        self._cosines = [self._cosine(one, expected) for one in self._taking_part]
        sizes = dict.fromkeys((1, self._settings.batch_size))
        done, total = 0, len(sizes) * self._settings.blocks
        for size in sizes:
            timed = self._timed[size] = [self._calls(one, size) for one in self._taking_part]
            for calls in timed:
                calls.warm_up()
            for number in range(self._settings.blocks):
                for calls in timed if number % 2 == 0 else reversed(timed):
                    calls.time_block()
                done += 1
                yield RoundTimed(done=done, total=total)

    def _calls(self, contestant: Contestant, size: int) -> TimedCalls:
        batches = query_batches(self._rows, size)
        project = contestant.project if contestant.by_size is None else contestant.by_size(batches[0])
        return Inputs(batches, self._device, size == 1).timed(project, contestant.takes, self._clock)

    def _cosine(self, one: Contestant, expected: Matrix) -> float:
        count = len(expected)
        chunk = self._rows[np.arange(_COSINE_CHUNK) % count]
        project = one.project if one.by_size is None else one.by_size(chunk)
        answers: list[Matrix] = []
        for start in range(0, count, _COSINE_CHUNK):
            rows = self._rows[np.arange(start, start + _COSINE_CHUNK) % count]
            answers.append(_array(project(given(rows, one.takes, self._device))))
        return float(cosine_similarities(np.concatenate(answers)[:count], expected).mean())

    def _measured_rows(self) -> list[ContestantRow]:
        size, seed, reference = self._settings.batch_size, self._settings.seed, self._reference()
        singles, batches = self._timed[1], self._timed.get(size, [])
        has_batches = bool(batches) and all(timed.call_us for timed in batches)
        return [
            ContestantRow(
                name=one.name,
                single_us=percentiles(singles[index].all_us()),
                single_p90_interval=percentile_interval(singles[index].call_us, 90, seed=seed),
                single_over_lda=_ratio(singles[index], singles[reference]),
                **(_offline(batches[index], batches[reference], size, seed) if has_batches else {}),
                parameters=one.parameters,
                size_bytes=one.size_bytes,
                cosine=self._cosines[index],
                outliers=singles[index].outliers() + (batches[index].outliers() if has_batches else 0),
            )
            for index, one in enumerate(self._taking_part)
        ]

    def _reference(self) -> int:
        """Return the place of the LDA that runs where the students run."""
        return next((place for place, one in enumerate(self._taking_part) if one.is_reference), 0)


def compare_contestants(
    teacher: MultiHeadLDA, student: Student, queries: ArrayLike, settings: ContestantsSettings | None = None
) -> Iterator[ContestantsEvent]:
    """Time every contestant; the last event has the rows. See `ContestantsComparison`."""
    yield from ContestantsComparison(teacher, student, queries, settings)


def _array(output: object) -> Matrix:
    found: Matrix = output.cpu().numpy() if isinstance(output, torch.Tensor) else np.asarray(output)
    return found.copy()  # a CUDA graph writes every answer into the same place


def _ratio(upper: TimedCalls, lower: TimedCalls) -> TimeRatio:
    """Compare two over the rounds that both have."""
    over, under = upper.block_medians_us(), lower.block_medians_us()
    rounds = min(len(over), len(under))
    return ratio_interval(over[:rounds], under[:rounds], built_once=True)


def _offline(timed: TimedCalls, lda: TimedCalls, batch_size: int, seed: int) -> dict[str, Any]:
    return {
        "offline_per_second": queries_per_second(timed.call_us, batch_size),
        "offline_interval": rate_interval(timed.call_us, batch_size, seed=seed),
        "offline_over_lda": _ratio(timed, lda),
    }


def _costs(row: ContestantRow) -> tuple[float, ...]:
    assert row.single_us is not None
    assert row.cosine is not None
    assert row.size_bytes is not None
    return row.single_us.p90, -round(row.cosine, _COSINE_DIGITS), row.size_bytes
