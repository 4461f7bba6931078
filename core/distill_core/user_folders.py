"""The user's folders, where there are such: a service and a container may have no home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from platformdirs import PlatformDirs

ENVIRONMENT_VARIABLE = "DISTILL_TUI_CACHE"


def user_folder(kind: Literal["cache", "config", "data", "state"]) -> Path | None:
    """Return the app's folder of a kind, which may not be made yet; None where there is no home directory."""
    try:
        folder = Path(getattr(PlatformDirs("distill-tui", appauthor=False), f"user_{kind}_dir"))
    except (RuntimeError, KeyError):
        return None
    # Older platformdirs return a relative "~/.cache" then, which would be made in the working directory.
    return folder if folder.is_absolute() else None


def cache_folder() -> Path | None:
    """Return where what can be made again is kept to save time: `$DISTILL_TUI_CACHE`, else the user's."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(chosen) if chosen else user_folder("cache")
