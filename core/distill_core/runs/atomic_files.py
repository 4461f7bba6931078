"""Files that appear whole or not at all and survive a power cut, and what the system says when it fails."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
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


_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""What file systems answer that cannot, or need not, write a folder out."""


Check = Callable[[], None]
"""Raises if this process may no longer write."""


def write_atomically(file: Path, content: bytes, check: Check | None = None) -> None:
    """Write a file under a temporary name beside it, sync it, and rename it.

    Whatever fails, and whenever the process dies, the file holds what it held before, or all of `content`.

    Args:
        file: The file.
        content: All of it.
        check: Is asked between writing and renaming. Whoever takes the right to write away removes what is
            `remove_unfinished` afterwards, so that no rename follows even if this process slept in between.

    Raises:
        RunError: The disk is full, the folder is read-only or gone, or the disk failed.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            _write_new(temporary, content)
            if check is not None:
                check()
            temporary.replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(file.parent)
    except OSError as error:
        if check is not None:
            check()
        raise writing_error(file, error) from error


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: one call of the system may take only some of them.

    Raises:
        OSError: As the system says; some of the bytes may be written.
    """
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, so that a new or renamed file is found after a power cut.

    Raises:
        OSError: The disk failed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def remove_unfinished(folder: Path, name: str = "*") -> None:
    """Remove what others left half written of a file, or of all files of a folder: it stays unwritten."""
    with contextlib.suppress(OSError):
        for temporary in folder.glob(f".{name}.*.tmp"):
            temporary.unlink(missing_ok=True)


def _write_new(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
