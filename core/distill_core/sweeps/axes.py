"""Settings that take several values: how lists and ranges are written, and which settings do nothing."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import SettingsError
from distill_core.settings import AUTO, check_field, describe
from distill_core.students.kinds import (
    STUDENT_KINDS,
    check_student_field,
    describe_student_field,
    shaped_student,
    student_fields,
    student_kind,
)

Value = None | bool | int | float | str
Axes = dict[str, tuple[Value, ...]]
"""The values of each setting that is given, by name; `student` is the kind. One value is no axis to draw."""

MAX_VALUES = 1000
_DIGITS = 12
"""Of a value in a range: 0.1..0.9/5 holds 0.3, not 0.30000000000000004."""

_AXIS = re.compile(r"(?P<name>[A-Za-z_-]+?)\s*=?\s*(?P<values>(?<=[\s=])[A-Za-z]\S*|[\d.]\S*(\s+log/\d+)?)\s")
_RANGE = re.compile(r"^(?P<low>[^.\s][^\s]*?)\.\.(?P<high>[^\s/]+)(?P<log>\s+log)?\s*(/\s*(?P<count>\d+))?$")


def parse_axis(name: str, text: str) -> tuple[Value, ...]:
    """Return the values of a setting: `4`, a list `2,4,8`, a range `1..4`, `0.1..0.9/5`, `1e-4..1e-2 log/5`.

    A range has its ends; without a count it holds every whole number. Values that come twice count once.

    Raises:
        SettingsError: A value is not of the setting, or a range is none.
    """
    check = checks()[name]
    values: list[Value] = []
    for part in text.split(","):
        if not part.strip():
            raise SettingsError(f"{title(name)}: a value is missing in {text!r}.", field=name)
        values += [_checked(name, check, value) for value in _expanded(name, part.strip())]
    return tuple(dict.fromkeys(values))


class TypedSweep(NamedTuple):
    """A sweep as it is typed in a line.

    Attributes:
        axes: The values of each setting.
        seeds: How many; None where nothing is said.
        name: Of the sweep; empty likewise.
    """

    axes: Axes
    seeds: int | None
    name: str


def parse_axes(line: str) -> TypedSweep:
    """Return what a line such as `H2,4,8 L 1,2,3 lambda=0.1..0.9/5 x2 name=wide` asks for.

    A setting is meant by its name or the letter of its shape; `x` or `seeds` counts the seeds.

    Raises:
        SettingsError: A part of it is no setting with values.
    """
    axes: Axes = {}
    seeds: int | None = None
    sweep = ""
    for found in _AXIS.finditer(line + " "):
        word, values = found["name"].replace("-", "_"), found["values"].strip()
        if word in ("x", "seeds"):
            seeds = int(values) if values.isdecimal() and 0 < int(values) <= MAX_VALUES else 0
            if not seeds:
                raise SettingsError(f"{values!r} is no number of seeds.", field="seeds")
            continue
        if word == "name":
            sweep = values
            continue
        name = _named().get(word, word)
        if name not in checks():
            raise SettingsError(f"There is no setting {word!r}.", "Write such as: H 2,4,8 L 1,2,3 x2.")
        axes[name] = parse_axis(name, values)
    rest = _AXIS.sub("", line + " ").strip()
    if rest:
        raise SettingsError(f"{rest!r} is no setting with values.", "Write such as: H 2,4,8 L 1,2,3 x2.")
    return TypedSweep(axes, seeds, sweep)


def is_several(text: str) -> bool:
    """Return whether a text is that of a list or a range, and not of one value."""
    return "," in text or ".." in text


def as_typed(value: object) -> str:
    """Return a value as it is typed, with all its digits."""
    if value is None:
        return AUTO
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value).lower()


def axes_line(axes: Axes) -> str:
    """Return the line that `parse_axes` reads these axes from."""
    letters = {name: word for word, name in _named().items() if len(word) == 1}
    parts = ((letters.get(name, f"{name}="), values) for name, values in axes.items())
    return " ".join(f"{word}{','.join(map(as_typed, values))}" for word, values in parts)


def _named() -> dict[str, str]:
    """Return the settings by the letters and words that are short for them."""
    short = {"lambda": "cosine_weight", "tau": "temperature"}
    for name in student_fields():
        if letter := describe_student_field(name).extra.get("symbol"):
            short[letter] = name
    return short


def checks() -> dict[str, Callable[[object], object]]:
    """Return how a value of each setting of a sweep is checked, by the setting's name."""
    found: dict[str, Callable[[object], object]] = {"student": lambda value: student_kind(value) and value}
    for group in (DataConfig, TrainingConfig, SplitConfig):
        for item in msgspec.structs.fields(group):
            if not item.required:
                found[item.name] = partial(check_field, group, item.name)
    return found | {name: partial(check_student_field, name) for name in student_fields()}


def run_config(
    values: Mapping[str, object], database: str, shape_of: Callable[[int], tuple[int, int]]
) -> RunConfig:
    """Return a run's settings from values by name, with the defaults of the kind where they are not given.

    Args:
        values: Single ones.
        database: Path of the `lda.db`.
        shape_of: Returns N and d of a projection by its number.

    Raises:
        SettingsError: They do not fit.
    """
    parts: dict[str, dict[str, Any]] = {
        group.__name__: {name: values[name] for name in group.__struct_fields__ if name in values}
        for group in (DataConfig, SplitConfig, TrainingConfig)
    }
    data = DataConfig(database=database, **parts["DataConfig"])
    kind = str(values.get("student", next(iter(STUDENT_KINDS))))
    return RunConfig(
        data=data,
        split=SplitConfig(**parts["SplitConfig"]),
        student=shaped_student(kind, values, *shape_of(data.mh_id)),
        training=TrainingConfig(**parts["TrainingConfig"]),
    )


def inert_settings(kind: str) -> dict[str, str]:
    """Return the settings that change nothing in a trained student of a kind, each with the reason."""
    settings = STUDENT_KINDS[kind]
    missing = set(student_fields()).difference(settings.__struct_fields__)
    found = dict.fromkeys(sorted(missing), f"{kind} has no such setting")
    if settings.INERT_HEADS:
        found["heads"] = "a query is one token, so H changes nothing in what it computes"
    if not settings.BY_GRADIENTS:
        found |= dict.fromkeys(settings.INERT_TRAINING, "it is fitted, not trained by steps")
    return found


def identity(config: RunConfig, num_heads: int, dimension: int) -> bytes:
    """Return what is the same for two runs that are one and the same experiment."""
    inert = inert_settings(config.student.kind)
    student = config.student.fitting(dimension, num_heads)
    student = student.with_values(**{n: 1 for n in student.__struct_fields__ if n in inert})
    left = {name: value for name, value in _defaults(TrainingConfig).items() if name in inert}
    training = config.training.with_values(**left)
    return msgspec.json.encode(config.with_values(student=student, training=training))


def combinations(axes: Axes) -> Iterator[dict[str, Value]]:
    """Yield every combination of the values, the last axis changing fastest."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _defaults(settings: type[msgspec.Struct]) -> dict[str, Any]:
    return {item.name: item.default for item in msgspec.structs.fields(settings) if not item.required}


def _expanded(name: str, part: str) -> Sequence[object]:
    found = _RANGE.match(part)
    if found is None:
        return [part]
    wrong = SettingsError(
        f"{title(name)}: {part!r} is no range.",
        "Write LOW..HIGH for whole numbers, LOW..HIGH/COUNT, or LOW..HIGH log/COUNT.",
        field=name,
    )
    try:
        low, high = float(found["low"]), float(found["high"])
    except ValueError as error:
        raise wrong from error
    whole = all(re.fullmatch(r"[+-]?\d+", found[end]) for end in ("low", "high"))
    count = int(found["count"]) if found["count"] else int(high - low) + 1 if whole else 0
    is_log = bool(found["log"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high and 2 <= count <= MAX_VALUES):
        raise wrong
    if is_log and (low <= 0 or not found["count"]):
        raise wrong
    ends = (math.log(low), math.log(high)) if is_log else (low, high)
    steps = [ends[0] + (ends[1] - ends[0]) * number / (count - 1) for number in range(count)]
    numbers = [low, *((math.exp(step) if is_log else step) for step in steps[1:-1]), high]
    if whole:
        return list(dict.fromkeys(str(round(number)) for number in numbers))
    return [f"{number:.{_DIGITS}g}" for number in numbers]


def _checked(name: str, check: Callable[[object], object], value: object) -> Value:
    checked = check(value)
    assert checked is None or isinstance(checked, bool | int | float | str)
    return checked


def title(name: str) -> str:
    """Return what a setting is called in a form."""
    if name == "student":
        return "Student"
    for group in (DataConfig, TrainingConfig, SplitConfig):
        if name in group.__struct_fields__:
            return describe(group, name).title
    return describe_student_field(name).title
