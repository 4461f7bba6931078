"""Names of new runs: when, on which database, and four digits that tell them apart."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

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
