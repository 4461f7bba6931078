"""LDA and student side by side: same queries, same device, alternating blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from distill_core.devices import resolve_device, synchronize
from distill_core.errors import DistillError, SettingsError
from distill_core.latency.events import BlockTimed, LatencyEvent, LatencyFinished, LatencyStarted
from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.measurement import Samples, sample_name
from distill_core.latency.timing.blocks import Call, Clock, TimedCalls, single_stream
from distill_core.latency.timing.borrowed import borrowed
from distill_core.latency.timing.calls import Form, Project, lda_call, lda_form, query_batches, student_call
from distill_core.latency.timing.machine import read_machine
from distill_core.latency.timing.model_latency import Pair, finished_of
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where to time.

    Attributes:
        batch_size: Queries a call in the batched case.
        blocks: Blocks of about 8 ms for each model and batch size; even, so that the order is balanced.
        device: As in training; all models run there.
        threads: CPU threads of torch and of NumPy's BLAS alike; 0 leaves their own choice.
        seed: Of the bootstrap.
    """

    batch_size: int = 32
    blocks: int = 20
    device: str = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "blocks"):
            if getattr(self, name) < 1:
                raise SettingsError(f"The {name} of a latency comparison must be at least 1.", field=name)


class LatencyComparison:
    """One comparison, as an iterator of events; what it has measured outlives a stop and a failure.

    A student that folds is timed folded, and as it is beside it. Blocks go forwards and backwards in turn
    (A B C C B A), so that no contestant is favoured by a machine that slowly changes; a round has single
    queries and batches, so that a stop leaves both. On a CPU the LDA runs in NumPy, elsewhere in torch on the
    same device. Times of single queries include waiting for the device, those of batches wait at the ends of
    a block, and none includes the copy of the queries to the device.

    Args:
        teacher: The LDA.
        student: Left as it was, on its device, afterwards.
        queries: (n, d), n >= 1.
        settings: None for the defaults.
        clock: Nanoseconds.

    Raises:
        DistillError: There are no queries, or the device is not there, or (while iterating) fails.
    """

    def __init__(
        self,
        teacher: MultiHeadLDA,
        student: Student,
        queries: ArrayLike,
        settings: LatencySettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._teacher, self._student = teacher, student
        self._settings = settings or LatencySettings()
        self._rows: NDArray[np.float32] = np.ascontiguousarray(queries, dtype=np.float32)
        if self._rows.ndim != 2 or len(self._rows) == 0:
            raise DistillError(
                "There are no queries to time with.", "Choose a projection with question embeddings."
            )
        self._clock = clock
        self._device = resolve_device(self._settings.device)
        self._machine: MachineRecord | None = None
        self._pairs: dict[str, Pair] = {}
        """Single queries and batches of each contestant, in the order of the blocks."""

    def __iter__(self) -> Iterator[LatencyEvent]:
        with borrowed(self._student, self._device, self._settings.threads):
            yield from self._events()

    def result(self, *, ended: str = "interrupted") -> LatencyFinished | None:
        """Return what is measured so far; None before the first round is over."""
        if self._machine is None or not self._pairs:
            return None
        rounds = min(len(timed.call_us) for pair in self._pairs.values() for timed in pair)
        if rounds == 0:
            return None
        return finished_of(
            {model: pair.first(rounds) for model, pair in self._pairs.items()},
            seed=self._settings.seed,
            batch_size=self._settings.batch_size,
            device=str(self._device),
            num_heads=self._teacher.num_heads,
            machine=self._machine,
            ended=ended,
        )

    def samples(self) -> Samples:
        """Return the microseconds of every call so far, by contestant and batch size."""
        return {
            sample_name(model, size): timed.all_us()
            for model, pair in self._pairs.items()
            for size, timed in zip((1, self._settings.batch_size), pair, strict=True)
            if timed.call_us
        }

    def _events(self) -> Iterator[LatencyEvent]:
        self._machine = read_machine(self._device)
        blocks = self._settings.blocks
        self._pairs = {model: self._pair(project, form) for model, project, form in self._models()}
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
        result = self.result(ended="complete")
        assert result is not None
        yield result

    def _models(self) -> Iterator[tuple[str, Project, Form]]:
        """Yield the contestants by name, in the order of the blocks."""
        folded = self._student.fold()
        yield "lda", lda_call(self._teacher, self._device), lda_form(self._device)
        yield "transformer", student_call(folded), "tensors"
        if folded is not self._student:
            yield "unfolded", student_call(self._student), "tensors"

    def _pair(self, project: Project, form: Form) -> Pair:
        in_order = self._device.type == "cpu"
        single, batch = (self._calls(project, size, form) for size in (1, self._settings.batch_size))
        return Pair(
            single_stream(single, self._clock, self._wait, in_order=in_order),
            TimedCalls(batch, self._clock, self._wait, in_order=in_order),
        )

    def _calls(self, project: Project, size: int, form: Form) -> list[Call]:
        return [partial(project, queries) for queries in query_batches(self._rows, size, self._device, form)]

    def _round(self, number: int) -> Iterator[BlockTimed]:
        """Time a block of everyone with single queries, and then in batches."""
        models = list(self._pairs) if number % 2 == 0 else list(reversed(self._pairs))
        sizes = (1, self._settings.batch_size)
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

    def _wait(self) -> None:
        synchronize(self._device)


def compare_latency(
    teacher: MultiHeadLDA, student: Student, queries: ArrayLike, settings: LatencySettings | None = None
) -> Iterator[LatencyEvent]:
    """Time both models with one query at a time and in batches; the last event is the result.

    See `LatencyComparison`, which keeps what was measured before a stop.

    Raises:
        DistillError: There are no queries, or the device is not there.
    """
    yield from LatencyComparison(teacher, student, queries, settings)
