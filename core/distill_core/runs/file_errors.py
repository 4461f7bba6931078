"""What the system says about a file of a run, as one sentence with the way out."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from distill_core.errors import RunError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def writing_error(file: Path, error: OSError) -> RunError:
    """Return the error for a file that could not be written."""
    if error.errno in _FULL:
        return RunError(
            f"{file} was not written: the disk is full.",
            "Free some space and resume; what was saved before is kept.",
        )
    if error.errno in _READ_ONLY:
        return RunError(
            f"{file} was not written: the folder is read-only for this user.",
            "Change its permissions, or choose another folder for the runs.",
        )
    if not file.parent.is_dir():
        return RunError(f"The folder {file.parent} is gone.", "Put it back, or start a new run.")
    return RunError(f"{file} was not written: {reason(error)}.", "Check the disk and the folder.")


def reading_error(file: Path, error: OSError) -> RunError:
    """Return the error for a file that could not be read."""
    if isinstance(error, FileNotFoundError):
        return RunError(f"{file} is missing.", "Check the path, or restore the file from a copy.")
    return RunError(f"{file} cannot be read: {reason(error)}.", "Check the disk and the permissions.")


def reason(error: OSError) -> str:
    """Return the system's own words for an error, without its number and path."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


def read_content(file: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        RunError: The file is missing or cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise reading_error(file, error) from error
