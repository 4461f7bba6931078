r"""Text from outside (a database, a file's name, a note, an error) as text for people. No torch.

What a terminal would obey, what turns a line around and what cannot be seen is written as an escape such as
`\x1b`; line ends and tabs become blanks, so that one value stays in one line. Data for programs stay exact.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_CHARACTERS = 300
"""Of one value where no other room is set."""

_ELLIPSIS = "…"
_MAX_MARKS = 4
"""Combining marks on one letter; no script needs more, and hundreds paint over the lines above and below."""

# Unicode's controls, formats, surrogates, line and paragraph separators, tags, variation selectors beyond the
# usual sixteen, what is drawn as nothing (default ignorable), and what is no character at all.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANKS = re.compile(r"[\t\n\r]+")
_TO_ESCAPE = re.compile(f"[{_UNSEEN}]")


def visible(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return text from outside as one line for people, of at most `limit` characters.

    Of what is longer, the beginning and the end are kept: the end of a path or of a sentence tells the most.
    What is returned is left as it is by another call.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    seen = _seen(text if len(text) <= 2 * limit else f"{text[:limit]}{_ELLIPSIS}{text[-limit:]}")
    if len(seen) <= limit and len(text) <= 2 * limit:
        return seen
    tail = (limit - 1) // 3
    return f"{seen[: limit - 1 - tail]}{_ELLIPSIS}{seen[len(seen) - tail :]}"


def beginning(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return the first `limit` characters of a text from outside as one line for people."""
    seen = _seen(text[:limit])
    return seen if max(len(seen), len(text)) <= limit else f"{seen[: limit - 1]}{_ELLIPSIS}"


def escaped(character: str) -> str:
    r"""Return a character as `\x1b`, `\u202e` or `\U000e0041`."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _seen(text: str) -> str:
    text = _TO_ESCAPE.sub(lambda found: escaped(found[0]), _BLANKS.sub(" ", text))
    return text if text.isascii() else "".join(_with_few_marks(text))


def _with_few_marks(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= _MAX_MARKS:
            yield character
