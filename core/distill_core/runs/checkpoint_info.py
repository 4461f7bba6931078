"""What a checkpoint says about itself, read without its tensors and without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from safetensors import SafetensorError

from distill_core.errors import CheckpointError
from distill_core.runs.atomic_files import reason
from distill_core.safetensors_header import read_texts

LAYOUT = 1
INFO_KEY = "info"

Count = Annotated[int, msgspec.Meta(ge=0)]


class CheckpointInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the training a checkpoint was saved.

    Attributes:
        step: Steps done.
        epoch: Epochs done.
        metrics_offset_bytes: Length of the metrics then, to which resuming cuts them back.
        version: Of the layout of the checkpoint.
    """

    step: Count
    epoch: Count
    metrics_offset_bytes: Count
    version: Count = LAYOUT


def read_checkpoint_info(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read what a checkpoint says about itself; its tensors are neither read nor verified.

    Raises:
        CheckpointError: The file is missing, is not whole, is no checkpoint or one of a newer version.
    """
    file = Path(path)
    return parse_info(file, read_metadata(file))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the metadata of a safetensors file, and check that the file is as long as its header says.

    Raises:
        CheckpointError: The file is missing or not whole.
    """
    file = Path(path)
    try:
        return read_texts(file)
    except FileNotFoundError as error:
        raise missing(file) from error
    except OSError as error:
        raise unusable(file, reason(error)) from error
    except SafetensorError as error:
        raise unusable(file, str(error)) from error


def parse_info(file: Path, metadata: dict[str, str]) -> CheckpointInfo:
    """Return the info in a checkpoint's metadata.

    Raises:
        CheckpointError: There is none, or it is of a newer version.
    """
    try:
        info = msgspec.json.decode(metadata[INFO_KEY], type=CheckpointInfo)
    except (KeyError, UnicodeError, msgspec.DecodeError, RecursionError) as error:
        raise unusable(file, "it does not say where in a training it was saved") from error
    if info.version > LAYOUT:
        raise unusable(
            file, f"it has layout {info.version}, this version of distill-tui knows up to {LAYOUT}"
        )
    return info


def missing(file: Path) -> CheckpointError:
    """Return the error for a checkpoint that is not there."""
    return CheckpointError(f"There is no checkpoint at {file}.", "Start the run again from its settings.")


def unusable(file: Path, why: str) -> CheckpointError:
    """Return the error for a file that is no sound checkpoint."""
    return CheckpointError(
        f"The checkpoint {file} cannot be used: {why.rstrip('.')}.",
        "Restore it from a copy, or train anew from the run's settings.",
    )
