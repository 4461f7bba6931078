"""The published student, without its network: what it can be set to and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from distill_core.architecture import Cost, Shape, default_architecture, require_divisible
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    from distill_core.students.networks.encoder import ProjectionTransformer


class EncoderConfig(StudentConfig, frozen=True, kw_only=True, tag="encoder"):
    """A transformer encoder that reads the query as one token."""

    ABOUT: ClassVar[str] = "as published"
    HELP: ClassVar[str] = (
        "In the published encoder the query is one token, so attention has a single key and H changes "
        "nothing in evaluation: L and the feed-forward width are what count."
    )
    CARD_NOTE: ClassVar[str] = (
        "The query is one token, so attention has a single key: the number of heads changes nothing in what "
        "the student computes."
    )
    INERT_HEADS: ClassVar[bool] = True
    REFERENCE_LAYOUT: ClassVar[bool] = True

    heads: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            title="Heads H",
            description="Attention heads; must divide d.",
            extra={"symbol": "H", "default": "book rule"},
        ),
    ] = 4
    layers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            title="Layers L",
            description="Transformer layers; the claim is H^L ≈ N.",
            extra={"symbol": "L", "default": "book rule"},
        ),
    ] = 2
    ff_dim: Annotated[
        int,
        Meta(ge=1, le=65536, title="Feed-forward", description="Hidden width of each feed-forward block."),
    ] = 512
    dropout: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(title="Dropout", description="Share dropped while training; auto: strong 0, book 0.1."),
    ] = None

    @classmethod
    def network(cls) -> type[ProjectionTransformer]:
        """Return the class of the network."""
        from distill_core.students.networks.encoder import ProjectionTransformer

        return ProjectionTransformer

    @classmethod
    def defaults(cls, num_heads: int, dimension: int) -> dict[str, int]:
        """Return the book rule's H and L."""
        heads, layers = default_architecture(num_heads, dimension)
        return {"heads": heads, "layers": layers}

    @classmethod
    def choices(cls, num_heads: int, dimension: int) -> dict[str, tuple[int, ...]]:
        """Return layers and widths; H does nothing."""
        return {"layers": (1, 2, 3), "ff_dim": (64, 128, 256, 512, 1024)}

    def check(self, dimension: int) -> None:
        """Check that H divides d."""
        require_divisible(dimension, self.heads)

    def shape(self, dimension: int, num_heads: int) -> Shape:
        """Return what builds the network; a dropout that is left to the recipe counts as none."""
        return {
            "embed_dim": dimension,
            "num_heads": self.heads,
            "num_layers": self.layers,
            "ff_dim": self.ff_dim,
            "dropout": self.dropout or 0.0,
        }

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        """Return the cost as published."""
        return encoder_cost(*(int(shape[name]) for name in ("embed_dim", "num_layers", "ff_dim")))

    @classmethod
    def inference_cost_of(cls, shape: Shape) -> Cost:
        """Return the cost of the folded form."""
        return folded_encoder_cost(*(int(shape[name]) for name in ("embed_dim", "num_layers", "ff_dim")))


def encoder_cost(dimension: int, layers: int, ff_dim: int) -> Cost:
    """Cost of the published encoder on one token; H changes neither figure.

    Two d x d linear maps; each layer has four d x d attention maps, a feed-forward block and two layer
    norms. Operations count the matrix products, and 8d a layer norm.
    """
    square = dimension * dimension
    feed_forward = 2 * dimension * ff_dim
    layer = 4 * square + 4 * dimension + feed_forward + ff_dim + dimension + 4 * dimension
    products = 2 * square + layers * (4 * square + feed_forward)
    return Cost(
        parameters=2 * (square + dimension) + layers * layer,
        flops=2 * products + layers * 16 * dimension,
    )


def folded_encoder_cost(dimension: int, layers: int, ff_dim: int) -> Cost:
    """Cost of the encoder folded for inference: one d x d map a layer and one at the end."""
    square = dimension * dimension
    feed_forward = 2 * dimension * ff_dim
    layer = square + dimension + feed_forward + ff_dim + dimension + 2 * dimension
    products = (layers + 1) * square + layers * feed_forward
    return Cost(parameters=square + dimension + layers * layer, flops=2 * products + layers * 16 * dimension)
