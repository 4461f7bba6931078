"""Runs side by side in plain lines: a table, settings that differ, paired differences, speeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distill_core.runs import RunSummary
from distill_core.runs.comparing import PairedDifference, RunComparison, RunSpeed
from distill_core.wording import plural, several_words, signed
from distill_tui.cli.output import table
from distill_tui.runs.rows import database_words
from distill_tui.text import bracket_words, different_machines

_COLUMNS = (
    "run",
    "state",
    "when",
    "database",
    "projection",
    "tau",
    "student",
    "H",
    "L",
    "lambda",
    "recipe",
    "seed",
    "cosine",
    "skill",
    "p90 µs",
)


def run_table(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Yield a header and a line for each run, in columns as wide as they need to be."""
    if not runs:
        yield "No runs yet: 'distill-tui train lda.db' makes one."
        return
    lines = table([_COLUMNS, *(_row(run) for run in runs)], left=range(len(_COLUMNS)))
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


def _row(run: RunSummary) -> tuple[str, ...]:
    pin = "* " if run.pinned else ""
    return (
        pin + run.name,
        run.state,
        run.created.astimezone().strftime("%Y-%m-%d %H:%M"),
        database_words(run),
        *(
            "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            for value in (run.projection, run.temperature, run.student, run.heads, run.layers)
        ),
        "" if run.cosine_weight is None else f"{run.cosine_weight:g}",
        run.recipe,
        "" if run.seed is None else str(run.seed),
        "" if run.cosine is None else f"{run.cosine:.4f}",
        "" if run.skill is None else f"{run.skill:.3f}",
        "" if run.latency_us is None else f"{run.latency_us:.0f}",
    )


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
