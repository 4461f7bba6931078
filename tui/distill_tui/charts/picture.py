"""A drawn chart: one character and one role a cell, so that two drawings can be compared by row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

SPACE = ord(" ")


class Role(IntEnum):
    """What a cell belongs to; a widget gives each role its style. The series come last."""

    AXIS = 0
    TITLE = 1
    BASELINE = 2
    TRAIN = 3
    VALIDATION = 4
    RUN_1 = 5
    RUN_2 = 6
    RUN_3 = 7
    RUN_4 = 8
    RUN_5 = 9
    RUN_6 = 10


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
