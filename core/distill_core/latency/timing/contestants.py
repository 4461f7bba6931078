"""All contestants against each other: single-stream and offline, in rounds whose order turns around."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from distill_core.devices import resolve_device, synchronize
from distill_core.errors import DistillError, SettingsError
from distill_core.latency.field_events import (
    FieldEvent,
    FieldFinished,
    FieldRow,
    FieldStarted,
    FieldTimed,
)
from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.measurement import Samples, sample_name
from distill_core.latency.pareto import pareto_best
from distill_core.latency.statistics import (
    RatioInterval,
    is_unsteady,
    percentile_interval,
    queries_per_second,
    rate_interval,
    ratio_interval,
)
from distill_core.latency.timing.blocks import Call, Clock, TimedCalls, single_stream
from distill_core.latency.timing.borrowed import borrowed
from distill_core.latency.timing.calls import INPUTS
from distill_core.latency.timing.forms import Absent, Entry, Field, entries
from distill_core.latency.timing.machine import read_machine
from distill_core.latency.timing.model_latency import percentiles
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA

Rows = NDArray[np.float32]

_MOST_QUERIES = 1024
"""Queries that the cosine is taken over; a mean over so many is known to a thousandth."""

_ARRAYS = ("arrays", "queries")

_COSINE_CHUNK = 32
_COSINE_DIGITS = 6
"""Cosines that agree to so many digits are alike: float32 knows no more."""


class FieldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where to time.

    Attributes:
        batch_size: Queries a call offline.
        blocks: Rounds, in each of which every contestant has one block of about 8 ms.
        device: As in training; NumPy's contestants stay on the CPU.
        threads: CPU threads of torch, NumPy's BLAS and the index alike; 0 leaves their own choice.
        seed: Of the bootstrap.
        compiled: Whether torch.compile takes part.
    """

    batch_size: int = 32
    blocks: int = 20
    device: str = "auto"
    threads: int = 1
    seed: int = 0
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "blocks"):
            if getattr(self, name) < 1:
                raise SettingsError(f"The {name} of a latency comparison must be at least 1.", field=name)


class FieldComparison:
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

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: Student,
        queries: ArrayLike,
        settings: FieldSettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._teacher, self._student = teacher, student
        self._settings = settings or FieldSettings()
        self._rows = np.ascontiguousarray(queries, dtype=np.float32)
        if self._rows.ndim != 2 or len(self._rows) == 0:
            raise DistillError(
                "There are no queries to time with.", "Choose a projection with question embeddings."
            )
        self._clock = clock
        self._device = resolve_device(self._settings.device)
        self._taking_part: list[Entry] = []
        self._absent: list[Absent] = []
        self._timed: dict[int, list[TimedCalls]] = {}
        self._cosines: list[float] = []
        self._machine: MachineRecord | None = None

    def __iter__(self) -> Iterator[FieldEvent]:
        with borrowed(self._student, self._device, self._settings.threads):
            yield from self._events()

    def result(self, *, ended: str = "interrupted") -> FieldFinished | None:
        """Return what is measured so far; None before the first round."""
        singles = self._timed.get(1)
        if self._machine is None or not singles or not all(timed.call_us for timed in singles):
            return None
        rows = self._measured_rows()
        best = pareto_best([_costs(row) for row in rows])
        timed = [contestant for field in self._timed.values() for contestant in field if contestant.call_us]
        return FieldFinished(
            rows=(
                *(
                    msgspec.structs.replace(row, pareto_best=is_best)
                    for row, is_best in zip(rows, best, strict=True)
                ),
                *(FieldRow(name=absent.name, note=absent.reason) for absent in self._absent),
            ),
            batch_size=self._settings.batch_size,
            num_heads=self._teacher.num_heads,
            device=str(self._device),
            machine=self._machine,
            ended=ended,
            steady=not any(is_unsteady(contestant.block_medians_us()) for contestant in timed),
            reference=self._taking_part[self._reference()].name,
        )

    def samples(self) -> Samples:
        """Return the microseconds of every call so far, by contestant and batch size."""
        return {
            sample_name(entry.name, size): timed.all_us()
            for size, field in self._timed.items()
            for entry, timed in zip(self._taking_part, field, strict=True)
            if timed.call_us
        }

    def _events(self) -> Iterator[FieldEvent]:
        self._machine = read_machine(self._device)
        field = Field(self._teacher, self._student, self._device, compiled=self._settings.compiled)
        for one in entries(field):
            if isinstance(one, Entry):
                self._taking_part.append(one)
            else:
                self._absent.append(one)
        yield FieldStarted(
            machine=self._machine,
            num_heads=self._teacher.num_heads,
            dimension=self._teacher.dimension,
            batch_size=self._settings.batch_size,
            device=str(self._device),
            contestants=tuple(entry.name for entry in self._taking_part),
        )
        expected = self._teacher.project(self._rows[:_MOST_QUERIES])
        self._cosines = [self._cosine(entry, expected) for entry in self._taking_part]
        yield from self._rounds()
        result = self.result(ended="complete")
        assert result is not None
        yield result

    def _rounds(self) -> Iterator[FieldTimed]:
        sizes = dict.fromkeys((1, self._settings.batch_size))
        done, total = 0, len(sizes) * self._settings.blocks
        for size in sizes:
            field = self._timed[size] = [self._timed_calls(entry, size) for entry in self._taking_part]
            for contestant in field:
                contestant.warm_up()
            for number in range(self._settings.blocks):
                for contestant in field if number % 2 == 0 else reversed(field):
                    contestant.time_block()
                done += 1
                yield FieldTimed(done=done, total=total)

    def _timed_calls(self, entry: Entry, size: int) -> TimedCalls:
        """Return the contestant at a batch size; single queries wait for the device, each for itself."""
        starts = np.arange(INPUTS) * size
        batches = [self._rows[np.arange(start, start + size) % len(self._rows)] for start in starts]
        project = entry.project if entry.by_size is None else entry.by_size(batches[0])
        calls: list[Call] = [partial(project, self._given(entry, batch)) for batch in batches]
        on_cpu = self._device.type == "cpu" or entry.takes in _ARRAYS
        if size == 1:
            return single_stream(calls, self._clock, self._wait, in_order=on_cpu)
        return TimedCalls(calls, self._clock, self._wait, in_order=on_cpu)

    def _given(self, entry: Entry, batch: Rows) -> object:
        if entry.takes in _ARRAYS:
            return batch[0] if entry.takes == "queries" and len(batch) == 1 else batch
        tensor = torch.from_numpy(batch)
        return tensor.pin_memory() if entry.takes == "host" else tensor.to(self._device)

    def _cosine(self, entry: Entry, expected: Rows) -> float:
        count = len(expected)
        chunk = self._rows[np.arange(_COSINE_CHUNK) % count]
        project = entry.project if entry.by_size is None else entry.by_size(chunk)
        given: list[Rows] = []
        for start in range(0, count, _COSINE_CHUNK):
            rows = self._rows[np.arange(start, start + _COSINE_CHUNK) % count]
            given.append(_array(project(self._given(entry, rows))))
        return mean_cosine(np.concatenate(given)[:count], expected)

    def _measured_rows(self) -> list[FieldRow]:
        size, seed, reference = self._settings.batch_size, self._settings.seed, self._reference()
        singles, batches = self._timed[1], self._timed.get(size, [])
        has_batches = bool(batches) and all(timed.call_us for timed in batches)
        return [
            FieldRow(
                name=entry.name,
                single_us=percentiles(singles[index].all_us()),
                single_p90_interval=percentile_interval(singles[index].call_us, 90, seed=seed),
                single_over_lda=_ratio(singles[index], singles[reference], seed),
                **(_offline(batches[index], batches[reference], size, seed) if has_batches else {}),
                parameters=entry.parameters,
                size_bytes=entry.size_bytes,
                cosine=self._cosines[index],
                outliers=singles[index].outliers() + (batches[index].outliers() if has_batches else 0),
            )
            for index, entry in enumerate(self._taking_part)
        ]

    def _reference(self) -> int:
        """Return the place of the LDA that runs where the students run."""
        return next((place for place, entry in enumerate(self._taking_part) if entry.is_reference), 0)

    def _wait(self) -> None:
        synchronize(self._device)


def compare_field(
    teacher: MultiHeadLDA, student: Student, queries: ArrayLike, settings: FieldSettings | None = None
) -> Iterator[FieldEvent]:
    """Time every contestant; the last event has the rows. See `FieldComparison`."""
    yield from FieldComparison(teacher, student, queries, settings)


def mean_cosine(given: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the mean cosine of rows (n, d) with those expected."""
    left, right = given.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(axis=1) / np.maximum(lengths, 1e-30)).mean())


def _array(output: object) -> Rows:
    found: Rows = output.cpu().numpy() if isinstance(output, torch.Tensor) else np.asarray(output)
    return found.copy()  # a CUDA graph writes every answer into the same place


def _ratio(upper: TimedCalls, lower: TimedCalls, seed: int) -> RatioInterval:
    """Compare two over the rounds that both have."""
    over, under = upper.block_medians_us(), lower.block_medians_us()
    rounds = min(len(over), len(under))
    return ratio_interval(over[:rounds], under[:rounds], seed=seed)


def _offline(timed: TimedCalls, lda: TimedCalls, batch_size: int, seed: int) -> dict[str, Any]:
    return {
        "offline_per_second": queries_per_second(timed.call_us, batch_size),
        "offline_interval": rate_interval(timed.call_us, batch_size, seed=seed),
        "offline_over_lda": _ratio(timed, lda, seed),
    }


def _costs(row: FieldRow) -> tuple[float, ...]:
    assert row.single_us is not None
    assert row.cosine is not None
    assert row.size_bytes is not None
    return row.single_us.p90, -round(row.cosine, _COSINE_DIGITS), row.size_bytes
