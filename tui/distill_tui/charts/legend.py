"""The first row of a chart: its title, what the lines are, their last values, and what is not shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distill_tui.charts.picture import Role

Piece = tuple[str, Role]
BRIEF_NAME = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the chart: how it looks, its name and its last value."""

    marker: str
    name: str
    value: str
    role: Role


def fit_legend(title: str, entries: Sequence[Entry], notes: Sequence[str], width: int) -> list[Piece]:
    """Return the fullest legend that fits into `width` cells; at the least a cut title."""
    for pieces in _fullest_first(title, entries, notes):
        if sum(len(text) for text, _ in pieces) <= width:
            return pieces
    return [(title[:width], Role.TITLE)]


def _fullest_first(title: str, entries: Sequence[Entry], notes: Sequence[str]) -> Iterator[list[Piece]]:
    full = [(f"  {e.marker} {e.name} {e.value}", e.role) for e in entries]
    brief = [(f" {e.marker}{e.name[:BRIEF_NAME]} {e.value}", e.role) for e in entries]
    short = [(f" {e.marker}{e.value}", e.role) for e in entries]
    asides = [(f"  {note}", Role.AXIS) for note in notes]
    for lines in (full, brief, short):
        for shown in range(len(asides), -1, -1):
            yield [(title, Role.TITLE), *lines, *asides[:shown]]
    yield [(title, Role.TITLE), *short[-1:]]
