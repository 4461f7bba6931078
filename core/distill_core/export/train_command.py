"""The command that trains a student with given settings. No torch."""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Iterator

import msgspec

from distill_core.config import RunConfig
from distill_core.foreign_text import visible

_LETTERS = string.ascii_letters + string.digits + "/._-+,:@%= "


def train_command(config: RunConfig) -> str:
    """Return the command with every setting."""
    lines = [f"distill-tui train {shell_word(config.data.database)}", *_options(config)]
    return " \\\n  ".join(lines)


def shell_word(text: str) -> str:
    r"""Return a text as one word of a shell; one that a terminal would obey as `$'\x1b'`, byte by byte."""
    if visible(text, len(text)) == text:
        return shlex.quote(text)
    words = (chr(byte) if chr(byte) in _LETTERS else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return "$'" + "".join(words) + "'"


def _options(config: RunConfig) -> Iterator[str]:
    for group in (config.data, config.student, config.training, config.split):
        if group is config.student:
            yield f"--student {config.student.kind}"
        for field in msgspec.structs.fields(group):
            if not field.required:
                yield from _valued(field.name, getattr(group, field.name))


def _valued(field: str, value: object) -> Iterator[str]:
    option = f"--{field.replace('_', '-')}"
    if value is True:
        yield option
    elif value is not None and value is not False:
        yield f"{option} {shell_word(str(value))}"
