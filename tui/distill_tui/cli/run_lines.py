"""Runs side by side in plain lines: a table, settings that differ, paired differences, speeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from distill_core.runs import RunSummary
from distill_core.runs.comparing import PairedDifference, RunComparison, RunSpeed
from distill_core.wording import plural, several_words, signed
from distill_tui.cli.output import table, terminal_width
from distill_tui.runs.columns import database_words
from distill_tui.text import bracket_words, different_machines

_SHARED = ("database", "projection", "tau", "student", "lambda", "recipe")
"""Columns that are said once where all runs agree in them."""


def run_table(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Yield a header and a line for each run; what all of them have in common stands above, once."""
    if not runs:
        yield "No runs yet: 'distill-tui train lda.db' makes one."
        return
    width = terminal_width()
    rows = [_row(run) for run in runs]
    shared = {name for name in _SHARED if len(runs) > 1 and len({row[name] for row in rows}) == 1}
    if said := [f"{name} {rows[0][name]}" for name in _SHARED if name in shared and rows[0][name]]:
        words = f"all: {', '.join(said)}"
        yield from (words if width is None else click.wrap_text(words, width, "", "  ")).splitlines()
    names = [name for name in rows[0] if name not in shared and any(row[name] for row in rows)]
    cells = [names, *([row[name] for name in names] for row in rows)]
    lines = table(cells, left=[*range(len(names))], width=width)
    for number, line in enumerate(lines):
        yield line
        if number and runs[number - 1].problem:
            yield f"    {runs[number - 1].problem}"


def comparison_lines(comparison: RunComparison) -> Iterator[str]:
    """Yield what differs between runs and by how much the others do better or worse than the first."""
    names = comparison.names
    yield f"compared with {names[0]}:"
    for setting, values in comparison.settings.items():
        yield f"  {setting}: {', '.join(values)}"
    for name, difference in zip(names[1:], comparison.differences, strict=True):
        if difference is None:
            yield f"  {name}: no common test queries that both were judged on"
            continue
        told = f"  {name}: cosine {signed(difference.mean, 5)}"
        if difference.low is not None and difference.high is not None:
            told += f" (95 % {signed(difference.low, 5)} to {signed(difference.high, 5)})"
        yield f"{told} over {common_queries(difference)}"
    if comparison.num_compared > 1:
        yield f"  {several_words(comparison.num_compared)}"


def common_queries(difference: PairedDifference) -> str:
    """Return "48 common test queries of 29 clusters"."""
    queries = f"{difference.num_queries} common test queries"
    if difference.num_clusters is None:
        return f"{queries}, resampled one by one: an older version wrote no clusters"
    return f"{queries} of {plural(difference.num_clusters, 'cluster')}"


def _row(run: RunSummary) -> dict[str, str]:
    """Return the cells of a run by column: by what it is called first, then what it is worth."""
    return {
        "id": f"{'*' if run.pinned else ''}{run.id}",
        "state": run.state,
        "H": _number(run.heads),
        "L": _number(run.layers),
        "lambda": _number(run.cosine_weight),
        "student": run.student,
        "recipe": run.recipe,
        "seed": _number(run.seed),
        "cosine": _number(run.cosine, ".4f"),
        "skill": _number(run.skill, ".3f"),
        "p90 µs": _number(run.latency_us, ",.0f"),
        "when": f"{run.created.astimezone():%Y-%m-%d %H:%M}",
        "tau": _number(run.temperature),
        "projection": _number(run.projection),
        "database": database_words(run),
        "name": "" if run.name == Path(run.path).name else run.name,
    }


def _number(value: float | None, shape: str = "g") -> str:
    return "" if value is None else format(value, shape)


def speed_lines(comparison: RunComparison) -> Iterator[str]:
    """Yield a line for each run that was timed; the machines too, where they are not one and the same."""
    timed = [(name, speed) for name, speed in zip(comparison.names, comparison.speeds, strict=True) if speed]
    if not timed:
        return
    yield "single-stream p90, and from how many heads on the student is faster:"
    for name, speed in timed:
        yield f"  {name}: {'; '.join(_parts(speed))}"
    if machines := different_machines(comparison):
        yield "measured on different machines:"
        yield from (f"  {line}" for line in machines)


def _parts(speed: RunSpeed) -> Iterator[str]:
    if speed.lda_p90_us is not None and speed.student_p90_us is not None:
        yield f"LDA {speed.lda_p90_us:,.1f} us, student {speed.student_p90_us:,.1f} us"
    for case, bracket in (("single queries", speed.single), ("batches of 32", speed.batch_32)):
        if bracket is not None:
            yield f"{case} {bracket_words(bracket)}"
