"""Whether an ONNX model gives what torch gives, on many queries."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from distill_core.errors import ExportError
from distill_core.export.contents import CheckQueries
from distill_core.export.directory import OnnxCheck
from distill_core.export.onnx_graph import OPSET, PROJECTIONS, QUERIES
from distill_core.students import Projector

TOLERANCE = 1e-5
"""Of the largest output: rounding of float32 is some 1e-7, and sums are taken in another order."""

BATCHES = (0, 1, 2, 4097)
"""Sizes that a server meets: nothing, one alone, two, and more than a power of two."""

_ROUNDINGS = 4.0
"""More is granted to a student of a very low temperature, whose softmax enlarges rounding: so many times what
torch itself loses by float32."""


_ERRORS = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.NotImplemented,
    states.RuntimeException,
)
"""What onnxruntime raises for a model that it cannot use; they have no base of their own."""


def check_onnx(content: bytes, student: Projector, queries: CheckQueries) -> OnnxCheck:
    """Project queries by onnxruntime and by torch, in batches of 0, 1, 2 and 4,097.

    Args:
        content: Of the ONNX file.
        student: In the form that was exported.
        queries: To compare on; repeated where the batches need more.

    Raises:
        ExportError: The outputs differ by more than rounding, or onnxruntime does not open the file.
    """
    rows = np.resize(queries.rows, (sum(BATCHES), queries.rows.shape[1]))
    expected = student.project(rows)
    difference = _difference(_run(content, rows), expected)
    if not (difference <= TOLERANCE or difference <= _ROUNDINGS * _rounding(student, rows)):
        raise ExportError(
            f"Its outputs differ from torch's by {difference:.1e} of the largest: not by rounding.",
            "Take model.safetensors; please report this with the student's shape.",
        )
    return OnnxCheck(
        queries=len(queries.rows), test_queries=queries.num_test, difference=difference, opset=OPSET
    )


def _run(content: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Left to itself, it pins a thread to every core of the machine, also to those that it may not use.
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        batches = np.split(rows, np.cumsum(BATCHES)[:-1])
        return np.concatenate([session.run([PROJECTIONS], {QUERIES: batch})[0] for batch in batches])
    except _ERRORS as error:
        raise ExportError(f"onnxruntime does not run the model: {error}.") from error


def _rounding(student: Projector, rows: NDArray[np.float32]) -> float:
    return _difference(student.project(rows), copy.deepcopy(student).double().project(rows))


def _difference(outputs: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference over the largest output; NaN where either is no number."""
    scale = float(np.abs(expected).max())
    largest = float(np.abs(outputs - expected).max())
    return largest / scale if scale > 0 else largest
