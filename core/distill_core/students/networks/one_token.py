"""The published encoder as it is trained: what one token never uses is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn


class OneTokenEncoder(nn.Module):
    """An encoder over one token, whose weights are the given modules' own.

    The softmax over one key is 1, so attention is `W_o (W_v x + b_v) + b_o`; W_q and W_k get no gradient.
    All other gradients, and the outputs, are those of the plain network. Dropout acts on the same places:
    on attention it drops whole heads.

    Training this trains the encoder that it was made from, whose device must not change meanwhile.
    """

    def __init__(
        self, input_proj: nn.Linear, layers: Iterable[nn.TransformerEncoderLayer], output_proj: nn.Linear
    ) -> None:
        super().__init__()
        self.input_proj = input_proj
        self.layers = nn.ModuleList(_OneTokenLayer(layer) for layer in layers)
        self.output_proj = output_proj

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        rows = self.input_proj(queries)
        for layer in self.layers:
            rows = layer(rows)
        return cast(Tensor, self.output_proj(rows))


class _OneTokenLayer(nn.Module):
    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        attention = layer.self_attn
        values = slice(2 * attention.embed_dim, None)
        # Parameters over the same memory: a step of the optimiser on them is one on the encoder.
        self.value_weight = nn.Parameter(attention.in_proj_weight.detach()[values])
        self.value_bias = nn.Parameter(attention.in_proj_bias.detach()[values])
        self.value_out = attention.out_proj
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.linear1, self.linear2 = layer.linear1, layer.linear2
        self._num_heads = attention.num_heads
        self._dropout = layer.dropout.p

    def forward(self, rows: Tensor) -> Tensor:
        values = self._drop_heads(F.linear(rows, self.value_weight, self.value_bias))
        rows = self.norm1(rows + self._drop(self.value_out(values)))
        hidden = self._drop(F.gelu(self.linear1(rows)))
        return cast(Tensor, self.norm2(rows + self._drop(self.linear2(hidden))))

    def _drop(self, rows: Tensor) -> Tensor:
        return F.dropout(rows, self._dropout, self.training) if self._dropout else rows

    def _drop_heads(self, values: Tensor) -> Tensor:
        if not (self._dropout and self.training):
            return values
        kept = F.dropout(values.new_ones(len(values), self._num_heads, 1), self._dropout)
        return (values.view(len(values), self._num_heads, -1) * kept).flatten(1)
