"""LDA and student side by side: same queries, same device, alternating blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from distill_core.devices import cpu_threads, resolve_device, synchronize
from distill_core.errors import DistillError, SettingsError
from distill_core.latency.calls import Project, lda_call, query_batches, student_call
from distill_core.latency.events import (
    BlockTimed,
    LatencyEvent,
    LatencyFinished,
    LatencyStarted,
    ModelLatency,
    Percentiles,
    UnfoldedLatency,
)
from distill_core.latency.intervals import RatioInterval, is_unsteady, ratio_interval
from distill_core.latency.machine import read_machine
from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.timing import Call, Contestant, count_outliers
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA

Field = tuple[Contestant, ...]
"""Who runs against each other at one batch size: LDA, student, and the student unfolded if it folds."""


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where to time.

    Attributes:
        batch_size: Queries a call in the batched case.
        blocks: Blocks of about 20 ms for each model and batch size; even, so that the order is balanced.
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


def compare_latency(
    teacher: MultiHeadLDA,
    student: Student,
    queries: ArrayLike,
    settings: LatencySettings | None = None,
) -> Iterator[LatencyEvent]:
    """Time both models with one query at a time and in batches; the last event is the result.

    A student that folds is timed folded, and as it is beside it. Blocks go forwards and backwards in turn
    (A B C C B A), so that no contestant is favoured by a machine that slowly changes. On a CPU the LDA runs
    in NumPy, elsewhere in torch on the same device. Times include waiting for the device, and not the copy
    of the queries to it.

    Raises:
        DistillError: There are no queries, or the device is not there.
    """
    settings = settings or LatencySettings()
    rows = np.ascontiguousarray(queries, dtype=np.float32)
    if rows.ndim != 2 or len(rows) == 0:
        raise DistillError(
            "There are no queries to time with.", "Choose a projection with question embeddings."
        )
    device = resolve_device(settings.device)
    home = next(student.parameters()).device
    was_training = student.training
    try:
        student.to(device).eval()
        with cpu_threads(settings.threads):
            yield from _compare(teacher, student, rows, settings, device)
    finally:
        student.to(home).train(was_training)


def _compare(
    teacher: MultiHeadLDA,
    student: Student,
    rows: NDArray[np.float32],
    settings: LatencySettings,
    device: torch.device,
) -> Iterator[LatencyEvent]:
    machine = read_machine(device)
    calls = _model_calls(teacher, student, device)
    fields = [
        tuple(
            _contestant(model, calls[model], _batches(rows, size, device, model), device, size)
            for model in calls
        )
        for size in (1, settings.batch_size)
    ]
    yield LatencyStarted(
        num_heads=teacher.num_heads,
        dimension=teacher.dimension,
        batch_size=settings.batch_size,
        device=str(device),
        threads=torch.get_num_threads(),
        blocks=_num_blocks(fields, settings.blocks),
    )
    yield from _time_fields(fields, settings.blocks)
    yield _result(fields, teacher, settings, device, machine)


def _model_calls(teacher: MultiHeadLDA, student: Student, device: torch.device) -> dict[str, Project]:
    """Return the contestants by name, in the order of the blocks."""
    folded = student.fold()
    calls = {"lda": lda_call(teacher, device), "transformer": student_call(folded)}
    return calls if folded is student else {**calls, "unfolded": student_call(student)}


def _batches(rows: NDArray[np.float32], size: int, device: torch.device, model: str) -> tuple[object, ...]:
    return query_batches(rows, size, device, numpy=model == "lda" and device.type == "cpu")


def _num_blocks(fields: list[Field], blocks: int) -> int:
    return sum(len(field) for field in fields) * blocks


def _time_fields(fields: list[Field], blocks: int) -> Iterator[BlockTimed]:
    done, total = 0, _num_blocks(fields, blocks)
    for field in fields:
        for contestant in field:
            contestant.warm_up()
        for round_number in range(blocks):
            for contestant in field if round_number % 2 == 0 else reversed(field):
                median_us = contestant.time_block()
                done += 1
                yield BlockTimed(
                    done=done,
                    total=total,
                    model=contestant.model,
                    batch_size=contestant.batch_size,
                    median_us_per_query=median_us,
                )


def _contestant(
    model: str,
    project: Project,
    inputs: tuple[object, ...],
    device: torch.device,
    size: int,
) -> Contestant:
    calls: tuple[Call, ...] = tuple(partial(project, queries) for queries in inputs)
    return Contestant(model, size, calls, lambda: synchronize(device))


def _result(
    fields: list[Field],
    teacher: MultiHeadLDA,
    settings: LatencySettings,
    device: torch.device,
    machine: MachineRecord,
) -> LatencyFinished:
    (lda_single, student_single, *_), (lda_batch, student_batch, *_) = fields
    single = _ratio(student_single, lda_single, settings.seed)
    batch = _ratio(student_batch, lda_batch, settings.seed)
    return LatencyFinished(
        lda=_model_latency(lda_single, lda_batch),
        transformer=_model_latency(student_single, student_batch),
        unfolded=_unfolded_latency(fields, settings.seed),
        single_ratio=single.ratio,
        single_ratio_interval=(single.low, single.high),
        batch_ratio=batch.ratio,
        batch_ratio_interval=(batch.low, batch.high),
        batch_size=settings.batch_size,
        device=str(device),
        threads=torch.get_num_threads(),
        num_heads=teacher.num_heads,
        steady=not any(is_unsteady(contestant.block_medians()) for field in fields for contestant in field),
        machine=machine,
    )


def _unfolded_latency(fields: list[Field], seed: int) -> UnfoldedLatency | None:
    """Return the times of the student as it was trained, and over those of its folded form."""
    single_field, batch_field = fields
    if len(single_field) < 3:
        return None
    _, folded_single, unfolded_single = single_field
    _, folded_batch, unfolded_batch = batch_field
    single = _ratio(unfolded_single, folded_single, seed)
    batch = _ratio(unfolded_batch, folded_batch, seed)
    return UnfoldedLatency(
        **msgspec.structs.asdict(_model_latency(unfolded_single, unfolded_batch)),
        single_ratio=single.ratio,
        single_ratio_interval=(single.low, single.high),
        batch_ratio=batch.ratio,
        batch_ratio_interval=(batch.low, batch.high),
    )


def _model_latency(single: Contestant, batch: Contestant) -> ModelLatency:
    single_us, batch_us = single.us_per_query(), batch.us_per_query()
    return ModelLatency(
        single_us=_percentiles(single_us),
        batch_us_per_query=_percentiles(batch_us),
        single_qps=1e6 / float(single_us.mean()),
        batch_qps=1e6 / float(batch_us.mean()),
        outliers=count_outliers(single_us) + count_outliers(batch_us),
    )


def _percentiles(times: NDArray[np.float64]) -> Percentiles:
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    return Percentiles(p50=p50, p90=p90, p99=p99)


def _ratio(upper: Contestant, lower: Contestant, seed: int) -> RatioInterval:
    return ratio_interval(upper.block_medians(), lower.block_medians(), seed=seed)
