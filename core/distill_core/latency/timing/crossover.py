"""From how many heads on a student is faster than the LDA, measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import torch
from numpy.typing import ArrayLike

from distill_core.devices import cpu_threads, resolve_device
from distill_core.latency.crossover import (
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
    summarised,
)
from distill_core.latency.growing_teacher import (
    GrowingTeacher,
    heads_that_fit,
    heads_that_fit_on,
    require_fitting,
    spare_arrays_on,
)
from distill_core.latency.measurement import (
    DEFAULT_MAX_HEADS,
    INTERRUPTED,
    CrossoverSettings,
    Measurement,
    Samples,
)
from distill_core.latency.timing.calls import AnyStudent, Clock, queries_to_time
from distill_core.latency.timing.crossover_contestants import GrowingContestants
from distill_core.latency.timing.crossover_search import CrossoverSearch
from distill_core.latency.timing.machine import read_machine
from distill_core.teacher import MultiHeadLDA


class Crossover(Measurement[CrossoverEvent, CrossoverFinished]):
    """One search, as an iterator of events; what it has measured outlives a stop and a failure.

    The LDA is timed against a fixed student and one that grows with H^L >= N, over growing N: one
    `CrossoverStarted`, a `CrossoverPoint` for each N and batch size, and `CrossoverFinished` at the end. At
    each point the three run in alternating blocks (ABC CBA). Times are of the call, without the copy of the
    queries to the device.

    Args:
        teacher: The real heads; more are drawn near them.
        student: Any object with `project`; timed folded where it has a `fold()`.
        queries: (n, d), n >= 1.
        settings: None for the defaults.
        clock: Nanoseconds; the budget is kept by it.

    Raises:
        DistillError: There are no queries, or the device is not there. While iterating: so many heads do not
            fit in memory, the student cannot run on the device, or that fails; the points before stand.
    """

    name = "crossover"
    result_type = CrossoverFinished
    milestones = (CrossoverPoint,)

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: AnyStudent,
        queries: ArrayLike,
        settings: CrossoverSettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._teacher, self._student = teacher, student
        self._settings = settings or CrossoverSettings()
        self._rows = queries_to_time(queries)
        self._clock = clock
        self._device = resolve_device(self._settings.device)
        self._started: CrossoverStarted | None = None
        self._search: CrossoverSearch | None = None
        self._ended = INTERRUPTED

    def __iter__(self) -> Iterator[CrossoverEvent]:
        with cpu_threads(self._settings.threads):
            fitting = _fitting_heads(self._teacher.dimension, self._device, max(self._settings.batch_sizes))
            contestants = self._contestants(fitting)
            self._started = self._start(contestants, fitting)
            yield self._started
            self._search = CrossoverSearch(
                contestants,
                max_heads=self._started.max_heads,
                batch_sizes=self._settings.batch_sizes,
                budget_seconds=self._settings.budget_seconds,
                seed=self._settings.seed,
                clock=self._clock,
            )
            yield from self._search
            self._ended = self._search.ended
            yield self._summary(self._started, self._search)

    def result(self) -> CrossoverFinished | None:
        """Return the brackets of the points so far; None before the first."""
        if self._started is None or self._search is None or not self._search.points:
            return None
        return self._summary(self._started, self._search)

    def samples(self) -> Samples:
        """Return the microseconds of every call so far, by contestant, N and batch size."""
        return {} if self._search is None else self._search.samples

    def is_better_than(self, kept: CrossoverFinished | None) -> bool:
        """Return whether it replaces a kept result: one that was cut short needs more points for that."""
        points = [] if self._search is None else self._search.points
        if kept is None or self._ended != INTERRUPTED or len(points) > len(kept.curve):
            return bool(points)
        return kept.ended == INTERRUPTED and len(points) == len(kept.curve)

    def _contestants(self, fitting: int) -> GrowingContestants:
        max_heads = self._settings.max_heads or min(DEFAULT_MAX_HEADS, fitting)
        require_fitting(max_heads, self._teacher.dimension, fitting=fitting)
        spare = spare_arrays_on(self._device.type)
        growing = GrowingTeacher(self._teacher, max_heads, seed=self._settings.seed, spare_arrays=spare)
        return GrowingContestants(growing, self._student, self._rows, self._device)

    def _start(self, contestants: GrowingContestants, fitting: int) -> CrossoverStarted:
        return CrossoverStarted(
            machine=read_machine(self._device),
            dimension=self._teacher.dimension,
            real_heads=self._teacher.num_heads,
            max_heads=contestants.teacher.max_heads,
            heads_that_fit=fitting,
            batch_sizes=self._settings.batch_sizes,
            budget_seconds=self._settings.budget_seconds,
            device=str(self._device),
            folded=contestants.folded,
            grown_heads=contestants.grown_heads,
            break_even=contestants.break_even(),
        )

    def _summary(self, started: CrossoverStarted, search: CrossoverSearch) -> CrossoverFinished:
        return summarised(
            search.points,
            ended=self._ended,
            machine=started.machine,
            batch_sizes=started.batch_sizes,
            max_heads=started.max_heads,
        )


def find_crossover(
    teacher: MultiHeadLDA,
    student: AnyStudent,
    queries: ArrayLike,
    settings: CrossoverSettings | None = None,
    *,
    clock: Clock = time.perf_counter_ns,
) -> Generator[CrossoverEvent, None, None]:
    """Search from how many heads on a student is faster; the last event is the result. See `Crossover`."""
    yield from Crossover(teacher, student, queries, settings, clock=clock)


def _fitting_heads(dimension: int, device: torch.device, largest_batch: int) -> int:
    """Return how many heads fit in the memory of this machine, and of the device where that tells."""
    fitting = heads_that_fit(dimension, spare_arrays=spare_arrays_on(device.type))
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        fitting = min(fitting, heads_that_fit_on(dimension, free_bytes, largest_batch=largest_batch))
    return fitting
