"""How long the search for the crossover may take, and how far it may go. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distill_core.errors import SettingsError

DEFAULT_SECONDS = 60.0
DEFAULT_HEADS = 1_048_576


@dataclass(frozen=True, slots=True)
class CrossoverLimits:
    """What the user sets before a search.

    Attributes:
        budget_seconds: The search ends by then, with what it has.
        max_heads: The largest N; None for 1,048,576, or as many as fit in the free memory.
    """

    budget_seconds: float = DEFAULT_SECONDS
    max_heads: int | None = None

    @classmethod
    def parsed(cls, seconds: str, heads: str) -> CrossoverLimits:
        """Read what was typed; digits may be grouped by commas, and an empty field is the default.

        Raises:
            SettingsError: Names the field, `budget_seconds` or `max_heads`.
        """
        return cls(_seconds(seconds.strip()), _heads(heads.replace(",", "").replace("_", "").strip()))


def _seconds(text: str) -> float:
    try:
        seconds = float(text or DEFAULT_SECONDS)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise SettingsError("The time budget is a positive number of seconds.", field="budget_seconds")
    return seconds


def _heads(text: str) -> int | None:
    heads = int(text or DEFAULT_HEADS) if (text or "0").isdecimal() else 0
    if heads < 1:
        raise SettingsError("The largest N is a whole number from 1 on.", field="max_heads")
    return None if heads == DEFAULT_HEADS else heads
