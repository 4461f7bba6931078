"""Students as ONNX graphs, written node by node; each network writes its own (`Projector.onnx`).

torch's exporter traces them as well, but takes seconds and more packages, and fixes the size of the batch
where a module asks for the length of its input. What is written here is compared with torch whenever it is
exported (`onnx_check`), so the two cannot drift apart unseen.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
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
