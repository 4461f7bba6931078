"""The folder of one run: where each of its files is, and what is read from and written to them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import RunError
from distill_core.latency.crossover import CrossoverFinished
from distill_core.latency.events import ContestantsFinished, LatencyFinished
from distill_core.runs import liveness, lock
from distill_core.runs.atomic_files import write_atomically
from distill_core.runs.liveness import Wait
from distill_core.runs.metrics import (
    MetricsChunk,
    MetricsFollower,
    MetricsWriter,
    cut_metrics,
    read_metrics,
)
from distill_core.runs.new_folder import (
    Clock,
    create_folder,
    create_folder_called,
    run_id,
    run_prefix,
    utc_now,
)
from distill_core.runs.records import (
    Attempt,
    DataRecord,
    EvaluationRecord,
    RecordedState,
    RunNotes,
    RunState,
    ShownState,
    damaged,
    read_config,
    read_optional_record,
    read_record,
    write_config,
    write_record,
)

Result = TypeVar("Result", bound=msgspec.Struct)

_TELLING = ("config.toml", "state.json", "metrics.jsonl")
"""A folder with one of these is a run, however damaged."""


_watch = liveness.Watch()
"""One for the process: any object of a run may be the one that is asked next."""


def is_run(path: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is that of a run."""
    return any(os.path.lexists(Path(path, name)) for name in _TELLING)


class RunFolder:
    """One run on disk. Any number of processes may read it; the one that holds its lock trains it.

    From `lock` on, what a training writes is written only while the run is not taken over by another process;
    otherwise a `TakenOverError` is raised.

    Every method that reads or writes raises a `RunError` with one sentence when a file is missing or damaged,
    the folder is gone or read-only, or the disk is full. What is written is on the disk itself afterwards.

    Args:
        path: The folder; made absolute.
        clock: Tells the time.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock = utc_now) -> None:
        self.path = absolute(path)
        self._clock = clock
        self._lock: lock.RunLock | None = None

    @classmethod
    def create(
        cls, root: str | os.PathLike[str], config: RunConfig, clock: Clock = utc_now, *, name: str = ""
    ) -> Self:
        """Make the folder of a new run, which waits to be trained; it appears whole or not at all.

        With a `name` that is the folder's, and the run that has it already is returned.
        """
        now = clock()

        def fill(path: Path) -> None:
            draft = cls(path, clock)
            draft.checkpoints.mkdir()
            draft.write_config(config)
            draft.write_state(RunState(state="stopped", started=now, updated=now))

        if name:
            return cls(create_folder_called(absolute(root) / name, fill), clock)
        return cls(create_folder(absolute(root), run_prefix(now, config.data.database), fill), clock)

    @classmethod
    def open(cls, path: str | os.PathLike[str], clock: Clock = utc_now) -> Self:
        """Return the run in a folder; raises if there is none. Its files may still be damaged."""
        run = cls(path, clock)
        if not is_run(run.path):
            raise RunError(f"There is no run in {run.path}.", "List the runs, or check the path.")
        return run

    @property
    def name(self) -> str:
        """The folder's name, which never changes; the name that the user gave is in the notes."""
        return self.path.name

    @property
    def id(self) -> str:
        """The digits by which its name differs from others."""
        return run_id(self.name)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The file with everything to go on from."""
        return self.checkpoints / "last.safetensors"

    @property
    def best_checkpoint(self) -> Path:
        """The file with the best weights."""
        return self.checkpoints / "best.safetensors"

    @property
    def metrics_path(self) -> Path:
        """The file of the metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def log_path(self) -> Path:
        """The file for the messages of the training process."""
        return self.path / "log.txt"

    @property
    def data_path(self) -> Path:
        """The file about what the run is trained on."""
        return self.path / "data.json"

    @property
    def evaluation_path(self) -> Path:
        """The file about how the student does."""
        return self.path / "evaluation.json"

    def read_config(self) -> RunConfig:
        """Return the settings."""
        return read_config(self.path / "config.toml")

    def write_config(self, config: RunConfig) -> None:
        """Write the settings."""
        write_config(self.path / "config.toml", config, self.check)

    def read_data(self) -> DataRecord | None:
        """Return what the run is trained on; None before the data was first loaded."""
        return read_optional_record(self.data_path, DataRecord)

    def write_data(self, data: DataRecord) -> None:
        """Write what the run is trained on."""
        write_record(self.data_path, data, self.check)

    def read_notes(self) -> RunNotes:
        """Return what the user says about the run; empty notes if nothing."""
        return read_optional_record(self.path / "notes.json", RunNotes) or RunNotes()

    def write_notes(self, notes: RunNotes) -> None:
        """Write what the user says about the run."""
        write_record(self.path / "notes.json", notes)

    def read_evaluation(self) -> EvaluationRecord | None:
        """Return how the student does; None before it was judged."""
        record = read_optional_record(self.evaluation_path, EvaluationRecord)
        tested = record.tested if record else None
        if tested is not None and len(tested.question_ids) != len(tested.cosines):
            raise damaged(self.evaluation_path, ValueError("not every test query has a cosine"))
        return record

    def write_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Write how the student does."""
        write_record(self.evaluation_path, evaluation, self.check)

    def read_latency(self) -> LatencyFinished | None:
        """Return the latency beside the teacher's; None before it was measured."""
        return self.read_result("latency", LatencyFinished)

    def read_crossover(self) -> CrossoverFinished | None:
        """Return from how many heads on the student is faster; None before it was measured."""
        return self.read_result("crossover", CrossoverFinished)

    def read_contestants(self) -> ContestantsFinished | None:
        """Return every contestant's figures; None before they were measured."""
        return self.read_result("contestants", ContestantsFinished)

    def read_result(self, measurement: str, kind: type[Result]) -> Result | None:
        """Return the result of a measurement; None before it was measured.

        Args:
            measurement: Its name, such as "latency".
            kind: Of the result.
        """
        return read_optional_record(self.result_path(measurement), kind)

    def write_result(self, measurement: str, result: msgspec.Struct, samples: bytes = b"") -> None:
        """Write the result of a measurement, whatever is there; `keep` looks at that first.

        Args:
            measurement: Its name, such as "latency".
            result: Its result.
            samples: Its raw samples as `distill_core.latency.samples_bytes` makes them; empty for none.
        """
        write_record(self.result_path(measurement), result)
        if samples:
            write_atomically(self.path / f"{measurement}_samples.npz", samples)

    def result_path(self, measurement: str) -> Path:
        """Return the file of a measurement's result."""
        return self.path / f"{measurement}.json"

    def read_state(self) -> RunState:
        """Return what the run's process wrote last; `shown_state` tells whether that still holds."""
        return read_record(self.path / "state.json", RunState)

    @property
    def is_finished(self) -> bool:
        """Whether the run says that it is finished; one whose state cannot be read is not."""
        state = self._readable_state()
        return state is not None and state.state == "finished"

    @property
    def is_stopped(self) -> bool:
        """Whether the run says that it waits to be trained, or to be gone on with."""
        state = self._readable_state()
        return state is not None and state.state == "stopped"

    def write_state(self, state: RunState) -> None:
        """Write a state as it is; a training process calls `mark`."""
        write_record(self.path / "state.json", state, self.check)

    def mark(self, state: RecordedState, error: str = "") -> RunState:
        """Write, and return, how far the run is, in the name of this process.

        Args:
            state: From now on.
            error: Why the run failed.
        """
        now = self._clock()
        before = self._readable_state()
        written = RunState(
            state=state,
            started=before.started if before else now,
            updated=now,
            error=error,
            host=liveness.this_host(),
            pid=os.getpid(),
            process_start=liveness.process_start(os.getpid()),
            attempt=self._lock.attempt.number if self._lock else before.attempt if before else 0,
        )
        self.write_state(written)
        return written

    def beat(self) -> None:
        """Show that this process is still training; call it every second."""
        liveness.beat(self.path)

    def shown_state(self) -> ShownState:
        """Return the state, `interrupted` in place of `running` once the process is gone."""
        return self.shown(self.read_state())

    def shown(self, state: RunState) -> ShownState:
        """Return what a state that was read before shows as by now.

        A process that cannot be looked up from here counts as gone once this process has watched the run for
        some seconds, over several calls, and nothing in it changed.
        """
        if state.state != "running":
            return state.state
        return "interrupted" if self._moves(state) is False else "running"

    def is_unsettled(self, state: RunState) -> bool:
        """Tell whether a run that says it is running was not yet watched for long enough to say more."""
        return state.state == "running" and self._moves(state) is None

    def _moves(self, state: RunState) -> bool | None:
        alive = liveness.is_alive(state.pid, state.process_start)
        return _watch.look(self.path) if alive is None else alive

    def lock(self, *, take_over: bool = False, wait: Wait = time.sleep) -> lock.RunLock:
        """Lock the run for this process to train, and tidy up after one that was killed.

        Args:
            take_over: Whether to pass over a lock whose holder does not move.
            wait: Waits some seconds, while a process that cannot be looked up is watched.

        Raises:
            RunError: The run is already being trained, or its folder is gone or cannot be written.
        """
        self._lock = lock.acquire(self.path, take_over=take_over, wait=wait)
        return self._lock

    def check(self) -> None:
        """Make sure that no other process has taken over the run since `lock`; passes before it.

        Raises:
            TakenOverError: One has.
        """
        if self._lock is not None:
            self._lock.check()

    @property
    def is_ours(self) -> bool:
        """Whether this object has locked the run."""
        return self._lock is not None

    def attempts(self) -> tuple[Attempt, ...]:
        """Return all goings at the run, the first one first; none where an older version trained it."""
        return tuple(lock.attempts(self.path))

    def open_metrics(self) -> MetricsWriter:
        """Open the metrics to append to; hold the lock."""
        return MetricsWriter(self.metrics_path, self.check)

    def read_metrics(self, offset_bytes: int = 0) -> MetricsChunk:
        """Return the complete lines from an offset on."""
        return read_metrics(self.metrics_path, offset_bytes)

    def follow_metrics(self) -> MetricsFollower:
        """Return a reader that tells with each `poll` what was added."""
        return MetricsFollower(self.metrics_path)

    def cut_metrics(self, offset_bytes: int, epochs: int) -> str:
        """Cut the metrics back to a checkpoint; return what is wrong with them, in a sentence."""
        return cut_metrics(self.metrics_path, offset_bytes, epochs, self.check)

    def _readable_state(self) -> RunState | None:
        with contextlib.suppress(RunError):
            return self.read_state()
        return None


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path that stays right when the working directory changes; links are not followed.

    Raises:
        RunError: It begins with the home directory of somebody who has none.
    """
    try:
        return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - `resolve` follows links
    except (RuntimeError, KeyError) as error:
        raise RunError(
            f"{os.fspath(path)} cannot be found: there is no such home directory.", "Write the path in full."
        ) from error
