"""One process at a time trains a run; the lock ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from distill_core.errors import RunError
from distill_core.runs.file_errors import reason, writing_error
from distill_core.runs.liveness import TrainingProcess


class RunLock:
    """A run that is this process's to train, until it is released.

    Attributes:
        atomic: Whether the system keeps others out. Some network file systems cannot; then only the number of
            the process that trains does, and two starts at the same instant are not told apart.
        note: Says so in a sentence; empty when atomic.
    """

    def __init__(self, descriptor: int, note: str = "") -> None:
        self._descriptor: int | None = descriptor
        self.note = note
        self.atomic = not note

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others train the run; again is no error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def acquire(file: Path, find_trainer: Callable[[], TrainingProcess | None]) -> RunLock:
    """Lock a run, without waiting.

    On this machine the system's lock has the last word. The record of the process that trains decides where
    another machine trains, or where the file system cannot lock.

    Args:
        file: The lock file in the run's folder.
        find_trainer: Returns the process that says it is training; called once the file is locked.

    Raises:
        RunError: The run is already being trained, or its folder is gone or cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise writing_error(file, error) from error
    try:
        note = _lock(descriptor, file, find_trainer)
        trainer = find_trainer()
        if trainer and (note or trainer.is_elsewhere) and trainer.is_alive:
            raise _already_trained(file, trainer)
    except BaseException:
        os.close(descriptor)
        raise
    return RunLock(descriptor, note)


def _lock(descriptor: int, file: Path, find_trainer: Callable[[], TrainingProcess | None]) -> str:
    """Lock an open file; return why that is not possible here, or an empty text."""
    try:
        _flock(descriptor)
    except (BlockingIOError, PermissionError) as error:  # which of the two depends on the file system
        raise _already_trained(file, find_trainer()) from error
    except OSError as error:
        return f"{file} cannot be locked ({reason(error)}): do not start the run twice at once."
    return ""


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _already_trained(file: Path, trainer: TrainingProcess | None) -> RunError:
    by = f" by {trainer}" if trainer else ""
    return RunError(
        f"{file.parent.name} is already being trained{by}.", "Attach to it, or wait until it has ended."
    )
