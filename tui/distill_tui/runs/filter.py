"""What is typed to filter the runs: words, and conditions on columns such as `L>=2 seed:1 db:n30`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from distill_tui.runs.columns import COLUMNS, Column
from distill_tui.runs.rows import RunRow

_ALIASES = {
    **{"db": "database", "lambda": "λ", "tau": "τ", "p90": "p90 µs", "kind": "student", "cos": "cosine"},
    **{"error": "1-cos", "heads": "H", "layers": "L", "mh": "projection"},
}
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    **{">=": operator.ge, "<=": operator.le, "!=": operator.ne},
    **{"=": operator.eq, ">": operator.gt, "<": operator.lt},
}
_CONDITION = re.compile(r"^(?P<name>[^<>=!:]+)(?P<sign>>=|<=|!=|=|>|<|:)(?P<value>.*)$")


def matching(rows: Iterable[RunRow], pattern: str) -> list[RunRow]:
    """Return the rows that meet every part of a pattern.

    A part is a word, looked for in any column, or a condition on one: `L>=2`, `seed:1`, `H 4`, `db:n30`,
    `tag:thesis`. A condition that is still being typed counts for nothing yet.
    """
    conditions = [_condition(part) for part in _parts(pattern)]
    return [row for row in rows if all(meets(row) for meets in conditions)]


def _parts(pattern: str) -> list[str]:
    """Split a pattern at its blanks; `L >= 2` and `H 4` are one part each."""
    words = re.sub(r"\s*(>=|<=|!=|=|>|<)\s*", r"\1", pattern).split()
    parts: list[str] = []
    for word in words:
        column = _column(parts[-1]) if parts else None
        if column is not None and column.is_number and _as_number(word) is not None:
            parts[-1] += f"={word}"
        else:
            parts.append(word)
    return parts


def _condition(part: str) -> Callable[[RunRow], bool]:
    found = _CONDITION.match(part)
    column = _column(found["name"]) if found else None
    if found is None or (column is None and found["name"].lower() != "tag"):
        return lambda row: part.lower() in row.haystack
    sign, wanted = found["sign"], found["value"].lower()
    if not wanted:
        return lambda row: True
    if column is None:
        return lambda row: any(wanted in tag.lower() for run in row.runs for tag in run.tags)
    number = _as_number(wanted)
    if column.is_number and number is not None:
        compare = _SIGNS.get(sign, operator.eq)
        return lambda row: any(_holds(compare, column.value(run), number) for run in row.runs)
    if sign == "!=":
        return lambda row: wanted not in row.texts[column.name].lower()
    return lambda row: wanted in f"{row.texts[column.name]} {column.value(row.run) or ''}".lower()


def _holds(compare: Callable[[Any, Any], bool], value: str | float | None, number: float) -> bool:
    return value is not None and compare(value, number)


def _column(name: str) -> Column | None:
    wanted = _ALIASES.get(name.lower(), name).lower()
    return next((column for column in COLUMNS if column.name.lower() == wanted), None)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
