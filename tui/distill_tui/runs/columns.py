"""The columns of the table of runs: what each says of a run, and of several that differ in their seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from distill_core.foreign_text import visible
from distill_core.wording import SMALLEST_PLAIN, cosine_error

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

    Value = Callable[[RunSummary], str | float | None]
    OfGroup = Callable[[Sequence[RunSummary]], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of runs.

    Attributes:
        text: What it shows of a run; empty where that is not known.
        value: What it is sorted and filtered by; None is last in any order.
        descending: Whether the highest value is the one to see first.
        is_setting: Whether it is one of a run's settings: those that differ stand first.
        of_group: What it shows of several runs; None shows what it does of the first.
    """

    name: str
    text: Callable[[RunSummary], str]
    value: Callable[[RunSummary], str | float | None]
    is_number: bool = False
    descending: bool = False
    max_cells: int = 40
    is_setting: bool = False
    of_group: Callable[[Sequence[RunSummary]], str] | None = None


def state_words(run: RunSummary) -> str:
    """Return the state; of a run in training how far it is, of a damaged one see below the table."""
    if run.progress is not None:
        return f"{run.progress.share:.0%} {short_seconds(run.progress.eta_seconds)}"
    return "damaged" if run.problem else run.state


def short_seconds(seconds: float) -> str:
    """Return a time in at most four characters: `12s`, `4m`, `3h`."""
    if seconds < 100:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 6000 else f"{seconds / 3600:.0f}h"


def database_words(run: RunSummary) -> str:
    """Return the database with its folder, which is what tells one `lda.db` from another."""
    path = Path(run.database)
    return f"{path.parent.name}/{path.name}".removeprefix("/") if run.database else ""


def own_name(run: RunSummary) -> str:
    """Return the name that the user gave; empty where that is none."""
    return visible(run.name) if run.name != Path(run.path).name else ""


def when_words(run: RunSummary) -> str:
    """Return when the run was made, in local time, in eleven characters."""
    return f"{run.created.astimezone():%m-%d %H:%M}"


def heads_words(run: RunSummary) -> str:
    """Return H; nothing where the kind of student has no heads."""
    return str(run.heads) if run.heads else ""


def _number(value: float | None, shape: str = "g") -> str:
    return "" if value is None else format(value, shape)


def short_error(error: float | None) -> str:
    """Return 1 - cosine in three figures: `.0216`, `9.2e-4`."""
    if error is None:
        return ""
    if 0 < abs(error) < SMALLEST_PLAIN:
        return cosine_error(error)
    figures = 3 if not error else max(0, 2 - math.floor(math.log10(abs(error))))
    return f"{error:.{figures}f}".replace("0.", ".", 1)


def _error(run: RunSummary) -> float | None:
    """Return 1 - cosine on the test queries; of a run in training on the validation queries so far."""
    cosine = run.progress.cosine if run.progress is not None else run.cosine
    return None if cosine is None else 1 - cosine


def _spread(shape: Callable[[float | None], str], value: Callable[[RunSummary], float | None]) -> OfGroup:
    def words(runs: Sequence[RunSummary]) -> str:
        known = [number for run in runs if (number := value(run)) is not None]
        mean = shape(fmean(known)) if known else ""
        return f"{mean}±{shape(stdev(known))}" if len(known) > 1 else mean

    return words


def _mean(shape: Callable[[float | None], str], value: Callable[[RunSummary], float | None]) -> OfGroup:
    def words(runs: Sequence[RunSummary]) -> str:
        known = [number for run in runs if (number := value(run)) is not None]
        return shape(fmean(known)) if known else ""

    return words


def _states(runs: Sequence[RunSummary]) -> str:
    states = [state_words(run) for run in runs]
    return states[0] if len(set(states)) == 1 else f"{states.count('finished')} of {len(runs)} done"


def _setting(name: str, text: Callable[[RunSummary], str], value: Value, *, is_number: bool = True) -> Column:
    return Column(name, text, value, is_number=is_number, is_setting=True, max_cells=28)


def _skill(value: float | None) -> str:
    return _number(value, ".3f")


def _micros(value: float | None) -> str:
    return _number(value, ",.1f" if value is None or value < MILLISECOND_US else ",.0f")


MILLISECOND_US = 1000

COLUMNS: tuple[Column, ...] = (
    Column(
        "id",
        lambda run: own_name(run) or run.id,
        lambda run: run.name.lower(),
        max_cells=18,
        of_group=lambda runs: own_name(runs[0]) or f"{len(runs)} runs",
    ),
    _setting("student", lambda run: run.student, lambda run: run.student, is_number=False),
    _setting("H", heads_words, lambda run: run.heads),
    _setting("L", lambda run: _number(run.layers), lambda run: run.layers),
    _setting("λ", lambda run: _number(run.cosine_weight), lambda run: run.cosine_weight),
    _setting("recipe", lambda run: run.recipe, lambda run: run.recipe, is_number=False),
    Column(
        "seed",
        lambda run: _number(run.seed, "d"),
        lambda run: run.seed,
        is_number=True,
        is_setting=True,
        of_group=lambda runs: f"{len(runs)}x",
    ),
    Column(
        "1-cos",
        lambda run: short_error(_error(run)),
        _error,
        is_number=True,
        of_group=_spread(short_error, _error),
    ),
    Column(
        "skill",
        lambda run: _skill(run.skill),
        lambda run: run.skill,
        is_number=True,
        descending=True,
        of_group=_mean(_skill, lambda run: run.skill),
    ),
    Column(
        "p90 µs",
        lambda run: _micros(run.latency_us),
        lambda run: run.latency_us,
        is_number=True,
        of_group=_mean(_micros, lambda run: run.latency_us),
    ),
    Column("state", state_words, state_words, of_group=_states),
    Column("when", when_words, lambda run: run.created.timestamp(), descending=True),
    Column("cosine", lambda run: _number(run.cosine, ".5f"), lambda run: run.cosine, True, True),
    Column("tags", lambda run: ", ".join(run.tags), lambda run: ", ".join(run.tags), max_cells=20),
    _setting("τ", lambda run: _number(run.temperature), lambda run: run.temperature),
    _setting("projection", lambda run: _number(run.projection, "d"), lambda run: run.projection),
    _setting("database", database_words, database_words, is_number=False),
)
"""All of them. `columns_of` puts them in the order in which they are shown."""

SORTS: tuple[str, ...] = (
    *("when", "1-cos", "skill", "p90 µs"),
    *(column.name for column in COLUMNS if column.name not in ("when", "1-cos", "skill", "p90 µs")),
)
"""The names of the columns in the order in which one sorts by them; newest first to begin with."""


def arrow(name: str, *, reverse: bool) -> str:
    """Return which way a column's values go from the top on, where the best stand first or last."""
    column = next(column for column in COLUMNS if column.name == name)
    return "▼" if column.descending is not reverse else "▲"
