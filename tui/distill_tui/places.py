"""Paths as a person types them, and where the app keeps its own few files."""

from __future__ import annotations

import contextlib
import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import write_atomically
from distill_core.user_folders import user_folder


def typed_path(text: str) -> Path:
    """Return the path, with `~` expanded where it names a home folder."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of this name
        return path


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder; one that cannot be looked at does not count."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Tell whether there is anything; what cannot be looked at does not count."""
    try:
        return path.exists()
    except OSError:
        return False


MAX_RECENT = 10


def state_dir() -> Path | None:
    """Return the folder of the app's own state; `DISTILL_TUI_STATE` overrides the platform's."""
    override = os.environ.get("DISTILL_TUI_STATE")
    return Path(override) if override else user_folder("state")


def keymap_path() -> Path | None:
    """Return where the user's keymap is looked for; None where there is no home directory."""
    override = os.environ.get("DISTILL_TUI_CONFIG")
    folder = Path(override) if override else user_folder("config")
    return folder / "keymap.toml" if folder else None


def log_path() -> Path | None:
    """Return where what libraries write to the terminal while the app is up is kept; None without a home."""
    folder = state_dir()
    return folder / "app.log" if folder else None


def read_keymap() -> dict[str, str]:
    """Return the user's keys by binding id, `{}` without a keymap file.

    Raises:
        ValueError: The file is no TOML of `"binding.id" = "keys"` lines.
    """
    path = keymap_path()
    if path is None:
        return {}
    try:
        keymap = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if not all(isinstance(keys, str) for keys in keymap.values()):
        raise ValueError(f'{path}: every line must be "binding.id" = "keys".')
    return keymap


def may_ring() -> bool:
    """Tell whether the terminal may ring and notify at the end of work: unless DISTILL_TUI_QUIET is set."""
    return not os.environ.get("DISTILL_TUI_QUIET")


def may_outlive_the_line() -> bool:
    """Tell whether a run goes on by itself when the line drops: unless DISTILL_TUI_HANGUP is `stop`."""
    return os.environ.get("DISTILL_TUI_HANGUP") != "stop"


def read_recent() -> tuple[Path, ...]:
    """Return the databases opened last, newest first; those that are gone are left out."""
    file = _recent_file()
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else ()
    except (OSError, UnicodeDecodeError):
        return ()
    from distill_core.database import is_database

    return tuple(path for line in lines if line and is_database(path := Path(line)))


def remember(path: Path) -> None:
    """Put a database at the head of the recent ones; a folder that cannot be written to is no error."""
    paths = [path, *(known for known in read_recent() if known != path)][:MAX_RECENT]
    _write(_recent_file(), "".join(f"{path}\n" for path in paths).encode())


def read_settings() -> dict[str, Any] | None:
    """Return what `keep_settings` kept; None where there is nothing, or nothing that can be read."""
    file = _settings_file()
    try:
        kept = msgspec.json.decode(file.read_bytes()) if file else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return kept if isinstance(kept, dict) else None


def keep_settings(settings: dict[str, Any]) -> None:
    """Keep the settings of the next run; a folder that cannot be written to is no error."""
    _write(_settings_file(), msgspec.json.encode(settings))


class LastSeen(msgspec.Struct, frozen=True):
    """What the app knew when it was open last.

    Attributes:
        seconds: Since 1970.
        told: Folders of interrupted runs that the user was told of.
    """

    seconds: float
    told: tuple[str, ...] = ()


def read_last_seen() -> LastSeen | None:
    """Return what `keep_last_seen` kept; None where there is nothing, or nothing that can be read."""
    folder = state_dir()
    try:
        return msgspec.json.decode((folder / _LAST_SEEN).read_bytes(), type=LastSeen) if folder else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def keep_last_seen(seen: LastSeen) -> None:
    """Keep what the next start compares with; a folder that cannot be written to is no error."""
    folder = state_dir()
    _write(folder / _LAST_SEEN if folder else None, msgspec.json.encode(seen))


_LAST_SEEN = "seen.json"


def _write(file: Path | None, content: bytes) -> None:
    if file is None:
        return
    with contextlib.suppress(OSError, RunError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)


def _settings_file() -> Path | None:
    folder = state_dir()
    return folder / "settings.json" if folder else None


def _recent_file() -> Path | None:
    folder = state_dir()
    return folder / "recent.txt" if folder else None
