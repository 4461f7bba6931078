"""The database that comes with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from distill_core.errors import DatabaseError


def demo_database_path() -> Path:
    """Return the path of the bundled demo database.

    Raises:
        DatabaseError: It is not there.
    """
    path = Path(str(resources.files("distill_core.database") / "demo_data" / "lda.db"))
    if not path.is_file():
        raise DatabaseError(f"The bundled demo database {path} is missing.", "Install distill-tui again.")
    return path
