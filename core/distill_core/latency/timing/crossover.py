"""From how many heads on a transformer is faster than the LDA, measured on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike

from distill_core.devices import cpu_threads, resolve_device
from distill_core.errors import DistillError, SettingsError
from distill_core.latency.brackets import summarised
from distill_core.latency.crossover import BATCH_SIZES, CrossoverEvent, CrossoverStarted
from distill_core.latency.growing_teacher import (
    GrowingTeacher,
    heads_that_fit,
    heads_that_fit_on,
    require_fitting,
    spare_arrays_on,
)
from distill_core.latency.measurement import Samples
from distill_core.latency.timing.blocks import Clock
from distill_core.latency.timing.crossover_contestants import Lineup, TimedStudent
from distill_core.latency.timing.crossover_search import CrossoverSearch
from distill_core.latency.timing.machine import read_machine
from distill_core.teacher import MultiHeadLDA

DEFAULT_MAX_HEADS = 1_048_576


class CrossoverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to search, and for how long.

    Attributes:
        max_heads: The largest N; None for 1,048,576, or as many as fit in the free memory.
        budget_seconds: The search ends by then, with what it has.
        batch_sizes: Queries a call.
        device: As in training; all contestants run there.
        threads: CPU threads of torch and of NumPy's BLAS alike; 0 leaves their own choice.
        seed: Of the drawn heads and of the bootstrap.
    """

    max_heads: int | None = None
    budget_seconds: float = 60.0
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    device: str = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_heads is not None and self.max_heads < 1:
            raise SettingsError("The largest number of heads must be at least 1.", field="max_heads")
        if not (math.isfinite(self.budget_seconds) and self.budget_seconds > 0):
            raise SettingsError("The time budget must be a positive number.", field="budget_seconds")
        sizes = self.batch_sizes
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise SettingsError("The batch sizes must be different and at least 1.", field="batch_sizes")


def find_crossover(
    teacher: MultiHeadLDA,
    student: TimedStudent,
    queries: ArrayLike,
    settings: CrossoverSettings | None = None,
    *,
    clock: Clock = time.perf_counter_ns,
    samples: Samples | None = None,
) -> Generator[CrossoverEvent, None, None]:
    """Time the LDA against a fixed student and one that grows with H^L >= N, over growing N.

    One `CrossoverStarted`, a `CrossoverPoint` for each N and batch size, and `CrossoverFinished` at the end.
    Closing the generator stops the search; `summarised(..., ended="interrupted")` sums up what it gave.
    At each point the three run in alternating blocks (ABC CBA). Times are of the call, without the copy of
    the queries to the device.

    Args:
        teacher: The real heads; more are drawn from their distribution.
        student: Any object with `project`; timed folded where it has a `fold()`.
        queries: (n, d), n >= 1.
        settings: None for the defaults.
        clock: Nanoseconds; the budget is kept by it.
        samples: Filled, while the search goes on, with the microseconds of every call.

    Raises:
        SettingsError: So many heads do not fit in memory, or the student cannot run on the device.
        DeviceError: The device is not there, or failed while measuring; the points before stand.
        DistillError: There are no queries.
    """
    settings = settings or CrossoverSettings()
    rows = np.ascontiguousarray(queries, dtype=np.float32)
    if rows.ndim != 2 or len(rows) == 0:
        raise DistillError(
            "There are no queries to time with.", "Choose a projection with question embeddings."
        )
    device = resolve_device(settings.device)
    spare = spare_arrays_on(device.type)
    fitting = _fitting_heads(teacher.dimension, device, max(settings.batch_sizes))
    max_heads = settings.max_heads or min(DEFAULT_MAX_HEADS, fitting)
    require_fitting(max_heads, teacher.dimension, fitting=fitting)
    with cpu_threads(settings.threads):
        machine = read_machine(device)
        growing = GrowingTeacher(teacher, max_heads, seed=settings.seed, spare_arrays=spare)
        lineup = Lineup(growing, student, rows, device)
        yield CrossoverStarted(
            machine=machine,
            dimension=teacher.dimension,
            real_heads=teacher.num_heads,
            max_heads=max_heads,
            heads_that_fit=fitting,
            batch_sizes=settings.batch_sizes,
            budget_seconds=settings.budget_seconds,
            device=str(device),
            folded=lineup.folded,
            grown_heads=lineup.grown_heads,
            break_even=lineup.break_even(),
        )
        search = _search(lineup, settings, max_heads, clock)
        if samples is not None:
            search.samples = samples
        yield from search
        yield summarised(
            search.points,
            ended=search.ended,
            machine=machine,
            batch_sizes=settings.batch_sizes,
            max_heads=max_heads,
        )


def _fitting_heads(dimension: int, device: torch.device, largest_batch: int) -> int:
    """Return how many heads fit in the memory of this machine, and of the device where that tells."""
    fitting = heads_that_fit(dimension, spare_arrays=spare_arrays_on(device.type))
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        fitting = min(fitting, heads_that_fit_on(dimension, free_bytes, largest_batch=largest_batch))
    return fitting


def _search(lineup: Lineup, settings: CrossoverSettings, max_heads: int, clock: Clock) -> CrossoverSearch:
    return CrossoverSearch(
        lineup,
        max_heads=max_heads,
        batch_sizes=settings.batch_sizes,
        budget_seconds=settings.budget_seconds,
        seed=settings.seed,
        clock=clock,
    )
