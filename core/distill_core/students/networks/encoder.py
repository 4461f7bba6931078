"""The published student: a transformer encoder that reads the query as a sequence of one token.

As it is trained (`OneTokenEncoder`), what one token never uses is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from distill_core.architecture import Shape, require_divisible
from distill_core.students.networks.folded_encoder import FoldedEncoder
from distill_core.students.networks.student import Student
from distill_core.teacher import MultiHeadLDA

_PARTS = ("input_proj", "encoder", "output_proj")
_REFERENCE_SHAPE = {"embed_dim": int, "num_heads": int, "num_layers": int, "ff_dim": int, "dropout": float}

_FIRST_GAIN = 5.0
"""How much louder the first map starts along the strongest direction of the centroids."""


class ProjectionTransformer(Student):
    """Linear(d, d), L post-norm encoder layers of H heads with GELU, Linear(d, d).

    The query is one token, so attention has one key and its softmax is 1: H does not change what the
    network computes in evaluation, only which attention weights dropout hits while training.

    Args:
        embed_dim: d.
        num_heads: H, must divide d.
        num_layers: L.
        ff_dim: Width of each feed-forward block.
        dropout: Share dropped while training.

    Raises:
        SettingsError: H does not divide d.
    """

    KIND = "encoder"
    FOLDED = FoldedEncoder

    def __init__(
        self,
        embed_dim: int = 384,
        num_heads: int = 4,
        num_layers: int = 2,
        ff_dim: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        require_divisible(embed_dim, num_heads)
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.ff_dim = ff_dim
        self.dropout = dropout
        self.input_proj = nn.Linear(embed_dim, embed_dim)
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, ff_dim, dropout, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.output_proj = nn.Linear(embed_dim, embed_dim)
        for linear in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    @property
    def shape(self) -> dict[str, int | float]:
        """The arguments that build this student."""
        return {
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "num_layers": self.num_layers,
            "ff_dim": self.ff_dim,
            "dropout": self.dropout,
        }

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        tokens = self.input_proj(queries).unsqueeze(1)
        return cast(Tensor, self.output_proj(self.encoder(tokens).squeeze(1)))

    def fold(self) -> FoldedEncoder:
        """Return the same function for inference only, in a little more than half the parameters."""
        return FoldedEncoder(self.input_proj, self._layers, self.output_proj)

    @classmethod
    def empty_fold(cls, shape: Shape) -> FoldedEncoder:
        """Return a folded encoder of this shape; torch's random state stays as it is."""
        dimension, layers, ff_dim = (int(shape[name]) for name in ("embed_dim", "num_layers", "ff_dim"))
        with torch.random.fork_rng(devices=[]):
            return cls(dimension, num_heads=1, num_layers=layers, ff_dim=ff_dim).fold()

    def training_form(self) -> OneTokenEncoder:
        """Return the same network, sharing its weights, without queries, keys and softmax of attention."""
        return OneTokenEncoder(self.input_proj, self._layers, self.output_proj)

    @torch.no_grad()
    def start_from(self, teacher: MultiHeadLDA, seed: int = 0) -> None:
        """Make the first map louder in the directions in which the teacher's centroids differ.

        A singular vector of the centred, unit centroids is amplified in proportion to its singular value.
        """
        lengths = np.linalg.norm(teacher.centroids, axis=1, keepdims=True)
        centroids = torch.from_numpy(teacher.centroids / lengths)
        _, values, directions = torch.linalg.svd(centroids - centroids.mean(dim=0), full_matrices=False)
        gains = _FIRST_GAIN * values / values[0].clamp_min(1e-12)
        weight = self.input_proj.weight
        along = (weight.cpu() @ directions.T * gains) @ directions
        weight.add_(along.to(weight))

    @torch.no_grad()
    def scale_output(self, factor: float) -> None:
        """Multiply what the student puts out by a factor."""
        self.output_proj.weight.mul_(factor)
        self.output_proj.bias.mul_(factor)

    def reference_content(self) -> dict[str, Any]:
        """Return what the reference implementation's `.pt` holds."""
        parts = {part: getattr(self, part).state_dict() for part in _PARTS}
        weights = {
            part: {name: weight.detach().cpu().contiguous() for name, weight in state.items()}
            for part, state in parts.items()
        }
        return {**self.shape, **weights}

    @classmethod
    def from_reference(cls, content: dict[str, Any]) -> ProjectionTransformer:
        """Build the student that the reference implementation saved."""
        student = cls(**{name: kind(content[name]) for name, kind in _REFERENCE_SHAPE.items()})
        for part in _PARTS:
            getattr(student, part).load_state_dict(content[part])
        return student

    @property
    def _layers(self) -> list[nn.TransformerEncoderLayer]:
        return [cast(nn.TransformerEncoderLayer, layer) for layer in self.encoder.layers]


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
        size = values.shape[1] // self._num_heads
        return (values.view(len(values), self._num_heads, size) * kept).flatten(1)
