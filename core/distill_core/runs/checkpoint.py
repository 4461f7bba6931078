"""Checkpoints: everything that a training needs to go on bit for bit, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from distill_core.errors import CheckpointError
from distill_core.runs.atomic_files import Check, write_atomically
from distill_core.runs.checkpoint_info import INFO_KEY, CheckpointInfo, missing, parse_info, unusable
from distill_core.runs.checkpoint_state import State, decode_state, encode_state
from distill_core.runs.file_errors import reason, writing_error


def save_checkpoint(
    path: str | os.PathLike[str], state: State, info: CheckpointInfo, check: Check | None = None
) -> None:
    """Save a state atomically, in place of the checkpoint before; see `encode_state` for what it may hold.

    Sync the metrics first, so that they hold what `info.metrics_offset_bytes` counts on. `check` is as
    `write_atomically` takes it.

    Raises:
        CheckpointError: Something in the state has no exact form.
        RunError: The file cannot be written; the checkpoint before is kept.
    """
    _write(Path(path), encode_state(state, {INFO_KEY: msgspec.json.encode(info).decode()}), check)


def save_weights(path: str | os.PathLike[str], content: bytes, check: Check | None = None) -> None:
    """Save the content of a file of weights atomically, in place of the one before.

    `check` is as `write_atomically` takes it.

    Raises:
        RunError: The file cannot be written; the one before is kept.
    """
    _write(Path(path), content, check)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[State, CheckpointInfo]:
    """Load a state, its tensors on the CPU, and where in the training it was saved.

    Raises:
        CheckpointError: The file is missing, is no checkpoint, or one bit of it is not as it was written.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise missing(file) from error
    except OSError as error:
        raise unusable(file, reason(error)) from error
    try:
        state, metadata = decode_state(content)
    except CheckpointError as error:
        raise unusable(file, error.message) from error
    return state, parse_info(file, metadata)


def _write(file: Path, content: bytes, check: Check | None) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise writing_error(file.parent, error) from error
    write_atomically(file, content, check)
