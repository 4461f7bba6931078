"""The published student: a transformer encoder that reads the query as a sequence of one token."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from distill_core.config import StudentConfig, require_divisible
from distill_core.errors import VectorError


class ProjectionTransformer(nn.Module):
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
        return cls(dimension, config.heads, config.layers, config.ff_dim, config.dropout)

    @property
    def num_parameters(self) -> int:
        """Stored numbers, all of them trainable."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""
        tokens = self.input_proj(queries).unsqueeze(1)
        return cast(Tensor, self.output_proj(self.encoder(tokens).squeeze(1)))

    def project(self, queries: ArrayLike) -> NDArray[np.float32]:
        """Return the projection of one query (d,) or many (n, d), without dropout, in the same shape.

        Raises:
            VectorError: The queries are not of dimension d.
        """
        rows = np.asarray(queries, dtype=np.float32)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.embed_dim:
            raise VectorError(
                f"Queries of shape {rows.shape} do not fit a student of dimension {self.embed_dim}.",
                f"Pass one query ({self.embed_dim},) or many (n, {self.embed_dim}).",
            )
        parameter = self.input_proj.weight
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                batch = torch.tensor(np.atleast_2d(rows)).to(parameter.device, parameter.dtype)
                projected = self(batch).float().cpu().numpy()
        finally:
            self.train(was_training)
        return cast(NDArray[np.float32], projected.reshape(rows.shape))
