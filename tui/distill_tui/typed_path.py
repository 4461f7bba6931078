"""A path as a person types it. Whatever is typed, none of this raises."""

from __future__ import annotations

from pathlib import Path


def typed_path(text: str) -> Path:
    """Return the path, with `~` expanded where it names a home folder."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of this name
        return path


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder; one that cannot be looked at does not count."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Tell whether there is anything; what cannot be looked at does not count."""
    try:
        return path.exists()
    except OSError:
        return False
