"""Is this an `lda.db` at all? Asked before anything heavy is loaded."""

from __future__ import annotations

import os

from distill_core.database.connection import ReadOnlyConnection
from distill_core.database.schema import Tables
from distill_core.database.sqlite_file import absolute_path


def check_database(path: str | os.PathLike[str]) -> None:
    """Check that a file is SQLite with the tables of the published schema; vectors are not looked at.

    Raises:
        DatabaseError: It is not, or cannot be read.
    """
    connection = ReadOnlyConnection(absolute_path(path))
    try:
        Tables(connection)
    finally:
        connection.close()
