"""Whether the process that trains a run still lives, on this machine or another.

Clocks, host names and process numbers of other machines tell nothing. A process of this boot and this
namespace of process numbers is looked up; any other lives while its run changes as we watch.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from distill_core.runs.atomic_files import writing_error

BEAT_SECONDS = 1.0
"""How often a training process shows that it is there."""

SILENT_SECONDS = 5.0
"""A run that nobody here can look up counts as left when nothing in it changed for so long, as we watched."""

LOOK_SECONDS = 0.2
_SIGNS = ("heartbeat", "state.json", "metrics.jsonl")
_PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19
"""In `/proc/PID/stat`, counted behind the name of the command, which may hold blanks and brackets."""

Wait = Callable[[float], object]
"""Waits some seconds."""

Signs = tuple[tuple[int, int, int], ...]


def beat(run: Path) -> None:
    """Show that this process still trains a run: a change of the time of an empty file, which needs no room.

    Raises:
        RunError: The folder is gone or cannot be written.
    """
    file = run / "heartbeat"
    now_ns = time.time_ns()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.utime(descriptor, ns=(now_ns, now_ns))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise writing_error(file, error) from error


def moves(run: Path, wait: Wait = time.sleep) -> bool:
    """Watch a run for 5 s, less if it moves, and tell whether it did.

    Looks are counted, not timed: a watcher that was suspended meanwhile still looks as often.
    """
    before = _signs(run)
    for _ in range(round(SILENT_SECONDS / LOOK_SECONDS)):
        wait(LOOK_SECONDS)
        if _signs(run) != before:
            return True
    return False


class Watch:
    """What this process has seen of runs that it cannot look up, from one look to the next."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._seen: dict[Path, tuple[Signs, float, bool]] = {}

    def look(self, run: Path) -> bool | None:
        """Tell whether a run moves; None while it was not yet watched for long enough to say."""
        signs, now = _signs(run), self._seconds()
        before, since, has_moved = self._seen.get(run, (signs, now, False))
        if signs != before:
            since, has_moved = now, True
        self._seen[run] = signs, since, has_moved
        if now - since >= SILENT_SECONDS:
            return False
        return True if has_moved else None


def is_alive(pid: int, start: str) -> bool | None:
    """Tell whether a process lives; None where this process cannot look it up.

    Args:
        pid: Its number.
        start: What `process_start` said of it there.
    """
    here, there = _place(process_start(os.getpid())), _place(start)
    if not here or here != there:
        return None
    if _stat_fields(pid)[_STATE_FIELD : _STATE_FIELD + 1] == ["Z"]:
        return False  # it has ended, and its parent has not yet asked how
    return process_start(pid) == start


@cache
def this_host() -> str:
    """Return the name of this machine in the network."""
    return platform.node()


def process_start(pid: int) -> str:
    """Return what tells a process from all others: the boot, the namespace of its number, its first tick.

    Empty where the system does not tell. The tick is read as the kernel counts it: psutil makes a time of the
    day of it, which moves with the clock of the machine.
    """
    try:
        if int((_PROC / "self").readlink().name) != os.getpid():
            return ""  # the numbers in this /proc are those of another namespace
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink().name.strip("pid:[]")
        return f"{boot}:{namespace}:{_stat_fields(pid)[_START_FIELD]}"
    except (OSError, IndexError, ValueError):
        return ""


def _place(start: str) -> str:
    """Return boot and namespace; empty where they are not known, as in runs of older versions."""
    place, _, _ = start.rpartition(":")
    return place if ":" in place else ""


def _signs(run: Path) -> Signs:
    """Return what changes in a run that is trained; files are opened, which shows them fresh over NFS."""
    return tuple(_sign(run / name) for name in _SIGNS)


def _sign(file: Path) -> tuple[int, int, int]:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        return (error.errno or 0, 0, 0)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _stat_fields(pid: int) -> list[str]:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()
