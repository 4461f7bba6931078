"""What a worker of a sweep tells, and a sweep as it stands: plain numbers, strings and tuples."""

from __future__ import annotations

import msgspec

from distill_core.sweeps.axes import Value
from distill_core.sweeps.plan import MergedAxis
from distill_core.sweeps.trials import TrialState


class SweepEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class TrialStarted(SweepEvent, frozen=True, kw_only=True, tag="trial_started"):
    """A worker has claimed a trial, to begin its run or to go on with it."""

    sweep: str
    cell: int
    seed: int
    settings: dict[str, Value]
    run: str


class TrialEnded(SweepEvent, frozen=True, kw_only=True, tag="trial"):
    """A trial is over for the worker.

    Attributes:
        state: `lost` if another worker has it now.
        run: Name of the run's folder.
        cosine: Mean over the test queries; None without a result. The others likewise.
        why: Why it failed or ended early, in words.
    """

    sweep: str
    cell: int
    seed: int
    settings: dict[str, Value]
    state: TrialState
    run: str
    cosine: float | None = None
    p90_us: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    host: str = ""
    why: str = ""


class WorkerWaits(SweepEvent, frozen=True, kw_only=True, tag="waiting"):
    """There is nothing to do until another worker ends or dies; told about once a second."""

    running: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over the seeds: their mean, the lowest and the highest."""

    mean: float
    low: float
    high: float


class CellShown(msgspec.Struct, frozen=True, kw_only=True):
    """A cell as it stands.

    Attributes:
        number: From 0 on.
        settings: By name: the kind, its shape, and every setting that was given.
        state: `finished` once every seed is; `failed` if one failed and none is left to run.
        seeds: How many are planned.
        done: How many are finished.
        cosine: Over the finished seeds; None before the first. The others likewise.
        skill: 1 is the teacher, 0 a constant.
        agreement: Share of the teacher's ten nearest answers that the student finds, too.
        p90_us: Of one query at a time, mean of the seeds; None where they were timed on several machines.
        machine: Where that was.
        behind_best: By how much the mean cosine on the common test queries is below that of the best cell:
            mean, and an interval of 95 % for all cells together. None of the best, and where the runs are
            not on this machine.
        runs: Names of the runs' folders.
        why: Why seeds failed, in words.
    """

    number: int
    settings: dict[str, Value]
    state: TrialState
    seeds: int
    done: int
    cosine: Spread | None = None
    skill: Spread | None = None
    agreement: Spread | None = None
    p90_us: float | None = None
    lda_p90_us: float | None = None
    machine: str = ""
    parameters: int | None = None
    size_bytes: int | None = None
    train_seconds: float | None = None
    behind_best: Spread | None = None
    runs: tuple[str, ...] = ()
    why: str = ""


class FrontierPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that no other beats in error, latency and size at once, among those of one machine."""

    cell: int
    settings: dict[str, Value]
    error: float
    p90_us: float | None
    size_bytes: int
    parameters: int
    machine: str
    runs: tuple[str, ...]


class WorkerShown(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that has a trial.

    Attributes:
        age_seconds: Since its last sign of life, by the two machines' clocks.
        trial: Number of its trial in the ledger.
    """

    host: str
    pid: int
    device: str
    age_seconds: float
    cell: int
    seed: int
    trial: int


class SweepShown(SweepEvent, frozen=True, kw_only=True, tag="sweep"):
    """A sweep as it stands.

    Attributes:
        state: `finished` when nothing is left to run; `stopped` if it was asked to; `running` while a worker
            has a trial; else `waiting`.
        trials: Runs that are planned; of a search by minutes, those that were begun.
        done: Runs that are finished.
        seconds_left: Expected, with the workers that there are; None before the first run has ended.
        best: The cell with the highest mean cosine; None before the first.
        frontier: The fastest first.
        take: The fastest of it whose error is at most twice the lowest, or 0.005; None before the first.
        baselines: 1 - cosine of each rung of the ladder on the test queries of a run of the best cell; empty
            where that run is not on this machine.
    """

    name: str
    state: str
    database: str
    search: str
    axes: dict[str, tuple[Value, ...]]
    trials: int
    done: int
    seconds_left: float | None
    cells: tuple[CellShown, ...]
    merged_axes: tuple[MergedAxis, ...]
    left_out: tuple[str, ...]
    best: CellShown | None
    frontier: tuple[FrontierPoint, ...]
    take: FrontierPoint | None
    workers: tuple[WorkerShown, ...]
    baselines: dict[str, float] = {}


class SweepFinished(SweepShown, frozen=True, kw_only=True, tag="finished"):
    """A sweep as its end, or a signal, left it."""
