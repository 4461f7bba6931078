"""What a path must be before SQLite sees it, with one clear error for each way it can fail."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from distill_core.errors import DatabaseError

_MAGIC = b"SQLite format 3\x00"


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """Return the path made absolute, with `~` expanded; links stay as they are.

    Raises:
        DatabaseError: There is no such user, or the working directory is gone.
    """
    try:
        return Path(path).expanduser().absolute()
    except (OSError, RuntimeError) as error:
        raise DatabaseError(
            f"The path {os.fspath(path)!r} cannot be resolved: {str(error).rstrip('.')}."
        ) from error


def check_is_sqlite(path: Path) -> None:
    """Raise a DatabaseError unless the path is a readable, regular file that begins as SQLite's do."""
    try:
        _check_is_file(path)
        with path.open("rb") as handle:
            start = handle.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise DatabaseError(
            f"There is no file {path}.", "Check the path, or try `distill-tui demo`."
        ) from error
    except PermissionError as error:
        raise DatabaseError(
            f"{path} may not be read: permission denied.", "Ask its owner to let you."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatabaseError(f"{path} cannot be opened: {reason}.", "Check the path.") from error
    if not start:
        raise DatabaseError(f"{path} is an empty file.", "Its making was probably cut short; make it again.")
    if start != _MAGIC:
        raise DatabaseError(
            f"{path} is not an SQLite database.", "Open the lda.db that holds your projections."
        )


def _check_is_file(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        inside = path / "lda.db"
        hint = f"Open {inside}." if inside.is_file() else "Open the lda.db file itself."
        raise DatabaseError(f"{path} is a folder, not a database.", hint)
    if not stat.S_ISREG(mode):
        raise DatabaseError(f"{path} is a device or a pipe, not a database.", "Open an lda.db file.")
