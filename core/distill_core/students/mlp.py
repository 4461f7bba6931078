"""The control, without its network: what it can be set to and what it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from msgspec import Meta

from distill_core.architecture import Cost, Shape, default_architecture
from distill_core.students.encoder import encoder_cost
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    from distill_core.students.networks.mlp import MlpStudent

_MOST_FF = 65536


class MlpConfig(StudentConfig, frozen=True, kw_only=True, tag="mlp"):
    """A plain perceptron with as many parameters as the published encoder."""

    ABOUT: ClassVar[str] = "plain control"
    HELP: ClassVar[str] = "The *mlp* is the control: no heads, and as many parameters as the encoder."

    layers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            title="Layers L",
            description="Hidden layers.",
            extra={"symbol": "L", "default": "book rule"},
        ),
    ] = 2
    ff_dim: Annotated[
        int,
        Meta(
            ge=1,
            le=_MOST_FF,
            title="Feed-forward",
            description="Hidden layers so wide that the size is that of an encoder of this width.",
        ),
    ] = 512
    dropout: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(title="Dropout", description="Share dropped while training; auto: strong 0, book 0.1."),
    ] = None

    @classmethod
    def network(cls) -> type[MlpStudent]:
        """Return the class of the network."""
        from distill_core.students.networks.mlp import MlpStudent

        return MlpStudent

    @classmethod
    def defaults(cls, num_heads: int, dimension: int) -> dict[str, int]:
        """Return the book rule's L."""
        return {"layers": default_architecture(num_heads, dimension)[1]}

    @classmethod
    def choices(cls, num_heads: int, dimension: int) -> dict[str, tuple[int, ...]]:
        """Return layers and widths."""
        return {"layers": (1, 2, 3), "ff_dim": (64, 128, 256, 512, 1024)}

    def shape(self, dimension: int, num_heads: int) -> Shape:
        """Return what builds the network; a dropout that is left to the recipe counts as none."""
        return {
            "embed_dim": dimension,
            "num_layers": self.layers,
            "width": mlp_width(dimension, self.layers, self.ff_dim),
            "dropout": self.dropout or 0.0,
        }

    @classmethod
    def of_shape(cls, shape: Shape) -> Self:
        """Return the settings with the smallest feed-forward width that gives at least this width."""
        dimension, layers, width = (int(shape[name]) for name in ("embed_dim", "num_layers", "width"))
        low, high = 1, _MOST_FF
        while low < high:
            middle = (low + high) // 2
            if mlp_width(dimension, layers, middle) >= width:
                high = middle
            else:
                low = middle + 1
        return cls(layers=layers, ff_dim=low, dropout=float(shape["dropout"]))

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        """Return the cost of all layers."""
        return mlp_cost(*(int(shape[name]) for name in ("embed_dim", "num_layers", "width")))

    def cost_row(self, dimension: int, num_heads: int) -> tuple[str, str]:
        """Return the width of the hidden layers."""
        return "hidden width", f"{mlp_width(dimension, self.layers, self.ff_dim):,}"


def mlp_width(dimension: int, layers: int, ff_dim: int) -> int:
    """Return the width at which an mlp of L hidden layers has the encoder's parameters, or a little less.

    `(L - 1) w^2 + (2d + L) w + d` parameters are set equal to the encoder's and solved for w.
    """
    wanted = encoder_cost(dimension, layers, ff_dim).parameters - dimension
    half = 2 * dimension + layers
    if layers == 1:
        return max(1, wanted // half)
    return max(1, (math.isqrt(half * half + 4 * (layers - 1) * wanted) - half) // (2 * (layers - 1)))


def mlp_cost(dimension: int, layers: int, width: int) -> Cost:
    """Cost of an mlp with L hidden layers of one width."""
    products = 2 * dimension * width + (layers - 1) * width * width
    return Cost(parameters=products + layers * width + dimension, flops=2 * products)
