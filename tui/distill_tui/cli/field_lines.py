"""The comparison of all contestants as plain lines on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from distill_tui.cli.output import table
from distill_tui.text.contestants import COLUMNS, PARETO, UNTRAINED, row_cells
from distill_tui.text.machine import UNSTEADY, machine_warnings, machine_words

if TYPE_CHECKING:
    from distill_core.latency import FieldEvent, FieldFinished


def field_lines(event: FieldEvent, *, untrained: bool) -> Iterator[str]:
    """Yield what an event says to a reader; a round says nothing."""
    from distill_core.latency import FieldFinished, FieldStarted

    if isinstance(event, FieldStarted):
        yield f"machine: {machine_words(event.machine)}"
        yield from machine_warnings(event.machine)
        yield (
            f"{event.num_heads} heads on {event.device}: {len(event.contestants)} contestants, "
            f"single queries and batches of {event.batch_size}"
        )
    elif isinstance(event, FieldFinished):
        yield from _finished_lines(event, untrained=untrained)


def _finished_lines(event: FieldFinished, *, untrained: bool) -> Iterator[str]:
    yield from table([COLUMNS, *(row_cells(row) for row in event.rows if not row.note)])
    for row in event.rows:
        if row.note:
            yield f"  {row.name}: {row.note}"
    yield f"x LDA: over {event.reference}; outliers: beyond three interquartile ranges, counted and kept"
    yield PARETO
    if untrained:
        yield UNTRAINED
    if not event.steady:
        yield UNSTEADY
    yield f"{event.method}{'' if event.ended == 'complete' else '; interrupted, this is what was measured'}"
