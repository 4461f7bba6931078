"""What every network of a student can do. One row goes through NumPy, in half the time that torch takes."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from distill_core.architecture import Shape
from distill_core.errors import ExportError, VectorError
from distill_core.teacher import MultiHeadLDA

if TYPE_CHECKING:
    from distill_core.students.networks.onnx_graph import OnnxGraph

Array = NDArray[Any]


class LinearView(NamedTuple):
    """The weights of a linear map as arrays over the same memory.

    Attributes:
        weight: (out, in).
        bias: (out,), or None.
    """

    weight: Array
    bias: Array | None

    def apply(self, row: Array) -> Array:
        """Map a row (in,) to (out,)."""
        product: Array = self.weight.dot(row)
        if self.bias is not None:
            product += self.bias
        return product


def suits_numpy(queries: Tensor, weight: Tensor) -> bool:
    """Return whether queries (batch, d) are one row on a CPU that no gradient and no compiler follows."""
    return (
        queries.shape[0] == 1
        and queries.device.type == weight.device.type == "cpu"
        and queries.dtype == weight.dtype == torch.float32
        and not (torch.is_grad_enabled() or torch.compiler.is_compiling())
    )


def as_array(weight: Tensor) -> Array:
    """Return the weight's own memory as an array."""
    array: Array = weight.detach().numpy()
    return array


def as_linear(linear: nn.Linear) -> LinearView:
    """Return a linear map's own memory as arrays."""
    return LinearView(as_array(linear.weight), None if linear.bias is None else as_array(linear.bias))


def as_rows(row: Array) -> Tensor:
    """Return an array (d,) as a tensor (1, d) over the same memory."""
    return torch.from_numpy(row)[None]


class Projector(nn.Module, ABC):
    """A network from queries (batch, d) to projections (batch, d), which a file can hold.

    Attributes:
        KIND: Its name in files.
        embed_dim: d.
    """

    KIND: ClassVar[str]
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
    @abstractmethod
    def shape(self) -> Shape:
        """The arguments that build it, as they go into a file."""

    def onnx(self, graph: OnnxGraph, queries: str) -> str:
        """Write it into an ONNX graph, from the name of queries to the name of projections.

        Raises:
            ExportError: It has no ONNX form.
        """
        raise ExportError(f"A {type(self).__name__} has no ONNX form.")

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return all numbers that it stores, by name."""
        return {name: weight.detach().cpu().numpy() for name, weight in self.state_dict().items()}

    def take_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Store other numbers of the same names and shapes."""
        self.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})

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
    """A network that can be distilled, saved and folded."""

    STARTS_AS_TEACHER: ClassVar[bool] = False
    """Whether it takes its first weights from the teacher whatever the recipe."""

    FOLDED: ClassVar[type[Projector] | None] = None
    """The class of its form for inference, if that is another one and has files of its own."""

    @classmethod
    def empty_fold(cls, shape: Shape) -> Projector:
        """Return a form for inference of this shape, for weights from a file."""
        raise TypeError(f"{cls.__name__} does not fold")

    @property
    def facts(self) -> dict[str, object]:
        """What the result of a training tells of this student beyond its scores: plain values by name."""
        return {}

    @property
    def note(self) -> str:
        """What a verdict on this student tells of it beyond its scores, in a sentence or two."""
        return ""

    def reference_content(self) -> dict[str, Any] | None:
        """Return what the reference implementation's `.pt` holds of it; None if it has no place there."""
        return None

    @classmethod
    def from_reference(cls, content: dict[str, Any]) -> Self:
        """Build a student from what the reference implementation's `.pt` holds."""
        raise TypeError(f"{cls.__name__} is not in the reference's layout")

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


def pickled(content: object) -> bytes:
    """Return a file in torch's own format, which the reference implementation reads."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def unpickled(path: Path) -> object:
    """Return what such a file holds, on the CPU, without running any code of it; raises what torch raises."""
    with path.open("rb") as file:  # given a name, torch goes by its ending
        return torch.load(file, map_location="cpu", weights_only=True)
