"""From points to characters: a line is thinned to its columns, walked in braille dots, put in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from distill_tui.charts.history import FloatArray

SPACE = ord(" ")


class Role(IntEnum):
    """What a cell belongs to; a widget gives each role its style. The series come last."""

    AXIS = 0
    TITLE = 1
    BASELINE = 2
    FAINT = 3
    TRAIN = 4
    VALIDATION = 5
    RUN_1 = 6
    RUN_2 = 7
    RUN_3 = 8
    RUN_4 = 9
    RUN_5 = 10
    RUN_6 = 11


@dataclass(frozen=True, slots=True)
class Span:
    """Cells of one row, from column `start` up to `end`."""

    row: int
    start: int
    end: int


class Picture:
    """A grid of code points and roles, shape (height, width) each."""

    __slots__ = ("glyphs", "roles")

    def __init__(self, width: int, height: int) -> None:
        self.glyphs: npt.NDArray[np.uint32] = np.full((height, width), SPACE, dtype=np.uint32)
        self.roles: npt.NDArray[np.uint8] = np.zeros((height, width), dtype=np.uint8)

    @property
    def width(self) -> int:
        """Cells in a row."""
        return int(self.glyphs.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.glyphs.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in cells."""
        return self.width, self.height

    def write(self, column: int, row: int, text: str, role: Role) -> None:
        """Write `text` from `column` on; what falls outside is cut."""
        if not 0 <= row < self.height:
            return
        codes = _code_points(text)
        start, end = max(column, 0), min(column + codes.size, self.width)
        if start < end:
            self.glyphs[row, start:end] = codes[start - column : end - column]
            self.roles[row, start:end] = role

    def write_down(self, column: int, start: int, end: int, character: str, role: Role) -> None:
        """Write one character into the rows `start` to `end` of a column."""
        self.glyphs[start:end, column] = ord(character)
        self.roles[start:end, column] = role

    def keep_row(self, row: int, previous: Picture) -> bool:
        """Take a row over from `previous`, which must have this size; tell whether that hid a change."""
        differs = bool((self.glyphs[row] != previous.glyphs[row]).any())
        self.glyphs[row], self.roles[row] = previous.glyphs[row], previous.roles[row]
        return differs

    def runs(self, row: int) -> list[tuple[str, Role]]:
        """Return the row as pieces of one role each; blanks join the piece before them."""
        codes = self.glyphs[row]
        last_ink = np.maximum.accumulate(np.where(codes != SPACE, np.arange(self.width), 0))
        roles = self.roles[row][last_ink]
        starts = [0, *(np.flatnonzero(np.diff(roles)) + 1).tolist()]
        text = codes.astype("<u4").tobytes().decode("utf-32-le")
        return [
            (text[start:end], Role(int(roles[start])))
            for start, end in zip(starts, [*starts[1:], self.width], strict=True)
            if start < end
        ]

    def text(self, row: int) -> str:
        """Return the characters of one row."""
        return "".join(piece for piece, _ in self.runs(row))

    def changes(self, previous: Picture) -> list[Span]:
        """Return what differs from `previous`, one span a row; both must have one size."""
        differs = (self.glyphs != previous.glyphs) | (self.roles != previous.roles)
        rows = np.flatnonzero(differs.any(axis=1))
        starts = differs[rows].argmax(axis=1)
        ends = self.width - differs[rows, ::-1].argmax(axis=1)
        return [Span(int(r), int(s), int(e)) for r, s, e in zip(rows, starts, ends, strict=True)]


@lru_cache(maxsize=1024)
def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.array([ord(character) for character in single_cells(text)], dtype=np.uint32)


def single_cells(text: str) -> str:
    """Replace every character that does not take exactly one cell."""
    return "".join(character if cell_len(character) == 1 else "?" for character in text)


IntArray = npt.NDArray[np.int64]

MAX_POINTS_PER_COLUMN = 4
"""First, lowest, highest and last."""


def thin(columns: IntArray, values: FloatArray) -> IntArray:
    """Return the indices of the points that a drawing in columns cannot do without.

    Of every run of points in one column these stay: the first and the last (where the line enters and
    leaves, or where a gap does), the lowest and the highest. A line through them lights the same dots as a
    line through all points (the M4 aggregation of Jugel et al., 2014). A gap inside of one column is
    narrower than a dot and is dropped.

    Args:
        columns: The column of each point, shape (n,), not decreasing.
        values: The values, shape (n,); anything not finite is a gap.
    """
    if not columns.size:
        return np.empty(0, dtype=np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(columns)) + 1))
    ends = np.concatenate((starts[1:], [columns.size])) - 1
    keep = np.zeros(columns.size, dtype=np.bool_)
    keep[starts] = keep[ends] = True
    finite = np.isfinite(values)
    run = np.repeat(np.arange(starts.size), ends - starts + 1)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    _keep_first(keep, run, finite & (values == low[run]))
    _keep_first(keep, run, finite & (values == high[run]))
    return np.flatnonzero(keep)


def _keep_first(keep: npt.NDArray[np.bool_], run: IntArray, candidates: npt.NDArray[np.bool_]) -> None:
    """Mark the first candidate of every run in `keep`."""
    chosen = np.flatnonzero(candidates)
    if chosen.size:
        keep[chosen[np.concatenate(([True], np.diff(run[chosen]) != 0))]] = True


def _start_of_last_run(columns: IntArray) -> int:
    """Return the index where the newest column begins."""
    changes = np.flatnonzero(np.diff(columns))
    return int(changes[-1]) + 1 if changes.size else 0


class ThinnedLine:
    """The thinned points of one growing series in fixed columns.

    Columns that are behind the newest one are settled: they are thinned once, and what is drawn there
    never changes. Only the points since the newest column began are thinned again.
    """

    def __init__(self) -> None:
        self.columns: IntArray = np.empty(0, dtype=np.int64)
        self.values: FloatArray = np.empty(0)
        self.consumed = 0
        """How many points of the series are behind the newest column."""
        self._settled = 0

    def extend(self, columns: IntArray, values: FloatArray) -> None:
        """Take the points of the series from number `consumed` to its end."""
        if not columns.size:
            return
        kept = thin(columns, values)
        self.columns = np.concatenate((self.columns[: self._settled], columns[kept]))
        self.values = np.concatenate((self.values[: self._settled], values[kept]))
        self.consumed += _start_of_last_run(columns)
        self._settled = _start_of_last_run(self.columns)


DOTS_ACROSS, DOTS_DOWN = 2, 4
BLANK_BRAILLE = 0x2800

BIT = np.array([[0, 3], [1, 4], [2, 5], [6, 7]])
"""The bit of the dot in row (0 to 3) and column (0 to 1) of a braille character."""

CellArray = npt.NDArray[np.uint8]
DotArray = npt.NDArray[np.int64]


class Stroke(Enum):
    """How a line is drawn; the value is the distance between its dots."""

    SOLID = 1
    DOTTED = 2
    SPARSE = 4


def polyline_dots(columns: DotArray, rows: FloatArray, stroke: Stroke) -> tuple[DotArray, DotArray]:
    """Return the columns and rows of the dots that a polyline lights; some come more than once.

    Args:
        columns: Dot column of each point, shape (n,).
        rows: Dot row of each point, shape (n,), from the top; anything not finite is a gap.
        stroke: Every how many dots of a segment are lit. A point between two gaps always is.
    """
    finite = np.isfinite(rows)
    x, y = columns, np.round(np.where(finite, rows, 0.0)).astype(np.int64)
    joined = finite[:-1] & finite[1:]
    start = np.flatnonzero(joined)
    dx, dy = np.diff(x)[start], np.diff(y)[start]
    segment, share = _walk(np.maximum(np.abs(dx), np.abs(dy)))
    dx, dy = dx[segment], dy[segment]
    dots_x = x[start][segment] + np.round(share * dx).astype(np.int64)
    dots_y = y[start][segment] + np.round(share * dy).astype(np.int64)
    if stroke is not Stroke.SOLID:
        lit = np.where(np.abs(dx) >= np.abs(dy), dots_x, dots_y) % stroke.value == 0
        dots_x, dots_y = dots_x[lit], dots_y[lit]
    alone = finite & ~np.append(joined, False)[: x.size] & ~np.append(False, joined)[: x.size]
    return np.concatenate((dots_x, x[alone])), np.concatenate((dots_y, y[alone]))


def _walk(lengths: DotArray) -> tuple[DotArray, FloatArray]:
    """Return for each dot of all segments, both ends included, its segment and how far along it lies."""
    segment = np.repeat(np.arange(lengths.size), lengths + 1)
    first = np.cumsum(lengths + 1) - (lengths + 1)
    return segment, (np.arange(segment.size) - first[segment]) / np.maximum(lengths, 1)[segment]


def braille_cells(dots_x: DotArray, dots_y: DotArray, width: int, height: int) -> CellArray:
    """Collect dots into cells: shape (height, width), each the bits of a braille character.

    Dots outside of the grid are dropped.
    """
    inside = (dots_x >= 0) & (dots_x < DOTS_ACROSS * width) & (dots_y >= 0) & (dots_y < DOTS_DOWN * height)
    x, y = dots_x[inside], dots_y[inside]
    cell = (y // DOTS_DOWN) * width + x // DOTS_ACROSS
    lit = np.zeros(width * height * 8, dtype=np.bool_)
    lit[cell * 8 + BIT[y % DOTS_DOWN, x % DOTS_ACROSS]] = True
    return np.packbits(lit, bitorder="little").reshape(height, width)
