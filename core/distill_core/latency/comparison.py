"""LDA and transformer side by side: same queries, same device, alternating blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from distill_core.devices import cpu_threads, resolve_device, synchronize
from distill_core.errors import DistillError, SettingsError
from distill_core.latency.events import (
    BlockTimed,
    LatencyEvent,
    LatencyFinished,
    LatencyStarted,
    ModelLatency,
    Percentiles,
)
from distill_core.latency.timing import Call, Contestant, count_outliers
from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA

_INPUTS = 16
_BOOTSTRAP_DRAWS = 2000
_UNSTEADY_SPREAD = 1.5


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where to time.

    Attributes:
        batch_size: Queries a call in the batched case.
        blocks: Blocks of about 20 ms for each model and batch size; even, so that ABBA is balanced.
        device: As in training; both models run there.
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
    student: ProjectionTransformer,
    queries: ArrayLike,
    settings: LatencySettings | None = None,
) -> Iterator[LatencyEvent]:
    """Time both models with one query at a time and in batches, in ABBA order; the last event is the result.

    On a CPU the LDA runs in NumPy, elsewhere in torch on the same device. Times include waiting for the
    device, and not the copy of the queries to it.

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
    student: ProjectionTransformer,
    rows: NDArray[np.float32],
    settings: LatencySettings,
    device: torch.device,
) -> Iterator[LatencyEvent]:
    lda = _lda_call(teacher, device)
    pairs = [
        (
            _contestant("lda", lda, _inputs(rows, size, device, numpy=device.type == "cpu"), device, size),
            _contestant("transformer", _student_call(student), _inputs(rows, size, device), device, size),
        )
        for size in (1, settings.batch_size)
    ]
    yield LatencyStarted(
        num_heads=teacher.num_heads,
        dimension=teacher.dimension,
        batch_size=settings.batch_size,
        device=str(device),
        threads=torch.get_num_threads(),
        blocks=2 * len(pairs) * settings.blocks,
    )
    yield from _time_pairs(pairs, settings.blocks)
    yield _result(pairs, teacher, settings, device)


def _time_pairs(pairs: list[tuple[Contestant, Contestant]], blocks: int) -> Iterator[BlockTimed]:
    done, total = 0, 2 * len(pairs) * blocks
    for pair in pairs:
        for contestant in pair:
            contestant.warm_up()
        for round_number in range(blocks):
            for contestant in pair if round_number % 2 == 0 else reversed(pair):
                median_us = contestant.time_block()
                done += 1
                yield BlockTimed(
                    done=done,
                    total=total,
                    model=contestant.model,
                    batch_size=contestant.batch_size,
                    median_us_per_query=median_us,
                )


def _lda_call(teacher: MultiHeadLDA, device: torch.device) -> Callable[[object], object]:
    if device.type == "cpu":
        return lambda queries: teacher.project(cast(NDArray[np.float32], queries))
    norms = np.linalg.norm(teacher.centroids, axis=1, keepdims=True)
    scaled = torch.from_numpy(teacher.centroids / (norms * teacher.temperature)).T.contiguous().to(device)
    answers = torch.from_numpy(teacher.answers).to(device)

    def project(queries: object) -> Tensor:
        directions = torch.nn.functional.normalize(cast(Tensor, queries), dim=-1)
        return torch.softmax(directions @ scaled, dim=-1) @ answers

    return torch.inference_mode()(project)


def _student_call(student: ProjectionTransformer) -> Callable[[object], object]:
    def project(queries: object) -> Tensor:
        return cast(Tensor, student(queries))

    return torch.inference_mode()(project)


def _inputs(
    rows: NDArray[np.float32], batch_size: int, device: torch.device, *, numpy: bool = False
) -> tuple[object, ...]:
    starts = np.arange(_INPUTS) * batch_size
    batches = [rows[np.arange(start, start + batch_size) % len(rows)] for start in starts]
    return tuple(batch if numpy else torch.from_numpy(batch).to(device) for batch in batches)


def _contestant(
    model: str,
    project: Callable[[object], object],
    inputs: tuple[object, ...],
    device: torch.device,
    size: int,
) -> Contestant:
    calls: tuple[Call, ...] = tuple(partial(project, queries) for queries in inputs)
    return Contestant(model, size, calls, lambda: synchronize(device))


def _result(
    pairs: list[tuple[Contestant, Contestant]],
    teacher: MultiHeadLDA,
    settings: LatencySettings,
    device: torch.device,
) -> LatencyFinished:
    (lda_single, student_single), (lda_batch, student_batch) = pairs
    single, single_interval = _ratio(student_single, lda_single, settings.seed)
    batch, batch_interval = _ratio(student_batch, lda_batch, settings.seed)
    return LatencyFinished(
        lda=_model_latency(lda_single, lda_batch),
        transformer=_model_latency(student_single, student_batch),
        single_ratio=single,
        single_ratio_interval=single_interval,
        batch_ratio=batch,
        batch_ratio_interval=batch_interval,
        batch_size=settings.batch_size,
        device=str(device),
        threads=torch.get_num_threads(),
        num_heads=teacher.num_heads,
        steady=all(_is_steady(contestant) for pair in pairs for contestant in pair),
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


def _ratio(upper: Contestant, lower: Contestant, seed: int) -> tuple[float, tuple[float, float]]:
    """Median over blocks of the paired ratio, with a percentile bootstrap interval over blocks."""
    ratios = upper.block_medians() / lower.block_medians()
    draws = np.random.default_rng(seed).choice(ratios, size=(_BOOTSTRAP_DRAWS, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(np.median(ratios)), (float(low), float(high))


def _is_steady(contestant: Contestant) -> bool:
    low, high = np.percentile(contestant.block_medians(), [10, 90])
    return bool(high <= _UNSTEADY_SPREAD * low)
