"""One process at a time trains a run: each begins an attempt, and only the last attempt may write.

The system's lock keeps others out where it works. Where it does not, or does not reach another machine, the
number of the attempt does: its file can be made once only, and whoever finds a higher one writes no more.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from distill_core.errors import BusyError, RunError, TakenOverError
from distill_core.runs import liveness
from distill_core.runs.atomic_files import reason, remove_unfinished, sync_folder, writing_error
from distill_core.runs.liveness import Wait
from distill_core.runs.records import Attempt, RunState, read_record, write_record

_WRITTEN_BY_THE_OWNER = ("config.toml", "state.json", "data.json", "evaluation.json", "metrics.jsonl")
_TRIES = 3
"""Of the system's lock: who looks at a run may hold it for an instant."""


_held: set[tuple[Path, int]] = set()
"""The attempts that this process holds: of its own it need not ask the system whether they go on."""


class RunLock:
    """A run that is this process's to train, until it is released or taken over.

    Attributes:
        attempt: Its record, as it was written last.
        notes: What the user should know of how it was got.
    """

    def __init__(self, run: Path, attempt: Attempt, descriptor: int, notes: tuple[str, ...]) -> None:
        self._run = run
        self._descriptor: int | None = descriptor
        self.attempt = attempt
        self.notes = notes
        _held.add((run, attempt.number))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def check(self) -> None:
        """Make sure that the run is still this attempt's; also after it was released.

        Two signs, as a network file system may show one of them late.

        Raises:
            TakenOverError: A later attempt has begun.
        """
        later = self.attempt.number + 1
        if os.path.lexists(attempt_file(self._run, later)) or _number_in_state(self._run) >= later:
            owner = last_attempt(self._run)
            raise TakenOverError(
                f"{self._run.name} was taken over by {owner or 'another process'}: this one has stopped and "
                "writes nothing more.",
                "What it saved before is kept; 'distill-tui attach' shows how the run goes on.",
            )

    def record(self, **values: object) -> None:
        """Change what the attempt's record says.

        Raises:
            RunError: It cannot be written.
        """
        self.attempt = msgspec.structs.replace(self.attempt, **values)
        write_record(attempt_file(self._run, self.attempt.number), self.attempt)

    def release(self) -> None:
        """Let others train the run; again is no error."""
        if self._descriptor is None:
            return
        try:
            with contextlib.suppress(RunError):  # the folder may be gone; then nobody asks
                self.record(ended=True)
        finally:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard((self._run, self.attempt.number))


def acquire(run: Path, *, take_over: bool = False, wait: Wait = time.sleep) -> RunLock:
    """Begin an attempt at a run.

    Args:
        run: Its folder.
        take_over: Whether a lock that is held by something that does not move is passed over.
        wait: Waits some seconds between two looks at a process that cannot be looked up.

    Raises:
        BusyError: The run is being trained.
        RunError: Its folder is gone or cannot be written.
    """
    try:
        descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise writing_error(run / "lock", error) from error
    try:
        is_free, notes = _lock(descriptor, run, wait)
        if not is_free and not take_over:
            raise _already_trained(run)
        while True:
            before = last_attempt(run)
            notes += _require_left(run, before, is_free=is_free, wait=wait)
            attempt = _begin(run, before.number + 1 if before else 1)
            if attempt is not None:
                break
        _stop_unfinished_writes(run)
        if take_over and not notes:
            notes = (f"Nobody trained {run.name}: it goes on as without --take-over.",)
    except BaseException:
        os.close(descriptor)
        raise
    return RunLock(run, attempt, descriptor, notes)


def attempt_file(run: Path, number: int) -> Path:
    """Return the file of an attempt; it is made when the attempt begins, and never removed."""
    return run / "attempts" / f"{number}.json"


def attempts(run: Path) -> Iterator[Attempt]:
    """Yield the attempts at a run, the first one first; one whose record is damaged has its number only."""
    yield from (_read(run, number) for number in sorted(_numbers(run)))


def last_attempt(run: Path) -> Attempt | None:
    """Return who may write a run, or could last; None where nobody ever did."""
    if numbers := _numbers(run):
        return _read(run, max(numbers))
    with contextlib.suppress(RunError):  # a run of an older version, which had no attempts
        state = read_record(run / "state.json", RunState)
        if state.host:
            return Attempt(
                number=0,
                host=state.host,
                pid=state.pid,
                process_start=state.process_start,
                ended=state.state != "running",
            )
    return None


def _numbers(run: Path) -> list[int]:
    try:
        names = [name.removesuffix(".json") for name in os.listdir(run / "attempts")]  # noqa: PTH208
    except OSError:
        return []
    return [int(name) for name in names if name.isdecimal()]


def _read(run: Path, number: int) -> Attempt:
    try:
        return read_record(attempt_file(run, number), Attempt)
    except RunError:
        return Attempt(number=number)


def _lock(descriptor: int, run: Path, wait: Wait) -> tuple[bool, tuple[str, ...]]:
    """Lock an open file; return whether nobody else has, and why that is not known, if it is not."""
    for _ in range(_TRIES):
        try:
            _flock(descriptor)
        except (BlockingIOError, PermissionError):  # which of the two depends on the file system
            wait(0.05)
        except OSError as error:
            return True, (
                f"{run / 'lock'} cannot be locked ({reason(error)}): do not start the run twice at once. "
                "If it happens all the same, only the last one that began writes.",
            )
        else:
            return True, ()
    return False, ()


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _require_left(run: Path, last: Attempt | None, *, is_free: bool, wait: Wait) -> tuple[str, ...]:
    """Return what to say of the attempt before, which has ended or whose process is gone.

    Raises:
        RunError: It goes on.
    """
    is_over = last is None or last.ended
    if is_free and (last is None or is_over or _is_gone(run, last)):
        return ()
    if liveness.moves(run, wait):
        raise _already_trained(run)
    who = "another process" if is_over else str(last)
    held = "" if is_free else ", which still holds the lock,"
    return (
        f"{run.name} was taken over from {who}{held} because nothing in it changed for "
        f"{liveness.SILENT_SECONDS:g} s; should that process go on, it will stop at its next write.",
    )


def _is_gone(run: Path, attempt: Attempt) -> bool:
    """Tell whether it is certain that an attempt's process lives no more, or has let go of it."""
    start = attempt.process_start
    if start and attempt.pid == os.getpid() and start == liveness.process_start(attempt.pid):
        return (run, attempt.number) not in _held
    return liveness.is_alive(attempt.pid, start) is False


def _begin(run: Path, number: int) -> Attempt | None:
    """Begin an attempt; None if another process has just begun the one of this number."""
    pid = os.getpid()
    attempt = Attempt(
        number=number, host=liveness.this_host(), pid=pid, process_start=liveness.process_start(pid)
    )
    file = attempt_file(run, number)
    try:
        file.parent.mkdir(exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        sync_folder(file.parent)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return None
        raise writing_error(file, error) from error
    write_record(file, attempt)
    return attempt


def _stop_unfinished_writes(run: Path) -> None:
    """Remove what the attempts before have written and not yet renamed: they cannot do so any more."""
    remove_unfinished(run / "checkpoints")
    for name in _WRITTEN_BY_THE_OWNER:
        remove_unfinished(run, name)


def _number_in_state(run: Path) -> int:
    try:
        return read_record(run / "state.json", RunState).attempt
    except RunError:
        return 0


def _already_trained(run: Path) -> BusyError:
    last = last_attempt(run)
    by = f" by {last}" if last and not last.ended else ""
    return BusyError(
        f"{run.name} is already being trained{by}.",
        "Attach to it, or wait until it has ended. If its process hangs, 'distill-tui resume --take-over' "
        "goes on from the last checkpoint.",
    )
