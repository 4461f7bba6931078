"""The settings of a run: frozen, validated, each described once.

Every field carries its title, its one-line description and its range in `msgspec.Meta`. The form, the
help of the command line and the validation all read them from here (`describe`, `check_field`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from distill_core.errors import SettingsError

StudentKind = Literal["encoder", "memory", "mlp"]
Recipe = Literal["strong", "book"]
SplitKind = Literal["query", "cluster"]
MseReduction = Literal["mean", "sum"]
AUTO = "auto"
"""How a form or a command line says that a setting is left to the recipe: None in the settings."""
Device = Literal["auto", "cpu", "cuda", "mps"]


class FieldDescription(msgspec.Struct, frozen=True):
    """How one setting presents itself in a form or in a help text."""

    name: str
    title: str
    description: str
    choices: tuple[str, ...] = ()


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that check themselves when they are made, by code or from a file."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, check_field(type(self), name, getattr(self, name)))

    def with_values(self, **values: object) -> Self:
        """Return a copy with some values replaced, validated again.

        Made anew, because `structs.replace` checks nothing before msgspec 0.21, nor does a `copy.replace`.
        """
        return type(self)(**{**msgspec.structs.asdict(self), **values})


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


class DataConfig(_Settings, frozen=True, kw_only=True):
    """Which teacher."""

    database: Annotated[
        str, Meta(title="Database", description="The lda.db to open; it is never written to.")
    ]
    mh_id: Annotated[
        int,
        Meta(ge=0, title="Projection", description="Number of the multi-head projection in the database."),
    ] = 1
    temperature: Annotated[
        Annotated[float, Meta(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)] | None,
        Meta(title="Temperature τ", description="Another τ than the stored one."),
    ] = None


class SplitConfig(_Settings, frozen=True, kw_only=True):
    """Which queries train, are watched, and judge. The seed of the training draws them."""

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
        ),
    ] = 0.1
    test_fraction: Annotated[
        float,
        Meta(
            gt=0,
            lt=0.5,
            title="Test share",
            description="Share of the queries kept for the final evaluation.",
        ),
    ] = 0.2
    exclude_near_duplicates: Annotated[
        bool,
        Meta(
            title="No near-duplicates",
            description="Judge without test queries that nearly stand in the training part.",
        ),
    ] = False


class StudentConfig(_Settings, frozen=True, kw_only=True):
    """The shape of the student. H must divide the dimension of the embeddings, or the memory's width."""

    kind: Annotated[
        StudentKind,
        Meta(
            title="Student",
            description="encoder: as published; memory: H heads over learned slots; mlp: plain control.",
        ),
    ] = "encoder"
    heads: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            title="Heads H",
            description="Attention heads; must divide d (memory: the width). None in an mlp.",
        ),
    ] = 4
    layers: Annotated[
        int,
        Meta(ge=1, le=64, title="Layers L", description="Transformer layers; the claim is H^L ≈ N."),
    ] = 2
    ff_dim: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            title="Feed-forward",
            description="Hidden width of each feed-forward block; sizes an mlp, unused by memory.",
        ),
    ] = 512
    slots: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            title="Slots K",
            description="memory only: keys and values of each head, never more than N.",
        ),
    ] = 1024
    width: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            title="Width r",
            description="memory only: dimensions the heads share, at most d.",
        ),
    ] = 96
    dropout: Annotated[
        Annotated[float, Meta(ge=0, lt=1)] | None,
        Meta(
            title="Dropout",
            description="Share dropped while training; auto: strong 0, book 0.1. None in a memory.",
        ),
    ] = None


UNUSED_SETTINGS: dict[StudentKind, frozenset[str]] = {
    "encoder": frozenset({"slots", "width"}),
    "memory": frozenset({"ff_dim", "dropout"}),
    "mlp": frozenset({"heads", "slots", "width"}),
}
"""The settings of `StudentConfig` that a kind of student makes no use of."""


class TrainingConfig(_Settings, frozen=True, kw_only=True):
    """How the student learns. What is None is left to the recipe (`distill_core.training.recipes`)."""

    recipe: Annotated[
        Recipe,
        Meta(
            title="Recipe",
            description="strong: new queries, labelled as they are drawn; book: as published.",
        ),
    ] = "strong"
    epochs: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(
            title="Epochs",
            description="Rounds over as many queries as train; auto: book 200, strong 3,000 steps.",
        ),
    ] = None
    batch_size: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(title="Batch", description="Queries a training step; auto: strong 128, book 32."),
    ] = None
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=10)] | None,
        Meta(title="Learning rate", description="Highest step size of AdamW; auto: strong 3e-3, book 1e-4."),
    ] = None
    cosine_weight: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Lambda λ",
            description="Loss is (1-λ)·MSE + λ·(1-cos).",
        ),
    ] = 0.7
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
            description="Fixes split, weights, batches and dropout.",
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


class RunConfig(_Settings, frozen=True, kw_only=True):
    """Everything a run is made of, complete with defaults, so that it can be repeated."""

    data: DataConfig
    split: SplitConfig = msgspec.field(default_factory=SplitConfig)
    student: StudentConfig = msgspec.field(default_factory=StudentConfig)
    training: TrainingConfig = msgspec.field(default_factory=TrainingConfig)


def describe(settings: type[msgspec.Struct], name: str) -> FieldDescription:
    """Return title, description and choices of one setting, as its class declares them."""
    hint = _hints(settings)[name]
    kind, *notes = get_args(hint)
    meta = next(note for note in notes if isinstance(note, Meta))
    choices = tuple(str(choice) for part in _parts(kind) for choice in _choices(part))
    if choices and is_optional(settings, name):
        choices = (AUTO, *choices)
    return FieldDescription(name, meta.title or name, meta.description or "", choices)


def check_field(settings: type[msgspec.Struct], name: str, value: object) -> object:
    """Return `value` converted to the setting's type, text from a form or a file included.

    Raises:
        SettingsError: The value is not of the type or not in the range that the setting declares.
    """
    hint = _hints(settings)[name]
    if value == AUTO and is_optional(settings, name):
        return None
    try:
        return msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        title = describe(settings, name).title if get_args(hint) else name
        raise SettingsError(f"{title}: {_in_words(error)}.", field=name) from error


def is_optional(settings: type[msgspec.Struct], name: str) -> bool:
    """Return whether a setting can be left to the recipe, or to the database."""
    kind, *_ = get_args(_hints(settings)[name]) or (None,)
    return NoneType in _parts(kind)


def parse_config(builtins: Mapping[str, object]) -> RunConfig:
    """Build a run's settings from plain dictionaries, as read from TOML or JSON.

    Raises:
        SettingsError: A value is unknown, of the wrong type or out of its range.
    """
    try:
        return msgspec.convert(builtins, RunConfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The settings cannot be used: {_in_words(error)}.") from error


def require_fitting_heads(student: StudentConfig, dimension: int) -> None:
    """Check that H divides what the heads of this student share: d, the memory's width, nothing in an mlp.

    Raises:
        SettingsError: It does not; the hint names the nearest head counts that do.
    """
    if student.kind == "encoder":
        require_divisible(dimension, student.heads)
    elif student.kind == "memory":
        require_divisible(min(student.width, dimension), student.heads, "width")


def require_divisible(dimension: int, heads: int, name: str = "dimension") -> None:
    """Check that H divides the dimension of the embeddings, or another number of this name.

    Raises:
        SettingsError: It does not; the hint names the nearest head counts that do.
    """
    if heads >= 1 and dimension % heads == 0:
        return
    fitting = [count for count in range(1, min(dimension, 64) + 1) if dimension % count == 0]
    nearest = sorted(sorted(fitting, key=lambda count: abs(count - heads))[:3])
    raise SettingsError(
        f"Heads H = {heads} does not divide the {name} {dimension}.",
        f"Take one of {', '.join(map(str, nearest))}.",
        field="heads",
    )


def _in_words(error: msgspec.ValidationError) -> str:
    reason, _, place = str(error).partition(" - at ")
    for term, words in (
        ("`int", "`a whole number"),
        ("`float", "`a number"),
        ("`str", "`text"),
        ("`bool", "`true or false"),
    ):
        reason = reason.replace(term, words)
    reason = reason.replace(" | null", f" or {AUTO}").replace("`", "")
    where = f" (at {place.strip('`').removeprefix('$.')})" if place else ""
    return f"{reason[0].lower()}{reason[1:]}{where}"


def _parts(kind: object) -> tuple[object, ...]:
    """Return the members of a union; of `X | None` in an `Annotated` they are X and None."""
    return get_args(kind) if isinstance(kind, UnionType) or get_origin(kind) is Union else (kind,)


def _choices(kind: object) -> tuple[object, ...]:
    if kind is bool:
        return ("false", "true")
    return get_args(kind) if get_origin(kind) is Literal else ()


@cache
def _hints(settings: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(settings, include_extras=True)
