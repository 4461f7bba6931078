"""Folders of new runs: filled under a hidden name, then renamed to one that is free."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from distill_core.errors import RunError
from distill_core.runs.atomic_files import sync_folder
from distill_core.runs.file_errors import writing_error

_ATTEMPTS = 100
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def create_folder(root: Path, prefix: str, fill: Callable[[Path], None]) -> Path:
    """Make a folder `prefix-xxxx` with four random digits in a folder that is made, too, if need be.

    Args:
        root: Where to make it.
        prefix: The first part of its name.
        fill: Writes its files; until that is done nobody sees the folder.

    Raises:
        RunError: The disk is full, or the folder cannot be written.
    """
    hidden = root / f".{secrets.token_hex(8)}.new"
    try:
        root.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        fill(hidden)
        path = _rename_to_free(hidden, prefix)
        sync_folder(root)
    except BaseException as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if isinstance(error, OSError):
            raise writing_error(hidden, error) from error
        raise
    return path


def _rename_to_free(hidden: Path, prefix: str) -> Path:
    for _ in range(_ATTEMPTS):
        path = hidden.with_name(f"{prefix}-{secrets.token_hex(2)}")
        if os.path.lexists(path):
            continue
        try:
            return hidden.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:  # by another process, just now
                raise
    raise RunError(f"There is no free name for a run in {hidden.parent}.", "Try again in a second.")
