"""The room that a chart's plot takes, and the axes and names around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from distill_tui.charts.axes import Tick
from distill_tui.charts.braille import Picture, Role

GUTTER = 7
"""Cells left of the plot where there is room: charts above each other start in one column."""
ROOMY_WIDTH, NAMES_WIDTH, GUTTER_WIDTH = 40, 30, 16
"""From which widths on a chart has this gutter, the names of its axis and baselines, and a y axis at all."""
ROOMY_HEIGHT = 10
"""From here on the x axis has a line of its own."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of the axes."""

    vertical: str
    horizontal: str
    corner: str
    y_tick: str
    x_tick: str
    ellipsis: str


UNICODE = Glyphs("│", "─", "└", "┤", "┬", "…")
ASCII = Glyphs("|", "-", "+", "+", "+", ".")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the plot lies in a picture, in cells."""

    left: int
    top: int
    width: int
    height: int
    right_margin: int
    bottom_margin: int


def plot_rows(height: int) -> tuple[int, int, int]:
    """Split a height into rows for the title, the plot and the x axis."""
    title = 1 if height > 1 else 0
    bottom = 2 if height >= ROOMY_HEIGHT else 1 if height > 3 else 0
    return title, max(height - title - bottom, 0), bottom


def fit_frame(width: int, height: int, y_labels: Sequence[str], x_name: str, names: Sequence[str]) -> Frame:
    """Return the frame for a picture of this size, with labels left, a name below them and names right."""
    top, rows, bottom = plot_rows(height)
    left = right = 0
    if width >= GUTTER_WIDTH:
        left = max((len(label) for label in y_labels), default=0) + 1
    if width >= NAMES_WIDTH:
        left = max(left, len(x_name) + 1, GUTTER if width >= ROOMY_WIDTH else 0)
        right = min(max((len(name) + 1 for name in names), default=0), width // 3)
    return Frame(left, top, max(width - left - right, 0), rows, right, bottom)


def draw_y_axis(picture: Picture, frame: Frame, ticks: Sequence[Tick], glyphs: Glyphs) -> None:
    """Write the labels of the y axis and its line, left of the plot."""
    if not frame.left:
        return
    line = frame.left - 1
    picture.write_down(line, frame.top, frame.top + frame.height, glyphs.vertical, Role.AXIS)
    for tick in ticks:
        row = frame.top + round_to_cell(1 - tick.fraction, frame.height)
        picture.write(line - len(tick.label), row, tick.label + glyphs.y_tick, Role.AXIS)


def draw_x_axis(picture: Picture, frame: Frame, ticks: Sequence[Tick], name: str, glyphs: Glyphs) -> None:
    """Write the labels of the x axis below the plot, its line where there is room, and its name."""
    if not frame.bottom_margin or not frame.width:
        return
    columns = [frame.left + round_to_cell(tick.fraction, frame.width) for tick in ticks]
    if frame.bottom_margin > 1:
        row = frame.top + frame.height
        picture.write(frame.left - 1, row, glyphs.corner + glyphs.horizontal * frame.width, Role.AXIS)
        for column in columns:
            picture.write(column, row, glyphs.x_tick, Role.AXIS)
    row, free_from = picture.height - 1, 0
    if len(name) < frame.left:
        picture.write(0, row, name, Role.AXIS)
        free_from = len(name) + 1
    for column, tick in zip(columns, ticks, strict=True):
        start = min(column - len(tick.label) // 2, picture.width - len(tick.label))
        if start >= free_from:
            picture.write(start, row, tick.label, Role.AXIS)
            free_from = start + len(tick.label) + 1


class LineName(NamedTuple):
    """What is written beside a line across: its row from the plot's top, its name and its value."""

    row: int
    name: str
    value: str

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.name} {self.value}"

    def fitted(self, room: int, ellipsis: str) -> str:
        """Return the text in at most `room` cells; the name gives way, then the value."""
        if len(self.text) <= room:
            return self.text
        for_name = room - len(self.value) - 1 - len(ellipsis)
        if for_name > 0:
            return f"{self.name[:for_name]}{ellipsis} {self.value}"
        return self.name[: room - len(ellipsis)] + ellipsis


def draw_names(picture: Picture, frame: Frame, names: Sequence[LineName], glyphs: Glyphs) -> None:
    """Write names right of the plot, the highest first, beside their lines, as many as have room."""
    room = frame.right_margin - 1
    if room < 1:
        return
    for row, name in spread(names, frame.height):
        text = name.fitted(room, glyphs.ellipsis)
        picture.write(picture.width - room, frame.top + row, text, Role.BASELINE)


def spread(names: Sequence[LineName], height: int) -> list[tuple[int, LineName]]:
    """Give names rows of their own, each within one of its line's; leave out those that find none.

    Args:
        names: By row, ascending.
        height: Rows that there are.
    """
    placed: list[tuple[int, LineName]] = []
    for name in names:  # as far up as can be: so the most find a place
        free = max(placed[-1][0] + 1 if placed else 0, name.row - 1)
        if free <= min(name.row + 1, height - 1):
            placed.append((free, name))
    below = height
    for index in reversed(range(len(placed))):  # and down again, to where their lines are
        free, name = placed[index]
        below = max(free, min(name.row, below - 1))
        placed[index] = below, name
    return placed


def round_to_cell(fraction: float, cells: int) -> int:
    """Return the cell, counted from 0, in which a fraction of a row or column of `cells` lies."""
    return min(int(fraction * cells), cells - 1)


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
