"""The routed student, without its arrays: what it can be set to, what its fit chooses from, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self, cast

from msgspec import Meta

from distill_core.architecture import Cost, Shape, lda_cost
from distill_core.errors import SettingsError
from distill_core.students.spec import Candidate, StudentConfig

if TYPE_CHECKING:
    from distill_core.students.networks.student import Student

Near = Literal["scan", "cells", "lda"]
Storage = Literal["float32", "float16", "int8"]

_LEAST_NUMBERS = 1_000 * 384
"""Below so many numbers N x d the LDA itself takes no longer than an index."""

_LEAST_SCANNED = 64
"""Heads from which 16 code words a part can be told, whatever the user asks for."""

_MANY_HEADS = 10_000
_FAST_BRANCHES = 4

_KEPT_AND_REFINED = (
    *((16, 16, 12), (32, 64, 8), (64, 64, 8), (128, 128, 8)),
    *((128, 256, 8), (64, 128, 4), (128, 256, 4)),
)
"""k heads kept, candidates refined and dimensions a code: the scans from the fastest on."""
_MOST_EXACT = ((256, 512, 4), (256, 1024, 4))
_OPENED_CELLS = (8, 16, 32, 64, 128)


class Rung(NamedTuple):
    """One way to find the near heads.

    Attributes:
        near: By a scan of short codes, by the nearest cells, or all heads as in the LDA itself.
        opened: Heads that are kept (scan) or cells that are opened (cells).
        refined: Candidates whose exact score is computed (scan).
        codes: 4-bit codes a head (scan).
    """

    near: Near
    opened: int = 0
    refined: int = 0
    codes: int = 0

    @property
    def words(self) -> str:
        """The rung in short, such as `scan 48 codes, 32 of 64`."""
        if self.near == "scan":
            return f"scan {self.codes} codes, {self.opened} of {self.refined}"
        return f"{self.opened} cells opened" if self.near == "cells" else "the LDA itself"


LDA = Rung("lda")


class Wishes(NamedTuple):
    """What validation must reach: mean and worst cosine, agreement@10 and the routing's recall@1."""

    cosine: float
    worst: float
    agreement: float
    recall: float


class RoutedConfig(StudentConfig, frozen=True, kw_only=True, tag="routed"):
    """Exact where a query is near, merged where it is far, a linear map for what is left.

    H branches and L levels of a k-means tree give H^L cells, whose merged heads stand for all that is far.
    """

    ABOUT: ClassVar[str] = "near heads exactly, H^L merged cells for the rest"
    HELP: ClassVar[str] = (
        "*routed* finds the heads near a query by an index and computes them exactly; the others stand as "
        "the merged heads of H^L cells. Its fit takes the fastest way that reaches what is wanted."
    )
    BY_GRADIENTS: ClassVar[bool] = False
    INERT_TRAINING: ClassVar[frozenset[str]] = frozenset(
        {"recipe", "cosine_weight", "learning_rate", "batch_size", "mse_reduction", "compiled"}
    )
    LEAST_HEADS: ClassVar[int] = _LEAST_SCANNED
    FIXED_BESIDE_SHAPE: ClassVar[Mapping[str, object]] = MappingProxyType(
        # Few near heads, so that the cells have much to stand for; no wish, so that the first way is taken.
        {"near": "scan", "opened": 8, "refined": 64}
        | {"wanted_cosine": -1.0, "wanted_worst": -1.0, "wanted_agreement": 0.0, "wanted_recall": 0.0}
    )
    KEEPS_HEADS: ClassVar[bool] = True
    CARD_NOTE: ClassVar[str] = "It needs faiss where its near heads are found by a scan."

    heads: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            title="Heads H",
            description="Branches of a node in the tree of cells.",
            extra={"symbol": "H", "default": str(_FAST_BRANCHES)},
        ),
    ] = _FAST_BRANCHES
    layers: Annotated[
        int,
        Meta(
            ge=1,
            le=16,
            title="Layers L",
            description="Levels of the tree; H^L cells stand for what is far.",
            extra={"symbol": "L"},
        ),
    ] = 4
    near: Annotated[
        Near | None,
        Meta(
            title="Near heads",
            description="Scan of 4-bit codes, nearest cells, lda: all; auto: chosen by the fit.",
        ),
    ] = None
    opened: Annotated[
        Annotated[int, Meta(ge=1, le=65536)] | None,
        Meta(
            title="Opened k",
            description="Heads kept by the scan, or cells opened; auto: chosen by the fit.",
        ),
    ] = None
    refined: Annotated[
        Annotated[int, Meta(ge=1, le=65536)] | None,
        Meta(
            title="Refined",
            description="Candidates of the scan whose exact score is computed; auto: chosen by the fit.",
        ),
    ] = None
    codes: Annotated[
        Annotated[int, Meta(ge=1, le=65536)] | None,
        Meta(
            title="Codes",
            description="4-bit codes a head, which must divide d; auto: chosen by the fit.",
        ),
    ] = None
    storage: Annotated[
        Storage,
        Meta(title="Storage", description="Type of the numbers of the head vectors."),
    ] = "float32"
    labels: Annotated[
        int,
        Meta(ge=64, le=1_000_000, title="Labels", description="Queries labelled by the teacher, at most."),
    ] = 4_000
    wanted_cosine: Annotated[
        float,
        Meta(ge=-1, le=1, title="Wanted cosine", description="Mean on validation that the fit must reach."),
    ] = 0.9995
    wanted_worst: Annotated[
        float,
        Meta(
            ge=-1,
            le=1,
            title="Wanted worst",
            description="Cosine that the worst validation query must reach.",
        ),
    ] = 0.99
    wanted_agreement: Annotated[
        float,
        Meta(ge=0, le=1, title="Wanted agreement", description="Agreement@10 that the fit must reach."),
    ] = 0.955
    wanted_recall: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Wanted recall",
            description="Share of validation queries whose best head must be among the near ones.",
        ),
    ] = 0.97

    @classmethod
    def network(cls) -> type[Student]:
        """Return the class of the student, which is no torch module."""
        from distill_core.students.networks.routed import RoutedStudent

        return cast("type[Student]", RoutedStudent)

    @classmethod
    def defaults(cls, num_heads: int, dimension: int) -> dict[str, int]:
        """Return 4^4 cells, 4^3 for fewer heads: more of them were no nearer to the teacher."""
        return {"heads": _FAST_BRANCHES, "layers": 4 if num_heads >= _MANY_HEADS else 3}

    def check(self, dimension: int) -> None:
        """Check that the codes divide d."""
        if self.codes is not None and dimension % self.codes:
            raise SettingsError(
                f"Codes: {self.codes} do not divide the dimension {dimension}.",
                f"Take {_codes(dimension, self.codes)}, or auto.",
                field="codes",
            )

    @property
    def cells(self) -> int:
        """H^L."""
        return int(self.heads**self.layers)

    @property
    def wishes(self) -> Wishes:
        """What the validation queries must reach."""
        return Wishes(self.wanted_cosine, self.wanted_worst, self.wanted_agreement, self.wanted_recall)

    def ladder(self, dimension: int, num_heads: int) -> tuple[Rung, ...]:
        """Return the ways to find the near heads that the fit chooses from, the fastest first.

        What is set stays as it is set. The LDA itself is the last one where the way is not set, and the only
        one for few heads.
        """
        if self.near == "lda" or self._are_few(dimension, num_heads):
            return (LDA,)
        if self.near == "cells":
            counts = _OPENED_CELLS if self.opened is None else (self.opened,)
            return tuple(dict.fromkeys(Rung("cells", min(count, self.cells)) for count in counts))
        scans = tuple(self._scans(dimension, num_heads))
        return scans if self.near == "scan" else (*scans, LDA)

    def _are_few(self, dimension: int, num_heads: int) -> bool:
        """Tell whether heads are too few for any other way than the LDA itself."""
        return num_heads < _LEAST_SCANNED or (self.near is None and num_heads * dimension < _LEAST_NUMBERS)

    def _scans(self, dimension: int, num_heads: int) -> dict[Rung, None]:
        """Return the scans with what is set in its place, each once, that refine at most a quarter of all."""
        found: dict[Rung, None] = {}
        for kept, refined, width in _KEPT_AND_REFINED + _MOST_EXACT:
            k = min(self.opened or kept, num_heads)
            pool = min(max(self.refined or refined, k), num_heads)
            codes = _codes(dimension, -(-dimension // width) if self.codes is None else self.codes)
            if not found or 4 * pool <= num_heads:
                found[Rung("scan", k, pool, codes)] = None
        return found

    def shape(self, dimension: int, num_heads: int) -> Shape:
        """Return the arguments of the student on the fastest rung of the ladder."""
        rung = self.ladder(dimension, num_heads)[0]
        return {
            "embed_dim": dimension,
            "teacher_heads": num_heads,
            "num_heads": self.heads,
            "num_layers": self.layers,
            **rung._asdict(),
            "storage": self.storage if rung.near != "lda" else "float32",
        }

    @classmethod
    def choices(cls, num_heads: int, dimension: int) -> dict[str, tuple[int, ...]]:
        """Return trees of 64 to 4,096 cells; how near heads are found is left to the fit."""
        return {"layers": (3, 4, 5, 6)}

    @classmethod
    def of_shape(cls, shape: Shape) -> Self:
        """Return settings that leave nothing to the fit."""
        names = ("near", "opened", "refined", "codes")
        set_ones = {name: shape[name] for name in names if shape[name]}
        layout = {"heads": shape["num_heads"], "layers": shape["num_layers"], "storage": shape["storage"]}
        return cls(**layout, **set_ones)  # type: ignore[arg-type]  # checked when they are made

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        """Return the cost of finding, refining and blending the near heads, and of the far field."""
        dimension, heads = int(shape["embed_dim"]), int(shape["teacher_heads"])
        cells = min(int(shape["num_heads"]) ** int(shape["num_layers"]), heads)
        rung = Rung(*(shape[name] for name in Rung._fields))  # type: ignore[arg-type]
        cost = routed_cost(dimension, heads, cells, rung)
        scales = 2 * heads if shape["storage"] == "int8" else 0
        return Cost(cost.parameters + scales, cost.flops)

    def candidates(self, dimension: int, num_heads: int) -> tuple[Candidate, ...]:
        """Return trees of 64, 256 and 1,024 cells with the default: N of them would leave nothing merged."""
        default = self.with_defaults(num_heads, dimension)
        trees = [self.with_values(heads=_FAST_BRANCHES, layers=layers) for layers in (3, 4, 5)]
        return tuple(
            Candidate(tree, tree.cost(dimension, num_heads), ("default",) if tree == default else ())
            for tree in trees
        )

    def cost_row(self, dimension: int, num_heads: int) -> tuple[str, str]:
        """Return the cells that there will be."""
        return "cells H^L", f"{min(self.cells, num_heads):,}"


def _codes(dimension: int, wanted: int) -> int:
    """Return the smallest divisor of d that is as large as wanted."""
    return next(count for count in range(min(wanted, dimension), dimension + 1) if dimension % count == 0)


def routed_cost(dimension: int, heads: int, cells: int, rung: Rung) -> Cost:
    """Cost of a routed student for N heads of dimension d in G cells.

    Operations count the products, 3d for the length of the input and about 4 a weight of the softmax; for the
    scan a look-up and an addition a code. Parameters count every stored number, two codes as one.
    """
    if rung.near == "lda":
        return lda_cost(heads, dimension)
    rows = cells + dimension + 1
    parameters = 2 * heads * dimension + heads + rows * (dimension + 1) + cells * dimension
    flops = 2 * rows * dimension + 2 * cells * dimension + 3 * dimension + 4 * cells
    if rung.near == "cells":
        near = -(-heads * rung.opened // cells)
        return Cost(parameters, flops + 4 * near * dimension + 4 * near)
    parameters += 16 * dimension + heads * -(-rung.codes // 2)
    scan = 2 * heads * rung.codes + 32 * dimension
    exact = 2 * rung.refined * dimension + 2 * rung.opened * dimension + 4 * rung.opened
    return Cost(parameters, flops + scan + exact)
