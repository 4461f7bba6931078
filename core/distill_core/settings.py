"""How settings declare themselves: title, description and range in `msgspec.Meta`, each said once.

Forms, command line, help and validation read them from here (`describe`, `check_field`). Beside what msgspec
knows, `Meta(extra=...)` takes: `symbol`, the letter of a shape in short words; `default`, words for a default
that follows from the teacher; `form`, False for what the form does not show.
"""

from __future__ import annotations

import re
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from distill_core.errors import SettingsError

_BARE_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
"""As people write them, ".5" and "+1e-4" among them, which are no numbers of JSON."""

AUTO = "auto"
"""How a form or a command line says that a setting is left to the recipe: None in the settings."""


class FieldDescription(msgspec.Struct, frozen=True):
    """How one setting presents itself in a form or in a help text."""

    name: str
    title: str
    description: str
    choices: tuple[str, ...] = ()
    extra: dict[str, Any] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that check themselves when they are made, by code or from a file."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, check_field(type(self), name, getattr(self, name)))

    def with_values(self, **values: object) -> Self:
        """Return a copy with some values replaced, validated again.

        Made anew, because `structs.replace` checks nothing before msgspec 0.21, nor does a `copy.replace`.
        """
        return type(self)(**{**msgspec.structs.asdict(self), **values})


def describe(settings: type[msgspec.Struct], name: str) -> FieldDescription:
    """Return title, description and choices of one setting, as its class declares them."""
    hint = _hints(settings)[name]
    kind, *notes = get_args(hint)
    meta = next(note for note in notes if isinstance(note, Meta))
    choices = tuple(str(choice) for part in _parts(kind) for choice in _choices(part))
    if choices and is_optional(settings, name):
        choices = (AUTO, *choices)
    return FieldDescription(name, meta.title or name, meta.description or "", choices, meta.extra or {})


def check_field(settings: type[msgspec.Struct], name: str, value: object) -> object:
    """Return `value` converted to the setting's type, text from a form or a file included.

    Raises:
        SettingsError: The value is not of the type or not in the range that the setting declares.
    """
    hint = _hints(settings)[name]
    if value == AUTO and is_optional(settings, name):
        return None
    is_text = isinstance(value, str)
    if isinstance(value, str) and _BARE_NUMBER.fullmatch(value) and _takes_float(hint):
        value = float(value)
    try:
        return msgspec.convert(value, hint, strict=not is_text)
    except msgspec.ValidationError as error:
        described = describe(settings, name) if get_args(hint) else FieldDescription(name, name, "")
        words = in_words(error)
        if described.choices:
            words = f"{value!r} is none of {', '.join(described.choices)}"
        raise SettingsError(f"{described.title}: {words}.", field=name) from error


def is_optional(settings: type[msgspec.Struct], name: str) -> bool:
    """Return whether a setting can be left to the recipe, or to the database."""
    kind, *_ = get_args(_hints(settings)[name]) or (None,)
    return NoneType in _parts(kind)


def in_words(error: msgspec.ValidationError, inside: str = "") -> str:
    """Return what is wrong in plain words, with the place where it stands inside of something named."""
    reason, _, place = str(error).partition(" - at ")
    for term, words in (
        ("`int", "`a whole number"),
        ("`float", "`a number"),
        ("`str", "`text"),
        ("`bool", "`true or false"),
    ):
        reason = reason.replace(term, words)
    reason = reason.replace(" | null", f" or {AUTO}").replace("`", "")
    parts = [inside, place.strip("`").removeprefix("$.")]
    where = f" (at {'.'.join(filter(None, parts))})" if any(parts) else ""
    return f"{reason[0].lower()}{reason[1:]}{where}"


def _parts(kind: object) -> tuple[object, ...]:
    """Return the members of a union; of `X | None` in an `Annotated` they are X and None."""
    return get_args(kind) if isinstance(kind, UnionType) or get_origin(kind) is Union else (kind,)


def _takes_float(hint: object) -> bool:
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    parts = _parts(inner)
    return inner is float if parts == (inner,) else any(map(_takes_float, parts))


def _choices(kind: object) -> tuple[object, ...]:
    if kind is bool:
        return ("false", "true")
    return get_args(kind) if get_origin(kind) is Literal else ()


@cache
def _hints(settings: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(settings, include_extras=True)
