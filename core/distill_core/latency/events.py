"""What the comparisons of latency tell: frozen events of plain numbers and strings. No torch."""

from __future__ import annotations

import msgspec

from distill_core.latency.measurement import Ends, TimeRatio

METHOD = "single-stream and offline, MLPerf-like, shortened"
"""Whose words "single-stream" and "offline" are."""


class MachineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What decides how fast teacher and student are. None where the machine does not tell.

    Attributes:
        cpu: Name of the CPU model.
        cores: Logical cores of the machine.
        usable_cores: Those that this process may run on.
        threads: CPU threads of torch during the measurement.
        blas: Library and threads of NumPy's matrix products, such as "openblas 0.3.31, 1 thread".
        torch: Version of torch with its build.
        torch_cpu_capability: The instruction set that torch chose.
        gpu: Name of the GPU, if the measurement runs on one.
        gpu_clock_mhz: Its present clock, that of a device at rest before the measurement.
        clock_mhz: Present clock of the first core.
        load_average: Mean of running processes over the last minute, at the start.
        system: Operating system and its architecture.
        python: Version of Python.
    """

    cpu: str
    cores: int
    usable_cores: int
    threads: int
    blas: str | None
    torch: str
    torch_cpu_capability: str
    gpu: str | None
    clock_mhz: float | None
    load_average: float | None
    system: str
    python: str
    gpu_clock_mhz: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether other processes were likely to take part of the cores: load above half of them."""
        return self.load_average is not None and self.load_average > self.usable_cores / 2


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
    single_p50_interval: Ends | None = None
    single_p90_interval: Ends | None = None
    batch_interval: Ends | None = None
    offline_interval: Ends | None = None


class UnfoldedLatency(ModelLatency, frozen=True, kw_only=True):
    """The student as it was trained, beside the folded form of it.

    Attributes:
        single_ratio: Its time over the folded form's, one query at a time; above 1 folding pays.
        single_ratio_interval: 95 % bootstrap interval over blocks.
        batch_ratio, batch_ratio_interval: The same in batches.
    """

    single_ratio: float
    single_ratio_interval: Ends
    batch_ratio: float
    batch_ratio_interval: Ends


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
        rounds: Blocks of each contestant and batch size; empty, as what follows, in what an older version
            wrote.
        teacher_sha256: Of the LDA's heads and temperature.
        student_sha256: Of the student's weights.
    """

    lda: ModelLatency
    transformer: ModelLatency
    unfolded: UnfoldedLatency | None = None
    single_ratio: float
    single_ratio_interval: Ends
    batch_ratio: float
    batch_ratio_interval: Ends
    batch_size: int
    device: str
    threads: int
    num_heads: int
    steady: bool
    machine: MachineRecord | None = None
    method: str = METHOD
    ended: str = "complete"
    rounds: int = 0
    teacher_sha256: str = ""
    student_sha256: str = ""


class ContestantRow(msgspec.Struct, frozen=True, kw_only=True):
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
    single_p90_interval: Ends | None = None
    single_over_lda: TimeRatio | None = None
    offline_per_second: float | None = None
    offline_interval: Ends | None = None
    offline_over_lda: TimeRatio | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    cosine: float | None = None
    pareto_best: bool = False
    outliers: int | None = None
    note: str = ""


class ContestantsEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class ContestantsStarted(ContestantsEvent, frozen=True, kw_only=True, tag="started"):
    """The contestants are built, warm-up is next."""

    machine: MachineRecord
    num_heads: int
    dimension: int
    batch_size: int
    device: str
    contestants: tuple[str, ...]


class RoundTimed(ContestantsEvent, frozen=True, kw_only=True, tag="round"):
    """Every contestant has had one more block; `done` of `total` rounds."""

    done: int
    total: int


class ContestantsFinished(ContestantsEvent, frozen=True, kw_only=True, tag="finished"):
    """The result, also of a comparison that was stopped.

    Attributes:
        rows: In the order of the contestants, those that could not be measured last.
        ended: "complete" or "interrupted".
        steady: False when blocks of one contestant disagree so much that the figures deserve doubt.
        method: How.
        reference: Name of the contestant that the ratios are over: the LDA on the same device.
        rounds: Of single queries that all have had; 0 in what an older version wrote.
    """

    rows: tuple[ContestantRow, ...]
    batch_size: int
    num_heads: int
    device: str
    machine: MachineRecord
    ended: str
    steady: bool
    method: str = METHOD
    reference: str = "LDA, NumPy"
    rounds: int = 0
