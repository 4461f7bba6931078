"""What the command line prints: lines for people, objects for programs, tables; and where it goes."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import click
import msgspec
from rich.cells import cell_len, set_cell_size

from distill_core.foreign_text import visible

_LINE_CHARACTERS = 1000
_CELL_CHARACTERS = 80
_FEWEST_CELLS = 16
"""To which a column is cut that has to give way: a date with its time stays whole."""
_GAP = "  "
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")
_SUBSTITUTES = str.maketrans(
    {"…": ".", "µ": "u", "μ": "u", "τ": "t", "λ": "l", "Δ": "d", "×": "x", "·": "-", "–": "-", "•": "*"}
    | {"─": "-", "━": "-", "│": "|", "┃": "|", "→": ">", "←": "<", "↑": "^", "↓": "v", "▸": ">", "▾": "v"}
    | {"●": "o", "▶": ">", "▲": "^", "▼": "v", "\u2800": " "}
    | dict.fromkeys(map(chr, range(0x2504, 0x2580)), "+")
    | dict.fromkeys(map(chr, (*range(0x2580, 0x25A0), *range(0x2801, 0x2900))), "#")
)
_SUBSTITUTING = "distill-tui-substitutes"


def say(line: str, *, err: bool = False) -> None:
    """Print one line for people, on stdout or stderr, whatever text from outside is in it."""
    click.echo(visible(line, _LINE_CHARACTERS), err=err)


def say_object(value: object) -> None:
    """Print one JSON object in a line: the data are exact, and all but ASCII in it is escaped."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a file's name that is no UTF-8, which only the standard library can write
        text = json.dumps(msgspec.to_builtins(value))
        text = json.dumps(json.loads(text, parse_constant=lambda _not_finite: None))
    click.echo(_NOT_ASCII.sub(lambda found: _as_json(found[0]), text))


def terminal_width() -> int | None:
    """Return the columns of the terminal that is printed to; None where a file or a program reads."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else None


def table(
    rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,), width: int | None = None
) -> Iterator[str]:
    """Yield rows, the header being the first, in columns as wide as their widest cell.

    Args:
        rows: All of the same length.
        left: The columns that are flush left; the others are flush right.
        width: What a row may take, in cells; the widest columns that are flush left are cut to fit, and the
            last ones left out where that is not enough.
    """
    cells = [[visible(cell, _CELL_CHARACTERS) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fitting(widths, left, width)
    for row in cells:
        shown = [_cut(cell, room) for cell, room in zip(row, widths, strict=False)]
        yield table_row(shown, widths, left=left)


def _fitting(widths: Sequence[int], left: Sequence[int], width: int) -> list[int]:
    fitting = list(widths)
    while (over := sum(fitting) + len(_GAP) * (len(fitting) - 1) - width) > 0:
        widest = max((column for column in left if column < len(fitting)), key=fitting.__getitem__, default=0)
        if fitting[widest] > _FEWEST_CELLS:
            fitting[widest] = max(_FEWEST_CELLS, fitting[widest] - over)
        elif len(fitting) > 1:
            fitting.pop()
        else:
            return [max(width, 1)]
    return fitting


def _cut(cell: str, room: int) -> str:
    return cell if cell_len(cell) <= room else f"{set_cell_size(cell, room - 1)}…"


def table_row(cells: Sequence[str], widths: Sequence[int], *, left: Sequence[int] = (0,)) -> str:
    """Return one row, for tables that are printed as they grow; a cell that is too wide moves the others."""
    shown = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = visible(cell, _CELL_CHARACTERS)
        room = max(width, cell_len(text))
        shown.append(set_cell_size(text, room) if column in left else " " * (room - cell_len(text)) + text)
    return _GAP.join(shown).rstrip()


def prepare_streams() -> None:
    """Let stdout and stderr print a substitute for what their encoding has no place for."""
    codecs.register_error(_SUBSTITUTING, _substitutes)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue  # closed, or a test's
        stream.reconfigure(errors=_SUBSTITUTING)
        if codecs.lookup(stream.encoding).name == "ascii":
            setattr(sys, name, _AsciiStream(stream))


class _AsciiStream(io.TextIOWrapper):
    """ASCII, and meant so: click takes a stream that is called so for a mistake and writes UTF-8 into it."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer, "ascii", _SUBSTITUTING, line_buffering=stream.line_buffering, write_through=True
        )

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The nearest encoding that click believes."""
        return "iso8859-1"


def _substitutes(error: UnicodeError) -> tuple[str, int]:
    """Return something as wide for what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end].translate(_SUBSTITUTES)
    return "".join(map(_substitute, found)), error.end


def _substitute(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.combining(character):
        return ""
    return "??" if unicodedata.east_asian_width(character) in "WF" else "?"


def _as_json(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
