"""The settings of a run as TOML, with the version of their layout."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import tomli_w

from distill_core.config import RunConfig, parse_config
from distill_core.errors import RunError, SettingsError
from distill_core.runs.atomic_files import Check, write_atomically
from distill_core.runs.file_errors import read_content
from distill_core.runs.record_files import damaged, not_unicode

LAYOUT = 1
"""Version of the layout of a run's folder. Older ones stay readable; without a number it is 1."""


def write_config(file: Path, config: RunConfig, check: Check | None = None) -> None:
    """Write all settings, defaults included, atomically; TOML has no word for None, which is left out.

    `check` is as `write_atomically` takes it.

    Raises:
        RunError: The file cannot be written, or a text is no valid Unicode.
    """
    settings = _without_none(msgspec.to_builtins(config))
    try:
        content = tomli_w.dumps({"version": LAYOUT, **settings}).encode()
    except UnicodeEncodeError as error:
        raise not_unicode(file) from error
    write_atomically(file, content, check)


def read_config(file: Path) -> RunConfig:
    """Read the settings; those that are not in the file take their defaults.

    Raises:
        RunError: The file is missing, damaged or of a newer layout, or a setting cannot be used.
    """
    content = read_content(file)
    try:
        settings = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    _require_known_layout(file, settings.pop("version", LAYOUT))
    try:
        return parse_config(settings)
    except SettingsError as error:
        raise RunError(f"{file}: {error.message}", "Correct the setting in the file.") from error


def _require_known_layout(file: Path, version: object) -> None:
    if type(version) is not int:
        raise damaged(file, ValueError(f"the version of its layout is {version!r}"))
    if version > LAYOUT:
        raise RunError(
            f"{file} has layout {version}, this version knows layouts up to {LAYOUT}.", "Update distill-tui."
        )


def _without_none(settings: dict[str, object]) -> dict[str, object]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if value is not None
    }
