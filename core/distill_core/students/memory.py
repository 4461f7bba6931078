"""The memory student, without its network: what it can be set to and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from msgspec import Meta

from distill_core.architecture import Cost, Shape, require_divisible
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    from distill_core.students.networks.memory import MemoryStudent


class MemoryConfig(StudentConfig, frozen=True, kw_only=True, tag="memory"):
    """Layers of heads that attend over learned slots.

    One head over N slots of the whole width is the form of the LDA itself, so that is the default
    (docs/recipe.md compares others).
    """

    ABOUT: ClassVar[str] = "H heads over learned slots"
    HELP: ClassVar[str] = (
        "In *memory* H counts: each head attends over K learned slots, which start as the teacher's "
        "own heads."
    )

    heads: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            title="Heads H",
            description="Attention heads over the slots; must divide the width r.",
            extra={"symbol": "H"},
        ),
    ] = 1
    layers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            title="Layers L",
            description="Layers of heads; the claim is H^L ≈ N.",
            extra={"symbol": "L"},
        ),
    ] = 1
    slots: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            title="Slots K",
            description="Keys and values of each head, never more than N.",
            extra={"symbol": "K"},
        ),
    ] = 1024
    width: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            title="Width r",
            description="Dimensions the heads share, at most d.",
            extra={"symbol": "r"},
        ),
    ] = 96

    @classmethod
    def network(cls) -> type[MemoryStudent]:
        """Return the class of the network."""
        from distill_core.students.networks.memory import MemoryStudent

        return MemoryStudent

    @classmethod
    def defaults(cls, num_heads: int, dimension: int) -> dict[str, int]:
        """Return one head in one layer, whatever the teacher."""
        return {"heads": 1, "layers": 1}

    @classmethod
    def choices(cls, num_heads: int, dimension: int) -> dict[str, tuple[int, ...]]:
        """Return heads, layers, and powers of two of slots up to N and of widths up to d."""
        slots = tuple(2**power for power in range(5, 13) if 2**power < 2 * num_heads)
        widths = tuple(2**power for power in range(4, 10) if 2**power <= dimension)
        sizes = {"slots": slots or (num_heads,), "width": widths or (dimension,)}
        return {"heads": (1, 2, 4), "layers": (1, 2), **sizes}

    def check(self, dimension: int) -> None:
        """Check that H divides the width."""
        require_divisible(self.shared_by_heads(dimension), self.heads, "width")

    def shared_by_heads(self, dimension: int) -> int:
        """Return the width, which is never more than d."""
        return min(self.width, dimension)

    def fitting(self, dimension: int, num_heads: int) -> Self:
        """Return the settings with never more slots than N, and never more width than d."""
        return self.with_values(slots=min(self.slots, num_heads), width=self.shared_by_heads(dimension))

    def shape(self, dimension: int, num_heads: int) -> Shape:
        """Return the arguments that build the network."""
        built = self.fitting(dimension, num_heads)
        return {
            "embed_dim": dimension,
            "num_heads": built.heads,
            "num_layers": built.layers,
            "slots": built.slots,
            "width": built.width,
        }

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        """Return the cost of all layers."""
        names = ("embed_dim", "num_heads", "num_layers", "slots", "width")
        return memory_cost(*(int(shape[name]) for name in names))

    def cost_row(self, dimension: int, num_heads: int) -> tuple[str, str]:
        """Return the slots that there will be."""
        return "slots K", f"{self.fitting(dimension, num_heads).slots:,}"


def memory_cost(dimension: int, heads: int, layers: int, slots: int, width: int) -> Cost:
    """Cost of the memory student: L layers of H heads over K slots each, all heads sharing a width r.

    A layer maps d to r, compares with K keys and mixes K values of r numbers over all heads, and maps r to d.
    Operations count the matrix products, 3d for the length of the input and about 4 a slot for the softmax.
    """
    layer = 2 * dimension * width + 2 * slots * width + heads * slots + heads + dimension
    flops = 4 * dimension * width + 4 * slots * width + 3 * dimension + 4 * heads * slots
    return Cost(parameters=layers * layer, flops=layers * flops)
