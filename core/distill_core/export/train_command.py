"""The command that trains a student with given settings. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from distill_core.config import RunConfig


def train_command(config: RunConfig) -> str:
    """Return the command with every setting."""
    lines = [f"distill-tui train {shlex.quote(config.data.database)}", *_options(config)]
    return " \\\n  ".join(lines)


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
        yield f"{option} {shlex.quote(str(value))}"
