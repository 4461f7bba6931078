"""Students in files: the published `.pt` layout, and safetensors with the shape in the metadata."""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import secrets
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from distill_core.config import RunConfig, parse_config
from distill_core.errors import CheckpointError, SettingsError
from distill_core.students.networks.encoder import ProjectionTransformer
from distill_core.students.networks.memory import MemoryStudent
from distill_core.students.networks.mlp import MlpStudent
from distill_core.students.networks.student import Student

_SHAPE = {"embed_dim": int, "num_heads": int, "num_layers": int, "ff_dim": int, "dropout": float}
_KINDS: dict[str, type[ProjectionTransformer] | type[MemoryStudent] | type[MlpStudent]] = {
    kind.KIND: kind for kind in (ProjectionTransformer, MemoryStudent, MlpStudent)
}
_DIGEST = "sha256"
_PARTS = ("input_proj", "encoder", "output_proj")
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    SettingsError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What torch and safetensors were seen to raise when a file is damaged at random."""


def load_student(
    path: str | os.PathLike[str], *, dimension: int | None = None, reference_layout: bool = True
) -> Student:
    """Load a student from safetensors, or from the reference implementation's layout, whatever the name.

    Args:
        path: The file of weights.
        dimension: The d that the student must have, where it is known.
        reference_layout: Whether that layout is taken, which is a pickle, read without running its code; a
            run's own weights never have it.

    Raises:
        CheckpointError: The file is missing, damaged, not a student, or one of another dimension.
    """
    file = Path(path)
    try:
        if not file.is_file():
            raise CheckpointError(f"There is no file of weights at {file}.", "Check the path.")
        if not (reference_layout or is_safetensors(file)):
            raise ValueError("no safetensors")
        student = (_load_safetensors if is_safetensors(file) else _load_reference)(file).eval()
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{file} does not hold a student's weights ({type(error).__name__}).",
            "Pass a file written by --save, or a checkpoint of the reference implementation.",
        ) from error
    if dimension is not None and student.embed_dim != dimension:
        raise CheckpointError(
            f"{file} is a student of dimension {student.embed_dim}, the projection has {dimension}.",
            "Take a student that was distilled from this projection.",
        )
    return student


def student_bytes(student: Student, config: RunConfig | None = None) -> bytes:
    """Return the content of a safetensors file with a student, its shape, and the settings of its run.

    A checksum goes with it, so that `load_student` notices a changed bit.

    Raises:
        CheckpointError: The weights have no place in such a file.
    """
    metadata = {name: str(value) for name, value in student.shape.items()}
    if config is not None:
        metadata["config"] = msgspec.json.encode(config).decode()
    weights = _on_cpu(student)
    try:
        return save(weights, {"format": "pt", "student": student.KIND, _DIGEST: _digest(weights), **metadata})
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"The weights cannot be written: {error}.") from error


def save_student(student: Student, path: str | os.PathLike[str], config: RunConfig | None = None) -> Path:
    """Write a student; `.pt` gives the reference implementation's layout, any other name safetensors.

    Only the published encoder fits the reference implementation's layout.

    The file appears whole or not at all. With safetensors the settings of the run go into the metadata, so
    that the student can be judged again on the same split.

    Raises:
        CheckpointError: The file cannot be written.
    """
    file = Path(path)
    write = partial(_save_safetensors, student, config)
    if file.suffix == ".pt":
        if not isinstance(student, ProjectionTransformer):
            raise CheckpointError(
                f"A student of the kind {student.KIND} has no place in the reference's .pt layout.",
                "Choose a name that ends in .safetensors.",
            )
        write = partial(_save_reference, student)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, write)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"The weights cannot be written to {file}: {error}.", "Choose another place."
        ) from error
    return file


def read_run_config(path: str | os.PathLike[str]) -> RunConfig | None:
    """Return the settings of the run that saved a student; None in a file that does not hold them.

    Raises:
        CheckpointError: The file cannot be read.
    """
    file = Path(path)
    try:
        if not is_safetensors(file):
            return None
        with safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get("config")
        return None if text is None else parse_config(msgspec.json.decode(text))
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{file} cannot be read ({type(error).__name__}).", "Check the path."
        ) from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before a long run that its weights can be written.

    Raises:
        CheckpointError: The folder cannot be made or written to, or the path is a folder.
    """
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(f"{file} is a folder")
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise CheckpointError(
            f"The weights could not be written to {file} ({error.strerror or error}).",
            "Choose another place.",
        ) from error


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in module.state_dict().items()}


def is_safetensors(file: Path) -> bool:
    """Tell by the content: safetensors has the length of its header in 8 bytes, then JSON.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as handle:
        return handle.read(9)[8:] == b"{"


def _save_reference(student: ProjectionTransformer, path: Path) -> None:
    parts = {part: _on_cpu(getattr(student, part)) for part in _PARTS}
    torch.save({**student.shape, **parts}, path)


def _load_reference(path: Path) -> ProjectionTransformer:
    with path.open("rb") as file:  # given a name, torch goes by its ending
        saved = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(saved, dict):
        raise TypeError(f"{type(saved).__name__} in place of a dictionary")
    student = ProjectionTransformer(**{name: kind(saved[name]) for name, kind in _SHAPE.items()})
    for part in _PARTS:
        getattr(student, part).load_state_dict(saved[part])
    return student


def _save_safetensors(student: Student, config: RunConfig | None, path: Path) -> None:
    # `save_file` would make a file that only its owner can read.
    path.write_bytes(student_bytes(student, config))


def _digest(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(weight.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_safetensors(path: Path) -> Student:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if metadata.get(_DIGEST) not in (None, _digest(weights)):
        raise ValueError("its checksum does not fit")
    kind = _KINDS[metadata.get("student", "encoder")]
    # The numbers of a shape are whole, but for the dropout.
    names = tuple(inspect.signature(kind).parameters)
    shape: dict[str, Any] = {
        name: float(metadata[name]) if name == "dropout" else int(metadata[name]) for name in names
    }
    student = kind(**shape)
    student.load_state_dict(weights)
    return student


def _replace(file: Path, write: Callable[[Path], None]) -> None:
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")  # made by `write`, with the usual permissions
    try:
        write(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
