"""Whether the process that trains a run still lives, on this machine or another."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAX_SILENCE_SECONDS = 120.0
"""A run of another machine counts as interrupted when its heart has not beaten for longer than this."""

_PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19
"""In `/proc/PID/stat`, counted behind the name of the command, which may hold blanks and brackets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProcess:
    """The process that says it is training a run, and how long it has been silent."""

    host: str
    pid: int
    start: str
    silence_seconds: float

    @property
    def is_alive(self) -> bool:
        """Whether it is still there."""
        return is_alive(self.host, self.pid, self.start, self.silence_seconds)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs on another machine."""
        return self.host != this_host()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def is_alive(host: str, pid: int, start: str, silence_seconds: float) -> bool:
    """Tell whether a process lives.

    Args:
        host: Its machine; on another one than this only the heartbeat tells.
        pid: Its number.
        start: What `process_start` said of it; empty where that was not known.
        silence_seconds: Time since its last heartbeat.
    """
    if host != this_host():
        return silence_seconds <= MAX_SILENCE_SECONDS
    if not _takes_signals(pid) or _is_zombie(pid):
        return False
    now = process_start(pid)
    return not (start and now) or start == now


@cache
def this_host() -> str:
    """Return the name of this machine in the network."""
    return platform.node()


def process_start(pid: int) -> str:
    """Return what tells a process from a later one of the same number: the boot and the tick it began at.

    Empty where the system does not tell.
    """
    fields = _stat_fields(pid)
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{fields[_START_FIELD]}"
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _takes_signals(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_zombie(pid: int) -> bool:
    """Whether it has ended, and its parent has not yet asked how."""
    return _stat_fields(pid)[_STATE_FIELD : _STATE_FIELD + 1] == ["Z"]


def _stat_fields(pid: int) -> list[str]:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()
