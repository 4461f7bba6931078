"""How fast the students of compared runs are, as rows with a cell a run, and on which machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from distill_tui.text.crossover import bracket_words
from distill_tui.text.machine import machine_words

if TYPE_CHECKING:
    from distill_core.latency.crossover import Bracket
    from distill_core.runs import RunComparison
    from distill_core.runs.comparing import RunSpeed

Cell = Callable[["RunSpeed"], str]

ROWS: tuple[tuple[str, Cell], ...] = (
    ("LDA p90", lambda speed: _microseconds(speed.lda_p90_us)),
    ("p90", lambda speed: _microseconds(speed.student_p90_us)),
    ("crossover", lambda speed: _bracket(speed.single)),
    ("batch 32", lambda speed: _bracket(speed.batch_32)),
)


def speed_rows(comparison: RunComparison) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows that are not empty: single-stream p90, and from how many heads on it is faster."""
    for title, cell in ROWS:
        cells = ["" if speed is None else cell(speed) for speed in comparison.speeds]
        if any(cells):
            yield title, cells


def different_machines(comparison: RunComparison) -> Iterator[str]:
    """Yield where each run was timed, if the machines are not one and the same."""
    machines = [
        (name, speed.machine)
        for name, speed in zip(comparison.names, comparison.speeds, strict=False)
        if speed is not None and speed.machine is not None
    ]
    if len({(one.cpu, one.gpu, one.threads, one.torch) for _name, one in machines}) > 1:
        yield "Timed on different machines:"
        for name, machine in machines:
            yield f"{name}: {machine_words(machine)}"


def _microseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} µs"


def _bracket(bracket: Bracket | None) -> str:
    return "" if bracket is None else bracket_words(bracket)
