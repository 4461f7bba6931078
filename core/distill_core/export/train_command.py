"""The command that trains a student with given settings. No torch."""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Iterator

from distill_core.config import RunConfig, SplitConfig
from distill_core.foreign_text import visible

_OTHER_NAMES = {"kind": "student"}
"""Settings whose option is called otherwise."""

_LETTERS = string.ascii_letters + string.digits + "/._-+,:@%= "


def train_command(config: RunConfig) -> str | None:
    """Return the command with every setting; None for other shares of the split, which have no option."""
    usual = SplitConfig()
    shares = (config.split.validation_fraction, config.split.test_fraction)
    if shares != (usual.validation_fraction, usual.test_fraction):
        return None
    lines = [f"distill-tui train {shell_word(config.data.database)}", *_options(config)]
    return " \\\n  ".join(lines)


def shell_word(text: str) -> str:
    r"""Return a text as one word of a shell; one that a terminal would obey as `$'\x1b'`, byte by byte."""
    if visible(text, len(text)) == text:
        return shlex.quote(text)
    words = (chr(byte) if chr(byte) in _LETTERS else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return "$'" + "".join(words) + "'"


def _options(config: RunConfig) -> Iterator[str]:
    yield from _valued("mh_id", config.data.mh_id)
    yield from _valued("temperature", config.data.temperature)
    for group in (config.student, config.training):
        for field in group.__struct_fields__:
            yield from _valued(field, getattr(group, field))
    yield from _valued("split", config.split.split)
    yield from _valued("exclude_near_duplicates", config.split.exclude_near_duplicates)


def _valued(field: str, value: object) -> Iterator[str]:
    option = _OTHER_NAMES.get(field, field).replace("_", "-")
    if value is True:
        yield f"--{option}"
    elif value is not None and value is not False:
        yield f"--{option} {shell_word(str(value))}"
