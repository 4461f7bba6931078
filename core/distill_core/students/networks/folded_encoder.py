"""The published encoder for inference: one matrix where the network has three."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from distill_core.students.networks.student import (
    Array,
    LinearView,
    Projector,
    as_array,
    as_linear,
    as_rows,
    suits_numpy,
)

if TYPE_CHECKING:
    from distill_core.students.networks.onnx_graph import OnnxGraph


class FoldedEncoder(Projector):
    """The function of an encoder over one token, with everything linear multiplied out.

    Attention over one token is the matrix `W_o W_v`. With its residual connection, and with the layer norm
    scale or the input map before it, it is one d x d matrix a layer; the last layer norm's scale and shift
    go into the output map. The products are computed in float64, so outputs agree to rounding.

    Args:
        input_proj: (d, d).
        layers: Post-norm encoder layers with GELU.
        output_proj: (d, d).
    """

    KIND = "folded_encoder"

    def __init__(
        self, input_proj: nn.Linear, layers: Sequence[nn.TransformerEncoderLayer], output_proj: nn.Linear
    ) -> None:
        super().__init__()
        self.embed_dim = input_proj.in_features
        self.layers = nn.ModuleList()
        before = _affine(input_proj)
        for layer in layers:
            self.layers.append(_FoldedLayer(layer, before))
            before = _scaling(layer.norm2)
        self.output = _linear(_after(_affine(output_proj), before), output_proj)
        self.eval().requires_grad_(requires_grad=False)

    @property
    def shape(self) -> dict[str, int]:
        """What tells how large the weights are."""
        first = cast(_FoldedLayer, self.layers[0])
        return {
            "embed_dim": self.embed_dim,
            "num_layers": len(self.layers),
            "ff_dim": first.linear1.out_features,
        }

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        if suits_numpy(queries, self.output.weight):
            return self._one_row(queries)
        rows = queries
        for layer in self.layers:
            rows = layer(rows)
        return cast(Tensor, self.output(rows))

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        """Write it into an ONNX graph."""
        rows, ones = queries, torch.ones(self.embed_dim)
        for module in self.layers:
            layer = cast(_FoldedLayer, module)
            norm = layer.norm
            rows = graph.layer_norm(graph.linear(rows, layer.attention), norm.weight, norm.bias, norm.eps)
            hidden = graph.gelu(graph.linear(rows, layer.linear1))
            rows = graph.add("Add", rows, graph.linear(hidden, layer.linear2))
            rows = graph.layer_norm(rows, ones, None, norm.eps)
        return graph.linear(rows, self.output)

    def _one_row(self, query: Tensor) -> Tensor:
        """As `forward`, of a query (1, d) whose products NumPy takes."""
        if self._views is None:
            layers = tuple(cast(_FoldedLayer, layer).view() for layer in self.layers)
            self._views = layers, as_linear(self.output)
        layers, output = self._views
        row = as_array(query)[0]
        for layer in layers:
            row = layer.apply(row)
        return as_rows(output.apply(row))


class _FoldedLayer(nn.Module):
    """Linear, layer norm, feed-forward with its residual connection, layer norm without scale."""

    def __init__(self, layer: nn.TransformerEncoderLayer, before: _Affine) -> None:
        super().__init__()
        d = layer.self_attn.embed_dim
        self.attention = _linear(_after(_attention(layer.self_attn), before), layer.linear1)
        self.norm = copy.deepcopy(layer.norm1)
        self.linear1 = _linear(_affine(layer.linear1), layer.linear1)
        self.linear2 = _linear(_affine(layer.linear2), layer.linear2)
        self._shape = (d,)
        self._eps = layer.norm2.eps

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.norm(self.attention(rows))
        rows = rows + self.linear2(F.gelu(self.linear1(rows)))
        return F.layer_norm(rows, self._shape, eps=self._eps)

    def view(self) -> _LayerView:
        """Return the layer's own memory as arrays."""
        return _LayerView(
            attention=as_linear(self.attention),
            linear1=as_linear(self.linear1),
            linear2=as_linear(self.linear2),
            norm=(self.norm.weight.detach(), self.norm.bias.detach()),
            eps=self._eps,
        )


class _LayerView(NamedTuple):
    """A layer for one row: products by NumPy, the rest by torch."""

    attention: LinearView
    linear1: LinearView
    linear2: LinearView
    norm: tuple[Tensor, Tensor]
    eps: float

    def apply(self, row: Array) -> Array:
        """Map a row (d,) to (d,)."""
        shape = row.shape
        scale, shift = self.norm
        normed = F.layer_norm(torch.from_numpy(self.attention.apply(row)), shape, scale, shift, self.eps)
        hidden = F.gelu(torch.from_numpy(self.linear1.apply(normed.numpy())))
        added = self.linear2.apply(hidden.numpy())
        added += normed.numpy()
        return as_array(F.layer_norm(torch.from_numpy(added), shape, eps=self.eps))


_Affine = tuple[Tensor, Tensor]
"""A matrix (out, in) and a shift (out,), both float64 on the CPU: mps has no float64."""


def _affine(linear: nn.Linear) -> _Affine:
    return _exact(linear.weight), _exact(linear.bias)


def _attention(attention: nn.MultiheadAttention) -> _Affine:
    """Return `I + W_o W_v` and its shift."""
    d = attention.embed_dim
    values = _exact(attention.in_proj_weight[2 * d :]), _exact(attention.in_proj_bias[2 * d :])
    matrix, shift = _after((_exact(attention.out_proj.weight), _exact(attention.out_proj.bias)), values)
    return matrix + torch.eye(d, dtype=torch.float64), shift


def _scaling(norm: nn.LayerNorm) -> _Affine:
    return torch.diag(_exact(norm.weight)), _exact(norm.bias)


def _after(second: _Affine, first: _Affine) -> _Affine:
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def _linear(affine: _Affine, like: nn.Linear) -> nn.Linear:
    matrix, shift = affine
    linear = nn.Linear(matrix.shape[1], matrix.shape[0], device="meta")
    for name, values in (("weight", matrix), ("bias", shift)):
        setattr(linear, name, _fixed(values.to(like.weight.device, like.weight.dtype)))
    return linear


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.contiguous())


def _exact(values: Tensor) -> Tensor:
    return values.detach().cpu().double()
