"""A student in which heads count: attention over learned slots, started from the merged teacher."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_core.architecture import require_divisible
from distill_core.errors import SettingsError
from distill_core.evaluation.merged_teacher import MergedTeacher, merge_heads
from distill_core.students.networks.student import (
    Array,
    LinearView,
    Student,
    as_array,
    as_linear,
    as_rows,
    suits_numpy,
)
from distill_core.teacher import MultiHeadLDA

if TYPE_CHECKING:
    from distill_core.students.networks.onnx_graph import OnnxGraph

_MOST_MERGED = 16_384
"""Of more heads than this, as many are drawn before they are merged into slots."""

_SHORTEST = 1e-12
"""The length that torch's `normalize` divides by at least."""

_FIRST_VALUES = 1e-3
"""Spread of the values in all layers but the last, which so start by passing the query on."""


class MemoryStudent(Student):
    """L layers, each with H heads that attend from the query over K learned key and value slots.

    In every layer the direction of the input is mapped to a width r and cut into H parts; head h compares its
    part with K keys of length r/H, and the mixture of its K values is its part of the output, which a r x d
    matrix maps back. All layers but the last add their output to the query. With one layer, one head, r = d
    and K = N this is the LDA itself, so the slots start as the teacher's heads, merged where K < N,
    in the r directions in which they differ most.

    Args:
        embed_dim: d.
        num_heads: H, must divide the width.
        num_layers: L.
        slots: K, slots of each head.
        width: r, at most d.

    Raises:
        SettingsError: H does not divide the width, or that is larger than d.
    """

    KIND = "memory"
    STARTS_AS_TEACHER = True

    def __init__(
        self,
        embed_dim: int = 384,
        num_heads: int = 1,
        num_layers: int = 1,
        slots: int = 256,
        width: int = 96,
    ) -> None:
        super().__init__()
        require_divisible(width, num_heads, "width")
        if width > embed_dim:
            raise SettingsError(f"A width of {width} is more than the dimension {embed_dim}.", field="width")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.slots = slots
        self.width = width
        self.layers = nn.ModuleList(
            MemoryLayer(embed_dim, num_heads, slots, width) for _ in range(num_layers)
        )

    @property
    def shape(self) -> dict[str, int | float]:
        """The arguments that build this student."""
        return {
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "num_layers": self.num_layers,
            "slots": self.slots,
            "width": self.width,
        }

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        if suits_numpy(queries, cast(MemoryLayer, self.layers[-1]).keys):
            return self._one_row(queries)
        rows = F.normalize(queries, dim=-1)
        for layer in self.layers[:-1]:
            rows = rows + layer(rows)
        return cast(Tensor, self.layers[-1](rows))

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        """Write it into an ONNX graph."""
        rows = graph.normalize(queries)
        *inner, last = (cast(MemoryLayer, layer) for layer in self.layers)
        for layer in inner:
            rows = graph.add("Add", rows, layer.onnx(graph, rows))
        return last.onnx(graph, rows)

    def _one_row(self, query: Tensor) -> Tensor:
        """As `forward`, of a query (1, d) in NumPy."""
        if self._views is None:
            self._views = tuple(cast(MemoryLayer, layer).view() for layer in self.layers)
        *inner, last = self._views
        row = _unit(as_array(query)[0])
        for layer in inner:
            row = row + layer.apply(row)
        return as_rows(last.apply(row))

    @torch.no_grad()
    def scale_output(self, factor: float) -> None:
        """Multiply what the student puts out by a factor."""
        last = cast(MemoryLayer, self.layers[-1])
        last.output.weight.mul_(factor)
        last.output.bias.mul_(factor)

    @torch.no_grad()
    def start_from(self, teacher: MultiHeadLDA, seed: int = 0) -> None:
        """Make the slots the teacher's heads, merged into K groups where there are more.

        Several heads share the width in rotated directions, so that each of them sees a part of every
        centroid. K is at most N.
        """
        merged = _merged(teacher, self.slots, seed)
        generator = torch.Generator().manual_seed(seed)
        directions = _principal(merged.centroids, self.width)
        middle = merged.answers.mean(axis=0)
        spans = _principal(merged.answers - middle, self.width)
        for layer in self.layers:
            cast(MemoryLayer, layer).start_from(merged, directions, spans, generator)
        last = cast(MemoryLayer, self.layers[-1])
        last.output.bias.copy_(torch.from_numpy(middle))
        answers = torch.from_numpy(merged.answers - middle)
        last.values.copy_(last.by_head(answers @ last.output.weight))


class MemoryLayer(nn.Module):
    """H heads over K slots each: `sum_k softmax(scale (W_q x/|x|) . key_k + bias_k)_k value_k`, then W_o."""

    def __init__(self, dimension: int, num_heads: int, slots: int, width: int) -> None:
        super().__init__()
        size = (num_heads, slots, width // num_heads)
        self.query = nn.Linear(dimension, width, bias=False)
        self.keys = nn.Parameter(torch.randn(size) / math.sqrt(size[2]))
        self.biases = nn.Parameter(torch.zeros(num_heads, slots))
        self.log_scale = nn.Parameter(torch.zeros(num_heads))
        self.values = nn.Parameter(torch.randn(size) / math.sqrt(size[2]))
        self.output = nn.Linear(width, dimension)

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows (batch, d) to rows (batch, d)."""
        parts = self.by_head(self.query(F.normalize(rows, dim=-1)))
        parts = parts * self.log_scale.exp()[:, None, None]
        scores = torch.baddbmm(self.biases[:, None, :], parts, self.keys.transpose(1, 2))
        mixed = torch.bmm(torch.softmax(scores, dim=-1), self.values)
        return cast(Tensor, self.output(mixed.transpose(0, 1).flatten(1)))

    def view(self) -> _LayerView:
        """Return the layer's own memory as arrays."""
        return _LayerView(
            query=as_linear(self.query),
            keys=as_array(self.keys),
            biases=as_array(self.biases),
            log_scale=as_array(self.log_scale),
            values=as_array(self.values),
            output=as_linear(self.output),
        )

    def by_head(self, rows: Tensor) -> Tensor:
        """Cut rows (n, r) into the parts (H, n, r/H) of the heads."""
        num_heads, _, size = self.keys.shape
        return rows.reshape(len(rows), num_heads, size).transpose(0, 1)

    def start_from(
        self, merged: MergedTeacher, directions: Tensor, spans: Tensor, generator: torch.Generator
    ) -> None:
        """Take the centroids as keys, seen in `directions` (r, d); answers will lie in `spans` (r, d)."""
        num_heads = len(self.keys)
        turn_keys, turn_values = (_rotation(len(directions), num_heads, generator) for _ in range(2))
        self.query.weight.copy_(turn_keys @ directions)
        self.keys.copy_(self.by_head(torch.from_numpy(merged.centroids) @ self.query.weight.T))
        self.biases.copy_(torch.from_numpy(merged.log_sizes).expand_as(self.biases))
        # A head sees about 1/H of the squared length of query and centroid alike.
        self.log_scale.fill_(math.log(math.sqrt(num_heads) / merged.temperature))
        self.values.normal_(0.0, _FIRST_VALUES, generator=generator)
        self.output.weight.copy_((turn_values @ spans).T)
        self.output.bias.zero_()

    def onnx(self, graph: OnnxGraph, rows: str) -> str:
        """Write the layer head by head: with an empty batch, products of three axes end older runtimes."""
        num_heads, _, size = self.keys.shape
        scales = self.log_scale.exp()
        direction, mixed = graph.normalize(rows), []
        for head in range(num_heads):
            part = graph.add("MatMul", direction, graph.constant(self.query.weight[head * size :][:size].T))
            part = graph.add("Mul", part, graph.constant(scales[head]))
            scores = graph.add(
                "Gemm", part, graph.constant(self.keys[head]), graph.constant(self.biases[head]), transB=1
            )
            weights = graph.add("Softmax", scores, axis=-1)
            mixed.append(graph.add("MatMul", weights, graph.constant(self.values[head])))
        return graph.linear(mixed[0] if num_heads == 1 else graph.add("Concat", *mixed, axis=1), self.output)


class _LayerView(NamedTuple):
    """A layer for one row in NumPy."""

    query: LinearView
    keys: Array
    biases: Array
    log_scale: Array
    values: Array
    output: LinearView

    def apply(self, row: Array) -> Array:
        """Map a row (d,) to (d,)."""
        parts = self.query.apply(_unit(row)).reshape(len(self.keys), -1)
        parts = parts * np.exp(self.log_scale)[:, None]
        scores = np.matmul(self.keys, parts[:, :, None])[:, :, 0]
        scores += self.biases
        scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
        np.exp(scores, scores)
        scores /= np.add.reduce(scores, axis=1, keepdims=True)
        return self.output.apply(np.matmul(scores[:, None, :], self.values).ravel())


def _unit(row: Array) -> Array:
    unit: Array = row / max(math.sqrt(row.dot(row)), _SHORTEST)
    return unit


def _merged(teacher: MultiHeadLDA, slots: int, seed: int) -> MergedTeacher:
    if teacher.num_heads > _MOST_MERGED:
        rows = np.random.default_rng(seed).choice(teacher.num_heads, _MOST_MERGED, replace=False)
        teacher = MultiHeadLDA(teacher.centroids[rows], teacher.answers[rows], teacher.temperature)
    return merge_heads(teacher, slots, seed)


def _principal(rows: NDArray[np.float32], count: int) -> Tensor:
    """Return the `count` <= d orthonormal directions (count, d) in which rows (n, d) differ most."""
    matrix = torch.from_numpy(rows)
    directions: Tensor = torch.linalg.svd(matrix - matrix.mean(dim=0), full_matrices=True).Vh[:count]
    return directions


def _rotation(width: int, num_heads: int, generator: torch.Generator) -> Tensor:
    if num_heads == 1:
        return torch.eye(width)
    rotation: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    return rotation
