"""What a comparison of all contestants tells: frozen events of plain numbers and strings. No torch."""

from __future__ import annotations

import msgspec

from distill_core.latency.events import METHOD, Interval, Percentiles
from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.statistics import RatioInterval


class FieldRow(msgspec.Struct, frozen=True, kw_only=True):
    """One contestant. What was not measured is None, and the note says why.

    Attributes:
        name: Such as "LDA, NumPy" or "student, folded".
        single_us: Single-stream, microseconds a query; the headline is its p90.
        single_p90_interval: Of the headline, 95 % over blocks.
        single_over_lda: Its single-stream time over that of the LDA on the same device.
        offline_per_second: Offline, queries a second in batches: all queries over all the time they took.
        offline_interval: Of that, 95 % over blocks.
        offline_over_lda: Its offline time over that of the LDA on the same device.
        parameters: Numbers that are stored.
        size_bytes: What they, and an index or a file, take.
        cosine: Mean cosine to the teacher on the queries.
        pareto_best: Whether no other one is at least as good in single-stream p90, cosine and bytes, and
            better in one of them.
        outliers: Calls beyond an outer quartile fence, of single queries and of batches; none is dropped.
        note: Why it was not measured, and how it could be.
    """

    name: str
    single_us: Percentiles | None = None
    single_p90_interval: Interval | None = None
    single_over_lda: RatioInterval | None = None
    offline_per_second: float | None = None
    offline_interval: Interval | None = None
    offline_over_lda: RatioInterval | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    cosine: float | None = None
    pareto_best: bool = False
    outliers: int | None = None
    note: str = ""


class FieldEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class FieldStarted(FieldEvent, frozen=True, kw_only=True, tag="started"):
    """The contestants are built, warm-up is next."""

    machine: MachineRecord
    num_heads: int
    dimension: int
    batch_size: int
    device: str
    contestants: tuple[str, ...]


class FieldTimed(FieldEvent, frozen=True, kw_only=True, tag="round"):
    """Every contestant has had one more block; `done` of `total` rounds."""

    done: int
    total: int


class FieldFinished(FieldEvent, frozen=True, kw_only=True, tag="finished"):
    """The result, also of a comparison that was stopped.

    Attributes:
        rows: In the order of the contestants, those that could not be measured last.
        ended: "complete" or "interrupted".
        steady: False when blocks of one contestant disagree so much that the figures deserve doubt.
        method: How.
        reference: Name of the contestant that the ratios are over: the LDA on the same device.
    """

    rows: tuple[FieldRow, ...]
    batch_size: int
    num_heads: int
    device: str
    machine: MachineRecord
    ended: str
    steady: bool
    method: str = METHOD
    reference: str = "LDA, NumPy"
