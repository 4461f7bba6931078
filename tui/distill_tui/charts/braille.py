"""Polylines to braille: every cell holds 2 x 4 dots."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from distill_tui.charts.history import FloatArray

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
