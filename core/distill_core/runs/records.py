"""What the files of a run hold: records as JSON, settings as TOML."""

from __future__ import annotations

import math
import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import tomli_w

from distill_core.config import RunConfig, parse_config
from distill_core.errors import RunError, SettingsError
from distill_core.latency.events import MachineRecord
from distill_core.runs.atomic_files import Check, read_content, write_atomically
from distill_core.training.events import Assessed, RunFinished, TestEvaluated

RecordedState = Literal["running", "stopped", "finished", "failed"]
"""What a run's own process writes."""

ShownState = Literal["running", "stopped", "finished", "failed", "interrupted", "unknown"]
"""What others see: `interrupted` says running, but its process is gone; `unknown` cannot be read."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, and which process wrote so. In `state.json`.

    Attributes:
        started: When the run was made.
        updated: When this was written.
        error: Why the run failed; empty otherwise.
        host: Name of the machine; empty before the first training.
        pid: Number of the process there; 0 likewise.
        process_start: Tells the process from all others; empty where it is not known.
        attempt: Number of the attempt that wrote so; 0 where none had begun.
    """

    state: RecordedState
    started: Moment
    updated: Moment
    error: str = ""
    host: str = ""
    pid: int = 0
    process_start: str = ""
    attempt: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One process's going at a run, from its beginning or from a checkpoint on. In `attempts/NUMBER.json`.

    Attributes:
        number: 1 for the first; the highest one may write the run.
        host: Name of the machine.
        pid: Number of the process there.
        process_start: Tells the process from all others; empty where it is not known.
        ended: Whether the process has let go of the run; one that was killed never says so.
        database: Where the database was read; empty before that.
        device: What it trained on; empty likewise.
        machine: What decides on the bits, with threads; None likewise.
        packages: Versions by name.
        notes: What was told to the user, a sentence each.
    """

    number: int
    host: str = ""
    pid: int = 0
    process_start: str = ""
    ended: bool = False
    database: str = ""
    device: str = ""
    machine: MachineRecord | None = None
    packages: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "another process"


class DataRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is trained on, so that it can be repeated and compared. In `data.json`.

    Attributes:
        database_sha256: Of the bytes of the `lda.db`, in hexadecimal.
        vectors_sha256: Of centroids, answers and queries; empty in what an older version wrote.
        content_sha256: Of all that the run reads, which is what a resume compares; see `content_sha256` of
            `teacher_data`. Empty in what an older version wrote.
        mh_id: Number of the projection.
        temperature: The teacher's τ.
        train: Row numbers of the queries of the training part, ascending.
        validation: Likewise.
        test: Likewise.
        packages: Versions by name.
    """

    database_sha256: str
    vectors_sha256: str = ""
    content_sha256: str = ""
    mh_id: int
    temperature: float
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    packages: dict[str, str] = {}


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the trained student does. In `evaluation.json`.

    Attributes:
        finished: The figures in short.
        tested: The test queries one by one; runs are compared on those that they share.
        assessed: With intervals, beside the baselines.
    """

    finished: RunFinished
    tested: TestEvaluated | None = None
    assessed: Assessed | None = None


class RunNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a run. In `notes.json`.

    Attributes:
        name: Shown in place of the folder's name; may be empty.
        pinned: Whether this is the baseline that others are compared with.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    annotation: str = ""
    pinned: bool = False


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
