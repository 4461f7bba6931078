"""The kinds of student there are, listed in one line each, and what is asked of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from distill_core.architecture import Cost
from distill_core.errors import SettingsError
from distill_core.settings import FieldDescription, check_field, describe, in_words
from distill_core.students.encoder import EncoderConfig
from distill_core.students.memory import MemoryConfig
from distill_core.students.mlp import MlpConfig
from distill_core.students.routed import RoutedConfig
from distill_core.students.spec import StudentConfig, kind_name

if TYPE_CHECKING:
    from distill_core.students.networks.student import Student

STUDENT_KINDS: dict[str, type[StudentConfig]] = {}
"""By name; the first is the one that is meant where nothing is said."""

_ONCE_SHARED = frozenset({"heads", "layers", "ff_dim", "slots", "width", "dropout"})
"""Files of the first versions give every student these settings, whether its kind uses them or not."""


def register_student(kind: type[StudentConfig]) -> type[StudentConfig]:
    """Make a kind of student known to settings, form, command line, training, latency, files and export.

    Raises:
        SettingsError: Another kind has this name.
    """
    name = kind_name(kind)
    if STUDENT_KINDS.setdefault(name, kind) is not kind:
        raise SettingsError(f"There is a kind of student named {name} already.", "Choose another tag.")
    return kind


for _kind in (EncoderConfig, MemoryConfig, MlpConfig, RoutedConfig):
    register_student(_kind)


def default_student() -> StudentConfig:
    """Return the settings of the student that is meant where nothing is said."""
    return next(iter(STUDENT_KINDS.values()))()


def student_kind(name: object) -> type[StudentConfig]:
    """Return a kind by its name.

    Raises:
        SettingsError: There is no such kind.
    """
    kind = STUDENT_KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise SettingsError(
            f"Student: there is no kind {name!r}.", f"Take one of {', '.join(STUDENT_KINDS)}.", field="kind"
        )
    return kind


def student_settings(kind: str, values: Mapping[str, object]) -> StudentConfig:
    """Return the settings of a kind from values, of which it takes those that it has a setting for.

    Raises:
        SettingsError: There is no such kind, or a value cannot be used.
    """
    settings = student_kind(kind)
    return settings(**{name: values[name] for name in settings.__struct_fields__ if name in values})


def shaped_student(kind: str, values: Mapping[str, object], num_heads: int, dimension: int) -> StudentConfig:
    """Return the settings of a student for N heads of dimension d, with the defaults of its kind.

    Args:
        kind: Its name.
        values: By name; those that are None, or no settings of the kind, are passed over.
        num_heads: N.
        dimension: d.

    Raises:
        SettingsError: They do not fit.
    """
    given = {name: value for name, value in values.items() if value is not None}
    student = student_settings(kind, student_kind(kind).defaults(num_heads, dimension) | given)
    student.check(dimension)
    return student


def parse_student(builtins: object) -> StudentConfig:
    """Return settings from a plain dictionary, as read from TOML or JSON.

    Raises:
        SettingsError: A value is unknown, of the wrong type or out of its range.
    """
    if not isinstance(builtins, Mapping):
        raise SettingsError(
            f"expected an object, got {type(builtins).__name__} (at student)", field="student"
        )
    values = dict(builtins)
    kind = student_kind(values.pop("kind", next(iter(STUDENT_KINDS))))
    for name in _ONCE_SHARED.difference(kind.__struct_fields__):
        values.pop(name, None)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(in_words(error, inside="student")) from error


def new_student(config: StudentConfig, dimension: int, num_heads: int) -> Student:
    """Build an untrained student with torch's current random state, for a teacher of N heads.

    Raises:
        SettingsError: The settings do not fit the dimension.
    """
    config.check(dimension)
    network = cast(Any, config.network())
    return cast("Student", network(**config.shape(dimension, num_heads)))


def running_cost(student: object) -> Cost | None:
    """Return what a student that exists costs as it is used; None of something else that projects."""
    kind = STUDENT_KINDS.get(getattr(student, "KIND", ""))
    return None if kind is None else kind.inference_cost_of(cast("Student", student).shape)


def student_fields() -> dict[str, tuple[type[StudentConfig], ...]]:
    """Return the settings of all kinds by name, each with the kinds that have it."""
    found: dict[str, list[type[StudentConfig]]] = {}
    for kind in STUDENT_KINDS.values():
        for name in kind.__struct_fields__:
            found.setdefault(name, []).append(kind)
    return {name: tuple(kinds) for name, kinds in found.items()}


def describe_kind() -> FieldDescription:
    """Return how the choice of a kind presents itself."""
    about = "; ".join(f"{name}: {kind.ABOUT}" for name, kind in STUDENT_KINDS.items())
    return FieldDescription("kind", "Student", f"{about}.", tuple(STUDENT_KINDS))


def describe_student_field(name: str) -> FieldDescription:
    """Return how a setting presents itself where the kind is not known: what it means for each of them."""
    kinds = student_fields()[name]
    first = describe(kinds[0], name)
    texts: dict[str, list[str]] = {}
    for kind in kinds:
        texts.setdefault(describe(kind, name).description, []).append(kind_name(kind))
    if len(kinds) == len(STUDENT_KINDS) and len(texts) == 1:
        return first
    words = " ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
    return FieldDescription(first.name, first.title, words, first.choices, first.extra)


def check_student_field(name: str, value: object) -> object:
    """Return a value converted to the type of a setting of one of the kinds that have it.

    Raises:
        SettingsError: It is in the range of none of them.
    """
    *others, last = student_fields()[name]
    for kind in others:
        try:
            return check_field(kind, name, value)
        except SettingsError:
            continue
    return check_field(last, name, value)


def default_words(name: str) -> str:
    """Return in words what a setting is where it is not given, such as `book rule, 1 for memory`."""
    kinds: dict[str, list[str]] = {}
    for kind in student_fields()[name]:
        field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
        words = describe(kind, name).extra.get("default")
        value = "auto" if field.default is None else str(field.default)
        kinds.setdefault(words or value, []).append(kind_name(kind))
    first, *others = kinds.items()
    return ", ".join([first[0], *(f"{words} for {' and '.join(names)}" for words, names in others)])
