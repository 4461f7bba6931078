"""Students in files: safetensors with the shape in the metadata, and the published `.pt` layout."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import pickle
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from distill_core.config import RunConfig, parse_config
from distill_core.errors import CheckpointError, SettingsError
from distill_core.outputs import Output
from distill_core.safetensors_header import read_texts, texts_in
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


def student_sha256(student: Projector) -> str:
    """Return the identity of a student's weights, in hexadecimal."""
    return _digest(student.weights())


def load_for_inference(path: str | os.PathLike[str], *, reference_layout: bool = True) -> Projector:
    """Load a student in its form for inference, from a file that holds that form, or the student itself.

    Raises:
        CheckpointError: The file is missing, damaged, or holds neither.
    """
    file = Path(path)
    try:
        content = _read(file) if file.is_file() and is_safetensors(file) else None
        if content and content.metadata.get("student") in STUDENT_KINDS:  # other kinds may load torch
            return _student_of(content).fold().eval()
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


def save_student(
    student: Student, output: str | os.PathLike[str] | Output, config: RunConfig | None = None
) -> Path:
    """Write a student; `.pt` gives the reference implementation's layout, any other name safetensors.

    Only the published encoder fits the reference implementation's layout. With safetensors the settings of
    the run go into the metadata, so that the student can be judged again on the same split.

    Args:
        student: To write.
        output: The file, which appears whole or not at all; given by its path, one that exists is replaced,
            unless it is a database, vectors or a run's.
        config: The settings of its run.

    Raises:
        CheckpointError: The student has no place in the layout.
        OutputError: The file cannot be written, or must not be.
    """
    if not isinstance(output, Output):
        output = Output(output, replace=True)
    if output.path.suffix != ".pt":
        return output.write(student_bytes(student, config))
    return output.write(_reference_bytes(student))


def read_run_config(path: str | os.PathLike[str]) -> RunConfig | None:
    """Return the settings of the run that saved a student; None in a file that does not hold them.

    Raises:
        CheckpointError: The file cannot be read.
    """
    file = Path(path)
    try:
        if not is_safetensors(file):
            return None
        text = read_texts(file).get("config")
        return None if text is None else parse_config(msgspec.json.decode(text))
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{file} cannot be read ({type(error).__name__}).", "Check the path."
        ) from error


def require_layout(path: str | os.PathLike[str], kind: str) -> None:
    """Check before a long run that a file's name stands for a layout with a place for a kind of student.

    Raises:
        CheckpointError: It does not.
    """
    if Path(path).suffix == ".pt" and not STUDENT_KINDS[kind].REFERENCE_LAYOUT:
        raise _no_reference_layout(kind)


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
    from distill_core.students.networks.student import pickled

    saved = student.reference_content()
    if saved is None:
        raise _no_reference_layout(student.KIND)
    return pickled(saved)


def _no_reference_layout(kind: str) -> CheckpointError:
    return CheckpointError(
        f"A student of the kind {kind} has no place in the reference's .pt layout.",
        "Choose a name that ends in .safetensors.",
    )


def _load_reference(path: Path) -> Student:
    from distill_core.students.networks.student import unpickled

    saved = unpickled(path)
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
    content = path.read_bytes()
    metadata, weights = texts_in(io.BytesIO(content)), load(content)
    if metadata.get(_DIGEST) not in (None, _digest(weights)):
        raise ValueError("its checksum does not fit")
    return _Content(metadata, weights)


def _student_of(content: _Content) -> Student:
    network = STUDENT_KINDS[content.metadata.get("student", next(iter(STUDENT_KINDS)))].network()
    names = inspect.signature(network).parameters
    shape = {name: msgspec.json.decode(content.metadata[name]) for name in names}
    student: Student = cast(Any, network)(**shape)
    return content.filled(student)
