"""Records as JSON files, numbers that JSON does not know included."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import Check, write_atomically
from distill_core.runs.file_errors import read_content

T = TypeVar("T")


def write_record(file: Path, record: msgspec.Struct, check: Check | None = None) -> None:
    """Write a record as JSON, atomically; NaN and the infinities become the texts "nan", "inf", "-inf".

    Args:
        file: The file.
        record: What it is to hold.
        check: As `write_atomically` takes it.

    Raises:
        RunError: The file cannot be written, or a text is no valid Unicode.
    """
    try:
        content = msgspec.json.encode(_spelt_out(msgspec.to_builtins(record)))
    except UnicodeEncodeError as error:
        raise not_unicode(file) from error
    write_atomically(file, content + b"\n", check)


def read_record(file: Path, kind: type[T]) -> T:
    """Read a record of a kind.

    Raises:
        RunError: The file is missing, cannot be read, or does not hold such a record.
    """
    content = read_content(file)
    try:
        content.decode()  # msgspec does not look into the texts of fields that it passes over
        # Not strict: that is what reads the texts of NaN and the infinities as numbers.
        return msgspec.json.decode(content, type=kind, strict=False)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise damaged(file, error) from error


def read_optional_record(file: Path, kind: type[T]) -> T | None:
    """Read a record of a kind; None if there is no such file.

    Raises:
        RunError: The file cannot be read, or does not hold such a record.
    """
    return read_record(file, kind) if os.path.lexists(file) else None


def damaged(file: Path, error: Exception) -> RunError:
    """Return the error for a file whose content is not what it should be."""
    return RunError(
        f"{file} is damaged: {str(error).rstrip('.')}.", "Restore the file from a copy, or delete the run."
    )


def not_unicode(file: Path) -> RunError:
    """Return the error for a text that no file of UTF-8 can hold, such as a path with stray bytes."""
    return RunError(
        f"{file} was not written: a text is not valid Unicode.", "Rename what it names, or change the text."
    )


def _spelt_out(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _spelt_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt_out(item) for item in value]
    return value
