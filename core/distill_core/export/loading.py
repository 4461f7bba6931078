"""A trained student from wherever it is: an export, a run, or a file of weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from distill_core.errors import CheckpointError
from distill_core.export.directory import FOLDED, ONNX, WEIGHTS
from distill_core.runs.folder import RunFolder, absolute, is_run
from distill_core.students import load_for_inference

if TYPE_CHECKING:
    from distill_core.students import Projector


def load(path: str | os.PathLike[str]) -> Projector:
    """Load a student in its form for inference: `load(path).project(queries)`, NumPy in, NumPy out.

    Args:
        path: The folder of an export or of a run, whose best weights are taken; or a file of weights,
            safetensors or the reference implementation's `.pt`.

    Raises:
        CheckpointError: There are no weights, or they cannot be read.
    """
    place = absolute(path)
    file = _file_of(place)
    return load_for_inference(file, reference_layout=not place.is_dir())


def _file_of(place: Path) -> Path:
    if place.suffix == Path(ONNX).suffix and place.is_file():
        raise CheckpointError(
            f"{place} is an ONNX model, which onnxruntime opens.",
            "Pass the folder of the export, or its model.safetensors.",
        )
    if not place.is_dir():
        return place
    found = next((file for name in (FOLDED, WEIGHTS) if (file := place / name).is_file()), None)
    if found is not None:
        return found
    if is_run(place):
        best = RunFolder(place).best_checkpoint
        if best.is_file():
            return best
        raise CheckpointError(f"The run {place} has no weights yet.", "Train it further, then load it.")
    raise CheckpointError(
        f"{place} is the folder of neither an export nor a run.", "Check the path, or pass a file of weights."
    )
