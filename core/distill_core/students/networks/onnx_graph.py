"""Students as ONNX graphs, written node by node; each network writes its own (`Projector.onnx`).

torch's exporter traces them as well, but takes seconds and more packages, and fixes the size of the batch
where a module asks for the length of its input. What is written here is compared with torch whenever it is
exported (`onnx_difference`), so the two cannot drift apart unseen.
"""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as states
from torch import Tensor, nn

from distill_core.errors import ExportError
from distill_core.students.networks.student import Projector

OPSET = 17
"""The first with layer normalisation, so that also older runtimes open the model."""

QUERIES, PROJECTIONS = "queries", "projections"

_IR_VERSION = 8
"""The one of opset 17; a newer one would shut out the runtimes that know that opset."""

_MAX_BYTES = 2**31 - 2**20
"""A file of Protocol Buffers cannot be larger than 2 GiB; the rest is for the graph."""

_SHORTEST = 1e-12
"""The length that torch's `normalize` divides by at least."""


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


def onnx_model(student: Projector, metadata: dict[str, str] | None = None) -> bytes:
    """Return the content of an ONNX file: `queries` (batch, d) to `projections` (batch, d), float32.

    Args:
        student: In its form for inference.
        metadata: To go into the file.

    Raises:
        ExportError: There is no ONNX form of this kind of student, or it is too large.
    """
    if student.num_parameters * 4 > _MAX_BYTES:
        raise ExportError("A student of more than 2 GiB does not fit into an ONNX file.")
    graph = OnnxGraph()
    output = student.onnx(graph, QUERIES)
    graph.nodes.append(helper.make_node("Identity", [output], [PROJECTIONS]))
    shape: list[str | int | None] = ["batch", student.embed_dim]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "student",
            [helper.make_tensor_value_info(QUERIES, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(PROJECTIONS, TensorProto.FLOAT, shape)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="distill-tui",
    )
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    return cast(bytes, model.SerializeToString())


class OnnxGraph:
    """Nodes and weights, each under a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: float | list[int]) -> str:
        """Append a node and return the name of its output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [name], name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def constant(self, values: Tensor | NDArray[Any]) -> str:
        """Add numbers and return their name."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        """Add one float32."""
        return self.constant(np.array(value, np.float32))

    def linear(self, rows: str, linear: nn.Linear) -> str:
        """Multiply rows (batch, in) by a matrix, and shift."""
        shift = [] if linear.bias is None else [self.constant(linear.bias)]
        return self.add("Gemm", rows, self.constant(linear.weight), *shift, transB=1)

    def gelu(self, rows: str) -> str:
        """Return x/2 (1 + erf(x / sqrt 2)), in the order that runtimes know to fuse."""
        error = self.add("Erf", self.add("Div", rows, self.number(math.sqrt(2.0))))
        return self.add(
            "Mul", self.add("Mul", rows, self.add("Add", error, self.number(1.0))), self.number(0.5)
        )

    def layer_norm(self, rows: str, scale: Tensor, shift: Tensor | None, epsilon: float) -> str:
        """Bring each row to mean 0 and variance 1, then scale and shift it."""
        constants = [self.constant(values) for values in (scale, shift) if values is not None]
        return self.add("LayerNormalization", rows, *constants, axis=-1, epsilon=epsilon)

    def normalize(self, rows: str) -> str:
        """Divide each row by its length."""
        length = self.add("ReduceL2", rows, axes=[-1], keepdims=1)
        return self.add("Div", rows, self.add("Max", length, self.number(_SHORTEST)))

    def reshape(self, rows: str, *shape: int) -> str:
        """Give rows another shape; 0 keeps a size as it is."""
        return self.add("Reshape", rows, self.constant(np.array(shape, np.int64)))


def onnx_difference(content: bytes, student: Projector, queries: NDArray[np.float32]) -> float:
    """Return the largest difference from torch's outputs over their largest, in batches of 0, 1, 2 and 4,097.

    Args:
        content: Of the ONNX file.
        student: In the form that was exported.
        queries: To compare on, (n, d); repeated where the batches need more.

    Raises:
        ExportError: The outputs differ by more than rounding, or onnxruntime does not open the file.
    """
    rows = np.resize(queries, (sum(BATCHES), queries.shape[1]))
    expected = student.project(rows)
    difference = _difference(_run(content, rows), expected)
    if not (difference <= TOLERANCE or difference <= _ROUNDINGS * _rounding(student, rows)):
        raise ExportError(
            f"Its outputs differ from torch's by {difference:.1e} of the largest: not by rounding.",
            "Take model.safetensors; please report this with the student's shape.",
        )
    return difference


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
