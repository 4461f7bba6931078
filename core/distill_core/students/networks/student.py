"""What every student can do, whatever its network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from distill_core.config import StudentKind
from distill_core.errors import VectorError
from distill_core.teacher import MultiHeadLDA


class Projector(nn.Module, ABC):
    """A network from queries (batch, d) to projections (batch, d).

    Attributes:
        embed_dim: d.
    """

    embed_dim: int

    _views: Any = None
    """Arrays over the weights' own memory, for single queries on a CPU; made when they are first needed."""

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move or convert the weights, which then lie elsewhere."""
        self._views = None
        return cast(Self, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of; its weights lie elsewhere, too."""
        return {**self.__dict__, "_views": None}

    @abstractmethod
    def forward(self, queries: Tensor) -> Tensor:
        """Map queries (batch, d) to projections (batch, d)."""

    @property
    def num_parameters(self) -> int:
        """Stored numbers, all of them trainable."""
        return sum(parameter.numel() for parameter in self.parameters())

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
        parameter = next(self.parameters())
        was_training = self.training
        if was_training:
            self.eval()
        try:
            with torch.inference_mode():
                batch = torch.tensor(np.atleast_2d(rows)).to(parameter.device, parameter.dtype)
                projected = self(batch).float().cpu().numpy()
        finally:
            if was_training:
                self.train()
        return cast(NDArray[np.float32], projected.reshape(rows.shape))


class Student(Projector):
    """A network that can be distilled, saved and folded.

    Attributes:
        KIND: Its name in the settings and in files.
    """

    KIND: ClassVar[StudentKind]

    @property
    @abstractmethod
    def shape(self) -> dict[str, int | float]:
        """The arguments that build this student, as they go into a file."""

    def fold(self) -> Projector:
        """Return the form for inference: equal outputs, to rounding, with less work where there is any."""
        return self

    def training_form(self) -> nn.Module:
        """Return the form for training: it shares this student's weights and leaves out what never learns."""
        return self

    def start_from(self, teacher: MultiHeadLDA, seed: int = 0) -> None:
        """Set the untrained weights by what the teacher's own show; most students have no use for that."""

    @abstractmethod
    def scale_output(self, factor: float) -> None:
        """Multiply what the student puts out by a factor."""
