"""A training that writes itself into a run's folder, and goes on from there after any end."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Self

import torch

from distill_core.config import RunConfig
from distill_core.errors import CheckpointError, DistillError, RunError, TakenOverError, TrainingError
from distill_core.latency.events import LatencyFinished
from distill_core.latency.measurement import COMPLETE
from distill_core.latency.timing.machine import read_machine
from distill_core.runs import liveness
from distill_core.runs.checkpoint_info import CheckpointInfo, read_checkpoint_info
from distill_core.runs.folder import RunFolder
from distill_core.runs.lock import RunLock
from distill_core.runs.metrics import MetricsWriter
from distill_core.runs.provenance import (
    changed,
    database_sha256,
    differing_words,
    locate_database,
    package_versions,
    vectors_sha256,
    what_differs,
)
from distill_core.runs.recording.checkpoint import load_checkpoint, save_checkpoint, save_weights
from distill_core.runs.records import DataRecord, EvaluationRecord
from distill_core.students import student_bytes
from distill_core.teacher_data import TeacherData, content_sha256, load_teacher_data
from distill_core.training.events import (
    Assessed,
    BaselineFitted,
    EpochFinished,
    RunFinished,
    RunNoted,
    RunStarted,
    TestEvaluated,
    TrainEvent,
)
from distill_core.training.loop.session import TrainingSession

CHECKPOINT_SECONDS = 30.0


class RecordedRun:
    """A training session whose settings, metrics, checkpoints and results are in a folder as they come.

    Iterate once. To stop is to close the iterator: everything up to the last event is saved. What was written
    before is never given up: a folder that was killed at any instant goes on from its last checkpoint, and
    ends, on a CPU, in the same weights and figures as if nothing had happened.

    Metrics hold one line for the start, each baseline, each epoch and the end, all of them repeatable but for
    the times in them.

    Args:
        folder: Of a new run, or of one to go on with.
        seconds: A clock that only goes forward; checkpoints are at least 30 s of it apart.
        take_over: Whether to go on with a run whose lock is held by a process that does not move.
        database: Where the database is now, if it has moved; it is searched for otherwise.

    Attributes:
        session: The training itself; there from the first event on.

    Raises:
        RunError: The run is finished, is trained by another process, or its database has changed.
        TakenOverError: Another process has taken over the run; nothing was written since.
    """

    def __init__(
        self,
        folder: RunFolder,
        seconds: Callable[[], float] = time.monotonic,
        *,
        take_over: bool = False,
        database: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder = folder
        self._take_over = take_over
        self._database = database
        self._notes: list[str] = []
        self.session: TrainingSession | None = None
        self._seconds = seconds
        self._saved_at = 0.0
        self._saved_step = -1
        self._resumed = False
        self._tested: TestEvaluated | None = None
        self._assessed: Assessed | None = None

    @classmethod
    def new(cls, root: str, config: RunConfig) -> Self:
        """Make a new run's folder under `root`."""
        return cls(RunFolder.create(root, config))

    def __iter__(self) -> Generator[TrainEvent]:
        if self.folder.is_finished:
            raise RunError(
                f"{self.folder.name} is finished; there is nothing to resume.",
                "Clone its settings into a new run to train longer, or see 'distill-tui runs command'.",
            )
        with self.folder.lock(take_over=self._take_over) as lock, _Heartbeat(self.folder):
            if self.folder.is_stopped:
                self.folder.mark("stopped")  # loading takes seconds, in which others look for the process
            yield from (RunNoted(words=note) for note in lock.notes)
            yield from self._locked(lock)

    def discard_if_empty(self) -> bool:
        """Delete the folder of a run that never began to train; return whether it is gone.

        For a run that this process has just made, whose settings or database turned out to be unusable. One
        that another process trains meanwhile stays.
        """
        if self._has_checkpoint or self.folder.read_metrics().lines or self.folder.read_data() is not None:
            return False
        try:
            with self.folder.lock():
                shutil.rmtree(self.folder.path, ignore_errors=True)
        except RunError:
            return False
        return True

    def conclude(self, measured: LatencyFinished | None = None) -> Iterator[TrainEvent]:
        """Judge the student as it is now, and keep that in the folder; a run that goes on is judged again.

        Args:
            measured: A latency record, which decides on the cost if it is of this student, and sound; the
                one that the run has kept takes the place of one that was broken off, or of none.
        """
        if self.session is None:
            return
        if measured is None or measured.ended != COMPLETE:
            with contextlib.suppress(DistillError):  # a damaged record says nothing
                measured = self.folder.read_latency() or measured
        for event in self.session.conclude(measured):
            match event:
                case TestEvaluated():
                    self._tested = event
                case Assessed():
                    self._assessed = event
                case RunFinished():
                    self._write_evaluation(event)
            yield event

    def _write_evaluation(self, finished: RunFinished) -> None:
        record = EvaluationRecord(finished=finished, tested=self._tested, assessed=self._assessed)
        self.folder.write_evaluation(record)

    def _locked(self, lock: RunLock) -> Iterator[TrainEvent]:
        session = self.session = self._open_session()
        with self.folder.open_metrics() as metrics:
            try:
                yield from self._record(session, metrics, lock)
            except TakenOverError:
                raise  # nothing is this process's to write any more
            except GeneratorExit:
                self._leave(metrics)
                self.folder.mark("stopped")
                raise
            except (torch.OutOfMemoryError, MemoryError) as error:
                failure = TrainingError(
                    f"The memory does not suffice at step {session.progress.step}.",
                    "Take a smaller batch or student, then resume."
                    if self._has_checkpoint
                    else "Take a smaller batch or student.",
                )
                self._fail(metrics, failure)
                raise failure from error
            except TrainingError as error:
                failure = TrainingError(error.message, f"{error.hint} {self._last_good}")
                self._fail(metrics, failure)
                raise failure from error
            except BaseException as error:
                self._fail(metrics, error)
                raise
        self.folder.mark("finished")

    def _open_session(self) -> TrainingSession:
        """Return the session from the last checkpoint on, if there is one, with the metrics cut to it."""
        config, moved = locate_database(self.folder, self._database)
        if not self._has_checkpoint:
            self.folder.cut_metrics(0, 0)
            self._note(moved)
            return TrainingSession(config)
        state, info = load_checkpoint(self.folder.last_checkpoint)
        data = load_teacher_data(config.data, config.split)
        self._require_same_content(config, data)
        self._note(moved, self.folder.cut_metrics(info.metrics_offset_bytes, info.epoch))
        self._resumed, self._saved_step = True, info.step
        return TrainingSession(config, state, data)

    def _require_same_content(self, config: RunConfig, data: TeacherData) -> None:
        """Compare all that the training reads with what was recorded, before anything is changed."""
        recorded = self.folder.read_data()
        if recorded is None:
            return
        difference = what_differs(recorded, data.labelled, config.data.database)
        if not difference and recorded.train != tuple(data.split.train.tolist()):
            difference = "its questions divide into other parts"
        if difference:
            raise changed(config.data.database, self.folder, difference)

    def _note(self, *sentences: str) -> None:
        self._notes += [sentence for sentence in sentences if sentence]

    def _record(
        self, session: TrainingSession, metrics: MetricsWriter, lock: RunLock
    ) -> Iterator[TrainEvent]:
        self._saved_at = self._seconds()
        for event in session:
            if isinstance(event, RunStarted):
                self._start(event, session, metrics, lock)
            self._write(event, metrics)
            yield event
            if isinstance(event, RunStarted):
                yield from (RunNoted(words=note) for note in self._notes)

    def _write(self, event: TrainEvent, metrics: MetricsWriter) -> None:
        match event:
            case BaselineFitted() if not self._resumed:
                metrics.append(event)
            case EpochFinished():
                metrics.append(event)
                self._save_if_due(metrics)
            case TestEvaluated():
                self._tested = event
                self._save(metrics)  # training is over: what may follow is only judging
            case Assessed():
                self._assessed = event
            case RunFinished():
                self._write_evaluation(event)
                metrics.append(event)

    def _start(
        self, event: RunStarted, session: TrainingSession, metrics: MetricsWriter, lock: RunLock
    ) -> None:
        """Write what a new run is made of, and what each attempt is made with."""
        lock.record(
            database=session.config.data.database,
            device=event.device,
            machine=read_machine(torch.device(event.device)),
            packages=package_versions(),
        )
        if self._resumed:
            self._note(differing_words(self.folder.attempts(), self.folder.read_data()))
        lock.record(notes=(*lock.notes, *self._notes))
        self.folder.mark("running")
        if not self._resumed:
            self.folder.write_config(event.config)
            self.folder.write_data(_data_record(session))
            metrics.append(event)

    def _save_if_due(self, metrics: MetricsWriter) -> None:
        if self._seconds() - self._saved_at >= CHECKPOINT_SECONDS:
            self._save(metrics)

    def _save(self, metrics: MetricsWriter) -> None:
        """Save unless there is nothing new, or nothing that is worth it.

        The best weights come first: whoever finds a last checkpoint finds them, too, however this ends.
        """
        session = self.session
        if session is None or session.student is None or session.progress.step == 0 or not session.is_sound:
            return
        step, epoch = session.progress
        check = self.folder.check
        if step != self._saved_step or not self.folder.best_checkpoint.is_file():
            save_weights(self.folder.best_checkpoint, student_bytes(session.student, session.config), check)
        if step == self._saved_step:
            return
        state = session.state_dict()
        assert state is not None
        metrics.sync()
        info = CheckpointInfo(step=step, epoch=epoch, metrics_offset_bytes=metrics.offset_bytes)
        save_checkpoint(self.folder.last_checkpoint, state, info, check)
        self._saved_at, self._saved_step = self._seconds(), step

    def _leave(self, metrics: MetricsWriter) -> None:
        """Save before an end that was asked for."""
        self._save(metrics)

    def _fail(self, metrics: MetricsWriter, error: BaseException) -> None:
        """Save and say why, as far as that is possible; the error itself goes on to the caller."""
        with contextlib.suppress(DistillError):
            if not isinstance(error, TrainingError | RunError | CheckpointError):
                self._save(metrics)
        with contextlib.suppress(
            DistillError
        ):  # taken over meanwhile, perhaps: the error is told all the same
            if isinstance(error, KeyboardInterrupt | SystemExit):
                self.folder.mark("stopped")
            else:
                self.folder.mark("failed", str(error) or type(error).__name__)

    @property
    def _last_good(self) -> str:
        """Where a run whose loss is lost still is sound, in a sentence."""
        if not self._has_checkpoint:
            return "There is no checkpoint from before."
        with contextlib.suppress(CheckpointError):
            info = read_checkpoint_info(self.folder.last_checkpoint)
            return f"The last good checkpoint, of step {info.step}, is kept."
        return ""

    @property
    def _has_checkpoint(self) -> bool:
        return self.folder.last_checkpoint.is_file()


class _Heartbeat:
    """Shows every few seconds, from a thread of its own, that the process is there; also in a pause."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            with contextlib.suppress(RunError):  # what matters fails when it is written
                self._folder.beat()
            if self._over.wait(liveness.BEAT_SECONDS):
                return


def _data_record(session: TrainingSession) -> DataRecord:
    data, config = session.data, session.config
    assert data is not None
    return DataRecord(
        database_sha256=database_sha256(config.data.database),
        vectors_sha256=vectors_sha256(data.labelled),
        content_sha256=content_sha256(data.labelled),
        mh_id=config.data.mh_id,
        temperature=data.teacher.temperature,
        train=tuple(data.split.train.tolist()),
        validation=tuple(data.split.validation.tolist()),
        test=tuple(data.split.test.tolist()),
        packages=package_versions(),
    )
