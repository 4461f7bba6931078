"""Students in files: safetensors with the shape in the metadata, and the published `.pt` layout."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import pickle
import secrets
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from distill_core.config import RunConfig, parse_config
from distill_core.errors import CheckpointError, SettingsError
from distill_core.students.kinds import STUDENT_KINDS

if TYPE_CHECKING:
    from distill_core.students.networks.student import Projector, Student

_DIGEST = "sha256"
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
    msgspec.DecodeError,
    pickle.UnpicklingError,
    struct.error,
)
"""What torch and safetensors were seen to raise when a file is damaged at random."""

Network = TypeVar("Network", bound="Projector")


class _Content(NamedTuple):
    """A safetensors file: which network it holds, with the arguments that build it, and its weights."""

    metadata: dict[str, str]
    weights: dict[str, NDArray[Any]]

    def filled(self, network: Network) -> Network:
        """Return the network with the weights of the file."""
        network.take_weights(self.weights)
        return network


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
        if is_safetensors(file):
            student = _student_of(_read(file))
        elif reference_layout:
            student = _load_reference(file)
        else:
            raise ValueError("no safetensors")
    except _UNREADABLE as error:
        raise _unusable(file, error) from error
    if dimension is not None and student.embed_dim != dimension:
        raise CheckpointError(
            f"{file} is a student of dimension {student.embed_dim}, the projection has {dimension}.",
            "Take a student that was distilled from this projection.",
        )
    return student.eval()


def load_for_inference(path: str | os.PathLike[str], *, reference_layout: bool = True) -> Projector:
    """Load a student in its form for inference, from a file that holds that form, or the student itself.

    Raises:
        CheckpointError: The file is missing, damaged, or holds neither.
    """
    file = Path(path)
    try:
        content = _read(file) if file.is_file() and is_safetensors(file) else None
        for kind in STUDENT_KINDS.values() if content else ():
            network = kind.network()
            if content and network.FOLDED and content.metadata.get("student") == network.FOLDED.KIND:
                return content.filled(network.empty_fold(content.metadata)).eval()
    except _UNREADABLE as error:
        raise _unusable(file, error) from error
    return load_student(file, reference_layout=reference_layout).fold().eval()


def student_bytes(student: Projector, config: RunConfig | None = None) -> bytes:
    """Return the content of a safetensors file with a student, its shape, and the settings of its run.

    A checksum goes with it, so that `load_student` notices a changed bit.

    Raises:
        CheckpointError: The weights have no place in such a file.
    """
    metadata = {name: msgspec.json.encode(value).decode() for name, value in student.shape.items()}
    if config is not None:
        metadata["config"] = msgspec.json.encode(config).decode()
    weights = {name: np.ascontiguousarray(array) for name, array in student.weights().items()}
    try:
        return save(weights, {"format": "pt", "student": student.KIND, _DIGEST: _digest(weights), **metadata})
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"The weights cannot be written: {error}.") from error


def save_student(student: Student, path: str | os.PathLike[str], config: RunConfig | None = None) -> Path:
    """Write a student; `.pt` gives the reference implementation's layout, any other name safetensors.

    The file appears whole or not at all. With safetensors the settings of the run go into the metadata, so
    that the student can be judged again on the same split.

    Raises:
        CheckpointError: The file cannot be written, or the layout has no place for this kind of student.
    """
    file = Path(path)
    try:
        content = _reference_bytes(student) if file.suffix == ".pt" else student_bytes(student, config)
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, content)
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
        with safe_open(file, framework="numpy") as opened:
            text = (opened.metadata() or {}).get("config")
        return None if text is None else parse_config(msgspec.json.decode(text))
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{file} cannot be read ({type(error).__name__}).", "Check the path."
        ) from error


def require_writable(path: str | os.PathLike[str], kind: str = "") -> None:
    """Check before a long run that the weights of a student of this kind can be written.

    Raises:
        CheckpointError: The folder cannot be made or written to, the path is a folder, or its name stands for
            a layout without a place for this kind.
    """
    file = Path(path)
    if file.suffix == ".pt" and kind and not STUDENT_KINDS[kind].REFERENCE_LAYOUT:
        raise _no_reference_layout(kind)
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


def is_safetensors(file: Path) -> bool:
    """Tell by the content: safetensors has the length of its header in 8 bytes, then JSON.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as handle:
        return handle.read(9)[8:] == b"{"


def _unusable(file: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{file} does not hold a student's weights ({type(error).__name__}).",
        "Pass a file written by --save or an export, or a checkpoint of the reference implementation.",
    )


def _reference_bytes(student: Student) -> bytes:
    import torch

    saved, content = student.reference_content(), io.BytesIO()
    if saved is None:
        raise _no_reference_layout(student.KIND)
    torch.save(saved, content)
    return content.getvalue()


def _no_reference_layout(kind: str) -> CheckpointError:
    return CheckpointError(
        f"A student of the kind {kind} has no place in the reference's .pt layout.",
        "Choose a name that ends in .safetensors.",
    )


def _load_reference(path: Path) -> Student:
    import torch

    with path.open("rb") as file:  # given a name, torch goes by its ending
        saved = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(saved, dict):
        raise TypeError(f"{type(saved).__name__} in place of a dictionary")
    kind = next(kind for kind in STUDENT_KINDS.values() if kind.REFERENCE_LAYOUT)
    return kind.network().from_reference(saved)


def _digest(weights: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: Path) -> _Content:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if metadata.get(_DIGEST) not in (None, _digest(weights)):
        raise ValueError("its checksum does not fit")
    return _Content(metadata, weights)


def _student_of(content: _Content) -> Student:
    network = STUDENT_KINDS[content.metadata.get("student", next(iter(STUDENT_KINDS)))].network()
    names = inspect.signature(network).parameters
    shape = {name: msgspec.json.decode(content.metadata[name]) for name in names}
    student: Student = cast(Any, network)(**shape)
    return content.filled(student)


def _replace(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")  # made with the usual permissions
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
