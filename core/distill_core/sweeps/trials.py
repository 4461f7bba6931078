"""What the ledger of a sweep knows of a trial, of its worker, and of what came of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from distill_core.runs import liveness

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TrialState = Literal["waiting", "running", "finished", "ended early", "failed", "dropped", "lost"]
"""`lost` is followed by another trial; the others are what they say."""

DOUBLE = "double"
"""Why a trial was taken out that two processes had added for the same loss."""


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A process that works at a sweep."""

    host: str
    pid: int
    process_start: str = ""
    device: str = ""

    @classmethod
    def here(cls, device: str = "") -> WorkerRecord:
        """Return this process."""
        pid = os.getpid()
        start = liveness.process_start(pid)
        return cls(host=liveness.this_host(), pid=pid, process_start=start, device=device)


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished run is worth.

    Attributes:
        cosine: Mean over the test queries.
        skill: 1 is the teacher, 0 a constant; None where a constant is perfect.
        agreement: Share of the teacher's ten nearest answers that the student finds, too.
        p90_us: 90th percentile of one query at a time, None where it was not measured.
        lda_p90_us: The teacher's, likewise, on the same machine.
        parameters: Of the student.
        size_bytes: Of its weights on disk.
        train_seconds: Without pauses.
        machine: What the latency was measured on, in words; latencies of two machines are not compared.
    """

    cosine: float
    skill: float | None = None
    agreement: float | None = None
    p90_us: float | None = None
    lda_p90_us: float | None = None
    parameters: int = 0
    size_bytes: int = 0
    train_seconds: float = 0.0
    machine: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One going at a cell and a seed.

    Attributes:
        number: In the ledger.
        settings: What a search chose; empty in a grid, whose cells say it.
        chosen: The same by the names of the sampler's parameters.
        worker: Who has it, or had it.
        run: Folder of the run.
        attempt: Number of the attempt at the run.
        beat: Seconds since 1970 of the last sign of life, by the clock of the worker.
        why: Why it failed, was dropped or ended early, in words.
    """

    number: int
    cell: int
    seed: int
    state: TrialState
    settings: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    worker: WorkerRecord | None = None
    run: str = ""
    attempt: int = 0
    beat: float = 0.0
    why: str = ""
    result: TrialResult | None = None

    @property
    def is_open(self) -> bool:
        """Whether it, or one that follows it, is still to end."""
        return self.state in ("waiting", "running", "lost")


def current(trials: Sequence[Trial]) -> dict[tuple[int, int], Trial]:
    """Return the trial that counts of each cell and seed: the first that was not lost, else the last."""
    counting: dict[tuple[int, int], Trial] = {}
    for trial in trials:
        if trial.why == DOUBLE:
            continue
        before = counting.get((trial.cell, trial.seed))
        if before is None or before.state in ("lost", "failed", "dropped"):
            counting[trial.cell, trial.seed] = trial
    return counting


def trial_of(frozen: FrozenTrial) -> Trial:
    """Return what the ledger says in a trial of Optuna; one that failed by other hands counts as lost."""
    attributes = frozen.user_attrs
    shown = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "finished", "PRUNED": "ended early"}
    end = {"state": "lost", **attributes.get("end", {})} if frozen.state.is_finished() else {}
    known = {name: attributes[name] for name in Trial.__struct_fields__ if name in attributes}
    known = (
        attributes.get("claimed", {}) | known | attributes.get("begun", {})
    )  # each written after the one before
    told = {"cell": frozen.number, "seed": 0, **known, **end, "number": frozen.number}
    return msgspec.convert(told | {"state": shown.get(frozen.state.name, end.get("state"))}, Trial)
