"""The published student: a transformer encoder that reads the query as a sequence of one token."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from distill_core.config import StudentConfig, require_divisible
from distill_core.students.networks.folded_encoder import FoldedEncoder
from distill_core.students.networks.one_token import OneTokenEncoder
from distill_core.students.networks.student import Student
from distill_core.teacher import MultiHeadLDA

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

    @classmethod
    def from_config(cls, config: StudentConfig, dimension: int) -> ProjectionTransformer:
        """Build an untrained student of the given shape, with torch's current random state."""
        return cls(dimension, config.heads, config.layers, config.ff_dim, config.dropout or 0.0)

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

    @property
    def _layers(self) -> list[nn.TransformerEncoderLayer]:
        return [cast(nn.TransformerEncoderLayer, layer) for layer in self.encoder.layers]
