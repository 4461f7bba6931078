"""Tables and fenced text in Markdown. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from distill_core.foreign_text import visible

_SYNTAX = re.compile(
    r"[\\`*\[\]<>~$]|&(?=[#\w])|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|^[#+=-]|(?<=^\d)[.)]", re.IGNORECASE
)
"""What would make links, images, HTML, headings or lists of a text from outside."""
_LONGEST_LINE, _LONGEST_CODE = 100_000, 1000


def prose(text: str) -> str:
    """Return text from outside as words in a line, which stand for nothing but themselves."""
    return _SYNTAX.sub(lambda found: f"\\{found[0]}", visible(text))


def document(blocks: Iterable[str]) -> bytes:
    """Return blocks as a file; what a terminal would obey is not in it, whatever the blocks hold."""
    lines = "\n\n".join(blocks).split("\n")
    return ("\n".join(visible(line, _LONGEST_LINE) for line in lines) + "\n").encode()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, its first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(_row(cells) for cells in (header, rule, *rows))


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of named facts."""
    return "\n".join(f"- {name}: {value}" for name, value in rows)


def fenced(text: str, language: str = "") -> str:
    """Return text that is shown as it is, whatever it holds."""
    ticks = "`" * max(3, 1 + _longest_ticks(text))
    return f"{ticks}{language}\n{text}\n{ticks}"


def code(text: str) -> str:
    """Return text in a line that is shown as it is."""
    plain = " ".join(visible(text, _LONGEST_CODE).split())
    ticks = "`" * (1 + _longest_ticks(plain))
    space = " " if "`" in plain else ""
    return f"{ticks}{space}{plain}{space}{ticks}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _longest_ticks(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest
