"""Folders of new runs: named by time, filled under a hidden name, then renamed to one that is free."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from distill_core.errors import RunError
from distill_core.runs.atomic_files import sync_folder, writing_error

Clock = Callable[[], datetime]
"""Returns the present time, with its zone."""


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


MAX_SHORT_CHARACTERS = 20

_USUAL_STEM = "lda"
"""Databases that are called as their program calls them are told apart by their folder."""


def run_prefix(created: datetime, database: str) -> str:
    """Return such as `2026-09-14T101203-n18`, in UTC, so that names sort by time."""
    return f"{created.astimezone(UTC):%Y-%m-%dT%H%M%S}-{_short(database)}"


def _short(database: str) -> str:
    path = Path(database)
    name = path.parent.name if path.stem == _USUAL_STEM else path.stem
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:MAX_SHORT_CHARACTERS].strip("-") or "run"


def run_id(folder: str) -> str:
    """Return the digits by which the name of a run's folder differs from others; else all but its time."""
    found = _ID.search(folder)
    return found[1] if found else _TIME.sub("", folder)


_ID = re.compile(r"-([0-9a-f]{4})(?:-\d+)?$")
"""The trash adds a number where it has a folder of this name already."""
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d{6}-(?=.)")
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
    return _make(root, fill, lambda hidden: _rename_to_free(hidden, prefix))


def create_folder_called(path: Path, fill: Callable[[Path], None]) -> Path:
    """Make a folder of a name as `create_folder` does, or leave the one that is there as it is."""

    def rename(hidden: Path) -> Path:
        try:
            return hidden.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            shutil.rmtree(hidden, ignore_errors=True)
            return path

    return path if os.path.lexists(path) else _make(path.parent, fill, rename)


def _make(root: Path, fill: Callable[[Path], None], rename: Callable[[Path], Path]) -> Path:
    hidden = root / f".{secrets.token_hex(8)}.new"
    try:
        root.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        fill(hidden)
        path = rename(hidden)
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
