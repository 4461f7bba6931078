"""What the files of a run hold, apart from settings, metrics and checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from distill_core.latency.events import MachineRecord
from distill_core.training.events import Assessed, RunFinished, TestEvaluated

RecordedState = Literal["running", "stopped", "finished", "failed"]
"""What a run's own process writes."""

ShownState = Literal["running", "stopped", "finished", "failed", "interrupted", "unknown"]
"""What others see: `interrupted` says running, but its process is gone; `unknown` cannot be read."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, and which process wrote so. In `state.json`.

    Attributes:
        started: When the run was made.
        updated: When this was written.
        error: Why the run failed; empty otherwise.
        host: Name of the machine; empty before the first training.
        pid: Number of the process there; 0 likewise.
        process_start: Tells the process from all others; empty where it is not known.
        attempt: Number of the attempt that wrote so; 0 where none had begun.
    """

    state: RecordedState
    started: Moment
    updated: Moment
    error: str = ""
    host: str = ""
    pid: int = 0
    process_start: str = ""
    attempt: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One process's going at a run, from its beginning or from a checkpoint on. In `attempts/NUMBER.json`.

    Attributes:
        number: 1 for the first; the highest one may write the run.
        host: Name of the machine.
        pid: Number of the process there.
        process_start: Tells the process from all others; empty where it is not known.
        ended: Whether the process has let go of the run; one that was killed never says so.
        database: Where the database was read; empty before that.
        device: What it trained on; empty likewise.
        machine: What decides on the bits, with threads; None likewise.
        packages: Versions by name.
        notes: What was told to the user, a sentence each.
    """

    number: int
    host: str = ""
    pid: int = 0
    process_start: str = ""
    ended: bool = False
    database: str = ""
    device: str = ""
    machine: MachineRecord | None = None
    packages: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"


class DataRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is trained on, so that it can be repeated and compared. In `data.json`.

    Attributes:
        database_sha256: Of the bytes of the `lda.db`, in hexadecimal.
        vectors_sha256: Of centroids, answers and queries; empty in what an older version wrote.
        content_sha256: Of all that the run reads, which is what a resume compares; see `content_sha256` of
            `teacher_data`. Empty in what an older version wrote.
        mh_id: Number of the projection.
        temperature: The teacher's τ.
        train: Row numbers of the queries of the training part, ascending.
        validation: Likewise.
        test: Likewise.
        packages: Versions by name.
    """

    database_sha256: str
    vectors_sha256: str = ""
    content_sha256: str = ""
    mh_id: int
    temperature: float
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    packages: dict[str, str] = {}


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the trained student does. In `evaluation.json`.

    Attributes:
        finished: The figures in short.
        tested: The test queries one by one; runs are compared on those that they share.
        assessed: With intervals, beside the baselines.
    """

    finished: RunFinished
    tested: TestEvaluated | None = None
    assessed: Assessed | None = None


class RunNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a run. In `notes.json`.

    Attributes:
        name: Shown in place of the folder's name; may be empty.
        pinned: Whether this is the baseline that others are compared with.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    annotation: str = ""
    pinned: bool = False
