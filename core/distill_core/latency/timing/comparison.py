"""LDA and student side by side: same queries, same device, alternating blocks."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike

from distill_core.arrays import Values
from distill_core.devices import resolve_device
from distill_core.latency.events import (
    BlockTimed,
    ContestantsFinished,
    LatencyEvent,
    LatencyFinished,
    LatencyStarted,
    MachineRecord,
    ModelLatency,
    Percentiles,
    UnfoldedLatency,
)
from distill_core.latency.measurement import (
    COMPLETE,
    INTERRUPTED,
    LatencySettings,
    Measurement,
    Samples,
    is_unsteady,
    percentile_interval,
    queries_per_second,
    rate_interval,
    ratio_interval,
    sample_name,
)
from distill_core.latency.timing.calls import (
    Clock,
    Form,
    Inputs,
    Project,
    TimedCalls,
    lda_call,
    lda_form,
    measured_on,
    queries_to_time,
    query_batches,
    runner_call,
)
from distill_core.latency.timing.machine import read_machine
from distill_core.students import Projector, Student, student_sha256
from distill_core.teacher import MultiHeadLDA

Event = TypeVar("Event", covariant=True)
Finished = TypeVar("Finished", LatencyFinished, ContestantsFinished)
Model = TypeVar("Model", MultiHeadLDA, Projector)


Build = Callable[[], tuple[Project, Form]]
"""Makes a contestant, and says what it takes."""

LARGEST_COPY = 1 << 26
"""Bytes of a model that is copied for each round: a larger one would take longer to copy than to time."""

_SHIFTS = 1 << 16


class Pair(NamedTuple):
    """One contestant, with single queries and in batches."""

    single: TimedCalls
    batch: TimedCalls

    def first(self, rounds: int) -> Pair:
        """Return the same with the first rounds only, so that a stop leaves all with as many."""
        return Pair(*(replace(timed, call_us=timed.call_us[:rounds]) for timed in self))


class StudentComparison(Measurement[Event, Finished]):
    """What is compared in rounds with one student, which is given back as it was; see its two kinds.

    Args:
        teacher: The LDA.
        student: Left as it was, on its device, afterwards.
        queries: (n, d), n >= 1.
        settings: How long and where.
        clock: Nanoseconds.

    Raises:
        DistillError: There are no queries, or the device is not there, or (while iterating) fails.
    """

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: Student,
        queries: ArrayLike,
        settings: LatencySettings,
        clock: Clock,
    ) -> None:
        self._teacher, self._student = teacher, student
        self._rows = queries_to_time(queries)
        self._settings, self._clock = settings, clock
        self._device = resolve_device(settings.device)
        self._machine: MachineRecord | None = None
        self._ended = INTERRUPTED

    def __iter__(self) -> Iterator[Event | Finished]:
        with measured_on(self._device, self._settings.threads, self._student):
            self._machine = read_machine(self._device)
            yield from self._rounds(self._machine)
            self._ended = COMPLETE
            result = self.result()
            assert result is not None
            yield result

    def is_better_than(self, kept: Finished | None) -> bool:
        """Return whether it replaces a kept result: one that was cut short replaces no longer one."""
        if kept is None or self._ended == COMPLETE:
            return True
        result = self.result()
        return kept.ended == INTERRUPTED and result is not None and result.rounds >= kept.rounds

    def _rounds(self, machine: MachineRecord) -> Iterator[Event]:
        raise NotImplementedError


class LatencyComparison(StudentComparison[LatencyEvent, LatencyFinished]):
    """One comparison, as an iterator of events; what it has measured outlives a stop and a failure.

    A student that folds is timed folded, and as it is beside it. Each round has copies of its own, at other
    places in memory, because what the place makes of a time would else look like the model's; models over
    `LARGEST_COPY` have none, and wider intervals. Blocks go
    forwards and backwards in turn (A B C C B A), so that no contestant is favoured by a machine that slowly
    changes; a round has single queries and batches, so that a stop leaves both. On a CPU the LDA runs in
    NumPy, elsewhere in torch on the same device. Times of single queries include waiting for the device,
    those of batches wait at the ends of a block, and none includes the copy of the queries to the device.

    Args:
        teacher: The LDA.
        student: Left as it was, on its device, afterwards.
        queries: (n, d), n >= 1.
        settings: None for the defaults.
        clock: Nanoseconds.

    Raises:
        DistillError: There are no queries, or the device is not there, or (while iterating) fails.
    """

    name = "latency"
    result_type = LatencyFinished

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: Student,
        queries: ArrayLike,
        settings: LatencySettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        super().__init__(teacher, student, queries, settings or LatencySettings(), clock)
        self._teacher_sha256, self._student_sha256 = teacher.sha256(), student_sha256(student)
        self._pairs: dict[str, Pair] = {}
        """Single queries and batches of each contestant, in the order of the blocks."""
        self._builds: dict[str, Build] = {}
        sizes = (1, self._settings.batch_size)
        self._inputs = [
            Inputs(query_batches(self._rows, size), self._device, size == sizes[0]) for size in sizes
        ]
        self._places = np.random.default_rng(self._settings.seed)

    def result(self) -> LatencyFinished | None:
        """Return what is measured so far; None before the first round is over."""
        rounds = min((len(timed.call_us) for pair in self._pairs.values() for timed in pair), default=0)
        if self._machine is None or rounds == 0:
            return None
        return finished_of(
            {model: pair.first(rounds) for model, pair in self._pairs.items()},
            seed=self._settings.seed,
            batch_size=self._settings.batch_size,
            device=str(self._device),
            num_heads=self._teacher.num_heads,
            machine=self._machine,
            ended=self._ended,
            rounds=rounds,
            built_once=not self._copies,
            teacher_sha256=self._teacher_sha256,
            student_sha256=self._student_sha256,
        )

    def samples(self) -> Samples:
        """Return the microseconds of every call so far, by contestant and batch size."""
        return {
            sample_name(model, size): timed.all_us()
            for model, pair in self._pairs.items()
            for size, timed in zip((1, self._settings.batch_size), pair, strict=True)
            if timed.call_us
        }

    def _rounds(self, machine: MachineRecord) -> Iterator[LatencyEvent]:
        blocks = self._settings.blocks
        self._builds = dict(self._models())
        self._pairs = {model: self._pair(*build()) for model, build in self._builds.items()}
        yield LatencyStarted(
            num_heads=self._teacher.num_heads,
            dimension=self._teacher.dimension,
            batch_size=self._settings.batch_size,
            device=str(self._device),
            threads=torch.get_num_threads(),
            blocks=2 * len(self._pairs) * blocks,
        )
        for case in (0, 1):
            for pair in self._pairs.values():
                pair[case].warm_up()
        for number in range(blocks):
            yield from self._round(number)

    def _models(self) -> Iterator[tuple[str, Build]]:
        """Yield what makes the contestants by name, in the order of the blocks."""
        folded = self._student.fold()
        yield "lda", lambda: (lda_call(self._copied(self._teacher), self._device), lda_form(self._device))
        yield "transformer", lambda: runner_call(self._copied(folded), self._device)
        if folded is not self._student:
            yield "unfolded", lambda: runner_call(self._copied(self._student), self._device)

    @property
    def _copies(self) -> bool:
        lda = 12 * self._teacher.num_heads * self._teacher.dimension
        return max(lda, 4 * self._student.num_parameters) <= LARGEST_COPY

    def _copied(self, model: Model) -> Model:
        return copy.deepcopy(model) if self._copies else model

    def _pair(self, project: Project, form: Form) -> Pair:
        return Pair(*(inputs.timed(project, form, self._clock) for inputs in self._inputs))

    def _renew(self, model: str) -> None:
        """Go on with a copy of a contestant, at a place in memory that chance decides."""
        shift = np.empty(self._places.integers(1, _SHIFTS), np.uint8)
        project, form = self._builds[model]()
        for timed, inputs in zip(self._pairs[model], self._inputs, strict=True):
            timed.renew(inputs.calls(project, form))
        del shift

    def _round(self, number: int) -> Iterator[BlockTimed]:
        """Time a block of every contestant with single queries, and then in batches."""
        models = list(self._pairs) if number % 2 == 0 else list(reversed(self._pairs))
        sizes = (1, self._settings.batch_size)
        if self._copies:
            for model in models:
                self._renew(model)
        for case, size in enumerate(sizes):
            for place, model in enumerate(models):
                timed = self._pairs[model][case]
                timed.time_block()
                yield BlockTimed(
                    done=(2 * number + case) * len(models) + place + 1,
                    total=2 * len(models) * self._settings.blocks,
                    model=model,
                    batch_size=size,
                    median_us_per_query=float(np.median(timed.call_us[-1])) / size,
                )


def compare_latency(
    teacher: MultiHeadLDA, student: Student, queries: ArrayLike, settings: LatencySettings | None = None
) -> Iterator[LatencyEvent]:
    """Time both models with one query at a time and in batches; the last event is the result.

    See `LatencyComparison`, which keeps what was measured before a stop.

    Raises:
        DistillError: There are no queries, or the device is not there.
    """
    yield from LatencyComparison(teacher, student, queries, settings)


def finished_of(
    pairs: Mapping[str, Pair],
    *,
    seed: int,
    batch_size: int,
    built_once: bool = False,
    **others: Any,  # noqa: ANN401 - fields of the event that are known elsewhere
) -> LatencyFinished:
    """Return the result of contestants called lda, transformer and, if the student folds, unfolded.

    Args:
        pairs: All with as many blocks, paired by round.
        seed: Of the bootstrap.
        batch_size: Queries a call in batches.
        built_once: Whether no round had copies of its own.
        others: Further fields of `LatencyFinished`.
    """
    lda, student = pairs["lda"], pairs["transformer"]
    blocks = [timed.block_medians_us() for pair in pairs.values() for timed in pair]
    return LatencyFinished(
        lda=_model_latency(lda, batch_size, seed),
        transformer=_model_latency(student, batch_size, seed),
        unfolded=_unfolded_latency(pairs, batch_size, seed, built_once=built_once),
        **_ratios(student, lda, built_once=built_once),
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        steady=not any(is_unsteady(medians) for medians in blocks),
        **others,
    )


def percentiles(times_us: Values) -> Percentiles:
    """Return p50, p90 and p99."""
    p50, p90, p99 = (float(value) for value in np.percentile(times_us, [50, 90, 99]))
    return Percentiles(p50=p50, p90=p90, p99=p99)


def _unfolded_latency(
    pairs: Mapping[str, Pair], batch_size: int, seed: int, *, built_once: bool
) -> UnfoldedLatency | None:
    """Return the times of the student as it was trained, and over those of its folded form."""
    unfolded = pairs.get("unfolded")
    if unfolded is None:
        return None
    times = msgspec.structs.asdict(_model_latency(unfolded, batch_size, seed))
    return UnfoldedLatency(**times, **_ratios(unfolded, pairs["transformer"], built_once=built_once))


def _model_latency(pair: Pair, batch_size: int, seed: int) -> ModelLatency:
    single, batch = pair
    low, high = percentile_interval(batch.call_us, 50, seed=seed)
    return ModelLatency(
        single_us=percentiles(single.all_us()),
        batch_us_per_query=percentiles(batch.all_us() / batch_size),
        single_qps=queries_per_second(single.call_us, 1),
        batch_qps=queries_per_second(batch.call_us, batch_size),
        outliers=single.outliers() + batch.outliers(),
        single_p50_interval=percentile_interval(single.call_us, 50, seed=seed),
        single_p90_interval=percentile_interval(single.call_us, 90, seed=seed),
        batch_interval=(low / batch_size, high / batch_size),
        offline_interval=rate_interval(batch.call_us, batch_size, seed=seed),
    )


def _ratios(upper: Pair, lower: Pair, *, built_once: bool) -> dict[str, Any]:
    single, batch = (
        ratio_interval(over.block_medians_us(), under.block_medians_us(), built_once=built_once)
        for over, under in zip(upper, lower, strict=True)
    )
    return {
        "single_ratio": single.value,
        "single_ratio_interval": (single.low, single.high),
        "batch_ratio": batch.value,
        "batch_ratio_interval": (batch.low, batch.high),
    }
