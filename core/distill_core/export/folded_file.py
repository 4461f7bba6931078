"""The folded encoder in a file: safetensors with the shape, and the settings of the run, in the metadata."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from distill_core.config import RunConfig
from distill_core.errors import CheckpointError, SettingsError
from distill_core.safetensors_header import read_texts, texts_in
from distill_core.students import FoldedEncoder, ProjectionTransformer

KIND = "folded_encoder"
_SHAPE = ("embed_dim", "num_layers", "ff_dim")
_UNREADABLE = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    SettingsError,
    TypeError,
    ValueError,
)


def save_folded(student: ProjectionTransformer, config: RunConfig | None = None) -> bytes:
    """Return the content of a file with an encoder in its folded form.

    Args:
        student: The encoder that was trained.
        config: The settings of its run.
    """
    metadata = {name: str(student.shape[name]) for name in _SHAPE}
    if config is not None:
        metadata["config"] = msgspec.json.encode(config).decode()
    weights = {
        name: weight.detach().cpu().contiguous() for name, weight in student.fold().state_dict().items()
    }
    return save(weights, {"format": "pt", "student": KIND, **metadata})


def load_folded(path: str | os.PathLike[str]) -> FoldedEncoder:
    """Load a folded encoder.

    Raises:
        CheckpointError: The file is missing, damaged, or no folded encoder.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
        folded = _unfilled(_shape(texts_in(BytesIO(content))))
        folded.load_state_dict(load(content))
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{file} does not hold a folded encoder ({type(error).__name__}).",
            "Pass a model_folded.safetensors that an export wrote.",
        ) from error
    return folded


def is_folded(path: Path) -> bool:
    """Tell whether a file says that it holds a folded encoder; one that cannot be read does not."""
    try:
        return read_texts(path).get("student") == KIND
    except (OSError, SafetensorError):
        return False


def _shape(metadata: dict[str, str]) -> dict[str, int]:
    if metadata.get("student") != KIND:
        raise ValueError(f"a student of the kind {metadata.get('student')}")
    return {name: int(metadata[name]) for name in _SHAPE}


def _unfilled(shape: dict[str, int]) -> FoldedEncoder:
    """Return a folded encoder of a shape; torch's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        return ProjectionTransformer(
            shape["embed_dim"], num_heads=1, num_layers=shape["num_layers"], ff_dim=shape["ff_dim"]
        ).fold()
