"""What a latency comparison tells: frozen events of plain numbers and strings."""

from __future__ import annotations

import msgspec

from distill_core.latency.machine_record import MachineRecord

METHOD = "single-stream and offline, MLPerf-like, shortened"
"""Whose words "single-stream" and "offline" are."""

Interval = tuple[float, float]
"""The ends of a 95 % bootstrap interval over blocks."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Microseconds a query. `p90` is the headline of the single-stream case."""

    p50: float
    p90: float
    p99: float


class ModelLatency(msgspec.Struct, frozen=True, kw_only=True):
    """One model: one query at a time, and in batches.

    Attributes:
        single_us: Of a call with one query.
        batch_us_per_query: Of a call with a batch, divided by its size.
        single_qps: Queries a second, one at a time: all queries over all the time that they took.
        batch_qps: The same in batches.
        outliers: Calls beyond an outer quartile fence (p25 - 3 IQR, p75 + 3 IQR); counted, never dropped.
        single_p50_interval, single_p90_interval: Of two figures of `single_us`. Here and below, None in what
            an older version wrote.
        batch_interval: Of the p50 of `batch_us_per_query`.
        offline_interval: Of `batch_qps`.
    """

    single_us: Percentiles
    batch_us_per_query: Percentiles
    single_qps: float
    batch_qps: float
    outliers: int
    single_p50_interval: Interval | None = None
    single_p90_interval: Interval | None = None
    batch_interval: Interval | None = None
    offline_interval: Interval | None = None


class UnfoldedLatency(ModelLatency, frozen=True, kw_only=True):
    """The student as it was trained, beside the folded form of it.

    Attributes:
        single_ratio: Its time over the folded form's, one query at a time; above 1 folding pays.
        single_ratio_interval: 95 % bootstrap interval over blocks.
        batch_ratio, batch_ratio_interval: The same in batches.
    """

    single_ratio: float
    single_ratio_interval: tuple[float, float]
    batch_ratio: float
    batch_ratio_interval: tuple[float, float]


class LatencyEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class LatencyStarted(LatencyEvent, frozen=True, kw_only=True, tag="started"):
    """Contestants are built, warm-up is next."""

    num_heads: int
    dimension: int
    batch_size: int
    device: str
    threads: int
    blocks: int


class BlockTimed(LatencyEvent, frozen=True, kw_only=True, tag="block"):
    """One block of calls is timed; `done` of `total` blocks.

    Attributes:
        model: "lda", "transformer" (the student, folded where it folds) or "unfolded".
    """

    done: int
    total: int
    model: str
    batch_size: int
    median_us_per_query: float


class LatencyFinished(LatencyEvent, frozen=True, kw_only=True, tag="finished"):
    """The result of the comparison.

    Attributes:
        transformer: The student of whatever kind, folded where it folds; the ratios are about this one.
        unfolded: The same student as it was trained; None where it does not fold.
        single_ratio: Student's median over the LDA's, one query at a time; above 1 the LDA is faster.
        single_ratio_interval: Its 95 % bootstrap interval over blocks.
        batch_ratio, batch_ratio_interval: The same in batches.
        steady: False when blocks of one model disagree so much that the figures deserve doubt.
        machine: Where it was measured; None in what an older version wrote.
        method: How.
        ended: "complete", or "interrupted": stopped, with what was measured until then.
    """

    lda: ModelLatency
    transformer: ModelLatency
    unfolded: UnfoldedLatency | None = None
    single_ratio: float
    single_ratio_interval: tuple[float, float]
    batch_ratio: float
    batch_ratio_interval: tuple[float, float]
    batch_size: int
    device: str
    threads: int
    num_heads: int
    steady: bool
    machine: MachineRecord | None = None
    method: str = METHOD
    ended: str = "complete"
