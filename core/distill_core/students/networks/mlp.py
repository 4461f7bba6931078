"""The control: a plain multi-layer perceptron with as many parameters as the published encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from distill_core.students.networks.student import Student, as_array, as_linear, as_rows, suits_numpy

if TYPE_CHECKING:
    from distill_core.students.networks.onnx_graph import OnnxGraph


class MlpStudent(Student):
    """L hidden layers of one width with GELU between Linear maps from d and to d.

    Args:
        embed_dim: d.
        num_layers: L.
        width: Of each hidden layer; `students.mlp.mlp_width` gives the one of equal parameter count.
        dropout: Share dropped after each hidden layer while training.
    """

    KIND = "mlp"

    def __init__(
        self, embed_dim: int = 384, num_layers: int = 2, width: int = 1024, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.num_layers = num_layers
        self.width = width
        self.dropout = dropout
        inputs = (embed_dim, *(width for _ in range(num_layers - 1)))
        self.hidden = nn.Sequential(
            *(nn.Sequential(nn.Linear(size, width), nn.GELU(), nn.Dropout(dropout)) for size in inputs)
        )
        self.output = nn.Linear(width, embed_dim)

    @property
    def shape(self) -> dict[str, int | float]:
        """The arguments that build this student."""
        return {
            "embed_dim": self.embed_dim,
            "num_layers": self.num_layers,
            "width": self.width,
            "dropout": self.dropout,
        }

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        if self.training or not suits_numpy(queries, self.output.weight):
            return cast(Tensor, self.output(self.hidden(queries)))
        return self._one_row(queries)

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        """Write it into an ONNX graph."""
        rows = queries
        for layer in self.hidden:
            rows = graph.gelu(graph.linear(rows, cast(nn.Linear, cast(nn.Sequential, layer)[0])))
        return graph.linear(rows, self.output)

    def _one_row(self, query: Tensor) -> Tensor:
        """As `forward`, of a query (1, d) whose products NumPy takes."""
        if self._views is None:
            hidden = (cast(nn.Sequential, layer)[0] for layer in self.hidden)
            self._views = tuple(as_linear(cast(nn.Linear, linear)) for linear in (*hidden, self.output))
        *layers, output = self._views
        row = as_array(query)[0]
        for layer in layers:
            row = as_array(F.gelu(torch.from_numpy(layer.apply(row))))
        return as_rows(output.apply(row))

    @torch.no_grad()
    def scale_output(self, factor: float) -> None:
        """Multiply what the student puts out by a factor."""
        self.output.weight.mul_(factor)
        self.output.bias.mul_(factor)
