"""Which database to open: the bundled demo, or a file that is checked to be an `lda.db` at all."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from distill_core.database.connection import ReadOnlyConnection, absolute_path
from distill_core.database.schema import Tables
from distill_core.errors import DatabaseError


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


def demo_database_path() -> Path:
    """Return the path of the bundled demo database.

    Raises:
        DatabaseError: It is not there.
    """
    path = Path(str(resources.files("distill_core.database") / "demo_data" / "lda.db"))
    if not path.is_file():
        raise DatabaseError(f"The bundled demo database {path} is missing.", "Install distill-tui again.")
    return path
