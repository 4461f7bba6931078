"""Where what can be made again is kept, to save time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

ENVIRONMENT_VARIABLE = "DISTILL_TUI_CACHE"


def cache_folder() -> Path | None:
    """Return `$DISTILL_TUI_CACHE`, else the user's cache directory; None where there is no home."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = Path(chosen or platformdirs.user_cache_dir("distill-tui", appauthor=False))
    # Without a home directory the default is a relative "~/.cache", made in the working directory.
    return folder if chosen or folder.is_absolute() else None
