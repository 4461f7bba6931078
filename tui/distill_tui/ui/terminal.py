"""What the app says to the terminal itself: what may be drawn, what is copied, what it draws attention to."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from distill_core.foreign_text import visible

_END = "\x1b\\"


class OnlyWhatIsSeen(LineFilter):
    """Keeps whatever a terminal would obey out of what is drawn, also where a widget forgot to.

    A widget has laid out its line by now: what takes no room is left out, what takes some becomes blank.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a line, as wide as they were."""
        return [
            segment
            if segment.text.isprintable()
            else Segment("".join(map(_drawn, segment.text)), segment.style, segment.control)
            for segment in segments
        ]


def _drawn(character: str) -> str:
    return character if visible(character) == character else " " * cell_len(character)


def copying(text: str) -> Iterator[str]:
    """Yield what makes a terminal put a text into its clipboard (OSC 52), tmux between or not.

    tmux takes the sequence itself with `set-clipboard on`, and hands it on, wrapped, with
    `allow-passthrough`; it ignores what it has no permission for.
    """
    yield (sequence := f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a")
    if "TMUX" in os.environ:
        yield through_tmux(sequence)


def notifying(words: str) -> Iterator[str]:
    """Yield what makes a terminal that can do so show a notice on the desktop (OSC 9)."""
    sequence = f"\x1b]9;{visible(words)}\a"
    yield through_tmux(sequence) if "TMUX" in os.environ else sequence


def through_tmux(sequence: str) -> str:
    """Return a sequence as tmux hands it on to the terminal that it is drawn on."""
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}{_END}"
