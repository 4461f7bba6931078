"""The sign of life of a training process: the time of an empty file, which costs no disk space."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from distill_core.runs.file_errors import writing_error


def beat(file: Path, now: datetime) -> None:
    """Set the file's time to now; makes the file if there is none.

    Raises:
        RunError: The folder is gone or cannot be written.
    """
    now_ns = int(now.timestamp() * 1e9)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.utime(descriptor, ns=(now_ns, now_ns))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise writing_error(file, error) from error


def last_beat(file: Path) -> datetime | None:
    """Return when the heart last beat; None if it never did."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None
