"""The settings of a run: frozen, validated, each described once (`distill_core.settings`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from distill_core.errors import SettingsError
from distill_core.settings import Settings, in_words
from distill_core.students.kinds import default_student, parse_student
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    _Student = StudentConfig
else:
    _Student = Any  # read as what it says and made by its kind, which a library's user may have registered

Recipe = Literal["strong", "book"]
SplitKind = Literal["query", "cluster"]
QueryWeights = Literal["asked", "equal"]
MseReduction = Literal["mean", "sum"]
Device = Literal["auto", "cpu", "cuda", "mps"]


MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-6, 1e6
"""Beyond these single precision tells nothing apart: all lower ones route to the best head alone, all higher
ones blend every head alike, and a student's softmax can be given no such scale."""


def check_temperature(tau: float, subject: str = "The temperature") -> float:
    """Return tau if a projection can be computed with it; the one rule for stored, chosen and typed ones.

    Raises:
        SettingsError: It is not positive, not finite, or too small or too large to mean anything.
    """
    if MIN_TEMPERATURE <= tau <= MAX_TEMPERATURE:
        return float(tau)
    limits = f"from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
    raise SettingsError(
        f"{subject} is {tau}, not a positive number {limits}.",
        "Choose another temperature; 0.1 is a common one.",
        field="temperature",
    )


class DataConfig(Settings, frozen=True, kw_only=True):
    """Which teacher."""

    database: Annotated[
        str,
        Meta(
            title="Database",
            description="The lda.db, or the folder of vectors, to open; it is never written to.",
        ),
    ]
    mh_id: Annotated[
        int,
        Meta(ge=0, title="Projection", description="Number of the multi-head projection in the database."),
    ] = 1
    temperature: Annotated[
        Annotated[float, Meta(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)] | None,
        Meta(
            title="Temperature τ",
            description="Another τ than the stored one.",
            extra={"default": "as stored"},
        ),
    ] = None


class SplitConfig(Settings, frozen=True, kw_only=True):
    """Which queries train, are watched, and judge."""

    split: Annotated[
        SplitKind,
        Meta(title="Split", description="query: at random; cluster: whole clusters unseen."),
    ] = "query"
    validation_fraction: Annotated[
        float,
        Meta(
            gt=0,
            lt=0.5,
            title="Validation share",
            description="Share of the queries watched while training.",
            extra={"form": False},
        ),
    ] = 0.1
    test_fraction: Annotated[
        float,
        Meta(
            gt=0,
            lt=0.5,
            title="Test share",
            description="Share of the queries kept for the final evaluation.",
            extra={"form": False},
        ),
    ] = 0.2
    query_weights: Annotated[
        QueryWeights,
        Meta(
            title="Query weights",
            description="asked: a question counts as often as the data says it is asked; equal: once.",
            extra={"form": False},
        ),
    ] = "asked"
    exclude_near_duplicates: Annotated[
        bool,
        Meta(
            title="No near-duplicates",
            description="Judge without test queries that nearly stand in the training part.",
        ),
    ] = False
    split_seed: Annotated[
        int,
        Meta(
            ge=0,
            lt=2**32,
            title="Split seed",
            description="Draws the split; runs that differ in their seed alone share their test queries.",
            extra={"form": False},
        ),
    ] = 0


class TrainingConfig(Settings, frozen=True, kw_only=True):
    """How the student learns. What is None is left to the recipe (`distill_core.training.recipes`)."""

    recipe: Annotated[
        Recipe,
        Meta(
            title="Recipe",
            description="strong: new queries, labelled as they are drawn; book: as published.",
        ),
    ] = "strong"
    cosine_weight: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Lambda λ",
            description="Loss is (1-λ)·MSE + λ·(1-cos).",
        ),
    ] = 0.7
    epochs: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(
            title="Epochs",
            description="Rounds over as many queries as train; auto: book 200, strong 3,000 steps.",
        ),
    ] = None
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=10)] | None,
        Meta(title="Learning rate", description="Highest step size of AdamW; auto: strong 3e-3, book 1e-4."),
    ] = None
    batch_size: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(title="Batch", description="Queries a training step; auto: strong 128, book 32."),
    ] = None
    mse_reduction: Annotated[
        MseReduction | None,
        Meta(title="MSE over d", description="mean or sum over the d dimensions; auto: mean."),
    ] = None
    seed: Annotated[
        int,
        Meta(
            ge=0,
            lt=2**32,
            title="Seed",
            description="Fixes weights, batches and dropout.",
        ),
    ] = 0
    device: Annotated[Device, Meta(title="Device", description="auto is cuda, else mps, else cpu.")] = "auto"
    threads: Annotated[
        int,
        Meta(ge=0, le=1024, title="Threads", description="CPU threads; 0 leaves it to torch."),
    ] = 1
    compiled: Annotated[
        bool,
        Meta(title="Compile", description="Train through torch.compile; no gain on a CPU (docs/recipe.md)."),
    ] = False


class RunConfig(Settings, frozen=True, kw_only=True):
    """Everything a run is made of, complete with defaults, so that it can be repeated."""

    data: DataConfig
    split: SplitConfig = msgspec.field(default_factory=SplitConfig)
    student: _Student = msgspec.field(default_factory=default_student)
    training: TrainingConfig = msgspec.field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.student, StudentConfig):
            msgspec.structs.force_setattr(self, "student", parse_student(self.student))


def parse_config(builtins: Mapping[str, object]) -> RunConfig:
    """Build a run's settings from plain dictionaries, as read from TOML or JSON.

    Where no `split_seed` stands, an older version wrote them, which drew the split by the training's seed.

    Raises:
        SettingsError: A value is unknown, of the wrong type or out of its range.
    """
    try:
        return msgspec.convert(_with_split_seed(builtins), RunConfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings cannot be used: {in_words(error).rstrip('.')}.") from error


def _with_split_seed(builtins: Mapping[str, object]) -> Mapping[str, object]:
    split, training = builtins.get("split", {}), builtins.get("training", {})
    if not isinstance(split, Mapping) or not isinstance(training, Mapping) or "seed" not in training:
        return builtins
    return {**builtins, "split": {"split_seed": training["seed"], **split}}
